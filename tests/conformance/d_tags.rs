//! Verification tags and packets out of the blue (RFC 9260 §8.4, §8.5).

use crate::raw_sctp::*;
use straits_sctp::{CloseReason, Config, Event, State};

/// A sound chunk of every type that is known, and of some that are not.
fn all_chunks(peer: &RawPeer) -> Vec<Chunk> {
    vec![
        data(peer.tsn, WHOLE, 0, 0, b"x"),
        Init::new(99, 1).chunk(INIT),
        Init::new(99, 1).with(7, b"cookie").chunk(INIT_ACK),
        Sack::new(peer.engine_tsn).chunk(),
        heartbeat(b"x"),
        heartbeat_ack(b"x"),
        bare(ABORT),
        shutdown(peer.engine_tsn.wrapping_sub(1)),
        bare(SHUTDOWN_ACK),
        error(&[tlv(3, &[0; 4])]),
        Chunk::new(COOKIE_ECHO, 0, b"not a cookie"),
        bare(COOKIE_ACK),
        bare(SHUTDOWN_COMPLETE),
        Chunk::new(130, 0, &tlv(13, &[0; 12])),
        Chunk::new(192, 0, &peer.tsn.to_be_bytes()),
        Chunk::new(0x84, 0, &[0; 8]),
        bare(0x6F),
        bare(0xEF),
    ]
}

fn closed_by_abort() -> Event {
    Event::Closed(CloseReason::RemoteAbort { cause: None, message: Default::default() })
}

/// An engine that has ended, by an ABORT of the peer.
fn ended(config: Config) -> RawPeer {
    let mut peer = RawPeer::passive(config);
    peer.send(&[bare(ABORT)]);
    assert_eq!(peer.drain_events(), [closed_by_abort()]);
    peer
}

/// RFC 9260 §8.5: with another tag than its own "the receiver MUST silently discard the packet".
#[test]
fn item_085_wrong_tags() {
    let mut peer = RawPeer::passive(Config::default());
    peer.user_sends(0, b"outstanding");
    peer.replies();
    let chunks = all_chunks(&peer);
    assert_eq!(chunks.len(), 18);
    for chunk in chunks {
        for tag in [peer.engine_tag ^ 1, 0, peer.tag] {
            if tag == 0 && chunk.kind == INIT {
                continue;
            }
            peer.assert_ignored(&packet(PORT, PORT, tag, std::slice::from_ref(&chunk)));
        }
    }
    // With the right one they count.
    assert_eq!(kinds(&peer.exchange(&[heartbeat(b"x")])), [[HEARTBEAT_ACK]]);
    peer.send(&[Sack::new(peer.engine_tsn).chunk()]);
    assert_eq!(peer.engine.stats().bytes_in_flight, 0);
}

/// RFC 9260 §8.5.1 A: with tag 0 a packet must contain "only an INIT chunk".
#[test]
fn item_086_tag_zero() {
    for mut peer in [RawPeer::new(Config::default()), RawPeer::passive(Config::default())] {
        for chunk in all_chunks(&peer) {
            if chunk.kind != INIT {
                peer.assert_ignored(&packet(PORT, PORT, 0, std::slice::from_ref(&chunk)));
            }
            peer.assert_ignored(&packet(PORT, PORT, 0, &[Init::new(99, 1).chunk(INIT), chunk]));
        }
        peer.send_init(&Init::new(99, 1));
    }
}

/// RFC 9260 §8.5.1 B: ABORT counts with the own tag and T clear, or the peer's tag and T set.
#[test]
fn item_087_tags_of_abort() {
    let fresh = || RawPeer::passive(Config::default());
    let (own, peers) = (fresh().engine_tag, fresh().tag);
    for (tag, flags, accepted) in [
        (own, 0, true),
        (peers, REFLECTED, true),
        (own, REFLECTED, false),
        (peers, 0, false),
        (0, 0, false),
        (0, REFLECTED, false),
        (own ^ 1, 0, false),
        (own ^ 1, REFLECTED, false),
    ] {
        let mut peer = fresh();
        let abort = packet(PORT, PORT, tag, &[Chunk::new(ABORT, flags, &[])]);
        if accepted {
            assert_eq!(peer.exchange_bytes(&abort), []);
            assert_eq!(peer.drain_events(), [closed_by_abort()]);
        } else {
            peer.assert_ignored(&abort);
        }
    }
}

