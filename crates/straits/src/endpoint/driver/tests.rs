//! The parts of the task that need no socket.

use super::*;
use crate::{Configuration, DataChannelInit};
use std::pin::pin;
use std::task::{Wake, Waker};
use straits_peer::dtls::Identity;
use straits_peer::ice::{FailureReason, Route, State as IceState};
use straits_peer::{CloseReason, DescriptionKind, Peer, PeerState, SdpType, SessionDescription};

fn driver(setup_timeout: Option<Duration>) -> Driver {
    let configuration = EndpointConfiguration::default();
    let shared = Arc::new(Shared::new(&configuration));
    Driver::new(shared, Vec::new(), &configuration, setup_timeout)
}

/// Adds a connection as user calls do.
fn join(driver: &mut Driver, seed: u8) -> Key {
    let now = crate::endpoint::now();
    let peer = Peer::new(straits_peer::Config::default(), Identity::generate().unwrap(), [seed; 32], now);
    let reservation = driver.shared.reserve().unwrap();
    let runtime = tokio::runtime::Handle::current();
    let inner = Inner::new(peer, Configuration::default(), runtime, Some(reservation.link()));
    let known: Vec<Key> = driver.connections.keys().copied().collect();
    reservation.join(Arc::new(inner)).unwrap();
    driver.take_ready(&Context::from_waker(Waker::noop()));
    driver.connections.keys().copied().find(|key| !known.contains(key)).unwrap()
}

fn route(port: u16) -> Route {
    Route { local: ([127, 0, 0, 1], 1000).into(), remote: ([127, 0, 0, 1], port).into() }
}

/// A datagram that the peer counts as dropped was handed to it: without a description it knows no route.
fn handed_over(driver: &Driver, key: Key) -> u64 {
    driver.connections[&key].inner.lock().peer.stats().datagrams_dropped
}

#[tokio::test]
async fn early_dtls_reaches_the_peer_when_its_source_is_proven() {
    let now = crate::endpoint::now();
    let mut driver = driver(None);
    let key = join(&mut driver, 1);

    // Two records' worth of DTLS, joined by the system into one run of stride 20.
    let hello = [22_u8; 40];
    driver.feed(now, route(1), &hello, 20);
    driver.feed(now, route(2), &hello, 40);
    assert_eq!(handed_over(&driver, key), 0);
    // What is neither STUN nor DTLS goes to the one connection there is, which drops and counts it.
    driver.feed(now, route(3), &[200], 1);
    assert_eq!(handed_over(&driver, key), 1);

    // More than is kept of one source is dropped, too.
    driver.feed(now, route(2), &[22; 10], 1);
    assert_eq!(handed_over(&driver, key), 4);

    driver.chores.push(Chore::RouteAdded(route(1)));
    driver.do_chores(key, now);
    assert_eq!(handed_over(&driver, key), 6);
    driver.feed(now, route(1), &hello, 20);
    assert_eq!(handed_over(&driver, key), 8, "a proven source is early no more");
}

#[tokio::test]
async fn a_shared_endpoint_counts_what_is_for_nobody() {
    let now = crate::endpoint::now();
    let mut driver = driver(Some(Duration::from_secs(30)));
    let (first, second) = (join(&mut driver, 1), join(&mut driver, 2));
    driver.feed(now, route(1), &[22; 40], 20);
    driver.feed(now, route(1), &[200], 1);
    driver.feed(now, route(1), &[], 1);
    driver.feed(now, route(1), &[0, 1, 0, 0], 4);
    let stats = driver.shared.stats();
    assert_eq!((stats.unknown_sources, stats.malformed, stats.unknown_checks), (2, 2, 1));
    assert_eq!((handed_over(&driver, first), handed_over(&driver, second)), (0, 0));

    driver.chores.push(Chore::RouteAdded(route(1)));
    driver.do_chores(second, now);
    driver.feed(now, route(1), &[22; 40], 20);
    assert_eq!((handed_over(&driver, first), handed_over(&driver, second)), (0, 2));
    let stats = driver.shared.stats();
    assert_eq!((stats.unknown_sources, stats.routes, stats.fragments), (2, 1, 2));
}

/// A client at port 1 whose offer the connection has answered.
fn client_of(driver: &Driver, key: Key, now: Instant) -> Peer {
    let Route { local, remote } = route(1);
    let implied = |kind| SessionDescription { kind, sdp: String::new() };
    let mut client = Peer::new(straits_peer::Config::default(), Identity::generate().unwrap(), [9; 32], now);
    client.open_channel(now, DataChannelInit::default().into_core(String::new()).unwrap()).unwrap();
    client.set_local_description(now, &implied(SdpType::Offer)).unwrap();
    client.add_local_candidate(now, remote);
    let offer = client.description(DescriptionKind::PendingLocal).unwrap();
    let answer = {
        let peer = &mut driver.connections[&key].inner.lock().peer;
        peer.set_remote_description(now, &offer).unwrap();
        peer.set_local_description(now, &implied(SdpType::Answer)).unwrap();
        peer.add_local_candidate(now, local);
        peer.description(DescriptionKind::CurrentLocal).unwrap()
    };
    client.set_remote_description(now, &answer).unwrap();
    client
}

