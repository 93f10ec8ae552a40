//! RFC 3758 and RFC 7496: what is given up, when, and how the peer learns of it.

use super::super::*;
use super::bench::*;

const LIMITED: Terms = Terms { partial_reliability: true, ..TERMS };

fn bench() -> Bench {
    Bench::agreeing_on(wide(), LIMITED)
}

const fn once() -> Reliability {
    Reliability::MaxRetransmits(0)
}

const fn lifetime(n: u64) -> Reliability {
    Reliability::MaxLifetime(ms(n))
}

fn forwarded(point: u32, skipped: &[(u16, u32)]) -> Forwarded {
    Forwarded { point, skipped: skipped.iter().map(|&(stream, ssn)| (stream, false, ssn)).collect() }
}

fn events(bench: &mut Bench) -> Vec<SenderEvent> {
    std::iter::from_fn(|| bench.sender.poll_event()).collect()
}

/// Messages and bytes given up.
fn abandoned(bench: &Bench) -> (u64, u64) {
    let stats = bench.sender.stats();
    (stats.messages_abandoned, stats.bytes_abandoned)
}

/// With the I bit.
fn prompt(seen: Seen) -> Seen {
    Seen { flags: format!("I{}", seen.flags), ..seen }
}

/// Lets T3 expire.
fn time_out(bench: &mut Bench) {
    let (_, expired) = bench.run_to_deadline();
    assert!(expired.is_some_and(|expired| expired.counts_as_error));
}

/// RFC 3758 §3.3.1, RFC 8831 §6.4: a peer without it gets everything.
#[test]
fn without_the_peers_support_everything_is_reliable() {
    let mut bench = Bench { sender: Sender::new(wide()), ..Bench::new(wide()) };
    bench.limited(0, *b"early", lifetime(10));
    bench.limited_part(1, *b"early", false, true, lifetime(10)).expect("sends");
    bench.now += ms(20);
    assert_eq!(bench.sender.handle_timeout(bench.now), None);
    bench.sender.start(bench.now, &TERMS);
    bench.limited(0, *b"old", lifetime(0));
    bench.limited(0, *b"lost", once());
    bench.limited_part(1, *b"end", true, true, once()).expect("sends");
    bench.now += ms(20);
    assert_eq!(bench.sender.poll_timeout(), None);
    assert_eq!(bench.tsns(), [[0, 1, 2, 3, 4]]);
    for _ in 0..5 {
        time_out(&mut bench);
        assert_eq!(bench.tsns(), [[0, 1, 2, 3, 4]]);
    }
    assert_eq!(abandoned(&bench), (0, 0));
    assert_eq!(bench.forwards(), []);
}

/// What was queued before the start obeys its limits from then on.
#[test]
fn what_was_queued_early_is_limited_too() {
    let mut bench = Bench { sender: Sender::new(wide()), ..Bench::new(wide()) };
    bench.limited(0, *b"expires", lifetime(10));
    bench.limited(0, *b"lives", lifetime(1000));
    bench.now += ms(20);
    assert_eq!(bench.sender.poll_timeout(), None, "nobody knows yet what the peer can");
    bench.sender.start(bench.now, &LIMITED);
    assert_eq!(bench.packets(), [[whole(1000, 0, 0, b"lives")]]);
    assert_eq!(abandoned(&bench), (1, 7));
}

/// RFC 7496 §3.1: "The sender MUST abandon a user message if the number of retransmissions of any of the DATA chunks of the
/// user message would exceed the provided limit."
#[test]
fn retransmissions_are_limited() {
    for limit in [0, 1, 3, 9] {
        let mut bench = bench();
        bench.limited(0, *b"x", Reliability::MaxRetransmits(limit));
        assert_eq!(bench.tsns(), [[0]]);
        for _ in 0..limit {
            time_out(&mut bench);
            assert_eq!(bench.tsns(), [[0]]);
            assert_eq!(bench.forwards(), []);
        }
        time_out(&mut bench);
        assert_eq!(bench.packets(), [[]], "a FORWARD TSN and nothing else");
        assert_eq!(bench.forwards(), [forwarded(0, &[(0, 0)])]);
        assert_eq!(abandoned(&bench), (1, 1));
        assert_eq!(bench.sender.stats().retransmissions, u64::from(limit));
    }
}

