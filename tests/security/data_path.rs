//! Attacks with data and its acknowledgements: SACKs, windows, fragments, TSNs, FORWARD TSN, heartbeats, timers.

use super::raw_extensions::*;
use super::raw_sctp::*;
use bytes::Bytes;
use std::time::Duration;
use straits_sctp::{CloseReason, Config, Event, Limits, Ppid, Reliability, State, StreamId, TimeoutKind};

/// Without heartbeats: what times out is data.
fn quiet() -> Config {
    Config::default().heartbeat_interval(Duration::ZERO)
}

/// An engine with so many small messages on the way, each a TSN of its own: how many it sent, and how many of those, the
/// first ones, are acknowledged.
fn with_in_flight() -> (RawPeer, u32, u32) {
    let mut peer = RawPeer::passive(quiet());
    (0..8000).for_each(|_| peer.user_sends(0, b"x"));
    let (mut sent, mut acked) = (chunks(&peer.replies()).len() as u32, 0);
    for _ in 0..2 {
        acked = sent;
        sent += peer.acknowledge(acked, 16 << 20).len() as u32;
    }
    assert!(sent - acked > 1500 && sent < 8000, "{sent}, {acked}");
    (peer, sent, acked)
}

/// Gap blocks that begin at zero, end at 65535, run backwards or overlap what is not there: the SACK counts for nothing, and
/// neither does the true half of it.
#[test]
fn attack_14_sack_extremes_are_refused_whole() {
    let (mut peer, sent, acked) = with_in_flight();
    let last = u16::try_from(sent - acked).unwrap();
    let first_true = (2, 5);
    for bad in [
        (0, 0),
        (0, 5),
        (1, u16::MAX),
        (u16::MAX, u16::MAX),
        (u16::MAX, 0),
        (9, 8),
        (7, last + 1),
        (last + 1, last + 1),
        (60_000, 65_535),
    ] {
        for blocks in [vec![bad], vec![first_true, bad], vec![first_true, bad, (20, 30)]] {
            let sack = Sack {
                window: 0,
                gaps: blocks.clone(),
                ..Sack::new(peer.nth(acked as usize).wrapping_sub(1))
            };
            let before = peer.snapshot();
            let window = peer.engine.stats().peer_rwnd;
            peer.assert_chunks_ignored(&[sack.chunk()]);
            assert_eq!((peer.snapshot(), peer.engine.stats().peer_rwnd), (before, window), "{blocks:?}");
        }
    }
    // And no harm is done: all is acknowledged in the end.
    let left = peer.acknowledge(sent, 16 << 20).len();
    assert!(left > 0 || peer.engine.stats().bytes_in_flight == 0);
}

/// As many gap blocks as fit the largest record, a thousand times over a full window: each is answered at once, and what they
/// report is what counts.
#[test]
fn attack_14_the_largest_sacks_are_processed() {
    let (mut peer, sent, acked) = with_in_flight();
    // One record holds 4089 blocks.
    let count = u16::try_from((sent - acked) / 2 - 1).unwrap();
    let blocks: Vec<_> = (0..count).map(|n| (2 + 2 * n, 2 + 2 * n)).collect();
    let base = peer.nth(acked as usize).wrapping_sub(1);
    let sack = Sack {
        window: 0,
        gaps: blocks.clone(),
        duplicates: vec![base; 4060 - blocks.len()],
        ..Sack::new(base)
    };
    let bytes = packet(PORT, PORT, peer.engine_tag, &[sack.chunk()]);
    assert!(bytes.len() > 15_000 && bytes.len() <= 1 << 14);
    for _ in 0..1000 {
        peer.send_bytes(&bytes);
    }
    let stats = peer.engine.stats();
    let missing = (sent - acked) as usize - blocks.len();
    assert_eq!(stats.unacknowledged_chunks, missing, "all that is in a gap, and nothing else");
    // The same report again is no news: it makes nothing count as lost.
    assert_eq!(stats.fast_retransmits, 0);
    // Blocks that appear and go away again.
    let none = Sack { window: 0, ..Sack::new(base) }.chunk();
    for _ in 0..100 {
        peer.send(std::slice::from_ref(&none));
        peer.send_bytes(&bytes);
    }
    let rest = peer.acknowledge(sent, 16 << 20);
    assert!(peer.engine.state() == State::Established && !rest.is_empty());
}

