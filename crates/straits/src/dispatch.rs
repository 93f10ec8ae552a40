//! The dispatcher: one task per connection that has handlers.

use crate::channel::{ChannelShared, DataChannel};
use crate::connection::handlers::{self, call};
use crate::connection::state::{Item, Outcome};
use crate::connection::{ChannelHandle, Inner};
use crate::wakers::wait_fn;
use crate::{DtlsTransportState, Error, endpoint};
use std::sync::Arc;
use straits_peer::sctp::{ChannelCloseReason, ChannelId, ReceivedMessage};

/// Takes the items of a connection in order and calls the handlers, until the last item.
///
/// It holds no handle, so it keeps no connection from closing when its user is gone.
pub(crate) struct Dispatcher {
    inner: Arc<Inner>,
    /// Reused between batches.
    messages: Vec<ReceivedMessage>,
    outcome: Outcome,
}

impl Dispatcher {
    pub(crate) fn new(inner: Arc<Inner>) -> Self {
        Self { inner, messages: Vec::new(), outcome: Outcome::default() }
    }

    pub(crate) async fn run(mut self) {
        loop {
            let (item, timely) = self.next().await;
            let last = matches!(item, Item::Closed(_));
            self.dispatch(item, timely);
            self.inner.lock().item_done(&mut self.outcome.wakes);
            self.outcome.deliver();
            if last {
                break;
            }
            // Handlers never await, so a busy connection would keep its worker for itself.
            tokio::task::consume_budget().await;
        }
    }

    async fn next(&mut self) -> (Item, bool) {
        wait_fn(|wait| {
            let item = self.inner.lock().poll_item(wait, &mut self.outcome);
            self.outcome.deliver();
            item
        })
        .await
    }

    fn dispatch(&mut self, item: Item, timely: bool) {
        let all = &self.inner.handlers;
        let unheard = match item {
            Item::NegotiationNeeded if timely => {
                (!call(all, |h| &mut h.negotiation_needed, |f| f())).then_some(Item::NegotiationNeeded)
            }
            Item::Signaling(state) => {
                call(all, |h| &mut h.signaling_state, |f| f(state));
                None
            }
            Item::Gathering(state) => {
                call(all, |h| &mut h.gathering_state, |f| f(state));
                call(all, |h| &mut h.ice_gathering_state, |f| f(state));
                None
            }
            Item::Ice(state) => {
                call(all, |h| &mut h.ice_state, |f| f(state));
                call(all, |h| &mut h.ice_connection_state, |f| f(state));
                None
            }
            Item::Connection(state) => {
                call(all, |h| &mut h.connection_state, |f| f(state));
                None
            }
            Item::Dtls(state) => {
                self.dtls(state);
                None
            }
            Item::Sctp(state) => {
                call(all, |h| &mut h.sctp_state, |f| f(state));
                None
            }
            Item::SelectedPair => {
                call(all, |h| &mut h.selected_pair, |f| f());
                None
            }
            Item::Candidate(candidate) => {
                let heard = call(all, |h| &mut h.ice_candidate, |f| f(candidate.clone()));
                (!heard).then_some(Item::Candidate(candidate))
            }
            Item::CandidateError(error) => {
                call(all, |h| &mut h.ice_candidate_error, |f| f(error));
                None
            }
            Item::Incoming(id) => {
                let heard = !timely || call(all, |h| &mut h.data_channel, |f| self.give(id, f));
                (!heard).then_some(Item::Incoming(id))
            }
            Item::Open(id) if timely => {
                self.open(id);
                None
            }
            Item::Readable(id) => {
                self.deliver_messages(id, Some(MAX_BATCHES));
                None
            }
            Item::BufferedAmountLow(id) if timely => {
                self.with_channel(id, |shared, channel| {
                    call(&shared.handlers, |h| &mut h.buffered_amount_low, |f| f(channel));
                });
                None
            }
            Item::Closing(id) if timely => {
                self.deliver_messages(id, None);
                self.with_channel(id, |shared, channel| {
                    call(&shared.handlers, |h| &mut h.closing, |f| f(channel));
                });
                None
            }
            Item::ChannelClosed(id, reason) => {
                self.close(id, reason);
                None
            }
            Item::NegotiationNeeded
            | Item::Described(_)
            | Item::Open(_)
            | Item::BufferedAmountLow(_)
            | Item::Closing(_)
            | Item::Closed(_) => None,
        };
        if let Some(item) = unheard {
            self.inner.lock().keep(item, &mut self.outcome.wakes);
            self.outcome.deliver();
        }
    }

