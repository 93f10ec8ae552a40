//! Connectivity checks of a controlling lite agent that faces a lite one (RFC 8445 §6.1.2, §7.2, §8.1.1).
//!
//! RFC 8445 has no checks between two lite agents; here the controlling one does what a full agent would do with host
//! candidates: it checks the pairs in the order of their priority and nominates one that works.

use super::candidates::peer_reflexive_priority;
use super::transmit::{Outgoing, Purpose};
use super::{Agent, CandidatePairState, Config, Mode, Role, Route, State};
use crate::stun::TransactionId;
use rand_chacha::rand_core::Rng as _;
use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};
use tracing::debug;

impl Agent {
    /// Does this agent look for a route by checks of its own?
    pub(super) fn is_checking(&self) -> bool {
        let is_selected =
            self.selection.as_ref().is_some_and(|selection| selection.generation == self.current.number);
        !self.is_over() && self.role == Role::Controlling && self.faces(Mode::Lite) && !is_selected
    }

    /// RFC 8445 §6.1.2.2: pairs each local with each remote candidate, and keeps the best.
    pub(super) fn form_pairs(&mut self) {
        if !self.is_checking() || self.checklist.is_formed {
            return;
        }
        self.checklist.is_formed = true;
        let known: BTreeSet<Route> = self.checklist.pairs.iter().map(|pair| pair.route).collect();
        for local in &self.bases {
            for remote in &self.remote_candidates {
                let Some(address) = remote.udp_address() else {
                    continue;
                };
                let route = Route { local: local.address, remote: address };
                if can_pair(route.local, route.remote) && !known.contains(&route) {
                    self.checklist.pairs.push(Pair {
                        route,
                        priority: pair_priority(local.priority, remote.priority),
                        check_priority: peer_reflexive_priority(local.priority),
                        rounds: 0,
                        round_trip: None,
                        state: PairState::Waiting,
                    });
                }
            }
        }
        self.checklist.pairs.sort_by_key(|pair| (std::cmp::Reverse(pair.priority), pair.route));
        self.checklist.pairs.truncate(self.config.max_pairs);
    }

    /// Sends what is due: repetitions, the nomination, and the next new check.
    pub(super) fn drive_checks(&mut self, now: Instant) {
        if !self.is_checking() {
            return;
        }
        self.repeat_checks(now);
        if let Some(index) = self.checklist.next_nomination(now) {
            self.start_check(now, index, true);
        }
        if self.checklist.next_start().is_some_and(|start| start.is_none_or(|start| start <= now))
            && let Some(index) = self.checklist.next_waiting()
        {
            self.checklist.next_start_at = Some(now + self.config.pacing);
            self.start_check(now, index, false);
        }
    }

    /// W3C webrtc-pc §5.6.4: also "disconnected" is who found no connection with the candidates that there are, "but it is
    /// still gathering and/or waiting for additional remote candidates". The checks go on all the same.
    pub(super) fn judge_search(&mut self) {
        if !self.is_checking() || self.selection.is_some() {
            return;
        }
        let has_all = self.local_gathering_complete && self.remote_gathering_complete;
        match (self.state, self.checklist.is_exhausted()) {
            (State::Checking, true) if !has_all => {
                self.set_state(State::Disconnected, "no pair gave an answer, and more may come");
            }
            (State::Disconnected, false) => self.set_state(State::Checking, "there is another pair"),
            _ => {}
        }
    }

