//! The receiving half: TSN tracking, acknowledgements, reassembly, inboxes (RFC 9260 §6.2, §6.5–6.7, §6.9; RFC 3758
//! §3.6; RFC 8260 §2.2.3).
//!
//! A chunk is checked whole before anything changes: what is dropped leaves no trace and is not acknowledged, and what
//! is acknowledged is never given up again ("An endpoint SHOULD NOT revoke a SACK chunk and discard data", §6.2), unless
//! the peer gives it up.
//!
//! # Room
//!
//! Held data counts its bytes and an overhead for each buffer. `a_rwnd` is the window less that. Until a window of zero
//! was advertised everything is taken up to twice the window, since peers count payload only. From then on there is
//! room only for chunks that fill a gap, which is what the second half of the memory is kept for: the largest TSN need
//! not be dropped to make room. The next chunk in sequence is taken beyond that while the application has nothing to
//! read, or a message larger than the window could never be completed. In all no more is held than twice the window and
//! one message of the largest size. With DATA that is always enough, for of what is in sequence only one message can be
//! incomplete; of I-DATA all of it can be, and then the association has to end.

mod acks;
mod arrival;
mod assembler;
mod forward;
mod inbox;
mod interleaved;
mod message;
mod partial;
mod reading;
mod reassembly;
mod reset;
mod sack;
mod stream;
#[cfg(test)]
mod tests;
mod tracker;

use crate::number::{Ppid, StreamId, Tsn, tsn};
use crate::wire::GapBlock;
use acks::Acks;
use assembler::Assembler;
use bytes::Bytes;
use inbox::Inboxes;
use message::Limits;
use std::time::{Duration, Instant};
use tracker::Tracker;

/// A whole received message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Of the first fragment.
    pub ppid: Ppid,
    /// The payload.
    pub data: Bytes,
}

/// A piece of a message, in order (see `Association::recv_part`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// Of the first fragment.
    pub ppid: Ppid,
    /// The next bytes of the message.
    pub data: Bytes,
    /// Whether the message ends here.
    pub last: bool,
    /// The message will never be complete: the peer gave the rest of it up (RFC 3758), or it grew too large, or the
    /// peer restarted or reset the stream inside it. `last` is true then, and `data` is empty.
    pub abandoned: bool,
}

/// Settings of a [`Receiver`], taken from the association's.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ReceiverConfig {
    /// Receive window in bytes, as INIT advertises it; the hard memory cap is twice this.
    pub(crate) window: usize,
    /// Largest message that is accepted.
    pub(crate) max_message_size: usize,
    /// Longest delay of an acknowledgement, at most 500 ms.
    pub(crate) sack_delay: Duration,
    /// Ranges of TSNs beyond the cumulative one; a chunk that would open one more is not accepted.
    pub(crate) max_gap_ranges: usize,
    /// How far ahead of the cumulative TSN one may lie. More than 16 bits a SACK could not report (RFC 9260 §3.3.4).
    /// With a small window the bound is lower, for chunks, but not for FORWARD TSN.
    pub(crate) max_tsn_distance: u16,
    /// Duplicates remembered between two SACKs.
    pub(crate) max_duplicates: usize,
    /// Messages that may have begun without being complete, all streams together. With DATA only those count that began
    /// out of sequence; with I-DATA those whose first chunk came in sequence may be as many again.
    pub(crate) max_incomplete: usize,
    /// The same for one stream. None: a window full of typical messages, so that a burst of losses on a fast path does
    /// not lose more here; at least 64.
    pub(crate) max_incomplete_per_stream: Option<usize>,
    /// Fragments of one message; one with more is treated as too large. None: as many as make the largest message out
    /// of 64 bytes each; at least 64.
    pub(crate) max_fragments: Option<u64>,
}

impl Default for ReceiverConfig {
    fn default() -> Self {
        Self {
            window: 4 << 20,
            max_message_size: 256 << 10,
            sack_delay: Duration::from_millis(200),
            max_gap_ranges: 1024,
            max_tsn_distance: u16::MAX,
            max_duplicates: 32,
            max_incomplete: 1024,
            max_incomplete_per_stream: None,
            max_fragments: None,
        }
    }
}

impl ReceiverConfig {
    fn limits(&self) -> Limits {
        let by_window = (self.window / TYPICAL_MESSAGE).max(MIN_INCOMPLETE_PER_STREAM);
        let by_size = u64::try_from(self.max_message_size / TYPICAL_FRAGMENT).unwrap_or(u64::MAX);
        Limits {
            message_size: self.max_message_size,
            fragments: self.max_fragments.unwrap_or(by_size.max(MIN_FRAGMENTS)),
            incomplete: self.max_incomplete,
            incomplete_per_stream: self.max_incomplete_per_stream.unwrap_or(by_window),
        }
    }
}

