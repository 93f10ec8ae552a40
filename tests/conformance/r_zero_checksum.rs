//! Packets without a checksum (RFC 9653), which DTLS makes superfluous.

use crate::raw_sctp::*;
use std::time::Duration;
use straits_sctp::{Config, Event, State, StreamId};

/// RFC 9653: the error detection method "SCTP over DTLS".
const DTLS: [u8; 4] = 1_u32.to_be_bytes();
/// One that has no meaning.
const UNASSIGNED: [u8; 4] = 7_u32.to_be_bytes();

fn quiet(zero_checksum: bool) -> Config {
    Config::strict().heartbeat_interval(Duration::ZERO).zero_checksum(zero_checksum)
}

fn without_checksum(mut packet: Vec<u8>) -> Vec<u8> {
    packet[8..12].fill(0);
    packet
}

/// The peer opens; what its INIT has beside streams. Gives the INIT ACK and the packet with the COOKIE ACK.
fn open(config: Config, parameters: &[(u16, &[u8])]) -> (RawPeer, Packet, Packet) {
    let mut peer = RawPeer::new(config);
    peer.takes_zero_checksum = true;
    let init = parameters.iter().fold(peer.init(), |init, (kind, value)| init.with(*kind, value));
    let ack = peer.exchange_tagged(0, &[init.chunk(INIT)]).remove(0);
    let agreed = Init::parse(ack.find(INIT_ACK).expect("INIT ACK"));
    (peer.engine_tag, peer.engine_tsn) = (agreed.tag, agreed.tsn);
    let up = peer.exchange(&[Chunk::new(COOKIE_ECHO, 0, &agreed.cookie())]).remove(0);
    assert_eq!((up.kinds(), peer.drain_events()), (vec![COOKIE_ACK], vec![Event::Established]));
    (peer, ack, up)
}

/// All kinds of packets that the engine sends in a running association, up to the end of it.
fn every_packet(peer: &mut RawPeer) -> Vec<Packet> {
    let chunk = peer.next_data(0, b"data");
    let mut sent = peer.exchange(&[chunk, heartbeat(b"x"), bare(0xEF)]);
    peer.user_sends(0, b"data");
    sent.extend(peer.replies());
    sent.extend(peer.run_for(secs(1)).into_iter().map(|(_, packet)| packet));
    peer.send(&[Sack::new(peer.engine_tsn).chunk()]);
    peer.engine.reset_streams(peer.now, &[StreamId(0)]).unwrap();
    sent.extend(peer.replies());
    peer.send(&[reconfig(&[reconfig_response(peer.engine_tsn, 1)])]);
    peer.engine.shutdown(peer.now);
    sent.extend(peer.replies());
    let kinds = kinds(&sent);
    let expected: [&[u8]; 5] = [&[HEARTBEAT_ACK, ERROR, SACK], &[DATA], &[DATA], &[RE_CONFIG], &[SHUTDOWN]];
    assert_eq!(kinds, expected);
    sent
}

/// RFC 9653: INIT and INIT ACK say what their sender accepts, whatever the other side accepts; 1 is DTLS. Some deployed stacks
/// drop a packet with a parameter that they do not know, so the INIT ACK for an INIT without it has none.
#[test]
fn item_300_zero_checksum_is_announced() {
    for zero_checksum in [true, false] {
        let said = |init: &Init| {
            let all = init.parameters.iter().filter(|(kind, _)| *kind == ZERO_CHECKSUM_ACCEPTABLE);
            all.map(|(_, value)| value.clone()).collect::<Vec<_>>()
        };
        let expected = if zero_checksum { vec![DTLS.to_vec()] } else { vec![] };
        let mut peer = RawPeer::new(quiet(zero_checksum));
        peer.takes_zero_checksum = true;
        assert_eq!(said(&peer.connect()), expected);
        for method in [&DTLS, &UNASSIGNED] {
            let init = peer.init().with(ZERO_CHECKSUM_ACCEPTABLE, method);
            assert_eq!(said(&peer.send_init(&init)), expected);
        }
        let init = peer.init();
        assert_eq!(said(&peer.send_init(&init)), Vec::<Vec<u8>>::new());
    }
    // The engine accepts, the peer does not: each direction by itself.
    let (mut peer, ack, up) = open(quiet(true), &[(ZERO_CHECKSUM_ACCEPTABLE, &UNASSIGNED)]);
    assert!(!ack.checksum_is_zero && !up.checksum_is_zero);
    let zero = without_checksum(packet(PORT, PORT, peer.engine_tag, &[heartbeat(b"x")]));
    let replies = peer.exchange_bytes(&zero);
    assert_eq!((kinds(&replies), replies[0].checksum_is_zero), (vec![vec![HEARTBEAT_ACK]], false));
    // And the other way round.
    let (mut peer, ack, up) =
        open(quiet(false), &[(ZERO_CHECKSUM_ACCEPTABLE, &DTLS), (SUPPORTED_EXTENSIONS, &[RE_CONFIG])]);
    assert!(!ack.checksum_is_zero && !up.checksum_is_zero, "not without being allowed here");
    assert!(every_packet(&mut peer).iter().all(|packet| !packet.checksum_is_zero));
}

