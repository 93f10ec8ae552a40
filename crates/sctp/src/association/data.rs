//! Messages in and out: what the owner calls, and DATA and SACK of the peer.

use super::cookie::Capabilities;
use super::errors::Fault;
use super::state::Phase;
use super::{Association, CloseReason, Inbound, SendError};
use crate::number::{Ppid, StreamId, Tsn};
use crate::recv::{DataOutcome, ForwardOutcome, Message, Part};
use crate::send::{Acked, Reliability, SackOutcome};
use crate::wire::{Data, ForwardTsn, IData, IForwardTsn, Sack};
use bytes::Bytes;
use std::time::Instant;
use tracing::trace;

impl Association {
    /// Queues a whole message. Before the association is up too: it is sent then, or, if the peer has no such stream,
    /// [`Event::NoSuchStream`](crate::Event::NoSuchStream) tells that it is lost.
    ///
    /// # Errors
    /// Nothing of a message that was refused is queued; see [`SendError`].
    pub fn send(
        &mut self,
        now: Instant,
        stream: StreamId,
        ppid: Ppid,
        data: Bytes,
        ordered: bool,
        reliability: Reliability,
    ) -> Result<(), SendError> {
        self.send_part(now, stream, ppid, data, true, ordered, reliability)
    }

    /// Queues a part of a message. The parts of one message follow each other on their stream; the last one has `last`.
    /// `ppid`, `ordered` and `reliability` are those of the first part.
    ///
    /// # Errors
    /// Nothing of a part that was refused is queued; see [`SendError`].
    #[expect(clippy::too_many_arguments, reason = "each is a field of the message")]
    pub fn send_part(
        &mut self,
        now: Instant,
        stream: StreamId,
        ppid: Ppid,
        data: Bytes,
        last: bool,
        ordered: bool,
        reliability: Reliability,
    ) -> Result<(), SendError> {
        let now = self.clock(now);
        self.check_send(stream)?;
        self.sender.send_part(now, stream, ppid, data, last, ordered, reliability)
    }

    /// Queues a message of the channel protocol, which the limits of the user's messages are not for.
    pub(crate) fn send_dcep(&mut self, now: Instant, stream: StreamId, data: Bytes) -> Result<(), SendError> {
        let now = self.clock(now);
        self.check_send(stream)?;
        self.sender.send_dcep(now, stream, data)
    }

    fn check_send(&self, stream: StreamId) -> Result<(), SendError> {
        match self.phase {
            Phase::Idle
            | Phase::CookieWait { .. }
            | Phase::CookieEchoed { .. }
            | Phase::Established { .. } => {}
            // RFC 9260 §9.2: "An endpoint SHOULD reject any new data request from its upper layer".
            Phase::ShutdownPending { .. }
            | Phase::ShutdownSent { .. }
            | Phase::ShutdownReceived { .. }
            | Phase::ShutdownAckSent { .. }
            | Phase::Ended { .. } => return Err(SendError::Closed),
        }
        if self.reset.concerns(stream) { Err(SendError::Resetting(stream)) } else { Ok(()) }
    }

    /// The next whole message of a stream, in the order of delivery. Still works when the association has ended.
    pub fn recv(&mut self, _now: Instant, stream: StreamId) -> Option<Message> {
        self.receiver.recv(stream)
    }

    /// The next piece of the next message, also of one that is not complete yet; window credit returns per part.
    pub fn recv_part(&mut self, _now: Instant, stream: StreamId) -> Option<Part> {
        self.receiver.recv_part(stream)
    }

    /// How large the share of a stream is while several have messages to send: in proportion to the priorities
    /// (RFC 8831 §6.4). Streams take turns packet by packet if the peer knows I-DATA (RFC 8260 §3.6), otherwise message by
    /// message.
    ///
    /// Default 256, the "normal" of RFC 8831 §6.4; 0 counts as 1. It is forgotten when the stream is reset.
    pub fn set_priority(&mut self, stream: StreamId, priority: u16) {
        self.sender.set_priority(stream, priority);
    }

    /// Payload accepted by `send` and not yet in a packet; when the association has ended, what it was then.
    pub fn buffered_amount(&self, stream: StreamId) -> usize {
        self.sender.buffered_amount(stream)
    }

    /// Sets the amount at which [`Event::BufferedAmountLow`](crate::Event::BufferedAmountLow) comes; 0 at first.
    pub fn set_buffered_amount_low_threshold(&mut self, stream: StreamId, threshold: usize) {
        self.sender.set_buffered_amount_low_threshold(stream, threshold);
    }

