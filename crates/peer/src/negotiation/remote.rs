//! A remote description: reads and checks what the peer's data section says.
#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use super::types::RemoteTransport;
use crate::sdp::{Attribute, Section as Parsed, Session, Setup, all, single};
use crate::{DescriptionError, SdpType, SessionDescription};
use std::fmt;
use straits_dtls::{Fingerprint, FingerprintError};
use straits_ice::{self as ice, Candidate, Credentials};

/// A remote description that was understood.
#[derive(Clone)]
pub(super) struct Remote {
    pub(super) kind: SdpType,
    pub(super) text: String,
    pub(super) session_id: String,
    pub(super) last_line: usize,
    pub(super) sections: Vec<Section>,
    /// `a=ice-options`, of the session and of all sections.
    pub(super) options: Vec<String>,
    /// Is the data section in an `a=group:BUNDLE`?
    pub(super) bundled: bool,
    pub(super) data: Data,
}

/// Without the text, which has the ICE password.
impl fmt::Debug for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, sections, data, .. } = self;
        f.debug_struct("Remote")
            .field("kind", kind)
            .field("sections", sections)
            .field("data", data)
            .finish_non_exhaustive()
    }
}

/// The data section of a remote description.
#[derive(Clone, Debug)]
pub(super) enum Data {
    /// There is none.
    Absent,
    /// At the place where it was or might be, port 0.
    Disabled,
    InUse(Box<InUse>),
}

/// A data section in use, and where it says what.
#[derive(Clone, Debug)]
pub(super) struct InUse {
    pub(super) transport: RemoteTransport,
    fingerprint_line: usize,
    setup_line: usize,
}

/// A media section of a remote description.
#[derive(Clone, Debug)]
pub(super) struct Section {
    pub(super) line: usize,
    pub(super) media: String,
    pub(super) proto: String,
    pub(super) formats: String,
    pub(super) mid: Option<String>,
    pub(super) ufrag: Option<String>,
    pub(super) end_of_candidates: bool,
    pub(super) candidates: usize,
    last_line: usize,
    /// `a=` lines that trickled in.
    pub(super) added: Vec<String>,
}

/// Where to look for the data section.
#[derive(Clone, Copy, Debug)]
pub(super) enum Place {
    /// The first that is offered.
    First,
    /// At this index only: it was negotiated, or offered, there.
    At(usize),
    /// Nowhere: our offer had none.
    Nowhere,
}

impl Remote {
    pub(super) fn parse(kind: SdpType, text: &str, place: Place) -> Result<Self, DescriptionError> {
        let session = Session::parse(text)?;
        check_mids(&session)?;
        let index = match place {
            Place::First => {
                session.sections.iter().position(|section| section.is_data() && !section.is_disabled())
            }
            Place::At(index) => Some(index),
            Place::Nowhere => None,
        };
        let mut sections = Vec::with_capacity(session.sections.len());
        for section in &session.sections {
            sections.push(Section::read(&session, section)?);
        }
        let found = index.and_then(|index| session.sections.get(index).map(|section| (index, section)));
        let (data, bundled) = match found {
            None => (Data::Absent, false),
            Some((_, section)) if section.is_disabled() => (Data::Disabled, false),
            Some((_, section)) if !section.is_data() => {
                return Err(DescriptionError::Unacceptable {
                    line: section.line,
                    problem: "this must be the data section",
                });
            }
            Some((index, section)) => {
                let reader = Reader::new(&session, section)?;
                (Data::InUse(Box::new(reader.read(kind, index)?)), reader.bundled)
            }
        };
        let options = session.sections.iter().flat_map(|section| all(&section.attributes, "ice-options"));
        let options = all(&session.attributes, "ice-options").chain(options);
        let options =
            options.flat_map(|attribute| attribute.value.split([' ', ','])).map(str::to_owned).collect();
        Ok(Self {
            kind,
            text: text.to_owned(),
            session_id: session.session_id.to_owned(),
            last_line: session.last_line,
            sections,
            options,
            bundled,
            data,
        })
    }

    pub(super) fn transport(&self) -> Option<&RemoteTransport> {
        match &self.data {
            Data::InUse(data) => Some(&data.transport),
            Data::Absent | Data::Disabled => None,
        }
    }

    pub(super) fn description(&self) -> SessionDescription {
        SessionDescription { kind: self.kind, sdp: self.render() }
    }

