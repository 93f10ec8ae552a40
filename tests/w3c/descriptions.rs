//! Offers, answers, and the states they lead through.

use super::support::{Journal, end, line, negotiate, offerer, peer, soon, trickle};
use futures_util::FutureExt;
use std::sync::{Arc, Mutex};
use straits::{
    DataChannelInit, DataChannelState, ErrorDetail, ErrorName, PeerConnection, SdpType, SessionDescription,
    SignalingState,
};

/// Of somebody who has a channel and is gone.
pub(super) async fn offer() -> SessionDescription {
    let connection = offerer();
    let offer = connection.create_offer().await.unwrap();
    connection.close();
    offer
}

/// Signalling states in the order of their events.
struct States(Arc<Mutex<Vec<SignalingState>>>);

impl States {
    fn of(connection: &PeerConnection) -> Self {
        let states = Arc::<Mutex<Vec<_>>>::default();
        let write = states.clone();
        connection.on_signaling_state_change(move |state| write.lock().unwrap().push(state));
        Self(states)
    }

    fn seen(&self) -> Vec<SignalingState> {
        self.0.lock().unwrap().clone()
    }
}

/// Types of: current local, pending local, current remote, pending remote.
fn types(connection: &PeerConnection) -> [Option<SdpType>; 4] {
    [
        connection.current_local_description(),
        connection.pending_local_description(),
        connection.current_remote_description(),
        connection.pending_remote_description(),
    ]
    .map(|description| description.map(|description| description.kind))
}

/// With a text that is to be ignored.
fn rollback() -> SessionDescription {
    SessionDescription { sdp: "not an SDP".into(), ..SessionDescription::rollback() }
}

fn refused<T>(result: Result<T, straits::Error>) -> Option<ErrorName> {
    result.err().map(|error| error.name())
}

const OFFER: Option<SdpType> = Some(SdpType::Offer);
const ANSWER: Option<SdpType> = Some(SdpType::Answer);
const PRANSWER: Option<SdpType> = Some(SdpType::Pranswer);

#[tokio::test]
async fn neg_01_02_an_offer_is_set() {
    let connection = offerer();
    let states = States::of(&connection);
    let offer = connection.create_offer().await.unwrap();
    assert_eq!((offer.kind, types(&connection)), (SdpType::Offer, [None; 4]));
    connection.set_local_description(offer).await.unwrap();
    assert_eq!(connection.signaling_state(), SignalingState::HaveLocalOffer);
    assert_eq!(types(&connection), [None, OFFER, None, None]);
    assert_eq!(connection.local_description(), connection.pending_local_description());
    assert_eq!(states.seen(), [SignalingState::HaveLocalOffer]);
    end([connection]).await;
}

#[tokio::test]
async fn neg_03_07_not_on_a_closed_connection() {
    let connection = offerer();
    connection.close();
    assert_eq!(refused(connection.create_offer().await), Some(ErrorName::InvalidStateError));
    assert_eq!(refused(connection.create_answer().await), Some(ErrorName::InvalidStateError));
    let offer = offer().await;
    assert_eq!(refused(connection.set_remote_description(offer).await), Some(ErrorName::InvalidStateError));
}

#[tokio::test]
async fn neg_05_06_only_in_their_states() {
    let connection = peer();
    assert_eq!(refused(connection.create_answer().await), Some(ErrorName::InvalidStateError));
    connection.set_remote_description(offer().await).await.unwrap();
    assert_eq!(refused(connection.create_offer().await), Some(ErrorName::InvalidStateError));
    end([connection]).await;
}

#[tokio::test]
async fn neg_08_an_offer_of_nothing() {
    let connection = peer();
    let offer = connection.create_offer().await.unwrap();
    assert!(!offer.sdp.contains("m="), "{}", offer.sdp);
    connection.set_local_description(offer).await.unwrap();
    assert_eq!(connection.signaling_state(), SignalingState::HaveLocalOffer);
    end([connection]).await;
}

