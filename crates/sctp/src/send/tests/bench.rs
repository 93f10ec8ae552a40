//! A sender with the peer played by hand.

use super::super::*;
use crate::wire::{self, Chunk, Data, Fragment, GapBlock, IData, List, PacketWriter, Sack};
use bytes::BytesMut;

/// A sender, the packets it wrote, and the peer's answers by hand.
pub(super) struct Bench {
    pub(super) sender: Sender,
    pub(super) now: Instant,
    pub(super) buffer: BytesMut,
    pub(super) initial: u32,
    pub(super) a_rwnd: u32,
    /// FORWARD TSNs and I-FORWARD-TSNs since they were looked at.
    pub(super) forwards: Vec<Forwarded>,
}

/// What the wire shows of a DATA or I-DATA chunk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) tsn: u32,
    pub(super) stream: u16,
    /// The MID of I-DATA.
    pub(super) ssn: u32,
    pub(super) fsn: u32,
    pub(super) flags: String,
    pub(super) payload: Vec<u8>,
}

/// What the wire shows of a FORWARD TSN or an I-FORWARD-TSN: its TSN relative to the initial one, and stream, U, SSN or
/// MID.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Forwarded {
    pub(super) point: u32,
    pub(super) skipped: Vec<(u16, bool, u32)>,
}

pub(super) const INITIAL: u32 = 1000;
/// Room for 1160 bytes of payload.
pub(super) const PACKET: usize = 1188;
pub(super) const FULL: usize = 1160;
pub(super) const CHUNK: usize = 1176;
pub(super) const WINDOW: u32 = 1 << 20;

/// Without extensions.
pub(super) const TERMS: Terms = Terms {
    initial_tsn: Tsn(INITIAL),
    peer_rwnd: WINDOW,
    streams: 100,
    max_packet: PACKET,
    partial_reliability: false,
    interleaving: false,
};

pub(super) const fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

impl Bench {
    pub(super) fn new(config: SenderConfig) -> Self {
        Self::agreeing_on(config, TERMS)
    }

    pub(super) fn agreeing_on(config: SenderConfig, terms: Terms) -> Self {
        let mut bench = Self {
            sender: Sender::new(config),
            now: Instant::now(),
            buffer: BytesMut::new(),
            initial: terms.initial_tsn.0,
            a_rwnd: WINDOW,
            forwards: Vec::new(),
        };
        bench.sender.start(bench.now, &terms);
        bench
    }

    /// No burst limit, so that only the windows count.
    pub(super) fn strict() -> Self {
        Self::new(SenderConfig { max_burst: None, ..SenderConfig::strict() })
    }

    pub(super) fn send(&mut self, stream: u16, data: impl Into<Vec<u8>>) {
        self.try_send(stream, data).expect("sends");
    }

    pub(super) fn try_send(&mut self, stream: u16, data: impl Into<Vec<u8>>) -> Result<(), SendError> {
        self.part(stream, data, true)
    }

    pub(super) fn part(
        &mut self,
        stream: u16,
        data: impl Into<Vec<u8>>,
        last: bool,
    ) -> Result<(), SendError> {
        self.limited_part(stream, data, last, true, Reliability::Reliable)
    }

    pub(super) fn limited(&mut self, stream: u16, data: impl Into<Vec<u8>>, reliability: Reliability) {
        self.limited_part(stream, data, true, true, reliability).expect("sends");
    }

    pub(super) fn limited_part(
        &mut self,
        stream: u16,
        data: impl Into<Vec<u8>>,
        last: bool,
        ordered: bool,
        reliability: Reliability,
    ) -> Result<(), SendError> {
        let data = Bytes::from(data.into());
        self.sender.send_part(self.now, StreamId(stream), Ppid::BINARY, data, last, ordered, reliability)
    }

    /// The next packet, if one may leave. What the sender wants and what it does are the same, unless all that it wants to
    /// send has expired.
    pub(super) fn packet(&mut self) -> Option<Vec<Seen>> {
        let (wants, abandoned) =
            (self.sender.wants_to_send(self.now), self.sender.stats().messages_abandoned);
        self.buffer.clear();
        let header = Header { source_port: 1, destination_port: 2, verification_tag: 3 };
        let mut writer = PacketWriter::new(&mut self.buffer, header, PACKET);
        let forwarded = self.sender.write_forward_tsn(self.now, &mut writer);
        let wrote = self.sender.write_data(self.now, &mut writer) || forwarded;
        let len = writer.finish(wire::Checksum::Zero);
        assert!(len <= PACKET);
        let expired = self.sender.stats().messages_abandoned > abandoned;
        assert!(wants == wrote || (wants && expired), "wants_to_send tells the truth");
        assert_eq!(wrote, len > 0);
        self.check_timers();
        wrote.then(|| self.parse())
    }

    pub(super) fn parse(&mut self) -> Vec<Seen> {
        let (_, chunks) = wire::parse(&self.buffer, true).expect("a packet");
        let mut seen = Vec::new();
        for chunk in chunks {
            match chunk.expect("a chunk") {
                Chunk::Data(data) => seen.push(Seen::data(&data)),
                Chunk::IData(data) => seen.push(Seen::i_data(&data)),
                Chunk::ForwardTsn(forward) => {
                    assert!(seen.is_empty(), "control chunks come first");
                    let skipped =
                        forward.streams.iter().map(|skipped| (skipped.stream.0, false, skipped.ssn.0.into()));
                    let point = forward.new_cumulative_tsn.0.wrapping_sub(self.initial);
                    self.forwards.push(Forwarded { point, skipped: skipped.collect() });
                }
                Chunk::IForwardTsn(forward) => {
                    assert!(seen.is_empty(), "control chunks come first");
                    let skipped = forward
                        .streams
                        .iter()
                        .map(|skipped| (skipped.stream.0, skipped.unordered, skipped.mid.0));
                    let point = forward.new_cumulative_tsn.0.wrapping_sub(self.initial);
                    self.forwards.push(Forwarded { point, skipped: skipped.collect() });
                }
                other => panic!("unexpected {other}"),
            }
        }
        seen
    }

