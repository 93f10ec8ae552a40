//! Requests and responses that came (RFC 8445 §7.2.5, §7.3).

use super::transmit::Outgoing;
use super::{Agent, Event, Mode, Role, Route};
use crate::stun::{
    Attributes, Authenticated, Class, FORBIDDEN, ROLE_CONFLICT, Scanned, StunError, TransactionId,
    UNKNOWN_ATTRIBUTE,
};
use rand_chacha::rand_core::Rng as _;
use std::time::Instant;
use tracing::debug;

impl Agent {
    /// RFC 8445 §7.3: a Binding request. Nothing is believed, answered or remembered before it proved to come from
    /// someone who knows our password.
    pub(super) fn on_request(&mut self, now: Instant, route: Route, scanned: Scanned<'_>) {
        let Some(addressed) = self.address(&scanned) else {
            debug!(%route, "dropped a request with a wrong USERNAME");
            self.stats.unauthenticated += 1;
            return;
        };
        let (id, Addressed { generation, password, early_ufrag }) = (scanned.transaction_id, addressed);
        let Authenticated { attributes, unknown } = match scanned.authenticate(&password) {
            Ok(authenticated) => authenticated,
            Err(error) => return self.drop_message(route, error),
        };
        if self.recent_requests.is_replayed(id, route.remote) {
            debug!(%route, "dropped a request that came from elsewhere before");
            self.stats.replayed += 1;
            return;
        }
        self.stats.requests_received += 1;
        if !self.admit(now, route) {
            debug!(%route, "dropped one request too many");
            self.stats.rate_limited += 1;
            return;
        }
        self.ledger.of(route).requests_received += 1;
        if !unknown.is_empty() {
            // RFC 8489 §6.3.1: "the server replies with an error response with an error code of 420"
            return self.enqueue(Outgoing::Error { route, generation, id, code: UNKNOWN_ATTRIBUTE, unknown });
        }
        if self.has_role_conflict(now, generation, &attributes) {
            let unknown = Vec::new();
            return self.enqueue(Outgoing::Error { route, generation, id, code: ROLE_CONFLICT, unknown });
        }
        self.enqueue(Outgoing::Success { route, generation, id });
        self.accept_request(now, route, generation, early_ufrag, id, &attributes);
    }

    /// A response: believed only if it answers a live request, comes over the route of that request, and is sealed with
    /// the peer's password.
    pub(super) fn on_response(&mut self, now: Instant, route: Route, scanned: Scanned<'_>) {
        let (id, class) = (scanned.transaction_id, scanned.class);
        let check = self.checklist.find(id);
        let sent = check.map(|(_, route)| (route, self.current.number)).or_else(|| self.find_consent(id));
        // RFC 8445 §7.2.5.2.1: the addresses of a response must be those of its request, the other way round.
        let Some((_, generation)) = sent.filter(|&(sent, _)| sent == route) else {
            debug!(%route, "dropped a response that nobody waits for");
            self.stats.unexpected_responses += 1;
            return;
        };
        let remote = self.generation(generation).and_then(|generation| generation.remote.as_ref());
        let Some(password) = remote.map(|remote| remote.credentials.password.clone()) else {
            return;
        };
        let Authenticated { attributes, unknown } = match scanned.authenticate(&password) {
            Ok(authenticated) => authenticated,
            Err(error) => return self.drop_message(route, error),
        };
        self.stats.responses_received += 1;
        self.ledger.of(route).responses_received += 1;
        let error = (class == Class::Error).then(|| attributes.error_code.unwrap_or(0));
        match (error, check) {
            // RFC 8489 §6.3.3, §6.3.4: with unknown comprehension-required attributes the transaction failed.
            _ if !unknown.is_empty() => {}
            (None, Some((index, _))) => self.on_check_answered(now, index),
            (None, None) => self.on_consent_answered(now, id),
            (Some(ROLE_CONFLICT), _) => self.on_role_conflict_reported(now),
            (Some(FORBIDDEN), None) => self.on_consent_revoked(),
            (Some(code), _) => debug!(%route, code, "the peer refused a check"),
        }
    }

    /// Something authenticated came over `route`.
    pub(super) fn on_validated(&mut self, now: Instant, route: Route, generation: u32) {
        if !self.routes.contains(route)
            && self.routes.len() >= self.config.max_routes
            && let Some(oldest) = self.routes.take_oldest(self.selected())
        {
            self.forget_peer_reflexive(oldest.remote);
            self.ledger.forget(oldest);
            self.events.push_back(Event::RouteRemoved(oldest));
        }
        self.ledger.validated(route, generation);
        if self.routes.validate(now, route, generation) {
            self.events.push_back(Event::RouteAdded(route));
        }
        if self.no_answer_at.is_some() && generation == self.current.number {
            self.no_answer_at = Some(now + self.config.no_answer_after);
        }
        self.on_sign_of_life(now);
    }

