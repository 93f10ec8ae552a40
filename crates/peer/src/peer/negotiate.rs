//! Signalling: what descriptions and candidates change in the transports.

use super::config::SCTP_PORT;
use super::{CloseReason, Event, GatheringState, MAX_EARLY_CANDIDATES, Peer};
use crate::negotiation::{Change, LocalTransport, RemoteCandidate, RemoteTransport};
use crate::{
    CandidateError, DescriptionError, DescriptionKind, IceCandidate, OfferOptions, SdpType,
    SessionDescription, SignalingState,
};
use std::net::SocketAddr;
use std::time::Instant;
use straits_dtls::{self as dtls, HashFunction};
use straits_sctp as sctp;

impl Peer {
    /// An offer for what is wanted now; the same text as last time if nothing changed (RFC 8829 §5.2).
    ///
    /// # Errors
    /// In a signalling state that does not allow it, or after the end.
    pub fn create_offer(&mut self, now: Instant) -> Result<SessionDescription, DescriptionError> {
        self.create_offer_with(now, OfferOptions::default())
    }

    /// An offer that asks for more.
    ///
    /// # Errors
    /// As [`create_offer`](Self::create_offer).
    pub fn create_offer_with(
        &mut self,
        _now: Instant,
        options: OfferOptions,
    ) -> Result<SessionDescription, DescriptionError> {
        self.refuse_when_ended()?;
        let local = self.local_transport(SdpType::Offer, options);
        self.negotiation.create_offer(&local)
    }

    /// An answer to the pending remote offer (RFC 8829 §5.3).
    ///
    /// # Errors
    /// Without a remote offer, or after the end.
    pub fn create_answer(&mut self, _now: Instant) -> Result<SessionDescription, DescriptionError> {
        self.refuse_when_ended()?;
        let local = self.local_transport(SdpType::Answer, OfferOptions::default());
        self.negotiation.create_answer(&local)
    }

    /// Applies a local description; an empty `sdp` stands for what `create_offer` or `create_answer` give. The first one
    /// with a data section, and each that restarts ICE, makes [`Event::GatheringNeeded`].
    ///
    /// # Errors
    /// In a signalling state that does not allow it, when the text is not what was created, or after the end. Nothing has
    /// changed then.
    pub fn set_local_description(
        &mut self,
        now: Instant,
        description: &SessionDescription,
    ) -> Result<(), DescriptionError> {
        self.refuse_when_ended()?;
        let local = self.local_transport(description.kind, self.negotiation.last_offer_options());
        let change = self.negotiation.set_local(&local, description)?;
        self.is_described = true;
        self.apply(now, change);
        Ok(())
    }

    /// Applies a remote description.
    ///
    /// # Errors
    /// In a signalling state that does not allow it; for a text that is malformed or cannot be served, with the line and
    /// the problem; after the end. Nothing has changed then, but that an offer undoes a pending one of ours all the same
    /// (W3C webrtc-pc §4.4.1.5: the rollback comes first).
    pub fn set_remote_description(
        &mut self,
        now: Instant,
        description: &SessionDescription,
    ) -> Result<(), DescriptionError> {
        self.refuse_when_ended()?;
        if self.implies_rollback(description) {
            let rollback = SessionDescription { kind: SdpType::Rollback, sdp: String::new() };
            self.set_local_description(now, &rollback)?;
        }
        let change = self.negotiation.set_remote(description)?;
        self.apply(now, change);
        for candidate in std::mem::take(&mut self.early_candidates) {
            if let Err(error) = self.add_remote_candidate(now, candidate) {
                tracing::debug!(%error, "early candidate refused");
            }
        }
        Ok(())
    }

    /// Whether applying this remote description takes back an offer of ours first (W3C webrtc-pc §4.4.1.4).
    pub fn implies_rollback(&self, remote: &SessionDescription) -> bool {
        !self.ended && self.negotiation.implies_rollback(remote.kind)
    }

    /// Whether an offer is wanted now: what [`Event::NegotiationNeeded`] told, unless it has been done since.
    pub fn negotiation_needed(&self) -> bool {
        self.negotiation_needed
    }

    /// The type that a local description without one would have (W3C webrtc-pc §4.4.1.5).
    pub fn implied_local_type(&self) -> SdpType {
        self.negotiation.implied_kind()
    }

    /// A description with the candidates known so far.
    pub fn description(&self, kind: DescriptionKind) -> Option<SessionDescription> {
        let gathered: Vec<_> = self.ice.gathered().collect();
        self.negotiation.description(kind, &gathered)
    }

