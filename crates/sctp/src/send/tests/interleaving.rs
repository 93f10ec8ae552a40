//! RFC 8260: I-DATA, which stream sends next, and I-FORWARD-TSN.

use super::super::*;
use super::bench::*;

const INTERLEAVED: Terms = Terms { interleaving: true, partial_reliability: true, ..TERMS };
/// Room for 1156 bytes of payload behind a header of 20.
const I_FULL: usize = 1156;

fn bench() -> Bench {
    Bench::agreeing_on(wide(), INTERLEAVED)
}

/// With a congestion window of so many packets.
fn bench_with_window(packets: usize) -> Bench {
    let mut config = wide();
    config.congestion.initial_window = crate::congestion::InitialWindow::Packets(packets);
    Bench::agreeing_on(config, INTERLEAVED)
}

fn once() -> Reliability {
    Reliability::MaxRetransmits(0)
}

/// Stream, MID, FSN and flags of each fragment.
fn fragments(packets: &[Vec<Seen>]) -> Vec<(u16, u32, u32, &str)> {
    packets.iter().flatten().map(|seen| (seen.stream, seen.ssn, seen.fsn, &*seen.flags)).collect()
}

fn streams(packets: &[Vec<Seen>]) -> Vec<u16> {
    packets.iter().flatten().map(|seen| seen.stream).collect()
}

/// RFC 8260 §2.1: "The length of the I-DATA chunk header is 20 bytes"; "starting from 0 and incremented by 1"; "one for
/// ordered messages and one for unordered messages. All of these counters are independent and initially 0."
#[test]
fn fragments_are_numbered() {
    let mut bench = bench();
    bench.send(3, vec![1; 2 * I_FULL + 1]);
    for ordered in [false, true, false] {
        bench.limited_part(3, *b"x", true, ordered, Reliability::Reliable).expect("sends");
    }
    let packets = bench.packets();
    let expected =
        [(3, 0, 0, "B"), (3, 0, 1, ""), (3, 0, 2, "E"), (3, 0, 0, "UBE"), (3, 1, 0, "BE"), (3, 1, 0, "UBE")];
    assert_eq!(fragments(&packets), expected);
    assert_eq!(packets[0][0].payload.len(), I_FULL);
    let tsns: Vec<_> = packets.iter().flatten().map(|seen| seen.tsn).collect();
    assert_eq!(tsns, (1000..1006).collect::<Vec<_>>(), "in the order of transmission");
    assert_eq!(bench.sender.stats().bytes_in_flight, 2 * CHUNK + 4 * 24);
}

/// RFC 8260 §2.1: "the serial number arithmetic defined in [RFC1982] using SERIAL_BITS = 32 applies".
#[test]
fn message_identifiers_wrap_at_32_bits() {
    let mut bench = bench();
    bench.sender.queue.set_next_ssn(StreamId(0), u32::MAX);
    bench.limited(0, *b"x", once());
    bench.limited(0, *b"x", once());
    assert_eq!(fragments(&bench.packets()), [(0, u32::MAX, 0, "BE"), (0, 0, 0, "BE")]);
    bench.run_to_deadline();
    assert_eq!(bench.packets(), [[]]);
    assert_eq!(bench.forwards(), [Forwarded { point: 1, skipped: vec![(0, false, 0)] }]);
}

/// RFC 8260 §2.3.2.
#[test]
fn a_reset_begins_both_counters_anew() {
    let mut bench = bench();
    for ordered in [true, false] {
        bench.limited_part(3, *b"x", true, ordered, Reliability::Reliable).expect("sends");
    }
    bench.packets();
    bench.sender.begin_reset(bench.now, &[StreamId(3)]);
    bench.sack(2, &[]);
    bench.sender.reset_stream(bench.now, StreamId(3));
    for ordered in [true, false] {
        bench.limited_part(3, *b"x", true, ordered, Reliability::Reliable).expect("sends");
    }
    assert_eq!(fragments(&bench.packets()), [(3, 0, 0, "BE"), (3, 0, 0, "UBE")]);
}

