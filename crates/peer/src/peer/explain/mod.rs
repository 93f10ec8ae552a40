//! Why a connection is not open, for a person.

mod advice;

use super::{CloseReason, GatheringState, Peer};
use crate::SignalingState;
use std::fmt;
use straits_dtls as dtls;
use straits_ice::{self as ice, Candidate, CandidatePair, CandidatePairState, FailureReason, Mode, Role};
use straits_sctp as sctp;

/// Where a connection stands and why it is not open, from [`Peer::explain`].
///
/// `Display` writes it for a person, over several lines: what the matter is, what to do about it, and the candidates and
/// pairs as far as they matter. It shows addresses, but no keys and passwords.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Explanation {
    /// What the matter is.
    pub finding: Finding,
    /// Why the connection failed or ended, if it did.
    pub close_reason: Option<CloseReason>,
    /// Bytes that `send` has accepted and the peer has not acknowledged; after the end, what it was then.
    pub undelivered: usize,
    /// Our candidates.
    pub local_candidates: Vec<Candidate>,
    /// The candidates of the peer that are in use: those it signalled and those its checks came from.
    pub remote_candidates: Vec<Candidate>,
    /// How many candidates of the peer are not in use: TCP, host names, wrong component or restart.
    pub candidates_ignored: u64,
    /// The pairs of candidates with their checks.
    pub pairs: Vec<CandidatePair>,
}

/// How far a connection has come, in the order in which one is set up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// Offer and answer are not both in place.
    Signaling,
    /// No pair of candidates works yet, or none works any more.
    Ice,
    /// The handshake is under way, or the session has ended.
    Dtls,
    /// The association is being set up, or has ended.
    Sctp,
    /// Channels can be used.
    Open,
    /// Closed by either side, in order.
    Closed,
}

/// What an [`Explanation`] has found.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Finding {
    /// Nothing was asked for: there is neither a channel nor a description.
    Idle,
    /// A channel waits for the first offer.
    OfferNeeded,
    /// Our offer has no answer.
    AnswerAwaited,
    /// We have not answered the peer's offer.
    AnswerNeeded,
    /// Offer and answer are in place, without a section for data.
    NoDataSection,
    /// Local addresses are being gathered; none is known yet.
    Gathering,
    /// This end has no address to offer.
    NoLocalCandidate {
        /// Because only relayed ones may be offered (`iceTransportPolicy`).
        relay_only: bool,
    },
    /// No candidate of the peer can be used, and it is this end that checks.
    NoRemoteCandidate,
    /// The candidates of both sides do not go together: other address families, or loopback on one side only.
    NoCandidatePair,
    /// Checks were sent, and no answer came.
    ChecksUnanswered {
        /// How many, without repetitions.
        sent: u64,
    },
    /// The peer has to check, and no check of it came.
    ChecksAwaited,
    /// Checks came, but with another user name or password than the descriptions have.
    CredentialsDiffer {
        /// How many.
        dropped: u64,
    },
    /// Checks work, and the controlling side has not nominated a pair.
    NotNominated,
    /// The pair that worked is silent; it may come back.
    PeerSilent,
    /// The pair that worked was silent for too long.
    PeerGone,
    /// The handshake has begun, and nothing came from the peer.
    HandshakeUnanswered {
        /// The role of this end: a client sends first.
        role: dtls::Role,
    },
    /// The handshake is under way.
    Handshaking,
    /// INIT was sent, and nothing came for this association.
    AssociationUnanswered,
    /// The association is being set up.
    AssociationStarting,
    /// The connection works.
    Open,
    /// The connection ended for the reason of [`Explanation::close_reason`], which says it all.
    Ended(CloseReason),
}

impl Peer {
    /// Where the connection stands, why it is not open, and what to do about it.
    pub fn explain(&self) -> Explanation {
        Explanation {
            finding: self.finding(),
            close_reason: self.close_reason().cloned(),
            undelivered: self.undelivered(),
            local_candidates: self.ice.local_candidates().to_vec(),
            remote_candidates: self.ice.remote_candidates().to_vec(),
            candidates_ignored: self.ice.stats().candidates_ignored,
            pairs: self.ice.candidate_pairs(),
        }
    }

    fn finding(&self) -> Finding {
        match self.close_reason() {
            Some(CloseReason::Ice(FailureReason::ConsentExpired)) => Finding::PeerGone,
            Some(CloseReason::Ice(_)) => self.search_finding(),
            Some(reason) => Finding::Ended(reason.clone()),
            None if self.dtls_role().is_none() => self.signaling_finding(),
            None => self.transport_finding(),
        }
    }

