//! Random traffic of a peer that gives messages up and resets a stream, with DATA and with I-DATA, against a model that
//! only counts which fragments came in time.

use super::*;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// A message of the peer's.
#[derive(Clone, Debug)]
struct Sent {
    stream: u16,
    unordered: bool,
    fragments: u32,
    /// The peer may give it up at any time.
    is_limited: bool,
    /// Its stream was reset before.
    is_later: bool,
    /// SSN or MID.
    number: u32,
}

/// Messages of one stream and order between two resets: stream, whether behind the reset, whether unordered.
type Lane = (u16, bool, bool);

impl Sent {
    fn lane(&self) -> Lane {
        (self.stream, self.is_later, self.unordered)
    }
}

fn sent() -> impl Strategy<Value = Sent> {
    let fragments = prop_oneof![2 => Just(1_u32), 3 => 2..6_u32];
    (0..2_u16, any::<bool>(), fragments, any::<bool>()).prop_map(
        |(stream, unordered, fragments, is_limited)| Sent {
            stream,
            unordered,
            fragments,
            is_limited,
            is_later: false,
            number: 0,
        },
    )
}

/// The peer's messages and the fragments it sends of them, in the order of their TSNs.
#[derive(Debug)]
struct Plan {
    initial: u32,
    interleaving: bool,
    messages: Vec<Sent>,
    chunks: Vec<(usize, u32)>,
    /// Stream 0 is reset before this chunk.
    reset: usize,
}

impl Plan {
    /// `mix` says whose turn it is among the messages that can be interleaved.
    fn new(initial: u32, mut messages: Vec<Sent>, reset: usize, mix: Option<&[u8]>) -> Self {
        let reset = reset.min(messages.len());
        let mut numbers = BTreeMap::<Lane, u32>::new();
        for (index, message) in messages.iter_mut().enumerate() {
            message.is_later = message.stream == 0 && index >= reset;
            // Unordered chunks of DATA have no number.
            let number = numbers.entry(message.lane()).or_default();
            message.number = *number;
            *number += 1;
        }
        let mut plan = Self { initial, interleaving: mix.is_some(), messages, chunks: Vec::new(), reset: 0 };
        let mut turns = mix.unwrap_or(&[0]).iter().copied().cycle();
        plan.send(0..reset, &mut turns);
        plan.reset = plan.chunks.len();
        plan.send(reset..plan.messages.len(), &mut turns);
        plan
    }

    fn send(&mut self, messages: std::ops::Range<usize>, turns: &mut impl Iterator<Item = u8>) {
        let mut lanes = BTreeMap::<Option<Lane>, VecDeque<(usize, u32)>>::new();
        for index in messages {
            let message = &self.messages[index];
            let lane = self.interleaving.then(|| message.lane());
            lanes.entry(lane).or_default().extend((0..message.fragments).map(|fragment| (index, fragment)));
        }
        while !lanes.is_empty() {
            let turn = usize::from(turns.next().unwrap()) % lanes.len();
            let lane = *lanes.keys().nth(turn).unwrap();
            let chunks = lanes.get_mut(&lane).unwrap();
            self.chunks.extend(chunks.pop_front());
            if chunks.is_empty() {
                lanes.remove(&lane);
            }
        }
    }

    /// The TSN before chunk `index`.
    fn tsn_before(&self, index: usize) -> u32 {
        self.initial.wrapping_add(u32::try_from(index).unwrap()).wrapping_sub(1)
    }

    fn text(index: usize, fragment: u32) -> String {
        format!("{index}.{fragment};")
    }

    fn whole(&self, index: usize) -> String {
        (0..self.messages[index].fragments).map(|fragment| Self::text(index, fragment)).collect()
    }

    fn offer(&self, rig: &mut Rig, chunk: usize) -> DataOutcome {
        let (index, fragment) = self.chunks[chunk];
        let message = &self.messages[index];
        let tsn = self.tsn_before(chunk + 1);
        let flags = match (message.unordered, fragment == 0, fragment + 1 == message.fragments) {
            (false, true, true) => "BE",
            (false, true, false) => "B",
            (false, false, true) => "E",
            (false, false, false) => "",
            (true, true, true) => "UBE",
            (true, true, false) => "UB",
            (true, false, true) => "UE",
            (true, false, false) => "U",
        };
        let text = Self::text(index, fragment);
        if self.interleaving {
            rig.take_i(&shard(tsn, fragment, flags, text).stream(message.stream).mid(message.number))
        } else {
            let ssn = u16::try_from(message.number).unwrap();
            rig.take(&piece(tsn, flags, text).stream(message.stream).ssn(ssn))
        }
    }
}

