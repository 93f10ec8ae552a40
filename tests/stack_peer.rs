//! Two whole peers, composed in memory under a virtual clock.

#[path = "support/stack.rs"]
mod stack;

use bytes::Bytes;
use stack::{
    Net, Stack, connected, implied, labelled, negotiate, negotiate_with, strangers, with_wrong_fingerprint,
};
use std::time::{Duration, Instant};
use straits_peer::dtls::{self, Identity};
use straits_peer::ice::{self, FailureReason, Route};
use straits_peer::sctp::{ChannelCloseReason, ChannelEvent, ChannelState, MessageKind, State as SctpState};
use straits_peer::{
    Captured, CloseReason, Config, DescriptionError, DescriptionKind, Direction, Event, GatheringState,
    IceCandidate, Peer, PeerState, SdpType, SessionDescription,
};
use straits_sim::{Conditions, Datagram, Endpoint, Loss, Simulation, Verdict, derive_seed, seed};

const SECOND: Duration = Duration::from_secs(1);

/// Offer, answer, open, both directions, close of the channel, close of the connection: every layer once.
#[test]
fn the_sample_runs_through_every_layer() {
    let (mut net, ours, theirs) = connected(seed());
    assert_eq!(net.a.states(), [PeerState::Connecting, PeerState::Connected]);
    assert_eq!(net.b.states(), [PeerState::Connecting, PeerState::Connected]);
    assert_eq!(net.b.peer.channel(theirs).unwrap().init().label, "sendChannel");

    let now = net.now();
    net.a.send(now, ours, "Hello");
    net.b.send(now, theirs, "Grüße, 世界");
    net.run_for(SECOND);
    assert_eq!(net.b.texts(), ["Hello"]);
    assert_eq!(net.a.texts(), ["Grüße, 世界"]);

    let now = net.now();
    net.a.peer.channel(ours).unwrap().close(now);
    net.run_for(SECOND);
    assert!(net.a.saw(&Event::Channel(ChannelEvent::Closed(ours, ChannelCloseReason::LocalClose))));
    assert!(net.b.saw(&Event::Channel(ChannelEvent::Closing(theirs))));
    assert!(net.b.saw(&Event::Channel(ChannelEvent::Closed(theirs, ChannelCloseReason::RemoteClose))));

    let now = net.now();
    net.a.peer.close(now);
    net.run_for(SECOND);
    assert_eq!(net.a.peer.close_reason(), Some(&CloseReason::Local { undelivered: 0 }));
    assert_eq!(net.a.events.last(), Some(&Event::Closed(CloseReason::Local { undelivered: 0 })));
    let reason = net.b.peer.close_reason().unwrap();
    assert!(reason.is_orderly(), "{reason}");
    assert_eq!(net.b.peer.state(), PeerState::Closed);
    assert_eq!((net.a.peer.poll_timeout(), net.b.peer.poll_timeout()), (None, None));
}

