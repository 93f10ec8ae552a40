//! What a hostile peer's packets cost one engine, each kind at n, 2n and 4n: the time per packet, or per entry of a list, must
//! not grow with n.

#![allow(clippy::unwrap_used, reason = "what fails here fails the bench")]
#![allow(unreachable_pub, reason = "what is shared with tests")]

#[path = "../tests/support/raw_channels.rs"]
#[allow(clippy::unwrap_used, reason = "as in tests")]
mod raw_channels;
#[path = "../tests/support/raw_extensions.rs"]
#[allow(clippy::unwrap_used, reason = "as in tests")]
mod raw_extensions;
#[path = "../tests/support/raw_sctp.rs"]
#[allow(clippy::unwrap_used, reason = "as in tests")]
mod raw_sctp;

use bytes::BytesMut;
use criterion::{BatchSize, Criterion, SamplingMode, Throughput, criterion_group, criterion_main};
use raw_channels::{DCEP, RawChannels, open_message};
use raw_extensions::{INTERLEAVED, PARTIAL};
use raw_sctp::*;
use std::time::Duration;
use straits_sctp::{Config, Limits, Role};

type Packets = Vec<Vec<u8>>;

/// Gives the engine of a peer and what it floods it with. The number is n; some floods have as many packets, others one with so
/// many entries, against so much state.
type Build<E> = fn(u32) -> (RawPeer<E>, Packets);

/// Limits far above what the floods reach: it is growth that is measured.
fn config() -> Config {
    let limits = Limits::default().gap_ranges(1 << 14).incomplete_messages(1 << 14);
    let limits = limits.incomplete_messages_per_stream(Some(1 << 14)).heartbeat_answers_per_second(u32::MAX);
    Config::default()
        .heartbeat_interval(Duration::ZERO)
        .receive_window(1 << 28)
        .max_incoming_channels(1 << 14)
        .max_channel_name_bytes(1 << 28)
        .max_opens_per_second(u32::MAX)
        .limits(limits)
}

/// The same, and few messages may be incomplete: what is refused costs time too.
fn crowded(n: u32) -> Config {
    let limits = Limits::default().gap_ranges(1 << 14).incomplete_messages(n as usize);
    config().limits(limits.incomplete_messages_per_stream(Some(n as usize)))
}

fn packets<E: Engine>(peer: &RawPeer<E>, chunks: impl Iterator<Item = Chunk>) -> Packets {
    chunks.map(|chunk| packet(PORT, PORT, peer.engine_tag, &[chunk])).collect()
}

/// An engine with n small messages on the way, none acknowledged: the size of its window in TSNs is n.
fn in_flight(n: u32) -> RawPeer {
    let mut peer = RawPeer::passive(config());
    (0..3 * n).for_each(|_| peer.user_sends(0, b"x"));
    let mut sent = chunks(&peer.replies()).len() as u32;
    let mut acked = 0;
    // RFC 9260 §7.2.1: each SACK of a packet lets the congestion window grow by one.
    while sent - acked < n {
        acked += CHUNKS_OF_A_PACKET.min(sent - acked);
        let more = peer.acknowledge(acked, 16 << 20).len() as u32;
        assert!(more > 0, "{sent} sent, {acked} acknowledged");
        sent += more;
    }
    peer.engine_tsn = peer.engine_tsn.wrapping_add(acked);
    peer
}

fn largest_sacks(n: u32) -> (RawPeer, Packets) {
    let peer = in_flight(2 * n + 2);
    let base = peer.engine_tsn.wrapping_sub(1);
    let gaps = (0..n as u16).map(|n| (2 + 2 * n, 2 + 2 * n)).collect();
    let full = Sack { window: 0, gaps, ..Sack::new(base) }.chunk();
    let none = Sack { window: 0, ..Sack::new(base) }.chunk();
    let packets = packets(&peer, (0..20).map(|k| if k % 2 == 0 { full.clone() } else { none.clone() }));
    (peer, packets)
}

/// The same largest SACK again.
fn repeated_sacks(n: u32) -> (RawPeer, Packets) {
    let (peer, packets) = largest_sacks(n);
    let packets = vec![packets[0].clone(); 20];
    (peer, packets)
}

