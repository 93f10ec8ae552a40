//! Messages that leave the queue without being sent.

use super::super::SenderEvent;
use super::super::chunk::{Chunk, Limit, charge};
use super::stream::{Piece, Stream};
use super::{Queue, at};
use crate::number::{Ppid, StreamId};
use bytes::Bytes;
use std::collections::VecDeque;
use std::collections::btree_map::Entry;
use std::time::Instant;

/// Messages given up in the queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::send) struct Dropped {
    pub(in crate::send) messages: u64,
    /// Of payload.
    pub(in crate::send) bytes: usize,
}

/// A message whose last part has not come.
#[derive(Clone, Copy, Debug)]
pub(in crate::send) struct Open {
    pub(in crate::send) slot: u32,
    /// Whether a fragment of it was sent, and it was not given up.
    pub(in crate::send) begun: bool,
}

impl Queue {
    /// When the next message expires that is queued, or the rest of one.
    pub(in crate::send) fn next_deadline(&self) -> Option<Instant> {
        self.deadlines.keys().next().map(|&(deadline, _)| deadline)
    }

    /// A stream on which something has expired.
    pub(in crate::send) fn expired(&self, now: Instant) -> Option<u32> {
        self.deadlines.keys().next().filter(|(deadline, _)| *deadline <= now).map(|&(_, slot)| slot)
    }

    /// Whether a message of the stream is partly sent.
    pub(in crate::send) fn has_begun(&self, slot: u32) -> bool {
        self.slots[at(slot)].begun
    }

    /// Whether that message has expired.
    pub(in crate::send) fn has_begun_and_expired(&self, now: Instant, slot: u32) -> bool {
        let stream = &self.slots[at(slot)];
        stream.begun && stream.pieces.front().is_some_and(|piece| is_due(piece.kind.limit, now))
    }

    /// The slot of a stream on which a message of the user's is partly sent.
    pub(in crate::send) fn on_its_way(&self, stream: StreamId) -> Option<u32> {
        let slot = self.index.get(&stream).copied().filter(|&slot| self.has_begun(slot))?;
        let is_dcep = |piece: &Piece| piece.kind.ppid == Ppid::DCEP;
        (!self.slots[at(slot)].pieces.front().is_some_and(is_dcep)).then_some(slot)
    }

    /// Drops messages of the stream that have expired before they began: the first one if it has, else all such behind
    /// it. No TSN and no SSN is used up for them (RFC 3758 §4.1 TR3).
    pub(in crate::send) fn drop_expired(&mut self, now: Instant, slot: u32) -> Dropped {
        let stream = &self.slots[at(slot)];
        let first = stream.pieces.front().filter(|_| !stream.begun);
        if first.is_some_and(|piece| is_due(piece.kind.limit, now)) {
            self.drop_first(slot)
        } else {
            self.drop_expired_behind(now, slot)
        }
    }

    /// Drops the first message of the stream, of which nothing was sent.
    pub(in crate::send) fn drop_first(&mut self, slot: u32) -> Dropped {
        let bytes = self.drop_rest(slot);
        self.reschedule(slot);
        Dropped { messages: 1, bytes }
    }

    /// Drops what is left of the message that is partly sent. Gives what stands for its end on the wire, with this TSN,
    /// and the payload bytes dropped.
    ///
    /// Nothing but a TSN behind all of the message tells the peer that it ended.
    pub(in crate::send) fn abandon_rest(&mut self, slot: u32, tsn: u64) -> Option<(Chunk, usize)> {
        let kind = self.slots[at(slot)].pieces.front()?.kind;
        let bytes = self.drop_rest(slot);
        let chunk = self.slots[at(slot)].fragment(slot, Bytes::new(), kind, true, tsn);
        self.unschedule(slot);
        self.schedule(slot);
        Some((chunk, bytes))
    }

    /// Drops the messages that have not begun. One that has is kept to its end; if that has not come, it ends with what
    /// there is of it. The OPEN or ACK that comes first on its stream is kept too: the peer is to know what it is that
    /// ends. Gives the payload bytes dropped.
    pub(in crate::send) fn drop_unsent(&mut self, stream: StreamId) -> usize {
        let Some(&slot) = self.index.get(&stream) else { return 0 };
        let state = &mut self.slots[at(slot)];
        let keep = if state.begun {
            state.pieces.iter().position(|piece| piece.last).map_or(state.pieces.len(), |last| last + 1)
        } else {
            state.pieces.iter().take_while(|piece| piece.kind.ppid == Ppid::DCEP).count()
        };
        let dropped = state.pieces.split_off(keep);
        // What was given up is discarded to its end.
        let open = state.open.filter(|open| !open.discarded);
        match open {
            Some(_) if dropped.is_empty() => self.finish_open(slot),
            Some(open) => {
                state.open = None;
                self.forget_deadline(open.kind.limit, slot);
            }
            None => {}
        }
        let bytes = dropped.iter().map(|piece| self.forget(slot, piece)).sum();
        self.unbuffer(slot, bytes);
        self.reschedule(slot);
        bytes
    }

