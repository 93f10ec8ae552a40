//! Setting an association up (RFC 9260 §5.1).

use crate::raw_sctp::*;
use std::collections::BTreeSet;
use std::time::Duration;
use straits_sctp::{CloseReason, Config, Event, State, StreamId, TimeoutKind};

/// When a timer of 1 s that doubles up to 60 s sends, nine times in all, and when it gives up.
const SENT_AT: [u64; 9] = [0, 1, 3, 7, 15, 31, 63, 123, 183];
const GIVES_UP_AT: u64 = 243;

fn cookie_echo(cookie: &[u8]) -> Chunk {
    Chunk::new(COOKIE_ECHO, 0, cookie)
}

/// Stale Cookie (RFC 9260 §3.3.10.3) by that many microseconds.
fn stale(micros: u32) -> Chunk {
    error(&[tlv(3, &micros.to_be_bytes())])
}

/// Lets T1 run out; every packet it sends must be `chunk`.
fn assert_t1(peer: &mut RawPeer, chunk: &Chunk, kind: TimeoutKind) {
    let sent = peer.run_for(secs(GIVES_UP_AT) - Duration::from_nanos(1));
    let times: Vec<Duration> = sent.iter().map(|(at, _)| *at).collect();
    assert_eq!(times, SENT_AT[1..].iter().copied().map(secs).collect::<Vec<_>>());
    assert!(sent.iter().all(|(_, packet)| packet.chunks == [chunk.clone()]));
    assert_eq!(peer.drain_events(), []);
    assert_eq!(peer.run_for(Duration::from_nanos(1)), []);
    assert_eq!(peer.drain_events(), [Event::Closed(CloseReason::Timeout(kind))]);
    assert_eq!(peer.engine.poll_timeout(), None);
}

/// RFC 9260 §5.1 A, C, E: INIT with tag 0, then COOKIE ECHO, then the association is up on COOKIE ACK.
#[test]
fn item_032_active_open() {
    let mut peer = RawPeer::new(Config::default());
    peer.connect();
    assert_eq!(peer.engine.state(), State::CookieWait);
    assert_eq!(peer.answer_init(&[]).chunks, [cookie_echo(b"the peer's cookie")]);
    assert_eq!(peer.engine.state(), State::CookieEchoed);
    assert_eq!(peer.drain_events(), []);
    assert_eq!(peer.exchange(&[bare(COOKIE_ACK)]), []);
    assert_eq!((peer.engine.state(), peer.drain_events()), (State::Established, vec![Event::Established]));
}

/// RFC 9260 §5.1 B: "MUST NOT allocate any resources or keep any states for the new association".
#[test]
fn item_033_nothing_is_kept_for_an_init() {
    let mut peer = RawPeer::new(Config::default());
    let first = peer.send_init(&Init::new(1, 1));
    let held = format!("{:?}", peer.engine).len();
    let before = peer.snapshot();
    for tag in 2..10_002 {
        peer.send_init(&Init::new(tag, tag));
    }
    assert_eq!(peer.snapshot(), before);
    assert_eq!(peer.drain_events(), []);
    // All it holds, as text; only counters have grown by some digits.
    assert!(format!("{:?}", peer.engine).len() < held + 64);
    peer.tag = 1;
    peer.engine_tag = first.tag;
    assert_eq!(kinds(&peer.exchange(&[cookie_echo(&first.cookie())])), [[COOKIE_ACK]]);
    assert_eq!(peer.drain_events(), [Event::Established]);
}

