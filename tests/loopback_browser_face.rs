//! The browser face over UDP: handlers, their order, and what they may do.

#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

#[path = "support/loopback.rs"]
mod support;

use straits::{
    DataChannel, DataChannelInit, DataChannelState, ErrorDetail, ErrorName, IceGatheringState, Message,
    PeerConnection, PeerConnectionState, SignalingState,
};
use support::{Journal, Pair, configuration, connect, peer, soon, trickle};
use tokio::sync::{mpsc, oneshot};

/// W3C behaviours ODC-01, ODC-02, OPN-01, OPN-02, SND-02 to SND-06, CLS-01, CLS-03: the whole of the sample.
#[tokio::test]
async fn the_sample_runs_in_order() {
    let (local, remote) = (peer(), peer());
    let (sent, received) = (Journal::default(), Journal::default());
    let send_channel = local.create_data_channel("sendChannel", DataChannelInit::default()).unwrap();
    assert_eq!(send_channel.ready_state(), DataChannelState::Connecting);
    let journal = sent.clone();
    send_channel.on_open(move |channel| journal.write(channel.ready_state().as_str()));
    let journal = sent.clone();
    send_channel.on_close(move |channel| journal.write(channel.ready_state().as_str()));

    let (arrived, receive_channel) = oneshot::channel();
    let mut arrived = Some(arrived);
    let journal = received.clone();
    remote.on_data_channel(move |channel| {
        journal.write(format!("arrived {}", channel.ready_state()));
        let write = journal.clone();
        channel.on_open(move |channel| write.write(channel.ready_state().as_str()));
        let write = journal.clone();
        channel.on_message(move |_, message| write.write(format!("message {}", message.as_text().unwrap())));
        let write = journal.clone();
        channel.on_closing(move |channel| write.write(channel.ready_state().as_str()));
        let write = journal.clone();
        channel.on_error(move |_, error| write.write(error.to_string()));
        let write = journal.clone();
        channel.on_close(move |channel| write.write(channel.ready_state().as_str()));
        arrived.take().unwrap().send(channel).unwrap();
    });
    connect(&local, &remote).await;
    soon("open", send_channel.opened()).await.unwrap();
    for text in ["Hello", "Grüße, 世界", "", "last"] {
        send_channel.send_text(text).unwrap();
    }
    let receive_channel = soon("the channel", receive_channel).await.unwrap();
    assert_eq!(receive_channel.label(), "sendChannel");
    assert_eq!(receive_channel.id(), send_channel.id());

    send_channel.close();
    assert_eq!(send_channel.ready_state(), DataChannelState::Closing);
    soon("both to close", async { tokio::join!(send_channel.closed(), receive_channel.closed()) }).await;
    local.close();
    remote.close();
    soon("both to end", async { tokio::join!(local.closed(), remote.closed()) }).await;
    assert_eq!(sent.lines(), ["open", "closed"]);
    let expected = [
        "arrived open",
        "open",
        "message Hello",
        "message Grüße, 世界",
        "message ",
        "message last",
        "closing",
        "closed",
    ];
    assert_eq!(received.lines(), expected);
}

