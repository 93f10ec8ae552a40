//! The simple RTCDataChannel sample: two connections in one process, which meet over real UDP sockets.
//!
//! ```text
//! cargo run --release --example loopback -- "Hello" "Grüße, 世界"
//! ```
//! sends each argument as one message. Without arguments it sends the lines of its input; on a terminal it asks for them,
//! as the page of the sample does. With no input either it sends one greeting. `RUST_LOG=straits=debug` shows the states
//! of every layer.

use clap::Parser;
use std::io::{self, BufRead, IsTerminal, Write};
use std::process::ExitCode;
use std::time::Duration;
use straits::{AddIceCandidate, Configuration, DataChannel, DataChannelInit, Message, PeerConnection};
use tokio::sync::oneshot;
use tokio::time::timeout;

/// Sends messages from one peer connection to another in the same process.
#[derive(Parser)]
struct Arguments {
    /// Messages to send; without any, the lines of the input.
    messages: Vec<String>,
}

/// The four objects of the sample.
struct Peers {
    local: PeerConnection,
    remote: PeerConnection,
    send_channel: DataChannel,
    receive_channel: DataChannel,
}

#[tokio::main]
async fn main() -> ExitCode {
    let filter = tracing_subscriber::EnvFilter::from_default_env();
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr).init();
    match run(Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say_error(error);
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Arguments) -> Result<(), Box<dyn std::error::Error>> {
    let peers = connect_peers().await?;
    if arguments.messages.is_empty() {
        send_input(&peers.send_channel).await?;
    }
    for message in arguments.messages {
        peers.send_channel.send_text(message)?;
    }
    disconnect_peers(peers).await
}

async fn connect_peers() -> Result<Peers, Box<dyn std::error::Error>> {
    // The local connection, with the channel that sends.
    let local = PeerConnection::new(Configuration::default())?;
    let send_channel = local.create_data_channel("sendChannel", DataChannelInit::default())?;
    let (opened, send_channel_opened) = oneshot::channel();
    let mut opened = Some(opened);
    send_channel.on_open(move |channel| {
        send_channel_status_changed(channel);
        opened.take().map(|opened| opened.send(()));
    });
    send_channel.on_close(send_channel_status_changed);

    // The remote connection. No channel is created here: it arrives.
    let remote = PeerConnection::new(Configuration::default())?;
    let (opened, receive_channel) = oneshot::channel();
    let mut opened = Some(opened);
    remote.on_data_channel(move |channel| {
        let mut opened = opened.take();
        channel.on_message(message_received);
        channel.on_open(move |channel| {
            receive_channel_status_changed(channel);
            opened.take().map(|opened| opened.send(channel.clone()));
        });
        channel.on_close(receive_channel_status_changed);
    });

    // Each candidate goes to the other side.
    let other = remote.downgrade();
    local.on_ice_candidate(move |candidate| {
        if let (Some(remote), Some(candidate)) = (other.upgrade(), candidate) {
            tokio::spawn(say_failure(remote.add_ice_candidate(candidate)));
        }
    });
    let other = local.downgrade();
    remote.on_ice_candidate(move |candidate| {
        if let (Some(local), Some(candidate)) = (other.upgrade(), candidate) {
            tokio::spawn(say_failure(local.add_ice_candidate(candidate)));
        }
    });

    // Offer and answer; between two machines they would go through a signalling server.
    let offer = local.create_offer().await?;
    local.set_local_description(offer.clone()).await?;
    remote.set_remote_description(offer).await?;
    let answer = remote.create_answer().await?;
    remote.set_local_description(answer.clone()).await?;
    local.set_remote_description(answer).await?;

    tokio::try_join!(local.connected(), remote.connected())?;
    // A channel that is closed before its handler was called never says that it was open.
    let opened = async { tokio::try_join!(send_channel_opened, receive_channel) };
    let ((), receive_channel) = opened.await.map_err(|_| "SCTP: a channel closed before it opened")?;
    Ok(Peers { local, remote, send_channel, receive_channel })
}

fn send_channel_status_changed(channel: &DataChannel) {
    say(format_args!("Send channel's status has changed to {}\n", channel.ready_state()));
}

fn receive_channel_status_changed(channel: &DataChannel) {
    say(format_args!("Receive channel's status has changed to {}\n", channel.ready_state()));
}

fn message_received(_: &DataChannel, message: Message) {
    match message {
        Message::Text(text) => say(format_args!("Message received: {text}\n")),
        Message::Binary(data) => say(format_args!("Message received: {} bytes\n", data.len())),
    }
}

/// The message box and its Send button: each line is a message. The end of the input is Disconnect, and on a terminal an
/// empty line is, too.
async fn send_input(channel: &DataChannel) -> Result<(), Box<dyn std::error::Error>> {
    let is_terminal = io::stdin().is_terminal();
    let mut is_first = true;
    while let Some(line) = next_line(is_terminal).await.map_err(|error| format!("input: {error}"))? {
        if is_terminal && line.is_empty() {
            return Ok(());
        }
        channel.send(line).await?;
        is_first = false;
    }
    if is_first && !is_terminal {
        channel.send_text("Hello from Straits")?;
    }
    Ok(())
}

async fn next_line(is_terminal: bool) -> io::Result<Option<String>> {
    let read = move || {
        if is_terminal {
            say(format_args!("Enter a message: "));
        }
        io::stdin().lock().lines().next().transpose()
    };
    tokio::task::spawn_blocking(read).await?
}

/// Both channels, then both connections. Closing a channel delivers what was sent on it and takes a moment; closing a
/// connection takes none.
async fn disconnect_peers(peers: Peers) -> Result<(), Box<dyn std::error::Error>> {
    peers.send_channel.close();
    peers.receive_channel.close();
    let closed = async { tokio::join!(peers.send_channel.closed(), peers.receive_channel.closed()) };
    let in_time = timeout(PATIENCE, closed).await;
    peers.local.close();
    peers.remote.close();
    tokio::join!(peers.local.closed(), peers.remote.closed());
    in_time.map_err(|_| "SCTP: the channels did not close in time")?;
    Ok(())
}

fn say(text: std::fmt::Arguments<'_>) {
    // When nobody reads any more there is nobody to tell.
    let mut out = io::stdout().lock();
    let _ = out.write_fmt(text).and_then(|()| out.flush());
}

async fn say_failure(added: AddIceCandidate) {
    if let Err(error) = added.await {
        say_error(error);
    }
}

fn say_error(error: impl std::fmt::Display) {
    let _ = writeln!(io::stderr(), "loopback: {error}");
}

/// Longer than any sensible loss of packets delays a close.
const PATIENCE: Duration = Duration::from_secs(10);
