//! The end of a channel (RFC 8831 §6.7): both sides reset their direction of its stream.

use super::entry::{Entry, Phase};
use super::streams::Direction;
use super::{ChannelCloseReason, ChannelEvent, ChannelId, Channels};
use crate::{CloseReason, Message, Part, ResetError, StreamId};
use std::time::Instant;
use tracing::debug;

impl Channels {
    /// Ends a channel: ours is reset after what was accepted is delivered; it is closed when the peer has reset its
    /// direction too. `announce`: the peer began.
    pub(super) fn close_channel(
        &mut self,
        now: Instant,
        id: ChannelId,
        reason: ChannelCloseReason,
        announce: bool,
    ) {
        let Some(entry) = self.entry(id) else { return };
        let stream = entry.stream;
        match entry.phase {
            // Nothing was sent yet: nobody knows of it.
            Phase::Connecting => {
                if let Some(stream) = stream {
                    self.streams.release(stream);
                }
                return self.finish(id, reason);
            }
            Phase::Opening | Phase::Open => {}
            Phase::Closing { .. } | Phase::Closed { .. } => return,
        }
        if announce {
            self.events.push_back(ChannelEvent::Closing(id));
        }
        self.set_phase(id, Phase::Closing { reason });
        if let Some(stream) = stream {
            self.reset_ours(now, stream);
        }
    }

    /// As `close_channel` for a channel whose data is not wanted any more, also if it is closing already.
    pub(super) fn abort_channel(&mut self, now: Instant, id: ChannelId) {
        self.close_channel(now, id, ChannelCloseReason::LocalAbort, false);
        let is_closing = self.entry(id).is_some_and(|entry| matches!(entry.phase, Phase::Closing { .. }));
        if is_closing {
            self.set_phase(id, Phase::Closing { reason: ChannelCloseReason::LocalAbort });
            if let Some(stream) = self.attached(id) {
                self.reset_ours(now, stream);
            }
        }
    }

    /// Resets our direction of a stream, unless the peer reset its own and what it had sent is not read yet.
    pub(super) fn reset_ours(&mut self, now: Instant, id: StreamId) {
        let Some(stream) = self.streams.get(id) else { return };
        if stream.outgoing != Direction::Open {
            return;
        }
        if stream.incoming == Direction::Reset && !self.keep_unread(now, id) {
            return;
        }
        match self.association.reset_streams(now, &[id]) {
            Ok(()) => self.streams.set_outgoing(id, Direction::Resetting),
            // Without RFC 6525 the peer cannot be told. The stream is never used again.
            Err(ResetError::Unsupported) => {
                if let Some(channel) = stream.channel {
                    self.finish_closing(now, channel);
                }
            }
            // Every channel is about to be closed.
            Err(ResetError::Closed) => {}
        }
    }

    /// The peer reset its direction of these streams, or of all.
    pub(super) fn on_incoming_reset(&mut self, now: Instant, streams: Vec<StreamId>) {
        let streams = if streams.is_empty() { self.streams.ids() } else { streams };
        for id in streams {
            self.early.remove(&id);
            let Some(stream) = self.streams.get(id) else { continue };
            self.streams.set_incoming(id, Direction::Reset);
            match stream.channel {
                Some(channel) => {
                    self.close_channel(now, channel, ChannelCloseReason::RemoteClose, true);
                    self.complete(now, id);
                }
                None => self.complete(now, id),
            }
        }
    }

    /// The peer asks for our direction of these streams, or of all: it wants their channels closed.
    pub(super) fn on_reset_requested(&mut self, now: Instant, streams: Vec<StreamId>) {
        let streams = if streams.is_empty() { self.streams.ids() } else { streams };
        for id in streams {
            if let Some(channel) = self.streams.channel(id) {
                self.close_channel(now, channel, ChannelCloseReason::RemoteClose, true);
            }
        }
    }

    /// Our request was answered.
    pub(super) fn on_outgoing_reset(&mut self, now: Instant, streams: &[StreamId], accepted: bool) {
        for id in streams {
            let Some(stream) = self.streams.get(*id) else { continue };
            if !accepted {
                // The peer will not: the stream is never used again.
                debug!(stream = %id, "reset refused");
                if let Some(channel) = stream.channel {
                    self.finish_closing(now, channel);
                }
                continue;
            }
            self.streams.set_outgoing(*id, Direction::Reset);
            let waits = stream.incoming != Direction::Reset;
            if let (true, Some(channel), Some(deadline)) =
                (waits, stream.channel, now.checked_add(self.association.config().close_timeout))
            {
                self.close_deadlines.insert((deadline, channel));
            }
            self.complete(now, *id);
        }
    }

