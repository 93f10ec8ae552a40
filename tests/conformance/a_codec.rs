//! Packets and chunks (RFC 9260 §3, §6.8, §6.10).

use crate::raw_sctp::*;
use bytes::BytesMut;
use std::time::Instant;
use straits_sctp::{Association, CloseReason, Config, Event, Ppid, Reliability, State, StreamId};

/// RFC 9260 §3: a packet has a common header of 12 bytes and at least one chunk; RFC 9260 §6.8.
#[test]
fn item_001_packets_of_impossible_length() {
    let mut peer = RawPeer::passive(Config::default());
    let whole = packet(PORT, PORT, peer.engine_tag, &[heartbeat(b"info")]);
    for len in 0..16 {
        let mut short = whole[..len].to_vec();
        if len >= 12 {
            seal(&mut short);
        }
        peer.assert_ignored(&short);
    }
    let pad = Chunk::new(0x84, 0, &vec![0; 65_528]).padded_with(0);
    let long = packet_of(PORT, PORT, peer.engine_tag, &[heartbeat(b"info").padded_with(0), pad].concat());
    assert!(long.len() > 65_535);
    peer.assert_ignored(&long);
}

/// RFC 9260 §6.8: "calculate a CRC32c checksum value of the whole received packet"; wrong ones are discarded.
#[test]
fn item_002_checksum() {
    assert_eq!(crc32c(b"123456789"), 0xE306_9283);
    // RFC 9653: an INIT whose true checksum is 0; no extension is needed to accept it.
    let mut init = Init::new(0xFCB7_5CCA, 0);
    (init.window, init.outgoing, init.incoming) = (1500, 1, 1);
    let zero = packet(5001, 5001, 0, &[init.chunk(INIT)]);
    assert_eq!(zero[8..12], [0; 4]);
    let config = Config::default().zero_checksum(false).local_port(5001).remote_port(5001);
    let mut peer = RawPeer::new(config);
    peer.ports = (5001, 5001);
    assert_eq!(kinds(&peer.exchange_bytes(&zero)), [[INIT_ACK]]);

    let mut peer = RawPeer::passive(Config::default().zero_checksum(false));
    let good = packet(PORT, PORT, peer.engine_tag, &[heartbeat(b"info")]);
    for bit in 0..good.len() * 8 {
        let mut bad = good.clone();
        bad[bit / 8] ^= 1 << (bit % 8);
        peer.assert_ignored(&bad);
    }
    let mut none = good.clone();
    none[8..12].fill(0);
    peer.assert_ignored(&none);
    assert_eq!(kinds(&peer.exchange_bytes(&good)), [[HEARTBEAT_ACK]]);
}

/// RFC 9260 §3.1: "Source Port Number 0 MUST NOT be used.", nor destination port number 0.
#[test]
fn item_003_port_zero() {
    let mut peer = RawPeer::passive(Config::default());
    let mut idle = RawPeer::new(Config::default());
    for ports in [(0, PORT), (PORT, 0), (0, 0)] {
        peer.assert_ignored(&packet(ports.0, ports.1, peer.engine_tag, &[heartbeat(b"info")]));
        idle.assert_ignored(&packet(ports.0, ports.1, 0, &[idle.init().chunk(INIT)]));
        idle.assert_ignored(&packet(ports.0, ports.1, 77, &[data(1, WHOLE, 0, 0, b"x")]));
    }
}

/// Two associations on one DTLS connection: those that begin and those that end in one place.
struct Shared {
    now: Instant,
    sides: [[Association; 2]; 2],
}

impl Shared {
    /// Each packet of one side goes to both associations of the other. How many went.
    fn exchange(&mut self) -> usize {
        let mut count = 0;
        loop {
            let before = count;
            for from in 0..2 {
                for which in 0..2 {
                    let mut packet = BytesMut::new();
                    while self.sides[from][which].poll_transmit(self.now, &mut packet) {
                        count += 1;
                        self.sides[1 - from].iter_mut().for_each(|it| it.handle_packet(self.now, &packet));
                        packet.clear();
                    }
                }
            }
            if count == before {
                return count;
            }
        }
    }
}

