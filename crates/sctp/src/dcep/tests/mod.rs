//! Tests of channels on two joined associations.

mod close;
mod limits;
mod open;
mod random;
mod raw;

use super::entry::Entry;
use super::streams::Direction;
use super::*;
use crate::{CloseReason, Ppid, Reliability};
use bytes::{Bytes, BytesMut};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha12Rng;
use std::time::Duration;

/// Two ends with 10 ms between them, on a clock that jumps.
struct Pair {
    now: Instant,
    ends: [Channels; 2],
    wires: [VecDeque<(Instant, Bytes)>; 2],
    /// Events of each end that nobody has looked at yet.
    events: [Vec<ChannelEvent>; 2],
    rng: ChaCha12Rng,
    /// Of 100 packets.
    loss: u32,
}

const A: usize = 0;
const B: usize = 1;

impl Pair {
    fn new(config: Config, seed: u8) -> Self {
        let now = Instant::now();
        let end = |n: u8, role| {
            let mut end = Channels::new(config.clone(), [seed * 2 + n; 32], now);
            end.set_role(now, role);
            end
        };
        Self {
            now,
            ends: [end(0, Role::Client), end(1, Role::Server)],
            wires: Default::default(),
            events: Default::default(),
            rng: ChaCha12Rng::from_seed([seed; 32]),
            loss: 0,
        }
    }

    fn connect(&mut self) {
        for end in &mut self.ends {
            end.connect(self.now);
        }
        self.run_for(Duration::from_millis(100));
        for events in &mut self.events {
            assert_eq!(events.remove(0), ChannelEvent::Established);
        }
    }

    fn established() -> Self {
        let mut pair = Self::new(Config::default(), 1);
        pair.connect();
        pair
    }

    /// One channel from A to B, open at both ends.
    fn open() -> (Self, ChannelId, ChannelId) {
        Self::open_with(ChannelInit { label: "chat".into(), ..ChannelInit::default() })
    }

    fn open_with(init: ChannelInit) -> (Self, ChannelId, ChannelId) {
        let mut pair = Self::established();
        let (a, b) = pair.open_one(init);
        (pair, a, b)
    }

    fn open_one(&mut self, init: ChannelInit) -> (ChannelId, ChannelId) {
        let a = self.ends[A].open(self.now, init).unwrap();
        self.run_for(Duration::from_millis(30));
        assert_eq!(self.take_events(A), [ChannelEvent::Open(a)]);
        let events = self.take_events(B);
        let [ChannelEvent::Incoming(b), ChannelEvent::Open(_)] = events[..] else { panic!("{events:?}") };
        assert_eq!(events[1], ChannelEvent::Open(b));
        (a, b)
    }

    fn run_for(&mut self, time: Duration) {
        let end = self.now + time;
        loop {
            self.exchange();
            match self.next_time() {
                Some(next) if next <= end => self.advance(next),
                Some(_) | None => break,
            }
        }
        self.now = end;
    }

    fn run_until(&mut self, done: impl Fn(&Self) -> bool) {
        let limit = self.now + Duration::from_secs(600);
        self.exchange();
        while !done(self) {
            let next = self.next_time().expect("nothing will ever happen");
            assert!(next < limit, "stuck");
            self.advance(next);
        }
    }

    fn next_time(&self) -> Option<Instant> {
        let packets = self.wires.iter().filter_map(|wire| wire.front().map(|(time, _)| *time));
        let timers = self.ends.iter().filter_map(Channels::poll_timeout);
        packets.chain(timers).min().map(|time| time.max(self.now))
    }

    fn advance(&mut self, to: Instant) {
        self.now = to;
        for (end, wire) in self.ends.iter_mut().zip(&mut self.wires) {
            while wire.front().is_some_and(|(time, _)| *time <= to) {
                let (_, packet) = wire.pop_front().unwrap();
                end.handle_packet(to, &packet);
            }
            end.handle_timeout(to);
        }
        self.exchange();
    }

    fn exchange(&mut self) {
        for from in [A, B] {
            let mut buffer = BytesMut::new();
            while self.ends[from].poll_transmit(self.now, &mut buffer) {
                let packet = buffer.split().freeze();
                if self.rng.next_u32() % 100 >= self.loss {
                    self.wires[1 - from].push_back((self.now + Duration::from_millis(10), packet));
                }
            }
            while let Some(event) = self.ends[from].poll_event() {
                self.events[from].push(event);
            }
        }
    }

    fn take_events(&mut self, end: usize) -> Vec<ChannelEvent> {
        std::mem::take(&mut self.events[end])
    }

    fn channel(&mut self, end: usize, id: ChannelId) -> Channel<'_> {
        self.ends[end].channel(id).expect("a channel that was not forgotten")
    }

    fn send(&mut self, end: usize, id: ChannelId, text: &str) {
        let now = self.now;
        let data = Bytes::copy_from_slice(text.as_bytes());
        assert_eq!(self.channel(end, id).send(now, MessageKind::Text, data), Ok(()));
    }

    fn received(&mut self, end: usize, id: ChannelId) -> Vec<String> {
        let now = self.now;
        let mut channel = self.channel(end, id);
        std::iter::from_fn(|| channel.recv(now))
            .map(|message| String::from_utf8(message.data.to_vec()).unwrap())
            .collect()
    }

    /// What one end's association sends on a stream beside its channels, as a peer with other rules would.
    fn send_raw(&mut self, end: usize, stream: u16, ppid: u32, data: &[u8]) {
        let data = Bytes::copy_from_slice(data);
        let result = self.ends[end].association.send(
            self.now,
            StreamId(stream),
            Ppid(ppid),
            data,
            true,
            Reliability::Reliable,
        );
        assert_eq!(result, Ok(()));
    }
}
