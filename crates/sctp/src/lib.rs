//! Sans-IO SCTP association (RFC 9260) and WebRTC data channels (RFC 8831, RFC 8832).
//!
//! [`Association`] is SCTP as RFC 8261 carries it over DTLS: one path, both sides active. [`Channels`] owns one and adds
//! data channels. Neither opens a socket, reads a clock or draws a random number: packets, the time and a seed come
//! from outside.
//!
//! # The contract
//!
//! Input is pushed: [`Channels::handle_packet`], [`Channels::handle_timeout`], and what the user calls. Output is
//! pulled after each input, in this order: [`Channels::poll_transmit`] until it says false, [`Channels::poll_event`]
//! until it has none, [`Channels::poll_timeout`] for when to call `handle_timeout` next. The same seed, times and inputs
//! give the same packets. Whatever comes from the network, nothing panics: it is dropped and counted in [`Stats`], or
//! ends the association with one event.
//!
//! Messages wait inside until they are read, so the receive window is honest; messages to be sent wait inside until
//! there is room on the wire.
//!
//! A time earlier than that of the call before counts as the same time.
//!
//! ```
//! use bytes::{Bytes, BytesMut};
//! use std::time::Instant;
//! use straits_sctp::{ChannelEvent, ChannelInit, Channels, Config, MessageKind, Role};
//!
//! let now = Instant::now();
//! let mut alice = Channels::new(Config::default(), [1; 32], now);
//! let mut bob = Channels::new(Config::default(), [2; 32], now);
//! alice.set_role(now, Role::Client);
//! bob.set_role(now, Role::Server);
//! let chat = alice.open(now, ChannelInit { label: "chat".into(), ..ChannelInit::default() })?;
//!
//! // In place of DTLS: what one gives out the other gets, until both are silent.
//! fn exchange(now: Instant, alice: &mut Channels, bob: &mut Channels) {
//!     let mut packet = BytesMut::new();
//!     loop {
//!         if alice.poll_transmit(now, &mut packet) {
//!             bob.handle_packet(now, &packet);
//!         } else if bob.poll_transmit(now, &mut packet) {
//!             alice.handle_packet(now, &packet);
//!         } else {
//!             return;
//!         }
//!         packet.clear();
//!     }
//! }
//! alice.connect(now);
//! bob.connect(now);
//! exchange(now, &mut alice, &mut bob);
//! assert_eq!(alice.poll_event(), Some(ChannelEvent::Established));
//! assert_eq!(alice.poll_event(), Some(ChannelEvent::Open(chat)));
//!
//! alice.channel(chat).unwrap().send(now, MessageKind::Text, Bytes::from("hello"))?;
//! exchange(now, &mut alice, &mut bob);
//! assert_eq!(bob.poll_event(), Some(ChannelEvent::Established));
//! let Some(ChannelEvent::Incoming(incoming)) = bob.poll_event() else { panic!("no channel") };
//! let mut channel = bob.channel(incoming).unwrap();
//! assert_eq!(channel.init().label, "chat");
//! assert_eq!(channel.recv(now).unwrap().data, "hello");
//!
//! alice.channel(chat).unwrap().close(now);
//! exchange(now, &mut alice, &mut bob);
//! let closed = std::iter::from_fn(|| alice.poll_event()).last();
//! assert!(matches!(closed, Some(ChannelEvent::Closed(id, _)) if id == chat));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Assumptions
//!
//! DTLS below has authenticated the peer and keeps packets whole; nothing is handed in before its certificate was
//! compared. It is the only path, and at least [`Config::max_packet_size`] bytes wide: on one that becomes narrower packets
//! become smaller, but what was sent before and does not get through ends the association ([`CloseReason::PathMtu`]).
//!
//! # Not supported
//!
//! Several addresses, and everything about them (RFC 5061). Path MTU discovery above
//! [`Config::max_packet_size`] (RFC 8899). The deprecated payload
//! protocols 52 and 54.

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
    Association, CloseReason, Config, Drops, Event, Limits, ResetError, SendError, State, Stats, TimeoutKind,
};
pub use dcep::{
    Channel, ChannelCloseReason, ChannelEvent, ChannelId, ChannelInit, ChannelSendError, ChannelState,
    ChannelStats, Channels, ChannelsStats, MessageKind, OpenError, ReceivedMessage, ReceivedPart, Role,
};
pub use number::{Ppid, StreamId};
pub use recv::{Message, Part};
pub use send::Reliability;
