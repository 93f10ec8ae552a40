//! The end of data channels, and what bounds them (RFC 8831 §6.7, RFC 8832 §6, §7).

use crate::raw_channels::*;
use crate::raw_sctp::*;
use bytes::{Bytes, BytesMut};
use straits_sctp::{
    ChannelCloseReason, ChannelEvent, ChannelId, ChannelInit, ChannelSendError, ChannelState, CloseReason,
    Config, MessageKind, OpenError, ReceivedPart, Role,
};

fn closed(id: ChannelId, reason: ChannelCloseReason) -> ChannelEvent {
    ChannelEvent::Closed(id, reason)
}

fn text(text: &'static str) -> (MessageKind, Bytes) {
    (MessageKind::Text, Bytes::from_static(text.as_bytes()))
}

/// RFC 8831 §6.7: "if one side decides to close the data channel, it resets the corresponding outgoing stream. When the
/// peer sees that an incoming stream was reset, it also resets its corresponding outgoing stream. Once this is completed,
/// the data channel is closed."
#[test]
fn item_332_close_resets_both_directions() {
    // We begin.
    let mut raw = RawChannels::client();
    let (id, _) = raw.user_opens_answered(ChannelInit::default());
    raw.user_closes(id);
    assert_eq!(raw.asked[0].streams, [0]);
    raw.answers(PERFORMED);
    assert_eq!((raw.events(), raw.state(id)), (vec![], ChannelState::Closing));
    raw.resets(&[0]);
    assert_eq!(raw.events(), [closed(id, ChannelCloseReason::LocalClose)]);
    assert_eq!((raw.asked(), raw.answers.len()), (vec![], 1));

    // The peer begins.
    let id = raw.opens(1);
    raw.resets(&[1]);
    assert_eq!((raw.events(), raw.state(id)), (vec![ChannelEvent::Closing(id)], ChannelState::Closing));
    assert_eq!(raw.asked[0].streams, [1]);
    raw.answers(PERFORMED);
    assert_eq!(raw.events(), [closed(id, ChannelCloseReason::RemoteClose)]);

    // Both at once: the peer's request crosses ours, and either answer may come first.
    for answer_first in [true, false] {
        let id = raw.opens(1);
        raw.user_closes(id);
        let (answer, request) = (raw.answer(PERFORMED), raw.reset_request(&[1]));
        let chunks = if answer_first { [answer, request] } else { [request, answer] };
        chunks.chunks(1).for_each(|chunk| raw.deliver(chunk));
        assert_eq!(raw.events(), [closed(id, ChannelCloseReason::LocalClose)]);
        assert_eq!(raw.asked(), [[0; 0]; 0]);
    }
}

/// What was accepted is delivered before the reset; nothing is accepted any more.
#[test]
fn item_332_close_loses_nothing() {
    let mut raw = RawChannels::client();
    let (id, _) = raw.user_opens_answered(ChannelInit::default());
    let now = raw.peer.now;
    let long = vec![7; 300_000];
    raw.channel(id).send(now, MessageKind::Binary, Bytes::from(long.clone())).unwrap();
    raw.channel(id).send(now, MessageKind::Text, Bytes::new()).unwrap();
    raw.channel(id).close(now);
    let refused = raw.channel(id).send(now, MessageKind::Text, Bytes::from_static(b"late"));
    assert_eq!(refused, Err(ChannelSendError::NotOpen));
    raw.hear();
    assert!(raw.heard == [heard(0, BINARY, true, &long), heard(0, STRING_EMPTY, true, &[0])]);
    assert_eq!(raw.asked.len(), 1);
    // The last TSN before the reset is that of the last message.
    assert_eq!(raw.asked[0].last_tsn, raw.last_heard());
    // What the peer sends until its own reset is still delivered.
    raw.say(0, STRING, b"on its way");
    assert_eq!(raw.user_reads(id), [text("on its way")]);
}

