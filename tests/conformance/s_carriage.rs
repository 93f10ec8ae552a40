//! Extensions and carriage over DTLS (RFC 5061 §4.2.7, RFC 8261).

use crate::raw_sctp::*;
use crate::stack::{Net, Stack, connected, labelled, negotiate, negotiate_with, strangers};
use std::time::Duration;
use straits_peer::sctp::{self, ChannelCloseReason, ChannelEvent, ChannelId};
use straits_peer::{CloseReason, Event as PeerEvent, PeerState, dtls};
use straits_sctp::{Config, Event, ResetError, StreamId};
use straits_sim::{Record, Simulation};

/// RFC 5061 §4.2.7: the chunk types that are supported beyond the base protocol; RFC 8831 §6.1 wants RE-CONFIG there.
#[test]
fn item_307_supported_extensions() {
    let mut peer = RawPeer::new(Config::default());
    let said = [peer.connect(), peer.send_init(&peer.init())].map(|init| {
        let mut lists = init.parameters.iter().filter(|(kind, _)| *kind == SUPPORTED_EXTENSIONS);
        let list = lists.next().expect("Supported Extensions").1.clone();
        assert_eq!(lists.next(), None, "once");
        list
    });
    for types in said {
        let count = |wanted: u8| types.iter().filter(|kind| **kind == wanted).count();
        assert_eq!(count(RE_CONFIG), 1, "{types:?}");
        assert!(types.iter().all(|kind| count(*kind) == 1), "{types:?}");
        let known = [RE_CONFIG, FORWARD_TSN, I_DATA, I_FORWARD_TSN];
        assert!(types.iter().all(|kind| known.contains(kind)), "{types:?}");
    }
}

/// RFC 5061 §4.2.7: what the peer lists beyond what we know is of no matter; no list is an empty one.
#[test]
fn item_307_extensions_of_the_peer() {
    let lists = [
        (None, Err(ResetError::Unsupported)),
        (Some(&[][..]), Err(ResetError::Unsupported)),
        (Some(&[0x0F, 0x80, 0xC1, 0xFF]), Err(ResetError::Unsupported)),
        (Some(&[0x0F, 0x80, RE_CONFIG, 0xC1, 0x00]), Ok(())),
        (Some(&[RE_CONFIG, RE_CONFIG]), Ok(())),
    ];
    for (list, expected) in lists {
        let mut peer = RawPeer::new(Config::default());
        let mut init = peer.init();
        if let Some(types) = list {
            init = init.with(SUPPORTED_EXTENSIONS, types);
        }
        let ack = peer.send_init(&init);
        assert_eq!(ack.parameter(8), None, "nothing to report");
        peer.engine_tag = ack.tag;
        assert_eq!(kinds(&peer.exchange(&[Chunk::new(COOKIE_ECHO, 0, &ack.cookie())])), [[COOKIE_ACK]]);
        assert_eq!(peer.engine.reset_streams(peer.now, &[StreamId(0)]), expected, "{list:?}");
    }
}

/// RFC 8261 §6.1: AUTH (15), ASCONF (193), ASCONF-ACK (128), NR-SACK (16) and PKTDROP (129) are unknown here: RFC 9260 §3.2
/// says by their upper bits what becomes of them.
#[test]
fn item_308_chunks_of_other_extensions() {
    let cases: [(u8, &[u8]); 5] = [
        (15, &[SACK]),
        (16, &[SACK]),
        (128, &[HEARTBEAT_ACK, SACK]),
        (129, &[HEARTBEAT_ACK, SACK]),
        (193, &[ERROR, HEARTBEAT_ACK, SACK]),
    ];
    for (kind, expected) in cases {
        let mut peer = RawPeer::passive(Config::default());
        let chunk = peer.next_data(0, b"before");
        let replies = peer.exchange(&[chunk, Chunk::new(kind, 0, &[0; 12]), heartbeat(b"behind")]);
        assert_eq!(kinds(&replies), [expected], "{kind}");
        assert_eq!(peer.user_reads(0), ["before"]);
    }
    // RANDOM, CHUNKS and HMAC-ALGO of RFC 4895, Adaptation Layer Indication of RFC 5061: skipped, nothing to report.
    let mut peer = RawPeer::new(Config::default());
    let init = peer.init().with(0x8002, &[7; 32]).with(0x8003, &[0x80, 0xC1]).with(0x8004, &[0, 1]);
    let ack = peer.send_init(&init.with(0x8008, &[0xC0, 0x0F, 0xC1, 0x80, RE_CONFIG]));
    assert_eq!(ack.parameter(8), None);
    peer.engine_tag = ack.tag;
    assert_eq!(kinds(&peer.exchange(&[Chunk::new(COOKIE_ECHO, 0, &ack.cookie())])), [[COOKIE_ACK]]);
    assert_eq!(peer.drain_events(), [Event::Established]);
}

/// Payload lengths of the DTLS records with application data (23), datagram by datagram, that one side sent.
fn application_records(net: &Net, from: usize) -> Vec<Vec<usize>> {
    let datagrams = net.trace().iter().filter(|record| record.from == Some(from));
    datagrams.map(records_of).filter(|records| !records.is_empty()).collect()
}

fn records_of(record: &Record) -> Vec<usize> {
    let mut rest = &record.datagram.payload[..];
    let mut lengths = Vec::new();
    // RFC 7983: 20 to 63 is DTLS; RFC 6347 §4.1: 13 bytes of header, the last two are the length.
    while let [20..=63, ..] = rest {
        let length = usize::from(be16(rest, 11));
        if rest[0] == 23 {
            lengths.push(length);
        }
        rest = &rest[13 + length..];
    }
    lengths
}

