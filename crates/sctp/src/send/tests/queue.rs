use super::stream::Turn;
use super::*;
use crate::send::chunk::ssn;
use proptest::prelude::*;

const FRAGMENT: usize = 100;
const MARK: usize = 1000;

impl Queue {
    /// How long the open message of the stream is so far, if one is open.
    pub(in crate::send) fn open_len(&self, stream: StreamId) -> Option<usize> {
        self.stream(stream)?.open.map(|open| open.len)
    }

    /// As if so many ordered messages had been sent on the stream.
    pub(in crate::send) fn set_next_ssn(&mut self, stream: StreamId, next: u32) {
        let slot = self.slot(stream);
        self.slots[at(slot)].ordered = Mid(next);
    }

    /// Whether nothing is queued or unacknowledged on the stream.
    pub(in crate::send) fn is_drained(&self, stream: StreamId) -> bool {
        self.stream(stream).is_none_or(Stream::is_drained)
    }
}

fn queue() -> Queue {
    Queue::new(MARK, FRAGMENT)
}

fn part(stream: u16, data: impl Into<Vec<u8>>, last: bool) -> Part {
    Part {
        stream: StreamId(stream),
        ppid: Ppid::STRING,
        data: Bytes::from(data.into()),
        last,
        ordered: true,
        reliability: Reliability::Reliable,
    }
}

fn push(queue: &mut Queue, stream: u16, data: impl Into<Vec<u8>>) {
    queue.push(Instant::now(), part(stream, data, true)).unwrap();
}

fn push_part(queue: &mut Queue, stream: u16, data: impl Into<Vec<u8>>, last: bool) {
    queue.push(Instant::now(), part(stream, data, last)).unwrap();
}

/// The next fragment of full size: stream, SSN, flags, length.
fn take(queue: &mut Queue) -> Option<(u16, u16, &'static str, usize)> {
    let next = queue.next()?;
    let chunk = queue.take(next, next.available.min(FRAGMENT), 0)?;
    let flags = match (chunk.begin, chunk.end) {
        (true, true) => "BE",
        (true, false) => "B",
        (false, true) => "E",
        (false, false) => "",
    };
    Some((chunk.stream.0, ssn(chunk.mid).0, flags, chunk.data.len()))
}

fn take_all(queue: &mut Queue) -> Vec<(u16, u16, &'static str, usize)> {
    std::iter::from_fn(|| take(queue)).collect()
}

fn events(queue: &mut Queue) -> Vec<SenderEvent> {
    std::iter::from_fn(|| queue.poll_event()).collect()
}

/// RFC 9260 §6.9: B, middle, E; one SSN for all. A multiple of the fragment size gives no empty fragment.
#[test]
fn fragments() {
    let mut queue = queue();
    for len in [1, 100, 101, 200, 250] {
        push(&mut queue, 3, vec![0; len]);
    }
    let expected = [
        (3, 0, "BE", 1),
        (3, 1, "BE", 100),
        (3, 2, "B", 100),
        (3, 2, "E", 1),
        (3, 3, "B", 100),
        (3, 3, "E", 100),
        (3, 4, "B", 100),
        (3, 4, "", 100),
        (3, 4, "E", 50),
    ];
    assert_eq!(take_all(&mut queue), expected);
    assert!(queue.is_empty());
}

/// RFC 9260 §6.5: unordered messages leave the SSN alone; it wraps.
#[test]
fn stream_sequence_numbers() {
    let mut queue = queue();
    push(&mut queue, 0, *b"a");
    queue.slots[0].ordered = Mid(65_535);
    queue.push(Instant::now(), Part { ordered: false, ..part(0, *b"u", true) }).unwrap();
    push(&mut queue, 0, *b"b");
    push(&mut queue, 0, *b"c");
    let chunks: Vec<_> = std::iter::from_fn(|| {
        let next = queue.next()?;
        queue.take(next, next.available, 0).map(|chunk| (ssn(chunk.mid).0, chunk.unordered))
    })
    .collect();
    assert_eq!(chunks[0], (65_535, false));
    assert!(chunks[1].1);
    assert_eq!(chunks[2..], [(0, false), (1, false)]);
}

