//! Nothing is left of closed connections. Alone in its process, because it counts what the process has.

#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

#[path = "support/process.rs"]
mod process;
#[path = "support/loopback.rs"]
mod support;

use process::{alive_tasks, open_files, resident};
use std::time::{Duration, Instant};
use straits::{
    Configuration, DataChannel, DataChannelInit, DataChannelState, Message, PeerConnection,
    PeerConnectionState,
};
use support::{
    Pair, configuration, connect, negotiate, negotiate_with, offerer, peer, soon, trickle, until, with_lines,
};
use tokio::runtime::Builder;

/// Waits until no task and no more files than these are left.
async fn settled(what: &str, files: usize) {
    until(what, || alive_tasks() == 0 && open_files() <= files).await;
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

/// Where connections stand when all handles are dropped.
#[derive(Clone, Copy, Debug)]
enum Stage {
    Fresh,
    WithHandlers,
    Offered,
    Answered,
    Connecting,
    Connected,
    WithUnreadData,
    WithUnsentData,
    WithAnUnfinishedMessage,
    ChannelClosing,
    Draining,
    Closed,
    Failed,
}

const STAGES: [Stage; 13] = [
    Stage::Fresh,
    Stage::WithHandlers,
    Stage::Offered,
    Stage::Answered,
    Stage::Connecting,
    Stage::Connected,
    Stage::WithUnreadData,
    Stage::WithUnsentData,
    Stage::WithAnUnfinishedMessage,
    Stage::ChannelClosing,
    Stage::Draining,
    Stage::Closed,
    Stage::Failed,
];

/// A peer that takes nothing is waited for, but not for long.
fn impatient() -> Configuration {
    configuration().drop_timeout(Duration::from_millis(200))
}

/// With a handler of every kind that matters, each with a reference to its own connection.
fn with_handlers(connection: &PeerConnection, channel: &DataChannel) {
    let weak = connection.downgrade();
    connection.on_connection_state_change(move |state| drop((weak.upgrade(), state)));
    let weak = connection.downgrade();
    connection.on_data_channel(move |channel| drop((weak.upgrade(), channel)));
    channel.on_open(|_| {});
    channel.on_message(|_, _| {});
    channel.on_close(|_| {});
}

/// Comes to the stage and drops everything.
async fn reach(stage: Stage) {
    match stage {
        Stage::Fresh => drop(offerer()),
        Stage::WithHandlers => {
            let connection = peer();
            let channel = connection.create_data_channel("", DataChannelInit::default()).unwrap();
            with_handlers(&connection, &channel);
        }
        Stage::Offered => {
            let connection = offerer();
            connection.on_ice_candidate(|_| {});
            connection.set_local_description(connection.create_offer().await.unwrap()).await.unwrap();
        }
        Stage::Answered => negotiate(&offerer(), &peer()).await,
        Stage::Connecting => {
            let (a, b) = (offerer(), peer());
            trickle(&b, &a);
            negotiate(&a, &b).await;
            until("a to connect", || a.connection_state() != PeerConnectionState::New).await;
        }
        Stage::Failed => {
            let (a, b) = (offerer(), peer());
            trickle(&a, &b);
            trickle(&b, &a);
            negotiate_with(&a, &b, |answer| {
                // Of a certificate that the other side does not have.
                with_lines(answer, "a=fingerprint:sha-256 ", |rest| {
                    Some(format!("a=fingerprint:sha-256 {}", rest.chars().rev().collect::<String>()))
                })
            })
            .await;
            soon("the failure", a.connected()).await.unwrap_err();
        }
        Stage::Connected
        | Stage::WithUnreadData
        | Stage::WithUnsentData
        | Stage::WithAnUnfinishedMessage
        | Stage::ChannelClosing
        | Stage::Draining
        | Stage::Closed => reach_connected(stage).await,
    }
}

async fn reach_connected(stage: Stage) {
    let pair = Pair::with(impatient(), impatient(), DataChannelInit::default()).await;
    let fill = || while pair.channel_a.try_send(vec![7; 64 << 10]).is_ok() {};
    match stage {
        Stage::WithUnreadData => pair.channel_a.send("unread").await.unwrap(),
        Stage::WithUnsentData => fill(),
        Stage::WithAnUnfinishedMessage => {
            let mut writer = pair.channel_a.message_writer(straits::MessageKind::Binary).await.unwrap();
            writer.send_part(vec![7; 10_000]).await.unwrap();
            let reader = soon("the beginning", pair.channel_b.message_reader()).await;
            // The last handles of both.
            drop(pair);
            drop((writer, reader));
        }
        Stage::ChannelClosing => {
            fill();
            pair.channel_a.close();
            assert_eq!(pair.channel_a.ready_state(), DataChannelState::Closing);
        }
        Stage::Draining => {
            fill();
            let end = pair.a.close_gracefully(Duration::from_millis(200));
            assert!(futures_util::FutureExt::now_or_never(end).is_none());
        }
        Stage::Closed => pair.a.close(),
        _ => with_handlers(&pair.a, &pair.channel_a),
    }
}

/// Wherever they stand, connections whose handles are gone give back their tasks and sockets.
async fn every_stage_leaves_nothing() {
    for stage in STAGES {
        let (files, start) = (open_files(), Instant::now());
        reach(stage).await;
        settled(&format!("tasks and sockets to go, {stage:?}"), files).await;
        println!("{stage:?}: {:?}", start.elapsed());
    }
}

/// One after another in one test: tests that run beside each other would count each other's.
#[test]
fn nothing_is_left() {
    let mut runtimes = [Builder::new_current_thread(), Builder::new_multi_thread()];
    for builder in &mut runtimes {
        let runtime = builder.worker_threads(2).enable_all().build().unwrap();
        // What the runtime itself opens, it opens with the first socket.
        runtime.block_on(round());
        runtime.block_on(every_stage_leaves_nothing());
    }
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(a_hundred_rounds_leave_nothing());
}

async fn a_hundred_rounds_leave_nothing() {
    // The first rounds fill what is kept for good: pools, OpenSSL's tables, the allocator's arenas.
    for _ in 0..20 {
        round().await;
        dropped_round().await;
    }
    let (tasks, files) = (alive_tasks(), open_files());
    settled("tasks and sockets to go", files).await;
    let (files, memory) = (open_files(), resident());
    for _ in 0..100 {
        round().await;
    }
    for _ in 0..20 {
        dropped_round().await;
    }
    settled("tasks and sockets to go", files).await;
    assert_eq!((alive_tasks(), open_files()), (0, files), "{tasks} at the start");
    let grown = resident().saturating_sub(memory);
    assert!(grown < 4096, "{grown} KiB more than before 120 rounds");
}
