//! Setting up, with every oddity a peer may have (RFC 9260 §5).

use super::raw::*;
use crate::association::state::Phase;
use crate::wire::{self, Cause, Checksum, Chunk, Header, Init, Parameter, Unknown};
use crate::{CloseReason, Config, Event, Ppid, Reliability, State, StreamId};
use bytes::Bytes;
use std::time::Duration;

/// The INIT or INIT ACK in a packet.
fn sent_init(sent: &Sent) -> Init<'_> {
    let (_, mut chunks) = wire::parse(&sent.bytes, false).unwrap();
    match chunks.next() {
        Some(Ok(Chunk::Init(init) | Chunk::InitAck(init))) => init,
        other => panic!("{other:?}"),
    }
}

/// RFC 9260 §4 (2), §5.1.6, §8.5.1 A: resent as it was, doubling, nine times in all, with tag 0.
#[test]
fn init_is_resent_unchanged_until_it_is_given_up() {
    let mut raw = Raw::with(Config::strict());
    raw.end.connect(raw.now);
    let start = raw.now;
    let first = raw.drain();
    assert_eq!((first.len(), first[0].tag), (1, 0));
    let mut times = Vec::new();
    while raw.end.state() == State::CookieWait {
        raw.fire();
        times.push((raw.now - start).as_secs());
        let again = raw.drain();
        assert!(again == first || raw.end.state() == State::Closed);
    }
    assert_eq!(times, [1, 3, 7, 15, 31, 63, 123, 183, 243]);
    assert_eq!(raw.events(), [Event::Closed(CloseReason::Timeout(crate::TimeoutKind::Init))]);
    assert_eq!(raw.end.poll_timeout(), None);
}

/// RFC 8831 §6.2, RFC 8261 §6.1, RFC 3758 §3.1, RFC 5061 §4.2.7, RFC 9653: what our INIT says, and what it does not.
#[test]
fn our_init_offers_what_is_implemented_and_no_addresses() {
    let mut raw = Raw::new();
    raw.end.connect(raw.now);
    let sent = raw.drain();
    let init = sent_init(&sent[0]);
    assert_ne!(init.initiate_tag, 0);
    assert_eq!((init.outbound_streams, init.inbound_streams, init.a_rwnd), (65535, 65535, 4 << 20));
    let parameters: Vec<_> = init.parameters.iter().flatten().collect();
    assert_eq!(
        parameters,
        [
            Parameter::ZeroChecksumAcceptable(1),
            Parameter::ForwardTsnSupported,
            Parameter::SupportedExtensions(&[130, 192, 64, 194])
        ]
    );
}

/// RFC 9260 §5.1 B: nothing is stored for an INIT; §5.1.1: our streams are not more than the peer takes.
#[test]
fn an_init_is_answered_without_a_trace() {
    let mut raw = Raw::new();
    for tag in 1..=20 {
        raw.feed_packet(0, &[&init(tag)]);
        let sent = raw.drain();
        assert_eq!(sent[0].tag, tag);
        let ack = sent_init(&sent[0]);
        assert_eq!((ack.outbound_streams, ack.inbound_streams), (200, 65535));
        assert!(raw.cookie.len() <= 300 && sent[0].bytes.len() <= 400);
    }
    assert!(matches!(raw.end.phase, Phase::Idle));
    raw.feed_packet(raw.tag, &[&cookie_echo(&raw.cookie.clone())]);
    assert_eq!(raw.names(), [["COOKIE-ACK"]]);
    assert_eq!(raw.end.negotiated_streams(), Some((200, 300)));
}

