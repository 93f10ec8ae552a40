//! The inboxes of all streams (RFC 9260 §6.5, §6.6), and resets of the peer's streams (RFC 6525 §5.2.2).

use super::message::{Body, Complete, GivenUp, Order};
use super::stream::{Entry, Kind, OutOfOrder, Progress, Stream};
use super::{Message, Part, ReceiverEvent};
use crate::number::{Ppid, StreamId};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// The inboxes of all streams.
#[derive(Debug, Default)]
pub(super) struct Inboxes {
    /// Made when a stream is first used.
    streams: BTreeMap<StreamId, Stream>,
    /// Streams that are read by parts: the application wants to hear of the beginning of a message.
    part_readers: BTreeSet<StreamId>,
    /// Bytes held and their overhead: to read, ahead of their turn, or behind a reset.
    charge: usize,
    /// Messages to read.
    readable: usize,
    /// The peer has given up messages.
    may_skip: bool,
    reset: Option<DeferredReset>,
    /// The last reset that was deferred and is performed: last TSN and streams.
    performed: Option<(u64, Vec<StreamId>)>,
    /// The highest TSN there was when a reset was taken that moved many messages, which lay beyond it.
    moved: u64,
    events: VecDeque<ReceiverEvent>,
}

/// What became of a request to reset streams.
#[derive(Debug)]
pub(super) enum Reset {
    /// It was performed before.
    Done,
    /// Everything before it has come.
    Due(DeferredReset),
    Deferred,
    /// Another one is deferred.
    Busy,
    /// It would move what was moved before.
    Excessive,
}

impl Inboxes {
    pub(super) fn charge(&self) -> usize {
        self.charge
    }

    /// Whether the application could free something by reading whole messages.
    pub(super) fn has_messages(&self) -> bool {
        self.readable > 0
    }

    /// Takes a complete message. `cumulative` is the cumulative TSN with it.
    pub(super) fn deliver(&mut self, complete: Complete, cumulative: u64) -> Result<(), OutOfOrder> {
        self.charge += complete.body.charge();
        if let Some(reset) = &mut self.reset
            && reset.precedes(complete.stream, complete.first)
        {
            // RFC 6525 §5.2.2 E2: "any data arriving with a TSN larger than the Sender's Last Assigned TSN for the
            // affected stream(s) MUST be queued locally and held until the cumulative acknowledgment point reaches
            // the Sender's Last Assigned TSN."
            reset.held.push(complete);
            return Ok(());
        }
        self.put_in_order(complete, cumulative)
    }

    /// The peer has given up messages: from here on a message may wait for one that never comes.
    pub(super) fn allow_skips(&mut self) {
        self.may_skip = true;
    }

    /// Whether a message whose turn has passed is no violation.
    pub(super) fn may_skip(&self) -> bool {
        self.may_skip
    }

    /// No ordered message of this stream up to this one is to come any more.
    pub(super) fn skip(&mut self, id: StreamId, order: Order) {
        let next = self.next(id);
        let Some(distance) = order.distance(next) else { return };
        // One that had its turn long ago: the peer has not seen our SACK, or counts wrongly.
        if !order.is_behind(distance) {
            let gone = self.change(id, |stream| stream.skip_to(next + distance + 1));
            self.charge -= gone;
        }
    }

    /// The rest of the message that is being read on a stream will not come.
    pub(super) fn abandon(&mut self, given_up: &GivenUp) {
        self.charge += Body::Abandoned.charge();
        self.change(given_up.stream, |stream| stream.abandon(given_up.ppid));
    }

