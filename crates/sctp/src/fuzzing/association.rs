//! An established association with channels, and a peer inside DTLS that sends what it likes.

use super::reconfig::Requests;
use super::script::Script;
use crate::dcep::{ChannelId, ChannelInit, ChannelState, Channels, MessageKind, Role};
use crate::number::{Mid, Ppid, Ssn, StreamId, Tsn};
use crate::wire::{
    self, Checksum, Chunk, Data, ForwardTsn, Fragment, GapBlock, Header, IData, IForwardTsn, List,
    PacketWriter, ReConfig, ReconfigParameter, ReconfigParameters, Sack, SkippedMessages, SkippedStream,
    WriteChunk,
};
use crate::{Config, Reliability, State};
use bytes::{Bytes, BytesMut};
use std::time::{Duration, Instant};

/// A script of packets, calls and time, run against an association that its peer has just opened.
///
/// The first byte says what the two agree on. Numbers in the script are relative to those of the association, so that a
/// fuzzer reaches past the checks.
pub fn association(script: &[u8]) {
    let mut script = Script::new(script);
    let agreement = script.byte();
    let mut run = Run::new(agreement & 1 != 0, agreement & 2 != 0);
    while let Some(step) = script.step() {
        run.step(step, &mut script);
        run.check();
    }
    run.finish();
}

pub(super) struct Run {
    now: Instant,
    end: Channels,
    tag: u32,
    /// The first TSNs of the association and of its peer.
    pub(super) local_tsn: u32,
    pub(super) peer_tsn: u32,
    interleaving: bool,
    opened: Vec<ChannelId>,
    requests: Requests,
}

impl Run {
    pub(super) fn new(partial_reliability: bool, interleaving: bool) -> Self {
        let now = Instant::now();
        let config = Config::default()
            .receive_window(200_000)
            .max_receive_message_size(50_000)
            .send_buffer_limit(SEND_BUFFER)
            .partial_reliability(partial_reliability)
            .interleaving(interleaving);
        let mut end = Channels::new(config.clone(), [1; 32], now);
        let mut peer = Channels::new(config, [2; 32], now);
        end.set_role(now, Role::Client);
        peer.set_role(now, Role::Server);
        let opened = vec![end.open(now, ChannelInit::default()).expect("nothing is open yet")];
        peer.connect(now);
        let mut packet = BytesMut::new();
        while end.poll_transmit(now, &mut packet) || peer.poll_transmit(now, &mut packet) {
            // Each drops what it sent itself.
            end.handle_packet(now, &packet);
            peer.handle_packet(now, &packet);
            packet.clear();
        }
        assert_eq!(end.association().state(), State::Established);
        let requests = Requests::default();
        let mut run = Self { now, end, tag: 0, local_tsn: 0, peer_tsn: 0, interleaving, opened, requests };
        run.read_agreement();
        run
    }

    /// Numbers and ways are new after a restart.
    fn read_agreement(&mut self) {
        let association = self.end.association();
        if let Some([(tag, local), (_, peer)]) = association.agreed() {
            self.interleaving = association.interleaves();
            self.requests = Requests::default();
            (self.tag, self.local_tsn, self.peer_tsn) = (tag, local, peer);
        }
    }

    /// Channels with something on its way in both directions.
    pub(super) fn fill(&mut self) {
        for priority in [128, 256] {
            let init = ChannelInit { priority, ..ChannelInit::default() };
            self.opened.extend(self.end.open(self.now, init));
        }
        for id in self.opened.clone() {
            if let Some(mut channel) = self.end.channel(id) {
                let data = Bytes::from(vec![0; 5000]);
                channel.send(self.now, MessageKind::Binary, data).expect("it is open");
            }
        }
        // The beginning of a message, and a whole one behind a gap.
        for (offset, flags) in [(0, 1), (2, 3)] {
            self.data(&mut Script::new(&[offset, flags, 1, 3, 1, 0]));
        }
    }