/// RFC 9260 §3.3.2: an INIT that cannot be accepted is answered with its own tag, and changes nothing.
#[test]
fn impossible_inits_are_refused() {
    let cases = [
        Init { a_rwnd: 1499, ..init(9) },
        Init { outbound_streams: 0, ..init(9) },
        Init { inbound_streams: 0, ..init(9) },
        init_with(9, &[Parameter::HostName(b"host")]),
    ];
    for state in [State::Closed, State::CookieWait, State::Established] {
        for case in &cases {
            let mut raw = Raw::in_state(state);
            raw.feed_packet(0, &[case]);
            let sent = raw.drain();
            assert_eq!((sent.len(), sent[0].tag), (1, 9));
            assert!(sent[0].chunks[0].starts_with("ABORT") && !sent[0].chunks[0].contains(" T"));
            assert_eq!((raw.end.state(), raw.events()), (state, vec![]));
        }
    }
    let mut raw = Raw::new();
    raw.feed_packet(0, &[&init(0)]);
    assert_eq!(raw.names(), [[""; 0]; 0]);
}

/// RFC 9260 §8.5.1 A: INIT comes alone and with tag 0.
#[test]
fn an_init_in_company_or_with_a_tag_is_dropped() {
    let mut raw = Raw::new();
    raw.feed_packet(0, &[&init(9), &data(1)]);
    raw.feed_packet(0, &[&data(1), &init(9)]);
    raw.feed_packet(0, &[&data(1)]);
    assert_eq!(raw.names(), [[""; 0]; 0]);
    let mut raw = Raw::established();
    raw.feed(&init(9));
    assert_eq!(raw.names(), [[""; 0]; 0]);
    assert_eq!(raw.end.state(), State::Established);
}

/// RFC 9260 §3.2.1, §3.2.2: unknown parameters, by the two high bits of their types.
#[test]
fn unknown_parameters_are_reported_when_they_ask_for_it() {
    for (kind, stops, reports) in
        [(0x3fff, true, false), (0x7fff, true, true), (0xbfff, false, false), (0xffff, false, true)]
    {
        let unknown = Parameter::Unknown(Unknown { kind, value: b"abcde" });
        let parameters = [unknown, Parameter::SupportedExtensions(&[130])];
        let mut raw = Raw::new();
        raw.feed_packet(0, &[&init_with(PEER_TAG, &parameters)]);
        let sent = raw.drain();
        let ack = sent_init(&sent[0]);
        let reported: Vec<_> = ack
            .parameters
            .iter()
            .flatten()
            .filter_map(|parameter| match parameter {
                Parameter::Unrecognized(whole) => Some(whole.to_vec()),
                _ => None,
            })
            .collect();
        let [high, low] = u16::to_be_bytes(kind);
        let whole = vec![high, low, 0, 9, b'a', b'b', b'c', b'd', b'e'];
        assert_eq!(reported, if reports { vec![whole.clone()] } else { vec![] }, "{kind:#x}");
        raw.feed_packet(raw.tag, &[&cookie_echo(&raw.cookie.clone())]);
        let reconfig = raw.end.phase.tcb().unwrap().capabilities.reconfig;
        assert_eq!(reconfig, !stops, "{kind:#x}: what follows it is looked at");

        // In INIT ACK: reported behind the COOKIE ECHO.
        let mut raw = Raw::in_state(State::CookieWait);
        raw.feed(&init_ack(PEER_TAG, &[Parameter::StateCookie(b"cookie"), unknown]));
        let names = raw.names();
        let expected: &[&str] = if reports { &["COOKIE-ECHO", "ERROR"] } else { &["COOKIE-ECHO"] };
        assert_eq!(names, [expected]);
    }
}

