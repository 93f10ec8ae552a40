//! One peer connection with its channels.

use crate::channel::Channel;
use crate::output::{Output, Reporter};
use crate::protocol::{Candidate, Create, CreateChannel, Description, Event, Kind, Results};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use straits::{
    CandidatePairStats, Configuration, DataChannel, DataChannelInit, Error, Events, IceCandidate,
    IceCandidateStats, IceServer, LayerConfig, OfferOptions, PeerConnection, RtcConfiguration, SdpType,
    SessionDescription, TransportStats,
};

/// Settings of all connections of the agent.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// None: all addresses of the machine.
    pub(crate) bind: Vec<IpAddr>,
    pub(crate) max_message_size: Option<usize>,
}

impl Settings {
    fn configuration(&self, create: &Create) -> Configuration {
        let ice_servers = create.ice_servers.iter().map(IceServer::new).collect();
        let rtc = RtcConfiguration { ice_servers, ..RtcConfiguration::default() };
        let mut layers = LayerConfig::default();
        if let Some(size) = self.max_message_size {
            layers = layers.max_message_size(size);
        }
        let configuration = Configuration::default().rtc(rtc).layers(layers);
        self.bind
            .iter()
            .fold(configuration, |configuration, address| configuration.bind_address((*address, 0).into()))
    }
}

#[derive(Debug)]
pub(crate) struct Connection {
    peer: PeerConnection,
    channels: Arc<Mutex<Channels>>,
    reporter: Reporter,
}

impl Connection {
    pub(crate) fn create(
        name: &str,
        create: &Create,
        settings: &Settings,
        output: Output,
    ) -> Result<Self, Error> {
        let peer = PeerConnection::new(settings.configuration(create))?;
        let (channels, reporter) = (Arc::default(), Reporter::new(name, output));
        tokio::spawn(report(peer.events()?, Arc::clone(&channels), reporter.clone()));
        Ok(Self { peer, channels, reporter })
    }

    /// Ends it; ready when the peer was told. Nothing is reported of it any more.
    pub(crate) fn close(self) -> impl Future<Output = ()> {
        self.reporter.silence();
        async move {
            self.peer.close_gracefully(CLOSE_TIMEOUT).await;
        }
    }

    pub(crate) fn channel(&self, name: &str) -> Result<Arc<Channel>, String> {
        lock(&self.channels)
            .by_name
            .get(name)
            .cloned()
            .ok_or_else(|| format!("no channel is called {name:?}"))
    }

    pub(crate) fn create_channel(&self, create: CreateChannel) -> Result<Results, String> {
        let mut channels = lock(&self.channels);
        if channels.by_name.contains_key(&create.ch) {
            return Err(format!("a channel is called {:?} already", create.ch));
        }
        let name = create.ch.clone();
        let label = create.label.clone();
        let channel = self.peer.create_data_channel(label, init(create)).map_err(text)?;
        let channel = channels.insert(name, channel, &self.reporter);
        channel.start();
        Ok(results(json!({ "stream_id": channel.stream_id() })))
    }

    pub(crate) async fn create_offer(&self, ice_restart: bool) -> Result<(), Error> {
        let options = OfferOptions::default().ice_restart(ice_restart);
        let offer = self.peer.create_offer_with(options).await?;
        self.set_local(Kind::Offer, offer).await
    }

    pub(crate) async fn set_remote(&self, description: Description) -> Result<(), Error> {
        let Description { kind, sdp } = description;
        match kind {
            Kind::Answer => self.peer.set_remote_description(SessionDescription::answer(sdp)).await,
            Kind::Offer => {
                self.peer.set_remote_description(SessionDescription::offer(sdp)).await?;
                let answer = self.peer.create_answer().await?;
                self.set_local(Kind::Answer, answer).await
            }
        }
    }

    /// Reports the description before it is set, so that it comes before its candidates.
    async fn set_local(&self, kind: Kind, description: SessionDescription) -> Result<(), Error> {
        let sdp = description.sdp.clone();
        self.reporter.report(&Event::Description(Description { kind, sdp })).await;
        self.peer.set_local_description(description).await
    }

    pub(crate) async fn add_candidate(&self, candidate: Candidate) -> Result<(), Error> {
        let Candidate { candidate, sdp_mid, sdp_mline_index } = candidate;
        // Browsers end the candidates of all sections with one that names none.
        let ends_all = candidate.is_empty() && sdp_mid.is_none() && sdp_mline_index.is_none();
        let candidate = IceCandidate { candidate, sdp_mid, sdp_mline_index, username_fragment: None };
        self.peer.add_ice_candidate((!ends_all).then_some(candidate)).await
    }

    pub(crate) fn local_description(&self) -> Result<Results, String> {
        let description = self.peer.local_description().ok_or("there is no local description yet")?;
        let kind = match description.kind {
            SdpType::Offer => "offer",
            SdpType::Answer | SdpType::Pranswer | SdpType::Rollback => "answer",
        };
        let state = self.peer.ice_gathering_state().as_str();
        Ok(results(json!({ "type": kind, "sdp": description.sdp, "gathering_state": state })))
    }

