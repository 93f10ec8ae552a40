//! I-DATA (RFC 8260 §2.2.3).

use super::super::assembler::Assembler;
use super::*;

/// A message of `n` one-letter fragments with these TSNs.
fn fragments(tsns: &[u32], unordered: bool, mid: u32) -> Vec<Shard> {
    let n = tsns.len();
    let flags = |index: usize| match (index == 0, index + 1 == n, unordered) {
        (true, true, false) => "BE",
        (true, false, false) => "B",
        (false, true, false) => "E",
        (false, false, false) => "",
        (true, true, true) => "UBE",
        (true, false, true) => "UB",
        (false, true, true) => "UE",
        (false, false, true) => "U",
    };
    let letter = |index: usize| [b'a' + u8::try_from(index).unwrap()];
    let fsn = |index: usize| u32::try_from(index).unwrap();
    (0..n).map(|index| shard(tsns[index], fsn(index), flags(index), letter(index)).mid(mid)).collect()
}

#[test]
fn every_order_of_up_to_seven_fragments() {
    for unordered in [false, true] {
        for n in 1..=7 {
            let tsns: Vec<u32> = (1..).take(n).collect();
            let shards = fragments(&tsns, unordered, 0);
            for order in permutations(n) {
                let mut rig = Rig::interleaved();
                for &index in &order {
                    assert_eq!(rig.recv(0), None);
                    rig.accept_i(&shards[index]);
                }
                assert_eq!(rig.recv_all(0), [&"abcdefg"[..n]], "{order:?}");
                assert_eq!(rig.receiver.charge(), 0);
            }
        }
    }
}

/// RFC 8260 §2.2.3: "The receiver MUST NOT make any assumption about the TSN assignments of the sender." Three messages
/// share the TSNs crosswise: ordered and unordered ones of one stream with the same MID, and one of another stream.
#[test]
fn every_order_of_interleaved_messages() {
    let mut shards = fragments(&[1, 4, 6], false, 0);
    shards.extend(fragments(&[5, 2], true, 0));
    shards.extend(fragments(&[3, 7], false, 0).into_iter().map(|shard| shard.stream(1)));
    for order in permutations(7) {
        let mut rig = Rig::interleaved();
        order.iter().for_each(|&index| rig.accept_i(&shards[index]));
        let mut received = rig.recv_all(0);
        received.sort();
        assert_eq!(
            (received, rig.recv_all(1)),
            (vec!["ab".into(), "abc".into()], vec!["ab".into()]),
            "{order:?}"
        );
        assert_eq!((rig.receiver.charge(), rig.receiver.cumulative_tsn()), (0, Tsn(7)));
    }
}

/// RFC 8260 §2.1: "For ordered user messages, the MID is also used by the SCTP receiver to deliver the user messages in
/// the correct order to the upper layer".
#[test]
fn ordered_messages_wait_for_their_turn() {
    for order in permutations(5) {
        let mut rig = Rig::interleaved();
        let mut received = Vec::new();
        for number in order {
            let number = u32::try_from(number).unwrap();
            rig.accept_i(&shard(1 + number, 0, "BE", number.to_string()).mid(number));
            received.extend(rig.recv_all(0));
        }
        assert_eq!(received, ["0", "1", "2", "3", "4"]);
    }
}

/// A message that needs no other one is delivered whatever waits: unordered, or the next one of its stream.
#[test]
fn others_do_not_wait() {
    let mut rig = Rig::interleaved();
    rig.accept_i(&shard(1, 0, "B", "a"));
    rig.accept_i(&shard(2, 0, "UB", "a"));
    rig.accept_i(&shard(3, 0, "UBE", "unordered").mid(1));
    rig.accept_i(&shard(4, 0, "BE", "other").stream(1));
    rig.accept_i(&shard(5, 0, "BE", "waits").mid(1));
    assert_eq!((rig.recv_all(0), rig.recv_all(1)), (vec!["unordered".into()], vec!["other".into()]));
    rig.accept_i(&shard(6, 1, "E", "b"));
    assert_eq!(rig.recv_all(0), ["ab", "waits"]);
}

