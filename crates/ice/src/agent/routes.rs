//! Routes over which something authenticated came.

use super::Route;
use std::net::SocketAddr;
use std::time::Instant;

/// The validated routes, at most [`Config::max_routes`](super::Config::max_routes).
#[derive(Debug, Default)]
pub(super) struct Routes {
    entries: Vec<Entry>,
}

/// One validated route.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) route: Route,
    /// The latest generation in which it was validated.
    pub(super) generation: u32,
    /// The latest authenticated message over it.
    pub(super) used: Instant,
    /// PRIORITY of the latest request.
    pub(super) priority: Option<u32>,
    /// The peer's fragment in a request that came before its credentials.
    pub(super) early_ufrag: Option<String>,
    /// Did a request nominate it?
    pub(super) is_nominated: bool,
}

impl Routes {
    /// Notes that something authenticated came over `route`, and tells whether for the first time.
    pub(super) fn validate(&mut self, now: Instant, route: Route, generation: u32) -> bool {
        if let Some(entry) = self.get_mut(route) {
            entry.used = now;
            entry.generation = entry.generation.max(generation);
            return false;
        }
        self.entries.push(Entry {
            route,
            generation,
            used: now,
            priority: None,
            early_ufrag: None,
            is_nominated: false,
        });
        true
    }

    pub(super) fn get_mut(&mut self, route: Route) -> Option<&mut Entry> {
        self.entries.iter_mut().find(|entry| entry.route == route)
    }

    pub(super) fn is_valid(&self, route: Route, generation: u32) -> bool {
        self.entries.iter().any(|entry| entry.route == route && entry.generation == generation)
    }

    pub(super) fn contains(&self, route: Route) -> bool {
        self.entries.iter().any(|entry| entry.route == route)
    }

    pub(super) fn reaches(&self, remote: SocketAddr) -> bool {
        self.entries.iter().any(|entry| entry.route.remote == remote)
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Entry> {
        self.entries.iter_mut()
    }

    /// Removes the route that was not used for the longest time, other than `keep`.
    pub(super) fn take_oldest(&mut self, keep: Option<Route>) -> Option<Route> {
        let candidates = self.entries.iter().enumerate().filter(|(_, entry)| Some(entry.route) != keep);
        let (index, _) = candidates.min_by_key(|(_, entry)| entry.used)?;
        Some(self.entries.remove(index).route)
    }

    /// Removes what `keep` does not want, and gives it in order.
    pub(super) fn take_unless(&mut self, mut keep: impl FnMut(&Entry) -> bool) -> Vec<Route> {
        self.entries.extract_if(.., |entry| !keep(entry)).map(|entry| entry.route).collect()
    }

    pub(super) fn take_all(&mut self) -> Vec<Route> {
        self.take_unless(|_| false)
    }
}
