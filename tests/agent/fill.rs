//! The generator of test messages: every agent makes the same bytes from the same numbers.

use bytes::Bytes;

/// Messages of one size. Message `i` is a pseudo-random block, rotated left by `i` × 7919 bytes.
#[derive(Debug)]
pub(crate) struct Messages {
    /// The block twice: each rotation is a slice of it, and no message is copied.
    twice: Bytes,
    size: usize,
}

impl Messages {
    pub(crate) fn new(size: usize, seed: u32) -> Self {
        let mut twice = Vec::with_capacity(2 * size);
        let mut state = seed.wrapping_mul(MULTIPLIER).wrapping_add(1).max(1);
        while twice.len() < size {
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            let word = state.to_le_bytes();
            twice.extend_from_slice(&word[..word.len().min(size - twice.len())]);
        }
        twice.extend_from_within(..);
        Self { twice: twice.into(), size }
    }

    pub(crate) fn get(&self, index: u64) -> Bytes {
        let turns = u128::from(index) * STEP;
        // A remainder of a `usize` is one.
        let start = turns.checked_rem(self.size as u128).unwrap_or(0) as usize;
        self.twice.slice(start..start + self.size)
    }
}

/// Of Knuth's multiplicative hash: 2³² divided by the golden ratio.
const MULTIPLIER: u32 = 2_654_435_761;
/// A prime, so that messages of a size that it does not divide differ.
const STEP: u128 = 7919;

#[cfg(test)]
mod tests {
    use super::*;
    use data_encoding::HEXLOWER;
    use sha2::{Digest, Sha256};

    fn hex(size: usize, seed: u32, index: u64) -> String {
        HEXLOWER.encode(&Messages::new(size, seed).get(index))
    }

    #[test]
    fn the_bytes_are_those_of_the_protocol() {
        assert_eq!(hex(8, 1, 0), "7227215135ef24cc");
        assert_eq!(hex(8, 1, 1), "cc7227215135ef24");
        let messages = Messages::new(1000, 7);
        let hash = (0..3).fold(Sha256::new(), |hash, index| hash.chain_update(messages.get(index)));
        let expected = "e0c8a1b15a1b59746f771d660157c744384af5e8162d5e8eaa8f173bf217432d";
        assert_eq!(HEXLOWER.encode(&hash.finalize()), expected);
    }

    #[test]
    fn the_last_word_is_cut() {
        assert_eq!(hex(5, 1, 0), "7227215135");
        assert_eq!(hex(1, 1, u64::MAX), "72");
        assert_eq!(hex(0, 1, 3), "");
    }

    /// The seed whose product is 2³² − 1 would begin at zero, where the generator stands still.
    #[test]
    fn no_seed_gives_zeros() {
        let inverse =
            (0..5).fold(1_u32, |x, _| x.wrapping_mul(2_u32.wrapping_sub(MULTIPLIER.wrapping_mul(x))));
        let seed = 0_u32.wrapping_sub(inverse);
        assert_eq!(seed.wrapping_mul(MULTIPLIER).wrapping_add(1), 0);
        assert_eq!(Messages::new(64, seed).get(0), hex_of_one());
    }

    fn hex_of_one() -> Bytes {
        // Seed 0 begins at 1, too.
        Messages::new(64, 0).get(0)
    }
}
