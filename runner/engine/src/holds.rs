//! A multiset of timestamps with a cheap minimum.

use std::collections::BTreeMap;

use dataflume_model::time::EventTime;

/// Watermark holds: each held timestamp with the number of its holders.
#[derive(Debug, Clone, Default)]
pub(crate) struct Holds {
    counts: BTreeMap<EventTime, u64>,
}

impl Holds {
    pub(crate) fn add(&mut self, at: EventTime) {
        *self.counts.entry(at).or_default() += 1;
    }

    /// Releases one holder. The caller added it before.
    pub(crate) fn remove(&mut self, at: EventTime) {
        match self.counts.get_mut(&at) {
            Some(count) if *count > 1 => *count -= 1,
            Some(_) => {
                self.counts.remove(&at);
            }
            None => debug_assert!(false, "released a hold that nobody had: {at:?}"),
        }
    }

    pub(crate) fn min(&self) -> Option<EventTime> {
        self.counts.keys().next().copied()
    }

    pub(crate) fn len(&self) -> u64 {
        self.counts.values().sum()
    }
}