    /// Offer and answer are not both in place, or have no data.
    fn signaling_finding(&self) -> Finding {
        match self.signaling_state() {
            SignalingState::Stable if self.is_described() => Finding::NoDataSection,
            SignalingState::Stable if self.wants_data => Finding::OfferNeeded,
            SignalingState::Stable | SignalingState::Closed => Finding::Idle,
            SignalingState::HaveLocalOffer | SignalingState::HaveRemoteProvisionalAnswer => {
                Finding::AnswerAwaited
            }
            SignalingState::HaveRemoteOffer | SignalingState::HaveLocalProvisionalAnswer => {
                Finding::AnswerNeeded
            }
        }
    }

    /// From the bottom up: the lowest layer that is not up.
    fn transport_finding(&self) -> Finding {
        if self.ice.selected().is_none() {
            return self.search_finding();
        }
        if self.ice_state() == ice::State::Disconnected {
            return Finding::PeerSilent;
        }
        if self.dtls_state() != dtls::State::Connected {
            return match (self.dtls_role(), self.ice.traffic().packets_received) {
                (Some(role), 0) => Finding::HandshakeUnanswered { role },
                _ => Finding::Handshaking,
            };
        }
        let stats = self.association().stats();
        match self.sctp_state() {
            sctp::State::Closed | sctp::State::CookieWait | sctp::State::CookieEchoed
                // What is not for this association is none of its peer's answers.
                if stats.packets_received == stats.packets_dropped => Finding::AssociationUnanswered,
            sctp::State::Closed | sctp::State::CookieWait | sctp::State::CookieEchoed => Finding::AssociationStarting,
            sctp::State::Established
            | sctp::State::ShutdownPending
            | sctp::State::ShutdownSent
            | sctp::State::ShutdownReceived
            | sctp::State::ShutdownAckSent => Finding::Open,
        }
    }

    /// ICE has no pair.
    fn search_finding(&self) -> Finding {
        let agent = &self.ice;
        let stats = agent.stats();
        let checks = agent.role() == Role::Controlling && agent.remote_mode() == Some(Mode::Lite);
        if agent.local_candidates().is_empty() {
            return match self.gathering_state() {
                GatheringState::Complete => Finding::NoLocalCandidate { relay_only: self.relay_only },
                GatheringState::New | GatheringState::Gathering => Finding::Gathering,
            };
        }
        let pairs = agent.candidate_pairs();
        let is_valid =
            |pair: &CandidatePair| pair.state == CandidatePairState::Succeeded && !pair.is_nominated;
        if pairs.iter().any(is_valid) {
            // ICE gives up when nothing more comes, and goes on as long as the peer checks without a nomination.
            let is_gone = matches!(self.close_reason(), Some(CloseReason::Ice(_)));
            return if is_gone { Finding::PeerGone } else { Finding::NotNominated };
        }
        if stats.unauthenticated > 0 {
            return Finding::CredentialsDiffer { dropped: stats.unauthenticated };
        }
        if !checks {
            return Finding::ChecksAwaited;
        }
        match pairs.iter().map(|pair| pair.counters.requests_sent).sum() {
            0 if agent.remote_candidates().is_empty() => Finding::NoRemoteCandidate,
            0 => Finding::NoCandidatePair,
            sent => Finding::ChecksUnanswered { sent },
        }
    }
}

impl Explanation {
    /// The stage that was reached, or at which the connection ended.
    pub fn stage(&self) -> Stage {
        self.finding.stage()
    }

    /// What to do; empty where nothing is to be done.
    pub fn advice(&self) -> &'static str {
        self.finding.advice()
    }
}

