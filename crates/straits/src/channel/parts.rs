//! One message in pieces: what both sides of it share.

use crate::Error;
use bytes::Bytes;
use straits_peer::sctp::{MessageKind, ReceivedPart};

/// A piece of a message. From [`DataChannel::recv_part`](crate::DataChannel::recv_part).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct MessagePart {
    /// Text or binary; the same for all pieces of a message.
    pub kind: MessageKind,
    /// The next bytes of the message: as many as were there, so that sizes mean nothing. A piece of text may end within a
    /// character. Empty for an empty message, and may be where a message ends.
    pub data: Bytes,
    /// How the message ends with this piece; `None`: there is more of it.
    pub end: Option<MessageEnd>,
}

/// How a message ended that was read in pieces.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MessageEnd {
    /// The peer sent no more than this.
    Complete,
    /// The rest does not come: the peer gave it up, or the channel ended within it. What came is not a message.
    Abandoned,
}

impl MessagePart {
    pub(super) fn abandoned(kind: MessageKind) -> Self {
        Self { kind, data: Bytes::new(), end: Some(MessageEnd::Abandoned) }
    }
}

impl From<ReceivedPart> for MessagePart {
    fn from(part: ReceivedPart) -> Self {
        let ReceivedPart { kind, data, last, abandoned } = part;
        let end = match (last, abandoned) {
            (false, false) => None,
            (true, false) => Some(MessageEnd::Complete),
            (_, true) => Some(MessageEnd::Abandoned),
        };
        Self { kind, data, end }
    }
}

/// What of a channel is in pieces, under the lock of its connection.
#[derive(Debug, Default)]
pub(crate) struct Parts {
    /// A writer is at work on a message. What others send waits until it is done.
    pub(crate) is_written: bool,
    /// The message of which a piece was read, and not the last one.
    pub(super) reading: Option<MessageKind>,
    /// Messages of which a piece was read, ever.
    pub(super) read: u64,
}

impl Parts {
    /// A piece was read.
    pub(super) fn note(&mut self, part: &MessagePart) {
        self.read += u64::from(self.reading.is_none());
        self.reading = part.end.is_none().then_some(part.kind);
    }
}

/// What was written of a string, as far as it ends within a character: at most three bytes.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Utf8 {
    rest: [u8; 4],
    len: usize,
}

impl Utf8 {
    /// Where the string stands after these bytes; `None`: it is none.
    pub(super) fn after(mut self, mut data: &[u8]) -> Option<Self> {
        while self.len > 0 {
            let Some((first, others)) = data.split_first() else { return Some(self) };
            self.rest[self.len] = *first;
            self.len += 1;
            data = others;
            match std::str::from_utf8(&self.rest[..self.len]) {
                Ok(_) => self.len = 0,
                // RFC 3629 §3: no character takes more than four bytes, and four that are none are told as such.
                Err(error) if error.error_len().is_some() => return None,
                Err(_) => {}
            }
        }
        match std::str::from_utf8(data) {
            Ok(_) => {}
            Err(error) if error.error_len().is_some() => return None,
            Err(error) => {
                let rest = &data[error.valid_up_to()..];
                self.len = rest.len();
                self.rest[..rest.len()].copy_from_slice(rest);
            }
        }
        Some(self)
    }

    /// Whether the string may end here.
    pub(super) fn is_whole(self) -> bool {
        self.len == 0
    }
}

pub(super) fn not_utf8() -> Error {
    let advice = "send it as a binary message, or convert it";
    Error::new(crate::ErrorName::TypeError, "a text message is not UTF-8", advice)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_string_may_be_cut_anywhere() {
        let text = "aé世🦀z".as_bytes();
        for first in 0..=text.len() {
            for second in first..=text.len() {
                let pieces = [&text[..first], &text[first..second], &text[second..]];
                let end = pieces.iter().try_fold(Utf8::default(), |state, piece| state.after(piece));
                assert!(end.is_some_and(Utf8::is_whole), "cut at {first} and {second}");
            }
            let middle = Utf8::default().after(&text[..first]).unwrap();
            assert_eq!(middle.is_whole(), std::str::from_utf8(&text[..first]).is_ok(), "{first} bytes");
        }
    }

    #[test]
    fn what_is_no_string_is_told_wherever_it_is_cut() {
        for data in [&b"a\xff"[..], b"\xc3a", b"\xe4\xb8a", b"\xf0\x9f\xa6a", b"\xc0\x80", b"\xed\xa0\x80"] {
            for cut in 0..=data.len() {
                let end = Utf8::default().after(&data[..cut]).and_then(|state| state.after(&data[cut..]));
                assert!(end.is_none(), "{data:?} cut at {cut}");
            }
        }
    }
}
