//! What is done one after another, and when negotiation is needed.

use super::support::{Journal, configuration, end, line, negotiate, offerer, peer, soon, trickle, until};
use futures_util::{FutureExt, future::join, future::join3, future::join4};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use straits::{
    DataChannelInit, ErrorName, IceCandidate, PeerConnection, PeerConnectionStats, SdpType,
    SessionDescription, SignalingState,
};
use tokio::sync::mpsc;

const CANDIDATE: &str = "candidate:1 1 udp 2113937151 192.0.2.9 58041 typ host";

fn candidate() -> IceCandidate {
    IceCandidate { candidate: CANDIDATE.into(), sdp_mid: Some("0".into()), ..IceCandidate::default() }
}

fn strict() -> PeerConnection {
    PeerConnection::new(configuration().strict_w3c(true)).unwrap()
}

/// A strict one whose offer is set. Somebody listens, so that setting a description takes until he has heard of it.
async fn having_offered() -> PeerConnection {
    let connection = strict();
    watch_signaling(&connection, &Journal::default());
    connection.create_data_channel("", DataChannelInit::default()).unwrap();
    connection.set_local_description_implicitly().await.unwrap();
    connection
}

/// Writes down when each wish to negotiate comes, in which state.
pub(super) fn watch_needs(connection: &PeerConnection, journal: &Journal) {
    let (write, weak) = (journal.clone(), connection.downgrade());
    connection.on_negotiation_needed(move || {
        write.write(format!("needed {}", weak.upgrade().unwrap().signaling_state()));
    });
}

fn watch_signaling(connection: &PeerConnection, journal: &Journal) {
    let write = journal.clone();
    connection.on_signaling_state_change(move |state| write.write(format!("signaling {state}")));
}

/// Lets everything happen that is on its way already: on this runtime, whatever can run does so in a few turns.
pub(super) async fn settle() {
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
}

/// The handlers of one operation have run before the next begins, whoever asks for them at the same time.
#[tokio::test]
async fn ops_01_one_after_another() {
    let (a, b) = (offerer(), strict());
    let journal = Journal::default();
    watch_signaling(&b, &journal);
    let offer = a.create_offer().await.unwrap();
    let done = |what: &'static str| {
        let journal = journal.clone();
        move |result: Result<(), straits::Error>| journal.write(format!("{what} {}", result.is_ok()))
    };
    let set_remote = b.set_remote_description(offer).map(done("remote"));
    let create = b.create_answer().map(|answer| answer.map(drop)).map(done("created"));
    let set_local = b.set_local_description_implicitly().map(done("local"));
    let add = async { b.add_ice_candidate(candidate()).await }.map(done("added"));
    soon("all of them", join4(set_remote, create, set_local, add)).await;
    let expected = [
        "signaling have-remote-offer",
        "remote true",
        "created true",
        "signaling stable",
        "local true",
        "added true",
    ];
    assert_eq!(journal.lines(), expected);
    end([a, b]).await;
}

/// Each answers when it is asked for the first time.
#[tokio::test]
async fn ops_02_what_is_wrong_is_said_at_once() {
    let (a, b) = (offerer(), strict());
    let wrong = |result: Option<Result<(), straits::Error>>| result.unwrap().unwrap_err().name();
    let unanswerable = b.create_answer().now_or_never().map(|created| created.map(drop));
    assert_eq!(wrong(unanswerable), ErrorName::InvalidStateError);
    let rollback = b.set_local_description(SessionDescription::rollback()).now_or_never();
    assert_eq!(wrong(rollback), ErrorName::InvalidStateError);
    let early = b.add_ice_candidate(candidate()).now_or_never();
    assert_eq!(wrong(early), ErrorName::InvalidStateError);
    b.set_remote_description(a.create_offer().await.unwrap()).await.unwrap();
    let contrary = b.create_offer().now_or_never().map(|created| created.map(drop));
    assert_eq!(wrong(contrary), ErrorName::InvalidStateError);
    end([a, b]).await;
}

