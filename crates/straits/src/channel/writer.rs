//! One message to be written piece by piece.

use super::DataChannel;
use super::byte_stream::broken_pipe;
use super::parts::{Utf8, not_utf8};
use crate::connection::state::{Outcome, State};
use crate::wakers::{Waiter, wait_fn};
use crate::{Error, endpoint};
use bytes::Bytes;
use futures_sink::Sink;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use straits_peer::sctp::{ChannelSendError, MessageKind};
use tokio::io::AsyncWrite;

/// One message that is sent in pieces. From [`DataChannel::message_writer`].
///
/// Pieces are added with [`send_part`](Self::send_part), by copying into it as `AsyncWrite` (`tokio::io::copy`), or by
/// forwarding a stream of `Bytes` into it as `Sink`; each waits while much is buffered. [`finish`](Self::finish) ends the
/// message; so do `shutdown` of `AsyncWrite` and `close` of `Sink`.
///
/// # A message that is not finished
///
/// When the writer is dropped before, or the channel is closed, the message is given up. With partial reliability
/// (RFC 3758), which browsers and most other stacks have, the peer is told to drop what came of it: it never has the
/// beginning as if it were all, reads in pieces end with [`MessageEnd::Abandoned`](crate::MessageEnd::Abandoned), and the
/// channel goes on. A peer without it cannot be told once a part has left: it gets what there is as a message, and the
/// channel closes behind it, so that nothing follows a message that is not whole. The same happens when the peer closes the
/// channel first.
///
/// On a channel with [`max_packet_life_time`](DataChannel::max_packet_life_time) the time counts from the first piece.
///
/// # Others that send
///
/// While there is a writer, [`send`](DataChannel::send), `Messages`, `ByteStream` and other writers of the channel wait, and
/// [`try_send`](DataChannel::try_send) fails with an `OperationError`. Other channels go on between the pieces if the peer
/// knows I-DATA (RFC 8260); if it does not, they wait until the message is finished, so such a writer should not idle.
#[derive(Debug)]
pub struct MessageWriter {
    channel: DataChannel,
    kind: MessageKind,
    /// Of a text message.
    text: Utf8,
    /// What the sink has taken and there was no room for.
    pending: Bytes,
    is_done: bool,
    waiter: Waiter,
}

impl DataChannel {
    /// Begins a message that is sent in pieces, after waiting until the channel is open and no other writer is at work.
    ///
    /// Its size need not be known before. Nothing is sent until the first piece is.
    ///
    /// Cancel-safe: a future that is dropped has begun nothing.
    ///
    /// # Errors
    ///
    /// `InvalidStateError`: the channel is closing or closed.
    pub async fn message_writer(&self, kind: MessageKind) -> Result<MessageWriter, Error> {
        wait_fn(|wait| {
            let mut state = self.0.connection().lock();
            ready!(self.poll_writable(&mut state, wait));
            if !self.is_open(&mut state) {
                return Poll::Ready(Err(ChannelSendError::NotOpen.into()));
            }
            if let Some(entry) = state.channels.get_mut(&self.shared().id) {
                entry.parts.is_written = true;
            }
            drop(state);
            let writer = MessageWriter {
                channel: self.clone(),
                kind,
                text: Utf8::default(),
                pending: Bytes::new(),
                is_done: false,
                waiter: Waiter::default(),
            };
            Poll::Ready(Ok(writer))
        })
        .await
    }
}

impl MessageWriter {
    /// Adds a piece to the message, after waiting until little enough is buffered.
    ///
    /// A piece is queued whole or not at all. Pieces of 16 to 64 KiB are a good size; the peer does not see where they end.
    ///
    /// Cancel-safe: a future that is dropped has queued nothing.
    ///
    /// # Errors
    ///
    /// Nothing of the piece is queued then, and the message may go on. `TypeError`: the message gets larger than the peer
    /// accepts, or a text message is not UTF-8. `InvalidStateError`: the channel is closing or closed, or the message is
    /// finished. `OperationError`: the piece is larger than the send buffer of the whole connection (16 MiB).
    pub async fn send_part(&mut self, data: impl Into<Bytes>) -> Result<(), Error> {
        let data = data.into();
        poll_fn(|cx| {
            ready!(self.poll_pending(cx))?;
            self.poll_send(cx, data.len(), || data.clone())
        })
        .await
    }

    /// Ends the message. It is accepted now: a close delivers it.
    ///
    /// # Errors
    ///
    /// `TypeError`: a text message ends within a character. `InvalidStateError`: the channel is closing or closed. The
    /// message is given up then.
    pub fn finish(mut self) -> Result<(), Error> {
        self.end()
    }

    /// Text or binary.
    #[must_use]
    pub fn kind(&self) -> MessageKind {
        self.kind
    }

