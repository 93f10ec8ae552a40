mod bench;
mod interleaving;
mod model;
mod partial_reliability;

use super::*;
use crate::number::tsn;
use crate::wire::{GapBlock, List, Sack};
use bench::*;

#[test]
fn small_messages_share_a_packet() {
    let mut bench = Bench::new(SenderConfig::default());
    bench.send(0, *b"one");
    bench.send(0, *b"two");
    bench.send(7, *b"three");
    let packets = bench.packets();
    assert_eq!(
        packets,
        [[whole(1000, 0, 0, b"one"), whole(1001, 7, 0, b"three"), whole(1002, 0, 1, b"two")]]
    );
    assert_eq!(bench.sack(3, &[]), Acked { newly_acked_bytes: 64, advanced: true, rtt: Some(ms(0)) });
    assert!(bench.sender.is_idle());
    assert_eq!(bench.sender.poll_timeout(), None);
}

/// RFC 9260 §6.9 and full packets: what is cut anyway fills the rest of a packet.
#[test]
fn long_messages_fill_packets() {
    let mut bench = Bench::new(SenderConfig::default());
    for _ in 0..4 {
        bench.send(0, vec![1; 1200]);
    }
    let packets = bench.packets();
    let lens: Vec<Vec<_>> = packets
        .iter()
        .map(|packet| packet.iter().map(|seen| (seen.payload.len(), &*seen.flags)).collect())
        .collect();
    let expected = [
        vec![(1160, "B")],
        vec![(40, "E"), (1104, "B")],
        vec![(96, "E"), (1048, "B")],
        vec![(152, "E"), (992, "B")],
        vec![(208, "E")],
    ];
    assert_eq!(lens, expected);
}

/// A message that fits a packet is not cut to fill the one before.
#[test]
fn messages_of_one_packet_stay_whole() {
    let mut bench = Bench::new(SenderConfig::default());
    for len in [700, 700, 400] {
        bench.send(0, vec![1; len]);
    }
    assert_eq!(bench.tsns(), [vec![0], vec![1, 2]]);
}

#[test]
fn waits_for_the_start() {
    let mut sender = Sender::new(SenderConfig::default());
    let now = Instant::now();
    let send = |sender: &mut Sender, stream| {
        sender.send_part(
            now,
            StreamId(stream),
            Ppid::STRING,
            Bytes::from_static(b"early"),
            true,
            true,
            Reliability::Reliable,
        )
    };
    assert_eq!(send(&mut sender, 3), Ok(()));
    assert_eq!(send(&mut sender, 300), Ok(()));
    assert_eq!((sender.wants_to_send(now), sender.poll_timeout()), (false, None));
    assert_eq!(sender.undelivered(), 10);
    sender.start(now, &Terms { initial_tsn: Tsn(9), ..TERMS });
    assert!(sender.wants_to_send(now));
    assert_eq!(sender.undelivered(), 5, "the peer has no stream 300");
    assert_eq!(sender.last_assigned_tsn(), Tsn(8));
    assert_eq!(
        send(&mut sender, 100),
        Err(SendError::NoSuchStream { stream: StreamId(100), negotiated: 100 })
    );
}

/// What is larger than the whole buffer is refused for good: nobody is told that there is room for it.
#[test]
fn a_message_larger_than_the_buffer_is_refused_at_once() {
    let mut bench = Bench::new(SenderConfig { buffer_limit: 1000, ..SenderConfig::default() });
    assert_eq!(bench.try_send(1, [0; 1001]), Err(SendError::BufferFull { len: 1, max: 1000 }));
    bench.send(1, [0; 600]);
    assert_eq!(bench.try_send(2, [0; 1001]), Err(SendError::BufferFull { len: 601, max: 1000 }));
    assert_eq!(bench.try_send(3, [0; 1000]), Err(SendError::BufferFull { len: 600, max: 1000 }));
    assert_eq!(bench.tsns(), [[0]]);
    bench.sack(1, &[]);
    let events: Vec<_> = std::iter::from_fn(|| bench.sender.poll_event()).collect();
    assert_eq!(events, [SenderEvent::BufferedAmountLow(StreamId(1)), SenderEvent::Writable(StreamId(3))]);
    bench.send(3, [0; 1000]);
}