    /// An authenticated answer to a check over `route` came.
    pub(super) fn on_check_answered(&mut self, now: Instant, index: usize) {
        let delay = self.config.nomination_delay;
        let Some(pair) = self.checklist.pairs.get_mut(index) else {
            return;
        };
        let route = pair.route;
        let PairState::InProgress(transaction) = std::mem::replace(&mut pair.state, PairState::Succeeded)
        else {
            return;
        };
        debug!(%route, nominated = transaction.use_candidate, "check succeeded");
        // Karn: an answer to a repeated request does not tell to which transmission.
        if transaction.transmissions == 1 {
            let sample = now.saturating_duration_since(transaction.sent);
            pair.round_trip = Some(sample);
            self.ledger.round_trip(route, sample);
        }
        let round_trip = pair.round_trip;
        self.on_validated(now, route, self.current.number);
        if transaction.use_candidate {
            // RFC 8445 §7.2.5.3.4: the nominated flag is set by the success of a check with USE-CANDIDATE.
            self.select(now, route, self.current.number);
            round_trip.into_iter().for_each(|sample| self.on_round_trip(sample));
        } else {
            self.checklist.nominate_at.get_or_insert(now + delay);
        }
    }

    fn start_check(&mut self, now: Instant, index: usize, use_candidate: bool) {
        let timeout = self.checklist.retransmission_timeout(&self.config);
        let mut id = TransactionId::default();
        self.rng.fill_bytes(&mut id);
        let generation = self.current.number;
        let Some(pair) = self.checklist.pairs.get_mut(index) else {
            return;
        };
        let (route, priority) = (pair.route, pair.check_priority);
        let repeat_at = now + timeout;
        pair.state = PairState::InProgress(Transaction {
            id,
            use_candidate,
            sent: now,
            transmissions: 1,
            timeout,
            repeat_at,
        });
        self.ledger.check_started(route);
        let purpose = Purpose::Check { use_candidate, is_repeated: false };
        self.enqueue(Outgoing::Request { route, generation, id, priority, purpose });
    }

    /// RFC 8489 §6.2.1: an unanswered request is repeated, then given up; its pair gets another turn after the others.
    fn repeat_checks(&mut self, now: Instant) {
        let generation = self.current.number;
        let max_timeout = self.config.retransmission_timeout_max;
        let mut requests = Vec::new();
        for pair in &mut self.checklist.pairs {
            let (route, priority) = (pair.route, pair.check_priority);
            let PairState::InProgress(transaction) = &mut pair.state else {
                continue;
            };
            if transaction.repeat_at > now {
                continue;
            }
            if transaction.transmissions >= MAX_TRANSMISSIONS {
                debug!(%route, "no answer to a check");
                pair.rounds += 1;
                pair.state = PairState::Waiting;
                continue;
            }
            transaction.transmissions += 1;
            transaction.timeout = (transaction.timeout * 2).min(max_timeout);
            transaction.repeat_at = now + transaction.timeout;
            let Transaction { id, use_candidate, .. } = *transaction;
            let purpose = Purpose::Check { use_candidate, is_repeated: true };
            requests.push(Outgoing::Request { route, generation, id, priority, purpose });
        }
        requests.into_iter().for_each(|request| self.enqueue(request));
    }
}

/// The pairs, best first, and when something is to be done about them.
#[derive(Debug, Default)]
pub(super) struct Checklist {
    pairs: Vec<Pair>,
    /// No candidate has come since the pairs were formed.
    is_formed: bool,
    /// RFC 8445 §14.2: the earliest time for the first request to another pair.
    next_start_at: Option<Instant>,
    /// From when on a valid pair does not wait for a better one.
    nominate_at: Option<Instant>,
}

impl Checklist {
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// There is another candidate.
    pub(super) fn extend(&mut self) {
        self.is_formed = false;
    }

    /// All pairs, with how far each is.
    pub(super) fn states(&self) -> impl Iterator<Item = (Route, CandidatePairState)> {
        self.pairs.iter().map(|pair| {
            let state = match pair.state {
                PairState::Waiting => CandidatePairState::Waiting,
                PairState::InProgress(_) => CandidatePairState::InProgress,
                PairState::Succeeded => CandidatePairState::Succeeded,
            };
            (pair.route, state)
        })
    }

    pub(super) fn is_empty(&self) -> bool {
        self.pairs.is_empty()
    }

