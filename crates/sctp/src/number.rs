//! Serial numbers (RFC 9260 §1.6, RFC 1982) and the newtypes of the wire.
//!
//! Numbers that wrap are unwrapped to `u64` on entry by [`Unwrapper`]; containers hold only unwrapped numbers.

use std::fmt;

/// A transmission sequence number as it stands on the wire. No order: serial numbers are unwrapped first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Tsn(pub(crate) u32);

/// A stream sequence number as it stands on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Ssn(pub(crate) u16);

/// A message identifier as it stands on the wire (RFC 8260 §2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Mid(pub(crate) u32);

/// A stream identifier (RFC 9260 §3.3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StreamId(pub u16);

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A payload protocol identifier (RFC 9260 §3.3.1; the values of data channels: RFC 8831 §8).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Ppid(pub u32);

impl Ppid {
    /// WebRTC DCEP
    pub const DCEP: Self = Self(50);
    /// WebRTC String
    pub const STRING: Self = Self(51);
    /// WebRTC Binary Partial (deprecated)
    pub const BINARY_PARTIAL: Self = Self(52);
    /// WebRTC Binary
    pub const BINARY: Self = Self(53);
    /// WebRTC String Partial (deprecated)
    pub const STRING_PARTIAL: Self = Self(54);
    /// WebRTC String Empty
    pub const STRING_EMPTY: Self = Self(56);
    /// WebRTC Binary Empty
    pub const BINARY_EMPTY: Self = Self(57);

    /// Whether it marks a message of the user (RFC 8831 §6.6).
    pub(crate) fn is_message(self) -> bool {
        matches!(self, Self::STRING | Self::BINARY | Self::STRING_EMPTY | Self::BINARY_EMPTY)
    }
}

/// Turns wrapping 32-bit serial numbers into `u64`, taking each as the nearest to the last one noted.
///
/// Unwrapped numbers start at 2^32 + the initial number, so that numbers before it are representable.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Unwrapper {
    reference: u64,
}

impl Unwrapper {
    /// `initial` unwraps to 2^32 + `initial`.
    pub(crate) fn new(initial: u32) -> Self {
        Self { reference: (1 << 32) + u64::from(initial) }
    }

    /// The number nearest to the reference that ends in `number`; a distance of exactly 2^31 counts as ahead.
    pub(crate) fn peek(&self, number: u32) -> u64 {
        #[expect(clippy::cast_possible_truncation, reason = "the low half is what the wire carries")]
        let distance = number.wrapping_sub(self.reference as u32);
        if distance <= 1 << 31 {
            self.reference.saturating_add(u64::from(distance))
        } else {
            self.reference.saturating_sub(u64::from(distance.wrapping_neg()))
        }
    }

    /// Moves the reference forward to `number` (an unwrapped one); never back.
    pub(crate) fn note(&mut self, number: u64) {
        self.reference = self.reference.max(number);
    }
}

/// The wire form of an unwrapped TSN.
#[expect(clippy::cast_possible_truncation, reason = "the low half is what the wire carries")]
pub(crate) fn tsn(number: u64) -> Tsn {
    Tsn(number as u32)
}
