//! Setting the association up (RFC 9260 §5): INIT, INIT ACK, T1. What comes of cookies is in `echo`.
//!
//! Both sides of a WebRTC association send INIT (RFC 8841 §9.3), so simultaneous open is the ordinary case.

use super::control::{Control, InitAck};
use super::cookie::{Capabilities, Cookie, TieTags};
use super::errors::Fault;
use super::random::nonzero;
use super::state::{Phase, Tcb};
use super::{Association, CloseReason, Config, TimeoutKind};
use crate::number::Tsn;
use crate::timer::Timer;
use crate::wire::{Init, Parameter, Parameters, Unknown};
use bytes::{BufMut, Bytes, BytesMut};
use rand::Rng;
use std::time::Instant;

/// What our INIT or INIT ACK says about us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct LocalInit {
    pub(super) tag: u32,
    pub(super) tsn: Tsn,
}

impl LocalInit {
    pub(super) fn random(rng: &mut impl Rng) -> Self {
        // RFC 9260 §5.3.1: "Initiate Tag values SHOULD be selected from the range of 1 to 2^32 - 1."
        Self { tag: nonzero(rng), tsn: Tsn(rng.next_u32()) }
    }
}

/// What the peer's parameters say.
#[derive(Debug, Default)]
struct Offer<'a> {
    /// RFC 9653: the method that stands in for a checksum.
    error_detection: Option<u32>,
    /// The parameter of RFC 3758 §3.1.
    forward_tsn: bool,
    /// The listed chunk types (RFC 5061 §4.2.7).
    extensions: Option<&'a [u8]>,
    cookie: Option<&'a [u8]>,
    host_name: bool,
    /// To be reported (RFC 9260 §3.2.1), whole, at most [`MAX_REPORTED`] bytes.
    unrecognized: Vec<Bytes>,
}

impl Association {
    /// Active open; both sides do it (RFC 8841 §9.3).
    ///
    /// Does nothing once the association was started.
    pub fn connect(&mut self, now: Instant) {
        let now = self.clock(now);
        if let Phase::Idle = self.phase {
            self.send_init(now, false, "connect");
        }
        self.settle(now);
    }

    /// Enters COOKIE-WAIT (RFC 9260 §5.1 A).
    pub(super) fn send_init(&mut self, now: Instant, again: bool, why: &'static str) {
        let t1 = self.start_t1(now);
        self.change(Phase::CookieWait { t1, again }, why);
        self.announced_zero_checksum = self.config.zero_checksum;
        self.control.push(Control::Init);
    }

    fn start_t1(&self, now: Instant) -> Timer {
        let mut t1 = Timer::exponential(self.config.rto_initial, self.config.rto_max)
            .max_restarts(self.config.max_init_retransmits);
        t1.start(now);
        t1
    }

    /// T1-init and T1-cookie (RFC 9260 §4 (2), (3), §5.1.6).
    pub(super) fn on_t1(&mut self, now: Instant) {
        let (t1, control, kind) = match &mut self.phase {
            Phase::CookieWait { t1, .. } => (t1, Control::Init, TimeoutKind::Init),
            Phase::CookieEchoed { t1, .. } => (t1, Control::CookieEcho, TimeoutKind::CookieEcho),
            Phase::Idle
            | Phase::Established { .. }
            | Phase::ShutdownPending { .. }
            | Phase::ShutdownSent { .. }
            | Phase::ShutdownReceived { .. }
            | Phase::ShutdownAckSent { .. }
            | Phase::Ended { .. } => return,
        };
        if !t1.expire(now) {
            return;
        }
        if t1.is_running() {
            self.control.push_first(control);
        } else {
            self.end(now, CloseReason::Timeout(kind));
        }
    }

