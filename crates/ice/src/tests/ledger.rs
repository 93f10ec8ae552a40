//! What is counted of pairs, and told of them and of candidates.

use super::support::*;
use crate::{Agent, CandidateKind, CandidatePair, CandidatePairState, PairCounters, Traffic};
use std::time::Duration;
use straits_sim::{Conditions, Pair, Simulation as _, Verdict, seed};

fn delayed() -> Conditions {
    Conditions { delay: ms(10), ..Conditions::default() }
}

fn only_pair(agent: &Agent) -> CandidatePair {
    let [pair] = agent.candidate_pairs()[..] else { panic!("{:?}", agent.candidate_pairs()) };
    pair
}

/// Address, whether it was signalled, whether it is reflexive.
fn remotes(agent: &Agent) -> Vec<(Option<std::net::SocketAddr>, bool, bool)> {
    let known = agent.known_remote_candidates();
    known.map(|known| (known.candidate.udp_address(), known.is_signalled, known.is_reflexive)).collect()
}

#[test]
fn checks_and_round_trips_are_counted_at_both_ends() {
    let mut net = connected(delayed(), seed());
    let (a, b) = (only_pair(&net.a.agent), only_pair(&net.b.agent));
    assert_eq!((a.route, b.route), (route(A[1], B[1]), route(B[1], A[1])));
    for pair in [a, b] {
        assert_eq!((pair.state, pair.is_nominated), (CandidatePairState::Succeeded, true));
    }
    // A check and its nomination, each answered after 20 ms; and with the last answer the other end asked for consent.
    let expected = PairCounters {
        requests_sent: 2,
        requests_received: 1,
        responses_sent: 1,
        responses_received: 2,
        round_trips: 2,
        total_round_trip_time: ms(40),
        current_round_trip_time: Some(ms(20)),
        ..PairCounters::default()
    };
    assert_eq!(a.counters, expected);
    let expected =
        PairCounters { requests_received: 2, responses_sent: 2, consent_requests_sent: 1, ..b.counters };
    assert_eq!((b.counters, b.counters.requests_sent), (expected, 0));

    net.run_for(secs(60));
    let (a, b) = (only_pair(&net.a.agent).counters, only_pair(&net.b.agent).counters);
    assert!(a.consent_requests_sent >= 10 && b.consent_requests_sent >= 10, "{a:?} {b:?}");
    assert_eq!((a.requests_sent, b.requests_sent), (2, 0));
    for (here, there) in [(a, b), (b, a)] {
        let sent = here.requests_sent + here.consent_requests_sent;
        assert_eq!((sent, here.responses_received), (there.requests_received, there.responses_sent));
        assert_eq!(here.round_trips, here.responses_received);
        assert_eq!(Some(here.total_round_trip_time), ms(20).checked_mul(here.round_trips as u32));
    }
    assert_eq!((net.a.agent.selected_pair_changes(), net.b.agent.selected_pair_changes()), (1, 1));
}

/// An answer to a repeated request does not tell which one it answers (Karn).
#[test]
fn repeated_checks_count_once_and_measure_nothing() {
    let mut net = unsignalled(delayed(), seed());
    net.a_to_b.drop_next(3);
    signal(&mut net);
    net.run_until(secs(5), both_connected);
    assert!(net.a.agent.stats().requests_sent > 3);
    let pairs = net.a.agent.candidate_pairs();
    let sum = |count: fn(&PairCounters) -> u64| pairs.iter().map(|pair| count(&pair.counters)).sum::<u64>();
    assert!(sum(|counters| counters.requests_sent) < net.a.agent.stats().requests_sent);
    assert_eq!(sum(|counters| counters.responses_received), net.a.agent.stats().responses_received);
    assert!(sum(|counters| counters.round_trips) < sum(|counters| counters.responses_received));
}

/// RFC 8445 §8.1.2: with a nominated pair, the others are not waited for.
#[test]
fn pairs_under_way_are_told_until_one_is_nominated() {
    let mut net = unsignalled(Conditions { delay: ms(200), ..Conditions::default() }, seed());
    signal(&mut net);
    let states = |net: &Pair<Node>| {
        let pairs = net.a.agent.candidate_pairs();
        pairs.iter().map(|pair| (pair.route, pair.state)).collect::<Vec<_>>()
    };
    use CandidatePairState::{InProgress, Waiting};
    assert_eq!(states(&net), [(route(A[1], B[1]), InProgress), (route(A[0], B[0]), Waiting)]);
    net.run_for(ms(60));
    assert_eq!(states(&net), [(route(A[1], B[1]), InProgress), (route(A[0], B[0]), InProgress)]);
    net.run_until(secs(5), both_connected);
    assert!(states(&net).iter().all(|(_, state)| *state == CandidatePairState::Succeeded));
}

