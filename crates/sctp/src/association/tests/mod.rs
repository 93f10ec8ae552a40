//! Tests of the association alone.

mod answers;
mod clock;
mod extensions;
mod handshake;
mod limits;
mod pair;
mod raw;
mod tags;
mod transitions;
