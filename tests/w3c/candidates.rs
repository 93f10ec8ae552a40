//! Candidates, gathering, and the states of ICE and of the connection.

use super::support::{
    Journal, configuration, connect, end, gathered, line, negotiate, offerer, peer, soon, trickle, with_lines,
};
use futures_util::FutureExt;
use straits::{
    DataChannelInit, ErrorName, IceCandidate, IceCandidateType, IceComponent, IceConnectionState,
    IceGatheringState, IceProtocol, IceTcpCandidateType, PeerConnection, PeerConnectionState,
    SessionDescription, SignalingState,
};

/// Both have their descriptions, and no candidates.
async fn described() -> [PeerConnection; 2] {
    let (a, b) = (offerer(), peer());
    negotiate(&a, &b).await;
    [a, b]
}

const GOOD: &str = "candidate:1905690388 1 udp 2113937151 192.0.2.9 58041 typ host generation 0";

fn candidate(text: &str) -> IceCandidate {
    IceCandidate { candidate: text.into(), sdp_mid: Some("0".into()), ..IceCandidate::default() }
}

fn add(connection: &PeerConnection, candidate: impl Into<Option<IceCandidate>>) -> Option<ErrorName> {
    let added = connection.add_ice_candidate(candidate).now_or_never();
    added.expect("nothing else is under way").err().map(|error| error.name())
}

fn remote_sdp(connection: &PeerConnection) -> String {
    connection.remote_description().unwrap().sdp
}

#[tokio::test]
async fn ice_01_02_when_a_candidate_can_be_added() {
    let strict = PeerConnection::new(configuration().strict_w3c(true)).unwrap();
    assert_eq!(add(&strict, candidate(GOOD)), Some(ErrorName::InvalidStateError));
    let [a, b] = described().await;
    a.close();
    assert_eq!(add(&a, candidate(GOOD)), Some(ErrorName::InvalidStateError));
    end([a, b, strict]).await;
}

#[tokio::test]
async fn ice_03_04_the_end_of_candidates() {
    let whole = IceCandidate::default();
    let of_section = candidate("");
    let of_index = IceCandidate { sdp_mline_index: Some(0), ..IceCandidate::default() };
    for last in [None, Some(whole), Some(of_section), Some(of_index)] {
        let [a, b] = described().await;
        assert!(!remote_sdp(&a).contains("a=end-of-candidates"));
        assert_eq!(add(&a, last), None);
        assert!(remote_sdp(&a).contains("a=end-of-candidates\r\n"), "{}", remote_sdp(&a));
        end([a, b]).await;
    }
}

#[tokio::test]
async fn ice_05_09_generations() {
    let [a, b] = described().await;
    for text in [GOOD, ""] {
        let of = |fragment: Option<&str>| IceCandidate {
            username_fragment: fragment.map(str::to_owned),
            ..candidate(text)
        };
        assert_eq!(add(&a, of(Some("unknown"))), Some(ErrorName::OperationError));
        let sdp = remote_sdp(&a);
        let fragment = sdp.lines().find_map(|line| line.strip_prefix("a=ice-ufrag:")).unwrap();
        assert_eq!((add(&a, of(Some(fragment))), add(&a, of(None))), (None, None));
    }
    end([a, b]).await;
}

#[tokio::test]
async fn ice_06_08_a_candidate_shows_in_the_description() {
    let of_index = IceCandidate { sdp_mid: None, sdp_mline_index: Some(0), ..candidate(GOOD) };
    for good in [candidate(GOOD), of_index] {
        let [a, b] = described().await;
        assert_eq!(add(&a, good), None);
        assert!(remote_sdp(&a).contains(" 192.0.2.9 58041 typ host"), "{}", remote_sdp(&a));
        end([a, b]).await;
    }
}

