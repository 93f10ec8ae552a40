//! HEARTBEAT and HEARTBEAT ACK (RFC 9260 §3.3.5, §3.3.6).

use super::{ParseError, RawChunk, Reader, WriteChunk, padded};
use bytes::{BufMut, BytesMut};
use std::fmt;

/// The contents of HEARTBEAT and of HEARTBEAT ACK, which differ by the type only.
///
/// ```text
/// |  Type = 4, 5  |  Chunk Flags  |       Heartbeat Length        |
/// |    Heartbeat Info Type = 1    |        HB Info Length         |
/// \              Sender-Specific Heartbeat Info                   /
/// \                   Further parameters, if any                  /
/// ```
///
/// Pushed as it is it becomes a HEARTBEAT; the other one is [`Chunk::HeartbeatAck`](super::Chunk::HeartbeatAck).
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Heartbeat<'a> {
    /// Known to its sender only; the peer returns it as it is.
    pub(crate) info: &'a [u8],
    /// Parameters behind the info as they came, to be returned too: none is defined, and we send none.
    pub(crate) others: &'a [u8],
}

impl<'a> Heartbeat<'a> {
    pub(super) fn parse(raw: &RawChunk<'a>) -> Result<Self, ParseError> {
        let mut reader = Reader::new(raw.value);
        let kind = reader.u16()?;
        if kind != HEARTBEAT_INFO {
            return Err(ParseError::Type(kind));
        }
        let length = reader.u16()?;
        let info_len =
            usize::from(length).checked_sub(PARAMETER_HEADER_LEN).ok_or(ParseError::Length(length))?;
        let info = reader.take(info_len)?;
        // The padding of the last parameter may be counted in the chunk's length or not (RFC 9260 §3.2).
        reader.skip_up_to(padded(info_len).saturating_sub(info_len));
        Ok(Self { info, others: reader.rest() })
    }
}

impl WriteChunk for Heartbeat<'_> {
    fn kind(&self) -> u8 {
        HEARTBEAT
    }

    fn flags(&self) -> u8 {
        0
    }

    fn value_len(&self) -> usize {
        let info_len = self.info.len().saturating_add(PARAMETER_HEADER_LEN);
        if self.others.is_empty() { info_len } else { padded(info_len).saturating_add(self.others.len()) }
    }

    fn write_value(&self, out: &mut BytesMut) {
        out.put_u16(HEARTBEAT_INFO);
        out.put_u16(u16::try_from(self.info.len().saturating_add(PARAMETER_HEADER_LEN)).unwrap_or(u16::MAX));
        out.put_slice(self.info);
        if !self.others.is_empty() {
            out.put_bytes(0, padded(self.info.len()).saturating_sub(self.info.len()));
            out.put_slice(self.others);
        }
    }
}

impl fmt::Display for Heartbeat<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, " info={}", self.info.len())
    }
}

pub(super) const HEARTBEAT: u8 = 4;
pub(super) const HEARTBEAT_ACK: u8 = 5;
const HEARTBEAT_INFO: u16 = 1;
const PARAMETER_HEADER_LEN: usize = 4;

#[cfg(test)]
#[allow(clippy::indexing_slicing, clippy::arithmetic_side_effects, reason = "a panic is a failed test")]
mod tests {
    use super::super::Chunk;
    use super::super::testing::*;
    use super::*;
    use proptest::prelude::*;

    /// Laid out by hand after RFC 9260 §3.3.5: no stack sent one within the captures.
    #[test]
    fn from_the_diagram() {
        let chunk = hex("0400000d 00010009 0102030405");
        let expected = Heartbeat { info: &[1, 2, 3, 4, 5], others: &[] };
        assert_eq!(parse_chunk(&chunk), Ok(Chunk::Heartbeat(expected)));
        assert_eq!(written(&expected), chunk);
        let answer = Chunk::HeartbeatAck(expected);
        assert_eq!(written(&answer), hex("0500000d 00010009 0102030405"));
        assert_eq!(answer.to_string(), "HEARTBEAT-ACK info=5");
    }

    #[test]
    fn counted_padding_is_accepted() {
        let chunk = hex("04000010 00010009 01020304 05ffffff");
        assert_eq!(
            parse_chunk(&chunk),
            Ok(Chunk::Heartbeat(Heartbeat { info: &[1, 2, 3, 4, 5], others: &[] }))
        );
    }

    #[test]
    fn anything_but_the_info_is_refused() {
        for (chunk, error) in [
            ("04000004", ParseError::Truncated),
            ("04000008 00020004", ParseError::Type(2)),
            ("04000008 00010003", ParseError::Length(3)),
            ("04000008 00010005", ParseError::Truncated),
        ] {
            assert_eq!(parse_chunk(&hex(chunk)), Err(error), "{chunk}");
        }
    }

    /// RFC 9260 §8.3: the answer has "the Heartbeat Information TLV, together with any other received TLVs, copied
    /// unchanged".
    #[test]
    fn other_parameters_are_returned() {
        let chunk = hex("04000016 00010009 01020304 05000000 0abc0006 0607");
        let expected = Heartbeat { info: &[1, 2, 3, 4, 5], others: &hex("0abc0006 0607") };
        assert_eq!(parse_chunk(&chunk), Ok(Chunk::Heartbeat(expected)));
        assert_eq!(written(&Chunk::HeartbeatAck(expected))[1..], chunk[1..]);
    }

    #[test]
    fn every_truncation_is_an_error() {
        assert_every_truncation_is_an_error(&hex("0400000d 00010009 0102030405"));
    }

    proptest! {
        #[test]
        fn round_trip(info in bytes(), others in bytes()) {
            assert_round_trip(&Chunk::Heartbeat(Heartbeat { info: &info, others: &others }));
            assert_round_trip(&Chunk::HeartbeatAck(Heartbeat { info: &info, others: &others }));
        }
    }
}
