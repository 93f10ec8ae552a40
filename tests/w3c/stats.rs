//! `getStats`: what a report holds, in the words of webrtc-stats.

use super::support::{
    Pair, candidates, configuration, connect, end, line, negotiate, offerer, peer, soon, trickle, with_lines,
};
use data_encoding::BASE64;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};
use straits::{
    CandidatePairStats, CertificateStats, DataChannelInit, DataChannelState, DataChannelStats, DtlsRole,
    DtlsTransportState, HashFunction, IceCandidateStats, IceConnectionState, IceRole, Identity, KeyAlgorithm,
    PeerConnection, PeerConnectionStats, SctpTransportStats, Stats, StatsDictionary, StatsReport,
    TransportStats, ice,
};

/// The only entry of its type.
fn only<T: StatsDictionary + Clone>(report: &StatsReport) -> T {
    let all: Vec<&T> = report.of_type().collect();
    assert_eq!(all.len(), 1, "{report:#?}");
    all[0].clone()
}

fn transport(connection: &PeerConnection) -> TransportStats {
    only(&connection.get_stats())
}

fn selected_pair(report: &StatsReport) -> CandidatePairStats {
    let id = only::<TransportStats>(report).selected_candidate_pair_id.unwrap();
    report.find::<CandidatePairStats>(&id).unwrap().clone()
}

/// A connected pair over which messages went both ways, and whose ends have both measured a round trip.
async fn in_use() -> Pair {
    let pair = Pair::new().await;
    pair.channel_a.send("question").await.unwrap();
    soon("a message", pair.channel_b.recv()).await.unwrap();
    pair.channel_b.send("answer").await.unwrap();
    soon("a message", pair.channel_a.recv()).await.unwrap();
    for connection in [&pair.a, &pair.b] {
        soon("a round trip", async {
            while selected_pair(&connection.get_stats()).current_round_trip_time.is_none() {
                tokio::task::yield_now().await;
            }
        })
        .await;
    }
    pair
}

#[tokio::test]
async fn stt_01_in_every_state_of_a_connection() {
    let fresh = peer();
    let types = |report: &StatsReport| report.iter().map(type_of).collect::<Vec<_>>();
    assert_eq!(types(&fresh.get_stats()), ["peer-connection"]);
    let pair = Pair::new().await;
    let all = BTreeSet::from([
        "candidate-pair",
        "certificate",
        "data-channel",
        "local-candidate",
        "peer-connection",
        "remote-candidate",
        "sctp-transport",
        "transport",
    ]);
    let connected = types(&pair.a.get_stats());
    assert_eq!(connected.iter().map(String::as_str).collect::<BTreeSet<_>>(), all);
    // In the middle of a negotiation, whose chain of operations a report does not wait for.
    let offer = pair.a.create_offer().await.unwrap();
    let applied = pair.a.set_local_description(offer);
    assert_eq!(types(&pair.a.get_stats()), connected);
    applied.await.unwrap();
    let (a, b) = (pair.a.clone(), pair.b.clone());
    pair.close().await;
    end([fresh.clone()]).await;
    assert_eq!(types(&fresh.get_stats()), ["peer-connection"]);
    for closed in [a, b] {
        let report = closed.get_stats();
        let transport: TransportStats = only(&report);
        assert_eq!(transport.ice_state, IceConnectionState::Closed);
        assert_eq!(transport.dtls_state, DtlsTransportState::Closed);
        assert_eq!(transport.selected_candidate_pair_id, None);
        assert!(transport.bytes_sent > 0);
        // The certificates of the session that was are still known.
        assert!(report.find::<CertificateStats>(&transport.remote_certificate_id.unwrap()).is_some());
    }
}

