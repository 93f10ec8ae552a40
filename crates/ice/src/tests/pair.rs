//! Two lite agents over the virtual network.

use super::support::*;
use crate::stun::{Class, Scanned};
use crate::{Candidate, Config, Event, FailureReason, Mode, Role, Route, State};
use proptest::prelude::*;
use std::time::Duration;
use straits_sim::{Burst, Conditions, Fate, Loss, Pair, Simulation as _, seed};

fn delayed(delay: Duration) -> Conditions {
    Conditions { delay, ..Conditions::default() }
}

fn rough(loss: f64) -> Conditions {
    Conditions {
        delay: ms(40),
        jitter: ms(10),
        loss: Loss::Random(loss),
        duplicate: 0.1,
        reorder: 0.1,
        reorder_by: ms(60),
        ..Conditions::default()
    }
}

#[test]
fn events_of_both_ends_in_order() {
    let mut net = unsignalled(delayed(ms(10)), seed());
    let a_candidates: Vec<Candidate> = net.a.agent.local_candidates().to_vec();
    let gathered = |candidates: Vec<Candidate>| {
        let mut events: Vec<Event> = candidates.into_iter().map(Event::LocalCandidate).collect();
        events.push(Event::GatheringComplete);
        events
    };
    assert_eq!(net.a.take_events(), gathered(a_candidates));
    net.b.take_events();
    signal(&mut net);
    assert_eq!(net.a.take_events(), [Event::StateChanged(State::Checking)]);
    net.run_until(secs(5), both_connected);
    // One round trip for the check of the best pair, one for its nomination.
    assert_eq!(net.elapsed(), ms(40));
    let over = |local: &str, remote: &str| {
        let route = route(local, remote);
        [Event::RouteAdded(route), Event::RouteSelected(route), Event::StateChanged(State::Connected)]
    };
    assert_eq!(net.a.take_events(), over(A[1], B[1]));
    let mut expected = vec![Event::StateChanged(State::Checking)];
    expected.extend(over(B[1], A[1]));
    assert_eq!(net.b.take_events(), expected);
    net.run_for(secs(1));
    assert_eq!((net.a.agent.round_trip_time(), net.b.agent.round_trip_time()), (Some(ms(20)), Some(ms(20))));
    // The rest of a healthy connection is silent for its owners.
    net.run_for(secs(600));
    assert_eq!((net.a.take_events(), net.b.take_events()), (vec![], vec![]));
}

#[test]
fn same_seed_same_datagrams() {
    let run = |seed| {
        let mut net = unsignalled(rough(0.2), seed);
        signal(&mut net);
        net.run_for(secs(20));
        net.trace().iter().map(|record| (record.sent, record.datagram.clone())).collect::<Vec<_>>()
    };
    assert_eq!(run(1), run(1));
    assert_ne!(run(1), run(2));
}

/// DESIGN §6.1 under loss, reordering and duplication: connected, on one route, and never flapping.
fn connects_and_stays(loss: f64, limit: Duration) {
    let first = seed();
    for seed in first..first + 30 {
        let mut net = unsignalled(rough(loss), seed);
        signal(&mut net);
        net.run_until(limit, both_connected);
        net.run_for(secs(60));
        let (a, b) = (net.a.agent.selected().unwrap(), net.b.agent.selected().unwrap());
        assert_eq!((a.local, a.remote), (b.remote, b.local), "seed {seed}");
        assert_eq!(net.a.agent.failure_reason(), None);
        let states = |node: &Node| node.states().into_iter().map(|(_, state)| state).collect::<Vec<_>>();
        let usual = [State::Checking, State::Connected];
        assert_eq!((&states(&net.a)[..], &states(&net.b)[..]), (&usual[..], &usual[..]), "seed {seed}");
    }
}

#[test]
fn connects_and_stays_without_loss() {
    connects_and_stays(0.0, ms(400));
}

#[test]
fn connects_and_stays_with_5_percent_loss() {
    connects_and_stays(0.05, secs(5));
}

#[test]
fn connects_and_stays_with_20_percent_loss() {
    connects_and_stays(0.2, secs(15));
}

