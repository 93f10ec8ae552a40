//! The bounds on what a peer can make the receiver hold.

use super::*;

const SMALL: usize = 64 << 10;

/// Each bound is a setting with a counter.
#[test]
fn bounds_of_tracking() {
    let mut rig = Rig::with(|config| {
        config.max_gap_ranges = 2;
        config.max_duplicates = 1;
    });
    for tsn in [3, 5] {
        rig.accept(&piece(tsn, "UBE", "x"));
    }
    assert_eq!(rig.take(&piece(7, "UBE", "x")), DataOutcome::Dropped(DropReason::TooManyGaps));
    for _ in 0..3 {
        assert_eq!(rig.take(&piece(3, "UBE", "x")), DataOutcome::Duplicate);
    }
    rig.take(&piece(40_000, "UBE", "x"));
    assert_eq!(rig.due().last().unwrap().duplicates, [3]);
    let expected = ReceiverStats {
        duplicates: 3,
        duplicates_unreported: 2,
        outside_window: 1,
        too_many_gaps: 1,
        ..Default::default()
    };
    assert_eq!(rig.receiver.stats(), expected);
}

/// Messages of DATA that begin out of sequence, all streams together.
#[test]
fn incomplete_messages_of_data() {
    let mut rig = Rig::with(|config| config.max_incomplete = 3);
    for n in 0..3 {
        rig.accept(&piece(3 + 2 * n, "UB", "x").stream(u16::try_from(n).unwrap()));
    }
    let more = piece(9, "UB", "x").stream(9);
    assert_eq!(rig.take(&more), DataOutcome::Dropped(DropReason::TooManyIncomplete));
    assert_eq!(rig.receiver.stats().too_many_incomplete, 1);
    rig.accept(&piece(4, "UE", "x"));
    rig.accept(&more);
}

/// Messages of I-DATA: out of sequence up to the limit, in sequence up to the reserve above it, and no further, for
/// nothing that is still to come would help.
#[test]
fn incomplete_messages_of_i_data() {
    for per_stream in [false, true] {
        let mut rig = Rig::interleaved_with(|config| {
            if per_stream {
                config.max_incomplete_per_stream = Some(3);
            } else {
                config.max_incomplete = 3;
            }
        });
        let begin = |tsn: u32| {
            let stream = if per_stream { 5 } else { u16::try_from(tsn % 10).unwrap() };
            shard(tsn, 0, "UB", "x").mid(tsn).stream(stream)
        };
        for tsn in [5, 7, 9] {
            rig.accept_i(&begin(tsn));
        }
        assert_eq!(rig.take_i(&begin(11)), DataOutcome::Dropped(DropReason::TooManyIncomplete));
        assert!(rig.receiver.sack_due());
        rig.accept_i(&shard(12, 1, "UE", "end").mid(9).stream(begin(9).stream));
        for tsn in 1..=4 {
            rig.accept_i(&begin(tsn));
        }
        assert_eq!(rig.receiver.cumulative_tsn(), Tsn(5));
        assert_eq!(rig.take_i(&begin(6)), DataOutcome::OutOfResource);
        // Whole messages and the rest of those that have begun are no trouble.
        rig.accept_i(&shard(6, 1, "UE", "end").mid(1).stream(begin(1).stream));
        rig.accept_i(&shard(8, 0, "UBE", "whole").mid(8));
        rig.accept_i(&begin(10));
        let stats = rig.receiver.stats();
        assert_eq!((stats.too_many_incomplete, stats.out_of_resource), (1, 1));
    }
}

/// A limit of one stream is not that of another.
#[test]
fn incomplete_messages_of_other_streams() {
    let mut rig = Rig::interleaved_with(|config| config.max_incomplete_per_stream = Some(1));
    rig.accept_i(&shard(3, 0, "B", "x"));
    assert_eq!(rig.take_i(&shard(5, 0, "UB", "x")), DataOutcome::Dropped(DropReason::TooManyIncomplete));
    rig.accept_i(&shard(5, 0, "B", "x").stream(1));
}

