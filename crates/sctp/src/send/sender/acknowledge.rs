//! What acknowledgements and their absence change (RFC 9260 §6.2.1, §6.3.3, §7.2).

use super::super::chunk::charge;
use super::super::outstanding::{Applied, SackError};
use super::{Acked, Phase, SackOutcome, Sender, SenderEvent, T3Expired};
use crate::congestion::Ack;
use crate::number::Tsn;
use crate::wire::Sack;
use std::time::Instant;
use tracing::debug;

impl Sender {
    /// Processes a SACK (RFC 9260 §6.2.1).
    pub(crate) fn handle_sack(&mut self, now: Instant, sack: &Sack<'_>) -> SackOutcome {
        let checked = self.outstanding.check(sack.cumulative_tsn, sack.gaps.iter());
        let cumulative = match self.accept(checked) {
            Ok(cumulative) => cumulative,
            Err(outcome) => return outcome,
        };
        self.note_duplicates(sack);
        self.note_window(sack.a_rwnd);
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

    /// RFC 9260 §6.2: "it MAY use the duplicate TSN information to determine if SACK chunk loss is occurring": it is
    /// counted.
    fn note_duplicates(&mut self, sack: &Sack<'_>) {
        for duplicate in sack.duplicates.iter() {
            let is_spurious = self.resent.take(self.outstanding.unwrap(duplicate));
            self.counters.spurious_retransmissions += u64::from(is_spurious);
        }
    }

    fn accept(&mut self, checked: Result<u64, SackError>) -> Result<u64, SackOutcome> {
        match (&self.phase, checked) {
            (Phase::Waiting | Phase::Closed { .. }, _) | (_, Err(SackError::Stale)) => {
                Err(SackOutcome::Stale)
            }
            (Phase::Started { .. }, Ok(cumulative)) => Ok(cumulative),
            (
                Phase::Started { .. },
                Err(error @ (SackError::NeverSent | SackError::GapBlocks | SackError::TakenBack)),
            ) => {
                debug!(?error, "acknowledgement dropped");
                self.counters.invalid_sacks += 1;
                Err(SackOutcome::Invalid)
            }
        }
    }

    /// Everything that follows from an acknowledgement; `flight` is what was in flight before it.
    fn settle(&mut self, now: Instant, cumulative: u64, flight: usize, applied: Applied) -> SackOutcome {
        self.heard = true;
        self.unheard = None;
        if let Some(rtt) = applied.rtt {
            self.rto.sample(rtt);
        }
        if applied.newly_acked > 0 {
            self.single_packet = false;
            self.probing = None;
        }
        self.tell_congestion(now, cumulative, flight, &applied);
        self.reopen_window(now);
        self.abandon_doomed(now);
        self.check_told(now);
        // RFC 9260 §6.3.2 R2: "Whenever all outstanding data sent to an address have been acknowledged, turn off the
        // T3-rtx timer". R3: "Whenever a SACK chunk is received that acknowledges the DATA chunk with the earliest
        // outstanding TSN for that address, restart the T3-rtx timer". R4: what the peer reneged on starts it.
        if self.outstanding.is_empty() {
            self.t3.stop();
        } else if applied.advanced || !self.t3.is_running() {
            self.arm_t3(now);
        }
        self.readmit();
        self.begin_opportunity(now);
        SackOutcome::Processed(Acked {
            newly_acked_bytes: applied.newly_acked - applied.acked_again,
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
    pub(super) fn on_t3_expired(&mut self, now: Instant) -> T3Expired {
        self.counters.t3_expirations += 1;
        let (unheard, since) =
            self.unheard.map_or((1, now), |(count, since)| (count.saturating_add(1), since));
        self.unheard = Some((unheard, since));
        // RFC 9260 §6.1 A: "If the sender continues to receive SACK chunks from the peer while doing zero window probing,
        // the unacknowledged window probes SHOULD NOT increment the error counter". "Zero window probing does not affect
        // the calculation of cwnd."
        let closed = self.is_window_closed();
        let counts_as_error = !(closed && std::mem::take(&mut self.heard));
        if closed {
            // A probe that nobody has room for says nothing of the path.
            self.unheard = None;
            self.probing = Some(self.probing.map_or(0, |repeated| repeated.saturating_add(1)));
        } else {
            self.probing = None;
            self.congestion.on_rto(now);
            self.rto.back_off();
        }
        self.outstanding.mark_all_lost(now);
        self.recovery = None;
        self.fast_packet = false;
        let again = std::mem::replace(&mut self.single_packet, true);
        self.window_full_below = 0;
        self.abandon_doomed(now);
        // Nothing came through since it expired last.
        if again {
            self.outstanding.advance_point_inside();
        }
        self.tell_again();
        self.readmit();
        self.arm_t3(now);
        self.begin_opportunity(now);
        debug!(closed, counts_as_error, rto = ?self.rto.current(), cwnd = self.congestion.cwnd(), "T3-rtx expired");
        let unheard = if closed { 0 } else { unheard };
        T3Expired { counts_as_error, unheard, since }
    }

    /// A SACK opened the window and did not acknowledge the probe: it was dropped, so it leaves again at once instead of
    /// after an interval that has grown long.
    fn reopen_window(&mut self, now: Instant) {
        if self.probing.is_some() && !self.is_window_closed() {
            self.probing = None;
            self.single_packet = false;
            self.outstanding.mark_first_lost(now);
        }
    }

    /// Tells those whose sends were refused that there is room.
    pub(super) fn readmit(&mut self) {
        if self.refused.is_empty() {
            return;
        }
        let room = self.config.buffer_limit.saturating_sub(self.charged());
        let stream_limit = self.config.stream_limit;
        let Self { refused, queue, .. } = self;
        refused.retain(|stream, len| {
            let stream_room = stream_limit.saturating_sub(queue.buffered_amount(*stream));
            let fits = charge(*len) <= room && *len <= stream_room;
            // One that is above its high-water mark hears when it is below.
            if fits && queue.is_writable(*stream) {
                queue.push_event(SenderEvent::Writable(*stream));
            }
            !fits
        });
    }

    /// Whether the peer has no room for the chunk it needs next.
    fn is_window_closed(&self) -> bool {
        self.outstanding.first_needed().is_some_and(|chunk| self.a_rwnd < chunk.data.len())
    }
}
