//! The receiving half against a model that keeps every chunk it has seen and looks at all of them each time.

use super::script::Script;
use crate::number::{Mid, Ppid, Ssn, StreamId, Tsn};
use crate::recv::{DataOutcome, ForwardOutcome, Receiver, ReceiverConfig};
use crate::wire::{
    self, Checksum, Chunk, Data, ForwardTsn, Fragment, Header, IData, IForwardTsn, List, PacketWriter, Sack,
    SkippedMessages, SkippedStream,
};
use bytes::BytesMut;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

/// A peer's messages in any order, with copies; and, as the script likes, chunks that belong to none, and FORWARD TSN.
///
/// Whatever comes, a message that is read is one: the fragments from a first to a last one of the same stream, each read
/// once, and ordered messages in the order of their numbers. As long as the peer keeps the rules, exactly that can be read
/// which is complete and has its turn.
pub fn reassembly(script: &[u8]) {
    let mut script = Script::new(script);
    let agreement = script.byte();
    let mut run = Run::new(agreement, &mut script);
    while let Some(step) = script.step() {
        if !run.step(step, &mut script) {
            return;
        }
        run.read();
        run.check();
    }
    if run.is_honest {
        run.finish();
    }
}

/// DATA, or I-DATA with the MID in `number`.
#[derive(Clone, Debug)]
struct Piece {
    /// Relative to the first TSN.
    offset: i64,
    stream: u16,
    unordered: bool,
    number: u32,
    fsn: u32,
    begin: bool,
    end: bool,
    payload: Vec<u8>,
}

struct Run {
    receiver: Receiver,
    now: Instant,
    interleaving: bool,
    by_parts: bool,
    initial: u32,
    /// What the peer sends if it keeps the rules.
    plan: Vec<Piece>,
    /// Pieces made so far: each names itself in its payload.
    made: u16,
    accepted: BTreeMap<i64, Piece>,
    /// TSNs that are acknowledged and not kept.
    discarded: BTreeSet<i64>,
    /// Pieces by their names that were read.
    read: BTreeSet<u16>,
    /// Messages read, by stream and order: how many, and the number of the last one.
    messages: BTreeMap<(u16, bool), (usize, u32)>,
    halves: BTreeMap<u16, Vec<u8>>,
    is_honest: bool,
    /// The peer gave something up: numbers may be missing.
    may_skip: bool,
}

impl Run {
    fn new(agreement: u8, script: &mut Script<'_>) -> Self {
        let config = ReceiverConfig { window: 1 << 20, max_message_size: 3000, ..ReceiverConfig::default() };
        let mut receiver = Receiver::new(config);
        let interleaving = agreement & 1 != 0;
        let initial = if agreement & 2 != 0 { u32::MAX - u32::from(agreement >> 4) } else { 1 };
        receiver.start(Tsn(initial), STREAMS, interleaving);
        let mut run = Self {
            receiver,
            now: Instant::now(),
            interleaving,
            by_parts: agreement & 4 != 0,
            initial,
            plan: Vec::new(),
            made: 0,
            accepted: BTreeMap::new(),
            discarded: BTreeSet::new(),
            read: BTreeSet::new(),
            messages: BTreeMap::new(),
            halves: BTreeMap::new(),
            is_honest: true,
            may_skip: false,
        };
        run.make_plan(script);
        run
    }

    /// One byte for each message: its stream, order, number of fragments, and whether it is interleaved with the one
    /// before it.
    fn make_plan(&mut self, script: &mut Script<'_>) {
        let mut numbers = BTreeMap::<(u16, bool), u32>::new();
        let mut chunks: Vec<Piece> = Vec::new();
        let mut last: Vec<Piece> = Vec::new();
        for _ in 0..=script.byte() % 16 {
            let shape = script.byte();
            let lane = (u16::from(shape % 4), shape & 4 != 0);
            let number = numbers.entry(lane).or_default();
            let message = message(lane, *number, u32::from(shape >> 3 & 7) + 1);
            // Unordered DATA has no number.
            *number += u32::from(self.interleaving || !lane.1);
            let is_other = last.first().is_some_and(|piece| (piece.stream, piece.unordered) != lane);
            if self.interleaving && shape & 64 != 0 && is_other {
                merge(&mut chunks, std::mem::take(&mut last), message);
            } else {
                chunks.append(&mut last);
                last = message;
            }
        }
        chunks.append(&mut last);
        for (offset, mut piece) in (0..).zip(chunks) {
            piece.offset = offset;
            piece.payload = self.payload(usize::from(script.byte()));
            self.plan.push(piece);
        }
    }

