//! Tasks that wait for something under a connection's lock.

use std::future::poll_fn;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, Waker};

/// A small set of wakers. It is emptied by [`drain_into`](Self::drain_into): what still waits registers again.
///
/// A future that was dropped is not woken, and its place is used again.
#[derive(Debug, Default)]
pub(crate) struct WakerSet {
    waiting: Vec<Weak<Waker>>,
    /// How many may be there before those that were dropped are cleared away.
    limit: usize,
}

impl WakerSet {
    /// A future waits in one set at a time: where it was before it is not any more.
    pub(crate) fn register(&mut self, wait: &mut Wait<'_>) {
        if self.waiting.len() >= self.limit {
            self.waiting.retain(|waker| waker.strong_count() > 0);
            self.limit = MIN_LIMIT.max(2 * self.waiting.len());
        }
        let waker = Arc::new(wait.waker.clone());
        self.waiting.push(Arc::downgrade(&waker));
        wait.waiter.0 = Some(waker);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.iter().all(|waker| waker.strong_count() == 0)
    }

    /// Moves all wakers out; they must be woken without a lock.
    pub(crate) fn drain_into(&mut self, wakes: &mut Vec<Waker>) {
        wakes.extend(self.waiting.drain(..).filter_map(|waker| waker.upgrade()).map(Arc::unwrap_or_clone));
    }
}

/// What a future holds while it waits.
#[derive(Debug, Default)]
pub(crate) struct Waiter(Option<Arc<Waker>>);

impl Waiter {
    /// For one poll.
    pub(crate) fn with<'a>(&'a mut self, cx: &'a Context<'_>) -> Wait<'a> {
        Wait { waiter: self, waker: cx.waker() }
    }
}

/// One poll of a future that may have to wait.
#[derive(Debug)]
pub(crate) struct Wait<'a> {
    waiter: &'a mut Waiter,
    waker: &'a Waker,
}

/// As [`poll_fn`], of what waits in a [`WakerSet`].
pub(crate) fn wait_fn<T>(mut poll: impl FnMut(&mut Wait<'_>) -> Poll<T>) -> impl Future<Output = T> {
    let mut waiter = Waiter::default();
    poll_fn(move |cx| poll(&mut waiter.with(cx)))
}

/// Wakes all and keeps the allocation.
pub(crate) fn wake_all(wakes: &mut Vec<Waker>) {
    for waker in wakes.drain(..) {
        waker.wake();
    }
}

const MIN_LIMIT: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

    #[derive(Default)]
    struct Counter(AtomicUsize);

    impl Wake for Counter {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn task() -> (Arc<Counter>, Waker) {
        let counter = Arc::new(Counter::default());
        (counter.clone(), Waker::from(counter))
    }

    fn wake(set: &mut WakerSet) {
        let mut wakes = Vec::new();
        set.drain_into(&mut wakes);
        wake_all(&mut wakes);
    }

    #[test]
    fn who_waits_is_woken_once_by_the_waker_of_its_last_poll() {
        let ((before, old), (counter, new)) = (task(), task());
        let (mut set, mut waiter) = (WakerSet::default(), Waiter::default());
        for waker in [&old, &new, &new] {
            set.register(&mut waiter.with(&Context::from_waker(waker)));
        }
        wake(&mut set);
        wake(&mut set);
        assert_eq!((before.0.load(Ordering::Relaxed), counter.0.load(Ordering::Relaxed)), (0, 1));
    }

    /// Neither its waker, which may hold a task, nor its place.
    #[test]
    fn who_stops_waiting_leaves_nothing() {
        let (mut set, mut stays) = (WakerSet::default(), Vec::new());
        let (counter, waker) = task();
        for n in 0..10_000 {
            let mut waiter = Waiter::default();
            set.register(&mut waiter.with(&Context::from_waker(&waker)));
            if n % 1000 == 0 {
                stays.push(waiter);
            }
        }
        assert_eq!(Arc::strong_count(&counter), 2 + stays.len());
        assert!(set.waiting.len() <= 2 * stays.len().max(MIN_LIMIT), "{}", set.waiting.len());
        wake(&mut set);
        assert_eq!(counter.0.load(Ordering::Relaxed), stays.len());
        assert!(set.is_empty());
    }
}
