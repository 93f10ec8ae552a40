//! RE-CONFIG and its parameters (RFC 6525 §3, §4).

use super::list::List;
use super::text::Few;
use super::tlv::{Tlv, TlvList, Unknown};
use super::{ParseError, RawChunk, Reader, WriteChunk};
use crate::number::{StreamId, Tsn};
use bytes::{BufMut, BytesMut};
use std::fmt;

/// Asks to change the streams, or answers that.
///
/// ```text
/// | Type = 130    |  Chunk Flags  |      Chunk Length             |
/// \                  Re-configuration Parameter                   /
/// \             Re-configuration Parameter (optional)             /
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct ReConfig<'a> {
    pub(crate) parameters: ReconfigParameters<'a>,
}

/// The parameters of a RE-CONFIG.
pub(crate) type ReconfigParameters<'a> = TlvList<'a, ReconfigParameter<'a>>;

impl<'a> ReConfig<'a> {
    pub(super) const TYPE: u8 = 130;

    pub(super) fn parse(raw: &RawChunk<'a>) -> Result<Self, ParseError> {
        Ok(Self { parameters: ReconfigParameters::parse(raw.value)? })
    }
}

impl WriteChunk for ReConfig<'_> {
    fn kind(&self) -> u8 {
        Self::TYPE
    }

    fn flags(&self) -> u8 {
        0
    }

    fn value_len(&self) -> usize {
        self.parameters.wire_len()
    }

    fn write_value(&self, out: &mut BytesMut) {
        self.parameters.write(out);
    }
}

impl fmt::Display for ReConfig<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.parameters, f)
    }
}

/// A request about streams, or the answer to one. Sequence numbers are as on the wire: each side counts its requests
/// up from its initial TSN.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum ReconfigParameter<'a> {
    /// 13: the sender resets its outgoing direction of these streams (no streams: of all).
    OutgoingReset {
        request: u32,
        /// The request of the peer that this one answers, if it does.
        response: u32,
        /// The last TSN that was assigned before.
        last_tsn: Tsn,
        streams: List<'a, StreamId>,
    },
    /// 14: the peer is asked to reset its outgoing direction of these streams (no streams: of all).
    IncomingReset { request: u32, streams: List<'a, StreamId> },
    /// 15
    TsnReset { request: u32 },
    /// 16
    Response {
        response: u32,
        result: ReconfigResult,
        /// In answers to [`TsnReset`](Self::TsnReset) only.
        next_tsns: Option<NextTsns>,
    },
    /// 17
    AddOutgoing { request: u32, count: u16 },
    /// 18
    AddIncoming { request: u32, count: u16 },
    /// Any other one; [`Unknown::action`] tells what to do about it.
    Unknown(Unknown<'a>),
}

/// The next TSNs after a reset of the TSNs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NextTsns {
    pub(crate) sender: Tsn,
    pub(crate) receiver: Tsn,
}

/// The result of a request (RFC 6525 §4.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ReconfigResult {
    /// 0: success, nothing to do.
    NothingToDo,
    /// 1: success.
    Performed,
    /// 2
    Denied,
    /// 3
    WrongSsn,
    /// 4: another request is in progress.
    AlreadyInProgress,
    /// 5
    BadSequenceNumber,
    /// 6: not yet; ask again.
    InProgress,
    /// Not assigned.
    Other(u32),
}

impl ReconfigResult {
    fn from_wire(value: u32) -> Self {
        match value {
            0 => Self::NothingToDo,
            1 => Self::Performed,
            2 => Self::Denied,
            3 => Self::WrongSsn,
            4 => Self::AlreadyInProgress,
            5 => Self::BadSequenceNumber,
            6 => Self::InProgress,
            other => Self::Other(other),
        }
    }

    fn to_wire(self) -> u32 {
        match self {
            Self::NothingToDo => 0,
            Self::Performed => 1,
            Self::Denied => 2,
            Self::WrongSsn => 3,
            Self::AlreadyInProgress => 4,
            Self::BadSequenceNumber => 5,
            Self::InProgress => 6,
            Self::Other(value) => value,
        }
    }
}

