//! What one connection's lock guards: the peer, the state that users see, and who waits for what.

mod chain;
mod closing;
mod consumers;
mod items;

use crate::channel::{ChannelShared, Parts};
use crate::wakers::{Wait, WakerSet, wake_all};
use crate::{
    Configuration, DataChannelState, DtlsTransportState, IceCandidate, IceCandidateError, IceConnectionState,
    IceGatheringState, PeerConnectionState, RtcConfiguration, SctpTransportState, SessionDescription,
    SignalingState,
};
use chain::{Answer, Chain};
use items::Items;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::hash::RandomState;
use std::sync::Arc;
use std::task::Waker;
use std::time::Instant;
use straits_peer::ice::Route;
use straits_peer::sctp::{self, ChannelCloseReason, ChannelEvent, ChannelId};
use straits_peer::{CloseReason, DescriptionKind, Event as PeerEvent, GatheringState, Peer};

pub(crate) use chain::{AddIceCandidate, Ticket};

/// Everything under the lock of a connection.
///
/// The state that getters show is *published* state. Without a consumer it follows the core at once; a dispatcher or
/// an event stream publishes each change when it takes it, so that a handler sees exactly its event's state.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) peer: Peer,
    pub(crate) published: Published,
    /// What the getters of descriptions show.
    descriptions: Arc<Descriptions>,
    /// The descriptions that were published or queued last.
    described: Arc<Descriptions>,
    /// Are there others by now?
    is_described: bool,
    chain: Chain,
    pub(crate) rtc: RtcConfiguration,
    pub(crate) channels: BTreeMap<ChannelId, Entry>,
    /// For the dispatcher, in order.
    items: Items,
    dispatcher: Dispatcher,
    /// For `events()`, in order: what is not about one channel.
    stream_items: VecDeque<Item>,
    stream: Stream,
    /// Was a handler of the connection, not of a channel, set?
    has_handlers: bool,
    /// Candidates and the wish to negotiate, kept until somebody wants to hear of them.
    backlog: VecDeque<Item>,
    /// Channels of the peer that nobody took yet.
    incoming: VecDeque<ChannelId>,
    accepting: WakerSet,
    /// Futures that wait for a state of the connection.
    waiting: WakerSet,
    /// Channels on which a writer waits.
    writing: BTreeSet<ChannelId>,
    /// Addresses are to be gathered once the operation that asked for them is done.
    gathering_needed: bool,
    /// For the endpoint's task.
    pub(crate) chores: Vec<Chore>,
    /// `close` was called here: its own state changes are not reported (W3C behaviours PCC-02 to PCC-04).
    closed_here: bool,
    draining: bool,
    reason: Option<CloseReason>,
    /// The endpoint has sent the last packet, or there never was one.
    detached: bool,
    /// Bytes read, overhead included, since the endpoint was asked to look whether the peer is to be told.
    unannounced: usize,
    high_water_mark: usize,
    strict_w3c: bool,
    /// Makes the ids of statistics.
    pub(crate) stats_ids: RandomState,
}

/// What the getters of a connection show.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Published {
    pub(crate) signaling: SignalingState,
    pub(crate) gathering: IceGatheringState,
    pub(crate) ice: IceConnectionState,
    pub(crate) connection: PeerConnectionState,
    pub(crate) dtls: DtlsTransportState,
    pub(crate) sctp: SctpTransportState,
}

/// The four descriptions of W3C webrtc-pc §4.4.2.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Descriptions {
    pub(crate) current_local: Option<SessionDescription>,
    pub(crate) pending_local: Option<SessionDescription>,
    pub(crate) current_remote: Option<SessionDescription>,
    pub(crate) pending_remote: Option<SessionDescription>,
    /// Does one of them have a data section in use?
    pub(crate) has_transports: bool,
}

/// One channel.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) shared: Arc<ChannelShared>,
    pub(crate) published: DataChannelState,
    pub(crate) close_reason: Option<ChannelCloseReason>,
    /// Did a user get a handle?
    given: bool,
    /// Was the event given to a dispatcher? Each is, once, also to one that comes late.
    open_told: bool,
    close_told: bool,
    /// The dispatcher is done with the end of the channel.
    close_handled: bool,
    /// Is `Item::Readable` queued?
    readable_queued: bool,
    pub(crate) parts: Parts,
    readers: WakerSet,
    writers: WakerSet,
    /// Who waits was refused by the core, which has told nothing yet.
    is_refused: bool,
    /// Who wants to send when a message is being written in pieces.
    behind: WakerSet,
    waiting: WakerSet,
}

