//! What a channel is made with.

use crate::{Error, ErrorName};
use std::time::Duration;
use straits_peer::sctp::{ChannelInit, Reliability};

/// `RTCDataChannelInit`, W3C webrtc-pc §6.1.1.1, with chained setters.
///
/// ```
/// use straits::DataChannelInit;
///
/// let game_state = DataChannelInit::default().ordered(false).max_retransmits(0);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DataChannelInit {
    unordered: bool,
    max_packet_life_time: Option<u16>,
    max_retransmits: Option<u16>,
    protocol: String,
    negotiated: bool,
    id: Option<u16>,
    priority: Priority,
}

/// `RTCPriorityType`, W3C webrtc-priority §2: how messages of a channel rank beside those of others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Priority {
    /// 128 on the wire (RFC 8831 §6.4).
    VeryLow,
    /// 256, the default.
    #[default]
    Low,
    /// 512
    Medium,
    /// 1024
    High,
}

impl DataChannelInit {
    /// Do messages arrive in the order they were sent? Default `true`; `false` spares the wait for a lost message that
    /// others overtake.
    #[must_use]
    pub fn ordered(mut self, ordered: bool) -> Self {
        self.unordered = !ordered;
        self
    }

    /// Give a message up this many milliseconds after `send`. Default: never. Not together with
    /// [`max_retransmits`](Self::max_retransmits).
    #[must_use]
    pub fn max_packet_life_time(mut self, milliseconds: u16) -> Self {
        self.max_packet_life_time = Some(milliseconds);
        self
    }

    /// Give a message up after this many retransmissions; 0 sends it once. Default: never. Not together with
    /// [`max_packet_life_time`](Self::max_packet_life_time).
    #[must_use]
    pub fn max_retransmits(mut self, count: u16) -> Self {
        self.max_retransmits = Some(count);
        self
    }

    /// The subprotocol, at most 65535 bytes. Default empty.
    #[must_use]
    pub fn protocol(mut self, protocol: impl Into<String>) -> Self {
        self.protocol = protocol.into();
        self
    }

    /// Both sides create the channel with the same [`id`](Self::id), and nothing is announced. Default `false`: the
    /// other side gets it in `on_data_channel` or `accept_channel`.
    #[must_use]
    pub fn negotiated(mut self, negotiated: bool) -> Self {
        self.negotiated = negotiated;
        self
    }

    /// The stream id of a negotiated channel, 0 to 65534. Ignored on others, whose ids follow from the DTLS roles.
    #[must_use]
    pub fn id(mut self, id: u16) -> Self {
        self.id = Some(id);
        self
    }

    /// How messages of this channel rank beside those of others. Default [`Priority::Low`].
    #[must_use]
    pub fn priority(mut self, priority: Priority) -> Self {
        self.priority = priority;
        self
    }

    /// W3C webrtc-pc §6.1 createDataChannel: what the core does not check itself.
    pub(crate) fn into_core(self, label: String) -> Result<ChannelInit, Error> {
        let refuse = |what, advice| Err(Error::new(ErrorName::TypeError, what, advice));
        let reliability = match (self.max_packet_life_time, self.max_retransmits) {
            (None, None) => Reliability::Reliable,
            (Some(milliseconds), None) => {
                Reliability::MaxLifetime(Duration::from_millis(milliseconds.into()))
            }
            (None, Some(count)) => Reliability::MaxRetransmits(count),
            (Some(_), Some(_)) => {
                return refuse("both max_packet_life_time and max_retransmits are given", "give one of them");
            }
        };
        let negotiated = match (self.negotiated, self.id) {
            (false, _) => None,
            (true, Some(id)) => Some(id),
            (true, None) => {
                return refuse("a negotiated channel needs an id", "agree on one from 0 to 65534");
            }
        };
        let priority = self.priority.to_wire();
        let protocol = self.protocol;
        Ok(ChannelInit { label, protocol, ordered: !self.unordered, reliability, priority, negotiated })
    }
}

impl Priority {
    fn to_wire(self) -> u16 {
        match self {
            Self::VeryLow => 128,
            Self::Low => 256,
            Self::Medium => 512,
            Self::High => 1024,
        }
    }

    /// Thresholds, so that any value of the wire has a name.
    pub(crate) fn from_wire(value: u16) -> Self {
        match value {
            0..=128 => Self::VeryLow,
            129..=256 => Self::Low,
            257..=512 => Self::Medium,
            513.. => Self::High,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(init: DataChannelInit) -> Option<ErrorName> {
        init.into_core(String::new()).err().map(|error| error.name())
    }

    /// W3C behaviours CDC-08 to CDC-11.
    #[test]
    fn life_time_and_retransmits_exclude_each_other_also_as_zero() {
        let init = DataChannelInit::default();
        assert_eq!(name(init.clone().max_packet_life_time(0).max_retransmits(0)), Some(ErrorName::TypeError));
        let core = init.clone().max_retransmits(0).into_core(String::new()).unwrap();
        assert_eq!(core.reliability, Reliability::MaxRetransmits(0));
        let core = init.max_packet_life_time(42).into_core(String::new()).unwrap();
        assert_eq!(core.reliability, Reliability::MaxLifetime(Duration::from_millis(42)));
    }

    /// W3C behaviours CDC-13, CDC-14, CDC-25, CDC-26.
    #[test]
    fn an_id_counts_only_when_negotiated_and_then_must_be_there() {
        let init = DataChannelInit::default();
        assert_eq!(name(init.clone().negotiated(true)), Some(ErrorName::TypeError));
        assert_eq!(init.clone().id(65535).into_core(String::new()).unwrap().negotiated, None);
        assert_eq!(init.negotiated(true).id(3).into_core(String::new()).unwrap().negotiated, Some(3));
    }
}