/// RFC 9260 §7.2.1: min(4 · PMDCS, max(2 · PMDCS, 4404)), and §6.1 B: one packet beyond.
#[test]
fn congestion_window_limits_new_data() {
    let mut bench = Bench::strict();
    bench.send(0, vec![1; 20 * FULL]);
    assert_eq!(bench.tsns(), [[0], [1], [2], [3]]);
    assert_eq!(bench.sender.stats().bytes_in_flight, 4 * CHUNK);
    // 4404 + 1176 are allowed with 2 · 1176 in flight: three packets, the third beyond cwnd.
    bench.sack(2, &[]);
    assert_eq!(bench.sender.stats().cwnd, 5580);
    assert_eq!(bench.tsns(), [[4], [5], [6]]);
}

/// RFC 9260 §6.1 A.
#[test]
fn the_peers_window_limits_new_data() {
    let mut bench = Bench::new(SenderConfig::default());
    bench.a_rwnd = 2 * FULL as u32 + 700;
    bench.sack(0, &[]);
    bench.send(0, vec![1; 9 * FULL]);
    let packets = bench.packets();
    let lens: Vec<_> = packets.iter().flatten().map(|seen| seen.payload.len()).collect();
    assert_eq!(lens, [FULL, FULL, 700], "at least half a fragment is worth sending");
    assert_eq!(bench.sender.stats().peer_rwnd, 0);
    // 40 bytes are not worth a chunk while others are in flight, and are when none is.
    bench.a_rwnd = FULL as u32 + 700 + 40;
    bench.sack(1, &[]);
    assert_eq!(bench.tsns(), Vec::<Vec<u32>>::new());
    bench.a_rwnd = 42;
    bench.sack(3, &[]);
    assert_eq!(bench.packets()[0][0].payload.len(), 40);
}

/// RFC 9260 §6.2.1 D ii: a SACK that acknowledges nothing may open the window.
#[test]
fn an_open_window_resumes_sending_at_once() {
    let mut bench = Bench::new(SenderConfig::default());
    bench.a_rwnd = 0;
    bench.sack(0, &[]);
    bench.send(0, vec![1; FULL]);
    assert_eq!(bench.packet(), None);
    bench.a_rwnd = WINDOW;
    bench.sack(0, &[]);
    assert_eq!(bench.tsns(), [[0]]);
    assert!(bench.sender.probing.is_none());
}

/// RFC 9260 §6.1 A: the first probe after one RTO, then doubling; the window closed for ten minutes is no error while
/// SACKs keep coming, and cwnd stays.
#[test]
fn a_closed_window_is_probed() {
    let mut bench = Bench::new(SenderConfig::default());
    let cwnd = bench.sender.stats().cwnd;
    bench.a_rwnd = 0;
    bench.sack(0, &[]);
    bench.send(0, vec![1; 3 * FULL]);
    assert_eq!(bench.run_to_deadline(), (ms(500), None));
    assert_eq!(bench.tsns(), [[0]]);
    let mut waits = Vec::new();
    let begin = bench.now;
    while bench.now - begin < Duration::from_secs(600) {
        bench.sack(0, &[]);
        let (wait, expired) = bench.run_to_deadline();
        assert_eq!(expired.map(|expired| expired.counts_as_error), Some(false));
        assert_eq!(bench.tsns(), [[0]], "one chunk");
        waits.push(wait.as_millis());
    }
    assert_eq!(waits[..6], [1000, 2000, 4000, 8000, 10_000, 10_000]);
    assert_eq!(bench.sender.stats().cwnd, cwnd);
    // The peer answers no more.
    assert_eq!(bench.run_to_deadline().1.map(|expired| expired.counts_as_error), Some(true));
    bench.tsns();
    // It opens its window; the probe was dropped, so it leaves again at once.
    bench.a_rwnd = WINDOW;
    bench.sack(0, &[]);
    assert_eq!(bench.tsns(), [[0], [1], [2]]);
    assert_eq!(bench.sender.poll_timeout(), Some(bench.now + ms(500)));
}

#[test]
fn a_probe_that_is_taken_ends_the_probing() {
    let mut bench = Bench::new(SenderConfig::default());
    bench.a_rwnd = 0;
    bench.sack(0, &[]);
    bench.send(0, vec![1; 3 * FULL]);
    bench.run_to_deadline();
    assert_eq!(bench.tsns(), [[0]]);
    bench.now += ms(20);
    bench.sack(1, &[]);
    assert_eq!(bench.packet(), None);
    assert_eq!(bench.run_to_deadline(), (ms(400), None));
    assert_eq!(bench.tsns(), [[1]]);
}

