//! A reader of pcapng files that shares nothing with the writer; after draft-ietf-opsawg-pcapng.
#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]
#![allow(dead_code, reason = "each test binary uses its part")]

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// A file of one section.
#[derive(Debug, Default)]
pub struct File {
    pub comment: String,
    pub interfaces: Vec<Interface>,
    pub blocks: Vec<Block>,
    /// Bytes behind the last whole block.
    pub rest: usize,
}

#[derive(Debug, PartialEq, Eq)]
pub struct Interface {
    pub name: String,
    pub link_type: u16,
    /// Of the unit of time, as a negative power of ten.
    pub resolution: u8,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Block {
    Secrets(String),
    Packet(Packet),
    /// Interface and number.
    Dropped(u32, u64),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packet {
    pub interface: u32,
    pub time: u64,
    /// 1: inbound, 2: outbound.
    pub direction: u32,
    pub data: Vec<u8>,
}

/// What is in an IP packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Content<'a> {
    pub source: IpAddr,
    pub destination: IpAddr,
    pub protocol: u8,
    pub payload: &'a [u8],
}

impl File {
    pub fn read(mut bytes: &[u8]) -> Self {
        let mut file = Self::default();
        let mut is_first = true;
        while let Some((kind, body, rest)) = split_block(bytes) {
            assert_eq!(kind == 0x0a0d_0d0a, is_first, "one section header, at the beginning");
            is_first = false;
            file.take(kind, body);
            bytes = rest;
        }
        file.rest = bytes.len();
        file
    }

    pub fn packets(&self, interface: u32) -> impl Iterator<Item = &Packet> {
        self.blocks.iter().filter_map(move |block| match block {
            Block::Packet(packet) if packet.interface == interface => Some(packet),
            _ => None,
        })
    }

    pub fn secrets(&self) -> Vec<&str> {
        let secrets = self.blocks.iter().filter_map(|block| match block {
            Block::Secrets(line) => Some(line.as_str()),
            _ => None,
        });
        secrets.collect()
    }

