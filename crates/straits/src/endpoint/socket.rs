//! One UDP socket: batches in, GSO runs out.

use bytes::Bytes;
use quinn_udp::{RecvMeta, Transmit, UdpSocketState};
use socket2::{Domain, Protocol, Type};
use std::collections::VecDeque;
use std::io::{self, IoSliceMut};
use std::net::{IpAddr, SocketAddr};
use std::task::{Context, Poll, ready};
use straits_peer::ice::Route;
use tokio::io::Interest;
use tokio::net::UdpSocket;

#[derive(Debug)]
pub(super) struct Socket {
    io: UdpSocket,
    state: UdpSocketState,
    local: SocketAddr,
    /// Built when the socket took no more; sent before anything else is built for it.
    unsent: VecDeque<(Run, Bytes)>,
}

/// Datagrams for one route: all of `segment_size` bytes but the last, which may be shorter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Run {
    pub(super) route: Route,
    pub(super) size: usize,
    pub(super) segment_size: Option<usize>,
}

/// What became of a run.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Sent {
    /// The system took it.
    Done,
    /// The socket takes nothing now.
    Blocked,
    /// The path takes no datagram of this size.
    TooLarge,
    /// The system refused it, as it may; what was in it counts as lost.
    Refused,
}

impl From<&io::Error> for Sent {
    /// What an error of a send means. None ends the socket, nor a connection: a path that is gone is found out by those who
    /// wait for answers, and all else may pass.
    fn from(error: &io::Error) -> Self {
        if error.kind() == io::ErrorKind::WouldBlock {
            Self::Blocked
        } else if quinn_udp::is_msg_size_err(error) {
            Self::TooLarge
        } else {
            // EPERM, of a packet filter; ENOBUFS, of a full queue; ECONNREFUSED, of a datagram before this one; no route;
            // an interface that is down.
            Self::Refused
        }
    }
}

impl Socket {
    /// Binds `address`; an IPv6 socket takes no IPv4. The buffers get up to `buffer_size` bytes, as far as the system
    /// allows.
    pub(super) fn bind(address: SocketAddr, buffer_size: usize) -> io::Result<Self> {
        let socket = socket2::Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
        if address.is_ipv6() {
            socket.set_only_v6(true)?;
        }
        socket.set_nonblocking(true)?;
        socket.bind(&address.into())?;
        let state = UdpSocketState::new((&socket).into())?;
        let receive = state.set_recv_buffer_size((&socket).into(), buffer_size);
        let send = state.set_send_buffer_size((&socket).into(), buffer_size);
        let io = UdpSocket::from_std(socket.into())?;
        let local = io.local_addr()?;
        tracing::debug!(%local, ?receive, ?send, gso = state.max_gso_segments(), "socket bound");
        Ok(Self { io, state, local, unsent: VecDeque::new() })
    }

    pub(super) fn local(&self) -> SocketAddr {
        self.local
    }

    pub(super) fn max_segments(&self) -> usize {
        self.state.max_gso_segments().clamp(1, MAX_SEGMENTS)
    }

    /// Does a datagram with this source address leave through this socket?
    pub(super) fn carries(&self, local: SocketAddr) -> bool {
        self.local.port() == local.port()
            && self.local.is_ipv4() == local.is_ipv4()
            && (self.local.ip().is_unspecified() || self.local.ip() == local.ip())
    }