/// By default a window full of typical messages on one stream, at least 64; a message of the largest size out of 64 bytes
/// each.
#[test]
fn derived_limits() {
    let limits = |window, max_message_size| {
        let limits = ReceiverConfig { window, max_message_size, ..Default::default() }.limits();
        (limits.incomplete_per_stream, limits.fragments)
    };
    assert_eq!(limits(4 << 20, 256 << 10), (256, 4096));
    assert_eq!(limits(1500, 100), (64, 64));
    assert_eq!(limits(64 << 20, 1 << 30), (4096, 1 << 24));
}

/// RFC 8841 §6: what is too large is acknowledged and thrown away, in any order; what follows is not touched.
#[test]
fn interleaved_message_over_the_limit_is_discarded() {
    let shards = [
        shard(1, 0, "B", "aaa"),
        shard(2, 1, "", "bbb"),
        shard(3, 2, "E", "ccc"),
        shard(4, 0, "BE", "fine").mid(1),
        shard(5, 0, "UBE", "now"),
    ];
    for order in permutations(5) {
        let mut rig = Rig::interleaved_with(|config| config.max_message_size = 5);
        let outcomes: Vec<_> = order.iter().map(|&index| rig.take_i(&shards[index])).collect();
        let said = outcomes.iter().filter(|outcome| **outcome == DataOutcome::TooLarge(StreamId(0))).count();
        let accepted = outcomes.iter().filter(|outcome| **outcome == DataOutcome::Accepted).count();
        assert_eq!((said, accepted), (1, 4), "{order:?} {outcomes:?}");
        let mut received = rig.recv_all(0);
        received.sort();
        assert_eq!(received, ["fine", "now"], "{order:?}");
        assert_eq!((rig.receiver.charge(), rig.receiver.stats().messages_too_large), (0, 1));
    }
}

/// What is held of it goes at once, and its reader hears of it when it ends.
#[test]
fn half_read_interleaved_message_over_the_limit() {
    let mut rig = Rig::interleaved_with(|config| config.max_message_size = 1500);
    rig.accept_i(&shard(1, 0, "B", "a"));
    assert_eq!(rig.recv_part(0), Some(("a".into(), false)));
    rig.accept_i(&shard(2, 2, "", [b'x'; 700]));
    assert_eq!(rig.take_i(&shard(3, 1, "", [b'x'; 900])), DataOutcome::TooLarge(StreamId(0)));
    assert_eq!(rig.receiver.charge(), CHUNK_OVERHEAD);
    for fsn in 3..100 {
        rig.accept_i(&shard(1 + fsn, fsn, "", [b'x'; 900]));
        assert_eq!(rig.receiver.charge(), CHUNK_OVERHEAD);
    }
    rig.accept_i(&shard(101, 100, "E", "x"));
    assert_eq!(rig.recv_part(0), Some((ABANDONED.into(), true)));
    assert_eq!(rig.receiver.charge(), 0);
}

/// Too many fragments are too much, however small they are.
#[test]
fn too_many_fragments() {
    let mut rig = Rig::with(|config| config.max_fragments = Some(3));
    rig.accept(&piece(1, "B", "a"));
    rig.accept(&piece(2, "", "b"));
    rig.accept(&piece(3, "", "c"));
    assert_eq!(rig.take(&piece(4, "", "d")), DataOutcome::TooLarge(StreamId(0)));
    rig.accept(&piece(5, "E", "e"));
    rig.accept(&piece(6, "BE", "next").ssn(1));
    assert_eq!((rig.recv_all(0), rig.receiver.stats().too_many_fragments), (vec!["next".into()], 1));

    let mut rig = Rig::interleaved_with(|config| config.max_fragments = Some(3));
    // The number of one tells, long before the others have come.
    assert_eq!(rig.take_i(&shard(1, 3, "E", "d")), DataOutcome::TooLarge(StreamId(0)));
    for (tsn, fsn, flags) in [(2, 0, "B"), (3, 2, ""), (4, 1, "")] {
        rig.accept_i(&shard(tsn, fsn, flags, "x"));
    }
    rig.accept_i(&shard(5, 0, "BE", "next").mid(1));
    assert_eq!((rig.recv_all(0), rig.receiver.stats().too_many_fragments), (vec!["next".into()], 1));
    assert_eq!(rig.receiver.charge(), 0);
    assert_eq!(rig.take_i(&shard(6, u32::MAX, "", "x").mid(2)), DataOutcome::TooLarge(StreamId(0)));
}

