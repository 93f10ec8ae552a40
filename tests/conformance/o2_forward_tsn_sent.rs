//! Abandoned messages and the FORWARD TSN sent for them (RFC 3758 §3.5).

use crate::raw_extensions::*;
use crate::raw_sctp::*;
use bytes::Bytes;
use std::time::Duration;
use straits_sctp::{CloseReason, Config, Event, Ppid, Reliability, State, StreamId};

const ONCE: Reliability = Reliability::MaxRetransmits(0);
/// Payload of a DATA chunk that fills a packet: 1191 bytes less both headers, in whole words.
const FULL: usize = 1160;
const RTO: Duration = Duration::from_millis(500);

/// Without heartbeats, so that all timers of a sender are T3's.
fn quiet() -> Config {
    Config::default().heartbeat_interval(Duration::ZERO)
}

fn established() -> RawPeer {
    RawPeer::passive_with(quiet(), PARTIAL)
}

/// RFC 3758 §3.5 A3: "all other TSN's within that fragmented message MUST be abandoned at the same time".
#[test]
fn item_245_all_fragments_are_abandoned() {
    let mut peer = established();
    peer.user_sends_limited(0, &[1; 6 * FULL], true, ONCE);
    assert_eq!(Data::all(&peer.replies()).len(), 6);
    // The second fragment is lost; nothing is known of the last one.
    for end in [2, 3] {
        let sack = peer.sack(1, &[(2, end)]);
        assert_eq!(peer.exchange(&[sack]), []);
    }
    let sack = peer.sack(1, &[(2, 4)]);
    let replies = peer.exchange(&[sack]);
    assert_eq!(kinds(&replies), [[FORWARD_TSN]]);
    assert_eq!(replies[0].chunks, [forward_tsn(peer.nth(5), &[(0, 0)])]);
    assert_eq!(peer.engine.stats().bytes_in_flight, 0);
    assert_eq!(peer.engine.stats().retransmissions, 0);
}

/// The same for one fragment that was repeated as often as it may be, while others were never repeated.
#[test]
fn item_245_the_most_repeated_fragment_counts() {
    let mut peer = established();
    peer.user_sends_limited(0, &[1; 6 * FULL], true, Reliability::MaxRetransmits(1));
    peer.replies();
    let sacks = [2, 3, 4].map(|end| peer.sack(1, &[(2, end)]));
    let again: Vec<Packet> = sacks.into_iter().flat_map(|sack| peer.exchange(&[sack])).collect();
    assert_eq!(Data::all(&again).iter().map(|data| data.tsn).collect::<Vec<_>>(), [peer.nth(1)]);
    let sent = peer.run_for(peer.engine.poll_timeout().unwrap() - peer.now);
    assert_eq!(sent.len(), 1);
    assert_eq!(sent[0].1.chunks, [forward_tsn(peer.nth(5), &[(0, 0)])]);
}

/// RFC 3758 §3.5 A3 for fragments that were not sent yet: they never are. What the peer holds of the message needs an
/// end to be skipped to: a TSN for it is passed over by FORWARD TSN, and was never on the wire.
#[test]
fn item_246_a_message_sent_in_part_is_skipped_to_its_end() {
    for ordered in [true, false] {
        let mut peer = established();
        peer.user_sends_limited(0, &[1; 100_000], ordered, ONCE);
        let fragments = Data::all(&peer.replies());
        let count = fragments.len();
        assert!((2..80).contains(&count) && fragments.iter().all(|data| data.flags & LAST == 0));
        assert_ne!(peer.engine.buffered_amount(StreamId(0)), 0);

        let sent = peer.run_for(RTO);
        assert_eq!(sent.len(), 1);
        let entries: &[(u16, u16)] = if ordered { &[(0, 0)] } else { &[] };
        assert_eq!(sent[0].1.chunks, [forward_tsn(peer.nth(count), entries)]);
        assert_eq!(peer.engine.buffered_amount(StreamId(0)), 0);
        assert_eq!(peer.engine.stats().bytes_in_flight, 0);

        peer.user_sends(0, b"next");
        let sack = peer.sack(count + 1, &[]);
        let next = Data::all(&peer.exchange(&[sack]));
        let (tsn, ssn) = (peer.nth(count + 1), u16::from(ordered));
        assert_eq!(next, [Data { flags: WHOLE, tsn, stream: 0, ssn, payload: b"next".to_vec() }]);
    }
}

