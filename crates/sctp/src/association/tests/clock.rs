//! Time that goes backwards stands still.

use super::raw::*;
use crate::State;
use crate::wire::WriteChunk;
use std::time::Duration;

/// A timer that is armed with an earlier time would be due before it should.
#[test]
fn timers_are_not_armed_in_the_past() {
    let mut raw = Raw::established();
    raw.now += Duration::from_secs(5);
    raw.feed(&data(PEER_TSN));
    raw.drain();
    let latest = raw.now;
    raw.now -= Duration::from_secs(4);
    raw.send(b"out");
    raw.drain();
    let rto = raw.end.stats().rto;
    assert_eq!(raw.end.poll_timeout(), Some(latest + rto));
}

/// A cookie of the key of a new hour is good although it is the old hour again.
#[test]
fn cookies_are_not_of_the_future() {
    let mut raw = Raw::new();
    raw.now += Duration::from_secs(3600);
    raw.feed_packet(0, &[&init(PEER_TAG)]);
    raw.drain();
    raw.now -= Duration::from_secs(1);
    let cookie = raw.cookie.clone();
    let echo: &dyn WriteChunk = &cookie_echo(&cookie);
    raw.feed_packet(raw.tag, &[echo]);
    assert_eq!(raw.end.state(), State::Established);
}