/// A candidate that comes while its description is being set belongs to it; one that comes before does not. Alone, of
/// an offer that undoes ours, and then not when the rollback is asked for first (SRD-11's other half).
#[tokio::test]
async fn ops_04_srd_11_candidates_behind_their_description() {
    let a = offerer();
    let offer = a.create_offer().await.unwrap();
    let b = strict();
    let early = b.add_ice_candidate(candidate()).await;
    assert_eq!(early.unwrap_err().name(), ErrorName::InvalidStateError);
    let set = b.set_remote_description(offer.clone());
    let (set, added) = soon("both", join(set, async { b.add_ice_candidate(candidate()).await })).await;
    set.and(added).unwrap();

    let polite = having_offered().await;
    let set = polite.set_remote_description(offer.clone());
    let (set, added) = soon("both", join(set, async { polite.add_ice_candidate(candidate()).await })).await;
    set.and(added).unwrap();

    let by_hand = having_offered().await;
    let set = async {
        by_hand.set_local_description(SessionDescription::rollback()).await?;
        by_hand.set_remote_description(offer).await
    };
    let (set, added) = soon("both", join(set, async { by_hand.add_ice_candidate(candidate()).await })).await;
    set.unwrap();
    assert_eq!(added.unwrap_err().name(), ErrorName::InvalidStateError);
    end([a, b, polite, by_hand]).await;
}

/// Waits for nobody: a future of another operation that is not polled further does not hold it up, and neither does
/// such a one hold up the others for ever, once it is dropped.
#[tokio::test]
async fn ops_a_dropped_operation_makes_room() {
    let (a, b) = (offerer(), peer());
    watch_signaling(&b, &Journal::default());
    let offer = a.create_offer().await.unwrap();
    let mut set = Box::pin(b.set_remote_description(offer));
    assert!(set.as_mut().now_or_never().is_none(), "the handler has not run");
    assert!(b.create_answer().now_or_never().is_none(), "its turn has not come");
    drop(set);
    assert_eq!(soon("the answer", b.create_answer()).await.unwrap().kind, SdpType::Answer);
    end([a, b]).await;
}

/// And what is set from its handler does not call it again.
#[tokio::test]
async fn ops_05_nn_03_negotiation_is_needed_only_between_operations() {
    let (a, b) = (peer(), peer());
    let journal = Journal::default();
    watch_signaling(&a, &journal);
    let inside = Arc::new(AtomicBool::new(false));
    let (write, weak) = (journal.clone(), a.downgrade());
    a.on_negotiation_needed(move || {
        assert!(!inside.swap(true, Ordering::SeqCst), "called while it was called");
        let connection = weak.upgrade().unwrap();
        write.write(format!("needed {}", connection.signaling_state()));
        let write = write.clone();
        tokio::spawn(async move {
            connection.set_local_description_implicitly().await.unwrap();
            write.write("set");
        });
        inside.store(false, Ordering::SeqCst);
    });
    // An operation is under way when the wish arises: an answer to the offer of the peer.
    let other = offerer();
    b.set_remote_description(other.create_offer().await.unwrap()).await.unwrap();
    let idle = b.create_answer();
    a.create_data_channel("", DataChannelInit::default()).unwrap();
    let empty = a.create_offer();
    let (idle, empty) = soon("both", join(idle, empty)).await;
    assert!(idle.is_ok() && empty.unwrap().sdp.contains("m=application"));
    settle().await;
    assert_eq!(journal.lines(), ["needed stable", "signaling have-local-offer", "set"]);
    end([a, b, other]).await;
}

/// Neither waits for a turn: a report is made while operations are under way, and what the handler of the event asks for
/// is done at once, because the event is no operation.
#[tokio::test]
async fn ops_03_what_is_not_on_the_chain() {
    let connection = peer();
    let told = Journal::default();
    watch_signaling(&connection, &told);
    let mut set = Box::pin(connection.set_local_description_implicitly());
    assert!(set.as_mut().now_or_never().is_none(), "the handler has not run");
    let mut create = Box::pin(connection.create_offer());
    assert!(create.as_mut().now_or_never().is_none(), "its turn has not come");
    assert!(connection.get_stats().of_type::<PeerConnectionStats>().next().is_some());
    let (set, create) = soon("both", join(set, create)).await;
    assert!(set.is_ok() && create.is_ok());

    let (write, weak) = (told.clone(), connection.downgrade());
    connection.on_negotiation_needed(move || {
        let offer = weak.upgrade().unwrap().create_offer().now_or_never();
        write.write(format!("offered at once {}", offer.is_some_and(|offer| offer.is_ok())));
    });
    connection.set_local_description(SessionDescription::rollback()).await.unwrap();
    connection.create_data_channel("", DataChannelInit::default()).unwrap();
    settle().await;
    let lines = told.lines();
    assert_eq!(lines, ["signaling have-local-offer", "signaling stable", "offered at once true"]);
    end([connection]).await;
}

