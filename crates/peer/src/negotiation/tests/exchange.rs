//! What offers and answers hold, and what two sides make of them.

use super::*;

/// RFC 8829 §5.2.1, RFC 8841 §10.2, RFC 8842 §5.2, RFC 8839 §4.2.1.4: the whole text of a first offer.
#[test]
fn first_offer() {
    let mut side = Side::new('a');
    let fingerprint = ["61"; 32].join(":");
    assert_eq!(
        side.offer(),
        SessionDescription {
            kind: SdpType::Offer,
            sdp: format!(
                "v=0\r\no=- 97 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0\r\na=ice-lite\r\n\
                 a=ice-options:trickle ice2\r\nm=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\n\
                 c=IN IP4 0.0.0.0\r\na=ice-ufrag:aaaa\r\na=ice-pwd:aaaaaaaaaaaaaaaaaaaaaa\r\n\
                 a=fingerprint:sha-256 {fingerprint}\r\na=setup:actpass\r\na=mid:0\r\na=sctp-port:5000\r\n\
                 a=max-message-size:262144\r\n"
            ),
        }
    );
}

/// RFC 8829 §5.3.1: the answer copies mid, group and options, and takes the active role.
#[test]
fn first_answer() {
    let (mut a, mut b) = (Side::new('a'), Side::new('b'));
    let offer = a.offer().sdp.replace("a=mid:0", "a=mid:data").replace("BUNDLE 0", "BUNDLE data");
    let offer = offer.replace("trickle ice2", "trickle");
    b.local.mode = ice::Mode::Full;
    b.local.max_message_size = 0;
    b.set_remote(SdpType::Offer, &offer).unwrap();
    let fingerprint = ["62"; 32].join(":");
    assert_eq!(
        b.answer(),
        SessionDescription {
            kind: SdpType::Answer,
            sdp: format!(
                "v=0\r\no=- 98 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\na=group:BUNDLE data\r\na=ice-options:trickle\r\n\
                 m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\nc=IN IP4 0.0.0.0\r\na=ice-ufrag:bbbb\r\n\
                 a=ice-pwd:bbbbbbbbbbbbbbbbbbbbbb\r\na=fingerprint:sha-256 {fingerprint}\r\na=setup:active\r\n\
                 a=mid:data\r\na=sctp-port:5000\r\na=max-message-size:0\r\n"
            ),
        }
    );
}

#[test]
fn both_sides_learn_everything() {
    let (mut a, mut b) = (Side::new('a'), Side::new('b'));
    b.local.max_message_size = 0;
    let expected = |tag, setup, max_message_size| RemoteTransport {
        credentials: credentials(tag),
        mode: ice::Mode::Lite,
        fingerprints: vec![fingerprint(u8::try_from(tag).unwrap())],
        setup,
        sctp_port: 5000,
        max_message_size,
        candidates: Vec::new(),
        end_of_candidates: false,
        trickle: true,
        tls_id: None,
        mid: Some("0".into()),
        mline_index: 0,
    };
    let change = a.set_local(SdpType::Offer, "").unwrap();
    assert_eq!(
        change,
        Change { states: vec![SignalingState::HaveLocalOffer], local: true, ..Change::default() }
    );
    let offer = a.text(DescriptionKind::PendingLocal).unwrap().1;
    let change = b.set_remote(SdpType::Offer, &offer).unwrap();
    assert_eq!(
        change,
        Change {
            states: vec![SignalingState::HaveRemoteOffer],
            remote: Some(expected('a', Setup::ActPass, Some(262_144))),
            ..Change::default()
        }
    );
    let agreement = |dtls_role, ice_role| Some(Agreement { dtls_role, ice_role, new_association: false });
    let change = b.set_local(SdpType::Answer, "").unwrap();
    assert_eq!(
        change,
        Change {
            states: vec![SignalingState::Stable],
            local: true,
            agreement: agreement(dtls::Role::Client, ice::Role::Controlled),
            ..Change::default()
        }
    );
    let answer = b.text(DescriptionKind::CurrentLocal).unwrap().1;
    let change = a.set_remote(SdpType::Answer, &answer).unwrap();
    assert_eq!(
        change,
        Change {
            states: vec![SignalingState::Stable],
            remote: Some(expected('b', Setup::Active, None)),
            agreement: agreement(dtls::Role::Server, ice::Role::Controlling),
            ..Change::default()
        }
    );
    assert_eq!(a.negotiation.data_section(), Some((Some("0"), 0)));
    assert_eq!(a.negotiation.can_trickle(), Some(true));
}