#[test]
fn a_window_that_opens_before_the_probe_needs_none() {
    let mut bench = Bench::new(SenderConfig::default());
    bench.a_rwnd = 0;
    bench.sack(0, &[]);
    bench.send(0, vec![1; 2 * FULL]);
    bench.pass(ms(500));
    assert!(bench.sender.wants_to_send(bench.now));
    bench.a_rwnd = WINDOW;
    bench.sack(0, &[]);
    assert_eq!(bench.tsns(), [[0], [1]]);
    assert!(bench.sender.probing.is_none());
}

/// RFC 9260 §7.2.4: the third miss; one packet whatever cwnd says; half the window; until the exit point.
#[test]
fn fast_retransmit_and_recovery() {
    let mut bench = in_flight(40);
    bench.sack(0, &[(2, 2)]);
    bench.sack(0, &[(2, 3)]);
    assert_eq!(bench.packet(), None);
    bench.sack(0, &[(2, 4)]);
    let stats = bench.sender.stats();
    assert_eq!((stats.cwnd, stats.ssthresh, stats.fast_retransmits), (40 * CHUNK, 40 * CHUNK, 2));
    assert_eq!(bench.sender.recovery, Some(bench.sender.outstanding.next_tsn() - 1));
    assert_eq!(bench.tsns(), [[0], [1]]);
    // A second loss in the same window changes nothing but the chunk.
    for end in [7, 8, 9] {
        bench.sack(0, &[(2, 5), (7, end)]);
    }
    assert_eq!(bench.sender.stats().cwnd, 40 * CHUNK);
    assert_eq!(bench.tsns(), [[6]]);
    bench.sack(39, &[]);
    assert!(bench.sender.recovery.is_some());
    assert_eq!(bench.sender.stats().cwnd, 40 * CHUNK, "no growth in recovery");
    bench.sack(40, &[]);
    assert!(bench.sender.recovery.is_none());
}

/// RFC 9260 §7.2.4 (3): "the sender SHOULD ignore the value of cwnd" for one packet, not for the next.
#[test]
fn one_packet_of_a_fast_retransmit_ignores_the_window() {
    let mut bench = Bench::strict();
    bench.send(0, vec![1; 30 * FULL]);
    bench.tsns();
    for cumulative in 1..=13 {
        bench.sack(cumulative, &[]);
        bench.tsns();
    }
    assert!(bench.sender.stats().bytes_in_flight >= bench.sender.stats().cwnd);
    let next = bench.sender.outstanding.next_tsn() - u64::from(INITIAL) - (1 << 32);
    assert_eq!(next, 30, "all is sent");
    for end in 15..=17 {
        bench.sack(13, &[(15, end)]);
    }
    assert_eq!(bench.sender.stats().cwnd, (4404 + 14 * CHUNK) / 2);
    assert!(bench.sender.stats().bytes_in_flight >= bench.sender.stats().cwnd);
    assert_eq!(bench.tsns(), [[13]]);
}

/// A chunk that waits to be sent again and is acknowledged after all is not sent.
#[test]
fn a_late_acknowledgement_cancels_the_retransmission() {
    let mut bench = in_flight(10);
    for end in 1..=3 {
        bench.sack(0, &[(1, end)]);
    }
    bench.sack(4, &[]);
    assert_eq!(bench.packet(), None);
    assert_eq!(bench.sender.stats().retransmissions, 0);
}

/// RFC 9260 §6.3.3, §7.2.3, and the end of fast recovery.
#[test]
fn t3_starts_over_with_one_packet() {
    let mut bench = in_flight(20);
    for end in 2..=4 {
        bench.sack(0, &[(2, end)]);
    }
    assert!(bench.sender.recovery.is_some());
    assert_eq!(bench.tsns(), [[0], [1]]);
    let (wait, expired) = bench.run_to_deadline();
    assert_eq!((wait, expired.map(|expired| expired.counts_as_error)), (ms(500), Some(true)));
    let stats = bench.sender.stats();
    assert_eq!((stats.cwnd, stats.ssthresh, stats.bytes_in_flight), (CHUNK, 10 * CHUNK, 0));
    assert_eq!((stats.rto, stats.t3_expirations), (ms(1000), 1));
    assert!(bench.sender.recovery.is_none());
    assert_eq!(bench.tsns(), [[0]]);
    assert_eq!(bench.run_to_deadline().0, ms(1000));
    assert_eq!(bench.tsns(), [[0]]);
    assert_eq!(bench.sender.poll_timeout(), Some(bench.now + ms(2000)));
    bench.now += ms(50);
    bench.sack(2, &[(2, 4)]);
    let packets = bench.tsns();
    assert_eq!(packets, [[5], [6], [7]], "slow start by the two chunks acknowledged");
}

