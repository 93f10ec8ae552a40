//! The signalling of the `browser` example without a browser: what it refuses, and how sessions end.

#[path = "../support/loopback.rs"]
mod loopback;
#[path = "../../crates/straits/examples/browser/server/mod.rs"]
mod server;

use loopback::{offerer, soon};
use serde_json::{Value, json};
use server::Server;
use std::net::SocketAddr;
use std::sync::Arc;
use straits::{Configuration, DataChannelInit, IceCandidate, PeerConnection, SessionDescription};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;

const JSON: &str = "application/json";

async fn start() -> (Server, mpsc::UnboundedReceiver<String>) {
    let (print, printed) = mpsc::unbounded_channel();
    let console = Arc::new(move |line| drop(print.send(line)));
    (Server::start(([127, 0, 0, 1], 0).into(), console).await.unwrap(), printed)
}

/// The status and the body of the response.
async fn request(server: SocketAddr, method: &str, path: &str, kind: &str, body: &str) -> (u16, Value) {
    let mut stream = send(server, method, path, kind, body).await;
    let mut response = String::new();
    soon("the response", stream.read_to_string(&mut response)).await.unwrap();
    let (head, body) = response.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    let body = if body.is_empty() { Value::Null } else { serde_json::from_str(body).unwrap() };
    (status, body)
}

async fn send(server: SocketAddr, method: &str, path: &str, kind: &str, body: &str) -> TcpStream {
    let mut stream = TcpStream::connect(server).await.unwrap();
    let length = body.len();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nhost: {server}\r\nconnection: close\r\n\
         content-type: {kind}\r\ncontent-length: {length}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    // A body that is too long may be refused before it was read.
    let _ = stream.write_all(body.as_bytes()).await;
    stream
}

async fn offer(connection: &PeerConnection) -> String {
    let offer = connection.create_offer().await.unwrap();
    connection.set_local_description(offer.clone()).await.unwrap();
    serde_json::to_string(&offer).unwrap()
}

/// The id of a session that was opened with the offer, and the answer.
async fn open(server: SocketAddr, offer: &str) -> (String, SessionDescription) {
    let (status, mut body) = request(server, "POST", "/sessions", JSON, offer).await;
    assert_eq!(status, 201, "{body}");
    (body["id"].as_str().unwrap().to_owned(), serde_json::from_value(body["answer"].take()).unwrap())
}

/// Takes events until one of this name comes; gives its data.
async fn event(stream: &mut TcpStream, taken: &mut String, name: &str) -> Value {
    soon(name, async {
        loop {
            let wanted = format!("event: {name}\ndata: ");
            if let Some((_, rest)) = taken.split_once(&wanted)
                && let Some((data, rest)) = rest.split_once("\n\n")
            {
                let data = serde_json::from_str(data).unwrap();
                *taken = rest.to_owned();
                return data;
            }
            let mut buffer = [0; 4096];
            let length = stream.read(&mut buffer).await.unwrap();
            assert!(length > 0, "the stream ended before {name}: {taken}");
            taken.push_str(std::str::from_utf8(&buffer[..length]).unwrap());
        }
    })
    .await
}

/// What the page does, done by Straits: it talks, and measures.
#[tokio::test]
async fn straits_in_place_of_the_page() {
    let (server, mut printed) = start().await;
    let address = server.address();
    let page = PeerConnection::new(Configuration::default().include_loopback(true)).unwrap();
    let talk = page.create_data_channel("sendChannel", DataChannelInit::default()).unwrap();
    let bulk = page.create_data_channel("bulk", DataChannelInit::default()).unwrap();
    let (id, answer) = open(address, &offer(&page).await).await;
    page.set_remote_description(answer).await.unwrap();
    let mut stream = send(address, "GET", &format!("/sessions/{id}/events"), JSON, "").await;
    let mut taken = String::new();
    let candidate = event(&mut stream, &mut taken, "candidate").await;
    page.add_ice_candidate(serde_json::from_value::<IceCandidate>(candidate).unwrap()).await.unwrap();
    soon("the channel", talk.opened()).await.unwrap();
    talk.send("\u{1b}[31mred, and no more").await.unwrap();
    talk.send(vec![0; 5]).await.unwrap();
    for line in [
        "Receive channel's status has changed to open",
        "Message received: \u{fffd}[31mred, and no more",
        "Message received: 5 bytes",
    ] {
        assert_eq!(soon(line, printed.recv()).await.unwrap(), format!("page 1: {line}"));
    }
    assert_eq!(server.send("Hello".to_owned()), 1);
    assert_eq!(soon("a message", talk.recv()).await, Some("Hello".into()));

    for _ in 0..4 {
        bulk.send(vec![0; 65_536]).await.unwrap();
    }
    bulk.send("that was all").await.unwrap();
    for received in ["262144", "262144"] {
        assert_eq!(soon("a count", bulk.recv()).await, Some(received.into()));
    }
    page.close();
    soon("the end", page.closed()).await;
    let closed = "page 1: Receive channel's status has changed to closed";
    assert_eq!(soon(closed, printed.recv()).await.unwrap(), closed);
    assert!(soon("the end", printed.recv()).await.unwrap().starts_with("page 1: left: "));
    assert_eq!(server.send("Hello".to_owned()), 0);
    server.stop().await;
}

