//! The sending half of an association, without the association's states (RFC 9260 §6, §7).

mod acknowledge;
mod config;
mod forward;
mod report;
mod transmit;

pub(crate) use config::{SenderConfig, Terms};
pub(crate) use report::{Acked, SackOutcome, SenderEvent, SenderStats, T3Expired};

use super::chunk::{Chunk, Format, charge};
use super::outstanding::Outstanding;
use super::queue::{Part, Queue, Standing};
use super::resent::Resent;
use super::{Reliability, SendError};
use crate::congestion::{Controller, NewReno};
use crate::number::{Tsn, tsn};
use crate::rto::Rto;
use crate::timer::Timer;
use crate::wire::{Header, IData};
use crate::{Ppid, StreamId};
use bytes::Bytes;
use forward::Told;
use report::Counters;
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
    resent: Resent,
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
    /// Expirations of T3 since the last SACK, and when the first of them was.
    unheard: Option<(u32, Instant)>,
    /// PMDCS: the largest DATA or I-DATA chunk, header included.
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
    told: Told,
    /// Whether messages may be given up: the peer understands what tells it.
    partial_reliability: bool,
    draining: bool,
    /// Sends that the memory limit refused, with the size of the last one.
    refused: BTreeMap<StreamId, usize>,
    counters: Counters,
}

#[derive(Debug)]
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
        /// Not in a packet then, by stream.
        buffered: BTreeMap<StreamId, usize>,
    },
}

impl Sender {
    pub(crate) fn new(config: SenderConfig) -> Self {
        let max_chunk = max_chunk(DEFAULT_PACKET);
        let rto = Rto::new(config.rto);
        Self {
            config,
            phase: Phase::Waiting,
            queue: Queue::new(config.high_water_mark, max_chunk - Format::Data.header_len()),
            outstanding: Outstanding::new(Tsn(0), Format::Data),
            resent: Resent::default(),
            congestion: Box::new(NewReno::new(config.congestion, max_chunk)),
            t3: Timer::fixed(rto.current()),
            probe: Timer::fixed(rto.current()),
            rto,
            probe_due: false,
            probing: None,
            heard: false,
            unheard: None,
            max_chunk,
            max_message: None,
            a_rwnd: 0,
            recovery: None,
            fast_packet: false,
            single_packet: false,
            burst_left: 0,
            window_full_below: 0,
            last_sent: None,
            told: Told::default(),
            partial_reliability: false,
            draining: false,
            refused: BTreeMap::new(),
            counters: Counters::default(),
        }
    }

    /// The association is up. What was queued before on streams the peer does not have is dropped, counted and told.
    pub(crate) fn start(&mut self, now: Instant, terms: &Terms) {
        let format = Format::new(terms.interleaving);
        self.phase = Phase::Started { streams: terms.streams };
        self.partial_reliability = terms.partial_reliability;
        self.outstanding = Outstanding::new(terms.initial_tsn, format);
        // RFC 9260 §6.2.1 A: "the endpoint initializes the rwnd to the Advertised Receiver Window Credit (a_rwnd) the peer
        // specified in the INIT or INIT ACK chunk."
        self.note_window(terms.peer_rwnd);
        self.counters.bytes_lost += self.queue.limit_streams(terms.streams) as u64;
        self.queue.start(format, terms.partial_reliability);
        self.use_packets_of(terms.max_packet);
        self.begin_opportunity(now);
    }

    /// The peer restarted: everything queued or outstanding is dropped and counted, everything starts anew.
    pub(crate) fn restart(&mut self, now: Instant, terms: &Terms) {
        self.counters.bytes_lost += (self.undelivered() - self.undelivered_dcep()) as u64;
        let Self { counters, max_message, .. } = *self;
        *self = Self { counters, max_message, ..Self::new(self.config) };
        self.start(now, terms);
    }

