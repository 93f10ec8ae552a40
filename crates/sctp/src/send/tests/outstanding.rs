use super::super::chunk::Limit;
use super::*;
use crate::number::{Mid, Ppid, StreamId, tsn};
use bytes::Bytes;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

impl Outstanding {
    /// All that is to survive a bad SACK unchanged.
    pub(in crate::send) fn snapshot(&self) -> String {
        let txs: Vec<_> = self
            .txs
            .iter()
            .map(|tx| (tx.chunk.data.len(), tx.state, tx.misses, tx.fast_retransmitted, tx.transmissions))
            .collect();
        format!(
            "{:?} {txs:?} {:?} {:?} {:?} {:?} {:?}",
            self.base,
            self.gaps,
            self.missable,
            self.lost,
            self.timed,
            (self.in_flight, self.in_flight_payload, self.payload, self.charged)
        )
    }
}

fn chunk(len: usize) -> Chunk {
    Chunk {
        data: Bytes::from(vec![7; len]),
        limit: Limit::None,
        ppid: Ppid::BINARY,
        slot: 0,
        stream: StreamId(0),
        mid: Mid(0),
        fsn: 0,
        earlier: 0,
        begin: true,
        end: true,
        unordered: false,
    }
}

/// RFC 9260 by the letter and by brute force: every rule looks at every chunk.
#[derive(Debug, Default)]
struct Model {
    cumulative: u64,
    next: u64,
    chunks: BTreeMap<u64, ModelChunk>,
}

#[derive(Debug)]
struct ModelChunk {
    len: usize,
    state: TxState,
    misses: u8,
    fast_retransmitted: bool,
    reneged: bool,
}

impl Model {
    fn push(&mut self, len: usize) {
        let state = TxState::InFlight;
        self.chunks.insert(
            self.next,
            ModelChunk { len, state, misses: 0, fast_retransmitted: false, reneged: false },
        );
        self.next += 1;
    }

    fn sack(&mut self, cumulative: u64, reported: &BTreeSet<u64>, in_recovery: bool) -> Applied {
        let mut applied = Applied { advanced: cumulative > self.cumulative, ..Applied::default() };
        let before: BTreeSet<u64> = self.with_state(TxState::Acked);
        for (number, chunk) in &mut self.chunks {
            if (*number <= cumulative || reported.contains(number)) && chunk.state != TxState::Acked {
                chunk.state = TxState::Acked;
                let size = Format::Data.chunk_size(chunk.len);
                applied.newly_acked += size;
                applied.acked_again += if chunk.reneged && *number > cumulative { size } else { 0 };
                applied.newly_acked_end = number + 1;
            }
        }
        self.cumulative = cumulative;
        self.chunks.retain(|number, _| *number > cumulative);
        let reported_end = reported.last().map_or(0, |last| last + 1);
        let end = if in_recovery && applied.advanced { reported_end } else { applied.newly_acked_end };
        for (number, chunk) in &mut self.chunks {
            let reneged = before.contains(number) && !reported.contains(number);
            if reneged {
                chunk.state = TxState::InFlight;
                chunk.reneged = true;
                applied.reneged += 1;
            }
            let missing = chunk.state == TxState::InFlight && !chunk.fast_retransmitted && *number < end;
            if missing || reneged {
                chunk.misses = chunk.misses.saturating_add(1);
                if chunk.misses >= 3 && !chunk.fast_retransmitted {
                    (chunk.state, chunk.misses, chunk.fast_retransmitted) = (TxState::Lost, 0, true);
                    applied.newly_lost += 1;
                }
            }
        }
        applied
    }

    fn with_state(&self, state: TxState) -> BTreeSet<u64> {
        self.chunks.iter().filter(|(_, chunk)| chunk.state == state).map(|(number, _)| *number).collect()
    }

    fn sum(&self, size: fn(usize) -> usize, of: &[TxState]) -> usize {
        self.chunks.values().filter(|chunk| of.contains(&chunk.state)).map(|chunk| size(chunk.len)).sum()
    }
}

