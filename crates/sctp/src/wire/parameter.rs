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
            // RFC 9653: the length is 8. One of another length promises nothing, and its type says to skip it.
            ZERO_CHECKSUM_ACCEPTABLE if field.value.len() == 4 => Self::ZeroChecksumAcceptable(reader.u32()?),
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

#[cfg(test)]
#[allow(clippy::indexing_slicing, clippy::arithmetic_side_effects, reason = "a panic is a failed test")]
mod tests {
    use super::super::UnknownAction;
    use super::super::testing::*;
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    fn parsed(bytes: &[u8]) -> Vec<Result<Parameter<'_>, ParseError>> {
        Parameters::parse(bytes).expect("sound lengths").iter().collect()
    }

    /// libdatachannel (usrsctp) has more than anybody: what belongs to RFC 4895 is unknown here and passed over.
    #[test]
    fn from_capture() {
        let bytes = hex("c0000004 80010008 00000001 80080009 c00fc180 82000000
             80020024 46021553 aaba757e 72b0debd b510dbd4 87dabfeb 1f1fda66 9a400566 2f54b5b4
             80040006 00010000 80030006 80c1");
        let random = &bytes[28..60];
        let unknown = |kind, value| Ok(Parameter::Unknown(Unknown { kind, value }));
        let expected = [
            Ok(Parameter::ForwardTsnSupported),
            Ok(Parameter::ZeroChecksumAcceptable(1)),
            Ok(Parameter::SupportedExtensions(&[0xc0, 0x0f, 0xc1, 0x80, 0x82])),
            unknown(0x8002, random),
            unknown(0x8004, &[0, 1]),
            unknown(0x8003, &[0x80, 0xc1]),
        ];
        assert_eq!(parsed(&bytes), expected);
        for parameter in expected {
            if let Ok(Parameter::Unknown(field)) = parameter {
                assert_eq!(field.action(), UnknownAction::Skip);
            }
        }
        assert_eq!(
            Parameters::parse(&bytes).unwrap().to_string(),
            " forward-tsn zero-checksum(1) extensions([c0, 0f, c1, 80, 82]) 0x8002(32) 0x8004(2) 0x8003(2)"
        );
    }

    /// RFC 9260 §3.3.2.1, §3.3.3.1: each parameter as it is drawn there.
    #[test]
    fn from_the_diagrams() {
        let types = [5, 6];
        for (bytes, parameter, shown) in [
            ("00050008 c0000201", Parameter::Ipv4(Ipv4Addr::new(192, 0, 2, 1)), "192.0.2.1"),
            (
                "00060014 20010db8 00000000 00000000 00000001",
                Parameter::Ipv6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1)),
                "2001:db8::1",
            ),
            ("00070007 010203", Parameter::StateCookie(&[1, 2, 3]), "state-cookie(3)"),
            ("00080008 40200004", Parameter::Unrecognized(&[0x40, 0x20, 0, 4]), "unrecognized(4)"),
            ("00090008 0000ea60", Parameter::CookiePreservative(60_000), "cookie-preservative(60000)"),
            ("000b0006 6100", Parameter::HostName(b"a\0"), r#"host-name("a\x00")"#),
            ("000c0008 0005 0006", Parameter::SupportedAddressTypes(List::new(&types)), "address-types(2)"),
            ("80000004", Parameter::EcnCapable, "ecn"),
            ("80010008 00000001", Parameter::ZeroChecksumAcceptable(1), "zero-checksum(1)"),
            (
                "80080007 40c082",
                Parameter::SupportedExtensions(&[0x40, 0xc0, 0x82]),
                "extensions([40, c0, 82])",
            ),
            ("c0000004", Parameter::ForwardTsnSupported, "forward-tsn"),
        ] {
            let bytes = hex(bytes);
            assert_eq!(parsed(&bytes), [Ok(parameter)], "{shown}");
            assert_eq!(parameter.to_string(), shown);
            let mut out = BytesMut::new();
            Parameters::new(&[parameter]).write(&mut out);
            assert_eq!(out, bytes);
            for length in 1..bytes.len() {
                assert!(Parameters::parse(&bytes[..length]).is_err(), "{length} bytes of {shown}");
            }
        }
    }

    /// A known parameter of the wrong size is an error of its own; the ones behind it are still given.
    #[test]
    fn impossible_values() {
        for (bytes, error) in [
            ("00050007 010203", ParseError::Truncated),
            ("00060015 20010db8 00000000 00000000 00000001 00", ParseError::Trailing(1)),
            ("0009000c 00000001 00000001", ParseError::Trailing(4)),
            ("000c0007 000500", ParseError::Count),
            ("80000008 00000000", ParseError::Trailing(4)),
            ("c0000008 00000000", ParseError::Trailing(4)),
        ] {
            let mut bytes = hex(bytes);
            bytes.resize(bytes.len().next_multiple_of(4), 0);
            bytes.extend_from_slice(&hex("80000004"));
            assert_eq!(parsed(&bytes), [Err(error), Ok(Parameter::EcnCapable)], "{bytes:02x?}");
        }
    }

    /// RFC 9653: of another length than 8 it says nothing, and is skipped for its type.
    #[test]
    fn zero_checksum_acceptable_of_another_length() {
        for bytes in ["80010004", "80010007 00000100", "8001000c 00000001 00000001"] {
            let bytes = hex(bytes);
            let parameters = parsed(&bytes);
            let [Ok(Parameter::Unknown(field))] = parameters[..] else { panic!("{parameters:?}") };
            assert_eq!((field.kind, field.action()), (0x8001, UnknownAction::Skip));
        }
    }

    /// RFC 9260 §3.2.1: the two high bits of an unknown type say whether to go on and whether to report it.
    #[test]
    fn unknown_types_act_by_their_high_bits() {
        for (kind, action) in [
            (0x0020, UnknownAction::Stop),
            (0x4020, UnknownAction::StopAndReport),
            (0x8020, UnknownAction::Skip),
            (0xC020, UnknownAction::SkipAndReport),
        ] {
            let mut bytes = u16::to_be_bytes(kind).to_vec();
            bytes.extend_from_slice(&hex("0005 aa000000 80000004"));
            let field = Unknown { kind, value: &[0xaa] };
            assert_eq!(field.action(), action);
            let mut expected = vec![Ok(Parameter::Unknown(field))];
            if !action.stops() {
                expected.push(Ok(Parameter::EcnCapable));
            }
            assert_eq!(parsed(&bytes), expected);
            // A report holds it whole, as it came.
            let mut echo = BytesMut::new();
            field.write(&mut echo);
            assert_eq!(echo, bytes[..5]);
        }
    }

    /// Parameters are cheap to send; only so many are looked at.
    #[test]
    fn at_most_64_are_looked_at() {
        let bytes = hex("80000004").repeat(16_000);
        assert_eq!(parsed(&bytes), vec![Ok(Parameter::EcnCapable); 64]);
        let shown = Parameters::parse(&bytes).unwrap().to_string();
        assert_eq!(shown, " ecn ecn ecn ecn ecn ecn ecn ecn …");
    }

    proptest! {
        #[test]
        fn round_trip(
            (kind, number, address) in any::<(u16, u32, u128)>(),
            value in bytes(),
            types in vec(any::<u16>(), 0..9),
        ) {
            let all = [
                Parameter::Ipv4(number.into()),
                Parameter::Ipv6(address.into()),
                Parameter::StateCookie(&value),
                Parameter::Unrecognized(&value),
                Parameter::CookiePreservative(number),
                Parameter::HostName(&value),
                Parameter::SupportedAddressTypes(List::new(&types)),
                Parameter::EcnCapable,
                Parameter::ZeroChecksumAcceptable(number),
                Parameter::SupportedExtensions(&value),
                Parameter::ForwardTsnSupported,
                Parameter::Unknown(Unknown { kind: kind | 0x8010, value: &value }),
            ];
            let list = Parameters::new(&all);
            let mut out = BytesMut::new();
            list.write(&mut out);
            prop_assert_eq!(out.len(), list.wire_len());
            let parsed = Parameters::parse(&out).expect("own parameters are sound");
            prop_assert_eq!(parsed, list);
            prop_assert_eq!(parsed.iter().count(), all.len());
        }
    }
}
