//! Two whole peers joined in memory: SCTP, DTLS and demultiplexing without sockets.

use bytes::{Bytes, BytesMut};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use straits_peer::dtls::Identity;
use straits_peer::ice::Route;
use straits_peer::sctp::{ChannelEvent, ChannelId, ChannelInit, MessageKind, Reliability};
use straits_peer::{Config, DescriptionKind, Event, Peer, SdpType, SessionDescription};

/// One side, with the channel it uses.
struct Side {
    peer: Peer,
    address: SocketAddr,
    channel: Option<ChannelId>,
    is_open: bool,
}

impl Side {
    fn new(address: &str, seed: u8, now: Instant) -> Self {
        let identity = Identity::generate().expect("OpenSSL makes certificates");
        let peer = Peer::new(Config::default(), identity, [seed; 32], now);
        Self { peer, address: address.parse().expect("an address"), channel: None, is_open: false }
    }

    fn pump(&mut self, now: Instant) {
        while let Some(event) = self.peer.poll_event() {
            match event {
                Event::GatheringNeeded => {
                    self.peer.add_local_candidate(now, self.address);
                    self.peer.set_gathering_complete(now);
                }
                Event::Channel(ChannelEvent::Incoming(id)) => self.channel = Some(id),
                Event::Channel(ChannelEvent::Open(_)) => self.is_open = true,
                _ => {}
            }
        }
    }
}

struct Pair {
    now: Instant,
    a: Side,
    b: Side,
    buffer: BytesMut,
}

impl Pair {
    fn connected() -> Self {
        let now = Instant::now();
        let mut a = Side::new("192.0.2.1:4000", 1, now);
        let mut b = Side::new("192.0.2.2:5000", 2, now);
        a.channel = Some(a.peer.open_channel(now, init()).expect("ids are free"));
        let implied = |kind| SessionDescription { kind, sdp: String::new() };
        a.peer.set_local_description(now, &implied(SdpType::Offer)).expect("stable");
        a.pump(now);
        let offer = a.peer.description(DescriptionKind::PendingLocal).expect("set");
        b.peer.set_remote_description(now, &offer).expect("our own offer");
        b.peer.set_local_description(now, &implied(SdpType::Answer)).expect("an offer is pending");
        b.pump(now);
        let answer = b.peer.description(DescriptionKind::CurrentLocal).expect("set");
        a.peer.set_remote_description(now, &answer).expect("our own answer");
        let mut pair = Self { now, a, b, buffer: BytesMut::new() };
        while !(pair.a.is_open && pair.b.is_open) {
            pair.now += Duration::from_millis(1);
            pair.exchange();
        }
        pair
    }

    fn exchange(&mut self) {
        self.now += Duration::from_micros(20);
        carry(self.now, &mut self.a.peer, &mut self.b.peer, &mut self.buffer, 1);
        carry(self.now, &mut self.b.peer, &mut self.a.peer, &mut self.buffer, usize::MAX);
        for side in [&mut self.a, &mut self.b] {
            if side.peer.poll_timeout().is_some_and(|deadline| deadline <= self.now) {
                side.peer.handle_timeout(self.now);
            }
            side.pump(self.now);
        }
    }

    fn transfer(&mut self, message: &Bytes, count: usize) {
        let (outgoing, incoming) = (self.a.channel.expect("open"), self.b.channel.expect("open"));
        let mut sent = 0;
        let mut received = 0;
        while received < count {
            let mut channel = self.a.peer.channel(outgoing).expect("open");
            while sent < count && channel.is_writable() {
                channel.send(self.now, MessageKind::Binary, message.clone()).expect("writable");
                sent += 1;
            }
            self.exchange();
            let mut channel = self.b.peer.channel(incoming).expect("open");
            while let Some(message) = channel.recv(self.now) {
                black_box(message);
                received += 1;
            }
        }
    }
}

/// Carries up to `runs` runs of ten datagrams from one peer to the other.
fn carry(now: Instant, from: &mut Peer, to: &mut Peer, buffer: &mut BytesMut, runs: usize) {
    for _ in 0..runs {
        buffer.clear();
        let Some(transmit) = from.poll_transmit(now, 10, buffer) else { break };
        let route = Route { local: transmit.route.remote, remote: transmit.route.local };
        for datagram in buffer.chunks(transmit.segment_size.unwrap_or(transmit.size)) {
            to.handle_datagram(now, route, datagram);
        }
    }
}

fn init() -> ChannelInit {
    ChannelInit {
        label: "bench".to_owned(),
        protocol: String::new(),
        ordered: true,
        reliability: Reliability::Reliable,
        priority: 256,
        negotiated: None,
    }
}

fn messages(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("stack");
    for (size, count) in [(64, 4096), (16 * 1024, 128)] {
        let mut pair = Pair::connected();
        let message = Bytes::from(vec![0x5a; size]);
        group.throughput(Throughput::Elements(count as u64));
        group.bench_function(format!("{size} B messages"), |bencher| {
            bencher.iter(|| pair.transfer(&message, count));
        });
    }
    group.finish();
}

criterion_group!(benches, messages);
criterion_main!(benches);
