//! The sending half's view of what is in flight, against a model that asks RFC 9260 for each chunk one by one.

use super::script::Script;
use crate::Reliability;
use crate::number::{Ppid, StreamId, Tsn};
use crate::send::{SackOutcome, Sender, SenderConfig, Terms};
use crate::wire::{self, Checksum, Chunk, GapBlock, Header, List, PacketWriter, Sack};
use bytes::{Bytes, BytesMut};
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// Sends, packets, acknowledgements of any kind and time.
///
/// An acknowledgement is taken or refused as the RFC has it; afterwards the same bytes are in flight, the same chunks are
/// unacknowledged, and only what the model calls lost is sent again, lowest first.
pub fn sack(script: &[u8]) {
    let mut script = Script::new(script);
    let mut run = Run::new(script.byte());
    while let Some(step) = script.step() {
        run.step(step, &mut script);
        run.check();
    }
    run.finish();
}

/// One chunk that the cumulative TSN does not cover.
#[derive(Debug)]
struct Sent {
    /// With its header and padding.
    size: usize,
    payload: usize,
    /// Reported by a gap block.
    acked: bool,
    /// Reported once and then no more: that it is reported again is no news before the cumulative TSN covers it.
    reneged: bool,
    lost: bool,
    misses: u8,
    /// RFC 9260 §7.2.4 (5): it was fast retransmitted, and is not again.
    is_fast: bool,
}

/// TSNs are relative to the first one.
#[derive(Debug, Default)]
struct Model {
    chunks: BTreeMap<i64, Sent>,
    /// The next new TSN.
    next: i64,
    /// The last TSN that the cumulative one covers.
    cumulative: i64,
    /// Fast recovery ends when this is acknowledged.
    exit: Option<i64>,
    a_rwnd: usize,
}

#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Stale,
    Invalid,
    Taken { bytes: usize, advanced: bool },
}

impl Model {
    /// RFC 9260 §6.2.1 and §7.2.4, chunk by chunk.
    fn sack(&mut self, cumulative: i64, gaps: &[GapBlock]) -> Verdict {
        if cumulative < self.cumulative {
            return Verdict::Stale;
        }
        let mut reported = BTreeSet::new();
        let mut last = 0;
        for block in gaps {
            if block.start <= last || block.end < block.start {
                return Verdict::Invalid;
            }
            last = block.end;
            reported.extend((block.start..=block.end).map(|offset| cumulative + i64::from(offset)));
        }
        if cumulative.max(reported.last().copied().unwrap_or(cumulative)) >= self.next {
            return Verdict::Invalid;
        }
        self.apply(cumulative, &reported)
    }

    fn apply(&mut self, cumulative: i64, reported: &BTreeSet<i64>) -> Verdict {
        let (verdict, newly) = self.acknowledge(cumulative, reported);
        let is_advanced = verdict == Verdict::Taken { bytes: newly.bytes, advanced: true };
        // "the miss indications are incremented for all TSNs reported missing" in fast recovery, if the cumulative TSN
        // advanced; else "only for missing TSNs prior to the HTNA".
        let end = match self.exit {
            Some(_) if is_advanced => reported.last().copied(),
            Some(_) | None => newly.highest,
        };
        let mut newly_lost = false;
        for (tsn, chunk) in &mut self.chunks {
            let is_reneged = chunk.acked && !reported.contains(tsn);
            chunk.acked &= !is_reneged;
            chunk.reneged |= is_reneged;
            let is_missing = is_reneged || (!chunk.acked && !chunk.lost && Some(*tsn) < end);
            if !is_missing || (chunk.is_fast && !is_reneged) {
                continue;
            }
            chunk.misses += 1;
            if chunk.misses >= 3 && !chunk.is_fast {
                (chunk.lost, chunk.is_fast, chunk.misses) = (true, true, 0);
                newly_lost = true;
            }
        }
        if self.exit.is_some_and(|exit| cumulative >= exit) {
            self.exit = None;
        }
        if newly_lost && self.exit.is_none() {
            self.exit = Some(self.next - 1);
        }
        verdict
    }

    /// What is reported now and was not before; what the cumulative TSN covers is gone.
    fn acknowledge(&mut self, cumulative: i64, reported: &BTreeSet<i64>) -> (Verdict, Newly) {
        let mut newly = Newly { bytes: 0, highest: None };
        for (tsn, chunk) in &mut self.chunks {
            if !chunk.acked && (*tsn <= cumulative || reported.contains(tsn)) {
                (chunk.acked, chunk.lost) = (true, false);
                newly.bytes += if chunk.reneged && *tsn > cumulative { 0 } else { chunk.size };
                newly.highest = Some(*tsn);
            }
        }
        let advanced = cumulative > self.cumulative;
        self.cumulative = cumulative;
        self.chunks = self.chunks.split_off(&(cumulative + 1));
        (Verdict::Taken { bytes: newly.bytes, advanced }, newly)
    }