/// What must have become of the plan so far.
struct Model {
    plan: Plan,
    arrived: Vec<bool>,
    /// Given up before they arrived.
    skipped: Vec<bool>,
    /// Messages that can never be complete.
    dead: BTreeSet<usize>,
    /// One more than the largest number that was listed.
    listed: BTreeMap<Lane, u32>,
    /// All chunks before this one arrived or were skipped.
    cumulative: usize,
    was_reset: bool,
}

impl Model {
    fn new(plan: Plan) -> Self {
        let count = plan.chunks.len();
        Self {
            plan,
            arrived: vec![false; count],
            skipped: vec![false; count],
            dead: BTreeSet::new(),
            listed: BTreeMap::new(),
            cumulative: 0,
            was_reset: false,
        }
    }

    fn arrive(&mut self, chunk: usize) -> DataOutcome {
        if self.arrived[chunk] || self.skipped[chunk] {
            return DataOutcome::Duplicate;
        }
        self.arrived[chunk] = true;
        self.advance();
        DataOutcome::Accepted
    }

    fn advance(&mut self) {
        let count = self.arrived.len();
        while self.cumulative < count && (self.arrived[self.cumulative] || self.skipped[self.cumulative]) {
            self.cumulative += 1;
        }
    }

    /// How far the peer may move the cumulative TSN: over what it gives up, and what it knows to have arrived.
    fn furthest(&self) -> usize {
        let end = if self.was_reset { self.arrived.len() } else { self.plan.reset };
        let is_passable =
            |&chunk: &usize| self.arrived[chunk] || self.plan.messages[self.plan.chunks[chunk].0].is_limited;
        (self.cumulative..end).take_while(is_passable).last().map_or(self.cumulative, |last| last + 1)
    }

    /// The peer gives up all before chunk `point`; answers what it lists.
    fn forward(&mut self, point: usize) -> BTreeMap<Lane, u32> {
        let mut entries = BTreeMap::new();
        let passed: BTreeSet<_> =
            self.plan.chunks[self.cumulative..point].iter().map(|chunk| chunk.0).collect();
        for index in passed {
            let message = &self.plan.messages[index];
            let has_number = self.plan.interleaving || !message.unordered;
            if message.is_limited && has_number && !self.is_complete(index) {
                let last = entries.entry(message.lane()).or_insert(message.number);
                *last = message.number.max(*last);
            }
        }
        for chunk in self.cumulative..point {
            if !self.arrived[chunk] {
                self.skipped[chunk] = true;
                self.dead.insert(self.plan.chunks[chunk].0);
            }
        }
        for (lane, last) in &entries {
            self.listed.insert(*lane, last + 1);
            for (index, message) in self.plan.messages.iter().enumerate() {
                if message.lane() == *lane && message.number <= *last && !self.is_complete(index) {
                    self.dead.insert(index);
                }
            }
        }
        self.advance();
        entries
    }

    fn is_complete(&self, index: usize) -> bool {
        let mut chunks = self.plan.chunks.iter().enumerate().filter(|(_, chunk)| chunk.0 == index);
        !self.dead.contains(&index) && chunks.all(|(chunk, _)| self.arrived[chunk])
    }

    /// The messages of a stream that can be read: in order, and unordered ones by their number.
    fn deliverable(&self, stream: u16, unordered: bool) -> Vec<usize> {
        let mut delivered = Vec::new();
        for is_later in [false, true] {
            let lane = (stream, is_later, unordered);
            if is_later && !self.was_reset {
                continue;
            }
            for (index, _) in self.plan.messages.iter().enumerate().filter(|(_, sent)| sent.lane() == lane) {
                let is_listed =
                    self.plan.messages[index].number < self.listed.get(&lane).copied().unwrap_or(0);
                if self.is_complete(index) {
                    delivered.push(index);
                } else if !unordered && !is_listed {
                    break;
                }
            }
        }
        delivered
    }
}

/// The receiver, the model, and what was read.
struct Run {
    rig: Rig,
    model: Model,
    is_requested: bool,
    received: BTreeMap<(u16, bool), Vec<usize>>,
    /// The message of a stream that is being read by parts.
    open: BTreeMap<u16, String>,
}

