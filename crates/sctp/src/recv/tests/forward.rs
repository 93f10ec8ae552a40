//! FORWARD TSN (RFC 3758 §3.6).

use super::super::assembler::Assembler;
use super::*;

const SKIPPED: DataOutcome = DataOutcome::Violation("stream sequence number skipped");

fn duplicate(rig: &mut Rig, tsn: u32) {
    assert_eq!(rig.take(&piece(tsn, "UBE", "late")), DataOutcome::Duplicate, "{tsn}");
}

/// RFC 3758 §3.6, the example: 102, 104, 105 and 107 received, then FORWARD TSN 103.
#[test]
fn example_of_the_rfc() {
    let mut rig = Rig::starting_at(ReceiverConfig::default(), 102);
    for tsn in [102, 104, 105, 107] {
        rig.accept(&piece(tsn, "UBE", "x"));
    }
    rig.recv_all(0);
    rig.due();
    rig.advance(103, &[]);
    let expected = Told { cumulative: 105, a_rwnd: 4 << 20, gaps: vec![(2, 2)], duplicates: vec![] };
    assert_eq!(rig.due(), [expected]);
}

/// RFC 3758 §3.6: "the receiver will drop the chunk and report it as a duplicate in the next outbound SACK chunk."
#[test]
fn skipped_one_that_arrives_late_is_a_duplicate() {
    let mut rig = Rig::new();
    rig.advance(3, &[(0, 0)]);
    rig.due();
    for tsn in [1, 3, 2] {
        assert_eq!(rig.take(&piece(tsn, "BE", "late")), DataOutcome::Duplicate);
    }
    let expected = Told { cumulative: 3, a_rwnd: 4 << 20, gaps: vec![], duplicates: vec![1, 3, 2] };
    assert_eq!(rig.due().last(), Some(&expected));
    assert_eq!((rig.recv(0), rig.receiver.stats().duplicates), (None, 3));
}

/// RFC 3758 §3.6: "the receiver MUST follow the same rules as if a DATA chunk had been received (i.e., follow the
/// delayed sack rules".
#[test]
fn acknowledged_like_data() {
    let mut rig = Rig::new();
    rig.accept(&piece(1, "UBE", "x"));
    assert_eq!(rig.due().len(), 1, "the first of all");
    rig.advance(2, &[]);
    assert_eq!((rig.due().len(), rig.receiver.poll_timeout()), (0, Some(rig.now + ms(200))));
    rig.advance(3, &[]);
    assert_eq!(rig.due().len(), 1, "every second packet");
    rig.accept(&piece(6, "UBE", "x"));
    assert_eq!(rig.due().len(), 1);
    rig.advance(4, &[]);
    assert_eq!(rig.due().len(), 1, "there is a gap");
    rig.advance(5, &[]);
    assert_eq!(rig.due().len(), 1, "there was a gap");
    rig.accept(&piece(7, "UBE", "x"));
    assert_eq!(rig.due().len(), 0);
}

/// RFC 3758 §3.6: one "behind or at the current cumulative TSN point" is out of date; "The receiver SHOULD send a SACK".
#[test]
fn out_of_date() {
    let mut rig = Rig::new();
    rig.accept(&piece(1, "BE", "a"));
    rig.advance(2, &[(0, 1)]);
    rig.due();
    for point in [2, 1, 0, u32::MAX] {
        assert_eq!(rig.forward(point, &[(0, 9)]), ForwardOutcome::Stale, "{point}");
        assert_eq!(rig.due().iter().map(|sack| sack.cumulative).collect::<Vec<_>>(), [2]);
    }
    rig.accept(&piece(3, "BE", "b").ssn(2));
    assert_eq!(rig.recv_all(0), ["a", "b"], "its entries are out of date too");
    // At once although there is something new in the packet.
    rig.due();
    rig.receiver.handle_data(&piece(4, "UBE", "x").data());
    assert_eq!(rig.forward(1, &[]), ForwardOutcome::Stale);
    assert_eq!(rig.due().len(), 1);
}

