//! Channels of our own, from `open` to Open (RFC 8832 §6).

use super::entry::{Entry, Phase};
use super::message::{Message, Open};
use super::{ChannelCloseReason, ChannelEvent, ChannelId, ChannelInit, Channels, OpenError, Role};
use crate::{State, StreamId};
use bytes::Bytes;
use std::time::Instant;
use tracing::debug;

impl Channels {
    /// The DTLS role is known: channels that wait for a stream id get one.
    pub fn set_role(&mut self, now: Instant, role: Role) {
        if self.role.replace(role).is_some_and(|before| before != role) {
            self.give_waiting_streams_back();
        }
        self.open_waiting(now);
        self.settle(now);
    }

    /// Makes a channel. It is connecting until the association is up, and then open at once.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub fn open(&mut self, now: Instant, init: ChannelInit) -> Result<ChannelId, OpenError> {
        if self.association.close_reason().is_some() {
            return Err(OpenError::Closed);
        }
        let max = usize::from(u16::MAX);
        if init.label.len() > max {
            return Err(OpenError::LabelTooLong { len: init.label.len(), max });
        }
        if init.protocol.len() > max {
            return Err(OpenError::ProtocolTooLong { len: init.protocol.len(), max });
        }
        let stream = match (init.negotiated, self.role) {
            (Some(id), _) => Some(self.check_negotiated(id)?),
            (None, Some(role)) => Some(self.free_stream(role).ok_or(OpenError::NoIdLeft)?),
            (None, None) => None,
        };
        let id = self.next_channel_id();
        let mut entry = Entry::new(init);
        entry.stream = stream;
        self.entries.insert(id, entry);
        if let Some(stream) = stream {
            self.streams.take(stream, Some(id));
        }
        if self.established {
            self.begin(now, id);
        }
        self.settle(now);
        Ok(id)
    }

    fn check_negotiated(&self, id: u16) -> Result<StreamId, OpenError> {
        // W3C: 65535 is no id; RFC 8831 §6.6 has streams up to 65534.
        if id == u16::MAX || (self.established && id >= self.stream_limit()) {
            return Err(OpenError::InvalidId(id));
        }
        let stream = StreamId(id);
        if self.streams.get(stream).is_some() { Err(OpenError::IdInUse(id)) } else { Ok(stream) }
    }

    fn free_stream(&mut self, role: Role) -> Option<StreamId> {
        let limit = self.stream_limit();
        self.streams.lowest_free(role, limit)
    }

    /// Streams that work both ways; all there can be until that is negotiated.
    pub(super) fn stream_limit(&self) -> u16 {
        self.association.negotiated_streams().map_or(u16::MAX, |(outgoing, incoming)| outgoing.min(incoming))
    }

    pub(super) fn next_channel_id(&mut self) -> ChannelId {
        let id = ChannelId(self.next_id);
        self.next_id += 1;
        id
    }

    pub(super) fn on_established(&mut self, now: Instant) {
        self.established = true;
        self.events.push_back(ChannelEvent::Established);
        self.open_waiting(now);
    }

    /// RFC 8832 §6: their ids are of the other parity now.
    fn give_waiting_streams_back(&mut self) {
        let waiting = self.entries.values_mut().filter(|entry| entry.is_connecting());
        for entry in waiting.filter(|entry| entry.init.negotiated.is_none()) {
            if let Some(stream) = entry.stream.take() {
                self.streams.release(stream);
            }
        }
    }

    /// Channels that wait get their stream, and are opened if the association is up.
    fn open_waiting(&mut self, now: Instant) {
        let waiting: Vec<ChannelId> =
            self.entries.iter().filter(|(_, entry)| entry.is_connecting()).map(|(id, _)| *id).collect();
        for id in waiting {
            let has_stream = self.entry(id).is_some_and(|entry| entry.stream.is_some());
            if let (false, Some(role)) = (has_stream, self.role) {
                let Some(stream) = self.free_stream(role) else {
                    self.finish(id, ChannelCloseReason::NoStream);
                    continue;
                };
                self.streams.take(stream, Some(id));
                if let Some(entry) = self.entries.get_mut(&id) {
                    entry.stream = Some(stream);
                }
            }
            if self.established {
                self.begin(now, id);
            }
        }
    }

    /// The association is up: the channel opens, if it has its stream.
    fn begin(&mut self, now: Instant, id: ChannelId) {
        let Some((entry, stream)) = self.entry(id).and_then(|entry| Some((entry, entry.stream?))) else {
            return;
        };
        if stream.0 >= self.stream_limit() || self.association.state() != State::Established {
            self.streams.release(stream);
            return self.finish(id, ChannelCloseReason::NoStream);
        }
        let is_negotiated = entry.init.negotiated.is_some();
        let (priority, low_threshold) = (entry.init.priority, entry.low_threshold);
        if !is_negotiated {
            let init = &entry.init;
            let open = Open::new(init.ordered, init.reliability, init.priority, &init.label, &init.protocol);
            let message = Message::Open(open).to_bytes();
            self.send_dcep(now, stream, message);
        }
        self.association.set_priority(stream, priority);
        self.association.set_buffered_amount_low_threshold(stream, low_threshold);
        let phase = if is_negotiated { Phase::Open } else { Phase::Opening };
        self.set_phase(id, phase);
        self.events.push_back(ChannelEvent::Open(id));
        if self.adopt_early(id, stream) {
            self.events.push_back(ChannelEvent::Readable(id));
        }
        if self.association.is_readable(stream) {
            self.on_readable(now, stream);
        }
    }

    /// RFC 8832 §6: "All DCEP messages MUST be sent using ordered delivery and reliable transmission."
    pub(super) fn send_dcep(&mut self, now: Instant, stream: StreamId, message: Bytes) {
        if let Err(error) = self.association.send_dcep(now, stream, message) {
            debug!(%stream, %error, "DCEP message not sent");
        }
    }

    pub(super) fn set_phase(&mut self, id: ChannelId, phase: Phase) {
        if let Some(entry) = self.entries.get_mut(&id) {
            debug!(channel = id.0, from = ?entry.phase, to = ?phase, "channel");
            entry.phase = phase;
        }
    }
}
