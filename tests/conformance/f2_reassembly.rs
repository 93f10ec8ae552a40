//! DATA that comes in: reassembly, its limits, and what is wrong with it (RFC 9260 §6.2, §6.5, §6.9).

use crate::raw_sctp::*;
use crate::sctp_pair::*;
use bytes::Bytes;
use rand::RngExt;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::SeedableRng;
use straits_sctp::{
    ChannelCloseReason, ChannelEvent, ChannelInit, Channels, CloseReason, Event, MessageKind, State, StreamId,
};

const NOTHING: Vec<Bytes> = Vec::new();

/// Every order of some things.
fn orders<T: Clone>(of: &[T]) -> Vec<Vec<T>> {
    if of.is_empty() {
        return vec![Vec::new()];
    }
    let mut all = Vec::new();
    for first in 0..of.len() {
        let mut rest = of.to_vec();
        let first = rest.remove(first);
        all.extend(orders(&rest).into_iter().map(|mut order| {
            order.insert(0, first.clone());
            order
        }));
    }
    all
}

/// The B and E bits of the n-th of so many fragments.
fn bits(n: u32, count: u32) -> u8 {
    let first = if n == 0 { FIRST } else { 0 };
    let last = if n == count - 1 { LAST } else { 0 };
    first | last
}

/// A message of so many fragments, each with a payload of its own.
fn message(tsn: u32, count: u32, unordered: u8, stream: u16, ssn: u16) -> (Vec<Chunk>, Bytes) {
    let fragments = (0..count).map(|n| {
        let payload = patterned((tsn + n) as usize, 3 + n as usize);
        data(tsn + n, bits(n, count) | unordered, stream, ssn, &payload)
    });
    let payload = (0..count).flat_map(|n| patterned((tsn + n) as usize, 3 + n as usize)).collect();
    (fragments.collect(), payload)
}

/// Feeds chunks, each in a packet of its own.
fn feed(peer: &mut RawPeer, chunks: &[Chunk]) {
    for chunk in chunks {
        peer.exchange(std::slice::from_ref(chunk));
    }
}

/// RFC 9260 §6.9: fragments are queued "for reassembly" in whatever order they arrive: all orders of up to seven.
#[test]
fn item_125_every_order_of_a_message() {
    let mut peer = RawPeer::passive(quiet());
    let mut ssn = 0;
    for count in 1..=7 {
        for order in orders(&Vec::from_iter(0..count as usize)) {
            let (fragments, payload) = message(peer.tsn, count, 0, 0, ssn);
            peer.tsn += count;
            ssn += 1;
            for (n, index) in order.iter().enumerate() {
                assert_eq!(peer.user_reads(0), NOTHING, "{n} of {order:?}");
                feed(&mut peer, &fragments[*index..=*index]);
            }
            assert_eq!(peer.user_reads(0), [payload], "{order:?}");
        }
    }
    assert_eq!(peer.engine.stats().local_rwnd, 4 << 20);
}

/// The same for a message between others: ordered and unordered, whole and in fragments, of the same stream and another.
#[test]
fn item_125_every_order_of_several_messages() {
    let mut peer = RawPeer::passive(quiet());
    for (ssn, order) in orders(&Vec::from_iter(0..7_usize)).into_iter().enumerate() {
        let tsn = peer.tsn;
        peer.tsn += 7;
        let (mut chunks, ordered) = message(tsn, 3, 0, 0, (2 * ssn) as u16);
        let (more, unordered) = message(tsn + 3, 2, UNORDERED, 0, 0);
        chunks.extend(more);
        chunks.push(data(tsn + 5, WHOLE, 0, (2 * ssn + 1) as u16, b"behind"));
        chunks.push(data(tsn + 6, WHOLE, 1, ssn as u16, b"elsewhere"));
        let arriving: Vec<Chunk> = order.iter().map(|index| chunks[*index].clone()).collect();
        feed(&mut peer, &arriving);
        let (mut read, mut sent) = (peer.user_reads(0), vec![ordered.clone(), unordered, "behind".into()]);
        let place = |message: &Bytes| read.iter().position(|other| other == message);
        assert!(place(&ordered) < place(&"behind".into()), "{order:?}");
        read.sort();
        sent.sort();
        assert_eq!(read, sent, "{order:?}");
        assert_eq!(peer.user_reads(1), ["elsewhere"]);
    }
}

