//! The workloads. Each gives its figures as a JSON object.

use crate::connect::{Pair, Result, Setup};
use crate::usage;
use bytes::Bytes;
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use straits::DataChannelInit;

/// Messages of one size, one way, as fast as back-pressure lets them go.
pub(crate) async fn stream(
    size: usize,
    init: DataChannelInit,
    warmup: Duration,
    measured: Duration,
) -> Result<Value> {
    let Pair { local, remote, sender, receiver } = Setup::new()?.connect_with(init).await?;
    let stop = Arc::new(AtomicBool::new(false));
    let received = Arc::new(AtomicU64::new(0));

    let writer = tokio::spawn({
        let stop = stop.clone();
        async move {
            let message = Bytes::from(vec![0x5a; size]);
            while !stop.load(Ordering::Relaxed) {
                sender.send(message.clone()).await?;
            }
            Ok::<_, straits::Error>(())
        }
    });
    let reader = tokio::spawn({
        let received = received.clone();
        async move {
            while let Some(message) = receiver.recv().await {
                assert_eq!(message.len(), size);
                received.fetch_add(1, Ordering::Relaxed);
            }
        }
    });

    tokio::time::sleep(warmup).await;
    let (cpu, start, before) = (usage::cpu_time()?, Instant::now(), received.load(Ordering::Relaxed));
    tokio::time::sleep(measured).await;
    let messages = (received.load(Ordering::Relaxed) - before) as f64;
    let (elapsed, cpu) = (start.elapsed().as_secs_f64(), (usage::cpu_time()? - cpu).as_secs_f64());

    stop.store(true, Ordering::Relaxed);
    writer.await??;
    let retransmissions = local.stats().sctp.retransmissions;
    local.close();
    remote.close();
    reader.await?;
    let bytes = messages * size as f64;
    Ok(json!({
        "size": size,
        "mbps": round(bytes * 8.0 / elapsed / 1e6),
        "msgs_per_s": round(messages / elapsed),
        "cpu_s_per_gb": round(cpu / (bytes / 1e9)),
        "cpu_us_per_msg": round(cpu / messages * 1e6),
        "retransmissions": retransmissions,
    }))
}

/// One message there and back at a time.
pub(crate) async fn pingpong(size: usize, rounds: usize) -> Result<Value> {
    let Pair { local, remote, sender, receiver } = Setup::new()?.connect().await?;
    let echo = tokio::spawn(async move {
        while let Some(message) = receiver.recv().await {
            if receiver.send(message).await.is_err() {
                break;
            }
        }
    });
    let message = Bytes::from(vec![0x5a; size]);
    let mut times = Vec::with_capacity(rounds);
    // The first tenth warms up.
    for round in 0..rounds + rounds / 10 {
        let start = Instant::now();
        sender.send(message.clone()).await?;
        let answer = sender.recv().await.ok_or("the channel closed")?;
        assert_eq!(answer.len(), size);
        if round >= rounds / 10 {
            times.push(start.elapsed());
        }
    }
    local.close();
    remote.close();
    echo.await?;
    Ok(json!({
        "size": size,
        "rounds": rounds,
        "p50_us": micros(percentile(&mut times, 0.5)),
        "p99_us": micros(percentile(&mut times, 0.99)),
    }))
}

/// Fresh pairs, one after the other.
pub(crate) async fn connect(rounds: usize) -> Result<Value> {
    let setup = Setup::new()?;
    let mut times = Vec::with_capacity(rounds);
    for _ in 0..rounds {
        let start = Instant::now();
        let pair = setup.connect().await?;
        times.push(start.elapsed());
        tracing::info!(elapsed = ?start.elapsed(), "connected");
        pair.local.close();
        pair.remote.close();
    }
    Ok(json!({
        "rounds": rounds,
        "p50_ms": round(percentile(&mut times, 0.5).as_secs_f64() * 1e3),
        "p99_ms": round(percentile(&mut times, 0.99).as_secs_f64() * 1e3),
    }))
}

/// How much memory a connected peer that does nothing holds.
pub(crate) async fn idle(pairs: usize) -> Result<Value> {
    let setup = Setup::new()?;
    // The first pair pays for what all share.
    let first = setup.connect().await?;
    let before = usage::resident_kib()?;
    let mut held = Vec::with_capacity(pairs);
    for _ in 0..pairs {
        held.push(setup.connect().await?);
    }
    // What the handshakes used is given back before it is counted.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let grown = usage::resident_kib()?.saturating_sub(before) as f64;
    for pair in held.into_iter().chain([first]) {
        pair.local.close();
        pair.remote.close();
    }
    Ok(json!({ "pairs": pairs, "kib_per_peer": round(grown / (2 * pairs) as f64) }))
}

/// Sorts and picks.
fn percentile(times: &mut [Duration], part: f64) -> Duration {
    times.sort_unstable();
    let index = ((times.len() as f64 * part) as usize).min(times.len().saturating_sub(1));
    times.get(index).copied().unwrap_or_default()
}

fn micros(time: Duration) -> f64 {
    round(time.as_secs_f64() * 1e6)
}

/// Three decimals are more than the machine is worth.
fn round(value: f64) -> f64 {
    (value * 1e3).round() / 1e3
}