/// One message each in turn, never switching inside one.
#[test]
fn streams_take_turns_by_message() {
    let mut queue = queue();
    for stream in [5, 1, 9] {
        for _ in 0..3 {
            push(&mut queue, stream, vec![0; 150]);
        }
    }
    let order: Vec<_> = take_all(&mut queue).iter().map(|taken| (taken.0, taken.1)).collect();
    let expected: Vec<_> =
        (0..3).flat_map(|ssn| [5, 1, 9].map(|stream| [(stream, ssn); 2])).flatten().collect();
    assert_eq!(order, expected);
}

#[test]
fn a_stream_that_comes_back_waits_for_its_turn() {
    let mut queue = queue();
    push(&mut queue, 1, *b"1");
    push(&mut queue, 2, *b"2");
    assert_eq!(take(&mut queue).unwrap().0, 1);
    push(&mut queue, 1, *b"1");
    assert_eq!(take(&mut queue).unwrap().0, 2);
    assert_eq!(take(&mut queue).unwrap().0, 1);
}

/// However the queue becomes empty.
#[test]
fn an_empty_queue_keeps_no_memory_of_a_long_one() {
    for drops in [false, true] {
        let mut queue = queue();
        (0..10_000).for_each(|_| push(&mut queue, 1, *b"1"));
        if drops {
            assert_eq!(queue.drop_unsent(StreamId(1)), 10_000);
        } else {
            assert_eq!(take_all(&mut queue).len(), 10_000);
        }
        assert!(queue.slots.iter().all(|stream| stream.pieces.capacity() <= SPARE_PIECES));
    }
}

/// A message may leave before its end has come; the last fragment's worth waits for it.
#[test]
fn parts_leave_early_but_for_the_last_fragment() {
    let mut queue = queue();
    push_part(&mut queue, 0, vec![0; 100], false);
    assert_eq!(take(&mut queue), None);
    push_part(&mut queue, 0, vec![0; 130], false);
    assert_eq!(take_all(&mut queue), [(0, 0, "B", 100), (0, 0, "", 100)]);
    push(&mut queue, 1, *b"waits");
    assert_eq!(take(&mut queue), None, "the message on its way comes first");
    push_part(&mut queue, 0, *b"end", true);
    assert_eq!(take_all(&mut queue), [(0, 0, "", 30), (0, 0, "E", 3), (1, 0, "BE", 5)]);
}

#[test]
fn an_empty_last_part_ends_the_message() {
    let mut queue = queue();
    push_part(&mut queue, 0, vec![0; 250], false);
    assert_eq!(take_all(&mut queue), [(0, 0, "B", 100), (0, 0, "", 100)]);
    assert_eq!(queue.open_len(StreamId(0)), Some(250));
    push_part(&mut queue, 0, [], false);
    push_part(&mut queue, 0, [], true);
    assert_eq!(queue.open_len(StreamId(0)), None);
    assert_eq!(take_all(&mut queue), [(0, 0, "E", 50)]);
    assert_eq!(queue.push(Instant::now(), part(0, [], true)), Err(SendError::Empty));
    assert_eq!(queue.push(Instant::now(), part(0, [], false)), Err(SendError::Empty));
}

/// What one fragment takes exactly is held back whole, what is longer to its last byte.
#[test]
fn something_is_left_to_carry_the_end() {
    let mut queue = queue();
    push_part(&mut queue, 0, vec![0; 101], false);
    assert_eq!(take_all(&mut queue), [(0, 0, "B", 100)]);
    push_part(&mut queue, 0, [], true);
    assert_eq!(take_all(&mut queue), [(0, 0, "E", 1)]);
}

#[test]
fn later_parts_follow_the_kind_of_the_first() {
    let mut queue = queue();
    let now = Instant::now();
    let reliability = Reliability::MaxRetransmits(3);
    queue.push(now, Part { ordered: false, reliability, ..part(0, *b"x", false) }).unwrap();
    queue.push(now, Part { ppid: Ppid::BINARY, ..part(0, *b"y", true) }).unwrap();
    for _ in 0..2 {
        let next = queue.next().unwrap();
        let chunk = queue.take(next, 1, 0).unwrap();
        assert_eq!((chunk.unordered, chunk.ppid, chunk.limit), (true, Ppid::STRING, Limit::Retransmits(3)));
    }
}

#[test]
fn lifetimes_become_deadlines() {
    let mut queue = queue();
    let now = Instant::now();
    let lifetime = std::time::Duration::from_millis(70);
    queue
        .push(now, Part { reliability: Reliability::MaxLifetime(lifetime), ..part(0, *b"x", true) })
        .unwrap();
    let next = queue.next().unwrap();
    assert_eq!(queue.take(next, 1, 0).unwrap().limit, Limit::Deadline(now + lifetime));
}

