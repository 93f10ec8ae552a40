//! INIT and INIT ACK with any parameters, given to an association that waits for either.

use super::script::Script;
use crate::number::Tsn;
use crate::wire::{
    self, Checksum, Chunk, CookieEcho, Header, Init, PacketWriter, Parameter, Parameters, WriteChunk,
};
use crate::{Association, Config, State};
use bytes::{BufMut, BytesMut};
use std::time::Instant;

/// The parameters of an INIT to an association that has not begun, and of the INIT ACK to one that has.
///
/// What is understood is written again and understood as the same. The first costs no state, is answered with no more
/// than three times its size, and its cookie is good as it is and no other way; the second is followed by its cookie, or by
/// the end.
pub fn parameters(data: &[u8]) {
    let mut script = Script::new(data);
    let (shape, damage) = (script.byte(), script.u16());
    let parameters = script.take(MAX_PARAMETERS);
    let init = fixed(shape, parameters);
    as_init(&init, damage);
    as_init_ack(&init);
}

/// An INIT or INIT ACK without its chunk header. Most have nothing wrong but their parameters.
fn fixed(shape: u8, parameters: &[u8]) -> BytesMut {
    let mut init = BytesMut::new();
    init.put_u32(if shape & 1 != 0 { 0 } else { PEER_TAG });
    init.put_u32(if shape & 2 != 0 { 1499 } else { 100_000 });
    init.put_u16(if shape & 4 != 0 { 0 } else { 16 });
    init.put_u16(if shape & 8 != 0 { 0 } else { u16::MAX });
    init.put_u32(PEER_TSN);
    init.put_slice(parameters);
    init
}

fn as_init(init: &[u8], damage: u16) {
    let now = Instant::now();
    let mut association = Association::new(Config::default(), [1; 32], now);
    let packet = packet(0, INIT, init);
    check_codec(&packet);
    association.handle_packet(now, &packet);
    let answers = drain(&mut association, now);
    assert_eq!(association.state(), State::Closed, "an INIT costs no state");
    assert_eq!(association.poll_timeout(), None);
    let length: usize = answers.iter().map(|answer| answer.len()).sum();
    assert!(answers.len() <= 1 && length <= 3 * packet.len() + MAX_FIXED_ANSWER, "{length}");
    let Some((tag, cookie)) = answers.first().and_then(|answer| cookie_of(answer)) else { return };

    // One bit of the cookie is changed; then it is cut; then it is as it was.
    let mut forged = cookie.clone();
    let at = usize::from(damage) % (8 * forged.len());
    forged[at / 8] ^= 1 << (at % 8);
    let cut = cookie.get(..usize::from(damage) % cookie.len()).unwrap_or_default();
    for wrong in [&forged[..], cut] {
        association.handle_packet(now, &echo(tag, wrong));
        assert_eq!(association.state(), State::Closed, "a cookie nobody made");
        drain(&mut association, now);
    }
    association.handle_packet(now, &echo(tag, &cookie));
    assert_eq!(association.state(), State::Established);
    drain(&mut association, now);
    association.check_invariants();
}

fn as_init_ack(init: &[u8]) {
    let now = Instant::now();
    let mut association = Association::new(Config::default(), [1; 32], now);
    association.connect(now);
    let ours = drain(&mut association, now);
    let (_, mut chunks) = wire::parse(&ours[0], true).expect("own packets are sound");
    let Some(Ok(Chunk::Init(ours))) = chunks.next() else { panic!("it begins with an INIT") };
    let packet = packet(ours.initiate_tag, INIT_ACK, init);
    check_codec(&packet);
    association.handle_packet(now, &packet);
    let state = association.state();
    let answers = drain(&mut association, now);
    let echoed = answers.iter().any(|answer| first_kind(answer) == Some(COOKIE_ECHO));
    assert_eq!(echoed, state == State::CookieEchoed, "{state:?}");
    association.check_invariants();
    // A peer that says no more: it ends in bounded time.
    for _ in 0..100 {
        let Some(deadline) = association.poll_timeout() else { break };
        association.handle_timeout(deadline);
        drain(&mut association, deadline);
    }
    assert!(association.close_reason().is_some());
    assert!(association.poll_timeout().is_none());
}