/// It waits for its turn when the channel is made.
#[tokio::test]
async fn neg_04_what_is_added_while_an_offer_is_made() {
    let connection = peer();
    watch_signaling(&connection, &Journal::default());
    let mut set = Box::pin(connection.set_local_description_implicitly());
    assert!(set.as_mut().now_or_never().is_none(), "the handler has not run");
    let mut create = Box::pin(connection.create_offer());
    assert!(create.as_mut().now_or_never().is_none(), "its turn has not come");
    connection.create_data_channel("", DataChannelInit::default()).unwrap();
    let (set, offer) = soon("both", join(set, create)).await;
    set.unwrap();
    assert!(offer.unwrap().sdp.contains("m=application"));
    end([connection]).await;
}

/// No call waits for the one before; then the same, driven by the events of the state alone.
#[tokio::test]
async fn ops_06_an_exchange_without_awaiting() {
    let (a, b) = (offerer(), peer());
    watch_signaling(&a, &Journal::default());
    watch_signaling(&b, &Journal::default());
    let set = a.set_local_description(SessionDescription::offer(""));
    let (created, set) = soon("the offer", join(a.create_offer(), set)).await;
    set.unwrap();
    let origin = |description: &SessionDescription| line(description, "o=").map(str::to_owned);
    assert_eq!(origin(&a.local_description().unwrap()), origin(&created.unwrap()));
    let set_remote = b.set_remote_description(a.local_description().unwrap());
    let set_local = b.set_local_description(SessionDescription::answer(""));
    let (remote, created, local) = soon("the answer", join3(set_remote, b.create_answer(), set_local)).await;
    remote.and(local).unwrap();
    assert_eq!(origin(&b.local_description().unwrap()), origin(&created.unwrap()));
    a.set_remote_description(b.local_description().unwrap()).await.unwrap();
    assert_eq!([a.signaling_state(), b.signaling_state()], [SignalingState::Stable; 2]);
    end([a, b]).await;

    let (a, b) = (offerer(), peer());
    let (done, mut stable) = mpsc::unbounded_channel();
    for (own, other) in [(&a, &b), (&b, &a)] {
        let (own_weak, other, done) = (own.downgrade(), other.downgrade(), done.clone());
        own.on_signaling_state_change(move |state| {
            let (Some(own), Some(other)) = (own_weak.upgrade(), other.upgrade()) else { return };
            let _ = done.send(state);
            tokio::spawn(async move {
                match state {
                    SignalingState::HaveLocalOffer => {
                        other.set_remote_description(own.local_description().unwrap()).await.unwrap();
                    }
                    SignalingState::HaveRemoteOffer => {
                        own.set_local_description_implicitly().await.unwrap();
                        other.set_remote_description(own.local_description().unwrap()).await.unwrap();
                    }
                    _ => {}
                }
            });
        });
    }
    a.set_local_description_implicitly().await.unwrap();
    let mut states = Vec::new();
    while states.len() < 4 {
        states.push(soon("a state", stable.recv()).await.unwrap());
    }
    assert_eq!(states[..2], [SignalingState::HaveLocalOffer, SignalingState::HaveRemoteOffer]);
    assert_eq!(states[2..], [SignalingState::Stable; 2]);
    end([a, b]).await;
}

/// The first channel asks for it, a second does not, nor does one beside a section that is there.
#[tokio::test]
async fn nn_01_02_05_the_first_channel() {
    let (a, b) = (peer(), peer());
    let journal = Journal::default();
    watch_needs(&a, &journal);
    trickle(&a, &b);
    trickle(&b, &a);
    let first = a.create_data_channel("", DataChannelInit::default()).unwrap();
    let second = a.create_data_channel("", DataChannelInit::default()).unwrap();
    settle().await;
    assert_eq!(journal.lines(), ["needed stable"]);
    negotiate(&a, &b).await;
    let third = a.create_data_channel("", DataChannelInit::default()).unwrap();
    for channel in [first, second, third] {
        soon("it to open", channel.opened()).await.unwrap();
    }
    end([a, b]).await;
    assert_eq!(journal.lines(), ["needed stable"]);
}

/// Made during an exchange that has no place for it: told after the state, and after who awaited the last call.
#[tokio::test]
async fn nn_04_a_channel_made_during_an_exchange() {
    for made_by_offerer in [true, false] {
        let (a, b) = (peer(), peer());
        let maker = if made_by_offerer { &a } else { &b };
        let journal = Journal::default();
        watch_signaling(maker, &journal);
        watch_needs(maker, &journal);
        a.set_local_description_implicitly().await.unwrap();
        b.set_remote_description(a.local_description().unwrap()).await.unwrap();
        maker.create_data_channel("", DataChannelInit::default()).unwrap();
        settle().await;
        let write = journal.clone();
        let resolved = |result: Result<(), straits::Error>| {
            result.unwrap();
            write.write("resolved");
        };
        if made_by_offerer {
            b.set_local_description_implicitly().await.unwrap();
            a.set_remote_description(b.local_description().unwrap()).map(resolved).await;
        } else {
            b.set_local_description_implicitly().map(resolved).await;
        }
        settle().await;
        assert_eq!(journal.lines()[1..], ["signaling stable", "resolved", "needed stable"]);
        end([a, b]).await;
    }
}

