//! The simple RTCDataChannel sample in a page: the local peer is a browser, the remote peer is this process.
//!
//! ```text
//! cargo run --release --example browser
//! cargo run --release --example browser -- --bind 0.0.0.0:8080
//! ```
//! serves the page on <http://127.0.0.1:8080/>, or to everybody who reaches the address that `--bind` names: a phone in the
//! same network, for instance. The process prints what the pages send; each line of its input goes to all of them.
//! `RUST_LOG=straits=debug` shows the states of every layer.

mod server;

use clap::Parser;
use server::Server;
use std::io::{self, BufRead, Write};
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use tokio::sync::mpsc;

/// Serves the simple RTCDataChannel sample as a page, and is the peer of each page that connects.
#[derive(Parser)]
struct Arguments {
    /// Address and port of the page. Another one than a loopback address lets the whole network in.
    #[arg(long, default_value = "127.0.0.1:8080", value_name = "ADDRESS:PORT")]
    bind: SocketAddr,
}

#[tokio::main]
async fn main() -> ExitCode {
    let filter = tracing_subscriber::EnvFilter::from_default_env();
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr).init();
    match run(Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "browser: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Arguments) -> Result<(), Box<dyn std::error::Error>> {
    let bind = arguments.bind;
    let server =
        Server::start(bind, Arc::new(|line| say(&line))).await.map_err(|error| format!("{bind}: {error}"))?;
    say(&where_to(server.address()));
    say("Lines typed here go to all pages; Ctrl+C ends.");
    let mut lines = input();
    let mut has_input = true;
    loop {
        tokio::select! {
            line = lines.recv(), if has_input => match line {
                Some(line) => send(&server, line),
                None => has_input = false,
            },
            interrupted = tokio::signal::ctrl_c() => {
                interrupted?;
                server.stop().await;
                return Ok(());
            }
        }
    }
}

/// A wildcard address is none that a browser opens.
fn where_to(address: SocketAddr) -> String {
    if !address.ip().is_unspecified() {
        return format!("Open http://{address}/ in a browser.");
    }
    let port = address.port();
    format!(
        "Open http://localhost:{port}/ in a browser; on another device, with the name or address of this machine."
    )
}

fn send(server: &Server, line: String) {
    let pages = server.send(line);
    say(&format!("Sent to {pages} {}", if pages == 1 { "page" } else { "pages" }));
}

/// The lines of the input. A thread of its own reads them: it may wait for ever, and must not keep the process.
fn input() -> mpsc::Receiver<String> {
    let (read, lines) = mpsc::channel(1);
    std::thread::spawn(move || {
        for line in io::stdin().lock().lines().map_while(Result::ok) {
            if read.blocking_send(line).is_err() {
                return;
            }
        }
    });
    lines
}

fn say(line: &str) {
    // When nobody reads any more there is nobody to tell.
    let _ = writeln!(io::stdout().lock(), "{line}");
}