/// RFC 8260 §2.2.2: "The sender MUST NOT process … more than one user message in any given stream at any time." Other
/// streams interleave.
#[test]
fn streams_interleave_and_messages_of_a_stream_do_not() {
    let mut bench = bench();
    bench.send(1, vec![1; 3 * I_FULL]);
    bench.limited_part(1, vec![1; 2 * I_FULL], true, false, Reliability::Reliable).expect("sends");
    bench.send(2, vec![2; 2 * I_FULL]);
    let expected = [
        (1, 0, 0, "B"),
        (2, 0, 0, "B"),
        (1, 0, 1, ""),
        (2, 0, 1, "E"),
        (1, 0, 2, "E"),
        (1, 0, 0, "UB"),
        (1, 0, 1, "UE"),
    ];
    assert_eq!(fragments(&bench.packets()), expected);
}

/// What was queued before the start goes as I-DATA, in the order of its streams.
#[test]
fn what_was_queued_early_interleaves() {
    let mut bench = Bench { sender: Sender::new(wide()), ..bench() };
    bench.send(5, vec![5; 2 * I_FULL]);
    bench.send(1, vec![1; 2 * I_FULL]);
    bench.sender.start(bench.now, &INTERLEAVED);
    assert_eq!(streams(&bench.packets()), [1, 5, 1, 5]);
}

/// RFC 8260 §3.4: "the sending of large, lower-priority user messages will not delay the sending of higher-priority user
/// messages." Here the priority does not even matter.
#[test]
fn a_small_message_waits_for_one_packet_at_most() {
    for priority in [128, 256, 1024] {
        let mut bench = bench_with_window(4);
        bench.sender.set_priority(StreamId(2), priority);
        bench.send(1, vec![1; 500 * I_FULL]);
        assert_eq!(bench.packets().len(), 4);
        for n in 1..9 {
            bench.send(2, *b"small");
            bench.sack(n, &[]);
            let packets = bench.packets();
            let before = streams(&packets).iter().take_while(|stream| **stream == 1).count();
            assert!(before <= 1, "{packets:?}");
        }
    }
}

/// RFC 8260 §3.6, RFC 8831 §6.4.
#[test]
fn shares_follow_priorities() {
    let mut bench = bench();
    let priorities = [128, 256, 512, 1024];
    for (stream, priority) in (0..).zip(priorities) {
        bench.sender.set_priority(StreamId(stream), priority);
        for n in 0..20 {
            // Some large, some small ones.
            bench.send(stream, vec![1; if stream % 2 == 0 { 60_000 } else { 3000 + 2900 * n }]);
        }
    }
    let mut sent = [0; 4];
    let mut total = 0;
    'sending: for packet in bench.packets() {
        for seen in packet {
            sent[usize::from(seen.stream)] += seen.payload.len();
            total += seen.payload.len();
            if total >= 1_000_000 {
                break 'sending;
            }
        }
    }
    for (sent, priority) in sent.into_iter().zip(priorities) {
        let share = total * usize::from(priority) / (128 + 256 + 512 + 1024);
        assert!(sent.abs_diff(share) <= share / 10, "{sent} instead of {share} with {priority}");
    }
}

/// A priority stays when the stream has nothing to send, and goes with a reset.
#[test]
fn priorities_last_until_the_reset() {
    let mut bench = bench();
    let of_forty = |bench: &mut Bench, next: &mut u32| {
        for stream in [0, 1] {
            bench.send(stream, vec![1; 40 * I_FULL]);
        }
        let packets = bench.packets();
        *next += 80;
        bench.sack(*next, &[]);
        streams(&packets)[..40].iter().filter(|stream| **stream == 0).count()
    };
    let mut next = 0;
    bench.sender.set_priority(StreamId(0), 1024);
    for _ in 0..2 {
        assert!((31..=33).contains(&of_forty(&mut bench, &mut next)));
    }
    bench.sender.begin_reset(bench.now, &[StreamId(0)]);
    bench.sender.reset_stream(bench.now, StreamId(0));
    bench.sender.begin_reset(bench.now, &[StreamId(1)]);
    bench.sender.reset_stream(bench.now, StreamId(1));
    assert_eq!(of_forty(&mut bench, &mut next), 20);
}