#[derive(Clone, Debug)]
enum Step {
    Push(usize),
    /// How far the cumulative TSN moves, which chunks beyond are reported, and whether in recovery.
    Sack(u64, Vec<bool>, bool),
    /// Any offsets at all.
    Nonsense(i64, Vec<(u16, u16)>),
    Retransmit,
    AllLost,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => (1usize..40).prop_map(Step::Push),
        4 => (0u64..4, proptest::collection::vec(any::<bool>(), 0..20), any::<bool>())
            .prop_map(|(advance, reported, recovery)| Step::Sack(advance, reported, recovery)),
        2 => (-3i64..30, proptest::collection::vec((0u16..20, 0u16..20), 0..4))
            .prop_map(|(cumulative, gaps)| Step::Nonsense(cumulative, gaps)),
        3 => Just(Step::Retransmit),
        1 => Just(Step::AllLost),
    ];
    proptest::collection::vec(step, 1..200)
}

/// Gap blocks of a set of TSNs.
fn blocks(cumulative: u64, reported: &BTreeSet<u64>) -> Vec<GapBlock> {
    let mut blocks: Vec<GapBlock> = Vec::new();
    for number in reported {
        let offset = u16::try_from(number - cumulative).unwrap();
        match blocks.last_mut().filter(|last| last.end + 1 == offset) {
            Some(last) => last.end = offset,
            None => blocks.push(GapBlock { start: offset, end: offset }),
        }
    }
    blocks
}

/// What is wrong with a SACK, decided without the code under test.
fn judge(model: &Model, cumulative: u64, gaps: &[(u16, u16)]) -> Result<(), ()> {
    let numbers: Vec<u64> = gaps
        .iter()
        .flat_map(|&(start, end)| [cumulative + u64::from(start), cumulative + u64::from(end)])
        .collect();
    let sorted = numbers.chunks(2).all(|block| block[0] <= block[1])
        && numbers.windows(2).skip(1).step_by(2).all(|pair| pair[0] < pair[1]);
    let sent = cumulative < model.next && numbers.iter().all(|number| *number < model.next);
    let ahead = numbers.first().is_none_or(|first| *first > cumulative);
    if cumulative >= model.cumulative && sorted && sent && ahead { Ok(()) } else { Err(()) }
}

fn run(initial: u32, steps: Vec<Step>) -> Result<(), TestCaseError> {
    let now = Instant::now();
    let mut outstanding = Outstanding::new(Tsn(initial), Format::Data);
    let base = outstanding.base();
    let mut model = Model { cumulative: base - 1, next: base, chunks: BTreeMap::new() };
    let mut released = 0;
    for step in steps {
        match step {
            Step::Push(len) => {
                prop_assert_eq!(outstanding.push(now, chunk(len)), model.next);
                model.push(len);
            }
            Step::Sack(advance, reported, in_recovery) => {
                let cumulative = (model.cumulative + advance).min(model.next - 1);
                // The TSN behind the cumulative one is missing, else it would be the cumulative one.
                let reported: BTreeSet<u64> = reported
                    .iter()
                    .zip(cumulative + 2..model.next)
                    .filter_map(|(reported, number)| reported.then_some(number))
                    .collect();
                let gaps = blocks(cumulative, &reported);
                prop_assert_eq!(outstanding.check(tsn(cumulative), gaps.into_iter()), Ok(cumulative));
                let applied = outstanding.apply(now, cumulative, in_recovery, |_| released += 1);
                let timed = applied.rtt;
                prop_assert_eq!(
                    applied,
                    Applied { rtt: timed, ..model.sack(cumulative, &reported, in_recovery) }
                );
            }
            Step::Nonsense(offset, gaps) => {
                let cumulative = model.cumulative.wrapping_add_signed(offset);
                let before = outstanding.snapshot();
                let blocks = gaps.iter().map(|&(start, end)| GapBlock { start, end });
                let verdict = outstanding.check(tsn(cumulative), blocks).map(drop).map_err(drop);
                prop_assert_eq!(verdict, judge(&model, cumulative, &gaps));
                prop_assert_eq!(outstanding.snapshot(), before);
            }
            Step::Retransmit => {
                let lowest = outstanding.next_lost();
                prop_assert_eq!(lowest, model.with_state(TxState::Lost).first().copied());
                if let Some(number) = lowest {
                    outstanding.retransmitted(now, number);
                    let chunk = model.chunks.get_mut(&number).unwrap();
                    (chunk.state, chunk.misses) = (TxState::InFlight, 0);
                }
            }
            Step::AllLost => {
                outstanding.mark_all_lost(now);
                for chunk in model.chunks.values_mut().filter(|chunk| chunk.state != TxState::Acked) {
                    (chunk.state, chunk.misses, chunk.fast_retransmitted) = (TxState::Lost, 0, false);
                }
            }
        }
        compare(&outstanding, &model)?;
        prop_assert_eq!(released, model.cumulative + 1 - base);
    }
    Ok(())
}

