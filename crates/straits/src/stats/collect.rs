//! How a report is made of what the layers know.

use super::{
    CandidatePairStats, CertificateStats, DataChannelStats, DtlsRole, IceCandidateStats, PeerConnectionStats,
    SctpTransportStats, Stats, StatsReport, TransportStats,
};
use crate::IceCandidateType;
use crate::connection::state::State;
use std::hash::{BuildHasher, RandomState};
use std::net::SocketAddr;
use std::time::{Instant, SystemTime};
use straits_peer::Peer;
use straits_peer::dtls::{self, Certificate, HashFunction};
use straits_peer::ice::{Candidate, CandidateAddress, CandidatePair, Route};

/// One moment by both clocks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    pub(crate) now: Instant,
    pub(crate) system: SystemTime,
}

impl Clock {
    /// An earlier moment by the system's clock, as that stands now.
    fn system(&self, at: Instant) -> SystemTime {
        let ago = self.now.saturating_duration_since(at);
        self.system.checked_sub(ago).unwrap_or(SystemTime::UNIX_EPOCH)
    }
}

/// A report of this moment.
pub(crate) fn collect(state: &mut State, clock: Clock) -> StatsReport {
    let mut report = StatsReport::default();
    let stats = state.peer.stats();
    report.insert(Stats::PeerConnection(PeerConnectionStats {
        id: "PC".into(),
        timestamp: clock.system,
        data_channels_opened: stats.channels_opened,
        data_channels_closed: stats.channels_closed,
    }));
    channels(&mut report, state, clock);
    if state.peer.has_transports() {
        let collector = Collector { peer: &state.peer, ids: &state.stats_ids, clock };
        collector.certificates(&mut report);
        collector.candidates(&mut report);
        collector.pairs(&mut report);
        let transport = collector.transport(&report);
        report.insert(Stats::Transport(transport));
        if state.peer.dtls_role().is_some() {
            report.insert(Stats::SctpTransport(collector.association()));
        }
    }
    report
}

fn channels(report: &mut StatsReport, state: &mut State, clock: Clock) {
    for (id, entry) in &state.channels {
        let init = &entry.shared.init;
        let Some(channel) = state.peer.channel(*id) else { continue };
        let (stats, stream) = (channel.stats(), channel.stream_id());
        report.insert(Stats::DataChannel(DataChannelStats {
            id: format!("D{:016x}", state.stats_ids.hash_one(id)),
            timestamp: clock.system,
            label: init.label.clone(),
            protocol: init.protocol.clone(),
            data_channel_identifier: stream,
            state: entry.published,
            messages_sent: stats.messages_sent,
            bytes_sent: stats.bytes_sent,
            messages_received: stats.messages_received,
            bytes_received: stats.bytes_received,
        }));
    }
}

/// Makes the entries of the transports.
struct Collector<'a> {
    peer: &'a Peer,
    /// Makes ids of addresses, from which those cannot be told.
    ids: &'a RandomState,
    clock: Clock,
}

