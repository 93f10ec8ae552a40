//! Local and remote candidates (RFC 8445 §5.1).

use super::{Agent, Base, Event, Route, State};
use crate::candidate::{CandidateAddress, CandidateKind, Transport, is_usable};
use crate::{Candidate, CandidateError};
use std::net::{IpAddr, SocketAddr};
use std::time::Instant;
use tracing::debug;

impl Agent {
    /// Adds a host address that the owner has bound; answered by [`Event::LocalCandidate`].
    ///
    /// Addresses that were added before, wildcards, multicast addresses and port 0 are ignored.
    pub fn add_local_candidate(&mut self, now: Instant, address: SocketAddr) {
        self.add_announced_candidate(now, address, address);
    }

    /// As [`add_local_candidate`](Self::add_local_candidate), where the peer reaches `address` as `announced`: through a
    /// NAT that maps the one to the other, both ways. Only `announced` is told to the peer; routes have `address`.
    ///
    /// Several addresses may be announced as one. To the peer it is a host candidate: it needs to know of no other.
    pub fn add_announced_candidate(&mut self, now: Instant, address: SocketAddr, announced: SocketAddr) {
        let candidate = self.host_candidate(announced);
        let are_usable =
            is_usable(address.ip()) && address.port() != 0 && candidate.udp_address() == Some(announced);
        if self.state == State::Closed || !are_usable {
            return;
        }
        let announces = |known: &&Candidate| known.udp_address() == Some(announced);
        let known = self.local_candidates.iter().find(announces).map(|known| known.priority);
        let priority = known.unwrap_or(candidate.priority);
        let is_new_base = self.bases.iter().all(|base| base.address != address);
        if is_new_base {
            self.bases.push(Base { address, announced, priority });
            self.checklist.extend();
        }
        if known.is_none() {
            self.local_candidates.push(candidate.clone());
            self.events.push_back(Event::LocalCandidate(candidate));
        }
        if is_new_base || known.is_none() {
            self.advance(now);
        }
    }

    /// The owner has no more addresses; answered by [`Event::GatheringComplete`], once.
    pub fn set_gathering_complete(&mut self, now: Instant) {
        if !self.local_gathering_complete {
            self.local_gathering_complete = true;
            self.events.push_back(Event::GatheringComplete);
            self.advance(now);
        }
    }

    /// Adds a candidate that the peer signalled.
    ///
    /// What this agent cannot use (TCP, mDNS and other names, other components, the `ufrag` of another generation,
    /// addresses that are no single host's) is kept out and counted; it still tells that the peer has candidates.
    ///
    /// # Errors
    ///
    /// [`CandidateError::TooMany`] when [`Config::max_remote_candidates`](super::Config::max_remote_candidates) are
    /// held already. Nothing changes then.
    pub fn add_remote_candidate(&mut self, now: Instant, candidate: Candidate) -> Result<(), CandidateError> {
        if self.is_over() {
            return Ok(());
        }
        let remote_ufrag = self.remote_credentials().map(|credentials| credentials.ufrag.as_str());
        let is_foreign =
            matches!((remote_ufrag, &candidate.ufrag), (Some(ours), Some(named)) if ours != named);
        let Some(address) = candidate.udp_address().filter(|_| !is_foreign) else {
            debug!(%candidate, "kept a remote candidate out");
            self.stats.candidates_ignored += 1;
            self.remote_candidate_seen |= !is_foreign;
            self.advance(now);
            return Ok(());
        };
        let known = self.remote_candidates.iter().position(|known| known.udp_address() == Some(address));
        match known {
            // RFC 8445 §7.3.1.3: a signalled candidate takes the place of the peer-reflexive one.
            Some(index) => self.remote_candidates[index] = candidate,
            None => {
                let signalled =
                    self.remote_candidates.iter().filter(|known| known.kind != CandidateKind::PeerReflexive);
                let max = self.config.max_remote_candidates;
                if signalled.count() >= max {
                    return Err(CandidateError::TooMany { max });
                }
                self.remote_candidates.push(candidate);
            }
        }
        self.remote_candidate_seen = true;
        self.checklist.extend();
        self.advance(now);
        Ok(())
    }

    /// The peer has signalled that it has no more candidates.
    pub fn set_remote_gathering_complete(&mut self, now: Instant) {
        if !self.remote_gathering_complete && !self.is_over() {
            self.remote_gathering_complete = true;
            self.advance(now);
        }
    }

    /// Forgets early candidates that name another generation than the peer's credentials.
    pub(super) fn drop_foreign_candidates(&mut self, remote_ufrag: &str) {
        let before = self.remote_candidates.len();
        self.remote_candidates
            .retain(|candidate| candidate.ufrag.as_deref().is_none_or(|ufrag| ufrag == remote_ufrag));
        self.stats.candidates_ignored += (before - self.remote_candidates.len()) as u64;
    }

