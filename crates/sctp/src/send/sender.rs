//! The sending half of an association, without the association's states (RFC 9260 §6, §7).

use super::outstanding::{Applied, Outstanding, SackError, charge, chunk_size};
use super::queue::{Next, Part, Queue};
use super::{Reliability, SendError};
use crate::congestion::{Ack, CongestionConfig, Controller, NewReno};
use crate::number::{Tsn, tsn};
use crate::rto::{Rto, RtoConfig};
use crate::timer::{Timer, doubled};
use crate::wire::{Data, Header, PacketWriter, Sack};
use crate::{Ppid, StreamId};
use bytes::Bytes;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use tracing::debug;

/// Queues, fragments, sends, resends.
///
/// Usable before the association is up: what is sent then waits for [`start`](Self::start).
#[derive(Debug)]
pub(crate) struct Sender {
    config: SenderConfig,
    phase: Phase,
    queue: Queue,
    outstanding: Outstanding,
    congestion: Box<dyn Controller>,
    rto: Rto,
    t3: Timer,
    /// Runs while the peer's window keeps back all there is to send.
    probe: Timer,
    /// The window may be exceeded by one chunk now.
    probe_due: bool,
    /// The chunk in flight is a probe of a closed window, repeated so often.
    probing: Option<u32>,
    /// Whether a SACK came since T3 expired last.
    heard: bool,
    /// PMDCS: the largest DATA chunk, header included.
    max_chunk: usize,
    max_message: Option<usize>,
    /// What the peer advertised last; what is in flight is not taken off yet.
    a_rwnd: usize,
    /// Fast recovery: ends when this TSN is acknowledged.
    recovery: Option<u64>,
    /// One packet of lost chunks may leave whatever cwnd says (RFC 9260 §7.2.4).
    fast_packet: bool,
    /// T3 expired: one packet may be in flight until something is acknowledged (RFC 9260 §7.2.3).
    single_packet: bool,
    /// Packets that may leave before the next SACK, send or timeout.
    burst_left: usize,
    /// The congestion window was used up when the chunks below this TSN were in flight.
    window_full_below: u64,
    last_sent: Option<Instant>,
    draining: bool,
    /// Sends that the memory limit refused, with the size of the last one.
    refused: BTreeMap<StreamId, usize>,
    counters: Counters,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Before the association is up.
    Waiting,
    Started {
        streams: u16,
    },
    Closed {
        undelivered: usize,
    },
}

#[derive(Clone, Copy, Debug, Default)]
struct Counters {
    chunks_sent: u64,
    retransmissions: u64,
    fast_retransmits: u64,
    t3_expirations: u64,
    invalid_sacks: u64,
}

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
    /// Bursts of 64 packets: SACKs come in batches, and one may cover sixteen packets.
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
    /// DATA chunks, retransmissions included.
    pub(crate) chunks_sent: u64,
    /// Chunks sent again.
    pub(crate) retransmissions: u64,
    /// Chunks marked lost by three miss indications.
    pub(crate) fast_retransmits: u64,
    pub(crate) t3_expirations: u64,
    /// SACKs that acknowledged what was never sent or made no sense.
    pub(crate) invalid_sacks: u64,
    pub(crate) cwnd: usize,
    /// `usize::MAX` while there is none.
    pub(crate) ssthresh: usize,
    /// Payload the peer takes beyond what is in flight.
    pub(crate) peer_rwnd: usize,
    /// Chunk bytes.
    pub(crate) bytes_in_flight: usize,
    pub(crate) srtt: Option<Duration>,
    pub(crate) rto: Duration,
}

