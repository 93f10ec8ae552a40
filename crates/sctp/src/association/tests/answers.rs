//! What established associations answer: errors, heartbeats, shutdown, stream resets.

use super::raw::*;
use crate::number::{Ppid, Ssn, StreamId, Tsn};
use crate::wire::{
    self, Abort, Cause, Causes, Chunk, Data, Heartbeat, List, ReConfig, ReconfigParameter,
    ReconfigParameters, Sack, WriteChunk,
};
use crate::{CloseReason, Config, Event, Reliability, ResetError, SendError, State};
use bytes::Bytes;
use std::time::Duration;

fn lines(raw: &mut Raw) -> Vec<Vec<String>> {
    raw.drain().into_iter().map(|sent| sent.chunks).collect()
}

/// RFC 9260 §3.2: unknown chunks by the two high bits of their types; one ERROR for each packet.
#[test]
fn unknown_chunks_are_passed_over_or_reported() {
    let cases = [(0x20, true, false), (0x60, true, true), (0xa0, false, false), (0xe0, false, true)];
    for (kind, stops, reports) in cases {
        let mut raw = Raw::established();
        let unknown = Odd(kind, b"value");
        let heartbeat = Heartbeat { info: b"info", others: &[] };
        raw.feed_packet(raw.tag, &[&unknown, &unknown, &heartbeat]);
        let names = raw.names().concat();
        let mut expected = Vec::new();
        expected.extend(reports.then_some("ERROR"));
        expected.extend((!stops).then_some("HEARTBEAT-ACK"));
        assert_eq!(names, expected, "{kind:#x}");
    }
    // The echo is cut to a packet.
    let mut raw = Raw::established();
    raw.feed(&Odd(0xe0, &[1; 8000]));
    let sent = raw.drain();
    assert_eq!(sent.len(), 1);
    assert!(sent[0].bytes.len() <= 1191, "{}", sent[0].bytes.len());
}

/// RFC 9260 §8.3: the answer is a copy; what does not fit into one packet is dropped; twenty a second.
#[test]
fn heartbeats_are_answered_with_a_copy() {
    let mut raw = Raw::established();
    for len in [0, 1, 5, 1160, 1167] {
        let info: Vec<u8> = (0..len).map(|n| u8::try_from(n % 256).unwrap()).collect();
        raw.feed(&Heartbeat { info: &info, others: &[] });
        let sent = raw.drain();
        let (_, mut chunks) = wire::parse(&sent[0].bytes, true).unwrap();
        assert_eq!(chunks.next(), Some(Ok(Chunk::HeartbeatAck(Heartbeat { info: &info, others: &[] }))));
        assert!(sent[0].bytes.len() <= 1191);
    }
    raw.feed(&Heartbeat { info: &[0; 1180], others: &[] });
    assert_eq!(raw.drain(), []);
    for _ in 0..100 {
        raw.feed(&Heartbeat { info: b"again", others: &[] });
        raw.drain();
    }
    let answered = raw.end.stats().packets_sent;
    assert_eq!(answered, 2 + 20, "INIT, COOKIE ECHO and twenty answers");
}

/// RFC 9260 §5.4, §8.1, §8.3: only the nonce of our HEARTBEAT is an answer; ten without one are the end.
#[test]
fn heartbeats_need_their_nonce_back() {
    let mut raw = Raw::established();
    let passed = raw.fire().unwrap();
    let rto = raw.end.stats().rto;
    let interval = Duration::from_secs(30);
    assert!(passed >= interval + rto / 2 && passed <= interval + rto * 3 / 2, "{passed:?}");
    let sent = raw.drain();
    let (_, mut chunks) = wire::parse(&sent[0].bytes, true).unwrap();
    let Some(Ok(Chunk::Heartbeat(heartbeat))) = chunks.next() else { panic!("{sent:?}") };
    raw.now += Duration::from_millis(40);
    raw.feed(&Chunk::HeartbeatAck(Heartbeat { info: &[0; 8], others: &[] }));
    assert_eq!(raw.end.stats().srtt, None);
    raw.feed(&Chunk::HeartbeatAck(heartbeat));
    assert_eq!(raw.end.stats().srtt, Some(Duration::from_millis(40)));
    let mut probes = 0;
    while raw.end.state() == State::Established {
        raw.fire();
        probes += raw.drain().len();
    }
    assert_eq!(probes, 11);
    assert_eq!(raw.events(), [Event::Closed(CloseReason::Timeout(crate::TimeoutKind::Heartbeat))]);
}

