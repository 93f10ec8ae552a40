//! From the connections to the sockets.

use super::{Connection, Driver, Key};
use crate::connection::state::Chore;
use crate::endpoint::after;
use crate::endpoint::shared::Counters;
use crate::endpoint::socket::{Run, Sent, Socket};
use std::task::Context;
use std::time::{Duration, Instant};
use straits_peer::ice::Route;
use straits_peer::{Peer, PeerState};

impl Driver {
    /// Sends what blocked sockets kept, or asks to be told when they take more. `true`: somebody who waited for one has
    /// work again.
    pub(super) fn flush(&mut self, cx: &mut Context<'_>) -> bool {
        let mut is_unblocked = false;
        for index in 0..self.sockets.len() {
            if !self.sockets[index].is_blocked() {
                continue;
            }
            let mut lost = Vec::new();
            let is_free = self.sockets[index].poll_flush(cx, &mut lost);
            for (run, sent) in lost {
                let owner = self.demux.route_owner(run.route);
                if let Some(connection) = owner.and_then(|key| self.connections.get(&key)) {
                    connection.note_lost(run, &sent);
                }
            }
            if !is_free {
                continue;
            }
            for key in std::mem::take(&mut self.blocked[index]) {
                if let Some(connection) = self.connections.get_mut(&key)
                    && connection.blocked_on == Some(index)
                {
                    connection.blocked_on = None;
                    is_unblocked = true;
                    self.make_ready(key);
                }
            }
        }
        is_unblocked
    }

    /// Everybody who has work, once, up to a budget for all; who had no turn is first next time. `true`: a budget was used
    /// up.
    pub(super) fn serve_all(&mut self, now: Instant) -> bool {
        let mut keys = std::mem::take(&mut self.ready);
        let (mut served, mut built) = (0, 0);
        for &key in &keys {
            if built >= BUDGET_OF_ALL {
                break;
            }
            built += self.serve(key, now);
            served += 1;
        }
        keys.drain(..served);
        // Keep the larger allocation.
        keys.append(&mut self.ready);
        self.ready = keys;
        !self.ready.is_empty()
    }

    /// Gives the number of bytes that it had to send.
    fn serve(&mut self, key: Key, now: Instant) -> usize {
        let Some(connection) = self.connections.get_mut(&key) else { return 0 };
        connection.is_ready = false;
        connection.inner.clear_queued();
        let segments = self.sockets.iter().map(Socket::max_segments).min().unwrap_or(1);

        let mut state = connection.inner.lock();
        if state.peer.poll_timeout().is_some_and(|deadline| deadline <= now) {
            state.peer.handle_timeout(now);
        }
        if is_up(&state.peer, connection.is_pending) {
            connection.give_up_at = None;
        } else if let Some(timeout) = self.setup_timeout
            && give_up_in_time(&mut connection.give_up_at, &mut state.peer, now, timeout)
        {
            Counters::count(&self.shared.counters.given_up);
        }
        if connection.blocked_on.is_none()
            && let Some(index) = blocked_socket(&self.sockets, state.peer.selected_route())
        {
            // Others have filled it; what is built now would only pile up behind.
            connection.blocked_on = Some(index);
            self.blocked[index].push(key);
        }
        let may_build = connection.blocked_on.is_none();
        let mut is_drained = false;
        while may_build && self.batch.len() < BUDGET {
            let Some(run) = state.peer.poll_transmit(now, segments, &mut self.batch) else {
                is_drained = true;
                break;
            };
            self.runs.push(Run { route: run.route, size: run.size, segment_size: run.segment_size });
        }
        if let Some(recorder) = &self.recorder {
            recorder.take_from(&mut state.peer);
        }
        state.settle(&mut self.outcome);
        std::mem::swap(&mut state.chores, &mut self.chores);
        let is_over = state.reason().is_some();
        let give_up_at = connection.give_up_at.filter(|_| !is_over);
        let deadline = [state.peer.poll_timeout(), give_up_at].into_iter().flatten().min();
        let is_established = connection.is_pending && is_up(&state.peer, true);
        connection.is_pending &= !is_established;
        let has_new_name = self.demux.set_fragments(key, state.peer.local_ufrags());
        drop(state);

        if has_new_name {
            self.show_tables();
        }
        if is_established {
            self.shared.established();
        }
        self.outcome.deliver();
        self.timers.set(key, deadline);
        let built = self.batch.len();
        self.send(key);
        self.do_chores(key, now);
        if is_over && is_drained && !self.is_blocked(key) {
            self.detach(key);
        } else if may_build && !is_drained {
            self.make_ready(key);
        }
        built
    }