/// RFC 8260 §2.1: the PPID stands in the first fragment alone.
#[test]
fn whole_value() {
    let mut rig = Rig::interleaved();
    let parts = [vec![1; 1200], vec![2; 3], vec![3; 700]];
    for (index, flags) in [(2, "E"), (0, "B"), (1, "")] {
        let number = if index == 0 { 51 } else { index };
        let payload = parts[index as usize].clone();
        rig.accept_i(&Shard { number, ..shard(1 + index, index, flags, payload) });
    }
    let expected = Message { ppid: Ppid(51), data: parts.concat().into() };
    assert_eq!(rig.receiver.recv(StreamId(0)), Some(expected));
}

/// Each script is a peer that breaks the rules with its last chunk. Nothing is delivered of what it breaks.
#[test]
fn inconsistent_fragments() {
    let twice = "fragment comes twice under different TSNs";
    let beyond = "fragment beyond the end of its message";
    let ends = "message ends twice";
    let used = "message identifier used twice";
    let past = "message identifier of a message that is complete";
    let scripts: Vec<(&str, Vec<Shard>)> = vec![
        (twice, vec![shard(1, 0, "B", "a"), shard(2, 0, "B", "x")]),
        (twice, vec![shard(1, 0, "B", "a"), shard(2, 0, "BE", "x")]),
        (twice, vec![shard(1, 0, "B", "a"), shard(2, 1, "", "b"), shard(3, 1, "", "x")]),
        (twice, vec![shard(1, 3, "", "d"), shard(2, 4, "", "e"), shard(3, 4, "E", "x")]),
        (twice, vec![shard(1, 3, "", "d"), shard(2, 4, "", "e"), shard(3, 3, "", "x")]),
        (twice, vec![shard(1, 2, "E", "c"), shard(2, 2, "E", "x")]),
        (beyond, vec![shard(1, 2, "E", "c"), shard(2, 3, "", "x")]),
        (beyond, vec![shard(1, 2, "", "c"), shard(2, 1, "E", "x")]),
        (beyond, vec![shard(1, 1, "", "c"), shard(2, 0, "BE", "x")]),
        (
            beyond,
            vec![shard(1, 0, "B", "a"), shard(2, 1, "", "b"), shard(3, 3, "", "d"), shard(4, 2, "E", "x")],
        ),
        (ends, vec![shard(1, 2, "E", "c"), shard(2, 3, "E", "x")]),
        (ends, vec![shard(1, 2, "E", "c"), shard(2, 1, "E", "x")]),
        ("first fragment without the B bit", vec![shard(1, 0, "", "a")]),
        ("first fragment without the B bit", vec![shard(1, 0, "UE", "a")]),
        // It is complete, and waits for its turn.
        (used, vec![shard(1, 0, "BE", "b").mid(1), shard(2, 0, "BE", "x").mid(1)]),
        (used, vec![shard(1, 0, "BE", "b").mid(1), shard(2, 1, "", "x").mid(1)]),
        (used, vec![shard(1, 0, "BE", "b").mid(1), shard(2, 0, "UB", "u"), shard(3, 0, "BE", "x").mid(1)]),
        // It was delivered.
        (past, vec![shard(1, 0, "BE", "a"), shard(2, 0, "BE", "x")]),
        (past, vec![shard(1, 0, "BE", "a"), shard(2, 1, "E", "x")]),
        (past, vec![shard(1, 0, "UB", "u"), shard(2, 0, "BE", "a"), shard(3, 0, "BE", "x")]),
    ];
    for (violation, mut shards) in scripts {
        let mut rig = Rig::interleaved();
        let last = shards.pop().unwrap();
        shards.iter().for_each(|shard| rig.accept_i(shard));
        assert_eq!(rig.take_i(&last), DataOutcome::Violation(violation), "{shards:?} then {last:?}");
        assert!(rig.recv_all(0).iter().all(|text| !text.contains('x')));
    }
}