/// A window full of incomplete messages would never open again: those that do not fit beside the others wait, and hold up
/// nobody else.
#[test]
fn long_messages_begin_only_if_the_window_holds_them() {
    let mut bench = Bench::agreeing_on(wide(), Terms { peer_rwnd: 25_000, ..INTERLEAVED });
    for stream in 0..4 {
        bench.send(stream, vec![1; 10_000]);
    }
    bench.send(4, *b"short");
    bench.a_rwnd = 25_000;
    let mut begun = Vec::new();
    let mut next = 0;
    while !bench.sender.is_idle() {
        for seen in bench.packets().iter().flatten() {
            if seen.flags.contains('B') {
                begun.push(seen.stream);
            }
            next += 1;
        }
        bench.sack(next, &[]);
    }
    assert_eq!(begun, [0, 1, 4, 2, 3]);
}

/// Shorter messages that would fit do not overtake one that waits, or it would do so for ever.
#[test]
fn a_long_message_is_not_overtaken_by_shorter_ones() {
    let mut bench = Bench::agreeing_on(wide(), Terms { peer_rwnd: 10_000, ..INTERLEAVED });
    bench.a_rwnd = 10_000;
    bench.part(0, vec![1; 5000], false).expect("sends");
    bench.send(1, vec![1; 9000]);
    bench.send(2, vec![1; 2000]);
    assert!(streams(&bench.packets()).iter().all(|stream| *stream == 0));
    bench.part(0, [], true).expect("ends");
    let packets = bench.packets();
    assert_eq!(streams(&packets)[..2], [0, 1], "{packets:?}");
}

/// It would wait for ever else.
#[test]
fn a_message_larger_than_the_window_may_begin_alone() {
    let mut bench = Bench::agreeing_on(wide(), Terms { peer_rwnd: 5000, ..INTERLEAVED });
    bench.a_rwnd = 5000;
    bench.send(0, vec![1; 9000]);
    bench.send(1, vec![1; 9000]);
    bench.send(1, *b"short, but behind a long one");
    bench.send(2, *b"short");
    let mut begun = Vec::new();
    let mut next = 0;
    while !bench.sender.is_idle() {
        let packets = bench.packets();
        begun
            .extend(packets.iter().flatten().filter(|seen| seen.flags.contains('B')).map(|seen| seen.stream));
        next += u32::try_from(packets.iter().flatten().count()).unwrap();
        bench.sack(next, &[]);
    }
    assert_eq!(begun, [0, 2, 1, 1]);
}

/// A larger window lets those begin that waited; one that was larger once counts while it is small.
#[test]
fn the_largest_window_counts() {
    let mut bench = Bench::agreeing_on(wide(), Terms { peer_rwnd: 10_000, ..INTERLEAVED });
    bench.part(0, vec![1; 9000], false).expect("sends");
    bench.part(1, vec![1; 9000], false).expect("sends");
    assert!(!streams(&bench.packets()).contains(&1));
    bench.a_rwnd = 20_000;
    bench.sack(0, &[]);
    assert!(streams(&bench.packets()).contains(&1));
    bench.a_rwnd = 3000;
    bench.sack(1, &[]);
    bench.part(0, [], true).expect("ends");
    bench.a_rwnd = 20_000;
    bench.sack(1, &[]);
    bench.packets();
    bench.send(2, vec![1; 9000]);
    assert!(streams(&bench.packets()).contains(&2), "it has the place of the first one");
}

/// The room of a message that ends by being given up is free again.
#[test]
fn what_is_given_up_makes_room_for_others() {
    let mut bench = Bench::agreeing_on(wide(), Terms { peer_rwnd: 10_000, ..INTERLEAVED });
    bench.a_rwnd = 10_000;
    bench.limited_part(0, vec![1; 9000], false, true, Reliability::MaxLifetime(ms(30))).expect("sends");
    bench.send(1, vec![1; 9000]);
    bench.send(2, vec![1; 2000]);
    let packets = bench.packets();
    assert!(streams(&packets).iter().all(|stream| *stream == 0), "{packets:?}");
    assert_eq!(bench.run_to_deadline(), (ms(30), None));
    bench.sack(0, &[]);
    let packets = bench.packets();
    assert_eq!(streams(&packets), [1, 1, 1, 1, 1, 1, 1, 1, 2, 2], "the next one in turn");
}

/// While a message waits for its next part, others go on: with I-DATA nobody has to wait.
#[test]
fn an_open_message_keeps_nobody_waiting() {
    let mut bench = bench();
    bench.part(0, vec![1; 2 * I_FULL], false).expect("sends");
    bench.send(1, *b"other");
    assert_eq!(fragments(&bench.packets()), [(0, 0, 0, "B"), (1, 0, 0, "BE")]);
    bench.part(0, *b"end", true).expect("ends");
    bench.send(0, *b"next");
    assert_eq!(fragments(&bench.packets()), [(0, 0, 1, ""), (0, 0, 2, "E"), (0, 1, 0, "BE")]);
}

