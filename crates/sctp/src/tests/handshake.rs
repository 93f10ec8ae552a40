//! Setting up (RFC 9260 §5), in the way WebRTC does it: both ends at once.

use super::*;
use straits_sim::{Verdict, seed};

/// Both are up, were told so once, and messages pass both ways.
#[track_caller]
fn assert_works(mut net: Pair) {
    net.run_until(ms(120_000), |net| {
        net.a.state() == State::Established && net.b.state() == State::Established
    });
    net.a.send_on(0, "from a");
    net.b.send_on(0, "from b");
    net.run_until_idle();
    assert_eq!((net.a.received(0), net.b.received(0)), (vec!["from b".into()], vec!["from a".into()]));
    let expected = [Event::Established, Event::Readable(StreamId(0))];
    assert_eq!((&net.a.events[..], &net.b.events[..]), (&expected[..], &expected[..]));
    assert_eq!(net.a.association.negotiated_streams(), Some((65_535, 65_535)));
}

/// RFC 9260 §5.2.1, RFC 8841 §9.3: the normal case.
#[test]
fn simultaneous_open() {
    assert_works(Pair::connecting(quiet(), quiet(), calm(), seed()));
}

#[test]
fn one_side_connects() {
    let mut net = Pair::new(quiet(), quiet(), calm(), seed());
    net.b.call(Association::connect);
    assert_works(net);
}

/// RFC 9260 §5.1: two round trips until both are up.
#[test]
fn takes_two_round_trips() {
    let mut net = Pair::connecting(quiet(), quiet(), calm(), seed());
    net.run_for(ms(80));
    assert_eq!((net.a.state(), net.b.state()), (State::Established, State::Established));
}

/// Data that is sent before the association is up goes as soon as it is.
#[test]
fn data_before_it_is_up() {
    let mut net = Pair::connecting(quiet(), quiet(), calm(), seed());
    net.a.send_on(0, "early");
    net.run_for(ms(100));
    assert_eq!(net.b.received(0), ["early"]);
}

/// RFC 9260 §5.2: all losses among the first five packets of each side.
#[test]
fn every_loss_of_the_first_packets() {
    let seed = seed();
    for pattern in 0..1 << 10 {
        let mut net = Pair::connecting(quiet(), quiet(), calm(), seed);
        let verdict = |bit: u32| if pattern >> bit & 1 == 1 { Verdict::Drop } else { Verdict::Pass };
        net.a_to_b.script((0..5).map(verdict));
        net.b_to_a.script((5..10).map(verdict));
        assert_works(net);
    }
}

/// The same with one side that only answers.
#[test]
fn every_loss_with_one_side_connecting() {
    let seed = seed();
    for pattern in 0..1 << 8 {
        let mut net = Pair::new(quiet(), quiet(), calm(), seed);
        net.a.call(Association::connect);
        let verdict = |bit: u32| if pattern >> bit & 1 == 1 { Verdict::Drop } else { Verdict::Pass };
        net.a_to_b.script((0..4).map(verdict));
        net.b_to_a.script((4..8).map(verdict));
        assert_works(net);
    }
}

/// RFC 9260 §5.2.4: packets of the set-up that come late meet every state there is.
#[test]
fn late_packets() {
    let seed = seed();
    // Each of the first five packets of each side: in time, or late by one of two delays.
    for pattern in 0..3_u32.pow(8) {
        let mut net = Pair::connecting(quiet(), quiet(), calm(), seed);
        let verdict = |digit: u32| match pattern / 3_u32.pow(digit) % 3 {
            0 => Verdict::Pass,
            1 => Verdict::Delay(ms(50)),
            _ => Verdict::Delay(ms(700)),
        };
        net.a_to_b.script((0..4).map(verdict));
        net.b_to_a.script((4..8).map(verdict));
        assert_works(net);
    }
}

#[test]
fn every_packet_twice() {
    assert_works(Pair::connecting(quiet(), quiet(), rough(0.0, 0.0, 1.0), seed()));
}

#[test]
fn rough_networks() {
    let seed = seed();
    for number in 0..200 {
        let conditions = rough(0.2, 0.3, 0.3);
        assert_works(Pair::connecting(quiet(), quiet(), conditions, seed ^ number));
    }
}
