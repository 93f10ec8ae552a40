//! What was sent and is not acknowledged by the cumulative TSN yet (RFC 9260 §6.2.1, §6.7, §7.2.4).
//!
//! A SACK is checked whole ([`Outstanding::check`]) before anything changes, and then processed as the difference to the
//! one before it: O(newly acknowledged + blocks), whatever is outstanding.

mod abandon;
#[cfg(any(test, feature = "__fuzzing"))]
mod invariants;
mod messages;

use super::chunk::{Chunk, Format, charge};
use super::tsn_set::TsnSet;
use crate::number::{Ppid, Tsn, Unwrapper};
use crate::wire::GapBlock;
use abandon::Abandonment;
pub(super) use abandon::{GivenUp, Skipped};
use std::collections::VecDeque;
use std::ops::Range;
use std::time::{Duration, Instant};

/// The chunks in flight, reported by gap blocks, lost, or given up; in TSN order without holes.
#[derive(Debug)]
pub(super) struct Outstanding {
    format: Format,
    /// The TSN of `txs[0]`: the cumulative TSN ack point + 1.
    base: u64,
    txs: VecDeque<Tx>,
    /// What the last SACK reported beyond the cumulative TSN: sorted and apart.
    gaps: Vec<Range<u64>>,
    /// The gap blocks of the SACK that was checked last.
    checked: Vec<Range<u64>>,
    /// How many chunks the peer took back since T3 expired, less those that the cumulative TSN makes up for.
    taken_back: u32,
    /// In flight, and to be fast retransmitted if they are missing often enough.
    missable: TsnSet,
    /// Lost and not sent again yet.
    lost: TsnSet,
    in_flight: usize,
    in_flight_payload: usize,
    /// Of all chunks that were not given up, reported or not.
    payload: usize,
    charged: usize,
    /// The chunk whose round trip is being measured.
    timed: Option<u64>,
    abandonment: Abandonment,
    unwrapper: Unwrapper,
}

/// One chunk on its way.
#[derive(Debug)]
struct Tx {
    chunk: Chunk,
    /// The latest transmission.
    sent: Instant,
    /// How many TSNs after this one the fragment after it has; 0: it was not sent yet, or there is none.
    later: u16,
    transmissions: u16,
    state: TxState,
    /// Miss indications (RFC 9260 §7.2.4).
    misses: u8,
    /// RFC 9260 §7.2.4 (5): "ineligible for a subsequent Fast Retransmit".
    fast_retransmitted: bool,
    /// A gap block reported it once, and a later SACK did not.
    reneged: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum TxState {
    InFlight,
    /// Reported by a gap block.
    Acked,
    /// To be sent again.
    Lost,
    /// Given up with its message. RFC 3758 §3.5 A2: "the sender MUST treat the data chunk as being finally acked and no
    /// longer outstanding." A gap block that reports it, or does so no more, changes nothing.
    Abandoned,
}

/// Why a SACK was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SackError {
    /// Its cumulative TSN is below the ack point.
    Stale,
    /// It acknowledges a TSN that was never sent.
    NeverSent,
    /// Gap blocks reversed, unsorted, overlapping, or at the cumulative TSN.
    GapBlocks,
    /// It takes back chunks that gap blocks reported, and too many were by now.
    TakenBack,
}

/// What a SACK changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Applied {
    /// Chunk bytes acknowledged that were not acknowledged before.
    pub(super) newly_acked: usize,
    /// Of those, the bytes of chunks that the peer had acknowledged and taken back, and now reports by gap blocks again.
    pub(super) acked_again: usize,
    /// The highest TSN acknowledged for the first time, plus one; 0 if there is none.
    pub(super) newly_acked_end: u64,
    /// Whether the cumulative TSN moved.
    pub(super) advanced: bool,
    /// Chunks that got their third miss indication.
    pub(super) newly_lost: usize,
    /// Chunks that an earlier SACK reported and this one does not.
    pub(super) reneged: usize,
    pub(super) rtt: Option<Duration>,
}

