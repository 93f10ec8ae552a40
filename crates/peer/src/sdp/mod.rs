//! Session descriptions for data channels: RFC 8866 text with what RFC 8839, 8841, 8842, 9143 and JSEP (RFC 8829)
//! put in it.
//!
//! Reading is liberal in what a section may hold (unknown attributes and foreign sections are kept aside) and
//! strict in form: every error names its line. Writing makes only what this crate itself offers and answers.

mod lexer;
mod session;
mod write;

pub(crate) use session::{Attribute, Section, Session, all, single};
pub(crate) use write::{DataSlot, Document, Slot};

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

impl Setup {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::ActPass => "actpass",
            Self::Active => "active",
            Self::Passive => "passive",
        }
    }
}