/// Random orders of many messages, some chunks twice.
#[test]
fn item_125_random_orders() {
    let mut rng = ChaCha12Rng::seed_from_u64(seed());
    for _ in 0..60 {
        let mut peer = RawPeer::passive(quiet());
        let (mut arriving, mut ordered, mut unordered) = (Vec::new(), Vec::new(), Vec::new());
        while arriving.len() < 150 {
            let count = rng.random_range(1..20);
            let flag = if rng.random() { UNORDERED } else { 0 };
            let (fragments, payload) = message(peer.tsn, count, flag, 0, ordered.len() as u16);
            peer.tsn += count;
            arriving.extend(fragments);
            if flag == 0 { ordered.push(payload) } else { unordered.push(payload) }
        }
        let copies: Vec<Chunk> = arriving.iter().filter(|_| rng.random_bool(0.2)).cloned().collect();
        arriving.extend(copies);
        arriving.shuffle(&mut rng);
        feed(&mut peer, &arriving);
        let mut read = peer.user_reads(0);
        let position = |message: &Bytes| read.iter().position(|other| other == message);
        assert!(ordered.iter().map(position).is_sorted());
        let mut sent = [ordered, unordered].concat();
        read.sort();
        sent.sort();
        assert_eq!(read, sent);
    }
}

/// RFC 9260 §3.3.1: only fragments with "strictly sequential" TSNs are of one message: two unordered ones that both lost a
/// middle are not mixed, whatever their fragments look like.
#[test]
fn item_126_interleaved_unordered_fragments() {
    let of = |first: u32, text: &[u8; 3]| {
        [FIRST, 0, LAST].map(|flags| {
            let n = u32::from(flags == 0) + 2 * u32::from(flags == LAST);
            data(first + n, flags | UNORDERED, 0, 0, &text[n as usize..=n as usize])
        })
    };
    let [a0, a1, a2] = of(1000, b"abc");
    let [b0, b1, b2] = of(1003, b"xyz");
    let mut peer = RawPeer::passive(quiet());
    // The end of one and the beginning of the other are neighbours.
    for chunk in [&a0, &a2, &b0, &b2] {
        peer.send(std::slice::from_ref(chunk));
        assert_eq!(peer.user_reads(0), NOTHING);
    }
    peer.send(std::slice::from_ref(&b1));
    assert_eq!(peer.user_reads(0), ["xyz"]);
    peer.send(std::slice::from_ref(&a1));
    assert_eq!(peer.user_reads(0), ["abc"]);

    for order in orders(&[a0, a1, a2, b0, b1, b2]) {
        let mut peer = RawPeer::passive(quiet());
        feed(&mut peer, &order);
        let read = peer.user_reads(0);
        assert!(read == ["abc", "xyz"] || read == ["xyz", "abc"], "{read:?}");
    }
}

/// A chunk of a sequence that makes no sense: flags, stream, SSN, PPID.
type Wrong = (u8, u16, u16, u32);

