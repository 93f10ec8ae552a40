//! Attacks on the codec: lengths that lie, counts that lie, text in logs, chunks that are to be thrown back.

use super::raw_extensions::*;
use super::raw_sctp::*;
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha12Rng;
use std::io;
use std::sync::{Arc, Mutex};
use straits_sctp::{Config, Event, State};
use tracing_subscriber::fmt::MakeWriter;

/// A chunk whose length field says something else.
fn lying(chunk: &Chunk, len: u16) -> Vec<u8> {
    let mut bytes = chunk.padded_with(0);
    bytes[2..4].copy_from_slice(&len.to_be_bytes());
    bytes
}

/// One chunk of every type that has contents.
fn every_chunk(peer: &RawPeer) -> Vec<Chunk> {
    vec![
        data(peer.tsn + 5, WHOLE, 0, 0, b"payload"),
        peer.init().with(SUPPORTED_EXTENSIONS, &[RE_CONFIG]).chunk(INIT),
        peer.init().with(7, b"cookie").chunk(INIT_ACK),
        peer.sack(0, &[(2, 3)]),
        heartbeat(b"information"),
        heartbeat_ack(b"information"),
        Chunk::new(ABORT, 0, &tlv(12, b"reason")),
        shutdown(peer.engine_tsn.wrapping_sub(1)),
        error(&[tlv(6, b"chunk"), tlv(13, b"text")]),
        Chunk::new(COOKIE_ECHO, 0, b"cookie"),
        i_data(peer.tsn + 5, WHOLE, 0, 0, 53, b"payload"),
        reconfig(&[outgoing_reset(peer.tsn, 0, peer.tsn, &[1, 2]), reconfig_response(0, 1)]),
        forward_tsn(peer.tsn + 5, &[(0, 0), (1, 1)]),
        i_forward_tsn(peer.tsn + 5, &[(0, false, 0), (1, true, 1)]),
        Chunk::new(PAD, 0, &[0; 8]),
        Chunk::new(0xff, 0, b"unknown"),
    ]
}

/// Lengths of 0 to 3, in every chunk, parameter and cause, first, in the middle and last: each packet is done with.
#[test]
fn attack_09_short_lengths_make_no_loops() {
    for len in 0..4_u16 {
        for at in 0..16 {
            let mut peer = RawPeer::passive_with(Config::default(), PARTIAL);
            let chunk = every_chunk(&peer).remove(at);
            for (before, behind) in [(0, 0), (0, 3), (2, 2)] {
                let pad = Chunk::new(PAD, 0, &[]).padded_with(0);
                let bytes = [
                    pad.repeat(before),
                    lying(&chunk, len),
                    heartbeat(b"behind").padded_with(0),
                    pad.repeat(behind),
                ]
                .concat();
                let bytes = packet_of(PORT, PORT, peer.engine_tag, &bytes);
                // What is behind such a length cannot be found.
                assert_eq!(peer.exchange_bytes(&bytes), [], "type {} of length {len}", chunk.kind);
                assert_eq!(peer.engine.state(), State::Established);
            }
        }
    }
    // Parameters and causes.
    for len in 0..4_u8 {
        let short = [0xc0, 0x10, 0, len];
        for repeated in [1, 2, 50] {
            let list = short.repeat(repeated);
            for kind in [ERROR, RE_CONFIG, HEARTBEAT, HEARTBEAT_ACK] {
                let mut peer = RawPeer::passive_with(Config::default(), PARTIAL);
                peer.assert_chunks_ignored(&[Chunk::new(kind, 0, &list)]);
            }
            let mut peer = RawPeer::new(Config::default());
            let init = [peer.init().fixed(), list.clone()].concat();
            let bytes = packet(PORT, PORT, 0, &[Chunk::new(INIT, 0, &init)]);
            peer.assert_ignored(&bytes);
            peer.connect();
            let answer = [peer.init().with(7, b"cookie").chunk(INIT_ACK).value, list].concat();
            peer.send(&[Chunk::new(INIT_ACK, 0, &answer)]);
            assert!(peer.replies_of_any_tag().iter().all(|packet| packet.find(COOKIE_ECHO).is_none()));
        }
    }
}

