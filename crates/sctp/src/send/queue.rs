//! Messages that are not, or not wholly, on the wire yet (RFC 9260 §6.5, §6.9).

mod discard;
#[cfg(any(test, feature = "__fuzzing"))]
mod invariants;
mod stream;
mod turns;

use super::chunk::{Chunk, Format, Limit, charge};
use super::scheduler::Scheduler;
use super::{Reliability, SendError, SenderEvent};
use crate::number::{Mid, Ppid, StreamId};
use bytes::Bytes;
pub(super) use discard::Dropped;
use std::collections::{BTreeMap, VecDeque};
use std::time::Instant;
use stream::{DEFAULT_PRIORITY, Kind, OpenMessage, Piece, Stream};
use turns::Room;

/// The streams and what they have to send.
///
/// A message is a run of pieces, one per part that was handed in, and may be on its way before its last part has come.
/// Of a message without end so far, what would fit one fragment is held back: so there is always something left that
/// can carry the E bit. Fragments never span pieces, so that each is a slice of the application's buffer.
///
/// DATA wants the TSNs of a message in one run (RFC 9260 §3.3.1): once a message has begun, no other stream sends until it
/// ends. With I-DATA streams take turns by fragment, and of each stream one message at a time is on its way.
#[derive(Debug)]
pub(super) struct Queue {
    /// Streams in use; a stream's state lives at its slot.
    index: BTreeMap<StreamId, u32>,
    slots: Vec<Stream>,
    free: Vec<u32>,
    format: Format,
    /// Whether messages may be given up.
    limited: bool,
    scheduler: Scheduler,
    room: Room,
    /// How many messages of a stream that are not wholly sent expire when.
    deadlines: BTreeMap<(Instant, u32), usize>,
    /// Largest payload of a fragment.
    fragment: usize,
    high_water_mark: usize,
    /// Payload of all pieces.
    buffered: usize,
    /// What the pieces count for in the memory limit.
    charged: usize,
    /// Streams that were to be ended, and have nothing queued now.
    drained: VecDeque<StreamId>,
    events: VecDeque<SenderEvent>,
}

/// What could be sent next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Next {
    pub(super) slot: u32,
    /// How much of it may be taken at most.
    pub(super) available: usize,
    /// Whether all that is available ends a message.
    pub(super) last: bool,
}