/// A close while opening or before the association is up, and an abort before the OPEN has left.
#[test]
fn item_332_close_before_open() {
    let mut raw = RawChannels::new(Config::default(), Some(Role::Client));
    let now = raw.peer.now;
    let early = raw.peer.engine.open(now, ChannelInit::default()).unwrap();
    raw.channel(early).close(now);
    assert_eq!(raw.events(), [closed(early, ChannelCloseReason::LocalClose)]);
    raw.connect(u16::MAX);
    raw.events();
    assert_eq!(raw.heard, []);
    for abort in [false, true] {
        let id = raw.peer.engine.open(now, ChannelInit::default()).unwrap();
        assert_eq!(raw.channel(id).stream_id(), Some(0));
        raw.channel(id).send(now, MessageKind::Text, Bytes::from_static(b"kept")).unwrap();
        if abort {
            raw.channel(id).abort(now);
        } else {
            raw.channel(id).close(now);
        }
        raw.hear();
        // The peer is to know what it is that ends.
        let mut expected = vec![heard(0, DCEP, true, &plain_open())];
        expected.extend((!abort).then(|| heard(0, STRING, true, b"kept")));
        assert_eq!(std::mem::take(&mut raw.heard), expected);
        // The ACK comes late, and its stream is free when both directions were reset.
        raw.say(0, DCEP, &ACK);
        raw.close_both(0);
        let reason = if abort { ChannelCloseReason::LocalAbort } else { ChannelCloseReason::LocalClose };
        assert_eq!(raw.events(), [ChannelEvent::Open(id), closed(id, reason)]);
    }
}

/// A peer that does not answer, or does not follow, or refuses, does not keep a channel for ever; its id it does.
#[test]
fn item_332_a_peer_that_does_not_answer() {
    let negotiated = ChannelInit { negotiated: Some(0), ..ChannelInit::default() };
    for answers in [None, Some(PERFORMED), Some(IN_PROGRESS)] {
        let mut raw = RawChannels::established(Config::default().close_timeout(secs(3)), Role::Client);
        let (id, _) = raw.user_opens_answered(ChannelInit::default());
        raw.user_closes(id);
        if let Some(answer) = answers {
            raw.run_for(ms(300));
            raw.answers(answer);
        }
        let wait = if answers == Some(PERFORMED) { secs(3) } else { ms(2700) };
        raw.run_for(wait - ms(1));
        assert_eq!(raw.state(id), ChannelState::Closing, "{answers:?}");
        raw.run_for(ms(if answers.is_none() { 301 } else { 1 }));
        assert_eq!(raw.events(), [closed(id, ChannelCloseReason::LocalClose)], "{answers:?}");
        let now = raw.peer.now;
        assert_eq!(raw.peer.engine.open(now, negotiated.clone()), Err(OpenError::IdInUse(0)));
    }
    let mut raw = RawChannels::client();
    let (id, _) = raw.user_opens_answered(ChannelInit::default());
    raw.user_closes(id);
    raw.answers(DENIED);
    assert_eq!(raw.events(), [closed(id, ChannelCloseReason::LocalClose)]);
    let now = raw.peer.now;
    assert_eq!(raw.peer.engine.open(now, negotiated), Err(OpenError::IdInUse(0)));
}

/// RFC 8831 §6.7: "all the messages are delivered (or abandoned) before the stream is reset." They can still be read when
/// the channel is closed, and what is read in part too.
#[test]
fn item_333_what_came_before_the_reset_is_delivered() {
    let mut raw = RawChannels::client();
    let id = raw.opens(1);
    let (first, second) = (raw.message(1, STRING, b"first"), raw.message(1, STRING, b"second"));
    let reset = raw.reset_request(&[1]);
    // The reset overtakes both.
    raw.deliver(&[reset]);
    assert_eq!((raw.events(), raw.state(id)), (vec![], ChannelState::Open));
    raw.deliver(&[second]);
    raw.deliver(&[first]);
    assert_eq!(raw.events(), [ChannelEvent::Readable(id), ChannelEvent::Closing(id)]);
    raw.answers(PERFORMED);
    assert_eq!(raw.events(), [closed(id, ChannelCloseReason::RemoteClose)]);
    assert!(raw.channel(id).is_readable());
    let now = raw.peer.now;
    let part = raw.channel(id).recv_part(now);
    let data = Bytes::from_static(b"first");
    assert_eq!(part, Some(ReceivedPart { kind: MessageKind::Text, data, last: true, abandoned: false }));
    assert_eq!(raw.user_reads(id), [text("second")]);
    raw.peer.engine.forget(id);
    assert!(raw.peer.engine.channel(id).is_none());
}

/// What belongs to the channel protocol, and what breaks it, is never given out as a message when the stream is given up.
#[test]
fn item_333_only_messages_are_left_over() {
    let mut raw = RawChannels::client();
    let (a, b) = (raw.opens(1), raw.opens(3));
    for stream in [1, 3] {
        raw.say(stream, STRING, b"unread");
        raw.say(stream, DCEP, &ACK);
    }
    raw.say(3, 99, b"what?");
    raw.say(1, STRING, b"the last");
    raw.resets(&[1, 3]);
    raw.answers(PERFORMED);
    assert_eq!(raw.user_reads(a), [text("unread"), text("the last")]);
    let reason = ChannelCloseReason::RemoteViolation("unknown payload protocol");
    assert_eq!(raw.channel(b).close_reason(), Some(&reason));
}

