//! SACKs the engine sends (RFC 9260 §6.2, §6.7; RFC 7053).

use crate::raw_sctp::*;
use std::collections::BTreeSet;
use std::time::Duration;
use straits_sctp::Config;

/// Without heartbeats, so that all timers are those of SACKs.
fn quiet(config: Config) -> Config {
    config.heartbeat_interval(Duration::ZERO)
}

fn established() -> RawPeer {
    RawPeer::passive(quiet(Config::strict()))
}

/// The only SACK among what came back, if there is one.
fn sack_of(replies: &[Packet]) -> Option<Sack> {
    let sacks: Vec<&Chunk> =
        replies.iter().flat_map(|packet| &packet.chunks).filter(|c| c.kind == SACK).collect();
    assert!(sacks.len() <= 1, "{sacks:?}");
    sacks.first().map(|sack| Sack::parse(sack))
}

/// Sends one whole unordered message with this TSN, in a packet of its own.
fn feed(peer: &mut RawPeer, tsn: u32) -> Option<Sack> {
    feed_payload(peer, tsn, b"x")
}

fn feed_payload(peer: &mut RawPeer, tsn: u32, payload: &[u8]) -> Option<Sack> {
    let replies = peer.exchange(&[data(tsn, WHOLE | UNORDERED, 0, 0, payload)]);
    sack_of(&replies)
}

/// Gap blocks of a set of TSNs above the cumulative one.
fn gaps(received: &BTreeSet<u32>, cumulative: u32) -> Vec<(u16, u16)> {
    let mut gaps: Vec<(u16, u16)> = Vec::new();
    for tsn in received.range(cumulative + 1..) {
        let offset = u16::try_from(tsn - cumulative).unwrap();
        match gaps.last_mut() {
            Some((_, end)) if *end + 1 == offset => *end = offset,
            _ => gaps.push((offset, offset)),
        }
    }
    gaps
}

/// A repeatable sequence without a pattern.
fn shuffled(count: u32) -> Vec<u32> {
    let mut order: Vec<u32> = (0..count).collect();
    let mut state = 12_345_u64;
    for n in (1..order.len()).rev() {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        order.swap(n, (state >> 33) as usize % (n + 1));
    }
    order
}

/// RFC 9260 §6.2: "at least every second packet (not every second DATA chunk)".
#[test]
fn item_139_every_second_packet() {
    let mut peer = established();
    let mut acknowledged = Vec::new();
    for n in 0..21_u32 {
        let pair = [2 * n, 2 * n + 1].map(|k| data(1000 + k, WHOLE | UNORDERED, 0, 0, b"x"));
        if let Some(sack) = sack_of(&peer.exchange(&pair)) {
            assert_eq!(sack.cumulative, 1001 + 2 * n);
            acknowledged.push(n);
        }
    }
    // The first one is acknowledged at once (§5.1), then every second one.
    assert_eq!(acknowledged, (0..21).step_by(2).collect::<Vec<u32>>());
}

/// RFC 9260 §6.2: "within 200 ms of the arrival of any unacknowledged DATA chunk"; never "more than 500 ms".
#[test]
fn item_140_delay_of_a_sack() {
    for (configured, delay) in [(ms(200), ms(200)), (ms(20), ms(20)), (secs(5), ms(500))] {
        let mut peer = RawPeer::passive(quiet(Config::strict()).sack_delay(configured));
        assert!(feed(&mut peer, 1000).is_some());
        assert_eq!(feed(&mut peer, 1001), None);
        assert_eq!(peer.engine.poll_timeout(), Some(peer.now + delay));
        assert_eq!(peer.run_for(delay - Duration::from_nanos(1)), []);
        let sent = peer.run_for(Duration::from_nanos(1));
        assert_eq!(sent.len(), 1);
        assert_eq!(Sack::parse(&sent[0].1.chunks[0]).cumulative, 1001);
    }
}

/// RFC 9260 §6.2: a SACK answers DATA; time alone makes none.
#[test]
fn item_141_the_timer_fires_once() {
    let mut peer = established();
    feed(&mut peer, 1000);
    feed(&mut peer, 1001);
    assert_eq!(peer.run_for(secs(600)).len(), 1);
    assert_eq!(peer.engine.poll_timeout(), None);
}

