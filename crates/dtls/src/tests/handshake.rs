//! Handshakes that nothing disturbs, and those that must not succeed.

use super::*;
use crate::{Fingerprint, Identities, SealError, context};
use openssl::ssl::SslContextRef;

#[test]
fn both_roles_connect() {
    let mut pair = Pair::new();
    assert_eq!(pair.states(), (State::Connecting, State::New));
    assert_eq!((pair.client.session.role(), pair.server.session.role()), (Role::Client, Role::Server));
    pair.run();

    assert_eq!(pair.states(), (State::Connected, State::Connected));
    for (side, peer) in [(&pair.client, server_identity()), (&pair.server, client_identity())] {
        assert_eq!(side.events, [Event::Connected]);
        assert_eq!(side.peer_certificate_der(), Some(peer.certificate_der()));
        assert_eq!(side.cipher_suite(), Some("TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"));
        assert_eq!(side.session.overhead(), 37);
        assert_eq!(side.stats(), Stats::default());
        assert_eq!(side.session.close_reason(), None);
    }
    pair.exchange();
    // The client's data shows that it has the last flight, so nothing is left to wait for.
    assert!(!pair.fire_next());
}

/// RFC 8827 §6.5: the profile that everybody has. Some peers end the session when none was agreed on.
#[test]
fn a_profile_of_srtp_is_agreed_on() {
    let pair = Pair::connected();
    for side in [&pair.client, &pair.server] {
        let profile = side.session.ssl().selected_srtp_profile().map(|profile| profile.name());
        assert_eq!(profile, Some("SRTP_AES128_CM_SHA1_80"));
    }
}

#[test]
fn one_identity_serves_many_sessions_without_resumption() {
    for _ in 0..3 {
        let pair = Pair::connected();
        assert!(!pair.client.session.ssl().session_reused());
    }
}

/// RFC 8122 §5: any of the fingerprints, of any accepted function, identifies the certificate.
#[test]
fn every_accepted_function_identifies() {
    for function in [HashFunction::Sha256, HashFunction::Sha384, HashFunction::Sha512] {
        let mut pair = Pair::with(Config::default(), |expect| {
            expect.client_expects = vec![wrong(), server_identity().fingerprint(function)];
            expect.server_expects = vec![client_identity().fingerprint(function), wrong()];
        });
        pair.run();
        assert_eq!(pair.states(), (State::Connected, State::Connected));
    }
}

/// RFC 8122 §6.2: the side that sees the wrong certificate sends bad_certificate, the other never connects.
#[test]
fn wrong_fingerprint_never_connects() {
    let short = Fingerprint { function: HashFunction::Sha256, value: vec![] };
    for unexpected in [vec![wrong()], vec![], vec![short]] {
        let mut pair = Pair::with(Config::default(), |expect| expect.client_expects = unexpected.clone());
        pair.run();
        pair.client.assert_failed(&CloseReason::FingerprintMismatch);
        assert_never_connects(&mut pair.server, pair.now);

        let mut pair = Pair::with(Config::default(), |expect| expect.server_expects = unexpected.clone());
        pair.run();
        pair.server.assert_failed(&CloseReason::FingerprintMismatch);
        assert_never_connects(&mut pair.client, pair.now);
    }
}

/// The other side of a mismatch does not believe the plaintext alert at once, but when nothing comes after it.
fn assert_never_connects(side: &mut Side, now: Instant) {
    assert_eq!(side.events, []);
    assert_eq!(side.session.state(), State::Connecting);
    side.session.handle_timeout(now + Duration::from_millis(2_999));
    side.collect(now);
    assert_eq!(side.events, []);
    side.session.handle_timeout(now + Duration::from_secs(3));
    side.collect(now);
    side.assert_failed(&CloseReason::HandshakeTimeout { suspected_alert: Some(42) });
}

/// RFC 8122 §6.2: "if the client does not provide one … MUST terminate the media connection with a bad_certificate error"
#[test]
fn client_without_certificate_is_refused() {
    let mut pair = Pair::new();
    pair.client = Side::new(anonymous_client(pair.now));
    pair.run();
    pair.server.assert_failed(&CloseReason::HandshakeFailed { alert: Some(42) });
}

