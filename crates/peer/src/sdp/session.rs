//! The shape of a description: session part and media sections, RFC 8866 §5. What attributes mean is for their
//! readers.
#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use super::lexer::{Lexer, Line};
use crate::DescriptionError;

/// A description, cut into its parts; borrows the text.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Session<'a> {
    /// Of `o=`: stays the same in all descriptions of one side's session (RFC 8829 §5.2.2).
    pub(crate) session_id: &'a str,
    /// Number of the last line.
    pub(crate) last_line: usize,
    /// `a=` lines before the first `m=`.
    pub(crate) attributes: Vec<Attribute<'a>>,
    /// One per `m=` line, in order.
    pub(crate) sections: Vec<Section<'a>>,
}

/// An `m=` line and what follows it, RFC 8866 §5.14.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Section<'a> {
    /// Number of the `m=` line.
    pub(crate) line: usize,
    /// Number of the last line of the section.
    pub(crate) last_line: usize,
    /// `audio`, `video`, `application`, ….
    pub(crate) media: &'a str,
    /// 0: rejected, or bundle-only.
    pub(crate) port: u16,
    /// `UDP/DTLS/SCTP`, ….
    pub(crate) proto: &'a str,
    /// What follows the protocol, as one text.
    pub(crate) formats: &'a str,
    /// `a=` lines.
    pub(crate) attributes: Vec<Attribute<'a>>,
}

/// `a=<name>` or `a=<name>:<value>`, RFC 8866 §5.13.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Attribute<'a> {
    pub(crate) line: usize,
    pub(crate) name: &'a str,
    /// Without surrounding spaces; empty if there is none.
    pub(crate) value: &'a str,
}

impl<'a> Session<'a> {
    /// Reads the lines of a description.
    ///
    /// # Errors
    /// [`DescriptionError::Syntax`], [`DescriptionError::TooLarge`].
    pub(crate) fn parse(text: &'a str) -> Result<Self, DescriptionError> {
        if text.len() > MAX_TEXT {
            return Err(DescriptionError::TooLarge { what: "bytes", max: MAX_TEXT });
        }
        let mut lines = Lexer::new(text);
        // RFC 8866 §5: "v=", "o=" and "s=" come first, in this order.
        version(expect(&mut lines, 'v', 1, "a description starts with `v=0`")?)?;
        let session_id = origin(expect(&mut lines, 'o', 2, "the second line must be `o=`")?)?;
        expect(&mut lines, 's', 3, "the third line must be `s=`")?;
        let mut session = Self { session_id, last_line: 3, attributes: Vec::new(), sections: Vec::new() };
        let mut has_time = false;
        for line in lines {
            let line = line?;
            session.last_line = line.number;
            has_time |= line.kind == 't';
            if line.kind == 'm' && !has_time {
                return Err(syntax(line, "no `t=` before the first `m=`"));
            }
            session.push(line)?;
        }
        if !has_time {
            return Err(DescriptionError::Syntax { line: session.last_line, problem: "no `t=`" });
        }
        Ok(session)
    }

    fn push(&mut self, line: Line<'a>) -> Result<(), DescriptionError> {
        match line.kind {
            'm' if self.sections.len() == MAX_SECTIONS => {
                return Err(DescriptionError::TooLarge { what: "media sections", max: MAX_SECTIONS });
            }
            'm' => self.sections.push(Section::parse(line)?),
            'a' => {
                let attribute = Attribute::parse(line)?;
                match self.sections.last_mut() {
                    Some(section) => section.attributes.push(attribute),
                    None => self.attributes.push(attribute),
                }
            }
            'c' => connection(line)?,
            'b' if !line.value.contains(':') => return Err(syntax(line, "`b=` needs a type and a value")),
            'b' | 'i' | 'k' => {}
            // Of the session part only.
            't' | 'u' | 'e' | 'p' | 'r' | 'z' if self.sections.is_empty() => {}
            'v' | 'o' | 's' => return Err(syntax(line, "this line may stand only at the top")),
            't' | 'u' | 'e' | 'p' | 'r' | 'z' => {
                return Err(syntax(line, "this line may not stand in a media section"));
            }
            _ => return Err(syntax(line, "unknown line type")),
        }
        if let Some(section) = self.sections.last_mut() {
            section.last_line = line.number;
        }
        Ok(())
    }

    /// The mids of each `a=group:BUNDLE` (RFC 9143 §5).
    pub(crate) fn bundles(&self) -> impl Iterator<Item = impl Iterator<Item = &'a str> + use<'a>> {
        self.attributes.iter().filter(|attribute| attribute.name == "group").filter_map(|attribute| {
            let mut words = attribute.value.split_ascii_whitespace();
            (words.next() == Some("BUNDLE")).then_some(words)
        })
    }
}

impl<'a> Section<'a> {
    fn parse(line: Line<'a>) -> Result<Self, DescriptionError> {
        let mut fields = line.value.trim_end().splitn(4, ' ');
        let mut field = |problem| fields.next().filter(|text| !text.is_empty()).ok_or(syntax(line, problem));
        let media = field("`m=` has no media type")?;
        let port = field("`m=` has no port")?;
        let proto = field("`m=` has no protocol")?;
        let formats = field("`m=` has no format")?;
        // RFC 8866 §5.14: `<port>/<number of ports>` for layered media.
        let port = port.split_once('/').map_or(port, |(port, _)| port);
        let port = port.parse().map_err(|_| syntax(line, "`m=` has a bad port"))?;
        Ok(Self {
            line: line.number,
            last_line: line.number,
            media,
            port,
            proto,
            formats,
            attributes: Vec::new(),
        })
    }

