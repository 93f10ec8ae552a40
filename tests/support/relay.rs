//! A network between two connections that does to packets what networks do.
#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]
#![allow(dead_code, reason = "each test binary uses its part")]

use crate::support::{Pair, candidates, peer, port, soon, with_port};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha12Rng;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use straits::{DataChannelInit, IceCandidate, OfferOptions, PeerConnection};
use tokio::net::UdpSocket;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};

/// What happens to packets, in both directions. By default nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Conditions {
    /// The share that is lost, handshakes included.
    pub(crate) loss: f64,
    /// The share that comes twice.
    pub(crate) duplication: f64,
    /// The share of which one bit is flipped.
    pub(crate) corruption: f64,
    /// Packets are late by anything up to this, so that they overtake each other.
    pub(crate) jitter: Duration,
    /// Larger ones are lost.
    pub(crate) max_size: Option<usize>,
    /// Those of the first one, those of the second one: nothing gets through.
    pub(crate) blackout: [bool; 2],
}

impl Conditions {
    pub(crate) fn loss(share: f64) -> Self {
        Self { loss: share, ..Self::default() }
    }
}

/// Stands between two connections, which each see it as the other. It ends when it is dropped.
pub(crate) struct Relay {
    task: JoinHandle<()>,
    settings: Arc<Mutex<Settings>>,
    /// What each side takes for the port of the other.
    ports: [u16; 2],
    candidates: [UnboundedReceiver<IceCandidate>; 2],
}

#[derive(Default)]
struct Settings {
    conditions: Conditions,
    /// Of the two sides, once they are known.
    addresses: [Option<SocketAddr>; 2],
}

impl Relay {
    /// Connects the two through it. The same packets are lost for the same seed and the same order of packets.
    pub(crate) async fn connect(
        a: &PeerConnection,
        b: &PeerConnection,
        conditions: Conditions,
        seed: u64,
    ) -> Self {
        let bind = || UdpSocket::bind((Ipv4Addr::LOCALHOST, 0));
        let sockets = [bind().await.unwrap(), bind().await.unwrap()];
        let ports = [0, 1].map(|side: usize| sockets[side].local_addr().unwrap().port());
        let settings = Arc::new(Mutex::new(Settings { conditions, ..Settings::default() }));
        let network = Network {
            sockets,
            settings: settings.clone(),
            random: ChaCha12Rng::seed_from_u64(seed),
            late: BinaryHeap::new(),
            count: 0,
        };
        let candidates = [candidates(a), candidates(b)];
        let mut relay = Self { task: tokio::spawn(network.run()), settings, ports, candidates };
        relay.negotiate(a, b, OfferOptions::default()).await;
        relay
    }

    /// The two negotiate, for the first time or again; candidates they tell are those of the relay.
    pub(crate) async fn negotiate(&mut self, a: &PeerConnection, b: &PeerConnection, options: OfferOptions) {
        let offer = soon("an offer", a.create_offer_with(options)).await.unwrap();
        a.set_local_description(offer.clone()).await.unwrap();
        b.set_remote_description(offer).await.unwrap();
        let answer = soon("an answer", b.create_answer()).await.unwrap();
        b.set_local_description(answer.clone()).await.unwrap();
        a.set_remote_description(answer).await.unwrap();
        let [from_a, from_b] = &mut self.candidates;
        let of_a = soon("a candidate", from_a.recv()).await.unwrap();
        let of_b = soon("a candidate", from_b.recv()).await.unwrap();
        let address = |candidate| Some(SocketAddr::from((Ipv4Addr::LOCALHOST, port(candidate))));
        self.settings.lock().unwrap().addresses = [address(&of_a), address(&of_b)];
        a.add_ice_candidate(with_port(&of_b, self.ports[0])).await.unwrap();
        b.add_ice_candidate(with_port(&of_a, self.ports[1])).await.unwrap();
    }

    /// From now on the network is like this.
    pub(crate) fn set(&self, conditions: Conditions) {
        self.settings.lock().unwrap().conditions = conditions;
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
        let relay = Self::connect(&a, &b, Conditions::loss(loss), seed).await;
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
        self.task.abort();
    }
}

/// When it goes on, in which order, to which side, what.
type Late = (Instant, u64, usize, Vec<u8>);

/// The task of a relay.
struct Network {
    /// Near each side.
    sockets: [UdpSocket; 2],
    settings: Arc<Mutex<Settings>>,
    random: ChaCha12Rng,
    late: BinaryHeap<Reverse<Late>>,
    count: u64,
}

impl Network {
    async fn run(mut self) {
        let mut buffers = [[0; 2048]; 2];
        loop {
            let next = self.late.peek().map(|Reverse((at, ..))| *at);
            let [of_a, of_b] = &mut buffers;
            // A port that was closed is told of by an error, which the ends notice by themselves.
            let (received, from, buffer) = tokio::select! {
                received = self.sockets[0].recv(of_a) => (received, 0, &*of_a),
                received = self.sockets[1].recv(of_b) => (received, 1, &*of_b),
                () = async { sleep_until(next.unwrap()).await }, if next.is_some() => {
                    self.send_late().await;
                    continue;
                }
            };
            let Ok(len) = received else { continue };
            self.take(from, buffer[..len].to_vec()).await;
        }
    }

    /// Decides what becomes of a packet of this side.
    async fn take(&mut self, from: usize, mut packet: Vec<u8>) {
        let conditions = self.settings.lock().unwrap().conditions;
        let is_too_large = conditions.max_size.is_some_and(|max| packet.len() > max);
        if conditions.blackout[from] || is_too_large || self.random.random_bool(conditions.loss) {
            return;
        }
        if !packet.is_empty() && self.random.random_bool(conditions.corruption) {
            let at = self.random.random_range(0..packet.len());
            packet[at] ^= 1 << self.random.random_range(0..8);
        }
        let copies = if self.random.random_bool(conditions.duplication) { 2 } else { 1 };
        for _ in 0..copies {
            if conditions.jitter.is_zero() {
                self.send(1 - from, &packet).await;
                continue;
            }
            let delay = conditions.jitter.mul_f64(self.random.random());
            self.count += 1;
            self.late.push(Reverse((Instant::now() + delay, self.count, 1 - from, packet.clone())));
        }
    }

    async fn send_late(&mut self) {
        let now = Instant::now();
        while self.late.peek().is_some_and(|Reverse((at, ..))| *at <= now) {
            let Some(Reverse((_, _, to, packet))) = self.late.pop() else { return };
            self.send(to, &packet).await;
        }
    }

    async fn send(&self, to: usize, packet: &[u8]) {
        let address = self.settings.lock().unwrap().addresses[to];
        if let Some(address) = address {
            let _ = self.sockets[to].send_to(packet, address).await;
        }
    }
}
