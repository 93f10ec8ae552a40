//! Which TSNs have arrived (RFC 9260 §6.2, §6.7), or will not (RFC 3758 §3.6).

use super::ReceiverConfig;
use crate::number::{Tsn, Unwrapper, tsn};

/// The cumulative TSN, the ranges received beyond it, and the duplicates to report.
///
/// Invariant: `ranges` are sorted, not empty, apart from each other, and begin above `cumulative + 1`.
#[derive(Debug)]
pub(super) struct Tracker {
    unwrapper: Unwrapper,
    cumulative: u64,
    ranges: Vec<Range>,
    duplicates: Vec<Tsn>,
    /// How far ahead of the cumulative TSN one is accepted.
    reach: u64,
    max_distance: u64,
    max_ranges: usize,
    max_duplicates: usize,
}

/// First and last TSN of a run, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Range {
    pub(super) first: u64,
    pub(super) last: u64,
}

/// What the tracker thinks of a TSN, before anything is changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    New,
    Duplicate,
    /// Further ahead than a SACK can report or the window can fill.
    OutsideWindow,
    /// Would open one more range than is tracked.
    TooManyGaps,
}

impl Tracker {
    /// RFC 9260 §3.3.4: before any DATA the Cumulative TSN Ack is the peer's Initial TSN − 1.
    pub(super) fn new(initial: Tsn, config: &ReceiverConfig) -> Self {
        let first = Unwrapper::new(initial.0).peek(initial.0);
        Self {
            unwrapper: Unwrapper::new(initial.0),
            cumulative: first - 1,
            ranges: Vec::new(),
            duplicates: Vec::new(),
            reach: reach(config.window, config.max_tsn_distance),
            max_distance: u64::from(config.max_tsn_distance),
            max_ranges: config.max_gap_ranges,
            max_duplicates: config.max_duplicates,
        }
    }

    pub(super) fn unwrap(&self, number: Tsn) -> u64 {
        self.unwrapper.peek(number.0)
    }

    pub(super) fn check(&self, number: u64) -> Verdict {
        if number <= self.cumulative {
            return Verdict::Duplicate;
        }
        if number - self.cumulative > self.reach {
            return Verdict::OutsideWindow;
        }
        // In sequence, or the tail grows: by far the commonest.
        if number == self.cumulative + 1 || self.ranges.last().is_some_and(|last| last.last + 1 == number) {
            return Verdict::New;
        }
        let next = self.position_above(number);
        if self.range_before(next).is_some_and(|before| number <= before.last) {
            return Verdict::Duplicate;
        }
        if self.ranges.len() >= self.max_ranges && !self.touches(next, number) {
            return Verdict::TooManyGaps;
        }
        Verdict::New
    }

    /// Notes a TSN that `check` called new.
    pub(super) fn insert(&mut self, number: u64) {
        debug_assert_eq!(self.check(number), Verdict::New);
        if number == self.cumulative + 1 {
            self.advance_to(number);
        } else {
            self.insert_ahead(number);
        }
        self.unwrapper.note(number);
    }

    /// What a FORWARD TSN to here would do. It may lead as far as any DATA could lie if the window were large: what the
    /// peer gives up need never have arrived.
    pub(super) fn check_forward(&self, number: u64) -> Verdict {
        match number.checked_sub(self.cumulative) {
            None | Some(0) => Verdict::Duplicate,
            Some(distance) if distance > self.max_distance => Verdict::OutsideWindow,
            Some(_) => Verdict::New,
        }
    }

    /// Counts all up to a TSN that `check_forward` called new as received.
    ///
    /// RFC 3758 §3.6: "the data receiver MUST first update its cumulative TSN point to the value carried in the FORWARD
    /// TSN chunk, and then MUST further advance its cumulative TSN point locally if possible".
    pub(super) fn forward(&mut self, number: u64) {
        debug_assert_eq!(self.check_forward(number), Verdict::New);
        let first_kept = self.ranges.partition_point(|range| range.last <= number);
        self.ranges.drain(..first_kept);
        self.cumulative = number;
        if let Some(first) = self.ranges.first_mut().filter(|first| first.first <= number + 1) {
            self.cumulative = first.last;
            self.ranges.remove(0);
        }
        self.unwrapper.note(self.cumulative);
    }

    /// RFC 9260 §3.3.4: one entry for every extra copy since the last SACK. False: there are too many already.
    pub(super) fn note_duplicate(&mut self, number: u64) -> bool {
        let has_room = self.duplicates.len() < self.max_duplicates;
        if has_room {
            self.duplicates.push(tsn(number));
        }
        has_room
    }

