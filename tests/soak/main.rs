//! Endurance: pairs of connections live, fail and die for a given time, over a network that is sometimes bad, and everything
//! that arrives is checked. At the end nothing may be left of them.
//!
//! ```text
//! cargo run --release --bin straits-soak -- --seconds 1800 --seed 1
//! ```
//! Each pair decides by the seed what it does; which packets meet which fault also depends on the machine. It prints a line
//! every ten seconds, and ends with status 1 when a message was wrong, lost or stuck, or when memory, tasks or file
//! descriptors grew.
#![allow(clippy::unwrap_used, reason = "what fails here fails the run")]

mod life;
mod oracle;
#[path = "../support/process.rs"]
mod process;
#[path = "../support/relay.rs"]
mod relay;
mod resources;
#[path = "../support/loopback.rs"]
mod support;
mod talk;

use clap::Parser;
use life::Life;
use rand::SeedableRng;
use rand_chacha::ChaCha12Rng;
use resources::{Resources, Samples};
use std::fmt;
use std::io::Write;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use straits::{Endpoint, EndpointConfiguration};
use tokio::task::JoinSet;

/// Lets pairs of connections live, fail and die, and checks what arrives.
#[derive(Parser)]
struct Arguments {
    /// How long new ones are made.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// What the pairs do depends on it.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Pairs at a time.
    #[arg(long, default_value_t = 6)]
    pairs: u64,
}

/// What was done so far.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) connections: AtomicU64,
    pub(crate) restarts: AtomicU64,
    pub(crate) blackouts: AtomicU64,
    pub(crate) channels: AtomicU64,
    pub(crate) messages: AtomicU64,
    pub(crate) bytes: AtomicU64,
    /// Of channels that promise no more, or of connections that were ended hard.
    pub(crate) undelivered: AtomicU64,
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        write!(
            f,
            "{} pairs, {} restarts, {} blackouts, {} channels, {} messages, {} MB, {} undelivered",
            get(&self.connections),
            get(&self.restarts),
            get(&self.blackouts),
            get(&self.channels),
            get(&self.messages),
            get(&self.bytes) / 1_000_000,
            get(&self.undelivered)
        )
    }
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    // A wrong message is a panic in a task of its own, which must not pass unseen.
    std::panic::set_hook(Box::new(move |info| {
        say(format_args!("FAILED with --seed {}: {info}", arguments.seed));
        std::process::exit(1);
    }));
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let result = runtime.block_on(run(&arguments));
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            say(format_args!("FAILED with --seed {}: {problem}", arguments.seed));
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: &Arguments) -> Result<(), String> {
    let before = Resources::now();
    let started = Instant::now();
    let deadline = started + Duration::from_secs(arguments.seconds);
    let tally = Arc::<Tally>::default();
    let settings = EndpointConfiguration::default().bind_address(([127, 0, 0, 1], 0).into());
    let endpoint = Endpoint::bind(settings).unwrap();
    let mut tasks = JoinSet::new();
    for number in 0..arguments.pairs {
        let seed = arguments.seed.wrapping_mul(1000).wrapping_add(number);
        let (tally, endpoint) = (tally.clone(), endpoint.clone());
        tasks.spawn(async move {
            let mut random = ChaCha12Rng::seed_from_u64(seed);
            while Instant::now() < deadline {
                Life::begin(&mut random, &endpoint, tally.clone()).await.run().await;
            }
        });
    }

    let mut samples = Samples::default();
    let mut ticks = tokio::time::interval(Duration::from_secs(10));
    loop {
        tokio::select! {
            ended = tasks.join_next() => match ended {
                Some(ended) => ended.unwrap(),
                None => break,
            },
            _ = ticks.tick() => {
                let resources = Resources::now();
                samples.push(resources);
                say(format_args!("{:>5} s: {tally}; {resources}", started.elapsed().as_secs()));
            }
        }
    }
    endpoint.close();
    endpoint.closed().await;
    drop(endpoint);
    let left = resources::settled(before).await;
    say(format_args!(
        "{:>5} s: {tally}; {left} left, {before} at the beginning",
        started.elapsed().as_secs()
    ));
    if left.tasks > before.tasks || left.files > before.files {
        return Err("tasks or file descriptors are left".to_owned());
    }
    samples.check()
}

pub(crate) fn say(text: fmt::Arguments<'_>) {
    // When nobody reads any more there is nobody to tell.
    let _ = writeln!(std::io::stdout(), "{text}");
}
