//! The signalling state table and the descriptions in each state (W3C webrtc-pc §4.4.1.5, §4.4.1.6).

use super::*;

const EVENTS: [(&str, SdpType); 8] = [
    ("local", SdpType::Offer),
    ("local", SdpType::ProvisionalAnswer),
    ("local", SdpType::Answer),
    ("local", SdpType::Rollback),
    ("remote", SdpType::Offer),
    ("remote", SdpType::ProvisionalAnswer),
    ("remote", SdpType::Answer),
    ("remote", SdpType::Rollback),
];

/// A side in that state, after one finished exchange, and what its peer would send next.
fn in_state(state: SignalingState) -> (Side, Side) {
    let (mut a, mut b) = (Side::new('a'), Side::new('b'));
    exchange(&mut a, &mut b);
    let has_local_offer =
        matches!(state, SignalingState::HaveLocalOffer | SignalingState::HaveRemoteProvisionalAnswer);
    if has_local_offer {
        a.set_local(SdpType::Offer, "").unwrap();
        b.set_remote(SdpType::Offer, &a.offer().sdp).unwrap();
    }
    match state {
        SignalingState::Stable | SignalingState::HaveLocalOffer => {}
        SignalingState::HaveRemoteProvisionalAnswer => {
            a.set_remote(SdpType::ProvisionalAnswer, &b.answer().sdp).unwrap();
        }
        SignalingState::HaveRemoteOffer | SignalingState::HaveLocalProvisionalAnswer => {
            a.set_remote(SdpType::Offer, &b.offer().sdp).unwrap();
            if state == SignalingState::HaveLocalProvisionalAnswer {
                a.set_local(SdpType::ProvisionalAnswer, "").unwrap();
            }
        }
        SignalingState::Closed => a.negotiation.close(),
    }
    assert_eq!(a.state(), state);
    (a, b)
}

const STATES: [SignalingState; 6] = [
    SignalingState::Stable,
    SignalingState::HaveLocalOffer,
    SignalingState::HaveRemoteOffer,
    SignalingState::HaveLocalProvisionalAnswer,
    SignalingState::HaveRemoteProvisionalAnswer,
    SignalingState::Closed,
];

/// Every event in every state, against the checked-in table.
#[test]
fn state_table() {
    let mut table = String::new();
    for state in STATES {
        for (side, kind) in EVENTS {
            let (mut a, mut b) = in_state(state);
            let result = if side == "local" {
                a.set_local(kind, "")
            } else {
                let sdp = match b.state() {
                    SignalingState::HaveRemoteOffer => b.answer().sdp,
                    _ => b.offer().sdp,
                };
                a.set_remote(kind, if kind == SdpType::Offer { OFFER_OF_B } else { &sdp })
            };
            let outcome = match result {
                Ok(change) => {
                    let states = change.states.iter().map(ToString::to_string).collect::<Vec<_>>();
                    if states.is_empty() { "stays".to_owned() } else { states.join(", ") }
                }
                Err(error) => {
                    assert_eq!(a.state(), state, "an error changes nothing");
                    format!("error: {error}")
                }
            };
            table.push_str(&format!("{state} + {side} {kind} -> {outcome}\n"));
        }
    }
    assert_eq!(table, include_str!("data/states.txt"), "\n{table}");
}

/// SRD-02: the state is checked before the syntax.
#[test]
fn state_before_syntax() {
    let mut a = Side::new('a');
    assert_eq!(
        a.set_remote(SdpType::Answer, "garbage"),
        Err(DescriptionError::InvalidState {
            operation: "setRemoteDescription(answer)",
            state: SignalingState::Stable
        })
    );
    assert_eq!(
        a.set_remote(SdpType::Offer, "garbage"),
        Err(DescriptionError::Syntax { line: 1, problem: "no `=` in the line" })
    );
    a.negotiation.close();
    assert_eq!(a.set_remote(SdpType::Offer, "garbage"), Err(DescriptionError::Closed));
    assert_eq!(a.negotiation.create_offer(&local('a')), Err(DescriptionError::Closed));
}

#[test]
fn nothing_is_accepted_after_the_end() {
    for state in STATES {
        let (mut a, mut b) = in_state(state);
        let answer = matches!(b.state(), SignalingState::HaveRemoteOffer).then(|| b.answer().sdp);
        let before = a.text(DescriptionKind::CurrentLocal);
        a.negotiation.close();
        for (side, kind) in EVENTS {
            let result = if side == "local" {
                a.set_local(kind, "")
            } else {
                a.set_remote(kind, answer.as_deref().unwrap_or(OFFER_OF_B))
            };
            assert_eq!(result, Err(DescriptionError::Closed), "{state} {side} {kind}");
        }
        assert_eq!(a.negotiation.create_offer(&a.local), Err(DescriptionError::Closed));
        assert_eq!(a.negotiation.create_answer(&a.local), Err(DescriptionError::Closed));
        assert_eq!(a.text(DescriptionKind::CurrentLocal), before, "descriptions stay readable");
    }
}

