//! Handshakes over channels that lose, repeat and reorder.

use super::hostile::forged;
use super::*;
use crate::record::HEADER_LEN;

/// Each pattern says which of the first six flights are lost. All complete by our own resends alone: the test's clock is
/// virtual, and OpenSSL's real one never gets to a second.
#[test]
fn every_loss_pattern_of_six_flights_completes() {
    for pattern in 0_u32..64 {
        let mut pair = Pair::new();
        let start = (pair.now, Instant::now());
        let mut flight = 0;
        for _ in 0..50 {
            pair.run_with(|datagrams| {
                if datagrams.is_empty() {
                    return datagrams;
                }
                let lost = pattern >> flight & 1 == 1 && flight < 6;
                flight += 1;
                if lost { Vec::new() } else { datagrams }
            });
            if pair.states() == (State::Connected, State::Connected) {
                break;
            }
            assert!(pair.fire_next());
        }
        assert_eq!(pair.states(), (State::Connected, State::Connected), "pattern {pattern:06b}");
        assert!(pair.now - start.0 < Duration::from_secs(20), "pattern {pattern:06b}");
        assert!(start.1.elapsed() < Duration::from_secs(1), "pattern {pattern:06b}: too slow to tell");
        pair.exchange();
        let resent = pair.client.stats().flights_resent + pair.server.stats().flights_resent;
        assert_eq!(resent > 0, pattern & 0b1111 != 0, "pattern {pattern:06b}: {resent}");
    }
}

#[test]
fn duplicates_do_no_harm() {
    let mut pair = Pair::new();
    pair.run_with(|datagrams| datagrams.iter().cloned().chain(datagrams.iter().cloned()).collect());
    assert_eq!(pair.states(), (State::Connected, State::Connected));
    assert_eq!(
        (&pair.client.events[..], &pair.server.events[..]),
        (&[Event::Connected][..], &[Event::Connected][..])
    );
    pair.exchange();
}

/// Small datagrams: every flight is in several, and they come in any order.
#[test]
fn fragmented_and_reordered_handshake_completes() {
    for order in 0..4 {
        let mut pair = Pair::with(Config::default().mtu(300), |_| {});
        let mut largest_burst = 0;
        let mut rounds = 0;
        while pair.states() != (State::Connected, State::Connected) {
            pair.run_with(|mut datagrams| {
                largest_burst = largest_burst.max(datagrams.len());
                assert!(datagrams.iter().all(|datagram| datagram.len() <= 300));
                let len = datagrams.len();
                match order {
                    0 => {}
                    1 => datagrams.reverse(),
                    2 => datagrams.rotate_left(len / 2),
                    _ => datagrams.chunks_mut(2).for_each(<[_]>::reverse),
                }
                datagrams
            });
            rounds += 1;
            assert!(rounds < 20 && pair.fire_next(), "order {order}");
        }
        assert!(largest_burst >= 3, "{largest_burst}");
        pair.exchange();
    }
}

/// Every datagram of the handshake is lost alone; with small datagrams that is the middle of flights too.
#[test]
fn loss_of_any_one_datagram_is_repaired() {
    for lost in 0..12 {
        let mut pair = Pair::with(Config::default().mtu(300), |_| {});
        let mut count = 0;
        for _ in 0..20 {
            pair.run_with(|datagrams| {
                let kept = datagrams.into_iter().filter(|_| {
                    count += 1;
                    count - 1 != lost
                });
                kept.collect()
            });
            if pair.states() == (State::Connected, State::Connected) {
                break;
            }
            assert!(pair.fire_next());
        }
        assert_eq!(pair.states(), (State::Connected, State::Connected), "datagram {lost}");
        pair.exchange();
    }
}

/// DESIGN §5: twice the RTT, at least 100 ms, 250 ms when unknown, doubling.
#[test]
fn resend_schedule_follows_the_round_trip_time() {
    let mut pair = Pair::new();
    let start = pair.now;
    let client = &mut pair.client.session;
    assert_eq!(client.poll_timeout(), Some(start + ms(250)));

    let mut deadlines = Vec::new();
    for _ in 0..4 {
        let due = client.poll_timeout().unwrap();
        deadlines.push(due - start);
        client.handle_timeout(due - ms(1));
        assert_eq!(client.poll_timeout(), Some(due));
        client.handle_timeout(due);
    }
    assert_eq!(deadlines, [ms(250), ms(750), ms(1750), ms(3750)]);

    for (rtt, expected) in [(ms(10), ms(100)), (ms(300), ms(600))] {
        let mut pair = Pair::new();
        pair.server.session.set_round_trip_time(rtt);
        for datagram in pair.client.take_sent(pair.now) {
            pair.server.receive(pair.now, &datagram);
        }
        assert_eq!(pair.server.session.poll_timeout(), Some(pair.now + expected));
    }
}

