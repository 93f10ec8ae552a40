//! The sending half of an association, without the association's states (RFC 9260 §6, §7).

mod acknowledge;
mod transmit;

use super::chunk::charge;
use super::outstanding::Outstanding;
use super::queue::{Part, Queue};
use super::{Reliability, SendError};
use crate::congestion::{CongestionConfig, Controller, NewReno};
use crate::number::{Tsn, tsn};
use crate::rto::{Rto, RtoConfig};
use crate::timer::Timer;
use crate::wire::{Data, Header};
use crate::{Ppid, StreamId};
use bytes::Bytes;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

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
        /// Of these, of the channel protocol.
        dcep: usize,
    },
}

#[derive(Clone, Copy, Debug, Default)]
struct Counters {
    chunks_sent: u64,
    retransmissions: u64,
    fast_retransmits: u64,
    t3_expirations: u64,
    invalid_sacks: u64,
    bytes_lost: u64,
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
    /// The peer does not have this stream: what was queued on it before the start is dropped.
    NoSuchStream(StreamId),
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
    /// Payload of messages that was accepted and dropped: queued on streams the peer does not have, or not acknowledged
    /// when the peer restarted.
    pub(crate) bytes_lost: u64,
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

    /// The association is up. What was queued before on streams the peer does not have is dropped, counted and told.
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
        self.counters.bytes_lost += self.queue.limit_streams(streams) as u64;
        self.use_packets_of(max_packet);
        self.begin_opportunity(now);
    }

    /// The peer restarted: everything queued or outstanding is dropped and counted, everything starts anew.
    pub(crate) fn restart(
        &mut self,
        now: Instant,
        initial_tsn: Tsn,
        peer_rwnd: u32,
        streams: u16,
        max_packet: usize,
    ) {
        self.counters.bytes_lost += (self.undelivered() - self.undelivered_dcep()) as u64;
        let Self { counters, max_message, .. } = *self;
        *self = Self { counters, max_message, ..Self::new(self.config) };
        self.start(now, initial_tsn, peer_rwnd, streams, max_packet);
    }

    /// The association is over: timers stop, memory is given back, sends are refused;
    /// [`undelivered`](Self::undelivered) keeps its value.
    pub(crate) fn close(&mut self) {
        let (undelivered, dcep) = (self.undelivered(), self.undelivered_dcep());
        let Self { counters, rto, .. } = *self;
        *self = Self { counters, rto, phase: Phase::Closed { undelivered, dcep }, ..Self::new(self.config) };
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

    /// The round trip of a HEARTBEAT.
    pub(crate) fn handle_rtt(&mut self, rtt: Duration) {
        self.rto.sample(rtt);
    }

    /// A HEARTBEAT was not answered within the RTO.
    pub(crate) fn back_off(&mut self) {
        self.rto.back_off();
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
            Phase::Closed { undelivered, .. } => undelivered,
            Phase::Waiting | Phase::Started { .. } => self.queue.buffered() + self.outstanding.payload(),
        }
    }

    /// How much of that is of the channel protocol (RFC 8832) and no message of the user's. Looks at all there is.
    pub(crate) fn undelivered_dcep(&self) -> usize {
        match self.phase {
            Phase::Closed { dcep, .. } => dcep,
            Phase::Waiting | Phase::Started { .. } => {
                self.queue.buffered_of(Ppid::DCEP) + self.outstanding.payload_of(Ppid::DCEP)
            }
        }
    }

    /// Nothing queued and nothing outstanding.
    pub(crate) fn is_idle(&self) -> bool {
        self.queue.is_empty() && self.outstanding.is_empty()
    }

    pub(crate) fn last_assigned_tsn(&self) -> Tsn {
        tsn(self.outstanding.next_tsn() - 1)
    }

    /// The RTO, for the timers of the association too.
    pub(crate) fn rto(&self) -> Duration {
        self.rto.current()
    }

    pub(crate) fn stats(&self) -> SenderStats {
        let Counters {
            chunks_sent,
            retransmissions,
            fast_retransmits,
            t3_expirations,
            invalid_sacks,
            bytes_lost,
        } = self.counters;
        SenderStats {
            chunks_sent,
            retransmissions,
            fast_retransmits,
            t3_expirations,
            invalid_sacks,
            bytes_lost,
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
            // There never is room for what is larger than all of it: nothing to wait for.
            if charge(len) <= max {
                self.refused.insert(stream, len);
            }
            return Err(SendError::BufferFull { len: full - max, max });
        }
        Ok(())
    }

    fn use_packets_of(&mut self, max_packet: usize) {
        self.max_chunk = max_chunk(max_packet);
        self.queue.set_fragment(self.max_chunk - Data::HEADER_LEN);
        self.congestion.on_path_change(self.max_chunk);
    }

    fn charged(&self) -> usize {
        self.queue.charged() + self.outstanding.charged()
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

#[cfg(test)]
#[path = "tests/sender.rs"]
mod tests;
