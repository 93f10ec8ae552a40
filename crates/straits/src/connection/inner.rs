//! What the handles of one connection, its endpoint and its dispatcher share.

use super::handlers::ConnectionHandlers;
use super::state::{Outcome, State};
use crate::channel::ChannelShared;
use crate::dispatch::Dispatcher;
use crate::endpoint::{self, Link};
use crate::{Configuration, Error};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Instant;
use straits_peer::Peer;
use straits_peer::sctp::ChannelId;
use tokio::runtime::Handle as Runtime;

/// The shared part of a connection. Locks: [`State`] has one, the handlers another; no thread holds both.
#[derive(Debug)]
pub(crate) struct Inner {
    state: Mutex<State>,
    pub(crate) handlers: Mutex<ConnectionHandlers>,
    /// Handles that users hold on the connection, its channels and its streams. What the library itself keeps does
    /// not count.
    handles: AtomicUsize,
    /// Is the connection on the ready list of its endpoint?
    queued: AtomicBool,
    link: OnceLock<Link>,
    /// Held while an endpoint is bound, so that there is one.
    binding: Mutex<()>,
    runtime: Runtime,
    /// But for the browser's part, which is in the state.
    pub(crate) configuration: Configuration,
}

impl Inner {
    /// With `link` it is on an endpoint already.
    pub(crate) fn new(
        peer: Peer,
        mut configuration: Configuration,
        runtime: Runtime,
        link: Option<Link>,
    ) -> Self {
        Self {
            state: Mutex::new(State::new(peer, &mut configuration)),
            handlers: Mutex::default(),
            handles: AtomicUsize::new(0),
            queued: AtomicBool::new(false),
            link: link.map_or_else(OnceLock::new, OnceLock::from),
            binding: Mutex::new(()),
            runtime,
            configuration,
        }
    }

    /// A panic in user code never happens under the lock, so a poisoned lock guards nothing broken.
    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn runtime(&self) -> &Runtime {
        &self.runtime
    }

    /// A user call that may change states: lock, call, settle, unlock, wake, and let the endpoint send.
    pub(crate) fn with<R>(&self, call: impl FnOnce(&mut State, Instant) -> R) -> R {
        let mut outcome = Outcome::default();
        let mut state = self.lock();
        let result = call(&mut state, endpoint::now());
        state.settle(&mut outcome);
        drop(state);
        outcome.deliver();
        self.schedule();
        result
    }

    /// Puts the connection on the ready list of its endpoint unless it is there.
    pub(crate) fn schedule(&self) {
        if let Some(link) = self.link.get()
            && !self.queued.swap(true, Ordering::AcqRel)
        {
            link.push_ready();
        }
    }

    /// Taken off the ready list; what users do from here on puts it there again.
    pub(crate) fn clear_queued(&self) {
        self.queued.store(false, Ordering::Release);
    }

    pub(crate) fn is_linked(&self) -> bool {
        self.link.get().is_some()
    }

    /// Binds a private endpoint for the connection unless it has one. The endpoint's task gathers the candidates.
    pub(crate) fn ensure_endpoint(self: &Arc<Self>) -> Result<(), Error> {
        let _binding = self.binding.lock().unwrap_or_else(PoisonError::into_inner);
        if !self.is_linked() {
            let link = endpoint::bind_private(self)?;
            self.link.set(link).expect("only the holder of the binding lock sets it");
        }
        self.schedule();
        Ok(())
    }

    /// A handler was set: starts the dispatcher with the first one, and queues what waited for this one.
    pub(crate) fn dispatch(self: &Arc<Self>, replay: impl FnOnce(&mut State)) {
        let is_first = self.with(|state, _| {
            let is_first = state.claim_dispatcher();
            replay(state);
            is_first
        });
        if is_first {
            self.runtime.spawn(Dispatcher::new(self.clone()).run());
        }
    }

    /// `PeerConnection.close`.
    pub(crate) fn close(&self) {
        let linked = self.is_linked();
        self.with(|state, now| state.close(now, linked));
    }

    fn add_handle(&self) {
        self.handles.fetch_add(1, Ordering::Relaxed);
    }

    /// The last handle is gone: nobody can send, read or close any more, so the connection says goodbye in order.
    fn remove_handle(&self) {
        if self.handles.fetch_sub(1, Ordering::AcqRel) == 1 {
            let linked = self.is_linked();
            let grace = self.configuration.drop_timeout;
            self.with(|state, now| state.close_gracefully(now, endpoint::after(now, grace), linked));
        }
    }

    /// The last handle of a channel is gone: once it is closed, nobody wants its inbox.
    pub(crate) fn channel_released(&self, id: ChannelId) {
        let mut state = self.lock();
        let forgotten = state.forget_if_unused(id);
        drop(state);
        drop(forgotten);
    }
}

/// A counted handle on a connection.
#[derive(Debug)]
pub(crate) struct Handle(Arc<Inner>);

impl Handle {
    pub(crate) fn new(inner: Arc<Inner>) -> Self {
        inner.add_handle();
        Self(inner)
    }

    /// `None` when no handle is left: the connection is closing, nothing brings it back.
    pub(crate) fn try_new(inner: Arc<Inner>) -> Option<Self> {
        let more = |handles: usize| (handles > 0).then_some(handles + 1);
        inner.handles.fetch_update(Ordering::AcqRel, Ordering::Acquire, more).ok()?;
        Some(Self(inner))
    }

    pub(crate) fn inner(&self) -> &Arc<Inner> {
        &self.0
    }
}

impl Clone for Handle {
    fn clone(&self) -> Self {
        Self::new(self.0.clone())
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.0.remove_handle();
    }
}

impl std::ops::Deref for Handle {
    type Target = Inner;

    fn deref(&self) -> &Inner {
        &self.0
    }
}

/// A counted handle on a channel, which also counts for its connection.
#[derive(Debug)]
pub(crate) struct ChannelHandle {
    shared: Arc<ChannelShared>,
    connection: Handle,
}

impl ChannelHandle {
    pub(crate) fn new(connection: Arc<Inner>, shared: Arc<ChannelShared>) -> Self {
        shared.handles.fetch_add(1, Ordering::Relaxed);
        Self { shared, connection: Handle::new(connection) }
    }

    pub(crate) fn connection(&self) -> &Handle {
        &self.connection
    }

    pub(crate) fn shared(&self) -> &Arc<ChannelShared> {
        &self.shared
    }
}

impl Clone for ChannelHandle {
    fn clone(&self) -> Self {
        Self::new(self.connection.inner().clone(), self.shared.clone())
    }
}

impl Drop for ChannelHandle {
    fn drop(&mut self) {
        if self.shared.handles.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.connection.channel_released(self.shared.id);
        }
    }
}
