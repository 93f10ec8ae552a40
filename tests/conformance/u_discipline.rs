//! Engine discipline: what holds whatever comes, and whenever.

use crate::hostile::{Traffic, hostile_net, hostile_net_of};
use crate::raw_sctp::*;
use bytes::Bytes;
use rand::RngExt as _;
use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::SeedableRng as _;
use std::time::Duration;
use straits_sctp::{CloseReason, Config, Event, Ppid, Reliability, ResetError, SendError, State, StreamId};
use straits_sim::{Conditions, Simulation as _, seed};

const STATES: [State; 8] = [
    State::Closed,
    State::CookieWait,
    State::CookieEchoed,
    State::Established,
    State::ShutdownPending,
    State::ShutdownSent,
    State::ShutdownReceived,
    State::ShutdownAckSent,
];

/// An engine in this state that has said all it has to say. A message is out where that can be.
fn in_state(state: State) -> RawPeer {
    let mut peer = match state {
        State::Closed | State::CookieWait | State::CookieEchoed => RawPeer::new(Config::default()),
        State::Established
        | State::ShutdownPending
        | State::ShutdownSent
        | State::ShutdownReceived
        | State::ShutdownAckSent => RawPeer::active(Config::default()),
    };
    // A random INIT may say so, and the engine then uses it.
    peer.takes_zero_checksum = true;
    match state {
        State::Closed => {}
        State::CookieWait => drop(peer.connect()),
        State::CookieEchoed => {
            peer.connect();
            peer.answer_init(&[]);
        }
        State::Established => peer.user_sends(0, b"out"),
        State::ShutdownPending => {
            peer.user_sends(0, b"out");
            peer.engine.shutdown(peer.now);
        }
        State::ShutdownSent => peer.engine.shutdown(peer.now),
        State::ShutdownReceived => {
            peer.user_sends(0, b"out");
            peer.replies();
            peer.send(&[shutdown(peer.engine_tsn.wrapping_sub(1))]);
        }
        State::ShutdownAckSent => peer.shut_down(),
    }
    peer.replies_of_any_tag();
    peer.drain_events();
    assert_eq!(peer.engine.state(), state);
    peer
}

/// A number close to one that matters, or any.
fn number(rng: &mut ChaCha12Rng, base: u32) -> u32 {
    if rng.random_bool(0.8) {
        base.wrapping_add(rng.random_range(0..8)).wrapping_sub(3)
    } else {
        rng.random()
    }
}

fn bytes(rng: &mut ChaCha12Rng, max: usize) -> Vec<u8> {
    (0..rng.random_range(0..max)).map(|_| rng.random()).collect()
}

/// A chunk that could be the peer's, more or less.
fn likely_chunk(peer: &RawPeer, rng: &mut ChaCha12Rng) -> Chunk {
    let (theirs, ours) = (number(rng, peer.tsn), number(rng, peer.engine_tsn));
    let stream = rng.random_range(0..4);
    match rng.random_range(0..14) {
        0..=2 => data(theirs, rng.random_range(0..16), stream, rng.random_range(0..4), &bytes(rng, 60)),
        3 => i_data(theirs, rng.random_range(0..16), stream, rng.random_range(0..4), 53, &bytes(rng, 60)),
        4 | 5 => {
            let start = rng.random_range(0..5);
            let gaps = vec![(start, start + rng.random_range(0..3)); rng.random_range(0..2)];
            Sack { window: rng.random_range(0..9000), gaps, ..Sack::new(ours) }.chunk()
        }
        6 => forward_tsn(theirs, &[(stream, rng.random_range(0..4))]),
        7 => i_forward_tsn(theirs, &[(stream, rng.random(), rng.random_range(0..4))]),
        8 => reconfig(&[outgoing_reset(theirs, ours, number(rng, peer.tsn), &[stream])]),
        9 => reconfig(&[reconfig_response(ours, rng.random_range(0..8))]),
        10 => shutdown(ours),
        11 => heartbeat(&bytes(rng, 40)),
        12 => error(&[tlv(rng.random_range(1..14), &bytes(rng, 20))]),
        _ => bare([COOKIE_ACK, SHUTDOWN_ACK, SHUTDOWN_COMPLETE, ABORT][rng.random_range(0..4)]),
    }
}

