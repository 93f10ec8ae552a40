//! What passes on the wire, in a file, for Wireshark: written only when somebody asked for it.

mod blocks;
mod headers;
mod key_log;
mod recorder;
mod writer;

pub(crate) use recorder::Recorder;

use crate::Error;
use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use straits_peer::Direction;
use straits_peer::dtls::KeyLogLine;
use straits_peer::ice::Route;
use writer::{Existing, Losses, Writer};

/// A pcapng file that everything is written to that passes on the wire, encrypted and decrypted.
///
/// It is given to [`Configuration::capture`](crate::Configuration::capture) or
/// [`EndpointConfiguration::capture`](crate::EndpointConfiguration::capture); clones write to the same file. Without a
/// change to the program the environment variable `STRAITS_PCAP=file.pcapng` does the same for all connections and endpoints
/// that were not given a capture; in its value `%p` stands for the number of the process. It is read once; when the file it
/// names cannot be written, that is logged with `warn!` and nothing is captured.
///
/// **The file holds the messages in the clear and the secrets to decrypt the rest.** Only its owner may read it. Nothing of
/// this happens unless it was asked for, and the file says in its comment how that was done.
///
/// # In the file
///
/// - Interface 0, `udp`: every datagram that was received by the sockets or given to them, with the headers that it had as far
///   as is known. The DTLS secrets are in the file, too, before the first datagram that needs them.
/// - Interface 1, `sctp`: each SCTP packet, decrypted, with an IP header in place of DTLS and UDP. It follows the datagram that
///   it came in, or precedes the one that it leaves in. Ports are those of SCTP.
///
/// Who captures both ends of a connection into one file finds each packet twice, outbound and inbound, and Wireshark calls the
/// second one a retransmission.
///
/// Times are the wall clock's, in nanoseconds, of when this program received the datagram or gave it to the socket.
///
/// # Opening it
///
/// Wireshark and `tshark` (tried with 4.0) need no settings: `sctp` as display filter shows chunks and messages,
/// `frame.interface_name == "udp"` one interface, `frame.packet_flags_direction == 2` what was sent. The contents of DTLS
/// records are a tab of their own beside the packet's bytes (`tshark -x`).
///
/// ```sh
/// STRAITS_PCAP=wire.pcapng cargo run --example loopback
/// tshark -r wire.pcapng -Y sctp
/// ```
///
/// # When the disk does not keep up
///
/// A thread writes the file. What is to be written waits for it in memory, up to 8 MiB; packets beyond that are not in the
/// file, and their number is (as interface statistics). Connections never wait. When the disk is full or fails, one `warn!`
/// says so, and the file ends there. It can be read at any time; if the process is killed, what was not written is at most
/// the last moment.
///
/// ```no_run
/// use straits::{Capture, Configuration, PeerConnection};
///
/// # fn main() -> Result<(), straits::Error> {
/// let capture = Capture::create("wire.pcapng")?;
/// let configuration = Configuration::default().capture(capture.clone());
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Capture(Arc<Writer>);

impl Capture {
    /// Makes the file, with the permissions 0600 where there are such, or replaces it.
    ///
    /// # Errors
    ///
    /// `OperationError` when the file cannot be opened for writing. What goes wrong later is only logged.
    pub fn create(path: impl AsRef<Path>) -> Result<Self, Error> {
        Self::start(path.as_ref(), "straits::Capture::create")
            .map_err(|error| Error::io(&error, "name a file that can be written"))
    }

    /// Waits until everything that was captured so far is in the file; up to a minute, should the disk hang.
    ///
    /// It blocks the thread. There is no need for it before the process ends in order: when the last connection of an
    /// endpoint ends, the file is brought up to date.
    pub fn flush(&self) {
        self.0.flush(Duration::from_secs(60));
    }

    /// `switch` is what asked for it.
    fn start(path: &Path, switch: &str) -> io::Result<Self> {
        let writer = Writer::open(path, Existing::Replace, report_losses)?;
        writer.append(usize::MAX, |out| begin(out, switch));
        Ok(Self(Arc::new(writer)))
    }