    /// The text, each section followed by what trickled in for it.
    fn render(&self) -> String {
        let end = if self.text.contains("\r\n") { "\r\n" } else { "\n" };
        let mut text = String::with_capacity(self.text.len());
        let mut sections = self.sections.iter().peekable();
        for (index, line) in self.text.split_inclusive('\n').enumerate() {
            text.push_str(line);
            let Some(section) = sections.next_if(|section| section.last_line == index.saturating_add(1))
            else {
                continue;
            };
            for added in &section.added {
                if !text.ends_with('\n') {
                    // The last line may lack its end, or have half of one.
                    text.truncate(text.trim_end_matches('\r').len());
                    text.push_str(end);
                }
                text.push_str("a=");
                text.push_str(added);
                text.push_str(end);
            }
        }
        text
    }
}

impl InUse {
    /// Does this description ask for another DTLS association than the one that `before` led to (RFC 8842 §3.1)?
    ///
    /// # Errors
    /// If what asks for it makes no sense without an ICE restart, or `accept` is false.
    pub(super) fn new_association(
        &self,
        before: &RemoteTransport,
        same_roles: bool,
        accept: bool,
    ) -> Result<bool, DescriptionError> {
        let refuse = |line, problem| Err(DescriptionError::Unacceptable { line, problem });
        let now = &self.transport;
        let same_identity = self.same_identity(before);
        if same_identity && same_roles {
            return Ok(false);
        }
        let line = if same_identity { self.setup_line } else { self.fingerprint_line };
        // RFC 8842 §6: "at least one of the endpoints MUST allocate a completely new set of ICE candidates"
        if now.credentials == before.credentials {
            return refuse(line, "a new DTLS association needs an ICE restart");
        }
        if !accept {
            return refuse(line, "the DTLS association of this connection cannot be replaced");
        }
        Ok(true)
    }
}

impl InUse {
    /// Is the peer's end of the DTLS association the same as `before`?
    pub(super) fn same_identity(&self, before: &RemoteTransport) -> bool {
        let now = &self.transport;
        same_fingerprints(&now.fingerprints, &before.fingerprints)
            && (now.tls_id == before.tls_id || now.tls_id.is_none() || before.tls_id.is_none())
    }
}

impl Section {
    fn read(session: &Session<'_>, section: &Parsed<'_>) -> Result<Self, DescriptionError> {
        let reader = Reader::new(session, section)?;
        let candidates = all(&section.attributes, "candidate").count();
        if candidates > MAX_CANDIDATES {
            return Err(DescriptionError::TooLarge { what: "candidates in a section", max: MAX_CANDIDATES });
        }
        Ok(Self {
            line: section.line,
            media: section.media.to_owned(),
            proto: section.proto.to_owned(),
            formats: section.formats.to_owned(),
            mid: section.mid()?.map(str::to_owned),
            ufrag: reader.find("ice-ufrag")?.map(|ufrag| ufrag.value.to_owned()),
            end_of_candidates: all(&section.attributes, "end-of-candidates").next().is_some(),
            candidates,
            last_line: section.last_line,
            added: Vec::new(),
        })
    }
}

/// Looks up what applies to one section.
struct Reader<'s, 'a> {
    session: &'s Session<'a>,
    section: &'s Parsed<'a>,
    /// The first section of its BUNDLE group, if it is another: it has the transport's attributes (RFC 9143 §7.1.3).
    tagged: Option<&'s Parsed<'a>>,
    bundled: bool,
}

impl<'s, 'a> Reader<'s, 'a> {
    fn new(session: &'s Session<'a>, section: &'s Parsed<'a>) -> Result<Self, DescriptionError> {
        let mut tag = None;
        if let Some(mid) = section.mid()? {
            let mut groups = session.bundles().map(Iterator::collect::<Vec<_>>);
            tag = groups.find(|group| group.contains(&mid)).and_then(|group| group.first().copied());
        }
        let bundled = tag.is_some();
        let mut tagged = None;
        for other in &session.sections {
            if tag.is_some() && other.mid()? == tag && other.line != section.line {
                tagged = Some(other);
            }
        }
        Ok(Self { session, section, tagged, bundled })
    }