/// RFC 7496 §3.1: "the number of retransmissions includes both fast and timer-based retransmissions." RFC 3758 §3.5 F5: and
/// congestion control hears of each loss.
#[test]
fn fast_retransmissions_count_too() {
    let mut bench = bench();
    bench.limited(0, *b"lost", Reliability::MaxRetransmits(1));
    for _ in 0..9 {
        bench.send(1, vec![1; FULL]);
    }
    assert_eq!(bench.packets().len(), 10);
    for end in 1..=3 {
        bench.sack(0, &[(1, end)]);
    }
    assert_eq!(bench.tsns(), [[0]]);
    let cwnd = bench.sender.stats().cwnd;
    time_out(&mut bench);
    assert_eq!(bench.tsns(), [vec![], vec![4]]);
    assert_eq!(bench.forwards(), [forwarded(0, &[(0, 0)])]);
    let stats = bench.sender.stats();
    assert_eq!((stats.fast_retransmits, stats.t3_expirations), (1, 1));
    assert!(stats.cwnd < cwnd);
}

/// RFC 3758 §3.5 F5: "the appropriate congestion adjustment MUST be made".
#[test]
fn a_loss_that_is_given_up_is_a_loss() {
    let mut bench = bench();
    for _ in 0..9 {
        bench.limited(0, vec![1; FULL], once());
    }
    bench.packets();
    let cwnd = bench.sender.stats().cwnd;
    for end in 1..=3 {
        assert_eq!(bench.forwards(), []);
        bench.sack(0, &[(1, end)]);
    }
    assert_eq!(bench.tsns(), [[0_u32; 0]]);
    // All below TSN 4 is settled, but only the end of what is skipped matters.
    assert_eq!(bench.forwards(), [forwarded(0, &[(0, 0)])]);
    let stats = bench.sender.stats();
    assert_eq!((stats.cwnd, stats.fast_retransmits), (cwnd / 2, 1));
    assert_eq!(stats.bytes_in_flight, 5 * CHUNK, "given up and reported are out of flight");
    assert!(bench.sender.recovery.is_some());
    bench.sack(9, &[]);
    assert!(bench.sender.recovery.is_none());
    assert!(bench.sender.is_idle());
}

/// RFC 3758 §3.5 A2: "MUST NOT advance the cwnd based on this "abandoned" data chunk."
#[test]
fn what_was_given_up_is_acknowledged_silently() {
    let mut bench = bench();
    bench.limited(0, vec![1; FULL], once());
    bench.packets();
    time_out(&mut bench);
    assert_eq!(bench.sender.undelivered(), 0, "its memory is given back at once");
    assert_eq!((bench.sender.charged(), bench.sender.stats().bytes_in_flight), (0, 0));
    assert_eq!(bench.packets(), [[]]);
    let cwnd = bench.sender.stats().cwnd;
    assert_eq!(bench.sack(1, &[]), Acked { newly_acked_bytes: 0, advanced: true, rtt: None });
    assert_eq!(bench.sender.stats().cwnd, cwnd);
    assert!(bench.sender.is_idle());
    assert_eq!(bench.sender.poll_timeout(), None);
    bench.send(0, *b"next");
    assert_eq!(bench.packets()[0][0].ssn, 1, "the SSN was used up");
}

/// A gap block that comes or goes for something given up means nothing.
#[test]
fn reports_on_what_was_given_up_change_nothing() {
    let mut bench = bench();
    bench.send(0, vec![1; FULL]);
    bench.limited(1, vec![1; 2 * FULL], once());
    assert_eq!(bench.packets().len(), 3);
    time_out(&mut bench);
    assert_eq!(bench.tsns(), [[0]]);
    let in_flight = bench.sender.stats().bytes_in_flight;
    for gaps in [&[(1, 1)][..], &[(1, 2)], &[(2, 2)], &[], &[(1, 2)]] {
        assert_eq!(bench.sack(0, gaps), Acked::default());
        assert_eq!(bench.sender.stats().bytes_in_flight, in_flight);
        assert_eq!((bench.forwards(), bench.packet()), (vec![], None));
    }
    bench.sack(1, &[(1, 2)]);
    assert_eq!(bench.packets(), [[]]);
    assert_eq!(bench.forwards(), [forwarded(2, &[(1, 0)])]);
}