/// The same when all that was sent has arrived, and the lifetime ends before the rest could be sent.
#[test]
fn item_246_all_fragments_sent_have_arrived() {
    let mut peer = established();
    let window = Sack { window: 3000, ..Sack::new(peer.engine_tsn.wrapping_sub(1)) };
    peer.send(&[window.chunk()]);
    peer.user_sends_limited(3, &[1; 10_000], true, Reliability::MaxLifetime(ms(100)));
    let count = Data::all(&peer.replies()).len();
    assert!((1..4).contains(&count));
    peer.now += ms(101);
    let sack = peer.sack(count, &[]);
    let sent = peer.exchange_within(ms(200), &[sack]);
    assert_eq!(chunks(&sent), [forward_tsn(peer.nth(count), &[(3, 0)])]);
    assert_ne!(peer.engine.poll_timeout(), None, "T3 runs");
}

/// A message that was sent whole has its end already: no TSN is wasted on it (RFC 3758 §3.5 F1).
#[test]
fn item_246_a_message_sent_whole_needs_no_end() {
    let mut peer = established();
    peer.user_sends_limited(0, &[1; 3 * FULL], true, ONCE);
    assert_eq!(Data::all(&peer.replies()).len(), 3);
    let sent = peer.run_for(RTO);
    assert_eq!(sent[0].1.chunks, [forward_tsn(peer.nth(2), &[(0, 0)])]);
    peer.user_sends(0, b"next");
    let sack = peer.sack(3, &[]);
    let next = Data::all(&peer.exchange(&[sack]));
    assert_eq!(next.iter().map(|data| (data.tsn, data.ssn)).collect::<Vec<_>>(), [(peer.nth(3), 1)]);
}

/// What the user still adds to a message that was given up goes nowhere, up to its last part.
#[test]
fn item_246_parts_of_an_abandoned_message() {
    let mut peer = established();
    let send = |peer: &mut RawPeer, part: &'static [u8], last| {
        let part = Bytes::from_static(part);
        peer.engine.send_part(peer.now, StreamId(0), Ppid::BINARY, part, last, true, ONCE).unwrap();
    };
    send(&mut peer, &[1; 2 * FULL], false);
    let count = Data::all(&peer.replies()).len();
    assert!((1..=2).contains(&count));
    let sent = peer.run_for(RTO);
    assert_eq!(sent[0].1.chunks, [forward_tsn(peer.nth(count), &[(0, 0)])]);
    let sack = peer.sack(count + 1, &[]);
    assert_eq!(peer.exchange(&[sack]), []);
    send(&mut peer, b"more", false);
    send(&mut peer, b"the rest", true);
    assert_eq!(peer.replies(), []);
    assert_eq!(peer.engine.buffered_amount(StreamId(0)), 0);
    send(&mut peer, b"next", true);
    let next = Data::all(&peer.replies());
    let tsn = peer.nth(count + 1);
    assert_eq!(next, [Data { flags: WHOLE, tsn, stream: 0, ssn: 1, payload: b"next".to_vec() }]);
}

