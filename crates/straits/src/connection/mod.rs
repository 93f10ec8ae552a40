//! `RTCPeerConnection`.

mod close;
mod configuration;
mod events;
pub(crate) mod handlers;
mod inner;
mod negotiation;
pub(crate) mod state;

pub use events::{Event, Events};
pub use negotiation::AddIceCandidate;

pub(crate) use inner::{ChannelHandle, Handle, Inner};

use crate::capture::Recorder;
use crate::channel::{DataChannel, DataChannelInit};
use crate::endpoint::Link;
use crate::stats::{self, Clock, StatsReport};
use crate::wakers::wait_fn;
use crate::{
    Configuration, Error, ErrorName, Explanation, IceCandidate, IceCandidateError, IceConnectionState,
    IceGatheringState, IceTransportPolicy, PeerConnectionState, SignalingState, endpoint,
};
use handlers::{ConnectionHandlers, Slot};
use rand::TryRng;
use rand::rngs::SysRng;
use state::{Item, State};
use std::sync::{Arc, Weak};
use std::time::{Duration, SystemTime};
use straits_peer::{Peer, Stats};
use tokio::runtime::Handle as Runtime;

/// `RTCPeerConnection`, W3C webrtc-pc §4.4: one end of a connection. Clones are handles on the same connection.
///
/// # Two faces
///
/// **Browser face**: getters for all states, handlers that are called for events (`on_ice_candidate`, `on_data_channel`,
/// …), and the methods of the W3C text. **Rust face**: [`connected`](Self::connected), [`closed`](Self::closed),
/// [`accept_channel`](Self::accept_channel), [`events`](Self::events).
///
/// Handlers of a connection and its channels are called one after another, in the order of the events, by one task that
/// the first handler starts. No lock is held meanwhile: a handler may send, close, replace itself, or drop the last handle
/// of its own connection. It must not block; what it cannot do at once it gives to `tokio::spawn`.
///
/// # What getters show
///
/// With handlers, state changes as the handlers are called: a handler sees exactly the state its event tells of. With
/// [`events`](Self::events) the same holds for the states of the connection as events are taken. With neither, getters show
/// where the connection stands now.
///
/// # Lifetime
///
/// The connection lives while a handle of it or of one of its channels lives. When the last one is dropped, what was
/// accepted is delivered within [`Configuration::drop_timeout`], then the connection ends; its task and its sockets end with
/// it. A closure counts as its captures do: a handler that captures a `PeerConnection` or `DataChannel` of the *same*
/// connection keeps it until something calls [`close`](Self::close). Channel handlers are passed their channel for this
/// reason, and [`downgrade`](Self::downgrade) gives a reference that does not count. Handlers are dropped when the
/// connection has ended.
#[derive(Clone, Debug)]
pub struct PeerConnection(Handle);

/// A reference to a connection that does not keep it alive. From [`PeerConnection::downgrade`].
#[derive(Clone, Debug)]
pub struct WeakPeerConnection(Weak<Inner>);

impl WeakPeerConnection {
    /// The connection, unless all its handles are gone.
    #[must_use]
    pub fn upgrade(&self) -> Option<PeerConnection> {
        Handle::try_new(self.0.upgrade()?).map(PeerConnection)
    }
}

impl PeerConnection {
    /// A connection that has not begun to negotiate. Nothing is sent and no socket is bound before
    /// [`set_local_description`](Self::set_local_description).
    ///
    /// # Errors
    ///
    /// `InvalidStateError` outside of a tokio runtime, whose sockets and timers the connection uses.
    /// `InvalidAccessError` when a certificate of the configuration has expired. `OperationError` when the system has no
    /// randomness or OpenSSL makes no certificate. `NotSupportedError`, `SyntaxError` and `InvalidAccessError` as
    /// [`set_configuration`](Self::set_configuration) has them.
    pub fn new(configuration: Configuration) -> Result<Self, Error> {
        Self::linked(configuration, endpoint::runtime()?, None)
    }

    /// With `link` the connection lives on that endpoint, else it will have its own.
    pub(crate) fn linked(
        configuration: Configuration,
        runtime: Runtime,
        link: Option<Link>,
    ) -> Result<Self, Error> {
        let identities = configuration.identities()?;
        configuration.rtc.check(None, false)?;
        let mut seed = [0; 32];
        SysRng.try_fill_bytes(&mut seed).map_err(|error| {
            Error::new(ErrorName::OperationError, format!("no randomness from the system: {error}"), "")
        })?;
        let recorder = match &link {
            Some(link) => link.recorder(),
            None => configuration.endpoint.recorder(),
        };
        let config = Recorder::configure(recorder.as_ref(), configuration.peer.clone());
        let mut peer = Peer::new(config, identities, seed, endpoint::now());
        peer.set_relay_only(configuration.rtc.ice_transport_policy == IceTransportPolicy::Relay);
        Ok(Self(Handle::new(Arc::new(Inner::new(peer, configuration, runtime, link)))))
    }