    /// An INIT that is alone in its packet, with verification tag 0.
    pub(super) fn on_init(&mut self, now: Instant, init: &Init<'_>) {
        // RFC 9260 §3.3.2: a packet with an Initiate Tag of 0 is to be silently discarded.
        if init.initiate_tag == 0 {
            return self.drop_packet("INIT with tag 0");
        }
        let refuse = |fault| Control::Abort { tag: init.initiate_tag, reflected: false, fault: Some(fault) };
        // RFC 9260 §3.3.2: "MUST discard the packet, SHOULD send a packet in response containing an ABORT chunk and
        // using the Initiate Tag as the Verification Tag, and MUST NOT change the state of any existing association."
        if init.a_rwnd < MIN_WINDOW || init.outbound_streams == 0 || init.inbound_streams == 0 {
            return self.answer_stranger(now, refuse(Fault::InvalidMandatoryParameter));
        }
        let Some(offer) = self.read_offer(&init.parameters) else {
            return self.drop_packet("INIT with a malformed parameter");
        };
        if offer.host_name {
            // RFC 9260 §5.1.2 B: over DTLS there is nothing to resolve.
            return self.answer_stranger(now, refuse(Fault::UnresolvableAddress));
        }
        let (local, tie_tags) = match &self.phase {
            // RFC 9260 §5.2.1: "using the same parameters it sent in its original INIT chunk". In the idle state they
            // are those of the INIT that `connect` would send: nothing is stored for the answer, and a collision with
            // `connect` costs no round trip.
            Phase::Idle | Phase::CookieWait { .. } => (self.local, TieTags::default()),
            Phase::CookieEchoed { tcb, .. } => (self.local, tcb.tie_tags),
            // RFC 9260 §5.2.2: "the INIT ACK chunk MUST contain a new Initiate Tag".
            Phase::Established { tcb }
            | Phase::ShutdownPending { tcb }
            | Phase::ShutdownSent { tcb, .. }
            | Phase::ShutdownReceived { tcb, .. } => {
                let ties = tcb.tie_tags;
                (LocalInit::random(&mut self.random.generator()), ties)
            }
            // RFC 9260 §9.2: "it SHOULD discard the INIT chunk and retransmit the SHUTDOWN ACK chunk."
            Phase::ShutdownAckSent { .. } => return self.control.push(Control::ShutdownAck),
            Phase::Ended { .. } => {
                let abort = Control::Abort { tag: init.initiate_tag, reflected: false, fault: None };
                return self.answer_stranger(now, abort);
            }
        };
        let tcb = self.agree(init, local, self.capabilities(&offer), tie_tags);
        let cookie = self.seal_cookie(now, &tcb);
        // RFC 9653 leaves it to the sender of an INIT ACK. Some deployed stacks drop a packet with a parameter that they do
        // not know, so it goes to those that know it.
        let announces_zero_checksum = self.config.zero_checksum && offer.error_detection.is_some();
        self.announced_zero_checksum |= announces_zero_checksum;
        self.control.push(Control::InitAck(Box::new(InitAck {
            peer_tag: init.initiate_tag,
            local,
            outgoing_streams: tcb.outgoing_streams,
            cookie,
            zero_checksum: tcb.capabilities.zero_checksum,
            announces_zero_checksum,
            unrecognized: offer.unrecognized,
        })));
    }