impl Finding {
    /// The stage that it is about.
    pub fn stage(&self) -> Stage {
        match self {
            Self::Idle
            | Self::OfferNeeded
            | Self::AnswerAwaited
            | Self::AnswerNeeded
            | Self::NoDataSection => Stage::Signaling,
            Self::Gathering
            | Self::NoLocalCandidate { .. }
            | Self::NoRemoteCandidate
            | Self::NoCandidatePair
            | Self::ChecksUnanswered { .. }
            | Self::ChecksAwaited
            | Self::CredentialsDiffer { .. }
            | Self::NotNominated
            | Self::PeerSilent
            | Self::PeerGone => Stage::Ice,
            Self::HandshakeUnanswered { .. } | Self::Handshaking => Stage::Dtls,
            Self::AssociationUnanswered | Self::AssociationStarting => Stage::Sctp,
            Self::Open => Stage::Open,
            Self::Ended(reason) if reason.is_orderly() => Stage::Closed,
            Self::Ended(CloseReason::Local { .. }) => Stage::Closed,
            Self::Ended(CloseReason::DataRejected) => Stage::Signaling,
            Self::Ended(CloseReason::Ice(_)) => Stage::Ice,
            Self::Ended(CloseReason::Dtls(_)) => Stage::Dtls,
            Self::Ended(CloseReason::Sctp(_)) => Stage::Sctp,
        }
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Signaling => "signaling",
            Self::Ice => "ICE",
            Self::Dtls => "DTLS",
            Self::Sctp => "SCTP",
            Self::Open => "open",
            Self::Closed => "closed",
        })
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Idle => "there is neither a channel nor a description",
            Self::OfferNeeded => "a channel waits for the first offer",
            Self::AnswerAwaited => "our offer has no answer",
            Self::AnswerNeeded => "the peer's offer is not answered",
            Self::NoDataSection => "the descriptions have no section for data channels",
            Self::Gathering => "local addresses are being gathered",
            Self::NoLocalCandidate { relay_only: false } => "this end has no address to offer",
            Self::NoLocalCandidate { relay_only: true } => {
                "this end may offer relayed addresses only, and has none"
            }
            Self::NoRemoteCandidate => "no candidate of the peer can be used",
            Self::NoCandidatePair => "the candidates of the two ends do not go together",
            Self::ChecksUnanswered { sent } => return write!(f, "no answer to {sent} connectivity checks"),
            Self::ChecksAwaited => "no connectivity check of the peer has come",
            Self::CredentialsDiffer { dropped } => {
                return write!(f, "{dropped} connectivity checks came with other credentials");
            }
            Self::NotNominated => "connectivity checks pass, and no pair is nominated yet",
            Self::PeerSilent => "the peer has been silent for some seconds",
            Self::PeerGone => "the peer was there and is gone",
            Self::HandshakeUnanswered { .. } => "nothing of the handshake has come from the peer",
            Self::Handshaking => "the handshake is under way",
            Self::AssociationUnanswered => "INIT has no answer",
            Self::AssociationStarting => "the association is being set up",
            Self::Open => "the connection works",
            Self::Ended(reason) => return write_reason(f, reason),
        })
    }
}

/// Without the layer, which the stage names.
fn write_reason(f: &mut fmt::Formatter<'_>, reason: &CloseReason) -> fmt::Result {
    match reason {
        CloseReason::Dtls(inner) => write!(f, "{inner}"),
        CloseReason::Sctp(inner) => write!(f, "{inner}"),
        CloseReason::Local { .. } | CloseReason::DataRejected | CloseReason::Ice(_) => write!(f, "{reason}"),
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stage = self.stage();
        let outcome = match (&self.close_reason, stage) {
            (_, Stage::Open | Stage::Closed) => "",
            (None, _) => "not open, ",
            (Some(_), _) => "failed, ",
        };
        write!(f, "{outcome}{stage}: {}", self.finding)?;
        match (&self.close_reason, self.undelivered) {
            // Of a close by this side the reason says it.
            (None | Some(CloseReason::Local { .. }), _) | (_, 0) => {}
            (Some(_), undelivered) => write!(f, "\nnot delivered: {undelivered} bytes")?,
        }
        if !self.advice().is_empty() {
            write!(f, "\nwhat to do: {}", self.advice())?;
        }
        if stage == Stage::Ice {
            self.write_candidates(f)?;
        }
        Ok(())
    }
}

impl Explanation {
    fn write_candidates(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let write = |f: &mut fmt::Formatter<'_>, whose: &str, candidates: &[Candidate]| {
            write!(f, "\n{whose} candidates:")?;
            if candidates.is_empty() {
                f.write_str(" none")?;
            }
            candidates
                .iter()
                .filter_map(Candidate::udp_address)
                .try_for_each(|address| write!(f, " {address}"))
        };
        write(f, "local", &self.local_candidates)?;
        write(f, "remote", &self.remote_candidates)?;
        if self.candidates_ignored > 0 {
            write!(f, ", {} not usable", self.candidates_ignored)?;
        }
        for pair in &self.pairs {
            let checks = pair.counters;
            write!(
                f,
                "\npair {}: {}, {} checks sent, {} answered, {} received",
                pair.route,
                pair.state,
                checks.requests_sent,
                checks.responses_received,
                checks.requests_received
            )?;
        }
        Ok(())
    }
}
