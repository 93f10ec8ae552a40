//! Receiving on a channel.

use super::DataChannel;
use super::parts::MessagePart;
use crate::connection::state::State;
use crate::wakers::{Wait, wait_fn};
use crate::{Message, endpoint};
use std::task::Poll;
use straits_peer::sctp::ChannelState;

/// Whether the endpoint is to look after the connection. What is read opens the receive window, of which the peer is told
/// in steps, and reading the last message may let a close go on.
pub(super) type News = bool;

impl DataChannel {
    /// The next message; `None` when the channel is closed and everything was read.
    ///
    /// `None` at once when a message handler is the consumer of the channel. What is left of a message that was read in
    /// pieces ([`recv_part`](Self::recv_part)) is passed over.
    ///
    /// Cancel-safe: a future that is dropped has taken no message.
    pub async fn recv(&self) -> Option<Message> {
        if !self.shared().claim_reader() {
            return None;
        }
        wait_fn(|wait| self.poll_recv(wait)).await
    }

    /// The next message, if one is there.
    #[must_use]
    pub fn try_recv(&self) -> Option<Message> {
        if !self.shared().claim_reader() {
            return None;
        }
        self.try_take(Self::take)
    }

    /// The next piece of the next message; `None` when the channel is closed and everything was read.
    ///
    /// For messages too large to be held at once: a piece is given out as soon as it is there, and what was read makes room
    /// for more, so that no more is held than the receive window (4 MiB by default) however large the message is. Each
    /// message ends with one piece that says how ([`MessagePart::end`]); the next piece begins another. How large messages
    /// may be is a setting of both sides: [`LayerConfig::max_message_size`](crate::LayerConfig::max_message_size).
    /// [`message_reader`](Self::message_reader) reads one message as `AsyncRead`.
    ///
    /// The window bounds what is held from the first call on. Before, a message larger than the window is collected, as
    /// [`recv`](Self::recv) wants it.
    ///
    /// `None` at once when a message handler is the consumer of the channel.
    ///
    /// Cancel-safe: a future that is dropped has taken no piece.
    pub async fn recv_part(&self) -> Option<MessagePart> {
        if !self.shared().claim_reader() {
            return None;
        }
        wait_fn(|wait| self.poll_take(wait, Self::take_part)).await
    }

    /// The next piece of the next message, if there is one.
    #[must_use]
    pub fn try_recv_part(&self) -> Option<MessagePart> {
        if !self.shared().claim_reader() {
            return None;
        }
        self.try_take(Self::take_part)
    }

    pub(super) fn poll_recv(&self, wait: &mut Wait<'_>) -> Poll<Option<Message>> {
        self.poll_take(wait, Self::take)
    }

    fn try_take<T>(&self, take: impl FnOnce(&Self, &mut State, &mut News) -> Option<T>) -> Option<T> {
        let mut news = false;
        let taken = take(self, &mut self.0.connection().lock(), &mut news);
        self.announce(news);
        taken
    }

    /// Ready with `None` when nothing is to come any more.
    pub(super) fn poll_take<T>(
        &self,
        wait: &mut Wait<'_>,
        take: impl FnOnce(&Self, &mut State, &mut News) -> Option<T>,
    ) -> Poll<Option<T>> {
        let mut news = false;
        let mut state = self.0.connection().lock();
        let taken = match take(self, &mut state, &mut news) {
            None if !self.is_ended(&mut state) => {
                if let Some(entry) = state.channels.get_mut(&self.shared().id) {
                    entry.wait_readable(wait);
                }
                Poll::Pending
            }
            taken => Poll::Ready(taken),
        };
        drop(state);
        self.announce(news);
        taken
    }

    fn is_ended(&self, state: &mut State) -> bool {
        let channel = state.peer.channel(self.shared().id);
        channel.is_none_or(|channel| channel.state() == ChannelState::Closed)
    }

    fn take(&self, state: &mut State, news: &mut News) -> Option<Message> {
        if !self.pass_over_rest(state, news) {
            return None;
        }
        let mut channel = state.peer.channel(self.shared().id)?;
        let message = channel.recv(endpoint::now())?;
        let is_last = !channel.is_readable();
        *news |= state.count_read(message.data.len(), is_last);
        Some(message.into())
    }

    /// `false`: there is a message that was begun, and its end has not come.
    pub(super) fn pass_over_rest(&self, state: &mut State, news: &mut News) -> bool {
        let id = self.shared().id;
        while state.channels.get(&id).is_some_and(|entry| entry.parts.reading.is_some()) {
            if self.take_part(state, news).is_none() {
                return false;
            }
        }
        true
    }

    pub(super) fn take_part(&self, state: &mut State, news: &mut News) -> Option<MessagePart> {
        let id = self.shared().id;
        let mut channel = state.peer.channel(id)?;
        let part = match channel.recv_part(endpoint::now()) {
            Some(part) => {
                let is_last = !channel.is_readable();
                *news |= state.count_read(part.data.len(), is_last);
                MessagePart::from(part)
            }
            // Whoever has read the beginning of a message hears of its end, whatever that is.
            None if self.is_ended(state) => {
                MessagePart::abandoned(state.channels.get(&id).and_then(|entry| entry.parts.reading)?)
            }
            None => return None,
        };
        if let Some(entry) = state.channels.get_mut(&id) {
            entry.parts.note(&part);
        }
        Some(part)
    }

    fn announce(&self, news: News) {
        if news {
            self.0.connection().schedule();
        }
    }
}
