//! Messages in order, per stream, until they are read (RFC 9260 §6.5, §6.6), and resets of the peer's streams
//! (RFC 6525 §5.2.2).

use super::reassembly::{Body, Complete};
use super::{CHUNK_OVERHEAD, Message, ReceiverEvent};
use crate::number::{Ppid, Ssn, StreamId};
use bytes::Bytes;
use std::collections::{BTreeMap, VecDeque};

/// The inboxes of all streams.
#[derive(Debug, Default)]
pub(super) struct Inboxes {
    /// Made when a stream is first used.
    streams: BTreeMap<StreamId, Stream>,
    /// Bytes held and their overhead: to read, ahead of their turn, or behind a reset.
    charge: usize,
    /// Messages to read.
    readable: usize,
    reset: Option<DeferredReset>,
    /// The last reset that was deferred and is performed: last TSN and streams.
    performed: Option<(u64, Vec<StreamId>)>,
    events: VecDeque<ReceiverEvent>,
}

/// What became of a request to reset streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reset {
    Done,
    Deferred,
    /// Another one is deferred.
    Busy,
}

/// A message came that breaks the order of its stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct OutOfOrder(pub(super) &'static str);

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
            && complete.first > reset.last
            && reset.covers(complete.stream)
        {
            // RFC 6525 §5.2.2 E2: "any data arriving with a TSN larger than the Sender's Last Assigned TSN for the
            // affected stream(s) MUST be queued locally and held until the cumulative acknowledgment point reaches
            // the Sender's Last Assigned TSN."
            reset.held.push(complete);
            return Ok(());
        }
        self.put_in_order(complete, cumulative)
    }

    /// The cumulative TSN moved: performs the reset that waited for it.
    pub(super) fn advance(&mut self, cumulative: u64) -> Result<(), OutOfOrder> {
        if self.reset.as_ref().is_some_and(|reset| reset.last <= cumulative)
            && let Some(reset) = self.reset.take()
        {
            self.performed = Some((reset.last, reset.streams.clone()));
            self.perform(reset, cumulative)?;
        }
        Ok(())
    }

    /// Resets the streams (none: all) once the cumulative TSN has reached `last`.
    pub(super) fn reset(
        &mut self,
        last: u64,
        streams: &[StreamId],
        cumulative: u64,
    ) -> Result<Reset, OutOfOrder> {
        let mut streams = streams.to_vec();
        streams.sort_unstable();
        streams.dedup();
        // A peer that was told "in progress" may ask again under a new number (libwebrtc does): it is the same reset.
        if let Some(reset) = &self.reset {
            let is_same = reset.last == last && reset.streams == streams;
            return Ok(if is_same { Reset::Deferred } else { Reset::Busy });
        }
        if self.performed.take().is_some_and(|performed| performed == (last, streams.clone())) {
            return Ok(Reset::Done);
        }
        let mut reset = DeferredReset { last, streams, held: Vec::new() };
        // What overtook the request.
        for (&id, stream) in &mut self.streams {
            if reset.covers(id) {
                let waiting = std::mem::take(&mut stream.waiting).into_iter();
                let (behind, before): (BTreeMap<_, _>, _) =
                    waiting.partition(|(_, complete)| complete.first > last);
                stream.waiting = before;
                reset.held.extend(behind.into_values());
            }
        }
        if last <= cumulative {
            self.perform(reset, cumulative)?;
            return Ok(Reset::Done);
        }
        self.reset = Some(reset);
        Ok(Reset::Deferred)
    }

    pub(super) fn is_resetting(&self) -> bool {
        self.reset.is_some()
    }

    /// The peer restarted: what can be read stays, everything else is as new.
    pub(super) fn restart(&mut self) {
        self.performed = None;
        let dropped = self.reset.take().into_iter().flat_map(|reset| reset.held);
        self.charge -= dropped.map(|complete| complete.body.charge()).sum::<usize>();
        for stream in self.streams.values_mut() {
            self.charge -= stream.start_anew();
        }
    }

    /// The next whole message, unless its beginning was read as a part.
    pub(super) fn take_message(&mut self, id: StreamId) -> Option<Message> {
        let stream = self.streams.get_mut(&id)?;
        if stream.inbox.front().is_some_and(|entry| entry.is_rest) {
            return None;
        }
        stream.reads_parts = false;
        let entry = stream.inbox.pop_front()?;
        self.charge -= charge(entry.data.len());
        self.readable -= 1;
        Some(Message { ppid: entry.ppid, data: entry.data })
    }

    /// The next message, or what is left of it. The application reads by parts from here on.
    pub(super) fn take_last_part(&mut self, id: StreamId) -> Option<Message> {
        let stream = self.streams.get_mut(&id)?;
        let entry = stream.inbox.pop_front()?;
        self.charge -= charge(entry.data.len());
        self.readable -= 1;
        Some(Message { ppid: entry.ppid, data: entry.data })
    }

    /// The application reads this stream by parts: it wants to hear of the beginning of a message.
    pub(super) fn set_reads_parts(&mut self, id: StreamId) {
        self.streams.entry(id).or_default().reads_parts = true;
    }

    pub(super) fn is_readable(&self, id: StreamId) -> bool {
        self.streams.get(&id).is_some_and(|stream| !stream.inbox.is_empty())
    }

    pub(super) fn next_ppid(&self, id: StreamId) -> Option<Ppid> {
        self.streams.get(&id)?.inbox.front().map(|entry| entry.ppid)
    }

    pub(super) fn reads_parts(&self, id: StreamId) -> bool {
        self.streams.get(&id).is_some_and(|stream| stream.reads_parts)
    }

    /// Whether a message with this SSN (none: unordered) is the next one of its stream.
    pub(super) fn is_next(&self, id: StreamId, ssn: Option<Ssn>) -> bool {
        let Some(ssn) = ssn else { return true };
        self.streams.get(&id).map_or(ssn == Ssn(0), |stream| stream.distance(ssn) == 0)
    }

    /// Part of a message can be read where nothing could be read before.
    pub(super) fn announce(&mut self, id: StreamId) {
        if let Some(stream) = self.streams.get_mut(&id) {
            stream.announce(id, &mut self.events);
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
    #[cfg(test)]
    pub(super) fn recount(&self) -> usize {
        let streams = self.streams.values().map(|stream| {
            let inbox: usize = stream.inbox.iter().map(|entry| charge(entry.data.len())).sum();
            inbox + stream.waiting.values().map(|complete| complete.body.charge()).sum::<usize>()
        });
        let held = self.reset.iter().flat_map(|reset| &reset.held).map(|complete| complete.body.charge());
        streams.sum::<usize>() + held.sum::<usize>()
    }

    fn put_in_order(&mut self, complete: Complete, cumulative: u64) -> Result<(), OutOfOrder> {
        let id = complete.stream;
        let stream = self.streams.entry(id).or_default();
        let was_readable = !stream.inbox.is_empty();
        let before = stream.inbox.len();
        match complete.ssn {
            None => stream.put(complete),
            Some(ssn) => match stream.distance(ssn) {
                // RFC 9260 §6.6: "Within a stream, an endpoint MUST deliver DATA chunks received with the U flag set to
                // 0 to the upper layer according to the order of their Stream Sequence Number."
                0 => stream.put_next(complete),
                distance => stream.put_ahead(distance, complete, cumulative)?,
            },
        }
        self.readable += stream.inbox.len() - before;
        if !was_readable && !stream.inbox.is_empty() {
            stream.announce(id, &mut self.events);
        }
        Ok(())
    }

    fn perform(&mut self, reset: DeferredReset, cumulative: u64) -> Result<(), OutOfOrder> {
        // RFC 6525 §5.2.2 E3: "If no stream numbers are listed in the parameter, then all incoming streams MUST be
        // reset to 0 as the next expected SSN."
        for (&id, stream) in &mut self.streams {
            if reset.covers(id) {
                self.charge -= stream.start_anew();
            }
        }
        let DeferredReset { streams, mut held, .. } = reset;
        self.events.push_back(ReceiverEvent::StreamsReset(streams));
        // E4: "Any queued TSNs (queued at step E2) MUST now be released and processed normally."
        held.sort_by_key(|complete| complete.first);
        held.into_iter().try_for_each(|complete| self.put_in_order(complete, cumulative))
    }
}

/// One stream of the peer's.
#[derive(Debug, Default)]
struct Stream {
    /// Messages of this stream that had their turn, unwrapped: the SSN expected next is its low half.
    next: u64,
    inbox: VecDeque<Entry>,
    /// Ordered messages ahead of their turn, by unwrapped SSN.
    waiting: BTreeMap<u64, Complete>,
    reads_parts: bool,
    /// A `Readable` event is queued.
    is_announced: bool,
}

/// What can be read.
#[derive(Debug)]
struct Entry {
    ppid: Ppid,
    data: Bytes,
    /// The beginning was read as parts.
    is_rest: bool,
}

impl Stream {
    /// How far ahead of its turn a message is. None is behind: SSNs of 65 536 different messages cannot be underway,
    /// for there are fewer TSNs in the acceptance window, so all distances are forward.
    fn distance(&self, ssn: Ssn) -> u16 {
        #[expect(clippy::cast_possible_truncation, reason = "the low half is what the wire carries")]
        ssn.0.wrapping_sub(self.next as u16)
    }

    fn put_next(&mut self, complete: Complete) {
        self.put(complete);
        self.next += 1;
        while let Some(complete) = self.waiting.remove(&self.next) {
            self.put(complete);
            self.next += 1;
        }
    }

    fn put_ahead(&mut self, distance: u16, complete: Complete, cumulative: u64) -> Result<(), OutOfOrder> {
        let distance = u64::from(distance);
        // Every message that is still to come has at least one TSN that is missing and lower.
        let missing = complete.first.saturating_sub(cumulative + 1);
        let waiting = u64::try_from(self.waiting.len()).unwrap_or(u64::MAX);
        if missing == 0 || distance > missing.saturating_add(waiting) {
            return Err(OutOfOrder("stream sequence number skipped"));
        }
        match self.waiting.insert(self.next + distance, complete) {
            None => Ok(()),
            Some(_) => Err(OutOfOrder("stream sequence number used twice")),
        }
    }

    fn put(&mut self, complete: Complete) {
        match complete.body {
            Body::Whole(data) => self.inbox.push_back(Entry { ppid: complete.ppid, data, is_rest: false }),
            // It is being read: ahead of what completed meanwhile.
            Body::Rest(data) => self.inbox.push_front(Entry { ppid: complete.ppid, data, is_rest: true }),
            Body::Discarded => {}
        }
    }

    /// Expects SSN 0 and forgets what waited for its turn. Answers its charge.
    fn start_anew(&mut self) -> usize {
        self.next = 0;
        self.reads_parts = false;
        std::mem::take(&mut self.waiting).into_values().map(|complete| complete.body.charge()).sum()
    }

    fn announce(&mut self, id: StreamId, events: &mut VecDeque<ReceiverEvent>) {
        if !self.is_announced {
            self.is_announced = true;
            events.push_back(ReceiverEvent::Readable(id));
        }
    }
}

/// A reset that waits for data before it.
#[derive(Debug)]
struct DeferredReset {
    /// The Sender's Last Assigned TSN.
    last: u64,
    /// Sorted; none: all.
    streams: Vec<StreamId>,
    /// Messages of these streams beyond `last`.
    held: Vec<Complete>,
}

impl DeferredReset {
    fn covers(&self, id: StreamId) -> bool {
        self.streams.is_empty() || self.streams.binary_search(&id).is_ok()
    }
}

impl Body {
    /// What it counts against the window.
    pub(super) fn charge(&self) -> usize {
        match self {
            Self::Whole(data) | Self::Rest(data) => charge(data.len()),
            Self::Discarded => 0,
        }
    }
}

fn charge(len: usize) -> usize {
    len + CHUNK_OVERHEAD
}
