//! Receiving on a channel.

use super::DataChannel;
use crate::connection::state::State;
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
        let mut state = self.0.connection().lock();
        let (message, is_news) = self.take(&mut state)?;
        drop(state);
        self.announce(is_news);
        Some(message)
    }

    pub(super) fn poll_recv(&self, cx: &Context<'_>) -> Poll<Option<Message>> {
        let mut state = self.0.connection().lock();
        if let Some((message, is_news)) = self.take(&mut state) {
            drop(state);
            self.announce(is_news);
            return Poll::Ready(Some(message));
        }
        let id = self.shared().id;
        if state.peer.channel(id).is_none_or(|channel| channel.state() == ChannelState::Closed) {
            return Poll::Ready(None);
        }
        if let Some(entry) = state.channels.get_mut(&id) {
            entry.wait_readable(cx);
        }
        Poll::Pending
    }

    /// Takes a message; the flag: the endpoint is to look after the connection. What is read opens the receive window, of
    /// which the peer is told in steps, and reading the last message may let a close go on.
    fn take(&self, state: &mut State) -> Option<(Message, bool)> {
        let mut channel = state.peer.channel(self.shared().id)?;
        let message = channel.recv(endpoint::now())?;
        let is_last = !channel.is_readable();
        let is_news = state.count_read(message.data.len(), is_last);
        Some((message.into(), is_news))
    }

    fn announce(&self, is_news: bool) {
        if is_news {
            self.0.connection().schedule();
        }
    }
}