/// RFC 8832 §6: a stream is taken "for which the corresponding incoming and outgoing streams are unused".
#[test]
fn item_334_an_id_is_free_after_both_resets_and_no_sooner() {
    let mut raw = RawChannels::client();
    let negotiated = |id| ChannelInit { negotiated: Some(id), ..ChannelInit::default() };
    let (id, _) = raw.user_opens_answered(ChannelInit::default());
    let now = raw.peer.now;
    raw.user_closes(id);
    assert_eq!(raw.peer.engine.open(now, negotiated(0)), Err(OpenError::IdInUse(0)));
    raw.answers(PERFORMED);
    assert_eq!(raw.peer.engine.open(now, negotiated(0)), Err(OpenError::IdInUse(0)));
    raw.resets(&[0]);
    assert_eq!(raw.events(), [closed(id, ChannelCloseReason::LocalClose)]);
    let again = raw.user_opens(negotiated(0));
    // SSNs began anew on both sides, and nothing of the last channel is left.
    raw.user_sends(again, MessageKind::Text, b"new");
    raw.say(0, STRING, b"anew");
    assert_eq!(raw.heard, [heard(0, STRING, true, b"new")]);
    assert_eq!(raw.user_reads(again), [text("anew")]);
    assert_eq!(raw.user_reads(id), []);
}

/// The answer to our reset is lost: the peer knows before us that the stream is free, opens, sends and closes its next
/// channel there. None of it goes to the last one, none is lost, and its end is not taken for the last one's.
#[test]
fn item_334_the_next_channel_waits_for_the_last() {
    let mut raw = RawChannels::client();
    let last = raw.opens(1);
    raw.say(1, STRING, b"of the last");
    raw.resets(&[1]);
    assert_eq!(raw.events(), [ChannelEvent::Readable(last), ChannelEvent::Closing(last)]);
    let lost = raw.answer(PERFORMED);
    // A reset without anything before it is the same once more.
    raw.resets(&[1]);
    raw.say(1, DCEP, &plain_open());
    raw.say(1, STRING, b"of the next");
    raw.resets(&[1]);
    assert_eq!((raw.events(), raw.heard.len()), (vec![], 0));
    assert_eq!(raw.answers.iter().map(|(_, result)| *result).collect::<Vec<_>>(), [PERFORMED; 3]);
    // Our request is repeated, and answered again.
    raw.deliver(&[lost]);
    let next = ChannelId::max(last, *raw.peer.engine.ids().collect::<Vec<_>>().last().unwrap());
    assert_ne!(next, last);
    assert_eq!(
        raw.events(),
        [
            closed(last, ChannelCloseReason::RemoteClose),
            ChannelEvent::Incoming(next),
            ChannelEvent::Open(next),
            ChannelEvent::Readable(next),
            ChannelEvent::Closing(next),
        ]
    );
    assert_eq!(raw.heard, [heard(1, DCEP, true, &ACK)]);
    raw.answers(PERFORMED);
    assert_eq!(raw.events(), [closed(next, ChannelCloseReason::RemoteClose)]);
    assert_eq!(raw.user_reads(last), [text("of the last")]);
    assert_eq!(raw.user_reads(next), [text("of the next")]);
    raw.opens(1);
}

/// A peer that resets a stream that is free, or one whose end it has seen, changes nothing.
#[test]
fn item_334_resets_that_come_again_are_ignored() {
    let mut raw = RawChannels::client();
    let id = raw.opens(1);
    raw.resets(&[1]);
    raw.resets(&[1]);
    raw.answers(PERFORMED);
    raw.resets(&[1, 3]);
    let events = [ChannelEvent::Closing(id), closed(id, ChannelCloseReason::RemoteClose)];
    assert_eq!((raw.events(), raw.asked()), (events.to_vec(), vec![]));
    let again = raw.opens(1);
    assert_eq!(raw.state(again), ChannelState::Open);
}

