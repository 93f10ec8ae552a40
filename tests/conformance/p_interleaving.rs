//! I-DATA and I-FORWARD-TSN (RFC 8260 §2).

use crate::raw_extensions::*;
use crate::raw_sctp::*;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use straits_sctp::{CloseReason, Config, Event, Reliability, State, StreamId};

const ONCE: Reliability = Reliability::MaxRetransmits(0);
/// Payload of an I-DATA chunk that fills a packet: 1191 bytes less 12 and 20 of headers, in whole words.
const FULL: usize = 1156;
const WINDOW: usize = 20_000;
const BINARY: u32 = 53;

fn quiet() -> Config {
    Config::default().heartbeat_interval(Duration::ZERO).receive_window(WINDOW)
}

fn interleaved() -> RawPeer {
    RawPeer::passive_with(quiet(), INTERLEAVED)
}

/// Sends all that is queued to a peer that acknowledges every packet.
fn drain(peer: &mut RawPeer) -> Vec<IData> {
    let mut sent = Vec::new();
    let mut replies = peer.replies();
    while !replies.is_empty() {
        sent.extend(IData::all(&replies));
        let sack = peer.sack(sent.len(), &[]);
        replies = peer.exchange(&[sack]);
    }
    assert!(sent.iter().enumerate().all(|(n, data)| data.tsn == peer.nth(n)));
    sent
}

/// Fragments of a message of the peer, one byte each.
fn fragments(flags: u8, stream: u16, mid: u32, payload: &[u8]) -> Vec<(u8, u16, u32, u32, u8)> {
    let last = payload.len() - 1;
    let fragment = |n: usize| {
        let begins = if n == 0 { FIRST } else { 0 };
        let ends = if n == last { LAST } else { 0 };
        let ppid_or_fsn = if n == 0 { BINARY } else { n as u32 };
        (flags | begins | ends, stream, mid, ppid_or_fsn, payload[n])
    };
    (0..payload.len()).map(fragment).collect()
}

/// All orders of `0..count`.
fn orders(count: usize) -> Vec<Vec<usize>> {
    if count == 0 {
        return vec![vec![]];
    }
    let shorter = orders(count - 1);
    let insert = |order: &Vec<usize>, at: usize| {
        let mut order = order.clone();
        order.insert(at, count - 1);
        order
    };
    shorter.iter().flat_map(|order| (0..count).map(move |at| insert(order, at))).collect()
}