    fn take(&mut self, kind: u32, body: &[u8]) {
        match kind {
            0x0a0d_0d0a => {
                assert_eq!(body[..8], [0x4d, 0x3c, 0x2b, 0x1a, 1, 0, 0, 0], "little-endian, version 1.0");
                self.comment = text(&options(&body[16..]), 1);
            }
            1 => {
                let options = options(&body[8..]);
                let resolution = options.iter().find(|(code, _)| *code == 9).unwrap().1[0];
                let link_type = u16::from_le_bytes([body[0], body[1]]);
                self.interfaces.push(Interface { name: text(&options, 2), link_type, resolution });
            }
            5 => {
                let options = options(&body[12..]);
                let dropped = &options.iter().find(|(code, _)| *code == 5).unwrap().1;
                self.blocks.push(Block::Dropped(
                    u32_at(body, 0),
                    u64::from_le_bytes(dropped[..].try_into().unwrap()),
                ));
            }
            6 => self.blocks.push(Block::Packet(packet(body))),
            10 => {
                assert_eq!(u32_at(body, 0), 0x544c_534b, "a TLS key log");
                let len = u32_at(body, 4) as usize;
                let line = String::from_utf8(body[8..8 + len].to_vec()).unwrap();
                self.blocks.push(Block::Secrets(line.strip_suffix('\n').unwrap().to_owned()));
            }
            kind => panic!("block type {kind}"),
        }
    }
}

/// Type, body, and what follows the block; `None` when there is no whole one.
fn split_block(bytes: &[u8]) -> Option<(u32, &[u8], &[u8])> {
    if bytes.len() < 12 {
        return None;
    }
    let len = u32_at(bytes, 4) as usize;
    assert!(len >= 12 && len.is_multiple_of(4), "block of {len} bytes");
    let (block, rest) = bytes.split_at_checked(len)?;
    assert_eq!(u32_at(block, len - 4) as usize, len, "both lengths are equal");
    Some((u32_at(block, 0), &block[8..len - 4], rest))
}

fn packet(body: &[u8]) -> Packet {
    let len = u32_at(body, 12) as usize;
    assert_eq!(u32_at(body, 16) as usize, len, "nothing is cut off");
    let options = options(&body[20 + len.next_multiple_of(4)..]);
    let flags = &options.iter().find(|(code, _)| *code == 2).unwrap().1;
    Packet {
        interface: u32_at(body, 0),
        time: u64::from(u32_at(body, 4)) << 32 | u64::from(u32_at(body, 8)),
        direction: u32_at(flags, 0) & 3,
        data: body[20..20 + len].to_vec(),
    }
}

fn options(mut bytes: &[u8]) -> Vec<(u16, Vec<u8>)> {
    let mut options = Vec::new();
    loop {
        let code = u16::from_le_bytes([bytes[0], bytes[1]]);
        let len = usize::from(u16::from_le_bytes([bytes[2], bytes[3]]));
        if code == 0 {
            assert_eq!((len, bytes.len()), (0, 4), "the end of options is the end of the block");
            return options;
        }
        options.push((code, bytes[4..4 + len].to_vec()));
        bytes = &bytes[4 + len.next_multiple_of(4)..];
    }
}

fn text(options: &[(u16, Vec<u8>)], wanted: u16) -> String {
    let (_, value) = options.iter().find(|(code, _)| *code == wanted).unwrap();
    String::from_utf8(value.clone()).unwrap()
}

impl Packet {
    /// Takes the IP header off, whose lengths and checksum must be right.
    pub fn content(&self) -> Content<'_> {
        let data = &self.data;
        match data[0] >> 4 {
            4 => {
                assert_eq!(data[0] & 15, 5, "no options");
                assert_eq!(usize::from(u16_at(data, 2)), data.len());
                assert_eq!(sum(&data[..20]), 0xffff, "the checksum is right");
                let address =
                    |at: usize| Ipv4Addr::new(data[at], data[at + 1], data[at + 2], data[at + 3]).into();
                let payload = &data[20..];
                Content { source: address(12), destination: address(16), protocol: data[9], payload }
            }
            6 => {
                assert_eq!(usize::from(u16_at(data, 4)), data.len() - 40);
                let address =
                    |at: usize| Ipv6Addr::from(<[u8; 16]>::try_from(&data[at..at + 16]).unwrap()).into();
                let payload = &data[40..];
                Content { source: address(8), destination: address(24), protocol: data[6], payload }
            }
            version => panic!("IP version {version}"),
        }
    }
}

impl<'a> Content<'a> {
    /// Takes the UDP header off: source, destination, payload.
    pub fn udp(&self) -> (SocketAddr, SocketAddr, &'a [u8]) {
        assert_eq!(self.protocol, 17);
        assert_eq!(usize::from(u16_at(self.payload, 4)), self.payload.len());
        let len = u16_at(self.payload, 4).to_be_bytes();
        let mut summed = vec![0, 17, len[0], len[1]];
        for address in [self.source, self.destination] {
            match address {
                IpAddr::V4(address) => summed.extend(address.octets()),
                IpAddr::V6(address) => summed.extend(address.octets()),
            }
        }
        summed.extend(self.payload);
        assert_eq!(sum(&summed), 0xffff, "the checksum is right");
        let source = SocketAddr::new(self.source, u16_at(self.payload, 0));
        (source, SocketAddr::new(self.destination, u16_at(self.payload, 2)), &self.payload[8..])
    }
}

/// The sum of RFC 1071, not inverted.
fn sum(bytes: &[u8]) -> u32 {
    let words = bytes.chunks(2).map(|word| u32::from(word[0]) << 8 | u32::from(*word.get(1).unwrap_or(&0)));
    words.fold(0, |sum, word| {
        let sum = sum + word;
        (sum & 0xffff) + (sum >> 16)
    })
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_be_bytes([bytes[at], bytes[at + 1]])
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap())
}