/// Nothing that far could be underway: ignored, whatever the distance.
#[test]
fn too_far_ahead() {
    let mut rig = Rig::new();
    rig.accept(&piece(1, "B", "a"));
    rig.accept(&piece(4, "BE", "c").ssn(2));
    rig.due();
    let before = format!("{:?} {:?}", rig.receiver.tracker, rig.receiver.assembler);
    for point in [1 + 65_536, 1 << 20, (1 << 31) - 1, 1 << 31, 1 + (1 << 31)] {
        assert_eq!(rig.forward(point, &[(0, 1)]), ForwardOutcome::OutsideWindow, "{point}");
        assert_eq!((rig.due(), rig.sack()), (vec![], None));
    }
    assert_eq!(format!("{:?} {:?}", rig.receiver.tracker, rig.receiver.assembler), before);
    assert_eq!(rig.receiver.stats().outside_window, 5);
    rig.advance(1 + 65_535, &[(0, 1)]);
    assert_eq!((rig.recv_all(0), rig.receiver.charge()), (vec!["c".into()], 0));
}

/// With a small window chunks may not lie far ahead; what the peer gives up may, since it need never have arrived.
#[test]
fn small_window() {
    let mut rig = Rig::with(|config| config.window = 2000);
    assert_eq!(rig.take(&piece(65, "BE", "x")), DataOutcome::Dropped(DropReason::OutsideWindow));
    rig.advance(5000, &[]);
    rig.accept(&piece(5001, "BE", "x"));
    let mut rig = Rig::with(|config| config.max_tsn_distance = 10);
    assert_eq!(rig.take(&piece(11, "BE", "x")), DataOutcome::Dropped(DropReason::OutsideWindow));
    assert_eq!(rig.forward(11, &[]), ForwardOutcome::OutsideWindow);
    rig.advance(10, &[]);
    assert_eq!(rig.receiver.stats(), ReceiverStats { outside_window: 2, forwards: 1, ..Default::default() });
}

/// RFC 3758 §3.6: "immediately make available for delivery stream sequence numbers earlier than or equal to the stream
/// sequence number listed inside the FORWARD TSN."
#[test]
fn what_waited_is_delivered() {
    let mut rig = Rig::new();
    for (tsn, ssn) in [(3, 2), (5, 4), (6, 5), (8, 7)] {
        rig.accept(&piece(tsn, "BE", ssn.to_string()).ssn(ssn));
    }
    assert_eq!((rig.recv(0), rig.events()), (None, vec![]));
    rig.advance(4, &[(0, 3)]);
    assert_eq!(rig.events(), [readable(0)]);
    assert_eq!(rig.recv_all(0), ["2", "4", "5"]);
    rig.accept(&piece(7, "BE", "6").ssn(6));
    assert_eq!(rig.recv_all(0), ["6", "7"]);
}

/// The first message of all is lost, on several streams.
#[test]
fn first_message_of_streams() {
    let mut rig = Rig::new();
    rig.accept(&piece(4, "BE", "a").stream(1).ssn(1));
    rig.accept(&piece(5, "BE", "b").stream(2).ssn(1));
    rig.accept(&piece(6, "BE", "c").stream(3).ssn(1));
    rig.advance(3, &[(1, 0), (3, 0)]);
    assert_eq!((rig.recv_all(1), rig.recv_all(3)), (vec!["a".into()], vec!["c".into()]));
    assert_eq!(rig.recv(2), None, "not listed");
}

/// RFC 3758 §3.6: "The receiver MUST remove any partially reassembled message, which is still missing one or more TSNs
/// earlier than or equal to the new cumulative TSN point." Its bytes return to the window.
#[test]
fn incomplete_messages_are_deleted() {
    let scripts: [(u32, &[(u32, &str)]); 7] = [
        // What was in sequence.
        (2, &[(1, "B")]),
        (4, &[(1, "B"), (2, "")]),
        (4, &[(1, "B"), (2, ""), (3, "")]),
        // What was not.
        (4, &[(2, "")]),
        (4, &[(2, ""), (4, "")]),
        (4, &[(1, "B"), (3, ""), (4, "E")]),
        // The point lies inside what is held.
        (3, &[(2, ""), (3, ""), (4, "E")]),
    ];
    for unordered in [false, true] {
        for (point, fragments) in scripts {
            let mut rig = Rig::new();
            for &(tsn, flags) in fragments {
                rig.accept(&flagged(piece(tsn, flags, [b'x'; 1000]), unordered));
            }
            let skipped = [(0, 0)];
            rig.advance(point, if unordered { &[] } else { &skipped });
            assert_eq!((rig.receiver.charge(), rig.receiver.window()), (0, WINDOW), "{fragments:?}");
            duplicate(&mut rig, point);
            for tsn in point + 1..=4 {
                let end = if tsn == 4 { "E" } else { "" };
                rig.take(&flagged(piece(tsn, end, "x"), unordered));
            }
            assert_eq!(rig.receiver.cumulative_tsn(), Tsn(4));
            rig.accept(&piece(5, "BE", "next").ssn(u16::from(!unordered)));
            assert_eq!(rig.recv_all(0), ["next"], "{fragments:?} {point}");
            assert_eq!(rig.receiver.charge(), 0);
        }
    }
}

