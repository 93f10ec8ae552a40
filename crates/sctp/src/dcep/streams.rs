//! Which streams are taken (RFC 8831 §6.7): by a channel, or by a reset that is not complete in both directions.

use super::{ChannelId, Role};
use crate::StreamId;
use std::collections::BTreeMap;

/// The streams in use. A stream that is not listed is free.
///
/// An id is free again only when both directions were reset; until then a late message, acknowledgement or reset of its
/// last channel could hit the next one.
#[derive(Debug, Default)]
pub(super) struct Streams {
    used: BTreeMap<StreamId, Stream>,
    /// No id below is free, for even and odd ones.
    first_free: [u16; 2],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stream {
    /// The channel on it; none when it only waits for its resets.
    pub(super) channel: Option<ChannelId>,
    pub(super) outgoing: Direction,
    pub(super) incoming: Direction,
    /// The peer reset its direction again, behind messages of the next channel, while ours was still being reset.
    pub(super) reset_again: bool,
}

/// One direction of a stream in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Direction {
    Open,
    /// Our request is on its way, or waits for its turn.
    Resetting,
    Reset,
}

impl Streams {
    pub(super) fn get(&self, id: StreamId) -> Option<Stream> {
        self.used.get(&id).copied()
    }

    pub(super) fn channel(&self, id: StreamId) -> Option<ChannelId> {
        self.used.get(&id)?.channel
    }

    pub(super) fn take(&mut self, id: StreamId, channel: Option<ChannelId>) {
        let (outgoing, incoming) = (Direction::Open, Direction::Open);
        self.used.insert(id, Stream { channel, outgoing, incoming, reset_again: false });
    }

    /// The channel is done with the stream; its resets may not be.
    pub(super) fn detach(&mut self, id: StreamId) {
        if let Some(stream) = self.used.get_mut(&id) {
            stream.channel = None;
        }
    }

    /// Frees a stream: both directions were reset, or nothing was ever sent.
    pub(super) fn release(&mut self, id: StreamId) {
        if self.used.remove(&id).is_some() {
            let first = &mut self.first_free[parity(id)];
            *first = id.0.min(*first);
        }
    }

    pub(super) fn set_outgoing(&mut self, id: StreamId, direction: Direction) {
        if let Some(stream) = self.used.get_mut(&id) {
            stream.outgoing = direction;
        }
    }

    pub(super) fn set_incoming(&mut self, id: StreamId, direction: Direction) {
        if let Some(stream) = self.used.get_mut(&id) {
            stream.incoming = direction;
        }
    }

    pub(super) fn set_reset_again(&mut self, id: StreamId) {
        if let Some(stream) = self.used.get_mut(&id) {
            stream.reset_again = true;
        }
    }

    /// How many are in use.
    pub(super) fn len(&self) -> usize {
        self.used.len()
    }

    /// All in use.
    pub(super) fn ids(&self) -> Vec<StreamId> {
        self.used.keys().copied().collect()
    }

    /// The lowest free id of our parity below `limit`.
    pub(super) fn lowest_free(&mut self, role: Role, limit: u16) -> Option<StreamId> {
        let first = &mut self.first_free[parity(StreamId(role.first_id()))];
        let mut candidate = (*first).max(role.first_id());
        while self.used.contains_key(&StreamId(candidate)) {
            candidate = candidate.checked_add(2)?;
        }
        // The next search begins here: opening thousands of channels stays cheap.
        *first = candidate;
        (candidate < limit).then_some(StreamId(candidate))
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}

/// The place of an id in `first_free`.
fn parity(id: StreamId) -> usize {
    usize::from(id.0 % 2)
}

impl Role {
    /// RFC 8832 §6: "If the side is acting as the DTLS client, it MUST choose an even stream identifier; if the side is
    /// acting as the DTLS server, it MUST choose an odd one."
    pub(super) fn owns(self, id: StreamId) -> bool {
        match self {
            Self::Client => id.0.is_multiple_of(2),
            Self::Server => !id.0.is_multiple_of(2),
        }
    }

    fn first_id(self) -> u16 {
        match self {
            Self::Client => 0,
            Self::Server => 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_have_the_parity_of_the_role_and_gaps_are_filled() {
        let mut streams = Streams::default();
        for id in [0, 1, 2, 6] {
            streams.take(StreamId(id), None);
        }
        assert_eq!(streams.lowest_free(Role::Client, 65535), Some(StreamId(4)));
        assert_eq!(streams.lowest_free(Role::Server, 65535), Some(StreamId(3)));
        assert_eq!(streams.lowest_free(Role::Client, 4), None);
        streams.release(StreamId(2));
        assert_eq!(streams.lowest_free(Role::Client, 65535), Some(StreamId(2)));
        streams.release(StreamId(1));
        assert_eq!(streams.lowest_free(Role::Server, 65535), Some(StreamId(1)));
        streams.take(StreamId(2), None);
        assert_eq!(streams.lowest_free(Role::Client, 65535), Some(StreamId(4)));
    }

    #[test]
    fn the_last_id_is_65534() {
        let mut streams = Streams::default();
        for id in (0..65534).step_by(2) {
            streams.take(StreamId(id), None);
        }
        assert_eq!(streams.lowest_free(Role::Client, 65535), Some(StreamId(65534)));
        streams.take(StreamId(65534), None);
        assert_eq!(streams.lowest_free(Role::Client, 65535), None);
    }
}
