//! `RTCPeerConnection.getStats` (W3C webrtc-pc §8, webrtc-stats).

mod collect;
mod dictionaries;
mod units;

pub use dictionaries::{
    CandidatePairStats, CertificateStats, DataChannelStats, DtlsRole, IceCandidateStats, IceRole,
    PeerConnectionStats, SctpTransportStats, StatsDictionary, TransportStats,
};

pub(crate) use collect::{Clock, collect};

use serde::{Serialize, Serializer};
use std::collections::{BTreeMap, btree_map};
use std::time::SystemTime;

/// `RTCStatsReport`, W3C webrtc-pc §8.3: the entries of one call of
/// [`get_stats`](crate::PeerConnection::get_stats) by their ids.
///
/// An id stays the same from report to report while what it stands for does; beyond that it means nothing. As JSON a
/// report is one object with the ids as its members, and each entry is what a browser shows.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use straits::{CandidatePairStats, Configuration, PeerConnection, PeerConnectionStats, TransportStats};
///
/// let connection = PeerConnection::new(Configuration::default())?;
/// let report = connection.get_stats();
/// let of_connection: Option<&PeerConnectionStats> = report.of_type().next();
/// assert_eq!(of_connection.ok_or("always there")?.data_channels_opened, 0);
///
/// // The selected pair, once there is one.
/// let transport = report.of_type::<TransportStats>().next();
/// let id = transport.and_then(|transport| transport.selected_candidate_pair_id.as_deref());
/// let pair: Option<&CandidatePairStats> = id.and_then(|id| report.find(id));
/// assert_eq!(pair, None);
///
/// println!("{}", serde_json::to_string_pretty(&report)?);
/// # Ok(()) }
/// ```
#[doc(alias = "RTCStatsReport")]
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StatsReport {
    entries: BTreeMap<String, Stats>,
}

impl StatsReport {
    /// The entry with this id.
    #[must_use]
    pub fn get(&self, id: &str) -> Option<&Stats> {
        self.entries.get(id)
    }

    /// The entry with this id, if it is of this type.
    #[must_use]
    pub fn find<T: StatsDictionary>(&self, id: &str) -> Option<&T> {
        self.get(id).and_then(T::of)
    }

    /// All entries of one type. [`IceCandidateStats`] are those of both sides.
    pub fn of_type<T: StatsDictionary>(&self) -> impl Iterator<Item = &T> {
        self.entries.values().filter_map(T::of)
    }

    /// All entries, in the order of their ids.
    pub fn iter(&self) -> btree_map::Values<'_, String, Stats> {
        self.entries.values()
    }

    /// How many entries there are. At least one: that of the connection.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "a report is never empty")]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    fn insert(&mut self, entry: Stats) {
        self.entries.insert(entry.id().to_owned(), entry);
    }
}

impl<'a> IntoIterator for &'a StatsReport {
    type Item = &'a Stats;
    type IntoIter = btree_map::Values<'a, String, Stats>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl IntoIterator for StatsReport {
    type Item = Stats;
    type IntoIter = btree_map::IntoValues<String, Stats>;

    fn into_iter(self) -> Self::IntoIter {
        self.entries.into_values()
    }
}

impl Serialize for StatsReport {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(&self.entries)
    }
}

/// `RTCStats`, W3C webrtc-pc §8.4: one entry of a report, of the type that its `type` member names.
#[doc(alias = "RTCStats")]
#[doc(alias = "RTCStatsType")]
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Stats {
    /// `peer-connection`: always there, once.
    PeerConnection(PeerConnectionStats),
    /// `data-channel`: for each channel that the connection knows. A closed one is forgotten with its last handle.
    DataChannel(DataChannelStats),
    /// `transport`: ICE and DTLS, from the first description that has a data section.
    Transport(TransportStats),
    /// `sctp-transport`: once offer and answer are in place.
    SctpTransport(SctpTransportStats),
    /// `candidate-pair`: for each pair that is or was checked.
    CandidatePair(CandidatePairStats),
    /// `local-candidate`: for each of our candidates.
    LocalCandidate(IceCandidateStats),
    /// `remote-candidate`: for each usable candidate of the peer.
    RemoteCandidate(IceCandidateStats),
    /// `certificate`: for each of ours, and the peer's once its handshake is done.
    Certificate(CertificateStats),
}

impl Stats {
    /// The id, by which other entries refer to this one.
    #[must_use]
    pub fn id(&self) -> &str {
        self.head().0
    }

    /// When the entry was made, by the system's clock.
    #[must_use]
    pub fn timestamp(&self) -> SystemTime {
        self.head().1
    }

    fn head(&self) -> (&str, SystemTime) {
        match self {
            Self::PeerConnection(stats) => (&stats.id, stats.timestamp),
            Self::DataChannel(stats) => (&stats.id, stats.timestamp),
            Self::Transport(stats) => (&stats.id, stats.timestamp),
            Self::SctpTransport(stats) => (&stats.id, stats.timestamp),
            Self::CandidatePair(stats) => (&stats.id, stats.timestamp),
            Self::LocalCandidate(stats) | Self::RemoteCandidate(stats) => (&stats.id, stats.timestamp),
            Self::Certificate(stats) => (&stats.id, stats.timestamp),
        }
    }
}
