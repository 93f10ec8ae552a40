//! The peer resets its streams (RFC 6525 §5.2.2).

use super::*;

fn reset(streams: &[u16]) -> ReceiverEvent {
    ReceiverEvent::StreamsReset(streams.iter().map(|&stream| StreamId(stream)).collect())
}

fn request(rig: &mut Rig, last: u32, streams: &[u16]) -> ResetOutcome {
    let streams: Vec<_> = streams.iter().map(|&stream| StreamId(stream)).collect();
    let outcome = rig.receiver.reset_request(Tsn(last), &streams);
    rig.receiver.check_invariants();
    outcome
}

#[test]
fn at_once_when_everything_before_has_come() {
    let mut rig = Rig::new();
    rig.accept(&piece(1, "BE", "a"));
    rig.accept(&piece(2, "BE", "b").stream(1));
    assert_eq!(request(&mut rig, 2, &[0]), ResetOutcome::Done);
    assert_eq!(rig.events(), [readable(0), readable(1), reset(&[0])]);
    rig.accept(&piece(3, "BE", "new"));
    rig.accept(&piece(4, "BE", "goes on").stream(1).ssn(1));
    assert_eq!(rig.recv_all(0), ["a", "new"]);
    assert_eq!(rig.recv_all(1), ["b", "goes on"]);
}

/// E2: deferred until the cumulative TSN is there; data of these streams beyond it is held, that of others is not.
#[test]
fn deferred() {
    let mut rig = Rig::new();
    rig.accept(&piece(1, "BE", "a"));
    rig.accept(&piece(3, "BE", "c").ssn(2));
    assert_eq!(request(&mut rig, 3, &[0]), ResetOutcome::InProgress);
    rig.accept(&piece(4, "BE", "new"));
    rig.accept(&piece(5, "UBE", "new unordered"));
    rig.accept(&piece(6, "BE", "other").stream(1));
    assert_eq!(rig.events(), [readable(0), readable(1)]);
    assert_eq!((rig.recv_all(0), rig.recv_all(1)), (vec!["a".into()], vec!["other".into()]));
    assert!(rig.receiver.is_resetting());
    assert!(rig.receiver.charge() > 2 * CHUNK_OVERHEAD, "what is held counts");
    rig.accept(&piece(2, "BE", "b").ssn(1));
    assert!(!rig.receiver.is_resetting());
    assert_eq!(rig.events(), [readable(0), reset(&[0])]);
    assert_eq!(rig.recv_all(0), ["b", "c", "new", "new unordered"]);
    assert_eq!(rig.receiver.charge(), 0);
}

/// A message that has begun and not ended is given up, and nothing of it is counted in the new sequence; what comes of it
/// later is dropped.
#[test]
fn a_message_without_end_is_given_up() {
    for by_parts in [false, true] {
        let mut rig = Rig::new();
        rig.accept(&piece(1, "B", "begun"));
        if by_parts {
            assert_eq!(rig.recv_part(0), Some(("begun".into(), false)));
        }
        assert_eq!(request(&mut rig, 1, &[0]), ResetOutcome::Done);
        if by_parts {
            assert_eq!(rig.recv_part(0), Some((ABANDONED.into(), true)));
        }
        rig.accept(&piece(2, "", "goes on"));
        rig.accept(&piece(3, "E", "ends"));
        assert_eq!((rig.recv(0), rig.receiver.charge()), (None, 0));
        rig.accept(&piece(4, "BE", "new"));
        assert_eq!(rig.recv_all(0), ["new"]);
    }
    // One that the peer may have given up: what comes next does not say so any more.
    let mut rig = Rig::new();
    rig.accept(&piece(2, "B", "begun").ssn(3));
    rig.advance(2, &[]);
    assert_eq!(request(&mut rig, 2, &[0]), ResetOutcome::Done);
    rig.accept(&piece(3, "BE", "new"));
    assert_eq!((rig.recv_all(0), rig.receiver.charge()), (vec!["new".into()], 0));
    // Of another stream.
    let mut rig = Rig::new();
    rig.accept(&piece(1, "B", "all of").stream(1));
    assert_eq!(request(&mut rig, 1, &[0]), ResetOutcome::Done);
    rig.accept(&piece(2, "E", " it").stream(1));
    assert_eq!(rig.recv_all(1), ["all of it"]);
    // Begun behind the reset.
    let mut rig = Rig::new();
    rig.accept(&piece(2, "B", "of the"));
    assert_eq!(request(&mut rig, 1, &[0]), ResetOutcome::InProgress);
    rig.accept(&piece(1, "BE", "old"));
    rig.accept(&piece(3, "E", " new"));
    assert_eq!(rig.recv_all(0), ["old", "of the new"]);
}

