//! Bodies of the fuzz targets.

use crate::stun::Scanned;
use crate::{Agent, Candidate, Config, Credentials, Mode, Role, Route};
use bytes::BytesMut;
use std::time::{Duration, Instant};

/// A datagram goes into both kinds of agent, whose passwords are known: those of seeds 1 and 2.
///
/// What an agent sends in answer must be a message that the other end can read.
pub fn stun_message(bytes: &[u8]) {
    let now = Instant::now();
    let mut agents = connected(now);
    let ufrag = crate::local_ufrag(bytes);
    assert!(ufrag.is_none_or(|ufrag| !ufrag.contains(':')));
    for index in 0..2 {
        let [agent, peer] = &mut agents;
        let (agent, peer) = if index == 0 { (agent, peer) } else { (peer, agent) };
        let route = Route { local: ([192, 0, 2, 1], 5000).into(), remote: ([192, 0, 2, 2], 6000).into() };
        agent.handle_datagram(now, route, bytes);
        let later = now + Duration::from_secs(1);
        let mut buffer = BytesMut::new();
        while agent.poll_transmit(later, &mut buffer).is_some() {
            let sent = buffer.split();
            let scanned = Scanned::scan(&sent).expect("what an agent sends is well formed");
            let keys = [agent.local_credentials(), peer.local_credentials()];
            let readable = keys.iter().any(|keys| scanned.clone().authenticate(&keys.password).is_ok());
            assert!(readable, "what an agent sends is sealed with a known password");
        }
        while agent.poll_event().is_some() {}
        agent.handle_timeout(later);
        _ = agent.poll_timeout();
    }
    // The decoder behind the password, reached without it.
    if let Ok(scanned) = Scanned::scan(bytes) {
        _ = scanned.decode();
    }
}

/// A candidate line is an error, or reads the same again after it was written.
pub fn candidate(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let Ok(candidate) = text.parse::<Candidate>() else {
        return;
    };
    assert_eq!(candidate.to_string().parse().as_ref(), Ok(&candidate));
    let now = Instant::now();
    let [mut agent, _] = connected(now);
    agent.add_remote_candidate(now, candidate).expect("one candidate is not too many");
}

/// A controlling and a controlled agent with each other's credentials, nothing exchanged yet.
fn connected(now: Instant) -> [Agent; 2] {
    let mut agents = [1, 2].map(|seed| Agent::new(Config::default(), [seed; 32], now));
    let credentials: [Credentials; 2] =
        [0, 1].map(|index: usize| agents[1 - index].local_credentials().clone());
    agents[0].set_role(now, Role::Controlling);
    for (agent, credentials) in agents.iter_mut().zip(credentials) {
        agent.add_local_candidate(now, ([192, 0, 2, 1], 5000).into());
        agent.set_remote_credentials(now, credentials, Mode::Lite);
    }
    agents
}
