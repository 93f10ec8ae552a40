//! The end of a connection, the end of a channel, and back-pressure.

use super::{Item, Outcome, State};
use crate::channel::ChannelShared;
use crate::wakers::Wait;
use crate::{
    DataChannelState, DtlsTransportState, IceConnectionState, PeerConnectionState, SctpTransportState,
    SignalingState,
};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Poll, Waker};
use std::time::Instant;
use straits_peer::sctp::{self, ChannelCloseReason, ChannelId};
use straits_peer::{CloseReason, PeerState};

impl State {
    /// Has the connection ended, from here or from there?
    pub(crate) fn is_over(&self) -> bool {
        self.closed_here || self.reason.is_some()
    }

    pub(crate) fn reason(&self) -> Option<&CloseReason> {
        self.reason.as_ref()
    }

    /// W3C webrtc-pc §4.4.1.2 close the connection: states are "closed" when this returns, nothing reports them.
    pub(crate) fn close(&mut self, now: Instant, linked: bool) {
        if self.is_over() {
            self.closed_here = true;
            self.show_closed();
            return;
        }
        self.closed_here = true;
        self.detached = !linked;
        self.peer.close(now);
        self.show_closed();
        self.descriptions = self.described.clone();
        self.items.retain(|item| matches!(item, Item::ChannelClosed(..) | Item::Closed(_)));
        self.stream_items.retain(|item| matches!(item, Item::Closed(_)));
        self.backlog.clear();
    }

    fn show_closed(&mut self) {
        self.published.signaling = SignalingState::Closed;
        self.published.ice = IceConnectionState::Closed;
        self.published.connection = PeerConnectionState::Closed;
        self.published.dtls = DtlsTransportState::Closed;
        self.published.sctp = SctpTransportState::Closed;
        for entry in self.channels.values_mut() {
            entry.published = DataChannelState::Closed;
        }
    }

    /// Delivers what was accepted, if there is anybody to deliver it to.
    pub(crate) fn close_gracefully(&mut self, now: Instant, deadline: Instant, linked: bool) {
        if self.is_over() || self.draining {
            return;
        }
        let reaches_peer = matches!(self.peer.state(), PeerState::Connected | PeerState::Disconnected);
        if linked && reaches_peer && self.peer.sctp_state() == sctp::State::Established && deadline > now {
            self.draining = true;
            self.give_up_written(now);
            self.peer.close_gracefully(now, deadline);
        } else {
            self.close(now, linked);
        }
    }

    /// Messages whose writers have not finished them were not accepted.
    fn give_up_written(&mut self, now: Instant) {
        for (id, _) in self.channels.iter().filter(|(_, entry)| entry.parts.is_written) {
            if let Some(mut channel) = self.peer.channel(*id) {
                channel.give_up_message(now);
            }
        }
    }

    /// The endpoint has sent the last packet.
    pub(crate) fn detach(&mut self, outcome: &mut Outcome) {
        self.detached = true;
        self.wake_everybody(outcome);
    }

    /// The endpoint's task is gone and with it all packets to come: nothing is left to wait for.
    pub(crate) fn abandon(&mut self, now: Instant, outcome: &mut Outcome) {
        if self.reason.is_none() {
            self.peer.close(now);
            self.settle(outcome);
        }
        self.detach(outcome);
    }

    pub(crate) fn poll_closed(&mut self, wait: &mut Wait<'_>) -> Poll<CloseReason> {
        match &self.reason {
            // Handlers that are yet to run would find nobody waiting for them any more.
            Some(reason) if self.detached && !self.dispatcher.present => Poll::Ready(reason.clone()),
            _ => {
                self.waiting.register(wait);
                Poll::Pending
            }
        }
    }

    /// Ready when the channel is closed and its handlers have run.
    pub(crate) fn poll_channel_closed(
        &mut self,
        id: ChannelId,
        wait: &mut Wait<'_>,
    ) -> Poll<ChannelCloseReason> {
        let is_dispatched = self.dispatcher.present;
        let Some(entry) = self.channels.get_mut(&id) else {
            return Poll::Ready(ChannelCloseReason::LocalClose);
        };
        match &entry.close_reason {
            Some(reason) if entry.close_handled || !is_dispatched => Poll::Ready(reason.clone()),
            _ => {
                entry.waiting.register(wait);
                Poll::Pending
            }
        }
    }

