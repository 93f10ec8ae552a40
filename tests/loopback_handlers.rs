//! What handlers may do to their own connection: everything, and nothing deadlocks.

#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

#[path = "support/loopback.rs"]
mod support;

use futures_util::FutureExt;
use straits::{
    DataChannel, DataChannelInit, Error, IceCandidate, PeerConnection, PeerConnectionState, SdpType,
    SessionDescription,
};
use support::{candidates, peer, soon};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::mpsc;

/// Inside of which handler.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Open,
    Message,
    Closing,
    Close,
    Error,
    BufferedAmountLow,
    DataChannel,
    ConnectionState,
    SignalingState,
    IceCandidate,
}

/// What is done there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Deed {
    Send,
    CloseChannel,
    AbortChannel,
    CloseConnection,
    DropLastHandle,
    ReplaceHandlers,
    SetRemoteDescription,
    SetLocalDescription,
    AddCandidate,
    CreateChannel,
    ReadStates,
}

const PLACES: [Place; 10] = [
    Place::Open,
    Place::Message,
    Place::Closing,
    Place::Close,
    Place::Error,
    Place::BufferedAmountLow,
    Place::DataChannel,
    Place::ConnectionState,
    Place::SignalingState,
    Place::IceCandidate,
];

const DEEDS: [Deed; 11] = [
    Deed::Send,
    Deed::CloseChannel,
    Deed::AbortChannel,
    Deed::CloseConnection,
    Deed::DropLastHandle,
    Deed::ReplaceHandlers,
    Deed::SetRemoteDescription,
    Deed::SetLocalDescription,
    Deed::AddCandidate,
    Deed::CreateChannel,
    Deed::ReadStates,
];

/// What the handler has of its own connection, and whom it tells that the deed is done.
struct Own {
    deed: Deed,
    connection: PeerConnection,
    channel: DataChannel,
    done: mpsc::UnboundedSender<()>,
}

impl Own {
    fn act(self) {
        let Self { deed, connection, channel, done } = self;
        match deed {
            // It depends on the place whether it works; that it returns does not.
            Deed::Send => drop(channel.try_send("from inside")),
            Deed::CloseChannel => channel.close(),
            Deed::AbortChannel => channel.abort(),
            Deed::CloseConnection => connection.close(),
            Deed::DropLastHandle => {}
            Deed::ReplaceHandlers => {
                handle_all(&connection, &channel, |_| {});
                connection.on_ice_candidate(|_| {});
                channel.on_message(|_, _| {});
            }
            Deed::SetRemoteDescription => {
                let offer = SessionDescription { kind: SdpType::Offer, sdp: String::new() };
                drop(connection.set_remote_description(offer).now_or_never());
                tokio::spawn(async move {
                    let _ = connection.set_remote_description(peers_offer().await).await;
                });
            }
            Deed::SetLocalDescription => {
                drop(connection.create_offer().now_or_never());
                drop(connection.set_local_description_implicitly().now_or_never());
            }
            Deed::AddCandidate => drop(connection.add_ice_candidate(some_candidate())),
            Deed::CreateChannel => {
                let channel = connection.create_data_channel("from inside", DataChannelInit::default());
                if let Ok(channel) = channel {
                    channel.on_open(|_| {});
                }
            }
            Deed::ReadStates => {
                let _ = (connection.connection_state(), connection.stats(), connection.local_description());
                let _ = (channel.ready_state(), channel.buffered_amount(), channel.id(), channel.stats());
            }
        }
        drop(channel);
        done.send(()).unwrap();
    }
}

async fn peers_offer() -> SessionDescription {
    let other = peer();
    other.create_data_channel("", DataChannelInit::default()).unwrap();
    other.create_offer().await.unwrap()
}

fn some_candidate() -> IceCandidate {
    IceCandidate {
        candidate: "candidate:1 1 udp 2130706431 127.0.0.1 9 typ host".to_owned(),
        sdp_mid: Some("0".to_owned()),
        sdp_mline_index: Some(0),
        username_fragment: None,
    }
}

