//! Session descriptions as signalling carries them.

use crate::names::names;
use serde::{Deserialize, Serialize};
use std::fmt;
use straits_peer as core;

names! {
    /// `RTCSdpType`, W3C webrtc-pc §4.7.
    SdpType {
        /// The beginning of an exchange.
        Offer = "offer",
        /// A provisional answer: another answer follows.
        Pranswer = "pranswer",
        /// The end of an exchange.
        Answer = "answer",
        /// Back to the last stable state; `sdp` is ignored.
        Rollback = "rollback",
    }
}

/// `RTCSessionDescription` (W3C webrtc-pc §4.7.2): a type and the SDP text.
///
/// As JSON it is what `RTCSessionDescription.toJSON()` gives in a browser. `Debug` does not show the ICE password.
///
/// ```
/// # fn main() -> Result<(), serde_json::Error> {
/// use straits::{SdpType, SessionDescription};
///
/// let from_the_browser = r#"{"type":"rollback","sdp":""}"#;
/// let description: SessionDescription = serde_json::from_str(from_the_browser)?;
/// assert_eq!(description, SessionDescription::rollback());
/// assert_eq!(serde_json::to_string(&description)?, from_the_browser);
/// # Ok(()) }
/// ```
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionDescription {
    /// What the text is.
    #[serde(rename = "type")]
    pub kind: SdpType,
    /// The SDP text; may be empty where the W3C text says so (`setLocalDescription`, rollback).
    #[serde(default)]
    pub sdp: String,
}

impl SessionDescription {
    /// An offer.
    #[must_use]
    pub fn offer(sdp: impl Into<String>) -> Self {
        Self { kind: SdpType::Offer, sdp: sdp.into() }
    }

    /// An answer.
    #[must_use]
    pub fn answer(sdp: impl Into<String>) -> Self {
        Self { kind: SdpType::Answer, sdp: sdp.into() }
    }

    /// Back to the last stable state.
    #[must_use]
    pub fn rollback() -> Self {
        Self { kind: SdpType::Rollback, sdp: String::new() }
    }
}

impl fmt::Debug for SessionDescription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&core::SessionDescription::from(self.clone()), f)
    }
}

impl From<SessionDescription> for core::SessionDescription {
    fn from(description: SessionDescription) -> Self {
        let kind = match description.kind {
            SdpType::Offer => core::SdpType::Offer,
            SdpType::Pranswer => core::SdpType::ProvisionalAnswer,
            SdpType::Answer => core::SdpType::Answer,
            SdpType::Rollback => core::SdpType::Rollback,
        };
        Self { kind, sdp: description.sdp }
    }
}

impl From<core::SessionDescription> for SessionDescription {
    fn from(description: core::SessionDescription) -> Self {
        let kind = match description.kind {
            core::SdpType::Offer => SdpType::Offer,
            core::SdpType::ProvisionalAnswer => SdpType::Pranswer,
            core::SdpType::Answer => SdpType::Answer,
            core::SdpType::Rollback => SdpType::Rollback,
        };
        Self { kind, sdp: description.sdp }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_hides_the_password() {
        let offer = SessionDescription::offer("v=0\r\na=ice-ufrag:abcd\r\na=ice-pwd:secret\r\na=mid:0\r\n");
        let shown = r#"SessionDescription { kind: Offer, sdp: "v=0\r\na=ice-ufrag:abcd\r\na=ice-pwd:…\r\na=mid:0\r\n" }"#;
        assert_eq!(format!("{offer:?}"), shown);
    }

    /// W3C behaviours ICE-37, ICE-38.
    #[test]
    fn description_json_is_the_browsers() {
        let answer = SessionDescription::answer("v=0\r\n");
        let json = r#"{"type":"answer","sdp":"v=0\r\n"}"#;
        assert_eq!(serde_json::to_string(&answer).unwrap(), json);
        assert_eq!(serde_json::from_str::<SessionDescription>(json).unwrap(), answer);
        assert!(serde_json::from_str::<SessionDescription>(r#"{"sdp":"v=0\r\n"}"#).is_err());
        let pranswer: SessionDescription = serde_json::from_str(r#"{"type":"pranswer"}"#).unwrap();
        assert_eq!(pranswer, SessionDescription { kind: SdpType::Pranswer, sdp: String::new() });
    }
}
