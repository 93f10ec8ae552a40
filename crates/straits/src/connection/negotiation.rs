//! Offers, answers, candidates: the JSEP methods of a connection.

use super::state::{self, Ticket};
use super::{Inner, PeerConnection};
use crate::wakers::wait_fn;
use crate::{Error, IceCandidate, SessionDescription};
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;
use straits_peer::{DescriptionError, OfferOptions, Peer};

impl PeerConnection {
    /// `createOffer`, W3C webrtc-pc §4.4.1.6.
    ///
    /// # Errors
    ///
    /// `InvalidStateError` on a closed connection or while an offer of the peer waits for its answer.
    pub async fn create_offer(&self) -> Result<SessionDescription, Error> {
        self.create_offer_with(OfferOptions::default()).await
    }

    /// `createOffer` with options: `create_offer_with(OfferOptions::default().ice_restart(true))` makes an offer that
    /// restarts ICE.
    ///
    /// # Errors
    ///
    /// As [`create_offer`](Self::create_offer).
    pub async fn create_offer_with(&self, options: OfferOptions) -> Result<SessionDescription, Error> {
        self.create(|peer, now| peer.create_offer_with(now, options)).await
    }

    /// `createAnswer`, W3C webrtc-pc §4.4.1.7.
    ///
    /// # Errors
    ///
    /// `InvalidStateError` on a closed connection or when there is no offer of the peer to answer.
    pub async fn create_answer(&self) -> Result<SessionDescription, Error> {
        self.create(Peer::create_answer).await
    }

    async fn create(
        &self,
        create: impl FnOnce(&mut Peer, Instant) -> Result<straits_peer::SessionDescription, DescriptionError>,
    ) -> Result<SessionDescription, Error> {
        let _turn = Operation::begin(self.0.inner()).await;
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
        let operation = Operation::begin(self.0.inner()).await;
        operation.set_local(|_| description.into()).await
    }

    /// `setLocalDescription()` without an argument: an offer, or an answer when there is an offer of the peer.
    ///
    /// # Errors
    ///
    /// As [`set_local_description`](Self::set_local_description).
    pub async fn set_local_description_implicitly(&self) -> Result<(), Error> {
        let operation = Operation::begin(self.0.inner()).await;
        let implied = |peer: &Peer| straits_peer::SessionDescription {
            kind: peer.implied_local_type(),
            sdp: String::new(),
        };
        operation.set_local(implied).await
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
        let operation = Operation::begin(self.0.inner()).await;
        operation.set_remote(description).await
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
        self.0.lock().descriptions().current_local.clone()
    }

    /// The local description of the exchange that is under way.
    #[must_use]
    pub fn pending_local_description(&self) -> Option<SessionDescription> {
        self.0.lock().descriptions().pending_local.clone()
    }

    /// The remote description that was agreed on last.
    #[must_use]
    pub fn current_remote_description(&self) -> Option<SessionDescription> {
        self.0.lock().descriptions().current_remote.clone()
    }

    /// The remote description of the exchange that is under way.
    #[must_use]
    pub fn pending_remote_description(&self) -> Option<SessionDescription> {
        self.0.lock().descriptions().pending_remote.clone()
    }

    /// `addIceCandidate`: a candidate of the peer; `None`, or one whose text is empty, says that there are no more.
    ///
    /// It takes effect whether or not the future is awaited: at once, or after the calls on descriptions that are under way.
    /// Before there is a remote description up to 100 candidates are held.
    ///
    /// # Errors
    ///
    /// `TypeError` without `sdp_mid` and `sdp_mline_index`. `OperationError` for a section or generation that the remote
    /// description does not have, and for a text that is no candidate. `InvalidStateError` on a closed connection, and, with
    /// [`Configuration::strict_w3c`](crate::Configuration::strict_w3c), before there is a remote description.
    pub fn add_ice_candidate(&self, candidate: impl Into<Option<IceCandidate>>) -> AddIceCandidate {
        let candidate = candidate.into();
        AddIceCandidate(self.0.with(|state, now| state.add_candidate(now, candidate)))
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

/// What became of a candidate of the peer. From [`PeerConnection::add_ice_candidate`], which takes effect without it.
#[derive(Debug)]
pub struct AddIceCandidate(state::AddIceCandidate);

impl Future for AddIceCandidate {
    type Output = Result<(), Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        match &mut self.0 {
            state::AddIceCandidate::Done(result) => Poll::Ready(result.clone()),
            state::AddIceCandidate::Chained(answer) => {
                Pin::new(answer).poll(cx).map(|answer| answer.unwrap_or_else(|_| Err(Error::closed(None))))
            }
        }
    }
}

/// A place in the operations chain (W3C webrtc-pc §4.4.1.2), given back when dropped.
struct Operation<'a> {
    connection: &'a Arc<Inner>,
    ticket: Ticket,
}

impl<'a> Operation<'a> {
    /// Takes the last place when first polled, and waits until the operations before this one are done.
    async fn begin(connection: &'a Arc<Inner>) -> Self {
        let operation = Self { connection, ticket: connection.lock().begin_operation() };
        poll_fn(|cx| connection.lock().poll_turn(operation.ticket, cx)).await;
        operation
    }

    async fn set_local(
        &self,
        description: impl FnOnce(&Peer) -> straits_peer::SessionDescription,
    ) -> Result<(), Error> {
        self.apply(|peer, now| {
            let description = description(peer);
            peer.set_local_description(now, &description)
        })?;
        if self.connection.lock().wants_endpoint() {
            self.connection.ensure_endpoint()?;
        }
        self.finish().await
    }

    async fn set_remote(&self, description: SessionDescription) -> Result<(), Error> {
        let description = description.into();
        // W3C webrtc-pc §4.4.1.4: the rollback is a step of its own, with its own event.
        if self.connection.lock().peer.implies_rollback(&description) {
            let rollback = SessionDescription::rollback().into();
            self.apply(|peer, now| peer.set_local_description(now, &rollback))?;
        }
        self.apply(|peer, now| peer.set_remote_description(now, &description))?;
        self.finish().await
    }

    fn apply(
        &self,
        apply: impl FnOnce(&mut Peer, Instant) -> Result<(), DescriptionError>,
    ) -> Result<(), Error> {
        self.connection.with(|state, now| {
            if state.is_over() {
                return Err(Error::closed(state.reason()));
            }
            state.describe();
            Ok(apply(&mut state.peer, now)?)
        })
    }

    /// Waits for the handlers of what it changed (W3C behaviour SLD-07).
    async fn finish(&self) -> Result<(), Error> {
        let mark = self.connection.lock().mark();
        wait_fn(|wait| self.connection.lock().poll_mark(wait, mark)).await
    }
}

impl Drop for Operation<'_> {
    fn drop(&mut self) {
        self.connection.with(|state, now| state.end_operation(now, self.ticket));
    }
}
