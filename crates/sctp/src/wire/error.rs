//! Why bytes off the wire were not understood.

/// Why bytes off the wire were not understood. Counted and logged, never returned to users.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ParseError {
    /// The packet cannot hold a header and a chunk, or is longer than 65535 bytes.
    #[error("packet of {0} bytes")]
    PacketSize(usize),
    /// RFC 9260 §6.8.
    #[error("wrong checksum")]
    Checksum,
    /// RFC 9260 §3.1: neither port may be 0.
    #[error("port 0")]
    ZeroPort,
    /// The bytes end before what is announced.
    #[error("truncated")]
    Truncated,
    /// A length field that is smaller than the smallest possible value.
    #[error("length field of {0}")]
    Length(u16),
    /// Bytes follow where nothing may follow.
    #[error("{0} bytes too many")]
    Trailing(usize),
    /// Not the type that has to stand here.
    #[error("unexpected type {0}")]
    Type(u16),
    /// A counted list whose count disagrees with the length around it.
    #[error("count disagrees with the length")]
    Count,
}