/// A packet of chunks that are likely, or of any type with any value and flags.
fn any_packet(peer: &RawPeer, rng: &mut ChaCha12Rng) -> Vec<u8> {
    let chunks: Vec<Chunk> = (0..rng.random_range(1..4))
        .map(|_| match rng.random_range(0..4) {
            0 => Chunk::new(rng.random_range(0..16), rng.random(), &bytes(rng, 60)),
            1 => Chunk::new(rng.random(), rng.random(), &bytes(rng, 60)),
            _ => likely_chunk(peer, rng),
        })
        .collect();
    let tag = match rng.random_range(0..10) {
        0 => 0,
        1 => peer.tag,
        2 => rng.random(),
        _ => peer.engine_tag,
    };
    let mut bytes = packet(peer.ports.0, peer.ports.1, tag, &chunks);
    if rng.random_bool(0.1) {
        bytes.truncate(rng.random_range(0..bytes.len()));
    }
    bytes
}

fn any_call(peer: &mut RawPeer, rng: &mut ChaCha12Rng) {
    let (now, stream) = (peer.now, StreamId(rng.random_range(0..4)));
    match rng.random_range(0..12) {
        0..=4 => {
            let (data, last) = (Bytes::from(bytes(rng, 3000)), rng.random_bool(0.7));
            let limit = [
                Reliability::Reliable,
                Reliability::MaxRetransmits(1),
                Reliability::MaxLifetime(Duration::from_millis(300)),
            ][rng.random_range(0..3)];
            // Refusals are part of the game.
            let _ = peer.engine.send_part(now, stream, Ppid::BINARY, data, last, rng.random(), limit);
        }
        5 | 6 => drop(peer.engine.recv(now, stream)),
        7 => drop(peer.engine.recv_part(now, stream)),
        8 => {
            let _ = peer.engine.reset_streams(now, &[stream]);
        }
        9 => peer.engine.connect(now),
        10 => peer.engine.path_changed(now),
        _ => match rng.random_range(0..8) {
            0 => peer.engine.abort(now),
            1 => peer.engine.shutdown(now),
            _ => {}
        },
    }
}

/// An INIT of the peer's, and the return of its cookie.
fn open_again(peer: &mut RawPeer, rng: &mut ChaCha12Rng) {
    let init = Init::new(number(rng, peer.tag), number(rng, peer.tsn));
    let replies = peer.exchange_tagged(0, &[init.chunk(INIT)]);
    let ack = replies.iter().find_map(|packet| packet.find(INIT_ACK)).map(Init::parse);
    let Some(ack) = ack else { return };
    let echo = packet(PORT, PORT, ack.tag, &[Chunk::new(COOKIE_ECHO, 0, &ack.cookie())]);
    let accepted = peer.exchange_bytes(&echo).iter().any(|packet| packet.find(COOKIE_ACK).is_some());
    if accepted {
        (peer.tag, peer.tsn, peer.engine_tag, peer.engine_tsn) = (init.tag, init.tsn, ack.tag, ack.tsn);
    }
}

/// Something happens, at this time; all that comes of it is checked and given back.
fn act(peer: &mut RawPeer, rng: &mut ChaCha12Rng) -> (Vec<Packet>, Vec<Event>) {
    match rng.random_range(0..10) {
        0..=5 => {
            let packet = any_packet(peer, rng);
            peer.send_bytes(&packet);
        }
        6 => open_again(peer, rng),
        _ => any_call(peer, rng),
    }
    (peer.replies_of_any_tag(), peer.drain_events())
}

/// Time passes: a little, or up to the next deadline.
fn pass_time(peer: &mut RawPeer, rng: &mut ChaCha12Rng) {
    let next = peer.engine.poll_timeout().filter(|_| rng.random_bool(0.4));
    peer.now = next.unwrap_or(peer.now + Duration::from_millis(rng.random_range(0..400))).max(peer.now);
    peer.engine.handle_timeout(peer.now);
    assert!(peer.engine.poll_timeout().is_none_or(|due| due > peer.now), "a timer in the past");
    peer.replies_of_any_tag();
}

