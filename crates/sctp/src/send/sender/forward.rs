//! Partial reliability: giving messages up, and telling the peer (RFC 3758 §3.5, RFC 8260 §2.3.1).

use super::super::chunk::{Format, ssn};
use super::super::outstanding::{GivenUp, Skipped};
use super::super::queue::{Dropped, Next};
use super::{Phase, Sender};
use crate::number::tsn;
use crate::wire::{ForwardTsn, IForwardTsn, List, PacketWriter, SkippedMessages, SkippedStream};
use std::time::Instant;
use tracing::debug;

/// What the peer was told by FORWARD TSN or I-FORWARD-TSN.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Told {
    last: Option<Last>,
    /// It seems to be lost.
    again: bool,
}

/// The chunk sent last.
#[derive(Clone, Copy, Debug)]
struct Last {
    /// Its new cumulative TSN.
    point: u64,
    /// Whether that was not all there was to tell.
    lowered: bool,
    sent: Instant,
}

impl Sender {
    /// Whether the peer is to be told at once what was given up.
    pub(crate) fn forward_tsn_due(&self) -> bool {
        let Some(point) = self.outstanding.point() else { return false };
        match self.told.last.filter(|last| last.point >= self.outstanding.base()) {
            // The peer hears of the rest when it has taken that.
            Some(last) if last.lowered => self.told.again,
            Some(last) => self.told.again || point > last.point,
            None => true,
        }
    }

    /// Appends a FORWARD TSN or an I-FORWARD-TSN to the packet if one is due; neither cwnd nor the burst limit is for it.
    /// Goes before DATA. Returns whether it was added.
    pub(crate) fn write_forward_tsn(&mut self, now: Instant, packet: &mut PacketWriter<'_>) -> bool {
        if !self.forward_tsn_due() {
            return false;
        }
        // What does not fit behind other chunks waits for a packet of its own.
        let room = packet.capacity().saturating_sub(FORWARD_HEADER_LEN) / self.entry_len();
        let Some(forward) = self.outstanding.forward(room) else { return false };
        if !write(packet, self.outstanding.format(), forward.point, &forward.skipped) {
            return false;
        }
        let lowered = self.outstanding.point().is_some_and(|point| forward.point < point);
        self.told = Told { last: Some(Last { point: forward.point, lowered, sent: now }), again: false };
        self.counters.forward_tsns_sent += 1;
        // RFC 3758 §3.5 C5: "If a FORWARD TSN is sent, the sender MUST assure that at least one T3-rtx timer is running."
        if !self.t3.is_running() {
            self.arm_t3(now);
        }
        true
    }

    /// Takes the messages out of the queue that expired there, so that they hold no memory while nothing can be sent.
    pub(super) fn drop_expired(&mut self, now: Instant) {
        if self.next_deadline().is_none_or(|deadline| deadline > now) {
            return;
        }
        while let Some(slot) = self.queue.expired(now) {
            if self.queue.has_begun_and_expired(now, slot) {
                self.abandon_on_its_way(now, slot);
            } else {
                let dropped = self.queue.drop_expired(now, slot);
                debug!(messages = dropped.messages, "expired before they were sent");
                self.count_dropped(dropped);
            }
        }
        self.after_abandoning();
        self.begin_opportunity(now);
    }

