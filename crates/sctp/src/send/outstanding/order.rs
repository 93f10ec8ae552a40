//! The chunks in flight in the order of their transmission: a list through [`Tx`](super::Tx).

use super::Outstanding;
use crate::number::tsn;

/// First and last chunk in flight, in the order of transmission.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct SendOrder {
    pub(super) ends: Option<(u64, u64)>,
    /// Whether TSNs of chunks that were not fast retransmitted may fall along the list: a peer reneged.
    pub(super) mixed: bool,
    /// The highest TSN that was in the list since it was empty.
    highest: u64,
}

impl Outstanding {
    pub(super) fn link_last(&mut self, number: u64) {
        let low = tsn(number).0;
        let previous = match &mut self.order.ends {
            None => {
                self.order.ends = Some((number, number));
                low
            }
            Some((_, last)) => {
                let previous = std::mem::replace(last, number);
                let index = self.index(previous);
                self.txs[index].next = low;
                tsn(previous).0
            }
        };
        let index = self.index(number);
        let tx = &mut self.txs[index];
        tx.previous = previous;
        tx.next = low;
        self.order.mixed |= number < self.order.highest && !tx.fast_retransmitted;
        self.order.highest = self.order.highest.max(number);
    }

    pub(super) fn unlink(&mut self, number: u64) {
        let (previous, next) = (self.preceding(number), self.following(number));
        if let Some(previous) = previous {
            let index = self.index(previous);
            self.txs[index].next = tsn(next.unwrap_or(previous)).0;
        }
        if let Some(next) = next {
            let index = self.index(next);
            self.txs[index].previous = tsn(previous.unwrap_or(next)).0;
        }
        self.order.ends = self.order.ends.and_then(|(first, last)| {
            let first = if first == number { next? } else { first };
            let last = if last == number { previous? } else { last };
            Some((first, last))
        });
        if self.order.ends.is_none() {
            self.order = SendOrder::default();
        }
    }

    /// The chunk transmitted after this one.
    pub(super) fn following(&self, number: u64) -> Option<u64> {
        self.neighbour(number, self.txs[self.index(number)].next)
    }

    /// The chunk transmitted before this one.
    pub(super) fn preceding(&self, number: u64) -> Option<u64> {
        self.neighbour(number, self.txs[self.index(number)].previous)
    }

    fn neighbour(&self, number: u64, low: u32) -> Option<u64> {
        let distance = low.wrapping_sub(tsn(self.base).0);
        (low != tsn(number).0).then(|| self.base + u64::from(distance))
    }
}
