use crate::*;
use std::time::Duration;

/// Sends numbered datagrams at fixed intervals and keeps what arrives.
#[derive(Debug)]
struct Node {
    interval: Duration,
    next: Option<Instant>,
    left: u32,
    sent: u32,
    len: usize,
    ready: Vec<Datagram>,
    received: Vec<(Instant, u32)>,
    to: SocketAddr,
}

impl Node {
    fn quiet() -> Self {
        Self {
            interval: Duration::ZERO,
            next: None,
            left: 0,
            sent: 0,
            len: 100,
            ready: Vec::new(),
            received: Vec::new(),
            to: address(2),
        }
    }

    fn sender(wire: &Wire, count: u32, interval: Duration) -> Self {
        Self { interval, next: Some(wire.now()), left: count, ..Self::quiet() }
    }

    fn numbers(&self) -> Vec<u32> {
        self.received.iter().map(|&(_, number)| number).collect()
    }
}

impl Endpoint for Node {
    fn handle_datagram(&mut self, now: Instant, datagram: Datagram) {
        let number = u32::from_be_bytes(datagram.payload[..4].try_into().unwrap());
        self.received.push((now, number));
    }

    fn handle_timeout(&mut self, now: Instant) {
        if self.next.is_none_or(|next| next > now) {
            return;
        }
        let mut payload = self.sent.to_be_bytes().to_vec();
        payload.resize(self.len, 0);
        self.ready.push(Datagram { source: address(1), destination: self.to, payload: payload.into() });
        self.sent += 1;
        self.left -= 1;
        self.next = (self.left > 0).then(|| now + self.interval);
    }

    fn poll_transmit(&mut self, _now: Instant) -> Option<Datagram> {
        self.ready.pop()
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.next
    }
}

fn address(last: u8) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, last], 1000))
}

fn ms(value: u64) -> Duration {
    Duration::from_millis(value)
}

fn pair(count: u32, interval: Duration, conditions: Conditions, seed: u64) -> Pair<Node> {
    let wire = Wire::new();
    let a = Node::sender(&wire, count, interval);
    Pair::starting_at(wire, a, Node::quiet(), conditions, seed)
}

fn rough() -> Conditions {
    Conditions {
        delay: ms(20),
        jitter: ms(5),
        loss: Loss::Random(0.1),
        duplicate: 0.1,
        reorder: 0.1,
        reorder_by: ms(30),
        corrupt: 0.1,
        ..Conditions::default()
    }
}

type Fates = Vec<(Duration, Option<Duration>, Bytes)>;

fn fates(net: &Pair<Node>) -> Fates {
    let start = net.now() - net.elapsed();
    let fate = |record: &Record| match record.fate {
        Fate::Delivered { at, .. } => Some(at - start),
        Fate::Dropped(_) => None,
    };
    net.trace().iter().map(|record| (record.sent, fate(record), record.datagram.payload.clone())).collect()
}

#[test]
fn same_seed_same_run_other_seed_other_run() {
    let run = |seed| {
        let mut net = pair(500, ms(1), rough(), seed);
        net.run_until_idle();
        (fates(&net), net.b.numbers(), net.a_to_b.stats())
    };
    assert_eq!(run(1), run(1));
    assert_ne!(run(1).0, run(2).0);
}

#[test]
fn perfect_link_delivers_all_in_order_after_the_delay() {
    let mut net = pair(3, ms(10), Conditions { delay: ms(7), ..Conditions::default() }, 1);
    let start = net.now();
    net.run_until_idle();
    assert_eq!(net.b.received, [(start + ms(7), 0), (start + ms(17), 1), (start + ms(27), 2)]);
    assert_eq!(net.elapsed(), ms(27));
}

#[test]
fn jitter_alone_keeps_the_order() {
    let mut net = pair(1000, ms(1), Conditions { jitter: ms(50), ..Conditions::default() }, seed());
    net.run_until_idle();
    assert_eq!(net.b.numbers(), (0..1000).collect::<Vec<_>>());
}

#[test]
fn reordering_lets_later_datagrams_pass() {
    let conditions = Conditions { reorder: 0.2, reorder_by: ms(5), ..Conditions::default() };
    let mut net = pair(1000, ms(1), conditions, seed());
    net.run_until_idle();
    let mut numbers = net.b.numbers();
    assert!(!numbers.is_sorted());
    numbers.sort_unstable();
    assert_eq!(numbers, (0..1000).collect::<Vec<_>>());
    let reordered = net.a_to_b.stats().reordered;
    assert!((150..250).contains(&reordered), "{reordered}");
}

