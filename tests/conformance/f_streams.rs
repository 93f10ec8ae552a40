//! Streams, order and fragmentation (RFC 9260 §6.5, §6.6, §6.9).

use crate::raw_sctp::*;
use crate::sctp_pair::*;
use bytes::Bytes;
use rand::RngExt;
use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::SeedableRng;
use std::collections::BTreeSet;
use straits_sctp::{Ppid, Reliability, StreamId};

/// Payload of the largest DATA chunk in a packet of this size (RFC 9260 §6.9: less the headers of packet and chunk).
fn fragment(packet_size: usize) -> usize {
    (packet_size - 12) / 4 * 4 - 16
}

/// The engine's user sends a reliable message.
fn user_sends(peer: &mut RawPeer, stream: u16, payload: &[u8], ordered: bool) {
    let data = Bytes::copy_from_slice(payload);
    let sent =
        peer.engine.send(peer.now, StreamId(stream), Ppid::BINARY, data, ordered, Reliability::Reliable);
    sent.unwrap();
}

/// What the engine sends now, acknowledged at once, and what it sends for that, until there is no more.
fn sent_and_acknowledged(peer: &mut RawPeer) -> Vec<Chunk> {
    let mut all = Vec::new();
    let mut new = chunks(&peer.replies());
    while let Some(last) = new.last() {
        let acknowledgement = Sack::new(last.tsn()).chunk();
        all.append(&mut new);
        new = chunks(&peer.exchange(&[acknowledgement]));
    }
    all
}

/// Flags, stream and SSN of a DATA chunk; the I bit left out.
fn place(chunk: &Chunk) -> (u8, u16, u16) {
    (chunk.flags & !IMMEDIATE, be16(&chunk.value, 4), be16(&chunk.value, 6))
}

fn ppid(chunk: &Chunk) -> u32 {
    be32(&chunk.value, 8)
}

fn payload(chunk: &Chunk) -> &[u8] {
    &chunk.value[12..]
}

/// RFC 9260 §6.5: SSNs start from 0 and are "incremented by 1 for each ordered user message sent on that outgoing stream";
/// "For unordered user messages, the Stream Sequence Number MUST NOT be changed." §3.3.1: the same "in each of the fragments".
#[test]
fn item_121_stream_sequence_numbers() {
    let mut peer = RawPeer::passive(quiet());
    for (stream, len, ordered) in [
        (0, 1, true),
        (0, 3000, true),
        (7, 1, true),
        (0, 1, false),
        (0, 3000, false),
        (0, 1, true),
        (7, 2000, true),
    ] {
        user_sends(&mut peer, stream, &patterned(1, len), ordered);
    }
    let mut places = Vec::new();
    for chunk in sent_and_acknowledged(&mut peer) {
        let (flags, stream, ssn) = place(&chunk);
        places.push((stream, flags & UNORDERED != 0, (flags & UNORDERED == 0).then_some(ssn)));
    }
    places.dedup();
    let mut of_stream = |wanted| places.extract_if(.., |place| place.0 == wanted).collect::<Vec<_>>();
    let ordered = |stream, ssn| (stream, false, Some(ssn));
    assert_eq!(of_stream(0), [ordered(0, 0), ordered(0, 1), (0, true, None), ordered(0, 2)]);
    assert_eq!(of_stream(7), [ordered(7, 0), ordered(7, 1)]);
}

