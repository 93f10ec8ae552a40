//! What the application takes out.

use super::assembler::Assembler;
use super::{Message, Part, Receiver};
use crate::number::{Ppid, StreamId};

impl Receiver {
    /// The next whole message. None while a message is half read by [`recv_part`](Self::recv_part).
    pub(crate) fn recv(&mut self, stream: StreamId) -> Option<Message> {
        if self.assembler.is_half_read(stream) {
            return None;
        }
        let message = self.inboxes.take_message(stream)?;
        self.update_window();
        Some(message)
    }

    /// The next piece of the next message, also of one that is still arriving if nothing before it is missing.
    pub(crate) fn recv_part(&mut self, stream: StreamId) -> Option<Part> {
        self.inboxes.set_reads_parts(stream);
        let mut part = None;
        if !self.assembler.is_half_read(stream) {
            part = self.inboxes.take_last_part(stream);
        }
        let part = part.or_else(|| self.assembler.take_part(stream, &self.inboxes));
        self.update_window();
        part
    }

    /// The same of a message that is half read, and of no other.
    pub(crate) fn recv_rest(&mut self, stream: StreamId) -> Option<Part> {
        let is_half_read = self.assembler.is_half_read(stream) || self.inboxes.has_rest(stream);
        if is_half_read { self.recv_part(stream) } else { None }
    }

    /// Whoever read the stream does no more: what is next is for somebody else, who knows nothing of a message that is half
    /// read. That is discarded to its end; answers with its protocol.
    pub(crate) fn let_go(&mut self, stream: StreamId) -> Option<Ppid> {
        self.inboxes.set_reads_whole(stream);
        let ppid = self.assembler.let_go(stream);
        self.update_window();
        ppid
    }

    /// Drops what can be read, and the half-read message to its end.
    pub(crate) fn discard_unread(&mut self, stream: StreamId) {
        while self.inboxes.take_last_part(stream).is_some() {}
        self.let_go(stream);
    }

    /// From here on a part of a message counts as something to read.
    pub(crate) fn read_by_parts(&mut self, stream: StreamId) {
        self.inboxes.set_reads_parts(stream);
    }

    pub(crate) fn reads_parts(&self, stream: StreamId) -> bool {
        self.inboxes.reads_parts(stream)
    }

    /// Whether `recv` (or `recv_part`, if that was called last) has something.
    pub(crate) fn is_readable(&self, stream: StreamId) -> bool {
        // Behind a message that is being read nothing is.
        let has_message = self.inboxes.is_readable(stream) && !self.assembler.is_half_read(stream);
        has_message || (self.inboxes.reads_parts(stream) && self.part_of(stream))
    }

    /// Of the message that `recv` or `recv_part` gives next, as soon as `is_readable` says there is something.
    pub(crate) fn next_ppid(&self, stream: StreamId) -> Option<Ppid> {
        let part = || self.assembler.readable_ppid(stream, &self.inboxes);
        if self.assembler.is_half_read(stream) {
            return part();
        }
        self.inboxes.next_ppid(stream).or_else(part)
    }

    /// Part of a message on this stream has become readable.
    pub(super) fn announce_part(&mut self, stream: StreamId) {
        if !self.inboxes.reads_parts(stream) {
            return;
        }
        let hides = self.inboxes.is_readable(stream) && !self.assembler.is_half_read(stream);
        if !hides && self.part_of(stream) {
            self.inboxes.announce(stream);
        }
    }

    /// Whether the application could free something.
    pub(super) fn has_readable(&self) -> bool {
        self.has_readable_whole() || self.has_readable_part()
    }

    /// Whether the application could free so much that it is worth waiting for it. A little to read, which it may leave
    /// where it is, is not what fills the window.
    pub(super) fn has_much_readable(&self) -> bool {
        let is_much = self.inboxes.charge().saturating_add(self.held) > self.config.window / 4;
        // The streams that are read by parts may be many: they are looked at last.
        (is_much && self.has_readable_whole()) || self.has_readable_part()
    }

    fn has_readable_whole(&self) -> bool {
        self.held > 0 || self.inboxes.has_messages()
    }

    fn has_readable_part(&self) -> bool {
        match &self.assembler {
            Assembler::Sequential(reassembly) => {
                let part = reassembly.readable_part();
                part.is_some_and(|(stream, ..)| self.inboxes.reads_parts(stream))
            }
            Assembler::Interleaved(interleaved) => {
                !interleaved.is_idle() && self.inboxes.part_readers().any(|stream| self.part_of(stream))
            }
        }
    }

    /// Whether a part of the next message of this stream can be read while that is arriving.
    fn part_of(&self, stream: StreamId) -> bool {
        #[cfg(test)]
        self.looked_at.set(self.looked_at.get() + 1);
        self.assembler.readable_ppid(stream, &self.inboxes).is_some()
    }
}
