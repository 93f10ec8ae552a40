//! What a browser calls the configuration of a connection.

use super::IceServer;
use crate::names::names;
use crate::{Error, ErrorName};
use serde::{Deserialize, Serialize};
use straits_peer::dtls::Identity;

/// `RTCConfiguration`, W3C webrtc-pc §4.2.1: the part of a [`Configuration`](crate::Configuration) that browsers have as
/// well, and that can change while the connection lives.
///
/// As JSON it is the browser's dictionary without its certificates: what a signalling server gives to web pages serves here,
/// too. Members that are missing read as their defaults, unknown ones are ignored; where a browser throws a `TypeError`
/// (`null`, an unknown word, a number out of range), reading fails.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use straits::{Configuration, IceServer, IceTransportPolicy, PeerConnection, RtcConfiguration};
///
/// let from_the_server = r#"{"iceServers":[{"urls":"stun:stun.example.org"}],"iceTransportPolicy":"relay"}"#;
/// let rtc: RtcConfiguration = serde_json::from_str(from_the_server)?;
/// let connection = PeerConnection::new(Configuration::default().rtc(rtc))?;
///
/// let ice_servers = vec![IceServer::new("stun:stun.example.com")];
/// connection.set_configuration(RtcConfiguration { ice_servers, ..connection.configuration() })?;
/// assert_eq!(connection.configuration().ice_transport_policy, IceTransportPolicy::Relay);
/// # Ok(()) }
/// ```
#[doc(alias = "RTCConfiguration")]
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct RtcConfiguration {
    /// STUN and TURN servers. Default none. They are checked, kept and not used, see [`IceServer`].
    pub ice_servers: Vec<IceServer>,
    /// Which candidates may be used. Default [`IceTransportPolicy::All`].
    pub ice_transport_policy: IceTransportPolicy,
    /// How media are spread over transports. Default [`BundlePolicy::Balanced`]; without effect, because there is one data
    /// section. It cannot change.
    pub bundle_policy: BundlePolicy,
    /// Whether RTP and RTCP share a transport. Default [`RtcpMuxPolicy::Require`]; without effect, because there are no media.
    /// It cannot change.
    pub rtcp_mux_policy: RtcpMuxPolicy,
    /// How many sets of candidates to gather ahead. Default 0; without effect, because addresses of the machine are known at
    /// once. It cannot change once a local description was set.
    pub ice_candidate_pool_size: u8,
    /// Certificates with their keys. Default none, which makes a fresh one; see
    /// [`Configuration::certificates`](crate::Configuration::certificates). They cannot change: leaving them out is a change.
    #[serde(skip)]
    pub certificates: Vec<Identity>,
}

names! {
    /// `RTCIceTransportPolicy`, W3C webrtc-pc §4.2.3: which candidates may be used.
    #[derive(Default)]
    IceTransportPolicy {
        /// Only those of a TURN server. The agent uses none: no candidates are gathered, and the connection fails.
        Relay = "relay",
        /// All.
        #[default]
        All = "all",
    }
}

names! {
    /// `RTCBundlePolicy`, W3C webrtc-pc §4.2.4.
    #[derive(Default)]
    BundlePolicy {
        /// One transport for each kind of media, if the peer does not bundle.
        #[default]
        Balanced = "balanced",
        /// One transport for each section, if the peer does not bundle.
        MaxCompat = "max-compat",
        /// One transport.
        MaxBundle = "max-bundle",
    }
}

names! {
    /// `RTCRtcpMuxPolicy`, W3C webrtc-pc §4.2.5.
    #[derive(Default)]
    RtcpMuxPolicy {
        /// RTP and RTCP on one transport.
        #[default]
        Require = "require",
        /// Two transports if the peer wants them. The text had it once; it is refused with a `NotSupportedError`.
        Negotiate = "negotiate",
    }
}

impl RtcConfiguration {
    /// W3C webrtc-pc §4.4.1.6 set the configuration: the steps that can fail, in their order. `old` is what this takes the
    /// place of; `is_described`: was a local description set?
    pub(crate) fn check(&self, old: Option<&Self>, is_described: bool) -> Result<(), Error> {
        if let Some(changed) = old.and_then(|old| self.fixed_member_changed(old, is_described)) {
            let what = format!("{changed} cannot change any more");
            let advice = "change what PeerConnection::configuration gives";
            return Err(Error::new(ErrorName::InvalidModificationError, what, advice));
        }
        if self.rtcp_mux_policy == RtcpMuxPolicy::Negotiate {
            let what = "the policy \"negotiate\" for RTCP is not supported";
            return Err(Error::new(ErrorName::NotSupportedError, what, "use RtcpMuxPolicy::Require"));
        }
        self.ice_servers.iter().try_for_each(IceServer::check)
    }

    fn fixed_member_changed(&self, old: &Self, is_described: bool) -> Option<&'static str> {
        let same_certificate =
            |(new, old): (&Identity, &Identity)| new.certificate_der() == old.certificate_der();
        let same_certificates = self.certificates.len() == old.certificates.len()
            && self.certificates.iter().zip(&old.certificates).all(same_certificate);
        let checks = [
            (same_certificates, "certificates"),
            (self.bundle_policy == old.bundle_policy, "bundle_policy"),
            (self.rtcp_mux_policy == old.rtcp_mux_policy, "rtcp_mux_policy"),
            (
                !is_described || self.ice_candidate_pool_size == old.ice_candidate_pool_size,
                "ice_candidate_pool_size",
            ),
        ];
        checks.into_iter().find(|(is_same, _)| !is_same).map(|(_, member)| member)
    }
}
