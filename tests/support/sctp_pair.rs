//! Two engines on a simulated network under a virtual clock.
//!
//! Whatever one sends is read by the codec of the raw peer, and what must hold of every engine at any time is checked
//! after every step: see [`Log::note`] and [`End::check`].

use crate::raw_sctp::*;
use bytes::{Bytes, BytesMut};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt::Debug;
use std::ops::{Deref, DerefMut};
use std::time::{Duration, Instant};
use straits_sctp::{
    Association, ChannelEvent, ChannelId, Channels, Config, Event, Message, Ppid, ReceivedMessage,
    Reliability, Role, State, StreamId,
};
pub use straits_sim::{Conditions, Loss, Simulation, seed};
use straits_sim::{Datagram, Endpoint, Wire, derive_seed};

/// 20 ms each way and nothing else.
pub fn calm() -> Conditions {
    Conditions { delay: ms(20), ..Conditions::default() }
}

/// 20 ms each way with random loss, late packets and copies.
pub fn rough(loss: f64, reorder: f64, duplicate: f64) -> Conditions {
    let loss = if loss > 0.0 { Loss::Random(loss) } else { Loss::None };
    Conditions { jitter: ms(5), loss, reorder, reorder_by: ms(15), duplicate, ..calm() }
}

/// No heartbeats: timers are those of data, and the network falls silent when everything is done.
pub fn quiet() -> Config {
    Config::default().heartbeat_interval(Duration::ZERO)
}

/// Bytes that tell where they are and to which message they belong.
pub fn patterned(number: usize, len: usize) -> Bytes {
    (0..len)
        .map(|position| (number.wrapping_mul(31) ^ position.wrapping_mul(7) ^ (position >> 8)) as u8)
        .collect()
}

/// What a pair is made of: an [`Association`], or [`Channels`] on one.
pub trait Engine: Sized + 'static {
    type Event: Clone + Debug + PartialEq;
    /// Where messages are read.
    type Source: Copy + Debug + Ord;
    type Message: Clone + Debug + PartialEq;

    /// The role says which parity the channels have.
    fn new(config: Config, role: Role, seed: [u8; 32], now: Instant) -> Self;
    fn connect(&mut self, now: Instant);
    fn association(&self) -> &Association;
    fn handle_packet(&mut self, now: Instant, packet: &[u8]);
    fn handle_timeout(&mut self, now: Instant);
    fn poll_transmit(&mut self, now: Instant, buffer: &mut BytesMut) -> bool;
    fn poll_event(&mut self) -> Option<Self::Event>;
    fn poll_timeout(&self) -> Option<Instant>;
    /// Where an event says that something can be read.
    fn readable(event: &Self::Event) -> Option<Self::Source>;
    fn recv(&mut self, now: Instant, source: Self::Source) -> Option<Self::Message>;
}

impl Engine for Association {
    type Event = Event;
    type Source = StreamId;
    type Message = Message;

    fn new(config: Config, _role: Role, seed: [u8; 32], now: Instant) -> Self {
        Self::new(config, seed, now)
    }

    fn connect(&mut self, now: Instant) {
        self.connect(now);
    }

    fn association(&self) -> &Association {
        self
    }

    fn handle_packet(&mut self, now: Instant, packet: &[u8]) {
        self.handle_packet(now, packet);
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.handle_timeout(now);
    }

    fn poll_transmit(&mut self, now: Instant, buffer: &mut BytesMut) -> bool {
        self.poll_transmit(now, buffer)
    }

    fn poll_event(&mut self) -> Option<Event> {
        self.poll_event()
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.poll_timeout()
    }

    fn readable(event: &Event) -> Option<StreamId> {
        if let Event::Readable(stream) = event { Some(*stream) } else { None }
    }

    fn recv(&mut self, now: Instant, stream: StreamId) -> Option<Message> {
        self.recv(now, stream)
    }
}

impl Engine for Channels {
    type Event = ChannelEvent;
    type Source = ChannelId;
    type Message = ReceivedMessage;

    fn new(config: Config, role: Role, seed: [u8; 32], now: Instant) -> Self {
        let mut channels = Self::new(config, seed, now);
        channels.set_role(now, role);
        channels
    }

