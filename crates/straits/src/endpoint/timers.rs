//! The deadlines of all connections of an endpoint.

use super::Key;
use std::collections::{BTreeSet, HashMap};
use std::time::Instant;

/// At most one entry per connection. A deadline that moves later leaves its entry where it is: most deadlines move later
/// with every packet, and looking once too early costs less than moving the entry each time.
#[derive(Debug, Default)]
pub(super) struct Timers {
    queue: BTreeSet<(Instant, Key)>,
    scheduled: HashMap<Key, Instant>,
}

impl Timers {
    /// The connection is to be looked at by `deadline`, at the latest.
    pub(super) fn set(&mut self, key: Key, deadline: Option<Instant>) {
        let Some(deadline) = deadline else { return };
        match self.scheduled.get_mut(&key) {
            Some(scheduled) if *scheduled <= deadline => {}
            Some(scheduled) => {
                self.queue.remove(&(*scheduled, key));
                *scheduled = deadline;
                self.queue.insert((deadline, key));
            }
            None => {
                self.scheduled.insert(key, deadline);
                self.queue.insert((deadline, key));
            }
        }
    }

    pub(super) fn remove(&mut self, key: Key) {
        if let Some(scheduled) = self.scheduled.remove(&key) {
            self.queue.remove(&(scheduled, key));
        }
    }

    /// A connection whose entry is due; its entry is gone.
    pub(super) fn pop_due(&mut self, now: Instant) -> Option<Key> {
        let &(deadline, key) = self.queue.first()?;
        if deadline > now {
            return None;
        }
        self.remove(key);
        Some(key)
    }

    pub(super) fn next(&self) -> Option<Instant> {
        self.queue.first().map(|&(deadline, _)| deadline)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn entries_come_out_by_deadline_and_only_when_due() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut timers = Timers::default();
        timers.set(Key(1), Some(at(30)));
        timers.set(Key(2), Some(at(10)));
        timers.set(Key(3), None);
        assert_eq!(timers.next(), Some(at(10)));
        assert_eq!(timers.pop_due(at(9)), None);
        assert_eq!(timers.pop_due(at(40)), Some(Key(2)));
        assert_eq!(timers.pop_due(at(40)), Some(Key(1)));
        assert_eq!((timers.pop_due(at(40)), timers.next()), (None, None));
    }

    #[test]
    fn an_earlier_deadline_moves_the_entry_a_later_one_does_not() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut timers = Timers::default();
        timers.set(Key(1), Some(at(20)));
        timers.set(Key(1), Some(at(500)));
        assert_eq!(timers.next(), Some(at(20)));
        timers.set(Key(1), Some(at(5)));
        assert_eq!(timers.next(), Some(at(5)));
        assert_eq!(timers.queue.len(), 1);
    }

    #[test]
    fn removing_leaves_nothing() {
        let mut timers = Timers::default();
        timers.set(Key(1), Some(Instant::now()));
        timers.remove(Key(1));
        timers.remove(Key(1));
        assert_eq!((timers.next(), timers.scheduled.len()), (None, 0));
    }
}
