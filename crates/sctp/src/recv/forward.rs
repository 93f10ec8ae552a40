//! FORWARD TSN and I-FORWARD-TSN (RFC 3758 §3.6, RFC 8260 §2.3.1).

use super::acks::Noted;
use super::assembler::{Assembler, WrongKind};
use super::message::{GivenUp, Order};
use super::stream::OutOfOrder;
use super::tracker::Verdict;
use super::{ForwardOutcome, Receiver};
use crate::number::{Mid, Ssn, StreamId, Tsn};
use crate::wire::{ForwardTsn, IForwardTsn};

/// The last message of a stream that was given up; none before it is to come either.
#[derive(Clone, Copy, Debug)]
struct Skip {
    stream: StreamId,
    last: Skipped,
}

#[derive(Clone, Copy, Debug)]
enum Skipped {
    Ssn(Ssn),
    Mid(Mid),
    /// Among the unordered messages.
    UnorderedMid(Mid),
}

impl Receiver {
    /// The peer gave up TSNs, and ordered messages. Entries for a stream that is listed twice, as usrsctp does, amount to
    /// the largest.
    pub(crate) fn handle_forward_tsn(&mut self, chunk: &ForwardTsn<'_>) -> ForwardOutcome {
        if let Err(wrong) = self.assembler.sequential() {
            return wrong.into();
        }
        let skips = chunk.streams.iter();
        let skips = skips.map(|entry| Skip { stream: entry.stream, last: Skipped::Ssn(entry.ssn) });
        self.forward(chunk.new_cumulative_tsn, skips)
    }

    /// The peer gave up TSNs, and messages. Of entries for the same stream and order the largest counts.
    pub(crate) fn handle_i_forward_tsn(&mut self, chunk: &IForwardTsn<'_>) -> ForwardOutcome {
        if let Err(wrong) = self.assembler.interleaved() {
            return wrong.into();
        }
        let skips = chunk.streams.iter().map(|entry| {
            let last =
                if entry.unordered { Skipped::UnorderedMid(entry.mid) } else { Skipped::Mid(entry.mid) };
            Skip { stream: entry.stream, last }
        });
        self.forward(chunk.new_cumulative_tsn, skips)
    }

    fn forward(&mut self, tsn: Tsn, skips: impl Iterator<Item = Skip>) -> ForwardOutcome {
        let had_gaps = self.tracker.has_gaps();
        let point = self.tracker.unwrap(tsn);
        match self.tracker.check_forward(point) {
            Verdict::New => {}
            // RFC 3758 §3.6: "The receiver SHOULD send a SACK to its peer (the sender of the FORWARD TSN) since such a
            // duplicate may indicate the previous SACK was lost in the network."
            Verdict::Duplicate => {
                self.acks.note(Noted::Duplicate, true, had_gaps);
                return ForwardOutcome::Stale;
            }
            Verdict::OutsideWindow | Verdict::TooManyGaps => {
                self.stats.outside_window += 1;
                return ForwardOutcome::OutsideWindow;
            }
        }
        // RFC 3758 §3.6: "for the purposes of sending a SACK, the receiver MUST follow the same rules as if a DATA chunk
        // had been received".
        self.acks.note(Noted::New, false, had_gaps);
        self.stats.forwards += 1;
        self.tracker.forward(point);
        let passed = self.pass(point, skips);
        if let Assembler::Sequential(reassembly) = &self.assembler
            && let Some((stream, ..)) = reassembly.readable_part()
        {
            self.announce_part(stream);
        }
        self.update_window();
        match passed {
            Ok(()) => ForwardOutcome::Advanced,
            Err(OutOfOrder(violation)) => ForwardOutcome::Violation(violation),
        }
    }

    /// The cumulative TSN passed `point`: what lies before it is complete, or given up.
    fn pass(&mut self, point: u64, skips: impl Iterator<Item = Skip>) -> Result<(), OutOfOrder> {
        self.inboxes.allow_skips();
        let mut later = Vec::new();
        for given_up in self.assembler.forward(point, self.tracker.cumulative()) {
            match Skip::implied(&given_up) {
                Some(skip) if self.inboxes.is_beyond_reset(given_up.stream, given_up.first) => {
                    later.push(skip);
                }
                Some(_) | None => self.give_up(&given_up),
            }
        }
        for skip in skips {
            // Of a stream that does not exist nothing is kept.
            if !self.is_valid(skip.stream) {
                continue;
            }
            if self.is_later(skip, point) {
                later.push(skip);
            } else {
                self.skip(skip);
            }
        }
        self.settle()?;
        later.into_iter().for_each(|skip| self.skip(skip));
        Ok(())
    }

