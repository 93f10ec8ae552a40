//! A seeded virtual network under a virtual clock, for tests and benches.
//!
//! Sans-IO endpoints are joined by directed [`Link`]s that delay, lose, duplicate, reorder, corrupt, queue or refuse
//! datagrams. The clock jumps from event to event, so an hour of silence costs nothing, and the same seed gives the
//! same run. This crate knows no protocol: each crate implements [`Endpoint`] for its own type in its test module.
//!
//! ```
//! use bytes::Bytes;
//! use std::time::{Duration, Instant};
//! use straits_sim::{Conditions, Datagram, Endpoint, Pair, Simulation, seed};
//!
//! /// Sends what it was told to send; keeps what arrives.
//! #[derive(Default)]
//! struct Mailbox {
//!     outgoing: Vec<Datagram>,
//!     received: Vec<Bytes>,
//! }
//!
//! impl Endpoint for Mailbox {
//!     fn handle_datagram(&mut self, _now: Instant, datagram: Datagram) {
//!         self.received.push(datagram.payload);
//!     }
//!     fn handle_timeout(&mut self, _now: Instant) {}
//!     fn poll_transmit(&mut self, _now: Instant) -> Option<Datagram> {
//!         self.outgoing.pop()
//!     }
//!     fn poll_timeout(&self) -> Option<Instant> {
//!         None
//!     }
//! }
//!
//! let conditions = Conditions { delay: Duration::from_millis(20), ..Conditions::default() };
//! let mut net = Pair::new(Mailbox::default(), Mailbox::default(), conditions, seed());
//! net.a_to_b.drop_next(1);
//! for text in ["second", "first"] {
//!     net.a.outgoing.push(Datagram {
//!         source: "192.0.2.1:1000".parse().unwrap(),
//!         destination: "192.0.2.2:2000".parse().unwrap(),
//!         payload: Bytes::from_static(text.as_bytes()),
//!     });
//! }
//! net.run_until_idle();
//! assert_eq!(net.b.received, ["second"]);
//! assert_eq!(net.elapsed(), Duration::from_millis(20));
//! ```
//!
//! Not modelled: routers, several hops, ICMP, and the headers below the UDP payload.

mod link;
mod network;
#[cfg(test)]
mod tests;
mod trace;

use bytes::Bytes;
use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng as _};
use std::net::SocketAddr;
use std::time::Instant;

pub use link::{Burst, Conditions, Link, LinkStats, Loss, Rate, Verdict};
pub use network::{Network, Pair, Simulation, Wire};
pub use trace::{DropReason, Fate, Record};

/// One UDP datagram with its addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Datagram {
    /// Address it was sent from.
    pub source: SocketAddr,
    /// Address it is sent to.
    pub destination: SocketAddr,
    /// The UDP payload.
    pub payload: Bytes,
}

/// A sans-IO state machine as the network drives it.
///
/// After each input the network drains `poll_transmit` and reads `poll_timeout` again.
pub trait Endpoint {
    /// A datagram arrived.
    fn handle_datagram(&mut self, now: Instant, datagram: Datagram);

    /// The time that [`poll_timeout`](Self::poll_timeout) named has come.
    fn handle_timeout(&mut self, now: Instant);

    /// The next datagram to send, `None` when there is none for now.
    fn poll_transmit(&mut self, now: Instant) -> Option<Datagram>;

    /// The earliest deadline, `None` when no timer is armed.
    fn poll_timeout(&self) -> Option<Instant>;
}

/// Boxed endpoints let a [`Network`] hold endpoints of different types.
impl Endpoint for Box<dyn Endpoint> {
    fn handle_datagram(&mut self, now: Instant, datagram: Datagram) {
        (**self).handle_datagram(now, datagram);
    }

    fn handle_timeout(&mut self, now: Instant) {
        (**self).handle_timeout(now);
    }

    fn poll_transmit(&mut self, now: Instant) -> Option<Datagram> {
        (**self).poll_transmit(now)
    }

    fn poll_timeout(&self) -> Option<Instant> {
        (**self).poll_timeout()
    }
}

/// The seed of a test run: the environment variable `SIM_SEED` (decimal), or a fixed default.
///
/// It is printed, so that the captured output of a failing test shows it; `SIM_SEED=… cargo test …` replays the run.
///
/// # Panics
///
/// If `SIM_SEED` is set to anything but a decimal number below 2^64.
#[expect(clippy::print_stdout, reason = "the captured output of a failing test must show the seed")]
pub fn seed() -> u64 {
    let seed = match std::env::var("SIM_SEED") {
        Ok(text) => text.parse().expect("SIM_SEED is a decimal number"),
        Err(_) => DEFAULT_SEED,
    };
    println!("SIM_SEED={seed}");
    seed
}

/// Derives the seed of one core (`stream` 0, 1, …) from the seed of a run.
pub fn derive_seed(seed: u64, stream: u64) -> [u8; 32] {
    let mut rng = ChaCha12Rng::seed_from_u64(seed);
    rng.set_stream(stream);
    let mut derived = [0; 32];
    rng.fill_bytes(&mut derived);
    derived
}

/// What [`seed`] gives unless `SIM_SEED` is set. Arbitrary.
const DEFAULT_SEED: u64 = 8445;