    /// The association is over: timers stop, memory is given back, sends are refused;
    /// [`undelivered`](Self::undelivered) and [`buffered_amount`](Self::buffered_amount) keep their values.
    pub(crate) fn close(&mut self) {
        let (undelivered, dcep) = (self.undelivered(), self.undelivered_dcep());
        let buffered = match &mut self.phase {
            Phase::Closed { buffered, .. } => std::mem::take(buffered),
            Phase::Waiting | Phase::Started { .. } => self.queue.buffered_amounts(),
        };
        let phase = Phase::Closed { undelivered, dcep, buffered };
        let Self { counters, rto, .. } = *self;
        *self = Self { counters, rto, phase, ..Self::new(self.config) };
    }

    /// `a=max-message-size` of the peer; `None` is no limit.
    pub(crate) fn max_message_size(&self) -> Option<usize> {
        self.max_message
    }

    /// Sets it.
    pub(crate) fn set_max_message_size(&mut self, max: Option<usize>) {
        self.max_message = max;
    }

    /// Queues a part of a message, or a whole one. Kind and reliability are those of a message's first part.
    ///
    /// Without I-DATA a message that was begun keeps all other streams waiting until its last part comes. The parts of a
    /// message that was given up are accepted and dropped.
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
        if self.check_send(stream, data.len())?.discarding {
            self.counters.bytes_abandoned += data.len() as u64;
        }
        self.queue.push(now, Part { stream, ppid, data, last, ordered, reliability })?;
        self.begin_opportunity(now);
        Ok(())
    }

    /// Queues a message of the channel protocol (RFC 8832 §6: ordered and reliable). What bounds the messages of the
    /// user, the peer's largest size and the memory limit, is not for it: a channel would be half open without.
    pub(crate) fn send_dcep(&mut self, now: Instant, stream: StreamId, data: Bytes) -> Result<(), SendError> {
        self.check_stream(stream, self.queue.standing(stream))?;
        let (ppid, reliability) = (Ppid::DCEP, Reliability::Reliable);
        self.queue.push(now, Part { stream, ppid, data, last: true, ordered: true, reliability })?;
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
        self.drop_expired(now);
        self.t3.expire(now).then(|| self.on_t3_expired(now))
    }

    /// When [`handle_timeout`](Self::handle_timeout) is due.
    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        [self.t3.deadline(), self.probe.deadline(), self.next_deadline()].into_iter().flatten().min()
    }

    pub(crate) fn poll_event(&mut self) -> Option<SenderEvent> {
        self.queue.poll_event()
    }

    /// Another path: congestion control and RTO start anew (RFC 8261 §6.1).
    pub(crate) fn path_changed(&mut self, now: Instant, max_packet: usize) {
        self.rto.reset();
        self.use_packets_of(max_packet);
        self.recovery = None;
        self.unheard = None;
        self.fast_packet = false;
        self.single_packet = false;
        self.window_full_below = 0;
        if self.t3.is_running() {
            self.arm_t3(now);
        }
        self.begin_opportunity(now);
    }

    /// The same path carries packets of another size; what is known of it otherwise still holds.
    pub(crate) fn set_packet_size(&mut self, max_packet: usize) {
        self.set_max_chunk(max_packet);
        self.congestion.set_max_chunk(self.max_chunk);
    }

    /// The peer has just answered something else: T3-rtx expires one RTO from now, unless it does earlier.
    pub(crate) fn hasten_t3(&mut self, now: Instant) {
        if self.t3.deadline().is_some_and(|deadline| deadline > now + self.rto.current()) {
            self.arm_t3(now);
        }
    }

    /// The size of a packet with nothing but the chunk that the peer needs first; 0 if it needs none.
    pub(crate) fn first_packet_size(&self) -> usize {
        self.outstanding.first_needed().map_or(0, |chunk| self.packet_size(chunk))
    }

    /// The same of the chunk that is sent again next.
    pub(crate) fn next_lost_size(&mut self) -> usize {
        let lost = self.outstanding.next_lost();
        lost.and_then(|number| self.outstanding.chunk(number)).map_or(0, |chunk| self.packet_size(chunk))
    }

    /// SHUTDOWN-PENDING or SHUTDOWN-RECEIVED: the last chunk asks for a SACK at once (RFC 7053).
    pub(crate) fn set_draining(&mut self, draining: bool) {
        self.draining = draining;
    }

    /// No more parts come: messages whose last part is missing end with what there is of them.
    pub(crate) fn end_open_messages(&mut self, now: Instant) {
        self.queue.end_open_messages();
        self.begin_opportunity(now);
    }

    /// The last part of the message that is open on the stream will not come: it is given up. `false`: it is partly sent
    /// and the peer cannot be told (RFC 3758), so it stays open.
    pub(crate) fn give_up_open(&mut self, now: Instant, stream: StreamId) -> bool {
        let Some(open) = self.queue.open(stream) else { return true };
        if open.begun {
            if !self.partial_reliability {
                return false;
            }
            self.abandon_on_its_way(now, open.slot);
            self.outstanding.advance_point();
        }
        let dropped = self.queue.drop_open(open.slot);
        self.count_dropped(dropped);
        self.refused.remove(&stream);
        self.readmit();
        self.begin_opportunity(now);
        true
    }

    /// The stream is to be reset: [`poll_drained`](Self::poll_drained) tells once when all of it is in packets.
    pub(crate) fn end(&mut self, stream: StreamId) {
        self.queue.end(stream);
    }

    /// The next of those streams of which nothing is queued.
    pub(crate) fn poll_drained(&mut self) -> Option<StreamId> {
        self.queue.poll_drained()
    }

    /// The peer is asked to reset the streams. Until the answer new messages are refused with [`SendError::Resetting`], queued
    /// ones wait, one that is partly sent goes on. Gives the last TSN before the reset.
    pub(crate) fn begin_reset(&mut self, now: Instant, streams: &[StreamId]) -> Tsn {
        streams.iter().for_each(|stream| self.queue.pause(*stream));
        if self.partial_reliability {
            self.outstanding.note_reset();
        }
        self.watch_window(now);
        self.last_assigned_tsn()
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

    /// Whether the stream is as at the start: nothing queued or outstanding, and nothing was sent.
    pub(crate) fn is_as_new(&self, stream: StreamId) -> bool {
        self.queue.is_as_new(stream)
    }

    /// The streams that are not as new.
    pub(crate) fn used_streams(&self) -> Vec<StreamId> {
        self.queue.used_streams()
    }

    /// Drops the messages not begun yet, but for what opens a channel. One that is partly sent is given up with partial
    /// reliability; without it, it is completed, with what there is of it if its end has not come. Returns the payload
    /// bytes taken off the queue.
    pub(crate) fn drop_queued(&mut self, now: Instant, stream: StreamId) -> usize {
        let buffered = self.queue.buffered_amount(stream);
        if let Some(slot) = self.queue.on_its_way(stream).filter(|_| self.partial_reliability) {
            self.abandon_on_its_way(now, slot);
            self.outstanding.advance_point();
        }
        self.queue.drop_unsent(stream);
        self.refused.remove(&stream);
        self.readmit();
        self.begin_opportunity(now);
        buffered - self.queue.buffered_amount(stream)
    }

    /// Payload accepted and not yet in a packet; after [`close`](Self::close), what it was then.
    pub(crate) fn buffered_amount(&self, stream: StreamId) -> usize {
        match &self.phase {
            Phase::Closed { buffered, .. } => buffered.get(&stream).copied().unwrap_or(0),
            Phase::Waiting | Phase::Started { .. } => self.queue.buffered_amount(stream),
        }
    }

    /// The stream's share of what is sent, compared with the priorities of others (RFC 8831 §6.4); 256 at first. It
    /// counts until the stream is reset.
    pub(crate) fn set_priority(&mut self, stream: StreamId, priority: u16) {
        self.queue.set_priority(stream, priority);
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
            spurious_retransmissions,
            fast_retransmits,
            t3_expirations,
            invalid_sacks,
            bytes_lost,
            messages_abandoned,
            bytes_abandoned,
            forward_tsns_sent,
        } = self.counters;
        SenderStats {
            chunks_sent,
            retransmissions,
            spurious_retransmissions,
            fast_retransmits,
            t3_expirations,
            invalid_sacks,
            bytes_lost,
            messages_abandoned,
            bytes_abandoned,
            forward_tsns_sent,
            cwnd: self.congestion.cwnd(),
            ssthresh: self.congestion.ssthresh(),
            peer_rwnd: self.peer_rwnd(),
            bytes_in_flight: self.outstanding.in_flight(),
            srtt: self.rto.srtt(),
            rto: self.rto.current(),
        }
    }

    /// Looks at the gaps of the last SACK, so it is not among what `stats` gives.
    pub(crate) fn unacknowledged_chunks(&self) -> usize {
        self.outstanding.unacknowledged()
    }

    fn check_stream(&self, stream: StreamId, standing: Standing) -> Result<(), SendError> {
        match self.phase {
            Phase::Closed { .. } => return Err(SendError::Closed),
            Phase::Started { streams: negotiated } if stream.0 >= negotiated => {
                return Err(SendError::NoSuchStream { stream, negotiated });
            }
            Phase::Waiting | Phase::Started { .. } => {}
        }
        if standing.paused { Err(SendError::Resetting(stream)) } else { Ok(()) }
    }

    /// Nothing was sent for long: holds no more memory than needed.
    pub(crate) fn shrink(&mut self) {
        self.outstanding.shrink();
    }

    /// What must hold after each input. Counts all there is.
    #[cfg(any(test, feature = "__fuzzing"))]
    pub(crate) fn check_invariants(&self) {
        self.queue.check_invariants();
        self.outstanding.check_invariants();
    }

    fn check_send(&mut self, stream: StreamId, len: usize) -> Result<Standing, SendError> {
        let standing = self.queue.standing(stream);
        self.check_stream(stream, standing)?;
        let message = standing.open_len.saturating_add(len);
        if let Some(max) = self.max_message.filter(|max| message > *max) {
            return Err(SendError::TooLarge { len: message, max });
        }
        // What is dropped at once takes no room.
        if len > 0 && !standing.discarding {
            self.check_room(stream, len, standing.buffered)?;
        }
        Ok(standing)
    }

    fn check_room(&mut self, stream: StreamId, len: usize, buffered: usize) -> Result<(), SendError> {
        let SenderConfig { buffer_limit, stream_limit, .. } = self.config;
        let full = self.charged().saturating_add(charge(len));
        let stream_full = buffered.saturating_add(len);
        let limits = [(full, buffer_limit), (stream_full, stream_limit)];
        let Some((full, max)) = limits.into_iter().find(|(full, max)| full > max) else { return Ok(()) };
        // There never is room for what is larger than all of it: nothing to wait for.
        if charge(len) <= buffer_limit && len <= stream_limit {
            self.refused.insert(stream, len);
        }
        Err(SendError::BufferFull { len: full - max, max })
    }

    fn packet_size(&self, chunk: &Chunk) -> usize {
        Header::LEN + self.outstanding.format().chunk_size(chunk.data.len())
    }

    fn set_max_chunk(&mut self, max_packet: usize) {
        self.max_chunk = max_chunk(max_packet);
        self.queue.set_fragment(self.max_chunk - self.outstanding.format().header_len());
    }

    fn use_packets_of(&mut self, max_packet: usize) {
        self.set_max_chunk(max_packet);
        self.congestion.on_path_change(self.max_chunk);
    }

    /// What the peer advertises.
    fn note_window(&mut self, a_rwnd: u32) {
        self.a_rwnd = usize::try_from(a_rwnd).unwrap_or(usize::MAX);
        self.queue.note_window(self.a_rwnd);
    }

    /// Bytes queued and outstanding, and their overhead.
    pub(crate) fn charged(&self) -> usize {
        self.queue.charged() + self.outstanding.charged()
    }
}

/// PMDCS: the largest DATA or I-DATA chunk of a packet, a whole number of words.
fn max_chunk(max_packet: usize) -> usize {
    (max_packet.saturating_sub(Header::LEN) & !3).max(MIN_CHUNK)
}

/// Until the association says otherwise: 1280 − 40 (IPv6) − 8 (UDP) − 4 (TURN) − 37 (DTLS).
const DEFAULT_PACKET: usize = 1191;

/// A packet that cannot hold this is no packet: a header and one word would be left.
const MIN_CHUNK: usize = IData::HEADER_LEN + 4;

#[cfg(test)]
#[path = "tests/sender.rs"]
mod tests;
