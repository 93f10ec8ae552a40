//! From the sockets to the connections.

use super::{Driver, Key};
use crate::capture::Recorder;
use crate::endpoint::demux::{Destination, Stray};
use crate::endpoint::pool::{ReceiveBuffer, SLOT_SIZE, SLOTS};
use crate::endpoint::shared::Counters;
use quinn_udp::RecvMeta;
use std::io::IoSliceMut;
use std::task::{Context, Poll};
use std::time::Instant;
use straits_peer::Peer;
use straits_peer::dtls::State;
use straits_peer::ice::Route;

impl Driver {
    /// One read of every socket that has something; `true`: there may be more.
    pub(super) fn receive(&mut self, cx: &mut Context<'_>, now: Instant) -> bool {
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
    pub(super) fn feed(&mut self, now: Instant, route: Route, run: &[u8], stride: usize) {
        let mut owner = self.demux.route_owner(route);
        let mut datagrams = run.chunks(stride).peekable();
        if run.is_empty() {
            self.drop_stray(route, run, Stray::Malformed);
        }
        while let Some(datagram) = datagrams.next() {
            let key = match self.demux.destination(owner, datagram) {
                Destination::Connection(key) => key,
                Destination::EarlyDtls(key) => {
                    if self.keep_early(key, route, datagram) {
                        continue;
                    }
                    // The connection drops and counts it.
                    key
                }
                Destination::Nobody(stray) => {
                    self.drop_stray(route, datagram, stray);
                    continue;
                }
            };
            let Some(connection) = self.connections.get(&key) else { continue };
            let mut state = connection.inner.lock();
            let recorder = self.recorder.as_ref();
            handle(recorder, &mut state.peer, now, route, datagram);
            if owner == Some(key) {
                let is_same =
                    |next: &&[u8]| self.demux.destination(owner, next) == Destination::Connection(key);
                while let Some(datagram) = datagrams.next_if(is_same) {
                    handle(recorder, &mut state.peer, now, route, datagram);
                }
                drop(state);
            } else {
                // What it proves of the route counts from the next datagram on.
                state.settle(&mut self.outcome);
                std::mem::swap(&mut state.chores, &mut self.chores);
                drop(state);
                self.outcome.deliver();
                self.do_chores(key, now);
                owner = self.demux.route_owner(route);
            }
            self.make_ready(key);
        }
    }

    fn drop_stray(&self, route: Route, datagram: &[u8], stray: Stray) {
        if let Some(recorder) = &self.recorder {
            recorder.received(route, datagram);
        }
        tracing::debug!(%route, ?stray, "datagram for nobody");
        let counters = &self.shared.counters;
        Counters::count(match stray {
            Stray::Source => &counters.unknown_sources,
            Stray::Check => &counters.unknown_checks,
            Stray::Malformed => &counters.malformed,
        });
    }

    /// The peer's handshake may overtake its check. Once it is finished, DTLS from elsewhere is a stranger's.
    fn keep_early(&mut self, key: Key, route: Route, datagram: &[u8]) -> bool {
        let Some(connection) = self.connections.get(&key) else { return false };
        let is_awaited = matches!(connection.inner.lock().peer.dtls_state(), State::New | State::Connecting);
        let kept = is_awaited && self.early.keep(route, datagram);
        tracing::debug!(?route, kept, "DTLS from a source that is not validated");
        if let (Some(recorder), true) = (&self.recorder, kept) {
            recorder.received(route, datagram);
        }
        kept
    }

    /// What came over a route before it was proven.
    pub(super) fn replay(&mut self, key: Key, route: Route, now: Instant) {
        let datagrams = self.early.take(route);
        let Some(connection) = self.connections.get(&key) else { return };
        for datagram in datagrams {
            let mut state = connection.inner.lock();
            state.peer.handle_datagram(now, route, &datagram);
            // The datagram itself was recorded when it came.
            if let Some(recorder) = &self.recorder {
                recorder.take_from(&mut state.peer);
            }
        }
    }
}

fn handle(recorder: Option<&Recorder>, peer: &mut Peer, now: Instant, route: Route, datagram: &[u8]) {
    peer.handle_datagram(now, route, datagram);
    if let Some(recorder) = recorder {
        recorder.received_by(peer, route, datagram);
    }
}

/// Datagrams fed before their connections are served.
const MAX_FED: usize = 64;
