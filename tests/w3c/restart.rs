//! ICE restarts: who asks for one, which exchange has it, and what runs meanwhile.

use super::descriptions::offer;
use super::operations::{settle, watch_needs};
use super::support::{Journal, Pair, end, line, negotiate, offerer, peer, soon, trickle};
#[path = "../support/stack.rs"]
pub(super) mod stack;

use stack::connected;
use std::time::Duration;
use straits::{
    DataChannel, DataChannelInit, ErrorName, OfferOptions, PeerConnection, PeerConnectionState,
    SessionDescription,
};
use straits_peer::Event;
use straits_sim::{Simulation, seed};

/// The ICE credentials of a description.
fn credentials(description: Option<SessionDescription>) -> [String; 2] {
    let description = description.unwrap();
    ["a=ice-ufrag:", "a=ice-pwd:"].map(|start| line(&description, start).unwrap().to_owned())
}

/// Those in the current descriptions of both.
fn current(a: &PeerConnection, b: &PeerConnection) -> [[String; 2]; 2] {
    [a, b].map(|connection| credentials(connection.current_local_description()))
}

/// Do both sides have other fragments and other passwords?
fn are_new(before: &[[String; 2]; 2], after: &[[String; 2]; 2]) -> bool {
    before.iter().flatten().zip(after.iter().flatten()).all(|(before, after)| before != after)
}

/// Two that have done an exchange, and a journal of the wishes of the first.
async fn negotiated() -> (PeerConnection, PeerConnection, Journal) {
    let (a, b) = (offerer(), peer());
    negotiate(&a, &b).await;
    let needs = Journal::default();
    watch_needs(&a, &needs);
    settle().await;
    (a, b, needs)
}

/// A message and its reply.
async fn ping(pair: &Pair, what: &str) {
    let received = async |channel: &DataChannel| soon("a message", channel.recv()).await.unwrap();
    pair.channel_a.send(what).await.unwrap();
    assert_eq!(received(&pair.channel_b).await.as_text(), Some(what));
    pair.channel_b.send(what).await.unwrap();
    assert_eq!(received(&pair.channel_a).await.as_text(), Some(what));
}

#[tokio::test]
async fn rst_01_on_a_closed_connection() {
    let (a, b, needs) = negotiated().await;
    let before = a.local_description();
    a.close();
    a.restart_ice();
    soon("the end", a.closed()).await;
    assert_eq!((needs.lines(), a.local_description()), (vec![], before));
    end([b]).await;
}

/// There is nothing to replace yet: no wish, other credentials in no offer, and none after the exchange.
#[tokio::test]
async fn rst_02_03_before_the_first_exchange() {
    let (a, b) = (peer(), peer());
    let needs = Journal::default();
    watch_needs(&a, &needs);
    a.restart_ice();
    settle().await;
    assert_eq!(needs.lines(), [""; 0]);
    a.create_data_channel("", DataChannelInit::default()).unwrap();
    settle().await;
    let before = credentials(a.create_offer().await.ok());
    a.restart_ice();
    assert_eq!(credentials(a.create_offer().await.ok()), before);
    negotiate(&a, &b).await;
    assert_eq!(current(&a, &b)[0], before);
    settle().await;
    end([a, b]).await;
    assert_eq!(needs.lines(), ["needed stable"], "the one for the channel");
}

#[tokio::test]
async fn rst_04_05_the_next_exchange() {
    for asked_by_offerer in [true, false] {
        let (a, b, needs) = negotiated().await;
        let (first, second) = if asked_by_offerer { (&a, &b) } else { (&b, &a) };
        let before = current(&a, &b);
        a.restart_ice();
        settle().await;
        assert_eq!(needs.lines(), ["needed stable"]);
        if asked_by_offerer {
            negotiate(first, second).await;
        } else {
            // An offer of the peer that restarts nothing leaves the wish.
            negotiate(first, second).await;
            assert_eq!(current(&a, &b), before);
            negotiate(second, first).await;
        }
        let after = current(&a, &b);
        assert!(are_new(&before, &after), "{before:?} {after:?}");
        settle().await;
        let told = needs.lines().len();
        negotiate(&a, &b).await;
        assert_eq!(current(&a, &b), after);
        settle().await;
        end([a, b]).await;
        assert_eq!(needs.lines().len(), told, "no wish is left");
    }
}