/// RFC 6525 §5.2.2: a request without streams is for all of them.
#[test]
fn item_334_a_reset_of_all_streams_closes_all_channels() {
    let mut raw = RawChannels::client();
    let (ours, _) = raw.user_opens_answered(ChannelInit::default());
    let theirs = raw.opens(1);
    raw.say(5, BINARY, b"a channel we never came to know");
    raw.resets(&[]);
    assert_eq!(raw.events(), [ChannelEvent::Closing(ours), ChannelEvent::Closing(theirs)]);
    let mut streams = raw.asked[0].streams.clone();
    raw.answers(PERFORMED);
    streams.extend(raw.asked().concat());
    assert_eq!(streams, [0, 1, 5]);
}

/// RFC 8832 §6: "receiving an SCTP stream-reset request for a stream on which no DATA_CHANNEL_ACK message has been received
/// indicates to the sender of the corresponding DATA_CHANNEL_OPEN message the failure of the data channel setup procedure."
#[test]
fn item_335_a_reset_in_place_of_an_ack_is_a_refusal() {
    let mut raw = RawChannels::client();
    let id = raw.user_opens(ChannelInit::default());
    raw.resets(&[0]);
    assert_eq!(raw.events(), [ChannelEvent::Closing(id)]);
    raw.answers(PERFORMED);
    assert_eq!(raw.events(), [closed(id, ChannelCloseReason::OpenRefused)]);
    // "a new DATA_CHANNEL_OPEN message can be sent on the stream."
    raw.heard.clear();
    raw.user_opens(ChannelInit::default());
    assert_eq!(raw.heard, [heard(0, DCEP, true, &plain_open())]);
}

/// RFC 8832 §7: "An end point must also be prepared for the peer to open the maximum number of data channels."
#[test]
fn item_336_channels_of_the_peer_are_bounded() {
    let mut raw = RawChannels::client();
    let mut opened = Vec::new();
    for n in 0..1024 {
        // Within the rate.
        raw.run_for(ms(1));
        opened.push(raw.opens(2 * n + 1));
    }
    raw.run_for(ms(1));
    raw.say(2049, DCEP, &plain_open());
    assert_eq!((raw.events(), raw.asked[0].streams.clone(), raw.heard.len()), (vec![], vec![2049], 0));
    raw.close_both(2049);
    let stats = raw.peer.engine.stats();
    assert_eq!((stats.incoming_channels, stats.refused_channel_count), (1024, 1));
    // One that is closed makes room when it is forgotten.
    raw.close_both(1);
    assert_eq!(raw.state(opened[0]), ChannelState::Closed);
    assert_eq!(raw.peer.engine.stats().incoming_channels, 1024);
    raw.peer.engine.forget(opened[0]);
    raw.events();
    raw.opens(1);
}

/// 1000 channels a second, whatever becomes of them.
#[test]
fn item_336_channels_in_a_hurry_are_refused() {
    let mut raw = RawChannels::client();
    for n in 0..1000 {
        raw.opens(2 * n + 1);
    }
    raw.say(2001, DCEP, &plain_open());
    assert_eq!((raw.events(), raw.asked[0].streams.clone()), (vec![], vec![2001]));
    assert_eq!(raw.peer.engine.stats().refused_open_rate, 1);
    raw.close_both(2001);
    raw.run_for(secs(1));
    raw.opens(2001);
}

/// 1 MiB of labels and protocols.
#[test]
fn item_336_names_of_the_peer_are_bounded() {
    let mut raw = RawChannels::client();
    let name = [b'n'; 65_535];
    for n in 0..8 {
        raw.say(2 * n + 1, DCEP, &open_message(0, 256, 0, &name, &name));
        assert_eq!(raw.heard.pop(), Some(heard(2 * n + 1, DCEP, true, &ACK)));
    }
    raw.events();
    raw.say(17, DCEP, &open_message(0, 256, 0, &[b'n'; 17], b""));
    assert_eq!((raw.events(), raw.asked[0].streams.clone()), (vec![], vec![17]));
    let stats = raw.peer.engine.stats();
    assert_eq!((stats.incoming_name_bytes, stats.refused_name_bytes), (16 * 65_535, 1));
    raw.close_both(17);
    raw.say(17, DCEP, &open_message(0, 256, 0, &[b'n'; 16], b""));
    assert_eq!(raw.peer.engine.stats().incoming_name_bytes, 1 << 20);
}

