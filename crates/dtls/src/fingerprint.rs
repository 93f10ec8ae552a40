//! skeleton
/// Hash functions of RFC 8122 §5 that are accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs)]
pub enum HashFunction {
    Sha256,
    Sha384,
    Sha512,
}

/// `sha-256 AB:CD:…`; FromStr takes any case, Display writes lower-case function, upper-case hex.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Fingerprint {
    pub function: HashFunction,
    pub value: Vec<u8>,
}

/// Why a fingerprint was not understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs)]
pub enum FingerprintError {
    #[error("fingerprint is malformed")]
    Malformed,
    /// md5, sha-1 and unknown functions.
    #[error("fingerprint hash function is not accepted")]
    UnsupportedFunction,
    #[error("fingerprint has the wrong length for its hash function")]
    WrongLength,
}

impl std::str::FromStr for Fingerprint {
    type Err = FingerprintError;
    #[allow(clippy::todo)]
    fn from_str(_: &str) -> Result<Self, FingerprintError> {
        todo!()
    }
}
impl std::fmt::Display for Fingerprint {
    #[allow(clippy::todo)]
    fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        todo!()
    }
}
