//! The datagrams of our last flight and the timer that sends them again (RFC 6347 §4.2.4).

use crate::bio::Datagrams;
use std::mem;
use std::time::{Duration, Instant};

/// The last flight: kept until the peer shows that it has it, sent again byte for byte whenever the timer fires or the peer
/// repeats what the flight answered.
#[derive(Debug)]
pub(crate) struct Flight {
    datagrams: Datagrams,
    timer: Option<Timer>,
    last_sent: Instant,
    round_trip_time: Option<Duration>,
}

#[derive(Clone, Copy, Debug)]
struct Timer {
    deadline: Instant,
    interval: Duration,
}

impl Flight {
    pub(crate) fn new(now: Instant) -> Self {
        Self { datagrams: Datagrams::default(), timer: None, last_sent: now, round_trip_time: None }
    }

    pub(crate) fn set_round_trip_time(&mut self, value: Duration) {
        self.round_trip_time = Some(value);
    }

    /// Replaces the flight by what OpenSSL has just written, and starts the timer afresh.
    pub(crate) fn replace(&mut self, now: Instant, written: &mut Datagrams) {
        self.datagrams.clear();
        mem::swap(&mut self.datagrams, written);
        self.sent(now, self.initial_interval());
    }

    /// The timer fired: sends the flight again, or a `fresh` one that OpenSSL made of it, and waits twice as long.
    pub(crate) fn expired(&mut self, now: Instant, fresh: &mut Datagrams) {
        // RFC 6347 §4.2.4.1: "double the value at each retransmission, up to no less than the RFC 6298 maximum of 60 seconds"
        let interval = self.interval().saturating_mul(2).min(MAX_INTERVAL);
        if fresh.is_drained() {
            self.datagrams.rewind();
        } else {
            self.datagrams.clear();
            mem::swap(&mut self.datagrams, fresh);
        }
        self.sent(now, interval);
    }

    /// Sends the flight again because the peer repeated its own, once for all the datagrams of that. Whether it did.
    pub(crate) fn resend_answer(&mut self, now: Instant) -> bool {
        let pause = self.initial_interval() / 2;
        if self.datagrams.is_empty() || now.saturating_duration_since(self.last_sent) < pause {
            return false;
        }
        // RFC 6347 §4.2.4, case 2: "retransmits the flight, resets the retransmit timer, and returns to the WAITING state."
        self.datagrams.rewind();
        self.sent(now, self.interval());
        true
    }

    /// The next datagram to send.
    pub(crate) fn next(&mut self) -> Option<&[u8]> {
        self.datagrams.next()
    }

    /// Whether there is a flight to watch over.
    pub(crate) fn is_armed(&self) -> bool {
        self.timer.is_some()
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.timer.map(|timer| timer.deadline)
    }

    /// Forgets the flight with its memory: the peer has it, or will never have it.
    pub(crate) fn disarm(&mut self) {
        self.datagrams = Datagrams::default();
        self.timer = None;
    }

    fn sent(&mut self, now: Instant, interval: Duration) {
        self.last_sent = now;
        self.timer = Some(Timer { deadline: now + interval, interval });
    }

    fn interval(&self) -> Duration {
        self.timer.map_or(self.initial_interval(), |timer| timer.interval)
    }

    /// RFC 6347 §4.2.4.1 recommends 1 s for peers that know nothing of the path; ICE has measured ours.
    fn initial_interval(&self) -> Duration {
        self.round_trip_time
            .map_or(UNKNOWN_INTERVAL, |rtt| rtt.saturating_mul(2).clamp(MIN_INTERVAL, MAX_INTERVAL))
    }
}

const MIN_INTERVAL: Duration = Duration::from_millis(100);
const UNKNOWN_INTERVAL: Duration = Duration::from_millis(250);
const MAX_INTERVAL: Duration = Duration::from_secs(60);
