//! What is known of one channel.

use super::held::Held;
use super::{ChannelCloseReason, ChannelInit, ChannelState, ChannelStats};
use crate::StreamId;
use std::collections::VecDeque;
use std::time::Instant;

/// One channel.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) init: ChannelInit,
    pub(super) stream: Option<StreamId>,
    pub(super) phase: Phase,
    pub(super) stats: ChannelStats,
    pub(super) low_threshold: usize,
    /// User payload given to the association, one byte for each empty message included.
    accepted: u64,
    /// Where in it the bytes of empty messages are, without those that have left.
    empty: VecDeque<u64>,
    /// The buffered amount has been above the low threshold since the last event.
    pub(super) was_above: bool,
    /// To be read before what is in the stream's inbox: came before the OPEN, or was left when the stream was given up.
    pub(super) leftover: Held,
    /// Opened by the peer: counts against its limits.
    pub(super) is_incoming: bool,
    /// When closing stops waiting for the peer.
    pub(super) close_deadline: Option<Instant>,
}

/// ```text
///   Connecting ── association up ──▶ Opening ── ACK, any message ──▶ Open
///       │                              │ close, reset, violation       │
///       ▼                              ▼                               ▼
///     Closed ◀── both directions reset ── Closing ◀────────────────────┘
/// ```
/// Negotiated and incoming channels skip Opening. The end of the association leads to Closed from everywhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// Waits for the association, or for a stream id.
    Connecting,
    /// OPEN was sent and not answered: what is sent goes ordered (RFC 8832 §6).
    Opening,
    Open,
    Closing {
        reason: ChannelCloseReason,
    },
    Closed {
        reason: ChannelCloseReason,
    },
}

impl Entry {
    pub(super) fn new(init: ChannelInit) -> Self {
        Self {
            init,
            stream: None,
            phase: Phase::Connecting,
            stats: ChannelStats::default(),
            low_threshold: 0,
            accepted: 0,
            empty: VecDeque::new(),
            was_above: false,
            leftover: Held::default(),
            is_incoming: false,
            close_deadline: None,
        }
    }

    pub(super) fn state(&self) -> ChannelState {
        match self.phase {
            Phase::Connecting => ChannelState::Connecting,
            // RFC 8832 §6 lets messages follow the OPEN at once.
            Phase::Opening | Phase::Open => ChannelState::Open,
            Phase::Closing { .. } => ChannelState::Closing,
            Phase::Closed { .. } => ChannelState::Closed,
        }
    }

    pub(super) fn is_closed(&self) -> bool {
        self.state() == ChannelState::Closed
    }

    pub(super) fn is_connecting(&self) -> bool {
        self.state() == ChannelState::Connecting
    }

    /// The peer broke a rule, or is not listened to any more: what it still sends is dropped.
    pub(super) fn discards(&self) -> bool {
        match &self.phase {
            Phase::Connecting | Phase::Opening | Phase::Open => false,
            Phase::Closing { reason } | Phase::Closed { reason } => {
                matches!(reason, ChannelCloseReason::LocalAbort | ChannelCloseReason::RemoteViolation(_))
            }
        }
    }

    /// Bytes of label and protocol.
    pub(super) fn name_bytes(&self) -> usize {
        self.init.label.len().saturating_add(self.init.protocol.len())
    }

    /// So many bytes of the user's were given to the association, or the one byte that stands for an empty message.
    pub(super) fn note_accepted(&mut self, queued: usize, is_empty: bool) {
        if is_empty {
            self.empty.push_back(self.accepted);
        }
        self.accepted = self.accepted.saturating_add(wide(queued));
    }

    /// How much of what is queued on its stream is the user's. OPEN and ACK come first: as long as they wait, all there is
    /// of the user's does. What stands for an empty message is nobody's.
    pub(super) fn user_part(&self, buffered: usize) -> usize {
        let gone = self.accepted.saturating_sub(wide(buffered));
        let empty = self.empty.len() - self.empty.partition_point(|place| *place < gone);
        buffered.min(usize::try_from(self.accepted).unwrap_or(usize::MAX)).saturating_sub(empty)
    }

    /// Notes whether the buffered amount is above the low threshold, with so much queued on its stream.
    pub(super) fn note_buffered(&mut self, buffered: usize) {
        let gone = self.accepted.saturating_sub(wide(buffered));
        while self.empty.front().is_some_and(|place| *place < gone) {
            self.empty.pop_front();
        }
        self.was_above |= self.user_part(buffered) > self.low_threshold;
    }

    /// Whether a whole message, or the rest of one, is left over.
    pub(super) fn has_leftover(&self) -> bool {
        !self.leftover.is_empty()
    }
}

fn wide(bytes: usize) -> u64 {
    u64::try_from(bytes).unwrap_or(u64::MAX)
}