#[test]
fn creating_is_checked_too() {
    for state in STATES {
        let (mut a, _) = in_state(state);
        let offer = a.negotiation.create_offer(&a.local).is_ok();
        let answer = a.negotiation.create_answer(&a.local).is_ok();
        let expected = match state {
            SignalingState::Stable | SignalingState::HaveLocalOffer => (true, false),
            SignalingState::HaveRemoteOffer | SignalingState::HaveLocalProvisionalAnswer => (false, true),
            SignalingState::HaveRemoteProvisionalAnswer | SignalingState::Closed => (false, false),
        };
        assert_eq!((offer, answer), expected, "{state}");
    }
}

/// NEG-02, SLD-08, SLD-15: pending and current descriptions, and their types.
#[test]
fn pending_and_current() {
    use DescriptionKind::{CurrentLocal, CurrentRemote, PendingLocal, PendingRemote};
    let (mut a, mut b) = (Side::new('a'), Side::new('b'));
    let kinds = |side: &Side| {
        [PendingLocal, CurrentLocal, PendingRemote, CurrentRemote]
            .map(|kind| side.text(kind).map(|(kind, _)| kind.to_string()).unwrap_or_default())
    };
    assert_eq!(kinds(&a), ["", "", "", ""]);
    a.set_local(SdpType::Offer, "").unwrap();
    assert_eq!(kinds(&a), ["offer", "", "", ""]);
    let offer = a.text(PendingLocal).unwrap().1;
    b.set_remote(SdpType::Offer, &offer).unwrap();
    assert_eq!(kinds(&b), ["", "", "offer", ""]);
    assert_eq!(b.text(PendingRemote).unwrap().1, offer);
    b.set_local(SdpType::ProvisionalAnswer, "").unwrap();
    assert_eq!(kinds(&b), ["pranswer", "", "offer", ""]);
    let provisional = b.text(PendingLocal).unwrap().1;
    assert_eq!(a.set_remote(SdpType::ProvisionalAnswer, &provisional).unwrap().states.len(), 1);
    assert_eq!(a.set_remote(SdpType::ProvisionalAnswer, &provisional).unwrap().states.len(), 0);
    assert_eq!(kinds(&a), ["offer", "", "pranswer", ""]);
    b.set_local(SdpType::Answer, "").unwrap();
    assert_eq!(kinds(&b), ["", "answer", "", "offer"]);
    assert_eq!(b.text(CurrentLocal).unwrap().1, provisional, "same text, other type");
    a.set_remote(SdpType::Answer, &provisional).unwrap();
    assert_eq!(kinds(&a), ["", "offer", "", "answer"]);
    // SRD-07: the next exchange leaves the current ones alone until it is finished.
    let second = b.offer().sdp;
    b.set_local(SdpType::Offer, &second).unwrap();
    a.set_remote(SdpType::Offer, &second).unwrap();
    assert_eq!(kinds(&a), ["", "offer", "offer", "answer"]);
    assert_eq!((a.text(PendingRemote).unwrap().1, a.text(CurrentRemote).unwrap().1), (second, provisional));
}

/// A provisional answer already agrees on everything; the final one confirms it.
#[test]
fn provisional_answers_agree() {
    let (mut a, mut b) = (Side::new('a'), Side::new('b'));
    a.set_local(SdpType::Offer, "").unwrap();
    b.set_remote(SdpType::Offer, &a.offer().sdp).unwrap();
    let provisional = b.set_local(SdpType::ProvisionalAnswer, "").unwrap();
    let last = b.set_local(SdpType::Answer, "").unwrap();
    assert!(provisional.agreement.is_some());
    assert_eq!(provisional.agreement, last.agreement);
    let text = b.text(DescriptionKind::CurrentLocal).unwrap().1;
    let provisional = a.set_remote(SdpType::ProvisionalAnswer, &text).unwrap();
    assert!(a.negotiation.remote().is_some());
    let last = a.set_remote(SdpType::Answer, &text).unwrap();
    assert_eq!(provisional.agreement, last.agreement);
    assert!(!last.remote_restart);
}

