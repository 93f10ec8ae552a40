//! skeleton
use crate::{Fingerprint, HashFunction};
use std::time::SystemTime;

/// A certificate with its private key; cheap to clone.
#[derive(Clone, Debug)]
pub struct Identity {}

/// What went wrong with a certificate.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IdentityError {
    /// OpenSSL refused
    #[error("openssl: {0}")]
    OpenSsl(String),
    /// the key is not the certificate's
    #[error("the private key does not belong to the certificate")]
    KeyMismatch,
}

#[allow(unused_variables, missing_docs, clippy::todo)]
impl Identity {
    /// Self-signed ECDSA P-256, valid 30 days from yesterday.
    pub fn generate() -> Result<Self, IdentityError> {
        todo!()
    }
    pub fn from_pem(certificate: &str, private_key: &str) -> Result<Self, IdentityError> {
        todo!()
    }
    pub fn certificate_pem(&self) -> String {
        todo!()
    }
    pub fn private_key_pem(&self) -> String {
        todo!()
    }
    pub fn certificate_der(&self) -> Vec<u8> {
        todo!()
    }
    pub fn expires(&self) -> SystemTime {
        todo!()
    }
    pub fn fingerprint(&self, function: HashFunction) -> Fingerprint {
        todo!()
    }
}