    pub(crate) fn inner(&self) -> &Arc<Inner> {
        self.0.inner()
    }

    /// A reference that does not keep the connection alive, for handlers of the connection itself.
    #[must_use]
    pub fn downgrade(&self) -> WeakPeerConnection {
        WeakPeerConnection(Arc::downgrade(self.0.inner()))
    }

    // Channels.

    /// `createDataChannel`, W3C webrtc-pc §6.1. The first one makes negotiation needed.
    ///
    /// # Errors
    ///
    /// `InvalidStateError` on a closed connection. `TypeError` for a label or protocol over 65535 bytes, an id of 65535, a
    /// negotiated channel without id, or two limits at once. `OperationError` when the id is in use or none is left.
    pub fn create_data_channel(
        &self,
        label: impl Into<String>,
        init: DataChannelInit,
    ) -> Result<DataChannel, Error> {
        let init = init.into_core(label.into())?;
        let shared = self.0.with(|state, now| {
            if state.is_over() {
                return Err(Error::closed(state.reason()));
            }
            let id = state.peer.open_channel(now, init)?;
            Ok(state.insert_channel(id, true).expect("the core has just opened this channel"))
        })?;
        Ok(DataChannel::new(ChannelHandle::new(self.0.inner().clone(), shared)))
    }

    /// The next channel that the peer opened; `None` when the connection has ended.
    ///
    /// Channels go to the handler of [`on_data_channel`](Self::on_data_channel) if there is one, else to
    /// [`events`](Self::events) if it is in use, else here; those that came before wait here.
    ///
    /// Cancel-safe: a future that is dropped has taken no channel.
    pub async fn accept_channel(&self) -> Option<DataChannel> {
        let shared = wait_fn(|wait| self.0.lock().poll_incoming(wait)).await?;
        Some(DataChannel::new(ChannelHandle::new(self.0.inner().clone(), shared)))
    }

    // States.

    /// Where offer and answer stand.
    #[must_use]
    pub fn signaling_state(&self) -> SignalingState {
        self.0.lock().published.signaling
    }

    /// How far the collection of local candidates is.
    #[must_use]
    pub fn ice_gathering_state(&self) -> IceGatheringState {
        self.0.lock().published.gathering
    }

    /// Where ICE stands.
    #[must_use]
    pub fn ice_connection_state(&self) -> IceConnectionState {
        self.0.lock().published.ice
    }

    /// Where the connection as a whole stands.
    #[must_use]
    pub fn connection_state(&self) -> PeerConnectionState {
        self.0.lock().published.connection
    }

    /// Does the peer take candidates after its description? `None` before there is one.
    #[must_use]
    pub fn can_trickle_ice_candidates(&self) -> Option<bool> {
        self.0.lock().peer.can_trickle()
    }

    /// The largest message that the peer accepts, in bytes; `None` while that is unknown or unlimited.
    #[must_use]
    pub fn max_message_size(&self) -> Option<usize> {
        self.0.lock().peer.max_message_size()
    }

    /// The measured round-trip time, once there is one.
    #[must_use]
    pub fn round_trip_time(&self) -> Option<Duration> {
        self.0.lock().peer.round_trip_time()
    }

