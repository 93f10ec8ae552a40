//! The retransmission timeout (RFC 9260 §6.3.1).

use std::time::Duration;

/// Bounds of the retransmission timeout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RtoConfig {
    /// RTO.Initial: until there is a measurement.
    pub(crate) initial: Duration,
    /// RTO.Min.
    pub(crate) min: Duration,
    /// RTO.Max.
    pub(crate) max: Duration,
    /// The RTO stays at least this far above SRTT, whatever RTTVAR says.
    pub(crate) margin: Duration,
}

impl Default for RtoConfig {
    /// 500 ms, 400 ms, 10 s, and 220 ms above SRTT: a peer may delay its SACK by 200 ms.
    fn default() -> Self {
        Self {
            initial: Duration::from_millis(500),
            min: Duration::from_millis(400),
            max: Duration::from_secs(10),
            margin: Duration::from_millis(220),
        }
    }
}

impl RtoConfig {
    /// The letter of RFC 9260 §16: 1 s, 1 s, 60 s.
    pub(crate) fn strict() -> Self {
        Self {
            initial: Duration::from_secs(1),
            min: Duration::from_secs(1),
            max: Duration::from_secs(60),
            margin: Duration::ZERO,
        }
    }
}

/// SRTT, RTTVAR and the timeout made of them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rto {
    config: RtoConfig,
    estimate: Option<Estimate>,
    current: Duration,
}

#[derive(Clone, Copy, Debug)]
struct Estimate {
    srtt: Duration,
    rttvar: Duration,
}

impl Rto {
    pub(crate) fn new(config: RtoConfig) -> Self {
        // RFC 9260 §6.3.1 C1: "Until an RTT measurement has been made … set RTO to the protocol parameter 'RTO.Initial'."
        Self { config, estimate: None, current: config.initial }
    }

    /// Takes a measured round trip; ends any back-off. Absurdly long ones are ignored, and so are those of no time at all: the
    /// clock stood still.
    pub(crate) fn sample(&mut self, rtt: Duration) {
        if rtt.is_zero() || rtt > RTT_MAX {
            return;
        }
        let estimate = match self.estimate {
            // C2: "SRTT = R, RTTVAR = R/2"
            None => Estimate { srtt: rtt, rttvar: rtt / 2 },
            // C3, RTO.Alpha = 1/8, RTO.Beta = 1/4: "The value of SRTT used in the update to RTTVAR is its value before
            // updating SRTT itself using the second assignment."
            Some(Estimate { srtt, rttvar }) => {
                Estimate { rttvar: (rttvar * 3 + srtt.abs_diff(rtt)) / 4, srtt: (srtt * 7 + rtt) / 8 }
            }
        };
        // G1: "Whenever RTTVAR is computed, if RTTVAR == 0, then adjust RTTVAR = G."
        let rttvar = if estimate.rttvar.is_zero() { GRANULARITY } else { estimate.rttvar };
        self.estimate = Some(Estimate { rttvar, ..estimate });
        self.current = self.clamp(estimate.srtt + (rttvar * 4).max(self.config.margin));
    }

    /// RFC 9260 §6.3.3 E2: "set RTO = RTO * 2 ("back off the timer")", up to RTO.Max.
    pub(crate) fn back_off(&mut self) {
        self.current = self.clamp(self.current.saturating_mul(2));
    }

    /// Forgets everything measured: another path (RFC 8261 §6.1).
    pub(crate) fn reset(&mut self) {
        *self = Self::new(self.config);
    }

    /// The timeout as it stands, back-off included.
    pub(crate) fn current(&self) -> Duration {
        self.current
    }

    /// RTO.Max.
    pub(crate) fn max(&self) -> Duration {
        self.config.max
    }

    /// The smoothed round trip, once there is a measurement.
    pub(crate) fn srtt(&self) -> Option<Duration> {
        self.estimate.map(|estimate| estimate.srtt)
    }

    /// C6 and C7; a maximum below the minimum gives the maximum.
    fn clamp(&self, rto: Duration) -> Duration {
        rto.max(self.config.min).min(self.config.max)
    }
}

/// Clock granularity G (RFC 9260 §6.3.1): timers below a millisecond are not kept by any driver.
const GRANULARITY: Duration = Duration::from_millis(1);