/// Each length off by one and by much: no chunk is read beyond its end, whatever lies behind it.
#[test]
fn attack_10_lengths_do_not_reach_behind_their_chunk() {
    for at in 0..16 {
        for delta in [-8_i32, -4, -3, -2, -1, 1, 2, 3, 4, 8, 100, 60_000] {
            let mut peer = RawPeer::passive_with(Config::default(), PARTIAL);
            let chunk = every_chunk(&peer).remove(at);
            let len = i32::try_from(chunk.value.len() + 4).unwrap() + delta;
            let Ok(len) = u16::try_from(len) else { continue };
            // The canary would be gap blocks, entries, streams, or a cause with this text.
            let canary = b"\0\x0d\0\x0ccanary!!".repeat(3);
            let bytes = packet_of(PORT, PORT, peer.engine_tag, &[lying(&chunk, len), canary].concat());
            for packet in peer.exchange_bytes(&bytes) {
                for chunk in packet.chunks {
                    // An echo of what came may hold what its length covers, and never more than came.
                    assert!(chunk.value.len() <= bytes.len(), "{chunk:?}");
                }
            }
        }
    }
}

/// Counts of a SACK one too few, one too many, and the most there is, with true blocks behind it: the chunk is nothing.
#[test]
fn attack_10_counts_have_to_match_their_chunk() {
    let mut peer = RawPeer::passive(Config::default());
    for _ in 0..8 {
        peer.user_sends(0, &[1; 1000]);
    }
    peer.replies();
    let sack = Sack { gaps: vec![(2, 2), (4, 4)], duplicates: vec![1, 2], ..Sack::new(peer.nth(1)) }.chunk();
    for (gaps, duplicates) in
        [(1, 2), (3, 2), (2, 1), (2, 3), (3, 1), (0xffff, 0), (0xffff, 0xffff), (0, 0xffff), (2, 0xfffe)]
    {
        let mut lie = sack.clone();
        lie.value[8..10].copy_from_slice(&u16::to_be_bytes(gaps));
        lie.value[10..12].copy_from_slice(&u16::to_be_bytes(duplicates));
        // (3, 1) has the right sum, and then one of the numbers is a block that cannot be.
        let bytes = [lie.padded_with(0), [0, 6, 0, 6].repeat(20)].concat();
        peer.assert_ignored(&packet_of(PORT, PORT, peer.engine_tag, &bytes));
    }
    peer.send(&[sack]);
    assert_eq!(peer.engine.stats().bytes_in_flight, 8 * 1016 - 4 * 1016);
}

/// Half entries at the end of FORWARD TSN, I-FORWARD-TSN and resets, causes that overhang: the whole chunk is nothing.
#[test]
fn attack_10_half_entries_are_not_read() {
    for cut in 1..4 {
        let mut peer = RawPeer::passive_with(Config::default(), PARTIAL);
        let mut forward = forward_tsn(peer.tsn + 1, &[(0, 0), (1, 0)]);
        forward.value.truncate(forward.value.len() - cut);
        peer.assert_chunks_ignored(&[forward]);
        let mut interleaved = RawPeer::passive_with(Config::default(), INTERLEAVED);
        let mut forward = i_forward_tsn(interleaved.tsn + 1, &[(0, false, 0), (1, true, 0)]);
        forward.value.truncate(forward.value.len() - cut);
        interleaved.assert_chunks_ignored(&[forward]);
    }
    let mut peer = RawPeer::passive_with(Config::default(), PARTIAL);
    let reset = outgoing_reset(peer.tsn, 0, peer.tsn - 1, &[1]);
    let mut odd = reset.clone();
    odd.push(9);
    odd[3] += 1;
    for lie in [odd, reset[..reset.len() - 1].to_vec(), [&[0, 13, 0xff, 0xff][..], &reset[4..]].concat()] {
        peer.assert_chunks_ignored(&[Chunk::new(RE_CONFIG, 0, &lie)]);
    }
    // RFC 9260 §3.3.10.2: a count of missing parameters that is not theirs.
    for count in [0_u32, 2, 3, 0x4000_0000, u32::MAX] {
        let cause = tlv(2, &[&count.to_be_bytes()[..], &[0, 7]].concat());
        let before = peer.snapshot();
        assert_eq!(peer.exchange(&[error(&[cause])]), []);
        assert_eq!(peer.snapshot(), before);
    }
}