    /// Was every pair given up once, and did none answer?
    fn is_exhausted(&self) -> bool {
        let is_hopeless = |pair: &Pair| {
            let is_answered = match &pair.state {
                PairState::Waiting => false,
                PairState::InProgress(transaction) => transaction.use_candidate,
                PairState::Succeeded => true,
            };
            pair.rounds > 0 && !is_answered
        };
        !self.pairs.is_empty() && self.pairs.iter().all(is_hopeless)
    }

    /// The pair whose live request has this id.
    pub(super) fn find(&self, id: TransactionId) -> Option<(usize, Route)> {
        let is_live =
            |pair: &Pair| matches!(&pair.state, PairState::InProgress(transaction) if transaction.id == id);
        let index = self.pairs.iter().position(is_live)?;
        Some((index, self.pairs.get(index)?.route))
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        let repeats = self.pairs.iter().filter_map(|pair| match &pair.state {
            PairState::InProgress(transaction) => Some(transaction.repeat_at),
            PairState::Waiting | PairState::Succeeded => None,
        });
        let nomination = if self.may_nominate() { self.nominate_at } else { None };
        repeats.chain(self.next_start().flatten()).chain(nomination).min()
    }

    /// When the next pair may be checked: `None` if none is to be, `Some(None)` at once.
    fn next_start(&self) -> Option<Option<Instant>> {
        // Nothing else is tried while a nomination may be answered at once.
        let is_settled = self.nomination().is_some_and(|transaction| transaction.transmissions == 1);
        self.next_waiting().filter(|_| !is_settled).map(|_| self.next_start_at)
    }

    /// The pair tried least often, the best of those.
    fn next_waiting(&self) -> Option<usize> {
        let waiting = self.pairs.iter().enumerate().filter(|(_, pair)| pair.state == PairState::Waiting);
        waiting.min_by_key(|(_, pair)| pair.rounds).map(|(index, _)| index)
    }

    /// Is there a valid pair and none under nomination?
    fn may_nominate(&self) -> bool {
        self.nomination().is_none() && self.best_valid().is_some()
    }

    fn nomination(&self) -> Option<&Transaction> {
        self.pairs.iter().find_map(|pair| match &pair.state {
            PairState::InProgress(transaction) => {
                Some(transaction).filter(|transaction| transaction.use_candidate)
            }
            PairState::Waiting | PairState::Succeeded => None,
        })
    }

    fn best_valid(&self) -> Option<usize> {
        self.pairs.iter().position(|pair| pair.state == PairState::Succeeded)
    }

    /// The pair to nominate now: the best valid one, if every better one has had its chance.
    fn next_nomination(&self, now: Instant) -> Option<usize> {
        let best = self.best_valid().filter(|_| self.may_nominate())?;
        let better_are_hopeless = self.pairs.iter().take(best).all(|pair| pair.rounds > 0);
        let waited = self.nominate_at.is_some_and(|at| at <= now);
        (better_are_hopeless || waited).then_some(best)
    }

    /// RFC 8445 §14.3, with the checks that wait or are in progress as the number of checks.
    fn retransmission_timeout(&self, config: &Config) -> Duration {
        let open = self.pairs.iter().filter(|pair| pair.state != PairState::Succeeded).count();
        let spread = config.pacing.saturating_mul(u32::try_from(open).unwrap_or(u32::MAX));
        config.retransmission_timeout.max(spread)
    }
}

/// A local and a remote candidate.
#[derive(Debug)]
struct Pair {
    route: Route,
    /// RFC 8445 §6.1.2.3.
    priority: u64,
    /// PRIORITY in its checks.
    check_priority: u32,
    /// How often its check was given up.
    rounds: u32,
    /// Of its latest check that was answered at once.
    round_trip: Option<Duration>,
    state: PairState,
}

/// RFC 8445 §6.1.2.6, without Frozen (there is one component) and Failed (a pair that gave no answer waits again).
#[derive(Debug, PartialEq, Eq)]
enum PairState {
    Waiting,
    InProgress(Transaction),
    Succeeded,
}

