//! Peers that vanish, packets that do not belong.

#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

#[path = "support/relay.rs"]
mod relay;
#[path = "support/loopback.rs"]
mod support;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha12Rng;
use relay::{Conditions, Relay};
use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};
use straits::{CloseReason, DataChannelInit, Message, PeerConnectionState};
use support::{Pair, candidates, negotiate, peer, port, soon, trickle};
use tokio::net::UdpSocket;
use tokio::sync::mpsc;

async fn reaches(states: &mut mpsc::UnboundedReceiver<PeerConnectionState>, wanted: PeerConnectionState) {
    while let Some(state) = soon("a state", states.recv()).await {
        if state == wanted {
            return;
        }
    }
    panic!("the connection ended before it was {wanted}");
}

/// A peer that vanishes without a word: `disconnected` within 5 s, `failed` within 15 s, with a reason.
#[test]
fn a_vanished_peer_is_noticed() {
    let lost = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let kept = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let a = kept.block_on(async { peer() });
    let b = lost.block_on(async { peer() });
    let (state, mut states) = mpsc::unbounded_channel();
    a.on_connection_state_change(move |new| {
        let _ = state.send(new);
    });
    let channel = a.create_data_channel("data", DataChannelInit::default()).unwrap();
    trickle(&a, &b);
    trickle(&b, &a);
    kept.block_on(async {
        negotiate(&a, &b).await;
        soon("open", channel.opened()).await.unwrap();
    });
    // Its sockets close with its tasks; not a packet says so.
    lost.shutdown_timeout(Duration::from_secs(5));
    let start = Instant::now();
    kept.block_on(async {
        reaches(&mut states, PeerConnectionState::Disconnected).await;
        assert!(start.elapsed() <= Duration::from_secs(5), "disconnected after {:?}", start.elapsed());
        reaches(&mut states, PeerConnectionState::Failed).await;
        assert!(start.elapsed() <= Duration::from_secs(15), "failed after {:?}", start.elapsed());
        assert!(matches!(a.close_reason(), Some(CloseReason::Ice(_))), "{:?}", a.close_reason());
        soon("an error", a.connected()).await.unwrap_err();
    });
    // The lost side knows that its task is gone.
    kept.block_on(soon("the lost end", b.closed()));
}

/// Garbage from a third address, also such as looks like STUN, DTLS or SCTP, does not disturb a transfer.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn packets_from_a_third_address_are_dropped() {
    let (a, b) = (peer(), peer());
    let channel_a = a.create_data_channel("data", DataChannelInit::default()).unwrap();
    let (mut from_a, mut from_b) = (candidates(&a), candidates(&b));
    negotiate(&a, &b).await;
    let (of_a, of_b) = (
        soon("a candidate", from_a.recv()).await.unwrap(),
        soon("a candidate", from_b.recv()).await.unwrap(),
    );
    let targets = [port(&of_a), port(&of_b)].map(|port| SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
    a.add_ice_candidate(of_b).await.unwrap();
    b.add_ice_candidate(of_a).await.unwrap();
    soon("open", channel_a.opened()).await.unwrap();
    let channel_b = soon("the channel", b.accept_channel()).await.unwrap();

    let attack = tokio::spawn(async move {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let mut random = ChaCha12Rng::seed_from_u64(3);
        for n in 0..4000_usize {
            let mut packet = vec![0; random.random_range(0..1400)];
            random.fill(packet.as_mut_slice());
            // STUN, DTLS handshake, DTLS data, anything.
            if let (Some(first), Some(byte)) = ([0, 22, 23].get(n % 4), packet.first_mut()) {
                *byte = *first;
            }
            for target in targets {
                let _ = socket.send_to(&packet, target).await;
            }
        }
    });
    let sender = tokio::spawn(async move {
        for n in 0..2000_u32 {
            channel_a.send(n.to_be_bytes().repeat(1024)).await.unwrap();
        }
        channel_a
    });
    for n in 0..2000_u32 {
        let message = soon("a message", channel_b.recv()).await;
        assert!(message == Some(Message::from(n.to_be_bytes().repeat(1024))), "message {n}");
    }
    soon("the attack", attack).await.unwrap();
    soon("the sender", sender).await.unwrap();
    assert!(a.stats().datagrams_dropped + b.stats().datagrams_dropped > 0);
    assert_eq!(a.connection_state(), PeerConnectionState::Connected);
}

/// Loss of a tenth of all packets, handshakes included, loses no message.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn loss_is_repaired() {
    let (a, b) = (peer(), peer());
    let channel_a = a.create_data_channel("data", DataChannelInit::default()).unwrap();
    let relay = Relay::connect(&a, &b, Conditions::loss(0.1), 4).await;
    soon("open", channel_a.opened()).await.unwrap();
    let channel_b = soon("the channel", b.accept_channel()).await.unwrap();
    for n in 0..100_u32 {
        channel_a.send(n.to_be_bytes().repeat(512)).await.unwrap();
    }
    channel_a.close();
    for n in 0..100_u32 {
        assert_eq!(
            soon("a message", channel_b.recv()).await,
            Some(Message::from(n.to_be_bytes().repeat(512)))
        );
    }
    assert_eq!(soon("the end", channel_b.recv()).await, None);
    drop(relay);
}

/// The pair of helpers above keeps its promise: an untouched pair connects and closes.
#[tokio::test]
async fn an_untouched_pair_connects_and_closes() {
    Pair::new().await.close().await;
}
