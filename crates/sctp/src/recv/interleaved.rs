//! Fragments of I-DATA become messages (RFC 8260 §2.2.3).
//!
//! "the receiver MUST first use the SID to identify the stream, consider the U bit to determine if it is part of an
//! ordered or unordered message, find the user message identified by the MID, and use the FSN for reassembly of the
//! message and not the TSN." Many messages may be incomplete in sequence, so they are bounded in number.

use super::Part;
use super::message::{Complete, GivenUp, Inserted, Limits, Order, Refusal, require};
use super::partial::{Fragment, Partial};
use crate::number::{Mid, Ppid, StreamId, Unwrapper};
use crate::wire::{self, IData};
use std::collections::BTreeMap;

/// What is held of messages that are not complete.
#[derive(Debug)]
pub(super) struct Interleaved {
    now: Sequences,
    /// Of streams whose reset is deferred: messages beyond it. Their numbers begin at 0 again.
    later: Sequences,
    /// Bytes and overhead held.
    charge: usize,
    limits: Limits,
    /// Size of the last message that was made of fragments: the next one is likely as large.
    likely_size: usize,
}

/// Messages between two resets of their streams.
#[derive(Debug, Default)]
struct Sequences {
    /// Boxed, or each node of the map, of which there is one while a single message is incomplete, has room for eleven.
    partials: BTreeMap<Key, Box<Partial>>,
    /// Streams that had fragments of unordered messages, or skipped some.
    unordered: BTreeMap<StreamId, Unordered>,
    /// The message of a stream that is half read.
    reading: BTreeMap<StreamId, Key>,
}

/// Names a message. `position` is its Message Identifier, unwrapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    stream: StreamId,
    unordered: bool,
    position: u64,
}

/// Where a fragment belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    key: Key,
    is_later: bool,
}

/// The numbers of a stream's unordered messages.
#[derive(Clone, Copy, Debug)]
struct Unordered {
    unwrapper: Unwrapper,
    /// All before this one were skipped or are complete.
    floor: u64,
}

impl Interleaved {
    pub(super) fn new(limits: Limits) -> Self {
        Self { now: Sequences::default(), later: Sequences::default(), charge: 0, limits, likely_size: 0 }
    }

    /// Bytes held and their overhead.
    pub(super) fn charge(&self) -> usize {
        self.charge
    }

    /// Where a chunk belongs; None: to a message that was skipped, or had its turn. `next` is the position whose turn
    /// it is among the ordered messages; `is_later` tells that the chunk lies beyond a deferred reset.
    pub(super) fn locate(&self, data: &IData<'_>, next: u64, is_later: bool) -> Option<Place> {
        let stream = data.stream;
        let position = if data.unordered {
            let numbers = self.sequences(is_later).unordered.get(&stream).copied().unwrap_or_default();
            let position = numbers.unwrapper.peek(data.mid.0);
            (position >= numbers.floor).then_some(position)
        } else {
            ahead(data.mid, next)
        };
        let key = Key { stream, unordered: data.unordered, position: position? };
        Some(Place { key, is_later })
    }

    /// Whether a chunk fits what arrived before it. `is_in_sequence`: its TSN is the next one.
    pub(super) fn check(&self, place: Place, data: &IData<'_>, is_in_sequence: bool) -> Result<(), Refusal> {
        let is_zero = matches!(data.fragment, wire::Fragment::Later(0));
        // RFC 8260 §2.2.2: "The first fragment MUST have the B bit set."
        require(!is_zero, "first fragment without the B bit")?;
        match self.sequences(place.is_later).partials.get(&place.key) {
            Some(partial) => partial.check(&fragment(0, data)),
            None if is_whole(data) => Ok(()),
            None => self.check_number(place.key.stream, is_in_sequence),
        }
    }

