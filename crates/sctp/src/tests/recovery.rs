//! What is lost is sent again (RFC 9260 §6.3, §7.2.4).

use super::*;
use crate::{CloseReason, TimeoutKind};
use straits_sim::{Rate, seed};

/// RFC 9260 §7.2.4: a gap reported three times is retransmitted at once.
#[test]
fn third_gap_report_triggers_fast_retransmit() {
    let mut net = Pair::established(seed());
    net.a_to_b.drop_next(1);
    net.a.send_on(0, "lost");
    net.run_for(ms(1));
    for number in 0..3 {
        net.a.send_on(0, number);
        net.run_for(ms(20));
    }
    assert_eq!(net.a.stats().fast_retransmits, 0, "the third report is still underway");
    net.run_for(ms(40));
    assert_eq!(net.a.stats().fast_retransmits, 1);
    net.run_until_idle();
    assert_eq!(net.b.received(0), ["lost", "0", "1", "2"]);
    assert_eq!((net.a.stats().t3_expirations, net.a.stats().retransmissions), (0, 1));
}

/// The same out of one batch of the receiver's: its SACKs count one by one.
#[test]
fn fast_retransmit_out_of_one_batch() {
    let mut net = Pair::established(seed());
    net.b.batch = ms(10);
    net.a_to_b.drop_next(1);
    for number in 0..4 {
        net.a.send_bytes(0, patterned(number, 1100), true);
    }
    net.run_for(ms(55));
    assert_eq!(net.a.stats().fast_retransmits, 1);
    net.run_until_idle();
    assert_eq!((net.b.received_bytes(), net.a.stats().t3_expirations), (4400, 0));
}

/// RFC 9260 §6.3.3: the last packet is lost, so nothing reports it.
#[test]
fn tail_loss_waits_for_t3() {
    let mut net = Pair::established(seed());
    net.a.send_on(0, "first");
    net.run_until_idle();
    let rto = net.a.stats().rto;
    net.a_to_b.drop_next(1);
    net.a.send_on(0, "last");
    net.run_for(rto - ms(1));
    assert_eq!(net.a.stats().t3_expirations, 0);
    net.run_for(ms(1) + ms(20));
    assert_eq!(net.b.received(0), ["first", "last"]);
    assert_eq!((net.a.stats().t3_expirations, net.a.stats().retransmissions), (1, 1));
    net.run_until_idle();
}

/// SACKs are lost: later ones cover for them, data is not sent again without need.
#[test]
fn lost_sacks() {
    let mut net = Pair::established(seed());
    for number in 0..40 {
        net.a.send_bytes(0, patterned(number, 1100), true);
    }
    net.b_to_a.drop_next(3);
    net.run_until_idle();
    assert_eq!(net.b.received_bytes(), 44_000);
    assert_eq!((net.a.stats().retransmissions, net.a.stats().t3_expirations), (0, 0));
}

/// RFC 9260 §6.2: a SACK that was lost is repeated when the data comes again.
#[test]
fn lost_last_sack() {
    let mut net = Pair::established(seed());
    net.b_to_a.drop_next(1);
    net.a.send_on(0, "x");
    net.run_until_idle();
    assert_eq!(net.b.received(0), ["x"]);
    assert_eq!((net.a.association.undelivered(), net.a.stats().t3_expirations), (0, 1));
}

/// A path that is away for a while is used again within RTO.Max of its return.
#[test]
fn blackout() {
    let mut net = Pair::established(seed());
    for number in 0..300 {
        net.a.send_bytes(0, patterned(number, 3000), true);
        net.b.send_bytes(0, patterned(number, 3000), true);
    }
    net.run_for(ms(60));
    net.set_blackout(true);
    net.run_for(ms(8000));
    net.set_blackout(false);
    net.run_for(ms(10_100));
    net.run_until_idle();
    for end in [&net.a, &net.b] {
        let expected: Vec<_> = (0..300).map(|number| patterned(number, 3000)).collect();
        assert!(end.received[&0] == expected);
    }
}

/// RFC 9260 §8.1: who never answers is given up, and both users are told.
#[test]
fn blackout_for_ever() {
    let mut net = Pair::established(seed());
    net.a.send_on(0, "into the void");
    net.set_blackout(true);
    net.run_until_idle();
    let reason = CloseReason::Timeout(TimeoutKind::Retransmissions);
    assert_eq!(net.a.events, [Event::Closed(reason.clone())]);
    assert_eq!(net.a.association.close_reason(), Some(&reason));
    assert_eq!(net.a.association.undelivered(), 13);
    assert_eq!(net.a.association.poll_timeout(), None);
}

/// How long a transfer of 5 MB takes, in virtual time.
fn transfer_time(conditions: Conditions, seed: u64) -> Duration {
    let mut net = Pair::established_with(quiet(), quiet(), conditions, seed);
    net.wire_mut().is_tracing = false;
    let start = net.elapsed();
    for number in 0..320 {
        net.a.send_bytes(0, patterned(number, 16_384), true);
    }
    net.run_until(ms(600_000), |net| net.b.received_bytes() == 320 * 16_384);
    net.elapsed() - start
}

/// 20 Mbit/s and 50 ms of round trip: the queue overflows in slow start. With a queue of ten times the path more than a
/// thousand packets are lost at once, and the first retransmissions too: NewReno then needs T3, but must not crawl.
#[test]
fn overshoot_is_mended() {
    let seed = seed();
    for (queue_bytes, limit) in [(30_000, 4000), (125_000, 6000), (1_250_000, 10_000)] {
        let rate = Some(Rate { bits_per_second: 20_000_000, queue_bytes });
        let time = transfer_time(Conditions { delay: ms(25), rate, ..Conditions::default() }, seed);
        // At full rate it would be 2.2 s.
        assert!(time < ms(limit), "queue of {queue_bytes}: {time:?}");
    }
}

/// Reno's rate at 1 % loss and 40 ms is 2.3 Mbit/s: 5 MB are 18 s.
#[test]
fn random_loss_is_no_collapse() {
    let time = transfer_time(rough(0.01, 0.0, 0.0), seed());
    assert!(time < ms(30_000), "{time:?}");
}
