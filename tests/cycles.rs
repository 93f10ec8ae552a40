//! Channels opened, used and closed without end on one association: no id is lost, no message goes to a wrong channel, no
//! memory grows.
//!
//! `CYCLES=200000 cargo test --release -p straits-tests --test cycles` runs the full number and writes its figures to
//! `tests/cycles.txt`.

use bytes::{Bytes, BytesMut};
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};
use std::alloc::System;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::{Duration, Instant};
use straits_sctp::{
    ChannelCloseReason, ChannelEvent, ChannelId, ChannelInit, Channels, Config, MessageKind, Role, State,
};
use straits_sim::{Conditions, Datagram, Endpoint, Loss, Pair, Simulation, Wire, derive_seed, seed};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Bytes that are allocated now.
fn allocated() -> usize {
    let stats = ALLOCATOR.stats();
    stats.bytes_allocated - stats.bytes_deallocated
}

/// Cycle `number`, as both sides know it: the rest is in the label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Cycle {
    number: usize,
}

impl Cycle {
    fn opener(self) -> usize {
        self.number % 2
    }

    fn closer(self) -> usize {
        self.number / 2 % 2
    }

    /// How many messages the opener sends behind its OPEN.
    fn messages(self) -> usize {
        self.number % 5
    }

    fn init(self) -> ChannelInit {
        ChannelInit {
            label: self.number.to_string(),
            ordered: !self.number.is_multiple_of(3),
            ..ChannelInit::default()
        }
    }

    fn message(self, index: usize) -> Bytes {
        let mut text = format!("{} {index} ", self.number);
        let len = (self.number * 31 + index * 977) % 3000;
        text.extend(std::iter::repeat_n('.', len));
        text.into()
    }
}

/// What the answerer sends.
const ANSWER: usize = 99;

/// One side of a channel.
#[derive(Debug)]
struct Side {
    cycle: Cycle,
    received: Vec<Bytes>,
    answered: bool,
}

/// The channels of one end and their user.
struct End {
    index: usize,
    channels: Channels,
    live: BTreeMap<ChannelId, Side>,
    /// Closed and forgotten, by the number of the cycle.
    done: BTreeMap<usize, (Side, ChannelCloseReason)>,
    highest_stream: u16,
}

impl End {
    fn new(index: usize, role: Role, seed: [u8; 32], now: Instant) -> Self {
        // An association that is at rest sends nothing.
        let config = Config::default().heartbeat_interval(Duration::ZERO);
        let mut channels = Channels::new(config, seed, now);
        channels.set_role(now, role);
        channels.connect(now);
        Self { index, channels, live: BTreeMap::new(), done: BTreeMap::new(), highest_stream: 0 }
    }

    fn open(&mut self, now: Instant, cycle: Cycle) {
        let id = self.channels.open(now, cycle.init()).unwrap();
        self.live.insert(id, Side { cycle, received: Vec::new(), answered: false });
        let mut channel = self.channels.channel(id).unwrap();
        self.highest_stream = self.highest_stream.max(channel.stream_id().unwrap());
        for index in 0..cycle.messages() {
            channel.send(now, MessageKind::Text, cycle.message(index)).unwrap();
        }
        if cycle.closer() == self.index {
            channel.close(now);
        }
    }

    fn pump(&mut self, now: Instant) {
        while let Some(event) = self.channels.poll_event() {
            match event {
                ChannelEvent::Incoming(id) => self.on_incoming(now, id),
                ChannelEvent::Readable(id) => self.read(now, id),
                ChannelEvent::Closed(id, reason) => {
                    self.read(now, id);
                    self.channels.forget(id);
                    let side = self.live.remove(&id).unwrap();
                    self.done.insert(side.cycle.number, (side, reason));
                }
                ChannelEvent::Established
                | ChannelEvent::Open(_)
                | ChannelEvent::BufferedAmountLow(_)
                | ChannelEvent::Closing(_) => {}
                event => panic!("{event:?}"),
            }
        }
    }

