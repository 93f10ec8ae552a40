//! Which connection a datagram is for.

use super::Key;
use std::collections::HashMap;
use straits_peer::ice::Route;
use straits_peer::{Classification, classify};

/// The tables belong to the endpoint's task alone. Connectivity checks go by the local username fragment, everything else
/// by routes that an authenticated check has proven; addresses from descriptions never route anything.
#[derive(Debug, Default)]
pub(super) struct Demux {
    fragments: HashMap<String, Key>,
    routes: HashMap<Route, Key>,
    /// Where checks were sent to: their answers carry no username. A hint only, the connection verifies the answer.
    checks: HashMap<Route, Key>,
    /// The connection of a private endpoint.
    sole: Option<Key>,
}

/// Where a datagram goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Destination {
    Connection(Key),
    /// DTLS from a source that no check has proven, on a private endpoint: perhaps for its connection.
    EarlyDtls(Key),
    Nobody,
}

impl Demux {
    /// All datagrams without another destination go to `key`, which drops and counts them.
    pub(super) fn set_sole(&mut self, key: Key) {
        self.sole = Some(key);
    }

    pub(super) fn add_fragment(&mut self, fragment: &str, key: Key) {
        self.fragments.insert(fragment.to_owned(), key);
    }

    /// The newest authenticated nomination owns the route.
    pub(super) fn add_route(&mut self, route: Route, key: Key) {
        self.checks.remove(&route);
        self.routes.insert(route, key);
    }

    pub(super) fn remove_route(&mut self, route: Route, key: Key) {
        if self.routes.get(&route) == Some(&key) {
            self.routes.remove(&route);
        }
    }

    /// Something was sent to a route that is not proven: a check.
    pub(super) fn note_check(&mut self, route: Route, key: Key) {
        if !self.routes.contains_key(&route) && self.checks.len() < MAX_CHECKS {
            self.checks.insert(route, key);
        }
    }

    pub(super) fn remove(&mut self, key: Key) {
        self.fragments.retain(|_, &mut owner| owner != key);
        self.routes.retain(|_, &mut owner| owner != key);
        self.checks.retain(|_, &mut owner| owner != key);
        if self.sole == Some(key) {
            self.sole = None;
        }
    }

    /// The owner of a proven route.
    pub(super) fn route_owner(&self, route: Route) -> Option<Key> {
        self.routes.get(&route).copied()
    }

    /// `owner`: the [`route_owner`](Self::route_owner), which is looked up once for a run of datagrams.
    pub(super) fn destination(&self, owner: Option<Key>, route: Route, datagram: &[u8]) -> Destination {
        if let (Some(key), Some(4..)) = (owner, datagram.first()) {
            return Destination::Connection(key);
        }
        let key = match classify(datagram) {
            Classification::Stun { local_ufrag: Some(fragment) } => self.fragments.get(fragment).copied(),
            Classification::Stun { local_ufrag: None } => owner.or_else(|| self.checks.get(&route).copied()),
            Classification::Dtls if owner.is_none() => {
                return self.sole.map_or(Destination::Nobody, Destination::EarlyDtls);
            }
            Classification::Dtls | Classification::Other => owner,
        };
        key.or(self.sole).map_or(Destination::Nobody, Destination::Connection)
    }
}

/// Checks whose answers are awaited, of all connections.
const MAX_CHECKS: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    const DTLS: &[u8] = &[22, 254, 253];
    const OTHER: &[u8] = &[200];

    fn route(port: u16) -> Route {
        Route { local: ([127, 0, 0, 1], 1000).into(), remote: ([127, 0, 0, 1], port).into() }
    }

    fn destination(demux: &Demux, route: Route, datagram: &[u8]) -> Destination {
        demux.destination(demux.route_owner(route), route, datagram)
    }

    #[test]
    fn proven_routes_carry_everything_but_checks() {
        let mut demux = Demux::default();
        demux.add_route(route(1), Key(1));
        demux.add_route(route(2), Key(2));
        assert_eq!(destination(&demux, route(1), DTLS), Destination::Connection(Key(1)));
        assert_eq!(destination(&demux, route(2), OTHER), Destination::Connection(Key(2)));
        assert_eq!(destination(&demux, route(3), DTLS), Destination::Nobody);
        assert_eq!(destination(&demux, route(3), OTHER), Destination::Nobody);
    }

    #[test]
    fn the_newest_nomination_owns_a_route() {
        let mut demux = Demux::default();
        demux.add_route(route(1), Key(1));
        demux.add_route(route(1), Key(2));
        demux.remove_route(route(1), Key(1));
        assert_eq!(destination(&demux, route(1), DTLS), Destination::Connection(Key(2)));
    }

    #[test]
    fn a_private_endpoint_gives_strays_to_its_connection_but_keeps_early_dtls() {
        let mut demux = Demux::default();
        demux.set_sole(Key(7));
        assert_eq!(destination(&demux, route(1), OTHER), Destination::Connection(Key(7)));
        assert_eq!(destination(&demux, route(1), &[]), Destination::Connection(Key(7)));
        assert_eq!(destination(&demux, route(1), DTLS), Destination::EarlyDtls(Key(7)));
    }

    #[test]
    fn removing_a_connection_leaves_nothing() {
        let mut demux = Demux::default();
        demux.set_sole(Key(1));
        demux.add_fragment("abcd", Key(1));
        demux.add_route(route(1), Key(1));
        demux.note_check(route(2), Key(1));
        demux.remove(Key(1));
        assert!(demux.fragments.is_empty() && demux.routes.is_empty() && demux.checks.is_empty());
        assert_eq!(destination(&demux, route(1), OTHER), Destination::Nobody);
    }
}
