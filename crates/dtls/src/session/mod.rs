//! One DTLS association: its state, and what its owner may ask of it.

mod alert;
mod flight;
mod handshake;
mod transfer;

use crate::bio::DatagramIo;
use crate::context;
use crate::intake::Intake;
use crate::{Certificate, Config, Fingerprint, Identities, KeyLogLine, key_log};
use alert::Alert;
use bytes::BytesMut;
use flight::Flight;
use openssl::error::ErrorStack;
use openssl::ssl::{SslContextRef, SslStream, SslVersion};
use openssl::x509::X509;
use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tracing::debug;

/// Who opens the handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Sends the ClientHello (`a=setup:active`).
    Client,
    /// Waits for it (`a=setup:passive`).
    Server,
}

/// The states of W3C `RTCDtlsTransportState`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// A server that has heard nothing yet.
    New,
    /// The handshake runs.
    Connecting,
    /// The peer has the expected certificate, and data flows.
    Connected,
    /// Closed by either side's close_notify.
    Closed,
    /// Ended by anything else.
    Failed,
}

/// Why a session ended.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CloseReason {
    /// [`Session::close`] was called.
    LocalClose,
    /// The peer sent close_notify.
    RemoteClose,
    /// The peer sent this fatal alert (RFC 5246 §7.2), protected by the session's keys.
    RemoteAlert(u8),
    /// OpenSSL could not go on with the handshake, and sent this alert if any.
    HandshakeFailed {
        /// The alert sent to the peer (RFC 5246 §7.2).
        alert: Option<u8>,
    },
    /// The peer's certificate has none of the expected fingerprints.
    FingerprintMismatch,
    /// The peer does not know the extended master secret (RFC 7627).
    NoExtendedMasterSecret,
    /// The handshake did not end in time.
    HandshakeTimeout {
        /// The last plaintext alert that came: the peer's reason, unless somebody else wrote it.
        suspected_alert: Option<u8>,
    },
    /// The handshake brought more fragments or bytes than [`Config`] allows.
    TooMuchHandshakeData,
    /// OpenSSL could not go on with an established session.
    RecordError,
}

impl fmt::Display for CloseReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LocalClose => f.write_str("closed by this side"),
            Self::RemoteClose => f.write_str("closed by the peer"),
            Self::RemoteAlert(alert) => write!(f, "the peer sent fatal alert {}", Alert(*alert)),
            Self::HandshakeFailed { alert: Some(alert) } => {
                write!(f, "the handshake failed, the peer was told so by alert {}", Alert(*alert))
            }
            Self::HandshakeFailed { alert: None } => f.write_str("the handshake failed"),
            Self::FingerprintMismatch => {
                f.write_str("the peer's certificate is not the one its description announced")
            }
            Self::NoExtendedMasterSecret => f.write_str("the peer does not know the extended master secret"),
            Self::HandshakeTimeout { suspected_alert: Some(alert) } => {
                write!(f, "the handshake timed out, perhaps because of the peer's alert {}", Alert(*alert))
            }
            Self::HandshakeTimeout { suspected_alert: None } => f.write_str("the handshake timed out"),
            Self::TooMuchHandshakeData => f.write_str("the peer's handshake is too large"),
            Self::RecordError => f.write_str("the session's records cannot be processed any more"),
        }
    }
}

/// What changed in a session.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// Once, when the handshake has ended and the peer's certificate is the expected one. Data can be sealed from here.
    Connected,
    /// Once, as the last event. The same reason is kept in [`Session::close_reason`].
    Closed(CloseReason),
}

/// OpenSSL could not set a session up; the text is its own.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("openssl: {0}")]
pub struct SetupError(pub String);

impl From<ErrorStack> for SetupError {
    fn from(errors: ErrorStack) -> Self {
        Self(errors.to_string())
    }
}

/// Why [`Session::seal`] did nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// There are no keys yet, or no longer.
    #[error("the session is not connected")]
    NotConnected,
    /// A record holds at most 2^14 bytes (RFC 5246 §6.2.1).
    #[error("plaintext of {len} bytes is over the record limit of {max}")]
    TooLarge {
        /// The plaintext's length in bytes.
        len: usize,
        /// The most a record holds.
        max: usize,
    },
}

/// What the handshake of a session agreed on.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Negotiated {
    /// The protocol version as records have it: 0xFEFD for DTLS 1.2 (RFC 6347 §4.1).
    pub version: u16,
    /// The IANA name of the cipher suite.
    pub cipher_suite: &'static str,
    /// The certificate that was shown to the peer.
    pub local_certificate: Certificate,
    /// The certificate that the peer has shown, and that has an expected fingerprint.
    pub peer_certificate: Certificate,
}

