//! Certificate fingerprints as SDP carries them (RFC 8122 §5).

use openssl::hash::MessageDigest;
use openssl::memcmp;
use openssl::x509::X509Ref;
use std::fmt;
use std::str::FromStr;

/// The hash functions of RFC 8122 §5 that are accepted: the ones no collision is known for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum HashFunction {
    /// SHA-256, 32 bytes; what every browser writes.
    Sha256,
    /// SHA-384, 48 bytes.
    Sha384,
    /// SHA-512, 64 bytes.
    Sha512,
}

impl HashFunction {
    /// The name in the registry of RFC 8122 §5, in lower case: `sha-256`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sha256 => "sha-256",
            Self::Sha384 => "sha-384",
            Self::Sha512 => "sha-512",
        }
    }

    fn len(self) -> usize {
        match self {
            Self::Sha256 => 32,
            Self::Sha384 => 48,
            Self::Sha512 => 64,
        }
    }

    pub(crate) fn digest(self) -> MessageDigest {
        match self {
            Self::Sha256 => MessageDigest::sha256(),
            Self::Sha384 => MessageDigest::sha384(),
            Self::Sha512 => MessageDigest::sha512(),
        }
    }
}

impl FromStr for HashFunction {
    type Err = FingerprintError;

    fn from_str(name: &str) -> Result<Self, FingerprintError> {
        // RFC 8122 §5: "hash-func = "sha-1" / "sha-224" / "sha-256" / …"; ABNF strings know no case.
        [Self::Sha256, Self::Sha384, Self::Sha512]
            .into_iter()
            .find(|function| function.name().eq_ignore_ascii_case(name))
            .ok_or(FingerprintError::UnsupportedFunction)
    }
}

/// The hash of a certificate in DER, `sha-256 4A:AD:…` in SDP.
///
/// `FromStr` takes what stands after `a=fingerprint:` in any case; `Display` writes the function in lower case and the
/// bytes in upper case, as RFC 8122 §5 has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fingerprint {
    /// What `value` was computed with.
    pub function: HashFunction,
    /// The hash. One whose length is not the function's never matches a certificate.
    pub value: Vec<u8>,
}

impl Fingerprint {
    /// The value as `RTCDtlsFingerprint.value` (W3C webrtc-pc §5.5.2) has it: octets in lower-case hex with colons between
    /// them. The algorithm there is [`HashFunction::name`].
    pub fn hex(&self) -> String {
        let octets = self.value.iter().map(|octet| format!("{octet:02x}"));
        octets.collect::<Vec<_>>().join(":")
    }

    /// Whether `certificate` has this fingerprint; the comparison takes the same time wherever they differ.
    pub(crate) fn matches(&self, certificate: &X509Ref) -> bool {
        let Ok(digest) = certificate.digest(self.function.digest()) else {
            return false;
        };
        digest.len() == self.value.len() && memcmp::eq(&digest, &self.value)
    }
}

impl FromStr for Fingerprint {
    type Err = FingerprintError;

    fn from_str(text: &str) -> Result<Self, FingerprintError> {
        // RFC 8122 §5: "fingerprint-attribute = "fingerprint" ":" hash-func SP fingerprint"
        let (function, octets) = text.split_once(' ').ok_or(FingerprintError::Malformed)?;
        let function: HashFunction = function.parse()?;
        let value = octets
            .split(':')
            .map(parse_octet)
            .collect::<Option<Vec<u8>>>()
            .ok_or(FingerprintError::Malformed)?;
        if value.len() != function.len() {
            return Err(FingerprintError::WrongLength);
        }
        Ok(Self { function, value })
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.function.name())?;
        let mut separator = ' ';
        for octet in &self.value {
            write!(f, "{separator}{octet:02X}")?;
            separator = ':';
        }
        Ok(())
    }
}

/// Why the text of a fingerprint was not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FingerprintError {
    /// Not `function SP octet *(":" octet)`.
    #[error("fingerprint is malformed")]
    Malformed,
    /// md5, sha-1 and other functions that do not identify a certificate, and unknown ones.
    #[error("fingerprint hash function is not accepted")]
    UnsupportedFunction,
    /// The value is shorter or longer than its function makes it.
    #[error("fingerprint has the wrong length for its hash function")]
    WrongLength,
}

fn parse_octet(text: &str) -> Option<u8> {
    // from_str_radix alone would take "+A".
    (text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_hexdigit()))
        .then(|| u8::from_str_radix(text, 16).ok())
        .flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 8122 §5: the example of the text is sha-1 there; this is one that Chromium wrote.
    const SAMPLE: &str = "sha-256 19:E2:1C:3B:4B:9F:81:E6:B8:5C:F4:A5:A8:D8:73:04:BB:05:2F:70:9F:04:A9:0E:05:E9:26:33:E8:70:88:A2";

    #[test]
    fn round_trip() {
        let fingerprint: Fingerprint = SAMPLE.parse().unwrap();
        assert_eq!(fingerprint.function, HashFunction::Sha256);
        assert_eq!(fingerprint.value[..3], [0x19, 0xe2, 0x1c]);
        assert_eq!(fingerprint.to_string(), SAMPLE);
        let (name, value) = SAMPLE.split_once(' ').unwrap();
        assert_eq!((fingerprint.function.name(), fingerprint.hex()), (name, value.to_lowercase()));
    }

    #[test]
    fn case_does_not_matter() {
        let shouted = SAMPLE.to_uppercase().parse::<Fingerprint>();
        assert_eq!(shouted, SAMPLE.parse());
        assert_eq!(SAMPLE.to_lowercase().parse::<Fingerprint>(), shouted);
    }

    #[test]
    fn weak_and_unknown_functions_are_refused() {
        for function in ["md5", "MD5", "md2", "sha-1", "SHA-1", "sha-224", "sha256", "sha-3", ""] {
            let text = SAMPLE.replace("sha-256", function);
            assert_eq!(text.parse::<Fingerprint>(), Err(FingerprintError::UnsupportedFunction), "{text}");
        }
    }

    #[test]
    fn malformed_text_is_refused() {
        let colons = SAMPLE.replace(':', "");
        let dashes = SAMPLE.replace(':', "-");
        let signed = SAMPLE.replace("19:", "+9:");
        let trailing = format!("{SAMPLE}:");
        let doubled = SAMPLE.replace("256 ", "256  ");
        for text in ["", "sha-256", "sha-256 ", "sha-256 é9", &colons, &dashes, &signed, &trailing, &doubled]
        {
            assert_eq!(text.parse::<Fingerprint>(), Err(FingerprintError::Malformed), "{text}");
        }
    }

    #[test]
    fn length_must_be_the_functions() {
        let longer = format!("{SAMPLE}:00");
        let other = SAMPLE.replace("256", "512");
        for text in ["sha-256 19", &longer, &other] {
            assert_eq!(text.parse::<Fingerprint>(), Err(FingerprintError::WrongLength), "{text}");
        }
    }
}
