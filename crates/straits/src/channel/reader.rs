//! One message as a stream of bytes to read.

use super::DataChannel;
use super::parts::{MessageEnd, MessagePart};
use crate::connection::state::State;
use crate::wakers::{Waiter, wait_fn};
use bytes::{Buf, Bytes};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use straits_peer::sctp::MessageKind;
use tokio::io::{AsyncRead, ReadBuf};

/// One message of a channel as `AsyncRead`. From [`DataChannel::message_reader`].
///
/// It reads the bytes of the message and ends with it. If the rest does not come, because the peer gave the message up or
/// the channel ended, the error is [`UnexpectedEof`](io::ErrorKind::UnexpectedEof): what was read is not a message. The
/// bytes of a text message are UTF-8 as a whole, if the peer keeps to the standard; `read_to_string` checks it.
///
/// Reads are cancel-safe: one that is dropped has taken nothing. A reader that is dropped leaves the rest of its message;
/// whoever reads next passes over it. Once somebody did, this reader's error is [`Other`](io::ErrorKind::Other).
#[derive(Debug)]
pub struct MessageReader {
    channel: DataChannel,
    kind: MessageKind,
    /// Which of the messages that were read in pieces.
    number: u64,
    rest: Bytes,
    end: Option<MessageEnd>,
    waiter: Waiter,
}

impl DataChannel {
    /// The next message, to be read while it arrives; `None` when the channel is closed and everything was read.
    ///
    /// It is ready when the first bytes of the message are there. What is left of a message that was read in pieces before
    /// is passed over. What [`recv_part`](Self::recv_part) says of memory holds here too.
    ///
    /// `None` at once when a message handler is the consumer of the channel.
    ///
    /// Cancel-safe: a future that is dropped has begun no message.
    pub async fn message_reader(&self) -> Option<MessageReader> {
        if !self.shared().claim_reader() {
            return None;
        }
        let begin = |channel: &Self, state: &mut State, news: &mut bool| {
            if !channel.pass_over_rest(state, news) {
                return None;
            }
            let part = channel.take_part(state, news)?;
            let number = state.channels.get(&channel.shared().id)?.parts.read;
            Some((part, number))
        };
        let (part, number) = wait_fn(|wait| self.poll_take(wait, begin)).await?;
        let MessagePart { kind, data, end } = part;
        Some(MessageReader {
            channel: self.clone(),
            kind,
            number,
            rest: data,
            end,
            waiter: Waiter::default(),
        })
    }
}

impl MessageReader {
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

    /// Ready with `None` when somebody else has read on.
    fn poll_part(&mut self, cx: &Context<'_>) -> Poll<Option<MessagePart>> {
        let number = self.number;
        let next = |channel: &DataChannel, state: &mut State, news: &mut bool| {
            let parts = state.channels.get(&channel.shared().id).map(|entry| &entry.parts);
            if parts.is_none_or(|parts| parts.reading.is_none() || parts.read != number) {
                return Some(None);
            }
            channel.take_part(state, news).map(Some)
        };
        self.channel.poll_take(&mut self.waiter.with(cx), next).map(Option::flatten)
    }
}

impl AsyncRead for MessageReader {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if buffer.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        while self.rest.is_empty() {
            match self.end {
                Some(MessageEnd::Complete) => return Poll::Ready(Ok(())),
                Some(MessageEnd::Abandoned) => return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into())),
                None => {}
            }
            let Some(part) = ready!(self.poll_part(cx)) else {
                return Poll::Ready(Err(io::Error::other("the rest of the message was read by another")));
            };
            self.rest = part.data;
            self.end = part.end;
        }
        let len = self.rest.len().min(buffer.remaining());
        buffer.put_slice(&self.rest[..len]);
        self.rest.advance(len);
        Poll::Ready(Ok(()))
    }
}