/// Bursts of loss of a second and more end in no failure.
#[test]
fn survives_bursty_loss() {
    let first = seed();
    for seed in first..first + 10 {
        let loss = Loss::Bursty(Burst { enter: 0.05, leave: 0.5 });
        let mut net = connected(Conditions { delay: ms(30), loss, ..Conditions::default() }, seed);
        net.run_for(secs(120));
        assert_eq!((net.a.agent.failure_reason(), net.b.agent.failure_reason()), (None, None), "seed {seed}");
    }
}

#[test]
fn corrupted_messages_are_dropped() {
    let mut net = unsignalled(Conditions { delay: ms(10), corrupt: 0.3, ..Conditions::default() }, seed());
    signal(&mut net);
    net.run_until(secs(20), both_connected);
    net.run_for(secs(60));
    for node in [&net.a, &net.b] {
        let stats = node.agent.stats();
        assert!(stats.malformed + stats.unauthenticated > 0, "{stats:?}");
        assert_eq!(node.agent.failure_reason(), None);
    }
}

/// RFC 7675 §5.1, faster: `disconnected` within 5 s, `failed` within 15 s of silence, on both ends, whenever it begins.
#[test]
fn a_vanished_peer_is_noticed() {
    for offset in 0..40 {
        let mut net = connected(delayed(ms(20)), seed() + offset);
        net.run_for(secs(5) + ms(137 * offset));
        let vanished = net.now();
        net.set_blackout(true);
        net.run_for(secs(16));
        for node in [&mut net.a, &mut net.b] {
            let states = node.states();
            let [(disconnected, State::Disconnected), (failed, State::Failed)] = states[..] else {
                panic!("{states:?}");
            };
            assert!(disconnected - vanished <= secs(5), "{:?}", disconnected - vanished);
            assert!(failed - vanished <= secs(15), "{:?}", failed - vanished);
            assert!(failed - vanished >= secs(11), "{:?}", failed - vanished);
            assert_eq!(node.agent.failure_reason(), Some(FailureReason::ConsentExpired));
            assert!(!node.agent.may_send());
            assert_eq!((node.agent.selected(), node.agent.poll_timeout()), (None, None));
            let events: Vec<_> = node.take_events();
            let [_, Event::RouteRemoved(_), Event::StateChanged(State::Failed)] = events[..] else {
                panic!("{events:?}");
            };
        }
        assert_eq!(net.trace().last().map(|record| record.sent < net.elapsed()), Some(true));
    }
}

#[test]
fn a_peer_that_returns_is_connected_again() {
    let mut net = connected(delayed(ms(20)), seed());
    net.set_blackout(true);
    net.run_for(secs(8));
    assert_eq!((net.a.agent.state(), net.b.agent.state()), (State::Disconnected, State::Disconnected));
    assert!(net.a.agent.may_send());
    net.set_blackout(false);
    // The next try is at most half a second away.
    net.run_until(ms(600), both_connected);
    let events = [Event::StateChanged(State::Disconnected), Event::StateChanged(State::Connected)];
    assert_eq!((net.a.take_events(), net.b.take_events()), (events.to_vec(), events.to_vec()));
    net.run_for(secs(60));
    assert_eq!(net.a.take_events(), []);
}

/// One direction is dead: the requests that come are signs of life, but without answers consent ends all the same.
#[test]
fn consent_needs_answers() {
    let mut net = connected(delayed(ms(20)), seed());
    net.run_for(secs(5));
    // Only requests get through to `a`.
    net.b_to_a.set_filter(|_, datagram| {
        let is_request = Scanned::scan(&datagram.payload).unwrap().class == Class::Request;
        if is_request { straits_sim::Verdict::Pass } else { straits_sim::Verdict::Drop }
    });
    let began = net.now();
    net.run_for(secs(16));
    let [(failed, State::Failed)] = net.a.states()[..] else {
        panic!("{:?}", net.a.states());
    };
    assert!((secs(11)..=secs(15)).contains(&(failed - began)), "{:?}", failed - began);
    assert_eq!(net.a.agent.failure_reason(), Some(FailureReason::ConsentExpired));
}

