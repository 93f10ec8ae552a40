//! Two ends over a link that does what the script says, and a book of what each user sent.

use super::script::Script;
use crate::dcep::{ChannelEvent, ChannelId, ChannelInit, Channels, MessageKind, Role};
use crate::{Config, Reliability, State};
use bytes::{Bytes, BytesMut};
use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

/// Loss, reordering, copies and time, from the handshake on, while both users open channels, send and close.
///
/// What was sent reliably arrives once, in order if the channel is ordered, if the association lives through it; what may
/// be given up arrives whole and in order, or not at all.
pub fn pair(script: &[u8]) {
    let mut script = Script::new(script);
    let mut run = Run::new(script.byte());
    while let Some(step) = script.step() {
        run.step(step, &mut script);
        run.settle();
    }
    run.finish();
}

struct Run {
    now: Instant,
    ends: [End; 2],
    books: BTreeMap<String, Book>,
    by_parts: bool,
}

struct End {
    channels: Channels,
    ids: BTreeMap<String, ChannelId>,
    /// Packets on their way to the other end.
    link: VecDeque<Bytes>,
    established: usize,
}

/// What became of one channel; of each pair the first is of the end that opened it.
struct Book {
    opener: usize,
    init: ChannelInit,
    sent: [Vec<Vec<u8>>; 2],
    received: [Vec<Vec<u8>>; 2],
    /// The message that is read by parts.
    half: [Vec<u8>; 2],
}

impl Run {
    fn new(agreement: u8) -> Self {
        let now = Instant::now();
        let config = |shift: u8| {
            Config::default()
                .heartbeat_interval(Duration::ZERO)
                // Whoever gives up waiting for the peer drops what it sends.
                .close_timeout(Duration::from_secs(86_400))
                .receive_window(60_000)
                .max_receive_message_size(20_000)
                .partial_reliability(agreement >> shift & 1 == 0)
                .interleaving(agreement >> shift & 2 != 0)
        };
        let ends = [(0, Role::Client), (2, Role::Server)].map(|(shift, role)| {
            let mut channels = Channels::new(config(shift), [shift + 1; 32], now);
            channels.set_role(now, role);
            channels.connect(now);
            End { channels, ids: BTreeMap::new(), link: VecDeque::new(), established: 0 }
        });
        let mut run = Self { now, ends, books: BTreeMap::new(), by_parts: agreement & 16 != 0 };
        if agreement & 32 != 0 {
            run.settle();
            while run.deliver_all() {}
        }
        run
    }

    fn step(&mut self, step: u8, script: &mut Script<'_>) {
        let side = usize::from(step >> 7);
        match step & 0x7f {
            // Likely ones first: a fuzzer changes single bits.
            0..24 => self.send(side, script),
            24..32 => self.open(side, script.byte()),
            32..36 => self.close(side, script.byte()),
            36..60 => self.deliver(side, script.byte(), true),
            60..72 => self.deliver(side, script.byte(), false),
            72..80 => drop(self.ends[side].link.pop_front()),
            80..88 => self.lose(side, script.byte()),
            88..104 => drop(self.deliver_all()),
            104..116 => self.pass(Duration::from_millis(script.byte().into())),
            // Of either end: one that waits for the other only would give up on it before the other's turn.
            _ => drop(self.pass_to_deadline()),
        }
    }

    fn open(&mut self, side: usize, kind: u8) {
        if self.books.len() >= MAX_CHANNELS {
            return;
        }
        let reliability = match kind >> 1 & 7 {
            0 => Reliability::MaxRetransmits(0),
            1 => Reliability::MaxRetransmits(2),
            2 => Reliability::MaxLifetime(Duration::from_millis(200)),
            _ => Reliability::Reliable,
        };
        let label = format!("{side}-{}", self.books.len());
        let priority = 128 << (kind >> 4 & 3);
        let init = ChannelInit {
            label: label.clone(),
            ordered: kind & 1 == 0,
            reliability,
            priority,
            ..ChannelInit::default()
        };
        let Ok(id) = self.ends[side].channels.open(self.now, init.clone()) else { return };
        self.ends[side].ids.insert(label.clone(), id);
        let book = Book {
            opener: side,
            init,
            sent: Default::default(),
            received: Default::default(),
            half: Default::default(),
        };
        self.books.insert(label, book);
    }

    fn send(&mut self, side: usize, script: &mut Script<'_>) {
        let (which, length) = (script.byte(), usize::from(script.u16() % 6000));
        let Some((label, id)) = self.ends[side].pick(which) else { return };
        let Some(book) = self.books.get_mut(&label) else { return };
        let sent = &mut book.sent[usize::from(side != book.opener)];
        // Every byte depends on the number of the message and on where it stands.
        let number = sent.len();
        let byte = |position: usize| (number.wrapping_mul(31) ^ position.wrapping_mul(7)).to_le_bytes()[0];
        let data: Vec<u8> = number.to_be_bytes().into_iter().chain((0..length).map(byte)).collect();
        if let Some(mut channel) = self.ends[side].channels.channel(id)
            && channel.send(self.now, MessageKind::Binary, Bytes::from(data.clone())).is_ok()
        {
            sent.push(data);
        }
    }

    fn close(&mut self, side: usize, which: u8) {
        let picked = self.ends[side].pick(which);
        if let Some(mut channel) = picked.and_then(|(_, id)| self.ends[side].channels.channel(id)) {
            channel.close(self.now);
        }
    }

    /// Some packet of those on their way; a copy of it stays if it is not taken out.
    fn deliver(&mut self, from: usize, which: u8, take: bool) {
        let link = &mut self.ends[from].link;
        let Some(index) = usize::from(which).checked_rem(link.len()) else { return };
        let packet = if take { link.remove(index) } else { link.get(index).cloned() };
        self.ends[1 - from].channels.handle_packet(self.now, &packet.expect("an index of the link"));
    }