/// RFC 9653: INIT, COOKIE ECHO and answers out of the blue always have a true checksum, in both directions.
#[test]
fn item_301_packets_that_always_have_a_checksum() {
    let mut peer = RawPeer::new(quiet(true));
    // `connect` refuses an INIT without a checksum.
    peer.connect();
    let first = peer.run_for(secs(1));
    assert_eq!((kinds(&[first[0].1.clone()]), first[0].1.checksum_is_zero), (vec![vec![INIT]], false));
    peer.takes_zero_checksum = true;
    let echo = peer.answer_init(&[(ZERO_CHECKSUM_ACCEPTABLE, &DTLS)]);
    let repeated = peer.run_for(secs(1)).remove(0).1;
    for packet in [echo, repeated] {
        assert_eq!((packet.kinds(), packet.checksum_is_zero), (vec![COOKIE_ECHO], false));
    }
    peer.send(&[bare(COOKIE_ACK)]);
    peer.user_sends(0, b"data");
    assert!(peer.replies()[0].checksum_is_zero, "what follows goes without");

    // Out of the blue: a refused INIT, DATA and SHUTDOWN ACK of nobody.
    let mut strange = RawPeer::new(quiet(true));
    strange.takes_zero_checksum = true;
    let mut init = Init::new(99, 1).with(ZERO_CHECKSUM_ACCEPTABLE, &DTLS);
    init.window = 0;
    let mut answers = strange.exchange_tagged(0, &[init.chunk(INIT)]);
    answers.extend(strange.exchange_tagged(77, &[data(1, WHOLE, 0, 0, b"x")]));
    answers.extend(strange.exchange_tagged(77, &[bare(SHUTDOWN_ACK)]));
    assert_eq!(kinds(&answers), [[ABORT], [ABORT], [SHUTDOWN_COMPLETE]]);
    assert!(answers.iter().all(|packet| !packet.checksum_is_zero));

    // INIT and COOKIE ECHO of the peer are not taken without.
    let mut peer = RawPeer::new(quiet(true));
    let init = peer.init();
    peer.assert_ignored(&without_checksum(packet(PORT, PORT, 0, &[init.chunk(INIT)])));
    let ack = peer.send_init(&init);
    let echo = packet(PORT, PORT, ack.tag, &[Chunk::new(COOKIE_ECHO, 0, &ack.cookie())]);
    peer.assert_ignored(&without_checksum(echo.clone()));
    assert_eq!(kinds(&peer.exchange_bytes(&echo)), [[COOKIE_ACK]]);
    peer.drain_events();
    peer.assert_ignored(&without_checksum(echo));
    peer.assert_ignored(&without_checksum(packet(PORT, PORT, 0, &[init.chunk(INIT)])));
}

/// RFC 9653: all other packets to a peer that accepts it go without a checksum, from INIT ACK on.
#[test]
fn item_302_packets_that_may_go_without() {
    let parameters = [(ZERO_CHECKSUM_ACCEPTABLE, &DTLS[..]), (SUPPORTED_EXTENSIONS, &[RE_CONFIG])];
    let (mut peer, ack, up) = open(quiet(true), &parameters);
    assert!(ack.checksum_is_zero && up.checksum_is_zero);
    assert!(every_packet(&mut peer).iter().all(|packet| packet.checksum_is_zero));
    // True ones are accepted from it all the same.
    peer.send(&[bare(SHUTDOWN_ACK)]);
    assert_eq!(peer.engine.state(), State::Closed);
}

/// RFC 9653: who announced nothing treats zero as any other wrong checksum.
#[test]
fn item_303_zero_without_announcement() {
    let (mut peer, ..) = open(quiet(false), &[(ZERO_CHECKSUM_ACCEPTABLE, &DTLS)]);
    peer.user_sends(0, b"outstanding");
    peer.replies();
    let chunks = [
        peer.next_data(0, b"data"),
        Sack::new(peer.engine_tsn).chunk(),
        heartbeat(b"x"),
        bare(ABORT),
        shutdown(peer.engine_tsn),
        bare(0xEF),
    ];
    for chunk in chunks {
        let packet = packet(PORT, PORT, peer.engine_tag, &[chunk]);
        peer.assert_ignored(&without_checksum(packet));
    }
    let mut waiting = RawPeer::new(quiet(false));
    waiting.connect();
    let ack = waiting.init().with(7, b"cookie").chunk(INIT_ACK);
    let ack = packet(PORT, PORT, waiting.engine_tag, &[ack]);
    waiting.assert_ignored(&without_checksum(ack.clone()));
    assert_eq!(kinds(&waiting.exchange_bytes(&ack)), [[COOKIE_ECHO]]);
    assert_eq!(kinds(&peer.exchange(&[heartbeat(b"x")])), [[HEARTBEAT_ACK]]);
    // It would accept them, and had no occasion to say so.
    let (mut peer, ..) = open(quiet(true), &[]);
    peer.assert_ignored(&without_checksum(packet(PORT, PORT, peer.engine_tag, &[heartbeat(b"x")])));
}

