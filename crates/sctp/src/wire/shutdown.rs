//! SHUTDOWN, SHUTDOWN ACK and SHUTDOWN COMPLETE (RFC 9260 §3.3.8, §3.3.9, §3.3.13).

use super::abort::T;
use super::{ParseError, RawChunk, Reader, WriteChunk};
use crate::number::Tsn;
use bytes::{BufMut, BytesMut};
use std::fmt;

/// The sender has nothing more to send.
///
/// ```text
/// |   Type = 7    |  Chunk Flags  |          Length = 8           |
/// |                      Cumulative TSN Ack                       |
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shutdown {
    pub(crate) cumulative_tsn: Tsn,
}

impl Shutdown {
    pub(super) const TYPE: u8 = 7;

    pub(super) fn parse(raw: &RawChunk<'_>) -> Result<Self, ParseError> {
        let mut reader = Reader::new(raw.value);
        let cumulative_tsn = Tsn(reader.u32()?);
        reader.finish()?;
        Ok(Self { cumulative_tsn })
    }
}

impl WriteChunk for Shutdown {
    fn kind(&self) -> u8 {
        Self::TYPE
    }

    fn flags(&self) -> u8 {
        0
    }

    fn value_len(&self) -> usize {
        4
    }

    fn write_value(&self, out: &mut BytesMut) {
        out.put_u32(self.cumulative_tsn.0);
    }
}

impl fmt::Display for Shutdown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, " cum={}", self.cumulative_tsn.0)
    }
}

/// Answers SHUTDOWN.
///
/// ```text
/// |   Type = 8    |  Chunk Flags  |          Length = 4           |
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ShutdownAck;

impl ShutdownAck {
    pub(super) const TYPE: u8 = 8;

    pub(super) fn parse(raw: &RawChunk<'_>) -> Result<Self, ParseError> {
        Reader::new(raw.value).finish()?;
        Ok(Self)
    }
}

impl WriteChunk for ShutdownAck {
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

impl fmt::Display for ShutdownAck {
    fn fmt(&self, _f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Ok(())
    }
}

/// Answers SHUTDOWN ACK; the association is gone.
///
/// ```text
/// |   Type = 14   |  Reserved   |T|          Length = 4           |
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ShutdownComplete {
    /// T: the verification tag is the one the sender of this chunk received, not the receiver's own.
    pub(crate) tag_reflected: bool,
}

impl ShutdownComplete {
    pub(super) const TYPE: u8 = 14;

    pub(super) fn parse(raw: &RawChunk<'_>) -> Result<Self, ParseError> {
        Reader::new(raw.value).finish()?;
        Ok(Self { tag_reflected: raw.flags & T != 0 })
    }
}

impl WriteChunk for ShutdownComplete {
    fn kind(&self) -> u8 {
        Self::TYPE
    }

    fn flags(&self) -> u8 {
        if self.tag_reflected { T } else { 0 }
    }

    fn value_len(&self) -> usize {
        0
    }

    fn write_value(&self, _out: &mut BytesMut) {}
}

impl fmt::Display for ShutdownComplete {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.tag_reflected { " T" } else { "" })
    }
}

#[cfg(test)]
#[allow(clippy::indexing_slicing, clippy::arithmetic_side_effects, reason = "a panic is a failed test")]
mod tests {
    use super::super::Chunk;
    use super::super::testing::*;
    use super::*;
    use proptest::prelude::*;

    /// libdatachannel shuts down, aiortc answers.
    #[test]
    fn from_capture() {
        let shutdown = Shutdown { cumulative_tsn: Tsn(1_893_107_275) };
        for (packet, expected, line) in [
            (
                "1388138862dbf14323f96c580700000870d6864b",
                Chunk::Shutdown(shutdown),
                "SHUTDOWN cum=1893107275",
            ),
            ("138813886cb014b12af4fb2408000004", Chunk::ShutdownAck, "SHUTDOWN-ACK"),
            (
                "1388138862dbf1434b63bca50e000004",
                Chunk::ShutdownComplete(ShutdownComplete { tag_reflected: false }),
                "SHUTDOWN-COMPLETE",
            ),
        ] {
            let packet = hex(packet);
            let chunk = only_chunk(&packet);
            assert_eq!(chunk, expected);
            assert_eq!(written(&chunk), packet[12..]);
            assert_eq!(chunk.to_string(), line);
        }
    }

    /// RFC 9260 §3.3.8, §3.3.9, §3.3.13: the lengths are given.
    #[test]
    fn lengths_are_fixed() {
        assert_eq!(parse_chunk(&hex("0700000c 00000001 00000000")), Err(ParseError::Trailing(4)));
        assert_eq!(parse_chunk(&hex("08000005 00")), Err(ParseError::Trailing(1)));
        assert_eq!(parse_chunk(&hex("0e000008 00000000")), Err(ParseError::Trailing(4)));
    }

    #[test]
    fn every_truncation_is_an_error() {
        assert_every_truncation_is_an_error(&hex("07000008 00000001"));
        assert_every_truncation_is_an_error(&hex("08000004"));
        assert_every_truncation_is_an_error(&hex("0e010004"));
        assert_fixed_fields_are_needed(&hex("07000008 00000001"), 4);
    }

    proptest! {
        #[test]
        fn round_trip(tsn: u32, tag_reflected: bool) {
            assert_round_trip(&Chunk::Shutdown(Shutdown { cumulative_tsn: Tsn(tsn) }));
            assert_round_trip(&Chunk::ShutdownAck);
            assert_round_trip(&Chunk::ShutdownComplete(ShutdownComplete { tag_reflected }));
        }
    }
}
