//! Sending DATA: what is accepted from the user, and how it is numbered and marked (RFC 9260 §6.1, §9.2).

use crate::raw_sctp::*;
use crate::sctp_pair::*;
use bytes::Bytes;
use rand::RngExt;
use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::SeedableRng;
use straits_sctp::{Config, Event, Ppid, Reliability, SendError, State, StreamId};

/// The largest DATA chunk in 1191 bytes, and its payload.
const PMDCS: usize = 1176;
const FRAGMENT: usize = PMDCS - 16;

/// The engine's user sends a reliable ordered message; what it gets for an answer.
fn try_send(peer: &mut RawPeer, stream: u16, payload: &[u8]) -> Result<(), SendError> {
    let data = Bytes::copy_from_slice(payload);
    peer.engine.send(peer.now, StreamId(stream), Ppid::BINARY, data, true, Reliability::Reliable)
}

/// A part of a message on stream 0.
fn try_send_part(peer: &mut RawPeer, payload: &[u8], last: bool) -> Result<(), SendError> {
    let data = Bytes::copy_from_slice(payload);
    peer.engine.send_part(peer.now, StreamId(0), Ppid::BINARY, data, last, true, Reliability::Reliable)
}

fn sent(peer: &mut RawPeer) -> Vec<u32> {
    let chunks = chunks(&peer.replies());
    peer.numbers(&chunks)
}

/// An engine that numbers its DATA from this TSN on, and sends what the windows allow.
fn numbering_from(config: Config, tsn: u32) -> RawPeer {
    let mut peer = RawPeer::new(config.max_burst(usize::MAX));
    peer.engine.set_initial_tsn(tsn);
    peer.connect();
    assert_eq!(peer.engine_tsn, tsn);
    peer.answer_init(&[]);
    peer.exchange(&[bare(COOKIE_ACK)]);
    assert_eq!(peer.engine.state(), State::Established);
    peer
}

/// RFC 9260 §6.1: no TSN "more than 2^31 - 1 above the beginning TSN of the current send window", and no "more than 2^16 - 1
/// ordered user messages in the current send window". Both by a limit of 65535 chunks, here across the wrap of TSNs.
#[test]
fn item_110_send_window() {
    let mut peer = numbering_from(quiet().initial_window(2000), u32::MAX - 30_000);
    for n in 0..70_000_u32 {
        peer.user_sends(0, &n.to_be_bytes());
    }
    let window = chunks(&peer.replies());
    assert_eq!(peer.numbers(&window), Vec::from_iter(0..65_535));
    assert!(peer.engine.stats().bytes_in_flight < peer.engine.stats().cwnd, "it is not cwnd that limits");
    assert!(peer.engine.stats().peer_rwnd > 4 * 70_000, "nor is it the peer's window");
    // Gap reports do not move the window, the cumulative TSN does.
    let sack = Sack { gaps: vec![(2, u16::MAX)], ..Sack::new(peer.engine_tsn.wrapping_sub(1)) };
    let next = chunks(&peer.exchange(&[sack.chunk()]));
    assert!(peer.numbers(&next).iter().all(|number| *number < 65_535));
    let next = peer.acknowledge(3, 1 << 20);
    assert_eq!(peer.numbers(&next), [65_535, 65_536, 65_537]);
    let rest = peer.acknowledge(65_538, 1 << 20);
    assert_eq!(peer.numbers(&rest), Vec::from_iter(65_538..70_000));
}

/// Which of some chunks have the I bit.
fn immediate(chunks: &[Chunk]) -> Vec<bool> {
    chunks.iter().map(|chunk| chunk.flags & IMMEDIATE != 0).collect()
}

