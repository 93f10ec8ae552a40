//! Whoever reads a stream stops in the middle of a message.

use super::*;

/// The message is discarded to its end, or until the peer gives it up; the next one is read as if there had been none.
#[test]
fn a_message_that_was_let_go_is_discarded_to_its_end() {
    for is_given_up in [false, true] {
        let mut rig = Rig::new();
        rig.accept(&piece(1, "B", "read"));
        assert_eq!(rig.recv_part(0), Some(("read".into(), false)));
        rig.accept(&piece(2, "", "held"));
        assert_eq!(rig.receiver.let_go(StreamId(0)), Some(Ppid(53)));
        assert_eq!((rig.receiver.let_go(StreamId(0)), rig.receiver.charge()), (None, 0));
        if is_given_up {
            rig.advance(3, &[(0, 0)]);
        } else {
            rig.accept(&piece(3, "E", "end"));
        }
        rig.receiver.check_invariants();
        rig.events();
        rig.accept(&piece(4, "BE", "next").ssn(1));
        assert_eq!(rig.events(), [readable(0)]);
        assert_eq!((rig.recv_all(0), rig.receiver.charge()), (vec!["next".into()], 0));
    }
}

/// The same with I-DATA, where other messages of the stream go on meanwhile.
#[test]
fn an_interleaved_message_that_was_let_go_is_discarded_to_its_end() {
    for is_given_up in [false, true] {
        let mut rig = Rig::interleaved();
        rig.accept_i(&shard(1, 53, "B", "read"));
        assert_eq!(rig.recv_part(0), Some(("read".into(), false)));
        rig.accept_i(&shard(2, 1, "", "held"));
        rig.accept_i(&shard(3, 3, "", "ahead"));
        assert_eq!(rig.receiver.let_go(StreamId(0)), Some(Ppid(53)));
        assert_eq!(rig.receiver.let_go(StreamId(0)), None);
        assert_eq!(rig.receiver.charge(), 2 * CHUNK_OVERHEAD, "which fragments have come is remembered");
        if is_given_up {
            rig.advance_i(5, &[(0, false, 0)]);
        } else {
            rig.accept_i(&shard(4, 2, "", "between"));
            rig.accept_i(&shard(5, 4, "E", "end"));
        }
        rig.receiver.check_invariants();
        rig.events();
        rig.accept_i(&shard(6, 53, "BE", "next").mid(1));
        assert_eq!(rig.events(), [readable(0)]);
        assert_eq!((rig.recv_all(0), rig.receiver.charge()), (vec!["next".into()], 0));
    }
}

/// Only what is half read is taken, and of that what there is; a message of which nothing was read is left whole.
#[test]
fn the_rest_is_of_what_was_read() {
    let mut rig = Rig::interleaved();
    rig.accept_i(&shard(1, 53, "B", "first"));
    assert!(rig.receiver.recv_rest(StreamId(0)).is_none());
    assert_eq!(rig.recv_part(0), Some(("first".into(), false)));
    assert!(rig.receiver.recv_rest(StreamId(0)).is_none());
    rig.accept_i(&shard(2, 1, "", "second"));
    rig.accept_i(&shard(3, 53, "B", "another").mid(1));
    let rest = rig.receiver.recv_rest(StreamId(0)).unwrap();
    assert_eq!((&rest.data[..], rest.last), (&b"second"[..], false));
    rig.accept_i(&shard(4, 2, "E", "third"));
    let rest = rig.receiver.recv_rest(StreamId(0)).unwrap();
    assert_eq!((&rest.data[..], rest.last), (&b"third"[..], true));
    assert!(rig.receiver.recv_rest(StreamId(0)).is_none());
    rig.accept_i(&shard(5, 1, "E", " one").mid(1));
    assert_eq!(rig.recv_all(0), ["another one"]);
}

/// What can be read is dropped, also behind a message that is half read, and so is the rest of that.
#[test]
fn discarding_leaves_nothing_half_read() {
    let mut rig = Rig::interleaved();
    rig.accept_i(&shard(1, 53, "UB", "read"));
    assert_eq!(rig.recv_part(0), Some(("read".into(), false)));
    rig.accept_i(&shard(2, 53, "UBE", "behind it").mid(1));
    rig.receiver.discard_unread(StreamId(0));
    rig.accept_i(&shard(3, 1, "UE", "end"));
    assert_eq!((rig.recv(0), rig.receiver.charge()), (None, 0));
    rig.accept_i(&shard(4, 53, "UBE", "next").mid(2));
    assert_eq!(rig.recv_all(0), ["next"]);
}

/// A hundred streams are read by parts, and on none of them there is a part to read.
fn with_many_part_readers() -> Rig {
    let mut rig = Rig::interleaved_with(|config| config.window = 64 << 10);
    rig.receiver.start(Tsn(1), 200, true);
    (1..=100).for_each(|stream| rig.receiver.read_by_parts(StreamId(stream)));
    rig.accept_i(&shard(1, 1, "", "no beginning"));
    rig
}

/// Whole messages are read, however many streams are read by parts, without a look at those. The window is nearly shut.
#[test]
fn reading_does_not_look_at_every_stream_that_is_read_by_parts() {
    // Of what is held most can be read, or most belongs to an incomplete message.
    for incomplete in [0, 50_u32] {
        let mut rig = with_many_part_readers();
        for n in 0..incomplete {
            rig.accept_i(&shard(2 + n, 2 + n, "", [b'x'; 1000]));
        }
        let mut messages = 0;
        while (64 << 10) - rig.receiver.charge() >= 200 {
            rig.accept_i(&shard(2 + incomplete + messages, 0, "UBE", "message").mid(messages));
            messages += 1;
        }
        rig.due();
        rig.receiver.looked_at.set(0);
        for _ in 0..messages {
            assert!(rig.receiver.recv(StreamId(0)).is_some());
        }
        assert_eq!((messages > 100, rig.receiver.looked_at.get()), (true, 0));
    }
}
