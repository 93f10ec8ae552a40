//! SACKs the engine receives (RFC 9260 §6.2.1, §6.7, §7.2.4).

use crate::raw_sctp::*;
use std::time::Duration;
use straits_sctp::{Config, State};

/// A chunk of DATA with this payload counts so much in flight: headers and padding too (RFC 9260 §7.2).
const PAYLOAD: usize = 1000;
const IN_FLIGHT: usize = 16 + PAYLOAD;

/// An engine with so many messages outstanding, one in each packet.
fn outstanding(count: u32) -> RawPeer {
    let mut peer =
        RawPeer::passive(Config::default().heartbeat_interval(Duration::ZERO).black_hole_detection(false));
    for n in 0..count {
        peer.user_sends(0, &[1; PAYLOAD]);
        let sent = peer.replies();
        assert_eq!(sent.len(), 1);
        assert_eq!(sent[0].chunks[0].tsn(), tsn(&peer, n));
    }
    peer
}

/// TSN of the n-th message.
fn tsn(peer: &RawPeer, n: u32) -> u32 {
    peer.engine_tsn.wrapping_add(n)
}

/// A SACK of the first `n` messages, and of these blocks.
fn sack(peer: &RawPeer, n: u32, gaps: &[(u16, u16)]) -> Sack {
    Sack { gaps: gaps.to_vec(), ..Sack::new(tsn(peer, n).wrapping_sub(1)) }
}

fn feed(peer: &mut RawPeer, n: u32, gaps: &[(u16, u16)]) -> Vec<u32> {
    let chunk = sack(peer, n, gaps).chunk();
    let replies = peer.exchange(&[chunk]);
    replies
        .iter()
        .flat_map(|packet| &packet.chunks)
        .map(|chunk| chunk.tsn().wrapping_sub(peer.engine_tsn))
        .collect()
}

fn in_flight(peer: &RawPeer) -> usize {
    peer.engine.stats().bytes_in_flight / IN_FLIGHT
}

/// RFC 9260 §6.2.1 D i: "If Cumulative TSN Ack is less than the Cumulative TSN Ack Point, then drop the SACK chunk."
#[test]
fn item_159_old_sacks() {
    let mut peer = outstanding(4);
    assert_eq!(feed(&mut peer, 2, &[]), []);
    assert_eq!(in_flight(&peer), 2);
    let window = peer.engine.stats().peer_rwnd;
    for n in [0, 1] {
        let old = Sack { window: 0, ..sack(&peer, n, &[(4, 4)]) };
        peer.assert_chunks_ignored(&[old.chunk()]);
    }
    assert_eq!(peer.engine.stats().peer_rwnd, window);
    // An equal one counts: its gap blocks and its window are new.
    assert_eq!(feed(&mut peer, 2, &[(2, 2)]), []);
    assert_eq!(in_flight(&peer), 1);
}

/// RFC 9260 §6.2.1: an acknowledgement of what was never sent is ignored as a whole, and counted.
#[test]
fn item_160_sack_of_what_was_never_sent() {
    let mut peer = outstanding(3);
    for (n, gaps) in [(4, &[][..]), (1000, &[]), (1 << 31, &[]), (1, &[(2, 3)])] {
        let dropped = peer.engine.stats().packets_dropped;
        let window = peer.engine.stats().peer_rwnd;
        let chunk = Sack { window: 0, ..sack(&peer, n, gaps) }.chunk();
        if n != 1 << 31 {
            peer.assert_chunks_ignored(&[chunk]);
            assert_eq!(peer.engine.stats().packets_dropped, dropped + 1, "{n} {gaps:?}");
        } else {
            peer.send(&[chunk]);
        }
        assert_eq!((in_flight(&peer), peer.engine.stats().peer_rwnd), (3, window));
    }
    assert_eq!(feed(&mut peer, 3, &[]), []);
    assert_eq!(in_flight(&peer), 0);
}

