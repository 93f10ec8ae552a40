//! Order within a stream, inboxes, reading by parts (RFC 9260 §6.5, §6.6).

use super::*;

#[test]
fn ordered_messages_wait_for_their_turn() {
    let names = ["a", "b", "c", "d", "e"];
    for order in permutations(5) {
        let mut rig = Rig::new();
        let mut received = Vec::new();
        for index in order {
            let number = u16::try_from(index).unwrap();
            rig.accept(&piece(1 + u32::from(number), "BE", names[index]).ssn(number));
            received.extend(rig.recv_all(0));
            assert_eq!(received, names[..received.len()]);
        }
        assert_eq!(received, names);
    }
}

/// RFC 9260 §6.6: a hole in one stream does not hold up another.
#[test]
fn streams_do_not_wait_for_each_other() {
    let mut rig = Rig::new();
    rig.accept(&piece(2, "BE", "late").ssn(1));
    rig.accept(&piece(3, "BE", "other").stream(1));
    assert_eq!((rig.recv(0), rig.recv(1)), (None, Some("other".into())));
    rig.accept(&piece(1, "BE", "first"));
    assert_eq!(rig.recv_all(0), ["first", "late"]);
}

#[test]
fn unordered_messages_do_not_wait() {
    let mut rig = Rig::new();
    rig.accept(&piece(3, "BE", "ordered").ssn(1));
    rig.accept(&piece(2, "UBE", "now"));
    assert_eq!(rig.recv_all(0), ["now"]);
    rig.accept(&piece(1, "BE", "first"));
    assert_eq!(rig.recv_all(0), ["first", "ordered"]);
}

/// RFC 9260 §6.5: "when the Stream Sequence Number reaches the value 65535, the next Stream Sequence Number MUST be set
/// to 0".
#[test]
fn ssn_wraps() {
    let mut rig = Rig::new();
    let mut tsn = 0;
    for round in 0..2 {
        for ssn in 0..=u16::MAX {
            tsn += 1;
            rig.accept(&piece(tsn, "BE", "x").ssn(ssn));
            assert_eq!(rig.recv(0).as_deref(), Some("x"), "round {round}");
        }
    }
    rig.accept(&piece(tsn + 2, "BE", "z").ssn(1));
    rig.accept(&piece(tsn + 1, "BE", "y").ssn(0));
    assert_eq!(rig.recv_all(0), ["y", "z"]);
}

/// More than 2^15 messages of a stream may be underway: SSNs ahead are told by position, not by half the circle.
#[test]
fn ssn_far_ahead() {
    let mut rig = Rig::with(|config| config.window = 64 << 20);
    let far = 40_000;
    rig.accept(&piece(1 + far, "BE", "far").ssn(u16::try_from(far).unwrap()));
    for number in 0..far {
        rig.accept(&piece(1 + number, "BE", "x").ssn(u16::try_from(number).unwrap()));
    }
    assert_eq!(rig.recv_all(0).last().map(String::as_str), Some("far"));
}

/// A message whose turn can never come is the peer's fault, not something to hold for ever.
#[test]
fn skipped_and_repeated_ssn() {
    let skipped = DataOutcome::Violation("stream sequence number skipped");
    let mut rig = Rig::new();
    assert_eq!(rig.take(&piece(1, "BE", "x").ssn(1)), skipped);
    let mut rig = Rig::new();
    assert_eq!(rig.take(&piece(3, "BE", "x").ssn(3)), skipped);
    let mut rig = Rig::new();
    rig.accept(&piece(1, "BE", "x"));
    assert_eq!(rig.take(&piece(2, "BE", "x")), skipped);
    let mut rig = Rig::new();
    rig.accept(&piece(3, "BE", "x").ssn(1));
    let twice = DataOutcome::Violation("stream sequence number used twice");
    assert_eq!(rig.take(&piece(4, "BE", "x").ssn(1)), twice);
}

/// RFC 9260 §6.5: a chunk on a stream that does not exist is acknowledged and discarded.
#[test]
fn invalid_stream() {
    let mut rig = Rig::new();
    assert_eq!(rig.take(&piece(1, "BE", "x").stream(10)), DataOutcome::InvalidStream);
    rig.accept(&piece(2, "BE", "y").stream(9));
    assert_eq!(rig.receiver.cumulative_tsn(), Tsn(2));
    assert_eq!((rig.recv(10), rig.recv(9)), (None, Some("y".into())));
}

