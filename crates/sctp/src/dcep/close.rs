//! The end of a channel (RFC 8831 §6.7): both sides reset their direction of its stream.
//!
//! A stream id is free for the next channel when both directions were reset. The peer may know that before us, since the
//! answer to our request can get lost: what it sends on the stream then, even the reset that ends that next channel,
//! waits until we know too.

use super::entry::{Entry, Phase};
use super::incoming::Refusal;
use super::streams::Direction;
use super::{ChannelCloseReason, ChannelEvent, ChannelId, Channels};
use crate::{CloseReason, ResetError, StreamId};
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
        self.discard_unread(id);
        if self.entry(id).is_none_or(Entry::is_closed) {
            return;
        }
        if let Some(stream) = self.attached(id) {
            self.association.drop_queued(now, stream);
        }
        self.close_channel(now, id, ChannelCloseReason::LocalAbort, false);
        if self.entry(id).is_some_and(|entry| matches!(entry.phase, Phase::Closing { .. })) {
            self.set_phase(id, Phase::Closing { reason: ChannelCloseReason::LocalAbort });
        }
    }

    /// Resets our direction of a stream, once.
    pub(super) fn reset_ours(&mut self, now: Instant, id: StreamId) {
        let Some(stream) = self.streams.get(id) else { return };
        if stream.outgoing != Direction::Open {
            return;
        }
        match self.association.reset_streams(now, &[id]) {
            Ok(()) => {
                self.streams.set_outgoing(id, Direction::Resetting);
                if let Some(channel) = stream.channel {
                    self.await_peer(now, channel);
                }
            }
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
    pub(super) fn on_incoming_reset(&mut self, now: Instant, mut streams: Vec<StreamId>) {
        if streams.is_empty() {
            streams = self.streams.ids();
            streams.extend(self.early.streams());
        }
        for id in streams {
            self.on_stream_reset(now, id);
        }
    }

    fn on_stream_reset(&mut self, now: Instant, id: StreamId) {
        let Some(stream) = self.streams.get(id) else { return self.on_strange_reset(now, id) };
        if stream.incoming == Direction::Reset {
            // With messages before it, it ends the next channel. Without, it is the same once more.
            if self.association.is_readable(id) {
                self.streams.set_reset_again(id);
            }
            return;
        }
        if let Some(channel) = stream.channel {
            self.take_unread(now, channel, id);
        }
        self.streams.set_incoming(id, Direction::Reset);
        if let Some(channel) = stream.channel {
            let reason = match self.entry(channel).map(|entry| &entry.phase) {
                // RFC 8832 §6: "receiving an SCTP stream-reset request for a stream on which no DATA_CHANNEL_ACK message
                // has been received indicates […] the failure of the data channel setup procedure."
                Some(Phase::Opening) => ChannelCloseReason::OpenRefused,
                Some(Phase::Connecting | Phase::Open | Phase::Closing { .. } | Phase::Closed { .. })
                | None => ChannelCloseReason::RemoteClose,
            };
            self.close_channel(now, channel, reason, true);
        }
        self.complete(now, id);
    }

    /// A reset of a stream without a channel.
    fn on_strange_reset(&mut self, now: Instant, id: StreamId) {
        if self.early.take(id).is_none() {
            return;
        }
        self.note_held();
        // The peer had a channel here, which we never came to know: it waits for our direction.
        self.streams.take(id, None);
        self.streams.set_incoming(id, Direction::Reset);
        self.reset_ours(now, id);
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
            if let Some(channel) = stream.channel {
                self.await_peer(now, channel);
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
        if stream.reset_again {
            self.on_stream_reset(now, id);
        }
    }

    /// The time in which the peer has to answer begins.
    fn await_peer(&mut self, now: Instant, id: ChannelId) {
        let timeout = self.association.config().close_timeout;
        let deadline = now.checked_add(timeout).filter(|_| !timeout.is_zero());
        self.set_close_deadline(id, deadline);
    }

    fn set_close_deadline(&mut self, id: ChannelId, deadline: Option<Instant>) {
        if let Some(entry) = self.entries.get_mut(&id) {
            if let Some(before) = entry.close_deadline {
                self.close_deadlines.remove(&(before, id));
            }
            entry.close_deadline = deadline;
            self.close_deadlines.extend(deadline.map(|deadline| (deadline, id)));
        }
    }

    /// A peer that does not answer our reset, or does not reset its direction, does not keep a channel for ever; its
    /// stream it does.
    pub(super) fn on_close_deadlines(&mut self, now: Instant) {
        while let Some((deadline, channel)) = self.close_deadlines.first().copied()
            && deadline <= now
        {
            let queued = self.attached(channel).map_or(0, |stream| self.association.buffered_amount(stream));
            if queued > 0 {
                // It is our turn still: nothing can be answered yet.
                self.await_peer(now, channel);
            } else {
                debug!(channel = channel.0, "the peer did not reset its direction");
                self.finish_closing(now, channel);
            }
        }
    }

    /// Closing is over, whatever became of the stream.
    fn finish_closing(&mut self, now: Instant, id: ChannelId) {
        self.set_close_deadline(id, None);
        if !self.entry(id).is_some_and(|entry| matches!(entry.phase, Phase::Closing { .. })) {
            return;
        }
        if let Some(stream) = self.inbox(id) {
            self.take_unread(now, id, stream);
        }
        if let Some(stream) = self.attached(id) {
            self.streams.detach(stream);
        }
        if let Some(Phase::Closing { reason }) = self.entry(id).map(|entry| entry.phase.clone()) {
            self.finish(id, reason);
        }
    }

    /// The channel is closed: told once.
    pub(super) fn finish(&mut self, id: ChannelId, reason: ChannelCloseReason) {
        self.set_close_deadline(id, None);
        if self.entry(id).is_none_or(Entry::is_closed) {
            return;
        }
        self.set_phase(id, Phase::Closed { reason: reason.clone() });
        self.events.push_back(ChannelEvent::Closed(id, reason));
    }

    pub(super) fn on_association_closed(&mut self, now: Instant, reason: &CloseReason) {
        // No answer to our resets will come any more: what the peer sent for the next channels of their streams is theirs.
        for id in self.streams.ids() {
            let incoming = self.streams.get(id).map(|stream| stream.incoming);
            if incoming == Some(Direction::Reset) && self.association.is_readable(id) {
                self.streams.set_outgoing(id, Direction::Reset);
                self.complete(now, id);
            }
        }
        self.established = false;
        self.early.clear();
        self.events.push_back(ChannelEvent::AssociationClosed(reason.clone()));
        let ids: Vec<ChannelId> = self.entries.keys().copied().collect();
        for id in ids {
            self.finish(id, ChannelCloseReason::AssociationClosed(reason.clone()));
        }
    }

    /// The peer lost its state, or another association takes the place of this one: all channels end that it can know of.
    pub(super) fn on_restarted(&mut self, now: Instant) {
        self.events.push_back(ChannelEvent::Restarted);
        self.early.clear();
        let begun = self.entries.iter().filter(|(_, entry)| !entry.is_connecting());
        for id in begun.map(|(id, _)| *id).collect::<Vec<_>>() {
            if let Some(stream) = self.inbox(id) {
                self.take_last_unread(now, id, stream);
            }
            self.finish(id, ChannelCloseReason::AssociationRestarted);
        }
        self.clear_streams();
        self.note_held();
    }

    pub(super) fn on_too_large(&mut self, now: Instant, stream: StreamId) {
        const WHAT: &str = "message over the limit";
        match self.streams.channel(stream) {
            Some(id) => self.on_violation(now, id, WHAT),
            None => self.refuse(now, stream, Refusal::Violation(WHAT)),
        }
    }
}
