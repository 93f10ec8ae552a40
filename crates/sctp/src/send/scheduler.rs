//! Which stream sends next (RFC 8260 §3).

use super::chunk::Format;
use std::collections::{BTreeSet, VecDeque};

/// The streams that have something to send, in the order of their turns.
#[derive(Debug)]
pub(super) enum Scheduler {
    /// By message, for DATA. RFC 8260 §3.2: "When not interleaving user messages, this scheduler provides a fair
    /// scheduling based on the number of user messages by cycling around non-empty stream queues."
    ///
    /// The first one stays so while its message is on its way.
    RoundRobin(VecDeque<u32>),
    /// By fragment, for I-DATA.
    WeightedFair(WeightedFair),
}

/// RFC 8260 §3.6: "If the weight of stream S1 is n times the weight of stream S2, the scheduler should assign to stream S1
/// n times the capacity it assigns to stream S2."
///
/// Start-time fair queueing: the next fragment of each stream has a start tag, and the smallest is served. Service moves
/// the stream's tag on by length over weight. A stream that comes back begins at the tag that is served then, so it is
/// owed nothing for its silence, and waits for one fragment of the others at most.
#[derive(Debug, Default)]
pub(super) struct WeightedFair {
    /// Tag and slot.
    ready: BTreeSet<(Tag, u32)>,
    /// By slot.
    tags: Vec<Tag>,
    /// The start tag that was served last.
    now: Tag,
}

/// Bytes at weight 1, with [`FRACTION`] more bits for what weights divide. Has room for all that can ever be sent.
type Tag = u128;

impl Scheduler {
    pub(super) fn new(format: Format) -> Self {
        match format {
            Format::Data => Self::RoundRobin(VecDeque::new()),
            Format::IData => Self::WeightedFair(WeightedFair::default()),
        }
    }

    /// The stream has something to send and is not in the schedule.
    pub(super) fn activate(&mut self, slot: u32) {
        match self {
            Self::RoundRobin(ready) => ready.push_back(slot),
            Self::WeightedFair(fair) => fair.activate(slot),
        }
    }

    /// Whose turn it is.
    pub(super) fn first(&self) -> Option<u32> {
        match self {
            Self::RoundRobin(ready) => ready.front().copied(),
            Self::WeightedFair(fair) => fair.ready.first().map(|&(_, slot)| slot),
        }
    }

    /// The turn of the first one is over, and it is out of the schedule: it sent `len` bytes.
    pub(super) fn finish_first(&mut self, len: usize, weight: u16) {
        match self {
            Self::RoundRobin(ready) => {
                ready.pop_front();
            }
            Self::WeightedFair(fair) => fair.finish_first(len, weight),
        }
    }

    /// The stream has nothing to send after all.
    pub(super) fn remove(&mut self, slot: u32) {
        match self {
            Self::RoundRobin(ready) => ready.retain(|ready| *ready != slot),
            Self::WeightedFair(fair) => {
                let tag = *fair.tag(slot);
                fair.ready.remove(&(tag, slot));
            }
        }
    }

    /// Another stream, or none, lives at this slot from now on.
    pub(super) fn forget(&mut self, slot: u32) {
        match self {
            Self::RoundRobin(_) => {}
            Self::WeightedFair(fair) => *fair.tag(slot) = 0,
        }
    }
}

impl WeightedFair {
    fn activate(&mut self, slot: u32) {
        let now = self.now;
        let tag = self.tag(slot);
        *tag = now.max(*tag);
        let start = *tag;
        self.ready.insert((start, slot));
    }

    fn finish_first(&mut self, len: usize, weight: u16) {
        let Some((start, slot)) = self.ready.pop_first() else { return };
        self.now = start;
        *self.tag(slot) = start + ((len as Tag) << FRACTION) / Tag::from(weight.max(1));
    }

    fn tag(&mut self, slot: u32) -> &mut Tag {
        let slot = slot as usize;
        if slot >= self.tags.len() {
            self.tags.resize(slot + 1, 0);
        }
        &mut self.tags[slot]
    }
}

/// As many bits as a weight has.
const FRACTION: u32 = 16;

#[cfg(test)]
#[path = "tests/scheduler.rs"]
mod tests;
