//! Opening, sending and receiving: OPN and SND.

use super::support::{Journal, Pair, configuration, connect, negotiate, peer, soon};
use bytes::Bytes;
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use straits::{
    Configuration, DataChannel, DataChannelInit, DataChannelState, ErrorDetail, ErrorName, LayerConfig,
    Message, MessageKind, sctp,
};
use tokio::io::AsyncWriteExt;
use tokio::sync::oneshot;

#[tokio::test]
async fn opn_01_02_both_ends_open_and_are_open_inside() {
    let (a, b) = (peer(), peer());
    let channel = a.create_data_channel("", DataChannelInit::default()).unwrap();
    assert_eq!(channel.ready_state(), DataChannelState::Connecting);
    let (here, there) = (Journal::default(), Journal::default());
    note_open(&channel, &here);
    let (arrived, announced) = oneshot::channel();
    let (mut arrived, journal) = (Some(arrived), there.clone());
    b.on_data_channel(move |channel| {
        note_open(&channel, &journal);
        arrived.take().unwrap().send(channel).unwrap();
    });
    connect(&a, &b).await;
    soon("a to open", channel.opened()).await.unwrap();
    let announced = soon("the channel", announced).await.unwrap();
    soon("a to close", close(&channel)).await;
    soon("b to close", announced.closed()).await;
    assert_eq!((here.lines(), there.lines()), (lines(["open"]), lines(["open"])));
    Pair { a, b, channel_a: channel, channel_b: announced }.close().await;
}

#[tokio::test]
async fn opn_03_both_ends_of_a_negotiated_channel_open() {
    let (a, b) = (peer(), peer());
    let init = DataChannelInit::default().negotiated(true).id(0);
    let [channel_a, channel_b] =
        [&a, &b].map(|connection| connection.create_data_channel("", init.clone()).unwrap());
    let (here, there) = (Journal::default(), Journal::default());
    note_open(&channel_a, &here);
    note_open(&channel_b, &there);
    connect(&a, &b).await;
    soon("a to open", channel_a.opened()).await.unwrap();
    soon("b to open", channel_b.opened()).await.unwrap();
    soon("a to close", close(&channel_a)).await;
    soon("b to close", channel_b.closed()).await;
    assert_eq!((here.lines(), there.lines()), (lines(["open"]), lines(["open"])));
    Pair { a, b, channel_a, channel_b }.close().await;
}

/// Nobody reads on either side when the messages are sent.
#[tokio::test]
async fn opn_05_messages_sent_in_the_first_events_arrive() {
    let (a, b) = (peer(), peer());
    let channel_a = a.create_data_channel("", DataChannelInit::default()).unwrap();
    channel_a.on_open(|channel| send_a_hundred(channel, "from open"));
    let (arrived, announced) = oneshot::channel();
    let mut arrived = Some(arrived);
    b.on_data_channel(move |channel| {
        send_a_hundred(&channel, "from datachannel");
        arrived.take().unwrap().send(channel).unwrap();
    });
    connect(&a, &b).await;
    let channel_b = soon("the channel", announced).await.unwrap();
    assert_eq!(receive(&channel_b, 100).await, a_hundred("from open"));
    assert_eq!(receive(&channel_a, 100).await, a_hundred("from datachannel"));
    Pair { a, b, channel_a, channel_b }.close().await;
}

#[tokio::test]
async fn snd_01_nothing_is_sent_while_connecting() {
    let (a, b) = (peer(), peer());
    let negotiated = DataChannelInit::default().negotiated(true).id(0);
    let [channel_a, negotiated_a] =
        [DataChannelInit::default(), negotiated.clone()].map(|init| a.create_data_channel("", init).unwrap());
    let negotiated_b = b.create_data_channel("", negotiated).unwrap();
    for channel in [&channel_a, &negotiated_a, &negotiated_b] {
        assert_eq!(channel.ready_state(), DataChannelState::Connecting);
        assert_refused(channel, "too early");
        assert_eq!(channel.buffered_amount(), 0);
    }
    connect(&a, &b).await;
    let channel_b = soon("the channel", b.accept_channel()).await.unwrap();
    for (from, to) in
        [(&channel_a, &channel_b), (&negotiated_a, &negotiated_b), (&negotiated_b, &negotiated_a)]
    {
        soon("to open", from.opened()).await.unwrap();
        from.send_text("first").unwrap();
        assert_eq!(receive(to, 1).await, ["first".into()]);
    }
    Pair { a, b, channel_a, channel_b }.close().await;
}

