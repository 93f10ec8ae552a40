//! Stream reconfiguration (RFC 6525).

use crate::raw_sctp::*;
use std::time::Duration;
use straits_sctp::{
    CloseReason, Config, Event, Ppid, Reliability, ResetError, SendError, StreamId, TimeoutKind,
};

// Results (RFC 6525 §4.4).
const NOTHING_TO_DO: u32 = 0;
const PERFORMED: u32 = 1;
const DENIED: u32 = 2;
const WRONG_SSN: u32 = 3;
const ALREADY_IN_PROGRESS: u32 = 4;
const BAD_SEQUENCE_NUMBER: u32 = 5;
const IN_PROGRESS: u32 = 6;

/// First TSN and first request number of the raw peer.
const FIRST: u32 = 1000;

fn quiet() -> Config {
    Config::strict().heartbeat_interval(Duration::ZERO)
}

/// An association with a peer that lists RE-CONFIG.
fn established(config: Config) -> RawPeer {
    established_by(RawPeer::new(config))
}

fn established_by(mut peer: RawPeer) -> RawPeer {
    let init = peer.init().with(SUPPORTED_EXTENSIONS, &[RE_CONFIG]);
    finish_set_up(&mut peer, &init);
    peer
}

fn finish_set_up(peer: &mut RawPeer, init: &Init) {
    let ack = peer.send_init(init);
    (peer.engine_tag, peer.engine_tsn) = (ack.tag, ack.tsn);
    assert_eq!(kinds(&peer.exchange(&[Chunk::new(COOKIE_ECHO, 0, &ack.cookie())])), [[COOKIE_ACK]]);
    assert_eq!(peer.drain_events(), [Event::Established]);
}

/// The engine's user resets its direction of these streams.
fn user_resets(peer: &mut RawPeer, streams: &[u16]) {
    let streams: Vec<StreamId> = streams.iter().copied().map(StreamId).collect();
    assert_eq!(peer.engine.reset_streams(peer.now, &streams), Ok(()));
}

fn ids(streams: &[u16]) -> Vec<StreamId> {
    streams.iter().copied().map(StreamId).collect()
}

fn before(tsn: u32) -> u32 {
    tsn.wrapping_sub(1)
}

/// The chunk with which the engine asks for the first time, when it has sent `sent` DATA chunks.
fn first_request(peer: &RawPeer, sent: u32, streams: &[u16]) -> Chunk {
    request(peer, 0, FIRST - 1, sent, streams)
}

/// The engine's n-th request in answer to `response`.
fn request(peer: &RawPeer, n: u32, response: u32, sent: u32, streams: &[u16]) -> Chunk {
    reconfig(&[outgoing_reset(
        peer.engine_tsn.wrapping_add(n),
        response,
        before(peer.engine_tsn.wrapping_add(sent)),
        streams,
    )])
}

fn answer(number: u32, result: u32) -> Chunk {
    reconfig(&[reconfig_response(number, result)])
}

/// Incoming SSN Reset Request Parameter (RFC 6525 §4.2).
fn incoming_reset(request: u32, streams: &[u16]) -> Vec<u8> {
    let mut value = request.to_be_bytes().to_vec();
    streams.iter().for_each(|stream| value.extend(stream.to_be_bytes()));
    tlv(14, &value)
}

/// The one RE-CONFIG of some packets, without what goes beside it.
#[track_caller]
fn only_reconfig(packets: &[Packet]) -> Chunk {
    let chunks: Vec<_> = packets.iter().flat_map(|packet| &packet.chunks).collect();
    let mut found = chunks.iter().filter(|chunk| chunk.kind == RE_CONFIG);
    let (chunk, more) = (found.next(), found.next());
    assert!(more.is_none(), "{packets:?}");
    (*chunk.unwrap_or_else(|| panic!("no RE-CONFIG: {packets:?}"))).clone()
}

/// The user sends a message, which is acknowledged: its SSN.
fn ssn_of_next(peer: &mut RawPeer, stream: u16) -> u16 {
    peer.user_sends(stream, b"message");
    let replies = peer.replies();
    let chunk = replies[0].find(DATA).expect("DATA").clone();
    assert_eq!(be16(&chunk.value, 4), stream);
    peer.send(&[Sack::new(chunk.tsn()).chunk()]);
    be16(&chunk.value, 6)
}

/// RFC 6525 §5.1.1: the type "MUST" be in Supported Extensions; "the sender MUST NOT send any re-configuration request" to
/// a peer that did not list it.
#[test]
fn item_275_reconfig_is_announced() {
    let mut peer = RawPeer::new(quiet());
    let init = peer.connect();
    let ack = peer.send_init(&peer.init());
    for init in [init, ack] {
        assert!(init.parameter(SUPPORTED_EXTENSIONS).unwrap().contains(&RE_CONFIG), "{init:?}");
    }
    let mut peer = RawPeer::passive(quiet());
    let streams = [StreamId(0)];
    assert_eq!(peer.engine.reset_streams(peer.now, &streams), Err(ResetError::Unsupported));
    // A chunk of that type was not agreed on: RFC 9260 §3.2, 10: skipped.
    for parameter in [outgoing_reset(FIRST, 0, FIRST - 1, &[0]), incoming_reset(FIRST, &[0])] {
        peer.assert_chunks_ignored(&[reconfig(&[parameter])]);
    }
    assert_eq!(peer.run_for(secs(300)), []);
}

