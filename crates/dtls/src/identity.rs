//! The certificate by which a peer knows us, with its private key.

use crate::context::Contexts;
use crate::generate::{self, KeyAlgorithm, SECONDS_PER_DAY};
use crate::{Certificate, Config, Fingerprint, HashFunction};
use openssl::asn1::{Asn1Time, Asn1TimeRef};
use openssl::error::ErrorStack;
use openssl::nid::Nid;
use openssl::pkey::{Id, PKey, Private};
use openssl::ssl::{SslContext, SslContextBuilder};
use openssl::x509::X509;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// A certificate with its private key; clones are cheap and share both.
///
/// Making one costs a key pair and a signature, and the first session that uses it an OpenSSL context; programs with many
/// connections make one identity and pass it to all of them (at the price that its fingerprint links them).
///
/// The W3C text has it as `RTCCertificate` (webrtc-pc §4.9): [`generate_with`](Self::generate_with) is
/// `RTCPeerConnection.generateCertificate`, and a certificate that is to outlive the program is kept as PEM.
#[doc(alias = "RTCCertificate")]
#[derive(Clone)]
pub struct Identity {
    inner: Arc<Inner>,
}

struct Inner {
    certificate: X509,
    key: PKey<Private>,
    expires: SystemTime,
    /// They hold nothing of a peer (no session cache, no tickets).
    contexts: Contexts,
}

impl Identity {
    /// Longest lifetime of a certificate that [`generate_with`](Self::generate_with) makes: 365 days.
    pub const MAX_LIFETIME: Duration = generate::MAX_LIFETIME;

    /// Makes a self-signed ECDSA P-256 certificate with a random serial number, valid from yesterday (clocks differ) until
    /// 30 days from now (the default of W3C `generateCertificate`).
    ///
    /// # Errors
    ///
    /// [`IdentityError::OpenSsl`] when OpenSSL has no randomness or lacks the curve.
    pub fn generate() -> Result<Self, IdentityError> {
        Self::generate_with(KeyAlgorithm::EcdsaP256, generate::DEFAULT_LIFETIME)
    }

    /// Makes a self-signed certificate with a key of this algorithm, that ceases to be valid after `lifetime`
    /// (`RTCPeerConnection.generateCertificate`, W3C webrtc-pc §4.9).
    ///
    /// X.509 counts whole seconds: what is left of the last one is cut off. Zero makes a certificate that has expired
    /// already; more than [`MAX_LIFETIME`](Self::MAX_LIFETIME) is shortened to that.
    ///
    /// # Errors
    ///
    /// [`IdentityError::UnsupportedKeySize`] for an RSA key that is too small or too large;
    /// [`IdentityError::OpenSsl`] when OpenSSL has no randomness or lacks the curve.
    #[doc(alias = "generateCertificate")]
    pub fn generate_with(algorithm: KeyAlgorithm, lifetime: Duration) -> Result<Self, IdentityError> {
        let key = generate::key(algorithm)?;
        let certificate = generate::self_signed(&key, lifetime)?;
        Self::new(certificate, key)
    }

    /// Takes a certificate and its private key (PKCS #8 or SEC1/PKCS #1, unencrypted) as PEM.
    ///
    /// Any certificate will do whose key OpenSSL can sign with (ECDSA, or RSA of at least 2048 bits); peers look at its
    /// fingerprint only, so an expired one works as well. Only the first certificate of a chain is used.
    ///
    /// # Errors
    ///
    /// [`IdentityError::OpenSsl`] when either text is not what it should be, [`IdentityError::KeyMismatch`] when they do
    /// not belong together, [`IdentityError::KeyTooSmall`] for an RSA key that no handshake would use.
    pub fn from_pem(certificate: &str, private_key: &str) -> Result<Self, IdentityError> {
        let certificate = X509::from_pem(certificate.as_bytes())?;
        let key = PKey::private_key_from_pem(private_key.as_bytes())?;
        if !certificate.public_key()?.public_eq(&key) {
            return Err(IdentityError::KeyMismatch);
        }
        if key.id() == Id::RSA && key.bits() < generate::MIN_RSA_BITS {
            return Err(IdentityError::KeyTooSmall { bits: key.bits(), min: generate::MIN_RSA_BITS });
        }
        Self::new(certificate, key)
    }

    /// The certificate as PEM.
    pub fn certificate_pem(&self) -> String {
        let pem = self.inner.certificate.to_pem().expect("a parsed certificate can be written");
        String::from_utf8(pem).expect("PEM is ASCII")
    }

    /// The private key as unencrypted PKCS #8 PEM. Whoever holds it can be this peer.
    pub fn private_key_pem(&self) -> String {
        let pem = self.inner.key.private_key_to_pem_pkcs8().expect("a usable key can be written");
        String::from_utf8(pem).expect("PEM is ASCII")
    }

