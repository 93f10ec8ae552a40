//! Records of application data, in and out.

use super::{CloseReason, Phase, SealError, Session};
use crate::record::HEADER_LEN;
use crate::session::handshake::remote_alert;
use bytes::BytesMut;
use openssl::error::ErrorStack;
use openssl::ssl::{Error, ErrorCode, ShutdownState};
use std::mem;
use std::time::Instant;
use tracing::{debug, trace};

/// What came in and was not taken yet.
#[derive(Debug, Default)]
pub(super) struct Inflow {
    /// Holds the last record opened.
    scratch: Vec<u8>,
    /// A record already in `scratch`.
    ready: Option<usize>,
    /// Records given to OpenSSL that it has not answered for: of data, and others.
    data: usize,
    control: usize,
}

impl Session {
    /// The next decrypted record; it stays in the session's buffer until the next call.
    pub fn poll_data(&mut self) -> Option<&[u8]> {
        let len = match self.inflow.ready.take() {
            Some(len) => len,
            None => self.open_next()?,
        };
        self.inflow.scratch.get(..len)
    }

    /// Appends one record holding `plaintext` to `buffer`, [`overhead`](Self::overhead) bytes longer than it; nothing when
    /// `plaintext` is empty.
    ///
    /// # Errors
    ///
    /// [`SealError::NotConnected`] before the handshake has ended and after the session has; [`SealError::TooLarge`] above
    /// 2^14 bytes. `buffer` is then unchanged.
    pub fn seal(&mut self, plaintext: &[u8], buffer: &mut BytesMut) -> Result<(), SealError> {
        if !matches!(self.phase, Phase::Connected { .. }) {
            return Err(SealError::NotConnected);
        }
        let len = plaintext.len();
        if len == 0 {
            return Ok(());
        }
        if len > MAX_PLAINTEXT {
            return Err(SealError::TooLarge { len, max: MAX_PLAINTEXT });
        }
        // RFC 6347 §4.1: "implementations MUST either abandon an association or rehandshake prior to allowing the
        // sequence number to wrap."
        if self.stats.records_sealed >= MAX_RECORDS {
            self.end(CloseReason::RecordError);
            return Err(SealError::NotConnected);
        }
        self.stream.get_mut().batch = Some(mem::take(buffer));
        let outcome = self.stream.ssl_write(plaintext);
        *buffer = self.stream.get_mut().batch.take().unwrap_or_default();
        match outcome {
            Ok(_) => {
                self.stats.records_sealed = self.stats.records_sealed.saturating_add(1);
                Ok(())
            }
            Err(error) => {
                debug!(role = ?self.role, %error, "sealing failed");
                self.end(CloseReason::RecordError);
                Err(SealError::NotConnected)
            }
        }
    }

    /// Bytes that [`seal`](Self::seal) adds to a plaintext: 37 with AES-GCM, 29 with ChaCha20. The larger one before the
    /// session is connected.
    pub fn overhead(&self) -> usize {
        match self.phase {
            Phase::Connected { overhead, .. } => overhead,
            Phase::Handshaking { .. } | Phase::Closed(_) => AES_GCM_OVERHEAD,
        }
    }

    /// The least that an encrypted record has behind its header: nonce and tag. While the cipher is not known, those of
    /// AES-GCM, which has the longest; the Finished is longer with every cipher.
    pub(super) fn min_encrypted(&self) -> usize {
        self.overhead().saturating_sub(HEADER_LEN)
    }

    /// A datagram of an established session.
    pub(super) fn on_datagram(&mut self, now: Instant, datagram: &[u8]) {
        let min_encrypted = self.min_encrypted();
        let inbox = &mut self.stream.get_mut().inbox;
        if inbox.len() > MAX_INBOX && !inbox.is_drained() {
            self.stats.records_dropped = self.stats.records_dropped.saturating_add(1);
            return;
        }
        let admitted =
            self.intake.admit_connected(datagram, self.role, min_encrypted, inbox, &mut self.stats);
        trace!(role = ?self.role, len = datagram.len(), ?admitted, "datagram");
        self.inflow.data = self.inflow.data.saturating_add(admitted.data);
        self.inflow.control = self.inflow.control.saturating_add(admitted.control);
        // An alert must not wait until somebody asks for data, except behind data.
        if self.inflow.data == 0 && self.inflow.control > 0 && self.inflow.ready.is_none() {
            self.inflow.ready = self.open_next();
        }
        // RFC 6347 §4.2.4: the side that sent the last flight "MUST respond to a retransmit of the peer's last flight with a
        // retransmit of the last flight". OpenSSL does where the Finished comes in a new record.
        if admitted.repeated && self.stream.get_ref().outbox.is_drained() {
            self.resend_answer(now);
        }
    }