/// RFC 3758 §4.1 TR3: expired before it has a TSN, it never gets one, and holds no memory while the window is closed.
#[test]
fn what_expires_in_the_queue_leaves_no_trace() {
    let config = SenderConfig { high_water_mark: 1000, buffer_limit: 4000, ..wide() };
    let mut bench = Bench::agreeing_on(config, LIMITED);
    bench.a_rwnd = 0;
    bench.sack(0, &[]);
    bench.limited(0, vec![1; 900], lifetime(30));
    bench.limited(0, vec![1; 900], lifetime(70));
    bench.limited(0, vec![1; 900], lifetime(70));
    bench.limited(0, vec![1; 900], lifetime(5));
    assert_eq!(bench.try_send(1, vec![1; 900]), Err(SendError::BufferFull { len: 500, max: 4000 }));
    assert_eq!(bench.run_to_deadline(), (ms(5), None));
    assert_eq!(bench.sender.buffered_amount(StreamId(0)), 2700);
    assert_eq!(events(&mut bench), [SenderEvent::Writable(StreamId(1))]);
    assert_eq!(bench.run_to_deadline(), (ms(25), None));
    assert_eq!(bench.run_to_deadline(), (ms(40), None));
    let expected = [SenderEvent::Writable(StreamId(0)), SenderEvent::BufferedAmountLow(StreamId(0))];
    assert_eq!(events(&mut bench), expected);
    assert_eq!((bench.sender.buffered_amount(StreamId(0)), bench.sender.charged()), (0, 0));
    assert_eq!(abandoned(&bench), (4, 3600));
    assert_eq!(bench.sender.poll_timeout(), None, "not even a probe");
    bench.a_rwnd = WINDOW;
    bench.sack(0, &[]);
    bench.send(0, *b"next");
    assert_eq!(bench.packets(), [[whole(1000, 0, 0, b"next")]]);
    assert_eq!(bench.forwards(), []);
}

#[test]
fn a_paused_stream_keeps_nothing_that_expired() {
    let mut bench = bench();
    bench.limited(0, *b"x", lifetime(30));
    bench.limited_part(0, *b"open", false, true, lifetime(40)).expect("sends");
    bench.sender.begin_reset(bench.now, &[StreamId(0)]);
    assert_eq!(bench.packet(), None);
    assert_eq!(bench.run_to_deadline(), (ms(30), None));
    assert_eq!(bench.run_to_deadline(), (ms(10), None));
    assert!(bench.sender.is_idle());
    bench.sender.resume(bench.now, StreamId(0));
    bench.part(0, *b" and more", false).expect("is accepted");
    bench.part(0, *b" to the end", true).expect("is accepted");
    assert_eq!(abandoned(&bench), (2, 1 + 4 + 9 + 11));
    bench.send(0, *b"next");
    assert_eq!(bench.packets(), [[whole(1000, 0, 0, b"next")]]);
}

/// A lifetime of zero is one transmission, at once or never.
#[test]
fn a_lifetime_of_zero_is_one_attempt() {
    let mut bench = bench();
    bench.limited(0, *b"now", lifetime(0));
    assert_eq!(bench.tsns(), [[0]]);
    bench.sack(1, &[]);
    bench.a_rwnd = 0;
    bench.sack(1, &[]);
    bench.limited(0, *b"never", lifetime(0));
    assert_eq!(bench.packet(), None);
    assert_eq!(bench.sender.poll_timeout(), Some(bench.now));
    bench.sender.handle_timeout(bench.now);
    assert_eq!(abandoned(&bench), (1, 5));
    assert_eq!(bench.sender.poll_timeout(), None);
    assert!(bench.sender.is_idle());
}

/// The timer may come late: what is too old does not leave before it.
#[test]
fn the_lifetime_is_checked_when_a_message_is_sent() {
    let mut bench = bench();
    bench.limited(0, *b"old", lifetime(30));
    bench.limited(0, *b"new", lifetime(31));
    bench.limited(1, *b"old", lifetime(30));
    bench.now += ms(31);
    assert_eq!(bench.packets(), [[whole(1000, 0, 0, b"new")]]);
    assert_eq!(abandoned(&bench), (2, 6));
}

/// RFC 3758 §4.1 TR4.
#[test]
fn the_lifetime_is_checked_when_a_message_is_sent_again() {
    let mut bench = bench();
    bench.limited(0, *b"x", lifetime(500));
    bench.limited(1, *b"y", lifetime(499));
    assert_eq!(bench.tsns(), [[0, 1]]);
    time_out(&mut bench);
    assert_eq!(abandoned(&bench), (1, 1), "y is too old when T3 expires, x is not quite");
    bench.now += ms(1);
    assert!(bench.sender.wants_to_send(bench.now));
    assert_eq!(bench.packets(), [[]]);
    assert_eq!(bench.forwards(), [forwarded(1, &[(0, 0), (1, 0)])], "told in the same packet");
    assert_eq!(abandoned(&bench), (2, 2));
}