/// A check and the first DTLS behind it may come in one read.
#[tokio::test]
async fn what_a_check_proves_holds_for_the_next_datagram() {
    let now = crate::endpoint::now();
    let mut driver = driver(Some(Duration::from_secs(30)));
    let key = join(&mut driver, 1);
    let mut client = client_of(&driver, key, now);
    let Route { local, remote } = route(1);
    let mut check = BytesMut::new();
    assert_eq!(
        client.poll_transmit(now, 1, &mut check).unwrap().route,
        Route { local: remote, remote: local }
    );

    driver.feed(now, route(1), &[22; 40], 40);
    assert_eq!(driver.shared.stats().unknown_sources, 1);
    driver.feed(now, route(1), &check, check.len());
    driver.feed(now, route(1), &[22; 40], 40);
    let stats = driver.shared.stats();
    assert_eq!((stats.unknown_sources, stats.unknown_checks, stats.routes), (1, 0, 1));
}

/// A client that sends its checks and nothing else is silent soon, and was never connected.
#[tokio::test]
async fn who_falls_silent_before_it_is_connected_is_given_up_in_time() {
    let start = crate::endpoint::now();
    let timeout = Duration::from_secs(15);
    let mut driver = driver(Some(timeout));
    let key = join(&mut driver, 1);
    let mut client = client_of(&driver, key, start);
    let inner = driver.connections[&key].inner.clone();
    let Route { local, remote } = route(1);
    let mut buffer = BytesMut::new();
    for step in 0..20 {
        let now = start + Duration::from_millis(50) * step;
        client.handle_timeout(now);
        while client.poll_transmit(now, 1, &mut buffer).is_some() {
            if buffer[0] < 20 {
                driver.feed(now, route(1), &buffer, buffer.len());
            }
            buffer.clear();
        }
        let peer = &mut inner.lock().peer;
        peer.handle_timeout(now);
        while peer.poll_transmit(now, 1, &mut buffer).is_some() {
            client.handle_datagram(now, Route { local: remote, remote: local }, &buffer);
            buffer.clear();
        }
    }
    driver.serve_all(start);
    assert_eq!(inner.lock().peer.ice_state(), IceState::Connected);
    for (second, state) in [(12, PeerState::Disconnected), (16, PeerState::Failed)] {
        let now = start + Duration::from_secs(second);
        driver.make_ready(key);
        driver.serve_all(now);
        assert_eq!(inner.lock().peer.state(), state);
        assert_eq!(driver.shared.stats().pending, usize::from(state == PeerState::Disconnected));
    }
    assert_eq!(driver.shared.stats().connections_given_up, 1);
}

#[tokio::test]
async fn who_is_not_connected_in_time_is_given_up_once() {
    let now = crate::endpoint::now();
    let timeout = Duration::from_secs(30);
    let mut driver = driver(Some(timeout));
    let key = join(&mut driver, 1);
    let inner = driver.connections[&key].inner.clone();
    driver.serve_all(now);
    assert_eq!(driver.timers.next(), Some(now + timeout));
    assert_eq!(driver.timers.pop_due(now + timeout), Some(key));
    driver.make_ready(key);
    driver.serve_all(now + timeout);
    assert_eq!(inner.lock().reason(), Some(&CloseReason::Ice(FailureReason::NoAnswer)));
    let stats = driver.shared.stats();
    assert_eq!((stats.connections, stats.pending, stats.connections_given_up), (0, 0, 1));
    assert_eq!((driver.demux.len(), driver.timers.next()), ((0, 0), None));
}

/// A private connection waits as long as its user does.
#[tokio::test]
async fn a_private_connection_is_not_given_up() {
    let now = crate::endpoint::now();
    let mut driver = driver(None);
    join(&mut driver, 1);
    driver.serve_all(now);
    assert_eq!((driver.timers.next(), driver.connections.len()), (None, 1));
}

/// A server may wait for the end beside each piece of its work.
#[tokio::test]
async fn who_stops_waiting_for_the_end_leaves_nothing() {
    struct Nobody;
    impl Wake for Nobody {
        fn wake(self: Arc<Self>) {}
    }
    let driver = driver(None);
    let shared = driver.shared.clone();
    let nobody = Arc::new(Nobody);
    let waker = Waker::from(nobody.clone());
    {
        let mut waiting = pin!(shared.when_gone());
        assert!(waiting.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
        assert_eq!(Arc::strong_count(&nobody), 3);
    }
    assert_eq!(Arc::strong_count(&nobody), 2);
    let waiting = tokio::spawn({
        let shared = shared.clone();
        async move { shared.when_gone().await }
    });
    tokio::task::yield_now().await;
    drop(driver);
    waiting.await.unwrap();
    shared.when_gone().await;
}
