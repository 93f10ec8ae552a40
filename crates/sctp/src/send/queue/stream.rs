//! What is queued on one stream, and the numbers of its messages.

use super::super::Reliability;
use super::super::chunk::{Chunk, Limit};
use super::{Next, Part};
use crate::number::{Mid, Ppid, StreamId};
use bytes::Bytes;
use std::collections::VecDeque;
use std::time::Instant;

#[derive(Debug)]
pub(super) struct Stream {
    pub(super) id: StreamId,
    pub(super) pieces: VecDeque<Piece>,
    /// How many of the pieces end a message.
    pub(super) ends: usize,
    /// Of the next ordered message; the one that is partly sent has it already. SSNs are the low halves.
    pub(super) ordered: Mid,
    /// The same for unordered messages.
    pub(super) unordered: Mid,
    /// FSN of the next fragment of the message that is partly sent.
    fsn: u32,
    /// TSN of its last one.
    pub(super) last_tsn: u64,
    /// The message whose last part has not come.
    pub(super) open: Option<OpenMessage>,
    /// Whether a fragment of the first message was sent.
    pub(super) begun: bool,
    pub(super) paused: bool,
    /// Its owner waits until nothing is queued.
    pub(super) is_ending: bool,
    pub(super) turn: Turn,
    /// Of the peer's window: for the first message, if it takes several fragments and may be on its way.
    pub(super) reserved: usize,
    /// Whether a send met the high-water mark since it was below.
    pub(super) above_mark: bool,
    pub(super) buffered: usize,
    pub(super) low_threshold: usize,
    /// RFC 8831 §6.4.
    pub(super) priority: u16,
    /// Its chunks that the cumulative TSN has not passed.
    pub(super) outstanding: usize,
}

/// Bytes of one message that were handed in together, or what is left of them.
#[derive(Debug)]
pub(super) struct Piece {
    pub(super) data: Bytes,
    pub(super) kind: Kind,
    pub(super) last: bool,
}

/// What all fragments of a message have in common.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kind {
    pub(super) limit: Limit,
    pub(super) ppid: Ppid,
    pub(super) unordered: bool,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct OpenMessage {
    pub(super) kind: Kind,
    pub(super) len: usize,
    /// It was given up: what is still to come of it is not kept.
    pub(super) discarded: bool,
}

/// Where a stream stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// Nothing can be sent.
    Idle,
    /// In the schedule: a message is partly sent, or one may begin.
    Scheduled,
    /// Its next message does not fit the peer's window beside those on their way; the stream's number in the line.
    Waiting(u64),
}

impl Stream {
    pub(super) fn new(id: StreamId) -> Self {
        Self {
            id,
            pieces: VecDeque::new(),
            ends: 0,
            // RFC 9260 §6.5: "The Stream Sequence Number in all the outgoing streams MUST start from 0"
            ordered: Mid(0),
            unordered: Mid(0),
            fsn: 0,
            last_tsn: 0,
            open: None,
            begun: false,
            paused: false,
            is_ending: false,
            turn: Turn::Idle,
            reserved: 0,
            above_mark: false,
            buffered: 0,
            low_threshold: 0,
            priority: DEFAULT_PRIORITY,
            outstanding: 0,
        }
    }

    pub(super) fn next(&self, slot: u32, fragment: usize) -> Option<Next> {
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

    /// The length of the first message as far as it is known, if it takes several fragments and none was sent.
    pub(super) fn long_message(&self, fragment: usize) -> Option<usize> {
        let first = self.pieces.front().filter(|_| !self.begun)?;
        if first.last {
            return Some(first.data.len()).filter(|len| *len > fragment);
        }
        let ends = self.pieces.iter().position(|piece| piece.last).unwrap_or(self.pieces.len());
        Some(self.pieces.iter().take(ends + 1).map(|piece| piece.data.len()).sum())
    }

    /// The next fragment of the first message, with this TSN.
    pub(super) fn fragment(&mut self, slot: u32, data: Bytes, kind: Kind, end: bool, tsn: u64) -> Chunk {
        let begin = !self.begun;
        let Kind { limit, ppid, unordered } = kind;
        let counter = if unordered { &mut self.unordered } else { &mut self.ordered };
        let mid = *counter;
        if end {
            // RFC 9260 §6.5: "The Stream Sequence Number of an outgoing stream MUST be incremented by 1 for each ordered
            // user message sent on that outgoing stream." RFC 8260 §2.1: "one for ordered messages and one for
            // unordered messages." They wrap.
            *counter = Mid(mid.0.wrapping_add(1));
        }
        let fsn = if begin { 0 } else { self.fsn };
        let distance = if begin { 0 } else { tsn - self.last_tsn };
        self.fsn = fsn.wrapping_add(1);
        self.last_tsn = tsn;
        self.begun = !end;
        self.outstanding += 1;
        // What is further away is not outstanding any more.
        let earlier = u16::try_from(distance).unwrap_or(0);
        Chunk { data, limit, ppid, slot, mid, fsn, stream: self.id, earlier, begin, end, unordered }
    }

    pub(super) fn is_drained(&self) -> bool {
        self.pieces.is_empty() && self.outstanding == 0
    }

    pub(super) fn is_as_new(&self) -> bool {
        let sent_nothing = (self.ordered, self.unordered) == (Mid(0), Mid(0));
        self.is_drained() && sent_nothing && !self.begun
    }
}

impl Kind {
    pub(super) fn new(now: Instant, part: &Part) -> Self {
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

/// "normal" of RFC 8831 §6.4.
pub(super) const DEFAULT_PRIORITY: u16 = 256;
