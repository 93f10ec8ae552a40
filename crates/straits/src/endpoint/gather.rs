//! Host candidates: the addresses of the machine that the sockets cover, or what they are announced as.

use super::EndpointConfiguration;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

/// Finds the addresses to offer.
#[derive(Debug)]
pub(super) struct Gatherer {
    bound: Vec<SocketAddr>,
    include_loopback: bool,
    /// Port 0: that of the socket.
    announced: Vec<SocketAddr>,
    found: Vec<LocalAddress>,
    /// When `found` was found.
    at: Option<Instant>,
}

/// An address of the machine, and what peers are told in its place: the same, unless something else is announced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct LocalAddress {
    pub(super) address: SocketAddr,
    pub(super) announced: SocketAddr,
}

impl Gatherer {
    pub(super) fn new(bound: Vec<SocketAddr>, configuration: &EndpointConfiguration) -> Self {
        Self {
            bound,
            include_loopback: configuration.include_loopback,
            announced: configuration.announced.clone(),
            found: Vec::new(),
            at: None,
        }
    }

    /// In the order of the interfaces. They are listed anew at most once a second, whoever comes and goes.
    pub(super) fn addresses(&mut self, now: Instant) -> &[LocalAddress] {
        if self.at.is_none_or(|at| now.saturating_duration_since(at) >= INTERFACES_KEPT) {
            let addresses = select(&self.bound, &interfaces(), self.include_loopback);
            self.found = announce(&addresses, &self.announced);
            self.at = Some(now);
            tracing::debug!(found = ?self.found, "gathered");
        }
        &self.found
    }
}

fn interfaces() -> Vec<IpAddr> {
    match if_addrs::get_if_addrs() {
        Ok(interfaces) => interfaces.iter().map(if_addrs::Interface::ip).collect(),
        Err(error) => {
            tracing::warn!(%error, "network interfaces not listed");
            Vec::new()
        }
    }
}

/// Which of its addresses a NAT maps the announced one to is not known: each of the same family may be it.
fn announce(addresses: &[SocketAddr], announced: &[SocketAddr]) -> Vec<LocalAddress> {
    if announced.is_empty() {
        return addresses.iter().map(|&address| LocalAddress { address, announced: address }).collect();
    }
    let mut pairs = Vec::new();
    for told in announced {
        for &address in addresses.iter().filter(|address| address.is_ipv4() == told.is_ipv4()) {
            let port = if told.port() == 0 { address.port() } else { told.port() };
            pairs.push(LocalAddress { address, announced: SocketAddr::new(told.ip(), port) });
        }
    }
    pairs
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

/// Longer than a burst of connections takes, shorter than anybody notices an interface to be missing.
const INTERFACES_KEPT: Duration = Duration::from_secs(1);

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

    #[test]
    fn announced_addresses_take_the_place_of_the_machines() {
        let own = sockets(&["10.0.0.5:3478", "10.1.0.5:3478", "[2001:db8::2]:3478"]);
        let pairs = |announced: &[&str]| -> Vec<(String, String)> {
            let pairs = announce(&own, &sockets(announced));
            pairs.iter().map(|pair| (pair.address.to_string(), pair.announced.to_string())).collect()
        };
        let pair = |address: &str, announced: &str| (address.to_owned(), announced.to_owned());
        assert_eq!(
            pairs(&["203.0.113.7:0"]),
            [pair("10.0.0.5:3478", "203.0.113.7:3478"), pair("10.1.0.5:3478", "203.0.113.7:3478")]
        );
        assert_eq!(pairs(&["[2001:db8::9]:443"]), [pair("[2001:db8::2]:3478", "[2001:db8::9]:443")]);
        assert_eq!(pairs(&[])[2], pair("[2001:db8::2]:3478", "[2001:db8::2]:3478"));
    }
}
