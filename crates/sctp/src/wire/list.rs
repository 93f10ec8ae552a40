//! Lists of items of one size: gap blocks, TSNs, streams, types.

use super::{ParseError, Reader};
use crate::number::{StreamId, Tsn};
use bytes::{BufMut, BytesMut};
use std::fmt;

/// Something of a fixed size that stands in lists.
pub(crate) trait Item: Copy + fmt::Debug + PartialEq {
    /// Bytes on the wire.
    const LEN: usize;

    fn read(reader: &mut Reader<'_>) -> Result<Self, ParseError>;

    fn write(self, out: &mut BytesMut);
}

/// Items of one size: those of a received packet, or a slice that is to be written.
#[derive(Clone, Copy)]
pub(crate) struct List<'a, T>(Source<'a, T>);

#[derive(Clone, Copy)]
enum Source<'a, T> {
    /// A whole number of items.
    Wire(&'a [u8]),
    Items(&'a [T]),
}

impl<'a, T: Item> List<'a, T> {
    /// Nothing.
    pub(crate) const EMPTY: Self = Self(Source::Items(&[]));

    /// What is to be written.
    pub(crate) fn new(items: &'a [T]) -> Self {
        Self(Source::Items(items))
    }

    /// Takes all of `bytes`, which must be a whole number of items.
    pub(crate) fn parse(bytes: &'a [u8]) -> Result<Self, ParseError> {
        if bytes.len().is_multiple_of(T::LEN) {
            Ok(Self(Source::Wire(bytes)))
        } else {
            Err(ParseError::Count)
        }
    }

    /// How many items.
    pub(crate) fn len(&self) -> usize {
        match self.0 {
            Source::Wire(bytes) => bytes.len().checked_div(T::LEN).unwrap_or_default(),
            Source::Items(items) => items.len(),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(crate) fn iter(&self) -> Iter<'a, T> {
        Iter(*self)
    }

    /// Bytes on the wire.
    pub(super) fn wire_len(&self) -> usize {
        self.len().saturating_mul(T::LEN)
    }

    /// For the 16-bit counts of some chunks. More items than that make no chunk that fits its length field.
    pub(super) fn count_field(&self) -> u16 {
        u16::try_from(self.len()).unwrap_or(u16::MAX)
    }

    pub(super) fn write(&self, out: &mut BytesMut) {
        match self.0 {
            Source::Wire(bytes) => out.put_slice(bytes),
            Source::Items(items) => items.iter().for_each(|item| item.write(out)),
        }
    }
}

/// The items of a [`List`].
#[derive(Clone, Debug)]
pub(crate) struct Iter<'a, T: Item>(List<'a, T>);

impl<T: Item> Iterator for Iter<'_, T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        match &mut self.0.0 {
            Source::Wire(bytes) => {
                let mut reader = Reader::new(bytes);
                let item = T::read(&mut reader).ok()?;
                *bytes = reader.rest();
                Some(item)
            }
            Source::Items(items) => {
                let (first, rest) = items.split_first()?;
                *items = rest;
                Some(*first)
            }
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.0.len(), Some(self.0.len()))
    }
}

impl<T: Item> ExactSizeIterator for Iter<'_, T> {}

impl<'a, T: Item> IntoIterator for List<'a, T> {
    type Item = T;
    type IntoIter = Iter<'a, T>;

    fn into_iter(self) -> Iter<'a, T> {
        self.iter()
    }
}

impl<T: Item> Default for List<'_, T> {
    fn default() -> Self {
        Self::EMPTY
    }
}

impl<T: Item> PartialEq for List<'_, T> {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl<T: Item> fmt::Debug for List<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl Item for u16 {
    const LEN: usize = 2;

    fn read(reader: &mut Reader<'_>) -> Result<Self, ParseError> {
        reader.u16()
    }

    fn write(self, out: &mut BytesMut) {
        out.put_u16(self);
    }
}

impl Item for StreamId {
    const LEN: usize = 2;

    fn read(reader: &mut Reader<'_>) -> Result<Self, ParseError> {
        reader.u16().map(Self)
    }

    fn write(self, out: &mut BytesMut) {
        out.put_u16(self.0);
    }
}

impl Item for Tsn {
    const LEN: usize = 4;

    fn read(reader: &mut Reader<'_>) -> Result<Self, ParseError> {
        reader.u32().map(Self)
    }

    fn write(self, out: &mut BytesMut) {
        out.put_u32(self.0);
    }
}

#[cfg(test)]
#[allow(clippy::indexing_slicing, clippy::arithmetic_side_effects, reason = "a panic is a failed test")]
mod tests {
    use super::*;

    #[test]
    fn both_sources_are_the_same_list() {
        let wire = List::<Tsn>::parse(&[0, 0, 0, 1, 0, 0, 0, 2]).unwrap();
        let items = List::new(&[Tsn(1), Tsn(2)]);
        assert_eq!(wire, items);
        assert_ne!(wire, List::new(&[Tsn(1)]));
        assert_eq!(format!("{wire:?}"), "[Tsn(1), Tsn(2)]");
        for list in [wire, items] {
            let mut iter = list.iter();
            assert_eq!(iter.len(), 2);
            assert_eq!(iter.next(), Some(Tsn(1)));
            assert_eq!(iter.len(), 1);
            assert_eq!(iter.next(), Some(Tsn(2)));
            assert_eq!((iter.len(), iter.next()), (0, None));
            let mut out = BytesMut::new();
            list.write(&mut out);
            assert_eq!(out, [0, 0, 0, 1, 0, 0, 0, 2][..]);
            assert_eq!(list.wire_len(), out.len());
        }
    }

    #[test]
    fn items_are_whole() {
        for length in 0..9 {
            let list = List::<Tsn>::parse(&[0; 8][..length]);
            let expected = if length % 4 == 0 { Ok(length / 4) } else { Err(ParseError::Count) };
            assert_eq!(list.map(|list| list.len()), expected);
        }
    }
}