/// Fragments of messages that share all but one of stream, ordering and MID stay apart.
#[test]
fn neighbours_are_not_mixed() {
    let mut rig = Rig::interleaved();
    let begin = shard(1, 0, "B", "a");
    let others = [
        shard(2, 1, "E", "x").stream(1),
        shard(3, 1, "E", "x").mid(1),
        shard(4, 1, "UE", "x"),
        shard(5, 1, "E", "x").mid(1 << 16),
    ];
    rig.accept_i(&begin);
    others.iter().for_each(|shard| rig.accept_i(shard));
    assert_eq!((rig.recv_all(0), rig.recv_all(1), rig.events()), (vec![], vec![], vec![]));
    rig.accept_i(&shard(6, 1, "E", "b"));
    assert_eq!(rig.recv_all(0), ["ab"]);
}

#[test]
fn refused_chunks() {
    let mut rig = Rig::interleaved();
    assert_eq!(rig.take_i(&shard(1, 0, "BE", "")), DataOutcome::NoUserData);
    assert_eq!(rig.take_i(&shard(1, 0, "B", "x").stream(10)), DataOutcome::InvalidStream);
    rig.accept_i(&shard(2, 0, "BE", "x"));
    assert_eq!(rig.take_i(&shard(2, 0, "BE", "x")), DataOutcome::Duplicate);
    assert_eq!(rig.take_i(&shard(40_000, 0, "BE", "x")), DataOutcome::Dropped(DropReason::OutsideWindow));
    assert_eq!((rig.receiver.cumulative_tsn(), rig.recv_all(0)), (Tsn(2), vec!["x".into()]));
    assert_eq!(rig.due().last().unwrap().duplicates, [2]);
}

/// RFC 8260 §2.2.3: "the receiver of the DATA chunk MUST abort the association".
#[test]
fn wrong_kind() {
    let violation = DataOutcome::Violation("DATA and I-DATA in one association");
    let mut rig = Rig::interleaved();
    assert_eq!(rig.take(&piece(1, "BE", "x")), violation);
    let mut rig = Rig::new();
    assert_eq!(rig.take_i(&shard(1, 0, "BE", "x")), violation);
    assert_eq!(rig.receiver.cumulative_tsn(), Tsn(0));
}

#[test]
fn parts_of_a_message_that_is_arriving() {
    let mut rig = Rig::interleaved();
    assert_eq!(rig.recv_part(0), None);
    rig.accept_i(&shard(1, 0, "B", "a"));
    assert_eq!(rig.events(), [readable(0)]);
    assert_eq!(rig.receiver.next_ppid(StreamId(0)), Some(Ppid(53)));
    rig.accept_i(&shard(2, 1, "", "b"));
    assert_eq!(rig.events(), []);
    assert_eq!(rig.recv_part(0), Some(("ab".into(), false)));
    assert_eq!((rig.recv_part(0), rig.recv(0)), (None, None));
    assert!(!rig.receiver.is_readable(StreamId(0)));
    rig.accept_i(&shard(4, 3, "E", "d"));
    assert_eq!((rig.events(), rig.recv_part(0)), (vec![], None));
    rig.accept_i(&shard(3, 2, "", "c"));
    assert_eq!(rig.events(), [readable(0)]);
    assert_eq!(rig.recv_part(0), Some(("cd".into(), true)));
    assert_eq!((rig.recv_part(0), rig.receiver.charge()), (None, 0));
}

