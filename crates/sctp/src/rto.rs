//! skeleton (owner: send)
