//! What to do about each finding.

use super::Finding;
use crate::CloseReason;
use straits_dtls as dtls;
use straits_sctp as sctp;

impl Finding {
    /// What to do; empty where nothing is to be done.
    pub fn advice(&self) -> &'static str {
        match self {
            Self::Idle => "open a data channel, then make an offer; or set the peer's offer",
            Self::OfferNeeded => "make an offer, set it as local description, and send it to the peer",
            Self::AnswerAwaited => "send the offer to the peer, and set its answer as remote description",
            Self::AnswerNeeded => "make an answer, set it as local description, and send it to the peer",
            Self::NoDataSection => "open a data channel before the offer is made, then negotiate again",
            Self::Gathering | Self::Handshaking | Self::AssociationStarting => "wait a moment",
            Self::NoLocalCandidate { relay_only: false } => {
                "is a network interface up? An endpoint may also be bound to an address, or announce one"
            }
            Self::NoLocalCandidate { relay_only: true } => {
                "allow all candidates (iceTransportPolicy \"all\"): relays are not supported yet"
            }
            Self::NoRemoteCandidate => {
                "pass on the peer's candidates with add_ice_candidate, or wait for the end of its gathering before its \
                 description is sent; candidates over TCP and names ending in .local are not used"
            }
            Self::NoCandidatePair => {
                "give both sides an address of the same family (IPv4 or IPv6); an address of the loopback interface \
                 reaches only peers of the same machine"
            }
            Self::ChecksUnanswered { .. } => {
                "can UDP get from here to the peer's addresses? Firewalls and NATs between the two stop it, and STUN and \
                 TURN servers are not used yet. Has the peer set our description?"
            }
            Self::ChecksAwaited => {
                "has the peer set our description and got our candidates, and can UDP get from it to our addresses? \
                 Behind a NAT, forward the port and announce the public address"
            }
            Self::CredentialsDiffer { .. } => {
                "the two ends have descriptions that do not belong to each other: pass them on unchanged, and those of a \
                 restart before its candidates are used"
            }
            Self::NotNominated => {
                "wait a moment; if it stays so, the controlling side does not finish its checks"
            }
            Self::PeerSilent => "wait: it may come back. If the network has changed, restart ICE",
            Self::PeerGone => "restart ICE, or make a new connection",
            Self::HandshakeUnanswered { role: dtls::Role::Client } => {
                "has the peer set our description? Until it has, it does not answer"
            }
            Self::HandshakeUnanswered { role: dtls::Role::Server } => {
                "the peer is the DTLS client and has to begin: has it set our description?"
            }
            Self::AssociationUnanswered => "does the peer use the SCTP port of its description?",
            Self::Open => "",
            Self::Ended(reason) => end_advice(reason),
        }
    }
}

/// What to do about an end that says why it came.
fn end_advice(reason: &CloseReason) -> &'static str {
    match reason {
        _ if reason.is_orderly() => "",
        CloseReason::Local { .. } => "",
        CloseReason::DataRejected => "does the peer support data channels? Its answer has port 0 for them",
        CloseReason::Ice(_) => "restart ICE, or make a new connection",
        CloseReason::Dtls(reason) => dtls_advice(reason),
        CloseReason::Sctp(reason) => sctp_advice(reason),
    }
}

fn dtls_advice(reason: &dtls::CloseReason) -> &'static str {
    use dtls::CloseReason as Reason;
    match reason {
        Reason::FingerprintMismatch => {
            "pass descriptions on unchanged, over a way that nobody else can write to; a peer that was replaced needs an \
             ICE restart with its own description"
        }
        // RFC 5246 §7.2: the alerts about certificates.
        Reason::RemoteAlert(42..=46 | 48)
        | Reason::HandshakeTimeout { suspected_alert: Some(42..=46 | 48) } => {
            "the peer does not accept our certificate: has it our description, unchanged?"
        }
        Reason::RemoteAlert(40 | 70 | 71)
        | Reason::HandshakeFailed { alert: Some(40 | 70 | 71) }
        | Reason::HandshakeTimeout { suspected_alert: Some(40 | 70 | 71) } => {
            "the two have no version or cipher suite in common: the peer needs DTLS 1.2 with ECDHE and AES-GCM or \
             ChaCha20"
        }
        Reason::NoExtendedMasterSecret => "the peer needs a DTLS stack that knows RFC 7627",
        Reason::HandshakeTimeout { .. } => {
            "checks pass, the handshake does not: has the peer set our description? Packets of 1280 bytes should get through, \
             and those of 576 must"
        }
        Reason::RemoteAlert(_) | Reason::HandshakeFailed { .. } => "the log of the peer may say more",
        _ => "make a new connection",
    }
}

fn sctp_advice(reason: &sctp::CloseReason) -> &'static str {
    use sctp::{CloseReason as Reason, TimeoutKind};
    match reason {
        Reason::RemoteAbort { .. } => "the peer gave up the association: its log may say more",
        Reason::PathMtu { .. } => {
            "the path carries no packets of 1280 bytes, perhaps because of a tunnel (VPN) on it: raise its MTU to 1280 or more"
        }
        Reason::RemoteViolation(_) => "the peer's SCTP stack has a fault, or is hostile",
        Reason::Timeout(TimeoutKind::Init | TimeoutKind::CookieEcho) => {
            "does the peer use the SCTP port of its description?"
        }
        Reason::Timeout(_) => "checks pass, SCTP's packets do not: the log of the peer may say more",
        _ => "make a new connection",
    }
}
