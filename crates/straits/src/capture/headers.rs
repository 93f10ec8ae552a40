//! The headers that a UDP socket keeps from its user, made up again: IPv4, IPv6, UDP.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// IP and UDP headers for a datagram.
pub(super) fn udp(source: SocketAddr, destination: SocketAddr, payload: &[u8]) -> Header {
    let len = UDP_LEN + payload.len();
    let mut header = ip(source.ip(), destination.ip(), UDP, len);
    let start = header.len;
    header.push(&source.port().to_be_bytes());
    header.push(&destination.port().to_be_bytes());
    header.push(&u16_of(len).to_be_bytes());
    header.push(&[0, 0]);
    let udp = &header.bytes[start..header.len];
    let pseudo = pseudo_header(source.ip(), destination.ip(), len);
    // RFC 768: a checksum of zero is sent as all ones, because zero says that there is none.
    let checksum = match checksum([&pseudo, udp, payload]) {
        0 => u16::MAX,
        checksum => checksum,
    };
    header.bytes[header.len - 2..header.len].copy_from_slice(&checksum.to_be_bytes());
    header
}

/// An IP header for an SCTP packet, as if it had been sent without DTLS and UDP around it (RFC 9260 §1.1).
pub(super) fn sctp(source: SocketAddr, destination: SocketAddr, packet: &[u8]) -> Header {
    ip(source.ip(), destination.ip(), SCTP, packet.len())
}

/// What goes before the payload.
pub(super) struct Header {
    bytes: [u8; IPV6_LEN + UDP_LEN],
    len: usize,
}

