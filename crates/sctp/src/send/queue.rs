//! Messages that are not, or not wholly, on the wire yet (RFC 9260 §6.5, §6.9).

use super::chunk::{Chunk, Limit, charge};
use super::scheduler::RoundRobin;
use super::{Reliability, SendError, SenderEvent};
use crate::number::{Ppid, Ssn, StreamId};
use bytes::Bytes;
use std::collections::{BTreeMap, VecDeque};
use std::time::Instant;

/// The streams and what they have to send.
///
/// A message is a run of pieces, one per part that was handed in, and may be on its way before its last part has come.
/// Of a message without end so far, what would fit one fragment is held back: so there is always something left that
/// can carry the E bit. Fragments never span pieces, so that each is a slice of the application's buffer.
///
/// RFC 9260 §3.3.1 wants the TSNs of a message in one run: once a message has begun, no other stream sends until it ends.
#[derive(Debug)]
pub(super) struct Queue {
    /// Streams in use; a stream's state lives at its slot.
    index: BTreeMap<StreamId, u32>,
    slots: Vec<Stream>,
    free: Vec<u32>,
    scheduler: RoundRobin,
    /// Largest payload of a fragment.
    fragment: usize,
    high_water_mark: usize,
    /// Payload of all pieces.
    buffered: usize,
    /// What the pieces count for in the memory limit.
    charged: usize,
    events: VecDeque<SenderEvent>,
}

#[derive(Debug)]
struct Stream {
    id: StreamId,
    pieces: VecDeque<Piece>,
    /// Of the next message; the one that is partly sent has it already.
    ssn: Ssn,
    /// The message whose last part has not come.
    open: Option<OpenMessage>,
    /// Whether a fragment of the first message was sent.
    begun: bool,
    paused: bool,
    /// Whether it is in the schedule: while a message is partly sent, or one may begin.
    scheduled: bool,
    /// Whether a send met the high-water mark since it was below.
    above_mark: bool,
    buffered: usize,
    low_threshold: usize,
    /// Its chunks that the cumulative TSN has not passed.
    outstanding: usize,
}

/// Bytes of one message that were handed in together, or what is left of them.
#[derive(Debug)]
struct Piece {
    data: Bytes,
    kind: Kind,
    last: bool,
}

/// What all fragments of a message have in common.
#[derive(Clone, Copy, Debug)]
struct Kind {
    limit: Limit,
    ppid: Ppid,
    unordered: bool,
}

#[derive(Clone, Copy, Debug)]
struct OpenMessage {
    kind: Kind,
    len: usize,
}

/// What could be sent next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Next {
    slot: u32,
    /// How much of it may be taken at most.
    pub(super) available: usize,
    /// Whether all that is available ends a message.
    pub(super) last: bool,
}

/// A part of a message as the application hands it in.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) stream: StreamId,
    pub(super) ppid: Ppid,
    pub(super) data: Bytes,
    pub(super) last: bool,
    pub(super) ordered: bool,
    pub(super) reliability: Reliability,
}

impl Queue {
    pub(super) fn new(high_water_mark: usize, fragment: usize) -> Self {
        Self {
            index: BTreeMap::new(),
            slots: Vec::new(),
            free: Vec::new(),
            scheduler: RoundRobin::default(),
            fragment,
            high_water_mark,
            buffered: 0,
            charged: 0,
            events: VecDeque::new(),
        }
    }

    /// Largest payload of a fragment.
    pub(super) fn fragment(&self) -> usize {
        self.fragment
    }

    /// Fragments are of this size from now on (RFC 9260 §6.9: those sent already stay as they are).
    pub(super) fn set_fragment(&mut self, fragment: usize) {
        self.fragment = fragment;
        for slot in self.index.values().copied().collect::<Vec<_>>() {
            self.reschedule(slot);
        }
    }

    /// Whether a message of the stream is open, and how long it is so far.
    pub(super) fn open_len(&self, stream: StreamId) -> Option<usize> {
        self.stream(stream)?.open.map(|open| open.len)
    }

    pub(super) fn is_paused(&self, stream: StreamId) -> bool {
        self.stream(stream).is_some_and(|stream| stream.paused)
    }

    /// Queues a part. The first part of a message decides its kind.
    ///
    /// # Errors
    /// [`SendError::Empty`] for a part without data, unless it only ends a message that is open.
    pub(super) fn push(&mut self, now: Instant, part: Part) -> Result<(), SendError> {
        let open = self.stream(part.stream).and_then(|stream| stream.open);
        if part.data.is_empty() {
            return match open {
                Some(_) if part.last => {
                    let slot = self.slot(part.stream);
                    self.finish_open(slot);
                    Ok(())
                }
                Some(_) => Ok(()),
                None => Err(SendError::Empty),
            };
        }
        let slot = self.slot(part.stream);
        let len = part.data.len();
        let kind = open.map_or_else(|| Kind::new(now, &part), |open| open.kind);
        let stream = &mut self.slots[at(slot)];
        stream.open = (!part.last)
            .then(|| OpenMessage { kind, len: open.map_or(0, |open| open.len).saturating_add(len) });
        stream.pieces.push_back(Piece { data: part.data, kind, last: part.last });
        stream.buffered += len;
        stream.above_mark |= stream.buffered >= self.high_water_mark;
        self.buffered += len;
        self.charged += charge(len);
        self.schedule(slot);
        Ok(())
    }

