//! What other implementations really send.

use super::*;

/// Name, offer and answer of one client.
macro_rules! client {
    ($name:literal) => {
        (
            $name,
            include_str!(concat!("data/", $name, ".offer.full.sdp")),
            include_str!(concat!("data/", $name, ".answer.full.sdp")),
        )
    };
}

const CLIENTS: [(&str, &str, &str); 11] = [
    client!("aiortc"),
    client!("chromium"),
    client!("chromium-nomdns"),
    client!("firefox"),
    client!("firefox-nomdns"),
    client!("ndc"),
    client!("pion"),
    client!("str0m"),
    client!("webrtc-rs"),
    client!("werift"),
    client!("wrtc"),
];

/// One line for what a transport says; passwords and fingerprints by their ends.
fn summary(name: &str, remote: &RemoteTransport) -> String {
    let fingerprints: Vec<String> = remote
        .fingerprints
        .iter()
        .map(|fingerprint| {
            let text = fingerprint.to_string();
            format!("{}…{}", &text[..13], &text[text.len() - 5..])
        })
        .collect();
    let candidates: Vec<String> = remote
        .candidates
        .iter()
        .map(|candidate| {
            format!(
                "{} {} {} {}",
                candidate.component, candidate.transport, candidate.address, candidate.port
            )
        })
        .collect();
    format!(
        "{name}: {:?} {}/…{} [{}] {:?} port {} max {:?} mid {:?} trickle {} end {}\n  {}\n",
        remote.mode,
        remote.credentials.ufrag,
        &remote.credentials.password[remote.credentials.password.len() - 4..],
        fingerprints.join(" "),
        remote.setup,
        remote.sctp_port,
        remote.max_message_size,
        remote.mid,
        remote.trickle,
        remote.end_of_candidates,
        candidates.join("\n  "),
    )
}

/// Everything that matters, of every offer and answer, against a checked-in list that was taken from the texts
/// without this parser.
#[test]
fn every_client_is_understood() {
    let mut list = String::new();
    for (name, offer, answer) in CLIENTS {
        let mut b = Side::new('b');
        let change = b.set_remote(SdpType::Offer, offer).unwrap();
        list.push_str(&summary(&format!("{name} offer"), &change.remote.unwrap()));
        let mut a = Side::new('a');
        a.set_local(SdpType::Offer, "").unwrap();
        let change = a.set_remote(SdpType::Answer, answer).unwrap();
        list.push_str(&summary(&format!("{name} answer"), &change.remote.unwrap()));
        let role = change.agreement.unwrap().dtls_role;
        // Only str0m's answers are passive.
        assert_eq!(role == dtls::Role::Client, name == "str0m", "{name}");
    }
    assert_eq!(list, include_str!("data/clients.txt"), "\n{list}");
}

/// Every offer has an answer that a peer of ours would accept, and their answers lead to further exchanges.
#[test]
fn every_client_can_be_answered() {
    for (name, offer, answer) in CLIENTS {
        let mut b = Side::new('b');
        b.set_remote(SdpType::Offer, offer).unwrap();
        let change = b.set_local(SdpType::Answer, "").unwrap();
        assert_eq!(change.agreement.unwrap().dtls_role, dtls::Role::Client, "{name}");
        assert_eq!(b.text(DescriptionKind::CurrentRemote).unwrap().1, offer, "{name}: unchanged");
        let ours = b.text(DescriptionKind::CurrentLocal).unwrap().1;
        let mid = offer.lines().find(|line| line.starts_with("a=mid")).unwrap();
        assert!(ours.contains(&format!("{mid}\r\n")), "{name}");
        // Our answer, read by an offerer of ours with the same mid.
        let mut a = Side::new('a');
        a.set_local(SdpType::Offer, "").unwrap();
        let theirs = ours.replace(mid, "a=mid:0");
        assert!(a.set_remote(SdpType::Answer, &theirs).unwrap().agreement.is_some(), "{name}");

        let mut c = Side::new('c');
        c.set_local(SdpType::Offer, "").unwrap();
        c.set_remote(SdpType::Answer, answer).unwrap();
        assert_eq!(c.state(), SignalingState::Stable);
        c.set_local(SdpType::Offer, "").unwrap();
        c.set_remote(SdpType::Answer, answer).unwrap();
    }
}

/// Without candidates the text is what the browser first hands out.
#[test]
fn offer_before_gathering() {
    let text = include_str!("data/chromium.offer.sdp");
    let remote = Side::new('b').set_remote(SdpType::Offer, text).unwrap().remote.unwrap();
    assert_eq!((remote.candidates, remote.end_of_candidates, remote.trickle), (vec![], false, true));
}

/// Cut anywhere, a description is an error or valid, and then answerable; never a panic.
#[test]
fn every_truncation() {
    for (name, offer, answer) in CLIENTS {
        let mut valid = 0;
        for end in (0..=offer.len()).filter(|end| offer.is_char_boundary(*end)) {
            let mut b = Side::new('b');
            if b.set_remote(SdpType::Offer, &offer[..end]).is_ok() {
                b.set_local(SdpType::Answer, "").unwrap();
                valid += 1;
            } else {
                assert_eq!(b.state(), SignalingState::Stable);
            }
        }
        assert!(valid > 0, "{name}");
        for end in (0..=answer.len()).filter(|end| answer.is_char_boundary(*end)) {
            let mut a = Side::new('a');
            a.set_local(SdpType::Offer, "").unwrap();
            let expected = match a.set_remote(SdpType::Answer, &answer[..end]) {
                Ok(_) => SignalingState::Stable,
                Err(_) => SignalingState::HaveLocalOffer,
            };
            assert_eq!(a.state(), expected);
        }
    }
}
