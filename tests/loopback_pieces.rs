//! One message in pieces: writers, readers, and what becomes of a message that is not finished.

#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

#[path = "support/loopback.rs"]
mod support;

use bytes::Bytes;
use futures_util::{FutureExt, SinkExt, StreamExt, stream};
use std::io::ErrorKind;
use straits::{
    ChannelCloseReason, Configuration, DataChannel, DataChannelInit, ErrorName, LayerConfig, Message,
    MessageEnd, MessageKind, sctp,
};
use support::{Pair, configuration, soon};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// More than one packet.
const LONG: usize = 10_000;

async fn with_layers(layers: impl Fn() -> LayerConfig) -> Pair {
    let [a, b]: [Configuration; 2] = std::array::from_fn(|_| configuration().layers(layers()));
    Pair::with(a, b, DataChannelInit::default()).await
}

async fn recv(channel: &DataChannel) -> Option<Message> {
    soon("a message", channel.recv()).await
}

/// All pieces of the next message in one, and how it ended.
async fn collect(channel: &DataChannel) -> (MessageKind, Vec<u8>, MessageEnd) {
    let mut data = Vec::new();
    loop {
        let part = soon("a piece", channel.recv_part()).await.unwrap();
        data.extend_from_slice(&part.data);
        if let Some(end) = part.end {
            return (part.kind, data, end);
        }
    }
}

#[tokio::test]
async fn pieces_make_one_message() {
    let pair = Pair::new().await;
    let mut writer = pair.channel_a.message_writer(MessageKind::Text).await.unwrap();
    assert_eq!(writer.kind(), MessageKind::Text);
    // Cut within characters.
    for piece in "Grüße, 世界".as_bytes().chunks(2) {
        writer.send_part(Bytes::copy_from_slice(piece)).await.unwrap();
    }
    writer.finish().unwrap();
    pair.channel_a.message_writer(MessageKind::Text).await.unwrap().finish().unwrap();
    pair.channel_a.message_writer(MessageKind::Binary).await.unwrap().finish().unwrap();
    assert_eq!(recv(&pair.channel_b).await, Some(Message::from("Grüße, 世界")));
    assert_eq!(recv(&pair.channel_b).await, Some(Message::from("")));
    assert_eq!(recv(&pair.channel_b).await, Some(Message::from(vec![])));
    assert_eq!(pair.channel_a.stats().messages_sent, 3);
    pair.close().await;
}

/// From an `AsyncRead` to an `AsyncRead`, and from a stream.
#[tokio::test]
async fn a_message_is_copied_from_and_to_anything() {
    let pair = Pair::new().await;
    let source: Vec<u8> = (0..100_000_u32).map(|n| (n % 251) as u8).collect();
    let copy = async {
        let mut writer = pair.channel_a.message_writer(MessageKind::Binary).await.unwrap();
        tokio::io::copy(&mut source.as_slice(), &mut writer).await.unwrap();
        writer.shutdown().await.unwrap();
        assert_eq!(writer.write(b"late").await.unwrap_err().kind(), ErrorKind::BrokenPipe);
        let writer = pair.channel_a.message_writer(MessageKind::Binary).await.unwrap();
        let pieces: Vec<_> = source.chunks(7000).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
        stream::iter(pieces).forward(writer).await.unwrap();
        pair.channel_a.send("behind").await.unwrap();
    };
    let read = async {
        for _ in 0..2 {
            let mut reader = pair.channel_b.message_reader().await.unwrap();
            assert_eq!(reader.kind(), MessageKind::Binary);
            let mut data = Vec::new();
            reader.read_to_end(&mut data).await.unwrap();
            assert!(data == source, "{} of {} bytes", data.len(), source.len());
            assert_eq!(reader.read(&mut [0; 8]).await.unwrap(), 0, "it stays at its end");
        }
        let mut text = String::new();
        pair.channel_b.message_reader().await.unwrap().read_to_string(&mut text).await.unwrap();
        assert_eq!(text, "behind");
    };
    soon("the copies", async { tokio::join!(copy, read) }).await;
    pair.close().await;
}

