//! Local descriptions: what our offers and answers hold.

use super::remote::{Data, Remote, Section};
use super::types::LocalTransport;
use super::{Baseline, Current};
use crate::sdp::{DataSlot, Document, Setup, Slot};
use crate::{DescriptionError, SdpType, SessionDescription};
use std::fmt;
use straits_dtls as dtls;
use straits_ice::{self as ice, Credentials, Gathered};

/// A description of ours, as it was created.
#[derive(Clone)]
pub(super) struct Local {
    pub(super) kind: SdpType,
    pub(super) document: Document,
    /// As `create_offer` or `create_answer` gave it.
    pub(super) text: String,
}

/// Without the text, which has the ICE password.
impl fmt::Debug for Local {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, document, .. } = self;
        f.debug_struct("Local").field("kind", kind).field("document", document).finish_non_exhaustive()
    }
}

impl Local {
    /// The description with this content: `last` itself if that has it, else one with the next version.
    pub(super) fn create(
        kind: SdpType,
        mut document: Document,
        local: &LocalTransport,
        last: Option<&Self>,
        version: &mut u64,
    ) -> Self {
        if let Some(last) = last {
            document.version = last.document.version;
            if document.render(&local.candidates, local.end_of_candidates) == last.text {
                return last.clone();
            }
        }
        // RFC 8829 §5.2.2: the version "MUST increment by one on each call to createOffer if the offer might differ
        // from the output of the previous call", whatever the version of the current description.
        *version = version.saturating_add(1);
        document.version = *version;
        let text = document.render(&local.candidates, local.end_of_candidates);
        Self { kind, document, text }
    }

    pub(super) fn with_kind(&self, kind: SdpType) -> Self {
        Self { kind, ..self.clone() }
    }

    pub(super) fn created(&self) -> SessionDescription {
        SessionDescription { kind: self.kind, sdp: self.text.clone() }
    }

