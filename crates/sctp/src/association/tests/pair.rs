//! Two associations joined in memory: set-up, data, resets and the end, with and without loss.

use crate::{Association, CloseReason, Config, Event, Ppid, Reliability, State, StreamId};
use bytes::{Bytes, BytesMut};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha12Rng;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Two associations and the packets between them, on a clock that jumps.
pub(super) struct Pair {
    pub(super) now: Instant,
    pub(super) ends: [Association; 2],
    /// Packets on their way to each end, with the time of their arrival.
    wires: [VecDeque<(Instant, Bytes)>; 2],
    /// Events of each end so far.
    pub(super) events: [Vec<Event>; 2],
    rng: ChaCha12Rng,
    /// Of 100 packets.
    pub(super) loss: u32,
    /// Whether to drop the next packet (the lowest bit), the one after it, and so on.
    drops: u32,
}

impl Pair {
    pub(super) fn new(seed: u8, loss: u32) -> Self {
        Self::with(Config::default(), seed, loss)
    }

    pub(super) fn with(config: Config, seed: u8, loss: u32) -> Self {
        let now = Instant::now();
        let end = |n: u8| Association::new(config.clone(), [seed.wrapping_mul(2).wrapping_add(n); 32], now);
        Self {
            now,
            ends: [end(0), end(1)],
            wires: Default::default(),
            events: Default::default(),
            rng: ChaCha12Rng::from_seed([seed; 32]),
            loss,
            drops: 0,
        }
    }

    /// Both ends connect, and what follows is let happen.
    pub(super) fn established(seed: u8, loss: u32) -> Self {
        let mut pair = Self::new(seed, loss);
        for end in &mut pair.ends {
            end.connect(pair.now);
        }
        pair.run_until(|pair| pair.ends.iter().all(|end| end.state() == State::Established));
        pair
    }

    /// Moves packets and time until `done`, at most for ten minutes.
    pub(super) fn run_until(&mut self, done: impl Fn(&Self) -> bool) {
        let limit = self.now + Duration::from_secs(600);
        while !done(self) {
            assert!(self.step() && self.now < limit, "stuck: {:#?}", self.ends);
        }
    }

