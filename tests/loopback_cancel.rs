//! Every future may be dropped at every await point: nothing is lost, doubled or left hanging.

#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

#[path = "support/polling.rs"]
mod polling;
#[path = "support/loopback.rs"]
mod support;

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use polling::{drop_at_each_await, poll_up_to};
use std::future::poll_fn;
use straits::{
    ChannelCloseReason, CloseReason, DataChannel, DataChannelInit, Event, LayerConfig, Message, MessageEnd,
    MessageKind, PeerConnectionState,
};
use support::{PATIENCE, Pair, configuration, negotiate, peer, soon, trickle};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const COUNT: u32 = 300;

/// Large enough that a few fill the buffer.
fn message(n: u32) -> Message {
    n.to_be_bytes().repeat(1000).into()
}

/// Two channels whose writers wait often.
async fn narrow() -> Pair {
    let small =
        || configuration().high_water_mark(8000).layers(LayerConfig::default().max_message_size(1 << 24));
    Pair::with(small(), small(), DataChannelInit::default()).await
}

/// Reads all messages and closes.
async fn assert_all_arrive(pair: Pair) {
    for n in 0..COUNT {
        assert!(soon("a message", pair.channel_b.recv()).await == Some(message(n)), "message {n}");
    }
    pair.channel_a.close();
    assert_eq!(soon("the end", pair.channel_b.recv()).await, None);
    pair.close().await;
}

/// Writes with `write` while the other side reads, and checks that each message came once and in order.
async fn check_writes(write: impl AsyncFnOnce(DataChannel)) {
    let pair = narrow().await;
    let channel = pair.channel_a.clone();
    let write = async {
        write(channel.clone()).await;
        channel.close();
    };
    let read = async {
        for n in 0..COUNT {
            assert!(pair.channel_b.recv().await == Some(message(n)), "message {n}");
        }
        assert_eq!(pair.channel_b.recv().await, None);
    };
    soon("all messages", async { tokio::join!(write, read) }).await;
    pair.close().await;
}

/// Reads with `read` while the other side writes.
async fn check_reads(read: impl AsyncFnOnce(DataChannel)) {
    let pair = narrow().await;
    let write = async {
        for n in 0..COUNT {
            pair.channel_a.send(message(n)).await.unwrap();
        }
        pair.channel_a.close();
    };
    soon("all messages", async { tokio::join!(write, read(pair.channel_b.clone())) }).await;
    pair.close().await;
}

#[tokio::test]
async fn send() {
    check_writes(async |channel| {
        for n in 0..COUNT {
            drop_at_each_await(|| channel.send(message(n))).await.unwrap();
        }
    })
    .await;
}

#[tokio::test]
async fn recv() {
    check_reads(async |channel| {
        for n in 0..COUNT {
            assert!(drop_at_each_await(|| channel.recv()).await == Some(message(n)), "message {n}");
        }
        assert_eq!(drop_at_each_await(|| channel.recv()).await, None);
    })
    .await;
}

#[tokio::test]
async fn recv_part() {
    check_reads(async |channel| {
        for n in 0..COUNT {
            let mut data = Vec::new();
            loop {
                let part = drop_at_each_await(|| channel.recv_part()).await.unwrap();
                data.extend_from_slice(&part.data);
                match part.end {
                    None => {}
                    Some(end) => {
                        assert_eq!(end, MessageEnd::Complete);
                        break;
                    }
                }
            }
            assert!(message(n).as_bytes() == data, "message {n}");
        }
        assert_eq!(drop_at_each_await(|| channel.recv_part()).await, None);
    })
    .await;
}

#[tokio::test]
async fn message_readers_and_their_reads() {
    check_reads(async |channel| {
        for n in 0..COUNT {
            let mut reader = drop_at_each_await(|| channel.message_reader()).await.unwrap();
            let mut data = Vec::new();
            loop {
                let mut buffer = [0; 700];
                // A future that borrows anew for each attempt.
                let len = read_some(&mut reader, &mut buffer).await;
                if len == 0 {
                    break;
                }
                data.extend_from_slice(&buffer[..len]);
            }
            assert!(message(n).as_bytes() == data, "message {n}");
        }
        assert!(drop_at_each_await(|| channel.message_reader()).await.is_none());
    })
    .await;
}

async fn read_some(reader: &mut (impl AsyncReadExt + Unpin), buffer: &mut [u8]) -> usize {
    let mut times = 0;
    loop {
        if let Some(read) = poll_up_to(times, reader.read(buffer)).await {
            return read.unwrap();
        }
        times += 1;
        tokio::task::yield_now().await;
    }
}

