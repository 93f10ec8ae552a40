//! From `open` to Open (RFC 8832 §6).

use super::*;

#[test]
fn a_channel_opens_on_both_sides_with_the_same_properties() {
    let init = ChannelInit {
        label: "Grüße".into(),
        protocol: "chat.v1".into(),
        ordered: false,
        reliability: Reliability::MaxRetransmits(3),
        priority: 512,
        negotiated: None,
    };
    let (mut pair, a, b) = Pair::open_with(init.clone());
    for (end, id) in [(A, a), (B, b)] {
        let channel = pair.channel(end, id);
        assert_eq!(channel.init(), &init);
        assert_eq!(channel.stream_id(), Some(0));
        assert_eq!(channel.state(), ChannelState::Open);
        assert_eq!(channel.buffered_amount(), 0);
        assert!(channel.is_writable() && !channel.is_readable());
    }
}

/// RFC 8832 §6: a role that changes before they open gives those that wait ids of the other parity, but for negotiated
/// ones.
#[test]
fn channels_that_wait_follow_the_role() {
    let now = Instant::now();
    let mut channels = Channels::new(Config::default(), [1; 32], now);
    let waiting = [(); 2].map(|()| channels.open(now, ChannelInit::default()).unwrap());
    let init = ChannelInit { negotiated: Some(2), ..ChannelInit::default() };
    let negotiated = channels.open(now, init).unwrap();
    for (role, expected) in [(Role::Server, [1, 3]), (Role::Server, [1, 3]), (Role::Client, [0, 4])] {
        channels.set_role(now, role);
        let ids = waiting.map(|id| channels.channel(id).unwrap().stream_id());
        assert_eq!(ids, expected.map(Some), "{role:?}");
        assert_eq!(channels.channel(negotiated).unwrap().stream_id(), Some(2));
    }
    assert_eq!(channels.stats().streams_in_use, 3);
}

/// RFC 8832 §6: the client has even ids, the server odd ones.
#[test]
fn channels_made_before_anything_open_when_the_association_is_up() {
    let now = Instant::now();
    let mut pair = Pair::new(Config::default(), 1);
    pair.ends =
        [Channels::new(Config::default(), [1; 32], now), Channels::new(Config::default(), [2; 32], now)];
    let first = pair.ends[A].open(now, ChannelInit::default()).unwrap();
    let second = pair.ends[A].open(now, ChannelInit::default()).unwrap();
    let other = pair.ends[B].open(now, ChannelInit::default()).unwrap();
    assert_eq!(pair.channel(A, first).stream_id(), None);
    assert_eq!(pair.channel(A, first).state(), ChannelState::Connecting);
    assert_eq!(
        pair.channel(A, first).send(now, MessageKind::Text, Bytes::from_static(b"x")),
        Err(ChannelSendError::NotOpen)
    );
    pair.ends[A].set_role(now, Role::Client);
    pair.ends[B].set_role(now, Role::Server);
    for end in [A, B] {
        pair.ends[end].connect(now);
    }
    pair.run_for(Duration::from_millis(100));
    assert_eq!(pair.channel(A, first).stream_id(), Some(0));
    assert_eq!(pair.channel(A, second).stream_id(), Some(2));
    assert_eq!(pair.channel(B, other).stream_id(), Some(1));
    let events = pair.take_events(B);
    assert_eq!(
        events,
        [
            ChannelEvent::Established,
            ChannelEvent::Open(other),
            ChannelEvent::Incoming(ChannelId(1)),
            ChannelEvent::Open(ChannelId(1)),
            ChannelEvent::Incoming(ChannelId(2)),
            ChannelEvent::Open(ChannelId(2)),
        ]
    );
}

/// The DTLS role may be known later than the association is up.
#[test]
fn the_role_may_come_last() {
    let now = Instant::now();
    let mut pair = Pair::new(Config::default(), 1);
    pair.ends[A] = Channels::new(Config::default(), [9; 32], now);
    pair.connect();
    let id = pair.ends[A].open(pair.now, ChannelInit::default()).unwrap();
    pair.run_for(Duration::from_millis(30));
    assert_eq!(pair.channel(A, id).state(), ChannelState::Connecting);
    pair.ends[A].set_role(pair.now, Role::Client);
    pair.run_for(Duration::from_millis(30));
    assert_eq!(pair.take_events(A), [ChannelEvent::Open(id)]);
    assert_eq!(pair.channel(A, id).stream_id(), Some(0));
}

/// RFC 8832 §6: data may follow the OPEN at once, and the peer sees the channel first.
#[test]
fn messages_sent_behind_the_open_arrive_after_the_channel() {
    let mut pair = Pair::established();
    let a = pair.ends[A].open(pair.now, ChannelInit { ordered: false, ..ChannelInit::default() }).unwrap();
    for text in ["one", "", "three"] {
        pair.send(A, a, text);
    }
    pair.run_for(Duration::from_millis(30));
    let events = pair.take_events(B);
    let b = ChannelId(0);
    assert_eq!(events, [ChannelEvent::Incoming(b), ChannelEvent::Open(b), ChannelEvent::Readable(b)]);
    assert!(pair.channel(B, b).is_readable());
    assert_eq!(pair.received(B, b), ["one", "", "three"]);
    assert!(!pair.channel(B, b).is_readable());
    let stats = pair.channel(B, b).stats();
    assert_eq!((stats.messages_received, stats.bytes_received), (3, 8));
    let stats = pair.channel(A, a).stats();
    assert_eq!((stats.messages_sent, stats.bytes_sent), (3, 8));
}

