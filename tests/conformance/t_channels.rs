//! Opening data channels and sending on them (RFC 8832, RFC 8831 §6.4–6.6). Their end is in `t2_closing`.

use crate::raw_channels::*;
use crate::raw_sctp::*;
use bytes::Bytes;
use std::time::Duration;
use straits_sctp::{
    ChannelCloseReason, ChannelEvent, ChannelId, ChannelInit, ChannelState, Config, MessageKind, OpenError,
    Reliability, Role,
};

fn init(ordered: bool, reliability: Reliability) -> ChannelInit {
    ChannelInit { ordered, reliability, ..ChannelInit::default() }
}

fn violation(what: &'static str) -> ChannelCloseReason {
    ChannelCloseReason::RemoteViolation(what)
}

/// The six channel types of RFC 8832 §5.1: type, order, reliability, Reliability Parameter.
fn channel_types() -> [(u8, bool, Reliability, u32); 6] {
    let retransmits = Reliability::MaxRetransmits(7);
    let lifetime = Reliability::MaxLifetime(Duration::from_millis(70_000));
    [
        (0x00, true, Reliability::Reliable, 0),
        (0x80, false, Reliability::Reliable, 0),
        (0x01, true, retransmits, 7),
        (0x81, false, retransmits, 7),
        (0x02, true, lifetime, 70_000),
        (0x82, false, lifetime, 70_000),
    ]
}

/// RFC 8832 §5.1, §6: "All DCEP messages MUST be sent using ordered delivery and reliable transmission.", on the stream
/// of the channel, with PPID 50.
#[test]
fn item_312_open_of_every_channel_type() {
    let mut raw = RawChannels::client();
    for (n, (kind, ordered, reliability, parameter)) in channel_types().into_iter().enumerate() {
        let init = ChannelInit {
            label: "Maß".into(),
            protocol: "v1".into(),
            priority: 0x1234,
            ..init(ordered, reliability)
        };
        raw.user_opens(init);
        let mut expected = vec![3, kind, 0x12, 0x34];
        expected.extend(parameter.to_be_bytes());
        expected.extend(b"\x00\x04\x00\x02Ma\xC3\x9Fv1");
        let stream = u16::try_from(2 * n).unwrap();
        assert_eq!(raw.heard.pop(), Some(heard(stream, DCEP, true, &expected)));
        assert_eq!(raw.heard, []);
    }
}

/// RFC 8832 §6: "a corresponding DATA_CHANNEL_ACK message is sent on the stream with the same stream identifier as the
/// one the DATA_CHANNEL_OPEN message was received on."
#[test]
fn item_313_a_valid_open_is_acknowledged() {
    let mut raw = RawChannels::client();
    for (n, (kind, ordered, reliability, parameter)) in channel_types().into_iter().enumerate() {
        let stream = u16::try_from(2 * n + 1).unwrap();
        raw.say(stream, DCEP, &open_message(kind, 256, parameter, b"label", b"proto"));
        assert_eq!(raw.heard.pop(), Some(heard(stream, DCEP, true, &ACK)));
        let events = raw.events();
        let [ChannelEvent::Incoming(id), ChannelEvent::Open(opened)] = events[..] else {
            panic!("{events:?}")
        };
        assert_eq!((id, raw.state(id)), (opened, ChannelState::Open));
        let (label, protocol) = ("label".to_owned(), "proto".to_owned());
        let expected = ChannelInit { label, protocol, ..init(ordered, reliability) };
        assert_eq!(raw.channel(id).init(), &expected);
        assert_eq!(raw.channel(id).stream_id(), Some(stream));
    }
    assert_eq!(raw.asked(), [[0; 0]; 0]);
}

