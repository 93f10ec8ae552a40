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
    net.run_until(PATIENCE, |net| net.a.saw(&closed));

    let received = net.b.received.iter().map(|(_, _, data)| data);
    assert!(received.eq((0..COUNT).map(message).collect::<Vec<_>>().iter()), "seed {seed}, loss {loss}");
    let others =
        net.b.events.iter().filter(|event| **event != Event::Channel(ChannelEvent::Readable(theirs)));
    let closing = Event::Channel(ChannelEvent::Closing(theirs));
    let closed = Event::Channel(ChannelEvent::Closed(theirs, ChannelCloseReason::RemoteClose));
    assert!(others.eq([&closing, &closed]), "seed {seed}, loss {loss}: {:?}", net.b.events);
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