/// RFC 9260 §8.1: "When a HEARTBEAT ACK chunk is received from the peer endpoint, the counter SHOULD also be reset", late
/// or not; its nonce tells which HEARTBEAT it answers, so its round trip counts too.
#[test]
fn a_late_answer_to_a_heartbeat_counts() {
    let mut raw = Raw::established();
    for _ in 0..30 {
        raw.fire();
        let sent = raw.drain();
        let (_, mut chunks) = wire::parse(&sent[0].bytes, true).unwrap();
        let Some(Ok(Chunk::Heartbeat(heartbeat))) = chunks.next() else { panic!("{sent:?}") };
        let rto = raw.end.stats().rto;
        assert_eq!(raw.fire(), Some(rto));
        raw.now += Duration::from_millis(40);
        raw.feed(&Chunk::HeartbeatAck(heartbeat));
        assert_ne!(raw.end.stats().srtt, None);
    }
    assert_eq!(raw.end.state(), State::Established);
    assert!(raw.end.stats().srtt > Some(Duration::from_millis(540)), "{:?}", raw.end.stats().srtt);
}

/// A clock that goes back is not a round trip of nothing; the answer still shows that the peer is there.
#[test]
fn no_round_trip_is_negative() {
    let mut raw = Raw::established();
    raw.fire();
    let sent = raw.drain();
    let (_, mut chunks) = wire::parse(&sent[0].bytes, true).unwrap();
    let Some(Ok(Chunk::Heartbeat(heartbeat))) = chunks.next() else { panic!("{sent:?}") };
    raw.now -= Duration::from_millis(1);
    raw.feed(&Chunk::HeartbeatAck(heartbeat));
    raw.send(b"out");
    raw.drain();
    raw.now -= Duration::from_millis(1);
    raw.feed(&sack(raw.tsn));
    assert_eq!(raw.end.stats().bytes_in_flight, 0);
    assert_eq!((raw.end.stats().srtt, raw.end.stats().rto), (None, Duration::from_millis(500)));
}

/// RFC 9260 §8.3: "MUST respond to a HEARTBEAT chunk", as long as the answer fits into a packet: to the byte.
#[test]
fn the_largest_answer_fills_a_packet() {
    for max in 1188..=1192 {
        let mut raw = Raw::with(Config::default().max_packet_size(max));
        raw.feed_packet(0, &[&init(PEER_TAG)]);
        raw.drain();
        raw.feed_packet(raw.tag, &[&cookie_echo(&raw.cookie.clone())]);
        raw.drain();
        let largest = max / 4 * 4 - 12 - 8;
        raw.feed(&Heartbeat { info: &vec![1; largest], others: &[] });
        let sent = raw.drain();
        assert_eq!(sent.iter().map(|sent| sent.bytes.len()).collect::<Vec<_>>(), [max / 4 * 4]);
        raw.feed(&Heartbeat { info: &vec![1; largest + 1], others: &[] });
        assert_eq!(raw.drain(), []);
    }
}

