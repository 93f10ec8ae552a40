//! What bounds the influence of authenticated but unwanted requests.

use crate::stun::TransactionId;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Instant;

/// A token bucket that holds one second's worth.
#[derive(Clone, Copy, Debug)]
pub(super) struct RateLimit {
    per_second: u32,
    tokens: u32,
    /// Up to when tokens were given out.
    filled_to: Instant,
}

impl RateLimit {
    pub(super) fn new(per_second: u32, now: Instant) -> Self {
        Self { per_second, tokens: per_second, filled_to: now }
    }

    /// Takes a token if there is one.
    pub(super) fn admit(&mut self, now: Instant) -> bool {
        let elapsed = now.saturating_duration_since(self.filled_to);
        let earned = elapsed.as_micros() * u128::from(self.per_second) / 1_000_000;
        if earned > 0 {
            let room = self.per_second - self.tokens;
            self.tokens += u32::try_from(earned).map_or(room, |earned| earned.min(room));
            self.filled_to = now;
        }
        let admitted = self.tokens > 0;
        self.tokens -= u32::from(admitted);
        admitted
    }
}

/// The latest requests, to tell copies from news.
///
/// STUN has no protection against replay: who sees a request can send it again from elsewhere, and would draw the route
/// to himself. An honest peer never uses a transaction id from two addresses (RFC 8489 §5).
#[derive(Debug, Default)]
pub(super) struct RecentRequests {
    requests: VecDeque<(TransactionId, SocketAddr)>,
}

impl RecentRequests {
    /// Did this request come from another address before?
    pub(super) fn is_replayed(&self, id: TransactionId, source: SocketAddr) -> bool {
        self.requests.iter().any(|&(known, from)| known == id && from != source)
    }

    /// Remembers a request; answers false if it was known.
    pub(super) fn remember(&mut self, id: TransactionId, source: SocketAddr) -> bool {
        if self.requests.contains(&(id, source)) {
            return false;
        }
        if self.requests.len() >= MAX_RECENT {
            self.requests.pop_front();
        }
        self.requests.push_back((id, source));
        true
    }
}

/// Several minutes of an ordinary peer's consent checks; 44 bytes each.
const MAX_RECENT: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_request_is_news_once_and_from_one_address() {
        let source = |port| SocketAddr::from(([192, 0, 2, 2], port));
        let mut recent = RecentRequests::default();
        assert!(recent.remember([1; 12], source(1)));
        assert!(!recent.remember([1; 12], source(1)));
        assert!(!recent.is_replayed([1; 12], source(1)));
        assert!(recent.is_replayed([1; 12], source(2)));
        for n in 0..64_u32 {
            let mut id = [0; 12];
            id[..4].copy_from_slice(&n.to_be_bytes());
            assert!(recent.remember(id, source(1)));
        }
        assert_eq!(recent.requests.len(), MAX_RECENT);
        assert!(!recent.is_replayed([1; 12], source(2)));
    }

    #[test]
    fn one_second_at_once_then_one_by_one() {
        let start = Instant::now();
        let mut limit = RateLimit::new(10, start);
        let admitted = |limit: &mut RateLimit, ms| {
            (0..100).filter(|_| limit.admit(start + Duration::from_millis(ms))).count()
        };
        assert_eq!(admitted(&mut limit, 0), 10);
        assert_eq!(admitted(&mut limit, 99), 0);
        assert_eq!(admitted(&mut limit, 100), 1);
        assert_eq!(admitted(&mut limit, 350), 2);
        assert_eq!(admitted(&mut limit, 60_000), 10);
    }

    #[test]
    fn zero_admits_nothing() {
        let start = Instant::now();
        let mut limit = RateLimit::new(0, start);
        assert!(!limit.admit(start + Duration::from_secs(9)));
    }
}
