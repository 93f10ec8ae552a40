//! Settings of an association and of the channels on it.

use super::Limits;
use crate::congestion::InitialWindow;
use crate::recv::ReceiverConfig;
use crate::send::SenderConfig;
use std::time::Duration;

/// Settings of an association and of the channels on it.
///
/// Start from `Config::default()` and chain setters. The defaults suit browsers as peers; [`Config::strict`] gives the
/// timer values of RFC 9260 §16 to the letter.
#[derive(Clone, Debug)]
pub struct Config {
    pub(crate) local_port: u16,
    pub(crate) remote_port: u16,
    pub(crate) max_packet_size: usize,
    pub(crate) black_hole_detection: bool,
    pub(crate) outgoing_streams: u16,
    pub(crate) incoming_streams: u16,
    pub(crate) receive_window: usize,
    pub(crate) max_receive_message_size: usize,
    pub(crate) send_buffer_limit: usize,
    pub(crate) stream_buffer_limit: usize,
    pub(crate) high_water_mark: usize,
    pub(crate) rto_initial: Duration,
    pub(crate) rto_min: Duration,
    pub(crate) rto_max: Duration,
    pub(crate) sack_delay: Duration,
    pub(crate) initial_window: usize,
    /// Of the profile if none was set.
    pub(crate) max_burst: Option<usize>,
    /// The congestion control of RFC 9260 to the letter.
    pub(crate) strict: bool,
    pub(crate) max_retransmits: u32,
    pub(crate) max_init_retransmits: u32,
    pub(crate) heartbeat_interval: Duration,
    pub(crate) cookie_lifetime: Duration,
    pub(crate) zero_checksum: bool,
    pub(crate) partial_reliability: bool,
    pub(crate) interleaving: bool,
    pub(crate) allow_restart: bool,
    pub(crate) max_incoming_channels: usize,
    pub(crate) max_channel_name_bytes: usize,
    pub(crate) close_timeout: Duration,
    pub(crate) limits: Limits,
    pub(crate) max_opens_per_second: u32,
    pub(crate) max_early_bytes: usize,
    pub(crate) max_early_bytes_in_all: usize,
    pub(crate) early_timeout: Duration,
    pub(crate) ignore_unknown_ppids: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            local_port: WEBRTC_PORT,
            remote_port: WEBRTC_PORT,
            max_packet_size: BASE_PACKET_SIZE,
            black_hole_detection: true,
            outgoing_streams: u16::MAX,
            incoming_streams: u16::MAX,
            receive_window: 4 << 20,
            max_receive_message_size: 256 << 10,
            send_buffer_limit: 16 << 20,
            stream_buffer_limit: usize::MAX,
            high_water_mark: 1 << 20,
            rto_initial: Duration::from_millis(500),
            rto_min: Duration::from_millis(400),
            rto_max: Duration::from_secs(10),
            sack_delay: Duration::from_millis(200),
            initial_window: 10,
            max_burst: None,
            strict: false,
            max_retransmits: 10,
            max_init_retransmits: 8,
            heartbeat_interval: Duration::from_secs(30),
            cookie_lifetime: Duration::from_secs(60),
            zero_checksum: true,
            partial_reliability: true,
            interleaving: true,
            allow_restart: true,
            max_incoming_channels: 1024,
            max_channel_name_bytes: 1 << 20,
            close_timeout: Duration::from_secs(30),
            limits: Limits::default(),
            max_opens_per_second: 1000,
            max_early_bytes: 64 << 10,
            max_early_bytes_in_all: 1 << 20,
            early_timeout: Duration::from_secs(2),
            ignore_unknown_ppids: false,
        }
    }
}

impl Config {
    /// The timer and window values of RFC 9260 §16 and §7.2.1 to the letter: RTO 1 s initial, 1 s minimum, 60 s
    /// maximum and an initial congestion window of four packets. T3-rtx leads to nothing but what its §6.3.3 says.
    pub fn strict() -> Self {
        Self { strict: true, ..Self::default() }
            .rto_initial(Duration::from_secs(1))
            .rto_min(Duration::from_secs(1))
            .rto_max(Duration::from_secs(60))
            .black_hole_detection(false)
    }

