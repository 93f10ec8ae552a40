//! RTO and T3-rtx (RFC 9260 §6.3).

use crate::raw_sctp::*;
use std::time::Duration;
use straits_sctp::{CloseReason, Config, Event, State, TimeoutKind};

/// A message of its own packet, as large as one may be.
const FULL: usize = 1160;
/// The largest DATA chunk of a packet of 1191 bytes: 16 bytes of header and [`FULL`].
const PMDCS: usize = 1176;

const NANOSECOND: Duration = Duration::from_nanos(1);

/// RTO 1 s at first, 1 s at least, 60 s at most; no heartbeats, so that all timers are T3.
fn quiet() -> Config {
    Config::strict().heartbeat_interval(Duration::ZERO)
}

fn established() -> RawPeer {
    RawPeer::passive(quiet())
}

/// The user sends a message of this size, which leaves at once.
fn send(peer: &mut RawPeer, len: usize) {
    peer.user_sends(0, &vec![1; len]);
    assert_eq!(peer.replies().len(), 1);
    peer.drain_events();
}

/// Which messages, counted from 0, are in these packets.
fn messages(peer: &RawPeer, packets: &[Packet]) -> Vec<Vec<u32>> {
    let number = |chunk: &Chunk| chunk.tsn().wrapping_sub(peer.engine_tsn);
    packets.iter().map(|packet| packet.chunks.iter().map(number).collect()).collect()
}

/// A SACK of the first `n` messages and of these blocks; what leaves for it.
fn sack(peer: &mut RawPeer, n: u32, gaps: &[(u16, u16)]) -> Vec<Vec<u32>> {
    let cumulative = peer.engine_tsn.wrapping_add(n).wrapping_sub(1);
    let replies = peer.exchange(&[Sack { gaps: gaps.to_vec(), ..Sack::new(cumulative) }.chunk()]);
    messages(peer, &replies)
}

/// To the next timer, not without having seen that nothing happens before; what leaves then.
fn expire(peer: &mut RawPeer) -> Vec<Vec<u32>> {
    let due = peer.engine.poll_timeout().expect("a timer");
    assert_eq!(peer.run_for(due - peer.now - NANOSECOND), []);
    let sent: Vec<Packet> = peer.run_for(NANOSECOND).into_iter().map(|(_, packet)| packet).collect();
    messages(peer, &sent)
}

/// SRTT and RTO.
fn estimate(peer: &RawPeer) -> (Option<Duration>, Duration) {
    let stats = peer.engine.stats();
    (stats.srtt, stats.rto)
}

/// Message `n` takes this long to be acknowledged.
fn measure(peer: &mut RawPeer, n: u32, rtt: Duration) {
    send(peer, 1);
    peer.now += rtt;
    sack(peer, n + 1, &[]);
}

/// RFC 9260 §6.3.1 C1–C3: "SRTT = R, RTTVAR = R/2", then by 1/8 and 1/4; "RTO = SRTT + 4 * RTTVAR"; worked out by hand.
#[test]
fn item_173_samples() {
    let us = Duration::from_micros;
    let mut peer = RawPeer::passive(quiet().rto_min(ms(10)));
    assert_eq!(estimate(&peer), (None, secs(1)));
    let table = [
        (us(100_000), us(100_000), us(300_000)),
        // RTTVAR (3·50 + |100 − 200|)/4 = 62.5; SRTT (7·100 + 200)/8 = 112.5
        (us(200_000), us(112_500), us(362_500)),
        // RTTVAR (3·62.5 + 0)/4 = 46.875
        (us(112_500), us(112_500), us(300_000)),
        // RTTVAR (3·46.875 + 80)/4 = 55.15625; SRTT (7·112.5 + 32.5)/8 = 102.5
        (us(32_500), us(102_500), us(323_125)),
    ];
    for (n, (rtt, srtt, rto)) in (0..).zip(table) {
        measure(&mut peer, n, rtt);
        assert_eq!(estimate(&peer), (Some(srtt), rto), "sample {n}");
    }
}

