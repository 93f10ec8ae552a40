//! FORWARD TSN (RFC 3758 §3.2).

use super::list::{Item, List};
use super::text::Few;
use super::{ParseError, RawChunk, Reader, WriteChunk};
use crate::number::{Ssn, StreamId, Tsn};
use bytes::{BufMut, BytesMut};
use std::fmt;

/// The sender has given up on all TSNs up to here.
///
/// ```text
/// |   Type = 192  |  Flags = 0x00 |        Length = Variable      |
/// |                      New Cumulative TSN                       |
/// |         Stream-1              |       Stream Sequence-1       |
/// \                              ...                              /
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct ForwardTsn<'a> {
    pub(crate) new_cumulative_tsn: Tsn,
    pub(crate) streams: List<'a, SkippedStream>,
}

/// The largest stream sequence number of an ordered message that was given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SkippedStream {
    pub(crate) stream: StreamId,
    pub(crate) ssn: Ssn,
}

impl<'a> ForwardTsn<'a> {
    pub(super) const TYPE: u8 = 192;

    pub(super) fn parse(raw: &RawChunk<'a>) -> Result<Self, ParseError> {
        let mut reader = Reader::new(raw.value);
        let new_cumulative_tsn = Tsn(reader.u32()?);
        Ok(Self { new_cumulative_tsn, streams: List::parse(reader.rest())? })
    }
}

impl WriteChunk for ForwardTsn<'_> {
    fn kind(&self) -> u8 {
        Self::TYPE
    }

    fn flags(&self) -> u8 {
        0
    }

    fn value_len(&self) -> usize {
        self.streams.wire_len().saturating_add(4)
    }

    fn write_value(&self, out: &mut BytesMut) {
        out.put_u32(self.new_cumulative_tsn.0);
        self.streams.write(out);
    }
}

impl fmt::Display for ForwardTsn<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, " cum={} streams={}", self.new_cumulative_tsn.0, Few(self.streams.iter()))
    }
}

impl Item for SkippedStream {
    const LEN: usize = 4;

    fn read(reader: &mut Reader<'_>) -> Result<Self, ParseError> {
        Ok(Self { stream: StreamId(reader.u16()?), ssn: Ssn(reader.u16()?) })
    }

    fn write(self, out: &mut BytesMut) {
        out.put_u16(self.stream.0);
        out.put_u16(self.ssn.0);
    }
}

impl fmt::Display for SkippedStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.stream, self.ssn.0)
    }
}

#[cfg(test)]
#[allow(clippy::indexing_slicing, clippy::arithmetic_side_effects, reason = "a panic is a failed test")]
mod tests {
    use super::super::Chunk;
    use super::super::testing::*;
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    /// pion gives up on a message of stream 3.
    #[test]
    fn from_capture() {
        let packet = hex("13881388a2d15a844d962f19c000000cf741f99200030001");
        let expected = ForwardTsn {
            new_cumulative_tsn: Tsn(4_148_296_082),
            streams: List::new(&[SkippedStream { stream: StreamId(3), ssn: Ssn(1) }]),
        };
        assert_eq!(only_chunk(&packet), Chunk::ForwardTsn(expected));
        assert_eq!(written(&expected), packet[12..]);
        assert_eq!(Chunk::ForwardTsn(expected).to_string(), "FORWARD-TSN cum=4148296082 streams=[3:1]");
    }

    /// Half a stream at the end.
    #[test]
    fn streams_are_whole() {
        assert_eq!(parse_chunk(&hex("c000000e f741f992 00030001 0005")), Err(ParseError::Count));
    }

    #[test]
    fn every_truncation_is_an_error() {
        let chunk = hex("c0000010 f741f992 00030001 00050002");
        assert_every_truncation_is_an_error(&chunk);
        assert_fixed_fields_are_needed(&chunk, 4);
    }

    proptest! {
        #[test]
        fn round_trip(tsn: u32, streams in vec(any::<(u16, u16)>(), 0..40)) {
            let streams: Vec<_> = streams
                .into_iter()
                .map(|(stream, ssn)| SkippedStream { stream: StreamId(stream), ssn: Ssn(ssn) })
                .collect();
            assert_round_trip(&Chunk::ForwardTsn(ForwardTsn {
                new_cumulative_tsn: Tsn(tsn),
                streams: List::new(&streams),
            }));
        }
    }
}
