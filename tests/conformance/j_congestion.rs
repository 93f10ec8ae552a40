//! Congestion control (RFC 9260 §7), with NewReno to the letter.

use crate::raw_sctp::*;
use crate::sctp_pair::Net;
use std::time::Duration;
use straits_sctp::{Association, Config, Event, Stats};
use straits_sim::{Conditions, Simulation, seed};

/// The largest DATA chunk of a packet of 1191 bytes: what is left of it in whole words.
const PMDCS: usize = 1176;
/// The payload that fills it.
const FULL: usize = PMDCS - 16;
/// min(4 * PMDCS, max(2 * PMDCS, 4404)).
const INITIAL: usize = 4404;

fn quiet() -> Config {
    Config::strict().heartbeat_interval(Duration::ZERO)
}

/// An engine whose user has a full packet to send whenever the window takes one.
struct Bulk {
    peer: RawPeer,
    /// Messages sent, and of these the ones that the cumulative TSN acknowledged.
    sent: u32,
    acked: u32,
}

impl Bulk {
    fn new(config: Config) -> Self {
        let mut bulk = Self { peer: RawPeer::passive(config), sent: 0, acked: 0 };
        bulk.fill();
        bulk
    }

    /// In slow start, with a window of [`INITIAL`] and so many packets more.
    fn ramped(packets: usize) -> Self {
        let mut bulk = Self::new(quiet());
        bulk.peer.now += ms(5);
        (0..packets).for_each(|_| bulk.ack(1));
        assert_eq!((bulk.cwnd(), bulk.stats().ssthresh), (INITIAL + packets * PMDCS, None));
        bulk
    }

    /// In congestion avoidance, with a window of five packets: what T3 and slow start lead to.
    fn avoiding() -> Self {
        let mut bulk = Self::new(quiet());
        bulk.expire();
        for packets in 2..=5 {
            bulk.ack(1);
            assert_eq!(bulk.cwnd(), packets * PMDCS);
        }
        assert_eq!(bulk.stats().ssthresh, Some(4 * PMDCS));
        bulk
    }

    fn stats(&self) -> Stats {
        self.peer.engine.stats()
    }

    fn cwnd(&self) -> usize {
        self.stats().cwnd
    }

    fn in_flight(&self) -> usize {
        self.stats().bytes_in_flight
    }

    /// The user sends one message, which leaves at once.
    fn send(&mut self) {
        self.peer.user_sends(0, &[1; FULL]);
        self.sent += 1;
        assert_eq!(self.peer.replies().len(), 1);
    }

    fn fill(&mut self) {
        while self.in_flight() < self.cwnd() {
            self.send();
        }
    }

    /// A SACK of the first `acked` messages and of these others, both ends included; the messages that are sent for it,
    /// which are not new ones.
    fn sack(&mut self, acked: u32, others: &[(u32, u32)]) -> Vec<u32> {
        self.acked = acked;
        let offset = |message: u32| u16::try_from(message + 1 - acked).unwrap();
        let gaps = others.iter().map(|(first, last)| (offset(*first), offset(*last))).collect();
        let cumulative = self.peer.engine_tsn.wrapping_add(acked).wrapping_sub(1);
        let replies = self.peer.exchange(&[Sack { gaps, ..Sack::new(cumulative) }.chunk()]);
        let chunks = replies.iter().flat_map(|packet| &packet.chunks);
        chunks.map(|chunk| chunk.tsn().wrapping_sub(self.peer.engine_tsn)).collect()
    }

    /// Acknowledges so many messages more by one SACK, and fills the window again.
    fn ack(&mut self, count: u32) {
        self.sack(self.acked + count, &[]);
        self.fill();
    }

    /// T3 expires; what is sent for it.
    fn expire(&mut self) -> Vec<Packet> {
        let due = self.peer.engine.poll_timeout().unwrap();
        let expirations = self.stats().t3_expirations;
        let sent = self.peer.run_for(due - self.peer.now);
        assert_eq!(self.stats().t3_expirations, expirations + 1);
        sent.into_iter().map(|(_, packet)| packet).collect()
    }
}