/// RFC 3758 §3.5 C2, its example: 102 acknowledged, 103 and 104 abandoned, 105 missing, 106 there: on to 104. F2:
/// "SHOULD always attempt to bundle an outgoing FORWARD TSN with outbound DATA chunks".
#[test]
fn item_247_advanced_peer_ack_point() {
    let mut peer = established();
    peer.user_sends(1, b"102");
    peer.replies();
    peer.user_sends_limited(0, b"103", true, ONCE);
    peer.user_sends_limited(0, b"104", true, ONCE);
    peer.replies();
    (0..4).for_each(|_| peer.user_sends(1, b"105 to 108"));
    peer.replies();
    for end in [4, 5] {
        let sack = peer.sack(1, &[(4, end)]);
        assert_eq!(peer.exchange(&[sack]), []);
    }
    let sack = peer.sack(1, &[(4, 6)]);
    let replies = peer.exchange(&[sack]);
    assert_eq!(kinds(&replies), [[FORWARD_TSN, DATA]]);
    assert_eq!(replies[0].chunks[0], forward_tsn(peer.nth(2), &[(0, 1)]));
    assert_eq!(replies[0].chunks[1].tsn(), peer.nth(3));
    // All of it is there.
    let sack = peer.sack(7, &[]);
    assert_eq!(peer.exchange(&[sack]), []);
    assert_eq!(peer.engine.poll_timeout(), None);
}

/// RFC 3758 §3.5 C3: sent if "the "Advanced.Peer.Ack.Point" is greater than the Cumulative TSN ACK carried in the
/// received SACK"; not before, when something that must arrive is missing below.
#[test]
fn item_247_nothing_to_skip_yet() {
    let mut peer = established();
    peer.user_sends(1, b"must arrive");
    peer.user_sends_limited(0, b"lost", true, ONCE);
    (0..3).for_each(|_| peer.user_sends(1, b"kept"));
    peer.replies();
    let sacks = [3, 4, 5].map(|end| peer.sack(0, &[(3, end)]));
    let replies: Vec<Packet> = sacks.into_iter().flat_map(|sack| peer.exchange(&[sack])).collect();
    assert_eq!(kinds(&replies), [[DATA]]);
    assert_eq!(replies[0].chunks[0].tsn(), peer.nth(0));
    let sack = peer.sack(1, &[(2, 4)]);
    let replies = peer.exchange_within(ms(200), &[sack]);
    peer.assert_forward(&replies, 1, 4, &[(0, 0)]);
}

/// RFC 3758 §3.2: "MUST NOT report TSN's corresponding to DATA chunks that are marked as unordered"; §3.5 C4: "only the
/// highest abandoned stream sequence number is reported".
#[test]
fn item_248_streams_of_a_forward_tsn() {
    let mut peer = established();
    for (stream, ordered) in [(5, true), (7, false), (3, true), (5, true), (5, false), (7, false), (5, true)]
    {
        peer.user_sends_limited(stream, b"lost", ordered, ONCE);
    }
    assert_eq!(Data::all(&peer.replies()).len(), 7);
    let sent = peer.run_for(RTO);
    assert_eq!(sent.len(), 1);
    assert_eq!(sent[0].1.kinds(), [FORWARD_TSN]);
    let expected = ForwardTsn { cumulative: peer.nth(6), streams: vec![(3, 0), (5, 2)] };
    assert_eq!(ForwardTsn::parse(&sent[0].1.chunks[0]), expected);
}

