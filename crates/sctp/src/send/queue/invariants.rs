//! What must hold of the queue after each input.

use super::super::chunk::{Format, charge};
use super::stream::Turn;
use super::{Queue, at};
use std::collections::BTreeMap;
use std::time::Instant;

impl Queue {
    /// The gauges equal a recount, and each stream stands where it should.
    pub(in crate::send) fn check_invariants(&self) {
        let pieces = || self.slots.iter().flat_map(|stream| &stream.pieces);
        assert_eq!(self.buffered, pieces().map(|piece| piece.data.len()).sum::<usize>());
        assert_eq!(self.charged, pieces().map(|piece| charge(piece.data.len())).sum::<usize>());
        let mut deadlines: BTreeMap<(Instant, u32), usize> = BTreeMap::new();
        for (slot, stream) in self.index.values().map(|&slot| (slot, &self.slots[at(slot)])) {
            assert_eq!(stream.buffered, stream.pieces.iter().map(|piece| piece.data.len()).sum::<usize>());
            assert_eq!(stream.ends, stream.pieces.iter().filter(|piece| piece.last).count());
            let ended = stream.pieces.iter().filter(|piece| piece.last).map(|piece| piece.kind);
            let open = stream.open.filter(|open| !open.discarded).map(|open| open.kind);
            for deadline in ended.chain(open).filter_map(|kind| kind.limit.deadline()) {
                *deadlines.entry((deadline, slot)).or_default() += 1;
            }
            assert!(!stream.is_ending || stream.buffered > 0, "{stream:?}");
            let ready = stream.next(slot, self.fragment).is_some();
            let held = stream.begun && self.format == Format::Data;
            assert_eq!(stream.turn != Turn::Idle, ready || held, "{stream:?}");
            if let Turn::Waiting(number) = stream.turn {
                let len = stream.long_message(self.fragment).unwrap_or(0);
                assert_eq!(self.room.waiting(number), Some((slot, len)), "{stream:?}");
            }
        }
        assert_eq!(self.deadlines, deadlines);
        self.check_room();
    }

    /// No stream waits without another one to wait for.
    fn check_room(&self) {
        let reserved: Vec<_> =
            self.slots.iter().map(|stream| stream.reserved).filter(|reserved| *reserved > 0).collect();
        let waits = self.slots.iter().any(|stream| matches!(stream.turn, Turn::Waiting(_)));
        assert_eq!(self.room.counts(), (reserved.iter().sum(), reserved.len()));
        assert!(!waits || !reserved.is_empty());
        assert!(reserved.is_empty() || self.format == Format::IData);
    }
}