/// RFC 8832 §6: "If the side is acting as the DTLS client, it MUST choose an even stream identifier; if the side is acting
/// as the DTLS server, it MUST choose an odd one." Roles are known with DTLS, so ids are given then.
#[test]
fn item_314_stream_ids_follow_the_role() {
    for (role, ids) in [(Role::Client, [0, 2, 4, 6]), (Role::Server, [1, 3, 5, 7])] {
        let mut raw = RawChannels::new(Config::default(), None);
        let now = raw.peer.now;
        let open = |raw: &mut RawChannels| raw.peer.engine.open(now, ChannelInit::default()).unwrap();
        let early = [open(&mut raw), open(&mut raw)];
        raw.connect(u16::MAX);
        let late = open(&mut raw);
        raw.hear();
        assert_eq!(raw.heard, []);
        for id in early.into_iter().chain([late]) {
            assert_eq!((raw.channel(id).stream_id(), raw.state(id)), (None, ChannelState::Connecting));
        }
        raw.peer.engine.set_role(now, role);
        open(&mut raw);
        raw.hear();
        let streams: Vec<u16> = raw.heard.iter().map(|open| open.stream).collect();
        assert_eq!(streams, ids);
        assert_eq!(raw.channel(late).stream_id(), Some(ids[2]));
    }
}

/// RFC 8832 §6: "the receiver MUST close the corresponding data channel […] and MUST NOT send a DATA_CHANNEL_ACK message in
/// response to the received message."
#[test]
fn item_315_open_of_our_parity_is_refused() {
    for (role, stream) in [(Role::Client, 0), (Role::Client, 10), (Role::Server, 1), (Role::Server, 65_533)] {
        let mut raw = RawChannels::established(Config::default(), role);
        raw.say(stream, DCEP, &plain_open());
        raw.say(stream, BINARY, b"and data");
        assert_eq!((raw.heard.len(), raw.events()), (0, vec![]));
        assert_eq!(raw.asked, [Asked { streams: vec![stream], ..raw.asked[0].clone() }]);
        assert_eq!(raw.peer.engine.stats().violations, 1);
        // The stream is as new when both directions were reset: ours to open.
        raw.close_both(stream);
        let id = raw.user_opens(ChannelInit { negotiated: Some(stream), ..ChannelInit::default() });
        raw.say(stream, BINARY, b"later");
        assert_eq!(raw.user_reads(id), [(MessageKind::Binary, Bytes::from_static(b"later"))]);
    }
}

/// RFC 8832 §6: "This might occur if, for example, a DATA_CHANNEL_OPEN message is received on an already used stream".
#[test]
fn item_316_open_on_a_used_stream_closes_its_channel() {
    let mut raw = RawChannels::client();
    let (a, b) = (raw.opens(1), raw.opens(3));
    let (ours, ours_stream) = raw.user_opens_answered(ChannelInit::default());
    let negotiated = raw.user_opens(ChannelInit { negotiated: Some(9), ..ChannelInit::default() });
    for (id, stream) in [(a, 1), (ours, ours_stream), (negotiated, 9)] {
        raw.say(stream, DCEP, &plain_open());
        assert_eq!(raw.heard, [], "an ACK");
        assert_eq!(raw.events(), [ChannelEvent::Closing(id)]);
        assert_eq!(raw.asked[0].streams, [stream]);
        raw.close_both(stream);
        assert_eq!(raw.events(), [ChannelEvent::Closed(id, violation("OPEN on a used stream"))]);
    }
    assert_eq!(raw.state(b), ChannelState::Open);
}