/// RFC 3758 §3.5 A3, and a TSN for the end that was never sent: usrsctp aborts if what follows looks like more of it.
#[test]
fn a_message_is_given_up_whole() {
    let mut config = wide();
    config.congestion.initial_window = crate::congestion::InitialWindow::Packets(4);
    let mut bench = Bench::agreeing_on(config, LIMITED);
    bench.limited(3, vec![1; 10 * FULL], once());
    bench.send(3, *b"next");
    assert_eq!(bench.tsns(), [[0], [1], [2], [3]]);
    assert_eq!(bench.sender.undelivered(), 10 * FULL + 4);
    bench.sack(0, &[(1, 1)]);
    assert_eq!(bench.tsns(), [[4], [5]]);
    time_out(&mut bench);
    assert_eq!(bench.sender.undelivered(), 4);
    assert_eq!(abandoned(&bench), (1, 10 * FULL as u64), "also what was reported");
    assert_eq!(bench.sender.last_assigned_tsn(), Tsn(INITIAL + 6));
    let packets = bench.packets();
    assert_eq!(packets, [[prompt(whole(1007, 3, 1, b"next"))]]);
    assert_eq!(bench.forwards(), [forwarded(6, &[(3, 0)])]);
    bench.sack(8, &[]);
    assert!(bench.sender.is_idle());
    assert!(bench.sender.queue.is_drained(StreamId(3)));
}

/// The last fragment that was sent is acknowledged, the rest expires.
#[test]
fn a_message_that_expires_between_fragments_gets_an_end() {
    let mut bench = bench();
    bench.limited_part(0, vec![1; 2 * FULL], false, true, lifetime(100)).expect("sends");
    assert_eq!(bench.tsns(), [[0]]);
    bench.sack(1, &[]);
    assert_eq!(bench.sender.poll_timeout(), Some(bench.now + ms(100)));
    assert_eq!(bench.run_to_deadline(), (ms(100), None));
    bench.check_timers();
    assert_eq!(bench.packets(), [[]]);
    assert_eq!(bench.forwards(), [forwarded(1, &[(0, 0)])]);
    bench.part(0, *b"too late", true).expect("is accepted");
    bench.send(0, *b"next");
    bench.sack(2, &[]);
    assert_eq!(bench.packets(), [[whole(1002, 0, 1, b"next")]]);
    assert_eq!(abandoned(&bench), (1, FULL as u64 + 8));
}

/// Parts of a message that was given up take no room and open no other message.
#[test]
fn later_parts_are_accepted_and_dropped() {
    let mut bench = Bench::agreeing_on(SenderConfig { buffer_limit: 5000, ..wide() }, LIMITED);
    bench.limited_part(0, vec![1; 3000], false, true, once()).expect("sends");
    bench.sender.set_max_message_size(Some(9000));
    bench.packets();
    time_out(&mut bench);
    bench.packets();
    for _ in 0..2 {
        bench.part(0, vec![1; 3000], false).expect("is accepted");
    }
    assert_eq!(bench.sender.undelivered(), 0);
    assert_eq!(bench.part(0, *b"x", true), Err(SendError::TooLarge { len: 9001, max: 9000 }));
    bench.send(1, vec![1; 5000]);
    bench.part(0, [], true).expect("ends it");
    assert_eq!(bench.part(0, [], true), Err(SendError::Empty));
    assert_eq!(abandoned(&bench), (1, 9000));
}

/// RFC 3758 §3.5 C2: over what was given up and what arrived in between, not over what is needed.
#[test]
fn the_point_stops_at_what_the_peer_needs() {
    let mut bench = bench();
    // Given up: 0, 2, 3, 6. Arrived: 1, 4, 7. Needed: 5.
    for n in 0..8 {
        bench.limited(
            n,
            vec![1; FULL],
            if [0, 2, 3, 6].contains(&n) { once() } else { Reliability::Reliable },
        );
    }
    bench.packets();
    bench.sack(0, &[(1, 1), (4, 4), (7, 7)]);
    time_out(&mut bench);
    assert_eq!(bench.tsns(), [vec![], vec![5]]);
    assert_eq!(bench.forwards(), [forwarded(3, &[(0, 0), (2, 0), (3, 0)])]);
    bench.sack(6, &[(7, 7)]);
    assert_eq!(bench.packets(), [[]]);
    assert_eq!(bench.forwards(), [forwarded(6, &[(6, 0)])]);
    bench.sack(8, &[]);
    assert!(bench.sender.is_idle());
}

/// The peer takes back what the point had passed: it stops there again.
#[test]
fn the_point_goes_back_when_the_peer_reneges() {
    let mut bench = bench();
    for stream in 0..4 {
        bench.limited(stream, vec![1; FULL], if stream == 1 { Reliability::Reliable } else { once() });
    }
    bench.packets();
    bench.sack(0, &[(1, 1)]);
    time_out(&mut bench);
    assert_eq!(bench.packets(), [[]]);
    assert_eq!(bench.forwards(), [forwarded(3, &[(0, 0), (2, 0), (3, 0)])]);
    bench.sack(0, &[]);
    assert_eq!(bench.packet(), None);
    time_out(&mut bench);
    assert_eq!(bench.tsns(), [vec![], vec![1]]);
    assert_eq!(bench.forwards(), [forwarded(0, &[(0, 0)])]);
    bench.sack(2, &[]);
    assert_eq!(bench.packets(), [[]]);
    assert_eq!(bench.forwards(), [forwarded(3, &[(2, 0), (3, 0)])]);
}

