//! Who takes what is reported: the dispatcher, an event stream, `accept_channel`.

use super::{Chore, Item, Outcome, State};
use crate::channel::ChannelShared;
use crate::wakers::Wait;
use crate::{DataChannelState, Error};
use std::sync::Arc;
use std::task::{Poll, Waker};
use straits_peer::sctp::ChannelId;

impl State {
    /// `true`: the caller is to start the dispatcher.
    pub(crate) fn claim_dispatcher(&mut self) -> bool {
        if self.dispatcher.ended || std::mem::replace(&mut self.dispatcher.present, true) {
            return false;
        }
        // The end was published without it; it ends when it comes to this.
        if let Some(reason) = self.reason.clone() {
            self.queue_item(Item::Closed(reason));
        }
        true
    }

    /// `false`: an event stream takes the events of the connection.
    pub(crate) fn claim_handlers(&mut self) -> bool {
        self.has_handlers |= !self.stream.present;
        self.has_handlers
    }

    /// Is a socket needed?
    pub(crate) fn wants_endpoint(&self) -> bool {
        self.gathering_needed || self.chores.contains(&Chore::Gather)
    }

    /// The next item with what is to be reported of it: `None` in the pair for what came too late.
    pub(crate) fn poll_item(&mut self, wait: &mut Wait<'_>, outcome: &mut Outcome) -> Poll<(Item, bool)> {
        let Some(item) = self.items.pop() else {
            self.dispatcher.wakers.register(wait);
            return Poll::Pending;
        };
        let timely = self.publish(&item, outcome);
        if let Item::Open(id) = item {
            self.dispatcher.opening = Some(id);
        }
        Poll::Ready((item, timely))
    }

    /// Is the `open` handler of this channel still at work? Its end wakes who waits in [`register`](Self::register).
    pub(crate) fn is_opening(&self, id: ChannelId) -> bool {
        self.dispatcher.opening == Some(id)
    }

    /// The handlers of the item taken last have returned.
    pub(crate) fn item_done(&mut self, wakes: &mut Vec<Waker>) {
        self.dispatcher.done = self.dispatcher.queued - self.items.len() as u64;
        self.dispatcher.opening = None;
        self.waiting.drain_into(wakes);
    }

    /// The dispatcher ended: what it left is published, and state follows the core again.
    pub(crate) fn release_dispatcher(&mut self, outcome: &mut Outcome) {
        self.dispatcher.present = false;
        self.dispatcher.ended = true;
        self.dispatcher.done = self.dispatcher.queued;
        self.dispatcher.opening = None;
        while let Some(item) = self.items.pop() {
            self.publish(&item, outcome);
            self.keep(item, &mut outcome.wakes);
        }
        self.wake_everybody(outcome);
    }

    /// What a dispatcher must have worked off before a future that changed the state may resolve.
    pub(crate) fn mark(&self) -> u64 {
        if self.dispatcher.present { self.dispatcher.queued } else { 0 }
    }

    /// An error when the connection was closed here meanwhile.
    pub(crate) fn poll_mark(&mut self, wait: &mut Wait<'_>, mark: u64) -> Poll<Result<(), Error>> {
        if self.closed_here {
            return Poll::Ready(Err(Error::closed(self.reason())));
        }
        if !self.dispatcher.present || self.dispatcher.done >= mark {
            return Poll::Ready(Ok(()));
        }
        self.waiting.register(wait);
        Poll::Pending
    }

    /// A handler for items of this kind was set: what was kept for it is queued.
    pub(crate) fn replay(&mut self, wanted: fn(&Item) -> bool) {
        for _ in 0..self.backlog.len() {
            let Some(item) = self.backlog.pop_front() else { break };
            if wanted(&item) {
                self.queue_item(item);
            } else {
                self.backlog.push_back(item);
            }
        }
    }

    /// A handler for the peer's channels was set: those that nobody took are its.
    pub(crate) fn replay_incoming(&mut self) {
        for id in std::mem::take(&mut self.incoming) {
            self.queue_item(Item::Incoming(id));
        }
    }

    /// A handler was set on a channel that may have opened or closed already: each event is told once.
    pub(crate) fn replay_channel(&mut self, id: ChannelId) {
        let Some(entry) = self.channels.get(&id) else { return };
        let open = entry.published == DataChannelState::Open && !entry.open_told;
        let closed = entry.close_reason.clone().filter(|_| !entry.close_told);
        if open && !self.items.contains(&Item::Open(id)) {
            self.queue_item(Item::Open(id));
        }
        self.queue_readable(id);
        if let Some(reason) = closed {
            let item = Item::ChannelClosed(id, reason);
            if !self.items.contains(&item) {
                self.queue_item(item);
            }
        }
    }

    /// `false`: another consumer was first.
    pub(crate) fn claim_stream(&mut self) -> bool {
        if self.has_handlers || std::mem::replace(&mut self.stream.present, true) {
            return false;
        }
        self.stream_items.append(&mut self.backlog);
        let incoming = std::mem::take(&mut self.incoming);
        self.stream_items.extend(incoming.into_iter().map(Item::Incoming));
        true
    }

    pub(crate) fn release_stream(&mut self, outcome: &mut Outcome) {
        self.stream.present = false;
        for item in std::mem::take(&mut self.stream_items) {
            self.publish(&item, outcome);
            self.keep(item, &mut outcome.wakes);
        }
    }

    pub(crate) fn poll_stream_item(
        &mut self,
        wait: &mut Wait<'_>,
        outcome: &mut Outcome,
    ) -> Poll<Option<Item>> {
        while let Some(item) = self.stream_items.pop_front() {
            if self.publish(&item, outcome) {
                return Poll::Ready(Some(item));
            }
        }
        if self.is_over() {
            return Poll::Ready(None);
        }
        self.stream.wakers.register(wait);
        Poll::Pending
    }

    pub(crate) fn poll_incoming(&mut self, wait: &mut Wait<'_>) -> Poll<Option<Arc<ChannelShared>>> {
        while let Some(id) = self.incoming.pop_front() {
            if let Some(shared) = self.give(id) {
                return Poll::Ready(Some(shared));
            }
        }
        if self.is_over() {
            return Poll::Ready(None);
        }
        self.accepting.register(wait);
        Poll::Pending
    }

    /// The channel goes to a user.
    pub(crate) fn give(&mut self, id: ChannelId) -> Option<Arc<ChannelShared>> {
        let entry = self.channels.get_mut(&id)?;
        entry.given = true;
        Some(entry.shared.clone())
    }
}
