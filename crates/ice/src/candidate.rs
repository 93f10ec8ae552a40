//! skeleton
use std::net::IpAddr;
use std::str::FromStr;

/// RFC 8839 §5.1 transport
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Transport {
    /// udp
    Udp,
    /// tcp or anything else, lower case
    Other(String),
}

/// connection-address
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CandidateAddress {
    /// literal
    Ip(IpAddr),
    /// mDNS (`….local`) or other name
    Name(String),
}

/// typ
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CandidateKind {
    /// host
    Host,
    /// srflx
    ServerReflexive,
    /// prflx
    PeerReflexive,
    /// relay
    Relayed,
}

/// One candidate (RFC 8445 §5.1, RFC 8839 §5.1). `FromStr` accepts `candidate:…` with or without `a=`; `Display` writes `candidate:…`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Candidate {
    pub foundation: String,
    pub component: u16,
    pub transport: Transport,
    pub priority: u32,
    pub address: CandidateAddress,
    pub port: u16,
    pub kind: CandidateKind,
    pub related: Option<(CandidateAddress, u16)>,
    pub tcp_type: Option<String>,
    /// extension attribute `ufrag`
    pub ufrag: Option<String>,
    /// every other extension attribute, in order
    pub extensions: Vec<(String, String)>,
}

/// Why a candidate was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CandidateError {
    /// grammar
    #[error("candidate line is malformed at field `{field}`")]
    Malformed {
        /// which
        field: &'static str,
    },
    /// limit
    #[error("more than {max} remote candidates")]
    TooMany {
        /// limit
        max: usize,
    },
}

impl FromStr for Candidate {
    type Err = CandidateError;
    #[allow(clippy::todo)]
    fn from_str(_: &str) -> Result<Self, CandidateError> {
        todo!()
    }
}
impl std::fmt::Display for Candidate {
    #[allow(clippy::todo)]
    fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        todo!()
    }
}