/// What a capture is made of: each packet of one side is one of the other, on the route the other way round.
#[test]
fn captured_packets_are_those_that_passed() {
    let mut net = strangers(seed());
    let now = net.now();
    let config = || Config::default().key_log(true).capture_packets(true);
    net.a.peer = Peer::new(config(), Identity::generate().unwrap(), derive_seed(seed(), 2), now);
    net.b.peer = Peer::new(config(), Identity::generate().unwrap(), derive_seed(seed(), 3), now);
    let ours = net.a.peer.open_channel(now, labelled("captured")).unwrap();
    negotiate(&mut net);
    net.run_until(5 * SECOND, |net| net.a.saw(&Event::Channel(ChannelEvent::Open(ours))));
    let now = net.now();
    net.a.send(now, ours, "Hello");
    net.run_for(SECOND);
    net.a.peer.close(net.now());
    net.run_for(SECOND);

    let lines: Vec<_> =
        [&mut net.a, &mut net.b].map(|side| (side.peer.poll_key_log(), side.peer.poll_key_log())).into();
    assert!(lines[0].0.is_some());
    assert_eq!(lines[0], (lines[1].0.clone(), None));
    let (of_a, of_b) = (packets(&mut net.a.peer), packets(&mut net.b.peer));
    let turned = of_b.iter().map(|(direction, route, packet)| {
        let direction = match direction {
            Direction::Inbound => Direction::Outbound,
            Direction::Outbound => Direction::Inbound,
        };
        (direction, Route { local: route.remote, remote: route.local }, packet.clone())
    });
    let of = |all: Vec<_>, wanted| {
        all.into_iter().filter(|(direction, _, _)| *direction == wanted).collect::<Vec<_>>()
    };
    for direction in [Direction::Inbound, Direction::Outbound] {
        assert_eq!(of(of_a.clone(), direction), of(turned.clone().collect(), direction), "{direction:?}");
    }
    let carries =
        |text: &[u8]| of_a.iter().any(|(_, _, packet)| packet.windows(text.len()).any(|part| part == text));
    assert!(carries(b"captured") && carries(b"Hello"));
    // RFC 9260 §3.3.7: the last one is the ABORT of the close.
    assert_eq!(
        of_a.last().map(|(direction, _, packet)| (*direction, packet[12])),
        Some((Direction::Outbound, 6))
    );
}

#[test]
fn without_being_asked_for_nothing_is_captured() {
    let (mut net, ours, _) = connected(seed());
    let now = net.now();
    net.a.send(now, ours, "Hello");
    net.run_for(SECOND);
    for side in [&mut net.a, &mut net.b] {
        assert_eq!((side.peer.poll_captured(), side.peer.poll_key_log()), (None, None));
    }
}

fn packets(peer: &mut Peer) -> Vec<(Direction, Route, Bytes)> {
    std::iter::from_fn(|| peer.poll_captured())
        .map(|captured| match captured {
            Captured::Packet(packet) => (packet.direction, packet.route, packet.packet),
            Captured::Lost(packets) => panic!("{packets} lost"),
        })
        .collect()
}

/// RFC 8842 §5.3 and RFC 8832 §6: the answerer is the DTLS client and takes even stream ids, the offerer odd ones.
#[test]
fn the_answerer_is_the_dtls_client_and_has_even_ids() {
    let (mut net, ours, _) = connected(seed());
    assert_eq!(net.a.peer.channel(ours).unwrap().stream_id(), Some(1));
    let now = net.now();
    let back = net.b.peer.open_channel(now, labelled("back")).unwrap();
    assert_eq!(net.b.peer.channel(back).unwrap().stream_id(), Some(0));
    net.b.send(now, back, "right behind the OPEN");
    net.run_for(SECOND);
    assert_eq!(net.b.peer.channel(back).unwrap().state(), ChannelState::Open);
    assert_eq!(net.a.texts(), ["right behind the OPEN"]);
}

/// The datagrams of DTLS count, from the first flight to the last alert, and no others.
#[test]
fn the_traffic_of_a_pair_is_what_the_wire_carried() {
    let (mut net, ours, _) = connected(seed());
    let now = net.now();
    net.a.send(now, ours, &"x".repeat(100_000));
    net.run_for(SECOND);
    let carried = |net: &Net, source| {
        let of_dtls = net.trace().iter().map(|record| &record.datagram).filter(|datagram| {
            datagram.source == source && matches!(datagram.payload.first(), Some(20..=63))
        });
        of_dtls.fold((0, 0), |(count, bytes), datagram| (count + 1, bytes + datagram.payload.len() as u64))
    };
    for (here, there) in [(&net.a, &net.b), (&net.b, &net.a)] {
        let [pair] = here.peer.ice().candidate_pairs()[..] else { panic!("there is one") };
        let traffic = pair.counters.traffic;
        assert_eq!((traffic.packets_sent, traffic.bytes_sent), carried(&net, here.address));
        assert_eq!((traffic.packets_received, traffic.bytes_received), carried(&net, there.address));
        assert_eq!((traffic, traffic.packets_discarded), (here.peer.ice().traffic(), 0));
    }

    let now = net.now();
    net.a.peer.close(now);
    net.run_for(SECOND);
    let [pair] = net.a.peer.ice().candidate_pairs()[..] else { panic!("there is one") };
    let traffic = pair.counters.traffic;
    assert_eq!((traffic.packets_sent, traffic.bytes_sent), carried(&net, net.a.address));
    net.a.peer.count_discarded(pair.route, 2500, Some(1000));
    net.a.peer.count_discarded(pair.route, 70, None);
    let traffic = net.a.peer.ice().traffic();
    assert_eq!((traffic.packets_discarded, traffic.bytes_discarded), (4, 2570));
}