impl Outstanding {
    pub(super) fn new(initial: Tsn, format: Format) -> Self {
        let unwrapper = Unwrapper::new(initial.0.wrapping_sub(1));
        Self {
            format,
            base: unwrapper.peek(initial.0),
            txs: VecDeque::new(),
            gaps: Vec::new(),
            checked: Vec::new(),
            taken_back: 0,
            missable: TsnSet::default(),
            lost: TsnSet::default(),
            in_flight: 0,
            in_flight_payload: 0,
            payload: 0,
            charged: 0,
            timed: None,
            abandonment: Abandonment::default(),
            unwrapper,
        }
    }

    /// Takes a chunk that is being sent for the first time; gives its TSN.
    pub(super) fn push(&mut self, now: Instant, chunk: Chunk) -> u64 {
        self.in_flight += self.format.chunk_size(chunk.data.len());
        self.in_flight_payload += chunk.data.len();
        self.payload += chunk.data.len();
        self.charged += charge(chunk.data.len());
        let number = self.append(now, chunk, TxState::InFlight);
        self.missable.insert(number);
        // RFC 9260 §6.3.1 C4: "new RTT measurements SHOULD be made no more than once per round trip".
        self.timed.get_or_insert(number);
        number
    }

    /// Checks the cumulative TSN and all gap blocks of a SACK; changes nothing that matters. Gives what
    /// [`apply`](Self::apply) wants.
    pub(super) fn check(
        &mut self,
        cumulative: Tsn,
        gaps: impl Iterator<Item = GapBlock>,
    ) -> Result<u64, SackError> {
        let cumulative = self.check_cumulative(cumulative)?;
        self.checked.clear();
        let mut floor = cumulative + 1;
        for GapBlock { start, end } in gaps {
            let block = cumulative + u64::from(start)..cumulative + u64::from(end) + 1;
            if block.start < floor || block.is_empty() {
                return Err(SackError::GapBlocks);
            }
            if block.end > self.next_tsn() {
                return Err(SackError::NeverSent);
            }
            floor = block.end;
            match self.checked.last_mut().filter(|last| last.end == block.start) {
                Some(adjacent) => adjacent.end = block.end,
                None => self.checked.push(block),
            }
        }
        let mut taken_back = self.taken_back_at(cumulative);
        each_in_difference(&self.gaps, &self.checked, |range| {
            taken_back = taken_back.saturating_add(count(cumulative.max(range.start - 1) + 1..range.end));
        });
        if taken_back > MAX_TAKEN_BACK { Err(SackError::TakenBack) } else { Ok(cumulative) }
    }

    /// The same for a chunk that carries a cumulative TSN only.
    pub(super) fn check_cumulative(&self, cumulative: Tsn) -> Result<u64, SackError> {
        let cumulative = self.unwrapper.peek(cumulative.0);
        // RFC 9260 §6.2.1 D i): "If Cumulative TSN Ack is less than the Cumulative TSN Ack Point, then drop the SACK
        // chunk."
        if cumulative + 1 < self.base {
            return Err(SackError::Stale);
        }
        if cumulative >= self.next_tsn() { Err(SackError::NeverSent) } else { Ok(cumulative) }
    }

    /// A TSN that the peer names, as the one nearest to what it acknowledged.
    pub(super) fn unwrap(&self, tsn: Tsn) -> u64 {
        self.unwrapper.peek(tsn.0)
    }

    /// Processes the SACK checked just before. `released` sees each chunk that the cumulative TSN takes away.
    pub(super) fn apply(
        &mut self,
        now: Instant,
        cumulative: u64,
        in_recovery: bool,
        released: impl FnMut(&Chunk),
    ) -> Applied {
        let mut applied = Applied::default();
        self.advance(now, cumulative, &mut applied, released);
        let old = std::mem::take(&mut self.gaps);
        let new = std::mem::take(&mut self.checked);
        each_in_difference(&new, &old, |range| {
            range.for_each(|number| self.acknowledge(now, number, &mut applied));
        });
        // RFC 9260 §7.2.4: "miss indications are incremented only for missing TSNs prior to the HTNA in the SACK chunk."
        // "If an endpoint is in Fast Recovery and a SACK chunks arrives that advances the Cumulative TSN Ack Point, the
        // miss indications are incremented for all TSNs reported missing in the SACK chunk."
        let reported_end = new.last().map_or(self.base, |last| last.end);
        let end = if in_recovery && applied.advanced { reported_end } else { applied.newly_acked_end };
        each_in_difference(&old, &new, |range| {
            self.taken_back = self.taken_back.saturating_add(count(range.clone()));
            range.for_each(|number| self.renege(now, number, end, &mut applied));
        });
        self.count_misses(now, end, &mut applied);
        self.gaps = new;
        self.checked = old;
        self.find_settled();
        applied
    }

