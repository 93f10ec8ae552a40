//! What leaves the peer: runs of datagrams of one size for one route.

use super::{Direction, Gate, Peer};
use bytes::BytesMut;
use std::time::Instant;
use straits_ice::Route;

/// One run of datagrams written by [`Peer::poll_transmit`], fit for one segmented send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transmit {
    /// From where to where.
    pub route: Route,
    /// Bytes at the end of the buffer that belong to this run.
    pub size: usize,
    /// The size of every datagram of the run but the last, which may be shorter; `None` if there is only one.
    pub segment_size: Option<usize>,
}

impl Peer {
    /// Appends the next run of datagrams to `buffer`: connectivity checks first, then DTLS flights and alerts, then SCTP
    /// packets, each sealed straight into `buffer`. At most `max_segments` datagrams, all for one route.
    ///
    /// `None`, with `buffer` unchanged, when there is nothing to send.
    pub fn poll_transmit(
        &mut self,
        now: Instant,
        max_segments: usize,
        buffer: &mut BytesMut,
    ) -> Option<Transmit> {
        let start = buffer.len();
        if let Some(route) = self.ice.poll_transmit(now, buffer) {
            return Some(Transmit { route, size: buffer.len() - start, segment_size: None });
        }
        if let Some((route, datagram)) = self.farewell.pop_front() {
            buffer.extend_from_slice(&datagram);
            self.ice.record_sent(now, route, 1, datagram.len());
            return Some(Transmit { route, size: datagram.len(), segment_size: None });
        }
        let route = self.route_for_data()?;
        let mut segment_size = 0;
        let mut segments = 0;
        while segments < max_segments && buffer.len() - start + segment_size <= MAX_RUN {
            let before = buffer.len();
            if !self.next_datagram(now, route, buffer) {
                break;
            }
            let size = buffer.len() - before;
            if segments > 0 && size > segment_size {
                // Only the last datagram of a run may differ, and only by being shorter: this one begins the next run.
                self.carry.extend_from_slice(&buffer[before..]);
                buffer.truncate(before);
                break;
            }
            segments += 1;
            if segments == 1 {
                segment_size = size;
            } else if size < segment_size {
                break;
            }
        }
        if segments > 0 {
            self.ice.record_sent(now, route, segments, buffer.len() - start);
        }
        match segments {
            0 => None,
            1 => Some(Transmit { route, size: buffer.len() - start, segment_size: None }),
            _ => Some(Transmit { route, size: buffer.len() - start, segment_size: Some(segment_size) }),
        }
    }

    /// Where DTLS may go: the selected pair while consent is fresh, or, before there is one, the validated pair that the
    /// peer's own handshake came over. Once ICE has failed there is none: RFC 7675 §5.1, consent has expired.
    pub(super) fn route_for_data(&self) -> Option<Route> {
        match self.ice.selected() {
            Some(route) => self.ice.may_send().then_some(route),
            None => self.handshake_route.filter(|route| self.ice.is_valid_route(*route)),
        }
    }

    /// Appends one datagram of the upper layers.
    fn next_datagram(&mut self, now: Instant, route: Route, buffer: &mut BytesMut) -> bool {
        if !self.carry.is_empty() {
            buffer.extend_from_slice(&self.carry);
            self.carry.clear();
            return true;
        }
        match &mut self.gate {
            Gate::Waiting { .. } | Gate::Closed => false,
            Gate::Handshaking(session) => session.poll_transmit(now, buffer),
            Gate::Open(session) => {
                if session.poll_transmit(now, buffer) {
                    return true;
                }
                self.packet.clear();
                if !self.channels.poll_transmit(now, &mut self.packet) {
                    return false;
                }
                if let Some(tap) = &mut self.tap {
                    tap.put(Direction::Outbound, route, &self.packet);
                }
                match session.seal(&self.packet, buffer) {
                    Ok(()) => true,
                    Err(error) => {
                        // Only a packet over the record limit gets here; SCTP treats it as lost.
                        tracing::warn!(%error, "packet not sealed");
                        false
                    }
                }
            }
        }
    }
}

/// Largest run: an IPv4 datagram holds 65,507 bytes of UDP payload, and segmented sends are held to the same.
const MAX_RUN: usize = 65_507;
