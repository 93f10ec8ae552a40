//! Closing channels, and closing connections.

use super::relay::Relay;
use super::support::{Journal, Pair, configuration, connect, end, negotiate, peer, port, soon, trickle};
use futures_util::FutureExt;
use std::net::UdpSocket;
use std::sync::{Arc, Mutex};
use straits::{
    ChannelCloseReason, CloseReason, DataChannel, DataChannelInit, DataChannelState, ErrorName, Event,
    Events, IceConnectionState, IceGatheringState, Message, PeerConnection, PeerConnectionState,
    SessionDescription, SignalingState, sctp,
};
use tokio::sync::mpsc;

#[tokio::test]
async fn cls_01_the_other_side_hears_closing_and_close() {
    for negotiated in [false, true] {
        let pair = open(negotiated).await;
        let [here, there] = watch(&pair).await;
        pair.channel_a.close();
        soon("both to close", async { tokio::join!(pair.channel_a.closed(), pair.channel_b.closed()) }).await;
        pair.close().await;
        assert_eq!(here.lines(), ["open open", "close closed"]);
        assert_eq!(there.lines(), ["open open", "closing closing", "close closed"]);
    }
}

/// Neither side has a handler: the events are a stream, and the channels are read and awaited.
#[tokio::test]
async fn cls_02_the_end_is_told_without_handlers() {
    for negotiated in [false, true] {
        let (a, b) = (peer(), peer());
        let (mut events_a, mut events_b) = (a.events().unwrap(), b.events().unwrap());
        let init = init(negotiated);
        let here = a.create_data_channel("data", init.clone()).unwrap();
        let there = negotiated.then(|| b.create_data_channel("data", init).unwrap());
        exchange([&a, &b], [&mut events_a, &mut events_b]).await;
        let there = match there {
            Some(channel) => channel,
            None => soon("the channel", next_channel(&mut events_b)).await,
        };
        here.send("last").await.unwrap();
        here.close();
        assert_eq!(soon("the message", there.recv()).await, Some(Message::from("last")));
        assert_eq!(soon("the end of the messages", there.recv()).await, None);
        assert_eq!(soon("the end there", there.closed()).await, ChannelCloseReason::RemoteClose);
        assert_eq!(soon("the end here", here.closed()).await, ChannelCloseReason::LocalClose);
        assert_eq!([&here, &there].map(DataChannel::ready_state), [DataChannelState::Closed; 2]);
        a.close();
        b.close();
        let mut rest = Vec::new();
        while let Some(event) = soon("an event", events_b.next()).await {
            rest.push(event);
        }
        let is_about_channels = |event: &Event| matches!(event, Event::DataChannel(_));
        assert!(!rest.iter().any(is_about_channels), "{rest:?}");
        soon("both to end", async { tokio::join!(a.closed(), b.closed()) }).await;
    }
}

/// After the channel nothing of it is left that the end of the connection could tell of.
#[tokio::test]
async fn cls_03_closing_the_connection_after_the_channel_tells_nothing_more() {
    for negotiated in [false, true] {
        let pair = open(negotiated).await;
        let [here, there] = watch(&pair).await;
        pair.channel_a.close();
        soon("the end there", pair.channel_b.closed()).await;
        soon("the end here", pair.channel_a.closed()).await;
        let before = [here.lines(), there.lines()];
        assert_eq!(before[0], ["open open", "close closed"]);
        assert_eq!(before[1], ["open open", "closing closing", "close closed"]);
        pair.a.close();
        // Handlers have run when this resolves, here and there.
        soon("both to end", async { tokio::join!(pair.a.closed(), pair.b.closed()) }).await;
        assert_eq!([here.lines(), there.lines()], before);
    }
}

