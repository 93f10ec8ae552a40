//! INIT and INIT ACK (RFC 9260 §3.3.2, §3.3.3).

use super::{Parameters, ParseError, RawChunk, Reader, WriteChunk};
use crate::number::Tsn;
use bytes::{BufMut, BytesMut};
use std::fmt;

/// The contents of INIT and of INIT ACK, which differ by the type only.
///
/// ```text
/// |  Type = 1, 2  |  Chunk Flags  |         Chunk Length          |
/// |                         Initiate Tag                          |
/// |           Advertised Receiver Window Credit (a_rwnd)          |
/// |  Number of Outbound Streams   |  Number of Inbound Streams    |
/// |                          Initial TSN                          |
/// \              Optional/Variable-Length Parameters              /
/// ```
///
/// Pushed as it is it becomes an INIT; the other one is [`Chunk::InitAck`](super::Chunk::InitAck).
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Init<'a> {
    /// 0 parses; what to do about it depends on the state (RFC 9260 §3.3.2, §3.3.3).
    pub(crate) initiate_tag: u32,
    pub(crate) a_rwnd: u32,
    pub(crate) outbound_streams: u16,
    pub(crate) inbound_streams: u16,
    pub(crate) initial_tsn: Tsn,
    pub(crate) parameters: Parameters<'a>,
}

impl<'a> Init<'a> {
    pub(super) fn parse(raw: &RawChunk<'a>) -> Result<Self, ParseError> {
        let mut reader = Reader::new(raw.value);
        Ok(Self {
            initiate_tag: reader.u32()?,
            a_rwnd: reader.u32()?,
            outbound_streams: reader.u16()?,
            inbound_streams: reader.u16()?,
            initial_tsn: Tsn(reader.u32()?),
            parameters: Parameters::parse(reader.rest())?,
        })
    }
}

impl WriteChunk for Init<'_> {
    fn kind(&self) -> u8 {
        INIT
    }

    fn flags(&self) -> u8 {
        0
    }

    fn value_len(&self) -> usize {
        self.parameters.wire_len().saturating_add(FIXED_LEN)
    }

    fn write_value(&self, out: &mut BytesMut) {
        out.put_u32(self.initiate_tag);
        out.put_u32(self.a_rwnd);
        out.put_u16(self.outbound_streams);
        out.put_u16(self.inbound_streams);
        out.put_u32(self.initial_tsn.0);
        self.parameters.write(out);
    }
}

impl fmt::Display for Init<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            " tag={:#010x} a_rwnd={} streams={}/{} tsn={}{}",
            self.initiate_tag,
            self.a_rwnd,
            self.outbound_streams,
            self.inbound_streams,
            self.initial_tsn.0,
            self.parameters
        )
    }
}

pub(super) const INIT: u8 = 1;
pub(super) const INIT_ACK: u8 = 2;

/// What stands before the parameters.
const FIXED_LEN: usize = 16;