/// RFC 6525 §5.1.1: "At any given time, there MUST NOT be more than one request in flight."
#[test]
fn item_276_one_request_in_flight() {
    let mut peer = established(quiet());
    user_resets(&mut peer, &[1]);
    assert_eq!(only_reconfig(&peer.replies()), first_request(&peer, 0, &[1]));
    user_resets(&mut peer, &[3]);
    user_resets(&mut peer, &[2, 1, 3]);
    assert_eq!(peer.replies(), []);
    let replies = peer.exchange(&[answer(peer.engine_tsn, PERFORMED)]);
    assert_eq!(only_reconfig(&replies), request(&peer, 1, FIRST - 1, 0, &[2, 3]));
    assert_eq!(peer.exchange(&[answer(peer.engine_tsn.wrapping_add(1), PERFORMED)]), []);
    let done = |streams: &[u16]| Event::OutgoingStreamsReset { streams: ids(streams), accepted: true };
    assert_eq!(peer.drain_events(), [done(&[1]), done(&[2, 3])]);
    assert_eq!(peer.engine.poll_timeout(), None);
}

/// A shutdown does not wait for the answer to a request, nor is one sent once SHUTDOWN was.
#[test]
fn item_276_no_request_during_shutdown() {
    let mut peer = established(quiet());
    user_resets(&mut peer, &[1]);
    peer.replies();
    user_resets(&mut peer, &[2]);
    peer.engine.shutdown(peer.now);
    assert_eq!(kinds(&peer.replies()), [[SHUTDOWN]]);
    assert_eq!(peer.engine.reset_streams(peer.now, &[StreamId(3)]), Err(ResetError::Closed));
    assert_eq!(peer.exchange(&[answer(peer.engine_tsn, PERFORMED)]), []);
    let sent = peer.run_for(secs(30));
    assert!(sent.len() >= 4 && sent.iter().all(|(_, packet)| packet.kinds() == [SHUTDOWN]), "{sent:?}");
    // The peer's own request is answered still; what it asks of us is denied.
    let asked = reconfig(&[incoming_reset(FIRST, &[1])]);
    assert_eq!(only_reconfig(&peer.exchange(&[asked])), answer(FIRST, DENIED));
    peer.send(&[bare(SHUTDOWN_ACK)]);
    assert_eq!(peer.drain_events(), [Event::Closed(CloseReason::LocalShutdown)]);
}

/// RFC 6525 §4.1: the number "is initialized to the same value as the initial TSN. It is increased by 1 whenever sending a
/// new Re-configuration Request Parameter."
#[test]
fn item_277_request_numbers() {
    let mut peer = RawPeer::new(quiet());
    peer.engine.set_initial_tsn(u32::MAX);
    peer.tsn = u32::MAX;
    let mut peer = established_by(peer);
    assert_eq!(peer.engine_tsn, u32::MAX);
    for (n, number) in [u32::MAX, 0, 1].into_iter().enumerate() {
        user_resets(&mut peer, &[n as u16]);
        let expected = reconfig(&[outgoing_reset(number, u32::MAX - 1, u32::MAX - 1, &[n as u16])]);
        assert_eq!(only_reconfig(&peer.replies()), expected);
        peer.send(&[answer(number, PERFORMED)]);
    }
    for number in [u32::MAX, 0, 1] {
        let asked = reconfig(&[outgoing_reset(number, 1, u32::MAX - 1, &[9])]);
        assert_eq!(only_reconfig(&peer.exchange(&[asked])), answer(number, PERFORMED));
    }
}

/// RFC 6525 §5.1.2 A1, A3: no new messages; the Last Assigned TSN is "the next TSN the sender assigns minus 1", so it
/// waits for the message that is being sent.
#[test]
fn item_278_outgoing_reset_waits_for_its_message() {
    let mut peer = established(quiet());
    peer.user_sends(1, &[7; 20_000]);
    let mut sent = peer.replies();
    assert!(sent.len() < 10, "the congestion window keeps some of it back");
    user_resets(&mut peer, &[1]);
    let refused =
        peer.engine.send(peer.now, StreamId(1), Ppid::BINARY, "late".into(), true, Reliability::Reliable);
    assert_eq!(refused, Err(SendError::Resetting(StreamId(1))));
    while sent.last().unwrap().find(RE_CONFIG).is_none() {
        let last = sent.last().unwrap().find(DATA).expect("DATA before the request").tsn();
        let replies = peer.exchange(&[Sack::new(last).chunk()]);
        assert!(!replies.is_empty());
        sent.extend(replies);
    }
    let data: Vec<&Chunk> = sent.iter().filter_map(|packet| packet.find(DATA)).collect();
    assert_eq!(data.iter().map(|chunk| chunk.value.len() - 12).sum::<usize>(), 20_000);
    assert_eq!(data.last().unwrap().flags & LAST, LAST);
    let count = data.len() as u32;
    assert_eq!(only_reconfig(&sent), first_request(&peer, count, &[1]));
    // Others go on meanwhile.
    peer.user_sends(2, b"on another stream");
    assert_eq!(kinds(&peer.replies()), [[DATA]]);
}

