//! The only glue between the layers: bottom to top, once after each input.

use super::{CloseReason, Direction, Event, Gate, GatheringState, Peer, PeerState};
use crate::{IceCandidate, SignalingState};
use bytes::BytesMut;
use std::time::Instant;
use straits_dtls as dtls;
use straits_ice as ice;
use straits_sctp::{self as sctp, ChannelEvent};

impl Peer {
    /// Carries what the last input changed upward: ICE, DTLS, SCTP and channels, then the state of the whole.
    pub(super) fn settle(&mut self, now: Instant) {
        self.settle_ice(now);
        self.settle_dtls(now);
        self.settle_channels(now);
        self.settle_negotiation();
        self.settle_state();
        self.settle_end();
    }

    fn settle_ice(&mut self, now: Instant) {
        while let Some(event) = self.ice.poll_event() {
            match event {
                ice::Event::StateChanged(state) => {
                    self.ice_state = state;
                    self.events.push_back(Event::IceStateChanged(state));
                }
                ice::Event::RouteSelected(route) => {
                    self.events.push_back(Event::RouteSelected(route));
                    if self.channels.association().state() != sctp::State::Closed {
                        // RFC 8261 §6.1 and RFC 9260 §7.2.5.2: a new path starts with initial values.
                        self.channels.path_changed(now);
                    }
                }
                ice::Event::RouteAdded(route) => self.events.push_back(Event::RouteAdded(route)),
                ice::Event::RouteRemoved(route) => self.events.push_back(Event::RouteRemoved(route)),
                ice::Event::LocalCandidate(candidate) => {
                    let candidate = self.signalled(candidate.to_string());
                    self.events.push_back(Event::IceCandidate(Some(candidate)));
                }
                ice::Event::GatheringComplete => {
                    // W3C webrtc-pc §5.6: an empty candidate ends the generation, then the state, then null.
                    let end = self.signalled(String::new());
                    self.events.push_back(Event::IceCandidate(Some(end)));
                    self.gathers = false;
                    self.set_gathering(GatheringState::Complete);
                    self.events.push_back(Event::IceCandidate(None));
                }
                _ => tracing::debug!(?event, "unknown ICE event"),
            }
        }
        self.start_dtls(now);
    }

    /// Begins DTLS once the peer's description is known and there is a way to the peer: a selected pair, or a validated one
    /// that its handshake came over. Not before, so that the time a handshake may take is not spent on signalling.
    fn start_dtls(&mut self, now: Instant) {
        let Gate::Waiting { early } = &mut self.gate else { return };
        let (Some(role), Some(remote)) = (self.dtls_role, self.negotiation.remote()) else {
            return;
        };
        if early.is_empty() && self.ice.selected().is_none() {
            return;
        }
        let early = std::mem::take(early);
        let config = self.config.dtls.clone();
        match dtls::Session::new(&self.identities, role, remote.fingerprints.clone(), config, now) {
            Ok(session) => self.gate = Gate::Handshaking(Box::new(session)),
            Err(error) => {
                tracing::warn!(%error, "DTLS session not created");
                let reason = dtls::CloseReason::HandshakeFailed { alert: None };
                self.end(now, CloseReason::Dtls(reason));
                return;
            }
        }
        self.set_dtls_state(dtls::State::Connecting);
        if let (Some(rtt), Some(session)) = (self.ice.round_trip_time(), self.gate.session_mut()) {
            session.set_round_trip_time(rtt);
        }
        for (route, datagram) in early {
            self.handle_records(now, route, &datagram);
        }
    }

    fn settle_dtls(&mut self, now: Instant) {
        if let Gate::Handshaking(session) = &mut self.gate {
            while let Some(line) = session.poll_key_log() {
                if self.key_log.len() < MAX_KEY_LOG {
                    self.key_log.push_back(line);
                }
            }
        }
        while let Some(event) = self.gate.session_mut().and_then(dtls::Session::poll_event) {
            match event {
                dtls::Event::Connected => self.open_gate(now),
                dtls::Event::Closed(reason) => self.end(now, CloseReason::Dtls(reason)),
                _ => tracing::debug!(?event, "unknown DTLS event"),
            }
        }
    }

