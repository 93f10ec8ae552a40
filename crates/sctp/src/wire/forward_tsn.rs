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
