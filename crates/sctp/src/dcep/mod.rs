//! Data channels on an association (RFC 8831, RFC 8832). skeleton of the public face
#[allow(dead_code, reason = "the channels are written at the same time")]
pub(crate) mod message;

use crate::Reliability;
use crate::{Association, CloseReason, Config};
use bytes::{Bytes, BytesMut};
use std::time::Instant;

/// Names a channel for the life of its `Channels`; never reused (stream ids are).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ChannelId(pub(crate) u64);

/// DTLS role, which decides the parity of stream ids (RFC 8832 §6): client even, server odd.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Role {
    Client,
    Server,
}

/// Text or binary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum MessageKind {
    Text,
    Binary,
}

/// RTCDataChannelState
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum ChannelState {
    Connecting,
    Open,
    Closing,
    Closed,
}

/// What a channel is made with.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct ChannelInit {
    pub label: String,
    pub protocol: String,
    pub ordered: bool,
    pub reliability: Reliability,
    /// RFC 8831 §6.4: 128, 256, 512, 1024; default 256
    pub priority: u16,
    /// Agreed out of band with this stream id: no DCEP
    pub negotiated: Option<u16>,
}

/// Why a channel ended.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[allow(missing_docs)]
pub enum ChannelCloseReason {
    LocalClose,
    LocalAbort,
    RemoteClose,
    /// e.g. bad DCEP message, unknown PPID, message over the limit
    RemoteViolation(&'static str),
    /// no stream id left, or the id is beyond the negotiated streams
    NoStream,
    AssociationRestarted,
    AssociationClosed(CloseReason),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[allow(missing_docs)]
pub enum OpenError {
    #[error("label of {len} bytes is over the limit of {max}")]
    LabelTooLong { len: usize, max: usize },
    #[error("protocol of {len} bytes is over the limit of {max}")]
    ProtocolTooLong { len: usize, max: usize },
    #[error("stream id {0} is already in use")]
    IdInUse(u16),
    #[error("stream id {0} is not usable")]
    InvalidId(u16),
    #[error("no stream id is free")]
    NoIdLeft,
    #[error("the association is closed")]
    Closed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[allow(missing_docs)]
pub enum ChannelSendError {
    #[error("the channel is not open")]
    NotOpen,
    #[error("message of {len} bytes is larger than the {max} the peer accepts")]
    TooLarge { len: usize, max: usize },
    #[error("send buffer is full: {len} bytes over the limit of {max}")]
    BufferFull { len: usize, max: usize },
}

#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[allow(missing_docs)]
pub enum ChannelEvent {
    /// Association up / restarted / ended (before the channels' events)
    Established,
    Restarted,
    AssociationClosed(CloseReason),
    /// The peer opened a channel; it is Open
    Incoming(ChannelId),
    Open(ChannelId),
    Readable(ChannelId),
    Writable(ChannelId),
    BufferedAmountLow(ChannelId),
    /// The peer began to close
    Closing(ChannelId),
    Closed(ChannelId, ChannelCloseReason),
}

/// A whole message.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct ReceivedMessage {
    pub kind: MessageKind,
    pub data: Bytes,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
#[allow(missing_docs)]
pub struct ChannelStats {
    pub messages_sent: u64,
    pub bytes_sent: u64,
    pub messages_received: u64,
    pub bytes_received: u64,
}

/// Owns the association. Same verbs as it: `handle_packet` … `poll_event`.
#[derive(Debug)]
pub struct Channels {}

#[allow(unused_variables, missing_docs, clippy::todo)]
impl Channels {
    pub fn new(config: Config, seed: [u8; 32], now: Instant) -> Self {
        todo!()
    }
    pub fn association(&self) -> &Association {
        todo!()
    }
    /// The DTLS role is known: channels that wait for an id get one.
    pub fn set_role(&mut self, now: Instant, role: Role) {
        todo!()
    }
    pub fn connect(&mut self, now: Instant) {
        todo!()
    }
    pub fn shutdown(&mut self, now: Instant) {
        todo!()
    }
    pub fn abort(&mut self, now: Instant) {
        todo!()
    }
    pub fn transport_closed(&mut self, now: Instant) {
        todo!()
    }
    pub fn path_changed(&mut self, now: Instant) {
        todo!()
    }
    pub fn set_max_send_message_size(&mut self, max: Option<usize>) {
        todo!()
    }
    pub fn handle_packet(&mut self, now: Instant, packet: &[u8]) {
        todo!()
    }
    pub fn handle_timeout(&mut self, now: Instant) {
        todo!()
    }
    pub fn poll_transmit(&mut self, now: Instant, buffer: &mut BytesMut) -> bool {
        todo!()
    }
    pub fn poll_timeout(&self) -> Option<Instant> {
        todo!()
    }
    pub fn poll_event(&mut self) -> Option<ChannelEvent> {
        todo!()
    }
    pub fn open(&mut self, now: Instant, init: ChannelInit) -> Result<ChannelId, OpenError> {
        todo!()
    }
    pub fn channel(&mut self, id: ChannelId) -> Option<Channel<'_>> {
        todo!()
    }
    pub fn ids(&self) -> impl Iterator<Item = ChannelId> + '_ {
        std::iter::empty()
    }
    /// Closed channels are forgotten by this, once their inbox is not wanted any more.
    pub fn forget(&mut self, id: ChannelId) {
        todo!()
    }
}

/// One channel, borrowed.
#[derive(Debug)]
pub struct Channel<'a> {
    pub(crate) channels: &'a mut Channels,
    pub(crate) id: ChannelId,
}

#[allow(unused_variables, missing_docs, clippy::todo)]
impl Channel<'_> {
    pub fn id(&self) -> ChannelId {
        self.id
    }
    pub fn stream_id(&self) -> Option<u16> {
        todo!()
    }
    pub fn init(&self) -> &ChannelInit {
        todo!()
    }
    pub fn state(&self) -> ChannelState {
        todo!()
    }
    pub fn close_reason(&self) -> Option<&ChannelCloseReason> {
        todo!()
    }
    /// One call = one message (empty ones become PPID 56/57). Connecting: NotOpen.
    pub fn send(&mut self, now: Instant, kind: MessageKind, data: Bytes) -> Result<(), ChannelSendError> {
        todo!()
    }
    pub fn send_part(
        &mut self,
        now: Instant,
        kind: MessageKind,
        data: Bytes,
        last: bool,
    ) -> Result<(), ChannelSendError> {
        todo!()
    }
    pub fn recv(&mut self, now: Instant) -> Option<ReceivedMessage> {
        todo!()
    }
    /// (kind, bytes, last)
    pub fn recv_part(&mut self, now: Instant) -> Option<(MessageKind, Bytes, bool)> {
        todo!()
    }
    pub fn is_readable(&self) -> bool {
        todo!()
    }
    pub fn buffered_amount(&self) -> usize {
        todo!()
    }
    pub fn buffered_amount_low_threshold(&self) -> usize {
        todo!()
    }
    pub fn set_buffered_amount_low_threshold(&mut self, threshold: usize) {
        todo!()
    }
    /// Below the high-water mark (1 MiB per channel)?
    pub fn is_writable(&self) -> bool {
        todo!()
    }
    /// Lossless: what was accepted is delivered, then both directions are reset.
    pub fn close(&mut self, now: Instant) {
        todo!()
    }
    /// Drops what is queued, then resets.
    pub fn abort(&mut self, now: Instant) {
        todo!()
    }
    pub fn stats(&self) -> ChannelStats {
        todo!()
    }
}
