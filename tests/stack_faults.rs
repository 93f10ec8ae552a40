//! What a network can do to two whole peers: it goes on, or ends on both sides in bounded time for the right reason, and what
//! was accepted and not delivered is told.

#[path = "support/stack.rs"]
mod stack;

use bytes::Bytes;
use stack::*;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use straits_peer::ice::FailureReason;
use straits_peer::sctp::{self, ChannelEvent, ChannelId, MessageKind};
use straits_peer::{CloseReason, Event, Finding, PeerState, Stage, dtls};
use straits_sim::{Conditions, Link, Loss, Simulation as _, Verdict, seed};

const SECOND: Duration = Duration::from_secs(1);
/// What is left for UDP of an IPv6 packet of 1280 bytes.
const OF_1280: usize = 1280 - 40 - 8;
/// What is left for UDP of an IPv4 packet of 600 bytes.
const OF_600: usize = 600 - 20 - 8;
/// RFC 7675 §5.1: consent expires after 30 s; 15 s in [`ice`](straits_peer::ice), and a second for its last check.
const GONE: Duration = Duration::from_secs(16);

fn usual() -> Conditions {
    Conditions { delay: Duration::from_millis(20), ..Conditions::default() }
}

/// Texts that tell which they are, of very different lengths.
fn texts(count: usize) -> Vec<String> {
    (0..count).map(|n| format!("{n}:{}", "x".repeat(n * 137 % 6000))).collect()
}

/// Sends them both ways, and waits until all have arrived, unharmed and in order.
fn exchange(net: &mut Net, ours: ChannelId, theirs: ChannelId, within: Duration) {
    let sent = texts(100);
    let now = net.now();
    net.a.received.clear();
    net.b.received.clear();
    for text in &sent {
        net.a.send(now, ours, text);
        net.b.send(now, theirs, text);
    }
    net.run_until(within, |net| net.a.received.len() >= sent.len() && net.b.received.len() >= sent.len());
    assert!(net.a.texts() == sent && net.b.texts() == sent);
    assert_eq!((net.a.peer.state(), net.b.peer.state()), (PeerState::Connected, PeerState::Connected));
}

/// Sends so much to `b`, in messages of up to 100,000 bytes.
fn send(net: &mut Net, ours: ChannelId, len: usize) {
    let now = net.a.time(net.now());
    for message in vec![7; len].chunks(100_000) {
        let message = Bytes::copy_from_slice(message);
        net.a.peer.channel(ours).unwrap().send(now, MessageKind::Binary, message).unwrap();
    }
}

/// How much `b` has.
fn arrived(net: &Net) -> usize {
    net.b.received.iter().map(|(_, _, data)| data.len()).sum()
}

/// The end that silence makes.
fn assert_gone(stack: &Stack, undelivered: usize) {
    let explanation = stack.peer.explain();
    assert_eq!(stack.peer.state(), PeerState::Failed, "{explanation}");
    assert_eq!(stack.peer.close_reason(), Some(&CloseReason::Ice(FailureReason::ConsentExpired)));
    assert_eq!((explanation.stage(), &explanation.finding), (Stage::Ice, &Finding::PeerGone));
    assert_eq!(explanation.undelivered, undelivered);
    let told = explanation.to_string().contains(&format!("not delivered: {undelivered} bytes"));
    assert_eq!(told, undelivered > 0, "{explanation}");
}

/// Shorter than consent lasts: all arrives afterwards. Longer: both ends know, and what is not delivered.
#[test]
fn blackouts() {
    for millis in [500, 3000, 8000, 13_000] {
        let (mut net, ours, theirs) = connected(seed());
        send(&mut net, ours, 500_000);
        net.run_for(Duration::from_millis(20));
        net.set_blackout(true);
        net.run_for(Duration::from_millis(millis));
        net.set_blackout(false);
        net.run_until(60 * SECOND, |net| arrived(net) == 500_000);
        net.run_for(5 * SECOND);
        exchange(&mut net, ours, theirs, 60 * SECOND);
        assert_eq!(net.a.peer.stats().sctp.mtu, 1191, "after {millis} ms");
    }
    let (mut net, ours, _) = connected(seed());
    net.set_blackout(true);
    send(&mut net, ours, 5000);
    net.run_for(GONE);
    assert_gone(&net.a, 5000);
    assert_gone(&net.b, 0);
}