    /// Reads as many datagrams, or runs of them that the system joined (GRO), as there are buffers.
    pub(super) fn poll_recv(
        &self,
        cx: &mut Context<'_>,
        buffers: &mut [IoSliceMut<'_>],
        metas: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.io.poll_recv_ready(cx))?;
            let read = || self.state.recv((&self.io).into(), buffers, metas);
            match self.io.try_io(Interest::READABLE, read) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                result => return Poll::Ready(result),
            }
        }
    }

    /// Cheap: is there anything to read, as far as is known without asking the system?
    pub(super) fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.io.poll_recv_ready(cx).map(|_| ())
    }

    /// The route of what was received: the address it came to, and the address it came from.
    pub(super) fn route(&self, meta: &RecvMeta) -> Route {
        let ip = meta.dst_ip.filter(|ip| ip.is_ipv4() == self.local.is_ipv4()).unwrap_or(self.local.ip());
        Route { local: SocketAddr::new(ip, self.local.port()), remote: plain(meta.addr) }
    }

    pub(super) fn is_blocked(&self) -> bool {
        !self.unsent.is_empty()
    }

    /// Sends a run, or keeps a copy of it when the socket is blocked.
    pub(super) fn send(&mut self, run: Run, contents: &[u8]) -> Sent {
        let sent = if self.is_blocked() { Sent::Blocked } else { self.try_send(run, contents) };
        if sent == Sent::Blocked {
            self.unsent.push_back((run, Bytes::copy_from_slice(contents)));
        }
        sent
    }

    /// Sends what was kept, and tells what the system did not take. `true`: nothing is kept any more.
    pub(super) fn poll_flush(&mut self, cx: &mut Context<'_>, lost: &mut Vec<(Run, Sent)>) -> bool {
        while let Some((run, contents)) = self.unsent.pop_front() {
            if self.io.poll_send_ready(cx).is_pending() {
                self.unsent.push_front((run, contents));
                return false;
            }
            match self.try_send(run, &contents) {
                Sent::Done => {}
                // That cleared the readiness, and the next round asks to be told.
                Sent::Blocked => self.unsent.push_front((run, contents)),
                sent @ (Sent::TooLarge | Sent::Refused) => lost.push((run, sent)),
            }
        }
        true
    }

    fn try_send(&self, run: Run, contents: &[u8]) -> Sent {
        let ip = run.route.local.ip();
        let transmit = Transmit {
            destination: run.route.remote,
            ecn: None,
            contents,
            segment_size: run.segment_size,
            src_ip: Some(ip).filter(|ip| !ip.is_unspecified()),
        };
        let write = || self.state.try_send((&self.io).into(), &transmit);
        let Err(error) = self.io.try_io(Interest::WRITABLE, write) else {
            return Sent::Done;
        };
        let sent = Sent::from(&error);
        if sent != Sent::Refused {
            return sent;
        }
        tracing::debug!(%error, route = ?run.route, size = contents.len(), "send refused");
        match run.segment_size {
            // Some drivers refuse segmented sends; quinn-udp has turned them off for this socket by now.
            Some(size) if self.state.max_gso_segments() == 1 => {
                self.try_send_singly(run.route, size, contents)
            }
            _ => Sent::Refused,
        }
    }

    /// A datagram that finds the socket blocked here is lost, as any datagram may be.
    fn try_send_singly(&self, route: Route, size: usize, contents: &[u8]) -> Sent {
        for datagram in contents.chunks(size) {
            let sent = self.try_send(Run { route, size: datagram.len(), segment_size: None }, datagram);
            if sent != Sent::Done {
                return if sent == Sent::Blocked { Sent::Refused } else { sent };
            }
        }
        Sent::Done
    }
}

/// Flow labels and scopes of global addresses are not part of who the peer is.
fn plain(address: SocketAddr) -> SocketAddr {
    match address {
        SocketAddr::V6(v6) if v6.ip().is_unicast_link_local() => address,
        _ => SocketAddr::new(unmapped(address.ip()), address.port()),
    }
}

fn unmapped(ip: IpAddr) -> IpAddr {
    ip.to_canonical()
}

