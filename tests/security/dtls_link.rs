//! Two DTLS sessions with somebody between them who takes datagrams apart: records and handshake messages that nothing
//! protects yet, read by a codec of its own (RFC 6347 §4.1, §4.2.2).

use bytes::BytesMut;
use std::collections::VecDeque;
use std::sync::OnceLock;
use std::time::Instant;
use straits_peer::dtls::{
    CloseReason, Config, Event, Fingerprint, HashFunction, Identity, Role, Session, State,
};

pub const CHANGE_CIPHER_SPEC: u8 = 20;
pub const ALERT: u8 = 21;
pub const HANDSHAKE: u8 = 22;
pub const APPLICATION_DATA: u8 = 23;

// RFC 5246 §7.4.
pub const HELLO_REQUEST: u8 = 0;
pub const CLIENT_HELLO: u8 = 1;
pub const SERVER_HELLO: u8 = 2;
pub const CERTIFICATE: u8 = 11;
pub const SERVER_KEY_EXCHANGE: u8 = 12;
pub const CERTIFICATE_REQUEST: u8 = 13;
pub const SERVER_HELLO_DONE: u8 = 14;
pub const CERTIFICATE_VERIFY: u8 = 15;
pub const CLIENT_KEY_EXCHANGE: u8 = 16;

/// A record (RFC 6347 §4.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    pub content: u8,
    pub version: u16,
    pub epoch: u16,
    pub sequence: u64,
    pub payload: Vec<u8>,
}

impl Record {
    pub fn plain(content: u8, sequence: u64, payload: &[u8]) -> Self {
        Self { content, version: 0xfefd, epoch: 0, sequence, payload: payload.to_vec() }
    }

    pub fn all(mut datagram: &[u8]) -> Vec<Self> {
        let mut records = Vec::new();
        while !datagram.is_empty() {
            let be = |range: std::ops::Range<usize>| {
                datagram[range].iter().fold(0_u64, |value, byte| value << 8 | u64::from(*byte))
            };
            let end = 13 + usize::try_from(be(11..13)).unwrap();
            records.push(Self {
                content: datagram[0],
                version: u16::try_from(be(1..3)).unwrap(),
                epoch: u16::try_from(be(3..5)).unwrap(),
                sequence: be(5..11),
                payload: datagram[13..end].to_vec(),
            });
            datagram = &datagram[end..];
        }
        records
    }

    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes = vec![self.content];
        bytes.extend(self.version.to_be_bytes());
        bytes.extend((u64::from(self.epoch) << 48 | self.sequence).to_be_bytes());
        bytes.extend(u16::try_from(self.payload.len()).unwrap().to_be_bytes());
        bytes.extend(&self.payload);
        bytes
    }

    /// What step of a handshake it is part of.
    pub fn step(&self) -> Step {
        match (self.content, self.epoch) {
            (HANDSHAKE, 0) => Step::Message(self.payload[0]),
            (HANDSHAKE, _) => Step::Finished,
            (CHANGE_CIPHER_SPEC, _) => Step::ChangeCipherSpec,
            (content, _) => Step::Other(content),
        }
    }

    /// The one handshake message in it, whole.
    pub fn message(&self) -> Message {
        assert_eq!((self.content, self.epoch), (HANDSHAKE, 0));
        let messages = Message::all(&self.payload);
        assert_eq!(messages.len(), 1, "one message to a record");
        let message = messages[0].clone();
        assert_eq!((message.offset, message.len), (0, message.body.len()), "a whole message");
        message
    }
}

/// What has to come before a side may be connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// A handshake message in clear, by its type.
    Message(u8),
    ChangeCipherSpec,
    Finished,
    Other(u8),
}

/// What the server has to hear, and the client.
pub const OF_CLIENT: [Step; 6] = [
    Step::Message(CLIENT_HELLO),
    Step::Message(CERTIFICATE),
    Step::Message(CLIENT_KEY_EXCHANGE),
    Step::Message(CERTIFICATE_VERIFY),
    Step::ChangeCipherSpec,
    Step::Finished,
];
pub const OF_SERVER: [Step; 7] = [
    Step::Message(SERVER_HELLO),
    Step::Message(CERTIFICATE),
    Step::Message(SERVER_KEY_EXCHANGE),
    Step::Message(CERTIFICATE_REQUEST),
    Step::Message(SERVER_HELLO_DONE),
    Step::ChangeCipherSpec,
    Step::Finished,
];

