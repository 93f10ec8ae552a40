//! A scripted peer in front of [`Channels`]: the raw peer with the messages of RFC 8832 and the resets of RFC 6525, as
//! their texts have them.
#![allow(dead_code, reason = "each test binary uses its part")]

use crate::raw_sctp::*;
use bytes::{Bytes, BytesMut};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use straits_sctp::{
    Association, Channel, ChannelEvent, ChannelId, ChannelInit, ChannelState, Channels, Config, MessageKind,
    ReceivedMessage, Role,
};

// RFC 8831 §8 and RFC 8832 §8.1.
pub const DCEP: u32 = 50;
pub const STRING: u32 = 51;
pub const BINARY_PARTIAL: u32 = 52;
pub const BINARY: u32 = 53;
pub const STRING_PARTIAL: u32 = 54;
pub const STRING_EMPTY: u32 = 56;
pub const BINARY_EMPTY: u32 = 57;

/// DATA_CHANNEL_ACK (RFC 8832 §5.2).
pub const ACK: [u8; 1] = [2];

/// RFC 6525 §4.4, the results of a response.
pub const PERFORMED: u32 = 1;
pub const DENIED: u32 = 2;
pub const IN_PROGRESS: u32 = 6;

/// DATA_CHANNEL_OPEN (RFC 8832 §5.1).
pub fn open_message(kind: u8, priority: u16, parameter: u32, label: &[u8], protocol: &[u8]) -> Vec<u8> {
    let mut message = vec![3, kind];
    message.extend(priority.to_be_bytes());
    message.extend(parameter.to_be_bytes());
    message.extend(u16::try_from(label.len()).unwrap().to_be_bytes());
    message.extend(u16::try_from(protocol.len()).unwrap().to_be_bytes());
    message.extend(label);
    message.extend(protocol);
    message
}

/// A reliable, ordered channel of normal priority without a name.
pub fn plain_open() -> Vec<u8> {
    open_message(0, 256, 0, b"", b"")
}

/// A whole message of the engine's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heard {
    pub stream: u16,
    pub ppid: u32,
    pub ordered: bool,
    pub data: Vec<u8>,
}

pub fn heard(stream: u16, ppid: u32, ordered: bool, data: &[u8]) -> Heard {
    Heard { stream, ppid, ordered, data: data.to_vec() }
}

/// What the engine asked for in a RE-CONFIG: an Outgoing SSN Reset Request (RFC 6525 §4.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    pub request: u32,
    pub last_tsn: u32,
    pub streams: Vec<u16>,
}

impl Engine for Channels {
    type Event = ChannelEvent;

    fn association(&self) -> &Association {
        Channels::association(self)
    }

    fn connect(&mut self, now: Instant) {
        Channels::connect(self, now);
    }

    fn handle_packet(&mut self, now: Instant, packet: &[u8]) {
        Channels::handle_packet(self, now, packet);
    }

    fn handle_timeout(&mut self, now: Instant) {
        Channels::handle_timeout(self, now);
    }

    fn poll_transmit(&mut self, now: Instant, buffer: &mut BytesMut) -> bool {
        Channels::poll_transmit(self, now, buffer)
    }

    fn poll_timeout(&self) -> Option<Instant> {
        Channels::poll_timeout(self)
    }

    fn poll_event(&mut self) -> Option<ChannelEvent> {
        Channels::poll_event(self)
    }
}

/// The peer of some channels. It acknowledges what it hears, and answers resets when the test says so.
#[derive(Debug)]
pub struct RawChannels {
    pub peer: RawPeer<Channels>,
    /// Whole messages of the engine that no test has looked at.
    pub heard: Vec<Heard>,
    /// Its requests.
    pub asked: Vec<Asked>,
    /// Its answers to ours: request number and result.
    pub answers: Vec<(u32, u32)>,
    /// Next SSN of ours, by stream.
    ssns: BTreeMap<u16, u16>,
    /// Next SSN of the engine's, and what has come of a message.
    incoming: BTreeMap<u16, (u16, Vec<u8>)>,
    /// The next TSN of the engine's.
    expected: u32,
    /// Our next request number, and the engine's last one.
    request: u32,
    their_request: u32,
}