/// Acknowledging what was not sent yet, in pieces, or again and again lets the window grow no faster than what arrives.
#[test]
fn attack_15_acknowledgements_cannot_be_stretched() {
    // Optimistic: ahead of what was sent.
    let (mut peer, sent, _) = with_in_flight();
    for ahead in [1, 2, 1000, 1 << 30] {
        let sack = Sack::new(peer.engine_tsn.wrapping_add(sent).wrapping_sub(1).wrapping_add(ahead)).chunk();
        peer.assert_chunks_ignored(&[sack]);
    }
    // Split and repeated: in sum no more than the bytes, and a full window only.
    let mut honest = RawPeer::passive(quiet());
    let mut greedy = RawPeer::passive(quiet());
    for peer in [&mut honest, &mut greedy] {
        for _ in 0..100 {
            peer.user_sends(0, &[1; 1100]);
        }
    }
    let on_the_way = chunks(&honest.replies()).len() as u32;
    assert_eq!(chunks(&greedy.replies()).len() as u32, on_the_way);
    honest.acknowledge(on_the_way, 1 << 20);
    for n in 1..=on_the_way {
        for _ in 0..20 {
            greedy.send(&[Sack::new(greedy.nth(n as usize).wrapping_sub(1)).chunk()]);
        }
    }
    let grown = |peer: &RawPeer| peer.engine.stats().cwnd;
    let once = honest.engine.stats();
    assert!(grown(&greedy) <= 2 * grown(&honest), "{} against {}", grown(&greedy), grown(&honest));
    assert!(once.cwnd <= 2 * (10 * 1191 + 1191));
}

/// A peer that acknowledges all but one TSN, and says so as often as it is asked, is given up in the time of
/// Association.Max.Retrans; until then no more than the send buffer is held.
#[test]
fn attack_16_one_gap_for_ever_ends_the_association() {
    let mut peer = RawPeer::passive(quiet().send_buffer_limit(100_000));
    for _ in 0..10 {
        peer.user_sends(0, &[1; 1000]);
    }
    peer.replies();
    let mut sacks = 0;
    while peer.engine.state() == State::Established {
        let sack = peer.sack(0, &[(2, 10)]);
        peer.exchange(&[sack]);
        sacks += 1;
        assert!(peer.now < peer.start + secs(600), "held for ever");
        let due = peer.engine.poll_timeout().unwrap();
        peer.run_for(due - peer.now);
    }
    assert_eq!(peer.engine.close_reason(), Some(&CloseReason::Timeout(TimeoutKind::Retransmissions)));
    assert!(sacks > 10);
}

/// So is one that takes back each time what it had acknowledged.
#[test]
fn attack_16_reneging_is_no_progress() {
    let mut peer = RawPeer::passive(quiet().send_buffer_limit(100_000));
    for _ in 0..10 {
        peer.user_sends(0, &[1; 1000]);
    }
    peer.replies();
    while peer.engine.state() == State::Established {
        let (some, none) = (peer.sack(0, &[(2, 10)]), peer.sack(0, &[]));
        peer.exchange(&[some]);
        peer.exchange(&[none]);
        assert!(peer.now < peer.start + secs(600), "held for ever");
        let due = peer.engine.poll_timeout().unwrap();
        peer.run_for(due - peer.now);
    }
    assert_eq!(peer.engine.close_reason(), Some(&CloseReason::Timeout(TimeoutKind::Retransmissions)));
}

