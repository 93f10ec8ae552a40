//! WebRTC data channels for tokio: [`PeerConnection`] and [`DataChannel`] with the names, states, defaults, errors and
//! event order of the W3C text, and a Rust face of futures, streams and sinks on the same objects.
//!
//! Straits implements ICE, SCTP, DCEP and SDP itself and takes DTLS from OpenSSL; it carries no media. The layers are
//! crates of their own without I/O ([`ice`], [`dtls`], [`sctp`]); this crate adds sockets, time and tasks.
//!
//! # The Rust face
//!
//! ```
//! use straits::{Configuration, DataChannelInit, Message, PeerConnection};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), straits::Error> {
//! let alice = PeerConnection::new(Configuration::default())?;
//! let bob = PeerConnection::new(Configuration::default())?;
//! let channel = alice.create_data_channel("chat", DataChannelInit::default())?;
//!
//! // Candidates go to the other side as they are found; through a signalling server, when it is another machine.
//! let to_bob = bob.downgrade();
//! alice.on_ice_candidate(move |candidate| {
//!     if let (Some(bob), Some(candidate)) = (to_bob.upgrade(), candidate) {
//!         bob.add_ice_candidate(candidate);
//!     }
//! });
//! let to_alice = alice.downgrade();
//! bob.on_ice_candidate(move |candidate| {
//!     if let (Some(alice), Some(candidate)) = (to_alice.upgrade(), candidate) {
//!         alice.add_ice_candidate(candidate);
//!     }
//! });
//!
//! let offer = alice.create_offer().await?;
//! alice.set_local_description(offer.clone()).await?;
//! bob.set_remote_description(offer).await?;
//! let answer = bob.create_answer().await?;
//! bob.set_local_description(answer.clone()).await?;
//! alice.set_remote_description(answer).await?;
//!
//! let theirs = bob.accept_channel().await.expect("alice has made one");
//! channel.send("Grüße, 世界").await?; // waits until the channel is open, and while much is buffered
//! assert_eq!(theirs.recv().await, Some(Message::from("Grüße, 世界")));
//!
//! channel.close(); // everything sent arrives
//! assert_eq!(theirs.recv().await, None);
//! channel.closed().await;
//! alice.close();
//! bob.closed().await;
//! # Ok(())
//! # }
//! ```
//!
//! [`DataChannel::messages`] is a `Stream + Sink`, [`DataChannel::into_bytes`] is `AsyncRead + AsyncWrite`,
//! [`DataChannel::message_reader`] and [`DataChannel::message_writer`] move one message of any size piece by piece,
//! [`PeerConnection::events`] has all events of a connection as a stream.
//!
//! # The browser face
//!
//! Handlers take the place of event listeners; one task per connection calls them in order.
//!
//! ```
//! use straits::{Configuration, DataChannelInit, DataChannelState, PeerConnection};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), straits::Error> {
//! let connection = PeerConnection::new(Configuration::default())?;
//! let channel = connection.create_data_channel("chat", DataChannelInit::default())?;
//! channel.on_open(|channel| {
//!     let _ = channel.send_text("hello");
//! });
//! channel.on_message(|channel, message| println!("{}: {message:?}", channel.label()));
//! channel.on_close(|channel| println!("{} is {}", channel.label(), channel.ready_state()));
//! connection.on_ice_candidate(|candidate| println!("for the other side: {candidate:?}"));
//! connection.on_connection_state_change(|state| println!("{state}"));
//!
//! let offer = connection.create_offer().await?;
//! connection.set_local_description(offer).await?;
//! assert_eq!(channel.ready_state(), DataChannelState::Connecting);
//! # Ok(())
//! # }
//! ```
//!
//! # The server
//!
//! A [`PeerConnection`] of its own binds its own sockets. An [`Endpoint`] carries any number of connections on one UDP port:
//! bind it once, give each offer that a client posts to [`Endpoint::accept`], and send the answer back. The answer has all
//! candidates in it, so that one request and its response are all the signalling there is. Clients reach the port directly,
//! without STUN or TURN servers. Behind a NAT that maps a public address to the machine,
//! [`EndpointConfiguration::announce`] names it.
//!
//! One task serves all connections of an endpoint; an idle one costs neither a task nor a socket. Limits bound how many
//! there are and how many may be unfinished, and what nobody finishes ends by itself. [`Endpoint::stats`] counts what was
//! refused and dropped.
//!
//! # What differs from a browser
//!
//! - A future that is pending when its connection closes resolves with an `InvalidStateError`; a promise would stay pending
//!   for ever.
//! - Dropping the last handle of a connection and its channels closes it in order (see [`PeerConnection`]).
//! - Candidates that come before the remote description are held, and sending on a channel that opens later can be
//!   awaited. [`Configuration::strict_w3c`] follows the letter where it matters.
//! - The agent is ICE-lite: it needs a peer that reaches it directly. STUN and TURN servers are not used; each that an
//!   [`RtcConfiguration`] names is reported in [`on_ice_candidate_error`](PeerConnection::on_ice_candidate_error).
//! - What browsers have in their configuration is an [`RtcConfiguration`], which [`PeerConnection::set_configuration`] can
//!   replace; the rest of a [`Configuration`] is chosen once.
//!
//! # Certificates and statistics
//!
//! [`Identity`] is `RTCCertificate`: [`Identity::generate_with`] makes one, [`Configuration::certificates`] takes them, and
//! as PEM one outlives the program. [`PeerConnection::get_stats`] gives a [`StatsReport`] with the entries and, as JSON, the
//! names of a browser; [`PeerConnection::stats`] has the counters of the layers.
//!
//! # Not supported
//!
//! Media, ICE-TCP, mDNS candidates, identity assertions.
//!
//! # Logging
//!
//! Through `tracing`: states and what was dropped at `debug`, packets at `trace`. All targets begin with `straits`, so
//! `RUST_LOG=straits=debug` shows every layer.
//!
//! # Seeing what happens on the wire
//!
//! `STRAITS_PCAP=wire.pcapng` in the environment, or [`Configuration::capture`], writes all datagrams, the secrets to decrypt
//! them, and all SCTP packets in the clear to a file for Wireshark: see [`Capture`]. `SSLKEYLOGFILE`, as in browsers, names a
//! file that the DTLS secrets are appended to in the NSS key log format; a new one gets the permissions 0600. Each variable is
//! read once, and if its file cannot be written, a `warn!` says so and connections go on. With neither, no secret leaves
//! OpenSSL.