/// RFC 9260 §6.5: "when the Stream Sequence Number reaches the value 65535, the next Stream Sequence Number MUST be set to 0."
#[test]
fn item_121_stream_sequence_numbers_sent_wrap() {
    let mut peer = RawPeer::passive(quiet());
    let mut expected = 0_u32;
    while expected < 65_534 {
        for n in expected..65_534.min(expected + 1000) {
            user_sends(&mut peer, 3, &n.to_be_bytes(), true);
        }
        for chunk in sent_and_acknowledged(&mut peer) {
            assert_eq!(
                (place(&chunk), payload(&chunk)),
                ((WHOLE, 3, expected as u16), &expected.to_be_bytes()[..])
            );
            expected += 1;
        }
    }
    (0..4).for_each(|n| user_sends(&mut peer, 3, &patterned(n, 2000), true));
    user_sends(&mut peer, 4, b"another stream", true);
    let places = sent_and_acknowledged(&mut peer).iter().map(place).collect::<Vec<_>>();
    let mut ssns: Vec<u16> =
        places.iter().filter(|(_, stream, _)| *stream == 3).map(|(.., ssn)| *ssn).collect();
    assert!(ssns.len() >= 8, "each message is of several fragments");
    ssns.dedup();
    assert_eq!(ssns, [65_534, 65_535, 0, 1]);
    assert!(places.contains(&(WHOLE, 4, 0)), "another stream counts by itself");
}

/// The same at the receiver, where pairs of packets arrive in the wrong order.
#[test]
fn item_121_stream_sequence_numbers_received_wrap() {
    let mut peer = RawPeer::passive(quiet());
    let mut delivered = 0_u32;
    while delivered < 66_000 {
        let packet = |n: u32| {
            let numbers = n * 30..(n + 1) * 30;
            numbers.map(|n| data(1000 + n, WHOLE, 3, n as u16, &n.to_be_bytes())).collect::<Vec<_>>()
        };
        let next = delivered / 30;
        peer.send(&packet(next + 1));
        assert_eq!(peer.user_reads(3), Vec::<Bytes>::new());
        peer.exchange(&packet(next));
        for message in peer.user_reads(3) {
            assert_eq!(message, delivered.to_be_bytes()[..]);
            delivered += 1;
        }
        assert_eq!(delivered, (next + 2) * 30);
    }
}

/// RFC 9260 §6.6: "Within a stream, an endpoint MUST deliver DATA chunks received with the U flag set to 0 to the upper layer
/// according to the order of their Stream Sequence Number." No stream waits for another.
#[test]
fn item_122_order_within_a_stream() {
    let mut peer = RawPeer::passive(quiet());
    // 1000, stream 1 with SSN 0, is missing.
    for (tsn, stream, ssn, text) in
        [(1003, 2, 1, "2b"), (1001, 1, 1, "1b"), (1004, 1, 2, "1c"), (1002, 2, 0, "2a"), (1005, 2, 2, "2c")]
    {
        peer.send(&[data(tsn, WHOLE, stream, ssn, text.as_bytes())]);
    }
    assert_eq!(peer.user_reads(2), ["2a", "2b", "2c"]);
    assert_eq!(peer.user_reads(1), Vec::<Bytes>::new());
    peer.send(&[data(1000, WHOLE, 1, 0, b"1a")]);
    assert_eq!(peer.user_reads(1), ["1a", "1b", "1c"]);
}

/// The same between two engines: of two streams the one that lost a packet waits, and over a rough network the order of each
/// is kept.
#[test]
fn item_122_order_within_a_stream_between_two() {
    let mut net = Net::established(seed());
    net.a_to_b.drop_next(1);
    for stream in [1, 1, 2, 2] {
        net.a.send(stream, patterned(usize::from(stream), 1000), true);
    }
    net.run_for(ms(21));
    assert_eq!((net.b.received_on(1).len(), net.b.received_on(2).len()), (0, 2));
    net.run_until_idle();
    assert_eq!(net.b.received_on(1), [patterned(1, 1000), patterned(1, 1000)]);

    let mut net = Net::established_with(quiet(), quiet(), rough(0.1, 0.3, 0.1), seed());
    let message = |n: usize| patterned(n, 1 + n * 37 % 3000);
    for n in 0..400 {
        net.a.send((n % 4) as u16, message(n), true);
    }
    net.run_until_idle();
    for stream in 0..4 {
        let sent: Vec<Bytes> = (0..100).map(|n| message(4 * n + stream)).collect();
        assert!(net.b.received_on(stream as u16) == sent, "stream {stream}");
    }
}