/// RFC 3758 §3.5 C4: "only the highest abandoned stream sequence number is reported", of ordered messages, across its wrap.
#[test]
fn each_ordered_stream_is_named_once() {
    let mut bench = bench();
    bench.send(4, *b"x");
    bench.packets();
    bench.sack(1, &[]);
    bench.sender.queue.set_next_ssn(StreamId(4), 65_534);
    for _ in 0..3 {
        bench.limited(4, *b"x", once());
    }
    bench.limited_part(5, *b"x", true, false, once()).expect("sends");
    bench.limited(6, *b"x", once());
    bench.packets();
    time_out(&mut bench);
    assert_eq!(bench.packets(), [[]]);
    assert_eq!(bench.forwards(), [forwarded(5, &[(4, 0), (6, 0)])]);
}

/// The same across the wrap of the TSN, with messages of several fragments.
#[test]
fn the_point_wraps() {
    for before in 0..5 {
        let terms = Terms { initial_tsn: Tsn(u32::MAX - before), ..LIMITED };
        let mut bench = Bench::agreeing_on(wide(), terms);
        bench.limited(0, vec![1; 3 * FULL], once());
        bench.packets();
        bench.sack(1, &[(2, 2)]);
        time_out(&mut bench);
        assert_eq!(bench.packets(), [[]]);
        assert_eq!(bench.forwards(), [forwarded(2, &[(0, 0)])]);
        bench.sack(3, &[]);
        assert!(bench.sender.is_idle());
    }
}

/// RFC 3758 §3.5 C4: "lower the Advanced.Peer.Ack.Point to the last TSN that will fit in a single MTU."
#[test]
fn two_thousand_streams_are_told_packet_by_packet() {
    let mut bench = Bench::agreeing_on(wide(), Terms { streams: 2000, ..LIMITED });
    for stream in 0..2000 {
        bench.limited(stream, *b"x", once());
    }
    bench.packets();
    time_out(&mut bench);
    assert_eq!(abandoned(&bench), (2000, 2000));
    let mut told = 0;
    let mut sizes = Vec::new();
    while !bench.sender.is_idle() {
        assert_eq!(bench.packets(), [[]], "one at a time");
        assert_eq!(bench.packet(), None);
        let forwards = bench.forwards();
        let streams: Vec<_> = forwards[0].skipped.iter().map(|skipped| u32::from(skipped.0)).collect();
        assert_eq!(streams, (told..=forwards[0].point).collect::<Vec<_>>());
        told = forwards[0].point + 1;
        sizes.push(streams.len());
        bench.sack(told, &[]);
    }
    assert_eq!(sizes, [292, 292, 292, 292, 292, 292, 248]);
}

/// What does not fit behind a SACK gets a packet of its own.
#[test]
fn a_long_list_waits_for_a_packet_of_its_own() {
    let mut bench = bench();
    for stream in 0..50 {
        bench.limited(stream, *b"x", once());
    }
    bench.packets();
    time_out(&mut bench);
    let header = Header { source_port: 1, destination_port: 2, verification_tag: 3 };
    let mut buffer = bytes::BytesMut::new();
    let mut writer = crate::wire::PacketWriter::new(&mut buffer, header, 200);
    assert!(writer.push(&crate::wire::CookieAck));
    assert!(!bench.sender.write_forward_tsn(bench.now, &mut writer));
    assert!(bench.sender.wants_to_send(bench.now));
    writer.finish(crate::wire::Checksum::Zero);
    assert_eq!(bench.packets(), [[]]);
    assert_eq!(bench.forwards()[0].point, 49);
}

/// RFC 3758 §3.5 F2: not in answer to every SACK, but a round trip after the last one; and after T3 (A5).
#[test]
fn what_was_told_is_told_again_if_it_seems_lost() {
    let mut bench = bench();
    bench.send(9, *b"x");
    bench.packets();
    bench.now += ms(100);
    bench.sack(1, &[]);
    for stream in 0..4 {
        bench.limited(stream, vec![1; FULL], if stream == 0 { once() } else { Reliability::Reliable });
    }
    bench.packets();
    for end in 1..=3 {
        bench.sack(1, &[(2, 1 + end)]);
    }
    assert_eq!(bench.packets(), [[]]);
    assert_eq!(bench.forwards().len(), 1);
    for _ in 0..20 {
        bench.now += ms(4);
        bench.sack(1, &[(2, 4)]);
        assert_eq!(bench.packet(), None);
    }
    bench.now += ms(20);
    bench.sack(1, &[(2, 4)]);
    assert_eq!(bench.packets(), [[]]);
    bench.sack(1, &[(2, 4)]);
    assert_eq!(bench.packet(), None);
    time_out(&mut bench);
    assert_eq!(bench.packets(), [[]]);
    assert_eq!(bench.forwards(), [forwarded(1, &[(0, 0)]), forwarded(1, &[(0, 0)])]);
    bench.sack(5, &[]);
    assert!(bench.sender.is_idle());
}

