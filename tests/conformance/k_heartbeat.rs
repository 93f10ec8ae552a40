//! Failure detection and heartbeats (RFC 9260 §8.1, §8.3; RFC 8261 §6.1).

use crate::raw_sctp::*;
use std::collections::BTreeSet;
use std::time::Duration;
use straits_sctp::{CloseReason, Config, Event, State, TimeoutKind};

const NANOSECOND: Duration = Duration::from_nanos(1);

/// The engine sends no HEARTBEATs of its own.
fn quiet() -> RawPeer {
    RawPeer::passive(Config::strict().heartbeat_interval(Duration::ZERO))
}

/// HEARTBEATs after 30 s and an RTO of 1 s.
fn idle() -> RawPeer {
    RawPeer::passive(Config::strict())
}

/// To the next timer, not without having seen that nothing happens before; what leaves then.
fn fire(peer: &mut RawPeer) -> Vec<Packet> {
    let due = peer.engine.poll_timeout().expect("a timer");
    assert_eq!(peer.run_for(due - peer.now - NANOSECOND), []);
    peer.run_for(NANOSECOND).into_iter().map(|(_, packet)| packet).collect()
}

/// To the next HEARTBEAT; what it has to say.
fn next_heartbeat(peer: &mut RawPeer) -> Vec<u8> {
    let packets = std::iter::repeat_with(|| fire(peer)).find(|packets| !packets.is_empty()).unwrap();
    info_of(&packets)
}

/// The Heartbeat Info of the HEARTBEAT that is all there is.
fn info_of(packets: &[Packet]) -> Vec<u8> {
    assert_eq!(kinds(packets), [[HEARTBEAT]]);
    let parameters = split(&packets[0].chunks[0].value);
    assert_eq!((parameters.len(), parameters[0].0), (1, 1));
    parameters[0].1.clone()
}

/// To the next HEARTBEAT, and on for the RTO in which it has no answer.
fn unanswered(peer: &mut RawPeer) {
    next_heartbeat(peer);
    let rto = peer.engine.stats().rto;
    assert_eq!(peer.run_for(rto), []);
}

fn srtt(peer: &RawPeer) -> Option<Duration> {
    peer.engine.stats().srtt
}

#[track_caller]
fn assert_alive(peer: &mut RawPeer) {
    assert_eq!((peer.engine.state(), peer.drain_events()), (State::Established, vec![]));
}

#[track_caller]
fn assert_given_up(peer: &mut RawPeer, kind: TimeoutKind) {
    assert_eq!(peer.drain_events(), [Event::Closed(CloseReason::Timeout(kind))]);
    assert_eq!((peer.engine.state(), peer.engine.poll_timeout()), (State::Closed, None));
}

/// RFC 9260 §8.3: "immediately respond with a HEARTBEAT ACK chunk that contains the Heartbeat Information TLV, together
/// with any other received TLVs, copied unchanged".
#[test]
fn item_201_answers_are_copies() {
    let mut peer = quiet();
    let infos = (0..=9_u8).map(|len| tlv(1, &(0..len).map(|n| 0xFF - n).collect::<Vec<_>>()));
    let others = [
        join(&[tlv(1, b"abc"), tlv(0x8888, b"xyz"), tlv(7, b"")]),
        join(&[tlv(1, b""), tlv(0x0001, b"twice")]),
    ];
    for value in infos.chain(others) {
        // Flags are "Set to 0 on transmit and ignored on receipt".
        let replies = peer.exchange(&[Chunk::new(HEARTBEAT, 0xFF, &value)]);
        assert_eq!(replies.len(), 1);
        assert_eq!(replies[0].chunks, [Chunk::new(HEARTBEAT_ACK, 0, &value)]);
    }
}

