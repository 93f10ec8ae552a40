//! The messages of the Data Channel Establishment Protocol (RFC 8832 §5).
#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use crate::Reliability;
use crate::wire::{Escaped, ParseError, Reader};
use bytes::{BufMut, Bytes, BytesMut};
use std::fmt;
use std::time::Duration;

/// A DCEP message.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Message<'a> {
    /// DATA_CHANNEL_OPEN
    Open(Open<'a>),
    /// DATA_CHANNEL_ACK
    Ack,
}

/// DATA_CHANNEL_OPEN.
///
/// ```text
/// |  Message Type |  Channel Type |            Priority           |
/// |                    Reliability Parameter                      |
/// |         Label Length          |       Protocol Length         |
/// \                             Label                             /
/// \                            Protocol                           /
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Open<'a> {
    pub(crate) channel_type: ChannelType,
    /// RFC 8831 §6.4.
    pub(crate) priority: u16,
    /// Retransmissions or milliseconds, as the channel type has it; as received, also where it is to be ignored.
    pub(crate) reliability_parameter: u32,
    /// Meant to be UTF-8; the reader of it decodes.
    pub(crate) label: &'a [u8],
    /// The same.
    pub(crate) protocol: &'a [u8],
}

/// RFC 8832 §5.1 and §8.2.2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ChannelType {
    Reliable,
    ReliableUnordered,
    PartialReliableRexmit,
    PartialReliableRexmitUnordered,
    PartialReliableTimed,
    PartialReliableTimedUnordered,
}

impl<'a> Message<'a> {
    /// Reads one whole message. Nothing may follow an OPEN; Pion's ACK is followed by three zeros.
    pub(crate) fn parse(message: &'a [u8]) -> Result<Self, ParseError> {
        let mut reader = Reader::new(message);
        match reader.u8()? {
            OPEN => {
                let open = Open::parse(&mut reader)?;
                reader.finish()?;
                Ok(Self::Open(open))
            }
            ACK => Ok(Self::Ack),
            other => Err(ParseError::Type(other.into())),
        }
    }

    /// The message as it goes out.
    ///
    /// # Panics
    /// If label or protocol are longer than 65535 bytes; `open` refuses those.
    pub(crate) fn to_bytes(self) -> Bytes {
        let mut out = BytesMut::with_capacity(self.len());
        match self {
            Self::Open(open) => open.write(&mut out),
            Self::Ack => out.put_u8(ACK),
        }
        out.freeze()
    }

    fn len(&self) -> usize {
        match self {
            Self::Open(open) => {
                OPEN_FIXED_LEN.saturating_add(open.label.len()).saturating_add(open.protocol.len())
            }
            Self::Ack => 1,
        }
    }
}

/// One log line of bounded length.
impl fmt::Display for Message<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Open(open) => write!(
                f,
                "OPEN {:?} priority={} parameter={} label={} protocol={}",
                open.channel_type,
                open.priority,
                open.reliability_parameter,
                Escaped(open.label),
                Escaped(open.protocol)
            ),
            Self::Ack => f.write_str("ACK"),
        }
    }
}

impl<'a> Open<'a> {
    /// The message for a channel with these properties.
    pub(crate) fn new(
        ordered: bool,
        reliability: Reliability,
        priority: u16,
        label: &'a str,
        protocol: &'a str,
    ) -> Self {
        let (channel_type, reliability_parameter) = match (reliability, ordered) {
            // RFC 8832 §5.1: "For reliable data channels, this field MUST be set to 0 on the sending side"
            (Reliability::Reliable, true) => (ChannelType::Reliable, 0),
            (Reliability::Reliable, false) => (ChannelType::ReliableUnordered, 0),
            (Reliability::MaxRetransmits(count), true) => (ChannelType::PartialReliableRexmit, count.into()),
            (Reliability::MaxRetransmits(count), false) => {
                (ChannelType::PartialReliableRexmitUnordered, count.into())
            }
            (Reliability::MaxLifetime(time), true) => (ChannelType::PartialReliableTimed, milliseconds(time)),
            (Reliability::MaxLifetime(time), false) => {
                (ChannelType::PartialReliableTimedUnordered, milliseconds(time))
            }
        };
        Self {
            channel_type,
            priority,
            reliability_parameter,
            label: label.as_bytes(),
            protocol: protocol.as_bytes(),
        }
    }

    /// Whether messages are delivered in order.
    pub(crate) fn ordered(&self) -> bool {
        match self.channel_type {
            ChannelType::Reliable
            | ChannelType::PartialReliableRexmit
            | ChannelType::PartialReliableTimed => true,
            ChannelType::ReliableUnordered
            | ChannelType::PartialReliableRexmitUnordered
            | ChannelType::PartialReliableTimedUnordered => false,
        }
    }

