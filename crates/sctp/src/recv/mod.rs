//! The receiving half: TSN tracking, acknowledgements, reassembly, inboxes (RFC 9260 §6.2, §6.5–6.7, §6.9).

use crate::number::{Ppid, StreamId, Tsn};
use bytes::Bytes;
use std::time::{Duration, Instant};

/// A whole received message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Of the first fragment.
    pub ppid: Ppid,
    /// The payload.
    pub data: Bytes,
}

/// A piece of a message, in order (see `Association::recv_part`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// Of the first fragment.
    pub ppid: Ppid,
    /// The next bytes of the message.
    pub data: Bytes,
    /// Whether the message ends here.
    pub last: bool,
}

/// Settings of a [`Receiver`], taken from the association's.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ReceiverConfig {
    /// Receive window in bytes, as INIT advertises it; the hard memory cap is twice this.
    pub(crate) window: usize,
    /// Largest message that is accepted.
    pub(crate) max_message_size: usize,
    /// Longest delay of an acknowledgement, at most 500 ms.
    pub(crate) sack_delay: Duration,
}

/// What became of one DATA chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DataOutcome {
    /// New, kept, will be acknowledged.
    Accepted,
    /// Seen before; reported as a duplicate.
    Duplicate,
    /// Not kept and not acknowledged; the peer will send it again.
    Dropped(DropReason),
    /// Acknowledged and discarded; answer with ERROR "Invalid Stream Identifier" (RFC 9260 §6.5).
    InvalidStream,
    /// Abort with "Protocol Violation".
    Violation(&'static str),
    /// Acknowledged, but the message grew over the limit: what is held of it is gone and the rest will be discarded.
    /// Said once per message; close the channel.
    TooLarge(StreamId),
}

/// Why a DATA chunk was not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DropReason {
    /// The TSN is too far ahead of the cumulative one.
    OutsideWindow,
    /// It would open one more gap than can be tracked.
    TooManyGaps,
    /// The receive buffer is full.
    BufferFull,
    /// Too many messages are incomplete.
    TooManyIncomplete,
}

/// What happened in the receiving half, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ReceiverEvent {
    /// A stream that had nothing to read has something now (edge).
    Readable(StreamId),
    /// The peer reset these streams, which are sorted; everything it sent before is in the inboxes.
    StreamsReset(Vec<StreamId>),
}

/// The answer to an Outgoing SSN Reset Request (RFC 6525 §5.2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ResetOutcome {
    /// Performed; `StreamsReset` was queued.
    Done,
    /// Data before it is missing still: performed, with `StreamsReset`, when that has come (see `is_resetting`).
    InProgress,
    /// A stream id is not among the incoming streams, or another reset is deferred; nothing was done.
    Refused,
}

/// The receiving half of an association.
#[derive(Debug)]
pub(crate) struct Receiver {}

#[allow(unused_variables, clippy::todo, dead_code)]
impl Receiver {
    pub(crate) fn new(config: ReceiverConfig) -> Self {
        todo!()
    }
    /// The peer's INIT or INIT ACK is known: its first TSN, and how many incoming streams were negotiated. On a
    /// restart too: everything but what the inboxes hold is as new.
    pub(crate) fn start(&mut self, peer_initial_tsn: Tsn, streams: u16) {
        todo!()
    }
    // handle_data(&mut self, now, data: &wire::Data<'_>) -> DataOutcome comes with the codec.
    /// After the last chunk of each packet, whether it had DATA or not: decides whether a SACK is due.
    pub(crate) fn end_of_packet(&mut self, now: Instant) {
        todo!()
    }
    /// Whether a packet must be sent for the SACK alone. Stays true while several are waiting: call `write_sack` again.
    pub(crate) fn sack_due(&self) -> bool {
        todo!()
    }
    // write_sack(&mut self, now, packet: &mut PacketWriter<'_>) -> bool comes with the codec. Call it first in every
    // packet with DATA: a SACK that is merely delayed rides along.

    /// The delayed-acknowledgement timer.
    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        todo!()
    }
    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        todo!()
    }
    /// Cuts the acknowledgement delay at half the RTO, and tells the measured round trip.
    pub(crate) fn set_path(&mut self, rto: Duration, srtt: Option<Duration>) {
        todo!()
    }
    /// SACK, SHUTDOWN: the last TSN before the first missing one.
    pub(crate) fn cumulative_tsn(&self) -> Tsn {
        todo!()
    }
    pub(crate) fn has_gaps(&self) -> bool {
        todo!()
    }
    /// a_rwnd.
    pub(crate) fn window(&self) -> usize {
        todo!()
    }
    /// The next whole message. None while a message is half read by `recv_part`.
    pub(crate) fn recv(&mut self, stream: StreamId) -> Option<Message> {
        todo!()
    }
    /// The next piece of the next message, also of the one that is still arriving.
    pub(crate) fn recv_part(&mut self, stream: StreamId) -> Option<Part> {
        todo!()
    }
    pub(crate) fn is_readable(&self, stream: StreamId) -> bool {
        todo!()
    }
    /// Of the message that `recv` or `recv_part` gives next, as soon as `is_readable` says there is something.
    pub(crate) fn next_ppid(&self, stream: StreamId) -> Option<Ppid> {
        todo!()
    }
    /// Incoming Outgoing-SSN-Reset-Request; no streams = all. Ask once per request number.
    pub(crate) fn reset_request(&mut self, last_tsn: Tsn, streams: &[StreamId]) -> ResetOutcome {
        todo!()
    }
    /// Whether a reset is deferred (a repeated request is then answered "in progress", else "performed").
    pub(crate) fn is_resetting(&self) -> bool {
        todo!()
    }
    pub(crate) fn poll_event(&mut self) -> Option<ReceiverEvent> {
        todo!()
    }
    /// Payload bytes held: unread and being reassembled.
    pub(crate) fn held(&self) -> usize {
        todo!()
    }
}