/// RFC 9260 §6.1: the I bit, if "The sending of a DATA chunk fills the congestion or receiver window."
#[test]
fn item_111_immediate_when_a_window_is_full() {
    let mut peer = RawPeer::passive(quiet());
    (0..20).for_each(|n| peer.user_sends(0, &patterned(n, FRAGMENT)));
    let filling = chunks(&peer.replies());
    assert_eq!(immediate(&filling), Vec::from_iter((1..=10).map(|n| n == 10)), "ten packets fill cwnd");

    let mut peer = RawPeer::new(quiet());
    peer.open_with(&Init { window: 3500, ..peer.init() });
    (0..5).for_each(|n| peer.user_sends(0, &patterned(n, 1000)));
    // Less than half a chunk is left behind the third.
    assert_eq!(immediate(&chunks(&peer.replies())), [false, false, true]);
    assert_eq!(immediate(&peer.acknowledge(3, 0)), []);
    let probe = peer.run_for(peer.engine.stats().rto);
    assert_eq!(immediate(&probe[0].1.chunks), [true], "a probe");
}

/// RFC 9260 §6.1: the I bit, if "The sender is in the SHUTDOWN-PENDING state": on the last chunk. Whatever is alone in a
/// window that T3 has shrunk has it too, for its SACK would be delayed.
#[test]
fn item_111_immediate_when_an_answer_is_waited_for() {
    let mut peer = RawPeer::passive(quiet());
    peer.user_sends(0, b"not waited for");
    assert_eq!(immediate(&chunks(&peer.replies())), [false]);
    (0..3).for_each(|n| peer.user_sends(0, &patterned(n, 1000)));
    peer.engine.shutdown(peer.now);
    assert_eq!(peer.engine.state(), State::ShutdownPending);
    assert_eq!(immediate(&chunks(&peer.replies())), [false, false, true]);

    let mut peer = RawPeer::passive(quiet());
    (0..3).for_each(|n| peer.user_sends(0, &patterned(n, 1000)));
    assert_eq!(immediate(&chunks(&peer.replies())), [false; 3]);
    let resent = peer.run_for(ms(500));
    assert_eq!(immediate(&resent[0].1.chunks), [true]);
}

/// RFC 8831 §6.6: "The sender SHOULD disable the Nagle algorithm (see [RFC1122]) to minimize the latency."
#[test]
fn item_112_no_delay_of_small_messages() {
    let mut peer = RawPeer::passive(quiet());
    for n in 0..50 {
        peer.user_sends(0, b"x");
        assert_eq!(sent(&mut peer), [n], "with {n} in flight");
    }
}

/// RFC 9260 §6.2: "An endpoint SHOULD NOT send a DATA chunk with no user data part."
#[test]
fn item_113_no_empty_messages() {
    let mut peer = RawPeer::passive(quiet());
    assert_eq!(try_send(&mut peer, 0, b""), Err(SendError::Empty));
    assert_eq!((peer.replies(), peer.engine.poll_timeout()), (vec![], None));
    // An empty part is nothing, or ends a message; it makes no chunk.
    assert_eq!(try_send_part(&mut peer, &[1; 2 * FRAGMENT], false), Ok(()));
    assert_eq!(try_send_part(&mut peer, b"", false), Ok(()));
    assert_eq!(try_send_part(&mut peer, b"", true), Ok(()));
    assert_eq!(try_send(&mut peer, 0, b"next"), Ok(()));
    let sent = chunks(&peer.replies());
    let flags: Vec<u8> = sent.iter().map(|chunk| chunk.flags).collect();
    assert_eq!(flags, [FIRST, LAST, WHOLE]);
    let payload: usize = sent.iter().map(|chunk| chunk.value.len() - 12).sum();
    assert_eq!(payload, 2 * FRAGMENT + 4);
    // A message of no parts but an empty one is empty.
    assert_eq!(try_send_part(&mut peer, b"", true), Err(SendError::Empty));
}

