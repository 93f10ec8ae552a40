//! Settings of a session.

use std::time::Duration;

/// Settings of a [`Session`](crate::Session).
///
/// Some limits are OpenSSL's own and cannot be set: it holds handshake messages at most 10 ahead of the one it waits for,
/// drops application records it cannot decrypt without a word, and has a replay window of 64 records.
#[derive(Clone, Debug)]
pub struct Config {
    pub(crate) mtu: u16,
    pub(crate) handshake_timeout: Duration,
    pub(crate) max_handshake_message: usize,
    pub(crate) max_handshake_fragments: usize,
    pub(crate) max_handshake_bytes: usize,
    pub(crate) key_log: bool,
}

impl Config {
    /// Largest datagram that the handshake makes, in bytes of UDP payload.
    ///
    /// Default 1200: with IPv6, UDP and TURN around it still below 1280, the smallest MTU of IPv6. Flights larger than this
    /// are fragmented by DTLS; data records are as large as what is sealed. A flight that has to be sent again goes in
    /// datagrams of up to 544 bytes, or as small as its records are: a certificate with an RSA key makes one of some 900
    /// bytes, and on a path that does not take that the handshake never ends. Values below 256, OpenSSL's least, are raised
    /// to it.
    #[must_use]
    pub fn mtu(mut self, value: u16) -> Self {
        self.mtu = value.max(MIN_MTU);
        self
    }

    /// How long a handshake may take, from the session's creation, before it fails.
    ///
    /// Default 30 s, the project's bound for a handshake: with the flight timer of an unknown RTT that is six resends.
    /// Shorter values give up on paths with heavy loss; longer ones keep the memory of peers that are gone. A server's time
    /// runs from its creation too, so it is best made when ICE has a route. A handshake in which the peer has sent a fatal
    /// alert and then nothing for 3 s fails at once.
    #[must_use]
    pub fn handshake_timeout(mut self, value: Duration) -> Self {
        self.handshake_timeout = value;
        self
    }

    /// Largest plaintext handshake message taken from the peer, in bytes; a fragment of a larger one is dropped.
    ///
    /// Default 16 KiB. A ClientHello with post-quantum key shares has about 1.5 KiB, a chain of RSA certificates 4 KiB.
    /// Smaller values shut out such peers; larger ones cost memory before anything is authenticated (OpenSSL sets aside a
    /// whole message at its first fragment).
    #[must_use]
    pub fn max_handshake_message(mut self, bytes: usize) -> Self {
        self.max_handshake_message = bytes;
        self
    }

    /// How many handshake fragments are taken in one handshake, repeated ones counted; with more the handshake fails.
    ///
    /// Default 256: a peer with a certificate chain needs about 20 at the smallest MTU in use, and repeats them up to ten
    /// times on a lossy path. Smaller values fail there; larger ones let strangers keep the processor busy.
    #[must_use]
    pub fn max_handshake_fragments(mut self, count: usize) -> Self {
        self.max_handshake_fragments = count;
        self
    }

    /// How many bytes of handshake records are taken in one handshake, repeated ones counted; with more it fails.
    ///
    /// Default 128 KiB: eight times the largest message, for the same reasons as `max_handshake_fragments`.
    #[must_use]
    pub fn max_handshake_bytes(mut self, bytes: usize) -> Self {
        self.max_handshake_bytes = bytes;
        self
    }

    /// Hand out the secrets of the session, by [`Session::poll_key_log`](crate::Session::poll_key_log)?
    ///
    /// Default `false`: they never leave OpenSSL. With `true` whoever gets to see them can read everything that the session
    /// carries; it is for looking into captures while debugging.
    #[must_use]
    pub fn key_log(mut self, enabled: bool) -> Self {
        self.key_log = enabled;
        self
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            mtu: 1200,
            handshake_timeout: Duration::from_secs(30),
            max_handshake_message: 16 << 10,
            max_handshake_fragments: 256,
            max_handshake_bytes: 128 << 10,
            key_log: false,
        }
    }
}

/// OpenSSL refuses to fragment below its `dtls1_min_mtu`, 256 bytes less IP and UDP headers; we stay clear of it.
const MIN_MTU: u16 = 256;
