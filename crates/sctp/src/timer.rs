//! A restartable deadline: what every timer of the association is made of (RFC 9260 §16).

use std::time::{Duration, Instant};

/// A timer as a field: armed by [`start`](Self::start), asked by [`expire`](Self::expire), never a task.
///
/// It re-arms itself when it expires, with the same or with a doubled duration, until its restarts are used up; the
/// owner sees that the last one is over by [`is_running`](Self::is_running). A timer of zero duration never runs.
///
/// Expiring late (a suspended machine) counts once: the next deadline is taken from the moment of the call.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timer {
    base: Duration,
    backoff: Backoff,
    max_restarts: Option<u32>,
    restarts: u32,
    deadline: Option<Instant>,
}

#[derive(Clone, Copy, Debug)]
enum Backoff {
    Fixed,
    Exponential { cap: Duration },
}

impl Timer {
    /// Runs for `duration` each time.
    pub(crate) fn fixed(duration: Duration) -> Self {
        Self { base: duration, backoff: Backoff::Fixed, max_restarts: None, restarts: 0, deadline: None }
    }

    /// Runs for `duration` first and twice as long after each expiry, at most for `cap`.
    pub(crate) fn exponential(duration: Duration, cap: Duration) -> Self {
        Self { backoff: Backoff::Exponential { cap }, ..Self::fixed(duration) }
    }

    /// Re-arms itself `count` times only: it expires `count + 1` times in all. Unlimited without this.
    pub(crate) fn max_restarts(mut self, count: u32) -> Self {
        self.max_restarts = Some(count);
        self
    }

    /// Changes the duration for the next [`start`](Self::start) or re-arming; a running deadline stays.
    pub(crate) fn set_duration(&mut self, duration: Duration) {
        self.base = duration;
    }

    /// Arms the timer anew, whether it runs or not, and forgets earlier restarts.
    pub(crate) fn start(&mut self, now: Instant) {
        self.restarts = 0;
        self.arm(now);
    }

    /// Disarms the timer.
    pub(crate) fn stop(&mut self) {
        self.deadline = None;
        self.restarts = 0;
    }

    /// Whether the deadline has come. True once per deadline; the timer has then re-armed itself, or stopped if its
    /// restarts are used up.
    pub(crate) fn expire(&mut self, now: Instant) -> bool {
        if self.deadline.is_none_or(|deadline| now < deadline) {
            return false;
        }
        if self.max_restarts.is_some_and(|max| self.restarts >= max) {
            self.deadline = None;
        } else {
            self.restarts = self.restarts.saturating_add(1);
            self.arm(now);
        }
        true
    }

    /// When it expires next.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// Whether it is armed.
    pub(crate) fn is_running(&self) -> bool {
        self.deadline.is_some()
    }

    fn arm(&mut self, now: Instant) {
        let duration = self.duration();
        self.deadline = (!duration.is_zero()).then(|| now.checked_add(duration)).flatten();
    }

    fn duration(&self) -> Duration {
        match self.backoff {
            Backoff::Fixed => self.base,
            Backoff::Exponential { cap } => doubled(self.base, self.restarts).min(cap),
        }
    }
}

/// `duration` doubled `times` times, without overflow.
pub(crate) fn doubled(duration: Duration, times: u32) -> Duration {
    duration.saturating_mul(1u32.checked_shl(times).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    /// Deadlines after each expiry, each taken at its exact time, as offsets from the start in milliseconds.
    fn expiries(mut timer: Timer, limit: usize) -> Vec<u128> {
        let begin = Instant::now();
        timer.start(begin);
        let mut times = Vec::new();
        while let Some(deadline) = timer.deadline() {
            assert!(!timer.expire(deadline - Duration::from_nanos(1)));
            assert!(timer.expire(deadline));
            times.push((deadline - begin).as_millis());
            if times.len() == limit {
                break;
            }
        }
        times
    }

    #[test]
    fn fixed_expires_at_equal_distances() {
        assert_eq!(expiries(Timer::fixed(ms(200)), 4), [200, 400, 600, 800]);
    }

    /// RFC 9260 §16: T1 with RTO.Initial 1 s, RTO.Max 60 s and Max.Init.Retransmits 8.
    #[test]
    fn exponential_doubles_up_to_the_cap_and_ends_after_its_restarts() {
        let t1 = Timer::exponential(ms(1000), ms(60_000)).max_restarts(8);
        let seconds = [1, 3, 7, 15, 31, 63, 123, 183, 243].map(|s| s * 1000);
        assert_eq!(expiries(t1, 100), seconds);
    }

    #[test]
    fn without_restarts_it_expires_once() {
        assert_eq!(expiries(Timer::fixed(ms(5)).max_restarts(0), 9), [5]);
    }

    #[test]
    fn starting_again_forgets_the_backoff() {
        let now = Instant::now();
        let mut timer = Timer::exponential(ms(100), ms(1000));
        timer.start(now);
        assert!(timer.expire(now + ms(100)));
        assert_eq!(timer.restarts, 1);
        assert_eq!(timer.deadline(), Some(now + ms(300)));
        timer.start(now + ms(150));
        assert_eq!(timer.restarts, 0);
        assert_eq!(timer.deadline(), Some(now + ms(250)));
    }

    #[test]
    fn zero_duration_never_runs() {
        let now = Instant::now();
        let mut timer = Timer::exponential(Duration::ZERO, ms(1000));
        timer.start(now);
        assert!(!timer.is_running());
        assert!(!timer.expire(now + ms(1_000_000)));
    }

    #[test]
    fn late_by_hours_expires_once() {
        let now = Instant::now();
        let mut timer = Timer::fixed(ms(100));
        timer.start(now);
        let late = now + ms(7_200_000);
        assert!(timer.expire(late));
        assert!(!timer.expire(late));
        assert_eq!(timer.deadline(), Some(late + ms(100)));
    }

    #[test]
    fn many_expiries_do_not_overflow() {
        let mut now = Instant::now();
        let mut timer = Timer::exponential(ms(400), ms(10_000));
        timer.start(now);
        for _ in 0..10_000 {
            now += ms(10_000);
            assert!(timer.expire(now));
        }
        assert_eq!(timer.deadline(), Some(now + ms(10_000)));
    }

    #[test]
    fn an_endless_duration_is_no_deadline() {
        let mut timer = Timer::fixed(Duration::MAX);
        timer.start(Instant::now());
        assert_eq!(timer.deadline(), None);
    }

    #[test]
    fn stopped_does_not_expire() {
        let now = Instant::now();
        let mut timer = Timer::fixed(ms(1));
        timer.start(now);
        timer.stop();
        assert!(!timer.expire(now + ms(2)));
        assert_eq!(timer.deadline(), None);
    }

    #[test]
    fn a_changed_duration_applies_from_the_next_start() {
        let now = Instant::now();
        let mut timer = Timer::fixed(ms(10));
        timer.start(now);
        timer.set_duration(ms(50));
        assert_eq!(timer.deadline(), Some(now + ms(10)));
        assert!(timer.expire(now + ms(10)));
        assert_eq!(timer.deadline(), Some(now + ms(60)));
    }
}
