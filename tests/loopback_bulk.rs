//! Much data over UDP.

#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

#[path = "support/loopback.rs"]
mod support;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha12Rng;
use sha2::{Digest, Sha256};
use straits::{DataChannel, Message};
use support::{Pair, soon};

const MESSAGE: usize = 16 << 10;
const COUNT: usize = (10 << 20) / MESSAGE;

/// 10 MiB of random bytes in messages of 16 KiB, then the hash of all of them.
async fn send(channel: DataChannel, seed: u64) {
    let mut random = ChaCha12Rng::seed_from_u64(seed);
    let mut hash = Sha256::new();
    for _ in 0..COUNT {
        let mut message = vec![0; MESSAGE];
        random.fill(message.as_mut_slice());
        hash.update(&message);
        channel.send(message).await.unwrap();
    }
    channel.send(hash.finalize().to_vec()).await.unwrap();
}

async fn receive(channel: DataChannel) {
    let mut hash = Sha256::new();
    for n in 0..COUNT {
        let message = channel.recv().await.unwrap_or_else(|| panic!("ended after {n} messages"));
        assert_eq!(message.len(), MESSAGE);
        hash.update(message.as_bytes());
    }
    assert_eq!(channel.recv().await, Some(Message::from(hash.finalize().to_vec())));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_mebibytes_both_ways_at_once() {
    let pair = Pair::new().await;
    let tasks = [
        tokio::spawn(send(pair.channel_a.clone(), 1)),
        tokio::spawn(send(pair.channel_b.clone(), 2)),
        tokio::spawn(receive(pair.channel_a.clone())),
        tokio::spawn(receive(pair.channel_b.clone())),
    ];
    for task in tasks {
        soon("the transfer", task).await.unwrap();
    }
    pair.close().await;
}