#[tokio::test]
async fn sld_01_09_a_type_alone_is_what_was_created_last() {
    let (a, b) = (offerer(), peer());
    let offer = a.create_offer().await.unwrap();
    a.set_local_description(SessionDescription::offer("")).await.unwrap();
    assert_eq!(a.local_description().unwrap().sdp, offer.sdp);
    b.set_remote_description(offer).await.unwrap();
    let answer = b.create_answer().await.unwrap();
    b.set_local_description(SessionDescription::answer("")).await.unwrap();
    assert_eq!(
        (b.local_description().unwrap().sdp, b.signaling_state()),
        (answer.sdp, SignalingState::Stable)
    );
    end([a, b]).await;
}

#[tokio::test]
async fn sld_02_03_10_only_what_was_created_last() {
    let (a, b) = (peer(), peer());
    let older = a.create_offer().await.unwrap();
    a.create_data_channel("", DataChannelInit::default()).unwrap();
    let newer = a.create_offer().await.unwrap();
    for other in [offer().await, older] {
        let set = a.set_local_description(other).await;
        assert_eq!(refused(set), Some(ErrorName::InvalidModificationError));
    }
    assert_eq!(types(&a), [None; 4]);
    b.set_remote_description(newer.clone()).await.unwrap();
    let mut answer = b.create_answer().await.unwrap();
    answer.sdp = answer.sdp.replace("a=setup:active", "a=setup:passive");
    let set = b.set_local_description(answer).await;
    assert_eq!(refused(set), Some(ErrorName::InvalidModificationError));
    end([a, b]).await;
}

#[tokio::test]
async fn sld_08_13_answered_and_the_other_way_round() {
    let (a, b) = (offerer(), peer());
    let states = States::of(&b);
    negotiate(&a, &b).await;
    assert_eq!(types(&a), [OFFER, None, ANSWER, None]);
    assert_eq!(types(&b), [ANSWER, None, OFFER, None]);
    assert_eq!(states.seen(), [SignalingState::HaveRemoteOffer, SignalingState::Stable]);
    let counter = b.create_offer().await.unwrap();
    b.set_local_description(counter.clone()).await.unwrap();
    assert_eq!(types(&b), [ANSWER, OFFER, OFFER, None]);
    assert_eq!(b.local_description().map(|description| description.kind), OFFER);
    a.set_remote_description(counter).await.unwrap();
    let answer = a.create_answer().await.unwrap();
    a.set_local_description(answer.clone()).await.unwrap();
    b.set_remote_description(answer).await.unwrap();
    assert_eq!(types(&b), [OFFER, None, ANSWER, None]);
    end([a, b]).await;
}

#[tokio::test]
async fn sld_11_14_answers_only_to_an_offer() {
    let connection = offerer();
    for answer in [SdpType::Answer, SdpType::Pranswer] {
        let answer = SessionDescription { kind: answer, sdp: offer().await.sdp };
        let set = connection.set_local_description(answer.clone()).await;
        assert_eq!(refused(set), Some(ErrorName::InvalidStateError));
    }
    let own = connection.create_offer().await.unwrap();
    connection.set_local_description(own.clone()).await.unwrap();
    let set = connection.set_local_description(SessionDescription::answer(own.sdp)).await;
    assert_eq!(refused(set), Some(ErrorName::InvalidStateError));

    let answerer = peer();
    let states = States::of(&answerer);
    answerer.set_remote_description(offer().await).await.unwrap();
    let answer = answerer.create_answer().await.unwrap();
    let provisional = SessionDescription { kind: SdpType::Pranswer, ..answer.clone() };
    for _ in 0..2 {
        answerer.set_local_description(provisional.clone()).await.unwrap();
        assert_eq!(answerer.signaling_state(), SignalingState::HaveLocalPranswer);
        assert_eq!(types(&answerer), [None, PRANSWER, None, OFFER]);
    }
    answerer.set_local_description(answer).await.unwrap();
    assert_eq!(types(&answerer), [ANSWER, None, OFFER, None]);
    let expected =
        [SignalingState::HaveRemoteOffer, SignalingState::HaveLocalPranswer, SignalingState::Stable];
    assert_eq!(states.seen(), expected);
    end([connection, answerer]).await;
}

