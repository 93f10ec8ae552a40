//! Encoding and decoding of every type (RFC 9260 §3), and packets that other stacks sent.

use crate::raw_sctp::*;
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha12Rng;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use straits_sctp::{Config, fuzzing};

/// Random values of chunks, in the one form a sender writes them in.
struct Random(ChaCha12Rng);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0.random_range(0..end)
    }

    fn bytes(&mut self, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        self.0.fill_bytes(&mut bytes);
        bytes
    }

    /// Up to 40 bytes.
    fn any_bytes(&mut self) -> Vec<u8> {
        let len = self.below(40);
        self.bytes(len)
    }

    /// So many items of a length, up to 12.
    fn items(&mut self, len: usize) -> Vec<u8> {
        let count = self.below(12);
        self.bytes(count * len)
    }

    fn parameter(&mut self) -> Vec<u8> {
        let unknown = 0x8010 | (self.below(0x10000) as u16 & 0xBFFF);
        let (kind, value) = match self.below(12) {
            0 => (5, self.bytes(4)),
            1 => (6, self.bytes(16)),
            2 => (7, self.any_bytes()),
            3 => (8, self.any_bytes()),
            4 => (9, self.bytes(4)),
            5 => (11, self.any_bytes()),
            6 => (12, self.items(2)),
            7 => (0x8000, vec![]),
            8 => (ZERO_CHECKSUM_ACCEPTABLE, self.bytes(4)),
            9 => (SUPPORTED_EXTENSIONS, self.any_bytes()),
            10 => (FORWARD_TSN_SUPPORTED, vec![]),
            _ => (unknown, self.any_bytes()),
        };
        tlv(kind, &value)
    }

    fn cause(&mut self) -> Vec<u8> {
        let kind = 1 + self.below(14) as u16;
        let value = match kind {
            1 => [self.bytes(2), vec![0; 2]].concat(),
            2 => {
                let types = self.items(2);
                [(types.len() as u32 / 2).to_be_bytes().to_vec(), types].concat()
            }
            3 | 9 => self.bytes(4),
            4 | 7 | 10 => vec![],
            _ => self.any_bytes(),
        };
        tlv(kind, &value)
    }

    fn reconfig_parameter(&mut self) -> Vec<u8> {
        let kind = 13 + self.below(6) as u16;
        let value = match kind {
            13 => [self.bytes(12), self.items(2)].concat(),
            14 => [self.bytes(4), self.items(2)].concat(),
            15 => self.bytes(4),
            16 => {
                let len = 8 + 8 * self.below(2);
                self.bytes(len)
            }
            _ => [self.bytes(6), vec![0; 2]].concat(),
        };
        tlv(kind, &value)
    }

    fn list(&mut self, most: usize, mut item: impl FnMut(&mut Self) -> Vec<u8>) -> Vec<u8> {
        let count = self.below(most + 1);
        join(&(0..count).map(|_| item(self)).collect::<Vec<_>>())
    }

    fn sack(&mut self) -> Vec<u8> {
        let (gaps, duplicates) = (self.items(4), self.items(4));
        let counts = [&gaps, &duplicates].map(|list| (list.len() as u16 / 4).to_be_bytes()).concat();
        [self.bytes(8), counts, gaps, duplicates].concat()
    }

    fn i_forward_tsn(&mut self) -> Vec<u8> {
        let mut value = self.bytes(4);
        for _ in 0..self.below(12) {
            value.extend([self.bytes(2), vec![0, self.below(2) as u8], self.bytes(4)].concat());
        }
        value
    }

    fn chunk(&mut self, kind: u8) -> Chunk {
        let t = self.below(2) as u8;
        let (flags, value) = match kind {
            DATA => (self.below(16) as u8, [self.bytes(12), self.any_bytes()].concat()),
            I_DATA => {
                let head = [self.bytes(6), vec![0; 2], self.bytes(8)].concat();
                (self.below(16) as u8, [head, self.any_bytes()].concat())
            }
            INIT | INIT_ACK => (0, [self.bytes(16), self.list(9, Self::parameter)].concat()),
            SACK => (0, self.sack()),
            HEARTBEAT | HEARTBEAT_ACK => (0, tlv(1, &self.any_bytes())),
            ABORT => (t, self.list(4, Self::cause)),
            ERROR => (0, self.list(4, Self::cause)),
            SHUTDOWN => (0, self.bytes(4)),
            SHUTDOWN_COMPLETE => (t, vec![]),
            SHUTDOWN_ACK | COOKIE_ACK => (0, vec![]),
            COOKIE_ECHO => (0, self.any_bytes()),
            RE_CONFIG => (0, self.list(3, Self::reconfig_parameter)),
            PAD => (0, vec![0; self.below(40)]),
            FORWARD_TSN => (0, [self.bytes(4), self.items(4)].concat()),
            I_FORWARD_TSN => (0, self.i_forward_tsn()),
            _ => (self.below(256) as u8, self.any_bytes()),
        };
        Chunk::new(kind, flags, &value)
    }
}

