//! How a connection comes up and ends.

use super::PeerConnection;
use crate::wakers::{Wait, wait_fn};
use crate::{Error, PeerConnectionState, endpoint};
use std::task::Poll;
use std::time::Duration;
use straits_peer::CloseReason;

impl PeerConnection {
    /// Waits until ICE and DTLS are up.
    ///
    /// # Errors
    ///
    /// `OperationError` when the connection failed or ended, with the layer and the reason.
    ///
    /// Cancel-safe: it changes nothing.
    pub async fn connected(&self) -> Result<(), Error> {
        wait_fn(|wait| self.poll_connected(wait)).await
    }

    fn poll_connected(&self, wait: &mut Wait<'_>) -> Poll<Result<(), Error>> {
        let mut state = self.0.lock();
        match state.published.connection {
            PeerConnectionState::Connected => Poll::Ready(Ok(())),
            PeerConnectionState::Failed | PeerConnectionState::Closed => {
                let reason = state.reason().or(state.peer.close_reason()).cloned();
                Poll::Ready(Err(match reason {
                    Some(reason) => Error::ended(reason),
                    None => Error::closed(None),
                }))
            }
            PeerConnectionState::New
            | PeerConnectionState::Connecting
            | PeerConnectionState::Disconnected => {
                state.register(wait);
                Poll::Pending
            }
        }
    }

    /// Waits until the connection has ended, its last packet was sent and its handlers have run; says why it ended.
    ///
    /// A connection that merely `failed` has not ended; see [`close_reason`](Self::close_reason).
    ///
    /// Cancel-safe: it changes nothing.
    pub async fn closed(&self) -> CloseReason {
        wait_fn(|wait| self.0.lock().poll_closed(wait)).await
    }

    /// Why the connection ended, or why it has failed; names the layer. `None` while neither is the case.
    #[must_use]
    pub fn close_reason(&self) -> Option<CloseReason> {
        let state = self.0.lock();
        state.reason().or(state.peer.close_reason()).cloned()
    }

    /// `close`, W3C webrtc-pc §4.4.1.2: ends the connection at once.
    ///
    /// All states are closed when it returns. The peer is told (SCTP ABORT, DTLS close_notify). What was accepted and not
    /// acknowledged is lost; [`CloseReason::Local`] has the number of bytes. Local channels get their `close` event
    /// afterwards, as in browsers. Await [`DataChannel::closed`](crate::DataChannel::closed) before, or use
    /// [`close_gracefully`](Self::close_gracefully), to lose nothing.
    pub fn close(&self) {
        self.0.close();
    }

    /// Delivers everything that was accepted on all channels, then ends the connection; after `timeout` it ends whatever
    /// is left. Says how it ended, as [`closed`](Self::closed) does.
    ///
    /// Cancel-safe: it takes effect when first polled, and when the future is dropped, the connection goes on closing. A
    /// message that a [`MessageWriter`](crate::MessageWriter) has not finished was not accepted.
    pub async fn close_gracefully(&self, timeout: Duration) -> CloseReason {
        let linked = self.0.is_linked();
        self.0.with(|state, now| state.close_gracefully(now, endpoint::after(now, timeout), linked));
        self.closed().await
    }
}
