//! Tests of whole packets.

use super::chunk::UnknownChunk;
use super::packet::seal;
use super::testing::*;
use super::*;
use bytes::BytesMut;
use proptest::collection::vec;
use proptest::prelude::*;

/// RFC 9260 §3: packets of the stacks in use are read as another decoder reads them, and written as they were.
#[test]
fn captured_packets() {
    let mut packets = 0;
    let mut lines = CAPTURES.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).peekable();
    while let Some(line) = lines.next() {
        let bytes = hex(line);
        let (header, chunks) = chunks(&bytes);
        let mut writer_buffer = BytesMut::new();
        let mut writer = PacketWriter::new(&mut writer_buffer, header, bytes.len());
        for chunk in chunks {
            assert_eq!(Some(chunk.to_string().as_str()), lines.next().map(str::trim_start), "in {line}");
            assert!(writer.push(&chunk));
        }
        assert!(lines.peek().is_none_or(|next| !next.starts_with(' ')), "a chunk is missing of {line}");
        assert_eq!(writer.finish(Checksum::Crc32c), bytes.len());
        assert_eq!(writer_buffer, bytes);
        packets += 1;
    }
    assert_eq!(packets, 36);
}

/// RFC 9260 §3: a packet has a header and at least one chunk, and fits an IP datagram.
#[test]
fn sizes_of_packets() {
    let packet = hex(COOKIE_ACK);
    for length in 0..16 {
        assert_eq!(error(&packet[..length]), ParseError::PacketSize(length));
    }
    assert!(parse(&packet, false).is_ok());
    let longest = written_packet(&[Chunk::Pad(Pad { length: 65_532 - 12 - 4 })]);
    assert_eq!(longest.len(), 65_532);
    assert!(parse(&longest, false).is_ok());
    assert_eq!(error(&vec![0; 65_536]), ParseError::PacketSize(65_536));
}

