//! ICE restarts and what may change in a running session (RFC 8839 §4.4.1.1.1, RFC 8842 §3.1, §5.5).

use super::*;

/// RST-05: the next exchange has new credentials on both sides.
#[test]
fn restart_through_an_exchange() {
    let (mut a, mut b) = (Side::new('a'), Side::new('b'));
    a.negotiation.request_restart();
    assert!(!a.negotiation.restart_wanted(), "RST-02: nothing to replace yet");
    exchange(&mut a, &mut b);
    a.negotiation.request_restart();
    assert!(a.negotiation.restart_wanted() && a.negotiation.negotiation_needed(true), "RST-04");
    a.renew('c');
    let change = a.set_local(SdpType::Offer, "").unwrap();
    assert!(change.local_restart);
    assert!(!a.set_local(SdpType::Offer, "").unwrap().local_restart, "it is in force by now");
    let change = b.set_remote(SdpType::Offer, &a.offer().sdp).unwrap();
    assert!(change.remote_restart);
    assert!(!b.set_remote(SdpType::Offer, &a.offer().sdp).unwrap().remote_restart, "this one too");
    b.renew('d');
    let change = b.set_local(SdpType::Answer, "").unwrap();
    assert!(change.local_restart);
    let agreement = change.agreement.unwrap();
    assert_eq!((agreement.dtls_role, agreement.new_association), (dtls::Role::Client, false), "RST-06");
    let answer = b.text(DescriptionKind::CurrentLocal).unwrap().1;
    let change = a.set_remote(SdpType::Answer, &answer).unwrap();
    assert!(change.remote_restart);
    assert_eq!(a.negotiation.remote().unwrap().credentials, credentials('d'));
    assert!(!a.negotiation.restart_wanted() && !a.negotiation.negotiation_needed(true));
    let (ours, theirs) = exchange(&mut a, &mut b);
    assert!(!ours.remote_restart && !theirs.local_restart, "the one after that keeps them");
}

/// RST-07, RST-09: the wish survives an exchange without a restart and a rollback; a restart by the peer satisfies
/// it.
#[test]
fn wish_for_a_restart_lasts() {
    let (mut a, mut b) = (Side::new('a'), Side::new('b'));
    a.set_local(SdpType::Offer, "").unwrap();
    a.negotiation.request_restart();
    b.set_remote(SdpType::Offer, &a.offer().sdp).unwrap();
    b.negotiation.request_restart();
    assert!(!b.negotiation.restart_wanted(), "RST-08: in the first have-remote-offer, nothing");
    b.set_local(SdpType::Answer, "").unwrap();
    a.set_remote(SdpType::Answer, &b.text(DescriptionKind::CurrentLocal).unwrap().1).unwrap();
    assert!(a.negotiation.restart_wanted(), "RST-08: in the first have-local-offer, after it");
    exchange(&mut b, &mut a);
    assert!(a.negotiation.restart_wanted());
    a.set_local(SdpType::Offer, "").unwrap();
    a.set_local(SdpType::Rollback, "").unwrap();
    assert!(a.negotiation.restart_wanted());
    b.renew('d');
    b.set_local(SdpType::Offer, "").unwrap();
    a.set_remote(SdpType::Offer, &b.offer().sdp).unwrap();
    a.renew('c');
    a.set_local(SdpType::Answer, "").unwrap();
    assert!(!a.negotiation.restart_wanted());
}

/// W3C webrtc-pc §4.2.6: `iceRestart` of one offer replaces the current credentials, and is remembered with that offer.
#[test]
fn offer_that_restarts() {
    let (mut a, mut b) = (Side::new('a'), Side::new('b'));
    let restart = OfferOptions::default().ice_restart(true);
    a.offer();
    assert!(!a.negotiation.renews_credentials(SdpType::Offer, restart), "nothing is in force");
    a.set_local(SdpType::Offer, "").unwrap();
    assert!(!a.negotiation.renews_credentials(SdpType::Offer, restart), "nothing is current");
    b.set_remote(SdpType::Offer, &a.offer().sdp).unwrap();
    b.set_local(SdpType::Answer, "").unwrap();
    a.set_remote(SdpType::Answer, &b.text(DescriptionKind::CurrentLocal).unwrap().1).unwrap();
    assert!(a.negotiation.renews_credentials(SdpType::Offer, restart));
    assert!(!a.negotiation.renews_credentials(SdpType::Offer, OfferOptions::default()));
    a.offer();
    assert_eq!(a.negotiation.last_offer_options(), OfferOptions::default());
    a.renew('c');
    a.offer();
    assert_eq!(a.negotiation.last_offer_options(), restart);
    assert!(a.set_local(SdpType::Offer, "").unwrap().local_restart);
    assert!(!a.negotiation.renews_credentials(SdpType::Offer, restart), "a pending restart is one");
    assert!(!a.negotiation.negotiation_needed(true) && !a.negotiation.restart_wanted());
}

