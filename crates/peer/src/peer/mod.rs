//! skeleton of the composition (owner: lead)
use crate::{
    CandidateError, DescriptionError, DescriptionKind, IceCandidate, SessionDescription, SignalingState,
};
use bytes::BytesMut;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use straits_dtls as dtls;
use straits_ice::{self as ice, Route};
use straits_sctp::{self as sctp, Channel, ChannelEvent, ChannelId, ChannelInit, OpenError};

/// What a datagram is, by its first byte (RFC 7983).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Classification<'a> {
    /// with the local fragment of USERNAME of a Binding request, unauthenticated
    Stun {
        local_ufrag: Option<&'a str>,
    },
    Dtls,
    Other,
}

/// Classifies without believing anything.
#[allow(clippy::todo)]
pub fn classify(_datagram: &[u8]) -> Classification<'_> {
    todo!()
}

/// RTCPeerConnectionState.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum PeerState {
    New,
    Connecting,
    Connected,
    Disconnected,
    Failed,
    Closed,
}

/// Why the connection ended or failed: names the layer. `Display` is one line.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[allow(missing_docs)]
pub enum CloseReason {
    /// `close`; undelivered bytes that `send` had accepted
    Local {
        undelivered: usize,
    },
    Ice(ice::FailureReason),
    Dtls(dtls::CloseReason),
    Sctp(sctp::CloseReason),
}

/// What changed, in W3C order.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[allow(missing_docs)]
pub enum Event {
    NegotiationNeeded,
    SignalingStateChanged(SignalingState),
    IceGatheringStateChanged(GatheringState),
    IceStateChanged(ice::State),
    DtlsStateChanged(dtls::State),
    ConnectionStateChanged(PeerState),
    /// The owner is to bind and gather, then call add_local_candidate… and set_gathering_complete.
    GatheringNeeded,
    /// To be signalled; None = end of candidates
    IceCandidate(Option<IceCandidate>),
    /// Demultiplexing: this route / local ufrag is authenticated as ours
    RouteAdded(Route),
    RouteRemoved(Route),
    RouteSelected(Route),
    Channel(ChannelEvent),
    /// Terminal, once; nothing follows. `close_reason()` remembers it.
    Closed(CloseReason),
}

/// RTCIceGatheringState.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum GatheringState {
    New,
    Gathering,
    Complete,
}

/// One GSO run written by `poll_transmit`: `size` bytes at the end of the buffer, datagrams of `segment_size` (the last may be shorter).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Transmit {
    pub route: Route,
    pub size: usize,
    pub segment_size: Option<usize>,
}

/// Settings: private fields, chained setters.
#[derive(Clone, Debug, Default)]
pub struct Config {}

/// Counters of all layers.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
#[allow(missing_docs)]
pub struct Stats {
    pub datagrams_dropped: u64,
    pub ice: ice::Stats,
    pub dtls: dtls::Stats,
    pub sctp: sctp::Stats,
}

/// One WebRTC peer.
#[derive(Debug)]
pub struct Peer {}

#[allow(unused_variables, missing_docs, clippy::todo)]
impl Peer {
    pub fn new(config: Config, identity: dtls::Identity, seed: [u8; 32], now: Instant) -> Self {
        todo!()
    }

    // JSEP
    pub fn create_offer(&mut self, now: Instant) -> Result<SessionDescription, DescriptionError> {
        todo!()
    }
    pub fn create_answer(&mut self, now: Instant) -> Result<SessionDescription, DescriptionError> {
        todo!()
    }
    /// Empty `sdp`: what was (or would be) created for the type.
    pub fn set_local_description(
        &mut self,
        now: Instant,
        description: SessionDescription,
    ) -> Result<(), DescriptionError> {
        todo!()
    }
    pub fn set_remote_description(
        &mut self,
        now: Instant,
        description: SessionDescription,
    ) -> Result<(), DescriptionError> {
        todo!()
    }
    /// With the candidates known so far.
    pub fn description(&self, kind: DescriptionKind) -> Option<SessionDescription> {
        todo!()
    }
    /// None: end of candidates for every section.
    pub fn add_remote_candidate(
        &mut self,
        now: Instant,
        candidate: Option<IceCandidate>,
    ) -> Result<(), CandidateError> {
        todo!()
    }
    pub fn add_local_candidate(&mut self, now: Instant, address: SocketAddr) {
        todo!()
    }
    pub fn set_gathering_complete(&mut self, now: Instant) {
        todo!()
    }

    // states
    pub fn signaling_state(&self) -> SignalingState {
        todo!()
    }
    pub fn gathering_state(&self) -> GatheringState {
        todo!()
    }
    pub fn ice_state(&self) -> ice::State {
        todo!()
    }
    pub fn dtls_state(&self) -> dtls::State {
        todo!()
    }
    pub fn sctp_state(&self) -> sctp::State {
        todo!()
    }
    pub fn state(&self) -> PeerState {
        todo!()
    }
    pub fn close_reason(&self) -> Option<&CloseReason> {
        todo!()
    }
    pub fn can_trickle(&self) -> Option<bool> {
        todo!()
    }
    /// For the endpoint's table of connectivity checks.
    pub fn local_ufrag(&self) -> &str {
        todo!()
    }
    pub fn selected_route(&self) -> Option<Route> {
        todo!()
    }
    /// What the peer accepts in one message; None: unlimited or not known yet.
    pub fn max_message_size(&self) -> Option<usize> {
        todo!()
    }
    pub fn stats(&self) -> Stats {
        todo!()
    }

    // channels
    pub fn open_channel(&mut self, now: Instant, init: ChannelInit) -> Result<ChannelId, OpenError> {
        todo!()
    }
    pub fn channel(&mut self, id: ChannelId) -> Option<Channel<'_>> {
        todo!()
    }
    /// A closed channel whose inbox is not wanted any more.
    pub fn forget_channel(&mut self, id: ChannelId) {
        todo!()
    }

    // time and bytes
    pub fn handle_datagram(&mut self, now: Instant, route: Route, datagram: &[u8]) {
        todo!()
    }
    pub fn handle_timeout(&mut self, now: Instant) {
        todo!()
    }
    /// Appends up to `max_segments` datagrams for one route to `buffer`.
    pub fn poll_transmit(
        &mut self,
        now: Instant,
        max_segments: usize,
        buffer: &mut BytesMut,
    ) -> Option<Transmit> {
        todo!()
    }
    pub fn poll_timeout(&self) -> Option<Instant> {
        todo!()
    }
    pub fn poll_event(&mut self) -> Option<Event> {
        todo!()
    }
    /// The path refused a datagram of this size (EMSGSIZE): a path-MTU hint.
    pub fn handle_too_large(&mut self, now: Instant, size: usize) {
        todo!()
    }

    /// ABORT, close_notify, then nothing: the owner still drains `poll_transmit` once.
    pub fn close(&mut self, now: Instant) {
        todo!()
    }
    /// Everything accepted is delivered, then SCTP shutdown, then close_notify; at the deadline, `close`.
    pub fn close_gracefully(&mut self, now: Instant, deadline: Instant) {
        todo!()
    }
    pub fn restart_ice(&mut self, now: Instant) {
        todo!()
    }
    pub fn round_trip_time(&self) -> Option<Duration> {
        todo!()
    }
}