#[test]
fn random_loss_has_the_asked_rate() {
    let mut net =
        pair(10_000, ms(1), Conditions { loss: Loss::Random(0.2), ..Conditions::default() }, seed());
    net.run_until_idle();
    let dropped = net.a_to_b.stats().dropped;
    assert!((1800..2200).contains(&dropped), "{dropped}");
    assert_eq!(net.b.received.len() as u64 + dropped, 10_000);
}

#[test]
fn bursty_loss_has_the_asked_rate_and_burst_length() {
    let burst = Burst { enter: 0.02, leave: 0.2 };
    let conditions = Conditions { loss: Loss::Bursty(burst), ..Conditions::default() };
    let mut net = pair(20_000, ms(1), conditions, seed());
    net.run_until_idle();
    let is_lost = |record: &Record| record.fate == Fate::Dropped(DropReason::Lost);
    let lost: Vec<_> = net.trace().iter().map(is_lost).collect();
    let losses = lost.iter().filter(|&&lost| lost).count() as f64;
    let bursts = lost.windows(2).filter(|two| !two[0] && two[1]).count() as f64;
    let rate = losses / 20_000.0;
    assert!((0.07..0.115).contains(&rate), "{rate}");
    assert!((4.0..6.0).contains(&(losses / bursts)), "{}", losses / bursts);
}

#[test]
fn duplicates_arrive_twice_and_corruption_changes_bytes() {
    let conditions = Conditions { duplicate: 1.0, corrupt: 1.0, ..Conditions::default() };
    let mut net = pair(50, ms(1), conditions, seed());
    net.run_until_idle();
    assert_eq!(net.b.received.len(), 100);
    let stats = net.a_to_b.stats();
    assert_eq!((stats.passed, stats.duplicated, stats.corrupted), (50, 50, 50));
    assert!(net.trace().iter().all(|record| matches!(record.fate, Fate::Delivered { corrupted: true, .. })));
}

/// 100 bytes at 80 kbit/s take 10 ms each; 250 bytes of queue hold two of them.
#[test]
fn a_bottleneck_spaces_datagrams_and_its_queue_overflows() {
    let rate = Some(Rate { bits_per_second: 80_000, queue_bytes: 250 });
    let mut net = pair(1, ms(1), Conditions { rate, ..Conditions::default() }, 1);
    let start = net.now();
    for number in [2_u32, 1, 0] {
        let mut payload = number.to_be_bytes().to_vec();
        payload.resize(100, 0);
        net.a.ready.push(Datagram { source: address(1), destination: address(2), payload: payload.into() });
    }
    net.a.next = None;
    net.run_until_idle();
    assert_eq!(net.b.received, [(start + ms(10), 0), (start + ms(20), 1)]);
    assert_eq!(net.trace()[2].fate, Fate::Dropped(DropReason::QueueFull));
}

#[test]
fn a_bottleneck_has_the_asked_throughput() {
    let rate = Some(Rate { bits_per_second: 8_000_000, queue_bytes: 10_000 });
    let mut net = pair(10_000, Duration::from_micros(50), Conditions { rate, ..Conditions::default() }, 1);
    net.run_until_idle();
    let first = net.b.received.first().unwrap().0;
    let last = net.b.received.last().unwrap().0;
    // 100 bytes at 1 MB/s: 100 µs each, twice the sending interval.
    assert_eq!(last - first, Duration::from_micros(100) * (net.b.received.len() as u32 - 1));
    assert!((5000..=5200).contains(&net.b.received.len()), "{}", net.b.received.len());
}

#[test]
fn mtu_blackout_scripts_and_filters_drop() {
    let mut net = pair(6, ms(10), Conditions { mtu: Some(100), ..Conditions::default() }, 1);
    net.a_to_b.drop_next(1);
    net.a_to_b.script([Verdict::Pass, Verdict::Delay(ms(15))]);
    net.a_to_b.set_filter(|_, datagram| if datagram.payload[3] == 4 { Verdict::Drop } else { Verdict::Pass });
    net.run_for(ms(30));
    net.a.len = 101;
    net.run_for(ms(5));
    net.a.len = 100;
    net.set_blackout(true);
    net.run_for(ms(7));
    net.set_blackout(false);
    net.run_until_idle();
    let reasons: Vec<_> = net.trace().iter().map(|record| record.fate).collect();
    let start = net.now() - net.elapsed();
    let delivered = |at| Fate::Delivered { at: start + at, corrupted: false, copy: false };
    assert_eq!(
        reasons,
        [
            Fate::Dropped(DropReason::Scripted),
            delivered(ms(10)),
            delivered(ms(35)),
            delivered(ms(30)),
            Fate::Dropped(DropReason::Scripted),
            delivered(ms(50)),
        ]
    );
    assert_eq!(net.b.numbers(), [1, 3, 2, 5]);
    net.a.len = 101;
    net.a.next = Some(net.now());
    net.a.left = 2;
    net.run_for(ms(5));
    net.a.len = 100;
    net.set_blackout(true);
    net.run_until_idle();
    let tail: Vec<_> = net.trace()[6..].iter().map(|record| record.fate).collect();
    assert_eq!(tail, [Fate::Dropped(DropReason::TooBig), Fate::Dropped(DropReason::Blackout)]);
}

