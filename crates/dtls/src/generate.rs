//! New keys and certificates (W3C webrtc-pc §4.9).

use crate::IdentityError;
use openssl::asn1::Asn1Time;
use openssl::bn::{BigNum, MsbOption};
use openssl::ec::{Asn1Flag, EcGroup, EcKey};
use openssl::error::ErrorStack;
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::rsa::Rsa;
use openssl::x509::{X509, X509Builder, X509Name};
use std::time::Duration;

/// The algorithm of a new certificate's key. The certificate is signed with it over SHA-256.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeyAlgorithm {
    /// ECDSA on the curve P-256: `{ name: "ECDSA", namedCurve: "P-256" }`. A fraction of a millisecond to make, and what
    /// every peer takes.
    EcdsaP256,
    /// RSA with the public exponent 65537: `{ name: "RSASSA-PKCS1-v1_5", hash: "SHA-256", … }`.
    Rsa {
        /// The modulus length: 2048 to 8192 bits. Keys of 1024 bits, which the W3C tests have too, are below what
        /// OpenSSL accepts in a handshake (security level 2: 112 bits). Making one of 2048 bits takes tens of
        /// milliseconds, one of 8192 tens of seconds.
        bits: u32,
    },
}

pub(crate) fn key(algorithm: KeyAlgorithm) -> Result<PKey<Private>, IdentityError> {
    match algorithm {
        KeyAlgorithm::EcdsaP256 => {
            let mut group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1)?;
            group.set_asn1_flag(Asn1Flag::NAMED_CURVE);
            Ok(PKey::from_ec_key(EcKey::generate(&group)?)?)
        }
        KeyAlgorithm::Rsa { bits } if (MIN_RSA_BITS..=MAX_RSA_BITS).contains(&bits) => {
            Ok(PKey::from_rsa(Rsa::generate(bits)?)?)
        }
        KeyAlgorithm::Rsa { bits } => {
            Err(IdentityError::UnsupportedKeySize { bits, min: MIN_RSA_BITS, max: MAX_RSA_BITS })
        }
    }
}

pub(crate) fn self_signed(key: &PKey<Private>, lifetime: Duration) -> Result<X509, ErrorStack> {
    let mut name = X509Name::builder()?;
    name.append_entry_by_nid(Nid::COMMONNAME, COMMON_NAME)?;
    let name = name.build();

    // RFC 5280 §4.1.2.2: "conforming CAs MUST NOT use serialNumber values longer than 20 octets", sign bit included.
    let mut serial = BigNum::new()?;
    serial.rand(SERIAL_BITS, MsbOption::MAYBE_ZERO, false)?;
    let serial = serial.to_asn1_integer()?;

    let now = seconds_now()?;
    // W3C webrtc-pc §4.9: "If expires is greater than 31536000000, set expires to 31536000000."
    let lifetime = i64::try_from(lifetime.min(MAX_LIFETIME).as_secs()).unwrap_or(0);
    let (not_before, not_after) =
        (Asn1Time::from_unix(now - SECONDS_PER_DAY)?, Asn1Time::from_unix(now + lifetime)?);

    let mut builder = X509Builder::new()?;
    builder.set_version(X509_V3)?;
    builder.set_serial_number(&serial)?;
    builder.set_subject_name(&name)?;
    builder.set_issuer_name(&name)?;
    builder.set_not_before(&not_before)?;
    builder.set_not_after(&not_after)?;
    builder.set_pubkey(key)?;
    builder.sign(key, MessageDigest::sha256())?;
    Ok(builder.build())
}

/// Unix time by OpenSSL's clock, the only one here.
fn seconds_now() -> Result<i64, ErrorStack> {
    let since = Asn1Time::from_unix(0)?.diff(&*Asn1Time::days_from_now(0)?)?;
    Ok(i64::from(since.days) * SECONDS_PER_DAY + i64::from(since.secs))
}

/// W3C webrtc-pc §4.9: "Let expires be a value of 2592000000 (30*24*60*60*1000)".
pub(crate) const DEFAULT_LIFETIME: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// W3C webrtc-pc §4.9: 31536000000 ms.
pub(crate) const MAX_LIFETIME: Duration = Duration::from_secs(365 * 24 * 60 * 60);
pub(crate) const SECONDS_PER_DAY: i64 = 86_400;
/// Security level 2, the default of OpenSSL since 3.2, wants 112 bits of security.
pub(crate) const MIN_RSA_BITS: u32 = 2048;
/// As in Chromium; the time to make a key grows with the fourth power of its length.
const MAX_RSA_BITS: u32 = 8192;
/// What Chromium and Firefox put there, or something as little telling.
const COMMON_NAME: &str = "WebRTC";
const SERIAL_BITS: i32 = 159;
/// X.509 counts its versions from zero.
const X509_V3: i32 = 2;
