//! When a SACK is due (RFC 9260 §6.2, §6.7; RFC 7053).
//!
//! SACKs are written in `poll_transmit` only, which the owner drains after each input, or after a batch of packets.
//! The rules:
//!
//! - DATA here is FORWARD TSN too (RFC 3758 §3.6): news if it moves the cumulative TSN.
//! - One packet with DATA starts the delay; the second makes a SACK due. Due at once: the first DATA of all, a gap
//!   before or after the packet, nothing new in it, something dropped for want of room, the I bit.
//! - When several packets were handled before `poll_transmit` comes, the owner gets what it would have got in between,
//!   up to a span: each SACK reports TSNs up to a *cut*, the highest TSN that had arrived when it became due. The span
//!   is one packet while there is a gap (peers count reports), two while the peer's rate rises (peers of the field grow
//!   their window per SACK), and sixteen once it is steady. Cuts hide nothing for longer than that `poll_transmit`:
//!   the last SACK reports everything.
//! - A pending SACK, due or delayed, rides along with DATA.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Decides when SACKs are sent and how far each one reports.
#[derive(Debug)]
pub(super) struct Acks {
    max_delay: Duration,
    delay: Duration,
    deadline: Option<Instant>,
    packet: Packet,
    /// Packets with DATA since the last cut or SACK.
    unreported: u32,
    is_due: bool,
    /// Highest TSNs of SACKs that became due and were followed by more packets; rising.
    cuts: VecDeque<u64>,
    sent: u32,
    rate: Rate,
}

/// What the packet in hand had.
#[derive(Clone, Copy, Debug, Default)]
struct Packet {
    has_data: bool,
    has_new: bool,
    had_gaps: bool,
    is_urgent: bool,
}

/// One chunk's part in the decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Noted {
    New,
    Duplicate,
    /// Dropped for want of room: the peer must learn at once.
    NoRoom,
}

/// What the next SACK reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Extent {
    UpTo(u64),
    Everything,
}

impl Acks {
    pub(super) fn new(max_delay: Duration) -> Self {
        let max_delay = max_delay.min(MAX_DELAY);
        Self {
            max_delay,
            delay: max_delay,
            deadline: None,
            packet: Packet::default(),
            unreported: 0,
            is_due: false,
            cuts: VecDeque::new(),
            sent: 0,
            rate: Rate::default(),
        }
    }

    /// Cuts the delay at half the RTO, and tells the round trip that rate changes are measured by.
    pub(super) fn set_path(&mut self, rto: Duration, srtt: Option<Duration>) {
        self.delay = self.max_delay.min(rto / 2);
        if let Some(srtt) = srtt {
            self.rate.epoch = srtt.clamp(MIN_EPOCH, MAX_EPOCH);
        }
    }

    /// A DATA or FORWARD TSN chunk of the packet in hand; `has_gaps` as it was before the chunk.
    pub(super) fn note(&mut self, what: Noted, is_immediate: bool, has_gaps: bool) {
        if !self.packet.has_data {
            self.packet = Packet { has_data: true, had_gaps: has_gaps, ..Packet::default() };
        }
        self.packet.has_new |= what == Noted::New;
        // RFC 9260 §6.2: "the receiver MUST immediately send back a SACK chunk with the current receive window"
        // when it dropped a chunk; and RFC 7053 §5.2 for the I bit.
        self.packet.is_urgent |= is_immediate || what == Noted::NoRoom;
    }

    /// The packet in hand is done. `has_gaps` and `highest` are those of now.
    pub(super) fn end_of_packet(&mut self, now: Instant, has_gaps: bool, highest: u64) {
        let packet = std::mem::take(&mut self.packet);
        if !packet.has_data {
            return;
        }
        self.rate.count(now);
        self.unreported += 1;
        let gaps = has_gaps || packet.had_gaps;
        // RFC 9260 §6.7: "If the endpoint detects a gap in the received DATA chunk sequence, it SHOULD send a SACK chunk
        // with Gap Ack Blocks immediately", and RFC 5681 §4.2 the same for a packet that fills one.
        // RFC 9260 §6.2: "When a packet arrives with duplicate DATA chunk(s) and with no new DATA chunk(s), the endpoint
        // MUST immediately send a SACK chunk with no delay."
        let is_first = self.sent == 0 && self.cuts.is_empty();
        let is_urgent = packet.is_urgent || gaps || !packet.has_new || is_first;
        // RFC 9260 §6.2: "an acknowledgement SHOULD be generated for at least every second packet".
        if is_urgent || self.unreported >= 2 {
            self.is_due = true;
            self.deadline = None;
        } else if !self.is_due {
            self.deadline.get_or_insert(now + self.delay);
        }
        if self.unreported >= self.span(gaps) {
            self.cut(highest);
        }
    }

