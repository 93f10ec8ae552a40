//! What an association weighs. A test binary of its own: it counts what the allocator gives out.

use bytes::{Bytes, BytesMut};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use std::alloc::System;
use std::time::{Duration, Instant};
use straits_sctp::{Association, Config, Ppid, Reliability, State, StreamId};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Two associations and what passes between them at once.
struct Two {
    ends: Box<[Association; 2]>,
    now: Instant,
}

impl Two {
    fn new(config: &Config, now: Instant) -> Self {
        let mut ends = Box::new([1, 2].map(|seed| Association::new(config.clone(), [seed; 32], now)));
        ends.iter_mut().for_each(|end| end.connect(now));
        Self { ends, now }
    }

    /// Up, and silent but for heartbeats.
    fn idle(config: &Config, now: Instant) -> Self {
        let mut two = Self::new(config, now);
        two.come_to_rest();
        assert!(two.ends.iter().all(|end| end.state() == State::Established));
        two
    }

    fn exchange(&mut self) {
        let mut buffer = BytesMut::new();
        let mut silent = 0;
        while silent < 2 {
            silent += 1;
            for from in 0..2 {
                while self.ends[from].poll_transmit(self.now, &mut buffer) {
                    self.ends[1 - from].handle_packet(self.now, &buffer);
                    buffer.clear();
                    silent = 0;
                }
                while self.ends[from].poll_event().is_some() {}
            }
        }
    }

    /// Until nothing is due but heartbeats.
    fn come_to_rest(&mut self) {
        self.run_for(Duration::from_secs(10));
    }

    fn run_for(&mut self, time: Duration) {
        let end = self.now + time;
        self.exchange();
        while let Some(due) =
            self.ends.iter().filter_map(Association::poll_timeout).min().filter(|due| *due < end)
        {
            self.now = due;
            self.ends.iter_mut().for_each(|end| end.handle_timeout(due));
            self.exchange();
        }
    }

    fn send_and_read(&mut self, streams: u16, len: usize) {
        let message = Bytes::from(vec![7; len]);
        for stream in (0..streams).map(StreamId) {
            let data = message.clone();
            self.ends[0].send(self.now, stream, Ppid::BINARY, data, true, Reliability::Reliable).unwrap();
        }
        self.come_to_rest();
        for stream in (0..streams).map(StreamId) {
            assert_eq!(self.ends[1].recv(self.now, stream).map(|message| message.data.len()), Some(len));
        }
        self.come_to_rest();
    }
}

/// Bytes that are held more than when `region` began.
fn held(region: &Region<'_, System>) -> usize {
    let change = region.change();
    change.bytes_allocated - change.bytes_deallocated
}

/// Bytes of one association, the mean of `2 * pairs`: so many that what the test harness takes meanwhile, on a thread of its
/// own, does not count.
fn weigh(pairs: usize, make: impl Fn() -> Two) -> usize {
    let mut kept = Vec::with_capacity(pairs);
    let region = Region::new(ALLOCATOR);
    kept.extend((0..pairs).map(|_| make()));
    held(&region) / (2 * pairs)
}

/// Section U: an idle association takes at most 4 KiB, however many streams it may have; one that has carried much, not much
/// more.
#[test]
fn item_347_memory_of_an_idle_association() {
    let now = Instant::now();
    let few = Config::default().outgoing_streams(1).incoming_streams(1);
    let many = Config::default();
    let fresh = weigh(500, || Two::new(&many, now));
    let idle = weigh(500, || Two::idle(&many, now));
    let idle_with_one_stream = weigh(500, || Two::idle(&few, now));
    let rested = weigh(32, || {
        let mut two = Two::idle(&many, now);
        (0..20).for_each(|_| two.send_and_read(1, 200_000));
        // Heartbeats notice that it is at rest.
        two.run_for(Duration::from_secs(100));
        two
    });
    let used = weigh(32, || {
        let mut two = Two::idle(&many, now);
        two.send_and_read(1000, 10);
        two
    });
    println!(
        "fresh {fresh}, idle {idle}, with one stream {idle_with_one_stream}, rested {rested}, used {used}"
    );
    assert!(fresh <= LIMIT && idle <= LIMIT, "fresh {fresh}, idle {idle}");
    // No stream costs anything before it is used: a byte for each were sixteen times the limit.
    assert!(idle.abs_diff(idle_with_one_stream) < 16, "{idle}, with one stream {idle_with_one_stream}");
    assert!(rested <= LIMIT + SPARE, "after 4 MB: {rested}");
    assert!(used <= LIMIT + 1000 * PER_STREAM, "after 1000 streams: {used}");
}

const LIMIT: usize = 4096;
/// What emptied queues keep for the next burst.
const SPARE: usize = 4096;
/// What a stream that was used may cost until it is reset: its SSNs and its empty queues.
const PER_STREAM: usize = 512;
