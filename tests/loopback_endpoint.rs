//! Many connections on one socket.

#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

#[path = "support/loopback.rs"]
mod support;

use futures_util::future::join_all;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;
use straits::{
    CloseReason, Configuration, DataChannel, DataChannelInit, Endpoint, EndpointConfiguration, EndpointError,
    ErrorCause, ErrorName, Identity, LayerConfig, Message, PeerConnection, PeerConnectionState,
    SessionDescription, ice,
};
use support::{configuration, end, line, negotiate, offerer, peer, soon, trickle, until, with_lines};
use tokio::net::UdpSocket;
use tokio::runtime::Runtime;

fn settings() -> EndpointConfiguration {
    EndpointConfiguration::default().bind_address((Ipv4Addr::LOCALHOST, 0).into())
}

fn bind(settings: EndpointConfiguration) -> Endpoint {
    Endpoint::bind(settings).unwrap()
}

/// Sends back what comes, on every channel of the peer.
fn echo(connection: &PeerConnection) {
    connection.on_data_channel(|channel| {
        channel.on_message(|channel, message| {
            let _ = channel.try_send(message);
        });
    });
}

/// A client with one channel, and the connection that the endpoint made for it.
struct Session {
    client: PeerConnection,
    channel: DataChannel,
    server: PeerConnection,
}

impl Session {
    async fn new(endpoint: &Endpoint) -> Self {
        Self::with(endpoint, configuration(), Configuration::default()).await
    }

    async fn with(endpoint: &Endpoint, client: Configuration, server: Configuration) -> Self {
        Self::altered(endpoint, client, server, |answer| answer).await
    }

    /// `alter` sees the answer on its way.
    async fn altered(
        endpoint: &Endpoint,
        client: Configuration,
        server: Configuration,
        alter: impl FnOnce(SessionDescription) -> SessionDescription,
    ) -> Self {
        let client = PeerConnection::new(client).unwrap();
        let channel = client.create_data_channel("data", DataChannelInit::default()).unwrap();
        client.set_local_description_implicitly().await.unwrap();
        let offer = client.local_description().unwrap();
        let (server, answer) = soon("an answer", endpoint.accept(offer, server)).await.unwrap();
        echo(&server);
        client.set_remote_description(alter(answer)).await.unwrap();
        Self { client, channel, server }
    }

    /// The other way round: the endpoint offers, checks and has the channel, the client sends back.
    async fn offered(endpoint: &Endpoint) -> Self {
        let server = endpoint.connect(Configuration::default()).unwrap();
        let channel = server.create_data_channel("data", DataChannelInit::default()).unwrap();
        let client = peer();
        echo(&client);
        trickle(&client, &server);
        negotiate(&server, &client).await;
        Self { client, channel, server }
    }

    async fn echoes(&self, text: &str) {
        soon("room", self.channel.send(text)).await.unwrap();
        assert_eq!(soon("the echo", self.channel.recv()).await, Some(Message::from(text)));
    }

    async fn end(self) {
        end([self.client, self.server]).await;
    }
}

async fn emptied(endpoint: &Endpoint) {
    until("the connections to go", || endpoint.connections() == 0).await;
}

/// The port is free again: whoever had it is gone.
async fn freed(address: SocketAddr) {
    until("the port to be free", || std::net::UdpSocket::bind(address).is_ok()).await;
}

fn refusal(error: &straits::Error) -> EndpointError {
    match error.cause() {
        ErrorCause::Endpoint(refusal) => *refusal,
        cause => panic!("{cause:?}"),
    }
}