/// The peer falls silent and the user asks for the end: it comes.
fn come_to_rest(peer: &mut RawPeer) {
    peer.engine.shutdown(peer.now);
    peer.replies_of_any_tag();
    peer.run_for(secs(3600));
    assert_eq!((peer.engine.state(), peer.engine.poll_timeout()), (State::Closed, None));
}

/// Section U: no input in any state panics, and none leaves the engine stuck.
#[test]
fn item_341_no_panic_in_any_state() {
    let mut rng = ChaCha12Rng::seed_from_u64(seed());
    for _ in 0..40 {
        for state in STATES {
            let mut peer = in_state(state);
            for _ in 0..30 {
                act(&mut peer, &mut rng);
                if rng.random_bool(0.3) {
                    pass_time(&mut peer, &mut rng);
                }
            }
            come_to_rest(&mut peer);
        }
    }
}

/// The same with channels on top: random scripts through the body of the fuzz target.
#[test]
fn item_341_no_panic_for_any_script() {
    let mut rng = ChaCha12Rng::seed_from_u64(seed());
    for round in 0..1500 {
        let mut script = bytes(&mut rng, 300);
        if round % 2 == 0 {
            // Numbers close to the expected ones reach further.
            script.iter_mut().for_each(|byte| *byte %= 16);
        }
        straits_sctp::fuzzing::association(&script);
    }
}

/// Section U: the same seed and inputs give the same packets at the same times; another seed gives others.
#[test]
fn item_342_determinism() {
    let run = |seed: u64| {
        let mut net = hostile_net(seed, 150);
        net.run_until_idle();
        let trace = net.trace().iter().map(|record| (record.sent, record.from, record.datagram.clone()));
        let events = [net.a.events.clone(), net.b.events.clone()];
        (trace.collect::<Vec<_>>(), events, [net.a.received.clone(), net.b.received.clone()])
    };
    let (trace, events, received) = run(seed());
    let (trace_again, events_again, received_again) = run(seed());
    assert_eq!(trace.len(), trace_again.len());
    for (one, other) in trace.iter().zip(&trace_again) {
        assert_eq!(one, other);
    }
    assert_eq!((events, received), (events_again, received_again));
    assert_ne!(run(seed() + 1).0[0], trace[0]);
}

/// Section U: after a suspension of hours every timer has fired once, and the association goes on if the peer is there.
#[test]
fn item_343_timers_that_are_hours_late() {
    let expected: [(State, &[&[u8]], State); 8] = [
        (State::Closed, &[], State::Closed),
        (State::CookieWait, &[&[INIT]], State::CookieWait),
        (State::CookieEchoed, &[&[COOKIE_ECHO]], State::CookieEchoed),
        (State::Established, &[&[HEARTBEAT, DATA]], State::Established),
        (State::ShutdownPending, &[&[HEARTBEAT, DATA]], State::ShutdownPending),
        // T5-shutdown-guard is over.
        (State::ShutdownSent, &[&[ABORT]], State::Closed),
        (State::ShutdownReceived, &[&[HEARTBEAT, DATA]], State::ShutdownReceived),
        (State::ShutdownAckSent, &[&[SHUTDOWN_ACK]], State::ShutdownAckSent),
    ];
    for (state, packets, after) in expected {
        let mut peer = in_state(state);
        peer.now += secs(3 * 3600);
        peer.engine.handle_timeout(peer.now);
        assert_eq!(kinds(&peer.replies_of_any_tag()), packets, "{state:?}");
        assert_eq!(peer.engine.state(), after);
        peer.engine.handle_timeout(peer.now);
        assert_eq!(peer.replies_of_any_tag(), [], "{state:?}: once is enough");
        let soon = peer.engine.poll_timeout().filter(|due| *due < peer.now + ms(100));
        assert_eq!(soon, None, "{state:?}: no storm");
    }
    let mut peer = in_state(State::Established);
    let stats = peer.engine.stats();
    peer.now += secs(3 * 3600);
    peer.engine.handle_timeout(peer.now);
    peer.replies();
    assert_eq!(peer.engine.stats().t3_expirations, stats.t3_expirations + 1);
    peer.send(&[Sack::new(peer.engine_tsn).chunk()]);
    let data = peer.next_data(0, b"back again");
    peer.exchange(&[data]);
    assert_eq!(peer.user_reads(0), ["back again"]);
    assert_eq!((peer.engine.undelivered(), peer.engine.state()), (0, State::Established));
}