    fn write_secret(&self, line: &KeyLogLine) {
        // Without it nothing can be read; it has room that packets have not.
        if !self.0.append(MAX_QUEUE * 2, |out| blocks::decryption_secrets(out, line.as_str())) {
            tracing::debug!("a secret is missing in the capture, because the disk is slow");
        }
    }

    /// A run of datagrams of `stride` bytes, but for the last one.
    fn write_datagrams(&self, direction: Direction, route: Route, run: &[u8], stride: usize) {
        let (source, destination) = ends(direction, route);
        let written = self.0.append(MAX_QUEUE, |out| {
            // Read here, so that times are in the order of the file.
            let time = now();
            for datagram in datagrams(run, stride) {
                let header = headers::udp(source, destination, datagram);
                blocks::enhanced_packet(out, Interface::Udp, direction, time, header.as_bytes(), datagram);
            }
        });
        if !written {
            self.count_lost(Interface::Udp, datagrams(run, stride).count() as u64);
        }
    }

    fn write_packet(&self, direction: Direction, route: Route, packet: &[u8]) {
        let (source, destination) = ends(direction, route);
        let written = self.0.append(MAX_QUEUE, |out| {
            let header = headers::sctp(source, destination, packet);
            blocks::enhanced_packet(out, Interface::Sctp, direction, now(), header.as_bytes(), packet);
        });
        if !written {
            self.count_lost(Interface::Sctp, 1);
        }
    }

    fn count_lost(&self, interface: Interface, packets: u64) {
        self.0.count_lost(interface as usize, packets);
    }
}

/// Shows where it is.
impl fmt::Debug for Capture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Capture").field(&self.0.path()).finish()
    }
}

/// The interfaces of the file, by their numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Interface {
    Udp = 0,
    Sctp = 1,
}

/// What every file begins with.
fn begin(out: &mut Vec<u8>, switch: &str) {
    let comment = format!(
        "This file holds secrets: the keys of DTLS sessions, and what was sent in them in the clear. \
         It was written because {switch} asked for it."
    );
    blocks::section_header(out, &comment, concat!("straits ", env!("CARGO_PKG_VERSION")));
    blocks::interface_description(out, "udp", "UDP datagrams as sent and received");
    blocks::interface_description(out, "sctp", "SCTP packets, decrypted, in made-up IP headers");
}

fn report_losses(out: &mut Vec<u8>, losses: Losses) {
    for interface in [Interface::Udp, Interface::Sctp] {
        let lost = losses[interface as usize];
        if lost > 0 {
            blocks::interface_statistics(out, interface, now(), lost);
        }
    }
}

/// Where a packet comes from and where it goes.
fn ends(direction: Direction, route: Route) -> (std::net::SocketAddr, std::net::SocketAddr) {
    match direction {
        Direction::Inbound => (route.remote, route.local),
        Direction::Outbound => (route.local, route.remote),
    }
}

/// The datagrams of a run: at least one, which may be empty.
fn datagrams(run: &[u8], stride: usize) -> impl Iterator<Item = &[u8]> {
    let empty = run.is_empty().then_some(run);
    empty.into_iter().chain(run.chunks(stride.max(1)))
}

/// Nanoseconds since 1970; they fit until the year 2554.
fn now() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

/// Bytes that may wait for the disk: a second at the rate that a laptop's disk writes with ease.
const MAX_QUEUE: usize = 8 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_interfaces_that_lost_something_are_reported() {
        let mut out = Vec::new();
        report_losses(&mut out, [0, 3]);
        assert_eq!((out.len(), out[0], out[8], out[24]), (40, 5, 1, 3));
        report_losses(&mut out, [2, 4]);
        assert_eq!((out.len(), out[48], out[64], out[88], out[104]), (120, 0, 2, 1, 4));
    }

    #[test]
    fn runs_are_cut_into_datagrams() {
        let cut = |run, stride| datagrams(run, stride).collect::<Vec<_>>();
        assert_eq!(cut(b"abcde", 2), [&b"ab"[..], b"cd", b"e"]);
        assert_eq!(cut(b"abcde", 5), [b"abcde"]);
        assert_eq!(cut(b"", 0), [b""]);
    }
}
