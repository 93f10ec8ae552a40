//! One WebRTC peer: ICE below DTLS below SCTP, glued by [`Peer::settle`].

mod classify;
mod config;
mod event;
mod explain;
mod look;
mod negotiate;
mod settle;
mod tap;
mod transmit;

pub use classify::{Classification, classify};
pub use config::Config;
pub use event::{CloseReason, Event, GatheringState, PeerState};
pub use explain::{Explanation, Finding, Stage};
pub use look::Stats;
pub use tap::{Captured, CapturedPacket, Direction};
pub use transmit::Transmit;

use crate::IceCandidate;
use crate::negotiation::Negotiation;
use bytes::{Bytes, BytesMut};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha12Rng;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Instant;
use straits_dtls as dtls;
use straits_ice::{self as ice, Route};
use straits_sctp::{self as sctp, Channel, ChannelId, ChannelInit, OpenError};
use tap::Tap;

/// One WebRTC peer without I/O: signalling, ICE, DTLS, SCTP and channels under one roof.
///
/// The owner pushes datagrams and time in, and after each call drains [`poll_transmit`](Self::poll_transmit), then
/// [`poll_event`](Self::poll_event), then reads [`poll_timeout`](Self::poll_timeout).
#[derive(Debug)]
pub struct Peer {
    config: Config,
    identities: dtls::Identities,
    negotiation: Negotiation,
    /// Candidates that came before the remote description (DESIGN: at most [`MAX_EARLY_CANDIDATES`]).
    early_candidates: Vec<Option<IceCandidate>>,
    gathering: GatheringState,
    /// A local description waits for the owner's addresses.
    gathers: bool,
    /// Host addresses are not offered (RFC 8829 §3.5.3).
    relay_only: bool,
    /// A local description was set once.
    is_described: bool,
    ice: ice::Agent,
    ice_state: ice::State,
    /// Set once offer and answer are in place.
    dtls_role: Option<dtls::Role>,
    gate: Gate,
    dtls_state: dtls::State,
    dtls_stats: dtls::Stats,
    /// What the handshake of a session that has ended agreed on.
    dtls_negotiated: Option<dtls::Negotiated>,
    /// The validated route the peer's handshake came over, until a pair is selected.
    handshake_route: Option<Route>,
    channels: sctp::Channels,
    /// Channels were asked for: descriptions have a data section.
    wants_data: bool,
    negotiation_needed: bool,
    /// A new SCTP association is to be offered.
    renews: bool,
    state: PeerState,
    close_reason: Option<CloseReason>,
    /// The layers are down; nothing but the farewell leaves any more.
    ended: bool,
    /// [`Event::Closed`] has been queued.
    end_reported: bool,
    /// A graceful close is under way and ends hard at this time.
    drain_deadline: Option<Instant>,
    events: VecDeque<Event>,
    /// The SCTP packet being built.
    packet: BytesMut,
    /// A sealed datagram that was too large for the run it came up in.
    carry: BytesMut,
    /// The last datagrams of an ended peer.
    farewell: VecDeque<(Route, Bytes)>,
    /// Secrets that nobody has taken. Empty unless they were asked for.
    key_log: VecDeque<dtls::KeyLogLine>,
    /// Only where packets are captured.
    tap: Option<Tap>,
    datagrams_dropped: u64,
    channels_opened: u64,
    /// The time of the last input.
    now: Instant,
}

/// The one gate between ICE and SCTP: a pair is valid, DTLS is finished, the fingerprint is equal; only then is a byte
/// of SCTP read or written.
#[derive(Debug)]
enum Gate {
    /// No session yet; holds a few DTLS datagrams that came over validated routes before the peer's description.
    Waiting {
        /// At most [`MAX_EARLY_DATAGRAMS`].
        early: Vec<(Route, Bytes)>,
    },
    /// The fingerprint is not confirmed.
    Handshaking(Box<dtls::Session>),
    /// DTLS reported `Connected`, which it does only after the certificate matched.
    Open(Box<dtls::Session>),
    /// The session has ended.
    Closed,
}

impl Gate {
    fn session(&self) -> Option<&dtls::Session> {
        match self {
            Self::Handshaking(session) | Self::Open(session) => Some(session),
            Self::Waiting { .. } | Self::Closed => None,
        }
    }

    fn session_mut(&mut self) -> Option<&mut dtls::Session> {
        match self {
            Self::Handshaking(session) | Self::Open(session) => Some(session),
            Self::Waiting { .. } | Self::Closed => None,
        }
    }
}

