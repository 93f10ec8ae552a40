//! Extensions and DTLS below (RFC 5061, RFC 8261).
