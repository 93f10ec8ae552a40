//! A peer that floods, in front of channels whose user reads nothing until it is over.

use super::raw_channels::{ACK, DCEP, PERFORMED, open_message, plain_open};
use super::raw_extensions::{INTERLEAVED, PARTIAL};
use super::raw_sctp::*;
use super::{ALLOCATOR, held};
use bytes::{Bytes, BytesMut};
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng as Rng;
use stats_alloc::Region;
use std::collections::BTreeMap;
use std::time::Instant;
use straits_sctp::{ChannelId, Channels, Config, Limits, MessageKind, Role, State};

/// The limits of an engine.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    pub window: usize,
    pub largest: usize,
    pub streams: u16,
    pub channels: usize,
    pub name_bytes: usize,
    pub incomplete: usize,
    pub gap_ranges: usize,
    pub queued_answers: usize,
    pub send_buffer: usize,
}

impl Settings {
    fn config(&self) -> Config {
        let limits = Limits::default()
            .incomplete_messages(self.incomplete)
            .gap_ranges(self.gap_ranges)
            .queued_answers(self.queued_answers);
        Config::default()
            .receive_window(self.window)
            .max_receive_message_size(self.largest)
            .incoming_streams(self.streams)
            .outgoing_streams(self.streams)
            .max_incoming_channels(self.channels)
            .max_channel_name_bytes(self.name_bytes)
            .send_buffer_limit(self.send_buffer)
            .limits(limits)
    }

    /// What all of it together allows.
    pub fn bound(&self) -> usize {
        let received = 2 * self.window + self.largest;
        // With I-DATA twice as many, if they began in sequence.
        let incomplete = 2 * self.incomplete * ENTRY + self.gap_ranges * 32;
        let channels = self.channels * PER_CHANNEL + self.name_bytes;
        let streams = usize::from(self.streams) * PER_STREAM;
        let answers = self.queued_answers * PACKET;
        received + incomplete + channels + streams + answers + self.send_buffer + FIXED
    }

    /// What is left when everything was read and closed: queues that are empty keep some room.
    pub fn bound_at_rest(&self) -> usize {
        FIXED + self.bound() / 8
    }
}

/// What an incomplete message takes beside its charge.
const ENTRY: usize = 128;
/// What a channel takes beside its name.
const PER_CHANNEL: usize = 1024;
/// What a stream that was used takes until it is reset.
const PER_STREAM: usize = 512;
/// What an answer takes that waits to be sent.
const PACKET: usize = 1191;
const FIXED: usize = 32 << 10;
/// What the user sends while nobody listens.
const UNHEARD: &[u8] = b"unheard of";

/// Sends one packet of a flood; the number of the packet.
pub type Attack = fn(&mut Flood, u32);

pub struct Flood {
    peer: RawPeer<Channels>,
    region: Region<'static, std::alloc::System>,
    pub rng: Rng,
    interleaved: bool,
    streams: u16,
    tsn: u32,
    /// The number of the next message of a stream, ordered ones and unordered ones.
    numbers: BTreeMap<(u16, bool), u32>,
    request: u32,
    /// The engine's last TSN that came, and its messages since they are listened to.
    heard: u32,
    messages: Vec<(u16, Vec<u8>)>,
    buffer: BytesMut,
    sent: usize,
}

impl Flood {
    /// A channel is open on stream 1, and the user has sent a lot on it that is not acknowledged.
    pub fn new(settings: Settings, interleaved: bool, seed: u64) -> Self {
        let start = Instant::now();
        let mut channels = Channels::new(settings.config(), [7; 32], start);
        channels.set_role(start, Role::Client);
        let mut peer = RawPeer::of(channels, start);
        let parameters = if interleaved { INTERLEAVED } else { PARTIAL };
        let mut init = parameters.iter().fold(peer.init(), |init, (kind, value)| init.with(*kind, value));
        init = init.with(ZERO_CHECKSUM_ACCEPTABLE, &1_u32.to_be_bytes());
        peer.takes_zero_checksum = true;
        (init.outgoing, init.incoming) = (settings.streams, settings.streams);
        peer.open_with(&init);
        let mut flood = Self {
            region: Region::new(ALLOCATOR),
            rng: Rng::seed_from_u64(seed),
            interleaved,
            streams: settings.streams,
            tsn: peer.tsn,
            numbers: BTreeMap::new(),
            request: peer.tsn,
            heard: peer.engine_tsn.wrapping_sub(1),
            messages: Vec::new(),
            buffer: BytesMut::with_capacity(4096),
            sent: 0,
            peer,
        };
        let id = flood.open_channel();
        let message = Bytes::from_static(UNHEARD);
        while flood.user(id, |channel, now| channel.send(now, MessageKind::Binary, message.clone())).is_ok() {
        }
        flood.drain();
        flood
    }

