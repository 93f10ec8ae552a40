//! Every bound of `Limits` is met, holds, and is counted.

use super::raw::*;
use crate::number::{Ppid, StreamId, Tsn};
use crate::wire::{Checksum, Data, ForwardTsn, Heartbeat, List, Pad, Parameter};
use crate::{CloseReason, Config, Drops, Limits, State};

/// Established, with these limits.
fn with(limits: Limits) -> Raw {
    let mut raw = Raw::with(Config::default().limits(limits));
    raw.end.connect(raw.now);
    raw.drain();
    raw.feed(&init_ack(PEER_TAG, &[Parameter::StateCookie(b"cookie"), Parameter::ForwardTsnSupported]));
    raw.drain();
    raw.feed(&crate::wire::Chunk::CookieAck);
    raw.drain();
    assert_eq!(raw.end.state(), State::Established);
    raw.events();
    raw
}

fn drops(raw: &Raw) -> Drops {
    raw.end.stats().drops
}

/// The lines of all chunks there are to send.
fn lines(raw: &mut Raw) -> Vec<String> {
    raw.drain().into_iter().flat_map(|sent| sent.chunks).collect()
}

fn begin(tsn: u32, stream: u16) -> Data<'static> {
    Data { stream: StreamId(stream), end: false, payload: b"begun", ..data(tsn) }
}

#[test]
fn received_packet_size() {
    let mut raw = with(Limits::default().received_packet_size(1000));
    let heartbeat = Heartbeat { info: b"info", others: &[] };
    // Common header, HEARTBEAT, and the header of PAD.
    let padding = 1000 - 12 - 12 - 4;
    let fits = packet(raw.tag, &[&heartbeat, &Pad { length: padding }], Checksum::Crc32c);
    assert_eq!(fits.len(), 1000);
    raw.end.handle_packet(raw.now, &fits);
    assert_eq!(raw.names(), [["HEARTBEAT-ACK"]]);
    let larger = packet(raw.tag, &[&heartbeat, &Pad { length: padding + 4 }], Checksum::Crc32c);
    raw.end.handle_packet(raw.now, &larger);
    assert!(raw.names().is_empty());
    assert_eq!(drops(&raw), Drops { oversized_packets: 1, ..Drops::default() });
}

#[test]
fn chunks_per_packet() {
    let mut raw = with(Limits::default().chunks_per_packet(3));
    let heartbeat = Heartbeat { info: b"info", others: &[] };
    let pad = Pad { length: 0 };
    raw.feed_packet(raw.tag, &[&pad, &pad, &heartbeat, &data(PEER_TSN)]);
    assert_eq!(raw.names(), [["HEARTBEAT-ACK", "SACK"]]);
    assert_eq!(drops(&raw), Drops::default());
    raw.feed_packet(raw.tag, &[&pad, &pad, &pad, &heartbeat, &data(PEER_TSN + 1)]);
    assert!(raw.names().is_empty());
    assert_eq!(drops(&raw), Drops { crowded_packets: 1, ..Drops::default() });
}

#[test]
fn init_parameters() {
    let mut raw = Raw::with(Config::default().limits(Limits::default().init_parameters(4)));
    let parameters = [Parameter::EcnCapable; 5];
    raw.feed_packet(0, &[&init_with(PEER_TAG, &parameters[..4])]);
    assert_eq!(raw.names(), [["INIT-ACK"]]);
    raw.feed_packet(0, &[&init_with(PEER_TAG, &parameters)]);
    assert!(raw.names().is_empty());
    assert_eq!(drops(&raw), Drops { crowded_inits: 1, ..Drops::default() });
}

#[test]
fn peer_cookie_size() {
    for (len, state, too_large) in [(100, State::CookieEchoed, 0), (101, State::Closed, 1)] {
        let mut raw = Raw::with(Config::default().limits(Limits::default().peer_cookie_size(100)));
        raw.end.connect(raw.now);
        raw.drain();
        raw.feed(&init_ack(PEER_TAG, &[Parameter::StateCookie(&vec![1; len])]));
        assert_eq!(raw.end.state(), state);
        assert_eq!(drops(&raw), Drops { oversized_cookies: too_large, ..Drops::default() });
    }
}

#[test]
fn stranger_answers_per_second() {
    let limits = Limits::default().stranger_answers_per_second(2);
    let mut raw = Raw::with(Config::default().limits(limits));
    for _ in 0..5 {
        raw.feed_packet(99, &[&data(1)]);
    }
    assert_eq!(raw.names(), [["ABORT"]], "equal answers are one");
    assert_eq!(drops(&raw), Drops { stranger_answers: 3, ..Drops::default() });
}

