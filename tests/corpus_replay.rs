//! Replays the fuzz corpora.
