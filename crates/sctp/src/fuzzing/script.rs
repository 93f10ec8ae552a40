//! The bytes of a fuzzer as a script.

/// What is left of a script, and of the steps it may take.
#[derive(Debug)]
pub struct Script<'a> {
    rest: &'a [u8],
    steps: usize,
}

impl<'a> Script<'a> {
    /// At the beginning.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes, steps: MAX_STEPS }
    }

    /// The next step; none at the end of the script, or when it has taken too many.
    pub fn step(&mut self) -> Option<u8> {
        self.steps = self.steps.checked_sub(1)?;
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(*first)
    }

    /// 0 behind the end, as all numbers are.
    pub fn byte(&mut self) -> u8 {
        let (first, rest) = self.rest.split_first().unwrap_or((&0, &[]));
        self.rest = rest;
        *first
    }

    /// The lowest bit of the next byte.
    pub fn bool(&mut self) -> bool {
        self.byte() & 1 != 0
    }

    /// Two bytes.
    pub fn u16(&mut self) -> u16 {
        u16::from_be_bytes([self.byte(), self.byte()])
    }

    /// Four bytes.
    pub fn u32(&mut self) -> u32 {
        u32::from(self.u16()) << 16 | u32::from(self.u16())
    }

    /// At most so many bytes.
    pub fn take(&mut self, length: usize) -> &'a [u8] {
        let (taken, rest) = self.rest.split_at(length.min(self.rest.len()));
        self.rest = rest;
        taken
    }
}

/// A run must end soon, however long the input is: what a run shows, it shows within so many steps.
const MAX_STEPS: usize = 1000;