    /// Whether there was a SACK already.
    pub(super) fn is_started(&self) -> bool {
        self.sent > 0
    }

    /// The window grew enough to say so, or the peer asked.
    pub(super) fn require(&mut self) {
        self.is_due = true;
        self.deadline = None;
    }

    pub(super) fn is_due(&self) -> bool {
        self.is_due
    }

    /// What a SACK written now would report, if there is a reason to write one, delayed or due.
    pub(super) fn next(&self) -> Option<Extent> {
        match (self.cuts.front(), self.cuts.len()) {
            // The last one also covers the packets after it.
            (Some(&cut), 2..) => Some(Extent::UpTo(cut)),
            _ => (self.is_due || self.unreported > 0).then_some(Extent::Everything),
        }
    }

    /// The SACK that `next` announced was written.
    pub(super) fn written(&mut self) {
        self.sent = self.sent.saturating_add(1);
        self.cuts.pop_front();
        if self.cuts.is_empty() {
            self.unreported = 0;
            self.is_due = false;
            self.deadline = None;
        }
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) {
        if self.deadline.is_some_and(|deadline| deadline <= now) {
            self.require();
        }
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.deadline
    }

    fn span(&self, gaps: bool) -> u32 {
        match (gaps, self.sent >= RISING_SACKS && self.rate.is_steady()) {
            (true, _) => 1,
            (false, false) => 2,
            (false, true) => STEADY_SPAN,
        }
    }

    fn cut(&mut self, highest: u64) {
        self.unreported = 0;
        if self.cuts.back() == Some(&highest) {
            return;
        }
        if self.cuts.len() >= MAX_CUTS {
            self.cuts.pop_back();
        }
        self.cuts.push_back(highest);
    }
}

/// Tells whether the peer's rate still rises, by packets per epoch (a round trip when one is known).
#[derive(Clone, Copy, Debug)]
struct Rate {
    epoch: Duration,
    began: Option<Instant>,
    packets: u32,
    previous: u32,
    is_steady: bool,
}

impl Default for Rate {
    fn default() -> Self {
        Self { epoch: DEFAULT_EPOCH, began: None, packets: 0, previous: 0, is_steady: false }
    }
}

impl Rate {
    fn count(&mut self, now: Instant) {
        let began = *self.began.get_or_insert(now);
        let passed = now.saturating_duration_since(began);
        if passed >= self.epoch {
            // After a pause nothing is known of the rate.
            let is_continuous = passed < self.epoch * 2;
            let limit = self.previous.saturating_add(self.previous / 4);
            self.is_steady = is_continuous && self.packets >= MIN_STEADY_PACKETS && self.packets <= limit;
            self.previous = if is_continuous { self.packets } else { 0 };
            self.packets = 0;
            self.began = Some(now);
        }
        self.packets = self.packets.saturating_add(1);
    }

    fn is_steady(&self) -> bool {
        self.is_steady
    }
}