impl RawChannels {
    /// An engine with this DTLS role; the association is not up.
    pub fn new(config: Config, role: Option<Role>) -> Self {
        let start = Instant::now();
        let mut channels = Channels::new(config, [7; 32], start);
        if let Some(role) = role {
            channels.set_role(start, role);
        }
        Self {
            peer: RawPeer::of(channels, start),
            heard: Vec::new(),
            asked: Vec::new(),
            answers: Vec::new(),
            ssns: BTreeMap::new(),
            incoming: BTreeMap::new(),
            expected: 0,
            request: 0,
            their_request: 0,
        }
    }

    /// The peer opens the association, with as many streams in both directions.
    pub fn connect(&mut self, streams: u16) {
        let mut init = self.peer.init().with(SUPPORTED_EXTENSIONS, &[RE_CONFIG]);
        (init.outgoing, init.incoming, init.window) = (streams, streams, 16 << 20);
        let ack = self.peer.send_init(&init);
        self.meets(&ack);
        let replies = self.peer.exchange(&[Chunk::new(COOKIE_ECHO, 0, &ack.cookie())]);
        assert_eq!(replies[0].kinds()[0], COOKIE_ACK);
        self.listen(replies);
        self.hear();
    }

    /// What the engine's INIT or INIT ACK says begins.
    pub fn meets(&mut self, init: &Init) {
        (self.peer.engine_tag, self.peer.engine_tsn) = (init.tag, init.tsn);
        (self.expected, self.request) = (init.tsn, self.peer.tsn);
        self.their_request = init.tsn.wrapping_sub(1);
        self.ssns.clear();
        self.incoming.clear();
    }

    /// An association that is up, of an engine with this DTLS role.
    pub fn established(config: Config, role: Role) -> Self {
        let mut raw = Self::new(config, Some(role));
        raw.connect(u16::MAX);
        assert_eq!(raw.events(), [ChannelEvent::Established]);
        raw
    }

    /// The engine is the DTLS client: its own streams are even, the peer's odd.
    pub fn client() -> Self {
        Self::established(Config::default(), Role::Client)
    }

    /// The engine's user opens a channel; its OPEN was heard and not answered.
    pub fn user_opens(&mut self, init: ChannelInit) -> ChannelId {
        let id = self.peer.engine.open(self.peer.now, init).unwrap();
        assert_eq!(self.events(), [ChannelEvent::Open(id)]);
        self.hear();
        id
    }

    /// The same, answered; nothing is left in `heard`.
    pub fn user_opens_answered(&mut self, init: ChannelInit) -> (ChannelId, u16) {
        let id = self.user_opens(init);
        let stream = self.channel(id).stream_id().unwrap();
        assert_eq!(self.heard.pop().map(|open| (open.stream, open.ppid)), Some((stream, DCEP)));
        self.say(stream, DCEP, &ACK);
        (id, stream)
    }

    /// The peer opens a plain channel; its ACK was heard.
    pub fn opens(&mut self, stream: u16) -> ChannelId {
        self.say(stream, DCEP, &plain_open());
        assert_eq!(self.heard.pop(), Some(heard(stream, DCEP, true, &ACK)));
        let events = self.events();
        let [ChannelEvent::Incoming(id), ChannelEvent::Open(_)] = events[..] else { panic!("{events:?}") };
        assert_eq!(events[1], ChannelEvent::Open(id));
        id
    }

    /// An ordered message in one chunk.
    pub fn message(&mut self, stream: u16, ppid: u32, payload: &[u8]) -> Chunk {
        let ssn = self.next_ssn(stream);
        self.chunk(WHOLE, stream, ssn, ppid, payload)
    }

