//! Endpoints, the links between them, and the clock.

use crate::link::{Carried, Conditions, Link};
use crate::trace::{DropReason, Fate, Record};
use crate::{Datagram, Endpoint};
use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// Endpoints joined by links under one virtual clock; implemented by [`Pair`] and [`Network`].
///
/// Between runs the endpoints are freely accessible: call them with [`now`](Self::now). The next run first sends what
/// such a call queued.
pub trait Simulation {
    /// The clock, what is in flight, and the trace.
    fn wire(&self) -> &Wire;

    /// The same, to change it.
    fn wire_mut(&mut self) -> &mut Wire;

    /// How many endpoints there are; they are numbered from 0.
    fn endpoint_count(&self) -> usize;

    /// An endpoint by its number.
    fn endpoint(&self, index: usize) -> &dyn Endpoint;

    /// An endpoint by its number.
    fn endpoint_mut(&mut self, index: usize) -> &mut dyn Endpoint;

    /// Where a datagram goes that endpoint `from` sends, and over which link.
    fn route(&mut self, from: usize, datagram: &Datagram) -> Option<(usize, &mut Link)>;

    /// The virtual time.
    fn now(&self) -> Instant {
        self.wire().now
    }

    /// Virtual time since the start.
    fn elapsed(&self) -> Duration {
        self.wire().now - self.wire().start
    }

    /// What became of each datagram so far, in the order of sending.
    fn trace(&self) -> &[Record] {
        &self.wire().trace
    }

    /// Lets a datagram from outside arrive at endpoint `to` now (at the next step), past all links.
    fn inject(&mut self, to: usize, datagram: Datagram) {
        let at = self.now();
        self.wire_mut().deliver(None, to, datagram, at);
    }

    /// Runs for `duration` of virtual time; the clock ends exactly there.
    ///
    /// # Panics
    ///
    /// If an endpoint spins (see [`Wire::max_steps_per_instant`]).
    #[track_caller]
    fn run_for(&mut self, duration: Duration) {
        let end = self.now() + duration;
        while self.step(end) {}
        self.wire_mut().now = end;
    }

    /// Runs until `done` holds; it is asked before the first and after every step.
    ///
    /// # Panics
    ///
    /// If `done` does not hold within `limit` of virtual time, or if an endpoint spins.
    #[track_caller]
    fn run_until(&mut self, limit: Duration, mut done: impl FnMut(&mut Self) -> bool)
    where
        Self: Sized,
    {
        let end = self.now() + limit;
        self.transmit_all();
        while !done(self) {
            assert!(self.step(end), "the condition did not come true within {limit:?}");
        }
    }

    /// Runs until nothing is in flight and no timer is armed (but see [`Wire::idle_horizon`]).
    ///
    /// # Panics
    ///
    /// If that takes longer than [`Wire::max_idle_wait`], or if an endpoint spins.
    #[track_caller]
    fn run_until_idle(&mut self) {
        let limit = self.wire().max_idle_wait;
        let end = self.now() + limit;
        self.transmit_all();
        while let Some(next) = self.next_event() {
            let horizon = self.wire().idle_horizon.and_then(|horizon| self.now().checked_add(horizon));
            if self.wire().in_flight.is_empty() && horizon.is_some_and(|horizon| next > horizon) {
                return;
            }
            assert!(self.step(end), "still not idle after {limit:?}");
        }
    }

    /// Sends what is waiting, then goes to the next event and handles all that is due then. Answers false, with the
    /// clock unmoved, when there is no event before or at `end`.
    ///
    /// # Panics
    ///
    /// If an endpoint spins.
    #[track_caller]
    fn step(&mut self, end: Instant) -> bool {
        self.transmit_all();
        let Some(next) = self.next_event().filter(|&next| next <= end) else {
            return false;
        };
        let wire = self.wire_mut();
        wire.advance_to(next);
        while let Some((to, datagram)) = self.wire_mut().pop_due() {
            let now = self.now();
            self.endpoint_mut(to).handle_datagram(now, datagram);
            self.transmit(to);
        }
        for index in 0..self.endpoint_count() {
            let now = self.now();
            if self.endpoint(index).poll_timeout().is_some_and(|deadline| deadline <= now) {
                self.endpoint_mut(index).handle_timeout(now);
                self.transmit(index);
            }
        }
        true
    }

    /// When something happens next.
    fn next_event(&self) -> Option<Instant> {
        let timers = (0..self.endpoint_count()).filter_map(|index| self.endpoint(index).poll_timeout());
        timers.chain(self.wire().in_flight.keys().next().map(|&(at, _)| at)).min()
    }

    /// Sends what all endpoints have waiting.
    #[track_caller]
    fn transmit_all(&mut self) {
        for index in 0..self.endpoint_count() {
            self.transmit(index);
        }
    }