/// `Readable` says that there was nothing and is something, once per edge, however much follows.
#[test]
fn readable_is_an_edge() {
    let mut rig = Rig::new();
    rig.accept(&piece(1, "BE", "a"));
    rig.accept(&piece(2, "BE", "b").ssn(1));
    rig.accept(&piece(3, "BE", "c").stream(1));
    assert_eq!(rig.events(), [readable(0), readable(1)]);
    assert_eq!(rig.recv(0).as_deref(), Some("a"));
    rig.accept(&piece(4, "BE", "d").ssn(2));
    assert_eq!(rig.events(), []);
    assert_eq!(rig.recv_all(0), ["b", "d"]);
    rig.accept(&piece(5, "BE", "e").ssn(3));
    assert_eq!(rig.events(), [readable(0)]);
}

/// Events stay few when the owner reads without polling them.
#[test]
fn readable_events_do_not_pile_up() {
    let mut rig = Rig::new();
    for number in 0..1000 {
        rig.accept(&piece(1 + u32::from(number), "BE", "x").ssn(number));
        assert_eq!(rig.recv(0).as_deref(), Some("x"));
    }
    assert_eq!(rig.events(), [readable(0)]);
}

/// An incomplete message is no news for who reads whole messages.
#[test]
fn whole_messages_only() {
    let mut rig = Rig::new();
    rig.accept(&piece(1, "B", "a"));
    assert_eq!((rig.events(), rig.recv(0)), (vec![], None));
    assert!(!rig.receiver.is_readable(StreamId(0)));
    rig.accept(&piece(2, "E", "b"));
    assert_eq!(rig.events(), [readable(0)]);
    assert!(rig.receiver.is_readable(StreamId(0)));
    assert_eq!(rig.recv(0).as_deref(), Some("ab"));
}

#[test]
fn parts_of_a_message_that_is_arriving() {
    let mut rig = Rig::new();
    assert_eq!(rig.recv_part(0), None);
    rig.accept(&piece(1, "B", "a"));
    assert_eq!(rig.events(), [readable(0)]);
    rig.accept(&piece(2, "", "b"));
    assert_eq!(rig.events(), []);
    assert_eq!(rig.recv_part(0), Some(("ab".into(), false)));
    assert_eq!((rig.recv_part(0), rig.receiver.charge()), (None, 0));
    assert!(!rig.receiver.is_readable(StreamId(0)));
    rig.accept(&piece(4, "E", "d"));
    assert_eq!((rig.events(), rig.recv_part(0)), (vec![], None));
    rig.accept(&piece(3, "", "c"));
    assert_eq!(rig.events(), [readable(0)]);
    assert_eq!(rig.recv_part(0), Some(("cd".into(), true)));
    assert_eq!((rig.recv_part(0), rig.receiver.charge()), (None, 0));
}

/// Whoever begins a message by parts ends it so; whole messages come again behind it.
#[test]
fn mixed_reading() {
    let mut rig = Rig::new();
    rig.accept(&piece(1, "B", "a"));
    assert_eq!(rig.recv_part(0), Some(("a".into(), false)));
    assert_eq!(rig.recv(0), None);
    rig.accept(&piece(2, "", "b"));
    rig.accept(&piece(4, "UBE", "unordered"));
    assert_eq!(rig.recv(0), None);
    rig.accept(&piece(3, "E", "c"));
    assert_eq!(rig.recv(0), None);
    assert_eq!(rig.recv_part(0), Some(("bc".into(), true)));
    assert_eq!(rig.recv(0).as_deref(), Some("unordered"));
    rig.accept(&piece(5, "BE", "whole").ssn(1));
    assert_eq!(rig.recv_part(0), Some(("whole".into(), true)));
    rig.accept(&piece(6, "BE", "whole").ssn(2));
    assert_eq!(rig.recv(0).as_deref(), Some("whole"));
    rig.events();
    rig.accept(&piece(7, "B", "d").ssn(3));
    assert_eq!(rig.events(), []);
}

/// Whoever looks for whole messages, even in vain, is told of whole messages only.
#[test]
fn looking_for_whole_messages_ends_reading_by_parts() {
    let mut rig = Rig::new();
    assert_eq!((rig.recv_part(0), rig.recv(0)), (None, None));
    rig.accept(&piece(1, "B", "a"));
    assert_eq!(rig.events(), []);
    rig.accept(&piece(2, "E", "b"));
    assert_eq!(rig.events(), [readable(0)]);
}

