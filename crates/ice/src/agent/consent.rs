//! The selected route, the peer's signs of life on it, and its consent (RFC 7675).

use super::transmit::{Outgoing, Purpose};
use super::{Agent, Event, FailureReason, Mode, Role, Route, State};
use crate::stun::TransactionId;
use rand::RngExt as _;
use rand_chacha::rand_core::Rng as _;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// The route over which application data goes.
#[derive(Debug)]
pub(super) struct Selection {
    pub(super) route: Route,
    /// Whose credentials its checks use.
    pub(super) generation: u32,
    /// The latest authenticated sign of the peer.
    last_sign: Instant,
    /// Present when the peer is lite too: then both ends ask for consent.
    consent: Option<Consent>,
}

/// RFC 7675 §5.1.
#[derive(Debug)]
struct Consent {
    /// When consent was given last: the selection, then each answer.
    given: Instant,
    next_check: Instant,
    /// Checks whose answer would count, oldest first.
    outstanding: VecDeque<Sent>,
}

#[derive(Debug)]
struct Sent {
    id: TransactionId,
    at: Instant,
}

impl Agent {
    /// A nomination succeeded in this generation.
    pub(super) fn select(&mut self, now: Instant, route: Route, generation: u32) {
        let is_selected =
            |selection: &Selection| selection.route == route && selection.generation == generation;
        if self.selection.as_ref().is_some_and(is_selected) {
            return;
        }
        let is_other = self.selected() != Some(route);
        let remote = self.generation(generation).and_then(|generation| generation.remote.as_ref());
        let asks = remote.is_some_and(|remote| remote.mode == Mode::Lite);
        // The one that was nominated has sent no check yet: its first one at once proves the way back and measures it.
        let next_check = match self.role {
            Role::Controlling => now + self.consent_interval(),
            Role::Controlled => now,
        };
        let consent = asks.then(|| Consent { given: now, next_check, outstanding: VecDeque::new() });
        self.selection = Some(Selection { route, generation, last_sign: now, consent });
        self.checklist.clear();
        self.ledger.nominated(route);
        if is_other {
            self.ledger.selection_changed();
            self.round_trip_time = None;
            self.events.push_back(Event::RouteSelected(route));
        }
        if generation == self.current.number {
            self.no_answer_at = None;
            self.previous = None;
            self.ledger.conclude(generation);
            let removed = self.routes.take_unless(|entry| entry.generation == generation);
            self.events.extend(removed.into_iter().map(Event::RouteRemoved));
        }
        if self.state != State::Connected {
            self.set_state(State::Connected, "a route is selected");
        }
    }

    /// The peer is alive.
    pub(super) fn on_sign_of_life(&mut self, now: Instant) {
        if let Some(selection) = &mut self.selection {
            selection.last_sign = selection.last_sign.max(now);
            if self.state == State::Disconnected {
                self.set_state(State::Connected, "the peer is heard again");
            }
        }
    }

    /// Disconnects or fails if the time for it has come.
    pub(super) fn expire(&mut self, now: Instant) {
        if self.is_over() {
            return;
        }
        if let Some(selection) = &self.selection {
            if now >= self.failure_deadline(selection) {
                self.on_consent_lost();
            } else if self.state == State::Connected && now >= self.disconnection_deadline(selection) {
                self.set_state(State::Disconnected, "the peer is silent");
            }
        }
        if self.no_answer_at.is_some_and(|at| at <= now) {
            self.fail(FailureReason::NoAnswer);
        }
    }

    /// Sends a consent check if one is due.
    pub(super) fn drive_consent(&mut self, now: Instant) {
        let (retry, lifetime) = (self.config.consent_retry, self.config.failed_after);
        let Some(Selection { route, generation, consent: Some(consent), .. }) = &mut self.selection else {
            return;
        };
        if consent.next_check > now {
            return;
        }
        // RFC 7675 §5.1: "Each STUN binding request for consent MUST use a new STUN transaction identifier"
        let mut id = TransactionId::default();
        self.rng.fill_bytes(&mut id);
        consent.outstanding.retain(|sent| now.saturating_duration_since(sent.at) < lifetime);
        consent.outstanding.push_back(Sent { id, at: now });
        consent.next_check = now + retry;
        let (route, generation) = (*route, *generation);
        let priority = self.check_priority(route);
        let purpose = Purpose::Consent;
        self.enqueue(Outgoing::Request { route, generation, id, priority, purpose });
    }

    /// The route and generation of a live consent check with this id.
    pub(super) fn find_consent(&self, id: TransactionId) -> Option<(Route, u32)> {
        let selection = self.selection.as_ref()?;
        let is_live = selection.consent.as_ref()?.outstanding.iter().any(|sent| sent.id == id);
        is_live.then_some((selection.route, selection.generation))
    }

    /// An authenticated answer to that check came.
    pub(super) fn on_consent_answered(&mut self, now: Instant, id: TransactionId) {
        let interval = self.consent_interval();
        // RFC 7675 §5.1: "STUN consent responses received after consent expiry do not re-establish consent"
        let has_expired =
            self.selection.as_ref().is_none_or(|selection| now >= self.failure_deadline(selection));
        let Some(Selection { route, consent: Some(consent), .. }) = &mut self.selection else {
            return;
        };
        if has_expired {
            return;
        }
        let Some(index) = consent.outstanding.iter().position(|sent| sent.id == id) else {
            return;
        };
        let Some(sent) = consent.outstanding.remove(index) else {
            return;
        };
        consent.given = now;
        consent.next_check = (sent.at + interval).max(now);
        let sample = now.saturating_duration_since(sent.at);
        self.ledger.round_trip(*route, sample);
        self.on_round_trip(sample);
        self.on_sign_of_life(now);
    }

    /// RFC 7675 §5.2: the peer answered Forbidden.
    pub(super) fn on_consent_revoked(&mut self) {
        self.on_consent_lost();
    }

    /// RFC 6298 §2, without the variance.
    pub(super) fn on_round_trip(&mut self, sample: Duration) {
        self.round_trip_time = Some(match self.round_trip_time {
            None => sample,
            Some(smoothed) => (smoothed * 7 + sample) / 8,
        });
    }

    pub(super) fn selection_deadline(&self, selection: &Selection) -> Instant {
        let failure = self.failure_deadline(selection);
        let disconnection = (self.state == State::Connected).then(|| self.disconnection_deadline(selection));
        let check = selection.consent.as_ref().map(|consent| consent.next_check);
        [disconnection, check].into_iter().flatten().fold(failure, Instant::min)
    }

    fn failure_deadline(&self, selection: &Selection) -> Instant {
        let since = selection.consent.as_ref().map_or(selection.last_sign, |consent| consent.given);
        since + self.config.failed_after
    }

    fn disconnection_deadline(&self, selection: &Selection) -> Instant {
        let after = match selection.consent {
            Some(_) => self.config.disconnected_after,
            None => self.config.disconnected_after_full,
        };
        selection.last_sign + after
    }

    /// The selected route must not be used any more. In a restart the search for another goes on.
    fn on_consent_lost(&mut self) {
        if self.previous.is_none() {
            return self.fail(FailureReason::ConsentExpired);
        }
        self.drop_previous("the old route is gone before the restart found another");
    }

    /// RFC 7675 §5.1: "each interval MUST be randomized from between 0.8 and 1.2 times the basic period"
    fn consent_interval(&mut self) -> Duration {
        self.config.consent_interval.mul_f64(self.rng.random_range(0.8..=1.2))
    }
}