    /// What the peer was told of skipped messages since this was called last.
    pub(super) fn forwards(&mut self) -> Vec<Forwarded> {
        std::mem::take(&mut self.forwards)
    }

    /// All packets that may leave now.
    pub(super) fn packets(&mut self) -> Vec<Vec<Seen>> {
        std::iter::from_fn(|| self.packet()).collect()
    }

    /// Their TSNs, packet by packet, relative to the initial one.
    pub(super) fn tsns(&mut self) -> Vec<Vec<u32>> {
        let (packets, initial) = (self.packets(), self.initial);
        packets
            .iter()
            .map(|packet| packet.iter().map(|seen| seen.tsn.wrapping_sub(initial)).collect())
            .collect()
    }

    /// A SACK up to before `next`, relative to the initial TSN, with gap blocks as TSNs relative to it, both included.
    pub(super) fn sack(&mut self, next: u32, gaps: &[(u32, u32)]) -> Acked {
        match self.raw_sack(next, gaps) {
            SackOutcome::Processed(acked) => acked,
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn raw_sack(&mut self, next: u32, gaps: &[(u32, u32)]) -> SackOutcome {
        let offset = |tsn: u32| u16::try_from(tsn + 1 - next).expect("an offset");
        let gaps: Vec<_> =
            gaps.iter().map(|&(start, end)| GapBlock { start: offset(start), end: offset(end) }).collect();
        let sack = Sack {
            cumulative_tsn: Tsn(self.initial.wrapping_add(next).wrapping_sub(1)),
            a_rwnd: self.a_rwnd,
            gaps: List::new(&gaps),
            duplicates: List::EMPTY,
        };
        let outcome = self.sender.handle_sack(self.now, &sack);
        self.check_timers();
        outcome
    }

    /// A permanent stall is impossible: outstanding data has a timer, and so has data that a window holds back.
    pub(super) fn check_timers(&self) {
        let sender = &self.sender;
        assert_eq!(!sender.outstanding.is_empty(), sender.t3.is_running());
        if !sender.is_idle() && sender.queue.next().is_some() {
            assert!(sender.poll_timeout().is_some() || sender.wants_to_send(self.now), "stuck");
        }
    }

    pub(super) fn pass(&mut self, time: Duration) -> Option<T3Expired> {
        self.now += time;
        self.sender.handle_timeout(self.now)
    }

    /// To just before the next deadline, where nothing happens, and to it. Gives how long it took.
    pub(super) fn run_to_deadline(&mut self) -> (Duration, Option<T3Expired>) {
        let deadline = self.sender.poll_timeout().expect("a timer");
        let time = deadline - self.now;
        assert_eq!(self.pass(time - Duration::from_nanos(1)), None);
        assert!(!self.sender.wants_to_send(self.now));
        let expired = self.pass(Duration::from_nanos(1));
        (time, expired)
    }
}

pub(super) fn whole(tsn: u32, stream: u16, ssn: u32, payload: &[u8]) -> Seen {
    Seen { tsn, stream, ssn, fsn: 0, flags: "BE".into(), payload: payload.to_vec() }
}

impl Seen {
    pub(super) fn data(data: &Data<'_>) -> Self {
        Self {
            tsn: data.tsn.0,
            stream: data.stream.0,
            ssn: data.ssn.0.into(),
            fsn: 0,
            flags: flags(data.immediate, data.unordered, data.begin, data.end),
            payload: data.payload.to_vec(),
        }
    }

    pub(super) fn i_data(data: &IData<'_>) -> Self {
        let (begin, fsn) = match data.fragment {
            Fragment::First(_) => (true, 0),
            Fragment::Later(fsn) => (false, fsn),
        };
        Self {
            tsn: data.tsn.0,
            stream: data.stream.0,
            ssn: data.mid.0,
            fsn,
            flags: flags(data.immediate, data.unordered, begin, data.end),
            payload: data.payload.to_vec(),
        }
    }
}

pub(super) fn flags(immediate: bool, unordered: bool, begin: bool, end: bool) -> String {
    [(immediate, 'I'), (unordered, 'U'), (begin, 'B'), (end, 'E')]
        .into_iter()
        .filter_map(|(set, letter)| set.then_some(letter))
        .collect()
}

/// Windows that do not matter.
pub(super) fn wide() -> SenderConfig {
    let mut config = SenderConfig { max_burst: None, ..SenderConfig::default() };
    config.congestion.initial_window = crate::congestion::InitialWindow::Packets(10_000);
    config
}

/// `count` full chunks in flight in packets of their own, with a window of `2 * count` packets.
pub(super) fn in_flight(count: usize) -> Bench {
    let mut config = SenderConfig { max_burst: None, ..SenderConfig::default() };
    config.congestion.initial_window = crate::congestion::InitialWindow::Packets(2 * count);
    let mut bench = Bench::new(config);
    bench.send(0, vec![1; count * FULL]);
    assert_eq!(bench.packets().len(), count);
    bench
}
