//! Copies of the SCTP packets that pass between DTLS and SCTP, for who writes captures.

use super::Peer;
use bytes::Bytes;
use std::collections::VecDeque;
use std::fmt;
use straits_dtls::KeyLogLine;
use straits_ice::Route;

/// What [`Peer::poll_captured`] gives when [`Config::capture_packets`](crate::Config::capture_packets) asked for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Captured {
    /// An SCTP packet.
    Packet(CapturedPacket),
    /// So many packets followed that were not kept, because the owner did not take them.
    Lost(u64),
}

/// An SCTP packet as it was before DTLS sealed it, or after it opened it.
#[derive(Clone, PartialEq, Eq)]
pub struct CapturedPacket {
    /// Which way it went.
    pub direction: Direction,
    /// The route of the datagram that it was, or will be, in.
    pub route: Route,
    /// The packet, from its common header on (RFC 9260 §3.1).
    pub packet: Bytes,
}

/// Which way a packet went, as seen from this side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From the network.
    Inbound,
    /// To the network.
    Outbound,
}

impl Peer {
    /// The next SCTP packet that was sealed or opened. Received ones appear while a datagram is handled, sent ones while
    /// datagrams are built or when the connection ends.
    pub fn poll_captured(&mut self) -> Option<Captured> {
        self.tap.as_mut()?.poll()
    }

    /// The next secret of a DTLS session, if [`Config::key_log`](crate::Config::key_log) asked for them.
    ///
    /// It appears with the datagram that it takes to decrypt, or before it.
    pub fn poll_key_log(&mut self) -> Option<KeyLogLine> {
        self.key_log.pop_front()
    }
}

/// Shows no contents.
impl fmt::Debug for CapturedPacket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CapturedPacket")
            .field("direction", &self.direction)
            .field("route", &self.route)
            .field("len", &self.packet.len())
            .finish_non_exhaustive()
    }
}

/// A bounded queue of what passed.
#[derive(Debug, Default)]
pub(super) struct Tap {
    queue: VecDeque<Captured>,
    /// Of the packets in `queue`.
    bytes: usize,
}

impl Tap {
    pub(super) fn put(&mut self, direction: Direction, route: Route, packet: &[u8]) {
        let has_room = self.bytes + packet.len() <= MAX_BYTES && self.queue.len() < MAX_PACKETS;
        if has_room {
            self.bytes += packet.len();
            let packet = Bytes::copy_from_slice(packet);
            self.queue.push_back(Captured::Packet(CapturedPacket { direction, route, packet }));
        } else if let Some(Captured::Lost(packets)) = self.queue.back_mut() {
            *packets += 1;
        } else {
            self.queue.push_back(Captured::Lost(1));
        }
    }

    fn poll(&mut self) -> Option<Captured> {
        let captured = self.queue.pop_front()?;
        if let Captured::Packet(packet) = &captured {
            self.bytes -= packet.packet.len();
        }
        Some(captured)
    }
}

/// What an owner builds or feeds between two looks is far below: a driver's batches have 64 KiB.
const MAX_BYTES: usize = 1 << 20;
const MAX_PACKETS: usize = 8192;

#[cfg(test)]
mod tests {
    use super::*;

    fn route() -> Route {
        Route { local: ([192, 0, 2, 1], 1).into(), remote: ([192, 0, 2, 2], 2).into() }
    }

    fn packet(captured: &Captured) -> &Bytes {
        match captured {
            Captured::Packet(packet) => &packet.packet,
            Captured::Lost(packets) => panic!("{packets} lost"),
        }
    }

    #[test]
    fn what_nobody_takes_is_bounded_and_counted_where_it_is_missing() {
        let mut tap = Tap::default();
        let large = vec![7; MAX_BYTES / 2];
        for _ in 0..5 {
            tap.put(Direction::Outbound, route(), &large);
        }
        assert_eq!(packet(&tap.poll().unwrap()), &large);
        tap.put(Direction::Inbound, route(), b"later");
        assert_eq!(packet(&tap.poll().unwrap()), &large);
        assert_eq!(tap.poll(), Some(Captured::Lost(3)));
        assert_eq!(packet(&tap.poll().unwrap()), &b"later"[..]);
        assert_eq!((tap.poll(), tap.bytes), (None, 0));
    }

    #[test]
    fn many_small_packets_are_bounded_too() {
        let mut tap = Tap::default();
        for _ in 0..MAX_PACKETS + 2 {
            tap.put(Direction::Inbound, route(), b"");
        }
        let queue: Vec<Captured> = std::iter::from_fn(|| tap.poll()).collect();
        assert_eq!((queue.len(), queue.last()), (MAX_PACKETS + 1, Some(&Captured::Lost(2))));
    }

    #[test]
    fn debug_shows_no_contents() {
        let packet = CapturedPacket {
            direction: Direction::Inbound,
            route: route(),
            packet: Bytes::from_static(b"secret"),
        };
        let text = format!("{packet:?}");
        assert!(text.contains("Inbound") && text.contains("len: 6"), "{text}");
        assert!(!text.contains("secret"), "{text}");
    }
}