/// Futures that wait when their connection is closed hear of it (a promise would not).
#[tokio::test]
async fn sld_25_srd_18_closed_meanwhile() {
    let other = offerer();
    let offer = other.create_offer().await.unwrap();
    for offers_itself in [false, true] {
        let connection = offerer();
        watch_signaling(&connection, &Journal::default());
        if offers_itself {
            connection.set_local_description_implicitly().await.unwrap();
        }
        let set = connection.set_remote_description(offer.clone());
        let (set, waiting, ()) =
            soon("both", join3(set, connection.create_answer(), async { connection.close() })).await;
        assert_eq!(set.unwrap_err().name(), ErrorName::InvalidStateError);
        assert_eq!(waiting.unwrap_err().name(), ErrorName::InvalidStateError);
        assert_eq!(connection.signaling_state(), SignalingState::Closed);
    }
    let connection = offerer();
    watch_signaling(&connection, &Journal::default());
    let set = connection.set_local_description_implicitly();
    let (set, ()) = soon("both", join(set, async { connection.close() })).await;
    assert_eq!(set.unwrap_err().name(), ErrorName::InvalidStateError);
    end([other]).await;
}

/// Of the two that begin at once, the offer of the peer comes second and undoes ours.
#[tokio::test]
async fn srd_19_both_offers_at_once() {
    let (a, b) = (offerer(), offerer());
    let journal = Journal::default();
    watch_signaling(&b, &journal);
    let offer = a.create_offer().await.unwrap();
    let set_local = b.set_local_description_implicitly();
    let (local, remote) = soon("both", join(set_local, b.set_remote_description(offer))).await;
    local.and(remote).unwrap();
    let expected = ["signaling have-local-offer", "signaling stable", "signaling have-remote-offer"];
    assert_eq!(journal.lines(), expected);
    end([a, b]).await;
}

/// Two with data to add and one of them polite (W3C webrtc-pc §10.7).
struct Perfect {
    connection: PeerConnection,
    failures: Journal,
}

/// What signalling carries.
enum Signal {
    Description(SessionDescription),
    Candidate(Option<IceCandidate>),
}

impl Perfect {
    /// Runs the pattern of the text on `connection`, with its checks of what must hold.
    fn run(
        connection: PeerConnection,
        is_polite: bool,
        out: mpsc::UnboundedSender<Signal>,
        mut inbox: mpsc::UnboundedReceiver<Signal>,
    ) -> Self {
        let failures = Journal::default();
        let making_offer = Arc::new(AtomicBool::new(false));

        let send = out.clone();
        connection.on_ice_candidate(move |candidate| {
            let _ = send.send(Signal::Candidate(candidate));
        });

        let (weak, making, send, report) =
            (connection.downgrade(), making_offer.clone(), out.clone(), failures.clone());
        connection.on_negotiation_needed(move || {
            let Some(connection) = weak.upgrade() else { return };
            if connection.signaling_state() != SignalingState::Stable || making.swap(true, Ordering::SeqCst) {
                report.write("needed while it was not stable, or again");
            }
            let (making, send, report) = (making.clone(), send.clone(), report.clone());
            tokio::spawn(async move {
                let set = connection.set_local_description_implicitly().await;
                let description = connection.local_description();
                making.store(false, Ordering::SeqCst);
                match (set, description) {
                    (Ok(()), Some(offer)) if offer.kind == SdpType::Offer => {
                        let _ = send.send(Signal::Description(offer));
                    }
                    // Meanwhile the offer of the peer came first.
                    (Ok(()), Some(answer)) if answer.kind == SdpType::Answer => {}
                    (set, description) => report.write(format!("offering: {set:?} {description:?}")),
                }
            });
        });

        let (weak, report) = (connection.downgrade(), failures.clone());
        tokio::spawn(async move {
            let mut ignores_offer = false;
            while let (Some(signal), Some(connection)) = (inbox.recv().await, weak.upgrade()) {
                let handled = match signal {
                    Signal::Description(description) => {
                        let is_offer = description.kind == SdpType::Offer;
                        let collides = is_offer
                            && (making_offer.load(Ordering::SeqCst)
                                || connection.signaling_state() != SignalingState::Stable);
                        ignores_offer = !is_polite && collides;
                        if ignores_offer {
                            continue;
                        }
                        Self::take(&connection, description, &out).await
                    }
                    Signal::Candidate(candidate) => {
                        let added = connection.add_ice_candidate(candidate).await;
                        if ignores_offer { Ok(()) } else { added }
                    }
                };
                if let Err(error) = handled {
                    report.write(format!("taking: {error}"));
                }
            }
        });
        Self { connection, failures }
    }