/// RFC 9260 §6.7: a gap is reported "immediately", and again "after receipt of each SCTP packet that does not fill the gap".
#[test]
fn item_142_gaps_are_reported_at_once() {
    let mut peer = established();
    feed(&mut peer, 1000);
    for n in 0..10 {
        let sack = feed(&mut peer, 1002 + n).expect("a SACK for each packet");
        assert_eq!((sack.cumulative, sack.gaps), (1000, vec![(2, 2 + n as u16)]));
    }
    let filled = feed(&mut peer, 1001).expect("a SACK when the gap is filled");
    assert_eq!((filled.cumulative, filled.gaps), (1011, vec![]));
    assert_eq!(feed(&mut peer, 1012), None, "back to every second packet");
}

/// RFC 9260 §6.2: only duplicates: "MUST immediately send a SACK chunk with no delay".
#[test]
fn item_143_duplicates_are_reported_at_once() {
    let mut peer = established();
    feed(&mut peer, 1000);
    feed(&mut peer, 1001);
    peer.run_for(secs(1));
    for tsn in [1000, 1001, 1000] {
        let sack = feed(&mut peer, tsn).expect("a SACK at once");
        assert_eq!((sack.cumulative, sack.duplicates), (1001, vec![tsn]));
    }
}

/// RFC 9260 §6.2: with the I bit set "the receiver SHOULD NOT delay the sending of the corresponding SACK chunk".
#[test]
fn item_144_immediate_bit() {
    let mut peer = established();
    feed(&mut peer, 1000);
    for tsn in 1001..1006 {
        let replies = peer.exchange(&[data(tsn, WHOLE | UNORDERED | IMMEDIATE, 0, 0, b"x")]);
        assert_eq!(sack_of(&replies).expect("a SACK at once").cumulative, tsn);
    }
}

/// RFC 9260 §6.2: "MUST NOT generate more than one SACK chunk for every incoming packet".
#[test]
fn item_145_one_sack_per_packet() {
    let mut peer = established();
    let tsns = [1000, 1002, 1004, 1002, 1000, 1001, 1009];
    let chunks = tsns.map(|tsn| data(tsn, WHOLE | UNORDERED | IMMEDIATE, 0, 0, b"x"));
    let replies = peer.exchange(&chunks);
    assert_eq!(kinds(&replies), [[SACK]]);
    let sack = sack_of(&replies).unwrap();
    assert_eq!((sack.cumulative, sack.gaps), (1002, vec![(2, 2), (7, 7)]));
    assert_eq!(peer.replies(), []);
}

/// RFC 9260 §3.3.4: gap blocks are isolated, rising and relative to the cumulative TSN; against a set of what was sent.
#[test]
fn item_146_contents_of_a_sack() {
    let mut peer = established();
    let mut received = BTreeSet::new();
    let mut seen = 0;
    for offset in shuffled(250) {
        received.insert(1000 + offset);
        let Some(sack) = feed(&mut peer, 1000 + offset) else { continue };
        let cumulative = (1000..).take_while(|tsn| received.contains(tsn)).last().unwrap_or(999);
        assert_eq!(sack.cumulative, cumulative);
        assert_eq!(sack.gaps, gaps(&received, cumulative));
        seen += 1;
    }
    assert!(seen > 200, "{seen} SACKs");
    assert_eq!(received.len(), 250);
}

/// RFC 9260 §6.7: one SACK "MUST report the Gap Ack Blocks from the lowest to highest TSNs", as many as the PMTU takes.
#[test]
fn item_147_as_many_gaps_as_fit() {
    let mut peer = established();
    let mut last = None;
    for n in 0..400 {
        let replies = peer.exchange(&[data(1001 + 2 * n, WHOLE | UNORDERED, 0, 0, b"x")]);
        assert_eq!(kinds(&replies), [[SACK]]);
        last = replies.into_iter().next();
    }
    let last = last.unwrap();
    let sack = Sack::parse(&last.chunks[0]);
    assert_eq!(sack.cumulative, 999);
    // 1191 bytes less the headers of packet and SACK: (1191 − 12 − 16) / 4 blocks.
    assert_eq!(sack.gaps, (0..290).map(|n| (2 + 2 * n, 2 + 2 * n)).collect::<Vec<_>>());
    assert_eq!(last.len, 1188);
}

