//! Stream reset (RFC 6525 §5.1.2): our requests for our outgoing streams. The peer's requests are in `reconfig`.

use super::control::Control;
use super::reconfig::Answer;
use super::{Association, Event, ResetError, TimeoutKind};
use crate::number::{Ppid, StreamId, Tsn};
use crate::send::Reliability;
use crate::timer::Timer;
use crate::wire::{List, ReConfig, ReconfigParameter, ReconfigParameters, ReconfigResult};
use bytes::Bytes;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};
use tracing::debug;

/// Both directions of the request and answer game.
#[derive(Debug)]
pub(super) struct Reset {
    /// Asked for by the owner; each waits until its queue is in packets. A peer that takes nothing may let very many wait:
    /// no packet looks at all of them.
    waiting: BTreeSet<StreamId>,
    /// Those that waited long enough: each goes as soon as no request is in flight.
    ready: BTreeSet<StreamId>,
    /// How often a stream of those was looked at.
    #[cfg(test)]
    pub(super) looked_at: usize,
    /// RFC 6525 §5.1.1: "there MUST NOT be more than one request in flight."
    pending: Option<Box<Request>>,
    /// The number of our next request: counts up from our initial TSN.
    next_number: u32,
    /// The number of the peer's next request.
    expected: u32,
    /// What was answered to the peer's last two requests; a RE-CONFIG may have two.
    answered: [Option<Answer>; 2],
    /// When the peer's last request about all streams was taken.
    all_taken: Option<Instant>,
}

/// Our request in flight. It is repeated as it was sent first (RFC 6525 §5.1.1: "the sender MUST retransmit the RE-CONFIG
/// chunk").
#[derive(Debug)]
struct Request {
    number: u32,
    /// The peer's last request when ours was made: the one it answers, if the peer asked for it.
    response: u32,
    /// An answer to the peer in the same chunk (RFC 6525 §3.1, combination 9).
    answer: Option<Answer>,
    last_tsn: Tsn,
    /// Sorted.
    streams: Vec<StreamId>,
    timer: Timer,
    /// The peer works on it: that the timer expires is no error.
    in_progress: bool,
}

impl Reset {
    pub(super) fn new() -> Self {
        Self {
            waiting: BTreeSet::new(),
            ready: BTreeSet::new(),
            #[cfg(test)]
            looked_at: 0,
            pending: None,
            next_number: 0,
            expected: 0,
            answered: [None; 2],
            all_taken: None,
        }
    }

    /// A new association, or a restarted one: RFC 6525 §4.1: numbers start at the initial TSNs.
    pub(super) fn start(&mut self, local_tsn: Tsn, peer_tsn: Tsn) {
        *self = Self { next_number: local_tsn.0, expected: peer_tsn.0, ..Self::new() };
    }

    pub(super) fn clear(&mut self) {
        self.waiting.clear();
        self.ready.clear();
        self.pending = None;
    }

    /// Whether the stream takes no new messages.
    pub(super) fn concerns(&self, stream: StreamId) -> bool {
        self.waiting.contains(&stream) || self.ready.contains(&stream) || self.is_in_flight(stream)
    }

    /// Whether the stream is one of those that the peer was asked to reset.
    pub(super) fn is_in_flight(&self, stream: StreamId) -> bool {
        self.pending.as_ref().is_some_and(|request| request.has(stream))
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        self.pending.as_ref()?.timer.deadline()
    }

    #[cfg(any(test, feature = "__fuzzing"))]
    pub(super) fn is_armed(&self) -> bool {
        self.pending.as_ref().is_none_or(|request| request.timer.is_running())
    }

    /// All that was queued on a stream that waits is in packets.
    fn note_drained(&mut self, stream: StreamId) {
        #[cfg(test)]
        {
            self.looked_at += 1;
        }
        if self.waiting.remove(&stream) {
            self.ready.insert(stream);
        }
    }

