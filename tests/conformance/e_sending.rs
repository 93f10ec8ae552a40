//! Sending DATA: when, and how much at once (RFC 9260 §6.1).

use crate::raw_sctp::*;
use crate::sctp_pair::*;
use bytes::BytesMut;
use rand::RngExt;
use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::SeedableRng;
use std::collections::BTreeSet;
use std::time::Duration;
use straits_sctp::{CloseReason, Config, Event, State, StreamId, TimeoutKind};

/// A message that needs a packet of its own.
const PAYLOAD: usize = 1000;
/// Such messages that the first congestion window of the default profile lets out: 12 chunks of 1016 bytes are the first to
/// exceed 10 of 1176.
const FIRST_WINDOW: u32 = 12;
/// The largest DATA chunk in 1191 bytes, and its payload.
const PMDCS: usize = 1176;
const FRAGMENT: usize = PMDCS - 16;

/// RTO of 1 s before and after a round trip of nothing.
fn strict() -> Config {
    Config::strict().heartbeat_interval(Duration::ZERO)
}

/// An engine whose peer has this window at first, and so many messages to send.
fn with_window(config: Config, window: u32, messages: usize) -> RawPeer {
    let mut peer = RawPeer::new(config);
    peer.open_with(&Init { window, ..peer.init() });
    for n in 0..messages {
        peer.user_sends(0, &patterned(n, PAYLOAD));
    }
    peer
}

/// What the engine sends now, as numbers of its TSNs.
fn sent(peer: &mut RawPeer) -> Vec<u32> {
    let chunks = chunks(&peer.replies());
    peer.numbers(&chunks)
}

fn acknowledge(peer: &mut RawPeer, count: u32, window: u32) -> Vec<u32> {
    let chunks = peer.acknowledge(count, window);
    peer.numbers(&chunks)
}

fn in_flight(peer: &RawPeer) -> usize {
    peer.engine.stats().bytes_in_flight
}

/// RFC 9260 §6: "Data transmission MUST only happen in the ESTABLISHED, SHUTDOWN-PENDING, and SHUTDOWN-RECEIVED states."
/// The exception, DATA behind COOKIE ECHO, is not made use of.
#[test]
fn item_099_states_in_which_data_is_sent() {
    let mut peer = RawPeer::new(quiet());
    for n in 0..30 {
        peer.user_sends(0, &patterned(n, PAYLOAD));
    }
    assert_eq!(peer.replies(), []);
    peer.connect();
    assert_eq!(peer.run_for(ms(499)), []);
    assert_eq!(peer.answer_init(&[]).kinds(), [COOKIE_ECHO]);
    assert_eq!(peer.run_for(ms(499)), []);
    let established = peer.exchange(&[bare(COOKIE_ACK)]);
    assert_eq!(peer.numbers(&chunks(&established)), Vec::from_iter(0..FIRST_WINDOW));

    peer.engine.shutdown(peer.now);
    assert_eq!((peer.engine.state(), peer.replies()), (State::ShutdownPending, vec![]));
    assert_eq!(acknowledge(&mut peer, 6, 1 << 20), Vec::from_iter(FIRST_WINDOW..24));

    assert_eq!(peer.exchange(&[shutdown(peer.engine_tsn + 11)]).len(), 6);
    assert_eq!(peer.engine.state(), State::ShutdownReceived);
    let resent = peer.run_for(peer.engine.stats().rto);
    assert_eq!(peer.numbers(&resent[0].1.chunks), [12], "T3 in SHUTDOWN-RECEIVED");

    assert_eq!(kinds(&peer.exchange(&[Sack::new(peer.engine_tsn + 29).chunk()])), [[SHUTDOWN_ACK]]);
    let rest = peer.run_for(secs(60));
    assert!(rest.iter().all(|(_, packet)| packet.kinds() == [SHUTDOWN_ACK]), "{rest:?}");
}