/// RFC 3758 §3.5 C5: T3 watches it; RFC 7496 §3.1: "using this policy does not affect the handling of the thresholds
/// 'Association.Max.Retrans'".
#[test]
fn t3_runs_until_the_point_is_acknowledged() {
    let mut bench = bench();
    bench.limited(0, *b"x", once());
    bench.packets();
    let mut waits = Vec::new();
    for _ in 0..4 {
        let (wait, expired) = bench.run_to_deadline();
        assert_eq!(expired.map(|expired| expired.counts_as_error), Some(true));
        assert_eq!(bench.packets(), [[]]);
        waits.push(wait.as_millis());
    }
    assert_eq!(waits, [500, 1000, 2000, 4000]);
    assert_eq!(bench.sender.stats().forward_tsns_sent, 4);
    bench.sack(1, &[]);
    assert_eq!(bench.sender.poll_timeout(), None);
}

/// RFC 3758 §3.5 F2: "The data sender SHOULD always attempt to bundle an outgoing FORWARD TSN with outbound DATA chunks".
/// Neither cwnd nor the burst limit holds it back.
#[test]
fn it_is_bundled_and_not_held_back() {
    let mut bench =
        Bench::agreeing_on(SenderConfig { max_burst: Some(1), ..SenderConfig::default() }, LIMITED);
    bench.limited(0, *b"x", once());
    bench.packets();
    time_out(&mut bench);
    bench.send(1, vec![1; FULL]);
    bench.send(1, *b"more");
    assert_eq!(bench.tsns(), [vec![], vec![1]], "no room beside a full chunk");
    let mut bench = Bench::agreeing_on(SenderConfig::default(), LIMITED);
    bench.limited(0, *b"x", once());
    bench.packets();
    time_out(&mut bench);
    bench.send(1, *b"beside");
    assert_eq!(bench.tsns(), [[1]]);
    assert_eq!(bench.forwards(), [forwarded(0, &[(0, 0)])]);
}

/// RFC 9260 §9.2: a shutdown waits for what is outstanding, and what was given up is so until the peer has passed it.
#[test]
fn a_shutdown_completes() {
    let mut bench = bench();
    bench.sender.set_draining(true);
    bench.limited(0, vec![1; 3 * FULL], once());
    bench.packets();
    time_out(&mut bench);
    assert!(!bench.sender.is_idle());
    assert_eq!(bench.packets(), [[]]);
    let outcome = bench.sender.handle_cumulative(bench.now, Tsn(INITIAL + 2));
    let expected = Acked { newly_acked_bytes: 0, advanced: true, rtt: None };
    assert_eq!(outcome, SackOutcome::Processed(expected));
    assert!(bench.sender.is_idle());
    assert_eq!(bench.sender.poll_timeout(), None);
}

/// RFC 6525 §5.1.2: the last TSN of the reset is behind all that was given up, and the stream begins at 0 again.
#[test]
fn a_stream_with_messages_given_up_can_be_reset() {
    let mut bench = bench();
    bench.limited_part(7, vec![1; 3 * FULL], false, true, once()).expect("sends");
    bench.packets();
    time_out(&mut bench);
    assert_eq!(bench.sender.buffered_amount(StreamId(7)), 0);
    bench.part(7, [], true).expect("ends it");
    bench.sender.begin_reset(bench.now, &[StreamId(7)]);
    assert_eq!(bench.sender.last_assigned_tsn(), Tsn(INITIAL + 2));
    assert_eq!(bench.packets(), [[]]);
    assert_eq!(bench.forwards(), [forwarded(2, &[(7, 0)])]);
    bench.sack(3, &[]);
    assert!(bench.sender.queue.is_drained(StreamId(7)));
    bench.sender.reset_stream(bench.now, StreamId(7));
    bench.send(7, *b"anew");
    assert_eq!(bench.packets(), [[prompt(whole(1003, 7, 0, b"anew"))]]);
}

