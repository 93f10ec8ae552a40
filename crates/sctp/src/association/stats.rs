//! Counters and gauges.

use std::time::Duration;

/// Counters since the start, and gauges of the moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Packets given out by `poll_transmit`.
    pub packets_sent: u64,
    /// Packets given to `handle_packet`, dropped ones too.
    pub packets_received: u64,
    /// Packets that were not understood or not for this association.
    pub packets_dropped: u64,
    /// Bytes of the packets sent.
    pub bytes_sent: u64,
    /// Bytes of the packets received.
    pub bytes_received: u64,
    /// DATA chunks sent again, for whatever reason.
    pub retransmissions: u64,
    /// DATA chunks sent again because of gap reports.
    pub fast_retransmits: u64,
    /// Expirations of T3-rtx.
    pub t3_expirations: u64,
    /// Payload of messages that `send` accepted and that was dropped while the association lives on: queued on streams
    /// that the peer turned out not to have ([`Event::NoSuchStream`](crate::Event::NoSuchStream)), or not acknowledged when
    /// the peer restarted ([`Event::Restarted`](crate::Event::Restarted); some of it may have arrived). What the end of the
    /// association costs is [`Association::undelivered`](crate::Association::undelivered).
    pub bytes_lost: u64,
    /// Congestion window in bytes.
    pub cwnd: usize,
    /// Smoothed round-trip time, once one was measured.
    pub srtt: Option<Duration>,
    /// Retransmission timeout.
    pub rto: Duration,
    /// Bytes the peer can take.
    pub peer_rwnd: usize,
    /// Bytes we can take.
    pub local_rwnd: usize,
    /// Bytes sent, and neither acknowledged nor given up for lost.
    pub bytes_in_flight: usize,
    /// Largest packet in bytes.
    pub mtu: usize,
}

/// What the association counts itself; the rest are its halves'.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counters {
    pub(super) packets_sent: u64,
    pub(super) packets_received: u64,
    pub(super) packets_dropped: u64,
    pub(super) bytes_sent: u64,
    pub(super) bytes_received: u64,
}
