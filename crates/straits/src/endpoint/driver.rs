//! The task of an endpoint.

use super::demux::{Demux, Destination};
use super::early::Early;
use super::pool::{self, ReceiveBuffer, SLOT_SIZE, SLOTS};
use super::socket::{Run, Sent, Socket};
use super::timers::Timers;
use super::{Key, Shared, gather};
use crate::connection::Inner;
use crate::connection::state::{Chore, Outcome};
use bytes::BytesMut;
use quinn_udp::RecvMeta;
use std::collections::HashMap;
use std::io::IoSliceMut;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;
use straits_peer::dtls::State;
use straits_peer::ice::Route;
use tokio::time::Sleep;

/// A future that reads, feeds, sends, and sleeps. It ends when its last connection has ended and sent its last packet.
///
/// One round: take the ready list, read a batch and feed it, collect who is due; then for each connection that has work:
/// lock, fire timers, build packets up to a budget, settle, unlock, wake, send; at last retry what a socket refused.
pub(super) struct Driver {
    shared: Arc<Shared>,
    sockets: Vec<Socket>,
    include_loopback: bool,
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
    outcome: Outcome,
    chores: Vec<Chore>,
    sleep: Option<Pin<Box<Sleep>>>,
    /// What `sleep` is set to; `None` after it fired.
    armed: Option<Instant>,
}

/// What the task knows of a connection.
struct Connection {
    inner: Arc<Inner>,
    is_ready: bool,
    /// The local username fragment that the tables know.
    fragment: String,
    /// The socket that took no more; nothing is built before it does again.
    blocked_on: Option<usize>,
}

impl Driver {
    pub(super) fn new(shared: Arc<Shared>, sockets: Vec<Socket>, include_loopback: bool) -> Self {
        Self {
            shared,
            sockets,
            include_loopback,
            connections: HashMap::new(),
            demux: Demux::default(),
            timers: Timers::default(),
            early: Early::default(),
            ready: Vec::new(),
            batch: BytesMut::new(),
            runs: Vec::new(),
            keys: Vec::new(),
            outcome: Outcome::default(),
            chores: Vec::new(),
            sleep: None,
            armed: None,
        }
    }

    pub(super) fn attach(&mut self, key: Key, inner: Arc<Inner>) {
        self.demux.set_sole(key);
        let connection = Connection { inner, is_ready: false, fragment: String::new(), blocked_on: None };
        self.connections.insert(key, connection);
        self.make_ready(key);
    }

    fn make_ready(&mut self, key: Key) {
        if let Some(connection) = self.connections.get_mut(&key)
            && !std::mem::replace(&mut connection.is_ready, true)
        {
            self.ready.push(key);
        }
    }

    fn take_ready(&mut self, cx: &Context<'_>) {
        let mut keys = std::mem::take(&mut self.keys);
        self.shared.take(&mut keys, cx);
        for key in keys.drain(..) {
            self.make_ready(key);
        }
        self.keys = keys;
    }

    /// Sends what blocked sockets kept, or asks to be told when they take more. `true`: somebody who waited for one has
    /// work again.
    fn flush(&mut self, cx: &mut Context<'_>) -> bool {
        let mut unblocked = Vec::new();
        for index in 0..self.sockets.len() {
            if !self.sockets[index].is_blocked() || !self.sockets[index].poll_flush(cx) {
                continue;
            }
            for (key, connection) in &mut self.connections {
                if connection.blocked_on == Some(index) {
                    connection.blocked_on = None;
                    unblocked.push(*key);
                }
            }
        }
        for key in &unblocked {
            self.make_ready(*key);
        }
        !unblocked.is_empty()
    }

    // Receiving.

    /// One read of every socket that has something; `true`: there may be more.
    fn receive(&mut self, cx: &mut Context<'_>, now: Instant) -> bool {
        let mut more = false;
        for index in 0..self.sockets.len() {
            if self.sockets[index].poll_readable(cx).is_ready() {
                more |= self.receive_from(index, cx, now);
            }
        }
        more
    }

