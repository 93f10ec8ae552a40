//! Broken set-ups, each with what the peer tells of it.

#[path = "support/stack.rs"]
mod stack;

use bytes::Bytes;
use stack::*;
use std::time::Duration;
use straits_peer::dtls::Role;
use straits_peer::ice::{self, CandidatePairState};
use straits_peer::{
    CloseReason, DescriptionKind, Event, Finding, IceCandidate, Peer, SdpType, SessionDescription, Stage,
    dtls, sctp,
};
use straits_sim::{Simulation as _, Verdict, seed};

const SECOND: Duration = Duration::from_secs(1);

/// Two strangers, of whom `a` has opened a channel.
fn beginners() -> Net {
    let mut net = strangers(seed());
    let now = net.now();
    net.a.peer.open_channel(now, labelled("data")).unwrap();
    net
}

/// Asserts what `peer` finds, at which stage, and that its report names the words; gives the report.
fn expect(peer: &Peer, stage: Stage, finding: &Finding, words: &[&str]) -> String {
    let explanation = peer.explain();
    let report = explanation.to_string();
    assert_eq!((explanation.stage(), &explanation.finding), (stage, finding), "{report}");
    for word in words {
        assert!(report.contains(word), "{word:?} is not in {report:?}");
    }
    report
}

/// Takes lines out of a description.
fn without(mut description: SessionDescription, prefix: &str) -> SessionDescription {
    let kept = description.sdp.lines().filter(|line| !line.starts_with(prefix));
    description.sdp = kept.map(|line| format!("{line}\r\n")).collect();
    description
}

/// Puts something else in the place of a part of a description.
fn replaced(mut description: SessionDescription, from: &str, to: &str) -> SessionDescription {
    assert!(description.sdp.contains(from), "{from:?} is not in {:?}", description.sdp);
    description.sdp = description.sdp.replace(from, to);
    description
}

/// Nothing gets through in either direction but datagrams whose first byte is among these (RFC 7983 §7).
fn let_through(net: &mut Net, first: std::ops::RangeInclusive<u8>) {
    for link in [&mut net.a_to_b, &mut net.b_to_a] {
        let first = first.clone();
        link.set_filter(move |_, datagram| match datagram.payload.first() {
            Some(byte) if first.contains(byte) => Verdict::Pass,
            _ => Verdict::Drop,
        });
    }
}

#[test]
fn signaling_that_was_not_done() {
    let mut net = strangers(seed());
    let now = net.now();
    expect(&net.a.peer, Stage::Signaling, &Finding::Idle, &["open a data channel"]);
    net.a.peer.open_channel(now, labelled("data")).unwrap();
    expect(&net.a.peer, Stage::Signaling, &Finding::OfferNeeded, &["make an offer"]);

    net.a.peer.set_local_description(now, &implied(SdpType::Offer)).unwrap();
    net.a.pump(now);
    expect(&net.a.peer, Stage::Signaling, &Finding::AnswerAwaited, &["send the offer to the peer"]);

    let offer = net.a.peer.description(DescriptionKind::PendingLocal).unwrap();
    net.b.peer.set_remote_description(now, &offer).unwrap();
    expect(&net.b.peer, Stage::Signaling, &Finding::AnswerNeeded, &["make an answer"]);
}

#[test]
fn descriptions_without_data() {
    let mut net = strangers(seed());
    let now = net.now();
    net.a.peer.set_local_description(now, &implied(SdpType::Offer)).unwrap();
    let offer = net.a.peer.description(DescriptionKind::PendingLocal).unwrap();
    net.b.peer.set_remote_description(now, &offer).unwrap();
    net.b.peer.set_local_description(now, &implied(SdpType::Answer)).unwrap();
    let answer = net.b.peer.description(DescriptionKind::CurrentLocal).unwrap();
    net.a.peer.set_remote_description(now, &answer).unwrap();
    expect(&net.a.peer, Stage::Signaling, &Finding::NoDataSection, &["open a data channel before the offer"]);

    let mut net = beginners();
    negotiate_with(&mut net, |description| match description.kind {
        SdpType::Answer => replaced(description, "m=application 5000 ", "m=application 0 "),
        _ => description,
    });
    let finding = Finding::Ended(CloseReason::DataRejected);
    expect(&net.a.peer, Stage::Signaling, &finding, &["failed", "rejected data channels", "port 0"]);
}