/// Types of chunks, by the names in a description; the last ones are types that are not known, to be skipped.
const KINDS: [(u8, &str); 20] = [
    (DATA, "DATA"),
    (INIT, "INIT"),
    (INIT_ACK, "INIT-ACK"),
    (SACK, "SACK"),
    (HEARTBEAT, "HEARTBEAT"),
    (HEARTBEAT_ACK, "HEARTBEAT-ACK"),
    (ABORT, "ABORT"),
    (SHUTDOWN, "SHUTDOWN"),
    (SHUTDOWN_ACK, "SHUTDOWN-ACK"),
    (ERROR, "ERROR"),
    (COOKIE_ECHO, "COOKIE-ECHO"),
    (COOKIE_ACK, "COOKIE-ACK"),
    (SHUTDOWN_COMPLETE, "SHUTDOWN-COMPLETE"),
    (I_DATA, "I-DATA"),
    (RE_CONFIG, "RE-CONFIG"),
    (PAD, "PAD"),
    (FORWARD_TSN, "FORWARD-TSN"),
    (I_FORWARD_TSN, "I-FORWARD-TSN"),
    (0xAF, "unknown"),
    (0xEF, "unknown"),
];

/// RFC 9260 §3: what is read and written again is the same, byte for byte, for every type of chunk, parameter and cause.
#[test]
fn item_030_encoding_and_decoding_are_inverse() {
    let mut random = Random(ChaCha12Rng::seed_from_u64(30));
    for _ in 0..2000 {
        let kinds: Vec<_> = (0..1 + random.below(4)).map(|_| KINDS[random.below(KINDS.len())]).collect();
        let chunks: Vec<Chunk> = kinds.iter().map(|(kind, _)| random.chunk(*kind)).collect();
        let bytes = packet(PORT, 1 + random.below(65_535) as u16, random.0.next_u32(), &chunks);
        let lines = fuzzing::describe(&bytes).expect("a sound packet");
        let names: Vec<&str> = lines.iter().map(|line| line.split(' ').next().unwrap()).collect();
        assert_eq!(names, kinds.iter().map(|(_, name)| *name).collect::<Vec<_>>(), "{chunks:?}");
        assert_eq!(fuzzing::rewrite(&bytes).as_ref(), Some(&bytes), "{lines:?}");
    }
}

/// The same for whatever else comes: of what is understood the second writing is as the first, and nothing panics.
#[test]
fn item_030_damaged_packets_are_read_alike_twice() {
    let mut random = Random(ChaCha12Rng::seed_from_u64(31));
    let mut differs = 0;
    for _ in 0..2000 {
        let kind = KINDS[random.below(KINDS.len())].0;
        let whole = packet(PORT, PORT, 1, &[random.chunk(kind), random.chunk(kind)]);
        let mut damaged = whole.clone();
        for _ in 0..1 + random.below(3) {
            let at = 12 + random.below(damaged.len() - 12);
            damaged[at] = random.0.next_u32() as u8;
        }
        damaged.truncate(16 + random.below(damaged.len() - 15));
        fuzzing::packet(&damaged);
        seal(&mut damaged);
        differs += usize::from(fuzzing::describe(&damaged) != fuzzing::describe(&whole));
    }
    assert!(differs > 1000, "only {differs} were read otherwise than the whole ones");
}

/// A captured packet.
struct Capture {
    /// The stack that sent it.
    stack: String,
    bytes: Vec<u8>,
    /// What another decoder reads in it.
    lines: Vec<String>,
}

fn captures() -> Vec<Capture> {
    let mut stack = "";
    let mut captures: Vec<Capture> = Vec::new();
    for line in include_str!("../../crates/sctp/src/wire/captures.txt").lines() {
        if let Some(name) = line.strip_prefix("# ") {
            stack = name;
        } else if let Some(chunk) = line.strip_prefix("  ") {
            captures.last_mut().expect("a packet before its chunks").lines.push(chunk.to_owned());
        } else if !line.is_empty() {
            captures.push(Capture { stack: stack.to_owned(), bytes: unhex(line), lines: vec![] });
        }
    }
    captures
}