#[tokio::test]
async fn snd_02_03_04_text_arrives_in_both_directions() {
    for pair in Pair::of_both_kinds().await {
        for (from, to) in [(&pair.channel_a, &pair.channel_b), (&pair.channel_b, &pair.channel_a)] {
            let texts = ["hello", "世界你好", "Grüße 🦀"];
            for text in texts {
                from.send_text(text).unwrap();
            }
            assert_eq!(receive(to, 3).await, texts.map(Message::from));
        }
        pair.close().await;
    }
}

/// There is no `binaryType`: a message is a string or bytes as it was sent, and bytes are at hand like an `ArrayBuffer`.
#[tokio::test]
async fn snd_05_12_each_message_keeps_its_type() {
    for pair in Pair::of_both_kinds().await {
        pair.channel_a.send_text("same").unwrap();
        pair.channel_a.send_binary("same").unwrap();
        pair.channel_a.send_text("same").unwrap();
        let binary = Message::Binary(Bytes::from_static(b"same"));
        assert_eq!(receive(&pair.channel_b, 3).await, ["same".into(), binary, "same".into()]);
        pair.close().await;
    }
}

#[tokio::test]
async fn snd_06_09_empty_messages_arrive_as_such() {
    for pair in Pair::of_both_kinds().await {
        pair.channel_a.send_text("").unwrap();
        pair.channel_a.send_text("next").unwrap();
        pair.channel_a.send_binary(Bytes::new()).unwrap();
        pair.channel_a.send_binary(&b"last"[..]).unwrap();
        let expected = ["".into(), "next".into(), Message::Binary(Bytes::new()), b"last"[..].into()];
        assert_eq!(receive(&pair.channel_b, 4).await, expected);
        pair.close().await;
    }
}

#[tokio::test]
async fn snd_07_08_binary_arrives_and_of_a_view_only_what_it_shows() {
    for pair in Pair::of_both_kinds().await {
        let whole: Vec<u8> = (0..=255).collect();
        let shared = Bytes::from(whole.clone());
        pair.channel_a.send_binary(whole.clone()).unwrap();
        pair.channel_a.send_binary(shared.slice(10..20)).unwrap();
        pair.channel_a.try_send(&whole[250..]).unwrap();
        let expected = [whole.as_slice(), &whole[10..20], &whole[250..]].map(Message::from);
        assert_eq!(receive(&pair.channel_b, 3).await, expected);
        assert_ended_without_more(pair).await;
    }
}

/// What a Blob is there, a source that is read piece by piece is here: copied into a message, which keeps its place in line.
#[tokio::test]
async fn snd_10_14_what_is_read_from_a_source_arrives_in_its_place() {
    for pair in Pair::of_both_kinds().await {
        let source = vec![7; 10_000];
        pair.channel_a.send_text("before").unwrap();
        let mut blob = pair.channel_a.message_writer(MessageKind::Binary).await.unwrap();
        let behind = pair.channel_a.send(vec![8; 10]);
        let copy = async {
            tokio::io::copy(&mut source.as_slice(), &mut blob).await.unwrap();
            blob.shutdown().await.unwrap();
        };
        // What is sent behind it is there first.
        let (sent, ()) = soon("both", async { tokio::join!(behind, copy) }).await;
        sent.unwrap();
        let expected = ["before".into(), source.into(), vec![8; 10].into()];
        assert_eq!(receive(&pair.channel_b, 3).await, expected);
        pair.close().await;
    }
}

/// The third is memory that another object owns, such as a mapped file.
#[tokio::test]
async fn snd_13_messages_of_all_types_arrive_in_order() {
    for pair in Pair::of_both_kinds().await {
        pair.channel_a.send_binary(vec![1, 2, 3]).unwrap();
        pair.channel_a.send_text("世界").unwrap();
        pair.channel_a.send_binary(Bytes::from_owner([4; 5])).unwrap();
        let expected = [vec![1, 2, 3].into(), "世界".into(), vec![4; 5].into()];
        assert_eq!(receive(&pair.channel_b, 3).await, expected);
        assert_ended_without_more(pair).await;
    }
}

