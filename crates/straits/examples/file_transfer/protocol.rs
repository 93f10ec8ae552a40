//! What the two say to each other: one channel for each file, with the name of the file as its label.
//!
//! ```text
//! sender                                       receiver
//! {"begin":{"size":5,"following":0}}      ▶
//!                                         ◀    "ready"
//! the content in binary messages          ▶
//! {"end":{"sha256":"…"}}                  ▶
//!                                         ◀    {"stored":{"sha256":"…"}}, and closes the channel
//! ```
//! In place of each of its messages the receiver may say `{"refused":{"reason":"…"}}` and close the channel, also in the
//! middle of the content.

use super::Failure;
use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::path::{Component, Path};
use straits::DataChannel;

/// The subprotocol of the channels.
pub(super) const PROTOCOL: &str = "straits-file-transfer-1";

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum FromSender {
    Begin {
        /// Bytes of the file.
        size: u64,
        /// Files that come after this one.
        following: usize,
    },
    End {
        sha256: String,
    },
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum FromReceiver {
    Ready,
    Stored { sha256: String },
    Refused { reason: String },
}

pub(super) async fn tell(channel: &DataChannel, what: &impl Serialize) -> Result<(), Failure> {
    Ok(channel.send(serde_json::to_string(what)?).await?)
}

pub(super) async fn hear<T: DeserializeOwned>(channel: &DataChannel) -> Result<T, Failure> {
    match channel.recv().await {
        Some(message) => understand(message.as_bytes()),
        None => Err(ENDED.into()),
    }
}

pub(super) fn understand<T: DeserializeOwned>(message: &[u8]) -> Result<T, Failure> {
    serde_json::from_slice(message)
        .map_err(|error| format!("the other side is no such program: {error}").into())
}

/// The hash as `sha256sum` writes it.
pub(super) fn digits(hash: Sha256) -> String {
    format!("{:x}", Bytes::copy_from_slice(&hash.finalize()))
}

/// The word for a channel that ended too early.
pub(super) const ENDED: &str = "the other side left in the middle of the file";

/// The label, if it is the plain name of a file: one that stays in its directory on every system, that is not hidden, and
/// that a terminal shows as it is.
pub(super) fn safe_name(label: &str) -> Result<&str, Failure> {
    let mut components = Path::new(label).components();
    let is_plain =
        components.next() == Some(Component::Normal(label.as_ref())) && components.next().is_none();
    let is_harmless = |c: char| !c.is_control() && !matches!(c, '/' | '\\' | ':');
    if !is_plain || label.starts_with('.') || !label.chars().all(is_harmless) {
        return Err(format!("\"{}\" is no safe name for a file", label.escape_debug()).into());
    }
    Ok(label)
}