async fn offer() -> SessionDescription {
    offerer().create_offer().await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_connections_come_and_go() {
    let endpoint = bind(settings());
    let identity = Identity::generate().unwrap();
    // Two thousand ends that ask for consent every other second are more than a debug build answers.
    let minutes = Duration::from_secs(300);
    let ice = ice::Config::default()
        .disconnected_after(minutes)
        .failed_after(minutes)
        .consent_interval(minutes / 5);
    let [client, server] = [configuration(), Configuration::default()].map(|configuration| {
        configuration.certificate(identity.clone()).layers(LayerConfig::default().ice(ice.clone()))
    });
    let mut sessions = Vec::new();
    for round in 0..20 {
        let batch = (0..50).map(|n| {
            let (client, server, endpoint) = (client.clone(), server.clone(), &endpoint);
            async move {
                let session = Session::with(endpoint, client, server).await;
                session.echoes(&format!("{round}.{n}")).await;
                session
            }
        });
        sessions.extend(join_all(batch).await);
    }
    let stats = endpoint.stats();
    assert_eq!((endpoint.connections(), stats.pending, stats.connections_made), (1000, 0, 1000));
    assert_eq!((stats.routes, stats.fragments), (1000, 1000));
    // Each is still reached, and by none but its own client.
    join_all(sessions.iter().enumerate().map(|(n, session)| {
        let text = n.to_string();
        async move { session.echoes(&text).await }
    }))
    .await;

    for session in &sessions {
        session.client.close();
    }
    for session in sessions {
        assert!(soon("the goodbye", session.server.closed()).await.is_orderly());
        soon("the end", session.client.closed()).await;
    }
    let stats = endpoint.stats();
    assert_eq!((stats.connections, stats.pending, stats.routes, stats.fragments), (0, 0, 0, 0));
    assert_eq!((stats.connections_refused, stats.connections_given_up), (0, 0));
    endpoint.close();
    soon("the endpoint to close", endpoint.closed()).await;
}

/// What a check proves of its route holds for the datagram right behind it: nothing is lost on the way up.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_datagram_of_a_handshake_is_for_nobody() {
    let endpoint = bind(settings());
    let mut sessions = Vec::new();
    for round in 0..40 {
        let session = match round % 2 {
            0 => Session::new(&endpoint).await,
            _ => Session::offered(&endpoint).await,
        };
        session.echoes("hello").await;
        let stats = endpoint.stats();
        assert_eq!(
            (stats.unknown_sources, stats.unknown_checks, stats.malformed),
            (0, 0, 0),
            "round {round}"
        );
        // A goodbye may come to a connection that is gone, so they live until all is counted.
        sessions.push(session);
    }
}

/// STUN with the right name and a wrong proof (RFC 8489 §14.5), as anybody can send it who has seen the description.
fn forged_check(username: &str) -> Vec<u8> {
    let mut attributes = vec![0, 6, 0, u8::try_from(username.len()).unwrap()];
    attributes.extend_from_slice(username.as_bytes());
    attributes.resize(4 + username.len().next_multiple_of(4), 0);
    attributes.extend_from_slice(&[0, 8, 0, 20]);
    attributes.extend_from_slice(&[7; 20]);
    let mut check = vec![0, 1, 0, u8::try_from(attributes.len()).unwrap(), 0x21, 0x12, 0xa4, 0x42];
    check.extend_from_slice(&[9; 12]);
    check.extend_from_slice(&attributes);
    check
}

fn ufrag(description: &SessionDescription) -> String {
    line(description, "a=ice-ufrag:").unwrap().to_owned()
}

/// A client in a runtime of its own, which can be made to vanish with its socket, without a word.
async fn mortal(endpoint: &Endpoint, server: Configuration) -> (Runtime, Session) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let endpoint = endpoint.clone();
    let session = runtime.spawn(async move {
        let session = Session::with(&endpoint, configuration(), server).await;
        session.echoes("alive").await;
        session
    });
    let session = session.await.unwrap();
    (runtime, session)
}

