//! Reassembly (RFC 9260 §6.9).

use super::*;
use proptest::prelude::*;

/// A message of `n` one-letter fragments from TSN `first` on.
fn fragments(first: u32, n: usize, unordered: bool, ssn: u16) -> Vec<Piece> {
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
    let letter = |index: usize| [b'a' + u8::try_from(index % 26).unwrap()];
    let number = |index: usize| first.wrapping_add(u32::try_from(index).unwrap());
    (0..n).map(|index| piece(number(index), flags(index), letter(index)).ssn(ssn)).collect()
}

fn text(n: usize) -> String {
    (0..n).map(|index| char::from(b'a' + u8::try_from(index % 26).unwrap())).collect()
}

#[test]
fn every_order_of_up_to_seven_fragments() {
    for unordered in [false, true] {
        for n in 1..=7 {
            let pieces = fragments(1, n, unordered, 0);
            for order in permutations(n) {
                let mut rig = Rig::new();
                for (count, &index) in order.iter().enumerate() {
                    assert_eq!(rig.recv(0), None, "{order:?} after {count}");
                    rig.accept(&pieces[index]);
                }
                assert_eq!(rig.recv_all(0), [text(n)], "{order:?}");
                assert_eq!(rig.receiver.charge(), 0);
            }
        }
    }
}

/// Three messages in one stream whose fragments all arrive in any order: none is glued to its neighbour.
#[test]
fn every_order_of_neighbouring_messages() {
    for unordered in [false, true] {
        let mut pieces = fragments(1, 2, unordered, 0);
        pieces.extend(fragments(3, 1, unordered, 1));
        pieces.extend(fragments(4, 3, unordered, 2));
        for order in permutations(6) {
            let mut rig = Rig::new();
            order.iter().for_each(|&index| rig.accept(&pieces[index]));
            let mut received = rig.recv_all(0);
            if unordered {
                received.sort();
            } else {
                received.sort_by_key(String::len);
                received.swap(0, 1);
            }
            let expected = if unordered { ["a", "ab", "abc"] } else { ["ab", "a", "abc"] };
            assert_eq!(received, expected, "{order:?}");
        }
    }
}

proptest! {
    #[test]
    fn random_orders_of_long_messages(
        n in 8..60_usize,
        initial in any::<u32>(),
        unordered: bool,
        priorities in prop::collection::vec(any::<u32>(), 60),
    ) {
        let config = ReceiverConfig::default();
        let mut rig = Rig::starting_at(config, initial);
        let mut order: Vec<_> = fragments(initial, n, unordered, 0).into_iter().zip(priorities).collect();
        order.sort_by_key(|(_, priority)| *priority);
        order.iter().for_each(|(piece, _)| rig.accept(piece));
        prop_assert_eq!(rig.recv_all(0), [text(n)]);
        prop_assert_eq!(rig.receiver.charge(), 0);
    }
}

/// RFC 9260 §1.6: TSNs wrap.
#[test]
fn fragments_across_the_wrap() {
    let config = ReceiverConfig::default();
    let mut rig = Rig::starting_at(config, u32::MAX - 1);
    let pieces = fragments(u32::MAX - 1, 4, false, 0);
    for index in [3, 0, 2, 1] {
        rig.accept(&pieces[index]);
    }
    assert_eq!(rig.recv_all(0), ["abcd"]);
    assert_eq!(rig.receiver.cumulative_tsn(), Tsn(1));
}

/// The PPID is the first fragment's, and payload of many sizes is joined byte for byte.
#[test]
fn whole_value() {
    let mut rig = Rig::new();
    let parts = [vec![1; 1200], vec![2; 3], vec![3; 700]];
    for (index, flags) in [(2, "E"), (0, "B"), (1, "")] {
        let tsn = 1 + u32::try_from(index).unwrap();
        rig.accept(&piece(tsn, flags, &parts[index]).ppid(51));
    }
    let expected = Message { ppid: Ppid(51), data: parts.concat().into() };
    assert_eq!(rig.receiver.recv(StreamId(0)), Some(expected));
}

/// Each script is a peer that breaks the rules with its last chunk.
#[test]
fn inconsistent_fragments() {
    let begins = "message begins before the end of another";
    let headless = "fragment without a beginning";
    let scripts: Vec<(&str, Vec<Piece>)> = vec![
        (begins, vec![piece(1, "B", "a"), piece(2, "B", "b")]),
        (begins, vec![piece(1, "B", "a"), piece(2, "BE", "b")]),
        (begins, vec![piece(2, "BE", "b").ssn(1), piece(1, "B", "a")]),
        (begins, vec![piece(2, "B", "b").ssn(1), piece(1, "B", "a")]),
        (begins, vec![piece(1, "B", "a"), piece(3, "B", "c").ssn(1), piece(2, "", "b")]),
        (headless, vec![piece(1, "", "a")]),
        (headless, vec![piece(1, "E", "a")]),
        (headless, vec![piece(1, "BE", "a"), piece(2, "E", "b")]),
        (headless, vec![piece(3, "E", "c"), piece(4, "", "d")]),
        (headless, vec![piece(3, "", "c"), piece(2, "BE", "b")]),
        (headless, vec![piece(3, "", "c"), piece(2, "E", "b")]),
        ("stream changes within a message", vec![piece(1, "B", "a"), piece(2, "E", "b").stream(1)]),
        ("stream changes within a message", vec![piece(2, "E", "b").stream(1), piece(1, "B", "a")]),
        ("ordering changes within a message", vec![piece(1, "B", "a"), piece(2, "UE", "b")]),
        ("ordering changes within a message", vec![piece(2, "UE", "b"), piece(1, "B", "a")]),
        (
            "stream sequence number changes within a message",
            vec![piece(1, "B", "a"), piece(2, "E", "b").ssn(1)],
        ),
        (
            "payload protocol identifier changes within a message",
            vec![piece(1, "B", "a"), piece(2, "E", "b").ppid(51)],
        ),
    ];
    for (violation, mut pieces) in scripts {
        let mut rig = Rig::new();
        let last = pieces.pop().unwrap();
        pieces.iter().for_each(|piece| rig.accept(piece));
        assert_eq!(rig.take(&last), DataOutcome::Violation(violation), "{pieces:?} then {last:?}");
    }
}