/// RFC 8261 §6.1: "The SCTP port numbers are used for multiplexing and demultiplexing the SCTP associations carried over a
/// single DTLS connection."
#[test]
fn item_004_other_ports_on_the_same_connection() {
    let now = Instant::now();
    let make = |port: u16, seed: u8| {
        let config = Config::default().local_port(port).remote_port(port);
        Association::new(config, [seed; 32], now)
    };
    let sides = [[make(5000, 1), make(6000, 2)], [make(5000, 3), make(6000, 4)]];
    let mut shared = Shared { now, sides };
    let mut packets = 0;
    // The second pair comes up while the first one is, and while it is not started.
    for which in 0..2 {
        shared.sides.iter_mut().for_each(|side| side[which].connect(now));
        packets += shared.exchange();
        for (n, side) in shared.sides.iter_mut().enumerate() {
            assert_eq!(side[which].poll_event(), Some(Event::Established));
            let text = format!("{n} {which}").into();
            side[which].send(now, StreamId(0), Ppid::STRING, text, true, Reliability::Reliable).unwrap();
        }
        packets += shared.exchange();
    }
    for (n, side) in shared.sides.iter_mut().enumerate() {
        for (which, association) in side.iter_mut().enumerate() {
            let message = association.recv(now, StreamId(0)).expect("a message");
            assert_eq!(message.data, format!("{} {which}", 1 - n));
            assert_eq!(association.recv(now, StreamId(0)), None);
        }
        // Each dropped what was the other's, and answered none of it.
        let stats = side.each_ref().map(Association::stats);
        assert_eq!(stats[0].packets_dropped, stats[1].packets_received - stats[1].packets_dropped);
        assert_eq!(stats[1].packets_dropped, stats[0].packets_received - stats[0].packets_dropped);
    }
    let sent: u64 = shared.sides.iter().flatten().map(|association| association.stats().packets_sent).sum();
    assert_eq!(sent, packets as u64);
    shared.sides[0][0].abort(now);
    shared.exchange();
    let states = shared.sides.each_ref().map(|side| side.each_ref().map(Association::state));
    assert_eq!(states, [[State::Closed, State::Established]; 2]);
}

/// RFC 9260 §3.2: a chunk is not shorter than its header; what is behind such a length cannot be read.
#[test]
fn item_005_chunk_length_below_four() {
    for len in 0..4 {
        let mut peer = RawPeer::passive(Config::default());
        let mut chunks = heartbeat(b"before").padded_with(0);
        chunks.extend([0x84, 0, 0, len]);
        chunks.extend(heartbeat(b"behind").padded_with(0));
        let replies = peer.exchange_bytes(&packet_of(PORT, PORT, peer.engine_tag, &chunks));
        assert_eq!(
            replies.iter().flat_map(|packet| packet.chunks.clone()).collect::<Vec<_>>(),
            [heartbeat_ack(b"before")]
        );
        assert_eq!(peer.engine.state(), State::Established);
    }
}

/// RFC 9260 §6.10: "Partial chunks MUST NOT be placed in an SCTP packet"; the whole ones before it count.
#[test]
fn item_006_partial_chunk() {
    let mut peer = RawPeer::passive(Config::default());
    let mut chunks = peer.next_data(0, b"whole").padded_with(0);
    let sack = Sack::new(peer.engine_tsn).chunk().padded_with(0);
    chunks.extend(&sack[..12]);
    let replies = peer.exchange_bytes(&packet_of(PORT, PORT, peer.engine_tag, &chunks));
    assert_eq!(kinds(&replies), [[SACK]]);
    assert_eq!(Sack::parse(&replies[0].chunks[0]).cumulative, 1000);
    assert_eq!(peer.user_reads(0), ["whole"]);
}

