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

#[cfg(test)]
#[allow(clippy::indexing_slicing, clippy::arithmetic_side_effects, reason = "a panic is a failed test")]
mod tests {
    use super::super::testing::*;
    use super::super::tlv::Unknown;
    use super::super::{Chunk, Parameter};
    use super::*;
    use proptest::prelude::*;

    /// Chromium asks. The padding of the last parameter is not counted in the chunk's length.
    #[test]
    fn init_from_capture() {
        let packet = hex(
            "13881388 00000000 ccbac413 0100001e 6e29aac7 00500000 ffffffff 6bed5c34 c0000004 80080006 82c00000",
        );
        let parameters = [Parameter::ForwardTsnSupported, Parameter::SupportedExtensions(&[0x82, 0xc0])];
        let expected = Init {
            initiate_tag: 0x6e29_aac7,
            a_rwnd: 5_242_880,
            outbound_streams: 65535,
            inbound_streams: 65535,
            initial_tsn: Tsn(1_810_717_748),
            parameters: Parameters::new(&parameters),
        };
        assert_eq!(only_chunk(&packet), Chunk::Init(expected));
        assert_eq!(written(&expected), packet[12..42]);
        assert_eq!(
            Chunk::Init(expected).to_string(),
            "INIT tag=0x6e29aac7 a_rwnd=5242880 streams=65535/65535 tsn=1810717748 forward-tsn extensions([82, c0])"
        );
    }

    /// libwebrtc of some years ago answers; its cookie has 31 bytes and is padded.
    #[test]
    fn init_ack_from_capture() {
        let packet =
            hex("13881388e65f7876f797bda002000042a16e1fc800500000fffffffff088ad8a000700236463534354503030
             e65f78768a0aa1be00100000000000000000000001000100c00000048008000682c00000");
        let cookie = hex("6463534354503030 e65f7876 8a0aa1be 00100000 0000000000000000 010001");
        let parameters = [
            Parameter::StateCookie(&cookie),
            Parameter::ForwardTsnSupported,
            Parameter::SupportedExtensions(&[0x82, 0xc0]),
        ];
        let expected = Init {
            initiate_tag: 0xa16e_1fc8,
            a_rwnd: 5_242_880,
            outbound_streams: 65535,
            inbound_streams: 65535,
            initial_tsn: Tsn(4_035_489_162),
            parameters: Parameters::new(&parameters),
        };
        let chunk = Chunk::InitAck(expected);
        assert_eq!(only_chunk(&packet), chunk);
        assert_eq!(written(&chunk), packet[12..78]);
        assert_eq!(chunk.kind(), INIT_ACK);
    }

    /// RFC 9260 §3.2: a sender may count the padding of the last parameter, although it should not.
    #[test]
    fn counted_padding_of_the_last_parameter_is_accepted() {
        let chunk = hex("01000020 6e29aac7 00500000 ffffffff 6bed5c34 c0000004 80080006 82c00000");
        let Ok(Chunk::Init(init)) = parse_chunk(&chunk) else { panic!() };
        let parameters = [Parameter::ForwardTsnSupported, Parameter::SupportedExtensions(&[0x82, 0xc0])];
        assert_eq!(init.parameters, Parameters::new(&parameters));
    }

    /// RFC 9260 §3.2.1: "The Parameter Length field contains the size of the parameter in bytes": at least 4, and
    /// never more than there is. The whole chunk is refused.
    #[test]
    fn unsound_parameter_lengths_are_refused() {
        for (parameter, error) in [
            ("80080000", ParseError::Length(0)),
            ("80080003", ParseError::Length(3)),
            ("8008000982c00000", ParseError::Truncated),
            ("8008ffff82c00000", ParseError::Truncated),
            ("8008", ParseError::Truncated),
        ] {
            let parameter = hex(parameter);
            let mut chunk = hex("01000018 6e29aac7 00500000 ffffffff 6bed5c34 c0000004");
            chunk.extend_from_slice(&parameter);
            chunk[3] += parameter.len() as u8;
            assert_eq!(parse_chunk(&chunk), Err(error), "{parameter:02x?}");
        }
    }

    #[test]
    fn every_truncation_is_an_error() {
        let chunk = hex("0100001e 6e29aac7 00500000 ffffffff 6bed5c34 c0000004 80080006 82c0");
        assert_every_truncation_is_an_error(&chunk);
        assert_fixed_fields_are_needed(&chunk, FIXED_LEN);
    }

    proptest! {
        #[test]
        fn round_trip(
            (tag, a_rwnd, outbound, inbound, tsn) in any::<(u32, u32, u16, u16, u32)>(),
            cookie in bytes(),
            (kind, value) in (0x8020_u16.., bytes()),
        ) {
            let parameters = [
                Parameter::StateCookie(&cookie),
                Parameter::Unknown(Unknown { kind, value: &value }),
                Parameter::EcnCapable,
            ];
            let init = Init {
                initiate_tag: tag,
                a_rwnd,
                outbound_streams: outbound,
                inbound_streams: inbound,
                initial_tsn: Tsn(tsn),
                parameters: Parameters::new(&parameters),
            };
            assert_round_trip(&Chunk::Init(init));
            assert_round_trip(&Chunk::InitAck(init));
        }
    }
}
