//! A scripted peer: sends what it likes to one association, and sees what that says.

use crate::number::{Ppid, Ssn, StreamId, Tsn};
use crate::wire::{
    self, Abort, Causes, Checksum, Chunk, CookieEcho, Data, ErrorChunk, Header, Init, PacketWriter,
    Parameter, Parameters, Sack, Shutdown, ShutdownComplete, WriteChunk,
};
use crate::{Association, Config, Event, Reliability, State};
use bytes::{Bytes, BytesMut};
use std::time::{Duration, Instant};

/// The tag and the first TSN of the scripted peer.
pub(super) const PEER_TAG: u32 = 0x0bad_cafe;
pub(super) const PEER_TSN: u32 = 1000;

pub(super) struct Raw {
    pub(super) now: Instant,
    pub(super) end: Association,
    /// The tag the association chose; 0 until it said so.
    pub(super) tag: u32,
    /// The association's first TSN.
    pub(super) tsn: u32,
    /// The last state cookie of the association.
    pub(super) cookie: Bytes,
}

/// A packet of the association: its tag, and one line for each chunk.
#[derive(Debug, PartialEq)]
pub(super) struct Sent {
    pub(super) tag: u32,
    pub(super) chunks: Vec<String>,
    pub(super) bytes: Bytes,
}

impl Raw {
    pub(super) fn new() -> Self {
        Self::with(Config::default())
    }

    pub(super) fn with(config: Config) -> Self {
        let now = Instant::now();
        let end = Association::new(config, [3; 32], now);
        Self { now, end, tag: 0, tsn: 0, cookie: Bytes::new() }
    }

    /// In the given state, with nothing left to send. In ShutdownPending and ShutdownReceived a message is out.
    pub(super) fn in_state(state: State) -> Self {
        Self::in_state_with(state, &[])
    }

    /// The same with a peer that lists these chunk types.
    pub(super) fn in_state_with(state: State, extensions: &[u8]) -> Self {
        let mut raw = Self::new();
        if state == State::Closed {
            return raw;
        }
        raw.end.connect(raw.now);
        raw.drain();
        if state == State::CookieWait {
            return raw;
        }
        let parameters = [Parameter::StateCookie(b"cookie"), Parameter::SupportedExtensions(extensions)];
        raw.feed(&init_ack(PEER_TAG, &parameters));
        raw.drain();
        if state == State::CookieEchoed {
            return raw;
        }
        raw.feed(&Chunk::CookieAck);
        raw.drain();
        match state {
            State::Established => {}
            State::ShutdownPending | State::ShutdownReceived => {
                raw.send(b"out");
                raw.drain();
            }
            State::ShutdownSent => raw.end.shutdown(raw.now),
            State::ShutdownAckSent => raw.feed(&shutdown(raw.tsn.wrapping_sub(1))),
            State::Closed | State::CookieWait | State::CookieEchoed => unreachable!(),
        }
        if state == State::ShutdownPending {
            raw.end.shutdown(raw.now);
        } else if state == State::ShutdownReceived {
            raw.feed(&shutdown(raw.tsn.wrapping_sub(1)));
        }
        raw.drain();
        assert_eq!(raw.end.state(), state);
        raw.events();
        raw
    }

    pub(super) fn established() -> Self {
        Self::in_state(State::Established)
    }

    pub(super) fn send(&mut self, data: &'static [u8]) {
        let data = Bytes::from_static(data);
        let result = self.end.send(self.now, StreamId(0), Ppid::BINARY, data, true, Reliability::Reliable);
        assert_eq!(result, Ok(()));
    }

    /// One chunk with the right tag.
    pub(super) fn feed(&mut self, chunk: &impl WriteChunk) {
        self.feed_packet(self.tag, &[chunk]);
    }

    pub(super) fn feed_packet(&mut self, tag: u32, chunks: &[&dyn WriteChunk]) {
        let packet = packet(tag, chunks, Checksum::Crc32c);
        self.end.handle_packet(self.now, &packet);
    }

    /// Everything the association has to send now.
    pub(super) fn drain(&mut self) -> Vec<Sent> {
        let mut packets = Vec::new();
        let mut buffer = BytesMut::new();
        while self.end.poll_transmit(self.now, &mut buffer) {
            let bytes = buffer.split().freeze();
            let (header, chunks) = wire::parse(&bytes, true).expect("own packets are sound");
            let chunks: Vec<_> = chunks.map(|chunk| chunk.expect("own chunks are sound")).collect();
            for chunk in &chunks {
                self.learn(chunk);
            }
            let chunks = chunks.iter().map(ToString::to_string).collect();
            packets.push(Sent { tag: header.verification_tag, chunks, bytes: bytes.clone() });
            assert!(packets.len() < 100, "no end of packets");
        }
        packets
    }

