//! Attacks with DTLS records: forged, plaintext, replayed, oversized; alerts.

use super::dtls_link::*;
use bytes::BytesMut;
use std::collections::BTreeSet;
use straits_peer::dtls::{CloseReason, Event, Role, SealError, State};

/// Application data that nothing protects, or that pretends to be of an epoch without keys, is given out at no moment of a
/// handshake, nor after it.
#[test]
fn attack_35_plaintext_data_is_dropped_at_every_step() {
    let mut link = Link::new();
    let mut forged = 0;
    let forge = |link: &mut Link, forged: &mut u64| {
        let now = link.now;
        for epoch in [0, 1, 2, 0xffff] {
            let record = Record { epoch, ..Record::plain(APPLICATION_DATA, 40 + *forged, &[b'!'; 40]) };
            link.client.receive_bytes(now, &record.bytes());
            link.server.receive_bytes(now, &record.bytes());
            *forged += 1;
        }
        assert!(link.client.data.is_empty() && link.server.data.is_empty());
    };
    loop {
        forge(&mut link, &mut forged);
        let from = if link.client.sent.is_empty() { Role::Server } else { Role::Client };
        let Some(record) = link.next_from(from) else { break };
        let now = link.now;
        link.end(other(from)).receive(now, &record);
    }
    link.assert_connected();
    forge(&mut link, &mut forged);
    assert!(forged > 40);
    for end in [&link.client, &link.server] {
        assert_eq!((end.session.stats().records_dropped, end.session.stats().records_opened), (forged, 0));
    }
    link.assert_carries_data();
}

/// No nonce is used twice: the explicit part counts, as the record numbers do.
#[test]
fn attack_36_nonces_never_repeat() {
    let mut link = Link::connected();
    assert_eq!(link.client.session.overhead(), 37, "AES-GCM, whose nonce is in the record");
    let mut buffer = BytesMut::new();
    let mut last: Option<(u64, u64)> = None;
    let mut seen = BTreeSet::new();
    for _ in 0..50_000 {
        link.client.session.seal(b"x", &mut buffer).unwrap();
        let record = Record::all(&buffer.split()).remove(0);
        let nonce = u64::from_be_bytes(record.payload[..8].try_into().unwrap());
        if let Some((sequence, before)) = last {
            assert_eq!((record.sequence, nonce), (sequence + 1, before.wrapping_add(1)));
        }
        assert!(seen.insert(nonce), "a nonce again");
        last = Some((record.sequence, nonce));
    }
    // The Finished has a number of its own.
    assert_eq!(last.map(|(sequence, _)| sequence), Some(50_000));
}

/// A forged record of the largest number does not move the replay window: what is genuine arrives, once.
#[test]
fn attack_37_forged_records_do_not_move_the_replay_window() {
    let mut link = Link::connected();
    let now = link.now;
    let records: Vec<_> = (0..10_u8).map(|n| link.client.seal(&[n; 20])).collect();
    for (n, genuine) in records.iter().enumerate() {
        for sequence in [(1 << 48) - 1, 1 << 32, 1000 + n as u64] {
            let mut forged = Record::all(genuine).remove(0);
            forged.sequence = sequence;
            link.server.receive_bytes(now, &forged.bytes());
        }
        assert_eq!(link.server.data.len(), n);
        link.server.receive_bytes(now, genuine);
        assert_eq!(link.server.data.last(), Some(&vec![n as u8; 20]));
        // Nor is it taken again.
        link.server.receive_bytes(now, genuine);
        assert_eq!(link.server.data.len(), n + 1);
    }
    assert_eq!(link.server.session.stats().records_dropped, 40);
    link.server.data.clear();
    link.assert_carries_data();
}