/// RFC 8260 §2.2.1: "negotiated for an association if both endpoints have indicated I-DATA support"; then "I-DATA chunks
/// MUST be used for all user messages", else DATA.
#[test]
fn item_262_negotiated_by_the_peers_list() {
    let peers: [(Parameters<'_>, u8, u8); 6] = [
        (&[], DATA, DATA),
        (PARTIAL, DATA, FORWARD_TSN),
        (&[(SUPPORTED_EXTENSIONS, &[FORWARD_TSN, I_FORWARD_TSN])], DATA, FORWARD_TSN),
        (&[(SUPPORTED_EXTENSIONS, &[I_DATA])], I_DATA, I_DATA),
        (&[(SUPPORTED_EXTENSIONS, &[I_DATA, I_FORWARD_TSN, FORWARD_TSN])], I_DATA, I_FORWARD_TSN),
        (INTERLEAVED, I_DATA, I_FORWARD_TSN),
    ];
    for (parameters, kind, at_the_limit) in peers {
        for constructor in [RawPeer::passive_with, RawPeer::active_with] {
            let mut peer = constructor(quiet(), parameters);
            peer.user_sends_limited(0, b"once", true, ONCE);
            assert_eq!(kinds(&peer.replies()), [[kind]], "{parameters:?}");
            let sent = peer.run_for(ms(500));
            assert_eq!(sent.len(), 1);
            assert_eq!(sent[0].1.kinds(), [at_the_limit], "{parameters:?}");
        }
    }
}

/// Requires that the chunk ends the association by an ABORT with cause 13, and that nothing of it is delivered.
#[track_caller]
fn assert_violation(mut peer: RawPeer, chunk: Chunk) {
    peer.drain_events();
    let replies = peer.exchange(&[chunk]);
    assert_eq!(kinds(&replies), [[ABORT]]);
    let causes = split(&replies[0].chunks[0].value);
    assert_eq!((causes.len(), causes[0].0), (1, 13));
    let text = std::str::from_utf8(&causes[0].1).unwrap();
    assert!((5..=80).contains(&text.len()), "{text}");
    let events = peer.drain_events();
    assert!(
        matches!(events[..], [Event::Closed(CloseReason::RemoteViolation(what))] if what == text),
        "{events:?}"
    );
    assert_eq!(peer.user_reads(0), Vec::<Vec<u8>>::new());
}

/// RFC 8260 §2.2.3: "the receiver of the DATA chunk MUST abort the association"; "The same applies if I-DATA support has
/// not been negotiated for an association and an I-DATA chunk is received." §2.3.1 says so of FORWARD-TSN with I-DATA,
/// whether or not I-FORWARD-TSN was negotiated; and I-FORWARD-TSN "MUST NOT be used in combination with the DATA chunk".
#[test]
fn item_263_the_wrong_kind() {
    let (whole, i_whole) = (data(1000, WHOLE, 0, 0, b"x"), i_data(1000, WHOLE, 0, 0, BINARY, b"x"));
    assert_violation(interleaved(), whole);
    assert_violation(interleaved(), forward_tsn(1000, &[(0, 0)]));
    let without_i_forward_tsn: Parameters<'_> = &[(SUPPORTED_EXTENSIONS, &[FORWARD_TSN, I_DATA])];
    assert_violation(RawPeer::passive_with(quiet(), without_i_forward_tsn), forward_tsn(1000, &[(0, 0)]));
    for parameters in [PARTIAL, &[]] {
        let without = || RawPeer::passive_with(quiet(), parameters);
        assert_violation(without(), i_whole.clone());
        assert_violation(without(), i_forward_tsn(1000, &[(0, false, 0)]));
    }
    // The right kinds.
    for (parameters, whole, forward) in [
        (PARTIAL, data(1000, WHOLE, 0, 0, b"x"), forward_tsn(1001, &[(0, 1)])),
        (INTERLEAVED, i_whole, i_forward_tsn(1001, &[(0, false, 1)])),
    ] {
        let mut peer = RawPeer::passive_with(quiet(), parameters);
        assert_eq!(kinds(&peer.exchange(&[whole, forward])), [[SACK]]);
        assert_eq!(peer.user_reads(0), ["x"]);
        assert_eq!(peer.engine.state(), State::Established);
    }
}

/// RFC 8260 §2.1: "The length of the I-DATA chunk header is 20 bytes": what fits a packet, and what counts in flight.
#[test]
fn item_264_header_size() {
    for (len, payloads) in [
        (1, vec![1]),
        (FULL - 1, vec![FULL - 1]),
        (FULL, vec![FULL]),
        (FULL + 1, vec![FULL, 1]),
        (3 * FULL, vec![FULL; 3]),
    ] {
        let mut peer = interleaved();
        peer.user_sends(0, &vec![7; len]);
        let packets = peer.replies();
        let data = IData::all(&packets);
        assert_eq!(data.iter().map(|data| data.payload.len()).collect::<Vec<_>>(), payloads);
        let expected: usize = payloads.iter().map(|len| 20 + len.next_multiple_of(4)).sum();
        assert_eq!(peer.engine.stats().bytes_in_flight, expected);
        assert_eq!(packets.iter().map(|packet| packet.len - 12).sum::<usize>(), expected);
    }
}

/// RFC 8260 §2.1: "The sender uses two counters for each outgoing stream: one for ordered messages and one for unordered
/// messages. All of these counters are independent and initially 0." The FSN takes the place of the PPID behind the first
/// fragment, "starting from 0 and incremented by 1".
#[test]
fn item_265_mid_and_fsn() {
    let mut peer = interleaved();
    let messages = [(1, true), (1, false), (2, true), (1, true), (1, false), (1, true)];
    let mut counters = BTreeMap::new();
    let mut expected = Vec::new();
    let mut sent = Vec::new();
    for (stream, ordered) in messages {
        peer.user_sends_limited(stream, &[8; 2 * FULL + 10], ordered, Reliability::Reliable);
        sent.extend(IData::all(&peer.replies()));
        let sack = peer.sack(sent.len(), &[]);
        peer.send(&[sack]);
        let mid = counters.entry((stream, ordered)).or_insert(0_u32);
        let unordered = if ordered { 0 } else { UNORDERED };
        for (flags, ppid_or_fsn) in [(FIRST, BINARY), (0, 1), (LAST, 2)] {
            expected.push((stream, flags | unordered, *mid, ppid_or_fsn));
        }
        *mid += 1;
    }
    let seen: Vec<_> =
        sent.iter().map(|data| (data.stream, data.flags, data.mid, data.ppid_or_fsn)).collect();
    assert_eq!(seen, expected);
}

/// RFC 8260 §2.2.3: "MUST first use the SID to identify the stream, consider the U bit to determine if it is part of an
/// ordered or unordered message, find the user message identified by the MID, and use the FSN for reassembly of the
/// message and not the TSN. The receiver MUST NOT make any assumption about the TSN assignments of the sender."
#[test]
fn item_266_reassembly_in_any_order() {
    let mut peer = interleaved();
    let all = orders(6);
    assert_eq!(all.len(), 720);
    for (n, order) in (0..).zip(&all) {
        // The same MID on the same stream, ordered and unordered; and all orders of TSNs in rising and falling order.
        let two = [fragments(0, 1, n, b"abc"), fragments(UNORDERED, 1, n, b"xyz")].concat();
        let mut chunks: Vec<Chunk> = Vec::new();
        for at in order {
            let (flags, stream, mid, ppid_or_fsn, byte) = two[*at];
            chunks.push(i_data(peer.tsn, flags, stream, mid, ppid_or_fsn, &[byte]));
            peer.tsn += 1;
        }
        if n % 2 == 1 {
            chunks.reverse();
        }
        chunks.iter().for_each(|chunk| peer.send(std::slice::from_ref(chunk)));
        let mut messages = peer.user_reads(1);
        messages.sort();
        assert_eq!(messages, ["abc", "xyz"], "{order:?}");
    }
    assert_eq!(peer.engine.stats().local_rwnd, WINDOW);
}

/// RFC 8260 §2.1: the MID is "used by the SCTP receiver to deliver the user messages in the correct order", whatever the
/// order in which the fragments of two messages arrive.
#[test]
fn item_266_ordered_messages_in_any_order() {
    let mut peer = interleaved();
    for (n, order) in (0..).zip(orders(6)) {
        let two = [fragments(0, 1, 2 * n, b"abc"), fragments(0, 1, 2 * n + 1, b"def")].concat();
        for at in order {
            let (flags, stream, mid, ppid_or_fsn, byte) = two[at];
            let tsn = peer.tsn + at as u32;
            peer.send(&[i_data(tsn, flags, stream, mid, ppid_or_fsn, &[byte])]);
        }
        peer.tsn += 6;
        assert_eq!(peer.user_reads(1), ["abc", "def"]);
    }
    assert_eq!(peer.engine.stats().local_rwnd, WINDOW);
}

/// RFC 8260 §2.1 numbers fragments "starting from 0 and incremented by 1" up to the one with the E bit: a second fragment
/// of a number, one behind the end, or a second end make no other message of what is "abc".
#[test]
fn item_267_inconsistent_fragments() {
    let (a, b, c) = ((FIRST, BINARY, b"a"), (0, 1, b"b"), (LAST, 2, b"c"));
    let cases: [&[(u8, u32, &[u8; 1])]; 9] = [
        // A number twice: in the middle, the first, the last one.
        &[a, b, (0, 1, b"X"), c],
        &[b, (0, 1, b"X"), c, a],
        &[a, (FIRST, BINARY, b"X"), b, c],
        &[a, (0, 0, b"X"), b, c],
        &[b, c, (LAST, 2, b"X"), a],
        // Behind the end.
        &[c, (0, 3, b"X"), a, b],
        &[(0, 3, b"X"), c, a, b],
        // Another end.
        &[c, (LAST, 1, b"X"), a, b],
        &[c, (LAST, 7, b"X"), a, b],
    ];
    for (case, ordering) in cases.iter().flat_map(|case| [(case, 0), (case, UNORDERED)]) {
        let mut peer = interleaved();
        let mut replies = Vec::new();
        for (tsn, (flags, ppid_or_fsn, byte)) in (1000..).zip(*case) {
            if peer.engine.state() != State::Established {
                break;
            }
            replies.extend(peer.exchange(&[i_data(tsn, flags | ordering, 0, 0, *ppid_or_fsn, *byte)]));
        }
        let messages = peer.user_reads(0);
        if peer.engine.state() == State::Established {
            assert_eq!(messages, ["abc"], "{case:?}");
            assert_eq!(peer.engine.stats().local_rwnd, WINDOW, "{case:?}");
        } else {
            assert_eq!(messages, Vec::<Vec<u8>>::new(), "{case:?}");
            let abort = of_kind(&replies, ABORT);
            assert_eq!((abort.len(), split(&abort[0].value)[0].0), (1, 13), "{case:?}");
        }
    }
}

/// RFC 8260 §2.2.2: "The sender MUST NOT process (move user data into I-DATA chunks and assign a TSN to it) more than one
/// user message in any given stream at any time."
#[test]
fn item_268_one_message_of_a_stream_at_a_time() {
    let mut peer = interleaved();
    for ordered in [true, false, true] {
        for stream in [1, 2, 3] {
            peer.user_sends_limited(stream, &[5; 20_000], ordered, Reliability::Reliable);
        }
    }
    let mut open = BTreeMap::new();
    let mut most_open = 0;
    let mut bytes = 0;
    for data in drain(&mut peer) {
        let message = (data.flags & UNORDERED, data.mid);
        if data.flags & FIRST != 0 {
            assert_eq!(open.insert(data.stream, message), None);
        }
        most_open = most_open.max(open.len());
        assert_eq!(open.get(&data.stream), Some(&message));
        if data.flags & LAST != 0 {
            open.remove(&data.stream);
        }
        bytes += data.payload.len();
    }
    assert_eq!((open.len(), bytes), (0, 9 * 20_000));
    assert_eq!(most_open, 3, "messages of different streams are interleaved");
}

/// RFC 8260 §2.3.1: an entry "holds the largest Message Identifier for ordered or unordered messages indicated by the U bit
/// that was skipped for the stream".
#[test]
fn item_269_i_forward_tsn_received() {
    let mut peer = interleaved();
    // Missing: ordered MID 0 (1000, 1001 in part), unordered MID 0 in part; ordered MID 1 and unordered MID 1 are there.
    peer.send(&[i_data(1000, FIRST, 3, 0, BINARY, &[1; 1000])]);
    peer.send(&[i_data(1002, FIRST | UNORDERED, 3, 0, BINARY, &[1; 1000])]);
    peer.send(&[i_data(1004, WHOLE, 3, 1, BINARY, b"ordered")]);
    peer.send(&[i_data(1005, WHOLE | UNORDERED, 3, 1, BINARY, b"unordered")]);
    peer.replies();
    assert_eq!(peer.user_reads(3), ["unordered"]);
    let mut forward = i_forward_tsn(1003, &[(3, false, 0), (3, true, 0)]);
    // RFC 8260 §2.3.1: reserved bits "MUST be ignored by the receiver", and the flags.
    forward.flags = 0xFF;
    forward.value[6..8].copy_from_slice(&0xFFFE_u16.to_be_bytes());
    let sack = only_sack(&peer.exchange_within(ms(200), &[forward]));
    assert_eq!((sack.cumulative, sack.gaps), (1005, vec![]));
    assert_eq!(peer.user_reads(3), ["ordered"]);
    assert_eq!(peer.engine.stats().local_rwnd, WINDOW);
    // Fragments of what was skipped that were not on their way yet are nothing any more.
    peer.send(&[i_data(1006, LAST, 3, 0, 1, b"late")]);
    peer.send(&[i_data(1007, LAST | UNORDERED, 3, 0, 1, b"late")]);
    assert_eq!(peer.user_reads(3), Vec::<Vec<u8>>::new());
    assert_eq!((peer.engine.stats().local_rwnd, peer.engine.state()), (WINDOW, State::Established));
    peer.send(&[i_data(1008, WHOLE, 3, 2, BINARY, b"next")]);
    peer.send(&[i_data(1009, WHOLE | UNORDERED, 3, 2, BINARY, b"next")]);
    assert_eq!(peer.user_reads(3), ["next", "next"]);
}

/// RFC 8260 §2.3.1: of several entries for a stream the largest MID counts; the other ordering is left as it is.
#[test]
fn item_269_entries_for_the_same_stream() {
    let mut peer = interleaved();
    for (tsn, mid, payload) in [(1003, 3, b"3"), (1005, 5, b"5"), (1006, 6, b"6")] {
        peer.send(&[i_data(tsn, WHOLE, 3, mid, BINARY, payload)]);
    }
    peer.send(&[i_data(1007, FIRST | UNORDERED, 3, 2, BINARY, b"a")]);
    peer.replies();
    let forward = i_forward_tsn(1004, &[(3, false, 0), (3, false, 4), (3, false, 2)]);
    assert_eq!(only_sack(&peer.exchange_within(ms(200), &[forward])).cumulative, 1007);
    assert_eq!(peer.user_reads(3), ["3", "5", "6"]);
    peer.send(&[i_data(1008, LAST | UNORDERED, 3, 2, 1, b"b")]);
    peer.send(&[i_data(1009, WHOLE, 3, 7, BINARY, b"7")]);
    assert_eq!(peer.user_reads(3), ["ab", "7"]);
}

/// RFC 8260 §2.3.1: entries have 8 bytes; any other length cannot be read, and is dropped. Streams that do not exist are
/// passed over. RFC 3758 §3.6: one that is not ahead is answered and not believed.
#[test]
fn item_269_i_forward_tsn_that_skips_nothing() {
    let mut peer = RawPeer::passive_with(quiet().incoming_streams(10), INTERLEAVED);
    peer.exchange(&[i_data(1000, WHOLE, 0, 0, BINARY, b"first")]);
    peer.user_reads(0);
    let value = i_forward_tsn(1005, &[(0, false, 5), (1, true, 5)]).value;
    for len in (0..value.len()).filter(|len| *len < 4 || (len - 4) % 8 != 0) {
        peer.assert_chunks_ignored(&[Chunk::new(I_FORWARD_TSN, 0, &value[..len])]);
    }
    for cumulative in [1000, 999, 0] {
        let stale = i_forward_tsn(cumulative, &[(0, false, 5), (0, true, 5)]);
        assert_eq!(only_sack(&peer.exchange(&[stale])).cumulative, 1000);
    }
    let held = format!("{:?}", peer.engine).len();
    let unknown: Vec<(u16, bool, u32)> = (10..150).map(|stream| (stream, stream % 2 == 0, 7)).collect();
    peer.exchange(&[i_forward_tsn(1001, &unknown)]);
    assert!(format!("{:?}", peer.engine).len() < held + 256);
    peer.exchange(&[i_data(1002, WHOLE, 0, 1, BINARY, b"second")]);
    assert_eq!(peer.user_reads(0), ["second"]);
}

/// RFC 8260 §2.3.1: "the principle applied to ordered messages when using FORWARD-TSN chunks is applied to ordered and
/// unordered messages when using I-FORWARD-TSN chunks."
#[test]
fn item_269_i_forward_tsn_sent() {
    let mut peer = interleaved();
    for (stream, ordered) in [(5, true), (7, false), (3, true), (5, true), (5, false), (7, false)] {
        peer.user_sends_limited(stream, b"lost", ordered, ONCE);
    }
    assert_eq!(IData::all(&peer.replies()).len(), 6);
    let sent = peer.run_for(ms(500));
    assert_eq!(sent.len(), 1);
    assert_eq!(sent[0].1.kinds(), [I_FORWARD_TSN]);
    let streams = vec![(3, false, 0), (5, false, 1), (5, true, 0), (7, true, 1)];
    let expected = IForwardTsn { cumulative: peer.nth(5), streams };
    assert_eq!(IForwardTsn::parse(&sent[0].1.chunks[0]), expected);
    let sack = peer.sack(6, &[]);
    assert_eq!((peer.exchange(&[sack]), peer.engine.poll_timeout()), (vec![], None));
}

/// RFC 3758 §3.5 A3 with I-DATA: a message that was sent in part is given up whole, and the next one has the next MID.
#[test]
fn item_269_a_message_sent_in_part() {
    let mut peer = interleaved();
    peer.user_sends_limited(3, &[1; 100_000], true, ONCE);
    let count = IData::all(&peer.replies()).len();
    let sent = peer.run_for(ms(500));
    assert_eq!(sent.len(), 1);
    let forward = IForwardTsn::parse(&sent[0].1.chunks[0]);
    assert_eq!(forward.streams, [(3, false, 0)]);
    // Its end has a TSN of its own or not: the MID is what ends it.
    let skipped = forward.cumulative.wrapping_sub(peer.engine_tsn) as usize + 1;
    assert!(skipped == count || skipped == count + 1, "{skipped} of {count}");
    peer.user_sends(3, b"next");
    let sack = peer.sack(skipped, &[]);
    let next = IData::all(&peer.exchange(&[sack]));
    assert_eq!(next.len(), 1);
    assert_eq!((next[0].tsn, next[0].mid, &next[0].payload[..]), (peer.nth(skipped), 1, &b"next"[..]));
}

/// RFC 8260 §2.3.2: "the two counters (one for the ordered messages, one for the unordered messages) used for the MIDs MUST
/// be reset to 0." At the sender.
#[test]
fn item_270_reset_of_outgoing_streams() {
    let mut peer = interleaved();
    let mids = |peer: &mut RawPeer, sent: usize| {
        for (stream, ordered) in [(1, true), (1, false), (2, true)] {
            peer.user_sends_limited(stream, b"x", ordered, Reliability::Reliable);
        }
        let data = IData::all(&peer.replies());
        let sack = peer.sack(sent + data.len(), &[]);
        peer.send(&[sack]);
        // Which stream comes first is the scheduler's.
        data.iter().map(|data| (data.stream, data.flags & UNORDERED != 0, data.mid)).collect::<BTreeSet<_>>()
    };
    let set = BTreeSet::from;
    assert_eq!(mids(&mut peer, 0), set([(1, false, 0), (1, true, 0), (2, false, 0)]));
    assert_eq!(mids(&mut peer, 3), set([(1, false, 1), (1, true, 1), (2, false, 1)]));
    peer.engine.reset_streams(peer.now, &[StreamId(1)]).unwrap();
    let request = of_kind(&peer.replies(), RE_CONFIG);
    assert_eq!(request, [reconfig(&[outgoing_reset(peer.nth(0), 999, peer.nth(5), &[1])])]);
    peer.send(&[reconfig(&[reconfig_response(peer.nth(0), 1)])]);
    let done = Event::OutgoingStreamsReset { streams: vec![StreamId(1)], accepted: true };
    assert!(peer.drain_events().contains(&done));
    assert_eq!(mids(&mut peer, 6), set([(1, false, 0), (1, true, 0), (2, false, 2)]));
}

/// The same at the receiver.
#[test]
fn item_270_reset_of_incoming_streams() {
    let mut peer = interleaved();
    let messages = |peer: &mut RawPeer, mids: [u32; 3]| {
        for ((stream, flags), mid) in [(1, WHOLE), (1, WHOLE | UNORDERED), (2, WHOLE)].into_iter().zip(mids) {
            peer.send(&[i_data(peer.tsn, flags, stream, mid, BINARY, b"x")]);
            peer.tsn += 1;
        }
        peer.replies();
        (peer.user_reads(1).len(), peer.user_reads(2).len())
    };
    assert_eq!(messages(&mut peer, [0, 0, 0]), (2, 1));
    assert_eq!(messages(&mut peer, [1, 1, 1]), (2, 1));
    let replies =
        peer.exchange(&[reconfig(&[outgoing_reset(1000, peer.nth(0).wrapping_sub(1), 1005, &[1])])]);
    assert_eq!(of_kind(&replies, RE_CONFIG), [reconfig(&[reconfig_response(1000, 1)])]);
    assert_eq!(messages(&mut peer, [0, 0, 2]), (2, 1));
}

/// Messages that have begun and do not end: no more than 64 of a stream, and 1024 in all, are held at a time; what is
/// beyond is not acknowledged, or ends the association.
#[test]
fn item_271_open_messages_are_bounded() {
    // Of one stream as many messages of 16 KiB as the window holds; and as many again whose first chunk came in sequence.
    for (streams, limit) in [(1, 2 * 256), (100, 2 * 1024)] {
        for ordering in [0, UNORDERED] {
            let mut peer = RawPeer::passive_with(quiet().receive_window(4 << 20), INTERLEAVED);
            let mut most = 0;
            for n in 0..2000_u32 {
                if peer.engine.state() != State::Established {
                    break;
                }
                let (stream, mid) = ((n % streams) as u16, n / streams);
                let replies = peer.exchange(&[i_data(1000 + n, FIRST | ordering, stream, mid, BINARY, b"x")]);
                for sack in of_kind(&replies, SACK) {
                    let sack = Sack::parse(&sack);
                    let beyond: u32 = sack.gaps.iter().map(|(start, end)| u32::from(end - start) + 1).sum();
                    most = most.max(sack.cumulative.wrapping_sub(999) + beyond);
                }
            }
            assert!((limit / 4..=limit).contains(&most), "{most} of {limit} on {streams} streams");
        }
    }
}

/// RFC 8260 §2.2.1: an engine that does not offer it uses DATA, whatever the peer lists.
#[test]
fn item_262_switched_off() {
    for constructor in [RawPeer::passive_with, RawPeer::active_with] {
        let mut peer = constructor(quiet().interleaving(false), INTERLEAVED);
        peer.user_sends_limited(0, b"once", true, ONCE);
        assert_eq!(kinds(&peer.replies()), [[DATA]]);
        let sent = peer.run_for(ms(500));
        assert_eq!(sent[0].1.chunks, [forward_tsn(peer.nth(0), &[(0, 0)])]);
        // §2.2.3: it knows the chunk, and it was not negotiated.
        assert_violation(peer, i_data(1000, WHOLE, 0, 0, BINARY, b"x"));
    }
    let mut peer = RawPeer::passive_with(quiet().partial_reliability(false), INTERLEAVED);
    peer.user_sends_limited(0, b"once", true, ONCE);
    assert_eq!(kinds(&peer.replies()), [[I_DATA]]);
    assert_eq!(peer.run_for(ms(500))[0].1.kinds(), [I_DATA]);
}
