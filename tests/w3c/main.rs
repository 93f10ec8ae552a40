//! What the W3C text and its tests ask of connections and channels without media, one test per line of `behaviours.txt`.
//!
//! Where the text counts tasks, the order of events here does: "a later task" is a later event.
#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

#[path = "../support/coverage.rs"]
mod coverage;
#[path = "../support/relay.rs"]
mod relay;
#[path = "../support/loopback.rs"]
mod support;

mod announcing;
mod buffered;
mod candidates;
mod certificates;
mod closing;
mod configuration;
mod create;
mod descriptions;
mod gathering;
mod members;
mod objects;
mod operations;
mod restart;
mod sdp;
mod sending;
mod stats;
mod table;
mod transports;