#[test]
fn nothing_is_sealed_before_connected() {
    let mut pair = Pair::new();
    let mut buffer = BytesMut::from(&b"kept"[..]);
    for side in [&mut pair.client, &mut pair.server] {
        assert_eq!(side.session.seal(b"early", &mut buffer), Err(SealError::NotConnected));
    }
    assert_eq!(buffer, b"kept"[..]);
}

#[test]
fn silent_peer_ends_in_a_timeout() {
    let mut pair = Pair::new();
    let start = pair.now;
    let mut flights = pair.client.take_sent(pair.now).len();
    while pair.client.events.is_empty() {
        assert!(pair.fire_next());
        flights += pair.client.take_sent(pair.now).len();
    }
    assert_eq!(pair.now - start, Duration::from_secs(30));
    pair.client.assert_failed(&CloseReason::HandshakeTimeout { suspected_alert: None });
    pair.server.collect(pair.now);
    pair.server.assert_failed(&CloseReason::HandshakeTimeout { suspected_alert: None });
    // at 0, 0.25, 0.75, 1.75, 3.75, 7.75 and 15.75 s
    assert_eq!(flights, 7);
    assert_eq!(pair.client.stats().flights_resent, 6);
    assert!(!pair.fire_next());
}

#[test]
fn closing_a_handshake_stops_everything() {
    let mut pair = Pair::new();
    pair.client.session.close(pair.now);
    pair.client.collect(pair.now);
    assert_eq!(pair.client.events, [Event::Closed(CloseReason::LocalClose)]);
    assert_eq!(pair.client.session.state(), State::Closed);
    assert_eq!(pair.client.session.poll_timeout(), None);
}

/// A peer without the extended master secret (RFC 7627) completes OpenSSL's handshake and still is not let in.
#[test]
fn extended_master_secret_is_required() {
    let mut pair = Pair::new();
    pair.client = Side::new(client_without_extended_master_secret(pair.now));
    pair.run();
    pair.server.assert_failed(&CloseReason::NoExtendedMasterSecret);
}

/// Each of the suites that may be agreed on, and what a record costs with it.
#[test]
fn overhead_is_the_ciphers() {
    for (cipher, name, overhead) in [
        ("ECDHE-ECDSA-AES128-GCM-SHA256", "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", 37),
        ("ECDHE-ECDSA-AES256-GCM-SHA384", "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384", 37),
        ("ECDHE-ECDSA-CHACHA20-POLY1305", "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256", 29),
    ] {
        let mut builder = context::builder().unwrap();
        builder.set_cipher_list(cipher).unwrap();
        client_identity().certify(&mut builder).unwrap();
        let mut pair = Pair::new();
        pair.client = Side::new(client_in(&builder.build(), pair.now));
        pair.run();
        assert_eq!(pair.client.cipher_suite(), Some(name));
        assert_eq!(pair.server.session.overhead(), overhead);
        assert_eq!(pair.server.seal(&[0; 100]).len(), 100 + overhead);
        pair.exchange();
    }
}

/// Item 40: what is not forward secret and authenticated encryption is not agreed on.
#[test]
fn weak_suites_are_refused() {
    let mut builder = context::builder().unwrap();
    builder.set_cipher_list("ECDHE-ECDSA-AES128-SHA:ECDHE-ECDSA-AES128-CCM:AES128-GCM-SHA256").unwrap();
    client_identity().certify(&mut builder).unwrap();
    let mut pair = Pair::new();
    pair.client = Side::new(client_in(&builder.build(), pair.now));
    pair.run();
    pair.server.assert_failed(&CloseReason::HandshakeFailed { alert: Some(40) });
}

#[test]
fn rsa_certificates_work() {
    let identity = rsa_identity();
    let expected = vec![client_identity().fingerprint(HashFunction::Sha256)];
    let mut pair = Pair::with(Config::default(), |expect| {
        expect.client_expects = vec![identity.fingerprint(HashFunction::Sha512)];
    });
    let server = Session::new(&identity, Role::Server, expected, Config::default(), pair.now).unwrap();
    pair.server = Side::new(server);
    pair.run();
    assert_eq!(pair.client.cipher_suite(), Some("TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"));
    pair.exchange();
}

