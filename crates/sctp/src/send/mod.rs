//! The sending half: message queues, fragmentation, what is in flight.

/// How hard the sending side tries (RFC 8831 §6.4).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reliability {
    /// Until it arrives or the association ends.
    #[default]
    Reliable,
    /// At most this many retransmissions (RFC 7496 §3.1); 0 sends once.
    MaxRetransmits(u16),
    /// At most this long after `send`, queueing counted (RFC 3758 §4.1).
    MaxLifetime(std::time::Duration),
}
