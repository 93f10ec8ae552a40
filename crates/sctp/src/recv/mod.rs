//! The receiving half: TSN tracking, reassembly, inboxes.

use crate::number::Ppid;
use bytes::Bytes;

/// A whole received message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Of the first fragment.
    pub ppid: Ppid,
    /// The payload.
    pub data: Bytes,
}

/// A piece of a message, in order (see `Association::recv_part`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// Of the first fragment.
    pub ppid: Ppid,
    /// The next bytes of the message.
    pub data: Bytes,
    /// Whether the message ends here.
    pub last: bool,
}
