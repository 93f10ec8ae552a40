//! Stream reconfiguration (RFC 6525).