/// How often something was received that a bound refused, or that was lost on purpose.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ReceiverStats {
    /// Chunks that came again.
    pub(crate) duplicates: u64,
    /// Of these, the ones beyond `max_duplicates`, which no SACK reports.
    pub(crate) duplicates_unreported: u64,
    /// Chunks and FORWARD TSNs too far ahead.
    pub(crate) outside_window: u64,
    /// Chunks beyond `max_gap_ranges`.
    pub(crate) too_many_gaps: u64,
    /// Chunks for which there was no room.
    pub(crate) buffer_full: u64,
    /// Chunks beyond `max_incomplete` and `max_incomplete_per_stream`.
    pub(crate) too_many_incomplete: u64,
    /// Messages that had more than `max_message_size` bytes.
    pub(crate) messages_too_large: u64,
    /// Messages that had more than `max_fragments` fragments.
    pub(crate) too_many_fragments: u64,
    /// Chunks for which there was no room and never would be.
    pub(crate) out_of_resource: u64,
    /// FORWARD TSNs that moved the cumulative TSN.
    pub(crate) forwards: u64,
}

/// What became of one DATA or I-DATA chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DataOutcome {
    /// New, kept, will be acknowledged.
    Accepted,
    /// Seen before; reported as a duplicate.
    Duplicate,
    /// Not kept and not acknowledged; the peer will send it again.
    Dropped(DropReason),
    /// Acknowledged and discarded; answer with ERROR "Invalid Stream Identifier" (RFC 9260 §6.5).
    InvalidStream,
    /// Abort with "No User Data" (RFC 9260 §6.2).
    NoUserData,
    /// Abort with "Protocol Violation".
    Violation(&'static str),
    /// Acknowledged, but the message grew over the limit: what is held of it is gone and the rest will be discarded.
    /// Said once per message; close the channel.
    TooLarge(StreamId),
    /// There is no room for the next chunk in sequence, and nothing that could be read or is still to come would make
    /// any: abort with "Out of Resource" (RFC 9260 §3.3.10.4).
    OutOfResource,
}

/// What became of a FORWARD TSN or I-FORWARD-TSN chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ForwardOutcome {
    /// The cumulative TSN moved.
    Advanced,
    /// It is there already; a SACK says so at once.
    Stale,
    /// Too far ahead: nothing was done.
    OutsideWindow,
    /// Abort with "Protocol Violation".
    Violation(&'static str),
}

/// Why a chunk was not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DropReason {
    /// The TSN is too far ahead of the cumulative one.
    OutsideWindow,
    /// It would open one more gap than can be tracked.
    TooManyGaps,
    /// The receive buffer is full.
    BufferFull,
    /// Too many messages are incomplete.
    TooManyIncomplete,
}

/// What happened in the receiving half, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ReceiverEvent {
    /// A stream that had nothing to read has something now (edge): a whole message, or, if the application read parts
    /// last, the beginning of one.
    Readable(StreamId),
    /// The peer reset these streams, which are sorted (none: all of them); everything it sent before is in the inboxes.
    StreamsReset(Vec<StreamId>),
}

/// The answer to an Outgoing SSN Reset Request (RFC 6525 §5.2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ResetOutcome {
    /// Performed; `StreamsReset` was queued.
    Done,
    /// Data before it is missing still: performed, with `StreamsReset`, when that has come (see
    /// [`Receiver::is_resetting`]).
    InProgress,
    /// Another reset is deferred: nothing was done.
    Busy,
    /// It would move again what lay beyond an earlier one, and that is much: nothing was done.
    Excessive,
    /// A stream id is not among the incoming streams, or the TSN is absurd: nothing was done.
    Refused,
    /// Abort with "Protocol Violation".
    Violation(&'static str),
}

/// The receiving half of an association.
///
/// Its `impl` is spread by concern: chunks with data in `arrival`, FORWARD TSN in `forward`, SACKs in `sack`, the
/// application in `reading`, RFC 6525 in `reset`.
#[derive(Debug)]
pub(crate) struct Receiver {
    config: ReceiverConfig,
    tracker: Tracker,
    acks: Acks,
    assembler: Assembler,
    inboxes: Inboxes,
    stats: ReceiverStats,
    /// How many incoming streams were negotiated.
    streams: u16,
    /// The a_rwnd that the peer was told last.
    advertised: usize,
    /// Bytes that were given out, and that the application has not read all the same.
    held: usize,
    /// Kept for its allocation.
    gap_blocks: Vec<GapBlock>,
    /// How often a stream was asked for a part to read.
    #[cfg(test)]
    looked_at: std::cell::Cell<usize>,
}