/// What overtook the request waits too, fragments among it.
#[test]
fn deferred_after_data_beyond_it() {
    let mut rig = Rig::new();
    rig.accept(&piece(6, "E", "fragments").ssn(1));
    rig.accept(&piece(5, "B", "new ").ssn(1));
    rig.accept(&piece(3, "BE", "c").ssn(2));
    assert_eq!(request(&mut rig, 3, &[0]), ResetOutcome::InProgress);
    rig.accept(&piece(2, "BE", "b").ssn(1));
    rig.accept(&piece(1, "BE", "a"));
    assert_eq!(rig.recv_all(0), ["a", "b", "c"]);
    rig.accept(&piece(4, "BE", "new"));
    assert_eq!(rig.recv_all(0), ["new", "new fragments"]);
}

/// E3: "If no stream numbers are listed in the parameter, then all incoming streams MUST be reset".
#[test]
fn all_streams() {
    let mut rig = Rig::new();
    for stream in 0..3 {
        rig.accept(&piece(1 + u32::from(stream), "BE", "x").stream(stream));
    }
    assert_eq!(request(&mut rig, 3, &[]), ResetOutcome::Done);
    rig.events();
    for stream in 0..3 {
        rig.accept(&piece(4 + u32::from(stream), "BE", "y").stream(stream));
        assert_eq!(rig.recv_all(stream), ["x", "y"]);
    }
}

#[test]
fn refused() {
    let mut rig = Rig::new();
    assert_eq!(request(&mut rig, 0, &[3, 10]), ResetOutcome::Refused);
    assert_eq!(request(&mut rig, 100_000, &[3]), ResetOutcome::Refused);
    assert_eq!(request(&mut rig, 2, &[3, 1, 3]), ResetOutcome::InProgress);
    assert_eq!(request(&mut rig, 3, &[1]), ResetOutcome::Busy);
    rig.accept(&piece(1, "BE", "x"));
    rig.accept(&piece(2, "BE", "x").ssn(1));
    assert_eq!(rig.events(), [readable(0), reset(&[1, 3])]);
}

/// libwebrtc asks again under a new request number when it is told "in progress": one reset, one event.
#[test]
fn asked_again_while_deferred_and_after() {
    let mut rig = Rig::new();
    assert_eq!(request(&mut rig, 1, &[4, 2]), ResetOutcome::InProgress);
    assert_eq!(request(&mut rig, 1, &[2, 4]), ResetOutcome::InProgress);
    rig.accept(&piece(1, "BE", "x"));
    assert_eq!(rig.events(), [readable(0), reset(&[2, 4])]);
    assert_eq!(request(&mut rig, 1, &[2, 4]), ResetOutcome::Done);
    assert_eq!(rig.events(), []);
    assert_eq!(request(&mut rig, 1, &[2, 4]), ResetOutcome::Done);
    assert_eq!(rig.events(), [reset(&[2, 4])]);
}

/// A deferred reset is no second, unbounded queue.
#[test]
fn held_data_is_bounded() {
    let mut rig = Rig::with(|config| config.window = 64 << 10);
    assert_eq!(request(&mut rig, 1, &[0]), ResetOutcome::InProgress);
    for tsn in 2..1000 {
        rig.take(&piece(tsn, "UBE", [0; 1000]));
        rig.due();
        assert!(rig.receiver.charge() <= 2 * (64 << 10));
    }
    assert_eq!(rig.take(&piece(500, "UBE", "x")), DataOutcome::Dropped(DropReason::BufferFull));
}

#[test]
fn restart_forgets_a_deferred_reset() {
    let mut rig = Rig::new();
    assert_eq!(request(&mut rig, 5, &[0]), ResetOutcome::InProgress);
    rig.accept(&piece(6, "BE", "x"));
    rig.receiver.start(Tsn(100), 10, false);
    assert!(!rig.receiver.is_resetting());
    assert_eq!((rig.events(), rig.receiver.charge()), (vec![], 0));
}

/// A hundred messages that wait, the first one with this TSN: they lie beyond every reset before it.
fn waiting(interleaved: bool, first: u32) -> Rig {
    let mut rig = if interleaved { Rig::interleaved() } else { Rig::new() };
    for n in 0..100 {
        accept(&mut rig, first + n, 1 + n);
    }
    rig
}

