//! addIceCandidate, by the numbers of the W3C tests.

use super::*;
use crate::{CandidateError, IceCandidate};

const GOOD: &str = "candidate:1 1 udp 2130706431 198.51.100.1 4000 typ host";

fn candidate(text: &str, mid: Option<&str>, index: Option<u16>, fragment: Option<&str>) -> IceCandidate {
    IceCandidate {
        candidate: text.to_owned(),
        sdp_mid: mid.map(str::to_owned),
        sdp_mline_index: index,
        username_fragment: fragment.map(str::to_owned),
    }
}

/// A side with a remote offer of audio (mid 0), video (1) and data (2), each with its own ufrag.
fn with_offer() -> Side {
    let text = exchange::AUDIO_VIDEO_DATA.replacen("ice-ufrag:Au+1", "ice-ufrag:Audi", 1);
    let text =
        text.replacen("ice-ufrag:Au+1", "ice-ufrag:Vide", 1).replacen("ice-ufrag:Au+1", "ice-ufrag:Data", 1);
    let mut side = Side::new('b');
    side.set_remote(SdpType::Offer, &text).unwrap();
    side
}

fn remote_text(side: &Side) -> String {
    side.text(DescriptionKind::PendingRemote).unwrap().1
}

/// For each section the lines that came by trickle.
fn trickled(side: &Side) -> Vec<Vec<String>> {
    let text = remote_text(side);
    let sections = text.split("\nm=").skip(1);
    let is_new = |line: &&str| line.contains("4000") || *line == "a=end-of-candidates";
    sections.map(|section| section.lines().filter(is_new).map(str::to_owned).collect()).collect()
}

#[test]
fn ice_01_02_11_states_and_sections_come_first() {
    let mut side = Side::new('a');
    let add = |side: &mut Side, candidate| side.negotiation.add_remote_candidate(&candidate);
    assert_eq!(
        add(&mut side, candidate(GOOD, Some("0"), None, None)),
        Err(CandidateError::NoRemoteDescription)
    );
    assert_eq!(add(&mut side, candidate(GOOD, None, None, None)), Err(CandidateError::NoSection));
    assert_eq!(add(&mut side, candidate("garbage", None, None, None)), Err(CandidateError::NoSection));
    assert_eq!(add(&mut side, candidate("", None, None, None)), Err(CandidateError::NoRemoteDescription));
    side.negotiation.close();
    assert_eq!(add(&mut side, candidate(GOOD, Some("0"), None, None)), Err(CandidateError::Closed));
}

#[test]
fn ice_03_end_of_candidates_for_all_sections() {
    let mut side = with_offer();
    let end = side.negotiation.add_remote_candidate(&IceCandidate::default());
    assert_eq!(end, Ok(RemoteCandidate::EndOfCandidates));
    side.negotiation.add_remote_candidate(&IceCandidate::default()).unwrap();
    assert_eq!(trickled(&side), [["a=end-of-candidates"]; 3], "once each");
}

#[test]
fn ice_04_end_of_candidates_for_one_section() {
    for (mid, index) in [(Some("2"), None), (None, Some(2))] {
        let mut side = with_offer();
        let end = side.negotiation.add_remote_candidate(&candidate("", mid, index, Some("Data")));
        assert_eq!(end, Ok(RemoteCandidate::EndOfCandidates));
        assert_eq!(trickled(&side), [vec![], vec![], vec!["a=end-of-candidates"]]);
    }
    let mut side = with_offer();
    let end = side.negotiation.add_remote_candidate(&candidate("", Some("1"), None, None));
    assert_eq!(end, Ok(RemoteCandidate::Unused));
    assert_eq!(trickled(&side), [vec![], vec!["a=end-of-candidates"], vec![]]);
}

#[test]
fn ice_06_to_10_candidates_go_under_their_section() {
    for (mid, index, fragment) in [
        (Some("2"), None, None),
        (None, Some(2), None),
        (Some("2"), Some(2), Some("Data")),
        // ICE-14: a bad index beside a good mid.
        (Some("2"), Some(77), None),
    ] {
        let mut side = with_offer();
        let added = side.negotiation.add_remote_candidate(&candidate(GOOD, mid, index, fragment));
        let mut expected: Candidate = GOOD.parse().unwrap();
        expected.ufrag = Some("Data".into());
        assert_eq!(added, Ok(RemoteCandidate::Candidate(expected)));
        assert_eq!(trickled(&side), [vec![], vec![], vec![format!("a={GOOD}")]]);
    }
    let mut side = with_offer();
    for mid in ["0", "1", "2"] {
        side.negotiation.add_remote_candidate(&candidate(GOOD, Some(mid), None, None)).unwrap();
        side.negotiation.add_remote_candidate(&candidate("", Some(mid), None, None)).unwrap();
    }
    assert_eq!(trickled(&side), vec![vec![format!("a={GOOD}"), "a=end-of-candidates".to_owned()]; 3]);
}