/// RFC 8831 §6.7: "guarantees that all the messages are delivered (or abandoned) before the stream is reset": those that
/// wait are sent first.
#[test]
fn item_279_messages_before_a_close_are_delivered() {
    let mut peer = RawPeer::new(quiet());
    let mut init = peer.init().with(SUPPORTED_EXTENSIONS, &[RE_CONFIG]);
    init.window = 1500;
    finish_set_up(&mut peer, &init);
    for n in 0..3 {
        peer.user_sends(1, &[n; 1000]);
    }
    user_resets(&mut peer, &[1]);
    let mut sent = peer.replies();
    for n in 0..2 {
        let mut sack = Sack::new(peer.engine_tsn.wrapping_add(n));
        sack.window = 1500;
        sent.extend(peer.exchange(&[sack.chunk()]));
    }
    assert_eq!(kinds(&sent), [[DATA], [DATA], [DATA], [RE_CONFIG]]);
    let messages: Vec<_> = sent.iter().filter_map(|packet| packet.find(DATA)).collect();
    let ssns_and_payload = messages.iter().map(|chunk| (be16(&chunk.value, 6), chunk.value[12]));
    assert_eq!(ssns_and_payload.collect::<Vec<_>>(), [(0, 0), (1, 1), (2, 2)]);
    assert_eq!(only_reconfig(&sent), first_request(&peer, 3, &[1]));
}

/// RFC 6525 §5.1.1: "the sender MUST retransmit the RE-CONFIG chunk", at the RTO and "doubling the value at every
/// expiration", "possibly destroying the association".
#[test]
fn item_280_reconfig_is_repeated_unchanged() {
    let mut peer = established(quiet().max_retransmits(3));
    user_resets(&mut peer, &[1, 2]);
    let chunk = first_request(&peer, 0, &[1, 2]);
    assert_eq!(only_reconfig(&peer.replies()), chunk);
    let mut sent = peer.run_for(secs(2));
    // What the peer asks for meanwhile changes nothing in it, and is no answer.
    let asked = reconfig(&[outgoing_reset(FIRST, peer.engine_tsn, FIRST - 1, &[5])]);
    assert_eq!(only_reconfig(&peer.exchange(&[asked])), answer(FIRST, PERFORMED));
    peer.drain_events();
    sent.extend(peer.run_for(secs(13) - Duration::from_nanos(1)));
    let expected: Vec<_> = [1, 3, 7].map(|at| (secs(at), vec![chunk.clone()])).to_vec();
    assert_eq!(sent.into_iter().map(|(at, packet)| (at, packet.chunks)).collect::<Vec<_>>(), expected);
    assert_eq!(peer.drain_events(), []);
    assert_eq!(peer.run_for(Duration::from_nanos(1)), []);
    let closed = Event::Closed(CloseReason::Timeout(TimeoutKind::Retransmissions));
    assert_eq!(peer.drain_events(), [closed]);
    assert_eq!(peer.engine.poll_timeout(), None);
}

/// RFC 6525 §5.2.7 H2: "the timer for the Re-configuration Request Sequence Number is started again. If the timer runs out,
/// the RE-CONFIG chunk MUST be retransmitted but the corresponding error counters MUST NOT be incremented."
#[test]
fn item_281_in_progress_counts_no_error() {
    // The first error would be the end.
    let mut peer = established(quiet().max_retransmits(0));
    user_resets(&mut peer, &[1]);
    let chunk = first_request(&peer, 0, &[1]);
    assert_eq!(only_reconfig(&peer.replies()), chunk);
    for _ in 0..20 {
        peer.run_for(ms(300));
        assert_eq!(peer.exchange(&[answer(peer.engine_tsn, IN_PROGRESS)]), []);
        assert_eq!(peer.engine.poll_timeout(), Some(peer.now + secs(1)));
        let sent = peer.run_for(secs(1));
        assert_eq!(sent.len(), 1);
        assert_eq!(sent[0].1.chunks, [chunk.clone()]);
        assert_eq!(peer.drain_events(), []);
    }
    // A peer that says so and then nothing more is noticed.
    assert_eq!(peer.run_for(secs(2) - Duration::from_nanos(1)), []);
    assert_eq!(peer.drain_events(), []);
    assert_eq!(peer.run_for(Duration::from_nanos(1)), []);
    let closed = Event::Closed(CloseReason::Timeout(TimeoutKind::Retransmissions));
    assert_eq!(peer.drain_events(), [closed]);
}

/// RFC 6525 §5.2.7 H4: "the affected streams MUST now be reset […]. The assigning of SSNs is allowed again."
#[test]
fn item_282_success_clears_ssns() {
    for result in [PERFORMED, NOTHING_TO_DO] {
        let mut peer = established(quiet());
        let used = [1, 1, 2, 1].map(|stream| ssn_of_next(&mut peer, stream));
        assert_eq!(used, [0, 1, 0, 2]);
        user_resets(&mut peer, &[1]);
        let sent = peer.replies();
        assert_eq!(only_reconfig(&sent), first_request(&peer, 4, &[1]));
        assert_eq!(ssn_of_next(&mut peer, 2), 1, "the others are not concerned");
        peer.drain_events();
        assert_eq!(peer.exchange(&[answer(peer.engine_tsn, result)]), []);
        let done = Event::OutgoingStreamsReset { streams: ids(&[1]), accepted: true };
        assert_eq!(peer.drain_events(), [done]);
        let after = [1, 2, 1].map(|stream| ssn_of_next(&mut peer, stream));
        assert_eq!(after, [0, 2, 1]);
        assert_eq!(peer.engine.poll_timeout(), None);
    }
}

