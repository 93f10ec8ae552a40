//! One direction of a path.

use crate::trace::DropReason;
use crate::{Datagram, derive_seed};
use bytes::{Bytes, BytesMut};
use rand::RngExt as _;
use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::SeedableRng as _;
use std::collections::VecDeque;
use std::fmt;
use std::time::{Duration, Instant};

/// What a [`Link`] does to datagrams. Plain values; change them at any time through [`Link::conditions`].
///
/// Probabilities are between 0 and 1 (others panic when used). The default is a perfect link without delay.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Conditions {
    /// Time on the way.
    pub delay: Duration,
    /// Up to this much is added to `delay`, evenly distributed. Jitter alone never reorders.
    pub jitter: Duration,
    /// Random or bursty loss.
    pub loss: Loss,
    /// Probability that a datagram arrives twice; the copy has its own jitter.
    pub duplicate: f64,
    /// Probability that a datagram is held back by `reorder_by` while later ones pass it.
    pub reorder: f64,
    /// How long a reordered datagram is held back.
    pub reorder_by: Duration,
    /// Probability that one to three bits of the payload are flipped.
    pub corrupt: f64,
    /// The bottleneck; `None` is infinitely fast.
    pub rate: Option<Rate>,
    /// Largest UDP payload in bytes that passes; larger ones vanish. `None` is no limit.
    pub mtu: Option<usize>,
    /// While set, nothing passes. What is already on the way still arrives.
    pub blackout: bool,
}

/// How datagrams are lost.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Loss {
    /// None is.
    #[default]
    None,
    /// Each with this probability, independently.
    Random(f64),
    /// In bursts (Gilbert's model).
    Bursty(Burst),
}

/// Gilbert's model: in the bad state everything is lost, in the good state nothing. The mean loss is
/// `enter / (enter + leave)`, the mean length of a burst `1 / leave` datagrams.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Burst {
    /// Probability per datagram that a burst begins.
    pub enter: f64,
    /// Probability per datagram that it ends.
    pub leave: f64,
}

/// A bottleneck with a drop-tail queue before it. Only UDP payload bytes count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Bits per second, above zero.
    pub bits_per_second: u64,
    /// Bytes that may wait, the datagram being sent included.
    pub queue_bytes: usize,
}

/// What a script or filter decides for one datagram.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Continue with the link's conditions.
    Pass,
    /// Drop it.
    Drop,
    /// Hold it back by this long; later ones pass it.
    Delay(Duration),
    /// Send these bytes in its place.
    Replace(Bytes),
}

/// Counters of a [`Link`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LinkStats {
    /// Datagrams handed to the link.
    pub sent: u64,
    /// Datagrams that pass, copies not counted.
    pub passed: u64,
    /// Datagrams dropped, for any reason.
    pub dropped: u64,
    /// Second copies made.
    pub duplicated: u64,
    /// Datagrams held back.
    pub reordered: u64,
    /// Datagrams with flipped bits.
    pub corrupted: u64,
    /// Payload bytes that pass, copies not counted.
    pub bytes: u64,
}

/// A directed link between two endpoints.
///
/// A datagram meets, in this order: script, filter, blackout, MTU, loss, queue, corruption, reordering, duplication.
pub struct Link {
    /// What happens on the way; may be changed at any time, and then holds for what is sent from then on.
    pub conditions: Conditions,
    script: VecDeque<Verdict>,
    filter: Option<Filter>,
    rng: ChaCha12Rng,
    in_burst: bool,
    /// When the bottleneck has sent all that it queued.
    busy_until: Option<Instant>,
    /// Arrival of the latest datagram that keeps its order.
    last_arrival: Option<Instant>,
    stats: LinkStats,
}

impl Link {
    /// A link whose randomness follows from `seed` and `stream`.
    pub fn new(conditions: Conditions, seed: u64, stream: u64) -> Self {
        Self {
            conditions,
            script: VecDeque::new(),
            filter: None,
            rng: ChaCha12Rng::from_seed(derive_seed(seed, stream)),
            in_burst: false,
            busy_until: None,
            last_arrival: None,
            stats: LinkStats::default(),
        }
    }

    /// Drops the next `count` datagrams (after those that a script already decides).
    pub fn drop_next(&mut self, count: usize) {
        self.script.extend(std::iter::repeat_n(Verdict::Drop, count));
    }

    /// Decides the next datagrams one by one; they do not meet the filter.
    pub fn script(&mut self, verdicts: impl IntoIterator<Item = Verdict>) {
        self.script.extend(verdicts);
    }

    /// Asks `filter` about each datagram that the script does not decide. Replaces the previous filter.
    pub fn set_filter(&mut self, filter: impl FnMut(Instant, &Datagram) -> Verdict + Send + 'static) {
        self.filter = Some(Box::new(filter));
    }

    /// Removes the filter and what is left of the script.
    pub fn clear_filter(&mut self) {
        self.filter = None;
        self.script.clear();
    }

    /// Counters since the start.
    pub fn stats(&self) -> LinkStats {
        self.stats
    }

    /// Decides what becomes of a datagram sent now.
    pub(crate) fn carry(&mut self, now: Instant, datagram: &Datagram) -> Result<Carried, DropReason> {
        self.stats.sent += 1;
        let carried = self.decide(now, datagram);
        match &carried {
            Ok(carried) => {
                self.stats.passed += 1;
                self.stats.bytes += carried.payload.len() as u64;
                self.stats.duplicated += u64::from(carried.copy_at.is_some());
                self.stats.corrupted += u64::from(carried.corrupted);
            }
            Err(_) => self.stats.dropped += 1,
        }
        carried
    }

