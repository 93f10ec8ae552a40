//! Receiving on a channel.

use super::DataChannel;
use crate::{Message, endpoint};
use std::future::poll_fn;
use std::task::{Context, Poll};
use straits_peer::sctp::ChannelState;

impl DataChannel {
    /// The next message; `None` when the channel is closed and everything was read.
    ///
    /// `None` at once when a message handler is the consumer of the channel.
    pub async fn recv(&self) -> Option<Message> {
        if !self.shared().claim_reader() {
            return None;
        }
        poll_fn(|cx| self.poll_recv(cx)).await
    }

    /// The next message, if one is there.
    #[must_use]
    pub fn try_recv(&self) -> Option<Message> {
        if !self.shared().claim_reader() {
            return None;
        }
        let message = self.look(|mut channel| channel.recv(endpoint::now())).flatten();
        self.0.connection().schedule();
        message.map(Into::into)
    }

    pub(super) fn poll_recv(&self, cx: &Context<'_>) -> Poll<Option<Message>> {
        let id = self.shared().id;
        let mut state = self.0.connection().lock();
        let Some(mut channel) = state.peer.channel(id) else {
            return Poll::Ready(None);
        };
        if let Some(message) = channel.recv(endpoint::now()) {
            drop(state);
            // What was read opens the receive window, which the endpoint may have to tell the peer.
            self.0.connection().schedule();
            return Poll::Ready(Some(message.into()));
        }
        if channel.state() == ChannelState::Closed {
            return Poll::Ready(None);
        }
        if let Some(entry) = state.channels.get_mut(&id) {
            entry.wait_readable(cx);
        }
        Poll::Pending
    }
}
