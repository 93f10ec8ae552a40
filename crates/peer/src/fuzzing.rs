//! Bodies of the fuzz targets.

mod peer;

pub use peer::peer;

use crate::negotiation::{LocalTransport, Negotiation};
use crate::{IceCandidate, SdpType, SessionDescription};
use straits_dtls::{Fingerprint, HashFunction};
use straits_ice::{Credentials, Mode};

/// Any text as a remote description: what is accepted can be answered, and what we answer can be read again. It also comes
/// as the answer to an offer of ours, and as a candidate.
///
/// # Panics
/// When one of these does not hold.
pub fn sdp(data: &[u8]) {
    // What trickles in must not take the text over the size limit.
    let data = &data[..data.len().min(MAX_INPUT)];
    let text = String::from_utf8_lossy(data);
    let (ours, theirs) = (local("ours"), local("them"));
    as_offer(&ours, &theirs, &text);
    as_answer(&ours, &text);
}

fn as_offer(ours: &LocalTransport, theirs: &LocalTransport, text: &str) {
    let mut answerer = Negotiation::new(1);
    let offer = SessionDescription { kind: SdpType::Offer, sdp: text.to_owned() };
    if answerer.set_remote(&offer).is_err() {
        assert!(answerer.remote().is_none(), "a refused offer left something behind");
        return;
    }
    for line in text.lines().filter_map(|line| line.strip_prefix("a=")).take(10) {
        let candidate =
            IceCandidate { candidate: line.to_owned(), sdp_mline_index: Some(0), ..IceCandidate::default() };
        // Refused or not: the descriptions stay readable.
        let _ = answerer.add_remote_candidate(&candidate);
    }
    let answer = answerer.create_answer(ours).expect("an accepted offer can be answered");
    let change = answerer.set_local(ours, &answer).expect("our own answer can be set");
    let recorded = answerer.description(crate::DescriptionKind::CurrentRemote, &[]);
    let again = SessionDescription { kind: SdpType::Offer, ..recorded.expect("the offer is current now") };
    Negotiation::new(2).set_remote(&again).expect("a description with its candidates can be read");
    // An answer has the form of an offer: whoever reads it finds the same sections.
    let mut mirror = Negotiation::new(3);
    mirror
        .set_remote(&SessionDescription { kind: SdpType::Offer, ..answer.clone() })
        .expect("our answer can be read");
    assert_eq!(
        mirror.remote().is_some(),
        change.agreement.is_some(),
        "the data section is in use on both sides"
    );
    mirror
        .set_local(theirs, &SessionDescription { kind: SdpType::Answer, sdp: String::new() })
        .expect("and answered");
    // The session goes on.
    answerer.create_offer(ours).expect("a re-offer is possible");
}

fn as_answer(ours: &LocalTransport, text: &str) {
    let mut offerer = Negotiation::new(4);
    let offer = SessionDescription { kind: SdpType::Offer, sdp: String::new() };
    offerer.set_local(ours, &offer).expect("our own offer can be set");
    let answer = SessionDescription { kind: SdpType::Answer, sdp: text.to_owned() };
    if offerer.set_remote(&answer).is_ok() {
        offerer.create_offer(ours).expect("a re-offer is possible");
    }
}

fn local(tag: &str) -> LocalTransport {
    LocalTransport {
        credentials: Credentials { ufrag: tag.to_owned(), password: tag.repeat(6) },
        mode: Mode::Lite,
        fingerprints: vec![Fingerprint { function: HashFunction::Sha256, value: vec![7; 32] }],
        sctp_port: 5000,
        max_message_size: 262_144,
        wants_data: true,
        candidates: Vec::new(),
        end_of_candidates: false,
    }
}

/// Well below the size limit of descriptions, also with ten candidates, and with each byte replaced by U+FFFD.
const MAX_INPUT: usize = 12 * 1024;
