//! The agent: its state, its inputs and outputs. What it does is in the files beside this one, by concern.

mod candidates;
mod checks;
mod config;
mod consent;
mod ledger;
mod limits;
mod requests;
mod restart;
mod routes;
mod transmit;
mod types;

use self::checks::Checklist;
use self::consent::Selection;
use self::ledger::Ledger;
use self::limits::{RateLimit, RecentRequests};
use self::restart::Replaced;
use self::routes::Routes;
use self::transmit::Outgoing;
use crate::stun::{Class, Scanned};
use crate::{Candidate, Credentials};
use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng as _};
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tracing::debug;

pub use self::config::Config;
pub use self::ledger::{CandidatePair, CandidatePairState, PairCounters, RemoteCandidate, Traffic};
pub use self::restart::Gathered;
pub use self::types::{Event, FailureReason, Mode, Role, Route, State, Stats};

/// One end of ICE (RFC 8445) for one component, sans-IO.
///
/// The owner pushes addresses, credentials, candidates, datagrams and time in; after each such call it drains
/// [`poll_transmit`](Self::poll_transmit), then [`poll_event`](Self::poll_event), then reads
/// [`poll_timeout`](Self::poll_timeout). Nothing that comes from the network is an error: it is dropped and counted in
/// [`stats`](Self::stats).
#[derive(Debug)]
pub struct Agent {
    config: Config,
    role: Role,
    tie_breaker: u64,
    rng: ChaCha12Rng,
    state: State,
    failure_reason: Option<FailureReason>,
    current: Generation,
    /// The generation before `restart`, as long as the selected route is of it.
    previous: Option<Generation>,
    /// Generations so far.
    generations: u32,
    /// For the next generation, once somebody wanted to know them.
    next_credentials: Option<Credentials>,
    /// What comes back should the restart be cancelled.
    replaced: Option<Box<Replaced>>,
    local_candidates: Vec<Candidate>,
    /// Where we are: the addresses of the local candidates, or what a NAT makes those of.
    bases: Vec<Base>,
    remote_candidates: Vec<Candidate>,
    /// Has the peer told any candidate, usable or not, in this generation?
    remote_candidate_seen: bool,
    local_gathering_complete: bool,
    remote_gathering_complete: bool,
    routes: Routes,
    checklist: Checklist,
    selection: Option<Selection>,
    /// When the search for a route ends in failure.
    no_answer_at: Option<Instant>,
    peer_reflexive_limit: RateLimit,
    response_limit: RateLimit,
    recent_requests: RecentRequests,
    outgoing: VecDeque<Outgoing>,
    events: VecDeque<Event>,
    ledger: Ledger,
    stats: Stats,
    /// The smoothed round-trip time (RFC 6298 §2).
    round_trip_time: Option<Duration>,
}

impl Agent {
    /// A lite agent in [`State::New`], controlled, with fresh credentials. All its randomness follows from `seed`,
    /// which must be unpredictable and used once.
    pub fn new(config: Config, seed: [u8; 32], now: Instant) -> Self {
        let mut rng = ChaCha12Rng::from_seed(seed);
        let current = Generation { number: 0, local: Credentials::random(&mut rng), remote: None };
        Self {
            role: Role::Controlled,
            tie_breaker: rng.next_u64(),
            rng,
            state: State::New,
            failure_reason: None,
            current,
            previous: None,
            generations: 1,
            next_credentials: None,
            replaced: None,
            local_candidates: Vec::new(),
            bases: Vec::new(),
            remote_candidates: Vec::new(),
            remote_candidate_seen: false,
            local_gathering_complete: false,
            remote_gathering_complete: false,
            routes: Routes::default(),
            checklist: Checklist::default(),
            selection: None,
            no_answer_at: None,
            peer_reflexive_limit: RateLimit::new(config.peer_reflexive_per_second, now),
            response_limit: RateLimit::new(config.responses_per_second, now),
            recent_requests: RecentRequests::default(),
            outgoing: VecDeque::new(),
            events: VecDeque::new(),
            ledger: Ledger::default(),
            stats: Stats::default(),
            round_trip_time: None,
            config,
        }
    }

    /// Says who nominates, as JSEP found it. RFC 8445 §6.1.1: a lite agent that faces a full one is controlled, whatever
    /// is said here; two lite agents repair a conflict by themselves (§7.3.1.1).
    pub fn set_role(&mut self, now: Instant, role: Role) {
        if self.role != role && !self.faces(Mode::Full) {
            self.switch_role(now, role);
        }
    }

