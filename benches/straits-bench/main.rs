//! Measures both ends of a connection in one process over UDP on 127.0.0.1, and prints one line of JSON.
#![allow(clippy::print_stdout, reason = "the report is its output")]

mod connect;
mod usage;
mod workload;

use clap::{Parser, ValueEnum};
use std::error::Error;
use std::time::Duration;
use straits::DataChannelInit;

/// Measures Straits with both peers in this process.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// What to measure.
    #[arg(long, value_enum)]
    workload: Workload,
    /// How long to measure, in seconds (bulk, small, unordered).
    #[arg(long, default_value_t = 10.0)]
    seconds: f64,
    /// How long to run before that, in seconds (bulk, small, unordered).
    #[arg(long, default_value_t = 1.0)]
    warmup: f64,
    /// Message size in bytes; 16384 for bulk, 64 for small and pingpong, 1200 for unordered.
    #[arg(long)]
    size: Option<usize>,
    /// Rounds to measure: 10000 for pingpong, 100 for connect.
    #[arg(long)]
    rounds: Option<usize>,
    /// Pairs of peers that idle.
    #[arg(long, default_value_t = 100)]
    pairs: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Workload {
    /// Ordered reliable messages, one way, as fast as they go.
    Bulk,
    /// The same with small messages.
    Small,
    /// Messages without order that are sent once (maxRetransmits 0), one way, as fast as they go; what arrives counts.
    Unordered,
    /// A message there and back, one at a time.
    Pingpong,
    /// Fresh pairs, from creating both peers to both channels open.
    Connect,
    /// Memory of pairs that do nothing.
    Idle,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::parse();
    let filter = tracing_subscriber::EnvFilter::from_default_env();
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    let seconds = Duration::from_secs_f64(arguments.seconds);
    let warmup = Duration::from_secs_f64(arguments.warmup);
    let report = match arguments.workload {
        Workload::Bulk => {
            let size = arguments.size.unwrap_or(16 * 1024);
            workload::stream(size, DataChannelInit::default(), warmup, seconds).await?
        }
        Workload::Small => {
            let size = arguments.size.unwrap_or(64);
            workload::stream(size, DataChannelInit::default(), warmup, seconds).await?
        }
        Workload::Unordered => {
            let unreliable = DataChannelInit::default().ordered(false).max_retransmits(0);
            workload::stream(arguments.size.unwrap_or(1200), unreliable, warmup, seconds).await?
        }
        Workload::Pingpong => {
            workload::pingpong(arguments.size.unwrap_or(64), arguments.rounds.unwrap_or(10_000)).await?
        }
        Workload::Connect => workload::connect(arguments.rounds.unwrap_or(100)).await?,
        Workload::Idle => workload::idle(arguments.pairs).await?,
    };
    let name = arguments.workload.to_possible_value();
    let mut line = serde_json::json!({ "workload": name.map(|name| name.get_name().to_owned()) });
    if let (Some(line), serde_json::Value::Object(figures)) = (line.as_object_mut(), report) {
        line.extend(figures);
    }
    println!("{line}");
    Ok(())
}