/// RFC 3758 §3.5 C4: a FORWARD TSN that does not fit: "SHOULD lower the Advanced.Peer.Ack.Point to the last TSN that
/// will fit in a single MTU"; the rest follows as the peer acknowledges.
#[test]
fn item_249_forward_tsn_fits_a_packet() {
    const STREAMS: u16 = 2000;
    // 1191 bytes less the headers of packet and chunk, and the TSN, in entries of 4 bytes.
    const ENTRIES: u16 = 292;
    let mut peer = RawPeer::new(quiet().initial_window(100));
    let init = PARTIAL.iter().fold(peer.init(), |init, (kind, value)| init.with(*kind, value));
    peer.open_with(&Init { incoming: STREAMS, ..init });
    for stream in 0..STREAMS {
        peer.user_sends_limited(stream, b"x", true, ONCE);
    }
    assert_eq!(Data::all(&peer.replies()).len(), usize::from(STREAMS));

    let mut sent: Vec<Packet> = peer.run_for(RTO).into_iter().map(|(_, packet)| packet).collect();
    let mut skipped = 0;
    while skipped < STREAMS {
        let until = STREAMS.min(skipped + ENTRIES);
        assert_eq!(kinds(&sent), [[FORWARD_TSN]]);
        let cumulative = peer.nth(usize::from(until) - 1);
        let streams = (skipped..until).map(|stream| (stream, 0)).collect();
        assert_eq!(ForwardTsn::parse(&sent[0].chunks[0]), ForwardTsn { cumulative, streams });
        skipped = until;
        let sack = peer.sack(usize::from(until), &[]);
        sent = peer.exchange_within(ms(200), &[sack]);
    }
    assert_eq!((sent, peer.engine.poll_timeout()), (vec![], None));
}

/// RFC 3758 §3.5 C5: "If a FORWARD TSN is sent, the sender MUST assure that at least one T3-rtx timer is running"; A5:
/// when it expires, FORWARD TSN is sent again.
#[test]
fn item_250_t3_runs_for_a_forward_tsn() {
    let mut peer = established();
    peer.user_sends_limited(0, b"lost", true, ONCE);
    peer.replies();
    let forward = [forward_tsn(peer.nth(0), &[(0, 0)])];
    for (time, at) in [(500, 500), (1000, 1500), (2000, 3500)] {
        let sent = peer.run_for(ms(time));
        assert_eq!(sent.len(), 1);
        assert_eq!((sent[0].0, &sent[0].1.chunks[..]), (ms(at), &forward[..]));
    }
    assert_eq!(peer.engine.poll_timeout(), Some(peer.start + ms(7500)));
    let sack = peer.sack(1, &[]);
    assert_eq!(peer.exchange(&[sack]), []);
    assert_eq!(peer.engine.poll_timeout(), None);
}

/// RFC 3758 §3.5 C3: a SACK that comes a round trip later and does not show it: FORWARD TSN again; F3: a delay "SHOULD
/// NOT exceed 200ms".
#[test]
fn item_250_a_lost_forward_tsn_is_sent_again() {
    let mut peer = established();
    peer.user_sends(1, b"to measure the round trip");
    peer.replies();
    peer.now += ms(50);
    let sack = peer.sack(1, &[]);
    peer.send(&[sack]);
    assert_eq!(peer.engine.stats().srtt, Some(ms(50)));
    peer.user_sends_limited(0, b"lost", true, ONCE);
    peer.replies();
    let sent = peer.run_for(peer.engine.stats().rto);
    let forward = forward_tsn(peer.nth(1), &[(0, 0)]);
    assert_eq!(sent.iter().map(|(_, packet)| packet.chunks.clone()).collect::<Vec<_>>(), [[forward.clone()]]);
    for _ in 0..3 {
        peer.now += ms(60);
        let sack = peer.sack(1, &[]);
        let again = peer.exchange_within(ms(200), &[sack]);
        assert_eq!(chunks(&again), std::slice::from_ref(&forward));
    }
}

/// RFC 3758 §3.5 F5: "the appropriate congestion adjustment MUST be made": as if it were sent again.
#[test]
fn item_251_abandoned_losses_are_losses() {
    let after = |reliability| {
        let mut fast = established();
        let initial = fast.engine.stats().cwnd;
        fast.gap_reports(reliability);
        let mut timer = established();
        timer.user_sends_limited(0, b"lost", true, reliability);
        timer.replies();
        timer.run_for(RTO);
        [&fast, &timer].map(|peer| (initial, peer.engine.stats().cwnd, peer.engine.stats().rto))
    };
    let [fast, timer] = after(ONCE);
    assert_eq!([fast, timer], after(Reliability::Reliable));
    assert_eq!(fast.1, fast.0 / 2);
    assert!(timer.1 <= 1191 && timer.2 == 2 * RTO, "{timer:?}");
}

