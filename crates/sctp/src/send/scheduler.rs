//! Which stream begins its next message when the one before is done.

use std::collections::VecDeque;

/// Round robin by message between the streams that have something to send.
///
/// A stream stays where it is while its message is on its way. A fair-queueing scheduler has the same verbs.
#[derive(Debug, Default)]
pub(super) struct RoundRobin {
    ready: VecDeque<u32>,
}

impl RoundRobin {
    /// The stream has a message to begin and is not in the schedule yet.
    pub(super) fn activate(&mut self, slot: u32) {
        self.ready.push_back(slot);
    }

    /// Whose turn it is.
    pub(super) fn first(&self) -> Option<u32> {
        self.ready.front().copied()
    }

    /// The first one has sent a message; `more`: it has another.
    pub(super) fn finish_first(&mut self, more: bool) {
        let first = self.ready.pop_front();
        self.ready.extend(first.filter(|_| more));
    }

    /// The stream has nothing to begin after all.
    pub(super) fn remove(&mut self, slot: u32) {
        self.ready.retain(|ready| *ready != slot);
    }
}
