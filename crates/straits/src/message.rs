//! Messages.

use bytes::Bytes;
use std::fmt;
use straits_peer::sctp::{MessageKind, ReceivedMessage};

/// One message of a data channel: what one `send` took is what one `recv` gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// A string (PPID 51 or 56, RFC 8831 §8).
    Text(Text),
    /// Bytes (PPID 53 or 57).
    Binary(Bytes),
}

impl Message {
    /// The payload, whichever kind it is.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Text(text) => text.as_bytes(),
            Self::Binary(data) => data,
        }
    }

    /// The payload, without copying it.
    #[must_use]
    pub fn into_bytes(self) -> Bytes {
        match self {
            Self::Text(text) => text.0,
            Self::Binary(data) => data,
        }
    }

    /// The string, if it is one.
    #[must_use]
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text.as_str()),
            Self::Binary(_) => None,
        }
    }

    /// Payload bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.as_bytes().len()
    }

    /// Is the payload empty?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(crate) fn into_parts(self) -> (MessageKind, Bytes) {
        match self {
            Self::Text(text) => (MessageKind::Text, text.0),
            Self::Binary(data) => (MessageKind::Binary, data),
        }
    }
}

/// A string in a reference-counted buffer: clones share it.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct Text(Bytes);

impl Text {
    /// The string.
    #[must_use]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("every constructor checks or makes UTF-8")
    }

    /// What came from the peer; what is not UTF-8 becomes U+FFFD, as in a browser.
    pub(crate) fn from_wire(data: Bytes) -> Self {
        if std::str::from_utf8(&data).is_ok() {
            return Self(data);
        }
        Self(String::from_utf8_lossy(&data).into_owned().into())
    }
}

impl std::ops::Deref for Text {
    type Target = str;

    fn deref(&self) -> &str {
        self.as_str()
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_str().fmt(f)
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl PartialEq<str> for Text {
    fn eq(&self, other: &str) -> bool {
        self.0 == other.as_bytes()
    }
}

impl PartialEq<&str> for Text {
    fn eq(&self, other: &&str) -> bool {
        self.0 == other.as_bytes()
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        Self(Bytes::copy_from_slice(text.as_bytes()))
    }
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        Self(text.into())
    }
}

impl From<Text> for Message {
    fn from(text: Text) -> Self {
        Self::Text(text)
    }
}

impl From<&str> for Message {
    fn from(text: &str) -> Self {
        Self::Text(text.into())
    }
}

impl From<String> for Message {
    fn from(text: String) -> Self {
        Self::Text(text.into())
    }
}

impl From<Bytes> for Message {
    fn from(data: Bytes) -> Self {
        Self::Binary(data)
    }
}

impl From<Vec<u8>> for Message {
    fn from(data: Vec<u8>) -> Self {
        Self::Binary(data.into())
    }
}

impl From<&[u8]> for Message {
    fn from(data: &[u8]) -> Self {
        Self::Binary(Bytes::copy_from_slice(data))
    }
}

impl From<ReceivedMessage> for Message {
    fn from(message: ReceivedMessage) -> Self {
        match message.kind {
            MessageKind::Text => Self::Text(Text::from_wire(message.data)),
            MessageKind::Binary => Self::Binary(message.data),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_from_the_wire_is_taken_as_it_is_or_decoded_lossily() {
        let shared = Bytes::from_static("Grüße, 世界".as_bytes());
        let text = Text::from_wire(shared.clone());
        assert_eq!(text, "Grüße, 世界");
        assert_eq!(text.0.as_ptr(), shared.as_ptr(), "no copy");
        assert_eq!(Text::from_wire(Bytes::from_static(b"a\xffb")), "a\u{fffd}b");
    }

    #[test]
    fn kinds_survive_the_way_through_the_core() {
        for message in [Message::from("text"), Message::from(b"bin".as_slice()), Message::from("")] {
            let (kind, data) = message.clone().into_parts();
            assert_eq!(Message::from(ReceivedMessage { kind, data }), message);
        }
    }
}
