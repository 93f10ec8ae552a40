//! RTO and T3-rtx (RFC 9260 §6.3).