    pub(super) fn run_for(&mut self, time: Duration) {
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

    /// The next thing that happens; false: nothing ever will.
    fn step(&mut self) -> bool {
        self.exchange();
        match self.next_time() {
            Some(next) => {
                self.advance(next);
                true
            }
            None => false,
        }
    }

    fn next_time(&self) -> Option<Instant> {
        let packets = self.wires.iter().filter_map(|wire| wire.front().map(|(time, _)| *time));
        let timers = self.ends.iter().filter_map(Association::poll_timeout);
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
        for from in 0..2 {
            let mut buffer = BytesMut::new();
            while self.ends[from].poll_transmit(self.now, &mut buffer) {
                assert!(buffer.len() <= 1191, "packet of {} bytes", buffer.len());
                let packet = buffer.split().freeze();
                let dropped = self.drops & 1 == 1 || self.rng.next_u32() % 100 < self.loss;
                self.drops >>= 1;
                if !dropped {
                    self.wires[1 - from].push_back((self.now + Duration::from_millis(10), packet));
                }
            }
            while let Some(event) = self.ends[from].poll_event() {
                self.events[from].push(event);
            }
        }
    }

    pub(super) fn send(&mut self, end: usize, stream: u16, data: &[u8]) {
        let data = Bytes::copy_from_slice(data);
        let result =
            self.ends[end].send(self.now, StreamId(stream), Ppid::BINARY, data, true, Reliability::Reliable);
        assert_eq!(result, Ok(()));
    }

    pub(super) fn received(&mut self, end: usize, stream: u16) -> Vec<Bytes> {
        let (now, end) = (self.now, &mut self.ends[end]);
        std::iter::from_fn(|| end.recv(now, StreamId(stream)).map(|message| message.data)).collect()
    }
}

/// RFC 9260 §5.2.1: both sides send INIT at once, which is the ordinary case here.
#[test]
fn simultaneous_open_makes_one_association() {
    let pair = Pair::established(1, 0);
    for (end, other) in [(0, 1), (1, 0)] {
        let (us, them) = (pair.ends[end].phase.tcb(), pair.ends[other].phase.tcb());
        assert_eq!(us.map(|tcb| tcb.peer_tag), them.map(|tcb| tcb.local_tag));
        assert_eq!(pair.events[end], [Event::Established]);
        assert_eq!(pair.ends[end].negotiated_streams(), Some((65535, 65535)));
    }
    assert!(pair.ends.iter().all(|end| end.stats().packets_dropped == 0));
}

/// RFC 9260 §5.2.1, §5.2.4: whichever of the first eight packets are lost, and whether one side starts or both, at once or
/// one after the other, there is one association in the end and data flows both ways.
#[test]
fn every_pattern_of_losses_ends_in_one_association() {
    for drops in 0..1 << 8 {
        for second in [None, Some(0), Some(5), Some(15), Some(25)] {
            let mut pair = Pair::new(7, 0);
            pair.drops = drops;
            pair.send(0, 0, b"a");
            pair.send(1, 0, b"b");
            pair.ends[0].connect(pair.now);
            if let Some(delay) = second {
                pair.run_for(Duration::from_millis(delay));
                pair.ends[1].connect(pair.now);
            }
            pair.run_until(|pair| {
                pair.ends.iter().all(|end| end.state() == State::Established && end.undelivered() == 0)
            });
            assert_eq!((pair.received(0, 0), pair.received(1, 0)), (vec!["b".into()], vec!["a".into()]));
            for events in &pair.events {
                let established = events.iter().filter(|event| **event == Event::Established).count();
                assert_eq!(established, 1, "{drops:#b}, {second:?}: {events:?}");
                assert!(!events.contains(&Event::Restarted));
            }
        }
    }
}

/// RFC 9260 §5.1 B: the answerer needs no call.
#[test]
fn one_side_may_wait_for_the_other() {
    let mut pair = Pair::new(2, 0);
    pair.ends[0].connect(pair.now);
    pair.run_until(|pair| pair.ends.iter().all(|end| end.state() == State::Established));
    pair.send(1, 3, b"from the answerer");
    pair.run_for(Duration::from_millis(20));
    assert_eq!(pair.received(0, 3), ["from the answerer"]);
}

#[test]
fn messages_of_all_sizes_arrive_in_order_both_ways_in_spite_of_loss() {
    for (seed, loss) in [(0, 0), (1, 5), (2, 20), (3, 20), (4, 30)] {
        let mut pair = Pair::established(seed, loss);
        let sizes = [1, 3, 100, 1159, 1160, 1161, 5000, 16384, 100_000, 7];
        for end in 0..2 {
            for size in sizes {
                pair.send(end, 0, &vec![u8::try_from(size % 251).unwrap(); size]);
            }
        }
        pair.run_until(|pair| pair.ends.iter().all(|end| end.undelivered() == 0));
        for end in 0..2 {
            let lengths: Vec<usize> = pair.received(end, 0).iter().map(Bytes::len).collect();
            assert_eq!(lengths, sizes, "seed {seed}, loss {loss}");
        }
    }
}

/// RFC 6525 §5: a reset is performed after the data before it, in spite of loss, and the stream starts anew.
#[test]
fn reset_streams_start_anew() {
    for (seed, loss) in [(0, 0), (1, 10), (2, 20)] {
        let mut pair = Pair::established(seed, loss);
        let streams: Vec<StreamId> = (0..300).map(StreamId).collect();
        for stream in &streams {
            pair.send(0, stream.0, &[b'x'; 2000]);
        }
        assert_eq!(pair.ends[0].reset_streams(pair.now, &streams), Ok(()));
        let done = |events: &[Event]| {
            let mut count = 0;
            for event in events {
                match event {
                    Event::OutgoingStreamsReset { streams, accepted: true } => count += streams.len(),
                    Event::IncomingStreamsReset(streams) => count += streams.len(),
                    _ => {}
                }
            }
            count == 300
        };
        pair.run_until(|pair| done(&pair.events[0]) && done(&pair.events[1]));
        for stream in &streams {
            assert_eq!(pair.received(1, stream.0), [vec![b'x'; 2000]]);
            pair.send(0, stream.0, b"again");
        }
        pair.run_until(|pair| pair.ends[0].undelivered() == 0);
        for stream in &streams {
            assert_eq!(pair.received(1, stream.0), ["again"]);
        }
    }
}

/// RFC 9260 §9.2: what was accepted is delivered first, both ways.
#[test]
fn shutdown_delivers_everything_first() {
    for (seed, loss) in [(0, 0), (1, 20), (2, 30)] {
        let mut pair = Pair::established(seed, loss);
        for end in 0..2 {
            pair.send(end, 1, &[7; 50_000]);
        }
        pair.ends[0].shutdown(pair.now);
        pair.run_until(|pair| pair.ends.iter().all(|end| end.close_reason().is_some()));
        assert_eq!(pair.received(0, 1), [vec![7; 50_000]]);
        assert_eq!(pair.received(1, 1), [vec![7; 50_000]]);
        assert_eq!(pair.ends[0].close_reason(), Some(&CloseReason::LocalShutdown));
        assert!(pair.ends.iter().all(|end| end.poll_timeout().is_none() && end.undelivered() == 0));
    }
}

#[test]
fn both_sides_may_shut_down_at_once() {
    for seed in 0..20 {
        let mut pair = Pair::established(seed, 20);
        for end in &mut pair.ends {
            end.shutdown(pair.now);
        }
        pair.run_until(|pair| pair.ends.iter().all(|end| end.close_reason().is_some()));
    }
}

/// RFC 9260 §9.1: the peer learns it by one packet, which has no DATA.
#[test]
fn abort_ends_both_sides() {
    let mut pair = Pair::established(1, 0);
    pair.send(0, 0, b"lost");
    pair.ends[0].abort(pair.now);
    pair.run_for(Duration::from_millis(20));
    assert_eq!(pair.ends[0].close_reason(), Some(&CloseReason::LocalAbort));
    assert_eq!(pair.ends[0].undelivered(), 4);
    let remote = CloseReason::RemoteAbort { cause: Some(12), message: Bytes::new() };
    assert_eq!(pair.events[1], [Event::Established, Event::Closed(remote)]);
}

/// RFC 9260 §5.2.4 A: a peer that lost its state may start anew.
#[test]
fn a_restart_is_accepted_and_both_ways_work() {
    let mut pair = Pair::established(1, 0);
    pair.send(1, 0, b"before");
    pair.run_for(Duration::from_millis(100));
    assert_eq!(pair.received(0, 0), ["before"]);
    pair.ends[0] = Association::new(Config::default(), [99; 32], pair.now);
    pair.events = Default::default();
    pair.ends[0].connect(pair.now);
    pair.run_until(|pair| pair.ends[0].state() == State::Established);
    assert_eq!(pair.events[1], [Event::Restarted]);
    pair.send(0, 0, b"after");
    pair.send(1, 0, b"there");
    pair.run_for(Duration::from_millis(100));
    assert_eq!(pair.received(1, 0), ["after"]);
    assert_eq!(pair.received(0, 0), ["there"]);
}

/// RFC 9260 §5.2.4 A: the restart of a peer does not make the owner's shutdown undone.
#[test]
fn a_shutdown_outlives_a_restart() {
    let mut pair = Pair::established(1, 0);
    pair.send(1, 0, b"for the one that is gone");
    pair.ends[1].shutdown(pair.now);
    assert_eq!(pair.ends[1].state(), State::ShutdownPending);
    pair.ends[0] = Association::new(Config::default(), [99; 32], pair.now);
    pair.events = Default::default();
    pair.ends[0].connect(pair.now);
    pair.run_until(|pair| pair.ends[1].state() == State::Closed);
    let low = Event::BufferedAmountLow(StreamId(0));
    assert_eq!(pair.events[1], [low, Event::Restarted, Event::Closed(CloseReason::LocalShutdown)]);
}

/// RFC 8841 §5.1: "the "sctp-port" value indicates the SCTP port." Too late it changes nothing.
#[test]
fn the_port_of_the_peer_may_be_another() {
    let mut pair = Pair::new(1, 0);
    pair.ends[1] = Association::new(Config::default().local_port(6000), [7; 32], pair.now);
    pair.ends[0].set_remote_port(6000);
    pair.ends[0].set_remote_port(0);
    for end in &mut pair.ends {
        end.connect(pair.now);
    }
    pair.ends[0].set_remote_port(7000);
    pair.send(0, 0, b"there");
    pair.run_until(|pair| {
        pair.ends.iter().all(|end| end.state() == State::Established && end.undelivered() == 0)
    });
    assert_eq!(pair.received(1, 0), ["there"]);
}

/// A message whose last part was not sent when either side shuts down ends with what there is of it.
#[test]
fn shutdown_ends_an_open_message() {
    for asks in 0..2 {
        for len in [5, 5000] {
            let mut pair = Pair::established(1, 0);
            let (now, part) = (pair.now, Bytes::from(vec![7; len]));
            let kind = (StreamId(0), Ppid::BINARY, Reliability::Reliable);
            pair.ends[0].send_part(now, kind.0, kind.1, part.clone(), false, true, kind.2).unwrap();
            pair.run_for(Duration::from_secs(1));
            pair.ends[asks].shutdown(pair.now);
            pair.run_for(Duration::from_secs(1));
            assert_eq!(pair.ends[asks].close_reason(), Some(&CloseReason::LocalShutdown));
            assert_eq!(pair.ends[1 - asks].close_reason(), Some(&CloseReason::RemoteShutdown));
            let received = pair.ends[1].recv(pair.now, StreamId(0)).map(|message| message.data);
            assert_eq!(received, Some(part), "{asks} asks");
        }
    }
}

/// RFC 9260 §8.1, §8.3: a peer that vanished is noticed by DATA, and without DATA by HEARTBEAT.
#[test]
fn a_vanished_peer_is_noticed() {
    for has_data in [false, true] {
        let mut pair = Pair::established(1, 0);
        pair.loss = 100;
        if has_data {
            pair.send(0, 0, b"hello");
        }
        let mut waited = Duration::ZERO;
        while pair.ends[0].close_reason().is_none() {
            pair.run_for(Duration::from_secs(1));
            waited += Duration::from_secs(1);
            assert!(waited < Duration::from_secs(600));
        }
        assert!(matches!(pair.ends[0].close_reason(), Some(CloseReason::Timeout(_))));
    }
}

/// RFC 9260 §8.3: an idle path is probed, and answers keep the association up.
#[test]
fn heartbeats_keep_an_idle_association_up() {
    let mut pair = Pair::established(1, 0);
    let before = pair.ends[0].stats().packets_sent;
    pair.run_for(Duration::from_secs(600));
    let sent = pair.ends[0].stats().packets_sent - before;
    assert!((30..=42).contains(&sent), "{sent} packets in ten idle minutes");
    assert!(pair.ends.iter().all(|end| end.state() == State::Established));
    assert_eq!(pair.ends[0].stats().srtt, Some(Duration::from_millis(20)));
}
