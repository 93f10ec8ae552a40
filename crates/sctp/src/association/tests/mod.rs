//! Tests of the association alone.

mod pair;
