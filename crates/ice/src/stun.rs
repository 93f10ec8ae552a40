//! STUN Binding messages as ICE uses them (RFC 8489, RFC 8445 §7); the one file that names `stun_codec`.
//!
//! A received message goes through three gates: [`Scanned`] walks the raw attributes within fixed bounds, `authenticate`
//! verifies the HMAC over the received bytes, and only then does `stun_codec` decode. (It encodes all preceding
//! attributes anew for each integrity attribute that it meets; the scan bounds that to one small message.)
#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use crate::Role;
use bytecodec::{DecodeExt as _, EncodeExt as _};
use bytes::BytesMut;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha1::Sha1;
use std::net::SocketAddr;
use stun_codec::rfc5245::attributes::{IceControlled, IceControlling, Priority, UseCandidate};
use stun_codec::rfc5389::attributes::{
    ErrorCode, Fingerprint, MessageIntegrity, UnknownAttributes, Username, XorMappedAddress,
};
use stun_codec::rfc5389::methods::BINDING;
use stun_codec::{AttributeType, Message, MessageClass, MessageDecoder, MessageEncoder};

/// The local fragment (before the colon) of the USERNAME of a Binding request.
///
/// Nothing is authenticated: it serves to find the agent that can tell. `None` for anything but a well-formed request
/// with a USERNAME.
pub fn local_ufrag(datagram: &[u8]) -> Option<&str> {
    let scanned = Scanned::scan(datagram).ok()?;
    if scanned.class != Class::Request {
        return None;
    }
    Some(scanned.username?.split_once(':')?.0)
}

/// 96 random bits that tie a response to its request.
pub(crate) type TransactionId = [u8; 12];

/// RFC 8489 §5: the class of a Binding message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    Request,
    Indication,
    Success,
    Error,
}

/// Why a datagram is no message for us.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum StunError {
    #[error("{len} bytes are no STUN message")]
    Size { len: usize },
    #[error("no STUN header, or a length field that does not fit")]
    Header,
    #[error("method is not Binding")]
    Method,
    #[error("an attribute is cut off, too long or too short")]
    Attribute,
    #[error("more than {MAX_ATTRIBUTES} attributes")]
    TooManyAttributes,
    #[error("integrity or fingerprint is repeated or misplaced")]
    Misplaced,
    #[error("no MESSAGE-INTEGRITY")]
    NoIntegrity,
    #[error("MESSAGE-INTEGRITY does not match")]
    WrongIntegrity,
    #[error("an attribute or the fingerprint does not decode")]
    Undecodable,
}

/// A message whose structure is sound; nothing of it is believed yet.
#[derive(Clone, Debug)]
pub(crate) struct Scanned<'a> {
    pub(crate) class: Class,
    pub(crate) transaction_id: TransactionId,
    /// The first USERNAME before MESSAGE-INTEGRITY.
    pub(crate) username: Option<&'a str>,
    datagram: &'a [u8],
    /// Where MESSAGE-INTEGRITY begins, and its value.
    integrity: Option<(usize, &'a [u8])>,
    /// Comprehension-required types before MESSAGE-INTEGRITY that nobody knows here.
    unknown: Vec<u16>,
}

impl<'a> Scanned<'a> {
    pub(crate) fn scan(datagram: &'a [u8]) -> Result<Self, StunError> {
        let len = datagram.len();
        if !(HEADER_LEN..=MAX_MESSAGE).contains(&len) {
            return Err(StunError::Size { len });
        }
        let mut scanned = Self::scan_header(datagram)?;
        let mut offset = HEADER_LEN;
        let mut count = 0_usize;
        let mut fingerprint_seen = false;
        while offset < len {
            // RFC 8489 §14.7: FINGERPRINT "MUST be the last attribute in the message".
            if fingerprint_seen {
                return Err(StunError::Misplaced);
            }
            count = count.saturating_add(1);
            if count > MAX_ATTRIBUTES {
                return Err(StunError::TooManyAttributes);
            }
            let attribute = RawAttribute::at(datagram, offset).ok_or(StunError::Attribute)?;
            fingerprint_seen = attribute.kind == Fingerprint::CODEPOINT;
            scanned.take(&attribute, offset)?;
            offset = attribute.end;
        }
        Ok(scanned)
    }