    /// The attributes of the section, of the session, and of the section it is bundled into.
    fn levels(&self) -> impl Iterator<Item = &'s [Attribute<'a>]> {
        let tagged = self.tagged.map(|section| section.attributes.as_slice());
        [Some(self.section.attributes.as_slice()), Some(self.session.attributes.as_slice()), tagged]
            .into_iter()
            .flatten()
    }

    fn find(&self, name: &'s str) -> Result<Option<&'s Attribute<'a>>, DescriptionError> {
        for attributes in self.levels() {
            if let Some(found) = single(attributes, name)? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    fn read(&self, kind: SdpType, index: usize) -> Result<InUse, DescriptionError> {
        let credentials = self.credentials()?;
        let (fingerprints, fingerprint_line) = self.fingerprints()?;
        let (setup, setup_line) = self.setup(kind)?;
        let sctp_port = self.sctp_port()?;
        let lite = all(&self.session.attributes, "ice-lite").next().is_some();
        let options = self.levels().flat_map(|attributes| all(attributes, "ice-options"));
        let mut options = options.flat_map(|attribute| attribute.value.split([' ', ',']));
        let transport = RemoteTransport {
            mode: if lite { ice::Mode::Lite } else { ice::Mode::Full },
            fingerprints,
            setup,
            sctp_port,
            max_message_size: self.max_message_size()?,
            candidates: self.candidates(&credentials.ufrag)?,
            end_of_candidates: all(&self.section.attributes, "end-of-candidates").next().is_some(),
            trickle: options.any(|option| option == "trickle"),
            tls_id: self.tls_id()?,
            mid: self.section.mid()?.map(str::to_owned),
            mline_index: u16::try_from(index).unwrap_or(u16::MAX),
            credentials,
        };
        Ok(InUse { transport, fingerprint_line, setup_line })
    }

    fn missing(&self, problem: &'static str) -> DescriptionError {
        DescriptionError::Unacceptable { line: self.section.line, problem }
    }

    fn credentials(&self) -> Result<Credentials, DescriptionError> {
        let ufrag =
            self.find("ice-ufrag")?.ok_or_else(|| self.missing("the data section has no `a=ice-ufrag`"))?;
        let password =
            self.find("ice-pwd")?.ok_or_else(|| self.missing("the data section has no `a=ice-pwd`"))?;
        // RFC 8839 §5.4: ufrag = 4*256ice-char, password = 22*256ice-char
        for (attribute, min) in [(ufrag, 4), (password, 22)] {
            let wrong = |problem| Err(DescriptionError::InvalidCredentials { line: attribute.line, problem });
            if !(min..=256).contains(&attribute.value.len()) {
                return wrong("an ufrag has 4 to 256 characters, a password 22 to 256");
            }
            if !attribute.value.bytes().all(is_ice_char) {
                return wrong("a character that is no ice-char");
            }
        }
        Ok(Credentials { ufrag: ufrag.value.to_owned(), password: password.value.to_owned() })
    }

    /// RFC 8122 §5: those of the section, else those of the session; foreign hash functions are passed over.
    fn fingerprints(&self) -> Result<(Vec<Fingerprint>, usize), DescriptionError> {
        let mut line = None;
        let mut fingerprints = Vec::new();
        for attributes in self.levels() {
            for attribute in all(attributes, "fingerprint") {
                line.get_or_insert(attribute.line);
                match attribute.value.parse() {
                    Ok(fingerprint) => fingerprints.push(fingerprint),
                    Err(FingerprintError::UnsupportedFunction) => {}
                    Err(FingerprintError::Malformed) => return Err(attribute.syntax("malformed fingerprint")),
                    Err(FingerprintError::WrongLength) => {
                        return Err(
                            attribute.syntax("the fingerprint has the wrong length for its hash function")
                        );
                    }
                }
            }
            if line.is_some() {
                break;
            }
        }
        let line = line.ok_or_else(|| self.missing("the data section has no `a=fingerprint`"))?;
        if fingerprints.is_empty() {
            let problem = "no fingerprint with sha-256, sha-384 or sha-512";
            return Err(DescriptionError::Unacceptable { line, problem });
        }
        Ok((fingerprints, line))
    }

    fn setup(&self, kind: SdpType) -> Result<(Setup, usize), DescriptionError> {
        let answer = matches!(kind, SdpType::Answer | SdpType::ProvisionalAnswer);
        let Some(attribute) = self.find("setup")? else {
            // RFC 4145 §4: the default is `active` in an offer and `passive` in an answer.
            return Ok((if answer { Setup::Passive } else { Setup::Active }, self.section.line));
        };
        let setup = match attribute.value {
            // RFC 8829 §5.3.1: "The role value in the answer MUST be "active" or "passive"."
            "actpass" if answer => return Err(attribute.unacceptable("an answer cannot leave the role open")),
            "actpass" => Setup::ActPass,
            "active" => Setup::Active,
            "passive" => Setup::Passive,
            "holdconn" => return Err(attribute.unacceptable("`holdconn` is not supported")),
            _ => return Err(attribute.syntax("`a=setup` has an unknown value")),
        };
        Ok((setup, attribute.line))
    }

    /// RFC 8841 §5, or the format of the `m=` line in the drafts before it.
    fn sctp_port(&self) -> Result<u16, DescriptionError> {
        let (value, line) = match single(&self.section.attributes, "sctp-port")? {
            _ if self.section.proto == "DTLS/SCTP" => (self.section.formats, self.section.line),
            Some(attribute) => (attribute.value, attribute.line),
            None => return Ok(DEFAULT_SCTP_PORT),
        };
        match value.parse() {
            Ok(0) => {
                Err(DescriptionError::Unacceptable { line, problem: "SCTP port 0 closes the association" })
            }
            Ok(port) => Ok(port),
            Err(_) => Err(DescriptionError::Syntax { line, problem: "bad SCTP port" }),
        }
    }

    fn max_message_size(&self) -> Result<Option<usize>, DescriptionError> {
        let Some(attribute) = single(&self.section.attributes, "max-message-size")? else {
            // RFC 8841 §6.1: "If the SDP "max-message-size" attribute is not present, the default value is 64K."
            return Ok(Some(DEFAULT_MAX_MESSAGE_SIZE));
        };
        let digits = attribute.value;
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(attribute.syntax("`a=max-message-size` must be a number"));
        }
        // RFC 8841 §6.1: zero "indicates that the SCTP endpoint will handle messages of any size".
        Ok(match digits.parse().unwrap_or(usize::MAX) {
            0 => None,
            size => Some(size),
        })
    }

    fn candidates(&self, ufrag: &str) -> Result<Vec<Candidate>, DescriptionError> {
        let mut candidates = Vec::new();
        let own = all(&self.section.attributes, "ice-ufrag").next().is_some();
        let tagged = self.tagged.filter(|_| !own).into_iter();
        let lines = tagged.flat_map(|section| all(&section.attributes, "candidate"));
        for attribute in all(&self.section.attributes, "candidate").chain(lines) {
            // `a=candidate:…` is what the candidate's own grammar starts with.
            let text = format!("candidate:{}", attribute.value);
            let candidate: Candidate = text.parse().map_err(|_| attribute.syntax("malformed candidate"))?;
            if candidate.ufrag.as_deref().is_none_or(|of| of == ufrag) {
                candidates.push(candidate);
            }
        }
        Ok(candidates)
    }

    fn tls_id(&self) -> Result<Option<String>, DescriptionError> {
        let Some(attribute) = self.find("tls-id")? else { return Ok(None) };
        // RFC 8842 §4: tls-id-value = 20*255(tls-id-char)
        let is_char = |byte: u8| byte.is_ascii_alphanumeric() || b"+/-_".contains(&byte);
        if !(20..=255).contains(&attribute.value.len()) || !attribute.value.bytes().all(is_char) {
            return Err(attribute.syntax("`a=tls-id` has 20 to 255 characters of its own set"));
        }
        Ok(Some(attribute.value.to_owned()))
    }
}

/// RFC 8839 §5.1: ice-char = ALPHA / DIGIT / "+" / "/"
fn is_ice_char(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'+' || byte == b'/'
}

/// RFC 5888 §4: a mid names one section.
fn check_mids(session: &Session<'_>) -> Result<(), DescriptionError> {
    let mut seen = Vec::new();
    for section in &session.sections {
        let Some(mid) = section.mid()? else { continue };
        if seen.contains(&mid) {
            return Err(DescriptionError::DuplicateMid { line: section.line });
        }
        seen.push(mid);
    }
    Ok(())
}

fn same_fingerprints(a: &[Fingerprint], b: &[Fingerprint]) -> bool {
    a.iter().all(|fingerprint| b.contains(fingerprint)) && b.iter().all(|fingerprint| a.contains(fingerprint))
}

/// Most candidates in one section, trickled ones included.
pub(super) const MAX_CANDIDATES: usize = 100;
/// What every implementation uses (RFC 8841 names no default).
const DEFAULT_SCTP_PORT: u16 = 5000;
/// RFC 8841 §6.1.
const DEFAULT_MAX_MESSAGE_SIZE: usize = 65536;
