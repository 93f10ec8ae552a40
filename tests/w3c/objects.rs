//! The transports of a connection as objects.

use super::support::{
    Journal, Pair, candidates, connect, end, gathered, negotiate, negotiate_with, offerer, peer, soon,
    trickle, until, with_lines,
};
use bytes::BytesMut;
use std::time::{Duration, Instant};
use straits::ice::{Agent, Config, Credentials, Mode, Role, Route, State};
use straits::{
    DataChannelInit, DtlsTransportState, ErrorDetail, ErrorName, IceCandidateType, IceComponent,
    IceConnectionState, IceGatheringState, IceRole, IceTransport, PeerConnection, SctpTransport,
    SctpTransportState, SessionDescription,
};

fn sctp(connection: &PeerConnection) -> SctpTransport {
    connection.sctp().expect("a data section is negotiated")
}

fn ice(connection: &PeerConnection) -> IceTransport {
    sctp(connection).transport().ice_transport()
}

#[tokio::test]
async fn sct_01_02_when_there_is_a_transport() {
    let (a, b) = (offerer(), peer());
    assert!(a.sctp().is_none() && b.sctp().is_none());
    a.set_local_description_implicitly().await.unwrap();
    b.set_remote_description(a.local_description().unwrap()).await.unwrap();
    for connection in [&a, &b] {
        let sctp = sctp(connection);
        assert_eq!(sctp.state(), SctpTransportState::Connecting);
        assert_eq!(sctp.transport().state(), DtlsTransportState::New);
    }
    b.set_local_description_implicitly().await.unwrap();
    a.set_remote_description(b.local_description().unwrap()).await.unwrap();
    assert!([&a, &b].iter().all(|connection| sctp(connection).max_message_size().is_some()));
    end([a, b]).await;

    let (a, b) = (peer(), peer());
    negotiate(&a, &b).await;
    assert!(a.sctp().is_none() && b.sctp().is_none(), "nobody asked for data");
    end([a, b]).await;
}

/// And with it what was gathered for it.
#[tokio::test]
async fn srd_17_a_rollback_takes_the_transport_back() {
    let (a, b) = (offerer(), peer());
    for (connection, offers) in [(&a, true), (&b, false)] {
        if offers {
            connection.set_local_description_implicitly().await.unwrap();
            connection.set_local_description(SessionDescription::rollback()).await.unwrap();
        } else {
            connection.set_remote_description(a.create_offer().await.unwrap()).await.unwrap();
            assert!(connection.sctp().is_some());
            connection.set_remote_description(SessionDescription::rollback()).await.unwrap();
        }
        assert!(connection.sctp().is_none());
        assert_eq!(connection.ice_gathering_state(), IceGatheringState::New);
    }
    // It comes back with the next offer, and works.
    let channel = a.create_data_channel("", DataChannelInit::default()).unwrap();
    connect(&a, &b).await;
    soon("it to open", channel.opened()).await.unwrap();
    end([a, b]).await;
}

#[tokio::test]
async fn sct_03_04_dtl_01_02_to_the_end() {
    let (a, b) = (offerer(), peer());
    let journals = [Journal::default(), Journal::default()];
    trickle(&a, &b);
    trickle(&b, &a);
    negotiate(&a, &b).await;
    for (connection, journal) in [&a, &b].into_iter().zip(&journals) {
        let (sctp, write) = (sctp(connection), journal.clone());
        assert_eq!((sctp.max_channels(), sctp.transport().remote_certificates().len()), (None, 0));
        sctp.on_state_change(move |state| write.write(format!("sctp {state}")));
        let write = journal.clone();
        sctp.transport().on_state_change(move |state| write.write(format!("dtls {state}")));
    }
    let [first, second] = [&a, &b].map(sctp);
    for (transport, other) in [(&first, &second), (&second, &first)] {
        until("it to connect", || transport.state() == SctpTransportState::Connected).await;
        assert_eq!(transport.transport().state(), DtlsTransportState::Connected);
        until("the other", || other.state() == SctpTransportState::Connected).await;
        assert!(transport.max_channels().is_some());
        assert_eq!(transport.max_channels(), other.max_channels());
        let certificates = transport.transport().remote_certificates();
        // DER: a sequence whose length takes two bytes.
        assert_eq!((certificates.len(), &certificates[0][..2]), (1, &[0x30, 0x82][..]));
    }
    a.close();
    assert_eq!(first.state(), SctpTransportState::Closed);
    soon("the other end", b.closed()).await;
    assert_eq!(second.state(), SctpTransportState::Closed);
    assert_eq!(
        journals[1].lines(),
        ["dtls connecting", "dtls connected", "sctp connected", "sctp closed", "dtls closed"]
    );
    end([a, b]).await;
}