    /// When a message expires that has not left, or not wholly.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        match self.phase {
            Phase::Started { .. } => self.queue.next_deadline(),
            Phase::Waiting | Phase::Closed { .. } => None,
        }
    }

    /// The message that would be sent next has expired. [`after_abandoning`](Self::after_abandoning) is to follow.
    ///
    /// RFC 3758 §4.1 TR3: "If it is expired, the SCTP sender MUST NOT assign a TSN to that message".
    pub(super) fn give_up_next(&mut self, now: Instant, next: Next) {
        if self.queue.has_begun(next.slot) {
            self.abandon_on_its_way(now, next.slot);
        } else {
            let dropped = self.queue.drop_first(next.slot);
            self.count_dropped(dropped);
        }
    }

    /// Gives up the messages of chunks that were lost once too often, or too late, and sees how far the peer can go on.
    pub(super) fn abandon_doomed(&mut self, now: Instant) {
        while let Some(number) = self.outstanding.pop_doomed() {
            self.abandon(now, number);
            self.fast_packet &= self.outstanding.has_lost();
        }
        self.outstanding.advance_point();
    }

    /// Gives up the message of an outstanding chunk, what is queued of it included.
    pub(super) fn abandon(&mut self, now: Instant, number: u64) {
        let GivenUp { slot, first, ended, bytes } = self.outstanding.abandon(number);
        debug!(tsn = tsn(first).0, ended, bytes, "message abandoned");
        self.count_dropped(Dropped { messages: 1, bytes });
        if !ended {
            self.abandon_rest(now, slot, Some(first));
        }
    }

    /// Gives up the message of the stream that is partly sent.
    pub(super) fn abandon_on_its_way(&mut self, now: Instant, slot: u32) {
        let last = self.queue.last_tsn(slot);
        if last >= self.outstanding.base() {
            self.abandon(now, last);
        } else {
            self.count_dropped(Dropped { messages: 1, bytes: 0 });
            self.abandon_rest(now, slot, None);
        }
    }

    /// What follows when something was given up outside of a SACK.
    pub(super) fn after_abandoning(&mut self) {
        self.outstanding.advance_point();
        self.readmit();
    }

    /// A SACK did not come up to what the peer was told, and would have if that had arrived.
    ///
    /// RFC 3758 §3.5 F2: "An implementation may wish to limit the number of duplicate FORWARD TSN chunks it sends by either
    /// only sending a duplicate FORWARD TSN every other SACK or waiting a full RTT".
    pub(super) fn check_told(&mut self, now: Instant) {
        let round_trip = self.rto.srtt().unwrap_or(self.rto.current());
        let base = self.outstanding.base();
        let missed =
            |last: Last| last.point >= base && now.saturating_duration_since(last.sent) >= round_trip;
        self.told.again |= self.told.last.is_some_and(missed);
    }

    /// T3 expired: RFC 3758 §3.5 A5.
    pub(super) fn tell_again(&mut self) {
        self.told.again = true;
    }

    /// The part that has no TSN: dropped, with a TSN for the end of the message, which the FORWARD TSN has to reach. A
    /// receiver that has a beginning and is told of no end takes what follows for more of the message.
    fn abandon_rest(&mut self, now: Instant, slot: u32, first: Option<u64>) {
        let end = self.outstanding.next_tsn();
        let Some((chunk, bytes)) = self.queue.abandon_rest(slot, end) else { return };
        self.count_dropped(Dropped { messages: 0, bytes });
        self.outstanding.push_end(now, chunk, first);
        if !self.t3.is_running() {
            self.arm_t3(now);
        }
    }

    pub(super) fn count_dropped(&mut self, dropped: Dropped) {
        let Dropped { messages, bytes } = dropped;
        self.counters.messages_abandoned += messages;
        self.counters.bytes_abandoned += bytes as u64;
    }

    fn entry_len(&self) -> usize {
        match self.outstanding.format() {
            Format::Data => 4,
            Format::IData => 8,
        }
    }
}

fn write(packet: &mut PacketWriter<'_>, format: Format, point: u64, skipped: &Skipped) -> bool {
    let new_cumulative_tsn = tsn(point);
    match format {
        Format::Data => {
            let streams: Vec<_> =
                skipped.iter().map(|(&(stream, _), &mid)| SkippedStream { stream, ssn: ssn(mid) }).collect();
            packet.push(&ForwardTsn { new_cumulative_tsn, streams: List::new(&streams) })
        }
        Format::IData => {
            let streams: Vec<_> = skipped
                .iter()
                .map(|(&(stream, unordered), &mid)| SkippedMessages { stream, unordered, mid })
                .collect();
            packet.push(&IForwardTsn { new_cumulative_tsn, streams: List::new(&streams) })
        }
    }
}

/// Chunk header and new cumulative TSN.
const FORWARD_HEADER_LEN: usize = 8;
