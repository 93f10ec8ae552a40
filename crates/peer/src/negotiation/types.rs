//! What goes into a negotiation and what comes out of it.

use crate::SignalingState;
use crate::sdp::Setup;
use straits_dtls::{self as dtls, Fingerprint};
use straits_ice::{self as ice, Candidate, Credentials};

/// What our descriptions say of us: passed in whenever one is made, so that it is always the agent's present state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalTransport {
    /// ICE credentials of the generation to describe: new ones when
    /// [`Negotiation::renews_credentials`](super::Negotiation::renews_credentials) says so.
    pub credentials: Credentials,
    /// Our own mode: [`ice::Mode::Lite`] writes `a=ice-lite`.
    pub mode: ice::Mode,
    /// Of our certificate, one line each.
    pub fingerprints: Vec<Fingerprint>,
    /// `a=sctp-port`.
    pub sctp_port: u16,
    /// `a=max-message-size`: the largest message we take, in bytes; 0 is unlimited (RFC 8841 §6.1).
    pub max_message_size: usize,
    /// Has a data channel been asked for? Without, an offer gets no data section, unless one was negotiated before.
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
    /// Those with an accepted hash function, at least one.
    pub fingerprints: Vec<Fingerprint>,
    /// `a=setup`; what RFC 4145 §4 takes for it if it is missing: `active` in offers, `passive` in answers.
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
    /// `a=tls-id` (RFC 8842 §4).
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
    /// An association exists and the peer asks for a new one in its place (only if
    /// [`Negotiation::accept_new_associations`](super::Negotiation::accept_new_associations) allowed that).
    pub new_association: bool,
}

/// What applying a description changed, for the owner of the transports.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Change {
    /// Signalling states entered, in order: one `signalingstatechange` each. Two after an implicit rollback.
    pub states: Vec<SignalingState>,
    /// A pending offer was undone, by request or by the peer's offer: compare
    /// [`Negotiation::has_transport`](super::Negotiation::has_transport) and
    /// [`Negotiation::local_credentials`](super::Negotiation::local_credentials) with what runs.
    pub rolled_back: bool,
    /// A local description with a data section in use was applied: gather if that generation was not gathered yet.
    pub local: bool,
    /// That local description has other ICE credentials than the one in force before.
    pub local_restart: bool,
    /// A remote description with a data section in use was applied, and says this.
    pub remote: Option<RemoteTransport>,
    /// There is an agreement from before, and that remote description has other ICE credentials than the one in force
    /// then (RFC 8839 §4.4.1.1.1).
    pub remote_restart: bool,
    /// An answer or provisional answer is in place and the data section is in use.
    pub agreement: Option<Agreement>,
    /// A final answer is in place, and the offer had a data section that is not in use now: it was rejected, or
    /// given up.
    pub rejected: bool,
}

/// What became of a candidate from the peer.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "passed on at once, never stored")]
pub enum RemoteCandidate {
    /// For the agent; its `ufrag` names the generation.
    Candidate(Candidate),
    /// No more will come for the data section.
    EndOfCandidates,
    /// Belongs to a section that is not in use.
    Unused,
}