    /// The names of the chunks of each packet there is to send.
    pub(super) fn names(&mut self) -> Vec<Vec<String>> {
        let name = |line: &String| line.split(' ').next().unwrap_or_default().to_owned();
        self.drain().iter().map(|sent| sent.chunks.iter().map(name).collect()).collect()
    }

    pub(super) fn events(&mut self) -> Vec<Event> {
        std::iter::from_fn(|| self.end.poll_event()).collect()
    }

    /// Lets time pass up to the next deadline, and fires it.
    pub(super) fn fire(&mut self) -> Option<Duration> {
        let deadline = self.end.poll_timeout()?;
        let passed = deadline - self.now;
        self.end.handle_timeout(deadline.checked_sub(Duration::from_nanos(1)).expect("long after boot"));
        assert_eq!(self.end.poll_timeout(), Some(deadline), "fired too early");
        self.now = deadline;
        self.end.handle_timeout(self.now);
        Some(passed)
    }

    fn learn(&mut self, chunk: &Chunk<'_>) {
        let (Chunk::Init(init) | Chunk::InitAck(init)) = chunk else { return };
        self.tag = init.initiate_tag;
        self.tsn = init.initial_tsn.0;
        for parameter in init.parameters.iter().flatten() {
            if let Parameter::StateCookie(cookie) = parameter {
                self.cookie = Bytes::copy_from_slice(cookie);
            }
        }
    }
}

pub(super) fn packet(tag: u32, chunks: &[&dyn WriteChunk], checksum: Checksum) -> Bytes {
    packet_from(5000, tag, chunks, checksum)
}

pub(super) fn packet_from(port: u16, tag: u32, chunks: &[&dyn WriteChunk], checksum: Checksum) -> Bytes {
    let mut buffer = BytesMut::new();
    let header = Header { source_port: port, destination_port: 5000, verification_tag: tag };
    let mut writer = PacketWriter::new(&mut buffer, header, 65535);
    for chunk in chunks {
        assert!(writer.push(*chunk));
    }
    writer.finish(checksum);
    buffer.freeze()
}

pub(super) fn init_with<'a>(tag: u32, parameters: &'a [Parameter<'a>]) -> Init<'a> {
    Init {
        initiate_tag: tag,
        a_rwnd: 100_000,
        outbound_streams: 300,
        inbound_streams: 200,
        initial_tsn: Tsn(PEER_TSN),
        parameters: Parameters::new(parameters),
    }
}

pub(super) fn init(tag: u32) -> Init<'static> {
    init_with(tag, &[Parameter::SupportedExtensions(&[130])])
}

pub(super) fn init_ack<'a>(tag: u32, parameters: &'a [Parameter<'a>]) -> Chunk<'a> {
    Chunk::InitAck(init_with(tag, parameters))
}

pub(super) fn cookie_echo(cookie: &[u8]) -> CookieEcho<'_> {
    CookieEcho { cookie }
}

pub(super) fn data(tsn: u32) -> Data<'static> {
    Data {
        tsn: Tsn(tsn),
        stream: StreamId(0),
        ssn: Ssn(0),
        ppid: Ppid::BINARY,
        begin: true,
        end: true,
        unordered: true,
        immediate: false,
        payload: b"payload",
    }
}

pub(super) fn sack(cumulative: u32) -> Sack<'static> {
    Sack {
        cumulative_tsn: Tsn(cumulative),
        a_rwnd: 100_000,
        gaps: Default::default(),
        duplicates: Default::default(),
    }
}

pub(super) fn shutdown(cumulative: u32) -> Shutdown {
    Shutdown { cumulative_tsn: Tsn(cumulative) }
}

pub(super) fn abort(tag_reflected: bool) -> Abort<'static> {
    Abort { tag_reflected, causes: Causes::EMPTY }
}

pub(super) fn shutdown_complete(tag_reflected: bool) -> ShutdownComplete {
    ShutdownComplete { tag_reflected }
}

pub(super) fn error<'a>(causes: &'a [wire::Cause<'a>]) -> ErrorChunk<'a> {
    ErrorChunk { causes: Causes::new(causes) }
}

/// A chunk of any type with any value.
pub(super) struct Odd<'a>(pub(super) u8, pub(super) &'a [u8]);

impl WriteChunk for Odd<'_> {
    fn kind(&self) -> u8 {
        self.0
    }

    fn flags(&self) -> u8 {
        0
    }

    fn value_len(&self) -> usize {
        self.1.len()
    }

    fn write_value(&self, out: &mut BytesMut) {
        out.extend_from_slice(self.1);
    }
}