    fn lose(&mut self, from: usize, which: u8) {
        let link = &mut self.ends[from].link;
        if let Some(index) = usize::from(which).checked_rem(link.len()) {
            link.remove(index);
        }
    }

    /// Everything that is on its way now; whether that was anything.
    fn deliver_all(&mut self) -> bool {
        let mut any = false;
        for from in [0, 1] {
            for packet in std::mem::take(&mut self.ends[from].link) {
                any = true;
                self.ends[1 - from].channels.handle_packet(self.now, &packet);
            }
        }
        self.settle();
        any
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
        for end in &mut self.ends {
            end.channels.handle_timeout(self.now);
        }
    }

    /// Until something is due at either end; whether anything will be.
    fn pass_to_deadline(&mut self) -> bool {
        let deadline = self.ends.iter().filter_map(|end| end.channels.poll_timeout()).min();
        if let Some(deadline) = deadline {
            self.pass(deadline.saturating_duration_since(self.now));
        }
        deadline.is_some()
    }

    /// What owners do after each input.
    fn settle(&mut self) {
        for side in [0, 1] {
            self.ends[side].transmit(self.now);
            self.ends[side].take_events();
            self.read(side);
            // Reading may have opened the window.
            self.ends[side].transmit(self.now);
            self.ends[side].channels.association().check_invariants();
        }
    }

    fn read(&mut self, side: usize) {
        for (label, id) in &self.ends[side].ids {
            let Some(mut channel) = self.ends[side].channels.channel(*id) else { continue };
            let book = self.books.get_mut(label).expect("only channels of this run are opened");
            let column = usize::from(side != book.opener);
            if !self.by_parts {
                let messages = std::iter::from_fn(|| channel.recv(self.now));
                book.received[column].extend(messages.map(|message| message.data.to_vec()));
                continue;
            }
            while let Some(part) = channel.recv_part(self.now) {
                let half = &mut book.half[column];
                half.extend_from_slice(&part.data);
                if part.last {
                    let message = std::mem::take(half);
                    if !part.abandoned {
                        book.received[column].push(message);
                    }
                }
            }
        }
    }

    /// The link loses nothing any more: everything comes to rest, and the books are compared.
    fn finish(&mut self) {
        for _ in 0..2000 {
            while self.deliver_all() {}
            if !self.pass_to_deadline() {
                return self.judge();
            }
            self.settle();
        }
        panic!("it does not come to rest: {:#?}", self.ends.each_ref().map(|end| &end.channels));
    }

    fn judge(&self) {
        let lives = self
            .ends
            .iter()
            .all(|end| end.channels.association().state() == State::Established && end.established == 1);
        for (label, book) in &self.books {
            // Heard of by both, unless it was closed at once.
            for (sent, received) in [(0, 1), (1, 0)] {
                book.judge(&book.sent[sent], &book.received[received], lives, label);
            }
        }
        if lives {
            assert!(self.ends.iter().all(|end| end.channels.undelivered() == 0));
        }
    }
}

impl End {
    fn transmit(&mut self, now: Instant) {
        let mut buffer = BytesMut::new();
        let mut packets = 0;
        while self.channels.poll_transmit(now, &mut buffer) {
            assert!(buffer.len() <= 1191, "a packet of {} bytes", buffer.len());
            self.link.push_back(buffer.split().freeze());
            packets += 1;
            assert!(packets < 1000, "no end of packets");
        }
        // A queue that is full drops, so that no script fills the memory.
        while self.link.len() > MAX_UNDERWAY {
            self.link.pop_back();
        }
    }

    fn take_events(&mut self) {
        while let Some(event) = self.channels.poll_event() {
            match event {
                ChannelEvent::Established => self.established += 1,
                ChannelEvent::Restarted => panic!("nobody restarted"),
                ChannelEvent::Incoming(id) => {
                    let channel = self.channels.channel(id).expect("it has just come");
                    let label = channel.init().label.clone();
                    assert_eq!(self.ids.insert(label, id), None, "a channel came twice");
                }
                ChannelEvent::AssociationClosed(_)
                | ChannelEvent::Open(_)
                | ChannelEvent::Readable(_)
                | ChannelEvent::Writable(_)
                | ChannelEvent::BufferedAmountLow(_)
                | ChannelEvent::Closing(_)
                | ChannelEvent::Closed(..) => {}
            }
        }
    }

    fn pick(&self, which: u8) -> Option<(String, ChannelId)> {
        let index = usize::from(which).checked_rem(self.ids.len())?;
        self.ids.iter().nth(index).map(|(label, id)| (label.clone(), *id))
    }
}

impl Book {
    /// One direction.
    fn judge(&self, sent: &[Vec<u8>], received: &[Vec<u8>], lives: bool, label: &str) {
        let numbers = |messages: &[Vec<u8>]| -> Vec<usize> {
            // What was received is looked up whole: a message that was glued or cut is none.
            messages
                .iter()
                .map(|message| sent.iter().position(|sent| sent == message).expect(label))
                .collect()
        };
        let mut received = numbers(received);
        if !self.init.ordered {
            received.sort_unstable();
        }
        assert!(received.is_sorted_by(|one, next| one < next), "{label}: {received:?}");
        if lives && self.init.reliability == Reliability::Reliable {
            assert_eq!(received, numbers(sent), "{label}");
        }
    }
}

const MAX_CHANNELS: usize = 12;
/// Packets that the link holds in one direction.
const MAX_UNDERWAY: usize = 100;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn any_script(script in vec(any::<u8>(), 0..300)) {
            pair(&script);
        }
    }
}
