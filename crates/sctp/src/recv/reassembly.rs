//! Fragments become messages (RFC 9260 §6.9).
//!
//! The fragments of a message have consecutive TSNs (RFC 9260 §3.3.1), so what is held of incomplete messages is a set
//! of *runs*: consecutive fragments of one message. At most one run can end at the cumulative TSN; it is kept apart as
//! the *current* one, and while nothing is lost it is the only one there is: its fragments are appended to one growing
//! buffer. A fragment is checked against both neighbours before anything is changed.

use super::tracker::Tracker;
use super::{CHUNK_OVERHEAD, Part};
use crate::number::{Ppid, Ssn, StreamId};
use crate::wire::Data;
use bytes::Bytes;
use std::collections::{BTreeMap, VecDeque};

/// What is held of messages that are not complete.
#[derive(Debug)]
pub(super) struct Reassembly {
    /// The run that ends at the cumulative TSN. It has the beginning of its message, since all before it is there.
    current: Option<Run>,
    /// Runs beyond it by their first TSN.
    runs: BTreeMap<u64, Run>,
    /// Bytes and overhead held.
    charge: usize,
    max_message_size: usize,
    max_begun_per_stream: usize,
    /// Size of the last message that was made of fragments: the next one is likely as large.
    likely_size: usize,
}

/// A message that has just become complete.
#[derive(Debug)]
pub(super) struct Complete {
    /// TSN of its first fragment.
    pub(super) first: u64,
    pub(super) stream: StreamId,
    /// None: unordered.
    pub(super) ssn: Option<Ssn>,
    pub(super) ppid: Ppid,
    pub(super) body: Body,
}

/// What there is to read of a complete message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Body {
    Whole(Bytes),
    /// The beginning was read already.
    Rest(Bytes),
    /// It was too large: nothing is left.
    Discarded,
}

/// Why a fragment cannot be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    Violation(&'static str),
    TooManyIncomplete,
}

/// What a fragment led to.
#[derive(Debug, Default)]
pub(super) struct Inserted {
    pub(super) complete: Option<Complete>,
    /// The message has just grown over the limit.
    pub(super) is_too_large: bool,
}

impl Reassembly {
    pub(super) fn new(max_message_size: usize, window: usize) -> Self {
        Self {
            current: None,
            runs: BTreeMap::new(),
            charge: 0,
            max_message_size,
            max_begun_per_stream: (window / TYPICAL_MESSAGE).max(MIN_BEGUN_PER_STREAM),
            likely_size: 0,
        }
    }

    /// Bytes held and their overhead.
    pub(super) fn charge(&self) -> usize {
        self.charge
    }

    /// Whether a fragment fits what arrived before it. `tracker` does not know it yet.
    pub(super) fn check(&self, tsn: u64, data: &Data<'_>, tracker: &Tracker) -> Result<(), Refusal> {
        let (has_before, has_after) = self.check_runs(tsn, data)?;
        // What has arrived and is not in a run was a whole message.
        if !has_before && tracker.contains(tsn.saturating_sub(1)) {
            require(data.begin, HEADLESS)?;
        }
        if !has_after && tracker.contains(tsn + 1) {
            require(data.end, ENDLESS)?;
        }
        let opens = data.begin && !data.end && tsn != tracker.cumulative() + 1;
        if opens && self.is_crowded(data.stream) { Err(Refusal::TooManyIncomplete) } else { Ok(()) }
    }

    /// Whether a fragment fits the runs before and behind it; answers whether there are such.
    pub(super) fn check_runs(&self, tsn: u64, data: &Data<'_>) -> Result<(bool, bool), Refusal> {
        // RFC 9260 §6.9: "The transmitter MUST then assign, in sequence, a separate TSN to each of the DATA chunks in
        // the series."
        let before = self.run_before(tsn);
        match before {
            Some(run) if run.ends => require(data.begin, HEADLESS)?,
            Some(run) => {
                require(!data.begin, ENDLESS)?;
                run.matches(data)?;
            }
            None => {}
        }
        let after = self.runs.get(&(tsn + 1));
        match after {
            Some(run) if run.begins => require(data.end, ENDLESS)?,
            Some(run) => {
                require(!data.end, HEADLESS)?;
                run.matches(data)?;
            }
            None => {}
        }
        Ok((before.is_some(), after.is_some()))
    }

