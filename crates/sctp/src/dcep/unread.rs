//! What was received on a channel and not read: where it waits when its stream is given up.

use super::held::Held;
use super::{ChannelId, Channels};
use crate::{Message, Part, Ppid, StreamId};
use bytes::Bytes;
use std::time::Instant;

impl Channels {
    /// Moves what the application can still read from the stream's inbox to the channel, which gives the stream up. A
    /// message of which a part is here is no message yet; one that is half read ends there.
    pub(super) fn take_unread(&mut self, now: Instant, id: ChannelId, stream: StreamId) {
        while self.skip_control(now, id, stream) && self.take_one(now, id, stream) {}
        if let Some(ppid) = self.association.let_go(stream)
            && self.entry(id).is_some_and(|entry| !entry.discards())
        {
            let end = Part { ppid, data: Bytes::new(), last: true, abandoned: true };
            self.change_leftover(id, |leftover| leftover.push(end));
        }
    }

    /// The same when the association is over: what is no message means nothing any more.
    pub(super) fn take_last_unread(&mut self, now: Instant, id: ChannelId, stream: StreamId) {
        while self.association.next_ppid(stream).is_some_and(Ppid::is_message)
            && self.take_one(now, id, stream)
        {}
    }

    fn take_one(&mut self, now: Instant, id: ChannelId, stream: StreamId) -> bool {
        // The rest of a message that was read in part comes as a part.
        let part = match self.association.recv(now, stream) {
            Some(Message { ppid, data }) => Part { ppid, data, last: true, abandoned: false },
            None => match self.association.recv_rest(stream) {
                Some(part) => part,
                None => return false,
            },
        };
        self.change_leftover(id, |leftover| leftover.push(part));
        true
    }

    /// What came before the channel was there is its first.
    pub(super) fn adopt_early(&mut self, id: ChannelId, stream: StreamId) -> bool {
        let Some(early) = self.early.take(stream) else { return false };
        self.change_leftover(id, |leftover| *leftover = early);
        true
    }

    /// What has been held longest.
    pub(super) fn pop_leftover(&mut self, id: ChannelId) -> Option<Part> {
        let mut part = None;
        if self.entry(id).is_some_and(|entry| !entry.leftover.is_empty()) {
            self.change_leftover(id, |leftover| part = leftover.pop());
        }
        part
    }

    fn change_leftover(&mut self, id: ChannelId, change: impl FnOnce(&mut Held)) {
        if let Some(entry) = self.entries.get_mut(&id) {
            let before = entry.leftover.charge();
            change(&mut entry.leftover);
            let after = entry.leftover.charge();
            self.leftover = self.leftover.saturating_sub(before).saturating_add(after);
        }
        self.note_held();
    }

    /// Drops what could still be read.
    pub(super) fn discard_unread(&mut self, id: ChannelId) {
        self.change_leftover(id, |leftover| *leftover = Held::default());
        if let Some(stream) = self.inbox(id) {
            self.association.discard_unread(stream);
        }
    }

    /// No channel of before exists any more: what is left in the inboxes of their streams is nobody's. Channels that
    /// wait keep their streams.
    pub(super) fn clear_streams(&mut self) {
        for stream in self.streams.ids() {
            self.association.discard_unread(stream);
        }
        self.streams.clear();
        let waiting = self.entries.iter().filter(|(_, entry)| entry.is_connecting());
        for (id, stream) in waiting.filter_map(|(id, entry)| Some((*id, entry.stream?))) {
            self.streams.take(stream, Some(id));
        }
    }
}
