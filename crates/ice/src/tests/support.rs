//! Agents on the virtual network, and a peer made by hand.

use crate::stun::{Authenticated, Class, Request, Scanned, TransactionId};
use crate::{Agent, Config, Credentials, Event, Mode, Role, Route, State};
use bytes::{Bytes, BytesMut};
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use straits_sim::{Conditions, Datagram, Endpoint, Pair, Simulation as _, Wire, derive_seed};

/// An agent with its owner: hands datagrams for its addresses in and keeps the events.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) agent: Agent,
    pub(super) events: Vec<(Instant, Event)>,
}

impl Node {
    pub(super) fn new(now: Instant, seed: u64, stream: u64, config: Config) -> Self {
        Self { agent: Agent::new(config, derive_seed(seed, stream), now), events: Vec::new() }
    }

    /// The events so far, which are forgotten.
    pub(super) fn take_events(&mut self) -> Vec<Event> {
        self.drain(self.events.last().map_or_else(Instant::now, |&(at, _)| at));
        self.events.drain(..).map(|(_, event)| event).collect()
    }

    /// When the agent reached each state.
    pub(super) fn states(&self) -> Vec<(Instant, State)> {
        let state = |(at, event): &(Instant, Event)| match event {
            Event::StateChanged(state) => Some((*at, *state)),
            _ => None,
        };
        self.events.iter().filter_map(state).collect()
    }

    /// A restart; the owner finds the same addresses again.
    pub(super) fn restart(&mut self, now: Instant) {
        let addresses: Vec<_> =
            self.agent.local_candidates().iter().filter_map(crate::Candidate::udp_address).collect();
        let was_complete = self.agent.is_gathering_complete();
        self.agent.restart(now);
        addresses.into_iter().for_each(|address| self.agent.add_local_candidate(now, address));
        if was_complete {
            self.agent.set_gathering_complete(now);
        }
    }

    pub(super) fn drain(&mut self, now: Instant) {
        self.events.extend(std::iter::from_fn(|| self.agent.poll_event()).map(|event| (now, event)));
    }
}

impl Endpoint for Node {
    fn handle_datagram(&mut self, now: Instant, datagram: Datagram) {
        let is_ours =
            |address| self.agent.local_candidates().iter().any(|own| own.udp_address() == Some(address));
        if is_ours(datagram.destination) {
            let route = Route { local: datagram.destination, remote: datagram.source };
            self.agent.handle_datagram(now, route, &datagram.payload);
        }
        self.drain(now);
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.agent.handle_timeout(now);
        self.drain(now);
    }

    fn poll_transmit(&mut self, now: Instant) -> Option<Datagram> {
        let mut buffer = BytesMut::new();
        let Route { local, remote } = self.agent.poll_transmit(now, &mut buffer)?;
        Some(Datagram { source: local, destination: remote, payload: buffer.freeze() })
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.agent.poll_timeout()
    }
}

pub(super) fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

pub(super) fn ms(value: u64) -> Duration {
    Duration::from_millis(value)
}

pub(super) fn secs(value: u64) -> Duration {
    Duration::from_secs(value)
}

/// Addresses of the two ends, in the order in which they are added.
pub(super) const A: [&str; 2] = ["192.0.2.1:5000", "[2001:db8::1]:5000"];
pub(super) const B: [&str; 2] = ["192.0.2.2:6000", "[2001:db8::2]:6000"];

/// Two lite agents with their addresses, `a` controlling; nothing is signalled yet.
pub(super) fn unsignalled(conditions: Conditions, seed: u64) -> Pair<Node> {
    configured(Config::default(), conditions, seed)
}

/// The same with settings.
pub(super) fn configured(config: Config, conditions: Conditions, seed: u64) -> Pair<Node> {
    let wire = Wire::new();
    let now = wire.now();
    let [mut a, mut b] = [0, 1].map(|stream| Node::new(now, seed, stream, config.clone()));
    a.agent.set_role(now, Role::Controlling);
    for (node, addresses) in [(&mut a, A), (&mut b, B)] {
        addresses.iter().for_each(|text| node.agent.add_local_candidate(now, address(text)));
        node.agent.set_gathering_complete(now);
    }
    Pair::starting_at(wire, a, b, conditions, seed)
}

