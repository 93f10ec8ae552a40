//! DTLS that comes before ICE has validated where it comes from.

use bytes::Bytes;
use std::collections::VecDeque;
use straits_peer::ice::Route;

/// A few datagrams of a few sources, unparsed. The peer's ClientHello may overtake its check, and waiting for it to be
/// sent again costs a round trip or more.
#[derive(Debug, Default)]
pub(super) struct Early {
    sources: VecDeque<(Route, Source)>,
}

#[derive(Debug, Default)]
struct Source {
    datagrams: Vec<Bytes>,
    size: usize,
}

impl Early {
    /// `false`: not kept.
    pub(super) fn keep(&mut self, route: Route, datagram: &[u8]) -> bool {
        let index = match self.sources.iter().position(|(known, _)| *known == route) {
            Some(index) => index,
            None if self.sources.len() < MAX_SOURCES => {
                self.sources.push_back((route, Source::default()));
                self.sources.len() - 1
            }
            None => return false,
        };
        let source = &mut self.sources[index].1;
        let fits = source.datagrams.len() < MAX_DATAGRAMS && source.size + datagram.len() <= MAX_SIZE;
        if fits {
            source.size += datagram.len();
            source.datagrams.push(Bytes::copy_from_slice(datagram));
        }
        fits
    }

    /// What came over a route that is proven now, in order.
    pub(super) fn take(&mut self, route: Route) -> Vec<Bytes> {
        let index = self.sources.iter().position(|(known, _)| *known == route);
        index.and_then(|index| self.sources.remove(index)).map_or(Vec::new(), |(_, source)| source.datagrams)
    }
}

const MAX_SOURCES: usize = 4;
const MAX_DATAGRAMS: usize = 8;
const MAX_SIZE: usize = 16 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    fn route(port: u16) -> Route {
        Route { local: ([127, 0, 0, 1], 1000).into(), remote: ([127, 0, 0, 1], port).into() }
    }

    #[test]
    fn datagrams_come_back_in_order_once() {
        let mut early = Early::default();
        assert!(early.keep(route(1), b"a") && early.keep(route(2), b"x") && early.keep(route(1), b"b"));
        assert_eq!(early.take(route(1)), [Bytes::from("a"), Bytes::from("b")]);
        assert!(early.take(route(1)).is_empty());
        assert_eq!(early.take(route(2)), [Bytes::from("x")]);
    }

    #[test]
    fn every_limit_holds() {
        let mut early = Early::default();
        for _ in 0..MAX_DATAGRAMS {
            assert!(early.keep(route(1), b"a"));
        }
        assert!(!early.keep(route(1), b"a"));
        assert!(early.keep(route(2), &[0; MAX_SIZE]));
        assert!(!early.keep(route(2), b"a"));
        assert!(early.keep(route(3), b"a") && early.keep(route(4), b"a"));
        assert!(!early.keep(route(5), b"a"));
    }
}
