//! Merging sorted runs into groups.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use bytes::Bytes;
use dataflume_engine::grouping::WindowMerger;

use super::emit::{Emitter, Pane};
use super::run::{Record, Run};
use super::windows::keys_of_merging_windows;
use super::{GroupError, GroupSpec};
use crate::data::{DataError, DataStore};

/// Emits every group of the runs.
pub(super) fn merge(
    spec: &GroupSpec,
    store: &DataStore,
    merger: &dyn WindowMerger,
    runs: Vec<Run>,
    out: &mut Emitter<'_>,
) -> Result<(), GroupError> {
    let mut cursor = Cursor::new(runs)?;
    while !cursor.order.is_empty() {
        if spec.merges() {
            keys_of_merging_windows(spec, store, merger, &mut cursor, out)?;
        } else {
            group(&mut cursor, out)?;
        }
    }
    Ok(())
}

/// The order of records: those of one group in one run stay as they are.
type Order = (u64, Bytes, Bytes, usize);

/// Reads the runs as one.
pub(super) struct Cursor {
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

    /// The key of the smallest record.
    pub(super) fn key(&self) -> Option<Bytes> {
        self.order.peek().map(|Reverse((_, key, ..))| key.clone())
    }

    /// Takes the smallest record, if it is of this key and, where given, this window.
    pub(super) fn take(
        &mut self,
        key: &Bytes,
        window: Option<&Bytes>,
    ) -> Result<Option<Record>, DataError> {
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