mod candidate;
mod capture;
mod channel;
mod configuration;
mod connection;
mod description;
mod dispatch;
mod endpoint;
mod error;
mod message;
mod names;
mod states;
mod stats;
mod transport;
mod wakers;

pub use candidate::{
    IceCandidate, IceCandidateError, IceCandidateType, IceComponent, IceProtocol, IceTcpCandidateType,
};
pub use capture::Capture;
pub use channel::{
    ByteStream, DataChannel, DataChannelInit, MessageEnd, MessagePart, MessageReader, MessageWriter,
    Messages, Priority,
};
pub use configuration::{
    BundlePolicy, Configuration, IceServer, IceTransportPolicy, RtcConfiguration, RtcpMuxPolicy,
};
pub use connection::{AddIceCandidate, Event, Events, PeerConnection, WeakPeerConnection};
pub use description::{SdpType, SessionDescription};
pub use endpoint::{Endpoint, EndpointConfiguration, EndpointError, EndpointStats};
pub use error::{Error, ErrorCause, ErrorDetail, ErrorName};
pub use message::{Message, Text};
pub use states::{
    DataChannelState, DtlsTransportState, IceConnectionState, IceGatheringState, PeerConnectionState,
    SctpTransportState, SignalingState,
};
pub use stats::{
    CandidatePairStats, CertificateStats, DataChannelStats, DtlsRole, IceCandidateStats, IceRole,
    PeerConnectionStats, SctpTransportStats, Stats, StatsDictionary, StatsReport, TransportStats,
};
pub use straits_peer::dtls::{Fingerprint, HashFunction, Identity, IdentityError, KeyAlgorithm};
pub use straits_peer::sctp::{ChannelCloseReason, ChannelStats, MessageKind};
pub use straits_peer::{
    CloseReason, Config as LayerConfig, Explanation, Finding, OfferOptions, Stage, Stats as LayerStats, dtls,
    ice, sctp,
};
pub use transport::{DtlsTransport, IceCandidatePair, IceParameters, IceTransport, SctpTransport};

/// The sample of the README compiles and runs.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;