/// RFC 9260 §7.2.3: also when the packet leaves room below cwnd.
#[test]
fn t3_leaves_one_packet_even_if_it_is_small() {
    let mut bench = Bench::new(SenderConfig::default());
    bench.send(0, *b"lost");
    bench.tsns();
    bench.run_to_deadline();
    assert_eq!(bench.tsns(), [[0]]);
    bench.send(0, *b"more");
    assert_eq!(bench.packet(), None);
    bench.sack(1, &[]);
    assert_eq!(bench.tsns(), [[1]]);
}

/// RFC 9260 §6.3.3 E3: as many as fit one packet.
#[test]
fn t3_bundles_the_earliest_chunks() {
    let mut bench = Bench::new(SenderConfig::default());
    for _ in 0..4 {
        bench.send(0, vec![1; 500]);
    }
    assert_eq!(bench.tsns(), [[0, 1], [2, 3]]);
    bench.run_to_deadline();
    let flags: Vec<Vec<_>> = bench
        .packets()
        .into_iter()
        .map(|packet| packet.into_iter().map(|seen| (seen.tsn, seen.flags)).collect())
        .collect();
    let prompt = "IBE".to_owned();
    assert_eq!(flags, [[(1000, prompt.clone()), (1001, prompt)]], "and a tiny window wants its SACK at once");
}

/// RFC 9260 §6.3.2 R1–R3.
#[test]
fn t3_follows_the_earliest_chunk() {
    let mut bench = Bench::new(SenderConfig::default());
    let begin = bench.now;
    bench.send(0, vec![1; FULL]);
    bench.tsns();
    bench.now += ms(100);
    bench.send(0, vec![1; FULL]);
    bench.tsns();
    assert_eq!(bench.sender.poll_timeout(), Some(begin + ms(500)), "not restarted by later chunks");
    bench.sack(0, &[(1, 1)]);
    assert_eq!(bench.sender.poll_timeout(), Some(begin + ms(500)), "nor by gap blocks");
    bench.sack(1, &[]);
    assert_eq!(bench.sender.poll_timeout(), Some(bench.now + bench.sender.rto()));
    bench.sack(2, &[]);
    assert_eq!(bench.sender.poll_timeout(), None);
}

/// RFC 9260 §6.2.1 D iii, §6.3.2 R4.
#[test]
fn a_peer_that_reneges_gets_it_again() {
    let mut bench = in_flight(5);
    bench.sack(4, &[]);
    assert_eq!(bench.sender.stats().bytes_in_flight, CHUNK);
    let mut bench = in_flight(5);
    bench.sack(0, &[(1, 4)]);
    assert_eq!(bench.sender.stats().bytes_in_flight, CHUNK);
    bench.sack(0, &[]);
    assert_eq!(bench.sender.stats().bytes_in_flight, 5 * CHUNK);
    assert!(bench.sender.t3.is_running());
    bench.run_to_deadline();
    assert_eq!(bench.tsns(), [[0]]);
}

/// Nor does a chunk count again that is reported anew after it was taken back: a peer could go on so for ever.
#[test]
fn what_is_taken_back_and_reported_again_is_no_progress() {
    let mut bench = in_flight(5);
    assert_eq!(bench.sack(0, &[(1, 3)]).newly_acked_bytes, 3 * CHUNK);
    for _ in 0..3 {
        assert_eq!(bench.sack(0, &[]).newly_acked_bytes, 0);
        assert_eq!(bench.sack(0, &[(1, 3)]).newly_acked_bytes, 0);
    }
    assert_eq!(bench.sack(0, &[(1, 4)]).newly_acked_bytes, CHUNK, "one more");
    bench.sack(0, &[]);
    assert_eq!(bench.sack(2, &[]).newly_acked_bytes, 2 * CHUNK, "the cumulative TSN is never taken back");
}