    fn decide(&mut self, now: Instant, datagram: &Datagram) -> Result<Carried, DropReason> {
        let (mut payload, held) = self.verdict(now, datagram)?;
        if self.conditions.blackout {
            return Err(DropReason::Blackout);
        }
        if self.conditions.mtu.is_some_and(|mtu| payload.len() > mtu) {
            return Err(DropReason::TooBig);
        }
        if self.is_lost() {
            return Err(DropReason::Lost);
        }
        let departure = self.depart(now, payload.len())?;
        let corrupted = !payload.is_empty() && self.chance(self.conditions.corrupt);
        if corrupted {
            payload = self.flip_bits(&payload);
        }
        let at = self.arrival(departure, held);
        let copy_at = self.chance(self.conditions.duplicate).then(|| self.in_order(departure));
        Ok(Carried { payload, at, copy_at, corrupted })
    }

    /// The payload to send, and by how long the script or filter holds it back.
    fn verdict(
        &mut self,
        now: Instant,
        datagram: &Datagram,
    ) -> Result<(Bytes, Option<Duration>), DropReason> {
        let verdict = match (self.script.pop_front(), &mut self.filter) {
            (Some(verdict), _) => verdict,
            (None, Some(filter)) => filter(now, datagram),
            (None, None) => Verdict::Pass,
        };
        match verdict {
            Verdict::Pass => Ok((datagram.payload.clone(), None)),
            Verdict::Drop => Err(DropReason::Scripted),
            Verdict::Delay(by) => Ok((datagram.payload.clone(), Some(by))),
            Verdict::Replace(payload) => Ok((payload, None)),
        }
    }

    fn is_lost(&mut self) -> bool {
        match self.conditions.loss {
            Loss::None => false,
            Loss::Random(probability) => self.chance(probability),
            Loss::Bursty(Burst { enter, leave }) => {
                let toggles = self.chance(if self.in_burst { leave } else { enter });
                self.in_burst ^= toggles;
                self.in_burst
            }
        }
    }

    /// When the last bit has left the bottleneck.
    fn depart(&mut self, now: Instant, len: usize) -> Result<Instant, DropReason> {
        let Some(Rate { bits_per_second, queue_bytes }) = self.conditions.rate else {
            return Ok(now);
        };
        let start = self.busy_until.map_or(now, |busy| busy.max(now));
        let waiting = (start - now).as_nanos() * u128::from(bits_per_second) / (8 * NANOS_PER_SECOND);
        if waiting + len as u128 > queue_bytes as u128 {
            return Err(DropReason::QueueFull);
        }
        let nanos = len as u128 * 8 * NANOS_PER_SECOND / u128::from(bits_per_second);
        let departure = start + Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
        self.busy_until = Some(departure);
        Ok(departure)
    }

    fn arrival(&mut self, departure: Instant, held: Option<Duration>) -> Instant {
        let held =
            held.or_else(|| self.chance(self.conditions.reorder).then_some(self.conditions.reorder_by));
        match held {
            Some(by) => {
                self.stats.reordered += 1;
                departure + self.conditions.delay + self.jitter() + by
            }
            None => self.in_order(departure),
        }
    }

    /// An arrival time not before that of the datagrams sent earlier.
    fn in_order(&mut self, departure: Instant) -> Instant {
        let arrival = departure + self.conditions.delay + self.jitter();
        let arrival = self.last_arrival.map_or(arrival, |last| last.max(arrival));
        self.last_arrival = Some(arrival);
        arrival
    }

    fn jitter(&mut self) -> Duration {
        match u64::try_from(self.conditions.jitter.as_nanos()) {
            Ok(0) => Duration::ZERO,
            Ok(nanos) => Duration::from_nanos(self.rng.random_range(0..=nanos)),
            Err(_) => self.conditions.jitter,
        }
    }

    fn flip_bits(&mut self, payload: &Bytes) -> Bytes {
        let mut corrupted = BytesMut::from(&payload[..]);
        let first = self.rng.random_range(0..payload.len() * 8);
        let count = self.rng.random_range(1..=3);
        // Neighbouring bits, so that no flip undoes another.
        for bit in (first..payload.len() * 8).take(count) {
            corrupted[bit / 8] ^= 1 << (bit % 8);
        }
        corrupted.freeze()
    }

    /// Draws nothing for an impossible event, so that switching one condition leaves the others' draws alone.
    fn chance(&mut self, probability: f64) -> bool {
        probability > 0.0 && self.rng.random_bool(probability)
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link")
            .field("conditions", &self.conditions)
            .field("script", &self.script)
            .field("filter", &self.filter.is_some())
            .field("stats", &self.stats)
            .finish_non_exhaustive()
    }
}

/// A datagram that passes.
#[derive(Debug)]
pub(crate) struct Carried {
    pub(crate) payload: Bytes,
    pub(crate) at: Instant,
    pub(crate) copy_at: Option<Instant>,
    pub(crate) corrupted: bool,
}

type Filter = Box<dyn FnMut(Instant, &Datagram) -> Verdict + Send>;

const NANOS_PER_SECOND: u128 = 1_000_000_000;
