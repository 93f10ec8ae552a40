//! RE-CONFIG of the peer (RFC 6525 §5.2): its requests of every kind, performed once and answered as often as they come.
//! What we ask for ourselves is in `reset`.

use super::control::Control;
use super::errors::Fault;
use super::state::Phase;
use super::{Association, Event, Inbound};
use crate::number::{StreamId, Tsn};
use crate::recv::ResetOutcome;
use crate::wire::{List, NextTsns, ReConfig, ReconfigParameter, ReconfigResult};
use std::time::Instant;
use tracing::debug;

/// The answer to one request (RFC 6525 §5.1.7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) number: u32,
    pub(super) result: ReconfigResult,
    /// D3, D4: with an answer to an SSN/TSN Reset Request.
    next_tsns: Option<NextTsns>,
}

impl Answer {
    pub(super) fn parameter(self) -> ReconfigParameter<'static> {
        let Self { number, result, next_tsns } = self;
        ReconfigParameter::Response { response: number, result, next_tsns }
    }
}

/// An Incoming SSN Reset Request: its number and streams.
type Asked<'a> = (u32, List<'a, StreamId>);

impl Association {
    pub(super) fn on_reconfig(&mut self, now: Instant, reconfig: &ReConfig<'_>, inbound: &mut Inbound) {
        // RFC 6525 §5.1.1: "Before sending a RE-CONFIG chunk, the sender MUST ensure that the peer advertised support": so
        // no answer either, and the chunk is as good as unknown, which for its type means skipped.
        if !self.takes_reconfig() {
            return;
        }
        // RFC 6525 §4: what is behind a type that is not recognized is not processed; the iterator ends there.
        let known = reconfig.parameters.iter().filter(|it| !matches!(it, Ok(ReconfigParameter::Unknown(_))));
        // Looked at whole before anything is done.
        let Ok(parameters) = known.collect::<Result<Vec<_>, _>>() else {
            return self.drop_packet("malformed RE-CONFIG");
        };
        if parameters.is_empty() {
            return self.drop_packet("RE-CONFIG that asks and answers nothing");
        }
        // RFC 6525 §3.1: "If a sender transmits an unsupported combination, the receiver SHOULD send an ERROR chunk with a
        // Protocol Violation cause".
        if !is_combination(&parameters) {
            const WHAT: &str = "RE-CONFIG parameters that do not go together";
            return self.report(inbound, Fault::ProtocolViolation(WHAT));
        }
        self.handle_parameters(now, &parameters);
    }

    fn handle_parameters(&mut self, now: Instant, parameters: &[ReconfigParameter<'_>]) {
        let mut answers = Vec::with_capacity(parameters.len());
        let mut asked = None;
        // One decision for both parameters of a chunk.
        let mut takes_all = None;
        let mut is_excessive = |it: &mut Self, streams: &List<'_, StreamId>| {
            streams.is_empty() && !*takes_all.get_or_insert_with(|| it.reset.takes_all(now))
        };
        for parameter in parameters {
            match *parameter {
                ReconfigParameter::OutgoingReset { request, response: _, last_tsn, streams } => {
                    answers.push(self.answer(request, |it| {
                        if is_excessive(it, &streams) {
                            ReconfigResult::Denied
                        } else {
                            it.perform_reset(now, last_tsn, &streams)
                        }
                    }));
                }
                ReconfigParameter::IncomingReset { request, streams } => {
                    answers.push(self.answer(request, |it| {
                        if is_excessive(it, &streams) {
                            ReconfigResult::Denied
                        } else {
                            it.begin_asked_reset(now, &streams)
                        }
                    }));
                    asked = Some((request, streams));
                }
                // RFC 6525 §5.2.1: "The decision to deny a re-configuration request is an administrative decision". Nothing
                // in WebRTC asks for more streams than were agreed on, or for TSNs to start anew.
                ReconfigParameter::TsnReset { request } => {
                    let next_tsns = Some(self.next_tsns());
                    let denied = Answer { number: request, result: ReconfigResult::Denied, next_tsns };
                    answers.push(self.answer_with(request, |_| denied));
                }
                ReconfigParameter::AddOutgoing { request, .. }
                | ReconfigParameter::AddIncoming { request, .. } => {
                    answers.push(self.answer(request, |_| ReconfigResult::Denied));
                }
                ReconfigParameter::Response { response, result, .. } => {
                    self.on_reconfig_response(now, response, result);
                }
                ReconfigParameter::Unknown(_) => {}
            }
        }
        self.reply(now, &answers, asked);
    }

    /// A deferred reset was performed: the peer need not ask again to learn it.
    pub(super) fn on_incoming_reset(&mut self) {
        if let Some(first) = self.reset.note_performed() {
            self.control.push(Control::ReconfigResponse { first, second: None });
        }
    }

    fn takes_reconfig(&self) -> bool {
        match &self.phase {
            Phase::Established { tcb }
            | Phase::ShutdownPending { tcb }
            | Phase::ShutdownSent { tcb, .. }
            | Phase::ShutdownReceived { tcb, .. } => tcb.capabilities.reconfig,
            Phase::Idle
            | Phase::CookieWait { .. }
            | Phase::CookieEchoed { .. }
            | Phase::ShutdownAckSent { .. }
            | Phase::Ended { .. } => false,
        }
    }

    fn answer(&mut self, number: u32, perform: impl FnOnce(&mut Self) -> ReconfigResult) -> Answer {
        self.answer_with(number, |it| Answer { number, result: perform(it), next_tsns: None })
    }