    /// Moves the ack point alone: the absence of gap blocks says nothing (RFC 9260 §3.3.8).
    pub(super) fn apply_cumulative(
        &mut self,
        now: Instant,
        cumulative: u64,
        released: impl FnMut(&Chunk),
    ) -> Applied {
        let mut applied = Applied::default();
        self.advance(now, cumulative, &mut applied, released);
        self.find_settled();
        applied
    }

    /// T3-rtx expired: everything in flight is lost (RFC 9260 §6.3.3). It may be fast retransmitted again, and so may what
    /// was lost before.
    pub(super) fn mark_all_lost(&mut self, now: Instant) {
        for number in self.base..self.next_tsn() {
            let index = self.index(number);
            match self.txs[index].state {
                TxState::InFlight => self.lose(now, number),
                TxState::Lost => self.txs[index].fast_retransmitted = false,
                TxState::Acked | TxState::Abandoned => {}
            }
        }
        self.timed = None;
        // A peer that did take back so much is heard again; timeouts are rare.
        self.taken_back = 0;
    }

    /// Marks the first chunk that the peer needs lost if it is in flight: a probe of a closed window that was answered
    /// but not taken.
    pub(super) fn mark_first_lost(&mut self, now: Instant) {
        let first = self.first_unsettled();
        if self.tx(first).is_some_and(|tx| tx.state == TxState::InFlight) {
            self.lose(now, first);
        }
    }

    /// The lowest TSN that waits to be sent again.
    pub(super) fn next_lost(&mut self) -> Option<u64> {
        self.lost.lowest()
    }

    pub(super) fn has_lost(&self) -> bool {
        !self.lost.is_empty()
    }

    /// A lost chunk leaves again.
    pub(super) fn retransmitted(&mut self, now: Instant, number: u64) {
        if !self.lost.remove(number) {
            return;
        }
        let index = self.index(number);
        let tx = &mut self.txs[index];
        tx.state = TxState::InFlight;
        tx.sent = now;
        tx.transmissions = tx.transmissions.saturating_add(1);
        tx.misses = 0;
        self.put_into_flight(number);
        // RFC 9260 §6.3.1 C5: "RTT measurements SHOULD only be made using a DATA chunk with TSN r if no DATA chunk with
        // TSN less than or equal to r was retransmitted since the DATA chunk with TSN r was sent first."
        self.timed = self.timed.filter(|timed| *timed < number);
    }

    /// The chunk with an outstanding TSN.
    pub(super) fn chunk(&self, number: u64) -> Option<&Chunk> {
        self.tx(number).map(|tx| &tx.chunk)
    }

    /// The chunk with the lowest TSN that the peer still needs.
    pub(super) fn first_needed(&self) -> Option<&Chunk> {
        self.chunk(self.first_unsettled())
    }

    pub(super) fn format(&self) -> Format {
        self.format
    }

    /// Chunk bytes on their way: with header and padding, without those reported by gap blocks or lost.
    pub(super) fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// Payload bytes on their way.
    pub(super) fn in_flight_payload(&self) -> usize {
        self.in_flight_payload
    }

    /// Payload bytes not acknowledged by the cumulative TSN, and not given up.
    pub(super) fn payload(&self) -> usize {
        self.payload
    }

    /// The same of one protocol identifier. Looks at all there is.
    pub(super) fn payload_of(&self, ppid: Ppid) -> usize {
        self.txs.iter().filter(|tx| tx.chunk.ppid == ppid).map(|tx| tx.chunk.data.len()).sum()
    }

    /// What is outstanding counts for so much in the memory limit.
    pub(super) fn charged(&self) -> usize {
        self.charged
    }

    /// The TSN of the next new chunk.
    pub(super) fn next_tsn(&self) -> u64 {
        self.base + self.txs.len() as u64
    }

    /// The lowest TSN not acknowledged by the cumulative TSN.
    pub(super) fn base(&self) -> u64 {
        self.base
    }

