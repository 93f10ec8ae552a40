//! What waits for the dispatcher.

use super::Item;
use std::collections::{BTreeMap, VecDeque};
use straits_peer::sctp::ChannelId;

/// Items in their order. Of which channels there are any is known without looking at all of them: a connection may have
/// tens of thousands.
#[derive(Debug, Default)]
pub(super) struct Items {
    list: VecDeque<Item>,
    by_channel: BTreeMap<ChannelId, usize>,
}

impl Items {
    /// Nothing follows the end of the connection.
    pub(super) fn push(&mut self, item: Item) {
        if let Some(id) = item.channel() {
            *self.by_channel.entry(id).or_default() += 1;
        }
        let end = usize::from(matches!(self.list.back(), Some(Item::Closed(_))));
        self.list.insert(self.list.len() - end, item);
    }

    pub(super) fn pop(&mut self) -> Option<Item> {
        let item = self.list.pop_front()?;
        if let Some(id) = item.channel()
            && let Some(count) = self.by_channel.get_mut(&id)
        {
            *count -= 1;
            if *count == 0 {
                self.by_channel.remove(&id);
            }
        }
        Some(item)
    }

    /// Drops all that `keeps` does not want.
    pub(super) fn retain(&mut self, keeps: impl Fn(&Item) -> bool) {
        for item in std::mem::take(self).list.into_iter().filter(keeps) {
            self.push(item);
        }
    }

    pub(super) fn contains(&self, item: &Item) -> bool {
        item.channel().is_none_or(|id| self.concern(id)) && self.list.contains(item)
    }

    /// Whether there is one of this channel.
    pub(super) fn concern(&self, id: ChannelId) -> bool {
        self.by_channel.contains_key(&id)
    }

    pub(super) fn len(&self) -> usize {
        self.list.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }
}
