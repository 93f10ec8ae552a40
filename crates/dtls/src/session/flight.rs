//! The datagrams of our last flight and the timer that sends them again (RFC 6347 §4.2.4).

use crate::bio::Datagrams;
use crate::record::Record;
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
    /// The path may be narrow: flights are in datagrams as small as their records allow.
    is_narrow: bool,
}

#[derive(Clone, Copy, Debug)]
struct Timer {
    deadline: Instant,
    interval: Duration,
}

impl Flight {
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            datagrams: Datagrams::default(),
            timer: None,
            last_sent: now,
            round_trip_time: None,
            is_narrow: false,
        }
    }

    pub(crate) fn set_round_trip_time(&mut self, value: Duration) {
        self.round_trip_time = Some(value);
    }

    /// Replaces the flight by what OpenSSL has just written, and starts the timer afresh.
    pub(crate) fn replace(&mut self, now: Instant, written: &mut Datagrams) {
        self.datagrams.clear();
        mem::swap(&mut self.datagrams, written);
        if self.is_narrow {
            self.split();
        }
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
        // RFC 6347 §4.1.1.1: "If repeated retransmissions do not result in a response, and the PMTU is unknown, subsequent
        // retransmissions SHOULD back off to a smaller record size, fragmenting the handshake message as appropriate." From
        // the first one on, as small datagrams cost next to nothing.
        self.assume_narrow_path();
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
        self.assume_narrow_path();
        self.sent(now, self.interval());
        true
    }

    /// From now on datagrams are as small as records allow. Nothing is sent before its time for that.
    pub(crate) fn assume_narrow_path(&mut self) {
        self.is_narrow = true;
        self.split();
    }

    /// Whether the path may be narrow.
    pub(crate) fn is_narrow(&self) -> bool {
        self.is_narrow
    }

    /// Spreads the records over more datagrams, as far as any is larger than a narrow path takes. A record that is too large
    /// itself stays as it is: OpenSSL made it, and its number is used up.
    fn split(&mut self) {
        self.datagrams.rewind();
        let mut parts = Datagrams::default();
        while let Some(datagram) = self.datagrams.next() {
            let mut rest = datagram;
            while !rest.is_empty() {
                let behind = Record::split_first(rest).map_or(&[][..], |(_, behind)| behind);
                let (record, behind) = rest.split_at(rest.len().saturating_sub(behind.len()));
                if parts.building().saturating_add(record.len()) > NARROW_DATAGRAM {
                    parts.commit();
                }
                parts.append(record);
                rest = behind;
            }
            parts.commit();
        }
        self.datagrams = parts;
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

/// 576 bytes, which every IPv4 host takes (RFC 791 §3.1), less 20 (IPv4), 8 (UDP) and 4 (TURN).
const NARROW_DATAGRAM: usize = 544;
const MIN_INTERVAL: Duration = Duration::from_millis(100);
const UNKNOWN_INTERVAL: Duration = Duration::from_millis(250);
const MAX_INTERVAL: Duration = Duration::from_secs(60);
