//! Windows that merge: sessions, and those of window functions of the user's own.
//!
//! Before elements are added, their windows are merged with those that the key has. Values stay
//! where they are: the merged window takes over the bags of those that it is made of.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use bytes::Bytes;
use dataflume_model::window::Window;

use super::GroupingError;
use super::cell::{Cell, Place};
use super::merger::Merge;
use super::operator::{Incoming, Run};

/// The windows that a key has in the store.
pub(super) type Stored = BTreeMap<Window, Cell>;

/// All windows of a key: those that are stored and those of new elements, each once.
pub(super) fn all_windows(stored: &Stored, incoming: &[Incoming<'_>]) -> Vec<Window> {
    let mut windows: Vec<Window> = stored.keys().cloned().collect();
    windows.extend(incoming.iter().map(|element| element.window.clone()));
    windows.sort_unstable();
    windows.dedup();
    windows
}

impl Run<'_> {
    /// Merges the key's windows with those of the elements, which are moved to the merged ones.
    /// Gives the windows that take elements.
    pub(super) fn merge(
        &mut self,
        place: Place<'_>,
        mut stored: Stored,
        merges: Vec<Merge>,
        incoming: &mut [Incoming<'_>],
    ) -> Result<BTreeMap<Window, Cell>, GroupingError> {
        let touched: BTreeSet<Window> = incoming.iter().map(|e| e.window.clone()).collect();
        let mut moved: BTreeMap<Window, Window> = BTreeMap::new();
        let mut cells = BTreeMap::new();
        for Merge { result, sources } in merges {
            let parts: Vec<Cell> = sources
                .iter()
                .filter_map(|source| stored.remove(source))
                .collect();
            let takes_elements = sources.len() > 1 || parts.is_empty();
            for source in sources {
                moved.insert(source, result.clone());
            }
            let is_touched = takes_elements || touched.contains(&result);
            let is_renamed = parts.iter().any(|part| part.window != result);
            let cell = self.merge_cells(place, result.clone(), parts)?;
            // A window that stands alone was stored as it is, unless an element is in it.
            if is_touched || is_renamed {
                cells.insert(result, cell);
            }
        }
        for element in incoming {
            if let Some(result) = moved.get(&element.window) {
                element.window = result.clone();
            }
        }
        Ok(cells)
    }

    pub(super) fn stored_windows(&self, place: Place<'_>) -> Result<Stored, GroupingError> {
        let prefix = place.keys.windows(place.key);
        let mut records: Vec<(Bytes, Bytes)> = Vec::new();
        self.view.scan(&prefix, |key, record| {
            records.push((Bytes::copy_from_slice(&key[prefix.len()..]), record.clone()));
            ControlFlow::Continue(())
        })?;
        let cells = records.into_iter().map(|(name, record)| {
            let window = self.grouper.input.window.decode(&mut &name[..]);
            let window = window.map_err(GroupingError::Damaged)?;
            Ok((
                window.clone(),
                Cell::stored(self.grouper, window, name, &record)?,
            ))
        });
        cells.collect()
    }

    /// One window out of those that are stored of it.
    fn merge_cells(
        &mut self,
        place: Place<'_>,
        window: Window,
        mut parts: Vec<Cell>,
    ) -> Result<Cell, GroupingError> {
        if parts.len() == 1 && parts[0].window == window {
            return Ok(parts.remove(0));
        }
        let is_new = parts.is_empty();
        let moment = self.moment(&window);
        let triggers: Vec<_> = parts.iter().map(|part| &part.record.trigger).collect();
        let trigger = self.grouper.program.merge(&triggers, &moment);
        // The pane info of a window that is merged away is lost with it: the merged one starts anew.
        let mut merged = match parts.iter().position(|part| part.window == window) {
            Some(index) => parts.swap_remove(index),
            None => {
                let mut name = Vec::new();
                self.grouper.input.window.encode(&window, &mut name)?;
                let mut cell = Cell::new(self, window, name.into());
                let free = |part: &Cell| {
                    part.record
                        .hold()
                        .is_none_or(|hold| hold > moment.max_timestamp)
                };
                cell.record.late_only &= parts.iter().all(free);
                cell.record.end_fired = cell.record.late_only;
                cell
            }
        };
        merged.record.trigger = trigger;
        let holds = parts
            .iter()
            .chain([&merged])
            .filter_map(|part| part.record.element_hold);
        merged.record.element_hold = self.grouper.merged_hold(holds, &moment);
        for mut part in parts {
            part.forget(&mut self.view, place);
            merged.record.fresh += part.record.fresh;
            if merged.record.bags.is_empty() {
                merged.record.next_sequence = part.record.next_sequence;
            }
            merged.record.bags.append(&mut part.record.bags);
        }
        merged.record.extra_hold = None;
        if merged.is_closed(self.grouper) {
            // What waited in the one window finds the other's trigger finished.
            self.dropped_closed += std::mem::take(&mut merged.record.fresh);
            merged.record.element_hold = None;
            merged.clear_values(&mut self.view, place)?;
        } else if !is_new && merged.record.element_hold.is_none() {
            let is_empty = merged.record.fresh == 0;
            merged.record.extra_hold = self.grouper.extra_hold(&merged.window, &moment, is_empty);
        }
        Ok(merged)
    }
}