    /// The streams of the next request, sorted.
    fn take_ready(&mut self) -> Vec<StreamId> {
        let streams: Vec<_> =
            std::iter::from_fn(|| self.ready.pop_first()).take(MAX_STREAMS_PER_REQUEST).collect();
        #[cfg(test)]
        {
            self.looked_at += streams.len();
        }
        streams
    }

    /// Each stream stands where it should.
    #[cfg(any(test, feature = "__fuzzing"))]
    pub(super) fn check_invariants(&self, buffered: impl Fn(StreamId) -> usize) {
        assert!(self.waiting.iter().all(|stream| buffered(*stream) > 0), "a drained stream waits: {self:?}");
        assert!(self.ready.iter().all(|stream| buffered(*stream) == 0), "a reset before the end: {self:?}");
    }

    /// Whether the peer's request is new.
    pub(super) fn is_next(&self, number: u32) -> bool {
        number == self.expected
    }

    /// Whether a request about all streams is taken now. Each looks at every stream in use: a peer that goes on and on with
    /// them would cost far more than it sends. RFC 6525 §5.2.1: "The decision to deny a re-configuration request is an
    /// administrative decision".
    pub(super) fn takes_all(&mut self, now: Instant) -> bool {
        let takes =
            self.all_taken.is_none_or(|last| now.saturating_duration_since(last) >= ALL_STREAMS_INTERVAL);
        if takes {
            self.all_taken = Some(now);
        }
        takes
    }

    /// The peer's next request was answered.
    pub(super) fn note_answer(&mut self, answer: Answer) {
        self.expected = self.expected.wrapping_add(1);
        let [last, _] = self.answered;
        self.answered = [Some(answer), last];
    }

    /// What the peer was answered, if it is one of its last two requests.
    pub(super) fn answer_given(&self, number: u32) -> Option<Answer> {
        self.answered.into_iter().flatten().find(|answer| answer.number == number)
    }

    /// What was in progress is performed. Gives the answer to that.
    pub(super) fn note_performed(&mut self) -> Option<Answer> {
        let mut answers = self.answered.iter_mut().flatten();
        let answer = answers.find(|answer| answer.result == ReconfigResult::InProgress)?;
        answer.result = ReconfigResult::Performed;
        Some(*answer)
    }

    /// Whether the request in flight does all that this Incoming SSN Reset Request asks for. RFC 6525 §4.1: then "this
    /// parameter is also an implicit response to the incoming request".
    pub(super) fn is_answer_to(&self, number: u32, streams: &List<'_, StreamId>) -> bool {
        self.pending.as_ref().is_some_and(|request| {
            request.response == number
                && !streams.is_empty()
                && streams.iter().all(|stream| request.has(stream))
        })
    }

    /// The number of the request in flight.
    pub(super) fn in_flight(&self) -> Option<u32> {
        self.pending.as_ref().map(|request| request.number)
    }

    /// Whether the chunk of the request in flight has the answer to this request of the peer.
    pub(super) fn carries_answer_to(&self, number: u32) -> bool {
        let answer = self.pending.as_ref().and_then(|request| request.answer);
        answer.is_some_and(|answer| answer.number == number)
    }

    /// Puts an answer into the chunk of the request in flight, which was not sent yet.
    pub(super) fn carry(&mut self, answer: Answer) {
        if let Some(request) = &mut self.pending {
            request.answer = Some(answer);
        }
    }

    /// The chunk of the request in flight.
    pub(super) fn with_request<R>(&self, write: impl FnOnce(&ReConfig<'_>) -> R) -> Option<R> {
        let request = self.pending.as_ref()?;
        let reset = ReconfigParameter::OutgoingReset {
            request: request.number,
            response: request.response,
            last_tsn: request.last_tsn,
            streams: List::new(&request.streams),
        };
        let parameters = match request.answer {
            Some(answer) => &[answer.parameter(), reset][..],
            None => &[reset],
        };
        Some(write(&ReConfig { parameters: ReconfigParameters::new(parameters) }))
    }
}

impl Request {
    fn has(&self, stream: StreamId) -> bool {
        self.streams.binary_search(&stream).is_ok()
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
        let now = self.clock(now);
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
        self.begin_resets(now, &streams);
        self.settle(now);
        Ok(())
    }