    /// So many packets; the most that was held.
    pub fn run(&mut self, packets: u32, attack: Attack) -> usize {
        let mut peak = 0;
        self.region.reset();
        for n in 0..packets {
            attack(self, n);
            // The network takes a few packets at a time.
            if n % 8 == 0 {
                self.drain();
            }
            while self.peer.engine.poll_event().is_some() {}
            peak = peak.max(held(&self.region));
            self.pass_time(n);
        }
        self.drain();
        peak
    }

    /// Packets that the engine sent.
    pub fn sent(&self) -> usize {
        self.sent
    }

    /// The peer gives everything up, resets everything, and answers; the user reads and forgets everything. Gives what is held
    /// then.
    pub fn recover(&mut self, name: &str) -> usize {
        assert_eq!(self.peer.engine.association().state(), State::Established, "{name}");
        self.forward(&[]);
        self.listen();
        // Twice: one may have been deferred.
        for _ in 0..2 {
            self.reset(&[]);
            self.listen();
            self.user_reads_and_forgets();
        }
        self.numbers.clear();
        // Until a heartbeat finds it at rest.
        (0..70).for_each(|_| self.listen());
        assert_eq!(self.peer.engine.ids().count(), 0, "{name}");
        let stats = self.peer.engine.association().stats();
        assert_eq!((stats.bytes_in_flight, stats.unacknowledged_chunks), (0, 0), "{name}");
        let rest = held(&self.region);
        let id = self.open_channel();
        self.listen();
        self.message(1, false, WHOLE, 51, b"hello");
        let said = self.user(id, |channel, now| channel.recv(now)).map(|message| message.data);
        assert_eq!(said.as_deref(), Some(&b"hello"[..]), "{name}");
        let reply = Bytes::from_static(b"world");
        self.user(id, |channel, now| channel.send(now, MessageKind::Text, reply)).unwrap();
        self.messages.clear();
        self.listen();
        assert_eq!(self.messages, [(1, b"world".to_vec())], "{name}");
        rest
    }

    pub fn any_stream(&mut self) -> u16 {
        self.rng.random_range(0..self.streams)
    }

    /// A TSN that never comes.
    pub fn skip(&mut self) {
        self.tsn = self.tsn.wrapping_add(1);
    }

    pub fn messages(&mut self, count: usize, stream: impl Fn(&mut Self) -> u16, unordered: bool) {
        let chunks: Vec<_> = (0..count)
            .map(|_| {
                let stream = stream(self);
                self.chunk(stream, unordered, WHOLE, 53, b"x")
            })
            .collect();
        self.send(&chunks);
    }

    pub fn large_message(&mut self) {
        let chunk = self.chunk(1, false, WHOLE, 53, &[7; 3000]);
        self.send(&[chunk]);
    }

    /// So many messages that begin, and others that go on, with holes between them.
    pub fn fragments(&mut self, kinds: u16, stream: impl Fn(&mut Self) -> u16) {
        let chunks: Vec<_> = (0..8)
            .map(|n| {
                self.skip();
                let flags = if n % kinds == 0 { FIRST } else { 0 };
                let (stream, unordered) = (stream(self), self.rng.random());
                let len = self.rng.random_range(1..100);
                self.chunk(stream, unordered, flags, 53, &vec![7; len])
            })
            .collect();
        self.send(&chunks);
    }

    pub fn gaps(&mut self) {
        let chunks: Vec<_> = (0..20)
            .map(|_| {
                self.skip();
                self.chunk(1, true, WHOLE, 53, b"x")
            })
            .collect();
        self.send(&chunks);
    }

