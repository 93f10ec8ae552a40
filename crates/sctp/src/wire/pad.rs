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
