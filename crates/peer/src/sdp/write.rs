//! Writes our own descriptions: RFC 8829 §5.2 and §5.3, RFC 8841 §10, RFC 8842 §5.

use super::Setup;
use std::fmt;
use std::net::IpAddr;
use straits_dtls::Fingerprint;
use straits_ice::{Candidate, CandidateAddress, CandidateKind, Credentials, Transport};

/// One of our descriptions, without candidates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Document {
    pub(crate) session_id: u64,
    pub(crate) version: u64,
    /// `a=ice-lite`.
    pub(crate) lite: bool,
    /// `a=ice-options`: `trickle`, `ice2`.
    pub(crate) options: Vec<&'static str>,
    /// Is the data section in an `a=group:BUNDLE`?
    pub(crate) bundled: bool,
    pub(crate) slots: Vec<Slot>,
}

/// A media section of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Slot {
    /// Not wanted: port 0, kept in its place.
    Rejected { media: String, proto: String, formats: String, mid: Option<String> },
    /// The data section.
    Data(DataSlot),
}

/// The data section of one of our descriptions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DataSlot {
    pub(crate) proto: String,
    pub(crate) formats: String,
    pub(crate) mid: Option<String>,
    pub(crate) credentials: Credentials,
    pub(crate) fingerprints: Vec<Fingerprint>,
    pub(crate) setup: Setup,
    pub(crate) sctp_port: u16,
    pub(crate) max_message_size: usize,
}

impl Document {
    /// The data section and its place.
    pub(crate) fn data(&self) -> Option<(usize, &DataSlot)> {
        self.slots.iter().enumerate().find_map(|(index, slot)| match slot {
            Slot::Data(data) => Some((index, data)),
            Slot::Rejected { .. } => None,
        })
    }

    /// The text, with the candidates known by now.
    pub(crate) fn render(&self, candidates: &[Candidate], end_of_candidates: bool) -> String {
        Rendering { document: self, candidates, end_of_candidates }.to_string()
    }

    fn write_session(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        line(f, format_args!("v=0"))?;
        // RFC 8829 §5.2.1: "SHOULD be set to a non-meaningful address, such as IN IP4 0.0.0.0"
        line(f, format_args!("o=- {} {} IN IP4 0.0.0.0", self.session_id, self.version))?;
        line(f, format_args!("s=-"))?;
        line(f, format_args!("t=0 0"))?;
        if let Some(mid) = self.data().and_then(|(_, data)| data.mid.as_ref()).filter(|_| self.bundled) {
            line(f, format_args!("a=group:BUNDLE {mid}"))?;
        }
        if self.lite {
            line(f, format_args!("a=ice-lite"))?;
        }
        if !self.options.is_empty() {
            line(f, format_args!("a=ice-options:{}", self.options.join(" ")))?;
        }
        Ok(())
    }
}

impl Slot {
    pub(crate) fn mid(&self) -> Option<&str> {
        match self {
            Self::Rejected { mid, .. } => mid.as_deref(),
            Self::Data(data) => data.mid.as_deref(),
        }
    }
}

impl DataSlot {
    fn write(&self, f: &mut fmt::Formatter<'_>, rendering: &Rendering<'_>) -> fmt::Result {
        let candidates = rendering.candidates_of(&self.credentials);
        let (port, address) = default_destination(candidates.clone());
        line(f, format_args!("m=application {port} {} {}", self.proto, self.formats))?;
        let family = if address.is_ipv4() { "IP4" } else { "IP6" };
        line(f, format_args!("c=IN {family} {address}"))?;
        for candidate in candidates {
            line(f, format_args!("a={candidate}"))?;
        }
        if rendering.end_of_candidates {
            line(f, format_args!("a=end-of-candidates"))?;
        }
        line(f, format_args!("a=ice-ufrag:{}", self.credentials.ufrag))?;
        line(f, format_args!("a=ice-pwd:{}", self.credentials.password))?;
        for fingerprint in &self.fingerprints {
            line(f, format_args!("a=fingerprint:{fingerprint}"))?;
        }
        line(f, format_args!("a=setup:{}", self.setup.as_str()))?;
        if let Some(mid) = &self.mid {
            line(f, format_args!("a=mid:{mid}"))?;
        }
        if self.proto == "DTLS/SCTP" {
            // The form of the drafts before RFC 8841: the format is the port.
            line(f, format_args!("a=sctpmap:{} webrtc-datachannel 65535", self.formats))?;
        } else {
            line(f, format_args!("a=sctp-port:{}", self.sctp_port))?;
        }
        line(f, format_args!("a=max-message-size:{}", self.max_message_size))
    }
}

/// A document together with the candidates to show in it.
struct Rendering<'a> {
    document: &'a Document,
    candidates: &'a [Candidate],
    end_of_candidates: bool,
}

impl<'a> Rendering<'a> {
    /// Those of one generation.
    fn candidates_of(
        &self,
        credentials: &'a Credentials,
    ) -> impl Iterator<Item = &'a Candidate> + Clone + 'a {
        let of_generation =
            |candidate: &&Candidate| candidate.ufrag.as_ref().is_none_or(|ufrag| *ufrag == credentials.ufrag);
        self.candidates.iter().filter(of_generation)
    }
}

impl fmt::Display for Rendering<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.document.write_session(f)?;
        for slot in &self.document.slots {
            match slot {
                Slot::Data(data) => data.write(f, self)?,
                Slot::Rejected { media, proto, formats, mid } => {
                    line(f, format_args!("m={media} 0 {proto} {formats}"))?;
                    line(f, format_args!("c=IN IP4 0.0.0.0"))?;
                    if let Some(mid) = mid {
                        line(f, format_args!("a=mid:{mid}"))?;
                    }
                    line(f, format_args!("a=inactive"))?;
                }
            }
        }
        Ok(())
    }
}

fn line(f: &mut fmt::Formatter<'_>, text: fmt::Arguments<'_>) -> fmt::Result {
    f.write_fmt(text)?;
    f.write_str("\r\n")
}

/// Port and address of the default candidate (RFC 8829 §5.2.2, RFC 8839 §4.2.1.2), or what stands for none.
fn default_destination<'a>(candidates: impl Iterator<Item = &'a Candidate>) -> (u16, IpAddr) {
    candidates
        .filter(|candidate| candidate.component == 1 && candidate.transport == Transport::Udp)
        .filter_map(|candidate| match &candidate.address {
            CandidateAddress::Ip(address) => Some((candidate, *address)),
            CandidateAddress::Name(_) => None,
        })
        // The likeliest to work: relayed, then server-reflexive, then host; and IPv4, which RFC 8445 §5.2 leaves to us.
        .max_by_key(|(candidate, address)| {
            let reach = match candidate.kind {
                CandidateKind::Relayed => 3,
                CandidateKind::ServerReflexive => 2,
                CandidateKind::PeerReflexive => 1,
                CandidateKind::Host => 0,
            };
            (reach, address.is_ipv4(), candidate.priority)
        })
        .map_or(NO_DESTINATION, |(candidate, address)| (candidate.port, address))
}

/// RFC 8840 §4.1.1: port 9 and the unspecified address while no candidates are known.
const NO_DESTINATION: (u16, IpAddr) = (9, IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED));