/// RFC 9260 §8.3: "exponential backoff of the RTO if the previous HEARTBEAT chunk is unanswered", until one is answered;
/// the interval is counted from one HEARTBEAT to the next.
#[test]
fn unanswered_heartbeats_back_off() {
    let mut raw = Raw::established();
    let mut expected = raw.end.stats().rto;
    let mut previous = raw.now;
    for _ in 0..7 {
        raw.fire();
        assert_eq!(raw.names(), [["HEARTBEAT"]]);
        let jittered = expected / 2..=expected * 3 / 2;
        let beyond = raw.now - previous - Duration::from_secs(30);
        assert!(jittered.contains(&beyond), "{beyond:?}, RTO {expected:?}");
        previous = raw.now;
        assert_eq!(raw.fire(), Some(expected));
        expected = (expected * 2).min(Duration::from_secs(10));
        assert_eq!(raw.end.stats().rto, expected);
    }
    raw.fire();
    let sent = raw.drain();
    let (_, mut chunks) = wire::parse(&sent[0].bytes, true).unwrap();
    let Some(Ok(Chunk::Heartbeat(heartbeat))) = chunks.next() else { panic!("{sent:?}") };
    raw.now += Duration::from_millis(40);
    raw.feed(&Chunk::HeartbeatAck(heartbeat));
    assert_eq!(raw.end.stats().rto, Duration::from_millis(400));
}

/// RFC 9260 §9.1, §3.3.7: the first cause and its bounded text are told; unsound causes are an ABORT all the same.
#[test]
fn an_abort_tells_its_cause() {
    let text = [b'x'; 60_000];
    let causes = [Cause::ProtocolViolation(&text)];
    let mut raw = Raw::established();
    raw.feed(&Abort { tag_reflected: false, causes: Causes::new(&causes) });
    let reason = CloseReason::RemoteAbort { cause: Some(13), message: Bytes::from_static(&[b'x'; 256]) };
    assert_eq!(raw.events(), [Event::Closed(reason.clone())]);
    assert_eq!(raw.end.close_reason(), Some(&reason));
    assert_eq!(raw.drain(), []);

    let mut raw = Raw::established();
    raw.feed(&Odd(6, &[0, 12, 0, 99, 1]));
    let reason = CloseReason::RemoteAbort { cause: None, message: Bytes::new() };
    assert_eq!(raw.events(), [Event::Closed(reason)]);
}

/// RFC 9260 §3.3.7: chunks before the ABORT count, chunks behind it do not.
#[test]
fn chunks_count_up_to_an_abort() {
    let mut raw = Raw::established();
    let second = Data { stream: StreamId(1), ..data(PEER_TSN + 1) };
    raw.feed_packet(raw.tag, &[&data(PEER_TSN), &abort(false), &second]);
    let events = raw.events();
    assert_eq!(events[0], Event::Readable(StreamId(0)));
    assert_eq!(events.len(), 2);
    assert_eq!(raw.end.recv(raw.now, StreamId(0)).unwrap().data, "payload");
    assert_eq!(raw.end.recv(raw.now, StreamId(1)), None);
}

/// RFC 9260 §6.2, §6.5, §6.9: DATA that breaks the rules.
#[test]
fn data_that_breaks_the_rules() {
    let mut raw = Raw::established();
    raw.feed(&Data { payload: b"", ..data(PEER_TSN) });
    assert_eq!(lines(&mut raw), [[format!("ABORT no-user-data({PEER_TSN})")]]);
    assert_eq!(raw.events(), [Event::Closed(CloseReason::RemoteViolation("DATA without user data"))]);

    let mut raw = Raw::established();
    raw.feed(&Data { stream: StreamId(300), ..data(PEER_TSN) });
    assert_eq!(raw.names(), [["ERROR", "SACK"]]);

    let mut raw = Raw::established();
    raw.feed(&Data { end: false, ..data(PEER_TSN) });
    raw.feed(&Data { end: false, ..data(PEER_TSN + 1) });
    assert!(lines(&mut raw).concat().last().unwrap().starts_with("ABORT protocol-violation"));
    assert!(matches!(raw.events()[..], [Event::Closed(CloseReason::RemoteViolation(_))]));
}

#[test]
fn an_error_is_never_answered_by_an_error() {
    let mut raw = Raw::established();
    raw.feed(&error(&[Cause::UnrecognizedChunk(b"????"), Cause::OutOfResource]));
    assert_eq!(raw.drain(), []);
    assert_eq!(raw.events(), [Event::RemoteError { cause: Some(6), message: Bytes::new() }]);
}

