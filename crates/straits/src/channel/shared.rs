//! What the handles of one channel share beside the connection: its settings, its handlers, its consumer.

use super::DataChannel;
use crate::connection::handlers::{Handlers, Slot};
use crate::{Error, Message};
use std::fmt;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};
use straits_peer::sctp::{ChannelId, ChannelInit};

/// The shared part of a channel.
#[derive(Debug)]
pub(crate) struct ChannelShared {
    pub(crate) id: ChannelId,
    pub(crate) init: ChannelInit,
    pub(crate) handlers: Mutex<ChannelHandlers>,
    /// Handles that users hold.
    pub(crate) handles: AtomicUsize,
    consumer: Claim,
}

type MessageHandler = dyn FnMut(&DataChannel, Message) + Send;
type ErrorHandler = dyn FnMut(&DataChannel, Error) + Send;

/// The handlers of a channel.
#[derive(Default)]
pub(crate) struct ChannelHandlers {
    pub(crate) open: Slot<dyn FnMut(&DataChannel) + Send>,
    pub(crate) message: Slot<MessageHandler>,
    pub(crate) buffered_amount_low: Slot<dyn FnMut(&DataChannel) + Send>,
    pub(crate) closing: Slot<dyn FnMut(&DataChannel) + Send>,
    pub(crate) close: Slot<dyn FnMut(&DataChannel) + Send>,
    pub(crate) error: Slot<ErrorHandler>,
    retired: bool,
}

impl Handlers for ChannelHandlers {
    fn is_retired(&self) -> bool {
        self.retired
    }

    fn set_retired(&mut self) {
        self.retired = true;
    }
}

impl fmt::Debug for ChannelHandlers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChannelHandlers").finish_non_exhaustive()
    }
}

impl ChannelShared {
    pub(crate) fn new(id: ChannelId, init: ChannelInit) -> Self {
        Self {
            id,
            init,
            handlers: Mutex::default(),
            handles: AtomicUsize::new(0),
            consumer: Claim::default(),
        }
    }

    /// Do messages go to a handler?
    pub(crate) fn is_handled(&self) -> bool {
        self.consumer.is_handler()
    }

    pub(crate) fn claim_handler(&self) -> bool {
        let own = self.consumer.claim(Claim::HANDLER);
        if !own {
            tracing::warn!(
                label = self.init.label,
                "message handler not called: a reader takes the messages"
            );
        }
        own
    }

    pub(crate) fn claim_reader(&self) -> bool {
        let own = self.consumer.claim(Claim::READER);
        if !own {
            tracing::warn!(label = self.init.label, "nothing to read: a handler takes the messages");
        }
        own
    }
}

/// Who takes the messages: nobody yet, or the first that asked.
#[derive(Debug, Default)]
struct Claim(AtomicU8);

impl Claim {
    const NOBODY: u8 = 0;
    const HANDLER: u8 = 1;
    const READER: u8 = 2;

    fn is_handler(&self) -> bool {
        self.0.load(Ordering::Acquire) == Self::HANDLER
    }

    fn claim(&self, consumer: u8) -> bool {
        let claimed = self.0.compare_exchange(Self::NOBODY, consumer, Ordering::AcqRel, Ordering::Acquire);
        claimed.is_ok() || claimed == Err(consumer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_consumer_wins() {
        let claim = Claim::default();
        assert!(claim.claim(Claim::READER));
        assert!(!claim.claim(Claim::HANDLER));
        assert!(claim.claim(Claim::READER));
        assert!(!claim.is_handler());
    }
}