    /// Is this a section that the offerer or answerer does not want (RFC 3264 §6)?
    pub(crate) fn is_disabled(&self) -> bool {
        // RFC 9143 §6: port zero means something else in a `bundle-only` section.
        self.port == 0 && !self.attributes.iter().any(|attribute| attribute.name == "bundle-only")
    }

    /// Does it carry data channels: RFC 8841 §4, or the `DTLS/SCTP <port>` of the drafts before it?
    pub(crate) fn is_data(&self) -> bool {
        self.media == "application"
            && match self.proto {
                "UDP/DTLS/SCTP" | "TCP/DTLS/SCTP" => self.formats == "webrtc-datachannel",
                "DTLS/SCTP" => {
                    let mut map = all(&self.attributes, "sctpmap")
                        .map(|attribute| attribute.value.split_ascii_whitespace())
                        .map(|mut words| (words.next(), words.next()));
                    map.any(|entry| entry == (Some(self.formats), Some("webrtc-datachannel")))
                }
                _ => false,
            }
    }

    /// `a=mid` (RFC 5888 §4).
    pub(crate) fn mid(&self) -> Result<Option<&'a str>, DescriptionError> {
        let Some(mid) = single(&self.attributes, "mid")? else { return Ok(None) };
        if mid.value.is_empty() || mid.value.contains(char::is_whitespace) {
            return Err(mid.syntax("`a=mid` must be one word"));
        }
        Ok(Some(mid.value))
    }
}

impl<'a> Attribute<'a> {
    fn parse(line: Line<'a>) -> Result<Self, DescriptionError> {
        let (name, value) = line.value.split_once(':').unwrap_or((line.value, ""));
        if name.is_empty() {
            return Err(syntax(line, "an attribute has no name"));
        }
        Ok(Self { line: line.number, name: name.trim_end(), value: value.trim() })
    }

    pub(crate) fn syntax(&self, problem: &'static str) -> DescriptionError {
        DescriptionError::Syntax { line: self.line, problem }
    }

    pub(crate) fn unacceptable(&self, problem: &'static str) -> DescriptionError {
        DescriptionError::Unacceptable { line: self.line, problem }
    }
}

/// All attributes of that name, in order.
pub(crate) fn all<'s, 'a>(
    attributes: &'s [Attribute<'a>],
    name: &'s str,
) -> impl Iterator<Item = &'s Attribute<'a>> {
    attributes.iter().filter(move |attribute| attribute.name == name)
}

/// The one attribute of that name; two would be ambiguous (RFC 8829 §5.8: "a single … line").
pub(crate) fn single<'s, 'a>(
    attributes: &'s [Attribute<'a>],
    name: &'s str,
) -> Result<Option<&'s Attribute<'a>>, DescriptionError> {
    let mut found = all(attributes, name);
    let first = found.next();
    match found.next() {
        Some(second) => Err(second.syntax("this attribute may stand only once")),
        None => Ok(first),
    }
}

fn expect<'a>(
    lines: &mut Lexer<'a>,
    kind: char,
    number: usize,
    problem: &'static str,
) -> Result<Line<'a>, DescriptionError> {
    match lines.next() {
        Some(Ok(line)) if line.kind == kind => Ok(line),
        Some(Err(error)) => Err(error),
        Some(Ok(_)) | None => Err(DescriptionError::Syntax { line: number, problem }),
    }
}

fn version(line: Line<'_>) -> Result<(), DescriptionError> {
    if line.value == "0" { Ok(()) } else { Err(syntax(line, "a description starts with `v=0`")) }
}

/// `o=<username> <sess-id> <sess-version> <nettype> <addrtype> <unicast-address>`, RFC 8866 §5.2: gives the
/// session id.
fn origin(line: Line<'_>) -> Result<&str, DescriptionError> {
    let mut fields = line.value.split(' ').filter(|field| !field.is_empty());
    let mut field = || fields.next().ok_or(syntax(line, "`o=` has six fields"));
    field()?;
    let (id, version) = (field()?, field()?);
    for number in [id, version] {
        if !number.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(syntax(line, "`o=` has a bad session id or version"));
        }
    }
    for _ in 0..3 {
        field()?;
    }
    Ok(id)
}

/// `c=<nettype> <addrtype> <connection-address>`, RFC 8866 §5.7; ICE has the addresses, so only the form is checked.
fn connection(line: Line<'_>) -> Result<(), DescriptionError> {
    if line.value.split_ascii_whitespace().count() == 3 {
        Ok(())
    } else {
        Err(syntax(line, "`c=` has three fields"))
    }
}

fn syntax(line: Line<'_>, problem: &'static str) -> DescriptionError {
    DescriptionError::Syntax { line: line.number, problem }
}

/// Largest description, in bytes. Real ones with audio, video and data stay below 20 KiB.
const MAX_TEXT: usize = 64 * 1024;
/// Most media sections in a description.
const MAX_SECTIONS: usize = 100;