/// RFC 8260 §2.3.1: (SID, U, MID); fragments of a message are found wherever their TSNs are.
#[test]
fn interleaved_messages_are_given_up_whole() {
    let mut bench = bench();
    bench.limited(1, vec![1; 3 * I_FULL], once());
    bench.limited_part(2, vec![2; 3 * I_FULL], true, false, once()).expect("sends");
    bench.send(3, vec![3; 3 * I_FULL]);
    assert_eq!(streams(&bench.packets()), [1, 2, 3, 1, 2, 3, 1, 2, 3]);
    bench.now += ms(20);
    // Of stream 1 the middle is missing, of stream 2 the end.
    for end in 4..=6 {
        bench.sack(3, &[(4, end)]);
    }
    let (messages, bytes) = (bench.sender.stats().messages_abandoned, bench.sender.stats().bytes_abandoned);
    assert_eq!((messages, bytes), (1, 2 * I_FULL as u64), "its first fragment is acknowledged for good");
    assert_eq!(bench.packets(), [[]]);
    assert_eq!(bench.forwards(), [Forwarded { point: 6, skipped: vec![(1, false, 0)] }]);
    bench.sack(3, &[(4, 6), (8, 8)]);
    bench.run_to_deadline();
    assert_eq!(bench.packets(), [[]]);
    let skipped = vec![(1, false, 0), (2, true, 0)];
    assert_eq!(bench.forwards(), [Forwarded { point: 7, skipped }]);
    bench.sack(9, &[]);
    assert!(bench.sender.is_idle());
}

/// The point does not come to lie inside a message that was given up: usrsctp aborts when a fragment of a message that it
/// was told to skip comes late.
#[test]
fn the_point_is_inside_no_message() {
    let mut bench = bench();
    bench.limited(1, vec![1; 2 * I_FULL], once());
    bench.limited(2, vec![2; 3 * I_FULL], once());
    bench.send(3, vec![3; 3 * I_FULL]);
    assert_eq!(streams(&bench.packets()), [1, 2, 3, 1, 2, 3, 2, 3]);
    bench.sack(0, &[(2, 2)]);
    bench.run_to_deadline();
    // TSN 3 ends the message of stream 1, but lies inside that of stream 2, which ends behind TSN 5.
    assert_eq!(bench.tsns(), [[5]]);
    assert_eq!(bench.forwards(), []);
    bench.sack(0, &[(2, 2), (5, 5)]);
    let packets = bench.tsns();
    assert_eq!(packets[0], [0_u32; 0]);
    let skipped = vec![(1, false, 0), (2, false, 0)];
    assert_eq!(bench.forwards(), [Forwarded { point: 6, skipped }]);
}

/// A message that was given up later may lie around the point. It is named although the point lies inside it: the peer may
/// have taken back what it had of it before the point, and have the rest.
#[test]
fn what_is_given_up_around_the_point_is_named() {
    let mut bench = bench();
    let lifetime = bench.sender.rto() + ms(10);
    let mut send = |stream, len, last, reliability| {
        bench.limited_part(stream, vec![1; len], last, true, reliability).expect("sends");
        bench.packets();
    };
    send(4, 1, true, once());
    send(1, 2 * I_FULL, false, Reliability::MaxLifetime(lifetime));
    send(2, 1, true, once());
    send(3, 1, true, Reliability::Reliable);
    send(1, 0, true, Reliability::MaxLifetime(lifetime));
    bench.sack(0, &[(1, 1)]);
    bench.run_to_deadline();
    bench.now += ms(20);
    bench.packets();
    assert_eq!(bench.sender.stats().messages_abandoned, 3);
    let told = Forwarded { point: 2, skipped: vec![(2, false, 0), (4, false, 0)] };
    assert_eq!(bench.forwards(), [told]);
    // That was lost.
    bench.now += bench.sender.rto();
    bench.sack(0, &[(4, 4)]);
    bench.packets();
    assert_eq!(bench.forwards(), [Forwarded { point: 0, skipped: vec![(4, false, 0)] }]);
    bench.sack(1, &[(4, 4)]);
    bench.packets();
    let skipped = vec![(1, false, 0), (2, false, 0)];
    assert_eq!(bench.forwards(), [Forwarded { point: 2, skipped }]);
    bench.sack(5, &[]);
    assert!(bench.sender.is_idle());
}

