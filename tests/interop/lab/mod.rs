//! A connection between Straits and a page of a real browser.

use crate::loopback::soon;
use crate::webdriver::Page;
use axum::Router;
use axum::response::Html;
use axum::routing::get;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use straits::{
    Configuration, DataChannel, DataChannelInit, IceCandidate, Message, PeerConnection, SessionDescription,
};
use tokio::net::TcpListener;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

/// Who makes the first offer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Offerer {
    Page,
    Straits,
}

/// Both ends.
pub(crate) struct Lab {
    pub(crate) page: Page,
    pub(crate) straits: PeerConnection,
    /// Of Straits; `None` ends each gathering.
    pub(crate) candidates: UnboundedReceiver<Option<IceCandidate>>,
}

impl Lab {
    /// Two ends that have done nothing yet.
    pub(crate) async fn start(page: Page) -> Self {
        page.run("lab.start()", vec![]).await;
        let straits = PeerConnection::new(Configuration::default()).unwrap();
        let (find, candidates) = unbounded_channel();
        straits.on_ice_candidate(move |candidate| drop(find.send(candidate)));
        Self { page, straits, candidates }
    }

    /// Two ends that have met, with an open channel `first` of the offerer.
    pub(crate) async fn connected(page: Page, offerer: Offerer) -> (Self, DataChannel) {
        let mut lab = Self::start(page).await;
        let channel = match offerer {
            Offerer::Page => {
                lab.create("first", json!({})).await;
                lab.negotiate(offerer).await;
                lab.accept("first").await
            }
            Offerer::Straits => {
                let channel = lab.straits.create_data_channel("first", DataChannelInit::default()).unwrap();
                lab.negotiate(offerer).await;
                channel
            }
        };
        soon("the channel", channel.opened()).await.unwrap();
        lab.opened("first").await;
        (lab, channel)
    }

    pub(crate) async fn end(self) {
        self.page.run("lab.end()", vec![]).await;
        self.straits.close();
        soon("the end", self.straits.closed()).await;
    }

    /// Offer and answer, of new credentials, with all their candidates in them.
    pub(crate) async fn negotiate(&mut self, offerer: Offerer) {
        match offerer {
            Offerer::Page => {
                let offer = self.page.run("return lab.offer()", vec![]).await;
                self.answer(offer).await;
            }
            Offerer::Straits => {
                let offer = self.straits.create_offer().await.unwrap();
                let offer = self.describe(offer).await;
                let answer = self.page.run("return lab.answer(a)", vec![offer]).await;
                self.straits.set_remote_description(description(answer)).await.unwrap();
            }
        }
    }

    /// The page's offer is answered.
    pub(crate) async fn answer(&mut self, offer: Value) {
        self.straits.set_remote_description(description(offer)).await.unwrap();
        let answer = self.straits.create_answer().await.unwrap();
        let answer = self.describe(answer).await;
        self.page.run("await lab.accept(a)", vec![answer]).await;
    }

    /// Sets a local description that begins a gathering; gives it with all its candidates.
    async fn describe(&mut self, description: SessionDescription) -> Value {
        self.straits.set_local_description(description).await.unwrap();
        while soon("a candidate", self.candidates.recv()).await.unwrap().is_some() {}
        serde_json::to_value(self.straits.local_description()).unwrap()
    }

    // Channels.

    /// The page makes a channel.
    pub(crate) async fn create(&self, label: &str, init: Value) {
        self.page.run("lab.create(a, b)", vec![label.into(), init]).await;
    }

    /// Straits makes a channel.
    pub(crate) fn make(&self, label: &str, init: DataChannelInit) -> DataChannel {
        self.straits.create_data_channel(label, init).unwrap()
    }

    /// The next channel that the page has made, which is this one.
    pub(crate) async fn accept(&self, label: &str) -> DataChannel {
        let channel = soon("a channel", self.straits.accept_channel()).await.unwrap();
        assert_eq!(channel.label(), label);
        channel
    }

    /// The settings of the page's end of the channel, once it is open.
    pub(crate) async fn opened(&self, label: &str) -> Value {
        self.page.run("return lab.opened(a)", vec![label.into()]).await
    }