/// RFC 8832 §7: "Error cases such as using inconsistent lengths of fields, using unknown parameter values, or violating the
/// odd/even rule must also be handled by closing the corresponding data channel."
#[test]
fn item_317_malformed_open_is_refused() {
    let named = open_message(0, 256, 0, b"label", b"proto");
    let with = |at: usize, value: u8| {
        let mut message = named.clone();
        message[at] = value;
        message
    };
    let mut cases: Vec<Vec<u8>> = (1..named.len()).map(|len| named[..len].to_vec()).collect();
    // Lengths beyond the message and short of it, a byte too many, unknown channel types.
    cases.extend([with(9, 6), with(8, 1), with(11, 6), with(10, 0xFF), with(9, 4), with(11, 0)]);
    cases.push([&named[..], &[0]].concat());
    cases.extend([0x03, 0x04, 0x7F, 0x83, 0xFF].map(|kind| with(1, kind)));
    let mut raw = RawChannels::client();
    for (n, case) in cases.iter().enumerate() {
        let stream = u16::try_from(2 * n + 1).unwrap();
        raw.say(stream, DCEP, case);
        assert_eq!((raw.heard.len(), raw.events()), (0, vec![]), "{case:?}");
        assert_eq!(raw.asked[0].streams, [stream], "{case:?}");
        raw.close_both(stream);
    }
    assert_eq!(raw.peer.engine.stats().violations, cases.len() as u64);
    raw.opens(1);
}

/// RFC 8832 §7: "A receiver must be prepared to receive DATA_CHANNEL_OPEN messages where these fields have the maximum
/// length of 65535 bytes."
#[test]
fn item_318_the_longest_names() {
    let mut raw = RawChannels::client();
    let (label, protocol) = ("l".repeat(65_535), "p".repeat(65_535));
    let message = open_message(0, 256, 0, label.as_bytes(), protocol.as_bytes());
    let init = ChannelInit { label, protocol, ..ChannelInit::default() };
    raw.say(1, DCEP, &message);
    assert_eq!(raw.heard.pop(), Some(heard(1, DCEP, true, &ACK)));
    let events = raw.events();
    let [ChannelEvent::Incoming(id), ChannelEvent::Open(_)] = events[..] else { panic!("{events:?}") };
    assert!(raw.channel(id).init() == &init);
    // The peer's limit for messages of the user is not for the OPEN.
    raw.peer.engine.set_max_send_message_size(Some(1000));
    raw.user_opens(init);
    assert!(raw.heard == [heard(0, DCEP, true, &message)]);
}

/// RFC 8832 §8.2.1: 0x00, 0x01 and 0xff are reserved. (An empty message does not exist in SCTP.)
#[test]
fn item_319_reserved_message_types() {
    for (kind, len) in [(0, 1), (1, 1), (0xFF, 1), (4, 1), (0xFE, 1), (0, 12), (1, 12), (0xFF, 12)] {
        let mut message = vec![0; len];
        message[0] = kind;
        let mut raw = RawChannels::client();
        raw.say(1, DCEP, &message);
        assert_eq!((raw.events(), raw.asked()), (vec![], vec![vec![1]]), "{kind}");
        let mut raw = RawChannels::client();
        let id = raw.opens(1);
        raw.say(1, DCEP, &message);
        assert_eq!(raw.events(), [ChannelEvent::Closing(id)], "{kind}");
        assert_eq!((raw.asked(), raw.heard.len()), (vec![vec![1]], 0), "{kind}");
    }
}

#[test]
fn item_320_acknowledgements_nobody_asked_for_are_ignored() {
    let mut raw = RawChannels::client();
    let theirs = raw.opens(1);
    let (ours, stream) = raw.user_opens_answered(ChannelInit::default());
    let negotiated = raw.user_opens(ChannelInit { negotiated: Some(9), ..ChannelInit::default() });
    for stream in [1, stream, stream, 9, 11, 12] {
        raw.say(stream, DCEP, &ACK);
    }
    raw.run_for(secs(10));
    assert_eq!((raw.events(), raw.asked(), raw.heard.len()), (vec![], vec![], 0));
    for id in [theirs, ours, negotiated] {
        assert_eq!(raw.state(id), ChannelState::Open);
    }
    // Neither does a second one end what a message has ended.
    raw.user_sends(theirs, MessageKind::Text, b"x");
    assert_eq!(raw.heard, [heard(1, STRING, true, b"x")]);
}

