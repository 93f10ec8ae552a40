//! Stream reset (RFC 6525): our outgoing requests, and the answers to the peer's requests of every kind.

use super::control::Control;
use super::state::Phase;
use super::{Association, Event, ResetError, TimeoutKind};
use crate::number::{Ppid, StreamId, Tsn};
use crate::recv::ResetOutcome;
use crate::send::Reliability;
use crate::timer::Timer;
use crate::wire::{List, ReConfig, ReconfigParameter, ReconfigResult};
use bytes::Bytes;
use std::collections::BTreeSet;
use std::time::Instant;
use tracing::debug;

/// Both directions of the request and answer game.
#[derive(Debug)]
pub(super) struct Reset {
    /// Asked for by the owner; each waits until its queue is in packets and no request is in flight.
    waiting: BTreeSet<StreamId>,
    /// RFC 6525 §5.1.1: "there MUST NOT be more than one request in flight."
    pending: Option<Request>,
    /// The number of our next request: counts up from our initial TSN.
    next_number: u32,
    /// The number of the peer's next request.
    expected: u32,
    /// What was answered to the peer's last two requests; a RE-CONFIG may have two.
    answered: [Option<ReconfigResult>; 2],
}

/// Our request in flight.
#[derive(Debug)]
struct Request {
    number: u32,
    last_tsn: Tsn,
    streams: Vec<StreamId>,
    timer: Timer,
}

impl Reset {
    pub(super) fn new() -> Self {
        Self { waiting: BTreeSet::new(), pending: None, next_number: 0, expected: 0, answered: [None; 2] }
    }

    /// A new association, or a restarted one: RFC 6525 §4.1: numbers start at the initial TSNs.
    pub(super) fn start(&mut self, local_tsn: Tsn, peer_tsn: Tsn) {
        *self = Self { next_number: local_tsn.0, expected: peer_tsn.0, ..Self::new() };
    }

    pub(super) fn clear(&mut self) {
        self.waiting.clear();
        self.pending = None;
    }

    /// Whether the stream takes no new messages.
    pub(super) fn concerns(&self, stream: StreamId) -> bool {
        self.waiting.contains(&stream)
            || self.pending.as_ref().is_some_and(|request| request.streams.contains(&stream))
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        self.pending.as_ref()?.timer.deadline()
    }

    #[cfg(any(test, feature = "__fuzzing"))]
    pub(super) fn is_armed(&self) -> bool {
        self.pending.as_ref().is_none_or(|request| request.timer.is_running())
    }

    /// The request in flight, as it was the first time but for what the peer has been answered since.
    pub(super) fn with_request<R>(&self, write: impl FnOnce(&ReConfig<'_>) -> R) -> Option<R> {
        let request = self.pending.as_ref()?;
        let parameters = [ReconfigParameter::OutgoingReset {
            request: request.number,
            // RFC 6525 §5.1.2 A4: "the next expected Re-configuration Request Sequence Number of the peer minus 1."
            response: self.expected.wrapping_sub(1),
            last_tsn: request.last_tsn,
            streams: List::new(&request.streams),
        }];
        Some(write(&ReConfig { parameters: crate::wire::ReconfigParameters::new(&parameters) }))
    }
}

impl Association {
    /// Resets our outgoing direction of these streams, once everything queued on them is delivered (RFC 6525,
    /// RFC 8831 §6.7).
    ///
    /// Until [`Event::OutgoingStreamsReset`] the streams take no new messages. Streams that are being reset already are
    /// passed over. Those that do not exist are answered at once, as not accepted. A message whose last part was not sent
    /// yet ends with what there is.
    ///
    /// # Errors
    /// [`ResetError::Closed`] if there is no association, [`ResetError::Unsupported`] if the peer cannot.
    pub fn reset_streams(&mut self, now: Instant, streams: &[StreamId]) -> Result<(), ResetError> {
        if !self.phase.sends_data() {
            return Err(ResetError::Closed);
        }
        let tcb = self.phase.tcb().ok_or(ResetError::Closed)?;
        // RFC 6525 §5.1.1: "the sender MUST NOT send any re-configuration request to the peer".
        if !tcb.capabilities.reconfig {
            return Err(ResetError::Unsupported);
        }
        let (streams, unknown): (Vec<StreamId>, Vec<StreamId>) =
            streams.iter().partition(|stream| stream.0 < tcb.outgoing_streams);
        if !unknown.is_empty() {
            self.events.push_back(Event::OutgoingStreamsReset { streams: unknown, accepted: false });
        }
        for stream in &streams {
            if !self.reset.concerns(*stream) {
                // A message whose last part is missing would keep the stream from ever being drained.
                let end = self.sender.send_part(
                    now,
                    *stream,
                    Ppid(0),
                    Bytes::new(),
                    true,
                    true,
                    Reliability::Reliable,
                );
                if end.is_ok() {
                    debug!(%stream, "message ended by the reset of its stream");
                }
                self.reset.waiting.insert(*stream);
            }
        }
        self.settle(now);
        Ok(())
    }