    /// The verification tag is ours.
    pub(super) fn on_init_ack(&mut self, now: Instant, init: &Init<'_>) {
        // RFC 9260 §5.2.3: outside of COOKIE-WAIT it is old or a duplicate.
        let Phase::CookieWait { again, .. } = self.phase else { return };
        let Some(offer) = self.read_offer(&init.parameters) else {
            return self.drop_packet("INIT ACK with a malformed parameter");
        };
        // RFC 9260 §3.3.3: the association is destroyed, with an ABORT. Without a tag of the peer's it is reflected.
        if init.initiate_tag == 0 {
            let what = "INIT ACK with tag 0";
            self.control.push(Control::Abort {
                tag: self.local.tag,
                reflected: true,
                fault: Some(Fault::ProtocolViolation(what)),
            });
            return self.end(now, CloseReason::RemoteViolation(what));
        }
        // RFC 9260 §3.3.3: a window below 1500 is refused, and "MUST NOT change the state of any existing association".
        if init.a_rwnd < MIN_WINDOW {
            let fault = Some(Fault::InvalidMandatoryParameter);
            let abort = Control::Abort { tag: init.initiate_tag, reflected: false, fault };
            return self.answer_stranger(now, abort);
        }
        let fault = if init.outbound_streams == 0 || init.inbound_streams == 0 {
            Some((Fault::InvalidMandatoryParameter, "INIT ACK without streams"))
        } else if offer.host_name {
            Some((Fault::UnresolvableAddress, "INIT ACK with a host name"))
        } else if offer.cookie.is_none_or(<[u8]>::is_empty) {
            Some((Fault::MissingCookie, "INIT ACK without a cookie"))
        } else if offer.cookie.is_some_and(|cookie| cookie.len() > self.config.limits.peer_cookie_size) {
            self.counters.oversized_cookies += 1;
            Some((Fault::InvalidMandatoryParameter, "cookie too large"))
        } else {
            None
        };
        if let Some((fault, what)) = fault {
            self.control.push(Control::Abort {
                tag: init.initiate_tag,
                reflected: false,
                fault: Some(fault),
            });
            return self.end(now, CloseReason::RemoteViolation(what));
        }
        let tie_tags = TieTags::random(&mut self.random.generator());
        let tcb = self.agree(init, self.local, self.capabilities(&offer), tie_tags);
        let cookie = Bytes::copy_from_slice(offer.cookie.unwrap_or_default());
        let t1 = self.start_t1(now);
        self.change(Phase::CookieEchoed { t1, again, tcb, cookie }, "INIT ACK");
        self.control.push_first(Control::CookieEcho);
        // RFC 9260 §3.2.2: what was not recognized is reported behind the COOKIE ECHO.
        if !offer.unrecognized.is_empty() {
            self.control.push(Control::Error(Fault::UnrecognizedParameters(joined(&offer.unrecognized))));
        }
    }

    /// What both sides have, of two INITs (RFC 9260 §5.1.1).
    fn agree(&self, init: &Init<'_>, local: LocalInit, capabilities: Capabilities, tie_tags: TieTags) -> Tcb {
        Tcb {
            local_tag: local.tag,
            peer_tag: init.initiate_tag,
            local_tsn: local.tsn,
            peer_tsn: init.initial_tsn,
            peer_window: init.a_rwnd,
            outgoing_streams: self.config.outgoing_streams.min(init.inbound_streams),
            incoming_streams: self.config.incoming_streams.min(init.outbound_streams),
            capabilities,
            tie_tags,
        }
    }

    fn seal_cookie(&self, now: Instant, tcb: &Tcb) -> Bytes {
        self.jar.seal(&Cookie {
            created: self.jar.age(now),
            local_port: self.config.local_port,
            remote_port: self.config.remote_port,
            local_tag: tcb.local_tag,
            peer_tag: tcb.peer_tag,
            local_tsn: tcb.local_tsn.0,
            peer_tsn: tcb.peer_tsn.0,
            peer_window: tcb.peer_window,
            outgoing_streams: tcb.outgoing_streams,
            incoming_streams: tcb.incoming_streams,
            tie_tags: tcb.tie_tags,
            capabilities: tcb.capabilities,
        })
    }

