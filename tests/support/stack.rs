//! Two whole peers on a virtual network.
#![allow(dead_code, reason = "each test binary uses its part")]

use bytes::{Bytes, BytesMut};
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use straits_peer::dtls::Identity;
use straits_peer::ice::Route;
use straits_peer::sctp::{ChannelEvent, ChannelId, ChannelInit, MessageKind, Reliability};
use straits_peer::{
    Config, DescriptionKind, Event, GatheringState, Peer, PeerState, SdpType, SessionDescription,
};
use straits_sim::{Conditions, Datagram, Endpoint, Pair, Simulation, Wire, derive_seed};

/// A peer with one address, its events and what its channels received.
#[derive(Debug)]
pub struct Stack {
    pub peer: Peer,
    pub address: SocketAddr,
    /// Every event so far, in order.
    pub events: Vec<Event>,
    /// Every message so far, in the order it was read.
    pub received: Vec<(ChannelId, MessageKind, Bytes)>,
    /// Whether messages are read as they come.
    pub reads: bool,
    /// Sizes of the datagrams of each run that was sent.
    pub runs: Vec<Vec<usize>>,
    /// How its clock differs from that of the network.
    pub clock: Clock,
    outbox: VecDeque<Datagram>,
    buffer: BytesMut,
}

/// A clock that may be wrong.
#[derive(Clone, Copy, Debug)]
pub enum Clock {
    /// It shows a later time.
    Ahead(Duration),
    /// It shows an earlier time.
    Behind(Duration),
    /// It stands still, and no timer fires.
    Stopped(Instant),
}

impl Stack {
    pub fn new(address: &str, config: Config, seed: [u8; 32], now: Instant) -> Self {
        Self {
            peer: Peer::new(config, Identity::generate().unwrap(), seed, now),
            address: address.parse().unwrap(),
            events: Vec::new(),
            received: Vec::new(),
            reads: true,
            runs: Vec::new(),
            clock: Clock::Ahead(Duration::ZERO),
            outbox: VecDeque::new(),
            buffer: BytesMut::new(),
        }
    }

    /// What its clock shows.
    pub fn time(&self, now: Instant) -> Instant {
        match self.clock {
            Clock::Ahead(by) => now + by,
            Clock::Behind(by) => now - by,
            Clock::Stopped(at) => at,
        }
    }

    /// Takes every event and does what an owner does for them.
    pub fn pump(&mut self, now: Instant) {
        while let Some(event) = self.peer.poll_event() {
            match &event {
                Event::GatheringNeeded => {
                    self.peer.add_local_candidate(now, self.address);
                    self.peer.set_gathering_complete(now);
                }
                Event::Channel(ChannelEvent::Readable(id)) if self.reads => self.read(now, *id),
                _ => {}
            }
            self.events.push(event);
        }
    }

    /// Reads all that waits in a channel.
    pub fn read(&mut self, now: Instant, id: ChannelId) {
        while let Some(message) = self.peer.channel(id).and_then(|mut channel| channel.recv(now)) {
            self.received.push((id, message.kind, message.data));
        }
    }

    /// The channels the other side opened, in order.
    pub fn incoming(&self) -> Vec<ChannelId> {
        (self.events.iter())
            .filter_map(|event| match event {
                Event::Channel(ChannelEvent::Incoming(id)) => Some(*id),
                _ => None,
            })
            .collect()
    }

    /// States of the connection, in order.
    pub fn states(&self) -> Vec<PeerState> {
        (self.events.iter())
            .filter_map(|event| match event {
                Event::ConnectionStateChanged(state) => Some(*state),
                _ => None,
            })
            .collect()
    }

    pub fn saw(&self, wanted: &Event) -> bool {
        self.events.contains(wanted)
    }

    pub fn send(&mut self, now: Instant, id: ChannelId, text: &str) {
        let data = Bytes::copy_from_slice(text.as_bytes());
        self.peer.channel(id).unwrap().send(now, MessageKind::Text, data).unwrap();
    }

    /// The texts received, whatever the channel.
    pub fn texts(&self) -> Vec<&str> {
        self.received.iter().map(|(_, _, data)| std::str::from_utf8(data).unwrap()).collect()
    }
}

impl Endpoint for Stack {
    fn handle_datagram(&mut self, now: Instant, datagram: Datagram) {
        let now = self.time(now);
        let route = Route { local: datagram.destination, remote: datagram.source };
        self.peer.handle_datagram(now, route, &datagram.payload);
        self.pump(now);
    }