/// RFC 9260 §6.2.1 A to D: rwnd is what INIT says, less what is sent, more what is marked for retransmission; after a SACK
/// "the newly received a_rwnd minus the number of bytes still outstanding", and never below zero.
#[test]
fn item_114_view_of_the_peers_window() {
    let mut peer = RawPeer::new(quiet());
    peer.open_with(&Init { window: 5000, ..peer.init() });
    let rwnd = |peer: &RawPeer| peer.engine.stats().peer_rwnd;
    assert_eq!(rwnd(&peer), 5000);
    (0..4).for_each(|n| peer.user_sends(0, &patterned(n, 1000)));
    assert_eq!(rwnd(&peer), 5000, "not before it is sent");
    assert_eq!(sent(&mut peer), [0, 1, 2, 3]);
    assert_eq!(rwnd(&peer), 1000);
    peer.acknowledge(1, 3500);
    assert_eq!(rwnd(&peer), 500);
    let sack = Sack { window: 3500, gaps: vec![(2, 2)], ..Sack::new(peer.engine_tsn) };
    peer.send(&[sack.chunk()]);
    assert_eq!(rwnd(&peer), 1500, "what gap blocks report is not outstanding");
    for window in [1999, 1, 0] {
        peer.send(&[Sack { window, ..sack.clone() }.chunk()]);
        assert_eq!(rwnd(&peer), 0, "{window} less 2000");
    }
    peer.send(&[Sack { window: 3500, ..sack }.chunk()]);
    // T3 marks 1 and 3, of which one packet leaves again.
    let resent = peer.run_for(peer.engine.stats().rto);
    assert_eq!(peer.numbers(&chunks(&[resent[0].1.clone()])), [1]);
    assert_eq!(rwnd(&peer), 2500);
    peer.acknowledge(4, 0);
    assert_eq!(rwnd(&peer), 0);
}

/// RFC 9260 §3.3.1: "The TSNs of DATA chunks sent SHOULD be strictly sequential", and "TSN wraps back to 0 after reaching
/// 4294967295."
#[test]
fn item_115_tsns_are_consecutive() {
    let mut rng = ChaCha12Rng::seed_from_u64(seed());
    for initial in [0, 1, 1 << 31, u32::MAX - 100, u32::MAX] {
        let mut peer = numbering_from(quiet(), initial);
        let mut next = 0;
        for n in 0..200 {
            peer.user_sends(rng.random_range(0..5), &patterned(n, rng.random_range(1..4000)));
            for packet in peer.replies() {
                for number in peer.numbers(&packet.chunks) {
                    assert_eq!(number, next);
                    next += 1;
                }
            }
            assert_eq!(peer.acknowledge(next, 1 << 20), []);
        }
        assert!(next > 400);
    }
}

/// The same with losses between two engines: every first transmission is the next TSN, whatever is sent again between.
#[test]
fn item_115_tsns_are_consecutive_with_losses() {
    let mut net = Net::new(quiet(), quiet(), rough(0.2, 0.2, 0.1), seed());
    net.a.engine.set_initial_tsn(u32::MAX - 100);
    net.a.call(straits_sctp::Association::connect);
    for n in 0..200 {
        net.a.send((n % 5) as u16, patterned(n, 20 * n + 1), n % 2 == 0);
    }
    net.run_until_idle();
    // The log requires it of each chunk.
    let tsns: Vec<u32> = net.a.log.chunks.iter().map(Chunk::tsn).collect();
    assert_eq!(tsns, (0..tsns.len() as u32).map(|n| (u32::MAX - 100).wrapping_add(n)).collect::<Vec<_>>());
    assert!(tsns.len() > 400 && net.a.log.resent > 20);
}