    fn on_incoming(&mut self, now: Instant, id: ChannelId) {
        let mut channel = self.channels.channel(id).unwrap();
        let cycle = Cycle { number: channel.init().label.parse().unwrap() };
        assert_eq!((channel.init(), cycle.opener()), (&cycle.init(), 1 - self.index));
        // Its end may have come with it.
        let answered = channel.send(now, MessageKind::Text, cycle.message(ANSWER)).is_ok();
        self.live.insert(id, Side { cycle, received: Vec::new(), answered });
        self.close_when_complete(now, id);
    }

    fn read(&mut self, now: Instant, id: ChannelId) {
        let Some(side) = self.live.get_mut(&id) else { return };
        let mut channel = self.channels.channel(id).unwrap();
        side.received.extend(std::iter::from_fn(|| channel.recv(now)).map(|message| message.data));
        self.close_when_complete(now, id);
    }

    /// The answerer closes when it has all messages, if it is its turn.
    fn close_when_complete(&mut self, now: Instant, id: ChannelId) {
        let side = &self.live[&id];
        let answers = side.cycle.opener() != self.index && side.cycle.closer() == self.index;
        if answers && side.received.len() == side.cycle.messages() {
            self.channels.channel(id).unwrap().close(now);
        }
    }
}

impl Endpoint for End {
    fn handle_datagram(&mut self, now: Instant, datagram: Datagram) {
        self.channels.handle_packet(now, &datagram.payload);
        self.pump(now);
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.channels.handle_timeout(now);
        self.pump(now);
    }

    fn poll_transmit(&mut self, now: Instant) -> Option<Datagram> {
        self.pump(now);
        let mut buffer = BytesMut::new();
        let (source, destination) = ("192.0.2.1:1".parse().unwrap(), "192.0.2.2:2".parse().unwrap());
        let sent = self.channels.poll_transmit(now, &mut buffer);
        sent.then(|| Datagram { source, destination, payload: buffer.freeze() })
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.channels.poll_timeout()
    }
}

/// The run, and what it measures.
struct Run {
    net: Pair<End>,
    started: usize,
    finished: usize,
    messages: usize,
    /// What was allocated before: the test harness's.
    before: usize,
    peak: usize,
}

impl Run {
    fn new() -> Self {
        let seed = seed();
        let before = allocated();
        let mut wire = Wire::new();
        wire.is_tracing = false;
        let a = End::new(0, Role::Client, derive_seed(seed, 0), wire.now());
        let b = End::new(1, Role::Server, derive_seed(seed, 1), wire.now());
        let mut net = Pair::starting_at(wire, a, b, smooth(), seed);
        net.run_until(Duration::from_secs(1), |net| {
            let ends = [&net.a, &net.b];
            ends.iter().all(|end| end.channels.association().state() == State::Established)
        });
        Self { net, started: 0, finished: 0, messages: 0, before, peak: 0 }
    }

    /// Bytes that both ends and what is between them take now.
    fn taken(&self) -> usize {
        allocated() - self.before
    }

    /// Cycles until there were so many, some at a time; then all is at rest.
    fn cycle(&mut self, until: usize) {
        while self.finished < until {
            while self.started < until && self.started - self.finished < AT_A_TIME {
                let cycle = Cycle { number: self.started };
                let now = self.net.now();
                let end = if cycle.opener() == 0 { &mut self.net.a } else { &mut self.net.b };
                end.open(now, cycle);
                self.started += 1;
            }
            let (finished, peak) = (&mut self.finished, &mut self.peak);
            let (messages, others) = (&mut self.messages, self.before);
            self.net.run_until(Duration::from_secs(120), |net| {
                *peak = (allocated() - others).max(*peak);
                let before = *finished;
                while let Some((&number, _)) =
                    net.a.done.iter().find(|(number, _)| net.b.done.contains_key(number))
                {
                    *messages += check(net, number);
                    *finished += 1;
                }
                *finished > before
            });
        }
        // The last acknowledgements come.
        self.net.run_until_idle();
        for end in [&self.net.a, &self.net.b] {
            assert_eq!((end.live.len(), end.done.len(), end.channels.ids().count()), (0, 0, 0));
            assert_eq!(end.channels.stats(), Default::default(), "streams in use, refusals, violations");
            assert_eq!(end.channels.association().close_reason(), None);
        }
    }
}