/// RFC 9260 §8.3: answered "after entering the COOKIE-ECHOED state (sender of the INIT chunk)"; §5.1 C: "until the COOKIE
/// ACK chunk is returned, the sender MUST NOT send any other packets". Both hold if the answer shares the packet of a COOKIE
/// ECHO, or waits.
#[test]
fn item_201_in_cookie_echoed() {
    let mut peer = RawPeer::new(Config::strict());
    peer.connect();
    peer.assert_chunks_ignored(&[heartbeat(b"in COOKIE-WAIT")]);
    peer.answer_init(&[]);
    assert_eq!(peer.engine.state(), State::CookieEchoed);
    assert_eq!(peer.exchange(&[heartbeat(b"first")]), []);
    let again = fire(&mut peer);
    assert_eq!(kinds(&again), [[COOKIE_ECHO, HEARTBEAT_ACK]]);
    assert_eq!(again[0].chunks[1], heartbeat_ack(b"first"));
    assert_eq!(peer.exchange(&[heartbeat(b"second")]), []);
    let replies = peer.exchange(&[bare(COOKIE_ACK)]);
    assert_eq!(
        replies.iter().map(|packet| &packet.chunks[..]).collect::<Vec<_>>(),
        [[heartbeat_ack(b"second")]]
    );
}

/// RFC 9260 §8.3: "up until reaching the SHUTDOWN-SENT state (sender of the SHUTDOWN chunk) or the SHUTDOWN-ACK-SENT state
/// (receiver of the SHUTDOWN chunk)".
#[test]
fn item_201_until_the_shutdown() {
    let outstanding = || {
        let mut peer = quiet();
        peer.user_sends(0, b"outstanding");
        assert_eq!(peer.replies().len(), 1);
        peer
    };
    let (mut pending, mut received) = (outstanding(), outstanding());
    pending.engine.shutdown(pending.now);
    received.exchange(&[shutdown(received.engine_tsn.wrapping_sub(1))]);
    assert_eq!(
        (pending.engine.state(), received.engine.state()),
        (State::ShutdownPending, State::ShutdownReceived)
    );
    for peer in [&mut pending, &mut received] {
        assert_eq!(kinds(&peer.exchange(&[heartbeat(b"info")])), [[HEARTBEAT_ACK]]);
        let tsn = peer.engine_tsn;
        peer.exchange(&[Sack::new(tsn).chunk()]);
        peer.assert_chunks_ignored(&[heartbeat(b"info")]);
    }
    assert_eq!(
        (pending.engine.state(), received.engine.state()),
        (State::ShutdownSent, State::ShutdownAckSent)
    );
}

/// RFC 9260 §8.3 sets no bound, but who is flooded need not answer it all: twenty a second.
#[test]
fn item_201_at_most_twenty_a_second() {
    let mut peer = quiet();
    for second in 0..3_u64 {
        peer.now = peer.start + secs(second);
        let answers = (0..100).flat_map(|_| peer.exchange(&[heartbeat(b"flood")])).count();
        assert_eq!(answers, 20);
    }
}

/// RFC 9260 §8.3: "copied unchanged": what does not fit into a packet is not cut.
#[test]
fn item_202_too_large_to_answer() {
    for size in [512, 1191, 1200] {
        let mut peer = RawPeer::new(Config::strict().max_packet_size(size));
        peer.max_packet_size = size;
        peer.open();
        // Whole words, less the headers of packet, chunk and parameter.
        let largest = size / 4 * 4 - 12 - 4 - 4;
        let replies = peer.exchange(&[heartbeat(&vec![1; largest])]);
        assert_eq!(replies[0].chunks, [heartbeat_ack(&vec![1; largest])]);
        assert_eq!(replies[0].len, size / 4 * 4);
        for too_large in [largest + 1, largest + 4, 60_000] {
            peer.assert_chunks_ignored(&[heartbeat(&vec![1; too_large])]);
        }
    }
}

/// RFC 9260 §8.3: "once per RTO of that destination address plus the protocol parameter 'HB.interval', with jittering of
/// +/- 50% of the RTO value".
#[test]
fn item_203_interval() {
    let mut first = BTreeSet::new();
    for seed in 0..20 {
        let mut peer = RawPeer::with_seed(Config::strict(), seed);
        peer.open();
        let mut previous = peer.now;
        for _ in 0..5 {
            let info = next_heartbeat(&mut peer);
            let passed = peer.now - previous;
            assert!((ms(30_500)..=ms(31_500)).contains(&passed), "{passed:?}");
            first.insert(passed);
            previous = peer.now;
            peer.exchange(&[heartbeat_ack(&info)]);
        }
    }
    assert!(first.len() > 90, "{} different intervals of 100", first.len());
    let spread = *first.last().unwrap() - *first.first().unwrap();
    assert!(spread > ms(900), "{spread:?}");
}