/// RFC 6525 §5.2.7 H2, H3: only "In progress" is asked again; every other result that is no success is the end of it:
/// nothing was reset.
#[test]
fn item_283_refusal_rolls_back() {
    for result in [DENIED, WRONG_SSN, ALREADY_IN_PROGRESS, BAD_SEQUENCE_NUMBER, 7, u32::MAX] {
        let mut peer = established(quiet());
        let used = [1, 1].map(|stream| ssn_of_next(&mut peer, stream));
        assert_eq!(used, [0, 1]);
        user_resets(&mut peer, &[1]);
        peer.replies();
        peer.drain_events();
        assert_eq!(peer.exchange(&[answer(peer.engine_tsn, result)]), []);
        let refused = Event::OutgoingStreamsReset { streams: ids(&[1]), accepted: false };
        assert_eq!(peer.drain_events(), [refused]);
        assert_eq!(peer.engine.poll_timeout(), None, "{result}");
        assert_eq!(ssn_of_next(&mut peer, 1), 2);
        // The user may ask again: a new request.
        user_resets(&mut peer, &[1]);
        assert_eq!(only_reconfig(&peer.replies()), request(&peer, 1, FIRST - 1, 3, &[1]));
    }
}

/// RFC 6525 §5.2.2 E2: "any data arriving with a TSN larger than the Sender's Last Assigned TSN for the affected stream(s)
/// MUST be queued locally and held until the cumulative acknowledgment point reaches the Sender's Last Assigned TSN."
#[test]
fn item_284_incoming_reset_waits_for_its_last_tsn() {
    let mut peer = established(quiet());
    peer.send(&[data(FIRST + 1, WHOLE, 0, 1, b"second")]);
    let asked = reconfig(&[outgoing_reset(FIRST, 0, FIRST + 1, &[0])]);
    assert_eq!(only_reconfig(&peer.exchange(std::slice::from_ref(&asked))), answer(FIRST, IN_PROGRESS));
    let behind = [
        data(FIRST + 3, WHOLE, 0, 1, b"fourth"),
        data(FIRST + 2, WHOLE, 0, 0, b"third"),
        data(FIRST + 4, WHOLE, 5, 0, b"elsewhere"),
    ];
    peer.send(&behind);
    assert_eq!(peer.drain_events(), [Event::Readable(StreamId(5))]);
    assert_eq!(only_reconfig(&peer.exchange(std::slice::from_ref(&asked))), answer(FIRST, IN_PROGRESS));
    assert_eq!(peer.user_reads(0), [""; 0]);
    // Told unasked as soon as it is so.
    let replies = peer.exchange(&[data(FIRST, WHOLE, 0, 0, b"first")]);
    assert_eq!(only_reconfig(&replies), answer(FIRST, PERFORMED));
    assert_eq!(Sack::parse(replies[0].find(SACK).unwrap()).cumulative, FIRST + 4);
    let events = [Event::Readable(StreamId(0)), Event::IncomingStreamsReset(ids(&[0]))];
    assert_eq!(peer.drain_events(), events);
    assert_eq!(peer.user_reads(0), ["first", "second", "third", "fourth"]);
    assert_eq!(only_reconfig(&peer.exchange(&[asked])), answer(FIRST, PERFORMED));
    assert_eq!(peer.drain_events(), []);
}

/// RFC 6525 §5.2.2 E2: what is held behind a reset counts in the window, once, and is bounded as all that is held.
#[test]
fn item_285_deferred_queue_is_bounded() {
    const WINDOW: usize = 20_000;
    let mut peer = established(quiet().receive_window(WINDOW));
    let asked = reconfig(&[outgoing_reset(FIRST, 0, FIRST, &[0])]);
    assert_eq!(only_reconfig(&peer.exchange(&[asked])), answer(FIRST, IN_PROGRESS));
    let mut windows = Vec::new();
    let mut held = 0;
    for n in 0..100_u16 {
        let replies = peer.exchange(&[data(FIRST + 1 + u32::from(n), WHOLE, 0, n, &[7; 1000])]);
        let sack = Sack::parse(replies[0].find(SACK).expect("there is a gap"));
        assert_eq!(sack.cumulative, FIRST - 1);
        held = sack.gaps.iter().map(|(start, end)| usize::from(end - start) + 1).sum::<usize>();
        windows.push(sack.window as usize);
    }
    // Each counts its bytes and at most as much again.
    let taken = windows[0].min(WINDOW);
    assert!(
        (taken..WINDOW).contains(&taken) && WINDOW - taken >= 1000 && WINDOW - taken <= 2000,
        "{windows:?}"
    );
    assert!(windows.is_sorted_by(|a, b| a >= b) && windows.last() == Some(&0), "{windows:?}");
    assert!((10..=2 * WINDOW / 1000).contains(&held), "{held} messages held");
    peer.send(&[data(FIRST, WHOLE, 0, 0, b"before")]);
    let mut read = peer.user_reads(0);
    assert_eq!((read.remove(0), read.len()), ("before".into(), held));
    assert_eq!(peer.engine.stats().local_rwnd, WINDOW);
}

/// RFC 6525 §5.2.1: a retransmission: "the same RE-CONFIG chunk MUST to be sent back in response", and nothing is done.
#[test]
fn item_286_repeated_request_gets_its_answer_again() {
    let mut peer = established(quiet());
    let chunk = peer.next_data(0, b"before");
    peer.send(&[chunk]);
    peer.replies();
    peer.drain_events();
    let asked = reconfig(&[outgoing_reset(FIRST, 0, FIRST, &[0])]);
    assert_eq!(only_reconfig(&peer.exchange(std::slice::from_ref(&asked))), answer(FIRST, PERFORMED));
    assert_eq!(peer.drain_events(), [Event::IncomingStreamsReset(ids(&[0]))]);
    for ssn in 0..3 {
        // Performed a second time, the reset would make this number one that is used again.
        let chunk = peer.next_data(ssn, b"after");
        peer.send(&[chunk]);
        assert_eq!(only_reconfig(&peer.exchange(std::slice::from_ref(&asked))), answer(FIRST, PERFORMED));
    }
    assert_eq!(peer.drain_events(), []);
    assert_eq!(peer.user_reads(0), ["before", "after", "after", "after"]);
    // A refusal is repeated too.
    let refused = reconfig(&[outgoing_reset(FIRST + 1, 0, FIRST + 3, &[5000])]);
    for _ in 0..2 {
        let replies = peer.exchange(std::slice::from_ref(&refused));
        assert_eq!(only_reconfig(&replies), answer(FIRST + 1, WRONG_SSN));
    }
}