    /// Handles a request to reset streams (none: all) once the cumulative TSN has reached `last`. `highest` is the highest
    /// TSN there is, `incomplete` counts the incomplete messages that the reset would move.
    pub(super) fn reset(
        &mut self,
        last: u64,
        streams: &[StreamId],
        cumulative: u64,
        highest: u64,
        incomplete: impl FnOnce(&DeferredReset) -> usize,
    ) -> Reset {
        let mut streams = streams.to_vec();
        streams.sort_unstable();
        streams.dedup();
        // A peer that was told "in progress" may ask again under a new number (libwebrtc does): it is the same reset.
        if let Some(reset) = &self.reset {
            let is_same = reset.last == last && reset.streams == streams;
            return if is_same { Reset::Deferred } else { Reset::Busy };
        }
        if self.performed.take().is_some_and(|performed| performed == (last, streams.clone())) {
            return Reset::Done;
        }
        let mut reset = DeferredReset { last, streams, held: Vec::new() };
        let covered = self.covered(&reset);
        let incomplete = incomplete(&reset);
        // RFC 6525 §5.1.1: "there MUST NOT be more than one request in flight": all that had come when one was taken was
        // sent before the next one was made, and lies before that. So it is moved once, and delivered then. A peer that
        // says otherwise would have very many messages moved by each small request.
        if last < self.moved && self.waiting(&covered) + incomplete > MAX_MOVED_AGAIN {
            return Reset::Excessive;
        }
        // What overtook the request.
        for id in covered {
            if let Some(stream) = self.streams.get_mut(&id) {
                reset.held.extend(stream.take_beyond(last));
            }
        }
        if reset.held.len() + incomplete > MAX_MOVED_AGAIN {
            self.moved = highest;
        }
        if last <= cumulative {
            return Reset::Due(reset);
        }
        self.reset = Some(reset);
        Reset::Deferred
    }

    /// The reset that waited for the cumulative TSN, if it need not wait any longer.
    pub(super) fn take_due_reset(&mut self, cumulative: u64) -> Option<DeferredReset> {
        if self.reset.as_ref()?.last > cumulative {
            return None;
        }
        let reset = self.reset.take()?;
        self.performed = Some((reset.last, reset.streams.clone()));
        Some(reset)
    }

    /// Resets the streams. What still waits on them for its turn is delivered before: nothing else is to come.
    pub(super) fn perform(&mut self, reset: DeferredReset, cumulative: u64) -> Result<(), OutOfOrder> {
        // RFC 6525 §5.2.2 E3: "If no stream numbers are listed in the parameter, then all incoming streams MUST be
        // reset to 0 as the next expected SSN."
        for id in self.covered(&reset) {
            self.part_readers.remove(&id);
            let gone = self.change(id, Stream::reset);
            self.charge -= gone;
            // It costs nothing until it is used again, and neither does the next reset of it.
            if self.streams.get(&id).is_some_and(Stream::is_as_new) {
                self.streams.remove(&id);
            }
        }
        let DeferredReset { streams, mut held, .. } = reset;
        self.events.push_back(ReceiverEvent::StreamsReset(streams));
        // E4: "Any queued TSNs (queued at step E2) MUST now be released and processed normally."
        held.sort_by_key(|complete| complete.first);
        let mut held = held.into_iter();
        let released = held.try_for_each(|complete| self.put_in_order(complete, cumulative));
        // Behind a violation nothing more is taken.
        self.charge -= held.map(|complete| complete.body.charge()).sum::<usize>();
        released
    }

    pub(super) fn deferred_reset(&self) -> Option<&DeferredReset> {
        self.reset.as_ref()
    }

    /// Whether a chunk belongs to what comes behind a deferred reset of its stream.
    pub(super) fn is_beyond_reset(&self, id: StreamId, tsn: u64) -> bool {
        self.reset.as_ref().is_some_and(|reset| reset.precedes(id, tsn))
    }

    /// The peer restarted: what can be read stays, everything else is as new.
    pub(super) fn restart(&mut self) {
        self.performed = None;
        self.moved = 0;
        self.may_skip = false;
        self.part_readers.clear();
        let dropped = self.reset.take().into_iter().flat_map(|reset| reset.held);
        self.charge -= dropped.map(|complete| complete.body.charge()).sum::<usize>();
        for stream in self.streams.values_mut() {
            self.charge -= stream.start_anew();
        }
    }

    /// The next whole message, unless its beginning was read as a part.
    pub(super) fn take_message(&mut self, id: StreamId) -> Option<Message> {
        let stream = self.streams.get_mut(&id)?;
        if stream.has_rest() {
            return None;
        }
        self.part_readers.remove(&id);
        let entry = stream.pop()?;
        self.note_taken(&entry);
        Some(Message { ppid: entry.ppid, data: entry.data })
    }