/// RFC 8841 §9.3, §10.5: a new SCTP port in an offer, from either side, ends the association and begins another on the same
/// DTLS; the answerer does so first, while its answer is on its way.
#[test]
fn a_new_sctp_port_renews_the_association() {
    for (offerer_is_a, answer_takes) in [(true, 0), (true, 3), (false, 0), (false, 3)] {
        let (mut net, ours, theirs) = connected(seed());
        let now = net.now();
        {
            let (offerer, answerer) =
                if offerer_is_a { (&mut net.a, &mut net.b) } else { (&mut net.b, &mut net.a) };
            offerer.peer.renew_association(now);
            offerer.pump(now);
            assert_eq!(offerer.events.last(), Some(&Event::NegotiationNeeded));
            offerer.peer.set_local_description(now, &implied(SdpType::Offer)).unwrap();
            let offer = offerer.peer.description(DescriptionKind::PendingLocal).unwrap();
            answerer.peer.set_remote_description(now, &offer).unwrap();
            answerer.peer.set_local_description(now, &implied(SdpType::Answer)).unwrap();
            assert!(offer.sdp.contains("a=sctp-port:5001\r\n"), "{}", offer.sdp);
        }
        net.run_for(answer_takes * SECOND);
        let now = net.now();
        let (offerer, answerer) =
            if offerer_is_a { (&mut net.a, &mut net.b) } else { (&mut net.b, &mut net.a) };
        let answer = answerer.peer.description(DescriptionKind::CurrentLocal).unwrap();
        assert!(answer.sdp.contains("a=sctp-port:5001\r\n"), "{}", answer.sdp);
        offerer.peer.set_remote_description(now, &answer).unwrap();
        net.run_for(3 * SECOND);
        for (stack, id) in [(&mut net.a, ours), (&mut net.b, theirs)] {
            assert_eq!(stack.peer.channel(id).unwrap().state(), ChannelState::Closed);
            assert_eq!(stack.states(), [PeerState::Connecting, PeerState::Connected]);
            let up = Event::Channel(ChannelEvent::Established);
            assert_eq!(stack.events.iter().filter(|event| **event == up).count(), 2);
        }
        let now = net.now();
        let again = net.a.peer.open_channel(now, labelled("again")).unwrap();
        net.a.send(now, again, "over the new one");
        net.run_for(SECOND);
        assert_eq!(net.b.texts(), ["over the new one"]);
        // Another exchange changes nothing.
        negotiate(&mut net);
        net.run_for(SECOND);
        assert_eq!(net.a.peer.channel(again).unwrap().state(), ChannelState::Open);
    }
}

