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
/// ```
///
/// Pushed as it is it becomes a HEARTBEAT; the other one is [`Chunk::HeartbeatAck`](super::Chunk::HeartbeatAck).
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Heartbeat<'a> {
    /// Known to its sender only; the peer returns it as it is.
    pub(crate) info: &'a [u8],
}

impl<'a> Heartbeat<'a> {
    /// Chunk header and parameter header: what stands before the info.
    pub(crate) const HEADER_LEN: usize = 8;

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
        // Some count the padding of the parameter in the chunk's length.
        reader.skip_up_to(padded(info_len).saturating_sub(info_len));
        reader.finish()?;
        Ok(Self { info })
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
        self.info.len().saturating_add(PARAMETER_HEADER_LEN)
    }

    fn write_value(&self, out: &mut BytesMut) {
        out.put_u16(HEARTBEAT_INFO);
        out.put_u16(u16::try_from(self.value_len()).unwrap_or(u16::MAX));
        out.put_slice(self.info);
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
