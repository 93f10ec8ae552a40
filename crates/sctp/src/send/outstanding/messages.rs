//! Where the messages lie that were given up (RFC 3758 §3.5), and the resets between them.

use super::super::chunk::Chunk;
use crate::number::{Mid, StreamId};
use std::collections::{BTreeMap, BTreeSet};

/// The messages that were given up, and the resets; those that are not behind the cumulative TSN yet.
#[derive(Debug, Default)]
pub(super) struct Messages {
    /// By the TSN of their end.
    by_end: BTreeMap<u64, Message>,
    /// What they cover, those that overlap taken together: the first TSN by the last.
    spans: BTreeMap<u64, u64>,
    /// Those to be named that end at or below `named_to`.
    named: Named,
    named_to: u64,
    /// The last TSN before each reset of streams that was asked for.
    resets: BTreeSet<u64>,
}

/// By stream and U: number and end of the last message.
type Named = BTreeMap<(StreamId, bool), (Mid, u64)>;

/// A message that was given up.
#[derive(Clone, Copy, Debug)]
pub(super) struct Message {
    /// Its first TSN that was outstanding then.
    first: u64,
    pub(super) stream: StreamId,
    pub(super) mid: Mid,
    pub(super) unordered: bool,
}

impl Messages {
    pub(super) fn insert(&mut self, end: u64, message: Message) {
        let (mut first, mut last) = (message.first, end);
        while let Some((&end, &begin)) = self.spans.range(first..).next().filter(|span| *span.1 < last) {
            self.spans.remove(&end);
            (first, last) = (first.min(begin), last.max(end));
        }
        self.spans.insert(last, first);
        self.by_end.insert(end, message);
        if end <= self.named_to {
            self.name_anew();
        }
    }

    /// The peer is asked for a reset behind this TSN.
    pub(super) fn insert_reset(&mut self, last: u64) {
        self.resets.insert(last);
    }

    /// The cumulative TSN has come to `base`.
    pub(super) fn forget_below(&mut self, base: u64) {
        while self.resets.first().is_some_and(|last| *last < base) {
            self.resets.pop_first();
        }
        while let Some(first) = self.by_end.first_entry().filter(|first| *first.key() < base) {
            let (end, message) = first.remove_entry();
            if self.named.get(&message.of_kind()).is_some_and(|named| named.1 == end) {
                self.named.remove(&message.of_kind());
            }
        }
        while let Some(first) = self.spans.first_entry().filter(|first| *first.key() < base) {
            first.remove();
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.by_end.is_empty() && self.resets.is_empty()
    }

    /// How far the peer may be told to go on its way to `point`: across no reset together with what lies before it.
    ///
    /// The peer may have performed the reset, and its SACK not be here yet. To that peer a FORWARD TSN that leads beyond the
    /// reset is news, and its entries would skip messages of the streams as they are since. One that leads no further is out
    /// of date (RFC 3758 §3.6). That holds up other streams by a round trip, which is seldom, and simpler than to tell whose
    /// messages they are.
    pub(super) fn reach(&self, point: u64) -> u64 {
        let Some((&first, _)) = self.by_end.first_key_value().filter(|first| *first.0 < point) else {
            return point;
        };
        self.resets.range(first..point).next().copied().unwrap_or(point)
    }

    /// The last ones that end at or below `point`, of those that are to be named. An error is the end of the first one that
    /// there is no room for, which is for `room` streams. Goes on from where the last search ended.
    pub(super) fn name_to(
        &mut self,
        point: u64,
        room: usize,
        is_named: impl Fn(&Message) -> bool,
    ) -> Result<&Named, u64> {
        if point < self.named_to || self.named.len() > room {
            self.name_anew();
        }
        for (&end, message) in self.by_end.range(self.named_to + 1..).take_while(|(end, _)| **end <= point) {
            if is_named(message) {
                if self.named.len() == room && !self.named.contains_key(&message.of_kind()) {
                    return Err(end);
                }
                self.named.insert(message.of_kind(), (message.mid, end));
            }
            self.named_to = end;
        }
        self.named_to = point;
        Ok(&self.named)
    }

    /// Whether one begins at or below `point` and ends above it. Looks at all that end above it.
    pub(super) fn is_inside(&self, point: u64) -> bool {
        self.by_end.range(point + 1..).any(|(_, message)| message.first <= point)
    }

    fn name_anew(&mut self) {
        self.named.clear();
        self.named_to = 0;
    }

    /// The last end of a message below `limit`, of those that lie inside no other one.
    pub(super) fn boundary_below(&self, limit: u64) -> Option<u64> {
        self.spans.range(..limit).next_back().map(|(&last, _)| last)
    }
}

impl Message {
    pub(super) fn of(first: u64, chunk: &Chunk) -> Self {
        let Chunk { stream, mid, unordered, .. } = *chunk;
        Self { first, stream, mid, unordered }
    }

    /// Stream and U.
    pub(super) fn of_kind(&self) -> (StreamId, bool) {
        (self.stream, self.unordered)
    }
}

/// Nothing was given up or reset.
pub(super) static NONE: Messages = Messages {
    by_end: BTreeMap::new(),
    spans: BTreeMap::new(),
    named: BTreeMap::new(),
    named_to: 0,
    resets: BTreeSet::new(),
};

#[cfg(test)]
#[path = "../tests/messages.rs"]
mod tests;