/// RFC 8832 §6: "before the DATA_CHANNEL_ACK message or any other message has been received on a data channel, all other
/// messages containing user data and belonging to this data channel MUST be sent ordered, no matter whether the data
/// channel is ordered or not."
#[test]
fn item_321_user_data_is_ordered_until_an_answer_came() {
    for (ppid, answer) in [(DCEP, &ACK[..]), (BINARY, b"data"), (STRING_EMPTY, &[0])] {
        let mut raw = RawChannels::client();
        let unordered = raw.user_opens(init(false, Reliability::Reliable));
        let ordered = raw.user_opens(ChannelInit::default());
        raw.heard.clear();
        let say = |raw: &mut RawChannels, text: &[u8]| {
            raw.user_sends(unordered, MessageKind::Text, text);
            raw.user_sends(ordered, MessageKind::Text, text);
            std::mem::take(&mut raw.heard).into_iter().map(|heard| heard.ordered).collect::<Vec<_>>()
        };
        assert_eq!(say(&mut raw, b"before"), [true, true]);
        // An answer on one channel is none for the other.
        raw.say(2, ppid, answer);
        assert_eq!(say(&mut raw, b"half"), [true, true]);
        raw.say(0, ppid, answer);
        assert_eq!(say(&mut raw, b"after"), [false, true]);
    }
    // Nobody answers on a negotiated channel, and the answerer has had an OPEN.
    let mut raw = RawChannels::client();
    let negotiated =
        raw.user_opens(ChannelInit { negotiated: Some(4), ..init(false, Reliability::Reliable) });
    raw.user_sends(negotiated, MessageKind::Text, b"x");
    assert_eq!(raw.heard.pop(), Some(heard(4, STRING, false, b"x")));
    raw.say(1, DCEP, &open_message(0x80, 256, 0, b"", b""));
    raw.heard.clear();
    let answerer = incoming(&mut raw);
    raw.user_sends(answerer, MessageKind::Text, b"y");
    assert_eq!(raw.heard, [heard(1, STRING, false, b"y")]);
}

/// The channel that the peer just opened.
fn incoming(raw: &mut RawChannels) -> ChannelId {
    let events = raw.events();
    let found = events.iter().find_map(|event| match event {
        ChannelEvent::Incoming(id) => Some(*id),
        _ => None,
    });
    found.unwrap_or_else(|| panic!("{events:?}"))
}

/// RFC 8832 §6: the opener "MAY start sending messages containing user data without waiting for the reception of the
/// corresponding DATA_CHANNEL_ACK message", and networks reorder.
#[test]
fn item_322_data_behind_or_before_its_open_is_delivered_after_it() {
    let binary = |data: &'static [u8]| (MessageKind::Binary, Bytes::from_static(data));
    for (ordered, swapped) in [(true, false), (true, true), (false, false), (false, true)] {
        let mut raw = RawChannels::client();
        let mut chunks = vec![raw.message(1, DCEP, &plain_open())];
        for text in [&b"one"[..], b"two"] {
            let chunk = if ordered { raw.message(1, BINARY, text) } else { raw.unordered(1, BINARY, text) };
            chunks.push(chunk);
        }
        if swapped {
            // The packet with the OPEN comes last.
            raw.deliver(&chunks[1..]);
            assert_eq!(raw.events(), []);
            raw.deliver(&chunks[..1]);
        } else {
            raw.deliver(&chunks);
        }
        let events = raw.events();
        let [ChannelEvent::Incoming(id), ..] = events[..] else { panic!("{events:?}") };
        let expected = [ChannelEvent::Incoming(id), ChannelEvent::Open(id), ChannelEvent::Readable(id)];
        assert_eq!(events, expected, "ordered {ordered}, swapped {swapped}");
        assert_eq!(raw.user_reads(id), [binary(b"one"), binary(b"two")]);
        assert_eq!(raw.heard, [heard(1, DCEP, true, &ACK)]);
        assert_eq!(raw.peer.engine.association().stats().local_rwnd, 4 << 20);
    }
}

