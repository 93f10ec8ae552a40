//! Which stream sends next (RFC 8260 §3).

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// The streams that have something to send, in the order of their turns: a fragment with I-DATA, a message with DATA.
///
/// RFC 8260 §3.6: "If the weight of stream S1 is n times the weight of stream S2, the scheduler should assign to stream S1
/// n times the capacity it assigns to stream S2."
///
/// Start-time fair queueing: the next turn of each stream has a start tag, and the smallest is served. Service moves the
/// stream's tag on by length over weight. A stream that comes back begins at the tag that is served then, so it is owed
/// nothing for its silence, and waits for one turn of the others at most.
#[derive(Debug, Default)]
pub(super) struct Scheduler {
    /// Tag, order of arrival, and slot. An entry counts while it is the one that the slot has noted.
    ready: BinaryHeap<Reverse<(Tag, u64, u32)>>,
    /// By slot.
    slots: Vec<Place>,
    /// The start tag that was served last.
    now: Tag,
    /// Of the next entry: among equal tags the first to come is the first to be served.
    arrival: u64,
    /// What the first one has sent in its turn.
    served: usize,
}

/// Where a stream stands.
#[derive(Clone, Copy, Debug, Default)]
struct Place {
    tag: Tag,
    /// Its entry in the schedule.
    entry: Option<u64>,
}

/// Bytes at weight 1, with [`FRACTION`] more bits for what weights divide. Has room for all that can ever be sent.
type Tag = u128;

impl Scheduler {
    /// The stream has something to send and is not in the schedule.
    pub(super) fn activate(&mut self, slot: u32) {
        let (now, arrival) = (self.now, self.arrival);
        self.arrival += 1;
        let place = self.place(slot);
        place.tag = place.tag.max(now);
        place.entry = Some(arrival);
        let tag = place.tag;
        self.ready.push(Reverse((tag, arrival, slot)));
        // Streams may come and go without end behind a first one that the peer does not let send.
        if self.ready.len() > 2 * self.slots.len() + MAX_STALE {
            let slots = &self.slots;
            self.ready.retain(|Reverse((_, arrival, slot))| is_current(slots, *slot, *arrival));
        }
    }

    /// Whose turn it is.
    pub(super) fn first(&self) -> Option<u32> {
        self.ready.peek().map(|Reverse((_, _, slot))| *slot)
    }

    /// The first one has sent `len` bytes, and its turn goes on: whoever comes meanwhile is behind it.
    pub(super) fn serve_first(&mut self, len: usize) {
        if let Some(Reverse((start, ..))) = self.ready.peek() {
            self.now = *start;
        }
        self.served += len;
    }

    /// The first one has sent `len` bytes, and its turn is over: its next one comes in order.
    pub(super) fn finish_first(&mut self, len: usize, weight: u16) {
        let Some(mut first) = self.ready.peek_mut() else { return };
        let Reverse((start, _, slot)) = *first;
        let len = std::mem::take(&mut self.served) + len;
        // In 64 bits, because a division of 128 costs as much as all the rest.
        let service = ((len as u64) << FRACTION) / u64::from(weight.max(1));
        let (tag, arrival) = (start + Tag::from(service), self.arrival);
        *first = Reverse((tag, arrival, slot));
        drop(first);
        self.now = start;
        self.arrival += 1;
        *self.place(slot) = Place { tag, entry: Some(arrival) };
        self.drop_stale();
    }

    /// The stream has nothing to send after all.
    pub(super) fn remove(&mut self, slot: u32) {
        if self.first() == Some(slot) {
            self.served = 0;
        }
        self.place(slot).entry = None;
        self.drop_stale();
    }

    /// Another stream, or none, lives at this slot from now on.
    pub(super) fn forget(&mut self, slot: u32) {
        self.place(slot).tag = 0;
    }

    /// The first entry is always one that counts.
    fn drop_stale(&mut self) {
        while let Some(Reverse((_, arrival, slot))) = self.ready.peek()
            && !is_current(&self.slots, *slot, *arrival)
        {
            self.ready.pop();
        }
    }

    fn place(&mut self, slot: u32) -> &mut Place {
        let slot = slot as usize;
        if slot >= self.slots.len() {
            self.slots.resize(slot + 1, Place::default());
        }
        &mut self.slots[slot]
    }
}

fn is_current(slots: &[Place], slot: u32, arrival: u64) -> bool {
    slots.get(slot as usize).is_some_and(|place| place.entry == Some(arrival))
}

/// As many bits as a weight has.
const FRACTION: u32 = 16;
/// How many entries may be there, beside two for each slot, before those that do not count are cleared away.
const MAX_STALE: usize = 64;

#[cfg(test)]
#[path = "tests/scheduler.rs"]
mod tests;
