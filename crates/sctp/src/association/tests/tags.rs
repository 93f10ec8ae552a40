//! Verification tags (RFC 9260 §8.5) and packets out of the blue (§8.4).

use super::raw::*;
use crate::State;
use crate::wire::{Cause, Chunk, CookieAck, Heartbeat, ShutdownAck, WriteChunk};

/// RFC 9260 §8.5: a wrong tag is silence, whatever comes with it; only a T bit with the peer's tag is an exception.
#[test]
fn a_wrong_tag_changes_nothing() {
    let heartbeat = Heartbeat { info: b"x", others: &[] };
    let stale = [Cause::StaleCookie(0)];
    let chunks: [&dyn WriteChunk; 14] = [
        &data(PEER_TSN),
        &init(5),
        &init_ack(5, &[]),
        &sack(0),
        &heartbeat,
        &Chunk::HeartbeatAck(heartbeat),
        &abort(false),
        &abort(true),
        &shutdown(0),
        &ShutdownAck,
        &error(&stale),
        &cookie_echo(b"cookie"),
        &CookieAck,
        &shutdown_complete(true),
    ];
    for state in [State::Established, State::ShutdownPending, State::ShutdownSent, State::ShutdownAckSent] {
        for chunk in chunks {
            for tag in [1, PEER_TAG] {
                let mut raw = Raw::in_state(state);
                if tag == PEER_TAG && chunk.flags() == 1 {
                    continue;
                }
                raw.feed_packet(tag, &[chunk]);
                assert_eq!(raw.names(), [[""; 0]; 0], "{state:?}, type {}, tag {tag:#x}", chunk.kind());
                assert_eq!((raw.end.state(), raw.events()), (state, vec![]));
                assert_eq!(raw.end.stats().packets_dropped, 1);
            }
        }
    }
}

/// RFC 9260 §8.4 (2)–(8).
#[test]
fn packets_out_of_the_blue_are_answered_by_the_rules() {
    let stale = [Cause::StaleCookie(0)];
    let heartbeat = Heartbeat { info: b"x", others: &[] };
    let cases: [(&dyn WriteChunk, Option<&str>); 10] = [
        (&abort(false), None),
        (&abort(true), None),
        (&shutdown_complete(true), None),
        (&CookieAck, None),
        (&error(&stale), None),
        (&ShutdownAck, Some("SHUTDOWN-COMPLETE T")),
        (&data(1), Some("ABORT T")),
        (&sack(1), Some("ABORT T")),
        (&heartbeat, Some("ABORT T")),
        (&shutdown(1), Some("ABORT T")),
    ];
    for (chunk, answer) in cases {
        for ended in [false, true] {
            let mut raw = if ended { Raw::established() } else { Raw::new() };
            if ended {
                raw.end.transport_closed(raw.now);
            }
            raw.feed_packet(0xabcd, &[chunk]);
            let sent: Vec<_> = raw.drain().into_iter().map(|sent| (sent.tag, sent.chunks)).collect();
            let expected: Vec<_> = answer.map(|line| (0xabcd, vec![line.to_owned()])).into_iter().collect();
            assert_eq!(sent, expected);
        }
    }
}

/// Answers to strangers are ten a second at most.
#[test]
fn strangers_are_answered_at_a_bounded_rate() {
    let mut raw = Raw::new();
    for tag in 1..=1000 {
        raw.feed_packet(tag, &[&data(1)]);
    }
    assert_eq!(raw.names().len(), 10);
    raw.now += std::time::Duration::from_secs(1);
    raw.feed_packet(1, &[&data(1)]);
    assert_eq!(raw.names(), [["ABORT"]]);
}

/// RFC 9260 §3.3.7: two sides without an association are silent after one answer.
#[test]
fn two_ended_associations_are_silent() {
    let mut raw = Raw::new();
    raw.feed_packet(77, &[&data(1)]);
    let abort = raw.drain().remove(0);
    let mut other = Raw::new();
    other.end.handle_packet(other.now, &abort.bytes);
    assert_eq!(other.drain(), []);
}

/// RFC 9260 §6.8: a packet with any bit flipped is dropped and counted.
#[test]
fn damaged_packets_are_dropped() {
    let mut raw = Raw::established();
    let good = packet(raw.tag, &[&data(PEER_TSN)], crate::wire::Checksum::Crc32c);
    for bit in 0..good.len() * 8 {
        let mut bad = good.to_vec();
        bad[bit / 8] ^= 1 << (bit % 8);
        raw.end.handle_packet(raw.now, &bad);
    }
    assert_eq!(raw.end.stats().packets_dropped, u64::try_from(good.len() * 8).unwrap());
    assert_eq!((raw.drain(), raw.events()), (vec![], vec![]));
}