/// RFC 8842 §3.1, §6: a re-offer with an ICE restart is answered by another peer, at the same address even, with a
/// certificate of its own. What was open is closed; what is opened from then on is the new peer's.
#[test]
fn another_peer_takes_over() {
    let (mut net, ours, _) = connected(seed());
    let now = net.now();
    let other = Stack::new("192.0.2.2:5000", Config::default(), derive_seed(seed(), 7), now);
    let mut before = std::mem::replace(&mut net.b, other);
    let seen = net.a.events.len();
    let trace = net.trace().iter().filter(|record| record.datagram.source == net.a.address).count();
    net.a.peer.restart_ice(now);
    negotiate(&mut net);
    net.run_until(5 * SECOND, |net| {
        net.a.peer.state() == PeerState::Connected && net.a.peer.sctp_state() == SctpState::Established
    });
    net.run_for(SECOND);
    let of_dtls = net.a.events[seen..].iter().filter(|event| matches!(event, Event::DtlsStateChanged(_)));
    let states = [dtls::State::New, dtls::State::Connecting, dtls::State::Connected];
    assert!(of_dtls.eq(&states.map(Event::DtlsStateChanged)), "{:?}", &net.a.events[seen..]);
    let of_ice = net.a.events[seen..].iter().filter(|event| matches!(event, Event::IceStateChanged(_)));
    assert!(of_ice.eq(&[ice::State::Checking, ice::State::Connected].map(Event::IceStateChanged)));
    assert_eq!(net.a.states()[2..], [PeerState::Connecting, PeerState::Connected]);
    let closed = ChannelEvent::Closed(ours, ChannelCloseReason::AssociationRestarted);
    assert!(net.a.saw(&Event::Channel(closed)), "{:?}", &net.a.events[seen..]);
    let now = net.now();
    let to = net.a.peer.open_channel(now, labelled("to the new one")).unwrap();
    let back = net.b.peer.open_channel(now, labelled("from the new one")).unwrap();
    net.a.send(now, to, "hello");
    net.b.send(now, back, "hello again");
    net.run_for(SECOND);
    assert_eq!((net.b.texts(), net.a.texts()), (vec!["hello"], vec!["hello again"]));
    // The one before is told that the session is over, and of nothing else.
    let sent = net.trace().iter().filter(|record| record.datagram.source == net.a.address);
    for record in sent.skip(trace) {
        before.handle_datagram(now, record.datagram.clone());
    }
    let reason = before.peer.close_reason().unwrap();
    assert_eq!(reason, &CloseReason::Dtls(dtls::CloseReason::RemoteClose));
    assert!(before.received.is_empty() && before.incoming().len() == 1);
}

/// RFC 8842 §6: "the answerer cannot initiate a new DTLS association unless the offerer initiated ICE restart".
#[test]
fn another_peer_does_not_take_over_without_a_restart() {
    let (mut net, ours, theirs) = connected(seed());
    let now = net.now();
    let mut other = Stack::new("192.0.2.3:6000", Config::default(), derive_seed(seed(), 7), now);
    net.a.peer.set_local_description(now, &implied(SdpType::Offer)).unwrap();
    let offer = net.a.peer.description(DescriptionKind::PendingLocal).unwrap();
    other.peer.set_remote_description(now, &offer).unwrap();
    other.peer.set_local_description(now, &implied(SdpType::Answer)).unwrap();
    let answer = other.peer.description(DescriptionKind::CurrentLocal).unwrap();
    let refused = net.a.peer.set_remote_description(now, &answer).unwrap_err();
    assert!(matches!(refused, DescriptionError::Unacceptable { .. }), "{refused}");
    net.a.send(now, ours, "still with you");
    net.b.send(now, theirs, "and I with you");
    net.run_for(SECOND);
    assert_eq!((net.b.texts(), net.a.texts()), (vec!["still with you"], vec!["and I with you"]));
}

/// Another peer offers, to the one that answers: it takes the offer of whoever comes with credentials of its own.
#[test]
fn another_peer_offers() {
    let (mut net, _, theirs) = connected(seed());
    let now = net.now();
    net.a = Stack::new("192.0.2.1:4000", Config::default(), derive_seed(seed(), 8), now);
    let again = net.a.peer.open_channel(now, labelled("again")).unwrap();
    negotiate(&mut net);
    net.run_until(5 * SECOND, |net| net.a.saw(&Event::Channel(ChannelEvent::Open(again))));
    let closed = ChannelEvent::Closed(theirs, ChannelCloseReason::AssociationRestarted);
    assert!(net.b.saw(&Event::Channel(closed)));
    let now = net.now();
    net.a.send(now, again, "hello");
    net.run_for(SECOND);
    assert_eq!(net.b.texts(), ["hello"]);
    assert_eq!([net.a.peer.state(), net.b.peer.state()], [PeerState::Connected; 2]);
}

