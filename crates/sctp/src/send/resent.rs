//! Which retransmissions were needless, by the duplicates that the peer reports (RFC 9260 §3.3.4).

/// TSNs that were sent again lately. Who receives one of them twice had it before: nothing was lost but an
/// acknowledgement, or the RTO was too short.
///
/// A duplicate of what was sent once is the work of the network, and says nothing.
#[derive(Debug, Default)]
pub(super) struct Resent {
    /// A ring of bits for the last `SPAN` TSNs below `end`; empty until the first retransmission.
    words: Vec<u64>,
    /// A multiple of the bits of a word.
    end: u64,
}

impl Resent {
    /// A chunk left again.
    pub(super) fn note(&mut self, tsn: u64) {
        if self.words.is_empty() {
            self.words = vec![0; WORDS];
        }
        while self.end <= tsn {
            // What lies far behind is forgotten at once.
            self.end = self.end.max((tsn / WORD * WORD).saturating_sub(SPAN));
            self.words[word(self.end)] = 0;
            self.end += WORD;
        }
        if self.remembers(tsn) {
            self.words[word(tsn)] |= bit(tsn);
        }
    }

    /// The peer reports a duplicate. Whether this shows a needless retransmission that was not counted yet.
    pub(super) fn take(&mut self, tsn: u64) -> bool {
        if !self.remembers(tsn) {
            return false;
        }
        let word = &mut self.words[word(tsn)];
        let was_resent = *word & bit(tsn) != 0;
        *word &= !bit(tsn);
        was_resent
    }

    fn remembers(&self, tsn: u64) -> bool {
        tsn < self.end && self.end - tsn <= SPAN
    }
}

fn word(tsn: u64) -> usize {
    usize::try_from(tsn / WORD % WORDS as u64).expect("less than the number of words")
}

fn bit(tsn: u64) -> u64 {
    1 << (tsn % WORD)
}

/// Bits of a word.
const WORD: u64 = 64;
const WORDS: usize = 128;
/// Reports come within a round trip; a window of so many chunks is worth remembering, an endless history is not.
const SPAN: u64 = WORD * WORDS as u64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_retransmission_counts_once() {
        let mut resent = Resent::default();
        assert!(!resent.take(7), "nothing was sent again");
        resent.note(7);
        assert!(!resent.take(6), "sent once");
        assert!(resent.take(7));
        assert!(!resent.take(7), "a copy of the network's");
        resent.note(7);
        assert!(resent.take(7), "sent a third time");
    }

    #[test]
    fn the_latest_ones_are_remembered() {
        for first in [0, 1 << 40] {
            let mut resent = Resent::default();
            for tsn in first..first + 3 * SPAN {
                resent.note(tsn);
            }
            assert!(!resent.take(first + 2 * SPAN - 1) && resent.take(first + 2 * SPAN));
            resent.note(first + 20 * SPAN);
            resent.note(first + 2 * SPAN + 1);
            let last = [2 * SPAN + 1, 3 * SPAN - 1, 20 * SPAN - 1, 20 * SPAN, 20 * SPAN + 1];
            assert_eq!(last.map(|tsn| resent.take(first + tsn)), [false, false, false, true, false]);
            assert_eq!(resent.words.len(), WORDS);
        }
    }
}
