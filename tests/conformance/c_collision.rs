//! Unexpected set-up chunks: collisions, duplicates, restart (RFC 9260 §5.2).

use crate::raw_sctp::*;
use bytes::{Bytes, BytesMut};
use std::time::{Duration, Instant};
use straits_sctp::{Association, Config, Event, Ppid, Reliability, State, StreamId};

fn cookie_echo(cookie: &[u8]) -> Chunk {
    Chunk::new(COOKIE_ECHO, 0, cookie)
}

/// A COOKIE ECHO in a packet with the tag of the INIT ACK it came in.
fn echo_of(ack: &Init) -> Vec<u8> {
    packet(PORT, PORT, ack.tag, &[cookie_echo(&ack.cookie())])
}

/// Takes over an association by a restart with this tag.
fn restart(peer: &mut RawPeer, tag: u32) -> Init {
    let ack = peer.send_init(&Init::new(tag, 5000));
    finish_restart(peer, tag, &ack);
    ack
}

fn finish_restart(peer: &mut RawPeer, tag: u32, ack: &Init) {
    peer.tag = tag;
    peer.engine_tag = ack.tag;
    peer.engine_tsn = ack.tsn;
    peer.tsn = 5000;
    assert_eq!(kinds(&peer.exchange_bytes(&echo_of(ack))), [[COOKIE_ACK]]);
    assert_eq!(peer.drain_events(), [Event::Restarted]);
}

/// Two engines and what is on its way between them.
struct Collision {
    sides: [Association; 2],
    events: [Vec<Event>; 2],
    on_the_way: Vec<(Instant, usize, Vec<u8>)>,
    delays: [Duration; 2],
    sent: usize,
    lost: u32,
    now: Instant,
}

impl Collision {
    /// Both sides start at once and have a message to send; bit n of `lost` loses packet n of the first eight.
    fn new(lost: u32, delays: [Duration; 2]) -> Self {
        let now = Instant::now();
        let mut sides = [1, 2].map(|seed| Association::new(Config::default(), [seed; 32], now));
        for side in &mut sides {
            let message = Bytes::from_static(b"hello");
            side.send(now, StreamId(0), Ppid::BINARY, message, true, Reliability::Reliable).unwrap();
            side.connect(now);
        }
        let events = [Vec::new(), Vec::new()];
        Self { sides, events, on_the_way: Vec::new(), delays, sent: 0, lost, now }
    }

    fn collect(&mut self) {
        for from in 0..2 {
            let mut buffer = BytesMut::new();
            while self.sides[from].poll_transmit(self.now, &mut buffer) {
                Packet::parse(&buffer);
                let lost = self.sent < 8 && self.lost & (1 << self.sent) != 0;
                self.sent += 1;
                if !lost {
                    self.on_the_way.push((self.now + self.delays[from], 1 - from, buffer.to_vec()));
                }
                buffer.clear();
            }
            self.events[from].extend(std::iter::from_fn(|| self.sides[from].poll_event()));
        }
    }

    fn run(&mut self, time: Duration) {
        let end = self.now + time;
        self.collect();
        loop {
            let arrival = self.on_the_way.iter().map(|(at, ..)| *at).min();
            let timers = self.sides.iter().filter_map(Association::poll_timeout);
            let Some(next) = timers.chain(arrival).min().filter(|next| *next <= end) else { break };
            self.now = next;
            let (due, later) =
                std::mem::take(&mut self.on_the_way).into_iter().partition(|(at, ..)| *at <= next);
            self.on_the_way = later;
            for (_, to, packet) in due {
                self.sides[to].handle_packet(next, &packet);
            }
            for side in &mut self.sides {
                side.handle_timeout(next);
            }
            self.collect();
        }
        self.now = end;
    }
}