/// RFC 7675 §5.1: "STUN consent responses received after consent expiry do not re-establish consent"
#[test]
fn late_answers_do_not_bring_consent_back() {
    let mut net = connected(delayed(ms(20)), seed());
    net.run_for(secs(5));
    // All that `b` says arrives 15 s late.
    net.b_to_a.conditions.delay = secs(15);
    net.run_for(secs(16));
    assert_eq!(net.a.agent.failure_reason(), Some(FailureReason::ConsentExpired));
    // The same when the owner hands the answer in before it looks at the clock.
    let now = std::time::Instant::now();
    let mut pair = [1, 2].map(|seed| crate::Agent::new(Config::default(), [seed; 32], now));
    let carry = |now, pair: &mut [crate::Agent; 2], from: usize| {
        let mut buffer = bytes::BytesMut::new();
        let Route { local, remote } = pair[from].poll_transmit(now, &mut buffer)?;
        pair[1 - from].handle_datagram(now, Route { local: remote, remote: local }, &buffer);
        Some(())
    };
    let [a, b] = &mut pair;
    a.set_role(now, Role::Controlling);
    a.add_local_candidate(now, address(A[0]));
    b.add_local_candidate(now, address(B[0]));
    signal_one_way(now, b, a);
    signal_one_way(now, a, b);
    while carry(now, &mut pair, 0).or_else(|| carry(now, &mut pair, 1)).is_some() {}
    let later = pair[0].poll_timeout().unwrap();
    pair[0].handle_timeout(later);
    carry(later, &mut pair, 0).unwrap();
    carry(now + secs(14), &mut pair, 1).unwrap();
    pair[0].handle_timeout(now + secs(14));
    assert_eq!(pair[0].failure_reason(), Some(FailureReason::ConsentExpired));
}

/// Application traffic keeps the state up, but does not replace consent.
#[test]
fn traffic_is_a_sign_of_life_but_no_consent() {
    let mut net = connected(delayed(ms(20)), seed());
    net.set_blackout(true);
    for _ in 0..16 {
        net.run_for(secs(1));
        let now = net.now();
        net.a.agent.record_traffic(now);
    }
    assert_eq!(net.a.states().iter().map(|&(_, state)| state).collect::<Vec<_>>(), [State::Failed]);
    assert_eq!(
        net.b.states().iter().map(|&(_, state)| state).collect::<Vec<_>>(),
        [State::Disconnected, State::Failed]
    );
}

/// RFC 7675 §5.1: a new transaction for each check, at varied intervals; unanswered ones come every half second.
#[test]
fn consent_checks_are_paced_and_never_repeated() {
    let mut net = connected(delayed(ms(20)), seed());
    net.wire_mut().clear_trace();
    net.run_for(secs(100));
    let requests = |net: &Pair<Node>| -> Vec<(Duration, [u8; 12])> {
        let from_a = net.trace().iter().filter(|record| record.from == Some(0));
        from_a
            .filter_map(|record| {
                let scanned = Scanned::scan(&record.datagram.payload).unwrap();
                (scanned.class == Class::Request).then_some((record.sent, scanned.transaction_id))
            })
            .collect()
    };
    let sent = requests(&net);
    let gaps: Vec<_> = sent.windows(2).map(|two| two[1].0 - two[0].0).collect();
    assert!(gaps.iter().all(|gap| (ms(1600)..=ms(2400)).contains(gap)), "{gaps:?}");
    assert!(gaps.iter().min() < gaps.iter().max());
    net.wire_mut().clear_trace();
    net.set_blackout(true);
    net.run_for(secs(10));
    let unanswered = requests(&net);
    let gaps: Vec<_> = unanswered.windows(2).map(|two| two[1].0 - two[0].0).collect();
    assert!(gaps.len() >= 14 && gaps.iter().all(|&gap| gap == ms(500)), "{gaps:?}");
    let mut ids: Vec<_> = sent.iter().chain(&unanswered).map(|&(_, id)| id).collect();
    let count = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), count);
}

