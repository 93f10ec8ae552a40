//! I-DATA (RFC 8260 §2.1).

use super::data::{BEGIN, END, IMMEDIATE, UNORDERED, flags, show_flags};
use super::{ParseError, RawChunk, Reader, WriteChunk};
use crate::number::{Mid, Ppid, StreamId, Tsn};
use bytes::{BufMut, BytesMut};
use std::fmt;

/// A fragment of a message that may stand between those of other messages.
///
/// ```text
/// |   Type = 64   |  Res  |I|U|B|E|       Length = Variable       |
/// |                              TSN                              |
/// |        Stream Identifier      |           Reserved            |
/// |                      Message Identifier                       |
/// |    Payload Protocol Identifier / Fragment Sequence Number     |
/// \                           User Data                           /
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct IData<'a> {
    pub(crate) tsn: Tsn,
    pub(crate) stream: StreamId,
    pub(crate) mid: Mid,
    pub(crate) fragment: Fragment,
    /// E: the last fragment.
    pub(crate) end: bool,
    /// U.
    pub(crate) unordered: bool,
    /// I: the sender wants its SACK at once.
    pub(crate) immediate: bool,
    /// May be empty here.
    pub(crate) payload: &'a [u8],
}

/// The place of a fragment in its message; the B bit tells which.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fragment {
    /// B is set: this is fragment 0, and it carries the payload protocol identifier.
    First(Ppid),
    /// B is not set: the Fragment Sequence Number.
    Later(u32),
}

impl<'a> IData<'a> {
    pub(super) const TYPE: u8 = 64;

    /// Chunk header and fixed fields: what stands before the payload.
    pub(crate) const HEADER_LEN: usize = 20;

    pub(super) fn parse(raw: &RawChunk<'a>) -> Result<Self, ParseError> {
        let mut reader = Reader::new(raw.value);
        let tsn = Tsn(reader.u32()?);
        let stream = StreamId(reader.u16()?);
        let _reserved = reader.u16()?;
        let mid = Mid(reader.u32()?);
        let ppid_or_fsn = reader.u32()?;
        let first = raw.flags & BEGIN != 0;
        Ok(Self {
            tsn,
            stream,
            mid,
            fragment: if first { Fragment::First(Ppid(ppid_or_fsn)) } else { Fragment::Later(ppid_or_fsn) },
            end: raw.flags & END != 0,
            unordered: raw.flags & UNORDERED != 0,
            immediate: raw.flags & IMMEDIATE != 0,
            payload: reader.rest(),
        })
    }
}

impl WriteChunk for IData<'_> {
    fn kind(&self) -> u8 {
        Self::TYPE
    }

    fn flags(&self) -> u8 {
        let begin = matches!(self.fragment, Fragment::First(_));
        flags(begin, self.end, self.unordered, self.immediate)
    }

    fn value_len(&self) -> usize {
        self.payload.len().saturating_add(FIXED_LEN)
    }

    fn write_value(&self, out: &mut BytesMut) {
        let ppid_or_fsn = match self.fragment {
            Fragment::First(ppid) => ppid.0,
            Fragment::Later(number) => number,
        };
        let [t0, t1, t2, t3] = self.tsn.0.to_be_bytes();
        let [s0, s1] = self.stream.0.to_be_bytes();
        let [m0, m1, m2, m3] = self.mid.0.to_be_bytes();
        let [n0, n1, n2, n3] = ppid_or_fsn.to_be_bytes();
        out.put_slice(&[t0, t1, t2, t3, s0, s1, 0, 0, m0, m1, m2, m3, n0, n1, n2, n3]);
        out.put_slice(self.payload);
    }
}

impl fmt::Display for IData<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, " tsn={} sid={} mid={} ", self.tsn.0, self.stream, self.mid.0)?;
        match self.fragment {
            Fragment::First(ppid) => write!(f, "ppid={} ", ppid.0)?,
            Fragment::Later(number) => write!(f, "fsn={number} ")?,
        }
        show_flags(self.flags(), f)?;
        write!(f, " len={}", self.payload.len())
    }
}

/// TSN, stream identifier, reserved, message identifier and the shared field.
const FIXED_LEN: usize = 16;

#[cfg(test)]
#[allow(clippy::indexing_slicing, clippy::arithmetic_side_effects, reason = "a panic is a failed test")]
mod tests {
    use super::super::Chunk;
    use super::super::testing::*;
    use super::*;
    use proptest::prelude::*;

    /// Firefox, which has I-DATA, opens a channel.
    #[test]
    fn from_capture() {
        let packet = hex("13881388 df48aa39 0e87be69 40030028 75a42779 00030000 00000000 00000032
             03000000 00000000 00080000 72656c69 61626c65");
        let Chunk::IData(data) = only_chunk(&packet) else { panic!() };
        let payload = hex("03000000 00000000 00080000 72656c69 61626c65");
        let expected = IData {
            tsn: Tsn(1_973_692_281),
            stream: StreamId(3),
            mid: Mid(0),
            fragment: Fragment::First(Ppid::DCEP),
            end: true,
            unordered: false,
            immediate: false,
            payload: &payload,
        };
        assert_eq!(data, expected);
        assert_eq!(Chunk::IData(data).to_string(), "I-DATA tsn=1973692281 sid=3 mid=0 ppid=50 --BE len=20");
    }

    /// RFC 8260 §2.1: without the B bit the last field is the Fragment Sequence Number.
    #[test]
    fn later_fragments_have_a_number() {
        let chunk = hex("40040015 00000001 0002ffff 00000003 00000004 61");
        let Ok(Chunk::IData(data)) = parse_chunk(&chunk) else { panic!() };
        assert_eq!(data.fragment, Fragment::Later(4));
        assert_eq!(data.to_string(), " tsn=1 sid=2 mid=3 fsn=4 -U-- len=1");
        // The reserved field is ignored, and sent as 0.
        assert_eq!(written(&data), hex("40040015 00000001 00020000 00000003 00000004 61"));
    }

    #[test]
    fn every_truncation_is_an_error() {
        let chunk = hex("40070018 00000001 00020000 00000003 00000033 61626364");
        assert_every_truncation_is_an_error(&chunk);
        assert_fixed_fields_are_needed(&chunk, FIXED_LEN);
    }

    proptest! {
        #[test]
        fn round_trip(
            (tsn, stream, mid, number) in any::<(u32, u16, u32, u32)>(),
            (begin, end, unordered, immediate) in any::<(bool, bool, bool, bool)>(),
            payload in bytes(),
        ) {
            let (tsn, stream, mid) = (Tsn(tsn), StreamId(stream), Mid(mid));
            let fragment = if begin { Fragment::First(Ppid(number)) } else { Fragment::Later(number) };
            let payload = &payload;
            assert_round_trip(&Chunk::IData(IData {
                tsn, stream, mid, fragment, end, unordered, immediate, payload
            }));
        }
    }
}
