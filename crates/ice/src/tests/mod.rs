//! Pair tests, and the tests of the text forms.

mod candidate;