    /// Takes the peer's credentials; `remote_mode` is [`Mode::Lite`] if its description has `a=ice-lite`.
    ///
    /// Checks that came earlier are judged now. The same credentials again change nothing.
    pub fn set_remote_credentials(&mut self, now: Instant, credentials: Credentials, remote_mode: Mode) {
        let remote = Remote { credentials, mode: remote_mode };
        if self.is_over() || self.current.remote.as_ref() == Some(&remote) {
            return;
        }
        self.drop_foreign_candidates(&remote.credentials.ufrag);
        self.current.remote = Some(remote);
        self.replaced = None;
        if remote_mode == Mode::Full {
            // RFC 8445 §6.1.1: "the lite agent MUST take the controlled role"
            self.role = Role::Controlled;
        }
        self.adopt_early_routes(now);
        self.advance(now);
    }

    /// Ends the agent: all routes are given back, nothing is sent or accepted any more.
    pub fn close(&mut self, _now: Instant) {
        if self.state != State::Closed {
            self.release();
            self.outgoing.clear();
            self.set_state(State::Closed, "closed by the owner");
        }
    }

    /// Application traffic that proved its authenticity came over a valid route: a sign of life of the peer.
    ///
    /// It keeps or brings back [`State::Connected`]. It never renews the consent that answers to checks give (RFC 7675
    /// §5.1); with a full peer, of which a lite agent asks none, it also counts against
    /// [`Config::failed_after`].
    pub fn record_traffic(&mut self, now: Instant) {
        self.on_sign_of_life(now);
    }

    /// A datagram came from `route.remote` to `route.local`.
    pub fn handle_datagram(&mut self, now: Instant, route: Route, datagram: &[u8]) {
        if self.is_over() {
            self.stats.late += 1;
            return;
        }
        match Scanned::scan(datagram) {
            Ok(scanned) => match scanned.class {
                Class::Request => self.on_request(now, route, scanned),
                Class::Success | Class::Error => self.on_response(now, route, scanned),
                // Keepalives (RFC 8445 §11): nothing to do, and nothing to believe.
                Class::Indication => self.stats.malformed += 1,
            },
            Err(error) => {
                debug!(%route, %error, "dropped a datagram");
                self.stats.malformed += 1;
            }
        }
        self.advance(now);
    }