    pub(super) fn duplicates(&self) -> &[Tsn] {
        &self.duplicates
    }

    pub(super) fn clear_duplicates(&mut self) {
        self.duplicates.clear();
    }

    pub(super) fn cumulative(&self) -> u64 {
        self.cumulative
    }

    /// The highest TSN received.
    pub(super) fn highest(&self) -> u64 {
        self.ranges.last().map_or(self.cumulative, |range| range.last)
    }

    pub(super) fn has_gaps(&self) -> bool {
        !self.ranges.is_empty()
    }

    /// Whether this TSN has arrived.
    pub(super) fn contains(&self, number: u64) -> bool {
        number <= self.cumulative
            || self.range_before(self.position_above(number)).is_some_and(|range| number <= range.last)
    }

    /// The ranges beyond the cumulative TSN, lowest first.
    pub(super) fn ranges(&self) -> &[Range] {
        &self.ranges
    }

    fn advance_to(&mut self, number: u64) {
        self.cumulative = number;
        if self.ranges.first().is_some_and(|first| first.first == number + 1) {
            self.cumulative = self.ranges.remove(0).last;
        }
    }

    fn insert_ahead(&mut self, number: u64) {
        if let Some(last) = self.ranges.last_mut()
            && last.last + 1 == number
        {
            last.last = number;
            return;
        }
        let next = self.position_above(number);
        let joins_next = self.ranges.get(next).is_some_and(|range| range.first == number + 1);
        let joins_before = self.range_before(next).is_some_and(|range| range.last + 1 == number);
        match (joins_before, joins_next) {
            (true, true) => self.ranges[next - 1].last = self.ranges.remove(next).last,
            (true, false) => self.ranges[next - 1].last = number,
            (false, true) => self.ranges[next].first = number,
            (false, false) => self.ranges.insert(next, Range { first: number, last: number }),
        }
    }

    /// Index of the first range that begins above `number`.
    fn position_above(&self, number: u64) -> usize {
        self.ranges.partition_point(|range| range.first <= number)
    }

    fn range_before(&self, position: usize) -> Option<&Range> {
        self.ranges.get(position.checked_sub(1)?)
    }

    fn touches(&self, next: usize, number: u64) -> bool {
        self.ranges.get(next).is_some_and(|range| range.first == number + 1)
            || self.range_before(next).is_some_and(|range| range.last + 1 == number)
    }
}

/// How far ahead of the cumulative TSN one is accepted: what a SACK can report (RFC 9260 §3.3.4: 16-bit offsets), or
/// what fills the window four times over with 500-byte packets, whichever is less.
fn reach(window: usize, max_distance: u16) -> u64 {
    let by_window = window.saturating_mul(4) / 500;
    u64::try_from(by_window).unwrap_or(u64::MAX).max(MIN_REACH).min(max_distance.into())
}

