//! Stream reconfiguration that the engine asks for (RFC 6525 §5.1), and what all its tests need.

use crate::raw_sctp::*;
use std::time::Duration;
use straits_sctp::{
    CloseReason, Config, Event, Ppid, Reliability, ResetError, SendError, StreamId, TimeoutKind,
};

// Results (RFC 6525 §4.4).
pub(crate) const NOTHING_TO_DO: u32 = 0;
pub(crate) const PERFORMED: u32 = 1;
pub(crate) const DENIED: u32 = 2;
pub(crate) const WRONG_SSN: u32 = 3;
pub(crate) const ALREADY_IN_PROGRESS: u32 = 4;
pub(crate) const BAD_SEQUENCE_NUMBER: u32 = 5;
pub(crate) const IN_PROGRESS: u32 = 6;

/// First TSN and first request number of the raw peer.
pub(crate) const PEER_TSN: u32 = 1000;

pub(crate) fn quiet() -> Config {
    Config::strict().heartbeat_interval(Duration::ZERO)
}

/// An association with a peer that lists RE-CONFIG.
pub(crate) fn established(config: Config) -> RawPeer {
    established_by(RawPeer::new(config))
}

pub(crate) fn established_by(mut peer: RawPeer) -> RawPeer {
    let init = peer.init().with(SUPPORTED_EXTENSIONS, &[RE_CONFIG]);
    finish_set_up(&mut peer, &init);
    peer
}

pub(crate) fn finish_set_up(peer: &mut RawPeer, init: &Init) {
    let ack = peer.send_init(init);
    (peer.engine_tag, peer.engine_tsn) = (ack.tag, ack.tsn);
    assert_eq!(kinds(&peer.exchange(&[Chunk::new(COOKIE_ECHO, 0, &ack.cookie())])), [[COOKIE_ACK]]);
    assert_eq!(peer.drain_events(), [Event::Established]);
}

/// The engine's user resets its direction of these streams.
pub(crate) fn user_resets(peer: &mut RawPeer, streams: &[u16]) {
    let streams: Vec<StreamId> = streams.iter().copied().map(StreamId).collect();
    assert_eq!(peer.engine.reset_streams(peer.now, &streams), Ok(()));
}

pub(crate) fn ids(streams: &[u16]) -> Vec<StreamId> {
    streams.iter().copied().map(StreamId).collect()
}

pub(crate) fn before(tsn: u32) -> u32 {
    tsn.wrapping_sub(1)
}

/// The chunk with which the engine asks for the first time, when it has sent `sent` DATA chunks.
pub(crate) fn first_request(peer: &RawPeer, sent: u32, streams: &[u16]) -> Chunk {
    request(peer, 0, PEER_TSN - 1, sent, streams)
}

/// The engine's n-th request in answer to `response`.
pub(crate) fn request(peer: &RawPeer, n: u32, response: u32, sent: u32, streams: &[u16]) -> Chunk {
    reconfig(&[outgoing_reset(
        peer.engine_tsn.wrapping_add(n),
        response,
        before(peer.engine_tsn.wrapping_add(sent)),
        streams,
    )])
}

pub(crate) fn answer(number: u32, result: u32) -> Chunk {
    reconfig(&[reconfig_response(number, result)])
}

/// Incoming SSN Reset Request Parameter (RFC 6525 §4.2).
pub(crate) fn incoming_reset(request: u32, streams: &[u16]) -> Vec<u8> {
    let mut value = request.to_be_bytes().to_vec();
    streams.iter().for_each(|stream| value.extend(stream.to_be_bytes()));
    tlv(14, &value)
}

/// The one RE-CONFIG of some packets, without what goes beside it.
#[track_caller]
pub(crate) fn only_reconfig(packets: &[Packet]) -> Chunk {
    let chunks: Vec<_> = packets.iter().flat_map(|packet| &packet.chunks).collect();
    let mut found = chunks.iter().filter(|chunk| chunk.kind == RE_CONFIG);
    let (chunk, more) = (found.next(), found.next());
    assert!(more.is_none(), "{packets:?}");
    (*chunk.unwrap_or_else(|| panic!("no RE-CONFIG: {packets:?}"))).clone()
}

