//! The state enumerations of the W3C text, under their names.

use crate::names::names;
use straits_peer::{GatheringState, PeerState, dtls, ice, sctp};

/// Defines one as [`names!`] does, and what it is made of.
macro_rules! state {
    ($(#[$doc:meta])* $name:ident from $core:path { $($(#[$variant_doc:meta])* $variant:ident <- $source:ident = $text:literal,)+ }) => {
        names! {
            $(#[$doc])*
            $name { $($(#[$variant_doc])* $variant = $text,)+ }
        }

        impl From<$core> for $name {
            fn from(state: $core) -> Self {
                use $core as Core;
                match state {
                    $(Core::$source => Self::$variant,)+
                }
            }
        }
    };
}

state! {
    /// `RTCSignalingState`, W3C webrtc-pc §4.3.1: where offer and answer stand.
    SignalingState from straits_peer::SignalingState {
        /// No exchange is under way.
        Stable <- Stable = "stable",
        /// A local offer was set.
        HaveLocalOffer <- HaveLocalOffer = "have-local-offer",
        /// A remote offer was set.
        HaveRemoteOffer <- HaveRemoteOffer = "have-remote-offer",
        /// A remote offer and a local provisional answer were set.
        HaveLocalPranswer <- HaveLocalProvisionalAnswer = "have-local-pranswer",
        /// A local offer and a remote provisional answer were set.
        HaveRemotePranswer <- HaveRemoteProvisionalAnswer = "have-remote-pranswer",
        /// The connection is closed.
        Closed <- Closed = "closed",
    }
}

state! {
    /// `RTCIceGatheringState`, W3C webrtc-pc §4.3.2.
    IceGatheringState from GatheringState {
        /// Gathering has not begun.
        New <- New = "new",
        /// Local addresses are being collected.
        Gathering <- Gathering = "gathering",
        /// All local candidates were reported.
        Complete <- Complete = "complete",
    }
}

state! {
    /// `RTCIceConnectionState`, W3C webrtc-pc §4.3.4.
    IceConnectionState from ice::State {
        /// No remote candidate is known.
        New <- New = "new",
        /// Candidate pairs are being checked.
        Checking <- Checking = "checking",
        /// A pair works.
        Connected <- Connected = "connected",
        /// The peer has been silent for a few seconds; it may come back.
        Disconnected <- Disconnected = "disconnected",
        /// No pair works, or the peer was silent for too long.
        Failed <- Failed = "failed",
        /// The connection is closed.
        Closed <- Closed = "closed",
    }
}

state! {
    /// `RTCPeerConnectionState`, W3C webrtc-pc §4.3.3: ICE and DTLS taken together.
    PeerConnectionState from PeerState {
        /// Nothing was begun.
        New <- New = "new",
        /// ICE or DTLS is being set up.
        Connecting <- Connecting = "connecting",
        /// ICE and DTLS are up.
        Connected <- Connected = "connected",
        /// The peer has been silent for a few seconds; it may come back.
        Disconnected <- Disconnected = "disconnected",
        /// ICE or DTLS failed.
        Failed <- Failed = "failed",
        /// The connection is closed.
        Closed <- Closed = "closed",
    }
}

state! {
    /// `RTCDtlsTransportState`, W3C webrtc-pc §5.5.1.
    DtlsTransportState from dtls::State {
        /// DTLS has not begun.
        New <- New = "new",
        /// The handshake runs.
        Connecting <- Connecting = "connecting",
        /// The peer has the certificate that its description announced.
        Connected <- Connected = "connected",
        /// Closed by either side.
        Closed <- Closed = "closed",
        /// Ended by an error, or the peer has another certificate.
        Failed <- Failed = "failed",
    }
}

names! {
    /// `RTCSctpTransportState`, W3C webrtc-pc §6.1.2.
    SctpTransportState {
        /// The association is being set up, or waits for DTLS.
        Connecting = "connecting",
        /// Messages pass.
        Connected = "connected",
        /// The association has ended.
        Closed = "closed",
    }
}

state! {
    /// `RTCDataChannelState`, W3C webrtc-pc §6.2.
    DataChannelState from sctp::ChannelState {
        /// The association or the channel is being set up; `send` is refused.
        Connecting <- Connecting = "connecting",
        /// Messages pass.
        Open <- Open = "open",
        /// One side began to close; what was accepted is still delivered.
        Closing <- Closing = "closing",
        /// Nothing passes any more.
        Closed <- Closed = "closed",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// W3C behaviours CFG-02, CDC-03: the strings are the browser's.
    #[test]
    fn strings_are_those_of_the_browser() {
        assert_eq!(SignalingState::HaveLocalPranswer.to_string(), "have-local-pranswer");
        assert_eq!(IceGatheringState::Complete.to_string(), "complete");
        assert_eq!(IceConnectionState::Checking.to_string(), "checking");
        assert_eq!(PeerConnectionState::Disconnected.to_string(), "disconnected");
        assert_eq!(DataChannelState::from(sctp::ChannelState::Closing).to_string(), "closing");
    }
}
