//! Same seed, same calls, same bytes.

use super::*;
use crate::Event;
use straits_sim::{Record, seed};

/// A run with a little of everything; what was on the wire, when, and what both ends were told.
fn run(seed: u64) -> (Vec<Record>, Vec<Event>, Vec<Event>) {
    let mut net = Pair::connecting(Config::default(), Config::default(), rough(0.1, 0.2, 0.1), seed);
    net.b.batch = ms(2);
    for (number, len) in sizes(120).enumerate() {
        let stream = u16::try_from(number % 7).unwrap();
        net.a.send_bytes(stream, patterned(number, len), number % 3 == 0);
        net.b.send_bytes(stream, patterned(number, len), number % 2 == 0);
        net.run_for(ms(7));
    }
    net.a.call(|association, now| association.reset_streams(now, &[StreamId(1), StreamId(2)]).unwrap());
    net.run_for(ms(40_000));
    net.b.call(Association::shutdown);
    net.run_until_idle();
    (net.trace().to_vec(), net.0.a.events, net.0.b.events)
}

#[test]
fn same_seed_same_bytes() {
    let seed = seed();
    let (trace, a, b) = run(seed);
    let (trace_again, a_again, b_again) = run(seed);
    assert_eq!((a, b), (a_again, b_again));
    assert_eq!(trace.len(), trace_again.len());
    for (one, other) in trace.iter().zip(&trace_again) {
        assert_eq!((one.sent, one.from, &one.datagram), (other.sent, other.from, &other.datagram));
    }
    assert!(run(seed + 1).0[0].datagram != trace[0].datagram, "another seed is another run");
}

/// Handled hours late, every timer fires once and the association lives on.
#[test]
fn suspended_machine() {
    let mut net = Pair::established(seed());
    net.a.send_on(0, "before");
    let late = net.now() + Duration::from_secs(7200);
    let mut buffer = BytesMut::new();
    let association = &mut net.a.association;
    association.handle_timeout(late);
    let mut packets = 0;
    while association.poll_transmit(late, &mut buffer) {
        packets += 1;
        assert!(packets < 10, "a storm");
    }
    assert!(association.poll_timeout().is_none_or(|next| next > late));
}