    fn connect(&mut self, now: Instant) {
        self.connect(now);
    }

    fn association(&self) -> &Association {
        self.association()
    }

    fn handle_packet(&mut self, now: Instant, packet: &[u8]) {
        self.handle_packet(now, packet);
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.handle_timeout(now);
    }

    fn poll_transmit(&mut self, now: Instant, buffer: &mut BytesMut) -> bool {
        self.poll_transmit(now, buffer)
    }

    fn poll_event(&mut self) -> Option<ChannelEvent> {
        self.poll_event()
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.poll_timeout()
    }

    fn readable(event: &ChannelEvent) -> Option<ChannelId> {
        if let ChannelEvent::Readable(id) = event { Some(*id) } else { None }
    }

    fn recv(&mut self, now: Instant, id: ChannelId) -> Option<ReceivedMessage> {
        self.channel(id)?.recv(now)
    }
}

/// All that one engine has sent.
#[derive(Debug, Default)]
pub struct Log {
    /// Every packet with its time, while `keeps_packets`.
    pub packets: Vec<(Instant, Packet)>,
    pub keeps_packets: bool,
    /// Every DATA and I-DATA chunk of the association, as it was sent first, in the order of TSNs.
    pub chunks: Vec<Chunk>,
    /// How often one was sent again.
    pub resent: usize,
    /// Initial TSNs that were offered to the peer and not used yet.
    offered: BTreeSet<u32>,
    /// Cumulative TSN of the last SACK.
    cumulative: Option<u32>,
}

impl Log {
    /// RFC 9260 §3.3.1, §6.9, §6.2.1: new chunks have consecutive TSNs, one that is sent again is the same byte for byte (but
    /// for the I bit), and what was acknowledged stays acknowledged.
    fn note(&mut self, now: Instant, packet: Packet) {
        for chunk in &packet.chunks {
            match chunk.kind {
                INIT | INIT_ACK => {
                    self.offered.insert(Init::parse(chunk).tsn);
                }
                // The peer may be a new one.
                COOKIE_ECHO | COOKIE_ACK => self.cumulative = None,
                SACK => {
                    let cumulative = Sack::parse(chunk).cumulative;
                    let before = self.cumulative.replace(cumulative).unwrap_or(cumulative);
                    let step = cumulative.wrapping_sub(before).cast_signed();
                    assert!(step >= 0, "cumulative TSN {before} and then {cumulative}");
                }
                DATA | I_DATA => self.note_data(chunk),
                _ => {}
            }
        }
        if self.keeps_packets {
            self.packets.push((now, packet));
        }
    }

    fn note_data(&mut self, chunk: &Chunk) {
        let tsn = chunk.tsn();
        let place = self.chunks.first().map(|first| tsn.wrapping_sub(first.tsn()) as usize);
        if let Some(before) = place.and_then(|place| self.chunks.get(place)) {
            let as_before =
                Chunk { flags: chunk.flags & !IMMEDIATE | before.flags & IMMEDIATE, ..chunk.clone() };
            assert_eq!(as_before, *before, "sent again and changed");
            self.resent += 1;
        } else if place == Some(self.chunks.len()) {
            self.chunks.push(chunk.clone());
        } else {
            assert!(self.offered.remove(&tsn), "TSN {tsn} is neither the next one nor a first one");
            self.chunks = vec![chunk.clone()];
        }
    }
}

type Call<E> = Box<dyn FnOnce(&mut E, Instant)>;

/// An engine and its user.
pub struct End<E: Engine> {
    pub engine: E,
    /// What was polled so far.
    pub events: Vec<E::Event>,
    /// What was read so far, in order.
    pub received: BTreeMap<E::Source, Vec<E::Message>>,
    /// Whether the user reads whatever can be read; otherwise [`read`](Self::read) does.
    pub reads: bool,
    /// Whether a message is queued whose end is still to come, which then waits for it without a timer.
    pub is_composing: bool,
    pub log: Log,
    readable: BTreeSet<E::Source>,
    largest_mtu: usize,
    calls: VecDeque<Call<E>>,
}