#[test]
fn heartbeat_answers_per_second() {
    let mut raw = with(Limits::default().heartbeat_answers_per_second(2));
    let mut answers = 0;
    for n in 0..5_u8 {
        raw.feed(&Heartbeat { info: &[n], others: &[] });
        answers += raw.drain().len();
    }
    assert_eq!(answers, 2);
    raw.feed(&Heartbeat { info: &[0; 1200], others: &[] });
    assert_eq!(drops(&raw), Drops { heartbeat_answers: 4, ..Drops::default() });
}

#[test]
fn queued_answers() {
    let mut raw = with(Limits::default().queued_answers(2));
    for n in 0..5_u8 {
        raw.feed(&Heartbeat { info: &[n], others: &[] });
    }
    assert_eq!(raw.names(), [["HEARTBEAT-ACK", "HEARTBEAT-ACK"]]);
    assert_eq!(drops(&raw), Drops { queued_answers: 3, ..Drops::default() });
}

/// RFC 9260 §3.3.4: offsets of gap blocks have 16 bits.
#[test]
fn tsn_distance() {
    let mut raw = with(Limits::default().tsn_distance(100));
    raw.feed(&data(PEER_TSN + 99));
    assert!(lines(&mut raw)[0].contains("gaps=[100-100]"));
    raw.feed(&data(PEER_TSN + 100));
    raw.feed(&ForwardTsn { new_cumulative_tsn: Tsn(PEER_TSN + 100), streams: List::EMPTY });
    assert!(raw.names().is_empty());
    assert_eq!(drops(&raw), Drops { beyond_tsn_distance: 2, ..Drops::default() });
}

#[test]
fn gap_ranges() {
    let mut raw = with(Limits::default().gap_ranges(2));
    for offset in [2, 4, 6] {
        raw.feed(&data(PEER_TSN + offset));
    }
    let sacks = lines(&mut raw);
    assert!(sacks.last().unwrap().contains("gaps=[3-3,5-5]"), "{sacks:?}");
    assert_eq!(drops(&raw), Drops { beyond_gap_ranges: 1, ..Drops::default() });
}

#[test]
fn duplicates_reported() {
    let mut raw = with(Limits::default().duplicates_reported(2));
    for _ in 0..6 {
        raw.feed(&data(PEER_TSN));
    }
    let sacks = lines(&mut raw);
    assert!(sacks.last().unwrap().contains("duplicates=2"), "{sacks:?}");
    assert_eq!(drops(&raw), Drops { unreported_duplicates: 3, ..Drops::default() });
}

/// Those of all streams, and those of one.
#[test]
fn incomplete_messages() {
    let all = Limits::default().incomplete_messages(2);
    let one = Limits::default().incomplete_messages_per_stream(Some(2));
    for (limits, streams) in [(all, [0, 1, 2]), (one, [0, 0, 0])] {
        let mut raw = with(limits);
        for (stream, offset) in streams.into_iter().zip([1, 3, 5]) {
            raw.feed(&begin(PEER_TSN + offset, stream));
        }
        let sacks = lines(&mut raw);
        assert!(sacks.last().unwrap().contains("gaps=[2-2,4-4]"), "{sacks:?}");
        assert_eq!(drops(&raw), Drops { beyond_incomplete_messages: 1, ..Drops::default() });
    }
}

/// The window, and the hard limit of twice as much.
#[test]
fn receive_buffer() {
    let mut raw =
        Raw::with(Config::default().receive_window(3000).heartbeat_interval(std::time::Duration::ZERO));
    raw.end.connect(raw.now);
    raw.drain();
    raw.feed(&init_ack(PEER_TAG, &[Parameter::StateCookie(b"cookie")]));
    raw.drain();
    raw.feed(&crate::wire::Chunk::CookieAck);
    raw.drain();
    let payload = [7; 1000];
    for n in 0..6 {
        raw.feed(&Data { payload: &payload, ..data(PEER_TSN + n) });
    }
    let sacks = lines(&mut raw);
    assert!(sacks.last().unwrap().contains(&format!("cum={} a_rwnd=0", PEER_TSN + 4)), "{sacks:?}");
    assert_eq!(drops(&raw), Drops { buffer_full: 1, ..Drops::default() });
}

#[test]
fn largest_message() {
    let mut raw = Raw::with(Config::default().max_receive_message_size(10));
    raw.end.connect(raw.now);
    raw.drain();
    raw.feed(&init_ack(PEER_TAG, &[Parameter::StateCookie(b"cookie")]));
    raw.feed(&crate::wire::Chunk::CookieAck);
    raw.drain();
    raw.events();
    raw.feed(&Data { payload: b"eleven byte", ppid: Ppid::BINARY, ..data(PEER_TSN) });
    assert_eq!(raw.events(), [crate::Event::MessageTooLarge(StreamId(0))]);
    assert_eq!(drops(&raw), Drops { oversized_messages: 1, ..Drops::default() });
    assert_eq!(raw.end.close_reason(), None::<&CloseReason>);
}