    /// RFC 9260 §6.3.3.
    fn time_out(&mut self) {
        for chunk in self.chunks.values_mut().filter(|chunk| !chunk.acked) {
            (chunk.lost, chunk.is_fast, chunk.misses) = (true, false, 0);
        }
        self.exit = None;
    }

    fn in_flight(&self, measure: impl Fn(&Sent) -> usize) -> usize {
        self.chunks.values().filter(|chunk| !chunk.acked && !chunk.lost).map(measure).sum()
    }
}

struct Newly {
    bytes: usize,
    highest: Option<i64>,
}

struct Run {
    sender: Sender,
    now: Instant,
    initial: u32,
    model: Model,
    /// Accepted bytes that are not in a packet yet.
    queued: usize,
}

impl Run {
    fn new(agreement: u8) -> Self {
        let initial = if agreement & 2 != 0 { u32::MAX - u32::from(agreement >> 4) } else { 1 };
        let mut sender = Sender::new(SenderConfig::default());
        let now = Instant::now();
        let terms = Terms {
            initial_tsn: Tsn(initial),
            peer_rwnd: 100_000,
            streams: 4,
            max_packet: 1191,
            partial_reliability: false,
            interleaving: agreement & 1 != 0,
        };
        sender.start(now, &terms);
        let model = Model { cumulative: -1, a_rwnd: 100_000, ..Model::default() };
        Self { sender, now, initial, model, queued: 0 }
    }

    fn step(&mut self, step: u8, script: &mut Script<'_>) {
        match step % 8 {
            0 | 1 => {
                let length = usize::from(script.u16() % 6000) + 1;
                self.send(StreamId((step >> 4 & 3).into()), length, step & 8 != 0);
            }
            2 | 3 => {
                for _ in 0..=script.byte() % 16 {
                    self.transmit();
                }
            }
            4 | 5 => self.odd_sack(script),
            6 => self.likely_sack(script),
            _ => self.pass_time(script),
        }
    }

    fn send(&mut self, stream: StreamId, length: usize, ordered: bool) {
        let data = Bytes::from(vec![0; length]);
        let sent =
            self.sender.send_part(self.now, stream, Ppid::BINARY, data, true, ordered, Reliability::Reliable);
        assert_eq!(sent, Ok(()));
        self.queued += length;
    }

    fn transmit(&mut self) {
        let mut buffer = BytesMut::new();
        let header = Header { source_port: 1, destination_port: 2, verification_tag: 3 };
        let mut packet = PacketWriter::new(&mut buffer, header, 1191);
        if !self.sender.write_data(self.now, &mut packet) {
            return;
        }
        packet.finish(Checksum::Crc32c);
        let (_, chunks) = wire::parse(&buffer, false).expect("own packets are sound");
        for chunk in chunks {
            let (tsn, payload, header) = match chunk.expect("own chunks are sound") {
                Chunk::Data(data) => (data.tsn, data.payload.len(), 16),
                Chunk::IData(data) => (data.tsn, data.payload.len(), 20),
                other => panic!("{other}"),
            };
            self.note(tsn, payload, (header + payload).next_multiple_of(4));
        }
    }

    /// A chunk left.
    fn note(&mut self, tsn: Tsn, payload: usize, size: usize) {
        let tsn = self.offset(tsn);
        if tsn == self.model.next {
            let sent =
                Sent { size, payload, acked: false, reneged: false, lost: false, misses: 0, is_fast: false };
            self.model.chunks.insert(tsn, sent);
            self.model.next += 1;
            self.queued -= payload;
            return;
        }
        let lowest = self.model.chunks.iter().find(|(_, chunk)| chunk.lost).map(|(tsn, _)| *tsn);
        assert_eq!(lowest, Some(tsn), "sent again");
        if let Some(chunk) = self.model.chunks.get_mut(&tsn) {
            assert_eq!((chunk.payload, chunk.size), (payload, size), "a chunk stays what it is");
            (chunk.lost, chunk.misses) = (false, 0);
        }
    }

    /// Anything near what was sent.
    fn odd_sack(&mut self, script: &mut Script<'_>) {
        let cumulative = self.model.cumulative + i64::from(script.byte()) - 4;
        let mut end = 0_u16;
        let gaps: Vec<GapBlock> = (0..script.byte() % 8)
            .map(|_| {
                let start = end.wrapping_add(script.byte().into());
                end = start.wrapping_add(u16::from(script.byte() % 64).wrapping_sub(2));
                GapBlock { start, end }
            })
            .collect();
        self.sack(cumulative, &gaps, script.byte());
    }

    /// What a peer could say to which the outstanding chunks arrived whose bits are set.
    fn likely_sack(&mut self, script: &mut Script<'_>) {
        let arrived = script.u32();
        let first = self.model.cumulative + 1;
        let has = |tsn: i64| tsn - first < 32 && arrived >> (tsn - first) & 1 != 0;
        self.true_sack(has, script.byte());
    }