    /// SCTP port of this side (`a=sctp-port` of the local description).
    ///
    /// Default 5000, the port every browser uses. Port 0 does not exist on the wire (RFC 9260 §3.1) and is taken as
    /// the default. Packets for another port are answered as "out of the blue".
    pub fn local_port(mut self, value: u16) -> Self {
        self.local_port = if value == 0 { WEBRTC_PORT } else { value };
        self
    }

    /// SCTP port of the peer (`a=sctp-port` of the remote description).
    ///
    /// Default 5000. Port 0 is taken as the default.
    pub fn remote_port(mut self, value: u16) -> Self {
        self.remote_port = if value == 0 { WEBRTC_PORT } else { value };
        self
    }

    /// Largest SCTP packet in bytes, common header and padding included.
    ///
    /// Default 1191: the 1280 bytes every IPv6 path carries less 40 (IPv6), 8 (UDP), 4 (TURN) and 37 (DTLS). Too large
    /// and packets vanish on narrow paths; too small wastes headers. Clamped to 512…65535.
    pub fn max_packet_size(mut self, value: usize) -> Self {
        self.max_packet_size = value.clamp(MIN_PACKET_SIZE, usize::from(u16::MAX));
        self
    }

    /// Notice when the path does not carry full packets, and send smaller ones (RFC 8899 §4.3)?
    ///
    /// Default true: what is on its way and too large then ends the association with
    /// [`CloseReason::PathMtu`](crate::CloseReason::PathMtu). With false, large packets are repeated until the peer is given
    /// up. Off in [`strict`](Self::strict), because RFC 9260 §6.3.3 knows of no HEARTBEAT when T3-rtx expires.
    pub fn black_hole_detection(mut self, value: bool) -> Self {
        self.black_hole_detection = value;
        self
    }

    /// Outgoing streams asked for (RFC 9260 §3.3.2 OS).
    ///
    /// Default 65535 (RFC 8831 §6.2). What is used is the smaller of this and what the peer accepts. 0 is taken as 1.
    pub fn outgoing_streams(mut self, value: u16) -> Self {
        self.outgoing_streams = value.max(1);
        self
    }

    /// Incoming streams accepted (RFC 9260 §3.3.2 MIS).
    ///
    /// Default 65535 (RFC 8831 §6.2). No memory is spent on a stream before it is used. 0 is taken as 1.
    pub fn incoming_streams(mut self, value: u16) -> Self {
        self.incoming_streams = value.max(1);
        self
    }

    /// Receive window in bytes: what the peer may send before the application has read it.
    ///
    /// Default 4 MiB, which carries 320 Mbit/s at 100 ms of round trip. Too small limits the rate to window / RTT; too
    /// large lets a peer occupy that much memory (the hard cap is twice the window). At least 1500 (RFC 9260 §3.3.2).
    pub fn receive_window(mut self, value: usize) -> Self {
        self.receive_window = value.clamp(MIN_RECEIVE_WINDOW, MAX_RECEIVE_WINDOW);
        self
    }

    /// Largest message accepted from the peer, in bytes (`a=max-message-size` of the local description).
    ///
    /// Default 256 KiB, as browsers advertise; [`usize::MAX`] for no limit. A message above it is not buffered on.
    pub fn max_receive_message_size(mut self, value: usize) -> Self {
        self.max_receive_message_size = value;
        self
    }

    /// Bytes that may be accepted by `send` and not yet acknowledged, all streams together.
    ///
    /// Default 16 MiB. Above it `send` fails with [`SendError::BufferFull`](crate::SendError::BufferFull).
    pub fn send_buffer_limit(mut self, value: usize) -> Self {
        self.send_buffer_limit = value;
        self
    }

