//! Random traffic against a model that is too simple to be wrong.

use super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;

#[derive(Clone, Debug)]
struct Sent {
    stream: u16,
    unordered: bool,
    /// One letter per fragment size, so that glue and mix-ups show.
    fragments: Vec<usize>,
}

fn sent() -> impl Strategy<Value = Sent> {
    let fragments = prop_oneof![
        3 => prop::collection::vec(1..40_usize, 1..=1),
        2 => prop::collection::vec(1..40_usize, 2..7),
    ];
    (0..3_u16, any::<bool>(), fragments).prop_map(|(stream, unordered, fragments)| Sent {
        stream,
        unordered,
        fragments,
    })
}

/// The chunks of all messages in the order of their TSNs, and what must be received: per stream, ordered ones in order
/// and unordered ones sorted.
struct Plan {
    pieces: Vec<Piece>,
    ordered: BTreeMap<u16, Vec<String>>,
    unordered: BTreeMap<u16, Vec<String>>,
}

fn plan(initial: u32, messages: &[Sent]) -> Plan {
    let mut plan = Plan { pieces: Vec::new(), ordered: BTreeMap::new(), unordered: BTreeMap::new() };
    let mut ssns = BTreeMap::<u16, u16>::new();
    for (number, message) in messages.iter().enumerate() {
        let ssn = ssns.entry(message.stream).or_default();
        let mut text = String::new();
        for (index, &size) in message.fragments.iter().enumerate() {
            // U+number-fragment, padded to its size.
            let part = format!("{}{number}-{index};", if message.unordered { 'u' } else { 'o' });
            let part = format!("{part:.<size$}");
            let flags = match (index == 0, index + 1 == message.fragments.len(), message.unordered) {
                (true, true, false) => "BE",
                (true, false, false) => "B",
                (false, true, false) => "E",
                (false, false, false) => "",
                (true, true, true) => "UBE",
                (true, false, true) => "UB",
                (false, true, true) => "UE",
                (false, false, true) => "U",
            };
            let tsn = initial.wrapping_add(u32::try_from(plan.pieces.len()).unwrap());
            plan.pieces.push(piece(tsn, flags, &part).stream(message.stream).ssn(*ssn));
            text += &part;
        }
        if message.unordered {
            plan.unordered.entry(message.stream).or_default().push(text);
        } else {
            *ssn = ssn.wrapping_add(1);
            plan.ordered.entry(message.stream).or_default().push(text);
        }
    }
    plan.unordered.values_mut().for_each(|texts| texts.sort());
    plan
}

/// Reads one stream: whole messages, or by parts joined again.
fn read(rig: &mut Rig, stream: u16, by_parts: bool, open: &mut BTreeMap<u16, String>) -> Vec<String> {
    let mut received = Vec::new();
    if by_parts || open.contains_key(&stream) {
        while let Some((part, last)) = rig.recv_part(stream) {
            let text = open.remove(&stream).unwrap_or_default() + &part;
            if last {
                received.push(text);
            } else {
                open.insert(stream, text);
            }
        }
    } else {
        received.extend(rig.recv_all(stream));
    }
    received
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Whatever the order, the copies and the way of reading: everything is received once, whole, in order per stream.
    #[test]
    fn everything_once_in_order(
        initial in prop_oneof![any::<u32>(), u32::MAX - 60..=u32::MAX],
        messages in prop::collection::vec(sent(), 1..30),
        shuffle in prop::collection::vec((0..200_u32, 0..8_u8, any::<bool>()), 210),
        locality in prop_oneof![Just(0_u32), Just(30), Just(200)],
    ) {
        let plan = plan(initial, &messages);
        let config = ReceiverConfig { max_message_size: 4096, ..Default::default() };
        let mut rig = Rig::starting_at(config, initial);
        let mut arrivals = Vec::new();
        for (position, piece) in plan.pieces.iter().enumerate() {
            let (jitter, copies, _) = shuffle[position];
            let place = u32::try_from(position).unwrap() + jitter.min(locality);
            arrivals.push((place, piece));
            if copies == 0 {
                arrivals.push((place + 5, piece));
            }
        }
        arrivals.sort_by_key(|(place, _)| *place);

        let mut ordered = BTreeMap::<u16, Vec<String>>::new();
        let mut unordered = BTreeMap::<u16, Vec<String>>::new();
        let mut open = BTreeMap::new();
        let mut seen = std::collections::BTreeSet::new();
        for (step, (_, piece)) in arrivals.iter().enumerate() {
            let expected = if seen.insert(piece.tsn) { DataOutcome::Accepted } else { DataOutcome::Duplicate };
            prop_assert_eq!(rig.take(piece), expected);
            let (_, _, by_parts) = shuffle[step % shuffle.len()];
            for text in read(&mut rig, piece.stream, by_parts, &mut open) {
                let into = if text.starts_with('u') { &mut unordered } else { &mut ordered };
                into.entry(piece.stream).or_default().push(text);
            }
        }
        unordered.values_mut().for_each(|texts| texts.sort());
        prop_assert_eq!(ordered, plan.ordered);
        prop_assert_eq!(unordered, plan.unordered);
        prop_assert!(open.is_empty());
        prop_assert_eq!((rig.receiver.charge(), rig.receiver.window()), (0, WINDOW));
        prop_assert!(!rig.receiver.tracker.has_gaps());
    }

    /// No chunk whatsoever panics, and memory stays in its bounds.
    #[test]
    fn any_chunks(
        chunks in prop::collection::vec(
            (0..300_u32, 0..4_u16, 0..6_u16, 0..16_u8, 1..2000_usize, 0..5_u8), 1..400),
    ) {
        const FLAGS: [&str; 16] = [
            "", "E", "B", "BE", "U", "UE", "UB", "UBE", "I", "IE", "IB", "IBE", "IU", "IUE", "IUB", "IUBE",
        ];
        let config = ReceiverConfig { window: 20_000, max_message_size: 8000, ..Default::default() };
        let mut rig = Rig::starting_at(config, 5);
        for (tsn, stream, ssn, flags, size, action) in chunks {
            let piece = piece(tsn, FLAGS[usize::from(flags)], vec![b'x'; size]).stream(stream).ssn(ssn);
            if let DataOutcome::Violation(_) = rig.take(&piece) {
                break;
            }
            prop_assert!(rig.receiver.charge() <= 2 * 20_000 + 8000 + CHUNK_OVERHEAD);
            match action {
                0 => drop(rig.recv_all(stream)),
                1 => drop(rig.recv_part(stream)),
                2 => drop(rig.due()),
                3 => drop(rig.receiver.reset_request(Tsn(tsn), &[StreamId(stream)])),
                _ => {}
            }
        }
    }
}
