//! Shutdown, abort, errors (RFC 9260 §9, §3.3.10).

use crate::raw_sctp::*;
use bytes::Bytes;
use std::time::Duration;
use straits_sctp::{CloseReason, Config, Event, State, TimeoutKind};

fn quiet() -> Config {
    Config::strict().heartbeat_interval(Duration::ZERO)
}

fn established() -> RawPeer {
    RawPeer::passive(quiet())
}

fn before(tsn: u32) -> u32 {
    tsn.wrapping_sub(1)
}

/// In SHUTDOWN-SENT.
fn shutdown_sent() -> RawPeer {
    let mut peer = established();
    peer.engine.shutdown(peer.now);
    assert_eq!(peer.replies()[0].chunks, [shutdown(999)]);
    peer
}

/// RFC 9260 §9.2: SHUTDOWN goes out "Once all its outstanding data has been acknowledged".
#[test]
fn item_216_shutdown_waits_for_the_data() {
    let mut peer = established();
    peer.user_sends(0, b"first");
    peer.replies();
    peer.user_sends(0, b"second");
    peer.engine.shutdown(peer.now);
    assert_eq!(kinds(&peer.replies()), [[DATA]]);
    assert_eq!(peer.engine.state(), State::ShutdownPending);
    assert_eq!(peer.exchange(&[Sack::new(peer.engine_tsn).chunk()]), []);
    let sack = Sack::new(peer.engine_tsn.wrapping_add(1)).chunk();
    assert_eq!(kinds(&peer.exchange(&[sack])), [[SHUTDOWN]]);
    assert_eq!(peer.engine.state(), State::ShutdownSent);
}

/// RFC 9260 §9.2: SHUTDOWN, SHUTDOWN ACK, SHUTDOWN COMPLETE, from either side; the end comes once.
#[test]
fn item_217_the_whole_shutdown() {
    let mut peer = shutdown_sent();
    let replies = peer.exchange(&[bare(SHUTDOWN_ACK)]);
    assert_eq!(replies.len(), 1);
    assert_eq!(replies[0].chunks, [bare(SHUTDOWN_COMPLETE)]);
    assert_eq!(peer.drain_events(), [Event::Closed(CloseReason::LocalShutdown)]);
    assert_eq!(peer.engine.poll_timeout(), None);

    let mut peer = established();
    peer.shut_down();
    assert_eq!(peer.exchange(&[bare(SHUTDOWN_COMPLETE)]), []);
    assert_eq!(peer.drain_events(), [Event::Closed(CloseReason::RemoteShutdown)]);
    assert_eq!(peer.engine.poll_timeout(), None);
}

/// RFC 9260 §9.2: in SHUTDOWN-RECEIVED "until all outstanding DATA chunks are acknowledged", queued ones included.
#[test]
fn item_218_shutdown_received_with_data_outstanding() {
    let mut peer = established();
    peer.user_sends(0, &vec![1; 20_000]);
    let mut sent = peer.replies();
    let replies = peer.exchange(&[shutdown(before(peer.engine_tsn))]);
    sent.extend(replies);
    assert_eq!(peer.engine.state(), State::ShutdownReceived);
    while peer.engine.state() == State::ShutdownReceived {
        let last = sent.last().unwrap().chunks.last().unwrap().tsn();
        let replies = peer.exchange(&[Sack::new(last).chunk()]);
        assert!(!replies.is_empty());
        if replies[0].find(SHUTDOWN_ACK).is_none() {
            sent.extend(replies);
        }
    }
    let payload: usize =
        sent.iter().flat_map(|packet| &packet.chunks).map(|chunk| chunk.value.len() - 12).sum();
    assert_eq!((payload, peer.engine.state()), (20_000, State::ShutdownAckSent));
}

