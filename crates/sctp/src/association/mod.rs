//! One association (RFC 9260). This file checks what comes in and hands it to the file of its concern.

mod config;
mod control;
mod cookie;
mod data;
mod echo;
mod errors;
mod event;
mod handshake;
mod heartbeat;
mod limits;
mod ootb;
mod path_mtu;
mod random;
mod reconfig;
mod reset;
mod shutdown;
mod state;
mod stats;
#[cfg(test)]
mod tests;
mod transmit;

pub use crate::send::SendError;
pub use config::Config;
pub use event::{CloseReason, Event, ResetError, State, TimeoutKind};
pub use limits::Limits;
pub use stats::{Drops, Stats};

use crate::recv::{Receiver, ReceiverEvent};
use crate::send::{Sender, SenderEvent};
use crate::wire::{self, Chunk, Chunks, Header};
use control::ControlQueue;
use cookie::CookieJar;
use echo::Echoed;
use handshake::LocalInit;
use heartbeat::Prober;
use ootb::RateLimit;
use path_mtu::PathMtu;
use random::Random;
use reset::Reset;
use state::Phase;
use stats::Counters;
use std::collections::VecDeque;
use std::time::Instant;
use tracing::{debug, trace};

/// One SCTP association (RFC 9260) over DTLS (RFC 8261).
///
/// Both sides call [`connect`](Self::connect); an association that was not started answers a peer that does. After each
/// call the owner drains [`poll_transmit`](Self::poll_transmit), then [`poll_event`](Self::poll_event), then reads
/// [`poll_timeout`](Self::poll_timeout). What has ended stays ended: make a new one.
#[derive(Debug)]
pub struct Association {
    config: Config,
    phase: Phase,
    /// What our INIT says, or said.
    local: LocalInit,
    jar: CookieJar,
    random: Random,
    sender: Sender,
    receiver: Receiver,
    control: ControlQueue,
    /// RFC 9653: our INIT or an INIT ACK said that packets without a checksum are welcome.
    announced_zero_checksum: bool,
    reset: Reset,
    prober: Prober,
    path_mtu: PathMtu,
    /// Timeouts in a row (RFC 9260 §8.1).
    errors: u32,
    stranger_limit: RateLimit,
    heartbeat_limit: RateLimit,
    /// The latest time there was.
    latest: Instant,
    events: VecDeque<Event>,
    counters: Counters,
}

/// What is noted while the chunks of one packet are handled.
#[derive(Debug, Default)]
struct Inbound {
    has_data: bool,
    /// An ERROR was queued: one per packet.
    reported: bool,
}

/// Whether the chunks behind one count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flow {
    Continue,
    Stop,
}

impl Association {
    /// An association that waits for [`connect`](Self::connect) or for the peer.
    ///
    /// Tags, numbers and cookie keys are derived from `seed`, which must be random and used once.
    pub fn new(config: Config, seed: [u8; 32], now: Instant) -> Self {
        let mut random = Random::new(seed);
        let local = LocalInit::random(&mut random.generator());
        Self {
            phase: Phase::Idle,
            local,
            jar: CookieJar::new(seed, now),
            random,
            sender: Sender::new(config.sender()),
            receiver: Receiver::new(config.receiver()),
            control: ControlQueue::new(config.limits.queued_answers),
            announced_zero_checksum: false,
            reset: Reset::new(),
            prober: Prober::new(now),
            path_mtu: PathMtu::new(config.max_packet_size),
            errors: 0,
            stranger_limit: RateLimit::new(config.limits.stranger_answers_per_second, now),
            heartbeat_limit: RateLimit::new(config.limits.heartbeat_answers_per_second, now),
            latest: now,
            events: VecDeque::new(),
            counters: Counters::default(),
            config,
        }
    }

    /// The state it is in.
    pub fn state(&self) -> State {
        self.phase.state()
    }