/// A window of zero for ever holds the send buffer and no more; one of 2^32 - 1 is not believed beyond the congestion window.
#[test]
fn attack_17_windows_of_the_peer_bound_nothing_of_ours() {
    let mut peer = RawPeer::passive(quiet().send_buffer_limit(50_000));
    let closed = Sack { window: 0, ..Sack::new(peer.engine_tsn.wrapping_sub(1)) }.chunk();
    peer.exchange(std::slice::from_ref(&closed));
    let (mut accepted, mut probes) = (0, 0);
    for _ in 0..200 {
        let (now, stream) = (peer.now, StreamId(0));
        let message = Bytes::from(vec![1; 1000]);
        accepted += usize::from(
            peer.engine.send(now, stream, Ppid::BINARY, message, true, Reliability::Reliable).is_ok(),
        );
        probes += chunks(&peer.replies()).len();
        // Each probe is answered, or the peer would be given up.
        let due = peer.engine.poll_timeout().expect("probes go on");
        probes += peer.run_for(due - peer.now).len();
        peer.exchange(std::slice::from_ref(&closed));
    }
    assert!(accepted <= 50 && peer.engine.undelivered() == accepted * 1000, "{accepted}");
    assert!(peer.engine.stats().bytes_in_flight <= 1016 && (100..=201).contains(&probes), "{probes}");

    let mut peer = RawPeer::passive(quiet());
    for _ in 0..1000 {
        peer.user_sends(0, &[1; 1000]);
    }
    let mut acked = 0;
    for _ in 0..20 {
        let stats = peer.engine.stats();
        assert!(stats.bytes_in_flight <= stats.cwnd + 1191);
        acked += chunks(&peer.replies()).len() as u32;
        peer.acknowledge(acked, u32::MAX);
        acked = 1000.min(acked);
    }
}

/// The last chunk is always taken while nothing could be read: a window full of beginnings does not lock the association.
#[test]
fn attack_20_a_full_buffer_is_no_deadlock() {
    let mut peer = RawPeer::passive(quiet().receive_window(20_000));
    let start = peer.tsn;
    // Everything but the first TSN, until nothing more is taken.
    let mut n = 1;
    while n < 100 {
        let chunk = data(
            start + n,
            if n % 2 == 1 { LAST } else { FIRST },
            0,
            u16::try_from(n / 2).unwrap(),
            &[7; 1000],
        );
        peer.send(&[chunk]);
        peer.replies();
        n += 1;
    }
    assert!(peer.engine.stats().drops.buffer_full > 0);
    // The beginning of the first message, for which there is no room, makes the rest readable.
    peer.send(&[data(start, FIRST, 0, 0, &[7; 1000])]);
    assert!(!peer.user_reads(0).is_empty(), "{:?}", peer.engine.stats());
    assert_eq!(peer.engine.state(), State::Established);
}

/// Fragments that contradict each other end the association; two messages are never glued together.
#[test]
fn attack_21_fragments_are_never_glued() {
    // By steps of TSN: flags, SSN; the last one is the lie.
    let cases: [&[(u8, u16)]; 6] = [
        &[(FIRST, 0), (FIRST, 0)],
        &[(FIRST, 0), (WHOLE, 1)],
        &[(FIRST, 0), (0, 1)],
        &[(FIRST, 0), (LAST, 1)],
        &[(FIRST, 0), (LAST | UNORDERED, 0)],
        &[(WHOLE, 0), (LAST, 1)],
    ];
    for case in cases {
        for reversed in [false, true] {
            let mut peer = RawPeer::passive(quiet());
            let mut chunks: Vec<_> = case
                .iter()
                .zip(peer.tsn..)
                .map(|((flags, ssn), tsn)| data(tsn, *flags, 0, *ssn, format!("<{tsn}>").as_bytes()))
                .collect();
            if reversed {
                chunks.reverse();
            }
            for chunk in chunks {
                peer.send(&[chunk]);
            }
            let replies = peer.replies();
            let glued = peer.user_reads(0).iter().any(|message| message.len() > 6);
            assert!(!glued, "{case:?}");
            let ended = peer.engine.state() == State::Closed;
            assert!(ended && kinds(&replies).iter().any(|kinds| kinds == &[ABORT]), "{case:?}: {replies:?}");
        }
    }
    // I-DATA: one fragment number twice, another message's payload protocol, one behind the end.
    for lie in [
        i_data(1001, 0, 0, 0, 1, b"<1>").clone(),
        i_data(1002, FIRST, 0, 0, 53, b"<again>"),
        i_data(1002, LAST, 0, 0, 1, b"<again>"),
    ] {
        let mut peer = RawPeer::passive_with(quiet(), INTERLEAVED);
        peer.send(&[i_data(1000, FIRST, 0, 0, 51, b"<0>")]);
        peer.send(&[i_data(1001, 0, 0, 0, 1, b"<1>")]);
        peer.send(&[lie]);
        peer.send(&[i_data(1003, LAST, 0, 0, 2, b"<2>")]);
        let read = peer.user_reads(0);
        assert!(read.iter().all(|message| message.is_empty() || message == "<0><1><2>"), "{read:?}");
    }
}