/// Longer round trips are taken for mistakes: a suspended machine, a clock that jumped.
const RTT_MAX: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    const fn us(n: u64) -> Duration {
        Duration::from_micros(n)
    }

    /// RFC 9260 §6.3.1 C2, C3, worked out by hand: (sample, SRTT, RTTVAR, RTO).
    #[test]
    fn table_of_samples() {
        let mut rto = Rto::new(RtoConfig { min: ms(1), margin: Duration::ZERO, ..RtoConfig::strict() });
        let table = [
            (ms(100), ms(100), ms(50), ms(300)),
            // |100 − 200| = 100: (3·50 + 100)/4 = 62.5; (7·100 + 200)/8 = 112.5; 112.5 + 250
            (ms(200), us(112_500), us(62_500), us(362_500)),
            // |112.5 − 112.5| = 0: 46.875; 112.5; 112.5 + 187.5
            (us(112_500), us(112_500), us(46_875), us(300_000)),
            // |112.5 − 32.5| = 80: (140.625 + 80)/4 = 55.15625; (787.5 + 32.5)/8 = 102.5; 102.5 + 220.625
            (us(32_500), us(102_500), Duration::from_nanos(55_156_250), us(323_125)),
        ];
        for (sample, srtt, rttvar, expected) in table {
            rto.sample(sample);
            assert_eq!(
                (rto.srtt(), rto.estimate.unwrap().rttvar, rto.current()),
                (Some(srtt), rttvar, expected)
            );
        }
    }

    #[test]
    fn before_any_sample_it_is_the_initial_value() {
        assert_eq!(Rto::new(RtoConfig::default()).current(), ms(500));
        assert_eq!(Rto::new(RtoConfig::strict()).current(), ms(1000));
        assert_eq!(Rto::new(RtoConfig::default()).srtt(), None);
    }

    /// RFC 9260 §6.3.1 C6, C7.
    #[test]
    fn bounded_below_and_above() {
        let mut rto = Rto::new(RtoConfig::default());
        rto.sample(ms(5));
        assert_eq!(rto.current(), ms(400));
        rto.sample(ms(40_000));
        assert_eq!(rto.current(), ms(10_000));
        let mut strict = Rto::new(RtoConfig::strict());
        strict.sample(ms(5));
        assert_eq!(strict.current(), ms(1000));
    }

    #[test]
    fn steady_round_trips_leave_room_for_a_delayed_sack() {
        let mut rto = Rto::new(RtoConfig::default());
        for _ in 0..200 {
            rto.sample(ms(300));
        }
        assert_eq!(rto.current(), ms(520));
    }

    /// RFC 9260 §6.3.1 G1.
    #[test]
    fn a_variance_of_zero_becomes_the_granularity() {
        let mut rto =
            Rto::new(RtoConfig { min: Duration::ZERO, margin: Duration::ZERO, ..RtoConfig::strict() });
        rto.sample(Duration::from_nanos(1));
        assert_eq!(rto.current(), Duration::from_nanos(4_000_001));
        assert_eq!(rto.estimate.unwrap().rttvar, ms(1));
    }

    #[test]
    fn absurd_samples_change_nothing() {
        let mut rto = Rto::new(RtoConfig::default());
        rto.sample(ms(250));
        let before = rto.current();
        rto.sample(Duration::from_secs(61));
        rto.sample(Duration::MAX);
        assert_eq!((rto.current(), rto.srtt()), (before, Some(ms(250))));
    }

    /// RFC 9260 §6.3.3 E2, and its last paragraph but two: a new measurement collapses the back-off.
    #[test]
    fn backs_off_to_the_maximum_and_collapses() {
        let mut rto = Rto::new(RtoConfig::default());
        let mut seen = Vec::new();
        for _ in 0..6 {
            rto.back_off();
            seen.push(rto.current().as_millis());
        }
        assert_eq!(seen, [1000, 2000, 4000, 8000, 10_000, 10_000]);
        rto.sample(ms(100));
        assert_eq!(rto.current(), ms(400));
    }

    #[test]
    fn another_path_starts_anew() {
        let mut rto = Rto::new(RtoConfig::default());
        rto.sample(ms(3000));
        rto.reset();
        assert_eq!((rto.current(), rto.srtt()), (ms(500), None));
    }
}
