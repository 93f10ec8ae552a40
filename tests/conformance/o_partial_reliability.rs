//! Partial reliability: negotiated, and what limits a message (RFC 3758, RFC 7496).

use crate::raw_extensions::*;
use crate::raw_sctp::*;
use std::time::Duration;
use straits_sctp::{CloseReason, Config, Event, Reliability, StreamId, TimeoutKind};

const ONCE: Reliability = Reliability::MaxRetransmits(0);
/// Payload of a DATA chunk that fills a packet: 1191 bytes less both headers, in whole words.
const FULL: usize = 1160;
const RTO: Duration = Duration::from_millis(500);

/// Without heartbeats, so that all timers of a sender are T3's.
fn quiet() -> Config {
    Config::default().heartbeat_interval(Duration::ZERO).black_hole_detection(false)
}

fn established() -> RawPeer {
    RawPeer::passive_with(quiet(), PARTIAL)
}

/// An engine that has one message outstanding and the peer's room for hardly more.
fn without_room() -> RawPeer {
    let mut peer = established();
    let window = Sack { window: 1200, ..Sack::new(peer.engine_tsn.wrapping_sub(1)) };
    assert_eq!(peer.exchange(&[window.chunk()]), []);
    peer.user_sends(0, &[1; 1000]);
    assert_eq!(kinds(&peer.replies()), [[DATA]]);
    peer
}