fn compare(outstanding: &Outstanding, model: &Model) -> Result<(), TestCaseError> {
    let all = [TxState::InFlight, TxState::Acked, TxState::Lost];
    let identity = |len| len;
    prop_assert_eq!(outstanding.base(), model.cumulative + 1);
    prop_assert_eq!(outstanding.next_tsn(), model.next);
    prop_assert_eq!(
        outstanding.in_flight(),
        model.sum(|len| Format::Data.chunk_size(len), &[TxState::InFlight])
    );
    prop_assert_eq!(outstanding.in_flight_payload(), model.sum(identity, &[TxState::InFlight]));
    prop_assert_eq!(outstanding.payload(), model.sum(identity, &all));
    prop_assert_eq!(outstanding.charged(), model.sum(charge, &all));
    prop_assert_eq!(outstanding.has_lost(), !model.with_state(TxState::Lost).is_empty());
    outstanding.check_invariants();
    for (tx, chunk) in outstanding.txs.iter().zip(model.chunks.values()) {
        prop_assert_eq!((tx.state, tx.fast_retransmitted), (chunk.state, chunk.fast_retransmitted));
        // Misses of a chunk that is not fast retransmitted again mean nothing.
        prop_assert!(tx.fast_retransmitted || tx.misses == chunk.misses, "{tx:?} {chunk:?}");
    }
    Ok(())
}

proptest! {
    /// RFC 9260 §6.2.1, §6.7, §7.2.4 against the model, also across the wrap of the TSN.
    #[test]
    fn equals_the_model(initial in prop_oneof![Just(1u32), (0u32..60).prop_map(|k| u32::MAX - k)], steps in steps()) {
        run(initial, steps)?;
    }

    #[test]
    fn difference_is_that_of_sets(a in proptest::collection::btree_set(0u64..40, 0..30), b in proptest::collection::btree_set(0u64..40, 0..30)) {
        let ranges = |set: &BTreeSet<u64>| {
            blocks(0, &set.iter().map(|n| n + 1).collect()).iter().map(|block| u64::from(block.start)..u64::from(block.end) + 1).collect::<Vec<_>>()
        };
        let mut seen = Vec::new();
        each_in_difference(&ranges(&a), &ranges(&b), |range| seen.extend(range.start - 1..range.end - 1));
        prop_assert_eq!(seen, a.difference(&b).copied().collect::<Vec<_>>());
    }
}

/// `count` chunks in flight, from TSN 1.
fn in_flight(count: usize) -> Outstanding {
    let mut outstanding = Outstanding::new(Tsn(1), Format::Data);
    for _ in 0..count {
        outstanding.push(Instant::now(), chunk(4));
    }
    outstanding
}

fn check(outstanding: &mut Outstanding, cumulative: u32, gaps: &[(u16, u16)]) -> Result<u64, SackError> {
    outstanding.check(Tsn(cumulative), gaps.iter().map(|&(start, end)| GapBlock { start, end }))
}

fn sack(outstanding: &mut Outstanding, cumulative: u32, gaps: &[(u16, u16)]) -> Applied {
    let cumulative = check(outstanding, cumulative, gaps).unwrap();
    outstanding.apply(Instant::now(), cumulative, false, |_| {})
}

