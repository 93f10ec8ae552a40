//! Offer and answer for one data section (JSEP, RFC 8829; signalling states of W3C webrtc-pc §4.3.1), without time or I/O.
use crate::sdp::Setup;
use crate::{
    CandidateError, DescriptionError, DescriptionKind, IceCandidate, SdpType, SessionDescription,
    SignalingState,
};
use straits_dtls::{self as dtls, Fingerprint};
use straits_ice::{self as ice, Candidate, Credentials};

/// What our descriptions say of us: passed in whenever one is made, so that it is always the agent's present state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalTransport {
    /// ICE credentials of the generation to describe: new ones when an ICE restart is wanted
    /// ([`Negotiation::restart_wanted`]) or has to be answered ([`Change::remote_restart`]).
    pub credentials: Credentials,
    /// Our own mode: [`ice::Mode::Lite`] writes `a=ice-lite`.
    pub mode: ice::Mode,
    /// Of our certificate, one line each.
    pub fingerprints: Vec<Fingerprint>,
    /// `a=sctp-port`.
    pub sctp_port: u16,
    /// `a=max-message-size`: the largest message we take, in bytes; 0 is unlimited (RFC 8841 §6.1).
    pub max_message_size: usize,
    /// Has a data channel been asked for? Without, an offer gets no data section (unless one was negotiated before).
    pub wants_data: bool,
    /// Candidates of this generation that were already reported.
    pub candidates: Vec<Candidate>,
    /// Were all candidates of this generation reported?
    pub end_of_candidates: bool,
}

/// What the peer's data section says, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemoteTransport {
    /// `a=ice-ufrag`, `a=ice-pwd`.
    pub credentials: Credentials,
    /// [`ice::Mode::Lite`] if the description has `a=ice-lite`.
    pub mode: ice::Mode,
    /// All with an accepted hash function, at least one.
    pub fingerprints: Vec<Fingerprint>,
    /// `a=setup`.
    pub setup: Setup,
    /// `a=sctp-port`, 5000 when the description does not say.
    pub sctp_port: u16,
    /// The largest message the peer takes, in bytes: 65536 when the description does not say; `None`: unlimited.
    pub max_message_size: Option<usize>,
    /// `a=candidate` lines of the section, of the generation of `credentials`.
    pub candidates: Vec<Candidate>,
    /// `a=end-of-candidates`.
    pub end_of_candidates: bool,
    /// `a=ice-options` names `trickle`.
    pub trickle: bool,
    /// `a=tls-id` (RFC 8842 §5).
    pub tls_id: Option<String>,
    /// `a=mid`, if there is one.
    pub mid: Option<String>,
    /// The section's place in the description, from 0.
    pub mline_index: u16,
}

/// What an offer and an answer agreed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Agreement {
    /// Ours.
    pub dtls_role: dtls::Role,
    /// Ours.
    pub ice_role: ice::Role,
    /// An association exists and the peer asks for a new one (only if
    /// [`Negotiation::accept_new_associations`] allowed that).
    pub new_association: bool,
}

/// What applying a description changed, for the owner of the transports.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Change {
    /// Signalling states entered, in order: one `signalingstatechange` each. Two after an implicit rollback.
    pub states: Vec<SignalingState>,
    /// A pending offer was undone, by request or by the peer's offer: compare [`Negotiation::has_transport`] and
    /// [`Negotiation::local_credentials`] with what runs.
    pub rolled_back: bool,
    /// A local description with a data section in use was applied: gather if that generation was not gathered yet.
    pub local: bool,
    /// That local description has other ICE credentials than the one before it.
    pub local_restart: bool,
    /// A remote description with a data section in use was applied, and says this.
    pub remote: Option<RemoteTransport>,
    /// That remote description has other ICE credentials than the one before it (RFC 8839 §4.4.1.1.1).
    pub remote_restart: bool,
    /// An answer or provisional answer is in place and the data section is in use.
    pub agreement: Option<Agreement>,
    /// A final answer is in place and the data section of the offer was rejected, or one in use was given up.
    pub rejected: bool,
}

