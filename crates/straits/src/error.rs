//! The error type of the facade.

use crate::EndpointError;
use std::borrow::Cow;
use std::{fmt, io};
use straits_peer::dtls::IdentityError;
use straits_peer::sctp::{self, ChannelCloseReason, ChannelSendError, OpenError};
use straits_peer::{CandidateError, CloseReason, DescriptionError};

/// What a call of this crate can fail with.
///
/// It carries the name of the exception that a browser throws in the same place ([`name`](Self::name)), the detail
/// that an `RTCError` has ([`detail`](Self::detail)), what was wrong and what to do about it. [`Display`](fmt::Display)
/// writes all of it on one line.
///
/// In a browser a promise that was pending when the connection closed never settles. A future that hangs for ever is a
/// trap, so here it resolves with an `InvalidStateError` whose [`cause`](Self::cause) is [`ErrorCause::Closed`].
#[derive(Clone, Debug)]
pub struct Error {
    name: ErrorName,
    cause: ErrorCause,
    advice: &'static str,
}

/// The name of the DOM exception, <https://webidl.spec.whatwg.org/#idl-DOMException-error-names>.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorName {
    /// The object is in a state that does not allow the operation.
    InvalidStateError,
    /// An argument is well-formed but not acceptable here.
    InvalidAccessError,
    /// The object cannot be modified in this way.
    InvalidModificationError,
    /// The operation failed for a reason that is specific to it.
    OperationError,
    /// A string does not follow its grammar.
    SyntaxError,
    /// An argument has the wrong type or is out of range.
    TypeError,
    /// The operation is not supported.
    NotSupportedError,
}

/// `RTCErrorDetailType` of the W3C text, with the members of `RTCError` that belong to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorDetail {
    /// `data-channel-failure`
    DataChannelFailure,
    /// `dtls-failure`; the fatal alert that came or was sent, if there was one.
    DtlsFailure {
        /// `RTCError.receivedAlert`
        received_alert: Option<u8>,
        /// `RTCError.sentAlert`
        sent_alert: Option<u8>,
    },
    /// `fingerprint-failure`
    FingerprintFailure,
    /// `sctp-failure`; the cause code of the peer's ABORT, if there was one.
    SctpFailure {
        /// `RTCError.sctpCauseCode`
        cause_code: Option<u16>,
    },
    /// `sdp-syntax-error`
    SdpSyntaxError {
        /// `RTCError.sdpLineNumber`, counted from 1.
        line: usize,
    },
}

/// What was wrong, as the layer that noticed it put it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum ErrorCause {
    /// A description was refused; the connection is as it was.
    Description(DescriptionError),
    /// A candidate was refused.
    Candidate(CandidateError),
    /// A channel could not be made.
    Open(OpenError),
    /// A message was not accepted; nothing of it was sent.
    Send(ChannelSendError),
    /// A certificate or key cannot be used.
    Identity(IdentityError),
    /// The operating system refused a socket or the list of network interfaces.
    Io(io::ErrorKind, String),
    /// An endpoint made no connection.
    Endpoint(EndpointError),
    /// The connection is closed or has failed.
    Closed(CloseReason),
    /// A channel ended.
    Channel(ChannelCloseReason),
    /// Any other cause, in words.
    Other(Cow<'static, str>),
}

impl Error {
    pub(crate) fn new(name: ErrorName, what: impl Into<Cow<'static, str>>, advice: &'static str) -> Self {
        Self { name, cause: ErrorCause::Other(what.into()), advice }
    }

    pub(crate) fn io(error: &io::Error, advice: &'static str) -> Self {
        Self {
            name: ErrorName::OperationError,
            cause: ErrorCause::Io(error.kind(), error.to_string()),
            advice,
        }
    }

    /// Operations on a connection that is closed, for whatever reason it is.
    pub(crate) fn closed(reason: Option<&CloseReason>) -> Self {
        let cause = match reason {
            Some(reason) => ErrorCause::Closed(reason.clone()),
            None => ErrorCause::Other(Cow::Borrowed("the connection is closed")),
        };
        Self { name: ErrorName::InvalidStateError, cause, advice: "make a new PeerConnection" }
    }

    /// The connection ended while something was awaited or under way.
    pub(crate) fn ended(reason: CloseReason) -> Self {
        Self {
            name: ErrorName::OperationError,
            cause: ErrorCause::Closed(reason),
            advice: "make a new PeerConnection and signal again",
        }
    }

