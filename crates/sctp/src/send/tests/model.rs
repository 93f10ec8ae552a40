//! Random sends, losses, SACKs and time against a peer that keeps books in the plainest way.

use super::super::*;
use super::bench::*;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

#[derive(Clone, Debug)]
enum Step {
    Send {
        stream: u16,
        len: usize,
        last: bool,
        ordered: bool,
        reliability: Reliability,
    },
    /// So many packets may leave; of each, whether it arrives.
    Transmit(Vec<bool>),
    Sack {
        a_rwnd: u32,
    },
    Time(u64),
    Timeout,
    Pause(u16),
    Resume(u16),
    Drop(u16),
    Renege(usize),
    Priority(u16, u16),
}

fn reliability() -> impl Strategy<Value = Reliability> {
    prop_oneof![
        Just(Reliability::Reliable),
        (0u16..3).prop_map(Reliability::MaxRetransmits),
        (0u64..400).prop_map(|time| Reliability::MaxLifetime(ms(time))),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let stream = 0u16..4;
    prop_oneof![
        6 => (stream.clone(), 1usize..5000, prop::bool::weighted(0.7), any::<bool>(), reliability())
            .prop_map(|(stream, len, last, ordered, reliability)| Step::Send { stream, len, last, ordered, reliability }),
        6 => prop::collection::vec(prop::bool::weighted(0.6), 1..6).prop_map(Step::Transmit),
        6 => prop_oneof![3 => Just(WINDOW), 1 => 0u32..6000].prop_map(|a_rwnd| Step::Sack { a_rwnd }),
        2 => (0u64..150).prop_map(Step::Time),
        1 => Just(Step::Timeout),
        1 => stream.clone().prop_map(Step::Pause),
        1 => stream.clone().prop_map(Step::Resume),
        1 => stream.clone().prop_map(Step::Drop),
        1 => (0usize..10).prop_map(Step::Renege),
        1 => (stream, 0u16..2000).prop_map(|(stream, priority)| Step::Priority(stream, priority)),
    ]
}

/// TSNs here are relative to the initial one.
#[derive(Debug, Default)]
struct Peer {
    next: u32,
    ahead: BTreeSet<u32>,
    /// What arrived and was not taken back.
    got: BTreeMap<u32, Seen>,
}

impl Peer {
    fn take(&mut self, tsn: u32, seen: Seen) {
        if tsn >= self.next {
            self.ahead.insert(tsn);
            self.got.insert(tsn, seen);
        }
        self.advance();
    }

    fn forward(&mut self, point: u32) {
        self.next = self.next.max(point + 1);
        self.ahead = self.ahead.split_off(&self.next);
        self.advance();
    }

    fn advance(&mut self) {
        while self.ahead.remove(&self.next) {
            self.next += 1;
        }
    }

    fn gaps(&self) -> Vec<(u32, u32)> {
        self.ahead.iter().map(|tsn| (*tsn, *tsn)).collect()
    }
}

/// A message as the application knows it. All its bytes are its number.
#[derive(Clone, Copy, Debug)]
struct Message {
    stream: u16,
    len: usize,
    ordered: bool,
    /// It may get lost.
    limited: bool,
}

struct Run {
    bench: Bench,
    peer: Peer,
    first_mid: u32,
    limited: bool,
    messages: Vec<Message>,
    /// The message of the stream whose last part has not come.
    open: BTreeMap<u16, usize>,
    paused: BTreeSet<u16>,
    /// The first transmission of each TSN.
    sent: BTreeMap<u32, Seen>,
    told: Vec<Forwarded>,
    /// The last TSNs before resets.
    resets: Vec<u32>,
}

impl Run {
    fn new(initial: u32, first_mid: u32, terms: Terms) -> Self {
        let terms = Terms { initial_tsn: Tsn(initial), peer_rwnd: 20_000, ..terms };
        let mut bench = Bench::agreeing_on(SenderConfig::default(), terms);
        for stream in 0..4 {
            bench.sender.queue.set_next_ssn(StreamId(stream), first_mid);
        }
        Self {
            bench,
            peer: Peer::default(),
            first_mid,
            limited: terms.partial_reliability,
            messages: Vec::new(),
            open: BTreeMap::new(),
            paused: BTreeSet::new(),
            sent: BTreeMap::new(),
            told: Vec::new(),
            resets: Vec::new(),
        }
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Send { stream, len, last, ordered, reliability } => {
                self.send(stream, len, last, ordered, reliability);
            }
            Step::Transmit(arrives) => arrives.into_iter().for_each(|arrives| {
                self.transmit(arrives);
            }),
            Step::Sack { a_rwnd } => self.sack(a_rwnd),
            Step::Time(time) => {
                self.bench.pass(ms(time));
            }
            Step::Timeout => self.time_out(),
            Step::Pause(stream) => {
                let last = self.bench.sender.begin_reset(self.bench.now, &[StreamId(stream)]);
                self.resets.push(last.0.wrapping_sub(self.bench.initial));
                self.paused.insert(stream);
            }
            Step::Resume(stream) => self.resume(stream),
            Step::Drop(stream) => self.drop_queued(stream),
            Step::Renege(nth) => self.renege(nth),
            Step::Priority(stream, priority) => self.bench.sender.set_priority(StreamId(stream), priority),
        }
    }

    fn send(&mut self, stream: u16, len: usize, last: bool, ordered: bool, reliability: Reliability) {
        let number = self.open.get(&stream).copied().unwrap_or(self.messages.len());
        let data = vec![u8::try_from(number).expect("few messages"); len];
        match self.bench.limited_part(stream, data, last, ordered, reliability) {
            Ok(()) => {}
            Err(SendError::Resetting(_)) => return,
            Err(other) => panic!("{other:?}"),
        }
        if number == self.messages.len() {
            let limited = self.limited && reliability != Reliability::Reliable;
            self.messages.push(Message { stream, len: 0, ordered, limited });
        }
        self.messages[number].len += len;
        if last {
            self.open.remove(&stream);
        } else {
            self.open.insert(stream, number);
        }
    }

    /// Whether there was a packet.
    fn transmit(&mut self, arrives: bool) -> bool {
        let Some(packet) = self.bench.packet() else { return false };
        for forwarded in self.bench.forwards() {
            if arrives {
                self.peer.forward(forwarded.point);
            }
            self.check_resets(&forwarded);
            self.told.push(forwarded);
        }
        for seen in packet {
            let seen = Seen { flags: seen.flags.replace('I', ""), ..seen };
            assert!(!seen.payload.is_empty());
            assert!(
                !self.told.iter().any(|told| self.names(told, &seen)),
                "what was named is over: {seen:?}"
            );
            let tsn = seen.tsn.wrapping_sub(self.bench.initial);
            let first = self.sent.entry(tsn).or_insert_with(|| seen.clone());
            assert_eq!(*first, seen, "a chunk stays what it is");
            if arrives {
                self.peer.take(tsn, seen);
            }
        }
        true
    }

    fn sack(&mut self, a_rwnd: u32) {
        self.bench.a_rwnd = a_rwnd;
        let gaps = self.peer.gaps();
        self.bench.sack(self.peer.next, &gaps);
    }

    fn time_out(&mut self) {
        if let Some(deadline) = self.bench.sender.poll_timeout() {
            self.bench.now = self.bench.now.max(deadline);
            self.bench.sender.handle_timeout(self.bench.now);
        }
    }

    fn resume(&mut self, stream: u16) {
        self.bench.sender.resume(self.bench.now, StreamId(stream));
        self.paused.remove(&stream);
    }

    /// Whoever drops messages gives them up, and ends the one that is open.
    fn drop_queued(&mut self, stream: u16) {
        self.bench.sender.drop_queued(self.bench.now, StreamId(stream));
        if self.bench.sender.queue.open_len(StreamId(stream)).is_none() {
            self.open.remove(&stream);
        }
        for message in self.messages.iter_mut().filter(|message| message.stream == stream) {
            message.limited = true;
        }
    }

    /// The peer takes back something that it was not told to pass, and says so.
    fn renege(&mut self, nth: usize) {
        let told = self.told.last().map_or(0, |told| told.point);
        let Some(tsn) = self.peer.ahead.iter().filter(|tsn| **tsn > told).nth(nth).copied() else { return };
        self.peer.ahead.remove(&tsn);
        self.peer.got.remove(&tsn);
        self.sack(WINDOW);
    }

    fn check(&self) {
        let sender = &self.bench.sender;
        self.bench.check_timers();
        sender.check_invariants();
        assert!(sender.forward_tsn_due() <= sender.wants_to_send(self.bench.now));
    }

    /// RFC 6525 §5.2.2: what a peer is told that performed a reset is of the stream as it is since.
    fn check_resets(&self, told: &Forwarded) {
        let ends = self.sent.iter().filter(|(_, seen)| {
            seen.flags.contains('E')
                && told.skipped.contains(&(seen.stream, seen.flags.contains('U'), seen.ssn))
        });
        for (end, seen) in ends {
            let is_between = |last: &u32| *last != u32::MAX && (*end..told.point).contains(last);
            let reset = self.resets.iter().find(|last| is_between(last));
            assert_eq!(reset, None, "{told:?} names what ended at {end}: {seen:?}");
        }
    }

    /// No losses any more, and everything comes to its end.
    fn finish(&mut self) {
        for stream in self.paused.clone() {
            self.resume(stream);
        }
        for stream in self.open.clone().into_keys() {
            self.send(stream, 1, true, true, Reliability::Reliable);
        }
        for _ in 0..10_000 {
            if self.bench.sender.is_idle() {
                return;
            }
            while self.transmit(true) {}
            self.bench.now += ms(10);
            self.sack(WINDOW);
            self.check();
            if !self.bench.sender.wants_to_send(self.bench.now) {
                self.time_out();
            }
        }
        panic!("it does not end: {:?}", self.bench.sender);
    }

    fn judge(&self) {
        let sender = &self.bench.sender;
        assert_eq!((sender.undelivered(), sender.charged()), (0, 0));
        assert_eq!(sender.poll_timeout(), None);
        self.judge_numbers();
        self.judge_forwards();
        for (number, message) in self.messages.iter().enumerate() {
            self.judge_message(number, message);
        }
    }

    /// Messages of a stream follow each other without a gap in their numbers, and none begins before the end of another.
    fn judge_numbers(&self) {
        let mut next: BTreeMap<(u16, bool), u32> = BTreeMap::new();
        for (seen, unordered) in self.sent.values().map(|seen| (seen, seen.flags.contains('U'))) {
            let first = if unordered { 0 } else { self.first_mid };
            let next = next.entry((seen.stream, unordered)).or_insert(first);
            if seen.flags.contains('B') {
                assert_eq!(seen.ssn, self.number(*next));
                *next = next.wrapping_add(1);
            } else {
                assert_eq!(seen.ssn, self.number(next.wrapping_sub(1)));
            }
        }
    }

    /// With DATA what was named is over: nothing of it has a TSN behind the point.
    fn judge_forwards(&self) {
        if self.bench.sender.outstanding.format() == Format::IData {
            return;
        }
        for told in &self.told {
            let next = self.sent.get(&(told.point + 1));
            assert!(next.is_none_or(|next| next.flags.contains('B')), "inside a message");
            for (tsn, seen) in &self.sent {
                assert!(*tsn <= told.point || !self.names(told, seen), "{told:?} {seen:?}");
            }
        }
    }

    /// Whether this tells that the message of a chunk was given up.
    fn names(&self, told: &Forwarded, seen: &Seen) -> bool {
        let unordered = seen.flags.contains('U');
        told.skipped.iter().any(|&(stream, u, ssn)| {
            (stream, u) == (seen.stream, unordered) && self.distance(u, seen.ssn) <= self.distance(u, ssn)
        })
    }

    /// It arrived whole, or it is named, or it never left.
    fn judge_message(&self, number: usize, message: &Message) {
        let is_of = |seen: &&Seen| usize::from(seen.payload[0]) == number;
        let arrived: usize = self.peer.got.values().filter(is_of).map(|seen| seen.payload.len()).sum();
        if !message.limited {
            assert_eq!(arrived, message.len, "message {number}: {message:?}");
        }
        let Some(seen) = self.sent.values().find(is_of) else { return };
        let unordered = !message.ordered;
        assert_eq!((seen.stream, seen.flags.contains('U')), (message.stream, unordered));
        let whole = self.sent.values().filter(is_of).any(|seen| seen.flags.contains('E'))
            && self
                .sent
                .iter()
                .filter(|(_, seen)| is_of(seen))
                .all(|(tsn, _)| self.peer.got.contains_key(tsn));
        let listed = !unordered || self.bench.sender.outstanding.format() == Format::IData;
        if !whole && listed {
            assert!(
                self.told.iter().any(|told| self.names(told, seen)),
                "message {number} is neither whole nor named"
            );
        }
    }

    /// As it stands on the wire.
    fn number(&self, mid: u32) -> u32 {
        match self.bench.sender.outstanding.format() {
            Format::Data => mid & 0xFFFF,
            Format::IData => mid,
        }
    }

    /// How many messages after the first one of its kind.
    fn distance(&self, unordered: bool, number: u32) -> u32 {
        self.number(number.wrapping_sub(if unordered { 0 } else { self.first_mid }))
    }
}

/// Gap blocks one by one are as good as merged ones; what arrives is reported by the book.
fn run(initial: u32, first_mid: u32, terms: Terms, steps: Vec<Step>) {
    let mut run = Run::new(initial, first_mid, terms);
    for step in steps {
        run.step(step);
        run.check();
    }
    run.finish();
    run.judge();
}

proptest! {
    /// RFC 3758 §3.5, RFC 8260, also across the wraps of TSN, SSN and MID: every message arrives whole or is given up whole,
    /// and nothing stalls.
    #[test]
    fn messages_arrive_or_are_given_up(
        before_wrap in prop_oneof![Just(u32::MAX), 0u32..60],
        mids_before_wrap in 0u32..4,
        (partial_reliability, interleaving) in (prop::bool::weighted(0.8), any::<bool>()),
        steps in prop::collection::vec(step(), 1..150),
    ) {
        let terms = Terms { partial_reliability, interleaving, ..TERMS };
        run(u32::MAX - before_wrap, u32::MAX - mids_before_wrap, terms, steps);
    }
}