#[tokio::test]
async fn sld_17_18_19_rollback_of_our_offer() {
    let connection = offerer();
    let states = States::of(&connection);
    let set = connection.set_local_description(rollback()).await;
    assert_eq!(refused(set), Some(ErrorName::InvalidStateError));
    connection.set_local_description_implicitly().await.unwrap();
    connection.set_local_description(rollback()).await.unwrap();
    assert_eq!((connection.signaling_state(), types(&connection)), (SignalingState::Stable, [None; 4]));
    assert_eq!(states.seen(), [SignalingState::HaveLocalOffer, SignalingState::Stable]);
    connection.set_remote_description(offer().await).await.unwrap();
    let set = connection.set_local_description(rollback()).await;
    assert_eq!(refused(set), Some(ErrorName::InvalidStateError));
    end([connection]).await;
}

#[tokio::test]
async fn sld_21_22_23_24_26_without_a_description() {
    let (a, b) = (offerer(), peer());
    let offer = a.create_offer().await.unwrap();
    a.set_local_description_implicitly().await.unwrap();
    assert_eq!(a.local_description().as_ref(), Some(&offer));
    b.set_remote_description(offer).await.unwrap();
    b.set_local_description_implicitly().await.unwrap();
    assert_eq!((b.signaling_state(), types(&b)), (SignalingState::Stable, [ANSWER, None, OFFER, None]));
    a.set_remote_description(b.local_description().unwrap()).await.unwrap();
    assert_eq!(a.signaling_state(), SignalingState::Stable);
    a.close();
    let set = a.set_local_description_implicitly().await;
    assert_eq!(refused(set), Some(ErrorName::InvalidStateError));
    end([a, b]).await;
}

#[tokio::test]
async fn srd_02_03_what_is_no_description() {
    let connection = offerer();
    let set = connection.set_remote_description(SessionDescription::answer("garbage")).await;
    assert_eq!(refused(set), Some(ErrorName::InvalidStateError));
    let garbage = || SessionDescription::offer("v=0\r\ngarbage\r\n");
    let error = connection.set_remote_description(garbage()).await.unwrap_err();
    assert_eq!(error.name(), ErrorName::OperationError);
    assert_eq!(error.detail(), Some(ErrorDetail::SdpSyntaxError { line: 2 }));
    end([connection]).await;
}

#[tokio::test]
async fn srd_12_an_offer_that_is_none_undoes_ours() {
    let connection = offerer();
    let states = States::of(&connection);
    connection.set_local_description_implicitly().await.unwrap();
    let set = connection.set_remote_description(SessionDescription::offer("garbage")).await;
    assert!(matches!(set.unwrap_err().detail(), Some(ErrorDetail::SdpSyntaxError { .. })));
    // The second event may be on its way still.
    connection.set_local_description_implicitly().await.unwrap();
    let expected = [SignalingState::HaveLocalOffer, SignalingState::Stable, SignalingState::HaveLocalOffer];
    assert_eq!(states.seen(), expected);
    end([connection]).await;
}

#[tokio::test]
async fn srd_04_05_an_offer_and_a_newer_one() {
    let connection = peer();
    let states = States::of(&connection);
    let (first, second) = (offer().await, offer().await);
    for offer in [&first, &first, &second] {
        connection.set_remote_description(offer.clone()).await.unwrap();
        assert_eq!(types(&connection), [None, None, None, OFFER]);
        assert_eq!(connection.pending_remote_description().as_ref(), Some(offer));
    }
    assert_eq!(states.seen(), [SignalingState::HaveRemoteOffer]);
    end([connection]).await;
}

#[tokio::test]
async fn srd_06_07_a_second_offer_after_an_exchange() {
    let (a, b) = (offerer(), peer());
    let states = States::of(&a);
    negotiate(&a, &b).await;
    let counter = b.create_offer().await.unwrap();
    a.set_remote_description(counter.clone()).await.unwrap();
    assert_eq!(types(&a), [OFFER, None, ANSWER, OFFER]);
    assert_eq!(a.remote_description(), Some(counter));
    let expected = [SignalingState::HaveLocalOffer, SignalingState::Stable, SignalingState::HaveRemoteOffer];
    assert_eq!(states.seen(), expected);
    end([a, b]).await;
}