/// Whatever is in a packet, in whatever state: no panic, no timer in the past, an end to the answers.
#[test]
fn attack_11_noise_never_panics() {
    for seed in 0..60 {
        let mut random = ChaCha12Rng::seed_from_u64(seed);
        let mut peer = match seed % 3 {
            0 => RawPeer::passive_with(Config::default(), PARTIAL),
            1 => RawPeer::passive_with(Config::default(), INTERLEAVED),
            _ => RawPeer::new(Config::default()),
        };
        for _ in 0..200 {
            let templates = every_chunk(&peer);
            let mut chunks = Vec::new();
            for _ in 0..random.random_range(1..4) {
                let mut chunk = templates[random.random_range(0..templates.len())].padded_with(0);
                for _ in 0..random.random_range(0..4) {
                    let at = random.random_range(0..chunk.len());
                    chunk[at] = [0, 1, 0x7f, 0x80, 0xff, random.random()][random.random_range(0..6)];
                }
                chunks.extend(chunk);
            }
            let tag = if random.random_bool(0.1) { 0 } else { peer.engine_tag };
            let replies = peer.exchange_bytes(&packet_of(PORT, PORT, tag, &chunks));
            assert!(replies.len() < 100);
            if random.random_bool(0.1) {
                peer.run_for(ms(random.random_range(0..2000)));
            }
            if random.random_bool(0.1) && peer.engine.state() == State::Established {
                let stream = random.random_range(0..4);
                let message = vec![0; random.random_range(1..4000)];
                let now = peer.now;
                // Full, resetting or ended, perhaps.
                let _ = peer.engine.send(
                    now,
                    straits_sctp::StreamId(stream),
                    straits_sctp::Ppid::BINARY,
                    message.into(),
                    true,
                    straits_sctp::Reliability::Reliable,
                );
            }
        }
    }
}

/// Arithmetic on what comes off the wire is checked in release builds as in these.
#[test]
fn attack_11_31_release_builds_check_for_overflow() {
    let manifest = include_str!("../../Cargo.toml");
    for name in ["sctp", "ice", "dtls", "peer"] {
        let section = format!("[profile.release.package.straits-{name}]\noverflow-checks = true");
        assert!(manifest.contains(&section), "{name}");
    }
}

/// What was written to a log.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

/// Text of the peer in errors, aborts and cookies does not run through the log: it is short there, and escaped.
#[test]
fn attack_12_logs_hold_little_of_the_attacker() {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt()
        .with_ansi(false)
        .with_max_level(tracing::Level::TRACE)
        .with_writer(log.clone())
        .finish();
    let text = b"\x1b[2J\r\n2026-01-01T00:00:00Z ERROR forged: line\0\x07".repeat(250);
    tracing::subscriber::with_default(subscriber, || {
        for kind in [12, 13, 6, 8, 11, 99] {
            let mut peer = RawPeer::passive(Config::default());
            peer.max_packet_size = 65_535;
            peer.exchange(&[error(&[tlv(kind, &text)])]);
            peer.exchange(&[Chunk::new(0xff, 0, &text)]);
            peer.exchange(&[heartbeat(&text)]);
            let events = peer.drain_events();
            assert!(events.iter().all(|event| match event {
                Event::RemoteError { message, .. } => message.len() <= 256,
                _ => true,
            }));
            peer.exchange(&[Chunk::new(ABORT, 0, &tlv(kind, &text))]);
            assert_eq!(peer.engine.state(), State::Closed);
        }
    });
    let log = log.0.lock().unwrap();
    let log = std::str::from_utf8(&log).expect("text");
    assert!(log.contains("the peer reports an error"), "{log}");
    let control = log.chars().find(|char| char.is_control() && *char != '\n');
    assert_eq!(control, None);
    assert!(log.lines().all(|line| !line.starts_with("2026-01-01T00:00:00Z")), "a line of the attacker's");
    let longest = log.lines().map(str::len).max();
    assert!(longest < Some(2048), "a line of {longest:?} bytes");
}

/// Chunks of unknown types, which ask for it, are reported once for a packet, and not beyond the packet size.
#[test]
fn attack_13_unknown_chunks_are_not_a_mirror() {
    let mut peer = RawPeer::passive(Config::default());
    for kind in [0x41, 0x7f, 0xc5, 0xff] {
        for len in [0, 10, 1100, 4000, 16_000] {
            let unknown = Chunk::new(kind, 0, &vec![0x55; len]);
            let bytes = packet(PORT, PORT, peer.engine_tag, &vec![unknown; 3]);
            let replies = peer.exchange_bytes(&bytes);
            assert_eq!(kinds(&replies), [[ERROR]], "type {kind}");
            assert_eq!(split(&replies[0].chunks[0].value).len(), 1);
            assert!(replies[0].len <= 1191 && replies[0].len <= bytes.len(), "{}", replies[0].len);
        }
    }
    for kind in [0x20, 0x3f, 0x90, 0xbf] {
        assert_eq!(peer.exchange(&[Chunk::new(kind, 0, &[0x55; 100])]), []);
    }
}