/// Tiny windows still take a burst of small chunks.
const MIN_REACH: u64 = 64;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    const MAX_RANGES: usize = 1024;

    fn tracker(initial: u32) -> Tracker {
        Tracker::new(Tsn(initial), &ReceiverConfig::default())
    }

    fn blocks_of(tracker: &Tracker) -> (Tsn, Vec<(u64, u64)>) {
        (tsn(tracker.cumulative()), blocks(tracker))
    }

    /// Offers TSN `initial + offset`.
    fn offer(tracker: &mut Tracker, number: u32) -> Verdict {
        let number = tracker.unwrap(Tsn(number));
        let verdict = tracker.check(number);
        match verdict {
            Verdict::New => tracker.insert(number),
            Verdict::Duplicate => drop(tracker.note_duplicate(number)),
            Verdict::OutsideWindow | Verdict::TooManyGaps => {}
        }
        verdict
    }

    fn blocks(tracker: &Tracker) -> Vec<(u64, u64)> {
        let cumulative = tracker.cumulative();
        tracker.ranges().iter().map(|range| (range.first - cumulative, range.last - cumulative)).collect()
    }

    /// RFC 9260 §3.3.4, the example: 10 to 12, 14, 15 and 17 received.
    #[test]
    fn example_of_the_rfc() {
        let mut tracker = tracker(10);
        for number in [10, 11, 12, 15, 14, 17] {
            assert_eq!(offer(&mut tracker, number), Verdict::New);
        }
        assert_eq!(tsn(tracker.cumulative()), Tsn(12));
        assert_eq!(blocks(&tracker), [(2, 3), (5, 5)]);
        assert_eq!(tsn(tracker.highest()), Tsn(17));
    }

    #[test]
    fn nothing_received_yet() {
        let tracker = tracker(0);
        assert_eq!(tsn(tracker.cumulative()), Tsn(u32::MAX));
        assert!(!tracker.has_gaps());
    }

    #[test]
    fn ranges_join_on_both_sides() {
        let mut tracker = tracker(100);
        for (number, expected) in [
            (102, vec![(3, 3)]),
            (104, vec![(3, 3), (5, 5)]),
            (106, vec![(3, 3), (5, 5), (7, 7)]),
            (103, vec![(3, 5), (7, 7)]),
            (107, vec![(3, 5), (7, 8)]),
            (105, vec![(3, 8)]),
            (101, vec![(2, 8)]),
        ] {
            assert_eq!(offer(&mut tracker, number), Verdict::New);
            assert_eq!(blocks(&tracker), expected);
        }
        assert_eq!(offer(&mut tracker, 100), Verdict::New);
        assert_eq!((tsn(tracker.cumulative()), tracker.has_gaps()), (Tsn(107), false));
    }

    #[test]
    fn a_range_that_begins_right_below_the_first_grows_downwards() {
        let mut tracker = tracker(1);
        offer(&mut tracker, 5);
        offer(&mut tracker, 4);
        assert_eq!(blocks(&tracker), [(4, 5)]);
    }

    #[test]
    fn duplicates_below_inside_and_between() {
        let mut tracker = tracker(1);
        for number in [1, 2, 5, 6, 9] {
            offer(&mut tracker, number);
        }
        for number in [0, 1, 2, 5, 6, 9] {
            assert_eq!(offer(&mut tracker, number), Verdict::Duplicate, "{number}");
        }
        assert_eq!(tracker.duplicates(), [0, 1, 2, 5, 6, 9].map(Tsn));
        tracker.clear_duplicates();
        for _ in 0..100 {
            offer(&mut tracker, 1);
        }
        assert_eq!(tracker.duplicates(), [Tsn(1); 32]);
    }

    /// RFC 9260 §3.3.4: offsets have 16 bits; nothing is accepted that could not be reported.
    #[test]
    fn window_ends_where_offsets_end() {
        let mut tracker = Tracker::new(Tsn(1), &ReceiverConfig { window: 1 << 30, ..Default::default() });
        assert_eq!(offer(&mut tracker, 65_536), Verdict::OutsideWindow);
        assert_eq!(offer(&mut tracker, 65_535), Verdict::New);
        assert_eq!(blocks(&tracker), [(65_535, 65_535)]);
        assert_eq!(offer(&mut tracker, 1 << 31), Verdict::OutsideWindow);
        assert_eq!(offer(&mut tracker, (1 << 31) + 65_535), Verdict::OutsideWindow);
        assert_eq!(offer(&mut tracker, u32::MAX), Verdict::Duplicate);
    }

    #[test]
    fn window_follows_the_receive_window() {
        assert_eq!(reach(4 << 20, 65_535), 33_554);
        assert_eq!(reach(1 << 30, 65_535), 65_535);
        assert_eq!(reach(1500, 65_535), 64);
        assert_eq!(reach(usize::MAX, 65_535), 65_535);
        assert_eq!(reach(4 << 20, 1000), 1000);
        assert_eq!(reach(1500, 10), 10);
    }

    #[test]
    fn no_more_ranges_than_the_cap() {
        let mut tracker = tracker(1);
        let last = 3 + 2 * (MAX_RANGES as u32 - 1);
        for number in (3..=last).step_by(2) {
            assert_eq!(offer(&mut tracker, number), Verdict::New);
        }
        assert_eq!(tracker.ranges().len(), MAX_RANGES);
        assert_eq!(offer(&mut tracker, last + 2), Verdict::TooManyGaps);
        assert_eq!(offer(&mut tracker, last + 1), Verdict::New);
        assert_eq!(offer(&mut tracker, last + 2), Verdict::New);
        assert_eq!(offer(&mut tracker, 4), Verdict::New);
        assert_eq!(tracker.ranges().len(), MAX_RANGES - 1);
        assert_eq!(offer(&mut tracker, 1), Verdict::New);
    }

    /// RFC 9260 §1.6: TSNs wrap at 2^32.
    #[test]
    fn blocks_around_the_wrap() {
        let mut tracker = tracker(u32::MAX - 1);
        for number in [u32::MAX - 1, 0, 1, 3] {
            assert_eq!(offer(&mut tracker, number), Verdict::New);
        }
        assert_eq!(tsn(tracker.cumulative()), Tsn(u32::MAX - 1));
        assert_eq!(blocks(&tracker), [(2, 3), (5, 5)]);
        offer(&mut tracker, u32::MAX);
        assert_eq!(tsn(tracker.cumulative()), Tsn(1));
        assert_eq!(blocks(&tracker), [(2, 2)]);
    }

    fn forward(tracker: &mut Tracker, number: u32) -> Verdict {
        let number = tracker.unwrap(Tsn(number));
        let verdict = tracker.check_forward(number);
        if verdict == Verdict::New {
            tracker.forward(number);
        }
        verdict
    }

    /// RFC 3758 §3.6, the example: 102, 104, 105 and 107 received, then FORWARD TSN 103.
    #[test]
    fn forward_example_of_the_rfc() {
        let mut tracker = tracker(102);
        for number in [102, 104, 105, 107] {
            offer(&mut tracker, number);
        }
        assert_eq!(forward(&mut tracker, 103), Verdict::New);
        assert_eq!(blocks_of(&tracker), (Tsn(105), vec![(2, 2)]));
        assert_eq!(offer(&mut tracker, 103), Verdict::Duplicate);
    }

    #[test]
    fn forward_into_between_and_beyond_ranges() {
        let cases = [
            (2, (Tsn(2), vec![(2, 4), (6, 7)])),
            (3, (Tsn(6), vec![(2, 3)])),
            (4, (Tsn(6), vec![(2, 3)])),
            (6, (Tsn(6), vec![(2, 3)])),
            (7, (Tsn(9), vec![])),
            (9, (Tsn(9), vec![])),
            (50, (Tsn(50), vec![])),
        ];
        for (point, expected) in cases {
            let mut tracker = tracker(1);
            for number in [4, 5, 6, 8, 9] {
                offer(&mut tracker, number);
            }
            assert_eq!(forward(&mut tracker, point), Verdict::New, "{point}");
            assert_eq!(blocks_of(&tracker), expected, "{point}");
        }
    }

    #[test]
    fn forward_behind_and_too_far() {
        let mut tracker = tracker(u32::MAX);
        offer(&mut tracker, u32::MAX);
        for number in [u32::MAX, u32::MAX - 1, 1 << 31] {
            assert_eq!(forward(&mut tracker, number), Verdict::Duplicate, "{number}");
        }
        for number in [65_535, 1 << 30, (1 << 31) - 1] {
            assert_eq!(forward(&mut tracker, number), Verdict::OutsideWindow, "{number}");
        }
        assert_eq!(blocks_of(&tracker), (Tsn(u32::MAX), vec![]));
        assert_eq!(forward(&mut tracker, 65_534), Verdict::New);
        assert_eq!(blocks_of(&tracker), (Tsn(65_534), vec![]));
    }

    proptest! {
        #[test]
        fn agrees_with_a_set(
            initial in prop_oneof![any::<u32>(), u32::MAX - 50..=u32::MAX, 0..=3_u32],
            steps in prop::collection::vec((0..120_u32, 0..12_u8), 1..300),
        ) {
            let mut tracker = tracker(initial);
            let mut naive = BTreeSet::new();
            for (offset, kind) in steps {
                if kind == 0 {
                    let is_behind = (0..=offset).all(|number| naive.contains(&number));
                    let verdict = forward(&mut tracker, initial.wrapping_add(offset));
                    prop_assert_eq!(verdict, if is_behind { Verdict::Duplicate } else { Verdict::New });
                    naive.extend(0..=offset);
                } else {
                    let fresh = naive.insert(offset);
                    let verdict = offer(&mut tracker, initial.wrapping_add(offset));
                    prop_assert_eq!(verdict, if fresh { Verdict::New } else { Verdict::Duplicate });
                }
                let cumulative = (0..).find(|next| !naive.contains(next)).unwrap();
                prop_assert_eq!(tsn(tracker.cumulative()), Tsn(initial.wrapping_add(cumulative).wrapping_sub(1)));
                let mut listed = BTreeSet::from_iter(0..cumulative);
                for (first, last) in blocks(&tracker) {
                    listed.extend((first..=last).map(|block| cumulative + block as u32 - 1));
                }
                prop_assert_eq!(&listed, &naive);
                let apart = tracker.ranges().windows(2).all(|pair| pair[0].last + 1 < pair[1].first);
                prop_assert!(apart);
                for offset in 0..120 {
                    let number = tracker.unwrap(Tsn(initial.wrapping_add(offset)));
                    prop_assert_eq!(tracker.contains(number), naive.contains(&offset));
                }
            }
        }
    }
}
