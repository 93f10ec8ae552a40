//! What is counted of each pair of addresses, and what is told of pairs and candidates.

use super::{Agent, Route};
use crate::Candidate;
use crate::candidate::CandidateKind;
use std::fmt;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// A pair of candidates with its counters: what `RTCIceCandidatePairStats` of W3C webrtc-stats is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CandidatePair {
    /// The addresses of the two candidates.
    pub route: Route,
    /// How far its check is.
    pub state: CandidatePairState,
    /// Was it nominated, by us or by the peer?
    pub is_nominated: bool,
    /// Its checks and its traffic.
    pub counters: PairCounters,
}

/// RFC 8445 §6.1.2.6, without Frozen: there is one component, and nothing to wait for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CandidatePairState {
    /// Its check is to come, the first one or another one after no answer.
    #[default]
    Waiting,
    /// A check is under way.
    InProgress,
    /// Something authenticated came over it: an answer, or a check of the peer. (A lite agent that is checked has no
    /// checklist; its pairs are those over which it was checked.)
    Succeeded,
    /// The agent failed before an answer came.
    Failed,
}

/// `RTCStatsIceCandidatePairState` of W3C webrtc-stats.
impl fmt::Display for CandidatePairState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Waiting => "waiting",
            Self::InProgress => "in-progress",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
        })
    }
}

/// Counters of one pair, since the agent met it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PairCounters {
    /// Connectivity checks sent, without retransmissions and without requests for consent.
    pub requests_sent: u64,
    /// Requests for consent sent (RFC 7675).
    pub consent_requests_sent: u64,
    /// Authenticated requests of the peer, retransmissions and requests for consent included.
    pub requests_received: u64,
    /// Responses sent, error responses included.
    pub responses_sent: u64,
    /// Authenticated responses to requests of both kinds.
    pub responses_received: u64,
    /// Round trips measured. Fewer than responses where a request was sent more than once: which one was answered is
    /// not known then.
    pub round_trips: u64,
    /// The sum of all round trips measured.
    pub total_round_trip_time: Duration,
    /// The latest one.
    pub current_round_trip_time: Option<Duration>,
    /// Datagrams and bytes that went over it for the owner, STUN not counted.
    pub traffic: Traffic,
}

/// Datagrams of the layers above ICE.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Traffic {
    /// Datagrams sent.
    pub packets_sent: u64,
    /// Bytes in them.
    pub bytes_sent: u64,
    /// Datagrams received.
    pub packets_received: u64,
    /// Bytes in them.
    pub bytes_received: u64,
    /// Datagrams that the socket refused.
    pub packets_discarded: u64,
    /// Bytes in them.
    pub bytes_discarded: u64,
    /// When the latest was sent.
    pub last_sent: Option<Instant>,
    /// When the latest was received.
    pub last_received: Option<Instant>,
}

/// A candidate of the peer, and how it became known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RemoteCandidate<'a> {
    /// The candidate: as it was signalled, or made up of what a check told.
    pub candidate: &'a Candidate,
    /// Did the peer signal it? If not, its address was only seen on the network.
    pub is_signalled: bool,
    /// Was it seen on the network before it was signalled? Then it is peer-reflexive to W3C webrtc-stats for good.
    pub is_reflexive: bool,
}

impl Agent {
    /// The pairs of this generation, and the one that is still in use of the generation before. They stay when the agent
    /// has failed or was closed.
    pub fn candidate_pairs(&self) -> Vec<CandidatePair> {
        let mut pairs: Vec<CandidatePair> = self.ledger.entries.iter().map(Entry::told).collect();
        for (route, state) in self.checklist.states() {
            match pairs.iter_mut().find(|pair| pair.route == route) {
                Some(pair) if pair.state == CandidatePairState::Succeeded => {}
                Some(pair) => pair.state = state,
                None => pairs.push(Entry { state, ..Entry::new(route) }.told()),
            }
        }
        pairs
    }

    /// What all pairs carried together, also those that are forgotten.
    pub fn traffic(&self) -> Traffic {
        self.ledger.total
    }