/// RFC 7675 §5.1: consent is of a round trip, so loss of one direction takes it from both.
#[test]
fn loss_of_one_direction() {
    for is_ours in [true, false] {
        let (mut net, ours, _) = connected(seed());
        net.run_for(SECOND);
        let link = if is_ours { &mut net.a_to_b } else { &mut net.b_to_a };
        link.conditions.blackout = true;
        send(&mut net, ours, 3000);
        net.run_for(GONE);
        assert_gone(&net.a, 3000);
        assert_gone(&net.b, 0);
        // What arrived counts as delivered only if that is known here.
        assert_eq!(arrived(&net), if is_ours { 0 } else { 3000 });
    }
}

/// The set-up too.
#[test]
fn thirty_percent_loss() {
    let mut net = strangers(seed());
    net.set_conditions(Conditions { loss: Loss::Random(0.3), ..usual() });
    let now = net.now();
    let ours = net.a.peer.open_channel(now, labelled("lossy")).unwrap();
    negotiate(&mut net);
    net.run_until(30 * SECOND, |net| !net.b.incoming().is_empty());
    let theirs = net.b.incoming()[0];
    exchange(&mut net, ours, theirs, 600 * SECOND);
}

/// Flipped bits are like loss: nothing wrong is delivered.
#[test]
fn corruption() {
    let (mut net, ours, theirs) = connected(seed());
    net.set_conditions(Conditions { corrupt: 0.2, ..usual() });
    exchange(&mut net, ours, theirs, 600 * SECOND);
    assert!(net.a_to_b.stats().corrupted > 0 && net.b_to_a.stats().corrupted > 0);
    assert!(net.a.peer.stats().dtls.records_dropped > 0 && net.b.peer.stats().dtls.records_dropped > 0);
}

/// Longer than every timer of a round trip.
#[test]
fn reordering_over_a_second() {
    let (mut net, ours, theirs) = connected(seed());
    net.set_conditions(Conditions { reorder: 0.2, reorder_by: Duration::from_millis(1500), ..usual() });
    exchange(&mut net, ours, theirs, 600 * SECOND);
}

/// Every path of IPv6 carries that: no packet is larger.
#[test]
fn mtu_of_1280_in_a_transfer() {
    let (mut net, ours, theirs) = connected(seed());
    send(&mut net, ours, 2_000_000);
    net.run_for(Duration::from_millis(30));
    for link in [&mut net.a_to_b, &mut net.b_to_a] {
        link.conditions.mtu = Some(OF_1280);
    }
    let retransmissions = net.a.peer.stats().sctp.retransmissions;
    net.run_until(60 * SECOND, |net| arrived(net) == 2_000_000);
    exchange(&mut net, ours, theirs, 60 * SECOND);
    assert_eq!(net.a.peer.stats().sctp.retransmissions, retransmissions);
}

fn narrow(net: &mut Net) {
    for link in [&mut net.a_to_b, &mut net.b_to_a] {
        link.conditions.mtu = Some(OF_600);
    }
}

/// RFC 8899 §4.3: large packets are in flight and cannot be made smaller. The end, with a reason that names the path MTU.
#[test]
fn mtu_of_600_in_a_transfer() {
    let (mut net, ours, _) = connected(seed());
    send(&mut net, ours, 2_000_000);
    net.run_for(Duration::from_millis(30));
    narrow(&mut net);
    net.run_for(30 * SECOND);
    let Some(CloseReason::Sctp(reason @ sctp::CloseReason::PathMtu { packet })) = net.a.peer.close_reason()
    else {
        panic!("{}", net.a.peer.explain());
    };
    assert!((505..=1191).contains(packet));
    let explanation = net.a.peer.explain();
    assert_eq!(explanation.finding, Finding::Ended(CloseReason::Sctp(reason.clone())));
    let text = explanation.to_string();
    assert!(text.starts_with("failed, SCTP: the path MTU is too small for a packet of "), "{text}");
    assert!(text.contains("raise its MTU"), "{text}");
    // Whole messages only. The rest is told, but for what was acknowledged of one that did not become whole.
    assert_eq!(arrived(&net) % 100_000, 0);
    assert!(arrived(&net) + explanation.undelivered > 1_900_000, "{text}");
    assert!(text.contains("not delivered: "), "{text}");
    let told = sctp::CloseReason::RemoteAbort { cause: None, message: Bytes::new() };
    assert_eq!(net.b.peer.close_reason(), Some(&CloseReason::Sctp(told)));
    assert_eq!(net.b.peer.state(), PeerState::Failed);
}