/// Something for a consumer to take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Item {
    NegotiationNeeded,
    /// No event of its own: precedes the one that comes with it.
    Described(Arc<Descriptions>),
    Signaling(SignalingState),
    Gathering(IceGatheringState),
    Ice(IceConnectionState),
    Connection(PeerConnectionState),
    Dtls(DtlsTransportState),
    Sctp(SctpTransportState),
    SelectedPair,
    Candidate(Option<IceCandidate>),
    CandidateError(IceCandidateError),
    Incoming(ChannelId),
    Open(ChannelId),
    Readable(ChannelId),
    BufferedAmountLow(ChannelId),
    Closing(ChannelId),
    ChannelClosed(ChannelId, ChannelCloseReason),
    Closed(CloseReason),
}

/// What the core wants from the endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Chore {
    Gather,
    RouteAdded(Route),
    RouteSelected(Route),
    RouteRemoved(Route),
}

/// The task that calls handlers, as the lock sees it.
#[derive(Debug, Default)]
struct Dispatcher {
    present: bool,
    /// The last item was handled: there is nothing to dispatch ever again.
    ended: bool,
    wakers: WakerSet,
    /// Items queued and items worked off, ever.
    queued: u64,
    done: u64,
    /// The channel whose `open` handler is at work.
    opening: Option<ChannelId>,
}

/// The stream that `events()` gave out, as the lock sees it.
#[derive(Debug, Default)]
struct Stream {
    present: bool,
    wakers: WakerSet,
}

/// What is left to do once the lock is released.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) wakes: Vec<Waker>,
    pub(crate) forgotten: Vec<Arc<ChannelShared>>,
    answers: Vec<Answer>,
}

impl Outcome {
    /// Without a lock: wakers run other people's code, and handlers own handles.
    pub(crate) fn deliver(&mut self) {
        wake_all(&mut self.wakes);
        self.answers.drain(..).for_each(Answer::deliver);
        self.forgotten.clear();
    }
}

impl State {
    /// Takes the browser's part out of the configuration.
    pub(crate) fn new(peer: Peer, configuration: &mut Configuration) -> Self {
        Self {
            peer,
            published: Published {
                signaling: SignalingState::Stable,
                gathering: IceGatheringState::New,
                ice: IceConnectionState::New,
                connection: PeerConnectionState::New,
                dtls: DtlsTransportState::New,
                sctp: SctpTransportState::Connecting,
            },
            descriptions: Arc::default(),
            described: Arc::default(),
            is_described: true,
            chain: Chain::default(),
            rtc: std::mem::take(&mut configuration.rtc),
            channels: BTreeMap::new(),
            items: Items::default(),
            dispatcher: Dispatcher::default(),
            stream_items: VecDeque::new(),
            stream: Stream::default(),
            has_handlers: false,
            backlog: VecDeque::new(),
            incoming: VecDeque::new(),
            accepting: WakerSet::default(),
            waiting: WakerSet::default(),
            writing: BTreeSet::new(),
            gathering_needed: false,
            chores: Vec::new(),
            closed_here: false,
            draining: false,
            reason: None,
            detached: false,
            unannounced: 0,
            high_water_mark: configuration.high_water_mark,
            strict_w3c: configuration.strict_w3c,
            stats_ids: RandomState::new(),
        }
    }

    /// Takes over what changed in the core. After every input and user call, under the same lock.
    pub(crate) fn settle(&mut self, outcome: &mut Outcome) {
        self.settle_descriptions(outcome);
        while let Some(event) = self.peer.poll_event() {
            self.on_event(event, outcome);
        }
        self.settle_chain(outcome);
        self.resume_writers(&mut outcome.wakes);
        if !self.items.is_empty() {
            self.dispatcher.wakers.drain_into(&mut outcome.wakes);
        }
    }

    /// The descriptions may have changed.
    pub(crate) fn describe(&mut self) {
        self.is_described = false;
    }

    /// What the getters of descriptions show.
    pub(crate) fn descriptions(&self) -> &Descriptions {
        &self.descriptions
    }