/// One type is both: what the constructor makes and what was read as the dictionary do the same.
#[tokio::test]
async fn ice_07_an_object_works_like_the_dictionary() {
    let object = IceCandidate::new(GOOD, Some("0"), None).unwrap();
    let dictionary = format!(r#"{{"candidate":"{GOOD}","sdpMid":"0"}}"#);
    for good in [object, serde_json::from_str(&dictionary).unwrap()] {
        let [a, b] = described().await;
        assert_eq!(add(&a, good), None);
        assert!(remote_sdp(&a).contains(" 192.0.2.9 58041 typ host"), "{}", remote_sdp(&a));
        end([a, b]).await;
    }
}

/// One that was offered audio (mid `audio`, username fragment `other`) before data (mid `0`, as `offerer` has it).
async fn with_two_sections() -> (PeerConnection, PeerConnection, String) {
    let (a, b) = (offerer(), peer());
    let offer = a.create_offer().await.unwrap();
    let fingerprint = line(&offer, "a=fingerprint:").unwrap();
    let audio = format!(
        "m=audio 9 UDP/TLS/RTP/SAVPF 0\r\nc=IN IP4 0.0.0.0\r\na=mid:audio\r\na=ice-ufrag:other\r\n\
         a=ice-pwd:aaaaaaaaaaaaaaaaaaaaaaaa\r\na=fingerprint:{fingerprint}\r\na=setup:actpass\r\na=rtcp-mux\r\n"
    );
    let fragment = line(&offer, "a=ice-ufrag:").unwrap().to_owned();
    let sdp = offer.sdp.replacen("m=application", &format!("{audio}m=application"), 1);
    b.set_remote_description(SessionDescription::offer(sdp)).await.unwrap();
    (b, a, fragment)
}

/// The lines from each `m=` on.
fn sections(sdp: &str) -> Vec<&str> {
    let starts: Vec<usize> = sdp.match_indices("\r\nm=").map(|(at, _)| at + 2).collect();
    let ends = starts.iter().skip(1).copied().chain([sdp.len()]);
    starts.iter().zip(ends).map(|(&start, end)| &sdp[start..end]).collect()
}

#[tokio::test]
async fn ice_10_candidates_of_several_sections() {
    let (b, a, fragment) = with_two_sections().await;
    let of = |mid: &str, index, fragment: &str, text: &str| IceCandidate {
        username_fragment: Some(fragment.into()),
        ..IceCandidate::new(text, Some(mid), Some(index)).unwrap()
    };
    let texts = [1, 2, 3]
        .map(|host| format!("candidate:{host} 1 udp 2113937151 192.0.2.{host} 58041 typ host generation 0"));
    assert_eq!(add(&b, of("audio", 0, "other", &texts[0])), None);
    assert_eq!(add(&b, of("0", 1, &fragment, &texts[1])), None);
    assert_eq!(add(&b, of("audio", 0, "other", &texts[2])), None);
    let held = |sdp: &str| -> Vec<Vec<bool>> {
        let has =
            |section: &str| texts.iter().map(|text| section.contains(&format!("a={text}\r\n"))).collect();
        sections(sdp).into_iter().map(has).collect()
    };
    let sdp = remote_sdp(&b);
    assert_eq!(held(&sdp), [[true, false, true], [false, true, false]], "{sdp}");
    assert!(!sdp.contains("a=end-of-candidates"));

    let ended = |sdp: &str| -> Vec<bool> {
        sections(sdp).iter().map(|section| section.ends_with("a=end-of-candidates\r\n")).collect()
    };
    assert_eq!(add(&b, of("audio", 0, "other", "")), None);
    assert_eq!(ended(&remote_sdp(&b)), [true, false]);
    assert_eq!(add(&b, of("0", 1, &fragment, "")), None);
    assert_eq!((ended(&remote_sdp(&b)), held(&remote_sdp(&b))), (vec![true, true], held(&sdp)));
    end([a, b]).await;
}

#[tokio::test]
async fn ice_16_a_fragment_of_another_section() {
    let (b, a, fragment) = with_two_sections().await;
    for text in [GOOD, ""] {
        for (mid, fragment) in [("audio", fragment.as_str()), ("0", "other")] {
            let crossed = IceCandidate {
                username_fragment: Some(fragment.into()),
                ..IceCandidate::new(text, Some(mid), None).unwrap()
            };
            assert_eq!(add(&b, crossed), Some(ErrorName::OperationError));
        }
    }
    assert!(!remote_sdp(&b).contains("a=candidate:") && !remote_sdp(&b).contains("a=end-of-candidates"));
    end([a, b]).await;
}

#[tokio::test]
async fn ice_11_12_13_14_15_what_cannot_be_added() {
    let [a, b] = described().await;
    let placed = |mid: Option<&str>, index| IceCandidate {
        sdp_mid: mid.map(str::to_owned),
        sdp_mline_index: index,
        ..candidate(GOOD)
    };
    for text in [GOOD, "garbage"] {
        let nowhere = IceCandidate { candidate: text.into(), ..placed(None, None) };
        assert_eq!(add(&a, nowhere), Some(ErrorName::TypeError));
    }
    assert_eq!(add(&a, placed(Some("other"), Some(0))), Some(ErrorName::OperationError));
    assert_eq!(add(&a, placed(None, Some(7))), Some(ErrorName::OperationError));
    assert_eq!(add(&a, placed(Some("0"), Some(7))), None);
    assert_eq!(add(&a, candidate("candidate:garbage")), Some(ErrorName::OperationError));
    end([a, b]).await;
}

#[tokio::test]
async fn ice_22_candidates_of_tcp_are_left_alone() {
    let [a, b] = described().await;
    let tcp = "candidate:1 1 tcp 1518214911 192.0.2.9 6000 typ host tcptype passive";
    assert_eq!(add(&a, candidate(tcp)), None);
    end([a, b]).await;
}

#[tokio::test]
async fn ice_23_whether_the_peer_trickles() {
    for trickles in [true, false] {
        let (a, b) = (offerer(), peer());
        assert_eq!(b.can_trickle_ice_candidates(), None);
        let mut offer = a.create_offer().await.unwrap();
        if !trickles {
            offer = with_lines(offer, "a=ice-options:", |_| None);
        }
        b.set_remote_description(offer).await.unwrap();
        assert_eq!(b.can_trickle_ice_candidates(), Some(trickles));
        end([a, b]).await;
    }
}

#[test]
fn ice_31_35_37_a_candidate_as_json() {
    let of = |json: &str| serde_json::from_str::<IceCandidate>(json).unwrap();
    let bare = of(r#"{"sdpMLineIndex":65535,"relayProtocol":"udp"}"#);
    assert_eq!(bare, IceCandidate { sdp_mline_index: Some(65535), ..IceCandidate::default() });
    let odd = of(r#"{"candidate":"whatever","sdpMid":"arbitrary text"}"#);
    assert_eq!((&odd.candidate[..], odd.sdp_mid.as_deref()), ("whatever", Some("arbitrary text")));
    let json =
        r#"{"candidate":"whatever","sdpMid":"arbitrary text","sdpMLineIndex":null,"usernameFragment":null}"#;
    assert_eq!(serde_json::to_string(&odd).unwrap(), json);
}

#[test]
fn ice_30_a_candidate_belongs_to_a_section() {
    for text in ["", "garbage", GOOD] {
        let error = IceCandidate::new(text, None, None).unwrap_err();
        assert_eq!(error.name(), ErrorName::TypeError);
        assert!(
            IceCandidate::new(text, Some(""), None).is_ok() && IceCandidate::new(text, None, Some(0)).is_ok()
        );
    }
}

/// All parsed members, in the order of the text.
type Parts = (
    Option<String>,
    Option<IceComponent>,
    Option<u32>,
    Option<String>,
    Option<IceProtocol>,
    Option<u16>,
    Option<IceCandidateType>,
    Option<IceTcpCandidateType>,
    Option<String>,
    Option<u16>,
);

fn parts(text: &str) -> Parts {
    let of = IceCandidate::new(text, Some("audio1"), None).unwrap();
    assert_eq!(of.candidate, text);
    let related = (of.related_address(), of.related_port());
    let (protocol, port, kind) = (of.protocol(), of.port(), of.kind());
    let (foundation, component, priority) = (of.foundation(), of.component(), of.priority());
    let (tcp_type, (address, port_of)) = (of.tcp_type(), related);
    (foundation, component, priority, of.address(), protocol, port, kind, tcp_type, address, port_of)
}

#[test]
fn ice_32_33_parts_of_candidates() {
    let host = "candidate:1905690388 1 udp 2113937151 192.168.0.1 58041 typ host generation 0 ufrag thC8 network-cost 50";
    let text = |text: &str| Some(text.to_owned());
    let of_host = (
        text("1905690388"),
        Some(IceComponent::Rtp),
        Some(2113937151),
        text("192.168.0.1"),
        Some(IceProtocol::Udp),
        Some(58041),
        Some(IceCandidateType::Host),
        None,
        None,
        None,
    );
    assert_eq!(parts(host), of_host);
    let reflexive = "candidate:435653019 2 tcp 1845501695 192.168.0.196 4444 typ srflx raddr www.example.com rport 22222 \
                     tcptype active";
    let of_reflexive = (
        text("435653019"),
        Some(IceComponent::Rtcp),
        Some(1845501695),
        text("192.168.0.196"),
        Some(IceProtocol::Tcp),
        Some(4444),
        Some(IceCandidateType::Srflx),
        Some(IceTcpCandidateType::Active),
        text("www.example.com"),
        Some(22222),
    );
    assert_eq!(parts(reflexive), of_reflexive);
    let words = [of_reflexive.1.unwrap().as_str(), of_reflexive.4.unwrap().as_str()];
    assert_eq!(words, ["rtcp", "tcp"]);
    assert_eq!([of_host.6.unwrap().as_str(), of_reflexive.6.unwrap().as_str()], ["host", "srflx"]);
}

/// The last three have one field that no member can hold.
#[test]
fn ice_34_what_is_no_candidate_has_no_parts() {
    for text in [
        "",
        "garbage",
        "candidate:1 1 udp",
        "candidate:1 3 udp 1 192.0.2.1 1 typ host",
        "candidate:1 1 sctp 1 192.0.2.1 1 typ host",
        "candidate:1 1 tcp 1 192.0.2.1 1 typ host tcptype odd",
    ] {
        assert_eq!(parts(text), Parts::default(), "{text}");
    }
}

#[test]
fn ice_38_a_description_has_a_type() {
    for json in ["{}", r#"{"sdp":"v=0\r\n"}"#, r#"{"type":null}"#, r#"{"type":"other","sdp":""}"#] {
        assert!(serde_json::from_str::<SessionDescription>(json).is_err(), "{json}");
    }
    assert!(serde_json::from_str::<SessionDescription>(r#"{"type":"offer"}"#).is_ok());
}

#[tokio::test]
async fn cfg_02_a_new_connection() {
    let connection = peer();
    assert!(connection.local_description().is_none() && connection.remote_description().is_none());
    assert!(connection.current_local_description().is_none());
    assert!(connection.pending_local_description().is_none());
    assert!(connection.current_remote_description().is_none());
    assert!(connection.pending_remote_description().is_none());
    assert_eq!(connection.signaling_state(), SignalingState::Stable);
    assert_eq!(connection.ice_gathering_state(), IceGatheringState::New);
    assert_eq!(connection.ice_connection_state(), IceConnectionState::New);
    assert_eq!(connection.connection_state(), PeerConnectionState::New);
    assert_eq!(connection.can_trickle_ice_candidates(), None);
}

/// Of the states of a connection, gathering included.
fn journal_of(connection: &PeerConnection) -> Journal {
    let journal = Journal::of_states(connection);
    let write = journal.clone();
    connection.on_ice_gathering_state_change(move |state| write.write(format!("gathering {state}")));
    journal
}

fn of_kind(journal: &Journal, kind: &str) -> Vec<String> {
    journal.lines().into_iter().filter(|line| line.starts_with(kind)).collect()
}

#[tokio::test]
async fn gat_01_02_03_05_gathering() {
    let (a, b) = (offerer(), peer());
    let journal = journal_of(&a);
    let (write, weak) = (journal.clone(), a.downgrade());
    a.on_ice_candidate(move |candidate| {
        let Some(candidate) = candidate.filter(|candidate| !candidate.candidate.is_empty()) else { return };
        let sdp = weak.upgrade().unwrap().local_description().unwrap().sdp;
        write.write(format!("shown {}", sdp.contains(&candidate.candidate)));
    });
    assert_eq!(a.ice_gathering_state(), IceGatheringState::New);
    negotiate(&a, &b).await;
    gathered(&a).await;
    assert!(a.local_description().unwrap().sdp.contains("a=end-of-candidates\r\n"));
    assert_eq!(of_kind(&journal, "gathering"), ["gathering gathering", "gathering complete"]);
    let shown = of_kind(&journal, "shown");
    assert!(!shown.is_empty() && shown.iter().all(|line| line == "shown true"), "{shown:?}");
    negotiate(&a, &b).await;
    assert_eq!(a.ice_gathering_state(), IceGatheringState::Complete);
    end([a, b]).await;
    assert_eq!(of_kind(&journal, "gathering").len(), 2);
}

#[tokio::test]
async fn gat_04_08_nothing_to_gather_for() {
    let (a, b) = (peer(), peer());
    let journal = journal_of(&a);
    a.set_local_description_implicitly().await.unwrap();
    let other = offerer();
    b.set_remote_description(other.create_offer().await.unwrap()).await.unwrap();
    let states = [a.ice_gathering_state(), b.ice_gathering_state()];
    assert_eq!(states, [IceGatheringState::New; 2]);
    end([a, b, other]).await;
    assert_eq!(of_kind(&journal, "gathering"), [""; 0]);
}

#[tokio::test]
async fn sta_01_03_08_the_states_of_a_connection() {
    let (a, b) = (peer(), peer());
    let channel = a.create_data_channel("", DataChannelInit::default()).unwrap();
    let journals = [journal_of(&a), journal_of(&b)];
    connect(&a, &b).await;
    soon("it to open", channel.opened()).await.unwrap();
    soon("both to connect", async { tokio::try_join!(a.connected(), b.connected()) }).await.unwrap();
    for journal in &journals {
        assert_eq!(of_kind(journal, "connection"), ["connection connecting", "connection connected"]);
        let ice = of_kind(journal, "ice");
        assert_eq!(ice[..2], ["ice checking", "ice connected"]);
        assert!(ice.len() == 2 || ice[2..] == ["ice completed"], "{ice:?}");
    }
    end([a, b]).await;
}

#[tokio::test]
async fn sta_05_without_candidates_nothing_begins() {
    let [a, b] = described().await;
    gathered(&a).await;
    for connection in [&a, &b] {
        assert_eq!(connection.ice_connection_state(), IceConnectionState::New);
        assert_eq!(connection.connection_state(), PeerConnectionState::New);
    }
    end([a, b]).await;
}

/// The answerer is told of no candidate, and learns the offerer's from its checks.
#[tokio::test]
async fn sta_06_candidates_are_learnt_from_checks() {
    let (a, b) = (peer(), peer());
    let channel = a.create_data_channel("", DataChannelInit::default()).unwrap();
    let journal = journal_of(&b);
    trickle(&b, &a);
    negotiate(&a, &b).await;
    soon("it to open", channel.opened()).await.unwrap();
    soon("b to connect", b.connected()).await.unwrap();
    assert_eq!(of_kind(&journal, "ice")[..2], ["ice checking", "ice connected"]);
    end([a, b]).await;
}