/// RFC 9260 §8.5.1 C: the same for SHUTDOWN COMPLETE, ignored "if it is not in the SHUTDOWN-ACK-SENT state".
#[test]
fn item_088_tags_of_shutdown_complete() {
    let fresh = || RawPeer::passive(Config::default());
    let (own, peers) = (fresh().engine_tag, fresh().tag);
    for (tag, flags, accepted) in [
        (own, 0, true),
        (peers, REFLECTED, true),
        (own, REFLECTED, false),
        (peers, 0, false),
        (0, 0, false),
        (own ^ 1, 0, false),
        (own ^ 1, REFLECTED, false),
    ] {
        let complete = packet(PORT, PORT, tag, &[Chunk::new(SHUTDOWN_COMPLETE, flags, &[])]);
        fresh().assert_ignored(&complete);
        let mut peer = fresh();
        peer.engine.shutdown(peer.now);
        peer.replies();
        peer.send_bytes(&complete);
        assert_eq!(peer.engine.state(), State::ShutdownSent);

        let mut peer = fresh();
        peer.shut_down();
        assert_eq!(peer.exchange_bytes(&complete), []);
        assert_eq!(peer.engine.state() == State::Closed, accepted, "tag {tag:#x}, flags {flags}");
        assert_eq!(peer.drain_events().len(), usize::from(accepted));
    }
}

/// RFC 9260 §8.5.1 E, §9.2: during the set-up SHUTDOWN ACK is answered as out of the blue; T1 "continue running".
#[test]
fn item_089_shutdown_ack_during_set_up() {
    for echoed in [false, true] {
        let mut peer = RawPeer::new(Config::default());
        peer.connect();
        if echoed {
            peer.answer_init(&[]);
        }
        for tag in [peer.engine_tag, 0xABCD] {
            let before = peer.snapshot();
            let replies = peer.exchange_tagged(tag, &[bare(SHUTDOWN_ACK)]);
            assert_eq!(replies.len(), 1);
            assert_eq!(replies[0].tag, tag);
            assert_eq!(replies[0].chunks, [Chunk::new(SHUTDOWN_COMPLETE, REFLECTED, &[])]);
            assert_eq!((peer.snapshot(), peer.drain_events()), (before, vec![]));
        }
    }
}

/// RFC 9260 §9.2: SHUTDOWN ACK answers SHUTDOWN; in ESTABLISHED it means nothing, with a wrong tag nowhere (§8.5).
#[test]
fn item_090_shutdown_ack_elsewhere() {
    let mut peer = RawPeer::passive(Config::default());
    peer.assert_chunks_ignored(&[bare(SHUTDOWN_ACK)]);
    peer.engine.shutdown(peer.now);
    peer.replies();
    peer.assert_ignored(&packet(PORT, PORT, peer.engine_tag ^ 1, &[bare(SHUTDOWN_ACK)]));
    assert_eq!(peer.engine.state(), State::ShutdownSent);
    assert_eq!(kinds(&peer.exchange(&[bare(SHUTDOWN_ACK)])), [[SHUTDOWN_COMPLETE]]);
}

/// RFC 9260 §8.4 (2): an ABORT out of the blue: "the receiver MUST silently discard the OOTB packet".
#[test]
fn item_091_abort_out_of_the_blue() {
    for mut peer in [RawPeer::new(Config::default()), ended(Config::default())] {
        for flags in [0, REFLECTED] {
            let abort = Chunk::new(ABORT, flags, &[]);
            peer.assert_ignored(&packet(PORT, PORT, 0xABCD, std::slice::from_ref(&abort)));
            peer.assert_ignored(&packet(PORT, PORT, 0xABCD, &[data(1, WHOLE, 0, 0, b"x"), abort]));
        }
    }
}

/// RFC 9260 §8.4 (5): SHUTDOWN ACK is answered by SHUTDOWN COMPLETE with the tag that came and the T bit.
#[test]
fn item_092_shutdown_ack_out_of_the_blue() {
    for mut peer in [RawPeer::new(Config::default()), ended(Config::default())] {
        let replies = peer.exchange_tagged(0xABCD, &[bare(SHUTDOWN_ACK)]);
        assert_eq!(replies.len(), 1);
        assert_eq!(replies[0].tag, 0xABCD);
        assert_eq!(replies[0].chunks, [Chunk::new(SHUTDOWN_COMPLETE, REFLECTED, &[])]);
    }
}

/// RFC 9260 §8.4 (6), (7): SHUTDOWN COMPLETE, COOKIE ACK and a Stale Cookie are silently discarded.
#[test]
fn item_093_silence_out_of_the_blue() {
    for mut peer in [RawPeer::new(Config::default()), ended(Config::default())] {
        for chunk in [bare(SHUTDOWN_COMPLETE), bare(COOKIE_ACK), error(&[tlv(3, &[0; 4])])] {
            peer.assert_ignored(&packet(PORT, PORT, 0xABCD, &[chunk]));
        }
    }
}