/// The bounds of what waits for an OPEN, filled: 64 KiB of a stream, 1 MiB of all, 2 s.
#[test]
fn item_322_early_data_is_bounded() {
    let mut raw = RawChannels::client();
    let message = [0; 1000];
    let fits = (64 << 10) / (1000 + 128);
    let early = |raw: &mut RawChannels, stream| {
        let chunk = raw.unordered(stream, BINARY, &message);
        raw.deliver(&[chunk]);
    };
    for _ in 0..fits {
        early(&mut raw, 1);
    }
    assert_eq!((raw.asked().len(), raw.peer.engine.stats().early_bytes), (0, fits * 1128));
    early(&mut raw, 1);
    assert_eq!((raw.peer.engine.stats().early_bytes, raw.peer.engine.stats().refused_early_bytes), (0, 1));
    raw.close_both(1);
    // All streams together, each below its own bound.
    let in_all = (1 << 20) / 1128;
    for n in 0..in_all {
        early(&mut raw, u16::try_from(3 + 2 * (n / fits)).unwrap());
    }
    assert_eq!((raw.asked().len(), raw.peer.engine.stats().early_bytes), (0, in_all * 1128));
    early(&mut raw, 101);
    assert_eq!((raw.asked(), raw.peer.engine.stats().refused_early_bytes), (vec![vec![101]], 2));
    // An OPEN in time saves what came before it.
    raw.run_for(ms(1999));
    raw.say(3, DCEP, &plain_open());
    let id = incoming(&mut raw);
    raw.run_for(ms(1));
    let stats = raw.peer.engine.stats();
    assert_eq!((stats.early_bytes, stats.unread_bytes), (0, fits * 1128));
    assert_eq!(stats.refused_without_open as usize, in_all.div_ceil(fits) - 1);
    assert_eq!(raw.user_reads(id).len(), fits);
    assert_eq!(raw.peer.engine.association().stats().local_rwnd, 4 << 20);
}

/// Nobody reads what came early: it takes from the receive window, channel by channel, until nothing more is taken.
#[test]
fn item_322_early_data_takes_from_the_window() {
    let mut raw = RawChannels::established(Config::default().receive_window(200_000), Role::Client);
    let mut opened = 0;
    for stream in (1..41).step_by(2) {
        for _ in 0..50 {
            let chunk = raw.unordered(stream, BINARY, &[0; 1000]);
            raw.deliver(&[chunk]);
        }
        raw.say(stream, DCEP, &plain_open());
        opened += raw.events().iter().filter(|event| matches!(event, ChannelEvent::Open(_))).count();
    }
    // The fourth's do not all fit.
    let stats = raw.peer.engine.stats();
    assert_eq!((opened, stats.unread_bytes), (3, 3 * 50 * 1128));
    assert!((200_000..202_000).contains(&(stats.unread_bytes + stats.early_bytes)), "{stats:?}");
    assert_eq!(raw.peer.engine.association().stats().local_rwnd, 0);
}

/// RFC 8832 §6: "receiving a message containing user data on an unused stream indicates an error. In that case, the
/// corresponding data channel MUST be closed".
#[test]
fn item_323_data_on_an_unused_stream_closes_it() {
    let mut raw = RawChannels::client();
    raw.say(1, BINARY, b"no OPEN");
    raw.say(2, STRING, b"no OPEN either");
    raw.run_for(ms(1999));
    assert_eq!(raw.asked(), [[0; 0]; 0]);
    raw.run_for(ms(1));
    assert_eq!(raw.asked[0].streams, [1]);
    raw.answers(PERFORMED);
    assert_eq!(raw.asked[0].streams, [2]);
    raw.answers(PERFORMED);
    raw.say(1, BINARY, b"still no OPEN");
    raw.run_for(secs(10));
    assert_eq!((raw.events(), raw.asked(), raw.heard.len()), (vec![], vec![], 0));
    let stats = raw.peer.engine.stats();
    assert_eq!((stats.refused_without_open, stats.early_bytes), (2, 0));
    // A peer that closes what we never came to know is answered.
    raw.say(5, BINARY, b"x");
    raw.resets(&[5, 7]);
    assert_eq!(raw.asked(), [[5]]);
}