/// RFC 8445 §6.1.1.
#[test]
fn ice_roles_follow_modes_then_the_first_offer() {
    for (ours, theirs, expected) in [
        (ice::Mode::Lite, ice::Mode::Lite, (ice::Role::Controlling, ice::Role::Controlled)),
        (ice::Mode::Full, ice::Mode::Full, (ice::Role::Controlling, ice::Role::Controlled)),
        (ice::Mode::Lite, ice::Mode::Full, (ice::Role::Controlled, ice::Role::Controlling)),
        (ice::Mode::Full, ice::Mode::Lite, (ice::Role::Controlling, ice::Role::Controlled)),
    ] {
        let (mut a, mut b) = (Side::new('a'), Side::new('b'));
        (a.local.mode, b.local.mode) = (ours, theirs);
        let roles = |(ours, theirs): (Change, Change)| {
            (ours.agreement.unwrap().ice_role, theirs.agreement.unwrap().ice_role)
        };
        assert_eq!(roles(exchange(&mut a, &mut b)), expected, "{ours:?} {theirs:?}");
        let (theirs_role, ours_role) = roles(exchange(&mut b, &mut a));
        assert_eq!((ours_role, theirs_role), expected, "an offer from the other side changes nothing");
    }
}

/// RFC 8842 §5.3: later answers keep the DTLS roles, whoever offers.
#[test]
fn dtls_roles_last() {
    let (mut a, mut b) = (Side::new('a'), Side::new('b'));
    let roles = |(ours, theirs): (Change, Change)| {
        (ours.agreement.unwrap().dtls_role, theirs.agreement.unwrap().dtls_role)
    };
    assert_eq!(roles(exchange(&mut a, &mut b)), (dtls::Role::Server, dtls::Role::Client));
    assert_eq!(roles(exchange(&mut b, &mut a)), (dtls::Role::Client, dtls::Role::Server));
    assert!(a.text(DescriptionKind::CurrentLocal).unwrap().1.contains("a=setup:passive\r\n"));
    assert_eq!(roles(exchange(&mut a, &mut b)), (dtls::Role::Server, dtls::Role::Client));
}

/// RFC 8842 §5.3: "the answerer MUST be able to receive initial and subsequent offers with other attribute values".
#[test]
fn answers_fit_the_setup_of_the_offer() {
    for (offered, answered, role) in [
        ("a=setup:actpass", "a=setup:active", dtls::Role::Client),
        ("a=setup:passive", "a=setup:active", dtls::Role::Client),
        ("a=setup:active", "a=setup:passive", dtls::Role::Server),
        ("", "a=setup:passive", dtls::Role::Server),
    ] {
        let (mut a, mut b) = (Side::new('a'), Side::new('b'));
        b.set_remote(SdpType::Offer, &replace_line(&a.offer().sdp, "a=setup", offered)).unwrap();
        let change = b.set_local(SdpType::Answer, "").unwrap();
        assert_eq!(change.agreement.unwrap().dtls_role, role, "{offered}");
        let answer = b.text(DescriptionKind::CurrentLocal).unwrap().1;
        assert_eq!(answer.lines().find(|line| line.starts_with("a=setup")), Some(answered));
    }
}

/// The `o=` version grows with every other text, and with no equal one.
#[test]
fn version_counts_changes() {
    let version = |description: SessionDescription| {
        description.sdp.lines().nth(1).unwrap().split(' ').nth(2).unwrap().parse::<u64>().unwrap()
    };
    let mut a = Side::new('a');
    a.local.wants_data = false;
    assert_eq!(version(a.offer()), 1);
    assert_eq!(version(a.offer()), 1);
    a.local.wants_data = true;
    let offer = a.offer();
    assert_eq!(version(a.offer()), 2);
    // SLD-23: parameterless setLocalDescription takes the last created text if it still holds.
    a.set_local(SdpType::Offer, "").unwrap();
    assert_eq!(a.text(DescriptionKind::PendingLocal), Some((SdpType::Offer, offer.sdp)));
    a.renew('c');
    assert_eq!(version(a.offer()), 3);
}

/// 62 bits for the session id (RFC 8829 §5.2.1: below 2^63 - 1).
#[test]
fn session_id_is_cut() {
    let mut negotiation = Negotiation::new(u64::MAX);
    let offer = negotiation.create_offer(&local('a')).unwrap();
    assert_eq!(offer.sdp.lines().nth(1), Some("o=- 4611686018427387903 1 IN IP4 0.0.0.0"));
}

