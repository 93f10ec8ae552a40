//! Stream reconfiguration that the peer asks for (RFC 6525 §5.2).

use crate::q_reconfig::*;
use crate::raw_sctp::*;
use straits_sctp::{Event, Ppid, Reliability, SendError, StreamId};

#[test]
fn item_284_incoming_reset_waits_for_its_last_tsn() {
    let mut peer = established(quiet());
    peer.send(&[data(PEER_TSN + 1, WHOLE, 0, 1, b"second")]);
    let asked = reconfig(&[outgoing_reset(PEER_TSN, 0, PEER_TSN + 1, &[0])]);
    assert_eq!(only_reconfig(&peer.exchange(std::slice::from_ref(&asked))), answer(PEER_TSN, IN_PROGRESS));
    let behind = [
        data(PEER_TSN + 3, WHOLE, 0, 1, b"fourth"),
        data(PEER_TSN + 2, WHOLE, 0, 0, b"third"),
        data(PEER_TSN + 4, WHOLE, 5, 0, b"elsewhere"),
    ];
    peer.send(&behind);
    assert_eq!(peer.drain_events(), [Event::Readable(StreamId(5))]);
    assert_eq!(only_reconfig(&peer.exchange(std::slice::from_ref(&asked))), answer(PEER_TSN, IN_PROGRESS));
    assert_eq!(peer.user_reads(0), [""; 0]);
    // Told unasked as soon as it is so.
    let replies = peer.exchange(&[data(PEER_TSN, WHOLE, 0, 0, b"first")]);
    assert_eq!(only_reconfig(&replies), answer(PEER_TSN, PERFORMED));
    assert_eq!(Sack::parse(replies[0].find(SACK).unwrap()).cumulative, PEER_TSN + 4);
    let events = [Event::Readable(StreamId(0)), Event::IncomingStreamsReset(ids(&[0]))];
    assert_eq!(peer.drain_events(), events);
    assert_eq!(peer.user_reads(0), ["first", "second", "third", "fourth"]);
    assert_eq!(only_reconfig(&peer.exchange(&[asked])), answer(PEER_TSN, PERFORMED));
    assert_eq!(peer.drain_events(), []);
}

