//! Any chunk (RFC 9260 §3.2).

use super::{
    Abort, CookieAck, CookieEcho, Data, ErrorChunk, ForwardTsn, Heartbeat, IData, IForwardTsn, Init, Pad,
    ParseError, ReConfig, Reader, Sack, Shutdown, ShutdownAck, ShutdownComplete, heartbeat, init, padded,
};
use bytes::{BufMut, BytesMut};
use std::fmt;

/// A chunk.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Chunk<'a> {
    Data(Data<'a>),
    Init(Init<'a>),
    InitAck(Init<'a>),
    Sack(Sack<'a>),
    Heartbeat(Heartbeat<'a>),
    HeartbeatAck(Heartbeat<'a>),
    Abort(Abort<'a>),
    Shutdown(Shutdown),
    ShutdownAck,
    Error(ErrorChunk<'a>),
    CookieEcho(CookieEcho<'a>),
    CookieAck,
    ShutdownComplete(ShutdownComplete),
    IData(IData<'a>),
    ReConfig(ReConfig<'a>),
    Pad(Pad),
    ForwardTsn(ForwardTsn<'a>),
    IForwardTsn(IForwardTsn<'a>),
    Unknown(UnknownChunk<'a>),
}

/// What can be appended to a packet.
pub(crate) trait WriteChunk {
    /// The chunk type.
    fn kind(&self) -> u8;

    /// The chunk flags.
    fn flags(&self) -> u8;

    /// Bytes of the value, without padding.
    fn value_len(&self) -> usize;

    /// Appends exactly [`value_len`](Self::value_len) bytes.
    fn write_value(&self, out: &mut BytesMut);

    /// The chunk's length field: header and value, without padding.
    fn len(&self) -> usize {
        self.value_len().saturating_add(HEADER_LEN)
    }
}

/// A chunk's frame.
///
/// ```text
/// |   Chunk Type  |  Chunk Flags  |         Chunk Length          |
/// \                          Chunk Value                          /
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct RawChunk<'a> {
    pub(crate) kind: u8,
    pub(crate) flags: u8,
    pub(crate) value: &'a [u8],
}

impl<'a> RawChunk<'a> {
    /// Takes one chunk and its padding, which may be missing at the very end.
    pub(crate) fn parse(reader: &mut Reader<'a>) -> Result<Self, ParseError> {
        let mut header = *reader;
        let kind = header.u8()?;
        let flags = header.u8()?;
        let length = header.u16()?;
        let whole_len = usize::from(length);
        if whole_len < HEADER_LEN {
            return Err(ParseError::Length(length));
        }
        let chunk = reader.take(whole_len)?;
        reader.skip_up_to(padded(whole_len).saturating_sub(whole_len));
        Ok(Self { kind, flags, value: chunk.get(HEADER_LEN..).unwrap_or_default() })
    }
}

impl<'a> Chunk<'a> {
    /// Interprets a chunk's value.
    pub(crate) fn parse(raw: &RawChunk<'a>) -> Result<Self, ParseError> {
        Ok(match raw.kind {
            Data::TYPE => Self::Data(Data::parse(raw)?),
            init::INIT => Self::Init(Init::parse(raw)?),
            init::INIT_ACK => Self::InitAck(Init::parse(raw)?),
            Sack::TYPE => Self::Sack(Sack::parse(raw)?),
            heartbeat::HEARTBEAT => Self::Heartbeat(Heartbeat::parse(raw)?),
            heartbeat::HEARTBEAT_ACK => Self::HeartbeatAck(Heartbeat::parse(raw)?),
            Abort::TYPE => Self::Abort(Abort::parse(raw)?),
            Shutdown::TYPE => Self::Shutdown(Shutdown::parse(raw)?),
            ShutdownAck::TYPE => {
                ShutdownAck::parse(raw)?;
                Self::ShutdownAck
            }
            ErrorChunk::TYPE => Self::Error(ErrorChunk::parse(raw)?),
            CookieEcho::TYPE => Self::CookieEcho(CookieEcho::parse(raw)?),
            CookieAck::TYPE => {
                CookieAck::parse(raw)?;
                Self::CookieAck
            }
            ShutdownComplete::TYPE => Self::ShutdownComplete(ShutdownComplete::parse(raw)?),
            IData::TYPE => Self::IData(IData::parse(raw)?),
            ReConfig::TYPE => Self::ReConfig(ReConfig::parse(raw)?),
            Pad::TYPE => Self::Pad(Pad::parse(raw)?),
            ForwardTsn::TYPE => Self::ForwardTsn(ForwardTsn::parse(raw)?),
            IForwardTsn::TYPE => Self::IForwardTsn(IForwardTsn::parse(raw)?),
            kind => Self::Unknown(UnknownChunk { kind, flags: raw.flags, value: raw.value }),
        })
    }

    /// Name, type and contents.
    fn parts(&self) -> (&'static str, u8, &dyn Contents) {
        match self {
            Self::Data(chunk) => ("DATA", Data::TYPE, chunk),
            Self::Init(chunk) => ("INIT", init::INIT, chunk),
            Self::InitAck(chunk) => ("INIT-ACK", init::INIT_ACK, chunk),
            Self::Sack(chunk) => ("SACK", Sack::TYPE, chunk),
            Self::Heartbeat(chunk) => ("HEARTBEAT", heartbeat::HEARTBEAT, chunk),
            Self::HeartbeatAck(chunk) => ("HEARTBEAT-ACK", heartbeat::HEARTBEAT_ACK, chunk),
            Self::Abort(chunk) => ("ABORT", Abort::TYPE, chunk),
            Self::Shutdown(chunk) => ("SHUTDOWN", Shutdown::TYPE, chunk),
            Self::ShutdownAck => ("SHUTDOWN-ACK", ShutdownAck::TYPE, &ShutdownAck),
            Self::Error(chunk) => ("ERROR", ErrorChunk::TYPE, chunk),
            Self::CookieEcho(chunk) => ("COOKIE-ECHO", CookieEcho::TYPE, chunk),
            Self::CookieAck => ("COOKIE-ACK", CookieAck::TYPE, &CookieAck),
            Self::ShutdownComplete(chunk) => ("SHUTDOWN-COMPLETE", ShutdownComplete::TYPE, chunk),
            Self::IData(chunk) => ("I-DATA", IData::TYPE, chunk),
            Self::ReConfig(chunk) => ("RE-CONFIG", ReConfig::TYPE, chunk),
            Self::Pad(chunk) => ("PAD", Pad::TYPE, chunk),
            Self::ForwardTsn(chunk) => ("FORWARD-TSN", ForwardTsn::TYPE, chunk),
            Self::IForwardTsn(chunk) => ("I-FORWARD-TSN", IForwardTsn::TYPE, chunk),
            Self::Unknown(chunk) => ("unknown chunk", chunk.kind, chunk),
        }
    }
}

impl WriteChunk for Chunk<'_> {
    fn kind(&self) -> u8 {
        self.parts().1
    }

    fn flags(&self) -> u8 {
        self.parts().2.flags()
    }

    fn value_len(&self) -> usize {
        self.parts().2.value_len()
    }

    fn write_value(&self, out: &mut BytesMut) {
        self.parts().2.write_value(out);
    }
}

/// One log line of bounded length.
impl fmt::Display for Chunk<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, _, contents) = self.parts();
        write!(f, "{name}{contents}")
    }
}

/// What [`Chunk`] needs of each chunk. `Display` is what stands behind the name, each field with a space before it.
trait Contents: WriteChunk + fmt::Display {}

impl<T: WriteChunk + fmt::Display> Contents for T {}

/// A chunk of a type that is not known here.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct UnknownChunk<'a> {
    /// Its type.
    pub(crate) kind: u8,
    /// Its flags.
    pub(crate) flags: u8,
    /// Its value, without padding.
    pub(crate) value: &'a [u8],
}

impl UnknownChunk<'_> {
    /// RFC 9260 §3.2: what the two high bits of the type ask for.
    pub(crate) fn action(&self) -> UnknownAction {
        UnknownAction::of(self.kind)
    }
}

impl WriteChunk for UnknownChunk<'_> {
    fn kind(&self) -> u8 {
        self.kind
    }

    fn flags(&self) -> u8 {
        self.flags
    }

    fn value_len(&self) -> usize {
        self.value.len()
    }

    fn write_value(&self, out: &mut BytesMut) {
        out.put_slice(self.value);
    }
}

impl fmt::Display for UnknownChunk<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, " type={:#04x} flags={:#04x} len={}", self.kind, self.flags, self.value.len())
    }
}

/// What the two high bits of an unknown type ask for (RFC 9260 §3.2 and §3.2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum UnknownAction {
    /// 00: stop here, discard this and all that follows.
    Stop,
    /// 01: the same, and report it.
    StopAndReport,
    /// 10: pass over it.
    Skip,
    /// 11: pass over it, and report it.
    SkipAndReport,
}

impl UnknownAction {
    /// Of a type's first byte.
    pub(super) fn of(first_byte: u8) -> Self {
        match (first_byte & 0x80 != 0, first_byte & 0x40 != 0) {
            (false, false) => Self::Stop,
            (false, true) => Self::StopAndReport,
            (true, false) => Self::Skip,
            (true, true) => Self::SkipAndReport,
        }
    }

    /// Whether nothing behind it may be looked at.
    pub(crate) fn stops(self) -> bool {
        match self {
            Self::Stop | Self::StopAndReport => true,
            Self::Skip | Self::SkipAndReport => false,
        }
    }

    /// Whether the peer is to be told.
    pub(crate) fn reports(self) -> bool {
        match self {
            Self::StopAndReport | Self::SkipAndReport => true,
            Self::Stop | Self::Skip => false,
        }
    }
}

/// Type, flags and length.
pub(super) const HEADER_LEN: usize = 4;
