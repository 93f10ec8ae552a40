//! Stream reset and FORWARD TSN together (RFC 6525 §5.2.2, RFC 3758).

use crate::raw_extensions::*;
use crate::raw_sctp::*;
use std::time::Duration;
use straits_sctp::{Config, Event, Reliability, StreamId};

const ONCE: Reliability = Reliability::MaxRetransmits(0);
const IN_PROGRESS: u32 = 6;
const PERFORMED: u32 = 1;

fn established(parameters: Parameters<'_>) -> RawPeer {
    RawPeer::passive_with(Config::default().heartbeat_interval(Duration::ZERO), parameters)
}

/// The peer's request to reset its stream 1 behind 1002, of which 1000 to 1002 are missing: it has to wait.
fn deferred(parameters: Parameters<'_>) -> (RawPeer, Chunk) {
    let mut peer = established(parameters);
    let request = reconfig(&[outgoing_reset(1000, peer.nth(0).wrapping_sub(1), 1002, &[1])]);
    let replies = peer.exchange(std::slice::from_ref(&request));
    assert_eq!(of_kind(&replies, RE_CONFIG), [reconfig(&[reconfig_response(1000, IN_PROGRESS)])]);
    assert_eq!(peer.drain_events(), []);
    (peer, request)
}

/// Events of a reset of stream 1 alone.
fn resets(peer: &mut RawPeer) -> Vec<Event> {
    let mut events = peer.drain_events();
    events.retain(|event| *event != Event::Readable(StreamId(1)));
    events
}

/// The peer answers that it has reset our stream 1, and the user hears of it.
fn perform_reset(peer: &mut RawPeer) {
    peer.send(&[reconfig(&[reconfig_response(peer.nth(0), PERFORMED)])]);
    let done = Event::OutgoingStreamsReset { streams: vec![StreamId(1)], accepted: true };
    assert!(peer.drain_events().contains(&done));
}

/// RFC 6525 §5.2.2 E2: held "until the cumulative acknowledgment point reaches the Sender's Last Assigned TSN"; a FORWARD
/// TSN moves it there (RFC 3758 §3.6). Then the reset is done, and the request that comes again is answered so.
#[test]
fn item_294_forward_tsn_completes_a_deferred_reset() {
    let reset = Event::IncomingStreamsReset(vec![StreamId(1)]);
    for (parameters, forward, next) in [
        (PARTIAL, forward_tsn(1002, &[(1, 2)]), data(1003, WHOLE, 1, 0, b"new")),
        (INTERLEAVED, i_forward_tsn(1002, &[(1, false, 2)]), i_data(1003, WHOLE, 1, 0, 53, b"new")),
    ] {
        let (mut peer, request) = deferred(parameters);
        // Of after the reset, and before its time.
        peer.send(&[next]);
        peer.replies();
        assert_eq!((peer.user_reads(1), resets(&mut peer)), (vec![], vec![]));
        assert_eq!(only_sack(&peer.exchange_within(ms(200), &[forward])).cumulative, 1003);
        assert_eq!(resets(&mut peer), std::slice::from_ref(&reset));
        assert_eq!(peer.user_reads(1), ["new"]);
        let replies = peer.exchange(&[request]);
        assert_eq!(of_kind(&replies, RE_CONFIG), [reconfig(&[reconfig_response(1000, PERFORMED)])]);
        assert_eq!(resets(&mut peer), []);
    }
}

/// A FORWARD TSN that goes on behind the reset and names an SSN of which nothing is missing before it speaks of the stream as
/// it is then: SSN 0 is skipped after the reset, so that SSN 1 is next.
#[test]
fn item_294_forward_tsn_beyond_a_deferred_reset() {
    for (parameters, forward, next) in [
        (PARTIAL, forward_tsn(1003, &[(1, 0)]), data(1004, WHOLE, 1, 1, b"second")),
        (INTERLEAVED, i_forward_tsn(1003, &[(1, false, 0)]), i_data(1004, WHOLE, 1, 1, 53, b"second")),
    ] {
        for next_comes_first in [true, false] {
            let (mut peer, _) = deferred(parameters);
            let before = if parameters == PARTIAL {
                data(1000, WHOLE, 1, 0, b"before")
            } else {
                i_data(1000, WHOLE, 1, 0, 53, b"before")
            };
            peer.send(&[before]);
            assert_eq!((peer.user_reads(1), resets(&mut peer)), (vec!["before".into()], vec![]));
            let order = [[&forward, &next], [&next, &forward]][usize::from(next_comes_first)];
            order.into_iter().for_each(|chunk| peer.send(std::slice::from_ref(chunk)));
            assert_eq!(resets(&mut peer), [Event::IncomingStreamsReset(vec![StreamId(1)])]);
            assert_eq!(peer.user_reads(1), ["second"]);
        }
    }
}

/// A FORWARD TSN that ends before the reset leaves it waiting; other streams are not held up.
#[test]
fn item_294_forward_tsn_before_a_deferred_reset() {
    let (mut peer, _) = deferred(PARTIAL);
    peer.send(&[data(1003, WHOLE, 1, 0, b"new")]);
    peer.send(&[data(1001, WHOLE, 2, 1, b"other stream")]);
    peer.replies();
    let sack = only_sack(&peer.exchange_within(ms(200), &[forward_tsn(1000, &[(2, 0)])]));
    assert_eq!((sack.cumulative, sack.gaps), (1001, vec![(2, 2)]));
    assert_eq!((peer.user_reads(1), peer.user_reads(2)), (vec![], vec!["other stream".into()]));
    assert_eq!(peer.drain_events(), [Event::Readable(StreamId(2))]);
    peer.send(&[data(1002, WHOLE, 1, 0, b"old")]);
    assert_eq!(resets(&mut peer), [Event::IncomingStreamsReset(vec![StreamId(1)])]);
    assert_eq!(peer.user_reads(1), ["old", "new"]);
}