    /// Sends what one endpoint has waiting.
    ///
    /// # Panics
    ///
    /// If it has more than [`Wire::max_steps_per_instant`] datagrams.
    #[track_caller]
    fn transmit(&mut self, from: usize) {
        let now = self.now();
        let mut count = 0;
        while let Some(datagram) = self.endpoint_mut(from).poll_transmit(now) {
            count += 1;
            assert!(count <= self.wire().max_steps_per_instant, "endpoint {from} never stops transmitting");
            match self.route(from, &datagram).map(|(to, link)| (to, link.carry(now, &datagram))) {
                Some((to, carried)) => self.wire_mut().send(from, to, datagram, carried),
                None => {
                    self.wire_mut().record(Some(from), None, datagram, Fate::Dropped(DropReason::NoRoute));
                }
            }
        }
    }
}

/// Two endpoints, `a` (number 0) and `b` (number 1); whatever one sends goes to the other, whatever the addresses.
#[derive(Debug)]
pub struct Pair<A, B = A> {
    /// Endpoint 0.
    pub a: A,
    /// Endpoint 1.
    pub b: B,
    /// What `a` sends passes here.
    pub a_to_b: Link,
    /// What `b` sends passes here.
    pub b_to_a: Link,
    wire: Wire,
}

impl<A: Endpoint, B: Endpoint> Pair<A, B> {
    /// Joins two endpoints by two links of the same conditions.
    pub fn new(a: A, b: B, conditions: Conditions, seed: u64) -> Self {
        Self::starting_at(Wire::new(), a, b, conditions, seed)
    }

    /// The same with a clock made before, for endpoints whose constructor takes the time.
    pub fn starting_at(wire: Wire, a: A, b: B, conditions: Conditions, seed: u64) -> Self {
        Self {
            a,
            b,
            a_to_b: Link::new(conditions.clone(), seed, link_stream(0, 1)),
            b_to_a: Link::new(conditions, seed, link_stream(1, 0)),
            wire,
        }
    }

    /// Changes both links' conditions.
    pub fn set_conditions(&mut self, conditions: Conditions) {
        self.a_to_b.conditions = conditions.clone();
        self.b_to_a.conditions = conditions;
    }

    /// Switches the blackout of both links.
    pub fn set_blackout(&mut self, blackout: bool) {
        self.a_to_b.conditions.blackout = blackout;
        self.b_to_a.conditions.blackout = blackout;
    }
}

impl<A: Endpoint, B: Endpoint> Simulation for Pair<A, B> {
    fn wire(&self) -> &Wire {
        &self.wire
    }

    fn wire_mut(&mut self) -> &mut Wire {
        &mut self.wire
    }

    fn endpoint_count(&self) -> usize {
        2
    }

    fn endpoint(&self, index: usize) -> &dyn Endpoint {
        if index == 0 { &self.a } else { &self.b }
    }

    fn endpoint_mut(&mut self, index: usize) -> &mut dyn Endpoint {
        if index == 0 { &mut self.a } else { &mut self.b }
    }

    fn route(&mut self, from: usize, _datagram: &Datagram) -> Option<(usize, &mut Link)> {
        Some(if from == 0 { (1, &mut self.a_to_b) } else { (0, &mut self.b_to_a) })
    }
}

/// Any number of endpoints, found by address. A link is made when it is first used or asked for.
#[derive(Debug)]
pub struct Network<E> {
    /// The endpoints by number.
    pub endpoints: Vec<E>,
    addresses: BTreeMap<SocketAddr, usize>,
    links: BTreeMap<(usize, usize), Link>,
    conditions: Conditions,
    seed: u64,
    wire: Wire,
}

impl<E: Endpoint> Network<E> {
    /// An empty network whose links have these conditions at first.
    pub fn new(conditions: Conditions, seed: u64) -> Self {
        Self {
            endpoints: Vec::new(),
            addresses: BTreeMap::new(),
            links: BTreeMap::new(),
            conditions,
            seed,
            wire: Wire::new(),
        }
    }

    /// Adds an endpoint that is reached at `addresses` and gives its number.
    pub fn add(&mut self, endpoint: E, addresses: &[SocketAddr]) -> usize {
        let index = self.endpoints.len();
        self.endpoints.push(endpoint);
        self.addresses.extend(addresses.iter().map(|&address| (address, index)));
        index
    }

    /// The link from one endpoint to another.
    pub fn link(&mut self, from: usize, to: usize) -> &mut Link {
        let Self { links, conditions, seed, .. } = self;
        links.entry((from, to)).or_insert_with(|| Link::new(conditions.clone(), *seed, link_stream(from, to)))
    }
}

impl<E: Endpoint> Simulation for Network<E> {
    fn wire(&self) -> &Wire {
        &self.wire
    }

    fn wire_mut(&mut self) -> &mut Wire {
        &mut self.wire
    }