/// RFC 9260 §3.2: the receiver "MUST ignore the padding bytes".
#[test]
fn item_007_padding_of_any_content() {
    let mut peer = RawPeer::passive(Config::default());
    for len in 1..=4_u16 {
        let payload = vec![b'x'; usize::from(len)];
        let chunk = peer.next_data(len - 1, &payload);
        let chunks = [chunk.padded_with(0xFF), heartbeat(&payload).padded_with(0xFF)].concat();
        let replies = peer.exchange_bytes(&packet_of(PORT, PORT, peer.engine_tag, &chunks));
        assert_eq!(replies[0].find(HEARTBEAT_ACK), Some(&heartbeat_ack(&payload)));
        assert_eq!(peer.user_reads(0), [payload]);
    }
}

/// RFC 9260 §3.2: the length does not count padding; a packet that ends without it loses nothing.
#[test]
fn item_008_last_chunk_without_padding() {
    let mut peer = RawPeer::passive(Config::default());
    for ssn in 0..3_u16 {
        let payload = vec![b'x'; usize::from(ssn) + 1];
        let chunk = peer.next_data(ssn, &payload).padded_with(0);
        let cut = packet_of(PORT, PORT, peer.engine_tag, &chunk[..17 + usize::from(ssn)]);
        peer.send_bytes(&cut);
        assert_eq!(peer.user_reads(0), [payload]);
    }
}

/// RFC 9260 §3.2: a receiver accepts a chunk length that counts the padding of the last parameter, and one that does not.
#[test]
fn item_009_padding_of_the_last_parameter() {
    for counted in [false, true] {
        let mut peer = RawPeer::new(Config::default());
        let mut chunk = peer.init().with(0xC0F0, b"x").chunk(INIT);
        if counted {
            chunk.value.resize(chunk.value.len().next_multiple_of(4), 0);
        }
        let replies = peer.exchange_tagged(0, &[chunk]);
        assert_eq!(kinds(&replies), [[INIT_ACK]], "counted: {counted}");
        let ack = Init::parse(&replies[0].chunks[0]);
        assert_eq!(ack.parameter(8), Some(&tlv(0xC0F0, b"x")[..]));
    }
}

/// RFC 9260 §3.2: "The Chunk Length field does not count any chunk padding"; at most three zero bytes of it.
#[test]
fn item_010_padding_is_zero_and_not_counted() {
    let mut peer = RawPeer::passive(Config::default());
    for len in 1..=64_u32 {
        let payload = vec![0xFF; len as usize];
        peer.user_sends(0, &payload);
        // `Packet::parse` refuses padding that is not zero or longer than three bytes.
        let replies = peer.replies();
        assert_eq!(replies.len(), 1);
        assert_eq!(replies[0].chunks[0].value[12..], payload);
        assert_eq!(replies[0].len, 12 + (16 + payload.len()).next_multiple_of(4));
        peer.send(&[Sack::new(peer.engine_tsn.wrapping_add(len - 1)).chunk()]);
    }
}

/// RFC 9260 §3.2: flags that are not defined are "set to 0 on transmit and are ignored on receipt".
#[test]
fn item_011_reserved_flags() {
    let mut peer = RawPeer::new(Config::default());
    let flagged = |mut chunk: Chunk, flags: u8| {
        chunk.flags |= flags;
        chunk
    };
    let mut seen = peer.exchange_tagged(0, &[flagged(peer.init().chunk(INIT), 0xFF)]);
    let ack = Init::parse(&seen[0].chunks[0]);
    peer.engine_tag = ack.tag;
    seen.extend(peer.exchange(&[Chunk::new(COOKIE_ECHO, 0xFF, &ack.cookie())]));
    assert_eq!(peer.engine.state(), State::Established);
    let chunk = flagged(peer.next_data(0, b"data"), 0xF0);
    seen.extend(peer.exchange(&[chunk, flagged(heartbeat(b"info"), 0xFF)]));
    assert_eq!(peer.user_reads(0), ["data"]);
    peer.user_sends(0, b"reply");
    seen.extend(peer.replies());
    assert_ne!(peer.engine.stats().bytes_in_flight, 0);
    seen.extend(peer.exchange(&[flagged(Sack::new(ack.tsn).chunk(), 0xFF)]));
    assert_eq!(peer.engine.stats().bytes_in_flight, 0);
    seen.extend(peer.exchange(&[flagged(shutdown(ack.tsn), 0xFF)]));
    assert_eq!(peer.engine.state(), State::ShutdownAckSent);
    let kinds: Vec<u8> = seen.iter().flat_map(Packet::kinds).collect();
    assert_eq!(kinds, [INIT_ACK, COOKIE_ACK, HEARTBEAT_ACK, SACK, DATA, SHUTDOWN_ACK]);
    for chunk in seen.iter().flat_map(|packet| &packet.chunks) {
        assert_eq!(chunk.flags & !if chunk.kind == DATA { 0x0F } else { 0 }, 0, "{chunk:?}");
    }
}