/// Nothing large was in flight: what is small goes on.
#[test]
fn mtu_of_600_between_small_messages() {
    let (mut net, ours, _) = connected(seed());
    net.run_for(SECOND);
    narrow(&mut net);
    for _ in 0..100 {
        send(&mut net, ours, 300);
    }
    net.run_until(30 * SECOND, |net| arrived(net) == 30_000);
    // The packets are small by now, so large messages go on too.
    send(&mut net, ours, 100_000);
    net.run_until(30 * SECOND, |net| arrived(net) == 130_000);
}

/// The socket says that the path takes no such datagram, before anything large is in flight.
#[test]
fn mtu_of_600_told_by_the_socket() {
    let (mut net, ours, theirs) = connected(seed());
    net.run_for(SECOND);
    narrow(&mut net);
    net.a.peer.handle_too_large(1228);
    net.b.peer.handle_too_large(1228);
    exchange(&mut net, ours, theirs, 60 * SECOND);
}

/// The side whose part of the handshake is too large finds out, and its SCTP begins with small packets.
#[test]
fn mtu_of_600_from_the_start() {
    let mut net = strangers(seed());
    narrow(&mut net);
    let now = net.now();
    let ours = net.a.peer.open_channel(now, labelled("narrow")).unwrap();
    negotiate(&mut net);
    net.run_until(10 * SECOND, |net| net.a.saw(&Event::Channel(ChannelEvent::Open(ours))));
    send(&mut net, ours, 500_000);
    net.run_until(60 * SECOND, |net| arrived(net) == 500_000);
    assert_eq!(net.a.peer.stats().sctp.mtu, 504);
}

/// One side's clock jumps ahead, as after a suspend. By less than consent lasts, and it goes on; by more, and the connection
/// is given up, for want of consent, on both sides.
#[test]
fn clock_jumps_ahead() {
    for seconds in [1, 9] {
        let (mut net, ours, theirs) = connected(seed());
        send(&mut net, ours, 200_000);
        net.run_for(Duration::from_millis(20));
        net.a.clock = Clock::Ahead(seconds * SECOND);
        net.run_until(60 * SECOND, |net| arrived(net) == 200_000);
        net.run_for(5 * SECOND);
        assert_eq!(net.a.peer.state(), PeerState::Connected);
        net.a.clock = Clock::Ahead(seconds * SECOND);
        let sent = texts(50);
        let (there, here) = (net.now(), net.a.time(net.now()));
        net.a.received.clear();
        net.b.received.clear();
        for text in &sent {
            net.a.send(here, ours, text);
            net.b.send(there, theirs, text);
        }
        net.run_until(60 * SECOND, |net| {
            net.a.received.len() == sent.len() && net.b.received.len() == sent.len()
        });
        assert!(net.a.texts() == sent && net.b.texts() == sent);
    }
    for minutes in [1, 10, 60 * 24 * 365] {
        let (mut net, ours, _) = connected(seed());
        net.run_for(SECOND);
        send(&mut net, ours, 5000);
        net.a.clock = Clock::Ahead(minutes * 60 * SECOND);
        net.run_for(2 * GONE);
        let undelivered = net.a.peer.undelivered();
        assert!([0, 5000].contains(&undelivered));
        assert_gone(&net.a, undelivered);
        assert_gone(&net.b, 0);
    }
}

