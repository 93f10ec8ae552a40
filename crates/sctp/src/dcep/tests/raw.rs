//! Peers that break the rules (RFC 8832 §6, §7, RFC 8831 §6.6).

use super::*;
use proptest::prelude::*;

const OPEN: [u8; 12] = [3, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0];

/// RFC 8832 §6: "the receiver MUST close the corresponding data channel […] and MUST NOT send a DATA_CHANNEL_ACK".
#[test]
fn a_bad_open_is_answered_by_a_reset_alone() {
    let mut too_long = OPEN;
    too_long[9] = 1;
    let mut bad_type = OPEN;
    bad_type[1] = 0x7f;
    let cases: [(u16, &[u8], &str); 6] = [
        (1, &OPEN, "wrong parity"),
        (0, &OPEN[..11], "truncated"),
        (0, &too_long, "label longer than the message"),
        (0, &bad_type, "unknown channel type"),
        (0, &[OPEN.as_slice(), &[0]].concat(), "trailing byte"),
        (0, &[0], "reserved type"),
    ];
    for (stream, message, what) in cases {
        let mut pair = Pair::established();
        pair.send_raw(A, stream, 50, message);
        pair.run_for(Duration::from_secs(1));
        assert_eq!(pair.take_events(B), [], "{what}");
        let stream = pair.ends[B].streams.get(StreamId(stream)).expect(what);
        assert_eq!((stream.channel, stream.outgoing), (None, Direction::Reset), "{what}");
        // Nothing but the reset went back.
        assert_eq!(pair.ends[B].association.undelivered(), 0);
        assert_eq!((pair.ends[A].stats().early_bytes, pair.ends[B].stats().violations), (0, 1), "{what}");
    }
}

#[test]
fn invalid_utf8_in_a_label_is_replaced() {
    let mut pair = Pair::established();
    let mut open = OPEN.to_vec();
    open[9] = 2;
    open.extend([b'a', 0xff]);
    pair.send_raw(A, 0, 50, &open);
    pair.run_for(Duration::from_millis(30));
    let ChannelEvent::Incoming(b) = pair.take_events(B)[0] else { panic!("no channel") };
    assert_eq!(pair.channel(B, b).init().label, "a\u{fffd}");
}

#[test]
fn an_open_on_a_used_stream_and_unknown_protocols_close_the_channel() {
    let cases: [(u32, &[u8], &'static str); 6] = [
        (50, &OPEN, "OPEN on a used stream"),
        (50, &[1], "malformed DCEP message"),
        (52, b"partial", "unknown payload protocol"),
        (54, b"partial", "unknown payload protocol"),
        (0, b"what", "unknown payload protocol"),
        (55, b"what", "unknown payload protocol"),
    ];
    for (ppid, message, what) in cases {
        let (mut pair, a, b) = Pair::open();
        pair.send_raw(A, 0, ppid, message);
        pair.send_raw(A, 0, 53, b"behind it");
        pair.run_for(Duration::from_secs(1));
        let reason = ChannelCloseReason::RemoteViolation(what);
        assert_eq!(
            pair.take_events(B),
            [ChannelEvent::Closing(b), ChannelEvent::Closed(b, reason)],
            "{ppid} {message:?}"
        );
        assert_eq!(pair.received(B, b), [""; 0]);
        assert_eq!(pair.take_events(A).pop(), Some(ChannelEvent::Closed(a, ChannelCloseReason::RemoteClose)));
        assert_eq!(pair.ends[B].association.stats().local_rwnd, 4 << 20);
    }
}

#[test]
fn an_answer_nobody_asked_for_is_ignored() {
    let (mut pair, _, b) = Pair::open();
    pair.send_raw(A, 0, 50, &[2]);
    pair.send_raw(A, 8, 50, &[2]);
    pair.run_for(Duration::from_secs(3));
    assert_eq!(pair.channel(B, b).state(), ChannelState::Open);
    assert_eq!(pair.take_events(B), []);
    assert_eq!(pair.ends[B].streams.ids(), [StreamId(0)]);
}

/// RFC 8831 §6.6: what stands in an empty message is ignored.
#[test]
fn the_bytes_of_an_empty_message_mean_nothing() {
    let (mut pair, _, b) = Pair::open();
    pair.send_raw(A, 0, 56, b"abc");
    pair.run_for(Duration::from_millis(30));
    assert_eq!(pair.received(B, b), [""]);
}

proptest! {
    /// Whatever messages come on whatever streams, nothing panics and the association stays up.
    #[test]
    fn any_messages_leave_the_association_up(
        messages in prop::collection::vec(
            (0..6u16, prop_oneof![Just(50u32), Just(51), Just(53), Just(56), 0..60u32],
             prop::collection::vec(any::<u8>(), 1..40), any::<bool>()),
            1..40,
        )
    ) {
        let (mut pair, ..) = Pair::open();
        for (stream, ppid, mut data, is_open) in messages {
            if is_open {
                data = OPEN.to_vec();
            }
            let data = Bytes::from(data);
            let now = pair.now;
            // Streams that are being reset refuse it.
            let association = &mut pair.ends[A].association;
            let _ = association.send(now, StreamId(stream), Ppid(ppid), data, true, Reliability::Reliable);
            pair.run_for(Duration::from_millis(25));
        }
        pair.run_for(Duration::from_secs(60));
        prop_assert!(pair.ends.iter().all(|end| end.association.close_reason().is_none()));
    }
}