fn flagged(mut piece: Piece, unordered: bool) -> Piece {
    if unordered {
        piece.flags = match piece.flags {
            "B" => "UB",
            "" => "U",
            "E" => "UE",
            "BE" => "UBE",
            flags => panic!("{flags}"),
        };
    }
    piece
}

/// A message that lacks nothing up to the point may be alive: a peer may pass over what it knows to have arrived.
#[test]
fn incomplete_message_that_lacks_nothing_so_far_stays() {
    for point in [2, 3] {
        let mut rig = Rig::new();
        rig.accept(&piece(2, "B", "b").stream(1));
        rig.accept(&piece(3, "", "c").stream(1));
        rig.advance(point, &[(0, 0)]);
        rig.accept(&piece(4, "E", "d").stream(1));
        rig.accept(&piece(5, "BE", "next").stream(1).ssn(1));
        assert_eq!(rig.recv_all(1), ["bcd", "next"]);
        assert_eq!(rig.receiver.charge(), 0);
    }
}

/// It is dead if the peer says so by its SSN, or goes on without its end.
#[test]
fn incomplete_message_that_lacked_nothing_so_far_is_given_up() {
    let begun = || {
        let mut rig = Rig::new();
        rig.accept(&piece(2, "B", "b").stream(1));
        rig.accept(&piece(3, "", "c").stream(1));
        rig
    };
    let mut named = begun();
    named.advance(3, &[(0, 0), (1, 0)]);
    assert_eq!(named.receiver.charge(), 0);
    for (tsn, flags) in [(4, ""), (5, "E")] {
        named.accept(&piece(tsn, flags, "rest").stream(1));
    }
    named.accept(&piece(6, "BE", "next").stream(1).ssn(1));
    assert_eq!(named.recv_all(1), ["next"]);

    let mut passed = begun();
    passed.advance(3, &[(0, 0)]);
    assert_eq!(passed.recv_part(1), Some(("bc".into(), false)));
    passed.accept(&piece(4, "B", "ne").stream(1).ssn(1));
    assert_eq!(passed.recv_part(1), Some((ABANDONED.into(), true)));
    assert_eq!(
        passed.recv_part(1),
        Some(("ne".into(), false)),
        "its turn, though nobody named the one before"
    );
    passed.accept(&piece(5, "E", "xt").stream(1).ssn(1));
    assert_eq!(passed.recv_part(1), Some(("xt".into(), true)));

    // On a stream that does not exist, too.
    let mut passed = begun();
    passed.advance(3, &[]);
    assert_eq!(passed.take(&piece(4, "B", "x").stream(10)), DataOutcome::InvalidStream);
    assert_eq!(passed.receiver.charge(), 0);
    // Before the point nobody may stop.
    let mut rig = Rig::new();
    rig.accept(&piece(1, "B", "a"));
    let outcome = rig.take(&piece(2, "B", "b").ssn(1));
    assert_eq!(outcome, DataOutcome::Violation("message begins before the end of another"));
}

/// RFC 3758 lets a peer stop inside a message. What it still sends of that is discarded up to its end, in any order, and
/// never taken for part of anything else.
#[test]
fn rest_of_a_message_that_was_given_up() {
    let rest = [piece(3, "", "x"), piece(4, "", "x"), piece(5, "E", "x")];
    let next = [piece(6, "B", "ne").ssn(1), piece(7, "E", "xt").ssn(1)];
    let pieces: Vec<_> = rest.into_iter().chain(next).collect();
    // The FORWARD TSN comes before, between, or behind them.
    for order in permutations(pieces.len() + 1) {
        let mut rig = Rig::new();
        for &index in &order {
            match pieces.get(index) {
                Some(piece) => rig.accept(piece),
                None => rig.advance(2, &[(0, 0)]),
            }
        }
        assert_eq!(rig.recv_all(0), ["next"], "{order:?}");
        assert_eq!((rig.receiver.charge(), rig.receiver.cumulative_tsn()), (0, Tsn(7)), "{order:?}");
    }
}

