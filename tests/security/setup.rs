//! Attacks on the set-up of an association: cookies, tags, crossing and repeated handshakes, restarts, amplification.

use super::raw_channels::RawChannels;
use super::raw_extensions::*;
use super::raw_sctp::*;
use std::collections::BTreeSet;
use std::time::Instant;
use straits_sctp::{Association, ChannelEvent, ChannelState, Config, Event, Role, State};

/// The cookie of an INIT ACK: what comes back of it is all there is of the association.
fn cookie_echo(cookie: &[u8]) -> Chunk {
    Chunk::new(COOKIE_ECHO, 0, cookie)
}

/// Ten thousand INITs with tags of their own, answered one by one, or never: the engine is as it was.
#[test]
fn attack_01_an_init_flood_leaves_no_state() {
    let mut peer = RawPeer::new(Config::default());
    let before = peer.snapshot();
    for n in 0..10_000 {
        let init = Init { tag: 1 + n, ..peer.init() };
        if n % 100 == 0 {
            assert_eq!(peer.send_init(&init).tag, peer.send_init(&init).tag, "nothing is drawn for it");
        } else {
            peer.send_tagged(0, &[init.chunk(INIT)]);
            // Nobody takes the answers out either.
            if n % 100 == 99 {
                assert!(peer.replies_of_any_tag().len() <= 64);
            }
        }
    }
    assert_eq!((peer.drain_events(), peer.snapshot()), (vec![], before));
    peer.open();
}

/// A cookie with a flipped bit, of another engine, cut, lengthened, or a minute old opens nothing.
#[test]
fn attack_02_cookies_cannot_be_forged() {
    let mut peer = RawPeer::new(Config::default());
    let init = peer.init();
    let ack = peer.send_init(&init);
    peer.engine_tag = ack.tag;
    let cookie = ack.cookie();
    for bit in 0..cookie.len() * 8 {
        let mut forged = cookie.clone();
        forged[bit / 8] ^= 1 << (bit % 8);
        peer.assert_chunks_ignored(&[cookie_echo(&forged)]);
    }
    for len in 0..cookie.len() {
        peer.assert_chunks_ignored(&[cookie_echo(&cookie[..len])]);
    }
    for more in 1..9 {
        peer.assert_chunks_ignored(&[cookie_echo(&[&cookie[..], &vec![0; more]].concat())]);
    }
    for filler in [0, 0xff] {
        peer.assert_chunks_ignored(&[cookie_echo(&vec![filler; cookie.len()])]);
    }
    let foreign = RawPeer::with_seed(Config::default(), 8).send_init(&init).cookie();
    assert_ne!(foreign, cookie);
    peer.assert_chunks_ignored(&[cookie_echo(&foreign)]);
    // Good for its time (RFC 9260 §5.1.3, Valid.Cookie.Life), and refused after it.
    peer.now += secs(60) + ms(1);
    let stale = peer.exchange(&[cookie_echo(&cookie)]);
    assert_eq!((kinds(&stale), peer.engine.state()), (vec![vec![ERROR]], State::Closed));
    let ack = peer.send_init(&init);
    assert_eq!(peer.exchange(&[cookie_echo(&ack.cookie())])[0].kinds()[0], COOKIE_ACK);
}

/// A cookie does not open another association than its own: with other ports, another tag, or for a peer that since has one.
#[test]
fn attack_02_cookies_are_bound_to_their_association() {
    let mut peer = RawPeer::new(Config::default());
    let ack = peer.send_init(&peer.init());
    let echo = cookie_echo(&ack.cookie());
    for (source, destination, tag) in
        [(PORT, PORT, ack.tag ^ 1), (PORT + 1, PORT, ack.tag), (PORT, PORT + 1, ack.tag)]
    {
        let bytes = packet(source, destination, tag, std::slice::from_ref(&echo));
        peer.assert_ignored(&bytes);
    }
    peer.engine_tag = ack.tag;
    peer.exchange(std::slice::from_ref(&echo));
    peer.drain_events();
    // Once it is up, the same cookie again changes nothing: not the window, not the numbers.
    peer.send(&[peer.clone_data(b"first")]);
    peer.replies();
    let before = peer.snapshot();
    assert_eq!(kinds(&peer.exchange(&[echo])), [[COOKIE_ACK]]);
    assert_eq!((peer.snapshot(), peer.user_reads(0).len()), (before, 1));
}

