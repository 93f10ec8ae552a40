//! What OpenSSL reads from and writes to: queues of whole datagrams.

use bytes::BytesMut;
use std::io::{self, ErrorKind, Read, Write};

/// The stream under `SslStream`: one queued datagram per `read`, one datagram per `write`.
#[derive(Debug, Default)]
pub(crate) struct DatagramIo {
    /// Waiting for OpenSSL.
    pub(crate) inbox: Datagrams,
    /// Written by OpenSSL on its own account: flights and alerts.
    pub(crate) outbox: Datagrams,
    /// The caller's batch while a record is sealed; what is written then goes to its end.
    pub(crate) batch: Option<BytesMut>,
}

impl Read for DatagramIo {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some(datagram) = self.inbox.next() else {
            return Err(ErrorKind::WouldBlock.into());
        };
        // As with a socket, what does not fit is lost; `Intake` keeps entries below OpenSSL's buffer.
        let len = datagram.len().min(buffer.len());
        let (target, _) = buffer.split_at_mut(len);
        let (source, _) = datagram.split_at(len);
        target.copy_from_slice(source);
        Ok(len)
    }
}

impl Write for DatagramIo {
    fn write(&mut self, datagram: &[u8]) -> io::Result<usize> {
        match &mut self.batch {
            Some(batch) => batch.extend_from_slice(datagram),
            None => self.outbox.push(datagram),
        }
        Ok(datagram.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A queue of datagrams in one buffer. It keeps its memory, and what was taken until the next `push` after the last was
/// taken, so that a flight can be gone through again.
#[derive(Debug, Default)]
pub(crate) struct Datagrams {
    bytes: Vec<u8>,
    /// Where each datagram ends in `bytes`.
    ends: Vec<usize>,
    taken: usize,
}

impl Datagrams {
    /// Queues a datagram.
    pub(crate) fn push(&mut self, datagram: &[u8]) {
        self.append(datagram);
        self.commit();
    }

    /// Adds bytes to the datagram being put together; `commit` queues it.
    pub(crate) fn append(&mut self, bytes: &[u8]) {
        if self.taken == self.ends.len() && self.building() == 0 {
            self.clear();
        }
        self.bytes.extend_from_slice(bytes);
    }

    /// Queues what was appended since the last datagram, if anything.
    pub(crate) fn commit(&mut self) {
        if self.building() > 0 {
            self.ends.push(self.bytes.len());
        }
    }

    /// Bytes appended and not yet committed.
    pub(crate) fn building(&self) -> usize {
        self.bytes.len().saturating_sub(self.ends.last().copied().unwrap_or(0))
    }

    /// Takes the oldest datagram that was not taken yet.
    pub(crate) fn next(&mut self) -> Option<&[u8]> {
        let end = *self.ends.get(self.taken)?;
        let start = match self.taken.checked_sub(1) {
            Some(previous) => *self.ends.get(previous)?,
            None => 0,
        };
        self.taken = self.taken.saturating_add(1);
        self.bytes.get(start..end)
    }

    /// All bytes held, taken ones included.
    pub(crate) fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.bytes
    }

    /// Bytes held, taken ones included.
    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether nothing is held, not even taken datagrams.
    pub(crate) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Whether `next` has nothing to give.
    pub(crate) fn is_drained(&self) -> bool {
        self.taken == self.ends.len()
    }

    /// Makes `next` start over.
    pub(crate) fn rewind(&mut self) {
        self.taken = 0;
    }

    /// Forgets everything, but keeps the memory unless it is much.
    pub(crate) fn clear(&mut self) {
        if self.bytes.capacity() > MAX_KEPT {
            *self = Self::default();
        }
        self.bytes.clear();
        self.ends.clear();
        self.taken = 0;
    }
}

/// As much as a datagram can hold.
const MAX_KEPT: usize = 64 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_datagram_per_read_and_would_block_when_empty() {
        let mut io = DatagramIo::default();
        io.inbox.push(b"first");
        io.inbox.push(b"second");
        let mut buffer = [0; 16];
        assert_eq!(io.read(&mut buffer).unwrap(), 5);
        assert_eq!(&buffer[..5], b"first");
        assert_eq!(io.read(&mut buffer[..3]).unwrap(), 3);
        assert_eq!(io.read(&mut buffer).unwrap_err().kind(), ErrorKind::WouldBlock);
    }

    #[test]
    fn writes_go_to_the_lent_batch_or_the_outbox() {
        let mut io = DatagramIo { batch: Some(BytesMut::from(&b"before "[..])), ..DatagramIo::default() };
        assert_eq!(io.write(b"record").unwrap(), 6);
        assert_eq!(io.batch.take().unwrap(), b"before record"[..]);
        assert_eq!(io.write(b"alert").unwrap(), 5);
        assert_eq!(io.outbox.next(), Some(&b"alert"[..]));
        assert_eq!(io.outbox.next(), None);
    }

    #[test]
    fn queue_can_be_gone_through_again() {
        let mut queue = Datagrams::default();
        queue.append(b"a");
        queue.append(b"b");
        assert!(queue.is_drained());
        queue.commit();
        queue.commit();
        queue.push(b"c");
        for _ in 0..2 {
            assert!(!queue.is_drained());
            assert_eq!(queue.next(), Some(&b"ab"[..]));
            assert_eq!(queue.next(), Some(&b"c"[..]));
            assert_eq!(queue.next(), None);
            queue.rewind();
        }
    }

    #[test]
    fn drained_queue_forgets_and_keeps_its_memory() {
        let mut queue = Datagrams::default();
        queue.push(&[1; 100]);
        let capacity = queue.bytes.capacity();
        for _ in 0..10 {
            assert_eq!(queue.next().map(<[u8]>::len), Some(100));
            queue.push(&[2; 100]);
        }
        assert_eq!(queue.bytes.capacity(), capacity);
    }
}