/// The server's last flight stays armed until data comes, or 60 s.
#[test]
fn last_flight_is_kept_until_data_comes() {
    let mut pair = Pair::connected();
    assert_eq!(pair.client.session.poll_timeout(), None);
    assert_eq!(pair.server.session.poll_timeout(), Some(pair.now + ms(250)));
    let start = pair.now;
    while pair.fire_next() {
        for datagram in pair.server.take_sent(pair.now) {
            pair.client.receive(pair.now, &datagram);
        }
        assert_eq!(pair.client.take_sent(pair.now), Vec::<Vec<u8>>::new(), "the client is done");
    }
    assert_eq!(pair.now - start, Duration::from_secs(60));
    assert_eq!(pair.server.stats().flights_resent, 7);
    pair.exchange();
}

/// RFC 6347 §4.2.4: the server "MUST respond to a retransmit of the peer's last flight with a retransmit of the last
/// flight" — once for all its datagrams.
#[test]
fn repeated_flight_is_answered_once() {
    let mut pair = Pair::with(Config::default().mtu(300), |_| {});
    let mut last = Vec::new();
    while pair.server.session.state() != State::Connected {
        for datagram in pair.server.take_sent(pair.now) {
            pair.client.receive(pair.now, &datagram);
        }
        last = pair.client.take_sent(pair.now);
        for datagram in &last {
            pair.server.receive(pair.now, datagram);
        }
    }
    let answer = pair.server.take_sent(pair.now);
    pair.now += ms(200);
    assert!(last.len() > 1, "{}", last.len());
    for datagram in &last {
        pair.server.receive(pair.now, datagram);
    }
    assert_eq!(pair.server.take_sent(pair.now), answer);
    assert_eq!(pair.server.stats().flights_resent, 1);
}

/// A client that made its Finished anew is answered by OpenSSL, in new records too; our own timer goes on with its copy.
#[test]
fn fresh_finished_is_answered_and_the_schedule_goes_on() {
    let mut pair = Pair::new();
    let mut flight = Vec::new();
    pair.run_with(|datagrams| {
        if !datagrams.is_empty() {
            flight = datagrams.clone();
        }
        datagrams
    });
    let finished = [&[20, 0, 0, 12, 0, 4, 0, 0, 0, 0, 0, 12][..], &[7; 12]].concat();
    let fresh = forged(&pair.client.session, 22, 1, &finished);
    pair.server.receive(pair.now, &fresh);
    let answer = pair.server.take_sent(pair.now);
    let contents: Vec<u8> = answer.iter().map(|datagram| datagram[0]).collect();
    assert_eq!(contents, [20, 22], "ChangeCipherSpec and Finished");
    assert_ne!(answer.concat(), flight.concat());
    assert!(pair.fire_next());
    assert_eq!(pair.server.take_sent(pair.now), flight);
}

/// In real time: when byte-for-byte copies cannot help, OpenSSL's own timer makes fresh records after a second.
#[test]
fn backstop_makes_fresh_records() {
    let mut pair = Pair::new();
    let first = pair.client.take_sent(pair.now);
    std::thread::sleep(ms(1100));
    assert!(pair.fire_next());
    let fresh = pair.client.take_sent(pair.now);
    assert_eq!((fresh.len(), pair.client.stats().flights_resent), (first.len(), 1));
    // The same message in a later record.
    assert_eq!(fresh[0][HEADER_LEN..], first[0][HEADER_LEN..]);
    assert!(fresh[0][..HEADER_LEN] > first[0][..HEADER_LEN]);
    assert_eq!(pair.client.session.poll_timeout(), Some(pair.now + ms(500)), "the schedule goes on");
}

/// RFC 6347 §4.1.1.1: a path that does not take whole flights takes their records, one by one.
#[test]
fn narrow_path_is_met_with_smaller_datagrams() {
    let mut pair = Pair::new();
    let mut largest = 0;
    let mut fired = 0;
    while pair.states() != (State::Connected, State::Connected) {
        pair.run_with(|datagrams| {
            largest = largest.max(datagrams.iter().map(Vec::len).max().unwrap_or(0));
            datagrams.into_iter().filter(|datagram| datagram.len() <= 544).collect()
        });
        fired += 1;
        assert!(fired < 20 && pair.fire_next());
    }
    assert!(largest > 544, "{largest}");
    // The client, too, has noticed that no answer comes.
    assert!(pair.server.session.is_path_narrow() && pair.client.session.is_path_narrow());
    pair.exchange();
}

/// The same when the socket says so: the first resend is small already.
#[test]
fn refused_datagram_makes_the_next_ones_small() {
    let mut pair = Pair::new();
    let hello = pair.client.take_sent(pair.now);
    for datagram in hello {
        pair.server.receive(pair.now, &datagram);
    }
    let whole = pair.server.take_sent(pair.now);
    assert!(whole.iter().any(|datagram| datagram.len() > 544));
    assert!(!pair.server.session.is_path_narrow());
    pair.server.session.assume_narrow_path();
    assert!(pair.server.session.is_path_narrow());
    assert!(pair.fire_next());
    pair.client.sent.clear();
    let again = pair.server.take_sent(pair.now);
    assert!(again.iter().all(|datagram| datagram.len() <= 544));
    assert_eq!(again.concat(), whole.concat());
}