/// NEG-08: an offer with nothing in it is valid, and so is its answer; a later one brings the data section.
#[test]
fn exchange_without_sections() {
    let (mut a, mut b) = (Side::new('a'), Side::new('b'));
    a.local.wants_data = false;
    let (ours, theirs) = exchange(&mut a, &mut b);
    let nothing = Change { states: vec![SignalingState::Stable], ..Change::default() };
    assert_eq!((&ours, &theirs), (&nothing, &nothing));
    let text = a.text(DescriptionKind::CurrentLocal).unwrap().1;
    assert_eq!(
        text,
        "v=0\r\no=- 97 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\na=ice-lite\r\na=ice-options:trickle ice2\r\n"
    );
    assert!(!a.negotiation.has_transport());
    // NN-01: b wanted a channel that this exchange did not cover.
    assert!(b.negotiation.negotiation_needed(true));
    assert!(!b.negotiation.negotiation_needed(false));
    let (ours, _) = exchange(&mut b, &mut a);
    assert!(ours.agreement.is_some());
    assert!(!b.negotiation.negotiation_needed(true));
    assert!(b.negotiation.has_transport());
}

/// SDP-09: audio and video are rejected in place, and the BUNDLE group has only what is left.
#[test]
fn foreign_sections_are_rejected_in_place() {
    let mut b = Side::new('b');
    b.set_remote(SdpType::Offer, AUDIO_VIDEO_DATA).unwrap();
    let change = b.set_local(SdpType::Answer, "").unwrap();
    assert!(change.agreement.is_some() && !change.rejected);
    // The candidate is the audio section's, which has its own transport as long as nothing is agreed.
    assert_eq!(b.negotiation.remote().unwrap().candidates, []);
    let text = b.text(DescriptionKind::CurrentLocal).unwrap().1;
    let shown: Vec<&str> = text
        .lines()
        .filter(|line| ["m=", "a=mid", "a=group", "a=inactive"].iter().any(|start| line.starts_with(start)))
        .collect();
    assert_eq!(
        shown,
        [
            "a=group:BUNDLE 2",
            "m=audio 0 UDP/TLS/RTP/SAVPF 111 63",
            "a=mid:0",
            "a=inactive",
            "m=video 0 UDP/TLS/RTP/SAVPF 96",
            "a=mid:1",
            "a=inactive",
            "m=application 9 UDP/DTLS/SCTP webrtc-datachannel",
            "a=mid:2",
        ]
    );
    assert_eq!(b.negotiation.data_section(), Some((Some("2"), 2)));
    assert_eq!(b.negotiation.remote().map(|remote| remote.mline_index), Some(2));
    // RFC 8829 §5.2.2: our own next offer keeps all sections in their places.
    let offer = b.offer().sdp;
    let sections: Vec<&str> = offer.lines().filter(|line| line.starts_with("m=")).collect();
    assert_eq!(
        sections,
        [
            "m=audio 0 UDP/TLS/RTP/SAVPF 111 63",
            "m=video 0 UDP/TLS/RTP/SAVPF 96",
            "m=application 9 UDP/DTLS/SCTP webrtc-datachannel"
        ]
    );
}

/// SDP-06, RFC 9143 §7.1.3: a bundle-only section has port 0 and its transport is that of the group's first section.
#[test]
fn bundle_only_section_takes_the_transport_of_its_group() {
    let mut text: String = AUDIO_VIDEO_DATA.split("m=application").next().map(str::to_owned).unwrap();
    text.push_str(
        "m=application 0 UDP/DTLS/SCTP webrtc-datachannel\nc=IN IP4 0.0.0.0\na=bundle-only\na=mid:2\n",
    );
    text.push_str("a=sctp-port:5001\n");
    let mut b = Side::new('b');
    let remote = b.set_remote(SdpType::Offer, &text).unwrap().remote.unwrap();
    assert_eq!(remote.credentials, Credentials { ufrag: "Au+1".into(), password: "a".repeat(24) });
    assert_eq!(remote.fingerprints, [fingerprint(0xab)]);
    assert_eq!(
        (remote.sctp_port, remote.max_message_size, remote.setup),
        (5001, Some(65536), Setup::ActPass)
    );
    assert_eq!(remote.candidates.len(), 1);
    assert!(b.set_local(SdpType::Answer, "").unwrap().agreement.is_some());
}

