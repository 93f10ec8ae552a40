//! Stream schedulers (RFC 8260 §3, RFC 8831 §6.4).

use crate::raw_extensions::*;
use crate::raw_sctp::*;
use std::collections::BTreeMap;
use std::time::Duration;
use straits_sctp::{Config, StreamId};

fn established(parameters: Parameters<'_>) -> RawPeer {
    RawPeer::passive_with(Config::default().heartbeat_interval(Duration::ZERO), parameters)
}

/// A chunk of DATA or I-DATA: its stream, its flags, and how long its payload is.
fn sent_on(chunk: &Chunk) -> (u16, u8, usize) {
    match chunk.kind {
        DATA => {
            let data = Data::parse(chunk);
            (data.stream, data.flags, data.payload.len())
        }
        I_DATA => {
            let data = IData::parse(chunk);
            (data.stream, data.flags, data.payload.len())
        }
        kind => panic!("chunk type {kind}"),
    }
}

/// Sends what is queued to a peer that acknowledges every batch, until so much payload is sent or nothing is left.
fn drain(peer: &mut RawPeer, bytes: usize) -> Vec<(u16, u8, usize)> {
    let mut sent = Vec::new();
    let mut so_far = 0;
    let mut replies = peer.replies();
    while so_far < bytes && !replies.is_empty() {
        let batch: Vec<_> = chunks(&replies).iter().map(sent_on).collect();
        so_far += batch.iter().map(|(_, _, len)| len).sum::<usize>();
        sent.extend(batch);
        let sack = peer.sack(sent.len(), &[]);
        replies = peer.exchange(&[sack]);
    }
    sent
}

/// Payload by stream.
fn shares(sent: &[(u16, u8, usize)]) -> BTreeMap<u16, usize> {
    let mut shares = BTreeMap::new();
    sent.iter().for_each(|(stream, _, len)| *shares.entry(*stream).or_default() += len);
    shares
}

/// Requires that the payload of the streams is as their weights are, within 10 %.
#[track_caller]
fn assert_shares(sent: &[(u16, u8, usize)], weights: &[(u16, usize)]) {
    let shares = shares(sent);
    let total: usize = shares.values().sum();
    assert!(total >= MEGABYTE);
    let all: usize = weights.iter().map(|(_, weight)| weight).sum();
    for (stream, weight) in weights {
        let due = total * weight / all;
        assert!(shares[stream].abs_diff(due) <= due / 10, "stream {stream}: {} of {due}", shares[stream]);
    }
}

/// RFC 8260 §3.2: "When not interleaving user messages, this scheduler provides a fair scheduling based on the number of
/// user messages"; §1.1: DATA "requires all fragments of a user message to have consecutive TSNs".
#[test]
fn item_273_without_i_data_messages_are_sent_whole() {
    let mut peer = established(PARTIAL);
    for _ in 0..3 {
        for stream in [1, 2, 3] {
            peer.user_sends(stream, &[5; 20_000]);
        }
    }
    let sent = drain(&mut peer, usize::MAX);
    let mut order = Vec::new();
    let mut open = None;
    for (stream, flags, _) in &sent {
        if flags & FIRST != 0 {
            assert_eq!(open.replace(*stream), None, "a message begins within another one");
            order.push(*stream);
        }
        assert_eq!(open, Some(*stream));
        if flags & LAST != 0 {
            open = None;
        }
    }
    assert_eq!(shares(&sent), BTreeMap::from([(1, 60_000), (2, 60_000), (3, 60_000)]));
    // Every stream has its turn before one has its next.
    for turn in order.chunks(3) {
        let mut turn = turn.to_vec();
        turn.sort_unstable();
        assert_eq!(turn, [1, 2, 3]);
    }
}

/// RFC 8260 §3.5: with equal weights the scheduler "considers the lengths of the messages of each stream": small messages
/// get as much as large ones.
#[test]
fn item_272_equal_weights() {
    for parameters in [INTERLEAVED, PARTIAL] {
        let mut peer = established(parameters);
        for (stream, len) in [(1, 100), (2, 1000), (3, 20_000)] {
            for _ in 0..600_000 / len {
                peer.user_sends(stream, &vec![stream as u8; len]);
            }
        }
        assert_shares(&drain(&mut peer, MEGABYTE), &[(1, 1), (2, 1), (3, 1)]);
    }
}

/// RFC 8260 §3.6: "If the weight of stream S1 is n times the weight of stream S2, the scheduler should assign to stream S1 n
/// times the capacity it assigns to stream S2."
#[test]
fn item_272_weighted_fair_queueing() {
    // The priorities of RFC 8831 §6.4.
    let weights = [(1, 128), (2, 256), (3, 512), (4, 1024)];
    for (parameters, len) in [(INTERLEAVED, 1000), (INTERLEAVED, 100_000), (PARTIAL, 1000)] {
        let mut peer = established(parameters);
        for (stream, weight) in weights {
            peer.engine.set_priority(StreamId(stream), weight as u16);
            for _ in 0..MEGABYTE / len {
                peer.user_sends(stream, &vec![stream as u8; len]);
            }
        }
        assert_shares(&drain(&mut peer, MEGABYTE), &weights);
    }
}

/// RFC 8260 §3.4: "When the scheduler interleaves user messages, the sending of large, lower-priority user messages will not
/// delay the sending of higher-priority user messages": by one packet at most.
#[test]
fn item_274_a_small_message_passes_a_large_one() {
    let mut peer = established(INTERLEAVED);
    peer.engine.set_priority(StreamId(1), 128);
    peer.engine.set_priority(StreamId(2), 1024);
    peer.user_sends(1, &vec![1; MEGABYTE]);
    let mut packets = peer.replies().len();
    for _ in 0..5 {
        // The window is full, the large message under way.
        peer.user_sends(2, b"urgent");
        assert_eq!(peer.replies(), []);
        let sack = peer.sack(packets, &[]);
        let replies = peer.exchange(&[sack]);
        let at = replies.iter().position(|packet| packet.chunks.iter().any(|chunk| sent_on(chunk).0 == 2));
        assert!(at.is_some_and(|at| at <= 1), "in packet {at:?} of {}", replies.len());
        packets += chunks(&replies).len();
    }
}

const MEGABYTE: usize = 1 << 20;
