//! Where the closures of the browser face are kept.

use crate::{
    DtlsTransportState, Error, IceCandidate, IceCandidateError, IceConnectionState, IceGatheringState,
    PeerConnectionState, SctpTransportState, SignalingState, channel::DataChannel,
};
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// A place for one closure.
pub(crate) type Slot<F> = Option<Box<F>>;

/// The handlers of a connection.
#[derive(Default)]
pub(crate) struct ConnectionHandlers {
    pub(crate) negotiation_needed: Slot<dyn FnMut() + Send>,
    pub(crate) signaling_state: Slot<dyn FnMut(SignalingState) + Send>,
    pub(crate) ice_gathering_state: Slot<dyn FnMut(IceGatheringState) + Send>,
    pub(crate) ice_connection_state: Slot<dyn FnMut(IceConnectionState) + Send>,
    pub(crate) connection_state: Slot<dyn FnMut(PeerConnectionState) + Send>,
    pub(crate) ice_candidate: Slot<dyn FnMut(Option<IceCandidate>) + Send>,
    pub(crate) ice_candidate_error: Slot<dyn FnMut(IceCandidateError) + Send>,
    pub(crate) data_channel: Slot<dyn FnMut(DataChannel) + Send>,
    pub(crate) sctp_state: Slot<dyn FnMut(SctpTransportState) + Send>,
    pub(crate) dtls_state: Slot<dyn FnMut(DtlsTransportState) + Send>,
    pub(crate) dtls_error: Slot<dyn FnMut(Error) + Send>,
    pub(crate) ice_state: Slot<dyn FnMut(IceConnectionState) + Send>,
    pub(crate) gathering_state: Slot<dyn FnMut(IceGatheringState) + Send>,
    pub(crate) selected_pair: Slot<dyn FnMut() + Send>,
    retired: bool,
}

/// What a set of handlers must be able to do.
pub(crate) trait Handlers: Default {
    /// Was the last event handled? Then closures are not kept any more.
    fn is_retired(&self) -> bool;
    fn set_retired(&mut self);
}

impl Handlers for ConnectionHandlers {
    fn is_retired(&self) -> bool {
        self.retired
    }

    fn set_retired(&mut self) {
        self.retired = true;
    }
}

impl fmt::Debug for ConnectionHandlers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConnectionHandlers").finish_non_exhaustive()
    }
}

fn lock<H>(handlers: &Mutex<H>) -> MutexGuard<'_, H> {
    handlers.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Lets `put` keep a handler; what it replaces is dropped without the lock, because closures own handles.
pub(crate) fn set<H: Handlers, F: ?Sized>(handlers: &Mutex<H>, put: impl FnOnce(&mut H) -> Slot<F>) {
    let mut all = lock(handlers);
    let unwanted = if all.is_retired() { None } else { put(&mut all) };
    drop(all);
    drop(unwanted);
}

/// Calls the closure with no lock held: it is out of its slot while it runs, so it may send, close, or put another one
/// in its place. `false`: there is none.
pub(crate) fn call<H: Handlers, F: ?Sized>(
    handlers: &Mutex<H>,
    slot: fn(&mut H) -> &mut Slot<F>,
    call: impl FnOnce(&mut F),
) -> bool {
    let Some(mut handler) = slot(&mut lock(handlers)).take() else {
        return false;
    };
    call(&mut handler);
    let mut all = lock(handlers);
    let unwanted = if all.is_retired() || slot(&mut all).is_some() {
        Some(handler)
    } else {
        *slot(&mut all) = Some(handler);
        None
    };
    drop(all);
    drop(unwanted);
    true
}

/// Drops all closures, and those that are set later at once.
pub(crate) fn retire<H: Handlers>(handlers: &Mutex<H>) {
    let mut all = lock(handlers);
    let old = std::mem::take(&mut *all);
    all.set_retired();
    drop(all);
    drop(old);
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    fn put(handlers: &Mutex<ConnectionHandlers>, handler: impl FnMut() + Send + 'static) {
        set(handlers, |h| h.negotiation_needed.replace(Box::new(handler)));
    }

    #[test]
    fn a_handler_may_replace_itself_while_it_runs() {
        let handlers: Arc<Mutex<ConnectionHandlers>> = Arc::default();
        let calls = Arc::new(AtomicUsize::new(0));
        let (inner, count) = (handlers.clone(), calls.clone());
        put(&handlers, move || {
            let count = count.clone();
            put(&inner, move || {
                count.fetch_add(1, Ordering::Relaxed);
            });
        });
        for _ in 0..3 {
            assert!(call(&handlers, |h| &mut h.negotiation_needed, |f| f()));
        }
        assert_eq!(calls.load(Ordering::Relaxed), 2, "the first call replaced, the others counted");
    }

    #[test]
    fn retired_handlers_are_dropped_also_when_set_later() {
        let handlers: Mutex<ConnectionHandlers> = Mutex::default();
        let held = Arc::new(());
        let (first, second) = (held.clone(), held.clone());
        put(&handlers, move || drop(first.clone()));
        retire(&handlers);
        put(&handlers, move || drop(second.clone()));
        assert_eq!(Arc::strong_count(&held), 1);
        assert!(!call(&handlers, |h| &mut h.negotiation_needed, |f| f()));
    }
}
