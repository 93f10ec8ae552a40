//! Serial numbers (RFC 9260 §1.6, RFC 1982).