    /// None: a parameter with an impossible value, or too many. Of one that comes more than once the first counts.
    fn read_offer<'a>(&mut self, parameters: &Parameters<'a>) -> Option<Offer<'a>> {
        let mut offer = Offer::default();
        for (count, parameter) in parameters.iter().enumerate() {
            if count >= self.config.limits.init_parameters {
                self.counters.crowded_inits += 1;
                return None;
            }
            match parameter.ok()? {
                Parameter::StateCookie(cookie) => offer.cookie = offer.cookie.or(Some(cookie)),
                Parameter::HostName(_) => offer.host_name = true,
                Parameter::ZeroChecksumAcceptable(method) => {
                    offer.error_detection = offer.error_detection.or(Some(method));
                }
                Parameter::ForwardTsnSupported => offer.forward_tsn = true,
                Parameter::SupportedExtensions(types) => offer.extensions = offer.extensions.or(Some(types)),
                Parameter::Unknown(unknown) => offer.note_unknown(&unknown),
                // RFC 8261 §6.1: one path, the DTLS connection; addresses mean nothing. ECN is not used.
                Parameter::Ipv4(_)
                | Parameter::Ipv6(_)
                | Parameter::Unrecognized(_)
                | Parameter::CookiePreservative(_)
                | Parameter::SupportedAddressTypes(_)
                | Parameter::EcnCapable => {}
            }
        }
        Some(offer)
    }

    /// What both sides have: what the peer offers, as far as the configuration wants it.
    fn capabilities(&self, offer: &Offer<'_>) -> Capabilities {
        let lists = |kind| offer.extensions.is_some_and(|types| types.contains(&kind));
        let interleaving = self.config.interleaving && lists(I_DATA);
        // Some stacks tell by the list alone that they know FORWARD TSN; RFC 5061 §4.2.7: "The sender MUST support both the
        // sending and the receiving of any chunk types listed".
        let skips = offer.forward_tsn || lists(FORWARD_TSN);
        // RFC 8260 §2.3.1: "The partial reliability extension is negotiated and can be used in combination with user
        // message interleaving only if both endpoints indicated their support of user message interleaving and the
        // I-FORWARD-TSN chunk."
        let skips_interleaved = !interleaving || lists(I_FORWARD_TSN);
        Capabilities {
            zero_checksum: self.config.zero_checksum && offer.error_detection == Some(EDMID_DTLS),
            reconfig: lists(RE_CONFIG),
            partial_reliability: self.config.partial_reliability && skips && skips_interleaved,
            interleaving,
        }
    }
}

impl Offer<'_> {
    fn note_unknown(&mut self, unknown: &Unknown<'_>) {
        let held = self.unrecognized.iter().map(Bytes::len).sum::<usize>();
        if unknown.action().reports() && held.saturating_add(unknown.value.len()) <= MAX_REPORTED {
            let mut whole = BytesMut::new();
            unknown.write(&mut whole);
            self.unrecognized.push(whole.freeze());
        }
    }
}

/// The parameters of our INIT and INIT ACK beside the cookie and reports.
pub(super) fn our_parameters<'a>(
    config: &Config,
    announces_zero_checksum: bool,
) -> impl Iterator<Item = Parameter<'a>> + use<'a> {
    // RFC 9653: packets without a checksum are welcome, DTLS has checked them.
    let zero_checksum = announces_zero_checksum.then_some(Parameter::ZeroChecksumAcceptable(EDMID_DTLS));
    let forward_tsn = config.partial_reliability.then_some(Parameter::ForwardTsnSupported);
    // RFC 5061 §4.2.7: the chunk types beyond RFC 9260 that are welcome.
    let extensions: &[u8] = match (config.partial_reliability, config.interleaving) {
        (false, false) => &[RE_CONFIG],
        (true, false) => &[RE_CONFIG, FORWARD_TSN],
        (false, true) => &[RE_CONFIG, I_DATA],
        (true, true) => &[RE_CONFIG, FORWARD_TSN, I_DATA, I_FORWARD_TSN],
    };
    let extensions = Parameter::SupportedExtensions(extensions);
    zero_checksum.into_iter().chain(forward_tsn).chain([extensions])
}

/// Parameters one after another, each with its padding.
fn joined(parameters: &[Bytes]) -> Bytes {
    let mut bytes = BytesMut::new();
    for parameter in parameters {
        bytes.put_bytes(0, bytes.len().next_multiple_of(4).saturating_sub(bytes.len()));
        bytes.put_slice(parameter);
    }
    bytes.freeze()
}

/// RFC 9260 §3.3.2: "The Advertised Receiver Window Credit MUST NOT be smaller than 1500."
const MIN_WINDOW: u32 = 1500;
/// Bytes of unrecognized parameters that are reported.
const MAX_REPORTED: usize = 256;
/// RFC 9653: the error detection method "SCTP over DTLS".
const EDMID_DTLS: u32 = 1;
/// RFC 8260 §2.1.
const I_DATA: u8 = 64;
/// RFC 6525 §3.1.
const RE_CONFIG: u8 = 130;
/// RFC 3758 §3.2.
const FORWARD_TSN: u8 = 192;
/// RFC 8260 §2.3.1.
const I_FORWARD_TSN: u8 = 194;