/// RFC 6525 §5.2.2: the peer may have performed a reset when what was given up before it is told. It is told no further than
/// the reset, so that it takes nothing of that for the stream as it is since.
#[test]
fn no_forward_tsn_leads_across_a_reset() {
    let mut bench = bench();
    bench.limited(7, *b"old", once());
    bench.limited(3, *b"other", once());
    bench.packets();
    assert_eq!(bench.sender.begin_reset(bench.now, &[StreamId(7)]), Tsn(INITIAL + 1));
    bench.limited(3, *b"later", once());
    bench.packets();
    time_out(&mut bench);
    assert_eq!(bench.packets(), [[]]);
    assert_eq!(bench.forwards(), [forwarded(1, &[(3, 0), (7, 0)])]);
    // The answer overtakes the SACK.
    bench.sender.reset_stream(bench.now, StreamId(7));
    bench.limited(7, *b"new", once());
    bench.packets();
    time_out(&mut bench);
    assert_eq!(bench.packets(), [[]]);
    assert_eq!(bench.forwards(), [forwarded(1, &[(3, 0), (7, 0)])]);
    bench.sack(2, &[]);
    assert_eq!(bench.packets(), [[]]);
    assert_eq!(bench.forwards(), [forwarded(3, &[(3, 1), (7, 0)])]);
    bench.sack(4, &[]);
    assert!(bench.sender.is_idle());
}

/// The same with two resets, of which the peer has acknowledged nothing yet.
#[test]
fn each_reset_is_told_of_by_itself() {
    let mut bench = bench();
    for stream in [1, 2, 3] {
        bench.limited(stream, *b"x", once());
        bench.packets();
        bench.sender.begin_reset(bench.now, &[StreamId(stream)]);
        bench.sender.reset_stream(bench.now, StreamId(stream));
    }
    time_out(&mut bench);
    for (tsn, stream) in [(0, 1), (1, 2), (2, 3)] {
        assert_eq!(bench.packets(), [[]]);
        assert_eq!(bench.forwards(), [forwarded(tsn, &[(stream, 0)])]);
        bench.sack(tsn + 1, &[]);
    }
    assert!(bench.sender.is_idle());
}

/// Who drops the queue of a stream does not want the rest of the message that is on its way, whatever its reliability.
#[test]
fn dropping_gives_up_the_message_on_its_way() {
    let mut bench = in_flight(4);
    bench.send(0, vec![1; 9 * FULL]);
    bench.packets();
    let buffered = bench.sender.buffered_amount(StreamId(0));
    assert_eq!(bench.sender.drop_queued(bench.now, StreamId(0)), 0, "without partial reliability it goes on");
    assert_eq!(bench.sender.buffered_amount(StreamId(0)), buffered);

    let mut config = wide();
    config.congestion.initial_window = crate::congestion::InitialWindow::Packets(2);
    let mut bench = Bench::agreeing_on(config, LIMITED);
    bench.send(0, vec![1; 9 * FULL]);
    bench.limited(0, *b"timed", lifetime(9));
    bench.send(1, *b"other");
    assert_eq!(bench.tsns(), [[0], [1]]);
    assert_eq!(bench.sender.drop_queued(bench.now, StreamId(0)), 7 * FULL + 5);
    assert_eq!(bench.sender.buffered_amount(StreamId(0)), 0);
    assert_eq!(bench.tsns(), [[3]]);
    assert_eq!(bench.forwards(), [forwarded(2, &[(0, 0)])]);
    bench.sack(4, &[]);
    assert!(bench.sender.is_idle());
    assert_eq!(bench.sender.poll_timeout(), None, "nothing is left to expire");
}

/// Who will not send the last part of a message takes it back: what is queued of it, and what has left, if the peer can be
/// told.
#[test]
fn a_message_without_its_last_part_is_given_up() {
    let mut bench = in_flight(4);
    bench.part(0, vec![1; 9 * FULL], false).expect("begins it");
    bench.packets();
    let buffered = bench.sender.buffered_amount(StreamId(0));
    assert!(!bench.sender.give_up_open(bench.now, StreamId(0)), "nobody could be told");
    assert_eq!(bench.sender.buffered_amount(StreamId(0)), buffered);
    bench.part(0, [], true).expect("it waits still");

    let mut config = wide();
    config.congestion.initial_window = crate::congestion::InitialWindow::Packets(2);
    let mut bench = Bench::agreeing_on(config, LIMITED);
    bench.part(0, vec![1; 9 * FULL], false).expect("begins it");
    bench.send(1, *b"other");
    assert_eq!(bench.tsns(), [[0], [1]]);
    assert!(bench.sender.give_up_open(bench.now, StreamId(0)));
    assert_eq!((bench.sender.buffered_amount(StreamId(0)), abandoned(&bench)), (0, (1, 9 * FULL as u64)));
    bench.send(0, *b"next");
    assert_eq!(bench.tsns(), [[3, 4]]);
    assert_eq!(bench.forwards(), [forwarded(2, &[(0, 0)])]);
    bench.sack(5, &[]);
    assert!(bench.sender.is_idle());
    assert!(bench.sender.give_up_open(bench.now, StreamId(0)), "there is none");
}

