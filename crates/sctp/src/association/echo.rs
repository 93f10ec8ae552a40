//! COOKIE ECHO and COOKIE ACK: the association comes to be, collides with another one, or starts anew (RFC 9260 §5.1.5,
//! §5.2.4–5.2.6).

use super::control::Control;
use super::cookie::{Cookie, TieTags};
use super::errors::Fault;
use super::handshake::LocalInit;
use super::state::{Phase, Tcb};
use super::{Association, CloseReason, Event, Inbound, TimeoutKind};
use crate::number::Tsn;
use crate::send::Terms;
use crate::wire::Header;
use std::time::Instant;

/// What became of a COOKIE ECHO.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Echoed {
    /// The chunks behind it count.
    Accepted,
    /// The whole packet does not.
    Discarded,
}

impl Association {
    /// The first chunk of its packet; every verification tag comes here (RFC 9260 §5.1.5, §5.2.4).
    pub(super) fn on_cookie_echo(
        &mut self,
        now: Instant,
        header: &Header,
        bytes: &[u8],
        inbound: &mut Inbound,
    ) -> Echoed {
        if let Phase::Ended { .. } = self.phase {
            return Echoed::Discarded;
        }
        let Some(cookie) = self.jar.open(now, bytes) else {
            self.drop_packet("cookie that is not ours");
            return Echoed::Discarded;
        };
        // RFC 9260 §5.1.5 (3): ports and tag of the cookie are those of the packet, or it is silently discarded.
        if cookie.local_tag != header.verification_tag
            || cookie.local_port != header.destination_port
            || cookie.remote_port != header.source_port
        {
            self.drop_packet("cookie of another association");
            return Echoed::Discarded;
        }
        let known = self.phase.tcb().map(|tcb| (tcb.local_tag, tcb.peer_tag, tcb.tie_tags));
        let (local_tag, peer_tag, ties) = known.unwrap_or((self.local.tag, 0, TieTags::default()));
        let local_matches = cookie.local_tag == local_tag;
        let peer_matches = cookie.peer_tag == peer_tag;
        if !(local_matches && peer_matches) && self.refuse_stale(now, &cookie, inbound) {
            return Echoed::Discarded;
        }
        // RFC 9260 §5.2.4 table 12.
        match (local_matches, peer_matches) {
            (true, true) => self.cookie_action_d(now),
            (true, false) => self.cookie_action_b(now, &cookie),
            (false, false) if known.is_some() && ties == cookie.tie_tags => {
                self.cookie_action_a(now, &cookie, inbound)
            }
            // (C): "The endpoint SHOULD NOT change states and SHOULD leave any timers running." And "For any case not
            // shown in Table 12, the cookie SHOULD be silently discarded."
            (false, true) | (false, false) => {
                self.drop_packet("cookie that came late");
                Echoed::Discarded
            }
        }
    }

    /// RFC 9260 §5.1.5 (4), §5.2.4 (3).
    fn refuse_stale(&mut self, now: Instant, cookie: &Cookie, inbound: &mut Inbound) -> bool {
        let age = self.jar.age(now).saturating_sub(cookie.created);
        let Some(staleness) = age.checked_sub(self.config.cookie_lifetime).filter(|over| !over.is_zero())
        else {
            return false;
        };
        let micros = u32::try_from(staleness.as_micros()).unwrap_or(u32::MAX);
        inbound.reported = true;
        self.control.push(Control::StaleCookie { tag: cookie.peer_tag, staleness: micros });
        true
    }

    /// (A) The peer restarted: it lost its state and does not know our tag.
    fn cookie_action_a(&mut self, now: Instant, cookie: &Cookie, inbound: &mut Inbound) -> Echoed {
        // RFC 9260 §5.2.4 (A): "it MUST NOT set up a new association but instead resend the SHUTDOWN ACK chunk and
        // send an ERROR chunk with a "Cookie Received While Shutting Down" error cause to its peer."
        if let Phase::ShutdownAckSent { .. } = self.phase {
            self.control.push(Control::ShutdownAck);
            self.report(inbound, Fault::CookieWhileShuttingDown);
            return Echoed::Discarded;
        }
        if !self.config.allow_restart {
            self.drop_packet("restart that is not allowed");
            return Echoed::Discarded;
        }
        self.collect_events();
        // RFC 9260 §9.2: the endpoint "enters the SHUTDOWN-PENDING state and remains there until all outstanding data has
        // been acknowledged by its peer." What was outstanding is lost with the peer's state; the wish to end is not.
        let shuts_down = self.phase.shuts_down();
        let tcb = self.tcb_of(cookie);
        self.local = LocalInit { tag: tcb.local_tag, tsn: tcb.local_tsn };
        self.control.clear();
        let phase = if shuts_down { Phase::ShutdownPending { tcb } } else { Phase::Established { tcb } };
        self.change(phase, "restart of the peer");
        self.sender.restart(now, &self.terms(&tcb));
        self.sender.set_draining(shuts_down);
        self.start_receiving(now, &tcb);
        self.events.push_back(Event::Restarted);
        self.control.push_first(Control::CookieAck);
        // DATA in the same packet comes again: by then the owner has seen `Restarted`.
        Echoed::Discarded
    }

