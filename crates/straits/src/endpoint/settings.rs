//! Settings of an endpoint.

use crate::Capture;
use crate::capture::Recorder;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// The settings of an [`Endpoint`](crate::Endpoint), with chained setters.
///
/// ```
/// use straits::EndpointConfiguration;
///
/// // A server behind a NAT that maps 203.0.113.7 to it.
/// let configuration = EndpointConfiguration::default()
///     .bind_address(([0, 0, 0, 0], 3478).into())
///     .announce([203, 0, 113, 7].into());
/// ```
#[derive(Clone, Debug)]
pub struct EndpointConfiguration {
    pub(crate) bind: Vec<SocketAddr>,
    pub(crate) socket_buffer_size: usize,
    pub(crate) include_loopback: bool,
    /// Port 0: that of the socket.
    pub(crate) announced: Vec<SocketAddr>,
    pub(crate) max_connections: usize,
    pub(crate) max_pending: usize,
    pub(crate) setup_timeout: Duration,
    pub(crate) capture: Option<Capture>,
}

impl EndpointConfiguration {
    /// Bind this address; may be called for several.
    ///
    /// Default: none given, which binds the IPv4 and the IPv6 wildcard address with ports that the system chooses, as
    /// far as the machine has the address families. Port 0 lets the system choose. An IPv6 address takes no IPv4.
    /// Candidates are the addresses of the machine that the bound ones cover, unless others are
    /// [announced](Self::announce).
    #[must_use]
    pub fn bind_address(mut self, address: SocketAddr) -> Self {
        self.bind.push(address);
        self
    }

    /// Tell peers this address, with the port of the socket, in place of those of the machine; may be called for several.
    ///
    /// For a machine behind a NAT that maps the address to it, port by port (the usual public address of a cloud
    /// machine). Default: none given, which tells the machine's own addresses. With any given, only those given are told.
    /// An address is told if a socket of its family is bound. Peers that cannot reach it do not connect.
    #[must_use]
    pub fn announce(self, address: IpAddr) -> Self {
        self.announce_address(SocketAddr::new(address, 0))
    }

    /// As [`announce`](Self::announce), where the NAT maps another port to that of the socket. Port 0 stands for that of
    /// the socket.
    #[must_use]
    pub fn announce_address(mut self, address: SocketAddr) -> Self {
        self.announced.push(address);
        self
    }

    /// Offer the loopback addresses as candidates?
    ///
    /// Default `false`, as in browsers: they are offered only when the machine has no other address, or when one is
    /// bound. With `true` peers on the same machine may use them; a remote peer wastes a few checks on them.
    #[must_use]
    pub fn include_loopback(mut self, include: bool) -> Self {
        self.include_loopback = include;
        self
    }

    /// Size in bytes that is asked for the receive and the send buffer of each socket.
    ///
    /// Default 4 MiB, the receive window of a connection: a burst of that size then survives a reader that is late. The
    /// system may grant less (Linux: `net.core.rmem_max`, `wmem_max`). Smaller values lose packets under load, and all
    /// connections of a socket share it.
    #[must_use]
    pub fn socket_buffer_size(mut self, bytes: usize) -> Self {
        self.socket_buffer_size = bytes;
        self
    }

    /// Most connections at a time.
    ///
    /// Default 16,384, which hold about 1.5 GB while they are idle: some 90 KiB each. Over it `connect` and `accept` fail with
    /// [`EndpointError::TooManyConnections`](crate::EndpointError::TooManyConnections). Larger values need the memory,
    /// and peers that want more than their share are to be turned away before that.
    #[must_use]
    pub fn max_connections(mut self, connections: usize) -> Self {
        self.max_connections = connections;
        self
    }

    /// Most connections at a time that were never connected yet.
    ///
    /// Default 1024: at a handshake of 100 ms, ten thousand new connections a second. Over it `connect` and `accept` fail
    /// with [`EndpointError::TooManyPending`](crate::EndpointError::TooManyPending). Each offer that a stranger sends costs
    /// one until it is connected or [`setup_timeout`](Self::setup_timeout) is over. Larger values let more of those pile
    /// up, smaller ones refuse peers when many come at once.
    #[must_use]
    pub fn max_pending(mut self, connections: usize) -> Self {
        self.max_pending = connections;
        self
    }

    /// How long a connection may take to be connected, from `connect` or `accept` on, or again when it has failed.
    ///
    /// Default 30 s, as ICE waits for an answer and DTLS for its handshake. After it the connection ends by itself;
    /// [`CloseReason`](crate::CloseReason) has the layer that is not up, as a rule ICE with `NoAnswer`. Smaller values
    /// give up peers on slow paths, larger ones keep what nobody finishes for longer. A connection that lost its peer has
    /// this time for an ICE restart.
    #[must_use]
    pub fn setup_timeout(mut self, timeout: Duration) -> Self {
        self.setup_timeout = timeout;
        self
    }

    /// Write everything that passes the sockets, and what the connections make of it, to a file, for Wireshark.
    ///
    /// Default: none, unless the environment variable `STRAITS_PCAP` names a file, which this takes the place of. The file
    /// has **secrets and messages in the clear**; [`Capture`] says what is in it and how to open it. It costs a copy of each
    /// packet, twice.
    #[must_use]
    pub fn capture(mut self, capture: Capture) -> Self {
        self.capture = Some(capture);
        self
    }

    /// What is written, by these settings or by the environment.
    pub(crate) fn recorder(&self) -> Option<Recorder> {
        Recorder::new(self.capture.clone())
    }
}

impl Default for EndpointConfiguration {
    fn default() -> Self {
        Self {
            bind: Vec::new(),
            socket_buffer_size: SOCKET_BUFFER_SIZE,
            include_loopback: false,
            announced: Vec::new(),
            max_connections: MAX_CONNECTIONS,
            max_pending: MAX_PENDING,
            setup_timeout: SETUP_TIMEOUT,
            capture: None,
        }
    }
}

/// The receive window, see [`EndpointConfiguration::socket_buffer_size`].
const SOCKET_BUFFER_SIZE: usize = 4 << 20;
const MAX_CONNECTIONS: usize = 16_384;
const MAX_PENDING: usize = 1024;
const SETUP_TIMEOUT: Duration = Duration::from_secs(30);
