//! One candidate and its text form (RFC 8445 §5.1, RFC 8839 §5.1).
#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use crate::credentials::is_ice_char;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

/// A transport address at which an agent may be reached, with its properties.
///
/// `FromStr` takes what follows `a=` in SDP and what browsers put in `RTCIceCandidate.candidate`: `candidate:…`, with
/// or without a leading `a=`, and also without `candidate:`. `Display` writes `candidate:…`. Extension attributes are
/// kept; the order of `tcptype` and `ufrag` among them is not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Equal for candidates of the same type, base and server (RFC 8445 §5.1.1.3). 1 to 32 ice-chars.
    pub foundation: String,
    /// Component of the stream, 1 to 256. Data channels have only component 1.
    pub component: u16,
    /// Transport protocol.
    pub transport: Transport,
    /// Priority (RFC 8445 §5.1.2); the highest is the most preferred.
    pub priority: u32,
    /// Where it is reached.
    pub address: CandidateAddress,
    /// The port there.
    pub port: u16,
    /// How it was learnt.
    pub kind: CandidateKind,
    /// `raddr` and `rport`: the base of a reflexive candidate, the mapped address of a relayed one. For diagnosis
    /// only; often hidden as `0.0.0.0` or `::`.
    pub related: Option<(CandidateAddress, u16)>,
    /// Extension attribute `tcptype` (RFC 6544 §4.5).
    pub tcp_type: Option<String>,
    /// Extension attribute `ufrag` (RFC 8838 §19): the generation to which the candidate belongs.
    pub ufrag: Option<String>,
    /// Every other extension attribute, in order: `generation`, `network-id`, `network-cost`, …
    pub extensions: Vec<(String, String)>,
}

impl Candidate {
    /// The address to which checks are sent: `None` unless it is component 1 over UDP at a literal address that can be
    /// one host's.
    pub fn udp_address(&self) -> Option<SocketAddr> {
        let CandidateAddress::Ip(ip) = self.address else {
            return None;
        };
        let usable =
            self.component == 1 && self.transport == Transport::Udp && self.port != 0 && is_usable(ip);
        usable.then(|| SocketAddr::new(ip, self.port))
    }
}

/// Can the address be one host's?
pub(crate) fn is_usable(ip: IpAddr) -> bool {
    let is_broadcast = matches!(ip, IpAddr::V4(v4) if v4.is_broadcast());
    let is_mapped = matches!(ip, IpAddr::V6(v6) if v6.to_ipv4_mapped().is_some());
    !(ip.is_unspecified() || ip.is_multicast() || is_broadcast || is_mapped)
}

/// The transport protocol of a candidate (RFC 8839 §5.1).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Transport {
    /// UDP.
    Udp,
    /// TCP (RFC 6544) or anything else, in lower case.
    Other(String),
}

/// The connection-address of a candidate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CandidateAddress {
    /// A literal address.
    Ip(IpAddr),
    /// An mDNS name (`….local`, which browsers use to hide host addresses) or another name.
    Name(String),
}

/// How a candidate was learnt (RFC 8445 §5.1.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CandidateKind {
    /// `host`: bound on an interface.
    Host,
    /// `srflx`: seen by a STUN server.
    ServerReflexive,
    /// `prflx`: seen by the peer.
    PeerReflexive,
    /// `relay`: allocated on a TURN server.
    Relayed,
}

/// Why a candidate was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CandidateError {
    /// The text does not have the syntax of RFC 8839 §5.1.
    #[error("candidate line is malformed at field `{field}`")]
    Malformed {
        /// The first field that is missing or wrong.
        field: &'static str,
    },
    /// The limit of [`Config::max_remote_candidates`](crate::Config::max_remote_candidates) is reached.
    #[error("more than {max} remote candidates")]
    TooMany {
        /// The limit.
        max: usize,
    },
}

impl FromStr for Candidate {
    type Err = CandidateError;

    fn from_str(text: &str) -> Result<Self, CandidateError> {
        let text = text.trim_ascii();
        if text.bytes().any(|byte| byte.is_ascii_control()) {
            return Err(malformed("line"));
        }
        let text = text.strip_prefix("a=").unwrap_or(text);
        let mut fields = Fields(text.strip_prefix("candidate:").unwrap_or(text).split_ascii_whitespace());
        let mut candidate = Self {
            foundation: fields.parse("foundation", parse_foundation)?,
            component: fields.parse("component", parse_component)?,
            transport: fields.parse("transport", parse_transport)?,
            priority: fields.parse("priority", parse_number)?,
            address: fields.parse("address", |field| Some(parse_address(field)))?,
            port: fields.parse("port", parse_number)?,
            kind: fields.parse_kind()?,
            related: None,
            tcp_type: None,
            ufrag: None,
            extensions: Vec::new(),
        };
        candidate.parse_extensions(&mut fields)?;
        Ok(candidate)
    }
}

