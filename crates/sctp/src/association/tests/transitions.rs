//! Every state with every event: the whole table is checked in, so that a changed transition shows in review.

use super::raw::*;
use crate::number::{Ppid, StreamId, Tsn};
use crate::wire::{
    Cause, Chunk, Data, Heartbeat, List, Parameter, ReConfig, ReconfigParameter, ReconfigParameters,
    ReconfigResult, ShutdownAck,
};
use crate::{Reliability, State};
use bytes::Bytes;
use std::fmt::{Debug, Write};

type Happening = (&'static str, fn(&mut Raw));
/// What the user does that has an answer.
type Call = (&'static str, fn(&mut Raw) -> Box<dyn Debug>);

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

const EVENTS: [Happening; 43] = [
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
    ("COOKIE ECHO that is not ours", |raw| raw.feed(&cookie_echo(&[7; 80]))),
    ("COOKIE ACK", |raw| raw.feed(&Chunk::CookieAck)),
    ("DATA", |raw| raw.feed(&data(PEER_TSN))),
    ("DATA with a wrong tag", |raw| raw.feed_packet(99, &[&data(PEER_TSN)])),
    ("DATA without user data", |raw| raw.feed(&Data { payload: b"", ..data(PEER_TSN) })),
    ("DATA on a stream there is not", |raw| raw.feed(&Data { stream: StreamId(400), ..data(PEER_TSN) })),
    ("DATA twice, delayed SACK", |raw| {
        raw.feed(&data(PEER_TSN));
        raw.drain();
        raw.feed(&data(PEER_TSN + 1));
        raw.drain();
        raw.fire();
    }),
    ("SACK of what was never sent", |raw| raw.feed(&sack(raw.tsn.wrapping_add(1)))),
    ("SACK of everything", |raw| raw.feed(&sack(raw.tsn))),
    ("HEARTBEAT", |raw| raw.feed(&Heartbeat { info: b"info", others: &[] })),
    ("HEARTBEAT ACK", |raw| raw.feed(&Chunk::HeartbeatAck(Heartbeat { info: b"12345678", others: &[] }))),
    ("ABORT", |raw| raw.feed(&abort(false))),
    ("ABORT, T, peer's tag", |raw| raw.feed_packet(PEER_TAG, &[&abort(true)])),
    ("ABORT, T, our tag", |raw| raw.feed(&abort(true))),
    ("SHUTDOWN", |raw| raw.feed(&shutdown(raw.tsn.wrapping_sub(1)))),
    ("SHUTDOWN of everything", |raw| raw.feed(&shutdown(raw.tsn))),
    ("SHUTDOWN ACK", |raw| raw.feed(&ShutdownAck)),
    ("SHUTDOWN ACK with a wrong tag", |raw| raw.feed_packet(99, &[&ShutdownAck])),
    ("SHUTDOWN COMPLETE", |raw| raw.feed(&shutdown_complete(false))),
    ("SHUTDOWN COMPLETE, T, peer's tag", |raw| raw.feed_packet(PEER_TAG, &[&shutdown_complete(true)])),
    ("SHUTDOWN COMPLETE, T, our tag", |raw| raw.feed(&shutdown_complete(true))),
    ("ERROR stale cookie", |raw| raw.feed(&error(&[Cause::StaleCookie(0)]))),
    ("ERROR of another cause", |raw| raw.feed(&error(&[Cause::OutOfResource]))),
    ("RE-CONFIG request", |raw| reset_request(raw, PEER_TSN - 1)),
    ("RE-CONFIG request, data missing", |raw| reset_request(raw, PEER_TSN)),
    ("RE-CONFIG response", |raw| {
        let (response, result) = (raw.tsn, ReconfigResult::Performed);
        reconfig(raw, ReconfigParameter::Response { response, result, next_tsns: None });
    }),
    ("PAD", |raw| raw.feed(&Odd(132, &[0; 8]))),
    ("unknown chunk that stops", |raw| raw.feed(&Odd(0x3f, b"what"))),
    ("unknown chunk that stops and is reported", |raw| raw.feed(&Odd(0x7f, b"what"))),
    ("unknown chunk that is skipped", |raw| raw.feed(&Odd(0xbf, b"what"))),
    ("unknown chunk that is skipped and reported", |raw| raw.feed(&Odd(0xff, b"what"))),
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
    ("path changed", |raw| raw.end.path_changed(raw.now)),
    ("shutdown", |raw| raw.end.shutdown(raw.now)),
    ("abort", |raw| raw.end.abort(raw.now)),
    ("transport closed", |raw| raw.end.transport_closed(raw.now)),
];

const CALLS: [Call; 4] = [
    ("send", |raw| Box::new(send(raw, true))),
    ("send part", |raw| Box::new(send(raw, false))),
    ("recv", |raw| Box::new(raw.end.recv(raw.now, StreamId(0)))),
    ("reset streams", |raw| Box::new(raw.end.reset_streams(raw.now, &[StreamId(1)]))),
];

fn send(raw: &mut Raw, last: bool) -> Result<(), crate::SendError> {
    let (stream, data) = (StreamId(1), Bytes::from_static(b"more"));
    raw.end.send_part(raw.now, stream, Ppid::BINARY, data, last, true, Reliability::Reliable)
}

/// RE-CONFIG with one parameter; the peer's request numbers begin with its TSNs, ours with ours.
fn reconfig(raw: &mut Raw, parameter: ReconfigParameter<'_>) {
    raw.feed(&ReConfig { parameters: ReconfigParameters::new(&[parameter]) });
}

fn reset_request(raw: &mut Raw, last_tsn: u32) {
    let streams = [StreamId(0)];
    let (request, response) = (PEER_TSN, raw.tsn.wrapping_sub(1));
    let streams = List::new(&streams);
    reconfig(raw, ReconfigParameter::OutgoingReset { request, response, last_tsn: Tsn(last_tsn), streams });
}

fn ended() -> Raw {
    let mut raw = Raw::established();
    raw.end.transport_closed(raw.now);
    raw.events();
    raw
}

/// What became of it, in the words of the table.
fn write_result(table: &mut String, raw: &mut Raw) {
    let sent: Vec<String> = raw.names().iter().map(|names| names.join("+")).collect();
    write!(table, " → {:?}", raw.end.state()).unwrap();
    if !sent.is_empty() {
        write!(table, " · sends {}", sent.join(", ")).unwrap();
    }
    let events = raw.events();
    if !events.is_empty() {
        write!(table, " · {events:?}").unwrap();
    }
    table.push('\n');
}

fn table() -> String {
    let mut table = String::new();
    for state in STATES.map(Some).into_iter().chain([None]) {
        let from = state.map_or("Ended".to_owned(), |state| format!("{state:?}"));
        let begin = || state.map_or_else(ended, |state| Raw::in_state_with(state, &[RE_CONFIG]));
        for (name, happen) in EVENTS {
            let mut raw = begin();
            happen(&mut raw);
            write!(table, "{from} · {name}").unwrap();
            write_result(&mut table, &mut raw);
        }
        for (name, call) in CALLS {
            let mut raw = begin();
            let answer = call(&mut raw);
            write!(table, "{from} · {name}: {answer:?}").unwrap();
            write_result(&mut table, &mut raw);
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

/// RFC 6525 §3.1.
const RE_CONFIG: u8 = 130;
