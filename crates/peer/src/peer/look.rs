//! What can be seen of a peer and its layers from outside.

#[cfg(feature = "__fuzzing")]
use super::Gate;
use super::{CloseReason, GatheringState, Peer, PeerState};
use crate::SignalingState;
use std::time::Duration;
use straits_dtls as dtls;
use straits_ice::{self as ice, Route};
use straits_sctp as sctp;

/// Counters of the peer and its layers.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct Stats {
    /// Datagrams that no layer took: of no known protocol, DTLS from an address ICE has not validated, or after the end.
    pub datagrams_dropped: u64,
    /// The ICE agent's.
    pub ice: ice::Stats,
    /// The DTLS session's; zero before there is one.
    pub dtls: dtls::Stats,
    /// The SCTP association's.
    pub sctp: sctp::Stats,
    /// The channels'.
    pub channels: sctp::ChannelsStats,
    /// Channels that have been open, and those of them that are not any more.
    pub channels_opened: u64,
    /// See `channels_opened`.
    pub channels_closed: u64,
}

impl Peer {
    /// What must hold after each input: no queue grows with what strangers send, and the gate is closed until all below
    /// it is up.
    #[cfg(feature = "__fuzzing")]
    #[doc(hidden)]
    pub fn check_invariants(&self) {
        self.channels.check_invariants();
        assert!(self.early_candidates.len() <= super::MAX_EARLY_CANDIDATES);
        if let Gate::Waiting { early } = &self.gate {
            assert!(early.len() <= super::MAX_EARLY_DATAGRAMS);
        }
        let is_open = matches!(self.gate, Gate::Open(_));
        assert_eq!(is_open, self.dtls_state == dtls::State::Connected && !self.ended);
        let sctp = self.channels.association();
        let is_idle = sctp.state() == sctp::State::Closed;
        assert!(is_idle || self.dtls_negotiated.is_some() || self.gate.session().is_some());
    }

    /// How far gathering is.
    pub fn gathering_state(&self) -> GatheringState {
        self.gathering
    }

    /// State of the ICE transport.
    pub fn ice_state(&self) -> ice::State {
        self.ice_state
    }

    /// State of the DTLS transport.
    pub fn dtls_state(&self) -> dtls::State {
        self.dtls_state
    }

    /// State of the SCTP association.
    pub fn sctp_state(&self) -> sctp::State {
        self.channels.association().state()
    }

    /// State of the whole.
    pub fn state(&self) -> PeerState {
        self.state
    }

    /// Why the connection failed or ended. `Some` while ICE has failed, although a restart may still mend that.
    pub fn close_reason(&self) -> Option<&CloseReason> {
        self.close_reason.as_ref()
    }

    /// The pair data is sent over.
    pub fn selected_route(&self) -> Option<Route> {
        self.ice.selected()
    }

    /// All fragments by which checks may find this peer: two around an ICE restart.
    pub fn local_ufrags(&self) -> impl Iterator<Item = &str> + Clone {
        self.ice.local_ufrags()
    }

    /// Smoothed round-trip time: SCTP's, or what ICE measured while SCTP has none.
    pub fn round_trip_time(&self) -> Option<Duration> {
        self.channels.association().stats().srtt.or(self.ice.round_trip_time())
    }

    /// Counters of all layers.
    pub fn stats(&self) -> Stats {
        Stats {
            datagrams_dropped: self.datagrams_dropped,
            ice: self.ice.stats(),
            dtls: self.gate.session().map_or(self.dtls_stats, dtls::Session::stats),
            sctp: self.channels.association().stats(),
            channels: self.channels.stats(),
            channels_opened: self.channels_opened,
            channels_closed: self.channels_opened.saturating_sub(self.open_channels()),
        }
    }

    /// The ICE agent, to look at.
    pub fn ice(&self) -> &ice::Agent {
        &self.ice
    }

    /// The SCTP association of now, to look at.
    pub fn association(&self) -> &sctp::Association {
        self.channels.association()
    }

    /// Does a description in force have a data section? From then on there are transports (W3C webrtc-pc §4.4.1.5).
    pub fn has_transports(&self) -> bool {
        self.negotiation.has_transport()
    }

    /// The role of this end in ICE: that of the agent once offer and answer are in place, before that the one that follows
    /// from who makes the offer (RFC 8445 §6.1.1). `None` before there is an offer.
    pub fn ice_role(&self) -> Option<ice::Role> {
        if self.dtls_role.is_some() {
            return Some(self.ice.role());
        }
        match self.negotiation.signaling_state() {
            SignalingState::HaveLocalOffer | SignalingState::HaveRemoteProvisionalAnswer => {
                Some(ice::Role::Controlling)
            }
            SignalingState::HaveRemoteOffer | SignalingState::HaveLocalProvisionalAnswer => {
                Some(ice::Role::Controlled)
            }
            SignalingState::Stable | SignalingState::Closed => None,
        }
    }

    /// The role of this end in DTLS, once offer and answer are in place.
    pub fn dtls_role(&self) -> Option<dtls::Role> {
        self.dtls_role
    }

    /// What the DTLS handshake agreed on, once it has ended well.
    pub fn dtls_negotiated(&self) -> Option<dtls::Negotiated> {
        match self.gate.session() {
            Some(session) => session.negotiated(),
            None => self.dtls_negotiated.clone(),
        }
    }

    /// The certificates that this side announces.
    pub fn identities(&self) -> &dtls::Identities {
        &self.identities
    }

    fn open_channels(&self) -> u64 {
        self.channels.states().filter(|state| *state == sctp::ChannelState::Open).count() as u64
    }
}
