//! What one user did with one channel and saw of it, and whether that agrees with the other user's book.

use super::*;

pub(super) type Message = (MessageKind, Vec<u8>);

/// How a run ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    None,
    /// By this side.
    Shutdown(usize),
    BothShutdown,
    Abort(usize),
}

/// What is promised of a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// All that its reliability promises.
    Delivered,
    /// Nothing that was not sent.
    Aborted,
}

/// One side of a channel.
#[derive(Debug, Default)]
pub(super) struct Book {
    /// Whole messages, as accepted.
    pub(super) sent: Vec<Message>,
    /// The message whose last part was not sent.
    pub(super) open: Option<Message>,
    pub(super) received: Vec<Message>,
    /// The message that is being read by parts.
    pub(super) half: Option<Message>,
    /// Closed or aborted by either side.
    pub(super) was_ended: bool,
    pub(super) was_aborted: bool,
    /// How often each event came.
    pub(super) opened: usize,
    pub(super) closed: usize,
}

impl Book {
    /// The last part will not come: what there is of the message is one.
    pub(super) fn end_open_message(&mut self) {
        self.sent.extend(self.open.take());
    }

    /// Whether what was received here is what was sent there.
    pub(super) fn check(&self, from: &Self, kind: &Kind, fate: Fate, what: &str) {
        assert_eq!(from.open, None, "{what}");
        let promises_all = fate == Fate::Delivered && kind.reliability == Reliability::Reliable;
        let (mut sent, mut received) = (from.sent.clone(), self.received.clone());
        if !kind.ordered {
            sent.sort_by(order);
            received.sort_by(order);
        }
        if promises_all {
            assert!(received == sent, "{what}: {}", summary(&sent, &received));
        } else {
            // Whole messages, none twice, none out of turn: each is found behind the one before it.
            let mut rest = sent.iter();
            let in_turn = received.iter().all(|message| rest.any(|sent| sent == message));
            assert!(in_turn, "{what}: {}", summary(&sent, &received));
        }
        if let Some((kind, half)) = &self.half {
            let is_sent = from.sent.iter().any(|(of, sent)| of == kind && sent.starts_with(half));
            assert!(fate == Fate::Aborted && is_sent, "{what}: half a message is left");
        }
    }
}

fn order(one: &Message, other: &Message) -> std::cmp::Ordering {
    let key = |message: &Message| message.0 == MessageKind::Text;
    key(one).cmp(&key(other)).then_with(|| one.1.cmp(&other.1))
}

/// Lengths only: the messages themselves are long and follow from them.
fn summary(sent: &[Message], received: &[Message]) -> String {
    let lens = |messages: &[Message]| messages.iter().map(|(_, data)| data.len()).collect::<Vec<_>>();
    format!("sent {:?}, received {:?}", lens(sent), lens(received))
}
