//! Which retransmissions were needless, by the duplicates that the peer reports (RFC 9260 §3.3.4).

use std::collections::BTreeSet;

/// TSNs that were sent again lately. Who receives one of them twice had it before: nothing was lost but an
/// acknowledgement, or the RTO was too short.
///
/// A duplicate of what was sent once is the work of the network, and says nothing.
#[derive(Debug, Default)]
pub(super) struct Resent {
    tsns: BTreeSet<u64>,
}

impl Resent {
    /// A chunk left again.
    pub(super) fn note(&mut self, tsn: u64) {
        self.tsns.insert(tsn);
        if self.tsns.len() > MAX_REMEMBERED {
            self.tsns.pop_first();
        }
    }

    /// The peer reports a duplicate. Whether this shows a needless retransmission that was not counted yet.
    pub(super) fn take(&mut self, tsn: u64) -> bool {
        self.tsns.remove(&tsn)
    }
}

/// Reports come within a round trip; a window of so many chunks is worth remembering, an endless history is not.
const MAX_REMEMBERED: usize = 512;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_retransmission_counts_once() {
        let mut resent = Resent::default();
        resent.note(7);
        assert!(!resent.take(6), "sent once");
        assert!(resent.take(7));
        assert!(!resent.take(7), "a copy of the network's");
        resent.note(7);
        assert!(resent.take(7), "sent a third time");
    }

    #[test]
    fn the_memory_is_bounded() {
        let mut resent = Resent::default();
        for tsn in 0..10_000 {
            resent.note(tsn);
        }
        assert_eq!(resent.tsns.len(), MAX_REMEMBERED);
        assert!(resent.take(9_999) && !resent.take(0), "the latest ones are kept");
    }
}