    /// Fires what is due, in this order: failure, disconnection, consent checks, connectivity checks.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.expire(now);
        self.drive_consent(now);
        self.advance(now);
    }

    /// The earliest deadline; `None` when only input can change anything.
    pub fn poll_timeout(&self) -> Option<Instant> {
        if self.is_over() {
            return None;
        }
        let selection = self.selection.as_ref().map(|selection| self.selection_deadline(selection));
        let checks = if self.is_checking() { self.checklist.deadline() } else { None };
        [selection, checks, self.no_answer_at].into_iter().flatten().min()
    }

    /// The next event.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// Which kind of agent this is. Today always [`Mode::Lite`].
    pub fn mode(&self) -> Mode {
        Mode::Lite
    }

    /// The state, with all events taken or not.
    pub fn state(&self) -> State {
        self.state
    }

    /// The role, as it was set, forced by a full peer, or repaired after a conflict. At first controlled.
    pub fn role(&self) -> Role {
        self.role
    }

    /// Why the agent failed; forgotten by [`restart`](Self::restart), kept by [`close`](Self::close).
    pub fn failure_reason(&self) -> Option<FailureReason> {
        self.failure_reason
    }

    /// Our credentials of this generation, to signal.
    pub fn local_credentials(&self) -> &Credentials {
        &self.current.local
    }

    /// The peer's credentials of this generation.
    pub fn remote_credentials(&self) -> Option<&Credentials> {
        self.current.remote.as_ref().map(|remote| &remote.credentials)
    }

    /// Which kind of agent the peer is, as its description says; `None` before it is known.
    pub fn remote_mode(&self) -> Option<Mode> {
        self.current.remote.as_ref().map(|remote| remote.mode)
    }

    /// Our candidates, in the order in which they were added.
    pub fn local_candidates(&self) -> &[Candidate] {
        &self.local_candidates
    }

    /// The usable candidates of the peer, signalled and peer-reflexive ones.
    pub fn remote_candidates(&self) -> &[Candidate] {
        &self.remote_candidates
    }

    /// The route over which application data goes.
    pub fn selected(&self) -> Option<Route> {
        self.selection.as_ref().map(|selection| selection.route)
    }

    /// May application data be sent? True while a route is selected and consent has not expired (RFC 7675 §5.1).
    pub fn may_send(&self) -> bool {
        !self.is_over() && self.selection.is_some()
    }

    /// Is `route` validated: selected, or did an authenticated check or answer come over it in this generation?
    pub fn is_valid_route(&self, route: Route) -> bool {
        self.selected() == Some(route) || self.routes.is_valid(route, self.current.number)
    }

    /// The smoothed round-trip time of our checks, once one was answered. A lite agent that faces a full one sends none.
    pub fn round_trip_time(&self) -> Option<Duration> {
        self.round_trip_time
    }

    /// Counters since the agent was made.
    pub fn stats(&self) -> Stats {
        self.stats
    }

    /// Runs at the end of every input: begins to check as soon as that is possible, and sends the checks that are due.
    fn advance(&mut self, now: Instant) {
        if self.is_over() {
            return;
        }
        let search_may_begin = self.current.remote.is_some() && self.remote_candidate_seen;
        if self.state == State::New && search_may_begin {
            self.set_state(State::Checking, "credentials and a candidate of the peer are known");
        }
        // The search is bounded, also when the peer has told that it has no candidates at all.
        let may_search = matches!(self.state, State::New | State::Checking | State::Disconnected);
        let is_searching = may_search && self.selection.is_none();
        let has_heard_all = self.current.remote.is_some() && self.remote_gathering_complete;
        if is_searching && self.no_answer_at.is_none() && (search_may_begin || has_heard_all) {
            self.no_answer_at = Some(now + self.config.no_answer_after);
        }
        self.form_pairs();
        // A restart that has no pair ends what went before it, too: the old route may be what it was to get rid of.
        let awaits_route = is_searching || self.previous.is_some();
        if awaits_route && has_heard_all && self.local_gathering_complete && !self.can_ever_pair() {
            self.fail(FailureReason::NoCandidatePair);
        }
        self.drive_checks(now);
        self.judge_search();
    }

    /// Can a pair exist, now that all candidates are known?
    fn can_ever_pair(&self) -> bool {
        // Without an address of ours there is no pair. Otherwise the one that checks knows all pairs; the one that is
        // checked may still learn the peer's address from a check.
        if self.is_checking() { !self.checklist.is_empty() } else { !self.local_candidates.is_empty() }
    }

    fn set_state(&mut self, to: State, why: &'static str) {
        debug!(from = ?self.state, ?to, why, "ICE state");
        self.state = to;
        self.events.push_back(Event::StateChanged(to));
    }

    fn fail(&mut self, reason: FailureReason) {
        debug!(%reason, "ICE failed");
        self.release();
        self.ledger.give_up();
        self.failure_reason = Some(reason);
        self.set_state(State::Failed, "no route, or the peer is gone");
    }

    /// Gives all routes back and stops every timer.
    fn release(&mut self) {
        self.unselect();
        self.previous = None;
        self.no_answer_at = None;
        self.checklist.clear();
        let removed = self.routes.take_all();
        self.events.extend(removed.into_iter().map(Event::RouteRemoved));
    }

    fn unselect(&mut self) {
        if self.selection.take().is_some() {
            self.ledger.selection_changed();
        }
    }

    /// Nothing is sent or accepted in these states.
    fn is_over(&self) -> bool {
        matches!(self.state, State::Failed | State::Closed)
    }

    fn faces(&self, mode: Mode) -> bool {
        self.remote_mode() == Some(mode)
    }

    fn switch_role(&mut self, now: Instant, role: Role) {
        debug!(?role, "ICE role");
        self.role = role;
        self.checklist.clear();
        self.advance(now);
    }

    /// The live generation of this number.
    fn generation(&self, number: u32) -> Option<&Generation> {
        std::iter::once(&self.current).chain(&self.previous).find(|generation| generation.number == number)
    }
}

/// An address of ours from which checks are sent.
#[derive(Clone, Copy, Debug)]
struct Base {
    address: SocketAddr,
    /// As the peer knows it.
    announced: SocketAddr,
    /// Of the candidate that stands for it.
    priority: u32,
}

/// What one ICE session between two restarts is made of.
#[derive(Clone, Debug)]
struct Generation {
    number: u32,
    local: Credentials,
    remote: Option<Remote>,
}

/// What the peer's description says of it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Remote {
    credentials: Credentials,
    mode: Mode,
}