/// What became of a candidate from the peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RemoteCandidate {
    /// For the agent; its `ufrag` names the generation.
    Candidate(Candidate),
    /// No more will come for the data section.
    EndOfCandidates,
    /// Belongs to a section that is not in use.
    Unused,
}

/// JSEP for one data section.
#[derive(Debug)]
pub struct Negotiation {}

#[allow(unused_variables, clippy::todo)]
impl Negotiation {
    /// `session_id`: random; its lower 62 bits go into `o=` (RFC 8829 §5.2.1).
    pub fn new(session_id: u64) -> Self {
        todo!()
    }

    /// May the peer replace the DTLS association (other fingerprints, `tls-id` or roles together with an ICE restart,
    /// RFC 8842 §4)? Default: no, such a description is [`DescriptionError::Unacceptable`].
    pub fn accept_new_associations(&mut self, accept: bool) {
        todo!()
    }

    /// An offer; the same text as last time if nothing changed.
    pub fn create_offer(&mut self, local: &LocalTransport) -> Result<SessionDescription, DescriptionError> {
        todo!()
    }

    /// An answer to the pending remote offer; the same text as last time if nothing changed.
    pub fn create_answer(&mut self, local: &LocalTransport) -> Result<SessionDescription, DescriptionError> {
        todo!()
    }

    /// Applies a local description; an empty `sdp` means what `create_offer` or `create_answer` give now.
    pub fn set_local(
        &mut self,
        local: &LocalTransport,
        description: &SessionDescription,
    ) -> Result<Change, DescriptionError> {
        todo!()
    }

    /// Applies a remote description.
    pub fn set_remote(&mut self, description: &SessionDescription) -> Result<Change, DescriptionError> {
        todo!()
    }

    /// Would [`set_remote`](Self::set_remote) with this type undo our pending offer first?
    pub fn implies_rollback(&self, kind: SdpType) -> bool {
        todo!()
    }

    /// The type of `setLocalDescription()` without argument (W3C webrtc-pc §4.4.1.5).
    pub fn implied_kind(&self) -> SdpType {
        todo!()
    }

    /// Checks a candidate from the peer and records it in the remote description it belongs to.
    pub fn add_remote_candidate(
        &mut self,
        candidate: &IceCandidate,
    ) -> Result<RemoteCandidate, CandidateError> {
        todo!()
    }

    /// Asks for new ICE credentials in the next offer (W3C restartIce).
    pub fn request_restart(&mut self) {
        todo!()
    }

    /// Must the next offer have new ICE credentials?
    pub fn restart_wanted(&self) -> bool {
        todo!()
    }

    /// W3C webrtc-pc §4.7.3 "check if negotiation is needed"; false unless stable.
    pub fn negotiation_needed(&self, wants_data: bool) -> bool {
        todo!()
    }

    /// Nothing is accepted any more; descriptions stay readable.
    pub fn close(&mut self) {
        todo!()
    }

    /// RTCSignalingState.
    pub fn signaling_state(&self) -> SignalingState {
        todo!()
    }

    /// The text of a description; a local one with `candidates` (those reported for its generation so far), a remote one with those
    /// that were added since.
    pub fn description(
        &self,
        kind: DescriptionKind,
        candidates: &[Candidate],
        end_of_candidates: bool,
    ) -> Option<SessionDescription> {
        todo!()
    }

    /// Is there a local or remote description, pending or current, with a data section in use?
    pub fn has_transport(&self) -> bool {
        todo!()
    }

    /// Credentials of the local description in force: pending, else current.
    pub fn local_credentials(&self) -> Option<&Credentials> {
        todo!()
    }

    /// The peer's data section in force: of the pending description, else of the current one.
    pub fn remote(&self) -> Option<&RemoteTransport> {
        todo!()
    }

    /// `sdpMid` and `sdpMLineIndex` for our candidates, of the local description in force.
    pub fn data_section(&self) -> Option<(&str, u16)> {
        todo!()
    }

    /// RTCPeerConnection.canTrickleIceCandidates: unknown before a remote description.
    pub fn can_trickle(&self) -> Option<bool> {
        todo!()
    }
}
