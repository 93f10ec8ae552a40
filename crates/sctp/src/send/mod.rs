//! The sending half: message queues, fragmentation, what is in flight.

mod chunk;
mod outstanding;
mod queue;
mod resent;
mod scheduler;
mod sender;
mod tsn_set;

pub(crate) use sender::{Acked, SackOutcome, Sender, SenderConfig, SenderEvent, T3Expired, Terms};

use crate::StreamId;
use std::time::Duration;

/// How hard the sending side tries (RFC 8831 §6.4).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reliability {
    /// Until it arrives or the association ends.
    #[default]
    Reliable,
    /// At most this many retransmissions (RFC 7496 §3.1); 0 sends once.
    MaxRetransmits(u16),
    /// At most this long after `send`, queueing counted (RFC 3758 §4.1).
    MaxLifetime(Duration),
}

/// Why a message, or a part of one, was not accepted. Nothing of it was queued.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// The association is closed, or closing.
    #[error("the association is closed or shutting down")]
    Closed,
    /// The peer accepts fewer streams.
    #[error("stream {stream} is not among the {negotiated} negotiated streams")]
    NoSuchStream {
        /// The stream asked for.
        stream: StreamId,
        /// How many there are, from 0.
        negotiated: u16,
    },
    /// The outgoing direction of the stream is about to start anew.
    #[error("stream {0} is being reset")]
    Resetting(StreamId),
    /// The peer's `a=max-message-size` forbids it (RFC 8841 §6).
    #[error("message of {len} bytes is larger than the {max} the peer accepts")]
    TooLarge {
        /// The message so far, in bytes.
        len: usize,
        /// What the peer accepts, in bytes.
        max: usize,
    },
    /// Too much is queued and unacknowledged already; wait for `Writable`.
    #[error("send buffer is full: {len} bytes over the limit of {max}")]
    BufferFull {
        /// By how many bytes it would be exceeded.
        len: usize,
        /// The limit that is exceeded: that of all streams together, or that of each.
        max: usize,
    },
    /// RFC 9260 §3.3.1 has no DATA without data (RFC 8831 §6.6 says what to send instead).
    #[error("empty messages cannot be sent")]
    Empty,
}
