//! Sans-IO DTLS sessions over OpenSSL.

mod bio;
mod fingerprint;
mod identity;
mod record;
mod session;

pub use fingerprint::{Fingerprint, FingerprintError, HashFunction};
pub use identity::{Identity, IdentityError};
pub use session::{CloseReason, Config, Event, Role, SealError, Session, SetupError, State, Stats};