/// RFC 6525 §4.4 table 3: 5, "Error - Bad Sequence Number", for what is neither the next request nor one of the last two,
/// as many as a RE-CONFIG may have.
#[test]
fn item_287_request_number_out_of_sequence() {
    let mut peer = established(quiet());
    let asked = |number: u32| reconfig(&[outgoing_reset(number, 0, FIRST - 1, &[0])]);
    for number in [FIRST - 1, FIRST + 1, FIRST + 2, FIRST.wrapping_add(1 << 31), 0, u32::MAX] {
        let replies = peer.exchange(&[asked(number)]);
        assert_eq!(only_reconfig(&replies), answer(number, BAD_SEQUENCE_NUMBER));
    }
    assert_eq!(peer.drain_events(), []);
    for number in FIRST..FIRST + 3 {
        assert_eq!(only_reconfig(&peer.exchange(&[asked(number)])), answer(number, PERFORMED));
        assert_eq!(peer.drain_events(), [Event::IncomingStreamsReset(ids(&[0]))]);
    }
    for (number, result) in [
        (FIRST, BAD_SEQUENCE_NUMBER),
        (FIRST + 1, PERFORMED),
        (FIRST + 2, PERFORMED),
        (FIRST + 4, BAD_SEQUENCE_NUMBER),
    ] {
        assert_eq!(only_reconfig(&peer.exchange(&[asked(number)])), answer(number, result));
    }
    assert_eq!(peer.drain_events(), []);
}

/// RFC 6525 §5.2.2 E3: "If no stream numbers are listed in the parameter, then all incoming streams MUST be reset to 0";
/// of a list, "only these specific streams".
#[test]
fn item_288_empty_list_means_all_streams() {
    for (list, after) in [(&[][..], [0, 0, 0]), (&[3, 9], [1, 0, 0]), (&[9], [1, 1, 0])] {
        let mut peer = established(quiet());
        let streams = [0, 3, 9];
        peer.send(&[0, 1, 2].map(|n| data(FIRST + n, WHOLE, streams[n as usize], 0, b"before")));
        let asked = reconfig(&[outgoing_reset(FIRST, 0, FIRST + 2, list)]);
        assert_eq!(only_reconfig(&peer.exchange(&[asked])), answer(FIRST, PERFORMED));
        assert_eq!(peer.drain_events().last(), Some(&Event::IncomingStreamsReset(ids(list))));
        for (n, (stream, ssn)) in (FIRST + 3..).zip(streams.into_iter().zip(after)) {
            peer.send(&[data(n, WHOLE, stream, ssn, b"after")]);
            assert_eq!(peer.user_reads(stream), ["before", "after"], "{list:?}");
        }
    }
}

/// RFC 6525 §4.4 table 3: a stream that does not exist is "Error - Wrong SSN", and none of the list is reset.
#[test]
fn item_289_streams_out_of_range() {
    let mut peer = established(quiet());
    assert_eq!(peer.engine.negotiated_streams(), Some((1024, 1024)));
    let before = peer.snapshot();
    let every: Vec<u16> = (0..=u16::MAX).step_by(16).collect();
    for (n, list) in (0..).zip([&[0, 1024][..], &[u16::MAX], &every]) {
        let numbers = [FIRST + 2 * n, FIRST + 2 * n + 1];
        let asked = [outgoing_reset(numbers[0], 0, FIRST - 1, list), incoming_reset(numbers[1], list)];
        for (number, parameter) in numbers.into_iter().zip(asked) {
            let replies = peer.exchange(&[reconfig(&[parameter])]);
            assert_eq!(only_reconfig(&replies), answer(number, WRONG_SSN));
        }
    }
    assert_eq!(peer.drain_events(), []);
    assert_eq!(peer.snapshot(), before);
}

/// RFC 6525 §5.2.3 F1, Appendix A: our own request, which names the peer's, is the answer; the owner hears of it.
#[test]
fn item_290_incoming_request_is_performed() {
    let mut peer = established(quiet());
    ssn_of_next(&mut peer, 3);
    peer.drain_events();
    let asked = reconfig(&[incoming_reset(FIRST, &[3])]);
    let ours = request(&peer, 0, FIRST, 1, &[3]);
    // §5.2.1: asked again, "the same RE-CONFIG chunk MUST to be sent back".
    for _ in 0..2 {
        assert_eq!(only_reconfig(&peer.exchange(std::slice::from_ref(&asked))), ours);
    }
    assert_eq!(peer.drain_events(), [Event::ResetRequested(ids(&[3]))]);
    let late = peer.engine.send(peer.now, StreamId(3), Ppid::BINARY, "x".into(), true, Reliability::Reliable);
    assert_eq!(late, Err(SendError::Resetting(StreamId(3))));
    assert_eq!(peer.exchange(&[answer(peer.engine_tsn, PERFORMED)]), []);
    let done = Event::OutgoingStreamsReset { streams: ids(&[3]), accepted: true };
    assert_eq!(peer.drain_events(), [done]);
    // Once more for a peer that does not take a request for an answer.
    assert_eq!(only_reconfig(&peer.exchange(&[asked])), answer(FIRST, PERFORMED));
    assert_eq!(ssn_of_next(&mut peer, 3), 0);
}

