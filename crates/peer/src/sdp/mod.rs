//! Session descriptions for data channels: RFC 8866 text, with what RFC 8839, 8841, 8842, 9143 and JSEP (RFC 8829) put in it.

/// `a=setup` (RFC 8842 §5): which end opens the DTLS association.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Setup {
    /// `actpass`: the answerer chooses; what offers say.
    ActPass,
    /// `active`: this end is the DTLS client.
    Active,
    /// `passive`: this end is the DTLS server.
    Passive,
}
