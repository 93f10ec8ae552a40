//! Sans-IO DTLS sessions for WebRTC data channels, over OpenSSL.
//!
//! An [`Identity`] is a certificate with its key, and a peer may have several ([`Identities`]); its [`Fingerprint`] goes
//! to the peer in the session description. A [`Session`] is one DTLS 1.2 association: it takes datagrams, seals and opens
//! records, and says when it is connected, which is only when the peer has proven to hold the certificate that *its*
//! description named.
//!
//! The contract is that of all the cores. Bytes go in with [`Session::handle_datagram`]; datagrams of the handshake and
//! alerts come out of [`Session::poll_transmit`], data of [`Session::poll_data`], changes of [`Session::poll_event`]. The
//! owner's clock is passed in with each call, and [`Session::handle_timeout`] wants to be called at
//! [`Session::poll_timeout`]. Nothing here blocks, sleeps or calls back. Secrets stay inside, unless [`Config::key_log`] asks
//! for them.
//!
//! # Example
//!
//! ```
//! use bytes::BytesMut;
//! use std::time::Instant;
//! use straits_dtls::{Config, Event, HashFunction, Identity, Role, Session};
//!
//! let now = Instant::now();
//! let (alice, bob) = (Identity::generate()?, Identity::generate()?);
//! let session = |identity: &Identity, role, peer: &Identity| {
//!     let expected = vec![peer.fingerprint(HashFunction::Sha256)];
//!     Session::new(identity, role, expected, Config::default(), now)
//! };
//! let mut client = session(&alice, Role::Client, &bob)?;
//! let mut server = session(&bob, Role::Server, &alice)?;
//!
//! // The handshake, over a network that loses nothing.
//! let mut datagram = BytesMut::new();
//! loop {
//!     let mut idle = true;
//!     while client.poll_transmit(now, &mut datagram) {
//!         server.handle_datagram(now, &datagram.split());
//!         idle = false;
//!     }
//!     while server.poll_transmit(now, &mut datagram) {
//!         client.handle_datagram(now, &datagram.split());
//!         idle = false;
//!     }
//!     if idle {
//!         break;
//!     }
//! }
//! assert_eq!(client.poll_event(), Some(Event::Connected));
//! assert_eq!(server.poll_event(), Some(Event::Connected));
//!
//! client.seal(b"hello", &mut datagram)?;
//! server.handle_datagram(now, &datagram);
//! assert_eq!(server.poll_data(), Some(&b"hello"[..]));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Assumptions
//!
//! - Datagrams come from the address pair that ICE validated; a session does not know addresses.
//! - OpenSSL keeps a clock and randomness of its own. Its clock matters only as the backstop of the handshake: a flight
//!   that stays unanswered for a second of real time is made anew instead of being resent byte for byte.
//!
//! # Not supported
//!
//! DTLS 1.0 and 1.3, renegotiation, resumption, pre-shared keys, SRTP (no `use_srtp`), and stateless cookies: ICE has
//! verified the peer's address before DTLS begins.

mod bio;
mod certificate;
mod config;
mod context;
mod fingerprint;
#[cfg(feature = "__fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod generate;
mod identities;
mod identity;
mod intake;
mod key_log;
mod record;
mod session;
#[cfg(test)]
mod tests;

pub use certificate::Certificate;
pub use config::Config;
pub use fingerprint::{Fingerprint, FingerprintError, HashFunction};
pub use generate::KeyAlgorithm;
pub use identities::Identities;
pub use identity::{Identity, IdentityError};
pub use key_log::KeyLogLine;
pub use session::{CloseReason, Event, Negotiated, Role, SealError, Session, SetupError, State, Stats};