    /// Judges the checks that came before the peer's credentials.
    pub(super) fn adopt_early_routes(&mut self, now: Instant) {
        let Some(remote) = &self.current.remote else {
            return;
        };
        let ufrag = remote.credentials.ufrag.clone();
        let is_ours = |early: &Option<String>| early.as_ref().is_none_or(|early| *early == ufrag);
        let removed = self.routes.take_unless(|entry| is_ours(&entry.early_ufrag));
        self.events.extend(removed.into_iter().map(Event::RouteRemoved));
        let mut adopted = Vec::new();
        for entry in self.routes.iter_mut() {
            if entry.early_ufrag.take().is_some() {
                adopted.push((entry.used, entry.route, entry.priority, entry.is_nominated));
            }
        }
        adopted.sort_unstable();
        for (_, route, priority, is_nominated) in adopted {
            self.learn_peer_reflexive(route, priority);
            if is_nominated && self.role == Role::Controlled {
                self.select(now, route, self.current.number);
            }
        }
    }

    /// Whom a request is for: RFC 8445 §7.2.2: USERNAME is our fragment, a colon, the peer's fragment.
    fn address(&self, scanned: &Scanned<'_>) -> Option<Addressed> {
        let (local_ufrag, remote_ufrag) = scanned.username?.split_once(':')?;
        let mut generations = std::iter::once(&self.current).chain(&self.previous);
        let generation = generations.find(|generation| generation.local.ufrag == local_ufrag)?;
        let early_ufrag = match &generation.remote {
            Some(remote) if remote.credentials.ufrag != remote_ufrag => return None,
            Some(_) => None,
            None => Some(remote_ufrag.to_owned()),
        };
        let password = generation.local.password.clone();
        Some(Addressed { generation: generation.number, password, early_ufrag })
    }

    /// Bounds what even authenticated requests can cost.
    fn admit(&mut self, now: Instant, route: Route) -> bool {
        let is_new_address = !self.knows_remote(route.remote) && !self.routes.reaches(route.remote);
        (!is_new_address || self.peer_reflexive_limit.admit(now)) && self.response_limit.admit(now)
    }

    fn accept_request(
        &mut self,
        now: Instant,
        route: Route,
        generation: u32,
        early_ufrag: Option<String>,
        id: TransactionId,
        attributes: &Attributes,
    ) {
        self.on_validated(now, route, generation);
        let is_early = early_ufrag.is_some();
        // A repeated or late copy of an old nomination must not take the route back.
        let is_news = self.recent_requests.remember(id, route.remote);
        if let Some(entry) = self.routes.get_mut(route) {
            entry.priority = attributes.priority;
            entry.early_ufrag = early_ufrag;
            entry.is_nominated |= attributes.use_candidate;
        }
        if is_early {
            return;
        }
        if generation == self.current.number {
            self.learn_peer_reflexive(route, attributes.priority);
        }
        // RFC 8445 §7.3.2. An old generation has no say once the new one has selected.
        let selected_in = self.selection.as_ref().map(|selection| selection.generation);
        let has_a_say =
            self.role == Role::Controlled && selected_in.is_none_or(|newest| newest <= generation);
        if attributes.use_candidate && is_news && has_a_say {
            self.select(now, route, generation);
        }
    }

    /// RFC 8445 §7.3.1.1. Answers true when the request must be refused with 487.
    fn has_role_conflict(&mut self, now: Instant, generation: u32, attributes: &Attributes) -> bool {
        // Before its credentials nothing is known of the peer's mode, so that no role is wrong.
        let remote = self.generation(generation).and_then(|generation| generation.remote.as_ref());
        let Some(mode) = remote.map(|remote| remote.mode) else {
            return false;
        };
        let theirs = match self.role {
            Role::Controlling => attributes.controlling,
            Role::Controlled if attributes.controlling.is_some() => None,
            Role::Controlled => attributes.controlled,
        };
        let Some(theirs) = theirs else {
            return false;
        };
        self.stats.role_conflicts += 1;
        let is_larger = self.tie_breaker >= theirs;
        match self.role {
            Role::Controlling if is_larger => return true,
            Role::Controlling => self.switch_role(now, Role::Controlled),
            // A lite agent never controls a full one (§6.1.1); the refusal makes that one take over.
            Role::Controlled if mode == Mode::Full || !is_larger => return true,
            Role::Controlled => self.switch_role(now, Role::Controlling),
        }
        false
    }

    /// RFC 8445 §7.2.5.1: a check of ours was refused with 487.
    fn on_role_conflict_reported(&mut self, now: Instant) {
        self.stats.role_conflicts += 1;
        // "The agent MUST change the tiebreaker value."
        self.tie_breaker = self.rng.next_u64();
        let role = match self.role {
            Role::Controlling => Role::Controlled,
            Role::Controlled => Role::Controlling,
        };
        self.switch_role(now, role);
    }

    fn drop_message(&mut self, route: Route, error: StunError) {
        debug!(%route, %error, "dropped a message");
        self.stats.unauthenticated += 1;
    }
}

/// The generation that a request names.
struct Addressed {
    generation: u32,
    password: String,
    /// The peer's fragment, when there is nothing yet to compare it with.
    early_ufrag: Option<String>,
}