/// RFC 9260 §8.5, §8.5.1 A: tag 0 on INIT, afterwards always the tag the peer asked for.
#[test]
fn item_034_verification_tags_sent() {
    // `connect` requires tag 0 of INIT and `send_init` the peer's of INIT ACK; `replies` the peer's of all others.
    for (mut peer, own_init) in
        [(RawPeer::active(Config::default()), true), (RawPeer::passive(Config::default()), false)]
    {
        assert_ne!(peer.engine_tag, peer.tag);
        peer.user_sends(0, b"data");
        let chunk = peer.next_data(0, b"data");
        let mut sent = kinds(&peer.exchange(&[chunk, heartbeat(b"x")])).concat();
        peer.send(&[Sack::new(peer.engine_tsn).chunk()]);
        peer.engine.shutdown(peer.now);
        sent.extend(kinds(&peer.replies()).concat());
        sent.extend(kinds(&peer.exchange(&[bare(SHUTDOWN_ACK)])).concat());
        assert_eq!(sent, [HEARTBEAT_ACK, SACK, DATA, SHUTDOWN, SHUTDOWN_COMPLETE], "{own_init}");
    }
}

/// RFC 9260 §8.5.1 A: the tag of a packet with INIT is 0; with another one it is silently discarded (§12.3).
#[test]
fn item_035_init_with_a_tag() {
    let mut idle = RawPeer::new(Config::default());
    idle.connect();
    let mut established = RawPeer::passive(Config::default());
    for peer in [&mut idle, &mut established] {
        let init = Init::new(99, 1).chunk(INIT);
        for tag in [peer.engine_tag, peer.tag, 1] {
            peer.assert_ignored(&packet(PORT, PORT, tag, std::slice::from_ref(&init)));
        }
    }
}

/// RFC 9260 §5.3.1: "Initiate Tag values SHOULD be selected from the range of 1 to 2^32 - 1", at random.
#[test]
fn item_036_initiate_tags() {
    let mut tags = BTreeSet::new();
    let mut ones = 0;
    for seed in 0..=255 {
        let mut peer = RawPeer::with_seed(Config::default(), seed);
        let tag = peer.connect().tag;
        assert_ne!(tag, 0);
        ones += tag.count_ones();
        assert!(tags.insert(tag));
    }
    // 256 × 32 bits, half of them set, within six standard deviations.
    assert!((3824..=4368).contains(&ones), "{ones}");
    // Each INIT that finds an association is answered with a fresh one.
    let mut peer = RawPeer::passive(Config::default());
    for tag in 1..100 {
        assert!(tags.insert(peer.send_init(&Init::new(tag, 1)).tag));
    }
}

/// RFC 9260 §3.3.2: the initial TSN is any number of 0 to 4294967295.
#[test]
fn item_037_initial_tsn() {
    let mut peer = RawPeer::new(Config::default());
    peer.tsn = u32::MAX;
    peer.open();
    for (ssn, tsn) in [u32::MAX, 0, 1].into_iter().enumerate() {
        let chunk = data(tsn, WHOLE | IMMEDIATE, 0, ssn as u16, b"x");
        let replies = peer.exchange(&[chunk]);
        assert_eq!(Sack::parse(replies[0].find(SACK).unwrap()).cumulative, tsn);
    }
    assert_eq!(peer.user_reads(0).len(), 3);
    let upper: BTreeSet<u32> =
        (0..=255).map(|seed| RawPeer::with_seed(Config::default(), seed).connect().tsn >> 29).collect();
    assert_eq!(upper.len(), 8, "every eighth of the range is drawn from");
}

/// RFC 9260 §3.3.2: an Initiate Tag of 0: "the receiver MUST silently discard the packet".
#[test]
fn item_038_init_with_tag_zero() {
    let zero = packet(PORT, PORT, 0, &[Init::new(0, 1).chunk(INIT)]);
    RawPeer::new(Config::default()).assert_ignored(&zero);
    RawPeer::passive(Config::default()).assert_ignored(&zero);
}

