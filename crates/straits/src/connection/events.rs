//! The events of a connection as a stream.

use super::state::{Item, Outcome};
use super::{ChannelHandle, PeerConnection};
use crate::channel::DataChannel;
use crate::wakers::Waiter;
use crate::{
    DtlsTransportState, Error, ErrorName, IceCandidate, IceCandidateError, IceConnectionState,
    IceGatheringState, PeerConnectionState, SctpTransportState, SignalingState,
};
use futures_core::Stream;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};
use straits_peer::CloseReason;

/// What happened to a connection. From [`Events`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Event {
    /// An exchange of offer and answer is needed.
    NegotiationNeeded,
    /// The signalling state is this now.
    SignalingStateChange(SignalingState),
    /// The gathering state is this now.
    IceGatheringStateChange(IceGatheringState),
    /// The state of ICE is this now.
    IceConnectionStateChange(IceConnectionState),
    /// The state of the connection is this now.
    ConnectionStateChange(PeerConnectionState),
    /// The state of the [`DtlsTransport`](crate::DtlsTransport) is this now.
    DtlsTransportStateChange(DtlsTransportState),
    /// The state of the [`SctpTransport`](crate::SctpTransport) is this now.
    SctpTransportStateChange(SctpTransportState),
    /// Data flows over another pair: see
    /// [`IceTransport::selected_candidate_pair`](crate::IceTransport::selected_candidate_pair).
    SelectedCandidatePairChange,
    /// A candidate to signal to the peer; `None`: there are no more.
    IceCandidate(Option<IceCandidate>),
    /// An ICE server gave no candidate.
    IceCandidateError(IceCandidateError),
    /// The peer opened a channel.
    DataChannel(DataChannel),
    /// The connection has ended. The last event.
    Closed(CloseReason),
}

/// The events of a connection, in order. From [`PeerConnection::events`].
///
/// It counts as a handle of the connection. It ends after [`Event::Closed`]. Once it is dropped, handlers may be set.
#[derive(Debug)]
pub struct Events {
    connection: PeerConnection,
    waiter: Waiter,
}

impl Events {
    pub(super) fn claim(connection: &PeerConnection) -> Result<Self, Error> {
        if connection.0.lock().claim_stream() {
            return Ok(Self { connection: connection.clone(), waiter: Waiter::default() });
        }
        let what = "the events of this connection have a consumer";
        Err(Error::new(ErrorName::InvalidStateError, what, "use either handlers or one stream of events"))
    }

    /// The next event; `None` after the last.
    ///
    /// Cancel-safe: a future that is dropped has taken no event.
    pub async fn next(&mut self) -> Option<Event> {
        poll_fn(|cx| self.poll(cx)).await
    }

    fn poll(&mut self, cx: &Context<'_>) -> Poll<Option<Event>> {
        let mut outcome = Outcome::default();
        let mut state = self.connection.0.lock();
        let item = state.poll_stream_item(&mut self.waiter.with(cx), &mut outcome);
        let channel = match &item {
            Poll::Ready(Some(Item::Incoming(id))) => state.give(*id),
            _ => None,
        };
        drop(state);
        outcome.deliver();
        item.map(|item| {
            Some(match item? {
                Item::NegotiationNeeded => Event::NegotiationNeeded,
                Item::Signaling(state) => Event::SignalingStateChange(state),
                Item::Gathering(state) => Event::IceGatheringStateChange(state),
                Item::Ice(state) => Event::IceConnectionStateChange(state),
                Item::Connection(state) => Event::ConnectionStateChange(state),
                Item::Dtls(state) => Event::DtlsTransportStateChange(state),
                Item::Sctp(state) => Event::SctpTransportStateChange(state),
                Item::SelectedPair => Event::SelectedCandidatePairChange,
                Item::Candidate(candidate) => Event::IceCandidate(candidate),
                Item::CandidateError(error) => Event::IceCandidateError(error),
                Item::Closed(reason) => Event::Closed(reason),
                Item::Described(_)
                | Item::Incoming(_)
                | Item::Open(_)
                | Item::Readable(_)
                | Item::BufferedAmountLow(_)
                | Item::Closing(_)
                | Item::ChannelClosed(..) => Event::DataChannel(DataChannel::new(ChannelHandle::new(
                    self.connection.0.inner().clone(),
                    channel?,
                ))),
            })
        })
    }
}

impl Stream for Events {
    type Item = Event;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Event>> {
        self.poll(cx)
    }
}

impl Drop for Events {
    fn drop(&mut self) {
        let mut outcome = Outcome::default();
        self.connection.0.lock().release_stream(&mut outcome);
        outcome.deliver();
    }
}
