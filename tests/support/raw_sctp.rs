//! A scripted SCTP peer with a codec of its own, written from the text of RFC 9260, so that an error in the engine's
//! codec cannot hide itself.
#![allow(dead_code, reason = "each test binary uses its part")]

use bytes::{Bytes, BytesMut};
use std::time::{Duration, Instant};
use straits_sctp::{Association, Config, Event, Ppid, Reliability, State, StreamId};

// RFC 9260 §3.2, table 1.
pub const DATA: u8 = 0;
pub const INIT: u8 = 1;
pub const INIT_ACK: u8 = 2;
pub const SACK: u8 = 3;
pub const HEARTBEAT: u8 = 4;
pub const HEARTBEAT_ACK: u8 = 5;
pub const ABORT: u8 = 6;
pub const SHUTDOWN: u8 = 7;
pub const SHUTDOWN_ACK: u8 = 8;
pub const ERROR: u8 = 9;
pub const COOKIE_ECHO: u8 = 10;
pub const COOKIE_ACK: u8 = 11;
pub const SHUTDOWN_COMPLETE: u8 = 14;
/// RFC 8260 §2.1.
pub const I_DATA: u8 = 64;
/// RFC 6525 §3.1.
pub const RE_CONFIG: u8 = 130;
/// RFC 4820 §3.
pub const PAD: u8 = 132;
/// RFC 3758 §3.2.
pub const FORWARD_TSN: u8 = 192;
/// RFC 8260 §2.3.1.
pub const I_FORWARD_TSN: u8 = 194;

/// Parameters of INIT and INIT ACK: RFC 3758 §3.1, RFC 5061 §4.2.7, RFC 9653 §4.
pub const FORWARD_TSN_SUPPORTED: u16 = 0xC000;
pub const SUPPORTED_EXTENSIONS: u16 = 0x8008;
pub const ZERO_CHECKSUM_ACCEPTABLE: u16 = 0x8001;

/// Flags of DATA: B and E, U (RFC 9260 §3.3.1).
pub const WHOLE: u8 = 3;
pub const FIRST: u8 = 2;
pub const LAST: u8 = 1;
pub const UNORDERED: u8 = 4;
/// RFC 7053 §3.
pub const IMMEDIATE: u8 = 8;
/// T bit of ABORT and SHUTDOWN COMPLETE.
pub const REFLECTED: u8 = 1;

pub const PORT: u16 = 5000;

/// RFC 9260 Appendix A, bit by bit: the reflected polynomial 0x1EDC6F41.
pub fn crc32c(bytes: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { (crc >> 1) ^ 0x82F6_3B78 } else { crc >> 1 };
        }
    }
    !crc
}

/// A chunk (RFC 9260 §3.2); `value` is without padding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chunk {
    pub kind: u8,
    pub flags: u8,
    pub value: Vec<u8>,
}

impl Chunk {
    pub fn new(kind: u8, flags: u8, value: &[u8]) -> Self {
        Self { kind, flags, value: value.to_vec() }
    }

    /// With its header and padding of `fill`.
    pub fn padded_with(&self, fill: u8) -> Vec<u8> {
        let mut bytes = tlv_header(&[self.kind, self.flags], self.value.len());
        bytes.extend(&self.value);
        bytes.resize(bytes.len().next_multiple_of(4), fill);
        bytes
    }

    pub fn tsn(&self) -> u32 {
        assert!(matches!(self.kind, DATA | I_DATA | SACK | SHUTDOWN | FORWARD_TSN | I_FORWARD_TSN));
        be32(&self.value, 0)
    }

    /// DATA or I-DATA.
    pub fn is_data(&self) -> bool {
        matches!(self.kind, DATA | I_DATA)
    }
}

fn tlv_header(kind: &[u8; 2], value_len: usize) -> Vec<u8> {
    let mut bytes = kind.to_vec();
    bytes.extend(u16::try_from(value_len + 4).unwrap().to_be_bytes());
    bytes
}

/// A parameter or an error cause: both have a 16-bit kind (RFC 9260 §3.2.1, §3.3.10).
pub fn tlv(kind: u16, value: &[u8]) -> Vec<u8> {
    let mut bytes = tlv_header(&kind.to_be_bytes(), value.len());
    bytes.extend(value);
    bytes
}

