//! Messages on streams that have no channel, kept for a while (RFC 8832 §6).
//!
//! A compliant opener sends ordered until it is answered, so nothing overtakes its OPEN. Some do not, and a negotiated
//! channel may be made on one side before the other: what comes too early is kept within bounds and becomes the first the
//! channel delivers.

use super::held::{Held, charge};
use crate::{Part, StreamId};
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// What came on streams that have no channel.
#[derive(Debug, Default)]
pub(super) struct EarlyMessages {
    streams: BTreeMap<StreamId, Early>,
    deadlines: BTreeSet<(Instant, StreamId)>,
    charge: usize,
}

#[derive(Debug)]
struct Early {
    messages: Held,
    deadline: Instant,
}

/// How much is kept, and for how long.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    pub(super) per_stream: usize,
    pub(super) in_all: usize,
    pub(super) time: Duration,
}

impl EarlyMessages {
    /// Keeps a message. False: that would be too much, and it is dropped.
    pub(super) fn keep(&mut self, now: Instant, stream: StreamId, message: Part, bounds: Bounds) -> bool {
        let Some(deadline) = now.checked_add(bounds.time) else { return false };
        let cost = charge(&message);
        let before = self.streams.get(&stream).map_or(0, |early| early.messages.charge());
        if before.saturating_add(cost) > bounds.per_stream || self.charge.saturating_add(cost) > bounds.in_all
        {
            return false;
        }
        // The time runs from the first message.
        let early = self.streams.entry(stream).or_insert_with(|| {
            self.deadlines.insert((deadline, stream));
            Early { messages: Held::default(), deadline }
        });
        early.messages.push(message);
        self.charge = self.charge.saturating_add(cost);
        true
    }

    /// Gives out what was kept of a stream.
    pub(super) fn take(&mut self, stream: StreamId) -> Option<Held> {
        let Early { messages, deadline } = self.streams.remove(&stream)?;
        self.deadlines.remove(&(deadline, stream));
        self.charge = self.charge.saturating_sub(messages.charge());
        Some(messages)
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    pub(super) fn streams(&self) -> impl Iterator<Item = StreamId> + '_ {
        self.streams.keys().copied()
    }

    /// When the first of them has waited long enough.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.deadlines.first().map(|(deadline, _)| *deadline)
    }

    /// A stream that has waited long enough.
    pub(super) fn due(&self, now: Instant) -> Option<StreamId> {
        self.deadlines.first().filter(|(deadline, _)| *deadline <= now).map(|(_, stream)| *stream)
    }

    /// What all of it counts for.
    pub(super) fn charge(&self) -> usize {
        self.charge
    }
}
