//! SDP (RFC 8866) as far as data channels use it (RFC 8839, 8841, 8842).