impl Sender {
    pub(crate) fn new(config: SenderConfig) -> Self {
        let max_chunk = max_chunk(DEFAULT_PACKET);
        let rto = Rto::new(config.rto);
        Self {
            config,
            phase: Phase::Waiting,
            queue: Queue::new(config.high_water_mark, max_chunk - Data::HEADER_LEN),
            outstanding: Outstanding::new(Tsn(0)),
            congestion: Box::new(NewReno::new(config.congestion, max_chunk)),
            t3: Timer::fixed(rto.current()),
            probe: Timer::fixed(rto.current()),
            rto,
            probe_due: false,
            probing: None,
            heard: false,
            max_chunk,
            max_message: None,
            a_rwnd: 0,
            recovery: None,
            fast_packet: false,
            single_packet: false,
            burst_left: 0,
            window_full_below: 0,
            last_sent: None,
            draining: false,
            refused: BTreeMap::new(),
            counters: Counters::default(),
        }
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
        self.phase = Phase::Started { streams };
        self.outstanding = Outstanding::new(initial_tsn);
        // RFC 9260 §6.2.1 A: "the endpoint initializes the rwnd to the Advertised Receiver Window Credit (a_rwnd) the peer
        // specified in the INIT or INIT ACK chunk."
        self.a_rwnd = bytes(peer_rwnd);
        self.queue.limit_streams(streams);
        self.use_packets_of(max_packet);
        self.begin_opportunity(now);
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
        let Self { counters, max_message, .. } = *self;
        *self = Self { counters, max_message, ..Self::new(self.config) };
        self.start(now, initial_tsn, peer_rwnd, streams, max_packet);
    }

    /// The association is over: timers stop, memory is given back, sends are refused;
    /// [`undelivered`](Self::undelivered) keeps its value.
    pub(crate) fn close(&mut self) {
        let undelivered = self.undelivered();
        let Self { counters, rto, .. } = *self;
        *self = Self { counters, rto, phase: Phase::Closed { undelivered }, ..Self::new(self.config) };
    }

    /// `a=max-message-size` of the peer; `None` is no limit.
    pub(crate) fn set_max_message_size(&mut self, max: Option<usize>) {
        self.max_message = max;
    }