/// Parameters or causes one after another, each but the last with its padding.
pub fn join(tlvs: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for tlv in tlvs {
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes.extend(tlv);
    }
    bytes
}

/// The opposite of [`join`]: kinds and values.
pub fn split(mut bytes: &[u8]) -> Vec<(u16, Vec<u8>)> {
    let mut tlvs = Vec::new();
    while !bytes.is_empty() {
        let len = usize::from(be16(bytes, 2));
        assert!(len >= 4 && len <= bytes.len(), "TLV length {len} of {}", bytes.len());
        tlvs.push((be16(bytes, 0), bytes[4..len].to_vec()));
        let next = len.next_multiple_of(4).min(bytes.len());
        assert!(bytes[len..next].iter().all(|byte| *byte == 0), "TLV padding is not zero");
        bytes = &bytes[next..];
    }
    tlvs
}

pub fn be16(bytes: &[u8], at: usize) -> u16 {
    u16::from_be_bytes(bytes[at..at + 2].try_into().unwrap())
}

pub fn be32(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap())
}

/// A packet (RFC 9260 §3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packet {
    pub source: u16,
    pub destination: u16,
    pub tag: u32,
    pub chunks: Vec<Chunk>,
    /// As it was on the wire.
    pub len: usize,
    pub checksum_is_zero: bool,
}

impl Packet {
    /// Types of the chunks, in order.
    pub fn kinds(&self) -> Vec<u8> {
        self.chunks.iter().map(|chunk| chunk.kind).collect()
    }

    pub fn find(&self, kind: u8) -> Option<&Chunk> {
        self.chunks.iter().find(|chunk| chunk.kind == kind)
    }

    /// Reads a packet and requires of it what RFC 9260 requires of every sender.
    pub fn parse(bytes: &[u8]) -> Self {
        assert!(bytes.len() >= 16 && bytes.len().is_multiple_of(4), "packet of {} bytes", bytes.len());
        let checksum = u32::from_le_bytes(bytes[8..12].try_into().unwrap());
        let mut zeroed = bytes.to_vec();
        zeroed[8..12].fill(0);
        assert!(checksum == 0 || checksum == crc32c(&zeroed), "checksum {checksum:#x}");
        let mut chunks = Vec::new();
        let mut rest = &bytes[12..];
        while !rest.is_empty() {
            let len = usize::from(be16(rest, 2));
            let padded = len.next_multiple_of(4);
            assert!(len >= 4 && padded <= rest.len(), "chunk length {len} of {}", rest.len());
            // RFC 9260 §3.2: "The Chunk Length field does not count any chunk padding", which is zeros.
            assert!(rest[len..padded].iter().all(|byte| *byte == 0), "padding is not zero");
            chunks.push(Chunk::new(rest[0], rest[1], &rest[4..len]));
            rest = &rest[padded..];
        }
        let packet = Self {
            source: be16(bytes, 0),
            destination: be16(bytes, 2),
            tag: be32(bytes, 4),
            chunks,
            len: bytes.len(),
            checksum_is_zero: checksum == 0 && crc32c(&zeroed) != 0,
        };
        packet.check();
        packet
    }

    /// RFC 9260 §3, §3.3.7, §5.1, §6.10: what may share a packet, and in which order.
    fn check(&self) {
        let kinds = self.kinds();
        for alone in [INIT, INIT_ACK, SHUTDOWN_COMPLETE] {
            assert!(kinds == [alone] || !kinds.contains(&alone), "bundled: {kinds:?}");
        }
        for first in [COOKIE_ECHO, COOKIE_ACK] {
            assert!(kinds.iter().skip(1).all(|kind| *kind != first), "not first: {kinds:?}");
        }
        let control_ends = self.chunks.iter().position(Chunk::is_data).unwrap_or(kinds.len());
        assert!(self.chunks[control_ends..].iter().all(Chunk::is_data), "control behind DATA: {kinds:?}");
        if control_ends < kinds.len() {
            for without_data in [ABORT, SHUTDOWN, SHUTDOWN_ACK] {
                assert!(!kinds.contains(&without_data), "DATA with {without_data}");
            }
        }
        let tsns: Vec<u32> = self.chunks[control_ends..].iter().map(Chunk::tsn).collect();
        assert!(tsns.windows(2).all(|pair| pair[1].wrapping_sub(pair[0]).cast_signed() > 0), "TSNs {tsns:?}");
    }
}