/// A stream that does not exist cannot be used to tear a message apart either.
#[test]
fn invalid_stream_within_a_message() {
    let mut rig = Rig::new();
    rig.accept(&piece(2, "E", "b"));
    let outcome = rig.take(&piece(1, "B", "a").stream(10));
    assert_eq!(outcome, DataOutcome::Violation("stream changes within a message"));
    let mut rig = Rig::new();
    for (tsn, flags) in [(1, "B"), (2, ""), (3, "E")] {
        assert_eq!(rig.take(&piece(tsn, flags, "x").stream(10)), DataOutcome::InvalidStream);
    }
    rig.accept(&piece(4, "BE", "fine"));
}

/// RFC 9260 §6.6: of unordered chunks the SSN "has no significance".
#[test]
fn unordered_fragments_may_carry_any_ssn() {
    let mut rig = Rig::new();
    rig.accept(&piece(1, "UB", "a").ssn(9));
    rig.accept(&piece(2, "UE", "b").ssn(77));
    assert_eq!(rig.recv_all(0), ["ab"]);
}

#[test]
fn no_user_data() {
    let mut rig = Rig::new();
    assert_eq!(rig.take(&piece(1, "BE", "")), DataOutcome::NoUserData);
    assert_eq!(rig.receiver.cumulative_tsn(), Tsn(0));
}

/// RFC 8841 §6: what is too large is acknowledged and thrown away; the stream goes on behind it.
#[test]
fn message_over_the_limit_is_discarded() {
    for order in permutations(4) {
        let mut rig = Rig::with(|config| config.max_message_size = 5);
        let pieces =
            [piece(1, "B", "aaa"), piece(2, "", "bbb"), piece(3, "E", "ccc"), piece(4, "BE", "fine").ssn(1)];
        let outcomes: Vec<_> = order.iter().map(|&index| rig.take(&pieces[index])).collect();
        let said = outcomes.iter().filter(|outcome| **outcome == DataOutcome::TooLarge(StreamId(0))).count();
        let accepted = outcomes.iter().filter(|outcome| **outcome == DataOutcome::Accepted).count();
        assert_eq!((said, accepted), (1, 3), "{order:?} {outcomes:?}");
        assert_eq!(rig.recv_all(0), ["fine"], "{order:?}");
        assert_eq!((rig.receiver.charge(), rig.receiver.cumulative_tsn()), (0, Tsn(4)));
    }
    let mut rig = Rig::with(|config| config.max_message_size = 5);
    assert_eq!(rig.take(&piece(1, "BE", "abcdef")), DataOutcome::TooLarge(StreamId(0)));
    rig.accept(&piece(2, "BE", "abcde").ssn(1));
    assert_eq!(rig.recv_all(0), ["abcde"]);
}

/// What is held of a message that grows too large goes at once, not when it ends.
#[test]
fn message_over_the_limit_is_not_buffered_on() {
    let mut rig = Rig::with(|config| config.max_message_size = 1000);
    rig.accept(&piece(1, "B", [0; 900]));
    assert_eq!(rig.take(&piece(2, "", [0; 900])), DataOutcome::TooLarge(StreamId(0)));
    for tsn in 3..1000 {
        rig.accept(&piece(tsn, "", [0; 900]));
        assert_eq!(rig.receiver.charge(), 0);
    }
}

/// The 65th message that begins out of sequence on a stream has to come again later; the next in sequence has not.
#[test]
fn incomplete_messages_are_limited() {
    let mut rig = Rig::with(|config| config.window = 64 << 10);
    for n in 0..64 {
        rig.accept(&piece(3 + 2 * n, "UB", "x"));
    }
    let more = piece(131, "UB", "x");
    assert_eq!(rig.take(&more), DataOutcome::Dropped(DropReason::TooManyIncomplete));
    assert!(rig.receiver.sack_due());
    rig.accept(&more.clone().stream(1));
    rig.accept(&piece(133, "UBE", "y"));
    rig.accept(&piece(1, "UB", "a"));
    rig.accept(&piece(2, "UE", "b"));
    assert_eq!(rig.recv_all(0), ["y", "ab"]);
}

/// A typical message needs one allocation: the next one is expected to be as large as the last.
#[test]
fn buffer_of_the_likely_size() {
    let mut rig = Rig::new();
    for n in 0..2 {
        rig.accept(&piece(1 + 3 * n, "UB", [1; 1000]));
        rig.accept(&piece(2 + 3 * n, "U", [2; 1000]));
        rig.accept(&piece(3 + 3 * n, "UE", [3; 500]));
    }
    rig.accept(&piece(7, "UB", [1; 1000]));
    let Assembler::Sequential(reassembly) = &rig.receiver.assembler else { panic!() };
    assert_eq!(reassembly.readable_part().unwrap().2 & 0xffff, 7);
    let first = rig.receiver.recv(StreamId(0)).unwrap();
    assert_eq!(first.data.len(), 2500);
}