    pub(super) fn len(&self) -> usize {
        self.txs.len()
    }

    /// Chunks that neither the cumulative TSN nor a gap block of the last SACK covers.
    pub(super) fn unacknowledged(&self) -> usize {
        let reported: u64 = self.gaps.iter().map(|gap| gap.end - gap.start).sum();
        self.txs.len().saturating_sub(usize::try_from(reported).unwrap_or(usize::MAX))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.txs.is_empty()
    }

    /// Gives back the memory that the largest window took, if nothing is outstanding.
    pub(super) fn shrink(&mut self) {
        if self.is_empty() {
            self.txs = VecDeque::new();
            (self.lost, self.missable) = (TsnSet::default(), TsnSet::default());
        }
    }

    /// RFC 9260 §6.7: "the endpoint MUST remove all DATA chunks that have been acknowledged by the SACK chunk's
    /// Cumulative TSN Ack from its transmit queue."
    fn advance(
        &mut self,
        now: Instant,
        cumulative: u64,
        applied: &mut Applied,
        mut released: impl FnMut(&Chunk),
    ) {
        applied.advanced = cumulative >= self.base;
        self.taken_back = self.taken_back_at(cumulative);
        while self.base <= cumulative {
            if let Some(tx) = self.txs.front_mut() {
                tx.reneged = false;
            }
            self.acknowledge(now, self.base, applied);
            let Some(tx) = self.txs.pop_front() else { break };
            self.base += 1;
            if tx.state != TxState::Abandoned {
                self.payload -= tx.chunk.data.len();
                self.charged -= charge(tx.chunk.data.len());
            }
            released(&tx.chunk);
        }
        self.abandonment.forget_below(self.base);
        self.lost.forget_below(self.base);
        self.missable.forget_below(self.base);
        self.unwrapper.note(cumulative);
        let covered = self.gaps.partition_point(|gap| gap.end <= self.base);
        self.gaps.drain(..covered);
        if let Some(first) = self.gaps.first_mut() {
            first.start = first.start.max(self.base);
        }
    }

    /// What counts as taken back once the cumulative TSN has come so far.
    fn taken_back_at(&self, cumulative: u64) -> u32 {
        self.taken_back.saturating_sub(count(self.base..cumulative + 1).saturating_mul(TAKEN_BACK_EACH))
    }

    fn acknowledge(&mut self, now: Instant, number: u64, applied: &mut Applied) {
        let index = self.index(number);
        let tx = &mut self.txs[index];
        match tx.state {
            TxState::Acked | TxState::Abandoned => return,
            TxState::InFlight => self.take_out_of_flight(number),
            TxState::Lost => {
                self.lost.remove(number);
            }
        }
        let tx = &mut self.txs[index];
        tx.state = TxState::Acked;
        let size = self.format.chunk_size(tx.chunk.data.len());
        applied.newly_acked += size;
        applied.acked_again += if tx.reneged { size } else { 0 };
        applied.newly_acked_end = applied.newly_acked_end.max(number + 1);
        if self.timed == Some(number) {
            // A clock that went back measures nothing.
            applied.rtt = now.checked_duration_since(tx.sent);
            self.timed = None;
        }
    }

    /// RFC 9260 §6.2.1 D iii): "(e.g., the data receiver reneged on the data), then consider the corresponding DATA that
    /// might be possibly missing: Count one miss indication towards Fast Retransmit".
    fn renege(&mut self, now: Instant, number: u64, missing_end: u64, applied: &mut Applied) {
        let index = self.index(number);
        let tx = &mut self.txs[index];
        if tx.state == TxState::Abandoned {
            return;
        }
        tx.state = TxState::InFlight;
        tx.reneged = true;
        self.put_into_flight(number);
        self.abandonment.unsettle(number);
        applied.reneged += 1;
        if number >= missing_end {
            self.miss(now, number, applied);
        }
    }

    /// One miss indication for each chunk in flight below `end`.
    fn count_misses(&mut self, now: Instant, end: u64, applied: &mut Applied) {
        let mut from = self.base;
        while let Some(number) = self.missable.lowest_from(from).filter(|number| *number < end) {
            self.miss(now, number, applied);
            from = number + 1;
        }
    }