    /// FORWARD TSN over some, with a list.
    pub fn forwards(&mut self, count: usize) {
        self.tsn = self.tsn.wrapping_add(self.rng.random_range(1..40));
        let list: Vec<_> = (0..count).map(|_| (self.any_stream(), self.rng.random_range(0..500))).collect();
        self.forward(&list);
    }

    pub fn resets(&mut self, n: u32) {
        let list: Vec<_> = (0..4 * (n % 50)).map(|_| self.any_stream()).collect();
        let chunk = self.chunk(1, true, WHOLE, 53, b"x");
        self.send(&[chunk]);
        // Some wait for what does not come.
        if n % 7 == 6 {
            self.skip();
        }
        self.reset(&list);
    }

    /// Incoming SSN Reset Requests, and requests for more streams.
    pub fn asks_for_resets(&mut self, n: u32) {
        let mut value = self.request.to_be_bytes().to_vec();
        // RFC 6525 §4.2, §4.5, §4.6: a list of streams, or how many are to be added.
        let kind = [14, 14, 17, 18][n as usize % 4];
        if kind == 14 {
            (0..4 * (n % 50)).for_each(|_| value.extend(self.any_stream().max(2).to_be_bytes()));
        } else {
            value.extend([0, 1, 0, 0]);
        }
        self.request = self.request.wrapping_add(1);
        self.send(&[reconfig(&[tlv(kind, &value)])]);
    }

    pub fn opens(&mut self, name: usize) {
        let stream = self.any_stream() | 1;
        let name = vec![b'n'; name];
        self.message(
            stream.min(self.streams - 2 + self.streams % 2),
            false,
            WHOLE,
            DCEP,
            &open_message(0, 256, 0, &name, &name),
        );
    }

    pub fn noise(&mut self, n: u32) {
        let text = [b'x'; 900];
        match n % 4 {
            0 => self.send(&[heartbeat(&text)]),
            1 => self.send(&vec![Chunk::new(0xC1, 0, &text[..16 * (n as usize % 50)]); 10]),
            2 => self.send(&vec![error(&[tlv(12, &text[..8])]); 50]),
            _ => {
                let init = Init { tag: n + 1, ..self.peer.init() }.with(0x8001, &text[..100]).chunk(INIT);
                self.peer.send_tagged(0, &[init]);
            }
        }
    }

    pub fn sacks(&mut self, n: u32) {
        let base = self.peer.engine_tsn.wrapping_sub(1);
        let gaps = if n.is_multiple_of(2) { vec![] } else { (1..40).map(|n| (3 * n, 3 * n + 1)).collect() };
        let window = if n.is_multiple_of(3) { u32::MAX } else { 0 };
        self.send(&[
            Sack { window, gaps, duplicates: vec![base; 2 * (n as usize % 50)], ..Sack::new(base) }.chunk()
        ]);
    }

    fn forward(&mut self, list: &[(u16, u32)]) {
        let last = self.tsn.wrapping_sub(1);
        let chunk = if self.interleaved {
            let list: Vec<_> =
                list.iter().map(|(stream, number)| (*stream, number % 2 == 1, *number)).collect();
            i_forward_tsn(last, &list)
        } else {
            let list: Vec<_> = list.iter().map(|(stream, number)| (*stream, *number as u16)).collect();
            forward_tsn(last, &list)
        };
        self.send(&[chunk]);
    }

    fn reset(&mut self, streams: &[u16]) {
        let last = self.tsn.wrapping_sub(1);
        let request = outgoing_reset(self.request, 0, last, streams);
        self.request = self.request.wrapping_add(1);
        self.send(&[reconfig(&[request])]);
    }

    fn message(&mut self, stream: u16, unordered: bool, flags: u8, ppid: u32, payload: &[u8]) {
        let chunk = self.chunk(stream, unordered, flags, ppid, payload);
        self.send(&[chunk]);
    }

