//! STUN messages made and read by a codec of its own (RFC 8489 §5, §14; RFC 8445 §16), so that everything about them can be
//! wrong.
#![allow(dead_code, reason = "each test binary uses its part")]

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha1::Sha1;
use std::net::{IpAddr, SocketAddr};

pub const REQUEST: u16 = 0x0001;
pub const INDICATION: u16 = 0x0011;
pub const SUCCESS: u16 = 0x0101;
pub const ERROR: u16 = 0x0111;

pub const USERNAME: u16 = 0x0006;
pub const MESSAGE_INTEGRITY: u16 = 0x0008;
pub const ERROR_CODE: u16 = 0x0009;
pub const UNKNOWN_ATTRIBUTES: u16 = 0x000a;
pub const MESSAGE_INTEGRITY_SHA256: u16 = 0x001c;
pub const XOR_MAPPED_ADDRESS: u16 = 0x0020;
pub const PRIORITY: u16 = 0x0024;
pub const USE_CANDIDATE: u16 = 0x0025;
pub const FINGERPRINT: u16 = 0x8028;
pub const ICE_CONTROLLED: u16 = 0x8029;
pub const ICE_CONTROLLING: u16 = 0x802a;

const MAGIC: [u8; 4] = [0x21, 0x12, 0xa4, 0x42];

/// A message under construction: what is appended is covered by what is appended later.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stun(pub Vec<u8>);

impl Stun {
    pub fn new(kind: u16, id: [u8; 12]) -> Self {
        Self([&kind.to_be_bytes()[..], &[0; 2], &MAGIC, &id].concat())
    }

    pub fn with(mut self, kind: u16, value: &[u8]) -> Self {
        self.0.extend(kind.to_be_bytes());
        self.0.extend(u16::try_from(value.len()).unwrap().to_be_bytes());
        self.0.extend(value);
        self.0.resize(self.0.len().next_multiple_of(4), 0);
        let len = self.0.len() - 20;
        self.set_length(len);
        self
    }

    /// MESSAGE-INTEGRITY (RFC 8489 §14.5): HMAC-SHA1 with the length as if it were there.
    pub fn sealed(mut self, password: &str) -> Self {
        let len = self.0.len() - 20 + 24;
        self.set_length(len);
        let mut hmac = Hmac::<Sha1>::new_from_slice(password.as_bytes()).unwrap();
        hmac.update(&self.0);
        let tag = hmac.finalize().into_bytes();
        self.with(MESSAGE_INTEGRITY, &tag)
    }

    /// FINGERPRINT (RFC 8489 §14.7).
    pub fn fingerprinted(mut self) -> Self {
        let len = self.0.len() - 20 + 8;
        self.set_length(len);
        let crc = crc32(&self.0) ^ 0x5354_554e;
        self.with(FINGERPRINT, &crc.to_be_bytes())
    }

    pub fn set_length(&mut self, len: usize) {
        self.0[2..4].copy_from_slice(&u16::try_from(len).unwrap().to_be_bytes());
    }

    pub fn kind(&self) -> u16 {
        u16::from_be_bytes([self.0[0], self.0[1]])
    }

    pub fn id(&self) -> [u8; 12] {
        self.0[8..20].try_into().unwrap()
    }

    pub fn attributes(&self) -> Vec<(u16, Vec<u8>)> {
        let mut attributes = Vec::new();
        let mut rest = &self.0[20..];
        while let [k0, k1, l0, l1, ..] = *rest {
            let len = usize::from(u16::from_be_bytes([l0, l1]));
            attributes.push((u16::from_be_bytes([k0, k1]), rest[4..4 + len].to_vec()));
            rest = &rest[4 + len.next_multiple_of(4)..];
        }
        attributes
    }

    pub fn attribute(&self, kind: u16) -> Option<Vec<u8>> {
        self.attributes().into_iter().find(|(other, _)| *other == kind).map(|(_, value)| value)
    }

    /// The code of an error response (RFC 8489 §14.8).
    pub fn code(&self) -> Option<u16> {
        let value = self.attribute(ERROR_CODE)?;
        Some(u16::from(value[2] & 7) * 100 + u16::from(value[3]))
    }
}

/// XOR-MAPPED-ADDRESS (RFC 8489 §14.2) of an IPv4 address.
pub fn xor_mapped(address: SocketAddr) -> Vec<u8> {
    let IpAddr::V4(ip) = address.ip() else { panic!("IPv4") };
    let mut value = vec![0, 1];
    value.extend((address.port() ^ 0x2112).to_be_bytes());
    value.extend(ip.octets().iter().zip(MAGIC).map(|(byte, mask)| byte ^ mask));
    value
}

/// The CRC-32 of ITU V.42, bit by bit.
fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { (crc >> 1) ^ 0xedb8_8320 } else { crc >> 1 };
        }
    }
    !crc
}