/// One packet of what the engine has to send, and the state in which it decided so.
fn next_packet(peer: &mut RawPeer) -> Option<(Packet, usize, usize)> {
    let before = peer.engine.stats();
    let mut buffer = BytesMut::new();
    let sent = peer.engine.poll_transmit(peer.now, &mut buffer);
    sent.then(|| (Packet::parse(&buffer), before.bytes_in_flight, before.cwnd))
}

/// RFC 9260 §6.1 B: no new data with "cwnd + (PMDCS - 1) or more bytes of data outstanding"; "The breach of cwnd MUST
/// constitute one packet only." Against a count of its own of what is outstanding.
#[test]
fn item_100_congestion_window() {
    let mut rng = ChaCha12Rng::seed_from_u64(seed());
    let mut peer = with_window(strict().max_burst(1000), 1 << 24, 0);
    let (mut sizes, mut acknowledged, mut breaches) = (Vec::<usize>::new(), 0, 0);
    for round in 0..400 {
        for _ in 0..rng.random_range(0..20) {
            peer.user_sends(0, &patterned(round, rng.random_range(1..4000)));
        }
        while let Some((packet, flight, cwnd)) = next_packet(&mut peer) {
            assert!(flight < cwnd, "{flight} bytes in flight and cwnd {cwnd}");
            sizes.extend(packet.chunks.iter().map(|chunk| chunk.padded_with(0).len()));
            let outstanding: usize = sizes[acknowledged..].iter().sum();
            assert_eq!(in_flight(&peer), outstanding);
            assert!(outstanding < cwnd + PMDCS);
            breaches += usize::from(outstanding > cwnd);
        }
        let stats = peer.engine.stats();
        let waits = peer.engine.buffered_amount(StreamId(0)) > 0;
        assert!(!waits || stats.bytes_in_flight >= stats.cwnd, "room is left unused");
        peer.now += ms(rng.random_range(0..50));
        acknowledged = rng.random_range(acknowledged..=sizes.len());
        peer.send(&[Sack::new(peer.engine_tsn.wrapping_add(acknowledged as u32).wrapping_sub(1)).chunk()]);
    }
    assert!(breaches > 50, "{breaches} breaches");
}

/// The same while chunks are lost: SACKs with random gaps, and T3.
#[test]
fn item_100_congestion_window_with_losses() {
    let mut rng = ChaCha12Rng::seed_from_u64(seed());
    let mut peer = with_window(strict().max_burst(1000), 1 << 24, 0);
    let (mut seen, mut new_packets, mut cumulative) = (BTreeSet::new(), 0, 0);
    for round in 0..2000 {
        for _ in 0..rng.random_range(0..4) {
            peer.user_sends(0, &patterned(round, rng.random_range(1..4000)));
        }
        while let Some((packet, flight, cwnd)) = next_packet(&mut peer) {
            let numbers = peer.numbers(&packet.chunks);
            if numbers.iter().filter(|number| seen.insert(**number)).count() > 0 {
                assert!(flight < cwnd, "{flight} bytes in flight and cwnd {cwnd}");
                assert!(in_flight(&peer) < cwnd + PMDCS);
                new_packets += 1;
            }
        }
        if rng.random_bool(0.02) {
            peer.run_for(secs(1));
            continue;
        }
        peer.now += ms(rng.random_range(0..50));
        let end = seen.len() as u32;
        cumulative = rng.random_range(cumulative..=end.min(cumulative + 4));
        let reported = (cumulative + 2..=end).filter(|_| rng.random_bool(0.6));
        let gaps = reported.map(|number| ((number - cumulative) as u16, (number - cumulative) as u16));
        let sack = Sack::new(peer.engine_tsn.wrapping_add(cumulative).wrapping_sub(1));
        peer.send(&[Sack { gaps: gaps.collect(), ..sack }.chunk()]);
    }
    let stats = peer.engine.stats();
    assert!(stats.fast_retransmits > 10 && stats.t3_expirations > 10 && new_packets > 500, "{stats:?}");
}

