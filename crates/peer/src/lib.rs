//! One WebRTC peer without I/O: signalling, ICE, DTLS, SCTP and data channels under one roof.
//!
//! A [`Peer`] is what lies between a signalling server and a UDP socket. Its owner pushes descriptions, candidates,
//! datagrams and time in, and after each call drains [`Peer::poll_transmit`], then [`Peer::poll_event`], then reads
//! [`Peer::poll_timeout`]. Nothing in here opens a socket, reads a clock, starts a task or calls back.
//!
//! Demultiplexing is by the first byte of a datagram (RFC 7983), and there is one gate on the way up: a pair that ICE has
//! validated, a finished DTLS handshake, the certificate that the description announced. Before that no byte of SCTP is
//! read. What comes from the network is never the caller's error: it is dropped and counted in [`Peer::stats`], or ends the
//! peer with one [`Event::Closed`].
//!
//! ```
//! use bytes::{Bytes, BytesMut};
//! use std::time::{Duration, Instant};
//! use straits_peer::dtls::Identity;
//! use straits_peer::ice::Route;
//! use straits_peer::sctp::{ChannelEvent, ChannelInit, MessageKind};
//! use straits_peer::{Config, DescriptionKind, Event, Peer, SdpType, SessionDescription};
//!
//! let mut now = Instant::now();
//! let addresses = ["192.0.2.1:1000".parse()?, "192.0.2.2:2000".parse()?];
//! let mut offerer = Peer::new(Config::default(), Identity::generate()?, [1; 32], now);
//! let mut answerer = Peer::new(Config::default(), Identity::generate()?, [2; 32], now);
//! let channel = offerer.open_channel(now, ChannelInit { label: "chat".to_owned(), ..ChannelInit::default() })?;
//!
//! // Offer and answer, here with all candidates inside.
//! let implied = |kind| SessionDescription { kind, sdp: String::new() };
//! offerer.set_local_description(now, &implied(SdpType::Offer))?;
//! offerer.add_local_candidate(now, addresses[0]);
//! offerer.set_gathering_complete(now);
//! let offer = offerer.description(DescriptionKind::PendingLocal).expect("just set");
//! answerer.set_remote_description(now, &offer)?;
//! answerer.set_local_description(now, &implied(SdpType::Answer))?;
//! answerer.add_local_candidate(now, addresses[1]);
//! answerer.set_gathering_complete(now);
//! let answer = answerer.description(DescriptionKind::CurrentLocal).expect("just set");
//! offerer.set_remote_description(now, &answer)?;
//!
//! // The network: what one peer sends, the other gets; a run is cut into its datagrams.
//! let mut buffer = BytesMut::new();
//! let mut carry = |now, from: &mut Peer, to: &mut Peer| {
//!     while let Some(run) = from.poll_transmit(now, 10, &mut buffer) {
//!         let route = Route { local: run.route.remote, remote: run.route.local };
//!         for datagram in buffer.split().chunks(run.segment_size.unwrap_or(run.size)) {
//!             to.handle_datagram(now, route, datagram);
//!         }
//!     }
//! };
//! let mut received = None;
//! while received.is_none() {
//!     carry(now, &mut offerer, &mut answerer);
//!     carry(now, &mut answerer, &mut offerer);
//!     while let Some(event) = offerer.poll_event() {
//!         if event == Event::Channel(ChannelEvent::Open(channel)) {
//!             let mut channel = offerer.channel(channel).expect("it is open");
//!             channel.send(now, MessageKind::Text, Bytes::from("Hello"))?;
//!         }
//!     }
//!     while let Some(event) = answerer.poll_event() {
//!         if let Event::Channel(ChannelEvent::Readable(id)) = event {
//!             received = answerer.channel(id).and_then(|mut channel| channel.recv(now));
//!         }
//!     }
//!     now += Duration::from_millis(1);
//!     offerer.handle_timeout(now);
//!     answerer.handle_timeout(now);
//! }
//! assert_eq!(received.expect("the loop ended").data, "Hello");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Not supported: media, more than one data section, a full ICE agent, STUN and TURN servers.

mod description;
#[cfg(feature = "__fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod negotiation;
mod peer;
pub mod sdp;

pub use description::{
    CandidateError, DescriptionError, DescriptionKind, IceCandidate, OfferOptions, SdpType,
    SessionDescription, SignalingState,
};
pub use negotiation::{Agreement, Change, LocalTransport, Negotiation, RemoteCandidate, RemoteTransport};
pub use peer::{
    Captured, CapturedPacket, Classification, CloseReason, Config, Direction, Event, Explanation, Finding,
    GatheringState, Peer, PeerState, Stage, Stats, Transmit, classify,
};
pub use straits_dtls as dtls;
pub use straits_ice as ice;
pub use straits_sctp as sctp;