/// A packet on the wire, with its true checksum.
pub fn packet(source: u16, destination: u16, tag: u32, chunks: &[Chunk]) -> Vec<u8> {
    let chunks: Vec<u8> = chunks.iter().flat_map(|chunk| chunk.padded_with(0)).collect();
    packet_of(source, destination, tag, &chunks)
}

/// The same with chunks as bytes.
pub fn packet_of(source: u16, destination: u16, tag: u32, chunks: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    bytes.extend(source.to_be_bytes());
    bytes.extend(destination.to_be_bytes());
    bytes.extend(tag.to_be_bytes());
    bytes.extend([0; 4]);
    bytes.extend(chunks);
    seal(&mut bytes);
    bytes
}

/// Writes the true checksum into a packet.
pub fn seal(packet: &mut [u8]) {
    packet[8..12].fill(0);
    let checksum = crc32c(packet);
    // RFC 9260 Appendix A: the bytes go out in the order of the little-endian register.
    packet[8..12].copy_from_slice(&checksum.to_le_bytes());
}

/// INIT and INIT ACK (RFC 9260 §3.3.2, §3.3.3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Init {
    pub tag: u32,
    pub window: u32,
    pub outgoing: u16,
    pub incoming: u16,
    pub tsn: u32,
    pub parameters: Vec<(u16, Vec<u8>)>,
}

impl Init {
    pub fn new(tag: u32, tsn: u32) -> Self {
        Self { tag, window: 1 << 20, outgoing: 1024, incoming: 1024, tsn, parameters: Vec::new() }
    }

    pub fn with(mut self, kind: u16, value: &[u8]) -> Self {
        self.parameters.push((kind, value.to_vec()));
        self
    }

    pub fn chunk(&self, kind: u8) -> Chunk {
        let parameters: Vec<_> = self.parameters.iter().map(|(kind, value)| tlv(*kind, value)).collect();
        Chunk::new(kind, 0, &[self.fixed(), join(&parameters)].concat())
    }

    /// The 16 bytes before the parameters.
    pub fn fixed(&self) -> Vec<u8> {
        let mut value = Vec::new();
        value.extend(self.tag.to_be_bytes());
        value.extend(self.window.to_be_bytes());
        value.extend(self.outgoing.to_be_bytes());
        value.extend(self.incoming.to_be_bytes());
        value.extend(self.tsn.to_be_bytes());
        value
    }

    pub fn parse(chunk: &Chunk) -> Self {
        assert!(matches!(chunk.kind, INIT | INIT_ACK));
        Self {
            tag: be32(&chunk.value, 0),
            window: be32(&chunk.value, 4),
            outgoing: be16(&chunk.value, 8),
            incoming: be16(&chunk.value, 10),
            tsn: be32(&chunk.value, 12),
            parameters: split(&chunk.value[16..]),
        }
    }

    pub fn parameter(&self, kind: u16) -> Option<&[u8]> {
        self.parameters.iter().find(|(other, _)| *other == kind).map(|(_, value)| &value[..])
    }

    /// State Cookie (RFC 9260 §3.3.3.1.1).
    pub fn cookie(&self) -> Vec<u8> {
        self.parameter(7).expect("a state cookie").to_vec()
    }
}

/// RFC 9260 §3.3.4.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sack {
    pub cumulative: u32,
    pub window: u32,
    pub gaps: Vec<(u16, u16)>,
    pub duplicates: Vec<u32>,
}

impl Sack {
    pub fn new(cumulative: u32) -> Self {
        Self { cumulative, window: 1 << 20, gaps: Vec::new(), duplicates: Vec::new() }
    }

    pub fn chunk(&self) -> Chunk {
        let mut value = Vec::new();
        value.extend(self.cumulative.to_be_bytes());
        value.extend(self.window.to_be_bytes());
        value.extend(u16::try_from(self.gaps.len()).unwrap().to_be_bytes());
        value.extend(u16::try_from(self.duplicates.len()).unwrap().to_be_bytes());
        for (start, end) in &self.gaps {
            value.extend(start.to_be_bytes());
            value.extend(end.to_be_bytes());
        }
        for tsn in &self.duplicates {
            value.extend(tsn.to_be_bytes());
        }
        Chunk::new(SACK, 0, &value)
    }

