//! What users and network may do, as values that can be printed and shrunk.

use super::*;
use proptest::collection::vec;
use proptest::sample::{Index, select};

/// A whole run.
#[derive(Clone, Debug)]
pub(super) struct Script {
    pub(super) seed: u64,
    /// Both sides' receive window.
    pub(super) window: usize,
    /// Whether bits may flip: only with checksums is that noticed.
    pub(super) checksum: bool,
    /// Both sides offer I-DATA.
    pub(super) interleaving: bool,
    /// Both users read messages part by part.
    pub(super) reads_parts: bool,
    pub(super) weather: Weather,
    /// Channels asked for before there is an association, by side.
    pub(super) first: Vec<(usize, Kind)>,
    /// Each with the milliseconds that pass after it.
    pub(super) steps: Vec<(Operation, u64)>,
    pub(super) ending: Ending,
}

/// What a channel is made with.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kind {
    pub(super) ordered: bool,
    pub(super) reliability: Reliability,
    pub(super) priority: u16,
    /// Made on both sides at once.
    pub(super) negotiated: bool,
}

/// A channel is named by an index into those that the side knows of by then.
#[derive(Clone, Debug)]
pub(super) enum Operation {
    Open {
        side: usize,
        kind: Kind,
    },
    Send {
        side: usize,
        channel: Index,
        len: usize,
        kind: MessageKind,
    },
    SendPart {
        side: usize,
        channel: Index,
        len: usize,
        last: bool,
    },
    /// A reader that sleeps reads a few messages.
    Read {
        side: usize,
        count: usize,
    },
    /// Reads no more by itself, or again.
    Sleep {
        side: usize,
        sleeps: bool,
    },
    Close {
        side: usize,
        channel: Index,
    },
    Abort {
        side: usize,
        channel: Index,
    },
    PathChanged {
        side: usize,
    },
    Weather(Weather),
}

/// What the network does, in percent.
#[derive(Clone, Copy, Debug)]
pub(super) struct Weather {
    loss: u8,
    reorder: u8,
    duplicate: u8,
    corrupt: u8,
    mtu: Option<usize>,
    blackout: bool,
}

impl Weather {
    pub(super) fn conditions(self) -> Conditions {
        let share = |percent: u8| f64::from(percent) / 100.0;
        Conditions {
            corrupt: share(self.corrupt),
            mtu: self.mtu,
            blackout: self.blackout,
            ..rough(share(self.loss), share(self.reorder), share(self.duplicate))
        }
    }

    /// The same without what nobody would notice.
    fn without_corruption(self) -> Self {
        Self { corrupt: 0, ..self }
    }
}

impl Script {
    /// Patient: a network that comes back in the end is not given up.
    pub(super) fn config(&self) -> Config {
        quiet()
            .receive_window(self.window)
            .zero_checksum(!self.checksum)
            .interleaving(self.interleaving)
            .max_retransmits(10_000)
            .max_init_retransmits(10_000)
            .close_timeout(Duration::from_secs(100_000))
            .max_receive_message_size(usize::MAX)
    }

    fn sheltered(mut self) -> Self {
        if !self.checksum {
            self.weather = self.weather.without_corruption();
            for (operation, _) in &mut self.steps {
                if let Operation::Weather(weather) = operation {
                    *weather = weather.without_corruption();
                }
            }
        }
        self
    }
}

fn kind() -> impl Strategy<Value = Kind> {
    let reliability = prop_oneof![
        3 => Just(Reliability::Reliable),
        1 => (0_u16..4).prop_map(Reliability::MaxRetransmits),
        1 => (0_u64..800).prop_map(|millis| Reliability::MaxLifetime(ms(millis))),
    ];
    (any::<bool>(), reliability, select(&[128, 256, 512, 1024][..]), any::<bool>()).prop_map(
        |(ordered, reliability, priority, negotiated)| Kind { ordered, reliability, priority, negotiated },
    )
}

fn weather(with_blackouts: bool) -> impl Strategy<Value = Weather> {
    // A narrower path may end the association, which these users do not expect.
    let mtu = prop_oneof![4 => Just(None), 1 => Just(Some(1191))];
    let blackout = prop::bool::weighted(if with_blackouts { 0.15 } else { 0.0 });
    (0_u8..40, 0_u8..30, 0_u8..20, 0_u8..5, mtu, blackout).prop_map(
        |(loss, reorder, duplicate, corrupt, mtu, blackout)| Weather {
            loss,
            reorder,
            duplicate,
            corrupt,
            mtu,
            blackout,
        },
    )
}

/// Mostly small, some larger than a packet, a few larger than the smallest window.
fn len() -> impl Strategy<Value = usize> {
    prop_oneof![6 => 0_usize..100, 3 => 1000_usize..4000, 1 => 10_000_usize..60_000]
}

fn operation() -> impl Strategy<Value = Operation> {
    let side = 0_usize..2;
    let channel = any::<Index>;
    let text = any::<bool>().prop_map(|text| if text { MessageKind::Text } else { MessageKind::Binary });
    prop_oneof![
        3 => (side.clone(), kind()).prop_map(|(side, kind)| Operation::Open { side, kind }),
        12 => (side.clone(), channel(), len(), text)
            .prop_map(|(side, channel, len, kind)| Operation::Send { side, channel, len, kind }),
        4 => (side.clone(), channel(), len(), any::<bool>())
            .prop_map(|(side, channel, len, last)| Operation::SendPart { side, channel, len, last }),
        2 => (side.clone(), 0_usize..5).prop_map(|(side, count)| Operation::Read { side, count }),
        2 => (side.clone(), any::<bool>()).prop_map(|(side, sleeps)| Operation::Sleep { side, sleeps }),
        2 => (side.clone(), channel()).prop_map(|(side, channel)| Operation::Close { side, channel }),
        1 => (side.clone(), channel()).prop_map(|(side, channel)| Operation::Abort { side, channel }),
        1 => side.prop_map(|side| Operation::PathChanged { side }),
        2 => weather(true).prop_map(Operation::Weather),
    ]
}

fn ending() -> impl Strategy<Value = Ending> {
    prop_oneof![
        6 => Just(Ending::None),
        2 => (0_usize..2).prop_map(Ending::Shutdown),
        1 => Just(Ending::BothShutdown),
        1 => (0_usize..2).prop_map(Ending::Abort),
    ]
}

pub(super) fn script() -> impl Strategy<Value = Script> {
    let window = prop_oneof![Just(10_000_usize), Just(100_000), Just(4 << 20)];
    let wait = prop_oneof![Just(0_u64), 0_u64..60, 100_u64..3000];
    let steps = vec((operation(), wait), 0..60);
    let first = vec((0_usize..2, kind()), 1..4);
    (any::<u64>(), window, any::<[bool; 3]>(), weather(false), first, steps, ending())
        .prop_map(|(seed, window, [checksum, interleaving, reads_parts], weather, first, steps, ending)| {
            Script { seed, window, checksum, interleaving, reads_parts, weather, first, steps, ending }
        })
        .prop_map(Script::sheltered)
}
