//! One WebRTC peer without I/O.

mod description;
#[cfg(feature = "__fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod peer;
pub mod sdp;
#[cfg(test)]
mod tests;

pub use description::{DescriptionError, IceCandidate, SdpType, SessionDescription, SignalingState};
pub use peer::{
    CandidateError, Classification, CloseReason, Config, DescriptionKind, Event, Peer, PeerState, Stats,
    Transmit, classify,
};
pub use straits_dtls as dtls;
pub use straits_ice as ice;
pub use straits_sctp as sctp;