/// Forged checks, DTLS of strangers, a peer that sends without end and one that vanished: all others go on alike.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn some_do_not_disturb_others() {
    let endpoint = bind(settings());
    let target = endpoint.local_addresses()[0];
    let (runtime, victim) = mortal(&endpoint, Configuration::default()).await;
    let honest: Vec<Session> = join_all((0..8).map(|_| Session::new(&endpoint))).await;
    for session in &honest {
        session.echoes("ready").await;
    }
    let bulk = Session::new(&endpoint).await;
    bulk.echoes("ready").await;
    let is_over = Arc::new(AtomicBool::new(false));

    // From here on the vanished one is sent to by its server in vain, too.
    runtime.shutdown_background();
    let flooded = &honest[0].server;
    let names = [flooded, &victim.server].map(|server| {
        let (ours, theirs) = (server.local_description().unwrap(), server.remote_description().unwrap());
        format!("{}:{}", ufrag(&ours), ufrag(&theirs))
    });
    let total = Arc::new(AtomicUsize::new(0));
    let flooded_with = Arc::new(AtomicUsize::new(0));
    let (over, echoes, sent) = (is_over.clone(), total.clone(), flooded_with.clone());
    let flood = tokio::spawn(async move {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let mut packets: Vec<Vec<u8>> = names.iter().map(|name| forged_check(name)).collect();
        packets.push(forged_check("nobody:here"));
        packets.push([22, 254, 253].into_iter().chain(std::iter::repeat_n(0, 1000)).collect());
        packets.push(vec![200; 1000]);
        // As many of each as there were echoes, and more: how much a debug build can take is not the question.
        while !over.load(Ordering::Relaxed) {
            if sent.load(Ordering::Relaxed) <= FLOOD * echoes.load(Ordering::Relaxed) {
                for packet in &packets {
                    let _ = socket.send_to(packet, target).await;
                }
                sent.fetch_add(1, Ordering::Relaxed);
            }
            tokio::task::yield_now().await;
        }
    });
    let over = is_over.clone();
    let sender = tokio::spawn(async move {
        let mut sent = 0_usize;
        while !over.load(Ordering::Relaxed) {
            soon("room", bulk.channel.send(vec![1; 16 << 10])).await.unwrap();
            while bulk.channel.try_recv().is_some() {}
            sent += 1;
        }
        (bulk, sent)
    });

    // All echo as fast as they can until there were so many in all, and as much of the flood.
    let counts = join_all(honest.iter().map(|session| {
        let (total, flooded_with) = (total.clone(), flooded_with.clone());
        async move {
            let mut count = 0;
            while total.fetch_add(1, Ordering::Relaxed) < ECHOES
                || flooded_with.load(Ordering::Relaxed) < ECHOES
            {
                session.echoes("hello").await;
                count += 1;
            }
            count
        }
    }))
    .await;
    is_over.store(true, Ordering::Relaxed);
    soon("the flood to end", flood).await.unwrap();
    let (bulk, sent) = soon("the sender to end", sender).await.unwrap();

    let sum: usize = counts.iter().sum();
    assert!(sum >= ECHOES && counts.iter().all(|&count| count >= sum / honest.len() / 4), "{counts:?}");
    let stats = endpoint.stats();
    let forged = flooded.stats().ice.unauthenticated;
    for count in [stats.unknown_sources, stats.unknown_checks, stats.malformed, forged] {
        // The system may drop some of it.
        assert!(count > ECHOES as u64 / 4, "{count} of {flooded_with:?} came, {stats:?}");
    }
    assert!(sent > 0);
    assert_eq!(stats.connections_made, 10, "nobody had to come back");
    end([bulk.client, bulk.server, victim.server]).await;
    for session in honest {
        session.end().await;
    }
    emptied(&endpoint).await;
}

const ECHOES: usize = 2000;
/// Datagrams of each unwanted kind for each echo.
const FLOOD: usize = 4;

