//! The peer resets its streams (RFC 6525 §5.2.2).

use super::inbox::{DeferredReset, Reset};
use super::stream::OutOfOrder;
use super::{Receiver, ResetOutcome};
use crate::number::{StreamId, Tsn};

impl Receiver {
    /// Incoming Outgoing SSN Reset Request; no streams = all. Ask once per request number.
    pub(crate) fn reset_request(&mut self, last_tsn: Tsn, streams: &[StreamId]) -> ResetOutcome {
        let last = self.tracker.unwrap(last_tsn);
        let cumulative = self.tracker.cumulative();
        let is_known = streams.iter().all(|stream| self.is_valid(*stream));
        if !is_known || last.saturating_sub(cumulative) > MAX_RESET_DISTANCE {
            return ResetOutcome::Refused;
        }
        match self.inboxes.reset(last, streams, cumulative, self.tracker.highest(), |reset| {
            self.assembler.incomplete_beyond(reset)
        }) {
            Reset::Done => ResetOutcome::Done,
            Reset::Busy => ResetOutcome::Busy,
            Reset::Excessive => ResetOutcome::Excessive,
            Reset::Deferred => {
                if let Some(reset) = self.inboxes.deferred_reset() {
                    self.assembler.defer(reset);
                }
                ResetOutcome::InProgress
            }
            Reset::Due(reset) => match self.perform_reset(reset) {
                Ok(()) => ResetOutcome::Done,
                Err(OutOfOrder(violation)) => ResetOutcome::Violation(violation),
            },
        }
    }

    /// Whether a reset is deferred. A repeated request is then answered "in progress", else "performed".
    pub(crate) fn is_resetting(&self) -> bool {
        self.inboxes.deferred_reset().is_some()
    }

    pub(super) fn perform_reset(&mut self, reset: DeferredReset) -> Result<(), OutOfOrder> {
        self.assembler.defer(&reset);
        for given_up in self.assembler.reset(&reset) {
            self.inboxes.abandon(&given_up);
        }
        self.inboxes.perform(reset, self.tracker.cumulative())
    }
}

/// How far beyond the cumulative TSN a reset may lie: no more can be underway (RFC 9260 §3.3.4: 16-bit offsets).
const MAX_RESET_DISTANCE: u64 = 65_535;
