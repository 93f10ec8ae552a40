//! A lite agent that faces a full peer: it only answers.

use super::support::*;
use crate::stun::{Attributes, Authenticated, Class, ROLE_CONFLICT};
use crate::{Agent, CandidateKind, Config, Event, FailureReason, Mode, Role, State};
use std::time::Instant;

/// Hands a new request in over this route, and gives what the agent sends and says.
fn check(
    agent: &mut Agent,
    peer: &mut FullPeer,
    now: Instant,
    remote: &str,
    nominate: bool,
) -> (Vec<Sent>, Vec<Event>) {
    let keys = agent.local_credentials().clone();
    let (_, request) = peer.request(&keys, nominate);
    agent.handle_datagram(now, route(A[0], remote), &request);
    (sent(agent, now, &keys.password), events(agent))
}

#[test]
fn a_check_is_answered_and_its_source_learnt() {
    let mut peer = FullPeer::new();
    let (mut agent, now) = lite_with_full(&peer);
    assert_eq!(agent.state(), State::New);
    let keys = agent.local_credentials().clone();
    let (id, request) = peer.request(&keys, false);
    agent.handle_datagram(now, route(A[0], B[0]), &request);
    let mapped_address = Some(address(B[0]));
    let answer = Sent {
        route: route(A[0], B[0]),
        class: Class::Success,
        id,
        message: Authenticated {
            attributes: Attributes { mapped_address, ..Attributes::default() },
            unknown: vec![],
        },
    };
    assert_eq!(sent(&mut agent, now, &keys.password), [answer]);
    assert_eq!(
        events(&mut agent),
        [Event::RouteAdded(route(A[0], B[0])), Event::StateChanged(State::Checking)]
    );
    let [learnt] = agent.remote_candidates() else { panic!() };
    assert_eq!(
        (learnt.kind, learnt.priority, learnt.udp_address()),
        (CandidateKind::PeerReflexive, 0x6e00_1234, mapped_address)
    );
    assert!(agent.is_valid_route(route(A[0], B[0])));
    assert_eq!((agent.selected(), agent.may_send()), (None, false));
    // A signalled candidate takes its place.
    agent.add_remote_candidate(now, "1 1 udp 5 192.0.2.2 6000 typ host".parse().unwrap()).unwrap();
    let [known] = agent.remote_candidates() else { panic!() };
    assert_eq!(known.kind, CandidateKind::Host);
}

#[test]
fn use_candidate_nominates_and_a_later_nomination_moves() {
    let mut peer = FullPeer::new();
    let (mut agent, now) = lite_with_full(&peer);
    let (first, second) = (route(A[0], B[0]), route(A[0], "198.51.100.7:7000"));
    let (_, said) = check(&mut agent, &mut peer, now, B[0], true);
    assert_eq!(
        said,
        [Event::RouteAdded(first), Event::RouteSelected(first), Event::StateChanged(State::Connected),]
    );
    // A check on another route changes nothing, a nomination of it does.
    assert_eq!(check(&mut agent, &mut peer, now, "198.51.100.7:7000", false).1, [Event::RouteAdded(second)]);
    assert_eq!(agent.selected(), Some(first));
    assert_eq!(
        check(&mut agent, &mut peer, now, "198.51.100.7:7000", true).1,
        [Event::RouteSelected(second)]
    );
    assert_eq!(check(&mut agent, &mut peer, now, "198.51.100.7:7000", true).1, []);
    assert_eq!(check(&mut agent, &mut peer, now, B[0], true).1, [Event::RouteSelected(first)]);
    // Both stay valid: data may still come over the other one.
    assert!(agent.is_valid_route(first) && agent.is_valid_route(second));
}

#[test]
fn a_late_copy_of_an_old_nomination_does_not_move_back() {
    let mut peer = FullPeer::new();
    let (mut agent, now) = lite_with_full(&peer);
    let keys = agent.local_credentials().clone();
    let (first, second) = (route(A[0], B[0]), route(A[0], "198.51.100.7:7000"));
    let (_, old) = peer.request(&keys, true);
    agent.handle_datagram(now, first, &old);
    let (_, new) = peer.request(&keys, true);
    agent.handle_datagram(now, second, &new);
    agent.handle_datagram(now, first, &old);
    assert_eq!(agent.selected(), Some(second));
    // It is answered all the same: the first answer may have been lost.
    assert_eq!(sent(&mut agent, now, &keys.password).len(), 3);
}