/// RFC 8831 §6.5: "If it attempts to reuse a stream that is part of an existing data channel, the addition MUST fail."
#[test]
fn item_324_negotiated_channels() {
    let negotiated = |id| ChannelInit { negotiated: Some(id), ..ChannelInit::default() };
    let mut raw = RawChannels::new(Config::default(), Some(Role::Client));
    let now = raw.peer.now;
    let before = raw.peer.engine.open(now, negotiated(0)).unwrap();
    let beyond = raw.peer.engine.open(now, negotiated(100)).unwrap();
    assert_eq!(raw.peer.engine.open(now, negotiated(0)), Err(OpenError::IdInUse(0)));
    assert_eq!(raw.peer.engine.open(now, negotiated(65_535)), Err(OpenError::InvalidId(65_535)));
    raw.connect(100);
    let closed = ChannelEvent::Closed(beyond, ChannelCloseReason::NoStream);
    assert_eq!(raw.events(), [ChannelEvent::Established, ChannelEvent::Open(before), closed]);
    assert_eq!(raw.peer.engine.open(now, negotiated(100)), Err(OpenError::InvalidId(100)));
    let last = raw.user_opens(negotiated(99));
    assert_eq!(raw.heard, [], "no DCEP");
    // Its id is no longer given to others, of whatever parity.
    let (_, stream) = raw.user_opens_answered(ChannelInit::default());
    assert_eq!(stream, 2);
    assert_eq!(raw.peer.engine.open(now, negotiated(2)), Err(OpenError::IdInUse(2)));
    for (id, stream) in [(before, 0), (last, 99)] {
        raw.say(stream, STRING, b"in");
        raw.user_sends(id, MessageKind::Text, b"out");
        assert_eq!(raw.user_reads(id), [(MessageKind::Text, Bytes::from_static(b"in"))]);
        assert_eq!(raw.heard.pop(), Some(heard(stream, STRING, true, b"out")));
    }
}

/// All ids of our parity are taken: the next channel has none, until one is free again.
#[test]
fn item_324_ids_run_out_and_come_back() {
    let mut raw = RawChannels::new(Config::default(), Some(Role::Server));
    raw.connect(9);
    raw.events();
    let ids: Vec<_> = (0..4).map(|_| raw.user_opens_answered(ChannelInit::default())).collect();
    assert_eq!(ids.iter().map(|(_, stream)| *stream).collect::<Vec<_>>(), [1, 3, 5, 7]);
    let now = raw.peer.now;
    assert_eq!(raw.peer.engine.open(now, ChannelInit::default()), Err(OpenError::NoIdLeft));
    raw.user_closes(ids[2].0);
    assert_eq!(raw.peer.engine.open(now, ChannelInit::default()), Err(OpenError::NoIdLeft));
    raw.close_both(5);
    raw.events();
    assert_eq!(raw.user_opens_answered(ChannelInit::default()).1, 5);
    assert_eq!(raw.peer.engine.open(now, ChannelInit::default()), Err(OpenError::NoIdLeft));
}

/// RFC 8831 §8: the PPIDs, both ways.
#[test]
fn item_325_payload_protocol_identifiers() {
    let mut raw = RawChannels::client();
    let id = raw.opens(1);
    for (kind, data, ppid, wire) in [
        (MessageKind::Text, &b"text"[..], STRING, &b"text"[..]),
        (MessageKind::Binary, &[0, 255], BINARY, &[0, 255]),
        (MessageKind::Text, &[], STRING_EMPTY, &[0]),
        (MessageKind::Binary, &[], BINARY_EMPTY, &[0]),
    ] {
        raw.user_sends(id, kind, data);
        assert_eq!(raw.heard.pop(), Some(heard(1, ppid, true, wire)));
        raw.say(1, ppid, wire);
        assert_eq!(raw.user_reads(id), [(kind, Bytes::copy_from_slice(data))]);
    }
}