    fn handle_timeout(&mut self, now: Instant) {
        let now = self.time(now);
        self.peer.handle_timeout(now);
        self.pump(now);
    }

    fn poll_transmit(&mut self, now: Instant) -> Option<Datagram> {
        let now = self.time(now);
        self.pump(now);
        if self.outbox.is_empty()
            && let Some(transmit) = self.peer.poll_transmit(now, 10, &mut self.buffer)
        {
            assert_eq!(transmit.size, self.buffer.len(), "a run is all that was written");
            let mut rest = self.buffer.split().freeze();
            let mut sizes = Vec::new();
            while !rest.is_empty() {
                let segment = transmit.segment_size.unwrap_or(rest.len()).min(rest.len());
                sizes.push(segment);
                self.outbox.push_back(Datagram {
                    source: transmit.route.local,
                    destination: transmit.route.remote,
                    payload: rest.split_to(segment),
                });
            }
            self.runs.push(sizes);
        }
        self.outbox.pop_front()
    }

    fn poll_timeout(&self) -> Option<Instant> {
        match self.clock {
            Clock::Ahead(by) => self.peer.poll_timeout()?.checked_sub(by),
            Clock::Behind(by) => self.peer.poll_timeout()?.checked_add(by),
            Clock::Stopped(_) => None,
        }
    }
}

/// The offerer is `a`, the answerer is `b`.
pub type Net = Pair<Stack>;

/// Two peers that have not begun, joined by a link of 5 ms each way.
pub fn strangers(seed: u64) -> Net {
    let wire = Wire::new();
    let now = wire.now();
    let a = Stack::new("192.0.2.1:4000", Config::default(), derive_seed(seed, 0), now);
    let b = Stack::new("192.0.2.2:5000", Config::default(), derive_seed(seed, 1), now);
    let conditions = Conditions { delay: Duration::from_millis(5), ..Conditions::default() };
    Pair::starting_at(wire, a, b, conditions, seed)
}

/// What `setLocalDescription()` without argument sets.
pub fn implied(kind: SdpType) -> SessionDescription {
    SessionDescription { kind, sdp: String::new() }
}

/// Offer and answer, with all candidates inside the descriptions.
pub fn negotiate(net: &mut Net) {
    negotiate_with(net, |description| description);
}

/// The same; `tamper` stands between the two and sees both descriptions.
pub fn negotiate_with(net: &mut Net, mut tamper: impl FnMut(SessionDescription) -> SessionDescription) {
    let now = net.now();
    net.a.peer.set_local_description(now, &implied(SdpType::Offer)).unwrap();
    net.a.pump(now);
    assert_eq!(net.a.peer.gathering_state(), GatheringState::Complete);
    let offer = tamper(net.a.peer.description(DescriptionKind::PendingLocal).unwrap());
    net.b.peer.set_remote_description(now, &offer).unwrap();
    net.b.peer.set_local_description(now, &implied(SdpType::Answer)).unwrap();
    net.b.pump(now);
    let answer = tamper(net.b.peer.description(DescriptionKind::CurrentLocal).unwrap());
    net.a.peer.set_remote_description(now, &answer).unwrap();
    net.a.pump(now);
}

/// Replaces the fingerprint of a description by that of a certificate nobody holds.
pub fn with_wrong_fingerprint(mut description: SessionDescription) -> SessionDescription {
    let start = description.sdp.find("a=fingerprint:sha-256 ").unwrap() + "a=fingerprint:sha-256 ".len();
    let digest: String = ["AB"; 32].join(":");
    description.sdp.replace_range(start..start + digest.len(), &digest);
    description
}

/// A channel's init with a label and the defaults of the W3C dictionary.
pub fn labelled(label: &str) -> ChannelInit {
    ChannelInit {
        label: label.to_owned(),
        protocol: String::new(),
        ordered: true,
        reliability: Reliability::Reliable,
        priority: 256,
        negotiated: None,
    }
}

/// Two connected peers with one channel, opened by `a`: its ids on both sides.
pub fn connected(seed: u64) -> (Net, ChannelId, ChannelId) {
    let mut net = strangers(seed);
    let now = net.now();
    let ours = net.a.peer.open_channel(now, labelled("sendChannel")).unwrap();
    negotiate(&mut net);
    net.run_until(Duration::from_secs(5), |net| {
        net.a.saw(&Event::Channel(ChannelEvent::Open(ours))) && !net.b.incoming().is_empty()
    });
    let theirs = net.b.incoming()[0];
    (net, ours, theirs)
}
