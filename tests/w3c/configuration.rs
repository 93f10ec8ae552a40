//! The configuration of a connection: what is read back, what is refused, and what a change does.

use super::support::{
    Journal, Pair, candidates, configuration, end, gathered, line, negotiate, offerer, peer, soon, trickle,
    until,
};
use std::time::Duration;
use straits::{
    BundlePolicy, Configuration, DataChannelInit, ErrorName, IceCandidateError, IceConnectionState,
    IceGatheringState, IceServer, IceTransportPolicy, Identity, LayerConfig, PeerConnection,
    RtcConfiguration, RtcpMuxPolicy, ice,
};
use tokio::sync::mpsc;

fn made(rtc: RtcConfiguration) -> Result<PeerConnection, ErrorName> {
    PeerConnection::new(configuration().rtc(rtc)).map_err(|error| error.name())
}

fn set(connection: &PeerConnection, rtc: RtcConfiguration) -> Result<(), ErrorName> {
    connection.set_configuration(rtc).map_err(|error| error.name())
}

fn read(json: &str) -> Option<RtcConfiguration> {
    serde_json::from_str(json).ok()
}

fn servers(ice_servers: impl Into<Vec<IceServer>>) -> RtcConfiguration {
    RtcConfiguration { ice_servers: ice_servers.into(), ..RtcConfiguration::default() }
}

fn policy(ice_transport_policy: IceTransportPolicy) -> RtcConfiguration {
    RtcConfiguration { ice_transport_policy, ..RtcConfiguration::default() }
}

/// What both ways of setting servers say to these (CFG-11): the servers read back, or the name of the error.
fn both_ways(ice_servers: &[IceServer]) -> Result<Vec<IceServer>, ErrorName> {
    let from_new = made(servers(ice_servers)).map(|connection| connection.configuration().ice_servers);
    let connection = peer();
    let from_set = set(&connection, servers(ice_servers)).map(|()| connection.configuration().ice_servers);
    assert_eq!(from_new, from_set);
    from_new
}

fn turn(url: &str, username: Option<&str>, credential: Option<&str>) -> IceServer {
    let [username, credential] = [username, credential].map(|text| text.map(str::to_owned));
    IceServer { urls: vec![url.into()], username, credential }
}

/// `null` in the place of certificates has no counterpart: they are a list.
#[tokio::test]
async fn cfg_01_03_defaults() {
    let empty = read("{}").unwrap();
    let without_certificates = RtcConfiguration { certificates: Vec::new(), ..RtcConfiguration::default() };
    for rtc in [RtcConfiguration::default(), empty, without_certificates] {
        let RtcConfiguration {
            ice_servers,
            ice_transport_policy,
            bundle_policy,
            rtcp_mux_policy,
            ice_candidate_pool_size,
            certificates,
        } = made(rtc).unwrap().configuration();
        assert_eq!((ice_servers, certificates.len(), ice_candidate_pool_size), (vec![], 0, 0));
        assert_eq!(ice_transport_policy.as_str(), "all");
        assert_eq!((bundle_policy.as_str(), rtcp_mux_policy.as_str()), ("balanced", "require"));
    }
}

