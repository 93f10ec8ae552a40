//! The end of channels (RFC 8831 §6.7).

use super::*;

/// RFC 8831 §6.7: both sides reset; what was accepted arrives before the peer hears of the end.
#[test]
fn close_delivers_everything_and_ends_both_sides() {
    for loss in [0, 20] {
        let (mut pair, a, b) = Pair::open();
        pair.loss = loss;
        let long = "x".repeat(200_000);
        pair.send(A, a, &long);
        pair.send(A, a, "last words");
        let now = pair.now;
        pair.channel(A, a).close(now);
        assert_eq!(pair.channel(A, a).state(), ChannelState::Closing);
        assert_eq!(
            pair.channel(A, a).send(now, MessageKind::Text, Bytes::from_static(b"x")),
            Err(ChannelSendError::NotOpen)
        );
        pair.run_until(|pair| pair.ends.iter().all(|end| end.entries.values().all(Entry::is_closed)));
        assert_eq!(
            pair.take_events(A),
            [ChannelEvent::BufferedAmountLow(a), ChannelEvent::Closed(a, ChannelCloseReason::LocalClose),]
        );
        assert_eq!(
            pair.take_events(B),
            [
                ChannelEvent::Readable(b),
                ChannelEvent::Closing(b),
                ChannelEvent::Closed(b, ChannelCloseReason::RemoteClose),
            ]
        );
        assert!(pair.received(B, b) == [long, "last words".to_owned()]);
        pair.ends[B].forget(b);
        assert!(pair.ends[B].channel(b).is_none());
    }
}

#[test]
fn both_sides_may_close_at_once() {
    let (mut pair, a, b) = Pair::open();
    let now = pair.now;
    pair.send(A, a, "from a");
    pair.send(B, b, "from b");
    pair.channel(A, a).close(now);
    pair.channel(B, b).close(now);
    pair.run_for(Duration::from_secs(1));
    for (end, id, text) in [(A, a, "from b"), (B, b, "from a")] {
        assert_eq!(
            pair.take_events(end),
            [
                ChannelEvent::BufferedAmountLow(id),
                ChannelEvent::Readable(id),
                ChannelEvent::Closed(id, ChannelCloseReason::LocalClose),
            ]
        );
        assert_eq!(pair.received(end, id), [text]);
        assert_eq!(pair.ends[end].streams.ids(), []);
    }
}

/// RFC 8831 §6.7: the id is free again after both resets, and only then.
#[test]
fn a_stream_id_is_used_again_after_both_resets() {
    let (mut pair, a, _) = Pair::open();
    let now = pair.now;
    pair.channel(A, a).close(now);
    let second = pair.ends[A].open(now, ChannelInit::default()).unwrap();
    assert_eq!(pair.channel(A, second).stream_id(), Some(2));
    pair.run_for(Duration::from_secs(1));
    let third = pair.ends[A].open(pair.now, ChannelInit::default()).unwrap();
    assert_eq!(pair.channel(A, third).stream_id(), Some(0));
    pair.send(A, third, "new");
    pair.run_for(Duration::from_secs(1));
    let ChannelEvent::Readable(b) = pair.take_events(B).pop().unwrap() else { panic!("nothing to read") };
    assert_eq!(pair.received(B, b), ["new"]);
}

/// RFC 8831 §6.7: rapid reuse under loss crosses no channels.
#[test]
fn channels_opened_and_closed_many_times_do_not_cross() {
    for loss in [0, 15] {
        let mut pair = Pair::established();
        pair.loss = loss;
        for round in 0..200 {
            let end = round % 2;
            let id = pair.ends[end].open(pair.now, ChannelInit::default()).unwrap();
            pair.send(end, id, &round.to_string());
            let now = pair.now;
            pair.channel(end, id).close(now);
            pair.run_until(|pair| pair.ends[end].entries[&id].is_closed());
            pair.ends[end].forget(id);
        }
        pair.loss = 0;
        pair.run_for(Duration::from_secs(60));
        let mut texts = Vec::new();
        for end in [A, B] {
            for event in pair.take_events(end) {
                if let ChannelEvent::Incoming(id) = event {
                    texts.extend(pair.received(end, id));
                    pair.ends[end].forget(id);
                }
            }
            assert_eq!(pair.ends[end].ids().count(), 0);
            assert_eq!(pair.ends[end].streams.ids(), []);
        }
        let mut rounds: Vec<usize> = texts.iter().map(|text| text.parse().unwrap()).collect();
        rounds.sort_unstable();
        assert_eq!(rounds, (0..200).collect::<Vec<_>>());
    }
}

