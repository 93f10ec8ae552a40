//! Random lives of channels on a link that loses packets.

use super::*;
use crate::ReceivedPart;
use proptest::prelude::*;

/// What happens to channel number `usize` of those an end has.
#[derive(Clone, Debug)]
enum Op {
    Open { end: usize, ordered: bool },
    Send { end: usize, channel: usize, len: usize },
    Close { end: usize, channel: usize },
    Abort { end: usize, channel: usize },
    Read { end: usize, channel: usize, by_parts: bool },
    Forget { end: usize, channel: usize },
    Loss(u32),
    Run(u64),
}

fn op() -> impl Strategy<Value = Op> {
    let (end, channel) = (0..2usize, 0..6usize);
    let at = (end, channel);
    prop_oneof![
        3 => (at.0.clone(), any::<bool>()).prop_map(|(end, ordered)| Op::Open { end, ordered }),
        5 => (at.clone(), 0..4000usize).prop_map(|((end, channel), len)| Op::Send { end, channel, len }),
        3 => at.clone().prop_map(|(end, channel)| Op::Close { end, channel }),
        1 => at.clone().prop_map(|(end, channel)| Op::Abort { end, channel }),
        3 => (at.clone(), any::<bool>())
            .prop_map(|((end, channel), by_parts)| Op::Read { end, channel, by_parts }),
        2 => at.prop_map(|(end, channel)| Op::Forget { end, channel }),
        1 => prop_oneof![Just(0), Just(10), Just(30)].prop_map(Op::Loss),
        5 => (1..400u64).prop_map(Op::Run),
    ]
}

/// Both sides of one channel: what each end sent and received, in bytes of all messages one after another.
#[derive(Debug, Default)]
struct Life {
    sent: [Vec<u8>; 2],
    received: [Vec<u8>; 2],
    /// Something may be missing: it was aborted, or forgotten before it was read.
    is_lossy: bool,
}

struct World {
    pair: Pair,
    lives: BTreeMap<String, Life>,
}

impl World {
    /// Channels of an end that are not forgotten, with their labels.
    fn channel(&mut self, end: usize, index: usize) -> Option<(ChannelId, String)> {
        let ids: Vec<ChannelId> = self.pair.ends[end].ids().collect();
        let id = *ids.get(index % ids.len().max(1))?;
        let label = self.pair.channel(end, id).init().label.clone();
        Some((id, label))
    }

    fn perform(&mut self, op: Op) {
        let now = self.pair.now;
        match op {
            Op::Open { end, ordered } => {
                let label = self.lives.len().to_string();
                let init = ChannelInit { label: label.clone(), ordered, ..ChannelInit::default() };
                self.pair.ends[end].open(now, init).unwrap();
                self.lives.insert(label, Life::default());
            }
            Op::Send { end, channel, len } => {
                let Some((id, label)) = self.channel(end, channel) else { return };
                // Every byte names its channel.
                let data = vec![label.parse().unwrap(); len];
                let sent = self.pair.channel(end, id).send(now, MessageKind::Binary, data.clone().into());
                if sent.is_ok() {
                    self.lives.get_mut(&label).unwrap().sent[end].extend(data);
                }
            }
            Op::Close { end, channel } => {
                let Some((id, _)) = self.channel(end, channel) else { return };
                self.pair.channel(end, id).close(now);
            }
            Op::Abort { end, channel } => {
                let Some((id, label)) = self.channel(end, channel) else { return };
                self.pair.channel(end, id).abort(now);
                self.lives.get_mut(&label).unwrap().is_lossy = true;
            }
            Op::Read { end, channel, by_parts } => self.read(end, channel, by_parts),
            Op::Forget { end, channel } => {
                let Some((id, label)) = self.channel(end, channel) else { return };
                let is_unread = self.pair.channel(end, id).is_readable();
                self.pair.ends[end].forget(id);
                self.lives.get_mut(&label).unwrap().is_lossy |= is_unread;
            }
            Op::Loss(loss) => self.pair.loss = loss,
            Op::Run(millis) => self.pair.run_for(Duration::from_millis(millis)),
        }
    }

    fn read(&mut self, end: usize, channel: usize, by_parts: bool) {
        let now = self.pair.now;
        let Some((id, label)) = self.channel(end, channel) else { return };
        let mut channel = self.pair.channel(end, id);
        let life = self.lives.get_mut(&label).unwrap();
        if by_parts {
            while let Some(ReceivedPart { data, .. }) = channel.recv_part(now) {
                life.received[end].extend(data);
            }
        } else {
            while let Some(message) = channel.recv(now) {
                life.received[end].extend(message.data);
            }
        }
    }

    /// Everything is closed, delivered and read.
    fn finish(&mut self) {
        self.pair.loss = 0;
        // What the link lost is repeated, and channels of the peer are known.
        self.pair.run_for(Duration::from_secs(60));
        for end in [A, B] {
            for index in 0..self.pair.ends[end].ids().count() {
                self.perform(Op::Close { end, channel: index });
            }
        }
        self.pair.run_for(Duration::from_secs(60));
        for end in [A, B] {
            for index in 0..self.pair.ends[end].ids().count() {
                self.read(end, index, true);
            }
        }
        self.pair.run_for(Duration::from_secs(1));
    }
}

/// What must hold of channels after each step.
fn check(end: &Channels) {
    let leftover: usize = end.entries.values().map(|entry| entry.leftover.charge()).sum();
    assert_eq!(end.leftover, leftover);
    let deadlines = end.entries.iter().filter_map(|(id, entry)| Some((entry.close_deadline?, *id)));
    assert_eq!(end.close_deadlines, deadlines.collect());
    for (id, entry) in &end.entries {
        let is_closing = entry.state() == ChannelState::Closing;
        assert_eq!(entry.close_deadline.is_some(), is_closing, "a timer for {id:?}, {:?}", entry.phase);
        let is_live = !entry.is_closed() && entry.stream.is_some();
        assert_eq!(end.attached(*id).is_some(), is_live, "the stream of {id:?}, {:?}", entry.phase);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    /// Whatever the users do and whatever is lost: no byte reaches another channel, none that was accepted is lost, and
    /// in the end all ids are free and all of the window is there.
    #[test]
    fn channels_stay_apart(ops in prop::collection::vec(op(), 1..120), seed in 1..100u8) {
        let mut pair = Pair::new(Config::default(), seed);
        pair.connect();
        let mut world = World { pair, lives: BTreeMap::new() };
        for op in ops {
            world.perform(op);
            world.pair.ends.iter().for_each(check);
        }
        world.finish();
        for (label, life) in &world.lives {
            for (sent, received) in [(A, B), (B, A)] {
                let (sent, received) = (&life.sent[sent], &life.received[received]);
                prop_assert!(received.iter().all(|byte| *byte == label.parse::<u8>().unwrap()), "{}", label);
                let is_complete = received.len() == sent.len();
                prop_assert!(is_complete || life.is_lossy && received.len() < sent.len(), "{}", label);
            }
        }
        for end in &world.pair.ends {
            check(end);
            prop_assert!(end.entries.values().all(Entry::is_closed));
            let rest = ChannelsStats { incoming_channels: 0, incoming_name_bytes: 0, ..end.stats() };
            prop_assert_eq!(rest, ChannelsStats::default());
            prop_assert_eq!(end.association.stats().local_rwnd, 4 << 20);
            prop_assert_eq!(end.association.close_reason(), None);
        }
    }
}