    /// The certificate matched and the handshake is finished: SCTP may start.
    fn open_gate(&mut self, now: Instant) {
        let Gate::Handshaking(session) = std::mem::replace(&mut self.gate, Gate::Closed) else {
            return;
        };
        let is_narrow = session.is_path_narrow();
        self.gate = Gate::Open(session);
        self.set_dtls_state(dtls::State::Connected);
        if is_narrow {
            // What was too large for the handshake is so for SCTP, whose packets cannot be made smaller once they were sent.
            self.channels.assume_narrow_path();
        }
        // RFC 8841 §9.3: both sides start the association.
        self.channels.connect(now);
        if let Gate::Open(session) = &mut self.gate {
            while let Some(packet) = session.poll_data() {
                if let (Some(tap), Some(route)) = (&mut self.tap, self.handshake_route) {
                    tap.put(Direction::Inbound, route, packet);
                }
                self.channels.handle_packet(now, packet);
            }
        }
    }

    fn settle_channels(&mut self, now: Instant) {
        while let Some(event) = self.channels.poll_event() {
            if let ChannelEvent::AssociationClosed(reason) = &event {
                let reason = reason.clone();
                self.events.push_back(Event::Channel(event));
                match reason {
                    // RFC 8841 §10.3: the answerer closes it "Once the answerer has sent the answer", which is on its way.
                    sctp::CloseReason::RemoteAbort { .. } if self.awaits_new_association() => {}
                    sctp::CloseReason::LocalShutdown if self.drain_deadline.is_some() => {
                        self.end(now, CloseReason::Local { undelivered: 0 });
                    }
                    reason => self.end(now, CloseReason::Sctp(reason)),
                }
            } else {
                self.channels_opened += u64::from(matches!(event, ChannelEvent::Open(_)));
                self.events.push_back(Event::Channel(event));
            }
        }
    }

    fn settle_negotiation(&mut self) {
        let renewal = self.renews && self.negotiation.signaling_state() == SignalingState::Stable;
        let needed = !self.ended && (renewal || self.negotiation.negotiation_needed(self.wants_data));
        if needed && !self.negotiation_needed {
            self.events.push_back(Event::NegotiationNeeded);
        }
        self.negotiation_needed = needed;
    }

    /// W3C webrtc-pc §4.3.3, from the states of the two transports.
    fn settle_state(&mut self) {
        let state = match &self.close_reason {
            Some(reason) if self.ended && reason.is_orderly() => PeerState::Closed,
            Some(_) if self.ended => PeerState::Failed,
            _ => match (self.ice_state, self.dtls_state) {
                (ice::State::Failed, _) | (_, dtls::State::Failed) => PeerState::Failed,
                (ice::State::Disconnected, _) => PeerState::Disconnected,
                (ice::State::New | ice::State::Closed, dtls::State::New | dtls::State::Closed) => {
                    PeerState::New
                }
                (ice::State::Connected, dtls::State::Connected) => PeerState::Connected,
                _ => PeerState::Connecting,
            },
        };
        if !self.ended {
            self.close_reason = match (self.ice_state, self.ice.failure_reason()) {
                (ice::State::Failed, Some(reason)) => Some(CloseReason::Ice(reason)),
                _ => None,
            };
        }
        if state != self.state {
            tracing::debug!(from = ?self.state, to = ?state, "connection state");
            self.state = state;
            self.events.push_back(Event::ConnectionStateChanged(state));
        }
    }

    /// Queues the last event once everything before it is queued.
    fn settle_end(&mut self) {
        if let (true, false, Some(reason)) = (self.ended, self.end_reported, &self.close_reason) {
            self.end_reported = true;
            self.events.push_back(Event::Closed(reason.clone()));
        }
    }

