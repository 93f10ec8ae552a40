//! Offer and answer for one data section (JSEP, RFC 8829; signalling states of W3C webrtc-pc §4.3.1), without time
//! or I/O.
//!
//! A [`Negotiation`] reads and makes descriptions and says what they change; the owner of the transports does it. It
//! never begins, stops or asks anything by itself.

mod candidates;
mod local;
mod remote;
mod state;
#[cfg(test)]
mod tests;
mod types;

pub use types::{Agreement, Change, LocalTransport, RemoteCandidate, RemoteTransport};

use crate::sdp::Setup;
use crate::{DescriptionError, DescriptionKind, OfferOptions, SdpType, SessionDescription, SignalingState};
use local::Local;
use remote::{Data, InUse, Place, Remote};
use state::{Agreed, Current, State};
use std::fmt;
use straits_dtls as dtls;
use straits_ice::{Credentials, Gathered};

/// JSEP for one data section.
///
/// All methods check the state before the text, and an error leaves everything as it was.
pub struct Negotiation {
    session_id: u64,
    /// Of the last description created.
    version: u64,
    accepts_new_associations: bool,
    closed: bool,
    state: State,
    current: Option<Current>,
    created_offer: Option<Local>,
    created_answer: Option<Local>,
    /// The offer that `created_answer` is for.
    answered: String,
    /// Username fragments that a restart is to replace: W3C webrtc-pc §4.4.2 \[\[LocalIceCredentialsToReplace]].
    to_replace: Vec<String>,
    /// Is a restart wanted so much that negotiation is needed for it?
    restart_requested: bool,
}

/// Without the offer that was answered: its text has the ICE password.
impl fmt::Debug for Negotiation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Negotiation")
            .field("session_id", &self.session_id)
            .field("version", &self.version)
            .field("state", &self.state)
            .field("current", &self.current)
            .field("created_offer", &self.created_offer)
            .field("created_answer", &self.created_answer)
            .finish_non_exhaustive()
    }
}

/// Whose description.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Local,
    Remote,
}

/// What runs, and so what a new description is compared with.
#[derive(Clone, Copy, Debug)]
struct Baseline<'a> {
    agreed: Agreed,
    remote: &'a RemoteTransport,
    session_id: &'a str,
}

impl Negotiation {
    /// `session_id`: random; its lower 62 bits go into `o=` (RFC 8829 §5.2.1).
    pub fn new(session_id: u64) -> Self {
        Self {
            session_id: session_id & MAX_SESSION_ID,
            version: 0,
            accepts_new_associations: false,
            closed: false,
            state: State::Stable,
            current: None,
            created_offer: None,
            created_answer: None,
            answered: String::new(),
            to_replace: Vec::new(),
            restart_requested: false,
        }
    }

    /// May the peer replace the DTLS association: other fingerprints, `tls-id` or roles, together with an ICE restart
    /// (RFC 8842 §3.1, §6)? Default: no, such a description is [`DescriptionError::Unacceptable`]. Without an ICE
    /// restart, and for another SCTP port, it always is.
    pub fn accept_new_associations(&mut self, accept: bool) {
        self.accepts_new_associations = accept;
    }

    /// An offer; the same text as last time if nothing changed.
    ///
    /// It keeps every section of the current descriptions in its place (RFC 8829 §5.2.2). Without a channel and
    /// without a section from before it has none at all, which is legal.
    ///
    /// # Errors
    /// Unless stable or in have-local-offer.
    pub fn create_offer(&mut self, local: &LocalTransport) -> Result<SessionDescription, DescriptionError> {
        self.check(matches!(self.state, State::Stable | State::HaveLocalOffer { .. }), "createOffer")?;
        let document = local::offer(self.session_id, self.current.as_ref(), local);
        let last = self.created_offer.as_ref();
        let offer = Local::create(SdpType::Offer, document, local, last, &mut self.version);
        Ok(self.created_offer.insert(offer).created())
    }

    /// An answer to the pending remote offer; the same text as last time if nothing changed.
    ///
    /// # Errors
    /// Unless in have-remote-offer or have-local-pranswer.
    pub fn create_answer(&mut self, local: &LocalTransport) -> Result<SessionDescription, DescriptionError> {
        let offer = self.offer_to_answer("createAnswer")?;
        let document = local::answer(self.session_id, offer, self.baseline(), local);
        let answered = offer.text.clone();
        let last = self.created_answer.as_ref();
        let answer = Local::create(SdpType::Answer, document, local, last, &mut self.version);
        self.answered = answered;
        Ok(self.created_answer.insert(answer).created())
    }