/// RFC 8827 §6.5: a certificate that does not match ends the session before a byte of SCTP is read, for either role.
#[test]
fn a_wrong_fingerprint_ends_the_session_before_sctp() {
    for tampered in [SdpType::Offer, SdpType::Answer] {
        let mut net = strangers(seed());
        let now = net.now();
        net.a.peer.open_channel(now, labelled("never")).unwrap();
        negotiate_with(&mut net, |description| {
            if description.kind == tampered { with_wrong_fingerprint(description) } else { description }
        });
        net.run_for(10 * SECOND);
        let deceived = if tampered == SdpType::Offer { &net.b } else { &net.a };
        assert_eq!(
            deceived.peer.close_reason(),
            Some(&CloseReason::Dtls(dtls::CloseReason::FingerprintMismatch)),
            "{tampered}"
        );
        assert_eq!(deceived.peer.state(), PeerState::Failed);
        for stack in [&net.a, &net.b] {
            assert!(!stack.saw(&Event::Channel(ChannelEvent::Established)), "{tampered}");
            assert_eq!(stack.peer.stats().sctp.packets_received, 0, "{tampered}");
        }
    }
}

/// A peer that vanishes: `disconnected` within 5 s, `failed` with a reason within 15 s; one that returns in time is as
/// before.
#[test]
fn silence_disconnects_and_then_fails() {
    let (mut net, ours, _) = connected(seed());
    net.run_for(20 * SECOND);
    assert_eq!(net.a.peer.state(), PeerState::Connected);

    net.set_blackout(true);
    net.run_for(5 * SECOND);
    assert_eq!(net.a.peer.state(), PeerState::Disconnected);
    assert_eq!(net.b.peer.state(), PeerState::Disconnected);
    net.set_blackout(false);
    net.run_for(5 * SECOND);
    assert_eq!(net.a.peer.state(), PeerState::Connected);
    let now = net.now();
    net.a.send(now, ours, "back again");
    net.run_for(SECOND);
    assert_eq!(net.b.texts(), ["back again"]);

    net.set_blackout(true);
    net.run_for(15 * SECOND);
    for stack in [&net.a, &net.b] {
        assert_eq!(stack.peer.state(), PeerState::Failed);
        assert!(matches!(stack.peer.close_reason(), Some(CloseReason::Ice(_))));
    }
    // Consent is gone: what is sent from here on waits.
    net.wire_mut().clear_trace();
    let now = net.now();
    net.a.send(now, ours, "into the dark");
    net.run_for(60 * SECOND);
    assert!(net.trace().is_empty(), "{:?}", net.trace());
}

/// Nothing that a stranger sends changes anything but the counters.
#[test]
fn strangers_and_garbage_are_dropped_and_counted() {
    let (mut net, ours, _) = connected(seed());
    let target = net.b.address;
    let recorded = net.trace().iter().map(|record| record.datagram.clone());
    let recorded: Vec<Datagram> = recorded.filter(|datagram| datagram.destination == target).collect();
    let third = "198.51.100.7:9".parse().unwrap();
    let before = net.b.peer.stats();
    for datagram in &recorded {
        // What the peer itself sent, from elsewhere; then cut short, then with a flipped bit, from the right address.
        net.inject(1, Datagram { source: third, ..datagram.clone() });
        let cut = datagram.payload.slice(..datagram.payload.len() / 2);
        net.inject(1, Datagram { payload: cut, ..datagram.clone() });
        let mut flipped = datagram.payload.to_vec();
        let middle = flipped.len() / 2;
        flipped[middle] ^= 0x10;
        net.inject(1, Datagram { payload: flipped.into(), ..datagram.clone() });
    }
    for byte in 0..=u8::MAX {
        let payload = Bytes::from(vec![byte; 1 + usize::from(byte)]);
        net.inject(1, Datagram { source: net.a.address, destination: net.b.address, payload });
    }
    net.run_for(SECOND);
    let after = net.b.peer.stats();
    assert!(after.datagrams_dropped > before.datagrams_dropped, "DTLS of a third address and foreign bytes");
    assert!(after.ice.malformed > before.ice.malformed, "cut and broken STUN");
    assert!(after.ice.unauthenticated > before.ice.unauthenticated, "STUN with a flipped bit");
    assert!(after.dtls.records_dropped > before.dtls.records_dropped, "records with a flipped bit");
    assert_eq!(after.sctp.packets_dropped, 0, "DTLS lets nothing of it through");
    assert_eq!(net.b.peer.state(), PeerState::Connected);
    assert_eq!(net.b.peer.selected_route().unwrap().remote, net.a.address);
    let now = net.now();
    net.a.send(now, ours, "still here");
    net.run_for(SECOND);
    assert_eq!(net.b.texts(), ["still here"]);
}

