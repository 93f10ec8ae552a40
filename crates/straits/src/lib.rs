//! WebRTC data channels: `RTCPeerConnection` and `RTCDataChannel` for tokio.

mod channel;
mod configuration;
mod connection;
mod description;
mod dispatch;
mod endpoint;
mod error;
mod message;
mod states;
mod wakers;

pub use channel::{ByteStream, DataChannel, DataChannelInit, Messages, Priority};
pub use configuration::Configuration;
pub use connection::{Event, Events, PeerConnection, WeakPeerConnection};
pub use description::{IceCandidate, SdpType, SessionDescription};
pub use error::{Error, ErrorCause, ErrorDetail, ErrorName};
pub use message::{Message, Text};
pub use states::{
    DataChannelState, IceConnectionState, IceGatheringState, PeerConnectionState, SignalingState,
};
pub use straits_peer::dtls::{Fingerprint, HashFunction, Identity};
pub use straits_peer::sctp::{ChannelCloseReason, ChannelStats};
pub use straits_peer::{CloseReason, Config as LayerConfig, Stats, dtls, ice, sctp};
