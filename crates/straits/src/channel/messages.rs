//! A channel as `Stream + Sink` of messages.

use super::DataChannel;
use crate::{Error, Message};
use futures_core::Stream;
use futures_sink::Sink;
use std::pin::Pin;
use std::task::{Context, Poll};

/// The messages of a channel as a `Stream`, and a `Sink` for messages to send. From [`DataChannel::messages`].
///
/// The stream ends when the channel is closed and everything was read. The sink is ready while less than the high-water
/// mark is buffered; what it took needs no flush to be sent, so `flush` is ready at once; `close` closes the channel and is
/// ready when the peer has everything.
#[derive(Debug)]
pub struct Messages {
    channel: DataChannel,
    readable: bool,
}

impl DataChannel {
    /// The messages as a `Stream`, and a `Sink` for messages to send.
    #[must_use]
    pub fn messages(&self) -> Messages {
        Messages { readable: self.shared().claim_reader(), channel: self.clone() }
    }
}

impl Messages {
    /// The channel.
    #[must_use]
    pub fn channel(&self) -> &DataChannel {
        &self.channel
    }
}

impl Stream for Messages {
    type Item = Message;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Message>> {
        if self.readable { self.channel.poll_recv(cx) } else { Poll::Ready(None) }
    }
}

impl Sink<Message> for Messages {
    type Error = Error;

    fn poll_ready(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.channel.poll_ready_to_send(cx)
    }

    fn start_send(self: Pin<&mut Self>, message: Message) -> Result<(), Error> {
        self.channel.try_send(message)
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.channel.poll_shutdown(cx).map(Ok)
    }
}