/// What was accepted before it stays, and nothing needs to be told.
#[test]
fn a_message_without_its_last_part_that_has_not_begun_is_dropped() {
    let mut bench = in_flight(4);
    bench.send(0, vec![1; 9 * FULL]);
    bench.packets();
    let buffered = bench.sender.buffered_amount(StreamId(0));
    for _ in 0..3 {
        bench.part(0, vec![2; 3 * FULL], false).expect("begins it, or goes on");
    }
    assert!(bench.sender.give_up_open(bench.now, StreamId(0)));
    assert_eq!(bench.sender.buffered_amount(StreamId(0)), buffered);
    assert_eq!(abandoned(&bench), (1, 9 * FULL as u64));
    bench.send(0, *b"next");
    assert_eq!(bench.sender.buffered_amount(StreamId(0)), buffered + 4);
}

/// A probe of a closed window that may not be repeated: the next message is the next probe.
#[test]
fn a_probe_may_be_given_up() {
    let mut bench = bench();
    bench.a_rwnd = 0;
    bench.sack(0, &[]);
    for n in 0..3 {
        bench.limited(0, vec![n; FULL], once());
    }
    for n in 0..3 {
        assert_eq!(bench.run_to_deadline(), (ms(500), None));
        assert_eq!(bench.tsns(), [[n]]);
        bench.sack(n, &[]);
        let (wait, expired) = bench.run_to_deadline();
        assert_eq!((wait, expired.map(|expired| expired.counts_as_error)), (ms(1000), Some(false)));
        assert_eq!(bench.packets(), [[]]);
        bench.sack(n + 1, &[]);
    }
    assert_eq!(abandoned(&bench), (3, 3 * FULL as u64));
    assert!(bench.sender.is_idle());
}

/// RFC 9260 §6.1 A: "the unacknowledged window probes SHOULD NOT increment the error counter": what was given up in front
/// of the probe needs no room.
#[test]
fn a_probe_behind_what_was_given_up_is_one() {
    let mut bench = bench();
    bench.limited(0, vec![1; FULL], once());
    bench.send(1, vec![1; FULL]);
    bench.packets();
    time_out(&mut bench);
    assert_eq!(bench.tsns(), [vec![], vec![1]]);
    let cwnd = bench.sender.stats().cwnd;
    bench.a_rwnd = 0;
    for _ in 0..3 {
        bench.sack(0, &[]);
        bench.packets();
        assert_eq!(bench.run_to_deadline().1.map(|expired| expired.counts_as_error), Some(false));
        assert_eq!(bench.tsns(), [vec![], vec![1]]);
    }
    assert_eq!(bench.sender.stats().cwnd, cwnd);
    // It opens: the probe was dropped, so it leaves again at once.
    bench.a_rwnd = WINDOW;
    bench.sack(1, &[]);
    assert_eq!(bench.tsns(), [[1]]);
}

/// RFC 9260 §6.3.1: no round trip is measured with what was given up.
#[test]
fn what_was_given_up_measures_nothing() {
    let mut bench = bench();
    bench.limited(0, vec![1; FULL], lifetime(10));
    bench.packets();
    for _ in 0..5 {
        bench.send(1, vec![1; FULL]);
    }
    bench.packets();
    bench.now += ms(80);
    for end in 1..=3 {
        bench.sack(0, &[(1, end)]);
    }
    assert_eq!(abandoned(&bench), (1, FULL as u64));
    assert_eq!(bench.sack(6, &[]).rtt, None);
    bench.send(1, vec![1; FULL]);
    bench.packets();
    bench.now += ms(80);
    assert_eq!(bench.sack(7, &[]).rtt, Some(ms(80)));
}

#[test]
fn a_restart_forgets_what_was_given_up() {
    let mut bench = bench();
    bench.limited(0, *b"x", once());
    bench.packets();
    time_out(&mut bench);
    bench.limited(0, *b"timed", lifetime(9));
    bench.sender.restart(bench.now, &TERMS);
    assert_eq!((bench.sender.poll_timeout(), bench.sender.wants_to_send(bench.now)), (None, false));
    assert_eq!(abandoned(&bench), (1, 1), "counters go on");
    assert_eq!(bench.sender.stats().bytes_lost, 5);
}
