//! An echo server for many browsers on one UDP port.
//!
//! ```text
//! cargo run --release --example echo_server
//! ```
//! and open the address that it prints. Signalling is one request: `POST /` has the offer as a browser's JSON,
//! `{"type":"offer","sdp":"…"}`, the response has the answer, with all candidates in it. What is wrong with an offer comes
//! back as `{"error":"…"}`. `GET /` is a page to try it with.
//!
//! By default only this machine can signal. For others, give it addresses:
//!
//! ```text
//! cargo run --release --example echo_server -- --bind 0.0.0.0:8080 --udp 0.0.0.0:3478 --announce 203.0.113.7
//! ```

use axum::extract::rejection::JsonRejection;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use clap::Parser;
use std::fmt;
use std::io::{self, Write};
use std::net::{IpAddr, SocketAddr};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use straits::{
    Configuration, DataChannel, Endpoint, EndpointConfiguration, ErrorCause, ErrorName, Identity,
    PeerConnection, SessionDescription,
};
use tokio::net::TcpListener;

/// Sends back every message on every channel.
#[derive(Parser)]
struct Arguments {
    /// Where signalling is served over HTTP.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
    bind: SocketAddr,
    /// The one UDP port of all connections; port 0 lets the system choose. Not on 127.0.0.1, which Firefox does not
    /// connect to; it answers only those who have signalled.
    #[arg(long, value_name = "ADDRESS", default_value = "0.0.0.0:0")]
    udp: SocketAddr,
    /// The address by which browsers reach this machine, if a NAT maps it; may be given several times.
    #[arg(long, value_name = "IP")]
    announce: Vec<IpAddr>,
    /// Most connections at a time.
    #[arg(long, value_name = "COUNT", default_value_t = 1000)]
    max_connections: usize,
}

/// What all requests share.
struct Server {
    endpoint: Endpoint,
    configuration: Configuration,
    /// Connections so far, which numbers them.
    connections: AtomicU64,
}

#[tokio::main]
async fn main() -> ExitCode {
    let filter = tracing_subscriber::EnvFilter::from_default_env();
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr).init();
    match run(Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "echo_server: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Arguments) -> Result<(), Box<dyn std::error::Error>> {
    let settings = EndpointConfiguration::default()
        .bind_address(arguments.udp)
        .max_connections(arguments.max_connections);
    let settings = arguments.announce.into_iter().fold(settings, EndpointConfiguration::announce);
    let endpoint = Endpoint::bind(settings).map_err(|error| format!("UDP {}: {error}", arguments.udp))?;
    let listener = TcpListener::bind(arguments.bind)
        .await
        .map_err(|error| format!("HTTP {}: {error}", arguments.bind))?;
    say(format_args!("UDP on {}", endpoint.local_addresses()[0]));
    say(format_args!("HTTP on http://{}/", listener.local_addr()?));

    let server = Server {
        endpoint: endpoint.clone(),
        // One certificate for all: making one costs as much as a good part of a handshake.
        configuration: Configuration::default().certificate(Identity::generate()?),
        connections: AtomicU64::new(0),
    };
    let routes = Router::new()
        .route("/", get(Html(PAGE)).post(connect))
        .layer(DefaultBodyLimit::max(MAX_OFFER))
        .with_state(Arc::new(server));
    axum::serve(listener, routes).with_graceful_shutdown(interrupted()).await?;

    // The browsers hear of it at once.
    endpoint.close();
    endpoint.closed().await;
    Ok(())
}

async fn interrupted() {
    // Without the signal the process just ends.
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// `POST /`: an offer for an answer.
async fn connect(
    State(server): State<Arc<Server>>,
    offer: Result<Json<SessionDescription>, JsonRejection>,
) -> Result<Json<SessionDescription>, Refusal> {
    let Json(offer) = offer?;
    let (connection, answer) = server.endpoint.accept(offer, server.configuration.clone()).await?;
    let number = server.connections.fetch_add(1, Ordering::Relaxed) + 1;
    tokio::spawn(serve(connection, number));
    Ok(Json(answer))
}

/// A connection from its first packet to its end.
async fn serve(connection: PeerConnection, number: u64) {
    if let Err(error) = connection.connected().await {
        return say(format_args!("connection {number}: not connected: {error}"));
    }
    say(format_args!("connection {number}: connected"));
    while let Some(channel) = connection.accept_channel().await {
        tokio::spawn(async move {
            if let Err(error) = echo(&channel).await
                && error.name() != ErrorName::InvalidStateError
            {
                // Not that it was closed, but that the message is too large for the browser.
                say(format_args!(
                    "connection {number}: channel \"{}\": {error}",
                    channel.label().escape_debug()
                ));
                channel.close();
            }
        });
    }
    say(format_args!("connection {number}: disconnected: {}", connection.closed().await));
}

/// Both wait: `recv` for a message, `send` for room. While it waits for room nothing is read, so that a browser that does
/// not read what it gets back soon cannot send either, and holds no more memory than its window.
async fn echo(channel: &DataChannel) -> Result<(), straits::Error> {
    while let Some(message) = channel.recv().await {
        channel.send(message).await?;
    }
    Ok(())
}

/// Why there is no answer: a status, and JSON that says so to a person.
struct Refusal(StatusCode, String);

impl From<JsonRejection> for Refusal {
    fn from(rejection: JsonRejection) -> Self {
        Self(rejection.status(), rejection.body_text())
    }
}

impl From<straits::Error> for Refusal {
    fn from(error: straits::Error) -> Self {
        let status = match error.cause() {
            // Full, or about to end.
            ErrorCause::Endpoint(_) | ErrorCause::Closed(_) => StatusCode::SERVICE_UNAVAILABLE,
            ErrorCause::Identity(_) | ErrorCause::Io(..) => StatusCode::INTERNAL_SERVER_ERROR,
            _ => StatusCode::BAD_REQUEST,
        };
        Self(status, error.to_string())
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let Self(status, error) = self;
        (status, Json(serde_json::json!({ "error": error }))).into_response()
    }
}

fn say(text: fmt::Arguments<'_>) {
    // When nobody reads any more there is nobody to tell.
    let _ = writeln!(io::stdout(), "{text}");
}

const PAGE: &str = include_str!("page.html");

/// Bytes of an offer with its JSON. Those of browsers have 1 to 3 KB, with many candidates a few more.
const MAX_OFFER: usize = 64 << 10;
