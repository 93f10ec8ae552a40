//! Failure detection and HEARTBEAT (RFC 9260 §8).
