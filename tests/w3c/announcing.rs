//! Channels of the peer: the event that announces them, and what the announcement carries.

use super::support::{Journal, PATIENCE, connect, end, peer, soon};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use straits::{
    DataChannel, DataChannelInit, DataChannelState, Message, PeerConnection, PeerConnectionState, Priority,
};
use tokio::sync::{mpsc, oneshot};

#[tokio::test]
async fn odc_01_02_each_channel_is_announced_once_and_open() {
    let (a, b) = (peer(), peer());
    let mut announced = Announced::of(&b);
    let mut channels = Vec::from(["one", "two", "three"].map(|label| create(&a, label)));
    connect(&a, &b).await;
    soon("the first channel", channels[0].opened()).await.unwrap();
    channels.extend(["four", "five"].map(|label| create(&a, label)));
    for channel in &channels {
        channel.send("hello").await.unwrap();
        channel.close();
        soon("the end of the channel", channel.closed()).await;
    }
    announced.ended(channels.len()).await;
    end([a, b]).await;
    let story: Vec<_> =
        ["datachannel open", "open open", "message hello", "closing closing", "close closed"].into();
    let stories: Vec<_> = ["five", "four", "one", "three", "two"].map(|label| (label, story.clone())).into();
    assert_eq!(announced.stories(), owned(&stories));
}

#[tokio::test]
async fn odc_03_a_message_sent_inside_the_event_arrives() {
    let (a, b) = (peer(), peer());
    b.on_data_channel(|channel| channel.send_text("from inside").unwrap());
    let channel = create(&a, "");
    connect(&a, &b).await;
    assert_eq!(soon("the message", channel.recv()).await, Some(Message::from("from inside")));
    end([a, b]).await;
}

#[tokio::test]
async fn odc_04_a_channel_closed_inside_the_event_never_opens() {
    check_closed_inside(|channel| channel.close(), &[]).await;
}

#[tokio::test]
async fn odc_06_what_was_sent_before_the_close_inside_the_event_arrives() {
    let send_and_close = |channel: &DataChannel| {
        channel.send_text("hello").unwrap();
        channel.close();
        assert_eq!(channel.ready_state(), DataChannelState::Closing);
    };
    check_closed_inside(send_and_close, &["message hello"]).await;
}

/// The peer's channel closes inside the event that announces it; the creator hears of these messages.
async fn check_closed_inside(inside: impl Fn(&DataChannel) + Send + 'static, messages: &[&str]) {
    let (a, b) = (peer(), peer());
    let (here, there) = (Journal::default(), Journal::default());
    let (arrived, channel_b) = oneshot::channel();
    let (mut arrived, journal) = (Some(arrived), there.clone());
    b.on_data_channel(move |channel| {
        journal.write(format!("datachannel {}", channel.ready_state()));
        journal.watch(&channel);
        inside(&channel);
        arrived.take().unwrap().send(channel).unwrap();
    });
    let channel = create(&a, "");
    here.watch(&channel);
    connect(&a, &b).await;
    let channel_b = soon("the channel", channel_b).await.unwrap();
    soon("both to close", async { tokio::join!(channel.closed(), channel_b.closed()) }).await;
    end([a, b]).await;
    assert_eq!(there.lines(), ["datachannel open", "close closed"]);
    let story = [&["open open"], messages, &["closing closing", "close closed"]].concat();
    assert_eq!(here.lines(), story);
}

/// A later task here is one that waited for `open`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn odc_05_a_channel_closed_in_a_later_task_has_opened() {
    let (a, b) = (peer(), peer());
    let journal = Journal::default();
    let (closed, is_closed) = oneshot::channel();
    let (mut closed, write) = (Some(closed), journal.clone());
    b.on_data_channel(move |channel| {
        write.write("datachannel");
        write.watch(&channel);
        let closed = closed.take().unwrap();
        tokio::spawn(async move {
            channel.opened().await.unwrap();
            channel.close();
            closed.send(channel.closed().await).unwrap();
        });
    });
    let channel = create(&a, "");
    connect(&a, &b).await;
    soon("the end of the channel", is_closed).await.unwrap();
    soon("the end at its creator", channel.closed()).await;
    end([a, b]).await;
    assert_eq!(journal.lines(), ["datachannel", "open open", "close closed"]);
}