/// A fragment of a handshake message, or all of it (RFC 6347 §4.2.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    pub kind: u8,
    /// Of the whole message.
    pub len: usize,
    pub sequence: u16,
    pub offset: usize,
    pub body: Vec<u8>,
}

impl Message {
    pub fn whole(kind: u8, sequence: u16, body: &[u8]) -> Self {
        Self { kind, len: body.len(), sequence, offset: 0, body: body.to_vec() }
    }

    pub fn all(mut payload: &[u8]) -> Vec<Self> {
        let mut messages = Vec::new();
        let be = |bytes: &[u8]| bytes.iter().fold(0, |value, byte| value << 8 | usize::from(*byte));
        while !payload.is_empty() {
            let end = 12 + be(&payload[9..12]);
            messages.push(Self {
                kind: payload[0],
                len: be(&payload[1..4]),
                sequence: u16::from_be_bytes([payload[4], payload[5]]),
                offset: be(&payload[6..9]),
                body: payload[12..end].to_vec(),
            });
            payload = &payload[end..];
        }
        messages
    }

    pub fn bytes(&self) -> Vec<u8> {
        let uint24 = |value: usize| u32::try_from(value).unwrap().to_be_bytes()[1..].to_vec();
        let mut bytes = vec![self.kind];
        bytes.extend(uint24(self.len));
        bytes.extend(self.sequence.to_be_bytes());
        bytes.extend(uint24(self.offset));
        bytes.extend(uint24(self.body.len()));
        bytes.extend(&self.body);
        bytes
    }

    pub fn record(&self) -> Record {
        Record::plain(HANDSHAKE, 0, &self.bytes())
    }

    /// Bytes `from..to` of this message as a fragment.
    pub fn fragment(&self, from: usize, to: usize) -> Self {
        Self { offset: self.offset + from, body: self.body[from..to].to_vec(), ..self.clone() }
    }
}

/// A session, and what came out of it.
pub struct End {
    pub session: Session,
    pub sent: VecDeque<Record>,
    pub data: Vec<Vec<u8>>,
    pub events: Vec<Event>,
    /// Steps of the peer that it was given.
    pub heard: Vec<Step>,
}

impl End {
    pub fn new(role: Role, expected: Vec<Fingerprint>, config: Config, now: Instant) -> Self {
        let session = Session::new(identity(role), role, expected, config, now).unwrap();
        let mut end =
            Self { session, sent: VecDeque::new(), data: Vec::new(), events: Vec::new(), heard: Vec::new() };
        end.collect(now);
        end
    }

    pub fn receive(&mut self, now: Instant, record: &Record) {
        self.heard.push(record.step());
        self.receive_bytes(now, &record.bytes());
    }

    pub fn receive_bytes(&mut self, now: Instant, datagram: &[u8]) {
        self.session.handle_datagram(now, datagram);
        self.collect(now);
    }

    pub fn fire(&mut self, now: Instant) {
        self.session.handle_timeout(now);
        self.collect(now);
    }

    fn collect(&mut self, now: Instant) {
        let mut buffer = BytesMut::new();
        while self.session.poll_transmit(now, &mut buffer) {
            self.sent.extend(Record::all(&buffer.split()));
        }
        while let Some(record) = self.session.poll_data() {
            self.data.push(record.to_vec());
        }
        self.events.extend(std::iter::from_fn(|| self.session.poll_event()));
    }

    pub fn seal(&mut self, plaintext: &[u8]) -> Vec<u8> {
        let mut buffer = BytesMut::new();
        self.session.seal(plaintext, &mut buffer).unwrap();
        buffer.to_vec()
    }

    pub fn is_connected(&self) -> bool {
        self.session.state() == State::Connected
    }

    /// It has not been connected at any time, and gave no data out.
    #[track_caller]
    pub fn assert_never_connected(&self) {
        assert!(!self.events.contains(&Event::Connected), "connected after {:?}", self.heard);
        assert!(self.data.is_empty(), "data: {:?}", self.data);
        assert!(self.session.negotiated().is_none());
    }