    /// Takes a fragment that `check` let pass. `cumulative` is the cumulative TSN with it.
    pub(super) fn insert(&mut self, tsn: u64, data: &Data<'_>, cumulative: u64) -> Inserted {
        let inserted = if data.begin && data.end {
            let is_too_large = data.payload.len() > self.max_message_size;
            Inserted { complete: Some(single(tsn, data, is_too_large)), is_too_large }
        } else {
            self.insert_fragment(tsn, data, cumulative)
        };
        self.adopt(cumulative);
        inserted
    }

    /// Whether a message of this stream was read up to what has arrived of it.
    pub(super) fn is_half_read(&self, stream: StreamId) -> bool {
        self.current.as_ref().is_some_and(|run| run.stream == stream && run.is_half_read)
    }

    /// The stream and the SSN (none: unordered) of the message of which a part can be read before it is complete, and
    /// the TSN it begins with.
    pub(super) fn readable_part(&self) -> Option<(StreamId, Option<Ssn>, u64)> {
        let run = self.current.as_ref().filter(|run| run.bytes > 0)?;
        Some((run.stream, run.ssn, run.first))
    }

    /// Of the message that `readable_part` names.
    pub(super) fn readable_ppid(&self) -> Option<Ppid> {
        self.current.as_ref().filter(|run| run.bytes > 0).map(|run| run.ppid)
    }

    /// Takes the next piece of the message that `readable_part` names.
    pub(super) fn take_part(&mut self) -> Option<Part> {
        let run = self.current.as_mut().filter(|run| run.bytes > 0)?;
        self.charge -= run.charge();
        let part = Part { ppid: run.ppid, data: run.take_piece(), last: false };
        self.charge += run.charge();
        Some(part)
    }

    /// What `charge` must be.
    #[cfg(test)]
    pub(super) fn recount(&self) -> usize {
        let runs = self.current.iter().chain(self.runs.values());
        runs.map(|run| {
            let pieces = std::iter::once(&run.head).chain(&run.more).filter(|piece| !piece.is_empty());
            pieces.map(|piece| piece.len() + CHUNK_OVERHEAD).sum::<usize>()
        })
        .sum()
    }

    fn insert_fragment(&mut self, tsn: u64, data: &Data<'_>, cumulative: u64) -> Inserted {
        let max = self.max_message_size;
        let has_after = !data.end && self.runs.contains_key(&(tsn + 1));
        // The tail of a run grows in place. A beginning is no tail of what ends before it.
        if !data.begin
            && !data.end
            && !has_after
            && let Some(run) = run_before_mut(&mut self.current, &mut self.runs, tsn)
        {
            self.charge -= run.charge();
            let is_too_large = run.append(data.payload, max);
            self.charge += run.charge();
            return Inserted { complete: None, is_too_large };
        }
        let mut is_too_large = false;
        let before = if data.begin { None } else { self.take_run_before(tsn) };
        let mut run = match before {
            Some(mut run) => {
                self.charge -= run.charge();
                is_too_large |= run.append(data.payload, max);
                run
            }
            None => {
                let capacity = if tsn <= cumulative { self.likely_size } else { 0 };
                let (run, over) = Run::new(tsn, data, capacity, max);
                is_too_large |= over;
                run
            }
        };
        run.ends |= data.end;
        if has_after && let Some(after) = self.runs.remove(&(tsn + 1)) {
            self.charge -= after.charge();
            is_too_large |= run.join(after, max);
        }
        if run.begins && run.ends {
            return Inserted { complete: Some(self.finish(run)), is_too_large };
        }
        self.charge += run.charge();
        if run.first <= cumulative {
            self.current = Some(run);
        } else {
            self.runs.insert(run.first, run);
        }
        Inserted { complete: None, is_too_large }
    }