    pub(crate) async fn closed(&self, label: &str) {
        self.page.run("await lab.closed(a)", vec![label.into()]).await;
    }

    /// The page closes its end of the channel.
    pub(crate) async fn close(&self, label: &str) {
        self.page.run("lab.channel(a).close()", vec![label.into()]).await;
    }

    // Messages.

    pub(crate) async fn send(&self, label: &str, contents: &[Content]) {
        let contents = contents.iter().map(Content::to_page).collect();
        self.page.run("lab.send(a, b)", vec![label.into(), Value::Array(contents)]).await;
    }

    /// The page receives these messages next, in this order.
    pub(crate) async fn receives(&self, label: &str, contents: &[Content]) {
        let received = self.received(label, contents.len()).await;
        assert_eq!(received, contents.iter().map(Content::described).collect::<Vec<_>>());
    }

    /// Kinds, sizes and digests of the next messages of the page.
    pub(crate) async fn received(&self, label: &str, count: usize) -> Vec<Value> {
        let received = self.page.run("return lab.received(a, b)", vec![label.into(), count.into()]).await;
        received.as_array().unwrap().clone()
    }

    /// A text passes on the channel both ways.
    pub(crate) async fn talk(&self, channel: &DataChannel, text: &'static str) {
        let contents = [Content::Text(text)];
        self.send(channel.label(), &contents).await;
        receive(channel, &contents).await;
        send(channel, &contents).await;
        self.receives(channel.label(), &contents).await;
    }
}

pub(crate) async fn send(channel: &DataChannel, contents: &[Content]) {
    for content in contents {
        soon("room", channel.send(content.message())).await.unwrap();
    }
}

/// Straits receives these messages next, in this order.
pub(crate) async fn receive(channel: &DataChannel, contents: &[Content]) {
    for content in contents {
        let message = soon("a message", channel.recv()).await;
        assert!(message == Some(content.message()), "it is not {content:?}");
    }
}

/// A message that both ends can make.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Content {
    Text(&'static str),
    /// So many characters of one byte.
    Letters(usize, usize),
    /// So many bytes, of a seed.
    Bytes(usize, usize),
}

impl Content {
    pub(crate) fn message(&self) -> Message {
        match *self {
            Self::Text(text) => Message::Text(text.into()),
            Self::Letters(size, seed) => {
                let letters: String =
                    (0..size).map(|i| char::from(b"abcdefghijklmnopqrstuvwxyz"[(i + seed) % 26])).collect();
                Message::Text(letters.into())
            }
            Self::Bytes(size, seed) => {
                let bytes = (0..size).map(|i| ((i * 31 + (i >> 8) + seed) & 255) as u8);
                Message::Binary(bytes.collect())
            }
        }
    }

    /// As the page makes it.
    fn to_page(&self) -> Value {
        match *self {
            Self::Text(text) => json!({ "text": text }),
            Self::Letters(size, seed) => json!({ "kind": "text", "size": size, "seed": seed }),
            Self::Bytes(size, seed) => json!({ "kind": "binary", "size": size, "seed": seed }),
        }
    }

    /// As the page describes what it has received.
    pub(crate) fn described(&self) -> Value {
        described(&self.message())
    }
}

/// As the page describes a message.
pub(crate) fn described(message: &Message) -> Value {
    let kind = if message.as_text().is_some() { "text" } else { "binary" };
    let digest = Sha256::digest(message.as_bytes());
    let digest: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    json!({ "kind": kind, "size": message.len(), "sha256": digest })
}

pub(crate) fn description(json: Value) -> SessionDescription {
    serde_json::from_value(json).unwrap()
}

/// Serves the page, as long as the test runs; gives its address. One on 127.0.0.1 may use all of a browser's API.
pub(crate) async fn serve() -> String {
    let page = format!("<!doctype html><title>lab</title><script>{}</script>", include_str!("page.js"));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let router = Router::new().route("/", get(move || async { Html(page) }));
    tokio::spawn(axum::serve(listener, router).into_future());
    url
}