    async fn take(
        connection: &PeerConnection,
        description: SessionDescription,
        out: &mpsc::UnboundedSender<Signal>,
    ) -> Result<(), straits::Error> {
        let is_offer = description.kind == SdpType::Offer;
        connection.set_remote_description(description).await?;
        if is_offer {
            connection.set_local_description_implicitly().await?;
            let answer = connection.local_description().expect("just set");
            let _ = out.send(Signal::Description(answer));
        }
        Ok(())
    }

    fn pair(first_is_polite: bool) -> [Self; 2] {
        let (to_second, second) = mpsc::unbounded_channel();
        let (to_first, first) = mpsc::unbounded_channel();
        [
            Self::run(peer(), first_is_polite, to_second, first),
            Self::run(peer(), !first_is_polite, to_first, second),
        ]
    }

    fn ufrag(&self) -> Option<String> {
        let description = self.connection.current_local_description()?;
        line(&description, "a=ice-ufrag:").map(str::to_owned)
    }
}

/// All is negotiated, on both sides.
async fn quiet(pair: &[Perfect; 2]) {
    soon("both to be stable", async {
        let mut quiet = 0;
        while quiet < 50 {
            tokio::task::yield_now().await;
            let stable = |perfect: &Perfect| perfect.connection.signaling_state() == SignalingState::Stable;
            quiet = if pair.iter().all(stable) { quiet + 1 } else { 0 };
        }
    })
    .await;
}

#[tokio::test]
async fn pn_01_one_side_adds_something() {
    for first_is_polite in [true, false] {
        let pair = Perfect::pair(first_is_polite);
        let channel = pair[0].connection.create_data_channel("", DataChannelInit::default()).unwrap();
        soon("it to open", channel.opened()).await.unwrap();
        let before = pair[0].ufrag();
        pair[1].connection.restart_ice();
        until("the restart", || pair[0].ufrag() != before).await;
        quiet(&pair).await;
        channel.send("still there").await.unwrap();
        for perfect in &pair {
            assert_eq!(perfect.failures.lines(), [""; 0]);
        }
        let [first, second] = pair;
        end([first.connection, second.connection]).await;
    }
}

#[tokio::test]
async fn pn_02_both_sides_at_once() {
    for first_is_polite in [true, false] {
        let pair = Perfect::pair(first_is_polite);
        let channels = pair
            .each_ref()
            .map(|perfect| perfect.connection.create_data_channel("", DataChannelInit::default()).unwrap());
        for channel in &channels {
            soon("it to open", channel.opened()).await.unwrap();
        }
        for perfect in &pair {
            soon("the channel of the other", perfect.connection.accept_channel()).await.unwrap();
            assert_eq!(perfect.failures.lines(), [""; 0]);
        }
        let [first, second] = pair;
        end([first.connection, second.connection]).await;
    }
}

/// Restarts of one side, of both, of both after one another, for many rounds.
#[tokio::test]
async fn pn_03_many_rounds() {
    let pair = Perfect::pair(true);
    let channel = pair[0].connection.create_data_channel("", DataChannelInit::default()).unwrap();
    soon("it to open", channel.opened()).await.unwrap();
    let other = soon("the other end", pair[1].connection.accept_channel()).await.unwrap();
    for round in 0..40_u32 {
        let before = pair.each_ref().map(Perfect::ufrag);
        if round % 4 != 1 {
            pair[0].connection.restart_ice();
        }
        if round % 4 == 3 {
            tokio::task::yield_now().await;
        }
        if round % 4 != 0 {
            pair[1].connection.restart_ice();
        }
        until("both restarts", || {
            pair.iter().zip(&before).all(|(perfect, before)| perfect.ufrag() != *before)
        })
        .await;
        quiet(&pair).await;
        channel.send(format!("{round}")).await.unwrap();
        let message = soon("a message", other.recv()).await.unwrap();
        assert_eq!(message.as_text(), Some(&*format!("{round}")));
        for perfect in &pair {
            assert_eq!(perfect.failures.lines(), [""; 0], "round {round}");
        }
    }
    let [first, second] = pair;
    end([first.connection, second.connection]).await;
}