/// RFC 8831 §6.6: "When receiving an SCTP user message with one of these PPIDs, the receiver MUST ignore the SCTP user
/// message and process it as an empty message."
#[test]
fn item_326_what_stands_in_an_empty_message_is_ignored() {
    let mut raw = RawChannels::client();
    let id = raw.opens(1);
    for (ppid, kind) in [(STRING_EMPTY, MessageKind::Text), (BINARY_EMPTY, MessageKind::Binary)] {
        raw.say(1, ppid, &[b'x'; 3000]);
        assert_eq!(raw.user_reads(id), [(kind, Bytes::new())]);
        // Empty ones are never sent with the PPIDs of those that are not, in parts or whole.
        let now = raw.peer.now;
        raw.channel(id).send_part(now, kind, Bytes::new(), true).unwrap();
        raw.channel(id).send(now, kind, Bytes::new()).unwrap();
        raw.hear();
        let empty = heard(1, ppid, true, &[0]);
        assert_eq!(std::mem::take(&mut raw.heard), [empty.clone(), empty]);
    }
}

/// RFC 8831 §6.6: "The usage of the PPIDs "WebRTC String Partial" and "WebRTC Binary Partial" is deprecated." They close
/// the channel, whatever else is tolerated.
#[test]
fn item_327_partial_messages_close_the_channel() {
    for (ppid, tolerant) in
        [(BINARY_PARTIAL, false), (STRING_PARTIAL, false), (BINARY_PARTIAL, true), (STRING_PARTIAL, true)]
    {
        let config = Config::default().ignore_unknown_ppids(tolerant);
        let mut raw = RawChannels::established(config, Role::Client);
        let id = raw.opens(1);
        raw.say(1, BINARY, b"before");
        raw.say(1, ppid, b"first half, ");
        raw.say(1, BINARY, b"second half");
        assert_eq!(raw.events(), [ChannelEvent::Readable(id)]);
        assert_eq!(raw.user_reads(id), [(MessageKind::Binary, Bytes::from_static(b"before"))]);
        assert_eq!(raw.events(), [ChannelEvent::Closing(id)]);
        raw.hear();
        raw.close_both(1);
        assert_eq!(raw.events(), [ChannelEvent::Closed(id, violation("unknown payload protocol"))]);
    }
}

/// RFC 8831 §6.6: "If a message with an unsupported PPID is received […], the receiver SHOULD close the corresponding data
/// channel."
#[test]
fn item_328_unknown_payload_protocols() {
    for ppid in [0, 49, 55, 58, u32::MAX] {
        let mut raw = RawChannels::client();
        let (id, other) = (raw.opens(1), raw.opens(3));
        raw.say(1, ppid, b"what?");
        assert_eq!((raw.events(), raw.asked()), (vec![ChannelEvent::Closing(id)], vec![vec![1]]));
        raw.say(5, ppid, b"what?");
        assert_eq!((raw.events(), raw.state(other)), (vec![], ChannelState::Open));
        assert_eq!(raw.peer.engine.stats().violations, 2);

        let config = Config::default().ignore_unknown_ppids(true);
        let mut raw = RawChannels::established(config, Role::Client);
        let id = raw.opens(1);
        raw.say(1, ppid, &[b'?'; 3000]);
        raw.say(5, ppid, b"what?");
        raw.say(1, STRING, b"known");
        assert_eq!((raw.events(), raw.asked()), (vec![ChannelEvent::Readable(id)], vec![]));
        assert_eq!(raw.user_reads(id), [(MessageKind::Text, Bytes::from_static(b"known"))]);
        assert_eq!(raw.peer.engine.stats().messages_ignored, 2);
    }
}