/// RFC 8261 §3: "the complete SCTP packet, consisting of the SCTP common header and a number of SCTP chunks, is handled as
/// the payload": one record and one datagram for each, with nothing else in it.
#[test]
fn item_309_one_record_one_packet() {
    let (mut net, ours, theirs) = connected(309);
    for n in 0..20 {
        let now = net.now();
        net.a.send(now, ours, &"x".repeat(1 + n * 397));
        net.b.send(now, theirs, &n.to_string());
        net.run_for(Duration::from_millis(7));
    }
    net.run_for(Duration::from_secs(1));
    assert_eq!((net.a.received.len(), net.b.received.len()), (20, 20));
    for (from, sender, receiver) in [(0, &net.a, &net.b), (1, &net.b, &net.a)] {
        let records = application_records(&net, from);
        assert!(records.iter().all(|records| records.len() == 1), "{records:?}");
        let (sent, received) = (sender.peer.stats().sctp, receiver.peer.stats().sctp);
        assert_eq!(records.len() as u64, sent.packets_sent);
        assert_eq!(
            (sent.packets_sent, sent.bytes_sent),
            (received.packets_received, received.bytes_received)
        );
        // What the cipher adds is the same for every record.
        let payload = records.concat().iter().sum::<usize>() as u64;
        let added = (payload - sent.bytes_sent) / sent.packets_sent;
        assert_eq!(payload, sent.bytes_sent + added * sent.packets_sent);
        assert!((16..=24).contains(&added), "{added}");
    }
}

/// RFC 8261 §6.1: "A DTLS connection MUST be established before an SCTP association can be set up", with the certificate of
/// the description (RFC 8827 §6.5).
#[test]
fn item_309_sctp_waits_for_dtls() {
    let mut net = strangers(310);
    let now = net.now();
    net.a.peer.open_channel(now, labelled("waits")).unwrap();
    negotiate(&mut net);
    let is_up = |stack: &Stack| stack.peer.dtls_state() == dtls::State::Connected;
    while !(is_up(&net.a) && is_up(&net.b)) {
        for (stack, from) in [(&net.a, 0), (&net.b, 1)] {
            if !is_up(stack) {
                assert_eq!(
                    (application_records(&net, from), stack.peer.stats().sctp.packets_sent),
                    (vec![], 0)
                );
                assert_eq!(stack.peer.stats().sctp.packets_received, 0);
            }
        }
        assert!(net.elapsed() < Duration::from_secs(5));
        net.run_for(Duration::from_millis(1));
    }
    net.run_for(Duration::from_secs(1));
    assert!(net.a.saw(&PeerEvent::Channel(ChannelEvent::Established)));

    let mut net = strangers(311);
    let now = net.now();
    net.a.peer.open_channel(now, labelled("never")).unwrap();
    negotiate_with(&mut net, |mut description| {
        let start = description.sdp.find("a=fingerprint:sha-256 ").unwrap() + 22;
        description.sdp.replace_range(start..start + 2, "00");
        description.sdp.replace_range(start + 3..start + 5, "00");
        description
    });
    net.run_for(Duration::from_secs(10));
    for (stack, from) in [(&net.a, 0), (&net.b, 1)] {
        assert_eq!(application_records(&net, from), [[0; 0]; 0]);
        let stats = stack.peer.stats().sctp;
        assert_eq!((stats.packets_sent, stats.packets_received), (0, 0));
        assert!(!stack.states().contains(&PeerState::Connected));
    }
}

/// How the association and its channels ended, in order.
fn ends(stack: &Stack) -> Vec<&ChannelEvent> {
    let channel_events = stack.events.iter().filter_map(|event| match event {
        PeerEvent::Channel(event) => Some(event),
        _ => None,
    });
    channel_events
        .filter(|event| matches!(event, ChannelEvent::Closed(..) | ChannelEvent::AssociationClosed(_)))
        .collect()
}

fn assert_ended(stack: &Stack, channels: &[ChannelId], reason: &sctp::CloseReason) {
    let closed =
        |id: &ChannelId| ChannelEvent::Closed(*id, ChannelCloseReason::AssociationClosed(reason.clone()));
    let mut expected = vec![ChannelEvent::AssociationClosed(reason.clone())];
    expected.extend(channels.iter().map(closed));
    assert_eq!(ends(stack), expected.iter().collect::<Vec<_>>());
}

/// RFC 8831 §6.2: "In case of a non-graceful teardown, all data channels are also closed, but an error indication SHOULD be
/// provided if possible": each once, with the reason.
#[test]
fn item_310_dtls_closed() {
    let (mut net, ours, theirs) = connected(312);
    let now = net.now();
    let second = net.b.peer.open_channel(now, labelled("second")).unwrap();
    net.run_for(Duration::from_secs(1));
    let incoming = net.a.incoming()[0];
    // The ABORT is lost; the closing alert comes.
    net.a_to_b.drop_next(1);
    let now = net.now();
    net.a.peer.close(now);
    net.run_for(Duration::from_secs(1));
    assert_ended(&net.b, &[theirs, second], &sctp::CloseReason::TransportClosed);
    assert_ended(&net.a, &[ours, incoming], &sctp::CloseReason::LocalAbort);
    assert_eq!(net.b.peer.close_reason(), Some(&CloseReason::Dtls(dtls::CloseReason::RemoteClose)));
    assert_eq!((net.a.peer.poll_timeout(), net.b.peer.poll_timeout()), (None, None));
}
