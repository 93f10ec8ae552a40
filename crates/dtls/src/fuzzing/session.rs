//! A session whose peer is genuine, with somebody on the path who drops, repeats, reorders, changes and adds datagrams.

use super::identity;
use super::script::Script;
use crate::{Config, Event, HashFunction, Role, Session, State};
use bytes::BytesMut;
use std::collections::{BTreeSet, VecDeque};
use std::time::{Duration, Instant};

/// The first byte says which role the session has, whether the handshake is over, and whether it expects another
/// certificate than the peer's.
///
/// A session is connected only with the certificate it expects; what it opens is what its peer sealed, each once; it
/// answers no datagram with many; and it ends, or goes on, but does not hang.
pub fn session(script: &[u8]) {
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
    /// The session under test, and its peer.
    session: Session,
    peer: Session,
    /// Datagrams of the peer that somebody holds.
    held: VecDeque<Vec<u8>>,
    /// Records that the peer sealed, by number, and that were opened.
    sealed: u32,
    opened: BTreeSet<u32>,
    expects_another: bool,
    events: Vec<Event>,
}

impl Run {
    fn new(shape: u8) -> Self {
        let now = Instant::now();
        let expects_another = shape & 4 != 0;
        let (role, peers) =
            if shape & 1 != 0 { (Role::Server, Role::Client) } else { (Role::Client, Role::Server) };
        let new = |second: bool, role, expected: bool| {
            let expected = vec![identity(expected).fingerprint(HashFunction::Sha256)];
            // Small datagrams: flights are several.
            let config = Config::default().mtu(if shape & 8 != 0 { 300 } else { 1200 });
            Session::new(identity(second), role, expected, config, now).expect("OpenSSL sets sessions up")
        };
        let mut run = Self {
            now,
            session: new(false, role, !expects_another),
            peer: new(true, peers, false),
            held: VecDeque::new(),
            sealed: 0,
            opened: BTreeSet::new(),
            expects_another,
            events: Vec::new(),
        };
        run.check();
        if shape & 2 != 0 {
            while let Some(datagram) = run.held.pop_front() {
                run.receive(&datagram);
                run.check();
            }
        }
        run
    }

    fn step(&mut self, step: u8, script: &mut Script<'_>) {
        match step % 16 {
            0..=3 => {
                if let Some(datagram) = self.held.pop_front() {
                    self.receive(&datagram);
                }
            }
            4 => {
                if let Some(datagram) = self.pick(script.byte()) {
                    self.receive(&datagram);
                }
            }
            5 | 6 => self.change(script),
            7 => drop(self.held.pop_front()),
            8 => {
                let length = script.u16() % 1500;
                let datagram = script.take(length.into()).to_vec();
                self.receive(&datagram);
            }
            9 => {
                let datagram = record(script);
                self.receive(&datagram);
            }
            10 => {
                let datagram = fragment(script);
                self.receive(&datagram);
            }
            11 => self.pass(Duration::from_millis(u64::from(script.byte()) * 20)),
            12 => {
                if let Some(deadline) = self.session.poll_timeout() {
                    self.pass(deadline.saturating_duration_since(self.now));
                }
            }
            13 | 14 => self.seal(script.byte()),
            _ if step >= 0xe0 => self.session.close(self.now),
            _ if step >= 0xc0 => self.peer.close(self.now),
            _ => self.held.rotate_left(self.held.len().min(1)),
        }
    }

    /// A genuine datagram, not quite.
    fn change(&mut self, script: &mut Script<'_>) {
        let (which, how, at) = (script.byte(), script.byte(), usize::from(script.u16()));
        let Some(mut datagram) = self.pick(which) else { return };
        let at = at % datagram.len();
        match how % 4 {
            0 => datagram.truncate(at),
            1 => {
                datagram.splice(at..at, script.take(usize::from(how >> 2)).iter().copied());
            }
            2 => {
                let behind = datagram.split_off(at);
                datagram.splice(0..0, behind);
            }
            _ => datagram[at] ^= script.byte(),
        }
        self.receive(&datagram);
    }

    fn pick(&self, which: u8) -> Option<Vec<u8>> {
        let index = usize::from(which).checked_rem(self.held.len())?;
        self.held.get(index).cloned()
    }

    fn receive(&mut self, datagram: &[u8]) {
        self.session.handle_datagram(self.now, datagram);
    }

    /// Either side sends data; that of the peer has a number.
    fn seal(&mut self, length: u8) {
        let mut buffer = BytesMut::new();
        // Refused before the end of the handshake.
        let _ = self.session.seal(&vec![0; length.into()], &mut buffer);
        if !buffer.is_empty() {
            self.peer.handle_datagram(self.now, &buffer.split());
        }
        let data = [&self.sealed.to_be_bytes()[..], &vec![0; length.into()]].concat();
        if self.peer.seal(&data, &mut buffer).is_ok() {
            self.sealed += 1;
            self.hold(&buffer);
        }
    }