    /// Applies a local description; an empty `sdp` means what `create_offer` or `create_answer` give now.
    ///
    /// # Errors
    /// In a state that does not allow the type; [`DescriptionError::Modified`] if it is not what was created last.
    pub fn set_local(
        &mut self,
        local: &LocalTransport,
        description: &SessionDescription,
    ) -> Result<Change, DescriptionError> {
        match description.kind {
            SdpType::Rollback => self.rollback(Side::Local),
            SdpType::Offer => self.set_local_offer(local, &description.sdp),
            SdpType::ProvisionalAnswer | SdpType::Answer => {
                self.set_local_answer(local, description.kind, &description.sdp)
            }
        }
    }

    /// Applies a remote description.
    ///
    /// An offer in have-local-offer undoes our own first. Should the offer be refused, this call leaves ours in
    /// place; the letter of the W3C text is to keep the rollback, which is what setting a local rollback
    /// beforehand, when [`implies_rollback`](Self::implies_rollback), gives.
    ///
    /// # Errors
    /// In a state that does not allow the type; for text that is malformed or that we cannot agree to.
    pub fn set_remote(&mut self, description: &SessionDescription) -> Result<Change, DescriptionError> {
        match description.kind {
            SdpType::Rollback => self.rollback(Side::Remote),
            SdpType::Offer => self.set_remote_offer(&description.sdp),
            SdpType::ProvisionalAnswer | SdpType::Answer => {
                self.set_remote_answer(description.kind, &description.sdp)
            }
        }
    }

    /// Asks for new ICE credentials in the next offer (W3C webrtc-pc §4.4.2 restartIce). Without effect before the
    /// first description of ours.
    pub fn request_restart(&mut self) {
        self.require_restart();
        self.restart_requested = self.restart_wanted();
    }

    /// The ICE configuration changed: the next offer, whenever it is made, has new credentials (RFC 8829 §4.1.18, the
    /// "needs-ice-restart" bit). Without effect before the first description of ours.
    pub fn require_restart(&mut self) {
        if self.closed {
            return;
        }
        let locals = [self.state.local(), self.current.as_ref().map(|current| &current.local)];
        let fragments = locals.into_iter().flatten().filter_map(Local::credentials);
        self.to_replace = fragments.map(|credentials| credentials.ufrag.clone()).collect();
    }

    /// Nothing is accepted any more; descriptions stay readable.
    pub fn close(&mut self) {
        self.closed = true;
    }

    /// Would [`set_remote`](Self::set_remote) with this type undo our pending offer first?
    pub fn implies_rollback(&self, kind: SdpType) -> bool {
        kind == SdpType::Offer && !self.closed && matches!(self.state, State::HaveLocalOffer { .. })
    }

    /// The type of `setLocalDescription()` without argument (W3C webrtc-pc §4.4.1.5).
    pub fn implied_kind(&self) -> SdpType {
        match self.state {
            State::Stable | State::HaveLocalOffer { .. } | State::HaveRemotePranswer { .. } => SdpType::Offer,
            State::HaveRemoteOffer { .. } | State::HaveLocalPranswer { .. } => SdpType::Answer,
        }
    }

    /// Must the next offer have new ICE credentials? Until an exchange is finished in which ours are new, whoever
    /// offered.
    pub fn restart_wanted(&self) -> bool {
        !self.to_replace.is_empty()
    }

    /// Would a local description of this kind, made now, need other ICE credentials than the one in force: because a
    /// restart is wanted, in general or in this offer, or because the peer's offer restarts (RFC 8839 §4.4.3.1.1)?
    pub fn renews_credentials(&self, kind: SdpType, options: OfferOptions) -> bool {
        match kind {
            SdpType::Offer => self.local_credentials().is_some_and(|in_force| {
                // W3C webrtc-pc §4.2.6: "different from the current credentials (as visible in the
                // currentLocalDescription attribute's SDP)", which a pending restart is already.
                let current = self.current.as_ref().and_then(|current| current.local.credentials());
                let asked = options.ice_restart && current == Some(in_force);
                asked || self.to_replace.contains(&in_force.ufrag)
            }),
            SdpType::ProvisionalAnswer | SdpType::Answer => {
                let State::HaveRemoteOffer { offer } = &self.state else { return false };
                let before = self.current.as_ref().and_then(|current| current.remote.transport());
                let pair = offer.transport().zip(before);
                pair.is_some_and(|(offered, before)| offered.credentials != before.credentials)
            }
            SdpType::Rollback => false,
        }
    }

    /// What the offer that was created last was asked for: what an offer without a text is to be like.
    pub fn last_offer_options(&self) -> OfferOptions {
        let created = self.created_offer.as_ref().and_then(Local::credentials);
        OfferOptions { ice_restart: created.is_some() && created != self.local_credentials() }
    }

