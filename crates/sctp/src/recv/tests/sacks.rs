//! What SACKs say and when (RFC 9260 §6.2, §6.7).

use super::super::acks::Extent;
use super::*;

fn told(cumulative: u32, a_rwnd: u32, gaps: &[(u16, u16)], duplicates: &[u32]) -> Told {
    Told { cumulative, a_rwnd, gaps: gaps.to_vec(), duplicates: duplicates.to_vec() }
}

/// The messages of these tests are read at once: the window is always all of it.
const ALL: u32 = 4 << 20;

fn rig_that_reads() -> Rig {
    let mut rig = Rig::new();
    feed(&mut rig, 1);
    assert_eq!(rig.due(), [told(1, ALL, &[], &[])]);
    rig
}

/// One unordered message in a packet of its own, read at once.
fn feed(rig: &mut Rig, tsn: u32) -> DataOutcome {
    let outcome = rig.take(&piece(tsn, "UBE", "x"));
    rig.recv_all(0);
    outcome
}

#[test]
fn nothing_before_data() {
    let mut rig = Rig::new();
    assert!(!rig.receiver.sack_due());
    assert_eq!((rig.sack(), rig.receiver.poll_timeout()), (None, None));
    assert_eq!(rig.receiver.cumulative_tsn(), Tsn(0));
}

#[test]
fn first_at_once_then_every_second_packet() {
    let mut rig = rig_that_reads();
    for tsn in [2, 4, 6] {
        feed(&mut rig, tsn);
        assert_eq!(rig.due(), []);
        feed(&mut rig, tsn + 1);
        assert_eq!(rig.due(), [told(tsn + 1, ALL, &[], &[])]);
    }
}

#[test]
fn delayed_one_comes_in_time_or_with_data() {
    let mut rig = rig_that_reads();
    feed(&mut rig, 2);
    let deadline = rig.now + ms(200);
    assert_eq!(rig.receiver.poll_timeout(), Some(deadline));
    rig.receiver.handle_timeout(deadline - Duration::from_nanos(1));
    assert_eq!(rig.due(), []);
    rig.receiver.handle_timeout(deadline);
    assert_eq!(rig.due(), [told(2, ALL, &[], &[])]);
    feed(&mut rig, 3);
    assert_eq!(rig.sack(), Some(told(3, ALL, &[], &[])));
    assert_eq!((rig.sack(), rig.receiver.poll_timeout()), (None, None));
}

/// RFC 9260 §6.7: at once, and for each packet until the gap is closed.
#[test]
fn gap() {
    let mut rig = rig_that_reads();
    for (tsn, expected) in [
        (3, told(1, ALL, &[(2, 2)], &[])),
        (4, told(1, ALL, &[(2, 3)], &[])),
        (6, told(1, ALL, &[(2, 3), (5, 5)], &[])),
        (2, told(4, ALL, &[(2, 2)], &[])),
        (5, told(6, ALL, &[], &[])),
    ] {
        feed(&mut rig, tsn);
        assert_eq!(rig.due(), [expected]);
    }
    feed(&mut rig, 7);
    assert_eq!(rig.due(), []);
}

#[test]
fn duplicates_are_told_once() {
    let mut rig = rig_that_reads();
    assert_eq!(feed(&mut rig, 1), DataOutcome::Duplicate);
    assert_eq!(rig.due(), [told(1, ALL, &[], &[1])]);
    for _ in 0..2 {
        rig.receiver.handle_data(&piece(1, "UBE", "x").data());
    }
    feed(&mut rig, 2);
    feed(&mut rig, 3);
    assert_eq!(rig.due(), [told(3, ALL, &[], &[1, 1])]);
    feed(&mut rig, 4);
    feed(&mut rig, 5);
    assert_eq!(rig.due(), [told(5, ALL, &[], &[])]);
}

/// RFC 7053 §5.2.
#[test]
fn immediate_bit() {
    let mut rig = rig_that_reads();
    rig.take(&piece(2, "IUBE", "x"));
    rig.recv_all(0);
    assert_eq!(rig.due(), [told(2, ALL, &[], &[])]);
}

#[test]
fn far_ahead_is_dropped_in_silence() {
    let mut rig = rig_that_reads();
    assert_eq!(feed(&mut rig, 40_000), DataOutcome::Dropped(DropReason::OutsideWindow));
    assert_eq!((rig.due(), rig.sack(), rig.receiver.poll_timeout()), (vec![], None, None));
}

/// RFC 9260 §6.7: "report the Gap Ack Blocks from the lowest to highest TSNs, within the size limit set by the PMTU".
#[test]
fn as_many_blocks_as_fit() {
    let mut rig = rig_that_reads();
    for tsn in (3..2003).step_by(2) {
        feed(&mut rig, tsn);
    }
    feed(&mut rig, 3);
    while rig.receiver.acks.next() != Some(Extent::Everything) {
        rig.sack();
    }
    let before = rig.receiver.acks.next();
    assert_eq!(rig.sack_within(12 + 12), None, "no room for the fixed part");
    assert_eq!(rig.receiver.acks.next(), before);
    let sack = rig.sack_within(1191).unwrap();
    let expected: Vec<_> = (0..(1191 - 12 - 16) / 4).map(|n| (2 + 2 * n, 2 + 2 * n)).collect();
    assert_eq!(sack, told(1, ALL, &expected, &[]));
}

#[test]
fn duplicates_yield_to_blocks() {
    let mut rig = rig_that_reads();
    feed(&mut rig, 3);
    rig.due();
    for tsn in [5, 5, 3, 3] {
        rig.receiver.handle_data(&piece(tsn, "UBE", "x").data());
    }
    rig.recv_all(0);
    rig.receiver.end_of_packet(rig.now);
    let sack = rig.sack_within(12 + 16 + 3 * 4);
    assert_eq!(sack, Some(told(1, ALL, &[(2, 2), (4, 4)], &[5])));
}

/// Packets of a batch are acknowledged as if the owner had polled after each second one while the rate rises.
#[test]
fn batch_in_sequence() {
    let mut rig = rig_that_reads();
    for tsn in 2..8 {
        feed(&mut rig, tsn);
    }
    let sacks = [3, 5, 7].map(|cumulative| told(cumulative, ALL, &[], &[]));
    assert_eq!(rig.due(), sacks);
}

/// With a gap each packet counts: the peer's third miss indication comes from one batch.
#[test]
fn batch_with_a_gap() {
    let mut rig = rig_that_reads();
    for tsn in [2, 4, 5, 6, 3, 7] {
        feed(&mut rig, tsn);
    }
    let sacks = rig.due();
    // The gap was filled within the batch: nothing is reported missing that is there.
    assert_eq!(sacks.iter().map(|sack| sack.cumulative).collect::<Vec<_>>(), [4, 5, 7]);
    let mut rig = rig_that_reads();
    for tsn in 3..7 {
        feed(&mut rig, tsn);
    }
    let sacks = [2, 3, 4, 5].map(|end| told(1, ALL, &[(2, end)], &[]));
    assert_eq!(rig.due(), sacks);
}
