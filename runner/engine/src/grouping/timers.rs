//! Due timers: the end of a window, its expiry, and triggers in processing time.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use bytes::Bytes;
use dataflume_model::coder::CoderError;
use dataflume_model::ids::KeyGroup;
use dataflume_model::time::{EventTime, ProcessingTime};

use super::cell::{Cell, Place};
use super::keys::{self, Index, Keys};
use super::operator::Run;
use super::{GroupingError, passed};
use crate::io::KeyGroupSummary;

impl Run<'_> {
    /// Fires what is due in a key group, until nothing more is.
    pub(super) fn fire_timers(&mut self, group: KeyGroup) -> Result<(), GroupingError> {
        let keys = Keys::new(self.grouper.stage, group);
        loop {
            let due = self.due(&keys)?;
            if due.is_empty() {
                return Ok(());
            }
            for entry in due {
                let (key, name) = keys::owner_of(&entry).map_err(GroupingError::Damaged)?;
                self.on_timer(Place { keys, key }, name)?;
            }
        }
    }

    /// Index entries that are due, in time order, each window once.
    fn due(&self, keys: &Keys) -> Result<Vec<Bytes>, GroupingError> {
        let (watermark, now) = (self.work.input_watermark, self.work.processing_time);
        let mut due: Vec<Bytes> = Vec::new();
        for index in [Index::EventTimer, Index::ProcessingTimer] {
            let mut damage: Option<CoderError> = None;
            self.view.scan(&keys.index(index), |entry, _| {
                let time = match keys::time_of(entry) {
                    Ok(time) => EventTime::decode(time),
                    Err(error) => {
                        damage = Some(error);
                        return ControlFlow::Break(());
                    }
                };
                let is_due = match index {
                    Index::EventTimer => passed(time, watermark),
                    _ => ProcessingTime(time.0) <= now,
                };
                if !is_due {
                    return ControlFlow::Break(());
                }
                due.push(Bytes::copy_from_slice(entry));
                ControlFlow::Continue(())
            })?;
            if let Some(error) = damage {
                return Err(GroupingError::Damaged(error));
            }
        }
        let mut seen: BTreeSet<Bytes> = BTreeSet::new();
        due.retain(|entry| keys::owner_of(entry).is_err() || seen.insert(owner_bytes(entry)));
        Ok(due)
    }

    fn on_timer(&mut self, place: Place<'_>, name: &[u8]) -> Result<(), GroupingError> {
        let window = self
            .grouper
            .input
            .window
            .decode(&mut &*name)
            .map_err(GroupingError::Damaged)?;
        // An index entry without its record would be due for ever.
        let record = self.view.get(&place.keys.window(place.key, name))?;
        let missing = GroupingError::Damaged(CoderError::UnexpectedEnd { missing: 1 });
        let record = record.ok_or(missing)?;
        let name = Bytes::copy_from_slice(name);
        let mut cell = Cell::stored(self.grouper, window, name, &record)?;
        let moment = self.moment(&cell.window);
        if passed(self.grouper.expiry(&cell.window), moment.watermark) {
            return self.expire(&mut cell, place);
        }
        self.fire_if_ready(&mut cell, place)?;
        if moment.end_of_window_passed() && !cell.record.end_fired {
            cell.record.end_fired = true;
            if !cell.is_closed(self.grouper) {
                self.grouper.release_end_of_window(&mut cell, &moment);
            }
            let hold = cell.record.hold();
            cell.record.late_only |= hold.is_none_or(|hold| hold > moment.max_timestamp);
        }
        cell.save(self, place)
    }

    /// The window is over: what it still has is its last pane.
    fn expire(&mut self, cell: &mut Cell, place: Place<'_>) -> Result<(), GroupingError> {
        if !cell.is_closed(self.grouper) {
            let moment = self.moment(&cell.window);
            self.fire(cell, place, &moment, true)?;
        }
        cell.delete(&mut self.view, place)?;
        let last_of_key =
            self.grouper.merging && self.view.first(&place.keys.windows(place.key))?.is_none();
        if last_of_key {
            self.view.remove(place.keys.next_bag(place.key));
        }
        Ok(())
    }

    /// What is next in a key group.
    pub(super) fn summary(&self, key_group: KeyGroup) -> Result<KeyGroupSummary, GroupingError> {
        let keys = Keys::new(self.grouper.stage, key_group);
        let first = |index| -> Result<Option<EventTime>, GroupingError> {
            let entry = self.view.first(&keys.index(index))?;
            let time = entry.map(|entry| keys::time_of(&entry)).transpose();
            Ok(time.map_err(GroupingError::Damaged)?.map(EventTime::decode))
        };
        Ok(KeyGroupSummary {
            key_group,
            next_event_timer: first(Index::EventTimer)?,
            next_processing_timer: first(Index::ProcessingTimer)?
                .map(|time| ProcessingTime(time.0)),
            hold: first(Index::Hold)?,
        })
    }
}

/// Key and window of an index entry, which is all that follows the time.
fn owner_bytes(entry: &Bytes) -> Bytes {
    entry.slice(keys::OWNER_AT.min(entry.len())..)
}
