//! skeleton
use crate::{Fingerprint, Identity};
use bytes::BytesMut;
use std::time::{Duration, Instant};

/// DTLS client (`a=setup:active`) or server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Role {
    Client,
    Server,
}

/// RTCDtlsTransportState
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum State {
    New,
    Connecting,
    Connected,
    Closed,
    Failed,
}

/// Why the session ended.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[allow(missing_docs)]
pub enum CloseReason {
    LocalClose,
    /// close_notify came
    RemoteClose,
    /// fatal alert from the peer (TLS alert number)
    RemoteAlert(u8),
    /// we sent a fatal alert / OpenSSL failed the handshake
    HandshakeFailed {
        alert: Option<u8>,
    },
    FingerprintMismatch,
    /// no extended master secret
    NoExtendedMasterSecret,
    /// 30 s; the last unauthenticated alert seen, as suspected cause
    HandshakeTimeout {
        suspected_alert: Option<u8>,
    },
    TooMuchHandshakeData,
    RecordError,
}

/// What changed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[allow(missing_docs)]
pub enum Event {
    Connected,
    Closed(CloseReason),
}

/// OpenSSL context could not be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("openssl: {0}")]
pub struct SetupError(pub String);

/// Why `seal` did nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs)]
pub enum SealError {
    #[error("the session is not connected")]
    NotConnected,
    #[error("plaintext of {len} bytes is over the record limit of {max}")]
    TooLarge { len: usize, max: usize },
}

/// Settings (private fields, chained setters, Default): mtu (UDP payload, default 1200 as DESIGN §1.6 implies), handshake_timeout 30 s, …
#[derive(Clone, Debug, Default)]
pub struct Config {}

/// counters
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
#[allow(missing_docs)]
pub struct Stats {
    pub records_dropped: u64,
}

/// One DTLS association over one ICE transport.
#[derive(Debug)]
pub struct Session {}

#[allow(unused_variables, missing_docs, clippy::todo)]
impl Session {
    /// A client has its ClientHello ready for `poll_transmit` right after.
    pub fn new(
        identity: &Identity,
        role: Role,
        expected: Vec<Fingerprint>,
        config: Config,
        now: Instant,
    ) -> Result<Self, SetupError> {
        todo!()
    }
    pub fn state(&self) -> State {
        todo!()
    }
    pub fn role(&self) -> Role {
        todo!()
    }
    pub fn close_reason(&self) -> Option<&CloseReason> {
        todo!()
    }
    /// The RTT that ICE measured: sets the flight timer (twice it, ≥ 100 ms; 250 ms when unknown).
    pub fn set_round_trip_time(&mut self, rtt: Duration) {
        todo!()
    }
    pub fn handle_datagram(&mut self, now: Instant, datagram: &[u8]) {
        todo!()
    }
    /// The next decrypted record; lives in the session's scratch buffer until the next call.
    pub fn poll_data(&mut self) -> Option<&[u8]> {
        todo!()
    }
    /// Appends one record holding `plaintext` to `buffer`.
    pub fn seal(&mut self, plaintext: &[u8], buffer: &mut BytesMut) -> Result<(), SealError> {
        todo!()
    }
    /// Bytes that `seal` adds to a plaintext (37 for AES-GCM), known once connected.
    pub fn overhead(&self) -> usize {
        todo!()
    }
    /// Sends close_notify (one datagram for `poll_transmit`) and ends.
    pub fn close(&mut self, now: Instant) {
        todo!()
    }
    pub fn handle_timeout(&mut self, now: Instant) {
        todo!()
    }
    /// Appends the next handshake or alert datagram.
    pub fn poll_transmit(&mut self, now: Instant, buffer: &mut BytesMut) -> bool {
        todo!()
    }
    pub fn poll_timeout(&self) -> Option<Instant> {
        todo!()
    }
    pub fn poll_event(&mut self) -> Option<Event> {
        todo!()
    }
    pub fn peer_certificate_der(&self) -> Option<Vec<u8>> {
        todo!()
    }
    pub fn cipher_suite(&self) -> Option<&'static str> {
        todo!()
    }
    pub fn stats(&self) -> Stats {
        todo!()
    }
}