    /// A SACK of a peer that has those of the outstanding chunks.
    fn true_sack(&mut self, has: impl Fn(i64) -> bool, window: u8) {
        let mut outstanding = self.model.chunks.keys().copied();
        let next = outstanding.find(|tsn| !has(*tsn)).unwrap_or(self.model.next);
        let single = |tsn: i64| {
            let offset = u16::try_from(tsn + 1 - next).expect("few are outstanding");
            GapBlock { start: offset, end: offset }
        };
        let gaps: Vec<GapBlock> = outstanding.filter(|tsn| has(*tsn)).map(single).collect();
        self.sack(next - 1, &gaps, window);
    }

    fn sack(&mut self, cumulative: i64, gaps: &[GapBlock], window: u8) {
        // Never so small that a probe is what is in flight: the RFC leaves open when that is given up.
        let a_rwnd = 2000 + u32::from(window) * 512;
        let outcome = self.sender.handle_sack(
            self.now,
            &Sack {
                cumulative_tsn: Tsn(self.on_wire(cumulative)),
                a_rwnd,
                gaps: List::new(gaps),
                duplicates: List::EMPTY,
            },
        );
        let verdict = match outcome {
            SackOutcome::Stale => Verdict::Stale,
            SackOutcome::Invalid => Verdict::Invalid,
            SackOutcome::Processed(acked) => {
                self.model.a_rwnd = usize::try_from(a_rwnd).unwrap_or(usize::MAX);
                Verdict::Taken { bytes: acked.newly_acked_bytes, advanced: acked.advanced }
            }
        };
        assert_eq!(verdict, self.model.sack(cumulative, gaps), "{cumulative} {gaps:?}");
    }

    fn pass_time(&mut self, script: &mut Script<'_>) {
        let deadline = self.sender.poll_timeout();
        let time = Duration::from_millis(script.byte().into());
        self.now = match deadline {
            Some(deadline) if script.bool() => self.now.max(deadline),
            Some(_) | None => self.now + time,
        };
        if self.sender.handle_timeout(self.now).is_some() {
            self.model.time_out();
        }
    }

    fn check(&self) {
        self.sender.check_invariants();
        let (model, stats) = (&self.model, self.sender.stats());
        assert_eq!(stats.bytes_in_flight, model.in_flight(|chunk| chunk.size), "{model:#?}");
        let payload = model.in_flight(|chunk| chunk.payload);
        assert_eq!(stats.peer_rwnd, model.a_rwnd.saturating_sub(payload));
        let unacked = model.chunks.values().filter(|chunk| !chunk.acked).count();
        assert_eq!(self.sender.unacknowledged_chunks(), unacked);
        let outstanding: usize = model.chunks.values().map(|chunk| chunk.payload).sum();
        assert_eq!(self.sender.undelivered(), self.queued + outstanding);
        assert_eq!(self.sender.last_assigned_tsn(), Tsn(self.on_wire(model.next - 1)));
        assert!(model.chunks.is_empty() || self.sender.poll_timeout().is_some(), "no timer");
    }

    /// A peer that takes everything: it ends.
    fn finish(&mut self) {
        for _ in 0..10_000 {
            for _ in 0..100 {
                self.transmit();
            }
            self.check();
            if self.sender.is_idle() {
                return;
            }
            if self.model.chunks.values().all(|chunk| chunk.acked || chunk.lost) {
                // Nothing may leave before T3 expires.
                let deadline = self.sender.poll_timeout().expect("something is left to send");
                self.now = self.now.max(deadline);
                if self.sender.handle_timeout(self.now).is_some() {
                    self.model.time_out();
                }
            }
            let lost = self.model.chunks.iter().filter(|(_, chunk)| chunk.lost).map(|(tsn, _)| *tsn);
            let lost: BTreeSet<i64> = lost.collect();
            self.true_sack(|tsn| !lost.contains(&tsn), u8::MAX);
        }
        panic!("it does not end: {:?}", self.model);
    }

    fn offset(&self, tsn: Tsn) -> i64 {
        tsn.0.wrapping_sub(self.initial).cast_signed().into()
    }

    #[expect(clippy::cast_possible_truncation, reason = "offsets are small")]
    fn on_wire(&self, offset: i64) -> u32 {
        self.initial.wrapping_add_signed(offset as i32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_script(script in vec(any::<u8>(), 0..300)) {
            sack(&script);
        }

        /// Sends, packets, and what a peer could say.
        #[test]
        fn likely_scripts(
            agreement in any::<u8>(),
            steps in vec((any::<u8>(), any::<u32>(), any::<u8>()), 0..80),
        ) {
            let mut script = vec![agreement];
            for (step, number, window) in steps {
                let bytes = number.to_be_bytes();
                match step % 8 {
                    0 | 1 => script.extend([step, bytes[0], bytes[1]]),
                    2 | 3 => script.extend([step, bytes[0]]),
                    7 => script.extend([step, bytes[0], window]),
                    _ => script.extend([6, bytes[0], bytes[1], bytes[2], bytes[3], window]),
                }
            }
            sack(&script);
        }
    }
}