/// RFC 9260 §8.4 (8): anything else: ABORT with the tag that came and the T bit.
#[test]
fn item_094_anything_else_out_of_the_blue() {
    let silent = [INIT, ABORT, SHUTDOWN_ACK, ERROR, COOKIE_ECHO, COOKIE_ACK, SHUTDOWN_COMPLETE];
    for mut peer in [RawPeer::new(Config::default()), ended(Config::default())] {
        for chunk in all_chunks(&peer).into_iter().filter(|chunk| !silent.contains(&chunk.kind)) {
            let kind = chunk.kind;
            let replies = peer.exchange_tagged(0xABCD, &[chunk]);
            assert_eq!(replies.len(), 1, "type {kind}");
            assert_eq!(
                (replies[0].tag, &replies[0].chunks[..]),
                (0xABCD, &[Chunk::new(ABORT, REFLECTED, &[])][..])
            );
            peer.now += secs(1);
        }
    }
}

/// RFC 9260 §3.3.7, §9.1: "An endpoint MUST NOT respond to any received packet that contains an ABORT chunk".
#[test]
fn item_095_no_answer_to_abort() {
    let (mut left, mut right) = (ended(Config::default()), ended(Config::default()));
    // What one engine says out of the blue is told to the other, until both are silent.
    let mut packets = left.exchange_tagged(0xABCD, &[data(1, WHOLE, 0, 0, b"x")]);
    assert_eq!(packets.len(), 1);
    for peer in [&mut right, &mut left] {
        packets = packets
            .iter()
            .flat_map(|said| {
                peer.now += secs(2);
                peer.exchange_bytes(&packet(PORT, PORT, said.tag, &said.chunks))
            })
            .collect();
        assert_eq!(packets, []);
    }
    // Nor in an association, whatever comes with it.
    let mut peer = RawPeer::passive(Config::default());
    assert_eq!(peer.exchange(&[heartbeat(b"x"), bare(0xEF), bare(ABORT), heartbeat(b"y")]), []);
}

/// RFC 9653: an answer out of the blue has a true checksum, whatever was agreed before.
#[test]
fn item_096_checksum_of_answers_out_of_the_blue() {
    let mut peer = RawPeer::new(Config::default());
    peer.takes_zero_checksum = true;
    let ack = peer.send_init(&peer.init().with(0x8001, &1_u32.to_be_bytes()));
    peer.engine_tag = ack.tag;
    let cookie_ack = peer.exchange(&[Chunk::new(COOKIE_ECHO, 0, &ack.cookie())]);
    assert!(cookie_ack[0].checksum_is_zero, "zero checksums are in use");
    peer.send(&[bare(ABORT)]);
    for chunk in [data(1, WHOLE, 0, 0, b"x"), bare(SHUTDOWN_ACK)] {
        let replies = peer.exchange_tagged(0xABCD, &[chunk]);
        assert_eq!(replies.len(), 1);
        assert!(!replies[0].checksum_is_zero);
    }
}

/// RFC 9260 §8.4: answers "SHOULD" be sent; ours are ten a second, so that nobody makes us a reflector.
#[test]
fn item_097_answers_are_rate_limited() {
    let mut peer = RawPeer::new(Config::default());
    for second in 0..3 {
        let answers: usize =
            (0..1000).map(|tag| peer.exchange_tagged(1 + tag, &[data(1, WHOLE, 0, 0, b"x")]).len()).sum();
        assert_eq!(answers, 10, "second {second}");
        peer.now += secs(1);
    }
}

/// RFC 9260 §8.5: in COOKIE-WAIT the peer's tag is unknown: only INIT, INIT ACK, ABORT and SHUTDOWN ACK mean anything.
#[test]
fn item_098_cookie_wait() {
    let mut peer = RawPeer::new(Config::default());
    peer.connect();
    for chunk in all_chunks(&peer) {
        if ![INIT_ACK, ABORT, SHUTDOWN_ACK].contains(&chunk.kind) {
            let own = packet(PORT, PORT, peer.engine_tag, std::slice::from_ref(&chunk));
            peer.assert_ignored(&own);
        }
        if chunk.kind != SHUTDOWN_ACK {
            peer.assert_ignored(&packet(PORT, PORT, 0xABCD, &[chunk]));
        }
    }
    assert_eq!(peer.engine.state(), State::CookieWait);
    assert_eq!(peer.exchange(&[bare(ABORT)]), []);
    assert_eq!(peer.drain_events(), [closed_by_abort()]);
}