    /// Counters of all layers, as they count: what was dropped and why, retransmissions, windows. Costs next to nothing, and
    /// has much that W3C webrtc-stats has no name for; what is told of single channels, pairs, candidates and certificates
    /// is in [`get_stats`](Self::get_stats).
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.0.lock().peer.stats()
    }

    /// `getStats`, W3C webrtc-pc §8.2: a report in the terms of W3C webrtc-stats, of this moment.
    ///
    /// Works in every state, closed included. A browser gives a promise; here nothing is waited for. The report holds
    /// everything; [`StatsReport::of_type`] selects. States in it are those of the layers, except that a channel has the
    /// state that its getter shows. For a program that watches a few counters often, [`stats`](Self::stats) and
    /// [`DataChannel::stats`] are cheaper.
    #[must_use]
    #[doc(alias = "getStats")]
    pub fn get_stats(&self) -> StatsReport {
        let mut state = self.0.lock();
        let clock = Clock { now: endpoint::now(), system: SystemTime::now() };
        stats::collect(&mut state, clock)
    }

    /// Where the connection stands, why it is not open, and what to do about it: a report for a person, by its `Display`,
    /// and the same as values. Works in every state.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), straits::Error> {
    /// use straits::{Configuration, DataChannelInit, Finding, PeerConnection, Stage};
    ///
    /// let connection = PeerConnection::new(Configuration::default())?;
    /// connection.create_data_channel("chat", DataChannelInit::default())?;
    /// let explanation = connection.explain();
    /// assert_eq!((explanation.stage(), &explanation.finding), (Stage::Signaling, &Finding::OfferNeeded));
    /// assert_eq!(
    ///     explanation.to_string(),
    ///     "not open, signaling: a channel waits for the first offer\n\
    ///      what to do: make an offer, set it as local description, and send it to the peer"
    /// );
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn explain(&self) -> Explanation {
        self.0.lock().peer.explain()
    }

    // Events.

    /// The events of the connection as a stream, instead of handlers.
    ///
    /// Handlers of its channels may be used beside it. Candidates and channels that came before wait in it.
    ///
    /// # Errors
    ///
    /// `InvalidStateError` when there is such a stream already, or a handler of the connection was set.
    pub fn events(&self) -> Result<Events, Error> {
        Events::claim(self)
    }

    /// Called when an exchange of offer and answer is needed; also when it was before the handler was set.
    pub fn on_negotiation_needed(&self, handler: impl FnMut() + Send + 'static) {
        let put = |handlers: &mut ConnectionHandlers| handlers.negotiation_needed.replace(Box::new(handler));
        self.set(put, |state| state.replay(|item| matches!(item, Item::NegotiationNeeded)));
    }

    /// Called when [`signaling_state`](Self::signaling_state) changes, with the new state.
    pub fn on_signaling_state_change(&self, handler: impl FnMut(SignalingState) + Send + 'static) {
        self.set(|handlers| handlers.signaling_state.replace(Box::new(handler)), |_| {});
    }

    /// Called when [`ice_gathering_state`](Self::ice_gathering_state) changes, with the new state.
    pub fn on_ice_gathering_state_change(&self, handler: impl FnMut(IceGatheringState) + Send + 'static) {
        self.set(|handlers| handlers.ice_gathering_state.replace(Box::new(handler)), |_| {});
    }

    /// Called when [`ice_connection_state`](Self::ice_connection_state) changes, with the new state.
    pub fn on_ice_connection_state_change(&self, handler: impl FnMut(IceConnectionState) + Send + 'static) {
        self.set(|handlers| handlers.ice_connection_state.replace(Box::new(handler)), |_| {});
    }

    /// Called when [`connection_state`](Self::connection_state) changes, with the new state.
    pub fn on_connection_state_change(&self, handler: impl FnMut(PeerConnectionState) + Send + 'static) {
        self.set(|handlers| handlers.connection_state.replace(Box::new(handler)), |_| {});
    }

    /// Called for each candidate to signal to the peer, and with `None` when there are no more. Candidates found before
    /// the handler was set wait for it.
    pub fn on_ice_candidate(&self, handler: impl FnMut(Option<IceCandidate>) + Send + 'static) {
        let put = |handlers: &mut ConnectionHandlers| handlers.ice_candidate.replace(Box::new(handler));
        self.set(put, |state| state.replay(|item| matches!(item, Item::Candidate(_))));
    }

    /// Called for each URL of an ICE server whenever candidates are gathered, because servers are not used.
    pub fn on_ice_candidate_error(&self, handler: impl FnMut(IceCandidateError) + Send + 'static) {
        self.set(|handlers| handlers.ice_candidate_error.replace(Box::new(handler)), |_| {});
    }

    /// Called with each channel that the peer opens. It is open already, its `on_open` comes after this, and no message
    /// is lost in between.
    pub fn on_data_channel(&self, handler: impl FnMut(DataChannel) + Send + 'static) {
        let put = |handlers: &mut ConnectionHandlers| handlers.data_channel.replace(Box::new(handler));
        self.set(put, State::replay_incoming);
    }

    pub(crate) fn set<F: ?Sized>(
        &self,
        put: impl FnOnce(&mut ConnectionHandlers) -> Slot<F>,
        replay: impl FnOnce(&mut State),
    ) {
        if !self.0.lock().claim_handlers() {
            tracing::warn!("handler not called: events() takes the events of this connection");
            return;
        }
        handlers::set(&self.0.handlers, put);
        self.0.inner().dispatch(replay);
    }
}