/// Carries credentials and candidates both ways.
pub(super) fn signal(net: &mut Pair<Node>) {
    let now = net.now();
    signal_one_way(now, &net.b.agent, &mut net.a.agent);
    signal_one_way(now, &net.a.agent, &mut net.b.agent);
}

pub(super) fn signal_one_way(now: Instant, from: &Agent, to: &mut Agent) {
    for candidate in from.local_candidates() {
        to.add_remote_candidate(now, candidate.to_string().parse().unwrap()).unwrap();
    }
    to.set_remote_credentials(now, from.local_credentials().clone(), Mode::Lite);
    to.set_remote_gathering_complete(now);
}

pub(super) fn both_connected(net: &mut Pair<Node>) -> bool {
    [&net.a, &net.b].iter().all(|node| node.agent.state() == State::Connected)
}

/// Two lite agents that are connected, their events forgotten.
pub(super) fn connected(conditions: Conditions, seed: u64) -> Pair<Node> {
    let mut net = unsignalled(conditions, seed);
    signal(&mut net);
    net.run_until(secs(30), both_connected);
    net.a.take_events();
    net.b.take_events();
    net
}

/// A full peer made by hand, which says exactly what a test tells it to.
pub(super) struct FullPeer {
    pub(super) credentials: Credentials,
    pub(super) role: Role,
    pub(super) tie_breaker: u64,
    count: u64,
}

impl FullPeer {
    pub(super) fn new() -> Self {
        let credentials = Credentials::new("full", "fullfullfullfullfullfull").unwrap();
        Self { credentials, role: Role::Controlling, tie_breaker: 7, count: 0 }
    }

    /// A new request to an agent with these credentials.
    pub(super) fn request(&mut self, to: &Credentials, use_candidate: bool) -> (TransactionId, Bytes) {
        self.count += 1;
        let mut transaction_id = [0xAB; 12];
        transaction_id[..8].copy_from_slice(&self.count.to_be_bytes());
        let request = Request {
            transaction_id,
            remote_ufrag: &to.ufrag,
            local_ufrag: &self.credentials.ufrag,
            priority: 0x6e00_1234,
            role: self.role,
            tie_breaker: self.tie_breaker,
            use_candidate,
        };
        let mut buffer = BytesMut::new();
        assert!(request.write(&to.password, &mut buffer));
        (transaction_id, buffer.freeze())
    }
}

/// What an agent sends, read with the given password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Sent {
    pub(super) route: Route,
    pub(super) class: Class,
    pub(super) id: TransactionId,
    pub(super) message: Authenticated,
}

/// Everything that the agent has to send.
pub(super) fn sent(agent: &mut Agent, now: Instant, password: &str) -> Vec<Sent> {
    let mut all = Vec::new();
    let mut buffer = BytesMut::new();
    while let Some(route) = agent.poll_transmit(now, &mut buffer) {
        let datagram = buffer.split();
        let scanned = Scanned::scan(&datagram).unwrap();
        let (class, id) = (scanned.class, scanned.transaction_id);
        all.push(Sent { route, class, id, message: scanned.authenticate(password).unwrap() });
    }
    all
}

pub(super) fn events(agent: &mut Agent) -> Vec<Event> {
    std::iter::from_fn(|| agent.poll_event()).collect()
}

pub(super) fn route(local: &str, remote: &str) -> Route {
    Route { local: address(local), remote: address(remote) }
}

/// A lite agent with one address that waits for a full peer, and the time.
pub(super) fn lite_with_full(peer: &FullPeer) -> (Agent, Instant) {
    let now = Instant::now();
    let mut agent = Agent::new(Config::default(), [5; 32], now);
    agent.add_local_candidate(now, address(A[0]));
    agent.set_remote_credentials(now, peer.credentials.clone(), Mode::Full);
    events(&mut agent);
    (agent, now)
}
