//! ICE restarts (RFC 8445 §9), and how they are taken back.

use super::{Agent, Base, Event, FailureReason, Generation, State};
use crate::{Candidate, Credentials};
use std::time::Instant;

/// The local candidates of one generation, as far as they were reported.
#[derive(Clone, Copy, Debug)]
pub struct Gathered<'a> {
    /// `a=ice-ufrag` of the generation.
    pub ufrag: &'a str,
    /// Those reported so far.
    pub candidates: &'a [Candidate],
    /// Were all reported?
    pub is_complete: bool,
}

/// What a restart replaced. Kept until the peer has told its credentials for the new generation.
#[derive(Debug)]
pub(super) struct Replaced {
    generation: Generation,
    state: State,
    had_route: bool,
    failure_reason: Option<FailureReason>,
    local_candidates: Vec<Candidate>,
    bases: Vec<Base>,
    local_gathering_complete: bool,
    remote_candidates: Vec<Candidate>,
    remote_candidate_seen: bool,
    remote_gathering_complete: bool,
}

impl Agent {
    /// The credentials that the next [`restart`](Self::restart) will have, for an offer that may never be made.
    pub fn next_credentials(&mut self) -> &Credentials {
        let rng = &mut self.rng;
        self.next_credentials.get_or_insert_with(|| Credentials::random(rng))
    }

    /// Begins a new generation (RFC 8445 §9): new local credentials, and all that is known of the peer is forgotten.
    ///
    /// A selected route stays in use, with its own credentials, until the new generation selects one or turns out to have
    /// no pair at all. Addresses are to be gathered again: the network may have changed. Until the peer's credentials come,
    /// [`cancel_restart`](Self::cancel_restart) takes it back.
    pub fn restart(&mut self, now: Instant) {
        if self.state == State::Closed {
            return;
        }
        self.next_credentials();
        let Some(local) = self.next_credentials.take() else { return };
        let next = Generation { number: self.generations, local, remote: None };
        self.generations += 1;
        let old = std::mem::replace(&mut self.current, next);
        self.retire_remote_candidates();
        let replaced = Replaced {
            generation: old.clone(),
            state: self.state,
            had_route: self.selection.is_some(),
            failure_reason: self.failure_reason.take(),
            local_candidates: std::mem::take(&mut self.local_candidates),
            bases: std::mem::take(&mut self.bases),
            local_gathering_complete: std::mem::take(&mut self.local_gathering_complete),
            remote_candidates: std::mem::take(&mut self.remote_candidates),
            remote_candidate_seen: std::mem::take(&mut self.remote_candidate_seen),
            remote_gathering_complete: std::mem::take(&mut self.remote_gathering_complete),
        };
        // A second restart before an answer replaces the first.
        self.replaced.get_or_insert_with(|| Box::new(replaced));
        if self.selection.as_ref().is_some_and(|selection| selection.generation == old.number) {
            self.previous = Some(old);
        }
        self.checklist.clear();
        self.no_answer_at = None;
        match self.state {
            State::New | State::Connected | State::Closed => {}
            State::Checking => self.set_state(State::New, "restart before a route was found"),
            State::Disconnected if self.selection.is_none() => {
                self.set_state(State::New, "restart before a route was found");
            }
            State::Disconnected | State::Failed => self.set_state(State::Checking, "restart"),
        }
        self.advance(now);
    }

    /// Takes a restart back that the peer has not answered: the generation before it goes on, with its candidates. Without
    /// one this changes nothing.
    pub fn cancel_restart(&mut self, now: Instant) {
        let Some(replaced) = self.replaced.take() else { return };
        if self.state == State::Closed {
            return;
        }
        let cancelled = std::mem::replace(&mut self.current, replaced.generation);
        let removed = self.routes.take_unless(|entry| entry.generation != cancelled.number);
        self.events.extend(removed.into_iter().map(Event::RouteRemoved));
        // What was offered may be offered again.
        self.next_credentials = Some(cancelled.local);
        self.previous = None;
        self.local_candidates = replaced.local_candidates;
        self.bases = replaced.bases;
        self.local_gathering_complete = replaced.local_gathering_complete;
        self.remote_candidates = replaced.remote_candidates;
        self.remote_candidate_seen = replaced.remote_candidate_seen;
        self.remote_gathering_complete = replaced.remote_gathering_complete;
        self.checklist.clear();
        self.no_answer_at = None;
        match (replaced.state, replaced.failure_reason) {
            (State::Failed, Some(reason)) => self.fail(reason),
            (State::Connected | State::Disconnected, _) if replaced.had_route && self.selection.is_none() => {
                self.fail(FailureReason::ConsentExpired);
            }
            // The peer may have been heard, or missed, meanwhile.
            (State::Connected | State::Disconnected, _)
                if replaced.had_route && self.state != State::Checking => {}
            (state, _) if state != self.state => self.set_state(state, "restart cancelled"),
            _ => {}
        }
        self.advance(now);
    }

    /// Gives up the route of the generation before a restart at once, for an owner whose peer is another from now on. The
    /// search in the new generation goes on.
    pub fn abandon_previous(&mut self) {
        if self.previous.is_some() {
            self.drop_previous("the peer is another");
        }
    }

    /// The selected route must not be used any more; a restart is looking for another.
    pub(super) fn drop_previous(&mut self, why: &'static str) {
        self.unselect();
        self.previous = None;
        let current = self.current.number;
        let removed = self.routes.take_unless(|entry| entry.generation == current);
        self.events.extend(removed.into_iter().map(Event::RouteRemoved));
        if self.state != State::Checking {
            self.set_state(State::Checking, why);
        }
    }

    /// Forgets the addresses that were gathered, for an owner that will gather anew.
    pub fn forget_local_candidates(&mut self) {
        self.local_candidates.clear();
        self.bases.clear();
        self.local_gathering_complete = false;
        self.checklist.clear();
    }

    /// What was gathered for this generation, and for the one that an unanswered restart replaced: its description is still
    /// in force.
    pub fn gathered(&self) -> impl Iterator<Item = Gathered<'_>> {
        let current = Gathered {
            ufrag: &self.current.local.ufrag,
            candidates: &self.local_candidates,
            is_complete: self.local_gathering_complete,
        };
        let replaced = self.replaced.as_ref().map(|replaced| Gathered {
            ufrag: &replaced.generation.local.ufrag,
            candidates: &replaced.local_candidates,
            is_complete: replaced.local_gathering_complete,
        });
        std::iter::once(current).chain(replaced)
    }

    /// Has the owner told that it has no more addresses?
    pub fn is_gathering_complete(&self) -> bool {
        self.local_gathering_complete
    }

    /// The fragments under which checks reach this agent: of the present generation, and of the one before as long as it
    /// is in use or may come back.
    pub fn local_ufrags(&self) -> impl Iterator<Item = &str> + Clone {
        let replaced = self.replaced.as_ref().map(|replaced| &replaced.generation);
        let replaced = replaced.filter(|replaced| {
            self.previous.as_ref().is_none_or(|previous| previous.number != replaced.number)
        });
        let live = std::iter::once(&self.current).chain(&self.previous).chain(replaced);
        live.map(|generation| generation.local.ufrag.as_str())
    }
}