    /// Takes a chunk that `check` let pass.
    pub(super) fn insert(&mut self, place: Place, tsn: u64, data: &IData<'_>) -> Inserted {
        let Place { key, is_later } = place;
        if let (true, wire::Fragment::First(ppid)) = (data.end, data.fragment) {
            return self.insert_whole(tsn, data, ppid);
        }
        self.sequences_mut(is_later).note(key);
        let limits = self.limits;
        // Room for a whole message is made for one alone, since it is not charged.
        let capacity = if self.is_idle() { self.likely_size } else { 0 };
        let partials = &mut self.sequences_mut(is_later).partials;
        let mut added = 0;
        let partial = partials.entry(key).or_insert_with(|| {
            let partial = Box::new(Partial::new(tsn, capacity));
            added = partial.charge();
            partial
        });
        let before = partial.charge() - added;
        let excess = partial.insert(&fragment(tsn, data), &limits);
        let (after, is_complete) = (partial.charge(), partial.is_complete());
        self.charge = self.charge - before + after;
        let complete = if is_complete { self.finish(place) } else { None };
        Inserted { complete, excess }
    }

    /// Takes a message of one chunk, which needs no check if nothing is incomplete.
    pub(super) fn insert_whole(&mut self, tsn: u64, data: &IData<'_>, ppid: Ppid) -> Inserted {
        let order = if data.unordered { Order::Unordered } else { Order::Mid(data.mid) };
        if data.unordered
            && let Some(numbers) = self.now.unordered.get_mut(&data.stream)
        {
            numbers.unwrapper.note(numbers.unwrapper.peek(data.mid.0));
        }
        Inserted::single(tsn, (data.stream, order, ppid), data.payload, &self.limits)
    }

    /// Whether no message is incomplete.
    pub(super) fn is_idle(&self) -> bool {
        self.now.partials.is_empty() && self.later.partials.is_empty()
    }

    /// The peer gave up all ordered, or all unordered, messages of the stream up to this one. `next` is the position
    /// whose turn it is among the ordered ones. Answers with a message that was half read.
    pub(super) fn skip(&mut self, stream: StreamId, unordered: bool, mid: Mid, next: u64) -> Option<GivenUp> {
        let position = if unordered {
            let numbers = self.now.unordered.entry(stream).or_default();
            let position = numbers.unwrapper.peek(mid.0);
            numbers.unwrapper.note(position);
            numbers.floor = numbers.floor.max(position.saturating_add(1));
            position
        } else {
            ahead(mid, next)?
        };
        let first = Key { stream, unordered, position: 0 };
        let skipped: Vec<Key> =
            self.now.partials.range(first..=Key { position, ..first }).map(|(key, _)| *key).collect();
        let mut half_read = None;
        for key in skipped {
            half_read = self.give_up(key).or(half_read);
        }
        half_read
    }

    /// How many messages `defer` would move.
    pub(super) fn count_beyond(
        &self,
        streams: &[StreamId],
        is_beyond: impl Fn(StreamId, u64) -> bool,
    ) -> usize {
        self.now.keys_beyond(streams, is_beyond).len()
    }

    /// What lies beyond a reset that has to wait belongs to the next sequence of its stream.
    pub(super) fn defer(&mut self, streams: &[StreamId], is_beyond: impl Fn(StreamId, u64) -> bool) {
        for key in self.now.keys_beyond(streams, is_beyond) {
            if let Some(partial) = self.now.partials.remove(&key) {
                self.now.forget_reading(key);
                let key = key.renumbered();
                self.later.note(key);
                self.later.partials.insert(key, partial);
            }
        }
    }

    /// The streams were reset: their messages are given up, and those beyond the reset have their turn. Answers with
    /// what was half read. No streams: all.
    ///
    /// RFC 8260 §2.3.2: "the two counters (one for the ordered messages, one for the unordered messages) used for the
    /// MIDs MUST be reset to 0."
    pub(super) fn reset(&mut self, streams: &[StreamId]) -> Vec<GivenUp> {
        let old = self.now.keys_of(streams);
        let given_up = old.into_iter().filter_map(|key| self.give_up(key)).collect();
        if streams.is_empty() {
            self.now.unordered.clear();
        }
        for stream in streams {
            self.now.unordered.remove(stream);
        }
        let Sequences { partials, unordered, .. } = std::mem::take(&mut self.later);
        let half_read = partials.iter().filter(|(_, partial)| partial.is_half_read);
        self.now.reading.extend(half_read.map(|(key, _)| (key.stream, *key)));
        // One by one: `append` would rebuild what is there, which may be very much more.
        self.now.partials.extend(partials);
        self.now.unordered.extend(unordered);
        given_up
    }

