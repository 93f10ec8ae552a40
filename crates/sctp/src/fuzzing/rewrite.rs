//! A packet taken apart and put together again. What was parsed would be written as the bytes it borrows; here its
//! parameters, causes, gap blocks and streams are written one by one.

use crate::number::{StreamId, Tsn};
use crate::wire::{
    self, Abort, Causes, Checksum, Chunk, ErrorChunk, ForwardTsn, IForwardTsn, Init, List, PacketWriter,
    Parameters, ReConfig, ReconfigParameter, ReconfigParameters, Sack,
};
use bytes::BytesMut;

/// Reads a packet and writes it again of its values alone. None if something of it is not understood. A zero in place of the
/// checksum is accepted, a true one is written.
pub fn rewrite(packet: &[u8]) -> Option<Vec<u8>> {
    let (header, chunks) = wire::parse(packet, true).ok()?;
    let mut buffer = BytesMut::new();
    let mut writer = PacketWriter::new(&mut buffer, header, usize::MAX);
    for chunk in chunks {
        if !push_anew(&mut writer, &chunk.ok()?)? {
            return None;
        }
    }
    (writer.finish(Checksum::Crc32c) > 0).then(|| buffer.to_vec())
}

/// Appends a chunk whose lists are made of their items. What has none is made of its fields anyway.
fn push_anew(writer: &mut PacketWriter<'_>, chunk: &Chunk<'_>) -> Option<bool> {
    Some(match chunk {
        Chunk::Init(init) | Chunk::InitAck(init) => {
            let parameters = init.parameters.iter().collect::<Result<Vec<_>, _>>().ok()?;
            let init = Init { parameters: Parameters::new(&parameters), ..*init };
            let is_ack = matches!(chunk, Chunk::InitAck(_));
            writer.push(&if is_ack { Chunk::InitAck(init) } else { Chunk::Init(init) })
        }
        Chunk::Sack(sack) => {
            let gaps: Vec<_> = sack.gaps.iter().collect();
            let duplicates: Vec<Tsn> = sack.duplicates.iter().collect();
            writer.push(&Sack { gaps: List::new(&gaps), duplicates: List::new(&duplicates), ..*sack })
        }
        Chunk::Abort(abort) => {
            let causes = abort.causes.iter().collect::<Result<Vec<_>, _>>().ok()?;
            writer.push(&Abort { causes: Causes::new(&causes), ..*abort })
        }
        Chunk::Error(error) => {
            let causes = error.causes.iter().collect::<Result<Vec<_>, _>>().ok()?;
            writer.push(&ErrorChunk { causes: Causes::new(&causes) })
        }
        Chunk::ReConfig(reconfig) => {
            let parameters = reconfig.parameters.iter().collect::<Result<Vec<_>, _>>().ok()?;
            let lists: Vec<Vec<StreamId>> = parameters.iter().map(streams_of).collect();
            let parameters: Vec<_> = parameters
                .iter()
                .zip(&lists)
                .map(|(parameter, list)| with_streams(*parameter, list))
                .collect();
            writer.push(&ReConfig { parameters: ReconfigParameters::new(&parameters) })
        }
        Chunk::ForwardTsn(forward) => {
            let streams: Vec<_> = forward.streams.iter().collect();
            writer.push(&ForwardTsn { streams: List::new(&streams), ..*forward })
        }
        Chunk::IForwardTsn(forward) => {
            let streams: Vec<_> = forward.streams.iter().collect();
            writer.push(&IForwardTsn { streams: List::new(&streams), ..*forward })
        }
        Chunk::Data(_)
        | Chunk::Heartbeat(_)
        | Chunk::HeartbeatAck(_)
        | Chunk::Shutdown(_)
        | Chunk::ShutdownAck
        | Chunk::CookieEcho(_)
        | Chunk::CookieAck
        | Chunk::ShutdownComplete(_)
        | Chunk::IData(_)
        | Chunk::Pad(_)
        | Chunk::Unknown(_) => writer.push(chunk),
    })
}

fn streams_of(parameter: &ReconfigParameter<'_>) -> Vec<StreamId> {
    match parameter {
        ReconfigParameter::OutgoingReset { streams, .. }
        | ReconfigParameter::IncomingReset { streams, .. } => streams.iter().collect(),
        ReconfigParameter::TsnReset { .. }
        | ReconfigParameter::Response { .. }
        | ReconfigParameter::AddOutgoing { .. }
        | ReconfigParameter::AddIncoming { .. }
        | ReconfigParameter::Unknown(_) => Vec::new(),
    }
}

fn with_streams<'a>(parameter: ReconfigParameter<'a>, list: &'a [StreamId]) -> ReconfigParameter<'a> {
    match parameter {
        ReconfigParameter::OutgoingReset { request, response, last_tsn, streams: _ } => {
            ReconfigParameter::OutgoingReset { request, response, last_tsn, streams: List::new(list) }
        }
        ReconfigParameter::IncomingReset { request, streams: _ } => {
            ReconfigParameter::IncomingReset { request, streams: List::new(list) }
        }
        ReconfigParameter::TsnReset { .. }
        | ReconfigParameter::Response { .. }
        | ReconfigParameter::AddOutgoing { .. }
        | ReconfigParameter::AddIncoming { .. }
        | ReconfigParameter::Unknown(_) => parameter,
    }
}
