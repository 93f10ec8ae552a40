//! Nothing is left of closed connections. Alone in its process, because it counts what the process has.

#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

#[path = "support/loopback.rs"]
mod support;

use straits::{DataChannelInit, Message};
use support::{Pair, connect, peer, soon};
use tokio::runtime::Handle;

fn open_files() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

/// Resident memory in KiB.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

async fn settled(tasks: usize, files: usize) {
    soon("tasks and sockets to go", async {
        while Handle::current().metrics().num_alive_tasks() > tasks || open_files() > files {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

async fn round() {
    let pair = Pair::new().await;
    pair.channel_a.send("ping").await.unwrap();
    assert_eq!(soon("ping", pair.channel_b.recv()).await, Some(Message::from("ping")));
    pair.channel_b.on_close(|_| {});
    pair.close().await;
}

/// Handles are dropped instead: handlers are set, and messages are on their way.
async fn dropped_round() {
    let (a, b) = (peer(), peer());
    let channel = a.create_data_channel("data", DataChannelInit::default()).unwrap();
    let weak = b.downgrade();
    b.on_data_channel(move |channel| {
        let weak = weak.clone();
        channel.on_message(move |channel, message| {
            assert!(weak.upgrade().is_some());
            // What was left behind may come when the channel is closing already.
            let _ = channel.try_send(message);
        });
    });
    connect(&a, &b).await;
    soon("open", channel.opened()).await.unwrap();
    channel.send("ping").await.unwrap();
    assert_eq!(soon("ping", channel.recv()).await, Some(Message::from("ping")));
    channel.send("left behind").await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_rounds_leave_nothing() {
    // The first rounds fill what is kept for good: pools, OpenSSL's tables, the allocator's arenas.
    for _ in 0..20 {
        round().await;
        dropped_round().await;
    }
    let (tasks, files) = (Handle::current().metrics().num_alive_tasks(), open_files());
    settled(0, files).await;
    let (files, memory) = (open_files(), resident());
    for _ in 0..100 {
        round().await;
    }
    for _ in 0..20 {
        dropped_round().await;
    }
    settled(0, files).await;
    assert_eq!(
        (Handle::current().metrics().num_alive_tasks(), open_files()),
        (0, files),
        "{tasks} at the start"
    );
    let grown = resident().saturating_sub(memory);
    assert!(grown < 4096, "{grown} KiB more than before 120 rounds");
}