/// No cookie gives what was not asked for: features of the peer are those of its INIT and of our settings together.
#[test]
fn attack_02_cookies_grant_nothing_that_was_not_offered() {
    let config = Config::default().partial_reliability(false).interleaving(false).zero_checksum(false);
    // From an engine that would, with the same seed and so the same key: a cookie that asks for all.
    let mut generous = RawPeer::new(Config::default());
    generous.takes_zero_checksum = true;
    let init = INTERLEAVED.iter().fold(generous.init(), |init, (kind, value)| init.with(*kind, value));
    let init = init.with(ZERO_CHECKSUM_ACCEPTABLE, &1_u32.to_be_bytes());
    let cookie = generous.send_init(&init).cookie();
    let mut peer = RawPeer::new(config);
    let own = peer.send_init(&init);
    assert_ne!(own.cookie(), cookie);
    peer.engine_tag = own.tag;
    let replies = peer.exchange(&[cookie_echo(&own.cookie())]);
    assert_eq!(replies[0].kinds()[0], COOKIE_ACK);
    peer.drain_events();
    // Neither I-DATA nor a packet without a checksum is taken.
    let bare = packet(PORT, PORT, peer.engine_tag, &[heartbeat(b"x")]);
    let mut unsummed = bare.clone();
    unsummed[8..12].fill(0);
    peer.assert_ignored(&unsummed);
    let replies = peer.exchange(&[i_data(1000, WHOLE, 0, 0, 53, b"x")]);
    assert_eq!(kinds(&replies), [[ABORT]]);
}

/// A cookie holds what it has to and nothing else: the same seed and inputs make the same bytes, wherever in memory.
#[test]
fn attack_03_cookies_leak_nothing() {
    let start = Instant::now();
    let make = |seed: u8, tag: u32| {
        // Another place in memory, with other contents before.
        let scratch: Vec<u8> = vec![seed ^ 0x5a; 1000 + usize::from(seed) * 100];
        let mut peer = RawPeer::of(Association::new(Config::default(), [seed; 32], start), start);
        let init = Init { tag, ..peer.init() };
        let cookie = peer.send_init(&init).cookie();
        drop(scratch);
        cookie
    };
    let cookies: Vec<_> = (0..8).map(|_| make(3, 77)).collect();
    assert!(cookies.iter().all(|cookie| *cookie == cookies[0]) && cookies[0].len() <= 300);
    // Of two seeds only the numbers and the seal differ, and no part of the seed is in it.
    for seed in [[1_u8; 32], [0xa5; 32]] {
        let cookie = make(seed[0], 77);
        assert!(!cookie.windows(4).any(|window| window == &seed[..4]), "{cookie:02x?}");
    }
    // What the peer said is where it was, and nothing else moved but the seal.
    let (one, other) = (make(3, 0x0101_0101), make(3, 0x0202_0202));
    let differ: Vec<usize> = (0..one.len()).filter(|at| one[*at] != other[*at]).collect();
    let body = one.len() - 32;
    assert_eq!(differ.iter().filter(|at| **at < body).count(), 4, "the tag: {differ:?}");
}