/// TSNs far ahead, far behind, and at half of the number space take no place anywhere.
#[test]
fn attack_22_absurd_tsns_are_dropped_first() {
    for start in [1000_u32, u32::MAX - 5, 0, 1 << 31] {
        let mut peer = RawPeer::new(quiet());
        peer.tsn = start;
        peer.open();
        peer.drain_events();
        let window = peer.engine.stats().local_rwnd;
        let ahead = [65_536, 100_000, 1 << 20, (1 << 31) - 1, 1 << 31, (1 << 31) + 1, u32::MAX - 1];
        for distance in ahead {
            peer.send(&[data(start.wrapping_add(distance), WHOLE, 0, 0, &[1; 500])]);
            peer.run_for(secs(1));
            assert_eq!((peer.engine.stats().local_rwnd, peer.user_reads(0).len()), (window, 0), "{distance}");
        }
        assert!(peer.engine.stats().drops.beyond_tsn_distance >= 3);
        let chunk = peer.next_data(0, b"the true one");
        peer.send(&[chunk]);
        assert_eq!(peer.user_reads(0), ["the true one"], "from {start}");
    }
}

/// One TSN in two opens a gap each: a thousand are kept, the rest is not taken.
#[test]
fn attack_18_22_gaps_are_bounded() {
    let mut peer = RawPeer::passive(quiet());
    let start = peer.tsn;
    for n in 0..5000 {
        peer.send(&[data(start + 1 + 2 * n, WHOLE, 0, u16::try_from(n).unwrap(), b"x")]);
    }
    let stats = peer.engine.stats();
    assert_eq!(stats.drops.beyond_gap_ranges, 5000 - 1024);
    assert_eq!((4 << 20) - stats.local_rwnd, 1024 * 129);
    // The gaps are filled in any order, and all of it is there.
    for n in (0..1024).rev() {
        peer.send(&[data(start + 2 * n, WHOLE, 1, u16::try_from(n).unwrap(), b"y")]);
    }
    assert_eq!((peer.user_reads(0).len(), peer.user_reads(1).len()), (1024, 1024));
}

