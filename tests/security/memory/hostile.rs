//! A peer over UDP that has proven who it is, by ICE and DTLS, and then says on SCTP whatever it likes.

use super::raw_extensions::PARTIAL;
use super::raw_sctp::*;
use super::support::{line, soon};
use bytes::BytesMut;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Instant;
use straits::{Configuration, Endpoint, PeerConnection, SdpType, SessionDescription};
use straits_ice::{Agent, Credentials, Mode, Role as IceRole, Route};
use straits_peer::dtls::{self, HashFunction, Identity, Role, Session};
use tokio::net::UdpSocket;

pub struct Hostile {
    socket: UdpSocket,
    agent: Agent,
    session: Session,
    route: Route,
    buffer: BytesMut,
    engine_tag: u32,
    /// Next TSN.
    pub tsn: u32,
    /// The engine's first TSN.
    pub engine_tsn: u32,
    /// SCTP packets of the engine that nobody looked at, and how many there were.
    pub heard: Vec<Packet>,
    pub received: u64,
    pub sent: u64,
}

impl Hostile {
    /// Connected to a connection that the endpoint made for it.
    pub async fn new(endpoint: &Endpoint, configuration: Configuration) -> (Self, PeerConnection) {
        let now = Instant::now();
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let local = socket.local_addr().unwrap();
        let mut agent = Agent::new(straits_ice::Config::default(), [5; 32], now);
        agent.set_role(now, IceRole::Controlling);
        agent.add_local_candidate(now, local);
        let identity = Identity::generate().unwrap();
        let offer = SessionDescription { kind: SdpType::Offer, sdp: offer(&agent, &identity, local) };
        let (server, answer) = soon("an answer", endpoint.accept(offer, configuration)).await.unwrap();
        let remote = SocketAddr::from((Ipv4Addr::LOCALHOST, endpoint.local_addresses()[0].port()));
        let value = |name: &str| line(&answer, name).unwrap().to_owned();
        let mode = if line(&answer, "a=ice-lite").is_some() { Mode::Lite } else { Mode::Full };
        let credentials = Credentials::new(value("a=ice-ufrag:"), value("a=ice-pwd:")).unwrap();
        agent.set_remote_credentials(now, credentials, mode);
        agent.add_remote_candidate(now, value("a=candidate:").parse().unwrap()).unwrap();
        agent.set_gathering_complete(now);
        agent.set_remote_gathering_complete(now);
        let role = if value("a=setup:") == "active" { Role::Server } else { Role::Client };
        let expected = vec![value("a=fingerprint:").parse().unwrap()];
        let session = Session::new(identity, role, expected, dtls::Config::default(), now).unwrap();
        let mut hostile = Self {
            socket,
            agent,
            session,
            route: Route { local, remote },
            buffer: BytesMut::new(),
            engine_tag: 0,
            tsn: TSN,
            engine_tsn: 0,
            heard: Vec::new(),
            received: 0,
            sent: 0,
        };
        soon("an association", hostile.open()).await;
        (hostile, server)
    }

    /// The lowest stream of this side's (RFC 8832 §6).
    pub fn first_stream(&self) -> u16 {
        match self.session.role() {
            Role::Client => 0,
            Role::Server => 1,
        }
    }

    /// DTLS, and INIT and COOKIE ECHO from this side.
    async fn open(&mut self) {
        while self.session.state() != dtls::State::Connected {
            self.pump();
            tokio::task::yield_now().await;
        }
        let init = PARTIAL.iter().fold(Init::new(TAG, TSN), |init, (kind, value)| init.with(*kind, value));
        self.send(&[init.chunk(INIT)]);
        let ack = Init::parse(&self.next(INIT_ACK).await);
        (self.engine_tag, self.engine_tsn) = (ack.tag, ack.tsn);
        self.send(&[Chunk::new(COOKIE_ECHO, 0, &ack.cookie())]);
        self.next(COOKIE_ACK).await;
        self.heard.clear();
    }

    /// The next chunk of this type.
    async fn next(&mut self, kind: u8) -> Chunk {
        loop {
            self.pump();
            let packets = std::mem::take(&mut self.heard);
            if let Some(chunk) = packets.iter().find_map(|packet| packet.find(kind)) {
                return chunk.clone();
            }
            tokio::task::yield_now().await;
        }
    }

    pub fn send(&mut self, chunks: &[Chunk]) {
        self.buffer.clear();
        let bytes = packet(PORT, PORT, self.engine_tag, chunks);
        self.session.seal(&bytes, &mut self.buffer).unwrap();
        // What the system has no room for is lost.
        self.sent += u64::from(self.socket.try_send_to(&self.buffer, self.route.remote).is_ok());
        self.buffer.clear();
    }

    /// Takes in what has come, and keeps ICE and DTLS going.
    pub fn pump(&mut self) {
        let now = Instant::now();
        let mut datagram = [0; 2048];
        while let Ok((len, _)) = self.socket.try_recv_from(&mut datagram) {
            let datagram = &datagram[..len];
            match datagram[0] {
                0..=3 => self.agent.handle_datagram(now, self.route, datagram),
                _ => self.session.handle_datagram(now, datagram),
            }
            while let Some(packet) = self.session.poll_data() {
                self.received += 1;
                self.heard.push(Packet::parse(packet));
            }
        }
        self.agent.handle_timeout(now);
        self.session.handle_timeout(now);
        while self.agent.poll_event().is_some() {}
        while self.session.poll_event().is_some() {}
        self.buffer.clear();
        while self.agent.poll_transmit(now, &mut self.buffer).is_some()
            || (self.agent.may_send() && self.session.poll_transmit(now, &mut self.buffer))
        {
            let _ = self.socket.try_send_to(&self.buffer, self.route.remote);
            self.buffer.clear();
        }
    }
}

fn offer(agent: &Agent, identity: &Identity, local: SocketAddr) -> String {
    let Credentials { ufrag, password } = agent.local_credentials();
    let fingerprint = identity.fingerprint(HashFunction::Sha256);
    let port = local.port();
    [
        "v=0",
        "o=- 1 1 IN IP4 127.0.0.1",
        "s=-",
        "t=0 0",
        "a=group:BUNDLE 0",
        "m=application 9 UDP/DTLS/SCTP webrtc-datachannel",
        "c=IN IP4 0.0.0.0",
        "a=mid:0",
        &format!("a=ice-ufrag:{ufrag}"),
        &format!("a=ice-pwd:{password}"),
        &format!("a=fingerprint:{fingerprint}"),
        "a=setup:actpass",
        "a=sctp-port:5000",
        &format!("a=candidate:1 1 udp 2130706431 127.0.0.1 {port} typ host"),
        "a=end-of-candidates",
        "",
    ]
    .join("\r\n")
}

const TAG: u32 = 0x1234_5678;
const TSN: u32 = 1000;
