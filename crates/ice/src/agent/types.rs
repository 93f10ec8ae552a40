//! What users of the agent see.

use crate::Candidate;
use std::fmt;
use std::net::SocketAddr;

/// Which of the two implementations of RFC 8445 §2.5 an agent is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Mode {
    /// Answers checks and sends none (but see the [crate] documentation about two lite agents).
    Lite,
    /// Sends checks and answers them.
    Full,
}

/// Which end nominates (RFC 8445 §6.1.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The one that nominates: the offerer, as a rule.
    Controlling,
    /// The one that is told: the answerer, as a rule; a lite agent that faces a full one, always.
    Controlled,
}

/// A pair of transport addresses, ours first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Route {
    /// Our address: the one from which datagrams are sent and at which they arrive, never a wildcard.
    pub local: SocketAddr,
    /// The peer's address.
    pub remote: SocketAddr,
}

impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} to {}", self.local, self.remote)
    }
}

/// The state of an agent: `RTCIceTransportState` of the W3C text, without `completed`.
///
/// ```text
/// New ──────▶ Checking ──────▶ Connected ◀────▶ Disconnected ◀──▶ Checking
///               │  ▲               └───────┬─────────┘
///               │  │ restart               │ silence
///               │  └──────── Failed ◀──────┘          any ──▶ Closed
///               └──────────────▲
/// ```
/// `restart` leaves `Connected` alone, takes `Disconnected` and `Failed` to `Checking`, and a search without a route to
/// `New`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Waits for the peer's credentials and a first candidate of it.
    New,
    /// Looks for a route.
    Checking,
    /// A route is selected and the peer is heard.
    Connected,
    /// A route is selected and the peer is silent; or no pair gave an answer yet, and either side may tell of more
    /// candidates, which leads back to `Checking`. Ends by itself, either way.
    Disconnected,
    /// No route was found, or the peer was silent for too long; `restart` leads out.
    Failed,
    /// Closed by the owner. Terminal.
    Closed,
}

/// Why an agent is in [`State::Failed`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FailureReason {
    /// Nothing authenticated came for [`Config::no_answer_after`](crate::Config::no_answer_after).
    #[error("the peer never answered")]
    NoAnswer,
    /// The peer was silent for [`Config::failed_after`](crate::Config::failed_after), or withdrew its consent.
    #[error("the peer is gone")]
    ConsentExpired,
    /// Both sides have told all their candidates, and no two of them can be paired.
    #[error("no pair of candidates")]
    NoCandidatePair,
}

/// What changed. Taken with [`Agent::poll_event`](crate::Agent::poll_event), in the order in which it happened.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// The agent is in another state now. Comes after the events that led to it.
    StateChanged(State),
    /// Application data goes over this route from now on. Comes for the first selection and for every change of it.
    RouteSelected(Route),
    /// An authenticated check or answer came over this route for the first time: what comes over it may be given to
    /// this agent's owner.
    RouteAdded(Route),
    /// The route of an earlier `RouteAdded` is no longer this agent's: its generation is over, it gave way to newer
    /// ones, or the agent failed or was closed.
    RouteRemoved(Route),
    /// A local candidate to signal. After `restart` all of them come again.
    LocalCandidate(Candidate),
    /// All local candidates were reported. Comes once per generation.
    GatheringComplete,
}

/// Counters since the agent was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Binding requests sent, retransmissions included.
    pub requests_sent: u64,
    /// Authenticated Binding requests received.
    pub requests_received: u64,
    /// Responses sent, error responses included.
    pub responses_sent: u64,
    /// Authenticated responses to a live request.
    pub responses_received: u64,
    /// Datagrams that are no STUN Binding message within the bounds, and indications.
    pub malformed: u64,
    /// Messages with the wrong USERNAME, without integrity, or with wrong integrity.
    pub unauthenticated: u64,
    /// Responses to no live request, or from another address than it was sent to.
    pub unexpected_responses: u64,
    /// Authenticated requests dropped because there were too many, or from too many new addresses.
    pub rate_limited: u64,
    /// Authenticated requests that came from another address before: replays.
    pub replayed: u64,
    /// Messages that came when the agent had failed or was closed.
    pub late: u64,
    /// Remote candidates that were kept out: TCP, names, another component or generation, or an unusable address.
    pub candidates_ignored: u64,
    /// Role conflicts found (RFC 8445 §7.3.1.1).
    pub role_conflicts: u64,
}
