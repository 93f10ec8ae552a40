//! Certificates: what is made, what is announced, what connects.

use super::support::{configuration, connect, end, line, soon};
use std::time::{Duration, SystemTime};
use straits::{
    Configuration, DataChannelInit, Error, ErrorName, HashFunction, Identity, KeyAlgorithm, PeerConnection,
    SessionDescription,
};

const RSA: KeyAlgorithm = KeyAlgorithm::Rsa { bits: 2048 };
const HOUR: Duration = Duration::from_secs(3600);

fn certificate(algorithm: KeyAlgorithm) -> Identity {
    Identity::generate_with(algorithm, HOUR).unwrap()
}

fn with_certificates<const N: usize>(certificates: [&Identity; N]) -> Configuration {
    configuration().certificates(certificates.map(Clone::clone))
}

/// Makes one with a lifetime, between two looks at the clock.
fn expiring_in(lifetime: Duration) -> (SystemTime, Identity, SystemTime) {
    let before = SystemTime::now();
    let identity = Identity::generate_with(KeyAlgorithm::EcdsaP256, lifetime).unwrap();
    (before, identity, SystemTime::now())
}

async fn offer(configuration: Configuration) -> SessionDescription {
    let connection = PeerConnection::new(configuration).unwrap();
    connection.create_data_channel("", DataChannelInit::default()).unwrap();
    let offer = connection.create_offer().await.unwrap();
    end([connection]).await;
    offer
}

#[test]
fn crt_01_an_ecdsa_certificate() {
    let (_, identity, after) = expiring_in(HOUR);
    assert!(identity.expires() > after);
    // The default is that of generateCertificate: 30 days.
    let month = Duration::from_secs(30 * 24 * 3600);
    let left = Identity::generate().unwrap().expires().duration_since(after).unwrap();
    assert!(left <= month + Duration::from_secs(60) && left > month - Duration::from_secs(60), "{left:?}");
}

/// RSA with 2048 bits works; with 1024 it is refused by policy: OpenSSL would not use such a key in a handshake.
#[test]
fn crt_02_rsa_certificates() {
    assert!(certificate(RSA).expires() > SystemTime::now());
    let refused = Identity::generate_with(KeyAlgorithm::Rsa { bits: 1024 }, HOUR).unwrap_err();
    let error = Error::from(refused);
    assert_eq!(error.name(), ErrorName::NotSupportedError);
    assert!(error.to_string().contains("1024"), "{error}");
}

#[test]
fn crt_05_06_lifetimes() {
    let second = Duration::from_secs(1);
    let (before, identity, after) = expiring_in(2 * second);
    assert!(identity.expires() >= before + second, "{:?}", identity.expires());
    assert!(identity.expires() <= after + 3 * second, "{:?}", identity.expires());
    let (_, expired, after) = expiring_in(Duration::ZERO);
    assert!(expired.expires() <= after);
}

#[tokio::test]
async fn crt_08_an_expired_certificate() {
    let (_, expired, _) = expiring_in(Duration::ZERO);
    let valid = certificate(KeyAlgorithm::EcdsaP256);
    for configuration in [
        configuration().certificate(expired.clone()),
        with_certificates([&expired, &valid]),
        with_certificates([&valid, &expired]),
    ] {
        let error = PeerConnection::new(configuration).unwrap_err();
        assert_eq!(error.name(), ErrorName::InvalidAccessError, "{error}");
    }
}

#[test]
fn crt_09_fingerprints() {
    for algorithm in [KeyAlgorithm::EcdsaP256, RSA] {
        let fingerprints = certificate(algorithm).fingerprints();
        assert!(!fingerprints.is_empty());
        for fingerprint in fingerprints {
            assert_eq!(fingerprint.function.name(), "sha-256");
            let octets = fingerprint.hex();
            let octets: Vec<&str> = octets.split(':').collect();
            assert_eq!(octets.len(), 32);
            let is_lower_hex = |octet: &&str| {
                octet.len() == 2 && octet.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'))
            };
            assert!(octets.iter().all(is_lower_hex), "{octets:?}");
        }
    }
}

#[tokio::test]
async fn crt_10_11_the_offer_announces_every_certificate() {
    let identities = [certificate(KeyAlgorithm::EcdsaP256), certificate(RSA), certificate(RSA)];
    let expected = identities.each_ref().map(|identity| {
        let [fingerprint] = &identity.fingerprints()[..] else { panic!("one is enough for SHA-256") };
        format!("{} {}", fingerprint.function.name(), fingerprint.hex().to_uppercase())
    });
    let [first, second, third] = &identities;
    let one = offer(configuration().certificate(first.clone())).await;
    assert_eq!(line(&one, "a=fingerprint:"), Some(&expected[0][..]));
    let all = offer(with_certificates([first, second, third])).await;
    let lines: Vec<&str> = all.sdp.lines().filter_map(|line| line.strip_prefix("a=fingerprint:")).collect();
    assert_eq!(lines, expected);
}

/// Alone on each side, and where one side has both: what it shows is one of those it announced.
#[tokio::test]
async fn crt_12_all_pairings_connect() {
    let (ecdsa, rsa) = (certificate(KeyAlgorithm::EcdsaP256), certificate(RSA));
    let alone = [with_certificates([&ecdsa]), with_certificates([&rsa])];
    let both = [with_certificates([&ecdsa, &rsa]), with_certificates([&rsa, &ecdsa])];
    let pairings = alone.iter().flat_map(|one| alone.iter().map(move |other| (one, other)));
    let mixed = both.iter().zip(&alone).chain(alone.iter().zip(&both)).chain(both.iter().zip(&both));
    for (one, other) in pairings.chain(mixed) {
        let [a, b] = [one, other].map(|config| PeerConnection::new(config.clone()).unwrap());
        let channel = a.create_data_channel("", DataChannelInit::default()).unwrap();
        connect(&a, &b).await;
        soon("it to open", channel.opened()).await.unwrap();
        end([a, b]).await;
    }
}

/// CRT-13, as far as it is not JavaScript: a certificate that is kept and used again has the same fingerprint.
#[tokio::test]
async fn a_certificate_that_was_kept_is_the_same() {
    for algorithm in [KeyAlgorithm::EcdsaP256, RSA] {
        let identity = certificate(algorithm);
        let kept = (identity.certificate_pem(), identity.private_key_pem());
        let again = Identity::from_pem(&kept.0, &kept.1).unwrap();
        assert_eq!(again.certificate_der(), identity.certificate_der());
        assert_eq!(again.expires(), identity.expires());
        let fingerprint = identity.fingerprint(HashFunction::Sha256).to_string();
        assert_eq!(line(&offer(with_certificates([&again])).await, "a=fingerprint:"), Some(&fingerprint[..]));
    }
}