    pub fn parse(chunk: &Chunk) -> Self {
        assert_eq!(chunk.kind, SACK);
        let value = &chunk.value;
        let (gaps, duplicates) = (usize::from(be16(value, 8)), usize::from(be16(value, 10)));
        assert_eq!(value.len(), 12 + 4 * (gaps + duplicates));
        Self {
            cumulative: be32(value, 0),
            window: be32(value, 4),
            gaps: (0..gaps).map(|n| (be16(value, 12 + 4 * n), be16(value, 14 + 4 * n))).collect(),
            duplicates: (gaps..gaps + duplicates).map(|n| be32(value, 12 + 4 * n)).collect(),
        }
    }
}

pub fn data(tsn: u32, flags: u8, stream: u16, ssn: u16, payload: &[u8]) -> Chunk {
    let mut value = Vec::new();
    value.extend(tsn.to_be_bytes());
    value.extend(stream.to_be_bytes());
    value.extend(ssn.to_be_bytes());
    value.extend(53_u32.to_be_bytes());
    value.extend(payload);
    Chunk::new(DATA, flags, &value)
}

/// I-DATA (RFC 8260 §2.1); `ppid_or_fsn` is the PPID of a first fragment, the FSN of a later one.
pub fn i_data(tsn: u32, flags: u8, stream: u16, mid: u32, ppid_or_fsn: u32, payload: &[u8]) -> Chunk {
    let mut value = Vec::new();
    value.extend(tsn.to_be_bytes());
    value.extend(stream.to_be_bytes());
    value.extend([0; 2]);
    value.extend(mid.to_be_bytes());
    value.extend(ppid_or_fsn.to_be_bytes());
    value.extend(payload);
    Chunk::new(I_DATA, flags, &value)
}

/// FORWARD TSN (RFC 3758 §3.2) with streams and SSNs.
pub fn forward_tsn(cumulative: u32, streams: &[(u16, u16)]) -> Chunk {
    let mut value = cumulative.to_be_bytes().to_vec();
    for (stream, ssn) in streams {
        value.extend(stream.to_be_bytes());
        value.extend(ssn.to_be_bytes());
    }
    Chunk::new(FORWARD_TSN, 0, &value)
}

/// I-FORWARD-TSN (RFC 8260 §2.3.1) with streams, whether unordered, and MIDs.
pub fn i_forward_tsn(cumulative: u32, streams: &[(u16, bool, u32)]) -> Chunk {
    let mut value = cumulative.to_be_bytes().to_vec();
    for (stream, unordered, mid) in streams {
        value.extend(stream.to_be_bytes());
        value.extend(u16::from(*unordered).to_be_bytes());
        value.extend(mid.to_be_bytes());
    }
    Chunk::new(I_FORWARD_TSN, 0, &value)
}

/// Outgoing SSN Reset Request Parameter (RFC 6525 §4.1).
pub fn outgoing_reset(request: u32, response: u32, last_tsn: u32, streams: &[u16]) -> Vec<u8> {
    let mut value = [request, response, last_tsn].map(u32::to_be_bytes).concat();
    streams.iter().for_each(|stream| value.extend(stream.to_be_bytes()));
    tlv(13, &value)
}

/// Re-configuration Response Parameter (RFC 6525 §4.4).
pub fn reconfig_response(response: u32, result: u32) -> Vec<u8> {
    tlv(16, &[response, result].map(u32::to_be_bytes).concat())
}

/// RE-CONFIG (RFC 6525 §3.1).
pub fn reconfig(parameters: &[Vec<u8>]) -> Chunk {
    Chunk::new(RE_CONFIG, 0, &join(parameters))
}

pub fn heartbeat(info: &[u8]) -> Chunk {
    Chunk::new(HEARTBEAT, 0, &tlv(1, info))
}

pub fn heartbeat_ack(info: &[u8]) -> Chunk {
    Chunk::new(HEARTBEAT_ACK, 0, &tlv(1, info))
}

