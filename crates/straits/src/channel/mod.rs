//! `RTCDataChannel`.

mod byte_stream;
mod init;
mod messages;
mod parts;
mod reader;
mod receive;
mod send;
mod shared;
mod writer;

pub use byte_stream::ByteStream;
pub use init::{DataChannelInit, Priority};
pub use messages::Messages;
pub use parts::{MessageEnd, MessagePart};
pub use reader::MessageReader;
pub use writer::MessageWriter;

pub(crate) use parts::Parts;
pub(crate) use shared::{ChannelHandlers, ChannelShared};

use crate::connection::ChannelHandle;
use crate::connection::handlers::{self, Slot};
use crate::wakers::{Wait, wait_fn};
use crate::{DataChannelState, Error, Message, endpoint};
use std::sync::Arc;
use std::task::Poll;
use straits_peer::sctp::{
    Channel, ChannelCloseReason, ChannelSendError, ChannelState, ChannelStats, Reliability,
};

/// `RTCDataChannel`, W3C webrtc-pc §6.2: a channel for messages. Clones are handles on the same channel.
///
/// **Browser face**: getters, [`send_text`](Self::send_text), [`send_binary`](Self::send_binary), and handlers
/// (`on_open`, `on_message`, …). A handler gets the channel it is about as its argument, so it need not capture one.
///
/// **Rust face**: [`send`](Self::send), which waits while much is buffered, [`recv`](Self::recv),
/// [`messages`](Self::messages) (`Stream + Sink`), [`into_bytes`](Self::into_bytes) (`AsyncRead + AsyncWrite`),
/// [`opened`](Self::opened), [`closed`](Self::closed). One message in pieces, with bounded memory however large it is:
/// [`recv_part`](Self::recv_part), [`message_reader`](Self::message_reader) (`AsyncRead`) and
/// [`message_writer`](Self::message_writer) (`AsyncWrite`, `Sink`).
///
/// # Handlers must not block
///
/// All handlers of a connection and of its channels run one after another in one task. One that blocks, on a lock, on a file,
/// or in `block_on`, stalls all the others and with them the states that getters show and every future that waits for a
/// handler, `closed` of this very connection among them; on a runtime with one thread it stalls the packets too. What takes
/// long belongs into a task of its own (`tokio::spawn`), to which the handler passes its message; the Rust face needs none
/// of this.
///
/// # Dropping futures
///
/// Every future may be dropped at any time, as `select!` and timeouts do:
///
/// - [`send`](Self::send) has then queued nothing; what it did queue it has told by being ready.
/// - [`recv`](Self::recv), [`recv_part`](Self::recv_part), `next` of [`messages`](Self::messages) and reads of
///   [`into_bytes`](Self::into_bytes) have taken nothing: the next call gets what they would have got.
/// - [`message_reader`](Self::message_reader) and [`message_writer`](Self::message_writer) have begun no message; reads and
///   [`send_part`](MessageWriter::send_part) of what they gave have moved nothing. The reader and the writer themselves are no
///   futures: see there what dropping one means.
/// - [`opened`](Self::opened) and [`closed`](Self::closed) only look; a shutdown of `messages` or `into_bytes` that was polled
///   once goes on closing.
///
/// # Who gets the messages
///
/// A channel has one consumer: its message handler or a reader (`recv`, `messages`, `into_bytes`); whichever comes
/// first. A handler that comes second is never called, a reader that comes second finds the end at once; both leave a
/// warning in the log. Readers of all kinds are one consumer: each takes what is next, and of a message that was read in
/// pieces `recv` passes over the rest. Messages that arrive before there is a consumer wait for it, and count against the
/// receive window.
///
/// # Lifetime
///
/// Dropping a `DataChannel` does not close the channel: the connection owns it. Only when the last handle of a connection
/// and of all its channels is gone, the connection delivers what was accepted and ends. A handler that captures a handle
/// of its own connection therefore keeps that connection until it is closed by a call; use the handle that it is passed,
/// or capture [`PeerConnection::downgrade`](crate::PeerConnection::downgrade).
#[derive(Clone, Debug)]
pub struct DataChannel(ChannelHandle);

impl DataChannel {
    pub(crate) fn new(handle: ChannelHandle) -> Self {
        Self(handle)
    }

