//! What the tests of all chunks share.

use super::{Chunk, Header, ParseError, RawChunk, Reader, WriteChunk, packet};
use bytes::BytesMut;
use proptest::collection::vec;
use proptest::prelude::*;

/// Bytes from hexadecimal digits; white space is free.
pub(super) fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> =
        text.chars().filter(|c| !c.is_whitespace()).map(|c| c.to_digit(16).expect("a digit") as u8).collect();
    assert!(digits.len().is_multiple_of(2), "half a byte in {text}");
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

/// Any short sequence of bytes.
pub(super) fn bytes() -> impl Strategy<Value = Vec<u8>> {
    vec(any::<u8>(), 0..80)
}

/// The chunks of a captured packet whose checksum must be right.
pub(super) fn chunks(packet: &[u8]) -> (Header, Vec<Chunk<'_>>) {
    let (header, chunks) = packet::parse(packet, false).expect("a sound packet");
    (header, chunks.collect::<Result<_, _>>().expect("sound chunks"))
}

/// The only chunk of a captured packet.
pub(super) fn only_chunk(packet: &[u8]) -> Chunk<'_> {
    let (_, chunks) = chunks(packet);
    assert_eq!(chunks.len(), 1);
    chunks[0]
}

/// One chunk, which must take all bytes.
pub(super) fn parse_chunk(chunk: &[u8]) -> Result<Chunk<'_>, ParseError> {
    let mut reader = Reader::new(chunk);
    let raw = RawChunk::parse(&mut reader)?;
    reader.finish()?;
    Chunk::parse(&raw)
}

/// A chunk with its header, without padding.
pub(super) fn written(chunk: &(impl WriteChunk + ?Sized)) -> Vec<u8> {
    let mut out = BytesMut::new();
    let length = u16::try_from(chunk.len()).expect("fits");
    out.extend_from_slice(&[chunk.kind(), chunk.flags()]);
    out.extend_from_slice(&length.to_be_bytes());
    chunk.write_value(&mut out);
    assert_eq!(out.len(), chunk.len());
    out.to_vec()
}

/// Written and read again it is the same, and its log line is one line of bounded length.
pub(super) fn assert_round_trip(chunk: &Chunk<'_>) {
    let bytes = written(chunk);
    let parsed = parse_chunk(&bytes).expect("own chunks are sound");
    assert_eq!(parsed, *chunk);
    assert_eq!(written(&parsed), bytes);
    let line = parsed.to_string();
    assert_eq!(line, chunk.to_string());
    assert!(line.len() < 2500, "{} bytes for one log line", line.len());
    assert!(line.chars().all(|c| !c.is_control()), "{line:?}");
}

/// No proper beginning of the chunk is understood; with its length field mended it may be, but then it is sound.
pub(super) fn assert_every_truncation_is_an_error(chunk: &[u8]) {
    parse_chunk(chunk).expect("the whole is sound");
    for length in 0..chunk.len() {
        let mut cut = chunk[..length].to_vec();
        assert!(parse_chunk(&cut).is_err(), "{length} of {} bytes", chunk.len());
        if length >= 4 {
            cut[2..4].copy_from_slice(&u16::try_from(length).unwrap().to_be_bytes());
            if let Ok(parsed) = parse_chunk(&cut) {
                assert_round_trip(&parsed);
            }
        }
    }
}

/// The value cut to every length below `fixed_len` is refused even when the length field agrees with it.
pub(super) fn assert_fixed_fields_are_needed(chunk: &[u8], fixed_len: usize) {
    for length in 4..4 + fixed_len {
        let mut cut = chunk[..length].to_vec();
        cut[2..4].copy_from_slice(&u16::try_from(length).unwrap().to_be_bytes());
        assert_eq!(parse_chunk(&cut), Err(ParseError::Truncated), "{length} bytes");
    }
}