/// Every type of chunk with a guessed tag, in every state there is: no answer, no change.
#[test]
fn attack_04_wrong_tags_change_nothing() {
    let chunk_of = |kind: u8| match kind {
        DATA => data(1000, WHOLE, 0, 0, b"forged"),
        INIT | INIT_ACK => Init::new(5, 5).with(7, b"cookie").chunk(kind),
        SACK => Sack::new(999).chunk(),
        HEARTBEAT => heartbeat(b"forged"),
        HEARTBEAT_ACK => heartbeat_ack(b"forged"),
        SHUTDOWN => shutdown(999),
        ERROR => error(&[tlv(3, &[0; 4])]),
        FORWARD_TSN => forward_tsn(1001, &[(0, 0)]),
        I_DATA => i_data(1000, WHOLE, 0, 0, 53, b"forged"),
        I_FORWARD_TSN => i_forward_tsn(1001, &[(0, false, 0)]),
        RE_CONFIG => reconfig(&[outgoing_reset(1000, 0, 999, &[])]),
        COOKIE_ECHO => cookie_echo(b"forged"),
        kind => Chunk::new(kind, 0, &[0; 4]),
    };
    let waiting = || {
        let mut peer = RawPeer::new(Config::default());
        peer.connect();
        peer
    };
    let echoed = || {
        let mut peer = waiting();
        peer.answer_init(&[]);
        peer
    };
    let ending = || {
        let mut peer = RawPeer::passive(Config::default());
        peer.shut_down();
        peer
    };
    let up = || RawPeer::passive(Config::default());
    for (state, make) in [
        (State::CookieWait, &waiting as &dyn Fn() -> RawPeer),
        (State::CookieEchoed, &echoed),
        (State::Established, &up),
        (State::ShutdownAckSent, &ending),
    ] {
        let mut peer = make();
        assert_eq!(peer.engine.state(), state);
        for kind in 0..=u8::MAX {
            // RFC 9260 §8.5.1 E: a SHUTDOWN ACK out of the blue is answered while a set-up runs, and changes nothing.
            if kind == SHUTDOWN_ACK && matches!(state, State::CookieWait | State::CookieEchoed) {
                continue;
            }
            for flags in [0, REFLECTED] {
                let chunk = Chunk { flags, ..chunk_of(kind) };
                for tag in [peer.engine_tag ^ 1, peer.engine_tag.wrapping_add(1), u32::MAX] {
                    // With the T bit the tag of the other direction counts; that is not guessed here.
                    assert!(tag != peer.tag);
                    let bytes = packet(PORT, PORT, tag, std::slice::from_ref(&chunk));
                    peer.assert_ignored(&bytes);
                }
                // Tag 0 is for an INIT alone.
                if kind != INIT {
                    let bytes = packet(PORT, PORT, 0, std::slice::from_ref(&chunk));
                    peer.assert_ignored(&bytes);
                }
            }
        }
    }
}

/// Tags and first numbers are drawn: none twice, none zero, each bit as often set as not.
#[test]
fn attack_04_tags_cannot_be_guessed() {
    let mut tags = BTreeSet::new();
    for seed in 0..=255 {
        let mut peer = RawPeer::with_seed(Config::default(), seed);
        let init = peer.connect();
        assert!(init.tag != 0 && tags.insert(init.tag) && tags.insert(init.tsn));
    }
    for bit in 0..32 {
        let set = tags.iter().filter(|tag| **tag >> bit & 1 == 1).count();
        assert!((180..=332).contains(&set), "bit {bit} is set in {set} of 512");
    }
}

/// The packets of a simultaneous open in every order, each up to twice: one association, or none yet, and never a second one.
#[test]
fn attack_05_every_order_of_a_crossed_open() {
    // What the peer sends: its INIT, an INIT ACK to ours, a COOKIE ACK, and the echo of our cookie.
    let steps = [0_u8, 1, 2, 3, 0, 1, 2, 3];
    let mut orders = BTreeSet::new();
    permute(&mut steps.to_vec(), 0, &mut orders);
    assert_eq!(orders.len(), 2520);
    let mut established = 0;
    for order in &orders {
        let mut peer = RawPeer::new(Config::default());
        let ours = peer.connect();
        let mut cookie = None;
        for step in order {
            let sent = match step {
                0 => {
                    let init = peer.init().chunk(INIT);
                    peer.send_tagged(0, &[init]);
                    let replies = peer.replies_of_any_tag();
                    let ack =
                        replies.iter().flat_map(|packet| &packet.chunks).find(|chunk| chunk.kind == INIT_ACK);
                    if let Some(ack) = ack.map(Init::parse) {
                        // RFC 9260 §5.2.1: in a collision the same tag as in our INIT, so that both are one association.
                        assert!(ack.tag == ours.tag || peer.engine.state() == State::Established);
                        cookie = Some((ack.tag, ack.cookie()));
                    }
                    continue;
                }
                1 => Some((ours.tag, peer.init().with(7, b"the peer's cookie").chunk(INIT_ACK))),
                2 => Some((ours.tag, bare(COOKIE_ACK))),
                _ => cookie.as_ref().map(|(tag, cookie)| (*tag, cookie_echo(cookie))),
            };
            if let Some((tag, chunk)) = sent {
                peer.send_tagged(tag, &[chunk]);
                peer.replies_of_any_tag();
            }
        }
        let events = peer.drain_events();
        let up = events.iter().filter(|event| **event == Event::Established).count();
        assert!(up <= 1 && events.len() == up, "{order:?}: {events:?}");
        assert_eq!(peer.engine.state() == State::Established, up == 1, "{order:?}");
        established += up;
        if up == 1 {
            peer.engine_tag = ours.tag;
            let chunk = peer.next_data(0, b"after all of it");
            peer.send(&[chunk]);
            assert_eq!(peer.user_reads(0), ["after all of it"], "{order:?}");
        }
    }
    assert!(established > 2000, "{established}");
}