impl Header {
    fn push(&mut self, bytes: &[u8]) {
        self.bytes[self.len..self.len + bytes.len()].copy_from_slice(bytes);
        self.len += bytes.len();
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

/// A header for `len` bytes of `protocol`. The addresses of a route are of one family.
fn ip(source: IpAddr, destination: IpAddr, protocol: u8, len: usize) -> Header {
    match (source, destination) {
        (IpAddr::V4(source), IpAddr::V4(destination)) => ipv4(source, destination, protocol, len),
        (source, destination) => ipv6(v6(source), v6(destination), protocol, len),
    }
}

/// RFC 791 §3.1.
fn ipv4(source: Ipv4Addr, destination: Ipv4Addr, protocol: u8, len: usize) -> Header {
    let mut header = Header { bytes: [0; IPV6_LEN + UDP_LEN], len: 0 };
    header.push(&[0x45, 0]);
    header.push(&u16_of(IPV4_LEN + len).to_be_bytes());
    // No identification, "don't fragment", as it was sent.
    header.push(&[0, 0, 0x40, 0, HOP_LIMIT, protocol, 0, 0]);
    header.push(&source.octets());
    header.push(&destination.octets());
    let checksum = checksum([header.as_bytes(), &[], &[]]);
    header.bytes[10..12].copy_from_slice(&checksum.to_be_bytes());
    header
}

/// RFC 8200 §3.
fn ipv6(source: Ipv6Addr, destination: Ipv6Addr, protocol: u8, len: usize) -> Header {
    let mut header = Header { bytes: [0; IPV6_LEN + UDP_LEN], len: 0 };
    header.push(&[0x60, 0, 0, 0]);
    header.push(&u16_of(len).to_be_bytes());
    header.push(&[protocol, HOP_LIMIT]);
    header.push(&source.octets());
    header.push(&destination.octets());
    header
}

/// RFC 768, and RFC 8200 §8.1; the sum of the IPv6 one does not depend on where its fields stand.
fn pseudo_header(source: IpAddr, destination: IpAddr, len: usize) -> [u8; 36] {
    let mut bytes = [0; 36];
    match (source, destination) {
        (IpAddr::V4(source), IpAddr::V4(destination)) => {
            bytes[..4].copy_from_slice(&source.octets());
            bytes[4..8].copy_from_slice(&destination.octets());
        }
        (source, destination) => {
            bytes[..16].copy_from_slice(&v6(source).octets());
            bytes[16..32].copy_from_slice(&v6(destination).octets());
        }
    }
    bytes[33] = UDP;
    bytes[34..].copy_from_slice(&u16_of(len).to_be_bytes());
    bytes
}

/// RFC 1071. All parts but the last must have an even length.
fn checksum(parts: [&[u8]; 3]) -> u16 {
    let mut sum = 0_u64;
    for part in parts {
        for word in part.chunks(2) {
            sum += u64::from(u16::from_be_bytes([word[0], word.get(1).copied().unwrap_or(0)]));
        }
    }
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

fn v6(ip: IpAddr) -> Ipv6Addr {
    match ip {
        IpAddr::V4(ip) => ip.to_ipv6_mapped(),
        IpAddr::V6(ip) => ip,
    }
}

/// What came off a socket, or went into one, fits.
fn u16_of(len: usize) -> u16 {
    u16::try_from(len).unwrap_or(u16::MAX)
}

const IPV4_LEN: usize = 20;
const IPV6_LEN: usize = 40;
const UDP_LEN: usize = 8;
const UDP: u8 = 17;
const SCTP: u8 = 132;
/// Of packets as they are sent; of those received it is not known.
const HOP_LIMIT: u8 = 64;

#[cfg(test)]
mod tests {
    use super::*;

    /// Sums worked out by hand.
    #[test]
    fn udp_over_ipv4() {
        let source = SocketAddr::from(([192, 0, 2, 1], 0x1234));
        let destination = SocketAddr::from(([192, 0, 2, 2], 0x5678));
        let header = udp(source, destination, b"abc");
        // 4500 + 001f + 4000 + 4011 + c000 + 0201 + c000 + 0202 = 24933, ~(4933 + 2) = b6ca
        // c000 + 0201 + c000 + 0202 + 0011 + 000b + 1234 + 5678 + 000b + 6162 + 6300 = 2b138, ~(b138 + 2) = 4ec5
        #[rustfmt::skip]
        let expected = [
            0x45, 0, 0, 31, 0, 0, 0x40, 0, 64, 17, 0xb6, 0xca, 192, 0, 2, 1, 192, 0, 2, 2,
            0x12, 0x34, 0x56, 0x78, 0, 11, 0x4e, 0xc5,
        ];
        assert_eq!(header.as_bytes(), expected);
    }

    #[test]
    fn udp_over_ipv6() {
        let source = SocketAddr::from((Ipv6Addr::LOCALHOST, 1));
        let destination = SocketAddr::from((Ipv6Addr::LOCALHOST, 2));
        let header = udp(source, destination, &[]);
        let mut expected = [0; 48];
        expected[0] = 0x60;
        expected[5] = 8;
        expected[6..8].copy_from_slice(&[17, 64]);
        (expected[23], expected[39]) = (1, 1);
        // 1 + 1 + 17 + 8 + 1 + 2 + 8 = 38 = 0x26
        expected[40..].copy_from_slice(&[0, 1, 0, 2, 0, 8, 0xff, 0xd9]);
        assert_eq!(header.as_bytes(), expected);
    }

    #[test]
    fn sctp_has_only_an_ip_header() {
        let source = SocketAddr::from(([10, 0, 0, 1], 1));
        let destination = SocketAddr::from(([10, 0, 0, 2], 2));
        let header = sctp(source, destination, &[0; 12]);
        // 4500 + 0020 + 4000 + 4084 + 0a00 + 0001 + 0a00 + 0002 = d9a7
        let expected = [0x45, 0, 0, 32, 0, 0, 0x40, 0, 64, 132, 0x26, 0x58, 10, 0, 0, 1, 10, 0, 0, 2];
        assert_eq!(header.as_bytes(), expected);
    }

    /// RFC 768: "If the computed checksum is zero, it is transmitted as all ones".
    #[test]
    fn checksum_zero_is_all_ones() {
        let source = SocketAddr::from((Ipv6Addr::LOCALHOST, 1));
        let destination = SocketAddr::from((Ipv6Addr::LOCALHOST, 2));
        // Two more bytes in both lengths: 0x2a and the payload make 0xffff.
        let header = udp(source, destination, &0xffd5_u16.to_be_bytes());
        assert_eq!(header.as_bytes()[46..], [0xff, 0xff]);
    }
}