/// RFC 8445 §6.1.1: facing a full agent, the lite one is controlled, sends no checks, and says so.
#[test]
fn it_only_answers() {
    let mut peer = FullPeer::new();
    let (mut agent, now) = lite_with_full(&peer);
    agent.set_role(now, Role::Controlling);
    assert_eq!(agent.role(), Role::Controlled);
    agent.add_remote_candidate(now, "1 1 udp 5 192.0.2.2 6000 typ host".parse().unwrap()).unwrap();
    check(&mut agent, &mut peer, now, B[0], true);
    for second in 1..60 {
        let now = now + secs(second);
        agent.handle_timeout(now);
        assert_eq!(sent(&mut agent, now, &peer.credentials.password), []);
        if second % 5 == 0 {
            assert_eq!(check(&mut agent, &mut peer, now, B[0], true).1, [], "{second}");
        }
    }
    assert_eq!((agent.state(), agent.stats().requests_sent), (State::Connected, 0));
}

/// A full peer that believes to be controlled is told to take over, whatever the tiebreakers.
#[test]
fn a_controlled_full_peer_is_told_to_take_over() {
    for tie_breaker in [0, u64::MAX] {
        let mut peer = FullPeer::new();
        (peer.role, peer.tie_breaker) = (Role::Controlled, tie_breaker);
        let (mut agent, now) = lite_with_full(&peer);
        let (answers, said) = check(&mut agent, &mut peer, now, B[0], true);
        let answered: Vec<_> =
            answers.iter().map(|sent| (sent.class, sent.message.attributes.error_code)).collect();
        assert_eq!(answered, [(Class::Error, Some(ROLE_CONFLICT))]);
        assert_eq!((said, agent.selected(), agent.role()), (vec![], None, Role::Controlled));
        peer.role = Role::Controlling;
        check(&mut agent, &mut peer, now, B[0], true);
        assert_eq!(agent.selected(), Some(route(A[0], B[0])));
    }
}

/// It was controlling until it learnt that the peer is full; what was nominated before holds.
#[test]
fn checks_before_the_answer_of_a_full_peer() {
    let mut peer = FullPeer::new();
    let now = Instant::now();
    let mut agent = Agent::new(Config::default(), [5; 32], now);
    agent.set_role(now, Role::Controlling);
    agent.add_local_candidate(now, address(A[0]));
    events(&mut agent);
    let (answers, said) = check(&mut agent, &mut peer, now, B[0], true);
    assert_eq!((answers.len(), said), (1, vec![Event::RouteAdded(route(A[0], B[0]))]));
    assert_eq!(agent.poll_timeout(), None);
    agent.set_remote_credentials(now, peer.credentials.clone(), Mode::Full);
    assert_eq!(
        events(&mut agent),
        [Event::RouteSelected(route(A[0], B[0])), Event::StateChanged(State::Connected)]
    );
    assert_eq!((agent.role(), agent.remote_candidates().len()), (Role::Controlled, 1));
}