/// RFC 9260 §3.3.2: a_rwnd below 1500, OS 0 or MIS 0: ABORT with the Initiate Tag, no association is changed.
#[test]
fn item_039_init_with_impossible_values() {
    let spoil: [fn(&mut Init); 3] =
        [|init| init.window = 1499, |init| init.outgoing = 0, |init| init.incoming = 0];
    for mut peer in [RawPeer::new(Config::default()), RawPeer::passive(Config::default())] {
        for spoil in spoil {
            let mut init = Init::new(99, 1);
            spoil(&mut init);
            let before = peer.snapshot();
            let replies = peer.exchange_tagged(0, &[init.chunk(INIT)]);
            assert_eq!(kinds(&replies), [[ABORT]]);
            assert_eq!((replies[0].tag, replies[0].chunks[0].flags), (99, 0));
            assert_eq!(peer.snapshot(), before);
            assert_eq!(peer.drain_events(), []);
        }
    }
    let mut least = Init::new(99, 1);
    (least.window, least.outgoing, least.incoming) = (1500, 1, 1);
    RawPeer::new(Config::default()).send_init(&least);
}

/// RFC 9260 §3.3.3: an INIT ACK with tag 0, OS 0 or MIS 0 ends the attempt with an ABORT, in COOKIE-WAIT only.
#[test]
fn item_040_init_ack_with_impossible_values() {
    let spoil: [fn(&mut Init); 3] = [|init| init.tag = 0, |init| init.outgoing = 0, |init| init.incoming = 0];
    for (n, spoil) in spoil.into_iter().enumerate() {
        let mut ack = Init::new(99, 1).with(7, b"cookie");
        spoil(&mut ack);
        let mut peer = RawPeer::new(Config::default());
        peer.connect();
        let replies = peer.exchange_tagged(peer.engine_tag, &[ack.chunk(INIT_ACK)]);
        assert_eq!(kinds(&replies), [[ABORT]]);
        let expected = if n == 0 { (peer.engine_tag, REFLECTED) } else { (99, 0) };
        assert_eq!((replies[0].tag, replies[0].chunks[0].flags), expected);
        assert_eq!(peer.engine.state(), State::Closed);
        assert!(matches!(peer.drain_events()[..], [Event::Closed(CloseReason::RemoteViolation(_))]));

        RawPeer::active(Config::default()).assert_chunks_ignored(&[ack.chunk(INIT_ACK)]);
    }
}

/// RFC 9260 §3.3.10.2: "Missing Mandatory Parameter" names how many, and which: the State Cookie is 7.
#[test]
fn item_041_init_ack_without_a_cookie() {
    let mut peer = RawPeer::new(Config::default());
    peer.connect();
    let replies = peer.exchange(&[peer.init().chunk(INIT_ACK)]);
    assert_eq!(kinds(&replies), [[ABORT]]);
    assert_eq!(split(&replies[0].chunks[0].value), [(2, vec![0, 0, 0, 1, 0, 7])]);
    assert_eq!(peer.engine.state(), State::Closed);
}

/// RFC 9260 §3.3.2 note 3: the receiver of a Host Name Address "MUST send an ABORT chunk"; so for INIT ACK (§3.3.3).
#[test]
fn item_042_host_name() {
    let mut peer = RawPeer::new(Config::default());
    let replies = peer.exchange_tagged(0, &[Init::new(99, 1).with(11, b"example.org\0").chunk(INIT)]);
    assert_eq!((kinds(&replies), replies[0].tag), (vec![vec![ABORT]], 99));
    peer.connect();
    let reply = peer.answer_init(&[(11, b"example.org\0")]);
    assert_eq!((reply.kinds(), reply.tag), (vec![ABORT], peer.tag));
    assert_eq!(peer.engine.state(), State::Closed);
}

/// RFC 8261 §6.1: addresses must not be sent over DTLS; what comes adds no path.
#[test]
fn item_043_addresses_are_ignored() {
    let mut init = Init::new(0x1234_5678, 1000);
    for n in 0..200 {
        init = if n % 2 == 0 { init.with(5, &[10, 0, 0, n]) } else { init.with(6, &[n; 16]) };
    }
    let mut peer = RawPeer::new(Config::default());
    let ack = peer.send_init(&init);
    peer.engine_tag = ack.tag;
    assert_eq!(kinds(&peer.exchange(&[cookie_echo(&ack.cookie())])), [[COOKIE_ACK]]);
    // One path: one heartbeat at a time.
    let sent = peer.run_for(secs(40));
    assert_eq!(sent.iter().filter(|(_, packet)| packet.find(HEARTBEAT).is_some()).count(), 1);
}

