//! A close loses nothing, whatever the network does.

#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

#[path = "support/relay.rs"]
mod relay;
#[path = "support/loopback.rs"]
mod support;

use relay::Relay;
use std::sync::{Arc, Mutex};
use straits::{ChannelCloseReason, Message};
use support::{Journal, soon};

const COUNT: u32 = 10_000;

fn message(n: u32) -> Message {
    n.to_be_bytes().repeat(256).into()
}

/// Sends 10,000 messages of 1 KiB and closes at once: the other side has all of them, then `closing`, then `close`.
async fn check(loss: f64) {
    let (pair, relay) = Relay::pair(false, loss, 10).await;
    let journal = Journal::default();
    let received: Arc<Mutex<Vec<Message>>> = Arc::default();
    let all = received.clone();
    pair.channel_b.on_message(move |_, message| all.lock().unwrap().push(message));
    let (all, write) = (received.clone(), journal.clone());
    pair.channel_b.on_closing(move |_| write.write(format!("closing after {}", all.lock().unwrap().len())));
    let write = journal.clone();
    pair.channel_b.on_error(move |_, error| write.write(error.to_string()));
    let write = journal.clone();
    pair.channel_b.on_close(move |_| write.write("close"));
    for n in 0..COUNT {
        pair.channel_a.try_send(message(n)).unwrap();
    }
    pair.channel_a.close();
    let reasons =
        soon("both to close", async { tokio::join!(pair.channel_a.closed(), pair.channel_b.closed()) }).await;
    assert_eq!(reasons, (ChannelCloseReason::LocalClose, ChannelCloseReason::RemoteClose));
    let stats = pair.a.stats().sctp;
    // Without, sockets may drop some all the same.
    assert!(loss == 0.0 || stats.retransmissions > 0, "the relay loses nothing");
    pair.close().await;
    drop(relay);
    assert_eq!(journal.lines(), [format!("closing after {COUNT}"), "close".to_owned()]);
    let received = received.lock().unwrap();
    assert!((0..).zip(received.iter()).all(|(n, received)| *received == message(n)), "not what was sent");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_messages_arrive_before_close() {
    check(0.0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_messages_arrive_before_close_at_one_percent_loss() {
    check(0.01).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_messages_arrive_before_close_at_five_percent_loss() {
    check(0.05).await;
}
