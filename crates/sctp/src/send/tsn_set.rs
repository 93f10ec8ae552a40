//! A set of TSNs near each other.

use std::collections::VecDeque;

/// Unwrapped TSNs as bits of a sliding ring, with the lowest member at hand: which chunks wait to be sent again, which may
/// turn out to be lost.
#[derive(Debug, Default)]
pub(super) struct TsnSet {
    /// TSN / 64 of the first word; meaningless while there are no words.
    first: u64,
    words: VecDeque<u64>,
    /// No word before this one has a bit set.
    cursor: usize,
    len: usize,
}

impl TsnSet {
    /// Adds a TSN that is not below the last [`forget_below`](Self::forget_below).
    pub(super) fn insert(&mut self, tsn: u64) {
        if self.words.is_empty() {
            self.first = tsn / WORD;
        }
        while tsn / WORD < self.first {
            self.words.push_front(0);
            self.first -= 1;
            self.cursor = 0;
        }
        let at = offset(tsn / WORD - self.first);
        if at >= self.words.len() {
            self.words.resize(at + 1, 0);
        }
        if self.words[at] & bit(tsn) == 0 {
            self.words[at] |= bit(tsn);
            self.len += 1;
            self.cursor = self.cursor.min(at);
        }
    }

    /// Whether it was in the set.
    pub(super) fn remove(&mut self, tsn: u64) -> bool {
        let word = (tsn / WORD).checked_sub(self.first).and_then(|at| self.words.get_mut(offset(at)));
        let Some(word) = word.filter(|word| **word & bit(tsn) != 0) else { return false };
        *word &= !bit(tsn);
        self.len -= 1;
        if self.len == 0 {
            self.words.clear();
            self.cursor = 0;
        }
        true
    }

    /// The lowest TSN of the set. The search goes on where the last one ended.
    pub(super) fn lowest(&mut self) -> Option<u64> {
        if self.len == 0 {
            return None;
        }
        while self.words[self.cursor] == 0 {
            self.cursor += 1;
        }
        let word = self.words[self.cursor];
        Some((self.first + self.cursor as u64) * WORD + u64::from(word.trailing_zeros()))
    }

    /// The lowest TSN of the set that is not below this one.
    pub(super) fn lowest_from(&self, tsn: u64) -> Option<u64> {
        let from = tsn.max((self.first + self.cursor as u64) * WORD);
        let at = offset(from / WORD - self.first);
        let rest = self.words.get(at)? & (u64::MAX << (from % WORD));
        let mut words = std::iter::once(rest).chain(self.words.range(at + 1..).copied()).zip(at..);
        let (word, at) = words.find(|(word, _)| *word != 0)?;
        Some((self.first + at as u64) * WORD + u64::from(word.trailing_zeros()))
    }

    /// Gives back the memory of what is below `tsn`; nothing of that may be in the set any more.
    pub(super) fn forget_below(&mut self, tsn: u64) {
        while self.first < tsn / WORD && self.words.pop_front().is_some() {
            self.first += 1;
            self.cursor = self.cursor.saturating_sub(1);
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len == 0
    }
}

fn bit(tsn: u64) -> u64 {
    1 << (tsn % WORD)
}

/// Words span the send window, which is far below 2^32 chunks.
fn offset(words: u64) -> usize {
    usize::try_from(words).unwrap_or(usize::MAX)
}

/// Bits of a word.
const WORD: u64 = 64;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        /// Against an ordinary set, with a floor that rises.
        #[test]
        fn is_a_set(steps in proptest::collection::vec((0u8..4, 0u64..600), 1..300)) {
            let mut set = TsnSet::default();
            let mut model = BTreeSet::new();
            let mut floor = 1000u64;
            for (step, n) in steps {
                let tsn = floor + n;
                match step {
                    0 | 1 => {
                        set.insert(tsn);
                        model.insert(tsn);
                    }
                    2 => prop_assert_eq!(set.remove(tsn), model.remove(&tsn)),
                    _ => {
                        let next = floor + n / 8;
                        while let Some(lowest) = model.first().copied().filter(|tsn| *tsn < next) {
                            model.remove(&lowest);
                            prop_assert!(set.remove(lowest));
                        }
                        set.forget_below(next);
                        floor = next;
                    }
                }
                prop_assert_eq!(set.lowest_from(floor + n), model.range(floor + n..).next().copied());
                prop_assert_eq!(set.lowest(), model.first().copied());
                prop_assert_eq!(set.is_empty(), model.is_empty());
                prop_assert!(set.words.len() <= 12, "memory follows the window");
            }
        }
    }
}
