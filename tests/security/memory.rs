//! What attacks cost in memory. A test binary of its own, whose tests take turns: it counts what the allocator gives out.

#[path = "memory/endpoint.rs"]
mod endpoint;
#[path = "memory/flood.rs"]
mod flood;
#[path = "memory/floods.rs"]
mod floods;
#[path = "memory/hostile.rs"]
mod hostile;
#[path = "../support/raw_channels.rs"]
mod raw_channels;
#[path = "../support/raw_extensions.rs"]
mod raw_extensions;
#[path = "../support/raw_sctp.rs"]
mod raw_sctp;
mod stun;
#[path = "../support/loopback.rs"]
mod support;

use bytes::{Bytes, BytesMut};
use raw_channels::{DCEP, RawChannels, open_message};
use raw_extensions::*;
use raw_sctp::*;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use std::alloc::System;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use straits_ice::{Agent, Route};
use straits_sctp::{Config, Reliability, Role, State, StreamId};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// What the test harness may take meanwhile, on a thread of its own, to begin and end tests. So what must cost nothing
/// is done so often that a byte each time were more.
const HARNESS_BYTES: usize = 16 << 10;
const HARNESS_ALLOCATIONS: usize = 500;

/// One test at a time.
fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Bytes that are held more than when `region` began.
fn held(region: &Region<'_, System>) -> usize {
    let change = region.change();
    change.bytes_allocated.saturating_sub(change.bytes_deallocated)
}

fn quiet() -> Config {
    Config::default().heartbeat_interval(Duration::ZERO)
}

/// Hands the packet in and takes the answers out, without a raw peer's own memory.
fn feed(peer: &mut RawPeer, packet: &[u8], answer: &mut BytesMut) {
    peer.engine.handle_packet(peer.now, packet);
    while peer.engine.poll_transmit(peer.now, answer) {
        answer.clear();
    }
    while peer.engine.poll_event().is_some() {}
}

/// INITs by the thousand, answered and not: nothing is kept of any.
#[test]
fn attack_01_an_init_flood_costs_no_memory() {
    let _turn = turn();
    let mut peer = RawPeer::new(quiet());
    let mut answer = BytesMut::with_capacity(4096);
    let mut packets: Vec<_> = (0..20_u32)
        .map(|n| {
            packet(PORT, PORT, 0, &[Init { tag: 1 + n, ..peer.init() }.with(0x8001, &[0; 100]).chunk(INIT)])
        })
        .collect();
    packets.iter().for_each(|packet| feed(&mut peer, packet, &mut answer));
    let region = Region::new(ALLOCATOR);
    for n in 0..40_000_u32 {
        let bytes = packets.get_mut(n as usize % 20).expect("there are 20");
        // Another tag each time, at its place in the INIT.
        bytes[16..20].copy_from_slice(&(1 + n).to_be_bytes());
        seal(bytes);
        feed(&mut peer, bytes, &mut answer);
    }
    assert_eq!(peer.engine.stats().packets_sent, 40_020);
    assert!(held(&region) < HARNESS_BYTES, "{}", held(&region));
    // Answers that nobody takes: a queue of 64, and no more.
    let region = Region::new(ALLOCATOR);
    for n in 0..10_000_u32 {
        let bytes = &mut packets[n as usize % 20];
        bytes[16..20].copy_from_slice(&(1 + n).to_be_bytes());
        seal(bytes);
        peer.engine.handle_packet(peer.now, bytes);
    }
    assert!(held(&region) < 64 * 1024, "{}", held(&region));
}