#[test]
fn pairs_without_an_answer_have_failed_with_the_agent() {
    let mut net = unsignalled(delayed(), seed());
    net.a_to_b.set_filter(|_, _| Verdict::Drop);
    signal(&mut net);
    net.run_for(Duration::from_secs(120));
    assert!(net.a.agent.failure_reason().is_some());
    let states: Vec<_> = net.a.agent.candidate_pairs().iter().map(|pair| pair.state).collect();
    assert_eq!(states, [CandidatePairState::Failed; 2]);
    assert_eq!(net.a.agent.selected_pair_changes(), 0);
}

#[test]
fn traffic_is_counted_by_pair_and_altogether() {
    let mut net = connected(delayed(), seed());
    let (now, agent) = (net.now(), &mut net.a.agent);
    let (selected, other) = (agent.selected().unwrap(), route(A[0], B[1]));
    agent.record_sent(now, selected, 3, 3000);
    agent.record_discarded(selected, 1, 1000);
    agent.record_received(now + ms(5), selected, 100);
    // Nothing was checked over this one: there is no pair to count it for.
    agent.record_received(now + ms(9), other, 1);
    let traffic = Traffic {
        packets_sent: 3,
        bytes_sent: 3000,
        packets_received: 1,
        bytes_received: 100,
        packets_discarded: 1,
        bytes_discarded: 1000,
        last_sent: Some(now),
        last_received: Some(now + ms(5)),
    };
    assert_eq!(only_pair(agent).counters.traffic, traffic);
    let last_received = Some(now + ms(9));
    assert_eq!(
        agent.traffic(),
        Traffic { packets_received: 2, bytes_received: 101, last_received, ..traffic }
    );
    agent.close(now);
    assert_eq!(only_pair(agent).counters.traffic, traffic);
    assert_eq!((agent.selected(), agent.selected_pair_changes()), (None, 2));
}

#[test]
fn a_reflexive_candidate_stays_one_when_it_is_signalled() {
    let mut peer = FullPeer::new();
    let (mut agent, now) = lite_with_full(&peer);
    let (_, request) = peer.request(&agent.local_credentials().clone(), false);
    agent.handle_datagram(now, route(A[0], B[0]), &request);
    assert_eq!(remotes(&agent), [(Some(address(B[0])), false, true)]);
    for text in ["1 1 udp 5 192.0.2.2 6000 typ host", "2 1 udp 4 192.0.2.2 6001 typ host"] {
        agent.add_remote_candidate(now, text.parse().unwrap()).unwrap();
    }
    let [first, second] = [6000, 6001].map(|port| Some((address(B[0]).ip(), port).into()));
    assert_eq!(remotes(&agent), [(first, true, true), (second, true, false)]);
    assert_eq!(agent.remote_candidates()[0].kind, CandidateKind::Host);
}

/// What is in use can be told of, also while the next generation looks for another pair.
#[test]
fn a_restart_keeps_the_pair_in_use_until_another_is_selected() {
    let mut net = connected(delayed(), seed());
    let old = net.a.agent.selected().unwrap();
    let now = net.now();
    net.a.restart(now);
    assert_eq!(only_pair(&net.a.agent).route, old);
    assert_eq!(remotes(&net.a.agent), [(Some(old.remote), true, false)]);
    net.a.agent.record_sent(now, old, 1, 10);

    let is_ipv6 = |_, datagram: &straits_sim::Datagram| match datagram.destination.is_ipv6() {
        true => Verdict::Drop,
        false => Verdict::Pass,
    };
    net.a_to_b.set_filter(is_ipv6);
    net.b_to_a.set_filter(is_ipv6);
    let now = net.now();
    net.b.restart(now);
    signal(&mut net);
    net.run_until(secs(30), |net| net.a.agent.selected() == Some(route(A[0], B[0])));
    assert_eq!(only_pair(&net.a.agent).route, route(A[0], B[0]));
    assert_eq!(remotes(&net.a.agent).len(), 2);
    assert_eq!(net.a.agent.selected_pair_changes(), 2);
    assert_eq!(net.a.agent.traffic().bytes_sent, 10);
}