/// RFC 6525 §5: "once that request is acknowledged let the peer actually control the reset operation": what is queued is
/// delivered first, and the peer need not wait for that.
#[test]
fn item_290_incoming_request_waits_for_the_queue() {
    let mut peer = established(quiet());
    peer.user_sends(3, &[7; 20_000]);
    let mut sent = peer.replies();
    let replies = peer.exchange(&[reconfig(&[incoming_reset(FIRST, &[3])])]);
    assert_eq!(only_reconfig(&replies), answer(FIRST, PERFORMED));
    while sent.last().unwrap().find(RE_CONFIG).is_none() {
        let last = sent.last().unwrap().find(DATA).expect("DATA before the request").tsn();
        sent.extend(peer.exchange(&[Sack::new(last).chunk()]));
    }
    let count = sent.iter().filter(|packet| packet.find(DATA).is_some()).count() as u32;
    assert_eq!(only_reconfig(&sent), request(&peer, 0, FIRST, count, &[3]));
}

/// RFC 6525 §5.2.3: "Nothing to do" if our request in flight "completely overlaps" the peer's, or all streams are at 0.
#[test]
fn item_290_incoming_request_with_nothing_to_do() {
    let mut peer = established(quiet());
    for stream in [3, 4, 5] {
        ssn_of_next(&mut peer, stream);
    }
    user_resets(&mut peer, &[3, 4]);
    let ours = first_request(&peer, 3, &[3, 4]);
    assert_eq!(only_reconfig(&peer.replies()), ours);
    let asked = reconfig(&[incoming_reset(FIRST, &[4])]);
    assert_eq!(only_reconfig(&peer.exchange(&[asked])), answer(FIRST, NOTHING_TO_DO));
    peer.drain_events();
    assert_eq!(peer.exchange(&[answer(peer.engine_tsn, PERFORMED)]), []);
    let done = |streams: &[u16]| Event::OutgoingStreamsReset { streams: ids(streams), accepted: true };
    assert_eq!(peer.drain_events(), [done(&[3, 4])]);
    let asked = reconfig(&[incoming_reset(FIRST + 1, &[3, 4, 900])]);
    assert_eq!(only_reconfig(&peer.exchange(&[asked])), answer(FIRST + 1, NOTHING_TO_DO));
    // "Even in such a situation" of a partial overlap it is processed.
    let asked = reconfig(&[incoming_reset(FIRST + 2, &[5, 4])]);
    assert_eq!(only_reconfig(&peer.exchange(&[asked])), request(&peer, 1, FIRST + 2, 3, &[4, 5]));
}

/// RFC 6525 §4.2: "If no streams are listed, then all streams are to be reset": those that were used; §3.1: a response and
/// a request go in one chunk.
#[test]
fn item_290_incoming_request_for_all_streams() {
    let mut peer = established(quiet());
    for stream in [3, 700] {
        ssn_of_next(&mut peer, stream);
    }
    peer.drain_events();
    let asked = reconfig(&[incoming_reset(FIRST, &[])]);
    let ours = outgoing_reset(peer.engine_tsn, FIRST, peer.engine_tsn.wrapping_add(1), &[3, 700]);
    let both = reconfig(&[reconfig_response(FIRST, PERFORMED), ours]);
    for _ in 0..2 {
        assert_eq!(only_reconfig(&peer.exchange(std::slice::from_ref(&asked))), both);
    }
    assert_eq!(peer.run_for(secs(1))[0].1.find(RE_CONFIG), Some(&both), "the timer repeats it unchanged");
    assert_eq!(peer.exchange(&[answer(peer.engine_tsn, PERFORMED)]), []);
    let done = Event::OutgoingStreamsReset { streams: ids(&[3, 700]), accepted: true };
    assert_eq!(peer.drain_events(), [Event::ResetRequested(vec![]), done]);
    assert_eq!(only_reconfig(&peer.exchange(&[asked])), answer(FIRST, PERFORMED));
}

/// RFC 6525 Appendix A, "resetting all streams in both directions" for some: RESP:X|OUT-REQ:Y,X+1.
#[test]
fn item_290_both_directions_in_one_chunk() {
    let mut peer = established(quiet());
    ssn_of_next(&mut peer, 3);
    peer.drain_events();
    let asked = reconfig(&[outgoing_reset(FIRST, 0, FIRST - 1, &[3]), incoming_reset(FIRST + 1, &[3])]);
    let ours = outgoing_reset(peer.engine_tsn, FIRST + 1, peer.engine_tsn, &[3]);
    let both = reconfig(&[reconfig_response(FIRST, PERFORMED), ours]);
    for _ in 0..2 {
        assert_eq!(only_reconfig(&peer.exchange(std::slice::from_ref(&asked))), both);
    }
    let events = [Event::ResetRequested(ids(&[3])), Event::IncomingStreamsReset(ids(&[3]))];
    assert_eq!(peer.drain_events(), events);
    peer.send(&[answer(peer.engine_tsn, PERFORMED)]);
    let answers = reconfig(&[reconfig_response(FIRST, PERFORMED), reconfig_response(FIRST + 1, PERFORMED)]);
    assert_eq!(only_reconfig(&peer.exchange(&[asked])), answers);
}