/// The user sends a message, which is acknowledged: its SSN.
pub(crate) fn ssn_of_next(peer: &mut RawPeer, stream: u16) -> u16 {
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
    for parameter in [outgoing_reset(PEER_TSN, 0, PEER_TSN - 1, &[0]), incoming_reset(PEER_TSN, &[0])] {
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
    assert_eq!(only_reconfig(&replies), request(&peer, 1, PEER_TSN - 1, 0, &[2, 3]));
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
    let asked = reconfig(&[incoming_reset(PEER_TSN, &[1])]);
    assert_eq!(only_reconfig(&peer.exchange(&[asked])), answer(PEER_TSN, DENIED));
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
    let asked = reconfig(&[outgoing_reset(PEER_TSN, peer.engine_tsn, PEER_TSN - 1, &[5])]);
    assert_eq!(only_reconfig(&peer.exchange(&[asked])), answer(PEER_TSN, PERFORMED));
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
        assert_eq!(sent[0].1.chunks, std::slice::from_ref(&chunk));
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
        assert_eq!(only_reconfig(&peer.replies()), request(&peer, 1, PEER_TSN - 1, 3, &[1]));
    }
}

/// RFC 6525 §5.2.2 E2: "any data arriving with a TSN larger than the Sender's Last Assigned TSN for the affected stream(s)
/// MUST be queued locally and held until the cumulative acknowledgment point reaches the Sender's Last Assigned TSN."
/// RFC 6525 §5.2.2 E2: what is held behind a reset counts in the window, once, and is bounded as all that is held.
/// RFC 6525 §5.2.1: a retransmission: "the same RE-CONFIG chunk MUST to be sent back in response", and nothing is done.
/// RFC 6525 §4.4 table 3: 5, "Error - Bad Sequence Number", for what is neither the next request nor one of the last two,
/// as many as a RE-CONFIG may have.
/// RFC 6525 §5.2.2 E3: "If no stream numbers are listed in the parameter, then all incoming streams MUST be reset to 0";
/// of a list, "only these specific streams".
/// RFC 6525 §4.4 table 3: a stream that does not exist is "Error - Wrong SSN", and none of the list is reset.
/// RFC 6525 §5.2.3 F1, Appendix A: our own request, which names the peer's, is the answer; the owner hears of it.
/// RFC 6525 §5: "once that request is acknowledged let the peer actually control the reset operation": what is queued is
/// delivered first, and the peer need not wait for that.
/// RFC 6525 §5.2.3: "Nothing to do" if our request in flight "completely overlaps" the peer's, or all streams are at 0.
/// RFC 6525 §4.2: "If no streams are listed, then all streams are to be reset": those that were used; §3.1: a response and
/// a request go in one chunk.
/// RFC 6525 Appendix A, "resetting all streams in both directions" for some: RESP:X|OUT-REQ:Y,X+1.
/// RFC 6525 §5.2.1: "it MUST send a corresponding response parameter"; §5.1.7 D3, D4: for an SSN/TSN reset request with the
/// next TSNs, "For other requests" without.
/// RFC 6525 §3.1, 9: a peer that answers and resets its own direction in one chunk, in whatever order.
/// RFC 6525 §3.1: of an unsupported combination the receiver "SHOULD send an ERROR chunk with a Protocol Violation cause";
/// nothing of it is performed, nor of what cannot be read.
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
    let asked = reconfig(&[outgoing_reset(PEER_TSN, PEER_TSN - 1, PEER_TSN, &[0])]);
    let done = answer(peer.engine_tsn, PERFORMED);
    let events = [
        Event::IncomingStreamsReset(ids(&[0])),
        Event::OutgoingStreamsReset { streams: ids(&[0]), accepted: true },
    ];
    for round in 0..3 {
        // Not taken for an answer: the number in it is not the one of our request.
        assert_eq!(only_reconfig(&peer.exchange(std::slice::from_ref(&asked))), answer(PEER_TSN, PERFORMED));
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