/// No events, either: it was us.
#[tokio::test]
async fn pcc_05_closing_a_connection_closes_its_transports() {
    let pair = Pair::new().await;
    let (sctp, journal) = (sctp(&pair.a), Journal::default());
    let (dtls, ice) = (sctp.transport(), ice(&pair.a));
    let write = journal.clone();
    sctp.on_state_change(move |state| write.write(state.to_string()));
    let write = journal.clone();
    dtls.on_state_change(move |state| write.write(state.to_string()));
    let write = journal.clone();
    ice.on_state_change(move |state| write.write(state.to_string()));
    pair.a.close();
    assert_eq!(
        (sctp.state(), dtls.state(), ice.state()),
        (SctpTransportState::Closed, DtlsTransportState::Closed, IceConnectionState::Closed)
    );
    pair.close().await;
    assert_eq!(journal.lines(), [""; 0]);
}

/// Each side is told what went wrong, before its transport is seen to have failed.
#[tokio::test]
async fn dtl_04_a_wrong_fingerprint_is_an_error_of_the_transport() {
    let (a, b) = (offerer(), peer());
    let journals = [Journal::default(), Journal::default()];
    trickle(&a, &b);
    trickle(&b, &a);
    a.set_local_description_implicitly().await.unwrap();
    b.set_remote_description(a.local_description().unwrap()).await.unwrap();
    for (connection, journal) in [&a, &b].into_iter().zip(&journals) {
        let dtls = sctp(connection).transport();
        let (write, weak) = (journal.clone(), connection.downgrade());
        dtls.on_error(move |error| {
            let state = weak.upgrade().unwrap().sctp().unwrap().transport().state();
            assert_eq!(error.name(), ErrorName::OperationError);
            write.write(format!("{:?} in state {state}", error.detail().unwrap()));
        });
        let write = journal.clone();
        dtls.on_state_change(move |state| write.write(state.to_string()));
    }
    b.set_local_description_implicitly().await.unwrap();
    let answer = with_lines(b.local_description().unwrap(), "a=fingerprint:", |_| {
        Some(format!("a=fingerprint:sha-256 {}", vec!["00"; 32].join(":")))
    });
    a.set_remote_description(answer).await.unwrap();
    soon("both to end", async { tokio::join!(a.closed(), b.closed()) }).await;
    let mismatch = format!("{:?} in state failed", ErrorDetail::FingerprintFailure);
    assert_eq!(journals[0].lines(), ["connecting", &mismatch, "failed"]);
    let refused = ErrorDetail::DtlsFailure { received_alert: Some(42), sent_alert: None };
    assert_eq!(journals[1].lines(), ["connecting", &format!("{refused:?} in state failed"), "failed"]);
}

/// The transports show in each event of the connection what it tells of.
#[tokio::test]
async fn sta_02_04_gat_10_transports_agree_with_the_connection() {
    let (a, b) = (offerer(), peer());
    let journal = Journal::default();
    let (write, weak) = (journal.clone(), a.downgrade());
    a.on_ice_connection_state_change(move |state| {
        let transport = ice(&weak.upgrade().unwrap());
        write.write(format!("ice {state} {}", transport.state()));
    });
    let (write, weak) = (journal.clone(), a.downgrade());
    a.on_ice_gathering_state_change(move |state| {
        let transport = ice(&weak.upgrade().unwrap());
        write.write(format!("gathering {state} {}", transport.gathering_state()));
    });
    let (write, weak) = (journal.clone(), a.downgrade());
    a.on_connection_state_change(move |state| {
        let transport = sctp(&weak.upgrade().unwrap()).transport();
        write.write(format!(
            "connection {state} {} {}",
            transport.state(),
            transport.ice_transport().state()
        ));
    });
    trickle(&a, &b);
    trickle(&b, &a);
    a.set_local_description_implicitly().await.unwrap();
    assert_eq!(ice(&a).gathering_state(), IceGatheringState::New);
    negotiate(&a, &b).await;
    soon("both to connect", async { tokio::try_join!(a.connected(), b.connected()) }).await.unwrap();
    end([a, b]).await;
    let expected = [
        "gathering gathering gathering",
        "gathering complete complete",
        "ice checking checking",
        "connection connecting new checking",
        "ice connected connected",
        "connection connected connected connected",
    ];
    assert_eq!(journal.lines(), expected);
}