#[test]
fn answers_to_earlier_consent_checks_count() {
    // The way takes longer than the time after which another check follows.
    let mut net = connected(delayed(ms(700)), seed());
    net.run_for(secs(120));
    assert_eq!((net.a.take_events(), net.b.take_events()), (vec![], vec![]));
    assert_eq!(net.a.agent.round_trip_time(), Some(ms(1400)));
}

/// RFC 8445 §6.1.2.3: the best pair that works is taken; a better one that does not costs one interval.
#[test]
fn a_dead_family_gives_way_to_the_other() {
    let mut net = unsignalled(delayed(ms(10)), seed());
    for link in [&mut net.a_to_b, &mut net.b_to_a] {
        link.set_filter(|_, datagram| {
            if datagram.destination.is_ipv6() {
                straits_sim::Verdict::Drop
            } else {
                straits_sim::Verdict::Pass
            }
        });
    }
    signal(&mut net);
    net.run_until(secs(1), both_connected);
    assert_eq!(net.a.agent.selected(), Some(route(A[0], B[0])));
    // The second pair is checked 50 ms after the first, takes 20 ms, and is nominated in another 20 ms.
    assert_eq!(net.elapsed(), ms(50 + 20 + 20));
}

/// With a nomination delay the better pair wins although its first check is lost; when it never answers, time decides.
#[test]
fn a_nomination_may_wait_for_a_better_pair() {
    for (is_dead, expected, connected_after) in
        [(false, route(A[1], B[1]), ms(500 + 20 + 20)), (true, route(A[0], B[0]), ms(70 + 800 + 20))]
    {
        let mut net = configured(Config::default().nomination_delay(ms(800)), delayed(ms(10)), seed());
        if is_dead {
            net.a_to_b.set_filter(|_, datagram| {
                if datagram.destination.is_ipv6() {
                    straits_sim::Verdict::Drop
                } else {
                    straits_sim::Verdict::Pass
                }
            });
        } else {
            net.a_to_b.drop_next(1);
        }
        signal(&mut net);
        net.run_until(secs(3), both_connected);
        assert_eq!((net.a.agent.selected(), net.elapsed()), (Some(expected), connected_after));
    }
}

/// RFC 8445 §14.2: one new pair per 50 ms, best first; then repetitions with doubling intervals, at most 2 s apart.
#[test]
fn checks_are_paced_ordered_and_repeated() {
    let mut net = unsignalled(Conditions { blackout: true, ..Conditions::default() }, seed());
    let now = net.now();
    net.b.agent.add_local_candidate(now, address("192.0.2.2:6001"));
    signal(&mut net);
    net.run_for(secs(9));
    let sent: Vec<_> = net.trace().iter().map(|record| (record.sent, record.datagram.destination)).collect();
    let first: Vec<_> = sent.iter().take(3).copied().collect();
    let [v6, v4] = [address(B[1]), address(B[0])];
    assert_eq!(first, [(ms(0), v6), (ms(50), v4), (ms(100), address("192.0.2.2:6001"))]);
    let to_v6: Vec<_> = sent.iter().filter(|&&(_, to)| to == v6).map(|&(at, _)| at).collect();
    // After seven transmissions there is another check of the same pair.
    let times = [0, 500, 1500, 3500, 5500, 7500];
    assert_eq!(to_v6, times.map(ms));
}

#[test]
fn a_late_route_is_found() {
    let mut net = unsignalled(Conditions { delay: ms(10), blackout: true, ..Conditions::default() }, seed());
    signal(&mut net);
    net.run_for(secs(25));
    net.set_blackout(false);
    net.run_until(ms(3000), both_connected);
    assert_eq!(net.a.states().last().map(|&(_, state)| state), Some(State::Connected));
}

/// Nothing ever arrives: both ends, the one that only answers too, fail in time.
#[test]
fn no_answer_ends_in_failure() {
    let mut net = unsignalled(Conditions { blackout: true, ..Conditions::default() }, seed());
    signal(&mut net);
    let start = net.now();
    net.run_for(secs(31));
    for node in [&net.a, &net.b] {
        assert_eq!(node.agent.failure_reason(), Some(FailureReason::NoAnswer));
        assert_eq!(node.states().last(), Some(&(start + secs(30), State::Failed)));
        assert_eq!(node.agent.poll_timeout(), None);
    }
}

