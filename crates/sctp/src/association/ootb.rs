//! Packets that belong to no association of ours (RFC 9260 §8.4), and verification tags that are not ours but count all
//! the same (§8.5.1).

use super::control::Control;
use super::state::Phase;
use super::{Association, Inbound};
use crate::wire::{Cause, Chunk, Chunks, Header};
use std::time::{Duration, Instant};
use tracing::debug;

/// At most so many answers a second.
#[derive(Clone, Copy, Debug)]
pub(super) struct RateLimit {
    per_second: u32,
    left: u32,
    window: Instant,
    refused: u64,
}

impl RateLimit {
    pub(super) fn new(per_second: u32, now: Instant) -> Self {
        Self { per_second, left: per_second, window: now, refused: 0 }
    }

    pub(super) fn allow(&mut self, now: Instant) -> bool {
        if now.saturating_duration_since(self.window) >= Duration::from_secs(1) {
            self.window = now;
            self.left = self.per_second;
        }
        let allowed = self.left > 0;
        self.left = self.left.saturating_sub(1);
        self.refused += u64::from(!allowed);
        allowed
    }

    /// How often the answer was no.
    pub(super) fn refused(&self) -> u64 {
        self.refused
    }
}

impl Association {
    /// A packet whose verification tag is not ours.
    pub(super) fn handle_exception(
        &mut self,
        now: Instant,
        header: &Header,
        chunks: Chunks<'_>,
        inbound: &mut Inbound,
    ) {
        let mut rest = chunks;
        let first = rest.next();
        if header.verification_tag == 0 {
            // RFC 9260 §8.5.1 A: "it SHOULD verify that the packet contains only an INIT chunk. Otherwise, the receiver
            // MUST silently discard the packet."
            return match first {
                Some(Ok(Chunk::Init(init))) if rest.next().is_none() => self.on_init(now, &init),
                Some(_) | None => self.drop_packet("tag 0 without a lone INIT"),
            };
        }
        if let Some(Ok(Chunk::CookieEcho(echo))) = &first {
            return self.handle_packet_with_cookie(now, header, echo.cookie, rest, inbound);
        }
        let peer_tag = self.phase.tcb().map(|tcb| tcb.peer_tag);
        let Some(exception) = chunks.flatten().find_map(Exception::of) else {
            return self.handle_stranger(now, header, chunks);
        };
        match exception {
            // RFC 9260 §8.5.1 B: "OR if it is set to its Peer's Tag and the T bit is set in the Chunk Flags."
            Exception::Abort { reflected: true } if peer_tag == Some(header.verification_tag) => {
                for chunk in chunks.flatten() {
                    if let Chunk::Abort(abort) = chunk {
                        return self.on_abort(now, &abort);
                    }
                }
            }
            // RFC 9260 §8.5.1 C: the same, and only in SHUTDOWN-ACK-SENT.
            Exception::ShutdownComplete { reflected: true } if peer_tag == Some(header.verification_tag) => {
                self.on_shutdown_complete(now);
            }
            // RFC 9260 §8.4 (2), (6): "silently discard".
            Exception::Abort { .. } | Exception::ShutdownComplete { .. } => {
                self.drop_packet("ABORT or SHUTDOWN COMPLETE with a wrong tag");
            }
            // RFC 9260 §8.5.1 E: "If the receiver is in COOKIE-ECHOED or COOKIE-WAIT state, the procedures in Section
            // 8.4 SHOULD be followed".
            Exception::ShutdownAck => match &self.phase {
                Phase::Idle | Phase::CookieWait { .. } | Phase::CookieEchoed { .. } | Phase::Ended { .. } => {
                    self.refuse_shutdown_ack(now, header.verification_tag);
                }
                Phase::Established { .. }
                | Phase::ShutdownPending { .. }
                | Phase::ShutdownSent { .. }
                | Phase::ShutdownReceived { .. }
                | Phase::ShutdownAckSent { .. } => self.drop_packet("SHUTDOWN ACK with a wrong tag"),
            },
        }
    }

