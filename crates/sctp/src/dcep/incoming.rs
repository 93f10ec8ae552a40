//! What comes from the peer: OPEN and ACK (RFC 8832 §6), and messages that no channel waits for.

use super::early::Bounds;
use super::entry::{Entry, Phase};
use super::message::{Message, Open};
use super::streams::Direction;
use super::{ChannelCloseReason, ChannelEvent, ChannelId, ChannelInit, Channels};
use crate::{Part, Ppid, StreamId};
use std::time::{Duration, Instant};
use tracing::debug;

/// What the peer's channels take of their limits.
#[derive(Debug)]
pub(super) struct Usage {
    pub(super) channels: usize,
    pub(super) name_bytes: usize,
    /// Opens in the second that began then.
    opens: u32,
    second: Instant,
}

/// How often something of the peer's was refused, by cause.
#[derive(Debug, Default)]
pub(super) struct Refused {
    pub(super) channel_count: u64,
    pub(super) name_bytes: u64,
    pub(super) open_rate: u64,
    pub(super) early_bytes: u64,
    pub(super) without_open: u64,
    pub(super) violations: u64,
    pub(super) messages_ignored: u64,
}

/// Why a stream does not become a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// [`Config::max_incoming_channels`](crate::Config::max_incoming_channels)
    ChannelCount,
    /// [`Config::max_channel_name_bytes`](crate::Config::max_channel_name_bytes)
    NameBytes,
    /// [`Config::max_opens_per_second`](crate::Config::max_opens_per_second)
    OpenRate,
    /// [`Config::max_early_bytes`](crate::Config::max_early_bytes)
    EarlyBytes,
    /// [`Config::early_timeout`](crate::Config::early_timeout)
    WithoutOpen,
    /// The peer broke a rule.
    Violation(&'static str),
}

impl Usage {
    pub(super) fn new(now: Instant) -> Self {
        Self { channels: 0, name_bytes: 0, opens: 0, second: now }
    }

    fn add(&mut self, name_bytes: usize) {
        self.channels = self.channels.saturating_add(1);
        self.name_bytes = self.name_bytes.saturating_add(name_bytes);
    }

    /// A channel with so many bytes of label and protocol is gone.
    pub(super) fn remove(&mut self, name_bytes: usize) {
        self.channels = self.channels.saturating_sub(1);
        self.name_bytes = self.name_bytes.saturating_sub(name_bytes);
    }

    fn note_open(&mut self, now: Instant, limit: u32) -> bool {
        if now.saturating_duration_since(self.second) >= Duration::from_secs(1) {
            self.second = now;
            self.opens = 0;
        }
        self.opens = self.opens.saturating_add(1);
        self.opens <= limit
    }
}