/// What is dropped is dropped without an allocation: no text is made of it, and no copy, as long as nobody reads logs.
#[test]
fn attack_12_dropped_packets_allocate_nothing() {
    let _turn = turn();
    let mut peer = RawPeer::passive_with(quiet(), PARTIAL);
    let text = vec![b'x'; 1000];
    let tag = peer.engine_tag;
    let taken = data(peer.tsn, WHOLE, 0, 0, b"x");
    peer.send(&[taken]);
    peer.replies();
    let dropped: Vec<_> = [
        packet(PORT, PORT, tag ^ 1, &[error(&[tlv(12, &text)])]),
        packet(PORT, PORT, tag ^ 1, &[data(1, WHOLE, 0, 0, &text)]),
        packet(PORT, PORT, tag, &[Chunk::new(0x90, 0, &text)]),
        packet(PORT, PORT, tag, &[Sack::new(peer.nth(1000)).chunk()]),
        packet(PORT, PORT, tag, &[heartbeat_ack(&text)]),
        packet(PORT, PORT, tag, &[data(peer.tsn + 100_000, WHOLE, 0, 0, &text)]),
        packet(PORT, PORT, tag, &[forward_tsn(peer.tsn + 100_000, &[(0, 0)])]),
        packet_of(PORT, PORT, tag, &[0, 3, 0, 2]),
        vec![0; 30],
    ]
    .into();
    let mut answer = BytesMut::with_capacity(4096);
    dropped.iter().for_each(|packet| feed(&mut peer, packet, &mut answer));
    for packet in &dropped {
        let region = Region::new(ALLOCATOR);
        for _ in 0..5000 {
            peer.engine.handle_packet(peer.now, packet);
        }
        let allocations = region.change().allocations;
        assert!(allocations < HARNESS_ALLOCATIONS, "{allocations} allocations for 5000 times {packet:02x?}");
    }
}

/// The largest SACK over a full window is worked through in place.
#[test]
fn attack_14_sacks_allocate_nothing() {
    let _turn = turn();
    let mut peer = RawPeer::passive(quiet());
    (0..2000).for_each(|_| peer.user_sends(0, b"x"));
    let sent = chunks(&peer.replies()).len() as u32;
    (0..4000).for_each(|_| peer.user_sends(0, b"x"));
    let more = peer.acknowledge(sent, 16 << 20).len();
    assert!(more > 600, "{more}");
    let blocks: Vec<_> = (0..u16::try_from(more / 2 - 1).unwrap()).map(|n| (2 + 2 * n, 2 + 2 * n)).collect();
    let base = peer.nth(sent as usize).wrapping_sub(1);
    let sack = Sack { window: 0, gaps: blocks, duplicates: vec![base; 3000], ..Sack::new(base) };
    let bytes = packet(PORT, PORT, peer.engine_tag, &[sack.chunk()]);
    peer.send_bytes(&bytes);
    let region = Region::new(ALLOCATOR);
    for _ in 0..5000 {
        peer.send_bytes(&bytes);
    }
    let change = region.change();
    assert!(change.allocations < HARNESS_ALLOCATIONS && held(&region) < 1 << 20, "{change:?}");
}

/// A peer whose window is closed for ever: messages that expire behind one that does not leave nothing.
#[test]
fn attack_17_messages_that_expire_behind_a_closed_window_leave_nothing() {
    let _turn = turn();
    for parameters in [PARTIAL, INTERLEAVED] {
        let mut peer = RawPeer::passive_with(quiet(), parameters);
        let mut answer = BytesMut::with_capacity(4096);
        // Their turns come later than that of a stream which has sent less.
        (1..4).for_each(|stream| peer.user_sends(stream, &[7; 1000]));
        assert_eq!(chunks(&peer.replies()).len(), 3);
        let closed = Sack { window: 0, ..Sack::new(peer.nth(2)) };
        peer.send(&[closed.chunk()]);
        // One probes the window, the other waits.
        (0..2).for_each(|_| peer.user_sends(0, b"x"));
        assert_eq!(peer.run_for(secs(1)).len(), 1);
        let round = |peer: &mut RawPeer, answer: &mut BytesMut, n: u16| {
            peer.user_sends_limited(1 + n % 3, b"timely", true, Reliability::MaxLifetime(ms(10)));
            peer.now += ms(20);
            peer.engine.handle_timeout(peer.now);
            feed(peer, &packet(PORT, PORT, peer.engine_tag, &[closed.chunk()]), answer);
        };
        (0..100).for_each(|n| round(&mut peer, &mut answer, n));
        let region = Region::new(ALLOCATOR);
        (0..20_000).for_each(|n| round(&mut peer, &mut answer, n));
        let stats = peer.engine.stats();
        assert!(stats.messages_abandoned >= 20_000 && peer.engine.state() == State::Established, "{stats:?}");
        assert!(held(&region) < HARNESS_BYTES, "{}", held(&region));
    }
}