/// RFC 9260 §6.1 A: no new data if "rwnd is smaller than the size of the next DATA chunk".
#[test]
fn item_101_peers_window() {
    for (len, expected) in [(500, &[0, 1][..]), (501, &[0])] {
        let mut peer = with_window(quiet(), 1500, 1);
        peer.user_sends(0, &patterned(1, len));
        assert_eq!(sent(&mut peer), expected, "{len} bytes into the last 500");
    }
    // Less than half a chunk of room is not worth a fragment.
    let mut peer = with_window(quiet(), 3500, 40);
    assert_eq!(sent(&mut peer), [0, 1, 2]);
    assert_eq!(acknowledge(&mut peer, 1, 2500), []);
    assert_eq!(acknowledge(&mut peer, 2, 2500), [3]);
    assert_eq!(acknowledge(&mut peer, 4, 0), [], "nor with nothing in flight, before a probe is due");
    assert_eq!(acknowledge(&mut peer, 4, 2000), [4, 5]);
    assert_eq!(acknowledge(&mut peer, 6, u32::MAX), Vec::from_iter(6..6 + FIRST_WINDOW), "cwnd");
}

/// What an honest peer knows of the engine's new DATA, to check it against random windows.
#[derive(Default)]
struct Windowed {
    /// Payload of each chunk, by number.
    sizes: Vec<usize>,
    acknowledged: usize,
    window: usize,
    probes: usize,
}

impl Windowed {
    fn outstanding(&self) -> usize {
        self.sizes[self.acknowledged..].iter().sum()
    }

    fn note(&mut self, peer: &RawPeer, chunks: &[Chunk], may_probe: bool) {
        for (chunk, number) in chunks.iter().zip(peer.numbers(chunks)) {
            if number as usize == self.sizes.len() {
                let (outstanding, len) = (self.outstanding(), chunk.value.len() - 12);
                let fits = outstanding + len <= self.window;
                let is_probe = may_probe && outstanding == 0 && chunks.len() == 1;
                assert!(fits || is_probe, "{outstanding} + {len} of {}", self.window);
                self.probes += usize::from(!fits);
                self.sizes.push(len);
            }
        }
    }
}

/// RFC 9260 §6.1 A with random windows: new DATA fits what is left of the last one, but for probes: "a DATA chunk sent
/// when the receiver has no buffer space".
#[test]
fn item_101_random_windows() {
    let mut rng = ChaCha12Rng::seed_from_u64(seed());
    let mut peer = with_window(quiet(), 5000, 0);
    let mut known = Windowed { window: 5000, ..Windowed::default() };
    for round in 0..3000 {
        peer.user_sends(0, &patterned(round, rng.random_range(1..3000)));
        let at_once = chunks(&peer.replies());
        known.note(&peer, &at_once, false);
        known.acknowledged = rng.random_range(known.acknowledged..=known.sizes.len());
        known.window = rng.random_range(0..5) * rng.random_range(0..1500);
        let at_once = peer.acknowledge(known.acknowledged as u32, known.window as u32);
        known.note(&peer, &at_once, false);
        if known.outstanding() == 0
            && let Some(due) = peer.engine.poll_timeout()
        {
            let late = peer.run_for(due - peer.now).into_iter().flat_map(|(_, packet)| packet.chunks);
            known.note(&peer, &late.collect::<Vec<_>>(), true);
        }
    }
    assert!(known.probes > 100, "{} probes", known.probes);
    assert!(known.sizes.len() > 1000, "{} chunks", known.sizes.len());
}

/// Times and numbers of DATA chunks.
fn timeline(peer: &RawPeer, sent: &[(Duration, Packet)]) -> Vec<(u64, Vec<u32>)> {
    sent.iter().map(|(at, packet)| (at.as_secs(), peer.numbers(&packet.chunks))).collect()
}