/// RFC 9260 §6.8: "the receiver MUST treat the packet as an invalid SCTP packet": one wrong bit anywhere is enough.
#[test]
fn every_flipped_bit_is_noticed() {
    let packet = hex(COOKIE_ACK);
    for bit in 0..packet.len() * 8 {
        let mut wrong = packet.clone();
        wrong[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(error(&wrong), ParseError::Checksum, "bit {bit}");
        assert_eq!(parse(&wrong, true).err(), Some(ParseError::Checksum), "bit {bit}, zero accepted");
    }
}

/// RFC 9653: zero is accepted only by those who said so, and any other wrong value by nobody.
#[test]
fn zero_checksum() {
    // libdatachannel, which was told that zero is acceptable, aborts.
    let packet = hex("13881388 97c22601 00000000 06000008 000c0004");
    assert_eq!(error(&packet), ParseError::Checksum);
    let (header, mut chunks) = parse(&packet, true).expect("accepted");
    assert_eq!(header.verification_tag, 0x97c2_2601);
    let causes = [Cause::UserInitiatedAbort(b"")];
    let expected = Chunk::Abort(Abort { tag_reflected: false, causes: Causes::new(&causes) });
    assert_eq!(chunks.next(), Some(Ok(expected)));
    assert_eq!(chunks.next(), None);
}

/// RFC 9653: the INIT whose true CRC32c is zero is a good packet for everybody.
#[test]
fn zero_can_be_the_true_checksum() {
    let packet = hex("13891389 00000000 00000000 01000014 fcb75cca 000005dc 00010001 00000000");
    let expected = Init {
        initiate_tag: 0xfcb7_5cca,
        a_rwnd: 1500,
        outbound_streams: 1,
        inbound_streams: 1,
        initial_tsn: crate::number::Tsn(0),
        parameters: Parameters::EMPTY,
    };
    assert_eq!(only_chunk(&packet), Chunk::Init(expected));
    assert_eq!(
        written_with(
            Header { source_port: 5001, destination_port: 5001, verification_tag: 0 },
            &[Chunk::Init(expected)]
        ),
        packet
    );
}

/// RFC 9260 §3.1: neither port is 0.
#[test]
fn port_zero() {
    let packet = |source_port, destination_port| {
        written_with(Header { source_port, destination_port, verification_tag: 1 }, &[Chunk::CookieAck])
    };
    assert_eq!(error(&packet(0, 5000)), ParseError::ZeroPort);
    assert_eq!(error(&packet(5000, 0)), ParseError::ZeroPort);
    assert!(parse(&packet(1, 65535), false).is_ok());
}

/// RFC 9260 §3.2: a length below 4 cannot be passed over. What stood before it counts.
#[test]
fn a_chunk_length_below_four_ends_the_packet() {
    for length in 0..4 {
        let packet = sealed(&[hex("0b000004"), vec![0x80, 0, 0, length], hex("0b000004")].concat());
        assert_eq!(
            results(&packet),
            [Ok(Chunk::CookieAck), Err(ParseError::Length(length.into()))],
            "length {length}"
        );
    }
}

/// RFC 9260 §6.10: "If the receiver detects a partial chunk, it MUST drop the chunk." The whole chunks before it count.
#[test]
fn a_chunk_that_runs_past_the_end_is_dropped() {
    let sack = hex("03000014 00000001 00001000 00010000 00020003");
    for length in 1..sack.len() {
        let packet = sealed(&[hex("0b000004"), sack[..length].to_vec()].concat());
        assert_eq!(results(&packet), [Ok(Chunk::CookieAck), Err(ParseError::Truncated)], "{length} bytes");
    }
}

/// RFC 9260 §3.2: "The Chunk Length field does not count any chunk padding", "The receiver MUST ignore the padding
/// bytes": anything may stand there, and at the very end it may be missing.
#[test]
fn padding_is_ignored() {
    for (padding, packet) in [("zeros", "000000"), ("ones", "ffffff"), ("none", "")] {
        let packet = sealed(&[hex("0a000005 61 ffffff 0a000005 62"), hex(packet)].concat());
        let expected = [b"a", b"b"].map(|cookie| Ok(Chunk::CookieEcho(CookieEcho { cookie })));
        assert_eq!(results(&packet), expected, "{padding}");
    }
}

/// RFC 9260 §3.2: reserved flags are ignored.
#[test]
fn reserved_flags_are_ignored() {
    for kind in [1, 2, 3, 4, 5, 7, 8, 9, 10, 11, 130, 132, 192, 194] {
        let value: &[u8] = match kind {
            1 | 2 => &[1; 16],
            3 => &[0; 12],
            4 | 5 => &[0, 1, 0, 4],
            7 | 192 | 194 => &[0; 4],
            _ => &[],
        };
        let chunk = |flags| [&[kind, flags, 0, 4 + value.len() as u8], value].concat();
        let (plain, flagged) = (chunk(0), chunk(0xFF));
        let [plain, flagged] = [&plain, &flagged].map(|chunk| parse_chunk(chunk).expect("sound"));
        assert_eq!(plain, flagged, "type {kind}");
        assert_eq!(written(&flagged)[1], 0, "type {kind}");
    }
}

/// RFC 9260 §3.2: the two high bits of an unknown type say whether to go on and whether to report it.
#[test]
fn unknown_chunks_act_by_their_high_bits() {
    for (kind, action) in [
        (0x20, UnknownAction::Stop),
        (0x60, UnknownAction::StopAndReport),
        (0xA0, UnknownAction::Skip),
        (0xE0, UnknownAction::SkipAndReport),
    ] {
        let packet = sealed(&[hex("0b000004"), vec![kind, 7, 0, 5, 9, 0, 0, 0], hex("08000004")].concat());
        let unknown = UnknownChunk { kind, flags: 7, value: &[9] };
        assert_eq!(unknown.action(), action);
        let mut expected = vec![Ok(Chunk::CookieAck), Ok(Chunk::Unknown(unknown))];
        if !action.stops() {
            expected.push(Ok(Chunk::ShutdownAck));
        }
        assert_eq!(results(&packet), expected);
        // A report holds it whole, as it came.
        assert_eq!(written(&unknown), [kind, 7, 0, 5, 9]);
    }
    assert!(!UnknownAction::Stop.reports() && UnknownAction::StopAndReport.reports());
    assert!(!UnknownAction::Skip.reports() && UnknownAction::SkipAndReport.reports());
}

/// Chunks of RFC 4895 and RFC 5061 are not supported; their types have the bits for it.
#[test]
fn chunks_that_are_not_supported() {
    for (kind, action) in
        [(0x0F, UnknownAction::Stop), (0xC1, UnknownAction::SkipAndReport), (0x80, UnknownAction::Skip)]
    {
        let chunk = [kind, 0, 0, 4];
        let Ok(Chunk::Unknown(unknown)) = parse_chunk(&chunk) else { panic!() };
        assert_eq!(unknown.action(), action);
    }
}

/// A chunk whose value makes no sense does not hide the ones behind it.
#[test]
fn a_bad_value_is_an_error_of_that_chunk() {
    let packet = sealed(&hex("0b000004 03000010 00000001 00001000 00010000 08000004"));
    assert_eq!(results(&packet), [Ok(Chunk::CookieAck), Err(ParseError::Truncated), Ok(Chunk::ShutdownAck)]);
}

/// Batches hold many packets; each writer sees its own bytes only.
#[test]
fn packets_are_appended() {
    let mut buffer = BytesMut::from(&b"before, and not a multiple of four"[..]);
    let before = buffer.clone();
    let mut writer = PacketWriter::new(&mut buffer, HEADER, 1191);
    assert!(writer.push(&CookieAck));
    assert!(!writer.is_empty());
    let length = writer.finish(Checksum::Crc32c);
    assert_eq!(length, 16);
    assert_eq!(buffer[..before.len()], before);
    let first = buffer[before.len()..].to_vec();
    assert_eq!(chunks(&first), (HEADER, vec![Chunk::CookieAck]));

    let mut writer = PacketWriter::new(&mut buffer, HEADER, 1191);
    assert!(writer.push(&ShutdownAck));
    assert_eq!(writer.finish(Checksum::Zero), 16);
    let second = &buffer[before.len() + 16..];
    assert_eq!(buffer[before.len()..before.len() + 16], first);
    assert_eq!(second[8..12], [0; 4]);
    assert!(parse(second, false).is_err() && parse(second, true).is_ok());
}

#[test]
fn an_empty_packet_is_taken_back() {
    let mut buffer = BytesMut::from(&b"before"[..]);
    let writer = PacketWriter::new(&mut buffer, HEADER, 1191);
    assert!(writer.is_empty());
    assert_eq!(writer.finish(Checksum::Crc32c), 0);
    assert_eq!(buffer, b"before"[..]);
}

/// What does not fit leaves no trace, and something smaller may still follow.
#[test]
fn what_does_not_fit_is_not_written() {
    let mut buffer = BytesMut::new();
    // 12 for the header, 31 that hold 28.
    let mut writer = PacketWriter::new(&mut buffer, HEADER, 43);
    assert_eq!(writer.remaining(), 28);
    assert!(!writer.push(&Pad { length: 25 }));
    assert!(writer.is_empty());
    assert!(writer.push(&Pad { length: 13 }));
    assert_eq!(writer.remaining(), 8);
    assert!(!writer.push(&Pad { length: 5 }));
    assert!(writer.push(&CookieAck));
    assert!(writer.push(&CookieAck));
    assert_eq!(writer.remaining(), 0);
    assert!(!writer.push(&CookieAck));
    assert_eq!(writer.finish(Checksum::Crc32c), 40);
    let expected = vec![Chunk::Pad(Pad { length: 13 }), Chunk::CookieAck, Chunk::CookieAck];
    assert_eq!(chunks(&buffer), (HEADER, expected));

    for max_size in 0..16 {
        let mut writer = PacketWriter::new(&mut buffer, HEADER, max_size);
        assert_eq!(writer.remaining(), 0);
        assert!(!writer.push(&CookieAck));
        assert_eq!(writer.finish(Checksum::Crc32c), 0);
    }
    assert_eq!(buffer.len(), 40);
}

/// No chunk that its length field cannot tell, no packet that IP cannot carry.
#[test]
fn the_largest_chunk() {
    let mut buffer = BytesMut::new();
    let mut writer = PacketWriter::new(&mut buffer, HEADER, usize::MAX);
    assert_eq!(writer.remaining(), 65_520);
    assert!(!writer.push(&Pad { length: 65_532 }));
    assert!(!writer.push(&Pad { length: 65_517 }));
    assert!(writer.push(&Pad { length: 65_516 }));
    assert_eq!(writer.finish(Checksum::Crc32c), 65_532);
}

/// RFC 9260 §3.2: "the sender MUST pad the chunk with all zero bytes", "The sender MUST NOT pad with more than 3
/// bytes".
#[test]
fn chunks_are_padded_with_zeros() {
    for length in 0..=64 {
        let packet = written_packet(&[Chunk::CookieEcho(CookieEcho { cookie: &vec![0xFF; length] })]);
        assert_eq!(packet.len(), 16 + length.next_multiple_of(4));
        assert_eq!(usize::from(packet[14]) << 8 | usize::from(packet[15]), 4 + length);
        assert!(packet[16 + length..].iter().all(|byte| *byte == 0));
    }
}

proptest! {
    /// RFC 9260 §6.10: the packet with all its chunks and their padding stays within the limit, and holds exactly
    /// the chunks that were taken.
    #[test]
    fn packets_keep_their_limit(
        max_size in 16_usize..1500,
        cookies in vec(vec(any::<u8>(), 0..300), 1..12),
        offset in 0_usize..9,
    ) {
        let mut buffer = BytesMut::zeroed(offset);
        let mut writer = PacketWriter::new(&mut buffer, HEADER, max_size);
        let mut taken = Vec::new();
        for cookie in &cookies {
            let remaining = writer.remaining();
            let chunk = CookieEcho { cookie };
            let fits = padded(chunk.len()) <= remaining;
            prop_assert_eq!(writer.push(&chunk), fits);
            if fits {
                taken.push(Chunk::CookieEcho(chunk));
            }
            prop_assert_eq!(writer.remaining(), if fits { remaining - padded(chunk.len()) } else { remaining });
        }
        let length = writer.finish(Checksum::Crc32c);
        prop_assert!(length <= max_size);
        prop_assert_eq!(buffer.len(), offset + length);
        if !taken.is_empty() {
            prop_assert_eq!(chunks(&buffer[offset..]), (HEADER, taken));
        }
    }

    /// Whatever comes, the cursor advances: there are never more chunks than words.
    #[test]
    fn random_packets_end(body in vec(prop_oneof![Just(0), Just(4), any::<u8>()], 4..400)) {
        let packet = sealed(&body);
        let (_, chunks) = parse(&packet, false).expect("a sound frame");
        prop_assert!(chunks.count() <= body.len() / 4 + 1);
    }
}

fn error(packet: &[u8]) -> ParseError {
    parse(packet, false).expect_err("an unsound packet")
}

fn results(packet: &[u8]) -> Vec<Result<Chunk<'_>, ParseError>> {
    parse(packet, false).expect("a sound frame").1.collect()
}

fn written_packet(chunks: &[Chunk<'_>]) -> Vec<u8> {
    written_with(HEADER, chunks)
}

fn written_with(header: Header, chunks: &[Chunk<'_>]) -> Vec<u8> {
    let mut buffer = BytesMut::new();
    let mut writer = PacketWriter::new(&mut buffer, header, 65_535);
    assert!(chunks.iter().all(|chunk| writer.push(chunk)));
    writer.finish(Checksum::Crc32c);
    buffer.to_vec()
}

/// These bytes behind a sound header.
fn sealed(chunks: &[u8]) -> Vec<u8> {
    let mut packet = hex("13881388 00000001 00000000");
    packet.extend_from_slice(chunks);
    seal(&mut packet);
    packet
}

const HEADER: Header = Header { source_port: 5000, destination_port: 5000, verification_tag: 0x1234_5678 };

/// Of Firefox.
const COOKIE_ACK: &str = "13881388 2199ec7a b45d4a9c 0b000004";

const CAPTURES: &str = include_str!("captures.txt");
