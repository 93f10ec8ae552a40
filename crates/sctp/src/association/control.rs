//! What is to be sent beside DATA and SACK: a short queue of what, not of bytes.

use super::errors::Fault;
use super::handshake::LocalInit;
use super::reconfig::Answer;
use bytes::Bytes;
use std::collections::VecDeque;

/// One thing to be sent. Bytes are made of it when a packet can go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Control {
    // In a packet of their own:
    Init,
    InitAck(Box<InitAck>),
    /// `reflected` sets the T bit: `tag` is the one that came (RFC 9260 §8.5.1).
    Abort {
        tag: u32,
        reflected: bool,
        fault: Option<Fault>,
    },
    ShutdownComplete {
        tag: u32,
        reflected: bool,
    },
    /// An ERROR for a cookie whose association may not be ours.
    StaleCookie {
        tag: u32,
        /// Microseconds.
        staleness: u32,
    },
    /// A HEARTBEAT that fills a packet of the full size.
    PathProbe {
        tag: u32,
        nonce: u64,
    },
    // In a packet with others, if they fit:
    CookieEcho,
    CookieAck,
    Heartbeat {
        nonce: u64,
    },
    /// What came, to be returned unchanged.
    HeartbeatAck {
        info: Bytes,
        others: Bytes,
    },
    Error(Fault),
    /// The request in flight.
    ReconfigRequest,
    /// To one request or two.
    ReconfigResponse {
        first: Answer,
        second: Option<Answer>,
    },
    Shutdown,
    ShutdownAck,
}

/// What an INIT ACK says beside our constant parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct InitAck {
    /// Initiate Tag of the INIT.
    pub(super) peer_tag: u32,
    pub(super) local: LocalInit,
    /// RFC 9260 §5.1.1: not more than the peer takes.
    pub(super) outgoing_streams: u16,
    pub(super) cookie: Bytes,
    /// RFC 9653: the INIT said that the peer takes it without a checksum.
    pub(super) zero_checksum: bool,
    /// RFC 9653: we say that we take packets without a checksum.
    pub(super) announces_zero_checksum: bool,
    /// Parameters of the INIT that are to be reported, whole.
    pub(super) unrecognized: Vec<Bytes>,
}

/// What is to be sent, in this order.
#[derive(Debug)]
pub(super) struct ControlQueue {
    queue: VecDeque<Control>,
    max_answers: usize,
    /// Answers that found no room.
    dropped: u64,
}

impl Control {
    /// Whether nothing else may be in its packet (RFC 9260 §6.10, §3.3.7, §8.4).
    pub(super) fn stands_alone(&self) -> bool {
        match self {
            Self::Init
            | Self::InitAck(_)
            | Self::Abort { .. }
            | Self::ShutdownComplete { .. }
            | Self::StaleCookie { .. }
            | Self::PathProbe { .. } => true,
            Self::CookieEcho
            | Self::CookieAck
            | Self::Heartbeat { .. }
            | Self::HeartbeatAck { .. }
            | Self::Error(_)
            | Self::ReconfigRequest
            | Self::ReconfigResponse { .. }
            | Self::Shutdown
            | Self::ShutdownAck => false,
        }
    }

    /// Whether the peer can make us queue it without end; of what is ours there is one at most.
    fn is_answer(&self) -> bool {
        match self {
            Self::InitAck(_)
            | Self::Abort { .. }
            | Self::ShutdownComplete { .. }
            | Self::StaleCookie { .. }
            | Self::HeartbeatAck { .. }
            | Self::Error(_)
            | Self::ReconfigResponse { .. } => true,
            Self::Init
            | Self::CookieEcho
            | Self::CookieAck
            | Self::Heartbeat { .. }
            | Self::PathProbe { .. }
            | Self::ReconfigRequest
            | Self::Shutdown
            | Self::ShutdownAck => false,
        }
    }
}

impl ControlQueue {
    /// `max_answers`: when so much waits, the peer gets no more answers.
    pub(super) fn new(max_answers: usize) -> Self {
        Self { queue: VecDeque::new(), max_answers, dropped: 0 }
    }

    /// Appends it, unless it is there already or the peer asked for too much at a time.
    pub(super) fn push(&mut self, control: Control) {
        if self.has_room_for(&control) {
            self.queue.push_back(control);
        }
    }

    /// RFC 9260 §5.1: COOKIE ECHO and COOKIE ACK are the first chunks of their packets.
    pub(super) fn push_first(&mut self, control: Control) {
        if self.has_room_for(&control) {
            self.queue.push_front(control);
        }
    }

    fn has_room_for(&mut self, control: &Control) -> bool {
        if self.queue.contains(control) {
            return false;
        }
        let full = control.is_answer() && self.queue.len() >= self.max_answers;
        self.dropped += u64::from(full);
        !full
    }

    pub(super) fn dropped(&self) -> u64 {
        self.dropped
    }

    pub(super) fn front(&self) -> Option<&Control> {
        self.queue.front()
    }

    pub(super) fn pop(&mut self) -> Option<Control> {
        self.queue.pop_front()
    }

    /// The next one that has its packet to itself, ahead of those that have to wait.
    pub(super) fn pop_alone(&mut self) -> Option<Control> {
        let at = self.queue.iter().position(Control::stands_alone)?;
        self.queue.remove(at)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Forgets what our side of the handshake still had to say.
    pub(super) fn forget_handshake(&mut self) {
        self.queue.retain(|control| !matches!(control, Control::Init | Control::CookieEcho));
    }

    /// A new one takes its place.
    pub(super) fn drop_path_probe(&mut self) {
        self.queue.retain(|control| !matches!(control, Control::PathProbe { .. }));
    }

    /// The association is over: keeps only the packets that tell so.
    pub(super) fn keep_last_words(&mut self) {
        self.queue.retain(|control| {
            matches!(
                control,
                Control::Abort { .. } | Control::ShutdownComplete { .. } | Control::StaleCookie { .. }
            )
        });
    }

    /// Forgets everything: what was to be said has lost its meaning.
    pub(super) fn clear(&mut self) {
        self.queue.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_bounded_and_what_is_ours_is_kept() {
        let mut queue = ControlQueue::new(64);
        for n in 0..1000_u32 {
            queue.push(Control::Abort { tag: n, reflected: true, fault: None });
        }
        queue.push(Control::Shutdown);
        queue.push(Control::Shutdown);
        assert_eq!((queue.queue.len(), queue.dropped()), (65, 936));
        assert_eq!(queue.queue.back(), Some(&Control::Shutdown));
    }
}