/// Certificates and roles stay; no state of the connection moves; what is open stays open.
#[tokio::test]
async fn rst_10_what_runs_goes_on() {
    let pair = Pair::new().await;
    let states = [&pair.a, &pair.b].map(Journal::of_states);
    let said = |start| {
        [&pair.a, &pair.b].map(|end| line(&end.local_description().unwrap(), start).map(str::to_owned))
    };
    let identities = said("a=fingerprint:");
    for restarts in [&pair.a, &pair.b] {
        let before = current(&pair.a, &pair.b);
        restarts.restart_ice();
        let other = if std::ptr::eq(restarts, &pair.a) { &pair.b } else { &pair.a };
        negotiate(restarts, other).await;
        assert!(are_new(&before, &current(&pair.a, &pair.b)));
        ping(&pair, "after it").await;
    }
    assert_eq!(said("a=fingerprint:"), identities);
    pair.a.close();
    soon("the end", pair.a.closed()).await;
    for journal in states {
        let moved = journal
            .lines()
            .into_iter()
            .filter(|line| line.starts_with("ice") || line.starts_with("connection"));
        let moved: Vec<_> = moved.filter(|line| !line.ends_with("closed")).collect();
        assert_eq!(moved, [""; 0]);
    }
    pair.close().await;
}

/// The DTLS sessions are the ones of before: not a state moves, not a record counts anew.
#[test]
fn rst_06_sta_11_the_transports_stay() {
    let (mut net, ours, theirs) = connected(seed());
    let before = [net.a.events.len(), net.b.events.len()];
    let stats = [net.a.peer.stats().dtls, net.b.peer.stats().dtls];
    let now = net.now();
    net.a.peer.restart_ice(now);
    stack::negotiate(&mut net);
    net.run_for(Duration::from_secs(5));
    let now = net.now();
    net.a.send(now, ours, "there");
    net.b.send(now, theirs, "and back");
    net.run_for(Duration::from_secs(1));
    assert_eq!((net.b.texts(), net.a.texts()), (vec!["there"], vec!["and back"]));
    for ((stack, before), stats) in [&net.a, &net.b].into_iter().zip(before).zip(stats) {
        let moved = stack.events[before..].iter().filter(|event| {
            use Event::{ConnectionStateChanged, DtlsStateChanged, IceStateChanged};
            matches!(event, DtlsStateChanged(_) | IceStateChanged(_) | ConnectionStateChanged(_))
        });
        assert_eq!(moved.count(), 0, "{:?}", &stack.events[before..]);
        let now = stack.peer.stats().dtls;
        assert!(now.records_sealed > stats.records_sealed && now.records_opened > stats.records_opened);
    }
}

/// Asked for during an exchange: that one keeps the fragment, and the wish is told after it.
#[tokio::test]
async fn rst_07_asked_for_during_an_exchange() {
    for asked_by_offerer in [true, false] {
        let (a, b, _) = negotiated().await;
        let needs = Journal::default();
        let asks = if asked_by_offerer { &a } else { &b };
        watch_needs(asks, &needs);
        let before = current(&a, &b);
        a.set_local_description_implicitly().await.unwrap();
        if asked_by_offerer {
            a.restart_ice();
        }
        b.set_remote_description(a.local_description().unwrap()).await.unwrap();
        if !asked_by_offerer {
            b.restart_ice();
        }
        settle().await;
        assert_eq!(needs.lines(), [""; 0], "not in the middle of an exchange");
        b.set_local_description_implicitly().await.unwrap();
        a.set_remote_description(b.local_description().unwrap()).await.unwrap();
        assert_eq!(current(&a, &b), before);
        settle().await;
        assert_eq!(needs.lines(), ["needed stable"]);
        if asked_by_offerer {
            negotiate(&a, &b).await;
        } else {
            negotiate(&b, &a).await;
        }
        assert!(are_new(&before, &current(&a, &b)));
        end([a, b]).await;
    }
}