/// RFC 9260 §9.2: T2 resends SHUTDOWN "with the updated last sequential TSN"; at most Association.Max.Retrans times.
#[test]
fn item_219_t2_repeats_shutdown() {
    let mut peer = established();
    let chunk = peer.next_data(0, b"x");
    peer.send(&[chunk]);
    peer.engine.shutdown(peer.now);
    peer.replies();
    assert_eq!(peer.run_for(secs(1))[0].1.chunks, [shutdown(1000)]);

    let mut peer = RawPeer::passive(quiet().max_retransmits(3));
    peer.engine.shutdown(peer.now);
    peer.replies();
    let sent = peer.run_for(secs(15) - Duration::from_nanos(1));
    let expected: Vec<_> = [1, 3, 7].map(|at| (secs(at), vec![shutdown(999)])).to_vec();
    assert_eq!(sent.into_iter().map(|(at, packet)| (at, packet.chunks)).collect::<Vec<_>>(), expected);
    assert_eq!(peer.drain_events(), []);
    assert_eq!(peer.run_for(Duration::from_nanos(1)), []);
    assert_eq!(peer.drain_events(), [Event::Closed(CloseReason::Timeout(TimeoutKind::Shutdown))]);
}

/// RFC 9260 §9.2: the same for SHUTDOWN ACK.
#[test]
fn item_220_t2_repeats_shutdown_ack() {
    let mut peer = RawPeer::passive(quiet().max_retransmits(3));
    peer.shut_down();
    let sent = peer.run_for(secs(15) - Duration::from_nanos(1));
    let expected: Vec<_> = [1, 3, 7].map(|at| (secs(at), vec![bare(SHUTDOWN_ACK)])).to_vec();
    assert_eq!(sent.into_iter().map(|(at, packet)| (at, packet.chunks)).collect::<Vec<_>>(), expected);
    assert_eq!(peer.drain_events(), []);
    assert_eq!(peer.run_for(Duration::from_nanos(1)), []);
    assert_eq!(peer.drain_events(), [Event::Closed(CloseReason::Timeout(TimeoutKind::Shutdown))]);
}

/// RFC 9260 §9.2: in SHUTDOWN-SENT "immediately respond to each received packet containing one or more DATA chunks".
#[test]
fn item_221_data_in_shutdown_sent() {
    let mut peer = shutdown_sent();
    for n in 0..5 {
        peer.now += ms(900);
        let chunk = peer.next_data(n, b"late");
        let replies = peer.exchange(&[chunk]);
        assert_eq!(replies[0].find(SHUTDOWN), Some(&shutdown(1000 + u32::from(n))));
        assert_eq!(peer.engine.poll_timeout(), Some(peer.now + secs(1)), "T2 starts anew");
    }
    assert_eq!(peer.user_reads(0), ["late"; 5]);
}

/// RFC 9260 §9.2: SHUTDOWN in SHUTDOWN-SENT: "respond immediately with a SHUTDOWN ACK chunk"; both come to the end.
#[test]
fn item_222_both_shut_down() {
    let mut peer = shutdown_sent();
    assert_eq!(kinds(&peer.exchange(&[shutdown(before(peer.engine_tsn))])), [[SHUTDOWN_ACK]]);
    assert_eq!(peer.engine.state(), State::ShutdownAckSent);
    assert_eq!(kinds(&peer.exchange(&[bare(SHUTDOWN_ACK)])), [[SHUTDOWN_COMPLETE]]);
    assert_eq!(peer.drain_events(), [Event::Closed(CloseReason::LocalShutdown)]);
}

/// RFC 9260 §9.2: in COOKIE-WAIT and COOKIE-ECHOED "the SHUTDOWN chunk SHOULD be silently discarded"; §8.4 when closed.
#[test]
fn item_223_shutdown_without_an_association() {
    let mut peer = RawPeer::new(quiet());
    let closed = peer.exchange_tagged(0xABCD, &[shutdown(1)]);
    assert_eq!((kinds(&closed), closed[0].tag), (vec![vec![ABORT]], 0xABCD));
    peer.connect();
    peer.assert_chunks_ignored(&[shutdown(1)]);
    peer.answer_init(&[]);
    peer.assert_chunks_ignored(&[shutdown(before(peer.engine_tsn))]);
    assert_eq!(peer.engine.state(), State::CookieEchoed);
}

/// RFC 9260 §9.2: SHUTDOWN ACK in SHUTDOWN-ACK-SENT: "send a SHUTDOWN COMPLETE chunk to its peer".
#[test]
fn item_224_shutdown_ack_crosses() {
    let mut peer = established();
    peer.shut_down();
    let replies = peer.exchange(&[bare(SHUTDOWN_ACK)]);
    assert_eq!(replies[0].chunks, [bare(SHUTDOWN_COMPLETE)]);
    assert_eq!((peer.engine.state(), peer.engine.poll_timeout()), (State::Closed, None));
}