/// How messages are begun and never finished, by the number of the chunk: flags, stream, SSN, bytes.
type Pattern = (&'static str, fn(u32) -> (u8, u16, u16, usize));

/// Messages that are begun and not finished, in every way there is: no more than twice the window, one message and the list of
/// them is held, and the rest is refused or ends the association.
#[test]
fn attack_18_unfinished_messages_are_bounded() {
    let _turn = turn();
    const WINDOW: usize = 256 << 10;
    const LARGEST: usize = 16 << 10;
    // What the entries of incomplete messages take themselves: there are 1024 at most.
    const ENTRIES: usize = 1024 * 128;
    let patterns: [Pattern; 6] = [
        ("one beginning on each stream", |n| (FIRST, n as u16, 0, 1)),
        ("beginnings of messages in one stream", |n| (FIRST, 0, n as u16, 1)),
        ("one message in fragments of a byte", |n| (if n == 0 { FIRST } else { 0 }, 0, 0, 1)),
        ("middles without a beginning", |n| (0, n as u16 % 64, n as u16 / 64, 200)),
        ("whole messages out of order", |n| (WHOLE, n as u16 % 7, 1 + n as u16 / 7, 1)),
        ("large beginnings, unordered", |n| (FIRST | UNORDERED, n as u16 % 500, 0, 1100)),
    ];
    let config = quiet().receive_window(WINDOW).max_receive_message_size(LARGEST);
    for interleaved in [false, true] {
        for (name, pattern) in patterns {
            // In sequence, and behind a TSN that never comes; with holes.
            for (ahead, step) in [(0, 1), (1, 1), (1, 2)] {
                let parameters = if interleaved { INTERLEAVED } else { PARTIAL };
                let mut peer = RawPeer::passive_with(config.clone(), parameters);
                let mut answer = BytesMut::with_capacity(4096);
                let base = peer.tsn + ahead;
                let mut largest = 0;
                let region = Region::new(ALLOCATOR);
                for n in 0..6000_u32 {
                    let (flags, stream, ssn, len) = pattern(n);
                    let tsn = base.wrapping_add(n * step);
                    let payload = vec![7; len];
                    let chunk = match interleaved {
                        false => data(tsn, flags, stream, ssn, &payload),
                        true => {
                            let fsn = if flags & FIRST != 0 { 53 } else { n };
                            i_data(tsn, flags, stream, u32::from(ssn), fsn, &payload)
                        }
                    };
                    let bytes = packet(PORT, PORT, peer.engine_tag, &[chunk]);
                    feed(&mut peer, &bytes, &mut answer);
                    largest = largest.max(held(&region));
                }
                let name = format!("{name}, interleaved: {interleaved}, {ahead} ahead in steps of {step}");
                assert!(largest <= 2 * WINDOW + LARGEST + ENTRIES, "{name}: {largest} bytes");
            }
        }
    }
}

/// Small messages that the application keeps do not keep the packets alive that they came in.
#[test]
fn attack_19_small_messages_keep_no_large_buffers() {
    let _turn = turn();
    let mut peer = RawPeer::passive(quiet());
    let mut answer = BytesMut::with_capacity(4096);
    let mut kept: Vec<Bytes> = Vec::with_capacity(20_000);
    let base = peer.tsn;
    let region = Region::new(ALLOCATOR);
    for n in 0..400_u32 {
        // A packet of 16 KB, of which each message is a byte, and a large one that is not kept.
        let mut chunks: Vec<_> =
            (0..50).map(|k| data(base + 51 * n + k, WHOLE | UNORDERED, 0, 0, b"x")).collect();
        chunks.push(data(base + 51 * n + 50, WHOLE | UNORDERED, 1, 0, &[7; 14_000]));
        let bytes = packet(PORT, PORT, peer.engine_tag, &chunks);
        peer.engine.handle_packet(peer.now, &bytes);
        while let Some(message) = peer.engine.recv(peer.now, StreamId(0)) {
            kept.push(message.data);
        }
        assert!(peer.engine.recv(peer.now, StreamId(1)).is_some());
        while peer.engine.poll_transmit(peer.now, &mut answer) {
            answer.clear();
        }
        while peer.engine.poll_event().is_some() {}
    }
    assert_eq!(kept.len(), 20_000);
    let each = held(&region) / kept.len();
    assert!(each <= 128, "{each} bytes for a message of one");
}

/// Channels with long names, as many as come: a megabyte of names and some hundred bytes a channel.
#[test]
fn attack_25_channels_and_names_are_bounded() {
    let _turn = turn();
    let config = quiet().max_opens_per_second(u32::MAX);
    let mut raw = RawChannels::established(config, Role::Client);
    let region = Region::new(ALLOCATOR);
    let name = vec![b'n'; 4000];
    for n in 0..4000_u16 {
        let len = if n < 1000 { 4000 } else { 0 };
        raw.say(2 * n + 1, DCEP, &open_message(0, 256, 0, &name[..len], &name[..len]));
        raw.heard = Vec::new();
        raw.asked = Vec::new();
        raw.events();
        raw.peer.events = Vec::new();
    }
    let stats = raw.peer.engine.stats();
    assert!(stats.refused_name_bytes > 800 && stats.refused_channel_count > 1000, "{stats:?}");
    assert!(held(&region) < (1 << 20) + 4000 * 1024, "{}", held(&region));
}

/// Channels opened, closed and opened again leave nothing behind.
#[test]
fn attack_25_26_channels_that_come_and_go_leave_nothing() {
    let _turn = turn();
    let mut raw = RawChannels::established(quiet(), Role::Client);
    let cycle = |raw: &mut RawChannels| {
        let id = raw.opens(1);
        raw.say(1, raw_channels::STRING, b"hello");
        raw.user_reads(id);
        raw.close_both(1);
        raw.events();
        raw.peer.engine.forget(id);
        (raw.heard, raw.asked, raw.answers, raw.peer.events) = Default::default();
        // A second passes: there is a rate of OPENs.
        raw.run_for(secs(1));
    };
    (0..50).for_each(|_| cycle(&mut raw));
    let region = Region::new(ALLOCATOR);
    (0..500).for_each(|_| cycle(&mut raw));
    assert!(held(&region) < 16 << 10, "{}", held(&region));
}

/// STUN of strangers is dropped in a few small allocations, whatever it is made of.
#[test]
fn attack_48_malformed_stun_costs_no_memory() {
    let _turn = turn();
    const TIMES: usize = 20_000;
    let now = std::time::Instant::now();
    let mut agent = Agent::new(straits_ice::Config::default(), [3; 32], now);
    let local = ([192, 0, 2, 1], 5000).into();
    agent.add_local_candidate(now, local);
    while agent.poll_event().is_some() {}
    let route = Route { local, remote: ([198, 51, 100, 7], 9).into() };
    let many = (0..300).fold(stun::Stun::new(stun::REQUEST, [1; 12]), |stun, n| stun.with(n, &[]));
    let few = stun::Stun::new(stun::REQUEST, [1; 12]).with(stun::USERNAME, &[b'u'; 1400]);
    let large = stun::Stun::new(stun::REQUEST, [1; 12]).with(stun::USERNAME, &vec![b'u'; 60_000]);
    for message in [many, few.clone(), large, few.sealed("guess")] {
        agent.handle_datagram(now, route, &message.0);
        let region = Region::new(ALLOCATOR);
        for _ in 0..TIMES {
            agent.handle_datagram(now, route, &message.0);
        }
        let change = region.change();
        assert!(change.bytes_allocated <= TIMES * 1024 && held(&region) < HARNESS_BYTES, "{change:?}");
    }
}