/// A peer that checks every 6 s, the slowest that RFC 7675 §5.1 knows, does not flap; silence is noticed in time.
#[test]
fn silence_of_a_full_peer() {
    let mut peer = FullPeer::new();
    let (mut agent, start) = lite_with_full(&peer);
    let mut now = start;
    check(&mut agent, &mut peer, now, B[0], true);
    for _ in 0..20 {
        now += secs(6);
        agent.handle_timeout(now);
        assert_eq!(check(&mut agent, &mut peer, now, B[0], true).1, []);
    }
    assert_eq!(agent.poll_timeout(), Some(now + secs(7)));
    agent.handle_timeout(now + secs(7));
    assert_eq!(events(&mut agent), [Event::StateChanged(State::Disconnected)]);
    // Application traffic is a sign of life.
    now += secs(8);
    agent.record_traffic(now);
    assert_eq!(events(&mut agent), [Event::StateChanged(State::Connected)]);
    now += secs(7);
    agent.handle_timeout(now);
    // And so is a check.
    now += secs(6);
    assert_eq!(
        check(&mut agent, &mut peer, now, B[0], true).1,
        [Event::StateChanged(State::Disconnected), Event::StateChanged(State::Connected)]
    );
    agent.handle_timeout(now + secs(7));
    assert_eq!(agent.poll_timeout(), Some(now + secs(14)));
    agent.handle_timeout(now + secs(14));
    assert_eq!(
        events(&mut agent),
        [
            Event::StateChanged(State::Disconnected),
            Event::RouteRemoved(route(A[0], B[0])),
            Event::StateChanged(State::Failed)
        ]
    );
    assert_eq!((agent.failure_reason(), agent.may_send()), (Some(FailureReason::ConsentExpired), false));
    // Whoever comes now comes too late.
    assert_eq!(check(&mut agent, &mut peer, now + secs(14), B[0], true), (vec![], vec![]));
    assert_eq!(agent.stats().late, 1);
}

/// The answering end fails too when nothing comes, or when the peer checks but stops before it nominates.
#[test]
fn a_full_peer_that_never_nominates() {
    let mut peer = FullPeer::new();
    let (mut agent, start) = lite_with_full(&peer);
    agent.add_remote_candidate(start, "1 1 udp 5 192.0.2.2 6000 typ host".parse().unwrap()).unwrap();
    assert_eq!(agent.poll_timeout(), Some(start + secs(30)));
    check(&mut agent, &mut peer, start + secs(29), B[0], false);
    assert_eq!(agent.poll_timeout(), Some(start + secs(59)));
    agent.handle_timeout(start + secs(59));
    assert_eq!(agent.failure_reason(), Some(FailureReason::NoAnswer));
}

#[test]
fn a_full_peer_without_candidates_may_still_come() {
    let mut peer = FullPeer::new();
    let (mut agent, now) = lite_with_full(&peer);
    agent.set_gathering_complete(now);
    agent.set_remote_gathering_complete(now);
    assert_eq!((agent.state(), agent.poll_timeout()), (State::New, Some(now + secs(30))));
    check(&mut agent, &mut peer, now + secs(1), B[0], true);
    assert_eq!(agent.state(), State::Connected);
}

#[test]
fn without_an_address_of_its_own_there_is_no_pair() {
    let peer = FullPeer::new();
    let now = Instant::now();
    let mut agent = Agent::new(Config::default(), [5; 32], now);
    agent.set_remote_credentials(now, peer.credentials, Mode::Full);
    agent.set_remote_gathering_complete(now);
    assert_eq!(agent.state(), State::New);
    agent.set_gathering_complete(now);
    assert_eq!(agent.failure_reason(), Some(FailureReason::NoCandidatePair));
}

#[test]
fn old_routes_give_way_to_new_ones() {
    let mut peer = FullPeer::new();
    let now = Instant::now();
    let mut agent = Agent::new(Config::default().max_routes(3), [5; 32], now);
    agent.add_local_candidate(now, address(A[0]));
    agent.set_remote_credentials(now, peer.credentials.clone(), Mode::Full);
    events(&mut agent);
    let remote = |port: u64| format!("192.0.2.2:{port}");
    check(&mut agent, &mut peer, now, &remote(1), true);
    for port in 2..=3 {
        check(&mut agent, &mut peer, now + secs(port), &remote(port), false);
    }
    // The selected one is the oldest, and stays.
    let (_, said) = check(&mut agent, &mut peer, now + secs(4), &remote(4), false);
    assert_eq!(
        said,
        [Event::RouteRemoved(route(A[0], &remote(2))), Event::RouteAdded(route(A[0], &remote(4)))]
    );
    let known: Vec<_> = agent.remote_candidates().iter().map(|candidate| candidate.port).collect();
    assert_eq!(known, [1, 3, 4]);
}