#[tokio::test]
async fn odc_07_the_announced_channel_is_like_the_created_one() {
    let init = DataChannelInit::default().ordered(false).max_retransmits(1).protocol("custom");
    let (created, announced) = announce_all(vec![("label".into(), init)]).await;
    let expected = Attributes {
        label: "label".into(),
        protocol: "custom".into(),
        ordered: false,
        max_packet_life_time: None,
        max_retransmits: Some(1),
        negotiated: false,
        priority: Priority::Low,
    };
    assert_eq!((&created, &announced), (&announced, &BTreeMap::from([(only_id(&created), expected)])));
}

#[tokio::test]
async fn odc_08_defaults_pass_through() {
    let (created, announced) = announce_all(vec![(String::new(), DataChannelInit::default())]).await;
    let expected = Attributes {
        label: String::new(),
        protocol: String::new(),
        ordered: true,
        max_packet_life_time: None,
        max_retransmits: None,
        negotiated: false,
        priority: Priority::Low,
    };
    assert_eq!((&created, &announced), (&announced, &BTreeMap::from([(only_id(&created), expected)])));
}

/// The channel that is announced afterwards comes alone.
#[tokio::test]
async fn odc_09_negotiated_channels_are_not_announced() {
    let (a, b) = (peer(), peer());
    let mut announced = Announced::of(&b);
    let init = DataChannelInit::default().negotiated(true).id(8);
    let [here, there] =
        [&a, &b].map(|connection| connection.create_data_channel("agreed", init.clone()).unwrap());
    // Only one side knows of this one.
    let strange =
        a.create_data_channel("strange", DataChannelInit::default().negotiated(true).id(10)).unwrap();
    connect(&a, &b).await;
    here.send("hello").await.unwrap();
    assert_eq!(soon("the message", there.recv()).await, Some(Message::from("hello")));
    soon("the strange channel", strange.opened()).await.unwrap();
    let later = create(&a, "later");
    later.send("last").await.unwrap();
    later.close();
    soon("the end of the channel", later.closed()).await;
    announced.ended(1).await;
    end([a, b]).await;
    let story: Vec<_> =
        ["datachannel open", "open open", "message last", "closing closing", "close closed"].into();
    assert_eq!(announced.stories(), owned(&[("later", story)]));
}

/// A handler of another event holds the queue up until the channel is known and the connection is closed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn odc_10_nothing_is_announced_after_the_connection_was_closed() {
    let (a, b) = (peer(), peer());
    let journal = Journal::default();
    let init = DataChannelInit::default().negotiated(true).id(8);
    let [here, there] =
        [&a, &b].map(|connection| connection.create_data_channel("agreed", init.clone()).unwrap());
    let channel = create(&a, "announced");
    let (go_on, may_go_on) = std::sync::mpsc::channel::<()>();
    b.on_connection_state_change(move |state| {
        if state == PeerConnectionState::Connected {
            // As much patience as blocking in a handler deserves: the runtime gets another thread meanwhile.
            tokio::task::block_in_place(|| may_go_on.recv_timeout(PATIENCE)).unwrap();
        }
    });
    let write = journal.clone();
    b.on_data_channel(move |channel| {
        write.write("datachannel");
        write.watch(&channel);
    });
    connect(&a, &b).await;
    soon("open", channel.opened()).await.unwrap();
    here.send("after the announcement").await.unwrap();
    assert_eq!(soon("the message", there.recv()).await, Some(Message::from("after the announcement")));
    b.close();
    go_on.send(()).unwrap();
    end([a, b]).await;
    assert_eq!(journal.lines(), [""; 0]);
}

