//! Bad input: dropped, counted, and without any effect.

use super::support::*;
use crate::stun::{Class, UNKNOWN_ATTRIBUTE};
use crate::{Agent, Config, Credentials, Event, Mode, Role, State};
use bytes::Bytes;
use proptest::prelude::*;
use std::time::Instant;
use straits_sim::{Conditions, Datagram, Simulation as _, seed};

/// All that may not change by bad input.
fn snapshot(agent: &Agent) -> impl PartialEq + std::fmt::Debug + use<> {
    (
        agent.state(),
        agent.role(),
        agent.selected(),
        agent.remote_candidates().to_vec(),
        agent.poll_timeout(),
        agent.stats().responses_sent,
    )
}

/// Hands `datagram` in and expects that nothing comes of it but a count.
fn drops(agent: &mut Agent, now: Instant, remote: &str, datagram: &[u8]) -> crate::Stats {
    let before = snapshot(agent);
    agent.handle_datagram(now, route(A[0], remote), datagram);
    assert_eq!(events(agent), []);
    assert_eq!(agent.poll_transmit(now, &mut bytes::BytesMut::new()), None);
    assert_eq!(snapshot(agent), before);
    agent.stats()
}

fn nominated() -> (Agent, FullPeer, Instant) {
    let mut peer = FullPeer::new();
    let (mut agent, now) = lite_with_full(&peer);
    let keys = agent.local_credentials().clone();
    let (_, request) = peer.request(&keys, true);
    agent.handle_datagram(now, route(A[0], B[0]), &request);
    sent(&mut agent, now, &keys.password);
    events(&mut agent);
    (agent, peer, now)
}

#[test]
fn wrong_names_and_passwords() {
    let (mut agent, mut peer, now) = nominated();
    let keys = agent.local_credentials().clone();
    let wrong_ufrag = Credentials { ufrag: "wrong".into(), ..keys.clone() };
    let wrong_password = Credentials { password: "w".repeat(24), ..keys.clone() };
    let mut stranger = FullPeer::new();
    stranger.credentials.ufrag = "stranger".into();
    for (count, (peer, keys)) in
        [(&mut peer, wrong_ufrag), (&mut FullPeer::new(), wrong_password), (&mut stranger, keys)]
            .into_iter()
            .enumerate()
    {
        let (_, request) = peer.request(&keys, true);
        let stats = drops(&mut agent, now, "198.51.100.9:9", &request);
        assert_eq!((stats.unauthenticated, stats.malformed), (count as u64 + 1, 0));
    }
}

/// A request with the right names and no integrity: silence, and no state.
#[test]
fn no_integrity() {
    let (mut agent, mut peer, now) = nominated();
    let keys = agent.local_credentials().clone();
    let (_, request) = peer.request(&keys, true);
    // MESSAGE-INTEGRITY (24 bytes) and FINGERPRINT (8 bytes) come last.
    let mut bare = request[..request.len() - 32].to_vec();
    let len = u16::try_from(bare.len() - 20).unwrap();
    bare[2..4].copy_from_slice(&len.to_be_bytes());
    assert_eq!(drops(&mut agent, now, "198.51.100.9:9", &bare).unauthenticated, 1);
    // With integrity alone it is good.
    let mut sealed = request[..request.len() - 8].to_vec();
    let len = u16::try_from(sealed.len() - 20).unwrap();
    sealed[2..4].copy_from_slice(&len.to_be_bytes());
    agent.handle_datagram(now, route(A[0], B[0]), &sealed);
    assert_eq!(sent(&mut agent, now, &keys.password).len(), 1);
}

#[test]
fn every_truncation_of_a_request() {
    let (mut agent, mut peer, now) = nominated();
    let keys = agent.local_credentials().clone();
    let (_, request) = peer.request(&keys, true);
    for len in 0..request.len() {
        drops(&mut agent, now, B[0], &request[..len]);
    }
    assert_eq!(agent.stats().malformed, request.len() as u64);
}

/// Responses that nobody waits for, indications, and messages of other methods.
#[test]
fn unasked_messages() {
    let (mut agent, _, now) = nominated();
    let keys = agent.local_credentials().clone();
    let mut buffer = bytes::BytesMut::new();
    assert!(crate::stun::write_success([1; 12], address(B[0]), &keys.password, &mut buffer));
    assert_eq!(drops(&mut agent, now, B[0], &buffer).unexpected_responses, 1);
    for (kind, malformed) in [(0x0011_u16, 1), (0x0003, 2)] {
        let mut other = buffer.to_vec();
        other[..2].copy_from_slice(&kind.to_be_bytes());
        assert_eq!(drops(&mut agent, now, B[0], &other).malformed, malformed);
    }
}