    pub fn unordered(&mut self, stream: u16, ppid: u32, payload: &[u8]) -> Chunk {
        self.chunk(WHOLE | UNORDERED, stream, 0, ppid, payload)
    }

    fn next_ssn(&mut self, stream: u16) -> u16 {
        let next = self.ssns.entry(stream).or_default();
        let ssn = *next;
        *next = next.wrapping_add(1);
        ssn
    }

    fn chunk(&mut self, flags: u8, stream: u16, ssn: u16, ppid: u32, payload: &[u8]) -> Chunk {
        let mut chunk = data(self.peer.tsn, flags, stream, ssn, payload);
        chunk.value[8..12].copy_from_slice(&ppid.to_be_bytes());
        self.peer.tsn = self.peer.tsn.wrapping_add(1);
        chunk
    }

    /// Sends an ordered message, in fragments if it is long, and hears what comes back.
    pub fn say(&mut self, stream: u16, ppid: u32, payload: &[u8]) {
        let ssn = self.next_ssn(stream);
        let pieces = payload.chunks(FRAGMENT).count();
        for (n, piece) in payload.chunks(FRAGMENT).enumerate() {
            let mut flags = if n == 0 { FIRST } else { 0 };
            flags |= if n + 1 == pieces { LAST } else { 0 };
            let chunk = self.chunk(flags, stream, ssn, ppid, piece);
            self.deliver(&[chunk]);
        }
    }

    /// Sends a packet and hears what comes back.
    pub fn deliver(&mut self, chunks: &[Chunk]) {
        self.peer.send(chunks);
        self.hear();
    }

    /// Takes in all the engine has to send, and acknowledges it.
    pub fn hear(&mut self) {
        loop {
            let packets = self.peer.replies();
            if packets.is_empty() {
                return;
            }
            if self.listen(packets) {
                self.peer
                    .send(&[Sack { window: 16 << 20, ..Sack::new(self.expected.wrapping_sub(1)) }.chunk()]);
            }
        }
    }

    /// Whether there was DATA among it.
    fn listen(&mut self, packets: Vec<Packet>) -> bool {
        let mut has_data = false;
        for chunk in packets.into_iter().flat_map(|packet| packet.chunks) {
            match chunk.kind {
                DATA => {
                    has_data = true;
                    self.listen_to_data(&chunk);
                }
                RE_CONFIG => self.listen_to_reconfig(&chunk),
                _ => {}
            }
        }
        has_data
    }

    fn listen_to_data(&mut self, chunk: &Chunk) {
        // What is sent again was heard already.
        if chunk.tsn() != self.expected {
            return assert!(self.expected.wrapping_sub(chunk.tsn()).cast_signed() > 0, "a TSN left out");
        }
        self.expected = self.expected.wrapping_add(1);
        let (stream, ssn, ppid) = (be16(&chunk.value, 4), be16(&chunk.value, 6), be32(&chunk.value, 8));
        let ordered = chunk.flags & UNORDERED == 0;
        let (next, sofar) = self.incoming.entry(stream).or_default();
        assert_eq!(chunk.flags & FIRST != 0, sofar.is_empty());
        sofar.extend(&chunk.value[12..]);
        if chunk.flags & LAST != 0 {
            let data = std::mem::take(sofar);
            if ordered {
                assert_eq!(ssn, *next, "the SSN of an ordered message on stream {stream}");
                *next = next.wrapping_add(1);
            }
            self.heard.push(Heard { stream, ppid, ordered, data });
        }
    }

    fn listen_to_reconfig(&mut self, chunk: &Chunk) {
        for (kind, value) in split(&chunk.value) {
            match kind {
                13 => {
                    let streams = (12..value.len()).step_by(2).map(|at| be16(&value, at)).collect();
                    let asked = Asked { request: be32(&value, 0), last_tsn: be32(&value, 8), streams };
                    // A new one: the next. One that is repeated was heard already.
                    if asked.request == self.their_request.wrapping_add(1) {
                        self.their_request = asked.request;
                        self.asked.push(asked);
                    }
                }
                16 => self.answers.push((be32(&value, 0), be32(&value, 4))),
                other => panic!("RE-CONFIG parameter {other}"),
            }
        }
    }

