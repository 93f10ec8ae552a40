//! Offers, answers, candidates: the JSEP methods of a connection.

use super::PeerConnection;
use crate::{Error, ErrorName, IceCandidate, SdpType, SessionDescription, SignalingState};
use std::future::{Ready, poll_fn, ready};
use std::time::Instant;
use straits_peer::{DescriptionError, DescriptionKind, Peer};

impl PeerConnection {
    /// `createOffer`, W3C webrtc-pc §4.4.1.6.
    ///
    /// # Errors
    ///
    /// `InvalidStateError` on a closed connection or while an offer of the peer waits for its answer.
    pub async fn create_offer(&self) -> Result<SessionDescription, Error> {
        self.create(Peer::create_offer)
    }

    /// `createAnswer`, W3C webrtc-pc §4.4.1.7.
    ///
    /// # Errors
    ///
    /// `InvalidStateError` on a closed connection or when there is no offer of the peer to answer.
    pub async fn create_answer(&self) -> Result<SessionDescription, Error> {
        self.create(Peer::create_answer)
    }

    fn create(
        &self,
        create: fn(&mut Peer, Instant) -> Result<straits_peer::SessionDescription, DescriptionError>,
    ) -> Result<SessionDescription, Error> {
        self.0.with(|state, now| {
            if state.is_over() {
                return Err(Error::closed(state.reason()));
            }
            Ok(create(&mut state.peer, now)?.into())
        })
    }

    /// `setLocalDescription`. The first one with a data section binds the sockets and begins to gather candidates.
    ///
    /// A description with an empty `sdp` stands for what was, or would be, created for its type.
    ///
    /// # Errors
    ///
    /// `InvalidStateError` when the type does not fit the signalling state. `InvalidModificationError` when it is not what
    /// `create_offer` or `create_answer` made last. `OperationError` when no socket can be bound; the description is set
    /// then, and setting it again tries again.
    pub async fn set_local_description(&self, description: SessionDescription) -> Result<(), Error> {
        self.apply(Peer::set_local_description, description).await
    }

    /// `setLocalDescription()` without an argument: an offer, or an answer when there is an offer of the peer.
    ///
    /// # Errors
    ///
    /// As [`set_local_description`](Self::set_local_description).
    pub async fn set_local_description_implicitly(&self) -> Result<(), Error> {
        let kind = match SignalingState::from(self.0.lock().peer.signaling_state()) {
            SignalingState::Stable
            | SignalingState::HaveLocalOffer
            | SignalingState::HaveRemotePranswer
            | SignalingState::Closed => SdpType::Offer,
            SignalingState::HaveRemoteOffer | SignalingState::HaveLocalPranswer => SdpType::Answer,
        };
        self.set_local_description(SessionDescription { kind, sdp: String::new() }).await
    }

    /// `setRemoteDescription`: what the peer sent.
    ///
    /// # Errors
    ///
    /// `InvalidStateError` when the type does not fit the signalling state. An `OperationError` with
    /// [`ErrorDetail::SdpSyntaxError`](crate::ErrorDetail::SdpSyntaxError) names the line that is not SDP.
    /// `InvalidAccessError` when the description is well-formed but cannot be used. The connection is unchanged then, but that
    /// an offer undoes a pending one of ours all the same.
    pub async fn set_remote_description(&self, description: SessionDescription) -> Result<(), Error> {
        self.apply(Peer::set_remote_description, description).await
    }

    /// Resolves once the handlers of what it changed have run (W3C behaviour SLD-07).
    async fn apply(
        &self,
        apply: fn(&mut Peer, Instant, &straits_peer::SessionDescription) -> Result<(), DescriptionError>,
        description: SessionDescription,
    ) -> Result<(), Error> {
        self.0.with(|state, now| {
            if state.is_over() {
                return Err(Error::closed(state.reason()));
            }
            Ok(apply(&mut state.peer, now, &description.into())?)
        })?;
        let mark = self.0.lock().mark();
        if self.0.lock().wants_endpoint() {
            self.0.inner().ensure_endpoint()?;
        }
        poll_fn(|cx| self.0.lock().poll_mark(cx, mark)).await;
        Ok(())
    }

    /// The local description: the pending one if there is one, else the current one. It contains the candidates that are
    /// known so far.
    #[must_use]
    pub fn local_description(&self) -> Option<SessionDescription> {
        self.pending_local_description().or_else(|| self.current_local_description())
    }

    /// The remote description: the pending one if there is one, else the current one.
    #[must_use]
    pub fn remote_description(&self) -> Option<SessionDescription> {
        self.pending_remote_description().or_else(|| self.current_remote_description())
    }

    /// The local description that was agreed on last.
    #[must_use]
    pub fn current_local_description(&self) -> Option<SessionDescription> {
        self.description(DescriptionKind::CurrentLocal)
    }

    /// The local description of the exchange that is under way.
    #[must_use]
    pub fn pending_local_description(&self) -> Option<SessionDescription> {
        self.description(DescriptionKind::PendingLocal)
    }

    /// The remote description that was agreed on last.
    #[must_use]
    pub fn current_remote_description(&self) -> Option<SessionDescription> {
        self.description(DescriptionKind::CurrentRemote)
    }

    /// The remote description of the exchange that is under way.
    #[must_use]
    pub fn pending_remote_description(&self) -> Option<SessionDescription> {
        self.description(DescriptionKind::PendingRemote)
    }

    fn description(&self, kind: DescriptionKind) -> Option<SessionDescription> {
        self.0.lock().peer.description(kind).map(Into::into)
    }

    /// `addIceCandidate`: a candidate of the peer; `None`, or one whose text is empty, says that there are no more.
    ///
    /// It takes effect when called; the future only carries the result, which
    /// [`into_inner`](std::future::Ready::into_inner) gives without awaiting. Before there is a remote description up to 100
    /// candidates are held.
    ///
    /// # Errors
    ///
    /// `TypeError` without `sdp_mid` and `sdp_mline_index`. `OperationError` for a section or generation that the remote
    /// description does not have, and for a text that is no candidate. `InvalidStateError` on a closed connection, and, with
    /// [`Configuration::strict_w3c`](crate::Configuration::strict_w3c), before there is a remote description.
    pub fn add_ice_candidate(&self, candidate: impl Into<Option<IceCandidate>>) -> Ready<Result<(), Error>> {
        let candidate: Option<IceCandidate> = candidate.into();
        let strict = self.0.configuration.strict_w3c;
        let result = self.0.with(|state, now| {
            if state.is_over() {
                return Err(Error::closed(state.reason()));
            }
            let is_described = [DescriptionKind::PendingRemote, DescriptionKind::CurrentRemote]
                .into_iter()
                .any(|kind| state.peer.description(kind).is_some());
            if strict && !is_described {
                let what = "there is no remote description";
                return Err(Error::new(ErrorName::InvalidStateError, what, "set it first"));
            }
            Ok(state.peer.add_remote_candidate(now, candidate.map(Into::into))?)
        });
        ready(result)
    }

    /// `restartIce`: the next offer asks for new ICE credentials.
    pub fn restart_ice(&self) {
        self.0.with(|state, now| {
            if !state.is_over() {
                state.peer.restart_ice(now);
            }
        });
    }
}
