use super::*;
use proptest::prelude::*;

fn message(first: u64) -> Message {
    Message { first, stream: StreamId(0), mid: Mid(0), unordered: false }
}

/// The definition: every end is held against every message.
fn boundary_below(messages: &BTreeMap<u64, Message>, limit: u64) -> Option<u64> {
    let is_inside = |at: u64| messages.iter().any(|(&end, message)| message.first < at && at < end);
    messages.keys().copied().filter(|&end| end < limit && !is_inside(end)).max()
}

proptest! {
    /// RFC 3758 §3.5 C2: messages whose fragments lie among each other, given up in any order while the cumulative TSN
    /// moves.
    #[test]
    fn the_boundary_is_inside_no_message(
        owners in prop::collection::vec(0usize..8, 1..60),
        order in Just((0usize..8).collect::<Vec<_>>()).prop_shuffle(),
        advances in prop::collection::vec(0u64..12, 8),
    ) {
        let mut given_up = Messages::default();
        let mut base = 0;
        for (owner, advance) in order.into_iter().zip(advances) {
            let tsns = || (0..).zip(&owners).filter(|(_, of)| **of == owner).map(|(tsn, _)| tsn);
            let mut outstanding = tsns().filter(|tsn| *tsn >= base);
            if let (Some(first), Some(end)) = (outstanding.next(), tsns().last()) {
                given_up.insert(end, message(first));
            }
            base += advance;
            given_up.forget_below(base);
            for limit in 0..=60 {
                prop_assert_eq!(given_up.boundary_below(limit), boundary_below(&given_up.by_end, limit));
            }
        }
    }
}

/// To look for the boundary does not take longer the more messages lie inside another: together they are one.
#[test]
fn what_lies_inside_others_is_not_looked_at() {
    let mut given_up = Messages::default();
    for tsn in 2..1000 {
        given_up.insert(tsn, message(tsn));
    }
    assert_eq!(given_up.spans.len(), 998);
    given_up.insert(1000, message(1));
    assert_eq!(given_up.spans, BTreeMap::from([(1000, 1)]));
    assert_eq!((given_up.boundary_below(1000), given_up.boundary_below(1001)), (None, Some(1000)));
}

/// What is named is found from where the last search ended, whatever is forgotten, given up late or taken back.
#[test]
fn names_are_those_of_the_last_messages() {
    let mut given_up = Messages::default();
    let of = |stream, mid| Message { first: 0, stream: StreamId(stream), mid: Mid(mid), unordered: false };
    let named = |given_up: &mut Messages, point| -> Vec<_> {
        given_up
            .name_to(point, 9, |_| true)
            .unwrap()
            .iter()
            .map(|(kind, named)| (kind.0.0, named.0.0))
            .collect()
    };
    for (end, stream, mid) in [(1, 0, 0), (2, 1, 0), (3, 0, 1), (5, 2, 0), (6, 0, 2)] {
        given_up.insert(end, Message { first: end, ..of(stream, mid) });
    }
    assert_eq!(named(&mut given_up, 3), [(0, 1), (1, 0)]);
    assert_eq!(named(&mut given_up, 6), [(0, 2), (1, 0), (2, 0)]);
    given_up.forget_below(3);
    assert_eq!(named(&mut given_up, 6), [(0, 2), (2, 0)], "the end of one is behind the cumulative TSN");
    given_up.insert(4, Message { first: 4, ..of(3, 7) });
    assert_eq!(named(&mut given_up, 6), [(0, 2), (2, 0), (3, 7)], "one was given up late");
    assert_eq!(named(&mut given_up, 4), [(0, 1), (3, 7)], "the point went back");
    given_up.forget_below(7);
    assert!(given_up.is_empty());
    assert!(named(&mut given_up, 9).is_empty());
}

/// What there is no room for is not looked at again and again: the search goes on there when there is room.
#[test]
fn names_go_as_far_as_there_is_room() {
    let mut given_up = Messages::default();
    for end in 1..=9 {
        let stream = StreamId(u16::try_from(end / 3).unwrap());
        given_up.insert(end, Message { stream, ..message(end) });
    }
    assert_eq!(given_up.name_to(9, 2, |_| true).unwrap_err(), 6);
    assert_eq!((given_up.named.len(), given_up.named_to), (2, 5));
    given_up.forget_below(3);
    assert_eq!(given_up.name_to(9, 2, |_| true).unwrap_err(), 9);
    assert_eq!((given_up.named.len(), given_up.named_to), (2, 8));
    assert_eq!(given_up.name_to(8, 2, |_| true).unwrap().len(), 2);
    assert_eq!(given_up.name_to(9, 1, |_| true).unwrap_err(), 6, "less room than before");
    assert_eq!(given_up.name_to(9, 3, |_| true).unwrap().len(), 3);
}