    fn hold(&mut self, datagram: &[u8]) {
        if self.held.len() < MAX_HELD {
            self.held.push_back(datagram.to_vec());
        }
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
        self.session.handle_timeout(self.now);
        self.peer.handle_timeout(self.now);
        let next = self.session.poll_timeout();
        assert!(next.is_none_or(|next| next > self.now), "a timer in the past");
    }

    /// Hands on what the session sends, and looks at what it says.
    fn check(&mut self) {
        let mut buffer = BytesMut::new();
        let mut datagrams = 0;
        while self.session.poll_transmit(self.now, &mut buffer) {
            self.peer.handle_datagram(self.now, &buffer.split());
            datagrams += 1;
            assert!(datagrams < MAX_ANSWER, "no end of datagrams");
        }
        while let Some(data) = self.session.poll_data() {
            let number = data.first_chunk().map(|number| u32::from_be_bytes(*number));
            let number = number.expect("the peer's records are numbered");
            assert!(number < self.sealed && self.opened.insert(number), "record {number}");
        }
        while self.peer.poll_transmit(self.now, &mut buffer) {
            let datagram = buffer.split();
            self.hold(&datagram);
        }
        while self.peer.poll_data().is_some() {}
        while self.peer.poll_event().is_some() {}
        while let Some(event) = self.session.poll_event() {
            assert!(!matches!(self.events.last(), Some(Event::Closed(_))), "{event:?} after the end");
            assert!(!self.events.contains(&event), "{event:?} twice");
            self.events.push(event);
        }
        self.check_state();
    }

    fn check_state(&self) {
        let is_connected = self.session.state() == State::Connected;
        if is_connected || !self.opened.is_empty() {
            assert!(!self.expects_another, "connected with a certificate nobody announced");
            assert_eq!(self.events.first(), Some(&Event::Connected));
        }
        let is_over = self.session.close_reason().is_some();
        assert_eq!(is_over, matches!(self.events.last(), Some(Event::Closed(_))));
        let timer = self.session.poll_timeout();
        assert!(!is_over || timer.is_none(), "a timer after the end");
        assert!(is_over || is_connected || timer.is_some(), "a handshake without a timer");
    }

    /// Silence: it is connected and idle, or has ended.
    fn finish(&mut self) {
        for _ in 0..MAX_TIMEOUTS {
            let Some(deadline) = self.session.poll_timeout() else { return };
            self.pass(deadline.saturating_duration_since(self.now));
            self.check();
        }
        panic!("no end of timeouts: {:?}", self.session);
    }
}

/// A record of any kind; most have epoch 0 and the true length.
fn record(script: &mut Script<'_>) -> Vec<u8> {
    let (kind, epoch, sequence) = (script.byte(), script.byte(), script.u16().to_be_bytes());
    let length = script.byte();
    let payload = script.take(length.into());
    let (content, lie) = (20 + kind % 5, u16::from(kind >= 0xf0));
    let length = (u16::try_from(payload.len()).unwrap_or(u16::MAX) + lie).to_be_bytes();
    let header =
        [content, 254, 253, 0, epoch % 3, 0, 0, 0, 0, sequence[0], sequence[1], length[0], length[1]];
    [&header, payload].concat()
}

/// A record with a fragment of a handshake message.
fn fragment(script: &mut Script<'_>) -> Vec<u8> {
    let (kind, message, sequence) = (script.byte(), script.byte() % 16, script.byte());
    let (whole, from) = (script.u16().to_be_bytes(), script.u16().to_be_bytes());
    let length = script.byte();
    let body = script.take(length.into());
    let length = u16::try_from(body.len()).unwrap_or(u16::MAX);
    let [high, low] = (length + 12).to_be_bytes();
    let [part_high, part_low] = length.to_be_bytes();
    let header = [22, 254, 253, 0, 0, 0, 0, 0, 0, 1, sequence, high, low];
    let kind = if kind < 0x80 { kind % 25 } else { kind };
    let fragment = [kind, 0, whole[0], whole[1], 0, message, 0, from[0], from[1], 0, part_high, part_low];
    [&header[..], &fragment, body].concat()
}

/// Datagrams that the one on the path remembers.
const MAX_HELD: usize = 64;
/// Of one answer: a flight with the smallest MTU is less.
const MAX_ANSWER: usize = 40;
/// A handshake is resent some seven times, and the last flight for a minute.
const MAX_TIMEOUTS: usize = 50;
