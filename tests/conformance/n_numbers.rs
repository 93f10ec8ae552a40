//! Serial numbers (RFC 9260 §1.6, RFC 1982).

use crate::raw_sctp::*;
use crate::sctp_pair::{Net, rough};
use bytes::Bytes;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;
use straits_sctp::{Association, CloseReason, Config, Event, State, StreamId};
use straits_sim::{Simulation, seed};

fn quiet() -> Config {
    Config::default().heartbeat_interval(Duration::ZERO)
}

/// An association with these first TSNs of the engine and of the peer, who can reset streams.
fn starting_at(engine_tsn: u32, peer_tsn: u32) -> RawPeer {
    let mut peer = RawPeer::new(quiet());
    peer.engine.set_initial_tsn(engine_tsn);
    peer.tsn = peer_tsn;
    let ack = peer.send_init(&peer.init().with(SUPPORTED_EXTENSIONS, &[RE_CONFIG]));
    assert_eq!(ack.tsn, engine_tsn);
    (peer.engine_tag, peer.engine_tsn) = (ack.tag, ack.tsn);
    assert_eq!(kinds(&peer.exchange(&[Chunk::new(COOKIE_ECHO, 0, &ack.cookie())])), [[COOKIE_ACK]]);
    peer.drain_events();
    peer
}

/// Sends a chunk; which of the engine's messages, counted from 0, come for it.
fn resent(peer: &mut RawPeer, chunk: Chunk) -> Vec<u32> {
    let replies = peer.exchange(&[chunk]);
    let chunks = replies.iter().flat_map(|packet| &packet.chunks);
    chunks.map(|chunk| chunk.tsn().wrapping_sub(peer.engine_tsn)).collect()
}

/// RFC 9260 §1.6: "the next TSN a DATA chunk MUST use after transmitting TSN = 2^32 - 1 is TSN = 0": transfers both ways, in
/// spite of what the network does.
#[test]
fn item_236_transfers_over_the_wrap() {
    let messages: Vec<Bytes> =
        (0..60_u8).map(|n| Bytes::from(vec![n; [1, 1160, 5000, 40, 2320][usize::from(n) % 5]])).collect();
    for before in [0, 1, 2, 7, 30, 100] {
        let mut net = Net::new(quiet(), quiet(), rough(0.05, 0.1, 0.05), seed());
        net.a.engine.set_initial_tsn(u32::MAX - before);
        net.b.engine.set_initial_tsn(u32::MAX - before / 2);
        net.a.call(Association::connect);
        for message in &messages {
            net.a.send(0, message.clone(), true);
            net.b.send(0, message.clone(), true);
        }
        net.run_until_idle();
        for end in [&net.a, &net.b] {
            assert!(end.received_on(0) == messages, "{before} before the wrap");
            assert_eq!((end.engine.state(), end.engine.undelivered()), (State::Established, 0));
        }
    }
}

/// The same for each thing that compares TSNs at the sender: gap blocks, misses, the exit of recovery, T3, SHUTDOWN.
#[test]
fn item_236_sending_over_the_wrap() {
    for before in 0..12 {
        let mut peer = starting_at(u32::MAX - before, 1000);
        for _ in 0..10 {
            peer.user_sends(0, &[1; 100]);
            assert_eq!(peer.replies().len(), 1);
        }
        let sack = |n: u32, gaps: &[(u16, u16)]| {
            let cumulative = (u32::MAX - before).wrapping_add(n).wrapping_sub(1);
            Sack { gaps: gaps.to_vec(), ..Sack::new(cumulative) }.chunk()
        };
        assert_eq!(resent(&mut peer, sack(3, &[(2, 2)])), []);
        assert_eq!(resent(&mut peer, sack(3, &[(2, 3)])), []);
        assert_eq!(resent(&mut peer, sack(3, &[(2, 4)])), [3]);
        peer.assert_chunks_ignored(&[sack(2, &[])]);
        peer.assert_chunks_ignored(&[sack(11, &[])]);
        assert_eq!(resent(&mut peer, sack(8, &[])), []);
        assert_eq!(peer.engine.stats().bytes_in_flight, 2 * 116);
        let due = peer.engine.poll_timeout().unwrap();
        let sent = peer.run_for(due - peer.now);
        let tsns: Vec<u32> = sent[0].1.chunks.iter().map(Chunk::tsn).collect();
        assert_eq!(tsns, [8, 9].map(|n| peer.engine_tsn.wrapping_add(n)));
        assert_eq!(kinds(&peer.exchange(&[shutdown(peer.engine_tsn.wrapping_add(9))])), [[SHUTDOWN_ACK]]);
    }
}