#[tokio::test]
async fn cls_04_channels_open_and_close_one_after_another() {
    for negotiated in [false, true] {
        let (a, b) = (peer(), peer());
        connect_with_channel(&a, &b).await;
        for round in 0..10 {
            let init = init(negotiated);
            let here = a.create_data_channel("round", init.clone()).unwrap();
            let there = match negotiated {
                true => b.create_data_channel("round", init).unwrap(),
                false => soon("the channel", b.accept_channel()).await.unwrap(),
            };
            soon("both to open", async { tokio::try_join!(here.opened(), there.opened()) }).await.unwrap();
            let message = Message::from(format!("round {round}"));
            here.send(message.clone()).await.unwrap();
            let echo = soon("the message", there.recv()).await.unwrap();
            there.send(echo).await.unwrap();
            assert_eq!(soon("the echo", here.recv()).await, Some(message));
            here.close();
            let reasons = soon("both to close", async { tokio::join!(here.closed(), there.closed()) }).await;
            assert_eq!(reasons, (ChannelCloseReason::LocalClose, ChannelCloseReason::RemoteClose));
        }
        end([a, b]).await;
    }
}

#[tokio::test]
async fn cls_05_07_closing_the_connection_tells_an_error_there_and_close_on_both_sides() {
    for negotiated in [false, true] {
        let pair = open(negotiated).await;
        let [here, there] = watch(&pair).await;
        pair.a.close();
        assert_eq!(here.lines(), ["open open"], "close comes in a later event");
        assert_eq!(pair.channel_a.ready_state(), DataChannelState::Closed);
        soon("both to end", async { tokio::join!(pair.a.closed(), pair.b.closed()) }).await;
        assert_eq!(here.lines(), ["open open", "close closed"]);
        assert_eq!(there.lines(), ["open open", ABORTED, "close closed"]);
    }
}

/// The letter of the text: who closes the connection hears nothing.
#[tokio::test]
async fn cls_07_no_close_here_by_the_letter() {
    let a = PeerConnection::new(configuration().strict_w3c(true)).unwrap();
    let b = peer();
    let [channel_a, channel_b] =
        [&a, &b].map(|connection| connection.create_data_channel("data", init(true)).unwrap());
    exchange([&a, &b], [&mut a.events().unwrap(), &mut b.events().unwrap()]).await;
    let pair = Pair { a, b, channel_a, channel_b };
    let [here, there] = watch(&pair).await;
    pair.a.close();
    assert_eq!(pair.channel_a.ready_state(), DataChannelState::Closed);
    soon("both to end", async { tokio::join!(pair.a.closed(), pair.b.closed()) }).await;
    assert_eq!(here.lines(), ["open open"]);
    assert_eq!(there.lines(), ["open open", ABORTED, "close closed"]);
}

