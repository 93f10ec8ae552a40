//! A channel as a stream of bytes.

use super::DataChannel;
use crate::Error;
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
}

impl DataChannel {
    /// The channel as a stream of bytes, `AsyncRead + AsyncWrite`: messages are its pieces.
    #[must_use]
    pub fn into_bytes(self) -> ByteStream {
        ByteStream { readable: self.shared().claim_reader(), channel: self, rest: Bytes::new() }
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
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.readable || buffer.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        while self.rest.is_empty() {
            match ready!(self.channel.poll_recv(cx)) {
                Some(message) => self.rest = message.into_bytes(),
                None => return Poll::Ready(Ok(())),
            }
        }
        let len = self.rest.len().min(buffer.remaining());
        buffer.put_slice(&self.rest[..len]);
        self.rest.advance(len);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for ByteStream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        if data.is_empty() {
            return Poll::Ready(Ok(0));
        }
        let len = data.len().min(MAX_MESSAGE);
        ready!(self.channel.poll_send(cx, || data[..len].into())).map_err(broken_pipe)?;
        Poll::Ready(Ok(len))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        // What was accepted is on its way without a push.
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.channel.poll_shutdown(cx).map(Ok)
    }
}

pub(super) fn broken_pipe(error: Error) -> io::Error {
    io::Error::new(io::ErrorKind::BrokenPipe, error)
}

/// RFC 8831 §6.6: "the sender SHOULD limit the maximum message size to 16 KB to avoid monopolization."
const MAX_MESSAGE: usize = 16 << 10;
