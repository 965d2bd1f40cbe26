//! A window of a key while a bundle works on it: the record, with what is not yet written.

use std::ops::ControlFlow;

use bytes::Bytes;
use dataflume_model::coder::CoderError;
use dataflume_model::time::EventTime;
use dataflume_model::window::Window;
use dataflume_model::wire;

use super::keys::{Index, Keys};
use super::operator::Run;
use super::state::Record;
use super::view::View;
use super::{Grouper, GroupingError};

/// Where a key's state is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place<'k> {
    pub(super) keys: Keys,
    pub(super) key: &'k [u8],
}

/// A window of a key.
#[derive(Debug)]
pub(super) struct Cell {
    pub(super) window: Window,
    /// The window's encoding: its name in the store.
    pub(super) name: Bytes,
    pub(super) record: Record,
    /// Values added and not yet written, encoded one after the other.
    pub(super) added: Vec<u8>,
    pub(super) added_count: u64,
    /// The index entries that are in the store.
    indexed: Indexed,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Indexed {
    event_timer: Option<[u8; 8]>,
    processing_timer: Option<[u8; 8]>,
    hold: Option<[u8; 8]>,
}

impl Indexed {
    fn entries(&self) -> [(Index, Option<[u8; 8]>); 3] {
        [
            (Index::EventTimer, self.event_timer),
            (Index::ProcessingTimer, self.processing_timer),
            (Index::Hold, self.hold),
        ]
    }
}

impl Cell {
    /// The window as it is stored, or a new one.
    pub(super) fn load(
        run: &Run<'_>,
        place: Place<'_>,
        window: Window,
    ) -> Result<Self, GroupingError> {
        let mut name = Vec::new();
        run.grouper.input.window.encode(&window, &mut name)?;
        match run.view.get(&place.keys.window(place.key, &name))? {
            Some(stored) => Self::stored(run.grouper, window, name.into(), &stored),
            None => Ok(Self::new(run, window, name.into())),
        }
    }

    /// A window that nothing is stored of.
    pub(super) fn new(run: &Run<'_>, window: Window, name: Bytes) -> Self {
        let moment = run.moment(&window);
        let record = Record::new(run.grouper.program.start(), moment.end_of_window_passed());
        Self {
            window,
            name,
            record,
            added: Vec::new(),
            added_count: 0,
            indexed: Indexed::default(),
        }
    }

    /// A window from its record.
    pub(super) fn stored(
        grouper: &Grouper,
        window: Window,
        name: Bytes,
        record: &[u8],
    ) -> Result<Self, GroupingError> {
        let record = Record::decode(&grouper.program, record).map_err(GroupingError::Damaged)?;
        let mut cell = Self {
            window,
            name,
            record,
            added: Vec::new(),
            added_count: 0,
            indexed: Indexed::default(),
        };
        cell.indexed = cell.wanted_index(grouper);
        Ok(cell)
    }

    pub(super) fn is_closed(&self, grouper: &Grouper) -> bool {
        grouper.program.is_finished(&self.record.trigger)
    }

    pub(super) fn add(&mut self, value: &[u8]) {
        self.added.extend_from_slice(value);
        self.added_count += 1;
        self.record.fresh += 1;
    }

    /// The next event-time timer: the end of the window, or, when nothing happens there, its expiry.
    fn event_timer(&self, grouper: &Grouper) -> EventTime {
        if self.record.end_fired || self.is_closed(grouper) {
            grouper.expiry(&self.window)
        } else {
            self.window.max_timestamp()
        }
    }

    fn wanted_index(&self, grouper: &Grouper) -> Indexed {
        Indexed {
            event_timer: Some(self.event_timer(grouper).encode()),
            processing_timer: self
                .record
                .processing_timer
                .map(|time| EventTime(time.0).encode()),
            hold: self.record.hold().map(EventTime::encode),
        }
    }