    /// The next message, or what is left of it. The application reads by parts from here on.
    pub(super) fn take_last_part(&mut self, id: StreamId) -> Option<Part> {
        let entry = self.streams.get_mut(&id)?.pop()?;
        self.note_taken(&entry);
        let abandoned = entry.kind == Kind::Abandoned;
        Some(Part { ppid: entry.ppid, data: entry.data, last: true, abandoned })
    }

    /// The application reads this stream by parts.
    pub(super) fn set_reads_parts(&mut self, id: StreamId) {
        self.streams.entry(id).or_default();
        self.part_readers.insert(id);
    }

    /// The application does not read this stream by parts any more.
    pub(super) fn set_reads_whole(&mut self, id: StreamId) {
        self.part_readers.remove(&id);
    }

    /// Whether the next message was read in part, and its rest is here.
    pub(super) fn has_rest(&self, id: StreamId) -> bool {
        self.streams.get(&id).is_some_and(Stream::has_rest)
    }

    pub(super) fn is_readable(&self, id: StreamId) -> bool {
        self.streams.get(&id).is_some_and(|stream| !stream.inbox.is_empty())
    }

    pub(super) fn next_ppid(&self, id: StreamId) -> Option<Ppid> {
        self.streams.get(&id)?.inbox.front().map(|entry| entry.ppid)
    }

    pub(super) fn reads_parts(&self, id: StreamId) -> bool {
        self.part_readers.contains(&id)
    }

    pub(super) fn part_readers(&self) -> impl Iterator<Item = StreamId> {
        self.part_readers.iter().copied()
    }

    /// The number, unwrapped, of the ordered message whose turn it is.
    pub(super) fn next(&self, id: StreamId) -> u64 {
        self.streams.get(&id).map_or(0, |stream| stream.next)
    }

    /// Whether a message that stands there is the next one of its stream.
    pub(super) fn is_next(&self, id: StreamId, order: Order) -> bool {
        order.distance(self.next(id)).is_none_or(|distance| distance == 0)
    }

    /// Whether the ordered message with this number, unwrapped, is complete and waits for its turn.
    pub(super) fn is_waiting(&self, id: StreamId, position: u64) -> bool {
        self.streams.get(&id).is_some_and(|stream| stream.is_waiting(position))
    }

    /// Part of a message can be read where nothing could be read before.
    pub(super) fn announce(&mut self, id: StreamId) {
        if let Some(stream) = self.streams.get_mut(&id) {
            announce(id, stream, &mut self.events);
        }
    }

    pub(super) fn poll_event(&mut self) -> Option<ReceiverEvent> {
        let event = self.events.pop_front()?;
        if let ReceiverEvent::Readable(id) = &event
            && let Some(stream) = self.streams.get_mut(id)
        {
            stream.is_announced = false;
        }
        Some(event)
    }

    /// What `charge` must be.
    #[cfg(any(test, feature = "__fuzzing"))]
    pub(super) fn recount(&self) -> usize {
        let held = self.reset.iter().flat_map(|reset| &reset.held).map(|complete| complete.body.charge());
        self.streams.values().map(Stream::recount).sum::<usize>() + held.sum::<usize>()
    }

    /// The streams in use that a reset is about. Looks at those that it lists only, for there may be very many in use.
    fn covered(&self, reset: &DeferredReset) -> Vec<StreamId> {
        if reset.streams.is_empty() {
            return self.streams.keys().copied().collect();
        }
        reset.streams.iter().copied().filter(|id| self.streams.contains_key(id)).collect()
    }

    /// How many messages wait for their turn on these streams.
    fn waiting(&self, streams: &[StreamId]) -> usize {
        streams.iter().filter_map(|id| self.streams.get(id)).map(Stream::waiting).sum()
    }