    /// Takes a candidate of the other side; `None`: there will be no more. Before the remote description up to 100 are
    /// held. Candidates of kinds that are not served (TCP, names) are accepted and left alone.
    ///
    /// # Errors
    /// When it names no or an unknown section or generation, is malformed, too many are held, or after the end.
    pub fn add_remote_candidate(
        &mut self,
        now: Instant,
        candidate: Option<IceCandidate>,
    ) -> Result<(), CandidateError> {
        if self.ended {
            return Err(CandidateError::Closed);
        }
        if self.negotiation.remote().is_none() && self.description(DescriptionKind::PendingRemote).is_none() {
            if self.early_candidates.len() >= MAX_EARLY_CANDIDATES {
                return Err(CandidateError::TooManyEarly { max: MAX_EARLY_CANDIDATES });
            }
            self.early_candidates.push(candidate);
            return Ok(());
        }
        match self.negotiation.add_remote_candidate(&candidate.unwrap_or_default())? {
            RemoteCandidate::Candidate(candidate) => self.ice.add_remote_candidate(now, candidate)?,
            RemoteCandidate::EndOfCandidates => self.ice.set_remote_gathering_complete(now),
            RemoteCandidate::Unused => {}
        }
        self.settle(now);
        Ok(())
    }

    /// Adds an address this side can be reached at, in answer to [`Event::GatheringNeeded`].
    pub fn add_local_candidate(&mut self, now: Instant, address: SocketAddr) {
        self.add_announced_candidate(now, address, address);
    }

    /// As [`add_local_candidate`](Self::add_local_candidate) for an address that the peer reaches as `announced`: see
    /// [`straits_ice::Agent::add_announced_candidate`].
    pub fn add_announced_candidate(&mut self, now: Instant, address: SocketAddr, announced: SocketAddr) {
        self.gather(now, Some((address, announced)));
    }

    /// All addresses were added.
    pub fn set_gathering_complete(&mut self, now: Instant) {
        self.gather(now, None);
    }

    /// Asks for an ICE restart: the next offer has new credentials (W3C webrtc-pc §4.4.2 `restartIce`).
    pub fn restart_ice(&mut self, now: Instant) {
        self.negotiation.request_restart();
        self.settle(now);
    }

    /// The ICE candidate policy (RFC 8829 §3.5.3): with `true` only relayed candidates may be used, of which this peer has
    /// none, so that [`add_local_candidate`](Self::add_local_candidate) is without effect. At first `false`.
    ///
    /// RFC 8829 §4.1.18: "Any change to the ICE candidate policy affects the next gathering phase." Once one has begun, the next
    /// offer therefore has new credentials; that alone does not make negotiation needed.
    pub fn set_relay_only(&mut self, relay_only: bool) {
        if std::mem::replace(&mut self.relay_only, relay_only) != relay_only {
            self.negotiation.require_restart();
        }
    }

    /// Was a local description set, whatever became of it?
    pub fn is_described(&self) -> bool {
        self.is_described
    }

    /// Asks for a new SCTP association in place of the one there is, on the same DTLS association: the next offer has a new
    /// `a=sctp-port` (RFC 8841 §10.5). When it is answered, all channels that had a stream are closed as if the peer had
    /// restarted, and new ones may be opened. Without effect before there is an association.
    pub fn renew_association(&mut self, now: Instant) {
        self.renews = self.dtls_role.is_some() && !self.ended;
        self.settle(now);
    }

    /// Whether the peer's description offers trickle ICE; `None` before there is one.
    pub fn can_trickle(&self) -> Option<bool> {
        self.negotiation.can_trickle()
    }

    /// The largest message the peer takes, in bytes; `None` when that is unlimited or not known yet.
    pub fn max_message_size(&self) -> Option<usize> {
        self.negotiation.remote().and_then(|remote| remote.max_message_size)
    }

    fn refuse_when_ended(&self) -> Result<(), DescriptionError> {
        if self.ended { Err(DescriptionError::Closed) } else { Ok(()) }
    }

    /// What a description of this kind, made now, would say of this side.
    fn local_transport(&mut self, kind: SdpType, options: OfferOptions) -> LocalTransport {
        let renews = self.negotiation.renews_credentials(kind, options);
        let (credentials, candidates) = if renews {
            (self.ice.next_credentials().clone(), Vec::new())
        } else {
            (self.ice.local_credentials().clone(), self.ice.local_candidates().to_vec())
        };
        LocalTransport {
            credentials,
            mode: self.ice.mode(),
            // RFC 8829 §5.2.1: "one or more "a=fingerprint" lines for each of the endpoint's certificates". SHA-256 is
            // what every peer knows.
            fingerprints: self.identities.iter().map(|one| one.fingerprint(HashFunction::Sha256)).collect(),
            sctp_port: self.sctp_port(),
            max_message_size: self.config.max_message_size,
            wants_data: self.wants_data,
            candidates,
            end_of_candidates: !renews && self.ice.is_gathering_complete(),
        }
    }

