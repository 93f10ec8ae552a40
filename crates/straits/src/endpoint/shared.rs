//! What handles, user calls and the task of an endpoint share.

use super::{EndpointConfiguration, EndpointError, EndpointStats, Key};
use crate::capture::Recorder;
use crate::connection::Inner;
use crate::wakers::{WakerSet, wait_fn, wake_all};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

/// Which connections want the task's attention, how many there are, and what was counted.
#[derive(Debug)]
pub(crate) struct Shared {
    ready: Mutex<Ready>,
    max_connections: usize,
    max_pending: usize,
    /// Writes what passes, if that was asked for.
    pub(super) recorder: Option<Recorder>,
    pub(super) counters: Counters,
}

#[derive(Debug, Default)]
struct Ready {
    keys: Vec<Key>,
    /// New connections that the task does not know yet.
    joining: Vec<(Key, Arc<Inner>)>,
    /// The task, while nobody has woken it.
    waker: Option<Waker>,
    phase: Phase,
    next_key: u64,
    connections: usize,
    /// Those of `connections` that were never connected.
    pending: usize,
    made: u64,
    refused: u64,
    /// The task is gone, its sockets are closed.
    is_gone: bool,
    /// Who waits for that.
    waiting: WakerSet,
}

/// Where an endpoint stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Phase {
    /// Takes connections.
    #[default]
    Open,
    /// Takes no more, and ends with its last one.
    Finishing,
    /// All connections are to be closed.
    Closing,
    /// The task is about to go, or gone.
    Ended,
}

/// Written by the task alone.
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) unknown_sources: AtomicU64,
    pub(super) unknown_checks: AtomicU64,
    pub(super) malformed: AtomicU64,
    pub(super) given_up: AtomicU64,
    pub(super) routes: AtomicUsize,
    pub(super) fragments: AtomicUsize,
}

impl Counters {
    pub(super) fn count(counter: &AtomicU64) {
        counter.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn show(&self, routes: usize, fragments: usize) {
        self.routes.store(routes, Ordering::Relaxed);
        self.fragments.store(fragments, Ordering::Relaxed);
    }
}

impl Shared {
    pub(super) fn new(configuration: &EndpointConfiguration) -> Self {
        Self {
            ready: Mutex::default(),
            max_connections: configuration.max_connections,
            max_pending: configuration.max_pending,
            recorder: configuration.recorder(),
            counters: Counters::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Ready> {
        self.ready.lock().unwrap_or_else(PoisonError::into_inner)
    }

    // For handles and user calls.

    /// Room for one more connection.
    pub(super) fn reserve(self: &Arc<Self>) -> Result<Reservation, EndpointError> {
        let mut ready = self.lock();
        let refusal = match ready.phase {
            Phase::Finishing | Phase::Closing | Phase::Ended => Some(EndpointError::Closed),
            Phase::Open if ready.connections >= self.max_connections => {
                Some(EndpointError::TooManyConnections { max: self.max_connections })
            }
            Phase::Open if ready.pending >= self.max_pending => {
                Some(EndpointError::TooManyPending { max: self.max_pending })
            }
            Phase::Open => None,
        };
        if let Some(refusal) = refusal {
            ready.refused += 1;
            return Err(refusal);
        }
        ready.connections += 1;
        ready.pending += 1;
        let key = Key(ready.next_key);
        ready.next_key += 1;
        drop(ready);
        Ok(Reservation { link: Link { shared: self.clone(), key }, is_used: false })
    }

    fn push(&self, key: Key) {
        let mut ready = self.lock();
        ready.keys.push(key);
        wake(ready);
    }

    /// No handle is left: the endpoint goes when its last connection goes.
    pub(super) fn finish(&self) {
        let mut ready = self.lock();
        if ready.phase == Phase::Open {
            ready.phase = Phase::Finishing;
            wake(ready);
        }
    }

    /// All connections are to be closed.
    pub(super) fn close(&self) {
        let mut ready = self.lock();
        if matches!(ready.phase, Phase::Open | Phase::Finishing) {
            ready.phase = Phase::Closing;
            wake(ready);
        }
    }

    /// Waits until the task and its sockets are gone.
    pub(super) async fn when_gone(&self) {
        wait_fn(|wait| {
            let mut ready = self.lock();
            if ready.is_gone {
                return Poll::Ready(());
            }
            ready.waiting.register(wait);
            Poll::Pending
        })
        .await;
    }

    pub(super) fn connections(&self) -> usize {
        self.lock().connections
    }

    pub(super) fn stats(&self) -> EndpointStats {
        let ready = self.lock();
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        EndpointStats {
            connections: ready.connections,
            pending: ready.pending,
            connections_made: ready.made,
            connections_refused: ready.refused,
            connections_given_up: count(&self.counters.given_up),
            routes: self.counters.routes.load(Ordering::Relaxed),
            fragments: self.counters.fragments.load(Ordering::Relaxed),
            unknown_sources: count(&self.counters.unknown_sources),
            unknown_checks: count(&self.counters.unknown_checks),
            malformed: count(&self.counters.malformed),
        }
    }

    // For the task.

    /// Moves the lists to `keys` and `joining`, which must be empty, and asks to be woken by the next push.
    pub(super) fn take(
        &self,
        keys: &mut Vec<Key>,
        joining: &mut Vec<(Key, Arc<Inner>)>,
        cx: &Context<'_>,
    ) -> Phase {
        let mut ready = self.lock();
        std::mem::swap(&mut ready.keys, keys);
        joining.append(&mut ready.joining);
        if !ready.waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
            ready.waker = Some(cx.waker().clone());
        }
        ready.phase
    }

    /// A connection was connected for the first time.
    pub(super) fn established(&self) {
        self.lock().pending -= 1;
    }

    /// A connection is gone.
    pub(super) fn left(&self, was_pending: bool) {
        let mut ready = self.lock();
        ready.connections -= 1;
        ready.pending -= usize::from(was_pending);
    }

    /// `true`: without connections there is nothing left to do, and none comes any more.
    pub(super) fn try_end(&self) -> bool {
        let mut ready = self.lock();
        let ends = ready.phase != Phase::Open && ready.joining.is_empty();
        if ends {
            ready.phase = Phase::Ended;
        }
        ends
    }

    /// The task and its sockets are gone; gives what had not reached it.
    pub(super) fn gone(&self) -> Vec<(Key, Arc<Inner>)> {
        let mut ready = self.lock();
        ready.phase = Phase::Ended;
        ready.keys = Vec::new();
        ready.is_gone = true;
        let joining = std::mem::take(&mut ready.joining);
        let mut wakes = Vec::new();
        ready.waiting.drain_into(&mut wakes);
        drop(ready);
        wake_all(&mut wakes);
        joining
    }
}

/// Without the lock.
fn wake(mut ready: MutexGuard<'_, Ready>) {
    let waker = ready.waker.take();
    drop(ready);
    if let Some(waker) = waker {
        waker.wake();
    }
}

/// How a connection reaches its endpoint.
#[derive(Clone, Debug)]
pub(crate) struct Link {
    shared: Arc<Shared>,
    key: Key,
}

impl Link {
    pub(crate) fn push_ready(&self) {
        self.shared.push(self.key);
    }