/// Of a message that is discarded islands are remembered, and charged.
#[test]
fn islands_of_a_discarded_message_are_bounded() {
    let mut rig = Rig::interleaved_with(|config| {
        config.window = SMALL;
        config.max_message_size = 100;
    });
    let mut outcomes = (0..3000).map(|n| {
        let outcome = rig.take_i(&shard(1 + n, 1 + 2 * n, "", "x"));
        assert!(rig.receiver.charge() <= 2 * SMALL + 100 + CHUNK_OVERHEAD);
        outcome
    });
    let last = outcomes.find(|outcome| !matches!(outcome, DataOutcome::Accepted | DataOutcome::TooLarge(_)));
    assert_eq!(last, Some(DataOutcome::OutOfResource));
}

/// Every message begins in sequence, none ends and nothing can be read: there is an end to it, and it is said.
#[test]
fn nothing_but_beginnings() {
    let mut rig = Rig::interleaved_with(|config| {
        config.window = SMALL;
        config.max_message_size = SMALL;
    });
    let mut tsn = 1;
    let outcome = loop {
        let outcome =
            rig.take_i(&shard(tsn, 0, "UB", [b'x'; 1000]).mid(tsn).stream(u16::try_from(tsn % 10).unwrap()));
        assert!(rig.due().iter().all(|sack| sack.a_rwnd > 0), "the peer would wait for ever");
        match outcome {
            DataOutcome::Accepted => tsn += 1,
            outcome => break outcome,
        }
    };
    assert_eq!(outcome, DataOutcome::OutOfResource);
    assert_eq!(usize::try_from(tsn - 1).unwrap(), (3 * SMALL + CHUNK_OVERHEAD) / 1128);
    // If the application could read, it would not be the end.
    assert_eq!(rig.recv_part(1), Some(("x".repeat(1000), false)));
    rig.accept_i(&shard(tsn, 0, "UB", [b'x'; 1000]).mid(tsn));
    let next = shard(tsn + 1, 0, "UB", [b'x'; 1000]).mid(tsn + 1);
    assert_eq!(
        rig.take_i(&next),
        DataOutcome::OutOfResource,
        "everything of that stream that can be read now is"
    );
    assert_eq!(rig.recv_part(2), Some(("x".repeat(1000), false)));
}

/// A message larger than the window trickles in between others that are incomplete.
#[test]
fn interleaved_message_larger_than_the_window() {
    let mut rig = Rig::interleaved_with(|config| {
        config.window = SMALL;
        config.max_message_size = 4 * SMALL;
    });
    rig.accept_i(&shard(1, 0, "B", [b'x'; 1000]).stream(1));
    let count = u32::try_from(3 * SMALL / 1000).unwrap();
    for fsn in 0..=count {
        let flags = if fsn == 0 { "B" } else { "" };
        rig.accept_i(&shard(2 + fsn, fsn, flags, [b'x'; 1000]));
        assert!(rig.due().iter().all(|sack| sack.a_rwnd > 0), "the peer would wait for ever");
    }
    rig.accept_i(&shard(3 + count, 1 + count, "E", "x"));
    assert!(rig.recv(0).is_some());
    rig.accept_i(&shard(4 + count, 1, "E", "x").stream(1));
    assert!(rig.recv(1).is_some());
    assert_eq!(rig.receiver.window(), SMALL);
}

