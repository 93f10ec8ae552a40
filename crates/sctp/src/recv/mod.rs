//! The receiving half: TSN tracking, acknowledgements, reassembly, inboxes (RFC 9260 §6.2, §6.5–6.7, §6.9).
//!
//! A chunk is checked whole before anything changes: what is dropped leaves no trace and is not acknowledged, and what
//! is acknowledged is never given up again ("An endpoint SHOULD NOT revoke a SACK chunk and discard data", §6.2).
//!
//! # Room
//!
//! Held data counts its bytes and an overhead for each buffer. `a_rwnd` is the window less that. Until a window of zero
//! was advertised everything is taken up to twice the window, since peers count payload only. From then on there is
//! room only for chunks that fill a gap, which is what the second half of the memory is kept for: the largest TSN need
//! not be dropped to make room. The next chunk in sequence is always taken while the application has nothing to read,
//! or a message larger than the window could never be completed. In all no more is held than twice the window and one
//! message of the largest size.

mod acks;
mod inbox;
mod reassembly;
#[cfg(test)]
mod tests;
mod tracker;

use crate::number::{Ppid, StreamId, Tsn, tsn};
use crate::wire::{Data, GapBlock, List, PacketWriter, Sack};
use acks::{Acks, Extent, Noted};
use bytes::Bytes;
use inbox::{Inboxes, OutOfOrder, Reset};
use reassembly::{Reassembly, Refusal};
use std::time::{Duration, Instant};
use tracker::{Tracker, Verdict};

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
}

/// What became of one DATA chunk.
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
}

/// Why a DATA chunk was not accepted.
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
    /// A stream id is not among the incoming streams, or the TSN is absurd: nothing was done.
    Refused,
    /// Abort with "Protocol Violation".
    Violation(&'static str),
}

/// The receiving half of an association.
#[derive(Debug)]
pub(crate) struct Receiver {
    config: ReceiverConfig,
    tracker: Tracker,
    acks: Acks,
    reassembly: Reassembly,
    inboxes: Inboxes,
    /// How many incoming streams were negotiated.
    streams: u16,
    /// The a_rwnd that the peer was told last.
    advertised: usize,
    /// Kept for its allocation.
    gap_blocks: Vec<GapBlock>,
}

impl Receiver {
    pub(crate) fn new(config: ReceiverConfig) -> Self {
        Self {
            config,
            tracker: Tracker::new(Tsn(0), config.window),
            acks: Acks::new(config.sack_delay),
            reassembly: Reassembly::new(config.max_message_size, config.window),
            inboxes: Inboxes::default(),
            streams: 0,
            advertised: config.window,
            gap_blocks: Vec::new(),
        }
    }

    /// The peer's INIT or INIT ACK is known: its first TSN, and how many incoming streams were negotiated. On a
    /// restart too: everything but what can be read is as new.
    pub(crate) fn start(&mut self, peer_initial_tsn: Tsn, streams: u16) {
        self.tracker = Tracker::new(peer_initial_tsn, self.config.window);
        self.acks = Acks::new(self.config.sack_delay);
        self.reassembly = Reassembly::new(self.config.max_message_size, self.config.window);
        self.inboxes.restart();
        self.streams = streams;
        self.advertised = self.config.window;
    }

    /// Takes one chunk; its payload is copied.
    pub(crate) fn handle_data(&mut self, data: &Data<'_>) -> DataOutcome {
        let had_gaps = self.tracker.has_gaps();
        let outcome = self.take(data);
        let noted = match outcome {
            DataOutcome::Accepted | DataOutcome::InvalidStream | DataOutcome::TooLarge(_) => Some(Noted::New),
            DataOutcome::Duplicate => Some(Noted::Duplicate),
            DataOutcome::Dropped(DropReason::OutsideWindow) => None,
            DataOutcome::Dropped(
                DropReason::TooManyGaps | DropReason::BufferFull | DropReason::TooManyIncomplete,
            ) => Some(Noted::NoRoom),
            DataOutcome::NoUserData | DataOutcome::Violation(_) => None,
        };
        if let Some(noted) = noted {
            self.acks.note(noted, data.immediate, had_gaps);
        }
        outcome
    }