/// What a session has counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Records sealed.
    pub records_sealed: u64,
    /// Records of application data opened.
    pub records_opened: u64,
    /// Records dropped: forged, repeated, out of place, or more than is kept.
    pub records_dropped: u64,
    /// Datagrams that are not, or not to the end, made of DTLS records.
    pub datagrams_malformed: u64,
    /// Plaintext alerts that were not believed (they count as dropped records too).
    pub alerts_withheld: u64,
    /// Times a flight was sent again, on our timer or because the peer repeated its own.
    pub flights_resent: u64,
}

/// One DTLS association over one ICE transport.
///
/// After each input the owner drains [`poll_transmit`](Self::poll_transmit), then [`poll_data`](Self::poll_data), then
/// [`poll_event`](Self::poll_event), and reads [`poll_timeout`](Self::poll_timeout). The order of data and events is that
/// of the records: an event `Closed` is seen only after the data before it was taken.
pub struct Session {
    stream: SslStream<DatagramIo>,
    role: Role,
    config: Config,
    expected: Arc<[Fingerprint]>,
    phase: Phase,
    peer_certificate: Option<X509>,
    intake: Intake,
    flight: Flight,
    inflow: transfer::Inflow,
    events: VecDeque<Event>,
    stats: Stats,
}

/// ```text
/// Handshaking ──verified──▶ Connected
///      └───────────┴──close, failure──▶ Closed
/// ```
#[derive(Debug)]
enum Phase {
    Handshaking {
        /// Whether a server has heard anything.
        begun: bool,
        deadline: Instant,
        /// When an alert that nothing protected is believed after all, because the peer has been silent since.
        alert_deadline: Option<Instant>,
    },
    Connected {
        overhead: usize,
        /// When the last flight is given up; only set where the peer may still need it.
        flight_kept_until: Option<Instant>,
    },
    Closed(CloseReason),
}

impl Session {
    /// Sets a session up. A client has its ClientHello ready for [`poll_transmit`](Self::poll_transmit) right after.
    ///
    /// The peer is accepted if its certificate has any of the `expected` fingerprints; with none it never is. The
    /// handshake's time starts to run at `now`.
    ///
    /// # Errors
    ///
    /// [`SetupError`] when OpenSSL is out of memory or lacks an algorithm, or cannot use the identity's key.
    pub fn new(
        identities: impl Into<Identities>,
        role: Role,
        expected: Vec<Fingerprint>,
        config: Config,
        now: Instant,
    ) -> Result<Self, SetupError> {
        Self::in_context(&*identities.into().context(&config)?, role, expected, config, now)
    }

    pub(crate) fn in_context(
        context: &SslContextRef,
        role: Role,
        expected: Vec<Fingerprint>,
        config: Config,
        now: Instant,
    ) -> Result<Self, SetupError> {
        let expected: Arc<[Fingerprint]> = expected.into();
        let ssl = context::session(context, role, &expected, &config)?;
        let mut session = Self {
            stream: SslStream::new(ssl, DatagramIo::default())?,
            role,
            phase: Phase::Handshaking {
                begun: role == Role::Client,
                deadline: now + config.handshake_timeout,
                alert_deadline: None,
            },
            config,
            expected,
            peer_certificate: None,
            intake: Intake::default(),
            flight: Flight::new(now),
            inflow: transfer::Inflow::default(),
            events: VecDeque::new(),
            stats: Stats::default(),
        };
        if role == Role::Client {
            session.drive(now);
        }
        Ok(session)
    }

    /// Takes the RTT that ICE measured. Flights from here on are first resent after twice that, at least 100 ms (250 ms
    /// while it is unknown).
    pub fn set_round_trip_time(&mut self, rtt: Duration) {
        self.flight.set_round_trip_time(rtt);
    }

    /// The socket refused a datagram of the handshake because the path takes none so large (EMSGSIZE): flights are split as
    /// far as their records allow when they are sent next. The first resend has the same effect.
    pub fn assume_narrow_path(&mut self) {
        self.flight.assume_narrow_path();
    }

    /// Whether a flight of ours had to be sent again, or the socket refused one: the path may be narrow, in either direction.
    pub fn is_path_narrow(&self) -> bool {
        self.flight.is_narrow()
    }

    /// Takes a datagram whose first byte says DTLS (RFC 7983: 20 to 63) and whose source ICE has validated.
    ///
    /// Whatever is wrong with it is dropped and counted. Decrypted data waits for [`poll_data`](Self::poll_data).
    pub fn handle_datagram(&mut self, now: Instant, datagram: &[u8]) {
        match self.phase {
            Phase::Handshaking { .. } => self.on_handshake_datagram(now, datagram),
            Phase::Connected { .. } => self.on_datagram(now, datagram),
            Phase::Closed(_) => {}
        }
    }