    /// The handlers of the end of a channel have returned.
    pub(crate) fn close_handled(&mut self, id: ChannelId, wakes: &mut Vec<Waker>) {
        if let Some(entry) = self.channels.get_mut(&id) {
            entry.close_handled = true;
            entry.waiting.drain_into(wakes);
        }
    }

    pub(crate) fn register(&mut self, wait: &mut Wait<'_>) {
        self.waiting.register(wait);
    }

    pub(super) fn wake_everybody(&mut self, outcome: &mut Outcome) {
        self.waiting.drain_into(&mut outcome.wakes);
        self.accepting.drain_into(&mut outcome.wakes);
        self.stream.wakers.drain_into(&mut outcome.wakes);
        for entry in self.channels.values_mut() {
            entry.readers.drain_into(&mut outcome.wakes);
            entry.writers.drain_into(&mut outcome.wakes);
            entry.behind.drain_into(&mut outcome.wakes);
            entry.waiting.drain_into(&mut outcome.wakes);
        }
    }

    /// Is the `close` event of a channel to be told? Not after a close of our own, by the letter (CLS-07).
    pub(crate) fn tells_close(&self) -> bool {
        !(self.closed_here && self.strict_w3c)
    }

    pub(crate) fn closed_here(&self) -> bool {
        self.closed_here
    }

    /// Forgets a closed channel that nobody holds; the caller drops it without the lock.
    pub(crate) fn forget_if_unused(&mut self, id: ChannelId) -> Option<Arc<ChannelShared>> {
        let entry = self.channels.get(&id)?;
        let unused = entry.given && entry.shared.handles.load(Ordering::Acquire) == 0;
        let told = entry.close_reason.is_some() && !self.items.concern(id);
        if !unused || !told {
            return None;
        }
        self.peer.forget_channel(id);
        self.channels.remove(&id).map(|entry| entry.shared)
    }

    /// Waits until half of the high-water mark is free, so that a writer is woken for many messages, not for one.
    pub(crate) fn wait_writable(&mut self, id: ChannelId, wait: &mut Wait<'_>) {
        let Some(entry) = self.channels.get_mut(&id) else { return };
        entry.writers.register(wait);
        self.writing.insert(id);
    }

    /// The same, when the buffer that all channels share has no room: the core tells when it has.
    pub(crate) fn wait_room(&mut self, id: ChannelId, wait: &mut Wait<'_>) {
        if let Some(entry) = self.channels.get_mut(&id) {
            entry.is_refused = true;
        }
        self.wait_writable(id, wait);
    }

    pub(crate) fn is_written(&self, id: ChannelId) -> bool {
        self.channels.get(&id).is_some_and(|entry| entry.parts.is_written)
    }

    /// Waits until no message is being written in pieces.
    pub(crate) fn wait_turn(&mut self, id: ChannelId, wait: &mut Wait<'_>) {
        let Some(entry) = self.channels.get_mut(&id) else { return };
        entry.behind.register(wait);
        // So that it hears of a close.
        self.writing.insert(id);
    }

    pub(super) fn resume_writers(&mut self, wakes: &mut Vec<Waker>) {
        let resume = self.high_water_mark / 2;
        let (peer, channels) = (&mut self.peer, &mut self.channels);
        self.writing.retain(|&id| {
            let Some(entry) = channels.get_mut(&id) else { return false };
            let is_full = match peer.channel(id).map(|channel| (channel.state(), channel.buffered_amount())) {
                Some((sctp::ChannelState::Connecting, _)) => true,
                Some((sctp::ChannelState::Open, buffered)) => entry.is_refused || buffered > resume,
                // Who waits is to hear that nothing more can be sent; a connection that ended keeps what is buffered.
                Some((sctp::ChannelState::Closing | sctp::ChannelState::Closed, _)) | None => {
                    entry.behind.drain_into(wakes);
                    false
                }
            };
            if !is_full {
                entry.writers.drain_into(wakes);
            }
            is_full || !entry.behind.is_empty()
        });
    }

    pub(crate) fn high_water_mark(&self) -> usize {
        self.high_water_mark
    }
}
