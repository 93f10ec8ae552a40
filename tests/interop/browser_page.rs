//! The page of the `browser` example in real browsers: what a person clicks, and reads.

#[path = "../support/loopback.rs"]
mod loopback;
#[path = "../../crates/straits/examples/browser/server/mod.rs"]
mod server;
#[path = "../support/webdriver.rs"]
mod webdriver;

use loopback::soon;
use serde_json::json;
use server::Server;
use std::sync::Arc;
use tokio::sync::mpsc;
use webdriver::{Kind, Page, in_browser};

/// A server and what its process prints.
struct Process {
    server: Server,
    printed: mpsc::UnboundedReceiver<String>,
}

impl Process {
    async fn start() -> Self {
        let (print, printed) = mpsc::unbounded_channel();
        let console = Arc::new(move |line| drop(print.send(line)));
        Self { server: Server::start(([127, 0, 0, 1], 0).into(), console).await.unwrap(), printed }
    }

    fn url(&self, query: &str) -> String {
        format!("http://{}/{query}", self.server.address())
    }

    /// Waits for the line.
    async fn prints(&mut self, expected: &str) {
        let mut seen = Vec::new();
        soon(expected, async {
            while let Some(line) = self.printed.recv().await {
                if line == expected {
                    return;
                }
                seen.push(line);
            }
            panic!("printed {seen:?}, never {expected:?}");
        })
        .await;
    }
}

/// Waits for the alert to say so.
async fn alerts(page: &Page, text: &str) {
    page.until(&format!("document.getElementById('alert').textContent.includes({})", json!(text))).await;
}

async fn connect(page: &Page) {
    page.click("connectButton").await;
    page.until("!document.getElementById('sendButton').disabled").await;
}

/// Waits for the cells of the row to be so: the page's state and the process's.
async fn both_are(page: &Page, row: &str, state: &str) {
    for end in ["page", "process"] {
        page.until(&format!("document.getElementById('{end}{row}').textContent === '{state}'")).await;
    }
}

async fn disconnect(page: &Page, process: &mut Process, name: &str) {
    page.click("disconnectButton").await;
    process.prints(&format!("{name}: Receive channel's status has changed to closed")).await;
    page.until("document.getElementById('disconnectButton').disabled").await;
    assert_eq!(page.text("#summary").await, "not connected");
}

#[tokio::test(flavor = "multi_thread")]
async fn chromium() {
    in_browser(Kind::Chromium, whole_visit).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn firefox() {
    in_browser(Kind::Firefox, whole_visit).await;
}

async fn whole_visit(page: Page) {
    let mut process = Process::start().await;
    page.open(&process.url("?mib=32")).await;
    assert_eq!(page.text("#summary").await, "not connected");
    connect(&page).await;
    process.prints("page 1: Receive channel's status has changed to open").await;
    talks(&page, &mut process).await;
    shows_the_states(&page).await;
    measures(&page).await;
    disconnect(&page, &mut process, "page 1").await;
    says_what_is_wrong(&page, &mut process).await;

    // Once more, after the offer that was refused, and the process leaves.
    connect(&page).await;
    talks_to(&page, &mut process, "page 4").await;
    process.server.stop().await;
    alerts(&page, "The process has ").await;
    assert_eq!(page.text("#summary").await, "not connected");
    page.click("connectButton").await;
    alerts(&page, "The server is gone").await;
    assert!(page.text("#log").await.contains("The process has "));
}

async fn talks(page: &Page, process: &mut Process) {
    talks_to(page, process, "page 1").await;
    assert_eq!(process.server.send("Hello from the process".to_owned()), 1);
    page.until("document.querySelector('#receivebox p')?.textContent === 'Hello from the process'").await;
    assert_eq!(page.text("#receivebox").await, "Hello from the process");
}

async fn talks_to(page: &Page, process: &mut Process, name: &str) {
    page.type_into("message", "Grüße, 世界").await;
    page.click("sendButton").await;
    process.prints(&format!("{name}: Message received: Grüße, 世界")).await;
    page.until("document.getElementById('message').value === ''").await;
    let told =
        "document.getElementById('processMessages').textContent === '1 message, the last one: Grüße, 世界'";
    page.until(told).await;
}

async fn shows_the_states(page: &Page) {
    for row in ["Dtls", "Sctp", "Connection"] {
        both_are(page, row, "connected").await;
    }
    both_are(page, "Channel", "open").await;
    both_are(page, "Signaling", "stable").await;
    assert_eq!(page.text("#summary").await, "connected");
    // The process is reached at one of its own addresses, from one that the browser keeps to itself.
    page.until("document.getElementById('processCandidate').textContent.endsWith('(host, udp)')").await;
    page.until("document.getElementById('pageCandidate').textContent.startsWith('hidden address')").await;
    for end in ["page", "process"] {
        page.until(&format!("document.getElementById('{end}Rtt').textContent.endsWith(' ms')")).await;
    }
}

async fn measures(page: &Page) {
    assert_eq!(page.text("#bulkButton").await, "Send 32 MiB");
    page.click("bulkButton").await;
    page.run("document.getElementById('bulkButton').click()", vec![]).await;
    alerts(page, "Already sending").await;
    page.until("document.getElementById('log').textContent.includes('32 MiB have arrived in ')").await;
    assert_eq!(page.text("#percent").await, "100 %");
    assert!(page.text("#rateMean").await.ends_with(" MiB/s"));
    let points = "return document.getElementById('curve').points.length";
    assert!(page.run(points, vec![]).await.as_u64() > Some(0), "the plot is empty");
}

async fn says_what_is_wrong(page: &Page, process: &mut Process) {
    page.run("document.getElementById('messageForm').requestSubmit()", vec![]).await;
    alerts(page, "The channel is not open: connect first.").await;

    let twice = "const button = document.getElementById('connectButton'); button.click(); button.click();";
    page.run(twice, vec![]).await;
    alerts(page, "Already connecting: one click is enough.").await;
    process.prints("page 2: Receive channel's status has changed to open").await;
    disconnect(page, process, "page 2").await;

    // An offer that is damaged on its way.
    page.run(
        "const original = window.fetch;
         window.fetch = (path, options) => {
             window.fetch = original;
             return original(path, { ...options, body: JSON.stringify({ type: 'offer', sdp: 'nonsense' }) });
         };",
        vec![],
    )
    .await;
    page.click("connectButton").await;
    alerts(page, "OperationError: SDP line 1").await;
    assert_eq!(page.text("#summary").await, "not connected");
}
