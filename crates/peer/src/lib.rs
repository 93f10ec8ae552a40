//! One WebRTC peer without I/O.

mod description;
#[cfg(feature = "__fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod negotiation;
mod peer;
pub mod sdp;
#[cfg(test)]
mod tests;

pub use description::{
    CandidateError, DescriptionError, DescriptionKind, IceCandidate, SdpType, SessionDescription,
    SignalingState,
};
pub use negotiation::{Agreement, Change, LocalTransport, Negotiation, RemoteCandidate, RemoteTransport};
pub use peer::{
    Classification, CloseReason, Config, Event, GatheringState, Peer, PeerState, Stats, Transmit, classify,
};
pub use straits_dtls as dtls;
pub use straits_ice as ice;
pub use straits_sctp as sctp;
