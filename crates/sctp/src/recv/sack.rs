//! What a SACK says (RFC 9260 §6.2, §6.7), and the window it advertises.

use super::Receiver;
use super::acks::Extent;
use crate::number::tsn;
use crate::wire::{GapBlock, List, PacketWriter, Sack};

impl Receiver {
    /// Whether a packet must be sent for the SACK alone. Stays true while several are waiting: call
    /// [`write_sack`](Self::write_sack) for the next packet again.
    pub(crate) fn sack_due(&self) -> bool {
        self.acks.is_due()
    }

    /// A SACK is to go with the next packet, once there was anything to acknowledge.
    pub(crate) fn acknowledge(&mut self) {
        if self.acks.is_started() {
            self.acks.require();
        }
    }

    /// Writes the SACK that is due, or, for packets that are sent anyway, one that is merely delayed. Call it first and
    /// once for each packet. False: there is nothing to acknowledge, or no room for it.
    pub(crate) fn write_sack(&mut self, packet: &mut PacketWriter<'_>) -> bool {
        let Some(extent) = self.acks.next() else { return false };
        let Some(room) = packet.remaining().checked_sub(Sack::HEADER_LEN) else { return false };
        let a_rwnd = self.window();
        self.fill_gap_blocks(extent, room / GAP_BLOCK_LEN);
        let room = room - self.gap_blocks.len() * GAP_BLOCK_LEN;
        let (upper, duplicates) = match extent {
            Extent::UpTo(cut) => (cut, &[][..]),
            Extent::Everything => (u64::MAX, self.tracker.duplicates()),
        };
        let duplicates = duplicates.get(..room / TSN_LEN).unwrap_or(duplicates);
        let written = packet.push(&Sack {
            cumulative_tsn: tsn(self.tracker.cumulative().min(upper)),
            a_rwnd: u32::try_from(a_rwnd).unwrap_or(u32::MAX),
            gaps: List::new(&self.gap_blocks),
            duplicates: List::new(duplicates),
        });
        if written {
            if extent == Extent::Everything {
                self.tracker.clear_duplicates();
            }
            self.advertised = a_rwnd;
            self.acks.written();
        }
        written
    }

    /// The a_rwnd of now.
    ///
    /// RFC 9260 §6.2 C: "if the receiver is holding fragmented DATA chunks in a reassembly queue, it SHOULD NOT
    /// increment a_rwnd."
    pub(crate) fn window(&self) -> usize {
        let (window, least) = (self.room(), self.least_window());
        // If the application cannot free much, a message larger than the window must trickle in.
        if window < least && !self.tracker.has_gaps() && !self.has_much_readable() { least } else { window }
    }

    /// RFC 9260 §6.2: "send a window update only if the window can be increased by at least a quarter of the receive
    /// buffer size of the association", or if the peer could hardly send before and can now.
    pub(super) fn update_window(&mut self) {
        let quarter = self.config.window / 4;
        let little = LITTLE_WINDOW.min(quarter);
        let enough = if self.advertised < little { little } else { quarter };
        let is_enough = |window: usize| window.saturating_sub(self.advertised) >= enough;
        // The application reads message by message: what the window is exactly is worked out only if it matters.
        let may_be_enough = !self.acks.is_due() && is_enough(self.room().max(self.least_window()));
        if may_be_enough && is_enough(self.window()) {
            self.acks.require();
        }
    }

    fn room(&self) -> usize {
        self.config.window.saturating_sub(self.charge())
    }

    fn least_window(&self) -> usize {
        STARVED_WINDOW.min(self.config.window)
    }

    /// RFC 9260 §6.7: "report the Gap Ack Blocks from the lowest to highest TSNs, within the size limit set by the PMTU,
    /// and leave the remaining highest TSN numbers unacknowledged".
    fn fill_gap_blocks(&mut self, extent: Extent, limit: usize) {
        let upper = match extent {
            Extent::UpTo(cut) => cut,
            Extent::Everything => u64::MAX,
        };
        let cumulative = self.tracker.cumulative();
        let offset = |number: u64| u16::try_from(number - cumulative).unwrap_or(u16::MAX);
        let ranges = self.tracker.ranges().iter().take_while(|range| range.first <= upper).take(limit);
        self.gap_blocks.clear();
        self.gap_blocks.extend(
            ranges.map(|range| GapBlock { start: offset(range.first), end: offset(range.last.min(upper)) }),
        );
    }
}

/// The window that is advertised at least while the application has little to read: four packets.
const STARVED_WINDOW: usize = 4 * 1500;
/// With less than this a peer can hardly send: two packets (RFC 9260 §6.2: "avoid receiver silly window syndrome").
const LITTLE_WINDOW: usize = 2 * 1500;
/// RFC 9260 §3.3.4.
const GAP_BLOCK_LEN: usize = 4;
/// RFC 9260 §3.3.4.
const TSN_LEN: usize = 4;
