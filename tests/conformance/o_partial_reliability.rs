//! Partial reliability (RFC 3758, RFC 7496).
