//! A certificate without its key.

use crate::{Fingerprint, HashFunction};
use openssl::base64;
use openssl::x509::X509;
use std::fmt;

/// A certificate of either side. Clones are cheap.
#[derive(Clone)]
pub struct Certificate(pub(crate) X509);

impl Certificate {
    /// Its DER form, the bytes that fingerprints are made of.
    pub fn der(&self) -> Vec<u8> {
        self.0.to_der().expect("a parsed certificate can be written")
    }

    /// Its DER form in base64 (RFC 4648 §4), on one line: `base64Certificate` of W3C webrtc-stats.
    pub fn base64(&self) -> String {
        base64::encode_block(&self.der())
    }

    /// Its fingerprint.
    pub fn fingerprint(&self, function: HashFunction) -> Fingerprint {
        let digest = self.0.digest(function.digest());
        let value = digest.expect("OpenSSL has the SHA-2 functions").to_vec();
        Fingerprint { function, value }
    }
}

impl PartialEq for Certificate {
    fn eq(&self, other: &Self) -> bool {
        self.der() == other.der()
    }
}

impl Eq for Certificate {}

/// Shows the fingerprint.
impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fingerprint = self.fingerprint(HashFunction::Sha256);
        f.debug_tuple("Certificate").field(&format_args!("{fingerprint}")).finish()
    }
}

#[cfg(test)]
mod tests {
    use crate::{HashFunction, Identity};

    #[test]
    fn forms_are_of_one_certificate() {
        let identity = Identity::generate().unwrap();
        let certificate = identity.certificate();
        assert_eq!(certificate.der(), identity.certificate_der());
        assert_eq!(openssl::base64::decode_block(&certificate.base64()).unwrap(), certificate.der());
        assert!(!certificate.base64().contains(char::is_whitespace));
        let fingerprint = certificate.fingerprint(HashFunction::Sha384);
        assert_eq!(fingerprint, identity.fingerprint(HashFunction::Sha384));
        assert_eq!(certificate, Identity::certificate(&identity));
        assert_ne!(certificate, Identity::generate().unwrap().certificate());
    }
}
