//! One channel: reports what happens to it, and sends on it.

use crate::fill::Messages;
use crate::output::Reporter;
use crate::protocol::{Event, Fill, Properties, Results, Summary};
use data_encoding::{BASE64, HEXLOWER};
use serde_json::json;
use sha2::{Digest, Sha256};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;
use straits::{ChannelCloseReason, DataChannel, DataChannelState, Error, Message};
use tokio::sync::{oneshot, watch};

/// A channel with its name.
#[derive(Debug)]
pub(crate) struct Channel {
    name: String,
    channel: DataChannel,
    /// Messages that are summed up instead of reported.
    batch: Mutex<Option<Batch>>,
    lows: watch::Sender<Lows>,
    /// Fills come one after another: each sets the threshold that it waits for.
    turn: tokio::sync::Mutex<()>,
    reporter: Reporter,
}

/// How often the buffered amount was low.
#[derive(Debug, Default)]
struct Lows {
    count: u64,
    /// Is each to be reported from now on?
    is_wanted: bool,
    to_report: u64,
}

/// The messages of an `expect`.
#[derive(Debug)]
struct Batch {
    wanted: u64,
    count: u64,
    bytes: u64,
    hash: Sha256,
    first: Option<Instant>,
}

impl Channel {
    pub(crate) fn new(name: String, channel: DataChannel, reporter: Reporter) -> Self {
        let (lows, _) = watch::channel(Lows::default());
        Self { name, channel, batch: Mutex::default(), lows, turn: tokio::sync::Mutex::default(), reporter }
    }

    /// Begins to report what happens to the channel, until it is closed.
    pub(crate) fn start(self: &Arc<Self>) {
        let lows = self.lows.clone();
        self.channel.on_buffered_amount_low(move |_| lows.send_modify(Lows::add));
        let (opened, was_opened) = oneshot::channel();
        let mut opened = Some(opened);
        self.channel.on_open(move |_| {
            if let Some(opened) = opened.take() {
                // The task below waits until the channel is closed, so it hears of it.
                let _ = opened.send(());
            }
        });
        tokio::spawn(self.clone().run(was_opened, self.lows.subscribe()));
    }

    async fn run(self: Arc<Self>, mut opened: oneshot::Receiver<()>, mut lows: watch::Receiver<Lows>) {
        // A channel that the peer closed at once was open all the same.
        let _ = self.channel.opened().await;
        if opened.try_recv().is_ok() {
            self.reporter.report(&Event::Open { ch: self.name.clone(), stream_id: self.channel.id() }).await;
        }
        loop {
            tokio::select! {
                message = self.channel.recv() => match message {
                    Some(message) => self.received(&message).await,
                    None => break,
                },
                _ = lows.changed() => self.report_lows().await,
            }
        }
        let reason = self.channel.closed().await;
        self.report_lows().await;
        if let Some(message) = failure(&reason) {
            self.reporter.report(&Event::ChannelError { ch: self.name.clone(), message }).await;
        }
        self.reporter.report(&Event::ChannelClosed { ch: self.name.clone() }).await;
    }

    async fn received(&self, message: &Message) {
        let event = self.event_of(message);
        if let Some(event) = event {
            self.reporter.report(&event).await;
        }
    }

    fn event_of(&self, message: &Message) -> Option<Event> {
        let ch = self.name.clone();
        let mut expected = self.batch.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(batch) = expected.as_mut() else {
            return Some(Event::Message { ch, summary: summary(message) });
        };
        batch.add(message);
        if batch.count < batch.wanted {
            return None;
        }
        expected.take().map(|batch| batch.into_event(ch))
    }

    async fn report_lows(&self) {
        let mut count = 0;
        self.lows.send_if_modified(|lows| {
            count = std::mem::take(&mut lows.to_report);
            false
        });
        for _ in 0..count {
            self.reporter.report(&Event::BufferedLow { ch: self.name.clone() }).await;
        }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.channel.ready_state() == DataChannelState::Closed
    }

    pub(crate) fn stream_id(&self) -> Option<u16> {
        self.channel.id()
    }

    pub(crate) fn properties(&self) -> Properties {
        let channel = &self.channel;
        Properties {
            label: channel.label().to_owned(),
            protocol: channel.protocol().to_owned(),
            ordered: channel.ordered(),
            max_retransmits: channel.max_retransmits(),
            max_packet_life_time: channel.max_packet_life_time(),
            negotiated: channel.negotiated(),
            stream_id: channel.id(),
            state: channel.ready_state().as_str(),
        }
    }