#[test]
fn abort_drops_what_is_queued_and_what_is_unread() {
    let (mut pair, a, b) = Pair::open();
    pair.send(B, b, "unread");
    pair.run_for(Duration::from_millis(30));
    for _ in 0..100 {
        pair.send(A, a, &"x".repeat(10_000));
    }
    let now = pair.now;
    pair.channel(A, a).abort(now);
    assert_eq!(pair.channel(A, a).recv(now), None);
    pair.run_for(Duration::from_secs(2));
    assert_eq!(pair.take_events(A).pop(), Some(ChannelEvent::Closed(a, ChannelCloseReason::LocalAbort)));
    assert_eq!(pair.take_events(B).pop(), Some(ChannelEvent::Closed(b, ChannelCloseReason::RemoteClose)));
    assert!(pair.received(B, b).len() < 100);
}

/// A peer that never resets its direction does not keep the channel, but it keeps the stream.
#[test]
fn a_peer_that_does_not_answer_a_close_is_not_waited_for() {
    let (mut pair, a, b) = Pair::open();
    pair.ends[B].streams.set_outgoing(StreamId(0), Direction::Reset);
    let now = pair.now;
    pair.channel(A, a).close(now);
    pair.run_for(Duration::from_secs(29));
    assert_eq!(pair.take_events(A), []);
    pair.run_for(Duration::from_secs(2));
    assert_eq!(pair.take_events(A), [ChannelEvent::Closed(a, ChannelCloseReason::LocalClose)]);
    assert!(pair.ends[A].streams.get(StreamId(0)).is_some());
    assert_eq!(pair.take_events(B)[0], ChannelEvent::Closing(b));
}

#[test]
fn the_end_of_the_association_closes_every_channel_once() {
    let (mut pair, a, b) = Pair::open();
    pair.send(A, a, "readable to the end");
    pair.run_for(Duration::from_millis(30));
    pair.take_events(A);
    pair.take_events(B);
    pair.ends[A].abort(pair.now);
    pair.run_for(Duration::from_millis(30));
    assert_eq!(
        pair.take_events(A),
        [
            ChannelEvent::AssociationClosed(CloseReason::LocalAbort),
            ChannelEvent::Closed(a, ChannelCloseReason::AssociationClosed(CloseReason::LocalAbort)),
        ]
    );
    let reason = CloseReason::RemoteAbort { cause: Some(12), message: Bytes::new() };
    assert_eq!(
        pair.take_events(B),
        [
            ChannelEvent::AssociationClosed(reason.clone()),
            ChannelEvent::Closed(b, ChannelCloseReason::AssociationClosed(reason)),
        ]
    );
    assert_eq!(pair.received(B, b), ["readable to the end"]);
    assert_eq!(pair.ends[A].open(pair.now, ChannelInit::default()), Err(OpenError::Closed));
    pair.run_for(Duration::from_secs(600));
    assert_eq!(pair.take_events(A), []);
}

#[test]
fn shutdown_drains_all_channels() {
    let (mut pair, a, b) = Pair::open();
    pair.loss = 20;
    let long = "y".repeat(200_000);
    pair.send(A, a, &long);
    pair.ends[A].shutdown(pair.now);
    pair.run_until(|pair| pair.ends.iter().all(|end| end.association().close_reason().is_some()));
    assert_eq!(pair.ends[A].association().undelivered(), 0);
    assert!(pair.received(B, b) == [long]);
    assert_eq!(
        pair.take_events(A).pop(),
        Some(ChannelEvent::Closed(a, ChannelCloseReason::AssociationClosed(CloseReason::LocalShutdown)))
    );
}

/// What opens channels is not the user's: only his messages are missed.
#[test]
fn only_messages_are_undelivered() {
    let mut pair = Pair::established();
    let a = pair.ends[A].open(pair.now, ChannelInit::default()).unwrap();
    assert_eq!((pair.ends[A].undelivered(), pair.ends[A].association().undelivered()), (0, 12));
    pair.loss = 100;
    pair.run_for(Duration::from_millis(10));
    assert_eq!((pair.ends[A].undelivered(), pair.ends[A].association().undelivered()), (0, 12));
    pair.send(A, a, "mine");
    pair.ends[A].abort(pair.now);
    assert_eq!((pair.ends[A].undelivered(), pair.ends[A].association().undelivered()), (4, 16));
}

/// The loss is told by the end of the channel, and counted.
#[test]
fn what_a_restart_drops_is_told() {
    let (mut pair, _, b) = Pair::open();
    pair.loss = 100;
    pair.send(B, b, "lost");
    pair.ends[B].open(pair.now, ChannelInit { negotiated: Some(9), ..ChannelInit::default() }).unwrap();
    pair.run_for(Duration::from_millis(30));
    pair.loss = 0;
    pair.ends[A] = Channels::new(Config::default(), [77; 32], pair.now);
    pair.ends[A].connect(pair.now);
    pair.run_for(Duration::from_secs(2));
    let events = pair.take_events(B);
    assert!(events.contains(&ChannelEvent::Closed(b, ChannelCloseReason::AssociationRestarted)));
    assert_eq!(pair.ends[B].association().stats().bytes_lost, 4);
    assert_eq!(pair.ends[B].undelivered(), 0);
}

