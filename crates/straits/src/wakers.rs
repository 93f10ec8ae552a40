//! Tasks that wait for something under a connection's lock.

use std::task::Waker;

/// A small set of wakers. It is emptied by [`drain_into`](Self::drain_into): what still waits registers again.
///
/// A future that was dropped leaves its waker behind until the next drain; waking it is harmless.
#[derive(Debug, Default)]
pub(crate) struct WakerSet(Vec<Waker>);

impl WakerSet {
    pub(crate) fn register(&mut self, waker: &Waker) {
        if !self.0.iter().any(|known| known.will_wake(waker)) {
            self.0.push(waker.clone());
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Moves all wakers out; they must be woken without a lock.
    pub(crate) fn drain_into(&mut self, wakes: &mut Vec<Waker>) {
        wakes.append(&mut self.0);
    }
}

/// Wakes all and keeps the allocation.
pub(crate) fn wake_all(wakes: &mut Vec<Waker>) {
    for waker in wakes.drain(..) {
        waker.wake();
    }
}