pub fn shutdown(cumulative: u32) -> Chunk {
    Chunk::new(SHUTDOWN, 0, &cumulative.to_be_bytes())
}

pub fn error(causes: &[Vec<u8>]) -> Chunk {
    Chunk::new(ERROR, 0, &join(causes))
}

pub fn bare(kind: u8) -> Chunk {
    Chunk::new(kind, 0, &[])
}

/// What the peer speaks to: an association, alone or below its channels.
pub trait Engine {
    type Event: Clone;

    fn association(&self) -> &Association;
    fn connect(&mut self, now: Instant);
    fn handle_packet(&mut self, now: Instant, packet: &[u8]);
    fn handle_timeout(&mut self, now: Instant);
    fn poll_transmit(&mut self, now: Instant, buffer: &mut BytesMut) -> bool;
    fn poll_timeout(&self) -> Option<Instant>;
    fn poll_event(&mut self) -> Option<Self::Event>;
}

impl Engine for Association {
    type Event = Event;

    fn association(&self) -> &Association {
        self
    }

    fn connect(&mut self, now: Instant) {
        Association::connect(self, now);
    }

    fn handle_packet(&mut self, now: Instant, packet: &[u8]) {
        Association::handle_packet(self, now, packet);
    }

    fn handle_timeout(&mut self, now: Instant) {
        Association::handle_timeout(self, now);
    }

    fn poll_transmit(&mut self, now: Instant, buffer: &mut BytesMut) -> bool {
        Association::poll_transmit(self, now, buffer)
    }

    fn poll_timeout(&self) -> Option<Instant> {
        Association::poll_timeout(self)
    }

    fn poll_event(&mut self) -> Option<Event> {
        Association::poll_event(self)
    }
}

/// What a dropped packet must leave as it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    state: State,
    timeout: Option<Instant>,
    window: usize,
    in_flight: usize,
    cwnd: usize,
}

/// A peer that does as the test says, in front of one engine, under a clock of its own.
#[derive(Debug)]
pub struct RawPeer<E: Engine = Association> {
    pub engine: E,
    pub start: Instant,
    pub now: Instant,
    pub events: Vec<E::Event>,
    /// Ports of the peer and of the engine.
    pub ports: (u16, u16),
    /// The tag the engine has to use towards us.
    pub tag: u32,
    /// The tag we have to use.
    pub engine_tag: u32,
    /// Next TSN of ours.
    pub tsn: u32,
    /// First TSN of the engine.
    pub engine_tsn: u32,
    pub max_packet_size: usize,
    pub takes_zero_checksum: bool,
}

impl RawPeer {
    pub fn new(config: Config) -> Self {
        Self::with_seed(config, 7)
    }

    pub fn with_seed(config: Config, seed: u8) -> Self {
        let start = Instant::now();
        Self::of(Association::new(config, [seed; 32], start), start)
    }

    /// An association that the peer opened.
    pub fn passive(config: Config) -> Self {
        let mut peer = Self::new(config);
        peer.open();
        peer.drain_events();
        peer
    }

    /// An association that the engine opened.
    pub fn active(config: Config) -> Self {
        let mut peer = Self::new(config);
        peer.connect();
        let cookie_echo = peer.answer_init(&[]);
        assert_eq!(cookie_echo.kinds(), [COOKIE_ECHO]);
        assert_eq!(peer.exchange(&[bare(COOKIE_ACK)]), []);
        assert_eq!(peer.drain_events(), [Event::Established]);
        peer
    }
}

impl<E: Engine> RawPeer<E> {
    /// In front of an engine that was made at `start`.
    pub fn of(engine: E, start: Instant) -> Self {
        Self {
            engine,
            start,
            now: start,
            events: Vec::new(),
            ports: (PORT, PORT),
            tag: 0x1234_5678,
            engine_tag: 0,
            tsn: 1000,
            engine_tsn: 0,
            max_packet_size: 1191,
            takes_zero_checksum: false,
        }
    }

    pub fn init(&self) -> Init {
        Init::new(self.tag, self.tsn)
    }

    /// INIT, COOKIE ECHO, from the peer.
    pub fn open(&mut self) {
        assert_eq!(self.open_with(&self.init()), []);
    }

