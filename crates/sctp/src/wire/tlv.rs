//! Lists of type-length-value fields: parameters (RFC 9260 §3.2.1) and error causes (§3.3.10).

use super::{ParseError, Reader, UnknownAction, padded};
use bytes::{BufMut, BytesMut};
use std::fmt;

/// One kind of type-length-value field.
pub(crate) trait Tlv<'a>: Copy + fmt::Debug + fmt::Display + PartialEq {
    /// Reads a field of type `kind`; a type that is not known is kept as it is.
    fn parse(field: Unknown<'a>) -> Result<Self, ParseError>;

    fn kind(&self) -> u16;

    /// Bytes of the value, without padding.
    fn value_len(&self) -> usize;

    fn write_value(&self, out: &mut BytesMut);

    /// Whether nothing behind this field may be looked at.
    fn stops(&self) -> bool;
}

/// A field that was not interpreted.
#[derive(Clone, Copy, PartialEq)]
pub(crate) struct Unknown<'a> {
    /// Its type.
    pub(crate) kind: u16,
    /// Its value, without padding.
    pub(crate) value: &'a [u8],
}

impl Unknown<'_> {
    /// RFC 9260 §3.2.1: what the two high bits of a parameter's type ask for.
    pub(crate) fn action(&self) -> UnknownAction {
        UnknownAction::of(self.kind.to_be_bytes().into_iter().next().unwrap_or_default())
    }

    /// Appends the whole field as it was received (an echo), without padding.
    pub(crate) fn write(&self, out: &mut BytesMut) {
        out.put_u16(self.kind);
        out.put_u16(length_field(self.value.len()));
        out.put_slice(self.value);
    }
}

impl fmt::Debug for Unknown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Unknown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#06x}({})", self.kind, self.value.len())
    }
}

/// Fields one after another: those of a received chunk, or a slice that is to be written.
#[derive(Clone, Copy)]
pub(crate) struct TlvList<'a, T>(Source<'a, T>);

#[derive(Clone, Copy)]
enum Source<'a, T> {
    Wire(&'a [u8]),
    Items(&'a [T]),
}

impl<'a, T: Tlv<'a>> TlvList<'a, T> {
    /// Nothing.
    pub(crate) const EMPTY: Self = Self(Source::Items(&[]));

    /// What is to be written.
    pub(crate) fn new(items: &'a [T]) -> Self {
        Self(Source::Items(items))
    }

    /// Takes all of `bytes`; every length field must be sound up to the end.
    pub(super) fn parse(bytes: &'a [u8]) -> Result<Self, ParseError> {
        let mut reader = Reader::new(bytes);
        while !reader.is_empty() {
            read_field(&mut reader)?;
        }
        Ok(Self(Source::Wire(bytes)))
    }

    /// Takes all of `bytes` unchecked; the iterator gives an error where they are not sound.
    pub(super) fn parse_lazily(bytes: &'a [u8]) -> Self {
        Self(Source::Wire(bytes))
    }

    /// The fields, at most [`MAX_FIELDS`] of them. An error is a field of a known type with an impossible value, or
    /// (of an ABORT only) an unsound length. Ends behind a field whose type asks to stop there.
    pub(crate) fn iter(&self) -> Iter<'a, T> {
        Iter { source: self.0, left: MAX_FIELDS }
    }

    /// Bytes on the wire without the padding of the last field.
    pub(super) fn wire_len(&self) -> usize {
        match self.0 {
            Source::Wire(bytes) => bytes.len(),
            Source::Items(items) => items.iter().fold(0, |length, item| {
                padded(length).saturating_add(HEADER_LEN).saturating_add(item.value_len())
            }),
        }
    }

    pub(super) fn write(&self, out: &mut BytesMut) {
        let items = match self.0 {
            Source::Wire(bytes) => return out.put_slice(bytes),
            Source::Items(items) => items,
        };
        let mut padding = 0;
        for item in items {
            out.put_bytes(0, padding);
            out.put_u16(item.kind());
            out.put_u16(length_field(item.value_len()));
            item.write_value(out);
            padding = padded(item.value_len()).saturating_sub(item.value_len());
        }
    }
}

/// The fields of a [`TlvList`].
#[derive(Clone)]
pub(crate) struct Iter<'a, T> {
    source: Source<'a, T>,
    left: usize,
}