    fn scan_header(datagram: &'a [u8]) -> Result<Self, StunError> {
        let kind = read_u16(datagram, 0).ok_or(StunError::Header)?;
        let length = read_u16(datagram, 2).ok_or(StunError::Header)?;
        let transaction_id = datagram.get(8..HEADER_LEN).and_then(|id| id.try_into().ok());
        let is_stun = datagram.get(4..8) == Some(&MAGIC_COOKIE)
            && kind >> 14 == 0
            && length % 4 == 0
            && Some(usize::from(length)) == datagram.len().checked_sub(HEADER_LEN);
        let (true, Some(transaction_id)) = (is_stun, transaction_id) else {
            return Err(StunError::Header);
        };
        let class = match kind {
            0x0001 => Class::Request,
            0x0011 => Class::Indication,
            0x0101 => Class::Success,
            0x0111 => Class::Error,
            _ => return Err(StunError::Method),
        };
        Ok(Self { class, transaction_id, username: None, datagram, integrity: None, unknown: Vec::new() })
    }

    fn take(&mut self, attribute: &RawAttribute<'a>, offset: usize) -> Result<(), StunError> {
        match attribute.kind {
            MessageIntegrity::CODEPOINT => {
                if self.integrity.is_some() {
                    return Err(StunError::Misplaced);
                }
                if attribute.value.len() != INTEGRITY_LEN {
                    return Err(StunError::Attribute);
                }
                self.integrity = Some((offset, attribute.value));
            }
            Fingerprint::CODEPOINT if attribute.value.len() != 4 => return Err(StunError::Attribute),
            // RFC 8489 §14.5: "agents MUST ignore all attributes that follow MESSAGE-INTEGRITY"
            _ if self.integrity.is_some() => {}
            Username::CODEPOINT if self.username.is_none() => {
                let name = std::str::from_utf8(attribute.value).map_err(|_| StunError::Attribute)?;
                self.username = Some(name);
            }
            kind if AttributeType::new(kind).is_comprehension_required()
                && !COMPREHENDED.contains(&kind)
                && self.unknown.len() < MAX_UNKNOWN =>
            {
                self.unknown.push(kind);
            }
            _ => {}
        }
        Ok(())
    }

    /// Verifies MESSAGE-INTEGRITY over the received bytes, in constant time, and decodes what it covers.
    pub(crate) fn authenticate(self, password: &str) -> Result<Authenticated, StunError> {
        let (offset, tag) = self.integrity.ok_or(StunError::NoIntegrity)?;
        let (header, rest) = self
            .datagram
            .get(..offset)
            .and_then(|covered| covered.split_at_checked(4))
            .ok_or(StunError::Header)?;
        // RFC 8489 §14.5: the length field counts up to the end of MESSAGE-INTEGRITY.
        let length = offset
            .checked_sub(HEADER_LEN)
            .and_then(|length| length.checked_add(4 + INTEGRITY_LEN))
            .and_then(|length| u16::try_from(length).ok())
            .ok_or(StunError::Header)?;
        let mut hmac =
            Hmac::<Sha1>::new_from_slice(password.as_bytes()).map_err(|_| StunError::WrongIntegrity)?;
        hmac.update(header.get(..2).unwrap_or_default());
        hmac.update(&length.to_be_bytes());
        hmac.update(rest);
        hmac.verify_slice(tag).map_err(|_| StunError::WrongIntegrity)?;
        self.decode()
    }

    pub(crate) fn decode(self) -> Result<Authenticated, StunError> {
        let decoded = MessageDecoder::<Attribute>::new().decode_from_bytes(self.datagram);
        let Ok(Ok(message)) = decoded else {
            return Err(StunError::Undecodable);
        };
        let mut attributes = Attributes::default();
        for attribute in message.attributes() {
            if let Attribute::MessageIntegrity(_) = attribute {
                break;
            }
            attributes.take(attribute);
        }
        Ok(Authenticated { attributes, unknown: self.unknown })
    }
}

