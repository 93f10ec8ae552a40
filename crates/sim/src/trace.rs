//! What happened to each datagram.

use crate::Datagram;
use std::time::{Duration, Instant};

/// One datagram that an endpoint sent (or that was duplicated, or injected), and what became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// When it was sent, counted from the start of the run.
    pub sent: Duration,
    /// The endpoint that sent it; `None` for an injected one.
    pub from: Option<usize>,
    /// The endpoint it goes to; `None` when no endpoint has the destination address.
    pub to: Option<usize>,
    /// As it was sent; a corrupted one is delivered with other bytes.
    pub datagram: Datagram,
    /// What became of it.
    pub fate: Fate,
}

/// What became of a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It reaches the other end at this time.
    Delivered {
        /// When.
        at: Instant,
        /// Were bits flipped on the way?
        corrupted: bool,
        /// Is this the second copy of a duplicated datagram?
        copy: bool,
    },
    /// It does not arrive.
    Dropped(DropReason),
}

/// Why a datagram did not arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum DropReason {
    /// [`Link::drop_next`](crate::Link::drop_next), a script or a filter said so.
    Scripted,
    /// The link was down.
    Blackout,
    /// Its payload is larger than the link's MTU.
    TooBig,
    /// Random or bursty loss.
    Lost,
    /// The queue before the link's bottleneck was full.
    QueueFull,
    /// No endpoint has the destination address, or no link leads there.
    NoRoute,
}
