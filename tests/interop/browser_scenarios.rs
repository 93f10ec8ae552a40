//! Straits with the data channels of real browsers: each scenario with the page as the offerer, and as the answerer. The
//! browsers have their default settings, so that their candidates are names of multicast DNS.

mod lab;
#[path = "../support/loopback.rs"]
mod loopback;
#[path = "../support/webdriver.rs"]
mod webdriver;

use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;
use lab::{Content, Lab, Offerer, described, description, receive, send};
use loopback::{soon, until};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::panic::AssertUnwindSafe;
use straits::{
    CandidatePairStats, CloseReason, DataChannel, DataChannelInit, DataChannelState, DataChannelStats,
    IceCandidate, IceCandidateStats, IceCandidateType, PeerConnectionState, TransportStats,
};
use webdriver::{Kind, Page, in_browser};

#[tokio::test(flavor = "multi_thread")]
async fn chromium() {
    in_browser(Kind::Chromium, scenarios).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn firefox() {
    in_browser(Kind::Firefox, scenarios).await;
}

type Scenario = fn(Page, Offerer) -> LocalBoxFuture<'static, ()>;

macro_rules! list {
    ($($name:ident),+ $(,)?) => {
        [$((stringify!($name), |page, offerer| $name(page, offerer).boxed_local())),+]
    };
}

const SCENARIOS: [(&str, Scenario); 11] = list![
    trickled_candidates,
    messages_of_all_kinds,
    settings_of_channels,
    unordered_and_partially_reliable,
    negotiated_channels,
    many_channels,
    closing_loses_nothing,
    ids_are_used_again,
    ice_restart,
    statistics,
    end_of_the_connection,
];

/// All of them, one after the other in one browser; what fails does not keep the others from running.
async fn scenarios(page: Page) {
    page.open(&lab::serve().await).await;
    let mut failed = Vec::new();
    for offerer in [Offerer::Page, Offerer::Straits] {
        for (name, scenario) in SCENARIOS {
            println!("{offerer:?} offers: {name}");
            if AssertUnwindSafe(scenario(page.clone(), offerer)).catch_unwind().await.is_err() {
                failed.push(format!("{offerer:?} offers: {name}"));
            }
        }
    }
    assert_eq!(failed, Vec::<String>::new());
}

/// Each side tells its candidates one by one, after the descriptions; names and TCP candidates of the page do no harm.
async fn trickled_candidates(page: Page, offerer: Offerer) {
    let mut lab = Lab::start(page).await;
    match offerer {
        Offerer::Page => {
            lab.create("first", json!({})).await;
            let offer = "const offer = await lab.connection.createOffer();
                         await lab.connection.setLocalDescription(offer);
                         return offer.toJSON ? offer.toJSON() : offer;";
            let offer = lab.page.run(offer, vec![]).await;
            assert!(!offer["sdp"].as_str().unwrap().contains("a=candidate"));
            lab.straits.set_remote_description(description(offer)).await.unwrap();
            let answer = lab.straits.create_answer().await.unwrap();
            lab.straits.set_local_description(answer.clone()).await.unwrap();
            lab.page.run("await lab.accept(a)", vec![json!(answer)]).await;
        }
        Offerer::Straits => {
            lab.make("first", DataChannelInit::default());
            let offer = lab.straits.create_offer().await.unwrap();
            lab.straits.set_local_description(offer.clone()).await.unwrap();
            let answer = "await lab.connection.setRemoteDescription(a);
                          const answer = await lab.connection.createAnswer();
                          await lab.connection.setLocalDescription(answer);
                          return answer.toJSON ? answer.toJSON() : answer;";
            let answer = lab.page.run(answer, vec![json!(offer)]).await;
            lab.straits.set_remote_description(description(answer)).await.unwrap();
        }
    }
    let mut of_page = Vec::new();
    loop {
        let candidate = lab.page.run("return lab.candidate()", vec![]).await;
        if candidate.is_null() {
            break;
        }
        let candidate: IceCandidate = serde_json::from_value(candidate).unwrap();
        lab.straits.add_ice_candidate(candidate.clone()).await.unwrap();
        of_page.push(candidate.candidate);
    }
    lab.straits.add_ice_candidate(None).await.unwrap();
    assert!(of_page.iter().any(|candidate| candidate.contains(".local ")), "{of_page:?}");
    while let Some(candidate) = soon("a candidate", lab.candidates.recv()).await.unwrap() {
        lab.page.run("await lab.connection.addIceCandidate(a)", vec![json!(candidate)]).await;
    }
    soon("the connection", lab.straits.connected()).await.unwrap();
    lab.opened("first").await;
    lab.end().await;
}

async fn messages_of_all_kinds(page: Page, offerer: Offerer) {
    let (lab, first) = Lab::connected(page, offerer).await;
    let contents = [
        Content::Text("Grüße, 世界 🚀"),
        Content::Text(""),
        Content::Bytes(0, 0),
        Content::Bytes(1, 1),
        Content::Letters(1200, 2),
        Content::Bytes(65_536, 3),
        Content::Bytes(262_144, 4),
        Content::Letters(262_144, 5),
        Content::Text("the last one"),
    ];
    let back = match offerer {
        Offerer::Page => lab.make("back", DataChannelInit::default()),
        Offerer::Straits => {
            lab.create("back", json!({})).await;
            lab.accept("back").await
        }
    };
    lab.opened("back").await;
    for channel in [&first, &back] {
        lab.send(channel.label(), &contents).await;
        receive(channel, &contents).await;
        send(channel, &contents).await;
        lab.receives(channel.label(), &contents).await;
    }
    refuses_what_is_too_large(&lab, &first).await;
    lab.end().await;
}

/// A message over what the other side accepts is a `TypeError` at either end, and the channel lives on. Chromium accepts 256
/// KiB, Firefox all that it has memory for.
async fn refuses_what_is_too_large(lab: &Lab, channel: &DataChannel) {
    let max = lab.straits.max_message_size().unwrap();
    if max < 1 << 20 {
        let refused = channel.send(Content::Bytes(max + 1, 0).message()).await.unwrap_err();
        assert_eq!(refused.name(), straits::ErrorName::TypeError);
    } else {
        let contents = [Content::Bytes(1 << 20, 6)];
        send(channel, &contents).await;
        lab.receives("first", &contents).await;
    }
    let over = "lab.channel('first').send(new Uint8Array(lab.connection.sctp.maxMessageSize + 1))";
    let refused = lab.page.attempt(over, vec![]).await.unwrap_err();
    assert!(refused.starts_with("TypeError"), "{refused}");
    lab.talk(channel, "still alive").await;
}

/// Labels, protocols, order and limits are what the other side set.
async fn settings_of_channels(page: Page, offerer: Offerer) {
    let (lab, _first) = Lab::connected(page, offerer).await;
    let init = DataChannelInit::default;
    let cases = [
        ("", json!({}), init()),
        ("чат🚀", json!({ "protocol": "прото/1.0" }), init().protocol("прото/1.0")),
        ("unordered", json!({ "ordered": false }), init().ordered(false)),
        ("at most 3", json!({ "maxRetransmits": 3 }), init().max_retransmits(3)),
        ("once", json!({ "ordered": false, "maxRetransmits": 0 }), init().ordered(false).max_retransmits(0)),
        ("half a second", json!({ "maxPacketLifeTime": 500 }), init().max_packet_life_time(500)),
        (
            "a second",
            json!({ "ordered": false, "maxPacketLifeTime": 1000 }),
            init().ordered(false).max_packet_life_time(1000),
        ),
    ];
    for (label, dictionary, init) in cases {
        lab.create(label, dictionary.clone()).await;
        let accepted = lab.accept(label).await;
        has(&settings(&accepted), &dictionary);
        lab.opened(label).await;
        lab.talk(&accepted, "there and back").await;
        lab.close(label).await;
        lab.closed(label).await;

        let label = format!("{label} of Straits");
        let made = lab.make(&label, init);
        has(&lab.opened(&label).await, &dictionary);
        lab.talk(&made, "there and back").await;
    }
    lab.end().await;
}

fn settings(channel: &DataChannel) -> Value {
    json!({
        "protocol": channel.protocol(),
        "ordered": channel.ordered(),
        "maxRetransmits": channel.max_retransmits(),
        "maxPacketLifeTime": channel.max_packet_life_time(),
        "negotiated": channel.negotiated(),
    })
}

/// A channel that was made with the dictionary has these settings.
fn has(settings: &Value, dictionary: &Value) {
    let default = json!({
        "protocol": "", "ordered": true, "maxRetransmits": null, "maxPacketLifeTime": null, "negotiated": false,
    });
    for (name, value) in default.as_object().unwrap() {
        assert_eq!(&settings[name], dictionary.get(name).unwrap_or(value), "{name} of {settings}");
    }
}

/// On an unordered channel all arrive, on one that gives up at once some may be missing; none comes twice or damaged.
async fn unordered_and_partially_reliable(page: Page, offerer: Offerer) {
    let (lab, first) = Lab::connected(page, offerer).await;
    let contents: Vec<_> = (0..200).map(|seed| Content::Bytes(3000, seed)).collect();
    let expected: BTreeSet<_> = contents.iter().map(|content| content.described().to_string()).collect();
    for (label, dictionary, init) in [
        ("unordered", json!({ "ordered": false }), DataChannelInit::default().ordered(false)),
        (
            "unreliable",
            json!({ "ordered": false, "maxRetransmits": 0 }),
            DataChannelInit::default().ordered(false).max_retransmits(0),
        ),
    ] {
        lab.create(label, dictionary).await;
        let accepted = lab.accept(label).await;
        lab.opened(label).await;
        lab.send(label, &contents).await;
        lab.close(label).await;
        let mut received = Vec::new();
        while let Some(message) = soon("a message", accepted.recv()).await {
            received.push(described(&message));
        }
        arrived(label, received, &expected);

        let label = format!("{label} of Straits");
        let made = lab.make(&label, init);
        lab.opened(&label).await;
        send(&made, &contents).await;
        made.close();
        lab.closed(&label).await;
        let received = lab.page.run("return lab.all(a)", vec![json!(label)]).await;
        arrived(&label, received.as_array().unwrap().clone(), &expected);
    }
    lab.talk(&first, "still alive").await;
    lab.end().await;
}

fn arrived(label: &str, received: Vec<Value>, expected: &BTreeSet<String>) {
    let count = received.len();
    let received: BTreeSet<_> = received.iter().map(Value::to_string).collect();
    assert_eq!(received.len(), count, "{label}: some came twice");
    assert!(received.is_subset(expected), "{label}: some were never sent");
    if label.starts_with("unreliable") {
        assert!(!received.is_empty(), "{label}: none arrived");
    } else {
        assert_eq!(&received, expected, "{label}");
    }
}

/// Channels that both sides make with the same id open without being announced, before and after the connection is up.
async fn negotiated_channels(page: Page, offerer: Offerer) {
    let mut lab = Lab::start(page).await;
    let mut channels = Vec::new();
    for (label, id) in [("seven", 7), ("hundred", 100)] {
        lab.create(label, json!({ "negotiated": true, "id": id })).await;
        channels.push(lab.make(label, DataChannelInit::default().negotiated(true).id(id)));
    }
    lab.negotiate(offerer).await;
    for channel in &channels {
        soon("it to open", channel.opened()).await.unwrap();
        assert_eq!(lab.opened(channel.label()).await["id"], json!(channel.id()));
    }
    lab.create("late", json!({ "negotiated": true, "id": 300 })).await;
    channels.push(lab.make("late", DataChannelInit::default().negotiated(true).id(300)));
    soon("it to open", channels[2].opened()).await.unwrap();
    lab.opened("late").await;
    for channel in &channels {
        lab.talk(channel, "as agreed").await;
    }
    assert_eq!(lab.page.run("return lab.announced", vec![]).await, json!([]));
    assert!(lab.straits.accept_channel().now_or_never().is_none(), "one was announced");
    lab.end().await;
}

/// Both sides open many at once: no two have the same id, and whose are even follows from the roles in DTLS.
async fn many_channels(page: Page, offerer: Offerer) {
    let (lab, _first) = Lab::connected(page, offerer).await;
    let labels: Vec<_> = (0..50).map(|number| format!("page {number}")).collect();
    lab.page.run("a.forEach((label) => lab.create(label))", vec![json!(labels)]).await;
    let made: Vec<_> =
        (0..50).map(|number| lab.make(&format!("straits {number}"), DataChannelInit::default())).collect();
    let mut ids: [BTreeSet<u64>; 2] = Default::default();
    for label in &labels {
        let accepted = lab.accept(label).await;
        ids[0].insert(lab.opened(label).await["id"].as_u64().unwrap());
        assert!(ids[0].contains(&u64::from(accepted.id().unwrap())));
        lab.talk(&accepted, "one of many").await;
    }
    for channel in &made {
        ids[1].insert(lab.opened(channel.label()).await["id"].as_u64().unwrap());
        lab.talk(channel, "one of many").await;
    }
    assert_eq!(ids.each_ref().map(BTreeSet::len), [50, 50]);
    // RFC 8832 §6: the DTLS client takes the even ones.
    let answer = match offerer {
        Offerer::Page => lab.straits.local_description(),
        Offerer::Straits => lab.straits.remote_description(),
    };
    let answerer_is_client = answer.unwrap().sdp.contains("a=setup:active");
    let page_is_client = answerer_is_client == (offerer == Offerer::Straits);
    assert!(ids[0].iter().all(|id| (id % 2 == 0) == page_is_client), "{ids:?}");
    assert!(ids[1].iter().all(|id| (id % 2 == 1) == page_is_client), "{ids:?}");
    lab.end().await;
}

/// What was sent before a channel is closed arrives, at both ends, and the other channels live on.
async fn closing_loses_nothing(page: Page, offerer: Offerer) {
    let (lab, first) = Lab::connected(page, offerer).await;
    let contents: Vec<_> = (0..128).map(|seed| Content::Bytes(16_384, seed)).collect();
    lab.create("of the page", json!({})).await;
    let accepted = lab.accept("of the page").await;
    lab.opened("of the page").await;
    lab.send("of the page", &contents).await;
    lab.close("of the page").await;
    receive(&accepted, &contents).await;
    assert_eq!(soon("the end", accepted.recv()).await, None);
    soon("the close", accepted.closed()).await;
    lab.closed("of the page").await;

    let made = lab.make("of Straits", DataChannelInit::default());
    lab.opened("of Straits").await;
    send(&made, &contents).await;
    made.close();
    lab.receives("of Straits", &contents).await;
    lab.closed("of Straits").await;
    soon("the close", made.closed()).await;
    assert_eq!(made.ready_state(), DataChannelState::Closed);

    // The one who did not open it closes.
    lab.create("again", json!({})).await;
    let accepted = lab.accept("again").await;
    lab.opened("again").await;
    lab.talk(&accepted, "and goodbye").await;
    accepted.close();
    lab.closed("again").await;
    soon("the close", accepted.closed()).await;
    lab.talk(&first, "still alive").await;
    lab.end().await;
}

/// The stream ids of closed channels are free for new ones, whoever closed.
async fn ids_are_used_again(page: Page, offerer: Offerer) {
    let (lab, _first) = Lab::connected(page, offerer).await;
    let mut rounds: [BTreeSet<u64>; 2] = Default::default();
    for (round, ids) in rounds.iter_mut().enumerate() {
        let mut channels = Vec::new();
        for number in 0..10 {
            let label = format!("page {round} {number}");
            lab.create(&label, json!({})).await;
            channels.push(lab.accept(&label).await);
            channels.push(lab.make(&format!("straits {round} {number}"), DataChannelInit::default()));
        }
        for channel in &channels {
            ids.insert(lab.opened(channel.label()).await["id"].as_u64().unwrap());
            lab.talk(channel, "hello").await;
        }
        for (number, channel) in channels.iter().enumerate() {
            if number % 4 < 2 { channel.close() } else { lab.close(channel.label()).await }
        }
        for channel in &channels {
            lab.closed(channel.label()).await;
            soon("the close", channel.closed()).await;
        }
    }
    assert_eq!(rounds[0].len(), 20);
    assert_eq!(rounds[0], rounds[1]);
    lab.end().await;
}

/// New credentials, asked for by either side, and everything goes on.
async fn ice_restart(page: Page, offerer: Offerer) {
    let (mut lab, first) = Lab::connected(page, offerer).await;
    let credentials = |lab: &Lab| {
        let ice = lab.straits.sctp().unwrap().transport().ice_transport();
        [ice.local_parameters().username_fragment, ice.remote_parameters().unwrap().username_fragment]
    };
    let before = credentials(&lab);
    let offer = lab.page.run("return lab.offer({ iceRestart: true })", vec![]).await;
    lab.answer(offer).await;
    let after = credentials(&lab);
    assert!(before[0] != after[0] && before[1] != after[1], "{before:?} {after:?}");
    lab.talk(&first, "after the page's restart").await;

    lab.straits.restart_ice();
    lab.negotiate(Offerer::Straits).await;
    let again = credentials(&lab);
    assert!(after[0] != again[0] && after[1] != again[1], "{after:?} {again:?}");
    lab.talk(&first, "after the restart of Straits").await;
    lab.page.run("await lab.state('connected')", vec![]).await;
    until("the connection", || lab.straits.connection_state() == PeerConnectionState::Connected).await;
    lab.end().await;
}

/// Both ends tell of the same pair and the same messages.
async fn statistics(page: Page, offerer: Offerer) {
    let (lab, first) = Lab::connected(page, offerer).await;
    let contents = [Content::Text("four"), Content::Bytes(1000, 1), Content::Bytes(5000, 2)];
    lab.send("first", &contents).await;
    receive(&first, &contents).await;
    send(&first, &contents[..2]).await;
    lab.receives("first", &contents[..2]).await;

    let of_page = lab.page.run("return lab.stats()", vec![]).await;
    let remote = &of_page["remote"];

    let ice = lab.straits.sctp().unwrap().transport().ice_transport();
    until("a selected pair", || ice.selected_candidate_pair().is_some()).await;
    let report = lab.straits.get_stats();
    let transport = report.of_type::<TransportStats>().next().unwrap();
    let selected = transport.selected_candidate_pair_id.as_deref().unwrap();
    let selected: &CandidatePairStats = report.find(selected).unwrap();
    let local: &IceCandidateStats = report.find(&selected.local_candidate_id).unwrap();
    assert_eq!(remote["address"], json!(local.address.unwrap().to_string()));
    assert_eq!(remote["port"], json!(local.port));
    assert_eq!((&remote["candidateType"], &remote["protocol"]), (&json!("host"), &json!("udp")));
    let seen: &IceCandidateStats = report.find(&selected.remote_candidate_id).unwrap();
    assert_eq!((seen.candidate_type, seen.address), (IceCandidateType::Prflx, None));

    let counted = |name: &str| of_page["channels"][0][name].as_u64().unwrap();
    let ours: &DataChannelStats = report.of_type().next().unwrap();
    assert_eq!((counted("messagesSent"), counted("bytesSent")), (3, 6004));
    assert_eq!((counted("messagesReceived"), counted("bytesReceived")), (2, 1004));
    assert_eq!((ours.messages_received, ours.bytes_received), (3, 6004));
    assert_eq!((ours.messages_sent, ours.bytes_sent), (2, 1004));
    lab.end().await;
}

/// Either side hears at once that the other has closed the connection, and why.
async fn end_of_the_connection(page: Page, offerer: Offerer) {
    let (lab, first) = Lab::connected(page.clone(), offerer).await;
    lab.talk(&first, "and goodbye").await;
    lab.page.run("lab.end()", vec![]).await;
    let reason = soon("the end", lab.straits.closed()).await;
    assert!(matches!(reason, CloseReason::Sctp(_) | CloseReason::Dtls(_)), "{reason}");
    soon("the channel", first.closed()).await;
    assert_eq!(lab.straits.connection_state(), PeerConnectionState::Closed);

    let (lab, first) = Lab::connected(page, offerer).await;
    lab.talk(&first, "and goodbye").await;
    lab.straits.close();
    lab.closed("first").await;
    soon("the end", lab.straits.closed()).await;
    let transport = "const transport = lab.connection.sctp.transport;
         if (transport.state !== 'closed')
             await new Promise((resolve) => transport.addEventListener('statechange', resolve, { once: true }));
         return transport.state;";
    assert_eq!(lab.page.run(transport, vec![]).await, json!("closed"));
    lab.end().await;
}
