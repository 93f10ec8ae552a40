//! The example `sans_io`: two peers on the cores alone.

#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

#[path = "support/example.rs"]
mod example;
#[path = "support/loopback.rs"]
mod support;

use example::{End, Example};

/// The two write to one output: what each of them says is in order.
fn lines_of(end: &End, name: &str) -> Vec<String> {
    end.output.iter().filter(|line| line.starts_with(name)).cloned().collect()
}

#[tokio::test]
async fn two_peers_meet_greet_and_part() {
    let end = Example::start("sans_io", [""; 0]).end().await;
    assert_eq!((end.code, &*end.errors), (Some(0), &[][..]), "{end:?}");
    assert_eq!(
        lines_of(&end, "Alice"),
        [
            "Alice is Connecting",
            "Alice is Connected",
            "Alice has an open channel",
            "Alice hears: Hello, Bob",
            "Alice's channel has ended: LocalClose",
            "Alice is Closed",
            "Alice is done: closed by this side",
        ]
    );
    assert_eq!(
        lines_of(&end, "Bob"),
        [
            "Bob is Connecting",
            "Bob is Connected",
            "Bob has an open channel",
            "Bob hears: Hello, Bob",
            "Bob's channel has ended: RemoteClose",
            "Bob is Closed",
            "Bob is done: SCTP: aborted by the peer with cause 12 (User-Initiated Abort)",
        ]
    );
    assert_eq!(end.output.len(), 14, "nobody else says anything");
}
