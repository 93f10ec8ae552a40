//! Streams, order, fragmentation, reassembly (RFC 9260 §6.5, §6.6, §6.9).