/// During the first exchange: the offerer has credentials that can be replaced, the answerer has none yet.
#[tokio::test]
async fn rst_08_asked_for_during_the_first_exchange() {
    let (a, b) = (offerer(), peer());
    let needs = [&a, &b].map(|connection| {
        let needs = Journal::default();
        watch_needs(connection, &needs);
        needs
    });
    settle().await;
    a.set_local_description_implicitly().await.unwrap();
    let before = credentials(a.local_description());
    a.restart_ice();
    b.set_remote_description(a.local_description().unwrap()).await.unwrap();
    b.restart_ice();
    b.set_local_description_implicitly().await.unwrap();
    a.set_remote_description(b.local_description().unwrap()).await.unwrap();
    assert_eq!(credentials(a.local_description()), before);
    settle().await;
    assert_eq!(needs[0].lines(), ["needed stable"; 2], "for the channel, then for the restart");
    assert_eq!(needs[1].lines(), [""; 0]);
    let before = current(&a, &b);
    negotiate(&b, &a).await;
    assert_eq!(current(&a, &b), before, "the answerer restarts nothing");
    negotiate(&a, &b).await;
    assert!(are_new(&before, &current(&a, &b)));
    end([a, b]).await;
}

/// Until credentials are replaced. With one transport no restart is a part of one.
#[tokio::test]
async fn rst_09_how_long_the_wish_lasts() {
    let (a, b, needs) = negotiated().await;
    let before = current(&a, &b);
    a.restart_ice();
    let restarts = async || credentials(a.create_offer().await.ok()) != before[0];
    negotiate(&b, &a).await;
    assert!(restarts().await, "the peer did not restart");
    a.set_local_description_implicitly().await.unwrap();
    a.set_local_description(SessionDescription::rollback()).await.unwrap();
    assert_eq!(current(&a, &b), before);
    assert!(restarts().await, "it was taken back");
    let contrary = a.create_offer_with(OfferOptions::default().ice_restart(false)).await;
    assert_ne!(credentials(contrary.ok()), before[0], "it is only not asked for again");
    assert!(restarts().await);

    // A restart of the peer does what was wished for.
    b.restart_ice();
    negotiate(&b, &a).await;
    let after = current(&a, &b);
    assert!(are_new(&before, &after));
    assert_eq!(credentials(a.create_offer().await.ok()), after[0]);
    settle().await;
    let told = needs.lines();
    assert!(told.iter().all(|line| line == "needed stable"), "{told:?}");
    negotiate(&a, &b).await;
    assert_eq!(current(&a, &b), after);
    settle().await;
    end([a, b]).await;
    assert_eq!(needs.lines(), told);
}

/// `createOffer({iceRestart: true})`: for that offer alone, set by its text or by its type.
#[tokio::test]
async fn rst_an_offer_that_restarts() {
    for by_type in [false, true] {
        let (a, b, needs) = negotiated().await;
        let before = current(&a, &b);
        let restart = OfferOptions::default().ice_restart(true);
        let offer = a.create_offer_with(restart).await.unwrap();
        assert_ne!(credentials(Some(offer.clone())), before[0]);
        assert_eq!(credentials(a.create_offer().await.ok()), before[0], "the other one is ordinary");
        assert_eq!(current(&a, &b), before, "nothing is set yet");
        let offer = a.create_offer_with(restart).await.unwrap();
        let given = if by_type { SessionDescription::offer("") } else { offer.clone() };
        a.set_local_description(given).await.unwrap();
        assert_eq!(credentials(a.local_description()), credentials(Some(offer.clone())));
        b.set_remote_description(offer).await.unwrap();
        b.set_local_description_implicitly().await.unwrap();
        a.set_remote_description(b.local_description().unwrap()).await.unwrap();
        let after = current(&a, &b);
        assert!(are_new(&before, &after));
        negotiate(&a, &b).await;
        assert_eq!(current(&a, &b), after);
        settle().await;
        end([a, b]).await;
        assert_eq!(needs.lines(), [""; 0]);
    }
    // Before there is anything to restart it is an offer like any other.
    let connection = offerer();
    let first = connection.create_offer().await.unwrap();
    let again = connection.create_offer_with(OfferOptions::default().ice_restart(true)).await.unwrap();
    assert_eq!(first, again);
    end([connection]).await;
}

