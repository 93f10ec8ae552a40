//! What every input must leave true.