/// One side's clock jumps back, which no monotonic one should: what it waits for comes later by so much, and nothing else is
/// harmed.
#[test]
fn clock_jumps_back() {
    for millis in [1, 500, 3000, 9000] {
        let (mut net, ours, theirs) = connected(seed());
        net.run_for(10 * SECOND);
        send(&mut net, ours, 200_000);
        net.run_for(Duration::from_millis(20));
        net.a.clock = Clock::Behind(Duration::from_millis(millis));
        // Both ways, so that what was sent before the jump is acknowledged, and asked for, behind it.
        let sent = texts(50);
        let (there, here) = (net.now(), net.a.time(net.now()));
        for text in &sent {
            net.a.send(here, ours, text);
            net.b.send(there, theirs, text);
        }
        net.run_until(60 * SECOND, |net| {
            net.a.received.len() == sent.len()
                && arrived(net) == 200_000 + sent.iter().map(String::len).sum::<usize>()
        });
        assert!(net.a.texts() == sent);
        net.run_for(60 * SECOND);
        assert_eq!((net.a.peer.state(), net.b.peer.state()), (PeerState::Connected, PeerState::Connected));
    }
}

/// No timer fires and every input comes at the same moment: what answers to inputs still does. When time goes on, so does
/// the rest.
#[test]
fn clock_stands_still() {
    let (mut net, ours, theirs) = connected(seed());
    net.run_for(SECOND);
    let stopped = net.now();
    net.a.clock = Clock::Stopped(stopped);
    for n in 0..10 {
        let now = net.now();
        net.b.send(now, theirs, &format!("{n}"));
        net.a.send(stopped, ours, &format!("{n}"));
        net.run_for(Duration::from_millis(300));
    }
    assert!(!net.a.received.is_empty());
    net.a.clock = Clock::Ahead(Duration::ZERO);
    net.run_until(30 * SECOND, |net| net.a.received.len() == 10 && net.b.received.len() == 10);
    net.run_for(5 * SECOND);
    assert_eq!((net.a.peer.state(), net.b.peer.state()), (PeerState::Connected, PeerState::Connected));
}

/// Everything is lost from the `count`-th datagram of DTLS on, connectivity checks too.
fn vanish_after(net: &mut Net, count: usize) {
    let seen = Arc::new(AtomicUsize::new(0));
    for link in [&mut net.a_to_b, &mut net.b_to_a] {
        let seen = Arc::clone(&seen);
        link.set_filter(move |_, datagram| {
            let is_dtls = matches!(datagram.payload.first(), Some(20..=63));
            let before = seen.fetch_add(usize::from(is_dtls), Ordering::Relaxed);
            if before + usize::from(is_dtls) > count { Verdict::Drop } else { Verdict::Pass }
        });
    }
}

/// Before DTLS, anywhere in its handshake, in that of SCTP, in the opening of the channel, and behind it.
#[test]
fn peer_that_vanishes_during_the_set_up() {
    let mut stages = Vec::new();
    for count in 0..16 {
        let mut net = strangers(seed());
        let now = net.now();
        let ours = net.a.peer.open_channel(now, labelled("sendChannel")).unwrap();
        vanish_after(&mut net, count);
        negotiate(&mut net);
        net.run_for(SECOND);
        stages.push(net.a.peer.explain().stage());
        let mut undelivered = 0;
        if net.a.saw(&Event::Channel(ChannelEvent::Open(ours))) {
            undelivered = 1000;
            send(&mut net, ours, undelivered);
        }
        net.run_for(2 * GONE);
        assert_gone(&net.a, undelivered);
        assert_gone(&net.b, 0);
    }
    for stage in [Stage::Dtls, Stage::Sctp, Stage::Open] {
        assert!(stages.contains(&stage), "{stages:?}");
    }
    assert!(stages.is_sorted(), "{stages:?}");
}

/// All but the first datagram is lost.
fn only_first(link: &mut Link) {
    let mut count = 0;
    link.set_filter(move |_, _| {
        count += 1;
        if count == 1 { Verdict::Pass } else { Verdict::Drop }
    });
}

