//! The example `echo_server`: browsers on one UDP port, with signalling over HTTP.

#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

#[path = "support/example.rs"]
mod example;
#[path = "support/loopback.rs"]
mod support;

use bytes::Bytes;
use example::Example;
use futures_util::future::join_all;
use serde_json::Value;
use straits::{DataChannel, DataChannelInit, Message, PeerConnection, SessionDescription};
use support::{end, gathered, offerer, peer, soon};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// The running server and where it serves.
struct Server {
    process: Example,
    udp: String,
    http: String,
}

impl Server {
    async fn start(arguments: &[&str]) -> Self {
        let addresses = ["--bind", "127.0.0.1:0", "--udp", "127.0.0.1:0"];
        let mut process = Example::start("echo_server", addresses.iter().chain(arguments));
        let udp = process.line().await.strip_prefix("UDP on ").unwrap().to_owned();
        let http = process.line().await;
        let http = http.strip_prefix("HTTP on http://").unwrap().strip_suffix('/').unwrap().to_owned();
        Self { process, udp, http }
    }

    /// One HTTP request on a TCP connection of its own: the status and the body of the response.
    async fn request(&self, method: &str, body: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(&self.http).await.unwrap();
        let head = format!(
            "{method} / HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            self.http,
            body.len()
        );
        stream.write_all((head + body).as_bytes()).await.unwrap();
        let mut response = String::new();
        soon("the response", stream.read_to_string(&mut response)).await.unwrap();
        let (head, body) = response.split_once("\r\n\r\n").unwrap();
        (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
    }

    /// The status and the word for a request that is refused.
    async fn refusal(&self, body: &str) -> (u16, String) {
        let (status, body) = self.request("POST", body).await;
        let body: Value = serde_json::from_str(&body).unwrap();
        (status, body["error"].as_str().unwrap().to_owned())
    }

    /// A client with one channel.
    async fn client(&self) -> (PeerConnection, DataChannel) {
        let client = peer();
        let channel = client.create_data_channel("echo", DataChannelInit::default()).unwrap();
        client.set_local_description(client.create_offer().await.unwrap()).await.unwrap();
        gathered(&client).await;
        let offer = serde_json::to_string(&client.local_description().unwrap()).unwrap();
        let (status, answer) = self.request("POST", &offer).await;
        assert_eq!(status, 200, "{answer}");
        let answer: SessionDescription = serde_json::from_str(&answer).unwrap();
        assert!(answer.sdp.contains(&self.udp.replace(':', " ")), "all have one port");
        client.set_remote_description(answer).await.unwrap();
        soon("the channel", channel.opened()).await.unwrap();
        (client, channel)
    }
}

/// Sends all messages, reading meanwhile: they come back as they were.
async fn echoes(channel: &DataChannel, messages: &[Message]) {
    let send = async {
        for message in messages {
            channel.send(message.clone()).await.unwrap();
        }
    };
    let receive = async {
        for (number, message) in messages.iter().enumerate() {
            assert_eq!(channel.recv().await.as_ref(), Some(message), "message {number}");
        }
    };
    soon("the echo", async { tokio::join!(send, receive) }).await;
}

/// 1 MiB in messages of many sizes.
fn a_mebibyte() -> Vec<Message> {
    let bytes: Bytes = (0..1 << 20).map(|n: u32| n.to_le_bytes()[n as usize % 3]).collect();
    let ends = (1..).map(|n: usize| n * n * 64).take_while(|end| *end < bytes.len()).chain([bytes.len()]);
    let mut start = 0;
    ends.map(|end| Message::Binary(bytes.slice(std::mem::replace(&mut start, end)..end))).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_channel_of_a_client_is_echoed() {
    let mut server = Server::start(&[]).await;
    let (client, channel) = server.client().await;
    assert_eq!(server.process.line().await, "connection 1: connected");
    let small =
        ["Grüße, 世界".into(), "".into(), Message::Binary(Bytes::new()), Message::Binary("\0".into())];
    echoes(&channel, &small).await;
    let messages = a_mebibyte();
    assert_eq!(messages.iter().map(Message::len).sum::<usize>(), 1 << 20);
    echoes(&channel, &messages).await;
    let unordered = DataChannelInit::default().ordered(false);
    let another = client.create_data_channel("another", unordered).unwrap();
    echoes(&another, &["one".into()]).await;
    channel.close();
    soon("the channel to close", channel.closed()).await;
    echoes(&another, &["after".into()]).await;
    end([client]).await;
    let farewell = server.process.line().await;
    assert!(farewell.starts_with("connection 1: disconnected: SCTP: aborted by the peer"), "{farewell}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_clients_at_once_have_one_port() {
    let mut server = Server::start(&[]).await;
    let clients = join_all((0..8).map(|_| server.client())).await;
    let mut connected = Vec::new();
    for _ in &clients {
        connected.push(server.process.line().await);
    }
    connected.sort();
    let expected: Vec<String> = (1..=8).map(|n| format!("connection {n}: connected")).collect();
    assert_eq!(connected, expected);
    let messages = a_mebibyte();
    join_all(clients.iter().map(|(_, channel)| echoes(channel, &messages))).await;
    for (client, _) in clients {
        end([client]).await;
    }
}

#[tokio::test]
async fn what_is_wrong_with_an_offer_is_said() {
    let server = Server::start(&[]).await;
    let (status, error) = server.refusal("this is no JSON").await;
    assert_eq!(status, 400, "{error}");
    assert!(error.contains("expected"), "{error}");

    let (status, error) = server.refusal(r#"{"sdp":"v=0\r\n"}"#).await;
    assert_eq!(status, 422, "{error}");
    assert!(error.contains("missing field `type`"), "{error}");

    let (status, error) = server.refusal(r#"{"type":"offer","sdp":"v=0\r\nnonsense\r\n"}"#).await;
    assert_eq!(status, 400, "{error}");
    assert!(error.starts_with("OperationError: SDP line 2: "), "{error}");

    let answer = serde_json::to_string(&SessionDescription::answer("v=0\r\n")).unwrap();
    let (status, error) = server.refusal(&answer).await;
    assert_eq!(status, 400, "{error}");
    assert!(error.starts_with("InvalidStateError: "), "{error}");

    let without_channel = serde_json::to_string(&peer().create_offer().await.unwrap()).unwrap();
    let (status, error) = server.refusal(&without_channel).await;
    assert_eq!(status, 400, "{error}");
    assert!(error.contains("the offer has no data channel section"), "{error}");

    // And it goes on serving.
    let (client, channel) = server.client().await;
    echoes(&channel, &["still there".into()]).await;
    end([client]).await;
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused() {
    let server = Server::start(&[]).await;
    let padded = |len: usize| " ".repeat(len);
    let (status, error) = server.refusal(&padded((64 << 10) + 1)).await;
    assert_eq!(status, 413, "{error}");
    assert!(error.contains("length limit exceeded"), "{error}");
    let (status, error) = server.refusal(&padded(64 << 10)).await;
    assert_eq!(status, 400, "of this size it is read: {error}");
}

#[tokio::test]
async fn a_connection_over_the_limit_is_refused() {
    let server = Server::start(&["--max-connections", "1"]).await;
    let (client, channel) = server.client().await;
    let offer = serde_json::to_string(&offerer().create_offer().await.unwrap()).unwrap();
    let (status, error) = server.refusal(&offer).await;
    assert_eq!(status, 503, "{error}");
    assert!(error.contains("the endpoint has 1 connections"), "{error}");
    echoes(&channel, &["the first one stays".into()]).await;
    end([client]).await;
}

#[tokio::test]
async fn the_page_is_served_and_other_requests_are_not() {
    let server = Server::start(&[]).await;
    let (status, page) = server.request("GET", "").await;
    assert_eq!(status, 200);
    assert!(page.starts_with("<!doctype html>") && page.contains("new RTCPeerConnection"), "{page}");
    let (status, _) = server.request("DELETE", "").await;
    assert_eq!(status, 405);
}

#[tokio::test]
async fn an_address_in_use_is_said() {
    let server = Server::start(&[]).await;
    let end = Example::start("echo_server", ["--bind", &server.http, "--udp", "127.0.0.1:0"]).end().await;
    assert_eq!((end.code, &*end.output), (Some(1), &[][..]));
    assert_eq!(end.errors.len(), 1, "{end:?}");
    assert!(end.errors[0].starts_with(&format!("echo_server: HTTP {}: ", server.http)), "{end:?}");
}
