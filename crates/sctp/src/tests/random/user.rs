//! A user of channels who keeps books.

use super::book::{Book, Message};
use super::watch::Watch;
use super::*;
use crate::{ChannelSendError, dcep::Channel};
use proptest::sample::Index;

pub(super) struct User {
    pub(super) channels: Channels,
    /// Books by the number of the channel, which is its label.
    pub(super) books: BTreeMap<usize, Book>,
    /// Reads only when told to.
    pub(super) sleeps: bool,
    reads_parts: bool,
    ids: BTreeMap<usize, ChannelId>,
    /// Channels of which `Readable` was told and that were not read empty since.
    readable: BTreeSet<ChannelId>,
    established: bool,
    watch: Watch,
}

impl User {
    pub(super) fn new(config: Config, role: Role, seed: [u8; 32], now: Instant, reads_parts: bool) -> Self {
        let mut channels = Channels::new(config, seed, now);
        channels.set_role(now, role);
        Self {
            channels,
            books: BTreeMap::new(),
            sleeps: false,
            reads_parts,
            ids: BTreeMap::new(),
            readable: BTreeSet::new(),
            established: false,
            watch: Watch::default(),
        }
    }

    pub(super) fn is_up(&self) -> bool {
        self.established
    }

    pub(super) fn open(&mut self, now: Instant, name: usize, kind: Kind) {
        let init = ChannelInit {
            label: name.to_string(),
            ordered: kind.ordered,
            reliability: kind.reliability,
            priority: kind.priority,
            // Far from those that are given out.
            negotiated: kind.negotiated.then(|| 1000 + u16::try_from(name).unwrap()),
            ..ChannelInit::default()
        };
        let id = self.channels.open(now, init).expect("streams are free");
        self.ids.insert(name, id);
        self.books.insert(name, Book::default());
        self.settle(now);
    }

    /// Sends a message, or a part of one. What is refused is refused for a reason.
    pub(super) fn send(&mut self, now: Instant, index: &Index, len: usize, kind: MessageKind, last: bool) {
        let Some((name, id)) = self.pick(index) else { return };
        let book = self.books.get_mut(&name).expect("every channel has a book");
        let data = patterned(book.sent.len(), len);
        let mut channel = self.channels.channel(id).expect("none is forgotten");
        let is_open = channel.state() == ChannelState::Open;
        let result = if last && book.open.is_none() {
            channel.send(now, kind, data.clone())
        } else {
            channel.send_part(now, kind, data.clone(), last)
        };
        match result {
            Ok(()) => book.note_sent(kind, &data, last),
            Err(error) => assert!(error == ChannelSendError::NotOpen && !is_open, "{error}"),
        }
    }

    pub(super) fn close(&mut self, now: Instant, index: &Index) {
        let Some((name, id)) = self.pick(index) else { return };
        let book = self.books.get_mut(&name).expect("every channel has a book");
        book.end_open_message();
        book.was_ended = true;
        self.channels.channel(id).expect("none is forgotten").close(now);
    }

    pub(super) fn abort(&mut self, now: Instant, index: &Index) {
        let Some((name, id)) = self.pick(index) else { return };
        let book = self.books.get_mut(&name).expect("every channel has a book");
        let mut channel = self.channels.channel(id).expect("none is forgotten");
        book.end_open_message();
        // Of a closed one too what was not read is dropped.
        book.was_aborted = true;
        book.was_ended = true;
        channel.abort(now);
    }

    /// Ends the messages whose last part was not sent: by that part, or with the association.
    pub(super) fn end_open_messages(&mut self, now: Instant, ending: Ending) {
        for (name, book) in &mut self.books {
            if book.open.is_some() && ending == Ending::None {
                let mut channel = self.channels.channel(self.ids[name]).expect("none is forgotten");
                let sent = channel.send_part(now, MessageKind::Binary, Bytes::new(), true);
                assert_eq!(sent, Ok(()), "the channel is open");
            }
            book.end_open_message();
        }
    }

