//! Headers of records and handshake fragments (RFC 6347 §4.1, §4.2.2), read before OpenSSL sees a datagram.
#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

/// A record as it lies in its datagram.
///
/// ```text
/// struct {
///   ContentType type;                                    1 byte
///   ProtocolVersion version;                             2 bytes, 254.255 or 254.253
///   uint16 epoch;                                        0 until keys are in use
///   uint48 sequence_number;
///   uint16 length;
///   opaque fragment[DTLSPlaintext.length];
/// } DTLSPlaintext;
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Record<'a> {
    pub(crate) content: ContentType,
    pub(crate) epoch: u16,
    pub(crate) header: &'a [u8; HEADER_LEN],
    pub(crate) payload: &'a [u8],
}

/// RFC 6347 §4.1; the rest of the registry never concerns a data channel in DTLS 1.2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ContentType {
    ChangeCipherSpec,
    Alert,
    Handshake,
    ApplicationData,
}

/// The rest of a datagram cannot be understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Malformed;

impl<'a> Record<'a> {
    /// Takes the first record off `datagram`; the rest is returned with it.
    pub(crate) fn split_first(datagram: &'a [u8]) -> Result<(Self, &'a [u8]), Malformed> {
        let (header, rest) = datagram.split_first_chunk::<HEADER_LEN>().ok_or(Malformed)?;
        let &[content, major, _, epoch @ .., _, _, _, _, _, _, len_high, len_low] = header;
        if major != VERSION_MAJOR {
            return Err(Malformed);
        }
        let content = ContentType::from_wire(content).ok_or(Malformed)?;
        let len = usize::from(u16::from_be_bytes([len_high, len_low]));
        if len > MAX_PAYLOAD {
            return Err(Malformed);
        }
        let (payload, rest) = rest.split_at_checked(len).ok_or(Malformed)?;
        let record = Self { content, epoch: u16::from_be_bytes(epoch), header, payload };
        Ok((record, rest))
    }

    /// The header with another sequence number.
    pub(crate) fn renumbered_header(&self, sequence: u64) -> [u8; HEADER_LEN] {
        let [content, major, minor, e0, e1, _, _, _, _, _, _, l0, l1] = *self.header;
        let [_, _, s0, s1, s2, s3, s4, s5] = sequence.to_be_bytes();
        [content, major, minor, e0, e1, s0, s1, s2, s3, s4, s5, l0, l1]
    }

    /// The handshake fragments in a plaintext handshake record, or `None` when they do not fill it exactly.
    pub(crate) fn fragments(&self) -> Fragments<'a> {
        Fragments { rest: self.payload }
    }

    /// The description in a plaintext alert (RFC 5246 §7.2), if it is a whole one.
    pub(crate) fn alert(&self) -> Option<u8> {
        match *self.payload {
            [_, description] => Some(description),
            _ => None,
        }
    }
}

impl ContentType {
    fn from_wire(value: u8) -> Option<Self> {
        match value {
            20 => Some(Self::ChangeCipherSpec),
            21 => Some(Self::Alert),
            22 => Some(Self::Handshake),
            23 => Some(Self::ApplicationData),
            _ => None,
        }
    }
}

/// The description of the plaintext alert that `written` by OpenSSL ends with.
pub(crate) fn trailing_alert(written: &mut [u8]) -> Option<&mut u8> {
    match written.last_chunk_mut::<ALERT_RECORD_LEN>()? {
        [21, VERSION_MAJOR, _, 0, 0, _, _, _, _, _, _, 0, 2, _, description] => Some(description),
        _ => None,
    }
}

/// The header of one fragment of a handshake message.
///
/// ```text
/// struct {
///   HandshakeType msg_type;     1 byte
///   uint24 length;              of the whole message
///   uint16 message_seq;
///   uint24 fragment_offset;
///   uint24 fragment_length;
///   …
/// } Handshake;
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fragment {
    pub(crate) message_len: usize,
    pub(crate) message_seq: u16,
}

/// The fragments of a record, in order; ends after the first error.
pub(crate) struct Fragments<'a> {
    rest: &'a [u8],
}

impl Iterator for Fragments<'_> {
    type Item = Result<Fragment, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let split = split_fragment(self.rest);
        self.rest = split.map_or(&[], |(_, rest)| rest);
        Some(split.map(|(fragment, _)| fragment).ok_or(Malformed))
    }
}