/// What the peer holds of a message that was given up may be what it lacks the room for: it is told of it although the
/// message ends behind what it does not take.
#[test]
fn a_peer_without_room_is_told_of_messages_that_end_later() {
    let mut bench = bench();
    bench.limited(1, vec![1; 2 * I_FULL], once());
    bench.limited(2, vec![2; 3 * I_FULL], once());
    bench.send(3, vec![3; 3 * I_FULL]);
    assert_eq!(streams(&bench.packets()), [1, 2, 3, 1, 2, 3, 2, 3]);
    // It takes nothing: TSN 2, the first that it is to have, comes again and again.
    for skipped in [None, Some(vec![(1, false, 0), (2, false, 0)])] {
        bench.sack(0, &[]);
        bench.run_to_deadline();
        bench.packets();
        let forwards: Vec<_> = skipped.into_iter().map(|skipped| Forwarded { point: 1, skipped }).collect();
        assert_eq!(bench.forwards(), forwards);
    }
    // At their ends they are named again.
    bench.sack(8, &[]);
    assert!(bench.sender.is_idle());
}

/// More messages overlap than one chunk can name: it ends inside some, and names them with the first fragment that is passed.
/// A peer that has all the others goes on by itself, and hears of none again.
#[test]
fn overlapping_messages_of_two_thousand_streams_are_told() {
    for has_their_ends in [false, true] {
        let mut bench =
            Bench::agreeing_on(wide(), Terms { streams: 2000, peer_rwnd: u32::MAX, ..INTERLEAVED });
        bench.a_rwnd = u32::MAX;
        for stream in 0..2000 {
            bench.limited(stream, vec![1; I_FULL + 1], once());
        }
        assert_eq!(streams(&bench.packets())[1999..2002], [1999, 0, 1]);
        if has_their_ends {
            bench.sack(0, &[(2000, 3999)]);
        }
        bench.run_to_deadline();
        let mut told = Vec::new();
        while !bench.sender.is_idle() {
            assert_eq!(bench.packets(), [[]], "one at a time");
            let [Forwarded { point, skipped }] = &bench.forwards()[..] else { panic!("one FORWARD TSN") };
            assert!(skipped.len() <= 146);
            told.extend(skipped.iter().map(|skipped| skipped.0));
            assert_eq!(usize::try_from(*point).unwrap(), told.len() - 1);
            let next = if has_their_ends && *point >= 1999 { 4000 } else { point + 1 };
            bench.sack(next, &[]);
        }
        told.sort_unstable();
        told.dedup();
        assert_eq!(told, (0..2000).collect::<Vec<_>>());
    }
}

/// RFC 6525 §5.2.2: before a reset lie a message that was given up, and part of another one. Both are named as far as the
/// reset: a peer that has the rest of the other one goes on by itself.
#[test]
fn a_message_may_lie_across_a_reset() {
    for has_the_rest in [false, true] {
        let mut bench = bench();
        bench.limited_part(1, vec![1; 2 * I_FULL], false, true, once()).expect("sends");
        bench.limited(2, *b"old", once());
        assert_eq!(streams(&bench.packets()), [1, 2]);
        assert_eq!(bench.sender.begin_reset(bench.now, &[StreamId(2)]), Tsn(INITIAL + 1));
        bench.limited_part(1, [], true, true, once()).expect("ends");
        assert_eq!(streams(&bench.packets()), [1]);
        if has_the_rest {
            bench.sack(0, &[(2, 2)]);
        }
        bench.run_to_deadline();
        assert_eq!(bench.packets(), [[]]);
        let skipped = vec![(1, false, 0), (2, false, 0)];
        assert_eq!(bench.forwards(), [Forwarded { point: 1, skipped }]);
        if !has_the_rest {
            bench.sack(2, &[]);
            assert_eq!(bench.packets(), [[]]);
            assert_eq!(bench.forwards(), [Forwarded { point: 2, skipped: vec![(1, false, 0)] }]);
        }
        bench.sack(3, &[]);
        assert!(bench.sender.is_idle());
    }
}