    /// Frees the stream, and closes its channel, if both directions were reset.
    fn complete(&mut self, now: Instant, id: StreamId) {
        let Some(stream) = self.streams.get(id) else { return };
        if stream.outgoing != Direction::Reset || stream.incoming != Direction::Reset {
            return;
        }
        if let Some(channel) = stream.channel {
            self.finish_closing(now, channel);
        }
        self.streams.release(id);
        // A new channel of the peer's may be there already: it knew before us that the stream is free.
        if self.association.is_readable(id) {
            self.on_readable(now, id);
        }
    }

    /// A peer that does not reset its direction does not keep a channel for ever; its stream it does.
    pub(super) fn on_close_deadlines(&mut self, now: Instant) {
        while let Some((deadline, channel)) = self.close_deadlines.first().copied()
            && deadline <= now
        {
            self.close_deadlines.pop_first();
            debug!(channel = channel.0, "the peer did not reset its direction");
            self.finish_closing(now, channel);
        }
    }

    /// Closing is over, whatever became of the stream.
    fn finish_closing(&mut self, now: Instant, id: ChannelId) {
        let Some(Phase::Closing { reason }) = self.entry(id).map(|entry| entry.phase.clone()) else { return };
        if let Some(stream) = self.attached(id) {
            self.take_unread(now, id, stream);
            self.streams.detach(stream);
        }
        self.finish(id, reason);
    }

    /// The channel is closed: told once.
    pub(super) fn finish(&mut self, id: ChannelId, reason: ChannelCloseReason) {
        if self.entry(id).is_none_or(Entry::is_closed) {
            return;
        }
        self.set_phase(id, Phase::Closed { reason: reason.clone() });
        self.close_deadlines.retain(|(_, channel)| *channel != id);
        self.events.push_back(ChannelEvent::Closed(id, reason));
    }

    pub(super) fn on_association_closed(&mut self, reason: &CloseReason) {
        self.established = false;
        self.early.clear();
        self.close_deadlines.clear();
        self.events.push_back(ChannelEvent::AssociationClosed(reason.clone()));
        let ids: Vec<ChannelId> = self.entries.keys().copied().collect();
        for id in ids {
            self.finish(id, ChannelCloseReason::AssociationClosed(reason.clone()));
        }
    }

    /// The peer lost its state: no channel of before exists for it.
    pub(super) fn on_restarted(&mut self, now: Instant) {
        self.events.push_back(ChannelEvent::Restarted);
        self.early.clear();
        self.close_deadlines.clear();
        let ids: Vec<ChannelId> = self.entries.keys().copied().collect();
        for id in ids {
            if let Some(stream) = self.attached(id) {
                self.take_unread(now, id, stream);
            }
            self.finish(id, ChannelCloseReason::AssociationRestarted);
        }
        self.streams.clear();
    }

    pub(super) fn on_too_large(&mut self, now: Instant, stream: StreamId) {
        const WHAT: &str = "message over the limit";
        match self.streams.channel(stream) {
            Some(id) => self.close_channel(now, id, ChannelCloseReason::RemoteViolation(WHAT), true),
            None => self.refuse(now, stream, WHAT),
        }
    }

    /// Moves what can be read out of a stream that is to be given up, if there is room for it; otherwise it stays until
    /// the application has read it, and so does our direction.
    fn keep_unread(&mut self, now: Instant, stream: StreamId) -> bool {
        let Some(id) = self.streams.channel(stream) else { return true };
        if self.entry(id).is_some_and(Entry::discards) || !self.association.is_readable(stream) {
            return true;
        }
        let held: usize =
            self.entries.values().flat_map(|entry| &entry.leftover).map(|part| part.data.len()).sum();
        if held > self.association.config().receive_window {
            return false;
        }
        self.take_unread(now, id, stream);
        true
    }

    /// Moves what can be read from the stream's inbox to the channel.
    fn take_unread(&mut self, now: Instant, id: ChannelId, stream: StreamId) {
        let discards = self.entry(id).is_none_or(Entry::discards);
        loop {
            // The rest of a message that was read in part comes first.
            let part = match self.association.recv(now, stream) {
                Some(Message { ppid, data }) => Part { ppid, data, last: true, abandoned: false },
                None => match self.association.recv_part(now, stream) {
                    Some(part) => part,
                    None => return,
                },
            };
            if let (false, Some(entry)) = (discards, self.entries.get_mut(&id)) {
                entry.leftover.push_back(part);
            }
        }
    }

    /// Drops what could still be read.
    pub(super) fn discard_unread(&mut self, id: ChannelId) {
        if let Some(entry) = self.entries.get_mut(&id) {
            entry.leftover.clear();
        }
        if let Some(stream) = self.attached(id) {
            self.association.discard_unread(stream);
        }
    }
}