    /// A channel ended while something was awaited on it.
    pub(crate) fn channel(reason: ChannelCloseReason) -> Self {
        Self {
            name: ErrorName::InvalidStateError,
            cause: ErrorCause::Channel(reason),
            advice: "make a new channel",
        }
    }

    /// What the `error` event of a channel reports before `close`; `None` when it ended in order.
    pub(crate) fn of_channel(reason: &ChannelCloseReason) -> Option<Self> {
        let in_order = matches!(
            reason,
            ChannelCloseReason::LocalClose
                | ChannelCloseReason::LocalAbort
                | ChannelCloseReason::RemoteClose
                | ChannelCloseReason::AssociationClosed(
                    sctp::CloseReason::LocalAbort
                        | sctp::CloseReason::LocalShutdown
                        | sctp::CloseReason::RemoteShutdown,
                )
        );
        (!in_order).then(|| Self { name: ErrorName::OperationError, ..Self::channel(reason.clone()) })
    }

    /// The name of the exception that a browser would throw.
    #[must_use]
    pub fn name(&self) -> ErrorName {
        self.name
    }

    /// What was wrong.
    #[must_use]
    pub fn cause(&self) -> &ErrorCause {
        &self.cause
    }

    /// What an `RTCError` would carry; `None` where a browser throws a plain `DOMException`.
    #[must_use]
    pub fn detail(&self) -> Option<ErrorDetail> {
        match &self.cause {
            ErrorCause::Description(DescriptionError::Syntax { line, .. }) => {
                Some(ErrorDetail::SdpSyntaxError { line: *line })
            }
            ErrorCause::Closed(reason) => detail_of(reason),
            ErrorCause::Channel(reason) => channel_detail(reason),
            ErrorCause::Open(OpenError::NoIdLeft) => Some(ErrorDetail::DataChannelFailure),
            ErrorCause::Description(_)
            | ErrorCause::Candidate(_)
            | ErrorCause::Open(_)
            | ErrorCause::Send(_)
            | ErrorCause::Identity(_)
            | ErrorCause::Io(..)
            | ErrorCause::Endpoint(_)
            | ErrorCause::Other(_) => None,
        }
    }

    /// Was the message refused only because the send buffer is full? It may be sent again later.
    #[must_use]
    pub fn is_buffer_full(&self) -> bool {
        matches!(self.cause, ErrorCause::Send(ChannelSendError::BufferFull { .. }))
    }

    /// Is the connection closed or failed?
    #[must_use]
    pub fn is_closed(&self) -> bool {
        matches!(
            self.cause,
            ErrorCause::Closed(_)
                | ErrorCause::Description(DescriptionError::Closed)
                | ErrorCause::Candidate(CandidateError::Closed)
                | ErrorCause::Open(OpenError::Closed)
        )
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.name)?;
        match &self.cause {
            ErrorCause::Description(cause) => cause.fmt(f)?,
            ErrorCause::Candidate(cause) => cause.fmt(f)?,
            ErrorCause::Open(cause) => cause.fmt(f)?,
            ErrorCause::Send(cause) => cause.fmt(f)?,
            ErrorCause::Identity(cause) => cause.fmt(f)?,
            ErrorCause::Io(_, text) => f.write_str(text)?,
            ErrorCause::Endpoint(cause) => cause.fmt(f)?,
            ErrorCause::Closed(reason) => write!(f, "the connection ended: {reason}")?,
            ErrorCause::Channel(reason) => write_channel_reason(f, reason)?,
            ErrorCause::Other(text) => f.write_str(text)?,
        }
        if self.advice.is_empty() { Ok(()) } else { write!(f, " ({})", self.advice) }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.cause {
            ErrorCause::Description(cause) => Some(cause),
            ErrorCause::Candidate(cause) => Some(cause),
            ErrorCause::Open(cause) => Some(cause),
            ErrorCause::Send(cause) => Some(cause),
            ErrorCause::Identity(cause) => Some(cause),
            ErrorCause::Endpoint(cause) => Some(cause),
            ErrorCause::Io(..) | ErrorCause::Closed(_) | ErrorCause::Channel(_) | ErrorCause::Other(_) => {
                None
            }
        }
    }
}

