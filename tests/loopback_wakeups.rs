//! The driver never depends on a timer where a datagram or a writable socket is what it waits for.

#[path = "support/loopback.rs"]
mod support;

use std::time::Duration;
use straits::{Configuration, DataChannelInit, LayerConfig, ice, sctp};
use support::{Pair, configuration};

/// Nothing of ICE or SCTP is ever repeated within the test's patience: on a path without loss nothing needs to be.
fn without_repeats() -> Configuration {
    let hour = Duration::from_secs(3600);
    let ice = ice::Config::default().retransmission_timeout(hour).retransmission_timeout_max(hour);
    let sctp = sctp::Config::default().rto_initial(hour).rto_max(hour);
    configuration().layers(LayerConfig::default().ice(ice).sctp(sctp))
}

/// Fresh sockets each time: what they refuse before the runtime knows that they are writable must leave by itself.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connecting_needs_no_retransmission() {
    for _ in 0..50 {
        Pair::with(without_repeats(), without_repeats(), DataChannelInit::default()).await.close().await;
    }
}
