//! DATA and I-DATA (RFC 9260 §6.2, §6.5; RFC 8260 §2.2.3).

use super::acks::Noted;
use super::assembler::WrongKind;
use super::message::{Excess, Inserted, Order, Refusal};
use super::stream::OutOfOrder;
use super::tracker::Verdict;
use super::{CHUNK_OVERHEAD, DataOutcome, DropReason, Receiver};
use crate::number::{StreamId, Tsn};
use crate::wire::{self, Data, IData};

impl Receiver {
    /// Takes one chunk; its payload is copied.
    pub(crate) fn handle_data(&mut self, data: &Data<'_>) -> DataOutcome {
        let had_gaps = self.tracker.has_gaps();
        let outcome = self.take_data(data).unwrap_or_else(|refused| refused);
        self.note(outcome, data.immediate, had_gaps)
    }

    /// Takes one chunk; its payload is copied.
    pub(crate) fn handle_i_data(&mut self, data: &IData<'_>) -> DataOutcome {
        let had_gaps = self.tracker.has_gaps();
        let outcome = self.take_i_data(data).unwrap_or_else(|refused| refused);
        self.note(outcome, data.immediate, had_gaps)
    }

    fn note(&mut self, outcome: DataOutcome, is_immediate: bool, had_gaps: bool) -> DataOutcome {
        let noted = match outcome {
            DataOutcome::Accepted | DataOutcome::InvalidStream | DataOutcome::TooLarge(_) => Some(Noted::New),
            DataOutcome::Duplicate => Some(Noted::Duplicate),
            DataOutcome::Dropped(reason) => self.note_drop(reason),
            DataOutcome::OutOfResource => {
                self.stats.out_of_resource += 1;
                None
            }
            DataOutcome::NoUserData | DataOutcome::Violation(_) => None,
        };
        if let Some(noted) = noted {
            self.acks.note(noted, is_immediate, had_gaps);
        }
        outcome
    }

    fn note_drop(&mut self, reason: DropReason) -> Option<Noted> {
        let counter = match reason {
            DropReason::OutsideWindow => {
                self.stats.outside_window += 1;
                return None;
            }
            DropReason::TooManyGaps => &mut self.stats.too_many_gaps,
            DropReason::BufferFull => &mut self.stats.buffer_full,
            DropReason::TooManyIncomplete => &mut self.stats.too_many_incomplete,
        };
        *counter += 1;
        Some(Noted::NoRoom)
    }

    fn take_data(&mut self, data: &Data<'_>) -> Result<DataOutcome, DataOutcome> {
        self.assembler.sequential()?;
        let number = self.check_new(data.tsn, data.payload)?;
        if !self.is_valid(data.stream) {
            return self.discard_data(number, data);
        }
        self.admit(number, data.payload.len())?;
        let reassembly = self.assembler.sequential()?;
        reassembly.check(number, data, &self.tracker)?;
        let part_before = reassembly.readable_part();
        let given_up = reassembly.pass(number, data);
        self.tracker.insert(number);
        let inserted = reassembly.insert(number, data, self.tracker.cumulative());
        let part = reassembly.readable_part();
        if let Some(given_up) = given_up {
            self.give_up(&given_up);
        }
        let outcome = self.finish(inserted, data.stream)?;
        if let Some((stream, ..)) = part
            && part != part_before
        {
            self.announce_part(stream);
        }
        Ok(outcome)
    }

    /// A chunk on a stream that does not exist.
    fn discard_data(&mut self, number: u64, data: &Data<'_>) -> Result<DataOutcome, DataOutcome> {
        let reassembly = self.assembler.sequential()?;
        reassembly.check_discarded(number, data)?;
        let given_up = reassembly.pass(number, data);
        self.tracker.insert(number);
        reassembly.discard(number, data, self.tracker.cumulative());
        if let Some(given_up) = given_up {
            self.give_up(&given_up);
        }
        self.settle()?;
        Ok(DataOutcome::InvalidStream)
    }

    fn take_i_data(&mut self, data: &IData<'_>) -> Result<DataOutcome, DataOutcome> {
        self.assembler.interleaved()?;
        let number = self.check_new(data.tsn, data.payload)?;
        if !self.is_valid(data.stream) {
            self.tracker.insert(number);
            self.settle()?;
            return Ok(DataOutcome::InvalidStream);
        }
        self.admit(number, data.payload.len())?;
        let could_read = self.inboxes.reads_parts(data.stream) && self.is_readable(data.stream);
        let inserted = self.reassemble(number, data)?;
        let outcome = self.finish(inserted, data.stream)?;
        if !could_read {
            self.announce_part(data.stream);
        }
        Ok(outcome)
    }