/// RFC 9260 §6.2 C: a_rwnd is not raised by what is held for reassembly; reading it by parts raises it.
#[test]
fn window_of_interleaved_messages() {
    let mut rig = Rig::interleaved();
    rig.accept_i(&shard(1, 0, "B", [b'x'; 1000]));
    rig.accept_i(&shard(2, 2, "", [b'x'; 500]));
    rig.accept_i(&shard(3, 0, "B", [b'x'; 700]).stream(1));
    assert_eq!(rig.receiver.window(), WINDOW - (1000 + 500 + 700 + 3 * CHUNK_OVERHEAD));
    rig.accept_i(&shard(4, 1, "", [b'x'; 300]));
    assert_eq!(rig.receiver.window(), WINDOW - (1000 + 300 + 500 + 700 + 3 * CHUNK_OVERHEAD));
    while rig.recv_part(0).is_some() {}
    // Of a message that is half read its place is charged.
    assert_eq!(rig.receiver.window(), WINDOW - (700 + 2 * CHUNK_OVERHEAD));
}

/// What is discarded and waits for its turn takes a place, in every way it can wait and go: there is an end to such messages.
#[test]
fn discarded_messages_ahead_of_their_turn() {
    let mut rig = Rig::interleaved_with(|config| {
        config.window = SMALL;
        config.max_message_size = 100;
    });
    let too_large = |tsn: u32, mid: u32| shard(tsn, 0, "BE", [0; 101]).mid(mid);
    let mut mid = 1;
    let last = loop {
        match rig.take_i(&too_large(mid, mid)) {
            DataOutcome::TooLarge(_) => mid += 1,
            outcome => break outcome,
        }
        assert_eq!(rig.receiver.charge(), (mid as usize - 1) * CHUNK_OVERHEAD);
    };
    assert_eq!(last, DataOutcome::OutOfResource);
    assert_eq!(mid as usize - 1, 2 * SMALL / CHUNK_OVERHEAD);

    let waiting = || {
        let mut rig = Rig::interleaved_with(|config| config.max_message_size = 100);
        rig.take_i(&too_large(1, 1));
        rig.take_i(&too_large(2, 2));
        rig.accept_i(&shard(3, 0, "BE", "kept").mid(3));
        assert_eq!(rig.receiver.charge(), 3 * CHUNK_OVERHEAD + 4);
        rig
    };
    let turn = |rig: &mut Rig| rig.accept_i(&shard(4, 0, "BE", "first"));
    let skipped = |rig: &mut Rig| rig.advance_i(4, &[(0, false, 0)]);
    let reset = |rig: &mut Rig| {
        assert_eq!(rig.receiver.reset_request(Tsn(3), &[StreamId(0)]), ResetOutcome::Done);
    };
    for (go, expected) in [
        (&turn as &dyn Fn(&mut Rig), &["first", "kept"][..]),
        (&skipped, &["kept"]),
        (&reset, &["kept"]),
        (&|rig| rig.receiver.start(Tsn(1), 10, true), &[]),
    ] {
        let mut rig = waiting();
        go(&mut rig);
        rig.receiver.check_invariants();
        assert_eq!(
            (rig.recv_all(0), rig.receiver.charge()),
            (expected.iter().map(|it| it.to_string()).collect(), 0)
        );
    }
    // Behind a deferred reset, and with DATA.
    let mut rig = Rig::with(|config| config.max_message_size = 100);
    assert_eq!(rig.receiver.reset_request(Tsn(1), &[StreamId(0)]), ResetOutcome::InProgress);
    rig.take(&piece(3, "BE", [0; 101]).ssn(1));
    rig.accept(&piece(1, "BE", "old"));
    assert_eq!((rig.recv_all(0), rig.receiver.charge()), (vec!["old".into()], CHUNK_OVERHEAD));
    rig.accept(&piece(2, "BE", "new"));
    assert_eq!((rig.recv_all(0), rig.receiver.charge()), (vec!["new".into()], 0));
}