fn unhex(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

/// A list as a description has it: eight items and how many more.
fn few(items: &[String]) -> String {
    let shown = items[..items.len().min(8)].join(",");
    if items.len() > 8 { format!("[{shown},+{}]", items.len() - 8) } else { format!("[{shown}]") }
}

/// A chunk as the raw codec reads it, in the words of the engine's descriptions.
fn read_raw(chunk: &Chunk) -> String {
    let value = &chunk.value[..];
    let name = KINDS.iter().find(|(kind, _)| *kind == chunk.kind).expect("a known type").1;
    let contents = match chunk.kind {
        INIT | INIT_ACK => read_raw_init(chunk),
        DATA => format!(
            " tsn={} sid={} ssn={} ppid={} {} len={}",
            be32(value, 0),
            be16(value, 4),
            be16(value, 6),
            be32(value, 8),
            letters(chunk.flags),
            value.len() - 12
        ),
        I_DATA => format!(
            " tsn={} sid={} mid={} {}={} {} len={}",
            be32(value, 0),
            be16(value, 4),
            be32(value, 8),
            if chunk.flags & FIRST == 0 { "fsn" } else { "ppid" },
            be32(value, 12),
            letters(chunk.flags),
            value.len() - 16
        ),
        SACK => read_raw_sack(&Sack::parse(chunk)),
        SHUTDOWN => format!(" cum={}", be32(value, 0)),
        COOKIE_ECHO => format!(" cookie={}", value.len()),
        FORWARD_TSN => {
            let streams = value[4..].chunks(4).map(|item| format!("{}:{}", be16(item, 0), be16(item, 2)));
            format!(" cum={} streams={}", be32(value, 0), few(&streams.collect::<Vec<_>>()))
        }
        I_FORWARD_TSN => {
            let streams = value[4..].chunks(8).map(|item| {
                let unordered = if be16(item, 2) & 1 == 1 { "u" } else { "" };
                format!("{}{unordered}:{}", be16(item, 0), be32(item, 4))
            });
            format!(" cum={} streams={}", be32(value, 0), few(&streams.collect::<Vec<_>>()))
        }
        RE_CONFIG => split(value).iter().map(read_raw_reconfig).collect(),
        ABORT => split(value).iter().map(read_raw_cause).collect(),
        SHUTDOWN_ACK | COOKIE_ACK | SHUTDOWN_COMPLETE => String::new(),
        _ => panic!("no capture has {name}"),
    };
    format!("{name}{contents}")
}

fn letters(flags: u8) -> String {
    let letter = |(bit, letter)| if flags & bit == 0 { '-' } else { letter };
    [(IMMEDIATE, 'I'), (UNORDERED, 'U'), (FIRST, 'B'), (LAST, 'E')].map(letter).iter().collect()
}

fn read_raw_init(chunk: &Chunk) -> String {
    let init = Init::parse(chunk);
    let parameters = init.parameters.iter().map(|(kind, value)| match *kind {
        7 => format!(" state-cookie({})", value.len()),
        ZERO_CHECKSUM_ACCEPTABLE => format!(" zero-checksum({})", be32(value, 0)),
        SUPPORTED_EXTENSIONS => {
            let types: Vec<String> = value.iter().map(|kind| format!("{kind:02x}")).collect();
            format!(" extensions([{}])", types.join(", "))
        }
        FORWARD_TSN_SUPPORTED => " forward-tsn".to_owned(),
        unknown => format!(" {unknown:#06x}({})", value.len()),
    });
    format!(
        " tag={:#010x} a_rwnd={} streams={}/{} tsn={}{}",
        init.tag,
        init.window,
        init.outgoing,
        init.incoming,
        init.tsn,
        parameters.collect::<String>()
    )
}

fn read_raw_sack(sack: &Sack) -> String {
    let mut line = format!(" cum={} a_rwnd={}", sack.cumulative, sack.window);
    if !sack.gaps.is_empty() {
        let gaps: Vec<String> = sack.gaps.iter().map(|(start, end)| format!("{start}-{end}")).collect();
        line += &format!(" gaps={}", few(&gaps));
    }
    if !sack.duplicates.is_empty() {
        line += &format!(" duplicates={}", sack.duplicates.len());
    }
    line
}

fn read_raw_reconfig((kind, value): &(u16, Vec<u8>)) -> String {
    match kind {
        13 => {
            let streams: Vec<String> = value[12..].chunks(2).map(|item| be16(item, 0).to_string()).collect();
            let (request, response, last) = (be32(value, 0), be32(value, 4), be32(value, 8));
            format!(
                " outgoing-reset(request={request} response={response} last={last} streams={})",
                few(&streams)
            )
        }
        16 if be32(value, 4) == 1 => format!(" response({} Performed)", be32(value, 0)),
        _ => panic!("no capture has it: {kind} {value:?}"),
    }
}

fn read_raw_cause((kind, value): &(u16, Vec<u8>)) -> String {
    assert_eq!(*kind, 12, "no capture has another cause");
    format!(" user-initiated-abort(\"{}\")", value.escape_ascii())
}

/// RFC 9260 §3: packets of the stacks in use are read alike by the engine, by the raw codec, and by the decoder that the
/// list of captures was made with.
#[test]
fn item_031_captured_packets() {
    let mut kinds = BTreeMap::<u8, usize>::new();
    let mut stacks = BTreeSet::new();
    for Capture { stack, bytes, lines } in captures() {
        let read = Packet::parse(&bytes);
        let raw: Vec<String> = read.chunks.iter().map(read_raw).collect();
        assert_eq!(raw, lines, "{stack}");
        assert_eq!(fuzzing::describe(&bytes), Some(lines), "{stack}");
        let mut sealed = bytes.clone();
        seal(&mut sealed);
        assert_eq!(fuzzing::rewrite(&bytes), Some(sealed), "{stack}");
        read.kinds().into_iter().for_each(|kind| *kinds.entry(kind).or_default() += 1);
        stacks.insert(stack);
    }
    assert!(stacks.len() >= 9 && kinds[&INIT] >= 6 && kinds[&INIT_ACK] >= 8, "{stacks:?} {kinds:?}");
}

/// The same for the packets that fuzzing begins with.
#[test]
fn item_031_captured_corpus() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus/sctp_packet");
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(files.len() >= 30, "{files:?}");
    for file in files {
        let bytes = fs::read(&file).unwrap();
        let raw: Vec<String> = Packet::parse(&bytes).chunks.iter().map(read_raw).collect();
        assert_eq!(fuzzing::describe(&bytes), Some(raw), "{}", file.display());
    }
}