    fn shared(&self) -> &Arc<ChannelShared> {
        self.0.shared()
    }

    /// Looks at the channel in the core; `None` once it is forgotten.
    fn look<R>(&self, look: impl FnOnce(Channel<'_>) -> R) -> Option<R> {
        let id = self.shared().id;
        self.0.connection().lock().peer.channel(id).map(look)
    }

    // Attributes.

    /// The label, as it was given to `create_data_channel`. Need not be unique.
    #[must_use]
    pub fn label(&self) -> &str {
        &self.shared().init.label
    }

    /// The subprotocol; empty if none.
    #[must_use]
    pub fn protocol(&self) -> &str {
        &self.shared().init.protocol
    }

    /// Do messages arrive in the order they were sent?
    #[must_use]
    pub fn ordered(&self) -> bool {
        self.shared().init.ordered
    }

    /// Milliseconds after which a message is given up, if there is such a limit.
    #[must_use]
    pub fn max_packet_life_time(&self) -> Option<u16> {
        match self.shared().init.reliability {
            Reliability::MaxLifetime(time) => Some(u16::try_from(time.as_millis()).unwrap_or(u16::MAX)),
            _ => None,
        }
    }

    /// Retransmissions after which a message is given up, if there is such a limit.
    #[must_use]
    pub fn max_retransmits(&self) -> Option<u16> {
        match self.shared().init.reliability {
            Reliability::MaxRetransmits(count) => Some(count),
            _ => None,
        }
    }

    /// How messages of this channel rank beside those of others.
    #[must_use]
    pub fn priority(&self) -> Priority {
        Priority::from_wire(self.shared().init.priority)
    }

    /// Was the channel agreed on by other means than an announcement?
    #[must_use]
    pub fn negotiated(&self) -> bool {
        self.shared().init.negotiated.is_some()
    }

    /// The stream id; `None` until the DTLS roles are known, which decide it.
    #[must_use]
    pub fn id(&self) -> Option<u16> {
        self.look(|channel| channel.stream_id()).flatten()
    }

    /// Where the channel stands. With handlers in use it changes as they are called (see
    /// [`PeerConnection`](crate::PeerConnection)).
    #[must_use]
    pub fn ready_state(&self) -> DataChannelState {
        let state = self.0.connection().lock();
        state.channels.get(&self.shared().id).map_or(DataChannelState::Closed, |entry| entry.published)
    }

    /// Bytes of payload that were accepted and are not in a packet yet. When the connection has ended, what it was then.
    ///
    /// On a runtime with several threads it may fall at any time, also while a handler runs.
    #[must_use]
    pub fn buffered_amount(&self) -> usize {
        self.look(|channel| channel.buffered_amount()).unwrap_or(0)
    }

    /// The buffered amount whose crossing from above is an event. Default 0.
    #[must_use]
    pub fn buffered_amount_low_threshold(&self) -> usize {
        self.look(|channel| channel.buffered_amount_low_threshold()).unwrap_or(0)
    }

    /// Sets the buffered amount whose crossing from above is an event.
    pub fn set_buffered_amount_low_threshold(&self, threshold: usize) {
        self.look(|mut channel| channel.set_buffered_amount_low_threshold(threshold));
    }

    /// Messages and bytes that passed.
    #[must_use]
    pub fn stats(&self) -> ChannelStats {
        self.look(|channel| channel.stats()).unwrap_or_default()
    }

    // States.

    /// Waits until the channel is open and its `open` handler, if there is one, has run.
    ///
    /// # Errors
    ///
    /// When it is closing or closed, with what ended it.
    ///
    /// Cancel-safe: it changes nothing.
    pub async fn opened(&self) -> Result<(), Error> {
        wait_fn(|wait| self.poll_opened(wait)).await
    }

    fn poll_opened(&self, wait: &mut Wait<'_>) -> Poll<Result<(), Error>> {
        let mut state = self.0.connection().lock();
        let reason = state.reason().cloned();
        if state.is_opening(self.shared().id) {
            state.register(wait);
            return Poll::Pending;
        }
        let Some(entry) = state.channels.get_mut(&self.shared().id) else {
            return Poll::Ready(Err(Error::closed(reason.as_ref())));
        };
        match (entry.published, &entry.close_reason) {
            (DataChannelState::Open, _) => Poll::Ready(Ok(())),
            (DataChannelState::Connecting, _) => {
                entry.wait(wait);
                Poll::Pending
            }
            (_, Some(reason)) => Poll::Ready(Err(Error::channel(reason.clone()))),
            (_, None) => Poll::Ready(Err(ChannelSendError::NotOpen.into())),
        }
    }

    /// Waits until the channel is closed in both directions and its handlers have run, and says why.
    ///
    /// After [`close`](Self::close) this means that the peer has everything that was accepted.
    ///
    /// Cancel-safe: it changes nothing.
    pub async fn closed(&self) -> ChannelCloseReason {
        wait_fn(|wait| self.poll_closed(wait)).await
    }

    fn poll_closed(&self, wait: &mut Wait<'_>) -> Poll<ChannelCloseReason> {
        self.0.connection().lock().poll_channel_closed(self.shared().id, wait)
    }

    /// Closes the channel unless it is; ready when it is closed.
    fn poll_shutdown(&self, wait: &mut Wait<'_>) -> Poll<()> {
        let is_open = |state| matches!(state, ChannelState::Connecting | ChannelState::Open);
        if self.look(|channel| channel.state()).is_some_and(is_open) {
            self.close();
        }
        self.poll_closed(wait).map(|_| ())
    }

    /// `RTCDataChannel.close`: what was accepted is delivered, then the channel closes on both sides.
    ///
    /// The state is `Closing` at once and `Closed` when the peer has confirmed; messages of the peer still arrive until
    /// then. Without effect on a channel that is closing or closed. A message that a
    /// [`MessageWriter`] has not finished was not accepted: it is given up.
    pub fn close(&self) {
        self.end(|mut channel| {
            let now = endpoint::now();
            // A peer that cannot be told gets what there is of it.
            channel.give_up_message(now);
            channel.close(now);
        });
    }

    /// Closes the channel and drops what is not sent yet.
    pub fn abort(&self) {
        self.end(|mut channel| channel.abort(endpoint::now()));
    }

    fn end(&self, end: impl FnOnce(Channel<'_>)) {
        let id = self.shared().id;
        self.0.connection().with(|state, _| {
            if let Some(entry) = state.channels.get_mut(&id)
                && matches!(entry.published, DataChannelState::Connecting | DataChannelState::Open)
            {
                entry.published = DataChannelState::Closing;
            }
            if let Some(channel) = state.peer.channel(id) {
                end(channel);
            }
        });
    }

    // Handlers.

    /// Called once when the channel opens; also when it did before the handler was set.
    pub fn on_open(&self, handler: impl FnMut(&DataChannel) + Send + 'static) {
        self.set(|handlers| handlers.open.replace(Box::new(handler)));
    }

    /// Called for each message. What arrived before the handler was set waits for it.
    pub fn on_message(&self, handler: impl FnMut(&DataChannel, Message) + Send + 'static) {
        if self.shared().claim_handler() {
            self.set(|handlers| handlers.message.replace(Box::new(handler)));
        }
    }

    /// Called when the buffered amount falls to the threshold or below it.
    pub fn on_buffered_amount_low(&self, handler: impl FnMut(&DataChannel) + Send + 'static) {
        self.set(|handlers| handlers.buffered_amount_low.replace(Box::new(handler)));
    }

    /// Called when the peer begins to close the channel; not after a [`close`](Self::close) of our own.
    pub fn on_closing(&self, handler: impl FnMut(&DataChannel) + Send + 'static) {
        self.set(|handlers| handlers.closing.replace(Box::new(handler)));
    }

    /// Called once when the channel is closed; also when it was before the handler was set.
    pub fn on_close(&self, handler: impl FnMut(&DataChannel) + Send + 'static) {
        self.set(|handlers| handlers.close.replace(Box::new(handler)));
    }

    /// Called before `on_close` when the channel ended by a failure.
    pub fn on_error(&self, handler: impl FnMut(&DataChannel, Error) + Send + 'static) {
        self.set(|handlers| handlers.error.replace(Box::new(handler)));
    }

    fn set<F: ?Sized>(&self, put: impl FnOnce(&mut ChannelHandlers) -> Slot<F>) {
        handlers::set(&self.shared().handlers, put);
        self.0.connection().inner().dispatch(|state| state.replay_channel(self.shared().id));
    }
}
