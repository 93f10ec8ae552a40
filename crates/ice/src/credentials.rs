//! Username fragment and password (RFC 8445 §5.3, RFC 8839 §5.4).

use rand_chacha::rand_core::Rng;
use std::fmt;

/// The short-term credentials of one end for one generation: what `a=ice-ufrag` and `a=ice-pwd` carry.
///
/// `Debug` does not show the password.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// `a=ice-ufrag`: names the session in STUN's USERNAME. 4 to 256 ice-chars.
    pub ufrag: String,
    /// `a=ice-pwd`: the key of MESSAGE-INTEGRITY. 22 to 256 ice-chars.
    pub password: String,
}

impl Credentials {
    /// Credentials received from the peer.
    ///
    /// # Errors
    ///
    /// When one of the two does not have the syntax of RFC 8839 §5.4.
    pub fn new(ufrag: impl Into<String>, password: impl Into<String>) -> Result<Self, CredentialsError> {
        let credentials = Self { ufrag: ufrag.into(), password: password.into() };
        // RFC 8839 §5.4: "password = 22*256ice-char", "ufrag = 4*256ice-char"
        if !is_ice_chars(&credentials.ufrag, MIN_UFRAG) {
            return Err(CredentialsError::Ufrag { len: credentials.ufrag.len() });
        }
        if !is_ice_chars(&credentials.password, MIN_PASSWORD) {
            return Err(CredentialsError::Password { len: credentials.password.len() });
        }
        Ok(credentials)
    }

    /// Fresh random credentials: 48 bits of fragment, 144 bits of password.
    ///
    /// RFC 8839 §5.4: "at least 24 bits of randomness" for the fragment, "at least 128 bits" for the password. The
    /// fragment is longer because it alone finds the session on a shared socket.
    pub(crate) fn random(rng: &mut impl Rng) -> Self {
        Self { ufrag: random_ice_chars(rng, OUR_UFRAG), password: random_ice_chars(rng, OUR_PASSWORD) }
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("ufrag", &self.ufrag).finish_non_exhaustive()
    }
}

/// Why credentials were refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CredentialsError {
    /// The username fragment is not 4 to 256 ice-chars.
    #[error("username fragment of {len} bytes is not 4 to 256 ice-chars")]
    Ufrag {
        /// Its length in bytes.
        len: usize,
    },
    /// The password is not 22 to 256 ice-chars.
    #[error("password of {len} bytes is not 22 to 256 ice-chars")]
    Password {
        /// Its length in bytes.
        len: usize,
    },
}

/// RFC 8839 §5.1: `ice-char = ALPHA / DIGIT / "+" / "/"`.
pub(crate) fn is_ice_char(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'+' || byte == b'/'
}

fn is_ice_chars(text: &str, min: usize) -> bool {
    (min..=MAX_LEN).contains(&text.len()) && text.bytes().all(is_ice_char)
}

fn random_ice_chars(rng: &mut impl Rng, len: usize) -> String {
    let mut bytes = vec![0; len];
    rng.fill_bytes(&mut bytes);
    // 64 symbols: six bits of a byte choose one, all equally likely.
    bytes.iter().map(|byte| char::from(ICE_CHARS[usize::from(byte & 63)])).collect()
}

const ICE_CHARS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// RFC 8839 §5.4.
const MIN_UFRAG: usize = 4;
/// RFC 8839 §5.4.
const MIN_PASSWORD: usize = 22;
/// RFC 8839 §5.4, for both.
const MAX_LEN: usize = 256;
/// Six bits each; RFC 8839 §5.4 wants at most 32 when sending.
const OUR_UFRAG: usize = 8;
/// Six bits each.
const OUR_PASSWORD: usize = 24;

#[cfg(test)]
mod tests {
    use super::*;
    use rand_chacha::ChaCha12Rng;
    use rand_chacha::rand_core::SeedableRng as _;

    #[test]
    fn random_ones_are_valid_and_follow_from_the_seed() {
        let make = |seed| Credentials::random(&mut ChaCha12Rng::seed_from_u64(seed));
        let credentials = make(1);
        assert_eq!((credentials.ufrag.len(), credentials.password.len()), (8, 24));
        assert_eq!(
            Credentials::new(credentials.ufrag.clone(), credentials.password.clone()),
            Ok(credentials.clone())
        );
        assert_eq!(make(1), credentials);
        assert_ne!(make(2), credentials);
    }

    #[test]
    fn debug_hides_the_password() {
        let credentials = Credentials::new("8hhY", "asd88fgpdd777uzjYhagZg").unwrap();
        assert_eq!(format!("{credentials:?}"), "Credentials { ufrag: \"8hhY\", .. }");
    }

    #[test]
    fn syntax_is_checked() {
        let password = "asd88fgpdd777uzjYhagZg";
        assert_eq!(Credentials::new("8hh", password), Err(CredentialsError::Ufrag { len: 3 }));
        assert_eq!(Credentials::new("8hh:", password), Err(CredentialsError::Ufrag { len: 4 }));
        assert_eq!(Credentials::new("8".repeat(257), password), Err(CredentialsError::Ufrag { len: 257 }));
        assert_eq!(Credentials::new("8hhY", &password[1..]), Err(CredentialsError::Password { len: 21 }));
        assert_eq!(Credentials::new("8hhY", "p\n".repeat(11)), Err(CredentialsError::Password { len: 22 }));
        assert!(Credentials::new("8".repeat(256), "p".repeat(256)).is_ok());
    }
}
