//! Attacks on the whole of a peer: the order of its layers, foreign sources and protocols, consent, what it shows.

use super::dtls_link::{APPLICATION_DATA, Link, Record};
use super::raw_sctp::{COOKIE_ECHO, Chunk, INIT, Init, PORT, WHOLE, data, packet};
use super::stack::{Net, connected, labelled, negotiate, negotiate_with, strangers, with_wrong_fingerprint};
use super::support::{self, Pair};
use bytes::{Bytes, BytesMut};
use std::time::Duration;
use straits::{Configuration, DataChannelInit, Endpoint, EndpointConfiguration, IceServer, RtcConfiguration};
use straits_peer::dtls::{self, Role};
use straits_peer::ice;
use straits_peer::sctp::{ChannelEvent, MessageKind, State as SctpState};
use straits_peer::{CloseReason, Event, IceCandidate, PeerState};
use straits_sim::{Datagram, Endpoint as _, Simulation as _, Verdict, seed};

const SECOND: Duration = Duration::from_secs(1);
const STRANGER: &str = "198.51.100.7:9";

/// The first flight of somebody else's client.
fn foreign_hello() -> Bytes {
    let mut link = Link::new();
    let mut hello = Vec::new();
    while let Some(record) = link.next_from(Role::Client) {
        hello.extend(record.bytes());
    }
    hello.into()
}

fn sctp_packets() -> Vec<Vec<u8>> {
    let init = Init::new(7, 7).chunk(INIT);
    [(0, init), (7, data(7, WHOLE, 0, 0, b"forged")), (7, Chunk::new(COOKIE_ECHO, 0, b"cookie"))]
        .map(|(tag, chunk)| packet(PORT, PORT, tag, &[chunk]))
        .to_vec()
}

/// DTLS from an address that no check has proven is not looked at, before, during and after the handshake with the peer: no
/// session is made for it, nothing goes there, and the handshake is not disturbed.
#[test]
fn attack_32_39_hellos_of_strangers_are_ignored() {
    let hello = foreign_hello();
    let mut net = strangers(seed());
    let now = net.now();
    let ours = net.a.peer.open_channel(now, labelled("channel")).unwrap();
    let inject = |net: &mut Net| {
        for index in 0..2 {
            let destination = if index == 0 { net.a.address } else { net.b.address };
            let source = STRANGER.parse().unwrap();
            net.inject(index, Datagram { source, destination, payload: hello.clone() });
        }
    };
    inject(&mut net);
    net.run_for(SECOND);
    assert_eq!([net.a.peer.dtls_state(), net.b.peer.dtls_state()], [dtls::State::New; 2]);
    negotiate(&mut net);
    let mut injected = 1;
    while !net.a.saw(&Event::Channel(ChannelEvent::Open(ours))) {
        inject(&mut net);
        injected += 1;
        net.run_for(Duration::from_millis(3));
        assert!(injected < 1000);
    }
    inject(&mut net);
    net.run_for(SECOND);
    for stack in [&net.a, &net.b] {
        assert_eq!(stack.peer.stats().datagrams_dropped, injected + 1);
        assert_eq!(stack.peer.state(), PeerState::Connected);
    }
    let stranger = STRANGER.parse().unwrap();
    assert!(net.trace().iter().all(|record| record.datagram.destination != stranger));
    let now = net.now();
    net.a.send(now, ours, "to the peer");
    net.run_for(SECOND);
    assert_eq!(net.b.texts(), ["to the peer"]);
}

/// The same over UDP: a stranger's hello at the port of a connection draws no byte.
#[tokio::test]
async fn attack_32_39_strangers_at_the_socket_get_no_answer() {
    let stranger = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let (a, b) = (support::peer(), support::peer());
    let channel = a.create_data_channel("data", DataChannelInit::default()).unwrap();
    support::connect(&a, &b).await;
    support::gathered(&a).await;
    let sdp = a.local_description().unwrap().sdp;
    let port: u16 = sdp
        .lines()
        .find_map(|line| line.strip_prefix("a=candidate:"))
        .unwrap()
        .split(' ')
        .nth(5)
        .unwrap()
        .parse()
        .unwrap();
    let hello = foreign_hello();
    let attack = || stranger.send_to(&hello, ("127.0.0.1", port)).unwrap();
    attack();
    support::soon("open", channel.opened()).await.unwrap();
    for _ in 0..50 {
        attack();
    }
    let other = support::soon("the channel", b.accept_channel()).await.unwrap();
    // Behind them in the same socket: when this has arrived, they have.
    other.send("behind").await.unwrap();
    let message = support::soon("a message", channel.recv()).await.unwrap();
    assert_eq!(message.as_text(), Some("behind"));
    stranger.set_nonblocking(true).unwrap();
    let answer = stranger.recv(&mut [0; 2048]);
    assert_eq!(answer.map_err(|error| error.kind()), Err(std::io::ErrorKind::WouldBlock));
    support::end([a, b]).await;
}

