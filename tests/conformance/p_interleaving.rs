//! I-DATA and stream schedulers (RFC 8260).