    /// RFC 8445 §7.3.1.3: the source of a request that is none of the known candidates becomes one.
    pub(super) fn learn_peer_reflexive(&mut self, route: Route, priority: Option<u32>) {
        self.remote_candidate_seen = true;
        if self.knows_remote(route.remote) {
            return;
        }
        debug!(%route, "learnt a peer-reflexive candidate");
        self.ledger.learnt(route.remote);
        self.checklist.extend();
        self.remote_candidates.push(Candidate {
            // "The foundation is an arbitrary value, different from the foundations of all other remote candidates"
            foundation: format!("prflx/{}/{}", self.current.number, self.stats.requests_received),
            component: COMPONENT,
            transport: Transport::Udp,
            priority: priority.unwrap_or(candidate_priority(PEER_REFLEXIVE_PREFERENCE, 0)),
            address: CandidateAddress::Ip(route.remote.ip()),
            port: route.remote.port(),
            kind: CandidateKind::PeerReflexive,
            related: None,
            tcp_type: None,
            ufrag: None,
            extensions: Vec::new(),
        });
    }

    pub(super) fn knows_remote(&self, remote: SocketAddr) -> bool {
        self.remote_candidates.iter().any(|candidate| candidate.udp_address() == Some(remote))
    }

    /// Forgets a peer-reflexive candidate when its last route is gone.
    pub(super) fn forget_peer_reflexive(&mut self, remote: SocketAddr) {
        if !self.routes.reaches(remote) {
            self.remote_candidates.retain(|candidate| {
                candidate.kind != CandidateKind::PeerReflexive || candidate.udp_address() != Some(remote)
            });
        }
    }

    fn host_candidate(&self, address: SocketAddr) -> Candidate {
        let is_like = |known: &&Candidate| match known.address {
            CandidateAddress::Ip(ip) => {
                ip.is_loopback() == address.ip().is_loopback() && ip.is_ipv4() == address.is_ipv4()
            }
            CandidateAddress::Name(_) => false,
        };
        let rank = self.local_candidates.iter().filter(is_like).count();
        Candidate {
            foundation: self.foundation(address.ip()),
            component: COMPONENT,
            transport: Transport::Udp,
            priority: candidate_priority(HOST_PREFERENCE, local_preference(address.ip(), rank)),
            address: CandidateAddress::Ip(address.ip()),
            port: address.port(),
            kind: CandidateKind::Host,
            related: None,
            tcp_type: None,
            ufrag: Some(self.current.local.ufrag.clone()),
            extensions: Vec::new(),
        }
    }

    /// RFC 8445 §5.2: "A simple integer that increments for each IP address will suffice."
    fn foundation(&self, ip: IpAddr) -> String {
        let has_ip = |known: &&Candidate| known.address == CandidateAddress::Ip(ip);
        match self.local_candidates.iter().find(has_ip) {
            Some(known) => known.foundation.clone(),
            None => {
                let numbers =
                    self.local_candidates.iter().filter_map(|known| known.foundation.parse::<u32>().ok());
                (numbers.max().unwrap_or(0) + 1).to_string()
            }
        }
    }
}

/// RFC 8445 §5.1.2.1.
pub(super) fn candidate_priority(type_preference: u8, local_preference: u16) -> u32 {
    (u32::from(type_preference) << 24) | (u32::from(local_preference) << 8) | (256 - u32::from(COMPONENT))
}

/// The priority that the peer gives to a candidate which it learns from our check (RFC 8445 §7.1.1).
pub(super) fn peer_reflexive_priority(host_priority: u32) -> u32 {
    (u32::from(PEER_REFLEXIVE_PREFERENCE) << 24) | (host_priority & 0x00ff_ffff)
}

/// RFC 8421 §4: addresses of the two families take turns, IPv6 first, so that neither starves the other. Loopback comes
/// last. `rank` counts the addresses of the same sort before this one.
fn local_preference(ip: IpAddr, rank: usize) -> u16 {
    let best = if ip.is_loopback() { LOOPBACK_PREFERENCE } else { u16::MAX };
    let steps = u16::try_from(rank).unwrap_or(u16::MAX).saturating_mul(2);
    best.saturating_sub(steps).saturating_sub(u16::from(ip.is_ipv4()))
}

/// Data channels have one component.
const COMPONENT: u16 = 1;
/// RFC 8445 §5.1.2.2.
const HOST_PREFERENCE: u8 = 126;
/// RFC 8445 §5.1.2.2.
const PEER_REFLEXIVE_PREFERENCE: u8 = 110;
/// Below all others; a machine has far fewer than 16 384 addresses per family.
const LOOPBACK_PREFERENCE: u16 = 32_767;
