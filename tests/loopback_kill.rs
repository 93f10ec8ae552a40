//! A process that is killed (SIGKILL) in every state, as either end: not a packet says so. The other end finds out in
//! bounded time, says the right reason, and what it could not deliver.

#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

#[path = "support/loopback.rs"]
mod support;

use std::process::Stdio;
use std::time::Duration;
use straits::{
    CloseReason, DataChannel, DataChannelInit, Explanation, Finding, LayerConfig, PeerConnection,
    PeerConnectionState, SessionDescription, ice,
};
use support::{configuration, gathered, soon};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio::sync::mpsc;

/// The other end, in a process of its own.
struct Victim {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

/// How far it comes before it is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum At {
    /// Both descriptions are known; checks may have begun.
    Described,
    /// ICE and DTLS are up; SCTP may be.
    Connected,
    /// The channel is open, and nothing is on its way.
    Open,
    /// It has read some messages of many.
    Transfer,
    /// The same, and the connection is closing gracefully.
    GracefulClose,
    /// The same, and the channel is closing.
    ChannelClose,
}

impl Victim {
    fn start(role: &str, reads: usize) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_straits-victim"))
            .args([role, &reads.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines }
    }

    async fn line(&mut self) -> String {
        soon("a line of the victim", self.lines.next_line()).await.unwrap().expect("it lives")
    }

    async fn says(&mut self, wanted: &str) {
        assert_eq!(self.line().await, wanted);
    }

    async fn description(&mut self) -> SessionDescription {
        serde_json::from_str(&self.line().await).unwrap()
    }

    async fn give(&mut self, connection: &PeerConnection) {
        gathered(connection).await;
        let line = serde_json::to_string(&connection.local_description().unwrap()).unwrap() + "\n";
        self.child.stdin.as_mut().unwrap().write_all(line.as_bytes()).await.unwrap();
    }

    async fn kill(&mut self) {
        soon("the death", self.child.kill()).await.unwrap();
    }
}

/// Meets the victim, lets it live until then, and kills it.
async fn killed(connection: &PeerConnection, at: At, victim_offers: bool) -> Option<DataChannel> {
    let reads = if at >= At::Transfer { READS } else { 0 };
    let mut victim = Victim::start(if victim_offers { "offer" } else { "answer" }, reads);
    let mut channel = None;
    if victim_offers {
        let offer = victim.description().await;
        connection.set_remote_description(offer).await.unwrap();
        connection.set_local_description_implicitly().await.unwrap();
        victim.give(connection).await;
    } else {
        channel = Some(connection.create_data_channel("data", DataChannelInit::default()).unwrap());
        connection.set_local_description_implicitly().await.unwrap();
        victim.give(connection).await;
        let answer = victim.description().await;
        connection.set_remote_description(answer).await.unwrap();
    }
    if at >= At::Connected {
        victim.says("connected").await;
    }
    if at <= At::Connected {
        victim.kill().await;
        return channel;
    }
    victim.says("open").await;
    let channel = match channel {
        Some(channel) => channel,
        None => soon("the channel", connection.accept_channel()).await.unwrap(),
    };
    soon("open", channel.opened()).await.unwrap();
    if at >= At::Transfer {
        for _ in 0..READS + UNREAD {
            soon("room", channel.send(vec![7; MESSAGE])).await.unwrap();
        }
        for _ in 0..READS {
            victim.says("read").await;
        }
    }
    if at == At::ChannelClose {
        channel.close();
    }
    victim.kill().await;
    Some(channel)
}

/// What the end says about itself once it has failed.
async fn outcome(at: At, victim_offers: bool) -> Explanation {
    let ice = ice::Config::default().no_answer_after(NO_ANSWER);
    let layers = LayerConfig::default().ice(ice);
    let connection = PeerConnection::new(configuration().layers(layers)).unwrap();
    let (state, mut states) = mpsc::unbounded_channel();
    connection.on_connection_state_change(move |new| {
        let _ = state.send(new);
    });
    let _channel = killed(&connection, at, victim_offers).await;
    if at == At::GracefulClose {
        let reason = soon("the end", connection.close_gracefully(Duration::from_secs(5))).await;
        assert!(matches!(reason, CloseReason::Local { undelivered: 1.. }), "{at:?}: {reason}");
    } else {
        while soon("the failure", states.recv()).await.unwrap() != PeerConnectionState::Failed {}
    }
    connection.explain()
}

fn check(at: At, explanation: &Explanation) {
    let is_right = match (at, &explanation.finding) {
        // It may not have come as far as to check, or to answer a check.
        (At::Described, Finding::ChecksUnanswered { .. } | Finding::ChecksAwaited | Finding::PeerGone) => {
            true
        }
        (At::GracefulClose, Finding::Ended(CloseReason::Local { undelivered })) => *undelivered > 0,
        (At::Connected | At::Open | At::Transfer | At::ChannelClose, Finding::PeerGone) => true,
        _ => false,
    };
    assert!(is_right, "{at:?}: {explanation}");
    // The victim's window takes what it does not read, but not all of it.
    if at >= At::Transfer {
        assert!(explanation.undelivered > 0, "{at:?}: {explanation}");
    }
}

/// All at the same time, as each takes as long as consent lasts.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_other_end_knows_in_bounded_time() {
    let all = [At::Described, At::Connected, At::Open, At::Transfer, At::GracefulClose, At::ChannelClose];
    let cases: Vec<_> = all.into_iter().flat_map(|at| [(at, false), (at, true)]).collect();
    let tasks: Vec<_> =
        cases.iter().map(|&(at, victim_offers)| tokio::spawn(outcome(at, victim_offers))).collect();
    for ((at, _), task) in cases.into_iter().zip(tasks) {
        check(at, &task.await.unwrap());
    }
}

const MESSAGE: usize = 100_000;
/// How many messages the victim reads.
const READS: usize = 5;
/// How many more are sent: more than its receive window of 4 MiB takes, and less than what it takes and the queue here.
const UNREAD: usize = 45;
/// Half of the 30 s that it is by default, which is the patience of these tests.
const NO_ANSWER: Duration = Duration::from_secs(15);
