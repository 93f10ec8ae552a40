//! SCTP conformance, one test per item of `items.txt`, against a raw peer with a codec of its own.

#[path = "../support/raw_sctp.rs"]
mod raw_sctp;

mod a_codec;
mod b_setup;
mod c_collision;
mod d_tags;
mod g_sacks;
mod h_sacks_received;
mod m_shutdown;
mod table;
