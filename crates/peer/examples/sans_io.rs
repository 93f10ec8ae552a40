//! Two peers over UDP without a runtime: the cores, two sockets of the standard library and one plain loop.
//!
//! ```text
//! cargo run --release --example sans_io
//! ```
//! Alice opens a channel and greets Bob, Bob sends back what he hears, Alice closes. [`Side::run`] is all that an owner of a
//! [`Peer`] has to do; it would look the same on `mio`, in an embedded system or in a simulation, and a peer never notices.

#![expect(clippy::print_stdout, reason = "an example talks to its user")]

use bytes::{Bytes, BytesMut};
use rand::TryRng;
use rand::rngs::SysRng;
use std::error::Error;
use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::thread;
use std::time::Instant;
use straits_peer::dtls::Identity;
use straits_peer::ice::Route;
use straits_peer::sctp::{ChannelEvent, ChannelInit, MessageKind};
use straits_peer::{Config, DescriptionKind, Event, Peer, SdpType, SessionDescription};

type Failure = Box<dyn Error + Send + Sync>;

fn main() -> Result<(), Failure> {
    let mut alice = Side::new("Alice")?;
    let mut bob = Side::new("Bob")?;
    let chat = ChannelInit { label: "chat".to_owned(), ..ChannelInit::default() };
    alice.peer.open_channel(Instant::now(), chat)?;
    negotiate(&mut alice, &mut bob)?;

    // From here on they know of each other what their sockets tell.
    thread::scope(|threads| {
        let alice = threads.spawn(|| alice.run(greet));
        let bob = threads.spawn(|| bob.run(echo));
        for side in [alice, bob] {
            side.join().expect("neither side panics")?;
        }
        Ok(())
    })
}

/// Offer and answer, with all candidates inside; between two machines they would go through a signalling server.
fn negotiate(offerer: &mut Side, answerer: &mut Side) -> Result<(), Failure> {
    offerer.describe(SdpType::Offer)?;
    let offer = offerer.peer.description(DescriptionKind::PendingLocal).ok_or("no offer")?;
    answerer.peer.set_remote_description(Instant::now(), &offer)?;
    answerer.describe(SdpType::Answer)?;
    let answer = answerer.peer.description(DescriptionKind::CurrentLocal).ok_or("no answer")?;
    offerer.peer.set_remote_description(Instant::now(), &answer)?;
    Ok(())
}

/// What Alice does.
fn greet(peer: &mut Peer, now: Instant, event: &Event) -> Result<(), Failure> {
    match event {
        Event::Channel(ChannelEvent::Open(id)) => {
            let Some(mut channel) = peer.channel(*id) else { return Ok(()) };
            channel.send(now, MessageKind::Text, Bytes::from("Hello, Bob"))?;
        }
        Event::Channel(ChannelEvent::Readable(id)) => {
            let Some(mut channel) = peer.channel(*id) else { return Ok(()) };
            while let Some(message) = channel.recv(now) {
                println!("Alice hears: {}", String::from_utf8_lossy(&message.data));
            }
            channel.close(now);
        }
        // Now Bob has everything.
        Event::Channel(ChannelEvent::Closed(..)) => peer.close(now),
        _ => {}
    }
    Ok(())
}

/// What Bob does.
fn echo(peer: &mut Peer, now: Instant, event: &Event) -> Result<(), Failure> {
    if let Event::Channel(ChannelEvent::Readable(id)) = event
        && let Some(mut channel) = peer.channel(*id)
    {
        while let Some(message) = channel.recv(now) {
            println!("Bob hears: {}", String::from_utf8_lossy(&message.data));
            channel.send(now, message.kind, message.data)?;
        }
    }
    Ok(())
}

/// A peer and what it does not have itself: a name, a socket, and below, in [`run`](Self::run), time.
struct Side {
    name: &'static str,
    peer: Peer,
    socket: UdpSocket,
    address: SocketAddr,
}

impl Side {
    fn new(name: &'static str) -> Result<Self, Failure> {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = socket.local_addr()?;
        let mut seed = [0; 32];
        SysRng.try_fill_bytes(&mut seed)?;
        let peer = Peer::new(Config::default(), Identity::generate()?, seed, Instant::now());
        Ok(Self { name, peer, socket, address })
    }

    /// `setLocalDescription()` of a browser, and the one candidate there is.
    fn describe(&mut self, kind: SdpType) -> Result<(), Failure> {
        let now = Instant::now();
        self.peer.set_local_description(now, &SessionDescription { kind, sdp: String::new() })?;
        self.peer.add_local_candidate(now, self.address);
        self.peer.set_gathering_complete(now);
        Ok(())
    }

    /// Serves the peer until its end: what it has to send, then what it has to tell, then the wait for its next input,
    /// which is a datagram or its deadline.
    fn run(
        &mut self,
        mut on_event: impl FnMut(&mut Peer, Instant, &Event) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        loop {
            self.transmit();
            match self.peer.poll_event() {
                Some(event) => {
                    self.report(&event);
                    on_event(&mut self.peer, Instant::now(), &event)?;
                    if let Event::Closed(_) = event {
                        // The farewell, if it was this side that closed.
                        self.transmit();
                        return Ok(());
                    }
                }
                None => self.wait()?,
            }
        }
    }

    /// Sends all there is to send. A run is several datagrams of one size, fit for one segmented send; here it is cut up.
    fn transmit(&mut self) {
        let mut buffer = BytesMut::new();
        while let Some(run) = self.peer.poll_transmit(Instant::now(), 10, &mut buffer) {
            for datagram in buffer.split().chunks(run.segment_size.unwrap_or(run.size)) {
                // Whatever the socket refuses is lost, as it might be on the network, and is repaired as such.
                if self.socket.send_to(datagram, run.route.remote).is_err() {
                    self.peer.count_discarded(run.route, datagram.len(), None);
                }
            }
        }
    }

    /// Waits for a datagram until the deadline, and hands the peer whichever comes.
    fn wait(&mut self) -> io::Result<()> {
        let deadline = self.peer.poll_timeout();
        let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        if left.is_some_and(|left| left.is_zero()) {
            self.peer.handle_timeout(Instant::now());
            return Ok(());
        }
        self.socket.set_read_timeout(left)?;
        let mut datagram = [0; MAX_DATAGRAM];
        match self.socket.recv_from(&mut datagram) {
            Ok((len, remote)) => {
                let route = Route { local: self.address, remote };
                self.peer.handle_datagram(Instant::now(), route, &datagram[..len]);
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                self.peer.handle_timeout(Instant::now());
            }
            // Windows tells so that the other side is gone; the peer finds out by itself.
            Err(error) if matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::Interrupted) => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }

    fn report(&self, event: &Event) {
        let name = self.name;
        match event {
            Event::ConnectionStateChanged(state) => println!("{name} is {state:?}"),
            Event::Channel(ChannelEvent::Open(_)) => println!("{name} has an open channel"),
            Event::Channel(ChannelEvent::Closed(_, reason)) => {
                println!("{name}'s channel has ended: {reason:?}");
            }
            Event::Closed(reason) => println!("{name} is done: {reason}"),
            _ => {}
        }
    }
}

/// Larger than any that a peer sends: its packets fit every path of 1280 bytes.
const MAX_DATAGRAM: usize = 2048;