/// A message that came from someone who knows the password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Authenticated {
    pub(crate) attributes: Attributes,
    /// Unknown comprehension-required attributes: a request gets 420, a response is discarded (RFC 8489 §6.3).
    pub(crate) unknown: Vec<u16>,
}

/// What the integrity of a message covers; of repeated attributes only the first counts (RFC 8489 §14).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Attributes {
    pub(crate) priority: Option<u32>,
    pub(crate) use_candidate: bool,
    pub(crate) controlling: Option<u64>,
    pub(crate) controlled: Option<u64>,
    pub(crate) mapped_address: Option<SocketAddr>,
    pub(crate) error_code: Option<u16>,
}

impl Attributes {
    fn take(&mut self, attribute: &Attribute) {
        match attribute {
            Attribute::Priority(priority) => _ = self.priority.get_or_insert(priority.prio()),
            Attribute::UseCandidate(_) => self.use_candidate = true,
            Attribute::IceControlling(role) => _ = self.controlling.get_or_insert(role.prio()),
            Attribute::IceControlled(role) => _ = self.controlled.get_or_insert(role.prio()),
            Attribute::XorMappedAddress(mapped) => _ = self.mapped_address.get_or_insert(mapped.address()),
            Attribute::ErrorCode(error) => _ = self.error_code.get_or_insert(error.code()),
            Attribute::Username(_)
            | Attribute::MessageIntegrity(_)
            | Attribute::UnknownAttributes(_)
            | Attribute::Fingerprint(_) => {}
        }
    }
}

/// A Binding request to send (RFC 8445 §7.2.2).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Request<'a> {
    pub(crate) transaction_id: TransactionId,
    /// Fragment of the one who answers.
    pub(crate) remote_ufrag: &'a str,
    /// Fragment of the one who asks.
    pub(crate) local_ufrag: &'a str,
    /// Priority that a peer-reflexive candidate learnt from this request would get.
    pub(crate) priority: u32,
    pub(crate) role: Role,
    pub(crate) tie_breaker: u64,
    pub(crate) use_candidate: bool,
}

impl Request<'_> {
    /// Appends the request, sealed with the password of the one who answers. Answers false, with nothing appended, if
    /// the fragments are too long for a USERNAME.
    pub(crate) fn write(&self, password: &str, buffer: &mut BytesMut) -> bool {
        let Ok(username) = Username::new(format!("{}:{}", self.remote_ufrag, self.local_ufrag)) else {
            return false;
        };
        let mut message = new_message(MessageClass::Request, self.transaction_id);
        message.add_attribute(username);
        message.add_attribute(Priority::new(self.priority));
        match self.role {
            Role::Controlling => message.add_attribute(IceControlling::new(self.tie_breaker)),
            Role::Controlled => message.add_attribute(IceControlled::new(self.tie_breaker)),
        }
        if self.use_candidate {
            message.add_attribute(UseCandidate::new());
        }
        seal(message, password, buffer)
    }
}

/// Appends a success response (RFC 8445 §7.3): `mapped` is where the request came from.
pub(crate) fn write_success(
    id: TransactionId,
    mapped: SocketAddr,
    password: &str,
    buffer: &mut BytesMut,
) -> bool {
    let mut message = new_message(MessageClass::SuccessResponse, id);
    message.add_attribute(XorMappedAddress::new(mapped));
    seal(message, password, buffer)
}

/// Appends an error response; `unknown` goes with [`UNKNOWN_ATTRIBUTE`].
pub(crate) fn write_error(
    id: TransactionId,
    code: u16,
    unknown: &[u16],
    password: &str,
    buffer: &mut BytesMut,
) -> bool {
    let reason = match code {
        ROLE_CONFLICT => "Role Conflict",
        UNKNOWN_ATTRIBUTE => "Unknown Attribute",
        _ => "",
    };
    let Ok(error) = ErrorCode::new(code, reason.to_owned()) else {
        return false;
    };
    let mut message = new_message(MessageClass::ErrorResponse, id);
    message.add_attribute(error);
    if !unknown.is_empty() {
        let unknown = unknown.iter().map(|&kind| AttributeType::new(kind)).collect();
        message.add_attribute(UnknownAttributes::new(unknown));
    }
    seal(message, password, buffer)
}

