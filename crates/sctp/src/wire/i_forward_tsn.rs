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
