//! What is to be sent.

use super::candidates::{candidate_priority, peer_reflexive_priority};
use super::{Agent, Generation, Route};
use crate::stun::{self, Request, TransactionId};
use bytes::BytesMut;
use std::time::Instant;
use tracing::trace;

/// A datagram to be written when it can be sent.
#[derive(Debug)]
pub(super) enum Outgoing {
    Request { route: Route, generation: u32, id: TransactionId, priority: u32, purpose: Purpose },
    Success { route: Route, generation: u32, id: TransactionId },
    Error { route: Route, generation: u32, id: TransactionId, code: u16, unknown: Vec<u16> },
}

/// What a request is for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Purpose {
    Check { use_candidate: bool, is_repeated: bool },
    Consent,
}

impl Outgoing {
    fn route(&self) -> Route {
        match *self {
            Self::Request { route, .. } | Self::Success { route, .. } | Self::Error { route, .. } => route,
        }
    }

    fn generation(&self) -> u32 {
        match *self {
            Self::Request { generation, .. }
            | Self::Success { generation, .. }
            | Self::Error { generation, .. } => generation,
        }
    }
}

impl Agent {
    /// Appends the next datagram to `buffer` and tells from where and to where it goes; `None`, with nothing appended,
    /// when there is none.
    pub fn poll_transmit(&mut self, _now: Instant, buffer: &mut BytesMut) -> Option<Route> {
        while let Some(outgoing) = self.outgoing.pop_front() {
            // What a generation that is over wanted to say is not said.
            let Some(generation) = self.generation(outgoing.generation()) else {
                continue;
            };
            if self.is_over() || !self.write(generation, &outgoing, buffer) {
                continue;
            }
            let route = outgoing.route();
            trace!(%route, ?outgoing, "sent");
            self.count(&outgoing);
            return Some(route);
        }
        None
    }

    pub(super) fn enqueue(&mut self, outgoing: Outgoing) {
        // The owner drains the queue after each input; one that does not must not make it grow.
        if self.outgoing.len() < MAX_OUTGOING {
            self.outgoing.push_back(outgoing);
        }
    }

    /// PRIORITY of a check from the local end of `route`.
    pub(super) fn check_priority(&self, route: Route) -> u32 {
        let local = self.bases.iter().find(|base| base.address == route.local);
        peer_reflexive_priority(local.map_or(candidate_priority(0, 0), |base| base.priority))
    }

    fn count(&mut self, outgoing: &Outgoing) {
        match outgoing {
            Outgoing::Request { .. } => self.stats.requests_sent += 1,
            Outgoing::Success { .. } | Outgoing::Error { .. } => self.stats.responses_sent += 1,
        }
        let Some(pair) = self.ledger.get_mut(outgoing.route()) else {
            return;
        };
        match outgoing {
            Outgoing::Request { purpose: Purpose::Check { is_repeated, .. }, .. } => {
                pair.requests_sent += u64::from(!is_repeated);
            }
            Outgoing::Request { purpose: Purpose::Consent, .. } => pair.consent_requests_sent += 1,
            Outgoing::Success { .. } | Outgoing::Error { .. } => pair.responses_sent += 1,
        }
    }

    fn write(&self, generation: &Generation, outgoing: &Outgoing, buffer: &mut BytesMut) -> bool {
        match *outgoing {
            Outgoing::Request { id, priority, purpose, .. } => {
                let Some(remote) = &generation.remote else {
                    return false;
                };
                let request = Request {
                    transaction_id: id,
                    remote_ufrag: &remote.credentials.ufrag,
                    local_ufrag: &generation.local.ufrag,
                    priority,
                    role: self.role,
                    tie_breaker: self.tie_breaker,
                    use_candidate: matches!(purpose, Purpose::Check { use_candidate: true, .. }),
                };
                request.write(&remote.credentials.password, buffer)
            }
            Outgoing::Success { route, id, .. } => {
                stun::write_success(id, route.remote, &generation.local.password, buffer)
            }
            Outgoing::Error { id, code, ref unknown, .. } => {
                stun::write_error(id, code, unknown, &generation.local.password, buffer)
            }
        }
    }
}

/// All checks of a full checklist, and as many responses.
const MAX_OUTGOING: usize = 400;
