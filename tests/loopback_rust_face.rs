//! The Rust face over UDP: futures, streams, sinks, bytes.

#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

#[path = "support/loopback.rs"]
mod support;

use bytes::Bytes;
use futures_util::{FutureExt, SinkExt, StreamExt};
use std::time::Duration;
use straits::{
    ChannelCloseReason, CloseReason, Configuration, DataChannelInit, DataChannelState, ErrorName, Event,
    Message, PeerConnection, PeerConnectionState,
};
use support::{Pair, configuration, negotiate, peer, soon, trickle};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

#[tokio::test]
async fn messages_go_both_ways() {
    let pair = Pair::new().await;
    let messages =
        [Message::from("text"), Message::from(b"bytes".as_slice()), Message::from(""), Message::from(vec![])];
    for (from, to) in [(&pair.channel_a, &pair.channel_b), (&pair.channel_b, &pair.channel_a)] {
        for message in &messages {
            from.send(message.clone()).await.unwrap();
        }
        for message in &messages {
            assert_eq!(soon("a message", to.recv()).await.as_ref(), Some(message));
        }
        assert_eq!(to.try_recv(), None);
    }
    assert_eq!(pair.channel_a.stats().messages_sent, 4);
    assert_eq!(pair.channel_b.stats().messages_received, 4);
    pair.close().await;
}

/// A channel that is made while the connection is up opens, too (CDC-31), and `closed` says why it ended.
#[tokio::test]
async fn channels_come_and_go() {
    let pair = Pair::new().await;
    for round in 0..10 {
        let label = format!("round {round}");
        let here = pair.a.create_data_channel(label.as_str(), DataChannelInit::default()).unwrap();
        assert_eq!(here.ready_state(), DataChannelState::Connecting);
        let there = soon("the channel", pair.b.accept_channel()).await.unwrap();
        assert_eq!(there.label(), label);
        here.send(label.as_str()).await.unwrap();
        here.close();
        assert_eq!(soon("the message", there.recv()).await, Some(Message::from(label)));
        assert_eq!(soon("the end", there.recv()).await, None);
        assert_eq!(soon("the close", there.closed()).await, ChannelCloseReason::RemoteClose);
        assert_eq!(soon("the close", here.closed()).await, ChannelCloseReason::LocalClose);
        assert_eq!(here.try_send("late").unwrap_err().name(), ErrorName::InvalidStateError);
    }
    pair.close().await;
}

/// DESIGN decision 11: `send` waits above the high-water mark, `try_send` fails at the limit of the connection.
#[tokio::test]
async fn senders_are_held_back() {
    let small = configuration().high_water_mark(64 << 10);
    let pair = Pair::with(small, configuration(), DataChannelInit::default()).await;
    let message = Bytes::from(vec![7; 16 << 10]);
    // Nobody reads, so that in the end the receive window is closed and nothing leaves.
    let mut sent = 0_usize;
    while tokio::time::timeout(Duration::from_millis(500), pair.channel_a.send(message.clone())).await.is_ok()
    {
        sent += 1;
        assert!(sent < 1024, "16 MiB were taken although nobody reads");
    }
    assert!(pair.channel_a.buffered_amount() >= 64 << 10);
    assert!(pair.channel_a.buffered_amount() < (64 << 10) + message.len());

    let mut queued = 0;
    let error = loop {
        match pair.channel_a.try_send(message.clone()) {
            Ok(()) => queued += 1,
            Err(error) => break error,
        }
        assert!(queued < 2048, "more than the limit of the connection was taken");
    };
    assert_eq!((error.name(), error.is_buffer_full()), (ErrorName::OperationError, true));

    // Once somebody reads, everything arrives.
    for _ in 0..sent + queued {
        assert_eq!(soon("a message", pair.channel_b.recv()).await, Some(Message::Binary(message.clone())));
    }
    soon("room", pair.channel_a.send("end")).await.unwrap();
    assert_eq!(soon("the end", pair.channel_b.recv()).await, Some(Message::from("end")));
    pair.close().await;
}

/// Who waits to send when the channel is closed hears of it at once, not when half of what is buffered has left.
#[tokio::test]
async fn a_close_ends_the_wait_of_a_sender() {
    let pair =
        Pair::with(configuration().high_water_mark(1000), configuration(), DataChannelInit::default()).await;
    pair.channel_a.try_send(vec![7; 1 << 18]).unwrap();
    let waiting = tokio::spawn({
        let channel = pair.channel_a.clone();
        async move { channel.send("late").await }
    });
    tokio::task::yield_now().await;
    assert!(!waiting.is_finished());
    pair.channel_a.close();
    let error = soon("the refusal", waiting).await.unwrap().unwrap_err();
    assert_eq!(error.name(), ErrorName::InvalidStateError);
    assert!(pair.channel_a.buffered_amount() > 500, "it waited for the buffer");
    let received = soon("what was accepted", pair.channel_b.recv()).await;
    assert!(received == Some(vec![7; 1 << 18].into()));
    assert_eq!(soon("the end", pair.channel_b.recv()).await, None);
    pair.close().await;
}

