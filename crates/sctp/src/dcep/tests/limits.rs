//! What the peer may take.

use super::*;

#[test]
fn channels_beyond_the_limit_are_closed() {
    let mut pair = Pair::new(Config::default().max_incoming_channels(3), 1);
    pair.connect();
    let ids: Vec<_> = (0..5).map(|_| pair.ends[A].open(pair.now, ChannelInit::default()).unwrap()).collect();
    pair.run_for(Duration::from_secs(1));
    let states: Vec<_> = ids.iter().map(|id| pair.channel(A, *id).state()).collect();
    let (open, closed) = (ChannelState::Open, ChannelState::Closed);
    assert_eq!(states, [open, open, open, closed, closed]);
    assert_eq!(pair.ends[B].ids().count(), 3);
    let now = pair.now;
    pair.channel(A, ids[0]).close(now);
    pair.run_for(Duration::from_secs(1));
    pair.ends[B].forget(ChannelId(0));
    let next = pair.ends[A].open(pair.now, ChannelInit::default()).unwrap();
    pair.run_for(Duration::from_secs(1));
    assert_eq!(pair.channel(A, next).state(), open);
}

#[test]
fn labels_and_protocols_are_bounded_all_together() {
    let mut pair = Pair::new(Config::default().max_channel_name_bytes(100_000), 1);
    pair.connect();
    let init = ChannelInit { label: "x".repeat(40_000), ..ChannelInit::default() };
    let ids: Vec<_> = (0..3).map(|_| pair.ends[A].open(pair.now, init.clone()).unwrap()).collect();
    pair.run_for(Duration::from_secs(1));
    let states: Vec<_> = ids.iter().map(|id| pair.channel(A, *id).state()).collect();
    assert_eq!(states, [ChannelState::Open, ChannelState::Open, ChannelState::Closed]);
}

/// What comes before any OPEN is kept for two seconds and 64 KiB, then the stream is closed.
#[test]
fn data_without_open_is_bounded_in_time_and_size() {
    let mut pair = Pair::established();
    pair.send_raw(A, 4, 53, b"early");
    pair.run_for(Duration::from_secs(1));
    assert_eq!(pair.ends[B].early.len(), 1);
    pair.run_for(Duration::from_secs(2));
    assert!(pair.ends[B].early.is_empty());
    // B has reset its direction, A knows of no channel there.
    assert_eq!(pair.ends[B].streams.get(StreamId(4)).map(|stream| stream.outgoing), Some(Direction::Reset));
    for _ in 0..3 {
        pair.send_raw(A, 6, 53, &[0; 30_000]);
    }
    pair.run_for(Duration::from_secs(1));
    assert!(pair.ends[B].early.is_empty());
    assert!(pair.ends[B].streams.get(StreamId(6)).is_some());
    assert_eq!(pair.ends[B].association.stats().local_rwnd, 4 << 20);
}

#[test]
fn a_message_over_the_limit_closes_its_channel_only() {
    let mut pair = Pair::new(Config::default().max_receive_message_size(10_000), 1);
    pair.connect();
    let (a, b) = pair.open_one(ChannelInit::default());
    let (c, d) = pair.open_one(ChannelInit::default());
    pair.send(A, a, &"x".repeat(10_001));
    pair.send(A, c, &"x".repeat(10_000));
    pair.run_for(Duration::from_secs(1));
    let reason = ChannelCloseReason::RemoteViolation("message over the limit");
    assert_eq!(pair.channel(B, b).close_reason(), Some(&reason));
    assert_eq!(pair.channel(A, a).close_reason(), Some(&ChannelCloseReason::RemoteClose));
    assert_eq!(pair.received(B, d).len(), 1);
    assert_eq!(pair.channel(B, d).state(), ChannelState::Open);
}

/// An application that does not read keeps the peer's close waiting once a window of bytes is held for it.
#[test]
fn unread_data_of_closed_channels_is_bounded_and_not_lost() {
    let mut pair = Pair::new(Config::default().receive_window(100_000), 1);
    pair.connect();
    let mut ids = Vec::new();
    for _ in 0..4 {
        let (a, b) = pair.open_one(ChannelInit::default());
        pair.send(A, a, &"x".repeat(60_000));
        let now = pair.now;
        pair.run_for(Duration::from_secs(1));
        pair.channel(A, a).close(now);
        pair.run_for(Duration::from_secs(1));
        pair.take_events(A);
        pair.take_events(B);
        ids.push((a, b));
    }
    let states: Vec<_> = ids.iter().map(|(a, _)| pair.channel(A, *a).state()).collect();
    let (closing, closed) = (ChannelState::Closing, ChannelState::Closed);
    assert_eq!(states, [closed, closed, closing, closing]);
    for (_, b) in &ids {
        assert_eq!(pair.received(B, *b), ["x".repeat(60_000)]);
        pair.run_for(Duration::from_secs(20));
    }
    assert!(ids.iter().all(|(a, _)| pair.ends[A].entries[a].is_closed()));
}