/// The same of a message that is still arriving, on a channel that is closing already: it is not listened to any more.
#[test]
fn item_328_unknown_payload_protocol_while_closing() {
    let mut raw = RawChannels::client();
    let id = raw.opens(1);
    raw.user_closes(id);
    let mut begun = raw.message(1, 49, b"what");
    begun.flags = FIRST;
    raw.deliver(&[begun]);
    assert_eq!(raw.user_reads(id), []);
    assert_eq!((raw.state(id), raw.peer.engine.stats().violations), (ChannelState::Closing, 1));
    assert_eq!(raw.user_reads(id), []);
    assert_eq!(raw.peer.engine.stats().violations, 1, "said once");
}

/// What is called text is given out as it came: the API above knows what its strings take.
#[test]
fn item_329_text_that_is_not_utf_8() {
    let mut raw = RawChannels::client();
    let id = raw.opens(1);
    let text = b"\xFF\xC0half of \xE2\x82";
    raw.say(1, STRING, text);
    assert_eq!(raw.events(), [ChannelEvent::Readable(id)]);
    assert_eq!(raw.user_reads(id), [(MessageKind::Text, Bytes::from_static(text))]);
    assert_eq!(raw.state(id), ChannelState::Open);
    // A label is decoded as well as it can be.
    raw.say(3, DCEP, &open_message(0, 256, 0, b"a\xFF", b"\xC0"));
    let id = incoming(&mut raw);
    let ChannelInit { label, protocol, .. } = raw.channel(id).init().clone();
    assert_eq!((&label[..], &protocol[..]), ("a\u{FFFD}", "\u{FFFD}"));
}

/// RFC 8832 §5.1: "For reliable data channels, this field MUST be set to 0 on the sending side and MUST be ignored on the
/// receiving side."
#[test]
fn item_330_reliability_parameters() {
    let largest = Duration::from_millis(u32::MAX.into());
    for (kind, parameter, ordered, reliability) in [
        (0x00, 99, true, Reliability::Reliable),
        (0x80, 99, false, Reliability::Reliable),
        (0x01, 0, true, Reliability::MaxRetransmits(0)),
        (0x81, 65_535, false, Reliability::MaxRetransmits(65_535)),
        (0x01, 65_536, true, Reliability::MaxRetransmits(65_535)),
        (0x02, 0, true, Reliability::MaxLifetime(Duration::ZERO)),
        (0x82, u32::MAX, false, Reliability::MaxLifetime(largest)),
    ] {
        let mut raw = RawChannels::client();
        raw.say(1, DCEP, &open_message(kind, 256, parameter, b"", b""));
        let id = incoming(&mut raw);
        assert_eq!(raw.channel(id).init(), &init(ordered, reliability), "{kind:#x} {parameter}");
    }
    // More milliseconds than the field has room for.
    let mut raw = RawChannels::client();
    raw.user_opens(init(true, Reliability::MaxLifetime(Duration::MAX)));
    assert_eq!(raw.heard[0].data[..8], [3, 2, 1, 0, 0xFF, 0xFF, 0xFF, 0xFF]);
}

/// RFC 8831 §6.4: "all of the above properties are the same in both directions."
#[test]
fn item_331_the_answerer_sends_as_the_opener_does() {
    for (kind, ordered, reliability, parameter) in channel_types() {
        let mut raw = RawChannels::client();
        raw.say(1, DCEP, &open_message(kind, 1024, parameter, b"", b""));
        raw.heard.clear();
        let id = incoming(&mut raw);
        assert_eq!(raw.channel(id).init(), &ChannelInit { priority: 1024, ..init(ordered, reliability) });
        raw.user_sends(id, MessageKind::Binary, b"back");
        raw.user_sends(id, MessageKind::Binary, b"again");
        let expected = [heard(1, BINARY, ordered, b"back"), heard(1, BINARY, ordered, b"again")];
        assert_eq!(raw.heard, expected, "{kind:#x}");
    }
}