/// Messages that were sent whole can be read in pieces, and mixed with those that are read whole.
#[tokio::test]
async fn every_message_has_one_end() {
    let pair = Pair::new().await;
    let long = vec![7; 5 * LONG];
    for message in [Message::from("short"), long.clone().into(), "".into(), vec![].into(), "whole".into()] {
        pair.channel_a.send(message).await.unwrap();
    }
    let complete = MessageEnd::Complete;
    assert_eq!(collect(&pair.channel_b).await, (MessageKind::Text, b"short".to_vec(), complete));
    assert_eq!(collect(&pair.channel_b).await, (MessageKind::Binary, long, complete));
    assert_eq!(collect(&pair.channel_b).await, (MessageKind::Text, vec![], complete));
    assert_eq!(collect(&pair.channel_b).await, (MessageKind::Binary, vec![], complete));
    assert_eq!(recv(&pair.channel_b).await, Some(Message::from("whole")));
    assert_eq!(pair.channel_b.try_recv_part(), None);
    pair.channel_a.close();
    assert_eq!(soon("the end", pair.channel_b.recv_part()).await, None);
    pair.close().await;
}

/// A message is not mixed with what others send.
#[tokio::test]
async fn others_wait_for_the_writer() {
    let pair = Pair::new().await;
    let channel = &pair.channel_a;
    let mut writer = channel.message_writer(MessageKind::Binary).await.unwrap();
    writer.send_part(vec![1; LONG]).await.unwrap();
    let error = channel.try_send("at once").unwrap_err();
    assert_eq!((error.name(), error.is_buffer_full()), (ErrorName::OperationError, false), "{error}");
    let behind = [
        tokio::spawn({
            let channel = channel.clone();
            async move { channel.send("send").await.unwrap() }
        }),
        tokio::spawn({
            let mut sink = channel.messages();
            async move { sink.send("sink".into()).await.unwrap() }
        }),
        tokio::spawn({
            let mut bytes = channel.clone().into_bytes();
            async move { bytes.write_all(b"bytes").await.unwrap() }
        }),
        tokio::spawn({
            let channel = channel.clone();
            async move {
                let mut writer = channel.message_writer(MessageKind::Text).await.unwrap();
                writer.send_part("writer").await.unwrap();
                writer.finish().unwrap();
            }
        }),
    ];
    // Another channel does not.
    let other = pair.a.create_data_channel("other", DataChannelInit::default()).unwrap();
    other.send("aside").await.unwrap();
    let aside = soon("the other channel", pair.b.accept_channel()).await.unwrap();
    assert_eq!(recv(&aside).await, Some(Message::from("aside")));
    assert!(behind.iter().all(|task| !task.is_finished()));
    writer.send_part(vec![1; LONG]).await.unwrap();
    writer.finish().unwrap();
    assert_eq!(recv(&pair.channel_b).await, Some(vec![1; 2 * LONG].into()));
    let mut rest = Vec::new();
    for _ in 0..behind.len() {
        rest.push(String::from_utf8(recv(&pair.channel_b).await.unwrap().as_bytes().to_vec()).unwrap());
    }
    rest.sort();
    assert_eq!(rest, ["bytes", "send", "sink", "writer"]);
    for task in behind {
        soon("who waited", task).await.unwrap();
    }
    channel.try_send("at once").unwrap();
    assert_eq!(recv(&pair.channel_b).await, Some(Message::from("at once")));
    pair.close().await;
}

/// Who waits for a writer hears of the end of the channel.
#[tokio::test]
async fn a_close_ends_the_wait_for_a_writer() {
    let pair = Pair::new().await;
    let mut writer = pair.channel_a.message_writer(MessageKind::Binary).await.unwrap();
    let behind = tokio::spawn({
        let channel = pair.channel_a.clone();
        async move { channel.send("behind").await }
    });
    tokio::task::yield_now().await;
    assert!(!behind.is_finished());
    pair.channel_a.close();
    let error = soon("who waits", behind).await.unwrap().unwrap_err();
    assert_eq!(error.name(), ErrorName::InvalidStateError);
    assert_eq!(writer.send_part("late").await.unwrap_err().name(), ErrorName::InvalidStateError);
    assert_eq!(writer.finish().unwrap_err().name(), ErrorName::InvalidStateError);
    assert_eq!(recv(&pair.channel_b).await, None);
    pair.close().await;
}

