//! A whole peer with a genuine one at the other end, and somebody who sends what he likes from everywhere.

use crate::{Config, DescriptionKind, Event, Peer, SdpType, SessionDescription};
use bytes::{Bytes, BytesMut};
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use straits_dtls::State as DtlsState;
use straits_dtls::fuzzing::identity;
use straits_ice::Route;
use straits_sctp::fuzzing::Script;
use straits_sctp::{ChannelEvent, ChannelId, ChannelInit, MessageKind, State as SctpState};

/// The first byte says who offers, and how far the two are when the script begins.
///
/// Nothing of SCTP is read before DTLS is up, and nothing of DTLS without a validated route; what is on its way has a
/// timer; queues are bounded; messages arrive in order, each once; after the end nothing is said.
pub fn peer(script: &[u8]) {
    let mut script = Script::new(script);
    let mut run = Run::new(script.byte());
    while let Some(step) = script.step() {
        run.step(step, &mut script);
        run.check();
    }
    run.finish();
}

struct Run {
    now: Instant,
    /// The one under test is the first.
    ends: [End; 2],
    /// DTLS was up at some time.
    was_connected: bool,
    /// Something came that the other one wrote, or that was made of it.
    has_heard: bool,
    sent: u32,
    received: u32,
}

struct End {
    peer: Peer,
    address: SocketAddr,
    /// Datagrams that it sent and nobody has delivered.
    held: VecDeque<Bytes>,
    channels: Vec<ChannelId>,
    is_over: bool,
}

impl Run {
    fn new(shape: u8) -> Self {
        let now = Instant::now();
        let ends = [(false, [192, 0, 2, 1]), (true, [192, 0, 2, 2])].map(|(second, ip)| End {
            peer: Peer::new(Config::default(), identity(second).clone(), [1 + u8::from(second); 32], now),
            address: (ip, 4000).into(),
            held: VecDeque::new(),
            channels: Vec::new(),
            is_over: false,
        });
        let mut run = Self { now, ends, was_connected: false, has_heard: false, sent: 0, received: 0 };
        run.negotiate(usize::from(shape & 1));
        if shape & 2 == 0 {
            run.connect();
        }
        run.check();
        run
    }

    /// Offer and answer, with all candidates inside the descriptions and one channel.
    fn negotiate(&mut self, offerer: usize) {
        let now = self.now;
        let implied = |kind| SessionDescription { kind, sdp: String::new() };
        let [one, other] = &mut self.ends;
        let (offerer, answerer) = if offerer == 0 { (one, other) } else { (other, one) };
        let id = offerer.peer.open_channel(now, ChannelInit::default()).expect("the first one");
        offerer.channels.push(id);
        offerer.describe(now, &implied(SdpType::Offer));
        let offer = offerer.peer.description(DescriptionKind::PendingLocal).expect("just set");
        answerer.peer.set_remote_description(now, &offer).expect("a genuine offer");
        answerer.describe(now, &implied(SdpType::Answer));
        let answer = answerer.peer.description(DescriptionKind::CurrentLocal).expect("just set");
        offerer.peer.set_remote_description(now, &answer).expect("a genuine answer");
    }

    /// Until the channel is known at both ends.
    fn connect(&mut self) {
        for _ in 0..1000 {
            for from in [0, 1] {
                while self.deliver_next(from) {}
            }
            let is_up =
                |end: &End| end.peer.sctp_state() == SctpState::Established && !end.channels.is_empty();
            if self.ends.iter().all(is_up) {
                return;
            }
            self.pass(Duration::from_millis(5));
            self.check();
        }
        panic!("two genuine peers connect");
    }

    fn step(&mut self, step: u8, script: &mut Script<'_>) {
        let end = usize::from(step >> 7);
        match step & 0x7f {
            0..24 => drop(self.deliver_next(end)),
            24..32 => {
                for from in [0, 1] {
                    while self.deliver_next(from) {}
                }
            }
            32..44 => self.change(script),
            44..60 => self.raw(step, script),
            60..64 => drop(self.ends[end].held.pop_front()),
            64..68 => {
                let held = &mut self.ends[end].held;
                held.rotate_left(1.min(held.len()));
            }
            // From another address, as it is.
            68..76 => {
                if let Some(datagram) = self.ends[1].pick(script.byte()) {
                    self.replay(foreign(script.byte()), &datagram);
                }
            }
            76..84 => self.pass(Duration::from_millis(u64::from(script.byte()) * 8)),
            84..92 => {
                if let Some(deadline) = self.ends[end].peer.poll_timeout() {
                    self.pass(deadline.saturating_duration_since(self.now));
                }
            }
            92..112 => self.send(end, script.u16()),
            _ => self.call(end, script.byte()),
        }
    }

