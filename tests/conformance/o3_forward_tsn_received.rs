//! FORWARD TSN received (RFC 3758 §3.6).

use crate::raw_extensions::*;
use crate::raw_sctp::*;
use std::time::Duration;
use straits_sctp::{Config, Event, State, StreamId};

const WINDOW: usize = 20_000;

/// Without heartbeats, so that all timers of a receiver are those of SACKs.
fn quiet() -> Config {
    Config::strict().heartbeat_interval(Duration::ZERO).receive_window(WINDOW)
}

fn established() -> RawPeer {
    RawPeer::passive_with(quiet(), PARTIAL)
}

/// The first SACK, of the first DATA, is behind us: 1000 is received, with SSN 0 of stream 0.
fn begun() -> RawPeer {
    let mut peer = established();
    let first = peer.next_data(0, b"first");
    assert_eq!(only_sack(&peer.exchange(&[first])).cumulative, 1000);
    assert_eq!(peer.user_reads(0), ["first"]);
    peer.drain_events();
    peer
}

/// Sends one chunk; cumulative TSN and gap blocks of the SACK that comes for it, delayed or not.
#[track_caller]
fn acknowledged(peer: &mut RawPeer, chunk: Chunk) -> (u32, Vec<(u16, u16)>) {
    let sack = only_sack(&peer.exchange_within(ms(200), &[chunk]));
    (sack.cumulative, sack.gaps)
}

/// The same for a SACK that must not be delayed.
#[track_caller]
fn acknowledged_at_once(peer: &mut RawPeer, chunk: Chunk) -> (u32, Vec<(u16, u16)>) {
    let sack = only_sack(&peer.exchange(&[chunk]));
    (sack.cumulative, sack.gaps)
}

fn ordered(tsn: u32, stream: u16, ssn: u16, payload: &[u8]) -> Chunk {
    data(tsn, WHOLE | IMMEDIATE, stream, ssn, payload)
}

/// RFC 3758 §3.6, its example: "the receiver's cumulative TSN point is first updated to 103 and then further advanced to
/// 105", and nothing below is reported as a gap any more.
#[test]
fn item_252_cumulative_tsn_moves() {
    for flags in [0, 0xFF] {
        let mut peer = RawPeer::new(quiet());
        peer.tsn = 102;
        let init = PARTIAL.iter().fold(peer.init(), |init, (kind, value)| init.with(*kind, value));
        peer.open_with(&init);
        for tsn in [102, 104, 105, 107] {
            peer.send(&[data(tsn, WHOLE | UNORDERED, 0, 0, b"x")]);
        }
        let last = of_kind(&peer.replies(), SACK).pop().expect("gaps are reported at once");
        assert_eq!(Sack::parse(&last).gaps, [(2, 3), (5, 5)]);
        // RFC 3758 §3.2: flags are "ignored on receipt".
        let forward = Chunk { flags, ..forward_tsn(103, &[]) };
        assert_eq!(acknowledged_at_once(&mut peer, forward), (105, vec![(2, 2)]));
        assert_eq!(acknowledged(&mut peer, forward_tsn(106, &[])), (107, vec![]));
        assert_eq!(peer.user_reads(0).len(), 4);
    }
}

/// RFC 3758 §3.6: "for the purposes of sending a SACK, the receiver MUST follow the same rules as if a DATA chunk had
/// been received": every second packet, and within 200 ms.
#[test]
fn item_252_forward_tsn_is_acknowledged_like_data() {
    let mut peer = begun();
    assert_eq!(peer.exchange(&[forward_tsn(1001, &[])]), []);
    assert_eq!(peer.engine.poll_timeout(), Some(peer.now + ms(200)));
    assert_eq!(acknowledged_at_once(&mut peer, forward_tsn(1002, &[])), (1002, vec![]));
    assert_eq!(peer.engine.poll_timeout(), None);
    assert_eq!(peer.exchange(&[forward_tsn(1003, &[])]), []);
    let sent = peer.run_for(ms(200));
    assert_eq!(sent.len(), 1);
    assert_eq!((sent[0].0, only_sack(&[sent[0].1.clone()]).cumulative), (ms(200), 1003));
}

