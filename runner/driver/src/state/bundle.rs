//! One bundle's view of user state: what it wrote, over what is stored.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use dataflume_engine::store::WriteBatch;
use dataflume_model::coder::Coder;
use dataflume_model::ids::{BundleId, KeyGroup};
use dataflume_model::time::EventTime;
use dataflume_proto::fn_execution::{
    StateAppendResponse, StateClearResponse, StateGetResponse, StateRequest, state_request,
    state_response,
};
use rustc_hash::FxHashMap;

use super::chunks::Chunks;
use super::keys::{self, CellName, Kind};
use super::multimap::Multimap;
use super::ordered::OrderedList;
use super::page::{Position, Read};
use super::request::{Part, Target, nested_key};
use super::{KeyedState, StateError, entries};
use crate::data::hash;

/// User state as a running bundle sees it. Requests may come from several threads.
pub struct BundleState {
    pub(super) state: KeyedState,
    pub(super) bundle: BundleId,
    changes: Mutex<Changes>,
}

/// What the bundle did. Dropped with it, if it fails.
#[derive(Default)]
pub(super) struct Changes {
    /// By the prefix of the cell's entries in the store.
    cells: FxHashMap<Bytes, Cell>,
    /// Windows that the bundle added state to, with their expiry.
    pub(super) windows: BTreeMap<(KeyGroup, Bytes), EventTime>,
    /// Windows whose state goes.
    pub(super) expired: BTreeSet<(KeyGroup, Bytes)>,
}

struct Cell {
    group: KeyGroup,
    window: Bytes,
    content: Content,
}

enum Content {
    Bag(Chunks),
    Multimap(Multimap),
    OrderedList(OrderedList),
}

impl Content {
    fn new(kind: Kind) -> Self {
        match kind {
            Kind::Bag => Self::Bag(Chunks::default()),
            Kind::Multimap => Self::Multimap(Multimap::default()),
            Kind::OrderedList => Self::OrderedList(OrderedList::default()),
        }
    }
}

const LENGTH_PREFIXED: Coder = Coder::Bytes;

impl BundleState {
    pub(super) fn new(state: KeyedState, bundle: BundleId) -> Self {
        Self {
            state,
            bundle,
            changes: Mutex::default(),
        }
    }

    /// Answers one state request.
    ///
    /// # Errors
    /// A text for `StateResponse.error`.
    pub fn handle(&self, request: &StateRequest) -> Result<state_response::Response, String> {
        self.answer(request).map_err(|error| error.to_string())
    }

    fn answer(&self, request: &StateRequest) -> Result<state_response::Response, StateError> {
        use state_request::Request;
        use state_response::Response;
        let target = Target::of(request.state_key.as_ref())?;
        let key = nested_key(target.key, &self.state.key_coder);
        let group = hash::key_group(&key, self.state.key_groups);
        let name = CellName {
            group,
            window: target.window,
            key: &key,
            transform: target.transform,
            state: target.state,
            kind: target.part.kind(),
        };
        let prefix = Bytes::from(name.prefix(self.state.stage));
        let mut changes = self.changes();
        let missing = || StateError::Refused("it asks for nothing".to_owned());
        match request.request.as_ref().ok_or_else(missing)? {
            Request::Get(get) => {
                let cell = changes.cells.get(&prefix).map(|cell| &cell.content);
                let read = self.read(&target, &prefix, cell, &get.continuation_token)?;
                Ok(Response::Get(StateGetResponse {
                    continuation_token: read
                        .next
                        .as_ref()
                        .map(Position::encode)
                        .unwrap_or_default(),
                    data: read.data,
                }))
            }
            Request::Append(append) => {
                self.mark_window(&mut changes, group, target.window)?;
                let cell = changes.cell(prefix, group, &target);
                self.append(&target, cell, append.data.clone())?;
                Ok(Response::Append(StateAppendResponse {}))
            }
            Request::Clear(_) => {
                clear(&target, changes.cell(prefix, group, &target))?;
                Ok(Response::Clear(StateClearResponse {}))
            }
        }
    }