/// RFC 9260 §3.3.4: gap blocks start above the cumulative TSN and do not end before they start; else nothing counts.
#[test]
fn item_161_malformed_gap_blocks() {
    for gaps in [
        &[(0, 0)][..],
        &[(0, 2)],
        &[(3, 2)],
        &[(2, 2), (5, 4)],
        &[(2, 2), (9, 9)],
        &[(2, u16::MAX)],
        &[(u16::MAX, u16::MAX)],
        &[(u16::MAX, 1)],
    ] {
        let mut peer = outstanding(6);
        let window = peer.engine.stats().peer_rwnd;
        let chunk = Sack { window: 5, ..sack(&peer, 1, gaps) }.chunk();
        peer.assert_chunks_ignored(&[chunk]);
        assert_eq!((in_flight(&peer), peer.engine.stats().peer_rwnd), (6, window), "{gaps:?}");
        assert_eq!(feed(&mut peer, 6, &[]), []);
        assert_eq!(in_flight(&peer), 0);
    }
}

/// RFC 9260 §6.7: "MUST remove all DATA chunks that have been acknowledged by the SACK chunk's Cumulative TSN Ack"; those
/// that gap blocks report stay, and can be sent again.
#[test]
fn item_162_what_leaves_the_queue() {
    let mut peer = outstanding(5);
    feed(&mut peer, 0, &[(3, 4)]);
    assert_eq!((peer.engine.undelivered(), in_flight(&peer)), (5 * PAYLOAD, 3));
    feed(&mut peer, 1, &[(2, 3)]);
    assert_eq!((peer.engine.undelivered(), in_flight(&peer)), (4 * PAYLOAD, 2));
    // The peer forgets the two it reported: they are still there to be sent.
    feed(&mut peer, 1, &[]);
    let sent = peer.run_for(peer.engine.poll_timeout().unwrap() - peer.now);
    assert_eq!(sent[0].1.chunks[0].tsn(), tsn(&peer, 1));
    assert_eq!(feed(&mut peer, 2, &[]), [2, 3]);
    assert_eq!(feed(&mut peer, 4, &[]), [4]);
    assert_eq!((peer.engine.undelivered(), in_flight(&peer)), (PAYLOAD, 1));
    feed(&mut peer, 5, &[]);
    assert_eq!(peer.engine.undelivered(), 0);
}

/// RFC 9260 §6.2.1 D iii: what was acknowledged by a gap block and is missing now is outstanding again, under T3.
#[test]
fn item_163_reneging() {
    let mut peer = outstanding(4);
    feed(&mut peer, 0, &[(2, 4)]);
    assert_eq!(in_flight(&peer), 1);
    feed(&mut peer, 0, &[(2, 2)]);
    assert_eq!(in_flight(&peer), 3);
    assert!(peer.engine.poll_timeout().is_some(), "T3 runs");
    // It is all sent again in the end, and acknowledged.
    let mut again = Vec::new();
    for _ in 0..4 {
        let sent = peer.run_for(secs(10));
        again.extend(
            sent.iter()
                .flat_map(|(_, packet)| &packet.chunks)
                .map(|chunk| chunk.tsn().wrapping_sub(peer.engine_tsn)),
        );
        let next = again.iter().max().map_or(0, |last| last + 1);
        again.extend(feed(&mut peer, next, &[]));
    }
    assert!([0, 2, 3].iter().all(|n| again.contains(n)), "{again:?}");
    assert_eq!(in_flight(&peer), 0);
}