/// Sets all handlers but that for messages; each tells where it was called.
fn handle_all(
    connection: &PeerConnection,
    channel: &DataChannel,
    told: impl Fn(Place) + Clone + Send + 'static,
) {
    let tell = told.clone();
    channel.on_open(move |_| tell(Place::Open));
    let tell = told.clone();
    channel.on_closing(move |_| tell(Place::Closing));
    let tell = told.clone();
    channel.on_close(move |_| tell(Place::Close));
    let tell = told.clone();
    channel.on_error(move |_, _| tell(Place::Error));
    let tell = told.clone();
    channel.on_buffered_amount_low(move |_| tell(Place::BufferedAmountLow));
    let tell = told.clone();
    connection.on_data_channel(move |_| tell(Place::DataChannel));
    let tell = told.clone();
    connection.on_connection_state_change(move |state| {
        if state == PeerConnectionState::Connected {
            tell(Place::ConnectionState);
        }
    });
    connection.on_signaling_state_change(move |_| told(Place::SignalingState));
}

/// Lets all events happen on a connection that only the handler of one of them holds, which does the deed.
async fn check(place: Place, deed: Deed) {
    let what = format!("{deed:?} in {place:?}");
    let (a, b) = (peer(), peer());
    let channel = a.create_data_channel("data", DataChannelInit::default()).unwrap();
    let (found, mut candidates_a) = mpsc::unbounded_channel();
    let mut candidates_b = candidates(&b);
    let (done, mut deeds) = mpsc::unbounded_channel();
    let own = Own { deed, connection: a.clone(), channel: channel.clone(), done: done.clone() };
    let own = std::sync::Arc::new(std::sync::Mutex::new(Some(own)));
    let act = move |here| {
        if here == place {
            let own = own.lock().unwrap().take();
            own.into_iter().for_each(Own::act);
        }
    };
    handle_all(&a, &channel, act.clone());
    let (tell, held) = (act.clone(), done.clone());
    channel.on_message(move |channel, _| {
        assert!(!held.is_closed());
        tell(Place::Message);
        // Falls below the threshold once it is sent.
        let _ = channel.send_binary(vec![0; 2000]);
    });
    a.on_ice_candidate(move |candidate| {
        found.send(candidate).unwrap();
        act(Place::IceCandidate);
    });
    drop(done);
    drop(channel);
    let weak = a.downgrade();
    let negotiated = soon(&what, negotiate(&a, &b)).await;
    drop(a);
    // In some places the deed spoils the negotiation.
    if negotiated.is_ok() {
        // Only now can they connect: nobody but the handler holds the connection.
        let of_b = soon(&what, candidates_b.recv()).await.unwrap();
        // The handler that hands them out may have been replaced.
        if let Some(of_a) = soon(&what, candidates_a.recv()).await {
            if let Some(a) = weak.upgrade() {
                a.add_ice_candidate(of_b);
            }
            b.add_ice_candidate(of_a);
            stir(place, &b, &what).await;
        }
    }
    assert_eq!(soon(&what, deeds.recv()).await, Some(()));
    if let Some(a) = weak.upgrade() {
        a.close();
    }
    b.close();
    soon(&what, b.closed()).await;
    assert_eq!(soon(&format!("the handlers to be dropped, {what}"), deeds.recv()).await, None);
}

/// Makes the events happen that the other side has a part in.
async fn stir(place: Place, b: &PeerConnection, what: &str) {
    if matches!(place, Place::SignalingState | Place::IceCandidate | Place::ConnectionState | Place::Open) {
        return;
    }
    let Some(there) = soon(what, b.accept_channel()).await else { return };
    there.send("hello").await.unwrap();
    if matches!(place, Place::Message | Place::BufferedAmountLow) {
        return;
    }
    let announced = b.create_data_channel("theirs", DataChannelInit::default()).unwrap();
    // The deed may have been done by then.
    let _ = soon(what, announced.opened()).await;
    match place {
        Place::Closing | Place::Close => there.close(),
        Place::Error => b.close(),
        _ => {}
    }
}

/// Offer and answer, as far as it goes.
async fn negotiate(a: &PeerConnection, b: &PeerConnection) -> Result<(), Error> {
    let offer = a.create_offer().await?;
    a.set_local_description(offer.clone()).await?;
    b.set_remote_description(offer).await?;
    let answer = b.create_answer().await?;
    b.set_local_description(answer.clone()).await?;
    a.set_remote_description(answer).await
}

fn runtimes() -> [Runtime; 2] {
    [
        Builder::new_current_thread().enable_all().build().unwrap(),
        Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap(),
    ]
}

#[test]
fn every_deed_in_every_handler() {
    for runtime in runtimes() {
        for place in PLACES {
            for deed in DEEDS {
                runtime.block_on(async { tokio::spawn(check(place, deed)).await.unwrap() });
            }
        }
    }
}