    /// New descriptions are published before the event that comes with them.
    fn settle_descriptions(&mut self, outcome: &mut Outcome) {
        if std::mem::replace(&mut self.is_described, true) {
            return;
        }
        let of = |kind| self.peer.description(kind).map(Into::into);
        let descriptions = Descriptions {
            current_local: of(DescriptionKind::CurrentLocal),
            pending_local: of(DescriptionKind::PendingLocal),
            current_remote: of(DescriptionKind::CurrentRemote),
            pending_remote: of(DescriptionKind::PendingRemote),
            has_transports: self.peer.has_transports(),
        };
        if *self.described != descriptions {
            self.described = Arc::new(descriptions);
            self.deliver(Item::Described(self.described.clone()), outcome);
        }
    }

    fn on_event(&mut self, event: PeerEvent, outcome: &mut Outcome) {
        match event {
            PeerEvent::GatheringNeeded => self.gathering_needed = true,
            PeerEvent::RouteAdded(route) => self.chores.push(Chore::RouteAdded(route)),
            PeerEvent::RouteRemoved(route) => self.chores.push(Chore::RouteRemoved(route)),
            PeerEvent::NegotiationNeeded => {
                if self.is_negotiation_due() {
                    self.deliver(Item::NegotiationNeeded, outcome);
                }
            }
            PeerEvent::SignalingStateChanged(state) => self.deliver(Item::Signaling(state.into()), outcome),
            PeerEvent::IceGatheringStateChanged(state) => {
                self.deliver(Item::Gathering(state.into()), outcome);
                if state == GatheringState::Gathering {
                    for error in IceCandidateError::of_servers(&self.rtc.ice_servers) {
                        self.deliver(Item::CandidateError(error), outcome);
                    }
                }
            }
            PeerEvent::IceStateChanged(state) => self.deliver(Item::Ice(state.into()), outcome),
            PeerEvent::ConnectionStateChanged(state) => self.deliver(Item::Connection(state.into()), outcome),
            PeerEvent::IceCandidate(candidate) => {
                self.describe();
                self.settle_descriptions(outcome);
                self.deliver(Item::Candidate(candidate.map(Into::into)), outcome);
            }
            PeerEvent::Channel(event) => self.on_channel_event(event, outcome),
            PeerEvent::Closed(reason) => {
                self.reason = Some(reason.clone());
                self.wake_everybody(outcome);
                self.deliver(Item::Closed(reason), outcome);
            }
            PeerEvent::RouteSelected(route) => {
                self.chores.push(Chore::RouteSelected(route));
                self.deliver(Item::SelectedPair, outcome);
            }
            PeerEvent::DtlsStateChanged(state) => self.deliver(Item::Dtls(state.into()), outcome),
            event => tracing::debug!(?event, "event without a meaning for the facade"),
        }
    }

    fn on_channel_event(&mut self, event: ChannelEvent, outcome: &mut Outcome) {
        match event {
            ChannelEvent::Incoming(id) => {
                self.insert_channel(id, false);
                self.deliver(Item::Incoming(id), outcome);
            }
            ChannelEvent::Open(id) => self.deliver(Item::Open(id), outcome),
            ChannelEvent::Readable(id) => {
                let Some(entry) = self.channels.get_mut(&id) else { return };
                entry.readers.drain_into(&mut outcome.wakes);
                self.queue_readable(id);
            }
            ChannelEvent::Writable(id) => {
                if let Some(entry) = self.channels.get_mut(&id) {
                    entry.is_refused = false;
                }
            }
            ChannelEvent::BufferedAmountLow(id) => self.deliver(Item::BufferedAmountLow(id), outcome),
            ChannelEvent::Closing(id) => self.deliver(Item::Closing(id), outcome),
            ChannelEvent::Closed(id, reason) => {
                if let Some(entry) = self.channels.get_mut(&id) {
                    entry.readers.drain_into(&mut outcome.wakes);
                    entry.writers.drain_into(&mut outcome.wakes);
                    entry.behind.drain_into(&mut outcome.wakes);
                }
                self.deliver(Item::ChannelClosed(id, reason), outcome);
            }
            ChannelEvent::Established => self.deliver(Item::Sctp(SctpTransportState::Connected), outcome),
            ChannelEvent::AssociationClosed(_) => {
                self.deliver(Item::Sctp(SctpTransportState::Closed), outcome);
            }
            ChannelEvent::Restarted => {}
            event => tracing::debug!(?event, "channel event without a meaning for the facade"),
        }
    }

