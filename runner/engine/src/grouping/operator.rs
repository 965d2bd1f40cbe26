//! A bundle of the grouping: elements, key by key, then timers.

use std::collections::BTreeMap;

use bytes::Bytes;
use dataflume_model::ids::KeyGroup;
use dataflume_model::time::EventTime;
use dataflume_model::window::Window;
use rustc_hash::FxHashMap;

use super::cell::{Cell, Place};
use super::keys::Keys;
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
) -> Result<GroupingEffects, GroupingError> {
    let mut run = Run {
        grouper,
        work,
        view: View::new(store),
        output: Output::default(),
        dropped_late: 0,
        dropped_closed: 0,
    };
    for (group, chunks) in &work.elements {
        run.elements(*group, chunks)?;
    }
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

impl Run<'_> {
    /// Now, as a window sees it.
    pub(super) fn moment(&self, window: &Window) -> Moment {
        Moment {
            max_timestamp: window.max_timestamp(),
            watermark: self.work.input_watermark,
            now: self.work.processing_time,
        }
    }

    fn elements(&mut self, group: KeyGroup, chunks: &[Bytes]) -> Result<(), GroupingError> {
        let keys = Keys::new(self.grouper.stage, group);
        // Keys in the order of their first element, so that the same input gives the same output.
        let mut positions: FxHashMap<&[u8], usize> = FxHashMap::default();
        let mut by_key: Vec<(&[u8], Vec<Incoming<'_>>)> = Vec::new();
        for chunk in chunks {
            for element in self.grouper.input.iter(chunk) {
                let element = element?;
                let position = *positions.entry(element.key()).or_insert_with(|| {
                    by_key.push((element.key(), Vec::new()));
                    by_key.len() - 1
                });
                for window in element.windows() {
                    let (timestamp, value) = (element.timestamp, element.value_of_key());
                    by_key[position].1.push(Incoming {
                        timestamp,
                        window: window?,
                        value,
                    });
                }
            }
        }
        by_key
            .into_iter()
            .try_for_each(|(key, incoming)| self.key(Place { keys, key }, incoming))
    }

    /// Adds a key's elements to their windows.
    fn key(
        &mut self,
        place: Place<'_>,
        mut incoming: Vec<Incoming<'_>>,
    ) -> Result<(), GroupingError> {
        let (grouper, watermark) = (self.grouper, self.work.input_watermark);
        let before = incoming.len();
        incoming.retain(|element| !passed(grouper.expiry(&element.window), watermark));
        self.dropped_late += (before - incoming.len()) as u64;
        if incoming.is_empty() {
            return Ok(());
        }
        let mut cells = if grouper.merging {
            self.merge(place, &mut incoming)?
        } else {
            BTreeMap::new()
        };
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
            if !grouper.options.fire_at_every_element {
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
