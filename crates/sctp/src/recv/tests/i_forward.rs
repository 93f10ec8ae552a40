//! I-FORWARD-TSN (RFC 8260 §2.3.1).

use super::*;

/// "the principle applied to ordered messages when using FORWARD-TSN chunks is applied to ordered and unordered messages
/// when using I-FORWARD-TSN chunks."
#[test]
fn ordered_and_unordered_messages_are_skipped() {
    let mut rig = Rig::interleaved();
    rig.accept_i(&shard(1, 0, "B", "a"));
    rig.accept_i(&shard(2, 0, "UB", "b"));
    rig.accept_i(&shard(3, 1, "UE", "c").mid(1));
    rig.accept_i(&shard(4, 0, "UB", "d").mid(2));
    rig.accept_i(&shard(5, 0, "BE", "e").mid(1));
    rig.accept_i(&shard(6, 0, "B", "f").mid(2));
    assert_eq!(rig.recv(0), None);
    rig.advance_i(7, &[(0, false, 0), (0, true, 1)]);
    assert_eq!(rig.recv_all(0), ["e"]);
    rig.accept_i(&shard(8, 1, "E", "g").mid(2));
    rig.accept_i(&shard(9, 1, "UE", "h").mid(2));
    assert_eq!(rig.recv_all(0), ["fg", "dh"]);
    assert_eq!((rig.receiver.charge(), rig.receiver.window()), (0, WINDOW));
}

/// TSNs tell nothing: only what is listed is given up.
#[test]
fn messages_that_are_not_listed_stay() {
    let mut rig = Rig::interleaved();
    rig.accept_i(&shard(1, 0, "B", "a"));
    rig.accept_i(&shard(3, 0, "B", "b").stream(1));
    rig.advance_i(4, &[(1, false, 0)]);
    rig.accept_i(&shard(5, 1, "E", "c"));
    assert_eq!((rig.recv_all(0), rig.receiver.charge()), (vec!["ac".into()], 0));
}

/// What is complete before the point is delivered, in order; what waits behind it too.
#[test]
fn what_waited_is_delivered() {
    let mut rig = Rig::interleaved();
    for mid in [2, 4, 5, 7] {
        rig.accept_i(&shard(1 + mid, 0, "BE", mid.to_string()).mid(mid));
    }
    rig.advance_i(4, &[(0, false, 3)]);
    assert_eq!(rig.events(), [readable(0)]);
    assert_eq!(rig.recv_all(0), ["2", "4", "5"]);
    rig.accept_i(&shard(7, 0, "BE", "6").mid(6));
    assert_eq!(rig.recv_all(0), ["6", "7"]);
}

/// Of entries that are listed twice the largest MID counts.
#[test]
fn listed_twice() {
    for unordered in [false, true] {
        let flags = if unordered { "UB" } else { "B" };
        for (first, second) in [(2, 0), (0, 2)] {
            let mut rig = Rig::interleaved();
            for mid in 0..4 {
                rig.accept_i(&shard(1 + mid, 0, flags, "x").mid(mid));
            }
            rig.advance_i(5, &[(0, unordered, first), (0, unordered, second)]);
            assert_eq!(rig.receiver.charge(), 1 + CHUNK_OVERHEAD);
        }
    }
}

/// Fragments of what was given up that come behind the point are acknowledged and discarded.
#[test]
fn rest_of_messages_that_were_given_up() {
    let mut rig = Rig::interleaved();
    rig.advance_i(2, &[(0, false, 1), (0, true, 1)]);
    for (tsn, flags, mid) in [(3, "", 0), (4, "UE", 1), (5, "E", 1), (6, "U", 0), (7, "B", 1), (8, "UB", 1)] {
        rig.accept_i(&shard(tsn, 3, flags, "late").mid(mid));
    }
    rig.accept_i(&shard(9, 0, "BE", "late").mid(1));
    assert_eq!((rig.receiver.charge(), rig.receiver.cumulative_tsn(), rig.recv(0)), (0, Tsn(9), None));
    rig.accept_i(&shard(10, 0, "BE", "next").mid(2));
    rig.accept_i(&shard(11, 0, "UB", "un").mid(2));
    rig.accept_i(&shard(12, 1, "UE", "ordered").mid(2));
    assert_eq!(rig.recv_all(0), ["next", "unordered"]);
}

#[test]
fn skipped_one_that_arrives_late_is_a_duplicate() {
    let mut rig = Rig::interleaved();
    rig.advance_i(3, &[(0, false, 0)]);
    for tsn in [1, 3, 2] {
        assert_eq!(rig.take_i(&shard(tsn, 0, "BE", "late")), DataOutcome::Duplicate);
    }
    assert_eq!(rig.forward_i(3, &[(0, false, 5)]), ForwardOutcome::Stale);
    assert_eq!(rig.forward_i(100_000, &[(0, false, 5)]), ForwardOutcome::OutsideWindow);
    rig.accept_i(&shard(4, 0, "BE", "next").mid(1));
    assert_eq!(rig.recv_all(0), ["next"]);
}