    /// How hard the sides try. More than 65535 retransmissions count as 65535.
    pub(crate) fn reliability(&self) -> Reliability {
        match self.channel_type {
            // RFC 8832 §5.1: "and MUST be ignored on the receiving side"
            ChannelType::Reliable | ChannelType::ReliableUnordered => Reliability::Reliable,
            ChannelType::PartialReliableRexmit | ChannelType::PartialReliableRexmitUnordered => {
                Reliability::MaxRetransmits(u16::try_from(self.reliability_parameter).unwrap_or(u16::MAX))
            }
            ChannelType::PartialReliableTimed | ChannelType::PartialReliableTimedUnordered => {
                Reliability::MaxLifetime(Duration::from_millis(self.reliability_parameter.into()))
            }
        }
    }

    fn parse(reader: &mut Reader<'a>) -> Result<Self, ParseError> {
        let channel_type = ChannelType::from_wire(reader.u8()?)?;
        let priority = reader.u16()?;
        let reliability_parameter = reader.u32()?;
        let label_len = usize::from(reader.u16()?);
        let protocol_len = usize::from(reader.u16()?);
        Ok(Self {
            channel_type,
            priority,
            reliability_parameter,
            label: reader.take(label_len)?,
            protocol: reader.take(protocol_len)?,
        })
    }

    fn write(&self, out: &mut BytesMut) {
        out.put_u8(OPEN);
        out.put_u8(self.channel_type.to_wire());
        out.put_u16(self.priority);
        out.put_u32(self.reliability_parameter);
        for text in [self.label, self.protocol] {
            out.put_u16(u16::try_from(text.len()).expect("`open` refuses longer ones"));
        }
        out.put_slice(self.label);
        out.put_slice(self.protocol);
    }
}

impl ChannelType {
    fn from_wire(value: u8) -> Result<Self, ParseError> {
        Ok(match value {
            0x00 => Self::Reliable,
            0x80 => Self::ReliableUnordered,
            0x01 => Self::PartialReliableRexmit,
            0x81 => Self::PartialReliableRexmitUnordered,
            0x02 => Self::PartialReliableTimed,
            0x82 => Self::PartialReliableTimedUnordered,
            other => return Err(ParseError::Type(other.into())),
        })
    }

    fn to_wire(self) -> u8 {
        match self {
            Self::Reliable => 0x00,
            Self::ReliableUnordered => 0x80,
            Self::PartialReliableRexmit => 0x01,
            Self::PartialReliableRexmitUnordered => 0x81,
            Self::PartialReliableTimed => 0x02,
            Self::PartialReliableTimedUnordered => 0x82,
        }
    }
}

fn milliseconds(time: Duration) -> u32 {
    u32::try_from(time.as_millis()).unwrap_or(u32::MAX)
}

/// DATA_CHANNEL_ACK (RFC 8832 §8.2.1)
const ACK: u8 = 0x02;
/// DATA_CHANNEL_OPEN (RFC 8832 §8.2.1)
const OPEN: u8 = 0x03;
/// What stands before the label.
const OPEN_FIXED_LEN: usize = 12;