    #[track_caller]
    pub fn assert_failed(&self, reason: &CloseReason) {
        self.assert_never_connected();
        assert_eq!(self.session.close_reason(), Some(reason));
    }
}

/// Two ends, and the clock.
pub struct Link {
    pub now: Instant,
    pub client: End,
    pub server: End,
}

impl Link {
    pub fn new() -> Self {
        Self::with(Config::default(), true, true)
    }

    /// Whether the client and the server expect the certificate that the other has.
    pub fn with(config: Config, client_expects: bool, server_expects: bool) -> Self {
        let now = Instant::now();
        let expected = |role, is_right: bool| match is_right {
            true => vec![identity(role).fingerprint(HashFunction::Sha256)],
            false => vec![Fingerprint { function: HashFunction::Sha256, value: vec![0xab; 32] }],
        };
        Self {
            now,
            client: End::new(Role::Client, expected(Role::Server, client_expects), config.clone(), now),
            server: End::new(Role::Server, expected(Role::Client, server_expects), config, now),
        }
    }

    pub fn connected() -> Self {
        let mut link = Self::new();
        link.run();
        link.assert_connected();
        link
    }

    #[track_caller]
    pub fn assert_connected(&self) {
        assert_eq!(
            [self.client.session.state(), self.server.session.state()],
            [State::Connected; 2],
            "{:?}, {:?}",
            self.client.session.close_reason(),
            self.server.session.close_reason()
        );
    }

    pub fn end(&mut self, role: Role) -> &mut End {
        match role {
            Role::Client => &mut self.client,
            Role::Server => &mut self.server,
        }
    }

    /// The oldest record that this end sent and nobody has taken.
    pub fn next_from(&mut self, role: Role) -> Option<Record> {
        self.end(role).sent.pop_front()
    }

    /// Everything arrives as it was sent.
    pub fn run(&mut self) {
        self.run_with(|_, record| vec![record]);
    }

    /// Each record arrives as what `attacker` makes of it; `role` is its sender's.
    pub fn run_with(&mut self, mut attacker: impl FnMut(Role, Record) -> Vec<Record>) {
        loop {
            let (from, to) = match (self.client.sent.is_empty(), self.server.sent.is_empty()) {
                (false, _) => (Role::Client, Role::Server),
                (true, false) => (Role::Server, Role::Client),
                (true, true) => return,
            };
            let record = self.next_from(from).expect("not empty");
            let now = self.now;
            for record in attacker(from, record) {
                self.end(to).receive(now, &record);
            }
        }
    }

    /// Goes on with this attacker in between until both are connected, or no timer runs any more.
    pub fn run_to_the_end(&mut self, mut attacker: impl FnMut(Role, Record) -> Vec<Record>) {
        loop {
            self.run_with(&mut attacker);
            if self.client.is_connected() && self.server.is_connected() || !self.fire_next() {
                return;
            }
        }
    }

    /// Moves the clock to the next deadline and fires it; `false` when there is none.
    pub fn fire_next(&mut self) -> bool {
        let deadlines = [self.client.session.poll_timeout(), self.server.session.poll_timeout()];
        let Some(next) = deadlines.into_iter().flatten().min() else { return false };
        self.now = self.now.max(next);
        self.client.fire(self.now);
        self.server.fire(self.now);
        true
    }

    /// One record of data each way arrives.
    #[track_caller]
    pub fn assert_carries_data(&mut self) {
        let ping = self.client.seal(b"ping");
        self.server.receive_bytes(self.now, &ping);
        assert_eq!(self.server.data.pop().as_deref(), Some(&b"ping"[..]));
        let pong = self.server.seal(b"pong");
        self.client.receive_bytes(self.now, &pong);
        assert_eq!(self.client.data.pop().as_deref(), Some(&b"pong"[..]));
    }
}

pub fn other(role: Role) -> Role {
    match role {
        Role::Client => Role::Server,
        Role::Server => Role::Client,
    }
}

pub fn identity(role: Role) -> &'static Identity {
    static IDENTITIES: OnceLock<[Identity; 2]> = OnceLock::new();
    let identities = IDENTITIES.get_or_init(|| [(); 2].map(|()| Identity::generate().unwrap()));
    match role {
        Role::Client => &identities[0],
        Role::Server => &identities[1],
    }
}