fn split_fragment(payload: &[u8]) -> Option<(Fragment, &[u8])> {
    let (header, rest) = payload.split_first_chunk::<FRAGMENT_HEADER_LEN>()?;
    let &[_, l0, l1, l2, s0, s1, o0, o1, o2, f0, f1, f2] = header;
    let message_len = uint24([l0, l1, l2]);
    let fragment_len = uint24([f0, f1, f2]);
    let end = uint24([o0, o1, o2]).checked_add(fragment_len)?;
    let (_, rest) = rest.split_at_checked(fragment_len)?;
    // OpenSSL takes a fragment without contents for the whole message, and gives up over what it lacks.
    let is_empty_part = fragment_len == 0 && message_len > 0;
    let fragment = Fragment { message_len, message_seq: u16::from_be_bytes([s0, s1]) };
    (end <= message_len && !is_empty_part).then_some((fragment, rest))
}

fn uint24([high, middle, low]: [u8; 3]) -> usize {
    usize::from(high) << 16 | usize::from(middle) << 8 | usize::from(low)
}

/// RFC 6347 §4.1: type, version, epoch, sequence number, length.
pub(crate) const HEADER_LEN: usize = 13;
const ALERT_RECORD_LEN: usize = HEADER_LEN + 2;
/// RFC 6347 §4.2.2.
const FRAGMENT_HEADER_LEN: usize = 12;
/// RFC 5246 §6.2.3: "The length MUST NOT exceed 2^14 + 2048."
const MAX_PAYLOAD: usize = (1 << 14) + 2048;
/// Both 254.255 (DTLS 1.0, which a first ClientHello carries) and 254.253 (DTLS 1.2).
const VERSION_MAJOR: u8 = 254;

#[cfg(test)]
#[expect(clippy::indexing_slicing, reason = "a panic is a failed test")]
mod tests {
    use super::*;

    /// Second flight of a Chromium answerer's datagram: the end of its ClientHello, 238 of 1413 bytes.
    const CAPTURED: &[u8] = include_bytes!("tests/data/clienthello-fragment.bin");

    #[test]
    fn from_capture() {
        let (record, rest) = Record::split_first(CAPTURED).unwrap();
        assert_eq!((record.content, record.epoch, rest), (ContentType::Handshake, 0, &[][..]));
        assert_eq!(record.payload.len(), 250);
        let fragments: Vec<_> = record.fragments().collect();
        let expected = Fragment { message_len: 1413, message_seq: 0 };
        assert_eq!(fragments, [Ok(expected)]);
    }

    #[test]
    fn every_truncation_is_an_error() {
        for len in 0..CAPTURED.len() {
            assert_eq!(Record::split_first(&CAPTURED[..len]), Err(Malformed), "{len}");
        }
        let (record, _) = Record::split_first(CAPTURED).unwrap();
        for len in 1..record.payload.len() {
            let fragments = Fragments { rest: &record.payload[..len] };
            assert_eq!(fragments.collect::<Vec<_>>(), [Err(Malformed)], "{len}");
        }
    }

    #[test]
    fn several_records_are_walked() {
        let alert = [21, 254, 253, 0, 1, 0, 0, 0, 0, 0, 9, 0, 2, 2, 40];
        let datagram = [CAPTURED, &alert].concat();
        let (_, rest) = Record::split_first(&datagram).unwrap();
        let (record, rest) = Record::split_first(rest).unwrap();
        assert_eq!((record.content, record.epoch, record.alert()), (ContentType::Alert, 1, Some(40)));
        assert!(rest.is_empty());
    }

    #[test]
    fn foreign_versions_types_and_lengths_are_malformed() {
        let sound = [23, 254, 253, 0, 1, 0, 0, 0, 0, 0, 9, 0, 0];
        assert!(Record::split_first(&sound).is_ok());
        for (at, value) in [(0, 19), (0, 24), (1, 3), (11, 0x48)] {
            let mut bad = [0; 30_000];
            bad[..sound.len()].copy_from_slice(&sound);
            bad[at] = value;
            bad[12] = 1;
            assert_eq!(Record::split_first(&bad), Err(Malformed), "{at} {value}");
        }
    }

    #[test]
    fn fragment_beyond_its_message_is_malformed() {
        // message of 4, fragment of 3 at offset 2
        let payload = [1, 0, 0, 4, 0, 0, 0, 0, 2, 0, 0, 3, 9, 9, 9];
        assert_eq!(Fragments { rest: &payload }.collect::<Vec<_>>(), [Err(Malformed)]);
    }

    #[test]
    fn renumbering_touches_the_sequence_number_only() {
        let (record, _) = Record::split_first(CAPTURED).unwrap();
        let header = record.renumbered_header(0x0102_0304_0506);
        assert_eq!(header[..5], CAPTURED[..5]);
        assert_eq!(header[5..11], [1, 2, 3, 4, 5, 6]);
        assert_eq!(header[11..], CAPTURED[11..13]);
    }
}
