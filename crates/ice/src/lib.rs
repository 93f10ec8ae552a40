//! Sans-IO ICE agent (RFC 8445) for WebRTC data channels.

mod agent;
mod candidate;
mod credentials;
#[cfg(feature = "__fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod stun;
#[cfg(test)]
mod tests;

pub use agent::{Agent, Config, Event, FailureReason, Mode, Role, Route, State, Stats};
pub use candidate::{Candidate, CandidateAddress, CandidateError, CandidateKind, Transport};
pub use credentials::{Credentials, CredentialsError};
pub use stun::local_ufrag;