#[tokio::test]
async fn snd_16_large_and_small_messages_survive_a_new_negotiation() {
    const LARGE: usize = 5 << 20;
    let layers = LayerConfig::default().max_message_size(LARGE);
    let configurations = [configuration(), configuration()].map(|each| each.layers(layers.clone()));
    let [a, b] = configurations;
    let pair = Pair::with(a, b, DataChannelInit::default().ordered(false)).await;
    let mut large = vec![0; LARGE];
    ChaCha8Rng::seed_from_u64(16).fill_bytes(&mut large);
    let large = Message::from(large);
    let send = async {
        pair.channel_a.send(large.clone()).await.unwrap();
        for n in 0..1000_u32 {
            pair.channel_a.send(n.to_be_bytes().as_slice()).await.unwrap();
        }
    };
    let exchange = negotiate(&pair.a, &pair.b);
    let received = receive(&pair.channel_b, 1001);
    let (_, _, mut received) = soon("everything", async { tokio::join!(send, exchange, received) }).await;
    let place = received.iter().position(|message| message.len() == LARGE).unwrap();
    assert!(received.remove(place) == large, "the large message is another");
    received.sort_by(|left, right| left.as_bytes().cmp(right.as_bytes()));
    let expected: Vec<Message> = (0..1000_u32).map(|n| n.to_be_bytes().as_slice().into()).collect();
    assert_eq!(received, expected);
    assert_ended_without_more(pair).await;
}

#[tokio::test]
async fn snd_17_each_side_of_a_negotiated_channel_has_its_own_order() {
    let init = DataChannelInit::default();
    let pair = Pair::negotiated(init.clone(), init.ordered(false)).await;
    assert_eq!((pair.channel_a.ordered(), pair.channel_b.ordered()), (true, false));
    for (from, to) in [(&pair.channel_a, &pair.channel_b), (&pair.channel_b, &pair.channel_a)] {
        send_a_hundred(from, "message");
        let mut received = receive(to, 100).await;
        if !from.ordered() {
            received.sort_by(|left, right| left.as_bytes().cmp(right.as_bytes()));
        }
        assert_eq!(received, a_hundred("message"));
    }
    assert_ended_without_more(pair).await;
}

#[tokio::test]
async fn snd_18_a_message_over_the_maximum_is_a_type_error() {
    let small = configuration().layers(LayerConfig::default().max_message_size(1000));
    let pair = Pair::with(configuration(), small, DataChannelInit::default()).await;
    assert_eq!(pair.a.max_message_size(), Some(1000));
    let channel = &pair.channel_a;
    channel.send_binary(vec![1; 10]).unwrap();
    for message in [Message::from(vec![2; 1001]), "€".repeat(334).into()] {
        let error = channel.try_send(message).unwrap_err();
        assert_eq!((error.name(), error.is_buffer_full()), (ErrorName::TypeError, false), "{error}");
        assert_eq!(channel.buffered_amount(), 10);
    }
    channel.send_binary(vec![3; 1000]).unwrap();
    assert_eq!(receive(&pair.channel_b, 2).await, [vec![1; 10].into(), vec![3; 1000].into()]);
    assert_ended_without_more(pair).await;
}

#[tokio::test]
async fn snd_19_a_full_buffer_is_an_operation_error() {
    let pair = Pair::with(with_send_buffer(100_000), configuration(), DataChannelInit::default()).await;
    let channel = &pair.channel_a;
    let mut accepted = 0_u32;
    let error = loop {
        match channel.send_binary(vec![7; 10_000]) {
            Ok(()) => accepted += 1,
            Err(error) => break error,
        }
        assert_eq!(channel.buffered_amount(), 10_000 * accepted as usize);
        assert!(accepted <= 10, "the limit does not count");
    };
    assert_eq!((error.name(), error.is_buffer_full()), (ErrorName::OperationError, true), "{error}");
    assert_eq!(channel.buffered_amount(), 10_000 * accepted as usize);
    let expected = vec![Message::from(vec![7; 10_000]); accepted as usize];
    assert_eq!(receive(&pair.channel_b, accepted as usize).await, expected);
    soon("room", channel.send("there is room again")).await.unwrap();
    assert_eq!(receive(&pair.channel_b, 1).await, ["there is room again".into()]);
    assert_ended_without_more(pair).await;
}