#[test]
fn replaced_and_injected_datagrams_arrive() {
    let mut net = pair(1, ms(1), Conditions::default(), 1);
    net.a_to_b.script([Verdict::Replace(Bytes::from_static(&[0, 0, 0, 9]))]);
    net.run_until_idle();
    net.inject(
        1,
        Datagram { source: address(9), destination: address(2), payload: Bytes::from_static(&[0, 0, 0, 7]) },
    );
    net.run_until_idle();
    assert_eq!(net.b.numbers(), [9, 7]);
    assert_eq!(net.trace()[1].from, None);
}

#[test]
fn run_for_ends_exactly_and_run_until_stops_at_the_condition() {
    let mut net = pair(100, ms(10), Conditions::default(), 1);
    net.run_for(ms(25));
    assert_eq!((net.elapsed(), net.b.numbers()), (ms(25), vec![0, 1, 2]));
    net.run_until(ms(1000), |net| net.b.received.len() == 10);
    assert_eq!(net.elapsed(), ms(90));
}

#[test]
fn a_far_timer_is_idle_when_the_horizon_says_so() {
    let mut net = pair(2, Duration::from_secs(30), Conditions::default(), 1);
    net.wire_mut().idle_horizon = Some(Duration::from_secs(20));
    net.run_until_idle();
    assert_eq!(net.b.numbers(), [0]);
}

#[test]
#[should_panic(expected = "did not come true")]
fn run_until_fails_at_its_limit() {
    let mut net = pair(100, ms(10), Conditions::default(), 1);
    net.run_until(ms(50), |_| false);
}

#[test]
#[should_panic(expected = "still not idle")]
fn run_until_idle_fails_at_its_limit() {
    let mut net = pair(1000, ms(10), Conditions::default(), 1);
    net.wire_mut().max_idle_wait = ms(500);
    net.run_until_idle();
}

/// An endpoint whose timer is always due.
struct Spinner;

impl Endpoint for Spinner {
    fn handle_datagram(&mut self, _now: Instant, _datagram: Datagram) {}
    fn handle_timeout(&mut self, _now: Instant) {}
    fn poll_transmit(&mut self, _now: Instant) -> Option<Datagram> {
        None
    }
    fn poll_timeout(&self) -> Option<Instant> {
        Some(Instant::now() - Duration::from_secs(1))
    }
}

#[test]
#[should_panic(expected = "the clock stands still")]
fn a_spinning_endpoint_fails_the_run() {
    let mut net = Pair::new(Spinner, Spinner, Conditions::default(), 1);
    net.run_for(ms(10));
}

#[test]
fn a_network_finds_endpoints_by_address() {
    let mut net = Network::new(Conditions::default(), 1);
    let mut sender = Node::sender(net.wire(), 4, ms(10));
    sender.to = address(2);
    let a = net.add(sender, &[address(1)]);
    let b = net.add(Node::quiet(), &[address(2)]);
    let c = net.add(Node::quiet(), &[address(3)]);
    net.run_for(ms(5));
    net.endpoints[a].to = address(3);
    net.run_for(ms(10));
    net.endpoints[a].to = address(4);
    net.run_for(ms(10));
    net.endpoints[a].to = address(2);
    net.link(a, b).conditions.blackout = true;
    net.run_until_idle();
    assert_eq!((net.endpoints[b].numbers(), net.endpoints[c].numbers()), (vec![0], vec![1]));
    let reasons: Vec<_> = net.trace()[2..].iter().map(|record| record.fate).collect();
    assert_eq!(reasons, [Fate::Dropped(DropReason::NoRoute), Fate::Dropped(DropReason::Blackout)]);
}

#[test]
fn derived_seeds_differ_by_stream_and_seed() {
    assert_eq!(derive_seed(1, 0), derive_seed(1, 0));
    assert_ne!(derive_seed(1, 0), derive_seed(1, 1));
    assert_ne!(derive_seed(1, 0), derive_seed(2, 0));
}