    /// Bytes of one stream that may be accepted by `send` and not yet be on the wire.
    ///
    /// Default [`usize::MAX`]: only the limit of all streams together counts. A lower one keeps a busy stream from taking all
    /// of that; above it `send` fails with [`SendError::BufferFull`](crate::SendError::BufferFull).
    pub fn stream_buffer_limit(mut self, value: usize) -> Self {
        self.stream_buffer_limit = value;
        self
    }

    /// Buffered bytes of one channel above which it counts as not writable.
    ///
    /// Default 1 MiB: enough to keep 80 Mbit/s at 100 ms busy without a wake-up per packet. It bounds nothing by itself.
    pub fn high_water_mark(mut self, value: usize) -> Self {
        self.high_water_mark = value;
        self
    }

    /// Retransmission timeout before the first round-trip time is known.
    ///
    /// RFC 9260 §16: RTO.Initial, 1 s there. Default 500 ms, as libwebrtc: ICE has shown the path to answer already.
    pub fn rto_initial(mut self, value: Duration) -> Self {
        self.rto_initial = value.max(MIN_RTO);
        self
    }

    /// Lower bound for the retransmission timeout.
    ///
    /// RFC 9260 §16: RTO.Min, 1 s there. Default 400 ms: data-channel users notice a second. Must stay above the peer's
    /// delayed ack (commonly 200 ms), or idle senders repeat data that was merely not acknowledged yet; larger values
    /// slow recovery from a lost last packet.
    pub fn rto_min(mut self, value: Duration) -> Self {
        self.rto_min = value.max(MIN_RTO);
        self
    }

    /// Upper bound for the retransmission timeout.
    ///
    /// RFC 9260 §16: RTO.Max, 60 s there. Default 10 s: a path that was away for a minute is used again within ten
    /// seconds of its return. Smaller values repeat more into a dead path and give up sooner.
    pub fn rto_max(mut self, value: Duration) -> Self {
        self.rto_max = value.max(MIN_RTO);
        self
    }

    /// Longest delay of an acknowledgement.
    ///
    /// RFC 9260 §16: SACK.Delay, 200 ms, the default here. Cut at 500 ms (§6.2: "MUST NOT raise it
    /// above 500 ms").
    pub fn sack_delay(mut self, value: Duration) -> Self {
        self.sack_delay = value.min(MAX_SACK_DELAY);
        self
    }

    /// Initial congestion window in packets.
    ///
    /// Default 10 (RFC 6928, as libwebrtc). Larger bursts overflow thin links. Without effect in [`Config::strict`],
    /// where RFC 9260 §7.2.1 has about four.
    pub fn initial_window(mut self, packets: usize) -> Self {
        self.initial_window = packets.max(1);
        self
    }

    /// Packets with new DATA that may leave at once, until the next SACK, call of `send` or timeout.
    ///
    /// RFC 9260 §16: Max.Burst, 4, as in [`Config::strict`]. Default 64: SACKs come in batches, and one may cover sixteen
    /// packets. Smaller values spare thin queues on the way and cap the rate at that many packets per SACK; larger ones
    /// leave the limit to the congestion window. 0 is taken as 1.
    pub fn max_burst(mut self, packets: usize) -> Self {
        self.max_burst = Some(packets.max(1));
        self
    }

    /// Timeouts in a row after which the peer counts as unreachable.
    ///
    /// RFC 9260 §16: Association.Max.Retrans, 10, the default here; also used for the one path (RFC 8261 §6.1).
    pub fn max_retransmits(mut self, value: u32) -> Self {
        self.max_retransmits = value;
        self
    }

    /// How often INIT and COOKIE ECHO are each repeated.
    ///
    /// RFC 9260 §16: Max.Init.Retransmits, 8, the default here.
    pub fn max_init_retransmits(mut self, value: u32) -> Self {
        self.max_init_retransmits = value;
        self
    }

    /// Idle time after which the path is probed; zero switches probing off.
    ///
    /// RFC 9260 §16: HB.Interval, 30 s, the default here. ICE consent notices a dead path long before.
    pub fn heartbeat_interval(mut self, value: Duration) -> Self {
        self.heartbeat_interval = value;
        self
    }