    /// A genuine datagram, not quite.
    fn change(&mut self, script: &mut Script<'_>) {
        let (which, how, at) = (script.byte(), script.byte(), usize::from(script.u16()));
        let Some(datagram) = self.ends[1].pick(which) else { return };
        let mut datagram = datagram.to_vec();
        let at = at % datagram.len();
        match how % 4 {
            0 => datagram.truncate(at),
            1 => drop(datagram.splice(at..at, script.take(usize::from(how >> 2)).iter().copied())),
            _ => datagram[at] ^= script.byte(),
        }
        let source = if how & 4 == 0 { self.ends[1].address } else { foreign(script.byte()) };
        self.replay(source, &datagram);
    }

    /// Any bytes; the step says from where, and as what they are to be taken.
    fn raw(&mut self, step: u8, script: &mut Script<'_>) {
        let length = script.u16() % 1500;
        let mut datagram = script.take(length.into()).to_vec();
        if let Some(first) = datagram.first_mut() {
            match step % 4 {
                0 => *first %= 4,
                1 => *first = 20 + *first % 44,
                _ => {}
            }
        }
        let source = if step & 4 == 0 { self.ends[1].address } else { foreign(script.byte()) };
        self.receive(source, &datagram);
    }

    fn send(&mut self, end: usize, length: u16) {
        let Some(&id) = self.ends[end].channels.first() else { return };
        let Some(mut channel) = self.ends[end].peer.channel(id) else { return };
        let data = [&self.sent.to_be_bytes()[..], &vec![0; usize::from(length % 20_000)]].concat();
        let sent = channel.send(self.now, MessageKind::Binary, Bytes::from(data));
        self.sent += u32::from(end == 1 && sent.is_ok());
    }

    fn call(&mut self, end: usize, call: u8) {
        let (now, end) = (self.now, &mut self.ends[end]);
        match call {
            0..96 if end.channels.len() < MAX_CHANNELS => {
                end.channels.extend(end.peer.open_channel(now, ChannelInit::default()));
            }
            0..128 => {
                // The first one carries what is counted.
                let last = end.channels.last().filter(|_| end.channels.len() > 1);
                if let Some(mut channel) = last.and_then(|id| end.peer.channel(*id)) {
                    channel.close(now);
                }
            }
            128..144 => end.peer.restart_ice(now),
            144..160 => end.peer.handle_too_large(1200),
            160..176 => {
                if let Some(route) = end.peer.selected_route() {
                    end.peer.count_discarded(route, 1200, None);
                }
            }
            176..192 => end.peer.renew_association(now),
            192..208 => drop(end.peer.create_offer(now)),
            208..232 => end.peer.close_gracefully(now, now + Duration::from_secs(2)),
            232..248 => end.peer.close(now),
            _ => drop(end.peer.give_up(now)),
        }
    }

    fn deliver_next(&mut self, from: usize) -> bool {
        let Some(datagram) = self.ends[from].held.pop_front() else { return false };
        if from == 1 {
            self.replay(self.ends[1].address, &datagram);
        } else {
            let [one, other] = &mut self.ends;
            let route = Route { local: other.address, remote: one.address };
            other.peer.handle_datagram(self.now, route, &datagram);
        }
        self.check();
        true
    }

    /// The peer under test gets what the other one wrote, or what was made of it.
    fn replay(&mut self, source: SocketAddr, datagram: &[u8]) {
        // A check is as good from elsewhere (RFC 8445 §7.3.1.3).
        self.has_heard = true;
        self.receive(source, datagram);
    }

    fn receive(&mut self, source: SocketAddr, datagram: &[u8]) {
        let route = Route { local: self.ends[0].address, remote: source };
        self.ends[0].peer.handle_datagram(self.now, route, datagram);
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
        for end in &mut self.ends {
            end.peer.handle_timeout(self.now);
            let next = end.peer.poll_timeout();
            assert!(next.is_none_or(|next| next > self.now), "a timer in the past");
        }
    }