    /// Gives up everything; answers with what was half read.
    pub(super) fn clear(&mut self) -> Vec<GivenUp> {
        let Sequences { partials, .. } = std::mem::take(&mut self.later);
        self.charge -= partials.values().map(|partial| partial.charge()).sum::<usize>();
        self.reset(&[])
    }

    pub(super) fn is_half_read(&self, stream: StreamId) -> bool {
        self.now.reading.contains_key(&stream)
    }

    /// Of the message of which a part can be read before it is complete, if the stream has one.
    pub(super) fn readable_ppid(&self, stream: StreamId, next: u64) -> Option<Ppid> {
        let key = self.readable(stream, next)?;
        self.now.partials.get(&key).map(|partial| partial.ppid)
    }

    /// Takes the next piece of the message that can be read.
    pub(super) fn take_part(&mut self, stream: StreamId, next: u64) -> Option<Part> {
        let key = self.readable(stream, next)?;
        let partial = self.now.partials.get_mut(&key)?;
        self.now.reading.insert(stream, key);
        self.charge -= partial.charge();
        let data = partial.take_piece();
        self.charge += partial.charge();
        Some(Part { ppid: partial.ppid, data, last: false, abandoned: false })
    }

    /// Nobody reads the half-read message of this stream any more: it is discarded to its end. Answers with its protocol.
    pub(super) fn let_go(&mut self, stream: StreamId) -> Option<Ppid> {
        let key = self.now.reading.remove(&stream)?;
        let partial = self.now.partials.get_mut(&key)?;
        self.charge -= partial.charge();
        partial.let_go();
        self.charge += partial.charge();
        Some(partial.ppid)
    }

    /// What `charge` must be.
    #[cfg(any(test, feature = "__fuzzing"))]
    pub(super) fn recount(&self) -> usize {
        self.now.partials.values().chain(self.later.partials.values()).map(|partial| partial.recount()).sum()
    }

    /// Whoever is half read is read on; else the ordered message whose turn it is, or the first unordered one.
    fn readable(&self, stream: StreamId, next: u64) -> Option<Key> {
        let partials = &self.now.partials;
        let is_readable = |key: &Key| partials.get(key).is_some_and(|partial| partial.is_readable());
        if let Some(&reading) = self.now.reading.get(&stream) {
            return Some(reading).filter(is_readable);
        }
        let ordered = Key { stream, unordered: false, position: next };
        let first = Key { stream, unordered: true, position: 0 };
        let unordered = || {
            let mut all = partials.range(first..=Key { position: u64::MAX, ..first });
            all.find(|(_, partial)| partial.is_readable()).map(|(key, _)| *key)
        };
        Some(ordered).filter(is_readable).or_else(unordered)
    }

    /// Whether one more message may begin. One whose turn it is by its TSN may take the reserve above the limits, for
    /// of a peer that keeps the rules ("The sender MUST NOT process […] more than one user message in any given stream
    /// at any time", RFC 8260 §2.2.2) few can be incomplete in sequence, however many wait for what was lost.
    fn check_number(&self, stream: StreamId, is_in_sequence: bool) -> Result<(), Refusal> {
        let Limits { incomplete, incomplete_per_stream, .. } = self.limits;
        let (factor, refusal) =
            if is_in_sequence { (2, Refusal::OutOfResource) } else { (1, Refusal::TooManyIncomplete) };
        let total = self.now.partials.len() + self.later.partials.len();
        if total >= incomplete.saturating_mul(factor) {
            return Err(refusal);
        }
        let per_stream = incomplete_per_stream.saturating_mul(factor);
        if total >= per_stream && self.now.count(stream) + self.later.count(stream) >= per_stream {
            return Err(refusal);
        }
        Ok(())
    }

    fn finish(&mut self, Place { key, is_later }: Place) -> Option<Complete> {
        let sequences = self.sequences_mut(is_later);
        let partial = sequences.partials.remove(&key)?;
        sequences.forget_reading(key);
        self.charge -= partial.charge();
        self.likely_size = partial.whole_size().unwrap_or(self.likely_size);
        let (first, ppid) = (partial.first, partial.ppid);
        Some(Complete { first, stream: key.stream, order: order(key), ppid, body: partial.into_body() })
    }