/// What comes for DATA, an unknown chunk and HEARTBEAT in one packet.
fn around_unknown(kind: u8) -> (Vec<u8>, Option<Chunk>) {
    let mut peer = RawPeer::passive(Config::default());
    let before = peer.next_data(0, b"before");
    let unknown = Chunk::new(kind, 0, b"what?");
    let replies = peer.exchange(&[before, unknown, heartbeat(b"behind")]);
    assert_eq!(peer.user_reads(0), ["before"]);
    assert_eq!(peer.engine.state(), State::Established);
    let chunks: Vec<Chunk> = replies.into_iter().flat_map(|packet| packet.chunks).collect();
    let mut kinds: Vec<u8> = chunks.iter().map(|chunk| chunk.kind).collect();
    kinds.sort_unstable();
    (kinds, chunks.into_iter().find(|chunk| chunk.kind == ERROR))
}

/// RFC 9260 §3.2 table 2, 00: stop, and discard this chunk "and all further chunks".
#[test]
fn item_012_unknown_chunk_00() {
    assert_eq!(around_unknown(0x2F), (vec![SACK], None));
}

/// RFC 9260 §3.2 table 2, 01: the same, and report it in an ERROR chunk.
#[test]
fn item_013_unknown_chunk_01() {
    let cause = tlv(6, &Chunk::new(0x6F, 0, b"what?").padded_with(0)[..9]);
    assert_eq!(around_unknown(0x6F), (vec![SACK, ERROR], Some(error(&[cause]))));
}

/// RFC 9260 §3.2 table 2, 10: "Skip this chunk and continue processing."
#[test]
fn item_014_unknown_chunk_10() {
    for kind in [0x84, 0xAF] {
        assert_eq!(around_unknown(kind), (vec![SACK, HEARTBEAT_ACK], None));
    }
}

/// RFC 9260 §3.2 table 2, 11: skip it, continue, but report it in an ERROR chunk.
#[test]
fn item_015_unknown_chunk_11() {
    let cause = tlv(6, &Chunk::new(0xEF, 0, b"what?").padded_with(0)[..9]);
    assert_eq!(around_unknown(0xEF), (vec![SACK, HEARTBEAT_ACK, ERROR], Some(error(&[cause]))));
}

/// RFC 9260 §3.3.10.6: the unrecognized chunk is reported, as far as a packet takes it (§6.10).
#[test]
fn item_016_long_unknown_chunk() {
    let mut peer = RawPeer::passive(Config::default());
    let unknown = Chunk::new(0x6F, 0, &[7; 8192]);
    let replies = peer.exchange(std::slice::from_ref(&unknown));
    assert_eq!(kinds(&replies), [[ERROR]]);
    assert!((1000..=1191).contains(&replies[0].len), "{}", replies[0].len);
    let causes = split(&replies[0].chunks[0].value);
    assert_eq!(causes.len(), 1);
    assert_eq!(causes[0].0, 6);
    assert!(unknown.padded_with(0).starts_with(&causes[0].1));
}

/// RFC 9260 §3.2: unknown chunks are reported; one packet causes one report, so that no packet causes a storm.
#[test]
fn item_017_one_error_per_packet() {
    let mut peer = RawPeer::passive(Config::default());
    let replies = peer.exchange(&vec![bare(0xEF); 300]);
    assert_eq!(kinds(&replies), [[ERROR]]);
    assert_eq!(split(&replies[0].chunks[0].value), [(6, vec![0xEF, 0, 0, 4])]);
}

