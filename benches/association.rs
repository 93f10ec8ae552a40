//! Two SCTP associations joined in memory: what the engine costs without DTLS and sockets.

use bytes::{Bytes, BytesMut};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;
use std::time::{Duration, Instant};
use straits_sctp::{ChannelEvent, ChannelId, ChannelInit, Channels, Config, MessageKind, Reliability, Role};

/// Two connected `Channels` with one channel between them, under a clock that this file moves.
struct Pair {
    now: Instant,
    sender: Channels,
    receiver: Channels,
    outgoing: ChannelId,
    incoming: ChannelId,
    packet: BytesMut,
}

impl Pair {
    fn connected(config: &Config) -> Self {
        let now = Instant::now();
        let mut sender = Channels::new(config.clone(), [1; 32], now);
        let mut receiver = Channels::new(config.clone(), [2; 32], now);
        sender.set_role(now, Role::Client);
        receiver.set_role(now, Role::Server);
        let outgoing = sender.open(now, init()).expect("ids are free");
        sender.connect(now);
        receiver.connect(now);
        let mut pair = Self { now, sender, receiver, outgoing, incoming: outgoing, packet: BytesMut::new() };
        let mut incoming = None;
        while incoming.is_none() {
            pair.exchange();
            while let Some(event) = pair.receiver.poll_event() {
                if let ChannelEvent::Incoming(id) = event {
                    incoming = Some(id);
                }
            }
        }
        pair.incoming = incoming.expect("the loop ended");
        pair
    }

    /// Carries up to ten packets there and everything back, as a driver with runs of ten does. True if anything moved.
    fn exchange(&mut self) -> bool {
        self.now += Duration::from_micros(20);
        let mut moved = false;
        for _ in 0..10 {
            self.packet.clear();
            if !self.sender.poll_transmit(self.now, &mut self.packet) {
                break;
            }
            self.receiver.handle_packet(self.now, &self.packet);
            moved = true;
        }
        loop {
            self.packet.clear();
            if !self.receiver.poll_transmit(self.now, &mut self.packet) {
                break;
            }
            self.sender.handle_packet(self.now, &self.packet);
            moved = true;
        }
        for side in [&mut self.sender, &mut self.receiver] {
            if side.poll_timeout().is_some_and(|deadline| deadline <= self.now) {
                side.handle_timeout(self.now);
            }
        }
        moved
    }

    /// Sends `count` copies of `message` and reads them at the other end.
    fn transfer(&mut self, message: &Bytes, count: usize) {
        let mut sent = 0;
        let mut received = 0;
        while received < count {
            let mut channel = self.sender.channel(self.outgoing).expect("open");
            while sent < count && channel.is_writable() {
                channel.send(self.now, MessageKind::Binary, message.clone()).expect("writable");
                sent += 1;
            }
            self.exchange();
            let mut channel = self.receiver.channel(self.incoming).expect("open");
            while let Some(message) = channel.recv(self.now) {
                black_box(message);
                received += 1;
            }
            while self.sender.poll_event().is_some() || self.receiver.poll_event().is_some() {}
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
    let mut group = criterion.benchmark_group("association");
    for (size, count) in [(64, 4096), (1200, 1024), (16 * 1024, 128), (64 * 1024, 32)] {
        let mut pair = Pair::connected(&Config::default());
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