/// RFC 8841 §6.1: each side says what it takes. (What SDP makes of absence and zero is tested with SDP.)
#[test]
fn item_337_the_largest_message_of_each_direction() {
    let config = Config::default().max_receive_message_size(5000);
    let mut raw = RawChannels::established(config, Role::Client);
    let (id, _) = raw.user_opens_answered(ChannelInit::default());
    let now = raw.peer.now;
    for max in [1000, 65_536] {
        raw.peer.engine.set_max_send_message_size(Some(max));
        let refused = raw.channel(id).send(now, MessageKind::Binary, vec![0; max + 1].into());
        assert_eq!(refused, Err(ChannelSendError::TooLarge { len: max + 1, max }));
        raw.user_sends(id, MessageKind::Binary, &vec![0; max]);
    }
    raw.peer.engine.set_max_send_message_size(None);
    raw.user_sends(id, MessageKind::Binary, &vec![0; 1 << 20]);
    assert_eq!(raw.heard.iter().map(|heard| heard.data.len()).collect::<Vec<_>>(), [1000, 65_536, 1 << 20]);
    // What we take does not depend on that.
    raw.say(0, BINARY, &[0; 5000]);
    assert_eq!(raw.user_reads(id)[0].1.len(), 5000);
    raw.events();
    raw.say(0, BINARY, &[0; 5001]);
    assert_eq!(raw.events(), [ChannelEvent::Closing(id)]);
}

/// RFC 8831 §6.2: "In case of a non-graceful teardown, all data channels are also closed, but an error indication SHOULD be
/// provided if possible."
#[test]
fn item_338_the_end_of_the_association_ends_every_channel_once() {
    let mut raw = RawChannels::client();
    let opening = raw.user_opens(ChannelInit::default());
    let (closing, _) = raw.user_opens_answered(ChannelInit::default());
    raw.user_closes(closing);
    let (open, gone) = (raw.opens(1), raw.opens(3));
    raw.say(1, STRING, b"unread");
    raw.resets(&[3]);
    raw.asked.pop();
    raw.events();
    raw.peer.send(&[Chunk::new(ABORT, 0, &tlv(12, b"bye"))]);
    let why = CloseReason::RemoteAbort { cause: Some(12), message: Bytes::from_static(b"bye") };
    let mut expected = vec![ChannelEvent::AssociationClosed(why.clone())];
    let all = [opening, closing, open, gone];
    expected.extend(all.map(|id| closed(id, ChannelCloseReason::AssociationClosed(why.clone()))));
    assert_eq!(raw.events(), expected);
    // Closes and aborts afterwards tell nothing again, and what was received stays.
    let now = raw.peer.now;
    raw.channel(opening).close(now);
    raw.channel(closing).abort(now);
    raw.run_for(secs(120));
    assert_eq!(raw.events(), []);
    assert_eq!(raw.user_reads(open), [text("unread")]);
    assert_eq!(raw.peer.engine.poll_timeout(), None);
}

/// RFC 9260 §5.2.4 A: a peer that lost its state knows none of the channels, and opens new ones on their streams.
#[test]
fn item_338_a_restart_ends_every_channel_once() {
    let mut raw = RawChannels::client();
    let old = raw.opens(1);
    raw.say(1, STRING, b"unread");
    raw.say(3, STRING, b"early");
    raw.events();
    (raw.peer.tag, raw.peer.tsn) = (0x8765_4321, 5000);
    let ack = raw.peer.send_init(&raw.peer.init().with(SUPPORTED_EXTENSIONS, &[RE_CONFIG]));
    raw.meets(&ack);
    let open = raw.message(1, DCEP, &plain_open());
    let first = raw.message(1, STRING, b"of the next");
    raw.deliver(&[Chunk::new(COOKIE_ECHO, 0, &ack.cookie()), open.clone()]);
    raw.deliver(&[open, first]);
    let events = raw.events();
    let Some(ChannelEvent::Readable(next)) = events.last().cloned() else { panic!("{events:?}") };
    let expected = [
        ChannelEvent::Restarted,
        closed(old, ChannelCloseReason::AssociationRestarted),
        ChannelEvent::Incoming(next),
        ChannelEvent::Open(next),
        ChannelEvent::Readable(next),
    ];
    assert_eq!(events, expected);
    assert_eq!(
        (raw.user_reads(old), raw.user_reads(next)),
        (vec![text("unread")], vec![text("of the next")])
    );
    assert_eq!(raw.heard.pop(), Some(heard(1, DCEP, true, &ACK)));
    assert_eq!(raw.peer.engine.stats().early_bytes, 0);
}