impl<E: Engine> End<E> {
    fn new(config: Config, role: Role, seed: [u8; 32], now: Instant) -> Self {
        Self {
            engine: E::new(config, role, seed, now),
            events: Vec::new(),
            received: BTreeMap::new(),
            reads: true,
            is_composing: false,
            log: Log::default(),
            readable: BTreeSet::new(),
            largest_mtu: 0,
            calls: VecDeque::new(),
        }
    }

    /// Makes a call when the network runs on, at the time it has then.
    pub fn call(&mut self, call: impl FnOnce(&mut E, Instant) + 'static) {
        self.calls.push_back(Box::new(call));
    }

    pub fn association(&self) -> &Association {
        self.engine.association()
    }

    /// Reads at most `limit` messages, wherever there are any; answers how many.
    pub fn read(&mut self, now: Instant, limit: usize) -> usize {
        let mut count = 0;
        while let Some(&source) = self.readable.first() {
            while count < limit
                && let Some(message) = self.engine.recv(now, source)
            {
                self.received.entry(source).or_default().push(message);
                count += 1;
            }
            if count == limit {
                break;
            }
            self.readable.remove(&source);
        }
        count
    }

    /// What the user does once there is nothing to send.
    fn settle(&mut self, now: Instant) {
        while let Some(event) = self.engine.poll_event() {
            self.readable.extend(E::readable(&event));
            self.events.push(event);
        }
        if self.reads {
            self.read(now, usize::MAX);
        }
    }

    fn packet(&mut self, now: Instant) -> Option<Bytes> {
        let mut buffer = BytesMut::new();
        if !self.engine.poll_transmit(now, &mut buffer) {
            return None;
        }
        let packet = Packet::parse(&buffer);
        // Packets become smaller on a path that seems narrow; what was sent before then stays as it is.
        self.largest_mtu = self.largest_mtu.max(self.association().stats().mtu);
        assert!(
            packet.len <= self.largest_mtu || packet.find(COOKIE_ECHO).is_some(),
            "a packet of {} bytes",
            packet.len
        );
        self.log.note(now, packet);
        Some(buffer.freeze())
    }

    /// Between two inputs: nobody waits without a timer, and no timer is late.
    fn check(&self, now: Instant) {
        let association = self.association();
        let is_sending = match association.state() {
            State::Established | State::ShutdownPending | State::ShutdownReceived => true,
            State::Closed
            | State::CookieWait
            | State::CookieEchoed
            | State::ShutdownSent
            | State::ShutdownAckSent => false,
        };
        let stats = association.stats();
        let waits = association.undelivered() > 0 && !self.is_composing || stats.bytes_in_flight > 0;
        let timeout = self.engine.poll_timeout();
        assert!(!is_sending || !waits || timeout.is_some(), "data waits and no timer runs: {stats:?}");
        assert!(timeout.is_none_or(|due| due > now), "a timer that was due");
    }
}

impl End<Association> {
    /// Sends a reliable message when the network runs on.
    pub fn send(&mut self, stream: u16, data: impl Into<Bytes>, ordered: bool) {
        let data = data.into();
        self.call(move |association, now| {
            let sent =
                association.send(now, StreamId(stream), Ppid::BINARY, data, ordered, Reliability::Reliable);
            sent.expect("there is room");
        });
    }

    /// The payload of what was read on a stream so far.
    pub fn received_on(&self, stream: u16) -> Vec<Bytes> {
        let messages = self.received.get(&StreamId(stream)).into_iter().flatten();
        messages.map(|message| message.data.clone()).collect()
    }
}

/// The network of these tests does not look at addresses.
fn datagram(payload: Bytes) -> Datagram {
    let nowhere = ([192, 0, 2, 1], 5000).into();
    Datagram { source: nowhere, destination: nowhere, payload }
}

impl<E: Engine> Endpoint for End<E> {
    fn handle_datagram(&mut self, now: Instant, datagram: Datagram) {
        self.engine.handle_packet(now, &datagram.payload);
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.engine.handle_timeout(now);
    }