    /// Finds the message that a chunk belongs to and puts it there.
    fn reassemble(&mut self, number: u64, data: &IData<'_>) -> Result<Inserted, DataOutcome> {
        let interleaved = self.assembler.interleaved()?;
        let whole = match data.fragment {
            wire::Fragment::First(ppid) => Some(ppid).filter(|_| data.end),
            wire::Fragment::Later(_) => None,
        };
        if let (Some(ppid), true) = (whole, interleaved.is_idle()) {
            self.tracker.insert(number);
            return Ok(interleaved.insert_whole(number, data, ppid));
        }
        let is_later = self.inboxes.is_beyond_reset(data.stream, number);
        let next = if is_later { 0 } else { self.inboxes.next(data.stream) };
        let place = interleaved.locate(data, next, is_later);
        match (place, whole) {
            (Some(place), _) => {
                let is_in_sequence = number == self.tracker.cumulative() + 1;
                interleaved.check(place, data, is_in_sequence)?;
                let is_complete = !is_later
                    && place.ordered().is_some_and(|position| self.inboxes.is_waiting(data.stream, position));
                if is_complete {
                    return Err(DataOutcome::Violation(Order::Mid(data.mid).used_twice()));
                }
                self.tracker.insert(number);
                Ok(interleaved.insert(place, number, data))
            }
            // The inbox knows what to make of it.
            (None, Some(ppid)) => {
                self.tracker.insert(number);
                Ok(interleaved.insert_whole(number, data, ppid))
            }
            // What is left of a message that the peer gave up.
            (None, None) if self.inboxes.may_skip() => {
                self.tracker.insert(number);
                Ok(Inserted::default())
            }
            (None, None) => Err(DataOutcome::Violation(Order::Mid(data.mid).unexplained())),
        }
    }

    /// Whether a chunk is one that has not come before, and may come now.
    fn check_new(&mut self, tsn: Tsn, payload: &[u8]) -> Result<u64, DataOutcome> {
        // RFC 9260 §6.2: "If an endpoint receives a DATA chunk with no user data (i.e., the Length field is set to 16),
        // it SHOULD send an ABORT chunk with a "No User Data" error cause."
        if payload.is_empty() {
            return Err(DataOutcome::NoUserData);
        }
        let number = self.tracker.unwrap(tsn);
        match self.tracker.check(number) {
            Verdict::New => Ok(number),
            Verdict::Duplicate => {
                self.stats.duplicates += 1;
                self.stats.duplicates_unreported += u64::from(!self.tracker.note_duplicate(number));
                Err(DataOutcome::Duplicate)
            }
            Verdict::OutsideWindow => Err(DataOutcome::Dropped(DropReason::OutsideWindow)),
            Verdict::TooManyGaps => Err(DataOutcome::Dropped(DropReason::TooManyGaps)),
        }
    }

    /// RFC 9260 §6.5, if it is not: "it SHOULD acknowledge the reception of the DATA chunk following the normal
    /// procedure, immediately send an ERROR chunk with cause set to "Invalid Stream Identifier" […], and discard the
    /// DATA chunk."
    pub(super) fn is_valid(&self, stream: StreamId) -> bool {
        stream.0 < self.streams
    }

    /// Whether there is room.
    fn admit(&self, number: u64, len: usize) -> Result<(), DataOutcome> {
        let charge = self.charge() + len + CHUNK_OVERHEAD;
        let cap = self.config.window.saturating_mul(2);
        // RFC 9260 §6.2: "When the receiver's advertised window is 0, the receiver MUST drop any new incoming DATA chunk
        // with a TSN larger than the largest TSN received so far." What is lower has the reserve above the window.
        let is_shut = self.advertised == 0 && number > self.tracker.highest() && self.window() == 0;
        if charge <= cap && !is_shut {
            return Ok(());
        }
        if number != self.tracker.cumulative() + 1 {
            return Err(DataOutcome::Dropped(DropReason::BufferFull));
        }
        // A message larger than the window can only be completed beyond it, by what comes next. A little to read is no
        // reason to drop that: the peer would come to know of it by a timeout.
        let limit = cap.saturating_add(self.config.max_message_size).saturating_add(CHUNK_OVERHEAD);
        if charge <= limit && !self.has_much_readable() {
            return Ok(());
        }
        if self.has_readable() {
            return Err(DataOutcome::Dropped(DropReason::BufferFull));
        }
        Err(DataOutcome::OutOfResource)
    }

    /// A chunk of this stream is taken: hands on what it led to.
    fn finish(&mut self, inserted: Inserted, stream: StreamId) -> Result<DataOutcome, DataOutcome> {
        let Inserted { complete, excess } = inserted;
        if let Some(complete) = complete {
            self.inboxes.deliver(complete, self.tracker.cumulative())?;
        }
        self.settle()?;
        match excess {
            None => return Ok(DataOutcome::Accepted),
            Some(Excess::Bytes) => self.stats.messages_too_large += 1,
            Some(Excess::Fragments) => self.stats.too_many_fragments += 1,
        }
        Ok(DataOutcome::TooLarge(stream))
    }
}

impl From<Refusal> for DataOutcome {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Violation(violation) => Self::Violation(violation),
            Refusal::TooManyIncomplete => Self::Dropped(DropReason::TooManyIncomplete),
            Refusal::OutOfResource => Self::OutOfResource,
        }
    }
}

impl From<OutOfOrder> for DataOutcome {
    fn from(OutOfOrder(violation): OutOfOrder) -> Self {
        Self::Violation(violation)
    }
}

impl From<WrongKind> for DataOutcome {
    /// RFC 8260 §2.2.3: "the reception of a DATA chunk is a violation of the above rules and therefore the receiver of
    /// the DATA chunk MUST abort the association", and "The same applies if I-DATA support has not been negotiated for
    /// an association and an I-DATA chunk is received."
    fn from(_: WrongKind) -> Self {
        Self::Violation("DATA and I-DATA in one association")
    }
}