/// RFC 9260 §6.2: SACK.Delay "MUST NOT" be raised above 500 ms.
const MAX_DELAY: Duration = Duration::from_millis(500);
/// Packets one SACK may cover within a batch once the rate is steady. Slow starts that count SACKs stay alive, and the
/// cost of SACKs is small from here on.
const STEADY_SPAN: u32 = 16;
/// SACKs before the rate can count as steady: enough for a window to grow to 100 packets by one per SACK.
const RISING_SACKS: u32 = 100;
/// Packets per epoch below which sparing SACKs spares nothing.
const MIN_STEADY_PACKETS: u32 = 200;
/// Until a round trip is known; most paths are shorter.
const DEFAULT_EPOCH: Duration = Duration::from_millis(100);
/// Shorter epochs would measure the scheduler.
const MIN_EPOCH: Duration = Duration::from_millis(10);
/// Longer ones would take seconds to notice.
const MAX_EPOCH: Duration = Duration::from_secs(1);
/// Twice the packets of one receive batch; beyond, the newest cut moves.
const MAX_CUTS: usize = 128;

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    /// One packet with one new chunk in sequence; TSNs count up.
    struct Feed {
        acks: Acks,
        now: Instant,
        tsn: u64,
    }

    impl Feed {
        fn new() -> Self {
            Self { acks: Acks::new(ms(200)), now: Instant::now(), tsn: 0 }
        }

        /// Past the first DATA of all, which is acknowledged at once.
        fn started() -> Self {
            let mut feed = Self::new();
            feed.packet();
            assert_eq!(feed.drain(), [Extent::Everything]);
            feed
        }

        fn packet(&mut self) {
            self.packet_with(Noted::New, false, false, false);
        }

        fn packet_with(&mut self, what: Noted, is_immediate: bool, gaps_before: bool, gaps_after: bool) {
            self.tsn += u64::from(what == Noted::New);
            self.acks.note(what, is_immediate, gaps_before);
            self.acks.end_of_packet(self.now, gaps_after, self.tsn);
        }

        /// What `poll_transmit` sends.
        fn drain(&mut self) -> Vec<Extent> {
            let mut sent = Vec::new();
            while self.acks.is_due() {
                sent.push(self.acks.next().unwrap());
                self.acks.written();
            }
            sent
        }
    }

    /// RFC 9260 §6.2, RFC 5681 §4.2: one SACK for every second packet.
    #[test]
    fn every_second_packet() {
        let mut feed = Feed::started();
        for _ in 0..10 {
            feed.packet();
            assert_eq!(feed.drain(), []);
            feed.packet();
            assert_eq!(feed.drain(), [Extent::Everything]);
        }
        assert_eq!(feed.acks.poll_timeout(), None);
    }

    #[test]
    fn packets_count_not_chunks() {
        let mut feed = Feed::started();
        feed.acks.note(Noted::New, false, false);
        feed.packet();
        assert!(!feed.acks.is_due());
    }

    #[test]
    fn packet_without_data_changes_nothing() {
        let mut feed = Feed::started();
        feed.packet();
        feed.acks.end_of_packet(feed.now, false, 1);
        assert!(!feed.acks.is_due());
    }

    /// RFC 9260 §6.2: "SHOULD be generated within 200 ms of the arrival of any unacknowledged DATA chunk".
    #[test]
    fn delayed_at_most_so_long() {
        let mut feed = Feed::started();
        let deadline = feed.now + ms(200);
        feed.packet();
        assert_eq!(feed.acks.poll_timeout(), Some(deadline));
        feed.acks.handle_timeout(deadline - Duration::from_nanos(1));
        assert_eq!(feed.drain(), []);
        feed.acks.handle_timeout(deadline);
        assert_eq!(feed.drain(), [Extent::Everything]);
        assert_eq!(feed.acks.poll_timeout(), None);
        feed.acks.handle_timeout(deadline + ms(1000));
        assert_eq!(feed.drain(), []);
    }

    #[test]
    fn delay_is_cut_at_half_the_rto_and_never_above_half_a_second() {
        let mut feed = Feed::started();
        feed.acks.set_path(ms(300), None);
        feed.packet();
        assert_eq!(feed.acks.poll_timeout(), Some(feed.now + ms(150)));
        feed.acks.set_path(ms(1000), None);
        assert_eq!(feed.acks.delay, ms(200));
        assert_eq!(Acks::new(ms(900)).delay, ms(500));
    }

    #[test]
    fn delayed_one_rides_along() {
        let mut feed = Feed::started();
        feed.packet();
        assert_eq!(feed.acks.next(), Some(Extent::Everything));
        feed.acks.written();
        assert_eq!((feed.acks.next(), feed.acks.poll_timeout()), (None, None));
    }

    /// RFC 9260 §6.2 and §6.7, RFC 7053: reasons to send at once.
    #[test]
    fn at_once() {
        for (what, is_immediate, before, after) in [
            (Noted::New, true, false, false),
            (Noted::New, false, false, true),
            (Noted::New, false, true, true),
            (Noted::New, false, true, false),
            (Noted::Duplicate, false, false, false),
            (Noted::NoRoom, false, false, false),
        ] {
            let mut feed = Feed::started();
            feed.packet_with(what, is_immediate, before, after);
            assert_eq!(feed.drain(), [Extent::Everything]);
            assert_eq!(feed.drain(), []);
        }
    }

    /// RFC 9260 §6.2: with something new beside the duplicate the endpoint MAY; ours does not.
    #[test]
    fn duplicate_beside_new_is_not_urgent() {
        let mut feed = Feed::started();
        feed.acks.note(Noted::Duplicate, false, false);
        feed.packet();
        assert!(!feed.acks.is_due());
    }

    /// The span is two packets while the rate rises; a last odd packet is covered too.
    #[test]
    fn batch_while_rising() {
        let mut feed = Feed::started();
        for _ in 0..7 {
            feed.packet();
        }
        assert_eq!(feed.drain(), [Extent::UpTo(3), Extent::UpTo(5), Extent::Everything]);
        assert_eq!((feed.acks.next(), feed.acks.poll_timeout()), (None, None));
    }

    /// Peers count how often a TSN is reported missing.
    #[test]
    fn batch_with_a_gap_is_reported_packet_by_packet() {
        let mut feed = Feed::started();
        feed.packet();
        for _ in 0..3 {
            feed.packet_with(Noted::New, false, true, true);
        }
        assert_eq!(feed.drain(), [Extent::UpTo(3), Extent::UpTo(4), Extent::Everything]);
    }

    /// RFC 9260 §6.2: "An SCTP receiver MUST NOT generate more than one SACK chunk for every incoming packet".
    #[test]
    fn equal_cuts_are_one() {
        let mut feed = Feed::started();
        for _ in 0..5 {
            feed.packet_with(Noted::Duplicate, false, true, true);
        }
        assert_eq!(feed.drain(), [Extent::Everything]);
    }

    fn steady() -> Feed {
        let mut feed = Feed::started();
        for _ in 0..3 {
            for _ in 0..300 {
                feed.packet();
                feed.now += DEFAULT_EPOCH / 300;
                feed.drain();
            }
        }
        feed.packet();
        feed.drain();
        feed.packet();
        feed.drain();
        feed
    }

    #[test]
    fn batch_once_steady() {
        let mut feed = steady();
        assert!(feed.acks.rate.is_steady());
        let base = feed.tsn;
        for _ in 0..40 {
            feed.packet();
        }
        let unreported = feed.acks.unreported;
        let sent = feed.drain();
        assert_eq!(sent.len(), 2, "{sent:?} from {base}, {unreported} after the last cut");
        assert_eq!(sent.last(), Some(&Extent::Everything));
        // One by one the rule stays every second packet.
        feed.packet();
        assert!(!feed.acks.is_due());
        feed.packet();
        assert_eq!(feed.drain(), [Extent::Everything]);
    }

    #[test]
    fn rising_again_is_not_steady() {
        let mut feed = steady();
        for _ in 0..2 {
            for _ in 0..600 {
                feed.packet();
                feed.now += DEFAULT_EPOCH / 600;
            }
            feed.drain();
        }
        assert!(!feed.acks.rate.is_steady());
        let mut feed = steady();
        feed.now += ms(500);
        feed.packet();
        assert!(!feed.acks.rate.is_steady());
    }

    #[test]
    fn cuts_are_bounded() {
        let mut feed = Feed::started();
        for _ in 0..10_000 {
            feed.packet();
        }
        assert_eq!(feed.drain().len(), MAX_CUTS);
    }

    #[test]
    fn window_update() {
        let mut feed = Feed::started();
        feed.acks.require();
        assert_eq!(feed.drain(), [Extent::Everything]);
    }
}