    /// What owners do after each input, and what must hold then.
    fn check(&mut self) {
        for end in &mut self.ends {
            end.transmit(self.now);
            end.take_events(self.now);
            end.transmit(self.now);
        }
        self.read();
        let peer = &self.ends[0].peer;
        peer.check_invariants();
        let stats = peer.stats();
        self.was_connected |= peer.dtls_state() == DtlsState::Connected;
        if !self.was_connected {
            assert_eq!(stats.sctp.packets_received, 0, "the gate");
        }
        if !self.has_heard {
            assert!(
                matches!(peer.dtls_state(), DtlsState::New | DtlsState::Closed),
                "no route was validated"
            );
        }
        let waits = stats.sctp.unacknowledged_chunks > 0 && !self.ends[0].is_over;
        assert!(!waits || peer.poll_timeout().is_some(), "no timer");
        assert!(peer.ice().candidate_pairs().len() <= MAX_PAIRS);
    }

    /// The messages of the other one have numbers.
    fn read(&mut self) {
        for id in self.ends[0].channels.clone() {
            let Some(mut channel) = self.ends[0].peer.channel(id) else { continue };
            while let Some(message) = channel.recv(self.now) {
                let number = message.data.first_chunk().map(|number| u32::from_be_bytes(*number));
                assert_eq!(number, Some(self.received), "in order, each once");
                self.received += 1;
            }
        }
        for id in self.ends[1].channels.clone() {
            let Some(mut channel) = self.ends[1].peer.channel(id) else { continue };
            while channel.recv(self.now).is_some() {}
        }
    }

    /// The network is as it should be again: what was sent arrives, if both live through it.
    fn finish(&mut self) {
        for _ in 0..MAX_ROUNDS {
            for from in [0, 1] {
                while self.deliver_next(from) {}
            }
            let is_done = self.received == self.sent && self.ends[0].peer.stats().sctp.bytes_in_flight == 0;
            if is_done || self.ends.iter().any(|end| !end.lives()) {
                return;
            }
            let deadlines = self.ends.iter().filter_map(|end| end.peer.poll_timeout());
            let next = deadlines.min().expect("consent goes on");
            self.pass(next.saturating_duration_since(self.now));
            self.check();
        }
        panic!("{} of {} messages came", self.received, self.sent);
    }
}

impl End {
    fn describe(&mut self, now: Instant, description: &SessionDescription) {
        self.peer.set_local_description(now, description).expect("it is this side's turn");
        self.take_events(now);
    }

    fn take_events(&mut self, now: Instant) {
        while let Some(event) = self.peer.poll_event() {
            assert!(!self.is_over, "{event:?} after the end");
            match event {
                Event::GatheringNeeded => {
                    self.peer.add_local_candidate(now, self.address);
                    self.peer.set_gathering_complete(now);
                }
                Event::Channel(ChannelEvent::Incoming(id)) => self.channels.push(id),
                Event::Closed(_) => self.is_over = true,
                _ => {}
            }
        }
    }

    fn transmit(&mut self, now: Instant) {
        let mut buffer = BytesMut::new();
        let mut runs = 0;
        while let Some(run) = self.peer.poll_transmit(now, 10, &mut buffer) {
            assert_eq!(run.size, buffer.len(), "a run is all that was written");
            let mut rest = buffer.split().freeze();
            while !rest.is_empty() {
                let segment = run.segment_size.unwrap_or(rest.len()).min(rest.len());
                self.held.push_back(rest.split_to(segment));
            }
            runs += 1;
            assert!(runs < 1000, "no end of datagrams");
        }
        self.held.truncate(MAX_HELD);
    }

    fn pick(&self, which: u8) -> Option<Bytes> {
        let index = usize::from(which).checked_rem(self.held.len())?;
        self.held.get(index).cloned()
    }

    /// Nothing has ended or failed, nor is about to.
    fn lives(&self) -> bool {
        !self.is_over && self.peer.close_reason().is_none()
    }
}

/// One of a few addresses that no description names.
fn foreign(which: u8) -> SocketAddr {
    ([198, 51, 100, which % 4], 4000 + u16::from(which / 64)).into()
}

const MAX_CHANNELS: usize = 8;
/// Datagrams that are remembered; later ones are lost.
const MAX_HELD: usize = 200;
/// Of the ICE agent.
const MAX_PAIRS: usize = 200;
/// Consent fails long before.
const MAX_ROUNDS: usize = 3000;