/// RFC 9260 §6.3.1 C4, C5.
#[test]
fn one_measurement_per_round_trip_and_none_of_retransmissions() {
    let mut bench = in_flight(6);
    bench.now += ms(80);
    assert_eq!(bench.sack(2, &[]).rtt, Some(ms(80)));
    assert_eq!(bench.sack(4, &[]).rtt, None);
    assert_eq!(bench.sender.stats().srtt, Some(ms(80)));
    bench.send(0, vec![1; FULL]);
    bench.tsns();
    bench.run_to_deadline();
    bench.tsns();
    bench.now += ms(10);
    assert_eq!(bench.sack(7, &[]).rtt, None, "Karn");
    assert_eq!(bench.sender.stats().srtt, Some(ms(80)));
}

/// RFC 9260 §6.1 D: Max.Burst per send opportunity, cwnd not lowered.
#[test]
fn bursts_are_limited() {
    let mut config = SenderConfig { max_burst: Some(4), ..SenderConfig::default() };
    config.congestion.initial_window = crate::congestion::InitialWindow::Packets(100);
    let mut bench = Bench::new(config);
    bench.send(0, vec![1; 50 * FULL]);
    assert_eq!(bench.packets().len(), 4);
    bench.sack(1, &[]);
    assert_eq!(bench.packets().len(), 4);
    assert_eq!(bench.sender.stats().cwnd, 100 * CHUNK);
}

/// RFC 9260 §6.1: the I bit when the chunk fills a window, or the association drains.
#[test]
fn asks_for_prompt_sacks() {
    let flags = |bench: &mut Bench| -> Vec<String> {
        bench.packets().into_iter().flatten().map(|seen| seen.flags).collect()
    };
    let mut bench = Bench::strict();
    bench.send(0, vec![1; 9 * FULL]);
    assert_eq!(flags(&mut bench), ["B", "", "", "I"], "fills cwnd");
    let mut bench = Bench::new(SenderConfig::default());
    bench.a_rwnd = 2 * FULL as u32;
    bench.sack(0, &[]);
    bench.send(0, vec![1; 9 * FULL]);
    assert_eq!(flags(&mut bench), ["B", "I"], "fills rwnd");
    let mut bench = Bench::new(SenderConfig::default());
    bench.sender.set_draining(true);
    bench.send(0, *b"a");
    bench.send(0, *b"b");
    assert_eq!(flags(&mut bench), ["BE", "IBE"], "the last one");
}

/// All kinds of nonsense, whole state compared.
#[test]
fn bad_sacks_change_nothing() {
    let mut bench = in_flight(10);
    bench.sack(2, &[(4, 5)]);
    let state = |bench: &Bench| {
        let sender = &bench.sender;
        format!(
            "{} {:?} {:?} {:?} {:?}",
            sender.outstanding.snapshot(),
            SenderStats { invalid_sacks: 0, ..sender.stats() },
            sender.poll_timeout(),
            sender.recovery,
            sender.undelivered()
        )
    };
    let before = state(&bench);
    bench.a_rwnd = 5;
    bench.now += ms(5);
    for (next, gaps) in
        [(11, &[][..]), (2, &[(5, 4)]), (2, &[(4, 5), (5, 6)]), (2, &[(4, 10)]), (3, &[(6, 7), (4, 4)])]
    {
        assert_eq!(bench.raw_sack(next, gaps), SackOutcome::Invalid, "{next} {gaps:?}");
        assert_eq!(state(&bench), before);
    }
    assert_eq!(bench.raw_sack(1, &[]), SackOutcome::Stale);
    assert_eq!(bench.sender.handle_cumulative(bench.now, Tsn(INITIAL + 10)), SackOutcome::Invalid);
    assert_eq!(bench.sender.handle_cumulative(bench.now, Tsn(INITIAL)), SackOutcome::Stale);
    assert_eq!(state(&bench), before);
    assert_eq!(bench.sender.stats().invalid_sacks, 6);
}

/// RFC 9260 §7.2.1, [SAVAGE99]: a hundred SACKs for one window gain no more than one.
#[test]
fn splitting_sacks_gains_nothing() {
    let grown = |steps: &[u32]| {
        let mut bench = Bench::strict();
        bench.send(0, vec![1; 100 * FULL]);
        bench.packets();
        for &next in steps {
            for _ in 0..25 {
                bench.sack(next, &[]);
            }
        }
        bench.sender.stats().cwnd
    };
    assert_eq!(grown(&[1]), 4404 + CHUNK);
    assert!(grown(&[1, 2, 3, 4]) <= 4404 + 4 * CHUNK);
}