/// RFC 9260 §9.2: nothing is accepted once the end was asked for.
#[test]
fn nothing_is_accepted_after_shutdown() {
    for state in
        [State::ShutdownPending, State::ShutdownSent, State::ShutdownReceived, State::ShutdownAckSent]
    {
        let mut raw = Raw::in_state(state);
        let data = Bytes::from_static(b"x");
        let sent = raw.end.send(raw.now, StreamId(0), Ppid::BINARY, data, true, Reliability::Reliable);
        assert_eq!(sent, Err(SendError::Closed), "{state:?}");
    }
}

/// RFC 9260 §9.2: SHUTDOWN is repeated with what has arrived since, each packet with DATA is answered by one, and T5
/// ends it all.
#[test]
fn shutdown_is_repeated_and_bounded() {
    let mut raw = Raw::in_state(State::ShutdownSent);
    let start = raw.now;
    raw.feed(&data(PEER_TSN));
    let sent = lines(&mut raw).concat();
    assert_eq!(sent[0], format!("SHUTDOWN cum={PEER_TSN}"));
    let mut next = PEER_TSN + 1;
    // A peer that goes on sending is not waited for longer than T5.
    while raw.end.state() == State::ShutdownSent {
        raw.now += Duration::from_millis(100);
        raw.feed(&data(next));
        raw.end.handle_timeout(raw.now);
        next += 1;
        assert!(raw.names().iter().all(|names| names[0] == "SHUTDOWN" || names[0] == "ABORT"));
    }
    assert_eq!(raw.now - start, Duration::from_secs(50));
}

/// What comes back, but for the SACK that goes with it.
fn reconfig(raw: &mut Raw, parameters: &[ReconfigParameter<'_>]) -> Vec<String> {
    raw.feed(&ReConfig { parameters: ReconfigParameters::new(parameters) });
    lines(raw).concat().into_iter().filter(|line| !line.starts_with("SACK")).collect()
}

fn outgoing(request: u32, last: u32, streams: &[StreamId]) -> ReconfigParameter<'_> {
    ReconfigParameter::OutgoingReset {
        request,
        response: 0,
        last_tsn: Tsn(last),
        streams: List::new(streams),
    }
}

fn with_reconfig() -> Raw {
    let mut raw = Raw::new();
    raw.feed_packet(0, &[&init(PEER_TAG)]);
    raw.drain();
    raw.feed_packet(raw.tag, &[&cookie_echo(&raw.cookie.clone())]);
    raw.drain();
    raw.events();
    raw
}

/// RFC 6525 §5.2.1–5.2.2: performed once, answered as often as asked.
#[test]
fn an_incoming_reset_is_performed_once() {
    let mut raw = with_reconfig();
    raw.feed(&data(PEER_TSN));
    raw.drain();
    raw.events();
    let request = outgoing(PEER_TSN, PEER_TSN, &[StreamId(0), StreamId(5)]);
    for _ in 0..3 {
        assert_eq!(reconfig(&mut raw, &[request]), [format!("RE-CONFIG response({PEER_TSN} Performed)")]);
    }
    assert_eq!(raw.events(), [Event::IncomingStreamsReset(vec![StreamId(0), StreamId(5)])]);
    // Neither the last nor the next number.
    let answer = reconfig(&mut raw, &[outgoing(PEER_TSN + 9, PEER_TSN, &[])]);
    assert_eq!(answer, [format!("RE-CONFIG response({} BadSequenceNumber)", PEER_TSN + 9)]);
    // A stream that does not exist.
    let answer = reconfig(&mut raw, &[outgoing(PEER_TSN + 1, PEER_TSN, &[StreamId(300)])]);
    assert_eq!(answer, [format!("RE-CONFIG response({} WrongSsn)", PEER_TSN + 1)]);
    assert_eq!(raw.events(), []);
}