/// Whatever comes, and in whatever order: no SCTP packet is read or sent before a pair is valid, the handshake is finished,
/// and the fingerprint is that of the description.
#[test]
fn attack_56_nothing_passes_the_gate_early() {
    for lost in 0..24 {
        let mut net = strangers(seed());
        let now = net.now();
        net.a.peer.open_channel(now, labelled("channel")).unwrap();
        // One datagram of each direction is lost, another one each time.
        for link in [&mut net.a_to_b, &mut net.b_to_a] {
            link.script((0..=lost).map(|n| if n == lost { Verdict::Drop } else { Verdict::Pass }));
        }
        negotiate(&mut net);
        let forged = Record::plain(APPLICATION_DATA, 9, &sctp_packets()[0]).bytes();
        for _ in 0..5000 {
            for index in 0..2 {
                let (source, destination) =
                    if index == 0 { (net.b.address, net.a.address) } else { (net.a.address, net.b.address) };
                for payload in sctp_packets().into_iter().chain([forged.clone()]) {
                    net.inject(index, Datagram { source, destination, payload: payload.into() });
                }
            }
            net.run_for(Duration::from_millis(1));
            for stack in [&net.a, &net.b] {
                let stats = stack.peer.stats().sctp;
                let is_open = stack.peer.dtls_state() == dtls::State::Connected;
                assert!(is_open || stats.packets_received == 0 && stats.packets_sent == 0);
                assert!(is_open || stack.peer.sctp_state() == SctpState::Closed);
                let has_route = stack.events.iter().any(|event| matches!(event, Event::RouteAdded(_)));
                assert!(!is_open || stack.peer.dtls_negotiated().is_some() && has_route);
            }
            if [&net.a, &net.b].iter().all(|stack| stack.saw(&Event::Channel(ChannelEvent::Established))) {
                break;
            }
        }
        for stack in [&net.a, &net.b] {
            let at = |wanted: &dyn Fn(&Event) -> bool| {
                let found = stack.events.iter().position(wanted);
                found.unwrap_or_else(|| panic!("{:?} after datagram {lost} was lost", stack.events))
            };
            let route = at(&|event| matches!(event, Event::RouteAdded(_)));
            let finished = at(&|event| *event == Event::DtlsStateChanged(dtls::State::Connected));
            let up = at(&|event| *event == Event::Channel(ChannelEvent::Established));
            assert!(route < finished && finished < up, "{route} {finished} {up}");
            // What was forged is in no count but that of the dropped.
            assert_eq!(stack.peer.stats().sctp.packets_dropped, 0);
        }
    }
}

/// With a wrong fingerprint nothing passes at all, whichever datagram is lost.
#[test]
fn attack_33_56_a_wrong_fingerprint_opens_no_gate() {
    for lost in 0..16 {
        let mut net = strangers(seed());
        let now = net.now();
        net.a.peer.open_channel(now, labelled("never")).unwrap();
        for link in [&mut net.a_to_b, &mut net.b_to_a] {
            link.script((0..=lost).map(|n| if n == lost { Verdict::Drop } else { Verdict::Pass }));
        }
        let mut count = 0;
        negotiate_with(&mut net, |description| {
            count += 1;
            if count == 1 + lost % 2 { with_wrong_fingerprint(description) } else { description }
        });
        net.run_for(40 * SECOND);
        for stack in [&net.a, &net.b] {
            assert_eq!(stack.peer.stats().sctp.packets_received, 0);
            assert_eq!(
                (stack.peer.stats().sctp.packets_sent, stack.peer.stats().dtls.records_sealed),
                (0, 0)
            );
            assert!(!stack.saw(&Event::DtlsStateChanged(dtls::State::Connected)));
            assert!(!stack.states().contains(&PeerState::Connected));
        }
        let reasons = [net.a.peer.close_reason(), net.b.peer.close_reason()];
        let mismatch = CloseReason::Dtls(dtls::CloseReason::FingerprintMismatch);
        assert!(reasons.contains(&Some(&mismatch)), "{reasons:?}");
    }
}

/// Bytes of other protocols, SCTP without DTLS among them, are dropped and counted, from strangers and from the peer.
#[test]
fn attack_53_foreign_protocols_are_dropped() {
    let (mut net, ours, _) = connected(seed());
    net.run_for(SECOND);
    let before = net.b.peer.stats();
    let mut count = 0;
    for source in [net.a.address, STRANGER.parse().unwrap()] {
        let destination = net.b.address;
        let foreign = (0..=255_u8).filter(|byte| !matches!(byte, 0..=3 | 20..=63));
        let foreign = foreign.map(|byte| vec![byte; 100]).chain(sctp_packets()).chain([vec![]]);
        for payload in foreign {
            net.inject(1, Datagram { source, destination, payload: payload.into() });
            count += 1;
        }
    }
    net.run_for(SECOND);
    let after = net.b.peer.stats();
    assert_eq!(after.datagrams_dropped - before.datagrams_dropped, count);
    assert_eq!((after.sctp.packets_received, after.dtls), (before.sctp.packets_received, before.dtls));
    let now = net.now();
    net.a.send(now, ours, "still here");
    net.run_for(SECOND);
    assert_eq!(net.b.texts(), ["still here"]);
}