    pub(super) fn step(&mut self, step: u8, script: &mut Script<'_>) {
        match step % 14 {
            0 => self.raw_packet(script),
            1..=3 => self.data(script),
            4 | 5 => self.sack(script),
            6 => self.reconfig(script),
            7 => {
                self.now += Duration::from_millis(u64::from(script.u16()));
                self.end.handle_timeout(self.now);
            }
            8 => {
                if let Some(deadline) = self.end.poll_timeout() {
                    self.now = self.now.max(deadline);
                    self.end.handle_timeout(self.now);
                }
            }
            9 => self.call(script),
            10 => self.read(),
            11 => self.init(script),
            _ => self.forward_tsn(script),
        }
    }

    /// Any chunks with the right tag.
    fn raw_packet(&mut self, script: &mut Script<'_>) {
        self.requests.received();
        let length = usize::from(script.u16() % 2000);
        let mut packet = self.header(self.tag);
        packet.extend_from_slice(script.take(length));
        wire::seal(&mut packet);
        self.end.handle_packet(self.now, &packet);
    }

    fn data(&mut self, script: &mut Script<'_>) {
        let (offset, flags, stream, ppid) = (script.byte(), script.byte(), script.byte(), script.byte());
        let length = usize::from(script.u16() % 1200);
        let payload = vec![ppid; length];
        let own = script.take(usize::from(flags >> 4));
        let data = Data {
            tsn: Tsn(self.peer_tsn.wrapping_add(offset.into())),
            stream: StreamId(u16::from(stream % 8)),
            ssn: Ssn(u16::from(stream / 8)),
            ppid: Ppid(50 + u32::from(ppid % 10)),
            begin: flags & 1 != 0,
            end: flags & 2 != 0,
            unordered: flags & 4 != 0,
            immediate: flags & 8 != 0,
            payload: if own.is_empty() { &payload } else { own },
        };
        if self.interleaving {
            self.feed(&interleaved(&data, script.byte()));
        } else {
            self.feed(&data);
        }
    }

    fn forward_tsn(&mut self, script: &mut Script<'_>) {
        let (offset, count) = (script.byte(), script.byte() % 6);
        let new_cumulative_tsn = Tsn(self.peer_tsn.wrapping_sub(1).wrapping_add(offset.into()));
        let entries: Vec<(StreamId, u8)> =
            (0..count).map(|_| (StreamId(u16::from(script.byte() % 10)), script.byte())).collect();
        if self.interleaving {
            let messages = |(stream, number): &(StreamId, u8)| SkippedMessages {
                stream: *stream,
                unordered: number & 1 != 0,
                mid: Mid(u32::from(number / 2)),
            };
            let streams: Vec<_> = entries.iter().map(messages).collect();
            self.feed(&IForwardTsn { new_cumulative_tsn, streams: List::new(&streams) });
        } else {
            let ordered = |(stream, number): &(StreamId, u8)| SkippedStream {
                stream: *stream,
                ssn: Ssn((*number).into()),
            };
            let streams: Vec<_> = entries.iter().map(ordered).collect();
            self.feed(&ForwardTsn { new_cumulative_tsn, streams: List::new(&streams) });
        }
    }

    fn sack(&mut self, script: &mut Script<'_>) {
        let (offset, a_rwnd) = (script.byte(), script.u16());
        let count = usize::from(script.byte() % 6);
        let mut end = 0_u16;
        let gaps: Vec<GapBlock> = (0..count)
            .map(|_| {
                let start = end.wrapping_add(u16::from(script.byte()));
                end = start.wrapping_add(u16::from(script.byte()));
                GapBlock { start, end }
            })
            .collect();
        self.feed(&Sack {
            cumulative_tsn: Tsn(self.local_tsn.wrapping_sub(1).wrapping_add(offset.into())),
            a_rwnd: u32::from(a_rwnd) * 16,
            gaps: List::new(&gaps),
            duplicates: List::EMPTY,
        });
    }