    /// Bytes that tell which piece they are and where it ends.
    fn payload(&mut self, filler: usize) -> Vec<u8> {
        let name = self.made.to_be_bytes();
        self.made += 1;
        let length = u8::try_from(filler % 200).unwrap_or_default();
        [&[name[0], name[1], length][..], &vec![0; length.into()]].concat()
    }

    /// Whether the association goes on.
    fn step(&mut self, step: u8, script: &mut Script<'_>) -> bool {
        match step % 8 {
            0..=4 => {
                let which = usize::from(script.byte()) % self.plan.len();
                let piece = self.plan[which].clone();
                self.take(piece)
            }
            // The next one that is missing.
            5 => {
                let missing = self.plan.iter().find(|piece| !self.is_known(piece.offset));
                missing.cloned().is_none_or(|piece| self.take(piece))
            }
            6 => {
                self.is_honest = false;
                let piece = self.odd_piece(script);
                self.take(piece)
            }
            _ => {
                (self.is_honest, self.may_skip) = (false, true);
                self.forward(script)
            }
        }
    }

    /// A chunk that need not belong to anything.
    fn odd_piece(&mut self, script: &mut Script<'_>) -> Piece {
        let (offset, flags, number) = (script.byte(), script.byte(), script.byte());
        Piece {
            offset: i64::from(offset) - 8,
            stream: u16::from(flags >> 3 & 7),
            unordered: flags & 4 != 0,
            number: u32::from(number),
            // RFC 8260 §2.1: the first fragment has no FSN, and counts as 0.
            fsn: if flags & 1 != 0 { 0 } else { u32::from(flags >> 6) },
            begin: flags & 1 != 0,
            end: flags & 2 != 0,
            payload: self.payload(usize::from(script.byte())),
        }
    }

    fn take(&mut self, piece: Piece) -> bool {
        let outcome = if self.interleaving {
            self.receiver.handle_i_data(&piece.i_data(self.initial))
        } else {
            self.receiver.handle_data(&piece.data(self.initial))
        };
        self.receiver.end_of_packet(self.now);
        let is_known = self.is_known(piece.offset);
        assert_eq!(outcome == DataOutcome::Duplicate, is_known, "{piece:?}: {outcome:?}");
        match outcome {
            DataOutcome::Accepted => drop(self.accepted.insert(piece.offset, piece)),
            DataOutcome::Duplicate => {}
            DataOutcome::InvalidStream => {
                assert!(piece.stream >= STREAMS);
                self.discarded.insert(piece.offset);
            }
            DataOutcome::TooLarge(_) => {
                assert!(!self.is_honest);
                self.discarded.insert(piece.offset);
            }
            DataOutcome::Dropped(_) => assert!(!self.is_honest, "{outcome:?}"),
            DataOutcome::NoUserData => panic!("no piece is empty"),
            DataOutcome::Violation(_) | DataOutcome::OutOfResource => {
                assert!(!self.is_honest, "{piece:?}: {outcome:?}");
                return false;
            }
        }
        true
    }

    fn forward(&mut self, script: &mut Script<'_>) -> bool {
        let point = i64::from(script.byte()) - 2;
        let entries: Vec<(StreamId, u8)> =
            (0..script.byte() % 4).map(|_| (StreamId((script.byte() % 5).into()), script.byte())).collect();
        let new_cumulative_tsn = Tsn(on_wire(self.initial, point));
        let outcome = if self.interleaving {
            let skipped = entries.iter().map(|(stream, number)| SkippedMessages {
                stream: *stream,
                unordered: number & 1 != 0,
                mid: Mid((number / 2).into()),
            });
            let streams: Vec<_> = skipped.collect();
            self.receiver
                .handle_i_forward_tsn(&IForwardTsn { new_cumulative_tsn, streams: List::new(&streams) })
        } else {
            let skipped = entries
                .iter()
                .map(|(stream, number)| SkippedStream { stream: *stream, ssn: Ssn((*number).into()) });
            let streams: Vec<_> = skipped.collect();
            self.receiver.handle_forward_tsn(&ForwardTsn { new_cumulative_tsn, streams: List::new(&streams) })
        };
        self.receiver.end_of_packet(self.now);
        if let ForwardOutcome::Advanced = outcome {
            self.discarded.extend((0..=point).filter(|offset| !self.accepted.contains_key(offset)));
        }
        !matches!(outcome, ForwardOutcome::Violation(_))
    }