/// Both sides have closed the channel: each received what the other sent, and nothing else. Answers how much that was.
fn check(net: &mut Pair<End>, number: usize) -> usize {
    let cycle = Cycle { number };
    let sides = [net.a.done.remove(&number).unwrap(), net.b.done.remove(&number).unwrap()];
    let (opener, answerer) = (&sides[cycle.opener()].0, &sides[1 - cycle.opener()].0);
    let answers: Vec<Bytes> = answerer.answered.then(|| cycle.message(ANSWER)).into_iter().collect();
    assert_eq!(opener.received, answers, "cycle {number}");
    let sent: Vec<Bytes> = (0..cycle.messages()).map(|index| cycle.message(index)).collect();
    let mut received = answerer.received.clone();
    if !cycle.init().ordered {
        received.sort();
    }
    assert_eq!(received, sent, "cycle {number}");
    for (index, (_, reason)) in sides.iter().enumerate() {
        let local = cycle.closer() == index;
        let expected = if local { ChannelCloseReason::LocalClose } else { ChannelCloseReason::RemoteClose };
        assert_eq!(*reason, expected, "cycle {number}");
    }
    sent.len() + answers.len()
}

fn smooth() -> Conditions {
    Conditions { delay: Duration::from_millis(10), ..Conditions::default() }
}

fn rough() -> Conditions {
    Conditions {
        jitter: Duration::from_millis(5),
        loss: Loss::Random(0.05),
        duplicate: 0.05,
        reorder: 0.2,
        reorder_by: Duration::from_millis(15),
        ..smooth()
    }
}

/// RFC 8831 §6.7: "Streams are available for reuse after a reset has been performed."
#[test]
fn channels_come_and_go() {
    let asked = std::env::var("CYCLES").ok();
    let cycles = asked.as_ref().map_or(2000, |cycles| cycles.parse().expect("a number of cycles"));
    let mut run = Run::new();
    // What is kept for good is there after the first tenth, half of which is rough.
    let mut at_rest = Vec::with_capacity(ROUNDS);
    for round in 1..=ROUNDS {
        run.net.set_conditions(if round % 2 == 0 { rough() } else { smooth() });
        run.cycle(cycles * round / ROUNDS);
        at_rest.push(run.taken());
    }
    let first = at_rest[1];
    let growth = at_rest[2..].iter().max().unwrap().saturating_sub(first);
    assert!(growth < MAX_GROWTH, "{growth} bytes more than at first: {at_rest:?}");
    assert!(run.peak < first + MAX_PEAK, "peak of {} bytes, {first} at rest", run.peak);
    let highest = run.net.a.highest_stream.max(run.net.b.highest_stream);
    assert!(usize::from(highest) < 4 * AT_A_TIME, "stream {highest}: ids are not used again");

    let mut figures = String::from(HEAD);
    for (what, figure) in [
        ("cycles", cycles),
        ("messages", run.messages),
        ("virtual seconds", usize::try_from(run.net.elapsed().as_secs()).unwrap()),
        ("highest stream id", usize::from(highest)),
        ("channels left", run.net.a.channels.ids().count() + run.net.b.channels.ids().count()),
        ("streams not free", run.net.a.channels.stats().streams_in_use),
        ("bytes allocated at rest after a tenth", first),
        ("bytes allocated at rest, at most, from then on", first + growth),
        ("bytes allocated at the peak", run.peak),
    ] {
        writeln!(figures, "{what}: {figure}").unwrap();
    }
    println!("{figures}");
    if asked.is_some() {
        std::fs::write(concat!(env!("CARGO_MANIFEST_DIR"), "/cycles.txt"), figures).unwrap();
    }
}

/// Every other one is rough.
const ROUNDS: usize = 20;
/// Cycles under way at a time.
const AT_A_TIME: usize = 16;
/// A leak of one byte in a cycle would be 180 000 in the full run.
const MAX_GROWTH: usize = 16 << 10;
/// Both ends, the network between them, and what is on its way.
const MAX_PEAK: usize = 1 << 20;

const HEAD: &str = "\
Channels opened, used and closed on one association, half of them over a link that loses, repeats and reorders.
Made by: CYCLES=200000 cargo test --release -p straits-tests --test cycles

";
