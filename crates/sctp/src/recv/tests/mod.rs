//! Tests of the receiver as a whole, by topic.

mod forward;
mod forward_reset;
mod fragments;
mod i_forward;
mod interleaved;
mod limits;
mod model;
mod model_forward;
mod order;
mod reading;
mod resets;
mod room;
mod sacks;

use super::*;
use crate::number::{Mid, Ssn};
use crate::wire::{
    self, Checksum, Chunk, Data, ForwardTsn, Fragment, Header, IData, IForwardTsn, List, PacketWriter,
    SkippedMessages, SkippedStream,
};
use bytes::BytesMut;

const WINDOW: usize = 4 << 20;

/// What `recv_part` of the rig says instead of the rest of a message.
const ABANDONED: &str = "(abandoned)";

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// A DATA chunk that owns its payload. Flags as letters: I U B E.
#[derive(Clone, Debug)]
struct Piece {
    tsn: u32,
    stream: u16,
    ssn: u16,
    ppid: u32,
    flags: &'static str,
    payload: Vec<u8>,
}

/// Stream 0, SSN 0, PPID 53.
fn piece(tsn: u32, flags: &'static str, payload: impl AsRef<[u8]>) -> Piece {
    Piece { tsn, stream: 0, ssn: 0, ppid: 53, flags, payload: payload.as_ref().to_vec() }
}

impl Piece {
    fn stream(self, stream: u16) -> Self {
        Self { stream, ..self }
    }

    fn ssn(self, ssn: u16) -> Self {
        Self { ssn, ..self }
    }

    fn ppid(self, ppid: u32) -> Self {
        Self { ppid, ..self }
    }

    fn data(&self) -> Data<'_> {
        Data {
            tsn: Tsn(self.tsn),
            stream: StreamId(self.stream),
            ssn: Ssn(self.ssn),
            ppid: Ppid(self.ppid),
            begin: self.flags.contains('B'),
            end: self.flags.contains('E'),
            unordered: self.flags.contains('U'),
            immediate: self.flags.contains('I'),
            payload: &self.payload,
        }
    }
}

/// An I-DATA chunk that owns its payload. With B in the flags `number` is the PPID, else the FSN.
#[derive(Clone, Debug)]
struct Shard {
    tsn: u32,
    stream: u16,
    mid: u32,
    number: u32,
    flags: &'static str,
    payload: Vec<u8>,
}

/// Stream 0, MID 0, PPID 53.
fn shard(tsn: u32, fsn: u32, flags: &'static str, payload: impl AsRef<[u8]>) -> Shard {
    let number = if flags.contains('B') { 53 } else { fsn };
    Shard { tsn, stream: 0, mid: 0, number, flags, payload: payload.as_ref().to_vec() }
}

impl Shard {
    fn stream(self, stream: u16) -> Self {
        Self { stream, ..self }
    }

    fn mid(self, mid: u32) -> Self {
        Self { mid, ..self }
    }

    fn i_data(&self) -> IData<'_> {
        let is_first = self.flags.contains('B');
        IData {
            tsn: Tsn(self.tsn),
            stream: StreamId(self.stream),
            mid: Mid(self.mid),
            fragment: if is_first {
                Fragment::First(Ppid(self.number))
            } else {
                Fragment::Later(self.number)
            },
            end: self.flags.contains('E'),
            unordered: self.flags.contains('U'),
            immediate: self.flags.contains('I'),
            payload: &self.payload,
        }
    }
}

/// What a SACK says: cumulative TSN, a_rwnd, gap blocks, duplicates.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Told {
    cumulative: u32,
    a_rwnd: u32,
    gaps: Vec<(u16, u16)>,
    duplicates: Vec<u32>,
}

/// A receiver that was started with initial TSN 1 and ten streams unless said otherwise.
struct Rig {
    receiver: Receiver,
    now: Instant,
}

impl Rig {
    fn new() -> Self {
        Self::with(|_| {})
    }

    fn with(change: impl FnOnce(&mut ReceiverConfig)) -> Self {
        let mut config = ReceiverConfig::default();
        change(&mut config);
        Self::starting_at(config, 1)
    }

    fn starting_at(config: ReceiverConfig, initial: u32) -> Self {
        let mut receiver = Receiver::new(config);
        receiver.start(Tsn(initial), 10, false);
        Self { receiver, now: Instant::now() }
    }

    /// For I-DATA.
    fn interleaved() -> Self {
        Self::interleaved_with(|_| {})
    }

    fn interleaved_with(change: impl FnOnce(&mut ReceiverConfig)) -> Self {
        let mut rig = Self::with(change);
        rig.receiver.start(Tsn(1), 10, true);
        rig
    }

    /// One packet with one chunk.
    fn take_i(&mut self, shard: &Shard) -> DataOutcome {
        let outcome = self.receiver.handle_i_data(&shard.i_data());
        self.receiver.end_of_packet(self.now);
        if !matches!(outcome, DataOutcome::Violation(_)) {
            self.receiver.check_invariants();
        }
        outcome
    }

    #[track_caller]
    fn accept_i(&mut self, shard: &Shard) {
        assert_eq!(self.take_i(shard), DataOutcome::Accepted, "{shard:?}");
    }