    /// Arrived, or given up.
    fn is_known(&self, offset: i64) -> bool {
        offset < 0 || self.accepted.contains_key(&offset) || self.discarded.contains(&offset)
    }

    fn read(&mut self) {
        for stream in 0..STREAMS {
            if self.by_parts {
                while let Some(part) = self.receiver.recv_part(StreamId(stream)) {
                    if part.abandoned {
                        assert!(!self.is_honest && part.data.is_empty());
                        self.halves.remove(&stream);
                        continue;
                    }
                    self.halves.entry(stream).or_default().extend_from_slice(&part.data);
                    if part.last {
                        let message = self.halves.remove(&stream).unwrap_or_default();
                        self.note(stream, &message);
                    }
                }
            } else {
                while let Some(message) = self.receiver.recv(StreamId(stream)) {
                    self.note(stream, &message.data);
                }
            }
        }
    }

    /// A message was read: takes it apart and looks whether it is one.
    fn note(&mut self, stream: u16, message: &[u8]) {
        let mut pieces = Vec::new();
        let mut rest = message;
        while let [high, low, length, more @ ..] = rest {
            let name = u16::from_be_bytes([*high, *low]);
            let payload = &rest[..3 + usize::from(*length)];
            let piece = self.accepted.values().find(|piece| piece.payload == payload);
            pieces.push(piece.expect("what is read has come").clone());
            assert!(self.read.insert(name), "read twice: {name}");
            rest = &more[usize::from(*length)..];
        }
        assert!(rest.is_empty());
        let (first, last) = (&pieces[0], &pieces[pieces.len() - 1]);
        assert!(first.begin && last.end, "{pieces:?}");
        for pair in pieces.windows(2) {
            assert!(!pair[0].end && !pair[1].begin, "glued: {pieces:?}");
            let follows = if self.interleaving {
                pair[1].fsn == pair[0].fsn + 1
            } else {
                pair[1].offset == pair[0].offset + 1
            };
            assert!(follows, "{pieces:?}");
        }
        for piece in &pieces {
            assert_eq!((piece.stream, piece.unordered), (stream, first.unordered), "{pieces:?}");
            assert!(piece.number == first.number || (first.unordered && !self.interleaving), "{pieces:?}");
        }
        let (count, number) = self.messages.entry((stream, first.unordered)).or_default();
        if !first.unordered {
            let next = if *count == 0 { 0 } else { *number + 1 };
            assert!(
                first.number == next || (self.may_skip && first.number > next),
                "{pieces:?} after {number}"
            );
        }
        (*count, *number) = (*count + 1, first.number);
    }

    fn check(&mut self) {
        self.receiver.check_invariants();
        let cumulative = (0..).find(|offset| !self.is_known(*offset)).unwrap_or(0) - 1;
        assert_eq!(self.receiver.cumulative_tsn(), Tsn(on_wire(self.initial, cumulative)));
        self.check_sack(cumulative);
        if self.is_honest {
            self.check_messages();
        }
    }

    /// What is reported has come.
    fn check_sack(&mut self, cumulative: i64) {
        while self.receiver.sack_due() {
            let mut buffer = BytesMut::new();
            let header = Header { source_port: 1, destination_port: 1, verification_tag: 1 };
            let mut packet = PacketWriter::new(&mut buffer, header, 1191);
            assert!(self.receiver.write_sack(&mut packet));
            packet.finish(Checksum::Crc32c);
            let (_, mut chunks) = wire::parse(&buffer, false).expect("own packets are sound");
            let Some(Ok(Chunk::Sack(sack))) = chunks.next() else { panic!("no SACK") };
            let is_last = !self.receiver.sack_due();
            self.compare_sack(&sack, cumulative, is_last);
        }
    }

    /// The last of several says everything.
    fn compare_sack(&self, sack: &Sack<'_>, cumulative: i64, is_last: bool) {
        let said = i64::from(sack.cumulative_tsn.0.wrapping_sub(self.initial).cast_signed());
        assert!(said <= cumulative);
        let reported: BTreeSet<i64> = (sack.gaps.iter())
            .flat_map(|block| (block.start..=block.end).map(|offset| said + i64::from(offset)))
            .collect();
        let known: BTreeSet<i64> =
            self.accepted.keys().chain(&self.discarded).copied().filter(|offset| *offset > said).collect();
        if is_last {
            assert_eq!((said, reported), (cumulative, known));
        } else {
            assert!(reported.is_subset(&known));
        }
    }

