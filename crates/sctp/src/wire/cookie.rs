//! COOKIE ECHO and COOKIE ACK (RFC 9260 §3.3.11, §3.3.12).

use super::{ParseError, RawChunk, Reader, WriteChunk};
use bytes::{BufMut, BytesMut};
use std::fmt;

/// Returns the state cookie of an INIT ACK.
///
/// ```text
/// |   Type = 10   |  Chunk Flags  |            Length             |
/// \                            Cookie                             /
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct CookieEcho<'a> {
    /// Byte for byte as it came.
    pub(crate) cookie: &'a [u8],
}

impl<'a> CookieEcho<'a> {
    pub(super) const TYPE: u8 = 10;

    pub(super) fn parse(raw: &RawChunk<'a>) -> Result<Self, ParseError> {
        Ok(Self { cookie: raw.value })
    }
}

impl WriteChunk for CookieEcho<'_> {
    fn kind(&self) -> u8 {
        Self::TYPE
    }

    fn flags(&self) -> u8 {
        0
    }

    fn value_len(&self) -> usize {
        self.cookie.len()
    }

    fn write_value(&self, out: &mut BytesMut) {
        out.put_slice(self.cookie);
    }
}

/// The length only: the cookie is nobody's business.
impl fmt::Display for CookieEcho<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, " cookie={}", self.cookie.len())
    }
}

/// Answers COOKIE ECHO.
///
/// ```text
/// |   Type = 11   |  Chunk Flags  |          Length = 4           |
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CookieAck;

impl CookieAck {
    pub(super) const TYPE: u8 = 11;

    pub(super) fn parse(raw: &RawChunk<'_>) -> Result<Self, ParseError> {
        Reader::new(raw.value).finish()?;
        Ok(Self)
    }
}

impl WriteChunk for CookieAck {
    fn kind(&self) -> u8 {
        Self::TYPE
    }

    fn flags(&self) -> u8 {
        0
    }

    fn value_len(&self) -> usize {
        0
    }

    fn write_value(&self, _out: &mut BytesMut) {}
}

impl fmt::Display for CookieAck {
    fn fmt(&self, _f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Ok(())
    }
}
