//! skeleton
use crate::{Candidate, Credentials};
use bytes::BytesMut;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// Which of the two implementations of RFC 8445 §2.5 an agent is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Mode {
    /// lite
    Lite,
    /// full
    Full,
}

/// RFC 8445 §6.1.1
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The offerer, as a rule.
    Controlling,
    /// The answerer, as a rule.
    Controlled,
}

/// A pair of transport addresses, ours first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Route {
    /// Our address.
    pub local: SocketAddr,
    /// The peer's address.
    pub remote: SocketAddr,
}

/// RTCIceTransportState
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// new
    New,
    /// checking
    Checking,
    /// connected
    Connected,
    /// disconnected
    Disconnected,
    /// failed; terminal until `restart`
    Failed,
    /// closed
    Closed,
}

/// Why ICE failed
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FailureReason {
    /// nothing authenticated was ever received
    NoAnswer,
    /// The peer was silent for too long
    ConsentExpired,
    /// gathering complete on both sides and no pair
    NoCandidatePair,
}

/// What changed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// state
    StateChanged(State),
    /// First selection and every change of it.
    RouteSelected(Route),
    /// An authenticated check came over this route for the first time: it may be demultiplexed to this agent.
    RouteAdded(Route),
    /// The route is no longer this agent's.
    RouteRemoved(Route),
    /// A local candidate to signal
    LocalCandidate(Candidate),
    /// All local candidates were reported
    GatheringComplete,
}

/// counters
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// etc.
    pub requests_sent: u64,
}

/// Settings (private fields, chained setters, Default)
#[derive(Clone, Debug, Default)]
pub struct Config {}

/// The agent
#[derive(Debug)]
pub struct Agent {}

#[allow(unused_variables, missing_docs, clippy::todo)]
impl Agent {
    pub fn new(config: Config, seed: [u8; 32], now: Instant) -> Self {
        todo!()
    }
    pub fn mode(&self) -> Mode {
        todo!()
    }
    pub fn state(&self) -> State {
        todo!()
    }
    pub fn role(&self) -> Role {
        todo!()
    }
    pub fn failure_reason(&self) -> Option<FailureReason> {
        todo!()
    }
    pub fn local_credentials(&self) -> &Credentials {
        todo!()
    }
    pub fn remote_credentials(&self) -> Option<&Credentials> {
        todo!()
    }
    /// From JSEP: who is controlling (RFC 8445 §6.1.1: a full agent facing a lite one is controlling whatever it says).
    pub fn set_role(&mut self, now: Instant, role: Role) {
        todo!()
    }
    /// `remote_mode`: `a=ice-lite` in the peer's description?
    pub fn set_remote_credentials(&mut self, now: Instant, credentials: Credentials, remote_mode: Mode) {
        todo!()
    }
    /// A host address gathered by the owner; answers with `Event::LocalCandidate` (duplicates are ignored).
    pub fn add_local_candidate(&mut self, now: Instant, address: SocketAddr) {
        todo!()
    }
    /// The owner has no more addresses; answers with `Event::GatheringComplete`.
    pub fn set_gathering_complete(&mut self, now: Instant) {
        todo!()
    }
    pub fn local_candidates(&self) -> &[Candidate] {
        todo!()
    }
    pub fn remote_candidates(&self) -> &[Candidate] {
        todo!()
    }
    /// Unsupported ones (TCP, mDNS names, other components) are kept out and counted, not an error;
    /// more than 100: `CandidateError::TooMany`.
    pub fn add_remote_candidate(
        &mut self,
        now: Instant,
        candidate: Candidate,
    ) -> Result<(), crate::CandidateError> {
        todo!()
    }
    pub fn set_remote_gathering_complete(&mut self, now: Instant) {
        todo!()
    }
    /// New credentials, old selected route kept until the new generation selects one (RFC 8445 §9).
    pub fn restart(&mut self, now: Instant) {
        todo!()
    }
    pub fn close(&mut self, now: Instant) {
        todo!()
    }
    pub fn selected(&self) -> Option<Route> {
        todo!()
    }
    /// May application data be sent (selected route and fresh consent)?
    pub fn may_send(&self) -> bool {
        todo!()
    }
    /// Is `route` validated: selected, or an authenticated check came over it in this generation?
    pub fn is_valid_route(&self, route: Route) -> bool {
        todo!()
    }
    /// Smoothed round-trip time of checks on the selected route, when we sent any.
    pub fn round_trip_time(&self) -> Option<Duration> {
        todo!()
    }
    /// Authenticated application traffic came over a valid route: a sign of life (state), never consent.
    pub fn record_traffic(&mut self, now: Instant) {
        todo!()
    }
    pub fn handle_datagram(&mut self, now: Instant, route: Route, datagram: &[u8]) {
        todo!()
    }
    pub fn handle_timeout(&mut self, now: Instant) {
        todo!()
    }
    /// Appends the next datagram to `buffer`.
    pub fn poll_transmit(&mut self, now: Instant, buffer: &mut BytesMut) -> Option<Route> {
        todo!()
    }
    pub fn poll_timeout(&self) -> Option<Instant> {
        todo!()
    }
    pub fn poll_event(&mut self) -> Option<Event> {
        todo!()
    }
    pub fn stats(&self) -> Stats {
        todo!()
    }
}
