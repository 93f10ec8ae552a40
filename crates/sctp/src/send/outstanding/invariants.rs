//! What must hold of the outstanding chunks after each input.

use super::super::chunk::charge;
use super::{Outstanding, Tx, TxState};

impl Outstanding {
    /// The gauges equal a recount, messages are given up whole, and the point is where it may be.
    pub(in crate::send) fn check_invariants(&self) {
        let mut missable = self.base;
        for (number, tx) in (self.base..).zip(&self.txs) {
            if tx.state == TxState::InFlight && !tx.fast_retransmitted {
                assert_eq!(self.missable.lowest_from(missable), Some(number));
                missable = number + 1;
            }
        }
        assert_eq!(self.missable.lowest_from(missable), None);
        let sum = |of: &[TxState], size: &dyn Fn(usize) -> usize| -> usize {
            let chosen = self.txs.iter().filter(|tx| of.contains(&tx.state));
            chosen.map(|tx| size(tx.chunk.data.len())).sum()
        };
        let live = [TxState::InFlight, TxState::Acked, TxState::Lost];
        assert_eq!(self.in_flight, sum(&[TxState::InFlight], &|len| self.format.chunk_size(len)));
        assert_eq!(self.in_flight_payload, sum(&[TxState::InFlight], &|len| len));
        assert_eq!((self.payload, self.charged), (sum(&live, &|len| len), sum(&live, &charge)));
        assert_eq!(sum(&[TxState::Abandoned], &|len| len), 0, "what was given up holds no memory");
        let lost = self.txs.iter().filter(|tx| tx.state == TxState::Lost).count();
        assert_eq!(self.lost.is_empty(), lost == 0);
        let given_up = |number: u64| self.txs[self.index(number)].state == TxState::Abandoned;
        for number in self.base..self.next_tsn() {
            let chunk = &self.txs[self.index(number)].chunk;
            if let Some(earlier) = self.earlier_fragment(number, chunk) {
                assert_eq!(given_up(earlier), given_up(number), "messages are given up whole");
            }
        }
        let cursor = self.abandonment.settled.saturating_sub(self.base);
        let settled = self.txs.iter().take_while(|tx| tx.is_settled()).count() as u64;
        assert!(cursor <= settled, "nothing that is needed is taken for settled");
        self.check_point();
    }

    fn check_point(&self) {
        let Some(point) = self.point() else { return };
        let below = self.txs.iter().take(self.index(point) + 1);
        assert!(below.clone().all(Tx::is_settled), "nothing that is needed is passed");
        let last = below.last().expect("the point is outstanding");
        let is_end = last.state == TxState::Abandoned && last.chunk.end;
        assert!(is_end || point <= self.abandonment.inside, "it is at the end of a message");
    }
}