/// RFC 9260 §5.2.1: two INITs at once come to one association, whatever is lost, and messages flow both ways.
#[test]
fn item_069_simultaneous_open() {
    for delays in [[5, 5], [5, 50], [50, 5], [5, 700]].map(|delays| delays.map(ms)) {
        for lost in 0..256 {
            let mut net = Collision::new(lost, delays);
            net.run(secs(20));
            for side in 0..2 {
                let what = format!("side {side}, lost {lost:#010b}, delays {delays:?}");
                assert_eq!(net.sides[side].state(), State::Established, "{what}");
                let expected = [Event::Established, Event::Readable(StreamId(0))];
                let seen: Vec<&Event> = net.events[side]
                    .iter()
                    .filter(|event| !matches!(event, Event::BufferedAmountLow(_)))
                    .collect();
                assert_eq!(seen, expected.iter().collect::<Vec<_>>(), "{what}");
                let message =
                    net.sides[side].recv(net.now, StreamId(0)).expect("the message of the other side");
                assert_eq!(message.data, "hello", "{what}");
                assert_eq!(net.sides[side].recv(net.now, StreamId(0)), None, "{what}");
            }
        }
    }
}

/// RFC 9260 §5.2.1: INIT in COOKIE-WAIT is answered with the parameters of our own INIT; T1-init is left running. A peer that
/// does not know RFC 9653 is spared the parameter of that text.
#[test]
fn item_070_init_in_cookie_wait() {
    let mut peer = RawPeer::new(Config::default());
    let mut init = peer.connect();
    peer.now += ms(100);
    let before = peer.snapshot();
    let knowing = Init::new(77, 88).with(ZERO_CHECKSUM_ACCEPTABLE, &[0, 0, 0, 7]);
    for (theirs, spared) in [(knowing, None), (Init::new(77, 88), Some(ZERO_CHECKSUM_ACCEPTABLE))] {
        let mut ack = peer.send_init(&theirs);
        assert_eq!(peer.snapshot(), before);
        assert_eq!(peer.engine.state(), State::CookieWait);
        ack.parameters.retain(|(kind, _)| *kind != 7);
        init.parameters.retain(|(kind, _)| Some(*kind) != spared);
        assert_eq!((ack.tag, ack.tsn, ack.window), (init.tag, init.tsn, init.window));
        assert_eq!((ack.incoming, &ack.parameters), (init.incoming, &init.parameters));
    }
    // T1 goes on as if nothing had come.
    let sent = peer.run_for(ms(400));
    assert_eq!(sent.len(), 1);
    assert_eq!((sent[0].0, sent[0].1.kinds()), (ms(500), vec![INIT]));
}

/// RFC 9260 §5.2.1: the same in COOKIE-ECHOED, which "MUST populate its Tie-Tags".
#[test]
fn item_071_init_in_cookie_echoed() {
    let mut peer = RawPeer::new(Config::default());
    let init = peer.connect();
    let without_ties = peer.send_init(&Init::new(77, 88));
    peer.answer_init(&[]);
    let before = peer.snapshot();
    let with_ties = peer.send_init(&Init::new(77, 88));
    assert_eq!(peer.snapshot(), before);
    assert_eq!(peer.engine.state(), State::CookieEchoed);
    assert_eq!((with_ties.tag, with_ties.tsn), (init.tag, init.tsn));
    // Made at one time of the same values: only the Tie-Tags make the difference.
    assert_ne!(with_ties.cookie(), without_ties.cookie());
}

/// Engines in the states from ESTABLISHED to SHUTDOWN-RECEIVED.
fn from_established_on() -> Vec<RawPeer> {
    let established = || RawPeer::passive(Config::default());
    let outstanding = || {
        let mut peer = established();
        peer.user_sends(0, b"outstanding");
        peer.replies();
        peer
    };
    let mut pending = outstanding();
    pending.engine.shutdown(pending.now);
    let mut sent = established();
    sent.engine.shutdown(sent.now);
    sent.replies();
    let mut received = outstanding();
    received.send(&[shutdown(received.engine_tsn.wrapping_sub(1))]);
    let peers = vec![established(), pending, sent, received];
    let states: Vec<State> = peers.iter().map(|peer| peer.engine.state()).collect();
    assert_eq!(
        states,
        [State::Established, State::ShutdownPending, State::ShutdownSent, State::ShutdownReceived]
    );
    peers
}

/// RFC 9260 §5.2.2: "the INIT ACK chunk MUST contain a new Initiate Tag"; the association "MUST NOT be changed".
#[test]
fn item_072_init_in_an_association() {
    for mut peer in from_established_on() {
        peer.drain_events();
        let before = peer.snapshot();
        let first = peer.send_init(&Init::new(77, 88));
        let second = peer.send_init(&Init::new(77, 88));
        assert!(![peer.engine_tag, second.tag, 0].contains(&first.tag));
        assert_ne!(second.tag, peer.engine_tag);
        assert_eq!((peer.snapshot(), peer.drain_events()), (before, vec![]));
        // The old tag is still the one that counts.
        if peer.engine.state() != State::ShutdownSent {
            assert_eq!(kinds(&peer.exchange(&[heartbeat(b"x")])), [[HEARTBEAT_ACK]]);
        }
        peer.assert_ignored(&packet(PORT, PORT, first.tag, &[heartbeat(b"x")]));
    }
}