    /// Why it ended, if it did.
    pub fn close_reason(&self) -> Option<&CloseReason> {
        if let Phase::Ended { reason } = &self.phase { Some(reason) } else { None }
    }

    /// Streams that may be used, outgoing and incoming, once it is established.
    pub fn negotiated_streams(&self) -> Option<(u16, u16)> {
        let tcb = match &self.phase {
            Phase::Idle | Phase::CookieWait { .. } | Phase::CookieEchoed { .. } | Phase::Ended { .. } => {
                return None;
            }
            Phase::Established { tcb }
            | Phase::ShutdownPending { tcb }
            | Phase::ShutdownSent { tcb, .. }
            | Phase::ShutdownReceived { tcb, .. }
            | Phase::ShutdownAckSent { tcb, .. } => tcb,
        };
        Some((tcb.outgoing_streams, tcb.incoming_streams))
    }

    /// The SCTP port of the peer, from its SDP `a=sctp-port` (RFC 8841 §5.1), in place of
    /// [`Config::remote_port`](crate::Config::remote_port).
    ///
    /// Does nothing once the association was started, nor with port 0, which does not exist on the wire.
    pub fn set_remote_port(&mut self, port: u16) {
        if let (Phase::Idle, 1..) = (&self.phase, port) {
            self.config.remote_port = port;
        }
    }

    /// Our port and the peer's.
    pub(crate) fn ports(&self) -> (u16, u16) {
        (self.config.local_port, self.config.remote_port)
    }

    /// Our port and the peer's, as long as it was not started.
    pub(crate) fn set_ports(&mut self, local: u16, remote: u16) -> bool {
        let is_idle = matches!(self.phase, Phase::Idle);
        if is_idle {
            self.config = self.config.clone().local_port(local).remote_port(remote);
        }
        is_idle
    }

    /// The transport below is gone: it ends without a packet.
    pub fn transport_closed(&mut self, now: Instant) {
        let now = self.clock(now);
        self.end(now, CloseReason::TransportClosed);
        self.control.clear();
    }

    /// The path below changed, for instance to another ICE pair: congestion control and RTO start anew (RFC 8261 §6.1).
    pub fn path_changed(&mut self, now: Instant) {
        let now = self.clock(now);
        self.forget_path_mtu();
        self.sender.path_changed(now, self.config.max_packet_size);
        self.tell_path();
        self.settle(now);
    }

    /// One packet of the peer. Whatever it is, this returns normally; what it did shows in `poll_event` and `stats`.
    pub fn handle_packet(&mut self, now: Instant, packet: &[u8]) {
        let now = self.clock(now);
        self.counters.packets_received += 1;
        self.counters.bytes_received += u64::try_from(packet.len()).unwrap_or(u64::MAX);
        if packet.len() > self.config.limits.received_packet_size {
            self.counters.oversized_packets += 1;
            return self.drop_packet("larger than any record below");
        }
        match wire::parse(packet, self.takes_zero_checksum(packet)) {
            Ok((header, chunks)) => {
                if tracing::enabled!(tracing::Level::TRACE) {
                    self.trace_packet("received", packet);
                }
                self.handle_chunks(now, &header, chunks);
            }
            Err(error) => {
                self.counters.packets_dropped += 1;
                debug!(%error, "packet dropped");
            }
        }
        self.settle(now);
    }

    /// Fires every timer that is due; harmless if called early.
    pub fn handle_timeout(&mut self, now: Instant) {
        let now = self.clock(now);
        if let Phase::Ended { .. } = self.phase {
            return;
        }
        self.on_t1(now);
        self.on_shutdown_timers(now);
        if let Some(expired) = self.sender.handle_timeout(now) {
            self.on_t3_expired(now, expired);
        }
        self.receiver.handle_timeout(now);
        self.on_reconfig_timer(now);
        self.on_heartbeat_timer(now);
        self.on_path_mtu_timer(now);
        self.settle(now);
        #[cfg(any(test, feature = "__fuzzing"))]
        assert!(self.poll_timeout().is_none_or(|next| next > now), "a timer in the past");
    }

