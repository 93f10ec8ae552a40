//! A close loses nothing, many times over: each run has a network and keys of its own.
//!
//! `CLOSES=1000 cargo test --release -p straits-tests --test stack_close` runs it a thousand times for each loss.
#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

#[path = "support/stack.rs"]
mod stack;

use bytes::Bytes;
use stack::connected;
use std::time::Duration;
use straits_peer::Event;
use straits_peer::sctp::{ChannelCloseReason, ChannelEvent, MessageKind};
use straits_sim::{Conditions, Loss, Simulation as _, seed};

const COUNT: u32 = 10_000;
/// Of virtual time; a tenth of it is common under the worst loss.
const PATIENCE: Duration = Duration::from_secs(600);

fn message(number: u32) -> Bytes {
    number.to_be_bytes().repeat(256).into()
}

/// Sends 10,000 messages of 1 KiB and closes at once: the other side has all of them, then `closing`, then `close`.
fn run(seed: u64, loss: f64) {
    let (mut net, ours, theirs) = connected(seed);
    net.wire_mut().clear_trace();
    net.set_conditions(Conditions {
        delay: Duration::from_millis(5),
        loss: Loss::Random(loss),
        ..Conditions::default()
    });
    let now = net.now();
    let mut channel = net.a.peer.channel(ours).unwrap();
    for number in 0..COUNT {
        channel.send(now, MessageKind::Binary, message(number)).unwrap();
    }
    channel.close(now);
    let closed = Event::Channel(ChannelEvent::Closed(ours, ChannelCloseReason::LocalClose));
    net.b.events.clear();
    let gone = Event::Channel(ChannelEvent::Closed(theirs, ChannelCloseReason::RemoteClose));
    // RFC 8831 §6.7: each side's reset is answered. When it is over here, the answer that ends it there is on its way.
    net.run_until(PATIENCE, |net| net.a.saw(&closed) && net.b.saw(&gone));

    let received = net.b.received.iter().map(|(_, _, data)| data);
    assert!(received.eq((0..COUNT).map(message).collect::<Vec<_>>().iter()), "seed {seed}, loss {loss}");
    // They are read when the event is taken, so all of them before the other two.
    let readable = Event::Channel(ChannelEvent::Readable(theirs));
    let end = [Event::Channel(ChannelEvent::Closing(theirs)), gone];
    let before = net.b.events.strip_suffix(end.as_slice());
    assert!(
        before.is_some_and(|events| events.iter().all(|event| *event == readable)),
        "seed {seed}, loss {loss}: {:?}",
        net.b.events
    );
    assert_eq!(net.a.peer.undelivered(), 0, "seed {seed}, loss {loss}");
}

fn runs(loss: f64) {
    let count = std::env::var("CLOSES").map_or(2, |count| count.parse().unwrap());
    let first = seed();
    (0..count).for_each(|number| run(first.wrapping_add(number), loss));
}

#[test]
fn without_loss() {
    runs(0.0);
}

#[test]
fn at_one_percent_loss() {
    runs(0.01);
}

#[test]
fn at_five_percent_loss() {
    runs(0.05);
}