#[tokio::test]
async fn stt_03_channels_opened_and_closed() {
    let counts = |connection: &PeerConnection| {
        let stats: PeerConnectionStats = only(&connection.get_stats());
        (stats.data_channels_opened, stats.data_channels_closed)
    };
    let fresh = peer();
    assert_eq!(counts(&fresh), (0, 0));
    fresh.create_data_channel("", DataChannelInit::default()).unwrap();
    assert_eq!(counts(&fresh), (0, 0));
    let pair = Pair::new().await;
    assert_eq!((counts(&pair.a), counts(&pair.b)), ((1, 0), (1, 0)));
    let second = pair.a.create_data_channel("", DataChannelInit::default()).unwrap();
    soon("it to open", second.opened()).await.unwrap();
    assert_eq!(counts(&pair.a), (2, 0));
    // It has left the state "open" at once, whatever the other side does.
    second.close();
    assert_eq!(counts(&pair.a), (2, 1));
    soon("it to close", second.closed()).await;
    assert_eq!(counts(&pair.a), (2, 1));
    drop(second);
    assert_eq!(counts(&pair.a), (2, 1));
    let (a, b) = (pair.a.clone(), pair.b.clone());
    pair.close().await;
    assert_eq!((counts(&a), counts(&b)), ((2, 2), (2, 2)));
    // One that never was open counts for neither.
    end([fresh.clone()]).await;
    assert_eq!(counts(&fresh), (0, 0));
}

#[tokio::test]
async fn stt_04_timestamps() {
    let pair = Pair::new().await;
    let mut last = SystemTime::UNIX_EPOCH;
    for _ in 0..3 {
        let before = SystemTime::now();
        let report = pair.a.get_stats();
        let after = SystemTime::now();
        let json = serde_json::to_value(&report).unwrap();
        let milliseconds =
            |time: SystemTime| time.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs_f64() * 1000.0;
        for entry in &report {
            let timestamp = entry.timestamp();
            assert!(before <= timestamp && timestamp <= after, "{entry:?}");
            assert!(timestamp > last, "{entry:?}");
            let written = json[entry.id()]["timestamp"].as_f64().unwrap();
            assert!((written - milliseconds(timestamp)).abs() < 0.01, "{written} {timestamp:?}");
        }
        last = after;
        // The clock is read again after it has moved.
        while SystemTime::now() <= last {
            std::hint::spin_loop();
        }
    }
    pair.close().await;
}