/// Of several certificates the handshake takes one that the other side can use, whichever comes first.
#[test]
fn the_handshake_chooses_among_several_certificates() {
    let (ecdsa, rsa) = (server_identity(), &rsa_identity());
    let several = |first: &Identity, second: &Identity| Identities::new(first.clone(), [second.clone()]);
    for identities in [several(ecdsa, rsa), several(rsa, ecdsa)] {
        for (ciphers, algorithms, shown) in [
            ("ECDHE-ECDSA-AES128-GCM-SHA256", "ECDSA+SHA256", ecdsa),
            ("ECDHE-RSA-AES128-GCM-SHA256", "ECDSA+SHA256:RSA+SHA256", rsa),
        ] {
            let mut builder = context::builder().unwrap();
            builder.set_cipher_list(ciphers).unwrap();
            builder.set_sigalgs_list(algorithms).unwrap();
            client_identity().certify(&mut builder).unwrap();
            let mut pair = Pair::new();
            let expected = vec![client_identity().fingerprint(HashFunction::Sha256)];
            let server = Session::new(&identities, Role::Server, expected, Config::default(), pair.now);
            pair.server = Side::new(server.unwrap());
            assert_eq!(pair.server.session.negotiated(), None);
            let expected = identities.iter().map(|one| one.fingerprint(HashFunction::Sha256)).collect();
            let client =
                Session::in_context(&builder.build(), Role::Client, expected, Config::default(), pair.now);
            pair.client = Side::new(client.unwrap());
            pair.run();
            pair.exchange();
            let negotiated = pair.server.session.negotiated().unwrap();
            assert_eq!((negotiated.version, &negotiated.local_certificate), (0xfefd, &shown.certificate()));
            assert_eq!(negotiated.peer_certificate, client_identity().certificate());
            assert_eq!(Some(negotiated.cipher_suite), pair.client.cipher_suite());
            assert_eq!(pair.client.peer_certificate_der(), Some(shown.certificate_der()));
        }
    }
}

#[test]
fn sessions_may_move_between_threads() {
    fn assert_send<T: Send + 'static>() {}
    assert_send::<Session>();
}

#[test]
fn debug_shows_no_key() {
    let pair = Pair::connected();
    let text = format!("{:?}", pair.client.session);
    assert_eq!(
        text,
        "Session { role: Client, phase: Connected { overhead: 37, flight_kept_until: None }, stats: Stats { \
         records_sealed: 0, records_opened: 0, records_dropped: 0, datagrams_malformed: 0, alerts_withheld: 0, \
         flights_resent: 0 }, .. }"
    );
}

fn wrong() -> Fingerprint {
    Identity::generate().unwrap().fingerprint(HashFunction::Sha256)
}

/// A client of ours whose context has no certificate.
fn anonymous_client(now: Instant) -> Session {
    let context = context::builder().unwrap().build();
    client_in(&context, now)
}

fn client_without_extended_master_secret(now: Instant) -> Session {
    use openssl::ssl::SslOptions;
    let mut builder = context::builder().unwrap();
    // SSL_OP_NO_EXTENDED_MASTER_SECRET, which the openssl crate does not name
    builder.set_options(SslOptions::from_bits_retain(1));
    client_identity().certify(&mut builder).unwrap();
    client_in(&builder.build(), now)
}

fn client_in(context: &SslContextRef, now: Instant) -> Session {
    let expected = vec![server_identity().fingerprint(HashFunction::Sha256)];
    Session::in_context(context, Role::Client, expected, Config::default(), now).unwrap()
}

/// An expired self-signed certificate with an RSA key, as PEM made it.
fn rsa_identity() -> Identity {
    use openssl::{asn1::Asn1Time, hash::MessageDigest, pkey::PKey, rsa::Rsa, x509::X509Builder};
    let key = PKey::from_rsa(Rsa::generate(2048).unwrap()).unwrap();
    let mut builder = X509Builder::new().unwrap();
    builder.set_not_before(&Asn1Time::from_unix(0).unwrap()).unwrap();
    builder.set_not_after(&Asn1Time::from_unix(1).unwrap()).unwrap();
    builder.set_pubkey(&key).unwrap();
    builder.sign(&key, MessageDigest::sha256()).unwrap();
    let pem = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    let certificate = pem(builder.build().to_pem().unwrap());
    Identity::from_pem(&certificate, &pem(key.private_key_to_pem_pkcs8().unwrap())).unwrap()
}
