//! Merging sorted runs into groups.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use bytes::Bytes;
use dataflume_engine::grouping::{WindowMerger, merged};
use dataflume_model::window::Window;

use super::emit::{Emitter, Pane};
use super::run::{Record, Run};
use super::{GroupError, GroupSpec};
use crate::data::DataError;

/// The merger is asked about so many keys at once, unless their values are too many to be held.
const KEYS_AT_ONCE: usize = 1000;

/// Emits every group of the runs.
pub(super) fn merge(
    spec: &GroupSpec,
    merger: &dyn WindowMerger,
    runs: Vec<Run>,
    out: &mut Emitter<'_>,
) -> Result<(), GroupError> {
    let mut cursor = Cursor::new(runs)?;
    while !cursor.order.is_empty() {
        if spec.merges() {
            keys_of_merging_windows(spec, merger, &mut cursor, out)?;
        } else {
            group(&mut cursor, out)?;
        }
    }
    Ok(())
}

/// The order of records: those of one group in one run stay as they are.
type Order = (u64, Bytes, Bytes, usize);

/// Reads the runs as one.
struct Cursor {
    runs: Vec<Run>,
    /// The first record of each run that has one left.
    heads: Vec<Option<Record>>,
    order: BinaryHeap<Reverse<Order>>,
}

impl Cursor {
    fn new(runs: Vec<Run>) -> Result<Self, DataError> {
        let mut cursor = Self {
            heads: runs.iter().map(|_| None).collect(),
            runs,
            order: BinaryHeap::new(),
        };
        for number in 0..cursor.runs.len() {
            cursor.advance(number)?;
        }
        Ok(cursor)
    }

    /// Reads the next record of a run.
    fn advance(&mut self, number: usize) -> Result<Option<Record>, DataError> {
        let next = self.runs[number].next()?;
        if let Some(record) = &next {
            let (key, window) = (record.key.clone(), record.window.clone());
            self.order
                .push(Reverse((record.key_hash, key, window, number)));
        }
        Ok(std::mem::replace(&mut self.heads[number], next))
    }

    /// Takes the smallest record, if it is of this key and, where given, this window.
    fn take(&mut self, key: &Bytes, window: Option<&Bytes>) -> Result<Option<Record>, DataError> {
        let same = self.order.peek().is_some_and(|Reverse((_, k, w, _))| {
            k == key && window.is_none_or(|window| w == window)
        });
        if !same {
            return Ok(None);
        }
        let Some(Reverse((.., number))) = self.order.pop() else {
            return Ok(None);
        };
        self.advance(number)
    }

    /// The heads of all runs that begin with this group.
    fn pane(&self, key: &Bytes, window: &Bytes) -> Pane {
        let mut pane = Pane::default();
        for record in self.heads.iter().flatten() {
            if record.key == *key && record.window == *window {
                pane.join(&record.pane);
            }
        }
        pane
    }
}

/// One key and window, its values as they are read.
fn group(cursor: &mut Cursor, out: &mut Emitter<'_>) -> Result<(), GroupError> {
    let Some(Reverse((_, key, window, _))) = cursor.order.peek().cloned() else {
        return Ok(());
    };
    out.begin(&key, &window, &cursor.pane(&key, &window))?;
    while let Some(record) = cursor.take(&key, Some(&window))? {
        out.values(&record.values, record.count)?;
    }
    Ok(out.end()?)
}

/// The values of a window before it is merged, or after.
#[derive(Default)]
struct Collected {
    pane: Pane,
    values: Vec<(Bytes, u64)>,
}

impl Collected {
    fn join(mut self, other: Self) -> Self {
        self.pane.join(&other.pane);
        self.values.extend(other.values);
        self
    }
}

type Windows = BTreeMap<Window, Collected>;

/// Some keys with all their windows, which are known only when the last has been read: the keys' values
/// are in memory meanwhile.
fn keys_of_merging_windows(
    spec: &GroupSpec,
    merger: &dyn WindowMerger,
    cursor: &mut Cursor,
    out: &mut Emitter<'_>,
) -> Result<(), GroupError> {
    let mut keys: Vec<(Bytes, Windows)> = Vec::new();
    let mut bytes = 0;
    while keys.is_empty() || (keys.len() < KEYS_AT_ONCE && bytes < spec.memory_bytes) {
        let Some(Reverse((_, key, ..))) = cursor.order.peek().cloned() else {
            break;
        };
        let windows = windows_of(spec, cursor, &key)?;
        let values = windows.values().flat_map(|of| &of.values);
        bytes += values.map(|(values, _)| values.len()).sum::<usize>();
        keys.push((key, windows));
    }
    let sets: Vec<Vec<Window>> = keys
        .iter()
        .map(|(_, windows)| windows.keys().cloned().collect())
        .collect();
    let mut encoded = Vec::new();
    for ((key, mut windows), merges) in keys.into_iter().zip(merged(merger, &sets)?) {
        for merge in merges {
            let sources = merge.sources.iter();
            let joined = sources.filter_map(|source| windows.remove(source));
            let Some(joined) = joined.reduce(Collected::join) else {
                continue;
            };
            encoded.clear();
            spec.codec
                .window
                .encode(&merge.result, &mut encoded)
                .map_err(|source| spec.window(source))?;
            out.begin(&key, &encoded, &joined.pane)?;
            for (values, count) in joined.values {
                out.values(&values, count)?;
            }
            out.end()?;
        }
    }
    Ok(())
}

fn windows_of(spec: &GroupSpec, cursor: &mut Cursor, key: &Bytes) -> Result<Windows, GroupError> {
    let mut windows = Windows::new();
    while let Some(record) = cursor.take(key, None)? {
        let window = spec
            .codec
            .window
            .decode(&mut &*record.window)
            .map_err(|source| spec.window(source))?;
        let collected = windows.entry(window).or_default();
        if record.is_first_part {
            collected.pane.join(&record.pane);
        }
        collected.values.push((record.values, record.count));
    }
    Ok(windows)
}