/// RFC 3758 §3.6: a FORWARD TSN "behind or at the current cumulative TSN point" is out of date: "MUST NOT update its
/// Cumulative TSN. The receiver SHOULD send a SACK to its peer", since the last one may be lost.
#[test]
fn item_253_forward_tsn_that_is_not_ahead() {
    let mut peer = begun();
    for cumulative in [1000, 999, 500, 0, 1000_u32.wrapping_sub(1 << 30)] {
        // Nor is what it says of the stream believed.
        let stale = forward_tsn(cumulative, &[(0, 3)]);
        assert_eq!(acknowledged_at_once(&mut peer, stale), (1000, vec![]), "{cumulative}");
    }
    assert_eq!(acknowledged(&mut peer, ordered(1001, 0, 1, b"second")), (1001, vec![]));
    assert_eq!(peer.user_reads(0), ["second"]);
}

/// RFC 9260 §3.3.4: gap blocks reach 65535 TSNs far, so nothing beyond is ever accepted, and no sender can have to skip
/// that much: ignored.
#[test]
fn item_254_forward_tsn_too_far_ahead() {
    for ahead in [65_536, 100_000, 1 << 20, 1 << 30, (1 << 31) - 1, 1 << 31] {
        let mut peer = begun();
        let far = forward_tsn(1000_u32.wrapping_add(ahead), &[(0, 1)]);
        let told = peer.exchange_within(secs(1), &[far]);
        assert!(of_kind(&told, SACK).iter().all(|sack| sack.tsn() == 1000), "{ahead} ahead");
        assert_eq!(peer.engine.state(), State::Established);
        assert_eq!(acknowledged(&mut peer, ordered(1001, 0, 1, b"second")), (1001, vec![]));
        assert_eq!(peer.user_reads(0), ["second"]);
    }
}

/// What may be skipped at once costs the same however much it is: nothing is kept for it.
#[test]
fn item_254_skipping_is_bounded() {
    let mut peer = begun();
    let held = format!("{:?}", peer.engine).len();
    let mut tsn = 1000_u32;
    for _ in 0..1000 {
        tsn = tsn.wrapping_add(60_000);
        peer.exchange(&[forward_tsn(tsn, &[])]);
    }
    // As text; only numbers have grown by some digits.
    assert!(format!("{:?}", peer.engine).len() < held + 256);
    let next = tsn.wrapping_add(1);
    assert_eq!(acknowledged(&mut peer, ordered(next, 0, 1, b"second")), (next, vec![]));
    assert_eq!(peer.user_reads(0), ["second"]);
}

/// RFC 3758 §3.6: "immediately make available for delivery stream sequence numbers earlier than or equal to the stream
/// sequence number listed inside the FORWARD TSN", and those that follow.
#[test]
fn item_255_messages_behind_the_skipped_one() {
    let mut peer = established();
    // On stream 0 SSN 0, 2 and 5 are missing; on stream 1 SSN 0 is.
    for (tsn, stream, ssn, payload) in
        [(1001, 0, 1, b"1"), (1003, 0, 3, b"3"), (1004, 0, 4, b"4"), (1006, 0, 6, b"6"), (1008, 1, 1, b"1")]
    {
        peer.exchange(&[ordered(tsn, stream, ssn, payload)]);
    }
    assert_eq!((peer.user_reads(0).len(), peer.user_reads(1).len(), peer.drain_events()), (0, 0, vec![]));
    let skip = forward_tsn(1002, &[(0, 2)]);
    assert_eq!(acknowledged(&mut peer, skip), (1004, vec![(2, 2), (4, 4)]));
    assert_eq!(peer.drain_events(), [Event::Readable(StreamId(0))]);
    assert_eq!(peer.user_reads(0), ["1", "3", "4"]);
    // Two streams at once.
    let skip = forward_tsn(1007, &[(1, 0), (0, 5)]);
    assert_eq!(acknowledged(&mut peer, skip), (1008, vec![]));
    assert_eq!((peer.user_reads(0), peer.user_reads(1)), (vec!["6".into()], vec!["1".into()]));
}