#[test]
fn kinds_and_empty_messages_and_parts() {
    let (mut pair, a, b) = Pair::open();
    let now = pair.now;
    let mut channel = pair.channel(A, a);
    let text = |text: &'static str| Bytes::from_static(text.as_bytes());
    channel.send(now, MessageKind::Binary, Bytes::from_static(&[0, 255])).unwrap();
    channel.send(now, MessageKind::Binary, Bytes::new()).unwrap();
    channel.send(now, MessageKind::Text, Bytes::new()).unwrap();
    channel.send_part(now, MessageKind::Text, text("first,"), false).unwrap();
    channel.send_part(now, MessageKind::Text, text("second"), false).unwrap();
    channel.send_part(now, MessageKind::Text, Bytes::new(), true).unwrap();
    channel.send_part(now, MessageKind::Text, Bytes::new(), true).unwrap();
    assert_eq!(channel.stats().messages_sent, 5);
    pair.run_for(Duration::from_millis(300));
    let now = pair.now;
    let mut channel = pair.channel(B, b);
    let received: Vec<_> =
        std::iter::from_fn(|| channel.recv(now)).map(|message| (message.kind, message.data)).collect();
    assert_eq!(
        received,
        [
            (MessageKind::Binary, Bytes::from_static(&[0, 255])),
            (MessageKind::Binary, Bytes::new()),
            (MessageKind::Text, Bytes::new()),
            (MessageKind::Text, text("first,second")),
            (MessageKind::Text, Bytes::new()),
        ]
    );
}

/// Who asks for a part before anything has come hears of the first one, whatever else comes on the stream before.
#[test]
fn a_part_is_told_of_before_its_message_is_complete() {
    for interleaving in [true, false] {
        let mut pair = Pair::new(Config::default().interleaving(interleaving), 1);
        pair.connect();
        let a = pair.ends[A].open(pair.now, ChannelInit::default()).unwrap();
        pair.run_until(|pair| pair.ends[B].ids().next().is_some());
        let b = pair.ends[B].ids().next().unwrap();
        for end in [A, B] {
            pair.take_events(end);
        }
        let now = pair.now;
        // The answer to the OPEN is yet to come.
        for (to, read, from, write) in [(A, a, B, b), (B, b, A, a)] {
            assert_eq!(pair.channel(to, read).recv_part(now), None);
            let mut channel = pair.channel(from, write);
            channel.send_part(now, MessageKind::Binary, Bytes::from(vec![7; 5000]), false).unwrap();
        }
        pair.run_for(Duration::from_millis(300));
        let now = pair.now;
        for (end, id) in [(A, a), (B, b)] {
            assert!(pair.take_events(end).contains(&ChannelEvent::Readable(id)), "{interleaving}");
            let part = pair.channel(end, id).recv_part(now).expect("it was told of");
            assert!(!part.data.is_empty() && !part.last);
        }
    }
}

#[test]
fn negotiated_channels_need_no_messages() {
    let mut pair = Pair::new(Config::default(), 1);
    let init = ChannelInit { negotiated: Some(7), ordered: false, ..ChannelInit::default() };
    let a = pair.ends[A].open(pair.now, init.clone()).unwrap();
    assert_eq!(pair.ends[A].open(pair.now, init.clone()), Err(OpenError::IdInUse(7)));
    let highest = ChannelInit { negotiated: Some(65535), ..init.clone() };
    assert_eq!(pair.ends[A].open(pair.now, highest), Err(OpenError::InvalidId(65535)));
    pair.connect();
    assert_eq!(pair.take_events(A), [ChannelEvent::Open(a)]);
    pair.send(A, a, "before the other side has made it");
    pair.run_for(Duration::from_millis(30));
    let b = pair.ends[B].open(pair.now, init).unwrap();
    pair.run_for(Duration::from_millis(30));
    assert_eq!(pair.take_events(B), [ChannelEvent::Open(b), ChannelEvent::Readable(b)]);
    assert_eq!(pair.received(B, b), ["before the other side has made it"]);
    pair.send(B, b, "back");
    pair.run_for(Duration::from_millis(30));
    assert_eq!(pair.received(A, a), ["back"]);
}

#[test]
fn a_negotiated_id_beyond_the_streams_has_no_stream() {
    let mut pair = Pair::new(Config::default().outgoing_streams(8), 1);
    let init = ChannelInit { negotiated: Some(8), ..ChannelInit::default() };
    let a = pair.ends[A].open(pair.now, init.clone()).unwrap();
    pair.connect();
    assert_eq!(pair.take_events(A), [ChannelEvent::Closed(a, ChannelCloseReason::NoStream)]);
    assert_eq!(pair.ends[A].open(pair.now, init), Err(OpenError::InvalidId(8)));
    for id in [0, 2, 4, 6] {
        let channel = pair.ends[A].open(pair.now, ChannelInit::default()).unwrap();
        assert_eq!(pair.channel(A, channel).stream_id(), Some(id));
    }
    assert_eq!(pair.ends[A].open(pair.now, ChannelInit::default()), Err(OpenError::NoIdLeft));
}

