//! The size of packets (RFC 8831 §5, RFC 8261 §5).

use crate::raw_sctp::*;
use crate::stack;
use bytes::Bytes;
use std::time::Duration;
use straits_peer::sctp::MessageKind;
use straits_sctp::Config;
use straits_sim::{Simulation, seed};

/// 1280 bytes, which every IPv6 path carries, less 40 (IPv6), 8 (UDP), 4 (TURN), and what DTLS adds.
const BASE: usize = 1191;
/// 13 bytes of record header, 8 of nonce and 16 of tag (RFC 6347 §4.1, RFC 5288 §3).
const DTLS: usize = 37;

/// RFC 8831 §5: "SHOULD NOT exceed 1200 bytes for IPv4 and 1280 bytes for IPv6": the default is for the latter, and 1131 for
/// the former.
#[test]
fn item_211_base_size() {
    for (config, size) in
        [(Config::default(), BASE), (Config::default().max_packet_size(1131), 1131), (Config::strict(), BASE)]
    {
        let mut peer = RawPeer::new(config);
        peer.max_packet_size = size;
        peer.open();
        assert_eq!(peer.engine.stats().mtu, size);
        peer.user_sends(0, &[1; 100_000]);
        let largest = peer.replies().iter().map(|packet| packet.len).max();
        // Packets are whole words.
        assert_eq!(largest, Some(size / 4 * 4));
    }
}

/// RFC 8261 §5, counted where it matters: no UDP payload of a connection that carries bulk both ways is above 1228 bytes, so
/// no IPv6 packet is above 1280 even behind TURN.
#[test]
fn item_211_base_size_after_dtls() {
    let (mut net, ours, theirs) = stack::connected(seed());
    let now = net.now();
    for _ in 0..20 {
        let message = Bytes::from_static(&[7; 60_000]);
        net.a.peer.channel(ours).unwrap().send(now, MessageKind::Binary, message.clone()).unwrap();
        net.b.peer.channel(theirs).unwrap().send(now, MessageKind::Binary, message).unwrap();
    }
    net.run_for(Duration::from_secs(20));
    for end in [&net.a, &net.b] {
        assert_eq!(end.received.iter().map(|(_, _, data)| data.len()).sum::<usize>(), 20 * 60_000);
        let largest = end.runs.iter().flatten().max();
        assert_eq!(largest, Some(&(BASE / 4 * 4 + DTLS)));
    }
    assert_eq!(40 + 8 + 4 + DTLS + BASE, 1280);
}