#[tokio::test]
async fn cls_06_every_channel_is_told_once() {
    for negotiated in [false, true] {
        let (a, b) = (peer(), peer());
        let mut sides = [Vec::new(), Vec::new()];
        for n in 0..10 {
            let init = if negotiated { init(true).id(2 * n) } else { init(false) };
            sides[0].push(a.create_data_channel("data", init.clone()).unwrap());
            if negotiated {
                sides[1].push(b.create_data_channel("data", init).unwrap());
            }
        }
        connect(&a, &b).await;
        while sides[1].len() < 10 {
            sides[1].push(soon("a channel", b.accept_channel()).await.unwrap());
        }
        for channel in sides.iter().flatten() {
            soon("open", channel.opened()).await.unwrap();
        }
        let journals = sides[1].iter().map(|channel| {
            let journal = Journal::default();
            journal.watch_states(channel);
            journal
        });
        let journals: Vec<_> = journals.collect();
        for journal in &journals {
            soon("the journal to begin", first(journal)).await;
        }
        a.close();
        soon("both to end", async { tokio::join!(a.closed(), b.closed()) }).await;
        for journal in &journals {
            assert_eq!(journal.lines(), ["open open", ABORTED, "close closed"]);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cls_08_10_all_text_arrives_before_close() {
    let text = |n: usize| Message::from(format!("{n:08x}").repeat(MESSAGE / 8));
    for negotiated in [false, true] {
        check_all_arrives_before_close(open(negotiated).await, text).await;
    }
}

/// The network loses packets.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cls_08_10_all_text_arrives_before_close_in_spite_of_loss() {
    let text = |n: usize| Message::from(format!("{n:08x}").repeat(MESSAGE / 8));
    for (negotiated, loss) in [(false, 0.01), (true, 0.01), (false, 0.05), (true, 0.05)] {
        let (pair, _relay) = Relay::pair(negotiated, loss, 8).await;
        check_all_arrives_before_close(pair, text).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cls_08_10_all_bytes_arrive_before_close() {
    let binary = |n: usize| Message::from(n.to_be_bytes().repeat(MESSAGE / size_of::<usize>()));
    for negotiated in [false, true] {
        check_all_arrives_before_close(open(negotiated).await, binary).await;
    }
}

/// The network loses packets.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cls_08_10_all_bytes_arrive_before_close_in_spite_of_loss() {
    let binary = |n: usize| Message::from(n.to_be_bytes().repeat(MESSAGE / size_of::<usize>()));
    for (negotiated, loss) in [(false, 0.01), (true, 0.01), (false, 0.05), (true, 0.05)] {
        let (pair, _relay) = Relay::pair(negotiated, loss, 9).await;
        check_all_arrives_before_close(pair, binary).await;
    }
}

/// Sends until 20 MiB were accepted or the buffer is full, and closes at once.
async fn check_all_arrives_before_close(pair: Pair, message: impl Fn(usize) -> Message) {
    let (here, there) = (Journal::default(), Journal::default());
    for (journal, channel) in [(&here, &pair.channel_a), (&there, &pair.channel_b)] {
        journal.watch_states(channel);
        soon("the journal to begin", first(journal)).await;
    }
    let received: Arc<Mutex<Vec<Message>>> = Arc::default();
    let (arrivals, all, journal) = (received.clone(), received.clone(), there.clone());
    pair.channel_b.on_message(move |_, message| arrivals.lock().unwrap().push(message));
    pair.channel_b.on_closing(move |channel| {
        let count = all.lock().unwrap().len();
        journal.write(format!("{} after {count}", channel.ready_state()));
    });
    let mut accepted = Vec::new();
    while accepted.len() * MESSAGE < 20 << 20 {
        let next = message(accepted.len());
        assert_eq!(next.len(), MESSAGE);
        if let Err(error) = pair.channel_a.try_send(next.clone()) {
            assert_eq!((error.name(), error.is_buffer_full()), (ErrorName::OperationError, true));
            break;
        }
        accepted.push(next);
    }
    pair.channel_a.close();
    let reasons =
        soon("both to close", async { tokio::join!(pair.channel_a.closed(), pair.channel_b.closed()) }).await;
    assert_eq!(reasons, (ChannelCloseReason::LocalClose, ChannelCloseReason::RemoteClose));
    pair.close().await;
    assert_eq!(here.lines(), ["open open", "close closed"]);
    let closing = format!("closing after {}", accepted.len());
    assert_eq!(there.lines(), ["open open", closing.as_str(), "close closed"]);
    assert!(accepted.len() * MESSAGE >= 8 << 20, "{} messages accepted", accepted.len());
    assert!(*received.lock().unwrap() == accepted, "something else arrived than was sent");
}

const MESSAGE: usize = 64 << 10;

#[tokio::test]
async fn cls_09_closing_is_seen_at_once_and_closing_again_does_nothing() {
    for negotiated in [false, true] {
        let pair = open(negotiated).await;
        let [here, there] = watch(&pair).await;
        let channel = &pair.channel_a;
        channel.close();
        assert_eq!(channel.ready_state(), DataChannelState::Closing);
        channel.close();
        assert_eq!(channel.ready_state(), DataChannelState::Closing);
        assert_eq!(channel.send_text("late").unwrap_err().name(), ErrorName::InvalidStateError);
        soon("both to close", async { tokio::join!(channel.closed(), pair.channel_b.closed()) }).await;
        for channel in [channel, &pair.channel_b] {
            channel.close();
            assert_eq!(channel.ready_state(), DataChannelState::Closed);
            assert_eq!(channel.send_text("late").unwrap_err().name(), ErrorName::InvalidStateError);
        }
        pair.close().await;
        assert_eq!(here.lines(), ["open open", "close closed"]);
        assert_eq!(there.lines(), ["open open", "closing closing", "close closed"]);
    }
}

/// A channel keeps its connection.
#[tokio::test]
async fn cls_11_a_channel_outlives_the_handles_of_its_connection() {
    for negotiated in [false, true] {
        let Pair { a, b, channel_a, channel_b } = open(negotiated).await;
        let (event, mut events) = mpsc::unbounded_channel();
        let message = event.clone();
        channel_a.on_message(move |channel, text| {
            channel.send_text(format!("{} back", text.as_text().unwrap())).unwrap();
            message.send(text.as_text().unwrap().to_owned()).unwrap();
        });
        channel_a.on_close(move |channel| event.send(channel.ready_state().to_string()).unwrap());
        drop(a);
        channel_b.send("hello").await.unwrap();
        assert_eq!(soon("the message", events.recv()).await.as_deref(), Some("hello"));
        assert_eq!(soon("the echo", channel_b.recv()).await, Some(Message::from("hello back")));
        b.close();
        assert_eq!(soon("close", events.recv()).await.as_deref(), Some("closed"));
        let reason = soon("the end of the channel", channel_a.closed()).await;
        assert!(is_aborted(&reason), "{reason:?}");
        assert_eq!(soon("the handlers to be dropped", events.recv()).await, None);
        soon("the end of the connection", b.closed()).await;
    }
}

/// Before negotiation, and when it is just made on a connection that is up.
#[tokio::test]
async fn cls_12_a_channel_closed_while_connecting_never_opens() {
    for negotiated in [false, true] {
        let (a, b) = (peer(), peer());
        let journal = Journal::default();
        let close = |id| {
            let init = if negotiated { init(true).id(id) } else { init(false) };
            let channel = a.create_data_channel("short", init).unwrap();
            journal.watch(&channel);
            assert_eq!(channel.ready_state(), DataChannelState::Connecting);
            channel.close();
            assert_ne!(channel.ready_state(), DataChannelState::Open);
            channel
        };
        let early = close(20);
        soon("the end of the early channel", early.closed()).await;
        connect_with_channel(&a, &b).await;
        let late = close(22);
        if negotiated {
            let peers = b.create_data_channel("short", init(true).id(22)).unwrap();
            soon("the end at the other side", peers.closed()).await;
        }
        soon("the end of the late channel", late.closed()).await;
        end([a, b]).await;
        assert_eq!(journal.lines(), ["close closed"; 2]);
    }
}

/// What the peer had accepted is more than the receive window takes, so most of it is on the other side still when the
/// channel closes.
#[tokio::test]
async fn cls_13_messages_arrive_until_the_peer_has_reset_its_direction() {
    for negotiated in [false, true] {
        let pair = open(negotiated).await;
        let message = |n: usize| Message::from(n.to_be_bytes().repeat(MESSAGE / size_of::<usize>()));
        let count = (12 << 20) / MESSAGE;
        for n in 0..count {
            pair.channel_b.try_send(message(n)).unwrap();
        }
        pair.channel_a.close();
        for n in 0..count {
            let received = soon("a message", pair.channel_a.recv()).await;
            assert!(received == Some(message(n)), "message {n} is not what was sent");
            if n == 0 {
                assert_eq!(pair.channel_a.ready_state(), DataChannelState::Closing);
            }
        }
        assert_eq!(soon("the end of the messages", pair.channel_a.recv()).await, None);
        assert_eq!(soon("the end here", pair.channel_a.closed()).await, ChannelCloseReason::LocalClose);
        assert_eq!(soon("the end there", pair.channel_b.closed()).await, ChannelCloseReason::RemoteClose);
        pair.close().await;
    }
}

#[tokio::test]
async fn pcc_01_02_03_04_09_states_are_closed_at_once_and_nothing_tells_of_it() {
    let pair = Pair::new().await;
    let journal = Journal::of_states(&pair.a);
    for _ in 0..2 {
        pair.a.close();
        assert_eq!(states(&pair.a), CLOSED);
    }
    soon("both to end", async { tokio::join!(pair.a.closed(), pair.b.closed()) }).await;
    pair.a.close();
    assert_eq!(states(&pair.a), CLOSED);
    assert_eq!(journal.lines(), [""; 0]);
}

/// In the middle of an exchange too.
#[tokio::test]
async fn pcc_01_02_03_04_09_states_are_closed_at_once_during_negotiation() {
    let connection = peer();
    connection.create_data_channel("", DataChannelInit::default()).unwrap();
    connection.set_local_description(connection.create_offer().await.unwrap()).await.unwrap();
    let journal = Journal::of_states(&connection);
    assert_eq!(connection.signaling_state(), SignalingState::HaveLocalOffer);
    for _ in 0..2 {
        connection.close();
        assert_eq!(states(&connection), CLOSED);
    }
    soon("the end", connection.closed()).await;
    assert_eq!(journal.lines(), [""; 0]);
}

/// What handlers were to be told when `close` was called they are not told any more.
#[tokio::test]
async fn pcc_02_07_events_that_wait_are_dropped() {
    let connection = peer();
    connection.create_data_channel("", DataChannelInit::default()).unwrap();
    let journal = Journal::of_states(&connection);
    let write = journal.clone();
    connection.on_ice_gathering_state_change(move |state| write.write(format!("gathering {state}")));
    let offer = connection.create_offer().await.unwrap();
    // The description is set, and no handler had its turn yet.
    assert!(connection.set_local_description(offer).now_or_never().is_none());
    connection.close();
    assert_eq!(states(&connection), CLOSED);
    soon("the end", connection.closed()).await;
    assert_eq!(journal.lines(), [""; 0]);
    assert_eq!(connection.ice_gathering_state(), IceGatheringState::New);
}

/// The transports have no objects of their own here: the other side's states and reasons tell that theirs are closed.
#[tokio::test]
async fn pcc_06_08_11_the_transports_of_the_other_side_close() {
    for negotiated in [false, true] {
        let pair = open(negotiated).await;
        let journal = Journal::of_states(&pair.b);
        pair.a.close();
        let (here, there) =
            soon("both to close", async { tokio::join!(pair.channel_a.closed(), pair.channel_b.closed()) })
                .await;
        assert_eq!(here, ChannelCloseReason::AssociationClosed(sctp::CloseReason::LocalAbort));
        assert!(is_aborted(&there), "{there:?}");
        let (here, there) =
            soon("both to end", async { tokio::join!(pair.a.closed(), pair.b.closed()) }).await;
        assert_eq!(here, CloseReason::Local { undelivered: 0 });
        let is_aborted =
            matches!(&there, CloseReason::Sctp(sctp::CloseReason::RemoteAbort { cause: Some(12), .. }));
        assert!(is_aborted, "{there:?}");
        assert_eq!(states(&pair.b), CLOSED);
        assert_eq!(journal.lines(), ["ice closed", "connection closed"]);
    }
}

/// The sockets are given back.
#[tokio::test]
async fn pcc_11_ice_is_gone_after_close() {
    let (a, b) = (peer(), peer());
    let channel = a.create_data_channel("", DataChannelInit::default()).unwrap();
    let (found, mut candidates) = mpsc::unbounded_channel();
    let weak = b.downgrade();
    a.on_ice_candidate(move |candidate| {
        if let (Some(b), Some(candidate)) = (weak.upgrade(), candidate) {
            found.send(candidate.clone()).unwrap();
            b.add_ice_candidate(candidate);
        }
    });
    trickle(&b, &a);
    negotiate(&a, &b).await;
    soon("open", channel.opened()).await.unwrap();
    let address = ("127.0.0.1", port(&soon("a candidate", candidates.recv()).await.unwrap()));
    UdpSocket::bind(address).unwrap_err();
    a.close();
    soon("both to end", async { tokio::join!(a.closed(), b.closed()) }).await;
    UdpSocket::bind(address).unwrap();
}

/// The handler sees the state before it ends by itself, and closes.
#[tokio::test]
async fn pcc_07_close_completes_no_gathering() {
    let connection = peer();
    connection.create_data_channel("", DataChannelInit::default()).unwrap();
    let journal = Journal::default();
    let (write, weak) = (journal.clone(), connection.downgrade());
    connection.on_ice_gathering_state_change(move |state| {
        write.write(state.as_str());
        weak.upgrade().unwrap().close();
    });
    let write = journal.clone();
    connection.on_ice_candidate(move |candidate| write.write(format!("{candidate:?}")));
    // Its end is that of the connection, if that comes first.
    let _ = connection.set_local_description(connection.create_offer().await.unwrap()).await;
    soon("the end", connection.closed()).await;
    assert_eq!(journal.lines(), ["gathering"]);
    assert_eq!(connection.ice_gathering_state(), IceGatheringState::Gathering);
}

#[tokio::test]
async fn pcc_10_stats_work_after_close() {
    let fresh = peer();
    fresh.close();
    assert_eq!(fresh.stats().sctp.packets_sent, 0);
    soon("the end", fresh.closed()).await;
    let pair = Pair::new().await;
    pair.channel_a.send("hello").await.unwrap();
    assert_eq!(soon("the message", pair.channel_b.recv()).await, Some(Message::from("hello")));
    let before = pair.a.stats();
    pair.a.close();
    let at_once = pair.a.stats();
    soon("both to end", async { tokio::join!(pair.a.closed(), pair.b.closed()) }).await;
    for after in [at_once, pair.a.stats()] {
        assert!(after.sctp.packets_sent > before.sctp.packets_sent, "the ABORT counts");
        assert!(after.sctp.packets_received >= before.sctp.packets_received);
    }
    assert_eq!((pair.channel_a.stats().messages_sent, pair.channel_a.stats().bytes_sent), (1, 5));
    assert_eq!((pair.channel_b.stats().messages_received, pair.channel_b.stats().bytes_received), (1, 5));
}

fn init(negotiated: bool) -> DataChannelInit {
    match negotiated {
        true => DataChannelInit::default().negotiated(true).id(100),
        false => DataChannelInit::default(),
    }
}

/// Two connections with an open channel, announced or agreed on.
async fn open(negotiated: bool) -> Pair {
    let init = DataChannelInit::default();
    if negotiated { Pair::negotiated(init.clone(), init).await } else { Pair::new().await }
}

/// Connects by a channel that nobody cares for.
async fn connect_with_channel(a: &PeerConnection, b: &PeerConnection) {
    let init = DataChannelInit::default().negotiated(true).id(0);
    let [channel, _] = [a, b].map(|connection| connection.create_data_channel("", init.clone()).unwrap());
    connect(a, b).await;
    soon("open", channel.opened()).await.unwrap();
}

/// Journals of both channels, which begin with `open`.
async fn watch(pair: &Pair) -> [Journal; 2] {
    let journals = [Journal::default(), Journal::default()];
    for (journal, channel) in journals.iter().zip([&pair.channel_a, &pair.channel_b]) {
        journal.watch(channel);
        soon("the journal to begin", first(journal)).await;
    }
    journals
}

/// The journal has a line.
async fn first(journal: &Journal) {
    while journal.lines().is_empty() {
        tokio::task::yield_now().await;
    }
}

fn states(connection: &PeerConnection) -> (SignalingState, IceConnectionState, PeerConnectionState) {
    (connection.signaling_state(), connection.ice_connection_state(), connection.connection_state())
}

const CLOSED: (SignalingState, IceConnectionState, PeerConnectionState) =
    (SignalingState::Closed, IceConnectionState::Closed, PeerConnectionState::Closed);

/// Offer and answer with all candidates in them.
async fn exchange([a, b]: [&PeerConnection; 2], [events_a, events_b]: [&mut Events; 2]) {
    a.set_local_description(a.create_offer().await.unwrap()).await.unwrap();
    b.set_remote_description(gathered(a, events_a).await).await.unwrap();
    b.set_local_description(b.create_answer().await.unwrap()).await.unwrap();
    a.set_remote_description(gathered(b, events_b).await).await.unwrap();
}

/// The local description once it has all candidates.
async fn gathered(connection: &PeerConnection, events: &mut Events) -> SessionDescription {
    loop {
        let event = soon("an event", events.next()).await.unwrap();
        if matches!(event, Event::IceGatheringStateChange(IceGatheringState::Complete)) {
            return connection.local_description().unwrap();
        }
    }
}

async fn next_channel(events: &mut Events) -> DataChannel {
    loop {
        if let Some(Event::DataChannel(channel)) = events.next().await {
            return channel;
        }
    }
}

/// RFC 9260 §3.3.10.12: "User-Initiated Abort".
fn is_aborted(reason: &ChannelCloseReason) -> bool {
    use sctp::CloseReason::RemoteAbort;
    matches!(reason, ChannelCloseReason::AssociationClosed(RemoteAbort { cause: Some(12), .. }))
}

const ABORTED: &str = "error OperationError Some(SctpFailure { cause_code: Some(12) })";
