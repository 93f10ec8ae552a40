//! `bufferedAmount` and its event: BUF. On one thread, so that what stands between two waits is one task of the text.

use super::support::{Pair, soon};
use std::sync::{Arc, Mutex};
use straits::{DataChannel, DataChannelInit, DataChannelState, Message};
use tokio::sync::mpsc;

#[tokio::test]
async fn buf_01_it_is_0_after_opening() {
    for pair in Pair::of_both_kinds().await {
        assert_eq!((pair.channel_a.buffered_amount(), pair.channel_b.buffered_amount()), (0, 0));
        pair.close().await;
    }
}

#[tokio::test]
async fn buf_02_03_text_counts_in_bytes_until_it_arrives() {
    for pair in Pair::of_both_kinds().await {
        for (text, len) in [("hello", 5), ("世界你好", 12)] {
            pair.channel_a.send_text(text).unwrap();
            assert_eq!(pair.channel_a.buffered_amount(), len);
            assert_eq!(soon("it", pair.channel_b.recv()).await, Some(text.into()));
            assert_eq!(pair.channel_a.buffered_amount(), 0);
        }
        pair.close().await;
    }
}

/// Nor is there an event, since nothing fell.
#[tokio::test]
async fn buf_04_empty_messages_do_not_count() {
    for pair in Pair::of_both_kinds().await {
        let amounts = lows(&pair.channel_a);
        for (message, amount) in [(empty_text(), 0), (empty_binary(), 0)] {
            pair.channel_a.try_send(message.clone()).unwrap();
            assert_eq!(pair.channel_a.buffered_amount(), amount);
            assert_eq!(soon("it", pair.channel_b.recv()).await, Some(message));
        }
        let mixed = [empty_text(), "hello".into(), empty_binary(), vec![7; 10].into(), empty_text()];
        for (message, amount) in mixed.clone().into_iter().zip([0, 5, 5, 15, 15]) {
            pair.channel_a.try_send(message).unwrap();
            assert_eq!(pair.channel_a.buffered_amount(), amount);
        }
        for message in mixed {
            assert_eq!(soon("it", pair.channel_b.recv()).await, Some(message));
        }
        close(&pair.channel_a).await;
        assert_eq!(amounts.all(), [0]);
        pair.close().await;
    }
}

#[tokio::test]
async fn buf_05_binary_counts_in_bytes() {
    for pair in Pair::of_both_kinds().await {
        pair.channel_a.send_binary(vec![1; 100]).unwrap();
        assert_eq!(pair.channel_a.buffered_amount(), 100);
        let shared = bytes::Bytes::from(vec![2; 50]);
        pair.channel_a.send_binary(shared.slice(..20)).unwrap();
        assert_eq!(pair.channel_a.buffered_amount(), 120);
        assert_eq!(soon("it", pair.channel_b.recv()).await, Some(vec![1; 100].into()));
        assert_eq!(soon("it", pair.channel_b.recv()).await, Some(vec![2; 20].into()));
        pair.close().await;
    }
}

#[tokio::test]
async fn buf_06_07_what_is_sent_in_one_task_adds_up() {
    for pair in Pair::of_both_kinds().await {
        let messages = [Message::from("hello"), "世界你好".into(), b"bytes"[..].into()];
        for (message, amount) in messages.clone().into_iter().zip([5, 17, 22]) {
            pair.channel_a.try_send(message).unwrap();
            assert_eq!(pair.channel_a.buffered_amount(), amount);
            assert_eq!(pair.channel_a.buffered_amount(), amount, "the same when it is read again");
        }
        for message in messages {
            assert_eq!(soon("it", pair.channel_b.recv()).await, Some(message));
        }
        assert_eq!(pair.channel_a.buffered_amount(), 0);
        pair.close().await;
    }
}

#[tokio::test]
async fn buf_08_closing_the_channel_does_not_lower_it() {
    for pair in Pair::of_both_kinds().await {
        pair.channel_a.send_binary(vec![7; 100_000]).unwrap();
        pair.channel_a.close();
        assert_eq!(pair.channel_a.ready_state(), DataChannelState::Closing);
        assert_eq!(pair.channel_a.buffered_amount(), 100_000);
        assert_eq!(soon("it", pair.channel_b.recv()).await, Some(vec![7; 100_000].into()));
        assert_eq!(soon("the end", pair.channel_b.recv()).await, None);
        soon("a to close", pair.channel_a.closed()).await;
        assert_eq!(pair.channel_a.buffered_amount(), 0, "it was delivered before the channel closed");
        pair.close().await;
    }
}

#[tokio::test]
async fn buf_09_closing_the_connection_freezes_it() {
    for pair in Pair::of_both_kinds().await {
        let amounts = lows(&pair.channel_a);
        pair.channel_a.send_text("hello").unwrap();
        pair.channel_a.send_binary(vec![7; 100_000]).unwrap();
        pair.a.close();
        assert_eq!(pair.channel_a.ready_state(), DataChannelState::Closed);
        assert_eq!(pair.channel_a.buffered_amount(), 100_005);
        soon("a to close", pair.channel_a.closed()).await;
        soon("a to end", pair.a.closed()).await;
        soon("b to end", pair.b.closed()).await;
        assert_eq!(pair.channel_a.buffered_amount(), 100_005);
        assert_eq!(amounts.all(), [0; 0]);
        pair.close().await;
    }
}