#[tokio::test]
async fn srd_08_09_answers_of_the_peer() {
    let (a, b) = (offerer(), peer());
    let states = States::of(&a);
    let offer = a.create_offer().await.unwrap();
    b.set_remote_description(offer.clone()).await.unwrap();
    let answer = b.create_answer().await.unwrap();
    let provisional = SessionDescription { kind: SdpType::Pranswer, ..answer.clone() };
    for early in [&answer, &provisional] {
        let set = a.set_remote_description(early.clone()).await;
        assert_eq!(refused(set), Some(ErrorName::InvalidStateError));
        let set = b.set_remote_description(early.clone()).await;
        assert_eq!(refused(set), Some(ErrorName::InvalidStateError));
    }
    a.set_local_description(offer).await.unwrap();
    for _ in 0..2 {
        a.set_remote_description(provisional.clone()).await.unwrap();
        assert_eq!(a.signaling_state(), SignalingState::HaveRemotePranswer);
        assert_eq!(types(&a), [None, OFFER, None, PRANSWER]);
    }
    a.set_remote_description(answer).await.unwrap();
    assert_eq!(types(&a), [OFFER, None, ANSWER, None]);
    let expected =
        [SignalingState::HaveLocalOffer, SignalingState::HaveRemotePranswer, SignalingState::Stable];
    assert_eq!(states.seen(), expected);
    end([a, b]).await;
}

#[tokio::test]
async fn srd_10_16_an_offer_of_the_peer_undoes_ours() {
    let (a, b) = (peer(), offerer());
    let channel = a.create_data_channel("", DataChannelInit::default()).unwrap();
    let states = States::of(&a);
    trickle(&a, &b);
    trickle(&b, &a);
    a.set_local_description_implicitly().await.unwrap();
    negotiate(&b, &a).await;
    let expected = [
        SignalingState::HaveLocalOffer,
        SignalingState::Stable,
        SignalingState::HaveRemoteOffer,
        SignalingState::Stable,
    ];
    assert_eq!(states.seen(), expected);
    soon("it to open", channel.opened()).await.unwrap();
    negotiate(&a, &b).await;
    assert_eq!(channel.ready_state(), DataChannelState::Open);
    end([a, b]).await;
}

#[tokio::test]
async fn srd_15_rollback_of_the_offer_of_the_peer() {
    let connection = offerer();
    let set = connection.set_remote_description(rollback()).await;
    assert_eq!(refused(set), Some(ErrorName::InvalidStateError));
    connection.set_remote_description(offer().await).await.unwrap();
    connection.set_remote_description(rollback()).await.unwrap();
    assert_eq!((connection.signaling_state(), types(&connection)), (SignalingState::Stable, [None; 4]));
    connection.set_local_description_implicitly().await.unwrap();
    let set = connection.set_remote_description(rollback()).await;
    assert_eq!(refused(set), Some(ErrorName::InvalidStateError));
    end([connection]).await;
}

/// A newer offer takes the place of the one that is pending, and nobody hears of a state.
#[tokio::test]
async fn sld_04_06_offers_set_one_after_another() {
    let (a, b) = (peer(), peer());
    let states = States::of(&a);
    a.set_local_description(a.create_offer().await.unwrap()).await.unwrap();
    a.create_data_channel("", DataChannelInit::default()).unwrap();
    let newer = a.create_offer().await.unwrap();
    a.set_local_description(newer.clone()).await.unwrap();
    assert_eq!(states.seen(), [SignalingState::HaveLocalOffer]);
    let pending = a.pending_local_description().unwrap();
    assert_eq!(line(&pending, "o="), line(&newer, "o="));
    assert!(pending.sdp.contains("m=application"), "{}", pending.sdp);
    negotiate(&a, &b).await;
    assert_eq!(states.seen(), [SignalingState::HaveLocalOffer, SignalingState::Stable]);
    assert_eq!((types(&a), types(&b)), ([OFFER, None, ANSWER, None], [ANSWER, None, OFFER, None]));
    end([a, b]).await;
}

