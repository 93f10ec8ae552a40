//! Sending DATA (RFC 9260 §6, §6.1).
