//! What reassembly makes of chunks and hands to the inboxes.

use super::CHUNK_OVERHEAD;
use crate::number::{Mid, Ppid, Ssn, StreamId};
use crate::wire::Data;
use bytes::Bytes;
use std::collections::VecDeque;

/// Where a message stands among those of its stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// Nowhere.
    Unordered,
    /// In the sequence of the ordered messages, by a stream sequence number.
    Ssn(Ssn),
    /// The same, by a message identifier.
    Mid(Mid),
}

impl Order {
    /// RFC 9260 §6.6: the SSN of an unordered chunk "has no significance".
    pub(super) fn of(data: &Data<'_>) -> Self {
        if data.unordered { Self::Unordered } else { Self::Ssn(data.ssn) }
    }

    /// How far ahead of the message whose turn it is, round the circle of numbers. `next` is that one's number,
    /// unwrapped. None: unordered.
    #[expect(clippy::cast_possible_truncation, reason = "the low part is what the wire carries")]
    pub(super) fn distance(self, next: u64) -> Option<u64> {
        match self {
            Self::Unordered => None,
            Self::Ssn(ssn) => Some(u64::from(ssn.0.wrapping_sub(next as u16))),
            Self::Mid(mid) => Some(u64::from(mid.0.wrapping_sub(next as u32))),
        }
    }

    /// Whether such a distance leads to a message that had its turn (RFC 1982: beyond half the circle).
    pub(super) fn is_behind(self, distance: u64) -> bool {
        match self {
            Self::Unordered => false,
            Self::Ssn(_) => distance >= 1 << 15,
            Self::Mid(_) => distance >= 1 << 31,
        }
    }

    /// What is wrong with a message whose turn can never come.
    pub(super) fn unexplained(self) -> &'static str {
        match self {
            Self::Unordered | Self::Ssn(_) => "stream sequence number skipped",
            Self::Mid(_) => "message identifier of a message that is complete",
        }
    }

    /// What is wrong with a second message in the same place.
    pub(super) fn used_twice(self) -> &'static str {
        match self {
            Self::Unordered | Self::Ssn(_) => "stream sequence number used twice",
            Self::Mid(_) => "message identifier used twice",
        }
    }
}

/// A message that has just become complete.
#[derive(Debug)]
pub(super) struct Complete {
    /// The lowest TSN of its fragments.
    pub(super) first: u64,
    pub(super) stream: StreamId,
    pub(super) order: Order,
    pub(super) ppid: Ppid,
    pub(super) body: Body,
}

/// What there is to read of a complete message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Body {
    Whole(Bytes),
    /// The beginning was read already.
    Rest(Bytes),
    /// The beginning was read already, and the rest was too large: the reader has to hear of it.
    Abandoned,
    /// It was too large: nothing is left.
    Discarded,
}

/// A message that was given up before it was complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct GivenUp {
    /// The lowest TSN that is known of it.
    pub(super) first: u64,
    pub(super) stream: StreamId,
    pub(super) order: Order,
    pub(super) ppid: Ppid,
    /// The beginning was read already: the reader has to hear of it.
    pub(super) is_half_read: bool,
}

/// Why a fragment cannot be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    Violation(&'static str),
    TooManyIncomplete,
    /// The same, but nothing that is still to come would change that.
    OutOfResource,
}

/// What a chunk led to.
#[derive(Debug, Default)]
pub(super) struct Inserted {
    pub(super) complete: Option<Complete>,
    /// The message has just grown over a limit.
    pub(super) excess: Option<Excess>,
}

impl Inserted {
    /// A message of one chunk.
    pub(super) fn single(
        tsn: u64,
        (stream, order, ppid): (StreamId, Order, Ppid),
        payload: &[u8],
        limits: &Limits,
    ) -> Self {
        let excess = limits.excess(payload.len(), 1);
        let body = match excess {
            Some(_) => Body::Discarded,
            None => Body::Whole(Bytes::copy_from_slice(payload)),
        };
        Self { complete: Some(Complete { first: tsn, stream, order, ppid, body }), excess }
    }
}

/// The bounds of incomplete messages.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) message_size: usize,
    pub(super) fragments: u64,
    pub(super) incomplete: usize,
    pub(super) incomplete_per_stream: usize,
}

/// Which limit a message grew over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Excess {
    Bytes,
    Fragments,
}

impl Limits {
    /// What is wrong with so many bytes in so many fragments.
    pub(super) fn excess(&self, size: usize, fragments: u64) -> Option<Excess> {
        if size > self.message_size {
            return Some(Excess::Bytes);
        }
        (fragments > self.fragments).then_some(Excess::Fragments)
    }
}

/// The bytes of consecutive fragments. What comes in order is appended to one growing buffer.
#[derive(Debug, Default)]
pub(super) struct Pieces {
    /// Bytes held.
    bytes: usize,
    /// The bytes held, those of later fragments in `more`.
    head: Vec<u8>,
    more: VecDeque<Vec<u8>>,
}

impl Pieces {
    pub(super) fn with_capacity(capacity: usize) -> Self {
        Self { bytes: 0, head: Vec::with_capacity(capacity), more: VecDeque::new() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.bytes == 0
    }

    /// Bytes held and the overhead of their buffers.
    pub(super) fn charge(&self) -> usize {
        let pieces = usize::from(!self.head.is_empty()) + self.more.len();
        self.bytes + pieces * CHUNK_OVERHEAD
    }

    pub(super) fn append(&mut self, payload: &[u8]) {
        self.bytes += payload.len();
        self.more.back_mut().unwrap_or(&mut self.head).extend_from_slice(payload);
    }

    /// Takes what follows in.
    pub(super) fn join(&mut self, after: Self) {
        if after.is_empty() {
            return;
        }
        self.bytes += after.bytes;
        if self.head.is_empty() {
            self.head = after.head;
        } else {
            self.more.push_back(after.head);
        }
        // Whichever list is longer stays where it is, so that many joins cost little.
        if self.more.len() >= after.more.len() {
            self.more.extend(after.more);
        } else {
            let mut joined = after.more;
            self.more.drain(..).rev().for_each(|piece| joined.push_front(piece));
            self.more = joined;
        }
    }

    /// The first buffer.
    pub(super) fn take_piece(&mut self) -> Bytes {
        let next = self.more.pop_front().unwrap_or_default();
        let piece = std::mem::replace(&mut self.head, next);
        self.bytes -= piece.len();
        into_bytes(piece)
    }

    /// All in one.
    pub(super) fn into_bytes(self) -> Bytes {
        let Self { mut head, more, bytes } = self;
        head.reserve_exact(bytes - head.len());
        more.iter().for_each(|piece| head.extend_from_slice(piece));
        into_bytes(head)
    }

    /// What `charge` must be.
    #[cfg(any(test, feature = "__fuzzing"))]
    pub(super) fn recount(&self) -> usize {
        let pieces = std::iter::once(&self.head).chain(&self.more).filter(|piece| !piece.is_empty());
        pieces.map(|piece| piece.len() + CHUNK_OVERHEAD).sum()
    }
}

/// Gives back what a buffer does not use, if that is much.
fn into_bytes(mut buffer: Vec<u8>) -> Bytes {
    if buffer.capacity() - buffer.len() > buffer.len() / 4 {
        buffer.shrink_to_fit();
    }
    buffer.into()
}

pub(super) fn require(holds: bool, violation: &'static str) -> Result<(), Refusal> {
    if holds { Ok(()) } else { Err(Refusal::Violation(violation)) }
}