/// A peer that was restarted comes back from the same address and port.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_connection_takes_its_address_over() {
    let endpoint = bind(settings().setup_timeout(Duration::from_secs(1)));
    let impatient = ice::Config::default().failed_after(Duration::from_secs(6));
    let server = Configuration::default().layers(LayerConfig::default().ice(impatient));
    let (runtime, old) = mortal(&endpoint, server).await;
    let candidate = old.client.local_description().unwrap();
    let port = line(&candidate, "a=candidate:").unwrap().split(' ').nth(5).unwrap().parse().unwrap();
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    runtime.shutdown_background();
    freed(address).await;
    let received = old.server.stats().sctp.packets_received;

    let client = Configuration::default().bind_address(address);
    let new = Session::with(&endpoint, client, Configuration::default()).await;
    new.echoes("here again").await;
    let stats = endpoint.stats();
    assert_eq!((stats.connections, stats.routes, stats.fragments), (2, 1, 2));
    let still = old.server.connection_state();
    assert!(matches!(still, PeerConnectionState::Connected | PeerConnectionState::Disconnected), "{still}");

    // Nobody answers the old one's checks for consent.
    let reason = soon("the old one to end", old.server.closed()).await;
    assert_eq!(reason, CloseReason::Ice(ice::FailureReason::ConsentExpired));
    new.echoes("still here").await;
    let stats = endpoint.stats();
    assert_eq!((stats.connections, stats.routes, stats.fragments), (1, 1, 1));
    assert_eq!(
        old.server.stats().sctp.packets_received,
        received,
        "what is for the new one reached the old one"
    );
    new.end().await;
}

fn candidates(description: &SessionDescription) -> Vec<Vec<String>> {
    let lines = description.sdp.lines().filter_map(|line| line.strip_prefix("a=candidate:"));
    lines.map(|line| line.split(' ').map(str::to_owned).collect()).collect()
}

#[tokio::test]
async fn announced_addresses_are_told_and_real_ones_used() {
    let announced = [203, 0, 113, 7].into();
    let endpoint = bind(settings().announce(announced));
    let port = endpoint.local_addresses()[0].port().to_string();

    // The test is the NAT.
    let mut told = Vec::new();
    let session = Session::altered(&endpoint, configuration(), Configuration::default(), |answer| {
        told = candidates(&answer);
        let mapped = |rest: &str| Some(format!("a=candidate:{}", rest.replace("203.0.113.7", "127.0.0.1")));
        with_lines(answer, "a=candidate:", mapped)
    })
    .await;
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!(told[0][4..8], ["203.0.113.7", port.as_str(), "typ", "host"]);
    session.echoes("through").await;
    session.end().await;

    // As the offerer it is the one that checks, from where it is.
    let session = Session::offered(&endpoint).await;
    session.echoes("back").await;
    let told = candidates(&session.server.local_description().unwrap());
    assert_eq!((told.len(), told[0][4].as_str()), (1, "203.0.113.7"));
    session.end().await;

    let mapped = bind(settings().announce_address(SocketAddr::new(announced, 443)));
    let (server, answer) = mapped.accept(offer().await, Configuration::default()).await.unwrap();
    assert_eq!(candidates(&answer)[0][4..6], ["203.0.113.7", "443"]);
    end([server]).await;
}

#[tokio::test]
async fn those_not_connected_yet_are_limited() {
    let endpoint = bind(settings().max_pending(2));
    let offer = offer().await;
    let accept = || endpoint.accept(offer.clone(), Configuration::default());
    let (first, _) = accept().await.unwrap();
    let second = endpoint.connect(Configuration::default()).unwrap();
    let error = accept().await.unwrap_err();
    assert_eq!(error.name(), ErrorName::OperationError);
    assert_eq!(refusal(&error), EndpointError::TooManyPending { max: 2 });
    assert!(error.to_string().contains("EndpointConfiguration::max_pending"), "{error}");
    assert_eq!(endpoint.connect(Configuration::default()).unwrap_err().name(), ErrorName::OperationError);
    assert_eq!((endpoint.connections(), endpoint.stats().connections_refused), (2, 2));

    // Closed ones count no more, nor do connected ones.
    end([first]).await;
    let session = Session::new(&endpoint).await;
    session.echoes("connected").await;
    assert_eq!(endpoint.stats().pending, 1);
    let (third, _) = accept().await.unwrap();
    assert_eq!(refusal(&accept().await.unwrap_err()), EndpointError::TooManyPending { max: 2 });
    end([second, third]).await;
    session.end().await;
    assert_eq!((endpoint.connections(), endpoint.stats().pending), (0, 0));
}