fn permute(steps: &mut Vec<u8>, from: usize, orders: &mut BTreeSet<Vec<u8>>) {
    if from == steps.len() {
        orders.insert(steps.clone());
        return;
    }
    let mut tried = BTreeSet::new();
    for at in from..steps.len() {
        if tried.insert(steps[at]) {
            steps.swap(from, at);
            permute(steps, from + 1, orders);
            steps.swap(from, at);
        }
    }
}

/// An association is not replaced by somebody who only knows its ports, nor by one who knows its tags: it takes a cookie that
/// was made for that, and the setting allows it. Then every channel closes.
#[test]
fn attack_06_restarts_need_a_cookie_of_the_association() {
    let mut raw = RawChannels::client();
    let id = raw.opens(1);
    // A cookie of another engine, whatever tag it is sent with.
    let mut other = RawPeer::with_seed(Config::default(), 8);
    let early = other.send_init(&Init { tag: 0x7777, ..other.init() });
    for tag in [early.tag, raw.peer.engine_tag] {
        raw.peer.send_tagged(tag, &[cookie_echo(&early.cookie())]);
        assert_eq!((raw.peer.replies_of_any_tag(), raw.events()), (vec![], vec![]));
    }
    // An INIT alone changes nothing, however often it comes.
    let init = Init { tag: 0x7777, ..raw.peer.init() }.with(SUPPORTED_EXTENSIONS, &[RE_CONFIG]);
    let acks: Vec<_> = (0..20).map(|_| raw.peer.send_init(&init)).collect();
    assert_eq!((raw.events(), raw.state(id)), (vec![], ChannelState::Open));
    // A cookie that answers it, with the wrong tag.
    raw.peer.send_tagged(raw.peer.engine_tag, &[cookie_echo(&acks[0].cookie())]);
    assert_eq!((raw.peer.replies_of_any_tag(), raw.events()), (vec![], vec![]));
    // With everything right it is the peer, which has lost its state.
    raw.peer.send_tagged(acks[0].tag, &[cookie_echo(&acks[0].cookie())]);
    assert_eq!(raw.peer.replies_of_any_tag()[0].kinds(), [COOKIE_ACK]);
    let events = raw.events();
    assert!(events.contains(&ChannelEvent::Restarted), "{events:?}");
    assert_eq!(raw.state(id), ChannelState::Closed);
    // The others are good for nothing more than this, whatever tags they have.
    for ack in &acks[1..] {
        raw.peer.send_tagged(ack.tag, &[cookie_echo(&ack.cookie())]);
        let replies = raw.peer.replies_of_any_tag();
        assert!(replies.iter().all(|packet| packet.kinds() == [COOKIE_ACK]), "{replies:?}");
        assert_eq!(raw.events(), []);
    }
}

#[test]
fn attack_06_restarts_can_be_forbidden() {
    let mut raw = RawChannels::established(Config::default().allow_restart(false), Role::Client);
    let id = raw.opens(1);
    let init = Init { tag: 0x7777, ..raw.peer.init() };
    let ack = raw.peer.send_init(&init);
    raw.peer.send_tagged(ack.tag, &[cookie_echo(&ack.cookie())]);
    assert_eq!((raw.peer.replies_of_any_tag(), raw.events()), (vec![], vec![]));
    assert_eq!(raw.state(id), ChannelState::Open);
}

