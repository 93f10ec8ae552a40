//! Sending on a channel.

use super::DataChannel;
use crate::connection::state::State;
use crate::wakers::{Wait, wait_fn};
use crate::{Error, ErrorName, Message, Text, endpoint};
use bytes::Bytes;
use std::task::{Poll, ready};
use straits_peer::sctp::{ChannelSendError, ChannelState, MessageKind};

impl DataChannel {
    /// Sends a message, after waiting until the channel is open and little enough is buffered.
    ///
    /// It waits above the high-water mark (1 MiB, [`Configuration::high_water_mark`](crate::Configuration::high_water_mark))
    /// until half of that is left, and while a [`MessageWriter`](crate::MessageWriter) of the channel is at work.
    ///
    /// Cancel-safe: when it is ready the message is queued whole; when it is dropped before, nothing is.
    ///
    /// # Errors
    ///
    /// `TypeError`: larger than the peer accepts. `InvalidStateError`: the channel is closing or closed.
    /// `OperationError`: larger than the send buffer of the whole connection (16 MiB).
    pub async fn send(&self, message: impl Into<Message>) -> Result<(), Error> {
        let message = message.into();
        wait_fn(move |wait| self.poll_send(wait, || message.clone())).await
    }

    /// Queues the message that `make` makes, once there is room.
    pub(super) fn poll_send(
        &self,
        wait: &mut Wait<'_>,
        make: impl FnOnce() -> Message,
    ) -> Poll<Result<(), Error>> {
        let mut state = self.0.connection().lock();
        ready!(self.poll_writable(&mut state, wait));
        let (kind, data) = make().into_parts();
        let sent = match self.send_now(&mut state, kind, &data) {
            // Others of the connection filled the buffer. It drains as the peer acknowledges, which wakes this task.
            Err(ChannelSendError::BufferFull { max, .. }) if data.len() <= max => {
                state.wait_room(self.shared().id, wait);
                return Poll::Pending;
            }
            sent => sent,
        };
        drop(state);
        if sent.is_ok() {
            self.0.connection().schedule();
        }
        Poll::Ready(sent.map_err(Into::into))
    }

    /// Ready when a message may be queued, or when no message ever may.
    pub(super) fn poll_writable(&self, state: &mut State, wait: &mut Wait<'_>) -> Poll<()> {
        let id = self.shared().id;
        if state.is_written(id) && self.is_open(state) {
            state.wait_turn(id, wait);
            return Poll::Pending;
        }
        self.poll_room(state, wait)
    }

    /// The same for a part of the message that is being written.
    pub(super) fn poll_room(&self, state: &mut State, wait: &mut Wait<'_>) -> Poll<()> {
        let id = self.shared().id;
        let limit = state.high_water_mark();
        let waits = state.peer.channel(id).is_some_and(|channel| match channel.state() {
            ChannelState::Connecting => true,
            ChannelState::Open => channel.buffered_amount() >= limit,
            ChannelState::Closing | ChannelState::Closed => false,
        });
        if waits && !state.is_over() {
            state.wait_writable(id, wait);
            return Poll::Pending;
        }
        Poll::Ready(())
    }

    pub(super) fn is_open(&self, state: &mut State) -> bool {
        let channel = state.peer.channel(self.shared().id);
        channel.is_some_and(|channel| channel.state() == ChannelState::Open)
    }

    fn send_now(&self, state: &mut State, kind: MessageKind, data: &Bytes) -> Result<(), ChannelSendError> {
        match state.peer.channel(self.shared().id) {
            Some(mut channel) => channel.send(endpoint::now(), kind, data.clone()),
            None => Err(ChannelSendError::NotOpen),
        }
    }

    /// Queues a message at once, as `send` does in a browser.
    ///
    /// # Errors
    ///
    /// `InvalidStateError`: the channel is not open. `TypeError`: larger than the peer accepts. `OperationError`: the
    /// send buffer of the connection (16 MiB) would overflow, which [`Error::is_buffer_full`] tells; or a
    /// [`MessageWriter`](crate::MessageWriter) of the channel is at work. Nothing was queued then.
    pub fn try_send(&self, message: impl Into<Message>) -> Result<(), Error> {
        let (kind, data) = message.into().into_parts();
        let mut state = self.0.connection().lock();
        if state.is_written(self.shared().id) && self.is_open(&mut state) {
            let advice = "finish its writer before, or use send, which waits for it";
            return Err(Error::new(ErrorName::OperationError, "a message is being sent in pieces", advice));
        }
        let sent = self.send_now(&mut state, kind, &data);
        drop(state);
        self.0.connection().schedule();
        Ok(sent?)
    }

    /// `RTCDataChannel.send` with a string: queues it at once.
    ///
    /// # Errors
    ///
    /// As [`try_send`](Self::try_send).
    pub fn send_text(&self, text: impl Into<Text>) -> Result<(), Error> {
        self.try_send(text.into())
    }

    /// `RTCDataChannel.send` with bytes: queues them at once.
    ///
    /// # Errors
    ///
    /// As [`try_send`](Self::try_send).
    pub fn send_binary(&self, data: impl Into<Bytes>) -> Result<(), Error> {
        self.try_send(data.into())
    }

    /// Ready when a message may be queued; an error when none may be ever again.
    pub(super) fn poll_ready_to_send(&self, wait: &mut Wait<'_>) -> Poll<Result<(), Error>> {
        let mut state = self.0.connection().lock();
        if self.poll_writable(&mut state, wait).is_pending() {
            return Poll::Pending;
        }
        Poll::Ready(if self.is_open(&mut state) { Ok(()) } else { Err(ChannelSendError::NotOpen.into()) })
    }
}