/// The end of what was given up may never have been sent.
#[test]
fn rest_without_an_end() {
    for order in permutations(3) {
        let mut rig = Rig::new();
        rig.advance(2, &[(0, 0)]);
        let pieces = [piece(3, "", "x"), piece(4, "B", "ne").ssn(1), piece(5, "E", "xt").ssn(1)];
        let outcomes: Vec<_> = order.iter().map(|&index| rig.take(&pieces[index])).collect();
        assert_eq!(outcomes, [DataOutcome::Accepted; 3], "{order:?}");
        assert_eq!(rig.recv_all(0), ["next"], "{order:?}");
    }
    // Behind an end there is a beginning.
    let mut rig = Rig::new();
    rig.advance(2, &[]);
    rig.accept(&piece(4, "", "x"));
    let outcome = rig.take(&piece(3, "E", "x"));
    assert_eq!(outcome, DataOutcome::Violation("fragment without a beginning"));
    // Only right behind the point.
    let mut rig = Rig::new();
    rig.advance(2, &[]);
    rig.accept(&piece(3, "UBE", "whole"));
    let outcome = rig.take(&piece(4, "UE", "x"));
    assert_eq!(outcome, DataOutcome::Violation("fragment without a beginning"));
}

/// The rest of a message on a stream that does not exist is the rest all the same.
#[test]
fn rest_on_an_invalid_stream() {
    let mut rig = Rig::new();
    rig.accept(&piece(4, "E", "x").stream(1));
    rig.advance(2, &[]);
    assert_eq!(rig.take(&piece(3, "", "x").stream(10)), DataOutcome::InvalidStream);
    assert_eq!((rig.receiver.charge(), rig.receiver.cumulative_tsn()), (0, Tsn(4)));
    rig.accept(&piece(5, "BE", "next"));
    assert_eq!(rig.recv_all(0), ["next"]);
}

/// RFC 3758 §3.6: "a notification SHOULD also be generated to inform the upper layer API that the message being
/// partially delivered will NOT be completed."
#[test]
fn reader_of_parts_hears_that_the_rest_will_not_come() {
    for unordered in [false, true] {
        let mut rig = Rig::new();
        rig.accept(&flagged(piece(1, "B", "a"), unordered));
        assert_eq!(rig.recv_part(0), Some(("a".into(), false)));
        rig.accept(&flagged(piece(2, "", "b"), unordered));
        rig.accept(&piece(5, "BE", "next").ssn(u16::from(!unordered)));
        rig.events();
        rig.advance(4, if unordered { &[] } else { &[(0, 0)] });
        assert_eq!(rig.events(), [readable(0)]);
        assert!(rig.receiver.is_readable(StreamId(0)));
        assert_eq!(rig.recv(0), None, "half read");
        let expected = [Some((ABANDONED.into(), true)), Some(("next".into(), true)), None];
        assert_eq!([0; 3].map(|stream| rig.recv_part(stream)), expected);
        assert_eq!(rig.receiver.charge(), 0);
    }
}

#[test]
fn reader_that_has_read_everything_so_far_is_woken() {
    let mut rig = Rig::new();
    rig.accept(&piece(1, "B", "a"));
    assert_eq!(rig.recv_part(0), Some(("a".into(), false)));
    assert_eq!((rig.events(), rig.recv_part(0)), (vec![], None));
    // Nobody lists it: that it was given up is plain.
    rig.advance(2, &[]);
    assert_eq!(rig.events(), [readable(0)]);
    assert_eq!(rig.receiver.next_ppid(StreamId(0)), Some(Ppid(53)));
    assert_eq!(rig.recv_part(0), Some((ABANDONED.into(), true)));
    rig.accept(&piece(3, "BE", "next").ssn(1));
    assert_eq!(rig.recv(0).as_deref(), Some("next"));
}

/// The reader of parts is told when a message that is still arriving has its turn by a FORWARD TSN.
#[test]
fn part_that_becomes_readable() {
    let mut rig = Rig::new();
    assert_eq!(rig.recv_part(0), None);
    rig.accept(&piece(3, "B", "a").ssn(1));
    assert_eq!(rig.events(), []);
    rig.advance(2, &[(0, 0)]);
    assert_eq!(rig.events(), [readable(0)]);
    assert_eq!(rig.recv_part(0), Some(("a".into(), false)));
}

