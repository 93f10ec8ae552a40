//! What the page is told of the process's end of a session.

use serde::Serialize;
use straits::{
    CandidatePairStats, DataChannelState, DtlsTransportState, IceCandidate, IceCandidateStats,
    IceConnectionState, IceGatheringState, PeerConnection, PeerConnectionState, SctpTransportState,
    SignalingState, TransportStats,
};

/// Everything that the page has to know now.
#[derive(Default)]
pub(crate) struct News {
    /// Of the process, as far as they are found.
    pub(crate) candidates: Vec<IceCandidate>,
    /// `None` before the first look.
    pub(crate) status: Option<Status>,
}

/// How the process sees the session.
#[derive(Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Status {
    signaling_state: SignalingState,
    ice_gathering_state: IceGatheringState,
    ice_connection_state: IceConnectionState,
    dtls_state: Option<DtlsTransportState>,
    sctp_state: Option<SctpTransportState>,
    connection_state: PeerConnectionState,
    channel_state: Option<DataChannelState>,
    /// Seconds.
    round_trip_time: Option<f64>,
    bytes_sent: u64,
    bytes_received: u64,
    selected_pair: Option<Pair>,
    /// Text and binary messages received on the channel of the message box.
    messages: u64,
    last_message: Option<String>,
    /// Why the connection has ended.
    ended: Option<String>,
}

/// The pair of candidates over which data flows.
#[derive(Clone, PartialEq, Serialize)]
struct Pair {
    local: Candidate,
    remote: Candidate,
}

#[derive(Clone, PartialEq, Serialize)]
struct Candidate {
    #[serde(rename = "type")]
    kind: &'static str,
    /// `None` when the page keeps it to itself.
    address: Option<String>,
    port: u16,
    protocol: &'static str,
}

/// What the message box's channel has to tell.
#[derive(Clone, Default)]
pub(crate) struct Inbox {
    pub(crate) state: Option<DataChannelState>,
    pub(crate) messages: u64,
    pub(crate) last: Option<String>,
}

impl Status {
    pub(crate) fn of(connection: &PeerConnection, inbox: Inbox) -> Self {
        let report = connection.get_stats();
        let transport = report.of_type::<TransportStats>().next();
        let selected = transport.and_then(|transport| transport.selected_candidate_pair_id.as_deref());
        let candidate = |id: &str| report.find::<IceCandidateStats>(id).map(Candidate::of);
        let selected_pair = selected.and_then(|id| report.find::<CandidatePairStats>(id)).and_then(|pair| {
            let local = candidate(&pair.local_candidate_id)?;
            Some(Pair { local, remote: candidate(&pair.remote_candidate_id)? })
        });
        let sctp = connection.sctp();
        Self {
            signaling_state: connection.signaling_state(),
            ice_gathering_state: connection.ice_gathering_state(),
            ice_connection_state: connection.ice_connection_state(),
            dtls_state: sctp.as_ref().map(|sctp| sctp.transport().state()),
            sctp_state: sctp.as_ref().map(straits::SctpTransport::state),
            connection_state: connection.connection_state(),
            channel_state: inbox.state,
            round_trip_time: connection.round_trip_time().map(|time| time.as_secs_f64()),
            bytes_sent: transport.map_or(0, |transport| transport.bytes_sent),
            bytes_received: transport.map_or(0, |transport| transport.bytes_received),
            selected_pair,
            messages: inbox.messages,
            last_message: inbox.last,
            ended: connection.close_reason().map(|reason| reason.to_string()),
        }
    }
}

impl Candidate {
    fn of(stats: &IceCandidateStats) -> Self {
        Self {
            kind: stats.candidate_type.as_str(),
            address: stats.address.map(|address| address.to_string()),
            port: stats.port,
            protocol: stats.protocol,
        }
    }
}
