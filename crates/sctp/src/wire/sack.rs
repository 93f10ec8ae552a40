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