    /// Sends the next request if there is none in flight and a stream is ready for it.
    pub(super) fn advance_reset(&mut self, now: Instant) {
        if self.reset.waiting.is_empty() || self.reset.pending.is_some() || !self.phase.sends_data() {
            return;
        }
        // RFC 6525 §5.1.2 A3 names the last TSN before the reset: all that was accepted must have its TSN by then.
        let sender = &self.sender;
        let streams: Vec<StreamId> = self
            .reset
            .waiting
            .iter()
            .copied()
            .filter(|stream| sender.buffered_amount(*stream) == 0)
            .take(MAX_STREAMS_PER_REQUEST)
            .collect();
        if streams.is_empty() {
            return;
        }
        for stream in &streams {
            self.reset.waiting.remove(stream);
            self.sender.pause(now, *stream);
        }
        let number = self.reset.next_number;
        self.reset.next_number = number.wrapping_add(1);
        // RFC 6525 §5.1.1: "MUST use the same value as SCTP's data transmission timer … and MUST use exponential
        // backoff".
        let mut timer = Timer::exponential(self.sender.rto(), self.config.rto_max);
        timer.start(now);
        let last_tsn = self.sender.last_assigned_tsn();
        debug!(number, streams = streams.len(), "asking for a reset of outgoing streams");
        self.reset.pending = Some(Request { number, last_tsn, streams, timer });
        self.control.push(Control::ReconfigRequest);
    }

    pub(super) fn on_reconfig_timer(&mut self, now: Instant) {
        let Some(request) = &mut self.reset.pending else { return };
        if request.timer.expire(now) {
            self.control.push(Control::ReconfigRequest);
            self.count_error(now, TimeoutKind::Retransmissions);
        }
    }

    pub(super) fn on_reconfig(&mut self, now: Instant, reconfig: &ReConfig<'_>) {
        match self.phase {
            Phase::Established { .. }
            | Phase::ShutdownPending { .. }
            | Phase::ShutdownSent { .. }
            | Phase::ShutdownReceived { .. } => {}
            Phase::Idle
            | Phase::CookieWait { .. }
            | Phase::CookieEchoed { .. }
            | Phase::ShutdownAckSent { .. }
            | Phase::Ended { .. } => return,
        }
        // Looked at whole before anything is done.
        if reconfig.parameters.iter().any(|parameter| parameter.is_err()) {
            return self.drop_packet("malformed RE-CONFIG");
        }
        let mut answers = [None; MAX_PARAMETERS];
        for (parameter, answer) in reconfig.parameters.iter().flatten().zip(&mut answers) {
            *answer = match parameter {
                ReconfigParameter::OutgoingReset { request, response: _, last_tsn, streams } => Some(
                    self.answer(request, |association| association.perform_reset(now, last_tsn, &streams)),
                ),
                // RFC 6525 §5.2.1: "The decision to deny a re-configuration request is an administrative decision". Who
                // wants a channel closed resets his own direction (RFC 8831 §6.7), and ours follows that.
                ReconfigParameter::IncomingReset { request, .. }
                | ReconfigParameter::TsnReset { request }
                | ReconfigParameter::AddOutgoing { request, .. }
                | ReconfigParameter::AddIncoming { request, .. } => {
                    Some(self.answer(request, |_| ReconfigResult::Denied))
                }
                ReconfigParameter::Response { response, result, .. } => {
                    self.on_reconfig_response(now, response, result);
                    None
                }
                ReconfigParameter::Unknown(_) => None,
            };
        }
        // RFC 6525 §5.2.1: "If multiple parameters have to be returned, they MUST be put into one RE_CONFIG chunk."
        let mut answers = answers.into_iter().flatten();
        if let (
            Some(first),
            Phase::Established { .. }
            | Phase::ShutdownPending { .. }
            | Phase::ShutdownSent { .. }
            | Phase::ShutdownReceived { .. },
        ) = (answers.next(), &self.phase)
        {
            self.control.push(Control::ReconfigResponse { first, second: answers.next() });
        }
    }

