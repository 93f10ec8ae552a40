//! DATA (RFC 9260 §3.3.1, the I bit: RFC 7053).

use super::{ParseError, RawChunk, Reader, WriteChunk};
use crate::number::{Ppid, Ssn, StreamId, Tsn};
use bytes::{BufMut, BytesMut};
use std::fmt;

/// A fragment of a message.
///
/// ```text
/// |   Type = 0    |  Res  |I|U|B|E|           Length              |
/// |                              TSN                              |
/// |      Stream Identifier S      |   Stream Sequence Number n    |
/// |                  Payload Protocol Identifier                  |
/// \                 User Data (seq n of Stream S)                 /
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Data<'a> {
    pub(crate) tsn: Tsn,
    pub(crate) stream: StreamId,
    /// Without meaning if `unordered`.
    pub(crate) ssn: Ssn,
    pub(crate) ppid: Ppid,
    /// B: the first fragment.
    pub(crate) begin: bool,
    /// E: the last fragment.
    pub(crate) end: bool,
    /// U.
    pub(crate) unordered: bool,
    /// I: the sender wants its SACK at once.
    pub(crate) immediate: bool,
    /// May be empty here; RFC 9260 §6.2 makes that a reason to abort.
    pub(crate) payload: &'a [u8],
}

impl<'a> Data<'a> {
    pub(super) const TYPE: u8 = 0;

    /// Chunk header and fixed fields: what stands before the payload.
    pub(crate) const HEADER_LEN: usize = 16;

    pub(super) fn parse(raw: &RawChunk<'a>) -> Result<Self, ParseError> {
        let mut reader = Reader::new(raw.value);
        Ok(Self {
            tsn: Tsn(reader.u32()?),
            stream: StreamId(reader.u16()?),
            ssn: Ssn(reader.u16()?),
            ppid: Ppid(reader.u32()?),
            begin: raw.flags & BEGIN != 0,
            end: raw.flags & END != 0,
            unordered: raw.flags & UNORDERED != 0,
            immediate: raw.flags & IMMEDIATE != 0,
            payload: reader.rest(),
        })
    }
}

impl WriteChunk for Data<'_> {
    fn kind(&self) -> u8 {
        Self::TYPE
    }

    fn flags(&self) -> u8 {
        flags(self.begin, self.end, self.unordered, self.immediate)
    }

    fn value_len(&self) -> usize {
        self.payload.len().saturating_add(FIXED_LEN)
    }

    fn write_value(&self, out: &mut BytesMut) {
        let [t0, t1, t2, t3] = self.tsn.0.to_be_bytes();
        let [s0, s1] = self.stream.0.to_be_bytes();
        let [n0, n1] = self.ssn.0.to_be_bytes();
        let [p0, p1, p2, p3] = self.ppid.0.to_be_bytes();
        out.put_slice(&[t0, t1, t2, t3, s0, s1, n0, n1, p0, p1, p2, p3]);
        out.put_slice(self.payload);
    }
}

impl fmt::Display for Data<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, " tsn={} sid={} ssn={} ppid={} ", self.tsn.0, self.stream, self.ssn.0, self.ppid.0)?;
        show_flags(self.flags(), f)?;
        write!(f, " len={}", self.payload.len())
    }
}

/// The flags of DATA and I-DATA.
pub(super) fn flags(begin: bool, end: bool, unordered: bool, immediate: bool) -> u8 {
    [(begin, BEGIN), (end, END), (unordered, UNORDERED), (immediate, IMMEDIATE)]
        .into_iter()
        .fold(0, |flags, (set, bit)| if set { flags | bit } else { flags })
}

pub(super) fn show_flags(flags: u8, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    for (bit, letter) in [(IMMEDIATE, 'I'), (UNORDERED, 'U'), (BEGIN, 'B'), (END, 'E')] {
        write!(f, "{}", if flags & bit == 0 { '-' } else { letter })?;
    }
    Ok(())
}

pub(super) const END: u8 = 0x01;
pub(super) const BEGIN: u8 = 0x02;
pub(super) const UNORDERED: u8 = 0x04;
pub(super) const IMMEDIATE: u8 = 0x08;

/// TSN, stream identifier, stream sequence number and payload protocol identifier.
const FIXED_LEN: usize = 12;

#[cfg(test)]
#[allow(clippy::indexing_slicing, clippy::arithmetic_side_effects, reason = "a panic is a failed test")]
mod tests {
    use super::super::Chunk;
    use super::super::testing::*;
    use super::*;
    use proptest::prelude::*;

    /// Chromium opens a channel.
    #[test]
    fn from_capture() {
        let packet =
            hex("13881388 15558a52 9a33fb12 00030029 6bed5c34 00010000 00000032 03000100 00000000 00080005
             72656c69 61626c65 70726f74 6f000000");
        let Chunk::Data(data) = only_chunk(&packet) else { panic!() };
        let payload = hex("03000100 00000000 00080005 72656c69 61626c65 70726f74 6f");
        let expected = Data {
            tsn: Tsn(1_810_717_748),
            stream: StreamId(1),
            ssn: Ssn(0),
            ppid: Ppid::DCEP,
            begin: true,
            end: true,
            unordered: false,
            immediate: false,
            payload: &payload,
        };
        assert_eq!(data, expected);
        assert_eq!(Chunk::Data(data).to_string(), "DATA tsn=1810717748 sid=1 ssn=0 ppid=50 --BE len=25");
    }

    /// RFC 9260 §3.3.1, RFC 7053 §3: one bit each; the upper half is reserved and ignored.
    #[test]
    fn flags_are_independent() {
        for (bits, shown) in [(0x01, "---E"), (0x02, "--B-"), (0x04, "-U--"), (0x08, "I---"), (0xF0, "----")]
        {
            let chunk = [0, bits, 0, 16, 0, 0, 0, 1, 0, 2, 0, 3, 0, 0, 0, 51];
            let Ok(Chunk::Data(data)) = parse_chunk(&chunk) else { panic!() };
            assert_eq!(data.to_string(), format!(" tsn=1 sid=2 ssn=3 ppid=51 {shown} len=0"));
            assert_eq!(data.flags(), bits & 0x0F);
        }
    }

    #[test]
    fn every_truncation_is_an_error() {
        let chunk = hex("00030014 6bed5c34 00010000 00000033 61626364");
        assert_every_truncation_is_an_error(&chunk);
        assert_fixed_fields_are_needed(&chunk, FIXED_LEN);
    }

    proptest! {
        #[test]
        fn round_trip(
            (tsn, stream, ssn, ppid) in any::<(u32, u16, u16, u32)>(),
            (begin, end, unordered, immediate) in any::<(bool, bool, bool, bool)>(),
            payload in bytes(),
        ) {
            let (tsn, stream, ssn, ppid) = (Tsn(tsn), StreamId(stream), Ssn(ssn), Ppid(ppid));
            let payload = &payload;
            assert_round_trip(&Chunk::Data(Data {
                tsn, stream, ssn, ppid, begin, end, unordered, immediate, payload
            }));
        }
    }
}
