//! The graceful end (RFC 9260 §9.2).

use super::control::Control;
use super::errors::Fault;
use super::state::{Phase, Tcb};
use super::{Association, CloseReason, Inbound, TimeoutKind};
use crate::send::SackOutcome;
use crate::timer::Timer;
use crate::wire::{Header, Shutdown};
use std::time::Instant;

impl Association {
    /// Ends the association once everything that was accepted is delivered.
    ///
    /// Nothing new is accepted from now on; a message whose last part was not sent yet ends with what there is.
    /// [`Event::Closed`](crate::Event::Closed) comes when the peer has agreed, or did not answer. Before the association is
    /// up there is nothing to deliver: it ends at once.
    pub fn shutdown(&mut self, now: Instant) {
        let now = self.clock(now);
        match &self.phase {
            Phase::Idle | Phase::CookieWait { .. } => self.end(now, CloseReason::LocalShutdown),
            Phase::CookieEchoed { .. } => {
                self.abort_with(now, Some(Fault::UserInitiatedAbort), CloseReason::LocalShutdown);
            }
            Phase::Established { tcb } => {
                let tcb = *tcb;
                self.change(Phase::ShutdownPending { tcb }, "shutdown");
                self.drain(now);
            }
            // RFC 9260 §9.2: "Once an endpoint has reached the SHUTDOWN-RECEIVED state, it MUST ignore ULP shutdown
            // requests". It is remembered in case the peer restarts.
            Phase::ShutdownReceived { tcb, .. } => {
                let tcb = *tcb;
                self.phase = Phase::ShutdownReceived { tcb, local: true };
            }
            Phase::ShutdownPending { .. }
            | Phase::ShutdownSent { .. }
            | Phase::ShutdownAckSent { .. }
            | Phase::Ended { .. } => {}
        }
        self.settle(now);
    }

    /// Takes the next step when everything is acknowledged.
    pub(super) fn advance_shutdown(&mut self, now: Instant) {
        match &self.phase {
            Phase::ShutdownPending { tcb } if self.sender.is_idle() => {
                let tcb = *tcb;
                // RFC 9260 §9.2: "it SHOULD be set to the RECOMMENDED value of 5 times 'RTO.Max'".
                let mut t5 = Timer::fixed(self.config.rto_max.saturating_mul(5)).max_restarts(0);
                t5.start(now);
                let t2 = self.start_t2(now);
                self.change(Phase::ShutdownSent { tcb, t2, t5 }, "everything acknowledged");
                self.prober.stop();
                self.reset.clear();
                self.control.push(Control::Shutdown);
            }
            Phase::ShutdownReceived { tcb, local } if self.sender.is_idle() => {
                let (tcb, local) = (*tcb, *local);
                self.acknowledge_shutdown(now, tcb, local, "everything acknowledged");
            }
            Phase::Idle
            | Phase::CookieWait { .. }
            | Phase::CookieEchoed { .. }
            | Phase::Established { .. }
            | Phase::ShutdownPending { .. }
            | Phase::ShutdownSent { .. }
            | Phase::ShutdownReceived { .. }
            | Phase::ShutdownAckSent { .. }
            | Phase::Ended { .. } => {}
        }
    }

    fn acknowledge_shutdown(&mut self, now: Instant, tcb: Tcb, local: bool, why: &'static str) {
        let t2 = self.start_t2(now);
        self.change(Phase::ShutdownAckSent { tcb, t2, local }, why);
        self.prober.stop();
        self.reset.clear();
        self.control.push(Control::ShutdownAck);
    }

    /// The user's part is over. What it left without an end would never be delivered, and the shutdown never be done.
    fn drain(&mut self, now: Instant) {
        self.sender.set_draining(true);
        self.sender.end_open_messages(now);
    }

    fn start_t2(&self, now: Instant) -> Timer {
        let mut t2 = Timer::exponential(self.sender.rto(), self.config.rto_max)
            .max_restarts(self.config.max_retransmits);
        t2.start(now);
        t2
    }