/// RFC 9260 §9.2: "An endpoint SHOULD reject any new data request from its upper layer if it is in the SHUTDOWN-PENDING,
/// SHUTDOWN-SENT, SHUTDOWN-RECEIVED, or SHUTDOWN-ACK-SENT state."
#[test]
fn item_116_no_new_messages_while_shutting_down() {
    let mut states = Vec::new();
    let mut refuses = |peer: &mut RawPeer| {
        states.push(peer.engine.state());
        let undelivered = peer.engine.undelivered();
        assert_eq!(try_send(peer, 0, b"too late"), Err(SendError::Closed));
        assert_eq!(try_send_part(peer, b"too late", false), Err(SendError::Closed));
        assert_eq!((peer.replies(), peer.engine.undelivered()), (vec![], undelivered));
    };
    let mut peer = RawPeer::passive(quiet());
    peer.user_sends(0, b"in time");
    assert_eq!(sent(&mut peer), [0]);
    peer.engine.shutdown(peer.now);
    refuses(&mut peer);
    assert_eq!(kinds(&peer.exchange(&[Sack::new(peer.engine_tsn).chunk()])), [[SHUTDOWN]]);
    refuses(&mut peer);
    assert_eq!(kinds(&peer.exchange(&[bare(SHUTDOWN_ACK)])), [[SHUTDOWN_COMPLETE]]);
    refuses(&mut peer);

    let mut peer = RawPeer::passive(quiet());
    peer.user_sends(0, b"in time");
    assert_eq!(sent(&mut peer), [0]);
    assert_eq!(peer.exchange(&[shutdown(peer.engine_tsn.wrapping_sub(1))]), []);
    refuses(&mut peer);
    assert_eq!(kinds(&peer.exchange(&[Sack::new(peer.engine_tsn).chunk()])), [[SHUTDOWN_ACK]]);
    refuses(&mut peer);
    let (pending, received) = (State::ShutdownPending, State::ShutdownReceived);
    assert_eq!(states, [pending, State::ShutdownSent, State::Closed, received, State::ShutdownAckSent]);
}

/// RFC 9260 §6.5: "Every DATA chunk MUST carry a valid stream identifier."
#[test]
fn item_117_no_such_stream() {
    let mut peer = RawPeer::new(quiet().outgoing_streams(7));
    // Before the number is known anything may be queued.
    for stream in 3..9 {
        assert_eq!(try_send(&mut peer, stream, &[stream as u8; 10]), Ok(()));
    }
    let sent_at_once = peer.open_with(&Init { incoming: 5, ..peer.init() });
    let streams: Vec<u16> = sent_at_once.iter().map(|chunk| be16(&chunk.value, 4)).collect();
    assert_eq!(streams, [3, 4]);
    let lost = (5..9).map(|stream| Event::NoSuchStream(StreamId(stream)));
    let mut expected = vec![Event::Established];
    expected.extend(lost);
    let mut events = peer.drain_events();
    events.retain(|event| !matches!(event, Event::BufferedAmountLow(_)));
    assert_eq!((events, peer.engine.stats().bytes_lost), (expected, 40));
    for stream in [5, 6, u16::MAX] {
        let error = SendError::NoSuchStream { stream: StreamId(stream), negotiated: 5 };
        assert_eq!(try_send(&mut peer, stream, b"x"), Err(error));
        assert_eq!(peer.replies(), []);
    }
    assert_eq!(try_send(&mut peer, 4, b"x"), Ok(()));
    assert_eq!(sent(&mut peer), [2]);
    // The smaller of both numbers counts.
    let mut peer = RawPeer::passive(quiet().outgoing_streams(7));
    let error = SendError::NoSuchStream { stream: StreamId(7), negotiated: 7 };
    assert_eq!((try_send(&mut peer, 6, b"x"), try_send(&mut peer, 7, b"x")), (Ok(()), Err(error)));
}

