//! skeleton of the public face; the owner splits it over files by concern.
mod config;

pub use crate::send::SendError;
pub use config::Config;

use crate::{Message, Part, Ppid, Reliability, StreamId};
use bytes::{Bytes, BytesMut};
use std::time::{Duration, Instant};

/// RFC 9260 §4 as the outside sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum State {
    Closed,
    CookieWait,
    CookieEchoed,
    Established,
    ShutdownPending,
    ShutdownSent,
    ShutdownReceived,
    ShutdownAckSent,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[allow(missing_docs)]
pub enum TimeoutKind {
    Init,
    CookieEcho,
    Retransmissions,
    Heartbeat,
    Shutdown,
}

/// Arrives once as an event, is remembered, answers every later call.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[allow(missing_docs)]
pub enum CloseReason {
    LocalAbort,
    LocalShutdown,
    RemoteShutdown,
    /// the first cause code of the ABORT and its bounded text
    RemoteAbort {
        cause: Option<u16>,
        message: Bytes,
    },
    /// what the peer violated
    RemoteViolation(&'static str),
    Timeout(TimeoutKind),
    /// The transport below is gone (told by the owner)
    TransportClosed,
}

#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[allow(missing_docs)]
pub enum Event {
    Established,
    /// The peer restarted; all streams are as new.
    Restarted,
    /// Something became readable on an empty stream inbox (edge).
    Readable(StreamId),
    /// buffered amount fell to or below the low threshold (edge, downwards)
    BufferedAmountLow(StreamId),
    /// buffered amount fell below the high-water mark after `send` met it
    Writable(StreamId),
    /// The peer reset its outgoing direction of these streams (all data before it was delivered to the inbox).
    IncomingStreamsReset(Vec<StreamId>),
    /// Our reset of the outgoing direction was answered: done or refused.
    OutgoingStreamsReset {
        streams: Vec<StreamId>,
        accepted: bool,
    },
    Closed(CloseReason),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[allow(missing_docs)]
pub enum ResetError {
    #[error("the association is closed or shutting down")]
    Closed,
    #[error("the peer does not support stream reconfiguration")]
    Unsupported,
}

/// Counters and gauges
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
#[allow(missing_docs)]
pub struct Stats {
    pub packets_sent: u64,
    pub packets_received: u64,
    pub packets_dropped: u64,
    pub bytes_sent: u64,
    pub bytes_received: u64,
    pub retransmissions: u64,
    pub fast_retransmits: u64,
    pub t3_expirations: u64,
    pub cwnd: usize,
    pub srtt: Option<Duration>,
    pub rto: Duration,
    pub peer_rwnd: usize,
    pub local_rwnd: usize,
    pub bytes_in_flight: usize,
    pub mtu: usize,
}

/// One SCTP association (RFC 9260).
#[derive(Debug)]
pub struct Association {}

#[allow(unused_variables, missing_docs, clippy::todo)]
impl Association {
    pub fn new(config: Config, seed: [u8; 32], now: Instant) -> Self {
        todo!()
    }
    pub fn state(&self) -> State {
        todo!()
    }
    pub fn close_reason(&self) -> Option<&CloseReason> {
        todo!()
    }
    /// Active open; both sides do it (RFC 8841 §9.3).
    pub fn connect(&mut self, now: Instant) {
        todo!()
    }
    /// Graceful: everything queued is delivered first.
    pub fn shutdown(&mut self, now: Instant) {
        todo!()
    }
    /// ABORT with User-Initiated Abort; one last packet for `poll_transmit`.
    pub fn abort(&mut self, now: Instant) {
        todo!()
    }
    /// The transport below is gone: closed without a packet.
    pub fn transport_closed(&mut self, now: Instant) {
        todo!()
    }
    /// The selected ICE pair changed: congestion control, RTO and PMTU start anew (RFC 8261 §6.1).
    pub fn path_changed(&mut self, now: Instant) {
        todo!()
    }
    /// From SDP `a=max-message-size`; None = unlimited.
    pub fn set_max_send_message_size(&mut self, max: Option<usize>) {
        todo!()
    }
    pub fn handle_packet(&mut self, now: Instant, packet: &[u8]) {
        todo!()
    }
    pub fn handle_timeout(&mut self, now: Instant) {
        todo!()
    }
    /// Appends the next packet; false: nothing to send.
    pub fn poll_transmit(&mut self, now: Instant, buffer: &mut BytesMut) -> bool {
        todo!()
    }
    pub fn poll_timeout(&self) -> Option<Instant> {
        todo!()
    }
    pub fn poll_event(&mut self) -> Option<Event> {
        todo!()
    }
    /// Streams both ways that may be used, once established.
    pub fn negotiated_streams(&self) -> Option<(u16, u16)> {
        todo!()
    }
    /// Queue a whole message.
    pub fn send(
        &mut self,
        now: Instant,
        stream: StreamId,
        ppid: Ppid,
        data: Bytes,
        ordered: bool,
        reliability: Reliability,
    ) -> Result<(), SendError> {
        todo!()
    }
    /// Queue a part of a message; parts of one message follow each other, the last one has `last`.
    #[allow(clippy::too_many_arguments)]
    pub fn send_part(
        &mut self,
        now: Instant,
        stream: StreamId,
        ppid: Ppid,
        data: Bytes,
        last: bool,
        ordered: bool,
        reliability: Reliability,
    ) -> Result<(), SendError> {
        todo!()
    }
    pub fn recv(&mut self, now: Instant, stream: StreamId) -> Option<Message> {
        todo!()
    }
    /// The next piece of the next message, also of one that is not complete yet; window credit returns per part.
    pub fn recv_part(&mut self, now: Instant, stream: StreamId) -> Option<Part> {
        todo!()
    }
    /// Reset our outgoing direction once everything queued on these streams is delivered (RFC 6525, RFC 8831 §6.7).
    pub fn reset_streams(&mut self, now: Instant, streams: &[StreamId]) -> Result<(), ResetError> {
        todo!()
    }
    /// Payload accepted by `send` and not yet in a packet.
    pub fn buffered_amount(&self, stream: StreamId) -> usize {
        todo!()
    }
    pub fn set_buffered_amount_low_threshold(&mut self, stream: StreamId, threshold: usize) {
        todo!()
    }
    /// Accepted, not acknowledged, all streams.
    pub fn undelivered(&self) -> usize {
        todo!()
    }
    pub fn stats(&self) -> Stats {
        todo!()
    }
}
