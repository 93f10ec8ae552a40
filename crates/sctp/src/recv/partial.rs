//! A message of I-DATA fragments that is not complete (RFC 8260 §2.2.3).

use super::CHUNK_OVERHEAD;
use super::message::{Body, Excess, Limits, Pieces, Refusal, require};
use crate::number::Ppid;
use bytes::Bytes;
use std::collections::BTreeMap;

/// What is held of one message: the fragments from the first on, and *islands* of consecutive ones beyond a gap.
///
/// Fragments are told apart by their Fragment Sequence Number alone. It never wraps here ("the FSN MAY wrap completely
/// multiple times", RFC 8260 §2.1): a message is too large long before.
#[derive(Debug)]
pub(super) struct Partial {
    /// The lowest TSN of its fragments.
    pub(super) first: u64,
    /// Of the first fragment; without meaning until that has come.
    pub(super) ppid: Ppid,
    /// All fragments before this one have come.
    next: u64,
    /// Their bytes, as far as they were not read.
    front: Pieces,
    /// By their first fragment; apart from each other and from `front`.
    islands: BTreeMap<u64, Island>,
    /// The fragment that ends the message.
    last: Option<u64>,
    /// Bytes of the message so far, read or not.
    size: usize,
    /// Bytes held and their overhead. A message or an island without bytes counts for one buffer.
    charge: usize,
    pub(super) is_half_read: bool,
    is_discarded: bool,
}

/// Fragments that follow each other.
#[derive(Debug)]
struct Island {
    /// One more than the last fragment.
    next: u64,
    pieces: Pieces,
}

/// One fragment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fragment<'a> {
    pub(super) tsn: u64,
    pub(super) number: u64,
    /// The B bit's.
    pub(super) ppid: Option<Ppid>,
    pub(super) end: bool,
    pub(super) payload: &'a [u8],
}

impl Partial {
    /// Nothing yet.
    pub(super) fn new(tsn: u64, capacity: usize) -> Self {
        Self {
            first: tsn,
            ppid: Ppid(0),
            next: 0,
            front: Pieces::with_capacity(capacity),
            islands: BTreeMap::new(),
            last: None,
            size: 0,
            charge: CHUNK_OVERHEAD,
            is_half_read: false,
            is_discarded: false,
        }
    }

    /// Whether a fragment fits what is here.
    pub(super) fn check(&self, fragment: &Fragment<'_>) -> Result<(), Refusal> {
        let number = fragment.number;
        require(!self.has(number), "fragment comes twice under different TSNs")?;
        match self.last {
            Some(_) if fragment.end => require(false, "message ends twice"),
            Some(last) => require(number < last, BEYOND_END),
            None if fragment.end => require(self.highest() <= number, BEYOND_END),
            None => Ok(()),
        }
    }

    /// Takes a fragment that `check` let pass. Tells whether the message has just grown over a limit.
    pub(super) fn insert(&mut self, fragment: &Fragment<'_>, limits: &Limits) -> Option<Excess> {
        let Fragment { tsn, number, ppid, end, payload } = *fragment;
        self.first = self.first.min(tsn);
        self.ppid = ppid.unwrap_or(self.ppid);
        self.size += payload.len();
        if end {
            self.last = Some(number);
        }
        let excess = if self.is_discarded { None } else { limits.excess(self.size, number + 1) };
        if excess.is_some() {
            self.discard();
        }
        let payload = if self.is_discarded { &[] } else { payload };
        if number == self.next {
            self.extend_front(payload);
        } else {
            self.insert_ahead(number, payload);
        }
        excess
    }

    pub(super) fn is_complete(&self) -> bool {
        self.last.is_some_and(|last| last < self.next)
    }

    /// Whether there is something to read from the beginning on.
    pub(super) fn is_readable(&self) -> bool {
        !self.front.is_empty()
    }

    pub(super) fn charge(&self) -> usize {
        self.charge
    }

    /// Bytes of the message, if all of them were kept.
    pub(super) fn whole_size(&self) -> Option<usize> {
        (!self.is_half_read && !self.is_discarded).then_some(self.size)
    }

    pub(super) fn take_piece(&mut self) -> Bytes {
        self.is_half_read = true;
        self.charge -= charge(&self.front);
        let piece = self.front.take_piece();
        self.charge += charge(&self.front);
        piece
    }

    /// Nobody reads it any more: it is discarded to its end.
    pub(super) fn let_go(&mut self) {
        self.is_half_read = false;
        self.discard();
    }

    /// What there is to read, once it is complete.
    pub(super) fn into_body(self) -> Body {
        match (self.is_discarded, self.is_half_read) {
            (true, true) => Body::Abandoned,
            (true, false) => Body::Discarded,
            (false, true) => Body::Rest(self.front.into_bytes()),
            (false, false) => Body::Whole(self.front.into_bytes()),
        }
    }

    /// What `charge` must be.
    #[cfg(any(test, feature = "__fuzzing"))]
    pub(super) fn recount(&self) -> usize {
        let islands = self.islands.values().map(|island| &island.pieces);
        std::iter::once(&self.front).chain(islands).map(|pieces| pieces.recount().max(CHUNK_OVERHEAD)).sum()
    }

    fn has(&self, number: u64) -> bool {
        number < self.next
            || self.islands.range(..=number).next_back().is_some_and(|(_, island)| number < island.next)
    }

    /// One more than the highest fragment.
    fn highest(&self) -> u64 {
        self.islands.last_key_value().map_or(self.next, |(_, island)| island.next)
    }

    fn extend_front(&mut self, payload: &[u8]) {
        self.charge -= charge(&self.front);
        self.front.append(payload);
        self.next += 1;
        if let Some(island) = self.islands.remove(&self.next) {
            self.charge -= charge(&island.pieces);
            self.front.join(island.pieces);
            self.next = island.next;
        }
        self.charge += charge(&self.front);
    }

    fn insert_ahead(&mut self, number: u64, payload: &[u8]) {
        let after = self.islands.remove(&(number + 1));
        let before = self.islands.range_mut(..number).next_back().map(|(_, island)| island);
        let mut added = Island { next: number, pieces: Pieces::default() };
        let island = match before {
            Some(island) if island.next == number => {
                self.charge -= charge(&island.pieces);
                island
            }
            Some(_) | None => &mut added,
        };
        island.pieces.append(payload);
        island.next += 1;
        if let Some(after) = after {
            self.charge -= charge(&after.pieces);
            island.pieces.join(after.pieces);
            island.next = after.next;
        }
        self.charge += charge(&island.pieces);
        if added.next > number {
            self.islands.insert(number, added);
        }
    }

    /// Only which fragments have come is remembered from here on, to know the end of the message.
    fn discard(&mut self) {
        self.is_discarded = true;
        self.front = Pieces::default();
        self.islands.values_mut().for_each(|island| island.pieces = Pieces::default());
        self.charge = (1 + self.islands.len()) * CHUNK_OVERHEAD;
    }
}

fn charge(pieces: &Pieces) -> usize {
    pieces.charge().max(CHUNK_OVERHEAD)
}

const BEYOND_END: &str = "fragment beyond the end of its message";
