//! A network between two connections that loses packets.
#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]
#![allow(dead_code, reason = "each test binary uses its part")]

use crate::support::{Pair, candidates, negotiate, peer, port, soon, with_port};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha12Rng;
use std::net::{Ipv4Addr, SocketAddr};
use straits::{DataChannelInit, PeerConnection};
use tokio::net::UdpSocket;
use tokio::task::JoinHandle;

/// Stands between two connections, which each see it as the other. It ends when it is dropped.
pub(crate) struct Relay(JoinHandle<()>);

impl Relay {
    /// Connects the two through it. Of all packets it drops this share, handshakes included, the same ones for the same
    /// seed and the same order of packets.
    pub(crate) async fn connect(a: &PeerConnection, b: &PeerConnection, loss: f64, seed: u64) -> Self {
        let bind = || UdpSocket::bind((Ipv4Addr::LOCALHOST, 0));
        let (near_a, near_b) = (bind().await.unwrap(), bind().await.unwrap());
        let (mut from_a, mut from_b) = (candidates(a), candidates(b));
        negotiate(a, b).await;
        let of_a = soon("a candidate", from_a.recv()).await.unwrap();
        let of_b = soon("a candidate", from_b.recv()).await.unwrap();
        let address = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let (address_a, address_b) = (address(port(&of_a)), address(port(&of_b)));
        a.add_ice_candidate(with_port(&of_b, near_a.local_addr().unwrap().port())).await.unwrap();
        b.add_ice_candidate(with_port(&of_a, near_b.local_addr().unwrap().port())).await.unwrap();
        let mut random = ChaCha12Rng::seed_from_u64(seed);
        Self(tokio::spawn(async move {
            let (mut of_a, mut of_b) = ([0; 2048], [0; 2048]);
            loop {
                // A port that was closed is told of by an error, which the ends notice by themselves.
                let (received, buffer, socket, address) = tokio::select! {
                    received = near_a.recv(&mut of_a) => (received, &of_a, &near_b, address_b),
                    received = near_b.recv(&mut of_b) => (received, &of_b, &near_a, address_a),
                };
                let Ok(len) = received else { continue };
                if !random.random_bool(loss) {
                    let _ = socket.send_to(&buffer[..len], address).await;
                }
            }
        }))
    }

    /// Two connections with an open channel that have it between them.
    pub(crate) async fn pair(negotiated: bool, loss: f64, seed: u64) -> (Pair, Self) {
        let (a, b) = (peer(), peer());
        let init = match negotiated {
            true => DataChannelInit::default().negotiated(true).id(100),
            false => DataChannelInit::default(),
        };
        let channel_a = a.create_data_channel("data", init.clone()).unwrap();
        let channel_b = negotiated.then(|| b.create_data_channel("data", init).unwrap());
        let relay = Self::connect(&a, &b, loss, seed).await;
        soon("a to open", channel_a.opened()).await.unwrap();
        let channel_b = match channel_b {
            Some(channel) => channel,
            None => soon("the channel", b.accept_channel()).await.unwrap(),
        };
        soon("b to open", channel_b.opened()).await.unwrap();
        (Pair { a, b, channel_a, channel_b }, relay)
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.0.abort();
    }
}