/// RFC 9260 §3.2.1: the upper two bits say whether to go on and whether to report, in INIT ACK, as parameters 8.
#[test]
fn item_018_unknown_parameters_in_init() {
    let reported = |kind: u16| {
        let mut peer = RawPeer::new(Config::default());
        let init = peer.init().with(kind, b"what").with(0xC0F1, b"next");
        let ack = peer.send_init(&init);
        ack.parameters
            .iter()
            .filter(|(kind, _)| *kind == 8)
            .map(|(_, value)| value.clone())
            .collect::<Vec<_>>()
    };
    let next = tlv(0xC0F1, b"next");
    assert_eq!(reported(0x00F0), Vec::<Vec<u8>>::new());
    assert_eq!(reported(0x40F0), [tlv(0x40F0, b"what")]);
    assert_eq!(reported(0x80F0), std::slice::from_ref(&next));
    assert_eq!(reported(0xC0F0), [tlv(0xC0F0, b"what"), next]);
}

/// RFC 9260 §3.2.2: unrecognized parameters are reported in an ERROR, bundled with COOKIE ECHO and behind it.
#[test]
fn item_019_unknown_parameters_in_init_ack() {
    for (kind, reported) in [(0x00F0, None), (0x40F0, Some(0x40F0)), (0x80F0, None), (0xC0F0, Some(0xC0F0))] {
        let mut peer = RawPeer::new(Config::default());
        peer.connect();
        let reply = peer.answer_init(&[(kind, b"what")]);
        let Some(reported) = reported else {
            assert_eq!(reply.kinds(), [COOKIE_ECHO]);
            continue;
        };
        assert_eq!(reply.kinds(), [COOKIE_ECHO, ERROR]);
        assert_eq!(reply.chunks[1], error(&[tlv(8, &tlv(reported, b"what"))]));
    }
}

/// RFC 9260 §3.2.2: the ERROR that comes with COOKIE ECHO reports only, the association is set up.
#[test]
fn item_020_error_behind_cookie_echo() {
    let mut peer = RawPeer::new(Config::default());
    let ack = peer.send_init(&peer.init());
    peer.engine_tag = ack.tag;
    let report = error(&[tlv(8, &tlv(0xC0F0, b"what"))]);
    let replies = peer.exchange(&[Chunk::new(COOKIE_ECHO, 0, &ack.cookie()), report]);
    assert_eq!(kinds(&replies), [[COOKIE_ACK]]);
    let told = Event::RemoteError { cause: Some(8), message: Default::default() };
    assert_eq!(peer.drain_events(), [Event::Established, told]);
}

/// RFC 9260 §3.2.1: the length counts the four bytes of its header and ends within the chunk.
#[test]
fn item_021_parameter_of_impossible_length() {
    for len in [0, 1, 2, 3, 9, 0xFFFF_u16] {
        let mut peer = RawPeer::new(Config::default());
        let mut chunk = peer.init().chunk(INIT);
        chunk.value.extend(0x80F0_u16.to_be_bytes());
        chunk.value.extend(len.to_be_bytes());
        chunk.value.extend(b"what");
        peer.assert_ignored(&packet(PORT, PORT, 0, &[chunk.clone()]));

        let mut peer = RawPeer::new(Config::default());
        peer.connect();
        chunk.kind = INIT_ACK;
        peer.assert_chunks_ignored(&[chunk]);
        assert_eq!(peer.engine.state(), State::CookieWait);
        assert_eq!(peer.answer_init(&[]).kinds(), [COOKIE_ECHO]);
    }
}