/// A FORWARD TSN may not jump further than the window; what it says of streams is looked at once for each entry.
#[test]
fn attack_23_forward_tsn_jumps_are_bounded() {
    for (parameters, interleaved) in [(PARTIAL, false), (INTERLEAVED, true)] {
        let mut peer = RawPeer::passive_with(quiet(), parameters);
        let forward = |cumulative: u32| {
            if interleaved {
                i_forward_tsn(cumulative, &[(0, false, 9)])
            } else {
                forward_tsn(cumulative, &[(0, 9)])
            }
        };
        let start = peer.tsn;
        for distance in [65_536, 100_000, 1 << 24, (1 << 31) - 1] {
            peer.assert_chunks_ignored(&[forward(start.wrapping_add(distance))]);
        }
        assert_eq!(peer.engine.stats().drops.beyond_tsn_distance, 4);
        // Behind, or as far back as there is: a SACK says where things are, and nothing moves.
        for distance in [1 << 31, (1 << 31) + 1, u32::MAX - 1] {
            let replies = peer.exchange(&[forward(start.wrapping_add(distance))]);
            for sack in of_kind(&replies, SACK) {
                assert_eq!(Sack::parse(&sack).cumulative, start.wrapping_sub(1));
            }
        }
        // As many entries as fit, of streams that were never used, a hundred times.
        for n in 0..100_u32 {
            let entries: Vec<_> = (0..250_u16).map(|stream| (stream * 200, 7)).collect();
            let chunk = match interleaved {
                false => forward_tsn(start + n, &entries),
                true => i_forward_tsn(
                    start + n,
                    &entries.iter().take(120).map(|(stream, _)| (*stream, false, 7)).collect::<Vec<_>>(),
                ),
            };
            peer.send(&[chunk]);
            peer.replies();
        }
        peer.tsn = start + 100;
        let chunk = match interleaved {
            false => data(peer.tsn, WHOLE, 0, 8, b"next"),
            true => i_data(peer.tsn, WHOLE, 0, 8, 53, b"next"),
        };
        peer.send(&[chunk]);
        assert_eq!(peer.user_reads(0), ["next"]);
    }
}

/// Twenty heartbeats a second are answered, none of them larger than what came; the rest is dropped.
#[test]
fn attack_28_heartbeat_floods_are_bounded() {
    let mut peer = RawPeer::passive(quiet());
    let mut answered = 0;
    for n in 0..10_000_u32 {
        let replies = peer.exchange(&[heartbeat(&n.to_be_bytes())]);
        answered += replies.len();
    }
    assert_eq!(answered, 20);
    peer.now += secs(1);
    let mut fits = 0;
    for len in [0, 1, 1000, 1100, 1160, 1200, 5000, 16_000, 60_000] {
        let bytes = packet(PORT, PORT, peer.engine_tag, &[heartbeat(&vec![9; len])]);
        let replies = peer.exchange_bytes(&bytes);
        assert!(replies.iter().all(|packet| packet.len <= bytes.len()));
        fits += replies.len();
    }
    assert_eq!(fits, 5);
}

/// Only the nonce of the heartbeat that is out says anything, and only once; the time in it is our own note.
#[test]
fn attack_28_heartbeat_acks_cannot_be_forged() {
    let mut peer = RawPeer::passive(Config::default());
    let sent = peer.run_for(secs(40));
    let probe = sent.iter().find_map(|(_, packet)| packet.find(HEARTBEAT)).expect("a heartbeat").clone();
    let info = split(&probe.value)[0].1.clone();
    let srtt = peer.engine.stats().srtt;
    let mut forged = vec![
        vec![],
        vec![0; 8],
        vec![0xff; 8],
        vec![0; 1000],
        info[1..].to_vec(),
        [&info[..], &[0]].concat(),
    ];
    forged.extend((0..info.len() * 8).map(|bit| {
        let mut flipped = info.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        flipped
    }));
    for info in forged {
        peer.assert_chunks_ignored(&[heartbeat_ack(&info)]);
        assert_eq!(peer.engine.stats().srtt, srtt);
    }
    peer.send(&[heartbeat_ack(&info)]);
    let measured = peer.engine.stats().srtt;
    assert!(measured.is_some());
    peer.now += secs(5);
    peer.send(&[heartbeat_ack(&info)]);
    assert_eq!(peer.engine.stats().srtt, measured, "the second time it is nobody's");
}