    fn receive_from(&mut self, index: usize, cx: &mut Context<'_>, now: Instant) -> bool {
        let mut buffer = ReceiveBuffer::take();
        let mut metas = [RecvMeta::default(); SLOTS];
        let received = {
            let mut slots = buffer.bytes().chunks_mut(SLOT_SIZE).map(IoSliceMut::new);
            let mut slots: [IoSliceMut<'_>; SLOTS] =
                std::array::from_fn(|_| slots.next().expect("the buffer has SLOTS slots"));
            self.sockets[index].poll_recv(cx, &mut slots, &mut metas)
        };
        let count = match received {
            Poll::Ready(Ok(count)) => count,
            // ICMP errors of what was sent earlier, as a rule; timers notice what is lost.
            Poll::Ready(Err(error)) => {
                tracing::debug!(%error, "receive failed");
                return true;
            }
            Poll::Pending => return false,
        };
        let mut fed = 0;
        for (meta, slot) in metas[..count].iter().zip(buffer.bytes().chunks(SLOT_SIZE)) {
            let route = self.sockets[index].route(meta);
            let run = &slot[..meta.len.min(SLOT_SIZE)];
            self.feed(now, route, run, meta.stride.max(1));
            // What peers wait for, acknowledgements above all, leaves before much more is worked off.
            fed += run.len().div_ceil(meta.stride.max(1));
            if fed >= MAX_FED {
                self.serve_all(now);
                fed = 0;
            }
        }
        true
    }

    /// Feeds a run of datagrams of one source: under one lock, as far as they are for one connection.
    fn feed(&mut self, now: Instant, route: Route, run: &[u8], stride: usize) {
        let owner = self.demux.route_owner(route);
        let mut datagrams = run.chunks(stride).peekable();
        if run.is_empty() {
            tracing::trace!(?route, "empty datagram");
        }
        while let Some(datagram) = datagrams.next() {
            let key = match self.demux.destination(owner, route, datagram) {
                Destination::Connection(key) => key,
                Destination::EarlyDtls(key) => {
                    if self.keep_early(key, route, datagram) {
                        continue;
                    }
                    // The connection drops and counts it.
                    key
                }
                Destination::Nobody => {
                    tracing::debug!(?route, "datagram for nobody");
                    continue;
                }
            };
            let Some(connection) = self.connections.get(&key) else { continue };
            let mut state = connection.inner.lock();
            state.peer.handle_datagram(now, route, datagram);
            let is_same =
                |next: &&[u8]| self.demux.destination(owner, route, next) == Destination::Connection(key);
            while let Some(datagram) = datagrams.next_if(is_same) {
                state.peer.handle_datagram(now, route, datagram);
            }
            drop(state);
            self.make_ready(key);
        }
    }

    /// The peer's handshake may overtake its check. Once it is finished, DTLS from elsewhere is a stranger's.
    fn keep_early(&mut self, key: Key, route: Route, datagram: &[u8]) -> bool {
        let Some(connection) = self.connections.get(&key) else { return false };
        let is_awaited = matches!(connection.inner.lock().peer.dtls_state(), State::New | State::Connecting);
        let kept = is_awaited && self.early.keep(route, datagram);
        tracing::debug!(?route, kept, "DTLS from a source that is not validated");
        kept
    }

    // Serving.

    /// Everybody who has work, once. `true`: somebody's budget was used up.
    fn serve_all(&mut self, now: Instant) -> bool {
        let mut keys = std::mem::take(&mut self.ready);
        for &key in &keys {
            self.serve(key, now);
        }
        keys.clear();
        let more = !self.ready.is_empty();
        // Keep the larger allocation.
        keys.append(&mut self.ready);
        self.ready = keys;
        more
    }

    fn serve(&mut self, key: Key, now: Instant) {
        let Some(connection) = self.connections.get_mut(&key) else { return };
        connection.is_ready = false;
        connection.inner.clear_queued();
        let may_build = connection.blocked_on.is_none();
        let segments = self.sockets.iter().map(Socket::max_segments).min().unwrap_or(1);

        let mut state = connection.inner.lock();
        if state.peer.poll_timeout().is_some_and(|deadline| deadline <= now) {
            state.peer.handle_timeout(now);
        }
        let mut is_drained = false;
        while may_build && self.batch.len() < BUDGET {
            let Some(run) = state.peer.poll_transmit(now, segments, &mut self.batch) else {
                is_drained = true;
                break;
            };
            self.runs.push(Run { route: run.route, size: run.size, segment_size: run.segment_size });
        }
        state.settle(&mut self.outcome);
        std::mem::swap(&mut state.chores, &mut self.chores);
        let deadline = state.peer.poll_timeout();
        let is_over = state.reason().is_some();
        if connection.fragment != state.peer.local_ufrag() {
            state.peer.local_ufrag().clone_into(&mut connection.fragment);
            self.demux.add_fragment(&connection.fragment, key);
        }
        drop(state);

        self.outcome.deliver();
        self.timers.set(key, deadline);
        self.send(key, now);
        if !self.chores.is_empty() {
            self.do_chores(key, now);
        }
        if is_over && is_drained && !self.is_blocked(key) {
            self.detach(key);
        } else if may_build && !is_drained {
            self.make_ready(key);
        }
    }

    fn is_blocked(&self, key: Key) -> bool {
        self.connections.get(&key).is_some_and(|connection| connection.blocked_on.is_some())
    }

    fn send(&mut self, key: Key, now: Instant) {
        let mut start = 0;
        for run in self.runs.drain(..) {
            let contents = &self.batch[start..start + run.size];
            start += run.size;
            if self.demux.route_owner(run.route).is_none() {
                self.demux.note_check(run.route, key);
            }
            let Some(index) = self.sockets.iter().position(|socket| socket.carries(run.route.local)) else {
                tracing::debug!(route = ?run.route, "no socket has this address");
                continue;
            };
            match self.sockets[index].send(run, contents) {
                Sent::Done => {}
                Sent::Refused => {
                    if let Some(connection) = self.connections.get(&key) {
                        let mut state = connection.inner.lock();
                        state.peer.count_discarded(run.route, run.size, run.segment_size);
                    }
                }
                Sent::Blocked => {
                    if let Some(connection) = self.connections.get_mut(&key) {
                        connection.blocked_on = Some(index);
                    }
                }
                Sent::TooLarge => {
                    if let Some(connection) = self.connections.get(&key) {
                        let size = run.segment_size.unwrap_or(run.size);
                        let mut state = connection.inner.lock();
                        state.peer.handle_too_large(now, size);
                        state.peer.count_discarded(run.route, run.size, run.segment_size);
                    }
                }
            }
        }
        self.batch.clear();
    }

    fn do_chores(&mut self, key: Key, now: Instant) {
        let mut chores = std::mem::take(&mut self.chores);
        for chore in chores.drain(..) {
            match chore {
                Chore::Gather => self.gather(key, now),
                Chore::RouteAdded(route) => {
                    self.demux.add_route(route, key);
                    self.replay(key, route, now);
                }
                Chore::RouteRemoved(route) => self.demux.remove_route(route, key),
            }
        }
        self.chores = chores;
        self.make_ready(key);
    }

    fn gather(&mut self, key: Key, now: Instant) {
        let bound: Vec<SocketAddr> = self.sockets.iter().map(Socket::local).collect();
        let addresses = gather::addresses(&bound, self.include_loopback);
        tracing::debug!(?addresses, "gathered");
        let Some(connection) = self.connections.get(&key) else { return };
        let mut state = connection.inner.lock();
        for address in addresses {
            state.peer.add_local_candidate(now, address);
        }
        state.peer.set_gathering_complete(now);
    }

    /// What came over a route before it was proven.
    fn replay(&mut self, key: Key, route: Route, now: Instant) {
        let datagrams = self.early.take(route);
        let Some(connection) = self.connections.get(&key) else { return };
        for datagram in datagrams {
            connection.inner.lock().peer.handle_datagram(now, route, &datagram);
        }
    }

    fn detach(&mut self, key: Key) {
        self.demux.remove(key);
        self.timers.remove(key);
        if let Some(connection) = self.connections.remove(&key) {
            connection.inner.lock().detach(&mut self.outcome);
            self.outcome.deliver();
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
        if driver.connections.is_empty() {
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
    /// The runtime ends before the connections do: nobody is left waiting for them.
    fn drop(&mut self) {
        for connection in self.connections.values() {
            connection.inner.lock().abandon(super::now(), &mut self.outcome);
            self.outcome.deliver();
        }
    }
}

/// Datagrams fed before their connections are served.
const MAX_FED: usize = 64;
/// Bytes built for one connection before others have their turn, plus at most one run.
const BUDGET: usize = 96 << 10;
/// Rounds in one poll of the task before other tasks of its worker have their turn.
const ROUNDS: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Configuration;
    use straits_peer::Peer;
    use straits_peer::dtls::Identity;

    /// A datagram that the peer counts as dropped was handed to it: without a description it knows no route.
    fn handed_over(driver: &Driver, key: Key) -> u64 {
        driver.connections[&key].inner.lock().peer.stats().datagrams_dropped
    }

    #[tokio::test]
    async fn early_dtls_reaches_the_peer_when_its_source_is_proven() {
        let now = crate::endpoint::now();
        let peer = Peer::new(straits_peer::Config::default(), Identity::generate().unwrap(), [1; 32], now);
        let runtime = tokio::runtime::Handle::current();
        let inner = Arc::new(Inner::new(peer, Configuration::default(), runtime));
        let mut driver = Driver::new(Arc::new(Shared::default()), Vec::new(), false);
        let key = Key(0);
        driver.attach(key, inner);
        let route =
            |port| Route { local: ([127, 0, 0, 1], 1000).into(), remote: ([127, 0, 0, 1], port).into() };

        // Two records' worth of DTLS, joined by the system into one run of stride 20.
        let hello = [22_u8; 40];
        driver.feed(now, route(1), &hello, 20);
        driver.feed(now, route(2), &hello, 40);
        assert_eq!(handed_over(&driver, key), 0);
        // What is neither STUN nor DTLS goes to the one connection there is, which drops and counts it.
        driver.feed(now, route(3), &[200], 1);
        assert_eq!(handed_over(&driver, key), 1);

        // More than is kept of one source is dropped, too.
        driver.feed(now, route(2), &[22; 10], 1);
        assert_eq!(handed_over(&driver, key), 4);

        driver.chores.push(Chore::RouteAdded(route(1)));
        driver.do_chores(key, now);
        assert_eq!(handed_over(&driver, key), 6);
        driver.feed(now, route(1), &hello, 20);
        assert_eq!(handed_over(&driver, key), 8, "a proven source is early no more");
    }
}
