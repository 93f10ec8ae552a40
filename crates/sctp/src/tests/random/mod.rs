//! Users who do what they like with channels over a network that does what it likes: what was sent is what is delivered, as
//! far as each channel's reliability allows, and nothing is ever stuck.
//!
//! `PROPTEST_CASES=20000 cargo test -p straits-sctp --lib tests::random` runs for longer, `SIM_SEED=…` elsewhere. What fails
//! is shrunk and printed as a script that can be run alone.

mod book;
mod script;
mod user;
mod watch;

use super::*;
use crate::{ChannelEvent, ChannelId, ChannelInit, ChannelState, Channels, MessageKind, Role};
use book::{Ending, Fate};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use script::{Kind, Operation, Script};
use straits_sim::seed;
use user::User;

type Net = straits_sim::Pair<User>;

/// A script that is being run.
struct Run {
    net: Net,
    /// What each channel was made with; channels have their place here for a label.
    kinds: Vec<Kind>,
}

impl Run {
    /// Up, with the first channels asked for before that.
    fn new(script: &Script) -> Self {
        let config = script.config();
        let wire = Wire::new();
        let user = |side: u64, role| {
            User::new(config.clone(), role, derive_seed(script.seed, side), wire.now(), script.reads_parts)
        };
        let (a, b) = (user(0, Role::Client), user(1, Role::Server));
        let net = straits_sim::Pair::starting_at(wire, a, b, script.weather.conditions(), script.seed);
        let mut run = Self { net, kinds: Vec::new() };
        run.net.wire_mut().is_tracing = false;
        run.net.wire_mut().max_idle_wait = PATIENCE;
        for (side, kind) in &script.first {
            run.open(*side, *kind);
        }
        for side in 0..2 {
            let now = run.net.now();
            run.user(side).channels.connect(now);
        }
        run.net.run_for(BAD_START);
        run.net.set_conditions(calm());
        run.net.run_until(PATIENCE, |net| [&net.a, &net.b].iter().all(|user| user.is_up()));
        run.net.set_conditions(script.weather.conditions());
        run
    }

    fn user(&mut self, side: usize) -> &mut User {
        if side == 0 { &mut self.net.a } else { &mut self.net.b }
    }

    fn open(&mut self, side: usize, kind: Kind) {
        let (name, now) = (self.kinds.len(), self.net.now());
        self.kinds.push(kind);
        self.user(side).open(now, name, kind);
        if kind.negotiated {
            self.user(1 - side).open(now, name, kind);
        }
    }

    fn operate(&mut self, operation: &Operation) {
        let now = self.net.now();
        match *operation {
            Operation::Open { side, kind } => self.open(side, kind),
            Operation::Send { side, ref channel, len, kind } => {
                self.user(side).send(now, channel, len, kind, true);
            }
            Operation::SendPart { side, ref channel, len, last } => {
                self.user(side).send(now, channel, len, MessageKind::Binary, last);
            }
            Operation::Read { side, count } => self.user(side).read(now, count),
            Operation::Sleep { side, sleeps } => self.user(side).sleeps = sleeps,
            Operation::Close { side, ref channel } => self.user(side).close(now, channel),
            Operation::Abort { side, ref channel } => self.user(side).abort(now, channel),
            Operation::PathChanged { side } => self.user(side).channels.path_changed(now),
            Operation::Weather(weather) => self.net.set_conditions(weather.conditions()),
        }
    }

    /// The network is good again and both users read: all that was asked for is done in bounded time.
    fn finish(&mut self, ending: Ending) {
        self.net.set_conditions(calm());
        let now = self.net.now();
        for side in 0..2 {
            let user = self.user(side);
            user.sleeps = false;
            user.read(now, usize::MAX);
            user.end_open_messages(now, ending);
        }
        match ending {
            Ending::None => {}
            Ending::Shutdown(side) => self.user(side).channels.shutdown(now),
            Ending::BothShutdown => {
                self.net.a.channels.shutdown(now);
                self.net.b.channels.shutdown(now);
            }
            Ending::Abort(side) => self.user(side).channels.abort(now),
        }
        self.net.run_until_idle();
    }

    fn check(&self, ending: Ending) {
        let users = [&self.net.a, &self.net.b];
        let is_over = ending != Ending::None;
        for user in users {
            assert_eq!(user.channels.association().close_reason().is_some(), is_over);
            assert_eq!(user.channels.poll_timeout(), None);
            assert!(matches!(ending, Ending::Abort(_)) || user.channels.undelivered() == 0);
        }
        for (name, kind) in self.kinds.iter().enumerate() {
            let [a, b] = users.map(|user| user.books.get(&name));
            let was_aborted = matches!(ending, Ending::Abort(_))
                || [a, b].into_iter().flatten().any(|book| book.was_aborted);
            let is_closed = is_over || [a, b].into_iter().flatten().any(|book| book.was_ended);
            let fate = if was_aborted { Fate::Aborted } else { Fate::Delivered };
            for (from, to) in [(a, b), (b, a)] {
                match (from, to) {
                    (Some(from), Some(to)) => to.check(from, kind, fate, &format!("channel {name} {kind:?}")),
                    // The peer never heard of it.
                    (Some(_), None) => assert_eq!(fate, Fate::Aborted, "channel {name} {kind:?}"),
                    (None, _) => {}
                }
            }
            for book in [a, b].into_iter().flatten() {
                assert_eq!(book.closed, usize::from(is_closed), "channel {name} {kind:?}");
                assert!(book.opened == 1 || fate == Fate::Aborted, "channel {name} {kind:?}");
            }
        }
    }
}

fn run(script: &Script) {
    let mut run = Run::new(script);
    for (operation, wait) in &script.steps {
        run.operate(operation);
        run.net.run_for(ms(*wait));
    }
    run.finish(script.ending);
    run.check(script.ending);
}

fn config() -> ProptestConfig {
    let mut config = ProptestConfig { rng_seed: RngSeed::Fixed(seed()), ..ProptestConfig::default() };
    if std::env::var_os("PROPTEST_CASES").is_none() {
        config.cases = CASES;
    }
    config
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn users_do_what_they_like(script in script::script()) {
        run(&script);
    }
}

/// Some ten seconds of `cargo test`.
const CASES: u32 = 300;
/// So long the set-up has to do with the weather as it is.
const BAD_START: Duration = Duration::from_secs(5);
/// Within this everything that can be done is done once the network is good again: some ten times RTO.Max, and the transfer
/// of what was queued.
const PATIENCE: Duration = Duration::from_secs(120);
