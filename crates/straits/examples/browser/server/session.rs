//! One page and the connection with it.

use super::Console;
use super::status::{Inbox, News, Status};
use axum::response::sse::Event;
use futures_util::{Stream, stream};
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;
use straits::{DataChannel, Error, IceCandidate, Message, PeerConnection, SessionDescription};
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval};

/// The remote peer of one page.
pub(crate) struct Session {
    connection: PeerConnection,
    /// For the console.
    name: String,
    console: Console,
    news: watch::Sender<News>,
    inbox: Mutex<Inbox>,
    /// The channel of the message box, once it has come.
    channel: Mutex<Option<DataChannel>>,
}

impl Session {
    pub(crate) fn new(connection: PeerConnection, name: String, console: Console) -> Arc<Self> {
        let session = Arc::new(Self {
            connection,
            name,
            console,
            news: watch::Sender::new(News::default()),
            inbox: Mutex::default(),
            channel: Mutex::default(),
        });
        session.set_handlers();
        session
    }

    /// The remote peer's part of offer and answer. Its candidates follow as events.
    pub(crate) async fn answer(&self, offer: SessionDescription) -> Result<SessionDescription, Error> {
        self.connection.set_remote_description(offer).await?;
        let answer = self.connection.create_answer().await?;
        self.connection.set_local_description(answer.clone()).await?;
        Ok(answer)
    }

    pub(crate) async fn add_candidate(&self, candidate: IceCandidate) -> Result<(), Error> {
        self.connection.add_ice_candidate(candidate).await
    }

    /// Sends to the page, if its channel is open.
    pub(crate) fn send(&self, message: &Message) -> bool {
        let channel = lock(&self.channel).clone();
        channel.is_some_and(|channel| match channel.try_send(message.clone()) {
            Ok(()) => true,
            Err(error) => {
                self.say(format_args!("not sent: {error}"));
                false
            }
        })
    }

    pub(crate) fn close(&self) {
        self.connection.close();
    }

    /// Keeps the page informed until the connection has ended, and ends it when the page has left without a word.
    pub(crate) async fn attend(&self) {
        let mut looks = interval(LOOK_EVERY);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut page_seen = Instant::now();
        let reason = loop {
            tokio::select! {
                reason = self.connection.closed() => break reason,
                _ = looks.tick() => {
                    if self.news.receiver_count() > 0 {
                        page_seen = Instant::now();
                        self.look();
                    } else if page_seen.elapsed() > PAGE_AWAY {
                        self.close();
                    }
                }
            }
        };
        self.say(format_args!("left: {reason}"));
        self.look();
    }

    /// What the page hears: each candidate once, and the newest state whenever it is another one. A page that comes back
    /// after a pause hears all of it again.
    pub(crate) fn events(&self) -> impl Stream<Item = Result<Event, Infallible>> + use<> {
        let feed = Feed { news: self.news.subscribe(), candidates: 0, status: None };
        stream::unfold(feed, async |mut feed| Some((Ok(feed.next().await?), feed)))
    }

    fn set_handlers(self: &Arc<Self>) {
        let session = Arc::downgrade(self);
        self.connection.on_ice_candidate(move |candidate| {
            if let (Some(session), Some(candidate)) = (session.upgrade(), candidate) {
                session.news.send_modify(|news| news.candidates.push(candidate));
            }
        });
        let session = Arc::downgrade(self);
        self.connection.on_data_channel(move |channel| {
            if channel.label() == BULK {
                tokio::spawn(count(channel));
            } else if let Some(session) = session.upgrade() {
                session.receive_on(&channel);
            }
        });
        let look = self.looker();
        self.connection.on_ice_connection_state_change(move |_| look());
        let look = self.looker();
        self.connection.on_connection_state_change(move |_| look());
    }