/// W3C webrtc-pc §5.6.4: all pairs were tried, and the peer has not told that there are no more. Another candidate leads
/// back to the search, a pair that works after all out of it, and the end comes when it would have come.
#[test]
fn no_answer_yet_is_disconnected() {
    let blackout = Conditions { delay: ms(10), blackout: true, ..Conditions::default() };
    let trickled = |net: &mut Pair<Node>| {
        let now = net.now();
        let (a_keys, b_keys) =
            (net.a.agent.local_credentials().clone(), net.b.agent.local_credentials().clone());
        net.a.agent.set_remote_credentials(now, b_keys, Mode::Lite);
        net.b.agent.set_remote_credentials(now, a_keys, Mode::Lite);
        let candidate = net.b.agent.local_candidates()[0].clone();
        net.a.agent.add_remote_candidate(now, candidate).unwrap();
        net.a.drain(now);
        now
    };
    let states = |net: &Pair<Node>, start: std::time::Instant| -> Vec<_> {
        let states = net.a.states().into_iter();
        states.map(|(at, state)| (at.saturating_duration_since(start), state)).collect()
    };
    let mut net = unsignalled(blackout.clone(), seed());
    let start = trickled(&mut net);
    net.run_for(secs(31));
    let given_up = (ms(11_500), State::Disconnected);
    assert_eq!(states(&net, start), [(ms(0), State::Checking), given_up, (secs(30), State::Failed)]);

    let mut net = unsignalled(blackout.clone(), seed());
    let start = trickled(&mut net);
    net.run_for(secs(12));
    net.set_blackout(false);
    net.run_until(secs(5), both_connected);
    let seen: Vec<_> = states(&net, start).into_iter().map(|(_, state)| state).collect();
    assert_eq!(seen, [State::Checking, State::Disconnected, State::Checking, State::Connected]);

    let mut net = unsignalled(blackout, seed());
    let start = trickled(&mut net);
    net.run_for(secs(12));
    let candidate = net.b.agent.local_candidates()[1].clone();
    let now = net.now();
    net.a.agent.add_remote_candidate(now, candidate).unwrap();
    net.a.drain(now);
    net.run_for(secs(1));
    assert_eq!(states(&net, start)[2..], [(secs(12), State::Checking)]);
    // A restart that is taken back leaves the search where it was.
    let now = net.now();
    net.a.agent.restart(now);
    assert_eq!(net.a.agent.state(), State::New);
    net.a.agent.cancel_restart(now);
    net.set_blackout(false);
    net.run_until(secs(3), both_connected);
}

#[test]
fn no_pair_fails_only_when_both_sides_are_complete() {
    let mut net = unsignalled(Conditions::default(), seed());
    let now = net.now();
    let credentials = net.b.agent.local_credentials().clone();
    let a = &mut net.a.agent;
    a.set_remote_credentials(now, credentials, Mode::Lite);
    assert_eq!((a.state(), a.poll_timeout()), (State::New, None));
    a.add_remote_candidate(now, "1 1 udp 1 127.0.0.1 9 typ host".parse().unwrap()).unwrap();
    assert_eq!(a.state(), State::Checking);
    a.set_remote_gathering_complete(now);
    assert_eq!((a.state(), a.failure_reason()), (State::Failed, Some(FailureReason::NoCandidatePair)));
}

#[test]
fn trickled_candidates_are_checked_as_they_come() {
    let mut net = unsignalled(delayed(ms(10)), seed());
    let now = net.now();
    let (a_keys, b_keys) = (net.a.agent.local_credentials().clone(), net.b.agent.local_credentials().clone());
    net.a.agent.set_remote_credentials(now, b_keys, Mode::Lite);
    net.b.agent.set_remote_credentials(now, a_keys, Mode::Lite);
    net.run_for(secs(100));
    // Without a candidate nothing has begun, and nothing has failed.
    assert_eq!((net.a.agent.state(), net.b.agent.state()), (State::New, State::New));
    let candidate = net.b.agent.local_candidates()[0].clone();
    let now = net.now();
    net.a.agent.add_remote_candidate(now, candidate).unwrap();
    net.run_until(secs(1), both_connected);
    // The other end learnt the address from the check alone.
    assert_eq!(net.b.agent.selected(), Some(route(B[0], A[0])));
    let kinds: Vec<_> = net.b.agent.remote_candidates().iter().map(|candidate| candidate.kind).collect();
    assert_eq!(kinds, [crate::CandidateKind::PeerReflexive]);
}