/// RFC 8261 §6.1: INIT and INIT ACK have neither addresses nor Supported Address Types.
#[test]
fn item_044_no_addresses_are_sent() {
    let mut peer = RawPeer::new(Config::default());
    let init = peer.connect();
    let ack = peer.send_init(&peer.init());
    for parameters in [init.parameters, ack.parameters] {
        assert!(parameters.iter().all(|(kind, _)| ![5, 6, 11, 12].contains(kind)), "{parameters:?}");
    }
}

/// A parameter that comes again in an INIT or INIT ACK changes nothing: the first one counts.
#[test]
fn item_045_repeated_parameters() {
    let (dtls, other) = (1_u32.to_be_bytes(), 2_u32.to_be_bytes());
    for zero_first in [true, false] {
        let methods = if zero_first { [dtls, other] } else { [other, dtls] };
        let lists: [&[u8]; 2] = if zero_first { [&[RE_CONFIG], &[]] } else { [&[], &[RE_CONFIG]] };
        let mut peer = RawPeer::new(Config::default());
        peer.takes_zero_checksum = true;
        let mut init = peer.init();
        for n in 0..2 {
            init = init.with(ZERO_CHECKSUM_ACCEPTABLE, &methods[n]).with(SUPPORTED_EXTENSIONS, lists[n]);
        }
        let ack = peer.send_init(&init);
        peer.engine_tag = ack.tag;
        let replies = peer.exchange(&[cookie_echo(&ack.cookie())]);
        assert_eq!((kinds(&replies), replies[0].checksum_is_zero), (vec![vec![COOKIE_ACK]], zero_first));
        assert_eq!(peer.engine.reset_streams(peer.now, &[StreamId(0)]).is_ok(), zero_first);
    }
    // Cookies, and hundreds of addresses and of everything else.
    let mut peer = RawPeer::new(Config::default());
    peer.connect();
    let mut ack = peer.init().with(7, b"first").with(7, b"second").with(7, b"");
    for kind in [5, 7, 8, 9, 0x8000, SUPPORTED_EXTENSIONS, FORWARD_TSN_SUPPORTED] {
        for _ in 0..100 {
            ack = ack
                .with(kind, if kind < 0x8000 || kind == SUPPORTED_EXTENSIONS { &[1, 2, 3, 4] } else { &[] });
        }
    }
    let replies = peer.exchange(&[ack.chunk(INIT_ACK)]);
    assert_eq!(replies[0].chunks, [cookie_echo(b"first")]);
}

/// RFC 9260 §3.3.2.1.3 (Cookie Preservative): a suggestion that may be ignored.
#[test]
fn item_046_cookie_preservative() {
    let mut peer = RawPeer::new(Config::default());
    let ack = peer.send_init(&peer.init().with(9, &u32::MAX.to_be_bytes()));
    assert_eq!(ack.parameter(8), None);
    peer.engine_tag = ack.tag;
    peer.now += secs(60) + ms(1);
    let replies = peer.exchange(&[cookie_echo(&ack.cookie())]);
    assert_eq!(kinds(&replies), [[ERROR]], "the cookie lives no longer");
}

/// RFC 9260 §3.3.2 note 2: ECN Capable is reserved; it is known and not reported.
#[test]
fn item_047_ecn_capable() {
    let mut peer = RawPeer::new(Config::default());
    let ack = peer.send_init(&peer.init().with(0x8000, &[]));
    assert_eq!((ack.parameter(8), ack.parameter(0x8000)), (None, None));
}