/// The same at the receiver: cumulative TSN, gap blocks, duplicates, in three orders of arrival.
#[test]
fn item_236_receiving_over_the_wrap() {
    for before in 0..12 {
        for stride in [1, 5, 7] {
            let first = u32::MAX - before;
            let mut peer = starting_at(1000, first);
            let mut arrived = BTreeSet::new();
            let highest = first.wrapping_add(11);
            for n in (0..12).map(|step| step * stride % 12) {
                let tsn = first.wrapping_add(n);
                let chunk = data(tsn, WHOLE | UNORDERED | IMMEDIATE, 0, 0, &[n as u8]);
                let replies = peer.exchange(&[chunk.clone(), chunk]);
                let sack = Sack::parse(&replies[0].chunks[0]);
                arrived.insert(n);
                let in_sequence = (0..12).take_while(|n| arrived.contains(n)).count() as u32;
                assert_eq!(sack.cumulative, first.wrapping_add(in_sequence).wrapping_sub(1));
                let reported: u32 = sack.gaps.iter().map(|(start, end)| u32::from(end - start) + 1).sum();
                assert_eq!((reported, sack.duplicates), (arrived.len() as u32 - in_sequence, vec![tsn]));
            }
            let mut received = peer.user_reads(0);
            received.sort();
            assert_eq!(received, (0..12_u8).map(|n| vec![n]).collect::<Vec<_>>());
            peer.engine.shutdown(peer.now);
            assert_eq!(peer.replies()[0].chunks[0], shutdown(highest));
        }
    }
}

/// RFC 9260 §6.5: "when the Stream Sequence Number reaches the value 65535, the next Stream Sequence Number MUST be set to
/// 0."
#[test]
fn item_237_ssn_sent() {
    let mut peer = starting_at(1000, 1000);
    let mut next = 0_u32;
    while next < (1 << 16) + 40 {
        (0..20).for_each(|_| peer.user_sends(3, b"data"));
        let sent = peer.replies();
        for chunk in sent.iter().flat_map(|packet| &packet.chunks) {
            assert_eq!((be16(&chunk.value, 4), be16(&chunk.value, 6)), (3, next as u16));
            next += 1;
        }
        peer.exchange(&[Sack::new(1000 + next - 1).chunk()]);
    }
    assert_eq!(next, (1 << 16) + 40 + 4);
    assert_eq!(peer.engine.undelivered(), 0);
}

/// The same received: in order, although each twenty come backwards.
#[test]
fn item_237_ssn_received() {
    let mut peer = starting_at(1000, 1000);
    for batch in 0..(1 << 16) / 20 + 2 {
        let numbers = batch * 20..batch * 20 + 20_u32;
        let message = |n: u32| data(1000 + n, WHOLE, 3, n as u16, &n.to_be_bytes());
        let chunks: Vec<Chunk> = numbers.clone().rev().map(message).collect();
        peer.exchange(&chunks);
        assert_eq!(peer.user_reads(3), numbers.map(|n| n.to_be_bytes().to_vec()).collect::<Vec<_>>());
    }
}

/// RFC 6525 §4.1: request numbers begin at the initial TSN and go on by one: over the wrap, ours.
#[test]
fn item_237_request_numbers_sent() {
    let mut peer = starting_at(u32::MAX - 1, 1000);
    for number in [u32::MAX - 1, u32::MAX, 0, 1] {
        peer.engine.reset_streams(peer.now, &[StreamId(5)]).unwrap();
        let request = outgoing_reset(number, 999, peer.engine_tsn.wrapping_sub(1), &[5]);
        assert_eq!(peer.replies()[0].chunks, [reconfig(&[request])]);
        // What is not of this request changes nothing.
        for other in [number.wrapping_sub(1), number.wrapping_add(1), number ^ 1 << 31] {
            peer.assert_chunks_ignored(&[reconfig(&[reconfig_response(other, 1)])]);
        }
        peer.exchange(&[reconfig(&[reconfig_response(number, 1)])]);
        let event = Event::OutgoingStreamsReset { streams: vec![StreamId(5)], accepted: true };
        assert_eq!(peer.drain_events(), [event]);
    }
}