    pub(crate) fn stats(&self) -> Results {
        let report = self.peer.get_stats();
        let sctp = self.peer.sctp();
        let mut stats = json!({
            "sctp_max_message_size": self.peer.max_message_size(),
            "sctp_max_channels": sctp.as_ref().and_then(|sctp| sctp.max_channels()),
            "sctp_state": sctp.map(|sctp| sctp.state().as_str()),
            "rtt": self.peer.round_trip_time().map(|time| time.as_secs_f64()),
        });
        if let Some(transport) = report.of_type::<TransportStats>().next() {
            stats["dtls_version"] = json!(transport.tls_version);
            stats["dtls_cipher"] = json!(transport.dtls_cipher);
            stats["dtls_role"] = json!(transport.dtls_role);
            stats["dtls_state"] = json!(transport.dtls_state);
            stats["ice_role"] = json!(transport.ice_role);
            stats["bytes_sent"] = json!(transport.bytes_sent);
            stats["bytes_received"] = json!(transport.bytes_received);
            let pair = transport.selected_candidate_pair_id.as_deref();
            if let Some(pair) = pair.and_then(|id| report.find::<CandidatePairStats>(id)) {
                let candidate = |id| report.find::<IceCandidateStats>(id).map(candidate_stats);
                stats["local_candidate"] = json!(candidate(&pair.local_candidate_id));
                stats["remote_candidate"] = json!(candidate(&pair.remote_candidate_id));
            }
        }
        results(json!({ "stats": stats }))
    }
}

/// The members of a JSON object.
pub(crate) fn results(object: Value) -> Results {
    match object {
        Value::Object(members) => members,
        other => Results::from_iter([("result".to_owned(), other)]),
    }
}

fn candidate_stats(stats: &IceCandidateStats) -> Value {
    json!({
        "type": stats.candidate_type,
        "protocol": stats.protocol,
        "address": stats.address,
        "port": stats.port,
    })
}

fn init(create: CreateChannel) -> DataChannelInit {
    let mut init = DataChannelInit::default()
        .ordered(create.ordered.unwrap_or(true))
        .protocol(create.protocol.unwrap_or_default())
        .negotiated(create.negotiated.unwrap_or(false));
    if let Some(count) = create.max_retransmits {
        init = init.max_retransmits(count);
    }
    if let Some(milliseconds) = create.max_packet_life_time {
        init = init.max_packet_life_time(milliseconds);
    }
    match create.stream_id {
        Some(id) => init.id(id),
        None => init,
    }
}

/// The channels of a connection by their names.
#[derive(Debug)]
struct Channels {
    by_name: BTreeMap<String, Arc<Channel>>,
    incoming: u64,
    /// Closed ones are forgotten when there are so many.
    forget_at: usize,
}

impl Default for Channels {
    fn default() -> Self {
        Self { by_name: BTreeMap::new(), incoming: 0, forget_at: MIN_FORGET_AT }
    }
}

impl Channels {
    fn insert(&mut self, name: String, channel: DataChannel, reporter: &Reporter) -> Arc<Channel> {
        // A peer may open and close channels for ever. A few closed ones stay known, so that a late command gets a fitting
        // reply.
        if self.by_name.len() >= self.forget_at {
            self.by_name.retain(|_, channel| !channel.is_closed());
            self.forget_at = MIN_FORGET_AT.max(2 * self.by_name.len());
        }
        let channel = Arc::new(Channel::new(name.clone(), channel, reporter.clone()));
        self.by_name.insert(name, channel.clone());
        channel
    }

    fn insert_incoming(&mut self, channel: DataChannel, reporter: &Reporter) -> Arc<Channel> {
        loop {
            let name = format!("in{}", self.incoming);
            self.incoming += 1;
            if !self.by_name.contains_key(&name) {
                return self.insert(name, channel, reporter);
            }
        }
    }
}

fn lock(channels: &Mutex<Channels>) -> MutexGuard<'_, Channels> {
    channels.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Reports the events of a connection until it has ended.
async fn report(mut events: Events, channels: Arc<Mutex<Channels>>, reporter: Reporter) {
    while let Some(event) = events.next().await {
        match event {
            straits::Event::IceCandidate(candidate) => {
                let candidate = candidate.unwrap_or_default();
                let IceCandidate { candidate, sdp_mid, sdp_mline_index, .. } = candidate;
                reporter.report(&Event::Candidate(Candidate { candidate, sdp_mid, sdp_mline_index })).await;
            }
            straits::Event::IceGatheringStateChange(state) => {
                reporter.report(&Event::GatheringState { state: state.as_str() }).await;
            }
            straits::Event::IceConnectionStateChange(state) => {
                reporter.report(&Event::IceState { state: state.as_str() }).await;
            }
            straits::Event::ConnectionStateChange(state) => {
                reporter.report(&Event::ConnectionState { state: state.as_str() }).await;
            }
            straits::Event::IceCandidateError(error) => {
                let message = format!("{}: {}", error.url, error.error_text);
                reporter.report(&Event::Error { message }).await;
            }
            straits::Event::DataChannel(channel) => announce(channel, &channels, &reporter).await,
            straits::Event::Closed(reason) => tracing::info!(%reason, "closed"),
            // Negotiation is the orchestrator's, and the other states are parts of those above.
            _ => {}
        }
    }
}

/// The channel is reported before anything that happens to it.
async fn announce(channel: DataChannel, channels: &Mutex<Channels>, reporter: &Reporter) {
    let channel = lock(channels).insert_incoming(channel, reporter);
    let (ch, properties) = (channel.name().to_owned(), channel.properties());
    reporter.report(&Event::Channel { ch, properties }).await;
    channel.start();
}

/// What an error says, on one line.
pub(crate) fn text(error: Error) -> String {
    error.to_string()
}

/// How long a connection may go on delivering what it accepted before it was told to close.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);
/// Channels of which those that are closed are not looked for.
const MIN_FORGET_AT: usize = 1024;
