//! Does the path carry packets of the usual size? (RFC 8899 §4.3: black hole detection; RFC 8261 §6.2.)
//!
//! T3-rtx that expires again and again without a word from the peer makes packets small, in case that it is their size. As
//! soon as something comes back, probes of the full size are sent, so that a path that was just silent for a while is left
//! as it was. A chunk that has its TSN cannot be cut any more (RFC 9260 §6.9): if such a one does not get through while
//! small HEARTBEATs do, nothing can help it, and the association ends with a reason that says so.

use super::control::Control;
use super::{Association, CloseReason, TimeoutKind};
use crate::send::T3Expired;
use crate::wire::{Header, Heartbeat, WriteChunk};
use rand::Rng;
use std::time::{Duration, Instant};
use tracing::debug;

/// What is known of the size that the path carries.
#[derive(Debug)]
pub(super) struct PathMtu {
    /// Largest packet for now.
    size: usize,
    /// The smallest packet that the socket refused for its size.
    refused: Option<usize>,
    /// The small HEARTBEAT on its way.
    small: Option<Small>,
    /// How many of them were answered in a row, each while a large packet was lost.
    answered: u32,
    /// One of them was not, since the peer was heard of the last time.
    is_lossy: bool,
    /// The nonce of the full-size HEARTBEAT on its way.
    probe: Option<u64>,
    /// Probes of this search.
    probes: u32,
    /// When to probe next; never while packets have the full size.
    probe_at: Option<Instant>,
}

#[derive(Clone, Copy, Debug)]
struct Small {
    nonce: u64,
    sent: Instant,
}

impl PathMtu {
    pub(super) fn new(size: usize) -> Self {
        Self {
            size,
            refused: None,
            small: None,
            answered: 0,
            is_lossy: false,
            probe: None,
            probes: 0,
            probe_at: None,
        }
    }

    /// Largest packet for now.
    pub(super) fn size(&self) -> usize {
        self.size
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        self.probe_at
    }

    pub(super) fn stop(&mut self) {
        self.probe_at = None;
    }
}

impl Association {
    /// The path is known to be narrow, though not how narrow: packets are of 504 bytes until a probe of
    /// [`Config::max_packet_size`](crate::Config::max_packet_size) comes through. Probes begin when the peer is heard.
    pub fn assume_narrow_path(&mut self) {
        if self.phase.is_over() || self.path_mtu.size <= NARROW_PACKET {
            return;
        }
        debug!(size = NARROW_PACKET, "the path may be narrow");
        self.path_mtu.size = NARROW_PACKET;
        self.sender.set_packet_size(NARROW_PACKET);
    }

    /// The socket refused a packet of `size` bytes, because the path takes none so large (EMSGSIZE).
    ///
    /// The packet counts as lost, those that follow are small. What was sent already and is too large cannot be made
    /// smaller: if it stays without acknowledgement, the association ends with [`CloseReason::PathMtu`].
    pub fn packet_refused(&mut self, size: usize) {
        if size > NARROW_PACKET {
            self.path_mtu.refused = Some(self.path_mtu.refused.map_or(size, |refused| refused.min(size)));
            self.assume_narrow_path();
        }
    }

    /// Another path: nothing is known of it.
    pub(super) fn forget_path_mtu(&mut self) {
        self.path_mtu = PathMtu::new(self.config.max_packet_size);
    }

    /// T3-rtx expired.
    pub(super) fn on_t3_expired(&mut self, now: Instant, expired: T3Expired) {
        if self.config.black_hole_detection && self.meets_black_hole(now, &expired) {
            return;
        }
        if expired.counts_as_error {
            self.count_error(now, TimeoutKind::Retransmissions);
        }
    }

    /// Makes packets smaller and asks whether small ones get through, if need be. `true`: they do, and the large one that is
    /// on its way does not, so that this is the end.
    fn meets_black_hole(&mut self, now: Instant, expired: &T3Expired) -> bool {
        let packet = self.sender.first_packet_size();
        let is_large = packet > NARROW_PACKET;
        let is_unanswered = self.path_mtu.small.take().is_some();
        let is_first = expired.unheard <= 1;
        if is_first || is_unanswered {
            self.path_mtu.answered = 0;
            self.path_mtu.is_lossy = !is_first;
        }
        if expired.unheard > 1 {
            self.assume_narrow_path();
        }
        if is_large && self.is_black_hole(now, packet, expired) {
            self.abort_with(now, None, CloseReason::PathMtu { packet });
            return true;
        }
        if is_large && expired.unheard > 1 && self.phase.sends_data() {
            let nonce = self.random.generator().next_u64();
            self.path_mtu.small = Some(Small { nonce, sent: now });
            self.control.push(Control::Heartbeat { nonce });
        }
        false
    }

