//! The certificate by which a peer knows us, with its private key.

use crate::context;
use crate::{Fingerprint, HashFunction};
use openssl::asn1::{Asn1Time, Asn1TimeRef};
use openssl::bn::{BigNum, MsbOption};
use openssl::ec::{Asn1Flag, EcGroup, EcKey};
use openssl::error::ErrorStack;
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::ssl::{SslContext, SslContextBuilder};
use openssl::x509::{X509, X509Builder, X509Name};
use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};

/// A certificate with its private key; clones are cheap and share both.
///
/// Making one costs a key pair and a signature, and the first session that uses it an OpenSSL context; programs with many
/// connections make one identity and pass it to all of them (at the price that its fingerprint links them).
#[derive(Clone)]
pub struct Identity {
    inner: Arc<Inner>,
}

struct Inner {
    certificate: X509,
    key: PKey<Private>,
    expires: SystemTime,
    /// Built for the first session, then shared: it holds nothing of a peer (no session cache, no tickets).
    context: OnceLock<SslContext>,
}

impl Identity {
    /// Makes a self-signed ECDSA P-256 certificate with a random serial number, valid from yesterday (clocks differ) until
    /// 30 days from now (the default of W3C `generateCertificate`).
    ///
    /// # Errors
    ///
    /// [`IdentityError::OpenSsl`] when OpenSSL has no randomness or lacks the curve.
    pub fn generate() -> Result<Self, IdentityError> {
        let mut group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1)?;
        group.set_asn1_flag(Asn1Flag::NAMED_CURVE);
        let key = PKey::from_ec_key(EcKey::generate(&group)?)?;
        let certificate = self_signed(&key)?;
        Self::new(certificate, key)
    }

    /// Takes a certificate and its private key (PKCS #8 or SEC1/PKCS #1, unencrypted) as PEM.
    ///
    /// Any certificate will do whose key OpenSSL can sign with (ECDSA or RSA); peers look at its fingerprint only, so an
    /// expired one works as well. Only the first certificate of a chain is used.
    ///
    /// # Errors
    ///
    /// [`IdentityError::OpenSsl`] when either text is not what it should be, [`IdentityError::KeyMismatch`] when they do
    /// not belong together.
    pub fn from_pem(certificate: &str, private_key: &str) -> Result<Self, IdentityError> {
        let certificate = X509::from_pem(certificate.as_bytes())?;
        let key = PKey::private_key_from_pem(private_key.as_bytes())?;
        if !certificate.public_key()?.public_eq(&key) {
            return Err(IdentityError::KeyMismatch);
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
        self.inner.certificate.to_der().expect("a parsed certificate can be written")
    }

    /// When the certificate ceases to be valid (`RTCCertificate.expires`).
    pub fn expires(&self) -> SystemTime {
        self.inner.expires
    }

    /// The certificate's fingerprint for the description sent to the peer.
    pub fn fingerprint(&self, function: HashFunction) -> Fingerprint {
        let digest = self.inner.certificate.digest(function.digest());
        let value = digest.expect("OpenSSL has the SHA-2 functions").to_vec();
        Fingerprint { function, value }
    }

    /// The context of all sessions under this identity.
    pub(crate) fn context(&self) -> Result<SslContext, ErrorStack> {
        if let Some(context) = self.inner.context.get() {
            return Ok(context.clone());
        }
        let mut builder = context::builder()?;
        self.certify(&mut builder)?;
        let context = builder.build();
        Ok(self.inner.context.get_or_init(|| context).clone())
    }

    /// Puts the certificate and its key into a context.
    pub(crate) fn certify(&self, context: &mut SslContextBuilder) -> Result<(), ErrorStack> {
        context.set_certificate(&self.inner.certificate)?;
        context.set_private_key(&self.inner.key)
    }

    fn new(certificate: X509, key: PKey<Private>) -> Result<Self, IdentityError> {
        let expires = system_time(certificate.not_after())?;
        let inner = Inner { certificate, key, expires, context: OnceLock::new() };
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
}

impl From<ErrorStack> for IdentityError {
    fn from(errors: ErrorStack) -> Self {
        Self::OpenSsl(errors.to_string())
    }
}

fn self_signed(key: &PKey<Private>) -> Result<X509, ErrorStack> {
    let mut name = X509Name::builder()?;
    name.append_entry_by_nid(Nid::COMMONNAME, COMMON_NAME)?;
    let name = name.build();

    // RFC 5280 §4.1.2.2: "conforming CAs MUST NOT use serialNumber values longer than 20 octets", sign bit included.
    let mut serial = BigNum::new()?;
    serial.rand(SERIAL_BITS, MsbOption::MAYBE_ZERO, false)?;
    let serial = serial.to_asn1_integer()?;

    let mut builder = X509Builder::new()?;
    builder.set_version(X509_V3)?;
    builder.set_serial_number(&serial)?;
    builder.set_subject_name(&name)?;
    builder.set_issuer_name(&name)?;
    let (not_before, not_after) = (yesterday()?, Asn1Time::days_from_now(VALID_DAYS)?);
    builder.set_not_before(&not_before)?;
    builder.set_not_after(&not_after)?;
    builder.set_pubkey(key)?;
    builder.sign(key, MessageDigest::sha256())?;
    Ok(builder.build())
}

/// By OpenSSL's clock, the only one here.
fn yesterday() -> Result<Asn1Time, ErrorStack> {
    let now = Asn1Time::days_from_now(0)?;
    let since = Asn1Time::from_unix(0)?.diff(&now)?;
    Asn1Time::from_unix(i64::from(since.days - 1) * SECONDS_PER_DAY + i64::from(since.secs))
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

/// What Chromium and Firefox put there, or something as little telling.
const COMMON_NAME: &str = "WebRTC";
const SECONDS_PER_DAY: i64 = 86_400;
const SERIAL_BITS: i32 = 159;
const VALID_DAYS: u32 = 30;
/// X.509 counts its versions from zero.
const X509_V3: i32 = 2;

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
        assert_eq!(certificate.version(), X509_V3);

        let now = Asn1Time::days_from_now(0).unwrap();
        let age = certificate.not_before().diff(&now).unwrap();
        let left = now.diff(certificate.not_after()).unwrap();
        assert_eq!((age.days, left.days), (1, 30));
        let other = Identity::generate().unwrap();
        let serial = |identity: &Identity| identity.inner.certificate.serial_number().to_bn().unwrap();
        assert_ne!(serial(&identity), serial(&other));
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
    fn debug_shows_the_fingerprint_and_no_more() {
        let identity = Identity::generate().unwrap();
        let fingerprint = identity.fingerprint(HashFunction::Sha256);
        assert_eq!(format!("{identity:?}"), format!("Identity({fingerprint})"));
    }
}