    fn reconfig(&mut self, script: &mut Script<'_>) {
        let (kind, number, last) = (script.byte(), script.byte(), script.byte());
        let streams: Vec<StreamId> =
            (0..kind / 16).map(|_| StreamId(u16::from(script.byte() % 10))).collect();
        let request = self.peer_tsn.wrapping_add(number.into());
        let streams = List::new(&streams);
        let parameter = match kind % 4 {
            0 | 1 => ReconfigParameter::OutgoingReset {
                request,
                response: self.local_tsn,
                last_tsn: Tsn(self.peer_tsn.wrapping_sub(1).wrapping_add(last.into())),
                streams,
            },
            2 => ReconfigParameter::IncomingReset { request, streams },
            _ => ReconfigParameter::Response {
                response: self.local_tsn.wrapping_add(number.into()),
                result: match last % 4 {
                    0 => wire::ReconfigResult::NothingToDo,
                    1 => wire::ReconfigResult::Performed,
                    2 => wire::ReconfigResult::Denied,
                    _ => wire::ReconfigResult::InProgress,
                },
                next_tsns: None,
            },
        };
        self.feed(&ReConfig { parameters: ReconfigParameters::new(&[parameter]) });
    }

    /// An INIT of a peer that starts anew, and the return of whatever cookie it gets.
    fn init(&mut self, script: &mut Script<'_>) {
        let mut packet = self.header(0);
        let tag = u32::from(script.byte());
        packet.extend_from_slice(&[1, 0, 0, 20]);
        packet.extend_from_slice(&tag.to_be_bytes());
        packet.extend_from_slice(&[0, 1, 0, 0, 1, 0, 1, 0]);
        packet.extend_from_slice(&self.peer_tsn.to_be_bytes());
        wire::seal(&mut packet);
        self.end.handle_packet(self.now, &packet);
        let mut answer = BytesMut::new();
        if !self.end.poll_transmit(self.now, &mut answer) {
            return;
        }
        let Ok((_, chunks)) = wire::parse(&answer, true) else { return };
        for chunk in chunks.flatten() {
            if let Chunk::InitAck(ack) = chunk {
                for parameter in ack.parameters.iter().flatten() {
                    if let wire::Parameter::StateCookie(cookie) = parameter {
                        let echo = wire::CookieEcho { cookie };
                        let packet = self.packet(ack.initiate_tag, &echo);
                        self.end.handle_packet(self.now, &packet);
                    }
                }
            }
        }
        self.read_agreement();
    }

    fn call(&mut self, script: &mut Script<'_>) {
        let (call, which) = (script.byte(), usize::from(script.byte()));
        let now = self.now;
        let id = self.opened.get(which % self.opened.len().max(1)).copied();
        match call % 8 {
            0 => {
                let reliability = match which / 2 % 4 {
                    0 => Reliability::Reliable,
                    1 => Reliability::MaxRetransmits(0),
                    2 => Reliability::MaxRetransmits(1),
                    _ => Reliability::MaxLifetime(Duration::from_millis(300)),
                };
                let init = ChannelInit {
                    ordered: which.is_multiple_of(2),
                    reliability,
                    priority: u16::from(script.byte()),
                    ..ChannelInit::default()
                };
                if let Ok(id) = self.end.open(now, init) {
                    self.opened.push(id);
                }
            }
            1..=3 => {
                let data = Bytes::from(vec![0; usize::from(script.u16())]);
                if let Some(mut channel) = id.and_then(|id| self.end.channel(id)) {
                    // Refusals are part of the game.
                    let _ = channel.send_part(now, MessageKind::Binary, data, call < 200);
                }
            }
            4 => {
                if let Some(mut channel) = id.and_then(|id| self.end.channel(id)) {
                    channel.close(now);
                }
            }
            5 => {
                if let Some(mut channel) = id.and_then(|id| self.end.channel(id)) {
                    channel.abort(now);
                }
            }
            6 => self.end.path_changed(now),
            _ if call >= 240 => self.end.shutdown(now),
            _ => {}
        }
    }

