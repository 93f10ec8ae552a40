//! Floods by one authenticated peer of an endpoint, beside another that means well.

use super::hostile::Hostile;
use super::raw_channels::{DCEP, open_message, plain_open};
use super::raw_sctp::*;
use super::support::{connect, end, peer, soon, until};
use super::{ALLOCATOR, held, turn};
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng as Rng;
use stats_alloc::Region;
use straits::{Configuration, DataChannelInit, Endpoint, EndpointConfiguration, LayerConfig, sctp};

const WINDOW: usize = 64 << 10;
const STREAMS: u16 = 100;
const CHANNELS: usize = 16;
const NAME_BYTES: usize = 16 << 10;
const INCOMPLETE: usize = 64;

/// What the endpoint lets each peer take.
fn limited() -> Configuration {
    let sctp = sctp::Config::default()
        .receive_window(WINDOW)
        .incoming_streams(STREAMS)
        .outgoing_streams(STREAMS)
        .limits(sctp::Limits::default().incomplete_messages(INCOMPLETE))
        .max_incoming_channels(CHANNELS)
        .max_channel_name_bytes(NAME_BYTES);
    Configuration::default().layers(LayerConfig::default().sctp(sctp))
}

/// Counts what is sent.
struct Sender {
    tsn: u32,
    request: u32,
    engine_tsn: u32,
    /// A channel of the hostile peer's, which nobody reads.
    stream: u16,
    rng: Rng,
}

impl Sender {
    fn tsn(&mut self) -> u32 {
        self.tsn = self.tsn.wrapping_add(1);
        self.tsn.wrapping_sub(1)
    }

    fn data(&mut self, flags: u8, stream: u16, ppid: u32, payload: &[u8]) -> Chunk {
        let mut chunk = data(self.tsn(), flags, stream, 0, payload);
        chunk.value[8..12].copy_from_slice(&ppid.to_be_bytes());
        chunk
    }

    fn any_stream(&mut self) -> u16 {
        self.rng.random_range(0..STREAMS)
    }

    /// RFC 6525 §4.1, §4.2, §4.5: a reset of the peer's streams, of ours, or more streams.
    fn request(&mut self, n: u32) -> Vec<u8> {
        let number = self.request;
        self.request = number.wrapping_add(1);
        let streams: Vec<u16> = (0..100).map(|_| self.any_stream()).collect();
        match n % 4 {
            0 => outgoing_reset(number, 0, self.tsn.wrapping_sub(1), &streams),
            // All of them.
            1 => outgoing_reset(number, 0, self.tsn.wrapping_sub(1), &[]),
            2 => tlv(14, &number.to_be_bytes()),
            _ => tlv(17, &[&number.to_be_bytes()[..], &[0, 1, 0, 0]].concat()),
        }
    }
}

/// The chunks of the packet with this number.
type Attack = fn(&mut Sender, u32) -> Vec<Chunk>;

const ATTACKS: [(&str, Attack); 9] = [
    ("streams", |it, _| {
        (0..20)
            .map(|_| it.any_stream())
            .collect::<Vec<_>>()
            .into_iter()
            .map(|stream| it.data(WHOLE | UNORDERED, stream, 53, b"on every stream"))
            .collect()
    }),
    ("OPENs with long names", |it, n| {
        let name = [b'n'; 500];
        vec![it.data(WHOLE | UNORDERED, n as u16, DCEP, &open_message(0, 256, 0, &name, &name))]
    }),
    ("OPENs", |it, n| {
        (0..20).map(|k| it.data(WHOLE | UNORDERED, (20 * n + k) as u16, DCEP, &plain_open())).collect()
    }),
    ("fragments", |it, _| {
        // A beginning, and nothing behind it.
        it.tsn();
        let stream = it.any_stream();
        vec![it.data(FIRST | UNORDERED, stream, 53, &[7; 1000])]
    }),
    ("gaps", |it, _| {
        (0..30)
            .map(|_| {
                it.tsn();
                it.data(WHOLE | UNORDERED, it.stream, 53, b"x")
            })
            .collect()
    }),
    ("RE-CONFIG", |it, n| {
        let chunk = it.data(WHOLE | UNORDERED, it.stream, 53, b"x");
        vec![chunk, reconfig(&[it.request(n)])]
    }),
    ("HEARTBEATs", |_, _| vec![heartbeat(&[b'h'; 1000])]),
    ("tiny messages", |it, _| (0..40).map(|_| it.data(WHOLE | UNORDERED, it.stream, 53, b"x")).collect()),
    ("windows of zero", |it, n| {
        let base = it.engine_tsn.wrapping_sub(1);
        let window = if n.is_multiple_of(3) { u32::MAX } else { 0 };
        vec![Sack { window, ..Sack::new(base) }.chunk(), it.data(WHOLE | UNORDERED, it.stream, 53, b"x")]
    }),
];

