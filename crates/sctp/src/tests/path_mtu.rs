//! Paths that carry less than the packet size (RFC 8899 §4.3).

use super::*;
use crate::{CloseReason, TimeoutKind};
use straits_sim::{Verdict, seed};

/// What is left of 576 bytes.
const NARROW: usize = 504;
const FULL: usize = 1191;
/// Types of chunks (RFC 9260 §3.2).
const SACK: u8 = 3;
const HEARTBEAT_ACK: u8 = 5;

fn narrow(net: &mut Pair, mtu: Option<usize>) {
    net.a_to_b.conditions.mtu = mtu;
    net.b_to_a.conditions.mtu = mtu;
}

fn closed(end: &End) -> Option<&CloseReason> {
    end.association.close_reason()
}

/// Bundles are too large, their chunks are not: it goes on with smaller packets, and with full ones once they pass again.
#[test]
fn small_messages_go_on_in_small_packets() {
    let mut net = Pair::established(seed());
    narrow(&mut net, Some(600));
    let sent: Vec<Bytes> = (0..200).map(|number| patterned(number, 300)).collect();
    for message in &sent {
        net.a.send_bytes(0, message.clone(), true);
    }
    net.run_for(ms(30_000));
    assert_eq!(net.b.received[&0], sent);
    assert_eq!((net.a.stats().mtu, closed(&net.a)), (NARROW, None));
    // What is larger than a packet now is cut accordingly.
    net.a.send_bytes(0, patterned(7, 20_000), true);
    net.run_for(ms(10_000));
    assert_eq!(net.b.received[&0].last(), Some(&patterned(7, 20_000)));

    narrow(&mut net, None);
    net.run_for(ms(70_000));
    assert_eq!(net.a.stats().mtu, FULL);
    net.run_until_idle();
}

/// A chunk that has its TSN cannot be cut: the end, in less than 30 s, with its reason on both sides.
#[test]
fn large_chunks_in_flight_end_with_the_path_mtu() {
    // The letter of the RFC has no such detection, but its timers are to be slow enough for it.
    let strict = || Config::strict().black_hole_detection(true);
    for (config, delay) in [(quiet(), 20), (quiet(), 250), (strict(), 20), (strict(), 300)] {
        let conditions = Conditions { delay: ms(delay), ..Conditions::default() };
        let mut net = Pair::connecting(config.clone(), config, conditions, seed());
        net.run_until(ms(60_000), |net| {
            net.a.state() == State::Established && net.b.state() == State::Established
        });
        net.a.send_bytes(0, patterned(0, 50_000), true);
        net.run_for(ms(4 * delay));
        narrow(&mut net, Some(600));
        net.a.send_bytes(0, patterned(1, 500_000), true);
        net.run_for(ms(30_000));
        let Some(CloseReason::PathMtu { packet }) = closed(&net.a) else {
            panic!("{:?} after {delay} ms", closed(&net.a));
        };
        assert!((NARROW..=FULL).contains(packet), "{packet}");
        assert_eq!(net.a.events.last(), Some(&Event::Closed(CloseReason::PathMtu { packet: *packet })));
        assert!(net.a.association.undelivered() >= 500_000);
        let told = CloseReason::RemoteAbort { cause: None, message: Bytes::new() };
        assert_eq!(closed(&net.b), Some(&told));
    }
}

/// Nothing gets through, small or large: that is silence, not a narrow path.
#[test]
fn silence_is_not_taken_for_a_narrow_path() {
    let mut net = Pair::established(seed());
    net.a_to_b.conditions.blackout = true;
    net.a.send_bytes(0, patterned(0, 50_000), true);
    net.run_until_idle();
    assert_eq!(closed(&net.a), Some(&CloseReason::Timeout(TimeoutKind::Retransmissions)));
}

