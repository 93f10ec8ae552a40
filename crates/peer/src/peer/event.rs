//! What a [`Peer`](crate::Peer) reports.

use crate::{IceCandidate, SignalingState};
use std::fmt;
use straits_dtls as dtls;
use straits_ice::{self as ice, Route};
use straits_sctp::{self as sctp, ChannelEvent};

/// RTCPeerConnectionState (W3C webrtc-pc §4.3.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PeerState {
    /// No transport has begun.
    New,
    /// ICE or DTLS is at work.
    Connecting,
    /// ICE has a pair with consent and DTLS is up.
    Connected,
    /// The peer has been silent for a few seconds; it may come back.
    Disconnected,
    /// ICE gave up, or a layer ended with an error: see [`Peer::close_reason`](crate::Peer::close_reason).
    Failed,
    /// Closed here, or the peer said goodbye.
    Closed,
}

/// RTCIceGatheringState (W3C webrtc-pc §5.6.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GatheringState {
    /// No local description with a data section has been set.
    New,
    /// The owner is adding addresses.
    Gathering,
    /// All local candidates are known.
    Complete,
}

/// Why a connection failed or ended; names the layer. `Display` is one line for a person.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CloseReason {
    /// Closed by this side.
    Local {
        /// Bytes that `send` had accepted and the peer had not acknowledged.
        undelivered: usize,
    },
    /// Offer and answer are in place, and the data section was rejected (RFC 3264 §6: port zero).
    DataRejected,
    /// ICE found no way to the peer, or lost it. A restart may mend it.
    Ice(ice::FailureReason),
    /// The DTLS session ended.
    Dtls(dtls::CloseReason),
    /// The SCTP association ended.
    Sctp(sctp::CloseReason),
}

impl CloseReason {
    /// Whether this is an orderly end rather than a failure: a close by this side, or the peer's goodbye.
    pub fn is_orderly(&self) -> bool {
        match self {
            Self::Local { .. } => true,
            Self::Ice(_) | Self::DataRejected => false,
            Self::Dtls(reason) => {
                matches!(reason, dtls::CloseReason::LocalClose | dtls::CloseReason::RemoteClose)
            }
            Self::Sctp(reason) => match reason {
                sctp::CloseReason::LocalShutdown
                | sctp::CloseReason::LocalAbort
                | sctp::CloseReason::RemoteShutdown => true,
                // RFC 9260 §3.3.10.12: "User-Initiated Abort"; what `close` of the other side sends.
                sctp::CloseReason::RemoteAbort { cause, .. } => *cause == Some(USER_INITIATED_ABORT),
                _ => false,
            },
        }
    }
}

impl fmt::Display for CloseReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Local { undelivered: 0 } => f.write_str("closed by this side"),
            Self::Local { undelivered } => {
                write!(f, "closed by this side with {undelivered} bytes not delivered")
            }
            Self::DataRejected => f.write_str("the answer rejected data channels"),
            Self::Ice(reason) => write!(f, "ICE: {reason}"),
            Self::Dtls(reason) => write!(f, "DTLS: {reason}"),
            Self::Sctp(reason) => write!(f, "SCTP: {reason}"),
        }
    }
}

/// What changed. State events come in the order the W3C text gives them, and getters of the peer already show the new
/// state when an event is taken.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// An offer is wanted (W3C webrtc-pc §4.7.3): a first channel was opened or ICE is to restart.
    NegotiationNeeded,
    /// The signalling state changed, once per change.
    SignalingStateChanged(SignalingState),
    /// Gathering began, or all local candidates are known.
    IceGatheringStateChanged(GatheringState),
    /// The ICE transport's state changed.
    IceStateChanged(ice::State),
    /// The DTLS transport's state changed.
    DtlsStateChanged(dtls::State),
    /// The state of the whole changed, after the layer events that caused it.
    ConnectionStateChanged(PeerState),
    /// A local description needs candidates: the owner binds its sockets, calls
    /// [`Peer::add_local_candidate`](crate::Peer::add_local_candidate) for each address and then
    /// [`Peer::set_gathering_complete`](crate::Peer::set_gathering_complete).
    GatheringNeeded,
    /// A local candidate to signal; an empty candidate line ends the generation, and `None`, the last of all, says
    /// that gathering is complete.
    IceCandidate(Option<IceCandidate>),
    /// An authenticated check came over this route: datagrams on it are for this peer.
    RouteAdded(Route),
    /// Datagrams on this route are no longer for this peer.
    RouteRemoved(Route),
    /// Data now leaves over this route.
    RouteSelected(Route),
    /// About the association or one of its channels.
    Channel(ChannelEvent),
    /// The transport has ended; once, the last event. [`Peer::close_reason`](crate::Peer::close_reason) remembers it.
    Closed(CloseReason),
}

/// RFC 9260 §3.3.10.12: cause code 12.
const USER_INITIATED_ABORT: u16 = 12;