/// RFC 9260 §5.1.1: both sides use the smaller of what is asked for and what is offered.
#[test]
fn item_048_number_of_streams() {
    for (outgoing, incoming, expected) in [(10, 20, (20, 10)), (500, 600, (300, 400)), (1, 1, (1, 1))] {
        let config = Config::default().outgoing_streams(300).incoming_streams(400);
        let mut init = Init::new(0x1234_5678, 1000);
        (init.outgoing, init.incoming) = (outgoing, incoming);
        let mut peer = RawPeer::new(config.clone());
        let ack = peer.send_init(&init);
        assert_eq!((ack.outgoing, ack.incoming), (300.min(incoming), 400));
        peer.engine_tag = ack.tag;
        peer.exchange(&[cookie_echo(&ack.cookie())]);
        assert_eq!(peer.engine.negotiated_streams(), Some(expected));

        let mut peer = RawPeer::new(config);
        peer.connect();
        peer.exchange(&[init.with(7, b"cookie").chunk(INIT_ACK)]);
        peer.exchange(&[bare(COOKIE_ACK)]);
        assert_eq!(peer.engine.negotiated_streams(), Some(expected));
    }
}

/// RFC 8831 §6.2: 65535 streams are offered in each direction.
#[test]
fn item_049_streams_offered() {
    let mut peer = RawPeer::new(Config::default());
    let init = peer.connect();
    assert_eq!((init.outgoing, init.incoming), (65_535, 65_535));
    let mut all = peer.init();
    (all.outgoing, all.incoming) = (65_535, 65_535);
    let ack = peer.send_init(&all);
    assert_eq!((ack.outgoing, ack.incoming), (65_535, 65_535));
}

/// RFC 9260 §4 (2), §5.1.6, §16: INIT is sent again, unchanged, Max.Init.Retransmits times.
#[test]
fn item_050_t1_init() {
    let mut peer = RawPeer::new(Config::strict());
    let init = peer.connect().chunk(INIT);
    assert_t1(&mut peer, &init, TimeoutKind::Init);
}

/// RFC 9260 §4 (3), §5.1.6: the same for COOKIE ECHO.
#[test]
fn item_051_t1_cookie() {
    let mut peer = RawPeer::new(Config::strict());
    peer.connect();
    let echo = peer.answer_init(&[]).chunks.remove(0);
    assert_t1(&mut peer, &echo, TimeoutKind::CookieEcho);
}

/// RFC 9260 §5.1.6: an INIT that is repeated is answered again; each answer leads to the association.
#[test]
fn item_052_either_init_ack() {
    for chosen in [0, 1] {
        let mut peer = RawPeer::new(Config::default());
        let first = peer.send_init(&peer.init());
        peer.now += ms(300);
        let second = peer.send_init(&peer.init());
        assert_ne!(first.cookie(), second.cookie());
        let ack = if chosen == 0 { first } else { second };
        peer.engine_tag = ack.tag;
        assert_eq!(kinds(&peer.exchange(&[cookie_echo(&ack.cookie())])), [[COOKIE_ACK]]);
        peer.user_sends(0, b"data");
        assert_eq!(peer.replies()[0].chunks[0].tsn(), ack.tsn);
    }
}

/// RFC 9260 §5.1 C: "until the COOKIE ACK chunk is returned, the sender MUST NOT send any other packets to the peer."
#[test]
fn item_053_silence_until_cookie_ack() {
    let mut peer = RawPeer::new(Config::strict());
    peer.user_sends(0, b"early");
    peer.connect();
    peer.answer_init(&[]);
    peer.user_sends(0, b"late");
    assert_eq!(peer.replies(), []);
    let sent = peer.run_for(secs(10));
    assert!(sent.iter().all(|(_, packet)| packet.chunks[0].kind == COOKIE_ECHO), "{sent:?}");
    let replies = peer.exchange(&[bare(COOKIE_ACK)]);
    assert_eq!(kinds(&replies), [[DATA, DATA]]);
}