    /// Queues a part of a message, or a whole one. Kind and reliability are those of a message's first part.
    ///
    /// A message that was begun keeps all other streams waiting until its last part comes.
    #[expect(clippy::too_many_arguments, reason = "a message has that many properties")]
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
        self.check_send(stream, data.len())?;
        self.queue.push(now, Part { stream, ppid, data, last, ordered, reliability })?;
        self.begin_opportunity(now);
        Ok(())
    }

    /// Processes a SACK (RFC 9260 §6.2.1).
    pub(crate) fn handle_sack(&mut self, now: Instant, sack: &Sack<'_>) -> SackOutcome {
        let checked = self.outstanding.check(sack.cumulative_tsn, sack.gaps.iter());
        let cumulative = match self.accept(checked) {
            Ok(cumulative) => cumulative,
            Err(outcome) => return outcome,
        };
        self.a_rwnd = bytes(sack.a_rwnd);
        self.probe_due = false;
        let (flight, in_recovery) = (self.outstanding.in_flight(), self.recovery.is_some());
        let queue = &mut self.queue;
        let applied =
            self.outstanding.apply(now, cumulative, in_recovery, |chunk| queue.released(chunk.slot));
        self.settle(now, cumulative, flight, applied)
    }

    /// Processes the cumulative TSN of a SHUTDOWN; it has no gap report, so nothing is taken as missing.
    pub(crate) fn handle_cumulative(&mut self, now: Instant, cumulative: Tsn) -> SackOutcome {
        let checked = self.outstanding.check_cumulative(cumulative);
        let cumulative = match self.accept(checked) {
            Ok(cumulative) => cumulative,
            Err(outcome) => return outcome,
        };
        let (flight, payload) = (self.outstanding.in_flight(), self.outstanding.in_flight_payload());
        let queue = &mut self.queue;
        let applied = self.outstanding.apply_cumulative(now, cumulative, |chunk| queue.released(chunk.slot));
        // What was in flight fills the peer's buffer now.
        self.a_rwnd = self.a_rwnd.saturating_sub(payload - self.outstanding.in_flight_payload());
        self.settle(now, cumulative, flight, applied)
    }

    /// The round trip of a HEARTBEAT.
    pub(crate) fn handle_rtt(&mut self, rtt: Duration) {
        self.rto.sample(rtt);
    }

    /// Appends DATA chunks to the packet: retransmissions first, then new data as the windows allow.
    /// Returns whether anything was added.
    pub(crate) fn write_data(&mut self, now: Instant, packet: &mut PacketWriter<'_>) -> bool {
        let regular = self.may_send_packet();
        if !regular && !(self.fast_packet && self.outstanding.has_lost()) {
            return false;
        }
        let resent = self.write_lost(now, packet);
        // Chunks that wait to be sent again go first (RFC 9260 §6.1 C).
        let sent = regular && !self.outstanding.has_lost() && self.write_new(now, packet);
        if !(resent || sent) {
            return false;
        }
        self.fast_packet = false;
        self.burst_left = self.burst_left.saturating_sub(1);
        self.last_sent = Some(now);
        let in_flight = self.outstanding.in_flight();
        if in_flight >= self.congestion.cwnd() {
            self.window_full_below = self.outstanding.next_tsn();
        }
        self.congestion.on_sent(now, in_flight);
        true
    }

    /// Whether [`write_data`](Self::write_data) would put something into an empty packet. Cheap.
    pub(crate) fn wants_to_send(&self, _now: Instant) -> bool {
        if self.outstanding.has_lost() {
            return self.fast_packet || self.may_send_packet();
        }
        self.may_send_packet()
            && self.queue.next().is_some_and(|next| self.window_allows(next) > 0)
            && self.outstanding.len() < MAX_OUTSTANDING
    }

    /// Fires what is due. `Some` if T3-rtx was.
    pub(crate) fn handle_timeout(&mut self, now: Instant) -> Option<T3Expired> {
        if self.probe.expire(now) {
            self.probe.stop();
            self.probe_due = true;
            self.begin_opportunity(now);
        }
        self.t3.expire(now).then(|| self.on_t3_expired(now))
    }

    /// When [`handle_timeout`](Self::handle_timeout) is due.
    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        [self.t3.deadline(), self.probe.deadline()].into_iter().flatten().min()
    }

    pub(crate) fn poll_event(&mut self) -> Option<SenderEvent> {
        self.queue.poll_event()
    }

    /// Another path: congestion control and RTO start anew (RFC 8261 §6.1).
    pub(crate) fn path_changed(&mut self, now: Instant, max_packet: usize) {
        self.rto.reset();
        self.use_packets_of(max_packet);
        self.recovery = None;
        self.fast_packet = false;
        self.single_packet = false;
        self.window_full_below = 0;
        if self.t3.is_running() {
            self.arm_t3(now);
        }
        self.begin_opportunity(now);
    }

    /// SHUTDOWN-PENDING or SHUTDOWN-RECEIVED: the last chunk asks for a SACK at once (RFC 7053).
    pub(crate) fn set_draining(&mut self, draining: bool) {
        self.draining = draining;
    }

    /// While a reset is in progress: new messages are refused with [`SendError::Resetting`], queued ones wait, one that
    /// is partly sent goes on.
    pub(crate) fn pause(&mut self, now: Instant, stream: StreamId) {
        self.queue.pause(stream);
        self.watch_window(now);
    }

    /// The reset was refused: the stream goes on as before.
    pub(crate) fn resume(&mut self, now: Instant, stream: StreamId) {
        self.queue.resume(stream);
        self.begin_opportunity(now);
    }

    /// The reset was performed: SSNs from 0, not paused.
    pub(crate) fn reset_stream(&mut self, now: Instant, stream: StreamId) {
        self.queue.reset(stream);
        self.begin_opportunity(now);
    }

    /// Drops the messages not begun yet; one that is partly sent is completed, with what there is of it if its end has
    /// not come. Returns the payload bytes dropped.
    pub(crate) fn drop_queued(&mut self, now: Instant, stream: StreamId) -> usize {
        let dropped = self.queue.drop_unsent(stream);
        self.refused.remove(&stream);
        self.readmit();
        self.begin_opportunity(now);
        dropped
    }

    /// Payload accepted and not yet in a packet.
    pub(crate) fn buffered_amount(&self, stream: StreamId) -> usize {
        self.queue.buffered_amount(stream)
    }

    pub(crate) fn set_buffered_amount_low_threshold(&mut self, stream: StreamId, threshold: usize) {
        self.queue.set_low_threshold(stream, threshold);
    }

    /// Payload accepted and not acknowledged, all streams; after [`close`](Self::close), what it was then.
    pub(crate) fn undelivered(&self) -> usize {
        match self.phase {
            Phase::Closed { undelivered } => undelivered,
            Phase::Waiting | Phase::Started { .. } => self.queue.buffered() + self.outstanding.payload(),
        }
    }

    /// Nothing queued and nothing outstanding.
    pub(crate) fn is_idle(&self) -> bool {
        self.queue.is_empty() && self.outstanding.is_empty()
    }

    /// Nothing queued and nothing unacknowledged on the stream.
    pub(crate) fn is_drained(&self, stream: StreamId) -> bool {
        self.queue.is_drained(stream)
    }

    pub(crate) fn next_tsn(&self) -> Tsn {
        tsn(self.outstanding.next_tsn())
    }

    pub(crate) fn last_assigned_tsn(&self) -> Tsn {
        tsn(self.outstanding.next_tsn() - 1)
    }

    /// The RTO, for the timers of the association too.
    pub(crate) fn rto(&self) -> Duration {
        self.rto.current()
    }

    pub(crate) fn stats(&self) -> SenderStats {
        let Counters { chunks_sent, retransmissions, fast_retransmits, t3_expirations, invalid_sacks } =
            self.counters;
        SenderStats {
            chunks_sent,
            retransmissions,
            fast_retransmits,
            t3_expirations,
            invalid_sacks,
            cwnd: self.congestion.cwnd(),
            ssthresh: self.congestion.ssthresh(),
            peer_rwnd: self.peer_rwnd(),
            bytes_in_flight: self.outstanding.in_flight(),
            srtt: self.rto.srtt(),
            rto: self.rto.current(),
        }
    }

    fn check_send(&mut self, stream: StreamId, len: usize) -> Result<(), SendError> {
        match self.phase {
            Phase::Closed { .. } => return Err(SendError::Closed),
            Phase::Started { streams: negotiated } if stream.0 >= negotiated => {
                return Err(SendError::NoSuchStream { stream, negotiated });
            }
            Phase::Waiting | Phase::Started { .. } => {}
        }
        if self.queue.is_paused(stream) {
            return Err(SendError::Resetting(stream));
        }
        let message = self.queue.open_len(stream).unwrap_or(0).saturating_add(len);
        if let Some(max) = self.max_message.filter(|max| message > *max) {
            return Err(SendError::TooLarge { len: message, max });
        }
        let max = self.config.buffer_limit;
        let full = self.charged().saturating_add(charge(len));
        if len > 0 && full > max {
            self.refused.insert(stream, len);
            return Err(SendError::BufferFull { len: full - max, max });
        }
        Ok(())
    }

    fn accept(&mut self, checked: Result<u64, SackError>) -> Result<u64, SackOutcome> {
        match (self.phase, checked) {
            (Phase::Waiting | Phase::Closed { .. }, _) | (_, Err(SackError::Stale)) => {
                Err(SackOutcome::Stale)
            }
            (Phase::Started { .. }, Ok(cumulative)) => Ok(cumulative),
            (Phase::Started { .. }, Err(error @ (SackError::NeverSent | SackError::GapBlocks))) => {
                debug!(?error, "acknowledgement dropped");
                self.counters.invalid_sacks += 1;
                Err(SackOutcome::Invalid)
            }
        }
    }

    /// Everything that follows from an acknowledgement; `flight` is what was in flight before it.
    fn settle(&mut self, now: Instant, cumulative: u64, flight: usize, applied: Applied) -> SackOutcome {
        self.heard = true;
        if let Some(rtt) = applied.rtt {
            self.rto.sample(rtt);
        }
        if applied.newly_acked > 0 {
            self.single_packet = false;
            self.probing = None;
        }
        self.tell_congestion(now, cumulative, flight, &applied);
        self.reopen_window();
        // RFC 9260 §6.3.2 R2: "Whenever all outstanding data sent to an address have been acknowledged, turn off the
        // T3-rtx timer". R3: "Whenever a SACK chunk is received that acknowledges the DATA chunk with the earliest
        // outstanding TSN for that address, restart the T3-rtx timer". R4: a renegade report starts it.
        if self.outstanding.is_empty() {
            self.t3.stop();
        } else if applied.advanced || !self.t3.is_running() {
            self.arm_t3(now);
        }
        self.readmit();
        self.begin_opportunity(now);
        SackOutcome::Processed(Acked {
            newly_acked_bytes: applied.newly_acked,
            advanced: applied.advanced,
            rtt: applied.rtt,
        })
    }

    /// RFC 9260 §7.2.4: growth before reduction ("the cwnd adjustment rules defined in Sections 7.2.1 and 7.2.2 MUST be
    /// applied first"), one reduction per recovery.
    fn tell_congestion(&mut self, now: Instant, cumulative: u64, flight: usize, applied: &Applied) {
        let remembered =
            self.config.congestion.remember_full_window && applied.newly_acked_end <= self.window_full_below;
        self.congestion.on_ack(
            now,
            &Ack {
                bytes: applied.newly_acked,
                window_full: remembered || flight >= self.congestion.cwnd(),
                in_recovery: self.recovery.is_some(),
                all_acked: self.outstanding.is_empty(),
                rtt: applied.rtt,
            },
        );
        // RFC 9260 §6.2.1 D iv): "If the Cumulative TSN Ack matches or exceeds the Fast Recovery exit point
        // (Section 7.2.4), Fast Recovery is exited."
        if self.recovery.is_some_and(|exit| cumulative >= exit) {
            self.recovery = None;
            debug!("fast recovery ends");
        }
        self.counters.fast_retransmits += applied.newly_lost as u64;
        if applied.newly_lost > 0 && self.recovery.is_none() {
            // RFC 9260 §7.2.4 (6): "mark the highest outstanding TSN as the Fast Recovery exit point."
            self.recovery = Some(self.outstanding.next_tsn() - 1);
            self.fast_packet = true;
            self.congestion.on_loss(now);
            debug!(lost = applied.newly_lost, cwnd = self.congestion.cwnd(), "fast recovery begins");
        }
    }

    /// RFC 9260 §6.3.3, and the end of fast recovery, without which cwnd could not grow again.
    fn on_t3_expired(&mut self, now: Instant) -> T3Expired {
        self.counters.t3_expirations += 1;
        // RFC 9260 §6.1 A: "If the sender continues to receive SACK chunks from the peer while doing zero window probing,
        // the unacknowledged window probes SHOULD NOT increment the error counter". "Zero window probing does not affect
        // the calculation of cwnd."
        let closed = self.is_window_closed();
        let counts_as_error = !(closed && std::mem::take(&mut self.heard));
        if closed {
            self.probing = Some(self.probing.map_or(0, |repeated| repeated.saturating_add(1)));
        } else {
            self.probing = None;
            self.congestion.on_rto(now);
            self.rto.back_off();
        }
        self.outstanding.mark_all_lost();
        self.recovery = None;
        self.fast_packet = false;
        self.single_packet = true;
        self.window_full_below = 0;
        self.arm_t3(now);
        self.begin_opportunity(now);
        debug!(closed, counts_as_error, rto = ?self.rto.current(), cwnd = self.congestion.cwnd(), "T3-rtx expired");
        T3Expired { counts_as_error }
    }

    /// RFC 9260 §6.1 B and D, §7.2.3: whether a packet may leave. It may be filled then, so that cwnd is exceeded by less
    /// than a packet.
    fn may_send_packet(&self) -> bool {
        let in_flight = self.outstanding.in_flight();
        matches!(self.phase, Phase::Started { .. })
            && in_flight < self.congestion.cwnd()
            && self.burst_left > 0
            && !(self.single_packet && in_flight > 0)
    }

    /// Fills the packet with the lowest of the lost chunks.
    fn write_lost(&mut self, now: Instant, packet: &mut PacketWriter<'_>) -> bool {
        let mut wrote = false;
        let immediate = self.has_tiny_window();
        while let Some(number) = self.outstanding.next_lost() {
            let Some(chunk) = self.outstanding.chunk(number) else { break };
            if !packet.push(&chunk.wire(tsn(number), immediate)) {
                break;
            }
            self.outstanding.retransmitted(now, number);
            self.counters.retransmissions += 1;
            self.counters.chunks_sent += 1;
            wrote = true;
            // RFC 9260 §6.1: "the sender MUST restart the timer if the earliest (i.e., lowest TSN) outstanding DATA chunk
            // sent to that address is being retransmitted. Otherwise, the data sender MUST NOT restart the timer."
            if number == self.outstanding.base() || !self.t3.is_running() {
                self.arm_t3(now);
            }
            // RFC 9260 §6.1 A: "A zero window probe is a DATA chunk".
            if self.probing.is_some() {
                break;
            }
        }
        wrote
    }

    /// Fills the packet with new chunks.
    fn write_new(&mut self, now: Instant, packet: &mut PacketWriter<'_>) -> bool {
        let mut wrote = false;
        while self.outstanding.len() < MAX_OUTSTANDING {
            let Some(next) = self.queue.next() else { break };
            let len = self.window_allows(next).min(self.fragment_len(next, packet.remaining()));
            if len == 0 {
                break;
            }
            if !wrote {
                self.decay_window(now);
            }
            let Some(chunk) = self.queue.take(next, len) else { break };
            let immediate = self.is_worth_prompt_sack(len);
            let fits = packet.push(&chunk.wire(tsn(self.outstanding.next_tsn()), immediate));
            debug_assert!(fits, "a fragment is cut to fit");
            self.outstanding.push(now, chunk);
            self.counters.chunks_sent += 1;
            wrote = true;
            let probed = std::mem::take(&mut self.probe_due);
            if probed {
                self.probing = Some(0);
            }
            // RFC 9260 §6.3.2 R1: "if the T3-rtx timer of that address is not running, start it running".
            if !self.t3.is_running() {
                self.arm_t3(now);
            }
            if probed {
                break;
            }
        }
        wrote
    }

    /// How much of the next message goes into `room` bytes of a packet. A message that fits a packet of its own is not
    /// cut for a smaller rest of room; a longer one is, as it is cut anyway.
    fn fragment_len(&self, next: Next, room: usize) -> usize {
        let room = room.saturating_sub(Data::HEADER_LEN).min(self.queue.fragment());
        if next.available <= room {
            next.available
        } else if next.available > self.queue.fragment() && room >= MIN_FRAGMENT {
            // The room is whole words, so no fragment but the last is padded.
            room
        } else {
            0
        }
    }

    /// How much of the next message the peer's window lets out (RFC 9260 §6.1 A), against silly windows: the message to
    /// its end, or at least half a fragment, or anything while nothing is in flight.
    fn window_allows(&self, next: Next) -> usize {
        let rwnd = self.peer_rwnd();
        let whole = next.available.min(self.queue.fragment());
        if whole <= rwnd || self.probe_due {
            return whole;
        }
        let words = rwnd & !3;
        if words >= self.queue.fragment() / 2 || self.outstanding.in_flight() == 0 { words } else { 0 }
    }

    /// RFC 9260 §6.2.1 B, C and D ii: what the peer advertised less what is in flight.
    fn peer_rwnd(&self) -> usize {
        self.a_rwnd.saturating_sub(self.outstanding.in_flight_payload())
    }

    /// Whether the peer has no room for the chunk it needs next.
    fn is_window_closed(&self) -> bool {
        self.outstanding.first().is_some_and(|chunk| self.a_rwnd < chunk.data.len())
    }

    /// A SACK opened the window and did not acknowledge the probe: it was dropped, so it leaves again at once instead of
    /// after an interval that has grown long.
    fn reopen_window(&mut self) {
        if self.probing.is_some() && !self.is_window_closed() {
            self.probing = None;
            self.single_packet = false;
            self.outstanding.mark_lost(self.outstanding.base());
        }
    }

    /// RFC 9260 §6.1 A: "The sender SHOULD send the first zero window probe after 1 RTO when it detects that the receiver
    /// has closed its window".
    fn watch_window(&mut self, now: Instant) {
        let started = matches!(self.phase, Phase::Started { .. });
        let blocked = started
            && self.outstanding.is_empty()
            && self.queue.next().is_some_and(|next| self.window_allows(next) == 0);
        if !blocked {
            self.probe.stop();
        } else if !self.probe.is_running() {
            self.probe.set_duration(self.rto.current());
            self.probe.start(now);
        }
    }

    /// Something happened that may let packets out: a new burst may leave.
    fn begin_opportunity(&mut self, now: Instant) {
        self.burst_left = self.config.max_burst.map_or(usize::MAX, |burst| burst.max(1));
        self.watch_window(now);
    }

    /// RFC 9260 §7.2.1: "While the endpoint does not transmit data on a given transport address, the cwnd of the transport
    /// address SHOULD be adjusted … once per RTO."
    fn decay_window(&mut self, now: Instant) {
        let Some(last_sent) = self.last_sent.filter(|_| self.outstanding.is_empty()) else { return };
        let idle = now.saturating_duration_since(last_sent);
        let timeouts = idle.as_nanos() / self.rto.current().as_nanos().max(1);
        if timeouts > 0 {
            self.congestion.on_idle(u32::try_from(timeouts).unwrap_or(u32::MAX));
        }
    }

    /// RFC 9260 §6.1: when to set the I bit on a new chunk of `len` bytes. A window that holds many packets is reported on
    /// soon enough by every second one.
    fn is_worth_prompt_sack(&self, len: usize) -> bool {
        let cwnd = self.congestion.cwnd();
        let fills_cwnd =
            cwnd <= SMALL_WINDOW * self.max_chunk && self.outstanding.in_flight() + chunk_size(len) >= cwnd;
        let fills_rwnd = self.peer_rwnd() < len + self.queue.fragment() / 2;
        fills_cwnd || fills_rwnd || self.has_tiny_window() || (self.draining && self.queue.is_empty())
    }

    /// After T3: one packet is in flight, and a delayed SACK would be waited for.
    fn has_tiny_window(&self) -> bool {
        self.congestion.cwnd() <= TINY_WINDOW * self.max_chunk
    }

    fn arm_t3(&mut self, now: Instant) {
        let rto = self.rto.current();
        let duration = match self.probing {
            // RFC 9260 §6.1 A: "and SHOULD increase the probe interval exponentially afterwards."
            Some(repeated) => doubled(rto, repeated.saturating_add(1)).min(self.rto.max()),
            None => rto,
        };
        self.t3.set_duration(duration);
        self.t3.start(now);
    }

    fn use_packets_of(&mut self, max_packet: usize) {
        self.max_chunk = max_chunk(max_packet);
        self.queue.set_fragment(self.max_chunk - Data::HEADER_LEN);
        self.congestion.on_path_change(self.max_chunk);
    }

    fn charged(&self) -> usize {
        self.queue.charged() + self.outstanding.charged()
    }

    /// Tells those whose sends were refused that there is room.
    fn readmit(&mut self) {
        if self.refused.is_empty() {
            return;
        }
        let room = self.config.buffer_limit.saturating_sub(self.charged());
        let Self { refused, queue, .. } = self;
        refused.retain(|stream, len| {
            let fits = charge(*len) <= room;
            // One that is above its high-water mark hears when it is below.
            if fits && queue.is_writable(*stream) {
                queue.push_event(SenderEvent::Writable(*stream));
            }
            !fits
        });
    }
}