    /// When to call `handle_timeout` next; none while it is idle for good.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let phase = match &self.phase {
            Phase::Ended { .. } => return None,
            Phase::CookieWait { t1, .. } | Phase::CookieEchoed { t1, .. } => t1.deadline(),
            Phase::ShutdownSent { t2, t5, .. } => earliest(t2.deadline(), t5.deadline()),
            Phase::ShutdownAckSent { t2, .. } => t2.deadline(),
            Phase::Idle
            | Phase::Established { .. }
            | Phase::ShutdownPending { .. }
            | Phase::ShutdownReceived { .. } => None,
        };
        let halves = earliest(self.sender.poll_timeout(), self.receiver.poll_timeout());
        let path = earliest(self.prober.deadline(), self.path_mtu.deadline());
        let rest = earliest(self.reset.deadline(), path);
        earliest(phase, earliest(halves, rest))
    }

    /// What changed, in order.
    pub fn poll_event(&mut self) -> Option<Event> {
        if self.events.is_empty() {
            // Reading and sending move the halves between two inputs.
            self.collect_events();
        }
        self.events.pop_front()
    }

    /// Counters and gauges.
    pub fn stats(&self) -> Stats {
        let sender = self.sender.stats();
        Stats {
            messages_abandoned: sender.messages_abandoned,
            bytes_abandoned: sender.bytes_abandoned,
            drops: self.drops(),
            packets_sent: self.counters.packets_sent,
            packets_received: self.counters.packets_received,
            packets_dropped: self.counters.packets_dropped,
            bytes_sent: self.counters.bytes_sent,
            bytes_received: self.counters.bytes_received,
            retransmissions: sender.retransmissions,
            spurious_retransmissions: sender.spurious_retransmissions,
            fast_retransmits: sender.fast_retransmits,
            t3_expirations: sender.t3_expirations,
            bytes_lost: sender.bytes_lost,
            cwnd: sender.cwnd,
            ssthresh: Some(sender.ssthresh).filter(|ssthresh| *ssthresh != usize::MAX),
            srtt: sender.srtt,
            rto: sender.rto,
            peer_rwnd: sender.peer_rwnd,
            local_rwnd: self.receiver.window(),
            bytes_in_flight: sender.bytes_in_flight,
            unacknowledged_chunks: self.sender.unacknowledged_chunks(),
            mtu: self.path_mtu.size(),
        }
    }

    fn drops(&self) -> Drops {
        let receiver = self.receiver.stats();
        Drops {
            oversized_packets: self.counters.oversized_packets,
            crowded_packets: self.counters.crowded_packets,
            crowded_inits: self.counters.crowded_inits,
            oversized_cookies: self.counters.oversized_cookies,
            stranger_answers: self.stranger_limit.refused(),
            heartbeat_answers: self.heartbeat_limit.refused() + self.counters.oversized_heartbeats,
            queued_answers: self.control.dropped(),
            beyond_tsn_distance: receiver.outside_window,
            beyond_gap_ranges: receiver.too_many_gaps,
            unreported_duplicates: receiver.duplicates_unreported,
            beyond_incomplete_messages: receiver.too_many_incomplete,
            buffer_full: receiver.buffer_full + receiver.out_of_resource,
            oversized_messages: receiver.messages_too_large + receiver.too_many_fragments,
        }
    }

    /// Before `connect`: lets a test begin shortly before a wrap.
    #[cfg(any(test, feature = "__fuzzing"))]
    #[doc(hidden)]
    pub fn set_initial_tsn(&mut self, tsn: u32) {
        self.local.tsn = crate::number::Tsn(tsn);
    }

    /// Time does not go backwards: a call with an earlier time than the one before it counts as at the same time.
    pub(crate) fn clock(&mut self, now: Instant) -> Instant {
        self.latest = self.latest.max(now);
        self.latest
    }

    pub(crate) fn config(&self) -> &Config {
        &self.config
    }

    /// RFC 9653: zero is good for whom it was announced to; not for INIT and COOKIE ECHO, which always have a checksum.
    /// The peer of an association that has ended may not know yet, and must get its answer.
    fn takes_zero_checksum(&self, packet: &[u8]) -> bool {
        let active = match self.phase {
            Phase::Idle => false,
            Phase::CookieWait { .. }
            | Phase::CookieEchoed { .. }
            | Phase::Established { .. }
            | Phase::ShutdownPending { .. }
            | Phase::ShutdownSent { .. }
            | Phase::ShutdownReceived { .. }
            | Phase::ShutdownAckSent { .. }
            | Phase::Ended { .. } => true,
        };
        let first_chunk = packet.get(Header::LEN);
        self.announced_zero_checksum && active && !matches!(first_chunk, Some(&INIT) | Some(&COOKIE_ECHO))
    }

    fn handle_chunks(&mut self, now: Instant, header: &Header, chunks: Chunks<'_>) {
        let mut inbound = Inbound::default();
        let our_ports = header.destination_port == self.config.local_port
            && header.source_port == self.config.remote_port;
        if !our_ports {
            return self.handle_stranger(now, header, chunks);
        }
        if self.local_tag() != Some(header.verification_tag) {
            return self.handle_exception(now, header, chunks, &mut inbound);
        }
        self.handle_own(now, header, chunks, &mut inbound);
    }

    /// The tag the peer has to use, once it can know one.
    fn local_tag(&self) -> Option<u32> {
        match &self.phase {
            Phase::Idle | Phase::Ended { .. } => None,
            Phase::CookieWait { .. } => Some(self.local.tag),
            Phase::CookieEchoed { tcb, .. }
            | Phase::Established { tcb }
            | Phase::ShutdownPending { tcb }
            | Phase::ShutdownSent { tcb, .. }
            | Phase::ShutdownReceived { tcb, .. }
            | Phase::ShutdownAckSent { tcb, .. } => Some(tcb.local_tag),
        }
    }

    /// A packet with our verification tag.
    fn handle_own(&mut self, now: Instant, header: &Header, chunks: Chunks<'_>, inbound: &mut Inbound) {
        let mut rest = chunks;
        if chunks.first_type() == Some(COOKIE_ECHO)
            && let Some(Ok(Chunk::CookieEcho(echo))) = rest.next()
        {
            return self.handle_packet_with_cookie(now, header, echo.cookie, rest, inbound);
        }
        self.on_chunks(now, header, chunks, false, inbound);
        self.note_packet_in_shutdown(now, inbound);
    }

    /// COOKIE ECHO comes first in its packet; what follows belongs to the association it makes.
    fn handle_packet_with_cookie(
        &mut self,
        now: Instant,
        header: &Header,
        cookie: &[u8],
        rest: Chunks<'_>,
        inbound: &mut Inbound,
    ) {
        let echoed = self.on_cookie_echo(now, header, cookie, inbound);
        if echoed == Echoed::Accepted && self.local_tag() == Some(header.verification_tag) {
            self.on_chunks(now, header, rest, true, inbound);
        }
    }

    /// Chunks of one packet in their order, until one of them ends it.
    fn on_chunks(
        &mut self,
        now: Instant,
        header: &Header,
        chunks: Chunks<'_>,
        behind_cookie: bool,
        inbound: &mut Inbound,
    ) {
        let mut control_chunks = 0;
        for chunk in chunks {
            match chunk {
                // RFC 9260 §6.10: "An endpoint MUST NOT bundle INIT, INIT ACK, or SHUTDOWN COMPLETE chunks with any other
                // chunks." What comes in company is not the peer's.
                Ok(Chunk::InitAck(_) | Chunk::ShutdownComplete(_)) if behind_cookie || !chunks.is_one() => {
                    self.drop_packet("INIT ACK or SHUTDOWN COMPLETE with other chunks");
                    break;
                }
                Ok(chunk) => {
                    control_chunks += usize::from(!matches!(chunk, Chunk::Data(_) | Chunk::IData(_)));
                    if control_chunks > self.config.limits.chunks_per_packet {
                        self.counters.crowded_packets += 1;
                        break;
                    }
                    if self.on_chunk(now, header, &chunk, inbound) == Flow::Stop {
                        break;
                    }
                }
                Err(error) => debug!(%error, "chunk dropped"),
            }
        }
        self.receiver.end_of_packet(now);
    }

    fn on_chunk(&mut self, now: Instant, header: &Header, chunk: &Chunk<'_>, inbound: &mut Inbound) -> Flow {
        match chunk {
            Chunk::Data(data) => self.on_data(now, data, inbound),
            Chunk::IData(data) => self.on_i_data(now, data, inbound),
            Chunk::ForwardTsn(forward) => self.on_forward_tsn(now, forward, inbound),
            Chunk::IForwardTsn(forward) => self.on_i_forward_tsn(now, forward, inbound),
            Chunk::Sack(sack) => self.on_sack(now, sack),
            Chunk::InitAck(init) => self.on_init_ack(now, init),
            Chunk::Heartbeat(heartbeat) => self.on_heartbeat(now, heartbeat),
            Chunk::HeartbeatAck(ack) => self.on_heartbeat_ack(now, ack),
            Chunk::Abort(abort) => {
                // RFC 9260 §8.5.1 B: with the T bit the tag would have to be the peer's.
                if !abort.tag_reflected {
                    self.on_abort(now, abort);
                }
                return Flow::Stop;
            }
            Chunk::Shutdown(shutdown) => self.on_shutdown(now, shutdown),
            Chunk::ShutdownAck => self.on_shutdown_ack(now, header),
            Chunk::ShutdownComplete(complete) => {
                // RFC 9260 §8.5.1 C.
                if !complete.tag_reflected {
                    self.on_shutdown_complete(now);
                }
            }
            Chunk::Error(error) => self.on_error(now, error),
            Chunk::CookieAck => self.on_cookie_ack(now),
            Chunk::ReConfig(reconfig) => self.on_reconfig(now, reconfig, inbound),
            // RFC 9260 §5.1: first in its packet, or not at all.
            Chunk::CookieEcho(_) => return Flow::Stop,
            // RFC 9260 §8.5.1 A: INIT comes alone and with tag 0.
            Chunk::Init(_) => {
                self.drop_packet("INIT with a tag or with other chunks");
                return Flow::Stop;
            }
            Chunk::Pad(_) => {}
            Chunk::Unknown(unknown) => {
                if unknown.action().reports() {
                    self.report_chunk(inbound, unknown);
                }
                return if unknown.action().stops() { Flow::Stop } else { Flow::Continue };
            }
        }
        if matches!(self.phase, Phase::Ended { .. }) { Flow::Stop } else { Flow::Continue }
    }

    /// Once after each input: takes the steps that what changed allows.
    fn settle(&mut self, now: Instant) {
        self.advance_reset(now);
        self.advance_shutdown(now);
        self.collect_events();
        #[cfg(test)]
        self.check_invariants();
    }

    /// Takes over what the halves have to say, in order.
    fn collect_events(&mut self) {
        while let Some(event) = self.receiver.poll_event() {
            match event {
                ReceiverEvent::Readable(stream) => self.events.push_back(Event::Readable(stream)),
                ReceiverEvent::StreamsReset(streams) => {
                    self.on_incoming_reset();
                    self.events.push_back(Event::IncomingStreamsReset(streams));
                }
            }
        }
        while let Some(event) = self.sender.poll_event() {
            self.events.push_back(match event {
                SenderEvent::BufferedAmountLow(stream) => Event::BufferedAmountLow(stream),
                SenderEvent::Writable(stream) => Event::Writable(stream),
                SenderEvent::NoSuchStream(stream) => Event::NoSuchStream(stream),
            });
        }
    }

    /// The end. What is in the inboxes stays readable.
    fn end(&mut self, _now: Instant, reason: CloseReason) {
        if let Phase::Ended { .. } = self.phase {
            return;
        }
        self.collect_events();
        debug!(?reason, "association ended");
        self.events.push_back(Event::Closed(reason.clone()));
        self.change(Phase::Ended { reason }, "ended");
        self.sender.close();
        self.reset.clear();
        self.prober.stop();
        self.path_mtu.stop();
        // An ABORT or SHUTDOWN COMPLETE that was queued for this very end must still leave.
        self.control.keep_last_words();
    }

    fn drop_packet(&mut self, why: &'static str) {
        self.counters.packets_dropped += 1;
        debug!(why, "packet dropped");
    }

    /// One line per packet with its chunks; only called if trace is on.
    fn trace_packet(&self, direction: &'static str, packet: &[u8]) {
        if let Ok((header, chunks)) = wire::parse(packet, true) {
            for chunk in chunks {
                match chunk {
                    Ok(chunk) => trace!("{direction} {header} {chunk}"),
                    Err(error) => trace!("{direction} {header} ({error})"),
                }
            }
        }
    }

    /// Tag and first TSN, ours and the peer's, while there is a peer.
    #[cfg(feature = "__fuzzing")]
    #[doc(hidden)]
    pub fn agreed(&self) -> Option<[(u32, u32); 2]> {
        self.phase.tcb().map(|tcb| [(tcb.local_tag, tcb.local_tsn.0), (tcb.peer_tag, tcb.peer_tsn.0)])
    }

    /// Whether I-DATA was agreed on.
    #[cfg(feature = "__fuzzing")]
    pub(crate) fn interleaves(&self) -> bool {
        self.phase.tcb().is_some_and(|tcb| tcb.capabilities.interleaving)
    }

    /// What must hold after each input.
    #[cfg(any(test, feature = "__fuzzing"))]
    pub(crate) fn check_invariants(&self) {
        if self.sender.charged() <= MAX_RECOUNT {
            self.sender.check_invariants();
        }
        if self.receiver.charge() <= MAX_RECOUNT {
            self.receiver.check_invariants();
        }
        self.receiver.check_bounds();
        let halves = self.sender.poll_timeout();
        if self.phase.sends_data() {
            assert!(
                self.sender.stats().bytes_in_flight == 0 || halves.is_some(),
                "DATA in flight and no timer armed"
            );
            assert!(self.reset.is_armed(), "a reset in flight and no timer armed");
            self.reset.check_invariants(|stream| self.sender.buffered_amount(stream));
        }
        match &self.phase {
            Phase::CookieWait { t1, .. } | Phase::CookieEchoed { t1, .. } => assert!(t1.is_running()),
            Phase::ShutdownSent { t2, t5, .. } => assert!(t2.is_running() && t5.is_running()),
            Phase::ShutdownAckSent { t2, .. } => assert!(t2.is_running()),
            Phase::Ended { .. } => assert_eq!(self.poll_timeout(), None),
            Phase::Idle
            | Phase::Established { .. }
            | Phase::ShutdownPending { .. }
            | Phase::ShutdownReceived { .. } => {}
        }
    }
}

fn earliest(a: Option<Instant>, b: Option<Instant>) -> Option<Instant> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}

/// Bytes held above which they are not counted again after each input.
#[cfg(any(test, feature = "__fuzzing"))]
const MAX_RECOUNT: usize = 64 << 10;
/// RFC 9260 §3.2.
const INIT: u8 = 1;
const COOKIE_ECHO: u8 = 10;
