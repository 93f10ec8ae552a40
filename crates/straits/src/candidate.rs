//! Candidates as signalling carries them, and what went wrong in finding some.

use crate::names::names;
use crate::{Error, ErrorName, IceServer};
use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use straits_peer as core;
use straits_peer::ice::{Candidate, CandidateKind, Transport};

/// `RTCIceCandidate` (W3C webrtc-pc §4.8.1) as it travels through signalling.
///
/// As JSON it is what `RTCIceCandidate.toJSON()` gives in a browser; members that are missing there read as `None`. It is the
/// `RTCIceCandidateInit` of that text, too. The parts of [`candidate`](Self::candidate) are read by methods, which are `None`
/// when the text is empty or no candidate.
///
/// ```
/// # fn main() -> Result<(), serde_json::Error> {
/// use straits::IceCandidate;
///
/// let candidate: IceCandidate = serde_json::from_str(r#"{"candidate":"","sdpMid":"0"}"#)?;
/// assert_eq!(candidate.sdp_mid.as_deref(), Some("0"));
/// assert_eq!(
///     serde_json::to_string(&candidate)?,
///     r#"{"candidate":"","sdpMid":"0","sdpMLineIndex":null,"usernameFragment":null}"#,
/// );
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct IceCandidate {
    /// `candidate:…` (RFC 8839 §5.1); empty: no more candidates for this section.
    #[serde(default)]
    pub candidate: String,
    /// The `a=mid` of the section it belongs to.
    #[serde(rename = "sdpMid", default)]
    pub sdp_mid: Option<String>,
    /// The index of the section it belongs to, counted from 0; `sdp_mid` goes before it.
    #[serde(rename = "sdpMLineIndex", default)]
    pub sdp_mline_index: Option<u16>,
    /// The `a=ice-ufrag` of the generation it belongs to; `None`: the current one.
    #[serde(rename = "usernameFragment", default)]
    pub username_fragment: Option<String>,
}

impl IceCandidate {
    /// `new RTCIceCandidate(…)`: a candidate that belongs to a section, by its `a=mid`, its index, or both. The text may be
    /// anything.
    ///
    /// # Errors
    ///
    /// `TypeError` without `sdp_mid` and `sdp_mline_index`.
    pub fn new(
        candidate: impl Into<String>,
        sdp_mid: Option<&str>,
        sdp_mline_index: Option<u16>,
    ) -> Result<Self, Error> {
        // W3C webrtc-pc §4.8.1: "If both the sdpMid and sdpMLineIndex members of candidateInitDict are null, throw a
        // TypeError."
        if sdp_mid.is_none() && sdp_mline_index.is_none() {
            let what = "a candidate needs sdp_mid or sdp_mline_index";
            return Err(Error::new(ErrorName::TypeError, what, "say which section it belongs to"));
        }
        let (candidate, sdp_mid) = (candidate.into(), sdp_mid.map(str::to_owned));
        Ok(Self { candidate, sdp_mid, sdp_mline_index, username_fragment: None })
    }

    /// Equal for candidates of the same type, base and server (RFC 8445 §5.1.1.3).
    #[must_use]
    pub fn foundation(&self) -> Option<String> {
        Some(self.parsed()?.foundation)
    }

    /// What flows there. Data channels have the component `rtp`.
    #[must_use]
    pub fn component(&self) -> Option<IceComponent> {
        component(self.parsed()?.component)
    }

    /// The priority (RFC 8445 §5.1.2); the highest is the most preferred.
    #[must_use]
    pub fn priority(&self) -> Option<u32> {
        Some(self.parsed()?.priority)
    }

    /// Where it is reached: an IP address, or a name, which browsers use to hide the address.
    #[must_use]
    pub fn address(&self) -> Option<String> {
        Some(self.parsed()?.address.to_string())
    }

    /// The transport protocol, UDP or TCP.
    #[must_use]
    pub fn protocol(&self) -> Option<IceProtocol> {
        protocol(&self.parsed()?.transport)
    }

    /// The port at its address.
    #[must_use]
    pub fn port(&self) -> Option<u16> {
        Some(self.parsed()?.port)
    }

    /// `type`: how the candidate was learnt.
    #[must_use]
    #[doc(alias = "type")]
    pub fn kind(&self) -> Option<IceCandidateType> {
        Some(self.parsed()?.kind.into())
    }

    /// Who connects; `None` but for TCP.
    #[must_use]
    pub fn tcp_type(&self) -> Option<IceTcpCandidateType> {
        let parsed = self.parsed().filter(|parsed| protocol(&parsed.transport) == Some(IceProtocol::Tcp))?;
        tcp_type(&parsed.tcp_type?)
    }

    /// The address that a reflexive or relayed candidate derives from; often hidden as `0.0.0.0`.
    #[must_use]
    pub fn related_address(&self) -> Option<String> {
        Some(self.parsed()?.related?.0.to_string())
    }

    /// The port at the related address.
    #[must_use]
    pub fn related_port(&self) -> Option<u16> {
        Some(self.parsed()?.related?.1)
    }

    /// W3C webrtc-pc §4.8.1: "If any field in the parse result represents an invalid value for the corresponding attribute in
    /// iceCandidate, abort these steps", and all stay null.
    fn parsed(&self) -> Option<Candidate> {
        let parsed: Candidate = self.candidate.parse().ok()?;
        let is_valid = component(parsed.component).is_some()
            && protocol(&parsed.transport).is_some()
            && parsed.tcp_type.as_deref().is_none_or(|name| tcp_type(name).is_some());
        is_valid.then_some(parsed)
    }
}

