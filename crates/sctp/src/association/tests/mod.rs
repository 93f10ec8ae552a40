//! Tests of the association alone.

mod answers;
mod handshake;
mod pair;
mod raw;
mod tags;
mod transitions;