/// Reliable, ordered, both ways at once, over a link that loses, reorders and repeats.
#[test]
fn messages_survive_a_bad_link() {
    for loss in [0.0, 0.05, 0.2] {
        let (mut net, ours, theirs) = connected(seed());
        net.set_conditions(Conditions {
            delay: Duration::from_millis(20),
            loss: Loss::Random(loss),
            reorder: 0.05,
            reorder_by: Duration::from_millis(15),
            duplicate: 0.02,
            ..Conditions::default()
        });
        let sent: Vec<String> = (0..200).map(|n| format!("{n}:{}", "x".repeat(n * 37 % 3000))).collect();
        let now = net.now();
        for text in &sent {
            net.a.send(now, ours, text);
            net.b.send(now, theirs, text);
        }
        net.run_until(600 * SECOND, |net| {
            net.a.received.len() >= sent.len() && net.b.received.len() >= sent.len()
        });
        assert_eq!(net.a.texts(), sent, "loss {loss}");
        assert_eq!(net.b.texts(), sent, "loss {loss}");
    }
}

/// A run is made of datagrams of one size, but for a shorter last one, and nothing is above 1228 bytes: 1191 of SCTP and
/// 37 of DTLS (DESIGN: IPv6 paths of 1280 bytes).
#[test]
fn runs_are_uniform_and_fit_the_smallest_path() {
    let (mut net, ours, _) = connected(seed());
    net.a.runs.clear();
    let now = net.now();
    for _ in 0..64 {
        let data = Bytes::from(vec![7; 16 * 1024]);
        net.a.peer.channel(ours).unwrap().send(now, MessageKind::Binary, data).unwrap();
    }
    net.run_for(5 * SECOND);
    assert_eq!(net.b.received.len(), 64);
    assert!(net.a.runs.iter().any(|run| run.len() == 10), "bulk data leaves in full runs");
    for run in &net.a.runs {
        assert!(run.len() <= 10);
        let (last, rest) = run.split_last().unwrap();
        assert!(rest.iter().all(|size| *size == run[0]) && *last <= run[0] && run[0] <= 1228, "{run:?}");
    }
}

/// `close_gracefully` delivers everything that was accepted; `close` reports what it could not.
#[test]
fn a_graceful_close_is_lossless_and_a_hard_one_reports() {
    let (mut net, ours, _) = connected(seed());
    let now = net.now();
    for n in 0..100 {
        net.a.send(now, ours, &format!("{n}{}", ".".repeat(10_000)));
    }
    net.a.peer.close_gracefully(now, now + 60 * SECOND);
    net.run_for(60 * SECOND);
    assert_eq!(net.b.received.len(), 100);
    assert_eq!(net.a.peer.close_reason(), Some(&CloseReason::Local { undelivered: 0 }));
    assert!(net.b.peer.close_reason().unwrap().is_orderly());

    // What opened the channel is not acknowledged yet, and is nothing of the user's.
    let (mut net, ours, _) = connected(seed());
    let now = net.now();
    net.a.send(now, ours, &"x".repeat(50_000));
    net.a.peer.close(now);
    assert_eq!(net.a.peer.close_reason(), Some(&CloseReason::Local { undelivered: 50_000 }));
    net.run_for(SECOND);
    assert!(net.b.peer.close_reason().unwrap().is_orderly(), "the ABORT and the alert both arrive");
}

