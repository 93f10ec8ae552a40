//! Data and closing on an established session.

use super::*;
use crate::SealError;

#[test]
fn records_of_every_size_pass() {
    let mut pair = Pair::connected();
    for len in [1, 2, 100, 1191, 2047, 2048, 2049, 4000, 16_383, 16_384, 5] {
        let plaintext: Vec<u8> = (0..len).map(|n| (n % 251) as u8).collect();
        let record = pair.client.seal(&plaintext);
        assert_eq!(record.len(), len + pair.client.session.overhead());
        pair.server.receive(pair.now, &record);
        assert_eq!(std::mem::take(&mut pair.server.data), [plaintext]);
    }
    assert_eq!(pair.server.stats().records_dropped, 0);
}

#[test]
fn oversized_plaintext_is_refused() {
    let mut pair = Pair::connected();
    let mut buffer = BytesMut::from(&b"kept"[..]);
    let error = pair.client.session.seal(&[0; 16_385], &mut buffer);
    assert_eq!(error, Err(SealError::TooLarge { len: 16_385, max: 16_384 }));
    assert_eq!(buffer, b"kept"[..]);
    pair.exchange();
}

#[test]
fn sealing_appends_to_the_batch() {
    let mut pair = Pair::connected();
    let mut batch = BytesMut::new();
    let mut ends = vec![0];
    for text in [&b"one"[..], b"two", b"three"] {
        pair.client.session.seal(text, &mut batch).unwrap();
        ends.push(batch.len());
    }
    assert_eq!(ends, [0, 40, 80, 122]);
    // Out of order, and the last one twice.
    for n in [1, 0, 2, 2] {
        pair.server.receive(pair.now, &batch[ends[n]..ends[n + 1]]);
    }
    assert_eq!(pair.server.data, [&b"two"[..], b"one", b"three"]);
    assert_eq!(pair.server.stats().records_dropped, 1);
    assert_eq!(pair.server.stats().records_opened, 3);
    assert_eq!(pair.client.stats().records_sealed, 3);
}

#[test]
fn several_records_in_a_datagram_are_all_read() {
    let mut pair = Pair::connected();
    let mut datagram = BytesMut::new();
    // Together larger than OpenSSL's read buffer.
    let large = vec![7; 10_000];
    for text in [&large[..], b"two", &large, b"four"] {
        pair.client.session.seal(text, &mut datagram).unwrap();
    }
    pair.server.receive(pair.now, &datagram);
    assert_eq!(pair.server.data, [&large[..], b"two", &large, b"four"]);
}

#[test]
fn data_waits_until_it_is_asked_for() {
    let mut pair = Pair::connected();
    for text in [b"a", b"b", b"c"] {
        let record = pair.client.seal(text);
        pair.server.session.handle_datagram(pair.now, &record);
    }
    pair.server.collect(pair.now);
    assert_eq!(pair.server.data, [b"a", b"b", b"c"]);
}

#[test]
fn what_nobody_asks_for_is_bounded() {
    let mut pair = Pair::connected();
    for _ in 0..400 {
        let record = pair.client.seal(&[0; 1000]);
        pair.server.session.handle_datagram(pair.now, &record);
    }
    pair.server.collect(pair.now);
    let kept = pair.server.data.len();
    assert!((250..300).contains(&kept), "{kept}");
    assert_eq!(pair.server.stats().records_dropped, 400 - kept as u64);
    pair.server.data.clear();
    pair.exchange();
}

/// RFC 5246 §7.2.1: close_notify is one datagram and is answered by one.
#[test]
fn close_notify_ends_both_sides() {
    for closer_is_client in [true, false] {
        let mut pair = Pair::connected();
        let Pair { client, server, now } = &mut pair;
        let (closer, other) = if closer_is_client { (client, server) } else { (server, client) };
        closer.session.close(*now);
        let sent = closer.take_sent(*now);
        assert_eq!(sent.len(), 1);
        assert_eq!(closer.events, [Event::Closed(CloseReason::LocalClose)]);

        other.receive(*now, &sent[0]);
        assert_eq!(other.events, [Event::Closed(CloseReason::RemoteClose)]);
        let answer = other.take_sent(*now);
        assert_eq!(answer.len(), 1);
        closer.receive(*now, &answer[0]);
        assert_eq!(closer.events.len(), 1);
        for side in [closer, other] {
            assert_eq!(side.session.state(), State::Closed);
            assert_eq!(side.session.poll_timeout(), None);
            let mut buffer = BytesMut::new();
            assert_eq!(side.session.seal(b"late", &mut buffer), Err(SealError::NotConnected));
            assert_eq!(side.take_sent(*now), Vec::<Vec<u8>>::new());
        }
    }
}

#[test]
fn data_before_close_notify_is_delivered_first() {
    let mut pair = Pair::connected();
    let mut datagram = BytesMut::new();
    pair.client.session.seal(b"last words", &mut datagram).unwrap();
    pair.client.session.close(pair.now);
    assert!(pair.client.session.poll_transmit(pair.now, &mut datagram));

    pair.server.session.handle_datagram(pair.now, &datagram);
    assert_eq!(pair.server.session.poll_event(), None);
    assert_eq!(pair.server.session.poll_data(), Some(&b"last words"[..]));
    assert_eq!(pair.server.session.poll_data(), None);
    assert_eq!(pair.server.session.poll_event(), Some(Event::Closed(CloseReason::RemoteClose)));
}

/// Item 36: explicit nonces count up by one with each record, wherever they start, and so never repeat.
#[test]
fn nonces_rise() {
    let mut pair = Pair::connected();
    let mut nonce = || u64::from_be_bytes(pair.client.seal(b"x")[13..21].try_into().unwrap());
    let first = nonce();
    for n in 1..1000 {
        assert_eq!(nonce(), first.wrapping_add(n));
    }
}