/// RFC 9260 §7.2.1: "min(4 * PMDCS, max(2 * PMDCS, 4404)) bytes", and ssthresh is arbitrarily high.
#[test]
fn item_183_initial_window() {
    for (packet, window) in [(512, 2000), (1191, INITIAL), (1500, 4404), (3000, 5976)] {
        let mut peer = RawPeer::new(quiet().max_packet_size(packet));
        peer.max_packet_size = packet;
        peer.open();
        let stats = peer.engine.stats();
        assert_eq!((stats.cwnd, stats.ssthresh), (window, None), "packets of {packet} bytes");
        peer.user_sends(0, &[1; 60_000]);
        let sent = peer.replies();
        let bytes: usize = sent.iter().map(|packet| packet.len - 12).sum();
        let before_the_last: usize = sent[..sent.len() - 1].iter().map(|packet| packet.len - 12).sum();
        // RFC 9260 §6.1 B: exceeded by less than a packet.
        assert!(before_the_last < window && bytes >= window, "{bytes}");
    }
    // RFC 6928, unless told otherwise.
    for (packets, config) in [(10, Config::default()), (3, Config::default().initial_window(3))] {
        assert_eq!(RawPeer::passive(config).engine.stats().cwnd, packets * PMDCS);
    }
}

/// RFC 9260 §7.2.1: "the lesser of 1. the total size of the previously outstanding DATA chunk(s) acknowledged and 2. L
/// times the destination's PMDCS", with L = 1.
#[test]
fn item_184_slow_start() {
    let mut bulk = Bulk::new(quiet());
    assert_eq!((bulk.sent, bulk.in_flight(), bulk.cwnd()), (4, 4 * PMDCS, INITIAL));
    for (acked, window) in [(1, INITIAL + PMDCS), (2, INITIAL + 2 * PMDCS), (3, INITIAL + 3 * PMDCS)] {
        bulk.ack(acked);
        assert_eq!(bulk.cwnd(), window, "one SACK for {acked}");
    }
    // What is smaller than a packet counts with its own size.
    let mut bulk = Bulk { peer: RawPeer::passive(quiet()), sent: 1, acked: 0 };
    bulk.peer.user_sends(0, &[1; 100]);
    assert_eq!(bulk.peer.replies().len(), 1);
    bulk.fill();
    bulk.ack(1);
    assert_eq!(bulk.cwnd(), INITIAL + 116);
}

/// RFC 9260 §7.2.1: L "MAY be larger than 1": it is 8 unless the letter is asked for, as one SACK may cover many packets.
#[test]
fn item_184_slow_start_by_default() {
    let mut bulk = Bulk::new(Config::default().heartbeat_interval(Duration::ZERO));
    assert_eq!(bulk.sent, 10);
    bulk.ack(8);
    assert_eq!(bulk.cwnd(), 18 * PMDCS);
    bulk.ack(10);
    assert_eq!(bulk.cwnd(), 26 * PMDCS);
}

/// RFC 9260 §7.2.1: counting bytes "protects against the ACK-Splitting attack".
#[test]
fn item_185_split_acknowledgements() {
    let acknowledge = |steps: &[u32]| {
        let mut peer = RawPeer::passive(quiet());
        // 28 bytes each in a packet: 42 fill it to the last byte.
        for _ in 0..42 * 10 {
            peer.user_sends(0, &[1; 12]);
        }
        assert_eq!(peer.replies().len(), 4);
        for count in steps {
            let sack = Sack::new(peer.engine_tsn.wrapping_add(count - 1));
            // The same one a hundred times, too.
            (0..100).for_each(|_| drop(peer.exchange(&[sack.chunk()])));
        }
        peer.engine.stats().cwnd
    };
    assert_eq!(acknowledge(&[42]), INITIAL + PMDCS);
    assert_eq!(acknowledge(&(1..=42).collect::<Vec<_>>()), INITIAL + PMDCS);
}

/// RFC 9260 §7.2.2: PMDCS for each cwnd of bytes acknowledged, "partial_bytes_acked is reset to (partial_bytes_acked -
/// cwnd)".
#[test]
fn item_186_congestion_avoidance() {
    let mut bulk = Bulk::avoiding();
    let windows: Vec<usize> = (0..18)
        .map(|_| {
            bulk.ack(1);
            bulk.cwnd() / PMDCS
        })
        .collect();
    assert_eq!(windows, [5, 5, 5, 5, 6, 6, 6, 6, 6, 6, 7, 7, 7, 7, 7, 7, 7, 8]);
    assert_eq!(bulk.stats().ssthresh, Some(4 * PMDCS));
    // What is beyond cwnd counts for the next time: 8 = 3 + 5.
    let mut bulk = Bulk::avoiding();
    bulk.ack(3);
    bulk.ack(4);
    assert_eq!(bulk.cwnd(), 6 * PMDCS);
    bulk.ack(4);
    assert_eq!(bulk.cwnd(), 7 * PMDCS);
}

