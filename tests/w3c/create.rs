//! Creating channels, and the ids they get.

use super::support::{Journal, Pair, configuration, connect, end, negotiate, peer, soon, trickle};
use std::collections::BTreeSet;
use straits::{
    Configuration, DataChannel, DataChannelInit, DataChannelState, ErrorName, PeerConnection, Priority,
};

/// The name of the error, or the channel.
fn refused(connection: &PeerConnection, label: &str, init: DataChannelInit) -> Option<ErrorName> {
    connection.create_data_channel(label, init).err().map(|error| error.name())
}

fn create(connection: &PeerConnection, init: DataChannelInit) -> DataChannel {
    connection.create_data_channel("", init).unwrap()
}

fn negotiated(id: u16) -> DataChannelInit {
    DataChannelInit::default().negotiated(true).id(id)
}

#[tokio::test]
async fn cdc_02_not_on_a_closed_connection() {
    let connection = peer();
    connection.close();
    assert_eq!(refused(&connection, "", DataChannelInit::default()), Some(ErrorName::InvalidStateError));
}

#[tokio::test]
async fn cdc_03_10_24_43_defaults() {
    let connection = peer();
    for init in [DataChannelInit::default(), DataChannelInit::default().negotiated(false)] {
        let channel = create(&connection, init);
        assert_eq!((channel.label(), channel.protocol()), ("", ""));
        assert!(channel.ordered() && !channel.negotiated());
        assert_eq!((channel.max_packet_life_time(), channel.max_retransmits()), (None, None));
        assert_eq!((channel.id(), channel.ready_state()), (None, DataChannelState::Connecting));
        assert_eq!((channel.buffered_amount(), channel.buffered_amount_low_threshold()), (0, 0));
        assert_eq!(channel.priority(), Priority::Low);
    }
}

#[tokio::test]
async fn cdc_04_07_12_23_values_are_reflected() {
    let connection = peer();
    let init = negotiated(3).ordered(false).max_retransmits(1).protocol("前段");
    let channel = connection.create_data_channel("標籤", init).unwrap();
    assert_eq!((channel.label(), channel.protocol()), ("標籤", "前段"));
    assert!(!channel.ordered() && channel.negotiated());
    assert_eq!((channel.max_retransmits(), channel.max_packet_life_time()), (Some(1), None));
    assert_eq!(channel.id(), Some(3));
}

#[tokio::test]
async fn cdc_05_08_09_a_limit_of_zero_is_one() {
    let connection = peer();
    for value in [0, 42] {
        let channel = create(&connection, DataChannelInit::default().max_packet_life_time(value));
        assert_eq!((channel.max_packet_life_time(), channel.max_retransmits()), (Some(value), None));
        let channel = create(&connection, DataChannelInit::default().max_retransmits(value));
        assert_eq!((channel.max_packet_life_time(), channel.max_retransmits()), (None, Some(value)));
    }
}

#[tokio::test]
async fn cdc_11_not_both_limits() {
    let connection = peer();
    for value in [0, 42] {
        let init = DataChannelInit::default().max_packet_life_time(value).max_retransmits(value);
        assert_eq!(refused(&connection, "", init), Some(ErrorName::TypeError));
    }
}

#[tokio::test]
async fn cdc_13_25_an_id_counts_only_when_negotiated() {
    let connection = peer();
    for id in [0, 1, 42, 65534, 65535] {
        assert_eq!(create(&connection, DataChannelInit::default().id(id)).id(), None);
    }
}

#[tokio::test]
async fn cdc_14_16_26_the_id_of_a_negotiated_channel() {
    let connection = peer();
    for id in [0, 1, 65534] {
        assert_eq!(create(&connection, negotiated(id)).id(), Some(id));
    }
    assert_eq!(refused(&connection, "", negotiated(65535)), Some(ErrorName::TypeError));
    let without = DataChannelInit::default().negotiated(true);
    assert_eq!(refused(&connection, "", without), Some(ErrorName::TypeError));
}

#[tokio::test]
async fn cdc_17_18_19_20_long_names_are_refused() {
    let connection = peer();
    for name in ["x".repeat(65536), "ä".repeat(32768)] {
        for init in [DataChannelInit::default(), negotiated(1)] {
            assert_eq!(refused(&connection, &name, init.clone()), Some(ErrorName::TypeError));
            assert_eq!(refused(&connection, "", init.protocol(&name)), Some(ErrorName::TypeError));
        }
    }
}

#[tokio::test]
async fn cdc_21_names_of_65535_bytes_are_read_back() {
    let connection = peer();
    let (label, protocol) = ("l".repeat(65535), "p".repeat(65535));
    let init = DataChannelInit::default().protocol(&protocol);
    let channel = connection.create_data_channel(&label, init).unwrap();
    assert!(channel.label() == label && channel.protocol() == protocol);
}