    /// The certificate in DER, the bytes that fingerprints are made of.
    pub fn certificate_der(&self) -> Vec<u8> {
        self.certificate().der()
    }

    /// The certificate alone.
    pub fn certificate(&self) -> Certificate {
        Certificate(self.inner.certificate.clone())
    }

    /// When the certificate ceases to be valid (`RTCCertificate.expires`).
    pub fn expires(&self) -> SystemTime {
        self.inner.expires
    }

    /// The certificate's fingerprint for the description sent to the peer.
    pub fn fingerprint(&self, function: HashFunction) -> Fingerprint {
        self.certificate().fingerprint(function)
    }

    /// The certificate's fingerprints (`RTCCertificate.getFingerprints`): SHA-256, and the function that the certificate
    /// is signed with, if that is another one.
    #[doc(alias = "getFingerprints")]
    pub fn fingerprints(&self) -> Vec<Fingerprint> {
        let signature = self.inner.certificate.signature_algorithm().object().nid().signature_algorithms();
        // W3C webrtc-pc §4.9.2: "one of which is computed with the digest algorithm used in the certificate signature".
        let signed_with = match signature.map(|algorithms| algorithms.digest) {
            Some(Nid::SHA384) => Some(HashFunction::Sha384),
            Some(Nid::SHA512) => Some(HashFunction::Sha512),
            _ => None,
        };
        let functions = std::iter::once(HashFunction::Sha256).chain(signed_with);
        functions.map(|function| self.fingerprint(function)).collect()
    }

    /// What kind of key it is, as far as a handshake chooses by that.
    pub(crate) fn key_kind(&self) -> Id {
        self.inner.key.id()
    }

    /// The context of all sessions under this identity that have such a `config`.
    pub(crate) fn context(&self, config: &Config) -> Result<SslContext, ErrorStack> {
        self.inner.contexts.get(config, |builder| self.certify(builder))
    }

    /// Puts the certificate and its key into a context.
    pub(crate) fn certify(&self, context: &mut SslContextBuilder) -> Result<(), ErrorStack> {
        context.set_certificate(&self.inner.certificate)?;
        context.set_private_key(&self.inner.key)
    }

    fn new(certificate: X509, key: PKey<Private>) -> Result<Self, IdentityError> {
        let expires = system_time(certificate.not_after())?;
        let inner = Inner { certificate, key, expires, contexts: Contexts::default() };
        Ok(Self { inner: Arc::new(inner) })
    }
}

/// Shows the fingerprint; the key is never shown.
impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Identity").field(&format_args!("{}", self.fingerprint(HashFunction::Sha256))).finish()
    }
}

/// What is wrong with a certificate or its key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IdentityError {
    /// OpenSSL refused; the text is its own.
    #[error("openssl: {0}")]
    OpenSsl(String),
    /// The private key is not the certificate's.
    #[error("the private key does not belong to the certificate")]
    KeyMismatch,
    /// OpenSSL does not use so small an RSA key in a handshake (its security level 2).
    #[error("an RSA key of {bits} bits is too small, {min} are needed")]
    KeyTooSmall {
        /// The key's size.
        bits: u32,
        /// The smallest size that works.
        min: u32,
    },
    /// RSA keys of this size are not made: smaller ones OpenSSL refuses to use in a handshake (its security level 2),
    /// larger ones cost minutes.
    #[error("RSA keys have {min} to {max} bits here, not {bits}")]
    UnsupportedKeySize {
        /// What was asked for.
        bits: u32,
        /// The smallest key, in bits.
        min: u32,
        /// The largest key, in bits.
        max: u32,
    },
}

impl From<ErrorStack> for IdentityError {
    fn from(errors: ErrorStack) -> Self {
        Self::OpenSsl(errors.to_string())
    }
}

