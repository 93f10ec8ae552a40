use super::*;

/// The streams at these slots take `turns` turns with fragments of these lengths and never run dry: bytes sent by slot.
fn shares(streams: &[(u16, usize)], turns: usize) -> Vec<usize> {
    let mut scheduler = Scheduler::default();
    let mut sent = vec![0; streams.len()];
    for slot in 0..streams.len() {
        scheduler.activate(u32::try_from(slot).unwrap());
    }
    for _ in 0..turns {
        let slot = scheduler.first().unwrap();
        let (weight, len) = streams[slot as usize];
        scheduler.finish_first(len, weight);
        sent[slot as usize] += len;
    }
    sent
}

/// RFC 8260 §3.6: capacity in proportion to weight, whatever the fragments are like.
#[test]
fn weights_are_shares() {
    let sent = shares(&[(128, 1000), (256, 1000), (512, 1000), (1024, 1000)], 1500);
    assert_eq!(sent, [100_000, 200_000, 400_000, 800_000]);
    let sent = shares(&[(256, 1160), (256, 10)], 10_000);
    assert!(sent[0].abs_diff(sent[1]) <= 1160, "{sent:?}");
    let sent = shares(&[(1, 1), (u16::MAX, 1)], 65_536);
    assert_eq!(sent, [1, 65_535]);
    assert!(shares(&[(0, 7), (1, 7)], 100)[0] == 350, "a weight of 0 is one of 1");
}

/// It is owed nothing for its silence, and waits for one fragment at most.
#[test]
fn a_stream_that_comes_back_is_served_next_and_then_in_turn() {
    let mut scheduler = Scheduler::default();
    scheduler.activate(0);
    scheduler.activate(1);
    scheduler.finish_first(100, 256);
    scheduler.remove(0);
    for _ in 0..50 {
        assert_eq!(scheduler.first(), Some(1));
        scheduler.finish_first(1, 256);
    }
    scheduler.activate(0);
    let mut order = Vec::new();
    for _ in 0..150 {
        let slot = scheduler.first().unwrap();
        order.push(slot);
        scheduler.finish_first(if slot == 0 { 50 } else { 1 }, 256);
    }
    // Stream 0 has used 100 of its own time already; then it gets one turn for each fifty of the other.
    assert_eq!(order.iter().position(|slot| *slot == 0), Some(50));
    assert_eq!(order.iter().filter(|slot| **slot == 0).count(), 2);
}

#[test]
fn what_is_removed_keeps_its_tag_until_it_is_forgotten() {
    let mut scheduler = Scheduler::default();
    scheduler.activate(0);
    scheduler.finish_first(100, 256);
    scheduler.activate(1);
    assert_eq!(scheduler.first(), Some(1));
    scheduler.remove(0);
    scheduler.finish_first(10, 256);
    scheduler.activate(0);
    assert_eq!(scheduler.first(), Some(1), "0 sent 100 bytes, 1 sent 10");
    scheduler.remove(0);
    scheduler.forget(0);
    scheduler.activate(0);
    assert_eq!(scheduler.first(), Some(0), "a new stream at the same place");
}

/// RFC 8260 §3.6 holds for messages too: a turn of several fragments counts for all of them.
#[test]
fn a_turn_may_take_several_fragments() {
    let mut scheduler = Scheduler::default();
    scheduler.activate(4);
    scheduler.activate(2);
    scheduler.serve_first(1000);
    assert_eq!(scheduler.first(), Some(4));
    scheduler.finish_first(500, 256);
    for _ in 0..15 {
        assert_eq!(scheduler.first(), Some(2));
        scheduler.finish_first(100, 256);
    }
    assert_eq!(scheduler.first(), Some(4), "of equal tags the first to come");
}

/// However often streams come and go, the schedule is no longer than they are many.
#[test]
fn streams_that_come_and_go_behind_the_first_leave_nothing() {
    let mut scheduler = Scheduler::default();
    scheduler.activate(0);
    for n in 0..100_000 {
        scheduler.activate(1 + n % 3);
        scheduler.remove(1 + n % 3);
    }
    scheduler.activate(1);
    assert!(scheduler.ready.len() <= 2 * 4 + MAX_STALE + 1, "{}", scheduler.ready.len());
    scheduler.finish_first(100, 256);
    assert_eq!(scheduler.first(), Some(1));
    scheduler.remove(1);
    assert_eq!(scheduler.first(), Some(0));
}
