//! Error causes (RFC 9260 §3.3.10).

use super::list::List;
use super::text::{Escaped, Few};
use super::tlv::{Tlv, TlvList, Unknown};
use super::{ParseError, Reader};
use crate::number::{StreamId, Tsn};
use bytes::{BufMut, BytesMut};
use std::fmt;

/// The error causes of an ABORT or ERROR.
pub(crate) type Causes<'a> = TlvList<'a, Cause<'a>>;

/// An error cause.
///
/// ```text
/// |           Cause Code          |       Cause Length            |
/// \                    Cause-Specific Information                 /
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Cause<'a> {
    /// 1: DATA for a stream that does not exist.
    InvalidStream(StreamId),
    /// 2: the types of parameters that an INIT or INIT ACK lacks.
    MissingParameters(List<'a, u16>),
    /// 3: how much too old the cookie is, in microseconds, or 0.
    StaleCookie(u32),
    /// 4
    OutOfResource,
    /// 5: the whole address parameter.
    UnresolvableAddress(&'a [u8]),
    /// 6: the chunk with its header, possibly cut.
    UnrecognizedChunk(&'a [u8]),
    /// 7
    InvalidMandatoryParameter,
    /// 8: parameters of an INIT ACK, whole, that were not known.
    UnrecognizedParameters(&'a [u8]),
    /// 9: a DATA chunk without payload.
    NoUserData(Tsn),
    /// 10
    CookieWhileShuttingDown,
    /// 11: the address parameters.
    RestartWithNewAddresses(&'a [u8]),
    /// 12: a text for the other side's user.
    UserInitiatedAbort(&'a [u8]),
    /// 13: anything that explains it.
    ProtocolViolation(&'a [u8]),
    /// Any other one.
    Unknown(Unknown<'a>),
}

impl<'a> Tlv<'a> for Cause<'a> {
    fn parse(field: Unknown<'a>) -> Result<Self, ParseError> {
        let mut reader = Reader::new(field.value);
        let cause = match field.kind {
            INVALID_STREAM => {
                let stream = StreamId(reader.u16()?);
                let _reserved = reader.u16()?;
                Self::InvalidStream(stream)
            }
            MISSING_PARAMETERS => {
                let count = reader.u32()?;
                let types = List::parse(reader.rest())?;
                // RFC 9260 §3.3.10.2: the cause length is "8 + N * 2".
                return if usize::try_from(count) == Ok(types.len()) {
                    Ok(Self::MissingParameters(types))
                } else {
                    Err(ParseError::Count)
                };
            }
            STALE_COOKIE => Self::StaleCookie(reader.u32()?),
            OUT_OF_RESOURCE => Self::OutOfResource,
            UNRESOLVABLE_ADDRESS => return Ok(Self::UnresolvableAddress(field.value)),
            UNRECOGNIZED_CHUNK => return Ok(Self::UnrecognizedChunk(field.value)),
            INVALID_MANDATORY_PARAMETER => Self::InvalidMandatoryParameter,
            UNRECOGNIZED_PARAMETERS => return Ok(Self::UnrecognizedParameters(field.value)),
            NO_USER_DATA => Self::NoUserData(Tsn(reader.u32()?)),
            COOKIE_WHILE_SHUTTING_DOWN => Self::CookieWhileShuttingDown,
            RESTART_WITH_NEW_ADDRESSES => return Ok(Self::RestartWithNewAddresses(field.value)),
            USER_INITIATED_ABORT => return Ok(Self::UserInitiatedAbort(field.value)),
            PROTOCOL_VIOLATION => return Ok(Self::ProtocolViolation(field.value)),
            _ => return Ok(Self::Unknown(field)),
        };
        reader.finish()?;
        Ok(cause)
    }

    fn kind(&self) -> u16 {
        match self {
            Self::InvalidStream(_) => INVALID_STREAM,
            Self::MissingParameters(_) => MISSING_PARAMETERS,
            Self::StaleCookie(_) => STALE_COOKIE,
            Self::OutOfResource => OUT_OF_RESOURCE,
            Self::UnresolvableAddress(_) => UNRESOLVABLE_ADDRESS,
            Self::UnrecognizedChunk(_) => UNRECOGNIZED_CHUNK,
            Self::InvalidMandatoryParameter => INVALID_MANDATORY_PARAMETER,
            Self::UnrecognizedParameters(_) => UNRECOGNIZED_PARAMETERS,
            Self::NoUserData(_) => NO_USER_DATA,
            Self::CookieWhileShuttingDown => COOKIE_WHILE_SHUTTING_DOWN,
            Self::RestartWithNewAddresses(_) => RESTART_WITH_NEW_ADDRESSES,
            Self::UserInitiatedAbort(_) => USER_INITIATED_ABORT,
            Self::ProtocolViolation(_) => PROTOCOL_VIOLATION,
            Self::Unknown(field) => field.kind,
        }
    }

    fn value_len(&self) -> usize {
        match self {
            Self::OutOfResource | Self::InvalidMandatoryParameter | Self::CookieWhileShuttingDown => 0,
            Self::InvalidStream(_) | Self::StaleCookie(_) | Self::NoUserData(_) => 4,
            Self::MissingParameters(types) => types.wire_len().saturating_add(4),
            Self::UnresolvableAddress(value)
            | Self::UnrecognizedChunk(value)
            | Self::UnrecognizedParameters(value)
            | Self::RestartWithNewAddresses(value)
            | Self::UserInitiatedAbort(value)
            | Self::ProtocolViolation(value) => value.len(),
            Self::Unknown(field) => field.value.len(),
        }
    }

    fn write_value(&self, out: &mut BytesMut) {
        match self {
            Self::OutOfResource | Self::InvalidMandatoryParameter | Self::CookieWhileShuttingDown => {}
            Self::InvalidStream(stream) => {
                out.put_u16(stream.0);
                out.put_u16(0);
            }
            Self::MissingParameters(types) => {
                out.put_u32(u32::from(types.count_field()));
                types.write(out);
            }
            Self::StaleCookie(staleness) => out.put_u32(*staleness),
            Self::NoUserData(tsn) => out.put_u32(tsn.0),
            Self::UnresolvableAddress(value)
            | Self::UnrecognizedChunk(value)
            | Self::UnrecognizedParameters(value)
            | Self::RestartWithNewAddresses(value)
            | Self::UserInitiatedAbort(value)
            | Self::ProtocolViolation(value) => out.put_slice(value),
            Self::Unknown(field) => out.put_slice(field.value),
        }
    }

    /// The two high bits of a cause code have no meaning.
    fn stops(&self) -> bool {
        false
    }
}

impl fmt::Display for Cause<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InvalidStream(stream) => write!(f, "invalid-stream({stream})"),
            Self::MissingParameters(types) => write!(f, "missing-parameters{}", Few(types.iter())),
            Self::StaleCookie(staleness) => write!(f, "stale-cookie({staleness})"),
            Self::OutOfResource => f.write_str("out-of-resource"),
            Self::UnresolvableAddress(value) => write!(f, "unresolvable-address({})", value.len()),
            Self::UnrecognizedChunk(value) => write!(f, "unrecognized-chunk({})", value.len()),
            Self::InvalidMandatoryParameter => f.write_str("invalid-mandatory-parameter"),
            Self::UnrecognizedParameters(value) => write!(f, "unrecognized-parameters({})", value.len()),
            Self::NoUserData(tsn) => write!(f, "no-user-data({})", tsn.0),
            Self::CookieWhileShuttingDown => f.write_str("cookie-while-shutting-down"),
            Self::RestartWithNewAddresses(value) => write!(f, "restart-with-new-addresses({})", value.len()),
            Self::UserInitiatedAbort(text) => write!(f, "user-initiated-abort({})", Escaped(text)),
            Self::ProtocolViolation(text) => write!(f, "protocol-violation({})", Escaped(text)),
            Self::Unknown(field) => write!(f, "cause {field}"),
        }
    }
}

/// A cause code with its name in RFC 9260 §3.3.10.
pub(crate) struct CauseCode(pub(crate) u16);

impl fmt::Display for CauseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self.0 {
            INVALID_STREAM => "Invalid Stream Identifier",
            MISSING_PARAMETERS => "Missing Mandatory Parameter",
            STALE_COOKIE => "Stale Cookie",
            OUT_OF_RESOURCE => "Out of Resource",
            UNRESOLVABLE_ADDRESS => "Unresolvable Address",
            UNRECOGNIZED_CHUNK => "Unrecognized Chunk Type",
            INVALID_MANDATORY_PARAMETER => "Invalid Mandatory Parameter",
            UNRECOGNIZED_PARAMETERS => "Unrecognized Parameters",
            NO_USER_DATA => "No User Data",
            COOKIE_WHILE_SHUTTING_DOWN => "Cookie Received While Shutting Down",
            RESTART_WITH_NEW_ADDRESSES => "Restart of an Association with New Addresses",
            USER_INITIATED_ABORT => "User-Initiated Abort",
            PROTOCOL_VIOLATION => "Protocol Violation",
            code => return write!(f, "{code}"),
        };
        write!(f, "{} ({name})", self.0)
    }
}

const INVALID_STREAM: u16 = 1;
const MISSING_PARAMETERS: u16 = 2;
const STALE_COOKIE: u16 = 3;
const OUT_OF_RESOURCE: u16 = 4;
const UNRESOLVABLE_ADDRESS: u16 = 5;
const UNRECOGNIZED_CHUNK: u16 = 6;
const INVALID_MANDATORY_PARAMETER: u16 = 7;
const UNRECOGNIZED_PARAMETERS: u16 = 8;
const NO_USER_DATA: u16 = 9;
const COOKIE_WHILE_SHUTTING_DOWN: u16 = 10;
const RESTART_WITH_NEW_ADDRESSES: u16 = 11;
const USER_INITIATED_ABORT: u16 = 12;
const PROTOCOL_VIOLATION: u16 = 13;

#[cfg(test)]
#[allow(clippy::indexing_slicing, clippy::arithmetic_side_effects, reason = "a panic is a failed test")]
mod tests {
    use super::super::testing::*;
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    fn parsed(bytes: &[u8]) -> Vec<Result<Cause<'_>, ParseError>> {
        Causes::parse(bytes).expect("sound lengths").iter().collect()
    }

    /// RFC 9260 §3.3.10.1 to §3.3.10.13: each cause as it is drawn there.
    #[test]
    fn from_the_diagrams() {
        let types = [7, 8, 9];
        let unknown = Unknown { kind: 0x00b0, value: &[1, 2] };
        for (bytes, cause, shown) in [
            ("00010008 00070000", Cause::InvalidStream(StreamId(7)), "invalid-stream(7)"),
            (
                "0002000e 00000003 0007 0008 0009",
                Cause::MissingParameters(List::new(&types)),
                "missing-parameters[7,8,9]",
            ),
            ("00030008 000003e8", Cause::StaleCookie(1000), "stale-cookie(1000)"),
            ("00040004", Cause::OutOfResource, "out-of-resource"),
            ("00050006 0102", Cause::UnresolvableAddress(&[1, 2]), "unresolvable-address(2)"),
            ("00060008 20000004", Cause::UnrecognizedChunk(&[0x20, 0, 0, 4]), "unrecognized-chunk(4)"),
            ("00070004", Cause::InvalidMandatoryParameter, "invalid-mandatory-parameter"),
            (
                "00080008 c0200004",
                Cause::UnrecognizedParameters(&[0xc0, 0x20, 0, 4]),
                "unrecognized-parameters(4)",
            ),
            ("00090008 00000005", Cause::NoUserData(Tsn(5)), "no-user-data(5)"),
            ("000a0004", Cause::CookieWhileShuttingDown, "cookie-while-shutting-down"),
            ("000b0006 0102", Cause::RestartWithNewAddresses(&[1, 2]), "restart-with-new-addresses(2)"),
            ("000c0007 627965", Cause::UserInitiatedAbort(b"bye"), r#"user-initiated-abort("bye")"#),
            ("000d0007 6e0a6f", Cause::ProtocolViolation(b"n\no"), r#"protocol-violation("n\no")"#),
            ("00b00006 0102", Cause::Unknown(unknown), "cause 0x00b0(2)"),
        ] {
            let bytes = hex(bytes);
            assert_eq!(parsed(&bytes), [Ok(cause)], "{shown}");
            assert_eq!(cause.to_string(), shown);
            let mut out = BytesMut::new();
            Causes::new(&[cause]).write(&mut out);
            assert_eq!(out, bytes);
            for length in 1..bytes.len() {
                assert!(Causes::parse(&bytes[..length]).is_err(), "{length} bytes of {shown}");
            }
        }
    }

    /// A cause of the wrong size is an error of its own; the ones behind it are still given.
    #[test]
    fn impossible_values() {
        for (bytes, error) in [
            ("00010006 0007", ParseError::Truncated),
            ("0002000e 00000002 0007 0008 0009", ParseError::Count),
            ("0002000e 00000004 0007 0008 0009", ParseError::Count),
            ("0002000e ffffffff 0007 0008 0009", ParseError::Count),
            ("0002000b 00000001 000700", ParseError::Count),
            ("0003000c 00000001 00000001", ParseError::Trailing(4)),
            ("00040008 00000000", ParseError::Trailing(4)),
            ("00090004", ParseError::Truncated),
        ] {
            let mut bytes = hex(bytes);
            bytes.resize(bytes.len().next_multiple_of(4), 0);
            bytes.extend_from_slice(&hex("000a0004"));
            assert_eq!(parsed(&bytes), [Err(error), Ok(Cause::CookieWhileShuttingDown)], "{bytes:02x?}");
        }
    }

    proptest! {
        #[test]
        fn round_trip(
            (kind, number, stream) in (14_u16.., any::<u32>(), any::<u16>()),
            value in bytes(),
            types in vec(any::<u16>(), 0..9),
        ) {
            let all = [
                Cause::InvalidStream(StreamId(stream)),
                Cause::MissingParameters(List::new(&types)),
                Cause::StaleCookie(number),
                Cause::OutOfResource,
                Cause::UnresolvableAddress(&value),
                Cause::UnrecognizedChunk(&value),
                Cause::InvalidMandatoryParameter,
                Cause::UnrecognizedParameters(&value),
                Cause::NoUserData(Tsn(number)),
                Cause::CookieWhileShuttingDown,
                Cause::RestartWithNewAddresses(&value),
                Cause::UserInitiatedAbort(&value),
                Cause::ProtocolViolation(&value),
                Cause::Unknown(Unknown { kind, value: &value }),
            ];
            let list = Causes::new(&all);
            let mut out = BytesMut::new();
            list.write(&mut out);
            prop_assert_eq!(out.len(), list.wire_len());
            let parsed = Causes::parse(&out).expect("own causes are sound");
            prop_assert_eq!(parsed, list);
            prop_assert_eq!(parsed.iter().count(), all.len());
        }
    }
}
