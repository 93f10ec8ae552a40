//! The size of packets (RFC 8261 §4–6).