    /// W3C webrtc-pc §4.7.3 "check if negotiation is needed"; false unless stable.
    ///
    /// `wants_data`: is there a data channel?
    pub fn negotiation_needed(&self, wants_data: bool) -> bool {
        let covered = self.current.as_ref().is_some_and(|current| current.agreed.is_some());
        let stable = !self.closed && matches!(self.state, State::Stable);
        stable && ((wants_data && !covered) || self.restart_requested)
    }

    /// RTCSignalingState.
    pub fn signaling_state(&self) -> SignalingState {
        if self.closed { SignalingState::Closed } else { self.state.name() }
    }

    /// A description with its candidates: a local one with those of its generation, a remote one with those that were
    /// added since.
    pub fn description(
        &self,
        kind: DescriptionKind,
        gathered: &[Gathered<'_>],
    ) -> Option<SessionDescription> {
        let current = self.current.as_ref();
        let local = |local: &Local| local.description(gathered);
        match kind {
            DescriptionKind::CurrentLocal => current.map(|current| local(&current.local)),
            DescriptionKind::PendingLocal => self.state.local().map(local),
            DescriptionKind::CurrentRemote => current.map(|current| current.remote.description()),
            DescriptionKind::PendingRemote => self.state.remote().map(Remote::description),
        }
    }

    /// Is there a description, pending or current, with a data section in use?
    pub fn has_transport(&self) -> bool {
        self.current.as_ref().is_some_and(|current| current.agreed.is_some())
            || self.state.local().is_some_and(|local| local.data().is_some())
            || self.state.remote().is_some_and(|remote| remote.transport().is_some())
    }

    /// Credentials of the local description in force: pending, else current.
    pub fn local_credentials(&self) -> Option<&Credentials> {
        self.local_description().and_then(Local::credentials)
    }

    /// The peer's data section in force: of the pending description, else of the current one. Candidates that
    /// trickled in are not among its own.
    pub fn remote(&self) -> Option<&RemoteTransport> {
        let current = self.current.as_ref().and_then(|current| current.remote.transport());
        self.state.remote().and_then(Remote::transport).or(current)
    }

    /// `a=sctp-port` of the local description in force: of the pending one, else of the current one.
    pub fn local_sctp_port(&self) -> Option<u16> {
        self.local_description()?.data().map(|(_, data)| data.sctp_port)
    }

    /// `sdpMid` and `sdpMLineIndex` for our candidates, of the local description in force.
    pub fn data_section(&self) -> Option<(Option<&str>, u16)> {
        let (index, data) = self.local_description()?.data()?;
        Some((data.mid.as_deref(), u16::try_from(index).ok()?))
    }

    /// RTCPeerConnection.canTrickleIceCandidates: unknown before a remote description.
    pub fn can_trickle(&self) -> Option<bool> {
        self.remote_description().map(|remote| remote.options.iter().any(|option| option == "trickle"))
    }

    fn local_description(&self) -> Option<&Local> {
        self.state.local().or(self.current.as_ref().map(|current| &current.local))
    }

    fn remote_description(&self) -> Option<&Remote> {
        self.state.remote().or(self.current.as_ref().map(|current| &current.remote))
    }

    fn set_local_offer(&mut self, local: &LocalTransport, sdp: &str) -> Result<Change, DescriptionError> {
        let operation = "setLocalDescription(offer)";
        self.check(matches!(self.state, State::Stable | State::HaveLocalOffer { .. }), operation)?;
        if sdp.is_empty() {
            self.create_offer(local)?;
        }
        let created = self.created_offer.as_ref().filter(|offer| sdp.is_empty() || offer.text == sdp);
        let offer = created.ok_or(DescriptionError::Modified)?.clone();
        let mut change = self.local_change(&offer);
        self.enter(&mut change, State::HaveLocalOffer { offer });
        Ok(change)
    }

    fn set_local_answer(
        &mut self,
        local: &LocalTransport,
        kind: SdpType,
        sdp: &str,
    ) -> Result<Change, DescriptionError> {
        let offer = self.offer_to_answer(match kind {
            SdpType::ProvisionalAnswer => "setLocalDescription(pranswer)",
            SdpType::Offer | SdpType::Answer | SdpType::Rollback => "setLocalDescription(answer)",
        })?;
        let offer = offer.clone();
        if sdp.is_empty() {
            self.create_answer(local)?;
        }
        let created = self.created_answer.as_ref().filter(|answer| sdp.is_empty() || answer.text == sdp);
        let answer = created.ok_or(DescriptionError::Modified)?.with_kind(kind);
        let mut change = self.local_change(&answer);
        let agreed = self.agree(&mut change, &answer, &offer, Side::Remote)?;
        if kind == SdpType::ProvisionalAnswer {
            self.enter(&mut change, State::HaveLocalPranswer { offer, answer, agreed });
        } else {
            change.rejected = agreed.is_none() && (offer.transport().is_some() || self.is_agreed());
            self.finish(&mut change, Current { local: answer, remote: offer, agreed });
        }
        Ok(change)
    }

    fn set_remote_offer(&mut self, sdp: &str) -> Result<Change, DescriptionError> {
        let allowed = matches!(
            self.state,
            State::Stable | State::HaveLocalOffer { .. } | State::HaveRemoteOffer { .. }
        );
        self.check(allowed, "setRemoteDescription(offer)")?;
        let current = self.current.as_ref();
        let place = current.and_then(Current::data_index).map_or(Place::First, Place::At);
        let offer = Remote::parse(SdpType::Offer, sdp, place)?;
        if let Some(current) = current {
            current.check_offer(&offer)?;
        }
        let mut change = Change::default();
        if let (Data::InUse(data), Some(current)) = (&offer.data, current.and_then(Current::baseline)) {
            let same_roles = match data.transport.setup {
                Setup::ActPass => true,
                Setup::Active => current.agreed.dtls_role == dtls::Role::Server,
                Setup::Passive => current.agreed.dtls_role == dtls::Role::Client,
            };
            data.new_association(current.remote, same_roles, self.accepts_new_associations)?;
            let before = self.remote().unwrap_or(current.remote);
            change.remote_restart = data.transport.credentials != before.credentials;
        }
        change.remote = offer.transport().cloned();
        if self.implies_rollback(SdpType::Offer) {
            change.rolled_back = true;
            self.enter(&mut change, State::Stable);
        }
        // W3C webrtc-pc §4.4.1.5: only the end of an exchange empties [[LastCreatedAnswer]]. For another offer it would not do.
        if self.answered != offer.text {
            self.created_answer = None;
        }
        self.enter(&mut change, State::HaveRemoteOffer { offer });
        Ok(change)
    }

    fn set_remote_answer(&mut self, kind: SdpType, sdp: &str) -> Result<Change, DescriptionError> {
        let operation = match kind {
            SdpType::ProvisionalAnswer => "setRemoteDescription(pranswer)",
            SdpType::Offer | SdpType::Answer | SdpType::Rollback => "setRemoteDescription(answer)",
        };
        let (State::HaveLocalOffer { offer } | State::HaveRemotePranswer { offer, .. }) = &self.state else {
            return Err(self.refuse(operation));
        };
        self.check(true, operation)?;
        let place = offer.data().map_or(Place::Nowhere, |(index, _)| Place::At(index));
        let answer = Remote::parse(kind, sdp, place)?;
        local::check_answer(&offer.document, &answer)?;
        let offer = offer.clone();
        let mut change = Change { remote: answer.transport().cloned(), ..Change::default() };
        if let (Some(before), Some(remote)) = (self.baseline(), &change.remote) {
            change.remote_restart = remote.credentials != before.remote.credentials;
        }
        let agreed = self.agree(&mut change, &offer, &answer, Side::Local)?;
        if kind == SdpType::ProvisionalAnswer {
            self.enter(&mut change, State::HaveRemotePranswer { offer, answer, agreed });
        } else {
            change.rejected = agreed.is_none() && (offer.data().is_some() || self.is_agreed());
            self.finish(&mut change, Current { local: offer, remote: answer, agreed });
        }
        Ok(change)
    }

    /// W3C webrtc-pc §4.4.1.5: only the side whose offer is pending takes it back, and not after a provisional
    /// answer.
    fn rollback(&mut self, side: Side) -> Result<Change, DescriptionError> {
        let (allowed, operation) = match side {
            Side::Local => {
                (matches!(self.state, State::HaveLocalOffer { .. }), "setLocalDescription(rollback)")
            }
            Side::Remote => {
                (matches!(self.state, State::HaveRemoteOffer { .. }), "setRemoteDescription(rollback)")
            }
        };
        self.check(allowed, operation)?;
        let mut change = Change { rolled_back: true, ..Change::default() };
        self.enter(&mut change, State::Stable);
        Ok(change)
    }

    fn local_change(&self, description: &Local) -> Change {
        let restarted = self
            .local_credentials()
            .is_some_and(|before| description.credentials().is_some_and(|now| now != before));
        Change { local: description.data().is_some(), local_restart: restarted, ..Change::default() }
    }

    /// What an offer and its answer mean for us, if both have the data section in use.
    fn agree(
        &self,
        change: &mut Change,
        local: &Local,
        remote: &Remote,
        offerer: Side,
    ) -> Result<Option<Agreed>, DescriptionError> {
        let (Some((_, slot)), Data::InUse(data)) = (local.data(), &remote.data) else { return Ok(None) };
        let dtls_role = match offerer {
            Side::Local => self.role_after_answer(remote, data),
            Side::Remote if slot.setup == Setup::Active => dtls::Role::Client,
            Side::Remote => dtls::Role::Server,
        };
        let modes = (local.mode(), data.transport.mode);
        let mut initiated = offerer == Side::Local;
        let mut new_association = false;
        if let Some(before) = self.baseline() {
            let same_roles = before.agreed.dtls_role == dtls_role;
            // RFC 8842 §6: "the answerer cannot initiate a new DTLS association unless the offerer initiated ICE
            // restart". Nor is there another generation for the final answer after a provisional one.
            let current = self.current.as_ref().and_then(|current| current.local.credentials());
            let restarts = local.credentials() != current && self.state.baseline().is_none();
            let accept = self.accepts_new_associations && restarts;
            new_association = data.new_association(before.remote, same_roles, accept)?;
            // RFC 8445 §6.1.1: "Once the roles are determined for a session, they persist throughout the lifetime
            // of the session", unless full becomes lite or lite becomes full.
            if before.agreed.modes == modes && !new_association {
                initiated = before.agreed.initiated;
            }
        }
        let agreed = Agreed { dtls_role, initiated, modes };
        change.agreement = Some(Agreement { dtls_role, ice_role: agreed.ice_role(), new_association });
        Ok(Some(agreed))
    }

    /// Our role in DTLS after the peer's answer.
    ///
    /// RFC 8842 §5.3: in a later answer "the answerer MUST insert an SDP "setup" attribute with an attribute value that does
    /// not change the previously negotiated DTLS roles". Firefox always writes `active`, and goes on in the role that it
    /// has. It is told from a new answerer with the same certificate by the session id.
    fn role_after_answer(&self, answer: &Remote, data: &InUse) -> dtls::Role {
        let goes_on = |before: &Baseline<'_>| {
            data.same_identity(before.remote) && answer.session_id == before.session_id
        };
        match self.baseline().filter(goes_on) {
            Some(before) => before.agreed.dtls_role,
            None if data.transport.setup == Setup::Passive => dtls::Role::Client,
            None => dtls::Role::Server,
        }
    }

