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
    /// DATA chunks sent again without need, as far as the peer reported to have them twice: they were late, or what
    /// acknowledged them was lost.
    pub spurious_retransmissions: u64,
    /// DATA chunks sent again because of gap reports.
    pub fast_retransmits: u64,
    /// Expirations of T3-rtx.
    pub t3_expirations: u64,
    /// Payload of messages that `send` accepted and that was dropped while the association lives on: queued on streams
    /// that the peer turned out not to have ([`Event::NoSuchStream`](crate::Event::NoSuchStream)), or not acknowledged when
    /// the peer restarted ([`Event::Restarted`](crate::Event::Restarted); some of it may have arrived). What the end of the
    /// association costs is [`Association::undelivered`](crate::Association::undelivered).
    pub bytes_lost: u64,
    /// Messages given up because of their limited reliability (RFC 3758): nothing or not all of them arrived.
    pub messages_abandoned: u64,
    /// Their payload, acknowledged parts of it too.
    pub bytes_abandoned: u64,
    /// What was dropped because a bound was met.
    pub drops: Drops,
    /// Congestion window in bytes.
    pub cwnd: usize,
    /// Slow-start threshold in bytes: below it the congestion window grows by what is acknowledged, above it by a packet
    /// per round trip. None before the first loss or idle time.
    pub ssthresh: Option<usize>,
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
    /// DATA chunks sent that the last acknowledgement does not cover.
    pub unacknowledged_chunks: usize,
    /// Largest packet in bytes, for now: less than [`Config::max_packet_size`](crate::Config::max_packet_size) while the
    /// path seems to be narrow.
    pub mtu: usize,
}

/// What was dropped, or not answered, because a bound was met: one of [`Limits`](crate::Limits), the receive window, or
/// the largest message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Drops {
    /// Packets larger than [`received_packet_size`](crate::Limits::received_packet_size).
    pub oversized_packets: u64,
    /// Packets with more chunks than [`chunks_per_packet`](crate::Limits::chunks_per_packet): the rest was ignored.
    pub crowded_packets: u64,
    /// INITs and INIT ACKs with more than [`init_parameters`](crate::Limits::init_parameters).
    pub crowded_inits: u64,
    /// Cookies larger than [`peer_cookie_size`](crate::Limits::peer_cookie_size).
    pub oversized_cookies: u64,
    /// Packets out of the blue beyond [`stranger_answers_per_second`](crate::Limits::stranger_answers_per_second).
    pub stranger_answers: u64,
    /// HEARTBEATs beyond [`heartbeat_answers_per_second`](crate::Limits::heartbeat_answers_per_second), or too large to
    /// be answered in one packet.
    pub heartbeat_answers: u64,
    /// Answers beyond [`queued_answers`](crate::Limits::queued_answers).
    pub queued_answers: u64,
    /// Chunks and FORWARD TSNs further ahead than [`tsn_distance`](crate::Limits::tsn_distance).
    pub beyond_tsn_distance: u64,
    /// Chunks beyond [`gap_ranges`](crate::Limits::gap_ranges).
    pub beyond_gap_ranges: u64,
    /// Duplicates beyond [`duplicates_reported`](crate::Limits::duplicates_reported).
    pub unreported_duplicates: u64,
    /// Chunks beyond [`incomplete_messages`](crate::Limits::incomplete_messages) or the same per stream.
    pub beyond_incomplete_messages: u64,
    /// Chunks that the receive buffer had no room for ([`Config::receive_window`](crate::Config::receive_window)).
    pub buffer_full: u64,
    /// Messages larger than [`Config::max_receive_message_size`](crate::Config::max_receive_message_size), or in more
    /// fragments than that allows.
    pub oversized_messages: u64,
}

/// What the association counts itself; the rest are its halves'.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counters {
    pub(super) packets_sent: u64,
    pub(super) packets_received: u64,
    pub(super) packets_dropped: u64,
    pub(super) bytes_sent: u64,
    pub(super) bytes_received: u64,
    pub(super) oversized_packets: u64,
    pub(super) crowded_packets: u64,
    pub(super) crowded_inits: u64,
    pub(super) oversized_cookies: u64,
    pub(super) oversized_heartbeats: u64,
}