    /// How often another route was selected; losing the selected one counts too.
    pub fn selected_pair_changes(&self) -> u64 {
        self.ledger.selected_pair_changes
    }

    /// Our candidate that stands for this address of ours, the local end of a route.
    pub fn local_candidate(&self, address: SocketAddr) -> Option<&Candidate> {
        let announced = self.bases.iter().find(|base| base.address == address)?.announced;
        self.local_candidates.iter().find(|candidate| candidate.udp_address() == Some(announced))
    }

    /// The candidates of the peer that [`remote_candidates`](Self::remote_candidates) has, and that of the selected route
    /// of the generation before.
    pub fn known_remote_candidates(&self) -> impl Iterator<Item = RemoteCandidate<'_>> {
        let is_in_use = self.previous.is_some();
        let retired = self.ledger.retired.iter().filter(move |_| is_in_use);
        let current = self.remote_candidates.iter().map(|candidate| RemoteCandidate {
            candidate,
            is_signalled: candidate.kind != CandidateKind::PeerReflexive,
            is_reflexive: self.is_reflexive(candidate),
        });
        let is_known = |one: &Candidate| one.udp_address().is_some_and(|address| self.knows_remote(address));
        current.chain(retired.filter(move |(one, _)| !is_known(one)).map(|(candidate, is_reflexive)| {
            RemoteCandidate {
                candidate,
                is_signalled: candidate.kind != CandidateKind::PeerReflexive,
                is_reflexive: *is_reflexive,
            }
        }))
    }

    /// The owner sent datagrams of `bytes` altogether over `route`.
    pub fn record_sent(&mut self, now: Instant, route: Route, packets: usize, bytes: usize) {
        self.ledger.count(route, |traffic| {
            traffic.packets_sent += packets as u64;
            traffic.bytes_sent += bytes as u64;
            traffic.last_sent = Some(now);
        });
    }

    /// The owner took a datagram that came over `route`.
    pub fn record_received(&mut self, now: Instant, route: Route, bytes: usize) {
        self.ledger.count(route, |traffic| {
            traffic.packets_received += 1;
            traffic.bytes_received += bytes as u64;
            traffic.last_received = Some(now);
        });
    }

    /// The socket refused datagrams for `route` that were counted as sent.
    pub fn record_discarded(&mut self, route: Route, packets: usize, bytes: usize) {
        self.ledger.count(route, |traffic| {
            traffic.packets_discarded += packets as u64;
            traffic.bytes_discarded += bytes as u64;
        });
    }

    fn is_reflexive(&self, candidate: &Candidate) -> bool {
        candidate.kind == CandidateKind::PeerReflexive
            || candidate.udp_address().is_some_and(|address| self.ledger.reflexive.contains(&address))
    }

    /// At a restart: the peer's candidates are about to be forgotten, but one may stay in use.
    pub(super) fn retire_remote_candidates(&mut self) {
        if let Some(route) = self.selected() {
            let in_use =
                self.remote_candidates.iter().find(|known| known.udp_address() == Some(route.remote));
            let retired = in_use.map(|candidate| (candidate.clone(), self.is_reflexive(candidate)));
            self.ledger.retired = retired.or(self.ledger.retired.take());
        }
        self.ledger.reflexive.clear();
    }
}

/// The counters of all pairs. Entries are few, and the one that data goes over is found first.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    entries: Vec<Entry>,
    /// Where the last traffic was counted.
    latest: usize,
    total: Traffic,
    selected_pair_changes: u64,
    /// Addresses of the peer that were seen before they were signalled, at most [`MAX_ENTRIES`].
    reflexive: Vec<SocketAddr>,
    /// The peer's candidate of the route that was selected before a restart, and whether it is reflexive.
    retired: Option<(Candidate, bool)>,
}

#[derive(Debug)]
struct Entry {
    route: Route,
    state: CandidatePairState,
    /// The latest generation in which it succeeded.
    succeeded_in: Option<u32>,
    is_nominated: bool,
    counters: PairCounters,
}