/// RFC 3758 §3.3.2: a peer without the parameter is never sent a FORWARD TSN. RFC 5061 §4.2.7, of the list of chunk
/// types: "The sender MUST support both the sending and the receiving of any chunk types listed". Each is the peer's
/// word that it takes FORWARD TSN, so either one is enough, in INIT and in INIT ACK.
#[test]
fn item_240_used_if_the_peer_announces_it() {
    let announcements: [(Parameters<'_>, u8); 6] = [
        (&[], DATA),
        (&[(SUPPORTED_EXTENSIONS, &[])], DATA),
        (&[(SUPPORTED_EXTENSIONS, &[RE_CONFIG, 193])], DATA),
        (&[(SUPPORTED_EXTENSIONS, &[193, FORWARD_TSN])], FORWARD_TSN),
        (&[(FORWARD_TSN_SUPPORTED, &[])], FORWARD_TSN),
        (PARTIAL, FORWARD_TSN),
    ];
    for (parameters, expected) in announcements {
        for constructor in [RawPeer::passive_with, RawPeer::active_with] {
            let mut peer = constructor(quiet(), parameters);
            peer.user_sends_limited(0, b"lost", true, ONCE);
            assert_eq!(kinds(&peer.replies()), [[DATA]]);
            let sent = peer.run_for(RTO);
            assert_eq!(sent.len(), 1);
            assert_eq!(sent[0].1.kinds(), [expected], "{parameters:?}");
        }
    }
}

/// RFC 3758 §3.3.3: "the endpoint MUST just mark the association as not supporting partial reliability"; what need not
/// arrive is sent like the rest.
#[test]
fn item_242_limited_messages_to_a_peer_without_it() {
    // RFC 8260 §2.3.1: with I-DATA it is "only if both endpoints indicated" I-FORWARD-TSN too.
    let without_i_forward_tsn: Parameters<'_> =
        &[(FORWARD_TSN_SUPPORTED, &[]), (SUPPORTED_EXTENSIONS, &[FORWARD_TSN, I_DATA])];
    for (parameters, kind) in [(&[][..], DATA), (without_i_forward_tsn, I_DATA)] {
        let mut peer = RawPeer::passive_with(quiet(), parameters);
        peer.user_sends_limited(0, b"once", true, ONCE);
        peer.user_sends_limited(1, b"soon", true, Reliability::MaxLifetime(ms(1)));
        let first = chunks(&peer.replies());
        assert_eq!(first.len(), 2);
        let sent = peer.run_for(ms(3500));
        assert_eq!(sent.iter().map(|(at, _)| *at).collect::<Vec<_>>(), [500, 1500, 3500].map(ms));
        for (_, packet) in &sent {
            assert_eq!(packet.kinds(), [kind; 2]);
            assert_eq!(packet.chunks.iter().map(Chunk::tsn).collect::<Vec<_>>(), [0, 1].map(|n| peer.nth(n)));
        }
        let sack = peer.sack(2, &[]);
        assert_eq!(peer.exchange(&[sack]), []);
        assert_eq!((peer.engine.undelivered(), peer.engine.poll_timeout()), (0, None));
    }
}

/// RFC 3758 §4.1 TR3: "If it is expired, the SCTP sender MUST NOT assign a TSN to that message": there is nothing to
/// skip, neither a TSN nor an SSN.
#[test]
fn item_243_expired_before_it_has_a_tsn() {
    let nano = Duration::from_nanos(1);
    for (waited, arrives) in [(ms(100) - nano, true), (ms(100) + nano, false)] {
        let mut peer = without_room();
        peer.user_sends_limited(0, &[2; 300], true, Reliability::MaxLifetime(ms(100)));
        peer.user_sends(0, b"next");
        assert_eq!(peer.replies(), []);
        // What is behind the expired one may fit the window in its place.
        let mut sent: Vec<Packet> = peer.run_for(waited).into_iter().map(|(_, packet)| packet).collect();
        assert!(sent.is_empty() || !arrives);
        let sack = peer.sack(1 + sent.len(), &[]);
        sent.extend(peer.exchange_within(ms(200), &[sack]));
        let mut expected = vec![vec![2; 300], b"next".to_vec()];
        if !arrives {
            expected.remove(0);
        }
        let data = Data::all(&sent);
        assert_eq!(data.iter().map(|data| data.payload.clone()).collect::<Vec<_>>(), expected);
        for (n, data) in data.iter().enumerate() {
            assert_eq!((data.flags, data.tsn, usize::from(data.ssn)), (WHOLE, peer.nth(n + 1), n + 1));
        }
        assert_eq!(of_kind(&sent, FORWARD_TSN), []);
        assert_eq!(peer.engine.buffered_amount(StreamId(0)), 0);
    }
}

/// RFC 3758 §4.1 TR4: "Before transmitting or retransmitting a message for which a TSN is already assigned, the SCTP
/// sender MUST evaluate the lifetime of the message."
#[test]
fn item_243_expired_before_a_retransmission() {
    let mut peer = established();
    peer.user_sends_limited(0, b"soon stale", true, Reliability::MaxLifetime(ms(600)));
    assert_eq!(kinds(&peer.replies()), [[DATA]]);
    // T3 after 500 ms and 1500 ms; TR5 leaves it free to look at the lifetime in between.
    let sent = peer.run_for(ms(1500));
    assert_eq!((sent[0].0, sent[0].1.kinds()), (ms(500), vec![DATA]));
    assert!(sent.len() > 1 && sent[1].0 >= ms(600));
    let forward = forward_tsn(peer.nth(0), &[(0, 0)]);
    assert!(sent[1..].iter().all(|(_, packet)| packet.chunks == [forward.clone()]), "{sent:?}");
}

/// The same when the third gap report asks for it.
#[test]
fn item_243_expired_before_a_fast_retransmit() {
    for (waited, kind) in [(ms(99), DATA), (ms(101), FORWARD_TSN)] {
        let mut peer = established();
        peer.user_sends_limited(0, b"soon stale", true, Reliability::MaxLifetime(ms(100)));
        (0..3).for_each(|_| peer.user_sends(1, b"kept"));
        peer.replies();
        peer.now += waited;
        let sacks = [2, 3, 4].map(|end| peer.sack(0, &[(2, end)]));
        let sent: Vec<Packet> = sacks.into_iter().flat_map(|sack| peer.exchange(&[sack])).collect();
        let kinds = kinds(&sent).concat();
        assert!(!kinds.is_empty() && kinds.iter().all(|sent| *sent == kind), "{kinds:?}");
    }
}

/// RFC 7496 §3.1: "The sender MUST abandon a user message if the number of retransmissions of any of the DATA chunks of
/// the user message would exceed the provided limit."
#[test]
fn item_244_retransmissions_by_timer() {
    for (limit, times) in [(0, &[500][..]), (1, &[500, 1500]), (3, &[500, 1500, 3500, 7500])] {
        let mut peer = established();
        peer.user_sends_limited(0, b"lost", true, Reliability::MaxRetransmits(limit));
        let first = peer.replies();
        let sent = peer.run_for(ms(times[times.len() - 1]));
        assert_eq!(
            sent.iter().map(|(at, _)| *at).collect::<Vec<_>>(),
            times.iter().copied().map(ms).collect::<Vec<_>>()
        );
        let (forward, again) = sent.split_last().unwrap();
        for (_, packet) in again {
            assert_eq!(Data::all(std::slice::from_ref(packet)), Data::all(&first));
        }
        assert_eq!(forward.1.chunks, [forward_tsn(peer.nth(0), &[(0, 0)])]);
    }
}

/// RFC 7496 §3.1: "The sender MAY limit the number of retransmissions to 0": at the third gap report, at once.
#[test]
fn item_244_no_retransmission() {
    let mut peer = established();
    let [first, second, third] = peer.gap_reports(ONCE);
    assert_eq!((first, second), (vec![], vec![]));
    peer.assert_forward(&third, 0, 3, &[(0, 0)]);
    let sack = peer.sack(4, &[]);
    assert_eq!(peer.exchange(&[sack]), []);
    assert_eq!((peer.engine.undelivered(), peer.engine.poll_timeout()), (0, None));
}

/// RFC 7496 §3.1: "the number of retransmissions includes both fast and timer-based retransmissions."
#[test]
fn item_244_retransmissions_of_both_kinds() {
    for limit in [1, 2] {
        let mut peer = established();
        let reports = peer.gap_reports(Reliability::MaxRetransmits(limit));
        assert_eq!(reports.map(|packets| kinds(&packets).concat()), [vec![], vec![], vec![DATA]]);
        for _ in 1..limit {
            let sent = peer.run_for(peer.engine.poll_timeout().unwrap() - peer.now);
            assert_eq!(sent.len(), 1);
            assert_eq!(sent[0].1.kinds(), [DATA], "the retransmission by T3");
        }
        let sent = peer.run_for(peer.engine.poll_timeout().unwrap() - peer.now);
        assert_eq!(sent.len(), 1);
        peer.assert_forward(&[sent[0].1.clone()], 0, 3, &[(0, 0)]);
    }
}

/// RFC 7496 §3.1: "using this policy does not affect the handling of the thresholds 'Association.Max.Retrans'".
#[test]
fn item_244_a_dead_peer_is_noticed() {
    let mut peer = RawPeer::passive_with(quiet().max_retransmits(3), PARTIAL);
    peer.user_sends_limited(0, b"lost", true, ONCE);
    peer.replies();
    peer.drain_events();
    let sent = peer.run_for(ms(7500) - Duration::from_nanos(1));
    assert_eq!(sent.iter().map(|(at, _)| *at).collect::<Vec<_>>(), [500, 1500, 3500].map(ms));
    assert_eq!(peer.drain_events(), []);
    peer.run_for(Duration::from_nanos(1));
    assert_eq!(peer.drain_events(), [Event::Closed(CloseReason::Timeout(TimeoutKind::Retransmissions))]);
}

/// RFC 3758 §3.3.1: "it MAY include the Forward-TSN-supported parameter in the INIT chunk", §3.3.2 in INIT ACK; RFC 5061
/// §4.2.7 has all chunk types of extensions listed.
#[test]
fn item_240_announced_in_init_and_init_ack() {
    for (partial, interleaving, listed) in [
        (true, true, &[I_DATA, RE_CONFIG, FORWARD_TSN, I_FORWARD_TSN][..]),
        (true, false, &[RE_CONFIG, FORWARD_TSN]),
        (false, true, &[I_DATA, RE_CONFIG]),
        (false, false, &[RE_CONFIG]),
    ] {
        let config = quiet().partial_reliability(partial).interleaving(interleaving);
        let init = RawPeer::new(config.clone()).connect();
        let mut passive = RawPeer::new(config);
        let ack = passive.send_init(&passive.init());
        for init in [init, ack] {
            assert_eq!(init.parameter(FORWARD_TSN_SUPPORTED), partial.then_some(&[][..]));
            let mut types = init.parameter(SUPPORTED_EXTENSIONS).unwrap().to_vec();
            types.sort_unstable();
            assert_eq!(types, listed);
        }
    }
}

/// RFC 3758 §3.3.1: an endpoint that did not announce it acts "as if it does NOT support the FORWARD TSN chunk,
/// returning an ERROR to the peer upon receipt of any FORWARD TSN"; so for a peer that did not announce it.
#[test]
fn item_241_forward_tsn_without_agreement() {
    let off = quiet().partial_reliability(false);
    for mut peer in [RawPeer::passive_with(off, PARTIAL), RawPeer::passive_with(quiet(), &[])] {
        let first = peer.next_data(0, b"first");
        assert_eq!(kinds(&peer.exchange(&[first])), [[SACK]]);
        let forward = forward_tsn(1005, &[(0, 5)]);
        let report = error(&[tlv(6, &forward.padded_with(0))]);
        let second = data(1001, WHOLE | IMMEDIATE, 0, 1, b"second");
        let replies = peer.exchange(&[forward, second]);
        assert_eq!(chunks(&replies).len(), 2);
        assert_eq!(of_kind(&replies, ERROR), [report]);
        let sack = only_sack(&replies);
        assert_eq!((sack.cumulative, sack.gaps), (1001, vec![]));
        assert_eq!(peer.user_reads(0), ["first", "second"]);
    }
}

/// A message that was given up is counted, once, whether it was sent or not.
#[test]
fn item_243_abandoned_messages_are_counted() {
    let mut peer = without_room();
    peer.user_sends_limited(0, &[2; 300], true, Reliability::MaxLifetime(ms(100)));
    peer.run_for(ms(101));
    let sack = peer.sack(1, &[]);
    assert_eq!(peer.exchange(&[sack]), []);
    assert_eq!(peer.engine.stats().messages_abandoned, 1);
    peer.user_sends_limited(0, &[3; 3 * FULL], true, ONCE);
    peer.replies();
    peer.run_for(secs(5));
    assert_eq!(peer.engine.stats().messages_abandoned, 2);
}
