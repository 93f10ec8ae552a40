//! Receivers that do not read (RFC 9260 §6.1, §6.2).

use super::*;
use straits_sim::{Verdict, seed};

const WINDOW: usize = 50_000;

fn narrow(seed: u64) -> Pair {
    let mut net = Pair::established_with(quiet(), quiet().receive_window(WINDOW), calm(), seed);
    net.b.reads = false;
    net
}

fn send_many(net: &mut Pair, count: usize) {
    (0..count).for_each(|number| net.a.send_bytes(0, patterned(number, 1000), true));
}

#[track_caller]
fn assert_received(net: &Pair, count: usize) {
    let expected: Vec<_> = (0..count).map(|number| patterned(number, 1000)).collect();
    assert!(net.b.received[&0] == expected);
}

/// The window closes, nothing is lost, it opens again.
#[test]
fn slow_reader() {
    let mut net = narrow(seed());
    send_many(&mut net, 500);
    let mut slept = 0;
    while net.b.received.get(&0).map_or(0, Vec::len) < 500 {
        net.run_for(ms(50));
        let now = net.now();
        net.b.read(now, 5);
        slept += 1;
        assert!(slept < 2000, "{:?} {:?}", net.a.stats(), net.b.stats());
    }
    net.run_until_idle();
    assert_received(&net, 500);
    assert_eq!(net.b.stats().local_rwnd, WINDOW);
    // 100 rounds of five messages, each 50 ms: probes must not be what keeps it going.
    assert!(slept < 150, "{slept} rounds");
}

/// RFC 9260 §6.1 A: a closed window is probed, for ever, and that is no failure of the path.
#[test]
fn zero_window_is_probed_and_not_an_error() {
    let mut net = narrow(seed());
    send_many(&mut net, 100);
    net.run_for(ms(120_000));
    assert_eq!(net.b.stats().local_rwnd, 0);
    assert_eq!(net.a.state(), State::Established);
    let before = net.a.stats();
    net.run_for(ms(120_000));
    let probes = net.a.stats().packets_sent - before.packets_sent;
    assert!((6..60).contains(&probes), "{probes} packets in two minutes of zero window");
    net.b.reads = true;
    net.b.call(|_, _| {});
    net.run_until_idle();
    assert_received(&net, 100);
}

/// The SACK that opens the window may be lost: the next probe finds it open.
#[test]
fn lost_window_update() {
    let mut net = narrow(seed());
    send_many(&mut net, 100);
    net.run_for(ms(5000));
    assert_eq!(net.b.stats().local_rwnd, 0);
    net.b_to_a.script([Verdict::Drop]);
    net.b.reads = true;
    net.b.call(|_, _| {});
    net.run_for(ms(11_000));
    net.run_until_idle();
    assert_received(&net, 100);
    assert_eq!(net.b_to_a.stats().dropped, 1);
}

/// A message larger than the window, for a reader of whole messages, is not stuck.
#[test]
fn message_larger_than_the_window() {
    let mut net = narrow(seed());
    net.b.reads = true;
    net.a.send_bytes(0, patterned(1, 4 * WINDOW), true);
    net.a.send_bytes(0, patterned(2, 10), true);
    net.run_until(ms(20_000), |net| net.b.received_bytes() == 4 * WINDOW + 10);
    assert!(net.b.received[&0] == [patterned(1, 4 * WINDOW), patterned(2, 10)]);
}

/// The sender's own limit: refused whole, then accepted when there is room.
#[test]
fn send_buffer_limit() {
    let limit = 200_000;
    let mut net = Pair::established_with(quiet().send_buffer_limit(limit), quiet(), calm(), seed());
    let now = net.now();
    let send = |net: &mut Pair, len| {
        let data = patterned(1, len);
        net.a.association.send(now, StreamId(0), Ppid::BINARY, data, true, Reliability::Reliable)
    };
    assert_eq!(send(&mut net, 150_000), Ok(()));
    assert_eq!(send(&mut net, 60_000), Err(crate::SendError::BufferFull { len: 10_000, max: limit }));
    assert_eq!(send(&mut net, 50_000), Ok(()));
    net.run_until_idle();
    assert_eq!(net.b.received_bytes(), 200_000);
    assert_eq!(net.a.association.undelivered(), 0);
}

/// A reader that never reads holds at most what it advertised, give or take, although tiny messages weigh more.
#[test]
fn tiny_messages_to_who_does_not_read() {
    let mut net = narrow(seed());
    (0..5000).for_each(|_| net.a.send_bytes(0, Bytes::from_static(b"tiny"), false));
    net.run_for(ms(30_000));
    assert_eq!((net.b.stats().local_rwnd, net.a.state()), (0, State::Established));
    net.b.reads = true;
    net.b.call(|_, _| {});
    net.run_until_idle();
    assert_eq!(net.b.received_bytes(), 4 * 5000);
}