impl Run {
    fn new(plan: Plan) -> Self {
        let mut receiver = Receiver::new(ReceiverConfig::default());
        receiver.start(Tsn(plan.initial), 10, plan.interleaving);
        let rig = Rig { receiver, now: Instant::now() };
        Self {
            rig,
            model: Model::new(plan),
            is_requested: false,
            received: BTreeMap::new(),
            open: BTreeMap::new(),
        }
    }

    /// The peer sends nothing behind a reset before it has asked for it.
    fn request_reset(&mut self) {
        if !self.is_requested {
            self.is_requested = true;
            let last = self.model.plan.tsn_before(self.model.plan.reset);
            let outcome = self.rig.receiver.reset_request(Tsn(last), &[StreamId(0)]);
            assert!(matches!(outcome, ResetOutcome::Done | ResetOutcome::InProgress), "{outcome:?}");
            self.rig.receiver.check_invariants();
        }
    }

    fn arrive(&mut self, chunk: usize) {
        if self.model.plan.messages[self.model.plan.chunks[chunk].0].is_later {
            self.request_reset();
        }
        let outcome = self.model.plan.offer(&mut self.rig, chunk);
        assert_eq!(outcome, self.model.arrive(chunk), "chunk {chunk}");
    }

    fn forward(&mut self, point: usize) {
        let tsn = self.model.plan.tsn_before(point);
        let is_stale = point <= self.model.cumulative;
        let entries = if is_stale { BTreeMap::new() } else { self.model.forward(point) };
        let outcome = if self.model.plan.interleaving {
            let entries: Vec<_> =
                entries.iter().map(|((stream, _, unordered), last)| (*stream, *unordered, *last)).collect();
            self.rig.forward_i(tsn, &entries)
        } else {
            let last = |last: &u32| u16::try_from(*last).unwrap();
            let entries: Vec<_> =
                entries.iter().map(|((stream, ..), number)| (*stream, last(number))).collect();
            self.rig.forward(tsn, &entries)
        };
        assert_eq!(outcome, if is_stale { ForwardOutcome::Stale } else { ForwardOutcome::Advanced });
    }

    /// Reads a stream and compares.
    fn read(&mut self, stream: u16, by_parts: bool) {
        self.model.was_reset |= self.is_requested && self.model.cumulative >= self.model.plan.reset;
        assert_eq!(self.rig.receiver.is_resetting(), self.is_requested && !self.model.was_reset);
        let expected = self.model.plan.tsn_before(self.model.cumulative);
        assert_eq!(self.rig.receiver.cumulative_tsn(), Tsn(expected));
        if by_parts || self.open.contains_key(&stream) {
            while let Some((part, last)) = self.rig.recv_part(stream) {
                self.take_part(stream, &part, last);
            }
        } else {
            self.rig.recv_all(stream).iter().for_each(|text| self.take(stream, text));
        }
        for unordered in [false, true] {
            let mut received = self.received.get(&(stream, unordered)).cloned().unwrap_or_default();
            let mut expected = self.model.deliverable(stream, unordered);
            if unordered {
                received.sort_unstable();
                expected.sort_unstable();
            }
            if self.open.contains_key(&stream) {
                // What is complete may wait behind what is half read.
                assert!(received.iter().all(|index| expected.contains(index)));
            } else {
                assert_eq!(received, expected, "stream {stream}, unordered {unordered}");
            }
        }
    }

    fn take_part(&mut self, stream: u16, part: &str, last: bool) {
        let open = self.open.remove(&stream).unwrap_or_default();
        if part == ABANDONED {
            let (index, _) = open.split_once('.').unwrap();
            assert!(self.model.dead.contains(&index.parse().unwrap()), "{open}");
            return;
        }
        let text = open + part;
        if last {
            self.take(stream, &text);
        } else {
            self.open.insert(stream, text);
        }
    }

    fn take(&mut self, stream: u16, text: &str) {
        let (index, _) = text.split_once('.').unwrap();
        let index: usize = index.parse().unwrap();
        assert_eq!(text, self.model.plan.whole(index));
        let message = &self.model.plan.messages[index];
        assert_eq!(message.stream, stream);
        self.received.entry((stream, message.unordered)).or_default().push(index);
    }

    /// Everything that the peer does not give up arrives, and it gives up all else.
    fn finish(&mut self) {
        self.request_reset();
        for chunk in 0..self.model.arrived.len() {
            if !self.model.plan.messages[self.model.plan.chunks[chunk].0].is_limited {
                self.arrive(chunk);
            }
        }
        for _ in 0..2 {
            self.read(0, false);
            self.read(1, false);
            self.forward(self.model.furthest());
        }
        self.read(0, true);
        self.read(1, true);
        assert_eq!(self.model.cumulative, self.model.arrived.len());
        assert_eq!((self.rig.receiver.charge(), self.rig.receiver.window()), (0, WINDOW));
        assert!(self.open.is_empty());
    }
}

