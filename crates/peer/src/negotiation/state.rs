//! Signalling states and what belongs to each.
//!
//! | event                | from                              | to                   |
//! |----------------------|-----------------------------------|----------------------|
//! | local offer          | stable, have-local-offer          | have-local-offer     |
//! | local pranswer       | have-remote-offer, -local-pranswer| have-local-pranswer  |
//! | local answer         | have-remote-offer, -local-pranswer| stable               |
//! | local rollback       | have-local-offer                  | stable               |
//! | remote offer         | stable, have-remote-offer         | have-remote-offer    |
//! | remote offer         | have-local-offer                  | stable, have-remote-offer |
//! | remote pranswer      | have-local-offer, -remote-pranswer| have-remote-pranswer |
//! | remote answer        | have-local-offer, -remote-pranswer| stable               |
//! | remote rollback      | have-remote-offer                 | stable               |

use super::Baseline;
use super::local::Local;
use super::remote::{Data, Remote};
use crate::{DescriptionError, SignalingState};
use straits_dtls as dtls;
use straits_ice as ice;

/// The exchange under way, with its pending descriptions.
#[derive(Debug)]
pub(super) enum State {
    Stable,
    HaveLocalOffer { offer: Local },
    HaveRemoteOffer { offer: Remote },
    HaveLocalPranswer { offer: Remote, answer: Local, agreed: Option<Agreed> },
    HaveRemotePranswer { offer: Local, answer: Remote, agreed: Option<Agreed> },
}

/// The descriptions of the last finished exchange.
#[derive(Debug)]
pub(super) struct Current {
    pub(super) local: Local,
    pub(super) remote: Remote,
    /// `None`: no data section in use.
    pub(super) agreed: Option<Agreed>,
}

/// What lasts longer than one exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Agreed {
    pub(super) dtls_role: dtls::Role,
    /// Did we make the first offer?
    pub(super) initiated: bool,
    /// Ours and the peer's.
    pub(super) modes: (ice::Mode, ice::Mode),
}

impl State {
    pub(super) fn name(&self) -> SignalingState {
        match self {
            Self::Stable => SignalingState::Stable,
            Self::HaveLocalOffer { .. } => SignalingState::HaveLocalOffer,
            Self::HaveRemoteOffer { .. } => SignalingState::HaveRemoteOffer,
            Self::HaveLocalPranswer { .. } => SignalingState::HaveLocalProvisionalAnswer,
            Self::HaveRemotePranswer { .. } => SignalingState::HaveRemoteProvisionalAnswer,
        }
    }

    /// The pending local description.
    pub(super) fn local(&self) -> Option<&Local> {
        match self {
            Self::Stable | Self::HaveRemoteOffer { .. } => None,
            Self::HaveLocalOffer { offer } | Self::HaveRemotePranswer { offer, .. } => Some(offer),
            Self::HaveLocalPranswer { answer, .. } => Some(answer),
        }
    }

    /// The pending remote description.
    pub(super) fn remote(&self) -> Option<&Remote> {
        match self {
            Self::Stable | Self::HaveLocalOffer { .. } => None,
            Self::HaveRemoteOffer { offer } | Self::HaveLocalPranswer { offer, .. } => Some(offer),
            Self::HaveRemotePranswer { answer, .. } => Some(answer),
        }
    }

    /// What a provisional answer agreed on.
    pub(super) fn baseline(&self) -> Option<Baseline<'_>> {
        let (remote, agreed) = match self {
            Self::Stable | Self::HaveLocalOffer { .. } | Self::HaveRemoteOffer { .. } => return None,
            Self::HaveLocalPranswer { offer, agreed, .. } => (offer, agreed),
            Self::HaveRemotePranswer { answer, agreed, .. } => (answer, agreed),
        };
        Some(Baseline { agreed: (*agreed)?, remote: remote.transport()?, session_id: &remote.session_id })
    }
}

impl Current {
    pub(super) fn baseline(&self) -> Option<Baseline<'_>> {
        let remote = &self.remote;
        Some(Baseline { agreed: self.agreed?, remote: remote.transport()?, session_id: &remote.session_id })
    }

    /// Place of the data section in use.
    pub(super) fn data_index(&self) -> Option<usize> {
        self.agreed.and(self.local.data()).map(|(index, _)| index)
    }

    /// RFC 8829 §5.2.2, §5.10: sections stay in place, and the data section stays itself.
    pub(super) fn check_offer(&self, offer: &Remote) -> Result<(), DescriptionError> {
        if offer.sections.len() < self.remote.sections.len() {
            let problem = "the offer has fewer sections than were negotiated";
            return Err(DescriptionError::Unacceptable { line: offer.last_line, problem });
        }
        if let (Data::InUse(data), Some(before)) = (&offer.data, self.baseline()) {
            let (now, before) = (&data.transport, before.remote);
            if now.mid.is_some() && before.mid.is_some() && now.mid != before.mid {
                let line = offer.sections.get(usize::from(now.mline_index)).map_or(0, |section| section.line);
                let problem = "the mid of the data section cannot change";
                return Err(DescriptionError::Unacceptable { line, problem });
            }
        }
        Ok(())
    }
}

impl Agreed {
    /// RFC 8445 §6.1.1.
    pub(super) fn ice_role(self) -> ice::Role {
        let (ours, theirs) = self.modes;
        // "Both agents are full", "Both lite": "The initiating agent that started the ICE processing MUST take the
        // controlling role"; "One agent full, one lite: The full agent MUST take the controlling role".
        let controlling = if ours == theirs { self.initiated } else { ours == ice::Mode::Full };
        if controlling { ice::Role::Controlling } else { ice::Role::Controlled }
    }
}