    /// Payload accepted and not acknowledged, all streams. Keeps its last value when the association has ended: what
    /// was lost then.
    pub fn undelivered(&self) -> usize {
        self.sender.undelivered()
    }

    /// The same without the messages of the channel protocol.
    pub(crate) fn undelivered_messages(&self) -> usize {
        self.sender.undelivered().saturating_sub(self.sender.undelivered_dcep())
    }

    /// Largest message the peer takes, from its SDP `a=max-message-size`; `None` is no limit.
    pub fn set_max_send_message_size(&mut self, max: Option<usize>) {
        self.sender.set_max_message_size(max);
    }

    pub(crate) fn max_send_message_size(&self) -> Option<usize> {
        self.sender.max_message_size()
    }

    /// Drops what is queued on a stream and has not begun to be sent, but for what opens its channel.
    pub(crate) fn drop_queued(&mut self, now: Instant, stream: StreamId) {
        let now = self.clock(now);
        self.sender.drop_queued(now, stream);
    }

    /// The last part of the message that is open on a stream will not come: it is given up. `false`: it is partly sent and
    /// the peer does not know partial reliability.
    pub(crate) fn give_up_open(&mut self, now: Instant, stream: StreamId) -> bool {
        let now = self.clock(now);
        self.sender.give_up_open(now, stream)
    }

    /// The next piece of a message that is half read, and of no other.
    pub(crate) fn recv_rest(&mut self, stream: StreamId) -> Option<Part> {
        self.receiver.recv_rest(stream)
    }

    /// Nobody reads the half-read message of a stream any more. Answers with its protocol, if there is one.
    pub(crate) fn let_go(&mut self, stream: StreamId) -> Option<Ppid> {
        self.receiver.let_go(stream)
    }

    /// Drops what can be read on a stream, and the half-read message to its end.
    pub(crate) fn discard_unread(&mut self, stream: StreamId) {
        self.receiver.discard_unread(stream);
    }

    /// The owner holds so many bytes that were given out and that its application has not read: they count against the
    /// receive window as if they were here still.
    pub(crate) fn set_held(&mut self, bytes: usize) {
        self.receiver.set_held(bytes);
    }

    /// A part of a message counts as something to read on this stream, until [`recv`](Self::recv) is called.
    pub(crate) fn read_by_parts(&mut self, stream: StreamId) {
        self.receiver.read_by_parts(stream);
    }

    /// Takes a message for which the way in which the application reads does not change.
    pub(crate) fn recv_aside(&mut self, now: Instant, stream: StreamId) -> Option<Message> {
        let by_parts = self.receiver.reads_parts(stream);
        let message = self.recv(now, stream);
        if by_parts {
            self.receiver.read_by_parts(stream);
        }
        message
    }

    pub(crate) fn is_readable(&self, stream: StreamId) -> bool {
        self.receiver.is_readable(stream)
    }

    pub(crate) fn next_ppid(&self, stream: StreamId) -> Option<Ppid> {
        self.receiver.next_ppid(stream)
    }

    pub(super) fn on_data(&mut self, now: Instant, data: &Data<'_>, inbound: &mut Inbound) {
        match self.receiving() {
            None => {}
            // RFC 8260 §2.2.3: "the reception of a DATA chunk is a violation of the above rules and therefore the receiver
            // of the DATA chunk MUST abort the association".
            Some(Capabilities { interleaving: true, .. }) => self.violation(now, "DATA in place of I-DATA"),
            Some(_) => {
                inbound.has_data = true;
                let outcome = self.receiver.handle_data(data);
                self.on_data_outcome(now, outcome, (data.tsn, data.stream), inbound);
            }
        }
    }

    pub(super) fn on_i_data(&mut self, now: Instant, data: &IData<'_>, inbound: &mut Inbound) {
        match self.receiving() {
            None => {}
            // RFC 8260 §2.2.3: "The same applies if I-DATA support has not been negotiated for an association and an I-DATA
            // chunk is received."
            Some(Capabilities { interleaving: false, .. }) => self.violation(now, "I-DATA in place of DATA"),
            Some(_) => {
                inbound.has_data = true;
                let outcome = self.receiver.handle_i_data(data);
                self.on_data_outcome(now, outcome, (data.tsn, data.stream), inbound);
            }
        }
    }