/// The conversions of WebIDL are those of reading JSON.
#[tokio::test]
async fn cfg_04_11_lists_of_servers() {
    for wrong in ["null", "[null]", "[{}]", r#"[{"urls":null}]"#, r#"[{"username":"a"}]"#, "{}"] {
        assert!(read(&format!(r#"{{"iceServers":{wrong}}}"#)).is_none(), "{wrong}");
    }
    for none in ["{}", r#"{"iceServers":[]}"#] {
        assert_eq!(both_ways(&read(none).unwrap().ice_servers), Ok(vec![]));
    }
}

#[tokio::test]
async fn cfg_05_06_11_urls_read_back_in_order() {
    let (one, two) = ("stun:stun1.example.net", "stun:stun2.example.net");
    let lists = [
        (format!("{one:?}"), vec![one]),
        (format!("[{one:?}]"), vec![one]),
        (format!("[{one:?},{two:?}]"), vec![one, two]),
    ];
    for (json, urls) in lists {
        let rtc = read(&format!(r#"{{"iceServers":[{{"urls":{json}}}]}}"#)).unwrap();
        let back = both_ways(&rtc.ice_servers).unwrap();
        assert_eq!(
            back,
            [IceServer { urls: urls.into_iter().map(str::to_owned).collect(), ..IceServer::default() }]
        );
    }
}

#[tokio::test]
async fn cfg_07_11_credentials_read_back() {
    let mixed = IceServer {
        urls: vec!["turns:turn.example.org".into(), "turn:turn.example.net".into()],
        ..IceServer::default()
    };
    let good = [
        IceServer::new("turn:turn.example.org").credentials("user", "cred"),
        IceServer::new("turns:turn.example.org").credentials("", ""),
        IceServer::new("turn:turn.example.org").credentials("", ""),
        mixed.credentials("user", "cred"),
    ];
    for server in good {
        assert_eq!(both_ways(std::slice::from_ref(&server)), Ok(vec![server]));
    }
}

#[tokio::test]
async fn cfg_08_11_the_longest_username() {
    for url in ["turn:turn.example.org", "turns:turn.example.org"] {
        let of = |length| IceServer::new(url).credentials("u".repeat(length), "");
        assert_eq!(both_ways(&[of(509)]), Ok(vec![of(509)]));
        assert_eq!(both_ways(&[of(510)]), Err(ErrorName::InvalidAccessError));
    }
    // Bytes, not characters.
    let of = |length| IceServer::new("turn:turn.example.org").credentials("ü".repeat(length), "");
    assert_eq!(both_ways(&[of(254)]), Ok(vec![of(254)]));
    assert_eq!(both_ways(&[of(255)]), Err(ErrorName::InvalidAccessError));
}

#[tokio::test]
async fn cfg_09_11_turn_needs_credentials() {
    for url in ["turn:turn.example.net", "turns:turn.example.net"] {
        for (username, credential) in [(None, None), (Some("user"), None), (None, Some("cred"))] {
            let server = turn(url, username, credential);
            assert_eq!(both_ways(&[server]), Err(ErrorName::InvalidAccessError));
        }
    }
}

#[tokio::test]
async fn cfg_10_11_what_is_no_url_of_a_server() {
    let wrong: [&[&str]; 7] = [
        &[""],
        &["stun:stun1.example.net", ""],
        &["relative-url"],
        &["http://example.com"],
        &["turn://example.org/foo?x=y"],
        &["stun://example.org/foo?x=y"],
        &[],
    ];
    for urls in wrong {
        let urls = urls.iter().map(|&url| url.to_owned()).collect();
        let server = IceServer { urls, ..IceServer::default() };
        assert_eq!(both_ways(&[server]), Err(ErrorName::SyntaxError));
    }
}

#[tokio::test]
async fn cfg_12_13_many_servers_and_none() {
    let many: Vec<_> = (0..32).map(|number| IceServer::new(format!("stun:{number}.example.net"))).collect();
    assert_eq!(both_ways(&many), Ok(many.clone()));
    let connection = made(servers(many)).unwrap();
    assert_eq!(set(&connection, RtcConfiguration::default()), Ok(()));
    assert_eq!(connection.configuration().ice_servers, []);
}

#[tokio::test]
async fn cfg_15_the_transport_policy() {
    for wrong in [r#""invalid""#, r#""none""#, "null"] {
        assert!(read(&format!(r#"{{"iceTransportPolicy":{wrong}}}"#)).is_none(), "{wrong}");
    }
    for legacy in [r#""relay""#, r#""invalid""#, "null"] {
        let rtc = read(&format!(r#"{{"iceTransports":{legacy}}}"#)).unwrap();
        assert_eq!(made(rtc).unwrap().configuration().ice_transport_policy, IceTransportPolicy::All);
    }
    let (relay, all) = (r#"{"iceTransportPolicy":"relay"}"#, r#"{"iceTransportPolicy":"all"}"#);
    for (first, second, last) in [(relay, all, "all"), (all, relay, "relay"), (relay, "{}", "all")] {
        let connection = made(read(first).unwrap()).unwrap();
        assert_eq!(
            connection.configuration().ice_transport_policy,
            read(first).unwrap().ice_transport_policy
        );
        assert_eq!(set(&connection, read(second).unwrap()), Ok(()));
        assert_eq!(connection.configuration().ice_transport_policy.as_str(), last);
    }
}

#[tokio::test]
async fn cfg_21_the_bundle_policy() {
    for wrong in ["null", r#""invalid""#] {
        assert!(read(&format!(r#"{{"bundlePolicy":{wrong}}}"#)).is_none(), "{wrong}");
    }
    for (name, bundle_policy) in [
        ("balanced", BundlePolicy::Balanced),
        ("max-compat", BundlePolicy::MaxCompat),
        ("max-bundle", BundlePolicy::MaxBundle),
    ] {
        let rtc = read(&format!(r#"{{"bundlePolicy":"{name}"}}"#)).unwrap();
        let connection = made(rtc.clone()).unwrap();
        assert_eq!(connection.configuration().bundle_policy, bundle_policy);
        assert_eq!(set(&connection, rtc), Ok(()));
        for other in [BundlePolicy::Balanced, BundlePolicy::MaxCompat, BundlePolicy::MaxBundle] {
            let result = set(&connection, RtcConfiguration { bundle_policy: other, ..Default::default() });
            let expected =
                if other == bundle_policy { Ok(()) } else { Err(ErrorName::InvalidModificationError) };
            assert_eq!(result, expected, "{bundle_policy} to {other}");
        }
        let left_out = set(&connection, read("{}").unwrap());
        assert_eq!(left_out.is_ok(), bundle_policy == BundlePolicy::Balanced);
        assert_eq!(connection.configuration().bundle_policy, bundle_policy);
    }
}

#[tokio::test]
async fn cfg_22_the_rtcp_policy() {
    for wrong in ["null", r#""invalid""#] {
        assert!(read(&format!(r#"{{"rtcpMuxPolicy":{wrong}}}"#)).is_none(), "{wrong}");
    }
    let require = read(r#"{"rtcpMuxPolicy":"require"}"#).unwrap();
    let negotiate = read(r#"{"rtcpMuxPolicy":"negotiate"}"#).unwrap();
    assert_eq!(made(negotiate.clone()).err(), Some(ErrorName::NotSupportedError));
    for rtc in [RtcConfiguration::default(), require.clone()] {
        let connection = made(rtc).unwrap();
        assert_eq!(connection.configuration().rtcp_mux_policy, RtcpMuxPolicy::Require);
        assert_eq!(set(&connection, require.clone()), Ok(()));
        assert_eq!(set(&connection, negotiate.clone()), Err(ErrorName::InvalidModificationError));
    }
}

#[tokio::test]
async fn cfg_23_the_size_of_the_pool() {
    for size in [0, 1, 255] {
        let rtc = read(&format!(r#"{{"iceCandidatePoolSize":{size}}}"#)).unwrap();
        assert_eq!(made(rtc.clone()).unwrap().configuration().ice_candidate_pool_size, size);
        let connection = peer();
        assert_eq!(set(&connection, rtc), Ok(()));
        assert_eq!(connection.configuration().ice_candidate_pool_size, size);
    }
    for wrong in ["-1", "256", "null"] {
        assert!(read(&format!(r#"{{"iceCandidatePoolSize":{wrong}}}"#)).is_none(), "{wrong}");
    }
}

#[tokio::test]
async fn cfg_24_a_refused_configuration_changes_nothing() {
    let good =
        RtcConfiguration { ice_candidate_pool_size: 3, ..servers([IceServer::new("stun:example.net")]) };
    let connection = made(good.clone()).unwrap();
    let refused = [
        RtcConfiguration { ice_transport_policy: IceTransportPolicy::Relay, ..servers([IceServer::new("")]) },
        RtcConfiguration { bundle_policy: BundlePolicy::MaxBundle, ..policy(IceTransportPolicy::Relay) },
    ];
    for rtc in refused {
        assert!(set(&connection, rtc).is_err());
        let now = connection.configuration();
        assert_eq!(serde_json::to_value(&now).unwrap(), serde_json::to_value(&good).unwrap());
    }
    // Nor does the agent follow it: candidates are gathered as before.
    connection.create_data_channel("", DataChannelInit::default()).unwrap();
    let mut found = candidates(&connection);
    connection.set_local_description_implicitly().await.unwrap();
    soon("a candidate", found.recv()).await.unwrap();
    end([connection]).await;
}

#[tokio::test]
async fn cfg_25_after_close() {
    let connection = made(policy(IceTransportPolicy::Relay)).unwrap();
    connection.close();
    assert_eq!(set(&connection, servers([IceServer::new("")])), Err(ErrorName::InvalidStateError));
    assert_eq!(connection.configuration().ice_transport_policy, IceTransportPolicy::Relay);
}

#[tokio::test]
async fn cfg_26_certificates_cannot_change() {
    let [first, second] = [(); 2].map(|()| Identity::generate().unwrap());
    let with = |certificates: &[&Identity]| RtcConfiguration {
        certificates: certificates.iter().map(|&identity| identity.clone()).collect(),
        ..RtcConfiguration::default()
    };
    let by_setter = PeerConnection::new(configuration().certificate(first.clone())).unwrap();
    for connection in [made(with(&[&first])).unwrap(), by_setter] {
        assert_eq!(set(&connection, with(&[&first])), Ok(()));
        assert_eq!(set(&connection, connection.configuration()), Ok(()));
        for other in [with(&[&second]), with(&[&first, &second]), with(&[])] {
            assert_eq!(set(&connection, other), Err(ErrorName::InvalidModificationError));
        }
        assert_eq!(connection.configuration().certificates[0].certificate_pem(), first.certificate_pem());
    }
    assert_eq!(set(&peer(), with(&[&first])), Err(ErrorName::InvalidModificationError));
}

#[tokio::test]
async fn cfg_27_the_pool_after_a_description() {
    let connection = offerer();
    let of_size =
        |ice_candidate_pool_size| RtcConfiguration { ice_candidate_pool_size, ..Default::default() };
    assert_eq!(set(&connection, of_size(1)), Ok(()));
    connection.set_local_description_implicitly().await.unwrap();
    assert_eq!(set(&connection, of_size(2)), Err(ErrorName::InvalidModificationError));
    assert_eq!(set(&connection, of_size(1)), Ok(()));
    // It was set, although it does not hold any more.
    connection.set_local_description(straits::SessionDescription::rollback()).await.unwrap();
    assert_eq!(set(&connection, of_size(2)), Err(ErrorName::InvalidModificationError));
    end([connection]).await;
}

/// Of candidates that were found, with their text, and of gathering.
fn journal_of_gathering(connection: &PeerConnection) -> Journal {
    let journal = Journal::default();
    let write = journal.clone();
    connection.on_ice_gathering_state_change(move |state| write.write(state.to_string()));
    let write = journal.clone();
    connection.on_ice_candidate(move |candidate| {
        write.write(candidate.map_or("none".to_owned(), |candidate| format!("[{}]", candidate.candidate)));
    });
    journal
}

#[tokio::test]
async fn cfg_16_relay_without_a_server() {
    let [a, b] = [(); 2].map(|()| made(policy(IceTransportPolicy::Relay)).unwrap());
    a.create_data_channel("", DataChannelInit::default()).unwrap();
    let journals = [journal_of_gathering(&a), journal_of_gathering(&b)];
    negotiate(&a, &b).await;
    for connection in [&a, &b] {
        gathered(connection).await;
        assert!(!connection.local_description().unwrap().sdp.contains("a=candidate:"));
    }
    end([a, b]).await;
    for journal in journals {
        assert_eq!(journal.lines(), ["gathering", "[]", "complete", "none"]);
    }
}

/// One that notices quickly that its peer is gone.
fn hasty() -> Configuration {
    let agent = ice::Config::default()
        .consent_interval(Duration::from_millis(200))
        .consent_retry(Duration::from_millis(100))
        .disconnected_after(Duration::from_secs(1))
        .failed_after(Duration::from_secs(2))
        .no_answer_after(Duration::from_secs(2));
    configuration().layers(LayerConfig::default().ice(agent))
}

async fn connected() -> Pair {
    let pair = Pair::with(hasty(), hasty(), DataChannelInit::default()).await;
    soon("both to connect", async { tokio::try_join!(pair.a.connected(), pair.b.connected()) })
        .await
        .unwrap();
    pair
}

fn fragment(connection: &PeerConnection) -> String {
    line(&connection.local_description().unwrap(), "a=ice-ufrag:").unwrap().to_owned()
}

async fn reaches(connection: &PeerConnection, wanted: impl Fn(IceConnectionState) -> bool) {
    until("the state of ICE", || wanted(connection.ice_connection_state())).await;
}

async fn fails(pair: &Pair) {
    for connection in [&pair.a, &pair.b] {
        reaches(connection, |state| state == IceConnectionState::Failed).await;
    }
}

/// Offer and answer, then the candidates of both: those of a restart belong to descriptions that the other side must know.
async fn negotiate_again(a: &PeerConnection, b: &PeerConnection) {
    let mut found = [a, b].map(|connection| {
        let (tell, told) = mpsc::unbounded_channel();
        connection.on_ice_candidate(move |candidate| drop(tell.send(candidate)));
        told
    });
    negotiate(a, b).await;
    for (found, to) in found.iter_mut().zip([b, a]) {
        while let Some(candidate) = soon("a candidate", found.recv()).await.unwrap() {
            to.add_ice_candidate(candidate).await.unwrap();
        }
    }
}

/// Data go both ways.
async fn works(pair: &Pair) {
    for (from, to) in [(&pair.channel_a, &pair.channel_b), (&pair.channel_b, &pair.channel_a)] {
        from.send("still here").await.unwrap();
        assert_eq!(soon("a message", to.recv()).await.unwrap().as_text(), Some("still here"));
    }
}

#[tokio::test]
async fn cfg_17_18_relay_and_back() {
    let pair = connected().await;
    let first = fragment(&pair.a);
    assert_eq!(set(&pair.a, policy(IceTransportPolicy::Relay)), Ok(()));
    negotiate_again(&pair.a, &pair.b).await;
    let second = fragment(&pair.a);
    assert_ne!(first, second);
    assert!(!pair.a.local_description().unwrap().sdp.contains("a=candidate:"));
    fails(&pair).await;

    assert_eq!(set(&pair.a, policy(IceTransportPolicy::All)), Ok(()));
    negotiate_again(&pair.a, &pair.b).await;
    assert_ne!(second, fragment(&pair.a));
    soon("both to connect", async { tokio::try_join!(pair.a.connected(), pair.b.connected()) })
        .await
        .unwrap();
    works(&pair).await;
    pair.close().await;
}

#[tokio::test]
async fn cfg_19_there_and_back_restarts() {
    let pair = connected().await;
    let (first, firsts) = (fragment(&pair.a), fragment(&pair.b));
    assert_eq!(set(&pair.a, policy(IceTransportPolicy::Relay)), Ok(()));
    assert_eq!(set(&pair.a, policy(IceTransportPolicy::All)), Ok(()));
    negotiate_again(&pair.a, &pair.b).await;
    let (second, seconds) = (fragment(&pair.a), fragment(&pair.b));
    assert!(first != second && firsts != seconds);
    for connection in [&pair.a, &pair.b] {
        assert!(connection.local_description().unwrap().sdp.contains("a=candidate:"));
    }
    works(&pair).await;
    // The restart was what the change asked for: the next offer has none.
    negotiate(&pair.a, &pair.b).await;
    assert_eq!((fragment(&pair.a), fragment(&pair.b)), (second, seconds));
    pair.close().await;

    // Without an old route, since no candidate of the first exchange was told: it is the restart that connects.
    let (a, b) = (offerer(), peer());
    a.on_ice_candidate(drop);
    b.on_ice_candidate(drop);
    negotiate(&a, &b).await;
    gathered(&a).await;
    gathered(&b).await;
    let first = fragment(&a);
    assert_eq!(set(&a, policy(IceTransportPolicy::Relay)), Ok(()));
    assert_eq!(set(&a, policy(IceTransportPolicy::All)), Ok(()));
    negotiate_again(&a, &b).await;
    assert_ne!(first, fragment(&a));
    soon("both to connect", async { tokio::try_join!(a.connected(), b.connected()) }).await.unwrap();
    end([a, b]).await;
}

#[tokio::test]
async fn cfg_20_an_answer_does_not_restart() {
    let pair = connected().await;
    let before = [fragment(&pair.a), fragment(&pair.b)];
    assert_eq!(set(&pair.b, policy(IceTransportPolicy::Relay)), Ok(()));
    negotiate(&pair.a, &pair.b).await;
    assert_eq!([fragment(&pair.a), fragment(&pair.b)], before);
    works(&pair).await;
    pair.close().await;
}

/// One event for each URL, while gathering: first on the handler, then in the stream.
#[tokio::test]
async fn ice_40_41_servers_that_are_not_reached() {
    let urls = ["stun:192.0.2.1", "turn:turn.invalid:3478?transport=udp"];
    let two = urls.map(|url| IceServer::new(url).credentials("user", "secret"));
    let (a, b) = (made(servers(two.clone())).unwrap(), peer());
    a.create_data_channel("", DataChannelInit::default()).unwrap();
    let (tell, mut told) = mpsc::unbounded_channel::<(IceCandidateError, IceGatheringState)>();
    let weak = a.downgrade();
    a.on_ice_candidate_error(move |error| {
        let _ = tell.send((error, weak.upgrade().unwrap().ice_gathering_state()));
    });
    trickle(&a, &b);
    negotiate(&a, &b).await;
    gathered(&a).await;
    for url in urls {
        let (error, state) = told.try_recv().unwrap();
        assert_eq!((error.url.as_str(), error.error_code, state), (url, 701, IceGatheringState::Gathering));
        assert_eq!((error.address, error.port), (None, None));
        assert!(!error.error_text.is_empty());
    }
    assert!(told.try_recv().is_err());

    let c = made(servers(two)).unwrap();
    let mut events = c.events().unwrap();
    c.create_data_channel("", DataChannelInit::default()).unwrap();
    c.set_local_description_implicitly().await.unwrap();
    let mut found = Vec::new();
    while found.len() < urls.len() {
        if let Some(straits::Event::IceCandidateError(error)) = soon("an event", events.next()).await {
            found.push(error.url);
        }
    }
    assert_eq!(found, urls);
    end([a, b, c]).await;
}
