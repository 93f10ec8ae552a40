//! Data channels on an association (RFC 8831, RFC 8832).

mod channel;
mod close;
mod early;
mod entry;
mod held;
mod incoming;
pub(crate) mod message;
mod opening;
mod replace;
mod streams;
#[cfg(test)]
mod tests;
mod types;
mod unread;

pub use channel::Channel;
pub use types::{
    ChannelCloseReason, ChannelEvent, ChannelId, ChannelInit, ChannelSendError, ChannelState, ChannelStats,
    ChannelsStats, MessageKind, OpenError, ReceivedMessage, ReceivedPart, Role,
};

use crate::{Association, Config, Event, StreamId};
use bytes::BytesMut;
use early::EarlyMessages;
use entry::Entry;
use rand_chacha::ChaCha12Rng;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Instant;
use streams::{Direction, Streams};

/// The data channels of an association, which it owns.
///
/// The verbs are those of [`Association`]: after each call the owner drains [`poll_transmit`](Self::poll_transmit), then
/// [`poll_event`](Self::poll_event), then reads [`poll_timeout`](Self::poll_timeout). Channels may be opened before
/// there is an association; they open when it is up.
#[derive(Debug)]
pub struct Channels {
    association: Association,
    /// The one before, as long as its last packet has not left.
    replaced: Option<Association>,
    /// Makes the seeds of associations to come.
    seeds: ChaCha12Rng,
    role: Option<Role>,
    entries: BTreeMap<ChannelId, Entry>,
    next_id: u64,
    streams: Streams,
    /// What came on streams that have no channel.
    early: EarlyMessages,
    /// What all channels hold in `leftover` counts for.
    leftover: usize,
    /// When to stop waiting for the peer: the `close_deadline`s of all channels.
    close_deadlines: BTreeSet<(Instant, ChannelId)>,
    incoming: incoming::Usage,
    refused: incoming::Refused,
    events: VecDeque<ChannelEvent>,
    established: bool,
}

impl Channels {
    /// Channels without an association yet. See [`Association::new`] for `seed`.
    pub fn new(config: Config, seed: [u8; 32], now: Instant) -> Self {
        Self {
            association: Association::new(config, seed, now),
            replaced: None,
            seeds: replace::seeds(seed),
            role: None,
            entries: BTreeMap::new(),
            next_id: 0,
            streams: Streams::default(),
            early: EarlyMessages::default(),
            leftover: 0,
            close_deadlines: BTreeSet::new(),
            incoming: incoming::Usage::new(now),
            refused: incoming::Refused::default(),
            events: VecDeque::new(),
            established: false,
        }
    }

    /// What must hold after each input.
    #[cfg(feature = "__fuzzing")]
    #[doc(hidden)]
    pub fn check_invariants(&self) {
        self.association.check_invariants();
    }

    /// The association of now, to look at.
    pub fn association(&self) -> &Association {
        &self.association
    }

    /// See [`Association::connect`].
    pub fn connect(&mut self, now: Instant) {
        self.association.connect(now);
        self.settle(now);
    }

    /// Ends the association once everything that was accepted is delivered; see [`Association::shutdown`].
    ///
    /// Channels stay readable and are closed when it has ended.
    pub fn shutdown(&mut self, now: Instant) {
        self.association.shutdown(now);
        self.settle(now);
    }

    /// Ends the association with an ABORT; see [`Association::abort`].
    pub fn abort(&mut self, now: Instant) {
        self.association.abort(now);
        self.settle(now);
    }

    /// See [`Association::transport_closed`].
    pub fn transport_closed(&mut self, now: Instant) {
        self.association.transport_closed(now);
        self.settle(now);
    }

    /// See [`Association::path_changed`].
    pub fn path_changed(&mut self, now: Instant) {
        self.association.path_changed(now);
        self.settle(now);
    }

    /// See [`Association::assume_narrow_path`].
    pub fn assume_narrow_path(&mut self) {
        self.association.assume_narrow_path();
    }

    /// See [`Association::packet_refused`].
    pub fn packet_refused(&mut self, size: usize) {
        self.association.packet_refused(size);
    }

    /// See [`Association::set_max_send_message_size`].
    pub fn set_max_send_message_size(&mut self, max: Option<usize>) {
        self.association.set_max_send_message_size(max);
    }

    /// The SCTP ports, ours and the peer's.
    pub fn ports(&self) -> (u16, u16) {
        self.association.ports()
    }

    /// User payload accepted and not acknowledged, all channels; what opens channels does not count. Keeps its last value
    /// when the association has ended: what was lost then.
    ///
    /// An empty message counts for the one byte it has on the wire. Looks at all there is, so ask rarely.
    pub fn undelivered(&self) -> usize {
        self.association.undelivered_messages()
    }

    /// See [`Association::handle_packet`].
    pub fn handle_packet(&mut self, now: Instant, packet: &[u8]) {
        self.association.handle_packet(now, packet);
        self.settle(now);
    }

    /// See [`Association::handle_timeout`].
    pub fn handle_timeout(&mut self, now: Instant) {
        let now = self.association.clock(now);
        self.association.handle_timeout(now);
        self.on_close_deadlines(now);
        self.on_early_deadlines(now);
        self.settle(now);
    }

    /// See [`Association::poll_transmit`].
    pub fn poll_transmit(&mut self, now: Instant, buffer: &mut BytesMut) -> bool {
        let sent = self.poll_last_words(now, buffer) || self.association.poll_transmit(now, buffer);
        // What left may have made a channel writable.
        self.settle(now);
        sent
    }