/// RFC 9260 §6.6: "The 'Stream Sequence Number' field in a DATA chunk with U flag set to 1 has no significance […] the
/// receiver MUST ignore the field." Delivery is immediate, "after reassembly".
#[test]
fn item_123_unordered_messages() {
    let mut rng = ChaCha12Rng::seed_from_u64(seed());
    let mut peer = RawPeer::passive(quiet());
    // 1000, ordered with SSN 0, is missing.
    for n in 0..50_u32 {
        let tsn = 1001 + 4 * n;
        peer.send(&[data(tsn, WHOLE | UNORDERED, 0, rng.random(), b"whole")]);
        assert_eq!(peer.user_reads(0), ["whole"]);
        // Fragments of one message may differ in it.
        peer.send(&[data(tsn + 3, LAST | UNORDERED, 0, rng.random(), b"c")]);
        peer.send(&[data(tsn + 1, FIRST | UNORDERED, 0, rng.random(), b"a")]);
        assert_eq!(peer.user_reads(0), Vec::<Bytes>::new());
        peer.send(&[data(tsn + 2, UNORDERED, 0, rng.random(), b"b")]);
        assert_eq!(peer.user_reads(0), ["abc"]);
    }
    // None of them counts in the order of the others.
    peer.send(&[data(1201, WHOLE, 0, 1, b"second"), data(1000, WHOLE, 0, 0, b"first")]);
    assert_eq!(peer.user_reads(0), ["first", "second"]);
}

/// RFC 9260 §6.9: "set the B/E bits of the first DATA chunk in the series to 10, the B/E bits of the last DATA chunk in the
/// series to 01, and the B/E bits of all other DATA chunks in the series to 00"; §3.3.1: "the TSNs for each fragment of a
/// fragmented user message MUST be strictly sequential", whatever else waits.
#[test]
fn item_124_fragments() {
    let len = 3 * fragment(1191) + 10;
    let mut peer = RawPeer::passive(quiet());
    for n in 0..6 {
        user_sends(&mut peer, n % 3, &patterned(usize::from(n), len), n < 3);
    }
    let sent = sent_and_acknowledged(&mut peer);
    assert_eq!(peer.numbers(&sent), Vec::from_iter(0..sent.len() as u32));
    let mut rest = &sent[..];
    for n in 0..6_u16 {
        let end = rest.iter().position(|chunk| chunk.flags & LAST != 0).unwrap() + 1;
        let (message, behind) = rest.split_at(end);
        rest = behind;
        let unordered = if n < 3 { 0 } else { UNORDERED };
        let bits: Vec<u8> = message.iter().map(|chunk| place(chunk).0 & !UNORDERED).collect();
        let expected = [vec![FIRST], vec![0; message.len() - 2], vec![LAST]].concat();
        assert_eq!(bits, expected);
        assert!(message.iter().all(|chunk| place(chunk).0 & UNORDERED == unordered));
        assert!(message.iter().all(|chunk| (place(chunk).1, ppid(chunk)) == (n % 3, 53)));
        let joined: Vec<u8> = message.iter().flat_map(|chunk| payload(chunk).to_vec()).collect();
        assert_eq!(joined, patterned(usize::from(n), len));
    }
    assert_eq!(rest, []);
}

/// With a PPID of the test's.
fn data_with_ppid(tsn: u32, flags: u8, ppid: u32, payload: &[u8]) -> Chunk {
    let mut chunk = data(tsn, flags | UNORDERED, 0, 0, payload);
    chunk.value[8..12].copy_from_slice(&ppid.to_be_bytes());
    chunk
}