    /// Performs a request if it is the next one, and answers; one that was answered gets the same answer.
    fn answer(
        &mut self,
        number: u32,
        perform: impl FnOnce(&mut Self) -> ReconfigResult,
    ) -> (u32, ReconfigResult) {
        let result = if number == self.reset.expected {
            let result = perform(self);
            self.reset.expected = number.wrapping_add(1);
            self.reset.answered = [Some(result), self.reset.answered[0]];
            result
        } else {
            let age = self.reset.expected.wrapping_sub(number);
            // RFC 6525 §5.2.1: a retransmission: "the same RE-CONFIG chunk MUST to be sent back in response".
            let before = match age {
                1 => self.reset.answered[0],
                2 => self.reset.answered[1],
                _ => None,
            };
            match before {
                Some(ReconfigResult::InProgress) if !self.receiver.is_resetting() => {
                    ReconfigResult::Performed
                }
                Some(result) => result,
                None => ReconfigResult::BadSequenceNumber,
            }
        };
        (number, result)
    }

    fn perform_reset(&mut self, now: Instant, last_tsn: Tsn, streams: &List<'_, StreamId>) -> ReconfigResult {
        let streams: Vec<StreamId> = streams.iter().collect();
        match self.receiver.reset_request(last_tsn, &streams) {
            ResetOutcome::Done => ReconfigResult::Performed,
            ResetOutcome::InProgress => ReconfigResult::InProgress,
            // RFC 6525 §4.4: 4 is "Error - Request already in progress".
            ResetOutcome::Busy => ReconfigResult::AlreadyInProgress,
            ResetOutcome::Refused => ReconfigResult::WrongSsn,
            ResetOutcome::Violation(what) => {
                self.violation(now, what);
                ReconfigResult::Denied
            }
        }
    }

    /// A deferred reset was performed: the peer need not ask again to learn it.
    pub(super) fn on_incoming_reset(&mut self) {
        let age = self.reset.answered.iter().position(|result| *result == Some(ReconfigResult::InProgress));
        if let Some(age) = age {
            self.reset.answered[age] = Some(ReconfigResult::Performed);
            let back = u32::try_from(age).unwrap_or_default().wrapping_add(1);
            let number = self.reset.expected.wrapping_sub(back);
            let first = (number, ReconfigResult::Performed);
            self.control.push(Control::ReconfigResponse { first, second: None });
        }
    }

    fn on_reconfig_response(&mut self, now: Instant, number: u32, result: ReconfigResult) {
        let Some(request) = self.reset.pending.as_mut().filter(|request| request.number == number) else {
            return;
        };
        self.errors = 0;
        let accepted = match result {
            ReconfigResult::NothingToDo | ReconfigResult::Performed => true,
            // RFC 6525 §5.2.7 H2: the timer runs anew, and the same request is sent again.
            ReconfigResult::InProgress | ReconfigResult::AlreadyInProgress => {
                return request.timer.start(now);
            }
            ReconfigResult::Denied
            | ReconfigResult::WrongSsn
            | ReconfigResult::BadSequenceNumber
            | ReconfigResult::Other(_) => false,
        };
        let streams = std::mem::take(&mut request.streams);
        self.reset.pending = None;
        for stream in &streams {
            if accepted {
                self.sender.reset_stream(now, *stream);
            } else {
                self.sender.resume(now, *stream);
            }
        }
        debug!(number, ?result, "reset of outgoing streams answered");
        self.events.push_back(Event::OutgoingStreamsReset { streams, accepted });
    }
}

/// Well below what any known stack takes in one request, and what fits the smallest packet.
const MAX_STREAMS_PER_REQUEST: usize = 128;
/// RFC 6525 §3.1: a RE-CONFIG has one or two parameters.
const MAX_PARAMETERS: usize = 2;