/// RFC 6525 §5.2.1: "it MUST send a corresponding response parameter"; §5.1.7 D3, D4: for an SSN/TSN reset request with the
/// next TSNs, "For other requests" without.
#[test]
fn item_291_other_requests_are_denied() {
    let mut peer = established(quiet());
    ssn_of_next(&mut peer, 0);
    let chunk = peer.next_data(0, b"data");
    peer.send(&[chunk]);
    let number = |n: u32| (FIRST + n).to_be_bytes();
    let streams = [0, 5, 0, 0];
    let tsns = [peer.engine_tsn.wrapping_add(1), (FIRST + 1).wrapping_add(1 << 31)].map(u32::to_be_bytes);
    let tsn_denied = [&number(0), &DENIED.to_be_bytes(), &tsns[0], &tsns[1]].map(|it| &it[..]).concat();
    let requests = [
        (tlv(15, &number(0)), reconfig(&[tlv(16, &tsn_denied)])),
        (tlv(17, &[number(1), streams].concat()), answer(FIRST + 1, DENIED)),
        (tlv(18, &[number(2), streams].concat()), answer(FIRST + 2, DENIED)),
    ];
    for (request, expected) in requests {
        for _ in 0..2 {
            assert_eq!(only_reconfig(&peer.exchange(&[reconfig(std::slice::from_ref(&request))])), expected);
        }
    }
    let both = [tlv(17, &[number(3), streams].concat()), tlv(18, &[number(4), streams].concat())];
    let expected = [reconfig_response(FIRST + 3, DENIED), reconfig_response(FIRST + 4, DENIED)];
    assert_eq!(only_reconfig(&peer.exchange(&[reconfig(&both)])), reconfig(&expected));
    assert_eq!(peer.engine.negotiated_streams(), Some((1024, 1024)));
    assert_eq!(ssn_of_next(&mut peer, 0), 1);
}

/// RFC 6525 §3.1, 9: a peer that answers and resets its own direction in one chunk, in whatever order.
#[test]
fn item_292_request_and_response_in_one_chunk() {
    for response_first in [true, false] {
        let mut peer = established(quiet());
        user_resets(&mut peer, &[1]);
        peer.replies();
        let mut parameters = [
            reconfig_response(peer.engine_tsn, PERFORMED),
            outgoing_reset(FIRST, peer.engine_tsn, FIRST - 1, &[1]),
        ];
        if !response_first {
            parameters.reverse();
        }
        let replies = peer.exchange(&[reconfig(&parameters)]);
        assert_eq!(only_reconfig(&replies), answer(FIRST, PERFORMED));
        let mut events = peer.drain_events();
        events.sort_by_key(|event| matches!(event, Event::IncomingStreamsReset(_)));
        let done = Event::OutgoingStreamsReset { streams: ids(&[1]), accepted: true };
        assert_eq!(events, [done, Event::IncomingStreamsReset(ids(&[1]))]);
        assert_eq!(peer.engine.poll_timeout(), None);
    }
}

/// RFC 6525 §3.1: of an unsupported combination the receiver "SHOULD send an ERROR chunk with a Protocol Violation cause";
/// nothing of it is performed, nor of what cannot be read.
#[test]
fn item_293_illegal_parameter_mixes() {
    let outgoing = |number: u32| outgoing_reset(number, 0, FIRST - 1, &[0]);
    let incoming = |number: u32| incoming_reset(number, &[0]);
    let tsn_reset = |number: u32| tlv(15, &number.to_be_bytes());
    let response = || reconfig_response(1, PERFORMED);
    let add = |number: u32| tlv(17, &[number.to_be_bytes(), [0, 5, 0, 0]].concat());
    let mixes = [
        vec![outgoing(FIRST), outgoing(FIRST + 1)],
        vec![incoming(FIRST), incoming(FIRST + 1)],
        vec![incoming(FIRST), response()],
        vec![outgoing(FIRST), tsn_reset(FIRST + 1)],
        vec![response(), tsn_reset(FIRST)],
        vec![outgoing(FIRST), add(FIRST + 1)],
        vec![add(FIRST), add(FIRST + 1)],
        vec![outgoing(FIRST), incoming(FIRST + 1), response()],
        vec![response(), response(), outgoing(FIRST)],
    ];
    let mut peer = established(quiet());
    ssn_of_next(&mut peer, 0);
    peer.drain_events();
    let before = peer.snapshot();
    for parameters in mixes {
        let replies = peer.exchange(&[reconfig(&parameters)]);
        assert_eq!(kinds(&replies), [[ERROR]], "{parameters:?}");
        assert_eq!(split(&replies[0].chunks[0].value)[0].0, 13);
    }
    let broken = [
        vec![],
        // A list of one byte and a half, a value that is cut, values that are too long, lengths that lie.
        outgoing_reset(FIRST, 0, FIRST - 1, &[0])[..17].to_vec(),
        [&[0, 13, 0, 17], &outgoing(FIRST)[4..16], &[0]].concat(),
        tlv(13, &FIRST.to_be_bytes()),
        tlv(14, &[0, 0]),
        tlv(15, &[0; 5]),
        tlv(16, &[0; 12]),
        tlv(16, &[0; 20]),
        tlv(17, &[0; 6]),
        vec![0, 13, 0, 3],
        vec![0, 13, 0xFF, 0xFF],
        // RFC 6525 §4: behind a type that is not recognized nothing is processed.
        join(&[tlv(19, &[0; 4]), outgoing(FIRST)]),
    ];
    for value in broken {
        peer.assert_chunks_ignored(&[Chunk::new(RE_CONFIG, 0, &value)]);
    }
    assert_eq!((peer.drain_events(), peer.snapshot()), (vec![], before));
    assert_eq!(only_reconfig(&peer.exchange(&[reconfig(&[outgoing(FIRST)])])), answer(FIRST, PERFORMED));
}