/// RFC 3758 §3.5 A2: "MUST treat the data chunk as being finally acked and no longer outstanding", and "MUST NOT advance
/// the cwnd based on this "abandoned" data chunk."
#[test]
fn item_196_abandoned_chunks_do_not_grow_cwnd() {
    let mut peer = established();
    peer.user_sends_limited(0, &[1; 100_000], true, ONCE);
    let count = peer.replies().len();
    let full = peer.engine.stats();
    assert!(full.bytes_in_flight + FULL > full.cwnd, "the window is used");
    peer.run_for(RTO);
    let collapsed = peer.engine.stats();
    assert_eq!(collapsed.bytes_in_flight, 0);
    assert!(collapsed.cwnd < full.cwnd / 4);
    // In slow start what is acknowledged grows the window; what is skipped does not.
    let sack = peer.sack(count + 1, &[]);
    peer.send(&[sack]);
    assert_eq!(peer.engine.stats().cwnd, collapsed.cwnd);
    peer.user_sends(0, &[1; 10 * FULL]);
    let sent = Data::all(&peer.replies()).len();
    assert!(sent > 0);
    let sack = peer.sack(count + 1 + sent, &[]);
    peer.send(&[sack]);
    assert!(peer.engine.stats().cwnd > collapsed.cwnd);
}

/// RFC 9260 §9.2 waits until nothing is outstanding, and RFC 3758 §3.5 A2 has abandoned data be no longer outstanding.
#[test]
fn item_261_shutdown_with_abandoned_data() {
    let mut peer = established();
    peer.user_sends_limited(0, b"lost", true, ONCE);
    peer.replies();
    peer.engine.shutdown(peer.now);
    assert_eq!((peer.replies(), peer.engine.state()), (vec![], State::ShutdownPending));
    let mut sent: Vec<Packet> = peer.run_for(RTO).into_iter().map(|(_, packet)| packet).collect();
    assert_eq!(sent[0].chunks[0], forward_tsn(peer.nth(0), &[(0, 0)]));
    let sack = peer.sack(1, &[]);
    sent.extend(peer.exchange(&[sack]));
    assert_eq!(of_kind(&sent, SHUTDOWN), [shutdown(peer.tsn.wrapping_sub(1))]);
    assert_eq!(of_kind(&sent, DATA), []);
    assert_eq!(peer.engine.state(), State::ShutdownSent);
    assert_eq!(kinds(&peer.exchange(&[bare(SHUTDOWN_ACK)])), [[SHUTDOWN_COMPLETE]]);
    assert_eq!(peer.drain_events().last(), Some(&Event::Closed(CloseReason::LocalShutdown)));
}

/// The same when the peer shuts down.
#[test]
fn item_261_the_peer_shuts_down() {
    let mut peer = established();
    peer.user_sends_limited(0, b"lost", true, ONCE);
    peer.replies();
    assert_eq!(peer.exchange(&[shutdown(peer.nth(0).wrapping_sub(1))]), []);
    assert_eq!(peer.engine.state(), State::ShutdownReceived);
    let mut sent: Vec<Packet> = peer.run_for(RTO).into_iter().map(|(_, packet)| packet).collect();
    assert_eq!(sent[0].chunks[0], forward_tsn(peer.nth(0), &[(0, 0)]));
    sent.extend(peer.exchange(&[shutdown(peer.nth(0))]));
    assert_eq!((peer.engine.state(), of_kind(&sent, DATA)), (State::ShutdownAckSent, vec![]));
    assert_ne!(of_kind(&sent, SHUTDOWN_ACK), []);
    assert_eq!(peer.exchange(&[bare(SHUTDOWN_COMPLETE)]), []);
    assert_eq!(peer.drain_events().last(), Some(&Event::Closed(CloseReason::RemoteShutdown)));
}