/// A request under way (RFC 8489 §6.2.1).
#[derive(Debug, PartialEq, Eq)]
struct Transaction {
    id: TransactionId,
    use_candidate: bool,
    sent: Instant,
    transmissions: u32,
    timeout: Duration,
    repeat_at: Instant,
}

/// Addresses that can reach each other at all: of one family (RFC 8445 §6.1.2.2), and loopback or IPv6 link-local only
/// with their like.
fn can_pair(local: SocketAddr, remote: SocketAddr) -> bool {
    let is_link_local = |ip: IpAddr| matches!(ip, IpAddr::V6(v6) if v6.is_unicast_link_local());
    let (local, remote) = (local.ip(), remote.ip());
    local.is_ipv4() == remote.is_ipv4()
        && local.is_loopback() == remote.is_loopback()
        && is_link_local(local) == is_link_local(remote)
}

/// RFC 8445 §6.1.2.3: "pair priority = 2^32*MIN(G,D) + 2*MAX(G,D) + (G>D?1:0)"; the one that computes is controlling.
fn pair_priority(controlling: u32, controlled: u32) -> u64 {
    let (min, max) = (controlling.min(controlled), controlling.max(controlled));
    // Priorities beyond the 2^31 - 1 of RFC 8839 §5.1 would not fit.
    (u64::from(min) << 32).saturating_add(2 * u64::from(max) + u64::from(controlling > controlled))
}

/// RFC 8489 §6.2.1: Rc.
const MAX_TRANSMISSIONS: u32 = 7;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pair_priorities_are_unique_per_order() {
        assert_eq!(pair_priority(1, 2), (1 << 32) + 4);
        assert_eq!(pair_priority(2, 1), (1 << 32) + 5);
        assert_eq!(pair_priority(u32::MAX, u32::MAX), u64::MAX);
    }

    #[test]
    fn only_addresses_that_can_meet_are_paired() {
        let can = |local: &str, remote: &str| can_pair(local.parse().unwrap(), remote.parse().unwrap());
        assert!(can("192.0.2.1:1", "198.51.100.1:1"));
        assert!(can("127.0.0.1:1", "127.0.0.2:1"));
        assert!(can("[2001:db8::1]:1", "[2001:db8::2]:1"));
        assert!(can("[fe80::1]:1", "[fe80::2]:1"));
        assert!(!can("192.0.2.1:1", "[2001:db8::1]:1"));
        assert!(!can("192.0.2.1:1", "127.0.0.1:1"));
        assert!(!can("[::1]:1", "[2001:db8::1]:1"));
        assert!(!can("[2001:db8::1]:1", "[fe80::1]:1"));
    }

    /// Whoever sends datagrams does not make the agent look through its candidates for each.
    #[test]
    fn pairs_are_formed_when_a_candidate_comes() {
        let now = Instant::now();
        let mut agent = Agent::new(Config::default(), [1; 32], now);
        let peer = Agent::new(Config::default(), [2; 32], now);
        agent.set_role(now, Role::Controlling);
        agent.set_remote_credentials(now, peer.local_credentials().clone(), Mode::Lite);
        let candidate = |port: u16| format!("1 1 udp 1 192.0.2.2 {port} typ host").parse().unwrap();
        agent.add_local_candidate(now, ([192, 0, 2, 1], 1).into());
        agent.add_remote_candidate(now, candidate(1)).unwrap();
        assert_eq!(agent.checklist.pairs.len(), 1);
        agent.checklist.pairs.clear();
        let route = Route { local: ([192, 0, 2, 1], 1).into(), remote: ([192, 0, 2, 3], 1).into() };
        agent.handle_datagram(now, route, &[0; 20]);
        agent.handle_timeout(now);
        assert_eq!(agent.checklist.pairs.len(), 0);
        agent.add_remote_candidate(now, candidate(2)).unwrap();
        assert_eq!(agent.checklist.pairs.len(), 2);
        agent.add_local_candidate(now, ([192, 0, 2, 4], 1).into());
        assert_eq!(agent.checklist.pairs.len(), 4);
    }
}