/// RFC 9260 §9.2: in SHUTDOWN-ACK-SENT "it SHOULD discard the INIT chunk and retransmit the SHUTDOWN ACK chunk."
#[test]
fn item_073_init_in_shutdown_ack_sent() {
    let mut peer = RawPeer::passive(Config::default());
    peer.shut_down();
    let replies = peer.exchange_tagged(0, &[Init::new(77, 88).chunk(INIT)]);
    assert_eq!((kinds(&replies), replies[0].tag), (vec![vec![SHUTDOWN_ACK]], peer.tag));
    assert_eq!(peer.engine.state(), State::ShutdownAckSent);
}

/// RFC 9260 §5.2.3: in any state but COOKIE-WAIT and CLOSED "the endpoint SHOULD discard the INIT ACK chunk".
#[test]
fn item_074_init_ack_elsewhere() {
    let mut echoed = RawPeer::new(Config::default());
    echoed.connect();
    echoed.answer_init(&[]);
    let mut ack_sent = RawPeer::passive(Config::default());
    ack_sent.shut_down();
    let mut peers = from_established_on();
    peers.extend([echoed, ack_sent]);
    for mut peer in peers {
        let ack = Init::new(77, 88).with(7, b"another cookie").chunk(INIT_ACK);
        let before = peer.engine.state();
        assert_eq!(peer.exchange(&[ack]), []);
        assert_eq!(peer.engine.state(), before);
    }
}

/// RFC 9260 §5.2.4 A: the peer restarted: the ULP is told, numbers and congestion control begin anew.
#[test]
fn item_075_restart() {
    let mut peer = RawPeer::passive(Config::strict());
    let initial_cwnd = peer.engine.stats().cwnd;
    peer.user_sends(0, &[1; 100_000]);
    for _ in 0..5 {
        let last = peer.replies().last().unwrap().chunks.last().unwrap().tsn();
        peer.send(&[Sack::new(last).chunk()]);
    }
    assert_ne!(peer.engine.stats().cwnd, initial_cwnd);
    let chunk = peer.next_data(0, b"old");
    peer.send(&[chunk]);
    peer.replies();
    peer.drain_events();
    let old_tag = peer.engine_tag;
    let ack = restart(&mut peer, 0x7777);
    assert_ne!(ack.tag, old_tag);
    assert_eq!(peer.engine.state(), State::Established);
    let stats = peer.engine.stats();
    assert_eq!((stats.cwnd, stats.bytes_in_flight, stats.rto), (initial_cwnd, 0, secs(1)));
    peer.user_sends(0, b"new");
    assert_eq!(peer.replies()[0].chunks, [data(ack.tsn, WHOLE, 0, 0, b"new")]);
    let chunk = peer.next_data(0, b"also new");
    let replies = peer.exchange(&[chunk]);
    assert_eq!(Sack::parse(replies[0].find(SACK).unwrap()).cumulative, 5000);
    assert_eq!(peer.user_reads(0).last().unwrap(), "also new");
    peer.assert_ignored(&packet(PORT, PORT, old_tag, &[heartbeat(b"x")]));
}

/// RFC 9260 §5.2.4 A: in SHUTDOWN-ACK-SENT "it MUST NOT set up a new association", but repeat itself, with cause 10.
#[test]
fn item_076_restart_in_shutdown_ack_sent() {
    let mut peer = RawPeer::passive(Config::default());
    let ack = peer.send_init(&Init::new(77, 88));
    peer.shut_down();
    let replies = peer.exchange_bytes(&echo_of(&ack));
    let chunks: Vec<Chunk> = replies.into_iter().flat_map(|packet| packet.chunks).collect();
    assert_eq!(chunks, [bare(SHUTDOWN_ACK), error(&[tlv(10, &[])])]);
    assert_eq!((peer.engine.state(), peer.drain_events()), (State::ShutdownAckSent, vec![]));
}