    /// Writes the window, whatever changed.
    pub(super) fn save(
        &mut self,
        run: &mut Run<'_>,
        place: Place<'_>,
    ) -> Result<(), GroupingError> {
        let grouper = run.grouper;
        let deadline = grouper
            .program
            .next_deadline(&self.record.trigger, run.work.processing_time);
        self.record.processing_timer = deadline.filter(|_| !self.is_closed(grouper));
        self.write_added(run, place)?;
        let wanted = self.wanted_index(grouper);
        self.reindex(&mut run.view, place, wanted);
        let record = self.record.encode(&grouper.program);
        run.view
            .put(place.keys.window(place.key, &self.name), record);
        Ok(())
    }

    /// Removes all there is of the window.
    pub(super) fn delete(
        &mut self,
        view: &mut View<'_>,
        place: Place<'_>,
    ) -> Result<(), GroupingError> {
        self.clear_values(view, place)?;
        self.forget(view, place);
        Ok(())
    }

    /// Removes the window's record, but not its values.
    pub(super) fn forget(&mut self, view: &mut View<'_>, place: Place<'_>) {
        self.reindex(view, place, Indexed::default());
        view.remove(place.keys.window(place.key, &self.name));
    }

    fn reindex(&mut self, view: &mut View<'_>, place: Place<'_>, wanted: Indexed) {
        for ((index, old), (_, new)) in self.indexed.entries().into_iter().zip(wanted.entries()) {
            if old == new {
                continue;
            }
            if let Some(time) = old {
                view.remove(place.keys.entry(index, time, place.key, &self.name));
            }
            if let Some(time) = new {
                view.put(
                    place.keys.entry(index, time, place.key, &self.name),
                    Bytes::new(),
                );
            }
        }
        self.indexed = wanted;
    }

    fn write_added(&mut self, run: &mut Run<'_>, place: Place<'_>) -> Result<(), GroupingError> {
        if self.added_count == 0 {
            return Ok(());
        }
        if self.record.bags.is_empty() {
            let bag = if run.grouper.merging {
                next_bag(&mut run.view, place)?
            } else {
                self.name.clone()
            };
            self.record.bags.push(bag);
            self.record.next_sequence = 0;
        }
        let mut values = Vec::with_capacity(self.added.len() + 2);
        wire::put_varint(self.added_count, &mut values);
        values.append(&mut self.added);
        self.added_count = 0;
        let key = place
            .keys
            .values(place.key, &self.record.bags[0], self.record.next_sequence);
        self.record.next_sequence += 1;
        run.view.put(key, values);
        Ok(())
    }

    /// Appends all values and gives their number.
    pub(super) fn read_values(
        &self,
        view: &View<'_>,
        place: Place<'_>,
        out: &mut Vec<u8>,
    ) -> Result<u64, GroupingError> {
        let mut count = self.added_count;
        let mut damage: Option<CoderError> = None;
        for bag in &self.record.bags {
            view.scan(&place.keys.bag(place.key, bag), |_, values| {
                let mut rest: &[u8] = values;
                match wire::varint(&mut rest) {
                    Ok(more) => count += more,
                    Err(error) => {
                        damage = Some(error);
                        return ControlFlow::Break(());
                    }
                }
                out.extend_from_slice(rest);
                ControlFlow::Continue(())
            })?;
        }
        out.extend_from_slice(&self.added);
        damage.map_or(Ok(count), |error| Err(GroupingError::Damaged(error)))
    }

    /// Drops all values, written or not.
    pub(super) fn clear_values(
        &mut self,
        view: &mut View<'_>,
        place: Place<'_>,
    ) -> Result<(), GroupingError> {
        for bag in self.record.bags.drain(..) {
            view.remove_all(&place.keys.bag(place.key, &bag))?;
        }
        self.added.clear();
        self.added_count = 0;
        Ok(())
    }
}

/// Merging windows hand their bags on, so that a bag's name can't be its window's.
fn next_bag(view: &mut View<'_>, place: Place<'_>) -> Result<Bytes, GroupingError> {
    let counter = place.keys.next_bag(place.key);
    let number = match view.get(&counter)? {
        Some(stored) => wire::varint(&mut &stored[..]).map_err(GroupingError::Damaged)?,
        None => 0,
    };
    let mut next = Vec::new();
    wire::put_varint(number + 1, &mut next);
    view.put(counter, next);
    Ok(Bytes::copy_from_slice(&number.to_be_bytes()))
}
