//! The words of the channel interface: identifiers, settings, events, errors.

use crate::{CloseReason, Reliability};
use bytes::Bytes;

/// Names a channel for the life of its [`Channels`](crate::Channels); never reused (stream ids are).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ChannelId(pub(crate) u64);

/// DTLS role, which decides the parity of stream ids (RFC 8832 §6): client even, server odd.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Opens channels on even stream ids.
    Client,
    /// Opens channels on odd stream ids.
    Server,
}

/// Text or binary (RFC 8831 §6.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MessageKind {
    /// UTF-8 (PPID 51, empty 56). Received bytes are not checked for being UTF-8.
    Text,
    /// Bytes (PPID 53, empty 57).
    Binary,
}

/// The state of a channel, as RTCDataChannelState of the W3C text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChannelState {
    /// Waits for the association or for a stream id; cannot send yet.
    Connecting,
    /// Messages can be sent and received.
    Open,
    /// One side closes; what was accepted is still delivered.
    Closing,
    /// The end. What was received can still be read.
    Closed,
}

/// What a channel is made with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChannelInit {
    /// A name for the application, at most 65535 bytes; need not be unique.
    pub label: String,
    /// The subprotocol, at most 65535 bytes; empty for none.
    pub protocol: String,
    /// Whether messages arrive in the order they were sent. Default true.
    pub ordered: bool,
    /// How hard to try. Default [`Reliability::Reliable`].
    pub reliability: Reliability,
    /// RFC 8831 §6.4: 128, 256, 512 or 1024 for very low to high. Default 256.
    pub priority: u16,
    /// Both sides agreed on this stream id by other means: no messages are exchanged to open it. Default none.
    pub negotiated: Option<u16>,
}

impl Default for ChannelInit {
    fn default() -> Self {
        Self {
            label: String::new(),
            protocol: String::new(),
            ordered: true,
            reliability: Reliability::Reliable,
            priority: DEFAULT_PRIORITY,
            negotiated: None,
        }
    }
}

/// Why a channel ended.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ChannelCloseReason {
    /// [`Channel::close`](crate::Channel::close).
    LocalClose,
    /// [`Channel::abort`](crate::Channel::abort).
    LocalAbort,
    /// The peer reset its direction.
    RemoteClose,
    /// The peer reset its direction before it had answered our OPEN: it does not want the channel (RFC 8832 §6).
    OpenRefused,
    /// The peer broke a rule of this channel, for instance with an unknown payload protocol.
    RemoteViolation(&'static str),
    /// No stream id was left, or the id is beyond the negotiated streams.
    NoStream,
    /// The peer lost its state and started anew, or another association took the place of this one.
    AssociationRestarted,
    /// The association ended below the channel.
    AssociationClosed(CloseReason),
}

/// Why a channel could not be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The label's length has 16 bits on the wire (RFC 8832 §5.1).
    #[error("label of {len} bytes is over the limit of {max}")]
    LabelTooLong {
        /// Bytes of the label.
        len: usize,
        /// Bytes allowed.
        max: usize,
    },
    /// The protocol's length has 16 bits on the wire (RFC 8832 §5.1).
    #[error("protocol of {len} bytes is over the limit of {max}")]
    ProtocolTooLong {
        /// Bytes of the protocol.
        len: usize,
        /// Bytes allowed.
        max: usize,
    },
    /// Another channel has this stream, or it is still being reset.
    #[error("stream id {0} is already in use")]
    IdInUse(u16),
    /// 65535, or beyond the negotiated streams.
    #[error("stream id {0} is not usable")]
    InvalidId(u16),
    /// All streams of our parity are in use.
    #[error("no stream id is free")]
    NoIdLeft,
    /// The association ended.
    #[error("the association is closed")]
    Closed,
}