/// A record as large as there may be arrives whole; larger ones are not made, and not looked at.
#[test]
fn attack_41_large_records_are_whole_or_dropped() {
    let mut link = Link::connected();
    let now = link.now;
    for len in [1, 2047, 2048, 2049, 5000, 16_383, 16_384] {
        let plaintext = vec![7; len];
        let record = link.client.seal(&plaintext);
        link.server.receive_bytes(now, &record);
        assert_eq!(link.server.data.pop(), Some(plaintext), "{len} bytes");
        assert!(link.server.data.is_empty());
    }
    let mut buffer = BytesMut::new();
    let refused = link.client.session.seal(&[0; 16_385], &mut buffer);
    assert_eq!((refused, buffer.len()), (Err(SealError::TooLarge { len: 16_385, max: 16_384 }), 0));
    let before = link.server.session.stats();
    for len in [16_384 + 37, 16_384 + 2048, 30_000, 65_000] {
        let oversized = Record { epoch: 1, ..Record::plain(APPLICATION_DATA, 100, &vec![0; len]) };
        link.server.receive_bytes(now, &oversized.bytes());
    }
    let after = link.server.session.stats();
    let dropped = after.records_dropped + after.datagrams_malformed
        - before.records_dropped
        - before.datagrams_malformed;
    assert_eq!(dropped, 4);
    link.assert_carries_data();
}

/// A fatal alert or close_notify that nothing protects ends nothing, whenever it comes.
#[test]
fn attack_42_unprotected_alerts_end_nothing() {
    let alerts = [[2, 40], [2, 10], [2, 42], [2, 80], [1, 0], [2, 0], [1, 100]];
    let mut link = Link::new();
    loop {
        let now = link.now;
        for (n, alert) in alerts.iter().enumerate() {
            let record = Record::plain(ALERT, 100 + n as u64, alert).bytes();
            link.client.receive_bytes(now, &record);
            link.server.receive_bytes(now, &record);
        }
        let from = if link.client.sent.is_empty() { Role::Server } else { Role::Client };
        let Some(record) = link.next_from(from) else { break };
        let now = link.now;
        link.end(other(from)).receive(now, &record);
    }
    link.assert_connected();
    // As if with keys, which the forger does not have.
    let now = link.now;
    for sequence in 1..20 {
        let forged = Record { epoch: 1, ..Record::plain(ALERT, sequence, &[2; 26]) }.bytes();
        link.client.receive_bytes(now, &forged);
        link.server.receive_bytes(now, &forged);
    }
    link.assert_connected();
    assert_eq!(
        (&link.client.events[..], &link.server.events[..]),
        (&[Event::Connected][..], &[Event::Connected][..])
    );
    link.assert_carries_data();
}

/// One with keys is the peer's word: the session is over, and what comes after it is nothing.
#[test]
fn attack_42_a_protected_close_ends_the_session_at_once() {
    let mut link = Link::connected();
    let now = link.now;
    let late = link.client.seal(b"late");
    link.client.session.close(now);
    link.client.fire(now);
    let alert = link.next_from(Role::Client).unwrap();
    assert_eq!((alert.content, alert.epoch), (ALERT, 1));
    link.server.receive(now, &alert);
    assert_eq!(link.server.events, [Event::Connected, Event::Closed(CloseReason::RemoteClose)]);
    assert_eq!((link.server.session.state(), link.server.session.poll_timeout()), (State::Closed, None));
    link.server.receive_bytes(now, &late);
    assert!(link.server.data.is_empty());
    assert_eq!(link.server.session.seal(b"answer", &mut BytesMut::new()), Err(SealError::NotConnected));
}

/// Old keys and other epochs open nothing: records of one session are noise to another.
#[test]
fn attack_37_records_of_another_session_are_dropped() {
    let (mut one, mut another) = (Link::connected(), Link::connected());
    let now = another.now;
    for _ in 0..100 {
        let record = one.client.seal(b"from another session");
        another.server.receive_bytes(now, &record);
        // And what it sealed itself, sent back.
        let own = another.server.seal(b"mirrored");
        another.server.receive_bytes(now, &own);
    }
    assert!(another.server.data.is_empty());
    assert_eq!(another.server.session.stats().records_dropped, 200);
    another.assert_carries_data();
}