/// RFC 9260 §6.3.1 C5: "MUST NOT be made using chunks that were retransmitted".
#[test]
fn item_174_what_was_sent_twice() {
    let mut peer = established();
    send(&mut peer, 1);
    assert_eq!(expire(&mut peer), [[0]]);
    peer.now += ms(70);
    sack(&mut peer, 1, &[]);
    assert_eq!(estimate(&peer), (None, secs(2)));
}

/// RFC 9260 §6.3.1 C5: nor if a "TSN less than or equal to r was retransmitted since the DATA chunk with TSN r was sent".
#[test]
fn item_174_what_was_sent_before_a_retransmission() {
    for lost in [true, false] {
        let mut peer = established();
        (0..4).for_each(|_| send(&mut peer, 100));
        assert_eq!(expire(&mut peer), [[0, 1, 2, 3]]);
        sack(&mut peer, 1, &[]);
        assert_eq!(estimate(&peer).0, None);
        // 4 is the first message whose round trip can be measured.
        (4..7).for_each(|_| send(&mut peer, 100));
        peer.now += ms(70);
        if lost {
            let resent = [&[(2, 2)][..], &[(2, 3)], &[(2, 3), (5, 5)]].map(|gaps| sack(&mut peer, 1, gaps));
            assert_eq!(resent, [vec![], vec![], vec![vec![1]]]);
        }
        sack(&mut peer, 7, &[]);
        assert_eq!(estimate(&peer).0, (!lost).then_some(ms(70)));
    }
}

/// RFC 9260 §6.3.1 C4: "no more than once per round trip", but each round trip.
#[test]
fn item_175_one_sample_per_round_trip() {
    let mut peer = established();
    (0..4).for_each(|_| send(&mut peer, 1));
    for (n, at) in [(1, ms(100)), (2, ms(300)), (4, ms(350))] {
        peer.now = peer.start + at;
        sack(&mut peer, n, &[]);
        assert_eq!(estimate(&peer).0, Some(ms(100)));
    }
    send(&mut peer, 1);
    peer.now += ms(10);
    send(&mut peer, 1);
    peer.now += ms(40);
    sack(&mut peer, 5, &[]);
    // (7·100 + 50)/8; the one sent 10 ms later is of the same round trip.
    let srtt = Some(Duration::from_micros(93_750));
    assert_eq!(estimate(&peer).0, srtt);
    peer.now += ms(500);
    sack(&mut peer, 6, &[]);
    assert_eq!(estimate(&peer).0, srtt);
}

/// RFC 9260 §6.3.1 G1: "if RTTVAR == 0, then adjust RTTVAR = G", which is 1 ms.
#[test]
fn item_175_variance_of_zero() {
    let mut peer = RawPeer::passive(quiet().rto_min(ms(10)));
    let mut beyond = Vec::new();
    for n in 0..100 {
        measure(&mut peer, n, ms(100));
        beyond.push(peer.engine.stats().rto - ms(100));
    }
    let adjusted = beyond.windows(2).position(|pair| pair[1] > pair[0]).expect("RTTVAR came to 0");
    assert_eq!((beyond[adjusted], beyond[adjusted + 1]), (4 * NANOSECOND, ms(4)));
    assert!(beyond[..adjusted].is_sorted_by(|a, b| a > b), "{beyond:?}");
}

/// RFC 9260 §6.3.1 C6, C7: between RTO.Min and RTO.Max.
#[test]
fn item_176_bounds() {
    for (config, rtt, rto) in [
        (quiet(), ms(5), secs(1)),
        (Config::default().heartbeat_interval(Duration::ZERO), ms(5), ms(400)),
        // 40 s + 4 · 20 s
        (quiet().rto_initial(secs(60)), secs(40), secs(60)),
        (quiet().rto_initial(secs(60)).rto_max(secs(200)), secs(40), secs(120)),
    ] {
        let mut peer = RawPeer::passive(config);
        measure(&mut peer, 0, rtt);
        assert_eq!(estimate(&peer), (Some(rtt), rto));
    }
}

