//! The sending half of an association, without the association's states (RFC 9260 §6, §7).

use super::{Reliability, SendError};
use crate::congestion::CongestionConfig;
use crate::number::Tsn;
use crate::rto::RtoConfig;
use crate::wire::{PacketWriter, Sack};
use crate::{Ppid, StreamId};
use bytes::Bytes;
use std::time::{Duration, Instant};

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
}

impl Default for SenderConfig {
    fn default() -> Self {
        Self {
            rto: RtoConfig::default(),
            congestion: CongestionConfig::default(),
            max_burst: Some(64),
            high_water_mark: 1 << 20,
            buffer_limit: 16 << 20,
        }
    }
}

/// What became of a SACK.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SackOutcome {
    /// Older than one processed already (RFC 9260 §6.2.1 D i), or it came before the start. Not an error.
    Stale,
    /// It acknowledges what was never sent, or its gap blocks make no sense; nothing was changed.
    Invalid,
    Processed(Acked),
}

/// What a SACK, or the cumulative TSN of a SHUTDOWN, brought.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Acked {
    /// Chunk bytes acknowledged for the first time: more than zero clears the error counter (RFC 9260 §8.1).
    pub(crate) newly_acked_bytes: usize,
    /// Whether the cumulative TSN moved.
    pub(crate) advanced: bool,
    /// A round trip that this SACK measured; the RTO has it already.
    pub(crate) rtt: Option<Duration>,
}

/// T3-rtx expired; what to resend is marked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct T3Expired {
    /// Whether it counts as an error of the association (RFC 9260 §8.1); an answered probe of a closed window does not.
    pub(crate) counts_as_error: bool,
}

/// For the application, by way of the association.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SenderEvent {
    /// The buffered amount fell from above its low threshold to or below it.
    BufferedAmountLow(StreamId),
    /// The buffered amount fell below the high-water mark after a send met it, or there is room again for what a send
    /// was refused.
    Writable(StreamId),
}

/// Counters since the start of the sender and gauges of this moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct SenderStats {
    pub(crate) chunks_sent: u64,
    pub(crate) retransmissions: u64,
    pub(crate) fast_retransmits: u64,
    pub(crate) t3_expirations: u64,
    pub(crate) invalid_sacks: u64,
    pub(crate) cwnd: usize,
    pub(crate) ssthresh: usize,
    pub(crate) peer_rwnd: usize,
    pub(crate) bytes_in_flight: usize,
    pub(crate) srtt: Option<Duration>,
    pub(crate) rto: Duration,
}

/// Queues, fragments, sends, resends.
#[derive(Debug)]
pub(crate) struct Sender {}

#[allow(unused_variables, clippy::todo, clippy::too_many_arguments)]
impl Sender {
    pub(crate) fn new(config: SenderConfig) -> Self {
        todo!()
    }
    /// The association is up. What was queued before on streams the peer does not have is dropped.
    pub(crate) fn start(
        &mut self,
        now: Instant,
        initial_tsn: Tsn,
        peer_rwnd: u32,
        streams: u16,
        max_packet: usize,
    ) {
        todo!()
    }
    /// The peer restarted: everything queued or outstanding is dropped, everything starts anew.
    pub(crate) fn restart(
        &mut self,
        now: Instant,
        initial_tsn: Tsn,
        peer_rwnd: u32,
        streams: u16,
        max_packet: usize,
    ) {
        todo!()
    }
    /// The association is over: timers stop, memory is given back; `undelivered` keeps its last value.
    pub(crate) fn close(&mut self) {
        todo!()
    }
    /// `a=max-message-size` of the peer; `None` is no limit.
    pub(crate) fn set_max_message_size(&mut self, max: Option<usize>) {
        todo!()
    }
    pub(crate) fn send_part(
        &mut self,
        now: Instant,
        stream: StreamId,
        ppid: Ppid,
        data: Bytes,
        last: bool,
        ordered: bool,
        reliability: Reliability,
    ) -> Result<(), SendError> {
        todo!()
    }
    pub(crate) fn handle_sack(&mut self, now: Instant, sack: &Sack<'_>) -> SackOutcome {
        todo!()
    }
    /// Appends DATA chunks to the packet: retransmissions first, then new data as the windows allow.
    /// Returns whether anything was added.
    pub(crate) fn write_data(&mut self, now: Instant, packet: &mut PacketWriter<'_>) -> bool {
        todo!()
    }
    /// The cumulative TSN of a SHUTDOWN; no gap report, so nothing is taken as missing.
    pub(crate) fn handle_cumulative(&mut self, now: Instant, cumulative: Tsn) -> SackOutcome {
        todo!()
    }
    /// The round trip of a HEARTBEAT.
    pub(crate) fn handle_rtt(&mut self, rtt: Duration) {
        todo!()
    }
    /// Whether `write_data` would put something into an empty packet. Cheap.
    pub(crate) fn wants_to_send(&self, now: Instant) -> bool {
        todo!()
    }
    pub(crate) fn handle_timeout(&mut self, now: Instant) -> Option<T3Expired> {
        todo!()
    }
    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        todo!()
    }
    pub(crate) fn poll_event(&mut self) -> Option<SenderEvent> {
        todo!()
    }
    /// Another path: congestion control and RTO start anew (RFC 8261 §6.1).
    pub(crate) fn path_changed(&mut self, now: Instant, max_packet: usize) {
        todo!()
    }
    /// SHUTDOWN-PENDING or SHUTDOWN-RECEIVED: ask for quick acknowledgement (RFC 7053).
    pub(crate) fn set_draining(&mut self, draining: bool) {
        todo!()
    }
    /// While a reset is in progress: new messages are refused with `Resetting`, queued ones wait, a begun one finishes.
    pub(crate) fn pause(&mut self, stream: StreamId) {
        todo!()
    }
    pub(crate) fn resume(&mut self, stream: StreamId) {
        todo!()
    }
    /// The reset was performed: SSNs from 0, not paused.
    pub(crate) fn reset_stream(&mut self, stream: StreamId) {
        todo!()
    }
    /// Drops the messages not begun yet; one that is partly sent is completed. Returns the payload bytes dropped.
    pub(crate) fn drop_queued(&mut self, stream: StreamId) -> usize {
        todo!()
    }
    /// Payload accepted and not yet in a packet.
    pub(crate) fn buffered_amount(&self, stream: StreamId) -> usize {
        todo!()
    }
    pub(crate) fn set_buffered_amount_low_threshold(&mut self, stream: StreamId, threshold: usize) {
        todo!()
    }
    /// Payload accepted and not acknowledged, all streams.
    pub(crate) fn undelivered(&self) -> usize {
        todo!()
    }
    /// Nothing queued and nothing outstanding.
    pub(crate) fn is_idle(&self) -> bool {
        todo!()
    }
    /// Nothing queued and nothing unacknowledged on the stream.
    pub(crate) fn is_drained(&self, stream: StreamId) -> bool {
        todo!()
    }
    pub(crate) fn next_tsn(&self) -> Tsn {
        todo!()
    }
    pub(crate) fn last_assigned_tsn(&self) -> Tsn {
        todo!()
    }
    /// The RTO, for the timers of the association too.
    pub(crate) fn rto(&self) -> Duration {
        todo!()
    }
    pub(crate) fn stats(&self) -> SenderStats {
        todo!()
    }
}
