//! One pair of connections, from its first packet to its last.

use crate::Tally;
use crate::oracle::message;
use crate::relay::{Conditions, Relay};
use crate::support::{configuration, gathered, peer};
use crate::talk::Talk;
use rand::RngExt;
use rand::seq::IndexedRandom;
use rand_chacha::ChaCha12Rng;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use straits::{
    DataChannelInit, Endpoint, Error, OfferOptions, PeerConnection, PeerConnectionState, Priority, Stage,
};

/// A pair and what it is doing.
pub(crate) struct Life<'a> {
    random: &'a mut ChaCha12Rng,
    tally: Arc<Tally>,
    ends: [PeerConnection; 2],
    /// None between an end of its own and one on the common endpoint.
    relay: Option<Relay>,
    talks: Vec<Talk>,
    /// Channels so far.
    count: u16,
    begun: Instant,
    /// What was done, and when it began.
    journal: Vec<(Duration, Step)>,
}

/// What may be done next.
#[derive(Clone, Copy, Debug)]
enum Step {
    Open,
    Send,
    CloseChannel,
    AbortChannel,
    Restart,
    Weather,
    Blackout,
    Calm,
}

/// How a life may end.
#[derive(Clone, Copy, Debug)]
enum Ending {
    Graceful,
    Hard,
    Dropped,
    Vanished,
}

impl<'a> Life<'a> {
    /// Two connected ends, by way of a relay or of the endpoint.
    pub(crate) async fn begin(random: &'a mut ChaCha12Rng, endpoint: &Endpoint, tally: Arc<Tally>) -> Self {
        let a = peer();
        let first = a.create_data_channel("first", DataChannelInit::default()).unwrap();
        let (b, relay) = if random.random_bool(0.7) {
            let b = peer();
            // A flipped bit ends a handshake, of which not everything is authenticated at once.
            let conditions = Conditions { corruption: 0.0, ..weather(random) };
            let relay = Relay::connect(&a, &b, conditions, random.random()).await;
            (b, Some(relay))
        } else {
            a.set_local_description_implicitly().await.unwrap();
            gathered(&a).await;
            let offer = a.local_description().unwrap();
            let (b, answer) = endpoint.accept(offer, configuration()).await.unwrap();
            a.set_remote_description(answer).await.unwrap();
            (b, None)
        };
        tally.connections.fetch_add(1, Ordering::Relaxed);
        let (begun, journal) = (Instant::now(), Vec::new());
        let mut life =
            Self { random, tally, ends: [a, b], relay, talks: Vec::new(), count: 0, begun, journal };
        life.succeed("the first channel", first.opened()).await;
        let accepted = life.watch("the first channel", life.ends[1].accept_channel()).await;
        let accepted = accepted.unwrap_or_else(|| panic!("no channel\n{}", life.report()));
        life.begin_talk([first, accepted]);
        life
    }

    /// Does this and that, then ends.
    pub(crate) async fn run(mut self) {
        for _ in 0..self.random.random_range(5..60) {
            let step = *STEPS.choose(self.random).unwrap();
            self.step(step).await;
        }
        self.end().await;
    }

    async fn step(&mut self, step: Step) {
        self.journal.push((self.begun.elapsed(), step));
        match step {
            Step::Open if self.talks.len() < 12 => self.open().await,
            Step::Send => self.send().await,
            Step::CloseChannel if self.talks.len() > 1 => self.close_channel().await,
            Step::AbortChannel if self.talks.len() > 1 => {
                let talk = self.any_talk();
                talk.ends[self.random.random_range(0..2)].abort();
                self.watch("the end of an aborted channel", talk.finish([false; 2])).await;
            }
            Step::Restart => self.restart().await,
            Step::Weather => self.set(weather),
            Step::Blackout if self.relay.is_some() => self.blackout().await,
            Step::Calm => self.set(|_| Conditions::default()),
            Step::Open | Step::CloseChannel | Step::AbortChannel | Step::Blackout => {}
        }
    }