#[tokio::test]
async fn what_is_wrong_has_a_name() {
    let (server, _printed) = start().await;
    let address = server.address();
    let cases = [
        ("POST", "/sessions", JSON, r#"{"type":"#, 400, "SyntaxError"),
        ("POST", "/sessions", JSON, r#"{"sdp":""}"#, 422, "TypeError"),
        ("POST", "/sessions", "text/plain", r#"{"type":"offer","sdp":""}"#, 415, "NotSupportedError"),
        ("POST", "/sessions", JSON, r#"{"type":"offer","sdp":"nonsense"}"#, 400, "OperationError"),
        ("POST", "/sessions", JSON, r#"{"type":"answer","sdp":"v=0"}"#, 400, "InvalidStateError"),
        ("POST", "/sessions/0/candidates", JSON, "{}", 404, "NotFoundError"),
        ("GET", "/sessions/0/events", JSON, "", 404, "NotFoundError"),
        ("PUT", "/sessions/0", JSON, "", 405, "NotSupportedError"),
        ("GET", "/other", JSON, "", 404, "NotFoundError"),
    ];
    for (method, path, kind, body, status, name) in cases {
        let (got, error) = request(address, method, path, kind, body).await;
        assert_eq!((got, error["name"].as_str()), (status, Some(name)), "{method} {path} {body}: {error}");
        assert!(error["message"].as_str().is_some_and(|message| !message.is_empty()), "{error}");
    }
    server.stop().await;
}

#[tokio::test]
async fn large_bodies_are_refused() {
    let (server, _printed) = start().await;
    let body = json!({ "type": "offer", "sdp": "x".repeat(64 << 10) }).to_string();
    let (status, error) = request(server.address(), "POST", "/sessions", JSON, &body).await;
    assert_eq!((status, error["name"].as_str()), (413, Some("QuotaExceededError")), "{error}");
    server.stop().await;
}

/// Offers that nobody follows up take places, a bounded number of them; they are free again when their pages leave.
#[tokio::test]
async fn sessions_are_bounded() {
    let (server, mut printed) = start().await;
    let page = offerer();
    let offer = offer(&page).await;
    let mut open = Vec::new();
    let refusal = loop {
        let (status, mut body) = request(server.address(), "POST", "/sessions", JSON, &offer).await;
        if status != 201 {
            break (status, body["name"].take());
        }
        open.push(body["id"].as_str().unwrap().to_owned());
        assert!(open.len() <= 64, "no bound");
    };
    assert_eq!(refusal, (503, json!("OperationError")));
    let path = format!("/sessions/{}", open[0]);
    assert_eq!(request(server.address(), "DELETE", &path, JSON, "").await.0, 204);
    assert_eq!(soon("the end", printed.recv()).await.unwrap(), "page 1: left: closed by this side");
    let (status, _) = request(server.address(), "POST", "/sessions", JSON, &offer).await;
    assert_eq!(status, 201);
    let events = format!("{path}/events");
    assert_eq!(request(server.address(), "GET", &events, JSON, "").await.0, 404, "it is forgotten");
    page.close();
    server.stop().await;
}

/// Candidates come as events, to a page that comes back, too; the state follows, to the end of the session.
#[tokio::test]
async fn events_tell_candidates_and_states() {
    let (server, _printed) = start().await;
    let address = server.address();
    let page = offerer();
    let (id, answer) = open(address, &offer(&page).await).await;
    assert!(!answer.sdp.contains("a=candidate"), "they trickle: {}", answer.sdp);
    page.set_remote_description(answer).await.unwrap();
    let events = format!("/sessions/{id}/events");
    for _ in 0..2 {
        let mut stream = send(address, "GET", &events, JSON, "").await;
        let candidate = event(&mut stream, &mut String::new(), "candidate").await;
        let candidate: IceCandidate = serde_json::from_value(candidate).unwrap();
        assert!(candidate.candidate.starts_with("candidate:"), "{candidate:?}");
    }
    let candidate =
        json!({ "candidate": "candidate:1 1 udp 1 0.local 9 typ host", "sdpMid": "0" }).to_string();
    let path = format!("/sessions/{id}/candidates");
    assert_eq!(request(address, "POST", &path, JSON, &candidate).await.0, 204);
    let (status, error) =
        request(address, "POST", &path, JSON, r#"{"candidate":"nonsense","sdpMid":"0"}"#).await;
    assert_eq!((status, error["name"].as_str()), (400, Some("OperationError")), "{error}");

    let mut stream = send(address, "GET", &events, JSON, "").await;
    let mut taken = String::new();
    assert_eq!(event(&mut stream, &mut taken, "state").await["signalingState"], "stable");
    assert_eq!(request(address, "DELETE", &format!("/sessions/{id}"), JSON, "").await.0, 204);
    let last = loop {
        let state = event(&mut stream, &mut taken, "state").await;
        if state["connectionState"] == "closed" && !state["ended"].is_null() {
            break state;
        }
    };
    assert_eq!(last["ended"], "closed by this side");
    soon("the end of the events", stream.read_to_string(&mut taken)).await.unwrap();
    page.close();
    server.stop().await;
}
