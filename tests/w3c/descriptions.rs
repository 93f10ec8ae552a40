//! Offers, answers, and the states they lead through.

use super::support::{end, negotiate, offerer, peer, soon, trickle};
use std::sync::{Arc, Mutex};
use straits::{
    DataChannelInit, DataChannelState, ErrorDetail, ErrorName, PeerConnection, SdpType, SessionDescription,
    SignalingState,
};

async fn offer() -> SessionDescription {
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

#[tokio::test]
async fn sdp_01_02_03_what_an_offer_says() {
    let (a, b) = (offerer(), peer());
    let offer = a.create_offer().await.unwrap();
    b.set_remote_description(offer.clone()).await.unwrap();
    let answer = b.create_answer().await.unwrap();
    for sdp in [&offer.sdp, &answer.sdp] {
        let lines: Vec<&str> = sdp.split("\r\n").collect();
        assert_eq!((lines[0], lines.last()), ("v=0", Some(&"")));
        let origin: Vec<&str> = lines[1].split(' ').collect();
        assert_eq!((origin[0], &origin[3..5]), ("o=-", &["IN", "IP4"][..]));
        assert!(["0.0.0.0", "127.0.0.1"].contains(&origin[5]), "{origin:?}");
        assert!(origin[1].parse::<u64>().is_ok() && origin[2].parse::<u64>().unwrap() < 1 << 62);
        assert!(lines[2].starts_with("s="));
        let sections: Vec<_> = lines.iter().filter(|line| line.starts_with("m=")).collect();
        let fields: Vec<&str> = sections[0].split(' ').collect();
        assert_eq!((sections.len(), fields[0]), (1, "m=application"));
        assert_eq!(fields[2..], ["UDP/DTLS/SCTP", "webrtc-datachannel"]);
        for attribute in ["a=sctp-port:", "a=mid:", "a=max-message-size:", "a=ice-options:"] {
            assert!(lines.iter().any(|line| line.starts_with(attribute)), "{attribute} {sdp}");
        }
        let options = lines.iter().find_map(|line| line.strip_prefix("a=ice-options:")).unwrap();
        assert!(options.split(' ').any(|option| option == "trickle"), "{options}");
    }
    end([a, b]).await;
}

#[tokio::test]
async fn sdp_05_07_bare_and_with_other_line_ends() {
    let (a, b) = (offerer(), peer());
    let mut offer = a.create_offer().await.unwrap();
    a.set_local_description(offer.clone()).await.unwrap();
    let kept = offer.sdp.lines().filter(|line| !line.starts_with("a=mid:") && !line.starts_with("a=group:"));
    offer.sdp = kept.map(|line| format!("{line}\n")).collect();
    b.set_remote_description(offer).await.unwrap();
    let answer = b.create_answer().await.unwrap();
    assert!(answer.sdp.contains("m=application"), "{}", answer.sdp);
    end([a, b]).await;
}

#[tokio::test]
async fn sdp_08_09_media_is_rejected_in_its_place() {
    let connection = peer();
    let offer = offer().await.sdp;
    let (session, data) = offer.split_at(offer.find("m=application").unwrap());
    let media = |kind: &str, mid: &str| {
        format!(
            "m={kind} 9 UDP/TLS/RTP/SAVPF 96\r\nc=IN IP4 0.0.0.0\r\na=mid:{mid}\r\na=rtpmap:96 x/90000\r\n\
             a=ice-ufrag:abcd\r\na=ice-pwd:abcdefghijklmnopqrstuv\r\na=setup:actpass\r\na=fingerprint:sha-256 {}\r\n",
            ["AA"; 32].join(":")
        )
    };
    let mid = data.lines().find_map(|line| line.strip_prefix("a=mid:")).unwrap();
    let session = session.replace(&format!("BUNDLE {mid}"), &format!("BUNDLE a {mid} v w"));
    let sections = [&media("audio", "a"), data, &media("video", "v"), &media("whatever", "w")].concat();
    connection.set_remote_description(SessionDescription::offer(session + &sections)).await.unwrap();
    let answer = connection.create_answer().await.unwrap();
    let sections: Vec<_> = answer.sdp.lines().filter(|line| line.starts_with("m=")).collect();
    let starts = ["m=audio 0 ", "m=application 9 ", "m=video 0 ", "m=whatever 0 "];
    assert!(sections.iter().zip(starts).all(|(line, start)| line.starts_with(start)), "{sections:?}");
    assert_eq!(sections.len(), 4);
    let bundle = answer.sdp.lines().find_map(|line| line.strip_prefix("a=group:BUNDLE "));
    assert_eq!(bundle, Some(mid));
    end([connection]).await;
}
