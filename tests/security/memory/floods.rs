//! Floods by an authenticated peer, against limits of every size: none takes more memory than the limits say, none makes
//! this side do more for a packet the longer it goes on, and afterwards all is as before.
//!
//! `FLOOD_SEEDS=50 cargo test -p straits-tests --test security_memory floods` tries 50 seeds in place of one.

use super::flood::{Attack, Flood, Settings};
use super::{ALLOCATOR, turn};
use rand::RngExt as _;
use stats_alloc::Region;

const SMALL: Settings = Settings {
    window: 32 << 10,
    largest: 16 << 10,
    streams: 64,
    channels: 4,
    name_bytes: 8 << 10,
    incomplete: 16,
    gap_ranges: 32,
    queued_answers: 8,
    send_buffer: 64 << 10,
};

/// A large message in a window that is smaller, and many streams.
const NARROW: Settings =
    Settings { window: 4000, largest: 256 << 10, streams: u16::MAX, channels: 1, incomplete: 4, ..SMALL };

const LARGE: Settings = Settings {
    window: 1 << 20,
    largest: 64 << 10,
    streams: 4096,
    channels: 1024,
    name_bytes: 1 << 20,
    incomplete: 1024,
    gap_ranges: 1024,
    queued_answers: 64,
    send_buffer: 128 << 10,
};

const SETTINGS: [Settings; 3] = [SMALL, NARROW, LARGE];

const ATTACKS: [(&str, Attack); 15] = [
    ("small messages on one stream", |flood, _| flood.messages(20, |_| 1, false)),
    ("small messages on all streams", |flood, _| flood.messages(20, Flood::any_stream, true)),
    ("ordered messages on all streams", |flood, _| flood.messages(20, Flood::any_stream, false)),
    ("large messages", |flood, _| flood.large_message()),
    ("beginnings of messages", |flood, _| flood.fragments(1, Flood::any_stream)),
    ("beginnings of messages in one stream", |flood, _| flood.fragments(1, |_| 1)),
    ("pieces of messages", |flood, _| flood.fragments(6, Flood::any_stream)),
    ("gaps", |flood, _| flood.gaps()),
    ("FORWARD TSN", |flood, _| flood.forwards(300)),
    ("resets of streams", |flood, n| flood.resets(n)),
    ("requests to reset our streams", |flood, n| flood.asks_for_resets(n)),
    ("OPENs with long names", |flood, _| flood.opens(1000)),
    ("OPENs", |flood, _| flood.opens(0)),
    ("HEARTBEATs and what is unknown", |flood, n| flood.noise(n)),
    ("windows of zero and contradictory SACKs", |flood, n| flood.sacks(n)),
];

/// All at once.
fn any(flood: &mut Flood, n: u32) {
    let (_, attack) = ATTACKS[flood.rng.random_range(0..ATTACKS.len())];
    // What went before has nothing to do with it.
    flood.skip();
    attack(flood, n);
}

fn attacks() -> impl Iterator<Item = (&'static str, Attack)> {
    ATTACKS.into_iter().chain([("all at once", any as Attack)])
}

/// Packets of one flood.
const PACKETS: u32 = 400;

/// One flood of one engine.
#[derive(Clone, Copy)]
struct Case {
    attack: Attack,
    settings: Settings,
    interleaved: bool,
    seed: u64,
}

impl Case {
    fn flood(&self) -> Flood {
        Flood::new(self.settings, self.interleaved, self.seed)
    }
}

fn each(test: impl Fn(&str, Case)) {
    let seeds = std::env::var("FLOOD_SEEDS").map_or(1, |text| text.parse().expect("a number of seeds"));
    for seed in 7..7_u64 + seeds {
        for settings in SETTINGS {
            for interleaved in [false, true] {
                for (name, attack) in attacks() {
                    let name = format!("{name}, seed {seed}, interleaved: {interleaved}, {settings:?}");
                    test(&name, Case { attack, settings, interleaved, seed });
                }
            }
        }
    }
}

/// No flood takes more than the limits say, nor do all at once. When one is over, and all is read and closed, the memory is
/// given back, and the association carries messages both ways.
#[test]
fn attack_17_18_24_25_28_floods_stay_within_the_limits() {
    let _turn = turn();
    each(|name, case| {
        let mut flood = case.flood();
        let peak = flood.run(PACKETS, case.attack);
        let (bound, bound_at_rest) = (case.settings.bound(), case.settings.bound_at_rest());
        assert!(peak <= bound, "{name}: {peak} bytes of {bound}");
        let rest = flood.recover(name);
        assert!(rest <= bound_at_rest, "{name}: {rest} bytes left of {peak}");
    });
}

/// Two and four times the flood cost two and four times as many allocations, bytes and answers, and not more.
#[test]
fn attack_57_floods_cost_no_more_the_longer_they_last() {
    let _turn = turn();
    each(|name, case| {
        let cost = |packets: u32| {
            let mut flood = case.flood();
            let before = flood.sent();
            let region = Region::new(ALLOCATOR);
            flood.run(packets, case.attack);
            let change = region.change();
            [change.allocations, change.bytes_allocated, flood.sent() - before]
        };
        let costs = [cost(PACKETS / 4), cost(PACKETS / 2), cost(PACKETS)];
        for (n, what) in ["allocations", "bytes", "packets"].into_iter().enumerate() {
            let [once, twice, four_times] = costs.map(|cost| cost[n]);
            // A queue that grows doubles.
            let slack = [500, 256 << 10, 20][n];
            let is_linear = twice <= 2 * once + once / 2 + slack && four_times <= 5 * once + slack;
            assert!(is_linear, "{name}: {once}, {twice}, {four_times} {what}");
        }
    });
}
