//! Bodies of the fuzz targets: each takes whatever bytes come and panics only if something is wrong here.

mod association;
mod pair;
mod parameters;
mod reassembly;
mod reconfig;
mod rewrite;
mod sack;
mod script;

pub use association::association;
pub use pair::pair;
pub use parameters::parameters;
pub use reassembly::reassembly;
pub use reconfig::reconfig;
pub use rewrite::rewrite;
pub use sack::sack;
pub use script::Script;

use crate::dcep::message::Message;
use crate::wire::{self, Checksum, Chunk, Header, PacketWriter, ParseError};
use bytes::BytesMut;

/// A packet: whatever is understood is written again and understood as the same.
///
/// The checksum is mended first, so that a fuzzer gets past it.
pub fn packet(data: &[u8]) {
    let _ = wire::parse(data, false);
    let mut packet = data.to_vec();
    wire::seal(&mut packet);
    let Ok((header, chunks)) = wire::parse(&packet, false) else { return };
    let parsed: Vec<_> = chunks.collect();
    for result in &parsed {
        let line = match result {
            Ok(chunk) => chunk.to_string(),
            Err(error) => error.to_string(),
        };
        assert!(line.len() < 4096 && line.chars().all(|c| !c.is_control()), "a log line: {line:?}");
    }
    let understood: Vec<_> = parsed.iter().flatten().copied().collect();
    let Some(written) = write(header, &understood) else { return };
    let (header_again, chunks) = wire::parse(&written, false).expect("own packets are sound");
    assert_eq!(header_again, header);
    let again: Result<Vec<_>, ParseError> = chunks.collect();
    assert_eq!(again.as_ref(), Ok(&understood));
    assert_eq!(write(header, &understood), Some(written));
}

/// What is read in a packet, one line for each chunk; none if the packet as a whole is not sound. A zero in place of the
/// checksum is accepted.
pub fn describe(packet: &[u8]) -> Option<Vec<String>> {
    let (_, chunks) = wire::parse(packet, true).ok()?;
    let line = |chunk: Result<Chunk<'_>, ParseError>| match chunk {
        Ok(chunk) => chunk.to_string(),
        Err(error) => format!("({error})"),
    };
    Some(chunks.map(line).collect())
}

/// A DCEP message: an OPEN has one form only, and only an ACK may be followed by something.
pub fn dcep(data: &[u8]) {
    let Ok(message) = Message::parse(data) else { return };
    match message {
        Message::Open(_) => assert_eq!(message.to_bytes(), data),
        Message::Ack => assert!(data.starts_with(&message.to_bytes())),
    }
    let line = message.to_string();
    assert!(line.len() < 4096 && line.chars().all(|c| !c.is_control()), "a log line: {line:?}");
}

/// A packet of these chunks, unless there are none or their padding makes them too large for one.
fn write(header: Header, chunks: &[Chunk<'_>]) -> Option<Vec<u8>> {
    let mut buffer = BytesMut::new();
    let mut writer = PacketWriter::new(&mut buffer, header, usize::MAX);
    let all = chunks.iter().all(|chunk| writer.push(chunk));
    let length = writer.finish(Checksum::Crc32c);
    (all && length > 0).then(|| buffer.to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    proptest! {
        /// Chunks of every known type with random flags and contents, whole or not.
        #[test]
        fn packets_of_known_types(
            chunks in vec(
                (
                    prop_oneof![0_u8..16, Just(64), Just(130), Just(132), Just(192), Just(194), any::<u8>()],
                    any::<u8>(),
                    vec(prop_oneof![0_u8..18, any::<u8>()], 0..60),
                    -3_i16..9,
                ),
                1..8,
            ),
        ) {
            let mut data = vec![0x13, 0x88, 0x13, 0x88, 0, 0, 0, 1, 0, 0, 0, 0];
            for (kind, flags, value, lie) in chunks {
                // Most lengths are sound.
                let length = 4 + i16::try_from(value.len()).unwrap() + lie.min(0);
                data.extend_from_slice(&[kind, flags]);
                data.extend_from_slice(&length.to_be_bytes());
                data.extend_from_slice(&value);
                data.resize(data.len().next_multiple_of(4), 0);
            }
            packet(&data);
        }

        #[test]
        fn dcep_messages(kind in 0_u8..4, mut body in vec(prop_oneof![Just(0_u8), any::<u8>()], 0..40)) {
            body.insert(0, kind);
            dcep(&body);
        }
    }
}