/// RFC 9260 §7.2.1: a trickle does not open the window.
#[test]
fn application_limited_windows_do_not_grow() {
    for config in [SenderConfig::default(), SenderConfig::strict()] {
        let mut bench = Bench::new(config);
        let cwnd = bench.sender.stats().cwnd;
        for n in 0..100 {
            bench.send(0, vec![1; FULL]);
            bench.tsns();
            bench.now += ms(50);
            bench.sack(n + 1, &[]);
        }
        assert_eq!(bench.sender.stats().cwnd, cwnd);
    }
}

/// Several SACKs before the next packet leaves: all that was in flight in the full window counts.
#[test]
fn a_batch_of_sacks_grows_the_window_as_one() {
    let grown = |config: SenderConfig, steps: &[u32]| {
        let mut bench = Bench::new(config);
        let cwnd = bench.sender.stats().cwnd;
        bench.send(0, vec![1; 100 * FULL]);
        bench.packets();
        for next in steps {
            bench.sack(*next, &[]);
        }
        bench.sender.stats().cwnd - cwnd
    };
    assert_eq!(grown(SenderConfig::default(), &[2, 4, 6, 8]), 8 * CHUNK);
    assert_eq!(grown(SenderConfig::default(), &[8]), 8 * CHUNK);
    assert_eq!(grown(SenderConfig::strict(), &[1, 2, 3]), CHUNK, "the letter: only while cwnd is in flight");
}

/// RFC 9260 §7.2.1.
#[test]
fn idle_time_decays_the_window() {
    let mut bench = in_flight(50);
    bench.sack(50, &[]);
    let cwnd = bench.sender.stats().cwnd;
    bench.now += 2 * bench.sender.rto();
    bench.send(0, *b"again");
    bench.tsns();
    let stats = bench.sender.stats();
    assert_eq!((stats.cwnd, stats.ssthresh), (cwnd / 4, cwnd));
}

/// RFC 8261 §6.1: another path knows nothing of the one before.
#[test]
fn another_path_starts_anew() {
    let mut bench = in_flight(20);
    bench.now += ms(900);
    bench.sack(1, &[]);
    bench.run_to_deadline();
    bench.sender.path_changed(bench.now, 600);
    let stats = bench.sender.stats();
    assert_eq!((stats.cwnd, stats.ssthresh, stats.srtt, stats.rto), (40 * 588, usize::MAX, None, ms(500)));
    assert_eq!(bench.sender.poll_timeout(), Some(bench.now + ms(500)));
    assert_eq!(bench.sender.queue.fragment(), 572);
}

/// RFC 9260 §3.3.8: the cumulative TSN of a SHUTDOWN takes chunks away, and its silence about gaps means nothing.
#[test]
fn shutdown_acknowledges() {
    let mut bench = in_flight(6);
    bench.sack(1, &[(3, 4)]);
    let rwnd = bench.sender.stats().peer_rwnd;
    let outcome = bench.sender.handle_cumulative(bench.now, Tsn(INITIAL + 1));
    let expected = Acked { newly_acked_bytes: CHUNK, advanced: true, rtt: None };
    assert_eq!(outcome, SackOutcome::Processed(expected));
    assert_eq!(bench.sender.stats().bytes_in_flight, 2 * CHUNK, "3 and 4 stay acknowledged");
    assert_eq!(bench.sender.stats().peer_rwnd, rwnd, "what arrived takes room there");
    bench.sender.handle_cumulative(bench.now, Tsn(INITIAL + 5));
    assert!(bench.sender.is_idle());
    assert_eq!(bench.sender.poll_timeout(), None);
}