/// RFC 3758 §3.6: "The receiver MUST remove any partially reassembled message, which is still missing one or more TSNs
/// earlier than or equal to the new cumulative TSN point." Its room is room again.
#[test]
fn item_256_partial_messages_are_deleted() {
    for unordered in [0, UNORDERED] {
        let mut peer = begun();
        let fragments = [(1001, FIRST), (1002, 0), (1004, 0)];
        for (tsn, flags) in fragments {
            peer.send(&[data(tsn, flags | unordered, 0, 1, &[9; 1000])]);
        }
        assert!(peer.engine.stats().local_rwnd <= WINDOW - 3000);
        let skipped: &[(u16, u16)] = if unordered == 0 { &[(0, 1)] } else { &[] };
        peer.replies();
        assert_eq!(acknowledged(&mut peer, forward_tsn(1005, skipped)), (1005, vec![]));
        assert_eq!(peer.engine.stats().local_rwnd, WINDOW);
        assert_eq!(peer.user_reads(0), Vec::<Vec<u8>>::new());
        let ssn = u16::from(unordered == 0) + 1;
        peer.exchange(&[ordered(1006, 0, ssn, b"next")]);
        assert_eq!(peer.user_reads(0), ["next"]);
        assert_eq!(peer.engine.stats().local_rwnd, WINDOW);
    }
}

/// The same if FORWARD TSN stops inside the message, as some senders have it: what is held of its rest goes too.
#[test]
fn item_256_a_skip_into_a_message() {
    let mut peer = begun();
    for (tsn, flags) in [(1001, FIRST), (1003, 0)] {
        peer.send(&[data(tsn, flags, 0, 1, &[9; 1000])]);
    }
    peer.replies();
    assert_eq!(acknowledged(&mut peer, forward_tsn(1002, &[(0, 1)])), (1003, vec![]));
    assert_eq!(peer.engine.stats().local_rwnd, WINDOW);
    peer.exchange(&[forward_tsn(1004, &[(0, 1)])]);
    peer.exchange(&[ordered(1005, 0, 2, b"next")]);
    assert_eq!(peer.user_reads(0), ["next"]);
    assert_eq!((peer.engine.stats().local_rwnd, peer.engine.state()), (WINDOW, State::Established));
}

/// A partial message that misses nothing up to the new cumulative TSN stays, and is completed.
#[test]
fn item_256_other_partial_messages_stay() {
    let mut peer = begun();
    // 1001 is missing and skipped; 1003 and 1005 are missing and come later.
    peer.send(&[data(1002, FIRST, 1, 0, b"a")]);
    peer.send(&[data(1004, FIRST | UNORDERED, 0, 0, b"x")]);
    peer.replies();
    assert_eq!(acknowledged(&mut peer, forward_tsn(1001, &[(0, 1)])), (1002, vec![(2, 2)]));
    peer.exchange(&[data(1003, LAST, 1, 0, b"b")]);
    peer.exchange(&[data(1005, LAST | UNORDERED, 0, 0, b"y")]);
    assert_eq!((peer.user_reads(1), peer.user_reads(0)), (vec!["ab".into()], vec!["xy".into()]));
    assert_eq!(peer.engine.stats().local_rwnd, WINDOW);
}

/// Entries for streams that do not exist are passed over, and nothing is kept of them; the others count.
#[test]
fn item_257_entries_for_unknown_streams() {
    let mut peer = RawPeer::passive_with(quiet().incoming_streams(10), PARTIAL);
    peer.exchange(&[ordered(1001, 9, 1, b"second")]);
    let held = format!("{:?}", peer.engine).len();
    let mut entries: Vec<(u16, u16)> = (10..290).map(|stream| (stream, 7)).collect();
    entries.extend([(9, 0), (u16::MAX, 0)]);
    assert_eq!(acknowledged(&mut peer, forward_tsn(1000, &entries)), (1001, vec![]));
    assert_eq!(peer.user_reads(9), ["second"]);
    assert_eq!(peer.drain_events(), [Event::Readable(StreamId(9))]);
    assert!(format!("{:?}", peer.engine).len() < held + 256);
    assert_eq!(peer.engine.state(), State::Established);
}

/// RFC 3758 §3.6: an SSN that is behind what was delivered makes nothing wait for it again; of two entries for a stream
/// the larger one counts.
#[test]
fn item_258_entries_behind_what_is_delivered() {
    let mut peer = begun();
    for n in 1..3 {
        peer.exchange(&[ordered(1000 + u32::from(n), 0, n, b"x")]);
    }
    assert_eq!(peer.user_reads(0).len(), 2);
    peer.exchange(&[forward_tsn(1003, &[(0, 1)])]);
    peer.exchange(&[ordered(1004, 0, 3, b"third")]);
    assert_eq!(peer.user_reads(0), ["third"]);
    peer.exchange(&[forward_tsn(1007, &[(0, 5), (0, 6), (0, 4)])]);
    peer.exchange(&[ordered(1008, 0, 7, b"seventh")]);
    assert_eq!(peer.user_reads(0), ["seventh"]);
}