    fn put_in_order(&mut self, complete: Complete, cumulative: u64) -> Result<(), OutOfOrder> {
        let progress = Progress { cumulative, may_skip: self.may_skip };
        let charge = complete.body.charge();
        let gone = self.change(complete.stream, |stream| stream.put_in_order(complete, progress));
        self.charge -= gone.unwrap_or(charge);
        gone.map(|_| ())
    }

    fn note_taken(&mut self, entry: &Entry) {
        self.charge -= entry.charge();
        self.readable -= 1;
    }

    /// Changes a stream in a way that only adds to what can be read.
    fn change<R>(&mut self, id: StreamId, change: impl FnOnce(&mut Stream) -> R) -> R {
        let stream = self.streams.entry(id).or_default();
        let (before, had_rest) = (stream.inbox.len(), stream.has_rest());
        let result = change(stream);
        self.readable += stream.inbox.len() - before;
        // What came behind a message that is being read was told of, but could not be read.
        let was_readable = before > 0 && (had_rest || !stream.has_rest());
        if !was_readable && !stream.inbox.is_empty() {
            announce(id, stream, &mut self.events);
        }
        result
    }
}

/// A reset that waits for data before it.
#[derive(Debug)]
pub(super) struct DeferredReset {
    /// The Sender's Last Assigned TSN.
    pub(super) last: u64,
    /// Sorted; none: all.
    streams: Vec<StreamId>,
    /// Messages of these streams beyond `last`.
    held: Vec<Complete>,
}

impl DeferredReset {
    pub(super) fn covers(&self, id: StreamId) -> bool {
        self.streams.is_empty() || self.streams.binary_search(&id).is_ok()
    }

    /// The streams it lists, sorted; none: it covers all.
    pub(super) fn listed(&self) -> &[StreamId] {
        &self.streams
    }

    /// Whether a chunk with this TSN comes behind the reset of its stream.
    pub(super) fn precedes(&self, id: StreamId, tsn: u64) -> bool {
        tsn > self.last && self.covers(id)
    }
}

fn announce(id: StreamId, stream: &mut Stream, events: &mut VecDeque<ReceiverEvent>) {
    if !stream.is_announced {
        stream.is_announced = true;
        events.push_back(ReceiverEvent::Readable(id));
    }
}

/// So many messages may be moved by one reset after the other.
const MAX_MOVED_AGAIN: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::number::Ssn;

    fn message(first: u64, stream: u16, ssn: u16) -> Complete {
        let order = Order::Ssn(Ssn(ssn));
        let body = Body::Whole(bytes::Bytes::from_static(b"x"));
        Complete { first, stream: StreamId(stream), order, ppid: Ppid::BINARY, body }
    }

    /// However many there were: a stream that was reset and read costs nothing, and later resets do not look at it.
    #[test]
    fn streams_that_were_reset_are_forgotten() {
        let mut inboxes = Inboxes::default();
        for stream in 0..100 {
            inboxes.deliver(message(stream.into(), stream, 0), stream.into()).unwrap();
            assert!(inboxes.poll_event().is_some());
            // One is read too late.
            assert!(stream == 7 || inboxes.take_message(StreamId(stream)).is_some());
        }
        let Reset::Due(reset) = inboxes.reset(99, &[StreamId(3), StreamId(300)], 99, 99, |_| 0) else {
            panic!()
        };
        inboxes.perform(reset, 99).unwrap();
        assert_eq!(inboxes.streams.len(), 99);
        let Reset::Due(reset) = inboxes.reset(99, &[], 99, 99, |_| 0) else { panic!() };
        inboxes.perform(reset, 99).unwrap();
        assert_eq!(inboxes.streams.keys().copied().collect::<Vec<_>>(), [StreamId(7)]);
        assert!(inboxes.take_message(StreamId(7)).is_some());
    }

    #[test]
    fn a_long_inbox_gives_its_memory_back() {
        let mut inboxes = Inboxes::default();
        for n in 0..1000 {
            inboxes.deliver(message(n.into(), 1, n), n.into()).unwrap();
        }
        while inboxes.take_message(StreamId(1)).is_some() {}
        assert_eq!((inboxes.streams[&StreamId(1)].inbox.capacity(), inboxes.charge()), (0, 0));
    }
}