/// Who asks for relays only shows no address of the host: not in descriptions, not in candidates, not by checks.
#[test]
fn attack_54_host_addresses_are_not_shown_against_the_policy() {
    let mut net = strangers(seed());
    let now = net.now();
    net.a.peer.set_relay_only(true);
    net.a.peer.open_channel(now, labelled("channel")).unwrap();
    let mut texts = Vec::new();
    negotiate_with(&mut net, |description| {
        texts.push(description.sdp.clone());
        description
    });
    net.run_for(5 * SECOND);
    let address = net.a.address;
    let shows = |text: &str| text.contains(&address.ip().to_string());
    assert!(texts[1].contains("a=candidate:") && !texts[0].contains("a=candidate:"), "{texts:?}");
    assert!(!shows(&texts[0]));
    for event in &net.a.events {
        if let Event::IceCandidate(Some(IceCandidate { candidate, .. })) = event {
            assert!(candidate.is_empty(), "{candidate}");
        }
    }
    assert!(net.trace().iter().all(|record| record.datagram.source != address), "a check gives it away too");
}

/// One connection with everything to send does not take more than its turn: a run is bounded by what was asked for, and the
/// next is only made when its owner comes back.
#[test]
fn attack_57_work_comes_in_bounded_pieces() {
    let (mut net, ours, _) = connected(seed());
    let now = net.now();
    for _ in 0..30 {
        let message = Bytes::from(vec![7; 250_000]);
        net.a.peer.channel(ours).unwrap().send(now, MessageKind::Binary, message).unwrap();
    }
    net.run_for(2 * SECOND);
    let mut buffer = BytesMut::new();
    let now = net.now();
    for max in [1, 2, 10, 64, 1000] {
        if let Some(run) = net.a.peer.poll_transmit(now, max, &mut buffer) {
            let segments = run.segment_size.map_or(1, |segment| run.size.div_ceil(segment));
            assert!(segments <= max && run.size <= 65_507, "{segments} of {max}, {} bytes", run.size);
        }
        buffer.clear();
    }
    assert!(net.a.runs.iter().all(|run| run.len() <= 10));
}

/// Two connections on one endpoint: while one moves megabytes without pause, the other's questions are answered.
#[tokio::test]
async fn attack_57_a_busy_connection_does_not_starve_another() {
    let settings = EndpointConfiguration::default().bind_address(([127, 0, 0, 1], 0).into());
    let endpoint = Endpoint::bind(settings).unwrap();
    let mut pairs = Vec::new();
    for _ in 0..2 {
        let a = endpoint.connect(Configuration::default()).unwrap();
        let b = support::peer();
        let channel_a = a.create_data_channel("data", DataChannelInit::default()).unwrap();
        support::connect(&a, &b).await;
        support::soon("open", channel_a.opened()).await.unwrap();
        let channel_b = support::soon("the channel", b.accept_channel()).await.unwrap();
        pairs.push(Pair { a, b, channel_a, channel_b });
    }
    let (quiet, busy) = (pairs.remove(0), pairs.remove(0));
    let sender = busy.channel_b.clone();
    let flood = tokio::spawn(async move { while sender.send(Bytes::from(vec![7; 60_000])).await.is_ok() {} });
    let reader = busy.channel_a.clone();
    let drain = tokio::spawn(async move { while reader.recv().await.is_some() {} });
    for n in 0..100 {
        let question = n.to_string();
        quiet.channel_b.send(question.as_str()).await.unwrap();
        let heard = support::soon("a question", quiet.channel_a.recv()).await.unwrap();
        assert_eq!(heard.as_text(), Some(&question[..]));
        quiet.channel_a.send(heard).await.unwrap();
        let answer = support::soon("an answer", quiet.channel_b.recv()).await.unwrap();
        assert_eq!(answer.as_text(), Some(&question[..]));
    }
    quiet.close().await;
    busy.close().await;
    support::soon("the flood", flood).await.unwrap();
    support::soon("the reader", drain).await.unwrap();
}