/// RFC 3758: the peer never has the beginning for the whole, and the channel goes on.
#[tokio::test]
async fn a_writer_that_is_dropped_gives_its_message_up() {
    for interleaving in [true, false] {
        let pair =
            with_layers(|| LayerConfig::default().sctp(sctp::Config::default().interleaving(interleaving)))
                .await;
        // Of the first nothing has left, of the second something has.
        let mut writer = pair.channel_a.message_writer(MessageKind::Binary).await.unwrap();
        writer.send_part("little").await.unwrap();
        drop(writer);
        let mut writer = pair.channel_a.message_writer(MessageKind::Binary).await.unwrap();
        writer.send_part(vec![1; LONG]).await.unwrap();
        let part = soon("the beginning", pair.channel_b.recv_part()).await.unwrap();
        assert!(!part.data.is_empty() && part.end.is_none(), "{part:?}");
        drop(writer);
        pair.channel_a.try_send("next").unwrap();
        assert_eq!(collect(&pair.channel_b).await.2, MessageEnd::Abandoned);
        assert_eq!(
            collect(&pair.channel_b).await,
            (MessageKind::Text, b"next".to_vec(), MessageEnd::Complete)
        );

        // The same for who reads whole messages.
        let mut writer = pair.channel_a.message_writer(MessageKind::Binary).await.unwrap();
        writer.send_part(vec![1; LONG]).await.unwrap();
        let part = soon("the beginning", pair.channel_b.recv_part()).await.unwrap();
        assert_eq!(part.end, None);
        drop(writer);
        pair.channel_a.send("last").await.unwrap();
        assert_eq!(recv(&pair.channel_b).await, Some(Message::from("last")));
        pair.close().await;
    }
}

/// Nothing takes back what a peer has that knows no partial reliability: nothing follows it.
#[tokio::test]
async fn a_peer_that_cannot_be_told_gets_the_beginning_as_the_last_message() {
    let pair =
        with_layers(|| LayerConfig::default().sctp(sctp::Config::default().partial_reliability(false))).await;
    pair.channel_a.send("before").await.unwrap();
    let mut writer = pair.channel_a.message_writer(MessageKind::Binary).await.unwrap();
    writer.send_part("little").await.unwrap();
    drop(writer);
    pair.channel_a.send("that can be taken back").await.unwrap();
    let mut writer = pair.channel_a.message_writer(MessageKind::Binary).await.unwrap();
    writer.send_part(vec![1; LONG]).await.unwrap();
    for text in ["before", "that can be taken back"] {
        assert_eq!(recv(&pair.channel_b).await, Some(Message::from(text)));
    }
    let mut reader = soon("the beginning", pair.channel_b.message_reader()).await.unwrap();
    drop(writer);
    assert_eq!(pair.channel_a.try_send("late").unwrap_err().name(), ErrorName::InvalidStateError);
    let mut data = Vec::new();
    soon("what there is", reader.read_to_end(&mut data)).await.unwrap();
    assert!(data == vec![1; LONG], "{} bytes", data.len());
    assert_eq!(recv(&pair.channel_b).await, None);
    assert_eq!(soon("the end", pair.channel_a.closed()).await, ChannelCloseReason::LocalClose);
    pair.close().await;
}

/// What was not finished was not accepted: neither a close nor a graceful end of the connection delivers it.
#[tokio::test]
async fn a_message_that_is_not_finished_ends_with_its_channel() {
    for graceful in [false, true] {
        let pair = Pair::new().await;
        pair.channel_a.send("before").await.unwrap();
        let mut writer = pair.channel_a.message_writer(MessageKind::Binary).await.unwrap();
        writer.send_part(vec![1; LONG]).await.unwrap();
        assert_eq!(recv(&pair.channel_b).await, Some(Message::from("before")));
        let mut reader = soon("the beginning", pair.channel_b.message_reader()).await.unwrap();
        let mut byte = [0];
        reader.read_exact(&mut byte).await.unwrap();
        let closing = pair.a.clone();
        let closing = tokio::spawn(async move {
            if graceful {
                closing.close_gracefully(support::PATIENCE).await;
            }
        });
        if !graceful {
            pair.channel_a.close();
        }
        let error = soon("the end", reader.read_to_end(&mut Vec::new())).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::UnexpectedEof);
        assert_eq!(recv(&pair.channel_b).await, None);
        assert_eq!(writer.send_part("late").await.unwrap_err().name(), ErrorName::InvalidStateError);
        soon("the close", closing).await.unwrap();
        drop(writer);
        pair.close().await;
    }
}