#[tokio::test]
async fn cdc_22_the_same_label_twice() {
    let pair = Pair::new().await;
    let [first, second] =
        [(); 2].map(|()| pair.a.create_data_channel("same", DataChannelInit::default()).unwrap());
    assert_ne!(first.id(), second.id());
    soon("both to open", async { tokio::try_join!(first.opened(), second.opened()) }).await.unwrap();
    pair.close().await;
}

fn ids(channels: &[DataChannel]) -> Vec<u16> {
    channels.iter().map(|channel| channel.id().unwrap()).collect()
}

#[tokio::test]
async fn cdc_27_ids_come_with_the_answer() {
    let (a, b) = (peer(), peer());
    let agreed = create(&a, negotiated(7));
    let before: Vec<_> = (0..3).map(|_| create(&a, DataChannelInit::default())).collect();
    assert!(before.iter().all(|channel| channel.id().is_none()));
    connect(&a, &b).await;
    let late = create(&a, DataChannelInit::default());
    let mut all = ids(&before);
    all.push(late.id().unwrap());
    assert!(all.iter().all(|id| *id < 65535));
    assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), 4, "{all:?}");
    assert_eq!(agreed.id(), Some(7));
    end([a, b]).await;
}

#[tokio::test]
async fn cdc_28_29_30_an_id_in_use_is_refused() {
    let (a, b) = (peer(), peer());
    let _agreed = create(&a, negotiated(7));
    assert_eq!(refused(&a, "", negotiated(7)), Some(ErrorName::OperationError));
    let in_band = create(&a, DataChannelInit::default());
    connect(&a, &b).await;
    assert_eq!(refused(&a, "", negotiated(7)), Some(ErrorName::OperationError));
    let taken = in_band.id().unwrap();
    assert_eq!(refused(&a, "", negotiated(taken)), Some(ErrorName::OperationError));
    end([a, b]).await;
}

#[tokio::test]
async fn cdc_31_a_channel_of_a_connected_connection_opens_later() {
    let pair = Pair::new().await;
    for init in [DataChannelInit::default(), negotiated(100)] {
        let channel = create(&pair.a, init);
        assert_eq!(channel.ready_state(), DataChannelState::Connecting);
        soon("it to open", channel.opened()).await.unwrap();
        assert_eq!(channel.ready_state(), DataChannelState::Open);
    }
    pair.close().await;
}

#[tokio::test]
async fn cdc_32_renegotiation_with_an_open_channel() {
    let pair = Pair::new().await;
    for _ in 0..2 {
        negotiate(&pair.a, &pair.b).await;
        negotiate(&pair.b, &pair.a).await;
    }
    pair.channel_a.send("still here").await.unwrap();
    let message = soon("the message", pair.channel_b.recv()).await.unwrap();
    assert_eq!(message.as_text(), Some("still here"));
    pair.close().await;
}

#[tokio::test]
async fn cdc_40_every_limit_is_read_back() {
    let connection = peer();
    for value in [0, 1, 3, 10, 1000, 65534, 65535] {
        let init = DataChannelInit::default;
        assert_eq!(create(&connection, init().max_retransmits(value)).max_retransmits(), Some(value));
        let channel = create(&connection, init().max_packet_life_time(value));
        assert_eq!(channel.max_packet_life_time(), Some(value));
    }
}

/// The answer with the DTLS role of its maker.
async fn connect_with_role(a: &PeerConnection, b: &PeerConnection, setup: &str) {
    trickle(a, b);
    trickle(b, a);
    let offer = a.create_offer().await.unwrap();
    a.set_local_description(offer.clone()).await.unwrap();
    // An answerer is active of its own; only an active offer makes it passive.
    let theirs = if setup == "passive" { "active" } else { "actpass" };
    let mut offer = offer;
    offer.sdp = offer.sdp.replace("a=setup:actpass", &format!("a=setup:{theirs}"));
    b.set_remote_description(offer).await.unwrap();
    let answer = b.create_answer().await.unwrap();
    assert!(answer.sdp.contains(&format!("a=setup:{setup}")), "{}", answer.sdp);
    b.set_local_description(answer.clone()).await.unwrap();
    a.set_remote_description(answer).await.unwrap();
}

/// RFC 8832 §6: the DTLS client uses even ids, the server odd ones. `parity`: of the side whose peer answered so.
async fn check_parity(setup: &str, parity: u16) {
    let (a, b) = (peer(), peer());
    let mut channels: Vec<_> = (0..3).map(|_| create(&a, DataChannelInit::default())).collect();
    connect_with_role(&a, &b, setup).await;
    channels.extend((0..3).map(|_| create(&a, DataChannelInit::default())));
    let mut all = ids(&channels);
    assert!(all.iter().all(|id| id % 2 == parity), "{all:?}");
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len(), 6);
    for channel in &channels {
        soon("it to open", channel.opened()).await.unwrap();
    }
    end([a, b]).await;
}

