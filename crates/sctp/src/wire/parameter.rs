//! Parameters of INIT and INIT ACK (RFC 9260 §3.2.1, §3.3.2.1, §3.3.3.1).

use super::list::List;
use super::tlv::{Tlv, TlvList, Unknown};
use super::{Escaped, ParseError, Reader};
use bytes::{BufMut, BytesMut};
use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

/// The parameters of an INIT or INIT ACK.
pub(crate) type Parameters<'a> = TlvList<'a, Parameter<'a>>;

/// A parameter.
///
/// ```text
/// |          Parameter Type       |       Parameter Length        |
/// \                       Parameter Value                         /
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Parameter<'a> {
    /// 5. Never sent, and ignored, over DTLS (RFC 8261 §6.1).
    Ipv4(Ipv4Addr),
    /// 6. The same.
    Ipv6(Ipv6Addr),
    /// 7, of INIT ACK.
    StateCookie(&'a [u8]),
    /// 8, of INIT ACK: a parameter of the INIT, whole, that was not known.
    Unrecognized(&'a [u8]),
    /// 9: suggested increment of the cookie's life, in milliseconds.
    CookiePreservative(u32),
    /// 11: RFC 9260 §3.3.2.1.4 has it refused with an ABORT.
    HostName(&'a [u8]),
    /// 12: parameter types of addresses.
    SupportedAddressTypes(List<'a, u16>),
    /// 0x8000.
    EcnCapable,
    /// 0x8001, RFC 9653: the error detection method (1 is DTLS) under which packets with a zero checksum are accepted.
    ZeroChecksumAcceptable(u32),
    /// 0x8008, RFC 5061 §4.2.7: chunk types beyond RFC 9260 that the sender supports.
    SupportedExtensions(&'a [u8]),
    /// 0xC000, RFC 3758 §3.1.
    ForwardTsnSupported,
    /// Any other one; [`Unknown::action`] tells what to do about it.
    Unknown(Unknown<'a>),
}

impl<'a> Tlv<'a> for Parameter<'a> {
    fn parse(field: Unknown<'a>) -> Result<Self, ParseError> {
        let mut reader = Reader::new(field.value);
        let parameter = match field.kind {
            IPV4 => Self::Ipv4(Ipv4Addr::from(reader.array()?)),
            IPV6 => Self::Ipv6(Ipv6Addr::from(reader.array::<16>()?)),
            STATE_COOKIE => return Ok(Self::StateCookie(field.value)),
            UNRECOGNIZED => return Ok(Self::Unrecognized(field.value)),
            COOKIE_PRESERVATIVE => Self::CookiePreservative(reader.u32()?),
            HOST_NAME => return Ok(Self::HostName(field.value)),
            SUPPORTED_ADDRESS_TYPES => return List::parse(field.value).map(Self::SupportedAddressTypes),
            ECN_CAPABLE => Self::EcnCapable,
            ZERO_CHECKSUM_ACCEPTABLE => Self::ZeroChecksumAcceptable(reader.u32()?),
            SUPPORTED_EXTENSIONS => return Ok(Self::SupportedExtensions(field.value)),
            FORWARD_TSN_SUPPORTED => Self::ForwardTsnSupported,
            _ => return Ok(Self::Unknown(field)),
        };
        reader.finish()?;
        Ok(parameter)
    }

    fn kind(&self) -> u16 {
        match self {
            Self::Ipv4(_) => IPV4,
            Self::Ipv6(_) => IPV6,
            Self::StateCookie(_) => STATE_COOKIE,
            Self::Unrecognized(_) => UNRECOGNIZED,
            Self::CookiePreservative(_) => COOKIE_PRESERVATIVE,
            Self::HostName(_) => HOST_NAME,
            Self::SupportedAddressTypes(_) => SUPPORTED_ADDRESS_TYPES,
            Self::EcnCapable => ECN_CAPABLE,
            Self::ZeroChecksumAcceptable(_) => ZERO_CHECKSUM_ACCEPTABLE,
            Self::SupportedExtensions(_) => SUPPORTED_EXTENSIONS,
            Self::ForwardTsnSupported => FORWARD_TSN_SUPPORTED,
            Self::Unknown(field) => field.kind,
        }
    }

    fn value_len(&self) -> usize {
        match self {
            Self::EcnCapable | Self::ForwardTsnSupported => 0,
            Self::Ipv4(_) | Self::CookiePreservative(_) | Self::ZeroChecksumAcceptable(_) => 4,
            Self::Ipv6(_) => 16,
            Self::StateCookie(value)
            | Self::Unrecognized(value)
            | Self::HostName(value)
            | Self::SupportedExtensions(value) => value.len(),
            Self::SupportedAddressTypes(types) => types.wire_len(),
            Self::Unknown(field) => field.value.len(),
        }
    }

    fn write_value(&self, out: &mut BytesMut) {
        match self {
            Self::EcnCapable | Self::ForwardTsnSupported => {}
            Self::Ipv4(address) => out.put_slice(&address.octets()),
            Self::Ipv6(address) => out.put_slice(&address.octets()),
            Self::CookiePreservative(value) | Self::ZeroChecksumAcceptable(value) => out.put_u32(*value),
            Self::StateCookie(value)
            | Self::Unrecognized(value)
            | Self::HostName(value)
            | Self::SupportedExtensions(value) => out.put_slice(value),
            Self::SupportedAddressTypes(types) => types.write(out),
            Self::Unknown(field) => out.put_slice(field.value),
        }
    }

    fn stops(&self) -> bool {
        matches!(self, Self::Unknown(field) if field.action().stops())
    }
}

impl fmt::Display for Parameter<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ipv4(address) => write!(f, "{address}"),
            Self::Ipv6(address) => write!(f, "{address}"),
            Self::StateCookie(value) => write!(f, "state-cookie({})", value.len()),
            Self::Unrecognized(value) => write!(f, "unrecognized({})", value.len()),
            Self::CookiePreservative(value) => write!(f, "cookie-preservative({value})"),
            Self::HostName(value) => write!(f, "host-name({})", Escaped(value)),
            Self::SupportedAddressTypes(types) => write!(f, "address-types({})", types.len()),
            Self::EcnCapable => f.write_str("ecn"),
            Self::ZeroChecksumAcceptable(method) => write!(f, "zero-checksum({method})"),
            Self::SupportedExtensions(types) => write!(f, "extensions({:02x?})", head(types)),
            Self::ForwardTsnSupported => f.write_str("forward-tsn"),
            Self::Unknown(field) => write!(f, "{field}"),
        }
    }
}

/// The first few, for a log line.
fn head(types: &[u8]) -> &[u8] {
    types.get(..16).unwrap_or(types)
}

const IPV4: u16 = 5;
const IPV6: u16 = 6;
pub(crate) const STATE_COOKIE: u16 = 7;
const UNRECOGNIZED: u16 = 8;
const COOKIE_PRESERVATIVE: u16 = 9;
const HOST_NAME: u16 = 11;
const SUPPORTED_ADDRESS_TYPES: u16 = 12;
const ECN_CAPABLE: u16 = 0x8000;
const ZERO_CHECKSUM_ACCEPTABLE: u16 = 0x8001;
const SUPPORTED_EXTENSIONS: u16 = 0x8008;
const FORWARD_TSN_SUPPORTED: u16 = 0xC000;
