//! The task of an endpoint.

mod receive;
mod serve;
#[cfg(test)]
mod tests;

use super::demux::Demux;
use super::early::Early;
use super::gather::Gatherer;
use super::pool;
use super::shared::{Phase, Shared};
use super::socket::{Run, Socket};
use super::timers::Timers;
use super::{EndpointConfiguration, Key};
use crate::capture::Recorder;
use crate::connection::Inner;
use crate::connection::state::{Chore, Outcome};
use bytes::BytesMut;
use std::collections::HashMap;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use tokio::time::Sleep;

/// A future that reads, feeds, sends, and sleeps. It ends when no connection is to come and the last one has ended and
/// sent its last packet.
///
/// One round: take the ready list, read a batch and feed it, collect who is due; then for each connection that has work:
/// lock, fire timers, build packets up to a budget, settle, unlock, wake, send; at last retry what a socket refused.
pub(super) struct Driver {
    shared: Arc<Shared>,
    recorder: Option<Recorder>,
    sockets: Vec<Socket>,
    /// For each socket, who waits until it takes more.
    blocked: Vec<Vec<Key>>,
    gatherer: Gatherer,
    /// How long a connection may take to be connected. `None`: the endpoint is private, and nobody else wants its place.
    setup_timeout: Option<Duration>,
    connections: HashMap<Key, Connection>,
    demux: Demux,
    timers: Timers,
    early: Early,
    /// Connections with work, each once.
    ready: Vec<Key>,
    /// What is built and not yet sent lives here while a connection is served; from the pool while the task runs.
    batch: BytesMut,
    runs: Vec<Run>,
    keys: Vec<Key>,
    joining: Vec<(Key, Arc<Inner>)>,
    outcome: Outcome,
    chores: Vec<Chore>,
    is_closing: bool,
    sleep: Option<Pin<Box<Sleep>>>,
    /// What `sleep` is set to; `None` after it fired.
    armed: Option<Instant>,
}

/// What the task knows of a connection.
struct Connection {
    inner: Arc<Inner>,
    is_ready: bool,
    /// It was never connected.
    is_pending: bool,
    /// When it ends unless it is connected by then.
    give_up_at: Option<Instant>,
    /// The socket that took no more; nothing is built before it does again.
    blocked_on: Option<usize>,
}

impl Driver {
    pub(super) fn new(
        shared: Arc<Shared>,
        sockets: Vec<Socket>,
        configuration: &EndpointConfiguration,
        setup_timeout: Option<Duration>,
    ) -> Self {
        let bound = sockets.iter().map(Socket::local).collect();
        Self {
            recorder: shared.recorder.clone(),
            shared,
            blocked: sockets.iter().map(|_| Vec::new()).collect(),
            sockets,
            gatherer: Gatherer::new(bound, configuration),
            setup_timeout,
            connections: HashMap::new(),
            demux: Demux::default(),
            timers: Timers::default(),
            early: Early::default(),
            ready: Vec::new(),
            batch: BytesMut::new(),
            runs: Vec::new(),
            keys: Vec::new(),
            joining: Vec::new(),
            outcome: Outcome::default(),
            chores: Vec::new(),
            is_closing: false,
            sleep: None,
            armed: None,
        }
    }

    /// A new connection. Its fragment is known before anybody can have learnt it from a description.
    fn attach(&mut self, key: Key, inner: Arc<Inner>) {
        if self.setup_timeout.is_none() {
            self.demux.set_sole(key);
        }
        self.demux.set_fragments(key, inner.lock().peer.local_ufrags());
        let connection =
            Connection { inner, is_ready: false, is_pending: true, give_up_at: None, blocked_on: None };
        self.connections.insert(key, connection);
        self.make_ready(key);
    }

    fn detach(&mut self, key: Key) {
        self.demux.remove(key);
        self.timers.remove(key);
        let Some(connection) = self.connections.remove(&key) else { return };
        if let (Some(recorder), true) = (&self.recorder, self.connections.is_empty()) {
            recorder.settle();
        }
        // Whoever waited for the end finds the counts without it.
        self.show_tables();
        self.shared.left(connection.is_pending);
        connection.inner.lock().detach(&mut self.outcome);
        self.outcome.deliver();
    }

    fn show_tables(&self) {
        let (routes, fragments) = self.demux.len();
        self.shared.counters.show(routes, fragments);
    }

    fn make_ready(&mut self, key: Key) {
        if let Some(connection) = self.connections.get_mut(&key)
            && !std::mem::replace(&mut connection.is_ready, true)
        {
            self.ready.push(key);
        }
    }

    /// What handles and user calls have left.
    fn take_ready(&mut self, cx: &Context<'_>) {
        let mut keys = std::mem::take(&mut self.keys);
        let mut joining = std::mem::take(&mut self.joining);
        let phase = self.shared.take(&mut keys, &mut joining, cx);
        if !joining.is_empty() {
            for (key, inner) in joining.drain(..) {
                self.attach(key, inner);
            }
            self.show_tables();
        }
        for key in keys.drain(..) {
            self.make_ready(key);
        }
        (self.keys, self.joining) = (keys, joining);
        if phase == Phase::Closing && !std::mem::replace(&mut self.is_closing, true) {
            self.connections.values().for_each(|connection| connection.inner.close());
        }
    }

    // Time.

    /// `true`: a deadline has passed already.
    fn poll_sleep(&mut self, cx: &mut Context<'_>) -> bool {
        let Some(deadline) = self.timers.next() else { return false };
        let at = tokio::time::Instant::from_std(deadline);
        let sleep = self.sleep.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(at)));
        if self.armed != Some(deadline) {
            sleep.as_mut().reset(at);
            self.armed = Some(deadline);
        }
        let is_over = sleep.as_mut().poll(cx).is_ready();
        if is_over {
            self.armed = None;
        }
        is_over
    }
}

impl Future for Driver {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let driver = self.get_mut();
        driver.batch = pool::take_batch();
        let mut is_busy = true;
        for _ in 0..ROUNDS {
            let now = super::now();
            driver.take_ready(cx);
            let received = driver.receive(cx, now);
            while let Some(key) = driver.timers.pop_due(now) {
                driver.make_ready(key);
            }
            let used_up = driver.serve_all(now);
            // Last, so that the waker is registered for what was refused just now.
            let unblocked = driver.flush(cx);
            is_busy = received || used_up || unblocked;
            if !is_busy {
                break;
            }
        }
        pool::give_batch(std::mem::take(&mut driver.batch));
        if driver.connections.is_empty() && driver.shared.try_end() {
            tracing::debug!("endpoint ended");
            return Poll::Ready(());
        }
        if is_busy || driver.poll_sleep(cx) {
            cx.waker().wake_by_ref();
        }
        Poll::Pending
    }
}

impl Drop for Driver {
    /// When the runtime ends before the connections do, nobody is left waiting for them.
    fn drop(&mut self) {
        self.sockets.clear();
        self.shared.counters.show(0, 0);
        let joining = self.shared.gone();
        let joining = std::mem::take(&mut self.joining).into_iter().chain(joining);
        let known = self.connections.drain().map(|(_, known)| (known.inner, known.is_pending));
        for (inner, is_pending) in known.chain(joining.map(|(_, inner)| (inner, true))) {
            self.shared.left(is_pending);
            inner.lock().abandon(super::now(), &mut self.outcome);
            self.outcome.deliver();
        }
        if let Some(recorder) = &self.recorder {
            recorder.settle();
        }
    }
}

/// Rounds in one poll of the task before other tasks of its worker have their turn.
const ROUNDS: usize = 8;