/// RFC 8445 §7.3: the peer's checks may come before its credentials.
#[test]
fn checks_before_the_answer_are_answered_and_remembered() {
    let mut net = unsignalled(delayed(ms(10)), seed());
    let now = net.now();
    signal_one_way(now, &net.b.agent, &mut net.a.agent);
    net.run_until(secs(1), |net| net.a.agent.state() == State::Connected);
    let early = route(B[1], A[1]);
    assert_eq!((net.b.agent.state(), net.b.agent.selected()), (State::New, None));
    assert!(net.b.agent.is_valid_route(early));
    net.b.take_events();
    let now = net.now();
    signal_one_way(now, &net.a.agent, &mut net.b.agent);
    net.b.drain(now);
    assert_eq!(net.b.take_events(), [Event::RouteSelected(early), Event::StateChanged(State::Connected)]);
    net.run_for(secs(60));
    assert_eq!((net.a.agent.state(), net.b.agent.state()), (State::Connected, State::Connected));
}

/// The same, but the credentials that come are another peer's.
#[test]
fn early_checks_of_another_session_are_forgotten() {
    let mut net = unsignalled(delayed(ms(10)), seed());
    let now = net.now();
    signal_one_way(now, &net.b.agent, &mut net.a.agent);
    net.run_for(secs(1));
    net.b.take_events();
    let now = net.now();
    net.b.agent.set_remote_credentials(now, FullPeer::new().credentials, Mode::Lite);
    net.b.drain(now);
    assert_eq!(net.b.take_events(), [Event::RouteRemoved(route(B[1], A[1]))]);
    assert!(!net.b.agent.is_valid_route(route(B[1], A[1])));
}

/// RFC 8445 §7.3.1.1: both believe to be controlling; the larger tiebreaker stays.
#[test]
fn a_role_conflict_is_repaired() {
    let first = seed();
    for seed in first..first + 10 {
        let mut net = unsignalled(delayed(ms(10)), seed);
        let now = net.now();
        net.b.agent.set_role(now, Role::Controlling);
        signal(&mut net);
        net.run_until(secs(5), both_connected);
        let roles = [net.a.agent.role(), net.b.agent.role()];
        assert!(roles.contains(&Role::Controlling) && roles.contains(&Role::Controlled), "{roles:?}");
        let (a, b) = (net.a.agent.selected().unwrap(), net.b.agent.selected().unwrap());
        assert_eq!((a.local, a.remote), (b.remote, b.local));
        net.run_for(secs(60));
        assert!(both_connected(&mut net));
    }
}

#[test]
fn close_is_silent_and_final() {
    let mut net = connected(delayed(ms(10)), seed());
    let now = net.now();
    let old = net.a.agent.selected().unwrap();
    net.a.agent.close(now);
    net.a.drain(now);
    assert_eq!(net.a.take_events(), [Event::RouteRemoved(old), Event::StateChanged(State::Closed)]);
    net.wire_mut().clear_trace();
    net.run_for(secs(16));
    assert!(net.trace().iter().all(|record| record.from == Some(1)));
    assert_eq!((net.a.agent.poll_timeout(), net.a.agent.may_send()), (None, false));
    assert_eq!(net.b.agent.failure_reason(), Some(FailureReason::ConsentExpired));
    let now = net.now();
    net.a.restart(now);
    net.a.agent.close(now);
    assert_eq!(net.a.take_events(), []);
}

#[test]
fn calling_early_or_twice_is_harmless() {
    let mut net = connected(delayed(ms(10)), seed());
    net.run_for(secs(3));
    let now = net.now();
    let before = (net.a.agent.poll_timeout(), net.a.agent.stats());
    net.a.agent.handle_timeout(now);
    net.a.agent.handle_timeout(now);
    assert_eq!((net.a.agent.poll_timeout(), net.a.agent.stats()), before);
    signal(&mut net);
    net.run_for(secs(3));
    assert_eq!((net.a.take_events(), net.b.take_events()), (vec![], vec![]));
}