/// RFC 3758 §3.6, of a skipped TSN that does arrive: "the receiver will drop the chunk and report it as a duplicate in
/// the next outbound SACK chunk."
#[test]
fn item_259_a_skipped_tsn_comes_late() {
    let mut peer = begun();
    peer.exchange(&[forward_tsn(1002, &[(0, 1)])]);
    peer.run_for(secs(1));
    for (tsn, flags) in [(1001, WHOLE), (1002, WHOLE | UNORDERED), (1002, FIRST), (1001, LAST)] {
        let sack = only_sack(&peer.exchange(&[data(tsn, flags, 0, 1, b"late")]));
        assert_eq!((sack.cumulative, sack.duplicates), (1002, vec![tsn]));
    }
    assert_eq!(peer.user_reads(0), Vec::<Vec<u8>>::new());
    assert_eq!(peer.engine.stats().local_rwnd, WINDOW);
}

/// RFC 3758 §3.2: a TSN of 4 bytes, then entries of 4 bytes each; any other length cannot be read, and is dropped.
#[test]
fn item_260_forward_tsn_of_impossible_length() {
    let mut peer = begun();
    let value = forward_tsn(1005, &[(0, 5), (1, 5)]).value;
    for len in (0..value.len()).filter(|len| *len < 4 || len % 4 != 0) {
        peer.assert_chunks_ignored(&[Chunk::new(FORWARD_TSN, 0, &value[..len])]);
    }
    // One that says it is longer than the packet.
    let mut bytes = forward_tsn(1005, &[(0, 5)]).padded_with(0);
    for len in [13, 16, 255] {
        bytes[3] = len;
        peer.assert_ignored(&packet_of(PORT, PORT, peer.engine_tag, &bytes));
    }
    assert_eq!(acknowledged(&mut peer, ordered(1001, 0, 1, b"second")), (1001, vec![]));
}

/// RFC 9260 §9.2: in SHUTDOWN-SENT DATA is answered by SHUTDOWN with the new cumulative TSN; RFC 3758 §3.6: a FORWARD TSN
/// is acknowledged by the same rules.
#[test]
fn item_261_forward_tsn_in_shutdown_sent() {
    let mut peer = begun();
    peer.engine.shutdown(peer.now);
    assert_eq!(chunks(&peer.replies()), [shutdown(1000)]);
    peer.now += ms(100);
    let replies = peer.exchange(&[forward_tsn(1001, &[(0, 1)])]);
    assert_eq!(of_kind(&replies, SHUTDOWN), [shutdown(1001)]);
    assert_eq!(kinds(&peer.exchange(&[bare(SHUTDOWN_ACK)])), [[SHUTDOWN_COMPLETE]]);
}

/// RFC 3758 §3.6: "a notification SHOULD also be generated to inform the upper layer API that the message being partially
/// delivered will NOT be completed."
#[test]
fn item_256_a_message_that_is_being_read() {
    let mut peer = begun();
    peer.exchange(&[data(1001, FIRST | IMMEDIATE, 0, 1, &[9; 1000])]);
    let part = peer.engine.recv_part(peer.now, StreamId(0)).unwrap();
    assert_eq!((part.data.len(), part.last, part.abandoned), (1000, false, false));
    assert_eq!(peer.engine.recv_part(peer.now, StreamId(0)), None);
    peer.drain_events();
    peer.exchange(&[forward_tsn(1002, &[(0, 1)])]);
    assert_eq!(peer.drain_events(), [Event::Readable(StreamId(0))]);
    let end = peer.engine.recv_part(peer.now, StreamId(0)).unwrap();
    assert_eq!((end.data.len(), end.abandoned), (0, true));
    peer.exchange(&[ordered(1003, 0, 2, b"next")]);
    assert_eq!(peer.user_reads(0), ["next"]);
    assert_eq!(peer.engine.stats().local_rwnd, WINDOW);
}
