//! Sockets, time, and the task that moves datagrams; with the handle that users have on it.
//!
//! One task per endpoint; an endpoint owns one or more UDP sockets and any number of connections. What demultiplexes
//! datagrams belongs to the task alone. User calls reach it through the ready list only. The endpoint that a connection
//! has for itself is of the same code.

mod demux;
mod driver;
mod early;
mod gather;
mod pool;
mod settings;
mod shared;
mod socket;
mod timers;
mod types;

pub use settings::EndpointConfiguration;
pub use types::{EndpointError, EndpointStats};

pub(crate) use shared::Link;

use crate::connection::Inner;
use crate::wakers::wait_fn;
use crate::{Configuration, Error, ErrorName, PeerConnection, SessionDescription};
use driver::Driver;
use shared::Shared;
use socket::Socket;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};
use straits_peer::{DescriptionKind, GatheringState};
use tokio::runtime::Handle as Runtime;

/// UDP sockets that carry any number of connections: the server that thousands of browsers reach on one port.
///
/// ```
/// use straits::{Configuration, Endpoint, EndpointConfiguration, Error, SessionDescription};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Error> {
/// let endpoint = Endpoint::bind(EndpointConfiguration::default().bind_address(([0, 0, 0, 0], 0).into()))?;
///
/// /// The handler of the request in which a browser posts its offer.
/// async fn connect(endpoint: &Endpoint, offer: SessionDescription) -> Result<SessionDescription, Error> {
///     let (connection, answer) = endpoint.accept(offer, Configuration::default()).await?;
///     tokio::spawn(async move {
///         while let Some(channel) = connection.accept_channel().await {
///             channel.on_message(|channel, message| {
///                 let _ = channel.try_send(message);
///             });
///         }
///     });
///     Ok(answer)
/// }
/// # let browser = straits::PeerConnection::new(Configuration::default())?;
/// # browser.create_data_channel("", straits::DataChannelInit::default())?;
/// # let offer = browser.create_offer().await?;
/// # connect(&endpoint, offer).await?;
/// # endpoint.close();
/// # Ok(())
/// # }
/// ```
///
/// # Who gets a datagram
///
/// Connectivity checks find their connection by the username fragment of its description. Everything else goes by address:
/// to the connection that an authenticated check from there has proven, and nowhere else; addresses in descriptions route
/// nothing. When a peer comes back from the same address and port with a new connection, the new one takes the address over
/// as soon as it is nominated, and the old one ends as one does whose peer is silent.
///
/// It follows that one pair of addresses carries one connection at a time. Browsers have a port of their own for each
/// connection; of two endpoints on one port each, only one connection at a time can be between.
///
/// # Lifetime
///
/// Clones are handles on the same endpoint. When the last one is dropped, no connection is added any more, and the task and
/// the sockets end with the last connection. [`close`](Self::close) ends the connections, too. A connection ends by
/// itself when it is not connected in time (see [`EndpointConfiguration::setup_timeout`]).
#[derive(Clone, Debug)]
pub struct Endpoint(Arc<Owner>);

/// The part that all handles share. Its end is that of the last handle.
#[derive(Debug)]
struct Owner {
    shared: Arc<Shared>,
    addresses: Vec<SocketAddr>,
    runtime: Runtime,
}

impl Drop for Owner {
    fn drop(&mut self) {
        self.shared.finish();
    }
}

impl Endpoint {
    /// Binds the sockets and starts the task of the endpoint.
    ///
    /// # Errors
    ///
    /// `InvalidStateError` outside of a tokio runtime. `OperationError` when an address cannot be bound.
    pub fn bind(configuration: EndpointConfiguration) -> Result<Self, Error> {
        let runtime = runtime()?;
        let shared = Arc::new(Shared::new(&configuration));
        let sockets = bind(&configuration).map_err(|error| {
            Error::io(&error, "free the port or name another with EndpointConfiguration::bind_address")
        })?;
        let addresses = sockets.iter().map(Socket::local).collect();
        runtime.spawn(Driver::new(
            shared.clone(),
            sockets,
            &configuration,
            Some(configuration.setup_timeout),
        ));
        Ok(Self(Arc::new(Owner { shared, addresses, runtime })))
    }

    /// A connection that lives on this endpoint, for either side of the exchange of offer and answer.
    ///
    /// It is as one of [`PeerConnection::new`], but for its sockets; what `configuration` says of those is of no
    /// meaning here. Making a certificate costs as much as a good part of the handshake: connections may
    /// [share one](Configuration::certificate).
    ///
    /// # Errors
    ///
    /// `OperationError` when the endpoint has [as many connections](EndpointError) as it may have. `InvalidStateError`
    /// when it is closed. Otherwise as [`PeerConnection::new`].
    pub fn connect(&self, configuration: Configuration) -> Result<PeerConnection, Error> {
        let reservation = self.0.shared.reserve()?;
        let connection =
            PeerConnection::linked(configuration, self.0.runtime.clone(), Some(reservation.link()))?;
        reservation.join(connection.inner().clone())?;
        Ok(connection)
    }

