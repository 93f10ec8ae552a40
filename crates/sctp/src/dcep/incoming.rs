//! What comes from the peer: OPEN and ACK (RFC 8832 §6), and messages that no channel waits for.

use super::entry::{Entry, Phase};
use super::message::{Message, Open};
use super::streams::Direction;
use super::{ChannelCloseReason, ChannelEvent, ChannelId, ChannelInit, Channels};
use crate::{Part, Ppid, StreamId};
use std::collections::VecDeque;
use std::time::{Duration, Instant};
use tracing::debug;

/// Messages on a stream that has no channel: their OPEN was overtaken, or their negotiated channel is not made yet.
#[derive(Debug)]
pub(super) struct Early {
    parts: VecDeque<Part>,
    bytes: usize,
    pub(super) deadline: Instant,
}

/// What the peer's channels take of their limits.
#[derive(Debug)]
pub(super) struct Usage {
    channels: usize,
    name_bytes: usize,
    /// Opens in the second that began then.
    opens: u32,
    second: Instant,
}

impl Usage {
    pub(super) fn new(now: Instant) -> Self {
        Self { channels: 0, name_bytes: 0, opens: 0, second: now }
    }

    /// A channel with so many bytes of label and protocol is gone.
    pub(super) fn remove(&mut self, name_bytes: usize) {
        self.channels = self.channels.saturating_sub(1);
        self.name_bytes = self.name_bytes.saturating_sub(name_bytes);
    }

    fn note_open(&mut self, now: Instant) -> bool {
        if now.saturating_duration_since(self.second) >= Duration::from_secs(1) {
            self.second = now;
            self.opens = 0;
        }
        self.opens = self.opens.saturating_add(1);
        self.opens <= MAX_OPENS_PER_SECOND
    }
}

impl Channels {
    /// There is something to read on a stream.
    pub(super) fn on_readable(&mut self, now: Instant, id: StreamId) {
        match self.streams.get(id) {
            None => self.read_strange(now, id),
            // It belongs to the next channel on this stream: read when the last one has let go of it.
            Some(stream) if stream.incoming == Direction::Reset => {}
            Some(stream) => match stream.channel {
                Some(channel) => self.on_channel_readable(now, channel, id),
                None => self.association.discard_unread(id),
            },
        }
    }

    fn on_channel_readable(&mut self, now: Instant, id: ChannelId, stream: StreamId) {
        let had_leftover = self.entry(id).is_some_and(Entry::has_leftover);
        if self.skip_control(now, id, stream) && !had_leftover {
            self.events.push_back(ChannelEvent::Readable(id));
        }
    }

    /// Takes from the inbox what is not for the application. Whether something is left that is.
    pub(super) fn skip_control(&mut self, now: Instant, id: ChannelId, stream: StreamId) -> bool {
        loop {
            if self.entry(id).is_none_or(Entry::discards) {
                self.association.discard_unread(stream);
                return false;
            }
            match self.association.next_ppid(stream) {
                None => return false,
                Some(Ppid::STRING | Ppid::BINARY | Ppid::STRING_EMPTY | Ppid::BINARY_EMPTY) => {
                    // RFC 8832 §6: "the DATA_CHANNEL_ACK message or any other message".
                    self.note_answer(id);
                    return true;
                }
                Some(Ppid::DCEP) => {
                    let Some(message) = self.association.recv(now, stream) else { return false };
                    self.on_dcep(now, id, &message.data);
                }
                // RFC 8831 §6.6: the channel is closed; the deprecated PPIDs of partial messages, 52 and 54, too.
                Some(_) => {
                    let reason = ChannelCloseReason::RemoteViolation("unknown payload protocol");
                    self.close_channel(now, id, reason, true);
                    self.association.discard_unread(stream);
                    return false;
                }
            }
        }
    }

    fn note_answer(&mut self, id: ChannelId) {
        if self.entry(id).is_some_and(|entry| entry.phase == Phase::Opening) {
            self.set_phase(id, Phase::Open);
        }
    }

    /// A DCEP message on a stream that has a channel.
    fn on_dcep(&mut self, now: Instant, id: ChannelId, message: &[u8]) {
        let what = match Message::parse(message) {
            // One that was not asked for is ignored.
            Ok(Message::Ack) => return self.note_answer(id),
            Ok(Message::Open(_)) => "OPEN on a used stream",
            Err(_) => "malformed DCEP message",
        };
        // RFC 8832 §6: "the receiver MUST close the corresponding data channel".
        self.close_channel(now, id, ChannelCloseReason::RemoteViolation(what), true);
    }

    /// Reads a stream that has no channel until there is one.
    fn read_strange(&mut self, now: Instant, stream: StreamId) {
        while let Some(message) = self.association.recv(now, stream) {
            match message.ppid {
                Ppid::DCEP => {
                    self.on_first_dcep(now, stream, &message.data);
                    return self.on_readable_again(now, stream);
                }
                Ppid::STRING | Ppid::BINARY | Ppid::STRING_EMPTY | Ppid::BINARY_EMPTY => {
                    let part = Part { ppid: message.ppid, data: message.data, last: true, abandoned: false };
                    if !self.keep_early(now, stream, part) {
                        return self.refuse(now, stream, "too much data before OPEN");
                    }
                }
                _ => return self.refuse(now, stream, "unknown payload protocol"),
            }
        }
    }