    /// Hands an item to its consumer, or publishes it at once when there is none.
    fn deliver(&mut self, item: Item, outcome: &mut Outcome) {
        if self.closed_here && !matches!(item, Item::ChannelClosed(..) | Item::Closed(_)) {
            return;
        }
        if self.stream.present && item.is_for_stream() {
            // That another pair was selected is told once, or a peer could lengthen a stream that nobody reads.
            let is_told = item == Item::SelectedPair && self.stream_items.back() == Some(&item);
            if !is_told {
                self.stream_items.push_back(item.clone());
            }
            self.stream.wakers.drain_into(&mut outcome.wakes);
            // The dispatcher ends with this item, whoever else hears of it.
            if !matches!(item, Item::Closed(_)) {
                return;
            }
        }
        if self.dispatcher.present {
            self.queue_item(item);
        } else {
            self.publish(&item, outcome);
            if let Item::ChannelClosed(id, _) = item {
                outcome.forgotten.extend(self.forget_if_unused(id));
            }
            self.keep(item, &mut outcome.wakes);
        }
    }

    /// The dispatcher is woken when the state settles.
    fn queue_item(&mut self, item: Item) {
        self.items.push(item);
        self.dispatcher.queued += 1;
    }

    /// Makes the getters show what the item reports. `false`: it came too late to be reported.
    fn publish(&mut self, item: &Item, outcome: &mut Outcome) -> bool {
        let mut timely = true;
        match item {
            Item::Signaling(state) => self.published.signaling = *state,
            Item::Gathering(state) => self.published.gathering = *state,
            Item::Ice(state) => self.published.ice = *state,
            Item::Connection(state) => self.published.connection = *state,
            Item::Dtls(state) => self.published.dtls = *state,
            Item::Sctp(state) => self.published.sctp = *state,
            Item::Closed(_) => {
                self.published.signaling = SignalingState::Closed;
                if self.published.connection != PeerConnectionState::Failed {
                    self.published.ice = IceConnectionState::Closed;
                    self.published.connection = PeerConnectionState::Closed;
                }
            }
            Item::NegotiationNeeded => timely = self.is_negotiation_due(),
            Item::Described(descriptions) => self.descriptions = descriptions.clone(),
            Item::SelectedPair | Item::Candidate(_) | Item::CandidateError(_) => {}
            Item::Incoming(id)
            | Item::Open(id)
            | Item::Readable(id)
            | Item::BufferedAmountLow(id)
            | Item::Closing(id)
            | Item::ChannelClosed(id, _) => {
                timely =
                    self.channels.get_mut(id).is_some_and(|entry| entry.publish(item, &mut outcome.wakes));
            }
        }
        self.waiting.drain_into(&mut outcome.wakes);
        timely
    }

    /// What must not be lost because nobody listens yet.
    pub(crate) fn keep(&mut self, item: Item, wakes: &mut Vec<Waker>) {
        match item {
            Item::NegotiationNeeded if self.backlog.contains(&item) => {}
            Item::Candidate(_) | Item::NegotiationNeeded if self.backlog.len() < MAX_BACKLOG => {
                self.backlog.push_back(item);
            }
            Item::Incoming(id) => {
                self.incoming.push_back(id);
                self.accepting.drain_into(wakes);
            }
            _ => {}
        }
    }

    pub(crate) fn insert_channel(&mut self, id: ChannelId, given: bool) -> Option<Arc<ChannelShared>> {
        let init = self.peer.channel(id)?.init().clone();
        let shared = Arc::new(ChannelShared::new(id, init));
        self.channels.insert(id, Entry::new(shared.clone(), given));
        Some(shared)
    }

    /// Tells the dispatcher that a channel with a message handler has messages.
    pub(crate) fn queue_readable(&mut self, id: ChannelId) {
        let Some(entry) = self.channels.get_mut(&id) else { return };
        if self.dispatcher.present && entry.shared.is_handled() && !entry.readable_queued {
            entry.readable_queued = true;
            self.queue_item(Item::Readable(id));
        }
    }

    /// Up to `MAX_MESSAGES` messages; none: the item is done.
    pub(crate) fn take_messages(
        &mut self,
        now: Instant,
        id: ChannelId,
        messages: &mut Vec<sctp::ReceivedMessage>,
    ) {
        let mut bytes = 0;
        let Some(mut channel) = self.peer.channel(id) else { return };
        while messages.len() < MAX_MESSAGES && bytes < MAX_MESSAGE_BYTES {
            let Some(message) = channel.recv(now) else { break };
            bytes += message.data.len();
            messages.push(message);
        }
    }