/// A member of a dictionary, and what is known of it when a connection is in use.
enum Member {
    /// It is there.
    Present,
    /// It is not, and why.
    Absent(&'static str),
}
use Member::{Absent, Present};

const NO_MEDIA: &str = "of media, which we do not carry";
const NO_SERVER: &str = "of candidates from STUN or TURN servers, which are not used";

/// The dictionaries of webrtc-stats (and of its drafts: `sctp-transport`) for connections without media, beside `id`,
/// `type` and `timestamp`.
const DICTIONARIES: &[(&str, &[(&str, Member)])] = &[
    ("peer-connection", &[("dataChannelsOpened", Present), ("dataChannelsClosed", Present)]),
    (
        "data-channel",
        &[
            ("label", Present),
            ("protocol", Present),
            ("dataChannelIdentifier", Present),
            ("state", Present),
            ("messagesSent", Present),
            ("bytesSent", Present),
            ("messagesReceived", Present),
            ("bytesReceived", Present),
        ],
    ),
    (
        "transport",
        &[
            ("packetsSent", Present),
            ("packetsReceived", Present),
            ("bytesSent", Present),
            ("bytesReceived", Present),
            ("iceRole", Present),
            ("iceLocalUsernameFragment", Present),
            ("dtlsState", Present),
            ("iceState", Present),
            ("selectedCandidatePairId", Present),
            ("localCertificateId", Present),
            ("remoteCertificateId", Present),
            ("tlsVersion", Present),
            ("dtlsCipher", Present),
            ("dtlsRole", Present),
            ("selectedCandidatePairChanges", Present),
            ("srtpCipher", Absent(NO_MEDIA)),
            ("ccfbMessagesSent", Absent(NO_MEDIA)),
            ("ccfbMessagesReceived", Absent(NO_MEDIA)),
        ],
    ),
    (
        "sctp-transport",
        &[
            ("transportId", Present),
            ("smoothedRoundTripTime", Present),
            ("congestionWindow", Present),
            ("receiverWindow", Present),
            ("mtu", Present),
            ("unackData", Present),
        ],
    ),
    (
        "candidate-pair",
        &[
            ("transportId", Present),
            ("localCandidateId", Present),
            ("remoteCandidateId", Present),
            ("state", Present),
            ("nominated", Present),
            ("packetsSent", Present),
            ("packetsReceived", Present),
            ("bytesSent", Present),
            ("bytesReceived", Present),
            ("lastPacketSentTimestamp", Present),
            ("lastPacketReceivedTimestamp", Present),
            ("totalRoundTripTime", Present),
            ("currentRoundTripTime", Present),
            ("requestsReceived", Present),
            ("requestsSent", Present),
            ("responsesReceived", Present),
            ("responsesSent", Present),
            ("consentRequestsSent", Present),
            ("packetsDiscardedOnSend", Present),
            ("bytesDiscardedOnSend", Present),
            ("availableOutgoingBitrate", Absent("of the congestion control of RTP streams")),
            ("availableIncomingBitrate", Absent("of the congestion control of RTP streams")),
        ],
    ),
    ("local-candidate", CANDIDATE),
    ("remote-candidate", CANDIDATE),
    (
        "certificate",
        &[
            ("fingerprint", Present),
            ("fingerprintAlgorithm", Present),
            ("base64Certificate", Present),
            ("issuerCertificateId", Absent("the certificates are self-signed")),
        ],
    ),
];

const CANDIDATE: &[(&str, Member)] = &[
    ("transportId", Present),
    ("address", Present),
    ("port", Present),
    ("protocol", Present),
    ("candidateType", Present),
    ("priority", Present),
    ("foundation", Present),
    ("usernameFragment", Present),
    ("relatedAddress", Absent("of candidates that are not of type host")),
    ("relatedPort", Absent("of candidates that are not of type host")),
    ("url", Absent(NO_SERVER)),
    ("relayProtocol", Absent(NO_SERVER)),
    ("tcpType", Absent("of TCP candidates, which are not used")),
];

fn object(value: &Value) -> &Map<String, Value> {
    value.as_object().unwrap()
}

fn type_of(entry: &Stats) -> String {
    serde_json::to_value(entry).unwrap()["type"].as_str().unwrap().to_owned()
}

/// Exactly the members of the tables, in every entry, at both ends; none of them is null.
#[tokio::test]
async fn stt_05_11_the_members_of_every_dictionary() {
    let pair = in_use().await;
    for connection in [&pair.a, &pair.b] {
        let json = serde_json::to_value(connection.get_stats()).unwrap();
        for (name, members) in DICTIONARIES {
            let entries = object(&json).values().filter(|entry| entry["type"] == *name);
            let mut expected = BTreeSet::from(["id", "timestamp", "type"]);
            for (member, presence) in *members {
                match presence {
                    Present => assert!(expected.insert(member)),
                    Absent(reason) => assert!(!reason.is_empty()),
                }
            }
            let mut count = 0;
            for entry in entries {
                let present: BTreeSet<&str> = object(entry).keys().map(String::as_str).collect();
                assert_eq!(present, expected, "{name}");
                assert!(object(entry).values().all(|value| !value.is_null()), "{entry}");
                count += 1;
            }
            assert!(count > 0, "{name}");
        }
        // No entry is of another type, and each stands under its id.
        for (id, entry) in object(&json) {
            assert_eq!(entry["id"], **id);
            assert!(DICTIONARIES.iter().any(|(name, _)| entry["type"] == *name), "{entry}");
        }
    }
    pair.close().await;
}

/// What the members of a connection in use say, in the types and units of the text.
#[tokio::test]
async fn what_the_members_say() {
    let pair = in_use().await;
    // In this order, so that what has arrived at one end by its report was sent by the other one's.
    let b = pair.b.get_stats();
    let a = pair.a.get_stats();
    for (report, roles) in [
        (&a, [("iceRole", "controlling"), ("dtlsRole", "server")]),
        (&b, [("iceRole", "controlled"), ("dtlsRole", "client")]),
    ] {
        let json = serde_json::to_value(report).unwrap();
        let of = |name: &str| object(&json).values().find(|entry| entry["type"] == *name).unwrap();
        let transport = of("transport");
        for (role, value) in roles {
            assert_eq!(transport[role], value);
        }
        assert_eq!(
            (&transport["iceState"], &transport["dtlsState"]),
            (&"connected".into(), &"connected".into())
        );
        assert_eq!(transport["selectedCandidatePairChanges"], 1);
        let candidate_pair = &json[transport["selectedCandidatePairId"].as_str().unwrap()];
        assert_eq!(
            (&candidate_pair["state"], &candidate_pair["nominated"]),
            (&"succeeded".into(), &true.into())
        );
        for member in ["packetsSent", "packetsReceived", "bytesSent", "bytesReceived"] {
            assert_eq!(candidate_pair[member], transport[member], "{member}");
        }
        let (local, remote) = (&candidate_pair["localCandidateId"], &candidate_pair["remoteCandidateId"]);
        let [local, remote] = [local, remote].map(|id| &json[id.as_str().unwrap()]);
        assert_eq!(
            (&local["type"], &remote["type"]),
            (&"local-candidate".into(), &"remote-candidate".into())
        );
        for candidate in [local, remote] {
            assert_eq!((&candidate["address"], &candidate["protocol"]), (&"127.0.0.1".into(), &"udp".into()));
            assert_eq!(candidate["transportId"], transport["id"]);
        }
        let channel = of("data-channel");
        assert_eq!((&channel["label"], &channel["state"]), (&"data".into(), &"open".into()));
        assert_eq!(of("sctp-transport")["transportId"], transport["id"]);
    }
    let channels = [&a, &b].map(only::<DataChannelStats>);
    let counts = channels.map(|channel| {
        [channel.messages_sent, channel.bytes_sent, channel.messages_received, channel.bytes_received]
    });
    assert_eq!(counts, [[1, 8, 1, 6], [1, 6, 1, 8]]);
    let (here, there) = (selected_pair(&a), selected_pair(&b));
    assert!(here.bytes_sent >= there.bytes_received && there.bytes_received > 0);
    assert!(here.bytes_sent > here.packets_sent);
    assert!(here.requests_sent + here.consent_requests_sent >= there.requests_received);
    assert!(
        here.responses_received > 0
            && here.responses_received <= here.requests_sent + here.consent_requests_sent
    );
    assert!(here.packets_sent >= there.packets_received && there.packets_received > 0);
    assert_eq!((here.packets_discarded_on_send, here.bytes_discarded_on_send), (0, 0));
    let sctp: SctpTransportStats = only(&a);
    assert!(sctp.congestion_window >= sctp.mtu && sctp.receiver_window > 0, "{sctp:?}");
    pair.close().await;
}

#[tokio::test]
async fn stt_06_sums_of_round_trips() {
    let begin = SystemTime::now();
    let pair = in_use().await;
    for connection in [&pair.a, &pair.b] {
        let report = connection.get_stats();
        let stats = selected_pair(&report);
        let current = stats.current_round_trip_time.unwrap();
        if stats.responses_received < 2 {
            assert_eq!(stats.total_round_trip_time, current);
        } else {
            assert!(stats.total_round_trip_time >= current);
        }
        assert!(stats.total_round_trip_time <= begin.elapsed().unwrap());
        let json = serde_json::to_value(&stats).unwrap();
        assert_eq!(json["currentRoundTripTime"], current.as_secs_f64());
        assert_eq!(json["totalRoundTripTime"], stats.total_round_trip_time.as_secs_f64());
        let last = [stats.last_packet_sent_timestamp, stats.last_packet_received_timestamp];
        assert!(
            last.into_iter().all(|at| at.unwrap() >= begin && at.unwrap() <= stats.timestamp),
            "{stats:?}"
        );
    }
    pair.close().await;
}

#[tokio::test]
async fn stt_07_the_transport_of_an_offer() {
    let connection = offerer();
    assert_eq!(connection.get_stats().of_type::<TransportStats>().count(), 0);
    let offer = connection.create_offer().await.unwrap();
    connection.set_local_description(offer.clone()).await.unwrap();
    let transport = transport(&connection);
    assert_eq!(transport.dtls_state, DtlsTransportState::New);
    assert_eq!(transport.dtls_role, DtlsRole::Unknown);
    assert_eq!(transport.ice_role, IceRole::Controlling);
    assert_eq!(transport.ice_state, IceConnectionState::New);
    assert_eq!(Some(&transport.ice_local_username_fragment[..]), line(&offer, "a=ice-ufrag:"));
    assert_eq!(transport.selected_candidate_pair_changes, 0);
    assert_eq!((transport.packets_sent, transport.bytes_received), (0, 0));
    end([connection]).await;
}

#[tokio::test]
async fn dtl_08_the_role_and_state_of_an_offer() {
    let connection = offerer();
    connection.set_local_description(connection.create_offer().await.unwrap()).await.unwrap();
    let json = serde_json::to_value(transport(&connection)).unwrap();
    assert_eq!((&json["dtlsRole"], &json["dtlsState"]), (&"unknown".into(), &"new".into()));
    end([connection]).await;
}

#[tokio::test]
async fn dtl_07_the_roles_that_an_answer_takes() {
    let roles = [("actpass", DtlsRole::Client), ("active", DtlsRole::Server), ("passive", DtlsRole::Client)];
    for (offered, role) in roles {
        let (a, b) = (offerer(), peer());
        let offer = a.create_offer().await.unwrap();
        let offer = with_lines(offer, "a=setup:", |_| Some(format!("a=setup:{offered}")));
        b.set_remote_description(offer).await.unwrap();
        b.set_local_description(b.create_answer().await.unwrap()).await.unwrap();
        assert_eq!(transport(&b).dtls_role, role, "{offered}");
        end([a, b]).await;
    }
}

#[tokio::test]
async fn dtl_09_what_dtls_agreed_on() {
    let pair = Pair::new().await;
    for connection in [&pair.a, &pair.b] {
        let json = serde_json::to_value(transport(connection)).unwrap();
        assert_eq!(json["tlsVersion"], "FEFD");
        assert_eq!(json["dtlsCipher"], "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256");
        assert_eq!(json.get("srtpCipher"), None);
    }
    pair.close().await;
}

#[tokio::test]
async fn sta_21_a_pair_has_succeeded_when_connected() {
    let (a, b) = (offerer(), peer());
    connect(&a, &b).await;
    for connection in [&a, &b] {
        soon("to connect", connection.connected()).await.unwrap();
        let report = connection.get_stats();
        let succeeded = |pair: &CandidatePairStats| pair.state == ice::CandidatePairState::Succeeded;
        assert!(report.of_type().any(succeeded), "{report:#?}");
        assert!(succeeded(&selected_pair(&report)));
    }
    end([a, b]).await;
}

#[tokio::test]
async fn stt_08_certificates() {
    let identities = [KeyAlgorithm::EcdsaP256, KeyAlgorithm::Rsa { bits: 2048 }]
        .map(|algorithm| Identity::generate_with(algorithm, Duration::from_secs(3600)).unwrap());
    let [a, b] = identities
        .each_ref()
        .map(|identity| PeerConnection::new(configuration().certificate(identity.clone())).unwrap());
    a.create_data_channel("", DataChannelInit::default()).unwrap();
    connect(&a, &b).await;
    let mut shown = Vec::new();
    for connection in [&a, &b] {
        soon("to connect", connection.connected()).await.unwrap();
        let report = connection.get_stats();
        let transport: TransportStats = only(&report);
        let ids = [transport.local_certificate_id, transport.remote_certificate_id];
        let [local, remote] = ids.map(|id| report.find::<CertificateStats>(&id.unwrap()).unwrap().clone());
        for certificate in [&local, &remote] {
            assert_eq!(certificate.fingerprint_algorithm, "sha-256");
            let digest = Sha256::digest(BASE64.decode(certificate.base64_certificate.as_bytes()).unwrap());
            let octets: Vec<String> = digest.iter().map(|octet| format!("{octet:02X}")).collect();
            assert_eq!(certificate.fingerprint, octets.join(":"));
            let json = serde_json::to_value(certificate).unwrap();
            assert_eq!(json.get("issuerCertificateId"), None);
        }
        let described = connection.local_description().unwrap();
        assert_eq!(line(&described, "a=fingerprint:"), Some(&format!("sha-256 {}", local.fingerprint)[..]));
        shown.push([local.fingerprint, remote.fingerprint]);
    }
    let [ours, theirs] = identities.map(|identity| {
        identity.fingerprint(HashFunction::Sha256).to_string().split_once(' ').unwrap().1.to_owned()
    });
    assert_eq!(shown, [[ours.clone(), theirs.clone()], [theirs, ours]]);
    end([a, b]).await;
}

/// The offerer does not signal its candidates, so the answerer sees its address only where its checks come from.
#[tokio::test]
async fn stt_09_10_a_candidate_that_was_seen_before_it_was_signalled() {
    let (a, b) = (offerer(), peer());
    let mut kept = candidates(&a);
    trickle(&b, &a);
    negotiate(&a, &b).await;
    soon("to connect", b.connected()).await.unwrap();
    let candidate = soon("a candidate", kept.recv()).await.unwrap();
    let port = super::support::port(&candidate);
    let learnt = || {
        let report = b.get_stats();
        let id = selected_pair(&report).remote_candidate_id;
        let stats = report.find::<IceCandidateStats>(&id).unwrap().clone();
        let json = serde_json::to_value(report.get(&id).unwrap()).unwrap();
        assert_eq!(json["type"], "remote-candidate");
        assert_eq!((&json["candidateType"], &json["port"]), (&"prflx".into(), &port.into()));
        assert!(stats.is_remote);
        json
    };
    let seen = learnt();
    assert!(object(&seen).contains_key("address") && seen["address"].is_null(), "{seen}");
    assert!(!object(&seen).contains_key("usernameFragment"), "{seen}");
    b.add_ice_candidate(candidate.clone()).await.unwrap();
    let signalled = learnt();
    assert_eq!(signalled["address"], "127.0.0.1");
    assert_eq!(signalled["usernameFragment"].as_str(), candidate.username_fragment.as_deref());
    assert_eq!(signalled["id"], seen["id"]);
    end([a, b]).await;
}

/// An id stays, and the state of a channel is the one that its getter shows.
#[tokio::test]
async fn ids_stay_from_report_to_report() {
    let pair = in_use().await;
    let ids = |connection: &PeerConnection| {
        connection.get_stats().iter().map(|entry| entry.id().to_owned()).collect::<Vec<_>>()
    };
    let before = ids(&pair.a);
    pair.channel_a.send("more").await.unwrap();
    soon("a message", pair.channel_b.recv()).await.unwrap();
    assert_eq!(ids(&pair.a), before);
    let channel: DataChannelStats = only(&pair.a.get_stats());
    assert_eq!((channel.state, channel.messages_sent), (DataChannelState::Open, 2));
    pair.channel_a.close();
    let channel: DataChannelStats = only(&pair.a.get_stats());
    assert_eq!(channel.state, pair.channel_a.ready_state());
    assert_eq!(channel.state, DataChannelState::Closing);
    pair.close().await;
}
