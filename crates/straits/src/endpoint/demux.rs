//! Which connection a datagram is for.

use super::Key;
use std::collections::{HashMap, VecDeque};
use straits_peer::ice::Route;
use straits_peer::{Classification, classify};

/// The tables belong to the endpoint's task alone. Connectivity checks go by the local username fragment, everything else
/// by routes that an authenticated check has proven; addresses from descriptions never route anything.
#[derive(Debug, Default)]
pub(super) struct Demux {
    fragments: HashMap<String, Key>,
    routes: HashMap<Route, Key>,
    /// Checks that were sent where no route is proven yet: their answers carry no username. A hint only, the connection
    /// verifies the answer.
    checks: HashMap<TransactionId, Key>,
    /// The entries of each connection, so that what concerns one touches no other.
    held: HashMap<Key, Held>,
    /// The connection of a private endpoint.
    sole: Option<Key>,
}

/// What of the tables is one connection's.
#[derive(Debug, Default)]
struct Held {
    fragments: Vec<String>,
    routes: Vec<Route>,
    /// Oldest first.
    checks: VecDeque<TransactionId>,
}

/// RFC 8489 §5: 96 bits that tie an answer to its request.
type TransactionId = [u8; 12];

/// Where a datagram goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Destination {
    Connection(Key),
    /// DTLS from a source that no check has proven, on a private endpoint: perhaps for its connection.
    EarlyDtls(Key),
    Nobody(Stray),
}

/// What a datagram for nobody is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stray {
    /// DTLS from a source that no check has proven.
    Source,
    /// STUN that names no connection and answers none.
    Check,
    /// Of no protocol.
    Malformed,
}

impl Demux {
    /// All datagrams without another destination go to `key`, which drops and counts them.
    pub(super) fn set_sole(&mut self, key: Key) {
        self.sole = Some(key);
    }

    /// The fragments by which checks find the connection now; others that it had find it no more. `false`: they are as
    /// they were.
    pub(super) fn set_fragments<'a>(
        &mut self,
        key: Key,
        fragments: impl Iterator<Item = &'a str> + Clone,
    ) -> bool {
        let held = self.held.entry(key).or_default();
        if fragments.clone().eq(held.fragments.iter().map(String::as_str)) {
            return false;
        }
        for old in held.fragments.drain(..) {
            remove_owned(&mut self.fragments, &old, key);
        }
        for fragment in fragments {
            // 48 random bits: that two meet is less likely than that nobody ever meets anybody. The first keeps it.
            self.fragments.entry(fragment.to_owned()).or_insert(key);
            held.fragments.push(fragment.to_owned());
        }
        true
    }

    /// An authenticated check came over the route. It is `key`'s unless it is another's, which has it until a nomination.
    pub(super) fn add_route(&mut self, route: Route, key: Key) {
        if !self.routes.contains_key(&route) {
            self.take_route(route, key);
        }
    }

    /// The newest authenticated nomination owns the route.
    pub(super) fn select_route(&mut self, route: Route, key: Key) {
        self.take_route(route, key);
        // The search is over.
        if let Some(held) = self.held.get_mut(&key) {
            for check in held.checks.drain(..) {
                remove_owned(&mut self.checks, &check, key);
            }
        }
    }

    fn take_route(&mut self, route: Route, key: Key) {
        match self.routes.insert(route, key) {
            Some(owner) if owner == key => return,
            Some(owner) => {
                tracing::debug!(%route, "another connection was nominated over a route");
                self.let_go(route, owner);
            }
            None => {}
        }
        self.held.entry(key).or_default().routes.push(route);
    }

    pub(super) fn remove_route(&mut self, route: Route, key: Key) {
        if remove_owned(&mut self.routes, &route, key) {
            self.let_go(route, key);
        }
    }

    fn let_go(&mut self, route: Route, owner: Key) {
        if let Some(held) = self.held.get_mut(&owner)
            && let Some(index) = held.routes.iter().position(|held| *held == route)
        {
            held.routes.swap_remove(index);
        }
    }

    /// A datagram was sent over a route that is not `key`'s; if it is a check, its answer is.
    pub(super) fn note_check(&mut self, datagram: &[u8], key: Key) {
        let is_request = datagram.starts_with(&BINDING_REQUEST);
        let Some(id) = transaction_id(datagram).filter(|_| is_request && self.sole.is_none()) else {
            return;
        };
        // A repetition has the id of the first.
        if self.checks.contains_key(&id) {
            return;
        }
        let held = self.held.entry(key).or_default();
        if held.checks.len() >= MAX_CHECKS
            && let Some(oldest) = held.checks.pop_front()
        {
            remove_owned(&mut self.checks, &oldest, key);
        }
        held.checks.push_back(id);
        self.checks.insert(id, key);
    }

    /// Takes as long as the connection has entries, however many others there are.
    pub(super) fn remove(&mut self, key: Key) {
        let held = self.held.remove(&key).unwrap_or_default();
        for fragment in held.fragments {
            remove_owned(&mut self.fragments, &fragment, key);
        }
        for route in held.routes {
            remove_owned(&mut self.routes, &route, key);
        }
        for check in held.checks {
            remove_owned(&mut self.checks, &check, key);
        }
        if self.sole == Some(key) {
            self.sole = None;
        }
    }

    /// How many routes and how many fragments there are.
    pub(super) fn len(&self) -> (usize, usize) {
        (self.routes.len(), self.fragments.len())
    }

    /// The owner of a proven route.
    pub(super) fn route_owner(&self, route: Route) -> Option<Key> {
        self.routes.get(&route).copied()
    }

    /// `owner`: the [`route_owner`](Self::route_owner), which is looked up once for a run of datagrams.
    pub(super) fn destination(&self, owner: Option<Key>, datagram: &[u8]) -> Destination {
        if let (Some(key), Some(4..)) = (owner, datagram.first()) {
            return Destination::Connection(key);
        }
        let (key, stray) = match classify(datagram) {
            Classification::Stun { local_ufrag: Some(fragment) } => {
                (self.fragments.get(fragment).copied(), Stray::Check)
            }
            Classification::Stun { local_ufrag: None } => {
                (self.check_owner(datagram).or(owner), Stray::Check)
            }
            Classification::Dtls if owner.is_none() && self.sole.is_some() => {
                return self.sole.map_or(Destination::Nobody(Stray::Source), Destination::EarlyDtls);
            }
            Classification::Dtls => (owner, Stray::Source),
            Classification::Other => (owner, Stray::Malformed),
        };
        key.or(self.sole).map_or(Destination::Nobody(stray), Destination::Connection)
    }

    fn check_owner(&self, answer: &[u8]) -> Option<Key> {
        self.checks.get(&transaction_id(answer)?).copied()
    }
}