    /// A message is known to have been given up: it had its turn, even if the peer did not list it, and whoever reads it
    /// hears of that.
    pub(super) fn give_up(&mut self, given_up: &GivenUp) {
        if given_up.is_half_read {
            self.inboxes.abandon(given_up);
        }
        self.inboxes.skip(given_up.stream, given_up.order);
    }

    fn skip(&mut self, Skip { stream, last }: Skip) {
        let could_read = self.is_readable(stream);
        let next = self.inboxes.next(stream);
        let given_up = match (&mut self.assembler, last) {
            (Assembler::Sequential(reassembly), Skipped::Ssn(ssn)) => reassembly.skip(stream, ssn),
            (Assembler::Interleaved(interleaved), Skipped::Mid(mid)) => {
                interleaved.skip(stream, false, mid, next)
            }
            (Assembler::Interleaved(interleaved), Skipped::UnorderedMid(mid)) => {
                interleaved.skip(stream, true, mid, next)
            }
            (Assembler::Sequential(_), Skipped::Mid(_) | Skipped::UnorderedMid(_))
            | (Assembler::Interleaved(_), Skipped::Ssn(_)) => None,
        };
        if let Some(given_up) = given_up.filter(|given_up| given_up.is_half_read) {
            self.inboxes.abandon(&given_up);
        }
        if let Some(order) = last.order() {
            self.inboxes.skip(stream, order);
        }
        if !could_read {
            self.announce_part(stream);
        }
    }

    /// Whether an entry speaks of the messages beyond a deferred reset of its stream, whose numbers begin at 0 again.
    ///
    /// The chunk says of no entry which TSNs it stands for. As long as it does not lead beyond the reset there is no
    /// doubt. If it does, a number that is ahead of the old sequence belongs to that, which comes first; and since
    /// nothing before the reset is to come any more, all that waits is delivered by the reset anyway. A number behind
    /// the old sequence says nothing there, so it means the new one, if that can have come so far: each message has a
    /// TSN of its own beyond the reset. Unordered messages of the new sequence are not skipped, for their numbers would
    /// be a guess; what is held of them waits for the next FORWARD TSN.
    fn is_later(&self, skip: Skip, point: u64) -> bool {
        let Some(reset) = self.inboxes.deferred_reset().filter(|reset| reset.precedes(skip.stream, point))
        else {
            return false;
        };
        let Some(order) = skip.last.order() else { return false };
        let ahead = order.distance(self.inboxes.next(skip.stream));
        let from_zero = order.distance(0);
        ahead.is_some_and(|distance| order.is_behind(distance))
            && from_zero.is_some_and(|number| number < point - reset.last)
    }

    /// After the cumulative TSN moved: performs the reset that waited for that.
    pub(super) fn settle(&mut self) -> Result<(), OutOfOrder> {
        match self.inboxes.take_due_reset(self.tracker.cumulative()) {
            Some(reset) => self.perform_reset(reset),
            None => Ok(()),
        }
    }
}

impl Skip {
    /// What is skipped with an ordered message.
    fn implied(given_up: &GivenUp) -> Option<Self> {
        let last = match given_up.order {
            Order::Unordered => return None,
            Order::Ssn(ssn) => Skipped::Ssn(ssn),
            Order::Mid(mid) => Skipped::Mid(mid),
        };
        Some(Self { stream: given_up.stream, last })
    }
}

impl Skipped {
    /// None: unordered.
    fn order(self) -> Option<Order> {
        match self {
            Self::Ssn(ssn) => Some(Order::Ssn(ssn)),
            Self::Mid(mid) => Some(Order::Mid(mid)),
            Self::UnorderedMid(_) => None,
        }
    }
}

impl From<WrongKind> for ForwardOutcome {
    /// RFC 8260 §2.3.1: "The FORWARD-TSN chunk MUST be used in combination with the DATA chunk and MUST NOT be used in
    /// combination with the I-DATA chunk. The I-FORWARD-TSN chunk MUST be used in combination with the I-DATA chunk and
    /// MUST NOT be used in combination with the DATA chunk."
    fn from(_: WrongKind) -> Self {
        Self::Violation("FORWARD TSN of the wrong kind")
    }
}