    fn finish(&mut self, run: Run) -> Complete {
        let Run { first, stream, ssn, ppid, is_half_read, is_discarded, .. } = run;
        if !is_half_read && !is_discarded {
            self.likely_size = run.size;
        }
        let body = match (is_discarded, is_half_read) {
            (true, _) => Body::Discarded,
            (false, true) => Body::Rest(run.into_bytes()),
            (false, false) => Body::Whole(run.into_bytes()),
        };
        Complete { first, stream, ssn, ppid, body }
    }

    /// The cumulative TSN moved: the run that ends there is now the current one.
    fn adopt(&mut self, cumulative: u64) {
        if let Some(lowest) = self.runs.first_entry()
            && *lowest.key() <= cumulative
        {
            debug_assert!(self.current.is_none() && lowest.get().begins);
            self.current = Some(lowest.remove());
        }
    }

    fn run_before(&self, tsn: u64) -> Option<&Run> {
        let current = self.current.as_ref().filter(|run| run.next == tsn);
        current
            .or_else(|| self.runs.range(..tsn).next_back().map(|(_, run)| run).filter(|run| run.next == tsn))
    }

    fn take_run_before(&mut self, tsn: u64) -> Option<Run> {
        if self.current.as_ref().is_some_and(|run| run.next == tsn) {
            return self.current.take();
        }
        let first = self.run_before(tsn)?.first;
        self.runs.remove(&first)
    }

    /// Whether too many messages of the stream, or of all, have begun without being complete.
    fn is_crowded(&self, stream: StreamId) -> bool {
        if self.runs.len() < self.max_begun_per_stream.min(MAX_BEGUN) {
            return false;
        }
        let begun = self.runs.values().filter(|run| run.begins);
        let (all, same) =
            begun.fold((0, 0), |(all, same), run| (all + 1, same + usize::from(run.stream == stream)));
        all >= MAX_BEGUN || same >= self.max_begun_per_stream
    }
}

/// Consecutive fragments of one message.
#[derive(Debug)]
struct Run {
    stream: StreamId,
    ssn: Option<Ssn>,
    ppid: Ppid,
    first: u64,
    /// One more than the last TSN.
    next: u64,
    begins: bool,
    ends: bool,
    /// Bytes of the message so far, read or not.
    size: usize,
    /// Bytes held.
    bytes: usize,
    /// The bytes held, those of later fragments in `more`.
    head: Vec<u8>,
    more: VecDeque<Vec<u8>>,
    is_half_read: bool,
    is_discarded: bool,
}

impl Run {
    /// Answers too whether the fragment alone is too large.
    fn new(tsn: u64, data: &Data<'_>, capacity: usize, max: usize) -> (Self, bool) {
        let mut run = Self {
            stream: data.stream,
            ssn: ssn_of(data),
            ppid: data.ppid,
            first: tsn,
            next: tsn,
            begins: data.begin,
            ends: false,
            size: 0,
            bytes: 0,
            head: Vec::with_capacity(capacity.max(data.payload.len())),
            more: VecDeque::new(),
            is_half_read: false,
            is_discarded: false,
        };
        let is_too_large = run.append(data.payload, max);
        (run, is_too_large)
    }

    /// RFC 9260 §6.9: "The transmitter assigns the same Stream Sequence Number to each of the DATA chunks."
    fn matches(&self, data: &Data<'_>) -> Result<(), Refusal> {
        require(self.stream == data.stream, "stream changes within a message")?;
        require(self.ssn.is_none() == data.unordered, "ordering changes within a message")?;
        require(self.ssn == ssn_of(data), "stream sequence number changes within a message")?;
        require(self.ppid == data.ppid, "payload protocol identifier changes within a message")
    }

    fn append(&mut self, payload: &[u8], max: usize) -> bool {
        self.next += 1;
        self.size += payload.len();
        if self.is_discarded {
            return false;
        }
        if self.discard_if_larger(max) {
            return true;
        }
        self.bytes += payload.len();
        self.more.back_mut().unwrap_or(&mut self.head).extend_from_slice(payload);
        false
    }