    /// A message was read. `true`: the endpoint is to look whether the peer is to be told.
    pub(crate) fn count_read(&mut self, size: usize, is_last: bool) -> bool {
        self.unannounced += size + MESSAGE_OVERHEAD;
        let is_news = is_last || self.unannounced >= ANNOUNCED_WINDOW;
        if is_news {
            self.unannounced = 0;
        }
        is_news
    }

    /// Takes the `Readable` item of a channel back, before its messages are looked for. `false`: no handler takes them.
    pub(crate) fn readable_taken(&mut self, id: ChannelId) -> bool {
        let Some(entry) = self.channels.get_mut(&id) else { return false };
        entry.readable_queued = false;
        entry.shared.is_handled()
    }
}

impl Entry {
    fn new(shared: Arc<ChannelShared>, given: bool) -> Self {
        Self {
            shared,
            published: DataChannelState::Connecting,
            close_reason: None,
            given,
            open_told: false,
            close_told: false,
            close_handled: false,
            readable_queued: false,
            parts: Parts::default(),
            readers: WakerSet::default(),
            writers: WakerSet::default(),
            is_refused: false,
            behind: WakerSet::default(),
            waiting: WakerSet::default(),
        }
    }

    fn publish(&mut self, item: &Item, wakes: &mut Vec<Waker>) -> bool {
        use DataChannelState::{Closed, Closing, Connecting, Open};
        self.waiting.drain_into(wakes);
        match item {
            // W3C webrtc-pc §6.1: the channel is open inside the `datachannel` event, its `open` comes after.
            Item::Incoming(_) | Item::Open(_) => {
                if self.published == Connecting {
                    self.published = Open;
                }
                self.published == Open
            }
            Item::Closing(_) => {
                let timely = matches!(self.published, Connecting | Open);
                if timely {
                    self.published = Closing;
                }
                timely
            }
            Item::ChannelClosed(_, reason) => {
                self.published = Closed;
                self.close_reason = Some(reason.clone());
                true
            }
            Item::BufferedAmountLow(_) => self.published != Closed,
            _ => true,
        }
    }

    pub(crate) fn wait_readable(&mut self, wait: &mut Wait<'_>) {
        self.readers.register(wait);
    }

    /// The message that was written in pieces is finished or given up.
    pub(crate) fn end_writing(&mut self, wakes: &mut Vec<Waker>) {
        self.parts.is_written = false;
        // The core forgets what it refused before when it gives up the rest of a message.
        self.is_refused = false;
        self.behind.drain_into(wakes);
    }

    pub(crate) fn wait(&mut self, wait: &mut Wait<'_>) {
        self.waiting.register(wait);
    }

    /// `true` the first time.
    pub(crate) fn tell_open(&mut self) -> bool {
        !std::mem::replace(&mut self.open_told, true)
    }

    /// `true` the first time.
    pub(crate) fn tell_close(&mut self) -> bool {
        !std::mem::replace(&mut self.close_told, true)
    }
}

impl Item {
    /// Is it one of the connection's, for who takes its events?
    fn is_for_stream(&self) -> bool {
        match self {
            Self::Described(_) => false,
            item => item.channel().is_none() || matches!(item, Self::Incoming(_)),
        }
    }

    fn channel(&self) -> Option<ChannelId> {
        match self {
            Self::Incoming(id)
            | Self::Open(id)
            | Self::Readable(id)
            | Self::BufferedAmountLow(id)
            | Self::Closing(id)
            | Self::ChannelClosed(id, _) => Some(*id),
            Self::NegotiationNeeded
            | Self::Described(_)
            | Self::Signaling(_)
            | Self::Gathering(_)
            | Self::Ice(_)
            | Self::Connection(_)
            | Self::Dtls(_)
            | Self::Sctp(_)
            | Self::SelectedPair
            | Self::Candidate(_)
            | Self::CandidateError(_)
            | Self::Closed(_) => None,
        }
    }
}

/// Candidates of all interfaces of a machine, as a rule a handful.
const MAX_BACKLOG: usize = 128;
/// What a dispatcher takes from one channel at a time.
const MAX_MESSAGES: usize = 64;
const MAX_MESSAGE_BYTES: usize = 256 << 10;
/// Read bytes after which the peer may have to be told of the open window; a small part of the window of 4 MiB.
const ANNOUNCED_WINDOW: usize = 64 << 10;
/// What the receive window counts for each message beside its payload.
const MESSAGE_OVERHEAD: usize = 128;

#[cfg(test)]
mod tests;
