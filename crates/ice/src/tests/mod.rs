//! Pair tests under virtual time, and the tests of the text forms.

mod announced;
mod candidate;
mod full_peer;
mod hostile;
mod ledger;
mod pair;
mod restart;
mod support;
