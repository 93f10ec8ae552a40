//! Every message arrives once and whole, in order per stream, whatever the network does.

use super::*;
use crate::number::Tsn;
use straits_sim::{Rate, seed};

/// Messages both ways on four streams, the last two of them unordered; checked to the byte.
#[track_caller]
fn transfer(net: &mut Pair, count: usize) {
    for (number, len) in sizes(count).enumerate() {
        let stream = u16::try_from(number % 4).unwrap();
        net.a.send_bytes(stream, patterned(number, len), stream < 2);
        net.b.send_bytes(stream, patterned(number + 1, len), stream < 2);
    }
    net.run_until_idle();
    for (end, offset, name) in [(&net.b, 0, "b"), (&net.a, 1, "a")] {
        for stream in 0..4 {
            let mut received = end.received.get(&stream).cloned().unwrap_or_default();
            let numbered = sizes(count).enumerate().filter(|(number, _)| number % 4 == usize::from(stream));
            let mut expected: Vec<_> =
                numbered.map(|(number, len)| patterned(number + offset, len)).collect();
            if stream >= 2 {
                received.sort();
                expected.sort();
            }
            assert_eq!(received.len(), expected.len(), "messages to {name} on stream {stream}");
            assert!(received == expected, "messages to {name} on stream {stream}");
        }
    }
    for end in [&net.a, &net.b] {
        let stats = end.stats();
        assert_eq!((end.association.undelivered(), stats.bytes_in_flight), (0, 0));
        assert_eq!(stats.local_rwnd, 4 << 20);
        assert_eq!(end.association.poll_timeout(), None, "nothing is left to wait for");
    }
}

#[test]
fn loss_by_reordering_by_duplication() {
    let seed = seed();
    for loss in [0.0, 0.05, 0.2] {
        for reorder in [0.0, 0.2] {
            for duplicate in [0.0, 0.1] {
                let conditions = rough(loss, reorder, duplicate);
                let mut net = Pair::established_with(quiet(), quiet(), conditions, seed);
                transfer(&mut net, 200);
            }
        }
    }
}

#[test]
fn many_seeds() {
    let seed = seed();
    for number in 0..30 {
        let conditions = rough(0.1, 0.2, 0.1);
        let mut net = Pair::established_with(quiet(), quiet(), conditions, seed.wrapping_add(number));
        transfer(&mut net, 60);
    }
}

/// Owners that handle batches: acknowledgements come in bursts.
#[test]
fn batches() {
    let seed = seed();
    for loss in [0.0, 0.05, 0.2] {
        let mut net = Pair::established_with(quiet(), quiet(), rough(loss, 0.1, 0.05), seed);
        net.a.batch = ms(3);
        net.b.batch = ms(7);
        transfer(&mut net, 200);
    }
}

/// 30 % lost, 20 % late, 5 % twice, 1 % with flipped bits, which the checksum finds. Ten timeouts in a row, after which a peer
/// counts as gone by default, are nothing special there.
#[test]
fn hostile_network() {
    let config = || quiet().zero_checksum(false).max_retransmits(50);
    let conditions = Conditions { corrupt: 0.01, ..rough(0.3, 0.2, 0.05) };
    let mut net = Pair::established_with(config(), config(), conditions, seed());
    transfer(&mut net, 600);
    let stats = net.a.stats();
    assert!(stats.packets_dropped > 0, "{stats:?}");
}

/// The strict profile of timers and window delivers as well.
#[test]
fn strict_profile() {
    let config = || Config::strict().heartbeat_interval(Duration::ZERO);
    let mut net = Pair::established_with(config(), config(), rough(0.05, 0.1, 0.05), seed());
    transfer(&mut net, 100);
}

/// RFC 9260 §1.6: TSNs wrap in the middle of a transfer, and request numbers of RE-CONFIG with them.
#[test]
fn tsn_wraps() {
    let seed = seed();
    for before in [0, 1, 2, 40, 300] {
        let mut net = Pair::connecting(quiet(), quiet(), rough(0.05, 0.2, 0.1), seed.wrapping_add(before));
        let initial = Tsn(u32::MAX - u32::try_from(before).unwrap());
        net.a.association.set_initial_tsn(initial.0);
        net.b.association.set_initial_tsn(initial.0);
        transfer(&mut net, 100);
        net.a.call(|association, now| association.reset_streams(now, &[StreamId(0)]).unwrap());
        net.run_until_idle();
        let expected = Event::OutgoingStreamsReset { streams: vec![StreamId(0)], accepted: true };
        assert_eq!(net.a.events.last(), Some(&expected));
        assert_eq!(net.b.events.last(), Some(&Event::IncomingStreamsReset(vec![StreamId(0)])));
    }
}

/// RFC 9260 §6.5: "when the Stream Sequence Number reaches the value 65535, the next Stream Sequence Number MUST be set
/// to 0".
#[test]
fn ssn_wraps() {
    let mut net = Pair::established_with(quiet(), quiet(), rough(0.01, 0.1, 0.05), seed());
    net.wire_mut().is_tracing = false;
    let count = 66_000_u32;
    for number in 0..count {
        net.a.send_bytes(0, Bytes::copy_from_slice(&number.to_be_bytes()), true);
    }
    net.run_until_idle();
    assert!(
        net.b.received[&0]
            .iter()
            .map(|data| &data[..])
            .eq((0..count).map(u32::to_be_bytes).collect::<Vec<_>>().iter())
    );
}

#[test]
fn bottleneck_with_a_short_queue() {
    let rate = Some(Rate { bits_per_second: 10_000_000, queue_bytes: 20_000 });
    let conditions = Conditions { rate, ..calm() };
    let mut net = Pair::established_with(quiet(), quiet(), conditions, seed());
    transfer(&mut net, 400);
    assert!(net.a_to_b.stats().dropped > 0);
}

/// Tiny messages share packets.
#[test]
fn many_tiny_messages() {
    let mut net = Pair::established(seed());
    for number in 0..5000 {
        net.a.send_on(0, number);
    }
    net.run_until_idle();
    let expected: Vec<_> = (0..5000).map(|number| number.to_string()).collect();
    assert_eq!(net.b.received(0), expected);
    assert!(net.a.stats().packets_sent < 5000 / 30, "{:?}", net.a.stats());
}

/// A message of many parts, read by parts as it arrives: never more than the window is held.
#[test]
fn parts() {
    let window = 100_000;
    let config = || quiet().receive_window(window).max_receive_message_size(usize::MAX);
    let mut net = Pair::established_with(config(), config(), rough(0.02, 0.1, 0.05), seed());
    net.b.reads = false;
    let len = 2_000_000;
    let whole = patterned(7, len);
    for (number, part) in whole.chunks(100_000).enumerate() {
        let (part, last) = (Bytes::copy_from_slice(part), number == len / 100_000 - 1);
        net.a.call(move |association, now| {
            let (stream, reliability) = (StreamId(3), Reliability::Reliable);
            association.send_part(now, stream, Ppid::BINARY, part, last, true, reliability).unwrap();
        });
    }
    let mut received = Vec::new();
    let mut is_over = false;
    net.run_until(ms(600_000), |net| {
        let now = net.now();
        while let Some(part) = net.b.association.recv_part(now, StreamId(3)) {
            assert_eq!(part.ppid, Ppid::BINARY);
            received.extend_from_slice(&part.data);
            assert!(!is_over);
            is_over = part.last;
        }
        is_over
    });
    assert!(received == whole);
}
