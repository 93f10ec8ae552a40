//! NewReno to the letter of RFC 9260 §7.2.

use super::{Ack, CongestionConfig, Controller};
use std::time::Instant;

/// Slow start, congestion avoidance by counting bytes, and halving (RFC 9260 §7.2).
#[derive(Debug)]
pub(crate) struct NewReno {
    config: CongestionConfig,
    /// PMDCS: the largest DATA chunk of the path, header included.
    max_chunk: usize,
    cwnd: usize,
    ssthresh: usize,
    partial_bytes_acked: usize,
    /// Whether ssthresh was set to cwnd in the idle time under way.
    idle: bool,
}

impl NewReno {
    pub(crate) fn new(config: CongestionConfig, max_chunk: usize) -> Self {
        Self {
            config,
            max_chunk,
            cwnd: config.initial_window.bytes(max_chunk),
            // RFC 9260 §7.2.1: "The initial value of ssthresh SHOULD be arbitrarily high"
            ssthresh: usize::MAX,
            partial_bytes_acked: 0,
            idle: false,
        }
    }

    /// RFC 9260 §7.2.1: "cwnd MUST be increased by, at most, the lesser of 1. the total size of the previously
    /// outstanding DATA chunk(s) acknowledged and 2. L times the destination's PMDCS."
    fn slow_start(&mut self, ack: &Ack) {
        if ack.window_full {
            let limit = self.max_chunk.saturating_mul(self.config.slow_start_limit);
            self.cwnd = self.cwnd.saturating_add(ack.bytes.min(limit));
        }
    }

    /// RFC 9260 §7.2.2. The bytes of duplicates that the peer reports are not counted: their sizes are gone.
    fn congestion_avoidance(&mut self, ack: &Ack) {
        self.partial_bytes_acked = self.partial_bytes_acked.saturating_add(ack.bytes);
        if self.partial_bytes_acked < self.cwnd {
            return;
        }
        if ack.window_full {
            // "partial_bytes_acked is reset to (partial_bytes_acked - cwnd). Next, cwnd is increased by PMDCS."
            self.partial_bytes_acked -= self.cwnd;
            self.cwnd = self.cwnd.saturating_add(self.max_chunk);
        } else {
            // "(2) before the arrival of the SACK chunk the sender had less than cwnd bytes of data outstanding …
            // reset partial_bytes_acked to cwnd."
            self.partial_bytes_acked = self.cwnd;
        }
    }

    /// RFC 9260 §7.2.3: max(cwnd / 2, 4 * PMDCS).
    fn halved(&self) -> usize {
        (self.cwnd / 2).max(4 * self.max_chunk)
    }
}

impl Controller for NewReno {
    fn on_ack(&mut self, _now: Instant, ack: &Ack) {
        self.idle = false;
        if ack.bytes > 0 && !ack.in_recovery {
            // RFC 9260 §7.2.1: "When cwnd is less than or equal to ssthresh, an SCTP endpoint MUST use the slow-start
            // algorithm"
            if self.cwnd <= self.ssthresh {
                self.slow_start(ack);
            } else {
                self.congestion_avoidance(ack);
            }
        }
        if ack.all_acked {
            // RFC 9260 §7.2.2: "When all of the data transmitted by the sender has been acknowledged by the receiver,
            // partial_bytes_acked is initialized to 0."
            self.partial_bytes_acked = 0;
        }
    }

    fn on_loss(&mut self, _now: Instant) {
        // RFC 9260 §7.2.3: "ssthresh = max(cwnd / 2, 4 * PMDCS), cwnd = ssthresh, partial_bytes_acked = 0"
        self.ssthresh = self.halved();
        self.cwnd = self.ssthresh;
        self.partial_bytes_acked = 0;
    }

    fn on_rto(&mut self, _now: Instant) {
        // RFC 9260 §7.2.3: "ssthresh = max(cwnd / 2, 4 * PMDCS), cwnd = PMDCS, partial_bytes_acked = 0"
        self.ssthresh = self.halved();
        self.cwnd = self.max_chunk;
        self.partial_bytes_acked = 0;
    }

