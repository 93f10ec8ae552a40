//! What must hold of the state whatever its users do.

use super::*;
use crate::connection::Inner;
use crate::{Configuration, Identity};
use straits_peer::Peer;

fn inner() -> Inner {
    let now = crate::endpoint::now();
    let peer = Peer::new(straits_peer::Config::default(), Identity::generate().unwrap(), [1; 32], now);
    Inner::new(peer, Configuration::default(), tokio::runtime::Handle::current(), None)
}

#[tokio::test]
async fn a_stream_that_nobody_reads_does_not_grow_with_the_pairs_that_are_selected() {
    let inner = inner();
    let mut state = inner.lock();
    assert!(state.claim_stream());
    let mut outcome = Outcome::default();
    for _ in 0..1000 {
        state.deliver(Item::SelectedPair, &mut outcome);
    }
    state.deliver(Item::Gathering(IceGatheringState::Complete), &mut outcome);
    state.deliver(Item::SelectedPair, &mut outcome);
    let items = [Item::SelectedPair, Item::Gathering(IceGatheringState::Complete), Item::SelectedPair];
    assert_eq!(state.stream_items, items);
}
