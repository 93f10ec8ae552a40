//! Where the random numbers of an association come from.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha12Rng;
use std::fmt;

/// Makes generators as they are needed: one takes 300 bytes, and an association at rest needs none.
///
/// Each has a stream of its own, counted from 0; those of the cookie keys are far beyond.
pub(super) struct Random {
    seed: [u8; 32],
    generators: u64,
}

impl Random {
    pub(super) fn new(seed: [u8; 32]) -> Self {
        Self { seed, generators: 0 }
    }

    /// A generator of its own numbers.
    pub(super) fn generator(&mut self) -> ChaCha12Rng {
        let mut generator = ChaCha12Rng::from_seed(self.seed);
        generator.set_stream(self.generators);
        self.generators = self.generators.wrapping_add(1);
        generator
    }
}

/// Without the seed: the cookie keys and all tags follow from it.
impl fmt::Debug for Random {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Random").field("generators", &self.generators).finish_non_exhaustive()
    }
}

pub(super) fn nonzero(rng: &mut impl Rng) -> u32 {
    loop {
        let number = rng.next_u32();
        if number != 0 {
            return number;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_hides_the_seed() {
        assert_eq!(format!("{:?}", Random::new([0xa7; 32])), "Random { generators: 0, .. }");
    }
}
