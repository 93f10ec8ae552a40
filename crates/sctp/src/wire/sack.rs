//! SACK (RFC 9260 §3.3.4).

use super::list::{Item, List};
use super::text::Few;
use super::{ParseError, RawChunk, Reader, WriteChunk};
use crate::number::Tsn;
use bytes::{BufMut, BytesMut};
use std::fmt;

/// What has arrived.
///
/// ```text
/// |   Type = 3    |  Chunk Flags  |         Chunk Length          |
/// |                      Cumulative TSN Ack                       |
/// |          Advertised Receiver Window Credit (a_rwnd)           |
/// | Number of Gap Ack Blocks = N  |  Number of Duplicate TSNs = M |
/// |    Gap Ack Block #1 Start     |     Gap Ack Block #1 End      |
/// \                              ...                              \
/// |                        Duplicate TSN 1                        |
/// \                              ...                              \
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Sack<'a> {
    pub(crate) cumulative_tsn: Tsn,
    pub(crate) a_rwnd: u32,
    /// As they came: their order and sense are not checked here.
    pub(crate) gaps: List<'a, GapBlock>,
    pub(crate) duplicates: List<'a, Tsn>,
}

/// TSNs that arrived behind a gap, both ends included, as offsets from the Cumulative TSN Ack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct GapBlock {
    pub(crate) start: u16,
    pub(crate) end: u16,
}

impl<'a> Sack<'a> {
    pub(super) const TYPE: u8 = 3;

    /// Chunk header and fixed fields: what stands before the gap blocks.
    pub(crate) const HEADER_LEN: usize = 16;

    pub(super) fn parse(raw: &RawChunk<'a>) -> Result<Self, ParseError> {
        let mut reader = Reader::new(raw.value);
        let cumulative_tsn = Tsn(reader.u32()?);
        let a_rwnd = reader.u32()?;
        let gap_count = usize::from(reader.u16()?);
        let duplicate_count = usize::from(reader.u16()?);
        let gaps = reader.take(gap_count.saturating_mul(GapBlock::LEN))?;
        let duplicates = reader.take(duplicate_count.saturating_mul(Tsn::LEN))?;
        reader.finish()?;
        Ok(Self { cumulative_tsn, a_rwnd, gaps: List::parse(gaps)?, duplicates: List::parse(duplicates)? })
    }
}

impl WriteChunk for Sack<'_> {
    fn kind(&self) -> u8 {
        Self::TYPE
    }

    fn flags(&self) -> u8 {
        0
    }

    fn value_len(&self) -> usize {
        self.gaps.wire_len().saturating_add(self.duplicates.wire_len()).saturating_add(FIXED_LEN)
    }

    fn write_value(&self, out: &mut BytesMut) {
        out.put_u32(self.cumulative_tsn.0);
        out.put_u32(self.a_rwnd);
        out.put_u16(self.gaps.count_field());
        out.put_u16(self.duplicates.count_field());
        self.gaps.write(out);
        self.duplicates.write(out);
    }
}

impl fmt::Display for Sack<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, " cum={} a_rwnd={}", self.cumulative_tsn.0, self.a_rwnd)?;
        if !self.gaps.is_empty() {
            write!(f, " gaps={}", Few(self.gaps.iter()))?;
        }
        if !self.duplicates.is_empty() {
            write!(f, " duplicates={}", self.duplicates.len())?;
        }
        Ok(())
    }
}

impl Item for GapBlock {
    const LEN: usize = 4;

    fn read(reader: &mut Reader<'_>) -> Result<Self, ParseError> {
        Ok(Self { start: reader.u16()?, end: reader.u16()? })
    }

    fn write(self, out: &mut BytesMut) {
        out.put_u16(self.start);
        out.put_u16(self.end);
    }
}

impl fmt::Display for GapBlock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.start, self.end)
    }
}

/// Cumulative TSN Ack, a_rwnd and the two counts.
const FIXED_LEN: usize = 12;

#[cfg(test)]
#[allow(clippy::indexing_slicing, clippy::arithmetic_side_effects, reason = "a panic is a failed test")]
mod tests {
    use super::super::Chunk;
    use super::super::testing::*;
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    /// aiortc has a gap and got something twice.
    #[test]
    fn from_capture() {
        let packet = hex("13881388250c7e2c47dd754103000018fb8762e8000feb24000100010002000afb8762e1");
        let expected = Sack {
            cumulative_tsn: Tsn(4_219_953_896),
            a_rwnd: 1_043_236,
            gaps: List::new(&[GapBlock { start: 2, end: 10 }]),
            duplicates: List::new(&[Tsn(4_219_953_889)]),
        };
        assert_eq!(only_chunk(&packet), Chunk::Sack(expected));
        assert_eq!(written(&expected), packet[12..]);
        assert_eq!(
            Chunk::Sack(expected).to_string(),
            "SACK cum=4219953896 a_rwnd=1043236 gaps=[2-10] duplicates=1"
        );
    }

    /// RFC 9260 §3.3.4: the two counts and the length say the same, or nothing of the chunk is believed.
    #[test]
    fn counts_must_agree_with_the_length() {
        let sound = hex("03000018 fb8762e8 000feb24 0001 0001 0002000a fb8762e1");
        parse_chunk(&sound).expect("as it came");
        for (gaps, duplicates, error) in [
            (0, 1, ParseError::Trailing(4)),
            (1, 0, ParseError::Trailing(4)),
            (2, 1, ParseError::Truncated),
            (1, 2, ParseError::Truncated),
            (0xFFFF, 1, ParseError::Truncated),
            (1, 0xFFFF, ParseError::Truncated),
            (0xFFFF, 0xFFFF, ParseError::Truncated),
        ] {
            let mut chunk = sound.clone();
            chunk[12..14].copy_from_slice(&u16::to_be_bytes(gaps));
            chunk[14..16].copy_from_slice(&u16::to_be_bytes(duplicates));
            assert_eq!(parse_chunk(&chunk), Err(error), "{gaps} gaps, {duplicates} duplicates");
        }
    }

    #[test]
    fn every_truncation_is_an_error() {
        let chunk = hex("0300001c fb8762e8 000feb24 0002 0001 0002000a 000c000c fb8762e1");
        assert_every_truncation_is_an_error(&chunk);
        assert_fixed_fields_are_needed(&chunk, FIXED_LEN);
    }

    proptest! {
        #[test]
        fn round_trip(
            (tsn, a_rwnd) in any::<(u32, u32)>(),
            gaps in vec(any::<(u16, u16)>().prop_map(|(start, end)| GapBlock { start, end }), 0..40),
            duplicates in vec(any::<u32>().prop_map(Tsn), 0..40),
        ) {
            assert_round_trip(&Chunk::Sack(Sack {
                cumulative_tsn: Tsn(tsn),
                a_rwnd,
                gaps: List::new(&gaps),
                duplicates: List::new(&duplicates),
            }));
        }
    }
}
