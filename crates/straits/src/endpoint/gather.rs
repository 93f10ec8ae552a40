//! Host candidates: the addresses of the machine that the sockets cover.

use std::net::{IpAddr, SocketAddr};

/// The transport addresses to offer for sockets bound to `bound`, in the order of the interfaces.
pub(super) fn addresses(bound: &[SocketAddr], include_loopback: bool) -> Vec<SocketAddr> {
    let interfaces = match if_addrs::get_if_addrs() {
        Ok(interfaces) => interfaces.iter().map(if_addrs::Interface::ip).collect(),
        Err(error) => {
            tracing::warn!(%error, "network interfaces not listed");
            Vec::new()
        }
    };
    select(bound, &interfaces, include_loopback)
}

fn select(bound: &[SocketAddr], interfaces: &[IpAddr], include_loopback: bool) -> Vec<SocketAddr> {
    let mut addresses = Vec::new();
    for socket in bound {
        let covered = interfaces.iter().filter(|ip| {
            ip.is_ipv4() == socket.is_ipv4() && (socket.ip().is_unspecified() || socket.ip() == **ip)
        });
        for ip in covered.filter(|ip| is_usable(**ip)) {
            let address = SocketAddr::new(*ip, socket.port());
            if !addresses.contains(&address) {
                addresses.push(address);
            }
        }
    }
    // A socket bound to a loopback address says that loopback is wanted.
    let asked = include_loopback || bound.iter().any(|socket| socket.ip().is_loopback());
    if !asked && addresses.iter().any(|address| !address.ip().is_loopback()) {
        addresses.retain(|address| !address.ip().is_loopback());
    }
    addresses
}

/// RFC 8445 §5.1.1.1 leaves out "Deprecated IPv4-compatible IPv6 addresses"; link-local IPv6 needs a zone that a
/// candidate cannot carry.
fn is_usable(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(v4) => !v4.is_unspecified(),
        IpAddr::V6(v6) => !v6.is_unspecified() && !v6.is_unicast_link_local(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ips(texts: &[&str]) -> Vec<IpAddr> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    fn sockets(texts: &[&str]) -> Vec<SocketAddr> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn loopback_only_when_asked_or_when_there_is_nothing_else() {
        let bound = sockets(&["0.0.0.0:5000", "[::]:6000"]);
        let all = ips(&["127.0.0.1", "::1", "192.0.2.2", "2001:db8::2", "fe80::1"]);
        assert_eq!(select(&bound, &all, false), sockets(&["192.0.2.2:5000", "[2001:db8::2]:6000"]));
        assert_eq!(
            select(&bound, &all, true),
            sockets(&["127.0.0.1:5000", "192.0.2.2:5000", "[::1]:6000", "[2001:db8::2]:6000"])
        );
        let nothing_else = ips(&["127.0.0.1", "fe80::1"]);
        assert_eq!(select(&bound, &nothing_else, false), sockets(&["127.0.0.1:5000"]));
    }

    #[test]
    fn a_bound_address_offers_itself_only() {
        let all = ips(&["127.0.0.1", "192.0.2.2", "192.0.2.3"]);
        assert_eq!(select(&sockets(&["192.0.2.3:9"]), &all, true), sockets(&["192.0.2.3:9"]));
        assert_eq!(select(&sockets(&["127.0.0.1:9"]), &all, false), sockets(&["127.0.0.1:9"]));
    }
}