/// Whoever has read the beginning hears that there is no end.
#[tokio::test]
async fn a_message_that_its_connection_did_not_survive_is_abandoned() {
    let pair = Pair::new().await;
    let mut writer = pair.channel_a.message_writer(MessageKind::Text).await.unwrap();
    writer.send_part("x".repeat(LONG)).await.unwrap();
    let part = soon("the beginning", pair.channel_b.recv_part()).await.unwrap();
    assert_eq!((part.kind, part.end), (MessageKind::Text, None));
    pair.a.close();
    soon("the end", pair.b.closed()).await;
    let (kind, _, end) = collect(&pair.channel_b).await;
    assert_eq!((kind, end), (MessageKind::Text, MessageEnd::Abandoned));
    assert_eq!(soon("no more", pair.channel_b.recv_part()).await, None);
    assert_eq!(writer.finish().unwrap_err().name(), ErrorName::InvalidStateError);
    pair.close().await;
}

/// The rest of a message whose reader is gone is passed over, also when it comes later.
#[tokio::test]
async fn a_reader_leaves_the_rest_of_its_message() {
    let pair = Pair::new().await;
    let mut writer = pair.channel_a.message_writer(MessageKind::Binary).await.unwrap();
    writer.send_part(vec![1; LONG]).await.unwrap();
    let mut reader = soon("the beginning", pair.channel_b.message_reader()).await.unwrap();
    let mut byte = [0];
    reader.read_exact(&mut byte).await.unwrap();
    assert_eq!(pair.channel_b.recv().now_or_never(), None);
    assert_eq!(pair.channel_b.try_recv(), None);
    let next = tokio::spawn({
        let channel = pair.channel_b.clone();
        async move { channel.recv().await }
    });
    writer.send_part(vec![1; LONG]).await.unwrap();
    writer.finish().unwrap();
    pair.channel_a.send("next").await.unwrap();
    assert_eq!(soon("the next message", next).await.unwrap(), Some(Message::from("next")));
    let error = soon("an error", reader.read_to_end(&mut Vec::new())).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Other, "{error}");
    pair.close().await;
}

/// What is refused is not sent, and the message goes on.
#[tokio::test]
async fn a_piece_that_is_refused_changes_nothing() {
    let pair = with_layers(|| LayerConfig::default().max_message_size(1000)).await;
    let mut writer = pair.channel_a.message_writer(MessageKind::Binary).await.unwrap();
    writer.send_part(vec![1; 900]).await.unwrap();
    assert_eq!(writer.send_part(vec![2; 101]).await.unwrap_err().name(), ErrorName::TypeError);
    writer.send_part(vec![3; 100]).await.unwrap();
    writer.finish().unwrap();
    assert_eq!(recv(&pair.channel_b).await, Some([vec![1; 900], vec![3; 100]].concat().into()));

    let mut writer = pair.channel_a.message_writer(MessageKind::Text).await.unwrap();
    writer.send_part("é".as_bytes()[..1].to_vec()).await.unwrap();
    assert_eq!(writer.send_part("e").await.unwrap_err().name(), ErrorName::TypeError);
    writer.send_part("é".as_bytes()[1..].to_vec()).await.unwrap();
    writer.finish().unwrap();
    assert_eq!(recv(&pair.channel_b).await, Some(Message::from("é")));

    let mut writer = pair.channel_a.message_writer(MessageKind::Text).await.unwrap();
    writer.feed("é".as_bytes()[..1].to_vec().into()).await.unwrap();
    assert_eq!(writer.finish().unwrap_err().name(), ErrorName::TypeError, "it ends within a character");
    pair.channel_a.send("next").await.unwrap();
    assert_eq!(recv(&pair.channel_b).await, Some(Message::from("next")));
    pair.close().await;
}

/// Back-pressure: a writer waits as `send` does.
#[tokio::test]
async fn a_writer_waits_while_much_is_buffered() {
    let layers = || LayerConfig::default().max_message_size(64 << 20);
    let small = configuration().high_water_mark(64 << 10).layers(layers());
    let pair = Pair::with(small, configuration().layers(layers()), DataChannelInit::default()).await;
    let total = 16 << 20;
    let write = async {
        let mut writer = pair.channel_a.message_writer(MessageKind::Binary).await.unwrap();
        for _ in 0..total / (16 << 10) {
            writer.send_part(vec![7; 16 << 10]).await.unwrap();
            assert!(pair.channel_a.buffered_amount() <= (64 << 10) + (16 << 10));
        }
        writer.finish().unwrap();
    };
    let read = async {
        let mut reader = pair.channel_b.message_reader().await.unwrap();
        tokio::io::copy(&mut reader, &mut tokio::io::sink()).await.unwrap()
    };
    let (_, read) = soon("the message", async { tokio::join!(write, read) }).await;
    assert_eq!(read, total);
    pair.close().await;
}
