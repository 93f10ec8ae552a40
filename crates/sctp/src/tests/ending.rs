//! Shutting down and aborting (RFC 9260 §9).

use super::*;
use crate::{CloseReason, ResetError, SendError};
use straits_sim::seed;

/// Both ended for these reasons, told once, and are silent.
#[track_caller]
fn assert_ended(net: &mut Pair, a: &CloseReason, b: &CloseReason) {
    net.run_until_idle();
    for (end, reason) in [(&mut net.0.a, a), (&mut net.0.b, b)] {
        let closed: Vec<_> = end.events.iter().filter(|event| matches!(event, Event::Closed(_))).collect();
        assert_eq!(closed, [&Event::Closed(reason.clone())]);
        assert_eq!(end.events.last(), Some(&Event::Closed(reason.clone())), "it is the last event");
        assert_eq!((end.state(), end.association.close_reason()), (State::Closed, Some(reason)));
        assert_eq!(end.association.poll_timeout(), None);
    }
    let now = net.now();
    let stream = StreamId(0);
    let sent = net.a.association.send(now, stream, Ppid::BINARY, "x".into(), true, Reliability::Reliable);
    assert_eq!(sent, Err(SendError::Closed));
    assert_eq!(net.a.association.reset_streams(now, &[stream]), Err(ResetError::Closed));
}

/// RFC 9260 §9.2: everything that was accepted is delivered first, whichever side asks, whatever is lost.
#[test]
fn shutdown_delivers_everything_first() {
    let seed = seed();
    for (loss, number) in [(0.0, 0), (0.05, 1), (0.2, 2), (0.2, 3), (0.3, 4)] {
        for (a_asks, b_asks) in [(true, false), (false, true), (true, true)] {
            let conditions = rough(loss, 0.1, 0.1);
            let mut net = Pair::established_with(quiet(), quiet(), conditions, seed ^ number);
            for number in 0..50 {
                net.a.send_bytes(0, patterned(number, 3000), true);
                net.b.send_bytes(0, patterned(number, 3000), true);
            }
            if a_asks {
                net.a.call(Association::shutdown);
            }
            if b_asks {
                net.b.call(Association::shutdown);
            }
            net.run_until_idle();
            // If both ask, who hears of the other's wish before its own data is delivered gives way to it.
            let reason = |end: &End, asks| match end.association.close_reason() {
                Some(CloseReason::RemoteShutdown) if a_asks && b_asks => CloseReason::RemoteShutdown,
                _ if asks => CloseReason::LocalShutdown,
                _ => CloseReason::RemoteShutdown,
            };
            let (a, b) = (reason(&net.a, a_asks), reason(&net.b, b_asks));
            assert_ended(&mut net, &a, &b);
            let expected: Vec<_> = (0..50).map(|number| patterned(number, 3000)).collect();
            assert!(net.a.received[&0] == expected, "loss {loss}, {a_asks} {b_asks}");
            assert!(net.b.received[&0] == expected, "loss {loss}, {a_asks} {b_asks}");
        }
    }
}

/// SHUTDOWN, SHUTDOWN ACK and SHUTDOWN COMPLETE may each be lost.
#[test]
fn every_loss_of_the_last_packets() {
    let seed = seed();
    for pattern in 0..1_u32 << 6 {
        let mut net = Pair::established(seed);
        let verdict = |bit: u32| {
            if pattern >> bit & 1 == 1 { straits_sim::Verdict::Drop } else { straits_sim::Verdict::Pass }
        };
        net.a_to_b.script((0..3).map(verdict));
        net.b_to_a.script((3..6).map(verdict));
        net.a.call(Association::shutdown);
        assert_ended(&mut net, &CloseReason::LocalShutdown, &CloseReason::RemoteShutdown);
    }
}

/// RFC 9260 §9.1: one packet, no waiting; what had arrived stays readable.
#[test]
fn abort() {
    let mut net = Pair::established(seed());
    net.b.reads = false;
    net.a.send_on(0, "before");
    net.run_until_idle();
    net.a.call(Association::abort);
    net.run_for(ms(20));
    let told = CloseReason::RemoteAbort { cause: Some(12), message: Bytes::new() };
    assert_ended(&mut net, &CloseReason::LocalAbort, &told);
    let now = net.now();
    net.b.read(now, usize::MAX);
    assert_eq!(net.b.received(0), ["before"]);
}

/// The ABORT is lost: the other side learns by its own timers.
#[test]
fn lost_abort() {
    let mut net = Pair::established(seed());
    net.a_to_b.drop_next(1);
    net.a.call(Association::abort);
    net.run_until_idle();
    assert_eq!(net.b.state(), State::Established);
    net.b.send_on(0, "anybody there?");
    net.run_until_idle();
    // RFC 9260 §8.4 (8): what comes for an association that is gone is answered by ABORT.
    assert!(matches!(net.b.association.close_reason(), Some(CloseReason::RemoteAbort { .. })));
}

#[test]
fn transport_closed() {
    let mut net = Pair::established(seed());
    net.a.send_on(0, "x");
    net.a.call(Association::transport_closed);
    net.run_until_idle();
    assert_eq!(net.a.events, [Event::Closed(CloseReason::TransportClosed)]);
    assert_eq!(net.trace().len(), 0, "not a packet");
}

/// Two ends that have nothing any more do not keep answering each other.
#[test]
fn ended_ends_fall_silent() {
    let mut net = Pair::established(seed());
    net.a.call(Association::abort);
    net.b.call(Association::abort);
    net.run_until_idle();
    assert!(net.trace().len() <= 4, "{:?}", net.trace());
}
