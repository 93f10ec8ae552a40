//! Messages that are given up when TSNs of theirs are outstanding (RFC 3758 §3.5).

use super::super::chunk::{Chunk, charge};
use super::messages::{Message, Messages, NONE};
use super::{Outstanding, Tx, TxState};
use crate::number::{Mid, StreamId};
use std::collections::BTreeMap;
use std::time::Instant;

/// What was given up and is not behind the cumulative TSN yet.
#[derive(Debug, Default)]
pub(super) struct Abandonment {
    /// And where resets are. Most associations give nothing up, or seldom.
    messages: Option<Box<Messages>>,
    /// Lost chunks of messages that are to be given up.
    doomed: Vec<u64>,
    /// No chunk below this TSN is in flight or lost. Moves with each SACK and with what is given up.
    pub(super) settled: u64,
    /// Advanced.Peer.Ack.Point, if it is beyond the cumulative TSN.
    point: u64,
    /// Up to here the point may lie inside messages, which are named although they end behind it.
    pub(super) inside: u64,
}

/// What giving up a message did to its chunks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::send) struct GivenUp {
    /// The stream's place in the queue.
    pub(in crate::send) slot: u32,
    /// Its first TSN that was outstanding.
    pub(in crate::send) first: u64,
    /// Whether the last fragment has a TSN. If not, [`Outstanding::push_end`] is to follow.
    pub(in crate::send) ended: bool,
    /// Payload bytes dropped.
    pub(in crate::send) bytes: usize,
}

/// What a FORWARD TSN is to say.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::send) struct Forward {
    /// The new cumulative TSN.
    pub(in crate::send) point: u64,
    /// By stream and U: the last message that was given up.
    pub(in crate::send) skipped: Skipped,
}

/// By stream and U.
pub(in crate::send) type Skipped = BTreeMap<(StreamId, bool), Mid>;

impl Outstanding {
    /// A lost chunk whose message is to be given up; each is told once.
    pub(in crate::send) fn pop_doomed(&mut self) -> Option<u64> {
        while let Some(number) = self.abandonment.doomed.pop() {
            // It may have gone with another chunk of its message.
            if self.tx(number).is_some_and(|tx| tx.state == TxState::Lost) {
                return Some(number);
            }
        }
        None
    }

    /// Gives up the message of an outstanding chunk.
    ///
    /// RFC 3758 §3.5 A3: "When a TSN is "abandoned", if it is part of a fragmented message, all other TSN's within that
    /// fragmented message MUST be abandoned at the same time."
    pub(in crate::send) fn abandon(&mut self, number: u64) -> GivenUp {
        let mut first = number;
        while let Some(earlier) = self.tx(first).and_then(|tx| self.earlier_fragment(first, &tx.chunk)) {
            first = earlier;
        }
        let mut last = first;
        let mut bytes = self.give_up(first);
        while let Some(later) = self.later_fragment(last) {
            bytes += self.give_up(later);
            last = later;
        }
        let chunk = &self.txs[self.index(last)].chunk;
        let given_up = GivenUp { slot: chunk.slot, first, ended: chunk.end, bytes };
        if chunk.end {
            self.abandonment.insert(last, Message::of(first, chunk));
        }
        given_up
    }

    /// Gives the end of a message that was given up before it was sent whole a TSN of its own: a chunk that never leaves,
    /// so that there is a TSN behind the message. `first` is its first TSN that is outstanding.
    pub(in crate::send) fn push_end(&mut self, now: Instant, chunk: Chunk, first: Option<u64>) {
        let end = self.next_tsn();
        let message = Message::of(first.unwrap_or(end), &chunk);
        self.append(now, chunk, TxState::Abandoned);
        self.abandonment.insert(end, message);
    }

    /// The peer is asked for a reset of streams behind the last TSN that was assigned.
    pub(in crate::send) fn note_reset(&mut self) {
        if let Some(last) = self.next_tsn().checked_sub(1).filter(|last| *last >= self.base) {
            self.abandonment.messages.get_or_insert_default().insert_reset(last);
        }
    }

    /// RFC 3758 §3.5 C1, C2: moves the Advanced.Peer.Ack.Point over what was given up, and over what is acknowledged in
    /// between, to the end of a message that was given up.
    pub(in crate::send) fn advance_point(&mut self) {
        if self.abandonment.messages.is_none() {
            return;
        }
        self.find_settled();
        if let Some(boundary) = self.abandonment.messages().boundary_below(self.abandonment.settled) {
            self.abandonment.point = self.abandonment.point.max(boundary);
        }
    }

    /// As `advance_point`, also into messages that end behind a chunk which the peer does not take: what it holds of them may
    /// be what it lacks the room for.
    ///
    /// Only when none of their fragments can be underway any more: usrsctp aborts when one comes late. With DATA nothing
    /// lies between the fragments of a message.
    pub(in crate::send) fn advance_point_inside(&mut self) {
        let Some(point) = self.first_unsettled().checked_sub(1) else { return };
        if point >= self.base && self.abandonment.messages().is_inside(point) {
            (self.abandonment.point, self.abandonment.inside) = (point, point);
        }
    }

    /// The Advanced.Peer.Ack.Point, if it is beyond the cumulative TSN.
    pub(in crate::send) fn point(&self) -> Option<u64> {
        (self.abandonment.point >= self.base).then_some(self.abandonment.point)
    }