    /// After the last chunk of each packet, whether it had DATA or not: decides whether a SACK is due.
    pub(crate) fn end_of_packet(&mut self, now: Instant) {
        self.acks.end_of_packet(now, self.tracker.has_gaps(), self.tracker.highest());
    }

    /// Whether a packet must be sent for the SACK alone. Stays true while several are waiting: call
    /// [`write_sack`](Self::write_sack) for the next packet again.
    pub(crate) fn sack_due(&self) -> bool {
        self.acks.is_due()
    }

    /// Writes the SACK that is due, or, for packets that are sent anyway, one that is merely delayed. Call it first and
    /// once for each packet. False: there is nothing to acknowledge, or no room for it.
    pub(crate) fn write_sack(&mut self, packet: &mut PacketWriter<'_>) -> bool {
        let Some(extent) = self.acks.next() else { return false };
        let Some(room) = packet.remaining().checked_sub(Sack::HEADER_LEN) else { return false };
        let a_rwnd = self.window();
        self.fill_gap_blocks(extent, room / GAP_BLOCK_LEN);
        let room = room - self.gap_blocks.len() * GAP_BLOCK_LEN;
        let (upper, duplicates) = match extent {
            Extent::UpTo(cut) => (cut, &[][..]),
            Extent::Everything => (u64::MAX, self.tracker.duplicates()),
        };
        let duplicates = duplicates.get(..room / TSN_LEN).unwrap_or(duplicates);
        let written = packet.push(&Sack {
            cumulative_tsn: tsn(self.tracker.cumulative().min(upper)),
            a_rwnd: u32::try_from(a_rwnd).unwrap_or(u32::MAX),
            gaps: List::new(&self.gap_blocks),
            duplicates: List::new(duplicates),
        });
        if written {
            if extent == Extent::Everything {
                self.tracker.clear_duplicates();
            }
            self.advertised = a_rwnd;
            self.acks.written();
        }
        written
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

    /// The a_rwnd of now.
    ///
    /// RFC 9260 §6.2 C: "if the receiver is holding fragmented DATA chunks in a reassembly queue, it SHOULD NOT
    /// increment a_rwnd."
    pub(crate) fn window(&self) -> usize {
        let window = self.config.window.saturating_sub(self.charge());
        // The application cannot free anything: a message larger than the window must trickle in.
        if !self.has_readable() && !self.tracker.has_gaps() {
            return window.max(STARVED_WINDOW.min(self.config.window));
        }
        window
    }

    /// The next whole message. None while a message is half read by [`recv_part`](Self::recv_part).
    pub(crate) fn recv(&mut self, stream: StreamId) -> Option<Message> {
        if self.reassembly.is_half_read(stream) {
            return None;
        }
        let message = self.inboxes.take_message(stream)?;
        self.update_window();
        Some(message)
    }

    /// The next piece of the next message, also of one that is still arriving if nothing before it is missing.
    pub(crate) fn recv_part(&mut self, stream: StreamId) -> Option<Part> {
        self.inboxes.set_reads_parts(stream);
        let part = if self.reassembly.is_half_read(stream) {
            self.reassembly.take_part()
        } else if let Some(Message { ppid, data }) = self.inboxes.take_last_part(stream) {
            Some(Part { ppid, data, last: true })
        } else if self.part_of(stream) {
            self.reassembly.take_part()
        } else {
            None
        };
        self.update_window();
        part
    }

    /// Whether `recv` (or `recv_part`, if that was called last) has something.
    pub(crate) fn is_readable(&self, stream: StreamId) -> bool {
        self.inboxes.is_readable(stream) || (self.inboxes.reads_parts(stream) && self.part_of(stream))
    }

    /// Of the message that `recv` or `recv_part` gives next, as soon as `is_readable` says there is something.
    pub(crate) fn next_ppid(&self, stream: StreamId) -> Option<Ppid> {
        if self.reassembly.is_half_read(stream) {
            return self.reassembly.readable_ppid();
        }
        let part = || self.part_of(stream).then(|| self.reassembly.readable_ppid()).flatten();
        self.inboxes.next_ppid(stream).or_else(part)
    }

    /// Incoming Outgoing SSN Reset Request; no streams = all. Ask once per request number.
    pub(crate) fn reset_request(&mut self, last_tsn: Tsn, streams: &[StreamId]) -> ResetOutcome {
        let last = self.tracker.unwrap(last_tsn);
        let cumulative = self.tracker.cumulative();
        let is_known = streams.iter().all(|stream| stream.0 < self.streams);
        if !is_known || last.saturating_sub(cumulative) > MAX_RESET_DISTANCE {
            return ResetOutcome::Refused;
        }
        match self.inboxes.reset(last, streams, cumulative) {
            Ok(Reset::Done) => ResetOutcome::Done,
            Ok(Reset::Deferred) => ResetOutcome::InProgress,
            Ok(Reset::Busy) => ResetOutcome::Busy,
            Err(OutOfOrder(violation)) => ResetOutcome::Violation(violation),
        }
    }

    /// Whether a reset is deferred. A repeated request is then answered "in progress", else "performed".
    pub(crate) fn is_resetting(&self) -> bool {
        self.inboxes.is_resetting()
    }

    pub(crate) fn poll_event(&mut self) -> Option<ReceiverEvent> {
        self.inboxes.poll_event()
    }

    /// Bytes held and their overhead: unread, ahead of their turn, and being reassembled.
    pub(crate) fn charge(&self) -> usize {
        self.reassembly.charge() + self.inboxes.charge()
    }

    fn take(&mut self, data: &Data<'_>) -> DataOutcome {
        // RFC 9260 §6.2: "If an endpoint receives a DATA chunk with no user data (i.e., the Length field is set to 16),
        // it SHOULD send an ABORT chunk with a "No User Data" error cause."
        if data.payload.is_empty() {
            return DataOutcome::NoUserData;
        }
        let number = self.tracker.unwrap(data.tsn);
        match self.tracker.check(number) {
            Verdict::New => {}
            Verdict::Duplicate => {
                self.tracker.note_duplicate(number);
                return DataOutcome::Duplicate;
            }
            Verdict::OutsideWindow => return DataOutcome::Dropped(DropReason::OutsideWindow),
            Verdict::TooManyGaps => return DataOutcome::Dropped(DropReason::TooManyGaps),
        }
        // RFC 9260 §6.5: "it SHOULD acknowledge the reception of the DATA chunk following the normal procedure,
        // immediately send an ERROR chunk with cause set to "Invalid Stream Identifier" […], and discard the DATA
        // chunk."
        if data.stream.0 >= self.streams {
            if let Err(Refusal::Violation(violation)) = self.reassembly.check_runs(number, data) {
                return DataOutcome::Violation(violation);
            }
            self.tracker.insert(number);
            return self.settle().unwrap_or(DataOutcome::InvalidStream);
        }
        if let Err(outcome) = self.admit(number, data.payload.len()) {
            return outcome;
        }
        match self.reassembly.check(number, data, &self.tracker) {
            Ok(()) => self.accept(number, data),
            Err(Refusal::Violation(violation)) => DataOutcome::Violation(violation),
            Err(Refusal::TooManyIncomplete) => DataOutcome::Dropped(DropReason::TooManyIncomplete),
        }
    }

    /// Whether there is room.
    fn admit(&self, number: u64, len: usize) -> Result<(), DataOutcome> {
        // Of what is in sequence only one message can be incomplete, and it is bounded; all else is readable.
        if number == self.tracker.cumulative() + 1 && !self.has_readable() {
            return Ok(());
        }
        let charge = self.charge() + len + CHUNK_OVERHEAD;
        let cap = self.config.window.saturating_mul(2);
        // RFC 9260 §6.2: "When the receiver's advertised window is 0, the receiver MUST drop any new incoming DATA chunk
        // with a TSN larger than the largest TSN received so far." What is lower has the reserve above the window.
        let is_shut = self.advertised == 0 && self.window() == 0;
        if charge > cap || (is_shut && number > self.tracker.highest()) {
            return Err(DataOutcome::Dropped(DropReason::BufferFull));
        }
        Ok(())
    }

    fn accept(&mut self, number: u64, data: &Data<'_>) -> DataOutcome {
        let part_before = self.reassembly.readable_part();
        self.tracker.insert(number);
        let cumulative = self.tracker.cumulative();
        let inserted = self.reassembly.insert(number, data, cumulative);
        if let Some(complete) = inserted.complete
            && let Err(OutOfOrder(violation)) = self.inboxes.deliver(complete, cumulative)
        {
            return DataOutcome::Violation(violation);
        }
        if let Some(part) = self.reassembly.readable_part()
            && part_before != Some(part)
        {
            self.announce_part(part.0);
        }
        let outcome =
            if inserted.is_too_large { DataOutcome::TooLarge(data.stream) } else { DataOutcome::Accepted };
        self.settle().unwrap_or(outcome)
    }

    /// After the cumulative TSN moved.
    fn settle(&mut self) -> Option<DataOutcome> {
        let settled = self.inboxes.advance(self.tracker.cumulative());
        settled.err().map(|OutOfOrder(violation)| DataOutcome::Violation(violation))
    }

    fn announce_part(&mut self, stream: StreamId) {
        let is_new = self.inboxes.reads_parts(stream) && !self.inboxes.is_readable(stream);
        if is_new && self.part_of(stream) {
            self.inboxes.announce(stream);
        }
    }

    /// Whether the message of which a part can be read is the next one of this stream.
    fn part_of(&self, stream: StreamId) -> bool {
        let part = self.reassembly.readable_part();
        part.is_some_and(|(of, ssn, _)| of == stream && self.inboxes.is_next(stream, ssn))
    }

    /// Whether the application could free something.
    fn has_readable(&self) -> bool {
        let part = self.reassembly.readable_part();
        self.inboxes.has_messages() || part.is_some_and(|(stream, ..)| self.inboxes.reads_parts(stream))
    }

    /// RFC 9260 §6.2: "send a window update only if the window can be increased by at least a quarter of the receive
    /// buffer size of the association", or if the peer could hardly send before and can now.
    fn update_window(&mut self) {
        let quarter = self.config.window / 4;
        let little = LITTLE_WINDOW.min(quarter);
        let growth = self.window().saturating_sub(self.advertised);
        if growth >= quarter || (growth >= little && self.advertised < little) {
            self.acks.require();
        }
    }

    /// RFC 9260 §6.7: "report the Gap Ack Blocks from the lowest to highest TSNs, within the size limit set by the PMTU,
    /// and leave the remaining highest TSN numbers unacknowledged".
    fn fill_gap_blocks(&mut self, extent: Extent, limit: usize) {
        let upper = match extent {
            Extent::UpTo(cut) => cut,
            Extent::Everything => u64::MAX,
        };
        let cumulative = self.tracker.cumulative();
        let offset = |number: u64| u16::try_from(number - cumulative).unwrap_or(u16::MAX);
        let ranges = self.tracker.ranges().iter().take_while(|range| range.first <= upper).take(limit);
        self.gap_blocks.clear();
        self.gap_blocks.extend(
            ranges.map(|range| GapBlock { start: offset(range.first), end: offset(range.last.min(upper)) }),
        );
    }
}

/// Charged for every buffer held beside its bytes, so that tiny messages cannot take many times the window.
const CHUNK_OVERHEAD: usize = 128;
/// The window that is advertised at least while the application has nothing to read: four packets.
const STARVED_WINDOW: usize = 4 * 1500;
/// With less than this a peer can hardly send: two packets (RFC 9260 §6.2: "avoid receiver silly window syndrome").
const LITTLE_WINDOW: usize = 2 * 1500;
/// How far beyond the cumulative TSN a reset may lie: no more can be underway (RFC 9260 §3.3.4: 16-bit offsets).
const MAX_RESET_DISTANCE: u64 = 65_535;
/// RFC 9260 §3.3.4.
const GAP_BLOCK_LEN: usize = 4;
/// RFC 9260 §3.3.4.
const TSN_LEN: usize = 4;
