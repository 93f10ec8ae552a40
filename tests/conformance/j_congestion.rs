//! Congestion control (RFC 9260 §7).