impl<'a, T: Tlv<'a>> Iterator for Iter<'a, T> {
    type Item = Result<T, ParseError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let field = match &mut self.source {
            Source::Wire([]) => return None,
            Source::Wire(bytes) => {
                let mut reader = Reader::new(bytes);
                let field = read_field(&mut reader);
                *bytes = if field.is_ok() { reader.rest() } else { &[] };
                field.and_then(T::parse)
            }
            Source::Items(items) => {
                let (first, rest) = items.split_first()?;
                *items = rest;
                Ok(*first)
            }
        };
        if field.as_ref().is_ok_and(T::stops) {
            self.left = 0;
        }
        Some(field)
    }
}

impl<'a, T: Tlv<'a>> Default for TlvList<'a, T> {
    fn default() -> Self {
        Self::EMPTY
    }
}

impl<'a, T: Tlv<'a>> PartialEq for TlvList<'a, T> {
    fn eq(&self, other: &Self) -> bool {
        match (self.0, other.0) {
            (Source::Wire(a), Source::Wire(b)) => a == b,
            (Source::Items(_), _) | (Source::Wire(_), Source::Items(_)) => self.iter().eq(other.iter()),
        }
    }
}

impl<'a, T: Tlv<'a>> fmt::Debug for TlvList<'a, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

/// The first few fields.
impl<'a, T: Tlv<'a>> fmt::Display for TlvList<'a, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, field) in self.iter().enumerate() {
            if index == MAX_SHOWN {
                return f.write_str(" …");
            }
            match field {
                Ok(field) => write!(f, " {field}")?,
                Err(error) => write!(f, " ({error})")?,
            }
        }
        Ok(())
    }
}

/// One field and the padding behind it, which the last one may lack.
///
/// RFC 9260 §3.2: "A robust implementation is expected to accept the chunk whether or not the final padding has been
/// included in the Chunk Length."
fn read_field<'a>(reader: &mut Reader<'a>) -> Result<Unknown<'a>, ParseError> {
    let kind = reader.u16()?;
    let length = reader.u16()?;
    let value_len = usize::from(length).checked_sub(HEADER_LEN).ok_or(ParseError::Length(length))?;
    let value = reader.take(value_len)?;
    reader.skip_up_to(padded(value_len).saturating_sub(value_len));
    Ok(Unknown { kind, value })
}

/// The length field of a value of this length.
fn length_field(value_len: usize) -> u16 {
    u16::try_from(value_len.saturating_add(HEADER_LEN)).unwrap_or(u16::MAX)
}

const HEADER_LEN: usize = 4;

/// Fields of one chunk that are looked at. No chunk in use has more than a dozen.
pub(crate) const MAX_FIELDS: usize = 64;

const MAX_SHOWN: usize = 8;

#[cfg(test)]
#[allow(clippy::indexing_slicing, clippy::arithmetic_side_effects, reason = "a panic is a failed test")]
mod tests {
    use super::super::testing::hex;
    use super::super::{Cause, Causes};
    use super::*;

    /// RFC 9260 §3.2.1: fields are padded to words, the last one is not: its padding belongs to the chunk.
    #[test]
    fn padding_stands_between_fields() {
        let causes = [Cause::UserInitiatedAbort(b"a"), Cause::ProtocolViolation(b"bc"), Cause::OutOfResource];
        for (count, bytes) in [
            (0, ""),
            (1, "000c0005 61"),
            (2, "000c0005 61000000 000d0006 6263"),
            (3, "000c0005 61000000 000d0006 62630000 00040004"),
        ] {
            let list = Causes::new(&causes[..count]);
            let mut out = BytesMut::new();
            list.write(&mut out);
            assert_eq!(out, hex(bytes));
            assert_eq!(list.wire_len(), out.len());
            assert_eq!(Causes::parse(&out), Ok(list));
        }
    }

    /// What padding holds does not matter, and at the end some of it may be missing.
    #[test]
    fn padding_is_ignored() {
        let expected = [Cause::UserInitiatedAbort(b"a"), Cause::UserInitiatedAbort(b"b")];
        for end in ["", "ff", "ffff", "ffffff"] {
            let bytes = hex(&format!("000c0005 61ffffff 000c0005 62 {end}"));
            let list = Causes::parse(&bytes).expect("sound");
            assert!(list.iter().eq(expected.map(Ok)), "{end}");
        }
    }
}