    /// From here on the streams take no new messages; each waits until what is queued on it has left.
    pub(super) fn begin_resets(&mut self, now: Instant, streams: &[StreamId]) {
        for stream in streams {
            if self.reset.concerns(*stream) {
                continue;
            }
            // A message whose last part is missing would keep the stream from ever being drained.
            let nothing = Bytes::new();
            let end =
                self.sender.send_part(now, *stream, Ppid(0), nothing, true, true, Reliability::Reliable);
            if end.is_ok() {
                debug!(%stream, "message ended by the reset of its stream");
            }
            self.reset.waiting.insert(*stream);
            self.sender.end(*stream);
        }
    }

    /// Sends the next request if there is none in flight and a stream is ready for it.
    pub(super) fn advance_reset(&mut self, now: Instant) {
        // RFC 6525 §5.1.2 A3 names the last TSN before the reset: all that was accepted must have its TSN by then.
        while let Some(stream) = self.sender.poll_drained() {
            self.reset.note_drained(stream);
        }
        if self.reset.ready.is_empty() || self.reset.pending.is_some() || !self.phase.sends_data() {
            return;
        }
        let streams = self.reset.take_ready();
        let last_tsn = self.sender.begin_reset(now, &streams);
        let number = self.reset.next_number;
        self.reset.next_number = number.wrapping_add(1);
        // RFC 6525 §5.1.1: "MUST use the same value as SCTP's data transmission timer … and MUST use exponential
        // backoff".
        let mut timer = Timer::exponential(self.sender.rto(), self.config.rto_max);
        timer.start(now);
        debug!(number, streams = streams.len(), "asking for a reset of outgoing streams");
        // RFC 6525 §5.1.2 A4: "the next expected Re-configuration Request Sequence Number of the peer minus 1", which is
        // also the number of a request of the peer that this one answers.
        let response = self.reset.expected.wrapping_sub(1);
        let request =
            Request { number, response, answer: None, last_tsn, streams, timer, in_progress: false };
        self.reset.pending = Some(Box::new(request));
        self.control.push(Control::ReconfigRequest);
    }

    pub(super) fn on_reconfig_timer(&mut self, now: Instant) {
        let Some(request) = &mut self.reset.pending else { return };
        if !request.timer.expire(now) {
            return;
        }
        self.control.push(Control::ReconfigRequest);
        // RFC 6525 §5.2.7 H2: "the corresponding error counters MUST NOT be incremented." That is for one expiry: a peer
        // that falls silent afterwards is noticed.
        if !std::mem::take(&mut request.in_progress) {
            self.count_error(now, TimeoutKind::Retransmissions);
        }
    }

    pub(super) fn on_reconfig_response(&mut self, now: Instant, number: u32, result: ReconfigResult) {
        let Some(request) = self.reset.pending.as_mut().filter(|request| request.number == number) else {
            return;
        };
        self.errors = 0;
        let accepted = match result {
            ReconfigResult::NothingToDo | ReconfigResult::Performed => true,
            // RFC 6525 §5.2.7 H2: "the timer for the Re-configuration Request Sequence Number is started again."
            ReconfigResult::InProgress => {
                request.in_progress = true;
                request.timer.set_duration(self.sender.rto());
                return request.timer.start(now);
            }
            // H3: anything else that is no success is final, "Request already in progress" too: that is about another
            // request, and this one was not taken.
            ReconfigResult::AlreadyInProgress
            | ReconfigResult::Denied
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
/// Data channels are closed one by one (RFC 8831 §6.7): no stack in use asks for all of them twice in such a time.
const ALL_STREAMS_INTERVAL: Duration = Duration::from_millis(100);