impl Entry {
    fn new(route: Route) -> Self {
        Self {
            route,
            state: CandidatePairState::default(),
            succeeded_in: None,
            is_nominated: false,
            counters: PairCounters::default(),
        }
    }

    fn told(&self) -> CandidatePair {
        let Self { route, state, is_nominated, counters, .. } = *self;
        CandidatePair { route, state, is_nominated, counters }
    }
}

impl Ledger {
    /// The counters of a pair that is checked.
    pub(super) fn of(&mut self, route: Route) -> &mut PairCounters {
        &mut self.entry(route).counters
    }

    pub(super) fn check_started(&mut self, route: Route) {
        let entry = self.entry(route);
        if entry.state != CandidatePairState::Succeeded {
            entry.state = CandidatePairState::InProgress;
        }
    }

    pub(super) fn validated(&mut self, route: Route, generation: u32) {
        let entry = self.entry(route);
        entry.state = CandidatePairState::Succeeded;
        entry.succeeded_in = entry.succeeded_in.max(Some(generation));
    }

    pub(super) fn round_trip(&mut self, route: Route, sample: Duration) {
        let counters = self.of(route);
        counters.round_trips += 1;
        counters.total_round_trip_time += sample;
        counters.current_round_trip_time = Some(sample);
    }

    pub(super) fn nominated(&mut self, route: Route) {
        self.entry(route).is_nominated = true;
    }

    /// Another route is selected, or none any more.
    pub(super) fn selection_changed(&mut self) {
        self.selected_pair_changes += 1;
    }

    /// RFC 8445 §8.1.2: with a nominated pair of this generation, what has not succeeded is removed, and so is what was
    /// before the generation.
    pub(super) fn conclude(&mut self, generation: u32) {
        self.retain(|entry| entry.succeeded_in == Some(generation));
        self.retired = None;
    }

    /// Nothing is waited for any more.
    pub(super) fn give_up(&mut self) {
        for entry in &mut self.entries {
            if entry.state != CandidatePairState::Succeeded {
                entry.state = CandidatePairState::Failed;
            }
        }
    }

    pub(super) fn forget(&mut self, route: Route) {
        self.retain(|entry| entry.route != route);
    }

    /// RFC 8445 §7.3.1.3: an address that a check came from and that was not signalled.
    pub(super) fn learnt(&mut self, remote: SocketAddr) {
        if !self.reflexive.contains(&remote) {
            if self.reflexive.len() >= MAX_ENTRIES {
                self.reflexive.remove(0);
            }
            self.reflexive.push(remote);
        }
    }

    /// The counters of a pair, unless it is forgotten.
    pub(super) fn get_mut(&mut self, route: Route) -> Option<&mut PairCounters> {
        self.entries.iter_mut().find(|entry| entry.route == route).map(|entry| &mut entry.counters)
    }

    /// Once or twice per datagram: as a rule it is the pair of the last time.
    fn count(&mut self, route: Route, count: impl Fn(&mut Traffic)) {
        count(&mut self.total);
        if self.entries.get(self.latest).is_none_or(|entry| entry.route != route) {
            let Some(index) = self.entries.iter().position(|entry| entry.route == route) else { return };
            self.latest = index;
        }
        if let Some(entry) = self.entries.get_mut(self.latest) {
            count(&mut entry.counters.traffic);
        }
    }

    fn entry(&mut self, route: Route) -> &mut Entry {
        let known = self.entries.iter().position(|entry| entry.route == route);
        let index = known.unwrap_or_else(|| {
            if self.entries.len() >= MAX_ENTRIES {
                let unused = self.entries.iter().position(|entry| !entry.is_nominated);
                self.entries.remove(unused.unwrap_or(0));
                self.latest = 0;
            }
            self.entries.push(Entry::new(route));
            self.entries.len() - 1
        });
        &mut self.entries[index]
    }

    fn retain(&mut self, keep: impl Fn(&Entry) -> bool) {
        self.entries.retain(keep);
        self.latest = 0;
    }
}

/// As many as a checklist or the table of routes has by default.
const MAX_ENTRIES: usize = 200;
