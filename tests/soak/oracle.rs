//! What is sent on a channel, and whether that is what arrives.

use bytes::{BufMut, BytesMut};
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use straits::{DataChannel, Message};

/// What a channel promises.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Promise {
    pub(crate) is_ordered: bool,
    pub(crate) is_reliable: bool,
}

impl Promise {
    pub(crate) fn of(channel: &DataChannel) -> Self {
        Self {
            is_ordered: channel.ordered(),
            is_reliable: channel.max_retransmits().is_none() && channel.max_packet_life_time().is_none(),
        }
    }
}

/// A message of this number: eight bytes of it, then bytes that follow from it.
pub(crate) fn message(number: u64, size: usize) -> Message {
    let mut data = BytesMut::with_capacity(size.max(8));
    data.put_u64(number);
    let mut word = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    while data.len() < size {
        word ^= word << 13;
        word ^= word >> 7;
        word ^= word << 17;
        let left = size - data.len();
        data.put_slice(&word.to_le_bytes()[..left.min(8)]);
    }
    Message::Binary(data.freeze())
}

/// What one direction of a channel has received.
#[derive(Debug)]
pub(crate) struct Received {
    what: String,
    promise: Promise,
    /// The least number that has not arrived.
    next: u64,
    /// Those above it that have.
    ahead: BTreeSet<u64>,
    pub(crate) count: u64,
}

impl Received {
    pub(crate) fn new(what: String, promise: Promise) -> Self {
        Self { what, promise, next: 0, ahead: BTreeSet::new(), count: 0 }
    }

    /// Panics unless it is a message that was sent, whole, once, and in its turn.
    pub(crate) fn take(&mut self, received: &Message) {
        let what = &self.what;
        let Message::Binary(data) = received else { panic!("{what}: a text was not sent") };
        let number = data.first_chunk().map(|bytes| u64::from_be_bytes(*bytes));
        let Some(number) = number else { panic!("{what}: {} bytes were not sent", data.len()) };
        assert_eq!(&message(number, data.len()), received, "{what}: message {number} was changed");
        let is_new = number >= self.next && !self.ahead.contains(&number);
        assert!(is_new, "{what}: message {number} came twice, or behind a later one");
        self.count += 1;
        match self.promise {
            Promise { is_ordered: true, is_reliable: true } => {
                assert_eq!(number, self.next, "{what}: a message is missing");
                self.next += 1;
            }
            Promise { is_ordered: true, is_reliable: false } => self.next = number + 1,
            Promise { is_ordered: false, .. } => {
                self.ahead.insert(number);
                while self.ahead.remove(&self.next) {
                    self.next += 1;
                }
            }
        }
    }

    /// Panics when more arrived than was sent; or less than the channel promises, if everything had time to arrive.
    pub(crate) fn check(&self, sent: u64, is_complete: bool) {
        let what = &self.what;
        assert!(self.count <= sent, "{what}: {} arrived, {sent} were sent", self.count);
        if is_complete && self.promise.is_reliable {
            assert_eq!(self.count, sent, "{what}: what was accepted did not arrive");
        }
    }
}

/// How much was accepted on one direction of a channel.
#[derive(Debug, Default)]
pub(crate) struct Sent(AtomicU64);

impl Sent {
    pub(crate) fn add(&self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }

    pub(crate) fn count(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    const RELIABLE: Promise = Promise { is_ordered: true, is_reliable: true };

    fn received(promise: Promise, numbers: &[u64]) -> Received {
        let mut received = Received::new("test".to_owned(), promise);
        numbers.iter().for_each(|number| received.take(&message(*number, 20)));
        received
    }

    fn fails(promise: Promise, numbers: &[u64]) -> bool {
        std::panic::catch_unwind(|| received(promise, numbers)).is_err()
    }

    #[test]
    fn promises_are_held() {
        let any = Promise { is_ordered: false, is_reliable: false };
        received(RELIABLE, &[0, 1, 2]).check(3, true);
        received(Promise { is_ordered: false, ..RELIABLE }, &[2, 0, 1]).check(3, true);
        received(Promise { is_reliable: false, ..RELIABLE }, &[0, 2, 7]).check(8, true);
        received(any, &[7, 2]).check(8, true);
        assert!(std::panic::catch_unwind(|| received(RELIABLE, &[0, 1]).check(3, true)).is_err());
        assert!(fails(RELIABLE, &[0, 2]) && fails(RELIABLE, &[0, 0]));
        assert!(fails(Promise { is_reliable: false, ..RELIABLE }, &[2, 1]));
        assert!(fails(any, &[7, 2, 7]) && fails(any, &[0, 0]));
    }

    #[test]
    fn other_bytes_are_noticed() {
        let Message::Binary(data) = message(5, 30) else { unreachable!("it is binary") };
        let mut other = data.to_vec();
        other[20] ^= 1;
        let changed = Message::Binary(Bytes::from(other));
        let any = Promise { is_ordered: false, is_reliable: true };
        let take = || Received::new("test".to_owned(), any).take(&changed);
        assert!(std::panic::catch_unwind(take).is_err());
    }
}