/// RFC 6525 §5.1.2: the message being sent is finished, no further one begins.
#[test]
fn a_paused_stream_finishes_its_message() {
    let mut queue = queue();
    push(&mut queue, 0, vec![0; 150]);
    push(&mut queue, 0, *b"later");
    push(&mut queue, 1, *b"other");
    assert_eq!(take(&mut queue), Some((0, 0, "B", 100)));
    queue.pause(StreamId(0));
    queue.pause(StreamId(8));
    assert_eq!(take_all(&mut queue), [(0, 0, "E", 50), (1, 0, "BE", 5)]);
    assert!(!queue.is_drained(StreamId(0)));
    queue.resume(StreamId(0));
    assert_eq!(take_all(&mut queue), [(0, 1, "BE", 5)]);
}

#[test]
fn a_stream_that_is_reset_starts_at_zero() {
    let mut queue = queue();
    push(&mut queue, 4, *b"a");
    take_all(&mut queue);
    queue.released(0);
    assert!(queue.is_drained(StreamId(4)));
    queue.pause(StreamId(4));
    queue.reset(StreamId(4));
    assert!(queue.index.is_empty(), "nothing is kept of it");
    push(&mut queue, 5, *b"slot");
    push(&mut queue, 4, *b"b");
    assert_eq!(take_all(&mut queue), [(5, 0, "BE", 4), (4, 0, "BE", 1)]);
    assert_eq!(queue.slots.len(), 2, "slots are used again");
}

#[test]
fn messages_that_wait_for_a_reset_get_the_new_numbers() {
    let mut queue = queue();
    push(&mut queue, 4, *b"a");
    take_all(&mut queue);
    queue.pause(StreamId(4));
    push(&mut queue, 4, *b"b");
    assert_eq!(take(&mut queue), None);
    queue.reset(StreamId(4));
    assert_eq!(take_all(&mut queue), [(4, 0, "BE", 1)]);
}

#[test]
fn dropping_keeps_the_message_on_its_way() {
    let mut queue = queue();
    push(&mut queue, 0, vec![0; 250]);
    push(&mut queue, 0, vec![0; 300]);
    push_part(&mut queue, 0, vec![0; 40], false);
    push(&mut queue, 1, *b"other");
    assert_eq!(take(&mut queue), Some((0, 0, "B", 100)));
    assert_eq!(queue.drop_unsent(StreamId(0)), 340);
    assert_eq!(queue.open_len(StreamId(0)), None);
    assert_eq!(take_all(&mut queue), [(0, 0, "", 100), (0, 0, "E", 50), (1, 0, "BE", 5)]);
    assert_eq!(queue.charged(), 0);
}

#[test]
fn dropping_ends_an_open_message_on_its_way() {
    let mut queue = queue();
    push_part(&mut queue, 0, vec![0; 150], false);
    assert_eq!(take(&mut queue), Some((0, 0, "B", 100)));
    assert_eq!(queue.drop_unsent(StreamId(0)), 0);
    assert_eq!(take_all(&mut queue), [(0, 0, "E", 50)]);
}

#[test]
fn dropping_what_has_not_begun_frees_the_turn() {
    let mut queue = queue();
    push(&mut queue, 0, *b"gone");
    push(&mut queue, 1, *b"stays");
    assert_eq!(queue.drop_unsent(StreamId(0)), 4);
    assert!(queue.is_drained(StreamId(0)));
    assert_eq!(take_all(&mut queue), [(1, 0, "BE", 5)]);
}

#[test]
fn streams_the_peer_lacks_are_dropped() {
    let mut queue = queue();
    push(&mut queue, 1, *b"yes");
    push(&mut queue, 2, *b"no");
    push(&mut queue, 60_000, *b"no");
    queue.limit_streams(2);
    assert_eq!(take_all(&mut queue), [(1, 0, "BE", 3)]);
    assert_eq!((queue.buffered(), queue.charged()), (0, 0));
}