/// Messages of contradictory fragments, by what is wrong.
fn contradictions() -> Vec<(&'static str, Vec<Wrong>)> {
    let (first, middle, last) = ((FIRST, 0, 0, 53), (0, 0, 0, 53), (LAST, 0, 0, 53));
    let whole = |ssn| (WHOLE, 0, ssn, 53);
    vec![
        ("an end alone", vec![last]),
        ("a middle alone", vec![middle]),
        ("two beginnings", vec![first, first]),
        ("two beginnings of different messages", vec![first, (FIRST, 0, 1, 53)]),
        ("a beginning before a whole message", vec![first, whole(1)]),
        ("a middle behind a whole message", vec![whole(0), (0, 0, 1, 53), (LAST, 0, 1, 53)]),
        ("an end behind a whole message", vec![whole(0), (LAST, 0, 1, 53)]),
        ("two ends", vec![first, last, last]),
        ("an end and then a middle", vec![first, last, middle]),
        ("a whole message within a message", vec![first, whole(1), last]),
        ("a message within a message", vec![first, (FIRST, 0, 1, 53), (LAST, 0, 1, 53), last]),
        ("the stream changes", vec![first, (LAST, 1, 0, 53)]),
        ("the stream changes and back", vec![first, (0, 1, 0, 53), last]),
        ("the SSN changes", vec![first, (LAST, 0, 1, 53)]),
        ("the SSN changes behind the second", vec![first, middle, (LAST, 0, 1, 53)]),
        ("the PPID changes", vec![first, (LAST, 0, 0, 51)]),
        ("an ordered message ends unordered", vec![first, (LAST | UNORDERED, 0, 0, 53)]),
        ("an unordered message ends ordered", vec![(FIRST | UNORDERED, 0, 0, 53), last]),
    ]
}

/// RFC 9260 §6.9: fragments of a message have TSNs "in sequence", "the same Stream Sequence Number" and one U bit. What
/// contradicts is answered by ABORT (Protocol Violation) in whatever order it arrives, and nothing is made of it.
#[test]
fn item_127_contradictory_fragments() {
    for (what, wrong) in contradictions() {
        let sequence: Vec<Chunk> = wrong
            .iter()
            .enumerate()
            .map(|(n, (flags, stream, ssn, ppid))| {
                let mut chunk = data(1000 + n as u32, *flags, *stream, *ssn, &[n as u8; 4]);
                chunk.value[8..12].copy_from_slice(&ppid.to_be_bytes());
                chunk
            })
            .collect();
        for order in orders(&sequence) {
            let mut peer = RawPeer::passive(quiet());
            let aborts: Vec<Chunk> = order
                .iter()
                .map(|chunk| chunks(&peer.exchange(std::slice::from_ref(chunk))))
                .find_map(|replies| replies.into_iter().find(|reply| reply.kind == ABORT))
                .into_iter()
                .collect();
            assert_eq!(aborts.len(), 1, "{what}: {order:?}");
            assert_eq!(split(&aborts[0].value)[0].0, 13, "{what}");
            let closed = peer.drain_events().pop();
            assert!(
                matches!(closed, Some(Event::Closed(CloseReason::RemoteViolation(_)))),
                "{what}: {closed:?}"
            );
            let read = [peer.user_reads(0), peer.user_reads(1)].concat();
            assert!(read.iter().all(|message| is_genuine(&sequence, message)), "{what}: {read:?}");
        }
    }
}

/// Whether a message may be made of these chunks: of neighbours from a beginning to an end that agree on everything.
fn is_genuine(sequence: &[Chunk], message: &[u8]) -> bool {
    let runs = (0..sequence.len()).flat_map(|first| (first..sequence.len()).map(move |last| first..=last));
    let mut whole = runs.map(|run| &sequence[run]).filter(|run| {
        let begins = |n: usize| run[n].flags & FIRST != 0;
        let ends = |n: usize| run[n].flags & LAST != 0;
        let same = |chunk: &Chunk| {
            (chunk.flags & UNORDERED, &chunk.value[4..12]) == (run[0].flags & UNORDERED, &run[0].value[4..12])
        };
        let last = run.len() - 1;
        (0..=last).all(|n| begins(n) == (n == 0) && ends(n) == (n == last)) && run.iter().all(same)
    });
    whole.any(|run| run.iter().flat_map(|chunk| &chunk.value[12..]).eq(message))
}