/// The same, the peer's: each is performed, its repetition answered again, and nothing else taken for the next.
#[test]
fn item_237_request_numbers_received() {
    let mut peer = starting_at(1000, u32::MAX - 1);
    for number in [u32::MAX - 1, u32::MAX, 0, 1] {
        let answer = |peer: &mut RawPeer, number: u32| {
            let request = outgoing_reset(number, 999, u32::MAX - 2, &[5]);
            let replies = peer.exchange(&[reconfig(&[request])]);
            assert_eq!(kinds(&replies), [[RE_CONFIG]]);
            replies[0].chunks[0].clone()
        };
        for other in [number.wrapping_add(1), number ^ 1 << 31] {
            assert_eq!(answer(&mut peer, other), reconfig(&[reconfig_response(other, 5)]));
        }
        assert_eq!(peer.drain_events(), []);
        assert_eq!(answer(&mut peer, number), reconfig(&[reconfig_response(number, 1)]));
        assert_eq!(answer(&mut peer, number), reconfig(&[reconfig_response(number, 1)]));
        assert_eq!(peer.drain_events(), [Event::IncomingStreamsReset(vec![StreamId(5)])]);
    }
}

/// RFC 1982 §3.2 leaves numbers half the range apart without an order: whatever they are taken for, they change nothing.
#[test]
fn item_238_half_the_range_apart() {
    const HALF: u32 = 1 << 31;
    for first in [0, 1, HALF - 1, HALF, u32::MAX - 1, u32::MAX] {
        // DATA: neither delivered nor acknowledged.
        let mut peer = starting_at(first, first);
        let chunk = peer.next_data(0, b"first");
        peer.exchange(&[chunk]);
        assert_eq!(peer.exchange(&[data(first.wrapping_add(HALF), WHOLE, 0, 1, b"far")]), []);
        let chunk = peer.next_data(1, b"second");
        let replies = peer.exchange(&[Chunk { flags: WHOLE | IMMEDIATE, ..chunk }]);
        let sack = Sack::parse(&replies[0].chunks[0]);
        assert_eq!((sack.cumulative, sack.gaps, sack.duplicates), (first.wrapping_add(1), vec![], vec![]));
        assert_eq!(peer.user_reads(0), ["first", "second"]);
        // SACK, as its cumulative TSN and as a duplicate; SHUTDOWN.
        peer.user_sends(0, b"outstanding");
        peer.replies();
        let far = first.wrapping_sub(1).wrapping_add(HALF);
        peer.assert_chunks_ignored(&[Sack::new(far).chunk()]);
        let duplicates = vec![far, far.wrapping_add(1), far.wrapping_sub(1)];
        peer.assert_chunks_ignored(&[Sack { duplicates, ..Sack::new(first.wrapping_sub(1)) }.chunk()]);
        // RE-CONFIG: its number, and its last TSN.
        for (number, last_tsn, result) in
            [(first.wrapping_add(HALF), first, 5), (first, far.wrapping_add(2), 3)]
        {
            let replies = peer.exchange(&[reconfig(&[outgoing_reset(number, 0, last_tsn, &[])])]);
            assert_eq!(replies[0].chunks[0], reconfig(&[reconfig_response(number, result)]));
        }
        assert_eq!(peer.exchange(&[shutdown(far)]), []);
        assert_eq!((peer.engine.state(), peer.engine.undelivered()), (State::ShutdownReceived, 11));
    }
}

/// RFC 9260 §6.5 has no SSN that skips others: half the range ahead is not delivered, and no ambiguity but an error.
#[test]
fn item_238_ssn_half_the_range_apart() {
    for ssn in [(1 << 15) - 1, 1 << 15, (1 << 15) + 1] {
        let mut peer = starting_at(1000, 1000);
        assert_eq!(kinds(&peer.exchange(&[data(1000, WHOLE, 0, ssn, b"far")])), [[ABORT]]);
        assert!(matches!(
            peer.drain_events()[..],
            [Event::Closed(CloseReason::RemoteViolation("stream sequence number skipped"))]
        ));
        assert_eq!(peer.user_reads(0), Vec::<Bytes>::new());
    }
}

