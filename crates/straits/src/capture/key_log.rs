//! `SSLKEYLOGFILE`: the file that TLS programs write their secrets to for Wireshark.

use super::writer::{Existing, Writer};
use std::io;
use std::path::Path;
use std::sync::Arc;
use straits_peer::dtls::KeyLogLine;

/// A file in the NSS key log format. Other programs, and other libraries of this one, may append to it, too.
#[derive(Clone, Debug)]
pub(super) struct KeyLog(Arc<Writer>);

impl KeyLog {
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        Ok(Self(Arc::new(Writer::open(path, Existing::AppendTo, |_, _| {})?)))
    }

    pub(super) fn write(&self, line: &KeyLogLine) {
        let written = self.0.append(MAX_QUEUE, |out| {
            out.extend_from_slice(line.as_str().as_bytes());
            out.push(b'\n');
        });
        if !written {
            tracing::debug!("a secret is missing in the key log, because the disk is slow");
        }
    }

    pub(super) fn flush(&self, patience: std::time::Duration) {
        self.0.flush(patience);
    }
}

/// Secrets of some five thousand connections.
const MAX_QUEUE: usize = 1 << 20;
