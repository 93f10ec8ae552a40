//! What an endpoint's task tells of the packets that pass it.

use super::Capture;
use super::key_log::KeyLog;
use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::Duration;
use straits_peer::ice::Route;
use straits_peer::{Captured, Config, Direction, Peer};

/// The files that an endpoint writes. An endpoint that writes none has no recorder.
#[derive(Clone, Debug)]
pub(crate) struct Recorder {
    capture: Option<Capture>,
    key_log: Option<KeyLog>,
}

impl Recorder {
    /// With the capture of the settings, else that of the environment.
    pub(crate) fn new(capture: Option<Capture>) -> Option<Self> {
        let environment = environment();
        let recorder = Self {
            capture: capture.or_else(|| environment.capture.clone()),
            key_log: environment.key_log.clone(),
        };
        (recorder.capture.is_some() || recorder.key_log.is_some()).then_some(recorder)
    }

    /// The settings of a peer whose owner records, or does not.
    pub(crate) fn configure(recorder: Option<&Self>, config: Config) -> Config {
        let captures = recorder.is_some_and(|recorder| recorder.capture.is_some());
        config.key_log(recorder.is_some()).capture_packets(captures)
    }

    /// A datagram that `peer` has just handled, with what it gave. What it takes to decrypt it comes first.
    pub(crate) fn received_by(&self, peer: &mut Peer, route: Route, datagram: &[u8]) {
        self.take_secrets(peer);
        self.received(route, datagram);
        self.take_packets(peer);
    }

    /// A datagram that nobody has handled.
    pub(crate) fn received(&self, route: Route, datagram: &[u8]) {
        if let Some(capture) = &self.capture {
            capture.write_datagrams(Direction::Inbound, route, datagram, datagram.len());
        }
    }

    /// What `peer` has built, before it is sent.
    pub(crate) fn take_from(&self, peer: &mut Peer) {
        self.take_secrets(peer);
        self.take_packets(peer);
    }

    /// A run of datagrams that is about to be given to a socket: what comes back will be in the file behind it. What the
    /// system refuses is in the file nonetheless.
    pub(crate) fn sends(&self, route: Route, run: &[u8], segment_size: Option<usize>) {
        if let Some(capture) = &self.capture {
            capture.write_datagrams(Direction::Outbound, route, run, segment_size.unwrap_or(run.len()));
        }
    }

    /// The last connection has gone, perhaps the process goes next: waits a moment for the disk.
    pub(crate) fn settle(&self) {
        if let Some(capture) = &self.capture {
            capture.0.flush(PATIENCE);
        }
        if let Some(key_log) = &self.key_log {
            key_log.flush(PATIENCE);
        }
    }

    fn take_secrets(&self, peer: &mut Peer) {
        while let Some(line) = peer.poll_key_log() {
            if let Some(capture) = &self.capture {
                capture.write_secret(&line);
            }
            if let Some(key_log) = &self.key_log {
                key_log.write(&line);
            }
        }
    }

    fn take_packets(&self, peer: &mut Peer) {
        let Some(capture) = &self.capture else { return };
        while let Some(captured) = peer.poll_captured() {
            match captured {
                Captured::Packet(packet) => {
                    capture.write_packet(packet.direction, packet.route, &packet.packet);
                }
                Captured::Lost(packets) => capture.count_lost(super::Interface::Sctp, packets),
            }
        }
    }
}

/// The files that the environment asks for; all endpoints of the process share them.
#[derive(Debug)]
struct Environment {
    capture: Option<Capture>,
    key_log: Option<KeyLog>,
}

fn environment() -> &'static Environment {
    static ENVIRONMENT: OnceLock<Environment> = OnceLock::new();
    ENVIRONMENT.get_or_init(|| Environment {
        capture: opened(CAPTURE_VARIABLE, |value| {
            Capture::start(&with_process_id(value), "the environment variable STRAITS_PCAP")
        }),
        key_log: opened(KEY_LOG_VARIABLE, |value| KeyLog::open(&PathBuf::from(value))),
    })
}

/// Whoever set the variable need not be who wrote the program, so a wrong path does not end it.
fn opened<T>(variable: &str, open: impl FnOnce(OsString) -> std::io::Result<T>) -> Option<T> {
    let value = std::env::var_os(variable).filter(|value| !value.is_empty())?;
    let result = open(value.clone());
    match &result {
        Ok(_) => tracing::info!(variable, ?value, "secrets of connections are written to a file"),
        Err(error) => tracing::warn!(variable, ?value, %error, "the file cannot be written"),
    }
    result.ok()
}

/// `%p` stands for the process id, so that processes with one environment do not share a file.
fn with_process_id(value: OsString) -> PathBuf {
    match value.to_str() {
        Some(text) if text.contains("%p") => text.replace("%p", &std::process::id().to_string()).into(),
        _ => value.into(),
    }
}

const CAPTURE_VARIABLE: &str = "STRAITS_PCAP";
const KEY_LOG_VARIABLE: &str = "SSLKEYLOGFILE";
/// Longer than a disk in order takes, and too short to be noticed.
const PATIENCE: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_process_has_its_number_in_the_name() {
        let id = std::process::id();
        assert_eq!(with_process_id("a/%p-%p.pcapng".into()), PathBuf::from(format!("a/{id}-{id}.pcapng")));
        assert_eq!(with_process_id("a/b.pcapng".into()), PathBuf::from("a/b.pcapng"));
    }
}