/// One block that grows from the end of the window downwards, or moves upwards.
fn creeping_sacks(n: u32) -> (RawPeer, Packets) {
    let peer = in_flight(n + 2);
    let base = peer.engine_tsn.wrapping_sub(1);
    let sack = |end: u32| Sack { window: 0, gaps: vec![(2, end as u16)], ..Sack::new(base) }.chunk();
    let packets = packets(&peer, (0..500).map(|k| sack(n - 500 + k)));
    (peer, packets)
}

/// The highest TSNs one by one: each says once more of all others that they are missing.
fn missing_reports(n: u32) -> (RawPeer, Packets) {
    let peer = in_flight(n + 2);
    let base = peer.engine_tsn.wrapping_sub(1);
    let sack = |end: u32| Sack { window: 0, gaps: vec![((n - 300) as u16, end as u16)], ..Sack::new(base) };
    let packets = packets(&peer, (0..300).map(|k| sack(n - 300 + k).chunk()));
    (peer, packets)
}

fn gaps(n: u32) -> (RawPeer, Packets) {
    let peer = RawPeer::passive(config());
    let packets = packets(&peer, (0..n).map(|k| data(peer.tsn + 1 + 2 * k, WHOLE | UNORDERED, 0, 0, b"x")));
    (peer, packets)
}

/// Gaps from the highest down.
fn gaps_downwards(n: u32) -> (RawPeer, Packets) {
    let peer = RawPeer::passive(config());
    let chunks = (0..n).rev().map(|k| data(peer.tsn + 1 + 2 * k, WHOLE | UNORDERED, 0, 0, b"x"));
    let packets = packets(&peer, chunks);
    (peer, packets)
}

fn beginnings(n: u32) -> (RawPeer, Packets) {
    let peer = RawPeer::passive(config());
    let packets = packets(&peer, (0..n).map(|k| data(peer.tsn + 1 + 2 * k, FIRST, k as u16, 0, b"x")));
    (peer, packets)
}

fn refused_beginnings(n: u32) -> (RawPeer, Packets) {
    let mut peer = RawPeer::passive(crowded(n));
    let tsn = peer.tsn;
    let taken = packets(&peer, (0..n).map(|k| data(tsn + 1 + 2 * k, FIRST, k as u16, 0, b"x")));
    taken.iter().for_each(|packet| peer.send_bytes(packet));
    let refused = packets(&peer, (n..n + 1000).map(|k| data(tsn + 1 + 2 * k, FIRST, k as u16, 0, b"x")));
    (peer, refused)
}

fn refused_beginnings_interleaved(n: u32) -> (RawPeer, Packets) {
    let mut peer = RawPeer::passive_with(crowded(n), INTERLEAVED);
    let tsn = peer.tsn;
    let taken = packets(&peer, (0..n).map(|k| i_data(tsn + 1 + 2 * k, FIRST, 0, k, 53, b"x")));
    taken.iter().for_each(|packet| peer.send_bytes(packet));
    let refused = packets(&peer, (n..n + 1000).map(|k| i_data(tsn + 1 + 2 * k, FIRST, 0, k, 53, b"x")));
    (peer, refused)
}

fn one_long_message(n: u32) -> (RawPeer, Packets) {
    let peer = RawPeer::passive(config().max_receive_message_size(1 << 28));
    let chunks = (0..n).map(|k| data(peer.tsn + k, if k == 0 { FIRST } else { 0 }, 0, 0, b"x"));
    let packets = packets(&peer, chunks);
    (peer, packets)
}

/// Fragments of one message in the worst order: every other one, then those between, from the end.
fn shuffled_fragments(n: u32) -> (RawPeer, Packets) {
    let peer = RawPeer::passive(config().max_receive_message_size(1 << 28));
    let order = (0..n).filter(|k| k % 2 == 1).chain((0..n).rev().filter(|k| k % 2 == 0 && *k > 0));
    let packets = packets(&peer, order.map(|k| data(peer.tsn + k, 0, 0, 0, b"x")));
    (peer, packets)
}

fn small_messages(n: u32) -> (RawPeer, Packets) {
    let peer = RawPeer::passive(config());
    let packets = packets(&peer, (0..n).map(|k| data(peer.tsn + k, WHOLE, 0, k as u16, b"x")));
    (peer, packets)
}

fn messages_on_all_streams(n: u32) -> (RawPeer, Packets) {
    let peer = RawPeer::passive(config());
    let packets = packets(&peer, (0..n).map(|k| data(peer.tsn + k, WHOLE, k as u16, 0, b"x")));
    (peer, packets)
}