impl fmt::Display for ErrorName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::InvalidStateError => "InvalidStateError",
            Self::InvalidAccessError => "InvalidAccessError",
            Self::InvalidModificationError => "InvalidModificationError",
            Self::OperationError => "OperationError",
            Self::SyntaxError => "SyntaxError",
            Self::TypeError => "TypeError",
            Self::NotSupportedError => "NotSupportedError",
        })
    }
}

/// The string that a browser has for it.
impl fmt::Display for ErrorDetail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::DataChannelFailure => "data-channel-failure",
            Self::DtlsFailure { .. } => "dtls-failure",
            Self::FingerprintFailure => "fingerprint-failure",
            Self::SctpFailure { .. } => "sctp-failure",
            Self::SdpSyntaxError { .. } => "sdp-syntax-error",
        })
    }
}

/// The `RTCError` members that belong to the end of a connection.
fn detail_of(reason: &CloseReason) -> Option<ErrorDetail> {
    use straits_peer::dtls;
    match reason {
        CloseReason::Dtls(dtls::CloseReason::FingerprintMismatch) => Some(ErrorDetail::FingerprintFailure),
        CloseReason::Dtls(reason) => {
            let (received_alert, sent_alert) = match reason {
                dtls::CloseReason::RemoteAlert(alert) => (Some(*alert), None),
                dtls::CloseReason::HandshakeFailed { alert } => (None, *alert),
                dtls::CloseReason::HandshakeTimeout { suspected_alert } => (*suspected_alert, None),
                _ => (None, None),
            };
            Some(ErrorDetail::DtlsFailure { received_alert, sent_alert })
        }
        CloseReason::Sctp(reason) => {
            let cause_code = match reason {
                sctp::CloseReason::RemoteAbort { cause, .. } => *cause,
                _ => None,
            };
            Some(ErrorDetail::SctpFailure { cause_code })
        }
        _ => None,
    }
}

/// The `RTCError` members that belong to the end of a channel.
fn channel_detail(reason: &ChannelCloseReason) -> Option<ErrorDetail> {
    match reason {
        ChannelCloseReason::AssociationClosed(reason) => detail_of(&CloseReason::Sctp(reason.clone())),
        ChannelCloseReason::RemoteViolation(_)
        | ChannelCloseReason::NoStream
        | ChannelCloseReason::OpenRefused => Some(ErrorDetail::DataChannelFailure),
        ChannelCloseReason::AssociationRestarted => Some(ErrorDetail::SctpFailure { cause_code: None }),
        _ => None,
    }
}

fn write_channel_reason(f: &mut fmt::Formatter<'_>, reason: &ChannelCloseReason) -> fmt::Result {
    match reason {
        ChannelCloseReason::LocalClose => f.write_str("the channel was closed here"),
        ChannelCloseReason::LocalAbort => f.write_str("the channel was aborted here"),
        ChannelCloseReason::RemoteClose => f.write_str("the peer closed the channel"),
        ChannelCloseReason::OpenRefused => f.write_str("the peer refused the channel"),
        ChannelCloseReason::RemoteViolation(what) => write!(f, "the peer broke the channel: {what}"),
        ChannelCloseReason::NoStream => f.write_str("no stream is left for the channel"),
        ChannelCloseReason::AssociationRestarted => f.write_str("the peer restarted the SCTP association"),
        ChannelCloseReason::AssociationClosed(reason) => write!(f, "{}", CloseReason::Sctp(reason.clone())),
        reason => write!(f, "the channel ended: {reason:?}"),
    }
}

macro_rules! from_cause {
    ($type:ty as $variant:ident, $error:ident => $body:expr) => {
        impl From<$type> for Error {
            fn from($error: $type) -> Self {
                let (name, advice) = $body;
                Self { name, cause: ErrorCause::$variant($error), advice }
            }
        }
    };
}

from_cause!(DescriptionError as Description, error => match error {
    DescriptionError::InvalidState { .. } => (ErrorName::InvalidStateError, "wait until the running exchange is done"),
    DescriptionError::Closed => (ErrorName::InvalidStateError, "make a new PeerConnection"),
    DescriptionError::Syntax { .. } => (ErrorName::OperationError, "pass the SDP on unchanged, whole lines included"),
    DescriptionError::Unacceptable { .. } => (ErrorName::InvalidAccessError, "the peer must offer a data channel section"),
    DescriptionError::InvalidCredentials { .. } => (ErrorName::InvalidAccessError, "pass the SDP on unchanged"),
    DescriptionError::DuplicateMid { .. } => (ErrorName::OperationError, "the peer must name each section differently"),
    DescriptionError::Modified => (ErrorName::InvalidModificationError, "set what create_offer or create_answer gave last"),
    _ => (ErrorName::OperationError, ""),
});