#[tokio::test]
async fn buf_10_12_the_event_comes_each_time_it_drained() {
    for pair in Pair::of_both_kinds().await {
        let mut amounts = lows(&pair.channel_a);
        for _ in 0..3 {
            pair.channel_a.send_binary(vec![7; 10_000]).unwrap();
            assert_eq!(pair.channel_a.buffered_amount(), 10_000);
            assert_eq!(amounts.next().await, 0);
        }
        close(&pair.channel_a).await;
        assert_eq!(amounts.all(), [0; 3]);
        pair.close().await;
    }
}

#[tokio::test]
async fn buf_11_two_messages_in_one_task_make_one_event() {
    for pair in Pair::of_both_kinds().await {
        let amounts = lows(&pair.channel_a);
        pair.channel_a.send_text("one").unwrap();
        pair.channel_a.send_text("two").unwrap();
        close(&pair.channel_a).await;
        assert_eq!(amounts.all(), [0]);
        pair.close().await;
    }
}

#[tokio::test]
async fn buf_13_the_threshold_is_kept_from_before_opening() {
    let a = super::support::peer();
    let b = super::support::peer();
    let negotiated = DataChannelInit::default().negotiated(true).id(0);
    let channels =
        [DataChannelInit::default(), negotiated.clone()].map(|init| a.create_data_channel("", init).unwrap());
    let other_end = b.create_data_channel("", negotiated).unwrap();
    for channel in &channels {
        assert_eq!(channel.buffered_amount_low_threshold(), 0);
        channel.set_buffered_amount_low_threshold(1000);
        assert_eq!(channel.buffered_amount_low_threshold(), 1000);
    }
    super::support::trickle(&a, &b);
    super::support::trickle(&b, &a);
    super::support::negotiate(&a, &b).await;
    let mut amounts = channels.each_ref().map(lows);
    for (channel, amounts) in channels.iter().zip(&mut amounts) {
        soon("to open", channel.opened()).await.unwrap();
        assert_eq!(channel.buffered_amount_low_threshold(), 1000);
        // It counts, too: the first is not above it, the second is.
        channel.send_binary(vec![7; 1000]).unwrap();
        soon("the first to leave", async {
            while channel.buffered_amount() > 0 {
                tokio::task::yield_now().await;
            }
        })
        .await;
        channel.send_binary(vec![7; 1001]).unwrap();
        assert!(amounts.next().await <= 1000);
        close(channel).await;
        assert_eq!(amounts.all().len(), 1);
    }
    assert_eq!(other_end.buffered_amount_low_threshold(), 0, "it is of one end");
    a.close();
    b.close();
    soon("both to end", async { tokio::join!(a.closed(), b.closed()) }).await;
}

#[tokio::test]
async fn buf_14_the_event_needs_an_amount_above_the_threshold() {
    for (threshold, events) in [(500, 1), (1000, 0), (2000, 0)] {
        let pair = Pair::new().await;
        pair.channel_a.set_buffered_amount_low_threshold(threshold);
        let amounts = lows(&pair.channel_a);
        pair.channel_a.send_binary(vec![7; 1000]).unwrap();
        close(&pair.channel_a).await;
        assert_eq!(amounts.all(), vec![0; events], "threshold {threshold}");
        pair.close().await;
    }
}

#[tokio::test]
async fn buf_15_of_ten_messages_one_crosses_the_threshold() {
    let pair = Pair::new().await;
    pair.channel_a.set_buffered_amount_low_threshold(50_000);
    let mut amounts = lows(&pair.channel_a);
    for _ in 0..10 {
        pair.channel_a.send_binary(vec![7; 10_000]).unwrap();
    }
    assert_eq!(pair.channel_a.buffered_amount(), 100_000);
    let amount = amounts.next().await;
    assert!(amount <= 50_000, "{amount}");
    close(&pair.channel_a).await;
    assert_eq!(amounts.all(), [amount]);
    pair.close().await;
}

#[tokio::test]
async fn buf_16_it_comes_only_on_the_channel_that_drained() {
    let pair = Pair::new().await;
    let other = pair.a.create_data_channel("other", DataChannelInit::default()).unwrap();
    soon("the other to open", other.opened()).await.unwrap();
    let amounts = [lows(&pair.channel_a), lows(&other), lows(&pair.channel_b)];
    other.set_buffered_amount_low_threshold(1000);
    other.send_binary(vec![7; 1000]).unwrap();
    pair.channel_a.send_binary(vec![7; 1000]).unwrap();
    close(&pair.channel_a).await;
    close(&other).await;
    assert_eq!(amounts.each_ref().map(Lows::all), [vec![0], vec![], vec![]]);
    pair.close().await;
}

fn empty_text() -> Message {
    Message::from("")
}

fn empty_binary() -> Message {
    Message::from(Vec::new())
}

/// The buffered amount inside each event.
struct Lows {
    all: Arc<Mutex<Vec<usize>>>,
    coming: mpsc::UnboundedReceiver<usize>,
}

fn lows(channel: &DataChannel) -> Lows {
    let all = Arc::<Mutex<Vec<usize>>>::default();
    let (event, coming) = mpsc::unbounded_channel();
    let seen = all.clone();
    channel.on_buffered_amount_low(move |channel| {
        let amount = channel.buffered_amount();
        seen.lock().unwrap().push(amount);
        // Who waits for no event of its own has dropped the other end.
        let _ = event.send(amount);
    });
    Lows { all, coming }
}

impl Lows {
    async fn next(&mut self) -> usize {
        soon("the event", self.coming.recv()).await.unwrap()
    }

    /// Those so far.
    fn all(&self) -> Vec<usize> {
        self.all.lock().unwrap().clone()
    }
}

/// Everything was sent, and the handlers of all that came before have run.
async fn close(channel: &DataChannel) {
    channel.close();
    soon("to close", channel.closed()).await;
}