/// RFC 9260 §3.3.11: the cookie of the peer has any length; up to 8 KiB it is echoed, above the set-up fails.
#[test]
fn item_054_size_of_the_cookie() {
    for len in [1, 4, 1000, 1171, 1172, 2000, 8192, 8193, 60_000] {
        let mut peer = RawPeer::new(Config::default());
        peer.user_sends(0, b"waits");
        peer.connect();
        let cookie: Vec<u8> = (0..len).map(|n: u32| n as u8).collect();
        let replies = peer.exchange(&[peer.init().with(7, &cookie).chunk(INIT_ACK)]);
        if len <= 8192 {
            assert_eq!(replies[0].chunks, [cookie_echo(&cookie)]);
            let again = peer.run_for(ms(500));
            assert_eq!(again[0].1.chunks, [cookie_echo(&cookie)]);
        } else {
            assert_eq!(kinds(&replies), [[ABORT]]);
            assert_eq!(peer.engine.state(), State::Closed);
        }
    }
}

/// RFC 9260 §3.3.11: COOKIE ECHO returns "the exact cookie received in the State Cookie parameter".
#[test]
fn item_055_cookie_is_echoed_exactly() {
    for len in 1..=300_u32 {
        let cookie: Vec<u8> = (0..len).map(|n| (n * 37) as u8).collect();
        let mut peer = RawPeer::new(Config::default());
        peer.connect();
        let replies = peer.exchange(&[peer.init().with(7, &cookie).chunk(INIT_ACK)]);
        assert_eq!(replies[0].chunks, [cookie_echo(&cookie)]);
    }
}

/// RFC 9260 §5.1.5 (2): a cookie that fails: the packet and its DATA "MUST be silently discarded".
#[test]
fn item_056_forged_cookie() {
    let mut peer = RawPeer::new(Config::default());
    let ack = peer.send_init(&peer.init());
    let cookie = ack.cookie();
    let chunk = data(1000, WHOLE, 0, 0, b"x");
    for bit in 0..cookie.len() * 8 {
        let mut forged = cookie.clone();
        forged[bit / 8] ^= 1 << (bit % 8);
        peer.assert_ignored(&packet(PORT, PORT, ack.tag, &[cookie_echo(&forged), chunk.clone()]));
    }
    for len in 0..cookie.len() {
        peer.assert_ignored(&packet(PORT, PORT, ack.tag, &[cookie_echo(&cookie[..len])]));
    }
    peer.engine_tag = ack.tag;
    assert_eq!(kinds(&peer.exchange(&[cookie_echo(&cookie)])), [[COOKIE_ACK]]);
    assert_eq!(peer.user_reads(0), Vec::<Vec<u8>>::new());
}

/// RFC 9260 §5.1.5 (3): ports and tag in the cookie are those of the packet, or it is silently discarded.
#[test]
fn item_057_cookie_of_another_packet() {
    let mut peer = RawPeer::new(Config::default());
    let ack = peer.send_init(&peer.init());
    let echo = [cookie_echo(&ack.cookie())];
    for tag in [ack.tag ^ 1, peer.tag, 0] {
        peer.assert_ignored(&packet(PORT, PORT, tag, &echo));
    }
    for ports in [(PORT + 1, PORT), (PORT, PORT + 1)] {
        peer.assert_ignored(&packet(ports.0, ports.1, ack.tag, &echo));
    }
}

/// RFC 9260 §5.1.5 (4): a cookie older than its life is answered by "Stale Cookie" (§3.3.10.3: by how much).
#[test]
fn item_058_stale_cookie() {
    for (age, fresh) in [(secs(60), true), (secs(60) + ms(1), false)] {
        let mut peer = RawPeer::new(Config::strict());
        let ack = peer.send_init(&peer.init());
        peer.now += age;
        peer.engine_tag = ack.tag;
        let chunk = data(1000, WHOLE, 0, 0, b"x");
        let replies = peer.exchange(&[cookie_echo(&ack.cookie()), chunk]);
        if fresh {
            assert_eq!(kinds(&replies), [[COOKIE_ACK, SACK]]);
        } else {
            assert_eq!(replies.len(), 1);
            assert_eq!(replies[0].chunks, [stale(1000)]);
            assert_eq!((peer.engine.state(), peer.drain_events()), (State::Closed, vec![]));
        }
    }
}

