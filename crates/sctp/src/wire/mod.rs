//! Packets and chunks as they stand on the wire (RFC 9260 §3).
