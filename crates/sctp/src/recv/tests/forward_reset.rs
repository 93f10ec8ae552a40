//! FORWARD TSN while a reset is deferred (RFC 6525 §5.2.2 E2).

use super::*;

fn defer(rig: &mut Rig, last: u32, streams: &[u16]) {
    let streams: Vec<_> = streams.iter().map(|&stream| StreamId(stream)).collect();
    assert_eq!(rig.receiver.reset_request(Tsn(last), &streams), ResetOutcome::InProgress);
    rig.receiver.check_invariants();
}

fn was_reset(rig: &mut Rig) -> bool {
    rig.events().iter().any(|event| matches!(event, ReceiverEvent::StreamsReset(_)))
}

/// A point at or before the reset concerns the messages before it.
#[test]
fn up_to_the_reset() {
    for point in [3, 4] {
        let mut rig = Rig::new();
        rig.accept(&piece(1, "BE", "a"));
        rig.accept(&piece(4, "BE", "d").ssn(3));
        defer(&mut rig, 4, &[0]);
        rig.accept(&piece(5, "BE", "new"));
        rig.advance(point, &[(0, 2)]);
        assert!(was_reset(&mut rig) && !rig.receiver.is_resetting());
        assert_eq!(rig.recv_all(0), ["a", "d", "new"]);
        rig.accept(&piece(6, "BE", "next").ssn(1));
        assert_eq!(rig.recv_all(0), ["next"]);
        assert_eq!(rig.receiver.charge(), 0);
    }
}

/// It need not reach the reset.
#[test]
fn short_of_the_reset() {
    let mut rig = Rig::new();
    defer(&mut rig, 3, &[0]);
    rig.accept(&piece(2, "BE", "b").ssn(1));
    rig.accept(&piece(4, "BE", "new"));
    rig.advance(1, &[(0, 0)]);
    assert!(rig.receiver.is_resetting());
    assert_eq!(rig.recv_all(0), ["b"]);
    rig.advance(3, &[(0, 2)]);
    assert_eq!(rig.recv_all(0), ["new"]);
}

/// Beyond the reset an entry ahead of the old messages is theirs: the new ones are not skipped by it.
#[test]
fn beyond_the_reset_for_the_old_messages() {
    let mut rig = Rig::new();
    rig.accept(&piece(1, "BE", "a"));
    defer(&mut rig, 3, &[0]);
    rig.accept(&piece(5, "BE", "new"));
    rig.advance(4, &[(0, 2), (1, 0)]);
    assert!(was_reset(&mut rig));
    rig.accept(&piece(6, "BE", "next").ssn(1));
    assert_eq!(rig.recv_all(0), ["a", "new", "next"]);
}

/// An entry behind the old messages is the new ones', after the reset.
#[test]
fn beyond_the_reset_for_the_new_messages() {
    let mut rig = Rig::new();
    for ssn in 0..3 {
        rig.accept(&piece(1 + u32::from(ssn), "BE", ssn.to_string()).ssn(ssn));
    }
    defer(&mut rig, 4, &[0]);
    rig.accept(&piece(5, "BE", "new 0"));
    rig.accept(&piece(7, "BE", "new 2").ssn(2));
    rig.accept(&piece(8, "BE", "new 3").ssn(3));
    assert_eq!(rig.recv_all(0), ["0", "1", "2"]);
    rig.advance(6, &[(0, 1)]);
    assert!(was_reset(&mut rig));
    assert_eq!(rig.recv_all(0), ["new 0", "new 2", "new 3"]);
    assert_eq!(rig.receiver.charge(), 0);
}

/// An old entry that is listed once more must not skip new messages of which none was given up.
#[test]
fn beyond_the_reset_with_an_entry_from_long_ago() {
    let mut rig = Rig::new();
    for ssn in 0..60 {
        rig.accept(&piece(1 + u32::from(ssn), "BE", "x").ssn(ssn));
    }
    rig.recv_all(0);
    defer(&mut rig, 61, &[0]);
    rig.advance(63, &[(0, 50), (1, 0)]);
    assert!(was_reset(&mut rig));
    rig.accept(&piece(64, "BE", "new"));
    assert_eq!(rig.recv_all(0), ["new"]);
}

/// Streams that are not reset go on as ever.
#[test]
fn other_streams() {
    let mut rig = Rig::new();
    defer(&mut rig, 1, &[0]);
    rig.accept(&piece(4, "BE", "b").stream(1).ssn(1));
    rig.advance(3, &[(0, 0), (1, 0)]);
    rig.accept(&piece(5, "BE", "new"));
    assert_eq!((rig.recv_all(0), rig.recv_all(1)), (vec!["new".into()], vec!["b".into()]));
}

/// A new message of which something came, and that is given up with the rest of the old ones, is skipped in its own
/// sequence.
#[test]
fn incomplete_new_message() {
    let mut rig = Rig::new();
    rig.accept(&piece(1, "BE", "a"));
    defer(&mut rig, 2, &[0]);
    rig.accept(&piece(4, "E", "new 0"));
    rig.accept(&piece(5, "BE", "new 1").ssn(1));
    assert_eq!(rig.recv_all(0), ["a"]);
    rig.advance(3, &[]);
    assert!(was_reset(&mut rig));
    assert_eq!(rig.recv_all(0), ["new 1"]);
    assert_eq!(rig.receiver.charge(), 0);
}

/// What is held counts against the window and is bounded, with FORWARD TSNs between.
#[test]
fn held_messages_are_charged() {
    let mut rig = Rig::with(|config| config.window = 64 << 10);
    defer(&mut rig, 1, &[0]);
    for n in 0..300 {
        rig.take(&piece(3 + 2 * n, "UBE", [0; 1000]));
        rig.due();
        assert!(rig.receiver.charge() <= 2 * (64 << 10));
    }
    assert!(rig.receiver.stats().buffer_full > 0);
    assert_eq!(rig.receiver.window(), 0);
    rig.advance(1000, &[]);
    assert!(was_reset(&mut rig));
    rig.receiver.recv(StreamId(0)).unwrap();
    while rig.receiver.recv(StreamId(0)).is_some() {}
    assert_eq!(rig.receiver.window(), 64 << 10);
}
