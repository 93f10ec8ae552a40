//! A message far larger than the memory it passes through. A test binary of its own: it counts what the allocator gives out.

#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

#[path = "support/loopback.rs"]
mod support;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
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

/// 64 MiB, or what the environment says in MiB: `STRAITS_HUGE_MIB=1024 cargo test --test loopback_huge`.
fn size() -> usize {
    std::env::var("STRAITS_HUGE_MIB").map_or(64, |text| text.parse().unwrap()) << 20
}

/// The bytes of a message: random ones, and every 64 KiB the place in the message, so that no two pieces are alike.
///
/// They are compared, which tells more than a hash and takes less time.
struct Content {
    block: Vec<u8>,
    place: usize,
}

impl Content {
    fn new(seed: u64) -> Self {
        let mut block = vec![0; PIECE];
        ChaCha8Rng::seed_from_u64(seed).fill_bytes(&mut block);
        Self { block, place: 0 }
    }

    /// What comes next, at most `limit` bytes and never across the end of a block.
    fn next(&mut self, limit: usize) -> &[u8] {
        let start = self.place % PIECE;
        self.block[..8].copy_from_slice(&(self.place / PIECE).to_be_bytes());
        let end = PIECE.min(start + limit);
        self.place += end - start;
        &self.block[start..end]
    }
}

async fn send(channel: DataChannel, seed: u64, size: usize) {
    let mut content = Content::new(seed);
    let mut writer = channel.message_writer(MessageKind::Binary).await.unwrap();
    while content.place < size {
        let piece = content.next(PIECE).to_vec();
        writer.send_part(piece).await.unwrap();
    }
    writer.finish().unwrap();
}

/// The number of bytes received.
async fn receive(channel: DataChannel, seed: u64) -> usize {
    let mut content = Content::new(seed);
    loop {
        let part = channel.recv_part().await.unwrap();
        let mut rest = &part.data[..];
        while !rest.is_empty() {
            let expected = content.next(rest.len());
            let (data, others) = rest.split_at(expected.len());
            assert!(data == expected, "something else came before byte {}", content.place);
            rest = others;
        }
        match part.end {
            None => {}
            Some(MessageEnd::Complete) => return content.place,
            Some(MessageEnd::Abandoned) => panic!("abandoned after {} bytes", content.place),
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
            tokio::spawn(receive(a.clone(), 2)),
            tokio::spawn(receive(b.clone(), 1)),
            tokio::spawn(send(a.clone(), 1, size)),
            tokio::spawn(send(b.clone(), 2, size)),
        )
        .unwrap()
    };
    // Two minutes for each 64 MiB: it takes seconds, on a machine that does nothing else.
    let limit = Duration::from_secs(120) * u32::try_from(size.div_ceil(64 << 20)).unwrap();
    let (peak, (at_a, at_b, ..)) = tokio::time::timeout(limit, peak(&region, transfer)).await.unwrap();
    println!("{} MiB each way in {:?}, {} KiB held", size >> 20, start.elapsed(), peak >> 10);
    assert_eq!((at_a, at_b), (size, size));
    assert!(peak < MEMORY, "{peak} bytes held");
    assert_eq!((a.stats().messages_sent, a.stats().messages_received), (1, 1));
    pair.close().await;
}