/// RFC 9260 §5.1.3: the secret changes; §5.1.5 (1): a cookie whose key is gone "MUST be silently discarded".
#[test]
fn item_059_cookie_and_key_changes() {
    for (age, good) in [(secs(3600), true), (secs(7199), true), (secs(7200), false), (secs(36_000), false)] {
        let mut peer = RawPeer::new(Config::default().cookie_lifetime(secs(100_000)));
        let ack = peer.send_init(&peer.init());
        peer.now += age;
        peer.engine_tag = ack.tag;
        let replies = peer.exchange(&[cookie_echo(&ack.cookie())]);
        assert_eq!(replies.len(), usize::from(good), "{age:?}");
        assert_eq!(peer.engine.state() == State::Established, good);
    }
}

/// RFC 9653: what was agreed is what the INIT of the cookie said, whatever other INITs said since.
#[test]
fn item_060_the_cookie_says_what_was_agreed() {
    for chosen in [true, false] {
        let mut peer = RawPeer::new(Config::default());
        peer.takes_zero_checksum = true;
        let with = peer.send_init(&peer.init().with(0x8001, &1_u32.to_be_bytes()));
        let without = peer.send_init(&peer.init());
        let ack = if chosen { with } else { without };
        peer.engine_tag = ack.tag;
        let cookie_ack = peer.exchange(&[cookie_echo(&ack.cookie())]);
        peer.user_sends(0, b"data");
        let data = peer.replies();
        assert_eq!((cookie_ack[0].checksum_is_zero, data[0].checksum_is_zero), (chosen, chosen));
    }
}

/// RFC 9260 §5.1.3: what is in a cookie is the association's, not the process's.
#[test]
fn item_061_nothing_secret_in_a_cookie() {
    let seed = 0xA5;
    let mut first = RawPeer::with_seed(Config::default(), seed);
    let ballast: Vec<Vec<u8>> = (1..100).map(|len| vec![1; len * 100]).collect();
    let mut second = RawPeer::with_seed(Config::default(), seed);
    let (init, other) = (first.init(), second.init());
    let cookie = first.send_init(&init).cookie();
    assert_eq!(cookie, second.send_init(&other).cookie(), "with {} allocations between", ballast.len());
    assert!(!cookie.windows(3).any(|bytes| bytes == [seed; 3]));
    assert_ne!(cookie, RawPeer::with_seed(Config::default(), seed + 1).send_init(&init).cookie());
}

/// RFC 9260 §5.2.6: a stale cookie in COOKIE-ECHOED: one more INIT, then the end; elsewhere it is ignored.
#[test]
fn item_062_stale_cookie_reported() {
    let mut peer = RawPeer::new(Config::strict());
    let init = peer.connect();
    peer.assert_chunks_ignored(&[stale(1)]);
    peer.answer_init(&[]);
    let replies = peer.exchange_tagged(peer.engine_tag, &[stale(1)]);
    assert_eq!((kinds(&replies), replies[0].tag), (vec![vec![INIT]], 0));
    peer.engine_tag = Init::parse(&replies[0].chunks[0]).tag;
    assert_eq!(Init::parse(&replies[0].chunks[0]).parameters, init.parameters);
    assert_eq!(peer.engine.state(), State::CookieWait);
    peer.answer_init(&[]);
    assert_eq!(peer.exchange(&[stale(1)]), []);
    assert!(matches!(
        peer.drain_events()[..],
        [Event::Closed(CloseReason::Timeout(TimeoutKind::CookieEcho))]
    ));
    RawPeer::active(Config::strict()).assert_chunks_ignored(&[stale(1)]);
}