#[tokio::test]
async fn what_nobody_finishes_ends_by_itself() {
    let endpoint = bind(settings().max_pending(1).setup_timeout(Duration::from_millis(200)));
    let (abandoned, _) = endpoint.accept(offer().await, Configuration::default()).await.unwrap();
    let reason = soon("the end", abandoned.closed()).await;
    assert_eq!(reason, CloseReason::Ice(ice::FailureReason::NoAnswer));
    assert_eq!(abandoned.connection_state(), PeerConnectionState::Failed);
    assert_eq!((endpoint.connections(), endpoint.stats().connections_given_up), (0, 1));
    // One that was not even negotiated is no better.
    let idle = endpoint.connect(Configuration::default()).unwrap();
    assert_eq!(soon("the end", idle.closed()).await, reason);
    let stats = endpoint.stats();
    assert_eq!((stats.connections, stats.pending, stats.connections_given_up), (0, 0, 2));
    assert!(endpoint.connect(Configuration::default()).is_ok());
}

#[tokio::test]
async fn all_connections_are_limited() {
    let endpoint = bind(settings().max_connections(1));
    let session = Session::new(&endpoint).await;
    session.echoes("the only one").await;
    let error = endpoint.accept(offer().await, Configuration::default()).await.unwrap_err();
    assert_eq!(refusal(&error), EndpointError::TooManyConnections { max: 1 });
    session.end().await;
    Session::new(&endpoint).await.end().await;
}

/// An offer that cannot be used is refused as `set_remote_description` refuses it.
#[tokio::test]
async fn a_bad_offer_leaves_nothing_behind() {
    let endpoint = bind(settings());
    let good = offer().await;
    let bad = [
        SessionDescription::offer("garbage"),
        SessionDescription::offer(format!("{}garbage\r\n", good.sdp)),
        with_lines(good.clone(), "a=fingerprint:", |_| None),
        SessionDescription::answer(good.sdp.clone()),
    ];
    for description in bad {
        let expected = peer().set_remote_description(description.clone()).await.unwrap_err();
        let error = endpoint.accept(description, Configuration::default()).await.unwrap_err();
        assert_eq!(error.to_string(), expected.to_string());
        assert_eq!((error.name(), error.detail()), (expected.name(), expected.detail()));
    }
    let without_data = peer().create_offer().await.unwrap();
    let error = endpoint.accept(without_data, Configuration::default()).await.unwrap_err();
    assert_eq!(error.name(), ErrorName::InvalidAccessError);
    emptied(&endpoint).await;
    let stats = endpoint.stats();
    assert_eq!((stats.pending, stats.routes, stats.fragments), (0, 0, 0));
    let (server, _) = endpoint.accept(good, Configuration::default()).await.unwrap();
    end([server]).await;
}

/// During an ICE restart the connection is found by its old and its new name, afterwards by the new one.
#[tokio::test]
async fn a_restart_leaves_one_name() {
    let endpoint = bind(settings());
    let session = Session::new(&endpoint).await;
    session.echoes("before").await;
    for round in 0..3 {
        let before = ufrag(&session.server.local_description().unwrap());
        session.client.restart_ice();
        let offer = session.client.create_offer().await.unwrap();
        session.client.set_local_description(offer.clone()).await.unwrap();
        session.server.set_remote_description(offer).await.unwrap();
        session.server.set_local_description_implicitly().await.unwrap();
        // Consent of the old generation goes on until the client hears of the new one.
        soon("both names", async {
            while endpoint.stats().fragments < 2 {
                tokio::task::yield_now().await;
            }
        })
        .await;
        session.echoes("meanwhile").await;
        let answer = session.server.local_description().unwrap();
        assert_ne!(ufrag(&answer), before);
        session.client.set_remote_description(answer).await.unwrap();
        soon("the old name to go", async {
            while endpoint.stats().fragments > 1 {
                tokio::task::yield_now().await;
            }
        })
        .await;
        session.echoes(&format!("after {round}")).await;
    }
    assert_eq!(endpoint.stats().routes, 1);
    session.end().await;
}