/// RFC 9260 §6.1 A: "The sender SHOULD send the first zero window probe after 1 RTO when it detects that the receiver has
/// closed its window and SHOULD increase the probe interval exponentially afterwards." "Zero window probing does not affect
/// the calculation of cwnd."
#[test]
fn item_102_zero_window_probe() {
    let mut peer = with_window(strict(), 2000, 10);
    assert_eq!(sent(&mut peer), [0, 1]);
    let cwnd = peer.engine.stats().cwnd;
    assert_eq!(acknowledge(&mut peer, 2, 0), []);
    assert_eq!(peer.engine.poll_timeout(), Some(peer.start + secs(1)));
    let probes = peer.run_for(secs(200));
    let expected = [1, 3, 7, 15, 31, 63, 123, 183].map(|at| (at, vec![2]));
    assert_eq!(timeline(&peer, &probes), expected);
    assert_eq!(peer.engine.stats().cwnd, cwnd);
}

/// RFC 9260 §6.1 A: a probe "SHOULD only be sent when all outstanding DATA chunks have been cumulatively acknowledged and
/// no DATA chunks are in flight."
#[test]
fn item_102_no_probe_while_data_is_in_flight() {
    let mut peer = with_window(strict(), 2000, 10);
    assert_eq!(sent(&mut peer), [0, 1]);
    assert_eq!(acknowledge(&mut peer, 1, 0), []);
    let resent = peer.run_for(secs(7));
    assert_eq!(timeline(&peer, &resent), [1, 3, 7].map(|at| (at, vec![1])), "only what is outstanding");
    assert_eq!(acknowledge(&mut peer, 2, 0), []);
    assert_eq!(peer.run_for(secs(1) - Duration::from_nanos(1)), []);
    let probe = peer.run_for(Duration::from_nanos(1));
    assert_eq!(timeline(&peer, &probe), [(8, vec![2])]);
}

/// RFC 9260 §6.1 A: "If the sender continues to receive SACK chunks from the peer while doing zero window probing, the
/// unacknowledged window probes SHOULD NOT increment the error counter". Ten minutes, and only two errors are forgiven.
#[test]
fn item_103_answered_probes_are_no_failures() {
    let mut peer = with_window(strict().max_retransmits(2), 2000, 5);
    assert_eq!(sent(&mut peer), [0, 1]);
    assert_eq!(acknowledge(&mut peer, 2, 0), []);
    let mut probes = Vec::new();
    while let Some(due) = peer.engine.poll_timeout().filter(|due| *due <= peer.start + secs(600)) {
        let sent = peer.run_for(due - peer.now);
        probes.extend(timeline(&peer, &sent));
        assert_eq!(acknowledge(&mut peer, 2, 0), []);
    }
    let doubling = [1, 3, 7, 15, 31].into_iter().chain((63..600).step_by(60));
    assert_eq!(probes, doubling.map(|at| (at, vec![2])).collect::<Vec<_>>());
    assert_eq!((peer.engine.state(), peer.drain_events().len()), (State::Established, 1));
    assert_eq!(acknowledge(&mut peer, 2, 5000), [2, 3, 4]);
}

/// RFC 9260 §8.1: a peer that does not even answer probes is unreachable after Association.Max.Retrans.
#[test]
fn item_103_unanswered_probes_are_failures() {
    let mut peer = with_window(strict().max_retransmits(3), 2000, 5);
    peer.replies();
    acknowledge(&mut peer, 2, 0);
    peer.drain_events();
    let probes = peer.run_for(secs(600));
    // The first one follows an answer, the others do not.
    assert_eq!(timeline(&peer, &probes), [1, 3, 7, 15, 31].map(|at| (at, vec![2])));
    let reason = CloseReason::Timeout(TimeoutKind::Retransmissions);
    assert_eq!(peer.drain_events(), [Event::Closed(reason)]);
}

/// RFC 9260 §6.2.1 D ii: a SACK that only brings a window brings the data it lets out, whether probes are out or not.
#[test]
fn item_104_window_opens() {
    let mut peer = with_window(strict(), 2000, 10);
    assert_eq!(sent(&mut peer), [0, 1]);
    assert_eq!(acknowledge(&mut peer, 2, 0), []);
    peer.now += ms(100);
    assert_eq!(acknowledge(&mut peer, 2, 3000), [2, 3, 4]);
    assert_eq!(acknowledge(&mut peer, 5, 0), []);
    let probe = peer.run_for(secs(2));
    assert_eq!(peer.numbers(&probe[0].1.chunks), [5]);
    // The probe was dropped: it goes first.
    assert_eq!(acknowledge(&mut peer, 5, 3000), [5, 6, 7]);
}