/// Datagrams in one run. The system takes 64; this many of the usual 1228 bytes fit into the 64 KiB that it also takes.
const MAX_SEGMENTS: usize = 44;

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;
    use std::net::Ipv4Addr;

    /// Readiness is unknown right after binding, so the first send is refused; it is kept, and nothing overtakes it.
    #[tokio::test]
    async fn what_a_blocked_socket_keeps_leaves_first_and_in_order() {
        let receiver = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let mut socket = Socket::bind((Ipv4Addr::LOCALHOST, 0).into(), 1 << 20).unwrap();
        let route = Route { local: socket.local(), remote: receiver.local_addr().unwrap() };
        let first = socket.send(Run { route, size: 5, segment_size: Some(2) }, b"aabbc");
        let second = socket.send(Run { route, size: 1, segment_size: None }, b"d");
        assert_eq!((first, second), (Sent::Blocked, Sent::Blocked));
        assert_eq!(flush(&mut socket).await, []);
        assert!(!socket.is_blocked());
        assert_eq!(socket.send(Run { route, size: 1, segment_size: None }, b"e"), Sent::Done);
        let mut buffer = [0; 16];
        for expected in [b"aa".as_slice(), b"bb", b"c", b"d", b"e"] {
            let (len, from) = receiver.recv_from(&mut buffer).await.unwrap();
            assert_eq!((&buffer[..len], from), (expected, socket.local()));
        }
    }

    async fn flush(socket: &mut Socket) -> Vec<(Run, Sent)> {
        let mut lost = Vec::new();
        poll_fn(|cx| if socket.poll_flush(cx, &mut lost) { Poll::Ready(()) } else { Poll::Pending }).await;
        lost
    }

    /// What the system does not take of it is told as it would have been at once.
    #[tokio::test]
    async fn what_a_blocked_socket_keeps_and_cannot_send_is_told() {
        let receiver = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let mut socket = Socket::bind((Ipv4Addr::LOCALHOST, 0).into(), 1 << 20).unwrap();
        let route = |remote| Route { local: socket.local(), remote };
        let open = route(receiver.local_addr().unwrap());
        let runs = [(open, 65_508), (route((Ipv4Addr::BROADCAST, 9).into()), 1), (open, 2)]
            .map(|(route, size)| Run { route, size, segment_size: None });
        for run in runs {
            assert_eq!(socket.send(run, &vec![7; run.size]), Sent::Blocked);
        }
        assert_eq!(flush(&mut socket).await, [(runs[0], Sent::TooLarge), (runs[1], Sent::Refused)]);
        let mut buffer = [0; 16];
        assert_eq!(receiver.recv_from(&mut buffer).await.unwrap(), (2, socket.local()));
    }

    /// Linux's numbers (errno.h).
    #[cfg(target_os = "linux")]
    #[test]
    fn errors_of_a_send() {
        let expected = [
            ("EPERM", 1, Sent::Refused),
            ("EAGAIN", 11, Sent::Blocked),
            ("EACCES", 13, Sent::Refused),
            ("EINVAL", 22, Sent::Refused),
            ("EMSGSIZE", 90, Sent::TooLarge),
            ("EADDRNOTAVAIL", 99, Sent::Refused),
            ("ENETDOWN", 100, Sent::Refused),
            ("ENETUNREACH", 101, Sent::Refused),
            ("ENOBUFS", 105, Sent::Refused),
            ("ECONNREFUSED", 111, Sent::Refused),
            ("EHOSTUNREACH", 113, Sent::Refused),
        ];
        for (name, number, sent) in expected {
            assert_eq!(Sent::from(&io::Error::from_raw_os_error(number)), sent, "{name}");
        }
    }

    /// What the system refuses for good (EACCES: broadcast was not asked for), or answers by ICMP (a closed port), is lost;
    /// what follows for others is not.
    #[tokio::test]
    async fn refused_datagrams_leave_the_socket_as_it_was() {
        let receiver = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let closed = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap().local_addr().unwrap();
        let mut socket = Socket::bind((Ipv4Addr::LOCALHOST, 0).into(), 1 << 20).unwrap();
        poll_fn(|cx| socket.io.poll_send_ready(cx)).await.unwrap();
        let mut send = |remote: SocketAddr, contents: &[u8]| {
            let route = Route { local: socket.local(), remote };
            socket.send(Run { route, size: contents.len(), segment_size: None }, contents)
        };
        let open = receiver.local_addr().unwrap();
        for n in 0..3 {
            assert_eq!(send((Ipv4Addr::BROADCAST, 9).into(), b"nowhere"), Sent::Refused);
            assert_eq!(send(closed, b"nobody"), Sent::Done);
            assert_eq!(send(open, &[n]), Sent::Done);
        }
        let mut buffer = [0; 16];
        for n in 0..3 {
            let (len, _) = receiver.recv_from(&mut buffer).await.unwrap();
            assert_eq!(&buffer[..len], [n]);
        }
        // Nor does what came back for the closed port keep it from reading.
        let address = socket.local();
        receiver.send_to(b"back", address).await.unwrap();
        let mut metas = [RecvMeta::default()];
        let mut slot = [0; 16];
        let count =
            poll_fn(|cx| socket.poll_recv(cx, &mut [IoSliceMut::new(&mut slot)], &mut metas)).await.unwrap();
        assert_eq!((count, &slot[..metas[0].len]), (1, &b"back"[..]));
    }

    #[tokio::test]
    async fn a_datagram_that_no_path_takes_is_reported() {
        let mut socket = Socket::bind((Ipv4Addr::LOCALHOST, 0).into(), 1 << 20).unwrap();
        poll_fn(|cx| socket.io.poll_send_ready(cx)).await.unwrap();
        let route = Route { local: socket.local(), remote: (Ipv4Addr::LOCALHOST, 9).into() };
        let datagram = vec![0; 65_508];
        let run = Run { route, size: datagram.len(), segment_size: None };
        assert_eq!(socket.send(run, &datagram), Sent::TooLarge);
    }
}