    /// What to tell the peer, with at most `room` streams, and not across a reset.
    ///
    /// RFC 3758 §3.5 C4: "If the total size of the FORWARD TSN does NOT fit in a single MTU, then the sender of the
    /// FORWARD TSN SHOULD lower the Advanced.Peer.Ack.Point to the last TSN that will fit in a single MTU."
    pub(in crate::send) fn forward(&mut self, room: usize) -> Option<Forward> {
        let point = self.point()?;
        let messages = self.abandonment.messages();
        let limit = messages.reach(point);
        // The point was at a boundary when it came there; what was given up since may lie around it.
        let mut goal =
            if point > self.abandonment.inside { messages.boundary_below(limit + 1) } else { None };
        // At most twice: there is room for all that ends below `too_far`.
        while let Some(point) = goal {
            match self.skipped(point, room) {
                Ok(skipped) => return Some(Forward { point, skipped }),
                Err(too_far) => goal = self.abandonment.messages().boundary_below(too_far),
            }
        }
        self.forward_inside(limit, room)
    }

    /// The same towards `limit` where messages lie among each other: each stream is named with the last message that has a
    /// fragment on the way.
    ///
    /// A message is named although it may end behind that, with fragments underway: if the peer has them already, its
    /// cumulative TSN passes the end before another FORWARD TSN can, and nothing tells it what became of the message.
    fn forward_inside(&self, limit: u64, room: usize) -> Option<Forward> {
        let mut skipped = Skipped::new();
        let mut point = None;
        for (number, tx) in (self.base..=limit).zip(&self.txs).take(MAX_INSIDE) {
            let kind = (tx.chunk.stream, tx.chunk.unordered);
            if tx.state == TxState::Abandoned && self.format.names(kind.1) {
                if skipped.len() == room && !skipped.contains_key(&kind) {
                    break;
                }
                skipped.insert(kind, tx.chunk.mid);
            }
            point = Some(number);
        }
        Some(Forward { point: point?, skipped })
    }

    /// The messages given up that end at or below `point`: each stream with the last one. An error is the end of the one
    /// that there is no room for.
    fn skipped(&mut self, point: u64, room: usize) -> Result<Skipped, u64> {
        let format = self.format;
        let is_named = |message: &Message| format.names(message.unordered);
        let Some(messages) = &mut self.abandonment.messages else { return Ok(Skipped::new()) };
        let named = messages.name_to(point, room, is_named)?;
        Ok(named.iter().map(|(&kind, &(mid, _))| (kind, mid)).collect())
    }

    /// Remembers how far all is settled, so that it is looked at once.
    pub(super) fn find_settled(&mut self) {
        self.abandonment.settled = self.first_unsettled();
    }

    /// The lowest TSN that is in flight or lost; the next new one if there is none.
    pub(super) fn first_unsettled(&self) -> u64 {
        let from = self.abandonment.settled.max(self.base);
        let skip = super::offset(from - self.base);
        let settled = self.txs.iter().skip(skip).take_while(|tx| tx.is_settled()).count();
        from + settled as u64
    }

    /// The outstanding fragment before a chunk with this TSN, of the same message.
    pub(super) fn earlier_fragment(&self, number: u64, chunk: &Chunk) -> Option<u64> {
        let earlier = number - u64::from(chunk.earlier);
        (earlier != number && earlier >= self.base).then_some(earlier)
    }

    /// The fragment after an outstanding one, of the same message.
    fn later_fragment(&self, number: u64) -> Option<u64> {
        let later = self.txs[self.index(number)].later;
        (later != 0).then(|| number + u64::from(later))
    }

    /// Gives back all that a chunk holds. Gives its payload bytes.
    fn give_up(&mut self, number: u64) -> usize {
        let index = self.index(number);
        match self.txs[index].state {
            TxState::InFlight => self.take_out_of_flight(number),
            TxState::Lost => {
                self.lost.remove(number);
            }
            TxState::Acked => {}
            TxState::Abandoned => return 0,
        }
        let tx = &mut self.txs[index];
        tx.state = TxState::Abandoned;
        let bytes = std::mem::take(&mut tx.chunk.data).len();
        self.payload -= bytes;
        self.charged -= charge(bytes);
        self.timed = self.timed.filter(|timed| *timed != number);
        bytes
    }
}

impl Abandonment {
    pub(super) fn doom(&mut self, number: u64) {
        self.doomed.push(number);
    }

    /// The peer reneged on a chunk: it is in flight again, and nothing may pass it.
    pub(super) fn unsettle(&mut self, number: u64) {
        if number < self.settled {
            (self.settled, self.point, self.inside) = (number, 0, 0);
        }
    }

    /// The cumulative TSN has come to `base`.
    pub(super) fn forget_below(&mut self, base: u64) {
        if let Some(messages) = &mut self.messages {
            messages.forget_below(base);
            self.messages.take_if(|messages| messages.is_empty());
        }
    }

    fn insert(&mut self, end: u64, message: Message) {
        self.messages.get_or_insert_default().insert(end, message);
    }

    fn messages(&self) -> &Messages {
        self.messages.as_deref().unwrap_or(&NONE)
    }
}

impl Tx {
    /// Whether nothing more is to happen to it.
    pub(super) fn is_settled(&self) -> bool {
        match self.state {
            TxState::Acked | TxState::Abandoned => true,
            TxState::InFlight | TxState::Lost => false,
        }
    }
}

/// How many chunks one FORWARD TSN passes where messages lie among each other. Each is looked at whenever it is sent, which a
/// peer can have once in a round trip.
const MAX_INSIDE: usize = 4096;
