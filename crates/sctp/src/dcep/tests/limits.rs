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
    assert_eq!(pair.ends[B].stats().early_bytes, 5 + 128);
    assert_eq!(pair.ends[B].association.stats().local_rwnd, (4 << 20) - 5 - 128);
    pair.run_for(Duration::from_secs(2));
    assert_eq!(pair.ends[B].stats().early_bytes, 0);
    // B has reset its direction, A knows of no channel there.
    assert_eq!(pair.ends[B].streams.get(StreamId(4)).map(|stream| stream.outgoing), Some(Direction::Reset));
    for _ in 0..3 {
        pair.send_raw(A, 6, 53, &[0; 30_000]);
    }
    pair.run_for(Duration::from_secs(1));
    assert_eq!(pair.ends[B].stats().early_bytes, 0);
    assert!(pair.ends[B].streams.get(StreamId(6)).is_some());
    assert_eq!(pair.ends[B].association.stats().local_rwnd, 4 << 20);
}

/// What opens channels is not held up by what the user has queued: a channel would be half open.
#[test]
fn a_full_send_buffer_keeps_no_channel_from_opening() {
    let mut pair = Pair::new(Config::default().send_buffer_limit(20_000), 1);
    pair.connect();
    let (a, _) = pair.open_one(ChannelInit::default());
    pair.loss = 100;
    let now = pair.now;
    let data = Bytes::from(vec![0; 10_000]);
    while pair.channel(A, a).send(now, MessageKind::Binary, data.clone()).is_ok() {}
    let second = pair.ends[A].open(now, ChannelInit::default()).unwrap();
    let third = pair.ends[B].open(now, ChannelInit::default()).unwrap();
    pair.loss = 0;
    pair.run_for(Duration::from_secs(5));
    pair.send(A, second, "over");
    pair.send(B, third, "and back");
    pair.run_for(Duration::from_secs(1));
    assert_eq!(pair.received(B, ChannelId(2)), ["over"]);
    assert_eq!(pair.received(A, ChannelId(2)), ["and back"]);
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

/// What nobody reads takes from the receive window, also when its channel is closed: the peer cannot pile it up.
#[test]
fn unread_data_of_closed_channels_is_bounded_and_not_lost() {
    let mut pair = Pair::new(Config::default().receive_window(100_000), 1);
    pair.connect();
    let ids: Vec<_> = (0..4).map(|_| pair.open_one(ChannelInit::default())).collect();
    for (a, _) in &ids {
        pair.send(A, *a, &"x".repeat(60_000));
        let now = pair.now;
        pair.run_for(Duration::from_secs(1));
        pair.channel(A, *a).close(now);
        pair.run_for(Duration::from_secs(1));
    }
    let states: Vec<_> = ids.iter().map(|(a, _)| pair.channel(A, *a).state()).collect();
    let (closing, closed) = (ChannelState::Closing, ChannelState::Closed);
    // The second does not fit the window until the first is read.
    assert_eq!(states, [closed, closing, closing, closing]);
    assert_eq!(pair.ends[B].stats().unread_bytes, 60_000 + 128);
    assert!(pair.ends[B].association.stats().local_rwnd < 1191);
    for (_, b) in &ids {
        assert_eq!(pair.received(B, *b), ["x".repeat(60_000)]);
        pair.run_for(Duration::from_secs(20));
    }
    assert_eq!(pair.ends[B].stats().unread_bytes, 0);
    assert_eq!(pair.ends[B].association.stats().local_rwnd, 100_000);
    assert!(ids.iter().all(|(a, _)| pair.ends[A].entries[a].is_closed()));
}