/// RFC 9260 §9.2: "MUST continue responding to SHUTDOWN chunks from its peer".
#[test]
fn item_225_shutdown_again() {
    let mut peer = established();
    peer.shut_down();
    for _ in 0..3 {
        assert_eq!(kinds(&peer.exchange(&[shutdown(before(peer.engine_tsn))])), [[SHUTDOWN_ACK]]);
    }
    assert_eq!(peer.engine.state(), State::ShutdownAckSent);
}

/// RFC 9260 §9.2: SHUTDOWN COMPLETE anywhere but in SHUTDOWN-ACK-SENT: "the chunk SHOULD be discarded".
#[test]
fn item_226_shutdown_complete_elsewhere() {
    let mut waiting = RawPeer::new(quiet());
    waiting.connect();
    for mut peer in [established(), waiting] {
        peer.assert_chunks_ignored(&[bare(SHUTDOWN_COMPLETE)]);
    }
    let mut peer = shutdown_sent();
    assert_eq!(peer.exchange(&[bare(SHUTDOWN_COMPLETE)]), []);
    assert_eq!((peer.engine.state(), peer.drain_events()), (State::ShutdownSent, vec![]));
}

/// RFC 9260 §9.2: T5-shutdown-guard, "5 times 'RTO.Max'": then ABORT, however lively the peer is.
#[test]
fn item_227_shutdown_guard() {
    let mut peer = shutdown_sent();
    for n in 0..599_u32 {
        peer.run_for(ms(500));
        peer.send(&[data(1000 + n, WHOLE | UNORDERED, 0, 0, b"more")]);
        peer.user_reads(0);
        peer.replies();
        assert_eq!(peer.engine.state(), State::ShutdownSent, "{n}");
    }
    let sent = peer.run_for(ms(500));
    assert_eq!((sent.len(), sent[0].0, sent[0].1.kinds()), (1, secs(300), vec![ABORT]));
    assert!(peer.drain_events().contains(&Event::Closed(CloseReason::Timeout(TimeoutKind::Shutdown))));
}

/// RFC 9260 §9.2: a SHUTDOWN that acknowledges what was never sent: its number is ignored, what is outstanding stays so.
#[test]
fn item_228_shutdown_with_an_impossible_tsn() {
    let mut peer = established();
    peer.user_sends(0, b"outstanding");
    peer.replies();
    assert_eq!(peer.exchange(&[shutdown(peer.engine_tsn.wrapping_add(100))]), []);
    assert_ne!(peer.engine.stats().bytes_in_flight, 0);
    assert_eq!(peer.engine.state(), State::ShutdownReceived);
    assert_eq!(kinds(&peer.exchange(&[Sack::new(peer.engine_tsn).chunk()])), [[SHUTDOWN_ACK]]);
}

/// RFC 9260 §9.1: ABORT with the peer's tag, and "a "User-Initiated Abort" error cause" (12).
#[test]
fn item_229_the_user_aborts() {
    let mut peer = established();
    peer.user_sends(0, b"lost");
    peer.engine.abort(peer.now);
    assert_eq!(peer.drain_events(), [Event::Closed(CloseReason::LocalAbort)]);
    let replies = peer.replies();
    assert_eq!(replies.len(), 1);
    assert_eq!(replies[0].chunks, [Chunk::new(ABORT, 0, &tlv(12, &[]))]);
    assert_eq!((peer.engine.state(), peer.engine.poll_timeout()), (State::Closed, None));
}

/// RFC 9260 §9.1: ABORT ends the association; its reason is told, as far as it is reasonable.
#[test]
fn item_230_abort_received() {
    for (text, kept) in [(vec![b'?'; 60_000], 256), (b"\xFF\xFE bye".to_vec(), 6), (vec![], 0)] {
        let mut peer = established();
        assert_eq!(peer.exchange(&[Chunk::new(ABORT, 0, &tlv(12, &text))]), []);
        let message = Bytes::copy_from_slice(&text[..kept]);
        let reason = CloseReason::RemoteAbort { cause: Some(12), message };
        assert_eq!(peer.drain_events(), [Event::Closed(reason)]);
        assert_eq!(peer.engine.poll_timeout(), None);
    }
}

