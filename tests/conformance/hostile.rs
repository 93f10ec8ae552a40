//! Two engines that send each other messages of every mode over a link that does everything a link may do.

use crate::raw_sctp::Packet;
use bytes::{Bytes, BytesMut};
use std::collections::{BTreeSet, VecDeque};
use std::time::{Duration, Instant};
use straits_sctp::{Association, Config, Event, Ppid, Reliability, StreamId};
use straits_sim::{Conditions, Datagram, Endpoint, Loss, Pair, Simulation as _, Wire, derive_seed};

/// How the messages of a stream are sent.
#[derive(Clone, Copy, Debug)]
struct Mode {
    ordered: bool,
    reliability: Reliability,
}

/// The mode of each stream.
const MODES: [Mode; 5] = [
    Mode { ordered: true, reliability: Reliability::Reliable },
    Mode { ordered: false, reliability: Reliability::Reliable },
    Mode { ordered: true, reliability: Reliability::MaxRetransmits(0) },
    Mode { ordered: false, reliability: Reliability::MaxRetransmits(2) },
    Mode { ordered: true, reliability: Reliability::MaxLifetime(Duration::from_millis(300)) },
];

/// An engine whose user has messages to send and reads what comes.
#[derive(Debug)]
pub struct Traffic {
    pub engine: Association,
    /// Stream and payload, not given to the engine yet.
    to_send: VecDeque<(u16, Bytes)>,
    pub sent: Vec<(u16, Bytes)>,
    pub received: Vec<(u16, Bytes)>,
    pub events: Vec<Event>,
}

/// With 30 % lost each way half of all round trips fail: the peer must not be given up for ten in a row.
fn config() -> Config {
    Config::default()
        .zero_checksum(false)
        .heartbeat_interval(Duration::ZERO)
        .max_retransmits(100)
        .max_init_retransmits(100)
}

/// 30 % lost, 20 % late, 5 % twice, 1 % with flipped bits.
pub fn hostile_net(seed: u64, count: u32) -> Pair<Traffic> {
    let conditions = Conditions {
        delay: Duration::from_millis(20),
        jitter: Duration::from_millis(5),
        loss: Loss::Random(0.3),
        reorder: 0.2,
        reorder_by: Duration::from_millis(15),
        duplicate: 0.05,
        corrupt: 0.01,
        ..Conditions::default()
    };
    hostile_net_of(seed, count, conditions)
}

/// Both sides start and have `count` messages to send.
pub fn hostile_net_of(seed: u64, count: u32, conditions: Conditions) -> Pair<Traffic> {
    let wire = Wire::new();
    let [a, b] = [0, 1].map(|side| Traffic::new(derive_seed(seed, side), count, wire.now()));
    let mut net = Pair::starting_at(wire, a, b, conditions, seed);
    net.wire_mut().max_idle_wait = Duration::from_secs(10 * 3600);
    net
}

impl Traffic {
    fn new(seed: [u8; 32], count: u32, now: Instant) -> Self {
        let mut engine = Association::new(config(), seed, now);
        engine.connect(now);
        let to_send = (0..count).map(|n| {
            let stream = u16::try_from(n as usize % MODES.len()).unwrap();
            // Most fit a packet; some do not.
            let len = if n % 50 == 0 { 4000 } else { 4 + n as usize % 300 };
            let mut payload = n.to_be_bytes().to_vec();
            payload.resize(len, n.to_be_bytes()[3]);
            (stream, Bytes::from(payload))
        });
        let to_send = to_send.collect();
        Self { engine, to_send, sent: Vec::new(), received: Vec::new(), events: Vec::new() }
    }

    /// A little at a time, so that lifetimes are not spent in the queue.
    fn send(&mut self, now: Instant) {
        while let Some((stream, payload)) = self.to_send.front().cloned()
            && self.engine.buffered_amount(StreamId(stream)) < 2000
        {
            let Mode { ordered, reliability } = MODES[usize::from(stream)];
            let data = payload.clone();
            self.engine.send(now, StreamId(stream), Ppid::BINARY, data, ordered, reliability).unwrap();
            self.sent.push((stream, payload));
            self.to_send.pop_front();
        }
    }

    fn settle(&mut self, now: Instant) {
        let mut readable = BTreeSet::new();
        while let Some(event) = self.engine.poll_event() {
            if let Event::Readable(stream) = event {
                readable.insert(stream);
            } else {
                self.events.push(event);
            }
        }
        for stream in readable {
            let messages = std::iter::from_fn(|| self.engine.recv(now, stream));
            self.received.extend(messages.map(|message| (stream.0, message.data)));
        }
    }

    fn packet(&mut self, now: Instant) -> Option<Datagram> {
        let mut buffer = BytesMut::new();
        self.engine.poll_transmit(now, &mut buffer).then(|| {
            assert!(Packet::parse(&buffer).len <= 1191);
            let nowhere = ([192, 0, 2, 1], 5000).into();
            Datagram { source: nowhere, destination: nowhere, payload: buffer.freeze() }
        })
    }

    /// What `to` read is what `from` sent, as far as each stream's mode allows.
    pub fn check(from: &Self, to: &Self) {
        for (stream, mode) in (0..).zip(MODES) {
            let of = |messages: &[(u16, Bytes)]| -> Vec<Bytes> {
                messages.iter().filter(|(of, _)| *of == stream).map(|(_, data)| data.clone()).collect()
            };
            let (mut sent, mut received) = (of(&from.sent), of(&to.received));
            if !mode.ordered {
                sent.sort();
                received.sort();
            }
            if mode.reliability == Reliability::Reliable {
                assert!(received == sent, "stream {stream}, {mode:?}");
                continue;
            }
            // A sub-sequence: each is found behind the one before it. All payloads differ.
            let mut rest = sent.iter();
            let in_turn = received.iter().all(|message| rest.any(|sent| sent == message));
            assert!(in_turn && !received.is_empty(), "stream {stream}, {mode:?}");
        }
    }
}

impl Endpoint for Traffic {
    fn handle_datagram(&mut self, now: Instant, datagram: Datagram) {
        self.engine.handle_packet(now, &datagram.payload);
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.engine.handle_timeout(now);
        assert!(self.engine.poll_timeout().is_none_or(|due| due > now), "a timer in the past");
    }

    fn poll_transmit(&mut self, now: Instant) -> Option<Datagram> {
        self.send(now);
        self.packet(now).or_else(|| {
            self.settle(now);
            self.packet(now)
        })
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.engine.poll_timeout()
    }
}