/// Section U: a call with an earlier time than the one before it does what it would have done at that time.
#[test]
fn item_344_time_that_goes_backwards() {
    for round in 0..150 {
        let mut rng = ChaCha12Rng::seed_from_u64(seed().wrapping_add(round));
        let state = STATES[rng.random_range(0..STATES.len())];
        let (mut straight, mut jumping) = (in_state(state), in_state(state));
        // Both began at times of their own.
        let offset = jumping.start.saturating_duration_since(straight.start);
        for _ in 0..25 {
            let mut same = rng.clone();
            pass_time(&mut straight, &mut rng);
            pass_time(&mut jumping, &mut same);
            assert_eq!(rng, same);
            let back = Duration::from_millis(rng.random_range(0..7_200_000));
            same = rng.clone();
            let now = jumping.now;
            jumping.now = now.checked_sub(back).unwrap_or(now);
            assert_eq!(act(&mut straight, &mut rng), act(&mut jumping, &mut same), "from {state:?}");
            jumping.now = now;
            let due = jumping.engine.poll_timeout().map(|due| due - offset);
            assert_eq!(straight.engine.poll_timeout(), due, "from {state:?}");
        }
    }
}

/// Section U: draining `poll_transmit` ends after a bounded number of packets, whatever is queued and whatever came.
#[test]
fn item_345_poll_transmit_ends() {
    // Max.Burst, ours and that of RFC 9260 §16, and a window that would take everything.
    for (config, burst) in [(Config::default(), 64), (Config::strict(), 4)] {
        let mut peer = RawPeer::active(config);
        (0..200).for_each(|_| peer.user_sends(0, &[0; 60_000]));
        let mut last = peer.engine_tsn.wrapping_sub(1);
        let mut largest = 0;
        for _ in 0..200 {
            let packets = peer.replies();
            largest = largest.max(packets.len());
            last = packets.iter().flat_map(|packet| &packet.chunks).map(Chunk::tsn).fold(last, |_, tsn| tsn);
            peer.send(&[Sack { window: 1 << 30, ..Sack::new(last) }.chunk()]);
        }
        assert_eq!(largest, burst);
    }
    // Whatever asks for an answer, many times before one is taken.
    for state in STATES {
        let mut peer = in_state(state);
        for n in 0..500 {
            peer.send_tagged(0, &[Init::new(1 + n, n).chunk(INIT)]);
            peer.send(&[heartbeat(&n.to_be_bytes()), Chunk::new(0xff, 0, &n.to_be_bytes())]);
            peer.send(&[reconfig(&[outgoing_reset(number_of(&peer, n), 0, peer.tsn, &[1])])]);
            peer.send_tagged(99 + n, &[bare(SHUTDOWN_ACK)]);
        }
        let answers = peer.replies_of_any_tag().len();
        assert!(answers <= 80, "{answers} packets in {state:?}");
    }
}

fn number_of(peer: &RawPeer, n: u32) -> u32 {
    peer.tsn.wrapping_add(n)
}

