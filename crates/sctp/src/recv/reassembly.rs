//! Fragments of DATA become messages (RFC 9260 §6.9).
//!
//! The fragments of a message have consecutive TSNs (RFC 9260 §3.3.1), so what is held of incomplete messages is a set
//! of *runs*: consecutive fragments of one message. At most one run can end at the cumulative TSN; it is kept apart as
//! the *current* one, and while nothing is lost it is the only one there is: its fragments are appended to one growing
//! buffer. A fragment is checked against both neighbours before anything is changed.
//!
//! FORWARD TSN (RFC 3758) takes runs away, and it may stop inside a message: what follows then without a beginning is
//! the *rest* of a message that was given up.

use super::Part;
use super::message::{Body, Complete, Excess, GivenUp, Inserted, Limits, Order, Pieces, Refusal, require};
use super::tracker::Tracker;
use crate::number::{Ppid, Ssn, StreamId};
use crate::wire::Data;
use std::collections::BTreeMap;

/// What is held of messages that are not complete.
#[derive(Debug)]
pub(super) struct Reassembly {
    /// The run that ends at the cumulative TSN. It has the beginning of its message, since all before it is there.
    current: Option<Run>,
    /// Runs beyond it by their first TSN.
    runs: BTreeMap<u64, Run>,
    /// How many of those have begun, by stream, and in all.
    begun: BTreeMap<StreamId, usize>,
    begun_in_all: usize,
    /// If a chunk with this TSN has no beginning, it belongs to a message that was given up.
    rest: Option<u64>,
    /// Bytes and overhead held.
    charge: usize,
    limits: Limits,
    /// Size of the last message that was made of fragments: the next one is likely as large.
    likely_size: usize,
}