/// RFC 8489 §6.3.1: an authenticated request with an unknown attribute is refused and has no other effect.
#[test]
fn unknown_attributes_are_refused() {
    let (mut agent, mut peer, now) = nominated();
    let keys = agent.local_credentials().clone();
    // The attribute goes where MESSAGE-INTEGRITY was; the message is sealed anew.
    let (id, request) = peer.request(&keys, true);
    let mut unknown = request[..request.len() - 32].to_vec();
    unknown.extend([0x7f, 0xff, 0, 2, 1, 2, 0, 0]);
    let len = u16::try_from(unknown.len() - 20 + 24).unwrap();
    unknown[2..4].copy_from_slice(&len.to_be_bytes());
    let tag = {
        use hmac::{KeyInit as _, Mac as _};
        let mut hmac = hmac::Hmac::<sha1::Sha1>::new_from_slice(keys.password.as_bytes()).unwrap();
        hmac.update(&unknown);
        hmac.finalize().into_bytes()
    };
    unknown.extend([0, 8, 0, 20]);
    unknown.extend(tag);
    agent.handle_datagram(now, route(A[0], "198.51.100.9:9"), &unknown);
    let [answer] = &sent(&mut agent, now, &keys.password)[..] else { panic!() };
    assert_eq!((answer.class, answer.id), (Class::Error, id));
    assert_eq!(answer.message.attributes.error_code, Some(UNKNOWN_ATTRIBUTE));
    assert_eq!((events(&mut agent), agent.selected()), (vec![], Some(route(A[0], B[0]))));
}

/// Who saw a request may send it again from elsewhere: that draws nothing to him.
#[test]
fn a_replayed_nomination_from_a_third_address() {
    let (mut agent, mut peer, now) = nominated();
    let keys = agent.local_credentials().clone();
    let (_, request) = peer.request(&keys, true);
    agent.handle_datagram(now, route(A[0], B[0]), &request);
    sent(&mut agent, now, &keys.password);
    assert_eq!(drops(&mut agent, now, "198.51.100.9:9", &request).replayed, 1);
}

#[test]
fn floods_of_addresses_and_requests_are_bounded() {
    let mut peer = FullPeer::new();
    let (mut agent, now) = lite_with_full(&peer);
    let keys = agent.local_credentials().clone();
    for port in 1..=500 {
        let (_, request) = peer.request(&keys, false);
        agent.handle_datagram(now, route(A[0], &format!("192.0.2.2:{port}")), &request);
    }
    assert_eq!((agent.remote_candidates().len(), agent.stats().rate_limited), (10, 490));
    assert_eq!(sent(&mut agent, now, &keys.password).len(), 10);
    for _ in 0..500 {
        let (_, request) = peer.request(&keys, false);
        agent.handle_datagram(now, route(A[0], "192.0.2.2:1"), &request);
    }
    assert_eq!(sent(&mut agent, now, &keys.password).len(), 90);
    // A second later there is room again.
    let (_, request) = peer.request(&keys, true);
    agent.handle_datagram(now + secs(1), route(A[0], "192.0.2.3:1"), &request);
    assert_eq!(agent.selected(), Some(route(A[0], "192.0.2.3:1")));
}

/// RFC 8445 §7.2.5.2.1: an answer counts only from where the request went, with a live id, sealed by the peer.
#[test]
fn answers_are_believed_only_from_the_right_place() {
    let now = Instant::now();
    let peer = FullPeer::new();
    let mut agent = Agent::new(Config::default(), [5; 32], now);
    agent.set_role(now, Role::Controlling);
    agent.add_local_candidate(now, address(A[0]));
    agent.set_remote_credentials(now, peer.credentials.clone(), Mode::Lite);
    agent.add_remote_candidate(now, "1 1 udp 5 192.0.2.2 6000 typ host".parse().unwrap()).unwrap();
    events(&mut agent);
    let [check] = &sent(&mut agent, now, &peer.credentials.password)[..] else { panic!() };
    let answer = |id, password: &str| {
        let mut buffer = bytes::BytesMut::new();
        assert!(crate::stun::write_success(id, address(A[0]), password, &mut buffer));
        buffer.freeze()
    };
    let good = answer(check.id, &peer.credentials.password);
    assert_eq!(drops(&mut agent, now, "198.51.100.9:9", &good).unexpected_responses, 1);
    assert_eq!(
        drops(&mut agent, now, B[0], &answer([9; 12], &peer.credentials.password)).unexpected_responses,
        2
    );
    let ours = agent.local_credentials().password.clone();
    assert_eq!(drops(&mut agent, now, B[0], &answer(check.id, &ours)).unauthenticated, 1);
    agent.handle_datagram(now, route(A[0], B[0]), &good);
    let [nomination] = &sent(&mut agent, now, &peer.credentials.password)[..] else { panic!() };
    assert!(nomination.message.attributes.use_candidate);
    assert_eq!(events(&mut agent), [Event::RouteAdded(route(A[0], B[0]))]);
    // The answer to the check is used up; only that to the nomination selects.
    assert_eq!(drops(&mut agent, now, B[0], &good).unexpected_responses, 3);
    // An error response is no success, even without a code.
    let mut error = answer(nomination.id, &peer.credentials.password).to_vec();
    error[1] = 0x11;
    assert_eq!(drops(&mut agent, now, B[0], &error).unauthenticated, 2);
    agent.handle_datagram(now, route(A[0], B[0]), &answer(nomination.id, &peer.credentials.password));
    assert_eq!((agent.state(), agent.selected()), (State::Connected, Some(route(A[0], B[0]))));
}