/// SDP-05: mid and group may be missing, and the answer has none then (RFC 8829 §5.3.1).
#[test]
fn offer_without_mid_and_group() {
    let (mut a, mut b) = (Side::new('a'), Side::new('b'));
    let offer = replace_line(&replace_line(&a.offer().sdp, "a=mid", ""), "a=group", "");
    b.set_remote(SdpType::Offer, &offer).unwrap();
    let answer = b.answer().sdp;
    assert!(!answer.contains("a=mid") && !answer.contains("a=group"), "{answer}");
    b.set_local(SdpType::Answer, &answer).unwrap();
    assert_eq!(b.negotiation.data_section(), Some((None, 0)));
    assert_eq!(b.negotiation.remote().map(|remote| remote.mid.clone()), Some(None));
    // A later offer may name the section, ours does.
    assert!(b.offer().sdp.contains("a=mid:0\r\n"));
    b.set_remote(SdpType::Offer, &a.offer().sdp).unwrap();
    b.set_remote(SdpType::Rollback, "").unwrap();
    a.set_local(SdpType::Offer, "").unwrap();
    assert!(a.set_remote(SdpType::Answer, &answer).unwrap().agreement.is_some());
}

/// The forms that data sections had before RFC 8841, and the one over TCP: answered in kind.
#[test]
fn older_and_tcp_forms() {
    let mut a = Side::new('a');
    let offer = a.offer().sdp;
    let legacy = replace_line(&offer, "m=", "m=application 9 DTLS/SCTP 5005");
    let legacy = replace_line(&legacy, "a=sctp-port", "a=sctpmap:5005 webrtc-datachannel 1024");
    let tcp = replace_line(&offer, "m=", "m=application 9 TCP/DTLS/SCTP webrtc-datachannel");
    for (text, port, expected) in [
        (legacy, 5005, ["m=application 9 DTLS/SCTP 5000", "a=sctpmap:5000 webrtc-datachannel 65535"]),
        (tcp, 5000, ["m=application 9 TCP/DTLS/SCTP webrtc-datachannel", "a=sctp-port:5000"]),
    ] {
        let mut b = Side::new('b');
        let change = b.set_remote(SdpType::Offer, &text).unwrap();
        assert_eq!(change.remote.unwrap().sctp_port, port);
        let answer = b.answer().sdp;
        let shown: Vec<&str> =
            answer.lines().filter(|line| line.starts_with("m=") || line.starts_with("a=sctp")).collect();
        assert_eq!(shown, expected);
    }
}

/// RFC 8841 §6.1 and what stands for missing values.
#[test]
fn sizes_and_defaults() {
    let mut a = Side::new('a');
    let offer = a.offer().sdp;
    for (line, expected) in [
        ("", Some(65536)),
        ("a=max-message-size:0", None),
        ("a=max-message-size:1", Some(1)),
        ("a=max-message-size:99999999999999999999999999", Some(usize::MAX)),
    ] {
        let text = replace_line(&offer, "a=max-message-size", line);
        let remote = Side::new('b').set_remote(SdpType::Offer, &text).unwrap().remote.unwrap();
        assert_eq!(remote.max_message_size, expected, "{line}");
    }
    let text = replace_line(&replace_line(&offer, "a=sctp-port", ""), "a=ice-lite", "");
    let mut b = Side::new('b');
    let remote =
        b.set_remote(SdpType::Offer, &replace_line(&text, "a=ice-options", "")).unwrap().remote.unwrap();
    assert_eq!((remote.sctp_port, remote.mode, remote.trickle), (5000, ice::Mode::Full, false));
    assert_eq!(b.negotiation.can_trickle(), Some(false));
    assert!(!b.answer().sdp.contains("a=ice-options"));
}