    /// RFC 9260 §7.2.4: "When the third consecutive miss indication is received … Mark the DATA chunk(s) with three miss
    /// indications for retransmission."
    fn miss(&mut self, now: Instant, number: u64, applied: &mut Applied) {
        let index = self.index(number);
        let tx = &mut self.txs[index];
        tx.misses = tx.misses.saturating_add(1);
        if tx.misses >= MISSES && !tx.fast_retransmitted {
            self.lose(now, number);
            self.txs[index].fast_retransmitted = true;
            applied.newly_lost += 1;
        }
    }

    /// Marks a chunk lost, and its message as one to be given up if it must not be sent again.
    fn lose(&mut self, now: Instant, number: u64) {
        self.take_out_of_flight(number);
        let index = self.index(number);
        let tx = &mut self.txs[index];
        tx.state = TxState::Lost;
        tx.misses = 0;
        tx.fast_retransmitted = false;
        if tx.chunk.limit.is_reached(now, tx.transmissions) {
            self.abandonment.doom(number);
        }
        self.lost.insert(number);
    }

    fn put_into_flight(&mut self, number: u64) {
        let tx = &self.txs[self.index(number)];
        self.in_flight += self.format.chunk_size(tx.chunk.data.len());
        self.in_flight_payload += tx.chunk.data.len();
        if !tx.fast_retransmitted {
            self.missable.insert(number);
        }
    }

    fn take_out_of_flight(&mut self, number: u64) {
        let chunk = &self.txs[self.index(number)].chunk;
        let payload = chunk.data.len();
        self.in_flight -= self.format.chunk_size(payload);
        self.in_flight_payload -= payload;
        self.missable.remove(number);
    }

    /// Takes a chunk that has its TSN now, and tells the fragment before it.
    fn append(&mut self, now: Instant, chunk: Chunk, state: TxState) -> u64 {
        let number = self.next_tsn();
        if let Some(earlier) = self.earlier_fragment(number, &chunk) {
            let index = self.index(earlier);
            self.txs[index].later = chunk.earlier;
        }
        self.txs.push_back(Tx {
            chunk,
            sent: now,
            later: 0,
            transmissions: 1,
            state,
            misses: 0,
            fast_retransmitted: false,
            reneged: false,
        });
        number
    }

    fn tx(&self, number: u64) -> Option<&Tx> {
        (self.base..self.next_tsn()).contains(&number).then(|| &self.txs[self.index(number)])
    }

    /// Of an outstanding TSN.
    fn index(&self, number: u64) -> usize {
        debug_assert!((self.base..self.next_tsn()).contains(&number), "TSN {number} is not outstanding");
        offset(number - self.base)
    }
}

/// The send window is far below 2^32 chunks.
fn offset(distance: u64) -> usize {
    usize::try_from(distance).unwrap_or(usize::MAX)
}

fn count(range: Range<u64>) -> u32 {
    u32::try_from(range.end.saturating_sub(range.start)).unwrap_or(u32::MAX)
}

/// Calls `each` for the ranges of numbers that are in `these` and not in `those`; both sorted and apart.
fn each_in_difference(these: &[Range<u64>], those: &[Range<u64>], mut each: impl FnMut(Range<u64>)) {
    let mut others = those.iter().peekable();
    for range in these {
        let mut start = range.start;
        while start < range.end {
            while others.next_if(|other| other.end <= start).is_some() {}
            let stop = others.peek().map_or(range.end, |other| other.start.clamp(start, range.end));
            each(start..stop);
            start = others.peek().map_or(range.end, |other| other.end.max(stop));
            if stop == range.end {
                break;
            }
        }
    }
}

/// RFC 9260 §7.2.4: "for a total of three missing reports".
const MISSES: u8 = 3;

/// How many chunks a peer may take back before T3 expires: all that gap blocks can report at once.
///
/// Each costs a step (RFC 9260 §6.2.1 D iii), and a SACK of few bytes takes back a whole window, to report it by the next one.
const MAX_TAKEN_BACK: u32 = 65_535;

/// How many more for each chunk that the cumulative TSN covers: a peer short of memory, or of room for gap blocks, goes on.
const TAKEN_BACK_EACH: u32 = 64;

#[cfg(test)]
#[path = "tests/outstanding.rs"]
mod tests;