/// The empty candidate ends the generation; then the states, first of the transport, and the candidate that is none.
#[tokio::test]
async fn gat_06_sta_17_the_order_of_gathering() {
    let a = offerer();
    let journal = Journal::default();
    let shown = |connection: &PeerConnection| {
        format!("{} {}", connection.ice_gathering_state(), ice(connection).gathering_state())
    };
    let (write, weak) = (journal.clone(), a.downgrade());
    a.on_ice_candidate(move |candidate| {
        let what = match candidate {
            None => "none",
            Some(candidate) if candidate.candidate.is_empty() => "empty",
            Some(_) => "found",
        };
        write.write(format!("{what} {}", shown(&weak.upgrade().unwrap())));
    });
    let (write, weak) = (journal.clone(), a.downgrade());
    a.on_ice_gathering_state_change(move |_| {
        write.write(format!("connection {}", shown(&weak.upgrade().unwrap())));
    });
    a.set_local_description_implicitly().await.unwrap();
    assert_eq!(
        (ice(&a).state(), ice(&a).gathering_state()),
        (IceConnectionState::New, IceGatheringState::New)
    );
    let (write, weak) = (journal.clone(), a.downgrade());
    ice(&a).on_gathering_state_change(move |_| {
        write.write(format!("transport {}", shown(&weak.upgrade().unwrap())));
    });
    gathered(&a).await;
    end([a]).await;
    let lines = journal.lines();
    assert_eq!(lines[..2], ["transport gathering gathering", "connection gathering gathering"]);
    assert!(lines[2..lines.len() - 4].iter().all(|line| line == "found gathering gathering"), "{lines:?}");
    let expected = [
        "empty gathering gathering",
        "transport complete complete",
        "connection complete complete",
        "none complete complete",
    ];
    assert_eq!(lines[lines.len() - 4..], expected);
}

#[tokio::test]
async fn sta_15_16_candidates_and_parameters() {
    let (a, b) = (offerer(), peer());
    let mut signalled = [candidates(&a), candidates(&b)];
    a.set_local_description_implicitly().await.unwrap();
    assert_eq!((ice(&a).remote_candidates().len(), ice(&a).selected_candidate_pair()), (0, None));
    b.set_remote_description(a.local_description().unwrap()).await.unwrap();
    b.set_local_description_implicitly().await.unwrap();
    a.set_remote_description(b.local_description().unwrap()).await.unwrap();
    for connection in [&a, &b] {
        gathered(connection).await;
    }
    for (own, other) in [(0, &b), (1, &a)] {
        while let Ok(candidate) = signalled[own].try_recv() {
            other.add_ice_candidate(candidate).await.unwrap();
        }
    }
    soon("both to connect", async { tokio::try_join!(a.connected(), b.connected()) }).await.unwrap();
    let [first, second] = [&a, &b].map(ice);
    assert_eq!((first.role(), second.role()), (IceRole::Controlling, IceRole::Controlled));
    assert_eq!([first.component(), second.component()], [IceComponent::Rtp; 2]);
    for (own, other) in [(&first, &second), (&second, &first)] {
        assert!(!own.local_candidates().is_empty());
        assert_eq!(own.local_candidates(), other.remote_candidates());
        assert_eq!(Some(own.local_parameters()), other.remote_parameters());
        assert!(own.local_parameters().username_fragment.len() >= 4);
        assert!(own.local_parameters().password.len() >= 22);
        let (pair, mirrored) =
            (own.selected_candidate_pair().unwrap(), other.selected_candidate_pair().unwrap());
        assert_eq!((&pair.local, &pair.remote), (&mirrored.remote, &mirrored.local));
        assert!(
            own.local_candidates().contains(&pair.local) && own.remote_candidates().contains(&pair.remote)
        );
        assert_eq!(pair.remote_kind, IceCandidateType::Host);
    }
    let debug = format!("{:?}", first.local_parameters());
    assert!(!debug.contains(&first.local_parameters().password), "{debug}");
    end([a, b]).await;
}

