//! What of a datagram OpenSSL gets to see.
//!
//! Until the handshake is over anybody on the path can write records, and even afterwards plaintext (epoch 0) ones. So:
//! malformed data, plaintext application data and plaintext alerts are withheld, and what a handshake may bring is bounded.
//! Plaintext records get new sequence numbers: nothing protects the old ones, and OpenSSL would take a byte-for-byte
//! resend for a replay even where it threw the first copy away (a ChangeCipherSpec that overtook its flight).
#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use crate::bio::Datagrams;
use crate::record::{ContentType, Malformed, Record};
use crate::{Config, Role, Stats};

/// The gate in front of OpenSSL, with what it counted in this handshake.
#[derive(Debug, Default)]
pub(crate) struct Intake {
    /// The last plaintext alert, which may or may not be the peer's.
    pub(crate) suspected_alert: Option<u8>,
    fragments: usize,
    bytes: usize,
    encrypted: usize,
    plaintext_sequence: u64,
    /// The highest plaintext handshake message seen, and the highest that our last flight answered.
    highest_message: Option<u16>,
    answered_message: Option<u16>,
}

/// What a datagram brought.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Admitted {
    /// Records of application data let through.
    pub(crate) data: usize,
    /// Other records let through.
    pub(crate) control: usize,
    /// A part of a flight that was answered before: the peer may have missed the answer.
    pub(crate) repeated: bool,
    /// The handshake has brought more than it may.
    pub(crate) excessive: bool,
}

/// What becomes of one record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Data,
    Control,
    Drop,
}

impl Intake {
    /// Walks the records of a datagram that came during the handshake and queues those that OpenSSL may see. No encrypted
    /// payload is shorter than `min_encrypted`.
    pub(crate) fn admit_handshake(
        &mut self,
        datagram: &[u8],
        config: &Config,
        min_encrypted: usize,
        inbox: &mut Datagrams,
        stats: &mut Stats,
    ) -> Admitted {
        self.walk(datagram, min_encrypted, inbox, stats, |intake, record, admitted, stats| {
            intake.judge_handshake(record, config, admitted, stats)
        })
    }

    /// The same once the session is connected.
    pub(crate) fn admit_connected(
        &mut self,
        datagram: &[u8],
        role: Role,
        min_encrypted: usize,
        inbox: &mut Datagrams,
        stats: &mut Stats,
    ) -> Admitted {
        self.walk(datagram, min_encrypted, inbox, stats, |_, record, admitted, stats| {
            judge_connected(record, role, admitted, stats)
        })
    }

    /// Has a handshake message of the peer come?
    pub(crate) fn has_heard(&self) -> bool {
        self.highest_message.is_some()
    }

    /// Our next flight is written: what came up to now is answered by it.
    pub(crate) fn flight_answered(&mut self) {
        self.answered_message = self.highest_message;
    }