#[test]
fn item_285_deferred_queue_is_bounded() {
    const WINDOW: usize = 20_000;
    let mut peer = established(quiet().receive_window(WINDOW));
    let asked = reconfig(&[outgoing_reset(PEER_TSN, 0, PEER_TSN, &[0])]);
    assert_eq!(only_reconfig(&peer.exchange(&[asked])), answer(PEER_TSN, IN_PROGRESS));
    let mut windows = Vec::new();
    let mut held = 0;
    for n in 0..100_u16 {
        let replies = peer.exchange(&[data(PEER_TSN + 1 + u32::from(n), WHOLE, 0, n, &[7; 1000])]);
        let sack = Sack::parse(replies[0].find(SACK).expect("there is a gap"));
        assert_eq!(sack.cumulative, PEER_TSN - 1);
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
    peer.send(&[data(PEER_TSN, WHOLE, 0, 0, b"before")]);
    let mut read = peer.user_reads(0);
    assert_eq!((read.remove(0), read.len()), ("before".into(), held));
    assert_eq!(peer.engine.stats().local_rwnd, WINDOW);
}

#[test]
fn item_286_repeated_request_gets_its_answer_again() {
    let mut peer = established(quiet());
    let chunk = peer.next_data(0, b"before");
    peer.send(&[chunk]);
    peer.replies();
    peer.drain_events();
    let asked = reconfig(&[outgoing_reset(PEER_TSN, 0, PEER_TSN, &[0])]);
    assert_eq!(only_reconfig(&peer.exchange(std::slice::from_ref(&asked))), answer(PEER_TSN, PERFORMED));
    assert_eq!(peer.drain_events(), [Event::IncomingStreamsReset(ids(&[0]))]);
    for ssn in 0..3 {
        // Performed a second time, the reset would make this number one that is used again.
        let chunk = peer.next_data(ssn, b"after");
        peer.send(&[chunk]);
        assert_eq!(only_reconfig(&peer.exchange(std::slice::from_ref(&asked))), answer(PEER_TSN, PERFORMED));
    }
    assert_eq!(peer.drain_events(), []);
    assert_eq!(peer.user_reads(0), ["before", "after", "after", "after"]);
    // A refusal is repeated too.
    let refused = reconfig(&[outgoing_reset(PEER_TSN + 1, 0, PEER_TSN + 3, &[5000])]);
    for _ in 0..2 {
        let replies = peer.exchange(std::slice::from_ref(&refused));
        assert_eq!(only_reconfig(&replies), answer(PEER_TSN + 1, WRONG_SSN));
    }
}

#[test]
fn item_287_request_number_out_of_sequence() {
    let mut peer = established(quiet());
    let asked = |number: u32| reconfig(&[outgoing_reset(number, 0, PEER_TSN - 1, &[0])]);
    for number in [PEER_TSN - 1, PEER_TSN + 1, PEER_TSN + 2, PEER_TSN.wrapping_add(1 << 31), 0, u32::MAX] {
        let replies = peer.exchange(&[asked(number)]);
        assert_eq!(only_reconfig(&replies), answer(number, BAD_SEQUENCE_NUMBER));
    }
    assert_eq!(peer.drain_events(), []);
    for number in PEER_TSN..PEER_TSN + 3 {
        assert_eq!(only_reconfig(&peer.exchange(&[asked(number)])), answer(number, PERFORMED));
        assert_eq!(peer.drain_events(), [Event::IncomingStreamsReset(ids(&[0]))]);
    }
    for (number, result) in [
        (PEER_TSN, BAD_SEQUENCE_NUMBER),
        (PEER_TSN + 1, PERFORMED),
        (PEER_TSN + 2, PERFORMED),
        (PEER_TSN + 4, BAD_SEQUENCE_NUMBER),
    ] {
        assert_eq!(only_reconfig(&peer.exchange(&[asked(number)])), answer(number, result));
    }
    assert_eq!(peer.drain_events(), []);
}

#[test]
fn item_288_empty_list_means_all_streams() {
    for (list, after) in [(&[][..], [0, 0, 0]), (&[3, 9], [1, 0, 0]), (&[9], [1, 1, 0])] {
        let mut peer = established(quiet());
        let streams = [0, 3, 9];
        peer.send(&[0, 1, 2].map(|n| data(PEER_TSN + n, WHOLE, streams[n as usize], 0, b"before")));
        let asked = reconfig(&[outgoing_reset(PEER_TSN, 0, PEER_TSN + 2, list)]);
        assert_eq!(only_reconfig(&peer.exchange(&[asked])), answer(PEER_TSN, PERFORMED));
        assert_eq!(peer.drain_events().last(), Some(&Event::IncomingStreamsReset(ids(list))));
        for (n, (stream, ssn)) in (PEER_TSN + 3..).zip(streams.into_iter().zip(after)) {
            peer.send(&[data(n, WHOLE, stream, ssn, b"after")]);
            assert_eq!(peer.user_reads(stream), ["before", "after"], "{list:?}");
        }
    }
}

#[test]
fn item_289_streams_out_of_range() {
    let mut peer = established(quiet());
    assert_eq!(peer.engine.negotiated_streams(), Some((1024, 1024)));
    let before = peer.snapshot();
    let every: Vec<u16> = (0..=u16::MAX).step_by(16).collect();
    for (n, list) in (0..).zip([&[0, 1024][..], &[u16::MAX], &every]) {
        let numbers = [PEER_TSN + 2 * n, PEER_TSN + 2 * n + 1];
        let asked = [outgoing_reset(numbers[0], 0, PEER_TSN - 1, list), incoming_reset(numbers[1], list)];
        for (number, parameter) in numbers.into_iter().zip(asked) {
            let replies = peer.exchange(&[reconfig(&[parameter])]);
            assert_eq!(only_reconfig(&replies), answer(number, WRONG_SSN));
        }
    }
    assert_eq!(peer.drain_events(), []);
    assert_eq!(peer.snapshot(), before);
}

#[test]
fn item_290_incoming_request_is_performed() {
    let mut peer = established(quiet());
    ssn_of_next(&mut peer, 3);
    peer.drain_events();
    let asked = reconfig(&[incoming_reset(PEER_TSN, &[3])]);
    let ours = request(&peer, 0, PEER_TSN, 1, &[3]);
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
    assert_eq!(only_reconfig(&peer.exchange(&[asked])), answer(PEER_TSN, PERFORMED));
    assert_eq!(ssn_of_next(&mut peer, 3), 0);
}

#[test]
fn item_290_incoming_request_waits_for_the_queue() {
    let mut peer = established(quiet());
    peer.user_sends(3, &[7; 20_000]);
    let mut sent = peer.replies();
    let replies = peer.exchange(&[reconfig(&[incoming_reset(PEER_TSN, &[3])])]);
    assert_eq!(only_reconfig(&replies), answer(PEER_TSN, PERFORMED));
    while sent.last().unwrap().find(RE_CONFIG).is_none() {
        let last = sent.last().unwrap().find(DATA).expect("DATA before the request").tsn();
        sent.extend(peer.exchange(&[Sack::new(last).chunk()]));
    }
    let count = sent.iter().filter(|packet| packet.find(DATA).is_some()).count() as u32;
    assert_eq!(only_reconfig(&sent), request(&peer, 0, PEER_TSN, count, &[3]));
}

#[test]
fn item_290_incoming_request_with_nothing_to_do() {
    let mut peer = established(quiet());
    for stream in [3, 4, 5] {
        ssn_of_next(&mut peer, stream);
    }
    user_resets(&mut peer, &[3, 4]);
    let ours = first_request(&peer, 3, &[3, 4]);
    assert_eq!(only_reconfig(&peer.replies()), ours);
    let asked = reconfig(&[incoming_reset(PEER_TSN, &[4])]);
    assert_eq!(only_reconfig(&peer.exchange(&[asked])), answer(PEER_TSN, NOTHING_TO_DO));
    peer.drain_events();
    assert_eq!(peer.exchange(&[answer(peer.engine_tsn, PERFORMED)]), []);
    let done = |streams: &[u16]| Event::OutgoingStreamsReset { streams: ids(streams), accepted: true };
    assert_eq!(peer.drain_events(), [done(&[3, 4])]);
    let asked = reconfig(&[incoming_reset(PEER_TSN + 1, &[3, 4, 900])]);
    assert_eq!(only_reconfig(&peer.exchange(&[asked])), answer(PEER_TSN + 1, NOTHING_TO_DO));
    // "Even in such a situation" of a partial overlap it is processed.
    let asked = reconfig(&[incoming_reset(PEER_TSN + 2, &[5, 4])]);
    assert_eq!(only_reconfig(&peer.exchange(&[asked])), request(&peer, 1, PEER_TSN + 2, 3, &[4, 5]));
}

#[test]
fn item_290_incoming_request_for_all_streams() {
    let mut peer = established(quiet());
    for stream in [3, 700] {
        ssn_of_next(&mut peer, stream);
    }
    peer.drain_events();
    let asked = reconfig(&[incoming_reset(PEER_TSN, &[])]);
    let ours = outgoing_reset(peer.engine_tsn, PEER_TSN, peer.engine_tsn.wrapping_add(1), &[3, 700]);
    let both = reconfig(&[reconfig_response(PEER_TSN, PERFORMED), ours]);
    for _ in 0..2 {
        assert_eq!(only_reconfig(&peer.exchange(std::slice::from_ref(&asked))), both);
    }
    assert_eq!(peer.run_for(secs(1))[0].1.find(RE_CONFIG), Some(&both), "the timer repeats it unchanged");
    assert_eq!(peer.exchange(&[answer(peer.engine_tsn, PERFORMED)]), []);
    let done = Event::OutgoingStreamsReset { streams: ids(&[3, 700]), accepted: true };
    assert_eq!(peer.drain_events(), [Event::ResetRequested(vec![]), done]);
    assert_eq!(only_reconfig(&peer.exchange(&[asked])), answer(PEER_TSN, PERFORMED));
}

#[test]
fn item_290_both_directions_in_one_chunk() {
    let mut peer = established(quiet());
    ssn_of_next(&mut peer, 3);
    peer.drain_events();
    let asked =
        reconfig(&[outgoing_reset(PEER_TSN, 0, PEER_TSN - 1, &[3]), incoming_reset(PEER_TSN + 1, &[3])]);
    let ours = outgoing_reset(peer.engine_tsn, PEER_TSN + 1, peer.engine_tsn, &[3]);
    let both = reconfig(&[reconfig_response(PEER_TSN, PERFORMED), ours]);
    for _ in 0..2 {
        assert_eq!(only_reconfig(&peer.exchange(std::slice::from_ref(&asked))), both);
    }
    let events = [Event::ResetRequested(ids(&[3])), Event::IncomingStreamsReset(ids(&[3]))];
    assert_eq!(peer.drain_events(), events);
    peer.send(&[answer(peer.engine_tsn, PERFORMED)]);
    let answers =
        reconfig(&[reconfig_response(PEER_TSN, PERFORMED), reconfig_response(PEER_TSN + 1, PERFORMED)]);
    assert_eq!(only_reconfig(&peer.exchange(&[asked])), answers);
}

#[test]
fn item_291_other_requests_are_denied() {
    let mut peer = established(quiet());
    ssn_of_next(&mut peer, 0);
    let chunk = peer.next_data(0, b"data");
    peer.send(&[chunk]);
    let number = |n: u32| (PEER_TSN + n).to_be_bytes();
    let streams = [0, 5, 0, 0];
    let tsns = [peer.engine_tsn.wrapping_add(1), (PEER_TSN + 1).wrapping_add(1 << 31)].map(u32::to_be_bytes);
    let tsn_denied = [&number(0), &DENIED.to_be_bytes(), &tsns[0], &tsns[1]].map(|it| &it[..]).concat();
    let requests = [
        (tlv(15, &number(0)), reconfig(&[tlv(16, &tsn_denied)])),
        (tlv(17, &[number(1), streams].concat()), answer(PEER_TSN + 1, DENIED)),
        (tlv(18, &[number(2), streams].concat()), answer(PEER_TSN + 2, DENIED)),
    ];
    for (request, expected) in requests {
        for _ in 0..2 {
            assert_eq!(only_reconfig(&peer.exchange(&[reconfig(std::slice::from_ref(&request))])), expected);
        }
    }
    let both = [tlv(17, &[number(3), streams].concat()), tlv(18, &[number(4), streams].concat())];
    let expected = [reconfig_response(PEER_TSN + 3, DENIED), reconfig_response(PEER_TSN + 4, DENIED)];
    assert_eq!(only_reconfig(&peer.exchange(&[reconfig(&both)])), reconfig(&expected));
    assert_eq!(peer.engine.negotiated_streams(), Some((1024, 1024)));
    assert_eq!(ssn_of_next(&mut peer, 0), 1);
}

#[test]
fn item_292_request_and_response_in_one_chunk() {
    for response_first in [true, false] {
        let mut peer = established(quiet());
        user_resets(&mut peer, &[1]);
        peer.replies();
        let mut parameters = [
            reconfig_response(peer.engine_tsn, PERFORMED),
            outgoing_reset(PEER_TSN, peer.engine_tsn, PEER_TSN - 1, &[1]),
        ];
        if !response_first {
            parameters.reverse();
        }
        let replies = peer.exchange(&[reconfig(&parameters)]);
        assert_eq!(only_reconfig(&replies), answer(PEER_TSN, PERFORMED));
        let mut events = peer.drain_events();
        events.sort_by_key(|event| matches!(event, Event::IncomingStreamsReset(_)));
        let done = Event::OutgoingStreamsReset { streams: ids(&[1]), accepted: true };
        assert_eq!(events, [done, Event::IncomingStreamsReset(ids(&[1]))]);
        assert_eq!(peer.engine.poll_timeout(), None);
    }
}

#[test]
fn item_293_illegal_parameter_mixes() {
    let outgoing = |number: u32| outgoing_reset(number, 0, PEER_TSN - 1, &[0]);
    let incoming = |number: u32| incoming_reset(number, &[0]);
    let tsn_reset = |number: u32| tlv(15, &number.to_be_bytes());
    let response = || reconfig_response(1, PERFORMED);
    let add = |number: u32| tlv(17, &[number.to_be_bytes(), [0, 5, 0, 0]].concat());
    let mixes = [
        vec![outgoing(PEER_TSN), outgoing(PEER_TSN + 1)],
        vec![incoming(PEER_TSN), incoming(PEER_TSN + 1)],
        vec![incoming(PEER_TSN), response()],
        vec![outgoing(PEER_TSN), tsn_reset(PEER_TSN + 1)],
        vec![response(), tsn_reset(PEER_TSN)],
        vec![outgoing(PEER_TSN), add(PEER_TSN + 1)],
        vec![add(PEER_TSN), add(PEER_TSN + 1)],
        vec![outgoing(PEER_TSN), incoming(PEER_TSN + 1), response()],
        vec![response(), response(), outgoing(PEER_TSN)],
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
        outgoing_reset(PEER_TSN, 0, PEER_TSN - 1, &[0])[..17].to_vec(),
        [&[0, 13, 0, 17], &outgoing(PEER_TSN)[4..16], &[0]].concat(),
        tlv(13, &PEER_TSN.to_be_bytes()),
        tlv(14, &[0, 0]),
        tlv(15, &[0; 5]),
        tlv(16, &[0; 12]),
        tlv(16, &[0; 20]),
        tlv(17, &[0; 6]),
        vec![0, 13, 0, 3],
        vec![0, 13, 0xFF, 0xFF],
        // RFC 6525 §4: behind a type that is not recognized nothing is processed.
        join(&[tlv(19, &[0; 4]), outgoing(PEER_TSN)]),
    ];
    for value in broken {
        peer.assert_chunks_ignored(&[Chunk::new(RE_CONFIG, 0, &value)]);
    }
    assert_eq!((peer.drain_events(), peer.snapshot()), (vec![], before));
    assert_eq!(
        only_reconfig(&peer.exchange(&[reconfig(&[outgoing(PEER_TSN)])])),
        answer(PEER_TSN, PERFORMED)
    );
}

#[test]
fn item_298_sack_with_the_response() {
    let mut peer = established(quiet());
    let chunk = peer.next_data(0, b"acknowledged");
    assert_eq!(kinds(&peer.exchange(&[chunk])), [[SACK]]);
    let chunk = peer.next_data(1, b"its acknowledgement is delayed");
    assert_eq!(peer.exchange(&[chunk]), []);
    let last = before(peer.tsn);
    let asked = reconfig(&[outgoing_reset(PEER_TSN, 0, last, &[0])]);
    // The second time there is nothing new to acknowledge.
    for _ in 0..2 {
        let replies = peer.exchange(std::slice::from_ref(&asked));
        assert_eq!(kinds(&replies), [[RE_CONFIG, SACK]]);
        assert_eq!(Sack::parse(&replies[0].chunks[1]).cumulative, last);
    }
    assert_eq!(peer.exchange(&[answer(1, PERFORMED)]), [], "a response asks for none");
}
