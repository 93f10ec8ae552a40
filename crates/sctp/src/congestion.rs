//! Congestion control behind one trait (RFC 9260 §7).

mod new_reno;

pub(crate) use new_reno::NewReno;

use std::fmt;
use std::time::{Duration, Instant};

/// Decides how much may be in flight. The sender tells it what happened; it never looks at the queue itself.
///
/// All sizes are chunk bytes with header and padding (RFC 9260 §7.2). Fast recovery is the sender's: a controller hears
/// of the loss that begins it, and with each acknowledgement whether it goes on.
pub(crate) trait Controller: fmt::Debug + Send {
    /// A packet with DATA left; `in_flight` counts it already.
    fn on_sent(&mut self, _now: Instant, _in_flight: usize) {}

    /// A SACK was processed. Told before [`on_loss`](Self::on_loss) when the same SACK shows a loss.
    fn on_ack(&mut self, now: Instant, ack: &Ack);

    /// A loss was seen that is not of the recovery under way: fast recovery begins.
    fn on_loss(&mut self, now: Instant);

    /// T3-rtx expired; fast recovery, if any, is over.
    fn on_rto(&mut self, now: Instant);

    /// Nothing was outstanding and nothing was sent for `timeouts` times the RTO.
    fn on_idle(&mut self, timeouts: u32);

    /// Everything learnt about the path is void; chunks may be of `max_chunk` bytes now.
    fn on_path_change(&mut self, max_chunk: usize);

    /// Chunks may be of `max_chunk` bytes from now on; all else holds.
    fn set_max_chunk(&mut self, max_chunk: usize);

    /// The congestion window in bytes.
    fn cwnd(&self) -> usize;

    /// The slow-start threshold in bytes; `usize::MAX` while there is none.
    fn ssthresh(&self) -> usize;

    #[expect(dead_code, reason = "NewReno does without; the sender asks once a controller paces")]
    /// Bytes per second to spread the packets over; `None` does without pacing.
    fn pacing_rate(&self) -> Option<u64> {
        None
    }
}

/// What one SACK acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ack {
    /// Newly acknowledged, by the cumulative TSN or a gap block.
    pub(crate) bytes: usize,
    /// Whether the window had been used up when the acknowledged chunks were in flight.
    pub(crate) window_full: bool,
    /// Whether fast recovery was on when the SACK came.
    pub(crate) in_recovery: bool,
    /// Whether nothing is outstanding any more.
    pub(crate) all_acked: bool,
    /// A round trip measured by this SACK.
    pub(crate) rtt: Option<Duration>,
}

/// Settings common to all controllers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CongestionConfig {
    /// The window at the start and after a change of path.
    pub(crate) initial_window: InitialWindow,
    /// L of RFC 9260 §7.2.1: how many packets one SACK may add in slow start.
    pub(crate) slow_start_limit: usize,
    /// Whether all that was in flight when the window was used up lets it grow, not just the first SACK: several SACKs
    /// are processed before anything is sent again when they come in one batch.
    pub(crate) remember_full_window: bool,
}

impl Default for CongestionConfig {
    /// Ten packets (RFC 6928), and eight per SACK: a peer may cover up to sixteen packets by one.
    fn default() -> Self {
        Self { initial_window: InitialWindow::Packets(10), slow_start_limit: 8, remember_full_window: true }
    }
}

impl CongestionConfig {
    /// RFC 9260 §7.2.1: its initial window, growth only by a SACK that finds the window full, and "The positive integer L SHOULD be 1".
    pub(crate) fn strict() -> Self {
        Self { initial_window: InitialWindow::Rfc9260, slow_start_limit: 1, remember_full_window: false }
    }
}

/// The first congestion window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum InitialWindow {
    /// So many full packets.
    Packets(usize),
    /// RFC 9260 §7.2.1: min(4 * PMDCS, max(2 * PMDCS, 4404)).
    Rfc9260,
}

impl InitialWindow {
    fn bytes(self, max_chunk: usize) -> usize {
        match self {
            Self::Packets(count) => max_chunk.saturating_mul(count.max(1)),
            Self::Rfc9260 => (4 * max_chunk).min((2 * max_chunk).max(4404)),
        }
    }
}
