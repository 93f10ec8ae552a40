//! Attacks on the stack, one test or more for each item of `attacks.txt`: on the engine, a session, an agent, a whole peer or
//! an endpoint, by somebody who means it ill. What weighs memory is in `memory.rs`, a binary of its own.

#[path = "../support/coverage.rs"]
mod coverage;
#[path = "../support/raw_channels.rs"]
mod raw_channels;
#[path = "../support/raw_extensions.rs"]
mod raw_extensions;
#[path = "../support/raw_sctp.rs"]
mod raw_sctp;
#[path = "../support/stack.rs"]
mod stack;
#[path = "../support/loopback.rs"]
mod support;

mod channels;
mod data_path;
mod dtls_handshake;
mod dtls_link;
mod dtls_records;
mod ice;
mod parsing;
mod setup;
mod stun;
mod table;
mod whole;