/// All that the engine has to send, whatever its ports.
fn leaving(raw: &mut RawChannels) -> Vec<Packet> {
    let mut packets = Vec::new();
    let mut buffer = BytesMut::new();
    while raw.peer.engine.poll_transmit(raw.peer.now, &mut buffer) {
        packets.push(Packet::parse(&buffer.split()));
    }
    packets
}

/// RFC 8841 §9.3: "The existing SCTP association is closed, and the new SCTP association is established, if one or both
/// endpoints signal a new SCTP port."
#[test]
fn item_339_a_new_port_makes_a_new_association() {
    let mut raw = RawChannels::client();
    let (open, _) = raw.user_opens_answered(ChannelInit::default());
    raw.say(0, STRING, b"unread");
    raw.peer.engine.set_max_send_message_size(Some(5));
    let (now, old_tag) = (raw.peer.now, raw.peer.engine_tag);
    raw.peer.engine.set_ports(now, PORT, PORT);
    assert_eq!((raw.events(), leaving(&mut raw)), (vec![ChannelEvent::Readable(open)], vec![]));
    raw.peer.engine.set_ports(now, 5001, 6001);
    let waiting = raw.peer.engine.open(now, ChannelInit::default()).unwrap();
    let gone = closed(open, ChannelCloseReason::AssociationRestarted);
    assert_eq!(raw.events(), [ChannelEvent::Restarted, gone]);
    assert_eq!(raw.user_reads(open), [text("unread")]);

    let packets = leaving(&mut raw);
    assert_eq!(kinds(&packets), [[ABORT], [INIT]]);
    assert_eq!((packets[0].source, packets[0].destination, packets[0].tag), (PORT, PORT, raw.peer.tag));
    assert_eq!((packets[1].source, packets[1].destination, packets[1].tag), (5001, 6001, 0));
    let init = Init::parse(&packets[1].chunks[0]);
    assert_ne!(init.tag, old_tag);
    // What the old association's peer still sends is none of the new one's.
    let late = raw.message(0, STRING, b"late");
    for chunk in [late, Chunk::new(ABORT, 0, &[]), bare(SHUTDOWN_COMPLETE)] {
        raw.peer.send_bytes(&packet(PORT, PORT, old_tag, &[chunk]));
    }
    assert!(leaving(&mut raw).iter().all(|packet| packet.destination == PORT));
    assert_eq!((raw.events(), raw.state(waiting)), (vec![], ChannelState::Connecting));

    raw.peer.ports = (6001, 5001);
    raw.meets(&init);
    assert_eq!(raw.peer.answer_init(&[(SUPPORTED_EXTENSIONS, &[RE_CONFIG])]).kinds(), [COOKIE_ECHO]);
    raw.deliver(&[bare(COOKIE_ACK)]);
    assert_eq!(raw.events(), [ChannelEvent::Established, ChannelEvent::Open(waiting)]);
    assert_eq!(raw.heard.pop(), Some(heard(0, DCEP, true, &plain_open())));
    let refused = raw.channel(waiting).send(now, MessageKind::Text, Bytes::from_static(b"longer"));
    assert_eq!(refused, Err(ChannelSendError::TooLarge { len: 6, max: 5 }));
    raw.user_sends(waiting, MessageKind::Text, b"short");
    assert_eq!(raw.heard, [heard(0, STRING, true, b"short")]);
}

/// RFC 8831 §6.4: "a priority, which is a 2-byte unsigned integer"; what is not one of the four values is taken all the
/// same.
#[test]
fn item_340_priorities_of_any_value() {
    let mut raw = RawChannels::client();
    for (n, priority) in [0, 1, 127, 128, 256, 300, 512, 1024, 65_535].into_iter().enumerate() {
        let stream = u16::try_from(2 * n).unwrap();
        raw.say(stream + 1, DCEP, &open_message(0, priority, 0, b"", b""));
        let events = raw.events();
        let [ChannelEvent::Incoming(theirs), _] = events[..] else { panic!("{events:?}") };
        assert_eq!(raw.channel(theirs).init().priority, priority);
        raw.user_sends(theirs, MessageKind::Text, b"back");
        let ours = raw.user_opens(ChannelInit { priority, ..ChannelInit::default() });
        raw.user_sends(ours, MessageKind::Text, b"out");
        let expected = [
            heard(stream + 1, DCEP, true, &ACK),
            heard(stream + 1, STRING, true, b"back"),
            heard(stream, DCEP, true, &open_message(0, priority, 0, b"", b"")),
            heard(stream, STRING, true, b"out"),
        ];
        assert_eq!(std::mem::take(&mut raw.heard), expected);
    }
}
