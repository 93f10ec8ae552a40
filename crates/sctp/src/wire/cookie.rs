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

#[cfg(test)]
#[allow(clippy::indexing_slicing, clippy::arithmetic_side_effects, reason = "a panic is a failed test")]
mod tests {
    use super::super::Chunk;
    use super::super::testing::*;
    use super::*;
    use proptest::prelude::*;

    /// Firefox returns a cookie of aiortc.
    #[test]
    fn cookie_echo_from_capture() {
        let packet = hex("138813881f95eacc34858afa0a00001c6b02f4531d4a75a4e95a89c123e2a2ab5ff6abebce0ae122");
        let cookie = hex("6b02f453 1d4a75a4 e95a89c1 23e2a2ab 5ff6abeb ce0ae122");
        let expected = Chunk::CookieEcho(CookieEcho { cookie: &cookie });
        assert_eq!(only_chunk(&packet), expected);
        assert_eq!(written(&expected), packet[12..]);
        assert_eq!(expected.to_string(), "COOKIE-ECHO cookie=24");
    }

    /// Firefox has accepted one.
    #[test]
    fn cookie_ack_from_capture() {
        let packet = hex("138813881f95eacc9e1050de0b000004");
        assert_eq!(only_chunk(&packet), Chunk::CookieAck);
        assert_eq!(written(&Chunk::CookieAck), packet[12..]);
        assert_eq!(Chunk::CookieAck.to_string(), "COOKIE-ACK");
    }

    /// RFC 9260 §3.3.12: the length is given.
    #[test]
    fn cookie_ack_has_no_value() {
        assert_eq!(parse_chunk(&hex("0b000005 00")), Err(ParseError::Trailing(1)));
    }

    #[test]
    fn every_truncation_is_an_error() {
        assert_every_truncation_is_an_error(&hex("0a00000b 6b02f453 1d4a75"));
        assert_every_truncation_is_an_error(&hex("0b000004"));
    }

    proptest! {
        #[test]
        fn round_trip(cookie in bytes()) {
            assert_round_trip(&Chunk::CookieEcho(CookieEcho { cookie: &cookie }));
            assert_round_trip(&Chunk::CookieAck);
        }
    }
}
