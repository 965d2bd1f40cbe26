//! A bundle of the grouping: elements, key by key, then timers.

use std::collections::BTreeMap;

use dataflume_model::ids::KeyGroup;
use dataflume_model::time::EventTime;
use dataflume_model::window::Window;
use rustc_hash::FxHashMap;

use super::cell::{Cell, Place};
use super::keys::Keys;
use super::merger::{WindowMerger, merged};
use super::merging::all_windows;
use super::output::Output;
use super::triggers::Moment;
use super::view::View;
use super::{Grouper, GroupingEffects, GroupingError, GroupingWork, passed};
use crate::store::Store;

/// A bundle in progress.
pub(super) struct Run<'a> {
    pub(super) grouper: &'a Grouper,
    pub(super) work: &'a GroupingWork,
    pub(super) view: View<'a>,
    pub(super) output: Output,
    dropped_late: u64,
    pub(super) dropped_closed: u64,
}

/// An element in one of its windows.
pub(super) struct Incoming<'a> {
    pub(super) timestamp: EventTime,
    pub(super) window: Window,
    value: &'a [u8],
}

pub(super) fn run(
    grouper: &Grouper,
    store: &dyn Store,
    work: &GroupingWork,
    merger: &dyn WindowMerger,
) -> Result<GroupingEffects, GroupingError> {
    let mut run = Run {
        grouper,
        work,
        view: View::new(store),
        output: Output::default(),
        dropped_late: 0,
        dropped_closed: 0,
    };
    run.elements(merger)?;
    for group in &work.timers {
        run.fire_timers(*group)?;
    }
    let mut groups: Vec<KeyGroup> = work.elements.iter().map(|(group, _)| *group).collect();
    groups.extend(&work.timers);
    groups.sort_unstable();
    groups.dedup();
    let key_groups = groups
        .into_iter()
        .map(|group| run.summary(group))
        .collect::<Result<_, _>>()?;
    Ok(GroupingEffects {
        output_elements: run.output.elements,
        output: run.output.into_chunks(),
        batch: run.view.into_batch(),
        key_groups,
        dropped_late: run.dropped_late,
        dropped_closed: run.dropped_closed,
    })
}

impl<'a> Run<'a> {
    /// Now, as a window sees it.
    pub(super) fn moment(&self, window: &Window) -> Moment {
        Moment {
            max_timestamp: window.max_timestamp(),
            watermark: self.work.input_watermark,
            now: self.work.processing_time,
        }
    }

    fn elements(&mut self, merger: &dyn WindowMerger) -> Result<(), GroupingError> {
        let keys = self.by_key()?;
        if !self.grouper.merging {
            let mut keys = keys.into_iter();
            return keys
                .try_for_each(|(place, incoming)| self.add_all(place, incoming, BTreeMap::new()));
        }
        let mut sets = Vec::with_capacity(keys.len());
        let mut stored = Vec::with_capacity(keys.len());
        for (place, incoming) in &keys {
            let of_key = self.stored_windows(*place)?;
            sets.push(all_windows(&of_key, incoming));
            stored.push(of_key);
        }
        let merges = merged(merger, &sets)?;
        for (((place, mut incoming), stored), merges) in keys.into_iter().zip(stored).zip(merges) {
            let cells = self.merge(place, stored, merges, &mut incoming)?;
            self.add_all(place, incoming, cells)?;
        }
        Ok(())
    }

    /// The elements that are not too late, by key. Keys are in the order of their first element, so that
    /// the same input gives the same output.
    fn by_key(&mut self) -> Result<Vec<(Place<'a>, Vec<Incoming<'a>>)>, GroupingError> {
        let (grouper, watermark) = (self.grouper, self.work.input_watermark);
        let mut positions: FxHashMap<(KeyGroup, &[u8]), usize> = FxHashMap::default();
        let mut by_key: Vec<(Place<'_>, Vec<Incoming<'_>>)> = Vec::new();
        for (group, chunks) in &self.work.elements {
            let keys = Keys::new(grouper.stage, *group);
            for element in chunks.iter().flat_map(|chunk| grouper.input.iter(chunk)) {
                let element = element?;
                let key = element.key();
                let position = *positions.entry((*group, key)).or_insert_with(|| {
                    by_key.push((Place { keys, key }, Vec::new()));
                    by_key.len() - 1
                });
                for window in element.windows() {
                    let window = window?;
                    if passed(grouper.expiry(&window), watermark) {
                        self.dropped_late += 1;
                        continue;
                    }
                    by_key[position].1.push(Incoming {
                        timestamp: element.timestamp,
                        window,
                        value: element.value_of_key(),
                    });
                }
            }
        }
        by_key.retain(|(_, incoming)| !incoming.is_empty());
        Ok(by_key)
    }

    /// Adds a key's elements to their windows.
    fn add_all(
        &mut self,
        place: Place<'_>,
        incoming: Vec<Incoming<'_>>,
        mut cells: BTreeMap<Window, Cell>,
    ) -> Result<(), GroupingError> {
        for element in incoming {
            let cell = match cells.entry(element.window) {
                std::collections::btree_map::Entry::Occupied(entry) => entry.into_mut(),
                std::collections::btree_map::Entry::Vacant(entry) => {
                    let window = entry.key().clone();
                    entry.insert(Cell::load(self, place, window)?)
                }
            };
            self.add(cell, place, element.timestamp, element.value)?;
        }
        for cell in cells.values_mut() {
            if !self.grouper.options.fire_at_every_element {
                self.fire_if_ready(cell, place)?;
            }
            cell.save(self, place)?;
        }
        Ok(())
    }

    fn add(
        &mut self,
        cell: &mut Cell,
        place: Place<'_>,
        timestamp: EventTime,
        value: &[u8],
    ) -> Result<(), GroupingError> {
        let grouper = self.grouper;
        if cell.is_closed(grouper) {
            self.dropped_closed += 1;
            return Ok(());
        }
        let moment = self.moment(&cell.window);
        cell.add(value);
        grouper.hold_element(cell, timestamp, &moment);
        grouper
            .program
            .on_element(&mut cell.record.trigger, &moment);
        if grouper.options.fire_at_every_element {
            self.fire_if_ready(cell, place)?;
        }
        Ok(())
    }
}