/// RFC 9260 §6.5: DATA on a stream that does not exist: "it SHOULD acknowledge the reception of the DATA chunk following the
/// normal procedure, immediately send an ERROR chunk with cause set to "Invalid Stream Identifier" […], and discard the DATA
/// chunk."
#[test]
fn item_129_stream_that_does_not_exist() {
    let mut peer = RawPeer::passive(quiet().incoming_streams(5));
    assert_eq!(peer.engine.negotiated_streams(), Some((1024, 5)));
    let (window, before) = (peer.engine.stats().local_rwnd, peer.drain_events());
    assert_eq!(before, []);
    for (tsn, stream) in [(1000, 5), (1001, 6), (1002, u16::MAX)] {
        let mut replies = chunks(&peer.exchange(&[data(tsn, WHOLE | IMMEDIATE, stream, 0, b"x")]));
        replies.sort_by_key(|chunk| chunk.kind);
        assert_eq!(replies.len(), 2);
        assert_eq!(Sack::parse(&replies[0]).cumulative, tsn);
        assert_eq!(replies[1], error(&[tlv(1, &[stream.to_be_bytes(), [0; 2]].concat())]));
        assert_eq!(peer.user_reads(stream), NOTHING);
    }
    assert_eq!((peer.drain_events(), peer.engine.stats().local_rwnd), (vec![], window));
    peer.send(&[data(1003, WHOLE, 4, 0, b"the last stream")]);
    assert_eq!(peer.user_reads(4), ["the last stream"]);
}

/// RFC 9260 §6.2: DATA "with no user data (i.e., the Length field is set to 16)": "it SHOULD send an ABORT chunk with a "No
/// User Data" error cause", which names the TSN (§3.3.10.9).
#[test]
fn item_130_no_user_data() {
    for flags in [WHOLE, FIRST, 0, LAST, WHOLE | UNORDERED] {
        let mut peer = RawPeer::passive(quiet());
        let good = data(1000, WHOLE, 0, 0, b"before");
        let replies =
            peer.exchange(&[good, data(1001, flags, 0, 1, b""), data(1002, WHOLE, 0, 2, b"behind")]);
        let cause = tlv(9, &1001_u32.to_be_bytes());
        assert_eq!(chunks(&replies), [Chunk::new(ABORT, 0, &cause)]);
        assert_eq!(peer.engine.state(), State::Closed);
        assert_eq!(peer.user_reads(0), ["before"]);
    }
}

/// RFC 9260 §6: "DATA chunks MUST only be received according to the rules below in ESTABLISHED, SHUTDOWN-PENDING, and
/// SHUTDOWN-SENT states. […] A DATA chunk received in any other state SHOULD be discarded."
#[test]
fn item_131_states_in_which_data_is_taken() {
    let chunk = data(1000, WHOLE | IMMEDIATE, 0, 0, b"data");
    let mut pending = RawPeer::passive(quiet());
    pending.user_sends(0, b"outstanding");
    pending.replies();
    pending.engine.shutdown(pending.now);
    let mut sent = RawPeer::passive(quiet());
    sent.engine.shutdown(sent.now);
    assert_eq!(kinds(&sent.replies()), [[SHUTDOWN]]);
    let states = [&pending, &sent].map(|peer| peer.engine.state());
    assert_eq!(states, [State::ShutdownPending, State::ShutdownSent]);
    for (peer, answer) in [(&mut pending, SACK), (&mut sent, SHUTDOWN)] {
        let replies = chunks(&peer.exchange(std::slice::from_ref(&chunk)));
        assert_eq!((replies[0].kind, replies[0].tsn()), (answer, 1000));
        assert_eq!(peer.user_reads(0), ["data"]);
    }
}

