//! The operations chain, W3C webrtc-pc §4.4.1.2: what changes or reads the descriptions happens one after another.

use super::{Chore, Item, Outcome, State};
use crate::{Error, ErrorName, IceCandidate};
use std::collections::VecDeque;
use std::task::{Context, Poll, Waker};
use std::time::Instant;
use tokio::sync::oneshot;

/// Who has its turn, at the front, and who waits for it.
#[derive(Debug, Default)]
pub(super) struct Chain {
    links: VecDeque<Link>,
    next: u64,
    /// \[\[UpdateNegotiationNeededFlagOnEmptyChain]]
    negotiation_deferred: bool,
    /// Whose turn it has become, to be woken without the lock.
    turn: Option<Waker>,
    answers: Vec<Answer>,
}

#[derive(Debug)]
enum Link {
    /// A future that gives its place back when it is done or dropped.
    Operation { ticket: Ticket, waker: Option<Waker> },
    /// Takes effect when its turn comes, whether or not somebody waits for the answer.
    Candidate { candidate: Option<IceCandidate>, answer: oneshot::Sender<Result<(), Error>> },
}

/// A place in the chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ticket(u64);

/// A candidate was handed over.
#[derive(Debug)]
pub(crate) enum AddIceCandidate {
    Done(Result<(), Error>),
    Chained(oneshot::Receiver<Result<(), Error>>),
}

/// What became of a candidate that had to wait, for who waits for it.
#[derive(Debug)]
pub(crate) struct Answer {
    to: oneshot::Sender<Result<(), Error>>,
    result: Result<(), Error>,
}

impl Answer {
    pub(super) fn deliver(self) {
        // Nobody may want it.
        let _ = self.to.send(self.result);
    }
}

impl Chain {
    pub(super) fn is_empty(&self) -> bool {
        self.links.is_empty()
    }

    /// Wakes and answers are for when the lock is released.
    pub(super) fn settle(&mut self, outcome: &mut Outcome) {
        outcome.wakes.extend(self.turn.take());
        outcome.answers.append(&mut self.answers);
    }
}

impl State {
    /// A new operation takes the last place.
    pub(crate) fn begin_operation(&mut self) -> Ticket {
        let ticket = Ticket(self.chain.next);
        self.chain.next += 1;
        self.chain.links.push_back(Link::Operation { ticket, waker: None });
        ticket
    }

    /// Ready once everything before it is done.
    pub(crate) fn poll_turn(&mut self, ticket: Ticket, cx: &Context<'_>) -> Poll<()> {
        let is_it = |link: &Link| matches!(link, Link::Operation { ticket: other, .. } if *other == ticket);
        match self.chain.links.iter_mut().position(|link| is_it(link)) {
            Some(0) | None => Poll::Ready(()),
            Some(index) => {
                if let Some(Link::Operation { waker, .. }) = self.chain.links.get_mut(index) {
                    *waker = Some(cx.waker().clone());
                }
                Poll::Pending
            }
        }
    }

    /// The operation is done, or nobody wants it any more: it is the turn of the next.
    pub(crate) fn end_operation(&mut self, now: Instant, ticket: Ticket) {
        self.chain
            .links
            .retain(|link| !matches!(link, Link::Operation { ticket: other, .. } if *other == ticket));
        // No candidate is told before `setLocalDescription` resolves (W3C behaviour ICE-19).
        if std::mem::take(&mut self.gathering_needed) {
            self.chores.push(Chore::Gather);
        }
        while let Some(link) = self.chain.links.pop_front() {
            match link {
                Link::Candidate { candidate, answer } => {
                    let result = self.apply_candidate(now, candidate);
                    self.chain.answers.push(Answer { to: answer, result });
                }
                Link::Operation { ticket, waker } => {
                    self.chain.turn = waker;
                    self.chain.links.push_front(Link::Operation { ticket, waker: None });
                    return;
                }
            }
        }
    }

    /// Adds a candidate of the peer: at once, or after the operations under way.
    pub(crate) fn add_candidate(&mut self, now: Instant, candidate: Option<IceCandidate>) -> AddIceCandidate {
        if self.chain.is_empty() {
            return AddIceCandidate::Done(self.apply_candidate(now, candidate));
        }
        let (answer, receiver) = oneshot::channel();
        self.chain.links.push_back(Link::Candidate { candidate, answer });
        AddIceCandidate::Chained(receiver)
    }

    /// Is the wish to negotiate to be told now? While operations are under way it waits for their end.
    pub(super) fn is_negotiation_due(&mut self) -> bool {
        // W3C webrtc-pc §4.7.3: "If the length of connection.[[Operations]] is not 0, then set
        // connection.[[UpdateNegotiationNeededFlagOnEmptyChain]] to true, and abort these steps."
        self.chain.negotiation_deferred = !self.chain.is_empty();
        self.chain.is_empty() && self.peer.negotiation_needed()
    }

    /// What waited for the chain to be empty.
    pub(super) fn settle_chain(&mut self, outcome: &mut Outcome) {
        self.chain.settle(outcome);
        if self.chain.negotiation_deferred && self.is_negotiation_due() {
            self.deliver(Item::NegotiationNeeded, outcome);
        }
    }

    fn apply_candidate(&mut self, now: Instant, candidate: Option<IceCandidate>) -> Result<(), Error> {
        if self.is_over() {
            return Err(Error::closed(self.reason()));
        }
        let is_described = self.peer.can_trickle().is_some();
        if self.strict_w3c && !is_described {
            let what = "there is no remote description";
            return Err(Error::new(ErrorName::InvalidStateError, what, "set it first"));
        }
        self.peer.add_remote_candidate(now, candidate.map(Into::into))?;
        self.describe();
        Ok(())
    }
}