    /// With an INIT of the test's; returns what comes with the COOKIE ACK.
    pub fn open_with(&mut self, init: &Init) -> Vec<Chunk> {
        let ack = self.send_init(init);
        self.engine_tag = ack.tag;
        self.engine_tsn = ack.tsn;
        let mut chunks = chunks(&self.exchange(&[Chunk::new(COOKIE_ECHO, 0, &ack.cookie())]));
        assert_eq!(chunks.remove(0), bare(COOKIE_ACK));
        assert_eq!(self.engine.association().state(), State::Established);
        chunks
    }

    /// Sends an INIT and returns the INIT ACK.
    pub fn send_init(&mut self, init: &Init) -> Init {
        let replies = self.exchange_tagged(0, &[init.chunk(INIT)]);
        assert_eq!(replies.len(), 1, "{replies:?}");
        assert_eq!((replies[0].kinds(), replies[0].tag), (vec![INIT_ACK], init.tag));
        Init::parse(&replies[0].chunks[0])
    }

    /// The engine opens; returns its INIT.
    pub fn connect(&mut self) -> Init {
        self.engine.connect(self.now);
        let packets = self.replies_of_any_tag();
        assert_eq!(packets.len(), 1);
        assert_eq!((packets[0].kinds(), packets[0].tag), (vec![INIT], 0));
        let init = Init::parse(&packets[0].chunks[0]);
        self.engine_tag = init.tag;
        self.engine_tsn = init.tsn;
        init
    }

    /// An INIT ACK with a cookie and more parameters; returns what comes for it.
    pub fn answer_init(&mut self, parameters: &[(u16, &[u8])]) -> Packet {
        let mut init = self.init().with(7, b"the peer's cookie");
        for (kind, value) in parameters {
            init = init.with(*kind, value);
        }
        let mut replies = self.exchange(&[init.chunk(INIT_ACK)]);
        assert_eq!(replies.len(), 1);
        replies.remove(0)
    }

    pub fn send_bytes(&mut self, packet: &[u8]) {
        self.engine.handle_packet(self.now, packet);
    }

    pub fn send(&mut self, chunks: &[Chunk]) {
        self.send_tagged(self.engine_tag, chunks);
    }

    pub fn send_tagged(&mut self, tag: u32, chunks: &[Chunk]) {
        let bytes = packet(self.ports.0, self.ports.1, tag, chunks);
        self.send_bytes(&bytes);
    }

    /// Sends and returns what comes back at once, all of it with our tag.
    pub fn exchange(&mut self, chunks: &[Chunk]) -> Vec<Packet> {
        self.send(chunks);
        self.replies()
    }

    pub fn exchange_tagged(&mut self, tag: u32, chunks: &[Chunk]) -> Vec<Packet> {
        self.send_tagged(tag, chunks);
        self.replies_of_any_tag()
    }

    pub fn exchange_bytes(&mut self, packet: &[u8]) -> Vec<Packet> {
        self.send_bytes(packet);
        self.replies_of_any_tag()
    }

    /// All the engine has to send now. Every packet is checked.
    pub fn replies(&mut self) -> Vec<Packet> {
        let packets = self.replies_of_any_tag();
        assert!(packets.iter().all(|packet| packet.tag == self.tag), "tag: {packets:?}");
        packets
    }

    pub fn replies_of_any_tag(&mut self) -> Vec<Packet> {
        let mut packets = Vec::new();
        let mut buffer = BytesMut::new();
        while self.engine.poll_transmit(self.now, &mut buffer) {
            let packet = Packet::parse(&buffer);
            assert!(packet.len <= self.max_packet_size || packet.find(COOKIE_ECHO).is_some());
            assert!(!packet.checksum_is_zero || self.takes_zero_checksum, "no checksum");
            assert_eq!((packet.destination, packet.source), self.ports);
            packets.push(packet);
            buffer.clear();
            assert!(packets.len() < 10_000, "poll_transmit without end");
        }
        packets
    }

