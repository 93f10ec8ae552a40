//! Packets and chunks as they stand on the wire (RFC 9260 §3).
//!
//! [`parse`] checks a packet's frame (size, checksum, ports) and gives [`Chunks`], an iterator of borrowed [`Chunk`]s.
//! [`PacketWriter`] appends chunks to a buffer and seals the packet. Neither allocates, and the same types serve both
//! ways: what was parsed borrows the packet, what is to be written borrows its owner's slices ([`List`], [`TlvList`](tlv::TlvList)).
//!
//! ```text
//! for chunk in chunks {                        let mut packet = PacketWriter::new(buffer, header, max_size);
//!     match chunk {                            packet.push(&sack);
//!         Ok(Chunk::Data(data)) => …           if !packet.push(&data) { … it did not fit }
//!         Err(error) => count it, go on        let size = packet.finish(Checksum::Crc32c);
//! ```
//!
//! What is checked here: that every length is true, that counts equal the lengths around them, that fixed sizes are
//! met. What is not: whether a value makes sense in a state (a tag of 0, an empty payload, gap blocks in disorder).
//! The rules for unknown types are applied here as far as they say where to stop; reporting is the association's.
//!
//! One file holds one chunk, or the few that share one layout: diagram, struct, `parse`, [`WriteChunk`], `Display`
//! (one bounded log line with the peer's text escaped), tests. A new chunk needs its file, an arm in [`Chunk::parse`]
//! and a line in `Chunk::parts`.
#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

mod abort;
mod cause;
mod checksum;
mod chunk;
mod cookie;
mod data;
mod error;
mod forward_tsn;
mod heartbeat;
mod i_data;
mod i_forward_tsn;
mod init;
mod list;
mod packet;
mod pad;
mod parameter;
mod reader;
mod reconfig;
mod sack;
mod shutdown;
#[cfg(test)]
#[allow(clippy::indexing_slicing, clippy::arithmetic_side_effects, reason = "a panic is a failed test")]
mod testing;
#[cfg(test)]
#[allow(clippy::indexing_slicing, clippy::arithmetic_side_effects, reason = "a panic is a failed test")]
mod tests;
mod text;
mod tlv;

pub(crate) use abort::{Abort, ErrorChunk};
pub(crate) use cause::{Cause, CauseCode, Causes};
pub(crate) use chunk::{Chunk, RawChunk, UnknownAction, WriteChunk};
pub(crate) use cookie::{CookieAck, CookieEcho};
pub(crate) use data::Data;
pub(crate) use error::ParseError;
pub(crate) use forward_tsn::{ForwardTsn, SkippedStream};
pub(crate) use heartbeat::Heartbeat;
pub(crate) use i_data::{Fragment, IData};
pub(crate) use i_forward_tsn::{IForwardTsn, SkippedMessages};
pub(crate) use init::Init;
pub(crate) use list::List;
#[cfg(feature = "__fuzzing")]
pub(crate) use packet::seal;
pub(crate) use packet::{Checksum, Chunks, Header, PacketWriter, parse};
pub(crate) use pad::Pad;
pub(crate) use parameter::{Parameter, Parameters};
pub(crate) use reader::Reader;
pub(crate) use reconfig::{NextTsns, ReConfig, ReconfigParameter, ReconfigParameters, ReconfigResult};
pub(crate) use sack::{GapBlock, Sack};
pub(crate) use shutdown::{Shutdown, ShutdownAck, ShutdownComplete};
pub(crate) use text::Escaped;
pub(crate) use tlv::{Tlv, Unknown};

/// `length` and the padding that follows it (RFC 9260 §3.2: a multiple of 4 bytes).
fn padded(length: usize) -> usize {
    length.next_multiple_of(4)
}
