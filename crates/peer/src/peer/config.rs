//! Settings of a [`Peer`](crate::Peer).

use straits_dtls as dtls;
use straits_ice as ice;
use straits_sctp as sctp;

/// Settings of a peer: those of its three layers.
#[derive(Clone, Debug)]
pub struct Config {
    pub(crate) ice: ice::Config,
    pub(crate) dtls: dtls::Config,
    pub(crate) sctp: sctp::Config,
    pub(crate) max_message_size: usize,
    pub(crate) capture_packets: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            ice: ice::Config::default(),
            dtls: dtls::Config::default(),
            sctp: sctp::Config::default().max_retransmits(MAX_RETRANSMITS),
            max_message_size: 256 * 1024,
            capture_packets: false,
        }
    }
}

impl Config {
    /// Settings of the ICE agent.
    pub fn ice(mut self, value: ice::Config) -> Self {
        self.ice = value;
        self
    }

    /// Settings of the DTLS session.
    pub fn dtls(mut self, value: dtls::Config) -> Self {
        self.dtls = value;
        self
    }

    /// Settings of the SCTP association and its channels. Its ports and its largest message are set by the peer.
    ///
    /// Default [`sctp::Config::default`] with 20 for [`max_retransmits`](sctp::Config::max_retransmits): a peer that is gone
    /// is noticed by ICE consent within 15 s, and on a path that loses 30 % each way, ten round trips in a row fail now and
    /// then. A peer that is there and acknowledges nothing is given up after some three minutes.
    pub fn sctp(mut self, value: sctp::Config) -> Self {
        self.sctp = value;
        self
    }

    /// The largest message this side accepts, in bytes: announced as `a=max-message-size` (RFC 8841 §6) and enforced.
    ///
    /// Default 256 KiB, as browsers have it. A smaller value turns away peers that heed the attribute late; a larger one
    /// lets the peer make this side hold that much for a message that is read whole.
    pub fn max_message_size(mut self, value: usize) -> Self {
        self.max_message_size = value;
        self
    }

    /// Hand out the secrets of the DTLS session, by [`Peer::poll_key_log`](crate::Peer::poll_key_log)?
    ///
    /// It is [`dtls::Config::key_log`] of the settings that [`dtls`](Self::dtls) has set: default `false`, for debugging
    /// alone.
    pub fn key_log(mut self, enabled: bool) -> Self {
        self.dtls = self.dtls.key_log(enabled);
        self
    }

    /// Hand out a copy of every SCTP packet, by [`Peer::poll_captured`](crate::Peer::poll_captured)?
    ///
    /// Default `false`. With `true` each packet is copied, and up to 1 MiB of them waits for the owner; what does not fit is
    /// counted and not kept.
    pub fn capture_packets(mut self, enabled: bool) -> Self {
        self.capture_packets = enabled;
        self
    }
}

/// Of timeouts of SCTP in a row; see [`Config::sctp`].
const MAX_RETRANSMITS: u32 = 20;
/// RFC 8841 §5.1 leaves the port to the description; every data-channel stack uses this one.
pub(super) const SCTP_PORT: u16 = 5000;
