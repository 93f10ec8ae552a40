//! The receive window and its limits (RFC 9260 §6.2; the memory bounds of the security notes).

use super::*;

const SMALL: usize = 64 << 10;

fn small() -> Rig {
    Rig::with(|config| {
        config.window = SMALL;
        config.max_message_size = SMALL * 4;
    })
}

/// RFC 9260 §6.2 A to C.
#[test]
fn window_is_what_is_left() {
    let mut rig = Rig::new();
    assert_eq!(rig.receiver.window(), WINDOW);
    rig.accept(&piece(1, "BE", [0; 1000]));
    assert_eq!(rig.receiver.window(), WINDOW - 1000 - 128);
    rig.accept(&piece(2, "B", [0; 500]).ssn(1));
    rig.accept(&piece(3, "", [0; 500]).ssn(1));
    assert_eq!(rig.receiver.window(), WINDOW - 1000 - 128 - 1000 - 128);
    rig.accept(&piece(5, "BE", [0; 10]).ssn(2));
    assert_eq!(rig.receiver.window(), WINDOW - 1000 - 128 - 1000 - 128 - 10 - 128);
    rig.accept(&piece(4, "E", [0; 500]).ssn(1));
    assert_eq!(rig.receiver.window(), WINDOW - 1000 - 128 - 1500 - 128 - 10 - 128);
    assert_eq!(rig.recv_all(0).len(), 3);
    assert_eq!(rig.receiver.window(), WINDOW);
}

/// What was given out and not read counts as if it were here still, and giving it back is told the peer.
#[test]
fn what_is_held_elsewhere_takes_from_the_window() {
    let mut rig = small();
    rig.receiver.set_held(SMALL - 1000);
    assert_eq!(rig.receiver.window(), 1000);
    rig.accept(&piece(1, "BE", [0; 900]));
    assert_eq!(rig.due().last().unwrap().a_rwnd, 0);
    assert_eq!(rig.take(&piece(2, "BE", "x").ssn(1)), DataOutcome::Dropped(DropReason::BufferFull));
    assert_eq!(rig.due().last().unwrap().a_rwnd, 0);
    rig.receiver.set_held(0);
    assert_eq!(rig.due().last().unwrap().a_rwnd as usize, SMALL - 900 - 128);
    rig.accept(&piece(2, "BE", "x").ssn(1));
}

/// Fills the window with messages of 1000 bytes that nobody reads; answers the next TSN.
fn fill(rig: &mut Rig) -> u32 {
    let mut tsn = 1;
    while rig.receiver.window() > 0 {
        rig.accept(&piece(tsn, "UBE", [b'x'; 1000]));
        tsn += 1;
    }
    assert_eq!(rig.due().last().unwrap().a_rwnd, 0);
    tsn
}

/// RFC 9260 §6.2: "When the receiver's advertised window is 0, the receiver MUST drop any new incoming DATA chunk with a
/// TSN larger than the largest TSN received so far", and "MUST immediately send back a SACK chunk".
#[test]
fn zero_window_drops_what_is_new_and_says_so() {
    let mut rig = small();
    let tsn = fill(&mut rig);
    let probe = piece(tsn, "UBE", "probe");
    assert_eq!(rig.take(&probe), DataOutcome::Dropped(DropReason::BufferFull));
    let told = Told { cumulative: tsn - 1, a_rwnd: 0, gaps: vec![], duplicates: vec![] };
    assert_eq!(rig.due(), [told]);
    assert!(rig.recv(0).is_some());
    rig.accept(&probe);
}

/// A missing lower TSN is taken although the window is zero, and nothing that was acknowledged is given up for it.
#[test]
fn zero_window_takes_what_fills_a_gap() {
    let mut rig = small();
    let mut tsn = 1;
    while rig.receiver.window() > 0 {
        if tsn != 10 {
            rig.accept(&piece(tsn, "UBE", [b'x'; 1000]));
        }
        tsn += 1;
    }
    assert_eq!(rig.due().last().unwrap().a_rwnd, 0);
    let above = rig.take(&piece(tsn, "UBE", "above"));
    assert_eq!(above, DataOutcome::Dropped(DropReason::BufferFull));
    assert_eq!(rig.due().last().unwrap().gaps.len(), 1);
    rig.accept(&piece(10, "UBE", [b'x'; 1000]));
    assert_eq!(rig.receiver.cumulative_tsn(), Tsn(tsn - 1));
}