/// SLD-02, SLD-03, SLD-05, SLD-10: only the text created last may be set.
#[test]
fn local_descriptions_must_be_ours() {
    let (mut a, mut b) = (Side::new('a'), Side::new('b'));
    let foreign = b.offer().sdp;
    assert_eq!(a.set_local(SdpType::Offer, &foreign), Err(DescriptionError::Modified));
    let old = a.offer().sdp;
    a.renew('c');
    let new = a.offer().sdp;
    assert_eq!(a.set_local(SdpType::Offer, &old), Err(DescriptionError::Modified));
    a.set_remote(SdpType::Offer, &foreign).unwrap();
    let answer = a.answer().sdp;
    assert_eq!(a.set_local(SdpType::Answer, &new), Err(DescriptionError::Modified));
    a.set_remote(SdpType::Rollback, "").unwrap();
    a.set_local(SdpType::Offer, &new).unwrap();
    a.set_local(SdpType::Rollback, "garbage").unwrap();
    // An answer belongs to its offer.
    b.renew('d');
    a.set_remote(SdpType::Offer, &b.offer().sdp).unwrap();
    assert_eq!(a.set_local(SdpType::Answer, &answer), Err(DescriptionError::Modified));
    a.set_local(SdpType::Answer, "").unwrap();
    // A finished exchange makes every earlier offer stale.
    assert_eq!(a.set_local(SdpType::Offer, &new), Err(DescriptionError::Modified));
}

/// SRD-10, SRD-16: glare. Our offer is undone, theirs answered, and ours made again.
#[test]
fn remote_offer_undoes_ours() {
    let (mut a, mut b) = (Side::new('a'), Side::new('b'));
    a.set_local(SdpType::Offer, "").unwrap();
    b.set_local(SdpType::Offer, "").unwrap();
    assert!(a.negotiation.implies_rollback(SdpType::Offer));
    assert!(!a.negotiation.implies_rollback(SdpType::Answer));
    let change = a.set_remote(SdpType::Offer, &b.offer().sdp).unwrap();
    assert_eq!(change.states, [SignalingState::Stable, SignalingState::HaveRemoteOffer]);
    assert!(change.rolled_back);
    assert_eq!(a.text(DescriptionKind::PendingLocal), None);
    a.set_local(SdpType::Answer, "").unwrap();
    let answer = a.text(DescriptionKind::CurrentLocal).unwrap().1;
    let ours = b.set_remote(SdpType::Answer, &answer).unwrap().agreement.unwrap();
    assert_eq!(ours.ice_role, ice::Role::Controlling);
    exchange(&mut a, &mut b);
}

/// SRD-12 asks for the rollback to stay when the offer is bad; done in two steps that is what happens.
#[test]
fn refused_offer_in_glare() {
    let mut a = Side::new('a');
    a.set_local(SdpType::Offer, "").unwrap();
    assert!(a.set_remote(SdpType::Offer, "garbage").is_err());
    assert_eq!(a.state(), SignalingState::HaveLocalOffer);
    a.set_local(SdpType::Rollback, "").unwrap();
    assert!(a.set_remote(SdpType::Offer, "garbage").is_err());
    assert_eq!(a.state(), SignalingState::Stable);
}

/// SRD-17: taking back the first offer takes away the transports.
#[test]
fn rollback_of_the_first_offer() {
    let (mut a, mut b) = (Side::new('a'), Side::new('b'));
    a.set_local(SdpType::Offer, "").unwrap();
    assert!(a.negotiation.has_transport());
    let change = a.set_local(SdpType::Rollback, "").unwrap();
    assert_eq!(
        change,
        Change { states: vec![SignalingState::Stable], rolled_back: true, ..Change::default() }
    );
    assert!(!a.negotiation.has_transport());
    assert_eq!(a.negotiation.local_credentials(), None);
    b.set_remote(SdpType::Offer, &a.offer().sdp).unwrap();
    assert!(b.negotiation.has_transport() && b.negotiation.remote().is_some());
    b.set_remote(SdpType::Rollback, "").unwrap();
    assert!(!b.negotiation.has_transport() && b.negotiation.remote().is_none());
}

/// SLD-21, SLD-22, SLD-27: the type of a parameterless setLocalDescription.
#[test]
fn implied_types() {
    let implied: Vec<SdpType> =
        STATES.iter().map(|state| in_state(*state).0.negotiation.implied_kind()).collect();
    assert_eq!(
        implied[..5],
        [SdpType::Offer, SdpType::Offer, SdpType::Answer, SdpType::Answer, SdpType::Offer]
    );
}

/// NN-03: nothing is needed while an exchange runs, or after the end.
#[test]
fn negotiation_is_needed_only_when_stable() {
    let (mut a, mut b) = (Side::new('a'), Side::new('b'));
    assert!(a.negotiation.negotiation_needed(true));
    a.set_local(SdpType::Offer, "").unwrap();
    assert!(!a.negotiation.negotiation_needed(true));
    a.set_local(SdpType::Rollback, "").unwrap();
    assert!(a.negotiation.negotiation_needed(true));
    exchange(&mut a, &mut b);
    assert!(!a.negotiation.negotiation_needed(true), "NN-05");
    let mut c = Side::new('c');
    c.negotiation.close();
    assert!(!c.negotiation.negotiation_needed(true));
}

/// What `b` offers in every row of the table: its own second offer.
const OFFER_OF_B: &str = include_str!("data/second.offer.sdp");
