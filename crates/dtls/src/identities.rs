//! The certificates that one peer may show.

use crate::context::Contexts;
use crate::{Config, Identity, SetupError};
use openssl::error::ErrorStack;
use openssl::ssl::{SslContext, SslContextBuilder};
use std::slice;
use std::sync::Arc;

/// One certificate or several, of which the handshake shows one; clones are cheap.
///
/// W3C webrtc-pc §4.2.1: several are for peers that do not take every algorithm. All of them are announced; of each kind of
/// key (ECDSA, RSA) the first one can be shown, and the handshake chooses between the kinds.
#[derive(Clone, Debug)]
pub struct Identities {
    list: Arc<[Identity]>,
    /// Of several; one alone has its own.
    contexts: Arc<Contexts>,
}

impl Identities {
    /// Several, the preferred one first.
    pub fn new(first: Identity, more: impl IntoIterator<Item = Identity>) -> Self {
        Self { list: std::iter::once(first).chain(more).collect(), contexts: Arc::default() }
    }

    /// All of them, in order. There is at least one.
    pub fn iter(&self) -> slice::Iter<'_, Identity> {
        self.list.iter()
    }

    /// The context of all sessions under these identities that have such a `config`.
    pub(crate) fn context(&self, config: &Config) -> Result<SslContext, SetupError> {
        match &*self.list {
            [identity] => Ok(identity.context(config)?),
            several => Ok(self.contexts.get(config, |builder| certify(several, builder))?),
        }
    }
}

fn certify(identities: &[Identity], builder: &mut SslContextBuilder) -> Result<(), ErrorStack> {
    let mut kinds = Vec::new();
    for identity in identities {
        // OpenSSL has one place for each kind of key.
        if !kinds.contains(&identity.key_kind()) {
            kinds.push(identity.key_kind());
            identity.certify(builder)?;
        }
    }
    Ok(())
}

impl From<Identity> for Identities {
    fn from(identity: Identity) -> Self {
        Self::new(identity, [])
    }
}

impl From<&Identity> for Identities {
    fn from(identity: &Identity) -> Self {
        identity.clone().into()
    }
}

impl From<&Identities> for Identities {
    fn from(identities: &Identities) -> Self {
        identities.clone()
    }
}

impl<'a> IntoIterator for &'a Identities {
    type Item = &'a Identity;
    type IntoIter = slice::Iter<'a, Identity>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}