/// RFC 9260 §3.3.7: an ABORT counts whatever its causes are.
#[test]
fn item_231_abort_with_unknown_causes() {
    for code in [0, 14, 99, 0xFFFF] {
        let mut peer = established();
        peer.send(&[Chunk::new(ABORT, 0, &tlv(code, b"who knows"))]);
        let events = peer.drain_events();
        assert!(
            matches!(events[..], [Event::Closed(CloseReason::RemoteAbort { cause: Some(other), .. })] if other == code),
            "{events:?}"
        );
    }
}

/// RFC 9260 §3.3.7: causes that cannot be read leave an ABORT without a reason: the tag is right, the peer is gone.
#[test]
fn item_232_abort_with_broken_causes() {
    for causes in [&[0, 12, 0, 0][..], &[0, 12, 0, 3], &[0, 12, 0xFF, 0xFF, 1], &[0, 12]] {
        let mut peer = established();
        assert_eq!(peer.exchange(&[Chunk::new(ABORT, 0, causes)]), []);
        let reason = CloseReason::RemoteAbort { cause: None, message: Bytes::new() };
        assert_eq!(peer.drain_events(), [Event::Closed(reason)]);
    }
}

/// RFC 9260 §3.3.10: "not considered fatal in and of itself": it is told, and nothing else changes.
#[test]
fn item_233_error_received() {
    let long = vec![b'?'; 60_000];
    let causes = [
        (vec![], None, &b""[..]),
        (vec![tlv(4, &[])], Some(4), b""),
        (vec![tlv(6, &bare(0x6F).padded_with(0))], Some(6), b""),
        (vec![tlv(13, b"what was that?"), tlv(12, b"next")], Some(13), b"what was that?"),
        (vec![tlv(13, &long)], Some(13), &long[..256]),
        (vec![tlv(0xFFFF, b"who knows")], Some(0xFFFF), b""),
    ];
    let mut peer = established();
    peer.user_sends(0, b"outstanding");
    peer.replies();
    peer.drain_events();
    for (causes, cause, message) in causes {
        let before = peer.snapshot();
        assert_eq!(peer.exchange(&[error(&causes)]), []);
        let message = Bytes::copy_from_slice(message);
        assert_eq!(peer.drain_events(), [Event::RemoteError { cause, message }]);
        assert_eq!(peer.snapshot(), before);
    }
}

/// RFC 9260 §3.3.10: an ERROR is never answered by an ERROR, whatever its causes are.
#[test]
fn item_234_no_error_for_an_error() {
    let mut peer = established();
    for broken in [&[0, 6, 0, 0][..], &[0, 6, 0xFF, 0xFF], &[1]] {
        peer.assert_chunks_ignored(&[Chunk::new(ERROR, 0, broken)]);
    }
    let report = [tlv(8, &[]), tlv(0xFFFF, &[1; 100])];
    assert_eq!(
        peer.exchange(&[error(&report), bare(0xEF), error(&report)]).len(),
        1,
        "one for the unknown chunk"
    );
}

/// RFC 9260 §3.3.10.13: an ABORT for a violation carries cause 13, and says what was wrong.
#[test]
fn item_235_violations_name_themselves() {
    let violations: [&[Chunk]; 4] = [
        // A second beginning without an end; an end without a beginning; another stream or SSN within a message.
        &[data(1000, FIRST, 0, 0, b"a"), data(1001, FIRST, 0, 0, b"b")],
        &[data(1000, WHOLE, 0, 0, b"a"), data(1001, LAST, 0, 1, b"b")],
        &[data(1000, FIRST, 0, 0, b"a"), data(1001, LAST, 1, 0, b"b")],
        &[data(1000, FIRST, 0, 0, b"a"), data(1001, LAST, 0, 1, b"b")],
    ];
    for chunks in violations {
        let mut peer = established();
        let replies = peer.exchange(chunks);
        assert_eq!(kinds(&replies), [[ABORT]]);
        let causes = split(&replies[0].chunks[0].value);
        assert_eq!((causes.len(), causes[0].0), (1, 13));
        let text = std::str::from_utf8(&causes[0].1).unwrap();
        assert!((5..=80).contains(&text.len()), "{text}");
        let events = peer.drain_events();
        assert!(
            matches!(events.last(), Some(Event::Closed(CloseReason::RemoteViolation(what))) if *what == text),
            "{events:?}"
        );
    }
}