    /// Fires what is due: resends the last flight, or ends a handshake that took too long. Harmless when early.
    pub fn handle_timeout(&mut self, now: Instant) {
        match self.phase {
            Phase::Handshaking { deadline, alert_deadline, .. }
                if alert_deadline.unwrap_or(deadline).min(deadline) <= now =>
            {
                let suspected_alert = self.intake.suspected_alert;
                self.end(CloseReason::HandshakeTimeout { suspected_alert });
            }
            Phase::Connected { flight_kept_until: Some(end), .. } if end <= now => self.forget_flight(),
            Phase::Handshaking { .. } | Phase::Connected { .. } => self.on_flight_timeout(now),
            Phase::Closed(_) => {}
        }
    }

    /// When [`handle_timeout`](Self::handle_timeout) wants to be called; `None` when nothing is pending.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let limit = match self.phase {
            Phase::Handshaking { deadline, alert_deadline, .. } => {
                Some(alert_deadline.unwrap_or(deadline).min(deadline))
            }
            Phase::Connected { flight_kept_until, .. } => flight_kept_until,
            Phase::Closed(_) => None,
        };
        limit.into_iter().chain(self.flight.deadline()).min()
    }

    /// Appends the next handshake or alert datagram to `buffer`; `false` when there is none.
    pub fn poll_transmit(&mut self, _now: Instant, buffer: &mut BytesMut) -> bool {
        let outbox = &mut self.stream.get_mut().outbox;
        let Some(datagram) = self.flight.next().or_else(|| outbox.next()) else {
            return false;
        };
        buffer.extend_from_slice(datagram);
        true
    }

    /// The next secret that the handshake has made, if [`Config::key_log`] asked for them.
    ///
    /// It is there before the first datagram that this side protects with it, and after the datagram that completed the
    /// peer's part was handled. A session that has ended still has what was not taken.
    pub fn poll_key_log(&mut self) -> Option<KeyLogLine> {
        self.config.key_log.then(|| key_log::pop(self.stream.ssl()))?
    }

    /// What changed since the last call.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// Ends the session. A connected one sends close_notify, one datagram for [`poll_transmit`](Self::poll_transmit).
    pub fn close(&mut self, _now: Instant) {
        match self.phase {
            Phase::Connected { .. } => self.send_close_notify(),
            Phase::Handshaking { .. } => {}
            Phase::Closed(_) => return,
        }
        self.end(CloseReason::LocalClose);
    }

    /// The session's state, as W3C `RTCDtlsTransport.state` has it.
    pub fn state(&self) -> State {
        match &self.phase {
            Phase::Handshaking { begun: false, .. } => State::New,
            Phase::Handshaking { begun: true, .. } => State::Connecting,
            Phase::Connected { .. } => State::Connected,
            Phase::Closed(CloseReason::LocalClose | CloseReason::RemoteClose) => State::Closed,
            Phase::Closed(
                CloseReason::RemoteAlert(_)
                | CloseReason::HandshakeFailed { .. }
                | CloseReason::FingerprintMismatch
                | CloseReason::NoExtendedMasterSecret
                | CloseReason::HandshakeTimeout { .. }
                | CloseReason::TooMuchHandshakeData
                | CloseReason::RecordError,
            ) => State::Failed,
        }
    }

    /// The role it was made with.
    pub fn role(&self) -> Role {
        self.role
    }

    /// Why the session ended, once it has.
    pub fn close_reason(&self) -> Option<&CloseReason> {
        match &self.phase {
            Phase::Handshaking { .. } | Phase::Connected { .. } => None,
            Phase::Closed(reason) => Some(reason),
        }
    }

    /// What the handshake agreed on, once it has ended well; also after the session's end.
    pub fn negotiated(&self) -> Option<Negotiated> {
        let ssl = self.stream.ssl();
        let peer_certificate = Certificate(self.peer_certificate.clone()?);
        let version = match ssl.version2()? {
            SslVersion::DTLS1_2 => 0xfefd,
            // Not allowed by the context.
            _ => return None,
        };
        Some(Negotiated {
            version,
            cipher_suite: ssl.current_cipher()?.standard_name()?,
            local_certificate: Certificate(ssl.certificate()?.to_owned()),
            peer_certificate,
        })
    }

    /// What was counted so far.
    pub fn stats(&self) -> Stats {
        self.stats
    }

    #[cfg(test)]
    pub(crate) fn ssl(&self) -> &openssl::ssl::SslRef {
        self.stream.ssl()
    }

    /// The one way into `Closed`.
    fn end(&mut self, reason: CloseReason) {
        if matches!(self.phase, Phase::Closed(_)) {
            return;
        }
        debug!(role = ?self.role, from = ?self.state(), ?reason, "dtls session ends");
        self.flight.disarm();
        self.phase = Phase::Closed(reason.clone());
        self.events.push_back(Event::Closed(reason));
    }

    fn send_close_notify(&mut self) {
        // 0 ("sent") is all that is waited for; an error means that there is nobody left to tell.
        let _ = self.stream.shutdown();
    }
}

/// Shows nothing secret.
impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("role", &self.role)
            .field("phase", &self.phase)
            .field("stats", &self.stats)
            .finish_non_exhaustive()
    }
}