    /// The engine's last TSN that was heard.
    pub fn last_heard(&self) -> u32 {
        self.expected.wrapping_sub(1)
    }

    /// The streams the engine asked to reset, request by request; they are looked at then.
    pub fn asked(&mut self) -> Vec<Vec<u16>> {
        std::mem::take(&mut self.asked).into_iter().map(|asked| asked.streams).collect()
    }

    /// Asks for a reset of our direction of these streams. The answers are in `answers`.
    pub fn resets(&mut self, streams: &[u16]) {
        let chunk = self.reset_request(streams);
        self.deliver(&[chunk]);
    }

    pub fn reset_request(&mut self, streams: &[u16]) -> Chunk {
        self.ssns.retain(|stream, _| !streams.contains(stream) && !streams.is_empty());
        let last_tsn = self.peer.tsn.wrapping_sub(1);
        let chunk = reconfig(&[outgoing_reset(self.request, self.their_request, last_tsn, streams)]);
        self.request = self.request.wrapping_add(1);
        chunk
    }

    /// The answer to the engine's only request.
    pub fn answer(&mut self, result: u32) -> Chunk {
        let asked = self.asked.pop().expect("a request");
        assert_eq!(self.asked, []);
        if result == PERFORMED {
            self.incoming.retain(|stream, _| !asked.streams.contains(stream));
        }
        reconfig(&[reconfig_response(asked.request, result)])
    }

    /// Answers the engine's only request, and hears what comes of it.
    pub fn answers(&mut self, result: u32) {
        let chunk = self.answer(result);
        self.deliver(&[chunk]);
    }

    /// Closes a stream from both ends: the engine asked first, or is going to follow.
    pub fn close_both(&mut self, stream: u16) {
        if self.asked.is_empty() {
            self.resets(&[stream]);
            self.answers(PERFORMED);
        } else {
            self.answers(PERFORMED);
            self.resets(&[stream]);
        }
    }

    pub fn channel(&mut self, id: ChannelId) -> Channel<'_> {
        self.peer.engine.channel(id).expect("a channel that was not forgotten")
    }

    pub fn state(&mut self, id: ChannelId) -> ChannelState {
        self.channel(id).state()
    }

    pub fn user_sends(&mut self, id: ChannelId, kind: MessageKind, data: &[u8]) {
        let now = self.peer.now;
        self.channel(id).send(now, kind, Bytes::copy_from_slice(data)).unwrap();
        self.hear();
    }

    /// All there is to read.
    pub fn user_reads(&mut self, id: ChannelId) -> Vec<(MessageKind, Bytes)> {
        let now = self.peer.now;
        let mut channel = self.channel(id);
        let messages = std::iter::from_fn(|| channel.recv(now));
        messages.map(|ReceivedMessage { kind, data }| (kind, data)).collect()
    }

    pub fn user_closes(&mut self, id: ChannelId) {
        let now = self.peer.now;
        self.channel(id).close(now);
        self.hear();
    }

    /// Events that no test has looked at, but for those of the buffered amount.
    pub fn events(&mut self) -> Vec<ChannelEvent> {
        let events = self.peer.drain_events().into_iter();
        events.filter(|event| !matches!(event, ChannelEvent::BufferedAmountLow(_))).collect()
    }

    /// Lets time pass; what is sent again is heard and acknowledged.
    pub fn run_for(&mut self, time: Duration) {
        let end = self.peer.now + time;
        while let Some(due) = self.peer.engine.poll_timeout().filter(|due| *due <= end) {
            assert!(due >= self.peer.now, "a timer in the past");
            self.peer.now = due;
            self.peer.engine.handle_timeout(due);
            self.hear();
        }
        self.peer.now = end;
    }
}

/// What fits a packet.
const FRAGMENT: usize = 1100;