    /// Answers the offer of a peer: gives a connection on this endpoint and the answer to send back, with all candidates
    /// in it.
    ///
    /// It does not wait for the peer. Candidates that the peer signals after its offer may be passed on to
    /// [`PeerConnection::add_ice_candidate`], but a browser does not depend on it: it is the one that checks.
    /// When the future is dropped, there is no connection.
    ///
    /// # Errors
    ///
    /// As [`connect`](Self::connect), and as [`PeerConnection::set_remote_description`] for the offer.
    /// `InvalidAccessError` when the offer has no data channel section. No connection is left behind then.
    pub async fn accept(
        &self,
        offer: SessionDescription,
        configuration: Configuration,
    ) -> Result<(PeerConnection, SessionDescription), Error> {
        let connection = self.connect(configuration)?;
        connection.set_remote_description(offer).await?;
        connection.set_local_description_implicitly().await?;
        let answer = gathered(&connection).await?;
        Ok((connection, answer))
    }

    /// The addresses of the sockets, in the order in which they were given; wildcard addresses are as such.
    #[must_use]
    pub fn local_addresses(&self) -> &[SocketAddr] {
        &self.0.addresses
    }

    /// How many connections live on the endpoint, including those that are being set up or closed.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.0.shared.connections()
    }

    /// Counts of connections, table entries, and datagrams that no connection got.
    #[must_use]
    pub fn stats(&self) -> EndpointStats {
        self.0.shared.stats()
    }

    /// Ends all connections as [`PeerConnection::close`] does, and then the endpoint. No connection is added any more.
    ///
    /// [`closed`](Self::closed) tells when that is done.
    pub fn close(&self) {
        self.0.shared.close();
    }

    /// Waits until all connections have ended after [`close`](Self::close), their last packets were sent and the sockets
    /// are closed; or until the runtime of the endpoint is shut down.
    pub async fn closed(&self) {
        self.0.shared.when_gone().await;
    }
}

/// Waits until the local description has all its candidates, and gives it.
async fn gathered(connection: &PeerConnection) -> Result<SessionDescription, Error> {
    wait_fn(|wait| {
        let mut state = connection.inner().lock();
        if state.is_over() {
            return Err(Error::closed(state.reason())).into();
        }
        if !state.peer.has_transports() {
            let what = "the offer has no data channel section";
            let advice = "the peer must create a data channel before its offer";
            return Err(Error::new(ErrorName::InvalidAccessError, what, advice)).into();
        }
        match state.peer.description(DescriptionKind::CurrentLocal) {
            Some(answer) if state.peer.gathering_state() == GatheringState::Complete => {
                Ok(answer.into()).into()
            }
            _ => {
                state.register(wait);
                std::task::Poll::Pending
            }
        }
    })
    .await
}

/// The runtime whose sockets and timers are to be used.
pub(crate) fn runtime() -> Result<Runtime, Error> {
    Runtime::try_current().map_err(|_| {
        let advice = "call it from a task, or after Runtime::enter";
        Error::new(ErrorName::InvalidStateError, "there is no tokio runtime here", advice)
    })
}

/// The one clock.
pub(crate) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

/// `now + duration`, or so late that it does not matter.
pub(crate) fn after(now: Instant, duration: Duration) -> Instant {
    now.checked_add(duration).unwrap_or_else(|| now + FAR_FUTURE)
}

/// Names a connection for the life of its endpoint; never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Key(u64);

/// Binds an endpoint for one connection and starts its task, which ends with the connection.
pub(crate) fn bind_private(inner: &Arc<Inner>) -> Result<Link, Error> {
    let _runtime = inner.runtime().enter();
    let configuration = &inner.configuration.endpoint;
    let sockets = bind(configuration).map_err(|error| {
        Error::io(&error, "free a port or name an address with Configuration::bind_address")
    })?;
    let shared = Arc::new(Shared::new(configuration));
    let reservation = shared.reserve()?;
    let link = reservation.link();
    reservation.join(inner.clone())?;
    shared.finish();
    inner.runtime().spawn(Driver::new(shared, sockets, configuration, None));
    Ok(link)
}

/// The addresses asked for, all of them; or the wildcard addresses, as far as the machine has the families.
fn bind(configuration: &EndpointConfiguration) -> io::Result<Vec<Socket>> {
    let size = configuration.socket_buffer_size;
    if !configuration.bind.is_empty() {
        return configuration.bind.iter().map(|&address| Socket::bind(address, size)).collect();
    }
    let v4 = Socket::bind(SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)), size);
    let v6 = Socket::bind(SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)), size);
    match (v4, v6) {
        (Err(error), Err(_)) => Err(error),
        (Ok(socket), Err(error)) | (Err(error), Ok(socket)) => {
            tracing::debug!(%error, only = %socket.local(), "no socket for the other address family");
            Ok(vec![socket])
        }
        (Ok(v4), Ok(v6)) => Ok(vec![v4, v6]),
    }
}

/// About thirty years.
const FAR_FUTURE: Duration = Duration::from_secs(1 << 30);