impl<'a> Tlv<'a> for ReconfigParameter<'a> {
    fn parse(field: Unknown<'a>) -> Result<Self, ParseError> {
        let mut reader = Reader::new(field.value);
        let parameter = match field.kind {
            OUTGOING_RESET => {
                return Ok(Self::OutgoingReset {
                    request: reader.u32()?,
                    response: reader.u32()?,
                    last_tsn: Tsn(reader.u32()?),
                    streams: List::parse(reader.rest())?,
                });
            }
            INCOMING_RESET => {
                return Ok(Self::IncomingReset {
                    request: reader.u32()?,
                    streams: List::parse(reader.rest())?,
                });
            }
            TSN_RESET => Self::TsnReset { request: reader.u32()? },
            RESPONSE => Self::Response {
                response: reader.u32()?,
                result: ReconfigResult::from_wire(reader.u32()?),
                next_tsns: if reader.is_empty() {
                    None
                } else {
                    Some(NextTsns { sender: Tsn(reader.u32()?), receiver: Tsn(reader.u32()?) })
                },
            },
            ADD_OUTGOING | ADD_INCOMING => {
                let request = reader.u32()?;
                let count = reader.u16()?;
                let _reserved = reader.u16()?;
                if field.kind == ADD_OUTGOING {
                    Self::AddOutgoing { request, count }
                } else {
                    Self::AddIncoming { request, count }
                }
            }
            _ => return Ok(Self::Unknown(field)),
        };
        reader.finish()?;
        Ok(parameter)
    }

    fn kind(&self) -> u16 {
        match self {
            Self::OutgoingReset { .. } => OUTGOING_RESET,
            Self::IncomingReset { .. } => INCOMING_RESET,
            Self::TsnReset { .. } => TSN_RESET,
            Self::Response { .. } => RESPONSE,
            Self::AddOutgoing { .. } => ADD_OUTGOING,
            Self::AddIncoming { .. } => ADD_INCOMING,
            Self::Unknown(field) => field.kind,
        }
    }

    fn value_len(&self) -> usize {
        match self {
            Self::OutgoingReset { streams, .. } => streams.wire_len().saturating_add(12),
            Self::IncomingReset { streams, .. } => streams.wire_len().saturating_add(4),
            Self::TsnReset { .. } => 4,
            Self::Response { next_tsns: None, .. } => 8,
            Self::Response { next_tsns: Some(_), .. } => 16,
            Self::AddOutgoing { .. } | Self::AddIncoming { .. } => 8,
            Self::Unknown(field) => field.value.len(),
        }
    }

    fn write_value(&self, out: &mut BytesMut) {
        match self {
            Self::OutgoingReset { request, response, last_tsn, streams } => {
                out.put_u32(*request);
                out.put_u32(*response);
                out.put_u32(last_tsn.0);
                streams.write(out);
            }
            Self::IncomingReset { request, streams } => {
                out.put_u32(*request);
                streams.write(out);
            }
            Self::TsnReset { request } => out.put_u32(*request),
            Self::Response { response, result, next_tsns } => {
                out.put_u32(*response);
                out.put_u32(result.to_wire());
                if let Some(next) = next_tsns {
                    out.put_u32(next.sender.0);
                    out.put_u32(next.receiver.0);
                }
            }
            Self::AddOutgoing { request, count } | Self::AddIncoming { request, count } => {
                out.put_u32(*request);
                out.put_u16(*count);
                out.put_u16(0);
            }
            Self::Unknown(field) => out.put_slice(field.value),
        }
    }

    fn stops(&self) -> bool {
        matches!(self, Self::Unknown(field) if field.action().stops())
    }
}

impl fmt::Display for ReconfigParameter<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OutgoingReset { request, response, last_tsn, streams } => write!(
                f,
                "outgoing-reset(request={request} response={response} last={} streams={})",
                last_tsn.0,
                Few(streams.iter())
            ),
            Self::IncomingReset { request, streams } => {
                write!(f, "incoming-reset(request={request} streams={})", Few(streams.iter()))
            }
            Self::TsnReset { request } => write!(f, "tsn-reset(request={request})"),
            Self::Response { response, result, next_tsns: _ } => {
                write!(f, "response({response} {result:?})")
            }
            Self::AddOutgoing { request, count } => write!(f, "add-outgoing(request={request} {count})"),
            Self::AddIncoming { request, count } => write!(f, "add-incoming(request={request} {count})"),
            Self::Unknown(field) => write!(f, "{field}"),
        }
    }
}

const OUTGOING_RESET: u16 = 13;
const INCOMING_RESET: u16 = 14;
const TSN_RESET: u16 = 15;
const RESPONSE: u16 = 16;
const ADD_OUTGOING: u16 = 17;
const ADD_INCOMING: u16 = 18;