/// RFC 9260 §3.3.1: the Payload Protocol Identifier "MUST be sent even in fragmented DATA chunks", and "is not touched by an
/// SCTP implementation". A message has that of its first fragment, whichever arrives first.
#[test]
fn item_128_payload_protocol_identifier() {
    let mut peer = RawPeer::passive(quiet());
    for (n, ppid) in [0, 1, 51, 0x0102_0304, u32::MAX].into_iter().enumerate() {
        let tsn = 1000 + 4 * n as u32;
        peer.send(&[data_with_ppid(tsn, WHOLE, ppid, b"whole")]);
        peer.send(&[data_with_ppid(tsn + 3, LAST, ppid, b"c")]);
        peer.send(&[data_with_ppid(tsn + 1, FIRST, ppid, b"a"), data_with_ppid(tsn + 2, 0, ppid, b"b")]);
        let messages = std::iter::from_fn(|| peer.engine.recv(peer.now, StreamId(0)));
        let messages: Vec<_> = messages.map(|message| (message.ppid.0, message.data)).collect();
        assert_eq!(messages, [(ppid, "whole".into()), (ppid, "abc".into())]);
    }
}

/// The same for what is sent: of a message in parts the first one decides.
#[test]
fn item_128_payload_protocol_identifier_sent() {
    let mut peer = RawPeer::passive(quiet());
    for (ppid, len, last) in [(51, 2000, false), (53, 2000, false), (0, 100, true), (u32::MAX, 100, true)] {
        let (part, reliability) = (patterned(1, len), Reliability::Reliable);
        peer.engine.send_part(peer.now, StreamId(0), Ppid(ppid), part, last, true, reliability).unwrap();
    }
    let ppids: Vec<_> = chunks(&peer.replies()).iter().map(|chunk| (place(chunk).2, ppid(chunk))).collect();
    assert!(ppids.len() > 4);
    assert_eq!(BTreeSet::from_iter(ppids), BTreeSet::from([(0, 51), (1, u32::MAX)]));
}

/// An engine with packets of this size, and what it sends for one message.
fn fragments_of(packet_size: usize, len: usize) -> (RawPeer, Vec<Chunk>) {
    let mut peer = RawPeer::new(quiet().max_packet_size(packet_size).black_hole_detection(false));
    peer.max_packet_size = packet_size;
    peer.open();
    peer.user_sends(0, &patterned(1, len));
    let chunks = chunks(&peer.replies());
    (peer, chunks)
}

fn lengths(chunks: &[Chunk]) -> Vec<usize> {
    chunks.iter().map(|chunk| payload(chunk).len()).collect()
}

/// RFC 9260 §6.9: "Once a user message is fragmented, it cannot be re-fragmented." Fragments fill the largest packet of the
/// configuration, and are the same byte for byte however often they are sent again, on a new path too.
#[test]
fn item_132_fragments_stay_as_they_are() {
    for packet_size in [512, 700, 1191, 1500] {
        let (mut peer, first) = fragments_of(packet_size, 3 * fragment(packet_size) + 10);
        let full = fragment(packet_size);
        assert_eq!(lengths(&first), [full, full, full, 10]);
        let mut resent: Vec<Chunk> =
            peer.run_for(secs(5)).into_iter().flat_map(|(_, packet)| packet.chunks).collect();
        let again = peer.acknowledge(1, 1 << 20);
        peer.engine.path_changed(peer.now);
        resent.extend(again);
        resent.extend(peer.run_for(secs(5)).into_iter().flat_map(|(_, packet)| packet.chunks));
        for chunk in &resent {
            let before = &first[peer.numbers(std::slice::from_ref(chunk))[0] as usize];
            assert_eq!((place(chunk), &chunk.value), (place(before), &before.value));
        }
        let numbers: BTreeSet<u32> = peer.numbers(&resent).into_iter().collect();
        assert!(numbers.contains(&0) && numbers.contains(&1) && resent.len() > 5, "{numbers:?}");
    }
}