    fn on_idle(&mut self, timeouts: u32) {
        if timeouts == 0 {
            return;
        }
        if !self.idle {
            // RFC 9260 §7.2.1: "Before the first cwnd adjustment, the ssthresh of the transport address SHOULD be set
            // to the cwnd."
            self.ssthresh = self.cwnd;
            self.idle = true;
        }
        for _ in 0..timeouts {
            // "the cwnd of the transport address SHOULD be adjusted to max(cwnd / 2, 4 * PMDCS) once per RTO": a decay,
            // so a window that is smaller already stays.
            let decayed = self.cwnd.min(self.halved());
            if decayed == self.cwnd {
                break;
            }
            self.cwnd = decayed;
        }
    }

    fn on_path_change(&mut self, max_chunk: usize) {
        // RFC 9260 §7.2.5.2: "the congestion control parameters for the affected destination addresses MUST be reset to
        // their initial values."
        *self = Self::new(self.config, max_chunk);
    }

    fn set_max_chunk(&mut self, max_chunk: usize) {
        self.max_chunk = max_chunk;
    }

    fn cwnd(&self) -> usize {
        self.cwnd
    }

    fn ssthresh(&self) -> usize {
        self.ssthresh
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MDCS: usize = 1000;

    fn strict() -> NewReno {
        NewReno::new(CongestionConfig::strict(), MDCS)
    }

    fn acked(bytes: usize) -> Ack {
        Ack { bytes, window_full: true, in_recovery: false, all_acked: false, rtt: None }
    }

    fn ack(reno: &mut NewReno, ack: Ack) -> usize {
        reno.on_ack(Instant::now(), &ack);
        reno.cwnd()
    }

    /// Congestion avoidance with a window of `4 * MDCS`.
    fn avoiding() -> NewReno {
        let mut reno = strict();
        reno.on_loss(Instant::now());
        reno.ssthresh -= 1;
        assert_eq!((reno.cwnd, reno.ssthresh), (4000, 3999));
        reno
    }

    /// RFC 9260 §7.2.1.
    #[test]
    fn initial_window() {
        let table = [(500, 2000), (1000, 4000), (1179, 4404), (1472, 4404), (2202, 4404), (3000, 6000)];
        for (max_chunk, expected) in table {
            let reno = NewReno::new(CongestionConfig::strict(), max_chunk);
            assert_eq!(reno.cwnd(), expected, "PMDCS {max_chunk}");
        }
        assert_eq!(NewReno::new(CongestionConfig::default(), 1179).cwnd(), 11_790);
        assert_eq!(strict().ssthresh(), usize::MAX);
    }

    /// RFC 9260 §7.2.1: the lesser of the acknowledged bytes and L packets.
    #[test]
    fn slow_start_counts_bytes() {
        let mut reno = strict();
        assert_eq!(ack(&mut reno, acked(300)), 4300);
        assert_eq!(ack(&mut reno, acked(1000)), 5300);
        assert_eq!(ack(&mut reno, acked(5000)), 6300);
        let mut generous = NewReno::new(CongestionConfig::default(), MDCS);
        assert_eq!(ack(&mut generous, acked(5000)), 15_000);
        assert_eq!(ack(&mut generous, acked(20_000)), 23_000);
    }

    /// RFC 9260 §7.2.1: "The first upper bound protects against the ACK-Splitting attack".
    #[test]
    fn splitting_acknowledgements_gains_nothing() {
        let (mut whole, mut split) = (strict(), strict());
        ack(&mut whole, acked(1000));
        for _ in 0..100 {
            ack(&mut split, acked(10));
        }
        assert_eq!(split.cwnd(), whole.cwnd());
        let (mut whole, mut split) = (avoiding(), avoiding());
        for _ in 0..8 {
            ack(&mut whole, acked(1000));
            for _ in 0..100 {
                ack(&mut split, acked(10));
            }
        }
        assert_eq!((split.cwnd(), split.partial_bytes_acked), (whole.cwnd(), whole.partial_bytes_acked));
    }

    #[test]
    fn an_acknowledgement_of_nothing_adds_nothing() {
        let mut reno = strict();
        assert_eq!(ack(&mut reno, acked(0)), 4000);
    }

    /// RFC 9260 §7.2.1: "increase cwnd only if the current congestion window is being fully utilized and the data
    /// sender is not in Fast Recovery".
    #[test]
    fn no_growth_when_application_limited_or_recovering() {
        let mut reno = strict();
        assert_eq!(ack(&mut reno, Ack { window_full: false, ..acked(1000) }), 4000);
        assert_eq!(ack(&mut reno, Ack { in_recovery: true, ..acked(1000) }), 4000);
        let mut reno = avoiding();
        for _ in 0..100 {
            assert_eq!(ack(&mut reno, Ack { in_recovery: true, ..acked(1000) }), 4000);
        }
        assert_eq!(reno.partial_bytes_acked, 0);
    }

    /// RFC 9260 §7.2.2.
    #[test]
    fn congestion_avoidance_adds_a_packet_per_window() {
        let mut reno = avoiding();
        let windows: Vec<_> = (0..10).map(|_| ack(&mut reno, acked(1000))).collect();
        assert_eq!(windows, [4000, 4000, 4000, 5000, 5000, 5000, 5000, 5000, 6000, 6000]);
        assert_eq!(reno.partial_bytes_acked, 1000);
    }

    /// RFC 9260 §7.2.2: capped at cwnd while the window is not full.
    #[test]
    fn partial_bytes_are_capped_when_application_limited() {
        let mut reno = avoiding();
        for _ in 0..20 {
            assert_eq!(ack(&mut reno, Ack { window_full: false, ..acked(1000) }), 4000);
        }
        assert_eq!(reno.partial_bytes_acked, 4000);
        assert_eq!(ack(&mut reno, acked(1000)), 5000);
        assert_eq!(reno.partial_bytes_acked, 1000);
    }

    #[test]
    fn partial_bytes_start_anew_when_all_is_acknowledged() {
        let mut reno = avoiding();
        ack(&mut reno, acked(3000));
        ack(&mut reno, Ack { all_acked: true, ..acked(500) });
        assert_eq!(reno.partial_bytes_acked, 0);
    }

    /// RFC 9260 §7.2.3, both tables: (cwnd, ssthresh and cwnd after a loss, ssthresh after T3).
    #[test]
    fn losses_halve_and_timeouts_start_over() {
        for (before, halved) in [(1000, 4000), (8000, 4000), (8002, 4001), (100_000, 50_000)] {
            let mut lost = strict();
            (lost.cwnd, lost.partial_bytes_acked) = (before, 77);
            lost.on_loss(Instant::now());
            assert_eq!((lost.cwnd(), lost.ssthresh(), lost.partial_bytes_acked), (halved, halved, 0));
            let mut expired = strict();
            (expired.cwnd, expired.partial_bytes_acked) = (before, 77);
            expired.on_rto(Instant::now());
            assert_eq!((expired.cwnd(), expired.ssthresh(), expired.partial_bytes_acked), (MDCS, halved, 0));
        }
    }

    /// RFC 9260 §7.2.1: once per RTO, ssthresh kept at the old window first.
    #[test]
    fn idle_decays_the_window() {
        let mut reno = strict();
        reno.cwnd = 100_000;
        reno.on_idle(0);
        assert_eq!((reno.cwnd(), reno.ssthresh()), (100_000, usize::MAX));
        reno.on_idle(1);
        assert_eq!((reno.cwnd(), reno.ssthresh()), (50_000, 100_000));
        reno.on_idle(2);
        assert_eq!((reno.cwnd(), reno.ssthresh()), (12_500, 100_000));
        reno.on_idle(u32::MAX);
        assert_eq!((reno.cwnd(), reno.ssthresh()), (4000, 100_000));
        ack(&mut reno, acked(1000));
        reno.on_idle(1);
        assert_eq!((reno.cwnd(), reno.ssthresh()), (4000, 5000));
    }

    #[test]
    fn idle_never_raises_the_window() {
        let mut reno = strict();
        reno.on_rto(Instant::now());
        reno.on_idle(5);
        assert_eq!(reno.cwnd(), MDCS);
    }

    /// RFC 9260 §7.2.5.2.
    #[test]
    fn another_path_starts_anew() {
        let mut reno = avoiding();
        reno.on_path_change(500);
        assert_eq!((reno.cwnd(), reno.ssthresh(), reno.partial_bytes_acked), (2000, usize::MAX, 0));
    }
}