/// RFC 8841 §5.1: SCTP packets go to the port of the peer's description. Ours listens on another one here.
#[test]
fn packets_go_to_the_sctp_port_of_the_description() {
    for port in [5000, 6000] {
        let mut net = strangers(seed());
        let now = net.now();
        net.a.peer.open_channel(now, labelled("port")).unwrap();
        negotiate_with(&mut net, |mut description| {
            description.sdp = description.sdp.replace("a=sctp-port:5000", &format!("a=sctp-port:{port}"));
            description
        });
        net.run_for(5 * SECOND);
        for stack in [&net.a, &net.b] {
            assert_eq!(stack.peer.dtls_state(), dtls::State::Connected);
            assert!(stack.peer.stats().sctp.packets_received > 0);
            assert_eq!(stack.saw(&Event::Channel(ChannelEvent::Established)), port == 5000, "{port}");
        }
    }
}

/// The deadline of a graceful close holds when the peer has vanished.
#[test]
fn a_graceful_close_ends_at_its_deadline() {
    let (mut net, ours, _) = connected(seed());
    net.set_blackout(true);
    let now = net.now();
    net.a.send(now, ours, "lost");
    net.a.peer.close_gracefully(now, now + 3 * SECOND);
    net.run_for(3 * SECOND);
    assert_eq!(net.a.peer.close_reason(), Some(&CloseReason::Local { undelivered: 4 }));
}

/// Candidates may come before the description they belong to, and descriptions without any.
#[test]
fn trickled_candidates_connect_even_when_early() {
    let mut net = strangers(seed());
    let now = net.now();
    let ours = net.a.peer.open_channel(now, labelled("trickle")).unwrap();
    let offer = net.a.peer.create_offer(now).unwrap();
    net.a.peer.set_local_description(now, &offer).unwrap();
    net.a.pump(now);
    for event in &net.a.events {
        if let Event::IceCandidate(candidate) = event {
            net.b.peer.add_remote_candidate(now, candidate.clone()).unwrap();
        }
    }
    net.b.peer.set_remote_description(now, &offer).unwrap();
    let answer = net.b.peer.create_answer(now).unwrap();
    net.b.peer.set_local_description(now, &answer).unwrap();
    net.b.pump(now);
    net.a.peer.set_remote_description(now, &answer).unwrap();
    let candidates: Vec<Option<IceCandidate>> = (net.b.events.iter())
        .filter_map(|event| match event {
            Event::IceCandidate(candidate) => Some(candidate.clone()),
            _ => None,
        })
        .collect();
    for candidate in candidates {
        net.a.peer.add_remote_candidate(now, candidate).unwrap();
    }
    net.run_until(5 * SECOND, |net| net.a.saw(&Event::Channel(ChannelEvent::Open(ours))));
}

/// SDP that is refused names its line and changes nothing.
#[test]
fn a_bad_description_leaves_the_peer_as_it_was() {
    let mut net = strangers(seed());
    let now = net.now();
    net.a.peer.open_channel(now, labelled("later")).unwrap();
    net.a.peer.set_local_description(now, &implied(SdpType::Offer)).unwrap();
    net.a.pump(now);
    let offer = net.a.peer.description(DescriptionKind::PendingLocal).unwrap();
    let lines: Vec<&str> = offer.sdp.lines().collect();
    for cut in 0..lines.len() {
        // Cut in the middle of line `cut`.
        let mut sdp = lines[..cut].join("\r\n");
        sdp.push_str("\r\n");
        sdp.push_str(&lines[cut][..1]);
        let refused =
            net.b.peer.set_remote_description(now, &SessionDescription { kind: SdpType::Offer, sdp });
        let message = refused.unwrap_err().to_string();
        assert!(message.starts_with("SDP line ") || message.starts_with("SDP"), "{message}");
        assert_eq!(net.b.peer.description(DescriptionKind::PendingRemote), None);
    }
    net.b.peer.set_remote_description(now, &offer).unwrap();
}