/// RFC 9260 §3.3.4: offsets have 16 bits; what could not be reported is not taken.
#[test]
fn item_148_tsns_that_cannot_be_reported() {
    for ahead in [65_536, 70_000, 1 << 20, (1 << 31) - 1] {
        let mut peer = established();
        feed(&mut peer, 1000);
        peer.user_reads(0);
        let sack = feed(&mut peer, 1000 + ahead);
        assert!(sack.is_none_or(|sack| (sack.cumulative, sack.gaps.len()) == (1000, 0)), "{ahead} ahead");
        assert_eq!(peer.user_reads(0), Vec::<Vec<u8>>::new());
    }
}

/// RFC 9260 §1.6: TSN arithmetic is modulo 2^32; gap blocks around the wrap.
#[test]
fn item_149_gaps_around_the_wrap() {
    let mut peer = RawPeer::new(quiet(Config::strict()));
    peer.tsn = u32::MAX - 2;
    peer.open();
    assert_eq!(feed(&mut peer, u32::MAX - 2).unwrap().cumulative, u32::MAX - 2);
    for (tsn, cumulative, gaps) in [
        (u32::MAX, u32::MAX - 2, vec![(2, 2)]),
        (1, u32::MAX - 2, vec![(2, 2), (4, 4)]),
        (0, u32::MAX - 2, vec![(2, 4)]),
        (u32::MAX - 1, 1, vec![]),
    ] {
        let sack = feed(&mut peer, tsn).unwrap();
        assert_eq!((sack.cumulative, sack.gaps), (cumulative, gaps));
    }
}

/// RFC 9260 §3.3.4: one entry for each further copy since the last SACK; then the list begins anew.
#[test]
fn item_150_list_of_duplicates() {
    let mut peer = established();
    feed(&mut peer, 1000);
    let copies = [1000, 1000, 1001, 1001].map(|tsn| data(tsn, WHOLE | UNORDERED | IMMEDIATE, 0, 0, b"x"));
    assert_eq!(sack_of(&peer.exchange(&copies)).unwrap().duplicates, [1000, 1000, 1001]);
    assert_eq!(feed(&mut peer, 1003).unwrap().duplicates, Vec::<u32>::new());
    let many = vec![data(1000, WHOLE | UNORDERED, 0, 0, b"x"); 50];
    assert_eq!(sack_of(&peer.exchange(&many)).unwrap().duplicates, [1000; 32]);
}

/// RFC 9260 §6.2 A–D: a_rwnd is the room left, and 0 when there is none.
#[test]
fn item_151_window_in_sacks() {
    let mut peer = RawPeer::passive(quiet(Config::strict()).receive_window(20_000));
    let mut windows = Vec::new();
    for n in 0..60 {
        windows.extend(feed_payload(&mut peer, 1000 + n, &[0; 1000]).map(|sack| sack.window));
    }
    assert!(windows.iter().all(|window| *window <= 20_000));
    assert!(windows.windows(2).all(|pair| pair[1] <= pair[0]), "{windows:?}");
    assert!((18_000..=19_000).contains(&windows[0]), "{windows:?}");
    assert_eq!(windows.last(), Some(&0));
    assert!(peer.user_reads(0).len() >= 16);
    assert_eq!(peer.engine.stats().local_rwnd, 20_000);
}

/// RFC 9260 §6.2: with a window of 0 new TSNs are dropped, "the receiver MUST immediately send back a SACK chunk"; a
/// missing one below is accepted.
#[test]
fn item_152_full_buffer() {
    let mut peer = RawPeer::passive(quiet(Config::strict()).receive_window(20_000));
    feed(&mut peer, 1000);
    // 1001 is missing.
    let mut next = 1002;
    let mut highest = 0;
    for _ in 0..60 {
        let sack = feed_payload(&mut peer, next, &[0; 1000]).expect("a SACK for each, there is a gap");
        assert_eq!(sack.cumulative, 1000);
        highest = sack.gaps[0].1;
        next += 1;
        if sack.window == 0 {
            break;
        }
    }
    assert_eq!(peer.engine.stats().local_rwnd, 0);
    let dropped = feed_payload(&mut peer, next, &[0; 1000]).expect("a SACK at once");
    assert_eq!(dropped.gaps, [(2, highest)]);
    assert_eq!(dropped.window, 0);
    let filled = feed_payload(&mut peer, 1001, &[0; 1000]).expect("a SACK at once");
    assert!(filled.cumulative > 1001, "{filled:?}");
}