/// Whatever numbers come, in all their extremes, nothing panics or goes on for ever.
#[test]
fn item_238_extremes() {
    let extremes = [0, 1, 2, (1 << 31) - 2, (1 << 31) - 1, 1 << 31, (1 << 31) + 1, u32::MAX - 1, u32::MAX];
    for first in extremes {
        let mut peer = starting_at(first, first);
        peer.user_sends(0, &[1; 3000]);
        peer.replies();
        for number in extremes.map(|offset| first.wrapping_add(offset)) {
            let far = [number, number.wrapping_add(1), number ^ 1 << 31];
            for (start, end) in [(0, 0), (1, 1), (1, u16::MAX), (u16::MAX, u16::MAX), (u16::MAX, 1)] {
                let gaps = vec![(start, end), (end, start)];
                peer.send(&[Sack { gaps, duplicates: far.to_vec(), ..Sack::new(number) }.chunk()]);
            }
            for other in far {
                peer.send(&[data(other, WHOLE | UNORDERED, 0, other as u16, b"data")]);
                peer.send(&[reconfig(&[outgoing_reset(number, other, other, &[1])])]);
                peer.send(&[reconfig(&[reconfig_response(other, 1)])]);
            }
            // It ends, which `replies` sees to.
            peer.replies();
            peer.user_reads(0);
        }
        peer.run_for(secs(2));
        assert_eq!(peer.engine.state(), State::Established, "from {first}");
    }
}

/// All sources of the engine.
fn sources(directory: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files
}

/// Numbers that wrap, as the wire has them.
const SERIALS: [&str; 3] = ["Tsn", "Ssn", "Mid"];

fn words(code: &str) -> impl Iterator<Item = &str> {
    code.split(|c: char| !c.is_alphanumeric() && c != '_')
}

/// What a source does that an order of serial numbers would need: keyed containers, and the order itself.
fn ordered_serials(source: &str) -> Vec<String> {
    let mut found = Vec::new();
    for container in ["BTreeMap<", "BTreeSet<", "HashMap<", "HashSet<", "BinaryHeap<"] {
        for (at, _) in source.match_indices(container) {
            let mut depth = 0;
            let key = source[at + container.len()..].split(|c: char| {
                depth += match c {
                    '<' | '(' => 1,
                    '>' | ')' => -1,
                    _ => 0,
                };
                depth < 0 || (depth == 0 && c == ',')
            });
            found.extend(
                key.take(1).filter(|key| words(key).any(|word| SERIALS.contains(&word))).map(str::to_owned),
            );
        }
    }
    let lines: Vec<&str> = source.lines().map(str::trim).collect();
    for pair in lines.windows(2) {
        let names_serial = words(pair[1]).any(|word| SERIALS.contains(&word));
        let derives = pair[0].starts_with("#[derive(") && pair[1].contains("struct ") && names_serial;
        if derives && words(pair[0]).any(|word| word.ends_with("Ord")) {
            found.push(pair[1].to_owned());
        }
    }
    found.extend(
        lines
            .iter()
            .filter(|line| {
                let implements = words(line).any(|word| word.ends_with("Ord")) && line.starts_with("impl");
                implements && SERIALS.iter().any(|serial| line.contains(&format!(" for {serial} ")))
            })
            .map(|line| (*line).to_owned()),
    );
    found
}

/// RFC 1982 orders no three numbers around the wrap: containers are keyed by unwrapped numbers, and the numbers of the wire
/// have no `Ord`.
#[test]
fn item_239_serials_are_no_keys() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/sctp/src");
    let files = sources(&directory);
    let mut declared = 0;
    for file in &files {
        let source = fs::read_to_string(file).unwrap();
        declared += SERIALS.iter().filter(|serial| source.contains(&format!("struct {serial}("))).count();
        assert_eq!(ordered_serials(&source), Vec::<String>::new(), "{}", file.display());
    }
    assert_eq!(declared, SERIALS.len(), "among {} files", files.len());
}

/// What the review above looks for, it finds.
#[test]
fn item_239_the_review_sees() {
    for bad in [
        "chunks: BTreeMap<Tsn, Chunk>,",
        "waiting: HashMap<(StreamId, Ssn), Bytes>,",
        "seen: BTreeSet<Mid>",
        "lost: BinaryHeap<Reverse<Tsn>>",
        "#[derive(Clone, Copy, PartialOrd)]\npub(crate) struct Tsn(pub(crate) u32);",
        "#[derive(Eq, Ord)]\npub struct Mid(u32);",
        "impl Ord for Ssn {",
        "impl PartialOrd<u16> for Ssn {",
    ] {
        assert_eq!(ordered_serials(bad).len(), 1, "{bad}");
    }
    for good in [
        "streams: BTreeMap<StreamId, Ssn>,",
        "ranges: BTreeMap<u64, Vec<Tsn>>",
        "#[derive(PartialEq, Eq, Hash)]\npub(crate) struct Tsn(pub(crate) u32);",
        "#[derive(PartialOrd, Ord)]\npub struct StreamId(pub u16);",
    ] {
        assert_eq!(ordered_serials(good), Vec::<String>::new(), "{good}");
    }
}