    /// The message of the stream that waits for its next part, if there is one.
    pub(in crate::send) fn open(&self, stream: StreamId) -> Option<Open> {
        let &slot = self.index.get(&stream)?;
        let state = &self.slots[at(slot)];
        let open = state.open?;
        // It is the last on its stream: it has begun if none ends before it.
        Some(Open { slot, begun: state.begun && state.ends == 0 && !open.discarded })
    }

    /// Drops what is queued of the message that waits for its next part, and waits no longer.
    pub(in crate::send) fn drop_open(&mut self, slot: u32) -> Dropped {
        let state = &mut self.slots[at(slot)];
        let mut dropped = Dropped::default();
        // Of one that was given up nothing is kept, and it was counted then.
        if let Some(open) = state.open.take().filter(|open| !open.discarded) {
            let keep = state.pieces.iter().rposition(|piece| piece.last).map_or(0, |last| last + 1);
            let pieces = state.pieces.split_off(keep);
            self.forget_deadline(open.kind.limit, slot);
            dropped.messages = 1;
            dropped.bytes = pieces.iter().map(|piece| self.forget(slot, piece)).sum();
            self.unbuffer(slot, dropped.bytes);
        }
        self.reschedule(slot);
        dropped
    }

    /// Drops all of the streams from `count` on: the peer does not have them. Gives the payload bytes dropped, and tells
    /// whose they were.
    pub(in crate::send) fn limit_streams(&mut self, count: u16) -> usize {
        let before = self.buffered;
        for (stream, slot) in self.index.split_off(&StreamId(count)) {
            self.unschedule(slot);
            let state = std::mem::replace(&mut self.slots[at(slot)], Stream::new(stream));
            if state.buffered > 0 {
                self.events.push_back(SenderEvent::NoSuchStream(stream));
            }
            self.buffered -= state.buffered;
            self.charged -= state.pieces.iter().map(|piece| charge(piece.data.len())).sum::<usize>();
            self.free.push(slot);
        }
        let slots = &self.slots;
        self.deadlines.retain(|&(_, slot), _| slots[at(slot)].id < StreamId(count));
        before - self.buffered
    }

    /// A timed message is queued.
    pub(super) fn note_deadline(&mut self, limit: Limit, slot: u32) {
        if let Some(deadline) = limit.deadline() {
            *self.deadlines.entry((deadline, slot)).or_default() += 1;
        }
    }

    /// It is sent whole, or dropped.
    pub(super) fn forget_deadline(&mut self, limit: Limit, slot: u32) {
        let Some(deadline) = limit.deadline() else { return };
        if let Entry::Occupied(mut entry) = self.deadlines.entry((deadline, slot)) {
            *entry.get_mut() -= 1;
            if *entry.get() == 0 {
                entry.remove();
            }
        }
    }

    fn drop_expired_behind(&mut self, now: Instant, slot: u32) -> Dropped {
        let pieces = std::mem::take(&mut self.slots[at(slot)].pieces);
        let (expired, kept): (VecDeque<Piece>, _) =
            pieces.into_iter().partition(|piece| is_due(piece.kind.limit, now));
        self.slots[at(slot)].pieces = kept;
        let mut dropped = Dropped::default();
        for piece in &expired {
            dropped.bytes += self.forget(slot, piece);
            dropped.messages += u64::from(piece.last);
        }
        if self.slots[at(slot)].open.is_some_and(|open| !open.discarded && is_due(open.kind.limit, now)) {
            self.discard_open(slot);
            dropped.messages += 1;
        }
        self.unbuffer(slot, dropped.bytes);
        self.reschedule(slot);
        dropped
    }

    /// Drops the first message of the stream, or what is left of it. Gives its payload bytes.
    fn drop_rest(&mut self, slot: u32) -> usize {
        let mut bytes = 0;
        loop {
            let Some(piece) = self.slots[at(slot)].pieces.pop_front() else {
                self.discard_open(slot);
                break;
            };
            bytes += self.forget(slot, &piece);
            if piece.last {
                break;
            }
        }
        self.unbuffer(slot, bytes);
        bytes
    }

    /// What is still to come of the open message is not kept.
    fn discard_open(&mut self, slot: u32) {
        if let Some(open) = &mut self.slots[at(slot)].open {
            open.discarded = true;
            let limit = open.kind.limit;
            self.forget_deadline(limit, slot);
        }
    }

    /// Takes a piece that is gone out of the books, but for the buffered amounts. Gives its payload bytes.
    fn forget(&mut self, slot: u32, piece: &Piece) -> usize {
        let len = piece.data.len();
        self.charged -= charge(len);
        if piece.last {
            self.slots[at(slot)].ends -= 1;
            self.forget_deadline(piece.kind.limit, slot);
        }
        len
    }
}

/// Whether what waits is dropped now: nobody sends it at its deadline.
fn is_due(limit: Limit, now: Instant) -> bool {
    limit.deadline().is_some_and(|deadline| deadline <= now)
}
