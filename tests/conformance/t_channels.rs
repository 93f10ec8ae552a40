//! DCEP and data channels (RFC 8831, RFC 8832).