/// One step: what happens, to which chunk, and how is read then.
type Step = (u8, u16, bool);

fn run(plan: Plan, steps: &[Step]) {
    let mut run = Run::new(plan);
    let mut underway: Vec<_> = (0..run.model.arrived.len()).collect();
    for &(kind, pick, by_parts) in steps {
        let pick = usize::from(pick);
        match kind {
            0 => run.request_reset(),
            1 | 2 => {
                let furthest = run.model.furthest();
                let behind = run.model.cumulative.saturating_sub(2);
                run.forward(behind + pick % (furthest - behind + 1));
            }
            // A copy, or the first one while the network keeps another.
            3 => run.arrive(pick % run.model.arrived.len()),
            // Lost, if the peer can bear it.
            4 if !underway.is_empty() => {
                let position = pick % underway.len().min(6);
                let index = run.model.plan.chunks[underway[position]].0;
                if run.model.plan.messages[index].is_limited {
                    underway.remove(position);
                }
            }
            _ if !underway.is_empty() => run.arrive(underway.remove(pick % underway.len().min(6))),
            _ => {}
        }
        run.read(u16::from(kind) % 2, by_parts);
    }
    run.finish();
}

fn initial() -> impl Strategy<Value = u32> {
    prop_oneof![any::<u32>(), u32::MAX - 40..=u32::MAX]
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    prop::collection::vec((0..16_u8, any::<u16>(), any::<bool>()), 0..120)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn data_and_forward_tsn(
        initial in initial(),
        messages in prop::collection::vec(sent(), 1..20),
        reset in 0..24_usize,
        steps in steps(),
    ) {
        run(Plan::new(initial, messages, reset, None), &steps);
    }

    #[test]
    fn i_data_and_i_forward_tsn(
        initial in initial(),
        messages in prop::collection::vec(sent(), 1..20),
        reset in 0..24_usize,
        mix in prop::collection::vec(any::<u8>(), 1..40),
        steps in steps(),
    ) {
        run(Plan::new(initial, messages, reset, Some(&mix)), &steps);
    }

    /// No chunk whatsoever panics, and memory stays in its bounds.
    #[test]
    fn any_chunks(
        interleaving: bool,
        chunks in prop::collection::vec(
            (0..300_u32, 0..4_u16, 0..6_u16, 0..8_usize, 1..2000_usize, 0..9_u8), 1..300),
    ) {
        const FLAGS: [&str; 8] = ["", "E", "B", "BE", "U", "UE", "UB", "UBE"];
        let config = ReceiverConfig {
            window: 20_000,
            max_message_size: 8000,
            max_incomplete: 20,
            max_fragments: Some(20),
            ..Default::default()
        };
        let mut rig = Rig::starting_at(config, 5);
        rig.receiver.start(Tsn(5), 3, interleaving);
        for (tsn, stream, number, flags, size, action) in chunks {
            let (flags, text) = (FLAGS[flags], vec![b'x'; size]);
            let outcome = if interleaving {
                let fsn = u32::from(number) + 1;
                rig.take_i(&shard(tsn, fsn, flags, text).stream(stream).mid(tsn / 50))
            } else {
                rig.take(&piece(tsn, flags, text).stream(stream).ssn(number))
            };
            if matches!(outcome, DataOutcome::Violation(_) | DataOutcome::OutOfResource) {
                break;
            }
            prop_assert!(rig.receiver.charge() <= 2 * 20_000 + 8000 + CHUNK_OVERHEAD);
            let mut is_over = false;
            match action {
                0 => drop(rig.recv_all(stream)),
                1 => drop(rig.recv_part(stream)),
                2 => drop(rig.due()),
                3 => {
                    let outcome = rig.receiver.reset_request(Tsn(tsn), &[StreamId(stream)]);
                    is_over = matches!(outcome, ResetOutcome::Violation(_));
                }
                4 => {
                    let outcome = if interleaving {
                        rig.forward_i(tsn, &[(stream, true, tsn / 50), (stream, false, tsn / 50)])
                    } else {
                        rig.forward(tsn, &[(stream, number)])
                    };
                    is_over = matches!(outcome, ForwardOutcome::Violation(_));
                }
                _ => {}
            }
            if is_over {
                break;
            }
            rig.receiver.check_invariants();
        }
    }
}