/// A message larger than the window, in an application that reads whole messages, must not lock both ends up.
#[test]
fn message_larger_than_the_window() {
    let mut rig = small();
    let size = SMALL * 3;
    let last = u32::try_from(size / 1000).unwrap();
    for tsn in 1..=last {
        let flags = if tsn == 1 { "B" } else { "" };
        rig.accept(&piece(tsn, flags, [b'x'; 1000]));
        assert!(rig.due().iter().all(|sack| sack.a_rwnd > 0), "the peer would wait for ever");
    }
    rig.accept(&piece(last + 1, "E", "x"));
    assert_eq!(rig.recv(0).unwrap().len(), 1000 * usize::try_from(last).unwrap() + 1);
    assert_eq!(rig.receiver.window(), SMALL);
}

/// The buffer is full of fragments that wait for others: the next chunk in sequence is taken, what is above is not.
#[test]
fn full_of_fragments_is_no_deadlock() {
    let mut rig = small();
    rig.accept(&piece(1, "B", [b'x'; 1000]));
    let mut tsn = 3;
    while rig.receiver.window() > 0 {
        rig.accept(&piece(tsn, "", [b'x'; 1000]));
        tsn += 1;
    }
    assert_eq!(rig.due().last().unwrap().a_rwnd, 0);
    assert_eq!(rig.take(&piece(tsn, "", "above")), DataOutcome::Dropped(DropReason::BufferFull));
    rig.accept(&piece(2, "", [b'x'; 1000]));
    assert_eq!(rig.receiver.cumulative_tsn(), Tsn(tsn - 1));
    assert!(rig.due().last().unwrap().a_rwnd > 0, "or the peer never sends the end");
    rig.accept(&piece(tsn, "E", "end"));
    assert!(rig.recv(0).is_some());
}

/// A message that fills twice the window goes on although others come between its fragments and wait to be read: the
/// reader may come only when all that the socket had was handled.
#[test]
fn a_little_to_read_does_not_stop_a_message_larger_than_the_window() {
    let mut rig = Rig::interleaved_with(|config| {
        config.window = SMALL;
        config.max_message_size = SMALL * 4;
    });
    let mut tsn = 1;
    for fsn in 0..200 {
        let flags = ["", "B", "E"][usize::from(fsn == 0) + 2 * usize::from(fsn == 199)];
        rig.accept_i(&shard(tsn, 53, "BE", "other").stream(1).mid(fsn));
        rig.accept_i(&shard(tsn + 1, if fsn == 0 { 53 } else { fsn }, flags, [b'x'; 1000]));
        tsn += 2;
        if fsn % 10 == 0 {
            rig.due();
            rig.recv_all(1);
            rig.due();
        }
    }
    assert_eq!(rig.recv(0).unwrap().len(), 200_000);
}

/// What the application leaves where it is, because it looks at it later or at something else first, is too little to
/// wait for.
#[test]
fn a_little_that_is_not_read_does_not_stop_a_message_larger_than_the_window() {
    let mut rig = small();
    rig.accept(&piece(1, "BE", "not read").stream(1));
    for tsn in 2..200 {
        rig.accept(&piece(tsn, if tsn == 2 { "B" } else { "" }, [b'x'; 1000]));
        assert!(rig.receiver.window() > 0, "TSN {tsn}");
        rig.due();
    }
    rig.accept(&piece(200, "E", "end"));
    assert_eq!(rig.receiver.window(), 0, "now it is for the application to read");
    assert_eq!(
        (rig.recv(0).map(|text| text.len()), rig.recv_all(1)),
        (Some(198_003), vec!["not read".into()])
    );
}

/// Beyond twice the window nothing is taken while the application could read, whatever the peer ignores.
#[test]
fn hard_cap() {
    let mut rig = small();
    let mut dropped = 0;
    for tsn in 1..600 {
        match rig.take(&piece(tsn, "UBE", [b'x'; 1000])) {
            DataOutcome::Accepted => {}
            DataOutcome::Dropped(DropReason::BufferFull) => dropped += 1,
            outcome => panic!("{outcome:?}"),
        }
        assert!(rig.receiver.charge() <= 2 * SMALL);
    }
    assert_eq!(dropped, 599 - 2 * SMALL / 1128);
}

