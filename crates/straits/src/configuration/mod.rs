//! Settings of a connection.

mod ice_server;
mod rtc;

pub use ice_server::IceServer;
pub use rtc::{BundlePolicy, IceTransportPolicy, RtcConfiguration, RtcpMuxPolicy};

use crate::{Capture, EndpointConfiguration, Error, ErrorName};
use std::net::SocketAddr;
use std::time::{Duration, SystemTime};
use straits_peer::dtls::{Identities, Identity};

/// The settings of a [`PeerConnection`](crate::PeerConnection), with chained setters.
///
/// Those that browsers have as well are an [`RtcConfiguration`], which
/// [`PeerConnection::set_configuration`](crate::PeerConnection::set_configuration) can replace; all others hold for the life of
/// the connection.
///
/// ```
/// # use std::time::Duration;
/// use straits::Configuration;
///
/// let configuration = Configuration::default().include_loopback(true).drop_timeout(Duration::from_secs(2));
/// ```
#[derive(Clone, Debug)]
pub struct Configuration {
    pub(crate) rtc: RtcConfiguration,
    /// Of the endpoint that the connection has for itself.
    pub(crate) endpoint: EndpointConfiguration,
    pub(crate) drop_timeout: Duration,
    pub(crate) high_water_mark: usize,
    pub(crate) strict_w3c: bool,
    pub(crate) peer: straits_peer::Config,
}

impl Configuration {
    /// The browser's part: ICE servers, policies, certificates.
    ///
    /// Default: all members have the W3C text's defaults. It replaces what was set before, the
    /// [`certificate`](Self::certificate) as well. [`PeerConnection::new`](crate::PeerConnection::new) checks it.
    #[must_use]
    pub fn rtc(mut self, rtc: RtcConfiguration) -> Self {
        self.rtc = rtc;
        self
    }

    /// The certificate with its key.
    ///
    /// Default: a fresh self-signed ECDSA P-256 certificate for each connection. Making one costs a fraction of a
    /// millisecond; connections that share one can be recognised as coming from the same user.
    #[must_use]
    pub fn certificate(self, certificate: Identity) -> Self {
        self.certificates([certificate])
    }

    /// Several certificates with their keys in place of one (`RTCConfiguration.certificates`), the preferred one first.
    ///
    /// All of them are announced. Of each kind of key (ECDSA, RSA) the first one may be shown; the handshake chooses
    /// between the kinds. Default: none given, see [`certificate`](Self::certificate).
    #[must_use]
    pub fn certificates(mut self, certificates: impl IntoIterator<Item = Identity>) -> Self {
        self.rtc.certificates = certificates.into_iter().collect();
        self
    }

    /// Offer the loopback addresses as candidates?
    ///
    /// Default `false`, as in browsers: they are offered only when the machine has no other address. With `true` two
    /// connections on one machine may meet on 127.0.0.1 or ::1 although it has others; a remote peer wastes a few
    /// checks on them.
    #[must_use]
    pub fn include_loopback(mut self, include: bool) -> Self {
        self.endpoint = self.endpoint.include_loopback(include);
        self
    }

    /// Bind this address; may be called for several.
    ///
    /// Default: none given, which binds the IPv4 and the IPv6 wildcard address with ports that the system chooses, as
    /// far as the machine has the address families. Port 0 lets the system choose. Candidates are the addresses of the
    /// machine that the bound ones cover.
    #[must_use]
    pub fn bind_address(mut self, address: SocketAddr) -> Self {
        self.endpoint = self.endpoint.bind_address(address);
        self
    }

    /// Size in bytes that is asked for the receive and the send buffer of each socket.
    ///
    /// Default 4 MiB, the receive window: a burst of that size then survives a reader that is late. The system may grant
    /// less (Linux: `net.core.rmem_max`, `wmem_max`). Smaller values lose packets under load.
    #[must_use]
    pub fn socket_buffer_size(mut self, bytes: usize) -> Self {
        self.endpoint = self.endpoint.socket_buffer_size(bytes);
        self
    }

    /// Write everything that passes on the wire to a file, for Wireshark.
    ///
    /// Default: none, unless the environment variable `STRAITS_PCAP` names a file, which this takes the place of. The file
    /// has **secrets and messages in the clear**; [`Capture`] says what is in it and how to open it. It costs a copy of each
    /// packet, twice.
    ///
    /// A connection on an [`Endpoint`](crate::Endpoint) has that of
    /// [`EndpointConfiguration::capture`] instead.
    #[must_use]
    pub fn capture(mut self, capture: Capture) -> Self {
        self.endpoint = self.endpoint.capture(capture);
        self
    }

    /// How long a connection whose last handle was dropped may go on delivering what `send` accepted.
    ///
    /// Default 10 s. Zero ends it at once; larger values keep the socket of a vanished peer longer.
    #[must_use]
    pub fn drop_timeout(mut self, timeout: Duration) -> Self {
        self.drop_timeout = timeout;
        self
    }

    /// Buffered bytes of one channel above which [`DataChannel::send`](crate::DataChannel::send) waits.
    ///
    /// Default 1 MiB: enough to keep a fast path busy while the task that sends is scheduled again, which happens when
    /// half of it has left. Smaller values cost throughput, larger ones memory and the latency of what is sent last.
    #[must_use]
    pub fn high_water_mark(mut self, bytes: usize) -> Self {
        self.high_water_mark = bytes.max(1);
        self
    }

    /// Follow the letter of the W3C text where browsers do not.
    ///
    /// Default `false`. With `true`, [`PeerConnection::close`](crate::PeerConnection::close) fires no `close` event on
    /// the local channels (all browser engines fire it, w3c/webrtc-pc#3085), and
    /// [`add_ice_candidate`](crate::PeerConnection::add_ice_candidate) before there is a remote description is an
    /// `InvalidStateError` (by default up to 100 candidates are held).
    #[must_use]
    pub fn strict_w3c(mut self, strict: bool) -> Self {
        self.strict_w3c = strict;
        self
    }

    /// Settings of the layers below: ICE, DTLS, SCTP.
    #[must_use]
    pub fn layers(mut self, config: straits_peer::Config) -> Self {
        self.peer = config;
        self
    }

    /// W3C webrtc-pc §4.4.1: "If the value of certificate.expires is less than the current time, throw an
    /// InvalidAccessError".
    pub(crate) fn identities(&self) -> Result<Identities, Error> {
        let Some((first, more)) = self.rtc.certificates.split_first() else {
            return Ok(Identity::generate()?.into());
        };
        let now = SystemTime::now();
        if self.rtc.certificates.iter().any(|certificate| certificate.expires() < now) {
            return Err(Error::new(
                ErrorName::InvalidAccessError,
                "the certificate has expired",
                "make a new one",
            ));
        }
        Ok(Identities::new(first.clone(), more.iter().cloned()))
    }
}

impl Default for Configuration {
    fn default() -> Self {
        Self {
            rtc: RtcConfiguration::default(),
            endpoint: EndpointConfiguration::default(),
            drop_timeout: DROP_TIMEOUT,
            high_water_mark: HIGH_WATER_MARK,
            strict_w3c: false,
            peer: straits_peer::Config::default(),
        }
    }
}

const DROP_TIMEOUT: Duration = Duration::from_secs(10);
const HIGH_WATER_MARK: usize = 1 << 20;
