//! `RTCIceTransport`.

use crate::{
    IceCandidate, IceCandidateType, IceComponent, IceConnectionState, IceGatheringState, IceRole,
    PeerConnection,
};
use std::fmt;
use straits_peer::Peer;
use straits_peer::ice::{Candidate, Credentials, RemoteCandidate};

/// `RTCIceTransport`, W3C webrtc-pc §5.6: the ICE agent of a connection. From
/// [`DtlsTransport::ice_transport`](crate::DtlsTransport::ice_transport).
///
/// It is a handle on its connection. Its handlers are some of the connection; each is called before the one that the
/// connection has for the same change.
#[derive(Clone, Debug)]
#[doc(alias = "RTCIceTransport")]
pub struct IceTransport(PeerConnection);

/// `RTCIceCandidatePair`, W3C webrtc-pc §5.6.2: over which addresses data flows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IceCandidatePair {
    /// The candidate of this side.
    pub local: IceCandidate,
    /// The candidate of the peer. Its text is empty when the peer never told it: an address that was merely seen on the
    /// network stays hidden.
    pub remote: IceCandidate,
    /// How the candidate of the peer was learnt.
    pub remote_kind: IceCandidateType,
}

/// `RTCIceParameters`, W3C webrtc-pc §5.6.3: the credentials of one side. `Debug` does not show the password.
#[derive(Clone, PartialEq, Eq)]
pub struct IceParameters {
    /// `a=ice-ufrag`
    pub username_fragment: String,
    /// `a=ice-pwd`
    pub password: String,
}

impl IceTransport {
    pub(super) fn new(connection: PeerConnection) -> Self {
        Self(connection)
    }

    fn look<R>(&self, look: impl FnOnce(&Peer) -> R) -> R {
        look(&self.0.inner().lock().peer)
    }

    /// Which end nominates; unknown before there is an offer.
    #[must_use]
    pub fn role(&self) -> IceRole {
        self.look(Peer::ice_role).into()
    }

    /// Always [`IceComponent::Rtp`]: data channels have one component.
    #[must_use]
    pub fn component(&self) -> IceComponent {
        IceComponent::Rtp
    }

    /// Where ICE stands. With one transport it is the state of the connection's ICE.
    #[must_use]
    pub fn state(&self) -> IceConnectionState {
        self.0.ice_connection_state()
    }

    /// How far the collection of local candidates is.
    #[must_use]
    pub fn gathering_state(&self) -> IceGatheringState {
        self.0.ice_gathering_state()
    }

    /// `getLocalCandidates`: what was found, and told or about to be told to the peer.
    #[must_use]
    #[doc(alias = "getLocalCandidates")]
    pub fn local_candidates(&self) -> Vec<IceCandidate> {
        self.look(|peer| {
            let candidates = peer.ice().local_candidates().iter();
            candidates.map(|candidate| local(peer, candidate)).collect()
        })
    }

    /// `getRemoteCandidates`: what the peer has told and this side can use. Addresses that were merely seen are not among
    /// them.
    #[must_use]
    #[doc(alias = "getRemoteCandidates")]
    pub fn remote_candidates(&self) -> Vec<IceCandidate> {
        self.look(|peer| {
            let known = peer.ice().known_remote_candidates();
            known.filter(|known| known.is_signalled).map(|known| remote(peer, &known)).collect()
        })
    }

    /// `getSelectedCandidatePair`: over what data flows; `None` before there is a pair, and after the end.
    #[must_use]
    #[doc(alias = "getSelectedCandidatePair")]
    pub fn selected_candidate_pair(&self) -> Option<IceCandidatePair> {
        self.look(|peer| {
            let agent = peer.ice();
            let route = agent.selected()?;
            let mut of_peer = agent.known_remote_candidates();
            let known = of_peer.find(|known| known.candidate.udp_address() == Some(route.remote))?;
            Some(IceCandidatePair {
                local: local(peer, agent.local_candidate(route.local)?),
                remote: remote(peer, &known),
                remote_kind: known.candidate.kind.into(),
            })
        })
    }

    /// `getLocalParameters`: the credentials of this side.
    #[must_use]
    #[doc(alias = "getLocalParameters")]
    pub fn local_parameters(&self) -> IceParameters {
        self.look(|peer| peer.ice().local_credentials().clone().into())
    }

    /// `getRemoteParameters`: the credentials of the peer, once offer and answer are in place.
    #[must_use]
    #[doc(alias = "getRemoteParameters")]
    pub fn remote_parameters(&self) -> Option<IceParameters> {
        self.look(|peer| peer.ice().remote_credentials().cloned().map(Into::into))
    }

    /// Called when [`state`](Self::state) changes, with the new state.
    pub fn on_state_change(&self, handler: impl FnMut(IceConnectionState) + Send + 'static) {
        self.0.set(|handlers| handlers.ice_state.replace(Box::new(handler)), |_| {});
    }

    /// Called when [`gathering_state`](Self::gathering_state) changes, with the new state.
    pub fn on_gathering_state_change(&self, handler: impl FnMut(IceGatheringState) + Send + 'static) {
        self.0.set(|handlers| handlers.gathering_state.replace(Box::new(handler)), |_| {});
    }

    /// Called when data begins to flow over another pair; see [`selected_candidate_pair`](Self::selected_candidate_pair).
    pub fn on_selected_candidate_pair_change(&self, handler: impl FnMut() + Send + 'static) {
        self.0.set(|handlers| handlers.selected_pair.replace(Box::new(handler)), |_| {});
    }
}

fn local(peer: &Peer, candidate: &Candidate) -> IceCandidate {
    peer.signalled(candidate.to_string()).into()
}

fn remote(peer: &Peer, known: &RemoteCandidate<'_>) -> IceCandidate {
    let text = if known.is_signalled { known.candidate.to_string() } else { String::new() };
    let ufrag = peer.ice().remote_credentials().map(|credentials| credentials.ufrag.clone());
    IceCandidate { username_fragment: ufrag, ..peer.signalled(text).into() }
}

impl From<Credentials> for IceParameters {
    fn from(credentials: Credentials) -> Self {
        Self { username_fragment: credentials.ufrag, password: credentials.password }
    }
}

impl fmt::Debug for IceParameters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IceParameters")
            .field("username_fragment", &self.username_fragment)
            .finish_non_exhaustive()
    }
}