    /// What comes next. None while there is nothing, or while the message on its way waits for its next part.
    pub(super) fn next(&self) -> Option<Next> {
        let slot = self.scheduler.first()?;
        self.slots[at(slot)].next(slot, self.fragment)
    }

    /// Takes a fragment of `len` bytes, at most what is available, off the queue; its TSN is the caller's.
    pub(super) fn take(&mut self, next: Next, len: usize) -> Option<Chunk> {
        let stream = &mut self.slots[at(next.slot)];
        let piece = stream.pieces.front_mut()?;
        let before = piece.data.len();
        let data = if len < before { piece.data.split_to(len) } else { std::mem::take(&mut piece.data) };
        let (len, left, Kind { limit, ppid, unordered }) = (data.len(), piece.data.len(), piece.kind);
        let end = left == 0 && piece.last;
        if left == 0 {
            stream.pieces.pop_front();
        }
        let chunk = Chunk {
            data,
            limit,
            ppid,
            slot: next.slot,
            stream: stream.id,
            ssn: stream.ssn,
            begin: !stream.begun,
            end,
            unordered,
        };
        stream.begun = !end;
        stream.outstanding += 1;
        if end && !unordered {
            // RFC 9260 §6.5: "The Stream Sequence Number of an outgoing stream MUST be incremented by 1 for each ordered
            // user message sent on that outgoing stream." It wraps.
            stream.ssn = Ssn(stream.ssn.0.wrapping_add(1));
        }
        self.charged = self.charged - charge(before) + if left == 0 { 0 } else { charge(left) };
        self.unbuffer(next.slot, len);
        if end {
            let stream = &mut self.slots[at(next.slot)];
            stream.scheduled = stream.next(next.slot, self.fragment).is_some();
            self.scheduler.finish_first(stream.scheduled);
        }
        Some(chunk)
    }

    /// A chunk of the stream at `slot` was acknowledged by the cumulative TSN.
    pub(super) fn released(&mut self, slot: u32) {
        self.slots[at(slot)].outstanding -= 1;
    }

    /// New messages are held back; one that is partly sent goes on to its end.
    pub(super) fn pause(&mut self, stream: StreamId) {
        let slot = self.slot(stream);
        self.slots[at(slot)].paused = true;
        self.reschedule(slot);
    }

    pub(super) fn resume(&mut self, stream: StreamId) {
        if let Some(&slot) = self.index.get(&stream) {
            self.slots[at(slot)].paused = false;
            self.reschedule(slot);
        }
    }

    /// Starts the stream anew: SSN 0, not paused (RFC 6525 §5.2.7 H4).
    pub(super) fn reset(&mut self, stream: StreamId) {
        let Some(&slot) = self.index.get(&stream) else { return };
        let state = &mut self.slots[at(slot)];
        state.ssn = Ssn(0);
        state.paused = false;
        if state.is_drained() {
            self.index.remove(&stream);
            self.free.push(slot);
        } else {
            self.reschedule(slot);
        }
    }

    /// Drops the messages that have not begun. One that has is kept to its end; if that has not come, it ends with what
    /// there is of it. Gives the payload bytes dropped.
    pub(super) fn drop_unsent(&mut self, stream: StreamId) -> usize {
        let Some(&slot) = self.index.get(&stream) else { return 0 };
        let state = &mut self.slots[at(slot)];
        let keep = if state.begun {
            state.pieces.iter().position(|piece| piece.last).map_or(state.pieces.len(), |last| last + 1)
        } else {
            0
        };
        let dropped = state.pieces.split_off(keep);
        if dropped.is_empty() {
            self.finish_open(slot);
        } else {
            state.open = None;
        }
        let bytes = dropped.iter().map(|piece| piece.data.len()).sum();
        self.charged -= dropped.iter().map(|piece| charge(piece.data.len())).sum::<usize>();
        self.unbuffer(slot, bytes);
        self.reschedule(slot);
        bytes
    }

    /// Drops all of the streams from `count` on: the peer does not have them. Gives the payload bytes dropped, and tells
    /// whose they were.
    pub(super) fn limit_streams(&mut self, count: u16) -> usize {
        let before = self.buffered;
        for (stream, slot) in self.index.split_off(&StreamId(count)) {
            let state = &mut self.slots[at(slot)];
            if state.buffered > 0 {
                self.events.push_back(SenderEvent::NoSuchStream(stream));
            }
            self.buffered -= state.buffered;
            self.charged -= state.pieces.iter().map(|piece| charge(piece.data.len())).sum::<usize>();
            *state = Stream::new(stream);
            self.scheduler.remove(slot);
            self.free.push(slot);
        }
        before - self.buffered
    }

    pub(super) fn set_low_threshold(&mut self, stream: StreamId, threshold: usize) {
        let slot = self.slot(stream);
        self.slots[at(slot)].low_threshold = threshold;
    }