/// n streams have been used; each packet resets one.
fn resets(n: u32) -> (RawPeer, Packets) {
    let mut peer = RawPeer::passive_with(config(), PARTIAL);
    for k in 0..n {
        peer.send(&[data(peer.tsn + k, WHOLE, k as u16, 0, b"x")]);
        peer.user_reads(k as u16);
    }
    peer.replies();
    let reset = |k: u32| reconfig(&[outgoing_reset(peer.tsn + k, 0, peer.tsn + n - 1, &[k as u16])]);
    let packets = packets(&peer, (0..500).map(reset));
    (peer, packets)
}

/// n streams have been used; each packet resets all.
fn resets_of_all(n: u32) -> (RawPeer, Packets) {
    let (mut peer, _) = resets(n);
    let tsn = peer.tsn;
    // As new ones they cost nothing.
    peer.send(&[reconfig(&[outgoing_reset(tsn, 0, tsn + n - 1, &[])])]);
    let reset = |k: u32| reconfig(&[outgoing_reset(tsn + 1 + k, 0, tsn + n - 2 - k % 2, &[])]);
    let packets = packets(&peer, (0..500).map(reset));
    (peer, packets)
}

fn lists_of_resets(n: u32) -> (RawPeer, Packets) {
    let peer = RawPeer::passive_with(config(), PARTIAL);
    let list: Vec<_> = (0..n as u16).rev().collect();
    let reset = |k: u32| reconfig(&[outgoing_reset(peer.tsn + k, 0, peer.tsn - 1 - k % 2, &list)]);
    let packets = packets(&peer, (0..50).map(reset));
    (peer, packets)
}

fn lists_of_forward_tsn(n: u32) -> (RawPeer, Packets) {
    let peer = RawPeer::passive_with(config(), PARTIAL);
    let list = |k: u32| (0..n as u16).map(|stream| (stream, k as u16)).collect::<Vec<_>>();
    let packets = packets(&peer, (0..50).map(|k| forward_tsn(peer.tsn + k, &list(k))));
    (peer, packets)
}

/// Each leads so far.
fn far_forward_tsn(n: u32) -> (RawPeer, Packets) {
    let peer = RawPeer::passive_with(config(), PARTIAL);
    let packets = packets(&peer, (1..1000).map(|k| forward_tsn(peer.tsn + k * n, &[(0, k as u16)])));
    (peer, packets)
}

fn heartbeats(n: u32) -> (RawPeer, Packets) {
    let peer = RawPeer::passive(config());
    let packets = packets(&peer, (0..n).map(|_| heartbeat(&[7; 500])));
    (peer, packets)
}

fn opens_with(n: u32, name: usize) -> (RawPeer<straits_sctp::Channels>, Packets) {
    let peer = RawChannels::established(config(), Role::Client).peer;
    let name = vec![b'n'; name];
    let packets = (0..n)
        .map(|k| {
            let mut chunk =
                data(peer.tsn + k, WHOLE, 2 * k as u16 + 1, 0, &open_message(0, 256, 0, &name, b""));
            chunk.value[8..12].copy_from_slice(&DCEP.to_be_bytes());
            packet(PORT, PORT, peer.engine_tag, &[chunk])
        })
        .collect();
    (peer, packets)
}

fn opens(n: u32) -> (RawPeer<straits_sctp::Channels>, Packets) {
    opens_with(n, 1000)
}

/// n channels are open, and their acknowledgements cannot leave since the window is closed; all are to be closed, and then a
/// packet comes that changes nothing.
fn closing_behind_a_closed_window(n: u32) -> (RawPeer<straits_sctp::Channels>, Packets) {
    let peer = waiting_to_close(n);
    let packets = vec![packet(PORT, PORT, peer.engine_tag, &[heartbeat(b"x")]); 1000];
    (peer, packets)
}

/// The same, and then all streams are reset again and again, and asked for.
fn closing_again(n: u32) -> (RawPeer<straits_sctp::Channels>, Packets) {
    let peer = waiting_to_close(n);
    let number = |k: u32| peer.tsn + 1 + k;
    let all = |k: u32| match k % 2 {
        0 => outgoing_reset(number(k), 0, peer.tsn + n - 1, &[]),
        // RFC 6525 §4.2: of all.
        _ => tlv(14, &number(k).to_be_bytes()),
    };
    let packets = packets(&peer, (0..500).map(|k| reconfig(&[all(k)])));
    (peer, packets)
}

