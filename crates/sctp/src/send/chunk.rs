//! A fragment of a message, and what it takes on the wire and in memory.

use crate::number::{Mid, Ppid, Ssn, StreamId, Tsn};
use crate::wire::{Data, Fragment, IData, PacketWriter};
use bytes::Bytes;
use std::time::Instant;

/// Which chunks carry the messages of an association.
///
/// RFC 8260 §2.2.1: "If user message interleaving support has been negotiated for an association, I-DATA chunks MUST be
/// used for all user messages and DATA chunks MUST NOT be used."
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    /// DATA: the TSNs of a message are one run.
    Data,
    /// I-DATA: between the fragments of a message those of other streams may leave.
    IData,
}

impl Format {
    pub(super) fn new(interleaving: bool) -> Self {
        if interleaving { Self::IData } else { Self::Data }
    }

    /// Bytes in front of the payload.
    pub(super) fn header_len(self) -> usize {
        match self {
            Self::Data => Data::HEADER_LEN,
            Self::IData => IData::HEADER_LEN,
        }
    }

    /// Whether a FORWARD TSN or I-FORWARD-TSN names messages of this kind that were given up.
    pub(super) fn names(self, unordered: bool) -> bool {
        match self {
            // RFC 3758 §3.5 C4: "If the chunk has a valid stream and sequence number" (it was ordered).
            Self::Data => !unordered,
            // RFC 8260 §2.3.1: "the largest skipped MID can also be provided for unordered messages."
            Self::IData => true,
        }
    }

    /// Bytes of a chunk with so much payload: header, payload, padding.
    pub(super) fn chunk_size(self, payload: usize) -> usize {
        self.header_len() + payload.next_multiple_of(4)
    }
}

/// A fragment with all that stands in its chunk but the TSN.
#[derive(Clone, Debug)]
pub(super) struct Chunk {
    pub(super) data: Bytes,
    pub(super) limit: Limit,
    pub(super) ppid: Ppid,
    /// Where the queue keeps the stream.
    pub(super) slot: u32,
    /// Of the ordered or of the unordered messages of the stream. A DATA chunk has the low half of it, its SSN.
    pub(super) mid: Mid,
    /// Fragment Sequence Number.
    pub(super) fsn: u32,
    pub(super) stream: StreamId,
    /// How many TSNs before this one the fragment before it has; 0: there is none, or it is acknowledged long since.
    pub(super) earlier: u16,
    pub(super) begin: bool,
    pub(super) end: bool,
    pub(super) unordered: bool,
}

impl Chunk {
    /// Appends the chunk to a packet; false if it does not fit.
    pub(super) fn write(
        &self,
        packet: &mut PacketWriter<'_>,
        format: Format,
        tsn: Tsn,
        immediate: bool,
    ) -> bool {
        let Self { stream, ppid, begin, end, unordered, .. } = *self;
        let payload = &*self.data;
        match format {
            Format::Data => {
                let ssn = ssn(self.mid);
                packet.push(&Data { tsn, stream, ssn, ppid, begin, end, unordered, immediate, payload })
            }
            Format::IData => {
                let fragment = if begin { Fragment::First(ppid) } else { Fragment::Later(self.fsn) };
                packet.push(&IData {
                    tsn,
                    stream,
                    mid: self.mid,
                    fragment,
                    end,
                    unordered,
                    immediate,
                    payload,
                })
            }
        }
    }
}

/// When a message may be given up (RFC 7496 §3.1, RFC 3758 §4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Limit {
    /// Never.
    None,
    /// After so many retransmissions of a fragment.
    Retransmits(u16),
    /// After this moment.
    Deadline(Instant),
}

impl Limit {
    /// Whether what was sent so often and has to be sent again is given up instead.
    pub(super) fn is_reached(self, now: Instant, transmissions: u16) -> bool {
        match self {
            Self::None => false,
            // RFC 7496 §3.1: "The sender MUST abandon a user message if the number of retransmissions of any of the DATA
            // chunks of the user message would exceed the provided limit."
            Self::Retransmits(limit) => transmissions > limit,
            Self::Deadline(_) => self.is_past(now),
        }
    }

    /// Whether it is too late to send. At the deadline it is not yet, so that a lifetime of zero leaves time for a
    /// transmission at once.
    pub(super) fn is_past(self, now: Instant) -> bool {
        self.deadline().is_some_and(|deadline| deadline < now)
    }

    pub(super) fn deadline(self) -> Option<Instant> {
        match self {
            Self::None | Self::Retransmits(_) => None,
            Self::Deadline(deadline) => Some(deadline),
        }
    }
}

/// The stream sequence number of a message: as many bits of its number as there are.
#[expect(clippy::cast_possible_truncation, reason = "the low half is what DATA carries")]
pub(super) fn ssn(mid: Mid) -> Ssn {
    Ssn(mid.0 as u16)
}

/// What data of this length counts for in the memory limit: little data costs more than its payload.
pub(super) fn charge(payload: usize) -> usize {
    payload.max(OVERHEAD)
}

/// About what a queued piece or an outstanding chunk takes beside its payload.
const OVERHEAD: usize = 128;