#[test]
fn an_end_without_addresses() {
    for relay_only in [false, true] {
        let mut net = beginners();
        let now = net.now();
        net.b.peer.set_relay_only(relay_only);
        net.a.peer.set_local_description(now, &implied(SdpType::Offer)).unwrap();
        net.a.pump(now);
        let offer = net.a.peer.description(DescriptionKind::PendingLocal).unwrap();
        net.b.peer.set_remote_description(now, &offer).unwrap();
        net.b.peer.set_local_description(now, &implied(SdpType::Answer)).unwrap();
        expect(&net.b.peer, Stage::Ice, &Finding::Gathering, &["wait"]);
        if relay_only {
            net.b.peer.add_local_candidate(now, net.b.address);
        }
        net.b.peer.set_gathering_complete(now);
        let word = if relay_only { "iceTransportPolicy" } else { "network interface" };
        expect(
            &net.b.peer,
            Stage::Ice,
            &Finding::NoLocalCandidate { relay_only },
            &[word, "local candidates: none"],
        );
    }
}

/// Names of mDNS and TCP are not used; with nothing else in the answer there is nothing to check.
#[test]
fn a_peer_without_usable_candidates() {
    let mut net = beginners();
    negotiate_with(&mut net, |description| match description.kind {
        SdpType::Answer => without(without(description, "a=candidate"), "a=end-of-candidates"),
        _ => description,
    });
    let now = net.now();
    expect(
        &net.a.peer,
        Stage::Ice,
        &Finding::NoRemoteCandidate,
        &["add_ice_candidate", "remote candidates: none"],
    );
    let name = "candidate:1 1 udp 2122194687 2d2ee1a5-a6ba-4a05-8a0b-0e7d0a1e9c5e.local 5000 typ host";
    let candidate =
        IceCandidate { candidate: name.to_owned(), sdp_mid: Some("0".to_owned()), ..IceCandidate::default() };
    net.a.peer.add_remote_candidate(now, Some(candidate)).unwrap();
    expect(&net.a.peer, Stage::Ice, &Finding::NoRemoteCandidate, &["1 not usable", ".local"]);
}

#[test]
fn candidates_that_do_not_go_together() {
    let mut net = beginners();
    negotiate_with(&mut net, |description| match description.kind {
        SdpType::Answer => replaced(description, " 192.0.2.2 ", " 2001:db8::2 "),
        _ => description,
    });
    expect(&net.a.peer, Stage::Ice, &Finding::NoCandidatePair, &["same family", "[2001:db8::2]:5000"]);
}

/// A firewall: first while it is hoped for, then when it is over. The pair table stays.
#[test]
fn checks_without_answer() {
    let mut net = beginners();
    net.set_blackout(true);
    negotiate(&mut net);
    net.run_for(SECOND);
    let Finding::ChecksUnanswered { sent: 1.. } = net.a.peer.explain().finding else {
        panic!("{}", net.a.peer.explain());
    };
    expect(&net.b.peer, Stage::Ice, &Finding::ChecksAwaited, &["not open", "announce the public address"]);

    net.run_for(60 * SECOND);
    let explanation = net.a.peer.explain();
    let Finding::ChecksUnanswered { sent: 1.. } = explanation.finding else { panic!("{explanation}") };
    assert_eq!(explanation.close_reason, Some(CloseReason::Ice(ice::FailureReason::NoAnswer)));
    let states: Vec<_> = explanation.pairs.iter().map(|pair| pair.state).collect();
    assert_eq!(states, [CandidatePairState::Failed]);
    let report = explanation.to_string();
    assert!(report.contains("pair 192.0.2.1:4000 to 192.0.2.2:5000: failed, "), "{report}");
    assert!(report.contains("failed, ICE: no answer to "), "{report}");
    expect(&net.b.peer, Stage::Ice, &Finding::ChecksAwaited, &["failed, ICE: no connectivity check"]);
}

/// The answer of another connection: its checks cannot be authenticated.
#[test]
fn descriptions_that_do_not_belong_together() {
    let mut net = beginners();
    negotiate_with(&mut net, |description| match description.kind {
        SdpType::Offer => description,
        _ => {
            let line =
                description.sdp.lines().find(|line| line.starts_with("a=ice-pwd:")).unwrap().to_owned();
            replaced(description, &line, "a=ice-pwd:anotherpasswordofanotherpeer")
        }
    });
    net.run_for(SECOND);
    let Finding::CredentialsDiffer { dropped: 1.. } = net.b.peer.explain().finding else {
        panic!("{}", net.b.peer.explain());
    };
    assert!(net.b.peer.explain().advice().contains("belong to each other"));
}