    /// W3C webrtc-pc §5.5: an error is told before the state that it leads to.
    fn dtls(&self, state: DtlsTransportState) {
        if state == DtlsTransportState::Failed {
            let reason = self.inner.lock().peer.close_reason().cloned();
            if let Some(reason) = reason {
                call(&self.inner.handlers, |h| &mut h.dtls_error, |f| f(Error::ended(reason)));
            }
        }
        call(&self.inner.handlers, |h| &mut h.dtls_state, |f| f(state));
    }

    fn give(&self, id: ChannelId, handler: &mut dyn FnMut(DataChannel)) {
        let shared = self.inner.lock().give(id);
        if let Some(shared) = shared {
            handler(DataChannel::new(ChannelHandle::new(self.inner.clone(), shared)));
        }
    }

    /// Runs `f` with a handle that lives as long as the call.
    fn with_channel(&self, id: ChannelId, f: impl FnOnce(&Arc<ChannelShared>, &DataChannel)) {
        let shared = self.inner.lock().channels.get(&id).map(|entry| entry.shared.clone());
        if let Some(shared) = shared {
            let channel = DataChannel::new(ChannelHandle::new(self.inner.clone(), shared.clone()));
            f(&shared, &channel);
        }
    }

    /// `open` is told once, and only to a handler; one that is set later gets it then.
    fn open(&self, id: ChannelId) {
        self.with_channel(id, |shared, channel| {
            let told = call(
                &shared.handlers,
                |h| &mut h.open,
                |f| {
                    let first =
                        self.inner.lock().channels.get_mut(&id).is_some_and(|entry| entry.tell_open());
                    if first {
                        f(channel);
                    }
                },
            );
            tracing::trace!(label = shared.init.label, told, "open");
        });
    }

    /// Hands out messages in batches, each taken under one lock; `limit` batches at a time lets other channels have
    /// their turn.
    fn deliver_messages(&mut self, id: ChannelId, limit: Option<usize>) {
        let mut messages = std::mem::take(&mut self.messages);
        let mut batches = 0;
        loop {
            let mut state = self.inner.lock();
            let handled = state.readable_taken(id);
            if !handled {
                break;
            }
            if limit.is_some_and(|limit| batches >= limit) {
                state.queue_readable(id);
                break;
            }
            state.take_messages(endpoint::now(), id, &mut messages);
            drop(state);
            if messages.is_empty() {
                break;
            }
            // What was taken opens the receive window, which the endpoint may have to tell the peer.
            self.inner.schedule();
            self.with_channel(id, |shared, channel| {
                for message in messages.drain(..) {
                    call(&shared.handlers, |h| &mut h.message, |f| f(channel, message.into()));
                }
            });
            batches += 1;
        }
        self.outcome.deliver();
        self.messages = messages;
    }

    fn close(&mut self, id: ChannelId, reason: ChannelCloseReason) {
        self.deliver_messages(id, None);
        let state = self.inner.lock();
        let tells = state.tells_close();
        let by_us = state.closed_here();
        drop(state);
        self.with_channel(id, |shared, channel| {
            if tells {
                if !by_us && let Some(error) = Error::of_channel(&reason) {
                    call(&shared.handlers, |h| &mut h.error, |f| f(channel, error));
                }
                call(
                    &shared.handlers,
                    |h| &mut h.close,
                    |f| {
                        let first =
                            self.inner.lock().channels.get_mut(&id).is_some_and(|entry| entry.tell_close());
                        if first {
                            f(channel);
                        }
                    },
                );
            }
        });
        self.inner.lock().close_handled(id, &mut self.outcome.wakes);
        self.outcome.deliver();
        // The handle above is gone: if it was the last one, so is the channel.
        self.inner.channel_released(id);
    }
}

impl Drop for Dispatcher {
    /// After the last item, when a handler panicked, or when the runtime ends.
    fn drop(&mut self) {
        let channels = {
            let mut state = self.inner.lock();
            state.release_dispatcher(&mut self.outcome);
            state.channels.values().map(|entry| entry.shared.clone()).collect::<Vec<_>>()
        };
        self.outcome.deliver();
        handlers::retire(&self.inner.handlers);
        for shared in channels {
            handlers::retire(&shared.handlers);
        }
    }
}

/// Batches of one channel before others have their turn.
const MAX_BATCHES: usize = 4;