/// Both sides may close at the same moment.
#[test]
fn crossing_closes_end_both_sides_once() {
    let (mut net, _, _) = connected(seed());
    let now = net.now();
    net.a.peer.close(now);
    net.b.peer.close(now);
    net.run_for(SECOND);
    for stack in [&net.a, &net.b] {
        let ends = stack.events.iter().filter(|event| matches!(event, Event::Closed(_))).count();
        assert_eq!(ends, 1);
        assert_eq!(stack.peer.poll_timeout(), None);
    }
}

/// An offer can be negotiated again on a running connection without disturbing it.
#[test]
fn renegotiation_changes_nothing() {
    let (mut net, ours, _) = connected(seed());
    let before = net.a.peer.selected_route();
    negotiate(&mut net);
    net.run_for(SECOND);
    assert_eq!(net.a.peer.selected_route(), before);
    let now = net.now();
    net.a.send(now, ours, "after");
    net.run_for(SECOND);
    assert_eq!(net.b.texts(), ["after"]);
}

/// An owner that waits no longer ends the peer; the reason names the layer that is not up.
#[test]
fn giving_up_names_the_layer_that_is_not_up() {
    for is_reached in [false, true] {
        let mut net = strangers(seed());
        let now = net.now();
        net.a.peer.open_channel(now, labelled("never")).unwrap();
        for link in [&mut net.a_to_b, &mut net.b_to_a] {
            // RFC 7983 §7: checks pass, or nothing does.
            link.set_filter(move |_, datagram| match datagram.payload.first() {
                Some(0..=3) if is_reached => Verdict::Pass,
                _ => Verdict::Drop,
            });
        }
        negotiate(&mut net);
        net.run_for(2 * SECOND);
        let now = net.now();
        assert!(net.a.peer.give_up(now));
        net.a.pump(now);
        let reason = match is_reached {
            false => CloseReason::Ice(FailureReason::NoAnswer),
            true => CloseReason::Dtls(dtls::CloseReason::HandshakeTimeout { suspected_alert: None }),
        };
        assert_eq!(net.a.events.last(), Some(&Event::Closed(reason)));
        assert_eq!((net.a.peer.state(), net.a.peer.poll_timeout()), (PeerState::Failed, None));
        assert!(!net.a.peer.give_up(now), "it has ended");
    }
}

/// The restart came before the addresses of the generation that it was to replace: that still waits for them.
#[test]
fn a_restart_that_is_taken_back_leaves_gathering_to_be_done() {
    let now = Instant::now();
    let [mut a, mut b] =
        [1, 2].map(|seed| Peer::new(Config::default(), dtls::Identity::generate().unwrap(), [seed; 32], now));
    a.open_channel(now, labelled("data")).unwrap();
    a.set_local_description(now, &implied(SdpType::Offer)).unwrap();
    b.set_remote_description(now, &a.description(DescriptionKind::PendingLocal).unwrap()).unwrap();
    b.set_local_description(now, &implied(SdpType::Answer)).unwrap();
    a.set_remote_description(now, &b.description(DescriptionKind::CurrentLocal).unwrap()).unwrap();
    a.restart_ice(now);
    a.set_local_description(now, &implied(SdpType::Offer)).unwrap();
    while a.poll_event().is_some() {}
    a.set_local_description(now, &implied(SdpType::Rollback)).unwrap();
    let events: Vec<_> = std::iter::from_fn(|| a.poll_event()).collect();
    assert!(events.contains(&Event::GatheringNeeded), "{events:?}");
    assert_eq!(a.gathering_state(), GatheringState::New);
    a.add_local_candidate(now, "192.0.2.1:5000".parse().unwrap());
    a.set_gathering_complete(now);
    assert_eq!(a.gathering_state(), GatheringState::Complete);
    let sdp = a.description(DescriptionKind::CurrentLocal).unwrap().sdp;
    assert!(sdp.contains(" 192.0.2.1 5000 ") && sdp.contains("a=end-of-candidates"), "{sdp}");
}