/// A future of `send` or `recv` that is dropped has neither sent nor taken anything.
#[tokio::test]
async fn futures_may_be_dropped() {
    let pair = Pair::new().await;
    assert_eq!(pair.channel_b.recv().now_or_never(), None);
    drop(pair.channel_a.send("never polled"));
    pair.channel_a.send("first").await.unwrap();
    assert_eq!(soon("a message", pair.channel_b.recv()).await, Some(Message::from("first")));
    pair.close().await;
}

#[tokio::test]
async fn a_channel_is_a_stream_and_a_sink() {
    let pair = Pair::new().await;
    let (mut out, mut echo) = (pair.channel_a.messages(), pair.channel_b.messages());
    let task = tokio::spawn(async move {
        while let Some(message) = echo.next().await {
            echo.send(message).await.unwrap();
        }
    });
    for n in 0..100 {
        out.send(Message::from(n.to_string())).await.unwrap();
    }
    for n in 0..100 {
        assert_eq!(soon("an echo", out.next()).await, Some(Message::from(n.to_string())));
    }
    soon("the close", out.close()).await.unwrap();
    soon("the echo to end", task).await.unwrap();
    assert_eq!(soon("the end", out.next()).await, None);
    pair.close().await;
}

#[tokio::test]
async fn a_channel_is_a_stream_of_bytes() {
    let pair = Pair::new().await;
    let data: Vec<u8> = (0..300_000_u32).map(|n| (n % 251) as u8).collect();
    let (mut writer, mut reader) = (pair.channel_a.clone().into_bytes(), pair.channel_b.clone().into_bytes());
    let expected = data.clone();
    let task = tokio::spawn(async move {
        writer.write_all(&data).await.unwrap();
        writer.shutdown().await.unwrap();
    });
    let mut received = Vec::new();
    soon("all bytes", reader.read_to_end(&mut received)).await.unwrap();
    assert!(received == expected, "{} of {} bytes", received.len(), expected.len());
    soon("the shutdown", task).await.unwrap();
    pair.close().await;
}

/// Events instead of handlers; the stream ends with the reason.
#[tokio::test]
async fn events_are_a_stream() {
    let (a, b) = (peer(), peer());
    let channel = a.create_data_channel("events", DataChannelInit::default()).unwrap();
    let mut events = a.events().unwrap();
    assert_eq!(a.events().unwrap_err().name(), ErrorName::InvalidStateError);
    // It is told as long as it is so.
    assert!(matches!(soon("the first", events.next()).await, Some(Event::NegotiationNeeded)));
    trickle(&b, &a);
    let other = b.clone();
    let watcher = tokio::spawn(async move {
        let mut seen = Vec::new();
        while let Some(event) = events.next().await {
            match event {
                Event::IceCandidate(Some(candidate)) => other.add_ice_candidate(candidate).await.unwrap(),
                Event::NegotiationNeeded => panic!("everything is negotiated"),
                Event::ConnectionStateChange(state) => seen.push(state.to_string()),
                Event::Closed(reason) => seen.push(reason.to_string()),
                _ => {}
            }
        }
        seen
    });
    negotiate(&a, &b).await;
    soon("open", channel.opened()).await.unwrap();
    soon("connected", a.connected()).await.unwrap();
    b.close();
    let reason = soon("the end", a.closed()).await;
    let seen = soon("the events", watcher).await.unwrap();
    assert_eq!(seen[..2], ["connecting", "connected"]);
    assert_eq!(seen.last(), Some(&reason.to_string()));
}

/// CloseReason and undelivered bytes, DESIGN decision 10.
#[tokio::test]
async fn a_hard_close_counts_what_was_not_delivered() {
    let pair = Pair::new().await;
    // An answer acknowledges everything before it, the announcement of the channel included.
    pair.channel_a.send("ping").await.unwrap();
    soon("ping", pair.channel_b.recv()).await;
    pair.channel_b.send("pong").await.unwrap();
    soon("pong", pair.channel_a.recv()).await;
    pair.channel_a.try_send(vec![0; 200_000]).unwrap();
    pair.a.close();
    match soon("the end", pair.a.closed()).await {
        CloseReason::Local { undelivered } => assert_eq!(undelivered, 200_000),
        reason => panic!("{reason}"),
    }
    soon("the other end", pair.b.closed()).await;
    assert_eq!(pair.b.connection_state(), PeerConnectionState::Closed);
}

/// Everything that was accepted arrives before a graceful close ends.
#[tokio::test]
async fn a_graceful_close_loses_nothing() {
    let pair = Pair::new().await;
    for n in 0..500_u32 {
        pair.channel_a.try_send(n.to_be_bytes().repeat(1024)).unwrap();
    }
    let close = tokio::spawn({
        let a = pair.a.clone();
        async move { a.close_gracefully(Duration::from_secs(20)).await }
    });
    for n in 0..500_u32 {
        let message = soon("a message", pair.channel_b.recv()).await.unwrap();
        assert_eq!(message.as_bytes(), n.to_be_bytes().repeat(1024));
    }
    assert_eq!(soon("the end", pair.channel_b.recv()).await, None);
    assert_eq!(soon("the close", close).await.unwrap(), CloseReason::Local { undelivered: 0 });
}

#[test]
fn without_a_runtime_there_is_an_error() {
    let error = PeerConnection::new(Configuration::default()).unwrap_err();
    assert_eq!(error.name(), ErrorName::InvalidStateError);
}
