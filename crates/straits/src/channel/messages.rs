//! A channel as `Stream + Sink` of messages.

use super::DataChannel;
use crate::wakers::Waiter;
use crate::{Error, Message};
use futures_core::Stream;
use futures_sink::Sink;
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};

/// The messages of a channel as a `Stream`, and a `Sink` for messages to send. From [`DataChannel::messages`].
///
/// The stream ends when the channel is closed and everything was read. The sink is ready while less than the high-water
/// mark is buffered. What it took is queued at once if there is room; only when others have filled the buffer meanwhile it
/// waits in the sink until `flush` or the next message. `close` closes the channel and is ready when the peer has everything.
///
/// Cancel-safe: `next` that is dropped has taken no message. `SinkExt::send` that is dropped may have sent its message or not;
/// [`DataChannel::send`] is the one to use in a `select!`.
#[derive(Debug)]
pub struct Messages {
    channel: DataChannel,
    readable: bool,
    /// Taken, and there was no room for it.
    pending: Option<Message>,
    /// Both halves may wait at once.
    reading: Waiter,
    writing: Waiter,
}

impl DataChannel {
    /// The messages as a `Stream`, and a `Sink` for messages to send.
    #[must_use]
    pub fn messages(&self) -> Messages {
        Messages {
            readable: self.shared().claim_reader(),
            channel: self.clone(),
            pending: None,
            reading: Waiter::default(),
            writing: Waiter::default(),
        }
    }
}

impl Messages {
    /// The channel.
    #[must_use]
    pub fn channel(&self) -> &DataChannel {
        &self.channel
    }

    /// Ready when nothing that was taken waits here.
    fn poll_pending(&mut self, cx: &Context<'_>) -> Poll<Result<(), Error>> {
        let Some(message) = &self.pending else { return Poll::Ready(Ok(())) };
        let sent = ready!(self.channel.poll_send(&mut self.writing.with(cx), || message.clone()));
        self.pending = None;
        Poll::Ready(sent)
    }
}

impl Stream for Messages {
    type Item = Message;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Message>> {
        let Self { channel, readable, reading, .. } = self.get_mut();
        if *readable { channel.poll_recv(&mut reading.with(cx)) } else { Poll::Ready(None) }
    }
}

impl Sink<Message> for Messages {
    type Error = Error;

    fn poll_ready(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        ready!(self.poll_pending(cx))?;
        let Self { channel, writing, .. } = self.get_mut();
        channel.poll_ready_to_send(&mut writing.with(cx))
    }

    fn start_send(mut self: Pin<&mut Self>, message: Message) -> Result<(), Error> {
        assert!(self.pending.is_none(), "`start_send` without a `poll_ready` that was ready");
        self.pending = Some(message);
        // Whoever waits polls again: nobody is to be woken for this.
        match self.poll_pending(&Context::from_waker(Waker::noop())) {
            Poll::Ready(sent) => sent,
            Poll::Pending => Ok(()),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.poll_pending(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        ready!(self.poll_pending(cx))?;
        let Self { channel, writing, .. } = self.get_mut();
        channel.poll_shutdown(&mut writing.with(cx)).map(Ok)
    }
}
