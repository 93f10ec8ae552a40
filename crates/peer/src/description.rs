//! Session descriptions and candidates as signalling carries them (JSEP, W3C webrtc-pc).
use std::fmt;

/// RTCSdpType.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum SdpType {
    Offer,
    ProvisionalAnswer,
    Answer,
    Rollback,
}

/// RTCSignalingState.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum SignalingState {
    Stable,
    HaveLocalOffer,
    HaveRemoteOffer,
    HaveLocalProvisionalAnswer,
    HaveRemoteProvisionalAnswer,
    Closed,
}

/// RTCSessionDescriptionInit: type and SDP text.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct SessionDescription {
    pub kind: SdpType,
    pub sdp: String,
}

/// RTCIceCandidateInit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct IceCandidate {
    /// `candidate:…`; empty: end of candidates for the section
    pub candidate: String,
    pub sdp_mid: Option<String>,
    pub sdp_mline_index: Option<u16>,
    pub username_fragment: Option<String>,
}

/// Why a description was refused; the peer is unchanged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[allow(missing_docs)]
pub enum DescriptionError {
    /// → InvalidStateError
    #[error("{operation} is not possible in signalling state {state:?}")]
    InvalidState { operation: &'static str, state: SignalingState },
    /// → RTCError sdp-syntax-error with the line number (1-based)
    #[error("SDP line {line}: {problem}")]
    Syntax { line: usize, problem: &'static str },
    /// well-formed but not acceptable: no data section, no fingerprint, md5 only, no ufrag … (line 0: missing)
    #[error("SDP line {line}: {problem}")]
    Unacceptable { line: usize, problem: &'static str },
    /// local description is not what create_offer/create_answer made → InvalidModificationError
    #[error("the description is not the one that was created last")]
    Modified,
    #[error("the connection is closed")]
    Closed,
    /// certificate or OpenSSL context trouble → OperationError
    #[error("DTLS could not be set up")]
    Dtls,
}

impl fmt::Display for SdpType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Offer => "offer",
            Self::ProvisionalAnswer => "pranswer",
            Self::Answer => "answer",
            Self::Rollback => "rollback",
        })
    }
}
