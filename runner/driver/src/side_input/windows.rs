//! The windows that there are of all side inputs, how much they hold, and when they are over.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use dataflume_model::ids::PCollectionId;
use dataflume_model::time::EventTime;
use rustc_hash::FxHashMap;

use super::contents::{Contents, Entry, Rule};

/// Windows by their PCollection and how they are encoded.
#[derive(Debug, Default)]
pub(super) struct Windows {
    contents: FxHashMap<(PCollectionId, Bytes), Arc<Contents>>,
    /// By their last moment.
    ends: BTreeMap<(PCollectionId, EventTime), Vec<Bytes>>,
    /// Before which time windows are over, by PCollection.
    over: FxHashMap<PCollectionId, EventTime>,
    bytes: u64,
}

impl Windows {
    /// What all of them hold together.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    fn is_over(&self, pcollection: PCollectionId, end: EventTime) -> bool {
        let over = self.over.get(&pcollection);
        over.is_some_and(|time| end < *time || *time == EventTime::MAX)
    }

    /// Adds to a window, unless nobody will look at it any more.
    pub(super) fn add(
        &mut self,
        pcollection: PCollectionId,
        window: Bytes,
        end: EventTime,
        entries: Vec<Entry>,
        rule: Rule,
    ) {
        if self.is_over(pcollection, end) {
            return;
        }
        let key = (pcollection, window);
        if !self.contents.contains_key(&key) {
            let ends = self.ends.entry((pcollection, end)).or_default();
            ends.push(key.1.clone());
        }
        let contents = Arc::make_mut(self.contents.entry(key).or_default());
        let before = contents.bytes();
        contents.add(entries, rule);
        self.bytes = self.bytes.saturating_sub(before) + contents.bytes();
    }

    pub(super) fn get(&self, pcollection: PCollectionId, window: &Bytes) -> Option<Arc<Contents>> {
        self.contents.get(&(pcollection, window.clone())).cloned()
    }

    /// Removes those whose last moment is before a time, or all.
    pub(super) fn remove_before(&mut self, pcollection: PCollectionId, time: EventTime) {
        self.over.insert(pcollection, time);
        loop {
            let mut of_it = self
                .ends
                .range((pcollection, EventTime::MIN)..=(pcollection, EventTime::MAX));
            let Some((&key, _)) = of_it.next() else {
                return;
            };
            if !self.is_over(pcollection, key.1) {
                return;
            }
            for window in self.ends.remove(&key).unwrap_or_default() {
                if let Some(contents) = self.contents.remove(&(pcollection, window)) {
                    self.bytes = self.bytes.saturating_sub(contents.bytes());
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULE: Rule = Rule {
        by_key: false,
        bundles_replace: false,
    };

    fn entry(text: &'static str, pane: Option<i64>) -> Entry {
        Entry {
            value: Bytes::from_static(text.as_bytes()),
            key_end: 0,
            pane,
        }
    }

    #[test]
    fn windows_that_are_over_are_gone_with_what_they_held() {
        let (one, other) = (PCollectionId(1), PCollectionId(2));
        let mut windows = Windows::default();
        let name = |name: &'static str| Bytes::from_static(name.as_bytes());
        let add = |windows: &mut Windows, of, window, end, text| {
            windows.add(
                of,
                name(window),
                EventTime(end),
                vec![entry(text, None)],
                RULE,
            );
        };
        add(&mut windows, one, "a", 9, "abc");
        let small = windows.bytes();
        add(&mut windows, one, "b", 19, "defg");
        add(&mut windows, other, "a", 9, "hij");
        windows.remove_before(one, EventTime(9));
        assert!(
            windows.get(one, &name("a")).is_some(),
            "it has a last moment left"
        );
        windows.remove_before(one, EventTime(10));
        assert!(windows.get(one, &name("a")).is_none());
        assert!(windows.get(one, &name("b")).is_some());
        assert!(windows.get(other, &name("a")).is_some());
        windows.remove_before(one, EventTime::MAX);
        assert_eq!(windows.bytes(), small, "the other's is left");
        windows.remove_before(other, EventTime::MAX);
        assert_eq!(windows.bytes(), 0);
        add(&mut windows, one, "a", 9, "k");
        assert_eq!(windows.bytes(), 0, "too late");
    }

    #[test]
    fn a_pane_that_was_replaced_does_not_count() {
        let mut windows = Windows::default();
        let mut bytes = |text, pane| {
            let entries = vec![entry(text, Some(pane))];
            windows.add(PCollectionId(0), Bytes::new(), EventTime(0), entries, RULE);
            windows.bytes()
        };
        let first = bytes("abc", 0);
        assert_eq!(bytes("abcd", 1), first + 1);
        assert_eq!(bytes("abc", 2), first);
    }
}