/// RFC 9260 §3.3.8: its receiver "MUST NOT interpret the lack of a Gap Ack Block as a renege."
#[test]
fn item_164_shutdown_acknowledges() {
    let mut peer = outstanding(4);
    feed(&mut peer, 0, &[(3, 3)]);
    assert_eq!(in_flight(&peer), 3);
    peer.send(&[shutdown(tsn(&peer, 0))]);
    assert_eq!(peer.replies(), []);
    assert_eq!((peer.engine.state(), in_flight(&peer)), (State::ShutdownReceived, 2));
    peer.send(&[shutdown(tsn(&peer, 3))]);
    assert_eq!(kinds(&peer.replies()), [[SHUTDOWN_ACK]]);
}

/// RFC 9260 §7.2.4: "incremented only for missing TSNs prior to the HTNA in the SACK chunk".
#[test]
fn item_165_misses_count_below_the_highest_newly_acknowledged() {
    let mut peer = outstanding(6);
    for _ in 0..20 {
        // Only the first of these acknowledges something new.
        assert_eq!(feed(&mut peer, 0, &[(3, 3)]), []);
    }
    // 4 is newly acknowledged: the second miss of 0 and 1.
    assert_eq!(feed(&mut peer, 0, &[(3, 4)]), []);
    assert_eq!(peer.engine.stats().fast_retransmits, 0);
    assert_eq!(feed(&mut peer, 0, &[(3, 5)]), [0, 1], "the third one");
}

/// RFC 9260 §7.2.4: in Fast Recovery, when the cumulative TSN advances, misses count "for all TSNs reported missing".
#[test]
fn item_166_misses_in_fast_recovery() {
    let mut peer = RawPeer::passive(Config::default().initial_window(20).heartbeat_interval(Duration::ZERO));
    (0..10).for_each(|_| peer.user_sends(0, &[1; PAYLOAD]));
    assert_eq!(peer.replies().len(), 10);
    // 0 and 1 are lost, which begins the recovery, and so is 6.
    for (gaps, resent) in [((3, 3), &[][..]), ((3, 4), &[]), ((3, 5), &[0, 1])] {
        assert_eq!(feed(&mut peer, 0, &[gaps]), resent);
    }
    assert_eq!(feed(&mut peer, 0, &[(3, 6), (8, 8)]), [], "the first miss of 6: 7 is newly acknowledged");
    assert_eq!(
        feed(&mut peer, 1, &[(2, 5), (7, 7)]),
        [],
        "the second one, though only 0 is newly acknowledged"
    );
    assert_eq!(feed(&mut peer, 6, &[(2, 2)]), [6], "the third one; 8 and 9 are not reported missing");
    assert_eq!(peer.engine.stats().fast_retransmits, 3);
}

/// RFC 9260 §7.2.4: three misses: retransmitted at once, but only once this way.
#[test]
fn item_167_fast_retransmit() {
    let mut peer = outstanding(8);
    assert_eq!(feed(&mut peer, 0, &[(2, 2)]), []);
    assert_eq!(feed(&mut peer, 0, &[(2, 3)]), []);
    assert_eq!(feed(&mut peer, 0, &[(2, 4)]), [0]);
    assert_eq!(peer.engine.stats().fast_retransmits, 1);
    for end in 5..=8 {
        assert_eq!(feed(&mut peer, 0, &[(2, end)]), []);
    }
    assert_eq!(peer.engine.stats().fast_retransmits, 1);
    // The next time it is T3.
    let sent = peer.run_for(secs(1));
    assert_eq!(sent.len(), 1);
    assert_eq!(sent[0].1.chunks[0].tsn(), tsn(&peer, 0));
}

/// RFC 9260 §7.2.4: miss indications of tens of thousands of SACKs do not overflow.
#[test]
fn item_168_very_many_misses() {
    let mut peer = outstanding(5);
    for _ in 0..70_000 {
        // Reneging makes each of these acknowledge something new.
        feed(&mut peer, 0, &[(2, 2)]);
        feed(&mut peer, 0, &[(3, 3)]);
    }
    assert_eq!(peer.engine.state(), State::Established);
    feed(&mut peer, 5, &[]);
    assert_eq!(in_flight(&peer), 0);
}

