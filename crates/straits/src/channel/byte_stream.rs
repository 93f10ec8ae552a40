//! A channel as a stream of bytes.

use super::DataChannel;
use crate::Error;
use crate::wakers::Waiter;
use bytes::{Buf, Bytes};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A channel as `AsyncRead + AsyncWrite`. From [`DataChannel::into_bytes`].
///
/// What is written leaves as binary messages of at most 16 KiB, one or more for each write; what is read is the payload of
/// the messages one after another, text and binary alike. It is a stream of bytes only on an ordered, reliable channel.
/// Reading ends when the channel is closed; shutting down closes the channel and is ready when the peer has everything.
///
/// Cancel-safe: a read or write that is dropped has moved nothing, and a shutdown that is dropped goes on.
#[derive(Debug)]
pub struct ByteStream {
    channel: DataChannel,
    readable: bool,
    rest: Bytes,
    /// Both halves may wait at once.
    reading: Waiter,
    writing: Waiter,
}

impl DataChannel {
    /// The channel as a stream of bytes, `AsyncRead + AsyncWrite`: messages are its pieces.
    #[must_use]
    pub fn into_bytes(self) -> ByteStream {
        ByteStream {
            readable: self.shared().claim_reader(),
            channel: self,
            rest: Bytes::new(),
            reading: Waiter::default(),
            writing: Waiter::default(),
        }
    }
}

impl ByteStream {
    /// The channel.
    #[must_use]
    pub fn channel(&self) -> &DataChannel {
        &self.channel
    }
}

impl AsyncRead for ByteStream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let Self { channel, readable, rest, reading, .. } = self.get_mut();
        if !*readable || buffer.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        while rest.is_empty() {
            match ready!(channel.poll_recv(&mut reading.with(cx))) {
                Some(message) => *rest = message.into_bytes(),
                None => return Poll::Ready(Ok(())),
            }
        }
        let len = rest.len().min(buffer.remaining());
        buffer.put_slice(&rest[..len]);
        rest.advance(len);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for ByteStream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        if data.is_empty() {
            return Poll::Ready(Ok(0));
        }
        let len = data.len().min(MAX_MESSAGE);
        let Self { channel, writing, .. } = self.get_mut();
        ready!(channel.poll_send(&mut writing.with(cx), || data[..len].into())).map_err(broken_pipe)?;
        Poll::Ready(Ok(len))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        // What was accepted is on its way without a push.
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Self { channel, writing, .. } = self.get_mut();
        channel.poll_shutdown(&mut writing.with(cx)).map(Ok)
    }
}

pub(super) fn broken_pipe(error: Error) -> io::Error {
    io::Error::new(io::ErrorKind::BrokenPipe, error)
}

/// RFC 8831 §6.6: "the sender SHOULD limit the maximum message size to 16 KB to avoid monopolization."
const MAX_MESSAGE: usize = 16 << 10;