/// Engines that ended in every way there is, and the reason they gave.
fn ended() -> Vec<(RawPeer, CloseReason)> {
    let established = || RawPeer::active(Config::default());
    let mut aborted = established();
    aborted.engine.abort(aborted.now);
    let mut told = established();
    told.send(&[bare(ABORT)]);
    let mut shut = established();
    shut.engine.shutdown(shut.now);
    shut.replies();
    shut.send(&[bare(SHUTDOWN_ACK)]);
    let mut asked = established();
    asked.shut_down();
    asked.send(&[bare(SHUTDOWN_COMPLETE)]);
    let mut cut = established();
    cut.engine.transport_closed(cut.now);
    let mut violated = established();
    violated.send(&[data(violated.tsn, WHOLE, 0, 0, b"")]);
    let mut unanswered = RawPeer::new(Config::default());
    unanswered.connect();
    unanswered.run_for(secs(600));
    let mut never_begun = RawPeer::new(Config::default());
    never_begun.engine.shutdown(never_begun.now);
    [aborted, told, shut, asked, cut, violated, unanswered, never_begun]
        .into_iter()
        .map(|mut peer| {
            peer.replies_of_any_tag();
            let Some(Event::Closed(reason)) = peer.drain_events().pop() else { panic!("it goes on") };
            (peer, reason)
        })
        .collect()
}

/// Section U: after the end there are no timers and no packets but answers out of the blue (RFC 9260 §8.4), and every call
/// says that it is over.
#[test]
fn item_346_silence_after_the_end() {
    for (mut peer, reason) in ended() {
        assert_eq!((peer.engine.close_reason(), peer.engine.poll_timeout()), (Some(&reason), None));
        for kind in 0..=255 {
            peer.now += ms(200);
            for tag in [peer.engine_tag, peer.tag, 0] {
                let value = match kind {
                    INIT => peer.init().fixed(),
                    SHUTDOWN_ACK => vec![],
                    _ => vec![0; 16],
                };
                let answers = peer.exchange_tagged(tag, &[Chunk::new(kind, 0, &value)]);
                let allowed: &[u8] = if kind == SHUTDOWN_ACK { &[SHUTDOWN_COMPLETE] } else { &[ABORT] };
                let fine = answers.len() <= 1 && answers.iter().all(|packet| packet.kinds() == allowed);
                assert!(fine, "{reason}: {answers:?} for type {kind} with tag {tag:#x}");
            }
        }
        let (now, stream) = (peer.now, StreamId(0));
        peer.engine.connect(now);
        peer.engine.shutdown(now);
        peer.engine.abort(now);
        peer.engine.path_changed(now);
        peer.engine.transport_closed(now);
        peer.engine.handle_timeout(now + secs(3600));
        let sent = peer.engine.send(now, stream, Ppid::BINARY, "more".into(), true, Reliability::Reliable);
        assert_eq!(sent, Err(SendError::Closed));
        assert_eq!(peer.engine.reset_streams(now, &[stream]), Err(ResetError::Closed));
        assert_eq!(peer.engine.recv(now, stream), None);
        assert_eq!((peer.replies_of_any_tag(), peer.drain_events()), (vec![], vec![]));
        assert_eq!((peer.engine.close_reason(), peer.engine.poll_timeout()), (Some(&reason), None));
    }
}

/// Section U: 30 % lost, 20 % late, 5 % twice, 1 % with flipped bits: 10,000 messages arrive exactly as their mode demands.
#[test]
fn item_348_ten_thousand_messages_over_a_hostile_link() {
    let mut net = hostile_net(seed(), 5000);
    net.wire_mut().is_tracing = false;
    net.run_until_idle();
    for (from, to) in [(&net.a, &net.b), (&net.b, &net.a)] {
        Traffic::check(from, to);
        assert_eq!(from.sent.len(), 5000);
        assert_eq!((from.engine.state(), from.engine.undelivered()), (State::Established, 0));
    }
    let stats = [net.a.engine.stats(), net.b.engine.stats()];
    assert!(stats.iter().all(|stats| stats.packets_dropped > 0), "nothing was flipped: {stats:?}");
}

/// The same messages over a link that does nothing to them, so that the check above is one.
#[test]
fn item_348_a_calm_link_delivers_all() {
    let mut net = hostile_net_of(seed(), 200, Conditions { delay: ms(10), ..Conditions::default() });
    net.run_until_idle();
    for (from, to) in [(&net.a, &net.b), (&net.b, &net.a)] {
        Traffic::check(from, to);
        assert_eq!(to.received.len(), from.sent.len());
    }
}
