//! PAD (RFC 4820 §3).

use super::{ParseError, RawChunk, WriteChunk};
use bytes::{BufMut, BytesMut};
use std::fmt;

/// Makes a packet larger and means nothing; path MTU probes are made of it.
///
/// ```text
/// | Type = 0x84   |   Flags = 0   |            Length             |
/// \                         Padding Data                          /
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pad {
    /// Bytes of padding data behind the chunk header; written as zeros.
    pub(crate) length: usize,
}

impl Pad {
    pub(super) const TYPE: u8 = 0x84;

    pub(super) fn parse(raw: &RawChunk<'_>) -> Result<Self, ParseError> {
        Ok(Self { length: raw.value.len() })
    }
}

impl WriteChunk for Pad {
    fn kind(&self) -> u8 {
        Self::TYPE
    }

    fn flags(&self) -> u8 {
        0
    }

    fn value_len(&self) -> usize {
        self.length
    }

    fn write_value(&self, out: &mut BytesMut) {
        out.put_bytes(0, self.length);
    }
}

impl fmt::Display for Pad {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, " len={}", self.length)
    }
}

#[cfg(test)]
#[allow(clippy::indexing_slicing, clippy::arithmetic_side_effects, reason = "a panic is a failed test")]
mod tests {
    use super::super::Chunk;
    use super::super::testing::*;
    use super::*;
    use proptest::prelude::*;

    /// Laid out by hand after RFC 4820 §3; what the padding is does not matter.
    #[test]
    fn from_the_diagram() {
        let chunk = hex("84000009 ffffffffff");
        let expected = Pad { length: 5 };
        assert_eq!(parse_chunk(&chunk), Ok(Chunk::Pad(expected)));
        assert_eq!(written(&expected), hex("84000009 0000000000"));
        assert_eq!(Chunk::Pad(expected).to_string(), "PAD len=5");
    }

    #[test]
    fn every_truncation_is_an_error() {
        assert_every_truncation_is_an_error(&hex("84000009 0000000000"));
    }

    proptest! {
        #[test]
        fn round_trip(length in 0_usize..=65531) {
            assert_round_trip(&Chunk::Pad(Pad { length }));
        }
    }
}