    /// How long a state cookie of ours stays good.
    ///
    /// RFC 9260 §16: Valid.Cookie.Life, 60 s, the default here. Longer eases replay; shorter fails slow set-ups.
    pub fn cookie_lifetime(mut self, value: Duration) -> Self {
        self.cookie_lifetime = value;
        self
    }

    /// Accept and, when the peer accepts it too, send packets without a checksum (RFC 9653, DTLS below).
    ///
    /// Default true. Switch it off when there is no DTLS below. An INIT says it to every peer, an INIT ACK to those that
    /// said something of the kind themselves: the others may not know the parameter, and drop what has it.
    pub fn zero_checksum(mut self, value: bool) -> Self {
        self.zero_checksum = value;
        self
    }

    /// Give up messages whose reliability is limited, with a peer that can be told so (RFC 3758).
    ///
    /// Default true. With false, or if the peer does not know FORWARD TSN, every message is sent until it arrives.
    pub fn partial_reliability(mut self, value: bool) -> Self {
        self.partial_reliability = value;
        self
    }

    /// Interleave the fragments of messages on different streams, with a peer that knows I-DATA (RFC 8260).
    ///
    /// Default true. With false, or if the peer does not know it, a large message keeps all others waiting until it is sent.
    /// It costs 4 bytes for each chunk.
    pub fn interleaving(mut self, value: bool) -> Self {
        self.interleaving = value;
        self
    }

    /// Whether a peer that lost its state may start anew (RFC 9260 §5.2.4 case A).
    ///
    /// Default true: all channels close, new ones may be opened. With false the peer's attempt is ignored.
    pub fn allow_restart(mut self, value: bool) -> Self {
        self.allow_restart = value;
        self
    }

    /// Channels of the peer at a time, closed ones too until they are [forgotten](crate::Channels::forget).
    ///
    /// Default 1024, the streams that libwebrtc and libdatachannel ask for, so that no browser meets it; RFC 8832 §7 asks
    /// to "be prepared for the peer to open the maximum number of data channels". Channels beyond are closed at once.
    /// Each costs a few hundred bytes and its label: too large lets a peer fill memory, too small breaks applications
    /// with many channels. At most 65535, the streams there can be.
    pub fn max_incoming_channels(mut self, value: usize) -> Self {
        self.max_incoming_channels = value.min(usize::from(u16::MAX));
        self
    }

    /// Bytes of labels and protocols of the peer's channels, all together.
    ///
    /// Default 1 MiB: eight channels with the longest names there are, 65535 bytes each (RFC 8832 §7), or 1024 with
    /// 1 KiB. A channel that would exceed it is closed at once. Below 128 KiB not even one of the longest is taken.
    pub fn max_channel_name_bytes(mut self, value: usize) -> Self {
        self.max_channel_name_bytes = value;
        self
    }

    /// How long a closing channel that has sent everything waits for the peer: for the answer to our reset, and then
    /// for the reset of the other direction.
    ///
    /// Default 30 s; then the channel counts as closed, and its stream stays unused until the peer does answer. Zero: as
    /// long as it takes. What was accepted is delivered all the same while the association lives. Too small and a slow path
    /// closes channels before the peer has all of it; too large and a peer that never answers keeps them.
    pub fn close_timeout(mut self, value: Duration) -> Self {
        self.close_timeout = value;
        self
    }

    /// Bounds on what a peer can make this side keep, do or answer.
    ///
    /// Default: those of [`Limits`], each with its origin.
    pub fn limits(mut self, value: Limits) -> Self {
        self.limits = value;
        self
    }

    /// Channels the peer may open in a second.
    ///
    /// Default 1000: no application is known to come near, and all [`max_incoming_channels`](Self::max_incoming_channels)
    /// are there within two seconds. Those beyond are closed at once, which a peer in a hurry may take for a refusal; too
    /// large lets it keep this side busy with opening and closing.
    pub fn max_opens_per_second(mut self, value: u32) -> Self {
        self.max_opens_per_second = value;
        self
    }