#[test]
fn item_131_states_in_which_data_is_discarded() {
    let chunk = data(1000, WHOLE | IMMEDIATE, 0, 0, b"data");
    let mut wait = RawPeer::new(quiet());
    wait.connect();
    let mut echoed = RawPeer::new(quiet());
    echoed.connect();
    echoed.answer_init(&[]);
    let mut received = RawPeer::passive(quiet());
    received.user_sends(0, b"outstanding");
    received.replies();
    received.send(&[shutdown(received.engine_tsn.wrapping_sub(1))]);
    let mut ack_sent = RawPeer::passive(quiet());
    ack_sent.shut_down();
    let peers = [&mut wait, &mut echoed, &mut received, &mut ack_sent];
    let states = [State::CookieWait, State::CookieEchoed, State::ShutdownReceived, State::ShutdownAckSent];
    for (peer, state) in peers.into_iter().zip(states) {
        assert_eq!(peer.engine.state(), state);
        peer.assert_chunks_ignored(std::slice::from_ref(&chunk));
        assert_eq!(peer.user_reads(0), NOTHING);
    }
    // It was not acknowledged: when it comes again in ESTABLISHED it is new.
    echoed.exchange(&[bare(COOKIE_ACK)]);
    echoed.exchange(std::slice::from_ref(&chunk));
    assert_eq!(echoed.user_reads(0), ["data"]);
}

/// A fragment of 1000 bytes.
fn thousand(tsn: u32, flags: u8, stream: u16, ssn: u16) -> Chunk {
    data(tsn, flags, stream, ssn, &patterned(tsn as usize, 1000))
}

/// RFC 8841 §6: what is larger than what we are "willing to receive" is not buffered on: it is told once, acknowledged and
/// forgotten as it comes, and the stream goes on behind it.
#[test]
fn item_135_message_above_our_maximum() {
    let mut peer = RawPeer::passive(quiet().max_receive_message_size(5000));
    for n in 0..5 {
        peer.exchange(&[thousand(1000 + n, if n == 0 { FIRST } else { 0 }, 0, 0)]);
    }
    assert!(peer.engine.stats().local_rwnd < (4 << 20) - 5000);
    assert_eq!(peer.drain_events(), []);
    for n in 5..500 {
        let replies = chunks(&peer.exchange(&[thousand(1000 + n, 0, 0, 0), heartbeat(b"x")]));
        assert!(replies.iter().all(|reply| matches!(reply.kind, SACK | HEARTBEAT_ACK)), "{replies:?}");
        let told = if n == 5 { vec![Event::MessageTooLarge(StreamId(0))] } else { vec![] };
        assert_eq!((peer.drain_events(), peer.engine.stats().local_rwnd), (told, 4 << 20), "fragment {n}");
    }
    let end = [thousand(1500, LAST, 0, 0), data(1501, WHOLE | IMMEDIATE, 0, 1, b"next")];
    let replies = chunks(&peer.exchange(&end));
    assert_eq!(Sack::parse(&replies[0]).cumulative, 1501);
    assert_eq!(peer.user_reads(0), ["next"]);
}

/// The maximum itself is taken; one byte more is not, in however many pieces and in whatever order it comes.
#[test]
fn item_135_maximum_to_the_byte() {
    for order in orders(&[0_usize, 1, 2]) {
        for len in [10, 11] {
            let mut peer = RawPeer::passive(quiet().max_receive_message_size(10));
            let payload = patterned(1, len);
            let pieces = [(FIRST, &payload[..4]), (0, &payload[4..8]), (LAST, &payload[8..])];
            for index in &order {
                let (flags, piece) = pieces[*index];
                peer.exchange(&[data(1000 + *index as u32, flags, 0, 0, piece)]);
            }
            let events = peer.drain_events();
            if len == 10 {
                assert_eq!((events, peer.user_reads(0)), (vec![Event::Readable(StreamId(0))], vec![payload]));
            } else {
                assert_eq!(events, [Event::MessageTooLarge(StreamId(0))], "{order:?}");
                assert_eq!(peer.user_reads(0), NOTHING);
            }
            assert_eq!(peer.engine.stats().local_rwnd, 4 << 20);
        }
    }
    let mut peer = RawPeer::passive(quiet().max_receive_message_size(10));
    peer.exchange(&[data(1000, WHOLE, 0, 0, &[1; 11]), data(1001, WHOLE, 0, 1, &[2; 10])]);
    assert_eq!(peer.user_reads(0), [[2; 10].to_vec()]);
}