/// Every kind of nonsense, by name.
#[test]
fn bad_sacks_are_told_apart() {
    let mut outstanding = in_flight(10);
    sack(&mut outstanding, 2, &[(3, 4)]);
    let before = outstanding.snapshot();
    type Case<'a> = (u32, &'a [(u16, u16)], SackError);
    let table: [Case; 11] = [
        (1, &[], SackError::Stale),
        (2u32.wrapping_sub(1 << 31), &[], SackError::NeverSent),
        (3u32.wrapping_sub(1 << 31), &[], SackError::Stale),
        (11, &[], SackError::NeverSent),
        (2, &[(0, 3)], SackError::GapBlocks),
        (2, &[(4, 3)], SackError::GapBlocks),
        (2, &[(5, 6), (3, 4)], SackError::GapBlocks),
        (2, &[(3, 5), (5, 6)], SackError::GapBlocks),
        (2, &[(3, 4), (8, 9)], SackError::NeverSent),
        (2, &[(3, 65535)], SackError::NeverSent),
        (10, &[(1, 1)], SackError::NeverSent),
    ];
    for (cumulative, gaps, error) in table {
        assert_eq!(check(&mut outstanding, cumulative, gaps), Err(error), "{cumulative} {gaps:?}");
        assert_eq!(outstanding.snapshot(), before);
    }
    assert_eq!(check(&mut outstanding, 2, &[(3, 4), (5, 8)]).map(tsn), Ok(Tsn(2)), "adjacent blocks are one");
}

/// RFC 9260 §7.2.4: only TSNs below the highest newly acknowledged one, and only when something is.
#[test]
fn what_a_gap_block_reports_is_acknowledged() {
    let mut outstanding = in_flight(10);
    assert_eq!(outstanding.unacknowledged(), 10);
    sack(&mut outstanding, 1, &[(2, 3), (5, 5)]);
    assert_eq!((outstanding.len(), outstanding.unacknowledged()), (9, 6));
    sack(&mut outstanding, 9, &[]);
    assert_eq!(outstanding.unacknowledged(), 1);
}

#[test]
fn repeated_reports_are_no_further_misses() {
    let mut outstanding = in_flight(10);
    for _ in 0..300 {
        sack(&mut outstanding, 0, &[(3, 3)]);
    }
    assert!(!outstanding.has_lost());
    let misses: Vec<_> = outstanding.txs.iter().map(|tx| tx.misses).collect();
    assert_eq!(misses, [1, 1, 0, 0, 0, 0, 0, 0, 0, 0]);
    sack(&mut outstanding, 0, &[(3, 4)]);
    assert_eq!(sack(&mut outstanding, 0, &[(3, 5)]).newly_lost, 2);
    assert_eq!(outstanding.next_lost(), Some(outstanding.base()));
}

/// What is settled is looked at once, whether or not something was given up; what is taken back is not.
#[test]
fn the_search_for_what_is_needed_goes_on_where_it_ended() {
    let mut outstanding = in_flight(10);
    let mut settled_by = |gaps: &[(u16, u16)]| {
        sack(&mut outstanding, 0, gaps);
        assert_eq!(outstanding.first_unsettled(), outstanding.abandonment.settled);
        outstanding.abandonment.settled - outstanding.base()
    };
    assert_eq!(settled_by(&[(1, 8)]), 8);
    assert_eq!(settled_by(&[(1, 2), (4, 8)]), 2);
    assert_eq!(settled_by(&[(1, 9)]), 9);
}

/// RFC 9260 §7.2.4 (5): once by fast retransmit; T3 opens the way again.
#[test]
fn fast_retransmit_happens_once() {
    let mut outstanding = in_flight(20);
    for end in 2..=4 {
        sack(&mut outstanding, 0, &[(2, end)]);
    }
    let first = outstanding.next_lost().unwrap();
    outstanding.retransmitted(Instant::now(), first);
    for end in 5..=12 {
        sack(&mut outstanding, 0, &[(2, end)]);
    }
    assert!(!outstanding.has_lost());
    outstanding.mark_all_lost(Instant::now());
    while let Some(number) = outstanding.next_lost() {
        outstanding.retransmitted(Instant::now(), number);
    }
    for end in 13..=15 {
        sack(&mut outstanding, 0, &[(2, end)]);
    }
    assert_eq!(outstanding.next_lost(), Some(first));
}

/// RFC 9260 §7.2.4: in fast recovery a SACK that advances counts for all it reports missing.
#[test]
fn in_recovery_an_advance_counts_for_all_reported_missing() {
    let misses_of_the_fifth = |in_recovery| {
        let mut outstanding = in_flight(9);
        sack(&mut outstanding, 0, &[(6, 8)]);
        let cumulative = check(&mut outstanding, 1, &[(5, 7)]).unwrap();
        outstanding.apply(Instant::now(), cumulative, in_recovery, |_| {});
        outstanding.txs[3].misses
    };
    assert_eq!((misses_of_the_fifth(false), misses_of_the_fifth(true)), (1, 2));
}