/// The same with a reader that sleeps: what it lets in leaves in the moment its SACK arrives.
#[test]
fn item_104_window_of_a_slow_reader_opens() {
    let mut net = Net::established_with(quiet(), quiet().receive_window(50_000), calm(), seed());
    net.b.reads = false;
    for n in 0..200 {
        net.a.send(0, patterned(n, PAYLOAD), true);
    }
    net.run_for(secs(60));
    assert_eq!(net.a.association().stats().peer_rwnd, 0);
    net.a.log.keeps_packets = true;
    net.run_until(secs(20), |net| !net.a.log.packets.is_empty());
    net.run_for(ms(100));
    net.a.log.packets.clear();
    let woken = net.now();
    assert!(net.b.read(woken, usize::MAX) > 20);
    net.run_for(ms(21));
    let left: Vec<_> = net.a.log.packets.iter().map(|(at, _)| *at - woken).collect();
    assert_eq!(left[..], vec![ms(20); left.len()]);
    assert!(left.len() >= 12, "{} packets", left.len());
    net.b.reads = true;
    net.run_until_idle();
    assert!(net.b.received_on(0) == Vec::from_iter((0..200).map(|n| patterned(n, PAYLOAD))));
}

/// RFC 9260 §6.3.2 R1 and §6.1 A: whatever SACKs say, what is to be sent has a timer, and that is not far away; in the end
/// all of it leaves.
#[test]
fn item_105_nothing_waits_without_a_timer() {
    for round in 0..30 {
        let mut rng = ChaCha12Rng::seed_from_u64(seed().wrapping_add(round));
        let mut peer = with_window(quiet().max_retransmits(u32::MAX).black_hole_detection(false), 20_000, 0);
        let (mut end, mut total) = (0, 0);
        for _ in 0..200 {
            match rng.random_range(0..4) {
                0 => {
                    let len = rng.random_range(1..5000);
                    peer.user_sends(rng.random_range(0..3), &patterned(len, len));
                    total += len;
                }
                1 | 2 => {
                    let cumulative = rng.random_range(0..=end);
                    let mut gaps: Vec<u16> =
                        (0..4).map(|_| rng.random_range(2..=(end as u16).max(2))).collect();
                    gaps.sort_unstable();
                    gaps.dedup();
                    let sack = Sack::new(peer.engine_tsn.wrapping_add(cumulative).wrapping_sub(1));
                    let gaps = gaps.into_iter().map(|gap| (gap, gap)).collect();
                    let window = rng.random_range(0..3) * rng.random_range(0..3000);
                    peer.send(&[Sack { gaps, window, ..sack }.chunk()]);
                }
                _ => {
                    let sent = peer.run_for(ms(rng.random_range(1..3000)));
                    end = sent
                        .iter()
                        .flat_map(|(_, packet)| peer.numbers(&packet.chunks))
                        .map(|n| n + 1)
                        .fold(end, u32::max);
                }
            }
            end = sent(&mut peer).into_iter().map(|number| number + 1).fold(end, u32::max);
            let waits = peer.engine.undelivered() > 0;
            let due = peer.engine.poll_timeout();
            assert!(!waits || due.is_some_and(|due| due <= peer.now + secs(10)), "{due:?}");
        }
        assert!(total > 0);
        for _ in 0..total / 500 + 100 {
            acknowledge(&mut peer, end, 1 << 20).into_iter().for_each(|number| end = end.max(number + 1));
        }
        assert_eq!((peer.engine.undelivered(), peer.engine.poll_timeout()), (0, None));
    }
}