#[test]
fn names_have_sixteen_bit_lengths() {
    let mut pair = Pair::established();
    let long = "x".repeat(65536);
    assert_eq!(
        pair.ends[A].open(pair.now, ChannelInit { label: long.clone(), ..ChannelInit::default() }),
        Err(OpenError::LabelTooLong { len: 65536, max: 65535 })
    );
    assert_eq!(
        pair.ends[A].open(pair.now, ChannelInit { protocol: long.clone(), ..ChannelInit::default() }),
        Err(OpenError::ProtocolTooLong { len: 65536, max: 65535 })
    );
    let name = long[1..].to_owned();
    pair.ends[A].set_max_send_message_size(Some(1000));
    let init = ChannelInit { label: name.clone(), protocol: name, ..ChannelInit::default() };
    let id = pair.ends[A].open(pair.now, init.clone()).unwrap();
    pair.run_for(Duration::from_secs(2));
    assert_eq!(pair.take_events(A), [ChannelEvent::Open(id)]);
    let ChannelEvent::Incoming(b) = pair.take_events(B)[0] else { panic!("no channel") };
    assert_eq!(pair.channel(B, b).init(), &init);
}

/// 1000 ids in use, one of them given back: opening stays cheap, and the lowest free one is next.
#[test]
fn the_lowest_free_id_is_taken() {
    let mut pair = Pair::established();
    let ids: Vec<_> =
        (0..1000).map(|_| pair.ends[A].open(pair.now, ChannelInit::default()).unwrap()).collect();
    pair.run_for(Duration::from_secs(2));
    let now = pair.now;
    for n in [700, 30] {
        pair.channel(A, ids[n]).close(now);
    }
    pair.run_for(Duration::from_secs(2));
    for stream in [60, 1400, 2000] {
        let id = pair.ends[A].open(pair.now, ChannelInit::default()).unwrap();
        assert_eq!(pair.channel(A, id).stream_id(), Some(stream));
    }
}

/// RFC 8832 §6: user data is ordered until an answer has come, then as the channel has it.
#[test]
fn an_unordered_channel_is_ordered_until_it_is_answered() {
    let mut pair = Pair::established();
    let a = pair.ends[A].open(pair.now, ChannelInit { ordered: false, ..ChannelInit::default() }).unwrap();
    let unordered = |pair: &mut Pair| {
        let mut buffer = BytesMut::new();
        pair.ends[A].poll_transmit(pair.now, &mut buffer);
        let (_, chunks) = crate::wire::parse(&buffer, true).unwrap();
        let flags: Vec<bool> = chunks
            .filter_map(|chunk| match chunk.unwrap() {
                crate::wire::Chunk::IData(data) => Some(data.unordered),
                _ => None,
            })
            .collect();
        pair.wires[B].push_back((pair.now, buffer.freeze()));
        flags
    };
    pair.send(A, a, "before the ACK");
    assert_eq!(unordered(&mut pair), [false, false]);
    pair.run_for(Duration::from_millis(30));
    pair.send(A, a, "after it");
    assert_eq!(unordered(&mut pair), [true]);
}

/// The byte that stands for an empty message (RFC 8831 §6.6) is not the user's: neither amount nor event tell of it.
#[test]
fn empty_messages_are_not_buffered_payload() {
    let (mut pair, a, b) = Pair::open();
    pair.send(A, a, "");
    assert_eq!(pair.channel(A, a).buffered_amount(), 0);
    pair.run_for(Duration::from_millis(100));
    assert_eq!(pair.take_events(A), []);
    let texts = ["", "x", "", "yz", "", ""];
    for (text, amount) in texts.into_iter().zip([0, 1, 1, 3, 3, 3]) {
        pair.send(A, a, text);
        assert_eq!(pair.channel(A, a).buffered_amount(), amount);
    }
    pair.run_for(Duration::from_millis(100));
    assert_eq!(pair.channel(A, a).buffered_amount(), 0);
    assert_eq!(pair.take_events(A), [ChannelEvent::BufferedAmountLow(a)]);
    assert_eq!(pair.received(B, b), ["", "", "x", "", "yz", "", ""]);

    // More than a packet, with empty ones all over it.
    for n in 0..50 {
        pair.send(A, a, "");
        pair.send(A, a, &"x".repeat(n * 10));
    }
    let mut left = pair.channel(A, a).buffered_amount();
    assert_eq!(left, 12_250);
    let mut buffer = BytesMut::new();
    while pair.ends[A].poll_transmit(pair.now, &mut buffer) {
        let now_left = pair.channel(A, a).buffered_amount();
        assert!(now_left <= left, "{now_left} after {left}");
        left = now_left;
        buffer.clear();
    }
    assert!(left < 12_250);
}
