//! Bodies of the fuzz targets.

mod script;
mod session;

pub use session::session;

use crate::Identity;
use std::sync::OnceLock;

/// Two identities that are the same in every run, and nobody's: a run must neither be slow nor differ from the last one.
pub fn identity(second: bool) -> &'static Identity {
    static IDENTITIES: [OnceLock<Identity>; 2] = [const { OnceLock::new() }; 2];
    let (certificate, key) = if second {
        (include_str!("fuzzing/other.pem"), include_str!("fuzzing/other.key.pem"))
    } else {
        (include_str!("fuzzing/one.pem"), include_str!("fuzzing/one.key.pem"))
    };
    let from_pem = || Identity::from_pem(certificate, key).expect("both files belong together");
    IDENTITIES[usize::from(second)].get_or_init(from_pem)
}
