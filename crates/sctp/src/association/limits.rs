//! How much of this side a peer may take.

/// Bounds on what a peer can make this side keep, do or answer. Whatever exceeds one is dropped and counted in
/// [`Drops`](crate::Drops), unless it says otherwise.
///
/// Start from `Limits::default()`, chain setters, and hand it to [`Config::limits`](crate::Config::limits). The defaults
/// are far beyond what peers in use need; lower them where memory is dear. What is not here is in
/// [`Config`](crate::Config) itself: the receive window, the largest message, the channels of the peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    pub(crate) received_packet_size: usize,
    pub(crate) chunks_per_packet: usize,
    pub(crate) init_parameters: usize,
    pub(crate) peer_cookie_size: usize,
    pub(crate) stranger_answers_per_second: u32,
    pub(crate) heartbeat_answers_per_second: u32,
    pub(crate) queued_answers: usize,
    pub(crate) tsn_distance: u16,
    pub(crate) gap_ranges: usize,
    pub(crate) duplicates_reported: usize,
    pub(crate) incomplete_messages: usize,
    pub(crate) incomplete_messages_per_stream: Option<usize>,
    pub(crate) fragments_per_message: Option<u64>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            received_packet_size: 65_535,
            chunks_per_packet: 256,
            init_parameters: 64,
            peer_cookie_size: 8 << 10,
            stranger_answers_per_second: 10,
            heartbeat_answers_per_second: 20,
            queued_answers: 64,
            tsn_distance: u16::MAX,
            gap_ranges: 1024,
            duplicates_reported: 32,
            incomplete_messages: 1024,
            incomplete_messages_per_stream: None,
            fragments_per_message: None,
        }
    }
}

impl Limits {
    /// Largest packet that is looked at, in bytes.
    ///
    /// Default 65535, which is also the most. Over DTLS nothing comes near it: a record carries 16384 bytes (RFC 6347 §4.1).
    /// Smaller than the peer's packets, nothing arrives.
    pub fn received_packet_size(mut self, bytes: usize) -> Self {
        self.received_packet_size = bytes.min(usize::from(u16::MAX));
        self
    }

    /// Chunks other than DATA that are handled in one packet; those behind are not.
    ///
    /// Default 256: a packet of 1191 bytes has at most 294, all of them empty. Peers in use send fewer than ten.
    pub fn chunks_per_packet(mut self, count: usize) -> Self {
        self.chunks_per_packet = count.max(1);
        self
    }

    /// Parameters that are looked at in an INIT or INIT ACK; one with more is dropped.
    ///
    /// Default 64. Peers in use send about ten.
    pub fn init_parameters(mut self, count: usize) -> Self {
        self.init_parameters = count;
        self
    }

    /// Largest state cookie that is accepted, in bytes. With a larger one the set-up fails.
    ///
    /// Default 8192. Cookies of peers in use have up to a kilobyte; one that needs several packets hardly arrives.
    pub fn peer_cookie_size(mut self, bytes: usize) -> Self {
        self.peer_cookie_size = bytes;
        self
    }

    /// Answers a second to packets that belong to no association of ours (RFC 9260 §8.4).
    ///
    /// Default 10. With none, a peer that missed our end learns it by its own timeouts only.
    pub fn stranger_answers_per_second(mut self, count: u32) -> Self {
        self.stranger_answers_per_second = count;
        self
    }

    /// HEARTBEATs that are answered a second.
    ///
    /// Default 20. Too few and a peer that probes the size of the path takes the path for narrower than it is.
    pub fn heartbeat_answers_per_second(mut self, count: u32) -> Self {
        self.heartbeat_answers_per_second = count;
        self
    }

    /// Answers that wait to be sent at a time (INIT ACK, HEARTBEAT ACK, ERROR, RE-CONFIG responses).
    ///
    /// Default 64: more than one batch of packets of a sound peer asks for.
    pub fn queued_answers(mut self, count: usize) -> Self {
        self.queued_answers = count.max(1);
        self
    }

    /// How far ahead of the cumulative TSN a chunk may be.
    ///
    /// Default 65535: what a SACK can report (RFC 9260 §3.3.4). It is never more than what fills the receive window four
    /// times over with chunks of 500 bytes. Too small and a peer with small messages is slowed after each loss. At least 64.
    pub fn tsn_distance(mut self, count: u16) -> Self {
        self.tsn_distance = count;
        self
    }

    /// Runs of TSNs beyond the cumulative one that are kept track of. A chunk that would begin one more is not
    /// accepted.
    ///
    /// Default 1024, four times what a SACK of 1191 bytes can report.
    pub fn gap_ranges(mut self, count: usize) -> Self {
        self.gap_ranges = count.max(1);
        self
    }

    /// Duplicate TSNs that one SACK reports; more are only counted.
    ///
    /// Default 32. They are advice for the peer, no more.
    pub fn duplicates_reported(mut self, count: usize) -> Self {
        self.duplicates_reported = count;
        self
    }

    /// Messages that may be incomplete at a time, all streams together.
    ///
    /// Default 1024. Too few and chunks are dropped that a fast path with losses brings in good order.
    pub fn incomplete_messages(mut self, count: usize) -> Self {
        self.incomplete_messages = count.max(1);
        self
    }

    /// Messages of one stream that may be incomplete at a time; `None` derives it.
    ///
    /// Default `None`: as many messages of 16 KiB as the receive window holds, and at least 64.
    pub fn incomplete_messages_per_stream(mut self, count: Option<usize>) -> Self {
        self.incomplete_messages_per_stream = count;
        self
    }

    /// Fragments of one message; one with more counts as larger than
    /// [`Config::max_receive_message_size`](crate::Config::max_receive_message_size). `None` derives it.
    ///
    /// Default `None`: as many as make the largest message out of 64 bytes each, and at least 64. Peers in use cut messages
    /// into fragments of about a packet.
    pub fn fragments_per_message(mut self, count: Option<u64>) -> Self {
        self.fragments_per_message = count.map(|count| count.max(1));
        self
    }
}
