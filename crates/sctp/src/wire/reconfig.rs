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

#[cfg(test)]
#[allow(clippy::indexing_slicing, clippy::arithmetic_side_effects, reason = "a panic is a failed test")]
mod tests {
    use super::super::Chunk;
    use super::super::testing::*;
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    /// Firefox closes all its channels.
    #[test]
    fn request_from_capture() {
        let packet =
            hex("138813881f95eacc70f9864d8200001e000d001ab29885a7b29885a7b29885ca000100030005000700090000");
        let streams = [1, 3, 5, 7, 9].map(StreamId);
        let parameters = [ReconfigParameter::OutgoingReset {
            request: 2_996_340_135,
            response: 2_996_340_135,
            last_tsn: Tsn(2_996_340_170),
            streams: List::new(&streams),
        }];
        let expected = ReConfig { parameters: ReconfigParameters::new(&parameters) };
        assert_eq!(only_chunk(&packet), Chunk::ReConfig(expected));
        assert_eq!(written(&expected), packet[12..42]);
        assert_eq!(
            Chunk::ReConfig(expected).to_string(),
            "RE-CONFIG outgoing-reset(request=2996340135 response=2996340135 last=2996340170 streams=[1,3,5,7,9])"
        );
    }

    /// libdatachannel has done what it was asked.
    #[test]
    fn response_from_capture() {
        let packet = hex("1388138862dbf143e84ac00d820000100010000c70d6862f00000001");
        let parameters = [ReconfigParameter::Response {
            response: 1_893_107_247,
            result: ReconfigResult::Performed,
            next_tsns: None,
        }];
        let expected = ReConfig { parameters: ReconfigParameters::new(&parameters) };
        assert_eq!(only_chunk(&packet), Chunk::ReConfig(expected));
        assert_eq!(written(&expected), packet[12..]);
        assert_eq!(Chunk::ReConfig(expected).to_string(), "RE-CONFIG response(1893107247 Performed)");
    }

    /// RFC 6525 §4: each parameter as it is drawn there.
    #[test]
    fn parameters_from_the_diagrams() {
        let streams = [StreamId(1), StreamId(2), StreamId(3)];
        let next_tsns = Some(NextTsns { sender: Tsn(7), receiver: Tsn(8) });
        for (bytes, parameter) in [
            (
                "000e000e 00000001 0001 0002 0003",
                ReconfigParameter::IncomingReset { request: 1, streams: List::new(&streams) },
            ),
            ("000f0008 00000002", ReconfigParameter::TsnReset { request: 2 }),
            (
                "00100014 00000003 00000006 00000007 00000008",
                ReconfigParameter::Response { response: 3, result: ReconfigResult::InProgress, next_tsns },
            ),
            ("0011000c 00000004 0005 0000", ReconfigParameter::AddOutgoing { request: 4, count: 5 }),
            ("0012000c 00000006 0007 0000", ReconfigParameter::AddIncoming { request: 6, count: 7 }),
        ] {
            let bytes = hex(bytes);
            let mut chunk = vec![130, 0, 0, 4 + u8::try_from(bytes.len()).unwrap()];
            chunk.extend_from_slice(&bytes);
            let parameters = [parameter];
            let expected = ReConfig { parameters: ReconfigParameters::new(&parameters) };
            assert_eq!(parse_chunk(&chunk), Ok(Chunk::ReConfig(expected)));
            assert_eq!(written(&expected), chunk);
            assert_every_truncation_is_an_error(&chunk);
        }
    }

    /// Values that are cut or too long make an error of that parameter.
    #[test]
    fn impossible_values() {
        for (bytes, error) in [
            ("000d000c 00000001 00000002", ParseError::Truncated),
            ("000d0011 00000001 00000002 00000003 ff", ParseError::Count),
            ("000e0009 00000001 ff", ParseError::Count),
            ("000f0009 00000001 ff", ParseError::Trailing(1)),
            ("00100010 00000001 00000001 00000001", ParseError::Truncated),
            ("00100015 00000001 00000001 00000001 00000001 ff", ParseError::Trailing(1)),
            ("0011000a 00000001 0002", ParseError::Truncated),
        ] {
            let bytes = hex(bytes);
            let parameters = ReconfigParameters::parse(&bytes).expect("sound lengths");
            assert_eq!(parameters.iter().collect::<Vec<_>>(), [Err(error)], "{bytes:02x?}");
        }
    }

    #[test]
    fn every_truncation_is_an_error() {
        assert_every_truncation_is_an_error(&hex(
            "8200001c 000d0010 00000001 00000002 00000003 000f0008 00000004",
        ));
    }

    proptest! {
        #[test]
        fn round_trip(
            (request, response, tsn, count) in any::<(u32, u32, u32, u16)>(),
            result in 0_u32..9,
            next in any::<Option<(u32, u32)>>(),
            streams in vec(any::<u16>().prop_map(StreamId), 0..40),
        ) {
            let streams = List::new(&streams);
            let next_tsns = next.map(|(a, b)| NextTsns { sender: Tsn(a), receiver: Tsn(b) });
            let result = ReconfigResult::from_wire(result);
            let parameters = [
                ReconfigParameter::OutgoingReset { request, response, last_tsn: Tsn(tsn), streams },
                ReconfigParameter::IncomingReset { request, streams },
                ReconfigParameter::TsnReset { request },
                ReconfigParameter::Response { response, result, next_tsns },
                ReconfigParameter::AddOutgoing { request, count },
                ReconfigParameter::AddIncoming { request, count },
            ];
            for pair in parameters.windows(2) {
                assert_round_trip(&Chunk::ReConfig(ReConfig { parameters: ReconfigParameters::new(pair) }));
            }
        }
    }
}
