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