    /// (B) Both sides started; the peer answered our INIT before it sent its own, or we know no tag of it yet.
    fn cookie_action_b(&mut self, now: Instant, cookie: &Cookie) -> Echoed {
        match &mut self.phase {
            Phase::Idle | Phase::CookieWait { .. } | Phase::CookieEchoed { .. } => {
                let tcb = self.tcb_of(cookie);
                self.establish(now, tcb, "COOKIE ECHO");
            }
            // "The endpoint SHOULD stay in or enter the ESTABLISHED state, but it MUST update its peer's Verification
            // Tag from the State Cookie".
            Phase::Established { tcb }
            | Phase::ShutdownPending { tcb }
            | Phase::ShutdownSent { tcb, .. }
            | Phase::ShutdownReceived { tcb, .. }
            | Phase::ShutdownAckSent { tcb, .. } => tcb.peer_tag = cookie.peer_tag,
            Phase::Ended { .. } => return Echoed::Discarded,
        }
        self.control.push_first(Control::CookieAck);
        Echoed::Accepted
    }

    /// (D) Our own association: ours was the answer that won, or the COOKIE ACK was lost.
    fn cookie_action_d(&mut self, now: Instant) -> Echoed {
        if let Phase::CookieEchoed { tcb, .. } = &self.phase {
            let tcb = *tcb;
            self.establish(now, tcb, "COOKIE ECHO");
        }
        self.control.push_first(Control::CookieAck);
        Echoed::Accepted
    }

    pub(super) fn on_cookie_ack(&mut self, now: Instant) {
        // RFC 9260 §5.2.5: "At any state other than COOKIE-ECHOED, an endpoint SHOULD silently discard a received
        // COOKIE ACK chunk."
        if let Phase::CookieEchoed { tcb, .. } = &self.phase {
            let tcb = *tcb;
            self.establish(now, tcb, "COOKIE ACK");
        }
    }

    /// RFC 9260 §5.2.6: one more attempt with a new INIT, then the end.
    pub(super) fn on_stale_cookie(&mut self, now: Instant) {
        match self.phase {
            Phase::CookieEchoed { again: false, .. } => {
                self.control.clear();
                self.send_init(now, true, "stale cookie");
            }
            Phase::CookieEchoed { again: true, .. } => {
                self.end(now, CloseReason::Timeout(TimeoutKind::CookieEcho));
            }
            Phase::Idle
            | Phase::CookieWait { .. }
            | Phase::Established { .. }
            | Phase::ShutdownPending { .. }
            | Phase::ShutdownSent { .. }
            | Phase::ShutdownReceived { .. }
            | Phase::ShutdownAckSent { .. }
            | Phase::Ended { .. } => {}
        }
    }

    fn establish(&mut self, now: Instant, tcb: Tcb, why: &'static str) {
        // What the handshake still had to say is void, answers to the peer are not.
        self.control.forget_handshake();
        self.change(Phase::Established { tcb }, why);
        self.sender.start(now, &self.terms(&tcb));
        self.start_receiving(now, &tcb);
        self.events.push_back(Event::Established);
    }

    fn terms(&self, tcb: &Tcb) -> Terms {
        Terms {
            initial_tsn: tcb.local_tsn,
            peer_rwnd: tcb.peer_window,
            streams: tcb.outgoing_streams,
            max_packet: self.path_mtu.size(),
            partial_reliability: tcb.capabilities.partial_reliability,
            interleaving: tcb.capabilities.interleaving,
        }
    }

    fn start_receiving(&mut self, now: Instant, tcb: &Tcb) {
        self.receiver.start(tcb.peer_tsn, tcb.incoming_streams, tcb.capabilities.interleaving);
        self.receiver.set_path(self.sender.rto(), None);
        self.reset.start(tcb.local_tsn, tcb.peer_tsn);
        self.errors = 0;
        self.start_heartbeat(now);
    }

    /// The association a cookie stands for, with tie-tags of its own.
    fn tcb_of(&mut self, cookie: &Cookie) -> Tcb {
        Tcb {
            local_tag: cookie.local_tag,
            peer_tag: cookie.peer_tag,
            local_tsn: Tsn(cookie.local_tsn),
            peer_tsn: Tsn(cookie.peer_tsn),
            peer_window: cookie.peer_window,
            outgoing_streams: cookie.outgoing_streams,
            incoming_streams: cookie.incoming_streams,
            capabilities: cookie.capabilities,
            tie_tags: TieTags::random(&mut self.random.generator()),
        }
    }
}
