//! Packets (RFC 9260 §3, §3.1): the common header, the chunks behind it, and the writer of both.

use super::chunk::HEADER_LEN as CHUNK_HEADER_LEN;
use super::{Chunk, ParseError, RawChunk, Reader, WriteChunk, checksum, padded};
use bytes::{BufMut, BytesMut};
use std::fmt;

/// The common header without its checksum.
///
/// ```text
/// |     Source Port Number        |     Destination Port Number   |
/// |                      Verification Tag                         |
/// |                           Checksum                            |
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) source_port: u16,
    pub(crate) destination_port: u16,
    pub(crate) verification_tag: u32,
}

impl Header {
    /// Bytes of the common header.
    pub(crate) const LEN: usize = 12;
}

impl fmt::Display for Header {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}>{} tag={:#010x}", self.source_port, self.destination_port, self.verification_tag)
    }
}

/// Checks a packet's size, checksum and ports.
///
/// `accept_zero`: this side announced Zero Checksum Acceptable (RFC 9653), so a zero in the field is not compared.
/// A zero that is the true CRC32c is good in any case.
pub(crate) fn parse(packet: &[u8], accept_zero: bool) -> Result<(Header, Chunks<'_>), ParseError> {
    if packet.len() < Header::LEN.saturating_add(CHUNK_HEADER_LEN) || packet.len() > MAX_PACKET {
        return Err(ParseError::PacketSize(packet.len()));
    }
    let mut reader = Reader::new(packet);
    let source_port = reader.u16()?;
    let destination_port = reader.u16()?;
    let verification_tag = reader.u32()?;
    let received = reader.array()?;
    // RFC 9260 §6.8: "Verify that the calculated CRC32c checksum is the same as the received CRC32c checksum. If it is
    // not, the receiver MUST treat the packet as an invalid SCTP packet."
    let unchecked = accept_zero && received == [0; checksum::FIELD_LEN];
    if !unchecked && received != checksum::of_packet(packet) {
        return Err(ParseError::Checksum);
    }
    // RFC 9260 §3.1: "Source Port Number 0 MUST NOT be used." "Destination Port Number 0 MUST NOT be used."
    if source_port == 0 || destination_port == 0 {
        return Err(ParseError::ZeroPort);
    }
    Ok((Header { source_port, destination_port, verification_tag }, Chunks { reader }))
}

/// The chunks of a packet, in order.
///
/// An error is a chunk that was not understood; the chunks behind it follow, unless its length is unsound. Ends behind
/// an unknown chunk whose type asks to stop there.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Chunks<'a> {
    reader: Reader<'a>,
}

impl Chunks<'_> {
    /// The type of the first chunk, which may be malformed.
    pub(crate) fn first_type(&self) -> Option<u8> {
        self.reader.rest().first().copied()
    }

    /// Whether there is exactly one chunk.
    pub(crate) fn is_one(mut self) -> bool {
        self.next().is_some() && self.next().is_none()
    }
}

impl<'a> Iterator for Chunks<'a> {
    type Item = Result<Chunk<'a>, ParseError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.reader.is_empty() {
            return None;
        }
        let raw = match RawChunk::parse(&mut self.reader) {
            Ok(raw) => raw,
            Err(error) => {
                self.reader = Reader::new(&[]);
                return Some(Err(error));
            }
        };
        let chunk = Chunk::parse(&raw);
        // RFC 9260 §3.2: 00 and 01 discard all further chunks; the report is the caller's.
        if matches!(&chunk, Ok(Chunk::Unknown(unknown)) if unknown.action().stops()) {
            self.reader = Reader::new(&[]);
        }
        Some(chunk)
    }
}

/// Which checksum a packet goes out with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Checksum {
    /// RFC 9260 §6.8.
    Crc32c,
    /// RFC 9653: the peer said that it accepts zero.
    Zero,
}

/// Appends one packet to a buffer, chunk by chunk.
#[derive(Debug)]
#[must_use = "a packet is complete only after `finish`"]
pub(crate) struct PacketWriter<'b> {
    buffer: &'b mut BytesMut,
    start: usize,
    max_size: usize,
}

impl<'b> PacketWriter<'b> {
    /// Starts a packet of at most `max_size` bytes at the end of `buffer`; what is before it is never touched.
    pub(crate) fn new(buffer: &'b mut BytesMut, header: Header, max_size: usize) -> Self {
        let start = buffer.len();
        buffer.put_u16(header.source_port);
        buffer.put_u16(header.destination_port);
        buffer.put_u32(header.verification_tag);
        buffer.put_bytes(0, checksum::FIELD_LEN);
        Self { buffer, start, max_size: max_size.min(MAX_PACKET) }
    }

    /// Bytes that the first chunk may take, its header and padding included.
    pub(crate) fn capacity(&self) -> usize {
        self.max_size.saturating_sub(Header::LEN) & !3
    }

    /// Bytes that a further chunk may take, its header and padding included.
    pub(crate) fn remaining(&self) -> usize {
        // Chunks take whole words.
        self.max_size.saturating_sub(self.len()) & !3
    }

    /// Whether there is no chunk yet.
    pub(crate) fn is_empty(&self) -> bool {
        self.len() <= Header::LEN
    }

    /// Appends a chunk and its padding; `false`, and nothing is written, if it does not fit.
    pub(crate) fn push(&mut self, chunk: &(impl WriteChunk + ?Sized)) -> bool {
        let len = chunk.len();
        let Ok(length_field) = u16::try_from(len) else { return false };
        if padded(len) > self.remaining() {
            return false;
        }
        let end = self.buffer.len().saturating_add(padded(len));
        let [high, low] = length_field.to_be_bytes();
        self.buffer.put_slice(&[chunk.kind(), chunk.flags(), high, low]);
        chunk.write_value(self.buffer);
        // RFC 9260 §3.2: "the sender MUST pad the chunk with all zero bytes, and this padding is not included in the
        // Chunk Length field."
        self.buffer.put_bytes(0, padded(len).saturating_sub(len));
        debug_assert_eq!(self.buffer.len(), end, "a chunk wrote another length than it announced");
        true
    }

    /// Fills in the checksum. Gives the packet's length; a packet without chunks is taken back and has length 0.
    pub(crate) fn finish(self, checksum: Checksum) -> usize {
        if self.is_empty() {
            self.buffer.truncate(self.start);
            return 0;
        }
        let packet = self.buffer.get_mut(self.start..).unwrap_or_default();
        match checksum {
            Checksum::Crc32c => seal(packet),
            // `new` left it so.
            Checksum::Zero => {}
        }
        packet.len()
    }

    fn len(&self) -> usize {
        self.buffer.len().saturating_sub(self.start)
    }
}

/// Fills in the checksum of a packet.
pub(crate) fn seal(packet: &mut [u8]) {
    let value = checksum::of_packet(packet);
    if let Some(field) = packet.get_mut(checksum::FIELD_OFFSET..Header::LEN) {
        field.copy_from_slice(&value);
    }
}

/// The largest packet: what an IP datagram can carry at most.
const MAX_PACKET: usize = 65_535;