    async fn open(&mut self) {
        let side = self.random.random_range(0..2);
        self.count += 1;
        let init = DataChannelInit::default().ordered(self.random.random_bool(0.5));
        let init =
            init.priority(*[Priority::VeryLow, Priority::Low, Priority::High].choose(self.random).unwrap());
        let init = match self.random.random_range(0..4) {
            0 => init.max_retransmits(self.random.random_range(0..4)),
            1 => init.max_packet_life_time(self.random.random_range(0..500)),
            _ => init,
        };
        let label = format!("channel {}", self.count);
        let ends = if self.random.random_bool(0.3) {
            let init = init.negotiated(true).id(500 + self.count);
            let ends =
                [0, 1].map(|end: usize| self.ends[end].create_data_channel(&label, init.clone()).unwrap());
            self.succeed("a channel", ends[0].opened()).await;
            self.succeed("a channel", ends[1].opened()).await;
            ends
        } else {
            let ours = self.ends[side].create_data_channel(&label, init).unwrap();
            let theirs = self.watch("a channel", self.ends[1 - side].accept_channel()).await;
            let theirs = theirs.unwrap_or_else(|| panic!("no channel\n{}", self.report()));
            assert_eq!(theirs.label(), label);
            self.succeed("a channel", ours.opened()).await;
            if side == 0 { [ours, theirs] } else { [theirs, ours] }
        };
        self.begin_talk(ends);
    }

    /// A burst on some channel, by one of its ends.
    async fn send(&mut self) {
        let (talk, side) = (self.random.random_range(0..self.talks.len()), self.random.random_range(0..2));
        let (count, largest) =
            *[(300, 200), (60, 5000), (20, 70_000), (3, 260_000)].choose(self.random).unwrap();
        for _ in 0..self.random.random_range(1..=count) {
            let size = self.random.random_range(8..=largest);
            let talk = &self.talks[talk];
            let next = message(talk.sent[side].count(), size);
            self.succeed("room to send", talk.ends[side].send(next)).await;
            talk.sent[side].add();
            self.tally.messages.fetch_add(1, Ordering::Relaxed);
            self.tally.bytes.fetch_add(size as u64, Ordering::Relaxed);
        }
    }

    /// Who closes loses nothing of what it sent.
    async fn close_channel(&mut self) {
        let talk = self.any_talk();
        let side = self.random.random_range(0..2);
        talk.ends[side].close();
        let mut complete = [false; 2];
        complete[1 - side] = true;
        self.watch("the end of a closed channel", talk.finish(complete)).await;
    }

    /// RFC 8445 §9: channels and what is queued on them stay.
    async fn restart(&mut self) {
        let Some(relay) = &mut self.relay else { return };
        let options = OfferOptions::default().ice_restart(true);
        relay.negotiate(&self.ends[0], &self.ends[1], options).await;
        self.tally.restarts.fetch_add(1, Ordering::Relaxed);
    }

    /// Shorter than consent lasts, and long enough for "disconnected".
    async fn blackout(&mut self) {
        let direction = self.random.random_range(0..3);
        let blackout = [direction != 0, direction != 1];
        self.set(|_| Conditions { blackout, ..Conditions::default() });
        self.tally.blackouts.fetch_add(1, Ordering::Relaxed);
        // The ends do what they have to do meanwhile.
        tokio::time::sleep(Duration::from_millis(self.random.random_range(10..7000))).await;
        self.set(weather);
        // Consent is renewed: several blackouts on end would outlast it.
        let answers = self.answers();
        let is_renewed = || std::iter::zip(self.answers(), answers).all(|(now, before)| now > before);
        self.watch("consent after a blackout", until(is_renewed)).await;
    }

    /// How many of its checks each end had answered.
    fn answers(&self) -> [u64; 2] {
        self.ends.each_ref().map(|end| end.stats().ice.responses_received)
    }