/// RFC 9260 §8.3: a path is idle if no "first transmission DATA" left within the period; what the peer sends is none.
#[test]
fn item_203_only_when_idle() {
    let mut peer = idle();
    for n in 0..60 {
        peer.user_sends(0, b"data");
        assert_eq!(kinds(&peer.replies()), [[DATA]]);
        let tsn = peer.engine_tsn.wrapping_add(n);
        assert_eq!(peer.exchange(&[Sack::new(tsn).chunk()]), []);
        if n < 59 {
            assert_eq!(peer.run_for(secs(10)), []);
        }
    }
    let last_sent = peer.now;
    next_heartbeat(&mut peer);
    let passed = peer.now - last_sent;
    assert!((ms(30_500)..=ms(31_500)).contains(&passed), "{passed:?}");

    let mut peer = idle();
    let mut sent = Vec::new();
    for ssn in 0..12 {
        let chunk = peer.next_data(ssn, b"data");
        sent.extend(peer.exchange(&[chunk]));
        sent.extend(peer.run_for(secs(10)).into_iter().map(|(_, packet)| packet));
    }
    // Unanswered ones are an RTO of 1, 2 and 4 s farther apart than the interval, give or take a half.
    assert_eq!(sent.iter().filter(|packet| packet.kinds() == [HEARTBEAT]).count(), 3);
}

/// RFC 9260 §8.3: 'HB.interval' is the user's; zero, here, switches it off.
#[test]
fn item_203_configured_interval() {
    let mut peer = quiet();
    assert_eq!((peer.engine.poll_timeout(), peer.run_for(secs(3600))), (None, vec![]));
    let mut peer = RawPeer::passive(Config::strict().heartbeat_interval(secs(300)));
    next_heartbeat(&mut peer);
    let passed = peer.now - peer.start;
    assert!((ms(300_500)..=ms(301_500)).contains(&passed), "{passed:?}");
}

/// RFC 9260 §8.3: "exponential backoff of the RTO if the previous HEARTBEAT chunk is unanswered".
#[test]
fn item_203_back_off() {
    let mut peer = idle();
    let mut previous = peer.now;
    for rto in [1, 2, 4, 8, 16, 32, 60, 60].map(secs) {
        assert_eq!(peer.engine.stats().rto, rto);
        next_heartbeat(&mut peer);
        let beyond = peer.now - previous - secs(30);
        assert!((rto / 2..=rto * 3 / 2).contains(&beyond), "{beyond:?}, RTO {rto:?}");
        previous = peer.now;
        peer.run_for(rto);
    }
}

/// RFC 9260 §5.4: "a 64-bit random nonce": nothing but the one that is outstanding counts, and only once.
#[test]
fn item_204_nonce() {
    let mut peer = idle();
    let nonce = next_heartbeat(&mut peer);
    assert_eq!(nonce.len(), 8);
    let mut wrong =
        vec![vec![], nonce[..7].to_vec(), [&nonce[..], &[0]].concat(), [&[0], &nonce[..]].concat()];
    for bit in 0..64 {
        let mut flipped = nonce.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        wrong.push(flipped);
    }
    for info in wrong {
        peer.assert_chunks_ignored(&[heartbeat_ack(&info)]);
        assert_eq!(srtt(&peer), None);
    }
    peer.now += ms(40);
    assert_eq!(peer.exchange(&[heartbeat_ack(&nonce)]), []);
    assert_eq!(srtt(&peer), Some(ms(40)));
    peer.now += ms(500);
    peer.assert_chunks_ignored(&[heartbeat_ack(&nonce)]);
    assert_eq!(srtt(&peer), Some(ms(40)));
    // An old one, when there is a newer.
    let newer = next_heartbeat(&mut peer);
    peer.assert_chunks_ignored(&[heartbeat_ack(&nonce)]);
    peer.now += ms(120);
    peer.exchange(&[heartbeat_ack(&newer)]);
    // (7·40 + 120)/8
    assert_eq!(srtt(&peer), Some(ms(50)));
}

