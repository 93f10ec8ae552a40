//! Is the peer still there? (RFC 9260 §8.1, §8.3; one path, so path and association failure are the same, RFC 8261 §6.1.)

use super::control::Control;
use super::state::Phase;
use super::{Association, CloseReason, TimeoutKind};
use crate::timer::Timer;
use crate::wire::{self, Heartbeat, WriteChunk};
use bytes::Bytes;
use rand::Rng;
use std::time::{Duration, Instant};

/// The prober of an idle path.
#[derive(Debug)]
pub(super) struct Prober {
    interval: Timer,
    /// One at a time (RFC 9260 §16: HB.Max.Burst 1).
    probe: Option<Probe>,
    /// When DATA last left: a path in use is not probed.
    used: Instant,
}

/// A HEARTBEAT on its way.
#[derive(Clone, Copy, Debug)]
struct Probe {
    nonce: u64,
    /// Our own note of the time: what comes back is the peer's word only.
    sent: Instant,
    /// One RTO later; none once that has passed. A late answer still counts, until the next HEARTBEAT.
    deadline: Option<Instant>,
}

impl Prober {
    pub(super) fn new(now: Instant) -> Self {
        Self { interval: Timer::fixed(Duration::ZERO), probe: None, used: now }
    }

    pub(super) fn note_use(&mut self, now: Instant) {
        self.used = now;
    }

    pub(super) fn stop(&mut self) {
        self.interval.stop();
        self.probe = None;
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        let probe = self.probe.and_then(|probe| probe.deadline);
        probe.into_iter().chain(self.interval.deadline()).min()
    }
}

impl Association {
    pub(super) fn start_heartbeat(&mut self, now: Instant) {
        self.prober.probe = None;
        self.prober.used = now;
        self.rearm_heartbeat(now, now);
        if self.path_mtu.size() < self.config.max_packet_size {
            self.search_path_mtu(now);
        }
    }

    /// RFC 9260 §8.3: the interval plus the RTO, "with jittering of +/- 50% of the RTO value", counted from `since`.
    fn rearm_heartbeat(&mut self, now: Instant, since: Instant) {
        let interval = self.config.heartbeat_interval;
        if interval.is_zero() {
            return;
        }
        let rto = self.sender.rto();
        let jitter = (rto / JITTER_STEPS).saturating_mul(self.random.generator().next_u32() % JITTER_STEPS);
        let whole = interval.saturating_add(rto / 2).saturating_add(jitter);
        let left = whole.saturating_sub(now.saturating_duration_since(since));
        // What is due already is due next: a timer of zero duration would not run.
        self.prober.interval.set_duration(left.max(Duration::from_nanos(1)));
        self.prober.interval.start(now);
    }

    pub(super) fn on_heartbeat_timer(&mut self, now: Instant) {
        if let Some(probe) = &mut self.prober.probe
            && probe.deadline.is_some_and(|deadline| deadline <= now)
        {
            probe.deadline = None;
            let sent = probe.sent;
            // RFC 9260 §8.3: "exponential backoff of the RTO if the previous HEARTBEAT chunk is unanswered." The next one
            // is an interval and such an RTO behind the previous one.
            self.sender.back_off();
            self.rearm_heartbeat(now, sent);
            // RFC 9260 §8.1: the counter includes "the number of unacknowledged HEARTBEAT chunks".
            self.count_error(now, TimeoutKind::Heartbeat);
        }
        if !self.prober.interval.expire(now) {
            return;
        }
        let used = self.prober.used;
        if now.saturating_duration_since(used) < self.config.heartbeat_interval {
            return self.rearm_heartbeat(now, used);
        }
        self.sender.shrink();
        self.rearm_heartbeat(now, now);
        // RFC 9260 §8.3: not before the association is up, nor once SHUTDOWN or SHUTDOWN ACK was sent.
        let is_waiting = self.prober.probe.is_some_and(|probe| probe.deadline.is_some());
        if self.phase.sends_data() && !is_waiting {
            let nonce = self.random.generator().next_u64();
            self.prober.probe =
                Some(Probe { nonce, sent: now, deadline: now.checked_add(self.sender.rto()) });
            self.control.push(Control::Heartbeat { nonce });
        }
    }

    pub(super) fn on_heartbeat(&mut self, now: Instant, heartbeat: &Heartbeat<'_>) {
        let answers = match self.phase {
            // RFC 9260 §8.3: "MUST respond … after entering the COOKIE-ECHOED state (sender of the INIT chunk)". There the
            // answer waits, as §5.1 C wants it: it rides behind a COOKIE ECHO that is repeated, or leaves after COOKIE ACK.
            Phase::CookieEchoed { .. }
            | Phase::Established { .. }
            | Phase::ShutdownPending { .. }
            | Phase::ShutdownReceived { .. } => true,
            Phase::Idle
            | Phase::CookieWait { .. }
            | Phase::ShutdownSent { .. }
            | Phase::ShutdownAckSent { .. }
            | Phase::Ended { .. } => false,
        };
        // What does not fit into a packet with its headers is dropped, not cut: a cut answer would be a wrong one.
        let size = wire::Header::LEN + heartbeat.len().next_multiple_of(4);
        if answers && size > self.config.max_packet_size {
            self.counters.oversized_heartbeats += 1;
        } else if answers && self.heartbeat_limit.allow(now) {
            // RFC 9260 §8.3: "copied unchanged from the received HEARTBEAT chunk".
            self.control.push(Control::HeartbeatAck {
                info: Bytes::copy_from_slice(heartbeat.info),
                others: Bytes::copy_from_slice(heartbeat.others),
            });
        }
    }

    pub(super) fn on_heartbeat_ack(&mut self, now: Instant, ack: &Heartbeat<'_>) {
        if self.on_path_mtu_answer(now, ack) {
            return self.tell_path();
        }
        // RFC 9260 §5.4: the nonce shows that the peer saw our HEARTBEAT.
        let Some(probe) = self.prober.probe.filter(|probe| ack.info == probe.nonce.to_be_bytes()) else {
            return;
        };
        self.prober.probe = None;
        self.errors = 0;
        // A clock that went back measures nothing.
        if let Some(rtt) = now.checked_duration_since(probe.sent) {
            self.sender.handle_rtt(rtt);
            self.tell_path();
        }
    }

    /// RFC 9260 §8.1: the error counter of the association.
    pub(super) fn count_error(&mut self, now: Instant, kind: TimeoutKind) {
        self.errors = self.errors.saturating_add(1);
        if self.errors > self.config.max_retransmits {
            self.end(now, CloseReason::Timeout(kind));
        }
    }
}

/// How finely the jitter of HEARTBEATs is divided.
const JITTER_STEPS: u32 = 1 << 16;