    /// Answers if it was half read.
    fn give_up(&mut self, key: Key) -> Option<GivenUp> {
        let partial = self.now.partials.remove(&key)?;
        self.charge -= partial.charge();
        self.now.forget_reading(key);
        let Partial { first, ppid, is_half_read, .. } = *partial;
        is_half_read.then_some(GivenUp { first, stream: key.stream, order: order(key), ppid, is_half_read })
    }

    fn sequences(&self, is_later: bool) -> &Sequences {
        if is_later { &self.later } else { &self.now }
    }

    fn sequences_mut(&mut self, is_later: bool) -> &mut Sequences {
        if is_later { &mut self.later } else { &mut self.now }
    }
}

impl Place {
    /// The position of an ordered message.
    pub(super) fn ordered(self) -> Option<u64> {
        (!self.key.unordered).then_some(self.key.position)
    }
}

impl Sequences {
    fn count(&self, stream: StreamId) -> usize {
        self.keys_in(stream).count()
    }

    /// The incomplete messages of these streams; no streams: of all.
    fn keys_of(&self, streams: &[StreamId]) -> Vec<Key> {
        if streams.is_empty() {
            return self.partials.keys().copied().collect();
        }
        streams.iter().flat_map(|stream| self.keys_in(*stream)).collect()
    }

    /// Those of them that begin beyond something.
    fn keys_beyond(&self, streams: &[StreamId], is_beyond: impl Fn(StreamId, u64) -> bool) -> Vec<Key> {
        let mut keys = self.keys_of(streams);
        keys.retain(|key| self.partials.get(key).is_some_and(|partial| is_beyond(key.stream, partial.first)));
        keys
    }

    fn keys_in(&self, stream: StreamId) -> impl Iterator<Item = Key> + '_ {
        let first = Key { stream, unordered: false, position: 0 };
        let last = Key { stream, unordered: true, position: u64::MAX };
        self.partials.range(first..=last).map(|(key, _)| *key)
    }

    fn forget_reading(&mut self, key: Key) {
        if self.reading.get(&key.stream) == Some(&key) {
            self.reading.remove(&key.stream);
        }
    }

    /// The numbers of unordered messages are unwrapped from the highest one seen.
    fn note(&mut self, key: Key) {
        if key.unordered {
            self.unordered.entry(key.stream).or_default().unwrapper.note(key.position);
        }
    }
}

impl Key {
    /// Under the numbers of the next sequence.
    fn renumbered(self) -> Self {
        let mid = low(self.position);
        let position = if self.unordered { Unordered::default().unwrapper.peek(mid) } else { u64::from(mid) };
        Self { position, ..self }
    }
}

impl Default for Unordered {
    fn default() -> Self {
        Self { unwrapper: Unwrapper::new(0), floor: 0 }
    }
}

/// The position of an ordered message; None: it had its turn.
fn ahead(mid: Mid, next: u64) -> Option<u64> {
    let order = Order::Mid(mid);
    let distance = order.distance(next).filter(|distance| !order.is_behind(*distance))?;
    next.checked_add(distance)
}

fn order(key: Key) -> Order {
    if key.unordered { Order::Unordered } else { Order::Mid(Mid(low(key.position))) }
}

fn is_whole(data: &IData<'_>) -> bool {
    data.end && matches!(data.fragment, wire::Fragment::First(_))
}

fn fragment<'a>(tsn: u64, data: &IData<'a>) -> Fragment<'a> {
    let (number, ppid) = match data.fragment {
        // RFC 8260 §2.1: "In this case, the FSN is implicitly considered to be 0."
        wire::Fragment::First(ppid) => (0, Some(ppid)),
        wire::Fragment::Later(number) => (u64::from(number), None),
    };
    Fragment { tsn, number, ppid, end: data.end, payload: data.payload }
}

#[expect(clippy::cast_possible_truncation, reason = "the low half is what the wire carries")]
fn low(position: u64) -> u32 {
    position as u32
}
