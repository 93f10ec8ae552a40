//! A message far larger than the memory it passes through. A test binary of its own: it counts what the allocator gives out.

#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

#[path = "support/loopback.rs"]
mod support;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use sha2::{Digest, Sha256};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use std::alloc::System;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use straits::{DataChannel, DataChannelInit, LayerConfig, MessageEnd, MessageKind};
use support::{Pair, configuration};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Both directions, so that twice as much is on its way.
const MEMORY: usize = 64 << 20;
const PIECE: usize = 64 << 10;

/// 64 MiB, or what the environment says in MiB: `STRAITS_HUGE_MIB=1024 cargo test --release --test loopback_huge`.
fn size() -> usize {
    std::env::var("STRAITS_HUGE_MIB").map_or(64, |text| text.parse().unwrap()) << 20
}

async fn send(channel: DataChannel, seed: u64, size: usize) -> Vec<u8> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut hash = Sha256::new();
    let mut writer = channel.message_writer(MessageKind::Binary).await.unwrap();
    for _ in 0..size / PIECE {
        let mut piece = vec![0; PIECE];
        random.fill_bytes(&mut piece);
        hash.update(&piece);
        writer.send_part(piece).await.unwrap();
    }
    writer.finish().unwrap();
    hash.finalize().to_vec()
}

async fn receive(channel: DataChannel) -> (usize, Vec<u8>) {
    let (mut size, mut hash) = (0, Sha256::new());
    loop {
        let part = channel.recv_part().await.unwrap();
        size += part.data.len();
        hash.update(&part.data);
        match part.end {
            None => {}
            Some(MessageEnd::Complete) => return (size, hash.finalize().to_vec()),
            Some(MessageEnd::Abandoned) => panic!("abandoned after {size} bytes"),
        }
    }
}

/// The most that is held while the future runs, looked at once a millisecond.
async fn peak<T>(region: &Region<'_, System>, future: impl Future<Output = T>) -> (usize, T) {
    let most = AtomicUsize::new(0);
    let watch = async {
        loop {
            let change = region.change();
            let held = change.bytes_allocated.saturating_sub(change.bytes_deallocated);
            most.fetch_max(held, Ordering::Relaxed);
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::select! {
        value = future => (most.load(Ordering::Relaxed), value),
        () = watch => unreachable!("it watches for ever"),
    }
}

/// One message of 1 GiB each way at once, with less than 64 MiB of memory on both sides together. In the ordinary run it is
/// 64 MiB; see `size`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_huge_message_passes_through_little_memory() {
    let size = size();
    let layers = || configuration().layers(LayerConfig::default().max_message_size(size));
    let region = Region::new(ALLOCATOR);
    let pair = Pair::with(layers(), layers(), DataChannelInit::default()).await;
    assert_eq!(pair.a.max_message_size(), Some(size));
    let start = Instant::now();
    let (a, b) = (&pair.channel_a, &pair.channel_b);
    let transfer = async {
        tokio::try_join!(
            tokio::spawn(receive(a.clone())),
            tokio::spawn(receive(b.clone())),
            tokio::spawn(send(a.clone(), 1, size)),
            tokio::spawn(send(b.clone(), 2, size)),
        )
        .unwrap()
    };
    // A message that stands still would be no matter of patience: a minute for each 64 MiB.
    let limit = Duration::from_secs(60) * u32::try_from(size.div_ceil(64 << 20)).unwrap();
    let (peak, done) = tokio::time::timeout(limit, peak(&region, transfer)).await.unwrap();
    let (at_a, at_b, from_a, from_b) = done;
    println!("{} MiB each way in {:?}, {} KiB held", size >> 20, start.elapsed(), peak >> 10);
    assert_eq!((at_b, at_a), ((size, from_a), (size, from_b)));
    assert!(peak < MEMORY, "{peak} bytes held");
    assert_eq!((a.stats().messages_sent, a.stats().messages_received), (1, 1));
    pair.close().await;
}
