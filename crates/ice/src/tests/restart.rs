//! ICE restarts (RFC 8445 §9).

use super::support::*;
use crate::{Event, FailureReason, State};
use straits_sim::{Conditions, Simulation as _, seed};

fn conditions() -> Conditions {
    Conditions { delay: ms(10), ..Conditions::default() }
}

/// The old route carries on until the new generation has one; the state does not move.
#[test]
fn of_a_connected_pair() {
    let mut net = connected(conditions(), seed());
    let old = net.a.agent.selected().unwrap();
    let before = net.a.agent.local_credentials().clone();
    let now = net.now();
    net.a.restart(now);
    assert_ne!(net.a.agent.local_credentials(), &before);
    // Checks find it by either name until the old route is given up.
    let new = net.a.agent.local_credentials().ufrag.clone();
    assert_eq!(net.a.agent.local_ufrags().collect::<Vec<_>>(), [&new, &before.ufrag]);
    assert_eq!((net.a.agent.remote_credentials(), net.a.agent.remote_candidates()), (None, &[][..]));
    let mut said: Vec<_> =
        net.a.agent.local_candidates().iter().cloned().map(Event::LocalCandidate).collect();
    said.push(Event::GatheringComplete);
    net.a.drain(now);
    assert_eq!(net.a.take_events(), said);
    // The answer takes its time; consent of the old generation goes on meanwhile, both ways.
    net.run_for(secs(60));
    assert_eq!((net.a.take_events(), net.b.take_events()), (vec![], vec![]));
    assert_eq!((net.a.agent.selected(), net.a.agent.may_send()), (Some(old), true));

    let now = net.now();
    net.b.restart(now);
    net.b.drain(now);
    net.b.take_events();
    signal(&mut net);
    net.run_for(secs(60));
    // The same route won again: nobody notices.
    assert_eq!((net.a.take_events(), net.b.take_events()), (vec![], vec![]));
    assert_eq!((net.a.agent.selected(), net.a.agent.state()), (Some(old), State::Connected));
    assert!(net.a.agent.is_valid_route(old));
    assert_eq!(net.a.agent.local_ufrags().collect::<Vec<_>>(), [&new]);
}

/// The network changed: the restart moves to the other family, and the old route is given back.
#[test]
fn moves_to_another_route() {
    let mut net = connected(conditions(), seed());
    let (old, new) = (route(A[1], B[1]), route(A[0], B[0]));
    for link in [&mut net.a_to_b, &mut net.b_to_a] {
        link.set_filter(|_, datagram| {
            if datagram.destination.is_ipv6() {
                straits_sim::Verdict::Drop
            } else {
                straits_sim::Verdict::Pass
            }
        });
    }
    net.run_for(secs(6));
    assert_eq!(net.a.agent.state(), State::Disconnected);
    let now = net.now();
    for node in [&mut net.a, &mut net.b] {
        node.take_events();
        node.restart(now);
        node.drain(now);
    }
    signal(&mut net);
    net.run_until(secs(2), both_connected);
    let events: Vec<_> = net
        .a
        .take_events()
        .into_iter()
        .filter(|event| !matches!(event, Event::LocalCandidate(_) | Event::GatheringComplete))
        .collect();
    assert_eq!(
        events,
        [
            Event::StateChanged(State::Checking),
            Event::RouteAdded(new),
            Event::RouteSelected(new),
            Event::RouteRemoved(old),
            Event::StateChanged(State::Connected),
        ]
    );
    net.run_for(secs(60));
    assert_eq!((net.a.agent.selected(), net.a.take_events()), (Some(new), vec![]));
    assert!(!net.a.agent.is_valid_route(old));
}

#[test]
fn leads_out_of_failure() {
    let mut net = connected(conditions(), seed());
    net.set_blackout(true);
    net.run_for(secs(16));
    assert_eq!(net.a.agent.state(), State::Failed);
    net.set_blackout(false);
    let now = net.now();
    net.a.restart(now);
    net.b.restart(now);
    assert_eq!((net.a.agent.state(), net.a.agent.failure_reason()), (State::Checking, None));
    signal(&mut net);
    net.run_until(secs(2), both_connected);
}

/// The old route dies while the restart is under way, and the new one is never found.
#[test]
fn that_never_finds_a_route_fails() {
    let mut net = connected(conditions(), seed());
    net.set_blackout(true);
    let now = net.now();
    net.a.restart(now);
    net.b.restart(now);
    signal(&mut net);
    net.run_for(secs(60));
    for node in [&net.a, &net.b] {
        assert_eq!(node.agent.failure_reason(), Some(FailureReason::NoAnswer));
        let states: Vec<_> = node.states().into_iter().map(|(_, state)| state).collect();
        assert_eq!(states, [State::Disconnected, State::Checking, State::Failed]);
    }
}

/// The owner has no address for the new generation: nothing can come of it, and the old route ends with it.
#[test]
fn without_candidates_fails_although_the_old_route_works() {
    let mut net = connected(conditions(), seed());
    let now = net.now();
    net.a.agent.forget_local_candidates();
    net.a.agent.restart(now);
    net.b.agent.restart(now);
    net.a.drain(now);
    assert_eq!((net.a.take_events(), net.a.agent.is_gathering_complete()), (vec![], false));
    signal(&mut net);
    assert_eq!(net.a.agent.state(), State::Connected, "addresses may still come");
    net.a.agent.set_gathering_complete(now);
    assert_eq!(net.a.agent.failure_reason(), Some(FailureReason::NoCandidatePair));
    assert!(!net.a.agent.may_send());
}

/// The peer of the next generation is another: nothing more goes to or is taken from the one before.
#[test]
fn the_route_of_before_is_abandoned() {
    let mut net = connected(conditions(), seed());
    let old = net.a.agent.selected().unwrap();
    net.a.agent.abandon_previous();
    assert_eq!(net.a.agent.selected(), Some(old), "there is no restart");
    let now = net.now();
    net.a.restart(now);
    net.a.take_events();
    net.a.agent.abandon_previous();
    assert_eq!((net.a.agent.selected(), net.a.agent.may_send()), (None, false));
    assert!(!net.a.agent.is_valid_route(old));
    assert_eq!(net.a.take_events(), [Event::RouteRemoved(old), Event::StateChanged(State::Checking)]);
    net.run_for(secs(1));
    assert_eq!(net.a.agent.selected(), None, "its checks find nobody");
    let now = net.now();
    net.b.restart(now);
    signal(&mut net);
    net.run_until(secs(2), both_connected);
}