/// RFC 9260 §6.3.1 measures round trips: what lasts for more than a minute, or ends before it began, is none.
#[test]
fn item_176_absurd_samples() {
    let config = quiet().rto_initial(secs(100)).rto_max(secs(300));
    let mut peer = RawPeer::passive(config.clone());
    measure(&mut peer, 0, secs(60) + NANOSECOND);
    assert_eq!(estimate(&peer), (None, secs(100)));
    measure(&mut peer, 1, secs(60));
    assert_eq!(estimate(&peer), (Some(secs(60)), secs(180)));
    let mut peer = RawPeer::passive(config);
    peer.now += secs(1);
    send(&mut peer, 1);
    peer.now -= ms(1);
    sack(&mut peer, 1, &[]);
    assert_eq!(estimate(&peer), (None, secs(100)));
}

/// RFC 9260 §6.3.3 E1–E3, §7.2.3: "ssthresh = max(cwnd / 2, 4 * PMDCS)", "cwnd = PMDCS", "RTO = RTO * 2", one packet.
#[test]
fn item_177_t3_expires() {
    let mut peer = established();
    (0..4).for_each(|_| send(&mut peer, FULL));
    assert_eq!(peer.engine.poll_timeout(), Some(peer.start + secs(1)));
    assert_eq!(peer.engine.stats().bytes_in_flight, 4 * PMDCS);
    assert_eq!(expire(&mut peer), [[0]]);
    let stats = peer.engine.stats();
    assert_eq!((stats.ssthresh, stats.cwnd, stats.rto), (Some(4 * PMDCS), PMDCS, secs(2)));
    assert_eq!((stats.bytes_in_flight, stats.t3_expirations), (PMDCS, 1));
    assert_eq!(peer.engine.poll_timeout(), Some(peer.start + secs(3)));
    // The others are marked too, and leave as cwnd allows, which grows by a packet for each that is acknowledged.
    assert_eq!(sack(&mut peer, 1, &[]), [[1], [2]]);
    assert_eq!(peer.engine.stats().cwnd, 2 * PMDCS);
    assert_eq!(sack(&mut peer, 2, &[]), [[3]]);
    assert_eq!(sack(&mut peer, 4, &[]), [[0; 0]; 0]);
    assert_eq!(peer.engine.poll_timeout(), None);
}

/// RFC 9260 §6.3.3 E3: as many of the earliest chunks "will fit into a single SCTP packet", and no other.
#[test]
fn item_177_small_messages_share_the_packet() {
    let mut peer = established();
    (0..12).for_each(|_| send(&mut peer, 100));
    // 116 bytes each: ten fill 1160 of 1179 bytes.
    assert_eq!(expire(&mut peer), [(0..10).collect::<Vec<_>>()]);
    assert_eq!(sack(&mut peer, 10, &[]), [[10, 11]]);
}

/// RFC 9260 §7.2.1 has no growth in Fast Recovery, and none of its rules ends that by T3. It ends: the window would stay
/// at one packet for a whole flight.
#[test]
fn item_177_t3_ends_fast_recovery() {
    let mut peer = RawPeer::passive(quiet());
    (0..4).for_each(|_| send(&mut peer, FULL));
    // Slow start: a window for eight.
    for n in 1..=4 {
        sack(&mut peer, n, &[]);
        (0..2).for_each(|_| peer.user_sends(0, &[1; FULL]));
        assert_eq!(peer.replies().len(), 2);
    }
    assert_eq!(peer.engine.stats().cwnd, 4404 + 4 * PMDCS);
    let resent = [&[(2, 2)][..], &[(2, 3)], &[(2, 4)]].map(|gaps| sack(&mut peer, 4, gaps));
    assert_eq!(resent[2], [[4]]);
    assert_eq!(expire(&mut peer), [[4]]);
    assert_eq!(peer.engine.stats().cwnd, PMDCS);
    // The exit point of the recovery was 11.
    assert_eq!(sack(&mut peer, 8, &[]), [[8], [9]]);
    assert_eq!(peer.engine.stats().cwnd, 2 * PMDCS);
}