/// A peer that floods takes no more than what the limits of its own connection allow, and draws no more than an answer for each
/// packet; the other connection of the endpoint answers every question meanwhile. When it is gone, so is what it took.
#[test]
fn attack_57_18_24_25_28_floods_do_not_harm_other_connections() {
    let _turn = turn();
    // On one thread no two endpoints read at once, each into half a megabyte of its own.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(flood_beside_a_witness());
}

async fn flood_beside_a_witness() {
    let settings = EndpointConfiguration::default().bind_address(([127, 0, 0, 1], 0).into());
    let endpoint = Endpoint::bind(settings).unwrap();
    let (witness, server) = (peer(), endpoint.connect(limited()).unwrap());
    let channel = witness.create_data_channel("questions", DataChannelInit::default()).unwrap();
    server.on_data_channel(|channel| {
        channel.on_message(|channel, message| {
            let _ = channel.try_send(message);
        });
    });
    connect(&witness, &server).await;
    soon("open", channel.opened()).await.unwrap();
    for (name, attack) in ATTACKS {
        let question = async |n: u32| {
            let text = format!("{name} {n}");
            soon("room", channel.send(text.as_str())).await.unwrap();
            let answer = soon("an answer", channel.recv()).await.unwrap();
            assert_eq!(answer.as_text(), Some(&text[..]));
        };
        question(0).await;
        let region = Region::new(ALLOCATOR);
        let (mut hostile, flooded) = Hostile::new(&endpoint, limited()).await;
        let (tsn, engine_tsn) = (hostile.tsn, hostile.engine_tsn);
        let (stream, rng) = (hostile.first_stream(), Rng::seed_from_u64(7));
        let mut sender = Sender { tsn, request: tsn, engine_tsn, stream, rng };
        hostile.send(&[sender.data(WHOLE | UNORDERED, stream, DCEP, &plain_open())]);
        let unread = soon("a channel", async {
            loop {
                hostile.pump();
                tokio::select! {
                    biased;
                    channel = flooded.accept_channel() => break channel.unwrap(),
                    () = tokio::task::yield_now() => {}
                }
            }
        })
        .await;
        (0..20).for_each(|_| unread.try_send(vec![7; 1000]).unwrap());
        let before = flooded.stats().sctp.packets_received;
        let (sent, received) = (hostile.sent, hostile.received);
        let mut peak = 0;
        for n in 1..=PACKETS {
            let chunks = attack(&mut sender, n);
            hostile.send(&chunks);
            if n % 16 == 0 {
                question(n).await;
                hostile.pump();
                hostile.heard.clear();
                peak = peak.max(held(&region));
            }
        }
        let (sent, drawn) = (hostile.sent - sent, hostile.received - received);
        let came = flooded.stats().sctp.packets_received - before;
        assert!(came > u64::from(PACKETS / 2), "{name}: {came} packets came of {sent}");
        assert!(drawn <= sent + 64, "{name}: {drawn} packets drawn by {sent}");
        assert!(peak <= BOUND, "{name}: {peak} bytes of {BOUND}");
        drop((hostile, unread));
        end([flooded]).await;
        until("the connection to go", || endpoint.connections() == 1).await;
        question(PACKETS + 1).await;
        let rest = held(&region);
        assert!(rest <= REST, "{name}: {rest} bytes left of {peak}");
    }
    end([witness, server]).await;
}

/// Packets of each flood.
const PACKETS: u32 = 800;
/// A connection is allowed twice its window, its names, and some hundred bytes for each channel, each incomplete message and
/// each stream; the rest is for the two ends themselves, and for what is on its way between them.
const BOUND: usize =
    2 * WINDOW + NAME_BYTES + CHANNELS * 2048 + INCOMPLETE * 256 + STREAMS as usize * 512 + (128 << 10);
/// Buffers that grew stay as they are.
const REST: usize = 64 << 10;