/// Messages whose turn never comes, because the peer gave the TSN between to another stream: bounded like all else.
#[test]
fn messages_that_wait_for_ever_are_bounded() {
    let mut rig = small();
    let mut dropped = 0;
    for number in 0..200_u16 {
        let tsn = 1 + 2 * u32::from(number);
        match rig.take(&piece(tsn + 1, "BE", [0; 1000]).ssn(1 + number)) {
            DataOutcome::Accepted => {}
            DataOutcome::Dropped(DropReason::BufferFull) => dropped += 1,
            outcome => panic!("{outcome:?}"),
        }
        if dropped > 0 {
            break;
        }
        rig.accept(&piece(tsn, "BE", "x").stream(1).ssn(number));
        rig.recv_all(1);
        rig.due();
        assert!(rig.receiver.charge() <= 2 * SMALL);
    }
    assert_eq!((dropped, rig.recv(0)), (1, None));
}

/// 10^5 one-byte messages held by the application: bounded by what they really take.
#[test]
fn tiny_messages_count_their_overhead() {
    let mut rig = Rig::new();
    let mut accepted = 0;
    for tsn in 1..=100_000 {
        let data = piece(tsn, "UBE", "x");
        let outcome = rig.receiver.handle_data(&data.data());
        rig.receiver.end_of_packet(rig.now);
        if outcome != DataOutcome::Accepted {
            assert_eq!(outcome, DataOutcome::Dropped(DropReason::BufferFull));
            break;
        }
        accepted += 1;
    }
    assert_eq!(accepted, 2 * WINDOW / 129);
    assert_eq!(rig.receiver.charge(), accepted * 129);
    assert_eq!(rig.receiver.window(), 0);
    rig.receiver.check_invariants();
    let received = std::iter::from_fn(|| rig.receiver.recv(StreamId(0)));
    assert_eq!(received.count(), accepted);
    assert_eq!((rig.receiver.charge(), rig.receiver.window()), (0, WINDOW));
}

/// RFC 9260 §6.2: "send a window update only if the window can be increased by at least a quarter of the receive buffer
/// size".
#[test]
fn window_update_after_a_quarter_or_from_zero() {
    let mut rig = small();
    fill(&mut rig);
    let mut updates = Vec::new();
    let mut read = 0;
    while rig.recv(0).is_some() {
        read += 1;
        updates.extend(rig.due().iter().map(|sack| (read, sack.a_rwnd)));
    }
    // From zero as soon as two packets fit, then at each quarter of 65 536 bytes.
    let left = |read: u32| u32::try_from(SMALL).unwrap() - (59 - read) * 1128;
    assert_eq!(read, 59);
    assert_eq!(updates, [4, 19, 34, 49].map(|read| (read, left(read))));
}

/// The edge of zero counts although a delayed acknowledgement of a small window was the last word.
#[test]
fn reading_little_of_much_makes_no_sack() {
    let mut rig = Rig::new();
    for tsn in 1..=10 {
        rig.accept(&piece(tsn, "UBE", [b'x'; 1000]));
    }
    rig.due();
    rig.recv_all(0);
    assert_eq!(rig.due(), []);
}

/// Reading by parts gives the window back part by part.
#[test]
fn credit_returns_per_part() {
    let mut rig = small();
    assert_eq!(rig.recv_part(0), None);
    let mut tsn = 1;
    while rig.receiver.window() > 0 {
        rig.accept(&piece(tsn, if tsn == 1 { "B" } else { "" }, [b'x'; 1000]));
        tsn += 1;
    }
    assert_eq!(rig.due().last().unwrap().a_rwnd, 0);
    assert_eq!(rig.take(&piece(tsn, "", "x")), DataOutcome::Dropped(DropReason::BufferFull));
    rig.due();
    assert!(rig.recv_part(0).is_some());
    assert_eq!(rig.due().iter().map(|sack| sack.a_rwnd as usize).collect::<Vec<_>>(), [SMALL]);
}