/// A set-up cannot be told to wait: what the peer suggests of cookie lifetimes is not taken, and a late answer stretches no
/// timer beyond its cap.
#[test]
fn attack_30_timers_cannot_be_stretched() {
    // RFC 9260 §3.3.2.1: Cookie Preservative.
    for suggested in [1_u32, 60_000, 1 << 31, u32::MAX] {
        let mut peer = RawPeer::new(quiet());
        let init = peer.init().with(9, &suggested.to_be_bytes());
        let ack = peer.send_init(&init);
        peer.engine_tag = ack.tag;
        peer.now += secs(120);
        let stale = peer.exchange(&[Chunk::new(COOKIE_ECHO, 0, &ack.cookie())]);
        assert_eq!((kinds(&stale), peer.engine.state()), (vec![vec![ERROR]], State::Closed), "{suggested}");
    }
    // Acknowledgements an hour late: the RTO has its maximum, and its minimum comes back.
    let mut peer = RawPeer::passive(quiet());
    peer.user_sends(0, b"one");
    peer.replies();
    peer.now += secs(3600);
    peer.acknowledge(1, 1 << 20);
    assert!(peer.engine.stats().rto <= secs(10));
    for n in 2..60 {
        peer.user_sends(0, b"more");
        peer.replies();
        peer.now += ms(1);
        peer.acknowledge(n, 1 << 20);
    }
    assert!(peer.engine.stats().rto < secs(1));
    // Stale Cookie errors: one more attempt, then the end.
    let mut peer = RawPeer::new(quiet());
    peer.connect();
    let mut inits = 1;
    for _ in 0..20 {
        if peer.engine.state() == State::Closed {
            break;
        }
        peer.answer_init(&[]);
        let replies = peer.exchange_tagged(peer.engine_tag, &[error(&[tlv(3, &u32::MAX.to_be_bytes())])]);
        inits += replies.iter().filter(|packet| packet.kinds() == [INIT]).count();
    }
    assert_eq!((inits, peer.engine.state()), (2, State::Closed));
}

/// Numbers at the edges: TSNs, SSNs and windows wrap around without a panic, and without loss.
#[test]
fn attack_31_numbers_wrap_without_harm() {
    let mut peer = RawPeer::new(quiet());
    peer.tsn = u32::MAX - 2;
    peer.engine.set_initial_tsn(u32::MAX - 2);
    peer.open();
    for n in 0..6 {
        peer.user_sends(0, &[n; 10]);
        let chunk = peer.next_data(u16::from(n), &[n; 10]);
        peer.send(&[chunk]);
        let sent = peer.replies();
        assert!(!sent.is_empty());
        peer.acknowledge(u32::from(n) + 1, u32::MAX);
    }
    assert_eq!((peer.engine.stats().bytes_in_flight, peer.user_reads(0).len()), (0, 6));
    // An INIT with the extremes of everything.
    for (window, streams) in [(1500, 1), (u32::MAX, u16::MAX)] {
        let mut peer = RawPeer::new(quiet());
        let init = Init {
            window,
            outgoing: streams,
            incoming: streams,
            tag: u32::MAX,
            tsn: u32::MAX,
            ..peer.init()
        };
        peer.tag = init.tag;
        peer.tsn = init.tsn;
        assert_eq!(peer.open_with(&init), []);
        peer.user_sends(0, &[1; 5000]);
        peer.replies();
        let chunk = peer.next_data(0, b"x");
        peer.send(&[chunk]);
        assert_eq!(peer.user_reads(0), ["x"]);
    }
}

/// Tags, streams and numbers chosen to collide: the tables of the association are ordered, so there is nothing to collide in;
/// as many streams as there are, with steps of any power of two, end at the same bounds.
#[test]
fn attack_29_chosen_keys_meet_the_same_bounds() {
    for step in [1_u16, 2, 256, 4096] {
        let mut peer = RawPeer::passive(quiet().limits(Limits::default().incomplete_messages(64)));
        let start = peer.tsn;
        for n in 0..500_u32 {
            let stream = u16::try_from(n).unwrap().wrapping_mul(step) % 1024;
            peer.send(&[data(start + 1 + n, FIRST, stream, 0, b"begun")]);
        }
        let stats = peer.engine.stats();
        let held = (4 << 20) - stats.local_rwnd;
        assert!(held <= 64 * (128 + 5), "{held}");
        assert!(peer.engine.state() == State::Closed || stats.drops.beyond_incomplete_messages > 0);
        assert!(!peer.drain_events().contains(&Event::Established));
    }
}