/// Forged and random datagrams at both ends while they connect and stay connected.
#[test]
fn a_stream_of_rubbish_changes_nothing() {
    let mut net = unsignalled(Conditions { delay: ms(10), ..Conditions::default() }, seed());
    signal(&mut net);
    let mut rng = seed();
    for round in 0..300_usize {
        // A small generator of its own (xorshift): the network's draws stay as they are.
        let mut bytes = Vec::new();
        for _ in 0..round % 40 {
            rng ^= rng << 13;
            rng ^= rng >> 7;
            rng ^= rng << 17;
            bytes.extend(rng.to_be_bytes());
        }
        if let Some(first) = bytes.first_mut() {
            *first &= 3;
        }
        let payload = Bytes::from(bytes);
        net.inject(
            0,
            Datagram {
                source: address("198.51.100.9:9"),
                destination: address(A[0]),
                payload: payload.clone(),
            },
        );
        net.inject(1, Datagram { source: address(A[1]), destination: address(B[1]), payload });
        net.run_for(ms(100));
    }
    assert!(both_connected(&mut net));
    assert_eq!(net.a.agent.selected(), Some(route(A[1], B[1])));
    assert_eq!((net.a.agent.stats().malformed, net.b.agent.stats().malformed), (300, 300));
    assert_eq!(net.a.states().len(), 2);
}

/// What the fuzzers start from goes through their bodies.
#[test]
fn fuzz_bodies_take_real_messages() {
    for line in include_str!("data/stun.txt").lines().filter(|line| !line.starts_with('#')) {
        let hex = line.rsplit(' ').next().unwrap();
        let byte = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
        let message: Vec<_> = (0..hex.len()).step_by(2).map(byte).collect();
        crate::fuzzing::stun_message(&message);
    }
    for line in include_str!("data/candidates.txt").lines() {
        crate::fuzzing::candidate(line.as_bytes());
    }
    // A request that the fuzzed agents accept: their passwords follow from their seeds.
    let now = Instant::now();
    let keys = [1, 2].map(|seed| Agent::new(Config::default(), [seed; 32], now).local_credentials().clone());
    let mut peer = FullPeer::new();
    peer.credentials = keys[1].clone();
    let (_, request) = peer.request(&keys[0], true);
    crate::fuzzing::stun_message(&request);
}

proptest! {
    /// Any change of any real message is harmless to an agent in any state.
    #[test]
    fn mutated_messages_never_panic(
        position in 0..120_usize, value: u8, cut in 0..120_usize, use_candidate: bool, controlled: bool,
    ) {
        let (mut agent, mut peer, now) = nominated();
        peer.role = if controlled { Role::Controlled } else { Role::Controlling };
        let keys = agent.local_credentials().clone();
        let (_, request) = peer.request(&keys, use_candidate);
        let mut mutated = request.to_vec();
        if let Some(byte) = mutated.get_mut(position) {
            *byte = value;
        }
        mutated.truncate(request.len().saturating_sub(cut / 4));
        agent.handle_datagram(now, route(A[0], B[0]), &mutated);
        let answered = agent.poll_transmit(now, &mut bytes::BytesMut::new()).is_some();
        // The type and the value of FINGERPRINT are not covered by integrity.
        let is_intact = mutated.get(..request.len() - 8) == Some(&request[..request.len() - 8]);
        prop_assert!(is_intact || !answered);
    }
}