impl Peer {
    /// A peer that has not begun to negotiate.
    ///
    /// `identities` are the certificates this side announces, one or several, of which the handshake shows one. `seed` must
    /// come from the system's random generator: ICE credentials, SCTP tags and the cookie key, and the session id of
    /// descriptions are derived from it.
    pub fn new(
        config: Config,
        identities: impl Into<dtls::Identities>,
        seed: [u8; 32],
        now: Instant,
    ) -> Self {
        let mut seeds = ChaCha12Rng::from_seed(seed);
        let (ice_seed, sctp_seed) = (seeds.random(), seeds.random());
        // RFC 8866 §5.2 wants a numeric string; 62 bits stay clear of signed 64-bit parsers.
        let session_id = seeds.random::<u64>() >> 2;
        let agent = ice::Agent::new(config.ice.clone(), ice_seed, now);
        let sctp = (config.sctp.clone())
            .local_port(config::SCTP_PORT)
            .max_receive_message_size(config.max_message_size);
        let mut negotiation = Negotiation::new(session_id);
        negotiation.accept_new_associations(true);
        Self {
            negotiation,
            early_candidates: Vec::new(),
            gathering: GatheringState::New,
            gathers: false,
            relay_only: false,
            is_described: false,
            ice_state: agent.state(),
            ice: agent,
            dtls_role: None,
            gate: Gate::Waiting { early: Vec::new() },
            dtls_state: dtls::State::New,
            dtls_stats: dtls::Stats::default(),
            dtls_negotiated: None,
            handshake_route: None,
            channels: sctp::Channels::new(sctp, sctp_seed, now),
            wants_data: false,
            negotiation_needed: false,
            renews: false,
            state: PeerState::New,
            close_reason: None,
            ended: false,
            end_reported: false,
            drain_deadline: None,
            events: VecDeque::new(),
            packet: BytesMut::new(),
            carry: BytesMut::new(),
            farewell: VecDeque::new(),
            key_log: VecDeque::new(),
            tap: config.capture_packets.then(Tap::default),
            datagrams_dropped: 0,
            channels_opened: 0,
            now,
            config,
            identities: identities.into(),
        }
    }

    /// Opens a channel. Before the association is up it waits in state connecting; the first one makes an offer needed.
    ///
    /// # Errors
    /// When the init is invalid, no stream id is free, or the connection has ended.
    pub fn open_channel(&mut self, now: Instant, init: ChannelInit) -> Result<ChannelId, OpenError> {
        if self.ended {
            return Err(OpenError::Closed);
        }
        let id = self.channels.open(now, init)?;
        self.wants_data = true;
        self.settle(now);
        Ok(id)
    }

