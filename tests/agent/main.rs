//! A program that drives Straits by the line protocol of an interoperability test: commands as JSON on the standard input,
//! events as JSON on the standard output, one to a line. The log goes to the standard error (`RUST_LOG`).

mod channel;
mod connection;
mod fill;
mod input;
mod output;
mod protocol;

use channel::Channel;
use clap::Parser;
use connection::{Connection, Settings, results, text};
use data_encoding::BASE64;
use input::Line;
use output::Output;
use protocol::{BadLine, Command, Create, Event, Fill, Request, Results, Send};
use serde_json::{Number, json};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use straits::Message;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

/// Drives Straits by JSON commands on the standard input.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// An address to bind; may be given several times. Without it all addresses of the machine are used.
    #[arg(long)]
    bind: Vec<IpAddr>,
    /// The largest message to accept, in bytes.
    #[arg(long)]
    max_message_size: Option<usize>,
}

// One thread: what is reported has one order, and after the reply to `close` comes nothing more.
#[tokio::main(flavor = "current_thread")]
async fn main() {
    let Arguments { bind, max_message_size } = Arguments::parse();
    let filter = tracing_subscriber::EnvFilter::from_default_env();
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    let output = Output::new(std::io::stdout());
    let mut agent = Agent::new(Settings { bind, max_message_size }, output.clone());
    let version = format!("straits {}", env!("CARGO_PKG_VERSION"));
    output.report(&Event::Ready { protocol: 1, agent: "straits", version, features: FEATURES }).await;
    let mut lines = input::lines(std::io::stdin());
    loop {
        let line = tokio::select! {
            line = lines.recv() => line,
            () = output.closed() => None,
        };
        let Some(line) = line else { break };
        if !agent.line(line).await {
            break;
        }
    }
    let _ = tokio::time::timeout(QUIT_TIMEOUT, agent.quit()).await;
}

/// All connections.
#[derive(Debug)]
struct Agent {
    settings: Settings,
    output: Output,
    connections: BTreeMap<String, Connection>,
    /// Connections that close in order.
    closing: JoinSet<()>,
    /// Fills that run or wait.
    fills: Arc<Semaphore>,
}

/// What a command leads to.
enum Outcome {
    /// This reply.
    Done(Result<Results, String>),
    /// A reply when it has come to an end.
    Later,
}

impl Agent {
    fn new(settings: Settings, output: Output) -> Self {
        let fills = Arc::new(Semaphore::new(MAX_FILLS));
        Self { settings, output, connections: BTreeMap::new(), closing: JoinSet::new(), fills }
    }

    /// `false`: that was the last one.
    async fn line(&mut self, line: Line) -> bool {
        let request = match line {
            Line::Whole(line) if line.trim_ascii().is_empty() => return true,
            Line::Whole(line) => Request::parse(&line),
            Line::TooLong => Err(BadLine { req: None, reason: "the line is too long".to_owned() }),
        };
        match request {
            Ok(Request { command: Command::Quit, .. }) => return false,
            Ok(Request { req: Some(req), pc, command }) => self.answer(req, pc, command).await,
            Ok(Request { req: None, .. }) => self.output.error("req is missing".to_owned()).await,
            Err(BadLine { req: Some(req), reason }) => self.output.reply(req, Err(reason)).await,
            Err(BadLine { req: None, reason }) => self.output.error(reason).await,
        }
        true
    }

    async fn answer(&mut self, req: Number, pc: Option<String>, command: Command) {
        let outcome = match (command, pc) {
            (Command::Ping, _) => Outcome::Done(Ok(Results::new())),
            (_, None) => Outcome::Done(Err("pc is missing".to_owned())),
            (Command::Create(create), Some(pc)) => Outcome::Done(self.create(pc, &create)),
            (Command::Close, Some(pc)) => Outcome::Done(self.close(&pc)),
            (command, Some(pc)) => match self.connections.get(&pc) {
                Some(connection) => self.command(connection, command, &req).await,
                None => Outcome::Done(Err(format!("no connection is called {pc:?}"))),
            },
        };
        if let Outcome::Done(result) = outcome {
            self.output.reply(req, result).await;
        }
    }

    fn create(&mut self, pc: String, create: &Create) -> Result<Results, String> {
        if self.connections.contains_key(&pc) {
            return Err(format!("a connection is called {pc:?} already"));
        }
        if self.connections.len() >= MAX_CONNECTIONS {
            return Err(format!("there are {MAX_CONNECTIONS} connections, close some"));
        }
        let connection =
            Connection::create(&pc, create, &self.settings, self.output.clone()).map_err(text)?;
        self.connections.insert(pc, connection);
        Ok(Results::new())
    }

