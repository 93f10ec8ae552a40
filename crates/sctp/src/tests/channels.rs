//! Data channels over rough networks (RFC 8831, RFC 8832).

use super::*;
use crate::{
    ChannelCloseReason, ChannelEvent, ChannelId, ChannelInit, ChannelState, Channels, MessageKind, Role,
};
use straits_sim::seed;

/// Channels and their owner, who reads everything.
struct Owner {
    channels: Channels,
    events: Vec<ChannelEvent>,
    received: BTreeMap<ChannelId, Vec<Bytes>>,
}

impl Owner {
    fn new(role: Role, seed: [u8; 32], now: Instant) -> Self {
        let mut channels = Channels::new(quiet(), seed, now);
        channels.set_role(now, role);
        channels.connect(now);
        Self { channels, events: Vec::new(), received: BTreeMap::new() }
    }

    fn state(&mut self, id: ChannelId) -> Option<ChannelState> {
        self.channels.channel(id).map(|channel| channel.state())
    }

    /// The ids of the channels the peer opened, in order.
    fn incoming(&self) -> Vec<ChannelId> {
        let incoming = self.events.iter().filter_map(|event| match event {
            ChannelEvent::Incoming(id) => Some(*id),
            _ => None,
        });
        incoming.collect()
    }

    fn closed(&self) -> Vec<(ChannelId, ChannelCloseReason)> {
        let closed = self.events.iter().filter_map(|event| match event {
            ChannelEvent::Closed(id, reason) => Some((*id, reason.clone())),
            _ => None,
        });
        closed.collect()
    }

    fn settle(&mut self, now: Instant) {
        while let Some(event) = self.channels.poll_event() {
            if let ChannelEvent::Readable(id) = event
                && let Some(mut channel) = self.channels.channel(id)
            {
                let messages = std::iter::from_fn(|| channel.recv(now));
                self.received.entry(id).or_default().extend(messages.map(|message| message.data));
            } else {
                self.events.push(event);
            }
        }
    }

    fn packet(&mut self, now: Instant) -> Option<Datagram> {
        let mut buffer = BytesMut::new();
        self.channels.poll_transmit(now, &mut buffer).then(|| datagram(buffer.freeze()))
    }
}

impl Endpoint for Owner {
    fn handle_datagram(&mut self, now: Instant, datagram: Datagram) {
        self.channels.handle_packet(now, &datagram.payload);
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.channels.handle_timeout(now);
    }

    fn poll_transmit(&mut self, now: Instant) -> Option<Datagram> {
        self.packet(now).or_else(|| {
            self.settle(now);
            self.packet(now)
        })
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.channels.poll_timeout()
    }
}

type Net = straits_sim::Pair<Owner>;

fn net(conditions: Conditions, seed: u64) -> Net {
    let wire = Wire::new();
    let a = Owner::new(Role::Client, derive_seed(seed, 0), wire.now());
    let b = Owner::new(Role::Server, derive_seed(seed, 1), wire.now());
    straits_sim::Pair::starting_at(wire, a, b, conditions, seed)
}

fn init(label: &str) -> ChannelInit {
    ChannelInit { label: label.into(), ..ChannelInit::default() }
}

/// Opened, used, closed without loss of anything that was sent before, and opened again on the same stream.
#[test]
fn open_send_close_open() {
    let seed = seed();
    for (number, loss) in [0.0, 0.05, 0.05, 0.2, 0.2, 0.2].into_iter().enumerate() {
        let mut net = net(rough(loss, 0.2, 0.1), seed.wrapping_add(number as u64));
        for round in 0..4_usize {
            let now = net.now();
            let id = net.a.channels.open(now, init("channel")).unwrap();
            net.run_until(ms(60_000), |net| net.a.state(id) == Some(ChannelState::Open));
            let now = net.now();
            for number in 0..40 {
                let data = patterned(number, 1 + number * 100);
                net.a.channels.channel(id).unwrap().send(now, MessageKind::Binary, data).unwrap();
            }
            net.a.channels.channel(id).unwrap().close(now);
            net.run_until_idle();
            let there = *net.b.incoming().last().unwrap();
            let expected: Vec<_> = (0..40).map(|number| patterned(number, 1 + number * 100)).collect();
            assert!(net.b.received[&there] == expected, "round {round}, loss {loss}");
            assert_eq!(net.a.closed(), [(id, ChannelCloseReason::LocalClose)], "round {round}, loss {loss}");
            assert_eq!(net.b.closed(), [(there, ChannelCloseReason::RemoteClose)], "round {round}");
            net.a.events.clear();
            net.b.events.clear();
        }
    }
}

/// Both sides open and close many at once; none is left over, none is closed twice.
#[test]
fn many_channels_both_ways() {
    let seed = seed();
    for (number, loss) in [0.0, 0.05, 0.2].into_iter().enumerate() {
        let mut net = net(rough(loss, 0.2, 0.1), seed.wrapping_add(number as u64));
        let now = net.now();
        let opened = |owner: &mut Owner| -> Vec<ChannelId> {
            (0..50).map(|number| owner.channels.open(now, init(&number.to_string())).unwrap()).collect()
        };
        let (from_a, from_b) = (opened(&mut net.a), opened(&mut net.b));
        net.run_until_idle();
        assert_eq!((net.a.incoming().len(), net.b.incoming().len()), (50, 50));
        let now = net.now();
        for &id in &from_a {
            assert_eq!(net.a.state(id), Some(ChannelState::Open));
            net.a.channels.channel(id).unwrap().send(now, MessageKind::Text, "from a".into()).unwrap();
            net.a.channels.channel(id).unwrap().close(now);
        }
        // b closes its own, and half of those that a is closing too.
        let crossing = net.b.incoming().into_iter().take(25);
        for id in from_b.iter().copied().chain(crossing) {
            net.b.channels.channel(id).unwrap().close(now);
        }
        net.run_until_idle();
        for owner in [&net.a, &net.b] {
            let mut closed: Vec<_> = owner.closed().into_iter().map(|(id, _)| id).collect();
            closed.sort();
            closed.dedup();
            assert_eq!((owner.closed().len(), closed.len()), (100, 100), "loss {loss}");
        }
        let received: usize = net.b.received.values().map(Vec::len).sum();
        assert_eq!(received, 50, "loss {loss}");
        assert_eq!(net.a.channels.association().state(), State::Established);
    }
}