/// Taken apart and written anew, the parameters mean the same.
fn check_codec(packet: &[u8]) {
    let (_, mut chunks) = wire::parse(packet, false).expect("it has a sound header");
    let Some(Ok(Chunk::Init(init) | Chunk::InitAck(init))) = chunks.next() else { return };
    let Ok(list) = init.parameters.iter().collect::<Result<Vec<_>, _>>() else { return };
    let anew = Init { parameters: Parameters::new(&list), ..init };
    let mut written = BytesMut::new();
    anew.write_value(&mut written);
    let again = self::packet(0, INIT, &written);
    let (_, mut chunks) = wire::parse(&again, false).expect("it has a sound header");
    let Some(Ok(Chunk::Init(again))) = chunks.next() else { panic!("what was written is read") };
    assert_eq!(again.initial_tsn, Tsn(PEER_TSN));
    assert_eq!(again.parameters.iter().collect::<Result<Vec<_>, _>>(), Ok(list));
}

fn packet(tag: u32, kind: u8, value: &[u8]) -> Vec<u8> {
    let mut packet = BytesMut::new();
    packet.put_u16(5000);
    packet.put_u16(5000);
    packet.put_u32(tag);
    packet.put_u32(0);
    packet.put_u8(kind);
    packet.put_u8(0);
    packet.put_u16(u16::try_from(4 + value.len()).expect("parameters are cut"));
    packet.put_slice(value);
    packet.resize(packet.len().next_multiple_of(4), 0);
    let mut packet = packet.to_vec();
    wire::seal(&mut packet);
    packet
}

fn echo(tag: u32, cookie: &[u8]) -> BytesMut {
    let mut packet = BytesMut::new();
    let header = Header { source_port: 5000, destination_port: 5000, verification_tag: tag };
    let mut writer = PacketWriter::new(&mut packet, header, usize::from(u16::MAX));
    writer.push(&CookieEcho { cookie });
    writer.finish(Checksum::Crc32c);
    packet
}

/// Of an INIT ACK: the tag and the cookie.
fn cookie_of(packet: &[u8]) -> Option<(u32, Vec<u8>)> {
    let (_, chunks) = wire::parse(packet, true).ok()?;
    for chunk in chunks.flatten() {
        if let Chunk::InitAck(ack) = chunk {
            let cookie = ack.parameters.iter().flatten().find_map(|parameter| match parameter {
                Parameter::StateCookie(cookie) => Some(cookie.to_vec()),
                _ => None,
            });
            return cookie.map(|cookie| (ack.initiate_tag, cookie));
        }
    }
    None
}

fn first_kind(packet: &[u8]) -> Option<u8> {
    packet.get(Header::LEN).copied()
}

fn drain(association: &mut Association, now: Instant) -> Vec<BytesMut> {
    let mut packets = Vec::new();
    let mut buffer = BytesMut::new();
    while association.poll_transmit(now, &mut buffer) {
        packets.push(buffer.split());
        assert!(packets.len() < 100, "no end of packets");
    }
    while association.poll_event().is_some() {}
    packets
}

const PEER_TAG: u32 = 0x0102_0304;
const PEER_TSN: u32 = u32::MAX - 1;
const MAX_PARAMETERS: usize = 4000;
/// Of an INIT ACK to the smallest INIT: headers, our parameters, the cookie.
const MAX_FIXED_ANSWER: usize = 400;
/// RFC 9260 §3.2.
const INIT: u8 = 1;
const INIT_ACK: u8 = 2;
const COOKIE_ECHO: u8 = 10;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    proptest! {
        /// Parameters of every known type, whole or not.
        #[test]
        fn any_parameters(
            shape in prop_oneof![4 => Just(0_u8), 1 => any::<u8>()],
            damage in any::<u16>(),
            list in vec(
                (
                    prop_oneof![
                        5_u16..13, Just(0x8000), Just(0x8001), Just(0x8008), Just(0xc000), any::<u16>(),
                    ],
                    vec(any::<u8>(), 0..40),
                    -2_i16..3,
                ),
                0..8,
            ),
        ) {
            let mut data = vec![shape];
            data.extend(damage.to_be_bytes());
            for (kind, value, lie) in list {
                let length = 4 + i16::try_from(value.len()).unwrap() + lie.min(0);
                data.extend(kind.to_be_bytes());
                data.extend(length.to_be_bytes());
                data.extend_from_slice(&value);
                let behind = data.len() - 3;
                data.resize(3 + behind.next_multiple_of(4), 0);
            }
            parameters(&data);
        }
    }
}