/// PMDCS: the largest DATA chunk of a packet, a whole number of words.
fn max_chunk(max_packet: usize) -> usize {
    (max_packet.saturating_sub(Header::LEN) & !3).max(MIN_CHUNK)
}

fn bytes(a_rwnd: u32) -> usize {
    usize::try_from(a_rwnd).unwrap_or(usize::MAX)
}

/// Until the association says otherwise: 1280 − 40 (IPv6) − 8 (UDP) − 4 (TURN) − 37 (DTLS).
const DEFAULT_PACKET: usize = 1191;

/// A packet that cannot hold this is no packet: a header and one word would be left.
const MIN_CHUNK: usize = Data::HEADER_LEN + 4;

/// A message is not cut for less payload than this: a chunk header is 16 bytes.
const MIN_FRAGMENT: usize = 64;

/// TSNs that gap blocks can report on, their offsets having 16 bits (RFC 9260 §3.3.4). It also keeps the promise of §6.1:
/// "the data sender MUST NOT have more than 2^16 - 1 ordered user messages in the current send window", and is far below
/// 2^31 - 1.
const MAX_OUTSTANDING: usize = 65_535;

/// In packets: a window up to this waits for each SACK.
const SMALL_WINDOW: usize = 16;

/// In packets: with a window up to this every chunk asks for a SACK at once.
const TINY_WINDOW: usize = 2;

#[cfg(test)]
#[path = "tests/sender.rs"]
mod tests;