#[cfg(test)]
#[allow(clippy::indexing_slicing, clippy::arithmetic_side_effects, reason = "a panic is a failed test")]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// RFC 8832 §5.1: Firefox opens a channel.
    #[test]
    fn open_from_capture() {
        let bytes = b"\x03\x00\x00\x00\x00\x00\x00\x00\x00\x08\x00\x05reliableproto";
        let expected = Open {
            channel_type: ChannelType::Reliable,
            priority: 0,
            reliability_parameter: 0,
            label: b"reliable",
            protocol: b"proto",
        };
        assert_eq!(Message::parse(bytes), Ok(Message::Open(expected)));
        assert_eq!(Message::Open(expected).to_bytes(), bytes[..]);
        assert_eq!(
            Message::Open(expected).to_string(),
            r#"OPEN Reliable priority=0 parameter=0 label="reliable" protocol="proto""#
        );
    }

    /// RFC 8832 §5.1: libdatachannel opens one that gives up after 30 ms.
    #[test]
    fn timed_open_from_capture() {
        let bytes = b"\x03\x02\x00\x00\x00\x00\x00\x1e\x00\x05\x00\x00timed";
        let Ok(Message::Open(open)) = Message::parse(bytes) else { panic!() };
        assert!(open.ordered());
        assert_eq!(open.reliability(), Reliability::MaxLifetime(Duration::from_millis(30)));
        assert_eq!(
            open,
            Open::new(true, Reliability::MaxLifetime(Duration::from_millis(30)), 0, "timed", "")
        );
    }

    /// RFC 8832 §5.2
    #[test]
    fn ack() {
        assert_eq!(Message::parse(&[2]), Ok(Message::Ack));
        assert_eq!(Message::Ack.to_bytes(), [2][..]);
        assert_eq!(Message::Ack.to_string(), "ACK");
    }

    /// RFC 8832 §5.2 has one byte; Pion sends four.
    #[test]
    fn long_ack_from_capture() {
        assert_eq!(Message::parse(&[2, 0, 0, 0]), Ok(Message::Ack));
    }

    /// RFC 8832 §5.1: all six channel types, byte for byte, and what each means.
    #[test]
    fn channel_types() {
        let retransmits = Reliability::MaxRetransmits(5);
        let lifetime = Reliability::MaxLifetime(Duration::from_millis(300));
        for (wire, ordered, reliability, parameter) in [
            (0x00, true, Reliability::Reliable, [0, 0, 0, 0]),
            (0x80, false, Reliability::Reliable, [0, 0, 0, 0]),
            (0x01, true, retransmits, [0, 0, 0, 5]),
            (0x81, false, retransmits, [0, 0, 0, 5]),
            (0x02, true, lifetime, [0, 0, 1, 44]),
            (0x82, false, lifetime, [0, 0, 1, 44]),
        ] {
            let [a, b, c, d] = parameter;
            let bytes = [3, wire, 1, 0, a, b, c, d, 0, 1, 0, 2, b'l', b'p', b'r'];
            let open = Open::new(ordered, reliability, 256, "l", "pr");
            assert_eq!(Message::Open(open).to_bytes(), bytes[..]);
            assert_eq!(Message::parse(&bytes), Ok(Message::Open(open)));
            assert_eq!((open.ordered(), open.reliability()), (ordered, reliability));
        }
    }

    /// RFC 8832 §5.1: the parameter of reliable channels "MUST be ignored on the receiving side".
    #[test]
    fn parameter_of_reliable_channels_is_ignored() {
        let Ok(Message::Open(open)) = Message::parse(&[3, 0x80, 0, 0, 0, 0, 0, 9, 0, 0, 0, 0]) else {
            panic!()
        };
        assert_eq!(open.reliability(), Reliability::Reliable);
    }

    #[test]
    fn large_parameters_are_capped() {
        let most = [3, 0x01, 0, 0, 0xFF, 0xFF, 0xFF, 0xFF, 0, 0, 0, 0];
        let Ok(Message::Open(open)) = Message::parse(&most) else { panic!() };
        assert_eq!(open.reliability(), Reliability::MaxRetransmits(u16::MAX));
        let open = Open::new(true, Reliability::MaxLifetime(Duration::MAX), 0, "", "");
        assert_eq!(open.reliability_parameter, u32::MAX);
    }

    /// RFC 8832 §8.2.1, §8.2.2: types that are reserved or not assigned.
    #[test]
    fn unknown_types_are_refused() {
        for kind in (0..=255).filter(|kind| ![2, 3].contains(kind)) {
            assert_eq!(Message::parse(&[kind]), Err(ParseError::Type(kind.into())));
        }
        for kind in (0..=255).filter(|kind| kind & 0x7F > 2) {
            let message = [3, kind, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
            assert_eq!(Message::parse(&message), Err(ParseError::Type(kind.into())));
        }
    }

    /// The lengths account for the whole message.
    #[test]
    fn lengths_must_agree() {
        assert_eq!(Message::parse(&[]), Err(ParseError::Truncated));
        let sound = b"\x03\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\x01abc";
        for (label, protocol, error) in [
            (2, 0, ParseError::Trailing(1)),
            (1, 1, ParseError::Trailing(1)),
            (3, 1, ParseError::Truncated),
            (2, 2, ParseError::Truncated),
            (0xFFFF, 0xFFFF, ParseError::Truncated),
        ] {
            let mut message = sound.to_vec();
            message[8..10].copy_from_slice(&u16::to_be_bytes(label));
            message[10..12].copy_from_slice(&u16::to_be_bytes(protocol));
            assert_eq!(Message::parse(&message), Err(error), "{label} and {protocol}");
        }
    }

    #[test]
    fn every_truncation_is_an_error() {
        let sound = b"\x03\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\x01abc";
        for length in 0..sound.len() {
            assert_eq!(Message::parse(&sound[..length]), Err(ParseError::Truncated), "{length} bytes");
        }
    }

    proptest! {
        #[test]
        fn round_trip(
            kind in prop_oneof![Just(0_u8), Just(1), Just(2), Just(0x80), Just(0x81), Just(0x82)],
            (priority, reliability_parameter) in any::<(u16, u32)>(),
            label: Vec<u8>,
            protocol: Vec<u8>,
        ) {
            let open = Open {
                channel_type: ChannelType::from_wire(kind).unwrap(),
                priority,
                reliability_parameter,
                label: &label,
                protocol: &protocol,
            };
            let bytes = Message::Open(open).to_bytes();
            prop_assert_eq!(Message::parse(&bytes), Ok(Message::Open(open)));
            let line = Message::Open(open).to_string();
            prop_assert!(line.len() < 700 && line.chars().all(|c| !c.is_control()));
        }
    }
}
