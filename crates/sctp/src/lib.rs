//! Sans-IO SCTP association (RFC 9260) and WebRTC data channels (RFC 8831, RFC 8832).

mod association;

mod congestion;
mod dcep;
#[cfg(feature = "__fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod number;
mod recv;

mod rto;
mod send;
#[cfg(test)]
mod tests;

mod timer;
mod wire;

pub use association::{
    Association, CloseReason, Config, Event, ResetError, SendError, State, Stats, TimeoutKind,
};
pub use dcep::{
    Channel, ChannelCloseReason, ChannelEvent, ChannelId, ChannelInit, ChannelSendError, ChannelState,
    ChannelStats, Channels, MessageKind, OpenError, ReceivedMessage, Role,
};
pub use number::{Ppid, StreamId};
pub use recv::{Message, Part};
pub use send::Reliability;
