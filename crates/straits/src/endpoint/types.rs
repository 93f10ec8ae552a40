//! What users of an endpoint see beside its handle.

use std::fmt;

/// Why an endpoint made no connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EndpointError {
    /// [`EndpointConfiguration::max_connections`](crate::EndpointConfiguration::max_connections) live on it.
    TooManyConnections {
        /// The limit.
        max: usize,
    },
    /// [`EndpointConfiguration::max_pending`](crate::EndpointConfiguration::max_pending) connections are not connected
    /// yet.
    TooManyPending {
        /// The limit.
        max: usize,
    },
    /// It was closed, or its runtime was shut down.
    Closed,
}

impl fmt::Display for EndpointError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooManyConnections { max } => write!(f, "the endpoint has {max} connections"),
            Self::TooManyPending { max } => {
                write!(f, "{max} connections of the endpoint are not connected yet")
            }
            Self::Closed => f.write_str("the endpoint is closed"),
        }
    }
}

impl std::error::Error for EndpointError {}

/// Counters of an [`Endpoint`](crate::Endpoint). What a connection itself dropped is in its own
/// [`stats`](crate::PeerConnection::stats).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct EndpointStats {
    /// Connections that live on the endpoint now, including those that are being set up or closed.
    pub connections: usize,
    /// Those of them that were never connected yet.
    pub pending: usize,
    /// Connections made since the endpoint was bound.
    pub connections_made: u64,
    /// Calls of `connect` and `accept` refused because of a limit, or on a closed endpoint.
    pub connections_refused: u64,
    /// Connections that ended because they were not connected in time
    /// ([`EndpointConfiguration::setup_timeout`](crate::EndpointConfiguration::setup_timeout)).
    pub connections_given_up: u64,
    /// Addresses of peers by which datagrams find their connection now.
    pub routes: usize,
    /// Username fragments by which checks find their connection now: one for each connection, two during an ICE restart.
    pub fragments: usize,
    /// Datagrams dropped: DTLS from an address that no authenticated check has proven.
    pub unknown_sources: u64,
    /// Datagrams dropped: STUN messages that are for no connection, or are no answer to a check of one.
    pub unknown_checks: u64,
    /// Datagrams dropped: neither STUN nor DTLS.
    pub malformed: u64,
}
