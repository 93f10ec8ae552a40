//! Blocks of a pcapng file (draft-ietf-opsawg-pcapng), little-endian, each appended whole to a buffer.

use super::Interface;
use straits_peer::Direction;

/// §4.1: begins the file. `comment` and `application` are shown by whoever opens it.
pub(super) fn section_header(out: &mut Vec<u8>, comment: &str, application: &str) {
    block(out, SECTION_HEADER, |out| {
        put_u32(out, BYTE_ORDER_MAGIC);
        // Version 1.0; the length of the section is not known.
        put_u16(out, 1);
        put_u16(out, 0);
        put_u64(out, u64::MAX);
        option(out, COMMENT, comment.as_bytes());
        option(out, SHB_USERAPPL, application.as_bytes());
        end_of_options(out);
    });
}

/// §4.2: names an interface. They are numbered as they come.
pub(super) fn interface_description(out: &mut Vec<u8>, name: &str, description: &str) {
    block(out, INTERFACE_DESCRIPTION, |out| {
        put_u16(out, LINKTYPE_RAW);
        put_u16(out, 0);
        // Packets are never cut.
        put_u32(out, 0);
        option(out, IF_NAME, name.as_bytes());
        option(out, IF_DESCRIPTION, description.as_bytes());
        option(out, IF_TSRESOL, &[NANOSECONDS]);
        end_of_options(out);
    });
}

/// §4.3: one packet, in two parts. `time`: nanoseconds since 1970.
pub(super) fn enhanced_packet(
    out: &mut Vec<u8>,
    interface: Interface,
    direction: Direction,
    time: u64,
    header: &[u8],
    payload: &[u8],
) {
    block(out, ENHANCED_PACKET, |out| {
        put_u32(out, interface as u32);
        put_time(out, time);
        let len = u32_of(header.len() + payload.len());
        put_u32(out, len);
        put_u32(out, len);
        out.extend_from_slice(header);
        out.extend_from_slice(payload);
        pad(out);
        let direction: u32 = match direction {
            Direction::Inbound => 1,
            Direction::Outbound => 2,
        };
        option(out, EPB_FLAGS, &direction.to_le_bytes());
        end_of_options(out);
    });
}

/// §4.7: a line of a TLS key log, without its line feed.
pub(super) fn decryption_secrets(out: &mut Vec<u8>, line: &str) {
    block(out, DECRYPTION_SECRETS, |out| {
        put_u32(out, TLS_KEY_LOG);
        put_u32(out, u32_of(line.len() + 1));
        out.extend_from_slice(line.as_bytes());
        out.push(b'\n');
        pad(out);
    });
}

/// §4.6: how many packets of an interface are missing from the file so far.
pub(super) fn interface_statistics(out: &mut Vec<u8>, interface: Interface, time: u64, dropped: u64) {
    block(out, INTERFACE_STATISTICS, |out| {
        put_u32(out, interface as u32);
        put_time(out, time);
        option(out, ISB_IFDROP, &dropped.to_le_bytes());
        end_of_options(out);
    });
}

/// §3.1: type, length, body, length again.
fn block(out: &mut Vec<u8>, kind: u32, body: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    put_u32(out, kind);
    put_u32(out, 0);
    body(out);
    let len = u32_of(out.len() - start + 4);
    put_u32(out, len);
    out[start + 4..start + 8].copy_from_slice(&len.to_le_bytes());
}

/// §3.5.
fn option(out: &mut Vec<u8>, code: u16, value: &[u8]) {
    put_u16(out, code);
    put_u16(out, u16::try_from(value.len()).expect("options are texts and numbers of ours"));
    out.extend_from_slice(value);
    pad(out);
}

fn end_of_options(out: &mut Vec<u8>) {
    put_u32(out, 0);
}

/// To 32 bits. Every block begins and ends so, and only whole blocks are written, so positions in the buffer count.
fn pad(out: &mut Vec<u8>) {
    out.resize(out.len().next_multiple_of(4), 0);
}

fn put_time(out: &mut Vec<u8>, time: u64) {
    put_u32(out, (time >> 32) as u32);
    put_u32(out, (time & 0xffff_ffff) as u32);
}

fn put_u16(out: &mut Vec<u8>, value: u16) {
    out.extend_from_slice(&value.to_le_bytes());
}

fn put_u32(out: &mut Vec<u8>, value: u32) {
    out.extend_from_slice(&value.to_le_bytes());
}

fn put_u64(out: &mut Vec<u8>, value: u64) {
    out.extend_from_slice(&value.to_le_bytes());
}

fn u32_of(len: usize) -> u32 {
    u32::try_from(len).expect("a packet or a line is far below 4 GiB")
}