/// Both ends may be endpoints; a pair of addresses carries one connection.
#[tokio::test]
async fn an_endpoint_reaches_another() {
    let (here, there) = (bind(settings()), bind(settings()));
    let client = here.connect(Configuration::default()).unwrap();
    let channel = client.create_data_channel("data", DataChannelInit::default()).unwrap();
    client.set_local_description_implicitly().await.unwrap();
    let offer = client.local_description().unwrap();
    let (server, answer) = there.accept(offer, Configuration::default()).await.unwrap();
    echo(&server);
    client.set_remote_description(answer).await.unwrap();
    soon("room", channel.send("hello")).await.unwrap();
    assert_eq!(soon("the echo", channel.recv()).await, Some(Message::from("hello")));
    end([client, server]).await;
    assert_eq!((here.connections(), there.connections()), (0, 0));
}

#[tokio::test]
async fn dropping_the_last_handle_lets_connections_finish() {
    let endpoint = bind(settings());
    let address = endpoint.local_addresses()[0];
    let other = endpoint.clone();
    let session = Session::new(&endpoint).await;
    session.echoes("one").await;
    drop(endpoint);
    other.connect(Configuration::default()).unwrap().close();
    drop(other);
    session.echoes("two").await;
    assert!(std::net::UdpSocket::bind(address).is_err(), "the socket carries a connection");
    session.end().await;
    freed(address).await;

    // Without connections it goes at once.
    let endpoint = Endpoint::bind(EndpointConfiguration::default().bind_address(address)).unwrap();
    drop(endpoint);
    freed(address).await;
}

#[tokio::test]
async fn closing_ends_all_connections() {
    let endpoint = bind(settings());
    let address = endpoint.local_addresses()[0];
    let sessions = join_all((0..5).map(|_| Session::new(&endpoint))).await;
    for session in &sessions {
        session.echoes("hello").await;
    }
    let (pending, _) = endpoint.accept(offer().await, Configuration::default()).await.unwrap();
    endpoint.close();
    let error = endpoint.connect(Configuration::default()).unwrap_err();
    assert_eq!((error.name(), refusal(&error)), (ErrorName::InvalidStateError, EndpointError::Closed));
    soon("the endpoint to close", endpoint.closed()).await;
    assert_eq!(endpoint.connections(), 0);
    drop(std::net::UdpSocket::bind(address).unwrap());
    for session in sessions {
        assert!(matches!(soon("the end", session.server.closed()).await, CloseReason::Local { .. }));
        assert!(soon("the goodbye", session.client.closed()).await.is_orderly());
    }
    soon("the end", pending.closed()).await;
}

/// Outside of a runtime there is nothing to bind with; a runtime that ends takes its endpoint with it.
#[test]
fn an_endpoint_belongs_to_a_runtime() {
    assert_eq!(Endpoint::bind(settings()).unwrap_err().name(), ErrorName::InvalidStateError);
    let [its, other] = [(); 2].map(|()| {
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
    });
    let endpoint = its.block_on(async { bind(settings()) });
    // Handles work from anywhere.
    let connection = endpoint.connect(Configuration::default()).unwrap();
    let taken = its.block_on(async {
        Endpoint::bind(EndpointConfiguration::default().bind_address(endpoint.local_addresses()[0]))
    });
    assert_eq!(taken.unwrap_err().name(), ErrorName::OperationError);
    its.shutdown_timeout(Duration::from_secs(5));
    other.block_on(async {
        soon("the endpoint to go", endpoint.closed()).await;
        soon("the connection to end", connection.closed()).await;
    });
    assert_eq!(refusal(&endpoint.connect(Configuration::default()).unwrap_err()), EndpointError::Closed);
    assert_eq!(endpoint.connections(), 0);
}