    /// Whether a large packet was lost, and a small one was not, so often in a row that it cannot be chance.
    fn is_black_hole(&self, now: Instant, packet: usize, expired: &T3Expired) -> bool {
        let PathMtu { refused, answered, is_lossy, .. } = self.path_mtu;
        let is_late = !is_lossy && now.saturating_duration_since(expired.since) >= PATIENCE;
        let is_refused = refused.is_some_and(|refused| packet >= refused) && expired.unheard >= LOSSES;
        answered >= ANSWERS || answered >= ANSWERS_WHEN_LATE && is_late || is_refused
    }

    /// Something was acknowledged: the path is open, and its size can be looked for.
    pub(super) fn on_path_alive(&mut self, now: Instant) {
        if self.path_mtu.size < self.config.max_packet_size && self.path_mtu.probe_at.is_none() {
            self.search_path_mtu(now);
        }
    }

    pub(super) fn on_path_mtu_timer(&mut self, now: Instant) {
        if self.path_mtu.probe_at.take_if(|at| *at <= now).is_none() || !self.phase.sends_data() {
            return;
        }
        if self.path_mtu.probes < MAX_PROBES {
            self.send_path_probe(now);
        } else {
            self.path_mtu.probes = 0;
            self.path_mtu.probe_at = now.checked_add(RAISE_TIMER);
        }
    }

    /// Whether the HEARTBEAT ACK answers a packet of ours that asked about the size of the path.
    pub(super) fn on_path_mtu_answer(&mut self, now: Instant, ack: &Heartbeat<'_>) -> bool {
        let Some((nonce, padding)) = ack.info.split_first_chunk() else { return false };
        let nonce = u64::from_be_bytes(*nonce);
        if let Some(small) = self.path_mtu.small.filter(|small| small.nonce == nonce && padding.is_empty()) {
            self.path_mtu.small = None;
            self.path_mtu.answered += 1;
            self.errors = 0;
            self.sender.handle_rtt(now.saturating_duration_since(small.sent));
            // The round trip was free a moment ago: the large one need not wait longer than for that.
            self.sender.hasten_t3(now);
            return true;
        }
        if self.path_mtu.probe != Some(nonce) || ack.info.len() != self.probe_info_len() {
            return false;
        }
        debug!(size = self.config.max_packet_size, "the path carries packets of the full size");
        self.forget_path_mtu();
        self.sender.set_packet_size(self.config.max_packet_size);
        true
    }

    /// RFC 8899 §5.3: the search for a larger size begins.
    pub(super) fn search_path_mtu(&mut self, now: Instant) {
        self.path_mtu.probes = 0;
        self.send_path_probe(now);
    }

    /// RFC 8899 §4.1: the loss of a probe is neither congestion nor an error of the path, so nothing is counted.
    fn send_path_probe(&mut self, now: Instant) {
        let Some(tag) = self.phase.tcb().map(|tcb| tcb.peer_tag) else { return };
        let nonce = self.random.generator().next_u64();
        self.control.drop_path_probe();
        self.control.push(Control::PathProbe { tag, nonce });
        self.path_mtu.probe = Some(nonce);
        self.path_mtu.probes += 1;
        self.path_mtu.probe_at = now.checked_add(PROBE_TIMER);
    }

    /// What a full-size HEARTBEAT carries. Its answer is as large, so that a probe tells about both directions.
    pub(super) fn probe_info(&self, nonce: u64) -> Vec<u8> {
        let mut info = nonce.to_be_bytes().to_vec();
        info.resize(self.probe_info_len(), 0);
        info
    }

    fn probe_info_len(&self) -> usize {
        let empty = Header::LEN + Heartbeat { info: &[], others: &[] }.len();
        (self.config.max_packet_size & !3).saturating_sub(empty)
    }
}

/// 576 (which every IPv4 host takes, RFC 791 §3.1) − 20 − 8 (UDP) − 4 (TURN) − 37 (DTLS), in whole words.
const NARROW_PACKET: usize = 504;
/// How often a large packet is lost that the socket has refused before.
const LOSSES: u32 = 4;
/// Where half of all round trips fail, one small packet in a row of so many is lost too, but for one row in 17 million.
const ANSWERS: u32 = 12;
/// Enough when it takes long though none was lost, as round trips are long.
const ANSWERS_WHEN_LATE: u32 = 5;
/// Since the first expiration. With round trips below half a second the end comes in less than 30 s.
const PATIENCE: Duration = Duration::from_secs(18);
/// RFC 8899 §5.1.1: at least 1 s; 15 s are its default, which would leave a path in doubt for most of a minute.
const PROBE_TIMER: Duration = Duration::from_secs(3);
/// RFC 8899 §5.1.2: MAX_PROBES.
const MAX_PROBES: u32 = 3;
/// RFC 8899 §5.1.1: PMTU_RAISE_TIMER; 600 s there. A path that lost three probes by chance should not be slow for so long.
const RAISE_TIMER: Duration = Duration::from_secs(60);