/// What was created stays settable while an offer of the peer comes and goes, and while offers are made between.
#[tokio::test]
async fn sld_05_12_what_was_created_before() {
    let (a, b) = (offerer(), peer());
    let early = a.create_offer().await.unwrap();
    a.set_remote_description(offer().await).await.unwrap();
    a.set_remote_description(SessionDescription::rollback()).await.unwrap();
    a.set_local_description(early.clone()).await.unwrap();
    assert_eq!(a.signaling_state(), SignalingState::HaveLocalOffer);

    b.set_remote_description(early.clone()).await.unwrap();
    let answer = b.create_answer().await.unwrap();
    assert_eq!(refused(b.create_offer().await), Some(ErrorName::InvalidStateError));
    b.set_remote_description(SessionDescription::rollback()).await.unwrap();
    b.create_offer().await.unwrap();
    b.set_remote_description(early).await.unwrap();
    b.set_local_description(answer.clone()).await.unwrap();
    a.set_remote_description(answer).await.unwrap();
    assert_eq!([a.signaling_state(), b.signaling_state()], [SignalingState::Stable; 2]);
    end([a, b]).await;
}

/// Old when the call has begun, new in the handler, and only then the future is ready.
#[tokio::test]
async fn sld_07_20_all_changes_in_one_task() {
    let connection = offerer();
    let journal = Journal::default();
    let (write, weak) = (journal.clone(), connection.downgrade());
    connection.on_signaling_state_change(move |_| {
        let connection = weak.upgrade().unwrap();
        let pending = connection.pending_local_description().is_some();
        write.write(format!("{} {pending}", connection.signaling_state()));
    });
    let offer = connection.create_offer().await.unwrap();
    for (description, before) in [(offer, [None; 4]), (rollback(), [None, OFFER, None, None])] {
        let state = connection.signaling_state();
        let mut set = Box::pin(connection.set_local_description(description));
        assert!(set.as_mut().now_or_never().is_none(), "the handler has not run");
        assert_eq!((connection.signaling_state(), types(&connection)), (state, before));
        soon("the call", set).await.unwrap();
        journal.write("resolved");
    }
    assert_eq!(journal.lines(), ["have-local-offer true", "resolved", "stable false", "resolved"]);
    assert_eq!(types(&connection), [None; 4]);
    end([connection]).await;
}

/// The type of a local and of a remote answer is the one it was set with, whatever its text; the offer becomes current
/// with the final one.
#[tokio::test]
async fn sld_15_16_the_types_of_answers() {
    let (a, b) = (offerer(), peer());
    let offer = a.create_offer().await.unwrap();
    a.set_local_description(offer.clone()).await.unwrap();
    b.set_remote_description(offer).await.unwrap();
    let answer = b.create_answer().await.unwrap();
    let provisional = SessionDescription { kind: SdpType::Pranswer, ..answer.clone() };
    b.set_local_description(provisional.clone()).await.unwrap();
    assert_eq!(b.local_description().map(|description| description.kind), PRANSWER);
    assert_eq!(types(&b), [None, PRANSWER, None, OFFER]);
    b.set_local_description(answer.clone()).await.unwrap();
    assert_eq!(b.local_description().map(|description| description.kind), ANSWER);
    assert_eq!(types(&b), [ANSWER, None, OFFER, None]);

    a.set_remote_description(provisional.clone()).await.unwrap();
    assert_eq!(a.remote_description(), Some(provisional));
    assert_eq!(types(&a), [None, OFFER, None, PRANSWER]);
    a.set_remote_description(answer.clone()).await.unwrap();
    assert_eq!(a.remote_description(), Some(answer));
    assert_eq!(types(&a), [OFFER, None, ANSWER, None]);
    end([a, b]).await;
}

