//! What one window of a side input holds.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use dataflume_model::pane::{PaneInfo, PaneTiming};
use rustc_hash::FxHashMap;

/// What an entry takes beside its value.
const ENTRY_BYTES: usize = size_of::<Entry>() + size_of::<usize>();

/// An element: its value, where the key within it ends if it is `KV`, and the pane that it is of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) value: Bytes,
    pub(super) key_end: usize,
    /// The index of its pane; `None` if nothing was grouped.
    pub(super) pane: Option<i64>,
}

impl Entry {
    pub(super) fn key(&self) -> Bytes {
        self.value.slice(..self.key_end)
    }
}

/// The index of a pane, if it is one that a grouping fired.
pub(super) fn fired(pane: &PaneInfo) -> Option<i64> {
    (pane.timing != PaneTiming::Unknown).then_some(pane.index)
}

/// What becomes of the elements that a window has when others come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rule {
    /// Panes are told apart by key: readers look elements up by key.
    pub(super) by_key: bool,
    /// Where nothing was grouped, what one bundle writes counts as a pane.
    pub(super) bundles_replace: bool,
}

/// One window of a PCollection. Elements of a later pane take the place of those before: a side input
/// shows what was fired last.
#[derive(Debug, Default, Clone)]
pub(super) struct Contents {
    entries: Vec<Entry>,
    by_key: BTreeMap<Bytes, Vec<usize>>,
    /// The latest pane seen: by key, or under the empty key.
    panes: FxHashMap<Bytes, i64>,
    /// Of the entries, with what it takes to find them.
    bytes: u64,
}

impl Contents {
    /// Adds what one bundle wrote.
    pub(super) fn add(&mut self, entries: Vec<Entry>, rule: Rule) {
        if rule.bundles_replace && entries.iter().any(|entry| entry.pane.is_none()) {
            self.retain(|entry| entry.pane.is_some());
        }
        let scope = |entry: &Entry| {
            if rule.by_key {
                entry.key()
            } else {
                Bytes::new()
            }
        };
        let mut outdated = BTreeSet::new();
        for entry in &entries {
            let Some(pane) = entry.pane else { continue };
            let latest = self.panes.entry(scope(entry)).or_insert(pane);
            if pane > *latest {
                *latest = pane;
                outdated.insert(scope(entry));
            }
        }
        if !outdated.is_empty() {
            self.retain(|entry| entry.pane.is_none() || !outdated.contains(&scope(entry)));
        }
        for entry in entries {
            let latest = self.panes.get(&scope(&entry)).copied();
            if entry.pane.is_none() || entry.pane == latest {
                self.push(entry);
            }
        }
    }

    /// How much memory it takes, roughly.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    fn push(&mut self, entry: Entry) {
        self.bytes += (entry.value.len() + ENTRY_BYTES) as u64;
        let index = self.entries.len();
        self.by_key.entry(entry.key()).or_default().push(index);
        self.entries.push(entry);
    }

    fn retain(&mut self, keep: impl Fn(&Entry) -> bool) {
        let entries = std::mem::take(&mut self.entries);
        self.by_key.clear();
        self.bytes = 0;
        for entry in entries.into_iter().filter(|entry| keep(entry)) {
            self.push(entry);
        }
    }
}

/// A window of a side input, which may be the union of several PCollections, as a bundle sees it: the
/// same from the first look to the last.
#[derive(Debug, Default)]
pub(super) struct Snapshot {
    parts: Vec<Arc<Contents>>,
    keys: OnceLock<Vec<Bytes>>,
}

impl Snapshot {
    pub(super) fn new(parts: Vec<Arc<Contents>>) -> Self {
        Self {
            parts,
            keys: OnceLock::new(),
        }
    }

    /// All values, from the one with this number on.
    pub(super) fn values(&self, from: usize) -> impl Iterator<Item = Bytes> {
        let all = self.parts.iter().map(|part| part.entries.as_slice());
        skip(all, from).map(|entry| entry.value.clone())
    }

    /// The values of a key, from the one with this number on.
    pub(super) fn values_of(&self, key: &[u8], from: usize) -> impl Iterator<Item = Bytes> {
        let of_key = move |part: &'_ Arc<Contents>| {
            let indices = part.by_key.get(key).map_or(&[][..], Vec::as_slice);
            (part.clone(), indices.to_vec())
        };
        let found: Vec<_> = self.parts.iter().map(of_key).collect();
        let mut left = from;
        found.into_iter().flat_map(move |(part, indices)| {
            let skipped = left.min(indices.len());
            left -= skipped;
            indices.into_iter().skip(skipped).map(move |index| {
                let entry = &part.entries[index];
                entry.value.slice(entry.key_end..)
            })
        })
    }

    /// The keys, each once, from the one with this number on.
    pub(super) fn keys(&self, from: usize) -> impl Iterator<Item = Bytes> {
        let keys = self.keys.get_or_init(|| {
            let all = self.parts.iter().flat_map(|part| part.by_key.keys());
            let all: BTreeSet<&Bytes> = all.collect();
            all.into_iter().cloned().collect()
        });
        keys.iter().skip(from).cloned()
    }
}

/// The elements of several lists, one after the other, without the first ones.
fn skip<'a, T: 'a>(
    lists: impl Iterator<Item = &'a [T]>,
    mut count: usize,
) -> impl Iterator<Item = &'a T> {
    lists.flat_map(move |list| {
        let skipped = count.min(list.len());
        count -= skipped;
        &list[skipped..]
    })
}