from_cause!(CandidateError as Candidate, error => match error {
    CandidateError::NoSection => (ErrorName::TypeError, "pass the candidate on with its sdpMid"),
    CandidateError::TooManyEarly { .. } => (ErrorName::InvalidStateError, "set the remote description first"),
    CandidateError::Closed => (ErrorName::InvalidStateError, "make a new PeerConnection"),
    _ => (ErrorName::OperationError, "pass the peer's candidate on unchanged"),
});

from_cause!(OpenError as Open, error => match error {
    OpenError::LabelTooLong { .. } | OpenError::ProtocolTooLong { .. } => (ErrorName::TypeError, "shorten it"),
    OpenError::InvalidId(_) => (ErrorName::TypeError, "use an id from 0 to 65534"),
    OpenError::IdInUse(_) => (ErrorName::OperationError, "use an id that no open channel has"),
    OpenError::NoIdLeft => (ErrorName::OperationError, "close a channel first"),
    OpenError::Closed => (ErrorName::InvalidStateError, "make a new PeerConnection"),
    _ => (ErrorName::OperationError, ""),
});

from_cause!(ChannelSendError as Send, error => match error {
    ChannelSendError::NotOpen => (ErrorName::InvalidStateError, "send after `open` and before `close`"),
    ChannelSendError::TooLarge { .. } => (ErrorName::TypeError, "split the message"),
    ChannelSendError::BufferFull { .. } => (ErrorName::OperationError, "await `send`, or wait for the low-buffer event"),
    _ => (ErrorName::OperationError, ""),
});

from_cause!(IdentityError as Identity, error => match error {
    IdentityError::UnsupportedKeySize { .. } | IdentityError::KeyTooSmall { .. } => {
        (ErrorName::NotSupportedError, "2048 bits are common")
    }
    IdentityError::OpenSsl(_) => (ErrorName::OperationError, ""),
    _ => (ErrorName::InvalidAccessError, "use a certificate with its own key"),
});

from_cause!(EndpointError as Endpoint, error => match error {
    EndpointError::TooManyConnections { .. } => (ErrorName::OperationError, "close some, or raise EndpointConfiguration::max_connections"),
    EndpointError::TooManyPending { .. } => (ErrorName::OperationError, "let the peer try again later, or raise EndpointConfiguration::max_pending"),
    EndpointError::Closed => (ErrorName::InvalidStateError, "bind a new Endpoint"),
});

#[cfg(test)]
mod tests {
    use super::*;

    /// W3C behaviours SRD-03, SND-18..20, CDC-17, CDC-28, ICE-11: the name a browser would throw.
    #[test]
    fn causes_have_the_names_of_the_browser() {
        let names = [
            Error::from(DescriptionError::Syntax { line: 3, problem: "no value" }).name(),
            Error::from(DescriptionError::Modified).name(),
            Error::from(CandidateError::NoSection).name(),
            Error::from(OpenError::LabelTooLong { len: 65536, max: 65535 }).name(),
            Error::from(OpenError::IdInUse(1)).name(),
            Error::from(ChannelSendError::NotOpen).name(),
            Error::from(ChannelSendError::TooLarge { len: 2, max: 1 }).name(),
            Error::from(ChannelSendError::BufferFull { len: 2, max: 1 }).name(),
        ];
        assert_eq!(
            names,
            [
                ErrorName::OperationError,
                ErrorName::InvalidModificationError,
                ErrorName::TypeError,
                ErrorName::TypeError,
                ErrorName::OperationError,
                ErrorName::InvalidStateError,
                ErrorName::TypeError,
                ErrorName::OperationError,
            ]
        );
    }

    #[test]
    fn one_line_says_name_cause_and_advice() {
        let error = Error::from(DescriptionError::Syntax { line: 3, problem: "no value" });
        assert_eq!(error.detail(), Some(ErrorDetail::SdpSyntaxError { line: 3 }));
        assert_eq!(
            error.to_string(),
            "OperationError: SDP line 3: no value (pass the SDP on unchanged, whole lines included)"
        );
    }
}