    /// Reads at most `limit` messages of each channel that has any.
    pub(super) fn read(&mut self, now: Instant, limit: usize) {
        for id in self.readable.clone() {
            let mut channel = self.channels.channel(id).expect("none is forgotten");
            let name: usize = channel.init().label.parse().unwrap();
            let book = self.books.get_mut(&name).expect("every channel has a book");
            let is_empty = (0..limit).any(|_| !book.read(now, &mut channel, self.reads_parts));
            if is_empty {
                self.readable.remove(&id);
            }
        }
    }

    /// The channels this side knows of, by what the script says.
    fn pick(&self, index: &Index) -> Option<(usize, ChannelId)> {
        let known: Vec<_> = self.ids.iter().map(|(name, id)| (*name, *id)).collect();
        (!known.is_empty()).then(|| *index.get(&known))
    }

    fn settle(&mut self, now: Instant) {
        while let Some(event) = self.channels.poll_event() {
            self.on_event(event);
        }
        if !self.sleeps {
            self.read(now, usize::MAX);
        }
    }

    fn on_event(&mut self, event: ChannelEvent) {
        match event {
            ChannelEvent::Established => self.established = true,
            ChannelEvent::Restarted => panic!("nobody restarted"),
            ChannelEvent::Incoming(id) => {
                let channel = self.channels.channel(id).expect("it has just come");
                let name = channel.init().label.parse().unwrap();
                assert_eq!(self.ids.insert(name, id), None, "channel {name} came twice");
                self.books.insert(name, Book::default());
            }
            ChannelEvent::Open(id) => self.book(id).opened += 1,
            ChannelEvent::Closed(id, _) => self.book(id).closed += 1,
            // The peer ended it, and so it ended what was begun here.
            ChannelEvent::Closing(id) => self.book(id).end_open_message(),
            ChannelEvent::Readable(id) => {
                self.readable.insert(id);
            }
            ChannelEvent::Writable(_)
            | ChannelEvent::BufferedAmountLow(_)
            | ChannelEvent::AssociationClosed(_) => {}
        }
    }

    fn book(&mut self, id: ChannelId) -> &mut Book {
        let channel = self.channels.channel(id).expect("none is forgotten");
        let name: usize = channel.init().label.parse().unwrap();
        self.books.get_mut(&name).expect("every channel has a book")
    }

    fn packet(&mut self, now: Instant) -> Option<Datagram> {
        let mut buffer = BytesMut::new();
        self.channels.poll_transmit(now, &mut buffer).then(|| {
            self.watch.packet(&buffer, 1191);
            datagram(buffer.freeze())
        })
    }
}

impl Book {
    fn note_sent(&mut self, kind: MessageKind, data: &[u8], last: bool) {
        if !last && data.is_empty() {
            return;
        }
        let (_, message) = self.open.get_or_insert_with(|| (kind, Vec::new()));
        message.extend_from_slice(data);
        if last {
            self.sent.extend(self.open.take());
        }
    }

    /// Reads a message or a part of one; false: there is none.
    fn read(&mut self, now: Instant, channel: &mut Channel<'_>, by_parts: bool) -> bool {
        if self.half.is_none() && !by_parts {
            let message = channel.recv(now).map(|message| (message.kind, message.data.to_vec()));
            let is_some = message.is_some();
            self.received.extend(message);
            return is_some;
        }
        let Some(part) = channel.recv_part(now) else { return false };
        if part.abandoned {
            assert!(part.last && part.data.is_empty() && self.half.take().is_some(), "{part:?}");
            return true;
        }
        let (of, half): &mut Message = self.half.get_or_insert_with(|| (part.kind, Vec::new()));
        assert_eq!(*of, part.kind, "the kind of a message changed");
        half.extend_from_slice(&part.data);
        if part.last {
            self.received.extend(self.half.take());
        }
        true
    }
}

impl Endpoint for User {
    fn handle_datagram(&mut self, now: Instant, datagram: Datagram) {
        self.channels.handle_packet(now, &datagram.payload);
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.channels.handle_timeout(now);
    }

    fn poll_transmit(&mut self, now: Instant) -> Option<Datagram> {
        self.packet(now).or_else(|| {
            self.settle(now);
            self.packet(now)
        })
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.channels.poll_timeout()
    }
}