    pub(super) fn on_forward_tsn(&mut self, now: Instant, forward: &ForwardTsn<'_>, inbound: &mut Inbound) {
        match self.receiving() {
            None => {}
            // RFC 8260 §2.3.1: "The FORWARD-TSN chunk MUST be used in combination with the DATA chunk".
            Some(Capabilities { interleaving: true, .. }) => {
                self.violation(now, "FORWARD TSN in place of I-FORWARD-TSN");
            }
            // RFC 3758 §3.3.2: "It MUST instead act as if it does NOT support the FORWARD TSN chunk, returning an ERROR
            // to the peer upon receipt of any FORWARD TSN."
            Some(Capabilities { partial_reliability: false, .. }) => self.report_chunk(inbound, forward),
            Some(_) => {
                inbound.has_data = true;
                let outcome = self.receiver.handle_forward_tsn(forward);
                self.on_forward_outcome(now, outcome, forward.new_cumulative_tsn);
            }
        }
    }

    pub(super) fn on_i_forward_tsn(
        &mut self,
        now: Instant,
        forward: &IForwardTsn<'_>,
        inbound: &mut Inbound,
    ) {
        match self.receiving() {
            None => {}
            // RFC 8260 §2.3.1: "The I-FORWARD-TSN chunk MUST be used in combination with the I-DATA chunk and MUST NOT be
            // used in combination with the DATA chunk."
            Some(Capabilities { interleaving: false, .. }) => {
                self.violation(now, "I-FORWARD-TSN in place of FORWARD TSN");
            }
            Some(Capabilities { partial_reliability: false, .. }) => self.report_chunk(inbound, forward),
            Some(_) => {
                inbound.has_data = true;
                let outcome = self.receiver.handle_i_forward_tsn(forward);
                self.on_forward_outcome(now, outcome, forward.new_cumulative_tsn);
            }
        }
    }

    /// What was agreed on with a peer whose messages are taken now.
    fn receiving(&self) -> Option<Capabilities> {
        self.phase.tcb().filter(|_| self.phase.takes_data()).map(|tcb| tcb.capabilities)
    }

    fn on_data_outcome(
        &mut self,
        now: Instant,
        outcome: DataOutcome,
        (tsn, stream): (Tsn, StreamId),
        inbound: &mut Inbound,
    ) {
        match outcome {
            DataOutcome::Accepted | DataOutcome::Duplicate => {}
            DataOutcome::Dropped(reason) => trace!(tsn = tsn.0, ?reason, "DATA dropped"),
            // RFC 9260 §6.5: acknowledged, and reported.
            DataOutcome::InvalidStream => self.report(inbound, Fault::InvalidStream(stream)),
            DataOutcome::NoUserData => {
                let what = "DATA without user data";
                self.abort_with(now, Some(Fault::NoUserData(tsn)), CloseReason::RemoteViolation(what));
            }
            DataOutcome::Violation(what) => self.violation(now, what),
            DataOutcome::TooLarge(stream) => self.events.push_back(super::Event::MessageTooLarge(stream)),
            // RFC 9260 §3.3.10.4: the peer fills the buffer with messages that it does not complete.
            DataOutcome::OutOfResource => {
                let what = "more incomplete messages than there is room for";
                self.abort_with(now, Some(Fault::OutOfResource), CloseReason::RemoteViolation(what));
            }
        }
    }

    fn on_forward_outcome(&mut self, now: Instant, outcome: ForwardOutcome, tsn: Tsn) {
        match outcome {
            ForwardOutcome::Advanced | ForwardOutcome::Stale => {}
            ForwardOutcome::OutsideWindow => trace!(tsn = tsn.0, "FORWARD TSN outside the window"),
            ForwardOutcome::Violation(what) => self.violation(now, what),
        }
    }

    pub(super) fn on_sack(&mut self, now: Instant, sack: &Sack<'_>) {
        // RFC 9260 §6: processed in ESTABLISHED, SHUTDOWN-PENDING and SHUTDOWN-RECEIVED.
        if !self.phase.sends_data() {
            return;
        }
        match self.sender.handle_sack(now, sack) {
            SackOutcome::Processed(acked) => self.note_acked(now, &acked),
            SackOutcome::Stale => {}
            SackOutcome::Invalid => self.drop_packet("SACK of what was never sent"),
        }
    }

    pub(super) fn note_acked(&mut self, now: Instant, acked: &Acked) {
        // RFC 9260 §8.1: the counter "MUST be reset each time a DATA chunk sent to that peer endpoint is acknowledged"; but
        // not when it is again.
        if acked.newly_acked_bytes > 0 {
            self.errors = 0;
            self.on_path_alive(now);
        }
        if acked.rtt.is_some() {
            self.tell_path();
        }
    }

    /// The receiving half cuts its delays to the round trip.
    pub(super) fn tell_path(&mut self) {
        self.receiver.set_path(self.sender.rto(), self.sender.stats().srtt);
    }
}