/// RFC 9260 §5.4: random: no two are alike, whatever the seed.
#[test]
fn item_204_nonces_differ() {
    let mut nonces = BTreeSet::new();
    for seed in 0..10 {
        let mut peer = RawPeer::with_seed(Config::strict(), seed);
        peer.open();
        for _ in 0..10 {
            let nonce = next_heartbeat(&mut peer);
            peer.exchange(&[heartbeat_ack(&nonce)]);
            nonces.insert(nonce);
        }
    }
    assert_eq!(nonces.len(), 100);
    let ones: u32 = nonces.iter().flatten().map(|byte| byte.count_ones()).sum();
    assert!((3000..=3400).contains(&ones), "{ones} of 6400 bits");
}

/// RFC 9260 §8.3: "perform an RTT measurement": by a time that was kept here, as the peer's word is only the nonce.
#[test]
fn item_205_round_trip_time() {
    let mut peer = idle();
    let nonce = next_heartbeat(&mut peer);
    peer.now += ms(70);
    // What the peer adds is not looked at.
    let value = join(&[tlv(1, &nonce), tlv(1, &[0; 8]), tlv(0x8001, &[0xFF; 40])]);
    peer.exchange(&[Chunk::new(HEARTBEAT_ACK, 0xFF, &value)]);
    // RTO: 70 ms + 4 · 35 ms, which is less than RTO.Min.
    assert_eq!((srtt(&peer), peer.engine.stats().rto), (Some(ms(70)), secs(1)));
    let nonce = next_heartbeat(&mut peer);
    peer.now += secs(1) - NANOSECOND;
    peer.exchange(&[heartbeat_ack(&nonce)]);
    assert_eq!(srtt(&peer), Some((ms(70) * 7 + secs(1) - NANOSECOND) / 8));
}

/// RFC 9260 §8.1: each HEARTBEAT unanswered for an RTO counts; closed when the counter "exceeds the limit", not before.
#[test]
fn item_206_unanswered() {
    for (config, limit) in [(Config::strict(), 10), (Config::strict().max_retransmits(3), 3)] {
        let mut peer = RawPeer::passive(config);
        for _ in 0..limit {
            unanswered(&mut peer);
            assert_alive(&mut peer);
        }
        next_heartbeat(&mut peer);
        let rto = peer.engine.stats().rto;
        assert_eq!(peer.engine.poll_timeout(), Some(peer.now + rto));
        peer.run_for(rto - NANOSECOND);
        assert_alive(&mut peer);
        assert_eq!(peer.run_for(NANOSECOND), []);
        assert_given_up(&mut peer, TimeoutKind::Heartbeat);
    }
}

/// RFC 9260 §8.1: "When a HEARTBEAT ACK chunk is received from the peer endpoint, the counter SHOULD also be reset", even if
/// it comes late.
#[test]
fn item_206_one_answer_clears() {
    for late in [false, true] {
        let mut peer = RawPeer::passive(Config::strict().max_retransmits(3));
        (0..2).for_each(|_| unanswered(&mut peer));
        let nonce = next_heartbeat(&mut peer);
        if late {
            peer.run_for(peer.engine.stats().rto);
        }
        peer.now += ms(10);
        peer.exchange(&[heartbeat_ack(&nonce)]);
        for _ in 0..3 {
            unanswered(&mut peer);
            assert_alive(&mut peer);
        }
        unanswered(&mut peer);
        assert_given_up(&mut peer, TimeoutKind::Heartbeat);
    }
}