    async fn end(mut self) {
        let endings = [Ending::Graceful, Ending::Graceful, Ending::Graceful, Ending::Hard, Ending::Dropped];
        let mut ending = *endings.choose(self.random).unwrap();
        if self.relay.is_some() && self.random.random_bool(0.05) {
            ending = Ending::Vanished;
        }
        let side = self.random.random_range(0..2);
        let mut complete = [false; 2];
        match ending {
            Ending::Graceful => {
                self.set(weather);
                let closing = self.ends[side].close_gracefully(2 * PATIENCE);
                let reason = self.watch("a graceful end", closing).await;
                assert!(reason.is_orderly(), "{reason}");
                complete[1 - side] = true;
            }
            Ending::Hard => self.ends[side].close(),
            Ending::Dropped => {
                self.talks.drain(..).for_each(Talk::forget);
                return;
            }
            Ending::Vanished => {
                self.relay = None;
                for end in &self.ends {
                    let is_gone = || end.explain().close_reason.is_some();
                    self.watch("the end of consent", until(is_gone)).await;
                    assert_eq!(end.explain().stage(), Stage::Ice, "{}", end.explain());
                }
            }
        }
        // The last words are said once, and may be lost. Then the other end loses consent, which an ICE restart might mend:
        // it is for its user to end it.
        for end in &self.ends {
            self.watch("the end, or that of consent", until(|| end.close_reason().is_some())).await;
            if end.connection_state() == PeerConnectionState::Failed {
                assert_eq!(end.explain().stage(), Stage::Ice, "{}", end.explain());
                end.close();
            }
        }
        for end in &self.ends {
            self.watch("the end", end.closed()).await;
        }
        for talk in std::mem::take(&mut self.talks) {
            let undelivered = self.watch("the readers", talk.finish(complete)).await;
            self.tally.undelivered.fetch_add(undelivered, Ordering::Relaxed);
        }
    }

    fn begin_talk(&mut self, ends: [straits::DataChannel; 2]) {
        self.tally.channels.fetch_add(1, Ordering::Relaxed);
        self.talks.push(Talk::begin(ends));
    }

    fn any_talk(&mut self) -> Talk {
        let index = self.random.random_range(0..self.talks.len());
        self.talks.swap_remove(index)
    }

    fn set(&mut self, conditions: impl FnOnce(&mut ChaCha12Rng) -> Conditions) {
        if let Some(relay) = &self.relay {
            relay.set(conditions(self.random));
        }
    }

    /// Nothing takes for ever.
    async fn watch<T>(&self, what: &str, future: impl Future<Output = T>) -> T {
        match tokio::time::timeout(PATIENCE, future).await {
            Ok(value) => value,
            Err(_) => panic!("stuck: {what}\n{}", self.report()),
        }
    }

    async fn succeed<T>(&self, what: &str, future: impl Future<Output = Result<T, Error>>) -> T {
        match self.watch(what, future).await {
            Ok(value) => value,
            Err(error) => panic!("{what}: {error}\n{}", self.report()),
        }
    }

    /// All that is known of the two ends.
    fn report(&self) -> String {
        let report = |end: &PeerConnection| format!("{}\n{:?}", end.explain(), end.stats());
        let [a, b] = self.ends.each_ref().map(report);
        format!("{a}\n{b}\nafter {:?}: {:?}", self.begun.elapsed(), self.journal)
    }
}

/// A network that is good, or not so good.
fn weather(random: &mut ChaCha12Rng) -> Conditions {
    if random.random_bool(0.4) {
        return Conditions::default();
    }
    Conditions {
        loss: random.random_range(0.0..0.1),
        duplication: random.random_range(0.0..0.05),
        corruption: random.random_range(0.0..0.02),
        jitter: Duration::from_millis(random.random_range(0..30)),
        ..Conditions::default()
    }
}

async fn until(is_so: impl Fn() -> bool) {
    while !is_so() {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

const STEPS: [Step; 16] = [
    Step::Open,
    Step::Open,
    Step::Open,
    Step::Send,
    Step::Send,
    Step::Send,
    Step::Send,
    Step::Send,
    Step::Send,
    Step::CloseChannel,
    Step::CloseChannel,
    Step::AbortChannel,
    Step::Restart,
    Step::Weather,
    Step::Blackout,
    Step::Calm,
];
/// Longer than anything takes: an association gives a silent peer up within a minute.
const PATIENCE: Duration = Duration::from_secs(120);