/// A data channel that gets such a message is closed (the choice of the list); the association and its other channels go on.
#[test]
fn item_135_message_above_our_maximum_closes_the_channel() {
    let config = quiet().max_receive_message_size(5000);
    let mut net = Pair::<Channels>::established_with(quiet(), config, calm(), seed());
    net.a.call(|channels, now| {
        for label in ["large", "small"] {
            let init = ChannelInit { label: label.into(), ..ChannelInit::default() };
            let id = channels.open(now, init).unwrap();
            let len = if label == "large" { 5001 } else { 5000 };
            channels.channel(id).unwrap().send(now, MessageKind::Binary, patterned(1, len)).unwrap();
        }
    });
    net.run_until_idle();
    let closed: Vec<_> = (net.b.events.iter())
        .filter_map(|event| match event {
            ChannelEvent::Closed(id, reason) => Some((*id, reason.clone())),
            _ => None,
        })
        .collect();
    let [(large, ChannelCloseReason::RemoteViolation(_))] = closed[..] else { panic!("{closed:?}") };
    assert_eq!(net.b.engine.channel(large).unwrap().init().label, "large");
    let received: Vec<usize> = net.b.received.values().flatten().map(|message| message.data.len()).collect();
    assert_eq!(received, [5000]);
    assert_eq!(net.a.engine.association().state(), State::Established);
    let closed_at_a = net.a.events.iter().filter(|event| matches!(event, ChannelEvent::Closed(..))).count();
    assert_eq!(closed_at_a, 1);
}

/// A peer that sends all of these chunks, one in each packet, again and again until each is acknowledged.
fn send_until_acknowledged(peer: &mut RawPeer, mut pending: Vec<Chunk>, mut read: impl FnMut(&mut RawPeer)) {
    while !pending.is_empty() {
        let before = pending.len();
        for mut chunk in pending.clone() {
            chunk.flags |= IMMEDIATE;
            for reply in chunks(&peer.exchange(&[chunk])) {
                let sack = Sack::parse(&reply);
                pending.retain(|chunk| !is_acknowledged(&sack, chunk.tsn()));
            }
            read(peer);
        }
        assert!(pending.len() < before, "{before} chunks and none is taken");
    }
}

fn is_acknowledged(sack: &Sack, tsn: u32) -> bool {
    let offset = tsn.wrapping_sub(sack.cumulative).cast_signed();
    offset <= 0
        || sack.gaps.iter().any(|(start, end)| (i32::from(*start)..=i32::from(*end)).contains(&offset))
}

/// RFC 9260 §6.9: a receiver that "runs out of buffer space while still waiting for more fragments" must not wait for ever: a
/// message larger than the window trickles in.
#[test]
fn item_136_message_above_the_window() {
    let mut peer = RawPeer::passive(quiet().receive_window(20_000));
    for n in 0..60 {
        let replies = peer.exchange(&[thousand(1000 + n, bits(n, 60) | IMMEDIATE, 0, 0)]);
        let sack = Sack::parse(&replies[0].chunks[0]);
        assert_eq!(sack.cumulative, 1000 + n);
        assert!(sack.window > 0 || n == 59, "closed by what nobody can read, at {n}");
    }
    let message: Bytes = (1000..1060).flat_map(|tsn| patterned(tsn, 1000)).collect();
    assert!(peer.user_reads(0) == [message]);
}