/// RFC 9260 §6.2.1 D iii: a peer may take back what it reported, but not without end while it gets nowhere.
#[test]
fn a_peer_cannot_report_and_take_back_for_ever() {
    let mut outstanding = in_flight(1001);
    let mut taken_back = 0;
    while check(&mut outstanding, 0, &[]).is_ok() {
        taken_back += sack(&mut outstanding, 0, &[]).reneged;
        sack(&mut outstanding, 0, &[(2, 1001)]);
    }
    assert_eq!(taken_back, 65_000);
    let before = outstanding.snapshot();
    assert_eq!(check(&mut outstanding, 0, &[]), Err(SackError::TakenBack));
    assert_eq!(check(&mut outstanding, 0, &[(2, 465)]), Err(SackError::TakenBack));
    assert_eq!(outstanding.snapshot(), before);
    assert_eq!(sack(&mut outstanding, 0, &[(2, 466)]).reneged, 535, "a part may go");
    assert_eq!(sack(&mut outstanding, 0, &[(2, 1001)]).reneged, 0, "what takes nothing back is welcome");
    assert_eq!(check(&mut outstanding, 8, &[]), Err(SackError::TakenBack));
    assert_eq!(sack(&mut outstanding, 16, &[]).reneged, 985, "progress makes up for it");
    sack(&mut outstanding, 16, &[(2, 985)]);
    assert_eq!(check(&mut outstanding, 16, &[]), Err(SackError::TakenBack));
    outstanding.mark_all_lost(Instant::now());
    assert_eq!(sack(&mut outstanding, 16, &[]).reneged, 984, "and so does T3");
}

/// What cannot be fast retransmitted (again) is not looked at by each SACK, and what was taken back is looked at in turn.
#[test]
fn only_what_may_be_lost_is_asked_for_misses() {
    let mut outstanding = in_flight(100);
    let missable = |outstanding: &Outstanding| {
        let next = |number: &u64| outstanding.missable.lowest_from(number + 1);
        let first = outstanding.missable.lowest_from(outstanding.base());
        std::iter::successors(first, next).map(|number| number - outstanding.base()).collect::<Vec<_>>()
    };
    for end in 81..84 {
        sack(&mut outstanding, 0, &[(81, end)]);
    }
    while let Some(number) = outstanding.next_lost() {
        outstanding.retransmitted(Instant::now(), number);
    }
    assert_eq!(missable(&outstanding), (83..100).collect::<Vec<_>>());
    sack(&mut outstanding, 0, &[(81, 81), (83, 84)]);
    assert_eq!(missable(&outstanding), [vec![81], (84..100).collect()].concat());
    outstanding.mark_all_lost(Instant::now());
    assert!(missable(&outstanding).is_empty());
}

/// RFC 9260 §6.3.1 C5: not from a chunk, nor behind a chunk, that was sent again; but from one that only waits for it.
#[test]
fn round_trips_are_measured_unambiguously() {
    let begin = Instant::now();
    let later = begin + Duration::from_millis(30);
    let lost_and = |resend: bool| {
        let mut outstanding = Outstanding::new(Tsn(1), Format::Data);
        outstanding.push(begin, chunk(4));
        outstanding.push(begin, chunk(4));
        outstanding.mark_first_lost(begin);
        if resend {
            outstanding.retransmitted(begin, outstanding.base());
        }
        let cumulative = check(&mut outstanding, 2, &[]).unwrap();
        outstanding.apply(later, cumulative, false, |_| {}).rtt
    };
    assert_eq!(lost_and(false), Some(Duration::from_millis(30)));
    assert_eq!(lost_and(true), None);
}

/// 65535 reversed at the upper end: no endless loop, no overflow.
#[test]
fn extreme_blocks_end() {
    let mut outstanding = in_flight(1);
    assert_eq!(check(&mut outstanding, 0, &[(65535, 65535)]), Err(SackError::NeverSent));
    assert_eq!(check(&mut outstanding, 0, &[(65535, 0)]), Err(SackError::GapBlocks));
}

/// The cost of a SACK is that of what it changes, not of what is outstanding: a full window of gaps stays cheap.
#[test]
fn a_chunk_on_its_way_is_small() {
    assert!(size_of::<Tx>() <= 96, "{}", size_of::<Tx>());
}
