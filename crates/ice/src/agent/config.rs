//! Settings.

use std::time::Duration;

/// Settings of an [`Agent`](crate::Agent).
#[derive(Clone, Debug)]
pub struct Config {
    pub(super) pacing: Duration,
    pub(super) retransmission_timeout: Duration,
    pub(super) retransmission_timeout_max: Duration,
    pub(super) nomination_delay: Duration,
    pub(super) consent_interval: Duration,
    pub(super) consent_retry: Duration,
    pub(super) disconnected_after: Duration,
    pub(super) disconnected_after_full: Duration,
    pub(super) failed_after: Duration,
    pub(super) no_answer_after: Duration,
    pub(super) max_remote_candidates: usize,
    pub(super) max_pairs: usize,
    pub(super) max_routes: usize,
    pub(super) peer_reflexive_per_second: u32,
    pub(super) responses_per_second: u32,
}

impl Config {
    /// Time between the first requests to two pairs.
    ///
    /// RFC 8445 §14.2: "ICE agents SHOULD use a default Ta value, 50 ms", and never go below 5 ms. Default 50 ms. Smaller values
    /// load the network of a peer that has not consented yet; larger ones find a route later.
    pub fn pacing(mut self, value: Duration) -> Self {
        self.pacing = value.max(MIN_PACING);
        self
    }

    /// Time after which an unanswered check is sent again; doubles each time up to
    /// [`retransmission_timeout_max`](Self::retransmission_timeout_max).
    ///
    /// RFC 8445 §14.3: "Agents MUST NOT use an RTO value smaller than 500 ms", and a larger one when many pairs are
    /// checked at once. Default 500 ms. Smaller
    /// values repeat checks that are merely on a long way; larger ones recover later from a lost check.
    pub fn retransmission_timeout(mut self, value: Duration) -> Self {
        self.retransmission_timeout = value.max(MIN_PACING);
        self
    }

    /// Upper bound of the doubling retransmission timeout.
    ///
    /// RFC 8489 §6.2.1 knows no bound, and gives up after 39.5 s. Default 2 s: checks go on at that pace until
    /// [`no_answer_after`](Self::no_answer_after), so that a route that begins to work late is found soon.
    pub fn retransmission_timeout_max(mut self, value: Duration) -> Self {
        self.retransmission_timeout_max = value.max(MIN_PACING);
        self
    }

    /// How long a valid pair waits for a better one before it is nominated.
    ///
    /// RFC 8445 §8.1.1 leaves the criterion to the agent. Default zero: the first valid pair wins. All pairs of lite
    /// agents are direct, and the better ones had a head start of one [`pacing`](Self::pacing) interval each. With a
    /// larger value a better pair may still win; it delays the connection whenever the best pair does not work.
    pub fn nomination_delay(mut self, value: Duration) -> Self {
        self.nomination_delay = value;
        self
    }

    /// Time between consent checks while they are answered; each interval is varied between 0.8 and 1.2 times this.
    ///
    /// RFC 7675 §5.1: 5 s, and never below 4 s. Default 2 s, a deviation: a vanished peer is to be noticed within 5 s,
    /// which the RFC's interval cannot do. Applies only between two lite agents. Larger values notice later; it must
    /// stay well below [`disconnected_after`](Self::disconnected_after), or a healthy route flaps.
    pub fn consent_interval(mut self, value: Duration) -> Self {
        self.consent_interval = value.max(MIN_PACING);
        self
    }

    /// Time after which an unanswered consent check is followed by another, with a new transaction.
    ///
    /// Default 500 ms, the RTO of RFC 8445 §14.3. Smaller values send needless checks on long paths; larger ones leave
    /// fewer tries before [`disconnected_after`](Self::disconnected_after) under loss.
    pub fn consent_retry(mut self, value: Duration) -> Self {
        self.consent_retry = value.max(MIN_PACING);
        self
    }