    /// The channel.
    #[must_use]
    pub fn channel(&self) -> &DataChannel {
        &self.channel
    }

    /// Ready when what the sink has taken is queued.
    fn poll_pending(&mut self, cx: &Context<'_>) -> Poll<Result<(), Error>> {
        if self.pending.is_empty() {
            return Poll::Ready(Ok(()));
        }
        let pending = self.pending.clone();
        let result = ready!(self.poll_send(cx, pending.len(), || pending));
        self.pending = Bytes::new();
        Poll::Ready(result)
    }

    /// Queues a piece of `len` bytes, which is made when there is room.
    fn poll_send(
        &mut self,
        cx: &Context<'_>,
        len: usize,
        data: impl FnOnce() -> Bytes,
    ) -> Poll<Result<(), Error>> {
        if self.is_done {
            return Poll::Ready(Err(ChannelSendError::NotOpen.into()));
        }
        let mut state = self.channel.0.connection().lock();
        ready!(self.channel.poll_room(&mut state, &mut self.waiter.with(cx)));
        let data = data();
        let text = match self.check(&data) {
            Ok(text) => text,
            Err(error) => return Poll::Ready(Err(error)),
        };
        let result = match self.put(&mut state, data, false) {
            Err(ChannelSendError::BufferFull { max, .. }) if len <= max => {
                state.wait_room(self.channel.shared().id, &mut self.waiter.with(cx));
                return Poll::Pending;
            }
            result => result,
        };
        drop(state);
        if result.is_ok() {
            self.text = text;
            self.channel.0.connection().schedule();
        }
        Poll::Ready(result.map_err(Into::into))
    }

    fn check(&self, data: &[u8]) -> Result<Utf8, Error> {
        match self.kind {
            MessageKind::Text => self.text.after(data).ok_or_else(not_utf8),
            MessageKind::Binary => Ok(self.text),
        }
    }

    fn put(&self, state: &mut State, data: Bytes, last: bool) -> Result<(), ChannelSendError> {
        match state.peer.channel(self.channel.shared().id) {
            Some(mut channel) => channel.send_part(endpoint::now(), self.kind, data, last),
            None => Err(ChannelSendError::NotOpen),
        }
    }

    fn end(&mut self) -> Result<(), Error> {
        if self.is_done {
            return Ok(());
        }
        let last = std::mem::take(&mut self.pending);
        let result = match self.check(&last) {
            Ok(text) if text.is_whole() => {
                self.channel.0.connection().with(|state, _| self.put(state, last, true)).map_err(Error::from)
            }
            _ => Err(not_utf8()),
        };
        match result {
            Ok(()) => self.release(),
            Err(_) => self.give_up(),
        }
        result
    }

    fn give_up(&mut self) {
        let id = self.channel.shared().id;
        let is_given_up =
            self.channel.0.connection().with(|state, now| {
                state.peer.channel(id).is_none_or(|mut channel| channel.give_up_message(now))
            });
        if !is_given_up {
            // The peer takes what it has for a message: it is the last one.
            self.channel.close();
        }
        self.release();
    }

    /// Others may send.
    fn release(&mut self) {
        self.is_done = true;
        let mut outcome = Outcome::default();
        if let Some(entry) = self.channel.0.connection().lock().channels.get_mut(&self.channel.shared().id) {
            entry.end_writing(&mut outcome.wakes);
        }
        outcome.deliver();
    }
}

impl Drop for MessageWriter {
    fn drop(&mut self) {
        if !self.is_done {
            self.give_up();
        }
    }
}

impl AsyncWrite for MessageWriter {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        let len = data.len().min(MAX_PIECE);
        if len == 0 {
            return Poll::Ready(Ok(0));
        }
        ready!(self.poll_pending(cx)).map_err(broken_pipe)?;
        let copy = || Bytes::copy_from_slice(&data[..len]);
        ready!(self.poll_send(cx, len, copy)).map_err(broken_pipe)?;
        Poll::Ready(Ok(len))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // What was accepted is on its way without a push.
        self.poll_pending(cx).map_err(broken_pipe)
    }

    /// Finishes the message.
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_pending(cx)).map_err(broken_pipe)?;
        Poll::Ready(self.end().map_err(broken_pipe))
    }
}

impl Sink<Bytes> for MessageWriter {
    type Error = Error;

    fn poll_ready(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.poll_pending(cx)
    }

    fn start_send(mut self: Pin<&mut Self>, data: Bytes) -> Result<(), Error> {
        assert!(self.pending.is_empty(), "`start_send` without a `poll_ready` that was ready");
        self.pending = data;
        Ok(())
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.poll_pending(cx)
    }

    /// Finishes the message.
    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        ready!(self.poll_pending(cx))?;
        Poll::Ready(self.end())
    }
}

/// What one `write` takes at most.
const MAX_PIECE: usize = 64 << 10;