/// RFC 9260 §5.2.4 B: our tag, another one of the peer: "it MUST update its peer's Verification Tag".
#[test]
fn item_077_cookie_with_another_tag_of_the_peer() {
    // Unknown yet, in COOKIE-WAIT; another one, in COOKIE-ECHOED and in ESTABLISHED.
    for state in [State::CookieWait, State::CookieEchoed, State::Established] {
        let mut peer = RawPeer::new(Config::default().heartbeat_interval(Duration::ZERO));
        peer.connect();
        let ack = peer.send_init(&Init::new(77, 88));
        assert_eq!(ack.tag, peer.engine_tag);
        if state != State::CookieWait {
            peer.answer_init(&[]);
        }
        if state == State::Established {
            peer.send(&[bare(COOKIE_ACK)]);
        }
        assert_eq!(peer.engine.state(), state);
        peer.tag = 77;
        assert_eq!(kinds(&peer.exchange_bytes(&echo_of(&ack))), [[COOKIE_ACK]]);
        assert_eq!(peer.drain_events(), [Event::Established]);
        assert_eq!(peer.engine.poll_timeout(), None, "T1 is stopped");
        peer.user_sends(0, b"data");
        assert_eq!(kinds(&peer.replies()), [[DATA]]);
    }
}

/// RFC 9260 §5.2.4 C: the peer's tag, another one of ours, no Tie-Tags: the cookie came late.
#[test]
fn item_078_cookie_that_came_late() {
    let mut peer = RawPeer::new(Config::default());
    let late = peer.send_init(&Init::new(0x77, 88));
    peer.open();
    peer.drain_events();
    restart(&mut peer, 0x77);
    peer.user_sends(0, b"keeps T3 running");
    peer.replies();
    assert_ne!(late.tag, peer.engine_tag);
    peer.assert_ignored(&echo_of(&late));
}

/// RFC 9260 §5.2.4 D: both tags match: ESTABLISHED, COOKIE ACK, and "even if the lifespan is exceeded" (3).
#[test]
fn item_079_cookie_of_this_association() {
    let mut peer = RawPeer::new(Config::default());
    peer.connect();
    let ack = peer.send_init(&peer.init());
    peer.answer_init(&[]);
    assert_eq!(peer.engine.state(), State::CookieEchoed);
    assert_eq!(kinds(&peer.exchange_bytes(&echo_of(&ack))), [[COOKIE_ACK]]);
    assert_eq!(peer.drain_events(), [Event::Established]);
    peer.now += secs(61);
    assert_eq!(kinds(&peer.exchange_bytes(&echo_of(&ack))), [[COOKIE_ACK]]);
    assert_eq!((peer.engine.state(), peer.drain_events()), (State::Established, vec![]));
}

/// RFC 9260 §5.2.4: "For any case not shown in Table 12, the cookie SHOULD be silently discarded." The four that a
/// genuine cookie can come to.
#[test]
fn item_080_cookies_not_in_the_table() {
    // Both tags other, no Tie-Tags.
    let mut peer = RawPeer::new(Config::default());
    let early = peer.send_init(&Init::new(0x55, 1));
    peer.open();
    peer.drain_events();
    restart(&mut peer, 0x66);
    peer.assert_ignored(&echo_of(&early));
    // Both tags other, Tie-Tags of an association that is no more.
    let old = peer.send_init(&Init::new(0x77, 1));
    restart(&mut peer, 0x88);
    peer.assert_ignored(&echo_of(&old));
    // The peer's tag, another one of ours, Tie-Tags that match.
    let same = peer.send_init(&Init::new(0x88, 1));
    peer.assert_ignored(&echo_of(&same));
    // The same with Tie-Tags that do not match.
    let old = peer.send_init(&Init::new(0x99, 1));
    restart(&mut peer, 0xAA);
    restart(&mut peer, 0x99);
    peer.assert_ignored(&echo_of(&old));
}

