//! What must be true of every packet an association sends.

use crate::number::{Tsn, Unwrapper};
use crate::wire::{self, Chunk};

/// Reads along.
#[derive(Debug, Default)]
pub(super) struct Watch {
    /// The cumulative TSN that was acknowledged last, unwrapped.
    acknowledged: Option<(Unwrapper, u64)>,
}

impl Watch {
    pub(super) fn packet(&mut self, packet: &[u8], max: usize) {
        assert!(packet.len() <= max, "a packet of {} bytes", packet.len());
        let (_, chunks) = wire::parse(packet, true).expect("own packets are sound");
        for chunk in chunks {
            let chunk = chunk.expect("own chunks are sound");
            if let Chunk::Sack(sack) = &chunk {
                self.acknowledgement(sack.cumulative_tsn);
            } else if let Chunk::Shutdown(shutdown) = &chunk {
                self.acknowledgement(shutdown.cumulative_tsn);
            }
        }
    }

    /// RFC 9260 §6.2: what was acknowledged stays so.
    fn acknowledgement(&mut self, cumulative: Tsn) {
        let (mut unwrapper, before) = self.acknowledged.unwrap_or_else(|| {
            let unwrapper = Unwrapper::new(cumulative.0);
            (unwrapper, unwrapper.peek(cumulative.0))
        });
        let cumulative = unwrapper.peek(cumulative.0);
        assert!(cumulative >= before, "cumulative TSN {cumulative} after {before}");
        unwrapper.note(cumulative);
        self.acknowledged = Some((unwrapper, cumulative));
    }
}