/// Of a stream that does not exist nothing is kept, nor is a stream made for an entry that says nothing.
#[test]
fn entries_that_are_ignored() {
    let mut rig = Rig::new();
    rig.accept(&piece(1, "BE", "a"));
    rig.accept(&piece(2, "BE", "b").ssn(1));
    rig.advance(3, &[]);
    let before = format!("{:?}", rig.receiver.inboxes);
    // Unknown streams; what is delivered; what is behind by more.
    rig.advance(
        4,
        &[(10, 0), (65_535, 65_535), (0, 1), (0, 0), (0, 2 + (1 << 15)), (1, 65_535), (2, 1 << 15)],
    );
    assert_eq!(format!("{:?}", rig.receiver.inboxes), before);
    rig.accept(&piece(5, "BE", "c").ssn(2));
    assert_eq!(rig.recv_all(0), ["a", "b", "c"]);
}

/// usrsctp may list a stream twice: the largest counts, whatever the order.
#[test]
fn stream_listed_twice() {
    for skipped in [[(0, 2), (0, 0)], [(0, 0), (0, 2)]] {
        let mut rig = Rig::new();
        rig.accept(&piece(5, "BE", "d").ssn(3));
        rig.advance(4, &skipped);
        assert_eq!(rig.recv_all(0), ["d"]);
    }
}

/// A peer that forgets an entry is no reason to end: the message waits until another entry, or a reset, frees it.
#[test]
fn forgotten_entry() {
    let mut rig = Rig::new();
    rig.advance(1, &[]);
    rig.accept(&piece(2, "BE", "b").ssn(1));
    assert_eq!(rig.recv(0), None);
    rig.advance(3, &[(0, 2)]);
    rig.accept(&piece(4, "BE", "d").ssn(3));
    assert_eq!(rig.recv_all(0), ["b", "d"]);

    rig.advance(5, &[]);
    rig.accept(&piece(6, "BE", "f").ssn(5));
    assert_eq!(rig.recv(0), None);
    assert_eq!(rig.receiver.reset_request(Tsn(6), &[StreamId(0)]), ResetOutcome::Done);
    rig.accept(&piece(7, "BE", "new").ssn(0));
    assert_eq!(rig.recv_all(0), ["f", "new"]);
    assert_eq!(rig.receiver.charge(), 0);
}

/// What was held of a message tells its stream and SSN when the peer gives it up.
#[test]
fn entry_that_is_not_needed() {
    let mut rig = Rig::new();
    rig.accept(&piece(2, "E", "a"));
    rig.accept(&piece(3, "BE", "b").ssn(1));
    rig.advance(1, &[]);
    assert_eq!(rig.recv_all(0), ["b"]);
}

/// A message whose turn has passed is acknowledged and discarded, once the peer has given anything up at all.
#[test]
fn message_behind_its_turn() {
    let mut rig = Rig::new();
    rig.accept(&piece(1, "BE", "a"));
    assert_eq!(rig.take(&piece(2, "BE", "again")), SKIPPED);
    let mut rig = Rig::new();
    rig.advance(2, &[(0, 1)]);
    for (tsn, ssn) in [(3, 0), (4, 1), (5, 2 + (1 << 15))] {
        rig.accept(&piece(tsn, "BE", "late").ssn(ssn));
    }
    rig.accept(&piece(6, "B", "la").ssn(1));
    rig.accept(&piece(7, "E", "te").ssn(1));
    rig.accept(&piece(8, "BE", "c").ssn(2));
    assert_eq!(rig.recv_all(0), ["c"]);
    assert_eq!((rig.receiver.charge(), rig.receiver.cumulative_tsn()), (0, Tsn(8)));
    // On a restart everything is as new.
    rig.receiver.start(Tsn(1), 10, false);
    assert_eq!(rig.take(&piece(1, "BE", "x").ssn(1)), SKIPPED);
}

/// RFC 9260 §1.6: TSNs and SSNs wrap.
#[test]
fn wraps() {
    let mut rig = Rig::starting_at(ReceiverConfig::default(), u32::MAX - 1);
    let mut tsn = u32::MAX - 1;
    // To SSN 65534, in steps that are forward.
    for ssn in [20_000, 40_000, 60_000, 65_533] {
        rig.advance(tsn, &[(0, ssn)]);
        tsn = tsn.wrapping_add(1);
    }
    assert_eq!(rig.receiver.cumulative_tsn(), Tsn(1));
    rig.accept(&piece(5, "BE", "c").ssn(1));
    rig.accept(&piece(4, "BE", "b").ssn(0));
    rig.accept(&piece(2, "BE", "a").ssn(65_534));
    rig.advance(3, &[(0, 65_535)]);
    assert_eq!(rig.recv_all(0), ["a", "b", "c"]);
}

