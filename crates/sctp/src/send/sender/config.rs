//! Settings of the sending half, and what the association agrees on with its peer.

use crate::congestion::CongestionConfig;
use crate::number::Tsn;
use crate::rto::RtoConfig;

/// Settings of the sending half.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SenderConfig {
    pub(crate) rto: RtoConfig,
    pub(crate) congestion: CongestionConfig,
    /// Max.Burst of RFC 9260 §6.1 D in packets; `None` sends what the windows allow.
    pub(crate) max_burst: Option<usize>,
    /// Buffered bytes of a stream below which it is writable.
    pub(crate) high_water_mark: usize,
    /// Queued and unacknowledged bytes of all streams together.
    pub(crate) buffer_limit: usize,
    /// Queued bytes of one stream.
    pub(crate) stream_limit: usize,
}

impl Default for SenderConfig {
    /// Bursts of 64 packets: SACKs come in batches, and one may cover sixteen packets.
    fn default() -> Self {
        Self {
            rto: RtoConfig::default(),
            congestion: CongestionConfig::default(),
            max_burst: Some(64),
            high_water_mark: 1 << 20,
            buffer_limit: 16 << 20,
            stream_limit: usize::MAX,
        }
    }
}

impl SenderConfig {
    /// The letter of RFC 9260 §7.2.1 and §16 (Max.Burst 4).
    pub(crate) fn strict() -> Self {
        Self {
            rto: RtoConfig::strict(),
            congestion: CongestionConfig::strict(),
            max_burst: Some(4),
            ..Self::default()
        }
    }
}

/// What was agreed on when the association came up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Terms {
    pub(crate) initial_tsn: Tsn,
    pub(crate) peer_rwnd: u32,
    /// Outgoing ones, from 0.
    pub(crate) streams: u16,
    pub(crate) max_packet: usize,
    /// FORWARD TSN, or I-FORWARD-TSN with interleaving: without it every message is reliable (RFC 3758 §3.3.1).
    pub(crate) partial_reliability: bool,
    /// I-DATA (RFC 8260 §2.2.1).
    pub(crate) interleaving: bool,
}