/// The first of two channels closes the connection inside its event: the second is not announced any more.
#[tokio::test]
async fn odc_10_nothing_is_announced_after_a_handler_closed_the_connection() {
    let (a, b) = (peer(), peer());
    let journal = Journal::default();
    let (write, weak) = (journal.clone(), b.downgrade());
    b.on_data_channel(move |channel| {
        write.write("datachannel");
        write.watch(&channel);
        weak.upgrade().unwrap().close();
    });
    let channels = ["one", "two"].map(|label| create(&a, label));
    connect(&a, &b).await;
    for channel in &channels {
        soon("the end of the channel", channel.closed()).await;
    }
    end([a, b]).await;
    assert_eq!(journal.lines(), ["datachannel", "close closed"]);
}

#[tokio::test]
async fn odc_11_the_priority_is_announced() {
    let priorities = [Priority::VeryLow, Priority::Low, Priority::Medium, Priority::High];
    let init = |priority| (format!("{priority:?}"), DataChannelInit::default().priority(priority));
    let mut channels: Vec<_> = priorities.map(init).into();
    channels.push(("default".into(), DataChannelInit::default()));
    let (created, announced) = announce_all(channels).await;
    assert_eq!(created, announced);
    let mut seen: Vec<_> = announced.values().map(|channel| (&*channel.label, channel.priority)).collect();
    seen.sort_by_key(|(label, _)| *label);
    let expected = [
        ("High", Priority::High),
        ("Low", Priority::Low),
        ("Medium", Priority::Medium),
        ("VeryLow", Priority::VeryLow),
        ("default", Priority::Low),
    ];
    assert_eq!(seen, expected);
}

#[tokio::test]
async fn dcep_01_02_04_reliable_channels_are_announced_with_their_order_and_id() {
    let channels = [true, false].map(|ordered| (String::new(), DataChannelInit::default().ordered(ordered)));
    let (created, announced) = announce_all(channels.into()).await;
    // The keys are the ids.
    assert_eq!(created, announced);
    assert!(announced.keys().all(|id| *id < 65535), "{announced:?}");
    let mut orders: Vec<_> = announced.values().map(|channel| channel.ordered).collect();
    orders.sort_unstable();
    assert_eq!(orders, [false, true]);
    assert!(announced.values().all(|channel| (None, None) == channel.limits()));
}

/// Each label says what is expected.
#[tokio::test]
async fn dcep_03_limits_are_announced_whole() {
    let mut channels = Vec::new();
    for ordered in [true, false] {
        let init = DataChannelInit::default().ordered(ordered);
        for value in [0, 1, 65535] {
            channels.push((limits(ordered, Some(value), None), init.clone().max_packet_life_time(value)));
            channels.push((limits(ordered, None, Some(value)), init.clone().max_retransmits(value)));
        }
        channels.push((limits(ordered, None, None), init));
    }
    let (created, announced) = announce_all(channels).await;
    assert_eq!(created, announced);
    assert_eq!(announced.len(), 14);
    for channel in announced.values() {
        let (life_time, retransmits) = channel.limits();
        assert_eq!(channel.label, limits(channel.ordered, life_time, retransmits));
    }
}

fn limits(ordered: bool, life_time: Option<u16>, retransmits: Option<u16>) -> String {
    format!("ordered: {ordered}, life time: {life_time:?}, retransmits: {retransmits:?}")
}

#[tokio::test]
async fn dcep_05_an_empty_label_and_an_empty_protocol_pass_through() {
    check_names("", "").await;
    check_names("label", "").await;
    check_names("", "protocol").await;
}

/// The announcement is larger than many a limit for messages.
#[tokio::test]
async fn dcep_06_names_of_65535_bytes_pass_through() {
    check_names(&"l".repeat(65535), &"p".repeat(65535)).await;
}

#[tokio::test]
async fn dcep_07_names_of_65535_bytes_in_longer_characters_pass_through() {
    check_names(&"標".repeat(21845), &"段".repeat(21845)).await;
}

async fn check_names(label: &str, protocol: &str) {
    let (a, b) = (peer(), peer());
    let channel = a.create_data_channel(label, DataChannelInit::default().protocol(protocol)).unwrap();
    connect(&a, &b).await;
    channel.send("after the names").await.unwrap();
    let announced = soon("the channel", b.accept_channel()).await.unwrap();
    assert!((announced.label(), announced.protocol()) == (label, protocol), "not the names that were given");
    assert_eq!(soon("the message", announced.recv()).await, Some(Message::from("after the names")));
    assert_eq!(announced.id(), channel.id());
    end([a, b]).await;
}