    fn on_readable_again(&mut self, now: Instant, stream: StreamId) {
        if self.association.is_readable(stream) && self.streams.get(stream).is_some() {
            self.on_readable(now, stream);
        }
    }

    fn keep_early(&mut self, now: Instant, stream: StreamId, part: Part) -> bool {
        let Some(deadline) = now.checked_add(EARLY_TIME) else { return false };
        let total: usize = self.early.values().map(|early| early.bytes).sum();
        let early =
            self.early.entry(stream).or_insert_with(|| Early { parts: VecDeque::new(), bytes: 0, deadline });
        let cost = part.data.len().saturating_add(EARLY_OVERHEAD);
        if early.bytes.saturating_add(cost) > MAX_EARLY || total.saturating_add(cost) > MAX_EARLY_TOTAL {
            return false;
        }
        early.bytes = early.bytes.saturating_add(cost);
        early.parts.push_back(part);
        true
    }

    /// The stream has its channel: what came before it is its first.
    pub(super) fn adopt_early(&mut self, id: ChannelId, stream: StreamId) {
        if let Some(early) = self.early.remove(&stream)
            && let Some(entry) = self.entries.get_mut(&id)
        {
            entry.leftover = early.parts;
            self.events.push_back(ChannelEvent::Readable(id));
        }
    }

    /// RFC 8832 §6: "receiving a message containing user data on an unused stream indicates an error".
    pub(super) fn on_early_deadlines(&mut self, now: Instant) {
        let due: Vec<StreamId> =
            self.early.iter().filter(|(_, early)| early.deadline <= now).map(|(id, _)| *id).collect();
        for stream in due {
            self.refuse(now, stream, "data without OPEN");
        }
    }

    /// A DCEP message on a stream that has no channel.
    fn on_first_dcep(&mut self, now: Instant, stream: StreamId, message: &[u8]) {
        match Message::parse(message) {
            Ok(Message::Open(open)) => {
                if let Err(why) = self.accept(now, stream, &open) {
                    self.refuse(now, stream, why);
                }
            }
            // The answer to a channel that is gone.
            Ok(Message::Ack) => {}
            Err(_) => self.refuse(now, stream, "malformed DCEP message"),
        }
    }

    /// RFC 8832 §6: the peer's channel, if "all parameters in the DATA_CHANNEL_OPEN message are valid".
    fn accept(&mut self, now: Instant, stream: StreamId, open: &Open<'_>) -> Result<(), &'static str> {
        // "the odd/even rule is violated"
        if self.role.is_some_and(|role| role.owns(stream)) {
            return Err("stream id of our parity");
        }
        if stream.0 >= self.stream_limit() {
            return Err("stream beyond those we can answer on");
        }
        // Counted as received: decoding may lengthen them.
        let name_bytes = open.label.len().saturating_add(open.protocol.len());
        let config = self.association.config();
        if self.incoming.channels >= config.max_incoming_channels
            || self.incoming.name_bytes.saturating_add(name_bytes) > config.max_channel_name_bytes
            || !self.incoming.note_open(now)
        {
            return Err("too many channels");
        }
        let id = self.next_channel_id();
        // RFC 8831 §6.4: both directions have the same properties.
        let mut entry = Entry::new(ChannelInit {
            label: String::from_utf8_lossy(open.label).into_owned(),
            protocol: String::from_utf8_lossy(open.protocol).into_owned(),
            ordered: open.ordered(),
            reliability: open.reliability(),
            priority: open.priority,
            negotiated: None,
        });
        entry.stream = Some(stream);
        entry.is_incoming = true;
        self.incoming.channels += 1;
        self.incoming.name_bytes = self.incoming.name_bytes.saturating_add(entry.name_bytes());
        self.entries.insert(id, entry);
        self.streams.take(stream, Some(id));
        self.association.set_buffered_amount_low_threshold(stream, 0);
        self.set_phase(id, Phase::Open);
        self.send_dcep(now, stream, Message::Ack.to_bytes());
        self.events.push_back(ChannelEvent::Incoming(id));
        self.events.push_back(ChannelEvent::Open(id));
        self.adopt_early(id, stream);
        Ok(())
    }

    /// Closes a stream that never became a channel, without an answer to what came on it (RFC 8832 §6).
    pub(super) fn refuse(&mut self, now: Instant, stream: StreamId, why: &'static str) {
        debug!(%stream, why, "stream refused");
        self.early.remove(&stream);
        self.association.discard_unread(stream);
        if self.streams.get(stream).is_none() && stream.0 < self.stream_limit() {
            self.streams.take(stream, None);
            self.reset_ours(now, stream);
            if self.streams.get(stream).is_some_and(|stream| stream.outgoing == Direction::Open) {
                // It cannot be reset; it is as good as free.
                self.streams.release(stream);
            }
        }
    }
}

/// Opens a second beyond which channels are refused.
const MAX_OPENS_PER_SECOND: u32 = 1000;
/// Bytes kept of one stream without a channel.
const MAX_EARLY: usize = 64 << 10;
/// Bytes kept of all of them.
const MAX_EARLY_TOTAL: usize = 1 << 20;
/// What a kept message costs beside its payload.
const EARLY_OVERHEAD: usize = 64;
/// How long an OPEN may be overtaken.
const EARLY_TIME: Duration = Duration::from_secs(2);