/// RFC 9260 §7.2.2: with less than cwnd in flight "reset partial_bytes_acked to cwnd": it is not saved up.
#[test]
fn item_186_partial_bytes_are_capped() {
    let mut bulk = Bulk::avoiding();
    bulk.sack(bulk.sent - 1, &[]);
    for _ in 0..30 {
        bulk.send();
        bulk.sack(bulk.sent - 1, &[]);
        assert_eq!(bulk.cwnd(), 5 * PMDCS);
    }
    bulk.fill();
    bulk.ack(1);
    assert_eq!(bulk.cwnd(), 6 * PMDCS);
    // Of what was saved, one packet is left.
    for packets in [6, 6, 6, 6, 7] {
        bulk.ack(1);
        assert_eq!(bulk.cwnd(), packets * PMDCS);
    }
}

/// RFC 9260 §7.2.2: "When all of the data transmitted by the sender has been acknowledged by the receiver,
/// partial_bytes_acked is initialized to 0."
#[test]
fn item_186_partial_bytes_start_anew() {
    let mut bulk = Bulk::avoiding();
    (0..4).for_each(|_| bulk.ack(1));
    bulk.sack(bulk.sent - 1, &[]);
    let window = bulk.cwnd();
    bulk.sack(bulk.sent, &[]);
    assert_eq!((bulk.in_flight(), bulk.cwnd()), (0, window));
    bulk.fill();
    let packets = window / PMDCS;
    (1..packets).for_each(|_| bulk.ack(1));
    assert_eq!(bulk.cwnd(), window);
    bulk.ack(1);
    assert_eq!(bulk.cwnd(), window + PMDCS);
}

/// RFC 9260 §7.2.2: "MUST NOT increment cwnd by more than PMDCS per RTT", however the acknowledgements come.
#[test]
fn item_187_one_packet_per_round_trip() {
    for per_sack in [1, 2, 3, 1000] {
        let mut bulk = Bulk::avoiding();
        let mut windows = vec![bulk.cwnd()];
        for _ in 0..20 {
            let flight = bulk.sent;
            while bulk.acked < flight {
                bulk.ack(per_sack.min(flight - bulk.acked));
            }
            windows.push(bulk.cwnd());
        }
        assert_eq!(
            windows,
            (5..=25).map(|packets| packets * PMDCS).collect::<Vec<_>>(),
            "{per_sack} by a SACK"
        );
    }
}

/// RFC 9260 §7.2.3, §7.2.4: "ssthresh = max(cwnd / 2, 4 * PMDCS)", "cwnd = ssthresh", once until the exit point is
/// acknowledged.
#[test]
fn item_188_loss_halves_once() {
    let mut bulk = Bulk::ramped(20);
    let (lost, window) = (bulk.acked, bulk.cwnd());
    let exit = bulk.sent - 1;
    assert_eq!(bulk.sack(lost, &[(lost + 1, lost + 1)]), []);
    let window = window + PMDCS;
    assert_eq!((bulk.sack(lost, &[(lost + 1, lost + 2)]), bulk.cwnd()), (vec![], window));
    assert_eq!(bulk.sack(lost, &[(lost + 1, lost + 3)]), [lost]);
    let halved = window / 2;
    assert_eq!((bulk.cwnd(), bulk.stats().ssthresh), (halved, Some(halved)));
    // Another one of the same window: retransmitted as soon as the window allows, and nothing else.
    let other = lost + 6;
    for last in 1..=3 {
        assert_eq!(bulk.sack(lost, &[(lost + 1, lost + 5), (other + 1, other + last)]), []);
    }
    assert_eq!(bulk.sack(other, &[(other + 1, other + 10)]), [other]);
    assert_eq!((bulk.cwnd(), bulk.stats().ssthresh), (halved, Some(halved)));
    assert_eq!(bulk.stats().fast_retransmits, 2);
    // Up to the exit point it does not grow; its SACK ends the recovery; then it does.
    for acked in [exit, exit + 1] {
        bulk.sack(acked, &[]);
        bulk.fill();
        assert_eq!(bulk.cwnd(), halved);
    }
    bulk.ack(1);
    assert_eq!(bulk.cwnd(), halved + PMDCS);
}

/// RFC 9260 §7.2.3: it is never cut below four packets.
#[test]
fn item_188_at_least_four_packets() {
    let mut bulk = Bulk::ramped(2);
    let lost = bulk.acked;
    for last in 1..=3 {
        bulk.sack(lost, &[(lost + 1, lost + last)]);
    }
    assert_eq!((bulk.cwnd(), bulk.stats().ssthresh), (4 * PMDCS, Some(4 * PMDCS)));
}

