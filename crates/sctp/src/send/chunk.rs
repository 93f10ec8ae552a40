//! A fragment of a message, and what it takes on the wire and in memory.

use crate::number::{Ppid, Ssn, StreamId, Tsn};
use crate::wire::Data;
use bytes::Bytes;
use std::time::Instant;

/// A fragment with all that stands in its DATA chunk but the TSN.
#[derive(Clone, Debug)]
pub(super) struct Chunk {
    pub(super) data: Bytes,
    #[cfg_attr(
        not(test),
        expect(dead_code, reason = "partial reliability decides by it; until then all is reliable")
    )]
    pub(super) limit: Limit,
    pub(super) ppid: Ppid,
    /// Where the queue keeps the stream.
    pub(super) slot: u32,
    pub(super) stream: StreamId,
    pub(super) ssn: Ssn,
    pub(super) begin: bool,
    pub(super) end: bool,
    pub(super) unordered: bool,
}

impl Chunk {
    /// Bytes in a packet: header, payload, padding.
    pub(super) fn size(&self) -> usize {
        chunk_size(self.data.len())
    }

    pub(super) fn wire(&self, tsn: Tsn, immediate: bool) -> Data<'_> {
        Data {
            tsn,
            stream: self.stream,
            ssn: self.ssn,
            ppid: self.ppid,
            begin: self.begin,
            end: self.end,
            unordered: self.unordered,
            immediate,
            payload: &self.data,
        }
    }
}

/// Bytes of a DATA chunk with so much payload: header, payload, padding.
pub(super) fn chunk_size(payload: usize) -> usize {
    Data::HEADER_LEN + payload.next_multiple_of(4)
}

/// What data of this length counts for in the memory limit: little data costs more than its payload.
pub(super) fn charge(payload: usize) -> usize {
    payload.max(OVERHEAD)
}

/// When a message may be given up (RFC 7496, RFC 3758 §4.1): recorded with every fragment, for partial reliability.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Limit {
    /// Never.
    None,
    /// After so many retransmissions of a fragment.
    Retransmits(u16),
    /// At this moment.
    Deadline(Instant),
}

/// About what a queued piece or an outstanding chunk takes beside its payload.
const OVERHEAD: usize = 128;