    pub(crate) fn recorder(&self) -> Option<Recorder> {
        self.shared.recorder.clone()
    }
}

/// Room for a connection that is being made; given back unless the connection joins.
#[derive(Debug)]
pub(super) struct Reservation {
    link: Link,
    is_used: bool,
}

impl Reservation {
    pub(super) fn link(&self) -> Link {
        self.link.clone()
    }

    /// Hands the connection to the task.
    pub(super) fn join(mut self, inner: Arc<Inner>) -> Result<(), EndpointError> {
        let mut ready = self.link.shared.lock();
        if ready.phase != Phase::Open {
            return Err(EndpointError::Closed);
        }
        self.is_used = true;
        ready.made += 1;
        ready.joining.push((self.link.key, inner));
        wake(ready);
        Ok(())
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        if !self.is_used {
            self.link.shared.left(true);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shared(configuration: &EndpointConfiguration) -> Arc<Shared> {
        Arc::new(Shared::new(configuration))
    }

    #[test]
    fn room_that_is_not_used_is_given_back() {
        let shared = shared(&EndpointConfiguration::default().max_pending(2));
        let (first, second) = (shared.reserve().unwrap(), shared.reserve().unwrap());
        assert_eq!(shared.reserve().unwrap_err(), EndpointError::TooManyPending { max: 2 });
        drop(first);
        let third = shared.reserve().unwrap();
        assert_eq!((second.link.key, third.link.key), (Key(1), Key(2)), "keys are never used again");
        drop((second, third));
        let stats = shared.stats();
        assert_eq!((stats.connections, stats.pending), (0, 0));
        assert_eq!((stats.connections_made, stats.connections_refused), (0, 1));
    }

    #[test]
    fn established_ones_count_for_the_other_limit() {
        let shared = shared(&EndpointConfiguration::default().max_pending(1).max_connections(2));
        let first = shared.reserve().unwrap();
        shared.established();
        let second = shared.reserve().unwrap();
        shared.established();
        assert_eq!(shared.reserve().unwrap_err(), EndpointError::TooManyConnections { max: 2 });
        shared.left(false);
        let third = shared.reserve().unwrap();
        assert_eq!((shared.stats().connections, shared.stats().pending), (2, 1));
        // They have joined, as far as this goes.
        [first, second, third].into_iter().for_each(std::mem::forget);
    }

    #[test]
    fn an_endpoint_that_ends_takes_nobody() {
        let shared = shared(&EndpointConfiguration::default());
        assert!(!shared.try_end(), "it waits for connections");
        shared.finish();
        assert_eq!(shared.reserve().unwrap_err(), EndpointError::Closed);
        assert!(shared.try_end());
        shared.close();
        assert_eq!(shared.lock().phase, Phase::Ended);
    }
}
