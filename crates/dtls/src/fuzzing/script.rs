//! The bytes of a fuzzer as a script.

/// What is left of a script, and of the steps it may take.
pub(super) struct Script<'a> {
    rest: &'a [u8],
    steps: usize,
}

impl<'a> Script<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes, steps: MAX_STEPS }
    }

    /// The next step; none at the end of the script, or when it has taken too many.
    pub(super) fn step(&mut self) -> Option<u8> {
        self.steps = self.steps.checked_sub(1)?;
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(*first)
    }

    /// 0 behind the end, as all numbers are.
    pub(super) fn byte(&mut self) -> u8 {
        let (first, rest) = self.rest.split_first().unwrap_or((&0, &[]));
        self.rest = rest;
        *first
    }

    pub(super) fn u16(&mut self) -> u16 {
        u16::from_be_bytes([self.byte(), self.byte()])
    }

    /// At most so many bytes.
    pub(super) fn take(&mut self, length: usize) -> &'a [u8] {
        let (taken, rest) = self.rest.split_at(length.min(self.rest.len()));
        self.rest = rest;
        taken
    }
}

/// A run must end soon, however long the input is.
const MAX_STEPS: usize = 500;
