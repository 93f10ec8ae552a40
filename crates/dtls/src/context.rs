//! What OpenSSL is told: once per identity, and per session.

use crate::{Config, Fingerprint, Role, key_log};
use openssl::error::ErrorStack;
use openssl::ssl::{
    Ssl, SslContext, SslContextBuilder, SslContextRef, SslMethod, SslOptions, SslSessionCacheMode,
    SslVerifyMode, SslVersion,
};
use openssl::x509::{X509Ref, X509StoreContextRef, X509VerifyResult};
use std::sync::{Arc, OnceLock};

/// A context for sessions of both roles, still without a certificate. It holds nothing of any peer: sessions are neither
/// cached nor resumed, so one peer's handshake leaves nothing for another's.
pub(crate) fn builder() -> Result<SslContextBuilder, ErrorStack> {
    let mut context = SslContext::builder(SslMethod::dtls())?;
    // DTLS 1.3, which no released OpenSSL has, needs its record headers in `record` and true record numbers in `intake`.
    context.set_min_proto_version(Some(SslVersion::DTLS1_2))?;
    context.set_max_proto_version(Some(SslVersion::DTLS1_2))?;
    context.set_cipher_list(CIPHERS)?;
    context.set_groups_list(GROUPS)?;
    context.set_tlsext_use_srtp(SRTP_PROFILE)?;
    context.set_options(
        SslOptions::NO_QUERY_MTU
            | SslOptions::NO_TICKET
            | SslOptions::NO_RENEGOTIATION
            | SslOptions::NO_COMPRESSION,
    );
    context.set_session_cache_mode(SslSessionCacheMode::OFF);
    Ok(context)
}

/// The contexts of one set of certificates: built for the first session of a kind, then shared.
#[derive(Clone, Debug, Default)]
pub(crate) struct Contexts {
    silent: OnceLock<SslContext>,
    /// Of sessions that log their secrets. The others have none of the code that does.
    logging: OnceLock<SslContext>,
}

impl Contexts {
    /// The context for sessions with this `config`; `certify` puts certificates into a new one.
    pub(crate) fn get(
        &self,
        config: &Config,
        certify: impl FnOnce(&mut SslContextBuilder) -> Result<(), ErrorStack>,
    ) -> Result<SslContext, ErrorStack> {
        let place = if config.key_log { &self.logging } else { &self.silent };
        if let Some(context) = place.get() {
            return Ok(context.clone());
        }
        let mut builder = builder()?;
        if config.key_log {
            builder.set_keylog_callback(key_log::push);
        }
        certify(&mut builder)?;
        let context = builder.build();
        Ok(place.get_or_init(|| context).clone())
    }
}

/// A fresh `Ssl` that accepts only a peer whose certificate has one of the `expected` fingerprints.
pub(crate) fn session(
    context: &SslContextRef,
    role: Role,
    expected: &Arc<[Fingerprint]>,
    config: &Config,
) -> Result<Ssl, ErrorStack> {
    let mut ssl = Ssl::new(context)?;
    ssl.set_mtu(u32::from(config.mtu))?;
    if config.key_log {
        key_log::enable(&mut ssl)?;
    }
    let expected = Arc::clone(expected);
    // RFC 8122 §6.2: "The server MUST request a certificate".
    ssl.set_verify_callback(SslVerifyMode::PEER | SslVerifyMode::FAIL_IF_NO_PEER_CERT, move |_, store| {
        verify(&expected, store)
    });
    match role {
        Role::Client => ssl.set_connect_state(),
        Role::Server => ssl.set_accept_state(),
    }
    Ok(ssl)
}

/// Whether OpenSSL gave up because [`verify`] said no.
pub(crate) fn refused_by_fingerprint(result: X509VerifyResult) -> bool {
    result == X509VerifyResult::APPLICATION_VERIFICATION
}

/// Whether one of `expected` is the fingerprint of `certificate`.
pub(crate) fn is_expected(expected: &[Fingerprint], certificate: &X509Ref) -> bool {
    expected.iter().any(|fingerprint| fingerprint.matches(certificate))
}

/// OpenSSL calls this for each certificate and each objection. Only the leaf counts, and only its fingerprint: issuer and
/// validity say nothing about a self-signed certificate (RFC 8827 §6.5).
fn verify(expected: &[Fingerprint], store: &mut X509StoreContextRef) -> bool {
    if store.error_depth() != 0 {
        return true;
    }
    let known = store.current_cert().is_some_and(|certificate| is_expected(expected, certificate));
    store.set_error(if known { X509VerifyResult::OK } else { X509VerifyResult::APPLICATION_VERIFICATION });
    known
}

/// Forward secrecy and authenticated encryption only; AES-128-GCM first because it is the fastest where it is in hardware.
const CIPHERS: &str = "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:\
    ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305:\
    ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384";
const GROUPS: &str = "X25519:P-256:P-384";
/// No media flow, but stacks in use end the session when no profile of SRTP was agreed on: Pion and those made after it as
/// clients, aiortc in both roles. RFC 8827 §6.5: "The DTLS-SRTP protection profile SRTP_AES128_CM_HMAC_SHA1_80 MUST be
/// supported for SRTP", so this one is everybody's.
const SRTP_PROFILE: &str = "SRTP_AES128_CM_SHA1_80";