/// Of several that have begun, each stream's next one is read; a message that is half read comes before all others.
#[test]
fn parts_of_several_messages() {
    let mut rig = Rig::interleaved();
    rig.accept_i(&shard(1, 0, "B", "later").mid(1));
    rig.accept_i(&shard(2, 0, "B", "other").stream(1));
    assert_eq!((rig.recv_part(0), rig.recv_part(1)), (None, Some(("other".into(), false))));
    rig.accept_i(&shard(3, 0, "UB", "u0"));
    rig.accept_i(&shard(4, 0, "UB", "u1").mid(1));
    assert_eq!(rig.recv_part(0), Some(("u0".into(), false)));
    rig.accept_i(&shard(5, 0, "B", "now"));
    rig.accept_i(&shard(6, 0, "UBE", "u2").mid(2));
    assert_eq!((rig.recv_part(0), rig.recv(0)), (None, None), "u0 goes on");
    rig.accept_i(&shard(7, 1, "UE", "!"));
    assert_eq!(rig.recv_part(0), Some(("!".into(), true)));
    assert_eq!(rig.recv_part(0), Some(("u2".into(), true)));
    assert_eq!(rig.recv_part(0), Some(("now".into(), false)));
    rig.accept_i(&shard(8, 1, "E", "!"));
    assert_eq!(rig.recv_part(0), Some(("!".into(), true)));
    assert_eq!(rig.recv_part(0), Some(("later".into(), false)));
    rig.accept_i(&shard(9, 1, "E", "!").mid(1));
    assert_eq!(rig.recv_part(0), Some(("!".into(), true)));
    assert_eq!(rig.recv_part(0), Some(("u1".into(), false)));
}

/// One transfer grows one buffer, made as large as the last one from the second message on.
#[test]
fn sequential_transfer() {
    let mut rig = Rig::interleaved();
    for n in 0..3 {
        rig.accept_i(&shard(1 + 3 * n, 0, "B", [1; 1000]).mid(n));
        assert_eq!(rig.receiver.charge(), 1000 + CHUNK_OVERHEAD);
        rig.accept_i(&shard(2 + 3 * n, 1, "", [2; 1000]).mid(n));
        assert_eq!(rig.receiver.charge(), 2000 + CHUNK_OVERHEAD);
        rig.accept_i(&shard(3 + 3 * n, 2, "E", [3; 500]).mid(n));
        assert_eq!(rig.receiver.recv(StreamId(0)).unwrap().data.len(), 2500);
    }
    let Assembler::Interleaved(interleaved) = &rig.receiver.assembler else { panic!() };
    assert!(interleaved.is_idle());
}

/// RFC 8260 §2.3.2: "the two counters […] used for the MIDs MUST be reset to 0."
#[test]
fn reset_begins_both_counters_anew() {
    let mut rig = Rig::interleaved();
    rig.accept_i(&shard(1, 0, "BE", "a"));
    rig.accept_i(&shard(2, 0, "UB", "b"));
    rig.accept_i(&shard(3, 1, "UE", "c"));
    assert_eq!(rig.receiver.reset_request(Tsn(3), &[StreamId(0)]), ResetOutcome::Done);
    rig.accept_i(&shard(4, 0, "UB", "d"));
    rig.accept_i(&shard(5, 0, "BE", "e"));
    rig.accept_i(&shard(6, 1, "UE", "f"));
    assert_eq!(rig.recv_all(0), ["a", "bc", "e", "df"]);
}

/// RFC 6525 §5.2.2 E2: messages beyond a deferred reset are held, incomplete ones too, and their MIDs begin at 0 again.
#[test]
fn deferred_reset() {
    let old = [shard(1, 0, "BE", "a"), shard(2, 0, "B", "b").mid(1), shard(3, 1, "E", "c").mid(1)];
    let new = [
        shard(4, 0, "B", "d"),
        shard(5, 0, "BE", "f").mid(1),
        shard(6, 1, "E", "e"),
        shard(7, 0, "UB", "g"),
        shard(8, 1, "UE", "h"),
    ];
    let shards: Vec<_> = old.into_iter().chain(new).collect();
    for order in permutations(shards.len()) {
        let mut rig = Rig::interleaved();
        assert_eq!(rig.receiver.reset_request(Tsn(3), &[StreamId(0)]), ResetOutcome::InProgress);
        order.iter().for_each(|&index| rig.accept_i(&shards[index]));
        let mut received = rig.recv_all(0);
        let unordered = received.iter().position(|text| text == "gh").unwrap();
        received.remove(unordered);
        assert_eq!(received, ["a", "bc", "de", "f"], "{order:?}");
        assert!(unordered >= 2, "{order:?}");
        assert_eq!((rig.receiver.charge(), rig.receiver.is_resetting()), (0, false));
    }
}

