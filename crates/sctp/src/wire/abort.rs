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

#[cfg(test)]
#[allow(clippy::indexing_slicing, clippy::arithmetic_side_effects, reason = "a panic is a failed test")]
mod tests {
    use super::super::testing::*;
    use super::super::{Cause, Chunk, Unknown};
    use super::*;
    use proptest::prelude::*;

    /// Chromium closes.
    #[test]
    fn abort_from_capture() {
        let packet = hex("1388138815558a52ece6aa6d06000014000c0010436c6f73652063616c6c6564");
        let causes = [Cause::UserInitiatedAbort(b"Close called")];
        let expected = Abort { tag_reflected: false, causes: Causes::new(&causes) };
        assert_eq!(only_chunk(&packet), Chunk::Abort(expected));
        assert_eq!(written(&expected), packet[12..]);
        assert_eq!(Chunk::Abort(expected).to_string(), r#"ABORT user-initiated-abort("Close called")"#);
    }

    /// aiortc closes: no cause at all.
    #[test]
    fn bare_abort_from_capture() {
        let packet = hex("138813887f9cfb74f0442c2406000004");
        let expected = Abort { tag_reflected: false, causes: Causes::EMPTY };
        assert_eq!(only_chunk(&packet), Chunk::Abort(expected));
        assert_eq!(written(&expected), packet[12..]);
    }

    /// RFC 9260 §3.3.7: the T bit; the other flags are reserved and ignored.
    #[test]
    fn t_bit() {
        let bytes = hex("06ff0004");
        let Ok(Chunk::Abort(abort)) = parse_chunk(&bytes) else { panic!() };
        assert!(abort.tag_reflected);
        assert_eq!(written(&abort), hex("06010004"));
        let bytes = hex("06fe0004");
        let Ok(Chunk::Abort(abort)) = parse_chunk(&bytes) else { panic!() };
        assert!(!abort.tag_reflected);
    }

    /// The peer is gone whether or not its reasons are sound. An ERROR without sound causes says nothing.
    #[test]
    fn unsound_causes_do_not_save_an_association() {
        let bytes = hex("0600000c 000c0004 000d0009");
        let Ok(Chunk::Abort(abort)) = parse_chunk(&bytes) else { panic!() };
        let causes: Vec<_> = abort.causes.iter().collect();
        assert_eq!(causes, [Ok(Cause::UserInitiatedAbort(b"")), Err(ParseError::Truncated)]);
        assert_eq!(abort.to_string(), " user-initiated-abort(\"\") (truncated)");
        assert_eq!(parse_chunk(&hex("0900000c 000c0004 000d0009")), Err(ParseError::Truncated));
    }

    /// Laid out by hand after RFC 9260 §3.3.10.1.
    #[test]
    fn error_from_the_diagram() {
        let chunk = hex("0900000c 00010008 00070000");
        let causes = [Cause::InvalidStream(crate::StreamId(7))];
        let expected = ErrorChunk { causes: Causes::new(&causes) };
        assert_eq!(parse_chunk(&chunk), Ok(Chunk::Error(expected)));
        assert_eq!(written(&expected), chunk);
        assert_eq!(Chunk::Error(expected).to_string(), "ERROR invalid-stream(7)");
    }

    #[test]
    fn every_truncation_is_an_error() {
        assert_every_truncation_is_an_error(&hex("06000014 000c0010 436c6f73 65206361 6c6c6564"));
        assert_every_truncation_is_an_error(&hex("0900000c 00010008 00070000"));
    }

    proptest! {
        #[test]
        fn round_trip(
            tag_reflected: bool,
            kind in 14_u16..,
            value in bytes(),
            text in bytes(),
        ) {
            let causes = [
                Cause::Unknown(Unknown { kind, value: &value }),
                Cause::ProtocolViolation(&text),
            ];
            let causes = Causes::new(&causes);
            assert_round_trip(&Chunk::Abort(Abort { tag_reflected, causes }));
            assert_round_trip(&Chunk::Error(ErrorChunk { causes }));
        }
    }
}