    /// A packet for another pair of ports, or while there is no association.
    pub(super) fn handle_stranger(&mut self, now: Instant, header: &Header, chunks: Chunks<'_>) {
        let ours = header.destination_port == self.config.local_port
            && header.source_port == self.config.remote_port;
        let alive = !matches!(self.phase, Phase::Idle | Phase::Ended { .. });
        if ours && alive {
            // RFC 9260 §8.5: "the receiver MUST silently discard the packet and MUST NOT process it any further".
            return self.drop_packet("wrong verification tag");
        }
        self.drop_packet("out of the blue");
        if !ours {
            // The other ports belong to nobody; answering would need a packet from a port that is not ours.
            return;
        }
        // RFC 9260 §8.4 (2), (6), (7): no answer to these.
        let silent = chunks.flatten().any(|chunk| match chunk {
            Chunk::Abort(_) | Chunk::ShutdownComplete(_) | Chunk::CookieAck => true,
            Chunk::Error(error) => {
                error.causes.iter().any(|cause| matches!(cause, Ok(Cause::StaleCookie(_))))
            }
            Chunk::Data(_)
            | Chunk::Init(_)
            | Chunk::InitAck(_)
            | Chunk::Sack(_)
            | Chunk::Heartbeat(_)
            | Chunk::HeartbeatAck(_)
            | Chunk::Shutdown(_)
            | Chunk::ShutdownAck
            | Chunk::CookieEcho(_)
            | Chunk::IData(_)
            | Chunk::ReConfig(_)
            | Chunk::Pad(_)
            | Chunk::ForwardTsn(_)
            | Chunk::IForwardTsn(_)
            | Chunk::Unknown(_) => false,
        });
        if !silent {
            // RFC 9260 §8.4 (8).
            let abort = Control::Abort { tag: header.verification_tag, reflected: true, fault: None };
            self.answer_stranger(now, abort);
        }
    }

    /// RFC 9260 §8.4 (5): SHUTDOWN COMPLETE with the tag that came.
    pub(super) fn refuse_shutdown_ack(&mut self, now: Instant, tag: u32) {
        self.answer_stranger(now, Control::ShutdownComplete { tag, reflected: true });
    }

    /// Answers somebody who is not our peer, at a bounded rate.
    pub(super) fn answer_stranger(&mut self, now: Instant, answer: Control) {
        if self.stranger_limit.allow(now) {
            self.control.push(answer);
        } else {
            debug!("too many packets out of the blue, no answer");
        }
    }
}

/// The chunks that make a verification tag of another kind acceptable.
#[derive(Clone, Copy, Debug)]
enum Exception {
    Abort { reflected: bool },
    ShutdownComplete { reflected: bool },
    ShutdownAck,
}

impl Exception {
    fn of(chunk: Chunk<'_>) -> Option<Self> {
        match chunk {
            Chunk::Abort(abort) => Some(Self::Abort { reflected: abort.tag_reflected }),
            Chunk::ShutdownComplete(complete) => {
                Some(Self::ShutdownComplete { reflected: complete.tag_reflected })
            }
            Chunk::ShutdownAck => Some(Self::ShutdownAck),
            Chunk::Data(_)
            | Chunk::Init(_)
            | Chunk::InitAck(_)
            | Chunk::Sack(_)
            | Chunk::Heartbeat(_)
            | Chunk::HeartbeatAck(_)
            | Chunk::Shutdown(_)
            | Chunk::Error(_)
            | Chunk::CookieEcho(_)
            | Chunk::CookieAck
            | Chunk::IData(_)
            | Chunk::ReConfig(_)
            | Chunk::Pad(_)
            | Chunk::ForwardTsn(_)
            | Chunk::IForwardTsn(_)
            | Chunk::Unknown(_) => None,
        }
    }
}