#[tokio::test]
async fn sta_19_a_transport_outlives_restarts() {
    let pair = Pair::new().await;
    let (transport, before) = (ice(&pair.a), ice(&pair.a).local_parameters());
    for (restarts, other) in [(&pair.a, &pair.b), (&pair.b, &pair.a)] {
        restarts.restart_ice();
        negotiate(restarts, other).await;
        assert_ne!(transport.local_parameters(), before);
        until("a pair", || transport.selected_candidate_pair().is_some()).await;
        assert_eq!(transport.state(), IceConnectionState::Connected);
        assert_eq!(transport.local_parameters(), ice(&pair.a).local_parameters());
    }
    pair.channel_a.send("through it").await.unwrap();
    assert!(soon("a message", pair.channel_b.recv()).await.is_some());
    pair.close().await;
}

/// The answerer is told no candidate: what it sees on the network stays hidden.
#[tokio::test]
async fn sta_20_an_address_that_was_merely_seen() {
    let (a, b) = (offerer(), peer());
    trickle(&b, &a);
    negotiate_with(&a, &b, |answer| answer).await;
    soon("b to connect", b.connected()).await.unwrap();
    let transport = ice(&b);
    assert_eq!(transport.remote_candidates(), []);
    let pair = transport.selected_candidate_pair().unwrap();
    assert_eq!((pair.remote_kind, &*pair.remote.candidate), (IceCandidateType::Prflx, ""));
    assert_eq!(pair.remote.address(), None);
    let report = b.get_stats();
    let seen: Vec<_> =
        report.of_type::<straits::IceCandidateStats>().filter(|entry| entry.is_remote).collect();
    assert_eq!((seen.len(), seen[0].address), (1, None));
    end([a, b]).await;
}

/// Both say that they are controlling: one gives in. Credentials of a wrong form are no credentials, and after the end
/// there is no pair.
#[test]
fn sta_22_a_conflict_of_roles() {
    let mut now = Instant::now();
    let addresses = [1000, 2000].map(|port| ([192, 0, 2, 1], port).into());
    let mut agents = [1, 2].map(|seed| Agent::new(Config::default(), [seed; 32], now));
    let told = agents.each_ref().map(|agent| agent.local_credentials().clone());
    for (index, agent) in agents.iter_mut().enumerate() {
        agent.set_role(now, Role::Controlling);
        agent.add_local_candidate(now, addresses[index]);
        agent.set_gathering_complete(now);
        agent.set_remote_credentials(now, told[1 - index].clone(), Mode::Lite);
        let candidate =
            format!("candidate:1 1 udp 2130706431 192.0.2.1 {} typ host", addresses[1 - index].port());
        agent.add_remote_candidate(now, candidate.parse().unwrap()).unwrap();
    }
    let mut buffer = BytesMut::new();
    for _ in 0..1000 {
        for from in [0, 1] {
            while let Some(route) = agents[from].poll_transmit(now, &mut buffer) {
                let back = Route { local: route.remote, remote: route.local };
                agents[1 - from].handle_datagram(now, back, &buffer.split());
            }
        }
        now += Duration::from_millis(10);
        agents.iter_mut().for_each(|agent| agent.handle_timeout(now));
    }
    assert_eq!(agents.each_ref().map(Agent::state), [State::Connected; 2]);
    assert_ne!(agents[0].role(), agents[1].role());
    agents[0].close(now);
    assert_eq!(agents[0].selected(), None);
    assert!(
        Credentials::new("abc", "x".repeat(22)).is_err() && Credentials::new("abcd", "x".repeat(21)).is_err()
    );
    assert!(Credentials::new("ab:d", "x".repeat(22)).is_err());
}

/// What an error does not speak of is absent, and 0 is a value.
#[test]
fn err_03_members_of_an_error() {
    let none = ErrorDetail::DtlsFailure { received_alert: None, sent_alert: None };
    let zero = ErrorDetail::DtlsFailure { received_alert: Some(0), sent_alert: None };
    assert_ne!(none, zero);
    assert_ne!(
        ErrorDetail::SctpFailure { cause_code: None },
        ErrorDetail::SctpFailure { cause_code: Some(0) }
    );
}