    /// The next DATA or I-DATA.
    fn chunk(&mut self, stream: u16, unordered: bool, flags: u8, ppid: u32, payload: &[u8]) -> Chunk {
        let tsn = self.tsn;
        self.skip();
        let number = self.numbers.entry((stream, unordered)).or_default();
        let (this, flags) = (*number, flags | if unordered { UNORDERED } else { 0 });
        *number = number.wrapping_add(1);
        if self.interleaved {
            // A middle has a number of its own among the fragments.
            let ppid_or_fsn = if flags & FIRST != 0 { ppid } else { 1 + tsn % 1000 };
            return i_data(tsn, flags, stream, this, ppid_or_fsn, payload);
        }
        let mut chunk = data(tsn, flags, stream, this as u16, payload);
        chunk.value[8..12].copy_from_slice(&ppid.to_be_bytes());
        chunk
    }

    /// Without a checksum (RFC 9653), which the raw peer takes long to make.
    fn send(&mut self, chunks: &[Chunk]) {
        let mut bytes = [PORT.to_be_bytes(), PORT.to_be_bytes()].concat();
        bytes.extend(self.peer.engine_tag.to_be_bytes());
        bytes.extend([0; 4]);
        chunks.iter().for_each(|chunk| bytes.extend(chunk.padded_with(0)));
        self.peer.send_bytes(&bytes);
    }

    fn user<T>(
        &mut self,
        id: ChannelId,
        act: impl FnOnce(&mut straits_sctp::Channel<'_>, Instant) -> T,
    ) -> T {
        let now = self.peer.now;
        act(&mut self.peer.engine.channel(id).expect("a channel that was not forgotten"), now)
    }

    fn open_channel(&mut self) -> ChannelId {
        self.message(1, false, WHOLE, DCEP, &plain_open());
        let ids: Vec<_> = self.peer.engine.ids().collect();
        assert_eq!(ids.len(), 1);
        ids[0]
    }

    fn user_reads_and_forgets(&mut self) {
        for id in self.peer.engine.ids().collect::<Vec<_>>() {
            while self.user(id, |channel, now| channel.recv(now)).is_some() {}
            self.peer.engine.forget(id);
        }
        while self.peer.engine.poll_event().is_some() {}
        self.listen();
    }

    /// Timers run, but so that nothing is given up.
    fn pass_time(&mut self, n: u32) {
        if n.is_multiple_of(100) {
            self.peer.now += ms(10);
            self.peer.engine.handle_timeout(self.peer.now);
        }
    }

    /// Takes what the engine sends, and does not answer.
    fn drain(&mut self) -> Vec<Chunk> {
        let mut all = Vec::new();
        self.buffer.clear();
        while self.peer.engine.poll_transmit(self.peer.now, &mut self.buffer) {
            self.sent += 1;
            let mut rest = &self.buffer[12..];
            while !rest.is_empty() {
                let len = usize::from(be16(rest, 2));
                all.push(Chunk::new(rest[0], rest[1], &rest[4..len]));
                rest = &rest[len.next_multiple_of(4)..];
            }
            self.buffer.clear();
        }
        let header = 12 + 4 * usize::from(self.interleaved);
        for chunk in all.iter().filter(|chunk| chunk.is_data()) {
            if chunk.tsn() == self.heard.wrapping_add(1) {
                self.heard = chunk.tsn();
                self.messages.push((be16(&chunk.value, 4), chunk.value[header..].to_vec()));
            }
        }
        self.messages.retain(|(_, data)| data[..] != *UNHEARD && data[..] != ACK);
        all
    }

    /// Answers what the engine sends and asks for, until it is silent.
    fn listen(&mut self) {
        loop {
            let chunks = self.drain();
            let mut answers = vec![Sack { window: 16 << 20, ..Sack::new(self.heard) }.chunk()];
            for chunk in &chunks {
                match chunk.kind {
                    RE_CONFIG => {
                        let requests = split(&chunk.value).into_iter().filter(|(kind, _)| *kind == 13);
                        answers
                            .extend(requests.map(|(_, value)| {
                                reconfig(&[reconfig_response(be32(&value, 0), PERFORMED)])
                            }));
                    }
                    HEARTBEAT => answers.push(Chunk::new(HEARTBEAT_ACK, 0, &chunk.value)),
                    _ => {}
                }
            }
            self.send(&answers);
            self.peer.now += secs(1);
            self.peer.engine.handle_timeout(self.peer.now);
            if chunks.is_empty() {
                return;
            }
        }
    }
}