/// RFC 9260 §6.3.3 E2: RTO.Max bounds the doubling.
#[test]
fn item_177_back_off_is_bounded() {
    let mut peer = established();
    send(&mut peer, 1);
    let rtos: Vec<u64> = (0..9)
        .map(|_| {
            assert_eq!(expire(&mut peer), [[0]]);
            assert_eq!(peer.engine.poll_timeout(), Some(peer.now + peer.engine.stats().rto));
            peer.engine.stats().rto.as_secs()
        })
        .collect();
    assert_eq!(rtos, [2, 4, 8, 16, 32, 60, 60, 60, 60]);
}

/// RFC 9260 §6.3.3: a new measurement "might result in "collapsing" RTO back down"; nothing else does.
#[test]
fn item_178_a_new_sample_ends_the_back_off() {
    let mut peer = established();
    send(&mut peer, 1);
    expire(&mut peer);
    expire(&mut peer);
    assert_eq!(estimate(&peer), (None, secs(4)));
    sack(&mut peer, 1, &[]);
    assert_eq!(estimate(&peer), (None, secs(4)), "sent more than once");
    send(&mut peer, 1);
    assert_eq!(peer.engine.poll_timeout(), Some(peer.now + secs(4)));
    peer.now += ms(400);
    sack(&mut peer, 2, &[]);
    // 400 ms + 4 · 200 ms
    assert_eq!(estimate(&peer), (Some(ms(400)), ms(1200)));
    send(&mut peer, 1);
    assert_eq!(peer.engine.poll_timeout(), Some(peer.now + ms(1200)));
}

/// RFC 9260 §6.1, §6.3.2 R1: started if it does not run; restarted "if the earliest (i.e., lowest TSN) outstanding DATA
/// chunk sent to that address is being retransmitted", otherwise "MUST NOT restart".
#[test]
fn item_179_start_of_t3() {
    let mut peer = established();
    assert_eq!(peer.engine.poll_timeout(), None);
    send(&mut peer, 1);
    let first = Some(peer.now + secs(1));
    assert_eq!(peer.engine.poll_timeout(), first);
    peer.now += ms(300);
    (1..10).for_each(|_| send(&mut peer, 1));
    assert_eq!(peer.engine.poll_timeout(), first);
    // 0 is resent: the earliest one.
    for gaps in [(2, 2), (2, 3)] {
        assert_eq!(sack(&mut peer, 0, &[gaps]), [[0; 0]; 0]);
        assert_eq!(peer.engine.poll_timeout(), first);
    }
    assert_eq!(sack(&mut peer, 0, &[(2, 4)]), [[0]]);
    let restarted = Some(peer.now + secs(1));
    assert_eq!(peer.engine.poll_timeout(), restarted);
    // 5 is resent while 0 is outstanding.
    peer.now += ms(300);
    sack(&mut peer, 0, &[(2, 5), (7, 7)]);
    sack(&mut peer, 0, &[(2, 5), (7, 8)]);
    assert_eq!(sack(&mut peer, 0, &[(2, 5), (7, 9)]), [[5]]);
    assert_eq!(peer.engine.poll_timeout(), restarted);
}