    /// Lets time pass, timer by timer; what was sent, with the time since the start.
    pub fn run_for(&mut self, time: Duration) -> Vec<(Duration, Packet)> {
        let end = self.now + time;
        let mut sent = Vec::new();
        while let Some(due) = self.engine.poll_timeout().filter(|due| *due <= end) {
            assert!(due >= self.now, "a timer in the past");
            self.now = due;
            self.engine.handle_timeout(due);
            let packets = self.replies_of_any_tag();
            sent.extend(packets.into_iter().map(|packet| (due - self.start, packet)));
            assert!(self.engine.poll_timeout().is_none_or(|next| next > due), "a timer that stays due");
        }
        self.now = end;
        sent
    }

    pub fn drain_events(&mut self) -> Vec<E::Event> {
        let mut new = Vec::new();
        while let Some(event) = self.engine.poll_event() {
            new.push(event);
        }
        self.events.extend(new.clone());
        new
    }
}

impl RawPeer {
    pub fn snapshot(&self) -> Snapshot {
        let stats = self.engine.stats();
        Snapshot {
            state: self.engine.state(),
            timeout: self.engine.poll_timeout(),
            window: stats.local_rwnd,
            in_flight: stats.bytes_in_flight,
            cwnd: stats.cwnd,
        }
    }

    /// Requires that a packet changes nothing and is not answered.
    #[track_caller]
    pub fn assert_ignored(&mut self, packet: &[u8]) {
        self.drain_events();
        let before = self.snapshot();
        self.send_bytes(packet);
        assert_eq!(self.replies_of_any_tag(), [], "an answer to what is to be ignored");
        assert_eq!(self.drain_events(), []);
        assert_eq!(self.snapshot(), before);
    }

    #[track_caller]
    pub fn assert_chunks_ignored(&mut self, chunks: &[Chunk]) {
        let bytes = packet(self.ports.0, self.ports.1, self.engine_tag, chunks);
        self.assert_ignored(&bytes);
    }

    /// The next DATA of the peer: a whole ordered message on stream 0.
    pub fn next_data(&mut self, ssn: u16, payload: &[u8]) -> Chunk {
        let chunk = data(self.tsn, WHOLE, 0, ssn, payload);
        self.tsn = self.tsn.wrapping_add(1);
        chunk
    }

    /// The engine's user sends.
    pub fn user_sends(&mut self, stream: u16, payload: &[u8]) {
        self.engine
            .send(
                self.now,
                StreamId(stream),
                Ppid::BINARY,
                Bytes::copy_from_slice(payload),
                true,
                Reliability::Reliable,
            )
            .unwrap();
    }

    /// The engine's user reads all there is on a stream.
    pub fn user_reads(&mut self, stream: u16) -> Vec<Bytes> {
        std::iter::from_fn(|| self.engine.recv(self.now, StreamId(stream)))
            .map(|message| message.data)
            .collect()
    }

    /// Acknowledges the engine's first `count` TSNs; returns the chunks that come for it.
    pub fn acknowledge(&mut self, count: u32, window: u32) -> Vec<Chunk> {
        let sack = Sack { window, ..Sack::new(self.engine_tsn.wrapping_add(count).wrapping_sub(1)) };
        chunks(&self.exchange(&[sack.chunk()]))
    }

    /// Which of the engine's TSNs these chunks have, from 0.
    pub fn numbers(&self, chunks: &[Chunk]) -> Vec<u32> {
        chunks.iter().map(|chunk| chunk.tsn().wrapping_sub(self.engine_tsn)).collect()
    }

    /// To SHUTDOWN-ACK-SENT, by a SHUTDOWN of the peer.
    pub fn shut_down(&mut self) {
        let replies = self.exchange(&[shutdown(self.engine_tsn.wrapping_sub(1))]);
        assert_eq!(replies.len(), 1);
        assert_eq!(replies[0].kinds(), [SHUTDOWN_ACK]);
        assert_eq!(self.engine.state(), State::ShutdownAckSent);
    }
}

pub fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

pub fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Types of the chunks of some packets, packet by packet.
pub fn kinds(packets: &[Packet]) -> Vec<Vec<u8>> {
    packets.iter().map(Packet::kinds).collect()
}

/// All chunks of some packets.
pub fn chunks(packets: &[Packet]) -> Vec<Chunk> {
    packets.iter().flat_map(|packet| packet.chunks.clone()).collect()
}