    /// Our SCTP port in a description made now.
    fn sctp_port(&self) -> u16 {
        let (ours, theirs) = self.channels.ports();
        // RFC 8841 §10.3: "If the offer contained a new (different than the one currently used) SCTP port value, the
        // answerer MUST also associate a new SCTP port value."
        let is_asked = self.dtls_role.is_some()
            && self.negotiation.implied_kind() == SdpType::Answer
            && self.negotiation.remote().is_some_and(|remote| remote.sctp_port != theirs);
        if self.renews || is_asked { ours.checked_add(1).unwrap_or(SCTP_PORT) } else { ours }
    }

    /// Our offer of a new association is out: the peer may have begun it, and ended the one there is.
    pub(super) fn awaits_new_association(&self) -> bool {
        self.dtls_role.is_some()
            && self.negotiation.implied_kind() == SdpType::Offer
            && self.negotiation.local_sctp_port().is_some_and(|port| port != self.channels.ports().0)
    }

    fn apply(&mut self, now: Instant, change: Change) {
        self.now = now;
        for state in change.states {
            self.events.push_back(Event::SignalingStateChanged(state));
        }
        if change.rolled_back {
            self.roll_back(now);
        }
        if change.local && change.local_restart {
            self.ice.restart(now);
        }
        if change.local && !self.gathers && !self.ice.is_gathering_complete() {
            self.gathers = true;
            self.events.push_back(Event::GatheringNeeded);
        }
        if let Some(agreement) = change.agreement {
            if agreement.new_association {
                // An offerer hears of it from the answer: then it must not be taken for the end.
                let is_expected = !change.local;
                self.replace_dtls(now, is_expected);
            }
            self.dtls_role = Some(agreement.dtls_role);
            // W3C webrtc-pc §4.4.1.5: channels have their ids when the description is applied.
            let role = match agreement.dtls_role {
                dtls::Role::Client => sctp::Role::Client,
                dtls::Role::Server => sctp::Role::Server,
            };
            self.channels.set_role(now, role);
            self.ice.set_role(now, agreement.ice_role);
            if let Some(remote) = self.negotiation.remote().cloned() {
                self.apply_remote(now, &remote);
            }
        }
        if change.rejected {
            self.end(now, CloseReason::DataRejected);
        }
        self.settle(now);
    }

    /// The offer is taken back, and what it began with it.
    fn roll_back(&mut self, now: Instant) {
        if self.negotiation.local_credentials() == Some(self.ice.local_credentials()) {
            return;
        }
        self.gathers = false;
        if !self.negotiation.has_transport() {
            self.ice.forget_local_candidates();
            self.set_gathering(GatheringState::New);
            return;
        }
        self.ice.cancel_restart(now);
        if self.ice.is_gathering_complete() {
            self.set_gathering(GatheringState::Complete);
        } else {
            // The restart came before the addresses of the generation that goes on now.
            self.gathers = true;
            self.events.push_back(Event::GatheringNeeded);
        }
    }

    pub(super) fn set_gathering(&mut self, state: GatheringState) {
        if self.gathering != state {
            self.gathering = state;
            self.events.push_back(Event::IceGatheringStateChanged(state));
        }
    }

    /// Both descriptions are in place: the transports may begin.
    fn apply_remote(&mut self, now: Instant, remote: &RemoteTransport) {
        if self.ice.remote_credentials() != Some(&remote.credentials) {
            self.ice.set_remote_credentials(now, remote.credentials.clone(), remote.mode);
        }
        for candidate in &remote.candidates {
            if let Err(error) = self.ice.add_remote_candidate(now, candidate.clone()) {
                tracing::debug!(%error, "candidate of the description not taken");
            }
        }
        if remote.end_of_candidates {
            self.ice.set_remote_gathering_complete(now);
        }
        let (ours, _) = self.channels.ports();
        let local_port = self.negotiation.local_sctp_port().unwrap_or(ours);
        self.renews &= local_port == ours;
        self.channels.set_ports(now, local_port, remote.sctp_port);
        self.channels.set_max_send_message_size(remote.max_message_size);
    }

    /// The signalling state.
    pub fn signaling_state(&self) -> SignalingState {
        if self.ended { SignalingState::Closed } else { self.negotiation.signaling_state() }
    }
}