/// RFC 9260 §5.2.2: Tie-Tags are random, not the tags of the association; a forged restart fails the MAC (§5.1.5).
#[test]
fn item_081_tie_tags() {
    let mut peer = RawPeer::passive(Config::default());
    let ack = peer.send_init(&Init::new(0x7777, 88));
    let cookie = ack.cookie();
    for tag in [peer.tag, peer.engine_tag] {
        assert!(!cookie.windows(4).any(|bytes| bytes == tag.to_be_bytes() || bytes == tag.to_le_bytes()));
    }
    for bit in 0..cookie.len() * 8 {
        let mut forged = cookie.clone();
        forged[bit / 8] ^= 1 << (bit % 8);
        peer.assert_ignored(&packet(PORT, PORT, ack.tag, &[cookie_echo(&forged)]));
    }
    // A cookie another engine made of the same INIT is no better.
    let foreign = RawPeer::with_seed(Config::default(), 99).send_init(&Init::new(0x7777, 88));
    peer.assert_ignored(&echo_of(&foreign));
    peer.assert_ignored(&packet(PORT, PORT, peer.engine_tag, &[cookie_echo(&foreign.cookie())]));
    finish_restart(&mut peer, 0x7777, &ack);
}

/// RFC 6525 §4.1: request numbers start at the initial TSN; a restart begins a new sequence (RFC 9260 §5.2.4 A).
#[test]
fn item_082_restart_while_a_reset_is_pending() {
    const RE_CONFIG: u8 = 130;
    let request = |replies: &[Packet]| {
        let parameters = split(&replies[0].find(RE_CONFIG).expect("RE-CONFIG").value);
        (parameters[0].0, be32(&parameters[0].1, 0))
    };
    let extensions = |init: Init| init.with(0x8008, &[RE_CONFIG]);
    let mut peer = RawPeer::new(Config::default());
    let ack = peer.send_init(&extensions(peer.init()));
    (peer.engine_tag, peer.engine_tsn) = (ack.tag, ack.tsn);
    peer.exchange_bytes(&echo_of(&ack));
    peer.drain_events();
    peer.engine.reset_streams(peer.now, &[StreamId(3)]).unwrap();
    let first = peer.replies();
    assert_eq!(request(&first), (13, ack.tsn));

    let ack = peer.send_init(&extensions(Init::new(0x77, 5000)));
    finish_restart(&mut peer, 0x77, &ack);
    let after: Vec<u8> = peer.run_for(secs(20)).iter().flat_map(|(_, packet)| packet.kinds()).collect();
    assert!(!after.contains(&RE_CONFIG), "the old request is sent again");
    peer.user_sends(3, b"the stream is free");
    assert_eq!(kinds(&peer.replies()), [[DATA]]);
    peer.send(&[Sack::new(ack.tsn).chunk()]);
    peer.engine.reset_streams(peer.now, &[StreamId(3)]).unwrap();
    assert_eq!(request(&peer.replies()), (13, ack.tsn));
}

/// RFC 9260 §5.2.4 A: as if a new association came; what was agreed on comes from the new INIT.
#[test]
fn item_083_restart_agrees_anew() {
    let mut peer = RawPeer::new(Config::default());
    peer.takes_zero_checksum = true;
    let ack = peer.send_init(&peer.init().with(0x8001, &1_u32.to_be_bytes()));
    (peer.engine_tag, peer.engine_tsn) = (ack.tag, ack.tsn);
    assert!(peer.exchange_bytes(&echo_of(&ack))[0].checksum_is_zero);
    assert_eq!(peer.engine.negotiated_streams(), Some((1024, 1024)));
    peer.drain_events();

    peer.takes_zero_checksum = false;
    let mut init = Init::new(0x77, 5000);
    (init.outgoing, init.incoming) = (7, 5);
    let ack = peer.send_init(&init);
    finish_restart(&mut peer, 0x77, &ack);
    assert_eq!(peer.engine.negotiated_streams(), Some((5, 7)));
    peer.user_sends(4, b"data");
    // `replies` refuses packets without a checksum.
    assert_eq!(kinds(&peer.replies()), [[DATA]]);
}

/// RFC 9260 §5.2.4 A: over DTLS a restart is an anomaly: whether it is accepted is configured.
#[test]
fn item_084_restart_is_a_choice() {
    let mut peer = RawPeer::passive(Config::default().allow_restart(false));
    let ack = peer.send_init(&Init::new(0x77, 5000));
    peer.assert_ignored(&echo_of(&ack));
    assert_eq!(kinds(&peer.exchange(&[heartbeat(b"x")])), [[HEARTBEAT_ACK]]);
    let mut peer = RawPeer::passive(Config::default());
    restart(&mut peer, 0x77);
}