#[test]
fn limits_of_candidates_and_pairs() {
    let now = std::time::Instant::now();
    let config = Config::default().max_remote_candidates(5).max_pairs(3);
    let mut agent = crate::Agent::new(config, [1; 32], now);
    agent.set_role(now, Role::Controlling);
    agent.add_local_candidate(now, address(A[0]));
    let candidate = |port: u16| -> Candidate {
        format!("1 1 udp {} 192.0.2.2 {port} typ host", 1000 - u32::from(port)).parse().unwrap()
    };
    for port in [1, 2, 3, 4, 5, 5] {
        assert_eq!(agent.add_remote_candidate(now, candidate(port)), Ok(()));
    }
    assert_eq!(agent.add_remote_candidate(now, candidate(6)), Err(crate::CandidateError::TooMany { max: 5 }));
    assert_eq!(agent.remote_candidates().len(), 5);
    agent.set_remote_credentials(now, FullPeer::new().credentials, Mode::Lite);
    let mut ports = Vec::new();
    for step in 0..10 {
        let now = now + ms(50 * step);
        agent.handle_timeout(now);
        let mut buffer = bytes::BytesMut::new();
        ports.extend(
            std::iter::from_fn(|| agent.poll_transmit(now, &mut buffer)).map(|route| route.remote.port()),
        );
    }
    assert_eq!(ports, [1, 2, 3]);
}

#[test]
fn useless_candidates_are_kept_out_and_counted() {
    let now = std::time::Instant::now();
    let mut agent = crate::Agent::new(Config::default(), [1; 32], now);
    agent.set_remote_credentials(now, FullPeer::new().credentials, Mode::Full);
    for line in [
        "1 1 tcp 1 192.0.2.1 9 typ host tcptype active",
        "1 1 udp 1 4f3d.local 9000 typ host",
        "1 2 udp 1 192.0.2.1 9000 typ host",
        "1 1 udp 1 192.0.2.1 9000 typ host ufrag other",
        "1 1 udp 1 224.0.0.1 9000 typ host",
    ] {
        assert_eq!(agent.add_remote_candidate(now, line.parse().unwrap()), Ok(()));
    }
    assert_eq!((agent.remote_candidates(), agent.stats().candidates_ignored), (&[][..], 5));
    // A name that hides a host is a candidate all the same: the search has begun.
    assert_eq!(agent.state(), State::Checking);
    agent.add_remote_candidate(now, "1 1 udp 1 192.0.2.1 9000 typ host ufrag full".parse().unwrap()).unwrap();
    assert_eq!(agent.remote_candidates().len(), 1);
}

/// RFC 8445 §5.1.2.1, §5.2 and RFC 8421: what local candidates look like.
#[test]
fn local_candidates_have_priorities_and_foundations() {
    let now = std::time::Instant::now();
    let mut agent = crate::Agent::new(Config::default(), [1; 32], now);
    for text in [
        "192.0.2.1:5000",
        "127.0.0.1:5000",
        "[2001:db8::1]:5000",
        "192.0.2.1:5001",
        "192.0.2.9:5000",
        "192.0.2.1:5000",
        "0.0.0.0:5000",
        "192.0.2.1:0",
        "[ff02::1]:5000",
    ] {
        agent.add_local_candidate(now, address(text));
    }
    let ufrag = agent.local_credentials().ufrag.clone();
    let lines: Vec<_> = agent.local_candidates().iter().map(Candidate::to_string).collect();
    let priority = |preference: u32| (126 << 24) + (preference << 8) + 255;
    let expected = [
        (1, 65534, "192.0.2.1 5000"),
        (2, 32766, "127.0.0.1 5000"),
        (3, 65535, "2001:db8::1 5000"),
        (1, 65532, "192.0.2.1 5001"),
        (4, 65530, "192.0.2.9 5000"),
    ];
    let expected = expected.map(|(foundation, preference, address)| {
        format!("candidate:{foundation} 1 udp {} {address} typ host ufrag {ufrag}", priority(preference))
    });
    assert_eq!(lines, expected);
}

