//! The states of an association (RFC 9260 §4), each with what only it needs.
//!
//! ```text
//!            connect                INIT ACK                 COOKIE ACK
//!   Idle ─────────────▶ CookieWait ───────────▶ CookieEchoed ───────────▶ Established
//!    │                      │                        │                        ▲
//!    └──────────────────────┴── COOKIE ECHO (valid) ─┴────────────────────────┘
//!
//!                shutdown                    all acknowledged              SHUTDOWN ACK
//!   Established ───────────▶ ShutdownPending ────────────────▶ ShutdownSent ───────────▶ Ended
//!       │ SHUTDOWN                  │ SHUTDOWN                      │ SHUTDOWN
//!       ▼                           ▼                               ▼
//!   ShutdownReceived ◀──────────────┘   all acknowledged ───▶ ShutdownAckSent ── SHUTDOWN COMPLETE ──▶ Ended
//! ```
//! ABORT, a violation, a timeout too many: from anywhere to Ended. The whole table is checked in as
//! `tests/transitions.txt`.

use super::cookie::{Capabilities, TieTags};
use super::{Association, CloseReason, State};
use crate::number::Tsn;
use crate::timer::Timer;
use bytes::Bytes;
use tracing::debug;

#[derive(Debug)]
pub(super) enum Phase {
    /// Not started; an INIT of the peer is answered all the same.
    Idle,
    CookieWait {
        t1: Timer,
        /// Whether this is the second attempt, after a stale cookie.
        again: bool,
    },
    CookieEchoed {
        t1: Timer,
        again: bool,
        tcb: Tcb,
        /// The peer's, to be returned byte for byte.
        cookie: Bytes,
    },
    Established {
        tcb: Tcb,
    },
    ShutdownPending {
        tcb: Tcb,
    },
    ShutdownSent {
        tcb: Tcb,
        t2: Timer,
        /// T5-shutdown-guard: bounds the shutdown as a whole.
        t5: Timer,
    },
    ShutdownReceived {
        tcb: Tcb,
        /// Whether the shutdown was asked for here too.
        local: bool,
    },
    ShutdownAckSent {
        tcb: Tcb,
        t2: Timer,
        /// Whether the shutdown was asked for here too.
        local: bool,
    },
    Ended {
        reason: CloseReason,
    },
}

/// What both sides agreed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Tcb {
    /// In every packet to us.
    pub(super) local_tag: u32,
    /// In every packet from us.
    pub(super) peer_tag: u32,
    pub(super) local_tsn: Tsn,
    pub(super) peer_tsn: Tsn,
    /// The peer's first a_rwnd.
    pub(super) peer_window: u32,
    pub(super) outgoing_streams: u16,
    pub(super) incoming_streams: u16,
    pub(super) capabilities: Capabilities,
    /// Random, known to nobody but the holder of a cookie of ours (RFC 9260 §5.2.2).
    pub(super) tie_tags: TieTags,
}

impl Phase {
    pub(super) fn state(&self) -> State {
        match self {
            Self::Idle | Self::Ended { .. } => State::Closed,
            Self::CookieWait { .. } => State::CookieWait,
            Self::CookieEchoed { .. } => State::CookieEchoed,
            Self::Established { .. } => State::Established,
            Self::ShutdownPending { .. } => State::ShutdownPending,
            Self::ShutdownSent { .. } => State::ShutdownSent,
            Self::ShutdownReceived { .. } => State::ShutdownReceived,
            Self::ShutdownAckSent { .. } => State::ShutdownAckSent,
        }
    }

    pub(super) fn tcb(&self) -> Option<&Tcb> {
        match self {
            Self::Idle | Self::CookieWait { .. } | Self::Ended { .. } => None,
            Self::CookieEchoed { tcb, .. }
            | Self::Established { tcb }
            | Self::ShutdownPending { tcb }
            | Self::ShutdownSent { tcb, .. }
            | Self::ShutdownReceived { tcb, .. }
            | Self::ShutdownAckSent { tcb, .. } => Some(tcb),
        }
    }

    pub(super) fn is_over(&self) -> bool {
        matches!(self, Self::Ended { .. })
    }

    /// Whether the shutdown was asked for here.
    pub(super) fn shuts_down(&self) -> bool {
        match self {
            Self::ShutdownPending { .. } | Self::ShutdownSent { .. } => true,
            Self::ShutdownReceived { local, .. } | Self::ShutdownAckSent { local, .. } => *local,
            Self::Idle
            | Self::CookieWait { .. }
            | Self::CookieEchoed { .. }
            | Self::Established { .. }
            | Self::Ended { .. } => false,
        }
    }

    /// What COOKIE ECHO returns.
    pub(super) fn cookie(&self) -> Option<&Bytes> {
        if let Self::CookieEchoed { cookie, .. } = self { Some(cookie) } else { None }
    }

    /// RFC 9260 §6: "Data transmission MUST only happen in the ESTABLISHED, SHUTDOWN-PENDING, and SHUTDOWN-RECEIVED states."
    /// The ride behind a COOKIE ECHO, which it allows too, is not taken.
    pub(super) fn sends_data(&self) -> bool {
        match self {
            Self::Established { .. } | Self::ShutdownPending { .. } | Self::ShutdownReceived { .. } => true,
            Self::Idle
            | Self::CookieWait { .. }
            | Self::CookieEchoed { .. }
            | Self::ShutdownSent { .. }
            | Self::ShutdownAckSent { .. }
            | Self::Ended { .. } => false,
        }
    }

    /// RFC 9260 §6: DATA is taken in ESTABLISHED, SHUTDOWN-PENDING and SHUTDOWN-SENT only.
    pub(super) fn takes_data(&self) -> bool {
        match self {
            Self::Established { .. } | Self::ShutdownPending { .. } | Self::ShutdownSent { .. } => true,
            Self::Idle
            | Self::CookieWait { .. }
            | Self::CookieEchoed { .. }
            | Self::ShutdownReceived { .. }
            | Self::ShutdownAckSent { .. }
            | Self::Ended { .. } => false,
        }
    }
}

impl Association {
    /// The one place where the state changes.
    pub(super) fn change(&mut self, to: Phase, why: &'static str) {
        debug!(from = ?self.phase.state(), to = ?to.state(), why, "state");
        self.phase = to;
    }
}