impl Candidate {
    fn parse_extensions(&mut self, fields: &mut Fields<'_>) -> Result<(), CandidateError> {
        let mut is_first = true;
        while !fields.is_empty() {
            let name = fields.parse("extension", Some)?;
            let value = fields.parse("extension", Some)?;
            match name {
                "raddr" if is_first => {
                    fields.parse("rport", |field| (field == "rport").then_some(()))?;
                    self.related = Some((parse_address(value), fields.parse("rport", parse_number)?));
                }
                "tcptype" if self.tcp_type.is_none() => self.tcp_type = Some(value.to_owned()),
                "ufrag" if self.ufrag.is_none() => self.ufrag = Some(value.to_owned()),
                _ if self.extensions.len() >= MAX_EXTENSIONS => return Err(malformed("extension")),
                _ => self.extensions.push((name.to_owned(), value.to_owned())),
            }
            is_first = false;
        }
        Ok(())
    }
}

impl fmt::Display for Candidate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { foundation, component, transport, priority, address, port, kind, .. } = self;
        write!(f, "candidate:{foundation} {component} {transport} {priority} {address} {port} typ {kind}")?;
        if let Some((address, port)) = &self.related {
            write!(f, " raddr {address} rport {port}")?;
        }
        if let Some(tcp_type) = &self.tcp_type {
            write!(f, " tcptype {tcp_type}")?;
        }
        if let Some(ufrag) = &self.ufrag {
            write!(f, " ufrag {ufrag}")?;
        }
        self.extensions.iter().try_for_each(|(name, value)| write!(f, " {name} {value}"))
    }
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Udp => "udp",
            Self::Other(name) => name,
        })
    }
}

impl fmt::Display for CandidateAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(ip) => ip.fmt(f),
            Self::Name(name) => f.write_str(name),
        }
    }
}

impl fmt::Display for CandidateKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Host => "host",
            Self::ServerReflexive => "srflx",
            Self::PeerReflexive => "prflx",
            Self::Relayed => "relay",
        })
    }
}

/// The fields of a line, one by one.
struct Fields<'a>(std::str::SplitAsciiWhitespace<'a>);

impl<'a> Fields<'a> {
    fn parse<T>(
        &mut self,
        field: &'static str,
        parse: impl FnOnce(&'a str) -> Option<T>,
    ) -> Result<T, CandidateError> {
        let text = self.0.next().filter(|text| text.len() <= MAX_FIELD);
        text.and_then(parse).ok_or(malformed(field))
    }

    fn is_empty(&self) -> bool {
        self.0.clone().next().is_none()
    }

    fn parse_kind(&mut self) -> Result<CandidateKind, CandidateError> {
        self.parse("typ", |field| (field == "typ").then_some(()))?;
        self.parse("typ", |field| match field {
            "host" => Some(CandidateKind::Host),
            "srflx" => Some(CandidateKind::ServerReflexive),
            "prflx" => Some(CandidateKind::PeerReflexive),
            "relay" => Some(CandidateKind::Relayed),
            _ => None,
        })
    }
}

fn parse_foundation(field: &str) -> Option<String> {
    // RFC 8839 §5.1: "foundation = 1*32ice-char"
    (field.len() <= 32 && field.bytes().all(is_ice_char)).then(|| field.to_owned())
}

fn parse_component(field: &str) -> Option<u16> {
    // RFC 8839 §5.1: "a positive integer between 1 and 256 (inclusive)"
    parse_number(field).filter(|component| (1..=256).contains(component))
}

fn parse_transport(field: &str) -> Option<Transport> {
    let name = field.to_ascii_lowercase();
    Some(if name == "udp" { Transport::Udp } else { Transport::Other(name) })
}

fn parse_address(field: &str) -> CandidateAddress {
    match field.parse() {
        Ok(ip) => CandidateAddress::Ip(ip),
        Err(_) => CandidateAddress::Name(field.to_owned()),
    }
}

/// Digits only: `FromStr` of the integers would also take a sign.
fn parse_number<T: FromStr>(field: &str) -> Option<T> {
    if !field.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    field.parse().ok()
}

fn malformed(field: &'static str) -> CandidateError {
    CandidateError::Malformed { field }
}

/// Longest field taken, in bytes. Names are shorter than 256 (RFC 1035 §2.3.4); the RFC has no limit for extensions.
const MAX_FIELD: usize = 256;
/// Most extension attributes taken. Browsers send up to four.
const MAX_EXTENSIONS: usize = 32;
