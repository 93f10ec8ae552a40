//! What the sending half tells the association.

use crate::StreamId;
use std::time::{Duration, Instant};

/// What became of a SACK.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SackOutcome {
    /// Older than one processed already (RFC 9260 §6.2.1 D i), or it came before the start. Not an error.
    Stale,
    /// It acknowledges what was never sent, or its gap blocks make no sense; nothing was changed.
    Invalid,
    Processed(Acked),
}

/// What a SACK, or the cumulative TSN of a SHUTDOWN, brought.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Acked {
    /// Chunk bytes acknowledged for the first time: more than zero clears the error counter (RFC 9260 §8.1). What the peer
    /// takes back and reports again, without an end, is no progress.
    pub(crate) newly_acked_bytes: usize,
    /// Whether the cumulative TSN moved.
    pub(crate) advanced: bool,
    /// A round trip that this SACK measured; the RTO has it already.
    pub(crate) rtt: Option<Duration>,
}

/// T3-rtx expired; what to resend is marked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct T3Expired {
    /// Whether it counts as an error of the association (RFC 9260 §8.1); an answered probe of a closed window does not.
    pub(crate) counts_as_error: bool,
    /// How many times in a row it expired without a SACK between.
    pub(crate) unheard: u32,
    /// When it did so first.
    pub(crate) since: Instant,
}

/// For the application, by way of the association.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SenderEvent {
    /// The buffered amount fell from above its low threshold to or below it.
    BufferedAmountLow(StreamId),
    /// The buffered amount fell below the high-water mark after a send met it, or there is room again for what a send
    /// was refused.
    Writable(StreamId),
    /// The peer does not have this stream: what was queued on it before the start is dropped.
    NoSuchStream(StreamId),
}

/// Counters since the start of the sender and gauges of this moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct SenderStats {
    /// DATA or I-DATA chunks, retransmissions included.
    pub(crate) chunks_sent: u64,
    /// Chunks sent again.
    pub(crate) retransmissions: u64,
    /// Of these, what the peer reported to have twice.
    pub(crate) spurious_retransmissions: u64,
    /// Chunks marked lost by three miss indications.
    pub(crate) fast_retransmits: u64,
    pub(crate) t3_expirations: u64,
    /// SACKs that acknowledged what was never sent or made no sense.
    pub(crate) invalid_sacks: u64,
    /// Payload of messages that was accepted and dropped: queued on streams the peer does not have, or not acknowledged
    /// when the peer restarted.
    pub(crate) bytes_lost: u64,
    /// Messages given up as their reliability allows, sent or not.
    pub(crate) messages_abandoned: u64,
    /// Payload of them that was not acknowledged by the cumulative TSN.
    pub(crate) bytes_abandoned: u64,
    /// I-FORWARD-TSN too.
    pub(crate) forward_tsns_sent: u64,
    pub(crate) cwnd: usize,
    /// `usize::MAX` while there is none.
    pub(crate) ssthresh: usize,
    /// Payload the peer takes beyond what is in flight.
    pub(crate) peer_rwnd: usize,
    /// Chunk bytes.
    pub(crate) bytes_in_flight: usize,
    pub(crate) srtt: Option<Duration>,
    pub(crate) rto: Duration,
}

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counters {
    pub(super) chunks_sent: u64,
    pub(super) retransmissions: u64,
    pub(super) spurious_retransmissions: u64,
    pub(super) fast_retransmits: u64,
    pub(super) t3_expirations: u64,
    pub(super) invalid_sacks: u64,
    pub(super) bytes_lost: u64,
    pub(super) messages_abandoned: u64,
    pub(super) bytes_abandoned: u64,
    pub(super) forward_tsns_sent: u64,
}
