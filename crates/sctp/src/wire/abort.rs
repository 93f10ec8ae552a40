//! ABORT (RFC 9260 §3.3.7) and ERROR (§3.3.10): the two chunks that consist of error causes.

use super::{Causes, ParseError, RawChunk, WriteChunk};
use bytes::BytesMut;
use std::fmt;

/// Ends the association at once.
///
/// ```text
/// |   Type = 6    |  Reserved   |T|            Length             |
/// \                   zero or more Error Causes                   /
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Abort<'a> {
    /// T: the verification tag is the one the sender of this ABORT received, not the receiver's own.
    pub(crate) tag_reflected: bool,
    /// Unsound lengths in here do not stop the chunk from being an ABORT: iterating gives an error there.
    pub(crate) causes: Causes<'a>,
}

impl<'a> Abort<'a> {
    pub(super) const TYPE: u8 = 6;

    pub(super) fn parse(raw: &RawChunk<'a>) -> Result<Self, ParseError> {
        Ok(Self { tag_reflected: raw.flags & T != 0, causes: Causes::parse_lazily(raw.value) })
    }
}

impl WriteChunk for Abort<'_> {
    fn kind(&self) -> u8 {
        Self::TYPE
    }

    fn flags(&self) -> u8 {
        if self.tag_reflected { T } else { 0 }
    }

    fn value_len(&self) -> usize {
        self.causes.wire_len()
    }

    fn write_value(&self, out: &mut BytesMut) {
        self.causes.write(out);
    }
}

impl fmt::Display for Abort<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", if self.tag_reflected { " T" } else { "" }, self.causes)
    }
}

/// Reports that something went wrong.
///
/// ```text
/// |   Type = 9    |  Chunk Flags  |            Length             |
/// \                   one or more Error Causes                    /
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct ErrorChunk<'a> {
    pub(crate) causes: Causes<'a>,
}

impl<'a> ErrorChunk<'a> {
    pub(super) const TYPE: u8 = 9;

    pub(super) fn parse(raw: &RawChunk<'a>) -> Result<Self, ParseError> {
        Ok(Self { causes: Causes::parse(raw.value)? })
    }
}

impl WriteChunk for ErrorChunk<'_> {
    fn kind(&self) -> u8 {
        Self::TYPE
    }

    fn flags(&self) -> u8 {
        0
    }

    fn value_len(&self) -> usize {
        self.causes.wire_len()
    }

    fn write_value(&self, out: &mut BytesMut) {
        self.causes.write(out);
    }
}

impl fmt::Display for ErrorChunk<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.causes, f)
    }
}

/// The T bit of ABORT and SHUTDOWN COMPLETE (RFC 9260 §8.5.1).
pub(super) const T: u8 = 0x01;