impl Collector<'_> {
    fn transport(&self, report: &StatsReport) -> TransportStats {
        let agent = self.peer.ice();
        let traffic = agent.traffic();
        let negotiated = self.peer.dtls_negotiated();
        let selected = agent.selected().map(|route| self.pair_id(route));
        let mut identities = self.peer.identities().iter();
        let local_certificate = match (&negotiated, identities.next(), identities.next()) {
            (Some(negotiated), ..) => Some(negotiated.local_certificate.clone()),
            (None, Some(only), None) => Some(only.certificate()),
            (None, ..) => None,
        };
        TransportStats {
            id: TRANSPORT.into(),
            timestamp: self.clock.system,
            packets_sent: traffic.packets_sent,
            packets_received: traffic.packets_received,
            bytes_sent: traffic.bytes_sent,
            bytes_received: traffic.bytes_received,
            ice_role: self.peer.ice_role().into(),
            ice_local_username_fragment: agent.local_credentials().ufrag.clone(),
            dtls_state: self.peer.dtls_state().into(),
            ice_state: self.peer.ice_state().into(),
            selected_candidate_pair_id: selected.filter(|id| report.get(id).is_some()),
            local_certificate_id: local_certificate.as_ref().map(certificate_id),
            remote_certificate_id: negotiated.as_ref().map(|it| certificate_id(&it.peer_certificate)),
            tls_version: negotiated.as_ref().map(|it| format!("{:04X}", it.version)),
            dtls_cipher: negotiated.as_ref().map(|it| it.cipher_suite.into()),
            dtls_role: match self.peer.dtls_role() {
                None => DtlsRole::Unknown,
                Some(dtls::Role::Client) => DtlsRole::Client,
                Some(dtls::Role::Server) => DtlsRole::Server,
            },
            selected_candidate_pair_changes: agent.selected_pair_changes(),
        }
    }

    fn association(&self) -> SctpTransportStats {
        let stats = self.peer.association().stats();
        SctpTransportStats {
            id: "SCTP".into(),
            timestamp: self.clock.system,
            transport_id: TRANSPORT.into(),
            smoothed_round_trip_time: stats.srtt,
            congestion_window: stats.cwnd,
            receiver_window: stats.peer_rwnd,
            mtu: stats.mtu,
            unack_data: stats.unacknowledged_chunks,
        }
    }

    fn certificates(&self, report: &mut StatsReport) {
        let own = self.peer.identities().iter().map(dtls::Identity::certificate);
        let peers = self.peer.dtls_negotiated().map(|negotiated| negotiated.peer_certificate);
        for certificate in own.chain(peers) {
            let fingerprint = certificate.fingerprint(HashFunction::Sha256);
            report.insert(Stats::Certificate(CertificateStats {
                id: certificate_id(&certificate),
                timestamp: self.clock.system,
                fingerprint: fingerprint.hex().to_uppercase(),
                fingerprint_algorithm: fingerprint.function.name().into(),
                base64_certificate: certificate.base64(),
            }));
        }
    }

    fn candidates(&self, report: &mut StatsReport) {
        let agent = self.peer.ice();
        for candidate in agent.local_candidates() {
            if let Some(entry) = self.candidate(candidate, false) {
                report.insert(Stats::LocalCandidate(entry));
            }
        }
        let remote_fragment = agent.remote_credentials().map(|credentials| credentials.ufrag.clone());
        for known in agent.known_remote_candidates() {
            let Some(mut entry) = self.candidate(known.candidate, true) else { continue };
            if known.is_reflexive {
                entry.candidate_type = IceCandidateType::Prflx;
            }
            if known.is_signalled {
                entry.username_fragment = entry.username_fragment.or_else(|| remote_fragment.clone());
            } else {
                // W3C webrtc-stats: the address of a candidate that only the network showed is not exposed.
                entry.address = None;
            }
            report.insert(Stats::RemoteCandidate(entry));
        }
    }

    fn candidate(&self, candidate: &Candidate, is_remote: bool) -> Option<IceCandidateStats> {
        let CandidateAddress::Ip(ip) = candidate.address else { return None };
        let address = SocketAddr::new(ip, candidate.port);
        let related = candidate.related.as_ref();
        Some(IceCandidateStats {
            id: if is_remote { self.remote_id(address) } else { self.local_id(address) },
            timestamp: self.clock.system,
            is_remote,
            transport_id: TRANSPORT.into(),
            address: Some(ip),
            port: candidate.port,
            protocol: "udp",
            candidate_type: candidate.kind.into(),
            priority: candidate.priority,
            foundation: candidate.foundation.clone(),
            related_address: related.map(|(address, _)| address.to_string()),
            related_port: related.map(|(_, port)| *port),
            username_fragment: candidate.ufrag.clone(),
        })
    }

    /// Those whose candidates are in the report.
    fn pairs(&self, report: &mut StatsReport) {
        for pair in self.peer.ice().candidate_pairs() {
            let entry = self.pair(pair);
            let is_known = |id: &str| report.get(id).is_some();
            if is_known(&entry.local_candidate_id) && is_known(&entry.remote_candidate_id) {
                report.insert(Stats::CandidatePair(entry));
            }
        }
    }

    fn pair(
        &self,
        CandidatePair { route, state, is_nominated, counters, .. }: CandidatePair,
    ) -> CandidatePairStats {
        let traffic = counters.traffic;
        CandidatePairStats {
            id: self.pair_id(route),
            timestamp: self.clock.system,
            transport_id: TRANSPORT.into(),
            local_candidate_id: self.local_id(route.local),
            remote_candidate_id: self.remote_id(route.remote),
            state,
            nominated: is_nominated,
            packets_sent: traffic.packets_sent,
            packets_received: traffic.packets_received,
            bytes_sent: traffic.bytes_sent,
            bytes_received: traffic.bytes_received,
            last_packet_sent_timestamp: traffic.last_sent.map(|at| self.clock.system(at)),
            last_packet_received_timestamp: traffic.last_received.map(|at| self.clock.system(at)),
            total_round_trip_time: counters.total_round_trip_time,
            current_round_trip_time: counters.current_round_trip_time,
            requests_received: counters.requests_received,
            requests_sent: counters.requests_sent,
            responses_received: counters.responses_received,
            responses_sent: counters.responses_sent,
            consent_requests_sent: counters.consent_requests_sent,
            packets_discarded_on_send: traffic.packets_discarded,
            bytes_discarded_on_send: traffic.bytes_discarded,
        }
    }

    fn pair_id(&self, route: Route) -> String {
        format!("CP{:016x}", self.ids.hash_one(route))
    }

    fn local_id(&self, address: SocketAddr) -> String {
        format!("IL{:016x}", self.ids.hash_one(address))
    }

    fn remote_id(&self, address: SocketAddr) -> String {
        format!("IR{:016x}", self.ids.hash_one(address))
    }
}

fn certificate_id(certificate: &Certificate) -> String {
    format!("CF{}", certificate.fingerprint(HashFunction::Sha256).hex())
}

/// There is one transport.
const TRANSPORT: &str = "T";