    pub(super) fn buffered_amount(&self, stream: StreamId) -> usize {
        self.stream(stream).map_or(0, |stream| stream.buffered)
    }

    /// Payload queued, all streams.
    pub(super) fn buffered(&self) -> usize {
        self.buffered
    }

    /// Payload queued with this protocol identifier, all streams. Looks at all there is.
    pub(super) fn buffered_of(&self, ppid: Ppid) -> usize {
        let pieces = self.index.values().flat_map(|&slot| &self.slots[at(slot)].pieces);
        pieces.filter(|piece| piece.kind.ppid == ppid).map(|piece| piece.data.len()).sum()
    }

    /// What is queued counts for so much in the memory limit.
    pub(super) fn charged(&self) -> usize {
        self.charged
    }

    pub(super) fn is_empty(&self) -> bool {
        self.buffered == 0
    }

    pub(super) fn push_event(&mut self, event: SenderEvent) {
        self.events.push_back(event);
    }

    pub(super) fn poll_event(&mut self) -> Option<SenderEvent> {
        self.events.pop_front()
    }

    /// Whether the stream is below the high-water mark.
    pub(super) fn is_writable(&self, stream: StreamId) -> bool {
        self.buffered_amount(stream) < self.high_water_mark
    }

    fn unbuffer(&mut self, slot: u32, bytes: usize) {
        self.buffered -= bytes;
        let stream = &mut self.slots[at(slot)];
        let before = stream.buffered;
        stream.buffered -= bytes;
        if before > stream.low_threshold && stream.buffered <= stream.low_threshold {
            self.events.push_back(SenderEvent::BufferedAmountLow(stream.id));
        }
        if stream.above_mark && stream.buffered < self.high_water_mark {
            stream.above_mark = false;
            self.events.push_back(SenderEvent::Writable(stream.id));
        }
    }

    /// The open message of the stream has all its parts.
    fn finish_open(&mut self, slot: u32) {
        let stream = &mut self.slots[at(slot)];
        if stream.open.take().is_some() {
            if let Some(piece) = stream.pieces.back_mut() {
                piece.last = true;
            }
            self.schedule(slot);
        }
    }

    /// The stream may have something to begin now.
    fn schedule(&mut self, slot: u32) {
        let stream = &mut self.slots[at(slot)];
        if !stream.scheduled && stream.next(slot, self.fragment).is_some() {
            stream.scheduled = true;
            self.scheduler.activate(slot);
        }
    }

    /// The same, or it may have nothing to begin any more.
    fn reschedule(&mut self, slot: u32) {
        let stream = &mut self.slots[at(slot)];
        if stream.scheduled && !stream.begun && stream.next(slot, self.fragment).is_none() {
            stream.scheduled = false;
            self.scheduler.remove(slot);
        }
        self.schedule(slot);
    }

    fn stream(&self, stream: StreamId) -> Option<&Stream> {
        self.index.get(&stream).map(|&slot| &self.slots[at(slot)])
    }

    /// The slot of the stream, which may be new.
    fn slot(&mut self, stream: StreamId) -> u32 {
        if let Some(&slot) = self.index.get(&stream) {
            return slot;
        }
        let slot = match self.free.pop() {
            Some(slot) => {
                self.slots[at(slot)] = Stream::new(stream);
                slot
            }
            None => {
                self.slots.push(Stream::new(stream));
                u32::try_from(self.slots.len() - 1).expect("there are 65536 streams at most")
            }
        };
        self.index.insert(stream, slot);
        slot
    }
}

impl Stream {
    fn new(id: StreamId) -> Self {
        Self {
            id,
            pieces: VecDeque::new(),
            // RFC 9260 §6.5: "The Stream Sequence Number in all the outgoing streams MUST start from 0"
            ssn: Ssn(0),
            open: None,
            begun: false,
            paused: false,
            scheduled: false,
            above_mark: false,
            buffered: 0,
            low_threshold: 0,
            outstanding: 0,
        }
    }

    fn next(&self, slot: u32, fragment: usize) -> Option<Next> {
        if self.paused && !self.begun {
            return None;
        }
        let piece = self.pieces.front()?;
        let len = piece.data.len();
        if piece.last || self.pieces.len() > 1 {
            Some(Next { slot, available: len, last: piece.last })
        } else {
            (len > fragment).then(|| Next { slot, available: len - 1, last: false })
        }
    }

    fn is_drained(&self) -> bool {
        self.pieces.is_empty() && self.outstanding == 0
    }
}

impl Kind {
    fn new(now: Instant, part: &Part) -> Self {
        let limit = match part.reliability {
            Reliability::Reliable => Limit::None,
            Reliability::MaxRetransmits(count) => Limit::Retransmits(count),
            Reliability::MaxLifetime(lifetime) => {
                now.checked_add(lifetime).map_or(Limit::None, Limit::Deadline)
            }
        };
        Self { limit, ppid: part.ppid, unordered: !part.ordered }
    }
}

fn at(slot: u32) -> usize {
    slot as usize
}

#[cfg(test)]
#[path = "tests/queue.rs"]
mod tests;
