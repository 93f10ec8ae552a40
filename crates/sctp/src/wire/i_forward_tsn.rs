//! I-FORWARD-TSN (RFC 8260 §2.3.1).

use super::list::{Item, List};
use super::text::Few;
use super::{ParseError, RawChunk, Reader, WriteChunk};
use crate::number::{Mid, StreamId, Tsn};
use bytes::{BufMut, BytesMut};
use std::fmt;

/// The sender of I-DATA has given up on all TSNs up to here.
///
/// ```text
/// |   Type = 194  | Flags = 0x00  |      Length = Variable        |
/// |                       New Cumulative TSN                      |
/// |       Stream Identifier       |          Reserved           |U|
/// |                       Message Identifier                      |
/// \                              ...                              /
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct IForwardTsn<'a> {
    pub(crate) new_cumulative_tsn: Tsn,
    pub(crate) streams: List<'a, SkippedMessages>,
}

/// The largest message identifier that was given up, of the ordered or of the unordered messages of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SkippedMessages {
    pub(crate) stream: StreamId,
    /// U.
    pub(crate) unordered: bool,
    pub(crate) mid: Mid,
}

impl<'a> IForwardTsn<'a> {
    pub(super) const TYPE: u8 = 194;

    pub(super) fn parse(raw: &RawChunk<'a>) -> Result<Self, ParseError> {
        let mut reader = Reader::new(raw.value);
        let new_cumulative_tsn = Tsn(reader.u32()?);
        Ok(Self { new_cumulative_tsn, streams: List::parse(reader.rest())? })
    }
}

impl WriteChunk for IForwardTsn<'_> {
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

impl fmt::Display for IForwardTsn<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, " cum={} streams={}", self.new_cumulative_tsn.0, Few(self.streams.iter()))
    }
}

impl Item for SkippedMessages {
    const LEN: usize = 8;

    fn read(reader: &mut Reader<'_>) -> Result<Self, ParseError> {
        Ok(Self {
            stream: StreamId(reader.u16()?),
            unordered: reader.u16()? & U != 0,
            mid: Mid(reader.u32()?),
        })
    }

    fn write(self, out: &mut BytesMut) {
        out.put_u16(self.stream.0);
        out.put_u16(if self.unordered { U } else { 0 });
        out.put_u32(self.mid.0);
    }
}

impl fmt::Display for SkippedMessages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}:{}", self.stream, if self.unordered { "u" } else { "" }, self.mid.0)
    }
}

const U: u16 = 0x0001;

#[cfg(test)]
#[allow(clippy::indexing_slicing, clippy::arithmetic_side_effects, reason = "a panic is a failed test")]
mod tests {
    use super::super::Chunk;
    use super::super::testing::*;
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    /// Firefox gives up on the unordered messages of stream 1 up to 10.
    #[test]
    fn from_capture() {
        let packet = hex("13881388df48aa395336b0abc200001075a42791000100010000000a");
        let expected = IForwardTsn {
            new_cumulative_tsn: Tsn(1_973_692_305),
            streams: List::new(&[SkippedMessages { stream: StreamId(1), unordered: true, mid: Mid(10) }]),
        };
        assert_eq!(only_chunk(&packet), Chunk::IForwardTsn(expected));
        assert_eq!(written(&expected), packet[12..]);
        assert_eq!(Chunk::IForwardTsn(expected).to_string(), "I-FORWARD-TSN cum=1973692305 streams=[1u:10]");
    }

    /// RFC 8260 §2.3.1: all but the lowest bit of the flags is reserved; half a stream is not sound.
    #[test]
    fn reserved_bits_are_ignored() {
        let bytes = hex("c2000010 75a42791 0001fffe 0000000a");
        let Ok(Chunk::IForwardTsn(chunk)) = parse_chunk(&bytes) else { panic!() };
        let expected = SkippedMessages { stream: StreamId(1), unordered: false, mid: Mid(10) };
        assert_eq!(chunk.streams, List::new(&[expected]));
        assert_eq!(parse_chunk(&hex("c200000c 75a42791 00010000")), Err(ParseError::Count));
    }

    #[test]
    fn every_truncation_is_an_error() {
        let chunk = hex("c2000018 75a42791 00010001 0000000a 00020000 0000000b");
        assert_every_truncation_is_an_error(&chunk);
        assert_fixed_fields_are_needed(&chunk, 4);
    }

    proptest! {
        #[test]
        fn round_trip(tsn: u32, streams in vec(any::<(u16, bool, u32)>(), 0..40)) {
            let streams: Vec<_> = streams
                .into_iter()
                .map(|(stream, unordered, mid)| SkippedMessages {
                    stream: StreamId(stream),
                    unordered,
                    mid: Mid(mid),
                })
                .collect();
            assert_round_trip(&Chunk::IForwardTsn(IForwardTsn {
                new_cumulative_tsn: Tsn(tsn),
                streams: List::new(&streams),
            }));
        }
    }
}