#[test]
fn a_restart_of_the_peer_closes_all_channels() {
    let (mut pair, a, b) = Pair::open();
    pair.send(A, a, "of before");
    pair.run_for(Duration::from_millis(30));
    pair.take_events(B);
    pair.ends[A] = Channels::new(Config::default(), [77; 32], pair.now);
    pair.ends[A].set_role(pair.now, Role::Client);
    let again = pair.ends[A].open(pair.now, ChannelInit::default()).unwrap();
    pair.ends[A].connect(pair.now);
    pair.run_for(Duration::from_secs(2));
    pair.send(A, again, "of after");
    pair.run_for(Duration::from_secs(1));
    let c = ChannelId(1);
    assert_eq!(
        pair.take_events(B),
        [
            ChannelEvent::Restarted,
            ChannelEvent::Closed(b, ChannelCloseReason::AssociationRestarted),
            ChannelEvent::Incoming(c),
            ChannelEvent::Open(c),
            ChannelEvent::Readable(c),
        ]
    );
    assert_eq!(pair.received(B, b), ["of before"]);
    assert_eq!(pair.received(B, c), ["of after"]);
}

/// W3C webrtc-pc §6.2: `bufferedAmount` does not go back to zero because the channel closes.
#[test]
fn the_end_of_the_association_leaves_the_buffered_amount_as_it_was() {
    let (mut pair, a, _) = Pair::open();
    for text in ["text", "", "more"] {
        pair.send(A, a, text);
    }
    pair.ends[A].abort(pair.now);
    assert_eq!(pair.channel(A, a).buffered_amount(), 8);
    pair.run_for(Duration::from_secs(1));
    assert_eq!(pair.channel(A, a).state(), ChannelState::Closed);
    assert!(!pair.take_events(A).contains(&ChannelEvent::BufferedAmountLow(a)));
    assert_eq!(pair.channel(A, a).buffered_amount(), 8);
}

/// Without a timeout a closing channel waits for its peer, and for its own data.
#[test]
fn a_close_timeout_of_zero_never_ends_closing() {
    let mut pair = Pair::new(Config::default().close_timeout(Duration::ZERO), 1);
    pair.connect();
    let (a, b) = pair.open_one(ChannelInit::default());
    let now = pair.now;
    let large = Bytes::from(vec![7; 200 << 10]);
    pair.channel(A, a).send(now, MessageKind::Binary, large.clone()).unwrap();
    pair.loss = 100;
    pair.channel(A, a).close(now);
    pair.run_for(Duration::from_secs(3));
    assert_eq!(pair.channel(A, a).state(), ChannelState::Closing);
    pair.loss = 0;
    pair.run_for(Duration::from_secs(30));
    assert_eq!(pair.channel(A, a).state(), ChannelState::Closed);
    let now = pair.now;
    assert_eq!(pair.channel(B, b).recv(now).map(|message| message.data), Some(large));
}

/// What has arrived of a message when a channel gives its stream up is no message; whoever was reading it hears that it
/// ends there.
#[test]
fn a_message_that_is_arriving_when_closing_ends_is_none() {
    for by_parts in [false, true] {
        let mut pair = Pair::new(Config::default().close_timeout(Duration::from_secs(1)), 1);
        pair.connect();
        let (a, b) = pair.open_one(ChannelInit::default());
        let now = pair.now;
        let part = Bytes::from(vec![7; 5000]);
        pair.channel(B, b).send_part(now, MessageKind::Binary, part, false).unwrap();
        pair.run_for(Duration::from_millis(30));
        let now = pair.now;
        if by_parts {
            let part = pair.channel(A, a).recv_part(now).expect("a part is here");
            assert!(!part.last && part.data.iter().all(|byte| *byte == 7));
        }
        pair.loss = 100;
        pair.channel(A, a).close(now);
        pair.run_for(Duration::from_secs(3));
        assert_eq!(pair.channel(A, a).state(), ChannelState::Closed);
        let now = pair.now;
        let end = ReceivedPart { kind: MessageKind::Binary, data: Bytes::new(), last: true, abandoned: true };
        assert_eq!(pair.channel(A, a).recv_part(now), by_parts.then_some(end));
        assert_eq!(pair.channel(A, a).recv(now), None);
    }
}
