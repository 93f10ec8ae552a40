//! The messages of one stream, in order (RFC 9260 §6.6).

use super::CHUNK_OVERHEAD;
use super::message::{Body, Complete, Order};
use crate::number::Ppid;
use bytes::Bytes;
use std::collections::{BTreeMap, VecDeque};

/// One stream of the peer's.
#[derive(Debug, Default)]
pub(super) struct Stream {
    /// Ordered messages of this stream that had their turn, unwrapped: the number expected next is its low part.
    pub(super) next: u64,
    pub(super) inbox: VecDeque<Entry>,
    /// Ordered messages ahead of their turn, by unwrapped number. Boxed, or nodes of the map, which are filled by halves when
    /// messages come in order, take more than is charged for them.
    waiting: BTreeMap<u64, Box<Complete>>,
    /// A `Readable` event is queued.
    pub(super) is_announced: bool,
}

/// What can be read.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) ppid: Ppid,
    pub(super) data: Bytes,
    pub(super) kind: Kind,
}

/// Whether something of a message was read before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Whole,
    /// The beginning was read as parts.
    Rest,
    /// The same, and nothing more will come.
    Abandoned,
}

/// A message came that breaks the order of its stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct OutOfOrder(pub(super) &'static str);

/// What explains a message that is not the next one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Progress {
    /// The cumulative TSN, with the message.
    pub(super) cumulative: u64,
    /// The peer has given up messages: any one may be missing for ever.
    pub(super) may_skip: bool,
}

impl Stream {
    /// Takes a message, unless its turn has passed. Answers the charge of what is gone: of that, or of what was discarded and
    /// had its turn.
    pub(super) fn put_in_order(
        &mut self,
        complete: Complete,
        progress: Progress,
    ) -> Result<usize, OutOfOrder> {
        match complete.order.distance(self.next) {
            None => Ok(self.put(complete)),
            // RFC 9260 §6.6: "Within a stream, an endpoint MUST deliver DATA chunks received with the U flag set to 0 to
            // the upper layer according to the order of their Stream Sequence Number."
            Some(0) => {
                let gone = self.put(complete);
                self.next += 1;
                Ok(gone + self.catch_up())
            }
            Some(distance) => self.put_ahead(distance, complete, progress),
        }
    }

    /// All ordered messages before `next` had their turn or never will. Answers the charge of what is gone.
    ///
    /// RFC 3758 §3.6: "immediately make available for delivery stream sequence numbers earlier than or equal to the
    /// stream sequence number listed inside the FORWARD TSN."
    pub(super) fn skip_to(&mut self, next: u64) -> usize {
        let mut gone = 0;
        while let Some(first) = self.waiting.first_entry().filter(|first| *first.key() < next) {
            let complete = first.remove();
            gone += self.put(*complete);
        }
        self.next = self.next.max(next);
        gone + self.catch_up()
    }

    /// Expects 0. What waited is before that. Answers the charge of what is gone.
    pub(super) fn reset(&mut self) -> usize {
        let gone = self.skip_to(self.waiting.last_key_value().map_or(self.next, |(last, _)| last + 1));
        self.next = 0;
        gone
    }

    /// Expects 0 and forgets what waited for its turn. Answers its charge.
    pub(super) fn start_anew(&mut self) -> usize {
        self.next = 0;
        std::mem::take(&mut self.waiting).into_values().map(|complete| complete.body.charge()).sum()
    }

    /// Takes away what waits and lies beyond a TSN.
    pub(super) fn take_beyond(&mut self, last: u64) -> impl Iterator<Item = Complete> {
        let waiting = std::mem::take(&mut self.waiting).into_iter();
        let (beyond, before): (BTreeMap<_, _>, _) = waiting.partition(|(_, complete)| complete.first > last);
        self.waiting = before;
        beyond.into_values().map(|complete| *complete)
    }

    /// How many messages wait for their turn.
    pub(super) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    pub(super) fn is_waiting(&self, position: u64) -> bool {
        self.waiting.contains_key(&position)
    }

    /// Whether what is read next is the rest of a message.
    pub(super) fn has_rest(&self) -> bool {
        self.inbox.front().is_some_and(|entry| entry.kind != Kind::Whole)
    }