/// RFC 9260 §6.2: a window update "only if the window can be increased by at least a quarter of the receive buffer".
#[test]
fn item_153_window_updates() {
    let mut peer = RawPeer::passive(quiet(Config::strict()).receive_window(20_000));
    for n in 0..60 {
        feed_payload(&mut peer, 1000 + n, &[0; 1000]);
    }
    let mut windows = vec![0];
    let mut reads = 0;
    while peer.engine.recv(peer.now, straits_sctp::StreamId(0)).is_some() {
        reads += 1;
        windows.extend(sack_of(&peer.replies()).map(|sack| sack.window));
    }
    assert!(reads >= 16 && (2..=6).contains(&windows.len()), "{reads} reads, updates {windows:?}");
    // From nothing upwards the first one may be smaller.
    assert!(windows[1..].windows(2).all(|pair| pair[1] - pair[0] >= 5000), "{windows:?}");
}

/// RFC 9260 §6.2 C: room comes back when data is delivered, not while it waits for the rest of its message.
#[test]
fn item_154_data_in_reassembly() {
    let mut peer = RawPeer::passive(quiet(Config::strict()).receive_window(20_000));
    let first = peer.exchange(&[data(1000, FIRST, 0, 0, &[0; 1000])]);
    assert!(sack_of(&first).unwrap().window <= 19_000);
    assert_eq!(peer.user_reads(0), Vec::<Vec<u8>>::new());
    peer.run_for(secs(10));
    assert!(peer.engine.stats().local_rwnd <= 19_000);
    peer.send(&[data(1001, LAST, 0, 0, b"end")]);
    assert_eq!(peer.user_reads(0).len(), 1);
    assert_eq!(peer.engine.stats().local_rwnd, 20_000);
}

/// RFC 9260 §6.2: what was acknowledged by a gap block stays acknowledged, however full the buffer gets.
#[test]
fn item_155_no_reneging() {
    let mut peer = RawPeer::passive(quiet(Config::strict()).receive_window(10_000));
    let mut acknowledged = BTreeSet::new();
    for round in 0..3 {
        for offset in shuffled(60) {
            let Some(sack) = feed_payload(&mut peer, 1000 + offset, &[0; 500]) else { continue };
            let mut now: BTreeSet<u32> = (1000..=sack.cumulative).collect();
            for (start, end) in sack.gaps {
                now.extend((start..=end).map(|offset| sack.cumulative + u32::from(offset)));
            }
            assert!(now.is_superset(&acknowledged), "round {round}");
            acknowledged = now;
        }
        assert!(!acknowledged.is_empty());
        peer.user_reads(0);
        peer.replies();
    }
}

/// RFC 9260 §3.3.4: before any DATA the cumulative TSN is the peer's initial one less 1.
#[test]
fn item_156_before_any_data() {
    let mut peer = established();
    peer.engine.shutdown(peer.now);
    assert_eq!(peer.replies()[0].chunks, [shutdown(999)]);
    let mut peer = established();
    let sack = feed(&mut peer, 1001).unwrap();
    assert_eq!((sack.cumulative, sack.gaps), (999, vec![(2, 2)]));
}

/// RFC 9260 §6.2: what is outside the window is not acknowledged; what is below the cumulative TSN is a duplicate.
#[test]
fn item_157_too_far_ahead_or_old() {
    let mut peer = established();
    for n in 0..5 {
        feed(&mut peer, 1000 + n);
    }
    assert_eq!(peer.user_reads(0).len(), 5);
    feed(&mut peer, 1004 + (1 << 30));
    let sack = feed(&mut peer, 998).expect("a SACK at once");
    assert_eq!((sack.cumulative, sack.gaps, sack.duplicates), (1004, vec![], vec![998]));
    assert_eq!(peer.user_reads(0).len(), 0);
}

/// RFC 9260 §9.2: when a SHUTDOWN cannot acknowledge all, "a SACK chunk MUST also be sent".
#[test]
fn item_158_sack_with_shutdown() {
    let mut peer = established();
    peer.engine.shutdown(peer.now);
    assert_eq!(kinds(&peer.replies()), [[SHUTDOWN]]);
    let replies = peer.exchange(&[data(1001, WHOLE | UNORDERED, 0, 0, b"x")]);
    assert_eq!(kinds(&replies), [[SHUTDOWN, SACK]]);
    assert_eq!(replies[0].chunks[0], shutdown(999));
    assert_eq!(sack_of(&replies).unwrap().gaps, [(2, 2)]);
}
