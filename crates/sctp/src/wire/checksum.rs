//! The checksum of packets: CRC32c (RFC 9260 §6.8, Appendix A).

use crc::{CRC_32_ISCSI, Crc, Table};

/// The CRC32c of a packet whose checksum field is taken as zero.
pub(super) fn of_packet(packet: &[u8]) -> [u8; 4] {
    let mut digest = CRC32C.digest();
    if let Some((before, rest)) = packet.split_at_checked(FIELD_OFFSET) {
        digest.update(before);
        digest.update(&[0; FIELD_LEN]);
        digest.update(rest.get(FIELD_LEN..).unwrap_or_default());
    }
    // RFC 9260 Appendix A: the CRC goes out with its least significant byte first.
    digest.finalize().to_le_bytes()
}

static CRC32C: Crc<u32, Table<16>> = Crc::<u32, Table<16>>::new(&CRC_32_ISCSI);

/// Where the checksum stands in the common header.
pub(super) const FIELD_OFFSET: usize = 8;
pub(super) const FIELD_LEN: usize = 4;

#[cfg(test)]
#[allow(clippy::indexing_slicing, clippy::arithmetic_side_effects, reason = "a panic is a failed test")]
mod tests {
    use super::super::testing::hex;
    use super::*;

    /// The check value of CRC-32C, and the examples of RFC 3720 §B.4.
    #[test]
    fn vectors() {
        assert_eq!(CRC32C.checksum(b"123456789"), 0xE306_9283);
        assert_eq!(CRC32C.checksum(&[0; 32]), 0x8A91_36AA);
        assert_eq!(CRC32C.checksum(&[0xFF; 32]), 0x62A8_AB43);
        assert_eq!(CRC32C.checksum(&std::array::from_fn::<u8, 32, _>(|n| n as u8)), 0x46DD_794E);
        assert_eq!(CRC32C.checksum(&std::array::from_fn::<u8, 32, _>(|n| 31 - n as u8)), 0x113F_DB5C);
    }

    /// RFC 9260 Appendix A: the bytes of a COOKIE ACK off the wire, least significant byte of the CRC first.
    #[test]
    fn from_capture() {
        let packet = hex("13881388 2199ec7a b45d4a9c 0b000004");
        assert_eq!(of_packet(&packet), [0xb4, 0x5d, 0x4a, 0x9c]);
    }

    /// RFC 9260 §6.8: the field itself counts as zero, whatever it holds.
    #[test]
    fn the_field_counts_as_zero() {
        let packet = hex("13881388 2199ec7a 00000000 0b000004");
        assert_eq!(of_packet(&packet), [0xb4, 0x5d, 0x4a, 0x9c]);
    }
}
