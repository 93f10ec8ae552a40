//! Two connections of the facade in one process, over UDP on 127.0.0.1.
#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]
#![allow(dead_code, reason = "each test binary uses its part")]

use std::sync::{Arc, Mutex};
use std::time::Duration;
use straits::{
    Configuration, DataChannel, DataChannelInit, IceCandidate, IceGatheringState, PeerConnection,
    SessionDescription,
};
use tokio::sync::mpsc;

/// Longer than anything here takes on a busy machine; a test that needs it has failed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Fails the test when it takes too long.
pub(crate) async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(PATIENCE, future).await {
        Ok(value) => value,
        Err(_) => panic!("waited {PATIENCE:?} for {what}"),
    }
}

/// Waits until it is so.
pub(crate) async fn until(what: &str, is_so: impl Fn() -> bool) {
    soon(what, async {
        while !is_so() {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

/// Waits until the connection knows all its candidates.
pub(crate) async fn gathered(connection: &PeerConnection) {
    until("the candidates", || connection.ice_gathering_state() == IceGatheringState::Complete).await;
}

pub(crate) fn configuration() -> Configuration {
    Configuration::default().bind_address(([127, 0, 0, 1], 0).into())
}

pub(crate) fn peer() -> PeerConnection {
    PeerConnection::new(configuration()).unwrap()
}

/// One that has a channel to offer.
pub(crate) fn offerer() -> PeerConnection {
    let connection = peer();
    connection.create_data_channel("", DataChannelInit::default()).unwrap();
    connection
}

/// Hands the candidates of each side to the other, as long as both live.
pub(crate) fn trickle(from: &PeerConnection, to: &PeerConnection) {
    let to = to.downgrade();
    from.on_ice_candidate(move |candidate| {
        if let (Some(to), Some(candidate)) = (to.upgrade(), candidate) {
            // The other side may be closed already.
            to.add_ice_candidate(candidate);
        }
    });
}

/// Offer and answer.
pub(crate) async fn negotiate(offerer: &PeerConnection, answerer: &PeerConnection) {
    negotiate_with(offerer, answerer, |description| description).await;
}

/// Offer and answer, where `change` sees the answer on its way.
pub(crate) async fn negotiate_with(
    offerer: &PeerConnection,
    answerer: &PeerConnection,
    change: impl FnOnce(SessionDescription) -> SessionDescription,
) {
    let offer = offerer.create_offer().await.unwrap();
    offerer.set_local_description(offer.clone()).await.unwrap();
    answerer.set_remote_description(offer).await.unwrap();
    let answer = answerer.create_answer().await.unwrap();
    answerer.set_local_description(answer.clone()).await.unwrap();
    offerer.set_remote_description(change(answer)).await.unwrap();
}

/// Two connected ends and an open channel, by the Rust face alone: candidates travel inside the descriptions' wake.
pub(crate) struct Pair {
    pub(crate) a: PeerConnection,
    pub(crate) b: PeerConnection,
    pub(crate) channel_a: DataChannel,
    pub(crate) channel_b: DataChannel,
}

impl Pair {
    pub(crate) async fn new() -> Self {
        Self::with(configuration(), configuration(), DataChannelInit::default()).await
    }

    pub(crate) async fn with(a: Configuration, b: Configuration, init: DataChannelInit) -> Self {
        let a = PeerConnection::new(a).unwrap();
        let b = PeerConnection::new(b).unwrap();
        let channel_a = a.create_data_channel("data", init).unwrap();
        connect(&a, &b).await;
        soon("a to open", channel_a.opened()).await.unwrap();
        let channel_b = soon("the channel to arrive", b.accept_channel()).await.unwrap();
        soon("b to open", channel_b.opened()).await.unwrap();
        Self { a, b, channel_a, channel_b }
    }

    /// With a channel that both sides create, each with its own settings, as number 0.
    pub(crate) async fn negotiated(init_a: DataChannelInit, init_b: DataChannelInit) -> Self {
        let (a, b) = (peer(), peer());
        let [channel_a, channel_b] = [(&a, init_a), (&b, init_b)].map(|(connection, init)| {
            connection.create_data_channel("data", init.negotiated(true).id(0)).unwrap()
        });
        connect(&a, &b).await;
        soon("a to open", channel_a.opened()).await.unwrap();
        soon("b to open", channel_b.opened()).await.unwrap();
        Self { a, b, channel_a, channel_b }
    }

    /// One with a channel that is announced, one with a channel that is negotiated.
    pub(crate) async fn of_both_kinds() -> [Self; 2] {
        let init = DataChannelInit::default();
        [Self::new().await, Self::negotiated(init.clone(), init).await]
    }

    /// Ends both and waits until their tasks and sockets are gone.
    pub(crate) async fn close(self) {
        end([self.a, self.b]).await;
    }
}

/// Candidates, offer and answer.
pub(crate) async fn connect(offerer: &PeerConnection, answerer: &PeerConnection) {
    trickle(offerer, answerer);
    trickle(answerer, offerer);
    negotiate(offerer, answerer).await;
}

/// The description with each line that begins so replaced by what `change` makes of its rest; `None`: it is left out.
pub(crate) fn with_lines(
    description: SessionDescription,
    start: &str,
    change: impl Fn(&str) -> Option<String>,
) -> SessionDescription {
    let lines = description.sdp.lines().filter_map(|line| match line.strip_prefix(start) {
        Some(rest) => change(rest),
        None => Some(line.to_owned()),
    });
    SessionDescription { sdp: lines.map(|line| line + "\r\n").collect(), ..description }
}

/// The rest of the first line that begins so.
pub(crate) fn line<'a>(description: &'a SessionDescription, start: &str) -> Option<&'a str> {
    description.sdp.lines().find_map(|line| line.strip_prefix(start))
}

/// Closes all, and waits until their tasks and sockets are gone.
pub(crate) async fn end<const N: usize>(connections: [PeerConnection; N]) {
    connections.iter().for_each(PeerConnection::close);
    for connection in connections {
        soon("the end", connection.closed()).await;
    }
}

/// Lines written by handlers, in the order of their calls. Whole once `closed` of their connection was awaited.
#[derive(Clone, Debug, Default)]
pub(crate) struct Journal(Arc<Mutex<Vec<String>>>);

impl Journal {
    pub(crate) fn write(&self, line: impl Into<String>) {
        self.0.lock().unwrap().push(line.into());
    }

    pub(crate) fn lines(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }

    /// Of the states of a connection, but for gathering, as its handlers hear of them.
    pub(crate) fn of_states(connection: &PeerConnection) -> Self {
        let journal = Self::default();
        let write = journal.clone();
        connection.on_signaling_state_change(move |state| write.write(format!("signaling {state}")));
        let write = journal.clone();
        connection.on_ice_connection_state_change(move |state| write.write(format!("ice {state}")));
        let write = journal.clone();
        connection.on_connection_state_change(move |state| write.write(format!("connection {state}")));
        journal
    }

    /// Writes each event of the channel down, with the state that the channel has in it.
    pub(crate) fn watch(&self, channel: &DataChannel) {
        let journal = self.clone();
        channel
            .on_message(move |_, message| journal.write(format!("message {}", message.as_text().unwrap())));
        self.watch_states(channel);
    }

    /// As `watch`, but leaves the messages to others.
    pub(crate) fn watch_states(&self, channel: &DataChannel) {
        let journal = self.clone();
        channel.on_open(move |channel| journal.write(format!("open {}", channel.ready_state())));
        let journal = self.clone();
        channel.on_closing(move |channel| journal.write(format!("closing {}", channel.ready_state())));
        let journal = self.clone();
        channel.on_error(move |_, error| {
            journal.write(format!("error {:?} {:?}", error.name(), error.detail()));
        });
        let journal = self.clone();
        channel.on_close(move |channel| journal.write(format!("close {}", channel.ready_state())));
    }
}

/// The candidates of a connection as they are found.
pub(crate) fn candidates(connection: &PeerConnection) -> mpsc::UnboundedReceiver<IceCandidate> {
    let (found, candidates) = mpsc::unbounded_channel();
    connection.on_ice_candidate(move |candidate| {
        if let Some(candidate) = candidate
            && !candidate.candidate.is_empty()
        {
            let _ = found.send(candidate);
        }
    });
    candidates
}

/// The port of a candidate line, RFC 8839 §5.1: the sixth field.
pub(crate) fn port(candidate: &IceCandidate) -> u16 {
    candidate.candidate.split(' ').nth(5).unwrap().parse().unwrap()
}

/// The candidate with another port.
pub(crate) fn with_port(candidate: &IceCandidate, port: u16) -> IceCandidate {
    let mut fields: Vec<String> = candidate.candidate.split(' ').map(str::to_owned).collect();
    fields[5] = port.to_string();
    IceCandidate { candidate: fields.join(" "), ..candidate.clone() }
}
