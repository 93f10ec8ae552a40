//! Messages that were taken from the association and that the application has not asked for yet.

use crate::Part;
use std::collections::VecDeque;

/// Parts of messages, in order: what overtook the OPEN of its channel, or was left when the stream was given up.
#[derive(Debug, Default)]
pub(super) struct Held {
    parts: VecDeque<Part>,
    charge: usize,
}

impl Held {
    pub(super) fn push(&mut self, part: Part) {
        self.charge = self.charge.saturating_add(charge(&part));
        self.parts.push_back(part);
    }

    pub(super) fn pop(&mut self) -> Option<Part> {
        let part = self.parts.pop_front()?;
        self.charge = self.charge.saturating_sub(charge(&part));
        Some(part)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    /// What it counts for against the receive window and against the bounds of early data.
    pub(super) fn charge(&self) -> usize {
        self.charge
    }
}

/// What one part counts for.
pub(super) fn charge(part: &Part) -> usize {
    part.data.len().saturating_add(PART_OVERHEAD)
}

/// Charged for each part beside its bytes, as the receive window does for what is still in an inbox.
const PART_OVERHEAD: usize = 128;