    fn endpoint_count(&self) -> usize {
        self.endpoints.len()
    }

    fn endpoint(&self, index: usize) -> &dyn Endpoint {
        &self.endpoints[index]
    }

    fn endpoint_mut(&mut self, index: usize) -> &mut dyn Endpoint {
        &mut self.endpoints[index]
    }

    fn route(&mut self, from: usize, datagram: &Datagram) -> Option<(usize, &mut Link)> {
        let to = *self.addresses.get(&datagram.destination)?;
        Some((to, self.link(from, to)))
    }
}

/// The clock of a [`Simulation`], the datagrams on the way, the trace and the bounds.
pub struct Wire {
    /// Timers further away than this do not keep [`Simulation::run_until_idle`] running (keepalives, for example).
    /// `None`, the default: every armed timer does.
    pub idle_horizon: Option<Duration>,
    /// How much virtual time [`Simulation::run_until_idle`] may take. Default: one hour.
    pub max_idle_wait: Duration,
    /// Steps that may pass without the clock moving, and datagrams that one endpoint may send at one instant, before
    /// the run panics. Default: 100 000.
    pub max_steps_per_instant: usize,
    /// Keep a [`Record`] of every datagram? Default: yes. Switch it off for long benchmarks.
    pub is_tracing: bool,
    start: Instant,
    now: Instant,
    steps_at_now: usize,
    sequence: u64,
    in_flight: BTreeMap<(Instant, u64), (usize, Datagram)>,
    trace: Vec<Record>,
}

impl Wire {
    /// A clock that has not moved yet.
    pub fn new() -> Self {
        // The one reading of the real clock: an `Instant` can be had in no other way. Only differences count.
        let start = Instant::now();
        Self {
            idle_horizon: None,
            max_idle_wait: Duration::from_secs(3600),
            max_steps_per_instant: 100_000,
            is_tracing: true,
            start,
            now: start,
            steps_at_now: 0,
            sequence: 0,
            in_flight: BTreeMap::new(),
            trace: Vec::new(),
        }
    }

    /// The virtual time.
    pub fn now(&self) -> Instant {
        self.now
    }

    /// How many datagrams are on the way.
    pub fn in_flight(&self) -> usize {
        self.in_flight.len()
    }

    /// Forgets the trace so far.
    pub fn clear_trace(&mut self) {
        self.trace.clear();
    }

    #[track_caller]
    fn advance_to(&mut self, next: Instant) {
        if next > self.now {
            self.now = next;
            self.steps_at_now = 0;
            return;
        }
        self.steps_at_now += 1;
        assert!(
            self.steps_at_now <= self.max_steps_per_instant,
            "the clock stands still at {:?}: a timer fires without moving on, or datagrams chase each other",
            self.now - self.start
        );
    }

    fn pop_due(&mut self) -> Option<(usize, Datagram)> {
        let entry = self.in_flight.first_entry()?;
        (entry.key().0 <= self.now).then(|| entry.remove())
    }

    fn send(&mut self, from: usize, to: usize, datagram: Datagram, carried: Result<Carried, DropReason>) {
        let Carried { payload, at, copy_at, corrupted } = match carried {
            Ok(carried) => carried,
            Err(reason) => return self.record(Some(from), Some(to), datagram, Fate::Dropped(reason)),
        };
        let arriving = Datagram { payload, ..datagram };
        if let Some(at) = copy_at {
            self.enqueue(to, arriving.clone(), at);
            self.record(
                Some(from),
                Some(to),
                datagram.clone(),
                Fate::Delivered { at, corrupted, copy: true },
            );
        }
        self.enqueue(to, arriving, at);
        self.record(Some(from), Some(to), datagram, Fate::Delivered { at, corrupted, copy: false });
    }

    fn deliver(&mut self, from: Option<usize>, to: usize, datagram: Datagram, at: Instant) {
        self.enqueue(to, datagram.clone(), at);
        self.record(from, Some(to), datagram, Fate::Delivered { at, corrupted: false, copy: false });
    }

    fn enqueue(&mut self, to: usize, datagram: Datagram, at: Instant) {
        self.in_flight.insert((at, self.sequence), (to, datagram));
        self.sequence += 1;
    }

    fn record(&mut self, from: Option<usize>, to: Option<usize>, datagram: Datagram, fate: Fate) {
        if self.is_tracing {
            self.trace.push(Record { sent: self.now - self.start, from, to, datagram, fate });
        }
    }
}

impl Default for Wire {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wire")
            .field("elapsed", &(self.now - self.start))
            .field("in_flight", &self.in_flight.len())
            .field("trace", &self.trace.len())
            .finish_non_exhaustive()
    }
}

/// Every directed link draws from a stream of its own.
fn link_stream(from: usize, to: usize) -> u64 {
    ((from as u64) << 32) | (to as u64) | (1 << 63)
}