/// RFC 8841 §6: "the maximum SCTP user message size (indicated in bytes) that an SCTP endpoint is willing to receive"; what
/// is larger is not sent.
#[test]
fn item_118_peers_maximum() {
    let mut peer = RawPeer::passive(quiet());
    peer.engine.set_max_send_message_size(Some(1000));
    assert_eq!(try_send(&mut peer, 0, &[1; 1001]), Err(SendError::TooLarge { len: 1001, max: 1000 }));
    assert_eq!((peer.replies(), peer.engine.undelivered()), (vec![], 0));
    assert_eq!(try_send(&mut peer, 0, &[1; 1000]), Ok(()));
    // Of a message in parts the sum counts; the part that is too much is refused, and the message may still end.
    assert_eq!(try_send_part(&mut peer, &[1; 600], false), Ok(()));
    assert_eq!(try_send_part(&mut peer, &[1; 401], true), Err(SendError::TooLarge { len: 1001, max: 1000 }));
    assert_eq!(try_send_part(&mut peer, &[1; 400], true), Ok(()));
    let lengths: Vec<usize> = chunks(&peer.replies()).iter().map(|chunk| chunk.value.len() - 12).collect();
    assert_eq!(lengths.iter().sum::<usize>(), 2000, "{lengths:?}");
    peer.engine.set_max_send_message_size(None);
    assert_eq!(try_send(&mut peer, 0, &[1; 1 << 20]), Ok(()));
}

/// What is accepted and not acknowledged is bounded: refused with an error, not queued; and it is told when there is room.
#[test]
fn item_119_send_buffer() {
    let mut peer = RawPeer::passive(quiet().send_buffer_limit(10_000));
    assert_eq!(try_send(&mut peer, 0, &[1; 6000]), Ok(()));
    assert_eq!(try_send(&mut peer, 1, &[1; 4001]), Err(SendError::BufferFull { len: 1, max: 10_000 }));
    assert_eq!(peer.engine.undelivered(), 6000);
    assert_eq!(sent(&mut peer), [0, 1, 2, 3, 4, 5]);
    // On the wire it counts until it is acknowledged.
    assert_eq!(try_send(&mut peer, 1, &[1; 4001]), Err(SendError::BufferFull { len: 1, max: 10_000 }));
    assert_eq!(try_send(&mut peer, 1, &[1; 4000]), Ok(()));
    assert_eq!(sent(&mut peer), [6, 7, 8, 9]);
    peer.drain_events();
    peer.acknowledge(3, 1 << 20);
    assert_eq!(peer.drain_events(), [], "3480 bytes of room");
    peer.acknowledge(4, 1 << 20);
    assert_eq!(peer.drain_events(), [Event::Writable(StreamId(1))], "4640 bytes of room");
    assert_eq!(try_send(&mut peer, 1, &[1; 4001]), Ok(()));
    assert_eq!(try_send(&mut peer, 1, &[1; 639]), Ok(()));
    assert_eq!(try_send(&mut peer, 1, b"x"), Err(SendError::BufferFull { len: 128, max: 10_000 }));
    // Tiny messages count for what they cost, so they cannot take many times the limit.
    let mut peer = RawPeer::passive(quiet().send_buffer_limit(10_000));
    let accepted = (0..10_000).take_while(|_| try_send(&mut peer, 0, b"x").is_ok()).count();
    assert_eq!(accepted, 10_000 / 128);
}

/// The same for each stream, until what it has queued is on the wire.
#[test]
fn item_119_send_buffer_of_a_stream() {
    let mut peer = RawPeer::new(quiet().stream_buffer_limit(4000));
    peer.open_with(&Init { window: 2000, ..peer.init() });
    assert_eq!(try_send(&mut peer, 0, &[1; 4001]), Err(SendError::BufferFull { len: 1, max: 4000 }));
    for stream in 0..3 {
        assert_eq!(try_send(&mut peer, stream, &[1; 3000]), Ok(()));
        assert_eq!(try_send(&mut peer, stream, &[1; 1001]), Err(SendError::BufferFull { len: 1, max: 4000 }));
        assert_eq!(try_send(&mut peer, stream, &[1; 1000]), Ok(()));
    }
    assert_eq!(peer.engine.undelivered(), 12_000);
    assert_eq!(sent(&mut peer), [0, 1]);
    // 1160 and 840 bytes of the first left: it has room for what was refused, the others do not.
    assert_eq!(peer.drain_events(), [Event::Established, Event::Writable(StreamId(0))]);
    assert_eq!(try_send(&mut peer, 0, &[1; 2000]), Ok(()));
    assert_eq!(try_send(&mut peer, 0, b"x"), Err(SendError::BufferFull { len: 1, max: 4000 }));
}