/// RFC 8831 §6.7: data of a stream is delivered or abandoned, then its reset is completed; the next message begins anew.
/// What was sent in part does not keep it from being drained.
#[test]
fn item_295_reset_of_a_stream_with_abandoned_messages() {
    for payload in [vec![1; 10], vec![1; 100_000]] {
        let mut peer = established(PARTIAL);
        peer.user_sends_limited(1, &payload, true, ONCE);
        let sent = Data::all(&peer.replies()).len();
        peer.engine.reset_streams(peer.now, &[StreamId(1)]).unwrap();
        let mut packets = peer.replies();
        packets.extend(peer.run_for(ms(500)).into_iter().map(|(_, packet)| packet));
        let forward = ForwardTsn::parse(of_kind(&packets, FORWARD_TSN).last().unwrap());
        // Its end was sent, or a TSN stands for it.
        let skipped = if payload.len() == 10 { sent } else { sent + 1 };
        assert_eq!(forward, ForwardTsn { cumulative: peer.nth(skipped - 1), streams: vec![(1, 0)] });
        let sack = peer.sack(skipped, &[]);
        packets.extend(peer.exchange(&[sack]));
        // Whether the request was sent at once or after the stream was drained, it counts all that was skipped.
        let requests = of_kind(&packets, RE_CONFIG);
        let expected = reconfig(&[outgoing_reset(peer.nth(0), 999, peer.nth(skipped - 1), &[1])]);
        assert!(!requests.is_empty() && requests.iter().all(|request| *request == expected), "{requests:?}");

        perform_reset(&mut peer);
        peer.user_sends(1, b"new");
        let new = Data::all(&peer.replies());
        assert_eq!(new.iter().map(|data| (data.tsn, data.ssn)).collect::<Vec<_>>(), [(peer.nth(skipped), 0)]);
        let sack = peer.sack(skipped + 1, &[]);
        peer.send(&[sack]);
        assert_eq!((peer.replies(), peer.engine.poll_timeout()), (vec![], None));
    }
}

/// The peer answers "In progress" until it was told what to skip (RFC 6525 §5.2.7 H2).
#[test]
fn item_295_the_reset_waits_for_forward_tsn() {
    let mut peer = established(PARTIAL);
    peer.user_sends_limited(1, b"lost", true, ONCE);
    peer.replies();
    peer.engine.reset_streams(peer.now, &[StreamId(1)]).unwrap();
    let mut packets = peer.replies();
    peer.drain_events();
    if !of_kind(&packets, RE_CONFIG).is_empty() {
        peer.send(&[reconfig(&[reconfig_response(peer.nth(0), IN_PROGRESS)])]);
    }
    packets.extend(peer.run_for(ms(1400)).into_iter().map(|(_, packet)| packet));
    assert_eq!(of_kind(&packets, FORWARD_TSN), [forward_tsn(peer.nth(0), &[(1, 0)])]);
    assert_eq!(peer.drain_events(), []);
    let sack = peer.sack(1, &[]);
    packets.extend(peer.exchange(&[sack]));
    let expected = reconfig(&[outgoing_reset(peer.nth(0), 999, peer.nth(0), &[1])]);
    assert!(of_kind(&packets, RE_CONFIG).contains(&expected));
    perform_reset(&mut peer);
}

/// RFC 6525 §5.2.2: a peer that has the abandoned messages after all performs the reset before it hears that they were
/// abandoned. A FORWARD TSN that led beyond the reset would skip messages of the stream as it is since.
#[test]
fn item_295_forward_tsn_does_not_lead_across_a_reset() {
    let mut peer = established(PARTIAL);
    peer.user_sends_limited(1, b"old", true, ONCE);
    peer.replies();
    peer.engine.reset_streams(peer.now, &[StreamId(1)]).unwrap();
    peer.user_sends_limited(2, b"of another stream", true, ONCE);
    let mut packets = peer.replies();
    packets.extend(peer.run_for(ms(600)).into_iter().map(|(_, packet)| packet));
    let request = reconfig(&[outgoing_reset(peer.nth(0), 999, peer.nth(0), &[1])]);
    assert!(of_kind(&packets, RE_CONFIG).contains(&request));
    assert_eq!(of_kind(&packets, FORWARD_TSN), [forward_tsn(peer.nth(0), &[(1, 0)])]);

    // The answer comes, and the SACK does not.
    perform_reset(&mut peer);
    let again: Vec<Packet> = peer.run_for(ms(1400)).into_iter().map(|(_, packet)| packet).collect();
    let forwards = of_kind(&again, FORWARD_TSN);
    assert!(!forwards.is_empty() && forwards.iter().all(|it| *it == forward_tsn(peer.nth(0), &[(1, 0)])));

    let sack = peer.sack(1, &[]);
    let replies = peer.exchange(&[sack]);
    assert_eq!(of_kind(&replies, FORWARD_TSN), [forward_tsn(peer.nth(1), &[(2, 0)])]);
}
