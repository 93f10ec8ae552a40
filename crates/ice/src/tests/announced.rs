//! Addresses behind a NAT that the owner knows (RFC 8445 §5.1.1.2 learns them from a STUN server instead).

use super::support::*;
use crate::stun::Class;
use crate::{Agent, Candidate, Config, Event, Mode, Role, Route};
use std::time::Instant;

/// The peer is told one address; checks leave from all that it may stand for, with the priority of what was told.
#[test]
fn the_peer_is_told_one_address_and_checked_from_each() {
    let now = Instant::now();
    let mut agent = Agent::new(Config::default(), [3; 32], now);
    agent.set_role(now, Role::Controlling);
    let own = ["10.0.0.5:3478", "10.1.0.5:3478"];
    for address_of_ours in [own[0], own[1], own[0], "0.0.0.0:3478", "10.0.0.5:0", "239.0.0.1:3478"] {
        agent.add_announced_candidate(now, address(address_of_ours), address("203.0.113.7:443"));
    }
    agent.add_announced_candidate(now, address("10.2.0.5:3478"), address("0.0.0.0:443"));
    let told: Vec<String> = agent.local_candidates().iter().map(Candidate::to_string).collect();
    let ufrag = agent.local_credentials().ufrag.clone();
    assert_eq!(told, [format!("candidate:1 1 udp 2130706175 203.0.113.7 443 typ host ufrag {ufrag}")]);
    assert_eq!(events(&mut agent), [Event::LocalCandidate(agent.local_candidates()[0].clone())]);

    let peer = FullPeer::new().credentials;
    agent.set_remote_credentials(now, peer.clone(), Mode::Lite);
    let candidate = "candidate:1 1 udp 2130706431 198.51.100.1 9000 typ host".parse().unwrap();
    agent.add_remote_candidate(now, candidate).unwrap();
    let mut checks = sent(&mut agent, now, &peer.password);
    let later = now + ms(50);
    agent.handle_timeout(later);
    checks.extend(sent(&mut agent, later, &peer.password));
    let routes: Vec<Route> = checks.iter().map(|check| check.route).collect();
    assert_eq!(routes, own.map(|own| route(own, "198.51.100.1:9000")));
    for check in checks {
        // RFC 8445 §7.1.1: the type preference of a peer-reflexive candidate, else as the candidate has it.
        let priority = 2_130_706_175 - (126 << 24) + (110 << 24);
        assert_eq!((check.class, check.message.attributes.priority), (Class::Request, Some(priority)));
    }

    // A restart asks for the addresses anew.
    agent.restart(now);
    assert_eq!(agent.local_candidates(), []);
    agent.add_announced_candidate(now, address(own[0]), address("203.0.113.7:443"));
    assert_eq!(agent.local_candidates().len(), 1);
}