async fn write_some(writer: &mut (impl AsyncWriteExt + Unpin), data: &[u8]) -> usize {
    let mut times = 0;
    loop {
        if let Some(written) = poll_up_to(times, writer.write(data)).await {
            return written.unwrap();
        }
        times += 1;
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn message_writers_and_their_pieces() {
    check_writes(async |channel| {
        for n in 0..COUNT {
            let mut writer =
                drop_at_each_await(|| channel.message_writer(MessageKind::Binary)).await.unwrap();
            for piece in message(n).as_bytes().chunks(900) {
                let piece = Bytes::copy_from_slice(piece);
                for times in 0.. {
                    if let Some(sent) = poll_up_to(times, writer.send_part(piece.clone())).await {
                        sent.unwrap();
                        break;
                    }
                    tokio::task::yield_now().await;
                }
            }
            writer.finish().unwrap();
        }
    })
    .await;
}

/// As `AsyncWrite`, several at once: who waits for the writer and is dropped does not keep the next one out.
#[tokio::test]
async fn writes_to_a_message_beside_others_that_wait() {
    check_writes(async |channel| {
        for n in 0..COUNT {
            let mut writer =
                drop_at_each_await(|| channel.message_writer(MessageKind::Binary)).await.unwrap();
            assert!(poll_up_to(1, channel.send("others")).await.is_none());
            assert!(poll_up_to(1, channel.message_writer(MessageKind::Text)).await.is_none());
            let message = message(n);
            let mut rest = message.as_bytes();
            while !rest.is_empty() {
                rest = &rest[write_some(&mut writer, rest).await..];
            }
            writer.shutdown().await.unwrap();
        }
    })
    .await;
}

#[tokio::test]
async fn streams_and_sinks() {
    let pair = narrow().await;
    let (mut sink, mut stream) = (pair.channel_a.messages(), pair.channel_b.messages());
    let write = async {
        for n in 0..COUNT {
            poll_at_each_await(|cx| sink.poll_ready_unpin(cx)).await.unwrap();
            sink.start_send_unpin(message(n)).unwrap();
            poll_at_each_await(|cx| sink.poll_flush_unpin(cx)).await.unwrap();
        }
        poll_at_each_await(|cx| sink.poll_close_unpin(cx)).await.unwrap();
    };
    let read = async {
        for n in 0..COUNT {
            let next = poll_at_each_await(|cx| stream.poll_next_unpin(cx)).await;
            assert!(next == Some(message(n)), "message {n}");
        }
        assert_eq!(poll_at_each_await(|cx| stream.poll_next_unpin(cx)).await, None);
    };
    soon("all messages", async { tokio::join!(write, read) }).await;
    pair.close().await;
}

/// As `drop_at_each_await`, for a poll function that cannot be made twice.
async fn poll_at_each_await<T>(mut poll: impl FnMut(&mut std::task::Context<'_>) -> std::task::Poll<T>) -> T {
    let mut times = 0;
    loop {
        if let Some(value) = poll_up_to(times, poll_fn(&mut poll)).await {
            return value;
        }
        times += 1;
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn streams_of_bytes() {
    let pair = narrow().await;
    let data: Vec<u8> = (0..1_000_000_u32).map(|n| (n % 251) as u8).collect();
    let (mut writer, mut reader) = (pair.channel_a.clone().into_bytes(), pair.channel_b.clone().into_bytes());
    let write = async {
        let mut rest = data.as_slice();
        while !rest.is_empty() {
            rest = &rest[write_some(&mut writer, rest).await..];
        }
        // It goes on although nobody polls it again.
        assert!(poll_up_to(1, writer.shutdown()).await.is_none());
    };
    let read = async {
        let (mut received, mut buffer) = (Vec::new(), [0; 5000]);
        loop {
            match read_some(&mut reader, &mut buffer).await {
                0 => break received,
                len => received.extend_from_slice(&buffer[..len]),
            }
        }
    };
    let (_, received) = soon("all bytes", async { tokio::join!(write, read) }).await;
    assert!(received == data, "{} of {} bytes", received.len(), data.len());
    assert_eq!(soon("the close", pair.channel_a.closed()).await, ChannelCloseReason::LocalClose);
    pair.close().await;
}

/// `connected`, `opened`, `accept_channel` and `closed`, while the connection comes up and ends.
#[tokio::test]
async fn what_waits_for_states() {
    let (a, b) = (peer(), peer());
    let channel = a.create_data_channel("data", DataChannelInit::default()).unwrap();
    trickle(&a, &b);
    trickle(&b, &a);
    let up = async {
        negotiate(&a, &b).await;
    };
    let wait = async {
        tokio::join!(
            async { drop_at_each_await(|| a.connected()).await.unwrap() },
            async { drop_at_each_await(|| b.connected()).await.unwrap() },
            async { drop_at_each_await(|| channel.opened()).await.unwrap() },
            drop_at_each_await(|| b.accept_channel()),
        )
        .3
    };
    let ((), there) = soon("the connection", async { tokio::join!(up, wait) }).await;
    let there = there.unwrap();
    let second = a.create_data_channel("second", DataChannelInit::default()).unwrap();
    let accepted = soon("the channel", drop_at_each_await(|| b.accept_channel())).await.unwrap();
    assert_eq!(accepted.label(), "second", "each comes once");
    drop(second);
    let end = async {
        tokio::join!(drop_at_each_await(|| channel.closed()), drop_at_each_await(|| there.closed()), async {
            tokio::task::yield_now().await;
            channel.close();
        },)
    };
    let reasons = soon("the end of the channel", end).await;
    assert_eq!((reasons.0, reasons.1), (ChannelCloseReason::LocalClose, ChannelCloseReason::RemoteClose));
    let end = async {
        tokio::join!(
            drop_at_each_await(|| a.closed()),
            drop_at_each_await(|| b.closed()),
            drop_at_each_await(|| b.accept_channel()),
            async {
                tokio::task::yield_now().await;
                a.close();
            },
        )
    };
    let (here, _, no_channel, ()) = soon("the end", end).await;
    assert_eq!(here, CloseReason::Local { undelivered: 0 });
    assert!(no_channel.is_none());
}

/// Each event comes once and in order.
#[tokio::test]
async fn events() {
    let (a, b) = (peer(), peer());
    let _channel = a.create_data_channel("data", DataChannelInit::default()).unwrap();
    let mut events = b.events().unwrap();
    trickle(&a, &b);
    let to_a = a.clone();
    let watch = async move {
        let mut seen = Vec::new();
        while let Some(event) = next(&mut events).await {
            match event {
                Event::IceCandidate(Some(candidate)) => to_a.add_ice_candidate(candidate).await.unwrap(),
                Event::SignalingStateChange(state) => seen.push(state.to_string()),
                Event::ConnectionStateChange(state) => {
                    seen.push(state.to_string());
                    if state == PeerConnectionState::Connected {
                        to_a.connected().await.unwrap();
                    }
                }
                Event::DataChannel(channel) => {
                    seen.push(channel.label().to_owned());
                    to_a.close();
                }
                Event::Closed(_) => seen.push("end".to_owned()),
                _ => {}
            }
        }
        seen
    };
    let (_, seen) = soon("the events", async { tokio::join!(negotiate(&a, &b), watch) }).await;
    let expected = ["have-remote-offer", "stable", "connecting", "connected", "data", "closed", "end"];
    assert_eq!(seen, expected);
}

async fn next(events: &mut straits::Events) -> Option<Event> {
    let mut times = 0;
    loop {
        if let Some(event) = poll_up_to(times, events.next()).await {
            return event;
        }
        times += 1;
        tokio::task::yield_now().await;
    }
}

/// It does nothing before it is polled, and goes on once it was.
#[tokio::test]
async fn close_gracefully() {
    let pair = Pair::new().await;
    for n in 0..COUNT {
        pair.channel_a.send(message(n)).await.unwrap();
    }
    assert!(poll_up_to(0, pair.a.close_gracefully(PATIENCE)).await.is_none());
    assert_eq!(pair.a.connection_state(), PeerConnectionState::Connected);
    assert!(poll_up_to(1, pair.a.close_gracefully(PATIENCE)).await.is_none());
    let reason = async { drop_at_each_await(|| pair.a.close_gracefully(PATIENCE)).await };
    let read = async {
        for n in 0..COUNT {
            assert!(pair.channel_b.recv().await == Some(message(n)), "message {n}");
        }
        assert_eq!(pair.channel_b.recv().await, None);
    };
    let (reason, ()) = soon("the end", async { tokio::join!(reason, read) }).await;
    assert_eq!(reason, CloseReason::Local { undelivered: 0 });
    soon("the other end", pair.b.closed()).await;
}

/// With nobody to wait for it.
#[tokio::test]
async fn close_gracefully_dropped_for_good() {
    let pair = Pair::new().await;
    for n in 0..COUNT {
        pair.channel_a.send(message(n)).await.unwrap();
    }
    assert!(poll_up_to(1, pair.a.close_gracefully(PATIENCE)).await.is_none());
    assert_all_arrive(pair).await;
}