/// W3C: on falling from above the threshold to it or below, not otherwise.
#[test]
fn low_threshold_is_reported_on_crossing_downwards() {
    let mut queue = queue();
    let low = SenderEvent::BufferedAmountLow(StreamId(0));
    push(&mut queue, 0, vec![0; 350]);
    queue.set_low_threshold(StreamId(0), 200);
    take(&mut queue);
    assert_eq!(events(&mut queue), []);
    take(&mut queue);
    assert_eq!(events(&mut queue), [low]);
    assert_eq!(queue.buffered_amount(StreamId(0)), 150);
    take_all(&mut queue);
    assert_eq!(events(&mut queue), []);
    queue.set_low_threshold(StreamId(0), 0);
    push(&mut queue, 0, *b"x");
    take(&mut queue);
    assert_eq!(events(&mut queue), [low]);
}

#[test]
fn writable_is_reported_once_the_mark_was_met() {
    let mut queue = queue();
    queue.set_low_threshold(StreamId(0), usize::MAX);
    push(&mut queue, 0, vec![0; MARK - 1]);
    assert!(queue.is_writable(StreamId(0)));
    take(&mut queue);
    assert_eq!(events(&mut queue), []);
    push(&mut queue, 0, vec![0; 101]);
    assert!(!queue.is_writable(StreamId(0)));
    take(&mut queue);
    assert_eq!(events(&mut queue), [SenderEvent::Writable(StreamId(0))]);
    take_all(&mut queue);
    assert_eq!(events(&mut queue), []);
}

#[derive(Clone, Debug)]
enum Step {
    Push { stream: u16, len: usize, last: bool },
    Take(usize),
    Pause(u16),
    Resume(u16),
    Reset(u16),
    Drop(u16),
    Fragment(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let stream = 0u16..4;
    prop_oneof![
        6 => (stream.clone(), 0usize..300, any::<bool>()).prop_map(|(stream, len, last)| Step::Push { stream, len, last }),
        8 => (1usize..150).prop_map(Step::Take),
        1 => stream.clone().prop_map(Step::Pause),
        1 => stream.clone().prop_map(Step::Resume),
        1 => stream.clone().prop_map(Step::Reset),
        1 => stream.prop_map(Step::Drop),
        1 => (50usize..200).prop_map(Step::Fragment),
    ]
}

proptest! {
    /// The gauges equal a recount, the schedule is exact, and messages come out whole and one at a time.
    #[test]
    fn invariants_hold(steps in proptest::collection::vec(step(), 1..200)) {
        let mut queue = queue();
        let mut on_its_way: Option<(u16, u16)> = None;
        for step in steps {
            match step {
                Step::Push { stream, len, last } => {
                    let open = queue.open_len(StreamId(stream)).is_some();
                    let result = queue.push(Instant::now(), part(stream, vec![0; len], last));
                    prop_assert_eq!(result.is_err(), len == 0 && !open);
                }
                Step::Take(len) => {
                    if let Some(next) = queue.next() {
                        let chunk = queue.take(next, len.min(next.available), 0).unwrap();
                        prop_assert!(!chunk.data.is_empty());
                        prop_assert_eq!(chunk.begin, on_its_way.is_none());
                        if let Some(message) = on_its_way {
                            prop_assert_eq!(message, (chunk.stream.0, ssn(chunk.mid).0));
                        }
                        on_its_way = (!chunk.end).then_some((chunk.stream.0, ssn(chunk.mid).0));
                        queue.released(chunk.slot);
                    }
                }
                Step::Pause(stream) => queue.pause(StreamId(stream)),
                Step::Resume(stream) => queue.resume(StreamId(stream)),
                // The association resets a stream between messages.
                Step::Reset(stream) if on_its_way.is_none_or(|(current, _)| current != stream) => queue.reset(StreamId(stream)),
                Step::Reset(_) => {}
                Step::Drop(stream) => {
                    queue.drop_unsent(StreamId(stream));
                }
                Step::Fragment(fragment) => queue.set_fragment(fragment),
            }
            let lens = || queue.slots.iter().flat_map(|stream| stream.pieces.iter().map(|piece| piece.data.len()));
            prop_assert_eq!(queue.buffered(), lens().sum::<usize>());
            prop_assert_eq!(queue.buffered(), queue.slots.iter().map(|stream| stream.buffered).sum::<usize>());
            prop_assert_eq!(queue.charged(), lens().map(charge).sum::<usize>());
            for &slot in queue.index.values() {
                let stream = &queue.slots[at(slot)];
                let ready = stream.begun || stream.next(slot, queue.fragment).is_some();
                prop_assert_eq!(stream.turn == Turn::Scheduled, ready);
                prop_assert_eq!(stream.begun, on_its_way.is_some_and(|(current, _)| current == stream.id.0));
            }
        }
    }
}