/// RFC 9260 §8.1: the error counter "MUST be reset each time a DATA chunk sent to that peer endpoint is acknowledged", by
/// nothing less.
#[test]
fn item_180_error_counter() {
    for new in [true, false] {
        let mut peer = RawPeer::passive(quiet().max_retransmits(3));
        (0..2).for_each(|_| send(&mut peer, FULL));
        (0..3).for_each(|_| assert_eq!(expire(&mut peer), [[0]]));
        // The second message was received, or nothing at all.
        let gaps: &[(u16, u16)] = if new { &[(2, 2)] } else { &[] };
        sack(&mut peer, 0, gaps);
        if new {
            (0..3).for_each(|_| assert_eq!(expire(&mut peer), [[0]]));
        }
        assert_eq!((peer.engine.state(), peer.drain_events()), (State::Established, vec![]));
        assert_eq!(expire(&mut peer), [[0; 0]; 0]);
        let reason = CloseReason::Timeout(TimeoutKind::Retransmissions);
        assert_eq!(peer.drain_events(), [Event::Closed(reason)], "new: {new}");
    }
}

/// RFC 9260 §8.1: "If the value of this counter exceeds the limit": ten retransmissions, then the end, told once.
#[test]
fn item_181_too_many_timeouts() {
    let mut peer = established();
    send(&mut peer, 5);
    let sent = peer.run_for(secs(363) - NANOSECOND);
    let times: Vec<u64> = sent.iter().map(|(at, _)| at.as_secs()).collect();
    assert_eq!(times, [1, 3, 7, 15, 31, 63, 123, 183, 243, 303]);
    assert!(sent.iter().all(|(at, packet)| {
        (at.subsec_nanos(), messages(&peer, std::slice::from_ref(packet))) == (0, vec![vec![0]])
    }));
    assert_eq!((peer.engine.state(), peer.drain_events()), (State::Established, vec![]));
    assert_eq!(peer.run_for(NANOSECOND), []);
    let reason = CloseReason::Timeout(TimeoutKind::Retransmissions);
    assert_eq!(peer.drain_events(), [Event::Closed(reason)]);
    assert_eq!((peer.engine.state(), peer.engine.poll_timeout()), (State::Closed, None));
    assert_eq!(peer.engine.undelivered(), 5);
}

/// RFC 9260 §6.3.3 E2: however often the RTO is doubled, it stays where RTO.Max has it, and T3 runs.
#[test]
fn item_182_doubling_does_not_overflow() {
    let mut peer = RawPeer::passive(quiet().max_retransmits(u32::MAX));
    send(&mut peer, 1);
    (0..1000).for_each(|_| assert_eq!(expire(&mut peer), [[0]]));
    assert_eq!(peer.engine.poll_timeout(), Some(peer.now + secs(60)));

    let mut peer = RawPeer::new(quiet().max_init_retransmits(u32::MAX));
    peer.connect();
    for n in 0..1000_u64 {
        let due = peer.engine.poll_timeout().unwrap();
        assert_eq!(due, peer.now + secs(60_u64.min(1 << n.min(10))));
        assert_eq!(peer.run_for(due - peer.now).len(), 1);
    }
}

/// No settings make a sum of times overflow: what would be due beyond the end of time is never due.
#[test]
fn item_182_endless_settings() {
    let config = Config::strict().rto_initial(Duration::MAX).rto_max(Duration::MAX);
    let mut peer = RawPeer::passive(config.heartbeat_interval(Duration::MAX));
    assert_eq!(peer.engine.poll_timeout(), None);
    send(&mut peer, 1);
    peer.now += secs(1_000_000);
    peer.engine.handle_timeout(peer.now);
    assert_eq!((peer.replies(), peer.engine.poll_timeout()), (vec![], None));
}

/// The same without a maximum: what is beyond the clock's last moment is never, and no panic.
#[test]
fn item_182_no_maximum() {
    let mut peer = RawPeer::passive(quiet().max_retransmits(u32::MAX).rto_max(Duration::MAX));
    send(&mut peer, 1);
    let mut expirations = 0;
    while let Some(due) = peer.engine.poll_timeout() {
        assert_eq!(peer.run_for(due - peer.now).len(), 1);
        expirations += 1;
    }
    // How many an Instant has room for depends on the system.
    assert!(expirations > 30, "{expirations}");
    assert_eq!((peer.engine.stats().rto, peer.engine.state()), (secs(1 << expirations), State::Established));
}