#[test]
fn limits_on_what_is_accepted() {
    let mut bench =
        Bench::new(SenderConfig { buffer_limit: 10_000, high_water_mark: 4000, ..SenderConfig::default() });
    bench.sender.set_max_message_size(Some(6000));
    assert_eq!(bench.try_send(0, vec![1; 6001]), Err(SendError::TooLarge { len: 6001, max: 6000 }));
    assert_eq!(bench.try_send(0, []), Err(SendError::Empty));
    assert_eq!(bench.part(0, vec![1; 5000], false), Ok(()));
    assert_eq!(bench.part(0, vec![1; 1001], true), Err(SendError::TooLarge { len: 6001, max: 6000 }));
    assert_eq!(bench.part(0, vec![1; 1000], true), Ok(()));
    assert_eq!(bench.try_send(1, vec![1; 3000]), Ok(()));
    assert_eq!(bench.try_send(1, vec![1; 1001]), Err(SendError::BufferFull { len: 1, max: 10_000 }));
    bench.sender.begin_reset(bench.now, &[StreamId(2)]);
    assert_eq!(bench.try_send(2, *b"x"), Err(SendError::Resetting(StreamId(2))));
    assert_eq!(bench.sender.undelivered(), 9000);
    bench.packets();
    assert_eq!(
        bench.try_send(1, vec![1; 1001]),
        Err(SendError::BufferFull { len: 1, max: 10_000 }),
        "in flight counts"
    );
    assert_eq!(bench.sender.poll_event(), Some(SenderEvent::Writable(StreamId(0))));
    let low = [0, 1].map(|stream| Some(SenderEvent::BufferedAmountLow(StreamId(stream))));
    assert_eq!(
        [bench.sender.poll_event(), bench.sender.poll_event(), bench.sender.poll_event()],
        [low[0], low[1], None]
    );
    bench.sack(1, &[]);
    assert_eq!(bench.sender.poll_event(), Some(SenderEvent::Writable(StreamId(1))));
    assert_eq!(bench.try_send(1, vec![1; 1001]), Ok(()));
    assert_eq!(bench.sender.undelivered(), 9000 - FULL + 1001);
}

/// A million tiny messages are not a gigabyte of bookkeeping.
#[test]
fn tiny_messages_count_for_more_than_their_payload() {
    let mut bench = Bench::new(SenderConfig { buffer_limit: 12_800, ..SenderConfig::default() });
    let accepted = (0..).take_while(|_| bench.try_send(0, *b"x").is_ok()).count();
    assert_eq!(accepted, 100);
    bench.packets();
    assert_eq!(bench.try_send(0, *b"x"), Err(SendError::BufferFull { len: 128, max: 12_800 }));
}

#[test]
fn drained_means_acknowledged() {
    let mut bench = Bench::new(SenderConfig::default());
    bench.send(5, *b"x");
    assert!(!bench.sender.queue.is_drained(StreamId(5)));
    bench.tsns();
    assert!(!bench.sender.queue.is_drained(StreamId(5)));
    assert!(bench.sender.queue.is_drained(StreamId(6)));
    bench.sack(1, &[]);
    assert!(bench.sender.queue.is_drained(StreamId(5)));
    bench.sender.begin_reset(bench.now, &[StreamId(5)]);
    bench.sender.reset_stream(bench.now, StreamId(5));
    bench.send(5, *b"y");
    assert_eq!(bench.packets(), [[whole(1001, 5, 0, b"y")]]);
}

#[test]
fn closing_stops_everything_and_keeps_the_count() {
    let mut bench = in_flight(3);
    bench.send(0, *b"queued");
    bench.sender.close();
    assert_eq!(bench.sender.undelivered(), 3 * FULL + 6);
    assert_eq!((bench.sender.poll_timeout(), bench.sender.wants_to_send(bench.now)), (None, false));
    assert_eq!(bench.try_send(0, *b"x"), Err(SendError::Closed));
    assert_eq!(bench.raw_sack(1, &[]), SackOutcome::Stale);
}

#[test]
fn a_restart_begins_with_nothing() {
    let mut bench = in_flight(3);
    bench.send(0, *b"queued");
    let terms = Terms { initial_tsn: Tsn(7), streams: 10, ..TERMS };
    bench.sender.restart(bench.now, &terms);
    assert!(bench.sender.is_idle());
    assert_eq!((bench.sender.undelivered(), bench.sender.poll_timeout()), (0, None));
    assert_eq!(bench.sender.stats().chunks_sent, 3, "counters go on");
    bench.send(0, *b"new");
    assert_eq!(bench.packets(), [[whole(7, 0, 0, b"new")]]);
}