    fn walk(
        &mut self,
        datagram: &[u8],
        min_encrypted: usize,
        inbox: &mut Datagrams,
        stats: &mut Stats,
        judge: impl Fn(&mut Self, &Record<'_>, &mut Admitted, &mut Stats) -> Verdict,
    ) -> Admitted {
        let mut admitted = Admitted::default();
        let mut rest = datagram;
        while !rest.is_empty() {
            let Ok((record, behind)) = Record::split_first(rest) else {
                stats.datagrams_malformed = stats.datagrams_malformed.saturating_add(1);
                break;
            };
            rest = behind;
            // RFC 6347 §4.1.2.7: "invalid records SHOULD be silently discarded, thus preserving the association". OpenSSL
            // gives the session up over one that has no room for its nonce and tag, which anybody can write.
            let is_too_short = record.epoch > 0 && record.payload.len() < min_encrypted;
            let verdict =
                if is_too_short { Verdict::Drop } else { judge(self, &record, &mut admitted, stats) };
            match verdict {
                Verdict::Data => admitted.data = admitted.data.saturating_add(1),
                Verdict::Control => admitted.control = admitted.control.saturating_add(1),
                Verdict::Drop => {
                    stats.records_dropped = stats.records_dropped.saturating_add(1);
                    continue;
                }
            }
            self.queue(&record, inbox);
        }
        inbox.commit();
        admitted
    }

    /// Keeps the records of a datagram together as long as they fit OpenSSL's read buffer.
    fn queue(&mut self, record: &Record<'_>, inbox: &mut Datagrams) {
        let len = record.header.len().saturating_add(record.payload.len());
        if inbox.building().saturating_add(len) > MAX_ENTRY {
            inbox.commit();
        }
        if record.epoch == 0 {
            inbox.append(&record.renumbered_header(self.plaintext_sequence));
            self.plaintext_sequence = self.plaintext_sequence.saturating_add(1);
        } else {
            inbox.append(record.header);
        }
        inbox.append(record.payload);
    }

    fn judge_handshake(
        &mut self,
        record: &Record<'_>,
        config: &Config,
        admitted: &mut Admitted,
        stats: &mut Stats,
    ) -> Verdict {
        match (record.content, record.epoch) {
            // Nothing counts as data before the peer is known; SCTP sends it again.
            (ContentType::ApplicationData, _) => Verdict::Drop,
            (ContentType::Alert, 0) => {
                // RFC 6347 §4.1.2.7: "invalid records SHOULD be silently discarded, thus preserving the association"; an
                // alert that nothing protects is as good as invalid, and believing it would let a stranger end the handshake.
                self.suspected_alert = record.alert().or(self.suspected_alert);
                stats.alerts_withheld = stats.alerts_withheld.saturating_add(1);
                Verdict::Drop
            }
            (ContentType::Handshake, 0) => self.judge_fragments(record, config, admitted),
            (ContentType::ChangeCipherSpec, 0) => self.count(1, record, config, admitted),
            (ContentType::ChangeCipherSpec | ContentType::Alert | ContentType::Handshake, _) => {
                // OpenSSL keeps what it cannot decrypt yet, with a whole read buffer for each.
                self.encrypted = self.encrypted.saturating_add(1);
                if self.encrypted > MAX_ENCRYPTED {
                    return Verdict::Drop;
                }
                self.count(1, record, config, admitted)
            }
        }
    }

    fn judge_fragments(&mut self, record: &Record<'_>, config: &Config, admitted: &mut Admitted) -> Verdict {
        let mut count = 0_usize;
        let mut highest = None;
        for fragment in record.fragments() {
            match fragment {
                Ok(fragment)
                    if fragment.message_len <= config.max_handshake_message
                        && fragment.message_seq <= MAX_MESSAGE_SEQ =>
                {
                    highest = highest.max(Some(fragment.message_seq));
                }
                Ok(_) | Err(Malformed) => return Verdict::Drop,
            }
            count = count.saturating_add(1);
        }
        if highest.is_none() {
            return Verdict::Drop;
        }
        admitted.repeated |= highest <= self.answered_message;
        self.highest_message = self.highest_message.max(highest);
        self.count(count, record, config, admitted)
    }

    fn count(
        &mut self,
        fragments: usize,
        record: &Record<'_>,
        config: &Config,
        admitted: &mut Admitted,
    ) -> Verdict {
        self.fragments = self.fragments.saturating_add(fragments);
        self.bytes = self.bytes.saturating_add(record.payload.len());
        if self.fragments > config.max_handshake_fragments || self.bytes > config.max_handshake_bytes {
            admitted.excessive = true;
            return Verdict::Drop;
        }
        Verdict::Control
    }
}

fn judge_connected(record: &Record<'_>, role: Role, admitted: &mut Admitted, stats: &mut Stats) -> Verdict {
    match (record.content, record.epoch) {
        (ContentType::Alert, 0) => {
            stats.alerts_withheld = stats.alerts_withheld.saturating_add(1);
            Verdict::Drop
        }
        (ContentType::Handshake, 0) => {
            admitted.repeated = true;
            Verdict::Drop
        }
        // Epoch 0 protects nothing, and the peer is past it.
        (ContentType::ApplicationData | ContentType::ChangeCipherSpec, 0) => Verdict::Drop,
        (ContentType::ApplicationData, _) => Verdict::Data,
        // A client has nothing to answer: OpenSSL would repeat its flight for each repeated Finished of the server, which
        // would repeat its own for that, without end.
        (ContentType::Handshake, _) if role == Role::Client => Verdict::Drop,
        (ContentType::Handshake, _) => {
            admitted.repeated = true;
            Verdict::Control
        }
        (ContentType::Alert | ContentType::ChangeCipherSpec, _) => Verdict::Control,
    }
}

/// OpenSSL reads datagrams into a buffer for one record of the largest size; larger datagrams are handed over in parts.
const MAX_ENTRY: usize = 1 << 14;
/// A flight has one encrypted record (Finished); OpenSSL's timer repeats it some five times in 30 s.
const MAX_ENCRYPTED: usize = 32;
/// No handshake numbers its plaintext messages higher than 6 (HelloVerifyRequest to ServerHelloDone).
const MAX_MESSAGE_SEQ: u16 = 15;