    /// Bytes kept of a stream that has no channel yet: its OPEN was overtaken, or its negotiated channel is not made on
    /// this side. Each message counts for 128 bytes more.
    ///
    /// Default 64 KiB. With more the stream is closed (RFC 8832 §6); with 0 so is every stream on which data comes before
    /// its channel is there. What a channel holds of it takes from the receive window until it is read.
    pub fn max_early_bytes(mut self, value: usize) -> Self {
        self.max_early_bytes = value;
        self
    }

    /// The same for all streams together.
    ///
    /// Default 1 MiB, a quarter of the default receive window; at most half of that window is used.
    pub fn max_early_bytes_in_all(mut self, value: usize) -> Self {
        self.max_early_bytes_in_all = value;
        self
    }

    /// How long data on a stream without a channel waits for its OPEN.
    ///
    /// Default 2 s, a few round trips and retransmissions. Then the stream is closed (RFC 8832 §6). Too small closes
    /// negotiated channels that the peer made a moment before this side did; too large only keeps the bytes longer.
    pub fn early_timeout(mut self, value: Duration) -> Self {
        self.early_timeout = value;
        self
    }

    /// Whether messages of an unknown payload protocol are dropped, instead of closing their channel.
    ///
    /// Default false, as RFC 8831 §6.6 has it: "the receiver SHOULD close the corresponding data channel." libwebrtc and
    /// pion drop them. With true messages can be lost unnoticed; [counted](crate::ChannelsStats::messages_ignored) they
    /// are. The deprecated partial messages (52, 54) close the channel in any case.
    pub fn ignore_unknown_ppids(mut self, value: bool) -> Self {
        self.ignore_unknown_ppids = value;
        self
    }

    pub(super) fn sender(&self) -> SenderConfig {
        let mut sender = SenderConfig::strict();
        if !self.strict {
            sender = SenderConfig::default();
            sender.congestion.initial_window = InitialWindow::Packets(self.initial_window);
        }
        sender.rto.initial = self.rto_initial;
        sender.rto.min = self.rto_min;
        sender.rto.max = self.rto_max;
        sender.max_burst = self.max_burst.or(sender.max_burst);
        sender.high_water_mark = self.high_water_mark;
        sender.buffer_limit = self.send_buffer_limit;
        sender.stream_limit = self.stream_buffer_limit;
        sender
    }

    pub(super) fn receiver(&self) -> ReceiverConfig {
        ReceiverConfig {
            window: self.receive_window,
            max_message_size: self.max_receive_message_size,
            sack_delay: self.sack_delay,
            max_gap_ranges: self.limits.gap_ranges,
            max_tsn_distance: self.limits.tsn_distance,
            max_duplicates: self.limits.duplicates_reported,
            max_incomplete: self.limits.incomplete_messages,
            max_incomplete_per_stream: self.limits.incomplete_messages_per_stream,
            max_fragments: self.limits.fragments_per_message,
        }
    }
}

/// The SCTP port of WebRTC peers (`a=sctp-port`, RFC 8841 §5, customary value).
const WEBRTC_PORT: u16 = 5000;
/// 1280 (IPv6 minimum) − 40 − 8 (UDP) − 4 (TURN) − 37 (DTLS 1.2 with AES-GCM).
pub(crate) const BASE_PACKET_SIZE: usize = 1191;
/// RFC 9260 §6.9 leaves the lower bound open; a cookie and a full INIT ACK must fit.
const MIN_PACKET_SIZE: usize = 512;
/// RFC 9260 §3.3.2: an INIT with a smaller a_rwnd is refused.
const MIN_RECEIVE_WINDOW: usize = 1500;
/// More than this never helps and only risks 32-bit arithmetic in peers.
const MAX_RECEIVE_WINDOW: usize = 1 << 30;
/// Below this a timeout is a busy loop.
const MIN_RTO: Duration = Duration::from_millis(10);
/// RFC 9260 §6.2.
const MAX_SACK_DELAY: Duration = Duration::from_millis(500);
