//! One channel, as its user sees it.

use super::entry::{Entry, Phase};
use super::{
    ChannelCloseReason, ChannelId, ChannelInit, ChannelSendError, ChannelState, ChannelStats, Channels,
    MessageKind, ReceivedMessage, ReceivedPart,
};
use crate::{Part, Ppid, SendError, StreamId};
use bytes::{Bytes, BytesMut};
use std::time::Instant;

/// One channel, borrowed from its [`Channels`].
#[derive(Debug)]
pub struct Channel<'a> {
    pub(super) channels: &'a mut Channels,
    pub(super) id: ChannelId,
}

impl Channel<'_> {
    /// Its name among its [`Channels`].
    pub fn id(&self) -> ChannelId {
        self.id
    }

    /// The stream it uses or used; none until it has got one.
    pub fn stream_id(&self) -> Option<u16> {
        self.entry().stream.map(|stream| stream.0)
    }

    /// What it was made with, here or by the peer.
    pub fn init(&self) -> &ChannelInit {
        &self.entry().init
    }

    /// The state it is in.
    pub fn state(&self) -> ChannelState {
        self.entry().state()
    }

    /// Why it is closing or closed.
    pub fn close_reason(&self) -> Option<&ChannelCloseReason> {
        match &self.entry().phase {
            Phase::Connecting | Phase::Opening | Phase::Open => None,
            Phase::Closing { reason } | Phase::Closed { reason } => Some(reason),
        }
    }

    /// Queues one message; it may be empty.
    ///
    /// # Errors
    /// Nothing of a message that was refused is queued; see [`ChannelSendError`].
    pub fn send(&mut self, now: Instant, kind: MessageKind, data: Bytes) -> Result<(), ChannelSendError> {
        let len = data.len();
        // RFC 8831 §6.6: "if an empty message has to be sent, the appropriate PPID […] is used, and the SCTP user message
        // of one zero byte is sent."
        let (ppid, data) = match (kind, data.is_empty()) {
            (MessageKind::Text, false) => (Ppid::STRING, data),
            (MessageKind::Binary, false) => (Ppid::BINARY, data),
            (MessageKind::Text, true) => (Ppid::STRING_EMPTY, Bytes::from_static(&[0])),
            (MessageKind::Binary, true) => (Ppid::BINARY_EMPTY, Bytes::from_static(&[0])),
        };
        self.queue(now, ppid, data, true, len).map_err(refusal)
    }

    /// Queues a part of a message. The parts of one message follow each other; the last one has `last` and may be empty.
    ///
    /// # Errors
    /// Nothing of a part that was refused is queued; see [`ChannelSendError`].
    pub fn send_part(
        &mut self,
        now: Instant,
        kind: MessageKind,
        data: Bytes,
        last: bool,
    ) -> Result<(), ChannelSendError> {
        let len = data.len();
        let ppid = match kind {
            MessageKind::Text => Ppid::STRING,
            MessageKind::Binary => Ppid::BINARY,
        };
        match self.queue(now, ppid, data, last, len) {
            // Nothing is open that it could end: it is an empty message.
            Err(SendError::Empty) if last => self.send(now, kind, Bytes::new()),
            Err(SendError::Empty) => Ok(()),
            result => result.map_err(refusal),
        }
    }

    /// Gives up the message whose last part was not sent yet: no more of it is sent, and the peer never has it as a whole
    /// one. Without effect if there is none.
    ///
    /// `false`: the peer does not know partial reliability (RFC 3758) and has the beginning already, so nothing takes that
    /// back. The message waits for its next part still; a [`close`](Self::close) ends it with what there is of it.
    pub fn give_up_message(&mut self, now: Instant) -> bool {
        let Some(stream) = self.channels.attached(self.id) else { return true };
        let is_given_up = self.channels.association.give_up_open(now, stream);
        self.channels.note_buffered(self.id);
        self.channels.settle(now);
        is_given_up
    }

    /// `len` is what counts of the data as the user's.
    fn queue(
        &mut self,
        now: Instant,
        ppid: Ppid,
        data: Bytes,
        last: bool,
        len: usize,
    ) -> Result<(), SendError> {
        let entry = self.entry();
        let ordered = match entry.phase {
            // RFC 8832 §6: until an answer came "all other messages containing user data and belonging to this data
            // channel MUST be sent ordered, no matter whether the data channel is ordered or not."
            Phase::Opening => true,
            Phase::Open => entry.init.ordered,
            Phase::Connecting | Phase::Closing { .. } | Phase::Closed { .. } => {
                return Err(SendError::Closed);
            }
        };
        let stream = entry.stream.ok_or(SendError::Closed)?;
        let reliability = entry.init.reliability;
        let queued = data.len();
        self.channels.association.send_part(now, stream, ppid, data, last, ordered, reliability)?;
        let buffered = self.channels.association.buffered_amount(stream);
        if let Some(entry) = self.channels.entries.get_mut(&self.id) {
            entry.note_accepted(queued, queued > len);
            entry.stats.bytes_sent += u64::try_from(len).unwrap_or(u64::MAX);
            entry.stats.messages_sent += u64::from(last);
            entry.note_buffered(buffered);
        }
        Ok(())
    }

    /// The next whole message. Also of a channel that is closing or closed: nothing that was received is lost.
    pub fn recv(&mut self, now: Instant) -> Option<ReceivedMessage> {
        let leftover = if self.entry().has_leftover() { self.take_leftover_message() } else { None };
        let (ppid, data) = match leftover {
            Some(message) => message,
            None => {
                let stream = self.readable_stream(now)?;
                let message = self.channels.association.recv(now, stream)?;
                self.channels.settle(now);
                (message.ppid, message.data)
            }
        };
        let (kind, data) = decode(ppid, data);
        self.count_received(data.len(), true);
        Some(ReceivedMessage { kind, data })
    }

    /// The next piece of the next message, also of one that is not complete yet.
    pub fn recv_part(&mut self, now: Instant) -> Option<ReceivedPart> {
        let part = match self.channels.pop_leftover(self.id) {
            Some(part) => part,
            None => {
                let Some(stream) = self.readable_stream(now) else {
                    // What comes next is told of as soon as a part of it is here.
                    if let Some(stream) = self.channels.inbox(self.id) {
                        self.channels.association.read_by_parts(stream);
                    }
                    return None;
                };
                let part = self.channels.association.recv_part(now, stream)?;
                self.channels.settle(now);
                part
            }
        };
        let Part { ppid, data, last, abandoned } = part;
        let (kind, data) = decode(ppid, data);
        self.count_received(data.len(), last && !abandoned);
        Some(ReceivedPart { kind, data, last, abandoned })
    }

    fn count_received(&mut self, len: usize, last: bool) {
        if let Some(entry) = self.channels.entries.get_mut(&self.id) {
            entry.stats.bytes_received += u64::try_from(len).unwrap_or(u64::MAX);
            entry.stats.messages_received += u64::from(last);
        }
    }

    /// The stream, if the next message in its inbox is for the application.
    fn readable_stream(&mut self, now: Instant) -> Option<StreamId> {
        let stream = self.channels.inbox(self.id)?;
        self.channels.skip_control(now, self.id, stream).then_some(stream)
    }

    fn take_leftover_message(&mut self) -> Option<(Ppid, Bytes)> {
        let Part { ppid, data, mut last, mut abandoned } = self.channels.pop_leftover(self.id)?;
        if last && !abandoned {
            return Some((ppid, data));
        }
        let mut whole = BytesMut::from(data);
        while !last && let Some(part) = self.channels.pop_leftover(self.id) {
            whole.extend_from_slice(&part.data);
            (last, abandoned) = (part.last, part.abandoned);
        }
        // What the peer gave up is no message.
        if abandoned { self.take_leftover_message() } else { Some((ppid, whole.freeze())) }
    }

    /// Whether `recv` has something. (After `recv_part`: whether that has.)
    pub fn is_readable(&self) -> bool {
        let entry = self.entry();
        if entry.has_leftover() {
            return true;
        }
        let association = &self.channels.association;
        self.channels.inbox(self.id).is_some_and(|stream| {
            association.is_readable(stream)
                && association.next_ppid(stream).is_some_and(|ppid| ppid != Ppid::DCEP)
                && !entry.discards()
        })
    }

    /// Payload accepted by `send` and not yet in a packet; when the association has ended, what it was then.
    pub fn buffered_amount(&self) -> usize {
        self.channels.buffered_amount(self.id)
    }

    /// The amount at which [`ChannelEvent::BufferedAmountLow`](crate::ChannelEvent::BufferedAmountLow) comes.
    pub fn buffered_amount_low_threshold(&self) -> usize {
        self.entry().low_threshold
    }

    /// Sets that amount; 0 at first.
    pub fn set_buffered_amount_low_threshold(&mut self, threshold: usize) {
        if let Some(entry) = self.channels.entries.get_mut(&self.id) {
            entry.low_threshold = threshold;
        }
        if let Some(stream) = self.channels.attached(self.id) {
            self.channels.association.set_buffered_amount_low_threshold(stream, threshold);
        }
        self.channels.note_buffered(self.id);
    }

    /// Whether it is open and below [`Config::high_water_mark`](crate::Config::high_water_mark).
    pub fn is_writable(&self) -> bool {
        self.state() == ChannelState::Open
            && self.buffered_amount() < self.channels.association.config().high_water_mark
    }

    /// Closes it without loss: what was accepted is delivered, then both sides reset their direction.
    pub fn close(&mut self, now: Instant) {
        self.channels.close_channel(now, self.id, ChannelCloseReason::LocalClose, false);
        self.channels.settle(now);
    }

    /// Closes it at once: what is queued and what was received is dropped.
    pub fn abort(&mut self, now: Instant) {
        self.channels.abort_channel(now, self.id);
        self.channels.settle(now);
    }

    /// Its counters.
    pub fn stats(&self) -> ChannelStats {
        self.entry().stats
    }

    fn entry(&self) -> &Entry {
        self.channels.entry(self.id).expect("a `Channel` is made of an entry and borrows the map")
    }
}

fn refusal(error: SendError) -> ChannelSendError {
    match error {
        SendError::TooLarge { len, max } => ChannelSendError::TooLarge { len, max },
        SendError::BufferFull { len, max } => ChannelSendError::BufferFull { len, max },
        SendError::Closed | SendError::NoSuchStream { .. } | SendError::Resetting(_) | SendError::Empty => {
            ChannelSendError::NotOpen
        }
    }
}

/// RFC 8831 §6.6, §8. The byte of an empty message means nothing.
fn decode(ppid: Ppid, data: Bytes) -> (MessageKind, Bytes) {
    match ppid {
        Ppid::STRING => (MessageKind::Text, data),
        Ppid::STRING_EMPTY => (MessageKind::Text, Bytes::new()),
        Ppid::BINARY_EMPTY => (MessageKind::Binary, Bytes::new()),
        _ => (MessageKind::Binary, data),
    }
}