    /// Performs a request if it is the next one; one that was answered gets the same answer.
    fn answer_with(&mut self, number: u32, perform: impl FnOnce(&mut Self) -> Answer) -> Answer {
        if self.reset.is_next(number) {
            let answer = perform(self);
            self.reset.note_answer(answer);
            return answer;
        }
        // RFC 6525 §5.2.1: a retransmission: "the same RE-CONFIG chunk MUST to be sent back in response".
        match self.reset.answer_given(number) {
            Some(answer) if answer.result == ReconfigResult::InProgress && !self.receiver.is_resetting() => {
                Answer { result: ReconfigResult::Performed, ..answer }
            }
            Some(answer) => answer,
            None => Answer { number, result: ReconfigResult::BadSequenceNumber, next_tsns: None },
        }
    }

    /// RFC 6525 §5.1.7 D3, D4.
    fn next_tsns(&self) -> NextTsns {
        let expected = self.receiver.cumulative_tsn().0.wrapping_add(1);
        NextTsns {
            sender: Tsn(self.sender.last_assigned_tsn().0.wrapping_add(1)),
            // "SHOULD be the smallest TSN not acknowledged by the receiver of the request plus 2^31."
            receiver: Tsn(expected.wrapping_add(1 << 31)),
        }
    }

    /// RFC 6525 §5.2.2.
    fn perform_reset(&mut self, now: Instant, last_tsn: Tsn, streams: &List<'_, StreamId>) -> ReconfigResult {
        let streams: Vec<StreamId> = streams.iter().collect();
        match self.receiver.reset_request(last_tsn, &streams) {
            ResetOutcome::Done => ReconfigResult::Performed,
            ResetOutcome::InProgress => ReconfigResult::InProgress,
            // RFC 6525 §4.4: 4 is "Error - Request already in progress".
            ResetOutcome::Busy => ReconfigResult::AlreadyInProgress,
            ResetOutcome::Excessive => ReconfigResult::Denied,
            ResetOutcome::Refused => ReconfigResult::WrongSsn,
            ResetOutcome::Violation(what) => {
                self.violation(now, what);
                ReconfigResult::Denied
            }
        }
    }

    /// RFC 6525 §5.2.3: the peer wants our outgoing direction reset, which we do as if our owner had asked for it.
    ///
    /// "Performed" is said when it has begun: §5: "once that request is acknowledged let the peer actually control the reset
    /// operation". What is queued is delivered first, and the peer's next request need not wait for that.
    fn begin_asked_reset(&mut self, now: Instant, streams: &List<'_, StreamId>) -> ReconfigResult {
        let Some(tcb) = self.phase.tcb().filter(|_| self.phase.sends_data()) else {
            return ReconfigResult::Denied;
        };
        if streams.iter().any(|stream| stream.0 >= tcb.outgoing_streams) {
            return ReconfigResult::WrongSsn;
        }
        let asked: Vec<StreamId> = streams.iter().collect();
        // Streams that are as new need no reset, and all of them would not fit one request.
        let mut affected = if asked.is_empty() { self.sender.used_streams() } else { asked.clone() };
        // Those are reset by the request in flight, once: after it they may be another channel's.
        affected.retain(|stream| !self.reset.is_in_flight(*stream));
        self.events.push_back(Event::ResetRequested(asked));
        // Our request "completely overlaps the received Incoming SSN Reset Request Parameter", or "all of the streams being
        // requested will be already set to 0".
        if affected.iter().all(|stream| self.sender.is_as_new(*stream)) {
            return ReconfigResult::NothingToDo;
        }
        debug!(streams = affected.len(), "the peer asks for a reset of outgoing streams");
        self.begin_resets(now, &affected);
        ReconfigResult::Performed
    }

    /// Sends the answers back. RFC 6525 §5.2.1: "If multiple parameters have to be returned, they MUST be put into one
    /// RE_CONFIG chunk."
    fn reply(&mut self, now: Instant, answers: &[Answer], asked: Option<Asked<'_>>) {
        if answers.is_empty() || !self.takes_reconfig() {
            return;
        }
        // RFC 6525 §5.2.1: "a selective acknowledgment (SACK) chunk SHOULD be sent back and MAY be bundled".
        self.receiver.acknowledge();
        let before = self.reset.in_flight();
        if asked.is_some() {
            // §5.2.3 F1, F2: our request leaves with the answers, if it can go at once.
            self.advance_reset(now);
        }
        let is_new = self.reset.in_flight() != before;
        let is_in_request = |answer: &&Answer| {
            let performed = answer.result == ReconfigResult::Performed;
            let asks = |(number, streams): &Asked<'_>| {
                performed && answer.number == *number && self.reset.is_answer_to(*number, streams)
            };
            asked.as_ref().is_some_and(asks) || self.reset.carries_answer_to(answer.number)
        };
        let mut explicit = answers.iter().filter(|answer| !is_in_request(answer)).copied();
        match (explicit.next(), explicit.next()) {
            (None, _) => self.control.push(Control::ReconfigRequest),
            (Some(answer), None) if is_new => self.reset.carry(answer),
            (Some(first), second) => self.control.push(Control::ReconfigResponse { first, second }),
        }
    }
}

/// RFC 6525 §3.1: "Only the following combinations are allowed", in whatever order.
fn is_combination(parameters: &[ReconfigParameter<'_>]) -> bool {
    use ReconfigParameter::{AddIncoming, AddOutgoing, IncomingReset, OutgoingReset, Response};
    matches!(
        parameters,
        [_] | [OutgoingReset { .. }, IncomingReset { .. }]
            | [IncomingReset { .. }, OutgoingReset { .. }]
            | [AddOutgoing { .. }, AddIncoming { .. }]
            | [AddIncoming { .. }, AddOutgoing { .. }]
            | [Response { .. }, OutgoingReset { .. } | Response { .. }]
            | [OutgoingReset { .. }, Response { .. }]
    )
}
