//! One end of a connection as a process of its own, to be killed: descriptions and what happens are lines on its
//! input and output, one each.
//!
//! `straits-victim offer` prints an offer and reads the answer, `straits-victim answer` the other way round. Then it says
//! `connected`, `open`, and `read` with each message until it has read as many as its second argument says.
#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::io::{Write, stdin, stdout};
use straits::{
    Configuration, DataChannel, DataChannelInit, IceGatheringState, PeerConnection, SessionDescription,
};

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let mut arguments = std::env::args().skip(1);
    let offers = arguments.next().as_deref() == Some("offer");
    let reads: usize = arguments.next().unwrap().parse().unwrap();
    let connection =
        PeerConnection::new(Configuration::default().bind_address(([127, 0, 0, 1], 0).into())).unwrap();
    let mut channel = None;
    if offers {
        channel = Some(connection.create_data_channel("data", DataChannelInit::default()).unwrap());
        say_description(&connection).await;
        connection.set_remote_description(next_description()).await.unwrap();
    } else {
        connection.set_remote_description(next_description()).await.unwrap();
        say_description(&connection).await;
    }
    connection.connected().await.unwrap();
    say("connected");
    let channel: DataChannel = match channel {
        Some(channel) => channel,
        None => connection.accept_channel().await.unwrap(),
    };
    channel.opened().await.unwrap();
    say("open");
    for _ in 0..reads {
        channel.recv().await.unwrap();
        say("read");
    }
    std::future::pending::<()>().await;
}

/// With its candidates.
async fn say_description(connection: &PeerConnection) {
    connection.set_local_description_implicitly().await.unwrap();
    while connection.ice_gathering_state() != IceGatheringState::Complete {
        tokio::task::yield_now().await;
    }
    let description = connection.local_description().unwrap();
    say(&serde_json::to_string(&description).unwrap());
}

fn next_description() -> SessionDescription {
    let mut line = String::new();
    stdin().read_line(&mut line).unwrap();
    serde_json::from_str(&line).unwrap()
}

fn say(line: &str) {
    let mut out = stdout().lock();
    writeln!(out, "{line}").unwrap();
    out.flush().unwrap();
}