    pub(super) fn on_shutdown(&mut self, now: Instant, shutdown: &Shutdown) {
        let (tcb, to_ack) = match &self.phase {
            Phase::Established { tcb } | Phase::ShutdownPending { tcb } => (*tcb, false),
            // RFC 9260 §9.2: "the endpoint SHOULD respond immediately with a SHUTDOWN ACK chunk to its peer and move
            // into the SHUTDOWN-ACK-SENT state, restarting its T2-shutdown timer."
            Phase::ShutdownSent { tcb, .. } => (*tcb, true),
            Phase::ShutdownReceived { .. } => {
                self.take_cumulative(now, shutdown);
                return;
            }
            Phase::ShutdownAckSent { .. } => return self.control.push(Control::ShutdownAck),
            // RFC 9260 §9.2: in COOKIE-WAIT and COOKIE-ECHOED "the SHUTDOWN chunk SHOULD be silently discarded."
            Phase::Idle | Phase::CookieWait { .. } | Phase::CookieEchoed { .. } | Phase::Ended { .. } => {
                return;
            }
        };
        self.take_cumulative(now, shutdown);
        if to_ack {
            return self.acknowledge_shutdown(now, tcb, true, "SHUTDOWN");
        }
        let local = self.phase.shuts_down();
        self.change(Phase::ShutdownReceived { tcb, local }, "SHUTDOWN");
        self.drain(now);
    }

    /// RFC 9260 §3.3.8: SHUTDOWN acknowledges as far as it goes; that it has no gap blocks means nothing.
    fn take_cumulative(&mut self, now: Instant, shutdown: &Shutdown) {
        match self.sender.handle_cumulative(now, shutdown.cumulative_tsn) {
            SackOutcome::Processed(acked) => self.note_acked(now, &acked),
            // A number that was never sent is ignored, the SHUTDOWN is not.
            SackOutcome::Stale | SackOutcome::Invalid => {}
        }
    }

    /// The tag is ours.
    pub(super) fn on_shutdown_ack(&mut self, now: Instant, header: &Header) {
        match &self.phase {
            // RFC 9260 §9.2: "stop the T2-shutdown timer, send a SHUTDOWN COMPLETE chunk to its peer, and remove all
            // record of the association"; the same in SHUTDOWN-ACK-SENT.
            Phase::ShutdownSent { tcb, .. } | Phase::ShutdownAckSent { tcb, .. } => {
                let tag = tcb.peer_tag;
                let reason = self.shutdown_reason();
                self.end(now, reason);
                self.control.push(Control::ShutdownComplete { tag, reflected: false });
            }
            // RFC 9260 §8.5.1 E.
            Phase::CookieWait { .. } | Phase::CookieEchoed { .. } => {
                self.refuse_shutdown_ack(now, header.verification_tag);
            }
            Phase::Idle
            | Phase::Established { .. }
            | Phase::ShutdownPending { .. }
            | Phase::ShutdownReceived { .. }
            | Phase::Ended { .. } => {}
        }
    }

    pub(super) fn on_shutdown_complete(&mut self, now: Instant) {
        // RFC 9260 §8.5.1 C: "An endpoint MUST ignore the SHUTDOWN COMPLETE chunk if it is not in the
        // SHUTDOWN-ACK-SENT state."
        if let Phase::ShutdownAckSent { .. } = self.phase {
            let reason = self.shutdown_reason();
            self.end(now, reason);
        }
    }

    fn shutdown_reason(&self) -> CloseReason {
        if self.phase.shuts_down() { CloseReason::LocalShutdown } else { CloseReason::RemoteShutdown }
    }

    /// After each packet of the peer in SHUTDOWN-SENT.
    pub(super) fn note_packet_in_shutdown(&mut self, now: Instant, inbound: &Inbound) {
        let Phase::ShutdownSent { t2, .. } = &mut self.phase else { return };
        // RFC 9260 §9.2: any packet "SHOULD clear the endpoint's retransmission count and restart the T2-shutdown
        // timer"; one with DATA is answered by SHUTDOWN at once.
        t2.start(now);
        if inbound.has_data {
            self.control.push(Control::Shutdown);
        }
    }

    /// T2-shutdown and T5-shutdown-guard.
    pub(super) fn on_shutdown_timers(&mut self, now: Instant) {
        let (t2, control) = match &mut self.phase {
            Phase::ShutdownSent { t5, t2, .. } => {
                if t5.expire(now) {
                    let reason = CloseReason::Timeout(TimeoutKind::Shutdown);
                    return self.abort_with(now, Some(Fault::UserInitiatedAbort), reason);
                }
                (t2, Control::Shutdown)
            }
            Phase::ShutdownAckSent { t2, .. } => (t2, Control::ShutdownAck),
            Phase::Idle
            | Phase::CookieWait { .. }
            | Phase::CookieEchoed { .. }
            | Phase::Established { .. }
            | Phase::ShutdownPending { .. }
            | Phase::ShutdownReceived { .. }
            | Phase::Ended { .. } => return,
        };
        if !t2.expire(now) {
            return;
        }
        if t2.is_running() {
            self.control.push(control);
        } else {
            self.end(now, CloseReason::Timeout(TimeoutKind::Shutdown));
        }
    }
}