/// The same between two engines, checked after every step, with losses and readers that sleep.
#[test]
fn item_105_nothing_waits_without_a_timer_between_two() {
    let seed = seed();
    for number in 0..10 {
        let seed = seed.wrapping_add(number);
        let config = || quiet().receive_window(20_000);
        let mut net = Net::established_with(config(), config(), rough(0.2, 0.2, 0.1), seed);
        (net.a.reads, net.b.reads) = (false, false);
        for n in 0..60 {
            net.a.send((n % 3) as u16, patterned(n, 50 * n + 1), n % 2 == 0);
            net.b.send((n % 3) as u16, patterned(n, 50 * n + 1), n % 2 == 0);
        }
        let mut read = 0;
        for _ in 0..2000 {
            net.run_for(ms(100));
            let now = net.now();
            read += net.a.read(now, 1) + net.b.read(now, 1);
        }
        assert_eq!(read, 120);
        net.run_until_idle();
        assert_eq!((net.a.engine.undelivered(), net.b.engine.undelivered()), (0, 0));
    }
}

/// Payload lengths of DATA chunks.
fn lengths(chunks: &[Chunk]) -> Vec<usize> {
    chunks.iter().map(|chunk| chunk.value.len() - 12).collect()
}

/// What leaves of these messages if the peer has this window.
fn lengths_with(window: usize, messages: &[usize]) -> Vec<usize> {
    let mut peer = with_window(quiet(), window as u32, 0);
    messages.iter().for_each(|len| peer.user_sends(0, &patterned(1, *len)));
    lengths(&chunks(&peer.replies()))
}

/// RFC 9260 §6.1 A: "The sender MUST also have an algorithm for sending new DATA chunks to avoid silly window syndrome":
/// the message to its end, or half of the largest chunk, or nothing; but anything at all while nothing is in flight.
#[test]
fn item_106_silly_windows() {
    let half = FRAGMENT / 2;
    for left in 0..half {
        assert_eq!(lengths_with(2 * FRAGMENT + left, &[FRAGMENT, 5000]), [FRAGMENT; 2], "{left} left");
    }
    for left in half..half + 4 {
        assert_eq!(lengths_with(2 * FRAGMENT + left, &[FRAGMENT, 5000]), [FRAGMENT, FRAGMENT, half]);
    }
    let messages = [FRAGMENT, FRAGMENT - 100, 100, 1];
    assert_eq!(lengths_with(2 * FRAGMENT, &messages), messages[..3]);
    assert_eq!(lengths_with(2 * FRAGMENT - 1, &messages), messages[..2]);

    let mut peer = with_window(quiet(), 2000, 2);
    peer.user_sends(0, &patterned(2, 5000));
    assert_eq!(sent(&mut peer), [0, 1]);
    assert_eq!(lengths(&peer.acknowledge(2, 43)), [40], "whole words of it");
    assert_eq!(lengths(&peer.acknowledge(3, 3)), []);
    let probe = peer.run_for(peer.engine.stats().rto);
    assert_eq!(lengths(&probe[0].1.chunks), [FRAGMENT]);
}

/// RFC 9260 §6.1 C: "before sending new DATA chunks, the sender MUST first transmit any DATA chunks that are marked for
/// retransmission".
#[test]
fn item_107_retransmissions_first() {
    let mut peer = with_window(quiet(), 1 << 20, FIRST_WINDOW as usize);
    // Small ones would fit behind a lost one where the next lost one does not.
    (12..40).for_each(|n| peer.user_sends(0, &patterned(n, 50)));
    assert_eq!(sent(&mut peer), Vec::from_iter(0..14));
    let rto = peer.engine.stats().rto;
    let timeout = peer.run_for(rto);
    let mut order = peer.numbers(&timeout[0].1.chunks);
    while order.len() < 40 {
        let next = order.last().unwrap() + 1;
        let before = order.len();
        order.extend(acknowledge(&mut peer, next, 1 << 20));
        assert!(order.len() > before);
    }
    assert_eq!(order, Vec::from_iter(0..40));
}