/// No fragment but the last of a message has padding, whatever packet, window or neighbours it is cut for.
#[test]
fn item_133_no_padding_within_a_message() {
    let mut rng = ChaCha12Rng::seed_from_u64(seed());
    let mut cut = 0;
    for packet_size in 512..560 {
        let mut peer = RawPeer::new(quiet().max_packet_size(packet_size));
        peer.max_packet_size = packet_size;
        peer.open_with(&Init { window: 1501, ..peer.init() });
        let mut acknowledged = 0;
        for n in 0..40 {
            peer.user_sends(0, &patterned(n, rng.random_range(1..2000)));
            if rng.random_bool(0.3) {
                // Its SACK takes room of what is sent.
                let chunk = data(peer.tsn, WHOLE | UNORDERED, 0, 0, b"x");
                peer.tsn += 1;
                peer.send(&[chunk]);
            }
            let mut sent = chunks(&peer.replies());
            acknowledged += sent.iter().filter(|chunk| chunk.is_data()).count() as u32;
            let window = rng.random_range(500..4000);
            let more = peer.acknowledge(acknowledged, window);
            acknowledged += more.len() as u32;
            sent.extend(more);
            for chunk in sent.iter().filter(|chunk| chunk.is_data() && chunk.flags & LAST == 0) {
                assert_eq!(payload(chunk).len() % 4, 0, "packets of {packet_size}");
                cut += usize::from(payload(chunk).len() != fragment(packet_size));
            }
        }
    }
    assert!(cut > 500, "{cut} fragments that are not of the full size");
}

/// RFC 9260 §3.3.1: "A DATA chunk with one byte of user data will have the Length field set to 17". A message of k full
/// fragments is k chunks, and one byte more makes one more.
#[test]
fn item_134_counts_and_lengths() {
    let (_, one) = fragments_of(1191, 1);
    // Without the four bytes of type, flags and length.
    assert_eq!((one.len(), one[0].value.len()), (1, 17 - 4));
    for packet_size in [512, 1191, 1200] {
        let full = fragment(packet_size);
        for count in 1..=6 {
            assert_eq!(lengths(&fragments_of(packet_size, count * full).1), vec![full; count]);
            let (_, less) = fragments_of(packet_size, count * full - 1);
            assert_eq!(lengths(&less), [vec![full; count - 1], vec![full - 1]].concat());
            let (_, more) = fragments_of(packet_size, count * full + 1);
            assert_eq!(lengths(&more), [vec![full; count], vec![1]].concat());
        }
    }
}

/// Messages from one byte to a MiB arrive as they were sent: none is split, joined, lost or twice there.
#[test]
fn item_138_message_boundaries() {
    let mut rng = ChaCha12Rng::seed_from_u64(seed());
    let config = || quiet().max_receive_message_size(1 << 20);
    for (loss, reorder, duplicate) in [(0.0, 0.0, 0.0), (0.02, 0.1, 0.05), (0.1, 0.3, 0.1)] {
        let conditions = rough(loss, reorder, duplicate);
        let mut net = Net::established_with(config(), config(), conditions, rng.random());
        let edges = [1, 2, 3, 4, 1159, 1160, 1161, 2320, 65_535, 65_536, 1 << 20];
        let random = (0..60).map(|_| 1_usize << rng.random_range(0..18)).collect::<Vec<_>>();
        let lens: Vec<usize> =
            edges.into_iter().chain(random.iter().map(|len| rng.random_range(1..=*len))).collect();
        let messages: Vec<Bytes> = lens.iter().enumerate().map(|(n, len)| patterned(n, *len)).collect();
        for (n, message) in messages.iter().enumerate() {
            net.a.send((n % 2) as u16, message.clone(), n % 2 == 0);
        }
        net.run_until_idle();
        let of = |stream: usize| messages.iter().skip(stream).step_by(2).cloned().collect::<Vec<_>>();
        assert!(net.b.received_on(0) == of(0), "ordered");
        let (mut received, mut sent) = (net.b.received_on(1), of(1));
        received.sort();
        sent.sort();
        assert!(received == sent, "unordered");
        assert_eq!(net.a.log.resent > 0, loss > 0.0);
    }
}