#[tokio::test]
async fn snd_20_nothing_is_sent_on_a_channel_that_closes() {
    for pair in Pair::of_both_kinds().await {
        let journal = Journal::default();
        let write = journal.clone();
        pair.channel_b.on_closing(move |channel| {
            assert_refused(channel, "in closing");
            write.write(channel.ready_state().as_str());
        });
        let write = journal.clone();
        pair.channel_b.on_close(move |channel| {
            assert_refused(channel, "in close");
            write.write(channel.ready_state().as_str());
        });
        pair.channel_a.close();
        assert_eq!(pair.channel_a.ready_state(), DataChannelState::Closing);
        assert_refused(&pair.channel_a, "closing");
        soon("a to close", pair.channel_a.closed()).await;
        assert_eq!(pair.channel_a.ready_state(), DataChannelState::Closed);
        assert_refused(&pair.channel_a, "closed");
        soon("b to close", pair.channel_b.closed()).await;
        assert_eq!(journal.lines(), ["closing", "closed"]);
        assert_eq!(soon("the end", pair.channel_a.recv()).await, None);
        assert_eq!(soon("the end", pair.channel_b.recv()).await, None);
        pair.close().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn snd_21_many_messages_of_random_sizes_arrive_both_ways() {
    for pair in Pair::of_both_kinds().await {
        let (from_a, from_b) = (random_messages(1), random_messages(2));
        let send = async |channel: &DataChannel, messages: &[Message]| {
            for message in messages {
                channel.send(message.clone()).await.unwrap();
            }
        };
        let (_, _, at_b, at_a) = soon("everything", async {
            tokio::join!(
                send(&pair.channel_a, &from_a),
                send(&pair.channel_b, &from_b),
                receive(&pair.channel_b, from_a.len()),
                receive(&pair.channel_a, from_b.len()),
            )
        })
        .await;
        assert!(at_b == from_a, "a to b");
        assert!(at_a == from_b, "b to a");
        assert_ended_without_more(pair).await;
    }
}

#[tokio::test]
async fn snd_22_a_failure_of_sctp_while_sending_is_an_event_afterwards() {
    for pair in Pair::of_both_kinds().await {
        let journal = Journal::default();
        let write = journal.clone();
        pair.channel_a.on_error(move |channel, error| {
            assert_eq!(
                (error.name(), channel.ready_state()),
                (ErrorName::OperationError, DataChannelState::Closed)
            );
            write.write(format!("error {:?}", error.detail().unwrap()));
        });
        let write = journal.clone();
        pair.channel_a.on_close(move |channel| write.write(channel.ready_state().as_str()));
        pair.channel_a.send_binary(vec![0; 1 << 18]).unwrap();
        pair.b.close();
        pair.channel_a.send_binary(vec![0; 1 << 18]).unwrap();
        assert_eq!(journal.lines(), [""; 0]);
        soon("a to close", pair.channel_a.closed()).await;
        let error = format!("error {:?}", ErrorDetail::SctpFailure { cause_code: Some(12) });
        assert_eq!(journal.lines(), [error.as_str(), "closed"]);
        pair.close().await;
    }
}

fn lines<const N: usize>(lines: [&str; N]) -> Vec<String> {
    lines.map(str::to_owned).into()
}

fn note_open(channel: &DataChannel, journal: &Journal) {
    let journal = journal.clone();
    channel.on_open(move |channel| journal.write(channel.ready_state().as_str()));
}

async fn close(channel: &DataChannel) {
    channel.close();
    channel.closed().await;
}

/// The next messages of a channel.
async fn receive(channel: &DataChannel, count: usize) -> Vec<Message> {
    let mut messages = Vec::new();
    while messages.len() < count {
        let message = soon("a message", channel.recv()).await;
        messages.push(message.unwrap_or_else(|| panic!("the end after {} of {count}", messages.len())));
    }
    messages
}

/// Closes the channel and the connections: no message came but those that were received.
async fn assert_ended_without_more(pair: Pair) {
    pair.channel_a.close();
    assert_eq!(soon("the end of b", pair.channel_b.recv()).await, None);
    assert_eq!(soon("the end of a", pair.channel_a.recv()).await, None);
    pair.close().await;
}

fn assert_refused(channel: &DataChannel, text: &str) {
    for message in [Message::from(text), Message::from(text.as_bytes())] {
        let error = channel.try_send(message).unwrap_err();
        assert_eq!(error.name(), ErrorName::InvalidStateError, "{text}: {error}");
    }
}

fn a_hundred(what: &str) -> Vec<Message> {
    (0..100).map(|n| format!("{what} {n:02}").into()).collect()
}

fn send_a_hundred(channel: &DataChannel, what: &str) {
    for message in a_hundred(what) {
        channel.try_send(message).unwrap();
    }
}

/// Strings and bytes, empty ones among them.
fn random_messages(seed: u64) -> Vec<Message> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut message = |_| {
        let limit = [1, 10, 1200, 20_000][random.random_range(0..4)];
        let len = random.random_range(0..limit);
        if random.random() {
            return "x".repeat(len).into();
        }
        let mut data = vec![0; len];
        random.fill_bytes(&mut data);
        data.into()
    };
    (0..300).map(&mut message).collect()
}

fn with_send_buffer(bytes: usize) -> Configuration {
    configuration().layers(LayerConfig::default().sctp(sctp::Config::default().send_buffer_limit(bytes)))
}