    /// See [`Association::poll_timeout`].
    pub fn poll_timeout(&self) -> Option<Instant> {
        let close = self.close_deadlines.first().map(|(deadline, _)| *deadline);
        [self.association.poll_timeout(), close, self.early.deadline()].into_iter().flatten().min()
    }

    /// What changed, in order.
    pub fn poll_event(&mut self) -> Option<ChannelEvent> {
        self.events.pop_front()
    }

    /// A channel, to work with; none if there is none of this id, or it was forgotten.
    pub fn channel(&mut self, id: ChannelId) -> Option<Channel<'_>> {
        self.entries.contains_key(&id).then_some(Channel { channels: self, id })
    }

    /// The channels there are, closed ones too until they are forgotten.
    pub fn ids(&self) -> impl Iterator<Item = ChannelId> + '_ {
        self.entries.keys().copied()
    }

    /// Their states.
    pub fn states(&self) -> impl Iterator<Item = ChannelState> + '_ {
        self.entries.values().map(Entry::state)
    }

    /// Counters and gauges of all channels together; one channel's are in [`Channel::stats`].
    pub fn stats(&self) -> ChannelsStats {
        let (usage, refused) = (&self.incoming, &self.refused);
        ChannelsStats {
            streams_in_use: self.streams.len(),
            incoming_channels: usage.channels,
            incoming_name_bytes: usage.name_bytes,
            early_bytes: self.early.charge(),
            unread_bytes: self.leftover,
            refused_channel_count: refused.channel_count,
            refused_name_bytes: refused.name_bytes,
            refused_open_rate: refused.open_rate,
            refused_early_bytes: refused.early_bytes,
            refused_without_open: refused.without_open,
            violations: refused.violations,
            messages_ignored: refused.messages_ignored,
        }
    }

    /// Forgets a closed channel and what could still be read on it. Does nothing to one that is not closed.
    pub fn forget(&mut self, id: ChannelId) {
        if self.entries.get(&id).is_some_and(Entry::is_closed) {
            self.discard_unread(id);
            if let Some(entry) = self.entries.remove(&id)
                && entry.is_incoming
            {
                self.incoming.remove(entry.name_bytes());
            }
        }
    }

    /// Once after each input: turns what the association says into what it means for channels.
    fn settle(&mut self, now: Instant) {
        let now = self.association.clock(now);
        while let Some(event) = self.association.poll_event() {
            match event {
                Event::Established => self.on_established(now),
                Event::Restarted => self.on_restarted(now),
                Event::Readable(stream) => self.on_readable(now, stream),
                Event::BufferedAmountLow(stream) => self.on_buffered_amount_low(stream),
                Event::Writable(stream) => {
                    if let Some(id) = self.streams.channel(stream) {
                        self.events.push_back(ChannelEvent::Writable(id));
                    }
                }
                // Nothing is sent on a channel before the association is up, and then it is closed with `NoStream`.
                Event::NoSuchStream(_) => {}
                Event::IncomingStreamsReset(streams) => self.on_incoming_reset(now, streams),
                Event::OutgoingStreamsReset { streams, accepted } => {
                    self.on_outgoing_reset(now, &streams, accepted);
                }
                Event::ResetRequested(streams) => self.on_reset_requested(now, streams),
                Event::MessageTooLarge(stream) => self.on_too_large(now, stream),
                // No channel is concerned.
                Event::RemoteError { .. } => {}
                Event::Closed(reason) => self.on_association_closed(now, &reason),
            }
        }
    }

    fn on_buffered_amount_low(&mut self, stream: StreamId) {
        let Some(id) = self.streams.channel(stream) else { return };
        // The OPEN or ACK that left is not the user's.
        if let Some(entry) = self.entries.get_mut(&id)
            && entry.was_above
        {
            entry.was_above = false;
            self.events.push_back(ChannelEvent::BufferedAmountLow(id));
        }
    }

    /// User payload that is not in a packet yet.
    fn buffered_amount(&self, id: ChannelId) -> usize {
        let (Some(entry), Some(stream)) = (self.entry(id), self.attached(id)) else { return 0 };
        entry.user_part(self.association.buffered_amount(stream))
    }

    /// Notes whether the buffered amount is above the low threshold.
    fn note_buffered(&mut self, id: ChannelId) {
        let Some(stream) = self.attached(id) else { return };
        let buffered = self.association.buffered_amount(stream);
        if let Some(entry) = self.entries.get_mut(&id) {
            entry.note_buffered(buffered);
        }
    }

    fn entry(&self, id: ChannelId) -> Option<&Entry> {
        self.entries.get(&id)
    }

    /// The stream that is the channel's. None before it has one, and once the stream may be another's.
    fn attached(&self, id: ChannelId) -> Option<StreamId> {
        let stream = self.entry(id)?.stream?;
        (self.streams.channel(stream) == Some(id)).then_some(stream)
    }

    /// The stream whose inbox is the channel's: none either once the peer has reset its direction, since what comes on it
    /// then is for the next channel.
    fn inbox(&self, id: ChannelId) -> Option<StreamId> {
        let stream = self.entry(id)?.stream?;
        let state = self.streams.get(stream)?;
        (state.channel == Some(id) && state.incoming == Direction::Open).then_some(stream)
    }

    /// What is held here takes from the receive window as if it were in the association's inboxes still.
    fn note_held(&mut self) {
        self.association.set_held(self.leftover.saturating_add(self.early.charge()));
    }
}
