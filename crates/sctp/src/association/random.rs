//! Where the random numbers of an association come from.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha12Rng;

/// Makes generators as they are needed: one takes 300 bytes, and an association at rest needs none.
///
/// Each has a stream of its own, counted from 0; those of the cookie keys are far beyond.
#[derive(Debug)]
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

pub(super) fn nonzero(rng: &mut impl Rng) -> u32 {
    loop {
        let number = rng.next_u32();
        if number != 0 {
            return number;
        }
    }
}