#[derive(Clone, Copy, Debug)]
enum Operation {
    Run(u64),
    Blackout(bool),
    Loss(u8),
    Restart(usize),
    SetRole(usize, Role),
    Signal(usize),
    AddLocal(usize, u8),
    Close(usize),
}

fn operation() -> impl Strategy<Value = Operation> {
    let end = 0..2_usize;
    prop_oneof![
        6 => (0..9000_u64).prop_map(Operation::Run),
        1 => any::<bool>().prop_map(Operation::Blackout),
        1 => (0..40_u8).prop_map(Operation::Loss),
        2 => end.clone().prop_map(Operation::Restart),
        1 => (end.clone(), any::<bool>()).prop_map(|(end, controls)| {
            Operation::SetRole(end, if controls { Role::Controlling } else { Role::Controlled })
        }),
        4 => end.clone().prop_map(Operation::Signal),
        1 => (end.clone(), 3..9_u8).prop_map(|(end, host)| Operation::AddLocal(end, host)),
        1 => end.prop_map(Operation::Close),
    ]
}

fn apply(net: &mut Pair<Node>, operation: Operation) {
    let now = net.now();
    let Pair { a, b, .. } = net;
    match operation {
        Operation::Run(duration) => net.run_for(ms(duration)),
        Operation::Blackout(blackout) => net.set_blackout(blackout),
        Operation::Loss(percent) => net.a_to_b.conditions.loss = Loss::Random(f64::from(percent) / 100.0),
        Operation::Restart(end) => [a, b][end].restart(now),
        Operation::SetRole(end, role) => [a, b][end].agent.set_role(now, role),
        Operation::Signal(0) => signal_one_way(now, &a.agent, &mut b.agent),
        Operation::Signal(_) => signal_one_way(now, &b.agent, &mut a.agent),
        Operation::AddLocal(end, host) => {
            [a, b][end].agent.add_local_candidate(now, ([192, 0, 2, host], 7000).into());
        }
        Operation::Close(end) => [a, b][end].agent.close(now),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    /// Whatever the owners do in whatever order: no panic, no spinning timer, and never stuck without a timer.
    #[test]
    fn random_operations(operations in proptest::collection::vec(operation(), 1..25), seed: u64) {
        let mut net = unsignalled(rough(0.1), seed);
        for operation in operations {
            apply(&mut net, operation);
            let now = net.now();
            for node in [&mut net.a, &mut net.b] {
                node.drain(now);
                let agent = &node.agent;
                let is_over = matches!(agent.state(), State::Failed | State::Closed);
                let waits_for_signalling = agent.remote_credentials().is_none() && agent.selected().is_none();
                let is_armed = agent.poll_timeout().is_some();
                prop_assert!(!is_over || !is_armed);
                prop_assert!(is_over || waits_for_signalling || is_armed || agent.state() == State::New);
                prop_assert_eq!(agent.may_send(), agent.selected().is_some());
                prop_assert!(agent.failure_reason().is_some() || agent.state() != State::Failed);
                prop_assert!(agent.failure_reason().is_none() || is_over);
                let is_up = matches!(agent.state(), State::Connected | State::Disconnected);
                prop_assert!(!is_up || agent.selected().is_some());
                prop_assert!(agent.selected().is_none_or(|route| agent.is_valid_route(route)));
                prop_assert_eq!(node.states().last().map_or(State::New, |&(_, state)| state), agent.state());
            }
        }
    }
}

#[test]
fn nothing_goes_where_nobody_is() {
    let mut net = connected(delayed(ms(10)), seed());
    net.run_for(secs(10));
    let is_between = |route: Route| [route.local, route.remote].iter().all(|end| end.is_ipv6());
    for record in net.trace() {
        let route = Route { local: record.datagram.source, remote: record.datagram.destination };
        assert!(is_between(route), "{route}");
        assert!(matches!(record.fate, Fate::Delivered { .. }));
    }
}