fn new_message(class: MessageClass, id: TransactionId) -> Message<Attribute> {
    Message::new(class, BINDING, stun_codec::TransactionId::new(id))
}

/// Adds MESSAGE-INTEGRITY and FINGERPRINT and appends the encoded message.
fn seal(mut message: Message<Attribute>, password: &str, buffer: &mut BytesMut) -> bool {
    let Ok(integrity) = MessageIntegrity::new_short_term_credential(&message, password) else {
        return false;
    };
    message.add_attribute(integrity);
    let Ok(fingerprint) = Fingerprint::new(&message) else {
        return false;
    };
    message.add_attribute(fingerprint);
    let Ok(bytes) = MessageEncoder::new().encode_into_bytes(message) else {
        return false;
    };
    buffer.extend_from_slice(&bytes);
    true
}

/// An attribute in place.
#[derive(Clone, Copy, Debug)]
struct RawAttribute<'a> {
    kind: u16,
    value: &'a [u8],
    /// Offset behind its padding.
    end: usize,
}

impl<'a> RawAttribute<'a> {
    fn at(datagram: &'a [u8], offset: usize) -> Option<Self> {
        let kind = read_u16(datagram, offset)?;
        let len = usize::from(read_u16(datagram, offset.checked_add(2)?)?);
        let start = offset.checked_add(4)?;
        let value = datagram.get(start..start.checked_add(len)?)?;
        let end = start.checked_add(len.checked_next_multiple_of(4)?)?;
        (end <= datagram.len()).then_some(Self { kind, value, end })
    }
}

fn read_u16(bytes: &[u8], offset: usize) -> Option<u16> {
    bytes.get(offset..offset.checked_add(2)?)?.try_into().ok().map(u16::from_be_bytes)
}

/// The attributes of [`Attributes`] and those around them, with decoder and encoder.
mod attribute {
    use super::{
        ErrorCode, Fingerprint, IceControlled, IceControlling, MessageIntegrity, Priority, UnknownAttributes,
        UseCandidate, Username, XorMappedAddress,
    };
    stun_codec::define_attribute_enums!(
        Attribute,
        AttributeDecoder,
        AttributeEncoder,
        [
            Username,
            MessageIntegrity,
            ErrorCode,
            UnknownAttributes,
            XorMappedAddress,
            Priority,
            UseCandidate,
            IceControlled,
            IceControlling,
            Fingerprint
        ]
    );
}
use attribute::Attribute;

/// RFC 8445 §7.3.1.1.
pub(crate) const ROLE_CONFLICT: u16 = 487;
/// RFC 7675 §5.2.
pub(crate) const FORBIDDEN: u16 = 403;
/// RFC 8489 §6.3.1.
pub(crate) const UNKNOWN_ATTRIBUTE: u16 = 420;

/// Comprehension-required attributes that do not make a request unintelligible: those decoded, and those of RFC 8489
/// that have no meaning with short-term credentials and are skipped (MAPPED-ADDRESS, REALM, NONCE).
const COMPREHENDED: [u16; 10] = [
    Username::CODEPOINT,
    MessageIntegrity::CODEPOINT,
    ErrorCode::CODEPOINT,
    UnknownAttributes::CODEPOINT,
    XorMappedAddress::CODEPOINT,
    Priority::CODEPOINT,
    UseCandidate::CODEPOINT,
    0x0001,
    0x0014,
    0x0015,
];

/// RFC 8489 §5.
const MAGIC_COOKIE: [u8; 4] = [0x21, 0x12, 0xA4, 0x42];
/// RFC 8489 §5.
const HEADER_LEN: usize = 20;
/// RFC 8489 §14.5: HMAC-SHA1.
const INTEGRITY_LEN: usize = 20;
/// Largest message read, in bytes; none of ICE comes near it.
const MAX_MESSAGE: usize = 1500;
/// Most attributes read; browsers send up to ten.
const MAX_ATTRIBUTES: usize = 32;
/// Most types listed in a 420 response.
const MAX_UNKNOWN: usize = 8;

#[cfg(test)]
#[allow(clippy::indexing_slicing, clippy::arithmetic_side_effects, reason = "a panic is a failed test")]
#[path = "tests/stun.rs"]
mod tests;