impl Refused {
    fn count(&mut self, why: Refusal) {
        let counter = match why {
            Refusal::ChannelCount => &mut self.channel_count,
            Refusal::NameBytes => &mut self.name_bytes,
            Refusal::OpenRate => &mut self.open_rate,
            Refusal::EarlyBytes => &mut self.early_bytes,
            Refusal::WithoutOpen => &mut self.without_open,
            Refusal::Violation(_) => &mut self.violations,
        };
        *counter = counter.saturating_add(1);
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
            let Some(entry) = self.entry(id).filter(|entry| !entry.discards()) else {
                self.association.discard_unread(stream);
                return false;
            };
            let is_unanswered = entry.phase == Phase::Opening;
            match self.association.next_ppid(stream) {
                None => return false,
                Some(ppid) if ppid.is_message() => {
                    // RFC 8832 §6: "the DATA_CHANNEL_ACK message or any other message".
                    if is_unanswered {
                        self.note_answer(id);
                    }
                    return true;
                }
                Some(Ppid::DCEP) => {
                    let Some(message) = self.association.recv_aside(now, stream) else { return false };
                    self.on_dcep(now, id, &message.data);
                }
                Some(ppid) if self.ignores(ppid) => {
                    if self.association.recv_aside(now, stream).is_none() {
                        return false;
                    }
                    self.note_ignored(ppid);
                }
                // RFC 8831 §6.6: "the receiver SHOULD close the corresponding data channel."
                Some(_) => {
                    self.on_violation(now, id, UNKNOWN_PPID);
                    return false;
                }
            }
        }
    }

    /// Whether messages of an unknown protocol are dropped, as the settings may want. Pieces of messages, which the
    /// deprecated PPIDs mark, cannot be left out unnoticed.
    fn ignores(&self, ppid: Ppid) -> bool {
        self.association.config().ignore_unknown_ppids
            && ppid != Ppid::BINARY_PARTIAL
            && ppid != Ppid::STRING_PARTIAL
    }

    fn note_ignored(&mut self, ppid: Ppid) {
        debug!(ppid = ppid.0, "message of an unknown payload protocol ignored");
        self.refused.messages_ignored = self.refused.messages_ignored.saturating_add(1);
    }

    fn note_answer(&mut self, id: ChannelId) {
        if self.entry(id).is_some_and(|entry| entry.phase == Phase::Opening) {
            self.set_phase(id, Phase::Open);
        }
    }

    /// A DCEP message on a stream that has a channel.
    fn on_dcep(&mut self, now: Instant, id: ChannelId, message: &[u8]) {
        match Message::parse(message) {
            // One that was not asked for is ignored.
            Ok(Message::Ack) => self.note_answer(id),
            // RFC 8832 §6: "the receiver MUST close the corresponding data channel".
            Ok(Message::Open(_)) => self.on_violation(now, id, "OPEN on a used stream"),
            Err(_) => self.on_violation(now, id, MALFORMED),
        }
    }

    /// The peer broke a rule of a channel: that is closed, and nothing that came on it behind is given out. The same if it
    /// is closing already: it is not listened to any more.
    pub(super) fn on_violation(&mut self, now: Instant, id: ChannelId, what: &'static str) {
        self.refused.count(Refusal::Violation(what));
        let reason = ChannelCloseReason::RemoteViolation(what);
        self.close_channel(now, id, reason.clone(), true);
        if self.entry(id).is_some_and(|entry| matches!(entry.phase, Phase::Closing { .. })) {
            self.set_phase(id, Phase::Closing { reason });
        }
        if let Some(stream) = self.inbox(id) {
            self.association.discard_unread(stream);
        }
    }

    /// Reads a stream that has no channel until there is one.
    fn read_strange(&mut self, now: Instant, stream: StreamId) {
        while let Some(message) = self.association.recv(now, stream) {
            match message.ppid {
                Ppid::DCEP => {
                    self.on_first_dcep(now, stream, &message.data);
                    return self.on_readable_again(now, stream);
                }
                ppid if ppid.is_message() => {
                    let part = Part { ppid: message.ppid, data: message.data, last: true, abandoned: false };
                    let bounds = self.early_bounds();
                    if !self.early.keep(now, stream, part, bounds) {
                        return self.refuse(now, stream, Refusal::EarlyBytes);
                    }
                    self.note_held();
                }
                ppid if self.ignores(ppid) => self.note_ignored(ppid),
                _ => return self.refuse(now, stream, Refusal::Violation(UNKNOWN_PPID)),
            }
        }
    }

    fn on_readable_again(&mut self, now: Instant, stream: StreamId) {
        if self.association.is_readable(stream) && self.streams.get(stream).is_some() {
            self.on_readable(now, stream);
        }
    }

    fn early_bounds(&self) -> Bounds {
        let config = self.association.config();
        // Half of the window stays free, or what is kept could keep out the OPEN that it waits for.
        let in_all = config.max_early_bytes_in_all.min(config.receive_window / 2);
        Bounds { per_stream: config.max_early_bytes, in_all, time: config.early_timeout }
    }

    /// RFC 8832 §6: "receiving a message containing user data on an unused stream indicates an error".
    pub(super) fn on_early_deadlines(&mut self, now: Instant) {
        while let Some(stream) = self.early.due(now) {
            self.refuse(now, stream, Refusal::WithoutOpen);
        }
    }

    /// A DCEP message on a stream that has no channel.
    fn on_first_dcep(&mut self, now: Instant, stream: StreamId, message: &[u8]) {
        let result = match Message::parse(message) {
            Ok(Message::Open(open)) => self.accept(now, stream, &open),
            // The answer to a channel that is gone.
            Ok(Message::Ack) => Ok(()),
            Err(_) => Err(Refusal::Violation(MALFORMED)),
        };
        if let Err(why) = result {
            self.refuse(now, stream, why);
        }
    }

    /// RFC 8832 §6: the peer's channel, if "all parameters in the DATA_CHANNEL_OPEN message are valid".
    fn accept(&mut self, now: Instant, stream: StreamId, open: &Open<'_>) -> Result<(), Refusal> {
        self.check_open(now, stream, open)?;
        let id = self.next_channel_id();
        // RFC 8831 §6.4: "all of the above properties are the same in both directions."
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
        self.incoming.add(entry.name_bytes());
        self.entries.insert(id, entry);
        self.streams.take(stream, Some(id));
        self.association.set_priority(stream, open.priority);
        self.association.set_buffered_amount_low_threshold(stream, 0);
        self.set_phase(id, Phase::Open);
        self.send_dcep(now, stream, Message::Ack.to_bytes());
        self.events.push_back(ChannelEvent::Incoming(id));
        self.events.push_back(ChannelEvent::Open(id));
        if self.adopt_early(id, stream) {
            self.events.push_back(ChannelEvent::Readable(id));
        }
        Ok(())
    }

    fn check_open(&mut self, now: Instant, stream: StreamId, open: &Open<'_>) -> Result<(), Refusal> {
        // RFC 8832 §6: "the odd/even rule is violated"
        if self.role.is_some_and(|role| role.owns(stream)) {
            return Err(Refusal::Violation("stream id of our parity"));
        }
        if stream.0 >= self.stream_limit() {
            return Err(Refusal::Violation("stream beyond those we can answer on"));
        }
        let config = self.association.config();
        // Counted as received: decoding may lengthen them.
        let name_bytes = open.label.len().saturating_add(open.protocol.len());
        if !self.incoming.note_open(now, config.max_opens_per_second) {
            Err(Refusal::OpenRate)
        } else if self.incoming.channels >= config.max_incoming_channels {
            Err(Refusal::ChannelCount)
        } else if self.incoming.name_bytes.saturating_add(name_bytes) > config.max_channel_name_bytes {
            Err(Refusal::NameBytes)
        } else {
            Ok(())
        }
    }

    /// Closes a stream that never became a channel, without an answer to what came on it (RFC 8832 §6).
    pub(super) fn refuse(&mut self, now: Instant, stream: StreamId, why: Refusal) {
        debug!(%stream, ?why, "stream refused");
        self.refused.count(why);
        self.early.take(stream);
        self.note_held();
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

const UNKNOWN_PPID: &str = "unknown payload protocol";
const MALFORMED: &str = "malformed DCEP message";