fn waiting_to_close(n: u32) -> RawPeer<straits_sctp::Channels> {
    let (mut peer, opens) = opens_with(n, 0);
    let closed = Sack { window: 0, ..Sack::new(peer.engine_tsn.wrapping_sub(1)) }.chunk();
    peer.send(&[closed]);
    opens.iter().for_each(|packet| peer.send_bytes(packet));
    let list: Vec<_> = (0..n as u16).map(|k| 2 * k + 1).collect();
    peer.send(&[reconfig(&[outgoing_reset(peer.tsn, 0, peer.tsn + n - 1, &list)])]);
    peer
}

fn take<E: Engine>(peer: &mut RawPeer<E>, packets: &Packets, answer: &mut BytesMut) {
    for packet in packets {
        peer.engine.handle_packet(peer.now, packet);
        while peer.engine.poll_transmit(peer.now, answer) {
            answer.clear();
        }
        while peer.engine.poll_event().is_some() {}
    }
}

/// `per_entry`: n is the length of the list in each packet.
fn measure<E: Engine>(criterion: &mut Criterion, name: &str, base: u32, per_entry: bool, build: Build<E>) {
    let mut group = criterion.benchmark_group(name);
    // Setting up takes far longer than what is measured.
    group.sampling_mode(SamplingMode::Flat).sample_size(10);
    group.warm_up_time(Duration::from_millis(1)).measurement_time(Duration::from_millis(10));
    let mut answer = BytesMut::with_capacity(1 << 16);
    for n in [base, 2 * base, 4 * base] {
        let count = build(n).1.len() as u64 * if per_entry { u64::from(n) } else { 1 };
        group.throughput(Throughput::Elements(count));
        group.bench_function(format!("{n}"), |bencher| {
            bencher.iter_batched_ref(
                || build(n),
                |(peer, packets)| take(peer, packets, &mut answer),
                BatchSize::PerIteration,
            );
        });
    }
    group.finish();
}

fn acknowledgements(criterion: &mut Criterion) {
    measure(criterion, "largest SACKs, on and off", 500, true, largest_sacks);
    measure(criterion, "largest SACKs, repeated", 500, true, repeated_sacks);
    measure(criterion, "SACKs that creep forward", 1000, false, creeping_sacks);
    measure(criterion, "SACKs that report all as missing", 1000, false, missing_reports);
    measure(criterion, "FORWARD TSN lists", 500, true, lists_of_forward_tsn);
    measure(criterion, "FORWARD TSN far ahead", 1000, false, far_forward_tsn);
}

fn messages(criterion: &mut Criterion) {
    measure(criterion, "gaps", 1000, false, gaps);
    measure(criterion, "gaps downwards", 1000, false, gaps_downwards);
    measure(criterion, "beginnings on all streams", 1000, false, beginnings);
    measure(criterion, "beginnings beyond the limit", 1000, false, refused_beginnings);
    measure(criterion, "beginnings beyond the limit, I-DATA", 1000, false, refused_beginnings_interleaved);
    measure(criterion, "one long message", 4000, false, one_long_message);
    measure(criterion, "one message in the worst order", 1000, false, shuffled_fragments);
    measure(criterion, "small messages", 4000, false, small_messages);
    measure(criterion, "messages on all streams", 4000, false, messages_on_all_streams);
}

fn control(criterion: &mut Criterion) {
    measure(criterion, "RE-CONFIG lists", 500, true, lists_of_resets);
    measure(criterion, "resets beside used streams", 4000, false, resets);
    measure(criterion, "resets of all used streams", 4000, false, resets_of_all);
    measure(criterion, "HEARTBEATs", 1000, false, heartbeats);
    measure(criterion, "OPENs", 1000, false, opens);
    measure(criterion, "closing behind a closed window", 1000, false, closing_behind_a_closed_window);
    measure(criterion, "closing behind a closed window again", 1000, false, closing_again);
}

/// Chunks of one byte that fit the usual packet.
const CHUNKS_OF_A_PACKET: u32 = 58;

criterion_group!(benches, messages, control, acknowledgements);
criterion_main!(benches);
