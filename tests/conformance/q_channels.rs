//! Stream reconfiguration as channels meet it (RFC 8831 §6.7).

use crate::q_reconfig::*;
use crate::raw_sctp::*;
use bytes::BytesMut;
use std::time::Instant;
use straits_sctp::{
    ChannelCloseReason, ChannelEvent, ChannelId, ChannelInit, ChannelState, Channels, Config, Role,
};

/// Channels in front of a raw peer, which opened the association and is the DTLS client.
struct ChannelPeer {
    now: Instant,
    end: Channels,
    tag: u32,
    tsn: u32,
}

impl ChannelPeer {
    fn new() -> Self {
        let now = Instant::now();
        let mut end = Channels::new(quiet(), [7; 32], now);
        end.set_role(now, Role::Server);
        let mut peer = Self { now, end, tag: 0, tsn: 0 };
        let init = Init::new(0x1234_5678, PEER_TSN).with(SUPPORTED_EXTENSIONS, &[RE_CONFIG]);
        let ack = Init::parse(&peer.exchange(&[init.chunk(INIT)])[0].chunks[0]);
        (peer.tag, peer.tsn) = (ack.tag, ack.tsn);
        peer.exchange(&[Chunk::new(COOKIE_ECHO, 0, &ack.cookie())]);
        assert_eq!(peer.events(), [ChannelEvent::Established]);
        peer
    }

    fn exchange(&mut self, chunks: &[Chunk]) -> Vec<Packet> {
        self.end.handle_packet(self.now, &packet(PORT, PORT, self.tag, chunks));
        let mut buffer = BytesMut::new();
        let mut packets = Vec::new();
        while self.end.poll_transmit(self.now, &mut buffer) {
            packets.push(Packet::parse(&buffer.split()));
        }
        packets
    }

    fn events(&mut self) -> Vec<ChannelEvent> {
        std::iter::from_fn(|| self.end.poll_event()).collect()
    }
}

/// DATA_CHANNEL_OPEN (RFC 8832 §5.1) without label and protocol, on stream 0.
fn open(tsn: u32) -> Chunk {
    let mut chunk = data(tsn, WHOLE, 0, 0, &[3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    chunk.value[8..12].copy_from_slice(&50_u32.to_be_bytes());
    chunk
}

/// RFC 6525 §5.2.3, RFC 8831 §6.7: a peer that asks for our direction of a stream gets it, and its channel closed.
#[test]
fn item_290_asked_for_its_direction_a_channel_closes() {
    for streams in [&[0][..], &[]] {
        let mut peer = ChannelPeer::new();
        let replies = peer.exchange(&[open(PEER_TSN)]);
        assert_eq!(kinds(&replies), [[SACK, DATA]], "the ACK of the channel");
        peer.exchange(&[Sack::new(peer.tsn).chunk()]);
        let events = peer.events();
        let [ChannelEvent::Incoming(id), ChannelEvent::Open(_)] = events[..] else { panic!("{events:?}") };

        let replies = peer.exchange(&[reconfig(&[incoming_reset(PEER_TSN, streams)])]);
        let parameters = split(&only_reconfig(&replies).value);
        let ours = [peer.tsn, PEER_TSN, peer.tsn].map(u32::to_be_bytes).concat();
        assert_eq!(parameters.last(), Some(&(13, [ours, vec![0, 0]].concat())));
        assert_eq!(peer.events(), [ChannelEvent::Closing(id)]);
        assert_eq!(peer.end.channel(id).unwrap().state(), ChannelState::Closing);
        // The peer does it, and resets its own.
        let done =
            [reconfig_response(peer.tsn, PERFORMED), outgoing_reset(PEER_TSN + 1, peer.tsn, PEER_TSN, &[0])];
        assert_eq!(only_reconfig(&peer.exchange(&[reconfig(&done)])), answer(PEER_TSN + 1, PERFORMED));
        assert_eq!(peer.events(), [ChannelEvent::Closed(id, ChannelCloseReason::RemoteClose)]);
        // The stream is free: the next channel on it begins with SSN 0.
        let replies = peer.exchange(&[open(PEER_TSN + 1)]);
        assert_eq!(be16(&replies[0].find(DATA).expect("the ACK").value, 6), 0);
        assert!(matches!(peer.events()[..], [ChannelEvent::Incoming(_), ChannelEvent::Open(_)]));
    }
}

/// Lets two sides talk until both are silent; the streams of the first one's requests, in order.
fn talk(now: Instant, sides: &mut [Channels; 2]) -> Vec<Vec<u16>> {
    let mut requests = Vec::new();
    let mut in_flight = None;
    let mut silent = 0;
    for from in [0, 1].into_iter().cycle() {
        let mut buffer = BytesMut::new();
        silent += 1;
        while sides[from].poll_transmit(now, &mut buffer) {
            silent = 0;
            let read = Packet::parse(&buffer);
            let reconfigs = read.chunks.iter().filter(|chunk| chunk.kind == RE_CONFIG);
            for (kind, value) in reconfigs.flat_map(|chunk| split(&chunk.value)) {
                match (from, kind) {
                    (0, 13) => {
                        assert_eq!(in_flight.replace(be32(&value, 0)), None, "one request in flight");
                        requests.push((12..value.len()).step_by(2).map(|at| be16(&value, at)).collect());
                    }
                    // An answer; but for "in progress", the last one.
                    (1, 16) if be32(&value, 4) != IN_PROGRESS => {
                        in_flight = in_flight.filter(|number| *number != be32(&value, 0));
                    }
                    _ => {}
                }
            }
            sides[1 - from].handle_packet(now, &buffer);
            buffer.clear();
        }
        if silent == 2 {
            break;
        }
    }
    requests
}

/// RFC 8831 §6.7: a thousand channels close, with all of their streams in requests that fit their packets.
#[test]
fn item_297_a_thousand_channels_close() {
    let now = Instant::now();
    let mut sides = [1, 2].map(|seed| Channels::new(Config::default(), [seed; 32], now));
    for (side, role) in sides.iter_mut().zip([Role::Client, Role::Server]) {
        side.set_role(now, role);
        side.connect(now);
    }
    talk(now, &mut sides);
    let ids: Vec<ChannelId> =
        (0..1000).map(|_| sides[0].open(now, ChannelInit::default()).unwrap()).collect();
    talk(now, &mut sides);
    let opened = sides.each_mut().map(|side| {
        let events = std::iter::from_fn(|| side.poll_event());
        events.filter(|event| matches!(event, ChannelEvent::Open(_))).count()
    });
    assert_eq!(opened, [1000, 1000]);
    for id in &ids {
        sides[0].channel(*id).unwrap().close(now);
    }
    let lists = talk(now, &mut sides);
    assert!(lists.len() >= 8 && lists.iter().all(|list| list.len() < 580), "{lists:?}");
    let mut streams = lists.concat();
    streams.sort_unstable();
    assert_eq!(streams, (0..2000).step_by(2).collect::<Vec<u16>>());
    let closed = sides.each_mut().map(|side| {
        let events = std::iter::from_fn(|| side.poll_event());
        events.filter(|event| matches!(event, ChannelEvent::Closed(..))).count()
    });
    assert_eq!(closed, [1000, 1000]);
}
