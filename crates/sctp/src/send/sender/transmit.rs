//! What may leave, how much of it goes into a packet, and the timers that watch it (RFC 9260 §6.1).

use super::super::queue::Next;
use super::{Phase, Sender};
use crate::number::tsn;
use crate::timer::doubled;
use crate::wire::PacketWriter;
use std::time::Instant;

impl Sender {
    /// Appends DATA or I-DATA chunks to the packet: retransmissions first, then new data as the windows allow. What has
    /// expired is given up instead; if that leaves nothing to send, the peer is told at once.
    /// Returns whether anything was added.
    pub(crate) fn write_data(&mut self, now: Instant, packet: &mut PacketWriter<'_>) -> bool {
        let regular = self.may_send_packet();
        let fast = self.fast_packet && self.outstanding.has_lost();
        if !(regular || fast) {
            return false;
        }
        let resent = self.write_lost(now, packet);
        // Chunks that wait to be sent again go first (RFC 9260 §6.1 C).
        let sent = regular && !self.outstanding.has_lost() && self.write_new(now, packet);
        if !(resent || sent) {
            // All there was may have been given up just now.
            return self.write_forward_tsn(now, packet);
        }
        // What left the queue made room on its streams.
        self.readmit();
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

    /// Whether [`write_forward_tsn`](Self::write_forward_tsn) or [`write_data`](Self::write_data) would put something into
    /// an empty packet, unless all of that has expired. Cheap.
    pub(crate) fn wants_to_send(&self, _now: Instant) -> bool {
        if self.forward_tsn_due() {
            return true;
        }
        if self.outstanding.has_lost() {
            return self.fast_packet || self.may_send_packet();
        }
        self.may_send_packet()
            && self.queue.next().is_some_and(|next| self.window_allows(next) > 0)
            && self.outstanding.len() < MAX_OUTSTANDING
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
        let (mut wrote, mut gave_up) = (false, false);
        let immediate = self.has_tiny_window();
        while let Some(number) = self.outstanding.next_lost() {
            let Some(chunk) = self.outstanding.chunk(number) else { break };
            // RFC 3758 §4.1 TR4: "Before transmitting or retransmitting a message for which a TSN is already assigned, the
            // SCTP sender MUST evaluate the lifetime of the message."
            if chunk.limit.is_past(now) {
                self.abandon(now, number);
                gave_up = true;
                continue;
            }
            if !chunk.write(packet, self.outstanding.format(), tsn(number), immediate) {
                break;
            }
            self.outstanding.retransmitted(now, number);
            self.resent.note(number);
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
        if gave_up {
            self.after_abandoning();
        }
        wrote
    }

    /// Fills the packet with new chunks.
    fn write_new(&mut self, now: Instant, packet: &mut PacketWriter<'_>) -> bool {
        let (mut wrote, mut gave_up) = (false, false);
        while self.outstanding.len() < MAX_OUTSTANDING {
            let Some(next) = self.queue.next() else { break };
            if self.queue.is_past(now, next) {
                self.give_up_next(now, next);
                gave_up = true;
                continue;
            }
            let len = self.window_allows(next).min(self.fragment_len(next, packet.remaining()));
            if len == 0 {
                break;
            }
            if !wrote {
                self.decay_window(now);
            }
            let number = self.outstanding.next_tsn();
            let Some(chunk) = self.queue.take(next, len, number) else { break };
            let immediate = self.is_worth_prompt_sack(len);
            let fits = chunk.write(packet, self.outstanding.format(), tsn(number), immediate);
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
        if gave_up {
            self.after_abandoning();
        }
        wrote
    }

    /// How much of the next message goes into `room` bytes of a packet. A message that fits a packet of its own is not
    /// cut for a smaller rest of room; a longer one is, as it is cut anyway.
    fn fragment_len(&self, next: Next, room: usize) -> usize {
        let room = room.saturating_sub(self.outstanding.format().header_len()).min(self.queue.fragment());
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
    pub(super) fn peer_rwnd(&self) -> usize {
        self.a_rwnd.saturating_sub(self.outstanding.in_flight_payload())
    }

    /// RFC 9260 §6.1 A: "The sender SHOULD send the first zero window probe after 1 RTO when it detects that the receiver
    /// has closed its window".
    pub(super) fn watch_window(&mut self, now: Instant) {
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
    pub(super) fn begin_opportunity(&mut self, now: Instant) {
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
        let fills_cwnd = cwnd <= SMALL_WINDOW * self.max_chunk
            && self.outstanding.in_flight() + self.outstanding.format().chunk_size(len) >= cwnd;
        let fills_rwnd = self.peer_rwnd() < len + self.queue.fragment() / 2;
        fills_cwnd || fills_rwnd || self.has_tiny_window() || (self.draining && self.queue.is_empty())
    }

    /// After T3: one packet is in flight, and a delayed SACK would be waited for.
    fn has_tiny_window(&self) -> bool {
        self.congestion.cwnd() <= TINY_WINDOW * self.max_chunk
    }

    pub(super) fn arm_t3(&mut self, now: Instant) {
        let rto = self.rto.current();
        let duration = match self.probing {
            // RFC 9260 §6.1 A: "and SHOULD increase the probe interval exponentially afterwards."
            Some(repeated) => doubled(rto, repeated.saturating_add(1)).min(self.rto.max()),
            None => rto,
        };
        self.t3.set_duration(duration);
        self.t3.start(now);
    }
}

/// A message is not cut for less payload than this: a chunk header is 16 or 20 bytes.
const MIN_FRAGMENT: usize = 64;

/// TSNs that gap blocks can report on, their offsets having 16 bits (RFC 9260 §3.3.4). It also keeps the promise of §6.1:
/// "the data sender MUST NOT have more than 2^16 - 1 ordered user messages in the current send window", and is far below
/// 2^31 - 1.
const MAX_OUTSTANDING: usize = 65_535;

/// In packets: a window up to this waits for each SACK.
const SMALL_WINDOW: usize = 16;

/// In packets: with a window up to this every chunk asks for a SACK at once.
const TINY_WINDOW: usize = 2;