    /// Borrows a channel; `None` once it is closed and forgotten.
    pub fn channel(&mut self, id: ChannelId) -> Option<Channel<'_>> {
        self.channels.channel(id)
    }

    /// Forgets a closed channel, with what is left unread in it.
    pub fn forget_channel(&mut self, id: ChannelId) {
        self.channels.forget(id);
    }

    /// Takes in one datagram. Whatever is not for this peer is dropped and counted.
    pub fn handle_datagram(&mut self, now: Instant, route: Route, datagram: &[u8]) {
        self.now = now;
        match classify(datagram) {
            Classification::Stun { .. } => self.ice.handle_datagram(now, route, datagram),
            Classification::Dtls if self.ice.is_valid_route(route) => {
                self.ice.record_received(now, route, datagram.len());
                self.handle_records(now, route, datagram);
            }
            Classification::Dtls | Classification::Other => self.drop_datagram("not for this peer"),
        }
        self.settle(now);
    }

    /// Fires everything that is due; harmless when called early.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.now = now;
        self.ice.handle_timeout(now);
        if let Some(session) = self.gate.session_mut() {
            session.handle_timeout(now);
        }
        self.channels.handle_timeout(now);
        if self.drain_deadline.is_some_and(|deadline| deadline <= now) {
            self.close(now);
        }
        self.settle(now);
    }

    /// The earliest deadline of any layer; `None` when only input can change anything.
    pub fn poll_timeout(&self) -> Option<Instant> {
        if self.ended {
            return None;
        }
        let session = self.gate.session().and_then(dtls::Session::poll_timeout);
        [self.ice.poll_timeout(), session, self.channels.poll_timeout(), self.drain_deadline]
            .into_iter()
            .flatten()
            .min()
    }

    /// The next event, in order.
    pub fn poll_event(&mut self) -> Option<Event> {
        if self.events.is_empty() {
            // Calls on a borrowed channel may have left something to report.
            self.settle(self.now);
        }
        self.events.pop_front()
    }

    /// The path refused a datagram of `size` bytes (EMSGSIZE).
    ///
    /// The loss itself is repaired like any other, and what follows is in smaller datagrams, at least for a while. An SCTP
    /// packet on its way that is too large cannot be made smaller: if it does not get through, the connection ends with
    /// [`sctp::CloseReason::PathMtu`].
    pub fn handle_too_large(&mut self, size: usize) {
        tracing::debug!(size, "datagram is larger than the path takes");
        match &mut self.gate {
            Gate::Handshaking(session) => session.assume_narrow_path(),
            Gate::Open(session) => {
                let packet = size.saturating_sub(session.overhead());
                self.channels.packet_refused(packet);
            }
            Gate::Waiting { .. } | Gate::Closed => {}
        }
    }

    /// The socket refused a run of `size` bytes for `route`, whatever the reason: it is counted as discarded.
    pub fn count_discarded(&mut self, route: Route, size: usize, segment_size: Option<usize>) {
        let packets = segment_size.map_or(1, |segment| size.div_ceil(segment.max(1)));
        self.ice.record_discarded(route, packets, size);
    }

    /// Bytes of messages that `send` has accepted and the peer has not acknowledged; after the end, what it was then.
    pub fn undelivered(&self) -> usize {
        self.channels.undelivered()
    }

    /// Ends the connection at once: SCTP ABORT, DTLS close_notify, nothing after them. Bytes not yet acknowledged are
    /// lost; their number is in the [`CloseReason`]. Does nothing on an ended connection.
    pub fn close(&mut self, now: Instant) {
        if self.ended {
            return;
        }
        self.now = now;
        let undelivered = self.undelivered();
        self.end(now, CloseReason::Local { undelivered });
        self.settle(now);
    }

    /// Ends the connection because the peer took longer than the owner waits for it. The reason names the layer that is
    /// not up; that of ICE stays if it has failed already. `false`: it had ended before.
    pub fn give_up(&mut self, now: Instant) -> bool {
        if self.ended {
            return false;
        }
        self.now = now;
        let reason = match &self.close_reason {
            Some(reason) => reason.clone(),
            None if self.ice.selected().is_some() && self.dtls_state == dtls::State::Connecting => {
                CloseReason::Dtls(dtls::CloseReason::HandshakeTimeout { suspected_alert: None })
            }
            None => CloseReason::Ice(ice::FailureReason::NoAnswer),
        };
        self.end(now, reason);
        self.settle(now);
        true
    }

    /// Delivers everything that was accepted, shuts the association down, then ends as [`close`](Self::close) does. At
    /// `deadline` it ends whatever is left.
    pub fn close_gracefully(&mut self, now: Instant, deadline: Instant) {
        self.now = now;
        if self.ended {
            return;
        }
        if self.channels.association().state() == sctp::State::Closed {
            self.close(now);
            return;
        }
        self.drain_deadline = Some(deadline);
        self.channels.shutdown(now);
        self.settle(now);
    }

    /// DTLS from a validated route: to the session, or kept for it.
    fn handle_records(&mut self, now: Instant, route: Route, datagram: &[u8]) {
        match &mut self.gate {
            Gate::Waiting { early } => {
                if early.len() < MAX_EARLY_DATAGRAMS {
                    self.handshake_route = Some(route);
                    early.push((route, Bytes::copy_from_slice(datagram)));
                } else {
                    self.drop_datagram("too many DTLS datagrams before the description");
                }
            }
            Gate::Handshaking(session) => {
                self.handshake_route = Some(route);
                session.handle_datagram(now, datagram);
            }
            Gate::Open(session) => {
                session.handle_datagram(now, datagram);
                self.handle_packets(now, route);
            }
            Gate::Closed => self.drop_datagram("the session has ended"),
        }
    }

    /// SCTP packets that came out of DTLS.
    fn handle_packets(&mut self, now: Instant, route: Route) {
        let awaits_other = self.awaits_new_association();
        let our_port = self.channels.ports().0.to_be_bytes();
        let Gate::Open(session) = &mut self.gate else { return };
        while let Some(packet) = session.poll_data() {
            if let Some(tap) = &mut self.tap {
                tap.put(Direction::Inbound, route, packet);
            }
            // RFC 9260 §3: the destination port. What is for the next association must not be refused by this one.
            if !awaits_other || packet.get(2..4).is_none_or(|port| port == our_port) {
                self.channels.handle_packet(now, packet);
            }
            self.ice.record_traffic(now);
        }
    }

    fn drop_datagram(&mut self, why: &'static str) {
        self.datagrams_dropped += 1;
        tracing::debug!(why, "datagram dropped");
    }

    /// For [`add_announced_candidate`](Self::add_announced_candidate): addresses go to the agent, which answers with events.
    fn gather(&mut self, now: Instant, address: Option<(SocketAddr, SocketAddr)>) {
        self.now = now;
        if !self.gathers {
            // The offer that asked for it was taken back.
            return;
        }
        self.set_gathering(GatheringState::Gathering);
        match address {
            Some(_) if self.relay_only => {}
            Some((address, announced)) => self.ice.add_announced_candidate(now, address, announced),
            None => self.ice.set_gathering_complete(now),
        }
        self.settle(now);
    }
}

/// Datagrams of a handshake that are kept until the peer's description says what certificate to expect.
const MAX_EARLY_DATAGRAMS: usize = 8;
/// Candidates that are kept until there is a remote description.
const MAX_EARLY_CANDIDATES: usize = 100;