/// RFC 9260 §3.3.3, §5.1: an INIT ACK that cannot be accepted ends the attempt.
#[test]
fn impossible_init_acks_end_the_attempt() {
    let cookie = [Parameter::StateCookie(b"cookie")];
    let (large, host) = ([Parameter::StateCookie(&[7; 8193])], [Parameter::HostName(b"host"), cookie[0]]);
    let cases: [(Chunk<'_>, u32, &str); 5] = [
        (init_ack(9, &[]), 9, "missing-parameters"),
        (Chunk::InitAck(Init { outbound_streams: 0, ..init_with(9, &cookie) }), 9, "invalid-mandatory"),
        (Chunk::InitAck(Init { inbound_streams: 0, ..init_with(9, &cookie) }), 9, "invalid-mandatory"),
        (init_ack(9, &large), 9, "invalid-mandatory"),
        (init_ack(9, &host), 9, "unresolvable-address"),
    ];
    for (chunk, tag, cause) in cases {
        let mut raw = Raw::in_state(State::CookieWait);
        raw.feed(&chunk);
        let sent = raw.drain();
        assert_eq!((sent.len(), sent[0].tag), (1, tag));
        assert!(sent[0].chunks[0].starts_with("ABORT") && sent[0].chunks[0].contains(cause), "{sent:?}");
        assert!(matches!(raw.events()[..], [Event::Closed(CloseReason::RemoteViolation(_))]));
        assert_eq!(raw.end.poll_timeout(), None);
    }
    // RFC 9260 §3.3.3: a tag of 0 is answered with the T bit.
    let mut raw = Raw::in_state(State::CookieWait);
    raw.feed(&init_ack(0, &cookie));
    let sent = raw.drain();
    assert_eq!(sent[0].tag, raw.tag);
    assert!(sent[0].chunks[0].starts_with("ABORT T"));
    // "MUST NOT change the state of any existing association".
    let mut raw = Raw::in_state(State::CookieWait);
    raw.feed(&Chunk::InitAck(Init { a_rwnd: 1499, ..init_with(9, &cookie) }));
    assert_eq!((raw.names(), raw.end.state()), (vec![vec!["ABORT".to_owned()]], State::CookieWait));
}

/// RFC 9260 §5.1.4: the cookie goes back byte for byte, first in its packet, with a true checksum (RFC 9653), and
/// again until it is answered.
#[test]
fn a_cookie_is_echoed_exactly() {
    for len in [1, 2, 3, 4, 300, 1159, 1200, 5000, 8192] {
        let cookie: Vec<u8> = (0..len).map(|n| u8::try_from(n % 251).unwrap()).collect();
        let mut raw = Raw::in_state(State::CookieWait);
        let parameters = [Parameter::StateCookie(&cookie), Parameter::ZeroChecksumAcceptable(1)];
        raw.feed(&init_ack(PEER_TAG, &parameters));
        for _ in 0..3 {
            let sent = raw.drain();
            assert_eq!((sent.len(), sent[0].tag), (1, PEER_TAG));
            let (_, mut chunks) = wire::parse(&sent[0].bytes, false).expect("a true checksum");
            assert_eq!(chunks.next(), Some(Ok(Chunk::CookieEcho(cookie_echo(&cookie)))));
            raw.fire();
        }
    }
}

/// RFC 9260 §5.1.5 (2), (3): a cookie that is not ours, or for other ports or another tag, is dropped in silence.
#[test]
fn forged_cookies_are_dropped() {
    let mut raw = Raw::new();
    raw.feed_packet(0, &[&init(PEER_TAG)]);
    raw.drain();
    let mut forged = raw.cookie.to_vec();
    for at in [0, 10, 20, 40, forged.len() - 1] {
        forged[at] ^= 1;
        raw.feed_packet(raw.tag, &[&cookie_echo(&forged), &data(PEER_TSN)]);
        forged[at] ^= 1;
    }
    raw.feed_packet(raw.tag ^ 1, &[&cookie_echo(&forged)]);
    let other_port = packet_from(5001, raw.tag, &[&cookie_echo(&forged)], Checksum::Crc32c);
    raw.end.handle_packet(raw.now, &other_port);
    assert_eq!(raw.names(), [[""; 0]; 0]);
    assert_eq!((raw.end.state(), raw.events()), (State::Closed, vec![]));
    raw.feed_packet(raw.tag, &[&cookie_echo(&forged), &data(PEER_TSN)]);
    assert_eq!(raw.names(), [["COOKIE-ACK", "SACK"]]);
    assert_eq!(raw.end.state(), State::Established);
}

/// RFC 9260 §5.1.5 (4): a cookie is good for 60 s.
#[test]
fn a_stale_cookie_is_reported() {
    for (age, good) in [(60_000, true), (60_001, false)] {
        let mut raw = Raw::new();
        raw.feed_packet(0, &[&init(PEER_TAG)]);
        raw.drain();
        raw.now += Duration::from_millis(age);
        raw.feed_packet(raw.tag, &[&cookie_echo(&raw.cookie.clone()), &data(PEER_TSN)]);
        let sent = raw.drain();
        if good {
            assert_eq!(raw.end.state(), State::Established);
        } else {
            assert_eq!(
                (sent[0].tag, &sent[0].chunks),
                (PEER_TAG, &vec!["ERROR stale-cookie(1000)".to_owned()])
            );
            assert_eq!(raw.end.state(), State::Closed);
        }
    }
}

/// RFC 9260 §5.2.4 (3), (D): a cookie of this very association is answered even when it is stale.
#[test]
fn a_lost_cookie_ack_is_sent_again() {
    let mut raw = Raw::new();
    raw.feed_packet(0, &[&init(PEER_TAG)]);
    raw.drain();
    let cookie = raw.cookie.clone();
    raw.feed_packet(raw.tag, &[&cookie_echo(&cookie)]);
    raw.drain();
    raw.now += Duration::from_secs(90);
    raw.feed_packet(raw.tag, &[&cookie_echo(&cookie)]);
    assert_eq!(raw.names(), [["COOKIE-ACK"]]);
    assert_eq!(raw.events(), [Event::Established]);
}

/// RFC 9260 §5.2.6: a stale cookie of the peer's is worth one more INIT.
#[test]
fn a_stale_cookie_error_starts_once_more() {
    let mut raw = Raw::in_state(State::CookieEchoed);
    raw.feed(&error(&[Cause::StaleCookie(5)]));
    assert_eq!(raw.names(), [["INIT"]]);
    raw.feed(&init_ack(PEER_TAG, &[Parameter::StateCookie(b"second")]));
    assert_eq!(raw.names(), [["COOKIE-ECHO"]]);
    raw.feed(&error(&[Cause::StaleCookie(5)]));
    assert!(matches!(raw.events()[..], [Event::Closed(CloseReason::Timeout(_))]));
}

/// RFC 9260 §5.2.1, §5.2.2: our tag in the INIT ACK is the one of our INIT while it is underway, and a new one later.
#[test]
fn the_tag_of_an_init_ack_depends_on_the_state() {
    for (state, same) in [
        (State::CookieWait, true),
        (State::CookieEchoed, true),
        (State::Established, false),
        (State::ShutdownPending, false),
        (State::ShutdownSent, false),
        (State::ShutdownReceived, false),
    ] {
        let mut raw = Raw::in_state(state);
        let tag = raw.tag;
        raw.feed_packet(0, &[&init(PEER_TAG)]);
        raw.drain();
        assert_eq!(raw.tag == tag, same, "{state:?}");
    }
}

/// RFC 9260 §5.2.4 (A): only who holds a cookie of this association can restart it, and not where it is forbidden.
#[test]
fn a_restart_needs_a_cookie_of_this_association() {
    for allow in [true, false] {
        let mut raw = Raw::with(Config::default().allow_restart(allow));
        raw.feed_packet(0, &[&init(7)]);
        raw.drain();
        let before = raw.cookie.clone();
        raw.feed_packet(0, &[&init(PEER_TAG)]);
        raw.drain();
        raw.feed_packet(raw.tag, &[&cookie_echo(&raw.cookie.clone())]);
        raw.drain();
        raw.events();
        let tag = raw.tag;
        // One from before the association: our tag is the same, the peer's is not (B).
        raw.feed_packet(tag, &[&cookie_echo(&before)]);
        raw.drain();
        assert_eq!(raw.events(), []);
        raw.feed_packet(0, &[&init(8)]);
        raw.drain();
        assert_ne!(raw.tag, tag);
        raw.feed_packet(raw.tag, &[&cookie_echo(&raw.cookie.clone())]);
        assert_eq!(raw.events(), if allow { vec![Event::Restarted] } else { vec![] });
    }
}

/// RFC 9260 §9.2: a restart of the peer does not make us forget that the end was asked for here.
#[test]
fn a_shutdown_goes_on_after_a_restart() {
    for (state, asks_again, ends) in [
        (State::ShutdownPending, false, true),
        (State::ShutdownSent, false, true),
        (State::ShutdownReceived, true, true),
        (State::ShutdownReceived, false, false),
    ] {
        let mut raw = Raw::in_state(state);
        if asks_again {
            raw.end.shutdown(raw.now);
        }
        raw.feed_packet(0, &[&init(7)]);
        raw.drain();
        raw.feed_packet(raw.tag, &[&cookie_echo(&raw.cookie.clone())]);
        if !ends {
            assert_eq!(raw.names(), [["COOKIE-ACK"]]);
            assert_eq!(raw.end.state(), State::Established);
            continue;
        }
        assert_eq!(raw.names(), [["COOKIE-ACK", "SHUTDOWN"]], "{state:?}");
        raw.feed(&wire::ShutdownAck);
        assert_eq!(raw.names(), [["SHUTDOWN-COMPLETE"]]);
        assert_eq!(raw.events(), [Event::Restarted, Event::Closed(CloseReason::LocalShutdown)]);
    }
}

/// RFC 9260 §9.2: asked for here before the peer's SHUTDOWN came, the end is ours too, and a restart does not undo it.
#[test]
fn a_shutdown_of_both_sides_is_ours_too() {
    let mut raw = Raw::in_state(State::ShutdownPending);
    raw.feed(&shutdown(raw.tsn.wrapping_sub(1)));
    assert_eq!(raw.end.state(), State::ShutdownReceived);
    raw.feed(&shutdown(raw.tsn));
    raw.feed(&shutdown_complete(false));
    assert_eq!(raw.events(), [Event::Closed(CloseReason::LocalShutdown)]);
}

/// What `send` accepted arrives or its loss is told: on streams the peer does not have, and by a restart.
#[test]
fn what_is_dropped_is_counted_and_told() {
    let mut raw = Raw::new();
    for (stream, data) in [(0, "sent"), (199, "sent too"), (200, "lost"), (65534, "lost too")] {
        let data = Bytes::from_static(data.as_bytes());
        let sent = raw.end.send(raw.now, StreamId(stream), Ppid::BINARY, data, true, Reliability::Reliable);
        assert_eq!(sent, Ok(()));
    }
    raw.end.connect(raw.now);
    raw.drain();
    raw.feed(&init_ack(PEER_TAG, &[Parameter::StateCookie(b"cookie")]));
    raw.feed(&Chunk::CookieAck);
    let lost = [200, 65534].map(|stream| Event::NoSuchStream(StreamId(stream)));
    assert_eq!(raw.events(), [&[Event::Established], lost.as_slice()].concat());
    assert_eq!((raw.end.stats().bytes_lost, raw.end.undelivered()), (12, 12));
    raw.drain();

    raw.feed(&sack(raw.tsn));
    raw.events();
    raw.feed_packet(0, &[&init(7)]);
    raw.drain();
    raw.feed_packet(raw.tag, &[&cookie_echo(&raw.cookie.clone())]);
    assert_eq!(raw.events(), [Event::Restarted]);
    let acknowledged = 4;
    assert_eq!((raw.end.stats().bytes_lost, raw.end.undelivered()), (24 - acknowledged, 0));
}

/// RFC 9260 §5.1 C, §3.2.2: behind a COOKIE ECHO that fills its packet the ERROR "MAY be sent separately but not before
/// the COOKIE ACK chunk has been received." Nothing else leaves either, but answers to the INIT of a collision; a
/// HEARTBEAT, which §8.3 wants answered here already, has its answer then.
#[test]
fn nothing_is_sent_between_cookie_echo_and_cookie_ack() {
    let mut raw = Raw::in_state(State::CookieWait);
    let unknown = Parameter::Unknown(Unknown { kind: 0xc123, value: b"abcde" });
    raw.feed(&init_ack(PEER_TAG, &[Parameter::StateCookie(&[7; 1175]), unknown]));
    assert_eq!(raw.names(), [["COOKIE-ECHO"]]);
    raw.feed(&wire::Heartbeat { info: b"info", others: &[] });
    raw.feed(&Odd(0xe0, b"unknown"));
    assert_eq!(raw.names(), [[""; 0]; 0]);
    raw.feed_packet(0, &[&init(PEER_TAG)]);
    assert_eq!(raw.names(), [["INIT-ACK"]]);
    raw.fire();
    assert_eq!(raw.names(), [["COOKIE-ECHO"]]);
    raw.feed(&Chunk::CookieAck);
    assert_eq!(raw.names(), [["ERROR", "HEARTBEAT-ACK", "ERROR"]]);
}

/// RFC 9653: zero is sent where the peer takes it, and taken where we announced it.
#[test]
fn checksums_are_zero_only_where_both_sides_know() {
    for (method, zero) in [(None, false), (Some(1), true), (Some(0), false), (Some(2), false)] {
        let mut raw = Raw::new();
        let parameters: Vec<_> = method.map(Parameter::ZeroChecksumAcceptable).into_iter().collect();
        raw.feed_packet(0, &[&init_with(PEER_TAG, &parameters)]);
        raw.drain();
        raw.feed_packet(raw.tag, &[&cookie_echo(&raw.cookie.clone())]);
        let sent = raw.drain();
        assert_eq!(sent[0].bytes[8..12] == [0; 4], zero, "{method:?}");
    }
    let payload = |raw: &mut Raw, checksum| {
        let packet = packet(raw.tag, &[&data(PEER_TSN)], checksum);
        raw.end.handle_packet(raw.now, &packet);
        raw.drain().len()
    };
    let mut raw = Raw::established();
    assert_eq!(payload(&mut raw, Checksum::Zero), 1);
    let mut raw = Raw::with(Config::default().zero_checksum(false));
    raw.feed_packet(0, &[&init_with(PEER_TAG, &[Parameter::ZeroChecksumAcceptable(1)])]);
    let sent = raw.drain();
    let announced = sent_init(&sent[0])
        .parameters
        .iter()
        .flatten()
        .any(|p| matches!(p, Parameter::ZeroChecksumAcceptable(_)));
    assert!(!announced);
    let echo = packet(raw.tag, &[&cookie_echo(&raw.cookie.clone())], Checksum::Zero);
    raw.end.handle_packet(raw.now, &echo);
    assert_eq!(raw.end.state(), State::Closed, "COOKIE ECHO always has a checksum");
    raw.feed_packet(raw.tag, &[&cookie_echo(&raw.cookie.clone())]);
    raw.drain();
    assert_eq!(payload(&mut raw, Checksum::Zero), 0);
    assert_eq!(payload(&mut raw, Checksum::Crc32c), 1);
}

/// RFC 9260 §5.1.3: the same seed and inputs give the same cookie; nothing else is in it.
#[test]
fn the_same_inputs_give_the_same_packets() {
    let run = || {
        let mut raw = Raw::new();
        raw.feed_packet(0, &[&init(PEER_TAG)]);
        raw.end.connect(raw.now);
        raw.drain().into_iter().map(|sent| sent.bytes).collect::<Vec<Bytes>>()
    };
    assert_eq!(run(), run());
    assert_eq!(Header::LEN, 12);
}
