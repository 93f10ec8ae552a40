//! The dictionaries of W3C webrtc-stats, with Rust's types for their members. What JSON has is in the units of the text.

use super::{Stats, units};
use crate::names::names;
use crate::{DataChannelState, DtlsTransportState, IceCandidateType, IceConnectionState, ice};
use serde::Serialize;
use std::net::IpAddr;
use std::time::{Duration, SystemTime};

/// `RTCPeerConnectionStats`: the connection as a whole.
#[doc(alias = "RTCPeerConnectionStats")]
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct PeerConnectionStats {
    /// Names the entry.
    pub id: String,
    /// When the entry was made.
    #[serde(serialize_with = "units::timestamp")]
    pub timestamp: SystemTime,
    /// Channels that have been open.
    pub data_channels_opened: u64,
    /// Those of them that are not open any more.
    pub data_channels_closed: u64,
}

/// `RTCDataChannelStats`: one channel.
#[doc(alias = "RTCDataChannelStats")]
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct DataChannelStats {
    /// Names the entry.
    pub id: String,
    /// When the entry was made.
    #[serde(serialize_with = "units::timestamp")]
    pub timestamp: SystemTime,
    /// The label.
    pub label: String,
    /// The subprotocol; empty if none.
    pub protocol: String,
    /// The stream id; `None` until there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data_channel_identifier: Option<u16>,
    /// As [`ready_state`](crate::DataChannel::ready_state) shows it.
    pub state: DataChannelState,
    /// Messages that `send` accepted.
    pub messages_sent: u64,
    /// Payload bytes of them.
    pub bytes_sent: u64,
    /// Messages that the application has read.
    pub messages_received: u64,
    /// Payload bytes of them.
    pub bytes_received: u64,
}

/// `RTCTransportStats`: ICE and DTLS, which all channels share.
#[doc(alias = "RTCTransportStats")]
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct TransportStats {
    /// Names the entry.
    pub id: String,
    /// When the entry was made.
    #[serde(serialize_with = "units::timestamp")]
    pub timestamp: SystemTime,
    /// Datagrams sent over all pairs, connectivity checks not counted.
    pub packets_sent: u64,
    /// Datagrams received over all pairs, connectivity checks not counted.
    pub packets_received: u64,
    /// UDP payload bytes sent, connectivity checks not counted.
    pub bytes_sent: u64,
    /// UDP payload bytes received, connectivity checks not counted.
    pub bytes_received: u64,
    /// Who nominates.
    pub ice_role: IceRole,
    /// Our `a=ice-ufrag`.
    pub ice_local_username_fragment: String,
    /// Where DTLS stands.
    pub dtls_state: DtlsTransportState,
    /// Where ICE stands.
    pub ice_state: IceConnectionState,
    /// The [`CandidatePairStats`] of the pair that data goes over.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub selected_candidate_pair_id: Option<String>,
    /// The [`CertificateStats`] of our certificate; of several, once the handshake has chosen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub local_certificate_id: Option<String>,
    /// The [`CertificateStats`] of the peer's certificate, once it was verified.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remote_certificate_id: Option<String>,
    /// The version as the protocol has it, four digits: `FEFD` is DTLS 1.2.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_version: Option<String>,
    /// The IANA name of the cipher suite.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dtls_cipher: Option<String>,
    /// Who began the handshake.
    pub dtls_role: DtlsRole,
    /// How often another pair was selected; the first one counts, and so does the loss of the last one.
    pub selected_candidate_pair_changes: u64,
}

/// `RTCSctpTransportStats`: the association that all channels share.
///
/// The dictionary was in drafts of webrtc-stats and is in use under these names. All else that SCTP counts is in
/// [`PeerConnection::stats`](crate::PeerConnection::stats).
#[doc(alias = "RTCSctpTransportStats")]
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct SctpTransportStats {
    /// Names the entry.
    pub id: String,
    /// When the entry was made.
    #[serde(serialize_with = "units::timestamp")]
    pub timestamp: SystemTime,
    /// The [`TransportStats`] below.
    pub transport_id: String,
    /// The smoothed round-trip time, once one was measured. JSON: seconds.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "units::optional_seconds")]
    pub smoothed_round_trip_time: Option<Duration>,
    /// The congestion window in bytes.
    pub congestion_window: usize,
    /// Bytes that the peer can take (RFC 6458 §8.2.1: `sstat_rwnd`).
    pub receiver_window: usize,
    /// The largest SCTP packet in bytes.
    pub mtu: usize,
    /// DATA chunks that are not acknowledged (RFC 6458 §8.2.1: `sstat_unackdata`).
    pub unack_data: usize,
}