fn component(id: u16) -> Option<IceComponent> {
    match id {
        1 => Some(IceComponent::Rtp),
        2 => Some(IceComponent::Rtcp),
        _ => None,
    }
}

fn protocol(transport: &Transport) -> Option<IceProtocol> {
    match transport {
        Transport::Udp => Some(IceProtocol::Udp),
        Transport::Other(name) if name == "tcp" => Some(IceProtocol::Tcp),
        _ => None,
    }
}

fn tcp_type(name: &str) -> Option<IceTcpCandidateType> {
    match name {
        "active" => Some(IceTcpCandidateType::Active),
        "passive" => Some(IceTcpCandidateType::Passive),
        "so" => Some(IceTcpCandidateType::So),
        _ => None,
    }
}

names! {
    /// `RTCIceComponent`, W3C webrtc-pc §5.6.
    IceComponent {
        /// RTP, and data.
        Rtp = "rtp",
        /// RTCP, where it does not share the transport of RTP.
        Rtcp = "rtcp",
    }
}

names! {
    /// `RTCIceProtocol`, W3C webrtc-pc §4.8.1.
    IceProtocol {
        /// UDP.
        Udp = "udp",
        /// TCP (RFC 6544).
        Tcp = "tcp",
    }
}

names! {
    /// `RTCIceCandidateType`, W3C webrtc-pc §4.8.1: how a candidate was learnt (RFC 8445 §5.1.1).
    IceCandidateType {
        /// Bound on an interface.
        Host = "host",
        /// Seen by a STUN server.
        Srflx = "srflx",
        /// Seen by the peer.
        Prflx = "prflx",
        /// Allocated on a TURN server.
        Relay = "relay",
    }
}

names! {
    /// `RTCIceTcpCandidateType`, W3C webrtc-pc §4.8.1 (RFC 6544 §4.5).
    IceTcpCandidateType {
        /// It connects.
        Active = "active",
        /// It is connected to.
        Passive = "passive",
        /// Both sides connect at the same time.
        So = "so",
    }
}

/// `RTCPeerConnectionIceErrorEvent`, W3C webrtc-pc §4.8.3: a server gave no candidate.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct IceCandidateError {
    /// The local address from which the server was asked; `None`: from none.
    pub address: Option<IpAddr>,
    /// The local port from which the server was asked; `None` exactly when there is no address.
    pub port: Option<u16>,
    /// The URL of the server.
    pub url: String,
    /// An error code of STUN (RFC 8489 §14.8), or 701: the server was not reached.
    pub error_code: u16,
    /// What was wrong, in words.
    pub error_text: String,
}

impl IceCandidateError {
    /// One for each URL, because none of them is used.
    pub(crate) fn of_servers(servers: &[IceServer]) -> Vec<Self> {
        let error = |url: &String| Self {
            address: None,
            port: None,
            url: url.clone(),
            error_code: NOT_REACHED,
            error_text: "this agent is ICE-lite and uses no servers".to_owned(),
        };
        servers.iter().flat_map(|server| &server.urls).map(error).collect()
    }
}

impl From<CandidateKind> for IceCandidateType {
    fn from(kind: CandidateKind) -> Self {
        match kind {
            CandidateKind::Host => Self::Host,
            CandidateKind::ServerReflexive => Self::Srflx,
            CandidateKind::PeerReflexive => Self::Prflx,
            CandidateKind::Relayed => Self::Relay,
        }
    }
}

impl From<IceCandidate> for core::IceCandidate {
    fn from(candidate: IceCandidate) -> Self {
        Self {
            candidate: candidate.candidate,
            sdp_mid: candidate.sdp_mid,
            sdp_mline_index: candidate.sdp_mline_index,
            username_fragment: candidate.username_fragment,
        }
    }
}

impl From<core::IceCandidate> for IceCandidate {
    fn from(candidate: core::IceCandidate) -> Self {
        Self {
            candidate: candidate.candidate,
            sdp_mid: candidate.sdp_mid,
            sdp_mline_index: candidate.sdp_mline_index,
            username_fragment: candidate.username_fragment,
        }
    }
}

/// W3C webrtc-pc §4.8.3: "If no host candidate can reach the server, errorCode will be set to the value 701".
const NOT_REACHED: u16 = 701;

#[cfg(test)]
mod tests {
    use super::*;

    /// W3C behaviour ICE-37: exactly the members of `toJSON()`, under the browser's names.
    #[test]
    fn candidate_json_is_the_browsers() {
        let candidate = IceCandidate {
            candidate: "candidate:1 1 udp 2130706431 192.0.2.1 50000 typ host".into(),
            sdp_mid: Some("0".into()),
            sdp_mline_index: Some(0),
            username_fragment: Some("abcd".into()),
        };
        let json = r#"{"candidate":"candidate:1 1 udp 2130706431 192.0.2.1 50000 typ host","sdpMid":"0","sdpMLineIndex":0,"usernameFragment":"abcd"}"#;
        assert_eq!(serde_json::to_string(&candidate).unwrap(), json);
        assert_eq!(serde_json::from_str::<IceCandidate>(json).unwrap(), candidate);
    }

    /// W3C behaviour ICE-31: missing members read as their defaults, unknown ones are ignored.
    #[test]
    fn candidate_members_may_be_missing_or_unknown() {
        let candidate: IceCandidate =
            serde_json::from_str(r#"{"sdpMLineIndex":1,"url":null,"relayProtocol":"udp"}"#).unwrap();
        assert_eq!(candidate, IceCandidate { sdp_mline_index: Some(1), ..IceCandidate::default() });
    }
}