#[test]
fn silence_of_a_peer_that_was_there() {
    let (mut net, _, _) = connected(seed());
    expect(&net.a.peer, Stage::Open, &Finding::Open, &["open: the connection works"]);
    net.set_blackout(true);
    net.run_for(5 * SECOND);
    expect(&net.a.peer, Stage::Ice, &Finding::PeerSilent, &["not open", "it may come back"]);
    net.run_for(15 * SECOND);
    expect(&net.a.peer, Stage::Ice, &Finding::PeerGone, &["failed", "restart ICE"]);
}

#[test]
fn a_handshake_without_answer() {
    let mut net = beginners();
    let_through(&mut net, 0..=3);
    negotiate(&mut net);
    net.run_for(SECOND);
    let server = Finding::HandshakeUnanswered { role: Role::Server };
    expect(&net.a.peer, Stage::Dtls, &server, &["the peer is the DTLS client"]);
    let client = Finding::HandshakeUnanswered { role: Role::Client };
    expect(&net.b.peer, Stage::Dtls, &client, &["has the peer set our description"]);

    net.run_for(60 * SECOND);
    let timeout = dtls::CloseReason::HandshakeTimeout { suspected_alert: None };
    let finding = Finding::Ended(CloseReason::Dtls(timeout));
    expect(&net.b.peer, Stage::Dtls, &finding, &["the handshake timed out", "1280 bytes"]);
}

#[test]
fn a_certificate_that_was_not_announced() {
    let mut net = beginners();
    negotiate_with(&mut net, |description| match description.kind {
        SdpType::Offer => with_wrong_fingerprint(description),
        _ => description,
    });
    // The alert comes unprotected: it is believed when nothing else follows.
    net.run_for(10 * SECOND);
    let mismatch = Finding::Ended(CloseReason::Dtls(dtls::CloseReason::FingerprintMismatch));
    expect(&net.b.peer, Stage::Dtls, &mismatch, &["not the one its description announced", "ICE restart"]);
    let told = dtls::CloseReason::HandshakeTimeout { suspected_alert: Some(42) };
    let told = Finding::Ended(CloseReason::Dtls(told));
    expect(&net.a.peer, Stage::Dtls, &told, &["(bad_certificate)", "does not accept our certificate"]);
}

/// RFC 8841 §5.1: the port of the description; nobody is at the other one.
#[test]
fn an_association_without_answer() {
    let mut net = beginners();
    negotiate_with(&mut net, |description| replaced(description, "a=sctp-port:5000", "a=sctp-port:5001"));
    net.run_for(10 * SECOND);
    expect(&net.a.peer, Stage::Sctp, &Finding::AssociationUnanswered, &["not open", "SCTP port"]);
    let now = net.now();
    net.a.peer.close(now);
    let closed = Finding::Ended(CloseReason::Local { undelivered: 0 });
    assert_eq!(expect(&net.a.peer, Stage::Closed, &closed, &[]), "closed: closed by this side");
}

/// What the peer's ABORT says is shown, its cause by name.
#[test]
fn an_association_that_the_peer_aborts() {
    let reason = sctp::CloseReason::RemoteAbort { cause: Some(4), message: Bytes::new() };
    let finding = Finding::Ended(CloseReason::Sctp(reason));
    assert_eq!(finding.stage(), Stage::Sctp);
    assert_eq!(finding.to_string(), "aborted by the peer with cause 4 (Out of Resource)");
    assert!(finding.advice().contains("its log may say more"));

    let (mut net, _, _) = connected(seed());
    let now = net.now();
    net.b.peer.close(now);
    net.run_for(SECOND);
    let explanation = net.a.peer.explain();
    assert_eq!((explanation.stage(), explanation.advice()), (Stage::Closed, ""), "{explanation}");
    assert!(net.a.saw(&Event::Closed(explanation.close_reason.clone().unwrap())), "{explanation}");
    assert!(explanation.to_string().contains("User-Initiated Abort"), "{explanation}");
}

/// Later stages are greater: what a program compares.
#[test]
fn stages_are_in_order() {
    let mut stages = [Stage::Closed, Stage::Open, Stage::Sctp, Stage::Dtls, Stage::Ice, Stage::Signaling];
    stages.sort();
    let names = stages.map(|stage| stage.to_string());
    assert_eq!(names, ["signaling", "ICE", "DTLS", "SCTP", "open", "closed"]);
}
