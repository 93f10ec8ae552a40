//! The one of two ways in which an association's messages are put together.

use super::Part;
use super::inbox::{DeferredReset, Inboxes};
use super::interleaved::Interleaved;
use super::message::{GivenUp, Limits};
use super::reassembly::Reassembly;
use crate::number::{Ppid, StreamId};

/// RFC 8260 §2.2.1: "I-DATA chunks MUST be used for all user messages", or "DATA chunks MUST be used for all user
/// messages".
#[derive(Debug)]
pub(super) enum Assembler {
    Sequential(Reassembly),
    Interleaved(Interleaved),
}

/// A chunk came that does not go with this association.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct WrongKind;

impl Assembler {
    pub(super) fn new(limits: Limits, interleaving: bool) -> Self {
        if interleaving {
            Self::Interleaved(Interleaved::new(limits))
        } else {
            Self::Sequential(Reassembly::new(limits))
        }
    }

    /// For what comes with DATA.
    pub(super) fn sequential(&mut self) -> Result<&mut Reassembly, WrongKind> {
        match self {
            Self::Sequential(reassembly) => Ok(reassembly),
            Self::Interleaved(_) => Err(WrongKind),
        }
    }

    /// For what comes with I-DATA.
    pub(super) fn interleaved(&mut self) -> Result<&mut Interleaved, WrongKind> {
        match self {
            Self::Sequential(_) => Err(WrongKind),
            Self::Interleaved(interleaved) => Ok(interleaved),
        }
    }

    /// Bytes held and their overhead.
    pub(super) fn charge(&self) -> usize {
        match self {
            Self::Sequential(reassembly) => reassembly.charge(),
            Self::Interleaved(interleaved) => interleaved.charge(),
        }
    }

    /// Gives up everything; answers with what was half read.
    pub(super) fn clear(&mut self) -> Vec<GivenUp> {
        match self {
            Self::Sequential(reassembly) => reassembly.clear().into_iter().collect(),
            Self::Interleaved(interleaved) => interleaved.clear(),
        }
    }

    /// The peer gave up everything up to `point`; the cumulative TSN is now `cumulative`. Answers with the messages that
    /// are gone by that. Those of I-DATA are told by their identifiers instead.
    pub(super) fn forward(&mut self, point: u64, cumulative: u64) -> Vec<GivenUp> {
        match self {
            Self::Sequential(reassembly) => reassembly.forward(point, cumulative),
            Self::Interleaved(_) => Vec::new(),
        }
    }

    /// How many incomplete messages lie beyond a reset, and would have to be moved.
    pub(super) fn incomplete_beyond(&self, reset: &DeferredReset) -> usize {
        match self {
            Self::Sequential(_) => 0,
            Self::Interleaved(interleaved) => {
                interleaved.count_beyond(reset.listed(), |stream, tsn| reset.precedes(stream, tsn))
            }
        }
    }

    /// A reset of streams was requested. DATA keeps fragments by their TSNs, and need not move any.
    pub(super) fn defer(&mut self, reset: &DeferredReset) {
        match self {
            Self::Sequential(_) => {}
            Self::Interleaved(interleaved) => {
                interleaved.defer(reset.listed(), |stream, tsn| reset.precedes(stream, tsn));
            }
        }
    }

    /// A reset of streams is performed. Answers with what was half read of messages that are gone by that.
    pub(super) fn reset(&mut self, reset: &DeferredReset) -> Vec<GivenUp> {
        match self {
            Self::Sequential(reassembly) => {
                let is_before = |stream, tsn| reset.covers(stream) && !reset.precedes(stream, tsn);
                reassembly.reset(is_before).into_iter().collect()
            }
            Self::Interleaved(interleaved) => interleaved.reset(reset.listed()),
        }
    }

    /// Whether a message of this stream was read up to what has arrived of it.
    pub(super) fn is_half_read(&self, stream: StreamId) -> bool {
        match self {
            Self::Sequential(reassembly) => reassembly.is_half_read(stream),
            Self::Interleaved(interleaved) => interleaved.is_half_read(stream),
        }
    }

    /// Of the message that `take_part` would read: the half-read one, or the next one of the stream if it is arriving.
    /// None: there is no part to read.
    pub(super) fn readable_ppid(&self, stream: StreamId, inboxes: &Inboxes) -> Option<Ppid> {
        match self {
            Self::Sequential(reassembly) => {
                let (of, order, _) = reassembly.readable_part()?;
                let is_next = of == stream && inboxes.is_next(stream, order);
                if is_next { reassembly.readable_ppid() } else { None }
            }
            Self::Interleaved(interleaved) => interleaved.readable_ppid(stream, inboxes.next(stream)),
        }
    }

    /// The next piece of a message that is arriving.
    pub(super) fn take_part(&mut self, stream: StreamId, inboxes: &Inboxes) -> Option<Part> {
        self.readable_ppid(stream, inboxes)?;
        match self {
            Self::Sequential(reassembly) => reassembly.take_part(),
            Self::Interleaved(interleaved) => interleaved.take_part(stream, inboxes.next(stream)),
        }
    }

    /// Nobody reads the half-read message of this stream any more: it is discarded to its end. Answers with its protocol.
    pub(super) fn let_go(&mut self, stream: StreamId) -> Option<Ppid> {
        match self {
            Self::Sequential(reassembly) => reassembly.let_go(stream),
            Self::Interleaved(interleaved) => interleaved.let_go(stream),
        }
    }

    /// What `charge` must be.
    #[cfg(any(test, feature = "__fuzzing"))]
    pub(super) fn recount(&self) -> usize {
        match self {
            Self::Sequential(reassembly) => reassembly.recount(),
            Self::Interleaved(interleaved) => interleaved.recount(),
        }
    }
}