/// `RTCIceCandidatePairStats`: a pair of candidates.
#[doc(alias = "RTCIceCandidatePairStats")]
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct CandidatePairStats {
    /// Names the entry.
    pub id: String,
    /// When the entry was made.
    #[serde(serialize_with = "units::timestamp")]
    pub timestamp: SystemTime,
    /// The [`TransportStats`] of its transport.
    pub transport_id: String,
    /// The [`IceCandidateStats`] of our candidate.
    pub local_candidate_id: String,
    /// The [`IceCandidateStats`] of the peer's candidate.
    pub remote_candidate_id: String,
    /// How far its check is.
    #[serde(serialize_with = "units::text")]
    pub state: ice::CandidatePairState,
    /// Was it nominated?
    pub nominated: bool,
    /// Datagrams sent, connectivity checks not counted.
    pub packets_sent: u64,
    /// Datagrams received, connectivity checks not counted.
    pub packets_received: u64,
    /// UDP payload bytes sent, connectivity checks not counted.
    pub bytes_sent: u64,
    /// UDP payload bytes received, connectivity checks not counted.
    pub bytes_received: u64,
    /// When the latest datagram was sent, connectivity checks not counted.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "units::optional_timestamp")]
    pub last_packet_sent_timestamp: Option<SystemTime>,
    /// When the latest datagram was received, connectivity checks not counted.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "units::optional_timestamp")]
    pub last_packet_received_timestamp: Option<SystemTime>,
    /// The sum of all round trips that checks and requests for consent have measured. JSON: seconds.
    #[serde(serialize_with = "units::seconds")]
    pub total_round_trip_time: Duration,
    /// The latest of them; `None` before the first one. JSON: seconds.
    ///
    /// A lite agent that faces a full one sends no checks and measures nothing here; SCTP does.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "units::optional_seconds")]
    pub current_round_trip_time: Option<Duration>,
    /// Checks received, retransmissions and requests for consent included.
    pub requests_received: u64,
    /// Checks sent, without retransmissions and requests for consent.
    pub requests_sent: u64,
    /// Responses received, to checks and to requests for consent.
    pub responses_received: u64,
    /// Responses sent.
    pub responses_sent: u64,
    /// Requests for consent sent (RFC 7675).
    pub consent_requests_sent: u64,
    /// Datagrams that the socket refused.
    pub packets_discarded_on_send: u64,
    /// Bytes in them.
    pub bytes_discarded_on_send: u64,
}

/// `RTCIceCandidateStats`: a candidate of either side.
#[doc(alias = "RTCIceCandidateStats")]
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct IceCandidateStats {
    /// Names the entry.
    pub id: String,
    /// When the entry was made.
    #[serde(serialize_with = "units::timestamp")]
    pub timestamp: SystemTime,
    /// Is it the peer's? JSON tells by the `type`.
    #[serde(skip)]
    pub is_remote: bool,
    /// The [`TransportStats`] of its transport.
    pub transport_id: String,
    /// The address; `None` (JSON: `null`) for one of the peer's that was seen on the network and that the peer has not
    /// signalled.
    pub address: Option<IpAddr>,
    /// The port.
    pub port: u16,
    /// Always `udp`.
    pub protocol: &'static str,
    /// How it became known. A candidate that was seen on the network first stays peer-reflexive.
    pub candidate_type: IceCandidateType,
    /// The priority (RFC 8445 §5.1.2).
    pub priority: u32,
    /// The foundation (RFC 8445 §5.1.1.3).
    pub foundation: String,
    /// `raddr` of a candidate that has it: for diagnosis.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub related_address: Option<String>,
    /// `rport` of a candidate that has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub related_port: Option<u16>,
    /// The `a=ice-ufrag` it belongs to; `None` for one that the peer has not signalled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub username_fragment: Option<String>,
}

/// `RTCCertificateStats`: a certificate of either side.
#[doc(alias = "RTCCertificateStats")]
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct CertificateStats {
    /// Names the entry.
    pub id: String,
    /// When the entry was made.
    #[serde(serialize_with = "units::timestamp")]
    pub timestamp: SystemTime,
    /// The fingerprint as in SDP: octets in upper-case hex with colons between them.
    pub fingerprint: String,
    /// What the fingerprint was computed with, in lower case: `sha-256`.
    pub fingerprint_algorithm: String,
    /// The certificate's DER form in base64.
    #[serde(rename = "base64Certificate")]
    pub base64_certificate: String,
}

names! {
    /// `RTCIceRole`, W3C webrtc-pc §5.6.
    #[doc(alias = "RTCIceRole")]
    IceRole {
        /// There is no offer yet.
        Unknown = "unknown",
        /// This side nominates.
        Controlling = "controlling",
        /// The peer nominates.
        Controlled = "controlled",
    }
}

impl From<Option<ice::Role>> for IceRole {
    fn from(role: Option<ice::Role>) -> Self {
        match role {
            None => Self::Unknown,
            Some(ice::Role::Controlling) => Self::Controlling,
            Some(ice::Role::Controlled) => Self::Controlled,
        }
    }
}

names! {
    /// `RTCDtlsRole`, W3C webrtc-stats.
    #[doc(alias = "RTCDtlsRole")]
    DtlsRole {
        /// Offer and answer are not both in place.
        Unknown = "unknown",
        /// This side begins the handshake.
        Client = "client",
        /// The peer begins it.
        Server = "server",
    }
}

/// A type of entry, to pick the entries of that type from a [`StatsReport`](super::StatsReport).
pub trait StatsDictionary: sealed::Sealed + 'static {
    /// The entry, if it is of this type.
    fn of(stats: &Stats) -> Option<&Self>;
}

macro_rules! dictionary {
    ($($name:ident: $($variant:ident)|+;)+) => {
        $(
            impl sealed::Sealed for $name {}

            impl StatsDictionary for $name {
                fn of(stats: &Stats) -> Option<&Self> {
                    match stats {
                        $(Stats::$variant(stats))|+ => Some(stats),
                        _ => None,
                    }
                }
            }
        )+
    };
}

dictionary! {
    PeerConnectionStats: PeerConnection;
    DataChannelStats: DataChannel;
    TransportStats: Transport;
    SctpTransportStats: SctpTransport;
    CandidatePairStats: CandidatePair;
    IceCandidateStats: LocalCandidate | RemoteCandidate;
    CertificateStats: Certificate;
}

mod sealed {
    /// Keeps the list of dictionaries ours.
    pub trait Sealed {}
}