fn system_time(time: &Asn1TimeRef) -> Result<SystemTime, ErrorStack> {
    let since = Asn1Time::from_unix(0)?.diff(time)?;
    let seconds = i64::from(since.days) * SECONDS_PER_DAY + i64::from(since.secs);
    let distance = Duration::from_secs(seconds.unsigned_abs());
    let time = if seconds < 0 {
        SystemTime::UNIX_EPOCH.checked_sub(distance)
    } else {
        SystemTime::UNIX_EPOCH.checked_add(distance)
    };
    Ok(time.unwrap_or(SystemTime::UNIX_EPOCH))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pem_round_trip_keeps_the_fingerprint() {
        let identity = Identity::generate().unwrap();
        let again = Identity::from_pem(&identity.certificate_pem(), &identity.private_key_pem()).unwrap();
        assert_eq!(again.certificate_der(), identity.certificate_der());
        assert_eq!(again.expires(), identity.expires());
        for function in [HashFunction::Sha256, HashFunction::Sha384, HashFunction::Sha512] {
            let fingerprint = identity.fingerprint(function);
            assert_eq!(again.fingerprint(function), fingerprint);
            assert_eq!(fingerprint.to_string().parse(), Ok(fingerprint.clone()));
            assert!(fingerprint.matches(&identity.inner.certificate));
        }
    }

    #[test]
    fn certificate_is_what_it_claims() {
        let identity = Identity::generate().unwrap();
        let certificate = &identity.inner.certificate;
        assert!(certificate.verify(&identity.inner.key).unwrap());
        assert_eq!(certificate.version(), 2, "X.509 v3 counts from zero");

        let now = Asn1Time::days_from_now(0).unwrap();
        let age = certificate.not_before().diff(&now).unwrap();
        let left = now.diff(certificate.not_after()).unwrap();
        assert_eq!((age.days, left.days), (1, 30));
        let other = Identity::generate().unwrap();
        let serial = |identity: &Identity| identity.inner.certificate.serial_number().to_bn().unwrap();
        assert_ne!(serial(&identity), serial(&other));
    }

    /// W3C webrtc-pc §4.9: "This means the certificate cannot be valid for more than 365 days".
    #[test]
    fn lifetimes_are_whole_seconds_up_to_a_year() {
        let seconds_left = |lifetime| {
            let identity = Identity::generate_with(KeyAlgorithm::EcdsaP256, lifetime).unwrap();
            let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
            let end = identity.expires().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
            end.abs_diff(now)
        };
        // A second may end between the two clock readings.
        assert!(seconds_left(Duration::ZERO) <= 1);
        assert!((999..=1000).contains(&seconds_left(Duration::from_millis(1_000_900))));
        for lifetime in [Duration::MAX, Identity::MAX_LIFETIME] {
            assert!((31_535_999..=31_536_000).contains(&seconds_left(lifetime)), "{lifetime:?}");
        }
    }

    #[test]
    fn key_sizes_that_cannot_serve_are_refused() {
        for bits in [0, 512, 1024, 2047, 8193, u32::MAX] {
            let refused = Identity::generate_with(KeyAlgorithm::Rsa { bits }, Duration::from_secs(60));
            let expected = IdentityError::UnsupportedKeySize { bits, min: 2048, max: 8192 };
            assert_eq!(refused.unwrap_err(), expected);
        }
    }

    #[test]
    fn rsa_certificates_are_signed_with_sha_256() {
        let identity =
            Identity::generate_with(KeyAlgorithm::Rsa { bits: 2048 }, Duration::from_secs(60)).unwrap();
        let certificate = &identity.inner.certificate;
        assert!(certificate.verify(&identity.inner.key).unwrap());
        assert_eq!(identity.inner.key.bits(), 2048);
        assert_eq!(certificate.signature_algorithm().object().nid(), Nid::SHA256WITHRSAENCRYPTION);
        assert_eq!(identity.fingerprints(), [identity.fingerprint(HashFunction::Sha256)]);
    }

    #[test]
    fn expiry_is_read_from_the_certificate() {
        let time = Asn1Time::from_str("20380119031407Z").unwrap();
        let expected = SystemTime::UNIX_EPOCH + Duration::from_secs(0x7fff_ffff);
        assert_eq!(system_time(&time).unwrap(), expected);
    }

    #[test]
    fn foreign_key_is_refused() {
        let one = Identity::generate().unwrap();
        let other = Identity::generate().unwrap();
        let mixed = Identity::from_pem(&one.certificate_pem(), &other.private_key_pem());
        assert_eq!(mixed.unwrap_err(), IdentityError::KeyMismatch);
        assert!(matches!(
            Identity::from_pem("nonsense", &one.private_key_pem()),
            Err(IdentityError::OpenSsl(_))
        ));
    }

    #[test]
    fn small_rsa_keys_are_refused() {
        let key = PKey::from_rsa(openssl::rsa::Rsa::generate(1024).unwrap()).unwrap();
        let certificate = generate::self_signed(&key, Duration::from_secs(60)).unwrap();
        let pem = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        let (certificate, key) = (certificate.to_pem().unwrap(), key.private_key_to_pem_pkcs8().unwrap());
        let refused = Identity::from_pem(&pem(certificate), &pem(key)).unwrap_err();
        assert_eq!(refused, IdentityError::KeyTooSmall { bits: 1024, min: 2048 });
    }

    #[test]
    fn debug_shows_the_fingerprint_and_no_more() {
        let identity = Identity::generate().unwrap();
        let fingerprint = identity.fingerprint(HashFunction::Sha256);
        assert_eq!(format!("{identity:?}"), format!("Identity({fingerprint})"));
    }
}