/// The same when the buffer is full of messages that miss their ends: what comes in sequence is taken, and sets them free.
#[test]
fn item_136_buffer_full_of_beginnings() {
    let mut peer = RawPeer::passive(quiet().receive_window(20_000));
    peer.exchange(&[thousand(1000, WHOLE | UNORDERED, 0, 0)]);
    assert_eq!(peer.user_reads(0).len(), 1);
    // Beginnings first, as many as are taken, then everything until it is acknowledged.
    let chunks: Vec<Chunk> = (0..40)
        .flat_map(|n| {
            let (tsn, stream) = (1001 + 2 * n, n as u16 % 7);
            [thousand(tsn, FIRST | UNORDERED, stream, 0), thousand(tsn + 1, LAST | UNORDERED, stream, 0)]
        })
        .collect();
    let (beginnings, ends): (Vec<_>, Vec<_>) =
        chunks.iter().cloned().partition(|chunk| chunk.flags & FIRST != 0);
    feed(&mut peer, &beginnings[1..]);
    assert_eq!(peer.engine.stats().local_rwnd, 0);
    let mut messages = 0;
    let again = [&beginnings[..1], &ends[..], &beginnings[1..]].concat();
    send_until_acknowledged(&mut peer, again, |peer| {
        messages += (0..7).map(|stream| peer.user_reads(stream).len()).sum::<usize>();
    });
    assert_eq!((messages, peer.engine.stats().local_rwnd), (40, 20_000));
}

/// Random fragments of random messages against a small buffer, by a peer that sends all again until it is taken.
#[test]
fn item_136_random_fragments_in_a_small_buffer() {
    let mut rng = ChaCha12Rng::seed_from_u64(seed());
    for _ in 0..5 {
        let mut peer = RawPeer::passive(quiet().receive_window(5000));
        peer.exchange(&[data(1000, WHOLE | UNORDERED, 0, 0, b"x")]);
        assert_eq!(peer.user_reads(0), ["x"]);
        let mut pending = Vec::new();
        for number in 0..12 {
            let count = rng.random_range(1..12);
            for n in 0..count {
                let tsn = 1001 + pending.len() as u32;
                pending.push(thousand(tsn, bits(n, count), number % 3, number / 3));
            }
        }
        pending.shuffle(&mut rng);
        let mut messages = 0;
        send_until_acknowledged(&mut peer, pending, |peer| {
            messages += (0..3).map(|stream| peer.user_reads(stream).len()).sum::<usize>();
        });
        assert_eq!((messages, peer.engine.state()), (12, State::Established));
    }
}

/// RFC 9260 §6.2 B, C: the window closes on a reader that is slow, nothing is lost, and it opens again; ordered and unordered.
#[test]
fn item_137_slow_reader() {
    const WINDOW: usize = 50_000;
    for ordered in [true, false] {
        for conditions in [calm(), rough(0.05, 0.2, 0.05)] {
            let config = quiet().receive_window(WINDOW);
            let mut net = Net::established_with(quiet(), config, conditions, seed());
            net.b.reads = false;
            let sent: Vec<Bytes> = (0..300).map(|n| patterned(n, 1000)).collect();
            sent.iter().for_each(|message| net.a.send(0, message.clone(), ordered));
            let mut read = 0;
            while read < 250 {
                net.run_for(secs(30));
                let windows = (net.a.association().stats().peer_rwnd, net.b.association().stats().local_rwnd);
                assert_eq!(windows, (0, 0), "after {read} messages");
                let now = net.now();
                read += net.b.read(now, 20);
                assert!(net.b.association().stats().local_rwnd > 10_000);
            }
            net.b.reads = true;
            net.b.call(|_, _| {});
            net.run_until_idle();
            let (mut received, mut sent) = (net.b.received_on(0), sent);
            if !ordered {
                received.sort();
                sent.sort();
            }
            assert!(received == sent, "ordered: {ordered}");
            assert_eq!(net.b.association().stats().local_rwnd, WINDOW);
        }
    }
}