/// RFC 9260 §7.2.4: "the cwnd adjustment rules defined in Sections 7.2.1 and 7.2.2 MUST be applied first".
#[test]
fn item_189_growth_before_the_cut() {
    let mut bulk = Bulk::ramped(20);
    let late = bulk.acked;
    let lost = late + 1;
    bulk.sack(late, &[(lost + 1, lost + 1)]);
    bulk.sack(late, &[(lost + 1, lost + 2)]);
    bulk.fill();
    let window = bulk.cwnd();
    assert_eq!(bulk.sack(late + 1, &[(lost + 1, lost + 3)]), [lost]);
    assert_eq!(bulk.cwnd(), (window + PMDCS) / 2);
}

/// RFC 9260 §6.2.1 A, §7.2.1: what the INIT says counts for its receiver as what the INIT ACK says for its sender.
#[test]
fn item_190_init_and_init_ack_count_alike() {
    let mut passive = RawPeer::new(quiet());
    let init = Init { window: 50_000, ..passive.init() };
    let ack = passive.send_init(&init);
    passive.engine_tag = ack.tag;
    passive.exchange(&[Chunk::new(COOKIE_ECHO, 0, &ack.cookie())]);
    let mut active = RawPeer::new(quiet());
    active.connect();
    let init = Init { window: 50_000, ..active.init() }.with(7, b"cookie");
    active.exchange(&[init.chunk(INIT_ACK)]);
    active.exchange(&[bare(COOKIE_ACK)]);
    for mut peer in [passive, active] {
        assert_eq!(peer.drain_events(), [Event::Established]);
        let stats = peer.engine.stats();
        assert_eq!((stats.peer_rwnd, stats.cwnd, stats.ssthresh), (50_000, INITIAL, None));
    }
}

/// RFC 9260 §7.2.1: who answered ramps as who asked: cwnd and what has arrived, every 10 ms for a second.
#[test]
fn item_190_both_directions_ramp_alike() {
    for config in [quiet(), Config::default().heartbeat_interval(Duration::ZERO)] {
        let [asked, answered] = [true, false].map(|sender_connects| {
            let conditions = Conditions { delay: ms(20), ..Conditions::default() };
            let mut net = Net::new(config.clone(), config.clone(), conditions, seed());
            net.a.call(Association::connect);
            net.run_until_idle();
            let sender = if sender_connects { &mut net.a } else { &mut net.b };
            for _ in 0..200 {
                sender.send(0, &[7; 16_384][..], true);
            }
            let mut samples = Vec::new();
            for _ in 0..100 {
                net.run_for(ms(10));
                let (from, to) = if sender_connects { (&net.a, &net.b) } else { (&net.b, &net.a) };
                samples.push((from.association().stats().cwnd, to.received_on(0).len()));
            }
            samples
        });
        assert_eq!(asked, answered);
        assert_eq!(asked[99].1, 200, "{asked:?}");
    }
}

/// RFC 9260 §7.2.1: without sending, "max(cwnd / 2, 4 * PMDCS) once per RTO", ssthresh set to the old cwnd first.
#[test]
fn item_191_idle_decay() {
    let nanosecond = Duration::from_nanos(1);
    for (idle, halvings) in
        [(secs(1) - nanosecond, 0), (secs(1), 1), (secs(2), 2), (ms(2999), 2), (secs(600), 9)]
    {
        let mut bulk = Bulk::ramped(20);
        bulk.sack(bulk.sent, &[]);
        let window = bulk.cwnd();
        assert_eq!(bulk.stats().rto, secs(1));
        bulk.peer.now += idle;
        bulk.send();
        let decayed = (0..halvings).fold(window, |window, _| (window / 2).max(4 * PMDCS));
        let ssthresh = (halvings > 0).then_some(window);
        assert_eq!((bulk.cwnd(), bulk.stats().ssthresh), (decayed, ssthresh), "{idle:?}");
    }
}

/// RFC 9260 §7.2.1: cwnd grows "only if the current congestion window is being fully utilized": not by a packet per
/// round trip.
#[test]
fn item_192_limited_by_the_application() {
    for config in [Config::strict(), Config::default()] {
        let mut bulk = Bulk { peer: RawPeer::passive(config), sent: 0, acked: 0 };
        let window = bulk.cwnd();
        for _ in 0..100 {
            bulk.send();
            bulk.peer.now += ms(100);
            bulk.sack(bulk.sent, &[]);
            assert_eq!(bulk.cwnd(), window);
        }
    }
}