/// RFC 8261 §6.1: "RECOMMENDED to set the SCTP parameter path.max.retrans to association.max.retrans": one counter, one
/// limit, and no other state of the path before.
#[test]
fn item_207_one_limit() {
    let mut peer = RawPeer::passive(Config::strict().max_retransmits(3));
    (0..2).for_each(|_| unanswered(&mut peer));
    peer.user_sends(0, b"data");
    assert_eq!(kinds(&peer.replies()), [[DATA]]);
    peer.drain_events();
    assert_eq!(kinds(&fire(&mut peer)), [[DATA]], "the third timeout");
    assert_alive(&mut peer);
    assert_eq!(fire(&mut peer), []);
    assert_given_up(&mut peer, TimeoutKind::Retransmissions);
    // RFC 9260 §16 has 5 for Path.Max.Retrans; the seventh timeout is nothing special here.
    let mut peer = idle();
    for _ in 0..7 {
        unanswered(&mut peer);
        assert_alive(&mut peer);
    }
    peer.user_sends(0, b"data");
    assert_eq!(kinds(&peer.replies()), [[DATA]]);
}

/// RFC 9260 §3.3.5: Heartbeat Info is mandatory: what has none, or a broken one, is dropped, and only that.
#[test]
fn item_208_without_its_parameter() {
    let mut peer = idle();
    let nonce = next_heartbeat(&mut peer);
    for value in [
        &[][..],
        &[0, 1],
        &[0, 1, 0],
        &[0, 1, 0, 0],
        &[0, 1, 0, 3],
        &[0, 1, 0, 9, 1, 2, 3, 4],
        &[0, 1, 0xFF, 0xFF, 1, 2, 3, 4],
        &[0, 2, 0, 8, 1, 2, 3, 4],
        &[0x80, 1, 0, 8, 1, 2, 3, 4],
        &[&[0, 2, 0, 12][..], &nonce].concat(),
    ] {
        let (request, answer) = (Chunk::new(HEARTBEAT, 0, value), Chunk::new(HEARTBEAT_ACK, 0, value));
        peer.assert_chunks_ignored(&[request.clone(), answer]);
        assert_eq!(srtt(&peer), None);
        peer.now += ms(51);
        let replies = peer.exchange(&[request, heartbeat(b"sound")]);
        assert_eq!(replies[0].chunks, [heartbeat_ack(b"sound")]);
    }
}

/// RFC 9260 §8.3: begun "upon reaching the ESTABLISHED state", "discontinued after sending either a SHUTDOWN chunk or
/// SHUTDOWN ACK chunk".
#[test]
fn item_209_only_in_an_association() {
    let config = || Config::strict().heartbeat_interval(secs(1));
    let mut waiting = RawPeer::new(config());
    waiting.connect();
    let mut echoed = RawPeer::new(config());
    echoed.connect();
    echoed.answer_init(&[]);
    let mut sent = RawPeer::passive(config());
    sent.engine.shutdown(sent.now);
    assert_eq!(kinds(&sent.replies()), [[SHUTDOWN]]);
    let mut ack_sent = RawPeer::passive(config());
    ack_sent.shut_down();
    for (mut peer, kind) in
        [(waiting, INIT), (echoed, COOKIE_ECHO), (sent, SHUTDOWN), (ack_sent, SHUTDOWN_ACK)]
    {
        let packets = peer.run_for(secs(200));
        assert_eq!(packets.len(), 8, "at 1, 3, 7, 15, 31, 63, 123 and 183 s");
        assert!(packets.iter().all(|(_, packet)| packet.kinds() == [kind]), "{packets:?}");
    }
}

/// RFC 9260 §16: HB.Max.Burst is 1: while one is waiting for its answer there is no other, however short the interval is.
#[test]
fn item_210_one_at_a_time() {
    for seed in 0..5 {
        let config = Config::strict().heartbeat_interval(ms(10)).max_retransmits(100);
        let mut peer = RawPeer::with_seed(config, seed);
        peer.open();
        for _ in 0..10 {
            next_heartbeat(&mut peer);
            assert_eq!(peer.replies(), []);
            let rto = peer.engine.stats().rto;
            assert_eq!(peer.run_for(rto), []);
        }
    }
}