    fn close(&mut self, pc: &str) -> Result<Results, String> {
        let connection =
            self.connections.remove(pc).ok_or_else(|| format!("no connection is called {pc:?}"))?;
        while self.closing.try_join_next().is_some() {}
        self.closing.spawn(connection.close());
        Ok(Results::new())
    }

    async fn command(&self, connection: &Connection, command: Command, req: &Number) -> Outcome {
        let nothing = |()| Results::new();
        Outcome::Done(match command {
            Command::CreateChannel(create) => connection.create_channel(create),
            Command::CreateOffer { ice_restart } => {
                connection.create_offer(ice_restart).await.map(nothing).map_err(text)
            }
            Command::SetRemote { description } => {
                connection.set_remote(description).await.map(nothing).map_err(text)
            }
            Command::AddCandidate(candidate) => {
                connection.add_candidate(candidate).await.map(nothing).map_err(text)
            }
            Command::LocalDescription => connection.local_description(),
            Command::Stats => Ok(connection.stats()),
            Command::Send(send) => return self.send(connection, send, req),
            Command::Expect { ch, count } => {
                connection.channel(&ch).map(|channel| channel.expect(count)).map(nothing)
            }
            Command::SetBufferedLow { ch, threshold } => {
                connection.channel(&ch).map(|channel| channel.set_buffered_low(threshold)).map(nothing)
            }
            Command::ChannelInfo { ch } => connection.channel(&ch).map(|channel| info(&channel)),
            Command::CloseChannel { ch } => {
                connection.channel(&ch).map(|channel| channel.close()).map(nothing)
            }
            Command::Create(_) | Command::Close | Command::Ping | Command::Quit => {
                unreachable!("not about a connection that is there")
            }
        })
    }

    fn send(&self, connection: &Connection, send: Send, req: &Number) -> Outcome {
        let Send { ch, text: string, base64, fill, high, low } = send;
        let channel = match connection.channel(&ch) {
            Ok(channel) => channel,
            Err(reason) => return Outcome::Done(Err(reason)),
        };
        Outcome::Done(match (string, base64, fill) {
            (Some(string), None, None) => channel.send(Message::from(string)).map_err(text),
            (None, Some(base64), None) => match BASE64.decode(base64.as_bytes()) {
                Ok(data) => channel.send(Message::from(data)).map_err(text),
                Err(error) => Err(format!("base64: {error}")),
            },
            (None, None, Some(fill)) => match self.fill(channel, fill, high.max(low), low, req) {
                Ok(()) => return Outcome::Later,
                Err(reason) => Err(reason),
            },
            _ => Err("send takes one of text, base64 and fill".to_owned()),
        })
    }

    /// Runs beside later commands, and replies when the last message was handed over.
    fn fill(
        &self,
        channel: Arc<Channel>,
        fill: Fill,
        high: usize,
        low: usize,
        req: &Number,
    ) -> Result<(), String> {
        if fill.size > MAX_FILL_SIZE {
            return Err(format!("no message of {} bytes is made, {MAX_FILL_SIZE} is the limit", fill.size));
        }
        let place =
            self.fills.clone().try_acquire_owned().map_err(|_| format!("{MAX_FILLS} fills are at work"))?;
        let (output, req) = (self.output.clone(), req.clone());
        tokio::spawn(async move {
            let result = channel.fill(fill, high, low).await;
            output.reply(req, result.map_err(text)).await;
            drop(place);
        });
        Ok(())
    }

    /// Ends all connections and waits until everything was written.
    async fn quit(mut self) {
        for (_, connection) in std::mem::take(&mut self.connections) {
            self.closing.spawn(connection.close());
        }
        while self.closing.join_next().await.is_some() {}
        self.output.flushed().await;
    }
}

fn info(channel: &Channel) -> Results {
    let mut info = results(json!(channel.properties()));
    info.insert("buffered_amount".to_owned(), json!(channel.buffered_amount()));
    info
}

/// Straits is always ICE-lite; `create` with `ice_lite` asks for what it is.
const FEATURES: &[&str] = &[
    "trickle",
    "ice_restart",
    "ice_lite",
    "negotiated",
    "multi_pc",
    "buffered_low",
    "stats",
    "unordered",
    "max_retransmits",
    "max_packet_life_time",
    "close_channel",
    "protocol",
];
/// An agent exits within 5 s of `quit`.
const QUIT_TIMEOUT: Duration = Duration::from_secs(3);
const MAX_CONNECTIONS: usize = 1000;
/// Bounds the memory of messages that are being made.
const MAX_FILLS: usize = 32;
/// Over what a connection buffers (16 MiB), so that it is the stack that refuses.
const MAX_FILL_SIZE: usize = 32 << 20;