impl Reassembly {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            current: None,
            runs: BTreeMap::new(),
            begun: BTreeMap::new(),
            begun_in_all: 0,
            rest: None,
            charge: 0,
            limits,
            likely_size: 0,
        }
    }

    /// Bytes held and their overhead.
    pub(super) fn charge(&self) -> usize {
        self.charge
    }

    /// Whether a fragment fits what arrived before it. `tracker` does not know it yet.
    pub(super) fn check(&self, tsn: u64, data: &Data<'_>, tracker: &Tracker) -> Result<(), Refusal> {
        if self.is_rest(tsn, data) {
            return self.check_rest(tsn, data);
        }
        let (has_before, has_after) = self.check_runs(tsn, data)?;
        // What has arrived and is neither in a run nor skipped was a whole message.
        if !has_before && tracker.contains(tsn.saturating_sub(1)) {
            require(data.begin, HEADLESS)?;
        }
        if !has_after && tracker.contains(tsn + 1) {
            require(data.end, ENDLESS)?;
        }
        let opens = data.begin && !data.end && tsn != tracker.cumulative() + 1;
        if opens && self.is_crowded(data.stream) { Err(Refusal::TooManyIncomplete) } else { Ok(()) }
    }

    /// Whether a chunk that will be discarded tears a message apart. `tracker` is not asked: what is discarded may have
    /// neighbours that were discarded too.
    pub(super) fn check_discarded(&self, tsn: u64, data: &Data<'_>) -> Result<(), Refusal> {
        if self.is_rest(tsn, data) {
            return self.check_rest(tsn, data);
        }
        self.check_runs(tsn, data).map(|_| ())
    }

    /// If a message begins where the current one could have gone on, the peer stopped inside that. To be asked before
    /// `insert` and `discard`.
    pub(super) fn pass(&mut self, tsn: u64, data: &Data<'_>) -> Option<GivenUp> {
        if !data.begin || self.current.as_ref().is_none_or(|run| run.next != tsn) {
            return None;
        }
        let current = self.current.take()?;
        Some(self.give_up(current))
    }

    /// Takes a fragment that `check` let pass. `cumulative` is the cumulative TSN with it.
    pub(super) fn insert(&mut self, tsn: u64, data: &Data<'_>, cumulative: u64) -> Inserted {
        let inserted = if self.is_rest(tsn, data) {
            self.swallow(tsn, data);
            Inserted::default()
        } else if data.begin && data.end {
            Inserted::single(tsn, (data.stream, Order::of(data), data.ppid), data.payload, &self.limits)
        } else {
            self.insert_fragment(tsn, data, cumulative)
        };
        self.adopt(cumulative);
        inserted
    }

    /// Notes a chunk that `check_discarded` let pass and nobody wants.
    pub(super) fn discard(&mut self, tsn: u64, data: &Data<'_>, cumulative: u64) {
        if self.is_rest(tsn, data) {
            self.swallow(tsn, data);
        }
        self.adopt(cumulative);
    }

    /// The peer gave up everything up to `point`; the cumulative TSN is now `cumulative`.
    ///
    /// RFC 3758 §3.6: "The receiver MUST remove any partially reassembled message, which is still missing one or more
    /// TSNs earlier than or equal to the new cumulative TSN point." One that lacks nothing up to there stays: the peer
    /// may have passed over fragments that it knows to have arrived, and send the others yet.
    pub(super) fn forward(&mut self, point: u64, cumulative: u64) -> Vec<GivenUp> {
        let beyond = self.runs.split_off(&(point + 1));
        let passed = std::mem::replace(&mut self.runs, beyond);
        passed.values().for_each(|run| self.note_gone(run));
        let mut given_up = Vec::new();
        let mut rest = Some(point + 1);
        for run in self.current.take().into_iter().chain(passed.into_values()) {
            if run.next <= point {
                given_up.push(self.give_up(run));
            } else if run.begins {
                rest = None;
                self.current = Some(Run { may_stop: true, ..run });
            } else {
                rest = run.rest();
                given_up.push(self.give_up(run));
            }
        }
        if rest == Some(point + 1)
            && let Some(run) = self.take_headless(point + 1)
        {
            rest = run.rest();
            given_up.push(self.give_up(run));
        }
        self.rest = rest;
        self.adopt(cumulative);
        given_up
    }

    /// The peer names an ordered message that it gave up: nothing before it is to come either.
    pub(super) fn skip(&mut self, stream: StreamId, ssn: Ssn) -> Option<GivenUp> {
        let run = self.current.take_if(|run| run.may_stop && run.stream == stream && run.is_within(ssn))?;
        self.rest = run.rest();
        Some(self.give_up(run))
    }

    /// Streams were reset. A message that began before that and has not ended never will: whatever comes next on its stream
    /// is of another sequence. Answers with what was half read.
    pub(super) fn reset(&mut self, is_before: impl Fn(StreamId, u64) -> bool) -> Option<GivenUp> {
        let run = self.current.take_if(|run| is_before(run.stream, run.first))?;
        self.rest = run.rest();
        Some(self.give_up(run)).filter(|given_up| given_up.is_half_read)
    }

    /// Gives up everything. Answers with what was half read.
    pub(super) fn clear(&mut self) -> Option<GivenUp> {
        let runs = std::mem::take(&mut self.runs);
        self.begun.clear();
        self.begun_in_all = 0;
        self.charge -= runs.values().map(|run| run.pieces.charge()).sum::<usize>();
        let current = self.current.take()?;
        Some(self.give_up(current)).filter(|given_up| given_up.is_half_read)
    }

    /// Whether a message of this stream was read up to what has arrived of it.
    pub(super) fn is_half_read(&self, stream: StreamId) -> bool {
        self.current.as_ref().is_some_and(|run| run.stream == stream && run.is_half_read)
    }

    /// The message of which a part can be read before it is complete: its stream, its place there, and the TSN it
    /// begins with.
    pub(super) fn readable_part(&self) -> Option<(StreamId, Order, u64)> {
        let run = self.current.as_ref().filter(|run| !run.pieces.is_empty())?;
        Some((run.stream, run.order, run.first))
    }

    /// Of the message that `readable_part` names.
    pub(super) fn readable_ppid(&self) -> Option<Ppid> {
        self.current.as_ref().filter(|run| !run.pieces.is_empty()).map(|run| run.ppid)
    }

    /// Takes the next piece of the message that `readable_part` names.
    pub(super) fn take_part(&mut self) -> Option<Part> {
        let run = self.current.as_mut().filter(|run| !run.pieces.is_empty())?;
        self.charge -= run.pieces.charge();
        run.is_half_read = true;
        let data = run.pieces.take_piece();
        self.charge += run.pieces.charge();
        Some(Part { ppid: run.ppid, data, last: false, abandoned: false })
    }

    /// Nobody reads the half-read message of this stream any more: it is discarded to its end. Answers with its protocol.
    pub(super) fn let_go(&mut self, stream: StreamId) -> Option<Ppid> {
        let run = self.current.as_mut().filter(|run| run.stream == stream && run.is_half_read)?;
        self.charge -= run.pieces.charge();
        run.is_half_read = false;
        run.discard();
        Some(run.ppid)
    }

    /// What `charge` must be.
    #[cfg(any(test, feature = "__fuzzing"))]
    pub(super) fn recount(&self) -> usize {
        let begun = self.runs.values().filter(|run| run.begins).count();
        assert_eq!((self.begun_in_all, self.begun.values().sum()), (begun, begun), "messages begun");
        self.current.iter().chain(self.runs.values()).map(|run| run.pieces.recount()).sum()
    }

    /// Whether a fragment fits the runs before and behind it; answers whether there are such.
    fn check_runs(&self, tsn: u64, data: &Data<'_>) -> Result<(bool, bool), Refusal> {
        // RFC 9260 §6.9: "The transmitter MUST then assign, in sequence, a separate TSN to each of the DATA chunks in
        // the series."
        let before = self.run_before(tsn);
        match before {
            Some(run) if run.ends => require(data.begin, HEADLESS)?,
            Some(run) if run.may_stop && data.begin => {}
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

    /// Whether a chunk belongs to a message that was given up.
    fn is_rest(&self, tsn: u64, data: &Data<'_>) -> bool {
        !data.begin && self.rest == Some(tsn)
    }

    /// What follows it may be anything: more of the same, or a message; but behind its end only a message.
    fn check_rest(&self, tsn: u64, data: &Data<'_>) -> Result<(), Refusal> {
        let is_followed = self.runs.get(&(tsn + 1)).is_some_and(|run| !run.begins);
        require(!data.end || !is_followed, HEADLESS)
    }

    /// Lets go of a chunk that `is_rest`, and of what is held of its message behind it.
    fn swallow(&mut self, tsn: u64, data: &Data<'_>) {
        self.rest = (!data.end).then_some(tsn + 1);
        if !data.end
            && let Some(run) = self.take_headless(tsn + 1)
        {
            self.rest = run.rest();
            self.give_up(run);
        }
    }

    fn take_headless(&mut self, tsn: u64) -> Option<Run> {
        if self.runs.get(&tsn).is_some_and(|run| !run.begins) { self.runs.remove(&tsn) } else { None }
    }

    fn give_up(&mut self, run: Run) -> GivenUp {
        self.charge -= run.pieces.charge();
        let Run { first, stream, order, ppid, is_half_read, .. } = run;
        GivenUp { first, stream, order, ppid, is_half_read }
    }

    fn insert_fragment(&mut self, tsn: u64, data: &Data<'_>, cumulative: u64) -> Inserted {
        let has_after = !data.end && self.runs.contains_key(&(tsn + 1));
        // The tail of a run grows in place. A beginning is no tail of what ends before it.
        if !data.begin
            && !data.end
            && !has_after
            && let Some(run) = run_before_mut(&mut self.current, &mut self.runs, tsn)
        {
            self.charge -= run.pieces.charge();
            let excess = run.append(data.payload, &self.limits);
            self.charge += run.pieces.charge();
            return Inserted { complete: None, excess };
        }
        let before = if data.begin { None } else { self.take_run_before(tsn) };
        let (mut run, mut excess) = match before {
            Some(mut run) => {
                self.charge -= run.pieces.charge();
                let excess = run.append(data.payload, &self.limits);
                (run, excess)
            }
            None => {
                let capacity = if tsn <= cumulative { self.likely_size } else { 0 };
                Run::new(tsn, data, capacity, &self.limits)
            }
        };
        run.ends |= data.end;
        if has_after && let Some(after) = self.runs.remove(&(tsn + 1)) {
            self.charge -= after.pieces.charge();
            excess = excess.or(run.join(after, &self.limits));
        }
        let complete = if run.begins && run.ends {
            Some(self.finish(run))
        } else {
            self.keep(run, cumulative);
            None
        };
        Inserted { complete, excess }
    }

    fn keep(&mut self, run: Run, cumulative: u64) {
        self.charge += run.pieces.charge();
        if run.first <= cumulative {
            self.current = Some(run);
        } else {
            if run.begins {
                *self.begun.entry(run.stream).or_default() += 1;
                self.begun_in_all += 1;
            }
            self.runs.insert(run.first, run);
        }
    }

    /// A run is no longer among `runs`.
    fn note_gone(&mut self, run: &Run) {
        if !run.begins {
            return;
        }
        self.begun_in_all -= 1;
        if let Some(count) = self.begun.get_mut(&run.stream) {
            *count -= 1;
            if *count == 0 {
                self.begun.remove(&run.stream);
            }
        }
    }

    fn finish(&mut self, run: Run) -> Complete {
        let Run { first, stream, order, ppid, size, pieces, is_half_read, is_discarded, .. } = run;
        if !is_half_read && !is_discarded {
            self.likely_size = size;
        }
        let body = match (is_discarded, is_half_read) {
            (true, true) => Body::Abandoned,
            (true, false) => Body::Discarded,
            (false, true) => Body::Rest(pieces.into_bytes()),
            (false, false) => Body::Whole(pieces.into_bytes()),
        };
        Complete { first, stream, order, ppid, body }
    }

    /// The cumulative TSN moved: the run that ends there is now the current one.
    fn adopt(&mut self, cumulative: u64) {
        if let Some(lowest) = self.runs.first_entry()
            && *lowest.key() <= cumulative
        {
            debug_assert!(self.current.is_none() && lowest.get().begins);
            let run = lowest.remove();
            self.note_gone(&run);
            self.current = Some(run);
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
        let run = self.runs.remove(&first)?;
        self.note_gone(&run);
        Some(run)
    }

    /// Whether too many messages of the stream, or of all, have begun without being complete.
    fn is_crowded(&self, stream: StreamId) -> bool {
        let Limits { incomplete, incomplete_per_stream, .. } = self.limits;
        let same = self.begun.get(&stream).copied().unwrap_or_default();
        self.begun_in_all >= incomplete || same >= incomplete_per_stream
    }
}

/// Consecutive fragments of one message.
#[derive(Debug)]
struct Run {
    stream: StreamId,
    order: Order,
    ppid: Ppid,
    first: u64,
    /// One more than the last TSN.
    next: u64,
    begins: bool,
    ends: bool,
    /// Bytes of the message so far, read or not.
    size: usize,
    /// The bytes held.
    pieces: Pieces,
    is_half_read: bool,
    is_discarded: bool,
    /// A FORWARD TSN led into it: maybe the peer gave it up.
    may_stop: bool,
}

impl Run {
    /// Answers too whether the fragment alone is too large.
    fn new(tsn: u64, data: &Data<'_>, capacity: usize, limits: &Limits) -> (Self, Option<Excess>) {
        let mut run = Self {
            stream: data.stream,
            order: Order::of(data),
            ppid: data.ppid,
            first: tsn,
            next: tsn,
            begins: data.begin,
            ends: false,
            size: 0,
            pieces: Pieces::with_capacity(capacity.max(data.payload.len())),
            is_half_read: false,
            is_discarded: false,
            may_stop: false,
        };
        let excess = run.append(data.payload, limits);
        (run, excess)
    }

    /// RFC 9260 §6.9: "The transmitter assigns the same Stream Sequence Number to each of the DATA chunks."
    fn matches(&self, data: &Data<'_>) -> Result<(), Refusal> {
        let is_unordered = self.order == Order::Unordered;
        require(self.stream == data.stream, "stream changes within a message")?;
        require(is_unordered == data.unordered, "ordering changes within a message")?;
        require(self.order == Order::of(data), "stream sequence number changes within a message")?;
        require(self.ppid == data.ppid, "payload protocol identifier changes within a message")
    }

    /// Whether this is an ordered message with this SSN or one before it.
    fn is_within(&self, ssn: Ssn) -> bool {
        match self.order {
            Order::Ssn(own) => {
                let behind = Order::Ssn(ssn).distance(u64::from(own.0));
                behind.is_some_and(|distance| !self.order.is_behind(distance))
            }
            Order::Unordered | Order::Mid(_) => false,
        }
    }

    /// Where the message goes on, if it does.
    fn rest(&self) -> Option<u64> {
        (!self.ends).then_some(self.next)
    }

    fn append(&mut self, payload: &[u8], limits: &Limits) -> Option<Excess> {
        self.next += 1;
        self.size += payload.len();
        if self.is_discarded {
            return None;
        }
        let excess = self.discard_if_over(limits);
        if excess.is_none() {
            self.pieces.append(payload);
        }
        excess
    }

    /// Takes the run behind this one in.
    fn join(&mut self, after: Self, limits: &Limits) -> Option<Excess> {
        let was_said = self.is_discarded || after.is_discarded;
        self.next = after.next;
        self.ends = after.ends;
        self.size += after.size;
        if was_said {
            self.discard();
            return None;
        }
        let excess = self.discard_if_over(limits);
        if excess.is_none() {
            self.pieces.join(after.pieces);
        }
        excess
    }

    fn discard_if_over(&mut self, limits: &Limits) -> Option<Excess> {
        let excess = limits.excess(self.size, self.next - self.first);
        if excess.is_some() {
            self.discard();
        }
        excess
    }

    fn discard(&mut self) {
        self.is_discarded = true;
        self.pieces = Pieces::default();
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

const HEADLESS: &str = "fragment without a beginning";
const ENDLESS: &str = "message begins before the end of another";