/// A rolled-back restart: what is in force is again what it was.
#[test]
fn rollback_of_a_restart() {
    let (mut a, mut b) = (Side::new('a'), Side::new('b'));
    exchange(&mut a, &mut b);
    a.renew('c');
    a.set_local(SdpType::Offer, "").unwrap();
    assert_eq!(a.negotiation.local_credentials(), Some(&credentials('c')));
    assert!(a.set_local(SdpType::Rollback, "").unwrap().rolled_back);
    assert_eq!(a.negotiation.local_credentials(), Some(&credentials('a')));
    assert!(a.negotiation.has_transport());
}

fn refused(result: Result<Change, DescriptionError>) -> (usize, &'static str) {
    match result {
        Err(DescriptionError::Unacceptable { line, problem }) => (line, problem),
        other => panic!("{other:?}"),
    }
}

/// RFC 8842 §6: another association needs new ICE credentials; and then it needs our consent (RST-12).
#[test]
fn new_association() {
    let (mut a, mut b) = (Side::new('a'), Side::new('b'));
    exchange(&mut a, &mut b);
    let mut other = Side::new('b');
    other.local.fingerprints = vec![fingerprint(1)];
    let same_ice = other.offer().sdp;
    assert_eq!(
        refused(a.set_remote(SdpType::Offer, &same_ice)),
        (12, "a new DTLS association needs an ICE restart")
    );
    other.renew('d');
    let new_ice = other.offer().sdp;
    assert_eq!(
        refused(a.set_remote(SdpType::Offer, &new_ice)),
        (12, "the DTLS association of this connection cannot be replaced")
    );
    assert_eq!(a.state(), SignalingState::Stable);
    a.negotiation.accept_new_associations(true);
    assert_eq!(
        refused(a.set_remote(SdpType::Offer, &same_ice)),
        (12, "a new DTLS association needs an ICE restart")
    );
    assert!(a.set_remote(SdpType::Offer, &new_ice).unwrap().remote_restart);
    a.renew('c');
    let agreement = a.set_local(SdpType::Answer, "").unwrap().agreement.unwrap();
    assert_eq!(
        agreement,
        Agreement { dtls_role: dtls::Role::Client, ice_role: ice::Role::Controlled, new_association: true }
    );
    // Confirmed once: the exchange after that is an ordinary one.
    let (ours, _) = {
        a.set_local(SdpType::Offer, "").unwrap();
        let answer = replace_line(&new_ice, "a=setup", "a=setup:passive");
        (a.set_remote(SdpType::Answer, &answer).unwrap(), ())
    };
    assert!(!ours.agreement.unwrap().new_association);
}

