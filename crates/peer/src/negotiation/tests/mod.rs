//! Offer and answer: corpus of real descriptions, state table, exchanges, errors, trickled candidates.

mod candidates;
mod corpus;
mod errors;
mod exchange;
mod properties;
mod restart;
mod states;

use super::*;
use straits_dtls::{Fingerprint, HashFunction};
use straits_ice::{self as ice, Candidate};

/// A side with everything its descriptions need.
pub(super) struct Side {
    pub(super) negotiation: Negotiation,
    pub(super) local: LocalTransport,
}

impl Side {
    /// `tag` makes the ufrag `<tag><tag><tag><tag>` and so on.
    pub(super) fn new(tag: char) -> Self {
        Self { negotiation: Negotiation::new(u64::from(u32::from(tag))), local: local(tag) }
    }

    pub(super) fn offer(&mut self) -> SessionDescription {
        self.negotiation.create_offer(&self.local).unwrap()
    }

    pub(super) fn answer(&mut self) -> SessionDescription {
        self.negotiation.create_answer(&self.local).unwrap()
    }

    pub(super) fn set_local(&mut self, kind: SdpType, sdp: &str) -> Result<Change, DescriptionError> {
        self.negotiation.set_local(&self.local, &SessionDescription { kind, sdp: sdp.to_owned() })
    }

    pub(super) fn set_remote(&mut self, kind: SdpType, sdp: &str) -> Result<Change, DescriptionError> {
        self.negotiation.set_remote(&SessionDescription { kind, sdp: sdp.to_owned() })
    }

    pub(super) fn state(&self) -> SignalingState {
        self.negotiation.signaling_state()
    }

    pub(super) fn text(&self, kind: DescriptionKind) -> Option<(SdpType, String)> {
        let gathered = Gathered {
            ufrag: &self.local.credentials.ufrag,
            candidates: &self.local.candidates,
            is_complete: self.local.end_of_candidates,
        };
        let found = self.negotiation.description(kind, &[gathered]);
        found.map(|description| (description.kind, description.sdp))
    }

    /// New ICE credentials, as the agent makes them for a restart.
    pub(super) fn renew(&mut self, tag: char) {
        self.local.credentials = credentials(tag);
    }
}

pub(super) fn credentials(tag: char) -> Credentials {
    Credentials { ufrag: tag.to_string().repeat(4), password: tag.to_string().repeat(22) }
}

pub(super) fn fingerprint(byte: u8) -> Fingerprint {
    Fingerprint { function: HashFunction::Sha256, value: vec![byte; 32] }
}

pub(super) fn local(tag: char) -> LocalTransport {
    LocalTransport {
        credentials: credentials(tag),
        mode: ice::Mode::Lite,
        fingerprints: vec![fingerprint(u8::try_from(tag).unwrap())],
        sctp_port: 5000,
        max_message_size: 262_144,
        wants_data: true,
        candidates: Vec::new(),
        end_of_candidates: false,
    }
}

/// One whole exchange with `offerer` beginning: the changes of both sides at the answer.
pub(super) fn exchange(offerer: &mut Side, answerer: &mut Side) -> (Change, Change) {
    offerer.set_local(SdpType::Offer, "").unwrap();
    let (_, offer) = offerer.text(DescriptionKind::PendingLocal).unwrap();
    answerer.set_remote(SdpType::Offer, &offer).unwrap();
    let theirs = answerer.set_local(SdpType::Answer, "").unwrap();
    let (_, answer) = answerer.text(DescriptionKind::CurrentLocal).unwrap();
    let ours = offerer.set_remote(SdpType::Answer, &answer).unwrap();
    (ours, theirs)
}

/// The text with one line replaced, or dropped if `with` is empty.
pub(super) fn replace_line(text: &str, starting: &str, with: &str) -> String {
    assert!(text.lines().any(|line| line.starts_with(starting)), "no {starting}");
    let lines = text.lines().map(|line| if line.starts_with(starting) { with } else { line });
    lines.filter(|line| !line.is_empty()).map(|line| format!("{line}\r\n")).collect()
}
