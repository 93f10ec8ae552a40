//! Sans-IO ICE agent (RFC 8445) for WebRTC data channels: it finds and keeps a pair of addresses over which two peers
//! reach each other.
//!
//! [`Agent`] does no I/O and reads no clock. Its owner binds sockets and reports their addresses, carries credentials
//! and candidates over signalling, hands in datagrams and time, and drains what comes out: after each input first
//! [`Agent::poll_transmit`], then [`Agent::poll_event`], then [`Agent::poll_timeout`]. Same seed, same calls, same
//! bytes.
//!
//! ```
//! use bytes::BytesMut;
//! use std::time::Instant;
//! use straits_ice::{Agent, Config, Mode, Role, Route, State};
//!
//! let now = Instant::now();
//! let mut offerer = Agent::new(Config::default(), [1; 32], now);
//! let mut answerer = Agent::new(Config::default(), [2; 32], now);
//! offerer.set_role(now, Role::Controlling);
//!
//! // Each side reports the addresses it has bound.
//! offerer.add_local_candidate(now, "192.0.2.1:5000".parse()?);
//! answerer.add_local_candidate(now, "192.0.2.2:6000".parse()?);
//!
//! // Signalling carries credentials and candidates.
//! offerer.set_remote_credentials(now, answerer.local_credentials().clone(), Mode::Lite);
//! answerer.set_remote_credentials(now, offerer.local_credentials().clone(), Mode::Lite);
//! for candidate in answerer.local_candidates() {
//!     offerer.add_remote_candidate(now, candidate.to_string().parse()?)?;
//! }
//! for candidate in offerer.local_candidates() {
//!     answerer.add_remote_candidate(now, candidate.to_string().parse()?)?;
//! }
//!
//! // The network carries datagrams.
//! fn carry(now: Instant, from: &mut Agent, to: &mut Agent) -> bool {
//!     let mut buffer = BytesMut::new();
//!     let Some(Route { local, remote }) = from.poll_transmit(now, &mut buffer) else {
//!         return false;
//!     };
//!     to.handle_datagram(now, Route { local: remote, remote: local }, &buffer);
//!     true
//! }
//! while carry(now, &mut offerer, &mut answerer) || carry(now, &mut answerer, &mut offerer) {}
//!
//! assert_eq!((offerer.state(), answerer.state()), (State::Connected, State::Connected));
//! let route = offerer.selected().ok_or("no route")?;
//! assert_eq!(route.remote, "192.0.2.2:6000".parse()?);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What it does
//!
//! The agent is lite (RFC 8445 §2.5): with a full peer it answers authenticated Binding requests, learns
//! peer-reflexive candidates, and lets the peer nominate. The latest nomination wins.
//!
//! RFC 8445 has neither checks nor consent between two lite agents, which would leave nothing proven and a vanished
//! peer unnoticed. Here the controlling one checks the pairs in the order of their priority and nominates, and then
//! both ask for consent (RFC 7675). This deviates from "no connectivity checks are ever sent" (RFC 8445 §6.1.1), and
//! consent is asked for more often than RFC 7675 allows ([`Config::consent_interval`]).
//!
//! # Assumptions
//!
//! - The owner knows the local address of each datagram, also on wildcard sockets: a [`Route`] never has a wildcard.
//! - The seed is unpredictable and used once: credentials and transaction ids come from it.
//! - Signalling is authentic. What it carries may be hostile, but not forged.
//!
//! # Not supported
//!
//! The full agent ([`Mode::Full`] is known as the peer's mode only), STUN and TURN servers, TCP candidates, mDNS names,
//! more than one component, and the `a=ice-pacing` and `a=remote-candidates` attributes.

mod agent;
mod candidate;
mod credentials;
#[cfg(any(test, feature = "__fuzzing"))]
#[doc(hidden)]
pub mod fuzzing;
mod stun;
#[cfg(test)]
mod tests;

pub use agent::{
    Agent, CandidatePair, CandidatePairState, Config, Event, FailureReason, Gathered, Mode, PairCounters,
    RemoteCandidate, Role, Route, State, Stats, Traffic,
};
pub use candidate::{Candidate, CandidateAddress, CandidateError, CandidateKind, Transport};
pub use credentials::{Credentials, CredentialsError};
pub use stun::local_ufrag;