    /// Takes the run behind this one in.
    fn join(&mut self, after: Self, max: usize) -> bool {
        let was_said = self.is_discarded || after.is_discarded;
        self.next = after.next;
        self.ends = after.ends;
        self.size += after.size;
        if was_said {
            self.discard();
            return false;
        }
        if self.discard_if_larger(max) {
            return true;
        }
        self.bytes += after.bytes;
        if self.head.is_empty() {
            self.head = after.head;
        } else {
            self.more.push_back(after.head);
        }
        // Whichever list is longer stays where it is, so that many joins cost little.
        if self.more.len() >= after.more.len() {
            self.more.extend(after.more);
        } else {
            let mut joined = after.more;
            self.more.drain(..).rev().for_each(|piece| joined.push_front(piece));
            self.more = joined;
        }
        false
    }

    fn discard_if_larger(&mut self, max: usize) -> bool {
        let is_larger = self.size > max;
        if is_larger {
            self.discard();
        }
        is_larger
    }

    fn discard(&mut self) {
        self.is_discarded = true;
        self.bytes = 0;
        self.head = Vec::new();
        self.more = VecDeque::new();
    }

    fn charge(&self) -> usize {
        let pieces = usize::from(!self.head.is_empty()) + self.more.len();
        self.bytes + pieces * CHUNK_OVERHEAD
    }

    fn take_piece(&mut self) -> Bytes {
        self.is_half_read = true;
        let next = self.more.pop_front().unwrap_or_default();
        let piece = std::mem::replace(&mut self.head, next);
        self.bytes -= piece.len();
        into_bytes(piece)
    }

    fn into_bytes(self) -> Bytes {
        let Self { mut head, more, bytes, .. } = self;
        head.reserve_exact(bytes - head.len());
        more.iter().for_each(|piece| head.extend_from_slice(piece));
        into_bytes(head)
    }
}

fn run_before_mut<'a>(
    current: &'a mut Option<Run>,
    runs: &'a mut BTreeMap<u64, Run>,
    tsn: u64,
) -> Option<&'a mut Run> {
    if let Some(run) = current
        && run.next == tsn
    {
        return Some(run);
    }
    runs.range_mut(..tsn).next_back().map(|(_, run)| run).filter(|run| run.next == tsn)
}

/// A message of one fragment.
fn single(tsn: u64, data: &Data<'_>, is_too_large: bool) -> Complete {
    let body = if is_too_large { Body::Discarded } else { Body::Whole(Bytes::copy_from_slice(data.payload)) };
    Complete { first: tsn, stream: data.stream, ssn: ssn_of(data), ppid: data.ppid, body }
}

/// Gives back what a buffer does not use, if that is much.
fn into_bytes(mut buffer: Vec<u8>) -> Bytes {
    if buffer.capacity() - buffer.len() > buffer.len() / 4 {
        buffer.shrink_to_fit();
    }
    buffer.into()
}

/// RFC 9260 §6.6: the SSN of an unordered chunk "has no significance".
fn ssn_of(data: &Data<'_>) -> Option<Ssn> {
    (!data.unordered).then_some(data.ssn)
}

fn require(holds: bool, violation: &'static str) -> Result<(), Refusal> {
    if holds { Ok(()) } else { Err(Refusal::Violation(violation)) }
}

const HEADLESS: &str = "fragment without a beginning";
const ENDLESS: &str = "message begins before the end of another";
/// Messages that may have begun out of sequence without being complete, all streams together.
pub(super) const MAX_BEGUN: usize = 1024;
/// The same for one stream, at the least: it is a window full of typical messages if that is more, so that a burst of
/// losses on a fast path does not lose more here.
pub(super) const MIN_BEGUN_PER_STREAM: usize = 64;
/// RFC 8831 §6.6: "As long as message interleaving is not supported, the sender SHOULD limit the maximum message size
/// to 16 KB to avoid monopolization."
const TYPICAL_MESSAGE: usize = 16 << 10;
