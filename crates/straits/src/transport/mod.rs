//! The transports below the channels, one above the other: SCTP, DTLS, ICE.

mod dtls;
mod ice;
mod sctp;

pub use dtls::DtlsTransport;
pub use ice::{IceCandidatePair, IceParameters, IceTransport};
pub use sctp::SctpTransport;