    /// One packet with one I-FORWARD-TSN; the entries are streams, whether unordered, and MIDs.
    fn forward_i(&mut self, point: u32, skipped: &[(u16, bool, u32)]) -> ForwardOutcome {
        let skipped: Vec<_> = skipped
            .iter()
            .map(|&(stream, unordered, mid)| SkippedMessages {
                stream: StreamId(stream),
                unordered,
                mid: Mid(mid),
            })
            .collect();
        let chunk = IForwardTsn { new_cumulative_tsn: Tsn(point), streams: List::new(&skipped) };
        let outcome = self.receiver.handle_i_forward_tsn(&chunk);
        self.receiver.end_of_packet(self.now);
        if !matches!(outcome, ForwardOutcome::Violation(_)) {
            self.receiver.check_invariants();
        }
        outcome
    }

    #[track_caller]
    fn advance_i(&mut self, point: u32, skipped: &[(u16, bool, u32)]) {
        assert_eq!(self.forward_i(point, skipped), ForwardOutcome::Advanced);
    }

    /// One packet with one chunk.
    fn take(&mut self, piece: &Piece) -> DataOutcome {
        let outcome = self.receiver.handle_data(&piece.data());
        self.receiver.end_of_packet(self.now);
        // Behind a violation there is no association.
        if !matches!(outcome, DataOutcome::Violation(_)) {
            self.receiver.check_invariants();
        }
        outcome
    }

    #[track_caller]
    fn accept(&mut self, piece: &Piece) {
        assert_eq!(self.take(piece), DataOutcome::Accepted, "{piece:?}");
    }

    /// One packet with one FORWARD TSN; the entries are streams and SSNs.
    fn forward(&mut self, point: u32, skipped: &[(u16, u16)]) -> ForwardOutcome {
        let skipped: Vec<_> = skipped
            .iter()
            .map(|&(stream, ssn)| SkippedStream { stream: StreamId(stream), ssn: Ssn(ssn) })
            .collect();
        let chunk = ForwardTsn { new_cumulative_tsn: Tsn(point), streams: List::new(&skipped) };
        let outcome = self.receiver.handle_forward_tsn(&chunk);
        self.receiver.end_of_packet(self.now);
        if !matches!(outcome, ForwardOutcome::Violation(_)) {
            self.receiver.check_invariants();
        }
        outcome
    }

    #[track_caller]
    fn advance(&mut self, point: u32, skipped: &[(u16, u16)]) {
        assert_eq!(self.forward(point, skipped), ForwardOutcome::Advanced);
    }

    fn sack(&mut self) -> Option<Told> {
        self.sack_within(1191)
    }

    fn sack_within(&mut self, packet_size: usize) -> Option<Told> {
        let header = Header { source_port: 1, destination_port: 1, verification_tag: 1 };
        let mut buffer = BytesMut::new();
        let mut packet = PacketWriter::new(&mut buffer, header, packet_size);
        let written = self.receiver.write_sack(&mut packet);
        assert_eq!(packet.finish(Checksum::Crc32c) > 0, written);
        if !written {
            return None;
        }
        assert!(buffer.len() <= packet_size);
        let (_, mut chunks) = wire::parse(&buffer, false).unwrap();
        let Some(Ok(Chunk::Sack(sack))) = chunks.next() else { panic!("no SACK") };
        Some(Told {
            cumulative: sack.cumulative_tsn.0,
            a_rwnd: sack.a_rwnd,
            gaps: sack.gaps.iter().map(|block| (block.start, block.end)).collect(),
            duplicates: sack.duplicates.iter().map(|tsn| tsn.0).collect(),
        })
    }

    /// The SACKs that are due.
    fn due(&mut self) -> Vec<Told> {
        let mut sacks = Vec::new();
        while self.receiver.sack_due() {
            sacks.push(self.sack().unwrap());
        }
        sacks
    }

    fn recv(&mut self, stream: u16) -> Option<String> {
        let message = self.receiver.recv(StreamId(stream))?;
        self.receiver.check_invariants();
        Some(String::from_utf8(message.data.to_vec()).unwrap())
    }

    fn recv_all(&mut self, stream: u16) -> Vec<String> {
        std::iter::from_fn(|| self.recv(stream)).collect()
    }

    fn recv_part(&mut self, stream: u16) -> Option<(String, bool)> {
        let part = self.receiver.recv_part(StreamId(stream))?;
        self.receiver.check_invariants();
        if part.abandoned {
            assert!(part.last && part.data.is_empty());
            return Some((ABANDONED.into(), true));
        }
        Some((String::from_utf8(part.data.to_vec()).unwrap(), part.last))
    }

    fn events(&mut self) -> Vec<ReceiverEvent> {
        std::iter::from_fn(|| self.receiver.poll_event()).collect()
    }
}

fn readable(stream: u16) -> ReceiverEvent {
    ReceiverEvent::Readable(StreamId(stream))
}

/// All orders of the indices below `n`.
fn permutations(n: usize) -> Vec<Vec<usize>> {
    let Some(last) = n.checked_sub(1) else { return vec![Vec::new()] };
    let shorter = permutations(last);
    let insert_everywhere = |order: Vec<usize>| {
        (0..n).map(move |position| {
            let mut order = order.clone();
            order.insert(position, last);
            order
        })
    };
    shorter.into_iter().flat_map(insert_everywhere).collect()
}