    /// As many can be read as are complete and have their turn; that they are the right ones is known.
    fn check_messages(&self) {
        let mut expected = BTreeMap::<(u16, bool), usize>::new();
        let mut blocked = BTreeSet::new();
        for first in self.plan.iter().filter(|piece| piece.begin) {
            let lane = (first.stream, first.unordered);
            let is_complete = self.message_of(first).all(|piece| self.accepted.contains_key(&piece.offset));
            if !is_complete && !first.unordered {
                blocked.insert(lane);
            }
            if is_complete && !blocked.contains(&lane) {
                *expected.entry(lane).or_default() += 1;
            }
        }
        // Who has begun to read a message by parts reads that first.
        expected.retain(|(stream, _), _| !self.halves.contains_key(stream));
        let read = self.messages.iter().filter(|((stream, _), _)| !self.halves.contains_key(stream));
        let read: BTreeMap<_, _> = read.map(|(lane, (count, _))| (*lane, *count)).collect();
        assert_eq!(read, expected);
    }

    fn message_of(&self, first: &Piece) -> impl Iterator<Item = &Piece> {
        let lane = (first.stream, first.unordered);
        let mut is_over = false;
        let from_here = self.plan.iter().skip_while(move |piece| piece.offset < first.offset);
        let same = from_here.filter(move |piece| (piece.stream, piece.unordered) == lane);
        same.take_while(move |piece| !std::mem::replace(&mut is_over, piece.end))
    }

    /// All the rest arrives: everything was read, nothing is held.
    fn finish(&mut self) {
        for piece in self.plan.clone() {
            assert!(self.take(piece));
            self.read();
            self.check();
        }
        assert_eq!(self.receiver.charge(), 0);
        assert_eq!(self.read.len(), self.plan.len());
    }
}

impl Piece {
    fn data(&self, initial: u32) -> Data<'_> {
        Data {
            tsn: Tsn(on_wire(initial, self.offset)),
            stream: StreamId(self.stream),
            ssn: Ssn(u16::try_from(self.number).unwrap_or_default()),
            ppid: Ppid::BINARY,
            begin: self.begin,
            end: self.end,
            unordered: self.unordered,
            immediate: false,
            payload: &self.payload,
        }
    }

    fn i_data(&self, initial: u32) -> IData<'_> {
        IData {
            tsn: Tsn(on_wire(initial, self.offset)),
            stream: StreamId(self.stream),
            mid: Mid(self.number),
            fragment: if self.begin { Fragment::First(Ppid::BINARY) } else { Fragment::Later(self.fsn) },
            end: self.end,
            unordered: self.unordered,
            immediate: false,
            payload: &self.payload,
        }
    }
}

/// The fragments of a message, without places and contents.
fn message((stream, unordered): (u16, bool), number: u32, fragments: u32) -> Vec<Piece> {
    let piece = |fsn| Piece {
        offset: 0,
        stream,
        unordered,
        number,
        fsn,
        begin: fsn == 0,
        end: fsn + 1 == fragments,
        payload: Vec::new(),
    };
    (0..fragments).map(piece).collect()
}

/// Takes turns.
fn merge(chunks: &mut Vec<Piece>, one: Vec<Piece>, other: Vec<Piece>) {
    let (mut one, mut other) = (one.into_iter(), other.into_iter());
    loop {
        let before = chunks.len();
        chunks.extend(one.next());
        chunks.extend(other.next());
        if chunks.len() == before {
            return;
        }
    }
}

#[expect(clippy::cast_possible_truncation, reason = "offsets are small")]
fn on_wire(initial: u32, offset: i64) -> u32 {
    initial.wrapping_add_signed(offset as i32)
}

/// One less than the script can name.
const STREAMS: u16 = 7;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_script(script in vec(any::<u8>(), 0..300)) {
            reassembly(&script);
        }

        /// Nothing but what the peer may send.
        #[test]
        fn honest_scripts(
            agreement in any::<u8>(),
            plan in vec(any::<u8>(), 40),
            steps in vec((0..6_u8, any::<u8>()), 0..100),
        ) {
            let steps = steps.into_iter().flat_map(|(step, which)| [step, which]);
            let script: Vec<u8> = [agreement].into_iter().chain(plan).chain(steps).collect();
            reassembly(&script);
        }
    }
}
