//! The configuration of a connection that lives.

use super::PeerConnection;
use crate::{Error, IceTransportPolicy, RtcConfiguration};

impl PeerConnection {
    /// `getConfiguration`, W3C webrtc-pc §4.4.2: what was set last, by [`new`](Self::new) or
    /// [`set_configuration`](Self::set_configuration).
    #[must_use]
    #[doc(alias = "getConfiguration")]
    pub fn configuration(&self) -> RtcConfiguration {
        self.0.lock().rtc.clone()
    }

    /// `setConfiguration`, W3C webrtc-pc §4.4.2: replaces the browser's part of the configuration as a whole. To change one
    /// member, change it in what [`configuration`](Self::configuration) gives.
    ///
    /// A new `ice_transport_policy` holds for the candidates that are gathered next. Once a local description was set, the next
    /// offer of this side restarts ICE for it; nothing asks for that offer, though. New `ice_servers` are reported when
    /// candidates are gathered next, and restart nothing, because they are not used.
    ///
    /// # Errors
    ///
    /// In this order, and nothing has changed then: `InvalidStateError` on a closed connection. `InvalidModificationError` for
    /// other certificates, another bundle or RTCP policy, or, once a local description was set, another pool size.
    /// `NotSupportedError` for [`RtcpMuxPolicy::Negotiate`](crate::RtcpMuxPolicy::Negotiate). `SyntaxError` for a server without
    /// URL or with one that is none, `InvalidAccessError` for a TURN server without credentials or with a username over 509
    /// bytes.
    pub fn set_configuration(&self, configuration: RtcConfiguration) -> Result<(), Error> {
        self.0.with(|state, _| {
            if state.is_over() {
                return Err(Error::closed(state.reason()));
            }
            configuration.check(Some(&state.rtc), state.peer.is_described())?;
            state.peer.set_relay_only(configuration.ice_transport_policy == IceTransportPolicy::Relay);
            state.rtc = configuration;
            Ok(())
        })
    }
}
