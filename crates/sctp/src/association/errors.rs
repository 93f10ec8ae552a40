//! Error causes we raise, ERROR and ABORT (RFC 9260 §3.3.7, §3.3.10, §9.1).

use super::control::Control;
use super::state::Phase;
use super::{Association, CloseReason, Event, Inbound};
use crate::number::{StreamId, Tsn};
use crate::wire::{Abort, Cause, Causes, ErrorChunk, List, Tlv, WriteChunk};
use bytes::{BufMut, Bytes, BytesMut};
use std::time::Instant;
use tracing::debug;

/// An error cause of ours, until it is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    InvalidStream(StreamId),
    MissingCookie,
    OutOfResource,
    UnresolvableAddress,
    UnrecognizedChunk(Bytes),
    InvalidMandatoryParameter,
    UnrecognizedParameters(Bytes),
    NoUserData(Tsn),
    CookieWhileShuttingDown,
    UserInitiatedAbort,
    ProtocolViolation(&'static str),
}

impl Fault {
    /// As it goes on the wire.
    pub(super) fn cause(&self) -> Cause<'_> {
        match self {
            Self::InvalidStream(stream) => Cause::InvalidStream(*stream),
            Self::MissingCookie => Cause::MissingParameters(List::new(&[STATE_COOKIE])),
            Self::OutOfResource => Cause::OutOfResource,
            Self::UnresolvableAddress => Cause::UnresolvableAddress(&[]),
            Self::UnrecognizedChunk(bytes) => Cause::UnrecognizedChunk(bytes),
            Self::InvalidMandatoryParameter => Cause::InvalidMandatoryParameter,
            Self::UnrecognizedParameters(bytes) => Cause::UnrecognizedParameters(bytes),
            Self::NoUserData(tsn) => Cause::NoUserData(*tsn),
            Self::CookieWhileShuttingDown => Cause::CookieWhileShuttingDown,
            Self::UserInitiatedAbort => Cause::UserInitiatedAbort(&[]),
            Self::ProtocolViolation(text) => Cause::ProtocolViolation(text.as_bytes()),
        }
    }
}

impl Association {
    /// Ends the association with an ABORT; one last packet for `poll_transmit`.
    ///
    /// Nothing that is still queued is sent. `shutdown` delivers it first.
    pub fn abort(&mut self, now: Instant) {
        let now = self.clock(now);
        self.abort_with(now, Some(Fault::UserInitiatedAbort), CloseReason::LocalAbort);
        self.settle(now);
    }

    /// The peer broke a rule: it is told, and the association ends.
    pub(super) fn violation(&mut self, now: Instant, what: &'static str) {
        self.abort_with(now, Some(Fault::ProtocolViolation(what)), CloseReason::RemoteViolation(what));
    }

    pub(super) fn abort_with(&mut self, now: Instant, fault: Option<Fault>, reason: CloseReason) {
        if let Phase::Ended { .. } = self.phase {
            return;
        }
        let peer_tag = self.phase.tcb().map(|tcb| tcb.peer_tag);
        self.end(now, reason);
        // RFC 9260 §9.1: "The sender MUST fill in the peer's Verification Tag in the outbound packet". As long as it is
        // not known there is nobody to tell.
        if let Some(tag) = peer_tag {
            self.control.push(Control::Abort { tag, reflected: false, fault });
        }
    }

    /// Queues an ERROR, at most one per received packet.
    pub(super) fn report(&mut self, inbound: &mut Inbound, fault: Fault) {
        if !inbound.reported {
            inbound.reported = true;
            self.control.push(Control::Error(fault));
        }
    }

    /// RFC 9260 §3.2: reports a chunk whose type is not known, or was not agreed on.
    pub(super) fn report_chunk(&mut self, inbound: &mut Inbound, chunk: &impl WriteChunk) {
        if inbound.reported {
            return;
        }
        let mut bytes = BytesMut::with_capacity(chunk.len());
        bytes.put_u8(chunk.kind());
        bytes.put_u8(chunk.flags());
        bytes.put_u16(u16::try_from(chunk.len()).unwrap_or(u16::MAX));
        chunk.write_value(&mut bytes);
        // The answer is never longer than the packet size, nor than what it answers by more than its headers.
        bytes.truncate(self.config.max_packet_size.saturating_sub(ERROR_OVERHEAD));
        self.report(inbound, Fault::UnrecognizedChunk(bytes.freeze()));
    }

    /// The tag was checked.
    pub(super) fn on_abort(&mut self, now: Instant, abort: &Abort<'_>) {
        let (cause, message) = reason(abort.causes);
        self.end(now, CloseReason::RemoteAbort { cause, message });
    }

    pub(super) fn on_error(&mut self, now: Instant, error: &ErrorChunk<'_>) {
        debug!(%error, "the peer reports an error");
        // RFC 9260 §5.2.6: "In all cases, if the association is not in the COOKIE-ECHOED state, the ERROR chunk SHOULD
        // be silently discarded."
        let stale = error.causes.iter().any(|cause| matches!(cause, Ok(Cause::StaleCookie(_))));
        if stale {
            return self.on_stale_cookie(now);
        }
        let (cause, message) = reason(error.causes);
        self.events.push_back(Event::RemoteError { cause, message });
    }
}

/// The first cause and what it says. Causes that are not sound give no reason.
fn reason(causes: Causes<'_>) -> (Option<u16>, Bytes) {
    let Some(cause) = causes.iter().next().and_then(Result::ok) else { return (None, Bytes::new()) };
    let text = text(&cause);
    (Some(cause.kind()), Bytes::copy_from_slice(text.get(..MAX_TEXT).unwrap_or(text)))
}

/// What a cause says to a human, if it does.
fn text<'a>(cause: &Cause<'a>) -> &'a [u8] {
    match cause {
        Cause::UserInitiatedAbort(text) | Cause::ProtocolViolation(text) => text,
        Cause::InvalidStream(_)
        | Cause::MissingParameters(_)
        | Cause::StaleCookie(_)
        | Cause::OutOfResource
        | Cause::UnresolvableAddress(_)
        | Cause::UnrecognizedChunk(_)
        | Cause::InvalidMandatoryParameter
        | Cause::UnrecognizedParameters(_)
        | Cause::NoUserData(_)
        | Cause::CookieWhileShuttingDown
        | Cause::RestartWithNewAddresses(_)
        | Cause::Unknown(_) => &[],
    }
}

/// The causes of a chunk with one of ours, or none.
pub(super) fn with_cause<R>(fault: Option<&Fault>, write: impl FnOnce(Causes<'_>) -> R) -> R {
    match fault {
        Some(fault) => write(Causes::new(&[fault.cause()])),
        None => write(Causes::EMPTY),
    }
}

/// RFC 9260 §3.3.3.1.1: the parameter type of the State Cookie.
const STATE_COOKIE: u16 = 7;
/// Common header, chunk header, cause header, and room for padding.
const ERROR_OVERHEAD: usize = 12 + 4 + 4 + 3;
/// What is kept of the text of an ABORT or ERROR; the peer may send 64 KiB of it.
const MAX_TEXT: usize = 256;