    /// An alert may stand in the same datagram as the Finished.
    pub(super) fn open_behind_finished(&mut self) {
        self.inflow.control = 1;
        self.inflow.ready = self.open_next();
    }

    fn open_next(&mut self) -> Option<usize> {
        if !matches!(self.phase, Phase::Connected { .. }) || self.inflow.data + self.inflow.control == 0 {
            return None;
        }
        self.grow_scratch(FIRST_SCRATCH);
        let mut outcome = self.stream.ssl_read(&mut self.inflow.scratch);
        // Errors in OpenSSL's queue, of dropped records or of other users of this thread, make it call a "would block"
        // fatal. The queue is empty after that, and a session that is really dead stays so.
        if outcome.as_ref().is_err_and(|error| error.code() == ErrorCode::SSL) && !self.is_shut_by_peer() {
            outcome = self.stream.ssl_read(&mut self.inflow.scratch);
        }
        match outcome {
            Ok(len) => Some(self.on_record(len)),
            Err(error) => {
                self.on_no_record(&error);
                None
            }
        }
    }

    /// A record of the peer was authenticated and opened.
    fn on_record(&mut self, len: usize) -> usize {
        self.inflow.data = self.inflow.data.saturating_sub(1);
        self.stats.records_opened = self.stats.records_opened.saturating_add(1);
        if self.flight.is_armed() {
            self.forget_flight();
        }
        if len < self.inflow.scratch.len() || self.stream.ssl().pending() == 0 {
            return len;
        }
        // A record larger than any before; OpenSSL still has the rest of it.
        self.grow_scratch(MAX_PLAINTEXT);
        let rest = self.inflow.scratch.get_mut(len..).unwrap_or_default();
        len.saturating_add(self.stream.ssl_read(rest).unwrap_or(0))
    }

    fn on_no_record(&mut self, error: &Error) {
        // Whatever is still owed was forged, repeated, or no data.
        let dropped = u64::try_from(mem::take(&mut self.inflow.data)).unwrap_or(u64::MAX);
        self.inflow.control = 0;
        self.stats.records_dropped = self.stats.records_dropped.saturating_add(dropped);
        if error.code() == ErrorCode::WANT_READ {
            return;
        }
        if error.code() == ErrorCode::ZERO_RETURN {
            // RFC 5246 §7.2.1: "The other party MUST respond with a close_notify alert of its own"
            self.send_close_notify();
            return self.end(CloseReason::RemoteClose);
        }
        debug!(role = ?self.role, %error, "dtls session broken");
        self.end(remote_alert_of(error).map_or(CloseReason::RecordError, CloseReason::RemoteAlert));
    }

    /// By close_notify or a fatal alert.
    fn is_shut_by_peer(&mut self) -> bool {
        self.stream.get_shutdown().contains(ShutdownState::RECEIVED)
    }

    fn grow_scratch(&mut self, len: usize) {
        if self.inflow.scratch.len() < len {
            self.inflow.scratch.resize(len, 0);
        }
    }
}

/// The bytes a record of this cipher (by OpenSSL's name) has beside its plaintext.
pub(super) fn overhead(cipher: &str) -> usize {
    if cipher.contains("CHACHA20") { CHACHA20_OVERHEAD } else { AES_GCM_OVERHEAD }
}

fn remote_alert_of(error: &Error) -> Option<u8> {
    let errors = error.ssl_error().map(ErrorStack::errors).unwrap_or_default();
    errors.iter().find_map(|error| remote_alert(error.reason_code()))
}

/// RFC 5288 §3: the record header, 8 bytes of explicit nonce, 16 of tag.
const AES_GCM_OVERHEAD: usize = 13 + 8 + 16;
/// RFC 7905 §2: no explicit nonce.
const CHACHA20_OVERHEAD: usize = 13 + 16;
/// Holds any record of a path MTU in use; a session that sees a larger one grows to the largest.
const FIRST_SCRATCH: usize = 2048;
/// Bytes waiting for `poll_data` beyond which datagrams are dropped; an owner that drains after each input has one.
const MAX_INBOX: usize = 256 << 10;
/// RFC 5246 §6.2.1.
const MAX_PLAINTEXT: usize = 1 << 14;
/// The sequence number has 48 bits, and the Finished took one.
const MAX_RECORDS: u64 = (1 << 48) - 2;