    /// Ends all layers, top down, and keeps their last datagrams. Only the first call has an effect.
    pub(super) fn end(&mut self, now: Instant, reason: CloseReason) {
        if self.ended {
            return;
        }
        tracing::debug!(%reason, "connection ended");
        self.ended = true;
        self.drain_deadline = None;
        let route = self.route_for_data();
        let dtls_ended = matches!(reason, CloseReason::Dtls(_));
        let dtls_failed = dtls_ended && !reason.is_orderly();
        self.close_reason = Some(match self.ice.failure_reason() {
            // Of layers that went on waiting without a path, ICE knows why nothing came.
            Some(cause) if self.ice_state == ice::State::Failed && is_timeout(&reason) => {
                CloseReason::Ice(cause)
            }
            _ => reason,
        });
        if dtls_ended {
            // Nothing can be told any more, and it was not this side that ended the association.
            self.channels.transport_closed(now);
        } else {
            self.channels.abort(now);
        }
        let mut gate = std::mem::replace(&mut self.gate, Gate::Closed);
        if let (Some(session), Some(route)) = (gate.session_mut(), route) {
            self.say_goodbye(now, session, route);
        }
        self.dtls_stats = gate.session().map_or(self.dtls_stats, dtls::Session::stats);
        self.dtls_negotiated = gate.session().and_then(dtls::Session::negotiated);
        self.channels.transport_closed(now);
        match self.dtls_state {
            _ if dtls_failed => self.set_dtls_state(dtls::State::Failed),
            dtls::State::New => {}
            _ => self.set_dtls_state(dtls::State::Closed),
        }
        // RFC 7675 §5.2: an authenticated goodbye ends consent at once.
        self.ice.close(now);
        self.settle_ice(now);
        self.settle_channels(now);
    }

    /// RFC 8842 §3.1: another DTLS association takes the place of this one, perhaps with another peer: on routes of the new
    /// ICE generation only. The SCTP association goes on (RFC 8841 §10.5: "the state of the SCTP association is not
    /// affected"); a peer that does not have it begins one, which closes the channels as in a restart.
    pub(super) fn replace_dtls(&mut self, now: Instant, tells: bool) {
        let route = self.route_for_data();
        let mut gate = std::mem::replace(&mut self.gate, Gate::Waiting { early: Vec::new() });
        self.dtls_stats = gate.session().map_or(self.dtls_stats, dtls::Session::stats);
        if let (true, Some(session), Some(route)) = (tells, gate.session_mut(), route) {
            self.close_session(now, session, route);
        }
        self.carry.clear();
        self.handshake_route = None;
        self.ice.abandon_previous();
        self.set_dtls_state(dtls::State::New);
    }

    /// The ABORT, if the association still had one to send, then close_notify, or the alert that ended the session.
    fn say_goodbye(&mut self, now: Instant, session: &mut dtls::Session, route: ice::Route) {
        let mut datagram = BytesMut::new();
        if session.state() == dtls::State::Connected {
            self.packet.clear();
            while self.farewell.len() < MAX_FAREWELL && self.channels.poll_transmit(now, &mut self.packet) {
                if let Some(tap) = &mut self.tap {
                    tap.put(Direction::Outbound, route, &self.packet);
                }
                if session.seal(&self.packet, &mut datagram).is_ok() {
                    self.farewell.push_back((route, datagram.split().freeze()));
                }
                self.packet.clear();
            }
        }
        self.close_session(now, session, route);
    }

    fn close_session(&mut self, now: Instant, session: &mut dtls::Session, route: ice::Route) {
        let mut datagram = BytesMut::new();
        session.close(now);
        while self.farewell.len() < MAX_FAREWELL && session.poll_transmit(now, &mut datagram) {
            self.farewell.push_back((route, datagram.split().freeze()));
        }
    }

    fn set_dtls_state(&mut self, state: dtls::State) {
        if self.dtls_state != state {
            self.dtls_state = state;
            self.events.push_back(Event::DtlsStateChanged(state));
        }
    }

    /// A candidate line as it is signalled, for our one section.
    pub fn signalled(&self, candidate: String) -> IceCandidate {
        let section = self.negotiation.data_section();
        IceCandidate {
            candidate,
            sdp_mid: section.and_then(|(mid, _)| mid.map(str::to_owned)),
            sdp_mline_index: section.map(|(_, index)| index),
            username_fragment: Some(self.ice.local_credentials().ufrag.clone()),
        }
    }
}

/// Whether the layer only says that it has waited for long enough.
fn is_timeout(reason: &CloseReason) -> bool {
    matches!(
        reason,
        CloseReason::Dtls(dtls::CloseReason::HandshakeTimeout { suspected_alert: None })
            | CloseReason::Sctp(sctp::CloseReason::Timeout(_))
    )
}

/// Datagrams that an ended peer or session may still send: an ABORT and an alert, with room for what DTLS adds.
const MAX_FAREWELL: usize = 8;
/// Secrets that an owner may leave: one handshake makes one.
const MAX_KEY_LOG: usize = 16;