/// Every captured INIT is answered, and every captured INIT ACK leads to its cookie's return.
#[test]
fn item_031_captured_set_ups() {
    let (mut answered, mut echoed) = (0, 0);
    for Capture { stack, bytes, .. } in captures() {
        let read = Packet::parse(&bytes);
        let Some(init) = read.chunks.first().filter(|chunk| matches!(chunk.kind, INIT | INIT_ACK)) else {
            continue;
        };
        let init = Init::parse(init);
        let mut peer = RawPeer::new(Config::default());
        peer.tag = init.tag;
        peer.takes_zero_checksum = true;
        if read.kinds() == [INIT] {
            let replies = peer.exchange_bytes(&bytes);
            assert_eq!((kinds(&replies), replies[0].tag), (vec![vec![INIT_ACK]], init.tag), "{stack}");
            let ack = Init::parse(&replies[0].chunks[0]);
            assert_eq!((ack.outgoing, ack.incoming), (init.incoming, u16::MAX), "{stack}");
            assert_eq!(ack.parameter(8), None, "{stack}: nothing of it is reported");
            peer.send_tagged(ack.tag, &[Chunk::new(COOKIE_ECHO, 0, &ack.cookie())]);
            answered += 1;
        } else {
            peer.connect();
            let mut bytes = bytes.clone();
            bytes[4..8].copy_from_slice(&peer.engine_tag.to_be_bytes());
            seal(&mut bytes);
            let replies = peer.exchange_bytes(&bytes);
            assert_eq!(replies[0].chunks, [Chunk::new(COOKIE_ECHO, 0, &init.cookie())], "{stack}");
            peer.send(&[bare(COOKIE_ACK)]);
            echoed += 1;
        }
        assert_eq!(peer.engine.negotiated_streams(), Some((init.incoming, init.outgoing)), "{stack}");
    }
    assert!(answered >= 6 && echoed >= 8, "{answered} {echoed}");
}