    /// The last provisional answer of the exchange under way, else the current descriptions.
    fn baseline(&self) -> Option<Baseline<'_>> {
        self.state.baseline().or_else(|| self.current.as_ref().and_then(Current::baseline))
    }

    fn is_agreed(&self) -> bool {
        self.baseline().is_some()
    }

    /// The one place where the state changes.
    fn enter(&mut self, change: &mut Change, state: State) {
        let (from, to) = (self.state.name(), state.name());
        if from != to {
            tracing::debug!(%from, %to, "signalling state");
            change.states.push(to);
        }
        self.state = state;
    }

    /// An answer is in place: the pending descriptions become the current ones.
    fn finish(&mut self, change: &mut Change, current: Current) {
        let fragment = current.local.credentials().map(|credentials| &credentials.ufrag);
        if !fragment.is_some_and(|fragment| self.to_replace.contains(fragment)) {
            self.to_replace.clear();
            self.restart_requested = false;
        }
        self.current = Some(current);
        self.created_offer = None;
        self.created_answer = None;
        self.enter(change, State::Stable);
    }

    /// The remote offer that waits for our answer.
    fn offer_to_answer(&self, operation: &'static str) -> Result<&Remote, DescriptionError> {
        let (State::HaveRemoteOffer { offer } | State::HaveLocalPranswer { offer, .. }) = &self.state else {
            return Err(self.refuse(operation));
        };
        self.check(true, operation).map(|()| offer)
    }

    fn check(&self, allowed: bool, operation: &'static str) -> Result<(), DescriptionError> {
        if allowed && !self.closed { Ok(()) } else { Err(self.refuse(operation)) }
    }

    fn refuse(&self, operation: &'static str) -> DescriptionError {
        if self.closed {
            DescriptionError::Closed
        } else {
            DescriptionError::InvalidState { operation, state: self.state.name() }
        }
    }
}

/// 62 bits: RFC 8829 §5.2.1 asks for less than 2^63 - 1, and some peers read a signed number.
const MAX_SESSION_ID: u64 = (1 << 62) - 1;
