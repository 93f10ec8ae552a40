//! Data channels over rough networks (RFC 8831, RFC 8832).

use super::*;
use crate::wire;
use crate::{
    ChannelCloseReason, ChannelEvent, ChannelId, ChannelInit, ChannelState, Channels, MessageKind, Role,
};
use straits_sim::{Verdict, seed};

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

/// Whether a packet answers a request to reset streams (RFC 6525 §4.4).
fn answers_a_reset(packet: &[u8]) -> bool {
    let (_, chunks) = wire::parse(packet, true).expect("own packets are sound");
    chunks.flatten().any(|chunk| {
        let wire::Chunk::ReConfig(reconfig) = chunk else { return false };
        let mut parameters = reconfig.parameters.iter().flatten();
        parameters.any(|parameter| matches!(parameter, wire::ReconfigParameter::Response { .. }))
    })
}

/// RFC 8831 §6.7: who knows that both directions were reset may use the stream again, before the other side does: what it
/// sends there, and that it closes it, is for the next channel.
#[test]
fn a_stream_that_the_peer_uses_again_first() {
    for closes in [false, true] {
        let mut net = net(calm(), seed());
        let now = net.now();
        let first = net.b.channels.open(now, init("first")).unwrap();
        net.run_until_idle();
        let now = net.now();
        let there = net.a.incoming()[0];
        net.b.channels.channel(first).unwrap().send(now, MessageKind::Text, "unread".into()).unwrap();
        // b performs the reset of a, and a does not hear of it.
        net.b_to_a.set_filter(
            |_, datagram| {
                if answers_a_reset(&datagram.payload) { Verdict::Drop } else { Verdict::Pass }
            },
        );
        net.a.channels.channel(there).unwrap().close(now);
        net.run_until(ms(60_000), |net| net.b.state(first) == Some(ChannelState::Closed));
        assert_eq!(net.a.state(there), Some(ChannelState::Closing));
        let now = net.now();
        let second = net.b.channels.open(now, init("second")).unwrap();
        let streams = [first, second].map(|id| net.b.channels.channel(id).unwrap().stream_id());
        assert_eq!(streams[0], streams[1]);
        let mut channel = net.b.channels.channel(second).unwrap();
        channel.send(now, MessageKind::Text, "for the second".into()).unwrap();
        if closes {
            channel.close(now);
        }
        net.run_for(ms(200));
        let now = net.now();
        assert_eq!(net.a.channels.channel(there).unwrap().recv(now), None);
        net.b_to_a.clear_filter();
        net.run_until_idle();
        let second_there = net.a.incoming()[1];
        assert_eq!(net.a.received[&there], ["unread"]);
        assert_eq!(net.a.received[&second_there], ["for the second"]);
        let mut closed = vec![(there, ChannelCloseReason::LocalClose)];
        closed.extend(closes.then_some((second_there, ChannelCloseReason::RemoteClose)));
        assert_eq!(net.a.closed(), closed);
        let state = if closes { ChannelState::Closed } else { ChannelState::Open };
        assert_eq!((net.a.state(second_there), net.b.state(second)), (Some(state), Some(state)));
        assert!(net.elapsed() < ms(25_000), "before the peer is given up: {:?}", net.elapsed());
    }
}