/// RFC 9260 §6.10: INIT, INIT ACK and SHUTDOWN COMPLETE are never bundled by the sender, whatever else waits.
#[test]
fn item_022_what_is_never_bundled() {
    let mut peer = RawPeer::new(Config::default());
    peer.user_sends(0, b"waits");
    peer.connect();
    // A collision: INIT ACK while INIT and DATA wait. `Packet::parse` refuses bundles with these chunks.
    let mut init = peer.init();
    peer.send_tagged(0, &[init.chunk(INIT)]);
    init.tag += 1;
    peer.send_tagged(0, &[init.chunk(INIT)]);
    assert_eq!(kinds(&peer.replies_of_any_tag()), [[INIT_ACK], [INIT_ACK]]);
    peer.answer_init(&[]);
    assert_eq!(kinds(&peer.exchange(&[bare(COOKIE_ACK)])), [[DATA]]);
    peer.send(&[Sack::new(peer.engine_tsn).chunk()]);
    peer.engine.shutdown(peer.now);
    assert_eq!(kinds(&peer.replies()), [[SHUTDOWN]]);
    let replies = peer.exchange(&[heartbeat(b"info"), bare(SHUTDOWN_ACK)]);
    assert!(kinds(&replies).contains(&vec![SHUTDOWN_COMPLETE]), "{replies:?}");
}

/// RFC 9260 §6.10: these "MUST NOT" be bundled; §8.5.1 A: a packet with INIT and more is silently discarded.
#[test]
fn item_023_bundles_that_must_not_be() {
    let mut peer = RawPeer::new(Config::default());
    let init = peer.init().chunk(INIT);
    for chunks in [[init.clone(), heartbeat(b"x")], [heartbeat(b"x"), init.clone()], [init.clone(), init]] {
        peer.assert_ignored(&packet(PORT, PORT, 0, &chunks));
    }
    peer.connect();
    let ack = peer.init().with(7, b"cookie").chunk(INIT_ACK);
    for chunks in [[ack.clone(), heartbeat(b"x")], [heartbeat(b"x"), ack.clone()]] {
        peer.assert_chunks_ignored(&chunks);
    }
    assert_eq!(kinds(&peer.exchange(&[ack])), [[COOKIE_ECHO]]);
    let mut peer = RawPeer::passive(Config::default());
    peer.shut_down();
    peer.send(&[bare(SHUTDOWN_COMPLETE), heartbeat(b"x")]);
    assert_eq!(peer.engine.state(), State::ShutdownAckSent);
}

/// RFC 9260 §6.10: control chunks first, then DATA "in increasing order of TSN".
#[test]
fn item_024_order_in_a_packet() {
    let mut peer = RawPeer::passive(Config::default());
    let mut bundles = Vec::new();
    for round in 0..20_u16 {
        for _ in 0..3 {
            peer.user_sends(round, b"several short messages");
        }
        let chunk = peer.next_data(round, b"from the peer");
        // `Packet::parse` requires the order of what is in a packet.
        bundles.extend(peer.exchange(&[chunk, heartbeat(b"info"), bare(0xEF)]));
        let last = peer.engine_tsn.wrapping_add(u32::from(round) * 3 + 2);
        peer.send(&[Sack::new(last).chunk()]);
    }
    let mixed = bundles.iter().filter(|packet| {
        packet.find(HEARTBEAT_ACK).is_some() && packet.find(SACK).is_some() && packet.find(DATA).is_some()
    });
    assert!(mixed.count() >= 10, "{:?}", kinds(&bundles));
}

/// RFC 9260 §5.1 C, D: the COOKIE ECHO and COOKIE ACK chunks are the first chunks of their packets.
#[test]
fn item_025_cookies_come_first() {
    let mut peer = RawPeer::new(Config::default());
    peer.connect();
    peer.user_sends(0, b"waits");
    let echo = peer.answer_init(&[(0xC0F0, b"what")]);
    assert_eq!(echo.kinds(), [COOKIE_ECHO, ERROR]);

    let mut peer = RawPeer::new(Config::default());
    peer.user_sends(0, b"waits");
    let ack = peer.send_init(&peer.init());
    peer.engine_tag = ack.tag;
    let chunk = peer.next_data(0, b"data");
    let replies = peer.exchange(&[Chunk::new(COOKIE_ECHO, 0, &ack.cookie()), chunk, heartbeat(b"x")]);
    assert_eq!(kinds(&replies), [[COOKIE_ACK, HEARTBEAT_ACK, SACK, DATA]]);
}