    pub(crate) fn buffered_amount(&self) -> usize {
        self.channel.buffered_amount()
    }

    /// 0 takes back an earlier call.
    pub(crate) fn expect(&self, count: u64) {
        let batch = (count > 0).then(|| Batch::new(count));
        *self.batch.lock().unwrap_or_else(PoisonError::into_inner) = batch;
    }

    pub(crate) fn set_buffered_low(&self, threshold: usize) {
        self.channel.set_buffered_amount_low_threshold(threshold);
        // A fill that waits for another threshold sets it again.
        self.lows.send_modify(|lows| lows.is_wanted = true);
    }

    pub(crate) fn close(&self) {
        self.channel.close();
    }

    pub(crate) fn send(&self, message: Message) -> Result<Results, Error> {
        self.channel.try_send(message)?;
        Ok(Results::from_iter([("buffered_amount".to_owned(), json!(self.buffered_amount()))]))
    }

    /// Sends many messages. While more than `high` bytes are buffered it waits until `low` are left.
    pub(crate) async fn fill(&self, fill: Fill, high: usize, low: usize) -> Result<Results, Error> {
        let _turn = self.turn.lock().await;
        self.channel.set_buffered_amount_low_threshold(low);
        let messages = Messages::new(fill.size, fill.seed);
        let before = self.lows.borrow().count;
        let (mut waits, mut max_buffered) = (0_u64, 0);
        for index in 0..fill.count {
            let message = messages.get(index);
            match self.channel.try_send(message.clone()) {
                // Other channels filled what all have together: the stack knows best when there is room.
                Err(error) if error.is_buffer_full() => {
                    waits += 1;
                    self.channel.send(message).await?;
                }
                sent => sent?,
            }
            let buffered = self.buffered_amount();
            max_buffered = max_buffered.max(buffered);
            if buffered > high {
                waits += 1;
                self.drained(low).await?;
            }
            // Nothing above awaits while there is room, and the packets have to leave.
            tokio::task::consume_budget().await;
        }
        let results = json!({
            "sent": fill.count,
            "buffered_low_events": self.lows.borrow().count - before,
            "waits": waits,
            "max_buffered": max_buffered,
            "buffered_amount": self.buffered_amount(),
        });
        Ok(results.as_object().cloned().unwrap_or_default())
    }

    /// Ready when at most `low` bytes are buffered; an error when the channel ends before.
    async fn drained(&self, low: usize) -> Result<(), Error> {
        let mut lows = self.lows.subscribe();
        loop {
            self.channel.set_buffered_amount_low_threshold(low);
            lows.mark_unchanged();
            if self.buffered_amount() <= low {
                return Ok(());
            }
            tokio::select! {
                _ = lows.changed() => {}
                _ = self.channel.closed() => return self.channel.opened().await,
            }
        }
    }
}

impl Lows {
    fn add(&mut self) {
        self.count += 1;
        self.to_report += u64::from(self.is_wanted);
    }
}

impl Batch {
    fn new(wanted: u64) -> Self {
        Self { wanted, count: 0, bytes: 0, hash: Sha256::new(), first: None }
    }

    fn add(&mut self, message: &Message) {
        self.first.get_or_insert_with(Instant::now);
        self.count += 1;
        self.bytes += message.len() as u64;
        self.hash.update(message.as_bytes());
    }

    fn into_event(self, ch: String) -> Event {
        let ms = self.first.map_or(0, |first| first.elapsed().as_millis());
        Event::Batch {
            ch,
            count: self.count,
            bytes: self.bytes,
            sha256: HEXLOWER.encode(&self.hash.finalize()),
            ms: u64::try_from(ms).unwrap_or(u64::MAX),
        }
    }
}

fn summary(message: &Message) -> Summary {
    let data = message.as_bytes();
    let is_short = data.len() <= SHORT;
    let text = message.as_text();
    Summary {
        kind: if text.is_some() { "text" } else { "binary" },
        size: data.len(),
        sha256: HEXLOWER.encode(&Sha256::digest(data)),
        text: text.filter(|_| is_short).map(str::to_owned),
        base64: (text.is_none() && is_short).then(|| BASE64.encode(data)),
    }
}

/// What ended the channel, if it did not end in order.
fn failure(reason: &ChannelCloseReason) -> Option<String> {
    match reason {
        ChannelCloseReason::LocalClose | ChannelCloseReason::LocalAbort | ChannelCloseReason::RemoteClose => {
            None
        }
        reason => Some(format!("{reason:?}")),
    }
}

/// The largest message that is reported whole.
const SHORT: usize = 1024;