/// A different answerer behind the same signalling: the roles of a running association cannot change by themselves.
#[test]
fn changes_in_a_running_session() {
    let (mut a, mut b) = (Side::new('a'), Side::new('b'));
    exchange(&mut a, &mut b);
    let offer = b.offer().sdp;
    let tls_id = offer.replace("a=mid:0", "a=mid:0\r\na=tls-id:aaaaaaaaaaaaaaaaaaaa");
    for (text, expected) in [
        (
            offer.replace("a=setup:actpass", "a=setup:passive"),
            (13, "a new DTLS association needs an ICE restart"),
        ),
        (offer.replace("a=mid:0", "a=mid:1"), (8, "the mid of the data section cannot change")),
        (offer.replace("m=application", "m=audio"), (8, "this must be the data section")),
        (
            offer.split("m=").next().unwrap().to_owned(),
            (7, "the offer has fewer sections than were negotiated"),
        ),
    ] {
        assert_eq!(refused(a.set_remote(SdpType::Offer, &text)), expected);
        assert_eq!(a.state(), SignalingState::Stable);
    }
    // The role it has is fine, and so is a tls-id where there was none.
    a.set_remote(SdpType::Offer, &offer.replace("a=setup:actpass", "a=setup:active")).unwrap();
    a.set_remote(SdpType::Offer, &tls_id).unwrap();
    // Another SCTP port is another association, on the same DTLS.
    let change = a.set_remote(SdpType::Offer, &offer.replace("sctp-port:5000", "sctp-port:5001")).unwrap();
    assert_eq!(change.remote.unwrap().sctp_port, 5001);
    a.set_remote(SdpType::Offer, &tls_id).unwrap();
    a.set_local(SdpType::Answer, "").unwrap();
    let other = tls_id.replace("aaaaaaaaaaaaaaaaaaaa", "bbbbbbbbbbbbbbbbbbbb");
    assert_eq!(
        refused(a.set_remote(SdpType::Offer, &other)),
        (12, "a new DTLS association needs an ICE restart")
    );
    // The same for an answer of another session that swaps the roles, or comes from somebody else.
    a.set_local(SdpType::Offer, "").unwrap();
    let answer = offer.replace("a=setup:actpass", "a=setup:passive");
    let answer = replace_line(&answer, "o=", "o=- 1 1 IN IP4 0.0.0.0");
    assert_eq!(
        refused(a.set_remote(SdpType::Answer, &answer)),
        (13, "a new DTLS association needs an ICE restart")
    );
    let mut other = Side::new('e');
    let answer = other.offer().sdp.replace("a=setup:actpass", "a=setup:active");
    assert_eq!(
        refused(a.set_remote(SdpType::Answer, &answer)),
        (12, "the DTLS association of this connection cannot be replaced")
    );
    assert_eq!(a.state(), SignalingState::HaveLocalOffer);
}

/// RFC 8842 §5.3: later answers must keep the roles. Those of Firefox are `active` all the same, while it goes on in the role
/// that it has: a session that says nothing else of a new association keeps the one there is.
#[test]
fn answers_that_forget_the_roles() {
    let (mut a, mut b) = (Side::new('a'), Side::new('b'));
    let (_, ours) = exchange(&mut b, &mut a);
    assert_eq!(ours.agreement.unwrap().dtls_role, dtls::Role::Client);
    for restarts in [false, true, true] {
        if restarts {
            a.renew('c');
            b.renew('d');
        }
        a.negotiation.accept_new_associations(restarts);
        a.set_local(SdpType::Offer, "").unwrap();
        let answer = b.offer().sdp.replace("a=setup:actpass", "a=setup:active");
        let agreement = a.set_remote(SdpType::Answer, &answer).unwrap().agreement.unwrap();
        assert_eq!((agreement.dtls_role, agreement.new_association), (dtls::Role::Client, false));
    }
    // With another session it is somebody else, who has the same certificate.
    a.renew('e');
    b.renew('f');
    a.set_local(SdpType::Offer, "").unwrap();
    let answer = b.offer().sdp.replace("a=setup:actpass", "a=setup:active");
    let answer = replace_line(&answer, "o=", "o=- 1 1 IN IP4 0.0.0.0");
    let agreement = a.set_remote(SdpType::Answer, &answer).unwrap().agreement.unwrap();
    assert_eq!((agreement.dtls_role, agreement.new_association), (dtls::Role::Server, true));
}

/// RFC 8829 §4.1.18: a changed configuration asks for new credentials in the next offer, and for no offer.
#[test]
fn changed_configuration_waits_for_the_next_offer() {
    let (mut a, mut b) = (Side::new('a'), Side::new('b'));
    a.negotiation.require_restart();
    assert!(!a.negotiation.restart_wanted(), "nothing to replace yet");
    exchange(&mut a, &mut b);
    a.negotiation.require_restart();
    assert!(a.negotiation.restart_wanted() && !a.negotiation.negotiation_needed(true));
    a.negotiation.request_restart();
    assert!(a.negotiation.negotiation_needed(true));
    a.negotiation.require_restart();
    assert!(a.negotiation.negotiation_needed(true), "one wish does not undo the other");
    a.renew('c');
    exchange(&mut a, &mut b);
    assert!(!a.negotiation.restart_wanted() && !a.negotiation.negotiation_needed(true));
}