/// RFC 9260 §6.3.3: what waits to be sent again and is acknowledged meanwhile is not sent again.
#[test]
fn item_169_late_acknowledgement() {
    let mut peer = outstanding(5);
    let sent = peer.run_for(ms(500));
    assert_eq!(sent.len(), 1, "one packet after T3");
    assert_eq!(feed(&mut peer, 5, &[]), []);
    assert_eq!(in_flight(&peer), 0);
    assert_eq!(peer.run_for(secs(60)), []);
}

/// RFC 9260 §6: a SACK "MUST be processed in ESTABLISHED, SHUTDOWN-PENDING, and SHUTDOWN-RECEIVED".
#[test]
fn item_170_states_in_which_sacks_count() {
    let mut established = outstanding(1);
    let mut pending = outstanding(1);
    pending.engine.shutdown(pending.now);
    let mut received = outstanding(1);
    received.send(&[shutdown(tsn(&received, 0).wrapping_sub(1))]);
    assert_eq!(received.engine.state(), State::ShutdownReceived);
    for peer in [&mut established, &mut pending, &mut received] {
        assert_eq!(in_flight(peer), 1);
        let chunk = sack(peer, 1, &[]).chunk();
        peer.exchange(&[chunk]);
        assert_eq!(in_flight(peer), 0);
    }
    assert_eq!(
        (pending.engine.state(), received.engine.state()),
        (State::ShutdownSent, State::ShutdownAckSent)
    );
    let mut waiting = RawPeer::new(Config::default());
    waiting.connect();
    for peer in [&mut waiting, &mut received] {
        let chunk = sack(peer, 1, &[]).chunk();
        peer.assert_chunks_ignored(&[chunk]);
    }
}

/// RFC 9260 §6.3.2 R2, R3: T3 stops when all is acknowledged, and restarts when the earliest outstanding TSN is.
#[test]
fn item_171_t3_and_sacks() {
    let mut peer = outstanding(3);
    assert_eq!(peer.engine.poll_timeout(), Some(peer.start + ms(500)));
    peer.now += ms(100);
    feed(&mut peer, 0, &[(2, 2)]);
    assert_eq!(peer.engine.poll_timeout(), Some(peer.start + ms(500)), "not the earliest one");
    peer.now += ms(100);
    feed(&mut peer, 1, &[]);
    let rto = peer.engine.stats().rto;
    assert_eq!(peer.engine.poll_timeout(), Some(peer.now + rto));
    peer.now += ms(100);
    feed(&mut peer, 3, &[]);
    assert_eq!(peer.engine.poll_timeout(), None);
}

/// RFC 9260 §3.3.4, §6.2: "it MAY use the duplicate TSN information": who got a retransmission twice did not need it.
#[test]
fn item_172_reported_duplicates() {
    let mut peer = outstanding(2);
    let again = peer.run_for(ms(500));
    assert_eq!(again[0].1.chunks[0].tsn(), tsn(&peer, 0));
    // The acknowledgement of both was late; then the repeated one arrives too.
    assert_eq!(feed(&mut peer, 2, &[]), []);
    assert_eq!(peer.engine.stats().spurious_retransmissions, 0);
    let report =
        |peer: &RawPeer, n: u32| Sack { duplicates: vec![tsn(peer, n)], ..sack(peer, 2, &[]) }.chunk();
    let chunk = report(&peer, 0);
    peer.assert_chunks_ignored(std::slice::from_ref(&chunk));
    assert_eq!(peer.engine.stats().spurious_retransmissions, 1);
    // Once per retransmission; what was sent once was copied by the network.
    let of_the_network = report(&peer, 1);
    peer.assert_chunks_ignored(&[chunk]);
    peer.assert_chunks_ignored(&[of_the_network]);
    let stats = peer.engine.stats();
    assert_eq!((stats.retransmissions, stats.spurious_retransmissions), (1, 1));
}
