//! What the association tells its owner.

use crate::StreamId;
use crate::wire::CauseCode;
use bytes::Bytes;
use std::fmt;

/// The state of an association (RFC 9260 §4) as the outside sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Not started, or ended.
    Closed,
    /// INIT was sent.
    CookieWait,
    /// COOKIE ECHO was sent.
    CookieEchoed,
    /// Messages flow.
    Established,
    /// A shutdown was asked for here; what was accepted is still being delivered.
    ShutdownPending,
    /// SHUTDOWN was sent.
    ShutdownSent,
    /// The peer sent SHUTDOWN; what was accepted here is still being delivered.
    ShutdownReceived,
    /// SHUTDOWN ACK was sent.
    ShutdownAckSent,
}

/// What the peer did not answer in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TimeoutKind {
    /// INIT (T1-init, Max.Init.Retransmits).
    Init,
    /// COOKIE ECHO (T1-cookie, Max.Init.Retransmits).
    CookieEcho,
    /// DATA or RE-CONFIG (Association.Max.Retrans).
    Retransmissions,
    /// HEARTBEAT (Association.Max.Retrans).
    Heartbeat,
    /// SHUTDOWN or SHUTDOWN ACK (T2-shutdown), or the shutdown as a whole (T5-shutdown-guard).
    Shutdown,
}

/// Why an association ended. Arrives once as an event, is remembered, answers every later call.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CloseReason {
    /// [`Association::abort`](crate::Association::abort).
    LocalAbort,
    /// [`Association::shutdown`](crate::Association::shutdown), completed.
    LocalShutdown,
    /// The peer shut down, and everything accepted here was delivered.
    RemoteShutdown,
    /// The peer sent ABORT.
    RemoteAbort {
        /// The first cause code (RFC 9260 §3.3.10), if it gave any.
        cause: Option<u16>,
        /// What the cause says, at most 256 bytes, not checked for being text.
        message: Bytes,
    },
    /// The peer broke the protocol; it was told by an ABORT.
    RemoteViolation(&'static str),
    /// The peer did not answer.
    Timeout(TimeoutKind),
    /// The path does not carry a packet that was sent, while smaller ones get through (RFC 8899 §4.3); the peer was told by
    /// an ABORT.
    PathMtu {
        /// Bytes of the packet, common header included; what is below SCTP comes on top.
        packet: usize,
    },
    /// The transport below is gone.
    TransportClosed,
}

impl fmt::Display for CloseReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LocalAbort => f.write_str("aborted by this side"),
            Self::LocalShutdown => f.write_str("shut down by this side"),
            Self::RemoteShutdown => f.write_str("shut down by the peer"),
            Self::RemoteAbort { cause: None, .. } => f.write_str("aborted by the peer"),
            Self::RemoteAbort { cause: Some(cause), message } => {
                write!(f, "aborted by the peer with cause {}", CauseCode(*cause))?;
                if message.is_empty() { Ok(()) } else { write!(f, " \"{}\"", message.escape_ascii()) }
            }
            Self::RemoteViolation(what) => write!(f, "the peer broke the protocol: {what}"),
            Self::Timeout(what) => write!(f, "the peer did not answer {what}"),
            Self::PathMtu { packet } => {
                write!(
                    f,
                    "the path MTU is too small for a packet of {packet} bytes, and smaller ones get through"
                )
            }
            Self::TransportClosed => f.write_str("the transport below is gone"),
        }
    }
}

impl fmt::Display for TimeoutKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Init => "INIT",
            Self::CookieEcho => "COOKIE ECHO",
            Self::Retransmissions => "what was sent again and again",
            Self::Heartbeat => "HEARTBEAT",
            Self::Shutdown => "SHUTDOWN",
        })
    }
}

/// What changed. Events never carry payload: messages wait in the association until `recv`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// The association is up. Once.
    Established,
    /// The peer restarted (RFC 9260 §5.2.4 A): all streams are as new, what was not delivered is lost
    /// ([`Stats::bytes_lost`](crate::Stats::bytes_lost)). A shutdown that was asked for here goes on.
    Restarted,
    /// The peer has fewer streams: what was queued on this one before the association was up is lost
    /// ([`Stats::bytes_lost`](crate::Stats::bytes_lost)). Once for each such stream, after [`Established`](Self::Established).
    NoSuchStream(StreamId),
    /// Something became readable on a stream that had nothing to read.
    Readable(StreamId),
    /// The buffered amount fell to the low threshold or below it.
    BufferedAmountLow(StreamId),
    /// The buffered amount fell below the high-water mark after `send` met it.
    Writable(StreamId),
    /// The peer reset its outgoing direction of these streams. What it sent before is in the inbox already.
    IncomingStreamsReset(Vec<StreamId>),
    /// Our reset of the outgoing direction was answered.
    OutgoingStreamsReset {
        /// The streams asked for.
        streams: Vec<StreamId>,
        /// Done; or refused by the peer, and everything is as before; or there are no such streams.
        accepted: bool,
    },
    /// The peer asks us to reset our outgoing direction of these streams (none: of all). That has begun: they take no new
    /// messages until [`OutgoingStreamsReset`](Self::OutgoingStreamsReset). Streams on which nothing was sent since they were
    /// new, or reset, are left as they are.
    ResetRequested(Vec<StreamId>),
    /// A message on this stream is larger than what we accept; nothing of it is delivered. Once per message.
    MessageTooLarge(StreamId),
    /// The peer reports an error (RFC 9260 §3.3.10), which changes nothing.
    RemoteError {
        /// The first cause code (RFC 9260 §3.3.10), if it gave any.
        cause: Option<u16>,
        /// What the cause says, at most 256 bytes, not checked for being text.
        message: Bytes,
    },
    /// The association ended. Once, and the last event.
    Closed(CloseReason),
}

/// Why streams could not be reset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ResetError {
    /// There is no association, or it is shutting down.
    #[error("the association is closed or shutting down")]
    Closed,
    /// The peer did not list RE-CONFIG (RFC 6525 §5.1.1).
    #[error("the peer does not support stream reconfiguration")]
    Unsupported,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_one_line() {
        let abort =
            |message| CloseReason::RemoteAbort { cause: Some(13), message: Bytes::from_static(message) };
        assert_eq!(
            abort(b"no\nway").to_string(),
            r#"aborted by the peer with cause 13 (Protocol Violation) "no\nway""#
        );
        assert_eq!(abort(b"").to_string(), "aborted by the peer with cause 13 (Protocol Violation)");
        let unknown = CloseReason::RemoteAbort { cause: Some(99), message: Bytes::new() };
        assert_eq!(unknown.to_string(), "aborted by the peer with cause 99");
        assert_eq!(CloseReason::Timeout(TimeoutKind::Init).to_string(), "the peer did not answer INIT");
    }
}