    /// The sample's `receiveChannelCallback`.
    fn receive_on(self: &Arc<Self>, channel: &DataChannel) {
        *lock(&self.channel) = Some(channel.clone());
        let session = Arc::downgrade(self);
        channel.on_message(move |_, message| session.with(|session| session.message_received(&message)));
        let session = Arc::downgrade(self);
        channel.on_open(move |channel| session.with(|session| session.channel_status_changed(channel)));
        let session = Arc::downgrade(self);
        channel.on_close(move |channel| session.with(|session| session.channel_status_changed(channel)));
    }

    fn channel_status_changed(&self, channel: &DataChannel) {
        let state = channel.ready_state();
        self.say(format_args!("Receive channel's status has changed to {state}"));
        lock(&self.inbox).state = Some(state);
        self.look();
    }

    fn message_received(&self, message: &Message) {
        let text = match message {
            Message::Text(text) => printable(text),
            Message::Binary(data) => format!("{} bytes", data.len()),
        };
        self.say(format_args!("Message received: {text}"));
        let mut inbox = lock(&self.inbox);
        inbox.messages += 1;
        inbox.last = Some(text);
        drop(inbox);
        self.look();
    }

    /// Brings up to date what the page hears.
    fn look(&self) {
        let inbox = lock(&self.inbox).clone();
        let status = Some(Status::of(&self.connection, inbox));
        self.news.send_if_modified(|news| {
            let is_news = news.status != status;
            news.status = status;
            is_news
        });
    }

    fn looker(self: &Arc<Self>) -> impl Fn() + Send + 'static + use<> {
        let session = Arc::downgrade(self);
        move || session.with(Self::look)
    }

    fn say(&self, what: std::fmt::Arguments<'_>) {
        (self.console)(format!("{}: {what}", self.name));
    }
}

/// Handlers must not keep their own connection.
trait WithSession {
    fn with(&self, call: impl FnOnce(&Session));
}

impl WithSession for Weak<Session> {
    fn with(&self, call: impl FnOnce(&Session)) {
        if let Some(session) = self.upgrade() {
            call(&session);
        }
    }
}

/// What one page has heard.
struct Feed {
    news: watch::Receiver<News>,
    candidates: usize,
    status: Option<Status>,
}

impl Feed {
    /// `None` after the end of the session.
    async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.unheard() {
                return Some(event);
            }
            self.news.changed().await.ok()?;
        }
    }

    fn unheard(&mut self) -> Option<Event> {
        let news = self.news.borrow_and_update();
        let event = if let Some(candidate) = news.candidates.get(self.candidates) {
            self.candidates += 1;
            Event::default().event("candidate").json_data(candidate)
        } else if news.status != self.status {
            self.status.clone_from(&news.status);
            Event::default().event("state").json_data(&self.status)
        } else {
            return None;
        };
        Some(event.expect("strings and numbers are JSON"))
    }
}

/// The far side of a measurement: answers with the number of bytes received, now and then and whenever it is asked by a
/// text.
async fn count(channel: DataChannel) -> Result<(), Error> {
    let (mut received, mut told) = (0, 0);
    while let Some(message) = channel.recv().await {
        let asked = match message {
            Message::Text(_) => true,
            Message::Binary(data) => {
                received += data.len();
                false
            }
        };
        if asked || received - told >= TELL_EVERY {
            channel.send(received.to_string()).await?;
            told = received;
        }
    }
    Ok(())
}

/// What a stranger sends must not steer the terminal, nor fill it.
fn printable(text: &str) -> String {
    let mut line: String = text.chars().take(MAX_PRINTED).collect();
    if line.len() < text.len() {
        line.push('…');
    }
    line.replace(char::is_control, "\u{fffd}")
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The label of the channel that measures.
const BULK: &str = "bulk";
/// Bytes between two answers of a measurement.
const TELL_EVERY: usize = 256 << 10;
/// Characters of a message that are printed.
const MAX_PRINTED: usize = 1000;
/// Often enough for figures that people watch.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// A browser comes back within some 3 s when its stream of events broke off.
const PAGE_AWAY: Duration = Duration::from_secs(10);
