//! Zero checksum (RFC 9653).