/// The buffered amount of stream 0.
fn buffered(peer: &RawPeer) -> usize {
    peer.engine.buffered_amount(StreamId(0))
}

/// W3C webrtc §6.2: bufferedAmount counts what was "queued using send()" and "had not yet been transmitted to the network"; each
/// stream by itself.
#[test]
fn item_120_buffered_amount() {
    let mut peer = RawPeer::new(quiet());
    assert_eq!(buffered(&peer), 0);
    peer.user_sends(0, &patterned(0, 700));
    assert_eq!(buffered(&peer), 700, "before the association is up too");
    assert_eq!(peer.open_with(&peer.init()).len(), 1);
    assert_eq!(buffered(&peer), 0);
    peer.acknowledge(1, 2 * FRAGMENT as u32 + 100);
    peer.user_sends(0, &patterned(0, 5000));
    assert_eq!(buffered(&peer), 5000);
    assert_eq!(peer.replies().len(), 2);
    peer.user_sends(1, b"another stream");
    // On the wire it does not count, acknowledged or not.
    assert_eq!(buffered(&peer), 5000 - 2 * FRAGMENT);
    assert_eq!(peer.engine.buffered_amount(StreamId(1)), 14);
    peer.acknowledge(3, 1 << 20);
    assert_eq!((buffered(&peer), peer.engine.buffered_amount(StreamId(1))), (0, 0));
    // What is sent again does not count again.
    peer.run_for(secs(1));
    assert_eq!((peer.engine.stats().t3_expirations, buffered(&peer)), (1, 0));
}

/// W3C webrtc §6.2: bufferedamountlow fires when the amount "decreases from above this threshold to equal or below it".
#[test]
fn item_120_low_threshold() {
    let low = [Event::BufferedAmountLow(StreamId(0))];
    let mut peer = RawPeer::passive(quiet());
    peer.engine.set_buffered_amount_low_threshold(StreamId(0), 2 * FRAGMENT);
    peer.acknowledge(0, 0);
    peer.user_sends(0, &patterned(0, 2 * FRAGMENT));
    peer.acknowledge(0, FRAGMENT as u32);
    assert_eq!((buffered(&peer), peer.drain_events()), (FRAGMENT, vec![]), "it was never above");
    peer.user_sends(0, &patterned(0, 3 * FRAGMENT));
    peer.acknowledge(1, FRAGMENT as u32);
    assert_eq!((buffered(&peer), peer.drain_events()), (3 * FRAGMENT, vec![]), "still above");
    peer.acknowledge(2, FRAGMENT as u32);
    assert_eq!((buffered(&peer), &peer.drain_events()[..]), (2 * FRAGMENT, &low[..]), "down to it");
    peer.acknowledge(3, FRAGMENT as u32);
    assert_eq!((buffered(&peer), peer.drain_events()), (FRAGMENT, vec![]), "below already");
    // Up to it and down again is no crossing, above it is.
    peer.user_sends(0, &patterned(0, FRAGMENT));
    peer.acknowledge(4, FRAGMENT as u32);
    assert_eq!((buffered(&peer), peer.drain_events()), (FRAGMENT, vec![]));
    peer.user_sends(0, &patterned(0, FRAGMENT + 4));
    assert_eq!((buffered(&peer), peer.drain_events()), (2 * FRAGMENT + 4, vec![]));
    peer.acknowledge(5, 1 << 20);
    assert_eq!((buffered(&peer), &peer.drain_events()[..]), (0, &low[..]));
    // Moving the threshold is no event.
    peer.user_sends(0, &patterned(0, 100));
    peer.engine.set_buffered_amount_low_threshold(StreamId(0), 200);
    assert_eq!(peer.drain_events(), []);
}