/// It has answered the first check, and nothing since: no pair was nominated, and it is gone all the same.
#[test]
fn peer_that_vanishes_behind_its_first_answer() {
    let mut net = strangers(seed());
    let now = net.now();
    net.a.peer.open_channel(now, labelled("sendChannel")).unwrap();
    only_first(&mut net.b_to_a);
    negotiate(&mut net);
    net.run_for(SECOND);
    assert_eq!(net.a.peer.explain().finding, Finding::NotNominated);
    net.run_for(30 * SECOND);
    assert_eq!(net.a.peer.state(), PeerState::Failed);
    assert_eq!(net.a.peer.explain().finding, Finding::PeerGone);
}

/// The same of both at once: the one that was asked has had its first check, and is told the same.
#[test]
fn peer_that_vanishes_behind_its_first_word() {
    let mut net = strangers(seed());
    let now = net.now();
    net.a.peer.open_channel(now, labelled("sendChannel")).unwrap();
    only_first(&mut net.a_to_b);
    only_first(&mut net.b_to_a);
    negotiate(&mut net);
    net.run_for(SECOND);
    for end in [&net.a, &net.b] {
        assert_eq!(end.peer.explain().finding, Finding::NotNominated);
    }
    net.run_for(32 * SECOND);
    for end in [&net.a, &net.b] {
        assert_eq!(end.peer.state(), PeerState::Failed);
        assert_eq!(end.peer.explain().finding, Finding::PeerGone);
    }
}

/// Checks work, and the rest does not: DTLS ends by its own bound, with its own reason.
#[test]
fn only_checks_pass() {
    let mut net = strangers(seed());
    let now = net.now();
    net.a.peer.open_channel(now, labelled("sendChannel")).unwrap();
    for link in [&mut net.a_to_b, &mut net.b_to_a] {
        link.set_filter(|_, datagram| match datagram.payload.first() {
            Some(0..=3) => Verdict::Pass,
            _ => Verdict::Drop,
        });
    }
    negotiate(&mut net);
    net.run_for(32 * SECOND);
    let timeout = dtls::CloseReason::HandshakeTimeout { suspected_alert: None };
    for end in [&net.a, &net.b] {
        assert_eq!(end.peer.close_reason(), Some(&CloseReason::Dtls(timeout.clone())));
    }
    assert!(net.a.peer.explain().to_string().contains("checks pass, the handshake does not"));
}

/// While it closes gracefully and has not delivered all.
#[test]
fn peer_that_vanishes_during_a_graceful_close() {
    let (mut net, ours, _) = connected(seed());
    net.run_for(SECOND);
    send(&mut net, ours, 100_000);
    let now = net.now();
    net.a.peer.close_gracefully(now, now + 60 * SECOND);
    net.set_blackout(true);
    net.run_for(GONE);
    assert_gone(&net.a, 100_000);
    assert_gone(&net.b, 0);
}

/// Without a restart of ICE the layers above give up at some time: the reason stays the one that caused it.
#[test]
fn upper_layers_do_not_replace_the_reason() {
    let (mut net, ours, _) = connected(seed());
    net.run_for(SECOND);
    send(&mut net, ours, 5000);
    net.set_blackout(true);
    net.run_for(GONE);
    assert_gone(&net.a, 5000);
    net.run_for(600 * SECOND);
    assert_gone(&net.a, 5000);
    assert_eq!(net.a.events.last(), Some(&Event::Closed(CloseReason::Ice(FailureReason::ConsentExpired))));
}

/// While a channel closes: the reset of its stream is not answered.
#[test]
fn peer_that_vanishes_during_a_reset() {
    for has_data in [false, true] {
        let (mut net, ours, _) = connected(seed());
        net.run_for(SECOND);
        let undelivered = if has_data { 3000 } else { 0 };
        if has_data {
            send(&mut net, ours, undelivered);
        }
        let now = net.now();
        net.a.peer.channel(ours).unwrap().close(now);
        net.set_blackout(true);
        net.run_for(GONE);
        assert_gone(&net.a, undelivered);
        assert_gone(&net.b, 0);
    }
}