/// What can be read next is told again, although something complete waits behind it.
#[test]
fn messages_behind_one_that_is_being_read_hide_none_of_its_parts() {
    let mut rig = Rig::new();
    assert_eq!(rig.recv_part(0), None);
    rig.accept(&piece(1, "UB", "ab"));
    assert_eq!((rig.events(), rig.recv_part(0)), (vec![readable(0)], Some(("ab".into(), false))));
    rig.accept(&piece(4, "UBE", "behind"));
    rig.events();
    assert_eq!(rig.recv_part(0), None);
    rig.accept(&piece(2, "U", "cd"));
    assert_eq!((rig.events(), rig.recv_part(0)), (vec![readable(0)], Some(("cd".into(), false))));
    assert_eq!(rig.recv_part(0), None);
    rig.accept(&piece(3, "UE", "ef"));
    assert_eq!((rig.events(), rig.recv_part(0)), (vec![readable(0)], Some(("ef".into(), true))));
    assert_eq!((rig.recv_part(0), rig.recv_part(0)), (Some(("behind".into(), true)), None));
}

/// An ordered message that waits for its turn is not read by parts before it, nor is one behind a gap.
#[test]
fn parts_wait_for_their_turn() {
    let mut rig = Rig::new();
    assert_eq!(rig.recv_part(0), None);
    rig.accept(&piece(2, "B", "b").ssn(1));
    rig.accept(&piece(3, "", "c").ssn(1));
    assert_eq!((rig.recv_part(0), rig.events()), (None, vec![]));
    rig.accept(&piece(1, "BE", "a"));
    assert_eq!(rig.events(), [readable(0)]);
    assert_eq!(rig.recv_part(0), Some(("a".into(), true)));
    assert_eq!(rig.recv_part(0), Some(("bc".into(), false)));
}

/// The rest of a message that turned out too large never comes; the reader hears of it, and the stream goes on.
#[test]
fn half_read_message_over_the_limit() {
    let mut rig = Rig::with(|config| config.max_message_size = 5);
    rig.accept(&piece(1, "B", "aaa"));
    assert_eq!(rig.recv_part(0), Some(("aaa".into(), false)));
    assert_eq!(rig.take(&piece(2, "", "bbb")), DataOutcome::TooLarge(StreamId(0)));
    rig.accept(&piece(3, "E", "c"));
    rig.accept(&piece(4, "BE", "next").ssn(1));
    assert_eq!(rig.recv(0), None, "or the reader would take it for the rest");
    assert_eq!(rig.recv_part(0), Some((ABANDONED.into(), true)));
    assert_eq!(rig.recv(0).as_deref(), Some("next"));
    assert_eq!(rig.receiver.charge(), 0);
}

#[test]
fn ppid_before_the_message() {
    let mut rig = Rig::new();
    assert_eq!(rig.receiver.next_ppid(StreamId(0)), None);
    rig.accept(&piece(1, "B", "a").ppid(51));
    assert_eq!(rig.receiver.next_ppid(StreamId(0)), Some(Ppid(51)));
    rig.accept(&piece(2, "E", "b").ppid(51));
    rig.accept(&piece(3, "BE", "b").ssn(1).ppid(50));
    assert_eq!(rig.receiver.next_ppid(StreamId(0)), Some(Ppid(51)));
    rig.recv(0);
    assert_eq!(rig.receiver.next_ppid(StreamId(0)), Some(Ppid(50)));
}

/// A restart keeps what can be read and forgets what cannot be completed any more.
#[test]
fn restart_keeps_what_can_be_read() {
    let mut rig = Rig::new();
    rig.accept(&piece(1, "BE", "kept"));
    rig.accept(&piece(2, "B", "lost").ssn(1));
    rig.accept(&piece(6, "BE", "lost").ssn(2));
    rig.receiver.start(Tsn(7000), 10, false);
    rig.receiver.check_invariants();
    assert_eq!((rig.receiver.cumulative_tsn(), rig.receiver.tracker.has_gaps()), (Tsn(6999), false));
    rig.accept(&piece(7000, "BE", "new"));
    assert_eq!(rig.recv_all(0), ["kept", "new"]);
    assert_eq!(rig.receiver.charge(), 0);
}