/// What is printed of a peer for debugging, whole and in parts, names no password, no key and no seed.
#[test]
fn attack_58_debug_output_has_no_secrets() {
    let (mut net, _, _) = connected(seed());
    let passwords: Vec<String> =
        [&net.a, &net.b].map(|stack| stack.peer.ice().local_credentials().password.clone()).to_vec();
    let offer = net.a.peer.description(straits_peer::DescriptionKind::CurrentLocal).unwrap();
    assert!(offer.sdp.contains(&passwords[0]), "descriptions are where it has to be");
    let now = net.now();
    net.a.peer.create_offer(now).unwrap();
    let texts = [
        format!("{:?}", net.a.peer),
        format!("{:#?}", net.b.peer),
        format!("{:?}", net.a.peer.ice()),
        format!("{:?}", net.a.peer.association()),
        format!("{offer:?}"),
        format!("{:?}", net.a.peer.identities()),
    ];
    for text in &texts {
        assert!(passwords.iter().all(|password| !text.contains(password)), "a password in {text}");
        assert!(!text.contains("seed: [") && !text.contains("PRIVATE KEY"), "{text}");
    }
    assert!(texts[0].len() > 1000);
    // Of the association: its seed is all bytes alike.
    let association = straits_sctp::Association::new(straits_sctp::Config::default(), [0xa7; 32], now);
    assert!(!format!("{association:?}").contains("167, 167"));
    let agent = ice::Agent::new(ice::Config::default(), [0xa7; 32], now);
    assert!(!format!("{agent:?}").contains(&agent.local_credentials().password));
}

/// Credentials for relays, which nothing uses yet, are not shown either, alone or in a configuration.
#[test]
fn attack_55_58_turn_credentials_are_not_shown() {
    let server = IceServer::new("turn:relay.example.org").credentials("user", "hunter2");
    let rtc = RtcConfiguration { ice_servers: vec![server.clone()], ..RtcConfiguration::default() };
    let configuration = Configuration::default().rtc(rtc.clone());
    let shown = format!("{server:?} {rtc:?} {configuration:?}");
    assert!(shown.contains("relay.example.org") && !shown.contains("hunter2"), "{shown}");
}

/// Without consent nothing is sent, however much waits; and while it lasts a path that answers nothing is not flooded.
#[test]
fn attack_59_52_nothing_is_sent_without_consent() {
    let (mut net, ours, _) = connected(seed());
    let now = net.now();
    for _ in 0..60 {
        let message = Bytes::from(vec![7; 250_000]);
        net.a.peer.channel(ours).unwrap().send(now, MessageKind::Binary, message).unwrap();
    }
    net.set_blackout(true);
    net.wire_mut().clear_trace();
    net.run_for(20 * SECOND);
    assert_eq!(net.a.peer.state(), PeerState::Failed);
    let address = net.a.address;
    let sent = |net: &Net| {
        net.trace()
            .iter()
            .filter(|record| record.datagram.source == address)
            .map(|record| record.datagram.payload.len())
            .sum::<usize>()
    };
    // An initial window, and some packets that are repeated ever more rarely.
    let before = sent(&net);
    assert!((1..60_000).contains(&before), "{before}");
    net.run_for(60 * SECOND);
    assert_eq!(sent(&net), before);
    let now = net.now();
    assert_eq!(net.a.peer.poll_transmit(now, 10, &mut BytesMut::new()), None);
}

/// Before there is consent only checks leave.
#[test]
fn attack_59_only_checks_go_before_consent() {
    let mut net = strangers(seed());
    let now = net.now();
    net.a.peer.open_channel(now, labelled("channel")).unwrap();
    net.b_to_a.set_filter(|_, _| Verdict::Drop);
    negotiate(&mut net);
    net.run_for(10 * SECOND);
    let sent: Vec<_> = net.trace().iter().filter(|record| record.datagram.source == net.a.address).collect();
    assert!(!sent.is_empty() && sent.iter().all(|record| record.datagram.payload[0] < 4));
    let bytes: usize = sent.iter().map(|record| record.datagram.payload.len()).sum();
    assert!(bytes < 10_000, "{bytes}");
}

/// A close with keys, the peer's last word, ends sending at once and not only when consent runs out.
#[test]
fn attack_42_52_a_protected_close_ends_consent() {
    let (mut net, ours, _) = connected(seed());
    let now = net.now();
    for _ in 0..20 {
        let message = Bytes::from(vec![7; 250_000]);
        net.a.peer.channel(ours).unwrap().send(now, MessageKind::Binary, message).unwrap();
    }
    net.run_for(Duration::from_millis(50));
    let now = net.now();
    net.b.peer.close(now);
    net.run_until(SECOND, |net| net.a.peer.state() == PeerState::Closed);
    assert!(!net.a.peer.ice().may_send());
    let address = net.a.address;
    net.run_for(Duration::from_millis(1));
    net.wire_mut().clear_trace();
    let now = net.now();
    net.a.handle_timeout(now);
    net.run_for(30 * SECOND);
    assert!(net.trace().iter().all(|record| record.datagram.source != address));
}