#[tokio::test]
async fn id_01_the_server_has_odd_ids() {
    check_parity("active", 1).await;
}

#[tokio::test]
async fn id_02_the_client_has_even_ids() {
    check_parity("passive", 0).await;
}

#[tokio::test]
async fn id_03_an_id_that_does_not_count_on_both_sides() {
    let (a, b) = (peer(), peer());
    let channels = [&a, &b].map(|connection| create(connection, DataChannelInit::default().id(42)));
    assert!(channels.iter().all(|channel| channel.id().is_none()));
    connect(&a, &b).await;
    let ids = ids(&channels);
    assert!(ids[0] != 42 || ids[1] != 42, "{ids:?}");
    assert_ne!(ids[0], ids[1]);
    end([a, b]).await;
}

#[tokio::test]
async fn id_04_in_band_ids_pass_over_negotiated_ones() {
    let (a, b) = (peer(), peer());
    let mut in_band: Vec<_> = (0..10).map(|_| create(&a, DataChannelInit::default())).collect();
    let mut agreed: Vec<_> = (0..10).map(|n| create(&a, negotiated(2 * n))).collect();
    assert_eq!(ids(&agreed), (0..10).map(|n| 2 * n).collect::<Vec<_>>());
    connect_with_role(&a, &b, "active").await;
    in_band.extend((0..10).map(|_| create(&a, DataChannelInit::default())));
    agreed.extend((10..20).map(|n| create(&a, negotiated(2 * n))));
    let odd: BTreeSet<_> = ids(&in_band).into_iter().collect();
    assert_eq!(odd.len(), 20);
    assert!(odd.iter().all(|id| id % 2 == 1), "{odd:?}");
    assert_eq!(ids(&agreed), (0..20).map(|n| 2 * n).collect::<Vec<_>>());
    end([a, b]).await;
}

#[tokio::test]
async fn id_08_an_id_is_free_when_both_directions_were_reset() {
    let pair = Pair::new().await;
    let id = pair.channel_a.id().unwrap();
    pair.channel_a.close();
    assert_eq!(refused(&pair.a, "", negotiated(id)), Some(ErrorName::OperationError));
    soon("a to close", pair.channel_a.closed()).await;
    soon("b to close", pair.channel_b.closed()).await;
    let again = [&pair.a, &pair.b].map(|connection| create(connection, negotiated(id)));
    for channel in &again {
        soon("it to open", channel.opened()).await.unwrap();
    }
    again[0].send("new").await.unwrap();
    assert_eq!(soon("the message", again[1].recv()).await.unwrap().as_text(), Some("new"));
    pair.close().await;
}

/// Streams are what the association has; those of one side are half of them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn id_05_ids_run_out() {
    let pair = Pair::with(few_streams(), few_streams(), DataChannelInit::default()).await;
    for connection in [&pair.a, &pair.b] {
        let mut made = 0;
        let error = loop {
            match connection.create_data_channel("", DataChannelInit::default()) {
                Ok(_) => made += 1,
                Err(error) => break error,
            }
        };
        assert_eq!(error.name(), ErrorName::OperationError, "{error}");
        assert!((3..=4).contains(&made), "{made} of eight streams, one of them taken");
    }
    pair.close().await;
}

fn few_streams() -> Configuration {
    let streams = straits::sctp::Config::default().outgoing_streams(8).incoming_streams(8);
    configuration().layers(straits::LayerConfig::default().sctp(streams))
}

/// W3C webrtc-pc §6.1.1.3: what waited for an id and gets none.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn id_06_a_channel_that_waited_in_vain_fails() {
    let (a, b) = (peer(), peer());
    let channels: Vec<_> = (0..32768).map(|_| create(&a, DataChannelInit::default())).collect();
    let (last, others) = channels.split_last().unwrap();
    let journal = Journal::default();
    journal.watch(last);
    connect_with_role(&a, &b, "active").await;
    soon("it to close", last.closed()).await;
    assert_eq!((last.id(), ids(others).last()), (None, Some(&65533)));
    end([a, b]).await;
    assert_eq!(journal.lines(), FAILED);
}

#[tokio::test]
async fn id_07_an_id_beyond_the_streams_of_the_association_fails() {
    let [a, b] = [(); 2].map(|()| PeerConnection::new(few_streams()).unwrap());
    let channel = create(&a, negotiated(100));
    let other = create(&a, negotiated(7));
    let _answering = create(&b, negotiated(7));
    let journal = Journal::default();
    journal.watch(&channel);
    connect(&a, &b).await;
    soon("it to close", channel.closed()).await;
    soon("the other to open", other.opened()).await.unwrap();
    end([a, b]).await;
    assert_eq!(journal.lines(), FAILED);
}

const FAILED: [&str; 2] = ["error OperationError Some(DataChannelFailure)", "close closed"];
