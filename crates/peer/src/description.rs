//! Session descriptions and candidates as signalling carries them (JSEP, W3C webrtc-pc).

use std::fmt;

/// RTCSdpType (W3C webrtc-pc §4.6.1): what a description is meant as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SdpType {
    /// `offer`: a proposal.
    Offer,
    /// `pranswer`: an answer that may still be followed by another one.
    ProvisionalAnswer,
    /// `answer`: the final reply; ends the exchange.
    Answer,
    /// `rollback`: the pending offer is withdrawn; its `sdp` is ignored.
    Rollback,
}

/// RTCSignalingState (W3C webrtc-pc §4.3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignalingState {
    /// No exchange is under way. The first state.
    Stable,
    /// Our offer was set and waits for an answer.
    HaveLocalOffer,
    /// The peer's offer was set and waits for our answer.
    HaveRemoteOffer,
    /// The peer's offer was set, and a provisional answer of ours.
    HaveLocalProvisionalAnswer,
    /// Our offer was set, and a provisional answer of the peer.
    HaveRemoteProvisionalAnswer,
    /// The connection was closed. The last state.
    Closed,
}

/// Which description of a connection (W3C webrtc-pc §4.4.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DescriptionKind {
    /// `currentLocalDescription`: ours from the last finished exchange.
    CurrentLocal,
    /// `pendingLocalDescription`: ours from the exchange under way.
    PendingLocal,
    /// `currentRemoteDescription`: the peer's from the last finished exchange.
    CurrentRemote,
    /// `pendingRemoteDescription`: the peer's from the exchange under way.
    PendingRemote,
}

/// RTCSessionDescriptionInit: a type and SDP text.
///
/// `Debug` does not show the ICE password in it.
#[derive(Clone, PartialEq, Eq)]
pub struct SessionDescription {
    /// What the text is meant as.
    pub kind: SdpType,
    /// The text (RFC 8866). Empty in a local description: what was, or would be, created for the type.
    pub sdp: String,
}

impl fmt::Debug for SessionDescription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sdp = without_passwords(&self.sdp);
        f.debug_struct("SessionDescription").field("kind", &self.kind).field("sdp", &sdp).finish()
    }
}

/// SDP text with each `a=ice-pwd` line cut behind its colon (RFC 8839 §5.4).
fn without_passwords(sdp: &str) -> String {
    let lines = sdp.split_inclusive('\n');
    lines
        .map(|line| match line.split_at_checked(PASSWORD.len()) {
            Some((start, rest)) if start.eq_ignore_ascii_case(PASSWORD) => {
                let end = rest.trim_end_matches(['\r', '\n']).len();
                format!("{start}…{}", &rest[end..])
            }
            _ => line.to_owned(),
        })
        .collect()
}

const PASSWORD: &str = "a=ice-pwd:";

/// RTCOfferOptions (W3C webrtc-pc §4.2.6): what an offer is to ask for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OfferOptions {
    pub(crate) ice_restart: bool,
}

impl OfferOptions {
    /// `iceRestart`: should the offer have new ICE credentials?
    ///
    /// Default `false`: only if a restart is wanted anyway, which this does not take back. An offer of a connection that
    /// has no current local description has its first credentials either way.
    #[must_use]
    pub fn ice_restart(mut self, restart: bool) -> Self {
        self.ice_restart = restart;
        self
    }
}

/// RTCIceCandidateInit: a candidate as it is signalled.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IceCandidate {
    /// `candidate:…` (RFC 8839 §5.1); empty: no more candidates will come.
    pub candidate: String,
    /// `a=mid` of the section it belongs to.
    pub sdp_mid: Option<String>,
    /// Place of the section it belongs to, from 0; counts only without `sdp_mid`.
    pub sdp_mline_index: Option<u16>,
    /// `a=ice-ufrag` of the generation it belongs to; `None`: the present one.
    pub username_fragment: Option<String>,
}

/// Why a description was refused; the peer is unchanged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DescriptionError {
    /// The signalling state does not allow it (DOM: InvalidStateError).
    #[error("{operation} is not possible in signalling state {state}")]
    InvalidState {
        /// What was tried.
        operation: &'static str,
        /// The state it was tried in.
        state: SignalingState,
    },
    /// Not SDP, or not what the attribute's grammar wants (DOM: RTCError, `sdp-syntax-error` with the line number).
    #[error("SDP line {line}: {problem}")]
    Syntax {
        /// Counted from 1.
        line: usize,
        /// What is wrong there.
        problem: &'static str,
    },
    /// `a=ice-ufrag` or `a=ice-pwd` with a wrong length or character (DOM: InvalidAccessError).
    #[error("SDP line {line}: {problem}")]
    InvalidCredentials {
        /// Counted from 1.
        line: usize,
        /// What is wrong there.
        problem: &'static str,
    },
    /// Two sections that clash (DOM: OperationError).
    #[error("SDP line {line}: two sections have the same mid")]
    DuplicateMid {
        /// Counted from 1: the `m=` line of the second one.
        line: usize,
    },
    /// Well-formed, but not something we can agree to (DOM: InvalidAccessError).
    #[error("SDP line {line}: {problem}")]
    Unacceptable {
        /// Counted from 1: the line that is refused, or the `m=` line of the section that lacks something.
        line: usize,
        /// Why.
        problem: &'static str,
    },
    /// Larger than we are willing to read (DOM: OperationError).
    #[error("the description has more than {max} {what}")]
    TooLarge {
        /// What there is too much of.
        what: &'static str,
        /// The limit.
        max: usize,
    },
    /// A local description that is not the one created last (DOM: InvalidModificationError).
    #[error("the description is not the one that was created last")]
    Modified,
    /// The connection is closed (DOM: InvalidStateError).
    #[error("the connection is closed")]
    Closed,
    /// Trouble with the certificate or OpenSSL (DOM: OperationError).
    #[error("DTLS could not be set up")]
    Dtls,
}

/// Why a candidate from the peer was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CandidateError {
    /// There is no remote description yet (DOM: InvalidStateError).
    #[error("there is no remote description")]
    NoRemoteDescription,
    /// It does not say which section it belongs to (DOM: TypeError).
    #[error("a candidate needs sdpMid or sdpMLineIndex")]
    NoSection,
    /// The remote description has no such section (DOM: OperationError).
    #[error("no such media section")]
    UnknownSection,
    /// No remote description has this username fragment in that section (DOM: OperationError).
    #[error("unknown username fragment")]
    UnknownFragment,
    /// Not a candidate (DOM: OperationError).
    #[error(transparent)]
    Invalid(#[from] straits_ice::CandidateError),
    /// Too many came before the remote description (DOM: InvalidStateError).
    #[error("more than {max} candidates before the remote description")]
    TooManyEarly {
        /// The limit.
        max: usize,
    },
    /// The connection is closed (DOM: InvalidStateError).
    #[error("the connection is closed")]
    Closed,
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

impl fmt::Display for SignalingState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Stable => "stable",
            Self::HaveLocalOffer => "have-local-offer",
            Self::HaveRemoteOffer => "have-remote-offer",
            Self::HaveLocalProvisionalAnswer => "have-local-pranswer",
            Self::HaveRemoteProvisionalAnswer => "have-remote-pranswer",
            Self::Closed => "closed",
        })
    }
}
