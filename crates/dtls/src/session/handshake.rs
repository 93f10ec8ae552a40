//! From the first datagram to `Connected`.

use super::{CloseReason, Event, Phase, Role, Session, transfer};
use crate::{context, record};
use openssl::error::ErrorStack;
use openssl::ssl::{Error, ErrorCode};
use std::time::{Duration, Instant};
use tracing::{debug, trace};

impl Session {
    pub(super) fn on_handshake_datagram(&mut self, now: Instant, datagram: &[u8]) {
        let min_encrypted = self.min_encrypted();
        let inbox = &mut self.stream.get_mut().inbox;
        let withheld = self.stats.alerts_withheld;
        let admitted =
            self.intake.admit_handshake(datagram, &self.config, min_encrypted, inbox, &mut self.stats);
        trace!(role = ?self.role, len = datagram.len(), ?admitted, "handshake datagram");
        if admitted.excessive {
            self.end(CloseReason::TooMuchHandshakeData);
            return;
        }
        if let Phase::Handshaking { begun, alert_deadline, .. } = &mut self.phase {
            if admitted.control > 0 {
                (*begun, *alert_deadline) = (true, None);
            } else if self.stats.alerts_withheld > withheld && self.intake.has_heard() {
                // A stranger's alert does not keep the peer from going on; who sent one itself says nothing more.
                alert_deadline.get_or_insert(now + ALERT_GRACE);
            }
        }
        if admitted.control == 0 {
            return;
        }
        let answered = self.drive(now);
        // RFC 6347 §4.2.4, case 2: "The implementation reads a retransmitted flight from the peer"
        if admitted.repeated && !answered {
            self.resend_answer(now);
        }
    }

    /// Lets OpenSSL work through what has come. Whether it wrote a flight.
    pub(super) fn drive(&mut self, now: Instant) -> bool {
        self.advance(now);
        let outbox = &mut self.stream.get_mut().outbox;
        if matches!(self.phase, Phase::Closed(_)) || outbox.is_drained() {
            return false;
        }
        self.flight.replace(now, outbox);
        self.intake.flight_answered();
        true
    }

    /// The flight timer, during the handshake and after it. OpenSSL has its own, by the wall clock: it is asked first, and
    /// when that has run out it makes the flight anew, in records that no replay window has seen.
    pub(super) fn on_flight_timeout(&mut self, now: Instant) {
        if self.flight.deadline().is_none_or(|deadline| now < deadline) {
            return;
        }
        if matches!(self.phase, Phase::Handshaking { .. }) {
            self.advance(now);
        }
        if self.flight.is_armed() {
            self.flight.expired(now, &mut self.stream.get_mut().outbox);
            self.stats.flights_resent = self.stats.flights_resent.saturating_add(1);
        }
    }

    pub(super) fn resend_answer(&mut self, now: Instant) {
        if self.flight.resend_answer(now) {
            self.stats.flights_resent = self.stats.flights_resent.saturating_add(1);
        }
    }

    /// The peer has our last flight.
    pub(super) fn forget_flight(&mut self) {
        self.flight.disarm();
        if let Phase::Connected { flight_kept_until, .. } = &mut self.phase {
            *flight_kept_until = None;
        }
    }

    fn advance(&mut self, now: Instant) {
        match self.stream.do_handshake() {
            Ok(()) => self.verify_handshake(now),
            Err(error) if error.code() == ErrorCode::WANT_READ => {}
            Err(error) => self.fail_handshake(&error),
        }
    }

    /// OpenSSL is content; these are the last looks before anybody hears of it.
    fn verify_handshake(&mut self, now: Instant) {
        let ssl = self.stream.ssl();
        // RFC 7627 §5.2, §5.3: without the extension "the client MUST abort the handshake" and the server "SHOULD". OpenSSL
        // says whether it was used only now, and then all it can send is close_notify.
        if ssl.extms_support() != Some(true) {
            self.send_close_notify();
            return self.end(CloseReason::NoExtendedMasterSecret);
        }
        // Seen in the verify callback already; whatever path OpenSSL took here, nothing passes without it.
        let certificate = ssl.peer_certificate();
        let Some(certificate) = certificate.filter(|found| context::is_expected(&self.expected, found))
        else {
            self.send_close_notify();
            return self.end(CloseReason::FingerprintMismatch);
        };
        let cipher = ssl.current_cipher().map_or("", |cipher| cipher.name());
        debug!(role = ?self.role, cipher, "dtls session connected");

        self.peer_certificate = Some(certificate);
        self.phase = Phase::Connected {
            overhead: transfer::overhead(cipher),
            // The server's is the last flight, and only data from the client shows that it came.
            flight_kept_until: (self.role == Role::Server).then(|| now + KEEP_LAST_FLIGHT),
        };
        if self.role == Role::Client {
            self.flight.disarm();
        }
        self.events.push_back(Event::Connected);
        self.open_behind_finished();
    }

    fn fail_handshake(&mut self, error: &Error) {
        let no_errors = ErrorStack::get();
        let errors = error.ssl_error().unwrap_or(&no_errors);
        debug!(role = ?self.role, %errors, "dtls handshake failed");
        let reasons = || errors.errors().iter().map(openssl::error::Error::reason_code);

        if let Some(alert) = reasons().find_map(remote_alert) {
            return self.end(CloseReason::RemoteAlert(alert));
        }
        let mismatch = context::refused_by_fingerprint(self.stream.ssl().verify_result());
        let certificate_missing = reasons().any(|reason| reason == PEER_DID_NOT_RETURN_A_CERTIFICATE);
        let sent = record::trailing_alert(self.stream.get_mut().outbox.bytes_mut());
        let alert = sent.map(|description| {
            if mismatch || certificate_missing {
                // RFC 8122 §6.2: "if the client does not provide one, or if the certificate does not match a provided
                // fingerprint, the server endpoint MUST terminate the media connection with a bad_certificate error", and
                // the client likewise. OpenSSL says handshake_failure, but nothing protects that yet.
                *description = BAD_CERTIFICATE;
            }
            *description
        });
        self.end(if mismatch {
            CloseReason::FingerprintMismatch
        } else {
            CloseReason::HandshakeFailed { alert }
        });
    }
}

/// The alert of the peer that OpenSSL reports as an error's reason.
pub(super) fn remote_alert(reason: i32) -> Option<u8> {
    reason.checked_sub(ALERT_REASON_OFFSET).and_then(|alert| u8::try_from(alert).ok())
}

/// Silence after an unprotected fatal alert: several resends of the flight that was not answered.
const ALERT_GRACE: Duration = Duration::from_secs(3);
/// RFC 5246 §7.2.
const BAD_CERTIFICATE: u8 = 42;
/// OpenSSL's `SSL_AD_REASON_OFFSET`.
const ALERT_REASON_OFFSET: i32 = 1000;
/// OpenSSL's `SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE`.
const PEER_DID_NOT_RETURN_A_CERTIFICATE: i32 = 199;
/// DESIGN's bound; RFC 6347 §4.2.4 asks for twice the MSL, four minutes, of which ICE consent leaves nothing to serve.
const KEEP_LAST_FLIGHT: Duration = Duration::from_secs(60);
