//! When a stream is in the schedule, and when its next message may begin.

use super::super::chunk::Format;
use super::stream::Turn;
use super::{Queue, at};
use std::collections::BTreeMap;

/// With I-DATA messages of many streams are on their way at once. The peer holds each of them until it is whole, so a
/// message begins only if its window has room for all: else nothing but incomplete messages would fill it, and none of
/// them could go on.
#[derive(Debug, Default)]
pub(super) struct Room {
    /// The largest window the peer advertised.
    window: usize,
    /// The lengths of the messages that may be on their way, as far as they are known.
    reserved: usize,
    /// How many these are.
    messages: usize,
    /// Streams whose next message does not fit, by their number in the line, and how long that message is so far.
    waiting: BTreeMap<u64, (u32, usize)>,
    /// How many have stood in line.
    arrivals: u64,
}

impl Queue {
    /// The peer's window: the largest one counts.
    pub(in crate::send) fn note_window(&mut self, window: usize) {
        if window > self.room.window {
            self.room.window = window;
            self.admit_waiting();
        }
    }

    /// The stream may have something to send now.
    pub(super) fn schedule(&mut self, slot: u32) {
        let stream = &self.slots[at(slot)];
        if stream.turn != Turn::Idle || stream.next(slot, self.fragment).is_none() {
            return;
        }
        if self.admit(slot) {
            self.slots[at(slot)].turn = Turn::Scheduled;
            self.scheduler.activate(slot);
        } else {
            self.wait(slot);
        }
    }

    fn wait(&mut self, slot: u32) {
        let stream = &mut self.slots[at(slot)];
        stream.turn = Turn::Waiting(self.room.arrivals);
        let len = stream.long_message(self.fragment).unwrap_or(0);
        self.room.waiting.insert(self.room.arrivals, (slot, len));
        self.room.arrivals += 1;
    }

    /// The same, or it may have nothing to send any more, or another message first.
    pub(super) fn reschedule(&mut self, slot: u32) {
        let stream = &self.slots[at(slot)];
        let keeps_turn = match self.format {
            Format::Data => stream.begun || stream.next(slot, self.fragment).is_some(),
            Format::IData => false,
        };
        if !keeps_turn {
            self.unschedule(slot);
        }
        self.schedule(slot);
    }

    /// Takes the stream out of the schedule; its next message, unless it has begun, has to fit anew.
    pub(super) fn unschedule(&mut self, slot: u32) {
        let stream = &mut self.slots[at(slot)];
        match std::mem::replace(&mut stream.turn, Turn::Idle) {
            Turn::Idle => {}
            Turn::Scheduled => self.scheduler.remove(slot),
            Turn::Waiting(number) => _ = self.room.waiting.remove(&number),
        }
        if !self.slots[at(slot)].begun {
            self.release(slot);
        }
    }

    /// The first stream has sent a fragment of `len` bytes; `end`: it was the last one of its message.
    pub(super) fn finish_turn(&mut self, slot: u32, len: usize, end: bool) {
        match self.format {
            // RFC 9260 §3.3.1 wants the TSNs of a message in one run.
            Format::Data if !end => return self.scheduler.serve_first(len),
            Format::Data | Format::IData => {}
        }
        self.scheduler.finish_first(len, self.slots[at(slot)].priority);
        if end {
            self.release(slot);
        }
        if self.slots[at(slot)].next(slot, self.fragment).is_none() {
            self.slots[at(slot)].turn = Turn::Idle;
            self.scheduler.remove(slot);
        } else if !self.admit(slot) {
            self.wait(slot);
            self.scheduler.remove(slot);
        }
    }

    /// The first message of the stream has become `len` bytes longer.
    pub(super) fn lengthen(&mut self, slot: u32, len: usize) {
        let stream = &self.slots[at(slot)];
        if let Turn::Waiting(number) = stream.turn {
            self.room.waiting.entry(number).and_modify(|(_, known)| *known += len);
        } else if stream.reserved > 0 {
            self.reserve(slot, len);
        }
    }

    /// Counts `len` bytes for the message of the stream that may be on its way.
    pub(super) fn reserve(&mut self, slot: u32, len: usize) {
        let reserved = &mut self.slots[at(slot)].reserved;
        self.room.messages += usize::from(*reserved == 0);
        *reserved += len;
        self.room.reserved += len;
    }

    fn release(&mut self, slot: u32) {
        let reserved = std::mem::take(&mut self.slots[at(slot)].reserved);
        if reserved > 0 {
            self.room.reserved -= reserved;
            self.room.messages -= 1;
            self.admit_waiting();
        }
    }

    /// Whether the stream may send its first message; if so, there is room for it.
    fn admit(&mut self, slot: u32) -> bool {
        let stream = &self.slots[at(slot)];
        if self.format == Format::Data || stream.reserved > 0 {
            return true;
        }
        let Some(len) = stream.long_message(self.fragment) else { return true };
        // Those that wait come first, or a long message would wait for ever.
        let admitted = self.room.waiting.is_empty() && self.room.holds(len);
        if admitted {
            self.reserve(slot, len);
        }
        admitted
    }

    fn admit_waiting(&mut self) {
        while let Some((_, &(slot, len))) = self.room.waiting.first_key_value() {
            if !self.room.holds(len) {
                break;
            }
            self.room.waiting.pop_first();
            self.reserve(slot, len);
            self.slots[at(slot)].turn = Turn::Scheduled;
            self.scheduler.activate(slot);
        }
    }
}

impl Room {
    /// Bytes and messages that have a place.
    #[cfg(any(test, feature = "__fuzzing"))]
    pub(super) fn counts(&self) -> (usize, usize) {
        (self.reserved, self.messages)
    }

    /// Who stands in line with this number, and the length of its message.
    #[cfg(any(test, feature = "__fuzzing"))]
    pub(super) fn waiting(&self, number: u64) -> Option<(u32, usize)> {
        self.waiting.get(&number).copied()
    }

    fn holds(&self, len: usize) -> bool {
        self.messages == 0 || self.reserved.saturating_add(len) <= self.window
    }
}