/// After a blackout the full size is back within a round trip.
#[test]
fn blackout_leaves_the_size_as_it_was() {
    let mut net = Pair::established(seed());
    net.a_to_b.conditions.blackout = true;
    net.a.send_bytes(0, patterned(0, 100_000), true);
    net.run_for(ms(5000));
    assert_eq!(net.a.stats().mtu, NARROW);
    net.a_to_b.conditions.blackout = false;
    net.run_until_idle();
    assert_eq!((net.b.received_bytes(), net.a.stats().mtu, closed(&net.a)), (100_000, FULL, None));
}

/// However much is lost by chance, it is not taken for a narrow path.
#[test]
fn heavy_loss_is_not_taken_for_a_narrow_path() {
    for number in 0..20 {
        let lossy = rough(0.3, 0.1, 0.0);
        let mut net = Pair::established_with(quiet(), quiet(), calm(), seed() + number);
        net.a_to_b.conditions = lossy.clone();
        net.b_to_a.conditions = lossy;
        net.a.send_bytes(0, patterned(0, 100_000), true);
        net.run_until_idle();
        assert_eq!((net.b.received_bytes(), closed(&net.a)), (100_000, None));
    }
}

/// Ten times in a row the SACK of a large packet is lost and the answer to a small one is not, as chance may have it.
#[test]
fn lost_sacks_are_not_taken_for_a_narrow_path() {
    let mut net = Pair::established(seed());
    let mut answers = 0;
    net.b_to_a.set_filter(move |_, datagram| match datagram.payload.get(12) {
        Some(&SACK) if answers < 10 => Verdict::Drop,
        Some(&HEARTBEAT_ACK) => {
            answers += 1;
            Verdict::Pass
        }
        _ => Verdict::Pass,
    });
    net.a.send_bytes(0, patterned(0, 5000), true);
    net.run_until_idle();
    assert_eq!((net.b.received_bytes(), closed(&net.a)), (5000, None));
}

/// The socket says that it takes no such packet: nothing of that size is in flight any more once the next one is built.
#[test]
fn refused_packet_makes_packets_small() {
    let mut net = Pair::established(seed());
    narrow(&mut net, Some(600));
    net.a.call(|association, _| {
        association.packet_refused(NARROW);
        assert_eq!(association.stats().mtu, FULL, "it was small, so its size was not the reason");
        association.packet_refused(FULL);
        assert_eq!(association.stats().mtu, NARROW);
    });
    net.a.send_bytes(0, patterned(0, 100_000), true);
    net.run_for(ms(60_000));
    assert_eq!((net.b.received_bytes(), net.a.stats().mtu), (100_000, NARROW));
    // Another path, which may be a wide one.
    narrow(&mut net, None);
    net.a.call(Association::path_changed);
    net.run_until_idle();
    assert_eq!(net.a.stats().mtu, FULL);
}

/// What was refused and is in flight ends it sooner than without a word from the socket; no small packets are asked to witness.
#[test]
fn refused_packet_in_flight_ends_soon() {
    let mut net = Pair::established(seed());
    narrow(&mut net, Some(600));
    net.a.send_bytes(0, patterned(0, 5000), true);
    net.run_for(ms(10));
    net.a.call(|association, _| association.packet_refused(FULL));
    net.run_for(ms(8000));
    assert!(matches!(closed(&net.a), Some(CloseReason::PathMtu { .. })), "{:?}", closed(&net.a));
}

/// A path that is narrow from the start, and known to be.
#[test]
fn set_up_on_a_narrow_path() {
    let mut net = Pair::new(quiet(), quiet(), calm(), seed());
    narrow(&mut net, Some(NARROW));
    let ends = &mut *net;
    for end in [&mut ends.a, &mut ends.b] {
        end.call(|association, now| {
            association.assume_narrow_path();
            association.connect(now);
        });
        end.send_bytes(0, patterned(3, 10_000), true);
    }
    net.run_for(ms(10_000));
    assert_eq!((net.a.received_bytes(), net.b.received_bytes()), (10_000, 10_000));
    narrow(&mut net, None);
    net.run_until_idle();
    assert_eq!((net.a.stats().mtu, net.b.stats().mtu), (FULL, FULL));
}
