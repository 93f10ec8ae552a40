//! The standard output, which carries one event to a line and nothing else.

use crate::protocol::{Event, Reply, Results};
use serde::Serialize;
use serde_json::Number;
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::{mpsc, oneshot};

/// Where events go. While the reader is late, whoever reports waits, and with it the peer that sends.
#[derive(Clone, Debug)]
pub(crate) struct Output(mpsc::Sender<Entry>);

#[derive(Debug)]
enum Entry {
    Line(Vec<u8>),
    /// Everything before it was written.
    Barrier(oneshot::Sender<()>),
}

impl Output {
    /// Writes to `to` in a thread of its own, because pipes block.
    pub(crate) fn new(to: impl Write + Send + 'static) -> Self {
        let (sender, entries) = mpsc::channel(MAX_WAITING);
        std::thread::spawn(move || write(to, entries));
        Self(sender)
    }

    pub(crate) async fn report(&self, event: &Event) {
        self.write(event).await;
    }

    pub(crate) async fn reply(&self, req: Number, outcome: Result<Results, String>) {
        self.write(&Event::Reply(Reply::new(req, outcome))).await;
    }

    pub(crate) async fn error(&self, message: String) {
        self.write(&Event::Error { message }).await;
    }

    async fn write(&self, line: &impl Serialize) {
        // When the reader is gone there is nobody to tell: the main loop ends then.
        let _ = self.0.send(Entry::Line(to_line(line))).await;
    }

    /// Ready when what was reported before is written, or never will be.
    pub(crate) async fn flushed(&self) {
        let (done, reached) = oneshot::channel();
        if self.0.send(Entry::Barrier(done)).await.is_ok() {
            let _ = reached.await;
        }
    }

    /// Ready when nobody reads any more.
    pub(crate) async fn closed(&self) {
        self.0.closed().await;
    }
}

fn to_line(line: &impl Serialize) -> Vec<u8> {
    let mut line = serde_json::to_vec(line).expect("events are made of what JSON has");
    line.push(b'\n');
    line
}

fn write(mut to: impl Write, mut entries: mpsc::Receiver<Entry>) {
    while let Some(entry) = entries.blocking_recv() {
        let written = match entry {
            Entry::Line(line) => to.write_all(&line).and_then(|()| to.flush()),
            Entry::Barrier(done) => {
                let _ = done.send(());
                Ok(())
            }
        };
        if let Err(error) = written {
            tracing::warn!(%error, "standard output");
            break;
        }
    }
}

/// Reports what happens to one connection, until it was closed by command.
#[derive(Clone, Debug)]
pub(crate) struct Reporter {
    pc: Arc<str>,
    output: Output,
    is_silent: Arc<AtomicBool>,
}

#[derive(Serialize)]
struct OfConnection<'a> {
    #[serde(flatten)]
    event: &'a Event,
    pc: &'a str,
}

impl Reporter {
    pub(crate) fn new(pc: &str, output: Output) -> Self {
        Self { pc: pc.into(), output, is_silent: Arc::default() }
    }

    /// Waits for room. What is reported after [`silence`](Self::silence) is lost, even if it was waiting by then: all of the
    /// agent runs on one thread, and nothing is awaited between the look and the line.
    pub(crate) async fn report(&self, event: &Event) {
        let Ok(room) = self.output.0.reserve().await else { return };
        if !self.is_silent.load(Ordering::Relaxed) {
            room.send(Entry::Line(to_line(&OfConnection { event, pc: &self.pc })));
        }
    }

    /// "Nothing is reported for this `pc` afterwards".
    pub(crate) fn silence(&self) {
        self.is_silent.store(true, Ordering::Relaxed);
    }
}

/// Lines that wait for the reader; none is larger than a description or a message of 1024 bytes.
const MAX_WAITING: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl Write for Written {
        fn write(&mut self, data: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(data)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[tokio::test]
    async fn a_connection_is_named_until_it_is_silent() {
        let written = Written::default();
        let output = Output::new(written.clone());
        let reporter = Reporter::new("p1", output.clone());
        reporter.report(&Event::IceState { state: "new" }).await;
        reporter.silence();
        reporter.report(&Event::IceState { state: "closed" }).await;
        output.reply(1.into(), Ok(Results::new())).await;
        output.flushed().await;
        let lines = String::from_utf8(written.0.lock().unwrap().clone()).unwrap();
        let expected = "{\"event\":\"ice_state\",\"state\":\"new\",\"pc\":\"p1\"}\n{\"event\":\"reply\",\"req\":1,\"ok\":true}\n";
        assert_eq!(lines, expected);
    }
}