/// Made for the call, or made before; then without any description the final answer follows. Not for the side that has
/// the provisional answer of its peer.
#[tokio::test]
async fn sld_27_provisional_answers_without_a_text() {
    let implied = || SessionDescription { kind: SdpType::Pranswer, sdp: String::new() };
    for is_created in [false, true] {
        let (a, b) = (offerer(), peer());
        a.set_local_description_implicitly().await.unwrap();
        b.set_remote_description(a.local_description().unwrap()).await.unwrap();
        let created = if is_created { Some(b.create_answer().await.unwrap()) } else { None };
        b.set_local_description(implied()).await.unwrap();
        assert_eq!(b.signaling_state(), SignalingState::HaveLocalPranswer);
        let provisional = b.local_description().unwrap();
        assert_eq!(provisional.kind, SdpType::Pranswer);
        if let Some(created) = created {
            assert_eq!(line(&provisional, "o="), line(&created, "o="));
        }

        a.set_remote_description(provisional).await.unwrap();
        let set = a.set_local_description_implicitly().await;
        assert_eq!(refused(set), Some(ErrorName::InvalidStateError));
        assert_eq!(a.signaling_state(), SignalingState::HaveRemotePranswer);

        b.set_local_description_implicitly().await.unwrap();
        assert_eq!((b.signaling_state(), types(&b)), (SignalingState::Stable, [ANSWER, None, OFFER, None]));
        a.set_remote_description(b.local_description().unwrap()).await.unwrap();
        assert_eq!(a.signaling_state(), SignalingState::Stable);
        end([a, b]).await;
    }
}

/// The offer goes on from a finished exchange and brings its candidates along.
#[tokio::test]
async fn srd_13_candidates_inside_a_second_offer() {
    let (a, b) = (peer(), offerer());
    let channel = a.create_data_channel("", DataChannelInit::default()).unwrap();
    negotiate(&a, &b).await;
    let gathered = async || {
        while !b.local_description().unwrap().sdp.contains("a=end-of-candidates") {
            tokio::task::yield_now().await;
        }
    };
    soon("the candidates", gathered()).await;
    b.set_local_description(b.create_offer().await.unwrap()).await.unwrap();
    let offer = b.local_description().unwrap();
    assert!(line(&offer, "a=candidate:").is_some(), "{}", offer.sdp);
    a.set_remote_description(offer).await.unwrap();
    a.set_local_description_implicitly().await.unwrap();
    b.set_remote_description(a.local_description().unwrap()).await.unwrap();
    soon("it to open", channel.opened()).await.unwrap();
    end([a, b]).await;
}

#[tokio::test]
async fn srd_14_sections_that_clash() {
    let connection = peer();
    let mut clash = offer().await;
    let section = clash.sdp.split_off(clash.sdp.find("m=").unwrap());
    clash.sdp = [clash.sdp, section.clone(), section].concat();
    let set = connection.set_remote_description(clash).await;
    assert_eq!(refused(set), Some(ErrorName::OperationError));
    assert_eq!((connection.signaling_state(), types(&connection)), (SignalingState::Stable, [None; 4]));
    end([connection]).await;
}

/// Each of the four as it is set: `None` while the call is under way.
#[tokio::test]
async fn srd_20_descriptions_appear_when_they_are_set() {
    let (a, b) = (offerer(), peer());
    let _states = [&a, &b].map(States::of);
    async fn applied(
        set: impl Future<Output = Result<(), straits::Error>>,
        of: impl Fn() -> Option<SessionDescription>,
    ) -> SessionDescription {
        let mut set = Box::pin(set);
        assert!(set.as_mut().now_or_never().is_none(), "the handler has not run");
        assert_eq!(of(), None);
        soon("the call", set).await.unwrap();
        of().expect("it is set")
    }
    let offer = a.create_offer().await.unwrap();
    let shown = applied(a.set_local_description(offer.clone()), || a.pending_local_description()).await;
    assert_eq!(Some(shown), a.local_description());
    let shown = applied(b.set_remote_description(offer.clone()), || b.pending_remote_description()).await;
    assert_eq!(b.remote_description().as_ref(), Some(&shown));
    assert_eq!(shown, offer);
    let answer = b.create_answer().await.unwrap();
    let shown = applied(b.set_local_description(answer.clone()), || b.current_local_description()).await;
    assert_eq!(Some(shown), b.local_description());
    let shown = applied(a.set_remote_description(answer.clone()), || a.current_remote_description()).await;
    assert_eq!(a.remote_description().as_ref(), Some(&shown));
    assert_eq!(shown, answer);
    end([a, b]).await;
}