/// W3C behaviours NEG-02, SLD-07, GAT-02, GAT-06, STA-03: states and events of both sides, each handler seeing its own.
#[tokio::test]
async fn states_follow_the_order_of_the_text() {
    let (offerer, answerer) = (peer(), peer());
    let channel = offerer.create_data_channel("", DataChannelInit::default()).unwrap();
    let journals = [Journal::default(), Journal::default()];
    for (connection, journal) in [&offerer, &answerer].into_iter().zip(&journals) {
        let (write, weak) = (journal.clone(), connection.downgrade());
        connection.on_signaling_state_change(move |state| {
            assert_eq!(weak.upgrade().unwrap().signaling_state(), state);
            write.write(state.as_str());
        });
        let (write, weak) = (journal.clone(), connection.downgrade());
        connection.on_ice_gathering_state_change(move |state| {
            assert_eq!(weak.upgrade().unwrap().ice_gathering_state(), state);
            write.write(state.as_str());
        });
        let (write, weak) = (journal.clone(), connection.downgrade());
        connection.on_connection_state_change(move |state| {
            assert_eq!(weak.upgrade().unwrap().connection_state(), state);
            write.write(state.as_str());
        });
    }
    trickle(&offerer, &answerer);
    trickle(&answerer, &offerer);
    assert_eq!(offerer.signaling_state(), SignalingState::Stable);
    let offer = offerer.create_offer().await.unwrap();
    offerer.set_local_description(offer.clone()).await.unwrap();
    assert_eq!(offerer.signaling_state(), SignalingState::HaveLocalOffer);
    answerer.set_remote_description(offer).await.unwrap();
    assert_eq!(answerer.signaling_state(), SignalingState::HaveRemoteOffer);
    let answer = answerer.create_answer().await.unwrap();
    answerer.set_local_description(answer.clone()).await.unwrap();
    offerer.set_remote_description(answer).await.unwrap();
    assert_eq!(
        (offerer.signaling_state(), answerer.signaling_state()),
        (SignalingState::Stable, SignalingState::Stable)
    );
    soon("open", channel.opened()).await.unwrap();
    soon("connected", async { tokio::try_join!(offerer.connected(), answerer.connected()) }).await.unwrap();
    assert_eq!(offerer.ice_gathering_state(), IceGatheringState::Complete);

    let of = |journal: &Journal, states: &[&str]| {
        journal.lines().into_iter().filter(|line| states.contains(&line.as_str())).collect::<Vec<_>>()
    };
    let signaling = ["have-local-offer", "have-remote-offer", "stable"];
    assert_eq!(of(&journals[0], &signaling), ["have-local-offer", "stable"]);
    assert_eq!(of(&journals[1], &signaling), ["have-remote-offer", "stable"]);
    for journal in &journals {
        assert_eq!(of(journal, &["gathering", "complete"]), ["gathering", "complete"]);
        assert_eq!(of(journal, &["connecting", "connected", "failed"]), ["connecting", "connected"]);
    }
}

