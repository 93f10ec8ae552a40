//! What the raw peer needs beyond RFC 9260: extensions that it announces, and the chunks of RFC 3758 and RFC 8260 read
//! back.
#![allow(dead_code, reason = "each test binary uses its part")]

use crate::raw_sctp::*;
use bytes::Bytes;
use std::time::Duration;
use straits_sctp::{Config, Event, Ppid, Reliability, StreamId};

/// Parameters of the peer's INIT or INIT ACK.
pub type Parameters<'a> = &'a [(u16, &'a [u8])];

/// A peer with partial reliability, and without I-DATA.
pub const PARTIAL: Parameters<'static> =
    &[(FORWARD_TSN_SUPPORTED, &[]), (SUPPORTED_EXTENSIONS, &[RE_CONFIG, FORWARD_TSN])];

/// A peer with I-DATA too.
pub const INTERLEAVED: Parameters<'static> =
    &[(FORWARD_TSN_SUPPORTED, &[]), (SUPPORTED_EXTENSIONS, &[RE_CONFIG, FORWARD_TSN, I_DATA, I_FORWARD_TSN])];

impl RawPeer {
    /// An association that the peer opened, with these parameters in its INIT.
    pub fn passive_with(config: Config, parameters: Parameters<'_>) -> Self {
        let mut peer = Self::new(config);
        let init = parameters.iter().fold(peer.init(), |init, (kind, value)| init.with(*kind, value));
        assert_eq!(peer.open_with(&init), []);
        assert_eq!(peer.drain_events(), [Event::Established]);
        peer
    }

    /// An association that the engine opened, with these parameters in the peer's INIT ACK.
    pub fn active_with(config: Config, parameters: Parameters<'_>) -> Self {
        let mut peer = Self::new(config);
        peer.connect();
        assert_eq!(peer.answer_init(parameters).kinds(), [COOKIE_ECHO]);
        assert_eq!(peer.exchange(&[bare(COOKIE_ACK)]), []);
        assert_eq!(peer.drain_events(), [Event::Established]);
        peer
    }

    /// The engine's user sends what need not arrive.
    pub fn user_sends_limited(
        &mut self,
        stream: u16,
        payload: &[u8],
        ordered: bool,
        reliability: Reliability,
    ) {
        let payload = Bytes::copy_from_slice(payload);
        let stream = StreamId(stream);
        self.engine.send(self.now, stream, Ppid::BINARY, payload, ordered, reliability).unwrap();
    }

    /// The engine's n-th TSN, from 0.
    pub fn nth(&self, n: usize) -> u32 {
        self.engine_tsn.wrapping_add(u32::try_from(n).unwrap())
    }

    /// A SACK of the engine's first `n` TSNs, and of these blocks.
    pub fn sack(&self, n: usize, gaps: &[(u16, u16)]) -> Chunk {
        Sack { gaps: gaps.to_vec(), ..Sack::new(self.nth(n).wrapping_sub(1)) }.chunk()
    }

    /// Sends; what comes back at once, and within the time.
    pub fn exchange_within(&mut self, time: Duration, chunks: &[Chunk]) -> Vec<Packet> {
        let mut packets = self.exchange(chunks);
        packets.extend(self.run_for(time).into_iter().map(|(_, packet)| packet));
        packets
    }

    /// The first of four messages of the engine is lost: what comes for each of three gap reports.
    pub fn gap_reports(&mut self, reliability: Reliability) -> [Vec<Packet>; 3] {
        self.user_sends_limited(0, b"lost", true, reliability);
        (0..3).for_each(|_| self.user_sends(1, b"kept"));
        self.replies();
        [2, 3, 4].map(|end| {
            let sack = self.sack(0, &[(2, end)]);
            self.exchange(&[sack])
        })
    }

    /// Requires one FORWARD TSN, alone, up to the `first` TSN; it may go on over TSNs that the peer has, up to `last`.
    #[track_caller]
    pub fn assert_forward(&self, packets: &[Packet], first: usize, last: usize, streams: &[(u16, u16)]) {
        assert_eq!(kinds(packets), [[FORWARD_TSN]]);
        let forward = ForwardTsn::parse(&packets[0].chunks[0]);
        assert_eq!(forward.streams, streams);
        let reached = forward.cumulative.wrapping_sub(self.engine_tsn) as usize;
        assert!((first..=last).contains(&reached), "{reached}");
    }
}

/// The chunks of this type.
pub fn of_kind(packets: &[Packet], kind: u8) -> Vec<Chunk> {
    chunks(packets).into_iter().filter(|chunk| chunk.kind == kind).collect()
}

/// The only SACK of some packets.
#[track_caller]
pub fn only_sack(packets: &[Packet]) -> Sack {
    let sacks = of_kind(packets, SACK);
    assert_eq!(sacks.len(), 1, "{packets:?}");
    Sack::parse(&sacks[0])
}

/// DATA as it was sent (RFC 9260 §3.3.1); `flags` without the I bit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Data {
    pub flags: u8,
    pub tsn: u32,
    pub stream: u16,
    pub ssn: u16,
    pub payload: Vec<u8>,
}

impl Data {
    pub fn parse(chunk: &Chunk) -> Self {
        assert_eq!(chunk.kind, DATA);
        assert_eq!(chunk.flags & 0xF0, 0, "reserved flags");
        Self {
            flags: chunk.flags & !IMMEDIATE,
            tsn: be32(&chunk.value, 0),
            stream: be16(&chunk.value, 4),
            ssn: be16(&chunk.value, 6),
            payload: chunk.value[12..].to_vec(),
        }
    }

    pub fn all(packets: &[Packet]) -> Vec<Self> {
        of_kind(packets, DATA).iter().map(Self::parse).collect()
    }
}

/// I-DATA as it was sent (RFC 8260 §2.1); `flags` without the I bit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IData {
    pub flags: u8,
    pub tsn: u32,
    pub stream: u16,
    pub mid: u32,
    /// The PPID of a first fragment, the FSN of a later one.
    pub ppid_or_fsn: u32,
    pub payload: Vec<u8>,
}