#[test]
fn ice_05_12_13_15_16_errors() {
    let mut side = with_offer();
    let before = remote_text(&side);
    let malformed = |field| CandidateError::Invalid(ice::CandidateError::Malformed { field });
    for (text, mid, index, fragment, expected) in [
        (GOOD, Some("2"), None, Some("Nope"), CandidateError::UnknownFragment),
        ("", Some("2"), None, Some("Nope"), CandidateError::UnknownFragment),
        ("", None, None, Some("Nope"), CandidateError::UnknownFragment),
        (GOOD, Some("9"), Some(2), None, CandidateError::UnknownSection),
        (GOOD, None, Some(3), None, CandidateError::UnknownSection),
        ("garbage", Some("2"), None, None, malformed("component")),
        ("candidate:1 1 udp 1 198.51.100.1 4000 typ host\r\na=x", Some("2"), None, None, malformed("line")),
        (GOOD, Some("2"), None, Some("Audi"), CandidateError::UnknownFragment),
    ] {
        let result = side.negotiation.add_remote_candidate(&candidate(text, mid, index, fragment));
        assert_eq!(result, Err(expected), "{text} {mid:?} {index:?} {fragment:?}");
    }
    assert_eq!(remote_text(&side), before);
}

/// A browser that bundles trickles under the first section's mid, even if we reject that section.
#[test]
fn bundled_sections_share_their_candidates() {
    let mut side = Side::new('b');
    side.set_remote(SdpType::Offer, exchange::AUDIO_VIDEO_DATA).unwrap();
    let added = side.negotiation.add_remote_candidate(&candidate(GOOD, Some("0"), None, None));
    assert!(matches!(added, Ok(RemoteCandidate::Candidate(_))), "{added:?}");
    side.set_local(SdpType::Answer, "").unwrap();
    let added = side.negotiation.add_remote_candidate(&candidate(GOOD, Some("0"), None, Some("Au+1")));
    assert!(matches!(added, Ok(RemoteCandidate::Candidate(_))), "{added:?}");
}

/// ICE-09: without a fragment the newest generation is meant; candidates of the old one still find theirs.
#[test]
fn generations() {
    let (mut a, mut b) = (Side::new('a'), Side::new('b'));
    exchange(&mut a, &mut b);
    a.renew('c');
    a.set_local(SdpType::Offer, "").unwrap();
    b.set_remote(SdpType::Offer, &a.offer().sdp).unwrap();
    let generation = |result: Result<RemoteCandidate, CandidateError>| match result {
        Ok(RemoteCandidate::Candidate(candidate)) => candidate.ufrag.unwrap(),
        other => panic!("{other:?}"),
    };
    let add = |side: &mut Side, text: &str, fragment| {
        generation(side.negotiation.add_remote_candidate(&candidate(text, Some("0"), None, fragment)))
    };
    assert_eq!(add(&mut b, GOOD, None), "cccc");
    assert_eq!(add(&mut b, GOOD, Some("aaaa")), "aaaa");
    assert_eq!(add(&mut b, &format!("{GOOD} ufrag aaaa"), None), "aaaa");
    let lines = |kind| {
        let text = b.text(kind).unwrap().1;
        text.lines().filter(|line| line.starts_with("a=candidate")).map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(lines(DescriptionKind::PendingRemote), [format!("a={GOOD}")]);
    assert_eq!(lines(DescriptionKind::CurrentRemote), [format!("a={GOOD}"), format!("a={GOOD} ufrag aaaa")]);
}

#[test]
fn at_most_a_hundred() {
    let mut side = with_offer();
    for port in 1..=100 {
        let text = format!("candidate:1 1 udp 1 198.51.100.1 {port} typ host");
        side.negotiation.add_remote_candidate(&candidate(&text, Some("2"), None, None)).unwrap();
    }
    let over = side.negotiation.add_remote_candidate(&candidate(GOOD, Some("2"), None, None));
    assert_eq!(over, Err(CandidateError::Invalid(ice::CandidateError::TooMany { max: 100 })));
    // One that is known already is no more.
    let known = "candidate:1 1 udp 1 198.51.100.1 7 typ host";
    assert!(side.negotiation.add_remote_candidate(&candidate(known, Some("2"), None, None)).is_ok());
    assert!(side.negotiation.add_remote_candidate(&IceCandidate::default()).is_ok());
}

/// The text keeps its own line ends, also without one at its end.
#[test]
fn recorded_lines_fit_the_text() {
    let offer = Side::new('a').offer().sdp;
    for (text, expected) in [
        (offer.clone(), format!("{offer}a={GOOD}\r\n")),
        (format!("{}\r", offer.trim_end()), format!("{offer}a={GOOD}\r\n")),
        (offer.trim_end().to_owned(), format!("{offer}a={GOOD}\r\n")),
        (offer.replace("\r\n", "\n"), format!("{}a={GOOD}\n", offer.replace("\r\n", "\n"))),
    ] {
        let mut side = Side::new('b');
        side.set_remote(SdpType::Offer, &text).unwrap();
        let prefixed = format!(" a={GOOD} ");
        side.negotiation.add_remote_candidate(&candidate(&prefixed, Some("0"), None, None)).unwrap();
        assert_eq!(remote_text(&side), expected);
    }
}