/// W3C behaviours PCC-01 to PCC-04, CLS-05, CLS-07: who closes hears nothing but `close` on its channels; the other side
/// gets `error`, then `close`.
#[tokio::test]
async fn closing_a_connection_is_told_as_browsers_do() {
    let pair = Pair::new().await;
    let (here, there) = (Journal::default(), Journal::default());
    let write = here.clone();
    pair.a.on_connection_state_change(move |state| write.write(state.as_str()));
    let write = here.clone();
    pair.a.on_signaling_state_change(move |state| write.write(state.as_str()));
    for (channel, journal) in [(&pair.channel_a, &here), (&pair.channel_b, &there)] {
        let write = journal.clone();
        channel.on_closing(move |_| write.write("closing"));
        let write = journal.clone();
        channel.on_error(move |_, error| {
            assert_eq!(error.name(), ErrorName::OperationError);
            write.write(format!("error {:?}", error.detail().unwrap()));
        });
        let write = journal.clone();
        channel.on_close(move |channel| write.write(format!("close {}", channel.ready_state())));
    }
    pair.a.close();
    assert_eq!(pair.a.connection_state(), PeerConnectionState::Closed);
    assert_eq!(pair.a.signaling_state(), SignalingState::Closed);
    assert_eq!(pair.channel_a.ready_state(), DataChannelState::Closed);
    soon("the other end", pair.channel_b.closed()).await;
    soon("both to end", async { tokio::join!(pair.a.closed(), pair.b.closed()) }).await;
    soon("the journals", async {
        while here.lines().is_empty() || there.lines().len() < 2 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert_eq!(here.lines(), ["close closed"]);
    let error = format!("error {:?}", ErrorDetail::SctpFailure { cause_code: Some(12) });
    assert_eq!(there.lines(), [error.as_str(), "close closed"]);
}

/// W3C behaviours ODC-03, ODC-06: sending and closing inside the event works, and `open` does not fire then.
#[tokio::test]
async fn a_handler_may_send_and_close() {
    let (a, b) = (peer(), peer());
    let channel = a.create_data_channel("", DataChannelInit::default()).unwrap();
    let (event, mut events) = mpsc::unbounded_channel();
    b.on_data_channel(move |channel| {
        let event = event.clone();
        channel.on_open(move |_| event.send("open").unwrap());
        channel.send_text("from inside").unwrap();
        channel.close();
    });
    connect(&a, &b).await;
    assert_eq!(soon("the message", channel.recv()).await, Some(Message::from("from inside")));
    assert_eq!(soon("the end", channel.recv()).await, None);
    a.close();
    b.close();
    soon("both to end", async { tokio::join!(a.closed(), b.closed()) }).await;
    drop(b);
    assert_eq!(soon("the events", events.recv()).await, None);
}

/// A handler that echoes through the channel it is passed, replaces itself, and in the end drops the last handle of its
/// own connection.
#[tokio::test]
async fn a_handler_may_replace_itself_and_drop_its_connection() {
    let pair = Pair::new().await;
    let mut own = Some((pair.b, pair.channel_b.clone()));
    pair.channel_b.on_message(move |channel, message| {
        channel.try_send(message).unwrap();
        let mut own = own.take();
        channel.on_message(move |channel, _| {
            channel.send_text("bye").unwrap();
            drop(own.take());
        });
    });
    drop(pair.channel_b);
    for (ping, pong) in [("one", "one"), ("two", "bye")] {
        pair.channel_a.send_text(ping).unwrap();
        assert_eq!(soon("an answer", pair.channel_a.recv()).await, Some(Message::from(pong)));
    }
    assert_eq!(soon("the end", pair.channel_a.recv()).await, None, "dropping the last handle closes");
    soon("the end of the connection", pair.a.closed()).await;
}

/// Messages and events that come before a handler wait for it.
#[tokio::test]
async fn nothing_is_lost_before_a_handler_is_set() {
    let pair = Pair::new().await;
    for n in 0..100_u32 {
        pair.channel_a.send(n.to_string()).await.unwrap();
    }
    let (message, mut messages) = mpsc::unbounded_channel();
    let (open, mut opened) = mpsc::unbounded_channel();
    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    pair.channel_b.on_open(move |_| open.send(()).unwrap());
    pair.channel_b.on_message(move |_, text| message.send(text).unwrap());
    assert_eq!(soon("open", opened.recv()).await, Some(()));
    for n in 0..100_u32 {
        assert_eq!(soon("a message", messages.recv()).await, Some(Message::from(n.to_string())));
    }
    pair.close().await;
}

/// W3C behaviours OPN-03, ODC-09, E2E-01: a channel agreed on by both sides is not announced.
#[tokio::test]
async fn negotiated_channels_open_without_announcement() {
    let (a, b) = (PeerConnection::new(configuration()).unwrap(), peer());
    let init = DataChannelInit::default().negotiated(true).id(7);
    let channels: [DataChannel; 2] =
        [&a, &b].map(|connection| connection.create_data_channel("same", init.clone()).unwrap());
    let duplicate = a.create_data_channel("other", init).unwrap_err();
    assert_eq!(duplicate.name(), ErrorName::OperationError);
    connect(&a, &b).await;
    for channel in &channels {
        soon("open", channel.opened()).await.unwrap();
        assert_eq!((channel.id(), channel.negotiated()), (Some(7), true));
    }
    channels[1].send_text("hello").unwrap();
    assert_eq!(soon("a message", channels[0].recv()).await, Some(Message::from("hello")));
    a.close();
    assert!(soon("no channel", b.accept_channel()).await.is_none());
}

/// Whoever waits for `opened` and closes at once takes nothing from the `open` handler: it has seen its own state.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_open_handler_sees_an_open_channel() {
    for _ in 0..50 {
        let (a, b) = (peer(), peer());
        let channel = a.create_data_channel("short", DataChannelInit::default()).unwrap();
        let journal = Journal::default();
        let seen = journal.clone();
        channel.on_open(move |channel| {
            // Gives the other thread its chance.
            std::thread::yield_now();
            seen.write(channel.ready_state().to_string());
        });
        connect(&a, &b).await;
        soon("the channel to open", channel.opened()).await.unwrap();
        channel.close();
        assert_eq!(journal.lines(), ["open"]);
        a.close();
        b.close();
    }
}