/// RFC 9260 §5.2.4 D: a COOKIE ECHO that comes again is acknowledged again.
#[test]
fn item_063_cookie_ack_lost() {
    let mut peer = RawPeer::new(Config::default());
    let ack = peer.send_init(&peer.init());
    peer.engine_tag = ack.tag;
    for _ in 0..3 {
        assert_eq!(kinds(&peer.exchange(&[cookie_echo(&ack.cookie())])), [[COOKIE_ACK]]);
        peer.now += ms(500);
    }
    assert_eq!(peer.drain_events(), [Event::Established]);
}

/// RFC 9260 §5.2.5: "At any state other than COOKIE-ECHOED, an endpoint SHOULD silently discard a received COOKIE ACK"
#[test]
fn item_064_cookie_ack_elsewhere() {
    let mut peer = RawPeer::new(Config::default());
    peer.assert_ignored(&packet(PORT, PORT, 1, &[bare(COOKIE_ACK)]));
    peer.connect();
    peer.assert_chunks_ignored(&[bare(COOKIE_ACK)]);
    let mut peer = RawPeer::passive(Config::default());
    peer.assert_chunks_ignored(&[bare(COOKIE_ACK)]);
    peer.shut_down();
    peer.assert_chunks_ignored(&[bare(COOKIE_ACK)]);
}

/// RFC 9260 §5.1: the first DATA of an association is acknowledged at once.
#[test]
fn item_065_first_data() {
    for mut peer in [RawPeer::active(Config::default()), RawPeer::passive(Config::default())] {
        let (first, second) = (peer.next_data(0, b"x"), peer.next_data(1, b"x"));
        let replies = peer.exchange(&[first]);
        assert_eq!(kinds(&replies), [[SACK]]);
        assert_eq!(Sack::parse(&replies[0].chunks[0]).cumulative, 1000);
        assert_eq!(peer.exchange(&[second]), [], "the second one may wait");
    }
}

/// RFC 9260 §5.1.5 (7): "Immediately acknowledge any DATA chunk bundled with the COOKIE ECHO chunk with a SACK chunk".
#[test]
fn item_066_data_with_cookie_echo() {
    let mut peer = RawPeer::new(Config::default());
    let ack = peer.send_init(&peer.init());
    peer.engine_tag = ack.tag;
    let chunk = peer.next_data(0, b"early");
    let replies = peer.exchange(&[cookie_echo(&ack.cookie()), chunk]);
    assert_eq!(kinds(&replies), [[COOKIE_ACK, SACK]]);
    assert_eq!(Sack::parse(&replies[0].chunks[1]).cumulative, 1000);
    assert_eq!(peer.user_reads(0), ["early"]);
}

/// RFC 9260 §6: "Data transmission MUST only happen in the ESTABLISHED, SHUTDOWN-PENDING, and SHUTDOWN-RECEIVED states."
#[test]
fn item_067_messages_before_the_association() {
    let mut peer = RawPeer::new(Config::default());
    peer.user_sends(0, b"idle");
    assert_eq!(peer.replies(), []);
    peer.connect();
    peer.user_sends(0, b"cookie-wait");
    peer.answer_init(&[]);
    peer.user_sends(0, b"cookie-echoed");
    let replies = peer.exchange(&[bare(COOKIE_ACK)]);
    let tsn = peer.engine_tsn;
    let expected = [
        data(tsn, WHOLE, 0, 0, b"idle"),
        data(tsn.wrapping_add(1), WHOLE, 0, 1, b"cookie-wait"),
        data(tsn.wrapping_add(2), WHOLE, 0, 2, b"cookie-echoed"),
    ];
    assert_eq!(replies.len(), 1);
    assert_eq!(replies[0].chunks, expected);
}

/// RFC 8841 §9.3: both sides commonly use port 5000.
#[test]
fn item_068_equal_ports() {
    let mut peer = RawPeer::active(Config::default());
    assert_eq!(peer.ports, (5000, 5000));
    peer.user_sends(0, b"data");
    // `replies` compares the ports.
    assert_eq!(kinds(&peer.replies()), [[DATA]]);
}