/// RFC 8261 §6.1, RFC 9260 §7.2.5.2: "MUST be reset to their initial values"; what is in flight stays so, under T3.
#[test]
fn item_193_another_path() {
    for expires in [false, true] {
        let mut bulk = Bulk::ramped(20);
        let lost = bulk.acked;
        for last in 1..=3 {
            bulk.sack(lost, &[(lost + 1, lost + last)]);
        }
        assert_eq!((bulk.stats().ssthresh, bulk.stats().srtt), (Some(bulk.cwnd()), Some(ms(5))));
        if expires {
            bulk.expire();
            assert_eq!((bulk.cwnd(), bulk.stats().rto), (PMDCS, secs(2)));
        }
        let in_flight = bulk.in_flight();
        bulk.peer.now += ms(100);
        bulk.peer.engine.path_changed(bulk.peer.now);
        let stats = bulk.stats();
        assert_eq!((stats.cwnd, stats.ssthresh), (INITIAL, None));
        assert_eq!((stats.srtt, stats.rto, stats.bytes_in_flight), (None, secs(1), in_flight));
        assert_eq!(bulk.peer.engine.poll_timeout(), Some(bulk.peer.now + secs(1)));
        // Slow start from there: the recovery of the old path is forgotten.
        bulk.peer.replies();
        assert!(bulk.in_flight() >= INITIAL);
        bulk.sack(lost + 4, &[]);
        assert_eq!(bulk.cwnd(), INITIAL + PMDCS);
    }
}

/// RFC 9260 §7.2.3: after T3 "no more than one SCTP packet will be in flight" until something is acknowledged.
#[test]
fn item_194_one_packet_after_t3() {
    let mut peer = RawPeer::passive(quiet());
    // 916 bytes each: one in a packet, and cwnd would let a second one out.
    for _ in 0..4 {
        peer.user_sends(0, &[1; 900]);
        assert_eq!(peer.replies().len(), 1);
    }
    peer.run_for(secs(1));
    assert_eq!((peer.engine.stats().bytes_in_flight, peer.engine.stats().cwnd), (916, PMDCS));
    peer.user_sends(0, b"new");
    let old = Sack::new(peer.engine_tsn.wrapping_sub(1)).chunk();
    assert_eq!(peer.exchange(&[old.clone(), old]), [], "acknowledges nothing");
    let sent = peer.exchange(&[Sack::new(peer.engine_tsn).chunk()]);
    let tsns: Vec<u32> =
        sent.iter().map(|packet| packet.chunks[0].tsn().wrapping_sub(peer.engine_tsn)).collect();
    assert_eq!(tsns, [1, 2]);
}

/// RFC 9260 §7.2: "the length of the DATA chunk, including the padding"; not what is acknowledged, nor what is lost.
#[test]
fn item_195_what_is_in_flight() {
    let mut peer = RawPeer::passive(quiet());
    let mut expected = 0;
    for (len, size) in [(1, 20), (4, 20), (5, 24), (1000, 1016), (1001, 1020)] {
        peer.user_sends(0, &vec![1; len]);
        peer.replies();
        expected += size;
        assert_eq!(peer.engine.stats().bytes_in_flight, expected, "{len} bytes");
    }
    // The second and the fourth are reported by gap blocks, then the first is acknowledged.
    let report = |peer: &mut RawPeer, count: u32, gaps: &[(u16, u16)]| {
        let cumulative = peer.engine_tsn.wrapping_add(count).wrapping_sub(1);
        peer.exchange(&[Sack { gaps: gaps.to_vec(), ..Sack::new(cumulative) }.chunk()]);
        peer.engine.stats().bytes_in_flight
    };
    assert_eq!(report(&mut peer, 0, &[(2, 2), (4, 4)]), expected - 20 - 1016);
    assert_eq!(report(&mut peer, 2, &[(2, 2)]), 24 + 1020);
    // T3: both are lost, and one packet takes both again.
    let due = peer.engine.poll_timeout().unwrap();
    peer.engine.handle_timeout(due);
    assert_eq!(peer.engine.stats().bytes_in_flight, 0);
    peer.now = due;
    assert_eq!(peer.replies().len(), 1);
    assert_eq!(peer.engine.stats().bytes_in_flight, 24 + 1020);
    assert_eq!(report(&mut peer, 5, &[]), 0);
}