/// RFC 6525 §5.2.2 E2: a reset waits for the data before it.
#[test]
fn an_incoming_reset_waits_for_what_is_missing() {
    let mut raw = with_reconfig();
    let streams = [StreamId(0)];
    let request = outgoing(PEER_TSN, PEER_TSN, &streams);
    let in_progress = [format!("RE-CONFIG response({PEER_TSN} InProgress)")];
    assert_eq!(reconfig(&mut raw, &[request]), in_progress);
    assert_eq!(reconfig(&mut raw, &[request]), in_progress);
    assert_eq!(raw.events(), []);
    raw.feed(&data(PEER_TSN));
    let sent = lines(&mut raw).concat();
    assert_eq!(sent[0], format!("RE-CONFIG response({PEER_TSN} Performed)"));
    assert_eq!(raw.events(), [Event::Readable(StreamId(0)), Event::IncomingStreamsReset(vec![StreamId(0)])]);
    assert_eq!(reconfig(&mut raw, &[request]), [format!("RE-CONFIG response({PEER_TSN} Performed)")]);
}

/// RFC 6525 §4.4: one reset waits, another one is "Error - Request already in progress".
#[test]
fn a_second_reset_is_refused_while_one_waits() {
    let mut raw = with_reconfig();
    let n = PEER_TSN;
    let first = outgoing(n, n, &[StreamId(0)]);
    assert_eq!(reconfig(&mut raw, &[first]), [format!("RE-CONFIG response({n} InProgress)")]);
    let second = outgoing(n + 1, n, &[StreamId(1)]);
    let refused = format!("RE-CONFIG response({} AlreadyInProgress)", n + 1);
    assert_eq!(reconfig(&mut raw, &[second]), [refused]);
    raw.feed(&data(n));
    assert_eq!(raw.events(), [Event::Readable(StreamId(0)), Event::IncomingStreamsReset(vec![StreamId(0)])]);
}

/// RFC 6525 §5.1.2: the request leaves right behind the last packet of what was queued; streams that do not exist are
/// answered at once.
#[test]
fn our_reset_follows_the_data() {
    let mut raw = with_reconfig();
    raw.send(&[b'x'; 2000]);
    assert_eq!(raw.end.reset_streams(raw.now, &[StreamId(0), StreamId(200), StreamId(7000)]), Ok(()));
    let streams = vec![StreamId(200), StreamId(7000)];
    assert_eq!(raw.events(), [Event::OutgoingStreamsReset { streams, accepted: false }]);
    assert_eq!(raw.names(), [["DATA"], ["DATA"], ["RE-CONFIG"]]);
}

/// However many streams wait to be reset behind a window that is closed, no packet costs more for them: each is looked at
/// when the last of it leaves, and when it is asked for.
#[test]
fn streams_that_wait_for_their_reset_cost_nothing() {
    for n in [50, 100, 200] {
        let mut raw = with_reconfig();
        raw.send(b"fills the window");
        raw.drain();
        let shut = Sack { a_rwnd: 0, ..sack(raw.tsn.wrapping_sub(1)) };
        raw.feed(&shut);
        let streams: Vec<_> = (0..n).map(StreamId).collect();
        for stream in &streams {
            let data = Bytes::from_static(b"waits");
            raw.end.send(raw.now, *stream, Ppid::BINARY, data, true, Reliability::Reliable).unwrap();
            raw.end.reset_streams(raw.now, &[*stream]).unwrap();
        }
        for _ in 0..50 {
            raw.feed(&shut);
            raw.feed(&Heartbeat { info: b"info", others: &[] });
            raw.drain();
        }
        assert_eq!(raw.end.reset.looked_at, 0, "{n} streams");
        raw.feed(&sack(raw.tsn));
        let mut asked = 0;
        while raw.names().concat().contains(&"RE-CONFIG".to_owned()) {
            let number = raw.tsn.wrapping_add(asked);
            asked += 1;
            let result = wire::ReconfigResult::Performed;
            let answer = ReconfigParameter::Response { response: number, result, next_tsns: None };
            raw.feed(&ReConfig { parameters: ReconfigParameters::new(&[answer]) });
            raw.feed(&sack(raw.tsn.wrapping_add(n.into())));
        }
        let mut reset: Vec<_> = raw
            .events()
            .into_iter()
            .filter_map(|event| match event {
                Event::OutgoingStreamsReset { streams, accepted: true } => Some(streams),
                _ => None,
            })
            .flatten()
            .collect();
        reset.sort_unstable();
        assert_eq!((reset, raw.end.reset.looked_at), (streams, 2 * usize::from(n)));
    }
}