/// What overtook the request belongs to the sequence behind it.
#[test]
fn reset_after_data_beyond_it() {
    for is_deferred in [false, true] {
        let mut rig = Rig::interleaved();
        if !is_deferred {
            rig.accept_i(&shard(1, 0, "UBE", "a"));
        }
        rig.accept_i(&shard(2, 0, "B", "b"));
        rig.accept_i(&shard(3, 1, "UE", "d"));
        rig.accept_i(&shard(5, 0, "BE", "e").mid(1));
        let expected = if is_deferred { ResetOutcome::InProgress } else { ResetOutcome::Done };
        assert_eq!(rig.receiver.reset_request(Tsn(1), &[StreamId(0)]), expected);
        rig.receiver.check_invariants();
        if is_deferred {
            rig.accept_i(&shard(1, 0, "UBE", "a"));
        }
        rig.accept_i(&shard(4, 1, "E", "c"));
        rig.accept_i(&shard(6, 0, "UB", "x"));
        assert_eq!(rig.recv_all(0), ["a", "bc", "e", "xd"]);
        assert_eq!(rig.receiver.charge(), 0);
    }
}

/// What is incomplete when its stream is reset never will be complete. Whoever reads it hears of that.
#[test]
fn reset_of_incomplete_messages() {
    let mut rig = Rig::interleaved();
    rig.accept_i(&shard(1, 0, "B", "a"));
    rig.accept_i(&shard(2, 1, "UE", "x"));
    rig.accept_i(&shard(3, 0, "B", "other").stream(1));
    assert_eq!(rig.recv_part(0), Some(("a".into(), false)));
    assert_eq!(rig.receiver.reset_request(Tsn(3), &[StreamId(0)]), ResetOutcome::Done);
    rig.receiver.check_invariants();
    assert_eq!(rig.recv_part(0), Some((ABANDONED.into(), true)));
    rig.accept_i(&shard(4, 0, "BE", "new"));
    rig.accept_i(&shard(5, 1, "E", "!").stream(1));
    assert_eq!((rig.recv_all(0), rig.recv_all(1)), (vec!["new".into()], vec!["other!".into()]));
    assert_eq!(rig.receiver.charge(), 0);
}

/// A restart keeps what can be read and forgets the rest, on both sides of a deferred reset.
#[test]
fn restart() {
    let mut rig = Rig::interleaved();
    rig.accept_i(&shard(1, 0, "BE", "kept"));
    rig.accept_i(&shard(2, 0, "B", "a").stream(1));
    assert_eq!(rig.receiver.reset_request(Tsn(4), &[StreamId(0)]), ResetOutcome::InProgress);
    rig.accept_i(&shard(5, 0, "B", "lost"));
    rig.accept_i(&shard(6, 0, "BE", "lost").mid(1));
    assert_eq!(rig.recv_part(1), Some(("a".into(), false)));
    rig.receiver.start(Tsn(7000), 10, true);
    rig.receiver.check_invariants();
    rig.accept_i(&shard(7000, 0, "BE", "new"));
    assert_eq!(rig.recv_all(0), ["kept", "new"]);
    assert_eq!(rig.recv_part(1), Some((ABANDONED.into(), true)));
    assert_eq!(rig.receiver.charge(), 0);
    // The other kind of association.
    rig.receiver.start(Tsn(1), 10, false);
    rig.accept(&piece(1, "BE", "data"));
    assert_eq!(rig.recv_all(0), ["data"]);
}