/// Until the association is up no packet draws more than three times its size, nor more than one packet, and an INIT ACK has
/// at most 400 bytes.
#[test]
fn attack_07_answers_are_not_larger_than_what_draws_them() {
    let config = || Config::default().heartbeat_interval(secs(0));
    let padded = |init: Init, len: usize| init.with(0x8fff, &vec![0; len]);
    let mut inits = vec![RawPeer::new(config()).init()];
    for len in [60, 400, 1000] {
        inits.push(padded(inits[0].clone(), len));
        // Parameters that are to be reported, many small ones and a large one.
        inits.push(inits[0].clone().with(0xcfff, &vec![0; len]));
        inits.push((0..len / 20).fold(inits[0].clone(), |init, _| init.with(0xcffe, &[0; 4])));
    }
    for init in &inits {
        let mut peer = RawPeer::new(config());
        let bytes = packet(PORT, PORT, 0, &[init.chunk(INIT)]);
        let replies = peer.exchange_bytes(&bytes);
        assert!(replies.len() <= 1, "{} packets", replies.len());
        let out: usize = replies.iter().map(|packet| packet.len).sum();
        let limit = if bytes.len() >= 100 { 3 * bytes.len() } else { 400 };
        assert!(out <= limit, "{out} for {}", bytes.len());
    }
    // Packets out of the blue, with tags of anybody and chunks of every type.
    let mut peer = RawPeer::new(config());
    for kind in 0..=u8::MAX {
        peer.now += secs(1);
        for value in [0, 4, 100, 1100] {
            let bytes = packet(PORT, PORT, 99, &[Chunk::new(kind, 0, &vec![0; value])]);
            let replies = peer.exchange_bytes(&bytes);
            let out: usize = replies.iter().map(|packet| packet.len).sum();
            assert!(replies.len() <= 1 && out <= 3 * bytes.len(), "{out} for chunk {kind}");
        }
    }
    // Ten answers a second, whatever comes.
    let drawn: usize = (0..1000_u32)
        .map(|n| {
            let bytes = packet(PORT, PORT, 1000 + n, &[data(n, WHOLE, 0, 0, b"x")]);
            peer.exchange_bytes(&bytes).len()
        })
        .sum();
    assert!(drawn <= 10, "{drawn} answers");
}

/// Two ends that have closed, each told so by the other's last words: silence after one packet each.
#[test]
fn attack_08_two_closed_ends_fall_silent() {
    for (first, flags) in [
        (ABORT, 0),
        (ABORT, REFLECTED),
        (SHUTDOWN_COMPLETE, 0),
        (SHUTDOWN_COMPLETE, REFLECTED),
        (SHUTDOWN_ACK, 0),
        (COOKIE_ACK, 0),
        (DATA, 0),
    ] {
        let mut ends = [RawPeer::passive(Config::default()), RawPeer::passive(Config::default())];
        for end in &mut ends {
            end.engine.abort(end.now);
            end.replies();
        }
        let chunk = if first == DATA { data(1, WHOLE, 0, 0, b"x") } else { Chunk::new(first, flags, &[]) };
        let mut on_the_way = vec![packet(PORT, PORT, 0xabcd, &[chunk])];
        let mut rounds = 0;
        while !on_the_way.is_empty() {
            let end = &mut ends[rounds % 2];
            on_the_way = on_the_way
                .drain(..)
                .flat_map(|bytes| end.exchange_bytes(&bytes))
                .map(|answer| packet(answer.source, answer.destination, answer.tag, &answer.chunks))
                .collect();
            rounds += 1;
            assert!(rounds <= 2, "still talking about {first}");
        }
    }
}

impl RawPeer {
    /// The next DATA of the peer, without counting it.
    fn clone_data(&self, payload: &[u8]) -> Chunk {
        data(self.tsn, WHOLE, 0, 0, payload)
    }
}