    fn poll_transmit(&mut self, now: Instant) -> Option<Datagram> {
        while let Some(call) = self.calls.pop_front() {
            call(&mut self.engine, now);
        }
        let packet = self.packet(now).or_else(|| {
            self.settle(now);
            self.packet(now)
        });
        if packet.is_none() && self.engine.poll_timeout().is_none_or(|due| due > now) {
            self.check(now);
        }
        packet.map(datagram)
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.engine.poll_timeout()
    }
}

/// Two ends, `a` (client) and `b` (server).
pub struct Pair<E: Engine>(straits_sim::Pair<End<E>>);

/// Two associations.
pub type Net = Pair<Association>;

impl<E: Engine> Pair<E> {
    /// Two ends that have not begun.
    pub fn new(a: Config, b: Config, conditions: Conditions, seed: u64) -> Self {
        let wire = Wire::new();
        let now = wire.now();
        let a = End::new(a, Role::Client, derive_seed(seed, 0), now);
        let b = End::new(b, Role::Server, derive_seed(seed, 1), now);
        Self(straits_sim::Pair::starting_at(wire, a, b, conditions, seed))
    }

    /// Both connect when the network runs.
    pub fn connecting(a: Config, b: Config, conditions: Conditions, seed: u64) -> Self {
        let mut net = Self::new(a, b, conditions, seed);
        net.a.call(E::connect);
        net.b.call(E::connect);
        net
    }

    /// Up and idle; what was logged until then is forgotten. There must be no heartbeats.
    pub fn established_with(a: Config, b: Config, conditions: Conditions, seed: u64) -> Self {
        let mut net = Self::connecting(a, b, conditions, seed);
        net.run_until(secs(60), |net| {
            let states = [&net.a, &net.b].map(|end| end.association().state());
            states == [State::Established; 2]
        });
        net.run_until_idle();
        net.a.events.clear();
        net.b.events.clear();
        net.wire_mut().clear_trace();
        net
    }

    /// The same with defaults over a calm network.
    pub fn established(seed: u64) -> Self {
        Self::established_with(quiet(), quiet(), calm(), seed)
    }
}

impl<E: Engine> Deref for Pair<E> {
    type Target = straits_sim::Pair<End<E>>;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl<E: Engine> DerefMut for Pair<E> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use straits_sctp::{ChannelInit, MessageKind};

    /// Messages both ways arrive once and in order, and the same seed gives the same packets.
    #[test]
    fn pair_of_associations() {
        let run = |seed| {
            let mut net = Net::established_with(quiet(), quiet(), rough(0.1, 0.2, 0.1), seed);
            net.a.log.keeps_packets = true;
            let sent: Vec<Bytes> = (0..100).map(|number| patterned(number, 1 + 40 * number)).collect();
            for data in &sent {
                net.a.send(3, data.clone(), true);
                net.b.send(3, data.clone(), true);
            }
            net.run_until_idle();
            assert!(net.a.received_on(3) == sent && net.b.received_on(3) == sent);
            assert!(net.a.log.resent > 0 && net.b.log.resent > 0);
            let start = net.now() - net.elapsed();
            let packets = std::mem::take(&mut net.a.log.packets);
            packets.into_iter().map(|(at, packet)| (at - start, packet)).collect::<Vec<_>>()
        };
        let seed = seed();
        assert!(run(seed) == run(seed));
        assert!(run(seed) != run(seed.wrapping_add(1)));
    }

    /// A channel opens on both sides, and a message crosses it.
    #[test]
    fn pair_of_channels() {
        let mut net = Pair::<Channels>::established(seed());
        net.a.call(|channels, now| {
            let init = ChannelInit { label: "chat".into(), ..ChannelInit::default() };
            let id = channels.open(now, init).unwrap();
            channels.channel(id).unwrap().send(now, MessageKind::Text, "hello".into()).unwrap();
        });
        net.run_until_idle();
        let hello = ReceivedMessage { kind: MessageKind::Text, data: "hello".into() };
        assert_eq!(net.b.received.values().collect::<Vec<_>>(), [&vec![hello]]);
        assert!(matches!(net.b.events[..], [ChannelEvent::Incoming(_), ChannelEvent::Open(_), ..]));
    }
}