/// A message of stream 0, of DATA or I-DATA.
fn accept(rig: &mut Rig, tsn: u32, number: u32) {
    let is_interleaved = matches!(rig.receiver.assembler, Assembler::Interleaved(_));
    if is_interleaved {
        rig.accept_i(&shard(tsn, 0, "BE", number.to_string()).mid(number));
    } else {
        rig.accept(&piece(tsn, "BE", number.to_string()).ssn(u16::try_from(number).unwrap()));
    }
}

/// RFC 6525 §5.1.1: "there MUST NOT be more than one request in flight": what had come when a reset was taken lies before the
/// next one. So many messages that lie beyond a reset are moved once, whatever the peer says later.
#[test]
fn messages_beyond_a_reset_are_moved_once() {
    for interleaved in [false, true] {
        let mut rig = waiting(interleaved, 2);
        assert_eq!(request(&mut rig, 0, &[0]), ResetOutcome::Done);
        rig.events();
        let charge = rig.receiver.charge();
        for last in [0, 1, 100] {
            assert_eq!(request(&mut rig, last, &[0]), ResetOutcome::Excessive);
        }
        assert_eq!(
            (rig.events(), rig.receiver.charge(), rig.receiver.is_resetting()),
            (vec![], charge, false)
        );
        // More of them and other streams change nothing.
        accept(&mut rig, 102, 101);
        assert_eq!(request(&mut rig, 100, &[0, 3]), ResetOutcome::Excessive);
        assert_eq!(request(&mut rig, 0, &[3]), ResetOutcome::Done);
        assert_eq!(rig.events(), [reset(&[3])]);
        // The next one of a peer that keeps the rules.
        assert_eq!(request(&mut rig, 102, &[0]), ResetOutcome::InProgress);
        accept(&mut rig, 1, 0);
        assert_eq!(rig.events(), [readable(0), reset(&[0])]);
        let delivered: Vec<_> = (0..102).map(|n| n.to_string()).collect();
        assert_eq!((rig.recv_all(0), rig.receiver.charge()), (delivered, 0));
    }
}

/// The same of a reset that is deferred and performed.
#[test]
fn messages_beyond_a_deferred_reset_are_moved_once() {
    for interleaved in [false, true] {
        let mut rig = waiting(interleaved, 3);
        assert_eq!(request(&mut rig, 1, &[0]), ResetOutcome::InProgress);
        accept(&mut rig, 1, 0);
        assert!(!rig.receiver.is_resetting());
        for last in [1, 2] {
            assert_eq!(
                request(&mut rig, last, &[0]),
                if last == 1 { ResetOutcome::Done } else { ResetOutcome::Excessive }
            );
        }
        assert_eq!(request(&mut rig, 1, &[]), ResetOutcome::Excessive);
        assert_eq!(request(&mut rig, 102, &[]), ResetOutcome::InProgress);
        accept(&mut rig, 2, 0);
        assert_eq!(rig.recv_all(0).len(), 102);
        // A restart counts TSNs anew.
        rig.receiver.start(Tsn(1), 10, interleaved);
        accept(&mut rig, 2, 1);
        assert_eq!(request(&mut rig, 0, &[0]), ResetOutcome::Done);
    }
}

/// A few are moved as often as the peer likes.
#[test]
fn few_messages_beyond_a_reset_are_always_moved() {
    let mut rig = Rig::interleaved();
    for n in 0..16 {
        accept(&mut rig, 2 + n, 1 + n);
    }
    for _ in 0..10 {
        assert_eq!(request(&mut rig, 0, &[0]), ResetOutcome::Done);
    }
    accept(&mut rig, 18, 17);
    assert_eq!(request(&mut rig, 0, &[0]), ResetOutcome::Done);
    assert_eq!(request(&mut rig, 0, &[0]), ResetOutcome::Excessive);
}

/// Those that are incomplete among them.
#[test]
fn incomplete_messages_beyond_a_reset_are_moved_once() {
    let mut rig = Rig::interleaved();
    for n in 0..17 {
        rig.accept_i(&shard(2 + n, 0, "UB", "x").mid(n));
    }
    assert_eq!(request(&mut rig, 0, &[0]), ResetOutcome::Done);
    assert_eq!(request(&mut rig, 0, &[0]), ResetOutcome::Excessive);
    rig.accept_i(&shard(19, 1, "UE", "y"));
    rig.accept_i(&shard(1, 0, "UBE", "whole").mid(17));
    assert_eq!(request(&mut rig, 1, &[0]), ResetOutcome::Done, "a few are left");
    assert_eq!(request(&mut rig, 19, &[0]), ResetOutcome::Done);
    assert_eq!((rig.recv_all(0), rig.receiver.charge()), (vec!["xy".into(), "whole".into()], 0));
}