/// RFC 9653: who announced it accepts zero and the true checksum, and nothing else.
#[test]
fn item_304_wrong_checksums() {
    let (mut peer, ..) = open(quiet(true), &[(ZERO_CHECKSUM_ACCEPTABLE, &UNASSIGNED)]);
    let good = packet(PORT, PORT, peer.engine_tag, &[heartbeat(b"x")]);
    for bit in 64..96 {
        let mut bad = good.clone();
        bad[bit / 8] ^= 1 << (bit % 8);
        peer.assert_ignored(&bad);
        let mut nearly_zero = without_checksum(good.clone());
        nearly_zero[bit / 8] ^= 1 << (bit % 8);
        peer.assert_ignored(&nearly_zero);
    }
    for packet in [good.clone(), without_checksum(good)] {
        assert_eq!(kinds(&peer.exchange_bytes(&packet)), [[HEARTBEAT_ACK]]);
    }
    // INIT ACK and COOKIE ACK too, which come to an engine that announced it in its INIT.
    let mut peer = RawPeer::new(quiet(true));
    peer.connect();
    let ack = packet(PORT, PORT, peer.engine_tag, &[peer.init().with(7, b"cookie").chunk(INIT_ACK)]);
    assert_eq!(kinds(&peer.exchange_bytes(&without_checksum(ack))), [[COOKIE_ECHO]]);
    let ack = packet(PORT, PORT, peer.engine_tag, &[bare(COOKIE_ACK)]);
    peer.send_bytes(&without_checksum(ack));
    assert_eq!(peer.drain_events(), [Event::Established]);
}

/// RFC 9653: a method that is not known, or a parameter of another length than 8, allows nothing; nor does it hurt.
#[test]
fn item_305_unknown_error_detection_methods() {
    let methods: [&[u8]; 8] = [
        &0_u32.to_be_bytes(),
        &2_u32.to_be_bytes(),
        &u32::MAX.to_be_bytes(),
        &0x0100_0000_u32.to_be_bytes(),
        &[],
        &[0, 0, 1],
        &[0, 0, 0, 1, 0, 0, 0, 1],
        &[1],
    ];
    for method in methods {
        let (mut peer, ack, up) =
            open(quiet(true), &[(ZERO_CHECKSUM_ACCEPTABLE, method), (SUPPORTED_EXTENSIONS, &[RE_CONFIG])]);
        assert!(!ack.checksum_is_zero && !up.checksum_is_zero, "{method:?}");
        assert_eq!(Init::parse(&ack.chunks[0]).parameter(8), None, "nothing to report");
        assert!(every_packet(&mut peer).iter().all(|packet| !packet.checksum_is_zero), "{method:?}");
    }
}

/// The four bytes at `at` that make the checksum of the packet `wanted`: the checksum is linear in them.
fn force_checksum(packet: &mut [u8], at: usize, wanted: u32) {
    packet[8..12].fill(0);
    packet[at..at + 4].fill(0);
    let mut missing = crc32c(packet) ^ wanted;
    // Each bit of the four bytes with the bits of the checksum that it flips, in echelon form.
    let base = crc32c(packet);
    let mut rows: Vec<(u32, u32)> = Vec::new();
    for bit in 0..32 {
        let value = 1_u32 << bit;
        packet[at..at + 4].copy_from_slice(&value.to_be_bytes());
        let mut row = (crc32c(packet) ^ base, value);
        for known in &rows {
            if row.0 & (1 << known.0.ilog2()) != 0 {
                row = (row.0 ^ known.0, row.1 ^ known.1);
            }
        }
        assert_ne!(row.0, 0, "the 32 bits are independent");
        rows.push(row);
    }
    let mut solution = 0;
    for (flips, value) in rows {
        if missing & (1 << flips.ilog2()) != 0 {
            missing ^= flips;
            solution ^= value;
        }
    }
    assert_eq!(missing, 0);
    packet[at..at + 4].copy_from_slice(&solution.to_be_bytes());
}

/// RFC 9653: zero may be the true checksum of a packet, which is good for everybody.
#[test]
fn item_306_true_checksum_of_zero() {
    let (mut peer, ..) = open(quiet(false), &[]);
    for n in 0..20_u16 {
        let chunk = peer.next_data(n, b"....and more");
        let mut bytes = packet(PORT, PORT, peer.engine_tag, &[chunk]);
        force_checksum(&mut bytes, 28, 0);
        assert_eq!((crc32c(&bytes), &bytes[8..12]), (0, &[0; 4][..]));
        peer.send_bytes(&bytes);
        assert_eq!(peer.user_reads(0), [bytes[28..40].to_vec()]);
    }
}