/// Both sides reset the same stream at once: each direction once.
#[test]
fn item_296_both_reset_the_same_stream() {
    let mut peer = established(quiet());
    let chunk = peer.next_data(0, b"last words");
    peer.send(&[chunk]);
    peer.user_sends(0, b"last words");
    user_resets(&mut peer, &[0]);
    let ours = peer.replies();
    assert_eq!(only_reconfig(&ours), first_request(&peer, 1, &[0]));
    peer.drain_events();
    let asked = reconfig(&[outgoing_reset(FIRST, FIRST - 1, FIRST, &[0])]);
    let done = answer(peer.engine_tsn, PERFORMED);
    let events = [
        Event::IncomingStreamsReset(ids(&[0])),
        Event::OutgoingStreamsReset { streams: ids(&[0]), accepted: true },
    ];
    for round in 0..3 {
        // Not taken for an answer: the number in it is not the one of our request.
        assert_eq!(only_reconfig(&peer.exchange(std::slice::from_ref(&asked))), answer(FIRST, PERFORMED));
        assert_eq!(peer.exchange(std::slice::from_ref(&done)), []);
        assert_eq!(peer.drain_events(), if round == 0 { &events[..] } else { &[] });
    }
    assert_eq!(peer.user_reads(0), ["last words"]);
    peer.send(&[Sack::new(peer.engine_tsn).chunk()]);
    assert_eq!(peer.engine.poll_timeout(), None);
}

/// The streams of the engine's requests until it has no more; each is performed at once.
fn streams_of_all_requests(peer: &mut RawPeer) -> Vec<Vec<u16>> {
    let mut lists = Vec::new();
    // `replies` refuses packets that are too large.
    let mut replies = peer.replies();
    while let Some(packet) = replies.first() {
        let parameters = split(&packet.find(RE_CONFIG).expect("a request").value);
        assert_eq!((parameters.len(), parameters[0].0), (1, 13));
        let (_, value) = &parameters[0];
        let number = be32(value, 0);
        assert_eq!(number, peer.engine_tsn.wrapping_add(lists.len() as u32));
        lists.push((12..value.len()).step_by(2).map(|at| be16(value, at)).collect());
        replies = peer.exchange(&[answer(number, PERFORMED)]);
    }
    lists
}

/// RFC 6525 §5.1.2 A4: streams are listed; a list that one packet does not hold goes in several requests, one after another.
#[test]
fn item_297_long_lists_are_split() {
    for size in [512, 1191] {
        let mut peer = RawPeer::new(quiet().max_packet_size(size));
        peer.max_packet_size = size;
        let mut peer = established_by(peer);
        let streams: Vec<u16> = (0..1000).collect();
        user_resets(&mut peer, &streams);
        let lists = streams_of_all_requests(&mut peer);
        assert_eq!(lists.concat(), streams);
        assert!((2..=8).contains(&lists.len()), "{} requests", lists.len());
        let reset: Vec<StreamId> = (peer.drain_events().into_iter())
            .flat_map(|event| match event {
                Event::OutgoingStreamsReset { streams, accepted: true } => streams,
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(reset, ids(&streams));
        assert_eq!(peer.engine.poll_timeout(), None);
    }
}

/// RFC 6525 §5.2.1: "a selective acknowledgment (SACK) chunk SHOULD be sent back and MAY be bundled with the RE-CONFIG
/// chunk."
#[test]
fn item_298_sack_with_the_response() {
    let mut peer = established(quiet());
    let chunk = peer.next_data(0, b"acknowledged");
    assert_eq!(kinds(&peer.exchange(&[chunk])), [[SACK]]);
    let chunk = peer.next_data(1, b"its acknowledgement is delayed");
    assert_eq!(peer.exchange(&[chunk]), []);
    let last = before(peer.tsn);
    let asked = reconfig(&[outgoing_reset(FIRST, 0, last, &[0])]);
    // The second time there is nothing new to acknowledge.
    for _ in 0..2 {
        let replies = peer.exchange(std::slice::from_ref(&asked));
        assert_eq!(kinds(&replies), [[RE_CONFIG, SACK]]);
        assert_eq!(Sack::parse(&replies[0].chunks[1]).cumulative, last);
    }
    assert_eq!(peer.exchange(&[answer(1, PERFORMED)]), [], "a response asks for none");
}

/// Requests of the user are joined: there are never more than there are streams.
#[test]
fn item_299_queued_requests_are_bounded() {
    let mut peer = RawPeer::new(quiet());
    let mut init = peer.init().with(SUPPORTED_EXTENSIONS, &[RE_CONFIG]);
    (init.incoming, init.outgoing) = (u16::MAX, u16::MAX);
    finish_set_up(&mut peer, &init);
    user_resets(&mut peer, &[7]);
    let every: Vec<u16> = (0..u16::MAX).collect();
    let held = |peer: &RawPeer| format!("{:?}", peer.engine).len();
    user_resets(&mut peer, &every);
    let once = held(&peer);
    for _ in 0..3 {
        user_resets(&mut peer, &every);
        assert_eq!(held(&peer), once);
    }
    let mut asked = streams_of_all_requests(&mut peer).concat();
    assert_eq!(asked[0], 7);
    asked.sort_unstable();
    assert_eq!(asked, every);
}
