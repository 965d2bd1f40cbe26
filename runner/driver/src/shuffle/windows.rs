//! Keys whose windows merge. Which of them become one is known when a key's last record has been read.

use std::collections::{BTreeMap, HashSet};

use bytes::Bytes;
use dataflume_engine::grouping::{Merge, WindowMerger, merged};
use dataflume_model::window::Window;

use super::emit::{Emitter, Pane};
use super::merge::Cursor;
use super::waiting::{Part, Waiting};
use super::{GroupError, GroupSpec};
use crate::data::{DataError, DataStore};

/// The merger is asked about so many keys at once, unless their values are too many to be held.
const KEYS_AT_ONCE: usize = 1000;

/// A key with all that was read of it.
struct Key {
    key: Bytes,
    /// By what numbers its values know its windows.
    windows: BTreeMap<Window, u32>,
    /// By number.
    panes: Vec<Pane>,
    values: Waiting,
}

/// What windows become.
struct Merged {
    window: Window,
    pane: Pane,
}

/// Emits the groups of some keys.
pub(super) fn keys_of_merging_windows(
    spec: &GroupSpec,
    store: &DataStore,
    merger: &dyn WindowMerger,
    cursor: &mut Cursor,
    out: &mut Emitter<'_>,
) -> Result<(), GroupError> {
    let mut keys: Vec<Key> = Vec::new();
    let mut bytes = 0;
    while keys.is_empty() || (keys.len() < KEYS_AT_ONCE && bytes < spec.memory_bytes) {
        let Some(key) = cursor.key() else {
            break;
        };
        let key = Key::read(spec, store, cursor, key)?;
        bytes += key.values.bytes();
        keys.push(key);
    }
    let sets: Vec<Vec<Window>> = keys
        .iter()
        .map(|key| key.windows.keys().cloned().collect())
        .collect();
    for (key, merges) in keys.into_iter().zip(merged(merger, &sets)?) {
        key.emit(spec, merges, out)?;
    }
    Ok(())
}

impl Key {
    fn read(
        spec: &GroupSpec,
        store: &DataStore,
        cursor: &mut Cursor,
        key: Bytes,
    ) -> Result<Self, GroupError> {
        let mut read = Self {
            key,
            windows: BTreeMap::new(),
            panes: Vec::new(),
            values: Waiting::default(),
        };
        // Records of a window follow each other.
        let mut last = (Bytes::new(), 0);
        while let Some(record) = cursor.take(&read.key, None)? {
            if read.panes.is_empty() || record.window != last.0 {
                last = (record.window.clone(), read.number(spec, &record.window)?);
            }
            let number = last.1;
            if record.is_first_part {
                read.panes[number as usize].join(&record.pane);
            }
            let (values, count) = (record.values, record.count);
            read.values
                .push(store, spec.memory_bytes, number, values, count)?;
        }
        Ok(read)
    }

    fn number(&mut self, spec: &GroupSpec, window: &Bytes) -> Result<u32, GroupError> {
        let window = spec
            .codec
            .window
            .decode(&mut &**window)
            .map_err(|source| spec.window(source))?;
        let next = self.panes.len() as u32;
        let number = *self.windows.entry(window).or_insert(next);
        if number == next {
            self.panes.push(Pane::default());
        }
        Ok(number)
    }

    fn emit(
        self,
        spec: &GroupSpec,
        merges: Vec<Merge>,
        out: &mut Emitter<'_>,
    ) -> Result<(), GroupError> {
        let mut of_window = vec![0_usize; self.panes.len()];
        let mut results = Vec::with_capacity(merges.len());
        for merge in merges {
            let mut pane = Pane::default();
            for source in &merge.sources {
                let number = self.windows[source] as usize;
                of_window[number] = results.len();
                pane.join(&self.panes[number]);
            }
            results.push(Merged {
                window: merge.result,
                pane,
            });
        }
        let parts: Vec<(Part, usize)> = self
            .values
            .parts()
            .iter()
            .map(|part| (*part, of_window[part.window as usize]))
            .collect();
        let values = self.values.read()?;
        let groups = Groups {
            spec,
            key: &self.key,
            results: &results,
        };
        if follow_each_other(&parts) {
            groups.emit(parts.into_iter().zip(values), out)
        } else {
            // No order of windows keeps those together that a user's own function merges.
            let mut all = parts
                .into_iter()
                .zip(values)
                .collect::<Vec<((Part, usize), Result<Bytes, DataError>)>>();
            all.sort_by_key(|((_, result), _)| *result);
            groups.emit(all, out)
        }
    }
}

/// Whether the parts of each result are all in one place, as those of sessions are.
fn follow_each_other(parts: &[(Part, usize)]) -> bool {
    let mut seen = HashSet::new();
    let mut last = None;
    parts.iter().all(|(_, result)| {
        let begins = last.replace(*result) != Some(*result);
        !begins || seen.insert(*result)
    })
}

struct Groups<'a> {
    spec: &'a GroupSpec,
    key: &'a Bytes,
    results: &'a [Merged],
}

impl Groups<'_> {
    /// Emits groups whose parts follow each other.
    fn emit(
        &self,
        parts: impl IntoIterator<Item = ((Part, usize), Result<Bytes, DataError>)>,
        out: &mut Emitter<'_>,
    ) -> Result<(), GroupError> {
        let mut open = None;
        for ((part, result), values) in parts {
            if open != Some(result) {
                if open.replace(result).is_some() {
                    out.end()?;
                }
                self.begin(&self.results[result], out)?;
            }
            out.values(&values?, part.count)?;
        }
        if open.is_some() {
            out.end()?;
        }
        Ok(())
    }

    fn begin(&self, merged: &Merged, out: &mut Emitter<'_>) -> Result<(), GroupError> {
        let mut window = Vec::new();
        self.spec
            .codec
            .window
            .encode(&merged.window, &mut window)
            .map_err(|source| self.spec.window(source))?;
        out.begin(self.key, &window, &merged.pane)
    }
}