/// RFC 8829 §5.2.2: the default candidate in `m=` and `c=`, then the candidates, then their end; in later offers too.
#[test]
fn candidates_known_so_far() {
    let (mut a, mut b) = (Side::new('a'), Side::new('b'));
    exchange(&mut a, &mut b);
    for text in [
        "candidate:1 1 udp 2130706431 fd99::1 4000 typ host",
        "candidate:2 1 udp 2130706175 198.51.100.1 4001 typ host",
        "candidate:3 1 tcp 2105458943 198.51.100.9 9 typ host tcptype active",
        "candidate:4 1 udp 1 198.51.100.7 7 typ srflx raddr 0.0.0.0 rport 0 ufrag zzzz",
    ] {
        a.local.candidates.push(text.parse().unwrap());
    }
    let shown = |text: String| {
        let starts = ["m=", "c=", "a=candidate", "a=end"];
        let lines = text.lines().filter(|line| starts.iter().any(|start| line.starts_with(start)));
        lines.map(str::to_owned).collect::<Vec<_>>()
    };
    let expected = [
        "m=application 4001 UDP/DTLS/SCTP webrtc-datachannel",
        "c=IN IP4 198.51.100.1",
        "a=candidate:1 1 udp 2130706431 fd99::1 4000 typ host",
        "a=candidate:2 1 udp 2130706175 198.51.100.1 4001 typ host",
        "a=candidate:3 1 tcp 2105458943 198.51.100.9 9 typ host tcptype active",
    ];
    // The fourth is of another generation.
    assert_eq!(shown(a.text(DescriptionKind::CurrentLocal).unwrap().1), expected);
    a.local.end_of_candidates = true;
    let mut complete = expected.to_vec();
    complete.push("a=end-of-candidates");
    assert_eq!(shown(a.offer().sdp), complete);
    let reach = [
        "candidate:5 2 udp 4294967295 198.51.100.2 4002 typ relay raddr 0.0.0.0 rport 0",
        "candidate:6 1 udp 1 198.51.100.3 4003 typ srflx raddr 0.0.0.0 rport 0",
        "candidate:7 1 udp 0 198.51.100.4 4004 typ relay raddr 0.0.0.0 rport 0",
    ];
    a.local.candidates.extend(reach.map(|text| text.parse::<Candidate>().unwrap()));
    assert_eq!(
        shown(a.offer().sdp)[..2],
        ["m=application 4004 UDP/DTLS/SCTP webrtc-datachannel", "c=IN IP4 198.51.100.4"]
    );
    a.local.candidates.truncate(1);
    assert_eq!(shown(a.offer().sdp)[1], "c=IN IP6 fd99::1");
    // What one side writes the other reads.
    let change = b.set_remote(SdpType::Offer, &a.offer().sdp).unwrap();
    let remote = change.remote.unwrap();
    assert_eq!((remote.candidates, remote.end_of_candidates), (a.local.candidates.clone(), true));
    assert!(!change.remote_restart);
    // One of another generation has been left over.
    let stale = format!("{}a=candidate:8 1 udp 1 198.51.100.5 5 typ host ufrag zzzz\r\n", a.offer().sdp);
    let remote = b.set_remote(SdpType::Offer, &stale).unwrap().remote.unwrap();
    assert_eq!(remote.candidates, a.local.candidates);
}

/// A data section answered with port 0 is reported, and may be offered again in its place under a new mid.
#[test]
fn rejected_data_section() {
    let (mut a, mut b) = (Side::new('a'), Side::new('b'));
    a.set_local(SdpType::Offer, "").unwrap();
    b.set_remote(SdpType::Offer, &a.offer().sdp).unwrap();
    let answer = b.answer().sdp.replace("m=application 9", "m=application 0");
    let change = a.set_remote(SdpType::Answer, &answer).unwrap();
    assert_eq!(change, Change { states: vec![SignalingState::Stable], rejected: true, ..Change::default() });
    assert!(!a.negotiation.has_transport());
    let offer = a.offer().sdp;
    let shown: Vec<&str> =
        offer.lines().filter(|line| line.starts_with("m=") || line.starts_with("a=mid")).collect();
    assert_eq!(shown, ["m=application 9 UDP/DTLS/SCTP webrtc-datachannel", "a=mid:1"]);
}

/// A running data section that the peer's offer gives up.
#[test]
fn data_section_given_up() {
    let (mut a, mut b) = (Side::new('a'), Side::new('b'));
    exchange(&mut a, &mut b);
    let offer = b.offer().sdp.replace("m=application 9", "m=application 0");
    let change = a.set_remote(SdpType::Offer, &offer).unwrap();
    assert_eq!(change, Change { states: vec![SignalingState::HaveRemoteOffer], ..Change::default() });
    let change = a.set_local(SdpType::Answer, "").unwrap();
    assert_eq!(change, Change { states: vec![SignalingState::Stable], rejected: true, ..Change::default() });
    assert!(a.text(DescriptionKind::CurrentLocal).unwrap().1.contains("m=application 0 UDP/DTLS/SCTP"));
}

/// SDP-10: of two data sections the first is taken.
#[test]
fn second_data_section_is_rejected() {
    let mut b = Side::new('b');
    let offer = Side::new('a').offer().sdp;
    let second = offer.split("m=application").nth(1).unwrap().replace("a=mid:0", "a=mid:1");
    b.set_remote(SdpType::Offer, &format!("{offer}m=application{second}")).unwrap();
    let answer = b.answer().sdp;
    let sections: Vec<&str> = answer.lines().filter(|line| line.starts_with("m=")).collect();
    assert_eq!(
        sections,
        [
            "m=application 9 UDP/DTLS/SCTP webrtc-datachannel",
            "m=application 0 UDP/DTLS/SCTP webrtc-datachannel"
        ]
    );
}

/// As a browser offers microphone, camera and a channel; LF line ends as in many scripts (SDP-07).
pub(super) const AUDIO_VIDEO_DATA: &str = include_str!("data/audio-video-data.offer.sdp");