// §10.1: block types.
const SECTION_HEADER: u32 = 0x0a0d_0d0a;
const INTERFACE_DESCRIPTION: u32 = 1;
const INTERFACE_STATISTICS: u32 = 5;
const ENHANCED_PACKET: u32 = 6;
const DECRYPTION_SECRETS: u32 = 10;
// Option codes: §3.5, §4.1, §4.2, §4.3, §4.6.
const COMMENT: u16 = 1;
const SHB_USERAPPL: u16 = 4;
const IF_NAME: u16 = 2;
const IF_DESCRIPTION: u16 = 3;
const IF_TSRESOL: u16 = 9;
const EPB_FLAGS: u16 = 2;
const ISB_IFDROP: u16 = 5;
const BYTE_ORDER_MAGIC: u32 = 0x1a2b_3c4d;
/// Packets begin with an IPv4 or IPv6 header.
const LINKTYPE_RAW: u16 = 101;
/// As a negative power of ten.
const NANOSECONDS: u8 = 9;
/// "TLSK".
const TLS_KEY_LOG: u32 = 0x544c_534b;

#[cfg(test)]
mod tests {
    use super::*;

    fn written(write: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
        let mut out = Vec::new();
        write(&mut out);
        out
    }

    #[test]
    fn section_header_has_comment_and_application() {
        let block = written(|out| section_header(out, "secret", "app 1"));
        #[rustfmt::skip]
        let expected = [
            0x0a, 0x0d, 0x0d, 0x0a, 56, 0, 0, 0, 0x4d, 0x3c, 0x2b, 0x1a, 1, 0, 0, 0,
            255, 255, 255, 255, 255, 255, 255, 255,
            1, 0, 6, 0, b's', b'e', b'c', b'r', b'e', b't', 0, 0,
            4, 0, 5, 0, b'a', b'p', b'p', b' ', b'1', 0, 0, 0,
            0, 0, 0, 0, 56, 0, 0, 0,
        ];
        assert_eq!(block, expected);
    }

    #[test]
    fn interface_counts_nanoseconds() {
        let block = written(|out| interface_description(out, "udp", "text"));
        #[rustfmt::skip]
        let expected = [
            1, 0, 0, 0, 48, 0, 0, 0, 101, 0, 0, 0, 0, 0, 0, 0,
            2, 0, 3, 0, b'u', b'd', b'p', 0,
            3, 0, 4, 0, b't', b'e', b'x', b't',
            9, 0, 1, 0, 9, 0, 0, 0,
            0, 0, 0, 0, 48, 0, 0, 0,
        ];
        assert_eq!(block, expected);
    }

    #[test]
    fn packet_has_its_time_in_halves_and_its_direction() {
        let time = 0x0102_0304_0506_0708;
        let block = written(|out| {
            enhanced_packet(out, Interface::Sctp, Direction::Outbound, time, &[0xa, 0xb], &[0xc, 0xd, 0xe]);
        });
        #[rustfmt::skip]
        let expected = [
            6, 0, 0, 0, 52, 0, 0, 0, 1, 0, 0, 0, 4, 3, 2, 1, 8, 7, 6, 5, 5, 0, 0, 0, 5, 0, 0, 0,
            0xa, 0xb, 0xc, 0xd, 0xe, 0, 0, 0,
            2, 0, 4, 0, 2, 0, 0, 0,
            0, 0, 0, 0, 52, 0, 0, 0,
        ];
        assert_eq!(block, expected);
        let block = written(|out| enhanced_packet(out, Interface::Udp, Direction::Inbound, time, &[], &[]));
        assert_eq!((block.len(), block[8], block[32]), (44, 0, 1));
    }

    #[test]
    fn secrets_are_lines_of_a_tls_key_log() {
        let block = written(|out| decryption_secrets(out, "CLIENT"));
        #[rustfmt::skip]
        let expected = [
            10, 0, 0, 0, 28, 0, 0, 0, 0x4b, 0x53, 0x4c, 0x54, 7, 0, 0, 0,
            b'C', b'L', b'I', b'E', b'N', b'T', b'\n', 0,
            28, 0, 0, 0,
        ];
        assert_eq!(block, expected);
    }

    #[test]
    fn statistics_say_what_was_dropped() {
        let block = written(|out| interface_statistics(out, Interface::Sctp, 1 << 32 | 2, 3));
        #[rustfmt::skip]
        let expected = [
            5, 0, 0, 0, 40, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0,
            5, 0, 8, 0, 3, 0, 0, 0, 0, 0, 0, 0,
            0, 0, 0, 0, 40, 0, 0, 0,
        ];
        assert_eq!(block, expected);
    }

    /// Padding counts from the beginning of the buffer, which is that of a block.
    #[test]
    fn blocks_follow_each_other_without_gaps() {
        let both = written(|out| {
            decryption_secrets(out, "12345");
            decryption_secrets(out, "1");
        });
        let one = written(|out| decryption_secrets(out, "12345"));
        let two = written(|out| decryption_secrets(out, "1"));
        assert_eq!(both, [one, two].concat());
    }
}
