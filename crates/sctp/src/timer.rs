//! skeleton (owner: assoc)