impl IData {
    pub fn parse(chunk: &Chunk) -> Self {
        assert_eq!(chunk.kind, I_DATA);
        // RFC 8260 §2.1, of both: "MUST be set to 0 by the sender".
        assert_eq!((chunk.flags & 0xF0, be16(&chunk.value, 6)), (0, 0), "reserved");
        Self {
            flags: chunk.flags & !IMMEDIATE,
            tsn: be32(&chunk.value, 0),
            stream: be16(&chunk.value, 4),
            mid: be32(&chunk.value, 8),
            ppid_or_fsn: be32(&chunk.value, 12),
            payload: chunk.value[16..].to_vec(),
        }
    }

    pub fn all(packets: &[Packet]) -> Vec<Self> {
        of_kind(packets, I_DATA).iter().map(Self::parse).collect()
    }
}

/// FORWARD TSN as it was sent (RFC 3758 §3.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForwardTsn {
    pub cumulative: u32,
    /// Streams and SSNs, by stream.
    pub streams: Vec<(u16, u16)>,
}

impl ForwardTsn {
    pub fn parse(chunk: &Chunk) -> Self {
        // RFC 3758 §3.2: "Set to all zeros on transmit".
        assert_eq!((chunk.kind, chunk.flags), (FORWARD_TSN, 0));
        let (entries, rest) = chunk.value[4..].as_chunks::<4>();
        assert!(rest.is_empty(), "half an entry");
        let mut streams: Vec<_> = entries.iter().map(|entry| (be16(entry, 0), be16(entry, 2))).collect();
        streams.sort_unstable();
        Self { cumulative: be32(&chunk.value, 0), streams }
    }
}

/// I-FORWARD-TSN as it was sent (RFC 8260 §2.3.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IForwardTsn {
    pub cumulative: u32,
    /// Streams, whether unordered, and MIDs, by stream.
    pub streams: Vec<(u16, bool, u32)>,
}

impl IForwardTsn {
    pub fn parse(chunk: &Chunk) -> Self {
        assert_eq!((chunk.kind, chunk.flags), (I_FORWARD_TSN, 0));
        let (entries, rest) = chunk.value[4..].as_chunks::<8>();
        assert!(rest.is_empty(), "a part of an entry");
        let entry = |entry: &[u8; 8]| {
            // RFC 8260 §2.3.1: 15 reserved bits before the U bit.
            assert!(be16(entry, 2) <= 1, "reserved");
            (be16(entry, 0), be16(entry, 2) == 1, be32(entry, 4))
        };
        let mut streams: Vec<_> = entries.iter().map(entry).collect();
        streams.sort_unstable();
        Self { cumulative: be32(&chunk.value, 0), streams }
    }
}