/// The same for chunks that gap reports show lost: they are sent before new ones, and below them in the packet.
#[test]
fn item_107_fast_retransmissions_first() {
    let mut peer = RawPeer::passive(quiet());
    for n in 0..400 {
        peer.user_sends(0, &patterned(n, 100));
    }
    let outstanding = sent(&mut peer).len() as u16;
    for end in 3..5 {
        let sack = Sack { gaps: vec![(3, end)], ..Sack::new(peer.engine_tsn.wrapping_sub(1)) };
        let new = chunks(&peer.exchange(&[sack.chunk()]));
        assert!(peer.numbers(&new).iter().all(|number| *number >= u32::from(outstanding)));
    }
    let sack = Sack { gaps: vec![(3, outstanding)], ..Sack::new(peer.engine_tsn.wrapping_sub(1)) };
    let replies = peer.exchange(&[sack.chunk()]);
    let numbers = peer.numbers(&chunks(&replies));
    assert_eq!(numbers[..2], [0, 1]);
    assert!(numbers[2..].len() > 10 && numbers[2..].iter().all(|number| *number >= u32::from(outstanding)));
    assert!(replies[0].chunks.len() > 2, "they share a packet with new ones");
}

/// RFC 9260 §6.1 D: "the protocol parameter 'Max.Burst' SHOULD be used to limit the number of packets sent"; "cwnd SHOULD NOT
/// be changed permanently."
#[test]
fn item_108_bursts() {
    // RFC 9260 §16: 'Max.Burst': 4.
    for (config, burst) in [(quiet().max_burst(2), 2), (strict(), 4), (strict().max_burst(100), 5)] {
        let mut peer = with_window(config, 1 << 20, 30);
        let cwnd = peer.engine.stats().cwnd;
        assert_eq!(sent(&mut peer), Vec::from_iter(0..burst));
        assert_eq!(peer.engine.stats().cwnd, cwnd);
    }
    let mut peer = with_window(quiet().max_burst(2), 1 << 20, 30);
    assert_eq!(sent(&mut peer), [0, 1]);
    assert_eq!(acknowledge(&mut peer, 1, 1 << 20), [2, 3]);
    assert_eq!(acknowledge(&mut peer, 1, 1 << 20), [4, 5]);
}

/// RFC 9260 §6.1: "Before an endpoint transmits a DATA chunk, if any received DATA chunks have not been acknowledged (e.g.,
/// due to delayed ack), the sender SHOULD create a SACK chunk and bundle it with the outbound DATA chunk, as long as the size
/// of the final SCTP packet does not exceed the current PMTU."
#[test]
fn item_109_sack_rides_with_data() {
    // The SACK takes 16 of the 1160 bytes; what is longer than a packet is cut anyway.
    for (len, expected) in
        [(1, vec![1]), (FRAGMENT - 16, vec![FRAGMENT - 16]), (2000, vec![FRAGMENT - 16, 856])]
    {
        let mut peer = RawPeer::passive(quiet());
        let (first, second) = (peer.next_data(0, b"1"), peer.next_data(1, b"2"));
        assert_eq!(kinds(&peer.exchange(&[first])), [[SACK]]);
        assert_eq!(peer.exchange(&[second]), []);
        assert_eq!(peer.engine.poll_timeout(), Some(peer.now + ms(200)));
        peer.user_sends(0, &patterned(1, len));
        let mut sent = chunks(&peer.replies());
        assert_eq!(Sack::parse(&sent.remove(0)).cumulative, 1001);
        assert_eq!(lengths(&sent), expected);
        peer.acknowledge(expected.len() as u32, 1 << 20);
        assert_eq!(peer.engine.poll_timeout(), None, "it is acknowledged");
    }
}

/// The same when it does not fit: two packets, neither too large.
#[test]
fn item_109_sack_without_room() {
    let mut peer = RawPeer::passive(quiet());
    let (first, second) = (peer.next_data(0, b"1"), peer.next_data(1, b"2"));
    peer.exchange(&[first]);
    assert_eq!(peer.exchange(&[second]), []);
    peer.user_sends(0, &patterned(1, FRAGMENT));
    let replies = peer.replies();
    assert_eq!(kinds(&replies), [[SACK], [DATA]]);
    assert_eq!(lengths(&replies[1].chunks), [FRAGMENT]);
}