/// What of a stream decides whether a part can be taken.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Standing {
    /// It is to be reset.
    pub(super) paused: bool,
    /// How long the message is so far that waits for its next part.
    pub(super) open_len: usize,
    /// That message was given up.
    pub(super) discarding: bool,
    /// Payload queued.
    pub(super) buffered: usize,
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
            format: Format::Data,
            limited: true,
            scheduler: Scheduler::default(),
            room: Room::default(),
            deadlines: BTreeMap::new(),
            fragment,
            high_water_mark,
            buffered: 0,
            charged: 0,
            drained: VecDeque::new(),
            events: VecDeque::new(),
        }
    }

    /// How messages travel is known now; what was queued before obeys it too.
    pub(super) fn start(&mut self, format: Format, limited: bool) {
        self.limited = limited;
        if !limited {
            self.deadlines.clear();
            for stream in &mut self.slots {
                let open = stream.open.iter_mut().map(|open| &mut open.kind);
                for kind in stream.pieces.iter_mut().map(|piece| &mut piece.kind).chain(open) {
                    kind.limit = Limit::None;
                }
            }
        }
        let mut order = Vec::new();
        while let Some(slot) = self.scheduler.first() {
            self.unschedule(slot);
            order.push(slot);
        }
        self.format = format;
        self.scheduler = Scheduler::default();
        for slot in order {
            self.schedule(slot);
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

    /// Where a stream stands for whoever hands in a part.
    pub(super) fn standing(&self, stream: StreamId) -> Standing {
        self.stream(stream).map_or_else(Standing::default, |stream| Standing {
            paused: stream.paused,
            open_len: stream.open.map_or(0, |open| open.len),
            discarding: stream.open.is_some_and(|open| open.discarded),
            buffered: stream.buffered,
        })
    }

    /// Queues a part. The first part of a message decides its kind. A part of a message that was given up is not kept.
    ///
    /// # Errors
    /// [`SendError::Empty`] for a part without data, unless it only ends a message that is open.
    pub(super) fn push(&mut self, now: Instant, part: Part) -> Result<(), SendError> {
        let slot = self.index.get(&part.stream).copied();
        let open = slot.and_then(|slot| self.slots[at(slot)].open);
        if part.data.is_empty() {
            return match (slot, open) {
                (Some(slot), Some(_)) => {
                    if part.last {
                        self.finish_open(slot);
                    }
                    Ok(())
                }
                _ => Err(SendError::Empty),
            };
        }
        let slot = slot.unwrap_or_else(|| self.slot(part.stream));
        let open = open.unwrap_or_else(|| self.begin_message(now, slot, &part));
        let Part { data, last, .. } = part;
        let len = data.len();
        let stream = &mut self.slots[at(slot)];
        stream.open = (!last).then(|| OpenMessage { len: open.len.saturating_add(len), ..open });
        if open.discarded {
            return Ok(());
        }
        let is_first_message = stream.ends == 0;
        stream.pieces.push_back(Piece { data, kind: open.kind, last });
        stream.ends += usize::from(last);
        stream.buffered += len;
        stream.above_mark |= stream.buffered >= self.high_water_mark;
        self.buffered += len;
        self.charged += charge(len);
        if is_first_message {
            self.lengthen(slot, len);
        }
        self.schedule(slot);
        Ok(())
    }

    /// What comes next. None while there is nothing, or while the message on its way waits for its next part.
    pub(super) fn next(&self) -> Option<Next> {
        let slot = self.scheduler.first()?;
        self.slots[at(slot)].next(slot, self.fragment)
    }

    /// Takes a fragment of `len` bytes, at most what is available, off the queue, to be sent with this TSN.
    pub(super) fn take(&mut self, next: Next, len: usize, tsn: u64) -> Option<Chunk> {
        let stream = &mut self.slots[at(next.slot)];
        // One that was thought to be a single fragment may be cut after all.
        let is_single = next.last && len >= next.available;
        let uncounted = self.format == Format::IData && stream.reserved == 0 && !is_single;
        let long = if uncounted { stream.long_message(len) } else { None };
        let piece = stream.pieces.front_mut()?;
        let before = piece.data.len();
        let data = if len < before { piece.data.split_to(len) } else { std::mem::take(&mut piece.data) };
        let (len, left, kind) = (data.len(), piece.data.len(), piece.kind);
        let end = left == 0 && piece.last;
        if left == 0 {
            stream.pieces.pop_front();
        }
        stream.ends -= usize::from(end);
        let chunk = stream.fragment(next.slot, data, kind, end, tsn);
        self.charged = self.charged - charge(before) + if left == 0 { 0 } else { charge(left) };
        self.unbuffer(next.slot, len);
        if end {
            self.forget_deadline(kind.limit, next.slot);
        } else if let Some(long) = long {
            self.reserve(next.slot, long);
        }
        self.finish_turn(next.slot, len, end);
        Some(chunk)
    }

    /// A chunk of the stream at `slot` was acknowledged by the cumulative TSN.
    pub(super) fn released(&mut self, slot: u32) {
        self.slots[at(slot)].outstanding -= 1;
    }

    /// No more messages come: [`poll_drained`](Self::poll_drained) tells once when there is nothing queued.
    pub(super) fn end(&mut self, stream: StreamId) {
        match self.index.get(&stream).map(|&slot| &mut self.slots[at(slot)]) {
            Some(state) if state.buffered > 0 => state.is_ending = true,
            _ => self.drained.push_back(stream),
        }
    }

    /// The next of the streams that were to be ended of which all is in packets, or dropped.
    pub(super) fn poll_drained(&mut self) -> Option<StreamId> {
        self.drained.pop_front()
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

    /// Whether it is too late to send the message that is next.
    pub(super) fn is_past(&self, now: Instant, next: Next) -> bool {
        let piece = self.slots[at(next.slot)].pieces.front();
        piece.is_some_and(|piece| piece.kind.limit.is_past(now))
    }

    /// TSN of the fragment sent last of the message that is partly sent.
    pub(super) fn last_tsn(&self, slot: u32) -> u64 {
        self.slots[at(slot)].last_tsn
    }

    /// The stream's weight: its share of what is sent, compared with those of others.
    pub(super) fn set_priority(&mut self, stream: StreamId, priority: u16) {
        let slot = self.slot(stream);
        self.slots[at(slot)].priority = priority;
    }

    /// Starts the stream anew: SSN 0, not paused (RFC 6525 §5.2.7 H4), of normal priority.
    ///
    /// RFC 8260 §2.3.2: "the two counters (one for the ordered messages, one for the unordered messages) used for the MIDs
    /// MUST be reset to 0."
    pub(super) fn reset(&mut self, stream: StreamId) {
        let Some(&slot) = self.index.get(&stream) else { return };
        let state = &mut self.slots[at(slot)];
        (state.ordered, state.unordered) = (Mid(0), Mid(0));
        state.paused = false;
        state.priority = DEFAULT_PRIORITY;
        if state.is_drained() {
            *state = Stream::new(stream);
            self.index.remove(&stream);
            self.free.push(slot);
        } else {
            self.reschedule(slot);
        }
    }

    /// Whether the stream is as at the start: nothing queued or outstanding, and nothing was sent.
    pub(super) fn is_as_new(&self, stream: StreamId) -> bool {
        self.stream(stream).is_none_or(Stream::is_as_new)
    }

    /// The streams that are not as new.
    pub(super) fn used_streams(&self) -> Vec<StreamId> {
        let used = self.index.iter().filter(|(_, slot)| !self.slots[at(**slot)].is_as_new());
        used.map(|(stream, _)| *stream).collect()
    }

    /// No more parts come: each message that waits for one ends with what there is.
    pub(super) fn end_open_messages(&mut self) {
        for slot in self.index.values().copied().collect::<Vec<_>>() {
            self.finish_open(slot);
        }
    }

    pub(super) fn set_low_threshold(&mut self, stream: StreamId, threshold: usize) {
        let slot = self.slot(stream);
        self.slots[at(slot)].low_threshold = threshold;
    }

    pub(super) fn buffered_amount(&self, stream: StreamId) -> usize {
        self.stream(stream).map_or(0, |stream| stream.buffered)
    }

    /// The streams that have payload queued, with how much.
    pub(super) fn buffered_amounts(&self) -> BTreeMap<StreamId, usize> {
        let amounts = self.index.iter().map(|(stream, slot)| (*stream, self.slots[at(*slot)].buffered));
        amounts.filter(|(_, buffered)| *buffered > 0).collect()
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
        // A queue that was long gives its memory back when it is empty.
        if stream.buffered == 0 && stream.pieces.capacity() > SPARE_PIECES {
            stream.pieces = VecDeque::new();
        }
        if stream.buffered == 0 && std::mem::take(&mut stream.is_ending) {
            self.drained.push_back(stream.id);
        }
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
        if stream.open.take().is_some_and(|open| !open.discarded) {
            if let Some(piece) = stream.pieces.back_mut() {
                piece.last = true;
                stream.ends += 1;
            }
            self.schedule(slot);
        }
    }

    fn begin_message(&mut self, now: Instant, slot: u32, part: &Part) -> OpenMessage {
        let mut kind = Kind::new(now, part);
        if !self.limited {
            kind.limit = Limit::None;
        }
        self.note_deadline(kind.limit, slot);
        OpenMessage { kind, len: 0, discarded: false }
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
                self.scheduler.forget(slot);
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

/// What an empty queue keeps room for.
const SPARE_PIECES: usize = 64;

fn at(slot: u32) -> usize {
    slot as usize
}

#[cfg(test)]
#[path = "tests/queue.rs"]
mod tests;