/// One step over as many gaps and incomplete messages as are tracked.
#[test]
fn many_gaps_at_once() {
    let mut rig = Rig::with(|config| config.max_incomplete_per_stream = Some(1024));
    for n in 0..1023 {
        rig.accept(&piece(3 + 3 * n, "UB", "x"));
    }
    rig.accept(&piece(5000, "UBE", "kept"));
    rig.advance(3 + 3 * 1022, &[]);
    assert_eq!(rig.recv_all(0), ["kept"]);
    // The last one lacks nothing so far.
    assert_eq!(rig.receiver.charge(), 1 + CHUNK_OVERHEAD);
    rig.advance(5000, &[]);
    assert_eq!((rig.receiver.charge(), rig.receiver.tracker.has_gaps()), (0, false));
}

/// The window that a FORWARD TSN opens is told at once if the peer could hardly send before.
#[test]
fn window_update() {
    let mut rig = Rig::with(|config| config.window = 64 << 10);
    rig.accept(&piece(1, "UBE", "x"));
    let mut tsn = 3;
    while rig.receiver.window() > 0 {
        rig.accept(&piece(tsn, "U", [0; 1000]));
        tsn += 1;
    }
    rig.recv_all(0);
    assert_eq!(rig.due().last().unwrap().a_rwnd, 0);
    rig.advance(tsn, &[]);
    assert_eq!(
        rig.due().iter().map(|sack| (sack.cumulative, sack.a_rwnd)).collect::<Vec<_>>(),
        [(tsn, 64 << 10)]
    );
}

/// A restart cannot complete what was being read.
#[test]
fn restart_while_reading_by_parts() {
    let mut rig = Rig::new();
    rig.accept(&piece(1, "B", "a"));
    assert_eq!(rig.recv_part(0), Some(("a".into(), false)));
    rig.receiver.start(Tsn(100), 10, false);
    rig.receiver.check_invariants();
    rig.accept(&piece(100, "BE", "new"));
    assert_eq!(rig.recv_part(0), Some((ABANDONED.into(), true)));
    assert_eq!(rig.recv(0).as_deref(), Some("new"));
}

/// RFC 8260 §2.3.1: each kind of FORWARD TSN goes with its kind of chunk.
#[test]
fn wrong_kind() {
    let mut rig = Rig::new();
    assert!(matches!(rig.receiver.assembler, Assembler::Sequential(_)));
    let chunk = IForwardTsn { new_cumulative_tsn: Tsn(1), streams: List::EMPTY };
    let outcome = rig.receiver.handle_i_forward_tsn(&chunk);
    assert_eq!(outcome, ForwardOutcome::Violation("FORWARD TSN of the wrong kind"));
    rig.receiver.start(Tsn(1), 10, true);
    let outcome = rig.forward(1, &[]);
    assert_eq!(outcome, ForwardOutcome::Violation("FORWARD TSN of the wrong kind"));
    assert_eq!(rig.receiver.cumulative_tsn(), Tsn(0));
}

/// All orders of two messages and the FORWARD TSN that gives the first one up, whole or up to a point inside it. It is
/// delivered if all it has up to there came before, and never in part.
#[test]
fn every_order_of_chunks_and_forward() {
    for (unordered, point) in [(false, 1), (false, 2), (false, 3), (true, 1), (true, 2), (true, 3)] {
        let first = [piece(1, "B", "a"), piece(2, "", "b"), piece(3, "E", "c")];
        let second = [piece(4, "B", "d").ssn(1), piece(5, "E", "e").ssn(1)];
        let pieces: Vec<_> = first.into_iter().chain(second).map(|piece| flagged(piece, unordered)).collect();
        for order in permutations(6) {
            let mut rig = Rig::new();
            let position = |index| order.iter().position(|&other| other == index).unwrap();
            let in_time = (0..point).all(|index| position(index as usize) < position(5));
            for &index in &order {
                match pieces.get(index) {
                    Some(piece) => drop(rig.take(piece)),
                    None => drop(rig.forward(point, if unordered { &[] } else { &[(0, 0)] })),
                }
            }
            let mut received = rig.recv_all(0);
            if unordered {
                received.sort();
            }
            let expected: &[&str] = if in_time { &["abc", "de"] } else { &["de"] };
            assert_eq!(received, expected, "{unordered} {point} {order:?}");
            assert_eq!((rig.receiver.charge(), rig.receiver.cumulative_tsn()), (0, Tsn(5)));
        }
    }
}
