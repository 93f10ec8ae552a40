//! Two associations on a simulated network under a virtual clock.

mod channels;
mod delivery;
mod determinism;
mod ending;
mod flow;
mod handshake;
mod path_mtu;
mod random;
mod recovery;

use crate::{Association, Config, Event, Ppid, Reliability, State, Stats, StreamId};
use bytes::{Bytes, BytesMut};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::{Deref, DerefMut};
use std::time::{Duration, Instant};
use straits_sim::{Conditions, Datagram, Endpoint, Loss, Simulation, Wire, derive_seed};

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// 20 ms each way and nothing else.
fn calm() -> Conditions {
    Conditions { delay: ms(20), ..Conditions::default() }
}

/// 20 ms each way with random loss, late packets and copies.
fn rough(loss: f64, reorder: f64, duplicate: f64) -> Conditions {
    let loss = if loss > 0.0 { Loss::Random(loss) } else { Loss::None };
    Conditions { jitter: ms(5), loss, reorder, reorder_by: ms(15), duplicate, ..calm() }
}

/// No heartbeats: the network falls silent when everything is done.
fn quiet() -> Config {
    Config::default().heartbeat_interval(Duration::ZERO)
}

type Call = Box<dyn FnOnce(&mut Association, Instant)>;

/// An association and its owner.
struct End {
    association: Association,
    /// What was polled so far, `BufferedAmountLow` and `Writable` left out.
    events: Vec<Event>,
    received: BTreeMap<u16, Vec<Bytes>>,
    /// Whether the owner reads what can be read; otherwise `read` does.
    reads: bool,
    /// The owner handles what comes within this time before it sends, as a driver handles a batch.
    batch: Duration,
    sends_at: Option<Instant>,
    readable: BTreeSet<u16>,
    calls: VecDeque<Call>,
}

impl End {
    fn new(config: Config, seed: [u8; 32], now: Instant) -> Self {
        Self {
            association: Association::new(config, seed, now),
            events: Vec::new(),
            received: BTreeMap::new(),
            reads: true,
            batch: Duration::ZERO,
            sends_at: None,
            readable: BTreeSet::new(),
            calls: VecDeque::new(),
        }
    }

    /// Makes a call when the network runs on, at the time it has then.
    fn call(&mut self, call: impl FnOnce(&mut Association, Instant) + 'static) {
        self.calls.push_back(Box::new(call));
    }

    /// Sends a reliable ordered message when the network runs on.
    fn send_on(&mut self, stream: u16, message: impl ToString) {
        self.send_bytes(stream, message.to_string().into(), true);
    }

    fn send_bytes(&mut self, stream: u16, data: Bytes, ordered: bool) {
        self.call(move |association, now| {
            association
                .send(now, StreamId(stream), Ppid::BINARY, data, ordered, Reliability::Reliable)
                .expect("there is room");
        });
    }

    /// The messages of a stream that were read so far, as text.
    fn received(&self, stream: u16) -> Vec<String> {
        let messages = self.received.get(&stream).into_iter().flatten();
        messages.map(|data| String::from_utf8(data.to_vec()).unwrap()).collect()
    }

    /// How many bytes were read so far.
    fn received_bytes(&self) -> usize {
        self.received.values().flatten().map(Bytes::len).sum()
    }

    fn stats(&self) -> Stats {
        self.association.stats()
    }

    fn state(&self) -> State {
        self.association.state()
    }

    /// Reads at most `limit` messages of the streams that have any.
    fn read(&mut self, now: Instant, mut limit: usize) {
        while let Some(&stream) = self.readable.first() {
            while limit > 0
                && let Some(message) = self.association.recv(now, StreamId(stream))
            {
                self.received.entry(stream).or_default().push(message.data);
                limit -= 1;
            }
            if limit == 0 {
                return;
            }
            self.readable.remove(&stream);
        }
    }

    /// What the owner does after `poll_transmit` has said no.
    fn settle(&mut self, now: Instant) {
        while let Some(event) = self.association.poll_event() {
            if let Event::Readable(stream) = &event {
                self.readable.insert(stream.0);
            }
            if !matches!(event, Event::BufferedAmountLow(_) | Event::Writable(_)) {
                self.events.push(event);
            }
        }
        if self.reads {
            self.read(now, usize::MAX);
        }
    }

    fn packet(&mut self, now: Instant) -> Option<Datagram> {
        let mut buffer = BytesMut::new();
        self.association.poll_transmit(now, &mut buffer).then(|| datagram(buffer.freeze()))
    }
}

/// The network of these tests does not look at addresses.
fn datagram(payload: Bytes) -> Datagram {
    let nowhere = ([192, 0, 2, 1], 5000).into();
    Datagram { source: nowhere, destination: nowhere, payload }
}

impl Endpoint for End {
    fn handle_datagram(&mut self, now: Instant, datagram: Datagram) {
        self.association.handle_packet(now, &datagram.payload);
        if !self.batch.is_zero() {
            self.sends_at.get_or_insert(now + self.batch);
        }
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.association.handle_timeout(now);
    }

    fn poll_transmit(&mut self, now: Instant) -> Option<Datagram> {
        while let Some(call) = self.calls.pop_front() {
            call(&mut self.association, now);
        }
        if self.sends_at.is_some_and(|at| now < at) {
            return None;
        }
        self.sends_at = None;
        self.packet(now).or_else(|| {
            self.settle(now);
            self.packet(now)
        })
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.association.poll_timeout().into_iter().chain(self.sends_at).min()
    }
}

/// Two ends, a and b, that both connect.
struct Pair(straits_sim::Pair<End>);

impl Pair {
    fn new(a: Config, b: Config, conditions: Conditions, seed: u64) -> Self {
        let wire = Wire::new();
        let end = |config, number| End::new(config, derive_seed(seed, number), wire.now());
        let (a, b) = (end(a, 0), end(b, 1));
        Self(straits_sim::Pair::starting_at(wire, a, b, conditions, seed))
    }

    /// Both ends call `connect`.
    fn connecting(a: Config, b: Config, conditions: Conditions, seed: u64) -> Self {
        let mut net = Self::new(a, b, conditions, seed);
        net.a.call(Association::connect);
        net.b.call(Association::connect);
        net
    }

    /// Up and idle, over a calm network.
    fn established(seed: u64) -> Self {
        Self::established_with(quiet(), quiet(), calm(), seed)
    }

    fn established_with(a: Config, b: Config, conditions: Conditions, seed: u64) -> Self {
        let mut net = Self::connecting(a, b, conditions, seed);
        net.run_until(ms(60_000), |net| {
            net.a.state() == State::Established && net.b.state() == State::Established
        });
        net.run_until_idle();
        assert_eq!(
            (&net.a.events[..], &net.b.events[..]),
            (&[Event::Established][..], &[Event::Established][..])
        );
        net.a.events.clear();
        net.b.events.clear();
        net.wire_mut().clear_trace();
        net
    }
}

impl Deref for Pair {
    type Target = straits_sim::Pair<End>;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl DerefMut for Pair {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.0
    }
}

/// Bytes that tell where they are and to which message they belong.
fn patterned(number: usize, len: usize) -> Bytes {
    (0..len)
        .map(|position| (number.wrapping_mul(31) ^ position.wrapping_mul(7) ^ (position >> 8)) as u8)
        .collect()
}

/// The lengths and numbers of messages for transfer tests: from one byte to many packets.
fn sizes(count: usize) -> impl Iterator<Item = usize> {
    [1, 1159, 64, 1160, 5000, 3, 1161, 40_000, 17, 2320].into_iter().cycle().take(count)
}