/// A message and its reply at each step.
#[tokio::test]
async fn rst_11_data_flows_at_every_step() {
    let pair = Pair::new().await;
    let (a, b) = (&pair.a, &pair.b);
    for _ in 0..2 {
        let before = current(a, b);
        a.restart_ice();
        ping(&pair, "asked for").await;
        a.set_local_description_implicitly().await.unwrap();
        ping(&pair, "offered here").await;
        b.set_remote_description(a.local_description().unwrap()).await.unwrap();
        ping(&pair, "offered there").await;
        b.set_local_description_implicitly().await.unwrap();
        ping(&pair, "answered there").await;
        a.set_remote_description(b.local_description().unwrap()).await.unwrap();
        ping(&pair, "answered here").await;
        assert!(are_new(&before, &current(a, b)));
    }
    // And when it is taken back.
    a.restart_ice();
    a.set_local_description_implicitly().await.unwrap();
    ping(&pair, "offered once more").await;
    a.set_local_description(SessionDescription::rollback()).await.unwrap();
    ping(&pair, "taken back").await;
    pair.close().await;
}

/// The credentials that an offer of a stranger has are no reason to answer with ours anew.
#[tokio::test]
async fn rst_a_refused_offer_restarts_nothing() {
    let (a, b, _) = negotiated().await;
    let before = current(&a, &b);
    let mut stranger = offer().await;
    stranger.sdp = stranger.sdp.replace("a=setup:actpass", "a=setup:holdconn");
    a.set_remote_description(stranger).await.unwrap_err();
    assert_eq!(current(&a, &b), before);
    negotiate(&a, &b).await;
    assert_eq!(current(&a, &b), before);
    end([a, b]).await;
}

/// Somebody else answers the offer of a restart, with a certificate of its own; candidates go to both.
#[tokio::test]
async fn rst_12_another_peer_takes_over() {
    let pair = Pair::new().await;
    let (a, first) = (&pair.a, &pair.b);
    ping(&pair, "hello").await;
    let second = peer();
    let [to_first, to_second] = [first, &second].map(PeerConnection::downgrade);
    a.on_ice_candidate(move |candidate| {
        for to in [&to_first, &to_second].into_iter().filter_map(|to| to.upgrade()) {
            // Who is not asked refuses it.
            to.add_ice_candidate(candidate.clone());
        }
    });
    trickle(&second, a);
    let offer = a.create_offer_with(OfferOptions::default().ice_restart(true)).await.unwrap();
    a.set_local_description(offer.clone()).await.unwrap();
    second.set_remote_description(offer).await.unwrap();
    let answer = second.create_answer().await.unwrap();
    a.set_remote_description(answer.clone()).await.unwrap();
    second.set_local_description(answer).await.unwrap();

    let back = second.create_data_channel("second back", DataChannelInit::default()).unwrap();
    let other = soon("the channel", a.accept_channel()).await.unwrap();
    assert_eq!(other.label(), "second back");
    other.send("hello again").await.unwrap();
    let message = soon("a message", back.recv()).await.unwrap();
    assert_eq!(message.as_text(), Some("hello again"));
    soon("the first channel to close", pair.channel_a.closed()).await;
    let mine = a.create_data_channel("and there", DataChannelInit::default()).unwrap();
    soon("it to open", mine.opened()).await.unwrap();
    assert_eq!(a.connection_state(), PeerConnectionState::Connected);
    soon("the end of the first", first.closed()).await;
    end([second]).await;
    pair.close().await;
}

/// Another certificate without other ICE credentials is refused, and what runs goes on.
#[tokio::test]
async fn rst_12_not_without_a_restart() {
    let pair = Pair::new().await;
    let second = peer();
    pair.a.set_local_description_implicitly().await.unwrap();
    second.set_remote_description(pair.a.local_description().unwrap()).await.unwrap();
    let answer = second.create_answer().await.unwrap();
    let error = pair.a.set_remote_description(answer).await.unwrap_err();
    assert_eq!(error.name(), ErrorName::InvalidAccessError, "{error}");
    ping(&pair, "still with you").await;
    end([second]).await;
    pair.close().await;
}