fn create(connection: &PeerConnection, label: &str) -> DataChannel {
    connection.create_data_channel(label, DataChannelInit::default()).unwrap()
}

/// What was announced, by label, each with a journal.
struct Announced {
    journals: Arc<Mutex<Vec<(String, Journal)>>>,
    channels: mpsc::UnboundedReceiver<DataChannel>,
}

impl Announced {
    fn of(connection: &PeerConnection) -> Self {
        let (arrived, channels) = mpsc::unbounded_channel();
        let journals: Arc<Mutex<Vec<(String, Journal)>>> = Arc::default();
        let all = journals.clone();
        connection.on_data_channel(move |channel| {
            let journal = Journal::default();
            journal.write(format!("datachannel {}", channel.ready_state()));
            journal.watch(&channel);
            all.lock().unwrap().push((channel.label().to_owned(), journal));
            arrived.send(channel).unwrap();
        });
        Self { journals, channels }
    }

    /// Waits for the end of this many channels.
    async fn ended(&mut self, count: usize) {
        for _ in 0..count {
            let channel = soon("a channel", self.channels.recv()).await.unwrap();
            soon("the end of the channel", channel.closed()).await;
        }
    }

    /// Sorted by label: channels do not wait for each other.
    fn stories(&self) -> Vec<(String, Vec<String>)> {
        let announced = self.journals.lock().unwrap();
        let mut stories: Vec<_> =
            announced.iter().map(|(label, journal)| (label.clone(), journal.lines())).collect();
        stories.sort();
        stories
    }
}

fn owned(stories: &[(&str, Vec<&str>)]) -> Vec<(String, Vec<String>)> {
    let owned = |lines: &[&str]| lines.iter().map(|line| (*line).to_owned()).collect();
    stories.iter().map(|(label, lines)| ((*label).to_owned(), owned(lines))).collect()
}

/// What both sides can read of a channel.
#[derive(Debug, PartialEq, Eq)]
struct Attributes {
    label: String,
    protocol: String,
    ordered: bool,
    max_packet_life_time: Option<u16>,
    max_retransmits: Option<u16>,
    negotiated: bool,
    priority: Priority,
}

impl Attributes {
    fn of(channel: &DataChannel) -> (u16, Self) {
        let attributes = Self {
            label: channel.label().to_owned(),
            protocol: channel.protocol().to_owned(),
            ordered: channel.ordered(),
            max_packet_life_time: channel.max_packet_life_time(),
            max_retransmits: channel.max_retransmits(),
            negotiated: channel.negotiated(),
            priority: channel.priority(),
        };
        (channel.id().unwrap(), attributes)
    }

    fn limits(&self) -> (Option<u16>, Option<u16>) {
        (self.max_packet_life_time, self.max_retransmits)
    }
}

fn only_id(channels: &BTreeMap<u16, Attributes>) -> u16 {
    assert_eq!(channels.len(), 1);
    *channels.keys().next().unwrap()
}

/// The created channels and what the other side gets of them, by id.
async fn announce_all(
    channels: Vec<(String, DataChannelInit)>,
) -> (BTreeMap<u16, Attributes>, BTreeMap<u16, Attributes>) {
    let (a, b) = (peer(), peer());
    let created: Vec<_> =
        channels.into_iter().map(|(label, init)| a.create_data_channel(label, init).unwrap()).collect();
    let (arrived, mut arrivals) = mpsc::unbounded_channel();
    b.on_data_channel(move |channel| arrived.send(Attributes::of(&channel)).unwrap());
    connect(&a, &b).await;
    let mut announced = BTreeMap::new();
    for _ in &created {
        let (id, attributes) = soon("a channel", arrivals.recv()).await.unwrap();
        assert!(announced.insert(id, attributes).is_none(), "{id} twice");
    }
    let created = created.iter().map(Attributes::of).collect();
    end([a, b]).await;
    (created, announced)
}
