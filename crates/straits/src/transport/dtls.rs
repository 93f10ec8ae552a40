//! `RTCDtlsTransport`.

use super::IceTransport;
use crate::{DtlsTransportState, Error, PeerConnection};

/// `RTCDtlsTransport`, W3C webrtc-pc §5.5: the DTLS session of a connection. From
/// [`SctpTransport::transport`](crate::SctpTransport::transport).
///
/// It is a handle on its connection. Its handlers are some of the connection.
#[derive(Clone, Debug)]
#[doc(alias = "RTCDtlsTransport")]
pub struct DtlsTransport(PeerConnection);

impl DtlsTransport {
    pub(super) fn new(connection: PeerConnection) -> Self {
        Self(connection)
    }

    /// The ICE transport that carries the records.
    #[must_use]
    pub fn ice_transport(&self) -> IceTransport {
        IceTransport::new(self.0.clone())
    }

    /// Where the session stands.
    #[must_use]
    pub fn state(&self) -> DtlsTransportState {
        self.0.inner().lock().published.dtls
    }

    /// `getRemoteCertificates`: what the peer has shown, in DER; empty before the handshake has ended well.
    #[must_use]
    #[doc(alias = "getRemoteCertificates")]
    pub fn remote_certificates(&self) -> Vec<Vec<u8>> {
        let negotiated = self.0.inner().lock().peer.dtls_negotiated();
        negotiated.map(|negotiated| negotiated.peer_certificate.der()).into_iter().collect()
    }

    /// Called when [`state`](Self::state) changes, with the new state.
    pub fn on_state_change(&self, handler: impl FnMut(DtlsTransportState) + Send + 'static) {
        self.0.set(|handlers| handlers.dtls_state.replace(Box::new(handler)), |_| {});
    }

    /// Called when the session fails, before the change of state: its [`detail`](Error::detail) is `fingerprint-failure`
    /// when the peer has another certificate than its description announced, else `dtls-failure`.
    pub fn on_error(&self, handler: impl FnMut(Error) + Send + 'static) {
        self.0.set(|handlers| handlers.dtls_error.replace(Box::new(handler)), |_| {});
    }
}