    fn read(
        &self,
        target: &Target<'_>,
        prefix: &[u8],
        cell: Option<&Content>,
        token: &Bytes,
    ) -> Result<Read, StateError> {
        let untouched;
        let content = match cell {
            Some(content) => content,
            None => {
                untouched = Content::new(target.part.kind());
                &untouched
            }
        };
        let store = &*self.state.store;
        match (content, target.part) {
            (Content::Bag(bag), Part::Bag) => bag.read(store, prefix, token),
            (Content::Multimap(map), Part::MapKeys) => map.read_keys(store, prefix, token),
            (Content::Multimap(map), Part::MapValues(key)) => map.read(store, prefix, key, token),
            (Content::Multimap(map), Part::MapEntries) => {
                let value = self
                    .state
                    .coders
                    .multimaps
                    .get(target.state)
                    .ok_or_else(|| {
                        refused(
                            target,
                            "read as whole entries: its value coder is not known",
                        )
                    })?;
                map.read_entries(store, prefix, token, |key, chunks| {
                    entries::encode(key, chunks, value).map_err(StateError::coder("a map's values"))
                })
            }
            (Content::OrderedList(list), Part::List(range)) => {
                list.read(store, prefix, range, token)
            }
            _ => Err(refused(target, "of two kinds at once")),
        }
    }

    fn append(
        &self,
        target: &Target<'_>,
        cell: &mut Content,
        data: Bytes,
    ) -> Result<(), StateError> {
        match (cell, target.part) {
            (Content::Bag(bag), Part::Bag) => bag.append(data),
            (Content::Multimap(map), Part::MapValues(key)) => map.append(key, data),
            (Content::OrderedList(list), Part::List(_)) => {
                let coder = self.state.coders.ordered_lists.get(target.state);
                let values = coder.unwrap_or(&LENGTH_PREFIXED);
                list.append(&data, values)
                    .map_err(StateError::coder("an ordered list's entries"))?;
            }
            _ => return Err(refused(target, "appended to without a map key")),
        }
        Ok(())
    }

    /// Remembers that a window has state, so that it can expire.
    fn mark_window(
        &self,
        changes: &mut Changes,
        group: KeyGroup,
        window: &Bytes,
    ) -> Result<(), StateError> {
        if let std::collections::btree_map::Entry::Vacant(entry) =
            changes.windows.entry((group, window.clone()))
        {
            let decoded = self.state.window.decode(&mut &window[..]);
            let decoded = decoded.map_err(StateError::coder("a window"))?;
            entry.insert(self.state.expiry(&decoded));
        }
        Ok(())
    }

    pub(super) fn changes(&self) -> MutexGuard<'_, Changes> {
        // A panic elsewhere has failed the bundle: what is here will not be committed.
        self.changes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Stages everything that the bundle did, for its commit.
    ///
    /// # Errors
    /// The store could not be read.
    pub fn write_into(&self, batch: &mut WriteBatch) -> Result<(), StateError> {
        let changes = self.changes();
        let store = &*self.state.store;
        for (prefix, cell) in &changes.cells {
            if changes.expired.contains(&(cell.group, cell.window.clone())) {
                continue;
            }
            match &cell.content {
                Content::Bag(bag) => bag.write(store, prefix, self.bundle, batch)?,
                Content::Multimap(map) => map.write(store, prefix, self.bundle, batch)?,
                Content::OrderedList(list) => list.write(store, prefix, self.bundle, batch)?,
            }
        }
        for ((group, window), expiry) in &changes.windows {
            let entry = keys::window_entry(self.state.stage, *group, *expiry, window);
            let expired = changes.expired.contains(&(*group, window.clone()));
            if !expired && store.get(&entry)?.is_none() {
                batch.put(entry, Bytes::new());
            }
        }
        self.write_expired(&changes, batch)
    }

    /// [`BundleState::write_into`] a batch of its own.
    ///
    /// # Errors
    /// The store could not be read.
    pub fn into_batch(self) -> Result<WriteBatch, StateError> {
        let mut batch = WriteBatch::default();
        self.write_into(&mut batch)?;
        Ok(batch)
    }
}

impl Changes {
    fn cell(&mut self, prefix: Bytes, group: KeyGroup, target: &Target<'_>) -> &mut Content {
        let cell = self.cells.entry(prefix).or_insert_with(|| Cell {
            group,
            window: target.window.clone(),
            content: Content::new(target.part.kind()),
        });
        &mut cell.content
    }
}

fn clear(target: &Target<'_>, cell: &mut Content) -> Result<(), StateError> {
    match (cell, target.part) {
        (Content::Bag(bag), Part::Bag) => bag.clear(),
        (Content::Multimap(map), Part::MapKeys | Part::MapEntries) => map.clear(),
        (Content::Multimap(map), Part::MapValues(key)) => map.clear_key(key),
        (Content::OrderedList(list), Part::List(range)) => list.clear(range),
        _ => return Err(refused(target, "of two kinds at once")),
    }
    Ok(())
}

fn refused(target: &Target<'_>, what: &str) -> StateError {
    StateError::Refused(format!(
        "state {:?} of transform {:?} can't be {what}",
        target.state, target.transform
    ))
}