    fn read(&mut self) {
        let ids: Vec<ChannelId> = self.end.ids().collect();
        for id in ids {
            let now = self.now;
            if let Some(mut channel) = self.end.channel(id) {
                while channel.recv(now).is_some() {}
                if channel.state() == ChannelState::Closed {
                    self.end.forget(id);
                }
            }
        }
    }

    pub(super) fn feed(&mut self, chunk: &dyn WriteChunk) {
        self.requests.received();
        let packet = self.packet(self.tag, chunk);
        self.end.handle_packet(self.now, &packet);
    }

    fn packet(&self, tag: u32, chunk: &dyn WriteChunk) -> BytesMut {
        let mut packet = BytesMut::new();
        let header = Header { source_port: 5000, destination_port: 5000, verification_tag: tag };
        let mut writer = PacketWriter::new(&mut packet, header, 65_535);
        writer.push(chunk);
        writer.finish(Checksum::Crc32c);
        packet
    }

    fn header(&self, tag: u32) -> Vec<u8> {
        let mut header = vec![0x13, 0x88, 0x13, 0x88];
        header.extend_from_slice(&tag.to_be_bytes());
        header.extend_from_slice(&[0; 4]);
        header
    }

    /// What must hold whatever came.
    pub(super) fn check(&mut self) {
        let mut buffer = BytesMut::new();
        let mut packets = 0;
        while self.end.poll_transmit(self.now, &mut buffer) {
            assert!(buffer.len() <= 1191, "a packet of {} bytes", buffer.len());
            let (_, mut chunks) = wire::parse(&buffer, true).expect("own packets are sound");
            assert!(chunks.all(|chunk| chunk.is_ok()), "own chunks are sound");
            self.requests.sent(&buffer);
            buffer.clear();
            packets += 1;
            assert!(packets < 10_000, "no end of packets");
        }
        while self.end.poll_event().is_some() {}
        self.end.association().check_invariants();
        let undelivered = self.end.undelivered();
        assert!(undelivered <= SEND_BUFFER, "{undelivered} bytes wait to be sent");
    }

    /// A peer that went silent: the association comes to rest in bounded time.
    pub(super) fn finish(&mut self) {
        self.end.shutdown(self.now);
        for _ in 0..1000 {
            self.check();
            match self.end.poll_timeout() {
                Some(deadline) => {
                    assert!(deadline > self.now || self.end.association().close_reason().is_none());
                    self.now = self.now.max(deadline);
                    self.end.handle_timeout(self.now);
                }
                None => break,
            }
        }
        assert!(self.end.association().close_reason().is_some(), "never stuck: {:#?}", self.end);
    }
}

/// The same fragment as I-DATA: the SSN is its MID, and the FSN is given.
fn interleaved<'a>(data: &Data<'a>, fsn: u8) -> IData<'a> {
    IData {
        tsn: data.tsn,
        stream: data.stream,
        mid: Mid(data.ssn.0.into()),
        fragment: if data.begin { Fragment::First(data.ppid) } else { Fragment::Later(u32::from(fsn % 8)) },
        end: data.end,
        unordered: data.unordered,
        immediate: data.immediate,
        payload: data.payload,
    }
}

/// Little, so that scripts fill it and no run is long.
const SEND_BUFFER: usize = 1 << 20;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_script_comes_to_rest(script in vec(any::<u8>(), 0..400)) {
            association(&script);
        }

        /// Numbers close to the expected ones.
        #[test]
        fn likely_scripts_come_to_rest(
            agreement in 0..4_u8,
            steps in vec((0..14_u8, vec(prop_oneof![0..8_u8, any::<u8>()], 6..14)), 0..60)
        ) {
            let mut script = vec![agreement];
            script.extend(steps.into_iter().flat_map(|(step, rest)| [vec![step], rest].concat()));
            association(&script);
        }
    }
}
