use super::*;
use crate::number::Ssn;
use crate::wire::{self, Chunk, GapBlock, List};
use bytes::BytesMut;

/// A sender, the packets it wrote, and the peer's answers by hand.
struct Bench {
    sender: Sender,
    now: Instant,
    buffer: BytesMut,
    a_rwnd: u32,
}

/// What the wire shows of a DATA chunk.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Seen {
    tsn: u32,
    stream: u16,
    ssn: u16,
    flags: String,
    payload: Vec<u8>,
}

const INITIAL: u32 = 1000;
/// Room for 1160 bytes of payload.
const PACKET: usize = 1188;
const FULL: usize = 1160;
const CHUNK: usize = 1176;
const WINDOW: u32 = 1 << 20;

const fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

impl Bench {
    fn new(config: SenderConfig) -> Self {
        Self::starting_at(config, INITIAL)
    }

    fn starting_at(config: SenderConfig, initial: u32) -> Self {
        let mut bench = Self {
            sender: Sender::new(config),
            now: Instant::now(),
            buffer: BytesMut::new(),
            a_rwnd: WINDOW,
        };
        bench.sender.start(bench.now, Tsn(initial), WINDOW, 100, PACKET);
        bench
    }

    /// No burst limit, so that only the windows count.
    fn strict() -> Self {
        Self::new(SenderConfig { max_burst: None, ..SenderConfig::strict() })
    }

    fn send(&mut self, stream: u16, data: impl Into<Vec<u8>>) {
        self.try_send(stream, data).expect("sends");
    }

    fn try_send(&mut self, stream: u16, data: impl Into<Vec<u8>>) -> Result<(), SendError> {
        self.part(stream, data, true)
    }

    fn part(&mut self, stream: u16, data: impl Into<Vec<u8>>, last: bool) -> Result<(), SendError> {
        let data = Bytes::from(data.into());
        self.sender.send_part(
            self.now,
            StreamId(stream),
            Ppid::BINARY,
            data,
            last,
            true,
            Reliability::Reliable,
        )
    }

    /// The next packet, if one may leave. What the sender wants and what it does are the same.
    fn packet(&mut self) -> Option<Vec<Seen>> {
        let wants = self.sender.wants_to_send(self.now);
        self.buffer.clear();
        let header = wire::Header { source_port: 1, destination_port: 2, verification_tag: 3 };
        let mut writer = PacketWriter::new(&mut self.buffer, header, PACKET);
        let wrote = self.sender.write_data(self.now, &mut writer);
        let len = writer.finish(wire::Checksum::Zero);
        assert!(len <= PACKET);
        assert_eq!(wants, wrote, "wants_to_send tells the truth");
        assert_eq!(wrote, len > 0);
        self.check_timers();
        wrote.then(|| self.parse())
    }

    fn parse(&self) -> Vec<Seen> {
        let (_, chunks) = wire::parse(&self.buffer, true).expect("a packet");
        chunks
            .map(|chunk| match chunk.expect("a chunk") {
                Chunk::Data(data) => Seen {
                    tsn: data.tsn.0,
                    stream: data.stream.0,
                    ssn: data.ssn.0,
                    flags: [(data.immediate, 'I'), (data.unordered, 'U'), (data.begin, 'B'), (data.end, 'E')]
                        .into_iter()
                        .filter_map(|(set, letter)| set.then_some(letter))
                        .collect(),
                    payload: data.payload.to_vec(),
                },
                other => panic!("unexpected {other}"),
            })
            .collect()
    }

    /// All packets that may leave now.
    fn packets(&mut self) -> Vec<Vec<Seen>> {
        std::iter::from_fn(|| self.packet()).collect()
    }

    /// Their TSNs, packet by packet, relative to the initial one.
    fn tsns(&mut self) -> Vec<Vec<u32>> {
        let packets = self.packets();
        packets
            .iter()
            .map(|packet| packet.iter().map(|seen| seen.tsn.wrapping_sub(INITIAL)).collect())
            .collect()
    }

    /// A SACK up to before `next`, relative to the initial TSN, with gap blocks as TSNs relative to it, both included.
    fn sack(&mut self, next: u32, gaps: &[(u32, u32)]) -> Acked {
        match self.raw_sack(next, gaps) {
            SackOutcome::Processed(acked) => acked,
            other => panic!("{other:?}"),
        }
    }

    fn raw_sack(&mut self, next: u32, gaps: &[(u32, u32)]) -> SackOutcome {
        let offset = |tsn: u32| u16::try_from(tsn + 1 - next).expect("an offset");
        let gaps: Vec<_> =
            gaps.iter().map(|&(start, end)| GapBlock { start: offset(start), end: offset(end) }).collect();
        let sack = Sack {
            cumulative_tsn: Tsn(INITIAL.wrapping_add(next).wrapping_sub(1)),
            a_rwnd: self.a_rwnd,
            gaps: List::new(&gaps),
            duplicates: List::EMPTY,
        };
        let outcome = self.sender.handle_sack(self.now, &sack);
        self.check_timers();
        outcome
    }

    /// A permanent stall is impossible: outstanding data has a timer, and so has data that a window holds back.
    fn check_timers(&self) {
        let sender = &self.sender;
        assert_eq!(!sender.outstanding.is_empty(), sender.t3.is_running());
        if !sender.is_idle() && sender.queue.next().is_some() {
            assert!(sender.poll_timeout().is_some() || sender.wants_to_send(self.now), "stuck");
        }
    }

    fn pass(&mut self, time: Duration) -> Option<T3Expired> {
        self.now += time;
        self.sender.handle_timeout(self.now)
    }

    /// To just before the next deadline, where nothing happens, and to it. Gives how long it took.
    fn to_deadline(&mut self) -> (Duration, Option<T3Expired>) {
        let deadline = self.sender.poll_timeout().expect("a timer");
        let time = deadline - self.now;
        assert_eq!(self.pass(time - Duration::from_nanos(1)), None);
        assert!(!self.sender.wants_to_send(self.now));
        let expired = self.pass(Duration::from_nanos(1));
        (time, expired)
    }
}

fn whole(tsn: u32, stream: u16, ssn: u16, payload: &[u8]) -> Seen {
    Seen { tsn, stream, ssn, flags: "BE".into(), payload: payload.to_vec() }
}

#[test]
fn small_messages_share_a_packet() {
    let mut bench = Bench::new(SenderConfig::default());
    bench.send(0, *b"one");
    bench.send(0, *b"two");
    bench.send(7, *b"three");
    let packets = bench.packets();
    assert_eq!(
        packets,
        [[whole(1000, 0, 0, b"one"), whole(1001, 7, 0, b"three"), whole(1002, 0, 1, b"two")]]
    );
    assert_eq!(bench.sack(3, &[]), Acked { newly_acked_bytes: 64, advanced: true, rtt: Some(ms(0)) });
    assert!(bench.sender.is_idle());
    assert_eq!(bench.sender.poll_timeout(), None);
    let _ = Ssn(0);
}