    fn is_blocked(&self, key: Key) -> bool {
        self.connections.get(&key).is_some_and(|connection| connection.blocked_on.is_some())
    }

    fn send(&mut self, key: Key) {
        let mut start = 0;
        for run in self.runs.drain(..) {
            let contents = &self.batch[start..start + run.size];
            start += run.size;
            if self.demux.route_owner(run.route) != Some(key) {
                self.demux.note_check(contents, key);
            }
            let Some(index) = self.sockets.iter().position(|socket| socket.carries(run.route.local)) else {
                tracing::debug!(route = ?run.route, "no socket has this address");
                continue;
            };
            if let Some(recorder) = &self.recorder {
                recorder.sends(run.route, contents, run.segment_size);
            }
            match self.sockets[index].send(run, contents) {
                Sent::Done => {}
                sent @ (Sent::TooLarge | Sent::Refused) => {
                    if let Some(connection) = self.connections.get(&key) {
                        connection.note_lost(run, &sent);
                    }
                }
                Sent::Blocked => {
                    if let Some(connection) = self.connections.get_mut(&key)
                        && connection.blocked_on.replace(index) != Some(index)
                    {
                        self.blocked[index].push(key);
                    }
                }
            }
        }
        self.batch.clear();
    }

    /// What settling the connection left to do.
    pub(super) fn do_chores(&mut self, key: Key, now: Instant) {
        if self.chores.is_empty() {
            return;
        }
        let mut chores = std::mem::take(&mut self.chores);
        for chore in chores.drain(..) {
            match chore {
                Chore::Gather => self.gather(key, now),
                Chore::RouteAdded(route) => {
                    self.demux.add_route(route, key);
                    self.replay(key, route, now);
                }
                Chore::RouteSelected(route) => self.demux.select_route(route, key),
                Chore::RouteRemoved(route) => self.demux.remove_route(route, key),
            }
        }
        self.chores = chores;
        self.show_tables();
        self.make_ready(key);
    }

    fn gather(&mut self, key: Key, now: Instant) {
        let Some(connection) = self.connections.get(&key) else { return };
        let addresses = self.gatherer.addresses(now);
        let mut state = connection.inner.lock();
        for local in addresses {
            state.peer.add_announced_candidate(now, local.address, local.announced);
        }
        state.peer.set_gathering_complete(now);
    }
}

impl Connection {
    /// The system did not take it.
    fn note_lost(&self, run: Run, sent: &Sent) {
        let mut state = self.inner.lock();
        if *sent == Sent::TooLarge {
            state.peer.handle_too_large(run.segment_size.unwrap_or(run.size));
        }
        state.peer.count_discarded(run.route, run.size, run.segment_size);
    }
}

/// Ends what is not connected in time, or no more. `true`: it did so now.
fn give_up_in_time(at: &mut Option<Instant>, peer: &mut Peer, now: Instant, timeout: Duration) -> bool {
    let at = *at.get_or_insert_with(|| after(now, timeout));
    at <= now && peer.give_up(now)
}

/// Is it connected, or silent only for a while? One that was never connected (`is_pending`) may be silent from the start.
fn is_up(peer: &Peer, is_pending: bool) -> bool {
    match peer.state() {
        PeerState::Connected => true,
        PeerState::Disconnected => !is_pending,
        PeerState::New | PeerState::Connecting | PeerState::Failed | PeerState::Closed => false,
    }
}

/// The socket that the route leaves through, if it takes nothing now.
fn blocked_socket(sockets: &[Socket], route: Option<Route>) -> Option<usize> {
    if !sockets.iter().any(Socket::is_blocked) {
        return None;
    }
    let route = route?;
    sockets.iter().position(|socket| socket.is_blocked() && socket.carries(route.local))
}

/// Bytes built for one connection before others have their turn, plus at most one run.
const BUDGET: usize = 96 << 10;
/// Bytes built for all connections before the sockets are read again: what the peers send meanwhile is to fit into their
/// buffers.
const BUDGET_OF_ALL: usize = 1 << 20;
