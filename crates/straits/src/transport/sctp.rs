//! `RTCSctpTransport`.

use super::DtlsTransport;
use crate::{PeerConnection, SctpTransportState};

/// `RTCSctpTransport`, W3C webrtc-pc §6.1.1: the SCTP association of a connection. From [`PeerConnection::sctp`].
///
/// It is a handle on its connection, as a [`DataChannel`](crate::DataChannel) is. Its handler is one of the connection.
#[derive(Clone, Debug)]
#[doc(alias = "RTCSctpTransport")]
pub struct SctpTransport(PeerConnection);

impl PeerConnection {
    /// `sctp`, W3C webrtc-pc §6.1: the SCTP transport; `None` while no description in force has a data section.
    #[must_use]
    pub fn sctp(&self) -> Option<SctpTransport> {
        let has_transports = self.inner().lock().descriptions().has_transports;
        has_transports.then(|| SctpTransport(self.clone()))
    }
}

impl SctpTransport {
    /// The DTLS transport that carries the packets.
    #[must_use]
    pub fn transport(&self) -> DtlsTransport {
        DtlsTransport::new(self.0.clone())
    }

    /// Where the association stands.
    #[must_use]
    pub fn state(&self) -> SctpTransportState {
        self.0.inner().lock().published.sctp
    }

    /// The largest message that [`send`](crate::DataChannel::send) takes, in bytes: what the peer accepts. `None`: there is no
    /// limit, or there is no answer yet.
    #[must_use]
    pub fn max_message_size(&self) -> Option<usize> {
        self.0.max_message_size()
    }

    /// How many channels there can be at the same time: the smaller of the two numbers of streams that the ends agreed on.
    /// `None` before the association is up.
    #[must_use]
    pub fn max_channels(&self) -> Option<u16> {
        let state = self.0.inner().lock();
        let (outgoing, incoming) = state.peer.association().negotiated_streams()?;
        Some(outgoing.min(incoming))
    }

    /// Called when [`state`](Self::state) changes, with the new state.
    pub fn on_state_change(&self, handler: impl FnMut(SctpTransportState) + Send + 'static) {
        self.0.set(|handlers| handlers.sctp_state.replace(Box::new(handler)), |_| {});
    }
}