    /// The rest of the message that is being read will not come.
    pub(super) fn abandon(&mut self, ppid: Ppid) {
        self.inbox.push_front(Entry { ppid, data: Bytes::new(), kind: Kind::Abandoned });
    }

    /// Takes what is to be read next. A queue that was long gives its memory back when it is empty.
    pub(super) fn pop(&mut self) -> Option<Entry> {
        let entry = self.inbox.pop_front()?;
        if self.inbox.is_empty() && self.inbox.capacity() > SPARE_ENTRIES {
            self.inbox = VecDeque::new();
        }
        Some(entry)
    }

    /// Whether there is nothing to know about it.
    pub(super) fn is_as_new(&self) -> bool {
        self.next == 0 && self.inbox.is_empty() && self.waiting.is_empty() && !self.is_announced
    }

    /// What this holds counts against the window.
    #[cfg(any(test, feature = "__fuzzing"))]
    pub(super) fn recount(&self) -> usize {
        let inbox: usize = self.inbox.iter().map(Entry::charge).sum();
        inbox + self.waiting.values().map(|complete| complete.body.charge()).sum::<usize>()
    }

    fn put_ahead(
        &mut self,
        distance: u64,
        complete: Complete,
        progress: Progress,
    ) -> Result<usize, OutOfOrder> {
        let order = complete.order;
        if !self.is_explained(distance, &complete, progress.cumulative) {
            if !progress.may_skip {
                return Err(OutOfOrder(order.unexplained()));
            }
            if order.is_behind(distance) {
                return Ok(complete.body.charge());
            }
        }
        let position = self.next + distance;
        if self.is_waiting(position) {
            return Err(OutOfOrder(order.used_twice()));
        }
        self.waiting.insert(position, Box::new(complete));
        Ok(0)
    }

    /// Whether the messages before this one can still come.
    fn is_explained(&self, distance: u64, complete: &Complete, cumulative: u64) -> bool {
        match complete.order {
            Order::Unordered => true,
            // Every one has at least one TSN that is missing and lower. SSNs of 65 536 different messages cannot be
            // underway, for there are fewer TSNs in the acceptance window: all distances are forward.
            Order::Ssn(_) => {
                let missing = complete.first.saturating_sub(cumulative + 1);
                let waiting = u64::try_from(self.waiting.len()).unwrap_or(u64::MAX);
                missing > 0 && distance <= missing.saturating_add(waiting)
            }
            // RFC 8260 §2.2.3: "The receiver MUST NOT make any assumption about the TSN assignments of the sender."
            Order::Mid(_) => !complete.order.is_behind(distance),
        }
    }

    fn catch_up(&mut self) -> usize {
        let mut gone = 0;
        while !self.waiting.is_empty()
            && let Some(complete) = self.waiting.remove(&self.next)
        {
            gone += self.put(*complete);
            self.next += 1;
        }
        gone
    }

    /// A message has its turn. Answers the charge of one of which there is nothing to read.
    fn put(&mut self, complete: Complete) -> usize {
        let ppid = complete.ppid;
        match complete.body {
            Body::Whole(data) => self.inbox.push_back(Entry { ppid, data, kind: Kind::Whole }),
            // It is being read: ahead of what completed meanwhile.
            Body::Rest(data) => self.inbox.push_front(Entry { ppid, data, kind: Kind::Rest }),
            Body::Abandoned => self.abandon(ppid),
            Body::Discarded => return complete.body.charge(),
        }
        0
    }
}

impl Entry {
    pub(super) fn charge(&self) -> usize {
        charge(self.data.len())
    }
}

impl Body {
    /// What it counts against the window.
    pub(super) fn charge(&self) -> usize {
        match self {
            Self::Whole(data) | Self::Rest(data) => charge(data.len()),
            // A discarded one takes its place while it waits for its turn.
            Self::Abandoned | Self::Discarded => charge(0),
        }
    }
}

fn charge(len: usize) -> usize {
    len + CHUNK_OVERHEAD
}

/// So many messages an emptied inbox keeps room for: a burst of the largest packets' worth of small ones.
const SPARE_ENTRIES: usize = 64;