impl Receiver {
    pub(crate) fn new(config: ReceiverConfig) -> Self {
        Self {
            config,
            tracker: Tracker::new(Tsn(0), &config),
            acks: Acks::new(config.sack_delay),
            assembler: Assembler::new(config.limits(), false),
            inboxes: Inboxes::default(),
            stats: ReceiverStats::default(),
            streams: 0,
            advertised: config.window,
            held: 0,
            gap_blocks: Vec::new(),
            #[cfg(test)]
            looked_at: std::cell::Cell::default(),
        }
    }

    /// The peer's INIT or INIT ACK is known: its first TSN, how many incoming streams were negotiated, and whether it
    /// sends I-DATA (`interleaving`) or DATA. On a restart too: everything but what can be read is as new.
    pub(crate) fn start(&mut self, peer_initial_tsn: Tsn, streams: u16, interleaving: bool) {
        self.tracker = Tracker::new(peer_initial_tsn, &self.config);
        self.acks = Acks::new(self.config.sack_delay);
        self.inboxes.restart();
        for given_up in self.assembler.clear() {
            self.inboxes.abandon(&given_up);
        }
        self.assembler = Assembler::new(self.config.limits(), interleaving);
        self.streams = streams;
        self.advertised = self.config.window;
    }

    /// After the last chunk of each packet, whether it had DATA or not: decides whether a SACK is due.
    pub(crate) fn end_of_packet(&mut self, now: Instant) {
        self.acks.end_of_packet(now, self.tracker.has_gaps(), self.tracker.highest());
    }

    /// The delayed-acknowledgement timer.
    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        self.acks.handle_timeout(now);
    }

    /// When the delayed acknowledgement is due.
    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        self.acks.poll_timeout()
    }

    /// Cuts the acknowledgement delay at half the RTO, and tells the measured round trip.
    pub(crate) fn set_path(&mut self, rto: Duration, srtt: Option<Duration>) {
        self.acks.set_path(rto, srtt);
    }

    /// For SACK and SHUTDOWN: the last TSN before the first missing one.
    pub(crate) fn cumulative_tsn(&self) -> Tsn {
        tsn(self.tracker.cumulative())
    }

    pub(crate) fn poll_event(&mut self) -> Option<ReceiverEvent> {
        self.inboxes.poll_event()
    }

    /// Bytes held and their overhead: unread, ahead of their turn, and being reassembled.
    pub(crate) fn charge(&self) -> usize {
        self.assembler.charge() + self.inboxes.charge() + self.held
    }

    /// So much of what was given out has not reached the application: it counts as if it were in an inbox still.
    pub(crate) fn set_held(&mut self, bytes: usize) {
        self.held = bytes;
        self.update_window();
    }

    /// Since the association began, restarts included.
    pub(crate) fn stats(&self) -> ReceiverStats {
        self.stats
    }

    /// What must hold after each input: what is held is what was counted, and it is bounded. Counts all there is.
    #[cfg(any(test, feature = "__fuzzing"))]
    pub(crate) fn check_invariants(&self) {
        let held = self.charge() - self.held;
        assert_eq!(held, self.assembler.recount() + self.inboxes.recount(), "bytes held");
        self.check_bounds();
    }

    /// The part of it that costs nothing.
    #[cfg(any(test, feature = "__fuzzing"))]
    pub(crate) fn check_bounds(&self) {
        let held = self.charge() - self.held;
        assert!(self.window() <= self.config.window, "a window of {}", self.window());
        let largest = self.config.window.saturating_mul(2).saturating_add(self.config.max_message_size);
        assert!(held <= largest.saturating_add(CHUNK_OVERHEAD), "{held} bytes held");
    }
}

/// Charged for every buffer held beside its bytes, so that tiny messages cannot take many times the window.
const CHUNK_OVERHEAD: usize = 128;
/// RFC 8831 §6.6: "As long as message interleaving is not supported, the sender SHOULD limit the maximum message size
/// to 16 KB to avoid monopolization."
const TYPICAL_MESSAGE: usize = 16 << 10;
/// Incomplete messages of a stream that any window allows.
const MIN_INCOMPLETE_PER_STREAM: usize = 64;
/// No peer cuts a large message into smaller pieces than this.
const TYPICAL_FRAGMENT: usize = 64;
/// Fragments that the smallest message may have.
const MIN_FRAGMENTS: u64 = 64;