    pub(super) fn description(&self, gathered: &[Gathered<'_>]) -> SessionDescription {
        let ufrag = self.credentials().map(|credentials| credentials.ufrag.as_str());
        let own = gathered.iter().find(|generation| Some(generation.ufrag) == ufrag);
        let (candidates, is_complete) = own.map_or((&[][..], false), |own| (own.candidates, own.is_complete));
        SessionDescription { kind: self.kind, sdp: self.document.render(candidates, is_complete) }
    }

    pub(super) fn data(&self) -> Option<(usize, &DataSlot)> {
        self.document.data()
    }

    pub(super) fn credentials(&self) -> Option<&Credentials> {
        self.data().map(|(_, data)| &data.credentials)
    }

    pub(super) fn mode(&self) -> ice::Mode {
        if self.document.lite { ice::Mode::Lite } else { ice::Mode::Full }
    }
}

/// An offer that goes on from the current descriptions (RFC 8829 §5.2).
pub(super) fn offer(session_id: u64, current: Option<&Current>, local: &LocalTransport) -> Document {
    let in_use = current.and_then(Current::data_index);
    let sections = current.map_or(&[][..], |current| &current.remote.sections);
    let mut slots: Vec<Slot> = current.map_or_else(Vec::new, |current| current.local.document.slots.clone());
    let data = |proto: &str, formats: &str, mid: String| {
        Slot::Data(data_slot(local, proto, formats, Some(mid), Setup::ActPass))
    };
    // What was rejected stays so: port 0, whatever else the peer's section holds by now.
    for (slot, section) in slots.iter_mut().zip(sections) {
        *slot = rejected(section);
    }
    if let Some(index) = in_use {
        let section = sections.get(index);
        let mid = section.and_then(|section| section.mid.clone()).unwrap_or_else(|| unused_mid(&slots));
        let proto = section.map_or(PROTO, |section| &section.proto);
        let slot = data(proto, FORMAT, mid);
        if let Some(place) = slots.get_mut(index) {
            *place = slot;
        }
    } else if local.wants_data {
        let slot = data(PROTO, FORMAT, unused_mid(&slots));
        // RFC 8829 §5.2.2: a section with a zero port "MUST be recycled", with a new mid.
        let free = sections.iter().position(|section| section.media == "application");
        match free.and_then(|index| slots.get_mut(index)) {
            Some(place) => *place = slot,
            None => slots.push(slot),
        }
    }
    let bundled = slots.iter().any(|slot| matches!(slot, Slot::Data(_)));
    let lite = local.mode == ice::Mode::Lite;
    Document { session_id, version: 0, lite, options: OPTIONS.to_vec(), bundled, slots }
}

/// The answer to an offer (RFC 8829 §5.3): its data section accepted, every other section rejected in its place.
pub(super) fn answer(
    session_id: u64,
    offer: &Remote,
    before: Option<Baseline<'_>>,
    local: &LocalTransport,
) -> Document {
    let setup = answer_setup(offer, before);
    let index = offer.transport().map(|remote| usize::from(remote.mline_index));
    let slot = |(place, section): (usize, &Section)| {
        if index == Some(place) {
            Slot::Data(data_slot(local, &section.proto, &section.formats, section.mid.clone(), setup))
        } else {
            rejected(section)
        }
    };
    let slots = offer.sections.iter().enumerate().map(slot).collect();
    // RFC 8829 §5.3.1: "is only included if such an option was present in the offer".
    let offered = |option: &&str| offer.options.iter().any(|offered| offered == option);
    let options = OPTIONS.iter().copied().filter(offered).collect();
    let lite = local.mode == ice::Mode::Lite;
    Document { session_id, version: 0, lite, options, bundled: offer.bundled, slots }
}

/// `a=setup` of an answer.
fn answer_setup(offer: &Remote, before: Option<Baseline<'_>>) -> Setup {
    let Data::InUse(data) = &offer.data else { return Setup::Active };
    match data.transport.setup {
        Setup::Active => Setup::Passive,
        Setup::Passive => Setup::Active,
        // RFC 8842 §5.3: "an attribute value that does not change the previously negotiated DTLS roles"; RFC 8829
        // §5.3.1: otherwise "the answerer SHOULD use the "active" role".
        Setup::ActPass => match before.filter(|before| data.same_identity(before.remote)) {
            Some(Baseline { agreed, .. }) if agreed.dtls_role == dtls::Role::Server => Setup::Passive,
            Some(_) | None => Setup::Active,
        },
    }
}

fn data_slot(
    local: &LocalTransport,
    proto: &str,
    formats: &str,
    mid: Option<String>,
    setup: Setup,
) -> DataSlot {
    // Before RFC 8841 the format was each side's own SCTP port.
    let legacy = proto == "DTLS/SCTP";
    DataSlot {
        proto: proto.to_owned(),
        formats: if legacy { local.sctp_port.to_string() } else { formats.to_owned() },
        mid,
        credentials: local.credentials.clone(),
        fingerprints: local.fingerprints.clone(),
        setup,
        sctp_port: local.sctp_port,
        max_message_size: local.max_message_size,
    }
}

fn rejected(section: &Section) -> Slot {
    Slot::Rejected {
        media: section.media.clone(),
        proto: section.proto.clone(),
        formats: section.formats.clone(),
        mid: section.mid.clone(),
    }
}

/// The smallest number that is no mid yet: `0` in a first offer.
fn unused_mid(slots: &[Slot]) -> String {
    let mut number = 0_u32;
    loop {
        let mid = number.to_string();
        if !slots.iter().any(|slot| slot.mid() == Some(&mid)) {
            return mid;
        }
        number += 1;
    }
}

/// Checks that `answer` has a section for each one of our offer (RFC 3264 §6).
pub(super) fn check_answer(offer: &Document, answer: &Remote) -> Result<(), DescriptionError> {
    let refuse = |line, problem| Err(DescriptionError::Unacceptable { line, problem });
    for (index, section) in answer.sections.iter().enumerate() {
        let Some(slot) = offer.slots.get(index) else {
            return refuse(section.line, "the answer has more sections than the offer");
        };
        let media = match slot {
            Slot::Rejected { media, .. } => media.as_str(),
            Slot::Data(_) => "application",
        };
        if section.media != media {
            return refuse(section.line, "the answer has another kind of section here than the offer");
        }
        if section.mid.is_some() && section.mid.as_deref() != slot.mid() {
            return refuse(section.line, "the answer has another mid here than the offer");
        }
    }
    if answer.sections.len() < offer.slots.len() {
        return refuse(answer.last_line, "the answer has fewer sections than the offer");
    }
    Ok(())
}

/// RFC 8841 §4.
const PROTO: &str = "UDP/DTLS/SCTP";
/// RFC 8841 §4.3.
const FORMAT: &str = "webrtc-datachannel";
/// RFC 8829 §5.2.1: "An "a=ice-options" line with the "trickle" and "ice2" options MUST be added".
const OPTIONS: [&str; 2] = ["trickle", "ice2"];