/// RFC 9260 §6.10: "An endpoint MUST process received chunks in their order in the packet."; nothing behind an ABORT counts (§3.3.7).
#[test]
fn item_026_chunks_are_handled_in_order() {
    let mut peer = RawPeer::passive(Config::default());
    let (first, second) = (peer.next_data(0, b"before"), peer.next_data(1, b"behind"));
    let replies = peer.exchange(&[first, bare(ABORT), second, heartbeat(b"x")]);
    assert_eq!(replies, []);
    let closed = Event::Closed(CloseReason::RemoteAbort { cause: None, message: Default::default() });
    assert_eq!(peer.drain_events().last(), Some(&closed));
    assert_eq!(peer.user_reads(0), ["before"]);
}

/// RFC 9260 §3.3.7: "DATA chunks MUST NOT be bundled with ABORT chunks"; §6.10: nor with SHUTDOWN and SHUTDOWN ACK.
#[test]
fn item_027_no_data_with_the_end() {
    let mut peer = RawPeer::passive(Config::default());
    peer.user_sends(0, b"lost");
    peer.engine.abort(peer.now);
    assert_eq!(kinds(&peer.replies()), [[ABORT]]);

    let mut peer = RawPeer::passive(Config::default());
    peer.user_sends(0, b"delivered");
    peer.engine.shutdown(peer.now);
    assert_eq!(kinds(&peer.replies()), [[DATA]]);
    assert_eq!(kinds(&peer.exchange(&[Sack::new(peer.engine_tsn).chunk()])), [[SHUTDOWN]]);

    let mut peer = RawPeer::passive(Config::default());
    peer.user_sends(0, b"delivered");
    assert_eq!(kinds(&peer.exchange(&[shutdown(peer.engine_tsn.wrapping_sub(1))])), [[DATA]]);
    assert_eq!(kinds(&peer.exchange(&[Sack::new(peer.engine_tsn).chunk()])), [[SHUTDOWN_ACK]]);
}

/// RFC 9260 §6.10: a packet is never larger than the current PMTU, headers and padding counted.
#[test]
fn item_028_packets_keep_to_the_size() {
    for size in (512..=1500).step_by(13) {
        let mut peer = RawPeer::new(Config::default().max_packet_size(size));
        peer.max_packet_size = size;
        peer.open();
        let mut sent = Vec::new();
        for round in 0..6_u16 {
            for len in [1, 3, 50, 333, size - 28, size, 2 * size + 1] {
                peer.user_sends(0, &vec![7; len]);
            }
            let chunk = peer.next_data(round, b"ask for a SACK");
            // `replies` requires of every packet that it is not longer than `max_packet_size`.
            sent.extend(peer.exchange(&[chunk, heartbeat(&vec![1; usize::from(round) * 77]), bare(0xEF)]));
            if let Some(last) = sent.iter().flat_map(|packet| &packet.chunks).rev().find(|c| c.kind == DATA) {
                let sack = Sack::new(last.tsn()).chunk();
                sent.extend(peer.exchange(&[sack]));
            }
        }
        let largest = sent.iter().map(|packet| packet.len).max();
        assert_eq!(largest, Some(size / 4 * 4), "size {size}");
    }
}

/// RFC 9260 §3.3.4: the two counts make up the length; a SACK whose do not changes nothing.
#[test]
fn item_029_sack_with_wrong_counts() {
    for (gaps, duplicates) in [(1_u16, 0_u16), (0, 1), (0xFFFF, 0), (0xFFFF, 0xFFFF), (3, 0)] {
        let mut peer = RawPeer::passive(Config::default());
        peer.user_sends(0, b"outstanding");
        peer.replies();
        let mut sack = Sack::new(peer.engine_tsn).chunk();
        sack.value[8..10].copy_from_slice(&gaps.to_be_bytes());
        sack.value[10..12].copy_from_slice(&duplicates.to_be_bytes());
        if gaps == 3 {
            sack.value.extend([0; 8]);
        }
        peer.assert_chunks_ignored(&[sack]);
        assert_ne!(peer.engine.stats().bytes_in_flight, 0);
    }
}