/// RFC 9260 §3.3.4: gap blocks report on 65535 TSNs, so no more are outstanding.
#[test]
fn the_window_of_tsns_is_bounded() {
    let mut config = SenderConfig { max_burst: None, buffer_limit: usize::MAX, ..SenderConfig::default() };
    config.congestion.initial_window = crate::congestion::InitialWindow::Packets(1_000_000);
    let mut bench = Bench::new(config);
    for _ in 0..66_000 {
        bench.send(0, *b"x");
    }
    assert_eq!(bench.packets().iter().map(Vec::len).sum::<usize>(), 65_535);
    bench.sack(10, &[(11, 65_534)]);
    assert_eq!(bench.packets().iter().map(Vec::len).sum::<usize>(), 10);
}

/// A peer that keeps what arrives and reports it by the book.
struct Receiver {
    next: u64,
    ahead: std::collections::BTreeSet<u64>,
    got: Vec<Seen>,
    unwrapper: crate::number::Unwrapper,
}

impl Receiver {
    fn take(&mut self, packet: Vec<Seen>) {
        for seen in packet {
            let number = self.unwrapper.peek(seen.tsn);
            if number >= self.next && self.ahead.insert(number) {
                self.got.push(seen);
            }
        }
        while self.ahead.remove(&self.next) {
            self.next += 1;
        }
        self.unwrapper.note(self.next - 1);
    }

    fn sack(&self, bench: &mut Bench) {
        let mut gaps: Vec<GapBlock> = Vec::new();
        for number in &self.ahead {
            let offset = u16::try_from(number + 1 - self.next).expect("near");
            match gaps.last_mut().filter(|last| last.end + 1 == offset) {
                Some(last) => last.end = offset,
                None => gaps.push(GapBlock { start: offset, end: offset }),
            }
        }
        let sack = Sack {
            cumulative_tsn: tsn(self.next - 1),
            a_rwnd: WINDOW,
            gaps: List::new(&gaps),
            duplicates: List::EMPTY,
        };
        assert!(matches!(bench.sender.handle_sack(bench.now, &sack), SackOutcome::Processed(_)));
        bench.check_timers();
    }
}

proptest::proptest! {
    /// Everything arrives whatever is lost, both ways, and across the wrap of the TSN; then nothing is left.
    #[test]
    fn all_is_delivered(
        before_wrap in 0u32..40,
        losses in proptest::collection::vec(0u8..100, 500),
        percent in 0u8..40,
        lens in proptest::collection::vec(1usize..5000, 1..30),
        strict in proptest::bool::ANY,
    ) {
        let config = if strict { SenderConfig::strict() } else { SenderConfig::default() };
        let initial = u32::MAX - before_wrap;
        let mut bench = Bench::agreeing_on(config, Terms { initial_tsn: Tsn(initial), ..TERMS });
        let unwrapper = crate::number::Unwrapper::new(initial);
        let mut receiver = Receiver { next: unwrapper.peek(initial), ahead: Default::default(), got: Vec::new(), unwrapper };
        for (n, len) in lens.iter().enumerate() {
            bench.send(u16::try_from(n % 3).unwrap(), vec![n as u8; *len]);
        }
        let mut losses = losses.into_iter().cycle();
        let mut lost = || losses.next().is_some_and(|roll| roll < percent);
        for _ in 0..5000 {
            for packet in bench.packets() {
                if !lost() {
                    receiver.take(packet);
                    if !lost() {
                        receiver.sack(&mut bench);
                    }
                }
            }
            bench.now += ms(10);
            bench.sender.handle_timeout(bench.now);
            if !bench.sender.wants_to_send(bench.now) {
                let Some(deadline) = bench.sender.poll_timeout() else { break };
                bench.now = bench.now.max(deadline);
                bench.sender.handle_timeout(bench.now);
            }
        }
        proptest::prop_assert!(bench.sender.is_idle(), "{:?}", bench.sender);
        proptest::prop_assert_eq!((bench.sender.undelivered(), bench.sender.charged()), (0, 0));
        let mut by_tsn = receiver.got;
        by_tsn.sort_by_key(|seen| seen.tsn.wrapping_sub(initial));
        let mut messages: Vec<Vec<u8>> = Vec::new();
        for seen in by_tsn {
            match messages.last_mut().filter(|_| !seen.flags.contains('B')) {
                Some(message) => message.extend(seen.payload),
                None => messages.push(seen.payload),
            }
        }
        let mut sent: Vec<_> = lens.iter().enumerate().map(|(n, len)| vec![n as u8; *len]).collect();
        messages.sort();
        sent.sort();
        proptest::prop_assert_eq!(messages, sent);
    }
}
