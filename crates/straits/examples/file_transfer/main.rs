//! Sends files from one terminal to another, on this machine or another one, without a server between.
//!
//! ```text
//! cargo run --release --example file_transfer -- send FILE…
//! cargo run --release --example file_transfer -- receive DIRECTORY
//! ```
//! The sender prints its offer as one line, which is to be pasted into the receiver; the receiver prints its answer, to be
//! pasted into the sender. Copy them over a way that you trust, a chat or `ssh`: they have the fingerprints of both
//! certificates, so that whoever gets the lines unchanged talks to the other terminal and to nobody else. The two must
//! reach each other directly: in one network, or one of them with a public address.
//!
//! For each file both print the SHA-256 hash of what they sent or stored, as `sha256sum` does. A received file appears
//! under its name when it is whole and its hash is right, readable by its owner; before that there is a temporary one.

mod description;
mod protocol;
mod receive;
mod send;

use clap::{Parser, Subcommand};
use indicatif::{HumanBytes, ProgressBar, ProgressStyle};
use std::error::Error;
use std::fmt;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;
use straits::{Configuration, LayerConfig, PeerConnection, PeerConnectionState, ice};
use tokio::sync::Notify;

/// Sends files from one terminal to another.
#[derive(Parser)]
struct Arguments {
    /// Use this address and, unless it is 0, this port only; may be given several times. By default all addresses of the
    /// machine are used, with ports that the system chooses.
    #[arg(long, value_name = "ADDRESS", global = true)]
    bind: Vec<SocketAddr>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Send files to a terminal that receives.
    Send {
        /// The files. Only the last part of a path is told.
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
    },
    /// Receive what the other terminal sends.
    Receive {
        /// Where the files go.
        directory: PathBuf,
        /// Replace files that exist already.
        #[arg(long)]
        overwrite: bool,
    },
}

type Failure = Box<dyn Error + Send + Sync>;

#[tokio::main]
async fn main() -> ExitCode {
    let filter = tracing_subscriber::EnvFilter::from_default_env();
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr).init();
    match run(Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tell_user(format_args!("file_transfer: {error}"));
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Arguments) -> Result<(), Failure> {
    let ice = match arguments.command {
        Command::Send { .. } => ice::Config::default(),
        // The answer may lie in a chat for a while before it is pasted.
        Command::Receive { .. } => ice::Config::default().no_answer_after(Duration::from_secs(3600)),
    };
    let configuration = Configuration::default().layers(LayerConfig::default().ice(ice));
    let configuration = arguments.bind.into_iter().fold(configuration, Configuration::bind_address);
    let connection = PeerConnection::new(configuration)?;
    let failed = failure_of(&connection);
    let transfer = async {
        match arguments.command {
            Command::Send { files } => send::run(&connection, &files).await,
            Command::Receive { directory, overwrite } => {
                receive::run(&connection, &directory, overwrite).await
            }
        }
    };
    let result = tokio::select! {
        biased;
        result = transfer => result,
        () = failed.notified() => Err("the connection was lost".into()),
        _ = tokio::signal::ctrl_c() => Err("interrupted".into()),
    };
    let reason = connection.close_reason();
    // Whatever became of it, the other side hears at once that this one is gone.
    connection.close();
    connection.closed().await;
    result.map_err(|error| match reason {
        Some(reason) if !reason.is_orderly() => format!("{error} ({reason})").into(),
        _ => error,
    })
}

/// Notified when the connection fails. One that merely failed has not ended, since a new exchange of descriptions could
/// repair it; here nobody will.
fn failure_of(connection: &PeerConnection) -> Arc<Notify> {
    let failed = Arc::new(Notify::new());
    let tell = failed.clone();
    connection.on_connection_state_change(move |state| {
        if state == PeerConnectionState::Failed {
            tell.notify_one();
        }
    });
    failed
}

/// A bar on a terminal, one line elsewhere.
fn progress(doing: &str, name: &str, size: u64) -> ProgressBar {
    let style = ProgressStyle::with_template("{msg} {wide_bar} {bytes}/{total_bytes} {bytes_per_sec} {eta}");
    let bar = ProgressBar::new(size).with_message(name.to_owned());
    bar.set_style(style.expect("the template is well-formed"));
    if bar.is_hidden() {
        tell_user(format_args!("{doing} {name}, {}", HumanBytes(size)));
    }
    bar
}

/// What a program may read: descriptions and hashes. If nobody reads any more there is nobody to tell.
fn print(text: fmt::Arguments<'_>) {
    let mut out = io::stdout().lock();
    let _ = writeln!(out, "{text}").and_then(|()| out.flush());
}

/// What only a person reads. Some of it was said by the other side, which has no business with controlling the terminal.
fn tell_user(text: fmt::Arguments<'_>) {
    let text = text.to_string().replace(char::is_control, "\u{fffd}");
    let _ = writeln!(io::stderr(), "{text}");
}