/// Why a message was not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ChannelSendError {
    /// Still connecting, closing or closed.
    #[error("the channel is not open")]
    NotOpen,
    /// Over the peer's `a=max-message-size`.
    #[error("message of {len} bytes is larger than the {max} the peer accepts")]
    TooLarge {
        /// Bytes of the message.
        len: usize,
        /// Bytes the peer accepts.
        max: usize,
    },
    /// Over [`Config::send_buffer_limit`](crate::Config::send_buffer_limit) or, of this channel alone,
    /// [`Config::stream_buffer_limit`](crate::Config::stream_buffer_limit); wait for `Writable`.
    #[error("send buffer is full: {len} bytes over the limit of {max}")]
    BufferFull {
        /// Bytes there would be.
        len: usize,
        /// Bytes allowed.
        max: usize,
    },
}

/// What changed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ChannelEvent {
    /// The association is up. Once for each association, before any channel's `Open`.
    Established,
    /// The peer started anew, or [another association](crate::Channels::set_ports) takes the place of this one; `Closed` of
    /// every channel follows that had a stream.
    Restarted,
    /// The association ended. Once for each; `Closed` of every channel that was not closed follows.
    AssociationClosed(CloseReason),
    /// The peer opened a channel; `Open` follows. Once per such channel.
    Incoming(ChannelId),
    /// Messages can be sent. Once per channel, and not at all if it ends before.
    Open(ChannelId),
    /// Something can be received after there was nothing.
    Readable(ChannelId),
    /// The channel is below the high-water mark again.
    Writable(ChannelId),
    /// The buffered amount fell to the low threshold or below it.
    BufferedAmountLow(ChannelId),
    /// The peer, or a rule it broke, began to close the channel. Not after a close of our own.
    Closing(ChannelId),
    /// The end of the channel; once. What was received before can still be read.
    Closed(ChannelId, ChannelCloseReason),
}

/// A whole message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReceivedMessage {
    /// Text or binary.
    pub kind: MessageKind,
    /// The payload.
    pub data: Bytes,
}

/// A piece of a message, in order (see [`Channel::recv_part`](crate::Channel::recv_part)).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReceivedPart {
    /// Text or binary. A piece of text may end within a character.
    pub kind: MessageKind,
    /// The next bytes of the message.
    pub data: Bytes,
    /// Whether the message ends here.
    pub last: bool,
    /// The peer gave the rest of the message up (RFC 3758); then `last` is true and `data` empty.
    pub abandoned: bool,
}

/// Counters of one channel; user messages and their payload only.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ChannelStats {
    /// Messages accepted by `send`.
    pub messages_sent: u64,
    /// Bytes accepted by `send`.
    pub bytes_sent: u64,
    /// Messages given out by `recv`.
    pub messages_received: u64,
    /// Bytes given out by `recv`.
    pub bytes_received: u64,
}

/// Counters and gauges of all channels of an association; what the peer took of its bounds and what it was refused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ChannelsStats {
    /// Streams that are not free: a channel has them, or not both of their directions were reset.
    pub streams_in_use: usize,
    /// Channels of the peer that are not forgotten, of [`Config::max_incoming_channels`](crate::Config::max_incoming_channels).
    pub incoming_channels: usize,
    /// Bytes of their labels and protocols, of
    /// [`Config::max_channel_name_bytes`](crate::Config::max_channel_name_bytes).
    pub incoming_name_bytes: usize,
    /// Bytes kept of streams that have no channel yet, of
    /// [`Config::max_early_bytes`](crate::Config::max_early_bytes).
    pub early_bytes: usize,
    /// Bytes that channels hold whose stream was given up, and that nobody has read. They take from the receive window.
    pub unread_bytes: usize,
    /// Channels refused because there were too many.
    pub refused_channel_count: u64,
    /// Channels refused because their labels and protocols were too much.
    pub refused_name_bytes: u64,
    /// Channels refused because they came too fast.
    pub refused_open_rate: u64,
    /// Streams closed because too much came before their OPEN.
    pub refused_early_bytes: u64,
    /// Streams closed because data came and no OPEN in time.
    pub refused_without_open: u64,
    /// Channels and streams closed because the peer broke a rule.
    pub violations: u64,
    /// Messages dropped for their payload protocol, where
    /// [`Config::ignore_unknown_ppids`](crate::Config::ignore_unknown_ppids) allows it.
    pub messages_ignored: u64,
}

/// RFC 8831 §6.4: 256 ("normal").
const DEFAULT_PRIORITY: u16 = 256;
