//! Every state with every event: the whole table is checked in, so that a changed transition shows in review.

use super::raw::*;
use crate::State;
use crate::wire::{Cause, Chunk, Heartbeat, Parameter, ShutdownAck};
use std::fmt::Write;

type Happening = (&'static str, fn(&mut Raw));

const STATES: [State; 8] = [
    State::Closed,
    State::CookieWait,
    State::CookieEchoed,
    State::Established,
    State::ShutdownPending,
    State::ShutdownSent,
    State::ShutdownReceived,
    State::ShutdownAckSent,
];

const EVENTS: [Happening; 25] = [
    ("INIT", |raw| raw.feed_packet(0, &[&init(PEER_TAG)])),
    ("INIT of a restarted peer", |raw| raw.feed_packet(0, &[&init(7)])),
    ("INIT ACK", |raw| raw.feed(&init_ack(PEER_TAG, &[Parameter::StateCookie(b"cookie")]))),
    ("COOKIE ECHO", |raw| {
        raw.feed_packet(0, &[&init(PEER_TAG)]);
        raw.drain();
        raw.feed_packet(raw.tag, &[&cookie_echo(&raw.cookie.clone())]);
    }),
    ("COOKIE ECHO of a restarted peer", |raw| {
        raw.feed_packet(0, &[&init(7)]);
        raw.drain();
        raw.feed_packet(raw.tag, &[&cookie_echo(&raw.cookie.clone())]);
    }),
    ("COOKIE ACK", |raw| raw.feed(&Chunk::CookieAck)),
    ("DATA", |raw| raw.feed(&data(PEER_TSN))),
    ("DATA with a wrong tag", |raw| raw.feed_packet(99, &[&data(PEER_TSN)])),
    ("SACK of everything", |raw| raw.feed(&sack(raw.tsn))),
    ("HEARTBEAT", |raw| raw.feed(&Heartbeat { info: b"info", others: &[] })),
    ("HEARTBEAT ACK", |raw| raw.feed(&Chunk::HeartbeatAck(Heartbeat { info: b"12345678", others: &[] }))),
    ("ABORT", |raw| raw.feed(&abort(false))),
    ("ABORT, T, peer's tag", |raw| raw.feed_packet(PEER_TAG, &[&abort(true)])),
    ("ABORT, T, our tag", |raw| raw.feed(&abort(true))),
    ("SHUTDOWN", |raw| raw.feed(&shutdown(raw.tsn.wrapping_sub(1)))),
    ("SHUTDOWN of everything", |raw| raw.feed(&shutdown(raw.tsn))),
    ("SHUTDOWN ACK", |raw| raw.feed(&ShutdownAck)),
    ("SHUTDOWN COMPLETE", |raw| raw.feed(&shutdown_complete(false))),
    ("ERROR stale cookie", |raw| raw.feed(&error(&[Cause::StaleCookie(0)]))),
    ("next timer", |raw| {
        raw.fire();
    }),
    ("timers to the end", |raw| {
        let end = raw.now + std::time::Duration::from_secs(1000);
        while raw.now < end && raw.fire().is_some() {
            raw.drain();
        }
    }),
    ("connect", |raw| raw.end.connect(raw.now)),
    ("shutdown", |raw| raw.end.shutdown(raw.now)),
    ("abort", |raw| raw.end.abort(raw.now)),
    ("transport closed", |raw| raw.end.transport_closed(raw.now)),
];

fn ended() -> Raw {
    let mut raw = Raw::established();
    raw.end.transport_closed(raw.now);
    raw.events();
    raw
}

fn table() -> String {
    let mut table = String::new();
    for state in STATES.map(Some).into_iter().chain([None]) {
        let from = state.map_or("Ended".to_owned(), |state| format!("{state:?}"));
        for (name, happen) in EVENTS {
            let mut raw = state.map_or_else(ended, Raw::in_state);
            happen(&mut raw);
            let sent: Vec<String> = raw.names().iter().map(|names| names.join("+")).collect();
            write!(table, "{from} · {name} → {:?}", raw.end.state()).unwrap();
            if !sent.is_empty() {
                write!(table, " · sends {}", sent.join(", ")).unwrap();
            }
            let events = raw.events();
            if !events.is_empty() {
                write!(table, " · {events:?}").unwrap();
            }
            table.push('\n');
        }
    }
    table
}

/// RFC 9260 §4, §5.2, §8.4, §8.5, §9.2.
#[test]
fn the_table_is_the_one_checked_in() {
    let now = table();
    let then = include_str!("transitions.txt");
    let changed: Vec<_> = now.lines().zip(then.lines()).filter(|(now, then)| now != then).collect();
    assert!(now == then, "changed: {changed:#?}\nthe whole table is now:\n{now}");
}