/// Removes the entry if it is `key`'s.
fn remove_owned<K, Q>(table: &mut HashMap<K, Key>, entry: &Q, key: Key) -> bool
where
    K: std::hash::Hash + Eq + std::borrow::Borrow<Q>,
    Q: std::hash::Hash + Eq + ?Sized,
{
    let is_owned = table.get(entry) == Some(&key);
    if is_owned {
        table.remove(entry);
    }
    is_owned
}

fn transaction_id(datagram: &[u8]) -> Option<TransactionId> {
    datagram.get(8..20)?.try_into().ok()
}

/// RFC 8489 §5, §18.2: class and method.
const BINDING_REQUEST: [u8; 2] = [0, 1];
/// Checks of one connection whose answers are awaited: more than an agent checks pairs at once.
const MAX_CHECKS: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    const DTLS: &[u8] = &[22, 254, 253];
    const OTHER: &[u8] = &[200];

    fn route(port: u16) -> Route {
        Route { local: ([127, 0, 0, 1], 1000).into(), remote: ([127, 0, 0, 1], port).into() }
    }

    fn destination(demux: &Demux, route: Route, datagram: &[u8]) -> Destination {
        demux.destination(demux.route_owner(route), datagram)
    }

    /// A STUN header: a Binding request, or a success response.
    fn stun(class: u8, id: u16) -> Vec<u8> {
        let mut header = vec![class, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        header.extend_from_slice(&id.to_be_bytes());
        header
    }

    /// A Binding request with a USERNAME (RFC 8489 §14.3), and nothing that proves it.
    fn check(username: &str) -> Vec<u8> {
        let padded = username.len().next_multiple_of(4);
        let mut request = stun(0, 0);
        request.extend_from_slice(&[0, 6, 0, username.len() as u8]);
        request.extend_from_slice(username.as_bytes());
        request.resize(24 + padded, 0);
        request[3] = 4 + padded as u8;
        request
    }

    #[test]
    fn proven_routes_carry_everything_but_checks() {
        let mut demux = Demux::default();
        demux.add_route(route(1), Key(1));
        demux.add_route(route(2), Key(2));
        demux.set_fragments(Key(2), ["abcd"].into_iter());
        assert_eq!(destination(&demux, route(1), DTLS), Destination::Connection(Key(1)));
        assert_eq!(destination(&demux, route(2), OTHER), Destination::Connection(Key(2)));
        assert_eq!(destination(&demux, route(1), &check("abcd:peer")), Destination::Connection(Key(2)));
        let nobody = Destination::Nobody;
        assert_eq!(destination(&demux, route(1), &check("abce:peer")), nobody(Stray::Check));
        assert_eq!(destination(&demux, route(3), DTLS), nobody(Stray::Source));
        assert_eq!(destination(&demux, route(3), OTHER), nobody(Stray::Malformed));
        assert_eq!(destination(&demux, route(3), &[]), nobody(Stray::Malformed));
    }

    #[test]
    fn a_check_claims_a_free_route_and_a_nomination_any() {
        let mut demux = Demux::default();
        demux.add_route(route(1), Key(1));
        demux.add_route(route(1), Key(2));
        assert_eq!(destination(&demux, route(1), DTLS), Destination::Connection(Key(1)));
        demux.select_route(route(1), Key(2));
        assert_eq!(destination(&demux, route(1), DTLS), Destination::Connection(Key(2)));
        // The one that lost it takes nothing with it.
        demux.remove_route(route(1), Key(1));
        demux.remove(Key(1));
        assert_eq!(destination(&demux, route(1), DTLS), Destination::Connection(Key(2)));
        demux.remove_route(route(1), Key(2));
        assert_eq!(destination(&demux, route(1), DTLS), Destination::Nobody(Stray::Source));
    }

    #[test]
    fn fragments_of_a_restart_go_with_their_generation() {
        let mut demux = Demux::default();
        let goes_to = |demux: &Demux, fragment: &str| {
            destination(demux, route(1), &check(&format!("{fragment}:peer")))
                == Destination::Connection(Key(1))
        };
        demux.set_fragments(Key(1), ["old1"].into_iter());
        for generation in 0..1000 {
            let (new, old) = (format!("new{generation}"), format!("old{generation}"));
            demux.set_fragments(Key(1), [new.as_str(), old.as_str()].into_iter());
            assert!(goes_to(&demux, &new) && goes_to(&demux, &old));
            demux.set_fragments(Key(1), [new.as_str()].into_iter());
            assert!(goes_to(&demux, &new) && !goes_to(&demux, &old));
            assert_eq!(demux.len(), (0, 1));
        }
    }

    #[test]
    fn answers_to_checks_of_many_over_one_route_find_their_own() {
        let mut demux = Demux::default();
        demux.add_route(route(1), Key(1));
        demux.note_check(&stun(0, 7), Key(2));
        demux.note_check(&stun(0, 8), Key(3));
        demux.note_check(&stun(0, 8), Key(3));
        // Neither answers nor anything else is a check.
        demux.note_check(&stun(1, 9), Key(3));
        demux.note_check(DTLS, Key(3));
        let to = |demux: &Demux, port, id| destination(demux, route(port), &stun(1, id));
        assert_eq!(to(&demux, 1, 7), Destination::Connection(Key(2)));
        assert_eq!(to(&demux, 2, 8), Destination::Connection(Key(3)));
        assert_eq!(to(&demux, 1, 9), Destination::Connection(Key(1)));
        assert_eq!(to(&demux, 2, 9), Destination::Nobody(Stray::Check));
        demux.select_route(route(2), Key(3));
        assert_eq!(to(&demux, 4, 8), Destination::Nobody(Stray::Check));
        assert_eq!((demux.checks.len(), demux.held[&Key(3)].checks.len()), (1, 0));
    }

    #[test]
    fn checks_of_one_do_not_push_out_those_of_another() {
        let mut demux = Demux::default();
        demux.note_check(&stun(0, 60_000), Key(1));
        for id in 0..1000 {
            demux.note_check(&stun(0, id), Key(2));
        }
        assert_eq!(demux.checks.len(), MAX_CHECKS + 1);
        assert_eq!(destination(&demux, route(1), &stun(1, 60_000)), Destination::Connection(Key(1)));
        assert_eq!(destination(&demux, route(1), &stun(1, 0)), Destination::Nobody(Stray::Check));
        assert_eq!(destination(&demux, route(1), &stun(1, 999)), Destination::Connection(Key(2)));
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
        demux.note_check(&stun(0, 1), Key(1));
        demux.set_sole(Key(1));
        demux.set_fragments(Key(1), ["abcd", "efgh"].into_iter());
        demux.add_route(route(1), Key(1));
        demux.remove(Key(1));
        assert!(demux.checks.is_empty() && demux.held.is_empty());
        assert_eq!(demux.len(), (0, 0));
        assert_eq!(destination(&demux, route(1), OTHER), Destination::Nobody(Stray::Malformed));
    }
}