/// RFC 6525 §5.2.3–5.2.6, §5.2.1: requests of other kinds are answered, two of them in one chunk.
#[test]
fn requests_of_every_kind_are_answered() {
    let mut raw = with_reconfig();
    let n = PEER_TSN;
    let two = [
        outgoing(n, n - 1, &[StreamId(1)]),
        ReconfigParameter::IncomingReset { request: n + 1, streams: List::EMPTY },
    ];
    let answers = format!("RE-CONFIG response({n} Performed) response({} NothingToDo)", n + 1);
    for _ in 0..2 {
        assert_eq!(reconfig(&mut raw, &two), [answers.as_str()]);
    }
    let denied = [
        ReconfigParameter::TsnReset { request: n + 2 },
        ReconfigParameter::AddOutgoing { request: n + 3, count: 5 },
        ReconfigParameter::AddIncoming { request: n + 4, count: 5 },
    ];
    for (number, request) in (n + 2..).zip(denied) {
        assert_eq!(reconfig(&mut raw, &[request]), [format!("RE-CONFIG response({number} Denied)")]);
    }
    assert_eq!(reconfig(&mut raw, &[]), [""; 0]);
}

/// Requests about all streams cost as much as there are streams: a peer gets them ten times a second, and those about
/// single ones as often as it asks. The answer to one that is repeated stays.
#[test]
fn requests_about_all_streams_are_taken_now_and_then() {
    let mut raw = with_reconfig();
    let all = |number| {
        [
            outgoing(number, PEER_TSN - 1, &[]),
            ReconfigParameter::IncomingReset { request: number + 1, streams: List::EMPTY },
        ]
    };
    let answers = |number: u32, results: [&str; 2]| {
        let [first, second] = results;
        [format!("RE-CONFIG response({number} {first}) response({} {second})", number + 1)]
    };
    let taken = answers(PEER_TSN, ["Performed", "NothingToDo"]);
    assert_eq!(reconfig(&mut raw, &all(PEER_TSN)), taken);
    raw.now += Duration::from_millis(99);
    assert_eq!(reconfig(&mut raw, &all(PEER_TSN)), taken);
    let denied = answers(PEER_TSN + 2, ["Denied", "Denied"]);
    assert_eq!(reconfig(&mut raw, &all(PEER_TSN + 2)), denied);
    let one = PEER_TSN + 4;
    assert_eq!(
        reconfig(&mut raw, &[outgoing(one, PEER_TSN - 1, &[StreamId(1)])]),
        [format!("RE-CONFIG response({one} Performed)")]
    );
    raw.now += Duration::from_millis(1);
    let next = answers(one + 1, ["Performed", "NothingToDo"]);
    assert_eq!(reconfig(&mut raw, &all(one + 1)), next);
}