/// Of streams that do not exist nothing is kept; ordered messages behind those delivered are no news.
#[test]
fn entries_that_are_ignored() {
    let mut rig = Rig::interleaved();
    rig.accept_i(&shard(1, 0, "BE", "a"));
    rig.accept_i(&shard(2, 0, "BE", "b").mid(1));
    rig.advance_i(3, &[]);
    let before = format!("{:?} {:?}", rig.receiver.inboxes, rig.receiver.assembler);
    let skipped =
        [(10, false, 0), (10, true, 0), (65_535, true, 9), (0, false, 1), (0, false, 0), (1, false, 1 << 31)];
    rig.advance_i(4, &skipped);
    assert_eq!(format!("{:?} {:?}", rig.receiver.inboxes, rig.receiver.assembler), before);
    rig.accept_i(&shard(5, 0, "BE", "c").mid(2));
    assert_eq!(rig.recv_all(0), ["a", "b", "c"]);
}

/// RFC 8260 §2.1: "the serial number arithmetic defined in [RFC1982] using SERIAL_BITS = 32 applies."
#[test]
fn message_identifiers_wrap() {
    for unordered in [false, true] {
        let flags = |flags| match (flags, unordered) {
            (flags, false) => flags,
            ("B", true) => "UB",
            ("E", true) => "UE",
            (flags, true) => panic!("{flags}"),
        };
        let mut rig = Rig::interleaved();
        // To the end of the circle, in steps that are forward.
        for (tsn, mid) in [(1, (1 << 31) - 1), (2, u32::MAX - 2)] {
            rig.advance_i(tsn, &[(0, unordered, mid)]);
        }
        let mut tsn = 3;
        for mid in [u32::MAX - 1, u32::MAX, 0, 1] {
            rig.accept_i(&shard(tsn, 0, flags("B"), mid.to_string()).mid(mid));
            rig.accept_i(&shard(tsn + 1, 1, flags("E"), ";").mid(mid));
            tsn += 2;
        }
        assert_eq!(rig.recv_all(0), ["4294967294;", "4294967295;", "0;", "1;"], "{unordered}");
        rig.accept_i(&shard(tsn + 1, 0, flags("B"), "x").mid(2));
        rig.accept_i(&shard(tsn + 2, 1, flags("E"), "late").mid(u32::MAX));
        rig.advance_i(tsn, &[(0, unordered, 2)]);
        assert_eq!((rig.recv(0), rig.receiver.charge()), (None, 0), "{unordered}");
    }
}

/// A message that is being read by parts may be given up although its bytes are all read.
#[test]
fn reader_of_parts_hears_that_the_rest_will_not_come() {
    for unordered in [false, true] {
        let mut rig = Rig::interleaved();
        rig.accept_i(&shard(1, 0, if unordered { "UB" } else { "B" }, "a"));
        rig.accept_i(&shard(2, 0, "B", "other").stream(1));
        assert_eq!(rig.recv_part(0), Some(("a".into(), false)));
        assert_eq!(rig.recv_part(1), Some(("other".into(), false)));
        rig.events();
        rig.advance_i(3, &[(0, unordered, 0)]);
        assert_eq!(rig.events(), [readable(0)]);
        assert_eq!(rig.recv(0), None);
        assert_eq!(rig.recv_part(0), Some((ABANDONED.into(), true)));
        rig.accept_i(&shard(4, 0, "BE", "next").mid(u32::from(!unordered)));
        rig.accept_i(&shard(5, 1, "E", "!").stream(1));
        assert_eq!(
            (rig.recv_part(0), rig.recv_part(1)),
            (Some(("next".into(), true)), Some(("!".into(), true)))
        );
        assert_eq!(rig.receiver.charge(), 0);
    }
}

#[test]
fn part_that_becomes_readable() {
    let mut rig = Rig::interleaved();
    assert_eq!(rig.recv_part(0), None);
    rig.accept_i(&shard(2, 0, "B", "a").mid(1));
    assert_eq!(rig.events(), []);
    rig.advance_i(1, &[(0, false, 0)]);
    assert_eq!(rig.events(), [readable(0)]);
    assert_eq!(rig.recv_part(0), Some(("a".into(), false)));
}

/// A deferred reset with the points of I-FORWARD-TSN before and behind it.
#[test]
fn deferred_reset() {
    // The old sequence, which is delivered up to MID 2; then the new one.
    let rig = || {
        let mut rig = Rig::interleaved();
        for mid in 0..3 {
            rig.accept_i(&shard(1 + mid, 0, "BE", mid.to_string()).mid(mid));
        }
        rig.recv_all(0);
        assert_eq!(rig.receiver.reset_request(Tsn(5), &[StreamId(0)]), ResetOutcome::InProgress);
        rig.accept_i(&shard(5, 0, "BE", "old 4").mid(4));
        rig.accept_i(&shard(7, 1, "E", "new 0"));
        rig.accept_i(&shard(8, 0, "BE", "new 1").mid(1));
        rig.accept_i(&shard(9, 1, "UE", "u"));
        rig
    };
    let mut before = rig();
    before.advance_i(4, &[(0, false, 3), (0, true, 7)]);
    assert_eq!(before.recv_all(0), ["old 4"]);
    before.accept_i(&shard(6, 0, "B", "-"));
    before.accept_i(&shard(10, 0, "UB", "new "));
    assert_eq!(before.recv_all(0), ["-new 0", "new 1", "new u"]);
    assert_eq!(before.receiver.charge(), 0);

    let mut behind = rig();
    behind.advance_i(6, &[(0, false, 0), (0, true, 7)]);
    assert_eq!(behind.recv_all(0), ["old 4", "new 1"]);
    behind.accept_i(&shard(10, 0, "UB", "new "));
    assert_eq!(behind.recv_all(0), ["new u"], "which of the unordered ones nobody can tell");
    assert_eq!(behind.receiver.charge(), 0);
}
