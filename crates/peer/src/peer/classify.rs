//! Demultiplexing by the first byte (RFC 7983 §7).

use straits_ice as ice;

/// What a datagram claims to be. Nothing of it is believed yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Classification<'a> {
    /// First byte 0–3. Holds the local fragment of the USERNAME if it is a Binding request that has one, which names
    /// the connection the request is for.
    Stun {
        /// Unauthenticated: for choosing the connection only.
        local_ufrag: Option<&'a str>,
    },
    /// First byte 20–63: DTLS records.
    Dtls,
    /// Anything else, an empty datagram included: nothing that data channels use.
    Other,
}

/// Says which layer a datagram is for, by its first byte (RFC 7983 §7).
pub fn classify(datagram: &[u8]) -> Classification<'_> {
    match datagram.first() {
        Some(0..=3) => Classification::Stun { local_ufrag: ice::local_ufrag(datagram) },
        Some(20..=63) => Classification::Dtls,
        Some(_) | None => Classification::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 7983 §7: the ranges of the figure, at their edges.
    #[test]
    fn first_byte_decides() {
        for byte in 0..=u8::MAX {
            let expected = match byte {
                0..=3 => Classification::Stun { local_ufrag: None },
                20..=63 => Classification::Dtls,
                _ => Classification::Other,
            };
            assert_eq!(classify(&[byte, 0, 0]), expected, "first byte {byte}");
        }
        assert_eq!(classify(&[]), Classification::Other);
    }
}