/// RFC 6525 §5.1.1, §5.2.7: our request is repeated unchanged until it has a final answer.
#[test]
fn our_reset_is_repeated_until_it_is_answered() {
    for (result, accepted) in [
        (wire::ReconfigResult::Performed, true),
        (wire::ReconfigResult::NothingToDo, true),
        (wire::ReconfigResult::Denied, false),
        (wire::ReconfigResult::WrongSsn, false),
    ] {
        let mut raw = with_reconfig();
        let streams = [StreamId(1), StreamId(2)];
        assert_eq!(raw.end.reset_streams(raw.now, &streams), Ok(()));
        let first = raw.drain();
        let line = format!(
            "RE-CONFIG outgoing-reset(request={} response={} last={} streams=[1,2])",
            raw.tsn,
            PEER_TSN - 1,
            raw.tsn.wrapping_sub(1)
        );
        assert_eq!(first[0].chunks, [line]);
        // A second request waits for its turn.
        assert_eq!(raw.end.reset_streams(raw.now, &[StreamId(3), StreamId(1)]), Ok(()));
        assert_eq!(raw.drain(), []);
        let rto = raw.end.stats().rto;
        assert_eq!(raw.fire(), Some(rto));
        assert_eq!(raw.drain(), first);
        let answer = |raw: &mut Raw, result| {
            let number = raw.tsn;
            reconfig(raw, &[ReconfigParameter::Response { response: number, result, next_tsns: None }])
        };
        assert_eq!(answer(&mut raw, wire::ReconfigResult::InProgress), [""; 0]);
        assert_eq!(raw.fire(), Some(rto));
        assert_eq!(raw.drain(), first);
        assert_eq!(raw.events(), []);
        let next = answer(&mut raw, result);
        assert!(next[0].contains(&format!("request={}", raw.tsn.wrapping_add(1))) && next[0].contains("[3]"));
        assert_eq!(raw.events(), [Event::OutgoingStreamsReset { streams: streams.to_vec(), accepted }]);
        assert_eq!(answer(&mut raw, result), [""; 0]);
    }
}

/// RFC 6525 §5.1.1: "If the chunk type of the RE-CONFIG chunk does not appear in the supported extension's list of
/// chunks, then the sender MUST NOT send any re-configuration request to the peer".
#[test]
fn peers_without_reconfig_are_not_asked() {
    let mut raw = Raw::established();
    assert_eq!(raw.end.reset_streams(raw.now, &[StreamId(0)]), Err(ResetError::Unsupported));
    assert_eq!(raw.drain(), []);
    let mut raw = Raw::new();
    assert_eq!(raw.end.reset_streams(raw.now, &[StreamId(0)]), Err(ResetError::Closed));
}

/// What a stranger's packets cost: answers are bounded, whatever is in one packet.
#[test]
fn one_packet_is_answered_by_a_bounded_number() {
    let infos: Vec<[u8; 4]> = (0..1000_u32).map(u32::to_be_bytes).collect();
    let heartbeats: Vec<_> = infos.iter().map(|info| Heartbeat { info, others: &[] }).collect();
    let chunks: Vec<&dyn WriteChunk> = heartbeats.iter().map(|chunk| chunk as &dyn WriteChunk).collect();
    let mut raw = Raw::new();
    raw.feed_packet(0, &[&init(PEER_TAG)]);
    raw.drain();
    raw.feed_packet(raw.tag, &[&cookie_echo(&raw.cookie.clone())]);
    raw.drain();
    raw.feed_packet(raw.tag, &chunks);
    assert_eq!(raw.names().concat().len(), 20);
}

/// Each request would have very many messages moved again that wait beyond it.
#[test]
fn requests_that_move_the_same_messages_again_are_denied() {
    let mut raw = with_reconfig();
    for number in 1..100 {
        let ssn = Ssn(u16::try_from(number).unwrap());
        raw.feed(&Data { ssn, unordered: false, ..data(PEER_TSN + number) });
    }
    raw.drain();
    for (number, result) in (PEER_TSN..).zip(["Performed", "Denied", "Denied"]) {
        let request = outgoing(number, PEER_TSN - 1, &[StreamId(0)]);
        for _ in 0..2 {
            assert_eq!(reconfig(&mut raw, &[request]), [format!("RE-CONFIG response({number} {result})")]);
        }
    }
    let next = outgoing(PEER_TSN + 3, PEER_TSN + 99, &[StreamId(0)]);
    assert_eq!(reconfig(&mut raw, &[next]), [format!("RE-CONFIG response({} InProgress)", PEER_TSN + 3)]);
}
