//! The driver never depends on a timer where a datagram or a writable socket is what it waits for, and wakes nobody for
//! nothing.

#[path = "support/loopback.rs"]
mod support;

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use straits::{Configuration, DataChannel, DataChannelInit, LayerConfig, ice, sctp};
use support::{Pair, configuration, soon, until};

/// Nothing of ICE or SCTP is ever repeated within the test's patience: on a path without loss nothing needs to be.
fn without_repeats() -> Configuration {
    let hour = Duration::from_secs(3600);
    let ice = ice::Config::default().retransmission_timeout(hour).retransmission_timeout_max(hour);
    let sctp = sctp::Config::default().rto_initial(hour).rto_max(hour);
    configuration().layers(LayerConfig::default().ice(ice).sctp(sctp))
}

/// Fresh sockets each time: what they refuse before the runtime knows that they are writable must leave by itself.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connecting_needs_no_retransmission() {
    for _ in 0..50 {
        Pair::with(without_repeats(), without_repeats(), DataChannelInit::default()).await.close().await;
    }
}

fn with_sctp(sctp: sctp::Config) -> Configuration {
    configuration().layers(LayerConfig::default().sctp(sctp))
}

/// Messages of the peer make no room in the send buffer: those who wait for it are not asked. When there is room, all get in.
#[tokio::test]
async fn who_waits_for_the_buffer_of_all_channels_waits_for_room() {
    const CHANNELS: usize = 32;
    const LEN: usize = 5000;
    let (a, b) = (sctp::Config::default().send_buffer_limit(64 << 10), sctp::Config::default());
    let pair =
        Pair::with(with_sctp(a), with_sctp(b.receive_window(64 << 10)), DataChannelInit::default()).await;
    let mut channels: Vec<(DataChannel, DataChannel)> = Vec::new();
    for _ in 0..CHANNELS {
        let from = pair.a.create_data_channel("", DataChannelInit::default()).unwrap();
        let to = soon("a channel", pair.b.accept_channel()).await.unwrap();
        soon("a channel to open", from.opened()).await.unwrap();
        channels.push((from, to));
    }
    let ping = async || {
        soon("room", pair.channel_b.send("ping")).await.unwrap();
        soon("a ping", pair.channel_a.recv()).await.unwrap();
    };
    // Until the window of the peer, who reads nothing, is full, and then the buffer.
    let mut refusals = 0;
    while refusals < 20 {
        let is_full = channels[0].0.try_send(vec![7; LEN]).is_err();
        refusals = if is_full { refusals + 1 } else { 0 };
        ping().await;
    }
    let polls = Arc::new(AtomicUsize::new(0));
    let mut sends = Vec::new();
    for (from, _) in &channels {
        let (from, polls) = (from.clone(), polls.clone());
        sends.push(tokio::spawn(async move {
            let mut send = pin!(from.send(vec![8; LEN]));
            poll_fn(|cx| {
                polls.fetch_add(1, Ordering::Relaxed);
                send.as_mut().poll(cx)
            })
            .await
        }));
    }
    until("all to wait", || polls.load(Ordering::Relaxed) >= CHANNELS).await;
    for _ in 0..100 {
        ping().await;
    }
    let asked = polls.load(Ordering::Relaxed);
    assert!(asked < 2 * CHANNELS, "{asked} times");
    for (_, to) in channels {
        tokio::spawn(async move { while to.recv().await.is_some() {} });
    }
    for send in sends {
        soon("all to get in", send).await.unwrap().unwrap();
    }
    pair.close().await;
}
