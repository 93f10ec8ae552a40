//! Pairs of sessions in memory, under a virtual clock.

mod handshake;
mod hostile;
mod key_log;
mod loss;
mod transfer;

use crate::{CloseReason, Config, Event, HashFunction, Identity, Role, Session, State, Stats};
use bytes::BytesMut;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// Two sessions and the datagrams between them.
struct Pair {
    now: Instant,
    client: Side,
    server: Side,
}

struct Side {
    session: Session,
    /// Datagrams it has sent that the test has not delivered yet.
    sent: Vec<Vec<u8>>,
    data: Vec<Vec<u8>>,
    events: Vec<Event>,
}

impl Pair {
    fn new() -> Self {
        Self::with(Config::default(), |_| {})
    }

    /// `twist` may change what the sides expect of each other.
    fn with(config: Config, twist: impl FnOnce(&mut Expectations)) -> Self {
        let now = Instant::now();
        let mut expect = Expectations {
            client_expects: vec![server_identity().fingerprint(HashFunction::Sha256)],
            server_expects: vec![client_identity().fingerprint(HashFunction::Sha256)],
        };
        twist(&mut expect);
        let new = |identity, role, expected| {
            let session = Session::new(identity, role, expected, config.clone(), now).unwrap();
            Side::new(session)
        };
        Self {
            now,
            client: new(client_identity(), Role::Client, expect.client_expects),
            server: new(server_identity(), Role::Server, expect.server_expects),
        }
    }

    fn connected() -> Self {
        let mut pair = Self::new();
        pair.run();
        assert_eq!(pair.states(), (State::Connected, State::Connected));
        pair.client.events.clear();
        pair.server.events.clear();
        pair
    }

    fn states(&self) -> (State, State) {
        (self.client.session.state(), self.server.session.state())
    }

    /// Delivers everything at once until nobody says anything more.
    fn run(&mut self) {
        self.run_with(|datagrams| datagrams);
    }

    /// The same, with what `channel` makes of each burst of datagrams.
    fn run_with(&mut self, mut channel: impl FnMut(Vec<Vec<u8>>) -> Vec<Vec<u8>>) {
        loop {
            let to_server = self.client.take_sent(self.now);
            let to_client = self.server.take_sent(self.now);
            if to_server.is_empty() && to_client.is_empty() {
                break;
            }
            for datagram in channel(to_server) {
                self.server.receive(self.now, &datagram);
            }
            for datagram in channel(to_client) {
                self.client.receive(self.now, &datagram);
            }
        }
    }

    /// Moves the clock to the next deadline and fires it; `false` when there is none.
    fn fire_next(&mut self) -> bool {
        let deadlines = [self.client.session.poll_timeout(), self.server.session.poll_timeout()];
        let Some(next) = deadlines.into_iter().flatten().min() else {
            return false;
        };
        self.now = self.now.max(next);
        self.client.session.handle_timeout(self.now);
        self.server.session.handle_timeout(self.now);
        true
    }

    /// One record each way; asserts that it arrives.
    fn exchange(&mut self) {
        let record = self.client.seal(b"ping");
        self.server.receive(self.now, &record);
        assert_eq!(self.server.data.pop().as_deref(), Some(&b"ping"[..]));
        let record = self.server.seal(b"pong");
        self.client.receive(self.now, &record);
        assert_eq!(self.client.data.pop().as_deref(), Some(&b"pong"[..]));
    }
}

impl Side {
    fn new(session: Session) -> Self {
        Self { session, sent: Vec::new(), data: Vec::new(), events: Vec::new() }
    }

    fn receive(&mut self, now: Instant, datagram: &[u8]) {
        self.session.handle_datagram(now, datagram);
        self.collect(now);
    }

    fn collect(&mut self, now: Instant) {
        let mut buffer = BytesMut::new();
        while self.session.poll_transmit(now, &mut buffer) {
            self.sent.push(buffer.split().to_vec());
        }
        while let Some(record) = self.session.poll_data() {
            self.data.push(record.to_vec());
        }
        self.events.extend(std::iter::from_fn(|| self.session.poll_event()));
    }

    fn take_sent(&mut self, now: Instant) -> Vec<Vec<u8>> {
        self.collect(now);
        std::mem::take(&mut self.sent)
    }

    fn seal(&mut self, plaintext: &[u8]) -> Vec<u8> {
        let mut buffer = BytesMut::new();
        self.session.seal(plaintext, &mut buffer).unwrap();
        buffer.to_vec()
    }

    fn stats(&self) -> Stats {
        self.session.stats()
    }

    fn cipher_suite(&self) -> Option<&'static str> {
        Some(self.session.negotiated()?.cipher_suite)
    }

    fn peer_certificate_der(&self) -> Option<Vec<u8>> {
        Some(self.session.negotiated()?.peer_certificate.der())
    }

    /// The session has failed for `reason`, said so once, and never was connected.
    fn assert_failed(&self, reason: &CloseReason) {
        assert_eq!(self.events, [Event::Closed(reason.clone())]);
        assert_eq!(self.session.close_reason(), Some(reason));
        assert_eq!(self.session.state(), State::Failed);
        assert_eq!(self.data, Vec::<Vec<u8>>::new());
    }
}

struct Expectations {
    client_expects: Vec<crate::Fingerprint>,
    server_expects: Vec<crate::Fingerprint>,
}

fn client_identity() -> &'static Identity {
    static IDENTITY: OnceLock<Identity> = OnceLock::new();
    IDENTITY.get_or_init(|| Identity::generate().unwrap())
}

fn server_identity() -> &'static Identity {
    static IDENTITY: OnceLock<Identity> = OnceLock::new();
    IDENTITY.get_or_init(|| Identity::generate().unwrap())
}

fn ms(value: u64) -> Duration {
    Duration::from_millis(value)
}

/// A record in the clear.
fn plaintext_record(content: u8, sequence: u8, payload: &[u8]) -> Vec<u8> {
    let len = u16::try_from(payload.len()).unwrap().to_be_bytes();
    let header = [content, 254, 253, 0, 0, 0, 0, 0, 0, 0, sequence, len[0], len[1]];
    [&header, payload].concat()
}