    /// Silence after which a lite peer counts as disconnected.
    ///
    /// W3C `disconnected`; "implementation dependent" there. Default 4 s: noticed within 5 s, after several lost
    /// checks. Smaller values flap under loss.
    pub fn disconnected_after(mut self, value: Duration) -> Self {
        self.disconnected_after = value;
        self
    }

    /// Silence after which a full peer counts as disconnected.
    ///
    /// Default 7 s: a full peer checks every 4 to 6 s (RFC 7675 §5.1) and a lite agent cannot ask, so that a smaller
    /// value flaps on an idle but healthy route.
    pub fn disconnected_after_full(mut self, value: Duration) -> Self {
        self.disconnected_after_full = value;
        self
    }

    /// Silence after which the agent fails.
    ///
    /// With a lite peer it counts from the last answer to a consent check, with a full one from its last sign of life.
    /// RFC 7675 §5.1: 30 s. Default 14 s: failure is to be known within 15 s. Smaller values give up on routes that
    /// would have come back.
    pub fn failed_after(mut self, value: Duration) -> Self {
        self.failed_after = value;
        self
    }

    /// How long the search for a route may go on without anything authenticated from the peer.
    ///
    /// Counts from when its credentials and a candidate are known. Default 30 s, the order of the 39.5 s after which a
    /// check of RFC 8489 §6.2.1 gives up. Smaller values fail before a slow user or network is ready.
    pub fn no_answer_after(mut self, value: Duration) -> Self {
        self.no_answer_after = value;
        self
    }

    /// Most remote candidates taken from signalling.
    ///
    /// Default 100, as RFC 8445 §6.1.2.5 limits pairs. Guards against floods; browsers send below 20.
    pub fn max_remote_candidates(mut self, value: usize) -> Self {
        self.max_remote_candidates = value;
        self
    }

    /// Most pairs checked; those of the lowest priority are left out.
    ///
    /// RFC 8445 §6.1.2.5: "The default limit of candidate pairs for the checklist set is 100", configurable. Default
    /// 200.
    pub fn max_pairs(mut self, value: usize) -> Self {
        self.max_pairs = value;
        self
    }

    /// Most validated routes remembered; the one not used for the longest time gives way.
    ///
    /// Default 200, like the pairs. At least 1. Too few make routes come and go while a peer with many addresses checks.
    pub fn max_routes(mut self, value: usize) -> Self {
        self.max_routes = value.max(1);
        self
    }

    /// Most addresses per second (and at once) that are learnt from authenticated requests alone.
    ///
    /// Default 10. Bounds what a hostile peer can make the agent remember; a peer behind mDNS names needs a few.
    pub fn peer_reflexive_per_second(mut self, value: u32) -> Self {
        self.peer_reflexive_per_second = value;
        self
    }

    /// Most responses per second (and at once).
    ///
    /// Default 100. Bounds what replayed requests can reflect; at RFC 8445's pacing a peer sends 20 checks a second.
    pub fn responses_per_second(mut self, value: u32) -> Self {
        self.responses_per_second = value;
        self
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            pacing: Duration::from_millis(50),
            retransmission_timeout: Duration::from_millis(500),
            retransmission_timeout_max: Duration::from_secs(2),
            nomination_delay: Duration::ZERO,
            consent_interval: Duration::from_secs(2),
            consent_retry: Duration::from_millis(500),
            disconnected_after: Duration::from_secs(4),
            disconnected_after_full: Duration::from_secs(7),
            failed_after: Duration::from_secs(14),
            no_answer_after: Duration::from_secs(30),
            max_remote_candidates: 100,
            max_pairs: 200,
            max_routes: 200,
            peer_reflexive_per_second: 10,
            responses_per_second: 100,
        }
    }
}

/// RFC 8445 §14.2: no more than one check per 5 ms.
const MIN_PACING: Duration = Duration::from_millis(5);
